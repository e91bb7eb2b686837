//! Controllers: the buses that other devices are plugged into.

mod defaults;
mod lower;

use super::info::DeviceInfo;
use super::{Family, device};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::resolve::{Cx, Machine};
use crate::vocab::keywords;

keywords! {
    /// `<controller type='…'>`
    pub enum ControllerKind {
        Ide = "ide",
        Fdc = "fdc",
        Scsi = "scsi",
        Sata = "sata",
        VirtioSerial = "virtio-serial",
        Ccid = "ccid",
        Usb = "usb",
        Pci = "pci",
        Xenbus = "xenbus",
        Isa = "isa",
    }
}

keywords! {
    /// `<controller model='…'>`: the models of all types. Names that two types share stand once.
    pub enum ControllerModel {
        // pci
        PciRoot = "pci-root",
        PcieRoot = "pcie-root",
        PciBridge = "pci-bridge",
        DmiToPciBridge = "dmi-to-pci-bridge",
        PcieToPciBridge = "pcie-to-pci-bridge",
        PcieRootPort = "pcie-root-port",
        PcieSwitchUpstreamPort = "pcie-switch-upstream-port",
        PcieSwitchDownstreamPort = "pcie-switch-downstream-port",
        PciExpanderBus = "pci-expander-bus",
        PcieExpanderBus = "pcie-expander-bus",
        // usb
        Piix3Uhci = "piix3-uhci",
        Piix4Uhci = "piix4-uhci",
        Ehci = "ehci",
        Ich9Ehci1 = "ich9-ehci1",
        Ich9Uhci1 = "ich9-uhci1",
        Ich9Uhci2 = "ich9-uhci2",
        Ich9Uhci3 = "ich9-uhci3",
        Vt82c686bUhci = "vt82c686b-uhci",
        PciOhci = "pci-ohci",
        NecXhci = "nec-xhci",
        Qusb1 = "qusb1",
        Qusb2 = "qusb2",
        QemuXhci = "qemu-xhci",
        None = "none",
        // scsi
        Auto = "auto",
        Buslogic = "buslogic",
        Lsilogic = "lsilogic",
        Lsisas1068 = "lsisas1068",
        Vmpvscsi = "vmpvscsi",
        Ibmvscsi = "ibmvscsi",
        VirtioScsi = "virtio-scsi",
        Lsisas1078 = "lsisas1078",
        VirtioTransitional = "virtio-transitional",
        VirtioNonTransitional = "virtio-non-transitional",
        Ncr53c90 = "ncr53c90",
        Dc390 = "dc390",
        Am53c974 = "am53c974",
        // ide
        Piix3 = "piix3",
        Piix4 = "piix4",
        Ich6 = "ich6",
        // virtio-serial, scsi
        Virtio = "virtio",
        Xenbus = "xenbus",
    }
}

model! {
    /// `<controller>`
    pub struct Controller = "controller" {
        need kind: ControllerKind = "type",
        attr index: u32 = "index",
        attr model: ControllerModel = "model",
        attr ports: u32 = "ports",
        part info: DeviceInfo,
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

    /// Whether it is this kind.
    pub fn is(&self, kind: ControllerKind) -> bool {
        self.kind == Some(kind)
    }
}

impl Family for Controller {
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>) {
        defaults::model(self, machine, cx);
    }

    fn rules(&self, _: &Domain, _: &Machine, _: &mut Cx<'_>) {}

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::controller(self, lx);
    }
}
