//! The access closure: every host resource that a process touches.

use super::Cause;
use serde::{Deserialize, Serialize};

/// One host resource and what a process may do with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Access {
    /// Id of the process that touches it.
    pub process: String,
    /// What it is for.
    #[serde(rename = "use")]
    pub usage: Use,
    /// Absolute path, as the XML or a default names it. Symbolic links are resolved at run time.
    pub path: String,
    /// Where the path leads when links are on the way and the host facts tell: what AppArmor sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// What is expected at the path.
    pub kind: PathKind,
    /// What the process does with it.
    pub perms: Perms,
    /// Who else may use it at the same time.
    pub sharing: Sharing,
    /// SELinux label that it gets.
    pub label: LabelRole,
    /// Whether the label before the start is given back after the stop.
    #[serde(default)]
    pub restore_label: bool,
    /// Owner that it gets.
    pub owner: OwnerRule,
    /// Whether the process gets on without it, where the host has none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Why.
    pub cause: Cause,
}

impl Access {
    /// Whether it may lie behind a link of a host that the facts do not describe. Devices are found by udev, and the
    /// system's own files where distributions have them.
    pub fn may_be_behind_link(&self) -> bool {
        let made = ["/dev/", "/run/", "/proc/", "/sys/", "/usr/", "/var/lib/virtc/"];
        let kind = matches!(self.kind, PathKind::File | PathKind::Tree | PathKind::Files);
        kind && self.resolved.is_none()
            && self.sharing != Sharing::System
            && !made.iter().any(|m| self.path.starts_with(m))
    }
}

/// What a path is for: the part of the domain that uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// An image of a disk, or a way to one.
    #[default]
    Disk,
    /// The configuration of the library that reaches an image.
    DiskConfiguration,
    /// Reservations of disks that several machines write.
    Reservations,
    /// Code of the firmware.
    Firmware,
    /// The firmware's variables.
    Nvram,
    /// Kernel, initial RAM disk, device tree.
    Boot,
    /// A table that the firmware is given.
    AcpiTable,
    /// A file that the firmware is given.
    FirmwareConfiguration,
    /// The option ROM of a device.
    OptionRom,
    /// What executes the guest's instructions.
    Accelerator,
    /// A guest that the host cannot read.
    LaunchSecurity,
    /// Enclaves of the guest.
    Enclave,
    /// Memory of the guest.
    Memory,
    /// Memory that guests share.
    SharedMemory,
    /// Where the guest keeps its errors.
    ErrorLog,
    /// A shared folder.
    Share,
    /// A network interface.
    Interface,
    /// A serial port, a console, a channel.
    CharacterDevice,
    /// A parallel port.
    ParallelPort,
    /// A smart card.
    SmartCard,
    /// A USB device from elsewhere.
    RedirectedUsb,
    /// A source of random numbers.
    Random,
    /// What a device or a helper writes down.
    Log,
    /// Certificates, keys and the like.
    Credentials,
    /// A TPM.
    Tpm,
    /// What an emulated TPM keeps.
    TpmState,
    /// A socket between host and guest.
    Vsock,
    /// Sound.
    Audio,
    /// Keyboards, mice and the like.
    Input,
    /// A display.
    Display,
    /// A video adapter.
    Video,
    /// Rendering on a GPU of the host.
    Gpu,
    /// A device of the host that the guest gets.
    HostDevice,
    /// What the host facts grant to every guest.
    HostFacts,
}

/// What is expected at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// A regular file.
    File,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A directory; access is to the directory itself.
    Directory,
    /// A directory and the files in it (a certificate database): no directories below.
    Files,
    /// A directory with everything below.
    Tree,
    /// A UNIX socket.
    Socket,
    /// A FIFO; `path.in` and `path.out` when both exist.
    Pipe,
}

/// What a process does with a path. The letters are AppArmor's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Perms {
    /// `r`
    pub read: bool,
    /// `w`
    pub write: bool,
    /// `k`: takes locks.
    pub lock: bool,
    /// `a`: appends only (implied by write).
    pub append: bool,
    /// `m`: maps executable.
    pub map: bool,
    /// `x`: executes.
    pub execute: bool,
    /// `l`: makes hard links.
    pub link: bool,
}

impl Perms {
    /// Reads and locks.
    pub const READ: Perms =
        Perms { read: true, write: false, lock: true, append: false, map: false, execute: false, link: false };
    /// Reads, writes and locks.
    pub const READ_WRITE: Perms = Perms { write: true, ..Perms::READ };
    /// Writes only (logs).
    pub const WRITE: Perms = Perms { read: false, lock: false, ..Perms::READ_WRITE };

    /// What either grants.
    pub fn union(self, other: Perms) -> Perms {
        Perms {
            read: self.read | other.read,
            write: self.write | other.write,
            lock: self.lock | other.lock,
            append: self.append | other.append,
            map: self.map | other.map,
            execute: self.execute | other.execute,
            link: self.link | other.link,
        }
    }
}

/// Who else may use a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Only this domain.
    Exclusive,
    /// Several domains may write (`<shareable/>`).
    Shared,
    /// Several domains may read (`<readonly/>`).
    ReadOnly,
    /// Part of the system (`/dev/urandom`, firmware code): not ours to label or own.
    System,
}

/// The SELinux label that a resource gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LabelRole {
    /// The domain's own image label, with its categories.
    Image,
    /// The image label without categories.
    Shared,
    /// The label of read-only content.
    Content,
    /// This one, from a `<seclabel>` of the device.
    Explicit(String),
    /// Left as it is.
    Keep,
}

/// The owner that a resource gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OwnerRule {
    /// The domain's user and group.
    Domain {
        /// Whether the owner before the start is given back after the stop.
        restore: bool,
    },
    /// This one (`user:group`), from a `<seclabel model='dac'>` of the device.
    Explicit(String),
    /// Left as it is.
    Keep,
}
