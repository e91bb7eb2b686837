//! Places of the host that no guest may have: the folders of the system, but for those in which images and sockets of guests lie.
//! Nodes below `/dev` are judged in `devices`, names that hold secrets wherever they are in `secrets`.

use super::{devices, secrets};
use crate::plan::{Access, Cause, PathKind, Plan, Sharing, Use};
use crate::vocab::before;

/// How far a place is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// Whatever is below, and the folder itself.
    Entirely,
    /// To writing, and as a whole.
    ForWriting,
    /// To what a guest sees the contents of; programs read certificates and configuration there.
    ToContents,
    /// The folder itself, as a whole; what is below may be had.
    Itself,
}

/// The places, sorted. The longest match counts, so that a place can be opened inside a closed one. What no line names, a
/// folder of the administrator's own such as `/data` or `/tank/vm`, is open.
const PLACES: &[(&str, Closed)] = &[
    ("/", Closed::Itself),
    ("/.snapshots", Closed::Entirely),
    ("/bin", Closed::Entirely),
    ("/boot", Closed::ForWriting),
    ("/cgroup", Closed::Entirely),
    ("/dev", Closed::Entirely),
    ("/efi", Closed::Entirely),
    ("/esp", Closed::Entirely),
    ("/etc", Closed::Entirely),
    // Where clusters and their keys are named.
    ("/etc/ceph", Closed::ToContents),
    // Where libvirt-sandbox keeps the configuration of its guests.
    ("/etc/libvirt-sandbox/services", Closed::Itself),
    // Where Unraid keeps variable stores.
    ("/etc/libvirt/qemu/nvram", Closed::Itself),
    // Certificates of displays and smart cards.
    ("/etc/pki", Closed::ToContents),
    ("/gnu/store", Closed::ForWriting),
    ("/home", Closed::Itself),
    ("/initrd", Closed::ForWriting),
    ("/initrd.img", Closed::ForWriting),
    ("/lib", Closed::Entirely),
    ("/lib32", Closed::Entirely),
    ("/lib64", Closed::Entirely),
    ("/lost+found", Closed::Entirely),
    ("/media", Closed::Itself),
    ("/mnt", Closed::Itself),
    ("/nix/store", Closed::ForWriting),
    ("/nix/var", Closed::Entirely),
    ("/opt", Closed::Itself),
    ("/ostree", Closed::Entirely),
    ("/proc", Closed::Entirely),
    ("/root", Closed::ForWriting),
    ("/run", Closed::Entirely),
    // Where NixOS has the firmware.
    ("/run/libvirt/nix-ovmf", Closed::ForWriting),
    // Channels of guests; those of others are told apart by name.
    ("/run/libvirt/qemu", Closed::Itself),
    ("/run/media", Closed::Itself),
    // Its own sockets are closed by name.
    ("/run/openvswitch", Closed::Itself),
    ("/run/qemu", Closed::Itself),
    ("/run/qemu-server", Closed::Itself),
    ("/run/shm", Closed::Itself),
    ("/run/spdk", Closed::Itself),
    ("/run/swtpm", Closed::Itself),
    ("/run/tdx-qgs", Closed::Itself),
    ("/run/user", Closed::Itself),
    ("/run/vhost", Closed::Itself),
    ("/run/vhost-user", Closed::Itself),
    ("/run/vpp", Closed::Itself),
    ("/sbin", Closed::Entirely),
    ("/selinux", Closed::Entirely),
    ("/snap", Closed::Entirely),
    ("/srv", Closed::Itself),
    ("/swap.img", Closed::Entirely),
    ("/swapfile", Closed::Entirely),
    ("/sys", Closed::Entirely),
    ("/sys/kernel/config/target/vhost", Closed::Itself),
    ("/sysroot", Closed::Entirely),
    ("/tmp", Closed::Itself),
    ("/usr", Closed::Entirely),
    ("/usr/lib/riscv64-linux-gnu/opensbi", Closed::ForWriting),
    ("/usr/lib/u-boot", Closed::ForWriting),
    ("/usr/local/share", Closed::ForWriting),
    ("/usr/share", Closed::Entirely),
    // Firmware, ROMs and drivers for guests.
    ("/usr/share/AAVMF", Closed::ForWriting),
    ("/usr/share/OVMF", Closed::ForWriting),
    ("/usr/share/edk2", Closed::ForWriting),
    ("/usr/share/edk2-ovmf", Closed::ForWriting),
    ("/usr/share/ipxe", Closed::ForWriting),
    ("/usr/share/ipxe.efi", Closed::ForWriting),
    ("/usr/share/openbios", Closed::ForWriting),
    ("/usr/share/ovmf", Closed::ForWriting),
    ("/usr/share/pve-edk2-firmware", Closed::ForWriting),
    ("/usr/share/qemu", Closed::ForWriting),
    ("/usr/share/qemu-efi", Closed::ForWriting),
    ("/usr/share/qemu-efi-aarch64", Closed::ForWriting),
    ("/usr/share/qemu-efi-loongarch64", Closed::ForWriting),
    ("/usr/share/qemu-efi-riscv64", Closed::ForWriting),
    ("/usr/share/qemu-kvm", Closed::ForWriting),
    ("/usr/share/seabios", Closed::ForWriting),
    ("/usr/share/seavgabios", Closed::ForWriting),
    ("/usr/share/sgabios", Closed::ForWriting),
    ("/usr/share/slof", Closed::ForWriting),
    ("/usr/share/vgabios", Closed::ForWriting),
    ("/usr/share/virtio-win", Closed::ForWriting),
    ("/var", Closed::Entirely),
    ("/var/home", Closed::Itself),
    ("/var/images", Closed::Itself),
    ("/var/kvm", Closed::Itself),
    // Where packages keep the images of guests.
    ("/var/lib/images", Closed::Itself),
    ("/var/lib/kvm", Closed::Itself),
    ("/var/lib/libvirt", Closed::Itself),
    ("/var/lib/libvirt/boot", Closed::Itself),
    ("/var/lib/libvirt/dnsmasq", Closed::Entirely),
    ("/var/lib/libvirt/filesystems", Closed::Itself),
    ("/var/lib/libvirt/images", Closed::Itself),
    ("/var/lib/libvirt/isos", Closed::Itself),
    ("/var/lib/libvirt/lockd", Closed::Entirely),
    ("/var/lib/libvirt/network", Closed::Entirely),
    ("/var/lib/libvirt/qemu", Closed::Itself),
    ("/var/lib/libvirt/qemu/save", Closed::Entirely),
    ("/var/lib/libvirt/qemu/snapshot", Closed::Entirely),
    ("/var/lib/libvirt/sanlock", Closed::Entirely),
    ("/var/lib/libvirt/secrets", Closed::Entirely),
    ("/var/lib/libvirt/swtpm", Closed::Entirely),
    ("/var/lib/nova/instances", Closed::Itself),
    ("/var/lib/one", Closed::Itself),
    ("/var/lib/qemu", Closed::Itself),
    ("/var/lib/vm", Closed::Itself),
    ("/var/lib/vms", Closed::Itself),
    ("/var/lib/vz", Closed::Itself),
    ("/var/lib/xen/images", Closed::Itself),
    ("/var/log/kvm", Closed::Itself),
    ("/var/log/libvirt", Closed::Itself),
    ("/var/log/qemu", Closed::Itself),
    ("/var/log/virtc", Closed::Itself),
    ("/var/log/vm", Closed::Itself),
    ("/var/log/vms", Closed::Itself),
    ("/var/mnt", Closed::Itself),
    ("/var/opt", Closed::Itself),
    ("/var/srv", Closed::Itself),
    ("/var/tmp", Closed::Itself),
    ("/var/vm", Closed::Itself),
    ("/var/vms", Closed::Itself),
    ("/vmlinuz", Closed::ForWriting),
];

