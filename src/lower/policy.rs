//! What no guest may have: the host's own system, and QEMU options that take its confinement apart.
//!
//! A pure check of the finished Plan and of `<qemu:commandline>`. Target `libvirt` is left alone: it
//! shows what libvirt would do. The host facts may allow paths (`security { allow-path … }`).

use super::Lower;
use crate::diag::codes::{emit, security as codes};
use crate::plan::{Access, Cause, PathKind, Plan, Sharing, Target};
use crate::xml::Site;

/// How far a place is closed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// Whatever is below, and the folder itself.
    Entirely,
    /// To writing.
    ForWriting,
    /// The folder itself, as a whole; what is below may be had.
    Itself,
}

/// The places. The longest match counts, so that a place can be opened inside a closed one.
const PLACES: &[(&str, Option<Closed>)] = &[
    ("/", Some(Closed::Itself)),
    ("/bin", Some(Closed::Entirely)),
    ("/boot", Some(Closed::ForWriting)),
    ("/dev", Some(Closed::Itself)),
    ("/dev/core", Some(Closed::Entirely)),
    ("/dev/cpu", Some(Closed::Entirely)),
    ("/dev/fd", Some(Closed::Entirely)),
    ("/dev/initctl", Some(Closed::Entirely)),
    ("/dev/kmem", Some(Closed::Entirely)),
    ("/dev/kmsg", Some(Closed::Entirely)),
    ("/dev/log", Some(Closed::Entirely)),
    ("/dev/mem", Some(Closed::Entirely)),
    ("/dev/nvram", Some(Closed::Entirely)),
    ("/dev/port", Some(Closed::Entirely)),
    ("/dev/shm", Some(Closed::Itself)),
    ("/etc", Some(Closed::Entirely)),
    // Where clusters and their keys are named.
    ("/etc/ceph", Some(Closed::ForWriting)),
    // Certificates of displays and smart cards.
    ("/etc/pki", Some(Closed::ForWriting)),
    ("/home", Some(Closed::Itself)),
    ("/initrd", Some(Closed::Entirely)),
    ("/lib", Some(Closed::Entirely)),
    ("/lib32", Some(Closed::Entirely)),
    ("/lib64", Some(Closed::Entirely)),
    ("/lost+found", Some(Closed::Entirely)),
    ("/opt", Some(Closed::Itself)),
    ("/proc", Some(Closed::Entirely)),
    ("/root", Some(Closed::Entirely)),
    ("/root/.Xauthority", Some(Closed::ForWriting)),
    ("/run", Some(Closed::Itself)),
    ("/run/containerd", Some(Closed::Entirely)),
    ("/run/crio", Some(Closed::Entirely)),
    ("/run/dbus", Some(Closed::Entirely)),
    ("/run/docker.sock", Some(Closed::Entirely)),
    ("/run/libvirt/libvirt-sock", Some(Closed::Entirely)),
    ("/run/libvirt/virtqemud-sock", Some(Closed::Entirely)),
    ("/run/podman", Some(Closed::Entirely)),
    ("/run/systemd", Some(Closed::Entirely)),
    ("/run/udev", Some(Closed::Entirely)),
    ("/sbin", Some(Closed::Entirely)),
    ("/srv", Some(Closed::Itself)),
    ("/sys", Some(Closed::Entirely)),
    // The cancel file of a TPM.
    ("/sys/class/misc", None),
    ("/sys/class/tpm", None),
    ("/sys/devices", None),
    ("/sys/kernel/config/target/vhost", None),
    ("/tmp", Some(Closed::Itself)),
    ("/usr", Some(Closed::Entirely)),
    ("/usr/lib/riscv64-linux-gnu/opensbi", Some(Closed::ForWriting)),
    ("/usr/lib/u-boot", Some(Closed::ForWriting)),
    ("/usr/local/share", Some(Closed::ForWriting)),
    ("/usr/share", Some(Closed::ForWriting)),
    ("/var", Some(Closed::Itself)),
    ("/var/cache", Some(Closed::Itself)),
    ("/var/lib", Some(Closed::Itself)),
    ("/var/lib/containers", Some(Closed::Itself)),
    ("/var/lib/dpkg", Some(Closed::Entirely)),
    ("/var/lib/rpm", Some(Closed::Entirely)),
    ("/var/lib/systemd", Some(Closed::Entirely)),
    ("/var/log", Some(Closed::Itself)),
    ("/var/spool/cron", Some(Closed::Entirely)),
    ("/var/tmp", Some(Closed::Itself)),
];

/// Environment variables that make QEMU load other code, or that another part of virtc sets.
const LOADERS: &[&str] = &["GCONV_PATH", "GLIBC_TUNABLES", "PATH", "QEMU_MODULE_DIR", "PYTHONPATH", "BASH_ENV", "ENV"];

