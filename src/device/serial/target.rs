//! `<target>` of a serial port: what the guest sees.

use crate::bind::model;
use crate::device::address::AddressKind;
use crate::vocab::keywords;

keywords! {
    /// `<target type='…'>` of a serial port: the bus it is on.
    pub enum SerialTargetType {
        Isa = "isa-serial",
        Usb = "usb-serial",
        Pci = "pci-serial",
        SpaprVio = "spapr-vio-serial",
        System = "system-serial",
        Sclp = "sclp-serial",
        IsaDebug = "isa-debug",
    }
}

keywords! {
    /// `<model name='…'>` of a serial port.
    pub enum SerialModelName {
        IsaSerial = "isa-serial",
        UsbSerial = "usb-serial",
        PciSerial = "pci-serial",
        SpaprVty = "spapr-vty",
        Pl011 = "pl011",
        Sclpconsole = "sclpconsole",
        Sclplmconsole = "sclplmconsole",
        V16550a = "16550a",
        IsaDebugcon = "isa-debugcon",
    }
}

model! {
    /// `<model>` of a serial port.
    pub struct SerialModel = "model" {
        need name: SerialModelName = "name",
    }
}

model! {
    /// `<target>` of a serial port.
    pub struct SerialTarget = "target" {
        attr kind: SerialTargetType = "type",
        attr port: u32 = "port",
        child model: SerialModel,
    }
}

impl SerialTarget {
    /// The model; none when only the board knows.
    pub fn model(&self) -> Option<SerialModelName> {
        self.model.as_ref().and_then(|m| m.name)
    }
}

/// The kind of address that a port of this type has.
pub fn address_kind(kind: SerialTargetType) -> Option<AddressKind> {
    use SerialTargetType as T;
    match kind {
        T::Isa | T::IsaDebug => Some(AddressKind::Isa),
        T::Usb => Some(AddressKind::Usb),
        T::Pci => Some(AddressKind::Pci),
        T::SpaprVio => Some(AddressKind::SpaprVio),
        T::System | T::Sclp => None,
    }
}
