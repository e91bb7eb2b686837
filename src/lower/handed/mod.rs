//! What arguments that are handed through to QEMU (`<qemu:commandline>`) need and do.
//!
//! The only place where QEMU's notation is read back. Everything else that a process needs is recorded where its
//! argument is made. What cannot be told from a text is taken for needed.

mod paths;

pub use paths::relative;

use crate::plan::{Arg, ClaimKind, Need};
use crate::stage::Lower;
use crate::vocab::options::parts;
use crate::xml::Site;
use std::borrow::Cow;

/// The words for all that is handed through.
const WHAT: &str = "qemu:commandline";

/// Switches whose meaning depends on text that is not looked into: the network is possible.
const OPEN_ENDED: &[&str] = &[
    "net",
    "nic",
    "drive",
    "gdb",
    "s",
    "monitor",
    "qmp",
    "qmp-pretty",
    "serial",
    "parallel",
    "redir",
    "incoming",
    "iscsi",
    "hda",
    "hdb",
    "hdc",
    "hdd",
    "cdrom",
    "netdev",
    "chardev",
    "vnc",
    "spice",
    "blockdev",
    "daemonize",
    "accel",
    "object",
];

/// Switches that may turn emulation or a renderer on.
const MAY_MAKE_CODE: &[&str] = &["display", "accel", "enable-kvm"];

/// Switches that take the description of a character device.
const CHARACTER_DEVICES: &[&str] =
    &["chardev", "serial", "parallel", "monitor", "qmp", "qmp-pretty", "debugcon", "gdb"];

/// Adds the arguments of `<qemu:commandline>`, and records what they need.
pub fn arguments(lx: &mut Lower<'_>) {
    let args = &lx.domain.qemu.args;
    lx.handed_through = lx.args.len()..lx.args.len() + args.len();
    for arg in args {
        let cause = lx.cause(arg.site, WHAT);
        lx.args.push(Arg::switch(arg.value.clone(), cause));
    }
    for (i, arg) in args.iter().enumerate() {
        // QEMU takes two hyphens for one.
        let Some(switch) = arg.value.strip_prefix('-').map(|s| s.strip_prefix('-').unwrap_or(s)) else { continue };
        let value = args.get(i + 1).map_or("", |next| next.value.as_str());
        read(switch, &Options::of(value), arg.site, lx);
    }
}

/// Records what one switch with its value needs and does.
fn read(switch: &str, value: &Options<'_>, site: Site, lx: &mut Lower<'_>) {
    match switch {
        "S" => lx.plan.starts_paused = true,
        "incoming" => lx.plan.awaits_state = true,
        "action" => lx.plan.lifecycle.is_handed_through = true,
        _ => {}
    }
    for need in needs(switch, value) {
        lx.need(need, site, WHAT);
    }
    for (address, port, udp) in ports(switch, value) {
        let cause = lx.cause(site, WHAT);
        lx.listens_on(&address, port, udp, &cause);
    }
    if !lx.env.has_parent() {
        paths::touch(switch, value, site, lx);
    }
    if let Some((kind, value)) = claim(switch, value) {
        lx.claim(kind, value, site, WHAT);
    }
}

/// The first port of VNC displays: display N listens on it plus N.
const VNC: u16 = 5900;

/// A port that QEMU or the kernel chooses, and that is not known here.
const NOT_FIXED: u16 = 0;

/// Where QEMU listens that is told no address.
const ANY_ADDRESS: &str = "";

/// The ports on which one switch makes QEMU listen, as far as they are fixed: address, port, whether UDP.
fn ports(switch: &str, value: &Options<'_>) -> Vec<(String, u16, bool)> {
    let number = |key: &str| value.get(key).and_then(|n| n.parse().ok()).unwrap_or(NOT_FIXED);
    let host = |key: &str| value.get(key).unwrap_or(ANY_ADDRESS).to_string();
    let pair = |key: &str, udp: bool| {
        let (host, port) = value.get(key)?.rsplit_once(':')?;
        Some((host.to_string(), port.parse().ok()?, udp))
    };
    match switch {
        "vnc" => {
            let Some((host, display)) = value.kind().rsplit_once(':').filter(|(host, _)| *host != "unix") else {
                return Vec::new();
            };
            let display = display.parse::<u16>().ok().filter(|_| value.get("to").is_none());
            let port = display.and_then(|d| VNC.checked_add(d)).unwrap_or(NOT_FIXED);
            vec![(host.to_string(), port, false), (host.to_string(), number("websocket"), false)]
        }
        "spice" => ["port", "tls-port"].map(|key| (host("addr"), number(key), false)).to_vec(),
        "chardev" if value.kind() == "socket" && value.is_on("server") => vec![(host("host"), number("port"), false)],
        "chardev" if value.kind() == "udp" => vec![(host("localaddr"), number("localport"), true)],
        "netdev" if value.kind() == "socket" => {
            [pair("listen", false), pair("localaddr", true)].into_iter().flatten().collect()
        }
        "netdev" if value.kind() == "user" => value.all("hostfwd").filter_map(forward).collect(),
        _ => Vec::new(),
    }
}

