//! Ports on which the processes of a Plan listen, read from their arguments.

use super::{Arg, ArgValue, Cause, Plan, Prop, Props, Role};

/// The first port of VNC displays: display N listens on it plus N.
const VNC: u32 = 5900;

/// A port on which a process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The address, without brackets; `0.0.0.0` for all.
    pub address: String,
    /// The port, never 0.
    pub port: u16,
    /// UDP, else TCP.
    pub udp: bool,
}

impl Port {
    /// Whether both cannot be listened on at once.
    pub fn collides(&self, other: &Port) -> bool {
        let everywhere = |p: &Port| matches!(p.address.as_str(), "0.0.0.0" | "::" | "*");
        self.port == other.port
            && self.udp == other.udp
            && (self.address == other.address || everywhere(self) || everywhere(other))
    }
}

impl Plan {
    /// Every port that the XML fixes: those that may move when they are taken are left out.
    pub fn fixed_ports(&self) -> Vec<(Port, &Cause)> {
        let mut out = Vec::new();
        for process in &self.processes {
            for arg in &process.args {
                let ports = match process.role {
                    Role::Passt => of_passt(arg),
                    Role::Rdp => of_rdp(arg),
                    _ => of_qemu(arg),
                };
                let may_move = |p: &Port| self.auto_ports.iter().any(|a| a.switch == arg.switch && a.port == p.port);
                out.extend(ports.into_iter().filter(|p| !may_move(p)).map(|p| (p, &arg.cause)));
            }
        }
        out
    }
}

