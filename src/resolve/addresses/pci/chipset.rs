//! Places that a chipset has fixed.

use super::Run;
use super::bus::Connect;
use super::topology::Fault;
use crate::device::address::PciAddress;
use crate::device::controller::{Controller, ControllerKind, ControllerModel};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::device::sound::SoundModel;
use crate::device::{Device, Devices};
use crate::diag::codes::address as codes;
use crate::stage::Board;
use crate::vocab::OnOff;

fn at(slot: u32, function: u32) -> PciAddress {
    PciAddress { slot, function, ..PciAddress::default() }
}

/// Takes the fixed places of the board and gives them to the devices they belong to.
pub fn reserve(run: &mut Run<'_, '_>, devices: &mut Devices) {
    match run.machine.board {
        Board::I440fx => i440fx(run, devices),
        Board::Q35 => q35(run, devices),
        _ => {}
    }
}

/// Puts a device at its fixed place. One that the XML puts elsewhere is a fault; `what` says which.
fn fixed(run: &mut Run<'_, '_>, device: &mut Controller, place: PciAddress, what: &str) {
    match device.info.pci() {
        Some(given) => {
            if (given.bus, given.slot, given.function) != (place.bus, place.slot, place.function) {
                run.ok = false;
                run.cx.error(
                    &codes::FIXED,
                    device.info.address_site(),
                    format!(
                        "{what} is on the board: its PCI address is {}:{:x}.{:x}, no other",
                        place.bus, place.slot, place.function
                    ),
                );
            }
        }
        // Whatever kind of address the XML has instead.
        None => match run.topology.reserve(place, Connect::PCI, 0) {
            Ok(()) => device.info.place_pci(place),
            Err(fault) => run.report(fault, device.site, "controller"),
        },
    }
}

/// PIIX3 in slot 1: ISA bridge, IDE, USB, power management. The first display in slot 2.
fn i440fx(run: &mut Run<'_, '_>, devices: &mut Devices) {
    for controller in devices.controllers.iter_mut().filter(|c| c.index() == 0) {
        match (controller.kind, controller.model) {
            (Some(ControllerKind::Ide), _) => fixed(run, controller, at(1, 1), "the primary IDE controller"),
            (Some(ControllerKind::Usb), None | Some(ControllerModel::Piix3Uhci)) => {
                fixed(run, controller, at(1, 2), "the PIIX3 USB controller at index 0");
            }
            _ => {}
        }
    }
    if let Err(fault @ Fault::InUse(_)) = run.topology.reserve(at(1, 0), Connect::PCI, 0) {
        run.report(fault, devices.site, "chipset");
    }
    run.topology.close(0, 1);
    primary_video(run, devices, 2);
}

/// LPC, SATA and SMBus in slot 0x1f; the first display in slot 1; the parts of an ICH9 where real ones are.
fn q35(run: &mut Run<'_, '_>, devices: &mut Devices) {
    for controller in devices.controllers.iter_mut().filter(|c| c.index() == 0) {
        if controller.is(ControllerKind::Sata) {
            fixed(run, controller, at(0x1f, 2), "the primary SATA controller");
        }
    }
    usb2(run, devices);
    for controller in &mut devices.controllers {
        let dmi = controller.is(ControllerKind::Pci) && controller.model == Some(ControllerModel::DmiToPciBridge);
        if dmi && !controller.info.has_address() && !run.topology.slot_used(0, 0x1e) {
            place(run, controller, at(0x1e, 0), Connect::DMI_TO_PCI);
        }
    }
    for function in [0, 3] {
        if let Err(fault @ Fault::InUse(_)) = run.topology.reserve(at(0x1f, function), Connect::PCI, 0) {
            run.report(fault, devices.site, "chipset");
        }
    }
    run.topology.close(0, 0x1f);
    primary_video(run, devices, 1);
    ich9_sound(run, devices);
}

fn place(run: &mut Run<'_, '_>, device: &mut dyn Device, place: PciAddress, connect: Connect) {
    match run.topology.reserve(place, connect, 0) {
        Ok(()) => device.info_mut().place_pci(place),
        Err(fault) => run.report(fault, device.site(), device.family()),
    }
}

/// The first two USB 2 controllers sit at 1d and 1a, as on a real board.
fn usb2(run: &mut Run<'_, '_>, devices: &mut Devices) {
    let mut indexes: Vec<u32> = Vec::new();
    for c in devices.controllers.iter().filter(|c| c.is(ControllerKind::Usb)) {
        if c.model == Some(ControllerModel::Ich9Uhci1) && !c.info.has_address() {
            indexes.push(c.index());
        }
    }
    let mut slots = [0x1d, 0x1a].into_iter().filter(|s| !run.topology.slot_used(0, *s)).collect::<Vec<_>>().into_iter();
    for index in indexes {
        let elsewhere = devices.controllers.iter().any(|c| {
            c.is(ControllerKind::Usb)
                && c.index() == index
                && c.model.and_then(super::companion_function).is_some()
                && c.info.has_address()
        });
        if elsewhere {
            continue;
        }
        let Some(slot) = slots.next() else { return };
        for c in devices.controllers.iter_mut().filter(|c| c.is(ControllerKind::Usb) && c.index() == index) {
            if let Some(function) = c.model.and_then(super::companion_function) {
                let mut here = at(slot, function);
                here.multifunction = (function == 0).then_some(OnOff::On);
                place(run, c, here, Connect::PCI);
            }
        }
    }
}

/// The first display sits in a slot of its own, unless something else is there.
fn primary_video(run: &mut Run<'_, '_>, devices: &mut Devices, slot: u32) {
    let Some(video) = devices.videos.first_mut() else { return };
    let plug = video.plug(run.machine, &run.cx.env);
    if plug == Plug::Nowhere || video.info.has_address() {
        return;
    }
    let connect = run.connect(plug).unwrap_or(Connect::PCI);
    if run.topology.slot_used(0, slot) {
        run.place(video, connect, None);
    } else {
        place(run, video, at(slot, 0), connect);
    }
}

/// The first ICH9 sound device of a Q35 is part of the chipset.
fn ich9_sound(run: &mut Run<'_, '_>, devices: &mut Devices) {
    let Some(sound) = devices.sounds.iter_mut().find(|s| s.model == Some(SoundModel::Ich9)) else { return };
    if !sound.info.has_address() && !run.topology.slot_used(0, 0x1b) {
        place(run, sound, at(0x1b, 0), Connect::PCIE);
    }
}
