//! Nodes below `/dev`: the kinds that guests have. A node of no such kind, or one that is named by its number and so could be any,
//! needs the consent of the host facts.

use super::places::Usage;
use crate::plan::{PathKind, Sharing, Use};
use crate::vocab::nodes::known;

/// Disks that are counted with letters: `sda1`.
const LETTERED: &[&str] = &["sd", "vd", "xvd", "hd", "dasd"];

/// Disks and tapes that are counted with numbers: `nvme0n1`, `dm-3`.
const NUMBERED: &[&str] = &[
    "nvme", "dm-", "md", "loop", "nbd", "rbd", "drbd", "mmcblk", "sr", "scd", "fd", "st", "nst", "bcache", "zd",
    "pmem", "dax", "ubi", "cdrom", "cdrw", "dvd", "dvdrw", "floppy",
];

/// Drives without a number.
const DRIVES: &[&str] = &["cdrom", "cdrw", "dvd", "dvdrw", "floppy"];

/// Ports that are counted with numbers, besides `ttyS0` and its kind.
const PORTS: &[&str] = &["parport", "lp", "hvc", "modem", "cuaa", "cuau", "cuad"];

/// Folders whose nodes are disks.
const DISK_FOLDERS: &[&str] =
    &["disk", "mapper", "zvol", "md", "nbd", "rbd", "drbd", "etherd", "cciss", "ida", "dsk", "rdsk", "vx"];

/// Folders of the system: what lies in any other is taken for a logical volume, `/dev/GROUP/NAME`.
const SYSTEM_FOLDERS: &[&str] = &[
    "block",
    "bsg",
    "bus",
    "char",
    "cpu",
    "cxl",
    "dma_heap",
    "dri",
    "fd",
    "hugepages",
    "infiniband",
    "input",
    "mqueue",
    "net",
    "pts",
    "serial",
    "shm",
    "snd",
    "usb",
    "v4l",
    "vfio",
    "vduse",
    "watchdog",
    "xen",
    "pktcdvd",
    "dvb",
    "binderfs",
    "accel",
    "iio",
    "raw",
];

/// Why a node is closed for its use; none if it is of a kind that guests have.
pub fn closed(path: &str, usage: &Usage<'_>) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    let [first, rest @ ..] = parts.as_slice() else { return Some(FOLDER) };
    let of = usage.of;
    // No name of a host device is the XML's own: its node follows from its address. So do those that virtc adds itself.
    let added = matches!(of, Use::Accelerator | Use::LaunchSecurity | Use::Vsock | Use::HostFacts);
    if of == Use::HostDevice || (usage.sharing == Sharing::System && added) {
        return None;
    }
    if matches!(*first, "char" | "block") {
        return Some("it is named by its number, and could be any device");
    }
    if rest.is_empty() && (FOLDERS.contains(first) || DISK_FOLDERS.contains(first)) {
        let searched = of == Use::Gpu || (of == Use::Audio && *first == "snd" && usage.sharing == Sharing::System);
        return (!searched).then_some(FOLDER);
    }
    // Nobody listens on a disk, and it has no files of its own.
    let disk = matches!(of, Use::Disk | Use::Memory | Use::Reservations | Use::ErrorLog | Use::Nvram | Use::Firmware)
        && !usage.whole()
        && !matches!(usage.kind, PathKind::Socket | PathKind::Pipe);
    match (*first, rest) {
        ("null" | "full" | "zero" | "random" | "urandom", []) => disk.then_some("it is no disk"),
        ("hwrng" | "hw_random", []) => (of != Use::Random).then_some(OTHER),
        // The helper that QEMU asks for reservations opens it, and not because the XML says so.
        ("mapper", ["control"]) if of == Use::Reservations && usage.sharing == Sharing::System => None,
        ("mapper", ["control"]) => Some("volumes of the host are made there"),
        // Files of memory, which everybody may make.
        ("shm", [_, ..]) => None,
        // An NVMe disk by its address needs it, and names it nowhere.
        ("vfio", ["vfio"]) => (of != Use::Disk || usage.sharing != Sharing::System).then_some(OTHER),
        ("hugepages", [_, ..]) | ("hugepages1G" | "hugepages2M", [_, ..]) => (of != Use::Memory).then_some(OTHER),
        (name, []) if name.starts_with("kvmfr") => None,
        ("input", [..]) => (of != Use::Input).then_some("the keyboards and mice of the host are there"),
        ("serial", [..]) | ("pts", [_]) | ("usb", [_]) | ("parport", [_]) => disk.then_some("it is no disk"),
        ("snd", _) | ("dsp" | "mixer" | "audio", []) => (of != Use::Audio).then_some(OTHER),
        (name, []) if numbered(name, &["dsp", "adsp", "audio", "mixer"]) => (of != Use::Audio).then_some(OTHER),
        ("dri", [_] | ["by-path", _]) => (!matches!(of, Use::Gpu | Use::Display | Use::Video)).then_some(OTHER),
        ("net", ["tun"]) | ("vhost-net", []) => {
            (of != Use::Interface || usage.sharing != Sharing::System).then_some(OTHER)
        }
        // A macvtap device, by the number of its interface.
        (name, []) if numbered(name, &["tap"]) => (of != Use::Interface).then_some(OTHER),
        (name, []) if name.starts_with("tpm") => (!usage.of_tpm()).then_some("it is the TPM of the host"),
        (name, []) if name.starts_with("vhost-vdpa-") => {
            let own = of == Use::Interface || (of == Use::Disk && usage.kind == PathKind::CharDevice);
            (!own).then_some(OTHER)
        }
        ("udmabuf", []) => (of != Use::Video).then_some(OTHER),
        // The IOMMU group of an NVMe disk.
        ("vfio", [_]) => (of != Use::Disk || usage.kind != PathKind::CharDevice).then_some(OTHER),
        (name, []) if name.starts_with("sgx_") => (!matches!(of, Use::Enclave | Use::Memory)).then_some(OTHER),
        (name, []) if is_port(name) => disk.then_some("it is no disk"),
        (name, []) if is_disk(name) => (!disk).then_some("it is a disk of the host"),
        (folder, [_, ..]) if DISK_FOLDERS.contains(&folder) => (!disk).then_some("it is a disk of the host"),
        (folder, [_]) if !SYSTEM_FOLDERS.contains(&folder) => (!disk).then_some(OTHER),
        // A disk by a name that the administrator has given it.
        (name, []) if usage.kind == PathKind::BlockDevice && disk => is_system(name).then_some(OTHER),
        _ => Some(OTHER),
    }
}

