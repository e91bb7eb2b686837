//! Checks of a complete interface.

use super::{Interface, InterfaceType, TeamingType};
use crate::diag::codes::network as codes;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Machine};
use crate::vocab::YesNo;

/// Checks one interface.
pub fn interface(interface: &Interface, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
    let kind = interface.kind();
    let port_forward_works = interface.uses_passt() && matches!(kind, InterfaceType::User | InterfaceType::Vhostuser);
    if let Some(forward) = interface.port_forwards.first()
        && !port_forward_works
    {
        cx.error(
            &codes::NOT_FOR_TYPE,
            forward.site,
            "<portForward> is carried out by passt: use it with <backend type='passt'/> in an interface of type='user' or 'vhostuser'",
        )
        .help("add <backend type='passt'/>");
    }
    complete(interface, cx);
    for_hosts(interface, cx);
    port_profile(interface, cx);
    addresses(interface, cx);
    for_type(interface, domain, cx);
    if let Some(driver) = &interface.driver {
        driver.virtio.refuse_unless(interface.is_virtio(), cx);
        // MAX_TAP_QUEUES of QEMU; a vhost-user backend may have as many as virtio allows.
        let most = if kind == InterfaceType::Vhostuser { 1024 } else { 256 };
        if let Some(queues) = driver.queues.filter(|q| *q > most) {
            cx.error_at(&codes::QUEUE_SIZE, driver.site, "queues", format!("{queues} queues are more than QEMU has"))
                .help(format!("use at most {most}"));
        }
        for (name, size) in [("rx_queue_size", driver.rx_queue_size), ("tx_queue_size", driver.tx_queue_size)] {
            if size.is_some_and(|s| !s.is_power_of_two()) {
                cx.error_at(&codes::QUEUE_SIZE, driver.site, name, format!("{name} is no power of two"))
                    .help("256, 512 and 1024 are sizes that QEMU takes");
            }
        }
    }
    if kind == InterfaceType::Network
        && let Some(name) = &interface.source.fields.network
        && super::lower::network(name, cx.env).is_none()
        && cx.env.is_guardian()
    {
        cx.error_at(
            &codes::NO_NETWORK,
            interface.source.site,
            "network",
            format!("the host facts hold no network '{name}'"),
        )
        .help(super::lower::network_wanted(name));
    }
    if cx.env.is_guardian() {
        names(interface, cx);
    }
}

/// Names of interfaces of the host, wherever an interface has them.
fn names(interface: &Interface, cx: &mut Cx<'_>) {
    let (kind, source) = (interface.kind(), &interface.source);
    let target = interface.target.as_ref().and_then(|t| Some((t.site, "dev", t.dev.as_ref()?)));
    let bridge = source.fields.bridge.as_ref().map(|name| (source.site, "bridge", name));
    // A vDPA device is named by its node.
    let plain = kind == InterfaceType::Direct || interface.uses_passt();
    let device = source.fields.dev.as_ref().filter(|_| plain).map(|name| (source.site, "dev", name));
    let forwards = interface.port_forwards.iter().filter_map(|f| Some((f.site, "dev", f.dev.as_ref()?)));
    let all = [target, bridge, device].into_iter().flatten().chain(forwards);
    for (site, attribute, name) in all.filter(|(_, _, name)| !is_link_name(name)) {
        let message = format!("'{}' is no name for a network interface", name.escape_debug());
        cx.error_at(&codes::BAD_NAME, site, attribute, message)
            .help("use at most 15 characters, without '/', ':' and blanks, that do not begin with '-'");
    }
    if let Some((site, attribute, name)) = target.filter(|(_, _, name)| RESERVED.contains(&name.as_str())) {
        let message = format!("'{name}' is the name of no single interface that could be made");
        cx.error_at(&codes::BAD_NAME, site, attribute, message)
            .help("leave it out, and the interface gets a name of its own");
    }
}

/// Names that the kernel and its tools have for other things: the loopback, all interfaces, those to come.
const RESERVED: &[&str] = &["lo", "all", "default"];

/// Whether the kernel takes a name for an interface (`dev_valid_name` of Linux), and no tool takes it for an option.
fn is_link_name(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
    !name.is_empty() && name.len() <= 15 && !name.contains(odd) && !matches!(name, "." | "..") && !name.starts_with('-')
}

