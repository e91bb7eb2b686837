//! Interfaces: `-netdev` with `-device`, `-nic`, `-net`.

use super::controllers::{bare, variant};
use super::element::Element;
use super::frontend::mapped;
use super::options::Options;
use super::places::Made;
use super::{Argument, Fate, Import};
use crate::device::interface::mapping;
use crate::lint::NIC_MODELS;
use std::collections::BTreeMap;

/// What one hub joins.
#[derive(Default)]
struct Hub {
    cards: Vec<(Argument, Options)>,
    backends: Vec<(Argument, Options)>,
}

impl Import {
    /// All interfaces.
    pub fn interfaces(&mut self) {
        let asked = ["nic", "net", "netdev"].iter().any(|switch| self.command.has(switch));
        for (place, mut device) in self.command.find("device", "driver") {
            let Some(model) = device.get("driver").and_then(model) else { continue };
            if self.on_foreign_bus(&device) {
                continue;
            }
            let Some(backend) = device.get("netdev").map(str::to_string) else { continue };
            let Some((back, options)) = self.command.find_by("netdev", "type", "id", &backend) else { continue };
            // What the format cannot express keeps its device as well.
            let Some(mut interface) = self.backend(options, &backend) else { continue };
            self.command.mark(place);
            self.command.mark(back);
            let driver = device.take("driver").unwrap_or_default();
            device.take("netdev");
            self.interface(&mut interface, model, &driver, device);
            self.devices.push(interface);
        }
        for argument in self.command.take(&["nic"]) {
            self.nic(&argument);
        }
        self.old_net();
        if self.bare && !asked && self.brings_a_card() {
            // QEMU gives a machine a network card unless it is told not to.
            let card = Options::at(crate::diag::Span::NONE).made(Made::Card(usize::MAX));
            let mut interface = Element::new("interface").attr("type", "user");
            let model = self.default_model();
            self.interface(&mut interface, model, driver_of(model), card);
            self.devices.push(interface);
        }
    }

    /// Whether the machine has a network card that nobody asked for.
    fn brings_a_card(&self) -> bool {
        let board = self.board.as_str();
        match self.arch().as_str() {
            "x86_64" | "i686" => !board.starts_with("microvm") && !board.starts_with("none"),
            "armv7l" | "aarch64" => self.default_model() != "virtio" || board == "virt" || board.starts_with("virt-"),
            _ => false,
        }
    }

    fn nic(&mut self, argument: &Argument) {
        let mut options = argument.options("type");
        if options.get("type") == Some("none") {
            return;
        }
        let mut card = Options::at(argument.span).made(Made::Card(argument.place));
        for key in ["model", "mac", "macaddr", "addr"] {
            if let Some(value) = options.take(key) {
                card = card.with(if key == "macaddr" { "mac" } else { key }, value);
            }
        }
        let id = options.take("id");
        self.card_and_backend(card, options, id, &[argument]);
    }

    /// A card that is made by `-nic` or `-net nic`, with what is behind it.
    fn card_and_backend(&mut self, mut card: Options, options: Options, id: Option<String>, from: &[&Argument]) {
        let Some(argument) = from.first() else { return };
        let name = card.take("model").unwrap_or_else(|| self.default_model().to_string());
        let kind = model(&name).unwrap_or(&name).to_string();
        let driver = driver_of(&name);
        // The format has no cards for ISA.
        let isa = self.is_x86() && !super::is_pci(driver);
        if let Some(mut interface) = self.backend(options.clone(), "nic").filter(|_| !isa) {
            self.interface(&mut interface, &kind, driver, card);
            self.devices.push(interface);
            return;
        }
        if !isa && !super::is_pci(driver) || self.root_bus().is_none() {
            from.iter().for_each(|argument| self.through(argument));
            return;
        }
        // Apart, the card can be given a place that nothing else has.
        let id = id.unwrap_or_else(|| format!("user{}", self.arguments.len()));
        let netdev = options.with("id", id.clone());
        let text = netdev.text();
        let netdev = text.strip_prefix("type=").unwrap_or(&text).to_string();
        let mut device = format!("{driver},netdev={id}");
        for (key, value, _) in card.into_rest() {
            device.push_str(&format!(",{key}={value}"));
        }
        for argument in from {
            self.notes.push(argument.span, Fate::Through, format!("{}, as -netdev and -device", argument.shown()));
        }
        self.hand("netdev", Some(netdev), argument.span);
        self.hand("device", Some(device), argument.span);
        self.last_made(argument.made());
    }

