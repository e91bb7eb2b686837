//! The Plan: the one truth that every emitter and the runner read.
//!
//! Lowering fills it from a resolved domain; nothing behind this point looks at the domain again.
//! Every entry says what caused it ([`Cause`]), so that `virtc explain` can answer for each argument,
//! rule and directive. Units are canonical: bytes, microseconds, and the kernel's own scales.
//! `plan.json` is this structure in JSON, versioned by [`Plan::VERSION`].

mod access;
mod args;
mod claims;
mod differences;
mod limits;
mod loss;
mod needs;
mod read;
#[cfg(test)]
mod schema;
mod target;

pub use access::{Access, LabelRole, OwnerRule, PathKind, Perms, Sharing, Use};
pub use args::{Arg, ArgValue, Form, Prop, Props};
pub use claims::{Claim, ClaimKind, Connection, Listen};
pub use differences::{Change, Difference, differences, properties, subject};
pub use limits::{BlockDeviceLimit, Limits, MemoryPolicy, ThreadCpus, ThreadSchedule};
pub use loss::Loss;
pub use needs::{Need, Needed};
pub use read::Unreadable;
pub use target::{Target, Wiring};

use crate::diag::Span;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Text that is mostly known when virtc is built.
pub type Text = Cow<'static, str>;

/// What in the XML, or which default rule, brought an entry about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cause {
    /// Line in the domain XML, from 1; 0 when a default rule is the cause.
    pub line: u32,
    /// The bytes of the XML that are the cause.
    #[serde(skip)]
    pub span: Span,
    /// A few words for a reader: `disk vda`, `default: memory balloon`.
    pub what: Text,
    /// Whether it is there whatever stands at the line: a default rule is the cause.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_default: bool,
}

/// `disk vda (line 12)`
impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.what.is_empty() { "the domain" } else { &self.what })?;
        if self.line > 0 { write!(f, " (line {})", self.line) } else { Ok(()) }
    }
}

/// Everything that a host needs to know to run one domain.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Plan {
    /// Format version of `plan.json`.
    pub version: u32,
    /// Name of the domain.
    pub name: String,
    /// UUID of the domain, in lower case with hyphens.
    pub uuid: String,
    /// Human title, if any.
    pub title: Option<String>,
    /// Whether it belongs to the system-wide instance or to a user's session.
    pub instance: Instance,
    /// What the command line is for.
    pub target: Target,
    /// Hardware virtualisation (`/dev/kvm`) or emulation.
    pub accelerator: Accelerator,
    /// The QEMU that the command line is for.
    #[serde(default)]
    pub qemu: MadeFor,
    /// QEMU and its helpers, in the order in which they start.
    pub processes: Vec<Process>,
    /// The closure of host resources that the processes touch.
    pub access: Vec<Access>,
    /// Resource limits and placement.
    pub limits: Limits,
    /// Network links that must exist before the start.
    pub links: Vec<Link>,
    /// Bridges that are made when they are missing: those of networks that the host facts describe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bridges: Vec<Bridge>,
    /// Secrets that must be at hand as files when QEMU starts.
    pub secrets: Vec<Secret>,
    /// Directories that must exist.
    pub directories: Vec<Directory>,
    /// Sockets on which a process listens.
    pub sockets: Vec<Socket>,
    /// Ports on which a process listens, as far as the XML fixes them; see also [`Plan::auto_ports`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listens: Vec<Listen>,
    /// Sockets to which QEMU connects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connects: Vec<Connection>,
    /// What no other machine may have at the same time, besides what is written, listened on and linked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
    /// Files that must exist, made from a template when missing (NVRAM).
    pub files: Vec<NewFile>,
    /// What libvirt kept for the machine: copied once, where the machine has nothing of its own yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherited: Vec<Inherited>,
    /// Devices of the host that the machine has for itself while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lent: Vec<Lent>,
    /// Overlays of transient disks: made before each start, removed after the stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<Overlay>,
    /// Ports of services that may move when they are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auto_ports: Vec<AutoPort>,
    /// Machines of the same host that have one of its devices, too, and so cannot run at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<String>,
    /// Whether QEMU waits with the guest's CPUs until it is told to go on (`-S`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starts_paused: bool,
    /// Whether QEMU waits for the state of a guest that comes from elsewhere (`-incoming`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_state: bool,
    /// Mandatory access control and ownership of the whole domain.
    pub confinement: Confinement,
    /// What to do when the guest powers off, reboots or crashes.
    pub lifecycle: Lifecycle,
}

