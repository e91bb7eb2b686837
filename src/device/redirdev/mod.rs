//! USB devices of a client, redirected into the guest.

pub(crate) mod family;
mod filter;

use super::chardev::ChardevSource;
use super::info::{DeviceInfo, device};
use crate::bind::model;
pub use crate::schema::words::RedirBus;
pub use filter::RedirFilter;

model! {
    /// `<redirdev>`
    pub struct Redirdev = "redirdev" {
        attr bus: RedirBus = "bus",
        part source: ChardevSource,
        part info: DeviceInfo,
    }
}

device!(Redirdev, "redirected device");