/// What a path is used for.
pub(super) struct Usage<'a> {
    pub(super) kind: PathKind,
    pub(super) writes: bool,
    pub(super) sharing: Sharing,
    pub(super) of: Use,
    /// The name of the domain.
    pub(super) domain: &'a str,
}

impl<'a> Usage<'a> {
    fn of(access: &'a Access, plan: &'a Plan) -> Usage<'a> {
        Usage {
            kind: access.kind,
            writes: access.perms.write || access.perms.append,
            sharing: access.sharing,
            of: access.usage,
            domain: &plan.name,
        }
    }

    /// Whether it is a folder with what is in it.
    pub(super) fn whole(&self) -> bool {
        matches!(self.kind, PathKind::Tree | PathKind::Files | PathKind::Directory)
    }

    /// Whether the guest sees what is in a file, or speaks to what listens: a disk, a port, a file handed to the firmware.
    pub(super) fn shows_contents(&self) -> bool {
        !self.of_tpm()
            && !matches!(
                self.of,
                Use::Credentials | Use::SmartCard | Use::DiskConfiguration | Use::Audio | Use::Display
            )
    }

    /// Whether it is a TPM's, emulated or not.
    pub(super) fn of_tpm(&self) -> bool {
        matches!(self.of, Use::Tpm | Use::TpmState)
    }
}