/// The QEMU that a command line is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MadeFor {
    /// Its version: `10.0.13`.
    pub version: String,
    /// Where its capabilities come from: `profile qemu-10.0.x86_64`, a file, a program of the host. Empty when nobody
    /// said.
    pub capabilities: String,
    /// Whether a monitor is an object; QEMU before 11.1 has `-mon` alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub monitor_objects: bool,
}

/// `QEMU 10.0.13, profile qemu-10.0.x86_64`
impl std::fmt::Display for MadeFor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QEMU {}", self.version)?;
        if self.capabilities.is_empty() { Ok(()) } else { write!(f, ", {}", self.capabilities) }
    }
}

impl Plan {
    /// The version of the format that this virtc writes.
    pub const VERSION: u32 = 2;

    /// The QEMU process.
    pub fn qemu(&self) -> Option<&Process> {
        self.processes.iter().find(|p| p.role == Role::Qemu)
    }

    /// Whether a guest that crashes, or whose QEMU or helper is killed, is started again.
    pub fn restarts_on_crash(&self) -> bool {
        self.lifecycle.on_crash.contains("restart")
    }

    /// The run-time directory of the domain, where its monitor socket is.
    pub fn run_dir(&self) -> Option<&Directory> {
        self.directories.iter().find(|d| d.role == DirectoryRole::Runtime)
    }

    /// The socket of the monitor that is the unit's alone.
    pub fn control(&self) -> Option<&Socket> {
        self.sockets.iter().find(|s| s.role == SocketRole::Control)
    }

    /// The socket on which QEMU's QMP monitor listens.
    pub fn monitor(&self) -> Option<&Socket> {
        self.sockets.iter().find(|s| s.role == SocketRole::Monitor)
    }
}

/// System-wide instance or user session (`qemu:///system`, `qemu:///session`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Instance {
    /// Runs under an account of its own, started by root.
    #[default]
    System,
    /// Runs as the user who starts it.
    Session,
}

/// How the guest's instructions are executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Accelerator {
    /// `/dev/kvm`.
    Kvm,
    /// QEMU's own emulation.
    #[default]
    Tcg,
    /// Another (hvf, xen).
    Other,
}

/// A program to start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Process {
    /// What it is.
    pub role: Role,
    /// A name that is unique in the domain: `qemu`, `swtpm-tpm0`, `virtiofsd-fs0`.
    pub id: String,
    /// Absolute path of the program.
    pub program: String,
    /// Typed arguments, in order.
    pub args: Vec<Arg>,
    /// Environment, in order.
    pub env: Vec<(Text, String)>,
    /// Descriptors that the starter passes. Target `libvirt` only: a standalone command line needs none.
    pub descriptors: Vec<Descriptor>,
    /// User that it runs as; none: that of [`Confinement`].
    pub user: Option<String>,
    /// Group that it runs as; none: that of [`Confinement`].
    pub group: Option<String>,
    /// Linux capabilities that the process keeps, `CAP_NET_ADMIN`; all others are dropped.
    pub capabilities: Vec<Text>,
    /// How the starter knows that it is ready.
    pub ready: Ready,
    /// What it needs besides the paths of the access closure, once each.
    pub needs: Vec<Needed>,
    /// Why it is there.
    pub cause: Cause,
}

impl Process {
    /// Whether its sandbox is a changed root directory rather than namespaces of its own.
    pub fn changes_root(&self) -> bool {
        self.capabilities.iter().any(|c| c == "CAP_SYS_CHROOT")
    }
}

/// The part that a process plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The machine itself.
    #[default]
    Qemu,
    /// TPM emulator.
    Swtpm,
    /// File-system sharing.
    Virtiofsd,
    /// User-mode networking.
    Passt,
    /// Persistent-reservation helper.
    PrHelper,
    /// Another vhost-user backend (GPU).
    VhostUser,
    /// User-mode networking of the older kind.
    Slirp,
    /// Message bus of a D-Bus display.
    Dbus,
    /// RDP server of a D-Bus display.
    Rdp,
    /// Network block devices by way of nbdkit.
    Nbdkit,
}

/// When a process counts as ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// As soon as it runs.
    #[default]
    Started,
    /// When this socket exists.
    Socket(String),
    /// When its QMP monitor answers.
    Monitor,
}

