//! Places of the host that no guest may have.

use crate::plan::{Access, Cause, PathKind, Plan, Sharing};

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
    // Where libvirt-sandbox keeps the configuration of its guests.
    ("/etc/libvirt-sandbox/services", None),
    // Certificates of displays and smart cards.
    ("/etc/pki", Some(Closed::ForWriting)),
    ("/home", Some(Closed::Itself)),
    ("/initrd", Some(Closed::ForWriting)),
    ("/initrd.img", Some(Closed::ForWriting)),
    ("/lib", Some(Closed::Entirely)),
    ("/lib32", Some(Closed::Entirely)),
    ("/lib64", Some(Closed::Entirely)),
    ("/lost+found", Some(Closed::Entirely)),
    ("/opt", Some(Closed::Itself)),
    ("/proc", Some(Closed::Entirely)),
    ("/root", Some(Closed::Itself)),
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
    ("/selinux", Some(Closed::Entirely)),
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
    ("/usr/share", Some(Closed::Entirely)),
    // Firmware, ROMs and drivers for guests.
    ("/usr/share/AAVMF", Some(Closed::ForWriting)),
    ("/usr/share/OVMF", Some(Closed::ForWriting)),
    ("/usr/share/edk2", Some(Closed::ForWriting)),
    ("/usr/share/edk2-ovmf", Some(Closed::ForWriting)),
    ("/usr/share/ipxe", Some(Closed::ForWriting)),
    ("/usr/share/ipxe.efi", Some(Closed::ForWriting)),
    ("/usr/share/openbios", Some(Closed::ForWriting)),
    ("/usr/share/ovmf", Some(Closed::ForWriting)),
    ("/usr/share/qemu", Some(Closed::ForWriting)),
    ("/usr/share/qemu-efi", Some(Closed::ForWriting)),
    ("/usr/share/qemu-efi-aarch64", Some(Closed::ForWriting)),
    ("/usr/share/qemu-efi-loongarch64", Some(Closed::ForWriting)),
    ("/usr/share/qemu-efi-riscv64", Some(Closed::ForWriting)),
    ("/usr/share/qemu-kvm", Some(Closed::ForWriting)),
    ("/usr/share/seabios", Some(Closed::ForWriting)),
    ("/usr/share/seavgabios", Some(Closed::ForWriting)),
    ("/usr/share/sgabios", Some(Closed::ForWriting)),
    ("/usr/share/slof", Some(Closed::ForWriting)),
    ("/usr/share/vgabios", Some(Closed::ForWriting)),
    ("/usr/share/virtio-win", Some(Closed::ForWriting)),
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
    ("/vmlinuz", Some(Closed::ForWriting)),
];

/// Every access that no guest may have.
pub fn paths(plan: &Plan, allowed: &[String]) -> Vec<(Cause, String)> {
    let mut faults = Vec::new();
    let mut look = |path: &str, writes: bool, whole: bool, cause: &Cause| {
        if allowed.iter().any(|a| is_below(path, a)) {
            return;
        }
        if let Some(why) = forbidden(path, writes, whole, &cause.what) {
            let what = if cause.what.is_empty() { "the domain" } else { cause.what.as_ref() };
            faults.push((cause.clone(), format!("{what}: no guest may have '{path}': {why}")));
        }
    };
    for access in plan.access.iter().filter(|a| !ours(a)) {
        let whole = matches!(access.kind, PathKind::Tree | PathKind::Files | PathKind::Directory);
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

/// Why a guest may not have what a path really leads to (`target`, without links) on some host; none if it may.
pub fn closed(access: &Access, target: &str, allowed: &[String]) -> Option<&'static str> {
    let open = |path: &str| allowed.iter().any(|a| is_below(path, a));
    if ours(access) || open(target) || open(&access.path) {
        return None;
    }
    let whole = matches!(access.kind, PathKind::Tree | PathKind::Files | PathKind::Directory);
    forbidden(target, access.perms.write || access.perms.append, whole, &access.cause.what)
}

/// Why a path is closed for what it is used for; none if it is open.
fn forbidden(path: &str, writes: bool, whole: bool, what: &str) -> Option<&'static str> {
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
    if path.starts_with("/var/lib/libvirt/qemu/nvram/") && what != "nvram" {
        return Some("it holds the firmware variables of guests");
    }
    // Sockets of other programs on the session's or system's bus, whatever their folder.
    if path.ends_with("/docker.sock") || path.ends_with("system_bus_socket") {
        return Some("a program with all rights listens there");
    }
    // Keys, and what its shell starts. The X server's cookie is in the table.
    if path.starts_with("/root/.") && !path.starts_with("/root/.X") {
        return Some("it holds what root logs in with");
    }
    if path.starts_with("/home/") && path.split('/').nth(3).is_some_and(|part| part == ".ssh" || part == ".gnupg") {
        return Some("it holds keys");
    }
    // What is an option ROM by its name holds no secret, wherever it is.
    let rom = [".rom", ".bin", ".efirom"].iter().any(|end| path.ends_with(end));
    if what == "option ROM" && !writes && rom && !path.starts_with("/proc/") && !path.starts_with("/sys/") {
        return None;
    }
    // Kernels of the host and their RAM disks, whatever their version; firmware of another architecture.
    let numbered = ["/vmlinuz", "/initrd", "/usr/lib/riscv64-linux-gnu/opensbi"];
    if let Some(rest) = numbered.iter().find_map(|start| path.strip_prefix(start))
        && !rest.starts_with('/')
    {
        return writes.then_some("it belongs to the system, and may only be read");
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
            ("/root", false),
            ("/root/.bashrc", true),
            ("/root/.ssh/id", false),
            ("/initrd.img", true),
        ] {
            assert!(forbidden(path, writes, false, "disk").is_some(), "{path}");
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
            ("/root/boot.iso", false),
            ("/initrd.img", false),
        ] {
            assert_eq!(forbidden(path, writes, false, "disk"), None, "{path}");
        }
    }
}
