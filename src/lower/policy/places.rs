//! Places of the host that no guest may have.

use crate::plan::{Access, Cause, PathKind, Plan, Sharing, Use};

/// How far a place is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// Whatever is below, and the folder itself.
    Entirely,
    /// To writing, and as a whole.
    ForWriting,
    /// To writing.
    ReadOnly,
    /// The folder itself, as a whole; what is below may be had.
    Itself,
    /// To what the XML names; virtc itself hands it out to those devices that are made of it.
    ToNames,
    /// To disks: a node without end, or without contents.
    ToDisks,
}

/// The places, sorted. The longest match counts, so that a place can be opened inside a closed one.
const PLACES: &[(&str, Option<Closed>)] = &[
    ("/", Some(Closed::Itself)),
    ("/bin", Some(Closed::Entirely)),
    ("/boot", Some(Closed::ForWriting)),
    ("/cgroup", Some(Closed::Entirely)),
    ("/dev", Some(Closed::Itself)),
    ("/dev/btrfs-control", Some(Closed::Entirely)),
    ("/dev/bus", Some(Closed::Itself)),
    ("/dev/bus/usb", Some(Closed::Itself)),
    ("/dev/console", Some(Closed::Entirely)),
    ("/dev/core", Some(Closed::Entirely)),
    ("/dev/cpu", Some(Closed::Entirely)),
    ("/dev/cpu_dma_latency", Some(Closed::Entirely)),
    ("/dev/disk", Some(Closed::Itself)),
    ("/dev/dri", Some(Closed::Itself)),
    ("/dev/fd", Some(Closed::Entirely)),
    ("/dev/full", Some(Closed::ToDisks)),
    ("/dev/fuse", Some(Closed::ToNames)),
    ("/dev/hpet", Some(Closed::ToNames)),
    ("/dev/initctl", Some(Closed::Entirely)),
    ("/dev/input", Some(Closed::Itself)),
    ("/dev/iommu", Some(Closed::ToNames)),
    ("/dev/ipmi0", Some(Closed::Entirely)),
    ("/dev/kmem", Some(Closed::Entirely)),
    ("/dev/kmsg", Some(Closed::Entirely)),
    ("/dev/kvm", Some(Closed::ToNames)),
    ("/dev/log", Some(Closed::Entirely)),
    ("/dev/loop-control", Some(Closed::Entirely)),
    ("/dev/mapper", Some(Closed::Itself)),
    ("/dev/mapper/control", Some(Closed::Entirely)),
    ("/dev/mei0", Some(Closed::Entirely)),
    ("/dev/mem", Some(Closed::Entirely)),
    ("/dev/msr", Some(Closed::Entirely)),
    ("/dev/net", Some(Closed::Itself)),
    ("/dev/net/tun", Some(Closed::ToNames)),
    ("/dev/null", Some(Closed::ToDisks)),
    ("/dev/nvram", Some(Closed::Entirely)),
    ("/dev/oldmem", Some(Closed::Entirely)),
    ("/dev/port", Some(Closed::Entirely)),
    ("/dev/ptmx", Some(Closed::ToNames)),
    ("/dev/pts", Some(Closed::Itself)),
    ("/dev/random", Some(Closed::ToDisks)),
    ("/dev/rtc", Some(Closed::ToNames)),
    ("/dev/rtc0", Some(Closed::ToNames)),
    ("/dev/sev", Some(Closed::ToNames)),
    ("/dev/sgx_provision", Some(Closed::ToNames)),
    ("/dev/sgx_vepc", Some(Closed::ToNames)),
    ("/dev/shm", Some(Closed::Itself)),
    ("/dev/snapshot", Some(Closed::Entirely)),
    ("/dev/stderr", Some(Closed::Entirely)),
    ("/dev/stdin", Some(Closed::Entirely)),
    ("/dev/stdout", Some(Closed::Entirely)),
    ("/dev/tty", Some(Closed::Entirely)),
    ("/dev/tty0", Some(Closed::Entirely)),
    ("/dev/udmabuf", Some(Closed::ToNames)),
    ("/dev/uinput", Some(Closed::Entirely)),
    ("/dev/urandom", Some(Closed::ToDisks)),
    ("/dev/userfaultfd", Some(Closed::ToNames)),
    ("/dev/vcs", Some(Closed::Entirely)),
    ("/dev/vcsa", Some(Closed::Entirely)),
    ("/dev/vfio", Some(Closed::Itself)),
    ("/dev/vfio/vfio", Some(Closed::ToNames)),
    ("/dev/vhost-net", Some(Closed::ToNames)),
    ("/dev/vhost-scsi", Some(Closed::ToNames)),
    ("/dev/vhost-vsock", Some(Closed::ToNames)),
    ("/dev/watchdog", Some(Closed::Entirely)),
    ("/dev/watchdog0", Some(Closed::Entirely)),
    ("/dev/zero", Some(Closed::ToDisks)),
    ("/etc", Some(Closed::Entirely)),
    // Where clusters and their keys are named.
    ("/etc/ceph", Some(Closed::ReadOnly)),
    // Where libvirt-sandbox keeps the configuration of its guests.
    ("/etc/libvirt-sandbox/services", None),
    // Where Unraid keeps variable stores.
    ("/etc/libvirt/qemu/nvram", None),
    // Certificates of displays and smart cards.
    ("/etc/pki", Some(Closed::ForWriting)),
    ("/home", Some(Closed::Itself)),
    ("/initrd", Some(Closed::ForWriting)),
    ("/initrd.img", Some(Closed::ForWriting)),
    ("/lib", Some(Closed::Entirely)),
    ("/lib32", Some(Closed::Entirely)),
    ("/lib64", Some(Closed::Entirely)),
    ("/lost+found", Some(Closed::Entirely)),
    ("/media", Some(Closed::Itself)),
    ("/mnt", Some(Closed::Itself)),
    ("/opt", Some(Closed::Itself)),
    ("/proc", Some(Closed::Entirely)),
    // Only root gets in there, and no guest runs as root.
    ("/root", Some(Closed::ForWriting)),
    ("/root/.Xauthority", Some(Closed::ForWriting)),
    ("/run", Some(Closed::Itself)),
    ("/run/acpid.socket", Some(Closed::Entirely)),
    ("/run/buildkit", Some(Closed::Entirely)),
    ("/run/containerd", Some(Closed::Entirely)),
    ("/run/credentials", Some(Closed::Entirely)),
    ("/run/cri-dockerd.sock", Some(Closed::Entirely)),
    ("/run/crio", Some(Closed::Entirely)),
    ("/run/crond.pid", Some(Closed::Entirely)),
    ("/run/cups", Some(Closed::Entirely)),
    ("/run/dbus", Some(Closed::Entirely)),
    ("/run/docker.sock", Some(Closed::Entirely)),
    ("/run/dockershim.sock", Some(Closed::Entirely)),
    ("/run/incus", Some(Closed::Entirely)),
    ("/run/initctl", Some(Closed::Entirely)),
    ("/run/k3s", Some(Closed::Entirely)),
    ("/run/libvirt", Some(Closed::Itself)),
    ("/run/libvirt/libvirt-admin-sock", Some(Closed::Entirely)),
    ("/run/libvirt/libvirt-sock", Some(Closed::Entirely)),
    ("/run/libvirt/libvirt-sock-ro", Some(Closed::Entirely)),
    ("/run/libvirt/virtlockd-sock", Some(Closed::Entirely)),
    ("/run/libvirt/virtlogd-sock", Some(Closed::Entirely)),
    ("/run/libvirt/virtnetworkd-sock", Some(Closed::Entirely)),
    ("/run/libvirt/virtnodedevd-sock", Some(Closed::Entirely)),
    ("/run/libvirt/virtproxyd-sock", Some(Closed::Entirely)),
    ("/run/libvirt/virtqemud-admin-sock", Some(Closed::Entirely)),
    ("/run/libvirt/virtqemud-sock", Some(Closed::Entirely)),
    ("/run/libvirt/virtqemud-sock-ro", Some(Closed::Entirely)),
    ("/run/libvirt/virtsecretd-sock", Some(Closed::Entirely)),
    ("/run/libvirt/virtstoraged-sock", Some(Closed::Entirely)),
    ("/run/lock", Some(Closed::Itself)),
    ("/run/log", Some(Closed::Entirely)),
    ("/run/lvm", Some(Closed::Entirely)),
    ("/run/lxcfs", Some(Closed::Entirely)),
    ("/run/lxd.socket", Some(Closed::Entirely)),
    ("/run/media", Some(Closed::Itself)),
    ("/run/mount", Some(Closed::Entirely)),
    ("/run/multipathd.sock", Some(Closed::Entirely)),
    ("/run/netns", Some(Closed::Entirely)),
    ("/run/podman", Some(Closed::Entirely)),
    ("/run/polkit", Some(Closed::Entirely)),
    ("/run/rpcbind.sock", Some(Closed::Entirely)),
    ("/run/shm", Some(Closed::Itself)),
    ("/run/snapd-snap.socket", Some(Closed::Entirely)),
    ("/run/snapd.socket", Some(Closed::Entirely)),
    ("/run/sudo", Some(Closed::Entirely)),
    ("/run/systemd", Some(Closed::Entirely)),
    ("/run/udev", Some(Closed::Entirely)),
    ("/run/user", Some(Closed::Itself)),
    ("/run/uuidd", Some(Closed::Entirely)),
    ("/run/vhost", Some(Closed::Itself)),
    ("/run/virtc", Some(Closed::Entirely)),
    ("/sbin", Some(Closed::Entirely)),
    ("/selinux", Some(Closed::Entirely)),
    ("/srv", Some(Closed::Itself)),
    ("/swapfile", Some(Closed::Entirely)),
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
    ("/var/backups", Some(Closed::Itself)),
    ("/var/cache", Some(Closed::Itself)),
    ("/var/lib", Some(Closed::Itself)),
    ("/var/lib/AccountsService", Some(Closed::Entirely)),
    ("/var/lib/NetworkManager", Some(Closed::Entirely)),
    ("/var/lib/apt", Some(Closed::Entirely)),
    ("/var/lib/containers", Some(Closed::Itself)),
    ("/var/lib/docker", Some(Closed::Entirely)),
    ("/var/lib/dpkg", Some(Closed::Entirely)),
    ("/var/lib/etcd", Some(Closed::Entirely)),
    ("/var/lib/incus", Some(Closed::Entirely)),
    ("/var/lib/kubelet", Some(Closed::Entirely)),
    ("/var/lib/libvirt", Some(Closed::Itself)),
    ("/var/lib/libvirt/images", Some(Closed::Itself)),
    ("/var/lib/libvirt/qemu", Some(Closed::Itself)),
    ("/var/lib/libvirt/secrets", Some(Closed::Entirely)),
    ("/var/lib/lxd", Some(Closed::Entirely)),
    ("/var/lib/pacman", Some(Closed::Entirely)),
    ("/var/lib/polkit-1", Some(Closed::Entirely)),
    ("/var/lib/rpm", Some(Closed::Entirely)),
    ("/var/lib/snapd", Some(Closed::Entirely)),
    ("/var/lib/sss", Some(Closed::Entirely)),
    ("/var/lib/sudo", Some(Closed::Entirely)),
    ("/var/lib/systemd", Some(Closed::Entirely)),
    ("/var/lib/virtc", Some(Closed::Entirely)),
    ("/var/log", Some(Closed::Itself)),
    ("/var/log/audit", Some(Closed::Entirely)),
    ("/var/log/auth.log", Some(Closed::Entirely)),
    ("/var/log/btmp", Some(Closed::Entirely)),
    ("/var/log/journal", Some(Closed::Entirely)),
    ("/var/log/kern.log", Some(Closed::Entirely)),
    ("/var/log/lastlog", Some(Closed::Entirely)),
    ("/var/log/messages", Some(Closed::Entirely)),
    ("/var/log/secure", Some(Closed::Entirely)),
    ("/var/log/syslog", Some(Closed::Entirely)),
    ("/var/log/wtmp", Some(Closed::Entirely)),
    ("/var/mail", Some(Closed::Itself)),
    ("/var/snap", Some(Closed::Entirely)),
    ("/var/spool", Some(Closed::Itself)),
    ("/var/spool/at", Some(Closed::Entirely)),
    ("/var/spool/cron", Some(Closed::Entirely)),
    ("/var/tmp", Some(Closed::Itself)),
    ("/vmlinuz", Some(Closed::ForWriting)),
];

