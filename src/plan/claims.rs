//! What a machine has for itself alone, where it listens, and to what it connects.
//!
//! Lowering records it where it makes the argument; the fleet and the runner read it.

use super::{Cause, Plan};
use serde::{Deserialize, Serialize};

/// A port on which a process listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Listen {
    /// Id of the process.
    pub process: String,
    /// The address, without brackets; `0.0.0.0` for all.
    pub address: String,
    /// The port, never 0.
    pub port: u16,
    /// UDP, else TCP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub udp: bool,
    /// Why.
    pub cause: Cause,
}

impl Listen {
    /// A port of TCP; none for port 0, which is any that is free. An empty address stands for all.
    pub fn tcp(process: &str, address: &str, port: u16, cause: Cause) -> Option<Listen> {
        let address = address.trim_matches(['[', ']']);
        let address = if address.is_empty() { "0.0.0.0" } else { address }.to_string();
        let process = process.to_string();
        (port != 0).then_some(Listen { process, address, port, udp: false, cause })
    }

    /// The same of UDP.
    pub fn udp(process: &str, address: &str, port: u16, cause: Cause) -> Option<Listen> {
        Listen::tcp(process, address, port, cause).map(|tcp| Listen { udp: true, ..tcp })
    }

    /// Whether both cannot be listened on at once.
    pub fn collides(&self, other: &Listen) -> bool {
        let everywhere = |l: &Listen| matches!(l.address.as_str(), "0.0.0.0" | "::" | "*");
        self.port == other.port
            && self.udp == other.udp
            && (self.address == other.address || everywhere(self) || everywhere(other))
    }
}

/// A socket to which QEMU connects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Connection {
    /// Path of the socket.
    pub socket: String,
    /// Whether QEMU connects again by itself when the other side has gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Why.
    pub cause: Cause,
}

/// Something that only one machine can have at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Claim {
    /// What kind of thing.
    pub kind: ClaimKind,
    /// Which one, named so that two ways to name it meet.
    pub value: String,
    /// Why.
    pub cause: Cause,
}

/// The kinds of [`Claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ClaimKind {
    /// The MAC address of a guest's card, in lower case.
    Mac,
    /// The address of a guest among the sockets between host and guest.
    Cid,
    /// A device of the host: a PCI address, the UUID of a mediated device, vendor and product of a USB device, the name of
    /// a SCSI target.
    HostDevice,
}

impl Plan {
    /// Whether QEMU connects again to a socket when the process behind it was started anew.
    pub fn connects_again(&self, socket: &str) -> bool {
        self.connects.iter().any(|c| c.again && c.socket == socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_all_collides_with_every_other() {
        let at = |address: &str, port| Listen::tcp("qemu", address, port, Cause::default()).unwrap();
        assert!(at("", 80).collides(&at("127.0.0.1", 80)));
        assert!(at("::", 80).collides(&at("127.0.0.1", 80)));
        assert!(at("[::1]", 80).collides(&at("::1", 80)));
        assert!(!at("127.0.0.2", 80).collides(&at("127.0.0.1", 80)));
        assert!(!at("", 80).collides(&at("", 81)));
        assert!(!at("", 80).collides(&Listen { udp: true, ..at("", 80) }));
        assert_eq!(Listen::tcp("qemu", "", 0, Cause::default()), None);
    }
}
