//! Checks of what the guest sees: bus, device, place.

use super::options;
use crate::caps::Cap;
use crate::device::address::{Address, AddressKind};
use crate::device::disk::{Disk, DiskBus, DiskDevice, Sgio};
use crate::device::storage::{Protocol, StartupPolicy, StorageKind};
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::stage::{Board, Cx, Machine, Quirk};

/// Checks bus, device, address and options.
pub fn check(disk: &Disk, machine: &Machine, cx: &mut Cx<'_>) {
    let (dev, device) = (disk.dev(), disk.device());
    let Some(bus) = disk.bus() else { return };
    let site = disk.target.as_ref().map_or(disk.site, |t| t.site);
    name(disk, cx);
    if device == DiskDevice::Floppy && bus != DiskBus::Fdc {
        cx.error_at(&codes::BUS, site, "bus", format!("a floppy disk goes on the bus 'fdc', not '{bus}'"))
            .help("floppies are on the bus 'fdc'");
    }
    if device == DiskDevice::Floppy && !cx.has(Cap::BusFloppy) && cx.env.behaves(Quirk::FloppyNeedsBus) {
        let message = "this QEMU, and so its machine types, does not support floppy devices: it has no floppy bus";
        cx.error(&codes::NEEDS_QEMU, site, message).help("use a CD-ROM drive or a disk");
    }
    if device != DiskDevice::Floppy && bus == DiskBus::Fdc {
        cx.error_at(&codes::BUS, site, "bus", format!("only a floppy goes on the bus '{bus}', no other disk"))
            .help("only floppies are on the bus 'fdc'");
    }
    if matches!(bus, DiskBus::Xen | DiskBus::Uml) {
        cx.error_at(&codes::BUS, site, "bus", format!("this machine has no controller for a disk with bus '{bus}'"))
            .help("QEMU has virtio, scsi, sata, ide, usb, fdc and sd");
    }
    address(disk, bus, cx);
    place_is_there(disk, bus, cx);
    options::check(disk, bus, cx);
    if device == DiskDevice::Lun {
        lun(disk, bus, cx);
    }
    if device == DiskDevice::Cdrom && matches!(bus, DiskBus::Virtio | DiskBus::Sd) {
        let message = format!(
            "disk type of '{dev}' does not support ejectable media: a CD-ROM drive cannot be on the bus '{bus}'"
        );
        cx.error_at(&codes::BUS, site, "bus", message).help("use the bus sata, scsi, ide or usb");
    }
    if bus == DiskBus::Ide && machine.board == Board::Q35 {
        cx.error_at(&codes::BUS, site, "bus", "a disk on the bus 'ide': machines of type q35 have none")
            .help("use the bus sata");
    }
    if disk.sgio == Some(Sgio::Unfiltered) {
        cx.error_at(&codes::OPTION, disk.site, "sgio", "<disk sgio='unfiltered'>: no kernel has unpriv_sgio any more");
    }
    if device != DiskDevice::Lun && (disk.sgio.is_some() || disk.rawio.is_some()) {
        cx.error(
            &codes::OPTION,
            disk.site,
            "rawio and sgio are about SCSI commands of the guest: they go with device='lun'",
        );
    }
    startup(disk, cx);
}

/// The name must fit the device.
fn name(disk: &Disk, cx: &mut Cx<'_>) {
    let dev = disk.dev();
    let Some(target) = &disk.target else { return };
    let starts = |prefixes: &[&str]| prefixes.iter().any(|p| dev.starts_with(p));
    // hda1 is a partition of hda; vd alone is no name at all.
    let number = dev.trim_start_matches(|c: char| c.is_ascii_lowercase());
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && starts(&["hd", "sd", "vd", "xvd"]) {
        let message = format!("<target dev='{dev}'> names a partition; disk targets are whole disks");
        cx.error_at(&codes::NAME, target.site, "dev", message);
    }
    let named = dev.starts_with("nvme") && !cx.env.behaves(Quirk::NoNvmeNames);
    match disk.device() {
        // On another bus it has a name of that bus, which is told already.
        DiskDevice::Floppy if !dev.starts_with("fd") && disk.bus() == Some(DiskBus::Fdc) => {
            cx.error_at(
                &codes::NAME,
                target.site,
                "dev",
                format!("<target dev> of a floppy device begins with fd, and the name is {dev}"),
            );
        }
        DiskDevice::Disk | DiskDevice::Lun if named && crate::device::disk::nvme_place(dev).is_some() => {}
        DiskDevice::Disk | DiskDevice::Lun if named => {
            let message = format!("<target dev='{dev}'>: a namespace is named nvme0n1, without a partition");
            cx.error_at(&codes::NAME, target.site, "dev", message);
        }
        DiskDevice::Disk | DiskDevice::Lun if !starts(&["hd", "sd", "vd", "xvd", "ubd"]) => {
            cx.error_at(
                &codes::NAME,
                target.site,
                "dev",
                format!("{dev} is no device name of a harddisk: hd…, sd…, vd…, xvd… or ubd…"),
            );
        }
        _ => {}
    }
}

