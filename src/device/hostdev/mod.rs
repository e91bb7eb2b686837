//! Host devices that are handed to the guest.

pub(crate) mod family;
pub(crate) mod lower;
mod rules;
mod source;

use super::address::AddressKind;
use super::info::{DeviceInfo, device};
use super::interface::Teaming;
use super::plug::VirtioModel;
use crate::bind::model;
pub use crate::schema::words::{HostdevBackend, HostdevMode, HostdevModel};
use crate::vocab::{OnOff, YesNo};
pub use source::{HostdevSource, HostdevType};

model! {
    /// `<driver>`: the driver on the host.
    pub struct HostdevDriver = "driver" {
        attr name: HostdevBackend = "name",
        attr model: String = "model",
        attr iommufd: YesNo = "iommufd",
    }
}

model! {
    /// `<hostdev>`
    pub struct Hostdev = "hostdev" {
        attr mode: HostdevMode = "mode",
        attr kind: HostdevType = "type",
        attr managed: YesNo = "managed",
        attr sgio: String = "sgio",
        attr rawio: YesNo = "rawio",
        attr model: HostdevModel = "model",
        attr display: OnOff = "display",
        attr ramfb: OnOff = "ramfb",
        child driver: HostdevDriver,
        part source: HostdevSource,
        child teaming: Teaming,
        flag readonly: bool = "readonly",
        flag shareable: bool = "shareable",
        part info: DeviceInfo,
    }
}

device!(Hostdev, "hostdev");

impl Hostdev {
    /// What kind of device it is.
    pub fn kind(&self) -> HostdevType {
        self.kind.unwrap_or(HostdevType::Pci)
    }

    /// Forgets what other kinds of devices have.
    fn tidy(&mut self) {
        let kind = self.kind();
        if kind != HostdevType::Scsi {
            (self.readonly, self.shareable) = (false, false);
        }
        if !matches!(kind, HostdevType::Mdev | HostdevType::Pci) {
            (self.display, self.ramfb) = (None, None);
        }
        if kind != HostdevType::Pci {
            self.driver = None;
        }
    }

    fn virtio_model(&self) -> VirtioModel {
        match self.model {
            Some(HostdevModel::VirtioTransitional) => VirtioModel::VirtioTransitional,
            Some(HostdevModel::VirtioNonTransitional) => VirtioModel::VirtioNonTransitional,
            _ => VirtioModel::Virtio,
        }
    }
}

/// The address type that a device of this kind can have besides none.
pub fn address_kind(hostdev: &Hostdev) -> &'static [AddressKind] {
    match (hostdev.kind(), hostdev.model) {
        (HostdevType::Pci, _) => &[AddressKind::Pci, AddressKind::Unassigned],
        (HostdevType::Usb, _) => &[AddressKind::Usb],
        (HostdevType::Scsi, _) => &[AddressKind::Drive],
        (HostdevType::ScsiHost, _) => &[AddressKind::Pci, AddressKind::Ccw],
        (HostdevType::Mdev, Some(HostdevModel::VfioCcw)) => &[AddressKind::Ccw],
        (HostdevType::Mdev, Some(HostdevModel::VfioAp)) => &[],
        _ => &[AddressKind::Pci],
    }
}