/// Checks the Plan, and what is handed through to QEMU.
pub fn check(lx: &mut Lower<'_>) {
    if lx.env.options.target == Target::Libvirt {
        return;
    }
    names(lx);
    emulator(lx);
    twice(lx);
    let faults = paths(&lx.plan, &lx.env.host.security.allow_paths);
    for (cause, message) in faults {
        lx.diags
            .error(&codes::FORBIDDEN_PATH, cause.span, message)
            .help("give the guest a copy in a place of its own, or allow it in the host facts: security { allow-path \"…\"; }");
    }
    handed_through(lx);
}

/// Names and titles that would be more than one line or one component.
fn names(lx: &mut Lower<'_>) {
    let domain = lx.domain;
    let name = domain.name();
    let fault = if name.trim().is_empty() {
        Some("the name of the domain is empty")
    } else if matches!(name, "." | "..") || name.contains('/') {
        Some("the name of the domain is not one component of a path")
    } else if name.chars().any(char::is_control) {
        Some("the name of the domain holds a control character")
    } else if name.len() > 200 {
        Some("the name of the domain is longer than 200 bytes, so that no file can be named after it")
    } else {
        None
    };
    if let Some(fault) = fault {
        lx.error(&emit::NOT_EXPRESSIBLE, domain.site, fault).help("choose another name");
    }
    if domain.title.as_deref().is_some_and(|t| t.contains(['\n', '\r'])) {
        lx.error(&emit::NOT_EXPRESSIBLE, domain.site, "the title holds a newline")
            .help("put longer text into <description>");
    }
}

/// The program has to be a QEMU, in a place that only root writes.
fn emulator(lx: &mut Lower<'_>) {
    let Some(path) = lx.devices.emulator.clone() else { return };
    let name = path.rsplit('/').next().unwrap_or_default();
    let open = ["/tmp/", "/var/tmp/", "/dev/shm/"].iter().any(|place| path.starts_with(place));
    let why = if open {
        "everybody may write there"
    } else if !["qemu", "kvm"].iter().any(|part| name.contains(part)) {
        "it is no QEMU by its name"
    } else {
        return;
    };
    let site = lx.devices.site;
    lx.error(&codes::FORBIDDEN_PATH, site, format!("the emulator '{path}' cannot be run for a guest: {why}"))
        .help("name a QEMU that the host's packages have installed");
}

/// An image that two disks write is destroyed at once, by the same guest.
fn twice(lx: &mut Lower<'_>) {
    let mut faults = Vec::new();
    let alone = |a: &&Access| {
        a.sharing == Sharing::Exclusive && a.perms.write && matches!(a.kind, PathKind::File | PathKind::BlockDevice)
    };
    let images: Vec<&Access> =
        lx.plan.access.iter().filter(alone).filter(|a| a.cause.what.starts_with("disk")).collect();
    for (i, access) in images.iter().enumerate() {
        if let Some(other) = images.iter().take(i).find(|o| o.path == access.path && o.cause.span != access.cause.span)
        {
            faults.push((
                access.cause.span,
                format!("'{}' is written by two disks: {} and {}", access.path, other.cause.what, access.cause.what),
            ));
        }
    }
    for (span, message) in faults {
        lx.diags
            .error(&codes::SHARED_IMAGE, span, message)
            .help("add <shareable/> to both if the guest can cope, or <readonly/> to one");
    }
}

/// Every access that no guest may have.
fn paths(plan: &Plan, allowed: &[String]) -> Vec<(Cause, String)> {
    let mut faults = Vec::new();
    let mut look = |path: &str, writes: bool, whole: bool, cause: &Cause| {
        if allowed.iter().any(|a| is_below(path, a)) {
            return;
        }
        if let Some(why) = forbidden(path, writes, whole, cause.what == "nvram") {
            let what = if cause.what.is_empty() { "the domain" } else { cause.what.as_ref() };
            faults.push((cause.clone(), format!("{what}: no guest may have '{path}': {why}")));
        }
    };
    for access in plan.access.iter().filter(|a| !ours(a)) {
        let whole = matches!(access.kind, PathKind::Tree | PathKind::Directory);
        let writes = access.perms.write || access.perms.append;
        look(&access.path, writes, whole, &access.cause);
        if let Some(real) = &access.resolved {
            look(real, writes, whole, &access.cause);
        }
    }
    for file in &plan.files {
        look(&file.path, true, false, &file.cause);
        if let Some(template) = &file.template {
            look(template, false, false, &file.cause);
        }
    }
    faults
}

/// What a default rule grants is not the XML's to choose.
fn ours(access: &Access) -> bool {
    access.cause.line == 0 && access.sharing == Sharing::System
}

