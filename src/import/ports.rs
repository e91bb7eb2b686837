//! Character devices: `-serial`, `-parallel`, `-chardev` with serial ports, consoles and channels.

use super::Import;
use super::element::Element;
use super::options::{Options, is_on, number};

impl Import {
    /// All serial and parallel ports, consoles and channels.
    pub fn ports(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            let driver = device.get("driver").unwrap_or_default().to_string();
            let Some((element, target, model)) = port(&driver) else { continue };
            if self.on_foreign_bus(&device) {
                continue;
            }
            let Some(chardev) = device.get("chardev").map(str::to_string) else { continue };
            let Some(mut port) = self.chardev(&chardev, element) else { continue };
            self.command.mark(place);
            // A console that is the machine's only one is a console; a port of its own is called so.
            if element == "console"
                && target != "virtio"
                && !device.get("id").is_some_and(|id| id.starts_with("console"))
            {
                port = port.named("serial");
            }
            device.take("driver");
            device.take("chardev");
            self.port(&mut port, element, target, model, &mut device);
            self.frontend(&mut port, &driver, device);
            self.devices.push(port);
        }
        let mut ports = self.command.take(&["serial", "parallel"]);
        if self.command.take_switch("nographic") {
            self.headless = true;
            if !ports.iter().any(|a| a.switch == "serial")
                && !self.devices.iter().any(|d| d.get("type") == Some("stdio"))
            {
                let console = Element::new("serial").attr("type", "stdio");
                self.devices.push(console);
            }
        }
        for argument in ports.drain(..) {
            let element = if argument.switch == "serial" { "serial" } else { "parallel" };
            let value = argument.value.clone().unwrap_or_default();
            if value == "none" {
                continue;
            }
            if value.starts_with("mon:") {
                let text = format!("{}: the monitor on it, for which `virtc monitor` is there", argument.shown());
                self.idle(argument.span, text);
            }
            let port = match value.strip_prefix("chardev:") {
                Some(id) => self.chardev(id, element),
                None => self.short(&value, element),
            };
            match port {
                Some(port) => self.devices.push(port),
                None => self.through(&argument),
            }
        }
        self.debug_ports();
    }

    /// `-debugcon`: the port on which firmware tells what it does.
    fn debug_ports(&mut self) {
        for argument in self.command.take(&["debugcon"]) {
            let value = argument.value.clone().unwrap_or_default();
            let port = match value.strip_prefix("chardev:") {
                Some(id) => self.chardev(id, "serial"),
                None => self.short(&value, "serial"),
            };
            let Some(mut port) = port.filter(|_| self.is_x86()) else {
                self.through(&argument);
                continue;
            };
            let mut iobase = None;
            for (place, global) in self.command.find("global", "") {
                let Some((driver, property, value)) = super::machine::setting(&global) else { continue };
                if let ("isa-debugcon", "iobase", Some(at)) = (driver.as_str(), property.as_str(), number(&value)) {
                    self.command.mark(place);
                    iobase = Some(at);
                }
            }
            let model = Element::new("model").attr("name", "isa-debugcon");
            port.push(Element::new("target").attr("type", "isa-debug").child(model));
            // QEMU's own default.
            let iobase = format!("{:#x}", iobase.unwrap_or(0xe9));
            port.push(Element::new("address").attr("type", "isa").attr("iobase", iobase));
            self.devices.push(port);
        }
    }

    /// `<redirfilter>` of the filter that the redirected ports have.
    pub fn redirection(&mut self) {
        let Some(filter) = self.usb_filter.take() else { return };
        let mut out = Element::new("redirfilter");
        for rule in filter.split('|') {
            let mut parts = rule.split(':').map(str::to_string);
            let mut device = Element::new("usbdev");
            for name in ["class", "vendor", "product", "version"] {
                let Some(part) = parts.next().filter(|part| part != "-1") else { continue };
                let version = super::options::number(&part).filter(|_| name == "version");
                device.set(name, version.map_or(part, |v| format!("{:x}.{:02x}", v >> 8, v & 0xff)));
            }
            device.set("allow", if parts.next().as_deref() == Some("0") { "no" } else { "yes" });
            out.push(device);
        }
        self.devices.push(out);
    }

    /// What the device of a port says about its place.
    fn port(&mut self, port: &mut Element, element: &str, kind: &str, model: &str, device: &mut Options) {
        match element {
            "redirdev" => {
                port.set("bus", "usb");
                if let Some(filter) = device.take("filter") {
                    self.usb_filter = Some(filter);
                }
            }
            "channel" | "console" if kind == "virtio" => {
                let mut target = Element::new("target").attr("type", "virtio");
                if element == "channel" {
                    target = target.maybe("name", device.take("name"));
                }
                port.push(target);
                let number = device.take_number("nr");
                let bus = device.take("bus");
                let controller = bus
                    .as_deref()
                    .and_then(|b| b.strip_suffix(".0"))
                    .and_then(|id| self.controllers.get(&("virtio-serial", id.to_string())).copied());
                if let Some(number) = number {
                    let address = Element::new("address")
                        .attr("type", "virtio-serial")
                        .attr("controller", controller.unwrap_or(0));
                    port.push(address.attr("bus", 0).attr("port", number));
                }
            }
            _ => {
                let index = device.take("index");
                let mut target = Element::new("target");
                let sclp = kind.starts_with("sclp");
                let model = if sclp && port.name() == "console" { "" } else { model };
                if sclp && port.name() == "serial" {
                    target.set("type", "sclp-serial");
                } else if !kind.is_empty() {
                    target.set("type", kind);
                }
                target = target.maybe("port", index);
                if !model.is_empty() {
                    target.push(Element::new("model").attr("name", model));
                }
                if !target.is_empty() {
                    port.push(target);
                }
                device.same("bus", &["isa.0", "spapr-vio", "spapr-vio.0"]);
            }
        }
    }

    /// A device over a `-chardev`, which is used up. None if the format cannot express the whole of it.
    pub fn chardev(&mut self, id: &str, element: &'static str) -> Option<Element> {
        let (place, mut options) = self.command.find_by("chardev", "backend", "id", id)?;
        options.take("id");
        options.same("mux", &["off"]);
        if options.get("mux").is_some() && !self.has_monitor(id) {
            // Nothing shares it.
            options.same("mux", &["on"]);
        }
        if let Some(monitor) = self.monitor_on(id) {
            // A device shares it with a monitor; virtc has a monitor of its own.
            options.same("mux", &["on"]);
            if let Some(argument) = self.command.at(monitor).cloned() {
                self.idle(argument.span, format!("{}: `virtc monitor` is there for it", argument.shown()));
                self.command.mark(monitor);
            }
        }
        let credentials = options.get("tls-creds").map(str::to_string);
        let out = self.source(&mut options, element, id);
        if let (Some(id), true) = (credentials, out.is_some()) {
            self.tls_credentials(&id, "chardev");
        }
        // Whether keys such as Ctrl-C end QEMU is about its terminal.
        if options.same("signal", &["off"]) {
            self.idle(options.span, format!("signal=off of '{id}': the terminal's keys are its own"));
        }
        let mut out = out.filter(|_| options.is_empty())?;
        self.command.mark(place);
        if let Some(path) = out.find("source").and_then(|s| s.get("path")).map(|p| self.path(p)) {
            out.inside("source").set("path", path);
        }
        if let Some(path) = out.find("log").and_then(|s| s.get("file")).map(|p| self.path(p)) {
            out.inside("log").set("file", path);
        }
        Some(out)
    }

    /// QEMU's short notation: `tcp:host:port,server,nowait`, `file:path`, `mon:stdio`.
    fn short(&mut self, text: &str, element: &'static str) -> Option<Element> {
        // With "mon:" a monitor shares it; virtc has one of its own.
        let text = text.strip_prefix("mon:").unwrap_or(text);
        let (what, rest) = text.split_once(',').map_or((text, ""), |(w, r)| (w, r));
        let mut options = Options::parse(rest, "");
        let (kind, place) = what.split_once(':').map_or((what, ""), |(k, p)| (k, p));
        let mut chardev = match kind {
            "stdio" | "pty" | "null" | "vc" | "msmouse" => Options::parse(kind, "backend"),
            "file" | "pipe" | "unix" => {
                let backend = if kind == "unix" { "socket" } else { kind };
                let mut out = Options::parse(backend, "backend");
                out.set("path", self.path(place));
                out
            }
            "tcp" | "telnet" => {
                let (host, port) = place.rsplit_once(':')?;
                let mut out = Options::parse(&format!("socket,host={host},port={port}"), "backend");
                if kind == "telnet" {
                    out.graft("", Options::parse("telnet=on", ""));
                }
                out
            }
            "udp" => {
                let (remote, local) = place.split_once('@').map_or((place, None), |(r, l)| (r, Some(l)));
                let (host, port) = remote.rsplit_once(':')?;
                let mut out = Options::parse(&format!("udp,port={port}"), "backend");
                if !host.is_empty() {
                    out.graft("", Options::parse(&format!("host={host}"), ""));
                }
                if let Some((host, port)) = local.and_then(|l| l.rsplit_once(':')) {
                    out.graft("", Options::parse(&format!("localaddr={host},localport={port}"), ""));
                }
                out
            }
            path if path.starts_with("/dev/") => Options::parse(&format!("serial,path={path}"), "backend"),
            _ => return None,
        };
        chardev.graft("", std::mem::take(&mut options));
        self.source(&mut chardev, element, element).filter(|_| chardev.is_empty())
    }

    /// Where a monitor speaks over a chardev.
    fn monitor_on(&self, chardev: &str) -> Option<usize> {
        self.command.find_by("mon", "chardev", "chardev", chardev).map(|(place, _)| place)
    }

    /// An element with the source of a character device. What is left of it cannot be said.
    fn source(&mut self, options: &mut Options, element: &'static str, id: &str) -> Option<Element> {
        let span = options.span;
        // Without a SPICE display nobody is at the other end; QEMU takes that, the format does not.
        if matches!(options.get("backend"), Some("spicevmc" | "spiceport")) && !self.command.has("spice") {
            return None;
        }
        if options.get("backend") == Some("socket") && options.take("fd").is_some() {
            self.changed(span, "a socket that was handed over as a descriptor (fd=): virtc gives it a path of its own");
            options.same("server", &["on"]);
            options.same("wait", &["off"]);
            options.take("backend");
            let out = Element::new(element).attr("type", "unix");
            if element == "channel" {
                return Some(out);
            }
            let path = format!("/var/lib/libvirt/qemu/{}.sock", id);
            return Some(out.child(Element::new("source").attr("mode", "bind").attr("path", path)));
        }
        if let Some(path) = options.get("path").filter(|p| p.starts_with("/dev/fdset/")).map(str::to_string) {
            let file = format!("/var/log/virtc/{}.log", path.rsplit('/').next().unwrap_or("port"));
            self.changed(span, format!("path={path} was handed over as a descriptor: a file {file} takes its place"));
            options.set("path", file);
        }
        if options.get("backend") == Some("socket")
            && options.get("server") == Some("on")
            && options.get("wait").is_none_or(is_on)
        {
            self.changed(
                span,
                "QEMU waited for a client of this socket (wait=on); a domain's sockets do not make it wait",
            );
            options.take("wait");
        }
        source(options, element)
    }
}

