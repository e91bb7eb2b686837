//! Host devices that are handed to the guest.

mod lower;
mod rules;
mod source;

pub use lower::{lower_all, vfio_pci};
pub use source::{HostdevSource, HostdevType, Managed};

use super::address::AddressKind;
use super::info::DeviceInfo;
use super::interface::Teaming;
use super::plug::{Plug, VirtioModel};
use super::{Family, device};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::resolve::{Board, Cx, Env, Machine};
use crate::vocab::{OnOff, YesNo, keywords};

keywords! {
    /// `<hostdev mode='…'>`
    pub enum HostdevMode { Subsystem = "subsystem", Capabilities = "capabilities" }
}

keywords! {
    /// `<hostdev model='…'>`: of a mediated device, or of a virtio one.
    pub enum HostdevModel {
        VfioPci = "vfio-pci",
        VfioCcw = "vfio-ccw",
        VfioAp = "vfio-ap",
        Virtio = "virtio",
        VirtioTransitional = "virtio-transitional",
        VirtioNonTransitional = "virtio-non-transitional",
    }
}

keywords! {
    /// `<driver name='…'>`
    pub enum HostdevBackend { Vfio = "vfio", Kvm = "kvm", Xen = "xen" }
}

model! {
    /// `<driver>`: the driver on the host.
    pub struct HostdevDriver = "driver" {
        attr name: HostdevBackend = "name",
        attr model: String = "model",
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
            Some(HostdevModel::VirtioTransitional) => VirtioModel::Transitional,
            Some(HostdevModel::VirtioNonTransitional) => VirtioModel::NonTransitional,
            _ => VirtioModel::Virtio,
        }
    }
}

impl Family for Hostdev {
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>) {
        self.mode.get_or_insert(HostdevMode::Subsystem);
        self.managed.get_or_insert(YesNo::No);
        self.tidy();
        if self.kind() == HostdevType::Mdev && self.model == Some(HostdevModel::VfioPci) {
            self.display.get_or_insert(OnOff::Off);
        }
        if let HostdevSource::Pci { address, .. } = &self.source
            && machine.board == Board::Pseries
        {
            let known = cx.env.host.pci_devices.iter().find(|d| d.address == *address);
            self.info.isolation = known.and_then(|d| d.iommu_group).map_or(0, |g| g + 1);
        }
    }

    fn plug(&self, _: &Machine, env: &Env<'_>) -> Plug {
        match (&self.source, self.model) {
            (HostdevSource::Pci { address, .. }, _) => {
                let known = env.host.pci_devices.iter().find(|d| d.address == *address);
                if known.is_none_or(|d| d.express) { Plug::Pcie } else { Plug::Pci }
            }
            (HostdevSource::Usb { .. }, _) => Plug::Usb,
            (HostdevSource::Vhost { .. }, _) => Plug::Virtio(self.virtio_model()),
            (HostdevSource::Mdev { .. }, Some(HostdevModel::VfioCcw)) => Plug::Ccw,
            (HostdevSource::Mdev { .. }, Some(HostdevModel::VfioPci)) => Plug::Pcie,
            _ => Plug::Nowhere,
        }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        rules::hostdev(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::hostdev(self, lx);
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
