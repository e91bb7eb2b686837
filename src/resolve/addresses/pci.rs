//! PCI addresses (a first form: the root bus of i440fx).

use crate::device::address::{Address, PciAddress};
use crate::device::controller::ControllerKind;
use crate::device::disk::DiskBus;
use crate::domain::Domain;
use crate::resolve::{Board, Cx, Machine};
use std::collections::BTreeSet;

/// Assigns the addresses of the devices on PCI buses.
pub fn assign(domain: &mut Domain, machine: &Machine, _: &mut Cx<'_>) {
    let Some(devices) = &mut domain.devices else { return };
    if machine.board != Board::I440fx {
        return;
    }
    let at = |slot, function| Address::Pci(PciAddress { slot, function, ..PciAddress::default() });
    for controller in &mut devices.controllers {
        if controller.info.has_address() || controller.index() != 0 {
            continue;
        }
        match controller.kind {
            Some(ControllerKind::Ide) => controller.info.place(at(1, 1)),
            Some(ControllerKind::Usb) => controller.info.place(at(1, 2)),
            _ => {}
        }
    }
    // Slot 0 is the host bridge, slot 1 the PIIX3.
    let mut used: BTreeSet<u32> = [0, 1].into();
    devices.each(&mut |d| {
        used.extend(d.info().pci().map(|p| p.slot));
    });
    let mut next = || {
        let slot = (0..32).find(|s| !used.contains(s)).unwrap_or(31);
        used.insert(slot);
        Address::Pci(PciAddress { slot, ..PciAddress::default() })
    };
    for interface in devices.interfaces.iter_mut().filter(|i| !i.info.has_address()) {
        interface.info.place(next());
    }
    for video in devices.videos.iter_mut().filter(|v| v.is_primary() && !v.info.has_address()) {
        video.info.place(next());
    }
    for controller in &mut devices.controllers {
        let on_pci =
            matches!(controller.kind, Some(ControllerKind::Scsi | ControllerKind::Sata | ControllerKind::VirtioSerial));
        if on_pci && !controller.info.has_address() {
            controller.info.place(next());
        }
    }
    for disk in devices.disks.iter_mut().filter(|d| d.bus() == Some(DiskBus::Virtio) && !d.info.has_address()) {
        disk.info.place(next());
    }
    for balloon in devices.memballoons.iter_mut().filter(|b| b.is_present() && !b.info.has_address()) {
        balloon.info.place(next());
    }
}