/// What only the start shows: whether the host's side of the interface can be had.
pub fn can_start(interface: &Interface, lx: &mut Lower<'_>) -> bool {
    let kind = interface.kind();
    let mac = interface.mac();
    if let Some(backend) = interface.backend.as_ref().filter(|b| b.tap.is_some())
        && !takes_tap(kind)
    {
        lx.error(
            &codes::NOT_FOR_TYPE,
            backend.site,
            format!(
                "interface {mac}: <backend tap> names a tap device, and network interfaces of type {kind} have no tap of their own (custom path)"
            ),
        )
        .help(
            "remove the 'tap' attribute of <backend>, or use an interface that has a tap: network, bridge or ethernet",
        );
        return false;
    }
    true
}

/// What the source of each type has to say.
fn complete(interface: &Interface, cx: &mut Cx<'_>) {
    type T = InterfaceType;
    let (kind, source) = (interface.kind(), &interface.source);
    let needs = match kind {
        T::Network => &["network"][..],
        T::Bridge => &["bridge"],
        T::Direct | T::Vdpa => &["dev"],
        T::Vhostuser if !interface.uses_passt() => &["path"],
        T::Server | T::Mcast => &["port"],
        T::Client | T::Udp => &["port", "address"],
        T::Internal => &["name"],
        T::Hostdev if source.pci.is_none() => {
            cx.error(
                &codes::INCOMPLETE,
                interface.site,
                "<source> names no PCI device of the host: its <address> has an unknown type, or none",
            );
            return;
        }
        _ => return,
    };
    if source.site.is_none() {
        let message = if kind == T::Vhostuser {
            "an interface of type 'vhostuser' without <source path='…'>: nothing names the socket of its backend"
                .to_string()
        } else {
            format!("<interface type='{kind}'> has no <source>: where does it lead to?")
        };
        cx.error(&codes::INCOMPLETE, interface.site, message);
        return;
    }
    let f = &source.fields;
    for name in needs {
        let there = match *name {
            "network" => f.network.is_some(),
            "bridge" => f.bridge.is_some(),
            "dev" => f.dev.is_some(),
            "path" => f.path.is_some(),
            "port" => f.port.is_some(),
            "address" => f.address.is_some() || kind != T::Client,
            _ => f.name.is_some(),
        };
        if !there {
            let message = format!("an interface of type '{kind}' without <source {name}='…'>");
            cx.error(&codes::INCOMPLETE, source.site, message);
        }
    }
    if kind == T::Udp && f.local.is_none() {
        cx.error(
            &codes::INCOMPLETE,
            source.site,
            "a 'udp' interface sends and listens: the '<local>' side of its socket is missing",
        );
    }
    if kind == T::Vhostuser {
        if let Some(mode) = f.mode.as_deref().filter(|m| !matches!(*m, "client" | "server")) {
            let message = format!("'{mode}' is no 'mode' that this 'source' can have");
            cx.error_at(&codes::INCOMPLETE, source.site, "mode", message);
        }
        if let Some(again) = &f.reconnect
            && again.enabled == Some(YesNo::Yes)
            && again.timeout.is_none()
        {
            cx.error(&codes::INCOMPLETE, again.site, "<reconnect enabled='yes'> needs its 'timeout', which is missing");
        }
    }
}