/// The port of the RDP server.
fn of_rdp(arg: &Arg) -> Vec<Port> {
    match (&*arg.switch, &arg.value) {
        ("--bind-address", ArgValue::Text(text)) => pair(text, false).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The ports of one argument of QEMU.
fn of_qemu(arg: &Arg) -> Vec<Port> {
    if !matches!(arg.switch.as_ref(), "-vnc" | "-spice" | "-chardev" | "-netdev") {
        return Vec::new();
    }
    let handed;
    let props = match &arg.value {
        ArgValue::Props(props, _) => props,
        // Text that was handed through: the same notation, when it is simple.
        ArgValue::Text(text) => {
            handed = from_text(text);
            &handed
        }
        ArgValue::None => return Vec::new(),
    };
    let number = |key: &str| match props.get(key) {
        Some(Prop::Number(n)) => u16::try_from(*n).ok(),
        Some(Prop::Text(text)) => text.parse().ok(),
        _ => None,
    };
    let is_on = |key: &str| match props.get(key) {
        Some(Prop::Bool(on)) => *on,
        Some(Prop::Text(text)) => matches!(text.as_ref(), "on" | "yes" | "true" | ""),
        _ => false,
    };
    let tcp = |host: &str, number: Option<u16>| port(host, number, false);
    let first = props.text("").unwrap_or_default();
    let mut out = Vec::new();
    match arg.switch.as_ref() {
        "-vnc" => {
            if let Some((host, display)) = first.rsplit_once(':').filter(|(host, _)| *host != "unix") {
                let fixed = display.parse::<u32>().ok().filter(|_| props.get("to").is_none());
                out.extend(tcp(host, fixed.and_then(|d| u16::try_from(VNC.saturating_add(d)).ok())));
                out.extend(tcp(host, number("websocket")));
            }
        }
        "-spice" => {
            let host = props.text("addr").unwrap_or_default();
            out.extend(tcp(host, number("port")));
            out.extend(tcp(host, number("tls-port")));
        }
        "-chardev" if first == "socket" && is_on("server") => {
            out.extend(tcp(props.text("host").unwrap_or_default(), number("port")));
        }
        "-chardev" if first == "udp" => {
            out.extend(port(props.text("localaddr").unwrap_or_default(), number("localport"), true));
        }
        "-netdev" => match props.text("type").unwrap_or(first) {
            "socket" => {
                out.extend(props.text("listen").and_then(|text| pair(text, false)));
                out.extend(props.text("localaddr").and_then(|text| pair(text, true)));
            }
            "user" => {
                let Some(Prop::List(forwards)) = props.get("hostfwd") else { return out };
                out.extend(forwards.iter().filter_map(|f| match f {
                    Prop::Object(f) => forward(f.text("str")?),
                    Prop::Text(f) => forward(f),
                    _ => None,
                }));
            }
            _ => {}
        },
        _ => {}
    }
    out
}

/// `tcp:ADDRESS:PORT-GUEST:PORT` of user-mode networking.
fn forward(text: &str) -> Option<Port> {
    let (protocol, rest) = text.split_once(':')?;
    pair(rest.split_once('-').map_or(rest, |(host, _)| host), protocol == "udp")
}

/// `ADDRESS:PORT`
fn pair(text: &str, udp: bool) -> Option<Port> {
    let (host, number) = text.rsplit_once(':')?;
    port(host, number.parse().ok(), udp)
}

fn port(host: &str, number: Option<u16>, udp: bool) -> Option<Port> {
    let address = host.trim_matches(['[', ']']);
    let address = if address.is_empty() { "0.0.0.0" } else { address }.to_string();
    number.filter(|n| *n != 0).map(|port| Port { address, port, udp })
}

/// The forwarded ports of passt: `ADDRESS%DEVICE/80:8080,90-99,~95`. Those on one device only are left out, as are
/// ranges of more than a few ports, which are meant to catch what is free.
fn of_passt(arg: &Arg) -> Vec<Port> {
    const LONGEST_RANGE: u16 = 256;
    let udp = match arg.switch.as_ref() {
        "--tcp-ports" | "-t" => false,
        "--udp-ports" | "-u" => true,
        _ => return Vec::new(),
    };
    let ArgValue::Text(text) = &arg.value else { return Vec::new() };
    let (address, ports) = text.rsplit_once('/').unwrap_or(("", text));
    if address.contains('%') {
        return Vec::new();
    }
    let range = |text: &str| -> Option<(u16, u16)> {
        let host = text.split(':').next()?;
        let (from, to) = host.split_once('-').unwrap_or((host, host));
        Some((from.parse().ok()?, to.parse().ok()?))
    };
    let (left_out, taken): (Vec<&str>, Vec<&str>) = ports.split(',').partition(|p| p.starts_with('~'));
    let left_out: Vec<(u16, u16)> = left_out.iter().filter_map(|p| range(&p[1..])).collect();
    let ranges = taken.iter().filter_map(|p| range(p)).filter(|(from, to)| to.saturating_sub(*from) < LONGEST_RANGE);
    ranges
        .flat_map(|(from, to)| from..=to)
        .filter(|p| !left_out.iter().any(|(from, to)| (from..=to).contains(&p)))
        .filter_map(|p| port(address, Some(p), udp))
        .collect()
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

    fn of(switch: &'static str, text: &str) -> Vec<(String, u16)> {
        let arg = Arg::text(switch, text, Cause::default());
        let ports = if switch.starts_with("--") { of_passt(&arg) } else { of_qemu(&arg) };
        ports.into_iter().map(|l| (l.address, l.port)).collect()
    }

    #[test]
    fn ports_are_found() {
        let one = |host: &str, port| vec![(host.to_string(), port)];
        assert_eq!(of("-vnc", "127.0.0.1:3,password=on"), one("127.0.0.1", 5903));
        assert_eq!(of("-vnc", "127.0.0.1:3,to=99"), []);
        assert_eq!(of("-vnc", "[::1]:0"), one("::1", 5900));
        assert_eq!(of("-vnc", "unix:/run/x"), []);
        assert_eq!(of("-spice", "port=5910,tls-port=5911,addr=0.0.0.0").len(), 2);
        assert_eq!(of("-chardev", "socket,id=a,host=127.0.0.1,port=4555,server=on"), one("127.0.0.1", 4555));
        assert_eq!(of("-chardev", "socket,id=a,host=h,port=4555"), []);
        assert_eq!(of("-chardev", "udp,id=a,host=h,port=1,localaddr=,localport=9"), one("0.0.0.0", 9));
        assert_eq!(of("-netdev", "socket,listen=127.0.0.1:5558,id=n"), one("127.0.0.1", 5558));
        assert_eq!(forward("tcp::2222-:22"), port("", Some(2222), false));
        assert_eq!(of("--tcp-ports", "127.0.0.1/2022:22"), one("127.0.0.1", 2022));
        assert_eq!(of("--udp-ports", "8000-8002,~8001").len(), 2);
        assert_eq!(of("--tcp-ports", "all"), []);
        assert_eq!(of("--tcp-ports", "%eth0/80"), []);
    }

    #[test]
    fn an_address_for_all_collides_with_every_other() {
        let at = |address: &str, number| port(address, Some(number), false).unwrap();
        assert!(at("", 80).collides(&at("127.0.0.1", 80)));
        assert!(at("::", 80).collides(&at("127.0.0.1", 80)));
        assert!(!at("127.0.0.2", 80).collides(&at("127.0.0.1", 80)));
        assert!(!at("", 80).collides(&at("", 81)));
        assert!(!at("", 80).collides(&Port { udp: true, ..at("", 80) }));
    }
}
