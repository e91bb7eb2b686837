//! Controllers that a board has anyway, or that a device needs.

use crate::device::Devices;
use crate::device::address::{Address, DriveAddress};
use crate::device::controller::{Controller, ControllerKind, ControllerModel, defaults::automatic_usb};
use crate::device::disk::DiskBus;
use crate::device::family::Family;
use crate::device::hostdev::HostdevType;
use crate::diag::codes::address as codes;
use crate::stage::{Board, Cx, Machine, Quirk};
use std::mem;

/// Gives every controller an index. They stand as the XML has them, where an index does not say otherwise.
pub fn number(devices: &mut Devices, cx: &mut Cx<'_>) {
    let mut placed: Vec<Controller> = Vec::with_capacity(devices.controllers.len() + 4);
    for controller in mem::take(&mut devices.controllers) {
        insert(&mut placed, controller);
    }
    devices.controllers = placed;
    for upto in 1..=devices.hostdevs.len() {
        for missing in for_scsi_hostdevs(devices, upto, cx) {
            insert(&mut devices.controllers, missing);
        }
    }
    let grouped = devices.controllers.iter().any(|c| c.is_ich9() && c.index.is_none());
    for i in 0..devices.controllers.len() {
        if devices.controllers[i].index.is_none() {
            let index = free_index(devices, i);
            devices.controllers[i].index = Some(index);
        }
    }
    if grouped {
        // The parts of a USB 2 controller that were numbered come together.
        for controller in mem::take(&mut devices.controllers) {
            insert(&mut devices.controllers, controller);
        }
    }
    unambiguous(&devices.controllers, cx);
}

/// Two controllers of one type have different indexes.
fn unambiguous(controllers: &[Controller], cx: &mut Cx<'_>) {
    for (i, controller) in controllers.iter().enumerate() {
        let Some(first) = controllers.iter().take(i).find(|c| collides(c, controller)) else { continue };
        let kind = controller.kind.map_or("", ControllerKind::as_str);
        let first = cx.span(first.site);
        let message = format!("two '{kind}' controllers share index='{}'", controller.index());
        cx.error_at(&codes::CONTROLLERS, controller.site, "index", message)
            .related(first, "the first is here")
            .help("remove the index attribute, and virtc chooses a free one");
    }
}

/// Whether two controllers claim the same index. Those of USB are looked at with their ports: companions share one.
fn collides(a: &Controller, b: &Controller) -> bool {
    a.kind == b.kind && a.kind.is_some_and(|k| k != ControllerKind::Usb) && a.index.is_some() && a.index == b.index
}

/// The index of a controller that has none: that of its USB 2 group, or the first that is free.
fn free_index(devices: &Devices, of: usize) -> u32 {
    let controller = &devices.controllers[of];
    let kind = controller.kind;
    let same = || devices.controllers.iter().filter(move |c| c.kind == kind && c.index.is_some());
    if controller.is(ControllerKind::Usb)
        && controller.is_ich9()
        && let Some(last) = devices.controllers[..of].iter().rev().find(|c| c.is(ControllerKind::Usb) && c.is_ich9())
        && !same().any(|c| c.index() == last.index() && c.model == controller.model)
    {
        return last.index();
    }
    (0..=u32::MAX).find(|i| !same().any(|c| c.index() == *i)).unwrap_or(u32::MAX)
}

/// Inserts a controller behind the last of its type, but before all with a higher index. One without an index comes last.
fn insert(controllers: &mut Vec<Controller>, new: Controller) {
    let mut at = None;
    for (i, current) in controllers.iter().enumerate().rev().filter(|(_, c)| c.kind == new.kind) {
        // A USB 2 controller stands before its companions.
        let companion = current.index == new.index && current.is_companion() && !new.is_companion() && new.is_ich9();
        if new.index.is_some() && (current.index > new.index || companion) {
            at = Some(i);
        } else if at.is_none() {
            at = Some(i + 1);
        }
        if new.index.is_none() {
            break;
        }
    }
    controllers.insert(at.unwrap_or(controllers.len()), new);
}

