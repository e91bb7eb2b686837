//! The table of classes.
//!
//! The first row that fits decides. A row names the part of the Plan, the subject (an option of QEMU and the id), the driver
//! or type of what it describes, the property, and what happened. What no row knows is guest-visible: to be warned once too
//! often is the lesser evil.
//!
//! Where it is from: what a guest sees of a device are its registers, its place on a bus and what its firmware tables say
//! (QEMU's docs/devel/migration/main.rst: "guest ABI"); backends (`-blockdev`, `-netdev`, `-chardev`, `-object`) are the
//! host's half, which QEMU's own documentation of `-device` against `-blockdev` keeps apart (docs/qdev-device-use.txt). What
//! QMP can do while a machine runs is its schema (qapi/*.json): `device_add`, `blockdev-add`, `netdev_add`, `object-add`,
//! `chardev-add`, `qom-set`, `set_link`, `watchdog-set-action`. Which devices can be plugged in is the `hotpluggable` flag of
//! their class, and whether their bus takes them: root ports and bridges do, the root of PCI Express does not
//! (docs/pcie.txt).

use super::Class;
use crate::plan::{Change, Difference};

/// What happened, as far as a row asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// Anything.
    Any,
    /// The whole came.
    Added,
    /// The whole came or went.
    Whole,
    /// The whole came or went, on a bus that takes devices while the machine runs.
    Plugged,
    /// A property has another value.
    Changed,
}

/// A row.
#[derive(Debug)]
pub struct Rule {
    /// Part of the Plan; `*` is any text.
    pub part: &'static str,
    /// Subject.
    pub subject: &'static str,
    /// Driver, type or first word of what it describes.
    pub driver: &'static str,
    /// Property.
    pub property: &'static str,
    /// What happened.
    pub on: On,
    /// The class.
    pub class: Class,
    /// Why.
    pub why: &'static str,
}

macro_rules! rules {
    ($($part:literal $subject:literal $driver:literal $property:literal $on:ident => $class:ident $why:literal;)*) => {
        /// The rows, in the order in which they are asked.
        pub static RULES: &[Rule] = &[$(Rule {
            part: $part, subject: $subject, driver: $driver, property: $property,
            on: On::$on, class: Class::$class, why: $why,
        },)*];
    };
}

