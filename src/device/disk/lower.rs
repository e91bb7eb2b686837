//! Disks on the command line: `-blockdev` nodes for the image, a `-device` for the drive.

use super::{Cache, Discard, Disk, DiskBus, DiskDevice, DiskType, Format};
use crate::device::address::Address;
use crate::lower::Lower;
use crate::plan::{LabelRole, OwnerRule, PathKind, Perms, Props, Sharing};

/// Adds the block nodes, the device and the access of one disk.
pub fn disk(disk: &Disk, lx: &mut Lower<'_>) {
    let node = lx.block_nodes.take();
    let drive = disk.source.path.as_deref().map(|path| blockdevs(disk, path, node, lx));
    device(disk, drive, lx);
}

/// Adds the nodes of an image; gives the name of the topmost.
fn blockdevs(disk: &Disk, path: &str, node: u32, lx: &mut Lower<'_>) -> String {
    let driver = disk.driver.clone().unwrap_or_default();
    let format = driver.format.unwrap_or(Format::Raw);
    let storage = format!("libvirt-{node}-storage");
    let mut props = Props::driver(match disk.kind {
        Some(DiskType::Block)
            if disk.device() == DiskDevice::Cdrom && lx.env.host.machine.cdrom.iter().any(|c| c == path) =>
        {
            "host_cdrom"
        }
        Some(DiskType::Block) => "host_device",
        _ => "file",
    });
    props.set("filename", path.to_string());
    if let Some(io) = driver.io {
        props.set("aio", io.as_str());
    }
    props.set("node-name", storage.clone());
    let flags = cache_flags(driver.cache);
    let cache = |props: &mut Props| {
        if let Some((direct, no_flush)) = flags {
            let mut cache = Props::with("direct", direct);
            cache.set("no-flush", no_flush);
            props.set("cache", cache);
        }
    };
    let layered = format != Format::Raw;
    if layered {
        props.set("auto-read-only", true);
    } else {
        props.set("read-only", disk.is_readonly());
    }
    match driver.discard {
        Some(discard) => {
            props.set("discard", discard.as_str());
        }
        None if layered => {
            props.set("discard", Discard::Unmap.as_str());
        }
        None => {}
    }
    cache(&mut props);
    lx.blockdev(props, disk.site);
    access(disk, path, lx);
    if !layered {
        return storage;
    }
    let name = format!("libvirt-{node}-format");
    let mut props = Props::with("node-name", name.clone());
    props.set("read-only", disk.is_readonly());
    if let Some(discard) = driver.discard {
        props.set("discard", discard.as_str());
    }
    cache(&mut props);
    props.set("driver", format.as_str());
    props.set("file", storage);
    lx.blockdev(props, disk.site);
    name
}

/// `direct` and `no-flush` of a cache mode (QEMU manual, "-blockdev", cache).
fn cache_flags(cache: Option<Cache>) -> Option<(bool, bool)> {
    match cache? {
        Cache::Default => None,
        Cache::None | Cache::Directsync => Some((true, false)),
        Cache::Writeback | Cache::Writethrough => Some((false, false)),
        Cache::Unsafe => Some((false, true)),
    }
}

fn access(disk: &Disk, path: &str, lx: &mut Lower<'_>) {
    let kind = if disk.kind == Some(DiskType::Block) { PathKind::BlockDevice } else { PathKind::File };
    let (perms, sharing, label) = if disk.is_readonly() {
        (Perms::READ, Sharing::ReadOnly, LabelRole::Content)
    } else if disk.shareable {
        (Perms::READ_WRITE, Sharing::Shared, LabelRole::Shared)
    } else {
        (Perms::READ_WRITE, Sharing::Exclusive, LabelRole::Image)
    };
    let owner = OwnerRule::Domain { restore: sharing == Sharing::Exclusive };
    lx.access(path, kind, perms, sharing, label, owner, disk.source.site, format!("disk {}", disk.dev()));
}

/// Adds the `-device` of a disk.
fn device(disk: &Disk, drive: Option<String>, lx: &mut Lower<'_>) {
    let Some(bus) = disk.bus() else { return };
    let cdrom = disk.device() == DiskDevice::Cdrom;
    let mut props = match bus {
        DiskBus::Ide | DiskBus::Sata => Props::driver(if cdrom { "ide-cd" } else { "ide-hd" }),
        DiskBus::Scsi => Props::driver(if cdrom { "scsi-cd" } else { "scsi-hd" }),
        DiskBus::Virtio => Props::driver(lx.virtio_driver("virtio-blk", &disk.info, "")),
        DiskBus::Usb => Props::driver("usb-storage"),
        DiskBus::Fdc => Props::driver("floppy"),
        _ => return,
    };
    lx.drive_address(&mut props, disk);
    props.maybe("drive", drive);
    props.set("id", disk.info.id.clone());
    props.maybe("bootindex", disk.info.bootindex);
    if bus == DiskBus::Usb {
        props.set("removable", disk.target.as_ref().and_then(|t| t.removable).is_some_and(|r| r.is_on()));
    }
    // The write cache that the guest sees follows from the cache mode (QEMU manual, "-drive", cache).
    if let Some(cache) = disk.driver.as_ref().and_then(|d| d.cache)
        && !cdrom
        && cache != Cache::Default
    {
        let off = matches!(cache, Cache::Writethrough | Cache::Directsync);
        props.set("write-cache", if off { "off" } else { "on" });
    }
    props.maybe("serial", disk.serial.clone());
    lx.device(props, disk);
}

impl Lower<'_> {
    /// Adds the place of a disk on its bus.
    fn drive_address(&self, props: &mut Props, disk: &Disk) {
        let Some(Address::Drive(drive)) = &disk.info.address.address else {
            self.address(props, &disk.info);
            return;
        };
        match disk.bus() {
            Some(DiskBus::Ide) => {
                props.set("bus", format!("ide.{}", drive.bus)).set("unit", drive.unit);
            }
            Some(DiskBus::Sata) => {
                let bus = self.controller_id(crate::device::controller::ControllerKind::Sata, drive.controller);
                props.set("bus", format!("{bus}.{}", drive.unit));
            }
            Some(DiskBus::Scsi) => {
                let bus = self.controller_id(crate::device::controller::ControllerKind::Scsi, drive.controller);
                props.set("bus", format!("{bus}.0")).set("scsi-id", drive.unit);
                props.set("device_id", format!("drive-{}", disk.info.id));
            }
            Some(DiskBus::Fdc) => {
                props.set("unit", drive.unit);
            }
            _ => {}
        }
    }
}
