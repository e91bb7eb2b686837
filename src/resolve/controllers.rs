//! Controllers that a board has anyway, or that a device needs.

use super::{Board, Cx, Machine};
use crate::device::Devices;
use crate::device::address::Address;
use crate::device::controller::{Controller, ControllerKind, ControllerModel};
use crate::device::disk::DiskBus;
use crate::domain::Domain;

/// Adds the controllers that the XML leaves out.
pub fn add_implicit(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(devices) = &mut domain.devices else { return };
    if machine.has_pci_root() {
        ensure(devices, ControllerKind::Pci, 0, Some(ControllerModel::PciRoot), machine, cx);
    }
    if machine.has_pcie_root() {
        ensure(devices, ControllerKind::Pci, 0, Some(ControllerModel::PcieRoot), machine, cx);
    }
    if machine.board == Board::I440fx {
        ensure(devices, ControllerKind::Usb, 0, None, machine, cx);
    }
    let mut needed = Vec::new();
    for disk in &devices.disks {
        let kind = match disk.bus() {
            Some(DiskBus::Ide) => ControllerKind::Ide,
            Some(DiskBus::Sata) => ControllerKind::Sata,
            Some(DiskBus::Scsi) => ControllerKind::Scsi,
            Some(DiskBus::Fdc) => ControllerKind::Fdc,
            _ => continue,
        };
        if let Some(Address::Drive(drive)) = &disk.info.address.address {
            needed.push((kind, drive.controller));
        }
    }
    for (kind, index) in needed {
        for index in 0..=index {
            ensure(devices, kind, index, None, machine, cx);
        }
    }
}

/// Adds a controller unless it is there: behind those of its kind with a lower index, else at the end.
pub fn ensure(
    devices: &mut Devices,
    kind: ControllerKind,
    index: u32,
    model: Option<ControllerModel>,
    machine: &Machine,
    cx: &mut Cx<'_>,
) {
    use crate::device::Family;
    if devices.controllers.iter().any(|c| c.is(kind) && c.index() == index) {
        return;
    }
    let mut controller = Controller::implied(kind, index, model);
    controller.defaults(machine, cx);
    let behind = devices.controllers.iter().rposition(|c| c.is(kind) && c.index() < index).map(|at| at + 1);
    let before = devices.controllers.iter().position(|c| c.is(kind) && c.index() > index);
    let at = behind.or(before).unwrap_or(devices.controllers.len());
    devices.controllers.insert(at, controller);
}
