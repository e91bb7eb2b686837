//! Character devices: `-serial`, `-parallel`, `-chardev` with serial ports, consoles and channels.

use super::Import;
use super::element::Element;
use super::options::{Options, is_on};

impl Import {
    /// All serial and parallel ports, consoles and channels.
    pub fn ports(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            let driver = device.get("driver").unwrap_or_default().to_string();
            let (element, target) = match driver.as_str() {
                "isa-serial" => ("serial", Some(("isa-serial", "isa-serial"))),
                "pci-serial" => ("serial", Some(("pci-serial", "pci-serial"))),
                "usb-serial" => ("serial", Some(("usb-serial", "usb-serial"))),
                "isa-parallel" => ("parallel", None),
                "virtconsole" => ("console", Some(("virtio", ""))),
                "virtserialport" => ("channel", Some(("virtio", ""))),
                "usb-redir" => ("redirdev", None),
                _ => continue,
            };
            let Some(chardev) = device.get("chardev").map(str::to_string) else { continue };
            let Some(mut port) = self.chardev(&chardev, element) else { continue };
            self.command.mark(place);
            device.forget(&["driver", "chardev", "nr"]);
            match (element, target) {
                ("redirdev", _) => port.set("bus", "usb"),
                ("channel", _) => {
                    let name = device.take("name");
                    let target = Element::new("target").attr("type", "virtio").maybe("name", name);
                    port.push(target);
                    device.take("bus");
                }
                (_, Some((kind, model))) => {
                    let index = device.take("index");
                    let mut target = Element::new("target").attr("type", kind).maybe("port", index);
                    if !model.is_empty() {
                        target.push(Element::new("model").attr("name", model));
                    }
                    port.push(target);
                    if kind == "virtio" {
                        device.take("bus");
                    }
                }
                _ => {
                    let index = device.take("index");
                    if index.is_some() {
                        port.push(Element::new("target").maybe("port", index));
                    }
                }
            }
            if matches!(driver.as_str(), "isa-serial" | "isa-parallel") {
                device.take("bus");
            }
            self.frontend(&mut port, device);
            self.devices.push(port);
        }
        let mut ports = self.command.take(&["serial", "parallel", "debugcon"]);
        if self.command.take_switch("nographic") {
            self.headless = true;
            if !ports.iter().any(|(switch, _)| switch == "serial") {
                ports.push(("serial".to_string(), "stdio".to_string()));
            }
        }
        for (switch, value) in ports {
            let element = match switch.as_str() {
                "serial" => "serial",
                "parallel" => "parallel",
                _ => {
                    self.through(&switch, &value);
                    continue;
                }
            };
            match value.as_str() {
                "none" => {}
                value => {
                    let port = match value.strip_prefix("chardev:") {
                        Some(id) => self.chardev(id, element),
                        None => self.short(value, element),
                    };
                    match port {
                        Some(port) => self.devices.push(port),
                        None => self.through(&switch, value),
                    }
                }
            }
        }
    }

    /// A device over a `-chardev`, which is used up. None if the format cannot express the whole of it.
    pub fn chardev(&mut self, id: &str, element: &'static str) -> Option<Element> {
        let (place, mut options) = self.command.find_by("chardev", "backend", "id", id)?;
        options.take("id");
        options.forget_default("mux", "off");
        let out = source(&mut options, element).filter(|_| options.is_empty())?;
        self.command.mark(place);
        Some(out)
    }

    /// QEMU's short notation: `tcp:host:port,server,nowait`, `file:path`, `mon:stdio`.
    fn short(&mut self, text: &str, element: &'static str) -> Option<Element> {
        let text = text.strip_prefix("mon:").unwrap_or(text);
        let (what, rest) = text.split_once(',').map_or((text, ""), |(w, r)| (w, r));
        let mut options = Options::parse(rest, "");
        let (kind, place) = what.split_once(':').map_or((what, ""), |(k, p)| (k, p));
        let mut chardev = match kind {
            "stdio" | "pty" | "null" | "vc" | "msmouse" => Options::parse(kind, "backend"),
            "file" | "pipe" | "unix" => {
                let backend = if kind == "unix" { "socket" } else { kind };
                let mut out = Options::parse(backend, "backend");
                out.graft("path", Options::parse(&format!("={}", place.replace(',', ",,")), ""));
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
        source(&mut chardev, element).filter(|_| chardev.is_empty())
    }
}

/// An element with the source of a character device.
fn source(options: &mut Options, element: &'static str) -> Option<Element> {
    let backend = options.take("backend")?;
    let of = |kind: &str| Element::new(element).attr("type", kind);
    let (log, append) = (options.take("logfile"), options.take_on_off("logappend"));
    let mut out = match backend.as_str() {
        "pty" | "null" | "vc" | "stdio" => {
            options.forget_default("signal", "on");
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
        "spicevmc" => {
            // The name says which of SPICE's channels it is, as does the port's.
            options.take("name");
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
            // A domain's sockets never make QEMU wait.
            if options.take("wait").is_none_or(|w| is_on(&w)) && server {
                return None;
            }
            let mode = if server { "bind" } else { "connect" };
            let reconnect = options.take("reconnect");
            let mut source = Element::new("source").attr("mode", mode);
            let mut out = match options.take("path") {
                Some(path) => {
                    source.set("path", path);
                    of("unix")
                }
                None => {
                    source = source.maybe("host", options.take("host").filter(|h| !h.is_empty()));
                    source.set("service", options.take("port")?);
                    options.forget_default("nodelay", "on");
                    of("tcp")
                }
            };
            if source.get("service").is_some() && source.get("host").is_none() {
                source.set("host", "127.0.0.1");
            }
            if let Some(timeout) = reconnect {
                source.push(Element::new("reconnect").attr("enabled", "yes").attr("timeout", timeout));
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
