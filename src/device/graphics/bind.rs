//! Reading and printing `<graphics>`: the attributes depend on the type, and older forms of the format
//! had attributes in place of `<listen>`.

use super::{Gl, Graphics, GraphicsKind, Listen, ListenKind, SpiceOptions};
use crate::bind::{Binder, Model, Part, Shape, print_attr};
use crate::device::sound::AudioRef;
use crate::diag::codes::{display as codes, schema};
use crate::vocab::{Value, YesNo};
use crate::xml::{El, XmlWriter};

impl Part for Graphics {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.kind = cx.need(el, "type");
        let Some(kind) = self.kind else {
            el.mark_all();
            return;
        };
        match kind {
            GraphicsKind::Vnc => {
                self.bind_port(el, cx);
                self.websocket = cx.attr(el, "websocket");
                el.attr("websocketGenerated");
                self.keymap = cx.attr(el, "keymap");
                self.share_policy = cx.attr(el, "sharePolicy");
                self.power_control = cx.attr(el, "powerControl");
                self.wait = cx.attr(el, "wait");
                self.bind_password(el, cx);
                self.bind_listens(el, cx);
            }
            GraphicsKind::Spice => {
                self.bind_spice_ports(el, cx);
                self.keymap = cx.attr(el, "keymap");
                self.bind_password(el, cx);
                self.bind_listens(el, cx);
                self.spice.bind(el, cx);
                self.spice.tidy();
            }
            GraphicsKind::Rdp => {
                self.bind_port(el, cx);
                self.replace_user = cx.attr(el, "replaceUser");
                self.multi_user = cx.attr(el, "multiUser");
                self.username = cx.attr(el, "username");
                self.passwd = cx.attr(el, "passwd");
                self.bind_listens(el, cx);
            }
            GraphicsKind::Sdl | GraphicsKind::Desktop => {
                self.display = cx.attr(el, "display");
                self.xauth = cx.attr(el, "xauth");
                self.fullscreen = cx.attr(el, "fullscreen").filter(|f: &YesNo| f.is_yes());
            }
            GraphicsKind::Dbus => {
                self.p2p = cx.attr(el, "p2p").filter(|p: &YesNo| p.is_yes());
                self.address = cx.attr(el, "address");
            }
            GraphicsKind::EglHeadless => {}
        }
        self.bind_gl(kind, el, cx);
        let audio = el.child(AudioRef::ELEMENT).and_then(|e| cx.need(e, "id"));
        self.audio = audio.filter(|_| matches!(kind, GraphicsKind::Vnc | GraphicsKind::Dbus));
    }

    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "type", &self.kind);
        self.print_ports(out);
        print_attr(out, "replaceUser", &self.replace_user);
        print_attr(out, "multiUser", &self.multi_user);
        print_attr(out, "username", &self.username.as_ref().filter(|_| self.passwd.is_some()).cloned());
        print_attr(out, "display", &self.display);
        print_attr(out, "xauth", &self.xauth);
        print_attr(out, "fullscreen", &self.fullscreen);
        print_attr(out, "p2p", &self.p2p);
        print_attr(out, "address", &self.address);
        print_attr(out, "keymap", &self.keymap);
        self.spice.print_attrs(out);
        print_attr(out, "wait", &self.wait);
        print_attr(out, "sharePolicy", &self.share_policy);
        print_attr(out, "powerControl", &self.power_control);
        print_attr(out, "passwd", &self.passwd);
        print_attr(out, "passwdValidTo", &self.passwd_valid_to);
        print_attr(out, "connected", &self.connected);
    }

    fn print_body(&self, out: &mut XmlWriter) {
        self.listens.iter().for_each(|l| l.print(out));
        self.spice.print_body(out);
        if let Some(gl) = &self.gl {
            out.start("gl");
            print_attr(out, "enable", &gl.enable);
            print_attr(out, "rendernode", &gl.rendernode);
            out.end();
        }
        if let Some(id) = self.audio {
            out.start("audio");
            out.attr("id", &id.to_text());
            out.end();
        }
    }

    fn shape(shape: &mut Shape) {
        for name in [
            "type",
            "port",
            "tlsPort",
            "autoport",
            "websocket",
            "websocketGenerated",
            "keymap",
            "sharePolicy",
            "powerControl",
            "wait",
            "passwd",
            "passwdValidTo",
            "connected",
            "display",
            "xauth",
            "fullscreen",
            "replaceUser",
            "multiUser",
            "username",
            "p2p",
            "address",
            "listen",
            "socket",
        ] {
            shape.attr(name);
        }
        shape.child::<Listen>(Listen::ELEMENT);
        SpiceOptions::shape(shape);
        shape.children.push(("gl", Shape { attrs: vec!["enable", "rendernode"], ..Shape::default() }));
        shape.child::<AudioRef>(AudioRef::ELEMENT);
    }
}

impl Model for Graphics {
    const ELEMENT: &'static str = "graphics";
}

impl Graphics {
    /// A port: -1 was how the format said "any" before it had `autoport`.
    fn port(el: El<'_>, name: &str, cx: &mut Binder<'_>) -> Option<i32> {
        let attr = el.attr(name)?;
        let port: i32 = cx.value(el, attr)?;
        if !(-1..=65535).contains(&port) {
            cx.diags
                .error(&schema::WRONG_VALUE, attr.span(), format!("cannot parse {name} {port} of the display"))
                .help("a port is a number from 1 to 65535, or -1 to choose one");
            return None;
        }
        Some(port)
    }

