//! passt: user-mode networking in a process of its own, behind a socket.

use super::{Interface, InterfaceType, PortForward, PortRange};
use crate::caps::Cap;
use crate::diag::codes::network as codes;
use crate::plan::{Arg, Cause, Instance, Listen, Need, Needed, Process, Props, Ready, Role, Text, Use};
use crate::stage::{Grant, Lower};

/// Where Debian and Fedora install it.
const PROGRAM: &str = "/usr/bin/passt";

/// Adds the helper to the Plan; gives the path of its socket.
pub fn start(interface: &Interface, lx: &mut Lower<'_>) -> String {
    let id = &interface.info.id;
    let socket = if lx.env.has_parent() {
        format!("{}/{}-{id}.socket", lx.env.host.directories.passt, lx.paths.short)
    } else {
        format!("{}/{id}-passt.sock", lx.paths.run)
    };
    let cause = lx.cause(interface.site, format!("interface {id}"));
    let process = format!("passt-{id}");
    let mut args: Vec<Arg> = Vec::new();
    let mut flag = |switch: &'static str| args.push(Arg::switch(switch, cause.clone()));
    flag("--foreground");
    if interface.kind() == InterfaceType::Vhostuser {
        flag("--vhost-user");
    }
    let mut option = |switch: &'static str, value: String| args.push(Arg::text(switch, value, cause.clone()));
    option("--socket", socket.clone());
    option("--mac-addr", interface.mac());
    if let Some(dev) = &interface.source.fields.dev {
        option("--interface", dev.clone());
    }
    let backend = interface.backend.as_ref();
    if let Some(log) = backend.and_then(|b| b.log_file.clone()) {
        option("--log-file", log);
    }
    for ip in &interface.ips {
        if let Some(address) = &ip.address {
            option("--address", address.clone());
        }
        if let Some(prefix) = ip.prefix {
            option("--netmask", prefix.to_string());
        }
    }
    for forward in &interface.port_forwards {
        let udp = forward.proto.as_deref() == Some("udp");
        option(if udp { "--udp-ports" } else { "--tcp-ports" }, port_option(forward));
    }
    for forward in &interface.port_forwards {
        forwarded(forward, &process, &cause, lx);
    }
    let capabilities = privileged_ports(interface, lx);
    lx.plan.processes.push(Process {
        role: Role::Passt,
        capabilities,
        id: process.clone(),
        program: PROGRAM.to_string(),
        args,
        ready: Ready::Socket(socket.clone()),
        needs: Needed::all(&[Need::Inet, Need::Netlink, Need::Namespaces], &cause),
        cause: cause.clone(),
        ..Process::default()
    });
    if let Some(log) = backend.and_then(|b| b.log_file.as_deref()) {
        lx.touch_by(&process, log, Grant::LOG, Use::Log, interface.site, "passt log");
    }
    lx.touch(&socket, Grant::PEER_SOCKET, Use::Interface, interface.site, format!("interface {id}"));
    lx.listens(&process, &socket, &cause);
    socket
}

/// Ports from here on are everybody's (ip(7), `ip_unprivileged_port_start`).
const FIRST_UNPRIVILEGED: u16 = 1024;

/// The right to listen on low ports, which passt keeps when it gives up all others; a user has none to give.
fn privileged_ports(interface: &Interface, lx: &mut Lower<'_>) -> Vec<Text> {
    let ranges = interface.port_forwards.iter().flat_map(|f| &f.ranges);
    let taken = ranges.filter(|r| !r.exclude.is_some_and(|e| e.is_yes())).filter_map(|r| r.start);
    let Some(low) = taken.filter(|port| (1..FIRST_UNPRIVILEGED).contains(port)).min() else { return Vec::new() };
    if lx.env.has_parent() {
        return Vec::new();
    }
    if lx.plan.instance == Instance::Session {
        lx.warning(
            &codes::LOW_PORT,
            interface.site,
            format!("passt of a user may not listen on port {low} of the host"),
        )
        .help(
            "take a port from 1024 on, or let users have low ports, as root: sysctl -w net.ipv4.ip_unprivileged_port_start=80",
        );
        return Vec::new();
    }
    vec![Text::Borrowed("CAP_NET_BIND_SERVICE")]
}