/// What a path is used for.
struct Usage {
    kind: PathKind,
    writes: bool,
    sharing: Sharing,
    of: Use,
}

impl Usage {
    fn of(access: &Access) -> Usage {
        Usage {
            kind: access.kind,
            writes: access.perms.write || access.perms.append,
            sharing: access.sharing,
            of: access.usage,
        }
    }
}

/// Every access that no guest may have.
pub fn paths(plan: &Plan, allowed: &[String]) -> Vec<(Cause, String)> {
    let mut faults = Vec::new();
    let mut look = |path: &str, usage: Usage, cause: &Cause| {
        if allowed.iter().any(|a| is_below(path, a)) || own(plan, path) {
            return;
        }
        if let Some(why) = forbidden(path, &usage) {
            let what = if cause.what.is_empty() { "the domain" } else { cause.what.as_ref() };
            faults.push((cause.clone(), format!("{what}: no guest may have '{path}': {why}")));
        }
    };
    for access in plan.access.iter().filter(|a| !ours(a)) {
        look(&access.path, Usage::of(access), &access.cause);
        if let Some(real) = &access.resolved {
            look(real, Usage::of(access), &access.cause);
        }
    }
    for file in &plan.files {
        let usage = |writes| Usage { kind: PathKind::File, writes, sharing: Sharing::Exclusive, of: file.usage };
        look(&file.path, usage(true), &file.cause);
        if let Some(template) = &file.template {
            look(template, usage(false), &file.cause);
        }
    }
    faults
}

