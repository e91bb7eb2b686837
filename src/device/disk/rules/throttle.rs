//! Checks of throttling.

use crate::device::disk::{Disk, Limits};
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::stage::Cx;

/// Checks the limits of a disk.
pub fn check(disk: &Disk, domain: &Domain, cx: &mut Cx<'_>) {
    if let Some(limits) = &disk.iotune {
        self::limits(limits, cx);
        if !disk.throttle_filters.is_empty() {
            let message =
                format!("the disk {} has <throttlefilters> and <iotune>: it is limited by one of them", disk.dev());
            cx.error(&codes::THROTTLE, limits.site, message).help("move the limits into a <throttlegroup>");
        }
        let only_name = Limits { group_name: limits.group_name.clone(), site: limits.site, ..Limits::default() };
        if limits.group_name.is_some() && *limits == only_name {
            cx.error(
                &codes::THROTTLE,
                limits.site,
                "<group_name> shares limits with other disks; it needs settings to share",
            );
        }
        same_group(disk, limits, domain, cx);
    }
    for filter in &disk.throttle_filters {
        let group = filter.group.as_deref().unwrap_or("");
        if !domain.throttle_groups.iter().any(|g| g.name() == group) {
            cx.error_at(
                &codes::THROTTLE,
                filter.site,
                "group",
                format!("<throttlefilter group='{group}'>: <throttlegroups> has no such group"),
            )
            .help("define it in <throttlegroups>");
        }
    }
}

/// Totals exclude limits for one direction; bursts need a limit.
pub fn limits(limits: &Limits, cx: &mut Cx<'_>) {
    let sets = [
        ("bytes_sec", limits.total_bytes_sec, limits.read_bytes_sec, limits.write_bytes_sec),
        ("iops_sec", limits.total_iops_sec, limits.read_iops_sec, limits.write_iops_sec),
        ("bytes_sec_max", limits.total_bytes_sec_max, limits.read_bytes_sec_max, limits.write_bytes_sec_max),
        ("iops_sec_max", limits.total_iops_sec_max, limits.read_iops_sec_max, limits.write_iops_sec_max),
    ];
    for (name, total, read, write) in sets {
        if total.is_some() && (read.is_some() || write.is_some()) {
            let message =
                format!("{name}: a limit of the total, or one each for read and write, not both at the same time");
            cx.error(&codes::THROTTLE, limits.site, message);
        }
    }
    // QEMU's bound of a limit.
    const MAX: u64 = 1_000_000_000_000_000;
    for (name, total, read, write) in sets {
        for (side, value) in [("total", total), ("read", read), ("write", write)] {
            if value.is_some_and(|v| v > MAX) {
                let message = format!("<iotune>: QEMU takes no more than {MAX} for '{side}_{name}'");
                cx.error(&codes::THROTTLE, limits.site, message);
            }
        }
    }
}

/// Disks that share a group have the same limits.
fn same_group(disk: &Disk, limits: &Limits, domain: &Domain, cx: &mut Cx<'_>) {
    let Some(name) = &limits.group_name else { return };
    let Some(devices) = &domain.devices else { return };
    let others = devices.disks.iter().take_while(|d| !std::ptr::eq(*d, disk));
    let differs = others.filter_map(|d| d.iotune.as_ref()).any(|other| {
        let site = limits.site;
        other.group_name.as_ref() == Some(name) && Limits { site, ..other.clone() } != *limits
    });
    if differs {
        let message =
            format!("different iotunes for disks in group '{name}': disk '{}' does not match the others", disk.dev());
        cx.error(&codes::THROTTLE, limits.site, message);
    }
}
