//! `<features>`: what the machine can do. The fields stand in libvirt's order.

use super::model::model;
use crate::vocab::OnOff;

model! {
    /// An element with `state='on'` or `'off'`.
    pub struct Toggle {
        attr state: OnOff = "state",
    }
}

impl Toggle {
    /// Whether it says `on`, or says nothing.
    pub fn is_on(&self) -> bool {
        self.state != Some(OnOff::Off)
    }
}

model! {
    /// `<apic>`
    pub struct Apic = "apic" {
        attr eoi: OnOff = "eoi",
    }
}

model! {
    /// `<features>`
    pub struct Features = "features" {
        flag acpi: bool = "acpi",
        child apic: Apic,
        flag pae: bool = "pae",
        child hap: Toggle = "hap",
        child pmu: Toggle = "pmu",
        child vmport: Toggle = "vmport",
        child smm: Toggle = "smm",
    }
}
