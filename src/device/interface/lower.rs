//! Interfaces on the command line: a `-netdev` for the host's side, a `-device` for the guest's.

use super::{Backend, Interface, InterfaceType, LinkState, Rate, TeamingType, TxMode, passt, rules};
use crate::caps::Accel;
use crate::diag::codes::general as support;
use crate::diag::codes::network as network_codes;
use crate::host::{DhcpRange, ForwardMode, Network, Plug, VhostNetPolicy};
use crate::plan::{Bridge, ClaimKind, Dhcp, DhcpHost, Link, LinkKind, Need, Props, Use};
use crate::stage::Env;
use crate::stage::mapping;
use crate::stage::{Grant, Lower};
use crate::vocab::{base36, nodes, sum};

/// Adds one interface.
pub fn interface(interface: &Interface, lx: &mut Lower<'_>) {
    // What is a device of the host is added with the host devices.
    if !rules::can_start(interface, lx) || interface.is_host_device() {
        return;
    }
    let id = format!("host{}", interface.info.id);
    let Some(mut netdev) = netdev(interface, lx) else { return };
    netdev.set("id", id.clone());
    lx.netdev(netdev, interface.site);
    device(interface, &id, lx);
}

/// The network of this name: from the host facts, or libvirt's own `default` where there are none.
pub fn network<'a>(name: &str, env: Env<'a>) -> Option<std::borrow::Cow<'a, Network>> {
    use std::borrow::Cow;
    if let Some(network) = env.host.network(name) {
        return Some(Cow::Borrowed(network));
    }
    let default = name == "default" && env.host.networks.is_empty();
    default.then(|| {
        Cow::Owned(Network { name: name.to_string(), bridge: Some("virbr0".to_string()), ..Network::default() })
    })
}

/// What to do about a network that the host facts lack.
pub fn network_wanted(name: &str) -> String {
    format!(
        "add to the host facts: network \"{name}\" {{ bridge \"virbr0\"; port plug=\"network\" bridge=\"virbr0\" }}"
    )
}

/// Tells the Plan about the bridge of a network that is virtc's to make: the host facts describe it, and it is not
/// the host's own.
fn own_bridge(network: &Network, bridge: Option<&str>, interface: &Interface, lx: &mut Lower<'_>) {
    use ForwardMode::{Nat, None as Isolated, Open, Route};
    let mode = network.forward.as_ref().map_or(Isolated, |f| f.mode);
    let Some(name) = bridge.filter(|_| matches!(mode, Isolated | Nat | Open | Route)) else { return };
    if lx.env.has_parent() || lx.env.host.network(&network.name).is_none() {
        return;
    }
    if lx.plan.bridges.iter().all(|b| b.name != name) {
        let cause = lx.cause(interface.site, format!("network {}", network.name));
        let dhcp = network.dhcp.as_ref().and_then(|range| dhcp(network, range, interface, lx));
        lx.plan.bridges.push(Bridge {
            name: name.to_string(),
            addresses: network.addresses.clone(),
            network: network.name.clone(),
            nat: mode == Nat,
            dhcp,
            cause,
        });
    }
}