/// A descriptor that a parent would pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Descriptor {
    /// The placeholder number in the arguments.
    pub number: u32,
    /// What it is: `monitor socket`, `tap vnet0`.
    pub what: Text,
    /// The macvtap whose character device is opened. A standalone command line has no other descriptors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// A network link on the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Link {
    /// What kind of link.
    pub kind: LinkKind,
    /// Name of the interface on the host; empty when a helper or the kernel chooses one.
    pub name: String,
    /// The bridge that a tap joins, or the device below a macvtap.
    pub over: Option<String>,
    /// How a macvtap treats the traffic between the guests of one device: `vepa`, `bridge`, `private`, `passthru`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Text>,
    /// MAC address of the guest's NIC.
    pub mac: String,
    /// MTU, if the XML sets one.
    pub mtu: Option<u32>,
    /// The starter creates the link; else it must be there.
    pub managed: bool,
    /// Number of queues.
    pub queues: u32,
    /// Whether `/dev/vhost-net` is used.
    pub vhost: bool,
    /// Traffic shaping as the format gives it: average, peak (KiB/s), burst (KiB); inbound, then outbound.
    pub bandwidth: Option<[[u64; 3]; 2]>,
    /// Whether the guest's end of the link starts connected.
    pub up: bool,
    /// Why it is there.
    pub cause: Cause,
}

/// A bridge of a virtual network. It stays when the domain stops: others may be plugged in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bridge {
    /// Name of the interface on the host.
    pub name: String,
    /// Addresses of the host on it, in CIDR form.
    pub addresses: Vec<String>,
    /// The network.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// Whether machines reach the outside under the address of the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nat: bool,
    /// The addresses that machines are given. Such a network is declared to the host, and is there before the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<Dhcp>,
    /// Why it is there.
    pub cause: Cause,
}

/// Addresses that the machines of a network are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Dhcp {
    /// The first, counted from the address of the network.
    pub offset: u32,
    /// How many.
    pub size: u32,
    /// Those of machines that always get the same.
    pub hosts: Vec<DhcpHost>,
}

/// A machine that always gets the same address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DhcpHost {
    /// Its MAC address.
    pub mac: String,
    /// Its address.
    pub address: String,
}

/// The kinds of [`Link`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LinkKind {
    /// A tap on a bridge, or by itself.
    Tap,
    /// A macvtap.
    Macvtap,
}

/// A secret that QEMU reads from a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Secret {
    /// QEMU's object id.
    pub id: String,
    /// Path of the file with the secret, where it is expected at run time.
    pub path: String,
    /// UUID or `type/usage` under which the domain names it.
    pub source: String,
    /// Whether the file holds the value in base64.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub base64: bool,
    /// Why it is there.
    pub cause: Cause,
}

impl Secret {
    /// The name of the credential of systemd that holds the value: names of credentials are names of files without colons.
    pub fn credential(&self) -> String {
        let mut name = String::from("virtc.");
        for byte in self.source.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => name.push(char::from(byte)),
                _ => name += &format!("_{byte:02X}"),
            }
        }
        name
    }
}

/// A directory that must exist before the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Directory {
    /// Its part.
    pub role: DirectoryRole,
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Why it is there.
    pub cause: Cause,
}

/// The part that a directory plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DirectoryRole {
    /// Sockets and PID files; gone after the stop.
    Runtime,
    /// State that survives (NVRAM, TPM).
    State,
    /// Logs.
    Log,
    /// Backing files of guest memory.
    Memory,
}

/// A socket on which a process of the domain listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Socket {
    /// Its part.
    pub role: SocketRole,
    /// Absolute path.
    pub path: String,
    /// Id of the process that listens.
    pub process: String,
    /// Why it is there.
    pub cause: Cause,
}

/// The part that a socket plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SocketRole {
    /// QMP.
    Monitor,
    /// QMP for the unit alone, which waits, powers down and pins through it: whoever holds the monitor is not in its way.
    Control,
    /// A character device of the guest.
    Chardev,
    /// A remote display.
    Display,
    /// Between QEMU and a helper.
    Helper,
}

/// A device of the host that is lent to the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lent {
    /// How it is known: its node gets a name only when it appears.
    pub device: LentDevice,
    /// Whether it is taken from the host's driver at the start, and given back at the stop.
    pub managed: bool,
    /// Whether the machine may start without it. (QEMU itself starts without a USB device in silence.)
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Why.
    pub cause: Cause,
}

