//! Serial ports.

pub(crate) mod family;
mod lower;
mod target;
mod target_rules;

use super::chardev::ChardevSource;
use super::info::{DeviceInfo, device};
use crate::bind::model;
pub use target::{SerialModel, SerialModelName, SerialTarget, SerialTargetType};

model! {
    /// `<serial>`
    pub struct Serial = "serial" {
        part source: ChardevSource,
        child target: SerialTarget,
        part info: DeviceInfo,
    }
}

device!(Serial, "serial port");

impl Serial {
    /// What kind of port; none while defaults have not run, or when only the board knows.
    pub fn target_type(&self) -> Option<SerialTargetType> {
        self.target.as_ref().and_then(|t| t.kind)
    }

    /// Number of the port.
    pub fn port(&self) -> u32 {
        self.target.as_ref().and_then(|t| t.port).unwrap_or(0)
    }
}
