//! Controllers: the buses that other devices are plugged into.

pub(crate) mod defaults;
pub(crate) mod family;
pub(crate) mod lower;
pub mod mapping;
mod rules;

use super::info::{DeviceInfo, Master, device};
use super::iothreads::ThreadQueues;
use super::plug::{Plug, VirtioModel};
use super::virtio::VirtioOptions;
use crate::bind::{Binder, Part, Shape, model};
use crate::domain::memory::Amount;
pub use crate::schema::words::{ControllerKind, ControllerModel, PciDriver};
use crate::vocab::{Hex, OnOff};
use crate::xml::{El, XmlWriter};

impl ControllerModel {
    /// Whether it is a narrow SCSI bus: targets without further units.
    pub fn is_narrow(self) -> bool {
        use ControllerModel::{Am53c974, Dc390, Lsilogic, Ncr53c90};
        matches!(self, Lsilogic | Ncr53c90 | Dc390 | Am53c974)
    }
}

model! {
    /// `<model>` of a PCI controller.
    pub struct PciModel = "model" {
        attr name: PciDriver = "name",
    }
}

model! {
    /// `<target>` of a PCI controller: what the guest sees of it.
    pub struct PciTarget = "target" {
        attr chassis_nr: u32 = "chassisNr",
        attr chassis: u32 = "chassis",
        attr port: Hex<1> = "port",
        attr bus_nr: u32 = "busNr",
        attr index: u32 = "index",
        attr mem_reserve: u64 = "memReserve",
        attr hotplug: OnOff = "hotplug",
        leaf node: u32 = "node",
    }
}

/// `<master>` of a controller: read and printed with the alias (see [`DeviceInfo`]); here only its place in the format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MasterPlace;

impl Part for MasterPlace {
    fn bind(&mut self, _: El<'_>, _: &mut Binder<'_>) {}
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, _: &mut XmlWriter) {}
    fn shape(shape: &mut Shape) {
        shape.child::<Master>("master");
    }
}

model! {
    /// `<driver>` of a controller.
    pub struct ControllerDriver = "driver" {
        attr queues: u32 = "queues",
        attr cmd_per_lun: u32 = "cmd_per_lun",
        attr max_sectors: u32 = "max_sectors",
        attr ioeventfd: OnOff = "ioeventfd",
        attr iothread: u32 = "iothread",
        part virtio: VirtioOptions,
        list iothreads: ThreadQueues = "iothreads",
    }
}

/// `<pcihole64>`: the part of the address space that is kept for 64-bit PCI memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PciHole(pub Option<Amount>);

impl Part for PciHole {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.0 = el.child("pcihole64").map(|e| {
            let mut amount = Amount::default();
            amount.bind(e, cx);
            amount
        });
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(amount) = &self.0 {
            crate::bind::print_as("pcihole64", amount, out);
        }
    }
    fn shape(shape: &mut Shape) {
        shape.child::<Amount>("pcihole64");
    }
}

model! {
    /// `<controller>`
    pub struct Controller = "controller" {
        attr kind: ControllerKind = "type",
        attr index: u32 = "index",
        attr model: ControllerModel = "model",
        attr ports: u32 = "ports",
        attr vectors: u32 = "vectors",
        attr max_grant_frames: u32 = "maxGrantFrames",
        attr max_event_channels: u32 = "maxEventChannels",
        part master: MasterPlace,
        child pci_model: PciModel,
        child target: PciTarget,
        child driver: ControllerDriver,
        leaf serial: String = "serial",
        part info: DeviceInfo,
        part hole: PciHole,
    }
}

device!(Controller, "controller");

impl Controller {
    /// A controller that a default rule adds.
    pub fn implied(kind: ControllerKind, index: u32, model: Option<ControllerModel>) -> Controller {
        Controller { kind: Some(kind), index: Some(index), model, ..Controller::default() }
    }

    /// Its index; 0 while it is not assigned.
    pub fn index(&self) -> u32 {
        self.index.unwrap_or(0)
    }

    /// Whether it is a part of an ICH9's USB 2 controller.
    pub fn is_ich9(&self) -> bool {
        type M = ControllerModel;
        matches!(self.model, Some(M::Ich9Ehci1 | M::Ich9Uhci1 | M::Ich9Uhci2 | M::Ich9Uhci3))
    }

    /// Whether it serves the slow devices of a USB 2 controller.
    pub fn is_companion(&self) -> bool {
        self.is_ich9() && self.model != Some(ControllerModel::Ich9Ehci1)
    }

    /// Which drivers a virtio controller serves.
    pub fn virtio_model(&self) -> VirtioModel {
        match self.plug_of_kind() {
            Plug::Virtio(model) => model,
            _ => VirtioModel::Virtio,
        }
    }

    /// Its `<model>`, made if it is not there.
    pub fn pci_model_mut(&mut self) -> &mut PciModel {
        self.pci_model.get_or_insert_with(PciModel::default)
    }

    /// Its `<target>`, made if it is not there.
    pub fn target_mut(&mut self) -> &mut PciTarget {
        self.target.get_or_insert_with(PciTarget::default)
    }

    /// What it is to be plugged into, besides PCI controllers, whose places depend on one another.
    fn plug_of_kind(&self) -> Plug {
        type M = ControllerModel;
        match self.kind {
            Some(ControllerKind::Ide | ControllerKind::Sata) => Plug::Pci,
            Some(ControllerKind::Ccid) => Plug::Usb,
            Some(ControllerKind::Nvme) => Plug::Pcie,
            Some(ControllerKind::Usb) => match self.model {
                Some(M::None | M::Qusb1 | M::Qusb2) => Plug::Nowhere,
                Some(M::NecXhci | M::QemuXhci) => Plug::Pcie,
                _ => Plug::Pci,
            },
            Some(ControllerKind::Scsi) => match self.model {
                Some(M::VirtioScsi | M::Virtio) => Plug::Virtio(VirtioModel::Virtio),
                Some(M::VirtioTransitional) => Plug::Virtio(VirtioModel::VirtioTransitional),
                Some(M::VirtioNonTransitional) => Plug::Virtio(VirtioModel::VirtioNonTransitional),
                Some(M::Ibmvscsi) => Plug::SpaprVio(0x2000),
                Some(M::Ncr53c90) => Plug::Nowhere,
                _ => Plug::Pci,
            },
            Some(ControllerKind::VirtioSerial) => match self.model {
                Some(M::VirtioTransitional) => Plug::Virtio(VirtioModel::VirtioTransitional),
                Some(M::VirtioNonTransitional) => Plug::Virtio(VirtioModel::VirtioNonTransitional),
                _ => Plug::Virtio(VirtioModel::Virtio),
            },
            _ => Plug::Nowhere,
        }
    }

    /// Whether it is this kind.
    pub fn is(&self, kind: ControllerKind) -> bool {
        self.kind == Some(kind)
    }
}
