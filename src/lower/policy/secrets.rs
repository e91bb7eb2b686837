//! Names that hold what people and programs log in with, or at which a program with many rights listens, wherever they are.

use super::places::{Usage, is_below};
use crate::plan::{PathKind, Use};
use crate::vocab::file_name;

/// Hidden folders and files in which keys, logins and what a shell starts are.
const SECRET: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".pki",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".password-store",
    ".mozilla",
    ".thunderbird",
    ".netrc",
    ".git-credentials",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_history",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".pgpass",
    ".vault-token",
    ".rhosts",
    ".shosts",
    ".k5login",
];

/// Files and folders of `/etc` by which a system decides who gets in: in a copy of it, too (a snapshot, a container, a backup).
const OF_ETC: &[&str] = &[
    "shadow",
    "shadow-",
    "gshadow",
    "gshadow-",
    "passwd",
    "passwd-",
    "group",
    "sudoers",
    "sudoers.d",
    "ssh",
    "ssl",
    "pam.d",
    "crontab",
    "cron.d",
    "systemd",
    "ld.so.preload",
    "security",
];

/// Ends of the paths of sockets whose programs have all rights.
const DAEMONS: &[&str] = &[
    "/docker.sock",
    "system_bus_socket",
    "/containerd.sock",
    "/podman.sock",
    "/lxd/unix.socket",
    "/crio.sock",
    "/buildkitd.sock",
    "/incus/unix.socket",
    "/snapd.socket",
    "/libpod/tmp",
];

/// Sockets in `/run` itself at which programs of the system listen.
pub const LISTENING: &[&str] = &[
    "acpid.socket",
    "apport.socket",
    "avahi.sock",
    "chrony.sock",
    "cri-dockerd.sock",
    "docker.sock",
    "dockershim.sock",
    "gssproxy.sock",
    "gssproxy.default.sock",
    "irqbalance.sock",
    "lxd-installer.socket",
    "lxd.socket",
    "multipathd.sock",
    "multipathd.socket",
    "nscd.socket",
    "ovsdb.sock",
    "rpcbind.sock",
    "snapd-snap.socket",
    "snapd.socket",
    "tailscaled.socket",
    "udisks2.socket",
    "uuidd.socket",
];

/// Folders of users that are hidden, and open.
const OPEN: &[&str] = &[".local", ".cache", ".var"];

/// Why the path is closed for its name; none if it is not.
pub fn closed(path: &str, usage: &Usage<'_>) -> Option<&'static str> {
    if DAEMONS.iter().any(|end| path.ends_with(end)) {
        return Some("a program with all rights listens there");
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    if parts.iter().any(|part| SECRET.contains(part)) {
        return Some("keys and logins are there");
    }
    // A name with a comma is an attempt at the options of QEMU, not a copy of a system.
    let copy = !path.contains(',');
    let of_etc = copy && parts.windows(2).any(|pair| matches!(pair, ["etc", name] if OF_ETC.contains(name)));
    if of_etc && parts.first() != Some(&"etc") {
        return Some("it decides who gets into a system");
    }
    of_root(path, usage)
        .or_else(|| of_a_user(path, &parts))
        .or_else(|| of_a_session(&parts, usage))
        .or_else(|| of_everybody(&parts, usage))
        .or_else(|| of_other_guests(&parts, usage))
        .or_else(|| of_a_switch(&parts))
        .or_else(|| of_a_program(&parts, usage))
}

/// Root's home: images that somebody has put there may be read; keys are there, and what its shell starts.
fn of_root(path: &str, usage: &Usage<'_>) -> Option<&'static str> {
    let rest = ["/root", "/var/roothome"].iter().find(|home| is_below(path, home)).map(|home| &path[home.len()..])?;
    let hidden = rest.split('/').any(|part| part.starts_with('.') && !part.starts_with(".X"));
    let image = is_image(path) || ["/vmlinuz", "/initrd"].iter().any(|part| path.contains(part));
    let closed = rest.is_empty() || hidden || !(image || (usage.of == Use::Display && usage.kind == PathKind::File));
    closed.then_some("it is root's own")
}

/// Whether a file is, by its name, an image of a disk or of firmware.
pub fn is_image(path: &str) -> bool {
    const ENDS: &[&str] =
        &["qcow2", "qcow", "img", "iso", "raw", "vmdk", "vdi", "vhd", "vhdx", "qed", "fd", "rom", "dtb", "rawdisk"];
    let file = file_name(path);
    let end = file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, end)| end.to_ascii_lowercase());
    end.is_some_and(|end| ENDS.contains(&end.as_str()))
}

/// A user's own folders: keys and logins are in hidden ones.
fn of_a_user(path: &str, parts: &[&str]) -> Option<&'static str> {
    let inner = match parts {
        ["home", _, inner @ ..] | ["var", "home", _, inner @ ..] => inner,
        _ => return None,
    };
    let (hidden, below) = inner.split_first().filter(|(name, _)| name.starts_with('.'))?;
    let configuration = *hidden == ".config" && below.first().is_some_and(|f| matches!(*f, "libvirt" | "virtc"));
    (!configuration && !OPEN.contains(hidden) && !is_image(path))
        .then_some("it is in a hidden folder of a user, where keys and logins are")
}