/// Nodes of the system, also with a number.
const SYSTEM: &[&str] = &[
    "autofs",
    "btrfs-control",
    "console",
    "core",
    "cpu_dma_latency",
    "crash",
    "cuse",
    "fb",
    "fuse",
    "gpiochip",
    "hidraw",
    "hpet",
    "hwrng",
    "i2c-",
    "initctl",
    "iommu",
    "ipmi",
    "kfd",
    "kmem",
    "kmsg",
    "kvm",
    "log",
    "loop-control",
    "mcelog",
    "media",
    "mei",
    "mem",
    "msr",
    "mtd",
    "mtdblock",
    "nvidia",
    "nvidia-modeset",
    "nvidia-uvm",
    "nvidiactl",
    "nvme",
    "nvram",
    "oldmem",
    "port",
    "ppp",
    "ptmx",
    "ram",
    "rfkill",
    "root",
    "rtc",
    "secureboot",
    "sev",
    "sg",
    "snapshot",
    "stderr",
    "stdin",
    "stdout",
    "tee",
    "teepriv",
    "tpm",
    "tpmrm",
    "trusty-ipc-dev",
    "tty",
    "udmabuf",
    "uhid",
    "uinput",
    "usbmon",
    "userfaultfd",
    "vboxuser",
    "vcs",
    "vcsa",
    "vcsu",
    "vga_arbiter",
    "vhci",
    "vhost-net",
    "vhost-scsi",
    "vhost-vsock",
    "vmci",
    "vsock",
    "watchdog",
    "zram",
];

/// Whether a node is the host's, whoever names it and whatever for: it drives the system, or could be any device. Those with which
/// machines are run are not.
pub fn is_of_the_host(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(2).filter(|part| !matches!(*part, "" | ".")).collect();
    match parts.as_slice() {
        ["char" | "block" | "cpu" | "bsg" | "fd", ..] => true,
        ["mapper", "control"] => true,
        [name] if known(&format!("/dev/{name}")).is_some() || matches!(*name, "sev" | "kvm") => false,
        [name] if name.starts_with("nvme") || name.starts_with("tpm") || name.starts_with("nvidia") => false,
        [name] => is_system(name),
        _ => false,
    }
}

fn is_system(name: &str) -> bool {
    SYSTEM.contains(&name) || numbered(name, SYSTEM)
}

