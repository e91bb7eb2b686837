//! Checks of what the guest sees: bus, device, options.

use crate::caps::Cap;
use crate::device::address::{Address, AddressKind};
use crate::device::disk::{Cache, Disk, DiskBus, DiskDevice, IoMode, Sgio};
use crate::device::storage::{Protocol, StartupPolicy, StorageKind};
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::resolve::{Board, Cx, Machine};

/// Checks bus, device, address and options.
pub fn check(disk: &Disk, machine: &Machine, cx: &mut Cx<'_>) {
    let (dev, device) = (disk.dev(), disk.device());
    let Some(bus) = disk.bus() else { return };
    let site = disk.target.as_ref().map_or(disk.site, |t| t.site);
    name(disk, cx);
    if device == DiskDevice::Floppy && bus != DiskBus::Fdc {
        cx.error_at(&codes::BUS, site, "bus", format!("invalid bus type '{bus}' for floppy disk"))
            .help("floppies are on the bus 'fdc'");
    }
    if device != DiskDevice::Floppy && bus == DiskBus::Fdc {
        cx.error_at(&codes::BUS, site, "bus", format!("invalid bus type '{bus}' for disk"))
            .help("only floppies are on the bus 'fdc'");
    }
    if matches!(bus, DiskBus::Xen | DiskBus::Uml | DiskBus::None) {
        cx.error_at(&codes::BUS, site, "bus", format!("unsupported disk bus '{bus}' with device setup"))
            .help("QEMU has virtio, scsi, sata, ide, usb, fdc and sd");
    }
    address(disk, bus, cx);
    options(disk, bus, cx);
    if device == DiskDevice::Lun {
        lun(disk, bus, cx);
    }
    if device == DiskDevice::Cdrom && matches!(bus, DiskBus::Virtio | DiskBus::Sd) {
        let message = format!(
            "disk type of '{dev}' does not support ejectable media: a CD-ROM drive cannot be on the bus '{bus}'"
        );
        cx.error(&codes::BUS, disk.site, message).help("use the bus sata, scsi, ide or usb");
    }
    if bus == DiskBus::Ide && machine.board == Board::Q35 {
        cx.error_at(&codes::BUS, site, "bus", "IDE controllers are unsupported for q35 machines")
            .help("use the bus sata");
    }
    if disk.sgio == Some(Sgio::Unfiltered) {
        cx.error_at(
            &codes::OPTION,
            disk.site,
            "sgio",
            "unfiltered sgio is not supported by kernels any more: unpriv_sgio",
        );
    }
    if device != DiskDevice::Lun && (disk.sgio.is_some() || disk.rawio.is_some()) {
        cx.error(&codes::OPTION, disk.site, "rawio or sgio can be used only with device='lun'");
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
        let message = format!("invalid disk target '{dev}', partitions can't appear in disk targets");
        cx.error_at(&codes::NAME, target.site, "dev", message);
    }
    match disk.device() {
        DiskDevice::Floppy if !dev.starts_with("fd") => {
            cx.error_at(&codes::NAME, target.site, "dev", format!("invalid floppy device name: {dev}"));
        }
        DiskDevice::Disk | DiskDevice::Lun if !starts(&["hd", "sd", "vd", "xvd", "ubd"]) => {
            cx.error_at(&codes::NAME, target.site, "dev", format!("invalid harddisk device name: {dev}"));
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
        DiskBus::Ide | DiskBus::Fdc | DiskBus::Scsi | DiskBus::Sata => kind == AddressKind::Drive,
        DiskBus::Virtio => {
            matches!(kind, AddressKind::Pci | AddressKind::Ccw | AddressKind::VirtioMmio | AddressKind::Unassigned)
        }
        DiskBus::Usb => {
            if kind != AddressKind::Usb {
                cx.error(
                    &codes::BUS,
                    disk.info.address_site(),
                    format!("unexpected address type for usb disk: '{kind}'"),
                )
                .help("remove the <address>, or give it type='usb'");
            }
            true
        }
        _ => true,
    };
    if !fits {
        let (dev, site) = (disk.dev(), disk.info.address_site());
        let message = format!("invalid address type '{kind}' for the disk '{dev}' with the bus type '{bus}'");
        cx.error_at(&codes::BUS, site, "type", message).help("remove the <address>, or give it one of the bus");
    }
    if let (DiskBus::Ide | DiskBus::Sata, Some(Address::Drive(at))) = (bus, &disk.info.address.address)
        && bus == DiskBus::Sata
        && at.bus != 0
    {
        cx.error_at(&codes::BUS, disk.info.address_site(), "bus", "the bus must be 0 for a sata controller");
    }
    if let (DiskBus::Scsi, Some(Address::Drive(at))) = (bus, &disk.info.address.address)
        && at.bus != 0
    {
        cx.error_at(
            &codes::BUS,
            disk.info.address_site(),
            "bus",
            "a SCSI controller only supports 1 bus: it must be 0",
        );
    }
    if let (DiskBus::Ide | DiskBus::Sata, Some(Address::Drive(at))) = (bus, &disk.info.address.address)
        && at.target != 0
    {
        let message = "the target must be 0 for an ide controller: unit and bus name the place";
        cx.error_at(&codes::BUS, disk.info.address_site(), "target", message);
    }
}

/// Options that only some buses have.
fn options(disk: &Disk, bus: DiskBus, cx: &mut Cx<'_>) {
    let site = disk.site;
    let driver = disk.driver.as_ref();
    let target = disk.target.as_ref();
    let mut refuse = |wrong: bool, message: String| {
        if wrong {
            cx.error(&codes::OPTION, site, message);
        }
    };
    let virtio = bus == DiskBus::Virtio;
    let scsi = bus == DiskBus::Scsi;
    let ata = matches!(bus, DiskBus::Ide | DiskBus::Sata);
    let has = |set: Option<bool>| set.unwrap_or(false) && !virtio;
    refuse(
        has(driver.map(|d| d.queues.is_some())),
        "queues attribute in disk driver element is only supported by the virtio bus".to_string(),
    );
    refuse(
        has(driver.map(|d| d.queue_size.is_some())),
        "queue_size attribute in disk driver is only supported with the virtio bus".to_string(),
    );
    refuse(
        has(driver.map(|d| d.event_idx.is_some())),
        format!("disk event_idx mode supported only for virtio bus, not '{bus}'"),
    );
    refuse(
        has(driver.map(|d| d.ioeventfd.is_some())),
        format!("disk ioeventfd mode supported only for virtio bus, not '{bus}'"),
    );
    let other = |get: fn(&crate::device::virtio::VirtioOptions) -> bool| has(driver.map(|d| get(&d.virtio)));
    refuse(other(|v| v.iommu.is_some()), "iommu driver option is only supported for virtio devices".to_string());
    refuse(other(|v| v.ats.is_some()), "ats driver option is only supported for virtio devices".to_string());
    refuse(other(|v| v.packed.is_some()), "packed driver option is only supported for virtio devices".to_string());
    refuse(
        other(|v| v.page_per_vq.is_some()),
        "page_per_vq driver option is only supported for virtio devices".to_string(),
    );
    if let Some(model) = disk.model.filter(|_| !virtio) {
        refuse(
            true,
            format!("the disk model '{model}' is not supported for the bus '{bus}': it is one of the virtio bus"),
        );
    }
    refuse(disk.vendor.is_some() && !scsi, "only a scsi disk supports 'vendor'".to_string());
    refuse(disk.product.is_some() && !scsi, "only a scsi disk supports 'product'".to_string());
    refuse(disk.wwn.is_some() && !scsi && !ata, "only ide and scsi disks support 'wwn'".to_string());
    refuse(
        disk.wwn
            .as_deref()
            .map(|w| w.trim_start_matches("0x"))
            .is_some_and(|w| w.len() != 16 || !w.bytes().all(|b| b.is_ascii_hexdigit())),
        format!("malformed wwn: '{}' must consist of 16 hexadecimal digits", disk.wwn.as_deref().unwrap_or("")),
    );
    refuse(
        target.is_some_and(|t| t.rotation_rate.is_some()) && !scsi && !ata,
        "rotation rate is only valid for scsi, ide and sata disks".to_string(),
    );
    refuse(
        target.is_some_and(|t| t.removable.is_some()) && !scsi && bus != DiskBus::Usb,
        "removable is only valid for usb or scsi disks".to_string(),
    );
    refuse(disk.vendor.as_ref().is_some_and(|v| v.len() > 8), "disk vendor is more than 8 characters".to_string());
    refuse(disk.product.as_ref().is_some_and(|p| p.len() > 16), "disk product is more than 16 characters".to_string());
    let printable = |text: &Option<String>| text.as_ref().is_none_or(|t| t.bytes().all(|b| (0x20..0x7f).contains(&b)));
    refuse(!printable(&disk.vendor), "disk vendor is not a printable string".to_string());
    refuse(!printable(&disk.product), "disk product is not a printable string".to_string());
    refuse(disk.serial.is_some() && bus == DiskBus::Sd, format!("serial property not supported for drive bus '{bus}'"));
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"_-.+ ".contains(&b);
    refuse(
        disk.serial.as_ref().is_some_and(|s| !s.bytes().all(fine)),
        format!("driver serial '{}' contains unsafe characters", disk.serial.as_deref().unwrap_or("")),
    );
    let medium = matches!(disk.device(), DiskDevice::Cdrom | DiskDevice::Floppy);
    refuse(target.is_some_and(|t| t.tray.is_some()) && !medium, "tray is only valid for cdrom and floppy".to_string());
    refuse(
        target.is_some_and(|t| t.rotation_rate.is_some_and(|r| r > 0)) && disk.device() != DiskDevice::Disk,
        "the rotation rate is only valid for a disk device".to_string(),
    );
    refuse(
        ata && disk.is_readonly() && disk.device() == DiskDevice::Disk,
        format!("readonly {bus} disks are not supported"),
    );
    refuse(
        disk.source.reservations.is_some() && disk.device() != DiskDevice::Lun,
        "<reservations/> are allowed only for lun devices".to_string(),
    );
    refuse(
        disk.kind() == StorageKind::VhostVdpa && !matches!(disk.cache(), Cache::None | Cache::Directsync),
        format!("the disk type '{}' requires the cache mode 'directsync' or 'none'", disk.kind()),
    );
    if let Some(geometry) = &disk.geometry {
        refuse(
            geometry.cylinders.unwrap_or(0) > 0 && matches!(bus, DiskBus::Usb | DiskBus::Sd),
            format!("CHS geometry can not be set for '{bus}' bus"),
        );
        refuse(
            geometry.translation.is_some() && bus != DiskBus::Ide,
            format!("CHS translation mode can only be set for 'ide' bus not '{bus}'"),
        );
    }
    if disk.blockio.is_some() {
        refuse(
            disk.device() == DiskDevice::Floppy || bus == DiskBus::Sd,
            format!("block sizes (blockio) are not supported for '{bus}' bus"),
        );
    }
    let native = driver.and_then(|d| d.io) == Some(IoMode::Native);
    refuse(
        native && !matches!(disk.cache(), Cache::None | Cache::Directsync),
        "native I/O needs either no disk cache or directsync cache mode, QEMU will fallback to aio=threads".to_string(),
    );
    refuse(
        driver.and_then(|d| d.name.as_deref()).is_some_and(|n| n != "qemu"),
        format!(
            "unsupported driver name '{}' for disk '{}'",
            driver.and_then(|d| d.name.as_deref()).unwrap_or(""),
            disk.dev()
        ),
    );
    let uring = driver.and_then(|d| d.io) == Some(IoMode::IoUring);
    if uring && !cx.has(Cap::AioIoUring) {
        cx.error(&codes::NEEDS_QEMU, site, "io uring is not supported by this QEMU binary");
    }
    if virtio && driver.is_some_and(|d| d.queue_size.is_some()) && !cx.has(Cap::VirtioBlkQueueSize) {
        cx.error(&codes::NEEDS_QEMU, site, "queue_size property isn't supported by this QEMU binary");
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
        cx.error(&codes::LUN, disk.site, format!("disk '{}' improperly configured for a device='lun'", disk.dev()))
            .help("its source must be a block device or an iSCSI target");
    }
    if !matches!(bus, DiskBus::Scsi | DiskBus::Virtio) {
        cx.error(&codes::LUN, disk.site, format!("disk device='lun' is not supported for bus='{bus}'"))
            .help("use <target bus='scsi'/>");
    }
    if bus == DiskBus::Virtio && !cx.has(Cap::VirtioBlkPciScsi) {
        cx.error(
            &codes::NEEDS_QEMU,
            disk.site,
            "device='lun': this QEMU can't support SCSI emulation with 'virtio-blk'",
        )
        .help("use <target bus='scsi'/>");
    }
    if disk.driver(|d| d.format).is_some_and(|f| f != crate::device::storage::Format::Raw) {
        cx.error(&codes::LUN, disk.site, "disk device 'lun' using target 'scsi' must use 'raw' format");
    }
    if let Some(what) =
        [(disk.wwn.is_some(), "wwn"), (disk.vendor.is_some() || disk.product.is_some(), "vendor or product")]
            .iter()
            .find_map(|(set, what)| set.then_some(*what))
    {
        cx.error(&codes::LUN, disk.site, format!("setting disk {what} is not supported for disk with 'lun' device"));
    }
}

fn startup(disk: &Disk, cx: &mut Cx<'_>) {
    let Some(policy) = disk.source.startup else { return };
    let site = disk.source.site;
    if disk.kind() == StorageKind::Network {
        let message = format!("setting disk startupPolicy '{policy}' is not allowed for disk of network type");
        cx.error_at(&codes::OPTION, site, "startupPolicy", message);
    }
    if policy == StartupPolicy::Requisite && !matches!(disk.device(), DiskDevice::Cdrom | DiskDevice::Floppy) {
        let message = format!("setting disk startupPolicy '{policy}' is only allowed for cdrom or floppy");
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
            "disk driver 'iothread' attribute can't be used together with 'iothreads' subelement",
        );
    }
    let address = disk.info.address.address.as_ref().map(Address::kind);
    if disk.bus() != Some(DiskBus::Virtio) || !matches!(address, Some(AddressKind::Pci | AddressKind::Ccw) | None) {
        cx.error(&codes::IOTHREAD, site, "IOThreads are only available for virtio pci and virtio ccw disk");
    }
    if !driver.iothreads.is_empty() && !cx.has(Cap::VirtioBlkIothreadMapping) {
        cx.error(&codes::NEEDS_QEMU, site, "IOThread mapping for disk is not available with this QEMU binary");
    }
    let defined = |id: u32| domain.all_iothreads.iter().any(|t| t.id == Some(id));
    for (id, site) in
        driver.iothread.iter().map(|id| (*id, site)).chain(driver.iothreads.iter().map(|t| (t.id.unwrap_or(0), t.site)))
    {
        if !defined(id) {
            cx.error(&codes::IOTHREAD, site, format!("disk iothread '{id}' is not defined in iothreadid"))
                .help("define it: <iothreads>N</iothreads> makes those from 1 to N");
        }
    }
    if driver.queues.is_none() && driver.iothreads.iter().any(|t| !t.queues.is_empty()) {
        let message = "the 'queue' count must be configured for an explicit iothread to queue mapping";
        cx.error(&codes::IOTHREAD, site, message).help("add queues='…' to <driver>");
    }
    let mut seen = Vec::new();
    let mut queues = Vec::new();
    for thread in &driver.iothreads {
        let id = thread.id.unwrap_or(0);
        if seen.contains(&id) {
            cx.error(&codes::IOTHREAD, thread.site, format!("duplicate mapping for iothread '{id}'"));
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