/// Adds the controllers that every machine of this kind has: USB, SATA, the root bus.
pub fn add_board(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
    // The board's is the first: one with another index stands beside it.
    let has_usb = devices.controllers.iter().any(|c| c.is(ControllerKind::Usb) && c.index() == 0);
    if !has_usb
        && machine.has_default_usb()
        && let Some(model) = automatic_usb(machine, cx)
    {
        ensure(devices, ControllerKind::Usb, 0, Some(model), machine, cx);
        if model == ControllerModel::Ich9Ehci1 {
            for model in [ControllerModel::Ich9Uhci1, ControllerModel::Ich9Uhci2, ControllerModel::Ich9Uhci3] {
                let mut companion = Controller::implied(ControllerKind::Usb, 0, Some(model));
                companion.defaults(machine, cx);
                insert(&mut devices.controllers, companion);
            }
        }
    } else if !has_usb && machine.board == Board::I440fx {
        ensure(devices, ControllerKind::Usb, 0, None, machine, cx);
    }
    if machine.board == Board::Q35 {
        ensure(devices, ControllerKind::Sata, 0, None, machine, cx);
    }
    named_models(devices, cx);
    let root = if machine.has_pcie_root() {
        ControllerModel::PcieRoot
    } else if machine.has_pci_root() {
        ControllerModel::PciRoot
    } else {
        let pci = devices.controllers.iter().find(|c| c.is(ControllerKind::Pci) && !c.site.is_none());
        if let Some(pci) = pci.filter(|_| !cx.env.behaves(Quirk::PciIsNotChecked)) {
            let message = format!("a machine of type '{}' has no PCI, and so no PCI controllers", machine.name);
            cx.error(&codes::CONTROLLERS, pci.site, message);
        }
        return;
    };
    match devices.controllers.iter_mut().find(|c| c.is(ControllerKind::Pci) && c.index() == 0) {
        Some(found) => match found.model {
            None if !found.site.is_none() => {
                let site = found.site;
                cx.error(
                    &codes::CONTROLLERS,
                    site,
                    format!(
                        "this machine type begins with model='{root}' at index='0' of its PCI controllers, and this controller names no model"
                    ),
                );
            }
            None => found.model = Some(root),
            Some(model) if model != root => {
                let site = found.site;
                cx.error_at(
                    &codes::CONTROLLERS,
                    site,
                    "model",
                    format!(
                        "this machine type begins with model='{root}' at index='0' of its PCI controllers; model='{model}' cannot stand there"
                    ),
                );
            }
            Some(_) => {}
        },
        None => ensure(devices, ControllerKind::Pci, 0, Some(root), machine, cx),
    }
    for c in devices.controllers.iter().filter(|c| c.is(ControllerKind::Pci) && c.index() != 0) {
        let phb = machine.board == Board::Pseries && c.model == Some(ControllerModel::PciRoot);
        if matches!(c.model, Some(ControllerModel::PciRoot | ControllerModel::PcieRoot)) && !phb {
            cx.error_at(
                &codes::CONTROLLERS,
                c.site,
                "index",
                "the root of the PCI buses (pci-root, pcie-root) always is index='0'",
            );
        }
    }
}

/// Which PCI controller it is, nobody guesses but for the root.
fn named_models(devices: &Devices, cx: &mut Cx<'_>) {
    let nameless = |c: &&Controller| c.is(ControllerKind::Pci) && c.model.is_none() && c.index() != 0;
    for controller in devices.controllers.iter().filter(nameless) {
        let message = format!(
            "the PCI controller with index='{}' names no model: it is not set which it is (pci-bridge, pcie-root-port …)",
            controller.index()
        );
        cx.error(&codes::CONTROLLERS, controller.site, message).help("add model='…'; see `virtc schema controller`");
    }
}

/// Adds the controllers that disks need and the XML leaves out.
pub fn add_for_disks(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
    for bus in [DiskBus::Scsi, DiskBus::Fdc, DiskBus::Ide, DiskBus::Sata, DiskBus::Nvme] {
        let highest = devices
            .disks
            .iter()
            .filter(|d| d.bus() == Some(bus))
            .filter_map(|d| match &d.info.address.address {
                Some(Address::Drive(drive)) => Some(drive.controller),
                _ => None,
            })
            .max();
        let kind = match bus {
            DiskBus::Scsi => ControllerKind::Scsi,
            DiskBus::Fdc => ControllerKind::Fdc,
            DiskBus::Ide => ControllerKind::Ide,
            DiskBus::Nvme => ControllerKind::Nvme,
            _ => ControllerKind::Sata,
        };
        if let Some(highest) = highest {
            ensure_up_to(devices, kind, highest, machine, cx);
        }
    }
    number_nvme(devices);
}

/// Gives SCSI host devices a place, and adds the controllers that they need and the XML leaves out.
pub fn add_for_hostdevs(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
    place_scsi_hostdevs(devices);
    for mut controller in for_scsi_hostdevs(devices, devices.hostdevs.len(), cx) {
        controller.defaults(machine, cx);
        insert(&mut devices.controllers, controller);
    }
}

