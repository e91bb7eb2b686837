//! Nodes above an image: copy-on-read, throttling.

use crate::device::disk::{Disk, Limits};
use crate::device::storage::lower::ChainOptions;
use crate::plan::Props;
use crate::stage::{Env, Lower};
use crate::vocab::OnOff;

/// Whether the limits of `<iotune>` are a filter: libvirt sets them over the monitor instead.
fn tunes(disk: &Disk, env: &Env<'_>) -> bool {
    disk.iotune.is_some() && !env.has_parent()
}

/// How many numbers the filters of a disk take.
pub fn count(disk: &Disk, env: &Env<'_>) -> u32 {
    disk.throttle_filters.len() as u32 + u32::from(tunes(disk, env))
}

/// Adds the filters above `node`; gives the name of the topmost node. `number` is the first free one.
pub fn add(disk: &Disk, node: String, number: u32, options: &ChainOptions<'_>, lx: &mut Lower<'_>) -> String {
    let mut node = node;
    if disk.driver(|d| d.copy_on_read).is_some_and(OnOff::is_on) {
        let name = format!("libvirt-CoR-{}", disk.dev());
        let mut props = Props::driver("copy-on-read");
        props.set("node-name", name.clone()).set("file", node).set("discard", "unmap");
        lx.blockdev(props, disk.site, "disk");
        node = name;
    }
    let mut groups: Vec<String> = Vec::new();
    for filter in &disk.throttle_filters {
        groups.push(group_id(&lx.must(filter.group.clone(), "the group of a <throttlefilter>", filter.site)));
    }
    if tunes(disk, &lx.env)
        && let Some(limits) = &disk.iotune
    {
        // Disks whose limits name a group share it; the first of them brings it.
        let id = match &limits.group_name {
            Some(name) => group_id(&format!("iotune-{name}")),
            None => group_id(&disk.info.id),
        };
        let first =
            lx.devices.disks.iter().find(|d| {
                d.iotune.as_ref().is_some_and(|t| t.group_name.is_some() && t.group_name == limits.group_name)
            });
        if first.is_none_or(|d| std::ptr::eq(d, disk)) {
            let mut props = Props::with("qom-type", "throttle-group");
            props.set("id", id.clone()).set("limits", throttle_limits(limits));
            lx.object(props, limits.site, "throttling");
        }
        groups.push(id);
    }
    for (i, group) in groups.into_iter().enumerate() {
        let name = format!("libvirt-{}-filter", number + i as u32);
        let mut props = Props::driver("throttle");
        props.set("node-name", name.clone()).set("throttle-group", group).set("file", node);
        if options.filters_discard {
            props.set("discard", "unmap");
        }
        lx.blockdev(props, disk.site, "disk");
        node = name;
    }
    node
}

fn group_id(name: &str) -> String {
    format!("throttle-{name}")
}

/// `-object throttle-group` for the groups of the domain.
pub fn throttle_groups(lx: &mut Lower<'_>) {
    for group in &lx.domain.throttle_groups {
        let mut props = Props::with("qom-type", "throttle-group");
        props.set("id", group_id(group.name())).set("limits", throttle_limits(&group.limits));
        lx.object(props, group.site, "throttle group");
    }
}

/// What QEMU takes for no limit.
const NOT_LIMITED: u64 = 0;

/// The limits as QEMU's `ThrottleLimits`. Limits that libvirt always names are there with 0.
fn throttle_limits(limits: &Limits) -> Props {
    let mut props = Props::new();
    let always: [(&'static str, Option<u64>); 13] = [
        ("bps-total", limits.total_bytes_sec),
        ("bps-read", limits.read_bytes_sec),
        ("bps-write", limits.write_bytes_sec),
        ("iops-total", limits.total_iops_sec),
        ("iops-read", limits.read_iops_sec),
        ("iops-write", limits.write_iops_sec),
        ("bps-total-max", limits.total_bytes_sec_max),
        ("bps-read-max", limits.read_bytes_sec_max),
        ("bps-write-max", limits.write_bytes_sec_max),
        ("iops-total-max", limits.total_iops_sec_max),
        ("iops-read-max", limits.read_iops_sec_max),
        ("iops-write-max", limits.write_iops_sec_max),
        ("iops-size", limits.size_iops_sec),
    ];
    for (name, value) in always {
        props.set(name, value.unwrap_or(NOT_LIMITED));
    }
    props.maybe("bps-total-max-length", limits.total_bytes_sec_max_length);
    props.maybe("bps-read-max-length", limits.read_bytes_sec_max_length);
    props.maybe("bps-write-max-length", limits.write_bytes_sec_max_length);
    props.maybe("iops-total-max-length", limits.total_iops_sec_max_length);
    props.maybe("iops-read-max-length", limits.read_iops_sec_max_length);
    props.maybe("iops-write-max-length", limits.write_iops_sec_max_length);
    props
}