/// The address must be one of the bus.
fn address(disk: &Disk, bus: DiskBus, cx: &mut Cx<'_>) {
    let Some(kind) = disk.info.address_kind() else {
        return;
    };
    let fits = match bus {
        DiskBus::Ide | DiskBus::Fdc | DiskBus::Scsi | DiskBus::Sata | DiskBus::Nvme => kind == AddressKind::Drive,
        DiskBus::Virtio => {
            matches!(kind, AddressKind::Pci | AddressKind::Ccw | AddressKind::VirtioMmio | AddressKind::Unassigned)
        }
        DiskBus::Usb => {
            if kind != AddressKind::Usb {
                cx.error(
                    &codes::BUS,
                    disk.info.address_site(),
                    format!("a usb disk has an <address> of type='usb', and '{kind}' is unexpected"),
                )
                .help("remove the <address>, or give it type='usb'");
            }
            true
        }
        _ => true,
    };
    if !fits {
        let (dev, site) = (disk.dev(), disk.info.address_site());
        let message =
            format!("the disk '{dev}' is on the bus '{bus}', and an <address type='{kind}'> is no place there");
        cx.error_at(&codes::BUS, site, "type", message).help("remove the <address>, or give it one of the bus");
    }
    if let (DiskBus::Ide | DiskBus::Sata, Some(Address::Drive(at))) = (bus, &disk.info.address.address)
        && bus == DiskBus::Sata
        && at.bus != 0
    {
        cx.error_at(&codes::BUS, disk.info.address_site(), "bus", "a sata controller has one bus, number 0");
    }
    if let (DiskBus::Scsi, Some(Address::Drive(at))) = (bus, &disk.info.address.address)
        && at.bus != 0
    {
        cx.error_at(&codes::BUS, disk.info.address_site(), "bus", "bus: a SCSI controller has 1, number 0");
    }
    if let (DiskBus::Ide | DiskBus::Sata, Some(Address::Drive(at))) = (bus, &disk.info.address.address)
        && at.target != 0
    {
        let message = "the target must be 0 for an ide controller: unit and bus name the place";
        cx.error_at(&codes::BUS, disk.info.address_site(), "target", message);
    }
    if let (DiskBus::Fdc, Some(Address::Drive(at))) = (bus, &disk.info.address.address) {
        if at.target != 0 || at.bus != 0 {
            let message = "the target and the bus must be 0 for the controller fdc: the unit names the drive";
            cx.error(&codes::BUS, disk.info.address_site(), message);
        } else if at.controller != 0 {
            let message = "the machine has one fdc controller, number 0, with two drives";
            cx.error_at(&codes::BUS, disk.info.address_site(), "controller", message);
        }
    }
}

/// Places that QEMU's controllers have: two disks on each of the two buses of IDE, six ports of SATA. libvirt lets QEMU say so.
fn place_is_there(disk: &Disk, bus: DiskBus, cx: &mut Cx<'_>) {
    let Some(Address::Drive(at)) = disk.info.address.address.as_ref().filter(|_| cx.env.is_guardian()) else { return };
    let (buses, units) = match bus {
        DiskBus::Ide => (2, 2),
        // Another bus than the first is told already.
        DiskBus::Sata => (u32::MAX, 6),
        _ => return,
    };
    let site = disk.info.address_site();
    if at.bus >= buses {
        let message = format!("a controller of '{bus}' has {buses} buses, 0 to {}", buses - 1);
        cx.error_at(&codes::BUS, site, "bus", message).help("remove the <address>, and virtc chooses one");
    } else if at.unit >= units {
        let message = format!("a bus of '{bus}' has {units} units, 0 to {}", units - 1);
        cx.error_at(&codes::BUS, site, "unit", message).help("remove the <address>, and virtc chooses one");
    }
}

/// A SCSI device that is handed through.
fn lun(disk: &Disk, bus: DiskBus, cx: &mut Cx<'_>) {
    let fits = match disk.kind() {
        StorageKind::Block | StorageKind::Volume => true,
        StorageKind::Network => disk.source.network().is_some_and(|n| n.protocol == Some(Protocol::Iscsi)),
        _ => false,
    };
    if !fits {
        let message = format!("disk '{}' improperly configured for a device='lun'", disk.dev());
        cx.error_at(&codes::LUN, disk.site, "device", message)
            .help("its source must be a block device or an iSCSI target");
    }
    if !matches!(bus, DiskBus::Scsi | DiskBus::Virtio) {
        let site = disk.target.as_ref().map_or(disk.site, |t| t.site);
        cx.error_at(&codes::LUN, site, "bus", format!("a disk with device='lun' cannot sit on bus='{bus}'"))
            .help("use <target bus='scsi'/>");
    }
    if bus == DiskBus::Virtio && !cx.has(Cap::VirtioBlkPciScsi) {
        cx.error(
            &codes::NEEDS_QEMU,
            disk.site,
            "<disk device='lun'>: QEMU can't support SCSI emulation with 'virtio-blk'",
        )
        .help("use <target bus='scsi'/>");
    }
    if disk.driver(|d| d.format).is_some_and(|f| f != crate::device::storage::Format::Raw) {
        cx.error_at(
            &codes::LUN,
            disk.driver.as_ref().map_or(disk.site, |d| d.site),
            "type",
            "a SCSI device that is handed through (disk device 'lun', target 'scsi') has no format but 'raw'",
        );
    }
    if let Some(encryption) = disk.encryption() {
        let message = "a disk of device 'lun' hands SCSI commands through: the host doesn't decrypt it (encryption)";
        cx.error(&codes::LUN, encryption.site, message);
    }
    if let Some(what) =
        [(disk.wwn.is_some(), "wwn"), (disk.vendor.is_some() || disk.product.is_some(), "vendor or product")]
            .iter()
            .find_map(|(set, what)| set.then_some(*what))
    {
        cx.error(&codes::LUN, disk.site, format!("{what} of a disk: a 'lun' device shows its own, it can't be set"));
    }
}