/// Records the ports of the host that are forwarded. Those on one device only are left out, as are ranges of more than
/// a few ports, which are meant to catch what is free.
fn forwarded(forward: &PortForward, process: &str, cause: &Cause, lx: &mut Lower<'_>) {
    const LONGEST_RANGE: u16 = 256;
    if forward.dev.is_some() {
        return;
    }
    let listen = if forward.proto.as_deref() == Some("udp") { Listen::udp } else { Listen::tcp };
    let address = forward.address.as_deref().unwrap_or("");
    let (left_out, taken): (Vec<_>, Vec<_>) =
        forward.ranges.iter().partition(|range| range.exclude.is_some_and(|e| e.is_yes()));
    let is_left_out =
        |port: u16| left_out.iter().filter_map(|r| r.bounds()).any(|(first, last)| (first..=last).contains(&port));
    let short = taken
        .into_iter()
        .filter_map(PortRange::bounds)
        .filter(|(first, last)| last.saturating_sub(*first) < LONGEST_RANGE);
    for port in short.flat_map(|(first, last)| first..=last).filter(|port| !is_left_out(*port)) {
        lx.plan.listens.extend(listen(process, address, port, cause.clone()));
    }
}

/// passt's notation of forwarded ports (passt(1), `-t`): `address%dev/80:8080,~85`.
fn port_option(forward: &PortForward) -> String {
    let mut text = forward.address.clone().unwrap_or_default();
    if let Some(dev) = &forward.dev {
        text.push('%');
        text.push_str(dev);
    }
    if !text.is_empty() {
        text.push('/');
    }
    if forward.ranges.is_empty() {
        text.push_str("all");
    }
    for (i, range) in forward.ranges.iter().enumerate() {
        let Some((start, end)) = range.bounds() else { continue };
        if i > 0 {
            text.push(',');
        }
        if range.exclude.is_some_and(|e| e.is_yes()) {
            text.push('~');
        }
        text.push_str(&start.to_string());
        if end != start {
            text.push_str(&format!("-{end}"));
        }
        if let Some(to) = range.to {
            text.push_str(&format!(":{to}"));
            if end != start {
                text.push_str(&format!("-{}", u32::from(to) + u32::from(end - start.min(end))));
            }
        }
    }
    text
}

/// The `-netdev` of a user interface: a stream to passt that is made again when passt is started again.
pub fn stream(interface: &Interface, socket: String, lx: &mut Lower<'_>) -> Props {
    let again = lx.has(Cap::NetdevStreamReconnectMiliseconds) || lx.has(Cap::NetdevStreamReconnect);
    let cause = lx.cause(interface.site, format!("interface {}", interface.info.id));
    lx.connects(&socket, again, &cause);
    let mut address = Props::with("type", "unix");
    address.set("path", socket);
    let mut props = Props::with("type", "stream");
    props.set("addr", address).set("server", false);
    if lx.has(Cap::NetdevStreamReconnectMiliseconds) {
        props.set("reconnect-ms", 5000);
    } else if lx.has(Cap::NetdevStreamReconnect) {
        props.set("reconnect", 5);
    }
    props
}

/// The `-chardev` and `-netdev` of a vhost-user interface.
pub fn vhost_user(interface: &Interface, socket: String, lx: &mut Lower<'_>) -> Props {
    let cause = lx.cause(interface.site, format!("interface {}", interface.info.id));
    lx.connects(&socket, true, &cause);
    let id = format!("char{}", interface.info.id);
    let mut chardev = Props::new();
    chardev.bare("socket").set("id", id.clone()).set("path", socket);
    if lx.has(Cap::ChardevReconnectMiliseconds) {
        chardev.set("reconnect-ms", 5000);
    } else {
        chardev.set("reconnect", 5);
    }
    lx.options("-chardev", chardev, interface.site, "interface");
    let mut props = Props::with("type", "vhost-user");
    props.set("chardev", id);
    if interface.queues() > 1 {
        props.set("queues", interface.queues());
    }
    props
}
