//! Displays on the command line: `-vnc`, `-spice`, `-display`.

use super::spice::{ChannelMode, ChannelName, SpiceMouse};
use super::{Graphics, GraphicsKind, Listen, ListenKind};
use crate::device::{audio, interface};
use crate::diag::codes::{display as codes, network};
use crate::host::Service;
use crate::plan::{Arg, AutoPort, Cause, Need, PathKind, Process, Props, Ready, Role, Socket, SocketRole, Use};
use crate::stage::Quirk;
use crate::stage::{Grant, Lower, tls};
use crate::vocab::{OnOff, YesNo, before};
use crate::xml::Site;

/// Where a display listens that is told no address.
const ANY_ADDRESS: &str = "";

/// Adds one display.
pub fn graphics(graphics: &Graphics, lx: &mut Lower<'_>) {
    contradictions(graphics, lx);
    match graphics.kind {
        Some(GraphicsKind::Vnc) => vnc(graphics, lx),
        Some(GraphicsKind::Spice) => spice(graphics, lx),
        Some(GraphicsKind::Sdl) => sdl(graphics, lx),
        Some(GraphicsKind::EglHeadless) => {
            let mut props = Props::new();
            props.bare("egl-headless");
            lx.need(Need::Code, graphics.site, "graphics egl-headless");
            rendernode(graphics, &mut props, lx);
            lx.options("-display", props, graphics.site, "graphics egl-headless");
        }
        Some(GraphicsKind::Dbus) => dbus(graphics, lx),
        Some(GraphicsKind::Rdp) => super::rdp::server(graphics, lx),
        Some(GraphicsKind::Desktop) | None => {}
    }
}

/// What the format allows, but no command line can say.
fn contradictions(graphics: &Graphics, lx: &mut Lower<'_>) {
    let Some(kind) = graphics.kind else { return };
    let before = lx.devices.graphics.iter().filter(|g| g.is(kind)).take_while(|g| g.site != graphics.site);
    if before.count() == 1 {
        let message =
            "two <graphics> are of the same type: QEMU has 1 display of each (sdl, vnc, spice, headless, dbus, rdp)";
        lx.error(&codes::GRAPHICS, graphics.site, message).help(format!("remove one of the displays of type '{kind}'"));
    }
    if let Some(id) = graphics.audio.filter(|_| kind != GraphicsKind::Vnc)
        && audio::implied::find(lx.devices, Some(id)).is_none()
    {
        lx.error(
            &codes::AUDIO,
            graphics.site,
            format!("unable to find the audio backend with id '{id}' of the display"),
        )
        .help(format!("add <audio id='{id}' type='…'/>"));
    }
}

/// Where a display listens, after the defaults of the host.
pub(super) enum Endpoint {
    Socket(String),
    Address(Option<String>),
    None,
}

pub(super) fn endpoint(graphics: &Graphics, service: &Service, name: &str, lx: &mut Lower<'_>) -> Endpoint {
    let default = Listen::default();
    let listen = graphics.listens.first().unwrap_or(&default);
    match listen.kind() {
        ListenKind::None => Endpoint::None,
        ListenKind::Socket => {
            Endpoint::Socket(listen.socket.clone().unwrap_or_else(|| format!("{}/{name}.sock", lx.paths.run)))
        }
        ListenKind::Address => match &listen.address {
            Some(address) => Endpoint::Address(Some(address.clone())),
            None if service.auto_unix_socket => Endpoint::Socket(format!("{}/{name}.sock", lx.paths.run)),
            None => Endpoint::Address(Some(service.listen.clone())),
        },
        ListenKind::Network => {
            let wanted = lx.must(listen.network.clone(), "the network of a <listen>", listen.site);
            let address = interface::lower::network(&wanted, lx.env)
                .and_then(|n| n.addresses.first().map(|a| before(a, '/').to_string()));
            if address.is_none() {
                lx.error(
                    &network::NO_NETWORK,
                    listen.site,
                    format!("the network '{wanted}' of <listen> has no address in the host facts"),
                );
            }
            Endpoint::Address(address)
        }
    }
}

/// Records the socket on which a display listens.
fn socket(path: &str, graphics: &Graphics, lx: &mut Lower<'_>) {
    let what = format!("graphics {}", graphics.kind.map_or("", GraphicsKind::as_str));
    let cause = lx.cause(graphics.site, what.clone());
    lx.plan.sockets.push(Socket {
        role: SocketRole::Display,
        path: path.to_string(),
        process: "qemu".to_string(),
        cause,
    });
    lx.touch(path, Grant::LISTEN_SOCKET, Use::Display, graphics.site, what);
}