/// The addresses that a network gives, counted as networkd does it.
fn dhcp(network: &Network, range: &DhcpRange, interface: &Interface, lx: &mut Lower<'_>) -> Option<Dhcp> {
    let own = network.addresses.iter().find_map(|cidr| {
        let (address, bits) = cidr.split_once('/')?;
        let (address, bits): (std::net::Ipv4Addr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        // Of no bits, the mask is empty.
        let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
        Some((u32::from(address), mask))
    });
    let (first, last) = (u32::from(range.first), u32::from(range.last));
    let inside = |(own, mask): (u32, u32), address: u32| own & mask == address & mask;
    let fits = own.filter(|own| inside(*own, first) && inside(*own, last) && first <= last);
    let Some((own, mask)) = fits else {
        lx.error(
            &network_codes::DHCP,
            interface.site,
            format!("the addresses {} to {} of the network '{}' are in none of its own", range.first, range.last, network.name),
        )
        .help("give the network an IPv4 address in the host facts, and a range within it: address \"192.168.122.1/24\"; dhcp first=\"192.168.122.2\" last=\"192.168.122.254\"");
        return None;
    };
    let hosts = range.hosts.iter().map(|(mac, address)| DhcpHost { mac: mac.clone(), address: address.to_string() });
    Some(Dhcp { offset: first - (own & mask), size: last - first + 1, hosts: hosts.collect() })
}

/// The `-netdev`, without its id; none after a fault.
fn netdev(interface: &Interface, lx: &mut Lower<'_>) -> Option<Props> {
    use InterfaceType::{Client, Mcast, Server, Udp, User};
    if matches!(interface.kind(), Server | Client | Mcast | Udp)
        || (interface.kind() == User && !interface.uses_passt())
    {
        lx.need(Need::Inet, interface.site, format!("interface {}", interface.info.id));
    }
    let source = &interface.source.fields;
    Some(match interface.kind() {
        InterfaceType::User if !interface.uses_passt() => user(interface, lx),
        InterfaceType::Network => {
            let name = lx.must(source.network.clone(), "the network of the interface", interface.site);
            let Some(network) = network(&name, lx.env) else {
                // A host of our own refuses this; libvirt would ask its networks.
                if !name.is_empty() {
                    let message =
                        format!("the host facts hold no network '{name}': the command line has no such network card");
                    lx.warning(&network_codes::NO_NETWORK, interface.source.site, message).help(network_wanted(&name));
                }
                return None;
            };
            let bridge = network.port.as_ref().and_then(|p| p.bridge.clone()).or_else(|| network.bridge.clone());
            match network.port.as_ref().map(|p| p.plug) {
                None | Some(Plug::Network | Plug::Bridge) => {
                    own_bridge(&network, bridge.as_deref(), interface, lx);
                    tap(interface, bridge, lx)
                }
                Some(Plug::Direct) => return direct(interface, lx),
                Some(_) => return not_yet(interface, lx),
            }
        }
        InterfaceType::Direct => return direct(interface, lx),
        InterfaceType::Bridge => tap(interface, source.bridge.clone(), lx),
        InterfaceType::Ethernet => tap(interface, None, lx),
        InterfaceType::Server => {
            let (at, port) = end(&source.address, source.port, interface, lx);
            listens(interface, at, port, false, lx);
            with_type("socket", "listen", format!("{at}:{port}"))
        }
        kind @ (InterfaceType::Client | InterfaceType::Mcast) => {
            let (at, port) = end(&source.address, source.port, interface, lx);
            let key = if kind == InterfaceType::Client { "connect" } else { "mcast" };
            with_type("socket", key, format!("{at}:{port}"))
        }
        InterfaceType::Udp => {
            let (at, port) = end(&source.address, source.port, interface, lx);
            let local = lx.must(source.local.clone(), "the own end of the interface", interface.site);
            let (local, local_port) = end(&local.address, local.port, interface, lx);
            listens(interface, local, local_port, true, lx);
            let mut props = with_type("socket", "udp", format!("{at}:{port}"));
            props.set("localaddr", format!("{local}:{local_port}"));
            props
        }
        InterfaceType::Vhostuser if interface.uses_passt() => {
            let socket = passt::start(interface, lx);
            passt::vhost_user(interface, socket, lx)
        }
        InterfaceType::User => {
            let socket = passt::start(interface, lx);
            passt::stream(interface, socket, lx)
        }
        InterfaceType::Vhostuser => vhost_user(interface, lx),
        InterfaceType::Vdpa => vdpa(interface, lx),
        _ => return not_yet(interface, lx),
    })
}

/// Records a port of the host that a socket of an interface takes.
fn listens(interface: &Interface, address: &str, port: u16, udp: bool, lx: &mut Lower<'_>) {
    let cause = lx.cause(interface.site, "interface");
    lx.listens_on(address, port, udp, &cause);
}

/// One end of a socket: its address, which is empty (any) where none is given, and its port.
fn end<'a>(address: &'a Option<String>, port: Option<u16>, of: &Interface, lx: &mut Lower<'_>) -> (&'a str, u16) {
    (address.as_deref().unwrap_or(""), lx.must(port, "the port of the interface", of.site))
}

/// The address of the card, which every one has by now.
fn mac(interface: &Interface, lx: &mut Lower<'_>) -> String {
    let address = interface.mac.as_ref().and_then(|m| m.address).map(|m| m.to_string());
    lx.must(address, "the MAC address of the interface", interface.site)
}

fn not_yet(interface: &Interface, lx: &mut Lower<'_>) -> Option<Props> {
    let message = format!("interfaces of type '{}' are not supported yet", interface.kind());
    lx.error(&support::NOT_YET, interface.site, message);
    None
}

