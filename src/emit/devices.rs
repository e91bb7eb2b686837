//! Device nodes that a domain may open: what systemd's `DeviceAllow=` and a device cgroup grant.

use crate::plan::{Access, Cause, Need, PathKind, Plan, Process};
use crate::vocab::nodes::{self, Class, NODES, Node};

/// One rule of a device cgroup.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceRule<'a> {
    /// Which device.
    pub device: Device<'a>,
    /// `r`, `w` or `rw`.
    pub perms: &'static str,
    /// Why.
    pub cause: Cause,
}

/// A device, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Device<'a> {
    /// A node whose number is the same on every Linux.
    Known {
        /// Its path.
        path: &'static str,
        /// Major and minor number of a character device.
        number: (u32, u32),
    },
    /// A node whose number the host knows.
    Path {
        /// Its path.
        path: &'a str,
        /// Whether the XML says that it is a block device; none: not known.
        block: Option<bool>,
    },
    /// All character devices of a driver.
    Class {
        /// As systemd names it: `char-` and its name in `/proc/devices`.
        name: &'static str,
        /// Its major number; none: the kernel chooses it.
        major: Option<u32>,
    },
}

/// The rules of one process: the harmless nodes, then one for each device of its access closure, by path.
pub fn rules<'a>(plan: &'a Plan, process: &Process) -> Vec<DeviceRule<'a>> {
    let default = |what: &'static str| Cause { what: what.into(), ..Cause::default() };
    let harmless = NODES.iter().filter(|node| node.is_harmless).filter_map(numbered);
    let rule = |device| DeviceRule { device, perms: "rw", cause: default("default: harmless") };
    let mut rules: Vec<DeviceRule<'a>> = harmless.map(rule).collect();
    if process.needs(Need::Pty) {
        let cause = default("a pseudo-terminal");
        let devices = nodes::known(nodes::PTMX).and_then(numbered).into_iter().chain([Device::of(Class::Pts)]);
        rules.extend(devices.map(|device| DeviceRule { device, perms: "rw", cause: cause.clone() }));
    }
    let mut paths: Vec<&Access> =
        plan.access.iter().filter(|a| a.process == process.id && device_node(a).is_some()).collect();
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    for same in paths.chunk_by(|a, b| a.path == b.path) {
        let Some(first) = same.first() else { continue };
        let node = nodes::known(&first.path);
        if node.is_some_and(|node| node.is_harmless) {
            continue;
        }
        let perms = same.iter().fold(Default::default(), |all: crate::plan::Perms, a| all.union(a.perms));
        let device = match node.and_then(numbered) {
            Some(device) => device,
            None if is_folder(first) => match Class::of_folder(&first.path) {
                Some(class) => Device::of(class),
                None => continue,
            },
            None => Device::Path { path: &first.path, block: device_node(first).unwrap_or_default() },
        };
        let perms = match (perms.read, perms.write || perms.append) {
            (true, true) => "rw",
            (false, true) => "w",
            _ => "r",
        };
        rules.push(DeviceRule { device, perms, cause: first.cause.clone() });
    }
    rules
}

/// Whether systemd's `DevicePolicy=closed` has it.
pub fn is_in_closed(rule: &DeviceRule<'_>) -> bool {
    match rule.device {
        Device::Known { path, .. } => path == nodes::PTMX || nodes::known(path).is_some_and(|node| node.is_harmless),
        Device::Class { name, .. } => name == Class::Pts.name(),
        Device::Path { .. } => false,
    }
}

impl Device<'_> {
    /// All devices of a driver.
    pub fn of(class: Class) -> Device<'static> {
        Device::Class { name: class.name(), major: class.major() }
    }
}

/// A node by its number, where that is the same everywhere.
fn numbered(node: &Node) -> Option<Device<'static>> {
    Some(Device::Known { path: node.path, number: node.number? })
}

/// Whether an access is to all nodes of a folder.
fn is_folder(access: &Access) -> bool {
    matches!(access.kind, PathKind::Tree | PathKind::Files)
}

/// Whether an access is to a device node, or a folder of them; then, whether to a block device, as far as the XML tells.
fn device_node(access: &Access) -> Option<Option<bool>> {
    match access.kind {
        PathKind::BlockDevice => Some(Some(true)),
        PathKind::CharDevice => Some(Some(false)),
        // A file below /dev can only be a node (but for what tmpfs holds there).
        PathKind::File if nodes::is_node(&access.path) => Some(None),
        PathKind::Tree | PathKind::Files if access.path.starts_with("/dev/") => Some(Some(false)),
        _ => None,
    }
}