/// What a default rule grants is not the XML's to choose.
fn ours(access: &Access) -> bool {
    access.cause.line == 0 && access.sharing == Sharing::System
}

/// Whether a path is in the domain's own folders, among those that virtc makes for its domains.
fn own(plan: &Plan, path: &str) -> bool {
    let made = |folder: &str| is_below(folder, "/run/virtc") || is_below(folder, "/var/lib/virtc");
    let plain = || !path.split('/').any(|part| part == "..");
    made(path)
        && plain()
        && (plan.directories.iter().any(|d| made(&d.path) && is_below(path, &d.path))
            || path.strip_prefix("/var/lib/virtc/").is_some_and(|rest| is_below(rest, &plan.name)))
}

/// Why a guest may not have what a path really leads to (`target`, without links) on some host; none if it may.
#[cfg(feature = "host")]
pub fn closed(plan: &Plan, access: &Access, target: &str, allowed: &[String]) -> Option<&'static str> {
    let open = |path: &str| allowed.iter().any(|a| is_below(path, a));
    if ours(access) || open(target) || open(&access.path) || own(plan, target) {
        return None;
    }
    forbidden(target, &Usage::of(access))
}

/// Why a path is closed for what it is used for; none if it is open.
fn forbidden(path: &str, usage: &Usage) -> Option<&'static str> {
    let whole = matches!(usage.kind, PathKind::Tree | PathKind::Files | PathKind::Directory);
    if !path.starts_with('/') {
        return Some("it is no absolute path, and could mean anything");
    }
    if path.chars().any(|c| c.is_control() && c != '\t') {
        return Some("it holds a control character");
    }
    if path.split('/').any(|part| part == "..") {
        return Some("it holds '..', and could lead anywhere");
    }
    if !whole && path.ends_with('/') {
        return Some("it is a folder by its name");
    }
    let path = plain(path);
    // Variable stores of other guests: one's own is named as such.
    let stores = ["/var/lib/libvirt/qemu/nvram/", "/var/lib/libvirt/qemu/varstore/"];
    if stores.iter().any(|folder| path.starts_with(folder)) && usage.of != Use::Nvram {
        return Some("it holds the firmware variables of guests");
    }
    // Sockets of other programs on the session's or system's bus, whatever their folder.
    let daemon = ["/docker.sock", "system_bus_socket", "/containerd.sock", "/podman.sock", "/lxd/unix.socket"];
    if daemon.iter().any(|end| path.ends_with(end)) {
        return Some("a program with all rights listens there");
    }
    // Keys, and what its shell starts. The X server's cookie is in the table.
    if path == "/root" || (path.starts_with("/root/.") && !path.starts_with("/root/.X")) {
        return Some("it holds what root logs in with");
    }
    if let Some(why) = of_a_user(&path) {
        return Some(why);
    }
    // What is an option ROM by its name holds no secret, wherever it is.
    let rom = [".rom", ".bin", ".efirom"].iter().any(|end| path.ends_with(end));
    if usage.of == Use::OptionRom && !usage.writes && rom && !is_below(&path, "/proc") && !is_below(&path, "/sys") {
        return None;
    }
    // Kernels of the host and their RAM disks, whatever their version; firmware of another architecture.
    let numbered = ["/vmlinuz", "/initrd", "/usr/lib/riscv64-linux-gnu/opensbi"];
    if let Some(rest) = numbered.iter().find_map(|start| path.strip_prefix(start))
        && !rest.starts_with('/')
    {
        return usage.writes.then_some("it belongs to the system, and may only be read");
    }
    let (place, closed) = place(&path)?;
    let itself = path == place;
    match closed {
        Closed::Entirely => Some("it belongs to the system"),
        Closed::ForWriting if usage.writes || (whole && itself) => {
            Some("it belongs to the system, and may only be read")
        }
        Closed::ReadOnly if usage.writes => Some("it belongs to the system, and may only be read"),
        // Host devices whose node is not known get the folder of their kind.
        // A render node is looked for in its folder.
        Closed::Itself if itself && !matches!(usage.of, Use::HostDevice | Use::Gpu) => {
            Some("it is a folder of the whole system")
        }
        // No name of a host device is the XML's own: its node follows from its address.
        Closed::ToNames if usage.sharing != Sharing::System && usage.of != Use::HostDevice => {
            Some("the devices that need it get it without being asked")
        }
        Closed::ToDisks if usage.of == Use::Disk => Some("it is no disk"),
        _ => None,
    }
}

