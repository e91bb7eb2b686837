//! Checks of what the guest sees: bus, device, options.

use crate::caps::Cap;
use crate::device::address::{Address, AddressKind};
use crate::device::disk::{Cache, Disk, DiskBus, DiskDevice, DiskModel, IoMode, Sgio};
use crate::device::storage::{Protocol, StartupPolicy, StorageKind};
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::stage::Quirk;
use crate::stage::{Board, Cx, Machine};
use crate::xml::Site;

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
    options(disk, bus, cx);
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
    let Some(kind) = disk.info.address.address.as_ref().map(Address::kind).or(disk.info.address.wanted) else {
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

/// Options that only some buses have.
fn options(disk: &Disk, bus: DiskBus, cx: &mut Cx<'_>) {
    let site = disk.site;
    // QEMU's SATA disks have world-wide names, too; libvirt does not say so.
    let strict = cx.env.behaves(Quirk::NoWwnOnSata);
    let driver = disk.driver.as_ref();
    let target = disk.target.as_ref();
    let guardian = cx.env.is_guardian();
    let passes_over = cx.env.behaves(Quirk::UsbModelOnAnyBus);
    let lun_with_blocks =
        disk.blockio.is_some() && disk.device() == DiskDevice::Lun && !cx.env.behaves(Quirk::LunHasBlockSizes);
    let of_driver = driver.map_or(site, |d| d.site);
    let of_target = target.map_or(site, |t| t.site);
    let env = cx.env;
    // The place of a fault: an attribute, or a child, of an element.
    let mut refuse = |wrong: bool, (site, name): (Site, &str), message: String| {
        if wrong {
            let span = cx.doc.span_in(site, name);
            cx.diags.error(&codes::OPTION, span, message);
        }
    };
    let virtio = bus == DiskBus::Virtio;
    let scsi = bus == DiskBus::Scsi;
    let ata = matches!(bus, DiskBus::Ide | DiskBus::Sata);
    let has = |set: Option<bool>| set.unwrap_or(false) && !virtio;
    refuse(
        has(driver.map(|d| d.queues.is_some())),
        (of_driver, "queues"),
        "queues: a disk on the virtio bus has more than one, others have not".to_string(),
    );
    refuse(
        has(driver.map(|d| d.queue_size.is_some())),
        (of_driver, "queue_size"),
        "queue_size: a disk on the virtio bus has this, others have not".to_string(),
    );
    refuse(
        has(driver.map(|d| d.event_idx.is_some())),
        (of_driver, "event_idx"),
        format!("event_idx: a disk on the virtio bus has this mode, not one on '{bus}'"),
    );
    refuse(
        has(driver.map(|d| d.ioeventfd.is_some())),
        (of_driver, "ioeventfd"),
        format!("ioeventfd: a disk on the virtio bus has this mode, not one on '{bus}'"),
    );
    let other = |get: fn(&crate::device::virtio::VirtioOptions) -> bool| has(driver.map(|d| get(&d.virtio)));
    refuse(
        other(|v| v.iommu.is_some()),
        (of_driver, "iommu"),
        "the driver option iommu is one of virtio devices".to_string(),
    );
    refuse(
        other(|v| v.ats.is_some()),
        (of_driver, "ats"),
        "the driver option ats is one of virtio devices".to_string(),
    );
    refuse(
        other(|v| v.packed.is_some()),
        (of_driver, "packed"),
        "the driver option packed is one of virtio devices".to_string(),
    );
    refuse(
        other(|v| v.page_per_vq.is_some()),
        (of_driver, "page_per_vq"),
        "the driver option page_per_vq is one of virtio devices".to_string(),
    );
    let other_bus = |m: &DiskModel| match m.is_usb() {
        true => bus != DiskBus::Usb && (virtio || !passes_over),
        false => !virtio,
    };
    if let Some(model) = disk.model.filter(other_bus) {
        let of = if model.is_usb() { "USB" } else { "virtio" };
        refuse(
            true,
            (site, "model"),
            format!("<disk model='{model}'>: that is a model of the bus '{of}', and this disk is on '{bus}'"),
        );
    }
    refuse(
        target.is_some_and(|t| t.dpofua.is_some()) && !scsi,
        (of_target, "dpofua"),
        format!("dpofua: a scsi disk has this, and one on '{bus}' has not"),
    );
    refuse(
        lun_with_blocks,
        (site, "blockio"),
        "<blockio> says which blocks the guest sees, and the SCSI device behind device='lun' says that itself"
            .to_string(),
    );
    let statistics = driver.and_then(|d| d.statistics.as_ref());
    refuse(
        statistics.is_some() && !(virtio || scsi || ata || bus == DiskBus::Usb),
        (of_driver, "statistics"),
        format!("<statistics>: QEMU counts nothing for disks on the bus '{bus}'"),
    );
    refuse(
        statistics.is_some_and(|s| s.intervals.iter().any(|i| i.interval == Some(0))),
        (of_driver, "statistics"),
        "<statistic interval>: an interval is 1 second or more".to_string(),
    );
    refuse(
        statistics.is_some_and(|s| {
            s.histograms.iter().enumerate().any(|(i, h)| s.histograms.iter().take(i).any(|o| o.kind == h.kind))
        }),
        (of_driver, "statistics"),
        "<latency-histogram>: there is one for each type of requests".to_string(),
    );
    let bins = |h: &crate::device::disk::driver::Histogram| {
        h.bins.first().and_then(|b| b.start) == Some(0) && h.bins.windows(2).all(|p| p[0].start < p[1].start)
    };
    refuse(
        statistics.is_some_and(|s| !s.histograms.iter().all(bins)),
        (of_driver, "statistics"),
        "<latency-histogram>: the first <bin> starts at 0, and each further one behind the one before".to_string(),
    );
    let migrates = disk.source.reservations.as_ref().is_some_and(|r| r.migration.is_some());
    refuse(
        migrates && !(scsi && disk.device() == DiskDevice::Lun),
        (site, "source"),
        "<reservations migration>: they move with a device='lun' on the bus scsi".to_string(),
    );
    refuse(
        disk.vendor.is_some() && !scsi,
        (site, "vendor"),
        "'vendor': a scsi disk shows one to the guest, others have none".to_string(),
    );
    refuse(
        disk.product.is_some() && !scsi,
        (site, "product"),
        "'product': a scsi disk shows one to the guest, others have none".to_string(),
    );
    refuse(
        disk.wwn.is_some() && !scsi && bus != DiskBus::Ide && (strict || !ata),
        (site, "wwn"),
        "'wwn': ide and scsi disks have a world wide name, others have none".to_string(),
    );
    refuse(
        disk.wwn
            .as_deref()
            .map(|w| w.trim_start_matches("0x"))
            .is_some_and(|w| w.len() != 16 || !w.bytes().all(|b| b.is_ascii_hexdigit())),
        (site, "wwn"),
        format!("malformed wwn: '{}' must consist of 16 hexadecimal digits", disk.wwn.as_deref().unwrap_or("")),
    );
    refuse(
        target.is_some_and(|t| t.rotation_rate.is_some()) && !scsi && !ata,
        (of_target, "rotation_rate"),
        "rotation_rate: disks on scsi, ide and sata have a rate, others have none".to_string(),
    );
    refuse(
        target.is_some_and(|t| t.removable.is_some())
            && (!scsi && bus != DiskBus::Usb || disk.device() == DiskDevice::Cdrom),
        (of_target, "removable"),
        "removable: usb and scsi disks can tell this to the guest, others cannot".to_string(),
    );
    refuse(
        disk.vendor.as_ref().is_some_and(|v| v.len() > 8),
        (site, "vendor"),
        "<vendor> of a disk has room for 8 characters, and this has more".to_string(),
    );
    refuse(
        disk.product.as_ref().is_some_and(|p| p.len() > 16),
        (site, "product"),
        "<product> of a disk has room for 16 characters, and this has more".to_string(),
    );
    let printable = |text: &Option<String>| text.as_ref().is_none_or(|t| t.bytes().all(|b| (0x20..0x7f).contains(&b)));
    refuse(
        !printable(&disk.vendor),
        (site, "vendor"),
        "<vendor> of a disk is printable ASCII, and this string is not".to_string(),
    );
    refuse(
        !printable(&disk.product),
        (site, "product"),
        "<product> of a disk is printable ASCII, and this string is not".to_string(),
    );
    refuse(
        disk.serial.is_some() && bus == DiskBus::Sd,
        (site, "serial"),
        format!("<serial>: a drive on the bus '{bus}' has no such property"),
    );
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"_-.+ ".contains(&b);
    refuse(
        disk.serial.as_ref().is_some_and(|s| !s.bytes().all(fine)),
        (site, "serial"),
        format!(
            "<serial>: '{}' has characters that are unsafe for a driver (letters, digits, blanks, '_', '.', '+' and '-' are fine)",
            disk.serial.as_deref().unwrap_or("")
        ),
    );
    let medium = matches!(disk.device(), DiskDevice::Cdrom | DiskDevice::Floppy);
    refuse(
        target.is_some_and(|t| t.tray.is_some()) && !medium,
        (of_target, "tray"),
        "tray: a cdrom or floppy has one, other disks have not".to_string(),
    );
    refuse(
        target.is_some_and(|t| t.rotation_rate.is_some_and(|r| r > 0)) && disk.device() != DiskDevice::Disk,
        (of_target, "rotation_rate"),
        "rotation_rate: what turns is a disk; this device is none".to_string(),
    );
    refuse(
        ata && disk.is_readonly() && disk.device() == DiskDevice::Disk,
        (site, "readonly"),
        format!("<readonly/>: the bus {bus} knows no readonly disks"),
    );
    refuse(
        disk.source.reservations.is_some() && disk.device() != DiskDevice::Lun,
        (site, "source"),
        "<reservations> are SCSI's, made by the guest of device='lun'".to_string(),
    );
    refuse(
        disk.kind() == StorageKind::Vhostvdpa && !matches!(disk.cache(), Cache::None | Cache::Directsync),
        (of_driver, "cache"),
        format!("QEMU opens a disk of type '{}' without the host's cache: mode 'none' or 'directsync'", disk.kind()),
    );
    if let Some(geometry) = &disk.geometry {
        refuse(
            geometry.cylinders.unwrap_or(0) > 0 && matches!(bus, DiskBus::Usb | DiskBus::Sd),
            (site, "geometry"),
            format!("<geometry>: QEMU takes no CHS geometry on the '{bus}' bus"),
        );
        refuse(
            geometry.translation.is_some() && bus != DiskBus::Ide,
            (site, "geometry"),
            format!("<geometry trans>: the CHS translation mode is set on the 'ide' bus, and this is '{bus}'"),
        );
    }
    if disk.blockio.is_some() {
        refuse(
            disk.device() == DiskDevice::Floppy && guardian || bus == DiskBus::Sd,
            (site, "blockio"),
            format!("block sizes (blockio) are not supported for '{bus}' bus"),
        );
    }
    let native = driver.and_then(|d| d.io) == Some(IoMode::Native);
    refuse(
        native && !matches!(disk.cache(), Cache::None | Cache::Directsync), (of_driver, "io"),
        "io='native' reads around the host's cache: with this cache mode QEMU would fall back to threads (cache='none' or 'directsync' is what native I/O needs)".to_string());
    refuse(
        driver.and_then(|d| d.name.as_deref()).is_some_and(|n| n != "qemu"),
        (of_driver, "name"),
        format!(
            "<driver name='{}'> of disk '{}': the driver of a QEMU disk has the name 'qemu'",
            driver.and_then(|d| d.name.as_deref()).unwrap_or(""),
            disk.dev()
        ),
    );
    let lacks = [
        ("persistent reservations that migrate", migrates, Cap::ScsiBlockMigratePr),
        ("statistics over intervals", statistics.is_some_and(|s| !s.intervals.is_empty()), Cap::DiskTimedStats),
        ("disks on the bus nvme", bus == DiskBus::Nvme, Cap::NvmeNs),
        ("the disk model usb-bot", disk.model == Some(DiskModel::UsbBot), Cap::UsbBot),
    ];
    for (what, _, _) in lacks.iter().filter(|(_, wanted, cap)| *wanted && !env.has(*cap)) {
        cx.error(&codes::NEEDS_QEMU, site, format!("this QEMU binary has no {what}"));
    }
    if statistics.is_some_and(|s| !s.histograms.is_empty()) && cx.env.is_guardian() {
        let message = "<latency-histogram> is set over the monitor once the machine runs: virtc does not do that yet";
        cx.error(&crate::diag::codes::general::NOT_YET, site, message);
    }
    let uring = driver.and_then(|d| d.io) == Some(IoMode::IoUring);
    if uring && !cx.has(Cap::AioIoUring) {
        cx.error(&codes::NEEDS_QEMU, site, "io='io_uring': this QEMU binary was built without io uring");
    }
    if virtio && driver.is_some_and(|d| d.queue_size.is_some()) && !cx.has(Cap::VirtioBlkQueueSize) {
        cx.error(&codes::NEEDS_QEMU, site, "queue_size: this QEMU binary has no such property");
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
    let address = disk.info.address.address.as_ref().map(Address::kind);
    if disk.bus() != Some(DiskBus::Virtio) || !matches!(address, Some(AddressKind::Pci | AddressKind::Ccw) | None) {
        cx.error(&codes::IOTHREAD, site, "IOThreads serve a virtio disk on pci or ccw; this one is elsewhere");
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
