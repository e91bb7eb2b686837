//! What lets others in.

use crate::device::graphics::{Graphics, GraphicsKind, ListenKind};
use crate::diag::Span;
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::stage::Cx;

/// Secrets that stand in the file.
pub fn passwords(domain: &Domain, cx: &mut Cx<'_>) {
    for graphics in
        domain.devices.iter().flat_map(|d| &d.graphics).filter(|g| g.passwd.as_ref().is_some_and(|p| !p.is_empty()))
    {
        let message = "the password of the display stands in this file, and whoever reads the file has it";
        cx.warn_at(&codes::PASSWORD, graphics.site, "passwd", message)
            .help("listen on 127.0.0.1 and come through ssh -L, or keep the file from others");
    }
}

pub fn check(domain: &Domain, cx: &mut Cx<'_>) {
    for graphics in domain.devices.iter().flat_map(|d| &d.graphics) {
        display(graphics, cx);
    }
    let plain =
        |uri: &str| uri.starts_with("tcp:") && !uri.starts_with("tcp:127.") && !uri.starts_with("tcp:localhost");
    if let Some(uri) = cx.env.options.incoming.as_deref().filter(|uri| plain(uri)) {
        let message =
            format!("a migration from '{uri}' is not encrypted: the guest's memory goes over the network as it is");
        cx.diags.warning(&codes::MIGRATION, Span::NONE, message).help("use a UNIX socket and send it through ssh");
    }
}

/// A display that anybody can reach, and nobody guards.
fn display(graphics: &Graphics, cx: &mut Cx<'_>) {
    let host = cx.env.host;
    let guarded = graphics.passwd.is_some()
        || match graphics.kind {
            Some(GraphicsKind::Vnc) => host.vnc.password.is_some() || host.vnc.sasl,
            Some(GraphicsKind::Spice) => host.spice.password.is_some() || host.spice.sasl,
            _ => return,
        };
    let everywhere = |address: &str| matches!(address, "0.0.0.0" | "::" | "*" | "[::]");
    let open = graphics.listens.iter().find(|listen| {
        listen.kind() == ListenKind::Address && listen.address.as_deref().is_some_and(everywhere) && !guarded
    });
    let Some(listen) = open else { return };
    let address = listen.address.as_deref().unwrap_or("");
    let span = if listen.site.is_none() {
        cx.doc.span_of_attr(graphics.site, "listen")
    } else {
        cx.doc.span_of_attr(listen.site, "address")
    };
    let message = format!("the display listens on all addresses ('{address}') without a password");
    cx.diags
        .warning(&codes::OPEN_DISPLAY, span, message)
        .help("listen on '127.0.0.1' and come through ssh -L, or guard it with SASL or TLS in the host facts");
}
