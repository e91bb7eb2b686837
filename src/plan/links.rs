//! Network links and bridges on the host.

use super::{Cause, Text};
use serde::{Deserialize, Serialize};

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
