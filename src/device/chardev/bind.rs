//! Reading and printing `<source>`, `<protocol>` and `<log>`.

use super::{ChardevSource, Log, Peer, Reconnect, SourceKind, SourceMode};
use crate::bind::{Binder, Model, Part, Shape, print_attr};
use crate::diag::codes::{chardev as codes, schema};
use crate::domain::seclabel::SourceSeclabel;
use crate::vocab::YesNo;
use crate::xml::{El, XmlWriter};

fn peer(el: El<'_>, cx: &mut Binder<'_>) -> Peer {
    Peer { host: cx.attr(el, "host"), service: cx.attr(el, "service") }
}

impl Part for ChardevSource {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        // The terminal of a running machine, which libvirt writes and does not read.
        let _ = el.attr("tty");
        if let Some(attr) = el.attr("type") {
            self.kind = SourceKind::parse(attr.value());
            if self.kind.is_none() {
                cx.diags
                    .error(
                        &schema::WRONG_VALUE,
                        attr.span(),
                        format!("a character device of type {} is unknown: the type tells what the host's side is", attr.value()),
                    )
                    .help("use pty, file, dev, pipe, unix, tcp, udp, null, vc, stdio, spicevmc, spiceport, qemu-vdagent or dbus");
            }
        }
        let allowed = if self.kind() == SourceKind::Udp { 2 } else { 1 };
        for (i, source) in el.children_named("source").enumerate() {
            if i >= allowed {
                cx.diags
                    .error(
                        &schema::DUPLICATE,
                        source.span(),
                        format!(
                            "too many <source>: {allowed} is what a character device of type '{}' has (allowed elements)",
                            self.kind()
                        ),
                    )
                    .help("remove the further <source> elements");
                source.mark_all();
                continue;
            }
            self.site = source.site();
            self.bind_source(source, cx);
        }
        // Only TCP has protocols; libvirt passes over the element elsewhere.
        let protocol = el.child("protocol").and_then(|e| cx.attr(e, "type"));
        if self.kind() == SourceKind::Tcp {
            self.protocol = protocol.or(Some(super::SocketProtocol::Raw));
        }
        if let Some(log) = el.child("log") {
            let append = cx.attr(log, "append");
            self.log = cx.attr(log, "file").map(|file| Log { file, append, site: log.site() });
        }
    }

    fn print_attrs(&self, out: &mut XmlWriter) {
        out.attr("type", self.kind().as_str());
    }

    fn print_body(&self, out: &mut XmlWriter) {
        self.print_source(out);
        if let Some(protocol) = self.protocol {
            out.start("protocol");
            out.attr("type", protocol.as_str());
            out.end();
        }
        if let Some(log) = &self.log {
            out.start("log");
            out.attr("file", &log.file);
            print_attr(out, "append", &log.append);
            out.end();
        }
    }

    fn shape(shape: &mut Shape) {
        shape.attr("type");
        let mut source = Shape::default();
        for name in ["path", "append", "mode", "host", "service", "tls", "channel", "master", "slave"] {
            source.attr(name);
        }
        source.child::<SourceSeclabel>(SourceSeclabel::ELEMENT);
        for (name, attrs) in
            [("reconnect", vec!["enabled", "timeout"]), ("clipboard", vec!["copypaste"]), ("mouse", vec!["mode"])]
        {
            source.children.push((name, Shape { attrs, ..Shape::default() }));
        }
        shape.children.push(("source", source));
        shape.children.push(("protocol", Shape { attrs: vec!["type"], ..Shape::default() }));
        shape.children.push(("log", Shape { attrs: vec!["file", "append"], ..Shape::default() }));
    }
}

