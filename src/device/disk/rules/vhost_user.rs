//! Checks of disks of a vhost-user backend: what QEMU itself does for other disks is not there.

use crate::caps::Cap;
use crate::device::disk::{Disk, DiskBus, SnapshotLocation};
use crate::device::storage::{Location, StorageKind};
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::stage::Cx;

/// Checks one disk.
pub fn check(disk: &Disk, domain: &Domain, cx: &mut Cx<'_>) {
    let needed = match disk.kind() {
        StorageKind::Vhostuser => Cap::VhostUserBlk,
        StorageKind::Vhostvdpa => Cap::VirtioBlkVhostVdpa,
        _ => return,
    };
    if !cx.has(needed) {
        let message = format!("this QEMU binary has no device for a {} disk", disk.kind());
        cx.error(&codes::NEEDS_QEMU, disk.site, message);
    }
    if disk.kind() == StorageKind::Vhostvdpa {
        return;
    }
    let driver = disk.driver.as_ref();
    let refused: [(bool, &str); 14] = [
        (disk.geometry.is_some(), "geometry"),
        (disk.iotune.is_some(), "iotune"),
        (disk.readonly, "readonly"),
        (disk.shareable, "shareable"),
        (disk.transient.is_some(), "transient"),
        (disk.serial.is_some(), "serial"),
        (disk.wwn.is_some(), "wwn"),
        (disk.vendor.is_some(), "vendor"),
        (disk.product.is_some(), "product"),
        (disk.blockio.is_some(), "blockio"),
        (driver.is_some_and(|d| d.cache.is_some()), "cache"),
        (driver.is_some_and(|d| d.error_policy.is_some() || d.read_error_policy.is_some()), "error_policy"),
        (driver.is_some_and(|d| d.io.is_some()), "io"),
        (
            driver.is_some_and(|d| d.discard.is_some() || d.detect_zeroes.is_some() || d.copy_on_read.is_some()),
            "discard, detect_zeroes and copy_on_read",
        ),
    ];
    for (set, what) in refused {
        if set {
            cx.error(&codes::OPTION, disk.site, format!("a vhostuser disk has no {what}: its other process decides"));
        }
    }
    if !crate::device::storage::rules::has_shared_memory(domain) {
        cx.error(
            &codes::OPTION,
            disk.site,
            "the backend of a vhostuser disk reads the guest's memory itself, and the memory is not shared",
        )
        .help("add <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>");
    }
    if disk.bus() != Some(DiskBus::Virtio) {
        cx.error(&codes::OPTION, disk.site, "a disk of type='vhostuser' goes on the virtio bus, no other");
    }
    if disk.snapshot.is_some_and(|s| s != SnapshotLocation::No) {
        cx.error_at(
            &codes::OPTION,
            disk.site,
            "snapshot",
            "the state of a vhostuser disk is in another process: snapshot='no' is all that fits",
        );
    }
    if let Location::VhostUser(socket) = &disk.source.location {
        if socket.path.is_none() {
            cx.error(
                &codes::EMPTY,
                disk.source.site,
                "a vhostuser disk without <source path='…'>: nothing names the socket of its backend",
            );
        }
        if socket.kind.as_deref() != Some("unix") {
            let kind = socket.kind.as_deref().unwrap_or("");
            cx.error_at(
                &codes::OPTION,
                disk.source.site,
                "type",
                format!(
                    "<source type='{kind}'> of a vhostuser disk: its backend is reached by a socket of type 'unix' only"
                ),
            );
        }
    }
}
