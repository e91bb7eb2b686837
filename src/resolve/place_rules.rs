//! Checks of the places that the XML gives to devices, whatever the device is.

use crate::caps::Cap;
use crate::device::address::AddressKind;
use crate::device::console::Console;
use crate::device::disk::Disk;
use crate::device::hostdev::Hostdev;
use crate::device::smartcard::Smartcard;
use crate::device::{Device, Devices};
use crate::diag::Span;
use crate::diag::codes::{address as codes, general as support};
use crate::stage::{Cx, Machine};
use crate::xml::Site;
use std::collections::BTreeMap;

/// Checks type and extras of every address, and that no id is taken twice.
pub fn check(devices: &Devices, machine: &Machine, cx: &mut Cx<'_>) {
    devices.each(&mut |device| place(device, machine, cx));
    ids(devices, cx);
}

/// QEMU knows devices by their ids: it refuses a second of the same, be it an alias of the user's or one that
/// a device gets by itself.
fn ids(devices: &Devices, cx: &mut Cx<'_>) {
    // The parts of a USB 2 controller are one, and so are a serial port and the console that stands for it.
    let parts: Vec<Site> = devices.controllers.iter().filter(|c| c.is_ich9()).map(|c| c.site).collect();
    let mut seen: BTreeMap<&str, (Span, bool)> = BTreeMap::new();
    let mut twice: Vec<(Span, Span, &str)> = Vec::new();
    devices.each(&mut |device| {
        let info = device.info();
        let (own, site) = (info.alias.user.is_some(), device.site());
        if info.id.is_empty() || parts.contains(&site) && !own || device.is::<Console>() {
            return;
        }
        let span = if own { cx.doc.span_of_child(site, "alias") } else { cx.span(site) };
        match seen.get(info.id.as_str()) {
            Some((first, first_own)) if own || *first_own => twice.push((*first, span, info.id.as_str())),
            _ => drop(seen.insert(&info.id, (span, own))),
        }
    });
    for (one, two, id) in twice {
        let message = format!("two devices have the id '{id}': an alias names one device, and QEMU refuses a second");
        cx.twice(&codes::ALIAS, one, two, message).help("give one of them another <alias name='ua-…'/>");
    }
}

fn place(device: &dyn Device, machine: &Machine, cx: &mut Cx<'_>) {
    let (info, family) = (device.info(), device.family());
    let Some(kind) = info.address_kind() else { return };
    let site = info.address_site();
    let of_host = device.is::<Hostdev>();
    if kind == AddressKind::Ccw && !machine.arch.is_s390() {
        let machine = &machine.name;
        cx.error(
            &codes::KIND,
            site,
            format!("a machine of type '{machine}' has no CCW addresses: they are not supported"),
        )
        .help("remove the <address>, and virtc chooses one");
    }
    if kind == AddressKind::Unassigned && !of_host {
        let message = if device.is::<Disk>() {
            "<address type='unassigned'> leaves a device out of the machine, and a virtio disk has to be in it"
                .to_string()
        } else {
            format!(
                "an address of type 'unassigned' keeps a host device from the guest; a {family} has to have a place"
            )
        };
        cx.error(&codes::KIND, site, message);
    }
    if device.is::<Smartcard>() && kind != AddressKind::Ccid {
        let message = "a smart card must use the 'ccid' address type: its controllers have no other places";
        cx.error(&codes::KIND, site, message);
    }
    let on_pci = matches!(kind, AddressKind::Pci | AddressKind::Unassigned);
    if let Some(acpi) = info.acpi.as_ref().filter(|a| a.nodeset.is_some() && !cx.has(Cap::AcpiGenericInitiator)) {
        let message = "<acpi nodeset>: this QEMU binary has no initiators of access";
        cx.error_at(&crate::diag::codes::general::NOT_BY_QEMU, acpi.site, "nodeset", message);
    }
    if let Some(acpi) = info.acpi.as_ref().filter(|a| a.index.is_some() && !on_pci) {
        cx.error(&support::NOT_PCI, acpi.site, "<acpi index>: only a PCI device has one, and this device is none");
    }
    if let Some(rom) = info.rom.as_ref().filter(|_| !on_pci) {
        cx.error(&support::NOT_PCI, rom.site, "<rom>: only a PCI device has an option ROM, and this device is none");
    }
}