/// `tcp:ADDRESS:PORT-GUEST:PORT` of user-mode networking.
fn forward(text: &str) -> Option<(String, u16, bool)> {
    let (protocol, rest) = text.split_once(':')?;
    let (host, port) = rest.split_once('-').map_or(rest, |(host, _)| host).rsplit_once(':')?;
    Some((host.to_string(), port.parse().ok()?, protocol == "udp"))
}

/// What only one machine can have, if a switch names such a thing. Nodes below `/dev` are for the host facts to grant.
fn claim(switch: &str, value: &Options<'_>) -> Option<(ClaimKind, String)> {
    if switch != "device" {
        return None;
    }
    let device = |text: String| Some((ClaimKind::HostDevice, text));
    let kind = value.kind();
    if let Some(mac) = value.get("mac") {
        return Some((ClaimKind::Mac, mac.to_ascii_lowercase()));
    }
    if let Some(cid) = value.get("guest-cid") {
        return Some((ClaimKind::Cid, cid.to_string()));
    }
    if kind.starts_with("vfio-") {
        // A short address is one of the first domain.
        let full = |at: &str| if at.matches(':').count() == 1 { format!("0000:{at}") } else { at.to_string() };
        let mdev = || value.get("sysfsdev").and_then(|path| path.rsplit('/').next()).map(str::to_string);
        return device(value.get("host").map(full).or_else(mdev)?);
    }
    if kind == "usb-host" {
        let (vendor, product) = (hex(value.get("vendorid")?)?, hex(value.get("productid")?)?);
        return device(format!("USB {vendor:04x}:{product:04x}"));
    }
    if kind.starts_with("vhost-scsi") {
        return device(value.get("wwpn")?.to_string());
    }
    None
}

