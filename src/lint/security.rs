//! What lets others in.

use crate::device::chardev::SourceKind;
use crate::device::graphics::{Graphics, GraphicsKind, ListenKind};
use crate::diag::Span;
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::domain::seclabel::SeclabelType;
use crate::stage::Cx;
use crate::vocab::YesNo;
use crate::xml::Site;

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
    consoles(domain, cx);
    for label in domain.seclabels.iter().filter(|l| l.kind == Some(SeclabelType::None)) {
        // That of DAC alone says nothing about accounts: units have theirs.
        if !label.is_for("dac") {
            let message = "<seclabel type='none'/>: neither SELinux nor AppArmor confines the machine";
            cx.warn(&codes::UNCONFINED, label.site, message)
                .help("remove it; `virtc denial` says what in the domain a refusal of the host is about");
        }
    }
    let plain =
        |uri: &str| uri.starts_with("tcp:") && !uri.starts_with("tcp:127.") && !uri.starts_with("tcp:localhost");
    if let Some(uri) = cx.env.options.incoming.as_deref().filter(|uri| plain(uri)) {
        let message =
            format!("a migration from '{uri}' is not encrypted: the guest's memory goes over the network as it is");
        cx.diags.warning(&codes::MIGRATION, Span::NONE, message).help("use a UNIX socket and send it through ssh");
    }
}

/// Consoles that anybody can reach.
fn consoles(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &domain.devices else { return };
    let serials = devices.serials.iter().map(|d| ("serial port", &d.source));
    let parallels = devices.parallels.iter().map(|d| ("parallel port", &d.source));
    let consoles = devices.consoles.iter().map(|d| ("console", &d.source));
    let channels = devices.channels.iter().map(|d| ("channel", &d.source));
    let mut told: Vec<Site> = Vec::new();
    for (what, source) in serials.chain(parallels).chain(consoles).chain(channels) {
        let host = source.peer.host.as_deref().unwrap_or("");
        let tcp = source.kind() == SourceKind::Tcp && source.listens() && source.tls != Some(YesNo::Yes);
        // The first console is the first serial port.
        if !tcp || !is_everywhere(host) || told.contains(&source.site) {
            continue;
        }
        told.push(source.site);
        let message = format!("the {what} listens on all addresses ('{host}'), and lets in whoever comes");
        cx.warn_at(&codes::OPEN_CONSOLE, source.site, "host", message)
            .help("write host='127.0.0.1' and come through ssh -L, or use type='unix'");
    }
}

/// Whether an address stands for all of the host.
fn is_everywhere(address: &str) -> bool {
    matches!(address, "0.0.0.0" | "::" | "*" | "[::]")
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
    let open = graphics.listens.iter().find(|listen| {
        listen.kind() == ListenKind::Address && listen.address.as_deref().is_some_and(is_everywhere) && !guarded
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