/// The controllers that the first `upto` host devices need and that are not there. All are of the model of one that is there,
/// if the host devices already use one.
fn for_scsi_hostdevs(devices: &Devices, upto: usize, cx: &Cx<'_>) -> Vec<Controller> {
    let find = |index: u32| devices.controllers.iter().find(|c| c.is(ControllerKind::Scsi) && c.index == Some(index));
    let (mut highest, mut model) = (None, None);
    for hostdev in devices.hostdevs.iter().take(upto).filter(|h| h.kind() == HostdevType::Scsi) {
        let index = match &hostdev.info.address.address {
            Some(Address::Drive(drive)) => drive.controller.min(255),
            _ => 0,
        };
        if highest.is_none_or(|h| index > h) {
            highest = Some(index);
            model = find(index).and_then(|c| c.model).or(model);
        }
    }
    let like = |c: &&Controller| c.is(ControllerKind::Scsi) && !cx.env.behaves(Quirk::ScsiModelsDiffer);
    let model = model.or_else(|| devices.controllers.iter().find(like).and_then(|c| c.model));
    let missing = highest.into_iter().flat_map(|h| 0..=h).filter(|i| find(*i).is_none());
    missing.map(|index| Controller::implied(ControllerKind::Scsi, index, model)).collect()
}

/// An NVMe controller without a serial number has that of the first disk on it.
fn number_nvme(devices: &mut Devices) {
    let disks = &devices.disks;
    for c in devices.controllers.iter_mut().filter(|c| c.is(ControllerKind::Nvme) && c.serial.is_none()) {
        let index = c.index();
        let on = |d: &&crate::device::disk::Disk| {
            d.bus() == Some(DiskBus::Nvme)
                && matches!(&d.info.address.address, Some(Address::Drive(at)) if at.controller == index)
        };
        c.serial = disks.iter().filter(on).find_map(|d| d.serial.clone());
    }
}

/// Units of a SCSI bus that libvirt hands out by itself.
const SCSI_UNITS: u64 = 7;

/// Gives SCSI host devices without an address the next free unit of a SCSI controller.
fn place_scsi_hostdevs(devices: &mut Devices) {
    for i in 0..devices.hostdevs.len() {
        let hostdev = &devices.hostdevs[i];
        if hostdev.kind() != HostdevType::Scsi || hostdev.info.has_address() {
            continue;
        }
        let scsi = devices.disks.iter().filter(|d| d.bus() == Some(DiskBus::Scsi)).map(|d| &d.info);
        let used: Vec<(u32, u64)> = scsi
            .chain(devices.hostdevs.iter().map(|h| &h.info))
            .map(|info| info.address.address.as_ref())
            .chain(devices.held.places.iter().map(Some))
            .filter_map(|address| match address {
                Some(Address::Drive(d)) if d.bus == 0 && d.target == 0 => Some((d.controller, d.unit)),
                _ => None,
            })
            .collect();
        let free = (0..=255u32).find_map(|controller| {
            let unit = (0..SCSI_UNITS).find(|unit| !used.contains(&(controller, *unit)))?;
            Some(DriveAddress { controller, unit, ..DriveAddress::default() })
        });
        if let Some(at) = free {
            devices.hostdevs[i].info.place(Address::Drive(at));
        }
    }
}

/// Adds the controllers of a type that are missing up to an index.
fn ensure_up_to(devices: &mut Devices, kind: ControllerKind, highest: u32, machine: &Machine, cx: &mut Cx<'_>) {
    let same = kind == ControllerKind::Scsi && !cx.env.behaves(Quirk::ScsiModelsDiffer);
    let model = devices.controllers.iter().find(|c| same && c.is(kind)).and_then(|c| c.model);
    for index in 0..=highest.min(255) {
        ensure(devices, kind, index, model, machine, cx);
    }
}

/// Adds a controller unless there is one of this type and index.
pub fn ensure(
    devices: &mut Devices,
    kind: ControllerKind,
    index: u32,
    model: Option<ControllerModel>,
    machine: &Machine,
    cx: &mut Cx<'_>,
) {
    if devices.controllers.iter().any(|c| c.is(kind) && c.index() == index) {
        return;
    }
    let mut controller = Controller::implied(kind, index, model);
    controller.defaults(machine, cx);
    insert(&mut devices.controllers, controller);
}
