//! What a display has when the XML does not say.

use super::{Graphics, GraphicsKind, ListenKind};
use crate::stage::Cx;

/// Completes one display.
pub fn graphics(graphics: &mut Graphics, cx: &mut Cx<'_>) {
    let nowhere = !graphics.autoport && graphics.port.is_none() && graphics.tls_port.is_none();
    let Some(listen) = graphics.listens.first_mut() else { return };
    // A socket that libvirt generated is not the user's choice.
    let generated = format!("{}/domain-", cx.env.host.directories.lib);
    if listen.kind() == ListenKind::Socket
        && listen.site.is_none()
        && listen.socket.as_ref().is_some_and(|s| s.starts_with(&generated))
    {
        listen.kind = Some(ListenKind::Address);
        listen.socket = None;
        graphics.autoport = true;
        return;
    }
    // SPICE without any port is a display for the machine itself.
    if graphics.kind == Some(GraphicsKind::Spice) && listen.kind() == ListenKind::Address && nowhere {
        listen.kind = Some(ListenKind::None);
        listen.address = None;
    }
}