/// A number, which may begin with `0x`.
fn hex(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// What one switch with its value needs.
fn needs(switch: &str, value: &Options<'_>) -> Vec<Need> {
    let kind = value.kind();
    let mut out = Vec::new();
    let mut when = |condition: bool, need: Need| out.extend(condition.then_some(need));
    when(OPEN_ENDED.contains(&switch), Need::Inet);
    when(MAY_MAKE_CODE.contains(&switch), Need::Code);
    when(matches!(switch, "machine" | "M") && value.get("accel").is_some(), Need::Code);
    when(switch == "spice", Need::Spice);
    when(matches!(switch, "spice" | "device") && renders(value), Need::Code);
    when(matches!(switch, "netdev" | "net" | "nic") && matches!(kind, "tap" | "bridge"), Need::Tap);
    if CHARACTER_DEVICES.contains(&switch) {
        when(kind == "pty", Need::Pty);
        when(matches!(kind, "stdio" | "mon:stdio"), Need::Terminal);
    }
    when(switch == "nographic", Need::Terminal);
    when(switch == "device" && kind == "usb-host", Need::Usb);
    when(switch == "device" && kind == "usb-host", Need::Netlink);
    when(switch == "device" && kind.starts_with("vfio-"), Need::Vfio);
    when(switch == "overcommit" && value.is_on("mem-lock"), Need::LockedMemory);
    when(switch == "realtime" && value.is_on("mlock"), Need::LockedMemory);
    if switch == "object" {
        when(value.get("host-nodes").is_some() || kind == "thread-context", Need::MemoryPolicy);
        when(matches!(value.get("reserve"), Some("off" | "no" | "false" | "n")), Need::KernelSettings);
        when(kind == "memory-backend-memfd" && value.is_on("hugetlb"), Need::HugePages);
    }
    out
}

/// Whether a display or an adapter renders with GL.
fn renders(value: &Options<'_>) -> bool {
    value.kind().contains("-gl") || value.get("gl").is_some_and(|gl| gl != "off")
}

/// The value of a switch in one of QEMU's two notations, as far as it is looked into.
struct Options<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Options<'a> {
    /// Reads `kind,key=value,…`, or the topmost members of a JSON object.
    fn of(text: &'a str) -> Options<'a> {
        if text.trim_start().starts_with('{') {
            // QEMU itself refuses what is no JSON.
            let members = serde_json::from_str(text).unwrap_or(serde_json::Map::new());
            let plain = |value: serde_json::Value| match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Bool(on) => if on { "on" } else { "off" }.to_string(),
                other => other.to_string(),
            };
            return Options(members.into_iter().map(|(k, v)| (Cow::Owned(k), Cow::Owned(plain(v)))).collect());
        }
        let parts = parts(text).into_iter().enumerate();
        Options(
            parts
                .map(|(i, part)| match part.split_once('=') {
                    Some((key, value)) => (Cow::Owned(key.to_string()), Cow::Owned(value.to_string())),
                    // The first may stand without its key; others are switches that are on.
                    None if i == 0 => (Cow::Borrowed(""), Cow::Owned(part)),
                    None => (Cow::Owned(part), Cow::Borrowed("on")),
                })
                .collect(),
        )
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_ref())
    }

    /// Every value of a key that may stand there more than once.
    fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_ref())
    }

    fn is_on(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| matches!(value, "on" | "yes" | "true" | "y"))
    }

    /// What stands without a key, or its key in this switch; empty for a value that has neither.
    fn kind(&self) -> &str {
        ["", "driver", "type", "backend", "qom-type"].iter().find_map(|key| self.get(key)).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(switch: &str, value: &str) -> Vec<Need> {
        needs(switch, &Options::of(value))
    }

    #[test]
    fn needs_of_arguments() {
        assert_eq!(of("chardev", "pty,id=a"), [Need::Inet, Need::Pty]);
        assert_eq!(of("serial", "mon:stdio"), [Need::Inet, Need::Terminal]);
        assert_eq!(of("chardev", "socket,id=stdio"), [Need::Inet]);
        assert_eq!(of("netdev", r#"{"type":"tap","id":"n"}"#), [Need::Inet, Need::Tap]);
        assert_eq!(of("device", "usb-host,vendorid=1"), [Need::Usb, Need::Netlink]);
        assert_eq!(of("device", "virtio-gpu-gl"), [Need::Code]);
        assert_eq!(of("device", "virtio-blk,id=glass"), []);
        assert_eq!(of("overcommit", "mem-lock=on"), [Need::LockedMemory]);
        assert_eq!(of("object", "memory-backend-memfd,hugetlb=on,id=m"), [Need::Inet, Need::HugePages]);
        assert_eq!(of("kernel", "/srv/glass"), []);
    }

    #[test]
    fn ports_and_claims_of_arguments() {
        let of = |switch: &str, value: &str| {
            let all = ports(switch, &Options::of(value)).into_iter().filter(|(_, port, _)| *port != 0);
            Vec::from_iter(all.map(|(address, port, _)| (address, port)))
        };
        let one = |host: &str, port| vec![(host.to_string(), port)];
        assert_eq!(of("vnc", "127.0.0.1:3,password=on"), one("127.0.0.1", 5903));
        assert_eq!(of("vnc", "127.0.0.1:3,to=99"), []);
        assert_eq!(of("vnc", "[::1]:0"), one("[::1]", 5900));
        assert_eq!(of("vnc", "unix:/run/x"), []);
        assert_eq!(of("spice", "port=5910,tls-port=5911,addr=0.0.0.0").len(), 2);
        assert_eq!(of("chardev", "socket,id=a,host=127.0.0.1,port=4555,server=on"), one("127.0.0.1", 4555));
        assert_eq!(of("chardev", "socket,id=a,host=h,port=4555"), []);
        assert_eq!(of("chardev", "udp,id=a,host=h,port=1,localaddr=,localport=9"), one("", 9));
        assert_eq!(of("netdev", "socket,listen=127.0.0.1:5558,id=n"), one("127.0.0.1", 5558));
        assert_eq!(of("netdev", "user,id=n,hostfwd=tcp::2222-:22,hostfwd=udp::53-:53").len(), 2);
        let claims = |value: &str| claim("device", &Options::of(value)).map(|(_, value)| value).unwrap_or_default();
        assert_eq!(claims("virtio-net,mac=52:54:00:AB:00:01"), "52:54:00:ab:00:01");
        assert_eq!(claims("vfio-pci,host=01:00.0"), "0000:01:00.0");
        assert_eq!(claims("usb-host,vendorid=0x1234,productid=0xbeef"), "USB 1234:beef");
        assert_eq!(claims("virtio-rng"), "");
    }

    #[test]
    fn a_doubled_comma_is_one_in_a_value() {
        assert_eq!(Options::of("x,path=/a,,b").get("path"), Some("/a,b"));
    }
}
