//! Interfaces: `-netdev` with `-device`, `-nic`, `-net`.

use super::Import;
use super::element::Element;
use super::options::Options;

impl Import {
    /// All interfaces.
    pub fn interfaces(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            let Some(model) = device.get("driver").and_then(model) else { continue };
            let Some(backend) = device.get("netdev").map(str::to_string) else { continue };
            let Some((back, mut options)) = self.command.find_by("netdev", "type", "id", &backend) else { continue };
            options.take("id");
            let queues = options.get("queues").map(str::to_string);
            // What the format cannot express keeps its device as well.
            let Some(mut interface) = self.backend(options, &backend) else { continue };
            self.command.mark(place);
            self.command.mark(back);
            device.forget(&["driver", "netdev", "vectors"]);
            device.forget_default("mq", "on");
            self.interface(&mut interface, model, device, queues);
            self.devices.push(interface);
        }
        for (switch, value) in self.command.take(&["nic"]) {
            let mut options = Options::parse(&value, "type");
            if options.get("type") == Some("none") {
                continue;
            }
            let model = options.take("model");
            let mac = options.take_any(&["mac", "macaddr"]);
            options.take("id");
            let model = model.unwrap_or_else(|| self.default_model().to_string());
            match self.backend(options, "nic") {
                Some(mut interface) => {
                    let device = mac.map(|m| Options::parse(&format!("mac={m}"), "")).unwrap_or_default();
                    self.interface(&mut interface, super::network::model(&model).unwrap_or(&model), device, None);
                    self.devices.push(interface);
                }
                None => self.through(&switch, &value),
            }
        }
        self.old_net();
        self.bare = !self.command.take_switch("nodefaults");
        let asked = ["nic", "net", "netdev"].iter().any(|switch| self.command.values(switch).next().is_some());
        if self.bare && !asked && self.arch().ends_with("86_64") {
            // QEMU gives a machine a network card unless it is told not to.
            let model = Element::new("model").attr("type", self.default_model());
            self.devices.push(Element::new("interface").attr("type", "user").child(model));
        }
    }

    fn default_model(&self) -> &'static str {
        match (self.arch().as_str(), self.express) {
            ("x86_64" | "i686", true) => "e1000e",
            ("x86_64" | "i686", false) => "e1000",
            _ => "virtio",
        }
    }

    /// Hands an argument through, and says so.
    pub fn through(&mut self, switch: &str, value: &str) {
        self.note(format!("handed through as <qemu:arg>: -{switch} {value}"));
        self.arguments.extend([format!("-{switch}"), value.to_string()]);
    }

    /// `-net nic -net user`: one card and one backend, joined by a hub.
    fn old_net(&mut self) {
        let all = self.command.take(&["net"]);
        let parsed: Vec<Options> = all.iter().map(|(_, v)| Options::parse(v, "type")).collect();
        let cards: Vec<&Options> = parsed.iter().filter(|o| o.get("type") == Some("nic")).collect();
        let backends: Vec<&Options> =
            parsed.iter().filter(|o| !matches!(o.get("type"), Some("nic" | "none" | "dump"))).collect();
        if cards.is_empty() && backends.is_empty() {
            return;
        }
        let (1, 0..=1) = (cards.len(), backends.len()) else {
            all.iter().for_each(|(switch, value)| self.through(switch, value));
            return;
        };
        let mut card = cards[0].clone();
        card.forget(&["type", "vlan", "name"]);
        let model_name = card.take("model").unwrap_or_else(|| self.default_model().to_string());
        let backend = backends.first().map_or_else(|| Options::parse("user", "type"), |b| (*b).clone());
        match self.backend(backend, "net") {
            Some(mut interface) => {
                let mac = card.take("macaddr").map(|m| Options::parse(&format!("mac={m}"), ""));
                self.interface(
                    &mut interface,
                    model(&model_name).unwrap_or(&model_name),
                    mac.unwrap_or_default(),
                    None,
                );
                self.devices.push(interface);
            }
            None => all.iter().for_each(|(switch, value)| self.through(switch, value)),
        }
    }

    fn interface(&mut self, interface: &mut Element, model: &str, mut device: Options, queues: Option<String>) {
        if let Some(mac) = device.take("mac") {
            interface.push(Element::new("mac").attr("address", mac));
        }
        interface.push(Element::new("model").attr("type", model));
        if let Some(mtu) = device.take("host_mtu") {
            interface.push(Element::new("mtu").attr("size", mtu));
        }
        let mut driver = Element::new("driver").maybe("queues", queues);
        for key in ["rx_queue_size", "tx_queue_size"] {
            if let Some(value) = device.take(key) {
                driver.set(key, value);
            }
        }
        if let Some(mode) = device.take("tx") {
            driver.set("txmode", if mode == "bh" { "iothread" } else { &mode });
        }
        if model.starts_with("virtio") {
            self.virtio(&mut driver, &mut device);
        }
        if !driver.is_empty() {
            interface.push(driver);
        }
        if let Some(file) = device.take("romfile") {
            let rom = Element::new("rom");
            interface.push(if file.is_empty() { rom.attr("enabled", "no") } else { rom.attr("file", file) });
        }
        self.frontend(interface, device);
    }

    /// `<interface>` of a backend; none if the format cannot express all of it.
    fn backend(&mut self, mut options: Options, id: &str) -> Option<Element> {
        let kind = options.take("type")?;
        options.forget(&["vlan", "name", "queues"]);
        let element = |kind: &str| Element::new("interface").attr("type", kind);
        let out = match kind.as_str() {
            "user" => {
                let mut interface = element("user");
                for (key, family) in [("net", "ipv4"), ("ipv6-net", "ipv6")] {
                    if let Some(net) = options.take(key) {
                        let (address, prefix) = net.split_once('/')?;
                        let ip = Element::new("ip").attr("family", family).attr("address", address);
                        interface.push(ip.attr("prefix", prefix.parse::<u8>().ok()?));
                    }
                }
                interface
            }
            "tap" | "bridge" => {
                let helper = options.take("helper");
                let bridge = options.take("br");
                let ifname = options.take("ifname");
                let script = options.take("script");
                let down = options.take("downscript");
                let vhost = options.take_switch("vhost");
                options.take("vhostforce");
                let own = |script: &Option<String>| matches!(script.as_deref(), None | Some("no" | ""));
                let mut interface =
                    match bridge.or_else(|| (kind == "bridge" || helper.is_some()).then(|| "br0".to_string())) {
                        Some(bridge) => {
                            if helper.is_some() {
                                self.note(format!(
                                    "network '{id}': virtc joins the bridge itself, without {}",
                                    helper.as_deref()?
                                ));
                            }
                            element("bridge").child(Element::new("source").attr("bridge", bridge))
                        }
                        None => element("ethernet"),
                    };
                if let Some(name) = ifname {
                    let target = Element::new("target").attr("dev", name);
                    // A tap that is there already, unless a script is to bring it up.
                    interface.push(if own(&script) && interface.get("type") == Some("ethernet") {
                        target.attr("managed", "no")
                    } else {
                        target
                    });
                }
                if !own(&script) {
                    interface.push(Element::new("script").attr("path", script?));
                }
                if !own(&down) {
                    interface.push(Element::new("downscript").attr("path", down?));
                }
                if let Some(vhost) = vhost {
                    let name = if vhost { "vhost" } else { "qemu" };
                    interface.push(Element::new("driver").attr("name", name));
                }
                interface
            }
            "socket" => {
                let (kind, place) = if let Some(place) = options.take("listen") {
                    ("server", place)
                } else if let Some(place) = options.take("connect") {
                    ("client", place)
                } else if let Some(place) = options.take("mcast") {
                    ("mcast", place)
                } else {
                    let place = options.take("udp")?;
                    let (host, port) = place.rsplit_once(':')?;
                    let local = options.take("localaddr")?;
                    let (local_host, local_port) = local.rsplit_once(':')?;
                    let local = Element::new("local").attr("address", local_host).attr("port", local_port);
                    let source = Element::new("source").attr("address", host).attr("port", port);
                    return options.is_empty().then(|| element("udp").child(source.child(local)));
                };
                let (host, port) = place.rsplit_once(':')?;
                let source = Element::new("source");
                let source = if host.is_empty() { source } else { source.attr("address", host) };
                element(kind).child(source.attr("port", port))
            }
            "vhost-user" => {
                let chardev = options.take("chardev")?;
                let (place, mut chardev) = self.command.find_by("chardev", "backend", "id", &chardev)?;
                let mode = if chardev.take_switch("server") == Some(true) { "server" } else { "client" };
                let path = chardev.take("path")?;
                self.command.mark(place);
                options.take("vhostforce");
                let source = Element::new("source").attr("type", "unix").attr("path", path).attr("mode", mode);
                let mut source = source;
                if let Some(timeout) = chardev.take("reconnect") {
                    source.push(Element::new("reconnect").attr("enabled", "yes").attr("timeout", timeout));
                }
                element("vhostuser").child(source)
            }
            _ => return None,
        };
        options.is_empty().then_some(out)
    }
}

/// The format's name of a network card.
fn model(driver: &str) -> Option<&'static str> {
    Some(match driver {
        "virtio" | "virtio-net" | "virtio-net-pci" | "virtio-net-device" | "virtio-net-ccw" => "virtio",
        "virtio-net-pci-transitional" => "virtio-transitional",
        "virtio-net-pci-non-transitional" => "virtio-non-transitional",
        "e1000" => "e1000",
        "e1000e" => "e1000e",
        "igb" => "igb",
        "rtl8139" => "rtl8139",
        "ne2k_pci" => "ne2k_pci",
        "pcnet" => "pcnet",
        "vmxnet3" => "vmxnet3",
        "usb-net" => "usb-net",
        "i82551" => "i82551",
        "i82557b" => "i82557b",
        "i82559er" => "i82559er",
        "i82562" => "i82562",
        "spapr-vlan" => "spapr-vlan",
        _ => return None,
    })
}