/// The innermost listed place that a path is in.
fn place(path: &str) -> Option<(&'static str, Closed)> {
    let mut end = path.len();
    loop {
        let prefix = if end == 0 { "/" } else { &path[..end] };
        if let Ok(at) = PLACES.binary_search_by_key(&prefix, |(place, _)| place) {
            let (place, closed) = PLACES[at];
            return closed.map(|closed| (place, closed));
        }
        if end == 0 {
            return None;
        }
        end = path[..end].rfind('/')?;
    }
}

/// Hidden folders that are there for keys and logins.
const KEYS: &[&str] = &[".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".mozilla", ".password-store", ".pki"];

/// Whether a file is, by its name, an image of a disk or of firmware.
fn is_image(path: &str) -> bool {
    const ENDS: &[&str] = &["qcow2", "qcow", "img", "iso", "raw", "vmdk", "vdi", "vhd", "vhdx", "qed", "fd", "rom"];
    let file = path.rsplit('/').next().unwrap_or_default();
    let end = file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, end)| end.to_ascii_lowercase());
    end.is_some_and(|end| ENDS.contains(&end.as_str()))
}

/// Why a path in a user's own folders is closed: keys and logins are in hidden ones, and the programs of the
/// session listen in the run-time folder.
fn of_a_user(path: &str) -> Option<&'static str> {
    let mut parts = path.split('/').skip(1);
    match (parts.next()?, parts.next()?, parts.next()?) {
        ("home", _, hidden) if hidden.starts_with('.') => {
            let open = match hidden {
                ".local" | ".cache" | ".var" => true,
                ".config" => parts.next().is_some_and(|folder| matches!(folder, "libvirt" | "virtc")),
                // People keep images in hidden folders of their own; what is named like one holds no key.
                _ => !KEYS.contains(&hidden) && is_image(path),
            };
            (!open).then_some("it is in a hidden folder of a user, where keys and logins are")
        }
        ("run", "user", _) => {
            let what = parts.next()?;
            let bus = matches!(what, "bus" | "systemd" | "gnupg" | "keyring" | "docker.sock" | "podman" | "dbus-1");
            (bus || what.starts_with("ssh-")).then_some("a program of the user listens there")
        }
        _ => None,
    }
}

