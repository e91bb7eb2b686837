//! `<target>` of a serial port: what the guest sees.

use crate::bind::model;
use crate::device::address::AddressKind;
pub use crate::schema::words::{SerialModelName, SerialTargetType};

model! {
    /// `<model>` of a serial port.
    pub struct SerialModel = "model" {
        key name: SerialModelName = "name",
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
        T::IsaSerial | T::IsaDebug => Some(AddressKind::Isa),
        T::UsbSerial => Some(AddressKind::Usb),
        T::PciSerial => Some(AddressKind::Pci),
        T::SpaprVioSerial => Some(AddressKind::SpaprVio),
        T::SystemSerial | T::SclpSerial => None,
    }
}