/// A macvtap on a device of the host. It is known by a descriptor alone, so that only a parent that opens
/// it can pass it on: libvirt, or `virtc run`.
fn direct(interface: &Interface, lx: &mut Lower<'_>) -> Option<Props> {
    let over = interface.source.fields.dev.clone();
    let props = if lx.hands_over_descriptors() {
        tap(interface, over, lx)
    } else if over.is_none() {
        lx.error(
            &support::NOT_YET,
            interface.site,
            "a network that gives macvtaps is not supported yet by the standalone target: it names no device",
        )
        .help("name the device: <interface type='direct'><source dev='eth0' mode='bridge'/>");
        return None;
    } else {
        macvtap(interface, over, lx)
    };
    if let Some(link) = lx.plan.links.last_mut() {
        link.kind = LinkKind::Macvtap;
        // The format's default (formatdomain, "Direct attachment to physical interface").
        let mode = interface.source.fields.mode.as_deref().unwrap_or("vepa");
        let mode = if mode == "passthrough" { "passthru" } else { mode };
        link.mode = Some(mode.to_string().into());
    }
    Some(props)
}

/// The `-netdev` of a macvtap of a standalone machine: one descriptor a queue.
fn macvtap(interface: &Interface, over: Option<String>, lx: &mut Lower<'_>) -> Props {
    let name = tap_name(interface, lx);
    let queues = interface.queues();
    let list: Vec<String> = (0..queues).map(|_| lx.link_descriptor(&name)).collect();
    let mut props = Props::with("type", "tap");
    props.set(if queues > 1 { "fds" } else { "fd" }, list.join(":"));
    let vhost = wants_vhost(interface, lx);
    if vhost {
        props.set("vhost", true);
    }
    props.maybe("sndbuf", interface.tune.as_ref().and_then(|t| t.sndbuf));
    link(interface, over, vhost, lx);
    props
}

fn with_type(kind: &'static str, key: &'static str, value: String) -> Props {
    let mut props = Props::with("type", kind);
    props.set(key, value);
    props
}

/// User-mode networking inside QEMU.
fn user(interface: &Interface, lx: &mut Lower<'_>) -> Props {
    let mut props = Props::with("type", "user");
    for ip in &interface.ips {
        let address = lx.must(ip.address.clone(), "the address of an <ip>", ip.site);
        if ip.family.as_deref() == Some("ipv6") {
            props.set("ipv6-prefix", address).maybe("ipv6-prefixlen", ip.prefix);
        } else {
            props.set("net", ip.prefix.map_or(address.clone(), |p| format!("{address}/{p}")));
        }
    }
    props
}

/// A tap of the host, joined to a bridge if there is one.
fn tap(interface: &Interface, bridge: Option<String>, lx: &mut Lower<'_>) -> Props {
    let queues = interface.queues();
    let vhost = wants_vhost(interface, lx);
    let mut props = Props::with("type", "tap");
    if lx.hands_over_descriptors() {
        descriptors(&mut props, ["fd", "fds"], queues, "tap", lx);
        if vhost {
            props.set("vhost", true);
            descriptors(&mut props, ["vhostfd", "vhostfds"], queues, "vhost-net", lx);
        }
    } else {
        props.set("ifname", tap_name(interface, lx)).set("script", "no").set("downscript", "no");
        if queues > 1 {
            props.set("queues", queues);
        }
        if vhost {
            props.set("vhost", true);
        }
    }
    props.maybe("sndbuf", interface.tune.as_ref().and_then(|t| t.sndbuf));
    link(interface, bridge, vhost, lx);
    props
}