/// The path without repeated slashes, `.` and old spellings (`/var/run` is `/run`).
pub(super) fn plain(path: &str) -> String {
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
pub(super) fn is_below(path: &str, place: &str) -> bool {
    place == "/" || path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(writes: bool) -> Usage {
        Usage { kind: PathKind::File, writes, sharing: Sharing::Exclusive, of: Use::Disk }
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(PLACES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(place("/sys/devices/x"), None);
        assert_eq!(place("/etcetera"), Some(("/", Closed::Itself)));
    }

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
            ("/home/me/.kube/config", false),
            ("/srv/images/", true),
            ("/dev/null", true),
            ("/dev/kvm", true),
            ("/run/user/1000/bus", true),
            ("/run/virtc/other/monitor.sock", true),
            ("/root", false),
            ("/root/.bashrc", true),
            ("/root/.ssh/id", false),
            ("/initrd.img", true),
        ] {
            assert!(forbidden(path, &usage(writes)).is_some(), "{path}");
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
            ("/home/me/.local/share/libvirt/images/a", true),
            ("/run/user/1000/vm.sock", true),
            ("/root/boot.iso", false),
            ("/initrd.img", false),
        ] {
            assert_eq!(forbidden(path, &usage(writes)), None, "{path}");
        }
    }
}