/// Element, type of the target and its model of a device that is a port.
fn port(driver: &str) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match driver {
        "isa-serial" => ("serial", "isa-serial", "isa-serial"),
        "pci-serial" => ("serial", "pci-serial", "pci-serial"),
        "usb-serial" => ("serial", "usb-serial", "usb-serial"),
        "spapr-vty" => ("serial", "spapr-vio-serial", "spapr-vty"),
        "sclpconsole" => ("console", "sclp", "sclpconsole"),
        "sclplmconsole" => ("console", "sclplm", "sclplmconsole"),
        "isa-debugcon" => ("serial", "isa-debug", "isa-debugcon"),
        "isa-parallel" => ("parallel", "", ""),
        "virtconsole" => ("console", "virtio", ""),
        "virtserialport" => ("channel", "virtio", ""),
        "usb-redir" => ("redirdev", "", ""),
        _ => return None,
    })
}

/// `<reconnect>` of a socket, in either unit of time.
pub fn reconnect(options: &mut Options) -> Option<Element> {
    let seconds = options.take("reconnect").and_then(|s| s.parse::<u64>().ok());
    let seconds =
        seconds.or_else(|| options.take_if("reconnect-ms", |ms| ms.parse::<u64>().ok()).map(|ms| ms / 1000))?;
    let out = Element::new("reconnect");
    Some(if seconds == 0 { out.attr("enabled", "no") } else { out.attr("enabled", "yes").attr("timeout", seconds) })
}

