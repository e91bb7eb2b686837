//! Checks of a complete host end.

use super::{ChardevSource, Peer, SocketProtocol, SourceKind};
use crate::caps::Cap;
use crate::diag::codes::{chardev as codes, general as support};
use crate::stage::Cx;
use crate::xml::Site;

/// Refuses a UNIX socket without a path; only channels get a generated one.
pub fn unix_needs_path(source: &ChardevSource, site: Site, cx: &mut Cx<'_>) {
    if source.kind() == SourceKind::Unix && source.path.is_none() {
        missing("path", site, cx);
    }
}

fn missing(attribute: &str, site: Site, cx: &mut Cx<'_>) {
    cx.error(&codes::MISSING_SOURCE, site, format!("<source {attribute}> of a char device is missing"))
        .help(format!("add <source {attribute}='…'/>"));
}

/// Checks the host's end of the device at `site`.
pub fn rules(source: &ChardevSource, site: Site, cx: &mut Cx<'_>) {
    let at = if source.site.is_none() { site } else { source.site };
    let kind = source.kind();
    match kind {
        SourceKind::Dev | SourceKind::File | SourceKind::Pipe if source.path.is_none() => missing("path", at, cx),
        SourceKind::Tcp => {
            if source.peer.host.is_none() {
                missing("host", at, cx);
            }
            if source.peer.service.is_none() {
                missing("service", at, cx);
            }
            if let Some(protocol @ (SocketProtocol::Telnets | SocketProtocol::Tls)) = source.protocol {
                cx.error(
                    &codes::PROTOCOL,
                    at,
                    format!("<protocol type='{protocol}'>: a tcp chardev speaks 'raw' or 'telnet' only"),
                )
                .help("use <protocol type='raw'/> or 'telnet'; for TLS add tls='yes' to the <source>");
            }
        }
        SourceKind::Udp if source.peer.service.is_none() => missing("service", at, cx),
        SourceKind::Spiceport | SourceKind::Dbus => match source.channel.as_deref() {
            None => missing("channel", at, cx),
            Some(channel) if !channel.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b)) => {
                cx.error_at(
                    &codes::CHANNEL,
                    at,
                    "channel",
                    format!("<source channel='{channel}'>: a channel of Spice takes no blank or other such character"),
                )
                .help("use letters, digits, '.', '-', '_' and ':'");
            }
            Some(_) => {}
        },
        SourceKind::Nmdm => {
            cx.error(
                &support::OTHER_HYPERVISOR,
                at,
                "a character device of type 'nmdm': QEMU has no null modems, they are bhyve's",
            )
            .help("use type='unix' or 'pty'");
        }
        _ => {}
    }
    if matches!(kind, SourceKind::Tcp | SourceKind::Udp) && cx.env.is_guardian() {
        for peer in [&source.peer, &source.local] {
            services(peer, at, cx);
        }
    }
    let needed = match kind {
        SourceKind::QemuVdagent => Some(Cap::ChardevQemuVdagent),
        SourceKind::Dbus => Some(Cap::DisplayDbus),
        _ => None,
    };
    if let Some(cap) = needed
        && !cx.has(cap)
    {
        cx.error(&support::NOT_BY_QEMU, at, format!("this QEMU binary has no chardev of type '{kind}'"));
    }
    if source.listens() && source.reconnect.is_some() {
        cx.error(&codes::RECONNECT, at, "<reconnect>: only a chardev with mode='connect' can do so").help(
            "remove <reconnect>, or use mode='connect' with the path of a socket on which another program listens",
        );
    }
}

/// Refuses what is neither a port nor the name of a service.
fn services(peer: &Peer, at: Site, cx: &mut Cx<'_>) {
    let Some(service) = peer.service.as_deref() else { return };
    let number = service.bytes().all(|b| b.is_ascii_digit());
    let fits = match number {
        true => service.parse::<u16>().is_ok(),
        false => service.len() <= 64 && service.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
    };
    if !fits {
        cx.error_at(&codes::SERVICE, at, "service", format!("'{service}' is no port and no name of a service"))
            .help("use a number up to 65535");
    }
}
