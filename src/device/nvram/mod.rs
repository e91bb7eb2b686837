//! `<nvram>`: the non-volatile memory of a POWER machine.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use crate::bind::model;

model! {
    /// `<nvram>`
    pub struct Nvram = "nvram" {
        part info: DeviceInfo,
    }
}

device!(Nvram, "nvram");