rules! {
    // ---- the machine itself
    "domain" "title" "*" "*" Any => Cosmetic "a word for people";
    "domain" "name" "*" "*" Any => Host "the name of the machine on the host";
    "domain" "instance" "*" "*" Any => Host "who starts it";
    "domain" "lifecycle" "*" "*" Any => Host "what is done when it ends is the unit's";
    "domain" "uuid" "*" "*" Any => GuestVisible "the guest reads it in SMBIOS; Windows is activated for it";
    "domain" "accelerator" "*" "*" Any => GuestVisible "the CPU and the paravirtual clock are others";
    // ---- outside of QEMU
    "access" "*" "*" "*" Any => Host "a grant of the profile and the unit";
    "limits" "*" "*" "*" Any => Host "a limit of the unit";
    "network" "*" "*" "*" Any => Host "a link of the host";
    "files and directories" "*" "*" "*" Any => Host "prepared on the host";
    "sockets" "*" "*" "*" Any => Host "prepared on the host";
    "confinement" "*" "*" "*" Any => Host "accounts and labels";
    "secrets" "*" "*" "*" Any => Restart "read at the start";
    // ---- helpers
    "command line of swtpm*" "--tpm2" "*" "*" Any => GuestVisible "another version of the TPM";
    "command line of qemu" "program" "*" "user" Any => Host "the account of the process";
    "command line of qemu" "program" "*" "group" Any => Host "the account of the process";
    "command line of qemu" "program" "*" "capabilities*" Any => Host "rights of the process";
    "command line of qemu" "program" "*" "ready*" Any => Host "how the unit knows that it runs";
    "command line of qemu" "program" "*" "needs*" Any => Host "what the sandbox leaves open";
    "command line of qemu" "program" "*" "*" Any => Restart "another QEMU; of one machine type it shows the same hardware";
    "command line of qemu" "environment *" "*" "*" Any => Restart "the environment of the process";
    "command line of [!q]*" "program" "*" "user" Any => Host "the account of the process";
    "command line of [!q]*" "program" "*" "group" Any => Host "the account of the process";
    "command line of [!q]*" "program" "*" "capabilities*" Any => Host "rights of the process";
    "command line of [!q]*" "program" "*" "needs*" Any => Host "what the sandbox leaves open";
    "command line of [!q]*" "*" "*" "*" Any => Restart "a helper of the machine";
    // ---- devices: what is the host's half of them
    "*" "-device *" "*" "iothread*" Changed => Restart "the thread that serves it";
    "*" "-device *" "*" "drive" Changed => Restart "the name of its backend";
    "*" "-device *" "*" "netdev" Changed => Restart "the name of its backend";
    "*" "-device *" "*" "chardev" Changed => Restart "the name of its backend";
    "*" "-device *" "*" "audiodev" Changed => Restart "the name of its backend";
    "*" "-device *" "*" "memdev" Changed => Restart "the name of its backend";
    "*" "-device *" "*" "tpmdev" Changed => Restart "the name of its backend";
    "*" "-device *" "*" "fsdev" Changed => Restart "the name of its backend";
    "*" "-device *" "*" "rng" Changed => Restart "the name of its backend";
    "*" "-device *" "*" "cryptodev" Changed => Restart "the name of its backend";
    "*" "-device *" "*" "werror" Changed => Restart "what QEMU does when the host fails";
    "*" "-device *" "*" "rerror" Changed => Restart "what QEMU does when the host fails";
    "*" "-device *" "*" "share-rw" Changed => Restart "a lock on the host";
    "*" "-device *" "*" "ioeventfd" Changed => Restart "how QEMU hears of requests";
    "*" "-device *" "*" "vhostfd*" Changed => Restart "a descriptor";
    "*" "-device *" "*" "fd" Changed => Restart "a descriptor";
    "*" "-device *" "*" "guest-stats-polling-interval" Changed => Live "QEMU asks the balloon as often as it is told";
    "*" "-device *" "virtio-mem*" "requested-size" Changed => Live "virtio-mem grows and shrinks";
    "*" "-device *" "*" "max-bytes" Changed => Restart "a limit that QEMU keeps";
    "*" "-device *" "*" "period" Changed => Restart "a limit that QEMU keeps";
    "*" "-device *" "*" "tx" Changed => Restart "how QEMU sends";
    "*" "-device *" "*" "x-txtimer" Changed => Restart "how QEMU sends";
    // ---- devices that come and go
    "*" "-device *" "virtio-gpu*" "*" Whole => GuestVisible "displays are not plugged in while a machine runs";
    "*" "-device *" "virtio-vga*" "*" Whole => GuestVisible "displays are not plugged in while a machine runs";
    "*" "-device *" "virtio-iommu*" "*" Whole => GuestVisible "an IOMMU is there from the start";
    "*" "-device *" "virtio-*" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "vhost-*" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "e1000*" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "rtl8139" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "igb" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "ne2k_pci" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "vmxnet3" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "vfio-pci" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "nvme" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "ivshmem-*" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "i6300esb" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "nec-usb-xhci" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "qemu-xhci" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "scsi-*" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "usb-*" "*" Plugged => Live "it is plugged in or out while the machine runs";
    "*" "-device *" "virtserialport" "*" Whole => Live "a port of a virtio console comes and goes";
    "*" "-device *" "pc-dimm" "*" Added => Live "memory is plugged in while the machine runs";
    "*" "-device *" "nvdimm" "*" Added => Live "memory is plugged in while the machine runs";
    "*" "-device *" "*" "*" Whole => GuestVisible "hardware that is there from the start";
    "*" "-device *" "*" "*" Changed => GuestVisible "a property of the hardware";
    // ---- backends
    "*" "-blockdev libvirt-pflash*" "*" "*" Any => Restart "the flash of the firmware is there from the start";
    "*" "-blockdev *" "*" "read-only" Changed => GuestVisible "the guest sees whether it may write";
    "*" "-blockdev *" "*" "auto-read-only" Changed => Restart "the host's half of a disk";
    "*" "-blockdev *" "*" "*" Whole => Live "a block device of QEMU comes and goes";
    "*" "-blockdev *" "*" "*" Changed => Restart "the host's half of a disk";
    "*" "-netdev *" "*" "*" Whole => Live "the host's half of a network card comes and goes";
    "*" "-netdev *" "*" "*" Changed => Restart "the host's half of a network card";
    "*" "-chardev charmonitor" "*" "*" Any => Host "the monitor of the unit";
    "*" "-chardev *" "*" "*" Whole => Live "the host's half of a serial port comes and goes";
    "*" "-chardev *" "*" "*" Changed => Restart "the host's half of a serial port";
    "*" "-object *" "throttle-group" "*" Any => Live "limits of disks are changed while the machine runs";
    "*" "-object *" "iothread" "*" Changed => Live "how long a thread polls is changed while the machine runs";
    "*" "-object *" "iothread" "*" Whole => Live "threads come and go";
    "*" "-object *" "memory-backend-*" "size" Changed => GuestVisible "the size of the memory";
    "*" "-object *" "memory-backend-*" "*" Changed => Restart "where the memory is taken from";
    "*" "-object *" "memory-backend-*" "*" Whole => Live "memory for a device comes and goes";
    "*" "-object *" "sev-*" "*" Any => GuestVisible "the guest is measured with it";
    "*" "-object *" "tdx-guest" "*" Any => GuestVisible "the guest is measured with it";
    "*" "-object *" "s390-pv-guest" "*" Any => GuestVisible "the guest is protected or not";
    "*" "-object *" "acpi-generic-*" "*" Any => GuestVisible "tables of the firmware";
    "*" "-object *" "monitor-qmp" "*" Any => Host "the monitor of the unit";
    "*" "-object *" "rng-*" "*" Whole => Live "where random numbers are from comes and goes";
    "*" "-object *" "tls-creds-*" "*" Whole => Live "certificates come and go";
    "*" "-object *" "secret*" "*" Any => Restart "a secret, read at the start";
    "*" "-object *" "*" "*" Any => Restart "the host's half of a device";
    "*" "-fsdev *" "*" "*" Any => Restart "the host's half of a share";
    "*" "-audiodev *" "*" "*" Any => Restart "the host's half of a sound card";
    "*" "-tpmdev *" "*" "*" Any => Restart "the host's half of a TPM";
    // ---- displays
    "*" "-vnc*" "*" "*" Any => Restart "how the display is shown on the host";
    "*" "-spice*" "*" "*" Any => Restart "how the display is shown on the host";
    "*" "-display*" "*" "*" Any => Restart "how the display is shown on the host";
    "*" "-k" "*" "*" Any => Restart "how keys of viewers are read";
    // ---- the machine
    "*" "-machine*" "*" "memory-backend" Changed => Restart "the name of a backend";
    "*" "-machine*" "*" "dump-guest-core" Changed => Restart "what a core dump of QEMU holds";
    "*" "-machine*" "*" "mem-merge" Changed => Restart "whether the host merges pages";
    "*" "-machine*" "*" "aux-ram-share" Changed => Restart "who may map memory";
    "*" "-machine*" "*" "pflash*" Changed => Restart "the name of a backend";
    "*" "-machine*" "*" "x-*" Changed => Restart "how QEMU works inside";
    "*" "-accel*" "*" "thread" Changed => Restart "how guest code is run on the host";
    "*" "-accel*" "*" "tb-size" Changed => Restart "how guest code is run on the host";
    "*" "-accel*" "*" "dirty-ring-size" Changed => Restart "how changes of memory are counted";
    "*" "-accel*" "*" "one-insn-per-tb" Changed => Restart "how guest code is run on the host";
    "*" "-m" "*" "*" Any => GuestVisible "the size of the memory";
    "*" "-rtc*" "*" "driftfix" Changed => Restart "how lost ticks are made good";
    "*" "-name*" "*" "*" Any => Host "the name of the process";
    "*" "-sandbox*" "*" "*" Any => Host "what QEMU forbids itself";
    "*" "-msg" "*" "*" Any => Cosmetic "how messages of QEMU look";
    "*" "-trace*" "*" "*" Any => Host "messages of QEMU";
    "*" "-D" "*" "*" Any => Host "messages of QEMU";
    "*" "-d" "*" "*" Any => Host "messages of QEMU";
    "*" "-mon" "*" "*" Any => Host "the monitor of the unit";
    "*" "-pidfile" "*" "*" Any => Host "a file of the unit";
    "*" "-runas*" "*" "*" Any => Host "the account of the process";
    "*" "-run-with*" "*" "*" Any => Host "the account of the process";
    "*" "-no-user-config" "*" "*" Any => Restart "which files QEMU reads";
    "*" "-no-shutdown" "*" "*" Any => Restart "what QEMU does when the guest powers off";
    "*" "-no-reboot" "*" "*" Any => Restart "what QEMU does when the guest reboots";
    "*" "-action*" "*" "*" Any => Restart "what QEMU does when the guest reboots or crashes";
    "*" "-S" "*" "*" Any => Restart "whether it begins stopped";
    "*" "-overcommit*" "*" "cpu-pm" Any => GuestVisible "how the guest may sleep";
    "*" "-overcommit*" "*" "*" Any => Restart "whether memory is locked";
    "*" "-mem-prealloc" "*" "*" Any => Restart "where the memory is taken from";
    "*" "-mem-path" "*" "*" Any => Restart "where the memory is taken from";
    "*" "-add-fd*" "*" "*" Any => Restart "a descriptor";
    "*" "-incoming" "*" "*" Any => Restart "where it comes from";
    "*" "-compat*" "*" "*" Any => Restart "how QEMU treats what is deprecated";
    "*" "-watchdog-action" "*" "*" Changed => Live "what the watchdog does is changed while the machine runs";
    "*" "-watchdog-action" "*" "*" Any => Restart "what the watchdog does";
    "*" "*" "*" "*" Any => GuestVisible "hardware, firmware or what they are told";
}