const FOLDER: &str = "it is a folder of the whole system";
const OTHER: &str = "it is no device that guests have, or the devices that need it get it without being asked";

/// Folders that no line of the table of places names.
const FOLDERS: &[&str] = &["bus", "dri", "input", "net", "pts", "serial", "shm", "snd", "usb", "vfio"];

fn is_disk(name: &str) -> bool {
    let lettered = |kind: &&str| {
        let Some(rest) = name.strip_prefix(*kind) else { return false };
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
        (1..=3).contains(&(rest.len() - digits.len())) && digits.bytes().all(|b| b.is_ascii_digit())
    };
    // An NVMe controller has no contents, its name spaces have.
    let is_controller = name.strip_prefix("nvme").is_some_and(|rest| !rest.contains('n'));
    DRIVES.contains(&name) || LETTERED.iter().any(lettered) || (numbered(name, NUMBERED) && !is_controller)
}

fn is_port(name: &str) -> bool {
    // `tty1` is a console of the host; ports have capitals: `ttyS0`, `ttyUSB0`, and what people name after them.
    let serial = name.strip_prefix("tty").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    serial || name == "modem" || numbered(name, PORTS)
}

/// Whether a name is one of these, followed by a number and what parts are called after: `0`, `0p1`, `0n1p2`.
fn numbered(name: &str, kinds: &[&str]) -> bool {
    let counted = |rest: &str| {
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
    };
    kinds.iter().any(|kind| name.strip_prefix(kind).is_some_and(counted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(path: &str, of: Use) -> Option<&'static str> {
        closed(path, &Usage { kind: PathKind::File, writes: true, sharing: Sharing::Exclusive, of, domain: "vm" })
    }

    #[test]
    fn disks_of_people() {
        for path in [
            "/dev/sda",
            "/dev/sdaa12",
            "/dev/vdb",
            "/dev/nvme0n1",
            "/dev/nvme0n1p2",
            "/dev/dm-3",
            "/dev/md127",
            "/dev/loop0p1",
            "/dev/vg/lv",
            "/dev/vg0/vm-root",
            "/dev/mapper/vg-lv",
            "/dev/disk/by-id/ata-X_Y-part1",
            "/dev/zvol/tank/vm/disk0",
            "/dev/sr0",
            "/dev/cdrom",
            "/dev/rbd/pool/image",
            "/dev/nbd0",
            "/dev/mmcblk0p1",
            "/dev/shm/x",
            "/dev/pmem0",
            "/dev/md/0",
            "/dev/drbd/by-res/r/0",
        ] {
            assert_eq!(why(path, Use::Disk), None, "{path}");
        }
        for path in [
            "/dev/ttyS0",
            "/dev/ttyUSB3",
            "/dev/serial/by-id/usb-x",
            "/dev/pts/3",
            "/dev/parport0",
            "/dev/ttyZigbee",
            "/dev/null",
        ] {
            assert_eq!(why(path, Use::CharacterDevice), None, "{path}");
        }
    }

    #[test]
    fn nodes_of_the_host() {
        for path in [
            "/dev/mem",
            "/dev/kmem",
            "/dev/uinput",
            "/dev/uhid",
            "/dev/char/10:223",
            "/dev/char/1:1",
            "/dev/block/8:0",
            "/dev/tty1",
            "/dev/tty",
            "/dev/vcs1",
            "/dev/watchdog1",
            "/dev/ipmi1",
            "/dev/mei1",
            "/dev/mtd0",
            "/dev/nvme0",
            "/dev/hidraw0",
            "/dev/tpm0",
            "/dev/tpmrm0",
            "/dev/usbmon0",
            "/dev/i2c-0",
            "/dev/cpu/0/msr",
            "/dev/snapshot",
            "/dev/stdin",
            "/dev/stderr",
            "/dev/fd",
            "/dev/fd/3",
            "/dev/loop-control",
            "/dev/mapper/control",
            "/dev/fuse",
            "/dev/kvm",
            "/dev/net/tun",
            "/dev/input/event0",
            "/dev/mqueue/x",
            "/dev/bsg/0:0:0:0",
            "/dev/root",
            "/dev/rtc0",
            "/dev/hpet",
            "/dev/vfio/vfio",
            "/dev/vhost-net",
            "/dev/btrfs-control",
            "/dev/log",
            "/dev/core",
            "/dev/shm",
            "/dev/disk",
        ] {
            for of in [Use::Disk, Use::CharacterDevice] {
                assert!(why(path, of).is_some(), "{path} for {of:?}");
            }
        }
    }
}
