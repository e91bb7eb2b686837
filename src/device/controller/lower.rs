//! Controllers on the command line.

use super::{Controller, ControllerKind, ControllerModel};
use crate::caps::Cap;
use crate::diag::codes::{address, general};
use crate::plan::Props;
use crate::stage::Board;
use crate::stage::Lower;
use crate::stage::Quirk;
use crate::stage::mapping;
use crate::vocab::OnOff;

/// The kinds of controllers in the order in which libvirt puts them on the command line.
const ORDER: &[ControllerKind] = &[
    ControllerKind::Pci,
    ControllerKind::Usb,
    ControllerKind::Scsi,
    ControllerKind::Ide,
    ControllerKind::Sata,
    ControllerKind::VirtioSerial,
    ControllerKind::Nvme,
];

/// Adds the readers of smart cards, which may be plugged into a hub.
pub fn smartcard_readers(lx: &mut Lower<'_>) {
    let devices = lx.devices;
    devices.controllers.iter().filter(|c| c.is(ControllerKind::Ccid)).for_each(|c| controller(c, lx));
}

/// Adds all controllers, kind by kind.
pub fn all(lx: &mut Lower<'_>) {
    let devices = lx.devices;
    root_hotplug(lx);
    pci_holes(lx);
    for kind in ORDER {
        for c in devices.controllers.iter().filter(|c| c.is(*kind)) {
            controller(c, lx);
        }
    }
}

/// Whether devices can be plugged into the root bus of an i440FX.
fn root_hotplug(lx: &mut Lower<'_>) {
    let devices = lx.devices;
    let root = devices.controllers.iter().find(|c| c.model == Some(ControllerModel::PciRoot) && c.index() == 0);
    let Some(target) = root.and_then(|c| c.target.as_ref()) else { return };
    if let Some(hotplug) = target.hotplug
        && lx.machine.board == Board::I440fx
    {
        lx.text("-global", format!("PIIX4_PM.acpi-root-pci-hotplug={hotplug}"), target.site, "hotplug of the root bus");
    }
}

/// The part of the address space that is kept for 64-bit PCI memory.
fn pci_holes(lx: &mut Lower<'_>) {
    let devices = lx.devices;
    for c in &devices.controllers {
        let Some(hole) = &c.hole.0 else { continue };
        let host = match c.model {
            Some(ControllerModel::PciRoot) => "i440FX-pcihost",
            Some(ControllerModel::PcieRoot) => "q35-pcihost",
            _ => continue,
        };
        if lx.machine.board == Board::Virt && lx.has(Cap::MachineVirtHighmemMmioSize) {
            // A property of the machine.
            continue;
        }
        let known = matches!(lx.machine.board, Board::I440fx | Board::Q35);
        if !known {
            lx.error(
                &general::PCI_HOLE,
                hole.site,
                "<pcihole64>: this machine type has no 64-bit PCI hole whose size could be set",
            );
            continue;
        }
        lx.text("-global", format!("{host}.pci-hole64-size={}K", hole.kib()), hole.site, "pcihole64");
    }
}

/// Adds the `-device` of a controller that is not part of the board.
pub fn controller(controller: &Controller, lx: &mut Lower<'_>) {
    let Some(kind) = controller.kind else { return };
    let props = match kind {
        ControllerKind::Pci => pci(controller, lx),
        ControllerKind::Usb => usb(controller, lx),
        ControllerKind::Scsi => scsi(controller, lx),
        ControllerKind::Sata => sata(controller, lx),
        ControllerKind::VirtioSerial => virtio_serial(controller, lx),
        ControllerKind::Ccid => {
            let mut props = Props::driver("usb-ccid");
            props.set("id", controller.info.id.clone());
            Some(props)
        }
        ControllerKind::Nvme => {
            let mut props = Props::driver("nvme");
            props.set("id", controller.info.id.clone()).maybe("serial", controller.serial.clone());
            Some(props)
        }
        // On the board.
        ControllerKind::Ide | ControllerKind::Fdc | ControllerKind::Xenbus | ControllerKind::Isa => None,
    };
    let Some(mut props) = props else { return };
    lx.address(&mut props, &controller.info);
    lx.device(props, controller);
}

