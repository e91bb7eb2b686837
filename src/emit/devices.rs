//! Device nodes that a domain may open: what systemd's `DeviceAllow=` and a device cgroup grant.

use crate::plan::{Access, ArgValue, Cause, PathKind, Plan, Process, Prop};

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

/// Harmless nodes that any program may open: path, number.
const ALWAYS: &[(&str, (u32, u32))] = &[
    ("/dev/null", (1, 3)),
    ("/dev/zero", (1, 5)),
    ("/dev/full", (1, 7)),
    ("/dev/random", (1, 8)),
    ("/dev/urandom", (1, 9)),
];

/// Nodes of fixed number that domains ask for (Linux, `Documentation/admin-guide/devices.txt`).
const KNOWN: &[(&str, (u32, u32))] = &[
    ("/dev/ptmx", (5, 2)),
    ("/dev/kvm", (10, 232)),
    ("/dev/net/tun", (10, 200)),
    ("/dev/vhost-net", (10, 238)),
    ("/dev/vhost-vsock", (10, 241)),
    ("/dev/vfio/vfio", (10, 196)),
];

/// Folders of nodes, and the drivers that make them (Linux, `Documentation/admin-guide/devices.txt`): where an
/// access is to whatever is in the folder.
const CLASSES: &[(&str, &str, Option<u32>)] = &[
    ("/dev/bus/usb", "char-usb_device", Some(189)),
    ("/dev/dri", "char-drm", Some(226)),
    ("/dev/snd", "char-alsa", Some(116)),
    ("/dev/vfio", "char-vfio", None),
];

/// The rules of one process: the harmless nodes, then one for each device of its access closure, by path.
pub fn rules<'a>(plan: &'a Plan, process: &Process) -> Vec<DeviceRule<'a>> {
    let default = |what: &'static str| Cause { what: what.into(), ..Cause::default() };
    let mut rules: Vec<DeviceRule<'a>> = ALWAYS
        .iter()
        .map(|&(path, number)| DeviceRule {
            device: Device::Known { path, number },
            perms: "rw",
            cause: default("default: harmless"),
        })
        .collect();
    if uses_pty(process) {
        let cause = default("a pseudo-terminal");
        rules.push(DeviceRule { device: known("/dev/ptmx", (5, 2)), perms: "rw", cause: cause.clone() });
        rules.push(DeviceRule { device: Device::Class { name: "char-pts", major: Some(136) }, perms: "rw", cause });
    }
    let mut paths: Vec<&Access> =
        plan.access.iter().filter(|a| a.process == process.id && device_node(a).is_some()).collect();
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    for same in paths.chunk_by(|a, b| a.path == b.path) {
        let Some(first) = same.first() else { continue };
        if ALWAYS.iter().any(|(path, _)| *path == first.path) {
            continue;
        }
        let perms = same.iter().fold(Default::default(), |all: crate::plan::Perms, a| all.union(a.perms));
        let class = CLASSES.iter().find(|(path, ..)| *path == first.path);
        let device = match KNOWN.iter().find(|(path, _)| *path == first.path) {
            Some(&(path, number)) => known(path, number),
            None if is_folder(first) => match class {
                Some(&(_, name, major)) => Device::Class { name, major },
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
        Device::Known { path, .. } => path == "/dev/ptmx" || ALWAYS.iter().any(|(harmless, _)| *harmless == path),
        Device::Class { name, .. } => name == "char-pts",
        Device::Path { .. } => false,
    }
}

fn known(path: &'static str, number: (u32, u32)) -> Device<'static> {
    Device::Known { path, number }
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
        PathKind::File if is_node(&access.path) => Some(None),
        PathKind::Tree | PathKind::Files if access.path.starts_with("/dev/") => Some(Some(false)),
        _ => None,
    }
}

/// Whether a path is that of a device node: below `/dev`, but for what tmpfs and hugetlbfs hold there.
pub fn is_node(path: &str) -> bool {
    path.starts_with("/dev/") && !["/dev/shm/", "/dev/hugepages", "/dev/mqueue/"].iter().any(|p| path.starts_with(p))
}

/// Whether a process opens a pseudo-terminal.
pub fn uses_pty(process: &Process) -> bool {
    process.args.iter().any(|arg| match &arg.value {
        ArgValue::Props(props, _) if arg.switch == "-chardev" => {
            let backend = props.0.first().map(|(_, value)| value);
            matches!(backend, Some(Prop::Text(text)) if text == "pty") || props.text("backend") == Some("pty")
        }
        ArgValue::Text(text) => arg.switch == "-chardev" && text.starts_with("pty"),
        // Handed through, one token an argument.
        ArgValue::None => arg.switch == "pty" || arg.switch.starts_with("pty,"),
        _ => false,
    })
}