/// What a virtual port has to say.
fn port_profile(interface: &Interface, cx: &mut Cx<'_>) {
    type T = InterfaceType;
    let kind = interface.kind();
    let Some(port) = &interface.virtualport else { return };
    if !matches!(kind, T::Network | T::Bridge | T::Direct | T::Hostdev) {
        let message = format!("<virtualport> does not go with <interface type='{kind}'>");
        cx.error(&codes::NOT_FOR_TYPE, port.site, message);
        return;
    }
    let Some(name) = port.kind.as_deref() else {
        if kind == T::Network {
            return;
        }
        cx.error(&codes::INCOMPLETE, port.site, "the required type of the virtualport is missing");
        return;
    };
    let p = port.parameters.as_ref();
    let missing = match name {
        "802.1Qbg" => [
            ("managerid", p.is_none_or(|p| p.managerid.is_none())),
            ("typeid", p.is_none_or(|p| p.typeid.is_none())),
            ("typeidversion", p.is_none_or(|p| p.typeidversion.is_none())),
        ]
        .iter()
        .find_map(|(n, missing)| missing.then_some(*n)),
        "802.1Qbh" => p.is_none_or(|p| p.profileid.is_none()).then_some("profileid"),
        "midonet" => p.is_none_or(|p| p.interfaceid.is_none()).then_some("interfaceid"),
        _ => None,
    };
    let fields = p.map(|p| {
        [
            ("managerid", &p.managerid),
            ("typeid", &p.typeid),
            ("typeidversion", &p.typeidversion),
            ("instanceid", &p.instanceid),
            ("interfaceid", &p.interfaceid),
            ("profileid", &p.profileid),
        ]
    });
    let known: &[&str] = match name {
        "802.1Qbg" => &["managerid", "typeid", "typeidversion", "instanceid"],
        "802.1Qbh" => &["profileid"],
        _ => &["interfaceid", "profileid"],
    };
    for (extra, _) in fields.iter().flatten().filter(|(n, v)| v.is_some() && !known.contains(n)) {
        let message = format!("<virtualport type='{name}'> has no {extra}: this extra parameter is unsupported");
        cx.error_at(&codes::NOT_FOR_TYPE, p.map_or(port.site, |p| p.site), extra, message);
    }
    if let Some(missing) = missing.filter(|_| kind != T::Network) {
        let message = format!("<virtualport type='{name}'> needs {missing} in its <parameters>, which is missing");
        cx.error(&codes::INCOMPLETE, port.site, message);
    }
}

/// Addresses of the guest, which only user-mode networking hands out: one of each family.
fn addresses(interface: &Interface, cx: &mut Cx<'_>) {
    let mut seen = [false; 2];
    for ip in &interface.ips {
        let text = ip.address.as_deref().unwrap_or("");
        let v6 = ip.family.as_deref() == Some("ipv6");
        let valid =
            if v6 { text.parse::<std::net::Ipv6Addr>().is_ok() } else { text.parse::<std::net::Ipv4Addr>().is_ok() };
        if !valid {
            cx.error_at(&codes::ADDRESS, ip.site, "address", format!("<ip>: '{text}' is no IP address"));
        }
        if let Some(prefix) = ip.prefix.filter(|p| *p > if v6 { 128 } else { 32 }) {
            cx.error_at(
                &codes::ADDRESS,
                ip.site,
                "prefix",
                format!("<ip>: the prefix '{prefix}' is longer than the value an address of this family can have"),
            );
        }
        if std::mem::replace(&mut seen[usize::from(v6)], true) && interface.kind() == InterfaceType::User {
            let family = if v6 { "IPv6" } else { "IPv4" };
            cx.error(
                &codes::ADDRESS,
                ip.site,
                format!("an interface has room for one {family} address, and more than one is given"),
            );
        }
    }
    if let Some(ip) = interface.ips.first()
        && !matches!(interface.kind(), InterfaceType::User | InterfaceType::Vhostuser)
    {
        let message = "<ip> beside <source> is the guest-side address of a network interface: QEMU cannot set such info (a guest has DHCP for it)";
        cx.error(&codes::ADDRESS, ip.site, message)
            .help("remove it: the guest sets its addresses itself, or has them from the DHCP server of its network");
    }
}

