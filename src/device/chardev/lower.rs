//! The `-chardev` of a character device, with what it needs before it and the paths that it touches.

use super::{ChardevSource, MouseMode, Peer, SocketProtocol, SourceKind};
use crate::plan::{LabelRole, Need, OwnerRule, Props, Socket, SocketRole, Use};
use crate::stage::{Grant, Lower, tls};
use crate::vocab::{OnOff, YesNo};
use crate::xml::Site;

/// What a `-chardev` is for.
#[derive(Clone, Copy)]
pub struct Chardev<'a> {
    /// Id of the device; the character device is `char` and the id.
    pub id: &'a str,
    /// The device, for causes.
    pub site: Site,
    /// Word for the device: `serial port`.
    pub family: &'static str,
    /// What its paths are for.
    pub usage: Use,
    /// The service that SPICE carries on a `spicevmc`: `vdagent`, `usbredir`, `smartcard`.
    pub spicevmc: &'static str,
    /// Where QEMU listens when the XML names no socket.
    pub generated: Option<&'a str>,
}

/// Adds the `-chardev`; gives its id.
pub fn chardev(source: &ChardevSource, of: Chardev<'_>, lx: &mut Lower<'_>) -> String {
    let id = format!("char{}", of.id);
    let kind = source.kind();
    let mut props = Props::new();
    props.bare(match kind {
        SourceKind::Tcp | SourceKind::Unix => "socket",
        SourceKind::Dev if of.usage == Use::ParallelPort => "parallel",
        SourceKind::Dev => "serial",
        _ => kind.as_str(),
    });
    props.set("id", id.clone());
    match kind {
        SourceKind::Null | SourceKind::Vc | SourceKind::Pty | SourceKind::Stdio | SourceKind::Nmdm => {}
        SourceKind::Dev | SourceKind::Pipe => {
            props.set("path", lx.must(source.path.clone(), "the path of a character device", of.site));
        }
        SourceKind::File => file(source, of, &mut props, lx),
        SourceKind::Udp => {
            let service = lx.must(source.peer.service.clone(), "the service of a character device", of.site);
            props.set("host", address(&source.peer).to_string()).set("port", service);
            props.set("localaddr", address(&source.local).to_string());
            props.set("localport", source.local.service.clone().unwrap_or_else(|| NOT_FIXED.to_string()));
            listens(&source.local, true, of, lx);
        }
        SourceKind::Tcp => tcp(source, &id, of, &mut props, lx),
        SourceKind::Unix => unix(source, of, &mut props, lx),
        SourceKind::Spicevmc => {
            props.set("name", of.spicevmc);
        }
        SourceKind::Spiceport | SourceKind::Dbus => {
            props.set("name", lx.must(source.channel.clone(), "the channel of a character device", of.site));
        }
        SourceKind::QemuVdagent => {
            props.set("name", "vdagent");
            props.maybe("clipboard", source.clipboard.map(YesNo::is_yes));
            props.maybe("mouse", source.mouse.map(|m| m == MouseMode::Client));
        }
    }
    let need = match kind {
        SourceKind::Tcp | SourceKind::Udp => Some(Need::Inet),
        SourceKind::Pty => Some(Need::Pty),
        SourceKind::Stdio => Some(Need::Terminal),
        _ => None,
    };
    if let Some(need) = need {
        lx.need(need, of.site, format!("{} {}", of.family, of.id));
    }
    log(source, of, &mut props, lx);
    access(source, of, lx);
    lx.options("-chardev", props, of.site, of.family);
    id
}

/// A file: libvirt opens it and passes the descriptor, so that QEMU cannot write to another.
fn file(source: &ChardevSource, of: Chardev<'_>, props: &mut Props, lx: &mut Lower<'_>) {
    if lx.hands_over_chardevs() {
        let path = lx.fd_set(format!("{}-source", of.id), of.site);
        props.set("path", path).set("append", true);
    } else {
        props.set("path", lx.must(source.path.clone(), "the path of a character device", of.site));
        props.maybe("append", source.append.map(OnOff::is_on));
    }
}

fn log(source: &ChardevSource, of: Chardev<'_>, props: &mut Props, lx: &mut Lower<'_>) {
    let Some(log) = &source.log else { return };
    if lx.hands_over_chardevs() {
        let path = lx.fd_set(format!("{}-log", of.id), log.site);
        props.set("logfile", path).set("logappend", true);
    } else {
        props.set("logfile", log.file.clone());
        props.maybe("logappend", log.append.map(OnOff::is_on));
    }
    let grant = if lx.hands_over_descriptors() { Grant::LOG } else { Grant::OWN_LOG };
    lx.touch(&log.file, grant, Use::Log, log.site, format!("log of {} {}", of.family, of.id));
}

