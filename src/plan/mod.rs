//! The Plan: the one truth that every emitter and the runner read.
//!
//! Lowering fills it from a resolved domain; nothing behind this point looks at the domain again.
//! Every entry says what caused it ([`Cause`]), so that `virtc explain` can answer for each argument,
//! rule and directive. Units are canonical: bytes, microseconds, and the kernel's own scales.
//! `plan.json` is this structure in JSON, versioned by [`Plan::VERSION`].

mod access;
mod args;
mod claims;
mod confinement;
mod differences;
mod files;
mod histograms;
mod lent;
mod limits;
mod links;
mod loss;
mod needs;
mod process;
mod read;
#[cfg(test)]
mod schema;
mod sockets;
mod target;

pub use access::{Access, LabelRole, OwnerRule, PathKind, Perms, Sharing, Use};
pub use args::{Arg, ArgValue, Form, Prop, Props};
pub use claims::{Claim, ClaimKind, Connection, Listen};
pub use confinement::{Apparmor, Confinement, Selinux};
pub use differences::{Change, Difference, differences, properties, subject};
pub use files::{Directory, DirectoryRole, Inherited, NewFile, Overlay, Secret, Setup};
pub use histograms::{Histogram, Requests};
pub use lent::{Lent, LentDevice};
pub use limits::{BlockDeviceLimit, Limits, MemoryPolicy, ThreadCpus, ThreadSchedule};
pub use links::{Bridge, Dhcp, DhcpHost, Link, LinkKind};
pub use loss::Loss;
pub use needs::{Need, Needed};
pub use process::{Descriptor, Process, Ready, Role};
pub use read::Unreadable;
pub use sockets::{AutoPort, Screen, Socket, SocketRole};
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
    /// What QEMU writes besides, when it is asked what the guest shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<Screen>,
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
    /// Programs that make ready what a process finds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setups: Vec<Setup>,
    /// Overlays of transient disks: made before each start, removed after the stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<Overlay>,
    /// Ports of services that may move when they are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auto_ports: Vec<AutoPort>,
    /// Machines of the same host that it waits for when several are started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Machines of the same host that are started with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<String>,
    /// Machines of the same host that have one of its devices, too, and so cannot run at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<String>,
    /// What QEMU is asked to count of its disks once it runs, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histograms: Vec<Histogram>,
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
