//! The `-device` of a disk.

use crate::caps::Cap;
use crate::device::address::{Address, DriveAddress};
use crate::device::controller::{ControllerKind, ControllerModel};
use crate::device::disk::driver::{ErrorPolicy, HistogramKind, ReadErrorPolicy};
use crate::device::disk::{Disk, DiskBus, DiskDevice, DiskModel, Translation};
use crate::plan::{Histogram, Prop, Props, Requests};
use crate::stage::Lower;
use crate::stage::mapping;
use crate::stage::{Board, Quirk};
use crate::vocab::{OnOff, YesNo};

/// What serves the drive.
pub enum Backend {
    /// Nothing: the drive is empty.
    None,
    /// This block node.
    Drive(String),
    /// A vhost-user backend behind this character device.
    Chardev(String),
}

/// Adds the `-device`.
pub fn add(disk: &Disk, backend: Backend, lx: &mut Lower<'_>) {
    let Some(bus) = disk.bus() else { return };
    let mut device_id = None;
    let mut removable = None;
    let target_removable = disk.target.as_ref().and_then(|t| t.removable).map(OnOff::is_on);
    let mut props = match bus {
        DiskBus::Ide | DiskBus::Sata => {
            Props::driver(if disk.device() == DiskDevice::Cdrom { "ide-cd" } else { "ide-hd" })
        }
        DiskBus::Scsi => {
            if disk.device() != DiskDevice::Lun {
                removable = target_removable;
                // The name of the drive once served as its identification; it stays so for the guest's sake.
                device_id = Some(disk.serial.clone().unwrap_or_else(|| format!("drive-{}", disk.info.id)));
            }
            Props::driver(match disk.device() {
                DiskDevice::Lun => "scsi-block",
                DiskDevice::Cdrom => "scsi-cd",
                _ => "scsi-hd",
            })
        }
        DiskBus::Virtio => virtio(disk, &backend, lx),
        DiskBus::Usb if disk.model == Some(DiskModel::UsbBot) => return usb_bot(disk, backend, lx),
        DiskBus::Nvme => Props::driver("nvme-ns"),
        DiskBus::Usb => {
            removable = Some(target_removable.unwrap_or(false));
            Props::driver("usb-storage")
        }
        DiskBus::Fdc => Props::driver("floppy"),
        DiskBus::Xen | DiskBus::Uml | DiskBus::Sd => return,
    };
    place(&mut props, disk, lx);
    props.maybe("device_id", device_id);
    if disk.shareable {
        props.set("share-rw", true);
    }
    match backend {
        Backend::None => {}
        Backend::Drive(node) => {
            props.set("drive", node);
        }
        Backend::Chardev(id) => {
            props.set("chardev", id);
        }
    }
    props.set("id", disk.info.id.clone());
    if bus != DiskBus::Fdc {
        // The boot order of floppies stands at their controller.
        lx.boot(&mut props, &disk.info);
    }
    let blockio = disk.blockio.as_ref();
    props.maybe("logical_block_size", blockio.and_then(|b| b.logical).filter(|n| *n > 0));
    props.maybe("physical_block_size", blockio.and_then(|b| b.physical).filter(|n| *n > 0));
    props.maybe("discard_granularity", blockio.and_then(|b| b.discard));
    props.maybe("wwn", disk.wwn.as_deref().and_then(|w| u64::from_str_radix(w.trim_start_matches("0x"), 16).ok()));
    let target = disk.target.as_ref();
    props.maybe("rotation_rate", target.and_then(|t| t.rotation_rate).filter(|r| *r > 0));
    props.maybe("vendor", disk.vendor.clone()).maybe("product", disk.product.clone());
    props.maybe("removable", removable);
    props.maybe("write-cache", disk.write_cache());
    geometry(&mut props, disk);
    // That of a namespace is its controller's.
    props.maybe("serial", serial(disk, lx).filter(|_| bus != DiskBus::Nvme));
    props.maybe("dpofua", target.and_then(|t| t.dpofua).map(OnOff::is_on));
    tail(&mut props, disk);
    lx.device(props, disk);
    histograms(disk, lx);
}