/// The audio backend of a display.
fn audiodev(graphics: &Graphics, props: &mut Props, lx: &Lower<'_>) {
    let found = audio::implied::find(lx.devices, graphics.audio);
    props.maybe("audiodev", found.map(|a| format!("audio{}", a.id.unwrap_or(1))));
}

/// What a display needs to render on the host's GPU.
fn rendernode(graphics: &Graphics, props: &mut Props, lx: &mut Lower<'_>) {
    let named = graphics.gl.as_ref().and_then(|g| g.rendernode.clone());
    let Some(node) = named.or_else(|| lx.env.host.machine.drm_render_node.clone()) else { return };
    lx.render_node(&node, graphics.site);
    props.set("rendernode", node);
}

fn keymap(graphics: &Graphics, lx: &mut Lower<'_>) {
    if let Some(keymap) = &graphics.keymap {
        lx.text("-k", keymap.clone(), graphics.site, "keymap of the display");
    }
}

fn sasl(service: &Service, props: &mut Props, lx: &mut Lower<'_>) {
    if !service.sasl {
        return;
    }
    props.set("sasl", true);
    if let Some(dir) = &service.sasl_dir {
        lx.variable("SASL_CONF_PATH", dir.clone());
        lx.touch(dir, Grant::SYSTEM_SOURCE.on(PathKind::Files), Use::Credentials, Site::NONE, "SASL");
    }
}

/// The password of a display. libvirt sets it over the monitor; a standalone QEMU reads it from a file, whose
/// object is named here.
fn password(graphics: &Graphics, service: &Service, name: &str, lx: &mut Lower<'_>) -> Password {
    let Some(password) = graphics.passwd.as_ref().or(service.password.as_ref()) else { return Password::None };
    // An empty one lets nobody in until the monitor sets another; QEMU itself would take it for one that fits.
    if lx.env.has_parent() || password.is_empty() {
        return Password::ByMonitor;
    }
    let id = format!("{name}-password0");
    lx.secret_text(&id, password, graphics.site, "password of the display");
    Password::Object(id)
}

enum Password {
    None,
    ByMonitor,
    Object(String),
}

/// The port of the first VNC display.
const VNC_FIRST: u16 = 5900;

/// Whether another program serves VNC: it shows the D-Bus display beside it, and libvirt starts it.
fn is_served_by_qemu_vnc(lx: &Lower<'_>) -> bool {
    let bus = |g: &Graphics| g.kind == Some(GraphicsKind::Dbus) && !g.p2p.is_some_and(YesNo::is_yes);
    let there = lx.env.has_parent() && lx.env.host.qemu_vnc.is_some() && !lx.env.behaves(Quirk::VncIsQemus);
    there && lx.devices.graphics.iter().any(bus)
}