/// One descriptor, or a list of them under the plural name.
fn descriptors(props: &mut Props, names: [&'static str; 2], count: u32, what: &'static str, lx: &mut Lower<'_>) {
    let list: Vec<String> = (0..count).map(|_| lx.descriptor(what)).collect();
    props.set(if count > 1 { names[1] } else { names[0] }, list.join(":"));
}

/// The name of the tap: the one of `<target>`, or one derived from the UUID and the interface's number.
fn tap_name(interface: &Interface, lx: &mut Lower<'_>) -> String {
    if let Some(name) = interface.target.as_ref().and_then(|t| t.dev.clone()) {
        return name;
    }
    let uuid = lx.must(lx.domain.uuid.map(|u| u.0), "the UUID of the domain", interface.site);
    let own = lx.devices.interfaces.iter().position(|i| std::ptr::eq(i, interface));
    let number = lx.must(own, "the interface among those of the domain", interface.site);
    derived_name(&uuid, number)
}

/// `vt`, nine digits of a sum of the whole UUID, and the interface's number: the 15 bytes that the kernel allows.
fn derived_name(uuid: &[u8; 16], number: usize) -> String {
    let number = number.to_string();
    let digits = base36(sum(*uuid), 12_usize.saturating_sub(number.len()).min(9));
    format!("vt{digits}-{number}")
}

/// Whether the kernel moves the frames (vhost-net), see `vhost-net` of the host facts.
fn wants_vhost(interface: &Interface, lx: &Lower<'_>) -> bool {
    interface.is_virtio()
        && match lx.env.host.machine.vhost_net {
            VhostNetPolicy::Always => true,
            VhostNetPolicy::Never => false,
            VhostNetPolicy::Auto => {
                lx.machine.accel == Accel::Kvm && interface.driver.as_ref().and_then(|d| d.name) != Some(Backend::Qemu)
            }
        }
}

/// Tells the Plan about the tap and the device nodes behind it.
fn link(interface: &Interface, bridge: Option<String>, vhost: bool, lx: &mut Lower<'_>) {
    let what = format!("interface {}", interface.info.id);
    lx.need(Need::Tap, interface.site, what.clone());
    if !lx.hands_over_descriptors() {
        node(nodes::TUN, interface, &what, lx);
    }
    if vhost {
        node(nodes::VHOST_NET, interface, &what, lx);
    }
    const NOT_LIMITED: u64 = 0;
    let rate = |r: &Option<Rate>| {
        let get = |v: Option<u64>| v.unwrap_or(NOT_LIMITED);
        r.as_ref().map_or([NOT_LIMITED; 3], |r| [get(r.average), get(r.peak), get(r.burst)])
    };
    let cause = lx.cause(interface.site, what);
    let (name, mac) = (tap_name(interface, lx), mac(interface, lx));
    lx.plan.links.push(Link {
        kind: LinkKind::Tap,
        name,
        over: bridge,
        mode: None,
        mac,
        mtu: interface.mtu.as_ref().and_then(|m| m.size),
        managed: interface.is_managed(),
        queues: interface.queues(),
        vhost,
        bandwidth: interface.bandwidth.as_ref().map(|b| [rate(&b.inbound), rate(&b.outbound)]),
        up: interface.link.as_ref().is_none_or(|l| l.state != Some(LinkState::Down)),
        cause,
    });
}

fn node(path: &str, interface: &Interface, what: &str, lx: &mut Lower<'_>) {
    lx.touch(path, Grant::SYSTEM_NODE, Use::Interface, interface.site, what.to_string());
}

/// A vhost-user switch behind a socket.
fn vhost_user(interface: &Interface, lx: &mut Lower<'_>) -> Props {
    let source = &interface.source.fields;
    let path = lx.must(source.path.clone(), "the socket of the interface", interface.site);
    let id = format!("char{}", interface.info.id);
    let mut chardev = Props::new();
    chardev.bare("socket").set("id", id.clone()).set("path", path.clone());
    if source.mode.as_deref() == Some("server") {
        chardev.set("server", true);
    } else if let Some(reconnect) = &source.reconnect {
        lx.reconnect(reconnect.enabled, reconnect.timeout, reconnect.site, &mut chardev);
    }
    let what = format!("interface {}", interface.info.id);
    if source.mode.as_deref() != Some("server") {
        let cause = lx.cause(interface.source.site, what.clone());
        lx.connects(&path, source.reconnect.is_some(), &cause);
    }
    lx.touch(&path, Grant::PEER_SOCKET, Use::Interface, interface.source.site, what);
    lx.options("-chardev", chardev, interface.source.site, "interface");
    let mut props = Props::with("type", "vhost-user");
    props.set("chardev", id);
    if interface.queues() > 1 {
        props.set("queues", interface.queues());
    }
    props
}

/// A vDPA device of the host.
fn vdpa(interface: &Interface, lx: &mut Lower<'_>) -> Props {
    let path = lx.must(interface.source.fields.dev.clone(), "the device of the interface", interface.site);
    // Nobody but root may open it by itself.
    lx.touch(&path, Grant::HOST_DEVICE, Use::Interface, interface.site, format!("interface {}", interface.info.id));
    let path = if lx.hands_over_descriptors() {
        lx.fd_set(format!("{}-vdpa", interface.info.id), interface.site)
    } else {
        path
    };
    let mut props = with_type("vhost-vdpa", "vhostdev", path);
    if interface.queues() > 1 {
        props.set("queues", interface.queues());
    }
    props
}

/// Models that are part of boards: QEMU takes them by `-net nic`, not as devices (QEMU manual, "-net nic").
fn is_on_board(model: &str) -> bool {
    matches!(model, "lan9118" | "smc91c111")
}

/// The `-net nic` of an interface that the board has.
fn nic(interface: &Interface, netdev: &str, lx: &mut Lower<'_>) {
    let mut props = Props::new();
    props.bare("nic").set("macaddr", mac(interface, lx)).set("netdev", netdev.to_string());
    props.set("model", interface.model().to_string()).set("id", interface.info.id.clone());
    lx.options("-net", props, interface.site, "interface");
}

/// The `-device` of an interface.
fn device(interface: &Interface, netdev: &str, lx: &mut Lower<'_>) {
    let own = lx.overridden(&interface.info.id, "mac").map(str::to_string);
    let own = own.unwrap_or_else(|| mac(interface, lx));
    lx.claim(ClaimKind::Mac, own.to_ascii_lowercase(), interface.site, "interface");
    let model = interface.model();
    // ARM boards without PCI and transports of virtio have a card, or none.
    if is_on_board(model) || (lx.machine.arch.is_arm() && !interface.info.has_address()) {
        return nic(interface, netdev, lx);
    }
    let mut props = match model {
        "virtio" => Props::driver(lx.virtio_driver("virtio-net", &interface.info, "")),
        "virtio-transitional" => Props::driver(lx.virtio_driver("virtio-net", &interface.info, "-transitional")),
        "virtio-non-transitional" => {
            Props::driver(lx.virtio_driver("virtio-net", &interface.info, "-non-transitional"))
        }
        other => Props::driver(other.to_string()),
    };
    if interface.is_virtio() {
        virtio(interface, &mut props, lx);
    }
    props.maybe("host_mtu", interface.mtu.as_ref().filter(|_| interface.is_virtio()).and_then(|m| m.size));
    if interface.teaming.as_ref().is_some_and(|t| t.kind == Some(TeamingType::Persistent)) {
        props.set("failover", true);
    }
    props.set("netdev", netdev.to_string()).set("id", interface.info.id.clone()).set("mac", mac(interface, lx));
    lx.boot(&mut props, &interface.info);
    lx.address(&mut props, &interface.info);
    lx.device(props, interface);
}

fn virtio(interface: &Interface, props: &mut Props, lx: &mut Lower<'_>) {
    let Some(driver) = &interface.driver else { return };
    driver.virtio.lower(props, lx);
    match driver.txmode {
        Some(TxMode::Iothread) => {
            props.set("tx", "bh");
        }
        Some(TxMode::Timer) => {
            props.set("tx", "timer");
        }
        None => {}
    }
    mapping::lower(super::mapping::DRIVER, driver, props);
    if let Some(host) = &driver.host {
        mapping::lower(super::mapping::HOST, host, props);
    }
    if let Some(guest) = &driver.guest {
        mapping::lower(super::mapping::GUEST, guest, props);
    }
    let queues = interface.queues();
    if queues > 1 {
        // One vector for each direction of each queue, one for configuration, one for control.
        props.set("mq", true);
        if !matches!(&interface.info.address.address, Some(crate::device::address::Address::Ccw(_))) {
            props.set("vectors", 2 * queues + 2);
        }
    }
    mapping::lower(super::mapping::QUEUES, driver, props);
    mapping::lower(super::mapping::HASH, driver, props);
}

#[cfg(test)]
mod tests {
    use super::derived_name;
    use std::collections::BTreeSet;

    #[test]
    fn taps_of_uuids_in_sequence_differ() {
        let mut names = BTreeSet::new();
        for place in 0..16 {
            for number in 1..=255 {
                let mut uuid = [0x1a; 16];
                uuid[place] ^= number;
                names.insert(derived_name(&uuid, 0));
            }
        }
        assert_eq!(names.len(), 16 * 255);
        let uuid = [7; 16];
        for number in [0, 9, 10, 999, 1000, 123_456] {
            let name = derived_name(&uuid, number);
            assert!(name.len() <= 15 && name.starts_with("vt") && name.ends_with(&format!("-{number}")), "{name}");
        }
    }
}