    fn bind_port(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        let port = Graphics::port(el, "port", cx);
        let autoport: Option<YesNo> = cx.attr(el, "autoport");
        let open = match self.kind {
            // A port of RDP may be left open, too, and without any the display is for nobody.
            Some(GraphicsKind::Rdp) => port.is_none_or(|p| p == -1),
            _ => port.is_none_or(|p| p == -1) && autoport != Some(YesNo::No),
        };
        self.autoport = autoport == Some(YesNo::Yes) || open;
        self.port = port.filter(|p| *p > 0 && !self.autoport);
    }

    fn bind_spice_ports(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        let port = Graphics::port(el, "port", cx);
        let tls_port = Graphics::port(el, "tlsPort", cx);
        let autoport: Option<YesNo> = cx.attr(el, "autoport");
        self.autoport = autoport == Some(YesNo::Yes) || (port == Some(-1) && tls_port == Some(-1));
        let given = |p: Option<i32>| p.filter(|p| *p != 0 && !self.autoport);
        (self.port, self.tls_port) = (given(port), given(tls_port));
    }

    /// What the type has no use for is forgotten.
    fn bind_gl(&mut self, kind: GraphicsKind, el: El<'_>, cx: &mut Binder<'_>) {
        let Some(gl) = el.child("gl") else { return };
        let headless = kind == GraphicsKind::EglHeadless;
        let renders = matches!(kind, GraphicsKind::Spice | GraphicsKind::Sdl | GraphicsKind::Dbus);
        if !headless && !renders {
            gl.mark_all();
            return;
        }
        let enable = if headless { None } else { cx.need(gl, "enable") };
        let rendernode: Option<String> = cx.attr(gl, "rendernode").filter(|_| kind != GraphicsKind::Sdl);
        if headless {
            gl.mark_all();
        }
        let says = !headless || rendernode.is_some();
        self.gl = says.then_some(Gl { enable, rendernode, site: gl.site() });
    }

    fn bind_password(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.passwd = cx.attr(el, "passwd");
        let valid_to = cx.attr(el, "passwdValidTo");
        let connected = cx.attr(el, "connected");
        if self.passwd.is_some() {
            self.passwd_valid_to = valid_to;
            self.connected = connected;
        }
    }

    fn bind_listens(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.listens = el.children_named(Listen::ELEMENT).map(|e| Listen::read(e, cx)).collect();
        for listen in &mut self.listens {
            let kind = listen.kind();
            listen.address = listen.address.take().filter(|a| kind == ListenKind::Address && !a.is_empty());
            if kind != ListenKind::Socket && listen.socket.take().is_some() {
                let message = "the attribute 'socket' of <listen> is valid only with type 'socket'";
                let span = el.document().span_of_attr(listen.site, "socket");
                cx.diags.error(&codes::LISTEN, span, message).help("write type='socket'");
            }
        }
        let address: Option<String> = cx.attr(el, "listen").filter(|a: &String| !a.is_empty());
        let socket: Option<String> = if self.is(GraphicsKind::Vnc) { cx.attr(el, "socket") } else { None };
        let mut clash = |name: &str, first: &str, inner: &str, found: Option<&str>| {
            cx.diags
                .error(
                    &codes::LISTEN,
                    el.document().span_of_attr(el.site(), name),
                    format!(
                        "<graphics> has '{name}' = '{first}', and its first <listen> has another '{inner}': '{}'",
                        found.unwrap_or("none")
                    ),
                )
                .help(format!("remove the attribute '{name}' of <graphics>: <listen> says it"));
        };
        match self.listens.first_mut() {
            None => {
                let kind = Some(if socket.is_some() { ListenKind::Socket } else { ListenKind::Address });
                let address = address.filter(|_| socket.is_none());
                self.listens.push(Listen { kind, address, socket, ..Listen::default() });
            }
            Some(first) => {
                if first.kind() == ListenKind::Address
                    && let Some(address) = &address
                    && first.address.as_ref().is_some_and(|a| a != address)
                {
                    clash("listen", address, "address", first.address.as_deref());
                }
                if first.kind() == ListenKind::Address && first.address.is_none() {
                    first.address = address;
                }
                if let Some(socket) = socket {
                    match first.kind() {
                        ListenKind::Socket => {
                            if first.socket.as_ref().is_some_and(|s| *s != socket) {
                                clash("socket", &socket, "socket", first.socket.as_deref());
                            }
                            first.socket.get_or_insert(socket);
                        }
                        ListenKind::Address | ListenKind::Network => {
                            *first = Listen {
                                kind: Some(ListenKind::Socket),
                                socket: Some(socket),
                                site: first.site,
                                ..Listen::default()
                            };
                        }
                        ListenKind::None => {}
                    }
                }
            }
        }
    }

    /// Ports and the attribute form of the first listen address.
    fn print_ports(&self, out: &mut XmlWriter) {
        let Some(first) = self.listens.first() else { return };
        match first.kind() {
            ListenKind::Socket => {
                if self.is(GraphicsKind::Vnc) {
                    print_attr(out, "socket", &first.socket);
                }
            }
            ListenKind::Address | ListenKind::Network => {
                let auto = YesNo::from(self.autoport).as_str();
                match self.kind {
                    Some(GraphicsKind::Spice) => {
                        print_attr(out, "port", &self.port);
                        print_attr(out, "tlsPort", &self.tls_port);
                        out.attr("autoport", auto);
                    }
                    Some(GraphicsKind::Rdp) => {
                        if self.autoport {
                            out.attr("port", "0");
                            out.attr("autoport", auto);
                        } else {
                            print_attr(out, "port", &self.port);
                        }
                    }
                    _ => {
                        print_attr(out, "port", &self.port.or(self.autoport.then_some(-1)));
                        out.attr("autoport", auto);
                        print_attr(out, "websocket", &self.websocket);
                    }
                }
                print_attr(out, "listen", &first.address);
            }
            ListenKind::None => {}
        }
    }
}
