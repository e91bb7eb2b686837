//! Consoles: the serial port once more, or a paravirtualised terminal.

pub(crate) mod family;

use super::chardev::ChardevSource;
use super::info::{DeviceInfo, device};
use crate::bind::model;
pub use crate::schema::words::ConsoleTargetType;

model! {
    /// `<target>` of a console.
    pub struct ConsoleTarget = "target" {
        attr kind: ConsoleTargetType = "type",
        attr port: u32 = "port",
    }
}

model! {
    /// `<console>`
    pub struct Console = "console" {
        part source: ChardevSource,
        child target: ConsoleTarget,
        part info: DeviceInfo,
    }
}

device!(Console, "console");

impl Console {
    /// What the guest sees; none while it is not known.
    pub fn target_type(&self) -> Option<ConsoleTargetType> {
        self.target.as_ref().and_then(|t| t.kind)
    }
}
