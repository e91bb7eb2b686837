//! Parallel ports.

pub(crate) mod family;

use super::chardev::ChardevSource;
use super::info::{DeviceInfo, device};
use crate::bind::model;

model! {
    /// `<target>` of a parallel port.
    pub struct ParallelTarget = "target" {
        attr port: u32 = "port",
    }
}

model! {
    /// `<parallel>`
    pub struct Parallel = "parallel" {
        part source: ChardevSource,
        child target: ParallelTarget,
        part info: DeviceInfo,
    }
}

device!(Parallel, "parallel port");