/// Every access that no guest may have. Of a domain with other faults, a path may be missing, which was told already.
pub fn paths(plan: &Plan, allowed: &[String], has_faults: bool) -> Vec<(Cause, String)> {
    let mut faults = Vec::new();
    let mut look = |path: &str, usage: Usage, cause: &Cause| {
        if consented(path, allowed) || own(plan, path) || (has_faults && path.is_empty()) {
            return;
        }
        if let Some(why) = forbidden(path, &usage) {
            let what = if cause.what.is_empty() { "the domain" } else { cause.what.as_ref() };
            faults.push((cause.clone(), format!("{what}: no guest may have '{path}': {why}")));
        }
    };
    for access in plan.access.iter().filter(|a| !ours(a)) {
        look(&access.path, Usage::of(access, plan), &access.cause);
        if let Some(real) = &access.resolved {
            look(real, Usage::of(access, plan), &access.cause);
        }
    }
    for file in &plan.files {
        let (of, domain) = (file.usage, &*plan.name);
        let usage = |writes| Usage { kind: PathKind::File, writes, sharing: Sharing::Exclusive, of, domain };
        look(&file.path, usage(true), &file.cause);
        // Root reads it: it is a file, no disk.
        if let Some(template) = &file.template {
            look(template, Usage { of: Use::Boot, ..usage(false) }, &file.cause);
        }
    }
    for inherited in &plan.inherited {
        let (kind, sharing, domain) = (PathKind::File, Sharing::Exclusive, &*plan.name);
        let usage = Usage { kind, writes: true, sharing, of: Use::TpmState, domain };
        look(&inherited.path, usage, &inherited.cause);
    }
    // Root copies it: nothing else than the state of a TPM is libvirt's to leave.
    let legacy = |path: &str| path.starts_with("/var/lib/libvirt/swtpm/") && !path.contains("/../");
    let strange = plan.inherited.iter().filter(|i| !legacy(&i.from));
    faults.extend(strange.map(|i| (i.cause.clone(), format!("no guest may inherit '{}'", i.from))));
    faults
}

/// Why a path is closed that stands in a text which is handed on as it is, and which nothing is granted for.
pub(super) fn mentioned(plan: &Plan, path: &str, of: Use, kind: PathKind, allowed: &[String]) -> Option<&'static str> {
    if consented(path, allowed) || own(plan, path) {
        return None;
    }
    // Whether it is written nobody can tell; who only reads gets in further.
    forbidden(path, &Usage { kind, writes: false, sharing: Sharing::Exclusive, of, domain: &plan.name })
}

