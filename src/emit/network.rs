//! Which families of sockets a process needs, read from its typed arguments.

use crate::plan::{Arg, ArgValue, Plan, Process, Prop, Props, Role};

/// Families of sockets, besides `AF_UNIX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// IPv4 and IPv6.
    pub inet: bool,
    /// Netlink: device enumeration of libusb and udev, interface lists.
    pub netlink: bool,
}

/// Switches whose meaning depends on text that is not looked into: the network is possible.
const OPEN_ENDED: &[&str] = &[
    "-net",
    "-nic",
    "-drive",
    "-gdb",
    "-s",
    "-monitor",
    "-qmp",
    "-qmp-pretty",
    "-serial",
    "-parallel",
    "-redir",
    "-incoming",
    "-iscsi",
    "-hda",
    "-hdb",
    "-hdc",
    "-hdd",
    "-cdrom",
    "-netdev",
    "-chardev",
    "-vnc",
    "-spice",
    "-blockdev",
    "-daemonize",
    "-accel",
    "-object",
];

/// Block drivers that open network connections.
const NETWORK_BLOCK: &[&str] = &["http", "https", "ftp", "ftps", "iscsi", "rbd", "ssh", "gluster", "nfs", "nvme-of"];

/// The families that a process needs. In doubt, a family is allowed.
pub fn families(plan: &Plan, process: &Process) -> Families {
    match process.role {
        Role::Passt | Role::Slirp => Families { inet: true, netlink: true },
        Role::Nbdkit | Role::Rdp => Families { inet: true, netlink: false },
        Role::Swtpm | Role::Virtiofsd | Role::PrHelper | Role::VhostUser | Role::Dbus => Families::default(),
        Role::Qemu => Families {
            inet: process.args.iter().any(needs_inet),
            netlink: plan.access.iter().any(|a| a.path.starts_with("/dev/bus/usb"))
                || process.args.iter().any(|a| is_driver(a, "usb-host")),
        },
    }
}

fn is_driver(arg: &Arg, driver: &str) -> bool {
    matches!(&arg.value, ArgValue::Props(props, _) if props.text("driver") == Some(driver))
}

fn needs_inet(arg: &Arg) -> bool {
    let props = match &arg.value {
        // Handed through, one token an argument; or a switch without value.
        ArgValue::None => return OPEN_ENDED.contains(&arg.switch.as_ref()),
        ArgValue::Text(text) => return text_needs_inet(&arg.switch, text),
        ArgValue::Props(props, _) => props,
    };
    let first = match props.0.first() {
        Some((key, Prop::Text(text))) if key.is_empty() || key == "type" || key == "backend" => text.as_ref(),
        _ => "",
    };
    match arg.switch.as_ref() {
        "-vnc" => text_needs_inet("-vnc", first),
        "-spice" => props.get("port").is_some() || props.get("tls-port").is_some(),
        "-netdev" => matches!(first, "user" | "stream" | "dgram" | "socket") && !holds(props, "unix"),
        "-chardev" => {
            first == "udp" || (first == "socket" && (props.get("host").is_some() || props.get("port").is_some()))
        }
        "-blockdev" => NETWORK_BLOCK.iter().any(|driver| holds(props, driver)) || holds(props, "inet"),
        "-incoming" => true,
        _ => holds(props, "inet"),
    }
}

fn text_needs_inet(switch: &str, text: &str) -> bool {
    match switch {
        "-vnc" => !(text.starts_with("unix:") || text.starts_with("vnc=unix:") || text == "none"),
        "-incoming" => !(text.starts_with("fd:") || text.starts_with("unix:") || text == "defer"),
        other => OPEN_ENDED.contains(&other),
    }
}

/// Whether the value of a `driver` or `type`, at any depth, is `word`.
fn holds(props: &Props, word: &str) -> bool {
    props.0.iter().any(|(key, value)| match value {
        Prop::Text(text) => text == word && matches!(key.as_ref(), "" | "driver" | "type"),
        Prop::Object(inner) => holds(inner, word),
        Prop::List(items) => items.iter().any(|item| matches!(item, Prop::Object(inner) if holds(inner, word))),
        _ => key.ends_with(".type") && matches!(value, Prop::Text(text) if text == word),
    })
}