    /// The card that a machine has unless another is asked for.
    fn default_model(&self) -> &'static str {
        let board = self.board.as_str();
        match self.arch().as_str() {
            "x86_64" | "i686" if board.starts_with("microvm") => "virtio",
            "x86_64" | "i686" if self.express => "e1000e",
            "x86_64" | "i686" => "e1000",
            "armv7l" | "aarch64" if board.starts_with("versatile") || board.starts_with("integrator") => "smc91c111",
            "armv7l" | "aarch64" if board.starts_with("vexpress") || board.starts_with("realview") => "lan9118",
            "ppc64" if board.starts_with("pseries") => "spapr-vlan",
            "ppc" | "ppc64" if board.starts_with("mac99") || board.starts_with("g3beige") => "sungem",
            _ => "virtio",
        }
    }

    /// `-net nic -net user`: one card and one backend, joined by a hub.
    fn old_net(&mut self) {
        let all = self.command.take(&["net"]);
        // Until QEMU 3.0 there were several hubs, each with a number.
        let mut hubs: BTreeMap<String, Hub> = BTreeMap::new();
        for argument in all {
            let mut options = argument.options("type");
            let hub = hubs.entry(options.take("vlan").unwrap_or_else(|| "0".to_string()));
            match options.get("type") {
                Some("none") => {}
                Some("nic") if options.get("netdev").is_some() => self.card_of_netdev(&argument, options),
                Some("nic") => hub.or_default().cards.push((argument, options)),
                _ => hub.or_default().backends.push((argument, options)),
            }
        }
        hubs.into_values().for_each(|hub| self.hub(hub));
    }

    /// What one hub joins.
    fn hub(&mut self, mut hub: Hub) {
        let (1, 0..=1) = (hub.cards.len(), hub.backends.len()) else {
            hub.cards.iter().chain(&hub.backends).for_each(|(argument, _)| self.through(argument));
            return;
        };
        let (argument, mut card) = hub.cards.remove(0);
        card.take("type");
        if let Some(mac) = card.take("macaddr") {
            card = card.with("mac", mac);
        }
        let (behind, mut backend) = match hub.backends.pop() {
            Some((behind, options)) => (Some(behind), options),
            None => (None, Options::parse("user", "type")),
        };
        let id = backend.take("id").or_else(|| backend.take("name"));
        let from: Vec<&Argument> = [&argument].into_iter().chain(&behind).collect();
        self.card_and_backend(card, backend, id, &from);
    }

    /// `-net nic,netdev=…`: a card of the board.
    fn card_of_netdev(&mut self, argument: &Argument, mut card: Options) {
        let id = card.take("netdev").unwrap_or_default();
        let found = self.command.find_by("netdev", "type", "id", &id);
        card.take("type");
        let name = card.take("model").unwrap_or_else(|| self.default_model().to_string());
        if let Some(mac) = card.take("macaddr") {
            card = card.with("mac", mac);
        }
        match found.and_then(|(place, options)| Some((place, self.backend(options, &id)?))) {
            Some((place, mut interface)) => {
                self.command.mark(place);
                let kind = model(&name).unwrap_or(&name).to_string();
                self.interface(&mut interface, &kind, driver_of(&name), card);
                self.devices.push(interface);
            }
            None if super::is_pci(driver_of(&name)) && self.root_bus().is_some() => {
                // As a device of its own, it can be given the place that QEMU gives it.
                let mut device = format!("{},netdev={id}", driver_of(&name));
                if let Some(id) = card.take_any(&["id", "name"]) {
                    device.push_str(&format!(",id={id}"));
                }
                for (key, value, _) in card.into_rest() {
                    device.push_str(&format!(",{key}={value}"));
                }
                self.notes.push(argument.span, Fate::Through, format!("{}, as -device", argument.shown()));
                self.hand("device", Some(device), argument.span);
                self.last_made(argument.made());
            }
            None => self.through(argument),
        }
    }

    /// Adds what the card says.
    fn interface(&mut self, interface: &mut Element, model: &str, driver: &str, mut device: Options) {
        if let Some(mac) = device.take_any(&["mac", "macaddr"]) {
            interface.push(Element::new("mac").attr("address", mac));
        }
        interface.push(Element::new("model").attr("type", model));
        if let Some(mtu) = device.take("host_mtu") {
            interface.push(Element::new("mtu").attr("size", mtu));
        }
        if device.take_switch("failover") == Some(true) {
            interface.push(Element::new("teaming").attr("type", "persistent"));
        }
        if model.starts_with("virtio") {
            self.virtio_net(interface, &mut device);
        }
        let empty = interface.find("driver").is_some_and(Element::is_empty);
        if empty {
            interface.remove("driver");
        }
        self.frontend(interface, driver, device);
    }

    fn virtio_net(&mut self, interface: &mut Element, device: &mut Options) {
        let queues = interface.find("driver").and_then(|d| d.get("queues")).and_then(|q| q.parse::<u32>().ok());
        if let Some(queues) = queues {
            // They follow from the number of queues.
            device.same("mq", &["on"]);
            device.same("vectors", &[&(2 * queues + 2).to_string()]);
        }
        let driver = interface.inside("driver");
        mapped(mapping::QUEUES, driver, device);
        if let Some(mode) = device.take("tx") {
            driver.set("txmode", if mode == "bh" { "iothread" } else { &mode });
        }
        mapped(mapping::DRIVER, driver, device);
        mapped(mapping::HASH, driver, device);
        for (table, child) in [(mapping::HOST, "host"), (mapping::GUEST, "guest")] {
            let mut offloads = Element::new(child);
            mapped(table, &mut offloads, device);
            if !offloads.is_empty() {
                driver.push(offloads);
            }
        }
        let mut shared = Element::new("driver");
        self.virtio(&mut shared, device);
        interface.inside("driver").absorb(shared);
    }

    /// `<interface>` of a backend; none if the format cannot express all of it.
    fn backend(&mut self, mut options: Options, id: &str) -> Option<Element> {
        let kind = options.take("type")?;
        options.take_any(&["id", "name"]);
        let element = |kind: &str| Element::new("interface").attr("type", kind);
        let queues = options.take_any(&["queues"]).filter(|q| q != "1");
        let mut out = match kind.as_str() {
            "user" => user(&mut options)?,
            "tap" | "bridge" => self.tap(&kind, &mut options, id)?,
            "socket" => return socket(&mut options).filter(|_| options.is_empty()),
            "stream" => self.passt(&mut options)?,
            "vhost-user" => self.vhost_user(&mut options)?,
            "vhost-vdpa" => {
                let node = options.take("vhostdev")?;
                let node = self.node_of_set(node, "/dev/vhost-vdpa-0", options.span);
                element("vdpa").child(Element::new("source").attr("dev", node))
            }
            _ => return None,
        };
        if let Some(queues) = queues {
            out.inside("driver").set("queues", queues);
        }
        options.is_empty().then_some(out)
    }

    fn tap(&mut self, kind: &str, options: &mut Options, id: &str) -> Option<Element> {
        let span = options.span;
        let (helper, bridge) = (options.take("helper"), options.take("br"));
        let (ifname, script, down) = (options.take("ifname"), options.take("script"), options.take("downscript"));
        let vhost = options.take_switch("vhost");
        if options.same("vhostforce", &["on"]) {
            self.idle(span, format!("vhostforce=on of network '{id}': vhost is taken wherever it is there"));
        }
        options.same("vhostforce", &["off"]);
        let fds = options.take("fds").map(|fds| fds.split(':').count()).or_else(|| options.take("fd").map(|_| 1));
        options.take_any(&["vhostfd", "vhostfds"]);
        if script.is_none() && fds.is_none() && helper.is_none() && kind == "tap" {
            let text = format!(
                "network '{id}': QEMU runs /etc/qemu-ifup for it, if that is there; add <script path='/etc/qemu-ifup'/> if it is to be run"
            );
            self.changed(span, text);
        }
        let own = |script: &Option<String>| matches!(script.as_deref(), None | Some("no" | ""));
        let bridge = bridge.or_else(|| (kind == "bridge" || helper.is_some()).then(|| "br0".to_string()));
        let mut interface = match bridge {
            Some(bridge) => {
                Element::new("interface").attr("type", "bridge").child(Element::new("source").attr("bridge", bridge))
            }
            None => Element::new("interface").attr("type", "ethernet"),
        };
        if let Some(helper) = helper {
            self.changed(span, format!("network '{id}': virtc joins the bridge itself, without helper={helper}"));
        }
        if let Some(count) = fds {
            self.changed(span, format!("network '{id}': its tap was a descriptor (fd=) that its starter handed over; the tap gets a name of its own, add <source bridge='…'/> with type='bridge' to join it to a bridge"));
            if count > 1 {
                interface.inside("driver").set("queues", count);
            }
        }
        if let Some(name) = ifname {
            let target = Element::new("target").attr("dev", name);
            // A tap that is there already, unless a script is to bring it up.
            let there = own(&script) && interface.get("type") == Some("ethernet");
            interface.push(if there { target.attr("managed", "no") } else { target });
        }
        if !own(&script) {
            interface.push(Element::new("script").attr("path", self.path(&script?)));
        }
        if !own(&down) {
            interface.push(Element::new("downscript").attr("path", self.path(&down?)));
        }
        match vhost {
            // libvirt takes it wherever it can.
            Some(true) if fds.is_none() => interface.inside("driver").set("name", "vhost"),
            Some(true) => self.of_host(&Options::at(span), "netdev", "vhost", "on", "vhost-net policy=\"always\""),
            Some(false) => interface.inside("driver").set("name", "qemu"),
            None if fds.is_some() => interface.inside("driver").set("name", "qemu"),
            _ => {}
        }
        if let Some(sndbuf) = options.take_if("sndbuf", |s| s.parse::<u64>().ok()) {
            interface.push(Element::new("tune").child(Element::leaf("sndbuf", sndbuf)));
        }
        Some(interface)
    }

    /// A socket of passt, which was started for this interface and is started for it again.
    fn passt(&mut self, options: &mut Options) -> Option<Element> {
        let path = options.get("addr.path")?;
        if !path.ends_with("-passt.sock") && !path.contains("/passt/") {
            return None;
        }
        options.take("addr.path");
        options.same("addr.type", &["unix"]);
        options.same("server", &["off"]);
        options.take_any(&["reconnect-ms", "reconnect"]);
        self.changed(options.span, "which ports passt forwards is not in QEMU's command line: add <portForward>");
        Some(Element::new("interface").attr("type", "user").child(Element::new("backend").attr("type", "passt")))
    }

    fn vhost_user(&mut self, options: &mut Options) -> Option<Element> {
        let chardev = options.get("chardev")?.to_string();
        let (place, mut chardev) = self.command.find_by("chardev", "backend", "id", &chardev)?;
        let mode = if chardev.take_switch("server") == Some(true) { "server" } else { "client" };
        let path = chardev.take("path")?;
        self.command.mark(place);
        options.take("chardev");
        options.same("vhostforce", &["on", "off"]);
        let mut source = Element::new("source").attr("type", "unix").attr("path", self.path(&path)).attr("mode", mode);
        source.push_all(super::ports::reconnect(&mut chardev));
        Some(Element::new("interface").attr("type", "vhostuser").child(source))
    }
}

