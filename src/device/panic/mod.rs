//! Panic notifiers: how the guest tells that its kernel has crashed.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use crate::bind::model;
use crate::vocab::keywords;

keywords! {
    /// `<panic model='…'>`
    pub enum PanicModel {
        Isa = "isa",
        Pseries = "pseries",
        Hyperv = "hyperv",
        S390 = "s390",
        Pvpanic = "pvpanic",
    }
}

model! {
    /// `<panic>`
    pub struct Panic = "panic" {
        attr model: PanicModel = "model",
        part info: DeviceInfo,
    }
}

device!(Panic, "panic notifier");