fn vnc(graphics: &Graphics, lx: &mut Lower<'_>) {
    if is_served_by_qemu_vnc(lx) {
        return;
    }
    let service = &lx.env.host.vnc;
    let mut props = Props::new();
    let endpoint = endpoint(graphics, service, "vnc", lx);
    let on_tcp = matches!(endpoint, Endpoint::Address(_));
    match endpoint {
        Endpoint::Socket(path) => {
            socket(&path, graphics, lx);
            props.set("vnc", format!("unix:{path}"));
        }
        Endpoint::Address(address) => {
            let port = match graphics.fixed_port() {
                Some(port) => port,
                None if graphics.autoport => lx.env.host.ports.vnc,
                None => 0,
            };
            if port < VNC_FIRST {
                let message =
                    format!("VNC displays count from port {VNC_FIRST} up to 65535; {port} is outside the range");
                lx.error(&codes::GRAPHICS, graphics.site, message)
                    .help("QEMU numbers VNC displays from port 5900; autoport='yes' has one chosen");
                return;
            }
            let address = match address {
                Some(address) if address.contains(':') => format!("[{address}]"),
                other => other.unwrap_or(ANY_ADDRESS.to_string()),
            };
            lx.need(Need::Inet, graphics.site, "graphics vnc");
            props.bare(format!("{address}:{}", port - VNC_FIRST));
            let cause = lx.cause(graphics.site, "graphics vnc");
            let moves = graphics.autoport && !lx.env.has_parent();
            if !moves {
                lx.listens_on(&address, port, false, &cause);
            }
            if let Some(websocket) = graphics.websocket.and_then(|port| u16::try_from(port).ok()) {
                lx.listens_on(&address, websocket, false, &cause);
            }
            if moves {
                // libvirt looks for a free port before the start; QEMU can do that itself (QEMU manual, "-vnc", to).
                props.set("to", 99);
            }
        }
        Endpoint::None => {
            props.bare("none");
        }
    }
    if graphics.websocket.is_some() {
        lx.need(Need::Inet, graphics.site, "graphics vnc");
    }
    // A socket, or nothing, has no port beside it.
    match graphics.websocket.filter(|_| on_tcp || lx.env.is_guardian()) {
        // QEMU takes the port that belongs to the display, and looks for a free pair (QEMU manual, "-vnc").
        Some(-1) if !lx.env.has_parent() => {
            props.set("websocket", true);
        }
        Some(-1) => {
            props.set("websocket", lx.env.host.ports.vnc_websocket);
        }
        Some(port) => {
            props.set("websocket", port);
        }
        None => {}
    }
    props.maybe("share", graphics.share_policy.map(|p| p.as_str()));
    match password(graphics, service, "vnc", lx) {
        Password::None => {}
        Password::ByMonitor => {
            props.set("password", true);
        }
        Password::Object(id) => {
            props.set("password-secret", id);
        }
    }
    if service.tls {
        let credentials = tls::Credentials {
            id: "vnc-tls-creds0",
            secret: "vnc-tls-creds0-secret0",
            service,
            server: true,
            verify: service.tls_verify,
        };
        tls::credentials(&credentials, graphics.site, lx);
        props.set("tls-creds", "vnc-tls-creds0");
    }
    sasl(service, &mut props, lx);
    props.maybe("power-control", graphics.power_control.map(YesNo::is_yes));
    audiodev(graphics, &mut props, lx);
    lx.options("-vnc", props, graphics.site, "graphics vnc");
    keymap(graphics, lx);
}

fn spice(graphics: &Graphics, lx: &mut Lower<'_>) {
    let service = &lx.env.host.spice;
    let mut props = Props::new();
    let (secure, insecure) = match endpoint(graphics, service, "spice", lx) {
        Endpoint::Socket(path) => {
            socket(&path, graphics, lx);
            props.set("unix", true).set("addr", path);
            (false, true)
        }
        Endpoint::Address(address) => {
            let (port, tls_port) = spice_ports(graphics, service, lx);
            props.maybe("port", port).maybe("tls-port", tls_port);
            if port.is_some() || tls_port.is_some() {
                lx.need(Need::Inet, graphics.site, "graphics spice");
            }
            // QEMU takes only ports that are named. Who starts a standalone machine may move those that the XML leaves open.
            let may_move = !lx.env.has_parent();
            let mut open = |key: &'static str, port: Option<u16>, given: Option<i32>| {
                let Some(port) = port else { return };
                let cause = lx.cause(graphics.site, "graphics spice");
                let address = address.clone().filter(|a| !a.is_empty());
                if may_move && given.is_none_or(|g| g == -1) {
                    let (switch, key) = ("-spice".into(), key.into());
                    lx.plan.auto_ports.push(AutoPort { switch, key, address, port, cause });
                } else {
                    lx.listens_on(address.as_deref().unwrap_or(ANY_ADDRESS), port, false, &cause);
                }
            };
            open("port", port, graphics.port);
            open("tls-port", tls_port, graphics.tls_port);
            if tls_port.is_some() && !service.tls {
                let message = "tlsPort is set, and the host facts (qemu.conf) have TLS for spice disabled: QEMU needs certificates in the folder that they name";
                lx.diags
                    .warning(&codes::SPICE_TLS, lx.doc.span_of(graphics.site), message)
                    .help("set spice { tls #true } in the host facts, or remove tlsPort");
            }
            if port.is_some() || tls_port.is_some() {
                props.maybe("addr", address);
            }
            (tls_port.is_some(), port.is_some())
        }
        Endpoint::None => {
            // QEMU wants a port as long as there is no other argument.
            props.set("port", 0);
            (false, true)
        }
    };
    sasl(service, &mut props, lx);
    if let Some(mouse) = graphics.spice.mouse.as_ref().and_then(|m| m.mode) {
        props.set("agent-mouse", mouse == SpiceMouse::Client);
    }
    match password(graphics, service, "spice", lx) {
        Password::None => {
            props.set("disable-ticketing", true);
        }
        Password::ByMonitor => {}
        Password::Object(id) => {
            props.set("password-secret", id);
        }
    }
    if secure {
        let dir = service.tls_dir.clone();
        lx.touch(&dir, Grant::SYSTEM_SOURCE.on(PathKind::Files), Use::Credentials, graphics.site, "TLS credentials");
        props.set("x509-dir", dir);
    }
    spice_channels(graphics, &mut props, secure, insecure, lx);
    let options = &graphics.spice;
    props.maybe("image-compression", options.image.as_ref().and_then(|i| i.compression).map(|c| c.as_str()));
    props.maybe("jpeg-wan-compression", options.jpeg.as_ref().and_then(|i| i.compression).map(|c| c.as_str()));
    props.maybe("zlib-glz-wan-compression", options.zlib.as_ref().and_then(|i| i.compression).map(|c| c.as_str()));
    props.maybe("playback-compression", options.playback.as_ref().and_then(|i| i.compression).map(OnOff::is_on));
    props.maybe("streaming-video", options.streaming.as_ref().and_then(|i| i.mode).map(|m| m.as_str()));
    if options.clipboard.as_ref().and_then(|c| c.copypaste) == Some(YesNo::No) {
        props.set("disable-copy-paste", true);
    }
    if options.filetransfer.as_ref().and_then(|f| f.enable) == Some(YesNo::No) {
        props.set("disable-agent-file-xfer", true);
    }
    if graphics.has_gl() {
        props.set("gl", true);
        lx.need(Need::Code, graphics.site, "graphics spice");
        rendernode(graphics, &mut props, lx);
    }
    props.set("seamless-migration", true);
    lx.need(Need::Spice, graphics.site, "graphics spice");
    lx.options("-spice", props, graphics.site, "graphics spice");
    keymap(graphics, lx);
}