fn tcp(source: &ChardevSource, id: &str, of: Chardev<'_>, props: &mut Props, lx: &mut Lower<'_>) {
    let host = lx.must(source.peer.host.clone(), "the host of a character device", of.site);
    let service = lx.must(source.peer.service.clone(), "the service of a character device", of.site);
    props.set("host", host).set("port", service);
    if source.protocol == Some(SocketProtocol::Telnet) {
        props.set("telnet", true);
    }
    if source.listens() {
        listens(&source.peer, false, of, lx);
    }
    server_or_reconnect(source, props, lx);
    let host = lx.env.host;
    if source.tls.map_or(host.chardev.tls, YesNo::is_yes) {
        let object = format!("obj{id}_tls0");
        let credentials = tls::Credentials {
            id: &object,
            secret: &format!("{id}-secret0"),
            service: &host.chardev,
            server: source.listens(),
            verify: host.chardev.tls_verify,
        };
        tls::credentials(&credentials, of.site, lx);
        props.set("tls-creds", object);
    }
}

/// A port that the kernel chooses, or that is not known here.
const NOT_FIXED: u16 = 0;

/// The address of an end; an empty one, any, where none is given.
fn address(at: &Peer) -> &str {
    at.host.as_deref().unwrap_or("")
}

/// Records the port of an end on which QEMU listens; a service may have a name, and then its number is not known.
fn listens(at: &Peer, udp: bool, of: Chardev<'_>, lx: &mut Lower<'_>) {
    let cause = lx.cause(of.site, of.family);
    let port = at.service.as_deref().and_then(|s| s.parse().ok()).unwrap_or(NOT_FIXED);
    lx.listens_on(address(at), port, udp, &cause);
}

fn unix(source: &ChardevSource, of: Chardev<'_>, props: &mut Props, lx: &mut Lower<'_>) {
    let path = source.path.as_deref().or(of.generated).map(str::to_string);
    let path = lx.must(path, "the path of a socket", of.site);
    if !source.listens() {
        props.set("path", path);
    } else if lx.hands_over_chardevs() {
        let fd = lx.descriptor(format!("socket of {} {}", of.family, of.id));
        props.set("fd", fd);
    } else {
        props.set("path", path);
    }
    server_or_reconnect(source, props, lx);
}

fn server_or_reconnect(source: &ChardevSource, props: &mut Props, lx: &mut Lower<'_>) {
    if source.listens() {
        props.set("server", true).set("wait", false);
    } else if let Some(reconnect) = source.reconnect {
        lx.reconnect(Some(reconnect.enabled), reconnect.timeout, source.site, props);
    }
}

/// Records the path that the host's end is.
fn access(source: &ChardevSource, of: Chardev<'_>, lx: &mut Lower<'_>) {
    let Some(path) = source.path.as_deref().or(of.generated) else { return };
    let site = source.site;
    let listens = source.kind() == SourceKind::Unix && source.listens();
    let grant = match source.kind() {
        SourceKind::Dev => Grant::CHARDEV_NODE,
        SourceKind::File => Grant::CHARDEV_FILE,
        SourceKind::Pipe => Grant::CHARDEV_PIPE,
        SourceKind::Unix if listens => Grant::LISTEN_SOCKET,
        SourceKind::Unix => Grant::CHARDEV_SOCKET,
        _ => return,
    };
    // Another program's end of a device is neither labelled nor owned by the domain.
    let grant = match of.usage {
        Use::SmartCard => Grant { owner: OwnerRule::Keep, ..grant },
        Use::RedirectedUsb | Use::Random => {
            Grant { owner: OwnerRule::Keep, label: LabelRole::Keep, restore_label: false, ..grant }
        }
        _ => grant,
    };
    let what = format!("{} {}", of.family, of.id);
    if listens {
        let cause = lx.cause(site, what.clone());
        let socket = Socket { role: SocketRole::Chardev, path: path.to_string(), process: "qemu".to_string(), cause };
        lx.plan.sockets.push(socket);
    }
    if source.kind() == SourceKind::Unix && !listens {
        let cause = lx.cause(site, what.clone());
        lx.connects(path, source.reconnect.is_some_and(|r| r.enabled.is_yes()), &cause);
    }
    lx.touch(path, grant.overridden(&source.seclabels), of.usage, site, what);
}