/// An AHCI controller; the first of a Q35 is in the chipset.
fn sata(controller: &Controller, lx: &mut Lower<'_>) -> Option<Props> {
    if lx.machine.board == Board::Q35 && controller.index() == 0 {
        return None;
    }
    let mut props = Props::driver("ahci");
    props.set("id", controller.info.id.clone());
    Some(props)
}

fn pci(controller: &Controller, lx: &mut Lower<'_>) -> Option<Props> {
    type M = ControllerModel;
    let model = controller.model?;
    if matches!(model, M::PcieRoot) || (model == M::PciRoot && controller.index() == 0) {
        return None;
    }
    let driver = controller.pci_model.as_ref().and_then(|m| m.name);
    let Some(driver) = driver else {
        lx.error(
            &address::CONTROLLERS,
            controller.site,
            format!("there is no device for PCI controllers of model '{model}' in this machine"),
        );
        return None;
    };
    let target = controller.target.clone().unwrap_or_default();
    let mut props = Props::driver(driver.as_str());
    match model {
        M::PciBridge => {
            props.maybe("chassis_nr", target.chassis_nr);
        }
        M::PcieRootPort | M::PcieSwitchDownstreamPort => {
            props.maybe("port", target.port.map(|p| p.0)).maybe("chassis", target.chassis);
        }
        M::PciExpanderBus | M::PcieExpanderBus => {
            props.maybe("bus_nr", target.bus_nr);
        }
        M::PciRoot => {
            props.maybe("index", target.index);
        }
        _ => {}
    }
    props.set("id", controller.info.id.clone());
    match model {
        M::PciExpanderBus | M::PcieExpanderBus | M::PciRoot => {
            props.maybe("numa_node", target.node);
        }
        M::PcieRootPort | M::PcieSwitchDownstreamPort => {
            props.maybe("hotplug", target.hotplug.map(OnOff::is_on));
        }
        _ => {}
    }
    if model == M::PcieRootPort {
        props.maybe("mem-reserve", target.mem_reserve.map(|kib| kib * 1024));
    }
    Some(props)
}

/// QEMU's device for a USB controller, and the capability that says whether it is there.
pub fn usb_driver(model: ControllerModel) -> Option<(&'static str, Cap)> {
    type M = ControllerModel;
    Some(match model {
        M::Piix3Uhci => ("piix3-usb-uhci", Cap::Piix3UsbUhci),
        M::Piix4Uhci => ("piix4-usb-uhci", Cap::Piix4UsbUhci),
        M::Ehci => ("usb-ehci", Cap::UsbEhci),
        M::Ich9Ehci1 => ("ich9-usb-ehci1", Cap::Ich9UsbEhci1),
        M::Ich9Uhci1 => ("ich9-usb-uhci1", Cap::Ich9UsbEhci1),
        M::Ich9Uhci2 => ("ich9-usb-uhci2", Cap::Ich9UsbEhci1),
        M::Ich9Uhci3 => ("ich9-usb-uhci3", Cap::Ich9UsbEhci1),
        M::Vt82c686bUhci => ("vt82c686b-usb-uhci", Cap::Vt82c686bUsbUhci),
        M::PciOhci => ("pci-ohci", Cap::PciOhci),
        M::NecXhci => ("nec-usb-xhci", Cap::NecUsbXhci),
        M::QemuXhci => ("qemu-xhci", Cap::QemuXhci),
        _ => return None,
    })
}

