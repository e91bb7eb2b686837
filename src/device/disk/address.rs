//! The place of a disk on its bus, as its name implies it.

use super::{Disk, DiskBus, nvme_place};
use crate::device::address::{Address, DriveAddress};
use crate::diag::codes::storage as codes;
use crate::stage::{Cx, Quirk};

/// Gives a disk without an address the one that the name of its target implies.
pub fn imply(disk: &mut Disk, cx: &mut Cx<'_>) {
    if disk.info.has_address() || disk.info.address.wanted.is_some() {
        return;
    }
    let Some(target) = &disk.target else { return };
    if let Some((controller, namespace)) = nvme_place(disk.dev()).filter(|_| !cx.env.behaves(Quirk::NoNvmeNames)) {
        if disk.bus() == Some(DiskBus::Nvme) {
            let unit = u64::from(namespace - 1);
            disk.info.place(Address::Drive(DriveAddress { controller, unit, ..DriveAddress::default() }));
        }
        return;
    }
    let Some(number) = disk.number() else {
        let (site, dev) = (target.site, disk.dev().to_string());
        if !dev.is_empty() {
            cx.error_at(&codes::NAME, site, "dev", format!("<target dev='{dev}'>: the name tells no place on a bus (it is unknown), and no <address> is specified"))
                .help("a name is hd, sd, vd, xvd, ubd or fd and letters: vda, vdb, … vdaa");
        }
        return;
    };
    if let Some(address) = drive(disk.bus(), number) {
        disk.info.place(Address::Drive(address));
    }
}

/// The place of disk `number` on its bus: two units on each of two buses of an IDE controller, six
/// ports of a SATA controller, seven targets of a SCSI controller, two floppies.
fn drive(bus: Option<DiskBus>, number: u32) -> Option<DriveAddress> {
    let at = |controller, bus, unit: u32| DriveAddress { controller, bus, target: 0, unit: u64::from(unit) };
    Some(match bus? {
        DiskBus::Ide => at(number / 4, number % 4 / 2, number % 2),
        DiskBus::Sata => at(number / 6, 0, number % 6),
        DiskBus::Scsi => at(number / 7, 0, number % 7),
        DiskBus::Fdc => at(number / 2, 0, number % 2),
        DiskBus::Nvme => at(0, 0, number),
        _ => return None,
    })
}