/// The ports of a SPICE display: those given, or one for each kind of channel that needs it.
fn spice_ports(graphics: &Graphics, service: &Service, lx: &mut Lower<'_>) -> (Option<u16>, Option<u16>) {
    let ports = lx.env.host.ports;
    if !graphics.autoport {
        let chosen = |given: Option<i32>, free: u16| given.map(|port| u16::try_from(port).unwrap_or(free));
        return (chosen(graphics.port, ports.spice), chosen(graphics.tls_port, ports.spice_tls));
    }
    let (mut plain, mut tls) = (false, false);
    let default = graphics.spice.default_mode.unwrap_or(ChannelMode::Any);
    for name in ChannelName::ALL {
        let mode = graphics.spice.channels.iter().rev().find(|c| c.name == Some(*name)).and_then(|c| c.mode);
        match mode.filter(|m| *m != ChannelMode::Any).unwrap_or(default) {
            ChannelMode::Secure => tls = true,
            ChannelMode::Insecure => plain = true,
            ChannelMode::Any => {
                plain = true;
                tls |= service.tls;
            }
        }
    }
    if tls && !service.tls {
        lx.error(
            &codes::SPICE_TLS,
            graphics.site,
            "autoport: a secure spice channel is requested, and the host facts (qemu.conf) have TLS for spice disabled",
        )
        .help("set spice { tls #true } in the host facts, or make no channel secure");
    }
    (plain.then_some(ports.spice), tls.then_some(ports.spice_tls))
}

/// Which channels are encrypted.
fn spice_channels(graphics: &Graphics, props: &mut Props, secure: bool, insecure: bool, lx: &mut Lower<'_>) {
    let mut channel = |name: &'static str, mode: Option<ChannelMode>, what: &str, site: Site, lx: &mut Lower<'_>| {
        let (key, has, missing) = match mode {
            Some(ChannelMode::Secure) => ("tls-channel", secure, "TLS connection"),
            Some(ChannelMode::Insecure) => ("plaintext-channel", insecure, "plaintext connection"),
            Some(ChannelMode::Any) | None => return,
        };
        if !has {
            let mode = mode.map_or("", |m| m.as_str());
            lx.error(
                &codes::SPICE_TLS,
                site,
                format!("<graphics type='spice'>: {what} {mode} is requested, and there is no {missing}"),
            );
        }
        props.set(key, name);
    };
    channel("default", graphics.spice.default_mode, "defaultMode", graphics.site, lx);
    for name in ChannelName::ALL {
        if let Some(found) = graphics.spice.channels.iter().rev().find(|c| c.name == Some(*name)) {
            channel(name.as_str(), found.mode, "channels", found.site, lx);
        }
    }
}