fn usb(controller: &Controller, lx: &mut Lower<'_>) -> Option<Props> {
    if controller.model == Some(ControllerModel::None) {
        return None;
    }
    if controller.model.is_none() && lx.machine.arch.is_s390() {
        // There is no USB unless the XML names a model.
        return None;
    }
    let Some(model) = controller.model else {
        lx.error(
            &general::USB_MODEL,
            controller.site,
            "<controller type='usb'> names no model, and this machine type has no default",
        )
        .help("add model='qemu-xhci'");
        return None;
    };
    let Some((driver, _)) = usb_driver(model).filter(|(_, cap)| lx.has(*cap)) else {
        lx.error(
            &general::NOT_BY_QEMU,
            controller.site,
            format!("this QEMU binary has no USB controller of model '{model}'"),
        );
        return None;
    };
    if controller.ports.is_some() && !matches!(model, ControllerModel::NecXhci | ControllerModel::QemuXhci) {
        let message = format!("<controller ports>: a USB controller of model '{model}' has a fixed number of ports");
        lx.error(&general::USB_PORTS, controller.site, message).help("remove 'ports', or use model='qemu-xhci'");
        return None;
    }
    let mut props = Props::driver(driver);
    props.maybe("p2", controller.ports).maybe("p3", controller.ports);
    match &controller.info.alias.master {
        Some(master) => {
            let controllers = &lx.devices.controllers;
            let usb2 = controllers.iter().find(|c| {
                c.is(ControllerKind::Usb) && c.index() == controller.index() && c.info.alias.master.is_none()
            });
            let Some(usb2) = usb2 else {
                lx.error(
                    &address::CONTROLLERS,
                    controller.site,
                    "a companion (masterbus) without the USB 2 controller of its index: it is not found",
                )
                .help(format!("add <controller type='usb' index='{}' model='ich9-ehci1'/>", controller.index()));
                return None;
            };
            props.set("masterbus", format!("{}.0", usb2.info.id));
            props.maybe("firstport", master.startport);
        }
        None => {
            props.set("id", controller.info.id.clone());
        }
    }
    Some(props)
}

fn scsi(controller: &Controller, lx: &mut Lower<'_>) -> Option<Props> {
    type M = ControllerModel;
    let driver = controller.driver.clone().unwrap_or_default();
    let (name, cap) = match controller.model {
        Some(M::VirtioScsi | M::Virtio | M::VirtioTransitional | M::VirtioNonTransitional) => {
            let model = controller.virtio_model();
            let mut props = lx.virtio_device("virtio-scsi", &controller.info, model, Some(&driver.virtio));
            if let Some(thread) = driver.iothread {
                props.set("iothread", format!("iothread{thread}"));
            }
            props.set("id", controller.info.id.clone());
            mapping::lower(super::mapping::SCSI, &driver, &mut props);
            props.maybe("iothread-vq-mapping", lx.queues_of_iothreads(&driver.iothreads));
            return Some(props);
        }
        Some(M::Lsilogic) => ("lsi", Some(Cap::Lsi)),
        Some(M::Lsisas1078) => ("megasas", Some(Cap::Megasas)),
        Some(M::Lsisas1068) => ("mptsas1068", Some(Cap::Mptsas1068)),
        Some(M::Vmpvscsi) => ("pvscsi", Some(Cap::Pvscsi)),
        Some(M::Ibmvscsi) => ("spapr-vscsi", None),
        Some(M::Am53c974) => ("am53c974", Some(Cap::Am53c974)),
        // libvirt's own way of writing it, which QEMU does not know.
        Some(M::Dc390) if lx.env.behaves(Quirk::Dc390WithHyphen) => ("dc-390", Some(Cap::Dc390)),
        Some(M::Dc390) => ("dc390", Some(Cap::Dc390)),
        // Part of the board.
        Some(M::Ncr53c90) if lx.machine.has_builtin_esp() => return None,
        model => {
            let model = model.map_or("", M::as_str);
            lx.error(
                &general::CONTROLLER_MODEL,
                controller.site,
                format!("'{model}' is no model of a controller of type 'scsi'"),
            );
            return None;
        }
    };
    if cap.is_some_and(|cap| !lx.has(cap)) {
        lx.error(&general::NOT_BY_QEMU, controller.site, format!("this QEMU has no SCSI controller {name}"));
    }
    let mut props = Props::driver(name);
    props.set("id", controller.info.id.clone());
    Some(props)
}

fn virtio_serial(controller: &Controller, lx: &mut Lower<'_>) -> Option<Props> {
    let options = controller.driver.as_ref().map(|d| &d.virtio);
    let mut props = lx.virtio_device("virtio-serial", &controller.info, controller.virtio_model(), options);
    props.set("id", controller.info.id.clone());
    props.maybe("max_ports", controller.ports).maybe("vectors", controller.vectors);
    Some(props)
}
