//! Checks of the disks against each other.

use crate::device::address::{Address, DriveAddress};
use crate::device::controller::{ControllerKind, ControllerModel};
use crate::device::disk::{Disk, DiskBus};
use crate::device::hostdev::HostdevType;
use crate::diag::Span;
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::stage::Cx;
use std::collections::{BTreeMap, BTreeSet};

/// Compares the disks with each other: each with the first one that has the same thing. One pass over maps,
/// because a domain may have thousands.
pub fn check(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &domain.devices else { return };
    let mut names: BTreeMap<&str, &Disk> = BTreeMap::new();
    let mut places: BTreeMap<(DiskBus, DriveAddress), &Disk> = BTreeMap::new();
    let mut wwns: BTreeMap<&str, &Disk> = BTreeMap::new();
    let hostdevs: BTreeSet<DriveAddress> = devices
        .hostdevs
        .iter()
        .filter(|h| h.kind == Some(HostdevType::Scsi))
        .filter_map(|h| match h.info.address.address {
            Some(Address::Drive(at)) => Some(at),
            _ => None,
        })
        .collect();
    let narrow = |index: u32| {
        let mut all = devices.controllers.iter();
        let found = all.find(|c| c.is(ControllerKind::Scsi) && c.index() == index);
        found.and_then(|c| c.model).is_some_and(ControllerModel::is_narrow)
    };
    for disk in &devices.disks {
        let dev = disk.dev();
        let at = place(disk);
        if at.is_some_and(|at| disk.bus() == Some(DiskBus::Scsi) && at.target != 0 && narrow(at.controller)) {
            let message =
                "the target must be 0 on a controller of model 'lsilogic' or its like: the unit names the place";
            cx.error(&codes::BUS, disk.info.address_site(), message);
        }
        if let Some(at) = at.filter(|at| disk.bus() == Some(DiskBus::Scsi) && hostdevs.contains(at)) {
            let DriveAddress { controller, bus, target, unit } = at;
            let message = format!(
                "'{dev}' and a SCSI host device conflicts: both would be at controller='{controller}' bus='{bus}' target='{target}' unit='{unit}' (disk target name, address)"
            );
            cx.error(&codes::DUPLICATE, disk.site, message).help("give one of them another <address>");
        }
        let other = *names.entry(dev).or_insert(disk);
        if !std::ptr::eq(other, disk) {
            let message = format!(
                "two disks have <target dev='{dev}'>: their sources are '{}' and '{}' (duplicated)",
                other.source.path().unwrap_or(""),
                disk.source.path().unwrap_or("")
            );
            let (one, two) = (target(other, "dev", cx), target(disk, "dev", cx));
            cx.twice(&codes::DUPLICATE, one, two, message)
                .help("each disk has a name of its own: count on, as in vda, vdb, vdc");
        }
        if let (Some(at), Some(bus)) = (at, disk.bus()) {
            let other = *places.entry((bus, at)).or_insert(disk);
            if !std::ptr::eq(other, disk) {
                let DriveAddress { controller, bus, target, unit } = at;
                let message = format!(
                    "the disk with target name '{}' shares its drive address with another disk (duplicate): controller='{controller}' bus='{bus}' target='{target}' unit='{unit}'",
                    other.dev()
                );
                let (one, two) = (address(other, cx), address(disk, cx));
                cx.twice(&codes::DUPLICATE, one, two, message)
                    .help("give one of them another 'unit', or remove the <address> and virtc chooses one");
            }
        }
        if let Some(wwn) = disk.wwn.as_deref() {
            let other = *wwns.entry(wwn).or_insert(disk);
            if !std::ptr::eq(other, disk) {
                let message = format!("disks '{}' and '{dev}' have identical WWN", other.dev());
                let (one, two) = (cx.doc.span_of_child(other.site, "wwn"), cx.doc.span_of_child(disk.site, "wwn"));
                cx.twice(&codes::DUPLICATE, one, two, message).help("a WWN names one disk in the world: change one");
            }
        }
    }
}

/// An attribute of `<target>`.
fn target(disk: &Disk, attribute: &str, cx: &Cx<'_>) -> Span {
    cx.doc.span_of_attr(disk.target.as_ref().map_or(disk.site, |t| t.site), attribute)
}

/// The `<address>`, or what decides it where there is none.
fn address(disk: &Disk, cx: &Cx<'_>) -> Span {
    match disk.info.address.site {
        site if site.is_none() => target(disk, "dev", cx),
        site => cx.span(site),
    }
}

fn place(disk: &Disk) -> Option<DriveAddress> {
    match (&disk.info.address.address, disk.bus()) {
        (Some(Address::Drive(at)), Some(DiskBus::Ide | DiskBus::Sata | DiskBus::Scsi | DiskBus::Fdc)) => Some(*at),
        _ => None,
    }
}