/// What QEMU counts of the time that requests take. No property says it: the monitor does, so that a parent looks after it itself.
fn histograms(disk: &Disk, lx: &mut Lower<'_>) {
    if lx.env.has_parent() {
        return;
    }
    let id = &disk.info.id;
    // What serves the requests is behind the device that has the name.
    let device = match disk.bus() {
        Some(DiskBus::Virtio) => format!("/machine/peripheral/{id}/virtio-backend"),
        Some(DiskBus::Usb) if disk.model == Some(DiskModel::UsbBot) => format!("{id}-device"),
        Some(DiskBus::Usb) => format!("/machine/peripheral/{id}/{id}.0/legacy[0]"),
        _ => id.clone(),
    };
    let mut all = Vec::new();
    for histogram in disk.driver.iter().flat_map(|d| &d.statistics).flat_map(|s| &s.histograms) {
        let requests = match histogram.kind {
            None => Requests::All,
            Some(HistogramKind::Read) => Requests::Read,
            Some(HistogramKind::Write) => Requests::Write,
            Some(HistogramKind::Zone) => Requests::Zone,
            Some(HistogramKind::Flush) => Requests::Flush,
        };
        let boundaries = histogram.bins.iter().skip(1).filter_map(|b| b.start).collect();
        let cause = lx.cause(histogram.site, "latency histogram");
        all.push(Histogram { device: device.clone(), requests, boundaries, cause });
    }
    // One of all requests would replace those that come before it.
    all.sort_by_key(|h| h.requests != Requests::All);
    lx.plan.histograms.append(&mut all);
}

/// What every device has at the end.
fn tail(props: &mut Props, disk: &Disk) {
    let (write, read) = error_policies(disk);
    props.maybe("werror", write).maybe("rerror", read);
    let migration = disk.source.reservations.as_ref().and_then(|r| r.migration);
    props.maybe("migrate-pr", migration.map(YesNo::is_yes));
    let intervals = disk.driver.iter().flat_map(|d| &d.statistics).flat_map(|s| &s.intervals);
    let intervals: Vec<Prop> = intervals.filter_map(|s| s.interval).map(Prop::from).collect();
    if !intervals.is_empty() {
        props.set("stats-intervals", intervals);
    }
}

/// A USB bridge with one SCSI disk or CD-ROM drive behind it.
fn usb_bot(disk: &Disk, backend: Backend, lx: &mut Lower<'_>) {
    let id = &disk.info.id;
    let mut bridge = Props::driver("usb-bot");
    bridge.set("id", id.clone());
    lx.address(&mut bridge, &disk.info);
    lx.device(bridge, disk);
    let mut props = Props::driver(if disk.device() == DiskDevice::Cdrom { "scsi-cd" } else { "scsi-hd" });
    props.set("bus", format!("{id}.0")).set("scsi-id", 0u32).set("lun", 0u32);
    if disk.shareable {
        props.set("share-rw", true);
    }
    if let Backend::Drive(node) = backend {
        props.set("drive", node);
    }
    props.set("id", format!("{id}-device"));
    lx.boot(&mut props, &disk.info);
    let blockio = disk.blockio.as_ref();
    props.maybe("logical_block_size", blockio.and_then(|b| b.logical));
    props.maybe("physical_block_size", blockio.and_then(|b| b.physical));
    props.maybe("discard_granularity", blockio.and_then(|b| b.discard));
    props.maybe("removable", disk.target.as_ref().and_then(|t| t.removable).map(OnOff::is_on));
    props.maybe("write-cache", disk.write_cache()).maybe("serial", serial(disk, lx));
    tail(&mut props, disk);
    lx.device(props, disk);
    histograms(disk, lx);
}

/// The serial number as the guest sees it.
fn serial(disk: &Disk, lx: &Lower<'_>) -> Option<String> {
    let serial = disk.serial.as_deref()?;
    let escaped = lx.env.behaves(Quirk::SpacesOfSerialEscaped);
    Some(if escaped { serial.replace(' ', "\\ ") } else { serial.to_string() })
}

