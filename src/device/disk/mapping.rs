//! Attributes of `<driver>` that are one property of a virtio disk each.

use super::driver::Driver;
use crate::stage::mapping::mapping;

mapping! {
    /// How the guest tells that it has work, and how it is told.
    pub EVENTS: Driver {
        "ioeventfd" = ioeventfd: OnOff, "ioeventfd";
        "event_idx" = event_idx: OnOff, "event_idx";
    }
}