/// What only some types and models have.
fn for_type(interface: &Interface, domain: &Domain, cx: &mut Cx<'_>) {
    type T = InterfaceType;
    let (kind, mac) = (interface.kind(), interface.mac());
    if let Some(mtu) = &interface.mtu
        && !matches!(kind, T::Network | T::Bridge | T::Ethernet | T::Vhostuser | T::Vdpa)
    {
        cx.error(
            &codes::NOT_FOR_TYPE,
            mtu.site,
            format!("<mtu>: virtc cannot set the MTU of an interface of type {kind} yet"),
        );
    }
    if let Some(port) = &interface.port
        && port.isolated == Some(YesNo::Yes)
        && !matches!(kind, T::Network | T::Bridge)
    {
        let message = format!(
            "interface {mac}: <port isolated='yes'/> is a setting of a bridge port, and network interfaces of type='{kind}' have none"
        );
        cx.error(&codes::NOT_FOR_TYPE, port.site, message);
    }
    if let Some(vlan) = &interface.vlan {
        if vlan.tags.is_empty() {
            cx.error(
                &codes::INCOMPLETE,
                vlan.site,
                "<vlan> has no <tag id='n'/>: at least one subelement with an id is needed, each names a VLAN",
            );
        }
        if let Some(id) = vlan.tags.iter().filter_map(|t| t.id).find(|id| *id > 4095) {
            cx.error(&codes::ADDRESS, vlan.site, format!("<tag id='{id}'>: vlan ids end at 4095, this is too large"));
        }
        if vlan.tags.len() > 1 && vlan.trunk == Some(YesNo::No) {
            let message = "more than one vlan tag makes a trunk, and <vlan> says trunk='no': 'yes' is required";
            cx.error(&codes::ADDRESS, vlan.site, message);
        }
    }
    let mac_site = interface.mac.as_ref().map_or(interface.site, |m| m.site);
    if interface.mac.as_ref().and_then(|m| m.address).is_some_and(|m| m.0[0] & 1 == 1) {
        cx.error(&codes::ADDRESS, mac_site, format!("<mac>: '{mac}' is a multicast address; a card has a unicast one"));
    }
    if interface.model().contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')) {
        let site = interface.model.as_ref().map_or(interface.site, |m| m.site);
        cx.error(&codes::BAD_NAME, site, "<model type>: the name has characters that no model has");
    }
    if matches!(kind, T::Vdpa | T::Vhostuser) && !interface.is_virtio() {
        let message = format!(
            "<model type='{}'>: an invalid model for an interface of type '{kind}', whose backend speaks virtio - it must be 'virtio'",
            interface.model()
        );
        cx.error(&codes::NOT_FOR_TYPE, interface.model.as_ref().map_or(interface.site, |m| m.site), message)
            .help("use <model type='virtio'/>");
    }
    if kind == T::Vhostuser && !domain.has_shared_memory() {
        cx.error(
            &codes::SHARED_MEMORY,
            interface.site,
            "the backend of this interface reads the guest's memory itself, and the memory is not shared",
        )
        .help("add <memoryBacking><access mode='shared'/></memoryBacking>");
    }
    if let Some(bandwidth) = &interface.bandwidth {
        for rate in [&bandwidth.inbound, &bandwidth.outbound].into_iter().flatten() {
            if rate.average.is_none() && rate.floor.is_none() {
                cx.error(&codes::INCOMPLETE, rate.site, "mandatory attributes are missing: average or floor");
            } else if rate.floor.is_some() && kind != T::Network {
                cx.error_at(
                    &codes::NOT_FOR_TYPE,
                    rate.site,
                    "floor",
                    "floor: a guaranteed bandwidth needs a network that can share it out, which this config has not",
                );
            }
        }
    }
    if let Some(teaming) = &interface.teaming {
        if teaming.kind == Some(TeamingType::Persistent) && teaming.persistent.is_some() {
            let message = "the attribute persistent of <teaming> names the partner of a transient one: not allowed with type='persistent'";
            cx.error_at(&codes::NOT_FOR_TYPE, teaming.site, "persistent", message);
        }
        if teaming.kind == Some(TeamingType::Transient) && teaming.persistent.is_none() {
            let message =
                "<teaming type='transient'> names the interface that stays: the attribute persistent must be set";
            cx.error(&codes::NOT_FOR_TYPE, teaming.site, message)
                .help("persistent='ua-…': the alias of that <interface>");
        }
        match teaming.kind {
            Some(TeamingType::Persistent) if !interface.is_virtio() => {
                let message = format!(
                    "<teaming type='persistent'> goes with <model type='virtio'/>, the virtio-net card that stays, not '{}'",
                    interface.model()
                );
                cx.error(&codes::NOT_FOR_TYPE, teaming.site, message);
            }
            Some(TeamingType::Transient) if !interface.is_host_device() && kind != T::Network => {
                let message = format!(
                    "<teaming type='transient'> goes with an interface of type='hostdev', which virtio-net replaces while it is away, not '{kind}'"
                );
                cx.error(&codes::NOT_FOR_TYPE, teaming.site, message);
            }
            _ => {}
        }
    }
}

fn takes_tap(kind: InterfaceType) -> bool {
    matches!(kind, InterfaceType::Network | InterfaceType::Bridge | InterfaceType::Ethernet | InterfaceType::Direct)
}

