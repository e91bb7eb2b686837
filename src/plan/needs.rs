//! What a process needs of its surroundings besides the paths of the access closure.
//!
//! Lowering records a need where it makes the argument that has it; whoever confines or starts a process asks
//! [`Process::needs`], and reads no argument.

use super::{Cause, Process};
use serde::{Deserialize, Serialize};

/// Something that a sandbox takes away from every process that does not need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Sockets of IPv4 and IPv6.
    Inet,
    /// Netlink: lists of interfaces and of devices.
    Netlink,
    /// The network interfaces of the host: it opens a tap.
    Tap,
    /// Pseudo-terminals.
    Pty,
    /// The terminal from which it is started.
    Terminal,
    /// Memory that is written, then executed: emulation, compilers of shaders.
    Code,
    /// The drivers of a GPU of the host.
    Gpu,
    /// What the library of SPICE looks for.
    Spice,
    /// Memory that is bound to nodes of the host.
    MemoryPolicy,
    /// Settings of the kernel below `/proc/sys`.
    KernelSettings,
    /// Huge pages that belong to no file.
    HugePages,
    /// Memory that is never swapped out, all of it.
    LockedMemory,
    /// The list of the host's USB devices.
    Usb,
    /// Devices of the host by VFIO.
    Vfio,
    /// Memory of enclaves.
    Enclaves,
    /// Firmware of the system's packages, whose names may be links.
    SystemFirmware,
    /// Namespaces that it makes for itself.
    Namespaces,
    /// A folder `/run/virtiofsd` for the locks of its sockets.
    LockFolder,
}

/// A need, and why it is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Needed {
    /// What is needed.
    pub need: Need,
    /// Why.
    pub cause: Cause,
}

impl Needed {
    /// Needs of one cause.
    pub fn all(needs: &[Need], cause: &Cause) -> Vec<Needed> {
        needs.iter().map(|need| Needed { need: *need, cause: cause.clone() }).collect()
    }
}

impl Process {
    /// Whether it needs this.
    pub fn needs(&self, need: Need) -> bool {
        self.needs.iter().any(|n| n.need == need)
    }
}
