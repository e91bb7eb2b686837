//! Checks of a complete disk.

use super::{Disk, DiskBus, DiskDevice};
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::resolve::{Cx, Machine};

/// Checks one disk.
pub fn disk(disk: &Disk, _: &Domain, _: &Machine, cx: &mut Cx<'_>) {
    if disk.target.is_none() {
        cx.error(&codes::MISSING_TARGET, disk.site, "missing target information for the disk")
            .help("add <target dev='vda' bus='virtio'/>");
    }
    if disk.source.path.is_none() && disk.device() == DiskDevice::Disk {
        let bus = disk.bus().map_or("", DiskBus::as_str);
        cx.error(&codes::EMPTY, disk.site, format!("'{bus}' disk must not be empty"))
            .help("add a <source>; only CD-ROM and floppy drives can be empty");
    }
}
