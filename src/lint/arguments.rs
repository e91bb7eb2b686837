//! What `<qemu:commandline>` asks for besides the machine.

use crate::device::address::Address;
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::domain::qemu::QemuArg;
use crate::stage::{Cx, Machine};

/// QEMU's devices for PCI, one a line.
const PCI_DEVICES: &str = include_str!("../import/pci-devices.txt");

pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    for (at, arg) in domain.qemu.args.iter().enumerate() {
        let value = domain.qemu.args.get(at + 1);
        match (arg.value.trim_start_matches('-'), value) {
            ("snapshot", _) if arg.value.starts_with('-') => thrown_away(arg, cx),
            ("drive", Some(value)) if option(&value.value, "snapshot") == Some("on") => thrown_away(value, cx),
            ("set", Some(value)) if value.value.starts_with("device.") => set(value, domain, cx),
            ("device", Some(value)) => device(value, domain, machine, cx),
            ("nic", Some(value)) if machine.has_pci_root() || machine.has_pcie_root() => nic(value, cx),
            _ => {}
        }
    }
}

/// An option of a list `a,b=c`. Doubled commas, which stand for one in a value, are not looked into.
fn option<'v>(text: &'v str, key: &str) -> Option<&'v str> {
    text.split(',').filter_map(|part| part.split_once('=')).find(|(k, _)| *k == key).map(|(_, value)| value)
}

fn thrown_away(arg: &QemuArg, cx: &mut Cx<'_>) {
    let message = format!("'{}': what the guest writes is thrown away when it ends", arg.value);
    cx.warn(&codes::SNAPSHOT, arg.site, message).help("remove it, or add <transient/> to the disk that is meant");
}

/// A property of a device that virtc writes.
fn set(arg: &QemuArg, domain: &Domain, cx: &mut Cx<'_>) {
    let Some(id) = arg.value.split('.').nth(1) else { return };
    // A device of the command line itself can be changed.
    if domain.qemu.args.iter().any(|a| option(&a.value, "id") == Some(id) && !a.value.starts_with('{')) {
        return;
    }
    let message =
        format!("-set '{}': devices of the domain are written as JSON, and -set finds none of them", arg.value);
    cx.warn(&codes::SET_ON_JSON, arg.site, message)
        .help(format!("use <qemu:override><qemu:device alias='{id}'><qemu:frontend><qemu:property name='…' …/>"));
}

/// A PCI device in QEMU's older notation: made before those that are written as JSON.
fn device(arg: &QemuArg, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let root = if machine.has_pcie_root() { "pcie.0" } else { "pci.0" };
    if arg.value.starts_with('{') || !(machine.has_pci_root() || machine.has_pcie_root()) {
        return;
    }
    let name = option(&arg.value, "driver").unwrap_or_else(|| arg.value.split(',').next().unwrap_or(""));
    if !PCI_DEVICES.lines().any(|known| known == name) {
        return;
    }
    let bus = option(&arg.value, "bus").unwrap_or(root);
    if bus != root {
        return;
    }
    let Some(address) = option(&arg.value, "addr") else {
        let free = free(domain);
        let message = format!(
            "'{name}' takes the first free slot before the devices of the domain are made, and one of them has it"
        );
        cx.warn(&codes::ARG_ADDRESS_MISSING, arg.site, message)
            .help(format!("give it a slot that is free: {},bus={root},addr={free:#x}", arg.value));
        return;
    };
    let slot = address.split('.').next().unwrap_or(address);
    let slot = u32::from_str_radix(slot.trim_start_matches("0x"), 16).ok();
    if let Some(slot) = slot.filter(|slot| taken(domain).contains(slot)) {
        let free = free(domain);
        let message = format!("'{name}' asks for slot {slot:#x} of {root}, which another device of the domain has");
        cx.warn(&codes::ARG_ADDRESS_TAKEN, arg.site, message).help(format!("use addr={free:#x}"));
    }
}

fn nic(arg: &QemuArg, cx: &mut Cx<'_>) {
    if arg.value.starts_with("none") || option(&arg.value, "addr").is_some() {
        return;
    }
    let message =
        "-nic makes a network card in the first free slot, before the devices of the domain, and one of them has it";
    cx.warn(&codes::ARG_ADDRESS_MISSING, arg.site, message)
        .help("use <interface>, or -netdev and -device with bus= and addr=");
}

/// Slots of the first PCI bus that devices of the domain have.
fn taken(domain: &Domain) -> Vec<u32> {
    let mut slots = Vec::new();
    if let Some(devices) = &domain.devices {
        devices.each(&mut |d| {
            if let Some(Address::Pci(at)) = &d.info().address.address
                && at.bus == 0
            {
                slots.push(at.slot);
            }
        });
    }
    slots
}

/// The last slot of the first PCI bus that nothing has.
fn free(domain: &Domain) -> u32 {
    let taken = taken(domain);
    (1..31).rev().find(|slot| !taken.contains(slot)).unwrap_or(0x1e)
}