/// How a device of the host is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LentDevice {
    /// A USB device by vendor and product.
    Usb {
        /// Vendor.
        vendor: u32,
        /// Product.
        product: u32,
    },
    /// Whatever is plugged into a USB port.
    UsbPort {
        /// The number of its bus.
        bus: u32,
        /// The ports on the way to it, `1.4`.
        port: String,
    },
    /// A PCI device by its address, `0000:00:10.0`.
    Pci(String),
    /// A mediated device by its UUID.
    Mdev(String),
}

/// A file that is made before the first start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NewFile {
    /// Where it is to be.
    pub path: String,
    /// What it is for.
    #[serde(rename = "use")]
    pub usage: Use,
    /// The file that it is copied from when it does not exist yet.
    pub template: Option<String>,
    /// Why it is there.
    pub cause: Cause,
}

/// A file that is taken over from libvirt, if it is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Inherited {
    /// Where it is to be.
    pub path: String,
    /// Where libvirt had it.
    pub from: String,
    /// Why.
    pub cause: Cause,
}

/// A qcow2 image that takes what the guest writes to a transient disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Overlay {
    /// Where it is to be.
    pub path: String,
    /// The image below, which is only read.
    pub base: String,
    /// QEMU's name of the format of the image below.
    pub format: Text,
    /// Why it is there.
    pub cause: Cause,
}

impl Overlay {
    /// The program that makes overlays.
    pub const PROGRAM: &'static str = "/usr/bin/qemu-img";

    /// Its arguments; `draft` is where the overlay is made, before it is put in its place.
    pub fn arguments<'a>(&'a self, draft: &'a str) -> [&'a str; 9] {
        ["create", "-q", "-f", "qcow2", "-F", &self.format, "-b", &self.base, draft]
    }
}

/// A port that the XML leaves open, and that QEMU cannot choose itself. The command line holds the first
/// that comes into question; whoever starts QEMU may put another in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AutoPort {
    /// The switch of QEMU.
    pub switch: Text,
    /// The property with the port.
    pub key: Text,
    /// Where the service listens; none: everywhere.
    pub address: Option<String>,
    /// The port of the command line, from which the search begins.
    pub port: u16,
    /// Why it is there.
    pub cause: Cause,
}

/// Mandatory access control and ownership.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Confinement {
    /// User that QEMU runs as; none: the user who starts it.
    pub user: Option<String>,
    /// Group that QEMU runs as.
    pub group: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// Whether the account is this machine's alone, and comes with its tree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_account: bool,
    /// Whether files are given to the user before the start and back after the stop.
    pub dynamic_ownership: bool,
    /// SELinux.
    pub selinux: Option<Selinux>,
    /// AppArmor.
    pub apparmor: Option<Apparmor>,
    /// Whether QEMU's own seccomp filter is on.
    pub seccomp: bool,
}

/// SELinux labels of a domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Selinux {
    /// Context of the processes.
    pub process: String,
    /// Context of files that only this domain may use.
    pub image: String,
    /// Context of files that several domains may write.
    pub shared: String,
    /// Context of files that are only read.
    pub content: String,
    /// Whether files are relabelled before the start and back after the stop.
    pub relabel: bool,
    /// Whether the categories follow from the UUID; else the XML gives the whole label.
    #[serde(default)]
    pub derived: bool,
    /// The host's range of categories; empty: all of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub range: String,
    /// File systems without labels that files lie on: mount point, type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlabelled: Vec<(String, String)>,
    /// Why.
    pub cause: Cause,
}

/// The AppArmor profile of a domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Apparmor {
    /// Profile name, `libvirt-UUID` unless the XML names another.
    pub profile: String,
    /// Whether the profile is generated; else it must be on the host.
    pub generated: bool,
    /// Report instead of refuse.
    pub complain: bool,
    /// Why.
    pub cause: Cause,
}

/// What to do at the end of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lifecycle {
    /// `destroy`, `restart`, `preserve`, `rename-restart`.
    pub on_poweroff: Text,
    /// `destroy`, `restart`, `preserve`, `rename-restart`.
    pub on_reboot: Text,
    /// Also `coredump-destroy`, `coredump-restart`.
    pub on_crash: Text,
    /// Whether the user's own arguments (`-action`) say what QEMU does, so that nobody else tells it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_handed_through: bool,
}
