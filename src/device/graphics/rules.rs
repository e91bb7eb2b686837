//! Checks of a complete display.

use super::{Graphics, GraphicsKind, ListenKind};
use crate::caps::Cap;
use crate::device::Devices;
use crate::diag::codes::{display as codes, general as support};
use crate::domain::Domain;
use crate::stage::Cx;
use crate::stage::Quirk;
use crate::vocab::YesNo;

/// The sound of a VNC display goes through a backend that there is.
fn audio(graphics: &Graphics, devices: &Devices, cx: &mut Cx<'_>) {
    let Some(id) = graphics.audio else { return };
    let message = match id {
        0 => "<audio id='0'> of a display: zero is not permitted, ids count from 1".to_string(),
        _ if devices.audios.iter().any(|a| a.id == Some(id)) => return,
        _ => format!("<audio id='{id}'> of a display: no <audio> device has this ID"),
    };
    cx.error(&codes::AUDIO, graphics.site, message).help(format!("add <audio id='{}' type='…'/>", id.max(1)));
}

/// Checks one display.
pub fn graphics(graphics: &Graphics, domain: &Domain, cx: &mut Cx<'_>) {
    let (Some(kind), Some(devices)) = (graphics.kind, &domain.devices) else { return };
    let site = graphics.site;
    let needed = match kind {
        GraphicsKind::Sdl => Some(Cap::Sdl),
        GraphicsKind::Vnc => Some(Cap::Vnc),
        GraphicsKind::Spice => Some(Cap::Spice),
        GraphicsKind::EglHeadless => Some(Cap::EglHeadless),
        GraphicsKind::Dbus | GraphicsKind::Rdp => Some(Cap::DisplayDbus),
        GraphicsKind::Desktop => {
            cx.error_at(
                &support::OTHER_HYPERVISOR,
                site,
                "type",
                "<graphics type='desktop'>: that is a window of VirtualBox, and QEMU has none of it",
            )
            .help("use type='sdl' for a window");
            None
        }
    };
    if let Some(cap) = needed
        && !cx.has(cap)
    {
        cx.error_at(&support::NOT_BY_QEMU, site, "type", format!("this QEMU binary was built without {kind} graphics"));
    }
    listens(graphics, cx);
    gl(graphics, devices, cx);
    if kind == GraphicsKind::Vnc {
        audio(graphics, devices, cx);
        if graphics.power_control.is_some() && !cx.has(Cap::VncPowerControl) {
            cx.error(&support::NOT_BY_QEMU, site, "powerControl: the VNC server of this QEMU binary has none");
        }
        if let Some(password) = graphics.passwd.as_ref().filter(|p| p.len() > 8) {
            let message = format!("a VNC password has 8 characters at most, and this is {} long", password.len());
            cx.error_at(&codes::GRAPHICS, site, "passwd", message)
                .help("choose a shorter one: VNC compares 8 characters only, so that the rest protects nothing");
        }
        if graphics.connected.is_some_and(|c| c != super::Connected::Keep) {
            cx.error_at(&codes::GRAPHICS, site, "connected", "connected: VNC knows 'keep' only");
        }
    }
    for (name, value) in [("replaceUser", graphics.replace_user), ("multiUser", graphics.multi_user)] {
        if value.is_some() && kind == GraphicsKind::Rdp {
            cx.error_at(
                &support::OTHER_HYPERVISOR,
                site,
                name,
                format!("<graphics {name}>: that is a setting of VirtualBox; QEMU's RDP server has none of it"),
            );
        }
    }
    if kind == GraphicsKind::Dbus && graphics.p2p.is_some() && graphics.address.is_some() {
        cx.error(&codes::GRAPHICS, site, "a D-Bus display has p2p or an address, not both");
    }
}

fn listens(graphics: &Graphics, cx: &mut Cx<'_>) {
    let Some(kind) = graphics.kind else { return };
    for listen in &graphics.listens {
        let fits = match listen.kind() {
            ListenKind::Socket => matches!(kind, GraphicsKind::Vnc | GraphicsKind::Spice),
            ListenKind::None => matches!(kind, GraphicsKind::Vnc | GraphicsKind::Spice),
            ListenKind::Address | ListenKind::Network => true,
        };
        if !fits {
            cx.error(
                &codes::LISTEN,
                listen.site,
                format!("<listen type='{}'> does not go with graphics of type '{kind}'", listen.kind()),
            );
        }
        if listen.kind() == ListenKind::Network && listen.network.is_none() {
            cx.error(&codes::LISTEN, listen.site, "listen type 'network' needs the name of the network");
        }
        if listen.kind() != ListenKind::Network && listen.network.is_some() {
            let message = "the attribute 'network' of <listen> is valid only with type 'network'";
            cx.error_at(&codes::LISTEN, listen.site, "network", message);
        }
    }
    // libvirt uses the first and passes over the others; nobody would expect that of a guest of his own.
    if graphics.wait.is_some_and(YesNo::is_yes) && cx.env.is_guardian() {
        let message = "wait='yes' of a display: nobody holds a standalone machine back until a client comes";
        cx.error_at(&crate::diag::codes::general::NOT_YET, graphics.site, "wait", message);
    }
    if graphics.listens.len() > 1 && !cx.env.behaves(Quirk::FirstListenOnly) {
        let site = graphics.listens.get(1).map_or(graphics.site, |l| l.site);
        cx.error(&codes::LISTEN, site, format!("QEMU supports only one listen element for {kind}"))
            .help("keep one <listen>");
    }
}

fn gl(graphics: &Graphics, devices: &crate::device::Devices, cx: &mut Cx<'_>) {
    let Some(kind) = graphics.kind else { return };
    if kind == GraphicsKind::EglHeadless
        && devices.graphics.iter().any(|g| {
            matches!(g.kind, Some(GraphicsKind::Sdl | GraphicsKind::Desktop | GraphicsKind::Dbus | GraphicsKind::Rdp))
        })
    {
        cx.error(
            &codes::GRAPHICS,
            graphics.site,
            "'egl-headless' draws for another display: add <graphics> of type 'vnc' or 'spice'",
        )
        .help("a window can render by itself: <gl enable='yes'/>");
        return;
    }
    if !graphics.has_gl() {
        return;
    }
    if kind != GraphicsKind::EglHeadless {
        let cap = match kind {
            GraphicsKind::Sdl => Cap::Sdl,
            GraphicsKind::Spice => Cap::SpiceGl,
            _ => Cap::DisplayDbus,
        };
        if !cx.has(cap) {
            cx.error(&support::NOT_BY_QEMU, graphics.site, format!("this QEMU binary has no OpenGL for {kind}"));
        }
    }
    // libvirt looks for a headless one beside another; two of the same type it tells later.
    let headless = |g: &Graphics| g.kind == Some(GraphicsKind::EglHeadless);
    let together = |g: &&Graphics| g.has_gl() && (cx.env.is_guardian() || headless(g) != headless(graphics));
    if devices.graphics.iter().take_while(|g| g.site != graphics.site).filter(together).count() > 0 {
        cx.error(&codes::GRAPHICS, graphics.site, "QEMU draws with OpenGL for one display, and multiple ask for it")
            .help("let one display render: remove <gl> or the egl-headless display");
    }
}
