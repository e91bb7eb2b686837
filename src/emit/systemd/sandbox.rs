//! Confinement by systemd: as strict as the Plan allows.

use super::Lines;
use crate::emit::devices::{self, Device};
use crate::emit::fit::Fitter;
use crate::escape::{ApparmorName, Escaped, SelinuxContext, UnitPath, UnitWord};
use crate::plan::{Access, Cause, DirectoryRole, Instance, Need, PathKind, Plan, Process, Role};
use crate::vocab::nodes::is_node;
use std::collections::BTreeMap;

/// Lines that hold for every process and both instances.
const ALWAYS: &[(&str, &str)] = &[
    ("NoNewPrivileges", "yes"),
    ("LockPersonality", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
];

/// Lines that only the system instance can apply, without a condition.
/// Not ProtectClock=: it adds a rule for the clock's device, and what sets a clock is denied without it.
const SYSTEM: &[(&str, &str)] = &[
    ("ProtectSystem", "strict"),
    ("ProtectProc", "invisible"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("RemoveIPC", "yes"),
];

/// The lines of a process.
pub fn sandbox(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    for (key, value) in ALWAYS {
        lines.set(key, value);
    }
    // The socket of root's helper is for the group of the machine.
    lines.set("UMask", if process.role == Role::PrHelper { "0007" } else { "0077" });
    system_calls(plan, process, lines);
    let inet = process.needs(Need::Inet);
    let netlink = process.needs(Need::Netlink);
    lines.set(
        "RestrictAddressFamilies",
        match (inet, netlink) {
            (false, false) => "AF_UNIX",
            (false, true) => "AF_UNIX AF_NETLINK",
            (true, false) => "AF_UNIX AF_INET AF_INET6",
            (true, true) => "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        },
    );
    // virtiofsd and passt lock themselves into namespaces of their own.
    if !process.needs(Need::Namespaces) {
        lines.set("RestrictNamespaces", "yes");
    }
    if plan.limits.schedules.is_empty() {
        lines.set("RestrictRealtime", "yes");
    }
    if !process.needs(Need::Code) {
        lines.set("MemoryDenyWriteExecute", "yes");
    }
    if plan.instance == Instance::Session {
        return;
    }
    capabilities(process, fit, lines);
    for (key, value) in SYSTEM {
        lines.set(key, value);
    }
    if !inet {
        lines.set("IPAddressDeny", "any");
        // Taps and sysfs of network devices live in the host's network namespace.
        if plan.links.is_empty() && !netlink && !process.needs(Need::Tap) {
            lines.set("PrivateNetwork", "yes");
        }
    }
    if process.capabilities.is_empty() && !process.needs(Need::Namespaces) && !has_device_ids(plan) {
        lines.set("PrivateUsers", "yes");
    }
    // Only x86 firmware and devices are known to do without /proc/cpuinfo and the device tree.
    let x86 = process.program.ends_with("x86_64") || process.program.ends_with("i386");
    if process.role == Role::Qemu && x86 && !process.needs(Need::KernelSettings) {
        lines.set("ProcSubset", "pid");
    }
    if process.needs(Need::LockFolder) {
        lines.set("TemporaryFileSystem", "/run/virtiofsd");
    }
    paths(plan, process, fit, lines);
    modules(plan, process, fit, lines);
}

/// Device nodes are opened by user id on some hosts (udev's uaccess), which a user namespace hides.
fn has_device_ids(plan: &Plan) -> bool {
    plan.processes.iter().any(|p| p.needs(Need::Usb) || p.needs(Need::Vfio))
}

fn system_calls(plan: &Plan, process: &Process, lines: &mut Lines) {
    lines.set("SystemCallErrorNumber", "EPERM");
    // QEMU adds a filter of its own, and has no `-sandbox` where it cannot.
    let filters = process.role == Role::Qemu && plan.confinement.seccomp;
    lines.set(
        "SystemCallFilter",
        match (process.needs(Need::Namespaces), process.changes_root(), filters) {
            // Their sandbox ends with a filter of their own.
            (true, ..) => "@system-service @mount seccomp",
            (_, true, _) => "@system-service chroot seccomp",
            (_, _, true) => "@system-service seccomp",
            _ => "@system-service",
        },
    );
    if process.needs(Need::Namespaces) {
        return;
    }
    let privileged = !process.capabilities.is_empty();
    lines.set("SystemCallFilter", if privileged { "~@resources" } else { "~@privileged @resources" });
    if process.role == Role::Qemu && !plan.limits.pins.is_empty() {
        // For the helper that pins; QEMU's own filter (`-sandbox resourcecontrol=deny`) still refuses it.
        lines.set("SystemCallFilter", "sched_setaffinity");
    }
    if plan.limits.numa.is_some() || process.needs(Need::MemoryPolicy) {
        lines.set("SystemCallFilter", "mbind set_mempolicy");
    }
}

fn capabilities(process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let words: Vec<Escaped<UnitWord>> =
        process.capabilities.iter().filter_map(|c| fit.fit(c, &process.cause)).collect();
    lines.push("CapabilityBoundingSet", Escaped::words(words.clone()));
    // Root has them by the exec. Ambient ones would keep it from giving up some of them: libcap-ng raises again what was ambient.
    let root = matches!(process.user.as_deref(), Some("root" | "0" | "+0"));
    if !words.is_empty() && !root {
        lines.push("AmbientCapabilities", Escaped::words(words));
    }
}

/// `ReadWritePaths=` and what hides the rest.
fn paths(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let own = || plan.access.iter().filter(|a| a.process == process.id);
    let below = |roots: &[&str]| {
        own().any(|a| roots.iter().any(|r| a.path.strip_prefix(r).is_some_and(|rest| rest.starts_with('/'))))
            || plan.sockets.iter().any(|s| roots.iter().any(|r| s.path.starts_with(r)))
    };
    let home = below(&["/home", "/root", "/run/user"]);
    lines.set("ProtectHome", if home { "read-only" } else { "yes" });
    if !below(&["/tmp", "/var/tmp"]) {
        lines.set("PrivateTmp", "yes");
    }
    let mut writable: BTreeMap<String, Cause> = BTreeMap::new();
    for access in own().filter(|a| (a.perms.write || a.perms.append) && !is_node(&a.path)) {
        match access.kind {
            // What lies in the root folder is there before the start, or cannot be made by the process.
            PathKind::Socket | PathKind::File if parent(&access.path) == "/" => {
                writable.insert(access.path.clone(), access.cause.clone())
            }
            // A file that the process makes itself, or a socket that it listens on, needs its directory.
            PathKind::Socket => writable.insert(parent(&access.path), access.cause.clone()),
            // A mount of the file itself would keep the old one in sight when another takes its place; what is in the
            // folder besides does not belong to the account.
            PathKind::File if plan.confinement.own_account => {
                writable.insert(parent(&access.path), access.cause.clone())
            }
            PathKind::File if !access.perms.read => writable.insert(parent(&access.path), access.cause.clone()),
            _ => writable.insert(access.path.clone(), access.cause.clone()),
        };
    }
    for socket in plan.sockets.iter().filter(|s| s.process == process.id) {
        writable.insert(parent(&socket.path), socket.cause.clone());
    }
    let directories = plan.directories.iter().filter(|d| !d.path.starts_with("/dev/"));
    let directories = directories.filter(|d| super::prepare::uses(plan, process, d));
    // systemd lets a service write the run-time directories that it makes for it.
    let by_systemd = |path: &str| {
        let made =
            |d: &&crate::plan::Directory| d.role == DirectoryRole::Runtime && !super::prepare::is_lent(process, d);
        plan.directories.iter().filter(made).any(|d| d.path == path)
    };
    writable.extend(directories.map(|d| (d.path.clone(), d.cause.clone())));
    for (path, cause) in writable.into_iter().filter(|(path, _)| !by_systemd(path)) {
        if path == "/" {
            let message = format!("{}: the whole file system would have to be writable", cause.what);
            fit.out_of_range(&cause, message, "put the file or socket into a directory of its own");
            continue;
        }
        lines.because(&cause);
        lines.maybe("ReadWritePaths", fit.take(Escaped::<UnitPath>::optional(&path), &cause));
    }
    // What a link leads to may lie in another folder. (A file below a folder that is writable is dropped from
    // ReadWritePaths= before links are followed. A colon would divide two paths.)
    let file = |a: &&Access| a.kind == PathKind::File && !a.path.contains(':');
    let linked = own().filter(file).filter(|a| a.perms.write && a.may_be_behind_link());
    let linked: BTreeMap<&str, &Cause> = linked.map(|a| (a.path.as_str(), &a.cause)).collect();
    for (path, cause) in linked {
        lines.because(cause);
        lines.maybe("BindPaths", fit.take(Escaped::<UnitPath>::optional(path), cause));
    }
}

fn parent(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/".to_string(),
        Some((parent, _)) => parent.to_string(),
    }
}

/// The context and profile of the security modules.
fn modules(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if let Some(selinux) = &plan.confinement.selinux {
        lines.from(&selinux.cause);
        lines.maybe(
            "SELinuxContext",
            fit.fit::<SelinuxContext>(&selinux.process, &selinux.cause).map(|name| name.in_unit()),
        );
    }
    if let Some(apparmor) = &plan.confinement.apparmor {
        let name = match process.role {
            Role::Qemu => apparmor.profile.clone(),
            _ if apparmor.generated => format!("{}//{}", apparmor.profile, process.id),
            _ => apparmor.profile.clone(),
        };
        lines.from(&apparmor.cause);
        lines.maybe("AppArmorProfile", fit.fit::<ApparmorName>(&name, &apparmor.cause).map(|name| name.in_unit()));
    }
}

/// `DevicePolicy=` and `DeviceAllow=`.
pub fn devices(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if plan.instance == Instance::Session {
        return;
    }
    let rules = devices::rules(plan, process);
    // This has the harmless nodes, and pseudo-terminals.
    lines.set("DevicePolicy", "closed");
    for rule in rules.into_iter().filter(|rule| !devices::is_in_closed(rule)) {
        lines.because(&rule.cause);
        match rule.device {
            Device::Known { path, .. } => {
                lines.push("DeviceAllow", Escaped::<UnitPath>::literal(path).followed_by(rule.perms));
            }
            Device::Class { name, .. } => {
                lines.push("DeviceAllow", Escaped::<UnitPath>::literal(name).followed_by(rule.perms));
            }
            Device::Path { path, .. } if path.starts_with("/dev/") => {
                let escaped = fit.fit::<UnitPath>(path, &rule.cause).map(|p| p.followed_by(rule.perms));
                lines.maybe("DeviceAllow", escaped);
            }
            // A plain file in place of the node needs no rule.
            Device::Path { path, .. } => fit.not_applied(
                &rule.cause,
                format!(
                    "systemd takes no rule for the device '{path}', which is not below /dev: a node there is refused"
                ),
            ),
        }
    }
}