/// Whether the host facts open a path. Nobody knows where one with `..` leads.
fn consented(path: &str, allowed: &[String]) -> bool {
    !path.split('/').any(|part| part == "..") && allowed.iter().any(|a| is_below(path, a))
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
    let open = |path: &str| consented(path, allowed);
    if ours(access) || open(target) || open(&access.path) || own(plan, target) {
        return None;
    }
    forbidden(target, &Usage::of(access, plan))
}

/// Why a path is closed for what it is used for; none if it is open.
fn forbidden(path: &str, usage: &Usage<'_>) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("it is no absolute path, and could mean anything");
    }
    if path.chars().any(|c| c.is_control() && c != '\t') {
        return Some("it holds a control character");
    }
    if path.split('/').any(|part| part == "..") {
        return Some("it holds '..', and could lead anywhere");
    }
    if !usage.whole() && path.ends_with('/') {
        return Some("it is a folder by its name");
    }
    let path = plain(path);
    // Variable stores of other guests: one's own is named as such.
    let stores = ["/var/lib/libvirt/qemu/nvram/", "/var/lib/libvirt/qemu/varstore/"];
    if stores.iter().any(|folder| path.starts_with(folder)) && usage.of != Use::Nvram {
        return Some("it holds the firmware variables of guests");
    }
    // What is an option ROM by its name holds no secret, wherever it is.
    let rom = [".rom", ".bin", ".efirom"].iter().any(|end| path.ends_with(end));
    if usage.of == Use::OptionRom && !usage.writes && rom && !is_below(&path, "/proc") && !is_below(&path, "/sys") {
        return None;
    }
    if let Some(why) = secrets::closed(&path, usage) {
        return Some(why);
    }
    if path != "/dev" && is_below(&path, "/dev") {
        return devices::closed(&path, usage);
    }
    // The cancel file of a TPM, and what devices of the host that are handed over have there.
    if is_below(&path, "/sys") && (usage.of_tpm() || usage.of == Use::HostDevice) {
        return None;
    }
    // Where libvirt keeps the state of TPMs, and where sound servers listen.
    let state = usage.of_tpm() && is_below(&path, "/var/lib/libvirt/swtpm");
    if state || (usage.of == Use::Audio && is_below(&path, "/run")) {
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
        Closed::Entirely if matches!(place, "/var" | "/run") => {
            (!of_machines(&path, usage)).then_some("the programs of the host keep their own files there")
        }
        // Media that a package brings, and the picture behind the boot menu.
        Closed::Entirely
            if place == "/usr/share"
                && !usage.writes
                && !usage.whole()
                && (secrets::is_image(&path) || is_picture(&path)) =>
        {
            None
        }
        Closed::Entirely => Some("it belongs to the system"),
        Closed::ForWriting if usage.writes || (usage.whole() && itself) => {
            Some("it belongs to the system, and may only be read")
        }
        Closed::ToContents if usage.writes => Some("it belongs to the system, and may only be read"),
        Closed::ToContents if usage.shows_contents() && !usage.whole() => {
            Some("keys and configuration of the host lie there")
        }
        // Host devices whose node is not known get the folder of their kind.
        // A render node is looked for in its folder.
        Closed::Itself if itself && !matches!(usage.of, Use::HostDevice | Use::Gpu) => {
            Some("it is a folder of the whole system")
        }
        _ => None,
    }
}

