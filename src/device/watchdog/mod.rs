//! Watchdogs: what happens when the guest hangs.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use crate::bind::model;
pub use crate::schema::words::{WatchdogAction, WatchdogModel};

model! {
    /// `<watchdog>`
    pub struct Watchdog = "watchdog" {
        attr model: WatchdogModel = "model",
        attr action: WatchdogAction = "action",
        part info: DeviceInfo,
    }
}

device!(Watchdog, "watchdog");