fn startup(disk: &Disk, cx: &mut Cx<'_>) {
    let Some(policy) = disk.source.startup else { return };
    let site = disk.source.site;
    if disk.kind() == StorageKind::Network {
        let message = format!(
            "startupPolicy='{policy}' looks whether a file is there, which a disk of type 'network' has not: not allowed"
        );
        cx.error_at(&codes::OPTION, site, "startupPolicy", message);
    }
    if policy == StartupPolicy::Requisite && !matches!(disk.device(), DiskDevice::Cdrom | DiskDevice::Floppy) {
        let message = format!(
            "startupPolicy='{policy}' takes the medium out: a cdrom or floppy can be without, another disk cannot"
        );
        cx.error_at(&codes::OPTION, site, "startupPolicy", message);
    }
}

/// Threads that serve the disk.
pub fn iothreads(disk: &Disk, domain: &Domain, cx: &mut Cx<'_>) {
    let Some(driver) = &disk.driver else { return };
    if driver.iothread.is_none() && driver.iothreads.is_empty() {
        return;
    }
    let site = driver.site;
    if driver.iothread.is_some() && !driver.iothreads.is_empty() {
        cx.error(
            &codes::IOTHREAD,
            site,
            "<driver> of a disk has both the 'iothread' attribute and an 'iothreads' subelement: give one",
        );
    }
    let address = disk.info.address_kind();
    if disk.bus() != Some(DiskBus::Virtio) || !matches!(address, Some(AddressKind::Pci | AddressKind::Ccw) | None) {
        cx.error(&codes::IOTHREAD, site, "IOThreads serve a virtio disk on pci or ccw; this one is elsewhere")
            .help("take bus='virtio', or give the thread to the <driver> of a virtio-scsi controller");
    }
    if !driver.iothreads.is_empty() && !cx.has(Cap::VirtioBlkIothreadMapping) {
        cx.error(
            &codes::NEEDS_QEMU,
            site,
            "<iothreads>: this QEMU binary knows one IOThread a disk, and no mapping of queues",
        );
    }
    let defined = |id: u32| domain.all_iothreads.iter().any(|t| t.id == Some(id));
    for (id, site) in
        driver.iothread.iter().map(|id| (*id, site)).chain(driver.iothreads.iter().map(|t| (t.id.unwrap_or(0), t.site)))
    {
        if !defined(id) {
            cx.error(&codes::IOTHREAD, site, format!("a disk wants iothread '{id}', and neither <iothreads> nor an <iothread> in <iothreadids> defines it"))
                .help("define it: <iothreads>N</iothreads> makes those from 1 to N");
        }
    }
    if driver.queues.is_none() && driver.iothreads.iter().any(|t| !t.queues.is_empty()) {
        let message = "queues by iothread are listed one by one: the 'queues' of <driver> have to be counted, too";
        cx.error(&codes::IOTHREAD, site, message).help("add queues='…' to <driver>");
    }
    let mut seen = Vec::new();
    let mut queues = Vec::new();
    for thread in &driver.iothreads {
        let id = thread.id.unwrap_or(0);
        if seen.contains(&id) {
            cx.error(
                &codes::IOTHREAD,
                thread.site,
                format!("<iothreads> lists iothread '{id}' twice (duplicate mapping)"),
            );
        }
        seen.push(id);
        for queue in &thread.queues {
            let number = queue.id.unwrap_or(0);
            if queues.contains(&number) {
                cx.error(&codes::IOTHREAD, queue.site, format!("duplicate queue '{number}' in the iothread mapping"));
            }
            queues.push(number);
            if driver.queues.is_some_and(|n| number >= n) {
                let count = driver.queues.unwrap_or(0);
                let message =
                    format!("the mapping of disk iothread queue '{number}' is out of range: there are {count} queues");
                cx.error(&codes::IOTHREAD, queue.site, message);
            }
        }
    }
    let with = driver.iothreads.iter().filter(|t| !t.queues.is_empty()).count();
    if with != 0 && with != driver.iothreads.len() {
        cx.error(&codes::IOTHREAD, site, "either all iothreads or none name their queues in the mapping");
    }
}