fn user(options: &mut Options) -> Option<Element> {
    let mut interface = Element::new("interface").attr("type", "user");
    if let (Some(address), Some(length)) = (options.get("ipv6-prefix"), options.get("ipv6-prefixlen")) {
        let net = format!("{address}/{length}");
        options.take("ipv6-prefix");
        options.take("ipv6-prefixlen");
        options.set("ipv6-net", net);
    }
    for (key, family) in [("net", "ipv4"), ("ipv6-net", "ipv6")] {
        let Some(net) = options.take(key) else { continue };
        let (address, prefix) = net.split_once('/').map_or((net.as_str(), None), |(a, p)| (a, Some(p)));
        let prefix = prefix.map(str::parse::<u8>).transpose().ok()?;
        interface.push(Element::new("ip").attr("family", family).attr("address", address).maybe("prefix", prefix));
    }
    Some(interface)
}

fn socket(options: &mut Options) -> Option<Element> {
    let element = |kind: &str| Element::new("interface").attr("type", kind);
    for (key, kind) in [("listen", "server"), ("connect", "client"), ("mcast", "mcast")] {
        let Some(place) = options.take(key) else { continue };
        let (host, port) = place.rsplit_once(':')?;
        let source = Element::new("source");
        let source = if host.is_empty() { source } else { source.attr("address", host) };
        return Some(element(kind).child(source.attr("port", port)));
    }
    let place = options.take("udp")?;
    let (host, port) = place.rsplit_once(':')?;
    let local = options.take("localaddr")?;
    let (local_host, local_port) = local.rsplit_once(':')?;
    let local = Element::new("local").attr("address", local_host).attr("port", local_port);
    let source = Element::new("source").attr("address", host).attr("port", port);
    Some(element("udp").child(source.child(local)))
}

/// QEMU's name of the device that a model is.
fn driver_of(model: &str) -> &str {
    if matches!(model, "virtio" | "virtio-net") { "virtio-net-pci" } else { model }
}

/// The format's name of a network card.
fn model(driver: &str) -> Option<&'static str> {
    if bare(driver) == "virtio-net" || driver == "virtio" {
        return Some(variant(driver).unwrap_or("virtio"));
    }
    // These are no cards behind a network of QEMU's, or none that the format has a bus for.
    let is_card = |name: &&str| !name.starts_with("virtio") && !matches!(*name, "rocker" | "pvrdma" | "ne2k_isa");
    NIC_MODELS.iter().copied().filter(is_card).find(|name| *name == driver)
}
