//! Ports on which QEMU would listen: is somebody there already?

use crate::diag::Diagnostics;
use crate::diag::codes::run as codes;
use crate::plan::{Arg, ArgValue, Plan, Prop, Props};
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};

/// The first port of VNC displays: display N listens on it plus N.
const VNC: u32 = 5900;

/// A port that QEMU would open.
#[derive(Debug, PartialEq, Eq)]
struct Listen {
    host: String,
    port: u16,
    udp: bool,
}

/// Tries to listen on each port in QEMU's place.
pub(super) fn check(plan: &Plan, diags: &mut Diagnostics) {
    let Some(qemu) = plan.qemu() else { return };
    for arg in &qemu.args {
        let may_move = |port: u16| plan.auto_ports.iter().any(|a| a.switch == arg.switch && a.port == port);
        for listen in listens(arg).into_iter().filter(|l| !may_move(l.port)) {
            // IPv6 addresses come with or without brackets.
            let address = (listen.host.trim_matches(['[', ']']), listen.port);
            let tried =
                if listen.udp { UdpSocket::bind(address).map(|_| ()) } else { TcpListener::bind(address).map(|_| ()) };
            let Err(error) = tried else { continue };
            let (what, help) = match error.kind() {
                ErrorKind::AddrInUse => ("another program listens there", "choose another port, or autoport='yes'"),
                ErrorKind::AddrNotAvailable => {
                    ("this host does not have the address", "choose an address of this host")
                }
                ErrorKind::PermissionDenied => ("ports below 1024 are for root", "choose a port above 1023"),
                // Names that do not resolve without a network, and the like: QEMU's own words will say it.
                _ => continue,
            };
            let text = format!("port {} of {} ({}) is not free: {what}", listen.port, listen.host, arg.cause.what);
            diags.error(&codes::HOST, arg.cause.span, text).help(help);
        }
    }
}

/// The ports of one argument.
fn listens(arg: &Arg) -> Vec<Listen> {
    let props = match &arg.value {
        ArgValue::Props(props, _) => props.clone(),
        // Text that was handed through: the same notation, when it is simple.
        ArgValue::Text(text) => from_text(text),
        ArgValue::None => return Vec::new(),
    };
    let number = |key: &str| match props.get(key) {
        Some(Prop::Number(n)) => u16::try_from(*n).ok(),
        Some(Prop::Text(text)) => text.parse().ok(),
        _ => None,
    };
    let tcp = |host: &str, port: Option<u16>| {
        let host = if host.is_empty() { "0.0.0.0" } else { host }.to_string();
        port.filter(|p| *p != 0).map(|port| Listen { host, port, udp: false })
    };
    let is_on = |key: &str| match props.get(key) {
        Some(Prop::Bool(on)) => *on,
        Some(Prop::Text(text)) => matches!(text.as_ref(), "on" | "yes" | "true" | ""),
        _ => false,
    };
    let first = props.text("").unwrap_or_default();
    match arg.switch.as_ref() {
        "-vnc" => {
            let Some((host, display)) = first.rsplit_once(':').filter(|(host, _)| *host != "unix") else {
                return Vec::new();
            };
            let port = display.parse::<u32>().ok().and_then(|d| u16::try_from(VNC + d).ok());
            tcp(host, port).into_iter().chain(tcp(host, number("websocket"))).collect()
        }
        "-spice" => {
            let host = props.text("addr").unwrap_or_default();
            tcp(host, number("port")).into_iter().chain(tcp(host, number("tls-port"))).collect()
        }
        "-chardev" if first == "socket" && (is_on("server")) => {
            tcp(props.text("host").unwrap_or_default(), number("port")).into_iter().collect()
        }
        "-chardev" if first == "udp" => {
            let host = props.text("localaddr").unwrap_or("0.0.0.0").to_string();
            number("localport").filter(|p| *p != 0).map(|port| Listen { host, port, udp: true }).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// An option list without doubled commas.
fn from_text(text: &str) -> Props {
    let mut props = Props::new();
    for (index, part) in text.split(',').enumerate() {
        match part.split_once('=') {
            Some((key, value)) => props.set(key.to_string(), value.to_string()),
            None if index == 0 => props.bare(part.to_string()),
            None => props.set(part.to_string(), true),
        };
    }
    props
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Cause;

    fn of(switch: &'static str, text: &str) -> Vec<(String, u16)> {
        let arg = Arg::text(switch, text, Cause::default());
        listens(&arg).into_iter().map(|l| (l.host, l.port)).collect()
    }

    #[test]
    fn ports_are_found() {
        let one = |host: &str, port| vec![(host.to_string(), port)];
        assert_eq!(of("-vnc", "127.0.0.1:3,password=on"), one("127.0.0.1", 5903));
        assert_eq!(of("-vnc", "[::1]:0"), one("[::1]", 5900));
        assert_eq!(of("-vnc", "unix:/run/x"), []);
        assert_eq!(of("-spice", "port=5910,tls-port=5911,addr=0.0.0.0").len(), 2);
        assert_eq!(of("-chardev", "socket,id=a,host=127.0.0.1,port=4555,server=on"), one("127.0.0.1", 4555));
        assert_eq!(of("-chardev", "socket,id=a,host=h,port=4555"), []);
    }

    #[test]
    fn a_port_in_use_is_told() {
        let held = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = held.local_addr().expect("an address").port();
        let chardev = format!("socket,id=a,host=127.0.0.1,port={port},server=on");
        let mut plan = Plan::default();
        plan.processes.push(crate::plan::Process {
            args: vec![Arg::text("-chardev", chardev, Cause::default())],
            ..Default::default()
        });
        let mut diags = Diagnostics::new();
        check(&plan, &mut diags);
        assert!(diags.iter().any(|d| d.message.contains(&port.to_string())));
    }
}