/// Why a path is closed; none if it is open.
fn forbidden(path: &str, writes: bool, whole: bool, nvram: bool) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("it is no absolute path, and could mean anything");
    }
    if path.chars().any(|c| c.is_control() && c != '\t') {
        return Some("it holds a control character");
    }
    if path.split('/').any(|part| part == "..") {
        return Some("it holds '..', and could lead anywhere");
    }
    let path = plain(path);
    // Variable stores of other guests: one's own is named as such.
    if path.starts_with("/var/lib/libvirt/qemu/nvram/") && !nvram {
        return Some("it holds the firmware variables of guests");
    }
    // Sockets of other programs on the session's or system's bus, whatever their folder.
    if path.ends_with("/docker.sock") || path.ends_with("system_bus_socket") {
        return Some("a program with all rights listens there");
    }
    if path.starts_with("/home/") && path.split('/').nth(3).is_some_and(|part| part == ".ssh" || part == ".gnupg") {
        return Some("it holds keys");
    }
    let (place, closed) =
        PLACES.iter().rev().filter(|(place, _)| is_below(&path, place)).max_by_key(|(p, _)| p.len())?;
    let itself = path == *place;
    match closed {
        Some(Closed::Entirely) => Some("it belongs to the system"),
        Some(Closed::ForWriting) if writes || (whole && itself) => {
            Some("it belongs to the system, and may only be read")
        }
        Some(Closed::Itself) if itself => Some("it is a folder of the whole system"),
        _ => None,
    }
}

/// The path without repeated slashes, `.` and old spellings (`/var/run` is `/run`).
fn plain(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        out.push('/');
        out.push_str(part);
    }
    if out.is_empty() {
        return "/".to_string();
    }
    match out.strip_prefix("/var/run") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("/run{rest}"),
        _ => out,
    }
}

/// Whether `path` is `place` or below it.
fn is_below(path: &str, place: &str) -> bool {
    place == "/" || path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `<qemu:commandline>`: what would take the confinement apart, or break the unit.
fn handed_through(lx: &mut Lower<'_>) {
    let mut faults: Vec<(Site, String)> = Vec::new();
    for env in &lx.domain.qemu.env {
        let name = env.name.as_str();
        let fits = !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let value = env.value.as_deref().unwrap_or_default();
        if !fits {
            faults.push((env.site, format!("'{name}' is no name of an environment variable")));
        } else if name.starts_with("LD_") || LOADERS.contains(&name) {
            faults.push((env.site, format!("the environment variable '{name}' makes QEMU load other code")));
        } else if value.chars().any(|c| c.is_control()) {
            faults
                .push((env.site, format!("the value of the environment variable '{name}' holds a control character")));
        }
    }
    let args = &lx.domain.qemu.args;
    for (i, arg) in args.iter().enumerate() {
        let next = args.get(i + 1).map(|a| a.value.as_str()).unwrap_or_default();
        // QEMU takes two hyphens for one.
        let switch = arg.value.strip_prefix('-').filter(|s| s.starts_with('-')).unwrap_or(&arg.value);
        let why = match switch {
            "-sandbox" => "the sandbox is virtc's to set",
            "-daemonize" | "-pidfile" => "the unit looks after the process",
            "-chroot" | "-runas" | "-run-with" => "the unit sets the account and the root folder",
            "-incoming" if next.starts_with("exec:") => "it runs a command",
            "-readconfig" | "-plugin" => "it brings in what virtc cannot see",
            _ => continue,
        };
        faults.push((arg.site, format!("'{}' may not be handed through to QEMU: {why}", arg.value)));
    }
    for (site, message) in faults {
        lx.error(&codes::FORBIDDEN_OPTION, site, message)
            .help("leave it out; --target libvirt shows what libvirt does");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (path, writes) in [
            ("/etc/shadow", false),
            ("/etc", false),
            ("/", false),
            ("/usr", false),
            ("/bin/sh", false),
            ("/usr/lib/x86_64-linux-gnu/libc.so.6", true),
            ("/boot/vmlinuz", true),
            ("/usr/share/OVMF/OVMF_CODE.fd", true),
            ("/proc/self/root/etc/shadow", false),
            ("/dev/mem", true),
            ("/dev/shm", true),
            ("/var/run/docker.sock", true),
            ("/srv//../etc/shadow", false),
            ("relative", false),
            ("/a\nb", false),
            ("/home/me/.ssh/id", false),
        ] {
            assert!(forbidden(path, writes, false, false).is_some(), "{path}");
        }
        for (path, writes) in [
            ("/var/lib/libvirt/images/a.img", true),
            ("/boot/vmlinuz", false),
            ("/usr/share/OVMF/OVMF_CODE.fd", false),
            ("/dev/vg/lv", true),
            ("/etcetera", true),
            ("/srv/a b", true),
            ("/dev/shm/x", true),
            ("/home/me/vm.img", true),
        ] {
            assert_eq!(forbidden(path, writes, false, false), None, "{path}");
        }
    }
}