/// Values that a property has where none is written: subject, property, value (qapi/block-core.json, hw/core/machine.c).
static DEFAULTS: &[(&str, &str, &str)] = &[("-blockdev *", "read-only", "off"), ("-machine*", "acpi", "on")];

/// Whether a value was only written out, or left out.
pub fn is_default(difference: &Difference, property: &str, before: Option<&str>, after: Option<&str>) -> bool {
    let ((None, Some(value)) | (Some(value), None)) = (before, after) else { return false };
    let is = |(subject, name, own): &(&str, &str, &str)| {
        matches(subject, &difference.subject) && *name == property && *own == value
    };
    DEFAULTS.iter().any(is)
}

/// The row of a difference and a property; the property is empty where the subject came or went.
pub fn of(difference: &Difference, property: &str) -> &'static Rule {
    let driver = driver(difference);
    let fits = |rule: &&Rule| {
        matches(rule.part, &difference.part)
            && matches(rule.subject, &difference.subject)
            && matches(rule.driver, driver)
            && matches(rule.property, property)
            && happened(rule.on, difference)
    };
    RULES.iter().find(fits).unwrap_or(&RULES[RULES.len() - 1])
}

fn happened(on: On, difference: &Difference) -> bool {
    let whole = !matches!(difference.change, Change::Changed { .. });
    match on {
        On::Any => true,
        On::Added => matches!(difference.change, Change::Added { .. }),
        On::Whole => whole,
        On::Plugged => whole && takes_devices(property(difference, "bus")),
        On::Changed => !whole,
    }
}