/// The run-time folder of a session, where its programs listen.
fn of_a_session(parts: &[&str], usage: &Usage<'_>) -> Option<&'static str> {
    let ["run", "user", _, name, ..] = parts else { return None };
    let virtual_machines = ["libvirt", "virtc", "qemu", "vm", "swtpm", "passt", "virtiofs", "vhost"];
    // A socket of one's own, by its name; the bus and its kind have none that ends so.
    let own = name.ends_with(".sock") || name.ends_with(".socket");
    let open = virtual_machines.iter().any(|start| name.starts_with(start))
        || (own && parts.len() == 4 && !name.starts_with("docker") && !name.starts_with("podman"))
        || matches!(usage.of, Use::Audio | Use::Display);
    (!open).then_some("a program of the user listens there")
}

/// Folders in which everybody may make files, and programs of users listen.
fn of_everybody(parts: &[&str], usage: &Usage<'_>) -> Option<&'static str> {
    let name = match parts {
        ["tmp", name, ..] | ["var", "tmp", name, ..] => name,
        ["dev", "shm", name] if name.starts_with("sem.") => return Some("it is a semaphore of a program"),
        _ => return None,
    };
    let listens =
        [".X11-unix", ".ICE-unix", ".font-unix", ".XIM-unix", "tmux-", "ssh-", "systemd-private-", "snap-private"];
    (usage.of != Use::Display && listens.iter().any(|start| name.starts_with(start)))
        .then_some("programs of users listen there")
}

/// What libvirt keeps of its guests: those of other domains.
fn of_other_guests(parts: &[&str], usage: &Usage<'_>) -> Option<&'static str> {
    let inner = match parts {
        ["var", "lib", "libvirt", "qemu", inner @ ..] | ["run", "libvirt", "qemu", inner @ ..] => inner,
        _ => return None,
    };
    let name = inner.last()?;
    if matches!(*name, "monitor.sock" | "master-key.aes") || name.ends_with(".pid") {
        return Some("it belongs to whoever runs the guest");
    }
    let other = |part: &str| {
        let rest = part.strip_prefix("domain-")?;
        let (_, short) = rest.split_once('-')?;
        // The names of folders are cut.
        Some(short.is_empty() || !usage.domain.starts_with(short))
    };
    inner.iter().any(|part| other(part) == Some(true)).then_some("it belongs to another guest")
}

/// Sockets by which Open vSwitch is configured.
fn of_a_switch(parts: &[&str]) -> Option<&'static str> {
    let ["run", "openvswitch", .., name] = parts else { return None };
    let control = *name == "db.sock" || [".ctl", ".mgmt", ".snoop", ".pid"].iter().any(|end| name.ends_with(end));
    control.then_some("the switches of the host are configured there")
}

/// Programs and libraries of vendors, which root runs.
fn of_a_program(parts: &[&str], usage: &Usage<'_>) -> Option<&'static str> {
    let ["opt", inner @ ..] = parts else { return None };
    let folders = ["bin", "sbin", "lib", "lib64", "libexec", "etc"];
    let is = usage.writes && usage.kind != PathKind::Socket && inner.iter().any(|part| folders.contains(part));
    is.then_some("it belongs to a program, and may only be read")
}