/// Whether a path below `/var` or `/run` is of virtual machines: its folder is called after them, it is an image, or no program of a
/// distribution has a folder of that name.
fn of_machines(path: &str, usage: &Usage<'_>) -> bool {
    if let Some(inner) = path.strip_prefix("/run/") {
        return of_run(inner, usage);
    }
    let words = ["virt", "vm", "qemu", "kvm", "guest", "image", "disk", "vhost", "swtpm"];
    let inner = ["/var/lib/", "/var/log/", "/var/"].iter().find_map(|r| path.strip_prefix(r));
    let folder = inner.map(|inner| before(inner, '/'));
    // virtc's own has a line of its own.
    let named = folder.is_some_and(|folder| folder != "virtc" && words.iter().any(|word| folder.contains(word)));
    let of_var = path.strip_prefix("/var/").and_then(|inner| inner.split('/').next());
    let unknown = of_var.is_some_and(|folder| !OF_VAR.contains(&folder));
    let log = usage.of == Use::Log
        && path.strip_prefix("/var/log/").is_some_and(|name| !name.contains('/') && !is_log_of_the_host(name));
    named || unknown || log || secrets::is_image(path)
}

/// The same below `/run`: sockets that somebody has put into it itself are open; those of the system's programs are known.
fn of_run(inner: &str, usage: &Usage<'_>) -> bool {
    let folder = before(inner, '/');
    if folder == inner {
        return usage.kind == PathKind::Socket && inner.contains("sock") && !secrets::LISTENING.contains(&inner);
    }
    // What managers of machines keep there, KubeVirt and oVirt among them. libvirt's and virtc's own are told apart.
    let words = ["vm", "virt", "qemu", "kvm", "guest", "swtpm", "vhost", "vdsm"];
    let ours = folder == "libvirt" || folder.starts_with("virtc");
    let named = !ours && words.iter().any(|word| folder.contains(word));
    named || (!folder.starts_with("virtc") && usage.of == Use::Disk && secrets::is_image(inner))
}

/// Folders of `/var` that the system and its programs have (file-hierarchy(7), the Filesystem Hierarchy Standard, Debian and Fedora).
const OF_VAR: &[&str] = &[
    "account",
    "adm",
    "backups",
    "cache",
    "cfengine",
    "crash",
    "db",
    "discourse",
    "empty",
    "games",
    "gdm",
    "kerberos",
    "lib",
    "local",
    "lock",
    "log",
    "mail",
    "metrics",
    "named",
    "nis",
    "ossec",
    "preserve",
    "run",
    "snap",
    "spool",
    "tmp",
    "vmail",
    "webmin",
    "www",
    "yp",
];

/// Logs that programs of the host write into `/var/log` itself.
fn is_log_of_the_host(name: &str) -> bool {
    let known = [
        "boot", "btmp", "cron", "debug", "dmesg", "dracut", "error", "faillog", "journal", "kern", "lastlog", "mail",
        "maillog", "messages", "secure", "spooler", "syslog", "tallylog", "utmp", "warn", "wtmp", "yum", "zypper",
    ];
    let stem = name.split_once(['.', '-']).map_or(name, |(stem, _)| stem);
    name.ends_with(".log") || name.ends_with(".gz") || known.contains(&stem)
}

/// The innermost listed place that a path is in.
fn place(path: &str) -> Option<(&'static str, Closed)> {
    let mut end = path.len();
    loop {
        let prefix = if end == 0 { "/" } else { &path[..end] };
        if let Ok(at) = PLACES.binary_search_by_key(&prefix, |(place, _)| place) {
            return Some(PLACES[at]);
        }
        if end == 0 {
            return None;
        }
        end = path[..end].rfind('/')?;
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

/// Whether a file is, by its name, a picture that the boot menu shows.
fn is_picture(path: &str) -> bool {
    [".jpg", ".jpeg", ".bmp"].iter().any(|end| path.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(writes: bool) -> Usage<'static> {
        Usage { kind: PathKind::File, writes, sharing: Sharing::Exclusive, of: Use::Disk, domain: "vm" }
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(PLACES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(place("/sys/devices/x"), Some(("/sys", Closed::Entirely)));
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