/// Whether a bus takes devices while the machine runs: all but the root of PCI Express, where only the board plugs, IDE and ISA.
fn takes_devices(bus: Option<&str>) -> bool {
    match bus {
        None => false,
        Some(bus) => !(bus.starts_with("pcie.0") || bus.starts_with("ide") || bus.starts_with("isa")),
    }
}

/// The driver of a device, the type of an object, or the backend of a `-netdev` or `-chardev`.
pub fn driver(difference: &Difference) -> &str {
    ["driver", "qom-type", "type", "backend"].iter().find_map(|name| property(difference, name)).unwrap_or("")
}

fn property<'d>(difference: &'d Difference, name: &str) -> Option<&'d str> {
    difference.whole.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// Whether a text fits a pattern: `*` is any text, `[!q]` any letter but q.
fn matches(pattern: &str, text: &str) -> bool {
    if let Some((head, rest)) = pattern.split_once("[!q]") {
        let tail = text.strip_prefix(head);
        return tail.is_some_and(|t| !t.starts_with('q') && matches(rest, t.get(1..).unwrap_or("")));
    }
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, "")) => text.starts_with(head),
        Some((head, rest)) => text
            .strip_prefix(head)
            .is_some_and(|tail| (0..=tail.len()).any(|at| tail.is_char_boundary(at) && matches(rest, &tail[at..]))),
    }
}
