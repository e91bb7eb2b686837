//! What the XML of a disk leaves open.

use super::{Disk, DiskBus, DiskDevice, DiskModel, Driver, SnapshotLocation, address};
use crate::caps::Cap;
use crate::device::storage::{Encryption, EncryptionEngine, Format, Layer, Location, StorageKind, StorageSource};
use crate::stage::{Cx, Machine, Quirk};

/// Fills in type, device, bus, driver, and the drive address that the target name implies.
pub fn disk(disk: &mut Disk, _: &Machine, cx: &mut Cx<'_>) {
    let kind = *disk.kind.get_or_insert(StorageKind::File);
    let device = *disk.device.get_or_insert(DiskDevice::Disk);
    if let Some(target) = &mut disk.target {
        let dev = target.dev.as_deref().unwrap_or("");
        let nvme = dev.starts_with("nvme") && !cx.env.behaves(Quirk::NoNvmeNames);
        let bus = if nvme { DiskBus::Nvme } else { bus_of(dev, device) };
        target.bus.get_or_insert(bus);
        // A closed tray is not worth a word, where there is one.
        if matches!(device, DiskDevice::Cdrom | DiskDevice::Floppy) || cx.env.behaves(Quirk::ClosedTrayAnywhere) {
            target.tray = target.tray.filter(|t| *t == super::Tray::Open);
        }
    }
    if disk.bus() == Some(DiskBus::Usb) && !cx.env.behaves(Quirk::UsbDiskHasNoModel) {
        // A CD-ROM drive of USB is one since there is usb-bot; what is there already stays as it is.
        let bot = device == DiskDevice::Cdrom && cx.env.options.define && cx.has(Cap::UsbBot);
        disk.model.get_or_insert(if bot { DiskModel::UsbBot } else { DiskModel::UsbStorage });
    }
    if device == DiskDevice::Cdrom {
        disk.readonly = true;
    }
    if kind == StorageKind::Vhostuser {
        disk.snapshot.get_or_insert(SnapshotLocation::No);
    } else if disk.readonly {
        disk.snapshot = disk.snapshot.filter(|s| *s != SnapshotLocation::No);
    }
    if let Some(transient) = &mut disk.transient {
        transient.share_backing = transient.share_backing.filter(|s| s.is_yes());
    }
    if let Some(driver) = &mut disk.driver {
        driver.queue_size = driver.queue_size.filter(|s| *s > 0);
    }
    let mut kind = kind;
    let absent = disk.source.source.site.is_none();
    if matches!(device, DiskDevice::Cdrom | DiskDevice::Floppy) && kind != StorageKind::File && absent
        || device == DiskDevice::Cdrom && kind == StorageKind::Network && disk.source.is_empty()
    {
        // Without a medium there is no server, no pool and no device.
        kind = StorageKind::File;
        disk.kind = Some(kind);
        disk.source.source.kind = kind;
        disk.source.source.location = Location::Empty;
    }
    let driver = disk.driver.get_or_insert_with(Driver::default);
    driver.name.get_or_insert_with(|| "qemu".to_string());
    if kind != StorageKind::Volume {
        driver.format.get_or_insert(Format::Raw);
    }
    if disk.iotune.as_mut().is_some_and(|t| !t.drop_zeroes()) {
        disk.iotune = None;
    }
    if let Location::Network(network) = &mut disk.source.source.location {
        network.complete_iscsi();
    }
    encryption(&mut disk.encryption);
    source(&mut disk.source.source);
    layer(&mut disk.source.backing);
    address::imply(disk, cx);
}

fn layer(layer: &mut Option<Box<Layer>>) {
    let mut next = layer;
    while let Some(layer) = next {
        source(&mut layer.source);
        next = &mut layer.backing;
    }
}

fn source(source: &mut StorageSource) {
    encryption(&mut source.encryption);
    if let Some(store) = &mut source.data_store {
        encryption(&mut store.source.encryption);
    }
}

/// QEMU decrypts, unless the XML names another.
fn encryption(encryption: &mut Option<Encryption>) {
    if let Some(encryption) = encryption {
        encryption.engine.get_or_insert(EncryptionEngine::Qemu);
    }
}

/// The bus that a target name implies (formatdomain, "Hard drives, floppy disks, CDROMs", `target`).
fn bus_of(dev: &str, device: DiskDevice) -> DiskBus {
    match device {
        DiskDevice::Floppy => DiskBus::Fdc,
        _ if dev.starts_with("hd") => DiskBus::Ide,
        _ if dev.starts_with("sd") => DiskBus::Scsi,
        _ if dev.starts_with("fd") => DiskBus::Fdc,
        _ if dev.starts_with("vd") => DiskBus::Virtio,
        _ if dev.starts_with("xvd") => DiskBus::Xen,
        _ if dev.starts_with("ubd") => DiskBus::Uml,
        _ => DiskBus::Ide,
    }
}
