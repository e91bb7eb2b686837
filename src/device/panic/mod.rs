//! Panic notifiers: how the guest tells that its kernel has crashed.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use crate::bind::model;
pub use crate::schema::words::PanicModel;

model! {
    /// `<panic>`
    pub struct Panic = "panic" {
        attr model: PanicModel = "model",
        part info: DeviceInfo,
    }
}

device!(Panic, "panic notifier");