fn sdl(graphics: &Graphics, lx: &mut Lower<'_>) {
    if let Some(xauth) = &graphics.xauth {
        lx.variable("XAUTHORITY", xauth.clone());
        lx.touch(xauth, Grant::SYSTEM_SOURCE.on(PathKind::File), Use::Display, graphics.site, "graphics sdl");
    }
    if let Some(display) = &graphics.display {
        // `HOST:0`; without a host, and with `unix`, it is a socket.
        if !display.starts_with([':', '/']) && !display.starts_with("unix:") {
            lx.need(Need::Inet, graphics.site, "graphics sdl");
        }
        lx.variable("DISPLAY", display.clone());
    }
    if graphics.fullscreen == Some(YesNo::Yes) {
        let cause = lx.cause(graphics.site, "graphics sdl");
        lx.args.push(Arg::switch("-full-screen", cause));
    }
    let mut props = Props::new();
    props.bare("sdl");
    if graphics.has_gl() {
        lx.need(Need::Code, graphics.site, "graphics sdl");
    }
    props.maybe("gl", graphics.gl.as_ref().and_then(|g| g.enable).map(YesNo::is_yes));
    lx.options("-display", props, graphics.site, "graphics sdl");
}

fn dbus(graphics: &Graphics, lx: &mut Lower<'_>) {
    let mut props = Props::new();
    props.bare("dbus");
    if graphics.p2p == Some(YesNo::Yes) {
        props.set("p2p", true);
    } else {
        if graphics.address.is_none() {
            bus(graphics, lx);
        }
        let address = bus_address(graphics, lx);
        if !address.starts_with("unix:") {
            lx.need(Need::Inet, graphics.site, "graphics dbus");
        }
        props.set("addr", address);
    }
    if graphics.has_gl() {
        lx.need(Need::Code, graphics.site, "graphics dbus");
    }
    if let Some(gl) = &graphics.gl {
        props.maybe("gl", gl.enable.map(YesNo::is_yes));
        if gl.rendernode.is_some() || graphics.has_gl() {
            rendernode(graphics, &mut props, lx);
        }
    }
    if graphics.audio.is_some() {
        audiodev(graphics, &mut props, lx);
    }
    lx.options("-display", props, graphics.site, "graphics dbus");
}

/// The front of the names that libvirt gives the files of a message bus.
fn bus_front(lx: &Lower<'_>) -> String {
    format!("{}/{}-dbus", lx.env.host.directories.dbus, lx.paths.short)
}

/// The socket of the domain's own message bus.
fn bus_socket(lx: &Lower<'_>) -> String {
    if lx.env.has_parent() { format!("{}.sock", bus_front(lx)) } else { format!("{}/dbus.sock", lx.paths.run) }
}

/// The address of the bus that a display is on.
pub(super) fn bus_address(graphics: &Graphics, lx: &Lower<'_>) -> String {
    graphics.address.clone().unwrap_or_else(|| format!("unix:path={}", bus_socket(lx)))
}

/// Adds the message bus of the domain's own.
fn bus(graphics: &Graphics, lx: &mut Lower<'_>) {
    let cause = lx.cause(graphics.site, "graphics dbus");
    let path = bus_socket(lx);
    let args = if lx.env.has_parent() {
        vec![Arg::switch(format!("--config-file={}.conf", bus_front(lx)), cause.clone())]
    } else {
        let address = format!("--address=unix:path={path}");
        let args = ["--session", "--nofork", "--nopidfile"].map(|a| Arg::switch(a, cause.clone()));
        args.into_iter().chain([Arg::switch(address, cause.clone())]).collect()
    };
    helper(&path, args, cause, lx);
    lx.touch(&path, Grant::PEER_SOCKET, Use::Display, graphics.site, "graphics dbus");
}

fn helper(path: &str, args: Vec<Arg>, cause: Cause, lx: &mut Lower<'_>) {
    lx.listens("dbus", path, &cause);
    lx.plan.processes.push(Process {
        role: Role::Dbus,
        id: "dbus".to_string(),
        program: lx.env.host.helper_program("dbus").unwrap_or("/usr/bin/dbus-daemon").to_string(),
        args,
        ready: Ready::Socket(path.to_string()),
        cause,
        ..Process::default()
    });
}
