//! Checks of a disk against the other disks.

use crate::device::address::{Address, DriveAddress};
use crate::device::disk::{Disk, DiskBus};
use crate::device::hostdev::HostdevType;
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::resolve::Cx;

/// Compares a disk with those before it.
pub fn check(disk: &Disk, domain: &Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &domain.devices else { return };
    let dev = disk.dev();
    if disk.bus() == Some(DiskBus::Scsi) {
        let taken = devices
            .hostdevs
            .iter()
            .find(|h| h.kind == Some(HostdevType::Scsi) && place(disk).map(Address::Drive) == h.info.address.address);
        if let (Some(_), Some(at)) = (taken, place(disk)) {
            let DriveAddress { controller, bus, target, unit } = at;
            let message = format!(
                "using disk target name '{dev}' conflicts with SCSI host device address controller='{controller}' bus='{bus}' target='{target}' unit='{unit}'"
            );
            cx.error(&codes::DUPLICATE, disk.site, message).help("give one of them another <address>");
        }
    }
    for other in devices.disks.iter().take_while(|d| !std::ptr::eq(*d, disk)) {
        if other.dev() == dev {
            let message = format!(
                "target '{dev}' duplicated for disk sources '{}' and '{}'",
                other.source.path().unwrap_or(""),
                disk.source.path().unwrap_or("")
            );
            cx.error(&codes::DUPLICATE, disk.site, message);
        }
        if let (Some(at), true) = (place(disk), disk.bus() == other.bus())
            && place(other) == Some(at)
        {
            let DriveAddress { controller, bus, target, unit } = at;
            let message = format!(
                "found duplicate drive address for disk with target name '{}' controller='{controller}' bus='{bus}' target='{target}' unit='{unit}'",
                other.dev()
            );
            cx.error(&codes::DUPLICATE, disk.info.address_site(), message);
        }
        if disk.wwn.is_some() && disk.wwn == other.wwn {
            let message = format!("disks '{}' and '{dev}' have identical WWN", other.dev());
            cx.error(&codes::DUPLICATE, disk.site, message);
        }
    }
}

fn place(disk: &Disk) -> Option<DriveAddress> {
    match (&disk.info.address.address, disk.bus()) {
        (Some(Address::Drive(at)), Some(DiskBus::Ide | DiskBus::Sata | DiskBus::Scsi | DiskBus::Fdc)) => Some(*at),
        _ => None,
    }
}