impl ChardevSource {
    /// Reads one `<source>`; which attributes it has depends on the type.
    fn bind_source(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        match self.kind() {
            SourceKind::Pty | SourceKind::Dev | SourceKind::Pipe => self.path = cx.attr(el, "path"),
            SourceKind::File => {
                self.path = cx.attr(el, "path");
                self.append = cx.attr(el, "append");
            }
            SourceKind::Nmdm => self.nmdm = (cx.attr(el, "master"), cx.attr(el, "slave")),
            SourceKind::Udp => {
                let mode: Option<SourceMode> = cx.attr(el, "mode");
                if mode == Some(SourceMode::Bind) {
                    self.local = peer(el, cx);
                } else {
                    self.peer = peer(el, cx);
                }
            }
            SourceKind::Tcp => {
                self.mode = cx.attr(el, "mode").or(Some(SourceMode::Connect));
                self.peer = peer(el, cx);
                self.tls = cx.attr(el, "tls");
                self.bind_reconnect(el, cx);
            }
            SourceKind::Unix => {
                self.mode = cx.attr(el, "mode").or(Some(SourceMode::Connect));
                self.path = cx.attr(el, "path");
                self.bind_reconnect(el, cx);
            }
            SourceKind::Spiceport | SourceKind::Dbus => self.channel = cx.attr(el, "channel"),
            SourceKind::QemuVdagent => {
                self.clipboard = el.child("clipboard").and_then(|e| cx.need(e, "copypaste"));
                self.mouse = el.child("mouse").and_then(|e| cx.need(e, "mode"));
            }
            // What the type has no use for means nothing to libvirt either.
            SourceKind::Null | SourceKind::Vc | SourceKind::Stdio | SourceKind::Spicevmc => el.mark_all(),
        }
        self.seclabels = crate::domain::seclabel::read_of_source(el, cx);
        self.seclabels.iter_mut().for_each(|l| l.labelskip = None);
        // Attributes of other types are left over when people change the type; libvirt passes over them.
        for attr in el.attrs() {
            attr.mark();
        }
        ["reconnect", "clipboard", "mouse"].iter().filter_map(|name| el.child(name)).for_each(|e| e.mark_all());
    }

    fn bind_reconnect(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        let Some(reconnect) = el.child("reconnect") else { return };
        let Some(enabled) = cx.attr::<YesNo>(reconnect, "enabled") else {
            reconnect.mark_all();
            return;
        };
        let timeout = cx.attr(reconnect, "timeout");
        if enabled.is_yes() && timeout.is_none() && reconnect.peek("timeout").is_none() {
            cx.diags
                .error(&codes::RECONNECT, reconnect.span(), "missing 'timeout' of <reconnect enabled='yes'>")
                .help("say after how many seconds to connect again: timeout='10'");
        }
        self.reconnect = Some(Reconnect { enabled, timeout: timeout.filter(|_| enabled.is_yes()) });
    }

    fn print_source(&self, out: &mut XmlWriter) {
        let print_peer = |out: &mut XmlWriter, peer: &Peer| {
            print_attr(out, "host", &peer.host);
            print_attr(out, "service", &peer.service);
        };
        match self.kind() {
            SourceKind::Dev | SourceKind::File | SourceKind::Pipe => {
                out.start("source");
                print_attr(out, "path", &self.path);
                print_attr(out, "append", &self.append);
                self.seclabels.iter().for_each(|l| l.print(out));
                out.end();
            }
            SourceKind::Nmdm => {
                out.start("source");
                print_attr(out, "master", &self.nmdm.0);
                print_attr(out, "slave", &self.nmdm.1);
                out.end();
            }
            SourceKind::Udp => {
                for (mode, peer) in [("bind", &self.local), ("connect", &self.peer)] {
                    if *peer != Peer::default() {
                        out.start("source");
                        out.attr("mode", mode);
                        print_peer(out, peer);
                        out.end();
                    }
                }
            }
            SourceKind::Tcp => {
                out.start("source");
                out.attr("mode", self.mode.unwrap_or(SourceMode::Connect).as_str());
                print_peer(out, &self.peer);
                print_attr(out, "tls", &self.tls);
                self.print_reconnect(out);
                out.end();
            }
            SourceKind::Unix if self.path.is_some() => {
                out.start("source");
                out.attr("mode", self.mode.unwrap_or(SourceMode::Connect).as_str());
                print_attr(out, "path", &self.path);
                self.print_reconnect(out);
                self.seclabels.iter().for_each(|l| l.print(out));
                out.end();
            }
            SourceKind::Spiceport | SourceKind::Dbus => {
                out.start("source");
                print_attr(out, "channel", &self.channel);
                out.end();
            }
            SourceKind::QemuVdagent if self.clipboard.is_some() || self.mouse.is_some() => {
                out.start("source");
                if let Some(clipboard) = self.clipboard {
                    out.start("clipboard");
                    out.attr("copypaste", clipboard.as_str());
                    out.end();
                }
                if let Some(mouse) = self.mouse {
                    out.start("mouse");
                    out.attr("mode", mouse.as_str());
                    out.end();
                }
                out.end();
            }
            _ => {}
        }
    }

    fn print_reconnect(&self, out: &mut XmlWriter) {
        if let Some(reconnect) = self.reconnect {
            out.start("reconnect");
            out.attr("enabled", reconnect.enabled.as_str());
            print_attr(out, "timeout", &reconnect.timeout);
            out.end();
        }
    }
}