/// What is for interfaces that libvirt sets up on the host itself, or for devices of the host.
fn for_hosts(interface: &Interface, cx: &mut Cx<'_>) {
    let kind = interface.kind();
    let fields = &interface.source.fields;
    if kind != InterfaceType::Ethernet && !(fields.ips.is_empty() && fields.routes.is_empty()) {
        let message = format!(
            "<ip> and <route> in <source> are set up on the host's side: only supported on an interface of type 'ethernet', not '{kind}'"
        );
        cx.error(&codes::NOT_FOR_TYPE, interface.source.site, message);
    }
    if let Some(driver) = &interface.driver
        && kind != InterfaceType::Hostdev
        && let Some(name) = driver.name.filter(|n| !matches!(n, super::Backend::Qemu | super::Backend::Vhost))
    {
        let message = format!(
            "<driver name='{name}'> is for interfaces of type 'hostdev': an invalid value for the attribute 'name' of the element 'driver' here"
        );
        cx.error_at(&codes::NOT_FOR_TYPE, driver.site, "name", message);
    }
    for ip in interface.ips.iter().filter(|ip| ip.peer.is_some()) {
        cx.error_at(
            &codes::ADDRESS,
            ip.site,
            "peer",
            "<ip peer>: only the address of the host's end has a peer, not that of the guest",
        );
    }
    for route in interface.routes.iter().chain(&fields.routes) {
        destination(route, cx);
    }
}

/// How many bits of a route's address are the network's; none: the netmask is no address.
fn significant(route: &super::Route, address: std::net::IpAddr) -> Option<u32> {
    if let Some(prefix) = route.prefix {
        return Some(prefix);
    }
    if let Some(mask) = route.netmask.as_deref() {
        return mask.parse::<std::net::Ipv4Addr>().ok().map(|mask| u32::from(mask).leading_ones());
    }
    Some(match address {
        // The classes of RFC 791, from A to C.
        std::net::IpAddr::V4(v4) if v4.is_unspecified() => 0,
        std::net::IpAddr::V4(v4) => match v4.octets()[0] {
            0..128 => 8,
            128..192 => 16,
            192..224 => 24,
            _ => return None,
        },
        std::net::IpAddr::V6(v6) if v6.is_unspecified() => 0,
        std::net::IpAddr::V6(_) => 64,
    })
}

/// Whether an address has bits behind its first `bits`.
fn beyond(address: std::net::IpAddr, bits: u32) -> bool {
    match address {
        std::net::IpAddr::V4(v4) => u32::from(v4).checked_shl(bits).is_some_and(|rest| rest != 0),
        std::net::IpAddr::V6(v6) => u128::from(v6).checked_shl(bits).is_some_and(|rest| rest != 0),
    }
}

/// The family, prefix and netmask of a route must be those of its address.
fn destination(route: &super::Route, cx: &mut Cx<'_>) {
    use std::net::IpAddr;
    for (name, value) in [("address", &route.address), ("gateway", &route.gateway)] {
        if value.is_none() {
            let message = format!("the definition of a <route> lacks its {name}: the required attribute is missing");
            cx.error(&codes::ADDRESS, route.site, message);
        }
    }
    let Some(text) = route.address.as_deref() else { return };
    let Ok(address) = text.parse::<IpAddr>() else { return };
    if route.metric == Some(0) {
        cx.error_at(&codes::ADDRESS, route.site, "metric", "metric='0' of a <route>: zero is not permitted");
    }
    let family = route.family.as_deref().unwrap_or("ipv4");
    if (family == "ipv6") != address.is_ipv6() {
        let message = format!(
            "a <route> of the family {family} leads to the address '{text}', which is of the other: not allowed by its definition"
        );
        cx.error_at(&codes::ADDRESS, route.site, "address", message);
        return;
    }
    let most = if address.is_ipv6() { 128 } else { 32 };
    if let Some(prefix) = route.prefix.filter(|p| *p > most) {
        let message = format!("invalid prefix {prefix} of a <route>: it must be 0 - {most}");
        cx.error_at(&codes::ADDRESS, route.site, "prefix", message);
    }
    if let Some(bits) = significant(route, address).filter(|bits| *bits <= most && beyond(address, *bits)) {
        let message = format!(
            "the address '{text}' of a <route> is not a network address: it has bits beyond its prefix of {bits}"
        );
        cx.error_at(&codes::ADDRESS, route.site, "address", message).help("set 'prefix', or clear the bits behind it");
    }
    if route.prefix.is_some() && route.netmask.is_some() {
        let message = "the definition of a <route> has both a prefix and a netmask: it cannot";
        cx.error_at(&codes::ADDRESS, route.site, "netmask", message);
    }
}