/// An element with the source of a character device.
fn source(options: &mut Options, element: &'static str) -> Option<Element> {
    let backend = options.take("backend")?;
    let of = |kind: &str| Element::new(element).attr("type", kind);
    let (log, append) = (options.take("logfile"), options.take_on_off("logappend"));
    let mut out = match backend.as_str() {
        "pty" | "null" | "vc" | "stdio" => {
            options.same("signal", &["on"]);
            of(&backend)
        }
        "file" => {
            let source = Element::new("source").attr("path", options.take("path")?);
            of("file").child(source.maybe("append", options.take_on_off("append")))
        }
        "pipe" => of("pipe").child(Element::new("source").attr("path", options.take("path")?)),
        "serial" | "tty" | "parallel" | "parport" => {
            of("dev").child(Element::new("source").attr("path", options.take("path")?))
        }
        "dbus" => of("dbus").child(Element::new("source").attr("channel", options.take("name")?)),
        "qemu-vdagent" => {
            options.take("name");
            let mut out = of("qemu-vdagent");
            let mut source = Element::new("source");
            for (key, child, name) in [("clipboard", "clipboard", "copypaste"), ("mouse", "mouse", "mode")] {
                match options.take_switch(key) {
                    Some(on) if key == "mouse" => source.inside(child).set(name, if on { "client" } else { "server" }),
                    Some(on) => source.inside(child).set(name, if on { "yes" } else { "no" }),
                    None => {}
                }
            }
            if !source.is_empty() {
                out.push(source);
            }
            out
        }
        "spicevmc" => {
            // The name says which of SPICE's channels it is, as does the port's.
            options.take("name");
            options.same("debug", &["0"]);
            of("spicevmc")
        }
        "spiceport" => of("spiceport").child(Element::new("source").attr("channel", options.take("name")?)),
        "udp" => {
            let connect = Element::new("source").attr("mode", "connect").maybe("host", options.take("host"));
            let mut out = of("udp").child(connect.attr("service", options.take("port")?));
            let (host, port) = (options.take("localaddr"), options.take("localport"));
            if host.is_some() || port.is_some() {
                out.push(Element::new("source").attr("mode", "bind").maybe("host", host).maybe("service", port));
            }
            out
        }
        "socket" => {
            let server = options.take_switch("server") == Some(true);
            options.take("wait");
            let mode = if server { "bind" } else { "connect" };
            let reconnect = reconnect(options);
            let mut source = Element::new("source").attr("mode", mode);
            let mut out = match options.take("path") {
                Some(path) => {
                    source.set("path", path);
                    of("unix")
                }
                None => {
                    source = source.maybe("host", options.take("host").filter(|h| !h.is_empty()));
                    source.set("service", options.take("port")?);
                    options.same("nodelay", &["on"]);
                    of("tcp")
                }
            };
            if source.get("service").is_some() && source.get("host").is_none() {
                source.set("host", "127.0.0.1");
            }
            source.push_all(reconnect);
            if options.get("tls-creds").is_some() {
                options.take("tls-creds");
                source.set("tls", "yes");
            }
            let tcp = source.get("service").is_some();
            out.push(source);
            let telnet = options.take_switch("telnet") == Some(true);
            if tcp {
                out.push(Element::new("protocol").attr("type", if telnet { "telnet" } else { "raw" }));
            }
            out
        }
        _ => return None,
    };
    if let Some(file) = log {
        out.push(Element::new("log").attr("file", file).maybe("append", append));
    }
    Some(out)
}