fn virtio(disk: &Disk, backend: &Backend, lx: &mut Lower<'_>) -> Props {
    let base = if matches!(backend, Backend::Chardev(_)) { "vhost-user-blk" } else { "virtio-blk" };
    let variant = disk.virtio_model().suffix();
    let mut props = Props::driver(lx.virtio_driver(base, &disk.info, variant));
    let Some(driver) = &disk.driver else { return props };
    driver.virtio.lower(&mut props, lx);
    props.maybe("iothread", driver.iothread.map(|id| format!("iothread{id}")));
    mapping::lower(crate::device::disk::mapping::EVENTS, driver, &mut props);
    // SCSI requests of the guest used to be passed on by default.
    if disk.device() == DiskDevice::Lun {
        props.set("scsi", true);
    } else if lx.has(Cap::VirtioBlkPciScsi) && !lx.has(Cap::VirtioBlkPciScsiDefaultDisabled) {
        props.set("scsi", false);
    }
    props.maybe("num-queues", driver.queues.filter(|q| *q > 0));
    props.maybe("queue-size", driver.queue_size.filter(|q| *q > 0));
    props.maybe("iothread-vq-mapping", lx.queues_of_iothreads(&driver.iothreads));
    props
}

fn geometry(props: &mut Props, disk: &Disk) {
    let Some(geometry) = &disk.geometry else { return };
    let (cylinders, heads, sectors) = (geometry.cylinders, geometry.heads, geometry.sectors);
    if let (Some(cylinders), Some(heads), Some(sectors)) = (cylinders, heads, sectors)
        && cylinders > 0
        && heads > 0
        && sectors > 0
    {
        props.set("cyls", cylinders).set("heads", heads).set("secs", sectors);
    }
    props.maybe("bios-chs-trans", geometry.translation.map(Translation::as_str));
}

/// What happens after a failed write, and after a failed read.
fn error_policies(disk: &Disk) -> (Option<&'static str>, Option<&'static str>) {
    let write = disk.driver(|d| d.error_policy);
    let read = disk.driver(|d| d.read_error_policy).map(ReadErrorPolicy::as_str);
    match write {
        // Full disks stop the guest; other faults of writing, and all of reading, are QEMU's to decide.
        Some(ErrorPolicy::Enospace) => (Some("enospc"), read),
        // One policy serves for both, unless reading has its own.
        Some(policy) => (Some(policy.as_str()), read.or(Some(policy.as_str()))),
        None => (None, read),
    }
}

/// Adds the place of a disk on its bus.
fn place(props: &mut Props, disk: &Disk, lx: &Lower<'_>) {
    let Some(Address::Drive(at)) = &disk.info.address.address else {
        lx.address(props, &disk.info);
        return;
    };
    match disk.bus() {
        Some(DiskBus::Ide) => {
            // The controller is the board's: whatever the XML calls it, QEMU calls it so.
            props.set("bus", format!("ide.{}", at.bus)).set("unit", at.unit);
        }
        Some(DiskBus::Sata) => {
            let of_board = lx.machine.board == Board::Q35 && at.controller == 0;
            let id = if of_board { "ide".to_string() } else { lx.controller_id(ControllerKind::Sata, at.controller) };
            props.set("bus", format!("{id}.{}", at.unit));
        }
        Some(DiskBus::Scsi) => {
            let id = lx.controller_id(ControllerKind::Scsi, at.controller);
            props.set("bus", format!("{id}.{}", at.bus));
            // A narrow bus has targets without further units: the unit of the format is the target.
            if scsi_model(at, lx).is_some_and(ControllerModel::is_narrow) {
                props.set("scsi-id", at.unit);
            } else {
                props.set("channel", 0u32).set("scsi-id", at.target).set("lun", at.unit);
            }
        }
        Some(DiskBus::Nvme) => {
            props.set("bus", lx.controller_id(ControllerKind::Nvme, at.controller)).set("nsid", at.unit + 1);
        }
        Some(DiskBus::Fdc) => {
            props.set("unit", at.unit);
        }
        _ => {}
    }
}

fn scsi_model(at: &DriveAddress, lx: &Lower<'_>) -> Option<ControllerModel> {
    let mut controllers = lx.devices.controllers.iter();
    controllers.find(|c| c.is(ControllerKind::Scsi) && c.index() == at.controller).and_then(|c| c.model)
}
