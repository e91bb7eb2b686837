//! Programs that are started, and how their starter knows that they are ready.

use super::{Arg, Cause, Needed, Text};
use serde::{Deserialize, Serialize};

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
    /// User that it runs as; none: that of [`Confinement`](super::Confinement).
    pub user: Option<String>,
    /// Group that it runs as; none: that of [`Confinement`](super::Confinement).
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
