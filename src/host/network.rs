//! Host facts about virtual networks: the node `network`.

use super::PciAddress;
use super::facts::{Cidr, Mac};
use super::kdl::{Reader, Times::*};
use super::lines::Lines;
use super::rows::Table;
use crate::vocab::keywords;
use ::kdl::KdlNode;

/// A virtual network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Network {
    /// Name.
    pub name: String,
    /// Forwarding; none: isolated.
    pub forward: Option<Forward>,
    /// Bridge.
    pub bridge: Option<String>,
    /// Addresses of the host on it, in CIDR form; the first serves `<listen type='network'/>`.
    pub addresses: Vec<String>,
    /// The addresses that are given to machines; virtc declares the network to the host then.
    pub dhcp: Option<DhcpRange>,
    /// Type of its virtual port.
    pub virtualport: Option<String>,
    /// What a NIC becomes that is plugged in.
    pub port: Option<NetworkPort>,
}

/// Addresses that a virtual network gives to machines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DhcpRange {
    /// The first.
    pub first: std::net::Ipv4Addr,
    /// The last.
    pub last: std::net::Ipv4Addr,
    /// MAC addresses whose machines always get the same.
    pub hosts: Vec<(String, std::net::Ipv4Addr)>,
}

/// Forwarding of a virtual network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward {
    /// Mode.
    pub mode: ForwardMode,
    /// Whether host devices of the network are managed.
    pub managed: bool,
    /// Interfaces of the host.
    pub interfaces: Vec<String>,
}

keywords! {
    /// Forwarding mode of a virtual network.
    pub enum ForwardMode {
        None = "none",
        Nat = "nat",
        Route = "route",
        Open = "open",
        Bridge = "bridge",
        Private = "private",
        Vepa = "vepa",
        Passthrough = "passthrough",
        Hostdev = "hostdev",
    }
}

/// What a NIC becomes that is plugged into a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkPort {
    /// How it is plugged.
    pub plug: Plug,
    /// The bridge.
    pub bridge: Option<String>,
    /// The host device.
    pub address: Option<PciAddress>,
    /// Whether the host device is managed; none: not said.
    pub managed: Option<bool>,
    /// Whether the guest's receive filters are trusted; none: not said.
    pub trust_guest_rx_filters: Option<bool>,
}

keywords! {
    /// How a NIC is plugged into a network.
    pub enum Plug {
        Network = "network",
        Bridge = "bridge",
        Direct = "direct",
        HostdevPci = "hostdev-pci",
    }
}

/// Reads a node `network`.
pub(super) fn read(r: &mut Reader<'_>, node: &KdlNode) -> Option<Network> {
    let mut network = Network::default();
    let mut e = r.entries(node);
    let name = e.required_arg("its name");
    e.finish();
    let table: Table = &[
        ("forward", Once),
        ("bridge", Once),
        ("address", Many),
        ("dhcp", Once),
        ("virtualport", Once),
        ("port", Once),
    ];
    for child in r.children(node, table) {
        match child.name().value() {
            "forward" => {
                let mut e = r.entries(child);
                let mode = e.required_arg("the mode");
                let managed = e.prop("managed").unwrap_or(false);
                e.finish();
                let mut interfaces = Vec::new();
                for list in r.children(child, &[("interface", Many)]) {
                    r.list(list, &mut interfaces);
                }
                network.forward = mode.map(|mode| Forward { mode, managed, interfaces });
            }
            "bridge" => r.option(child, &mut network.bridge),
            "address" => {
                let mut list = Vec::new();
                r.list::<Cidr>(child, &mut list);
                network.addresses.extend(list.into_iter().map(|a| a.0));
            }
            "dhcp" => {
                let mut e = r.entries(child);
                let (first, last) = (e.required_prop("first"), e.required_prop("last"));
                e.finish();
                let mut hosts = Vec::new();
                for host in r.children(child, &[("host", Many)]) {
                    let mut e = r.entries(host);
                    let (mac, address) = (e.required_prop::<Mac>("mac"), e.required_prop("address"));
                    e.finish();
                    r.no_children(host);
                    hosts.extend(mac.zip(address).map(|(mac, address)| (mac.0, address)));
                }
                network.dhcp = first.zip(last).map(|(first, last)| DhcpRange { first, last, hosts });
            }
            "virtualport" => r.option(child, &mut network.virtualport),
            "port" => {
                let mut e = r.entries(child);
                let plug = e.required_prop("plug");
                let bridge = e.prop("bridge");
                let address = e.prop("address");
                let managed = e.prop("managed");
                let trust_guest_rx_filters = e.prop("trust-guest-rx-filters");
                e.finish();
                r.no_children(child);
                network.port = plug.map(|plug| NetworkPort { plug, bridge, address, managed, trust_guest_rx_filters });
            }
            _ => {}
        }
    }
    network.name = name?;
    Some(network)
}

/// Writes it.
pub(super) fn write(w: &mut Lines, network: &Network) {
    w.gap().node("network").text(&network.name).block(|w| {
        if let Some(forward) = &network.forward {
            w.node("forward").text(forward.mode.as_str());
            if forward.managed {
                w.prop_truth("managed", true);
            }
            if !forward.interfaces.is_empty() {
                w.block(|w| {
                    w.node("interface").texts(&forward.interfaces);
                });
            }
        }
        if let Some(bridge) = &network.bridge {
            w.node("bridge").text(bridge);
        }
        for address in &network.addresses {
            w.node("address").text(address);
        }
        if let Some(dhcp) = &network.dhcp {
            w.node("dhcp").prop("first", &dhcp.first.to_string()).prop("last", &dhcp.last.to_string());
            if !dhcp.hosts.is_empty() {
                w.block(|w| {
                    for (mac, address) in &dhcp.hosts {
                        w.node("host").prop("mac", mac).prop("address", &address.to_string());
                    }
                });
            }
        }
        if let Some(kind) = &network.virtualport {
            w.node("virtualport").text(kind);
        }
        if let Some(port) = &network.port {
            w.node("port").prop("plug", port.plug.as_str()).prop_if("bridge", port.bridge.as_deref());
            w.prop_if("address", port.address.map(|a| a.to_string()).as_deref());
            if let Some(managed) = port.managed {
                w.prop_truth("managed", managed);
            }
            if let Some(trusted) = port.trust_guest_rx_filters {
                w.prop_truth("trust-guest-rx-filters", trusted);
            }
        }
    });
}
