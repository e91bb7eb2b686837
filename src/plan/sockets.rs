//! Sockets on which processes listen, and ports that the start may choose.

use super::{Cause, Text};
use serde::{Deserialize, Serialize};

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

/// The file into which a process writes a picture of what the guest shows (`virtc screenshot`). It is there for that
/// moment only, in a folder that virtc makes for the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Screen {
    /// The file.
    pub path: String,
    /// The process.
    pub process: String,
    /// Why it may.
    pub cause: Cause,
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
