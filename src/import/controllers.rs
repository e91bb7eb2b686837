//! Controllers: PCI bridges and ports, and those of disks, USB and serial ports; threads for I/O.

use super::Import;
use super::element::Element;
use super::options::Options;

impl Import {
    /// PCI bridges and ports first, because others are on their buses; then the rest.
    pub fn controllers(&mut self) {
        self.numbers_of_functions();
        self.pci_controllers();
        for (place, mut device) in self.command.find("device", "driver") {
            let Some((kind, model)) = device.get("driver").and_then(controller) else { continue };
            // The format has companions with their EHCI only.
            if model.starts_with("ich9-uhci") && device.get("masterbus").is_none() {
                continue;
            }
            self.command.mark(place);
            let driver = device.take("driver").unwrap_or_default();
            self.controller(kind, model, &driver, device);
        }
    }

    /// `zpci` devices tell the numbers of others.
    fn numbers_of_functions(&mut self) {
        for (place, device) in self.command.find("device", "driver") {
            if let (Some("zpci"), Some(target)) = (device.get("driver"), device.get("target")) {
                let number = |key: &str| device.get(key).unwrap_or("0").to_string();
                self.zpci.insert(target.to_string(), (number("uid"), number("fid")));
                self.command.mark(place);
            }
        }
    }

    /// Every PCI controller gets its index before any address is written: a bus may be named before it is made.
    pub fn number_pci(&mut self) {
        let mut all: Vec<(usize, Options, &'static str, u32)> = Vec::new();
        for (place, device) in self.command.find("device", "driver") {
            if let Some(model) = device.get("driver").and_then(pci_controller) {
                all.push((place, device, model, 0));
            }
        }
        let mut taken: Vec<u32> = all.iter().filter_map(|(_, d, ..)| own_index(d)).collect();
        for (_, device, model, index) in &mut all {
            let free = (1..).find(|i| !taken.contains(i)).unwrap_or(1);
            *index = own_index(device).unwrap_or(free);
            taken.push(*index);
            if let Some(id) = device.get("id") {
                let bus = if *model == "pci-root" { format!("{id}.0") } else { id.to_string() };
                self.pci.insert(bus, *index);
            }
        }
        self.pci_indexes = all.into_iter().map(|(place, _, _, index)| (place, index)).collect();
    }

    fn pci_controllers(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            let Some(model) = device.get("driver").and_then(pci_controller) else { continue };
            let index = self.pci_indexes.get(&place).copied().unwrap_or(1);
            self.command.mark(place);
            let driver = device.take("driver").unwrap_or_default();
            let mut controller =
                Element::new("controller").attr("type", "pci").attr("index", index).attr("model", model);
            let mut target = Element::new("target");
            for (key, name) in [
                ("chassis", "chassis"),
                ("chassis_nr", "chassisNr"),
                ("port", "port"),
                ("bus_nr", "busNr"),
                ("index", "index"),
            ] {
                if let Some(value) = device.take_number(key) {
                    target.set(name, if name == "port" { format!("{value:#x}") } else { value.to_string() });
                }
            }
            if let Some(state) = device.take_on_off("hotplug") {
                target.set("hotplug", state);
            }
            target.push_all(device.take("numa_node").map(|node| Element::leaf("node", node)));
            if driver == "ioh3420" {
                controller.push(Element::new("model").attr("name", "ioh3420"));
            }
            if !target.is_empty() {
                controller.push(target);
            }
            if model == "pcie-to-pci-bridge"
                && self.express
                && device.get("bus").is_none_or(|b| self.pci.get(b) == Some(&0))
            {
                let id = device.get("id").unwrap_or(&driver).to_string();
                device.take("bus");
                if device.take("addr").is_some() {
                    let text = format!("{id} stands behind a root port here: the format lets it stand nowhere else");
                    self.changed(device.span, text);
                }
                device.made = None;
            }
            self.frontend(&mut controller, &driver, device);
            self.devices.push(controller);
        }
    }

    fn controller(&mut self, kind: &'static str, model: &str, driver: &str, mut device: Options) {
        // The companions of an EHCI controller share its index.
        let master = device.get("masterbus").and_then(|bus| self.usb_bus(bus));
        let index = master.unwrap_or_else(|| self.next_index(kind, device.get("id")));
        if let Some(id) = device.get("id") {
            self.controllers.insert((kind, id.to_string()), index);
        }
        if model == "lsilogic" {
            self.narrow_scsi.push(index);
        }
        let mut element = Element::new("controller").attr("type", kind).attr("index", index);
        let model = variant(driver).filter(|_| model.starts_with("virtio") || kind == "virtio-serial").unwrap_or(model);
        if !model.is_empty() {
            element.set("model", model);
        }
        let mut settings = Element::new("driver");
        if kind == "scsi" {
            if let Some(thread) = device.take("iothread").and_then(|id| self.iothread(&id)) {
                settings.set("iothread", thread);
            }
            self.thread_queues(&mut settings, &mut device);
            super::frontend::mapped(crate::device::controller::mapping::SCSI, &mut settings, &mut device);
        }
        if matches!(kind, "scsi" | "virtio-serial") {
            self.virtio(&mut settings, &mut device);
        }
        if !settings.is_empty() {
            element.push(settings);
        }
        if kind == "virtio-serial" {
            for (key, name) in [("max_ports", "ports"), ("vectors", "vectors")] {
                if let Some(value) = device.take(key) {
                    element.set(name, value);
                }
            }
        }
        if kind == "usb" {
            if let Some(ports) = device.take("p2") {
                device.same("p3", &[&ports]);
                element.set("ports", ports);
            }
            device.take("masterbus");
            if let Some(start) = device.take("firstport") {
                element.push(Element::new("master").attr("startport", start));
            }
        }
        self.frontend(&mut element, driver, device);
        self.devices.push(element);
    }

    /// Whether a device is on the bus of another that is handed through: it has to go with it.
    pub fn on_foreign_bus(&self, device: &Options) -> bool {
        let Some(bus) = device.get("bus") else { return false };
        let owner = bus.rsplit_once('.').map_or(bus, |(owner, _)| owner);
        let foreign = |id: &str| self.command.find_by("device", "driver", "id", id).is_some();
        foreign(owner) || foreign(bus)
    }

    /// The index of a controller: what its id says, or the first that is free.
    pub fn next_index(&self, kind: &str, id: Option<&str>) -> u32 {
        let used: Vec<u32> = self
            .devices
            .iter()
            .filter(|d| d.name() == "controller" && d.get("type") == Some(kind) && !d.has("master"))
            .filter_map(|d| d.get("index")?.parse().ok())
            .collect();
        let prefix = if kind == "sata" { "ahci" } else { kind };
        let named = id.and_then(|id| id.strip_prefix(kind).or_else(|| id.strip_prefix(prefix)));
        let named = named.and_then(|n| if n.is_empty() && kind == "usb" { Some(0) } else { n.parse().ok() });
        // A machine with AHCI on its board has the first already.
        let first = u32::from(kind == "sata" && self.board.contains("q35"));
        named
            .filter(|n| !used.contains(n) && *n >= first)
            .unwrap_or_else(|| (first..).find(|i| !used.contains(i)).unwrap_or(first))
    }

    /// I/O threads get their numbers before anything speaks of them.
    pub fn number_iothreads(&mut self) {
        for (_, object) in self.command.find("object", "qom-type") {
            let (Some("iothread"), Some(id)) = (object.get("qom-type"), object.get("id")) else { continue };
            let used = |n: u32| self.iothreads.iter().any(|t| t.number == n);
            let named = id.strip_prefix("iothread").and_then(|n| n.parse().ok()).filter(|n| *n > 0 && !used(*n));
            let number = named.unwrap_or_else(|| (1..).find(|n| !used(*n)).unwrap_or(1));
            self.iothreads.push(Thread {
                id: id.to_string(),
                number,
                element: Element::new("iothread").attr("id", number),
            });
        }
        for (place, mut object) in self.command.find("object", "qom-type") {
            let Some(at) = self.iothreads.iter().position(|t| Some(t.id.as_str()) == object.get("id")) else {
                continue;
            };
            if object.get("qom-type") != Some("iothread") {
                continue;
            }
            self.command.mark(place);
            object.take("qom-type");
            object.take("id");
            for (key, name) in [("thread-pool-min", "thread_pool_min"), ("thread-pool-max", "thread_pool_max")] {
                if let Some(value) = object.take(key) {
                    self.iothreads[at].element.set(name, value);
                }
            }
            for (key, name) in [("poll-max-ns", "max"), ("poll-grow", "grow"), ("poll-shrink", "shrink")] {
                if let Some(value) = object.take(key) {
                    self.iothreads[at].element.inside("poll").set(name, value);
                }
            }
            if let Some(value) = object.take("poll-weight") {
                self.iothreads[at].element.inside("poll").set("weight", value);
            }
            let what = format!("the I/O thread '{}'", self.iothreads[at].id);
            self.leave(&what, object);
        }
    }

    /// `<defaultiothread>`: QEMU's main loop.
    pub fn main_loop(&mut self) -> Option<Element> {
        let mut out = None;
        for (place, mut object) in self.command.find("object", "qom-type") {
            if object.get("qom-type") != Some("main-loop") {
                continue;
            }
            self.command.mark(place);
            object.take("qom-type");
            object.take("id");
            let threads = Element::new("defaultiothread").maybe("thread_pool_min", object.take("thread-pool-min"));
            out = Some(threads.maybe("thread_pool_max", object.take("thread-pool-max")));
            self.leave("the main loop", object);
        }
        out
    }

    /// The number of an I/O thread.
    pub fn iothread(&mut self, id: &str) -> Option<u32> {
        self.iothreads.iter().find(|t| t.id == id).map(|t| t.number)
    }

    /// `iothread-vq-mapping`, which only JSON can say.
    pub fn thread_queues(&mut self, driver: &mut Element, device: &mut Options) {
        let mut all = Element::new("iothreads");
        for i in 0.. {
            let mut thread = device.take_below(&format!("iothread-vq-mapping.{i}."));
            let Some(number) = thread.take("iothread").and_then(|id| self.iothread(&id)) else { break };
            let mut element = Element::new("iothread").attr("id", number);
            element.push_all(
                thread.take_below("vqs.").into_rest().into_iter().map(|(_, n, _)| Element::new("queue").attr("id", n)),
            );
            all.push(element);
        }
        if !all.is_empty() {
            driver.push(all);
        }
    }

    /// `<iothreads>` and `<iothreadids>`.
    pub fn iothread_elements(&self) -> Vec<Element> {
        if self.iothreads.is_empty() {
            return Vec::new();
        }
        let mut out = vec![Element::leaf("iothreads", self.iothreads.len())];
        let plain = self.iothreads.iter().enumerate().all(|(i, t)| t.number as usize == i + 1 && t.element.is_bare());
        if !plain {
            let mut ids = Element::new("iothreadids");
            ids.push_all(self.iothreads.iter().map(|t| t.element.clone()));
            out.push(ids);
        }
        out
    }
}

/// An I/O thread.
#[derive(Clone, Debug)]
pub struct Thread {
    /// As QEMU calls it.
    pub id: String,
    /// As the domain does.
    pub number: u32,
    /// `<iothread>`
    pub element: Element,
}

/// The index in an id like those of libvirt and virtc.
fn own_index(device: &Options) -> Option<u32> {
    device.get("id")?.strip_prefix("pci.")?.parse().ok().filter(|n| *n > 0)
}

/// The format's word for a device that shows itself in one version of virtio alone.
pub fn variant(driver: &str) -> Option<&'static str> {
    if driver.ends_with("-non-transitional") {
        return Some("virtio-non-transitional");
    }
    driver.ends_with("-transitional").then_some("virtio-transitional")
}

/// QEMU's name of a virtio device without its bus: `virtio-blk` of `virtio-blk-pci-transitional`.
pub fn bare(driver: &str) -> &str {
    let driver =
        driver.strip_suffix("-non-transitional").or_else(|| driver.strip_suffix("-transitional")).unwrap_or(driver);
    ["-pci", "-device", "-ccw"]
        .iter()
        .find_map(|bus| driver.strip_suffix(bus))
        .filter(|b| b.starts_with("v"))
        .unwrap_or(driver)
}

/// The format's model of a PCI controller.
fn pci_controller(driver: &str) -> Option<&'static str> {
    Some(match driver {
        "pcie-root-port" | "ioh3420" => "pcie-root-port",
        "pci-bridge" => "pci-bridge",
        "i82801b11-bridge" => "dmi-to-pci-bridge",
        "pcie-pci-bridge" => "pcie-to-pci-bridge",
        "x3130-upstream" => "pcie-switch-upstream-port",
        "xio3130-downstream" => "pcie-switch-downstream-port",
        "pxb" => "pci-expander-bus",
        "pxb-pcie" => "pcie-expander-bus",
        "spapr-pci-host-bridge" => "pci-root",
        _ => return None,
    })
}

/// Type and model of another controller.
fn controller(driver: &str) -> Option<(&'static str, &'static str)> {
    Some(match bare(driver) {
        "virtio-scsi" => ("scsi", "virtio-scsi"),
        "virtio-serial" => ("virtio-serial", ""),
        _ => match driver {
            "lsi" | "lsi53c895a" => ("scsi", "lsilogic"),
            "megasas" => ("scsi", "lsisas1078"),
            "mptsas1068" => ("scsi", "lsisas1068"),
            "pvscsi" => ("scsi", "vmpvscsi"),
            "spapr-vscsi" => ("scsi", "ibmvscsi"),
            "dc390" | "dc-390" => ("scsi", "dc390"),
            "am53c974" => ("scsi", "am53c974"),
            "piix3-usb-uhci" => ("usb", "piix3-uhci"),
            "piix4-usb-uhci" => ("usb", "piix4-uhci"),
            "vt82c686b-usb-uhci" => ("usb", "vt82c686b-uhci"),
            "usb-ehci" => ("usb", "ehci"),
            "ich9-usb-ehci1" => ("usb", "ich9-ehci1"),
            "ich9-usb-uhci1" => ("usb", "ich9-uhci1"),
            "ich9-usb-uhci2" => ("usb", "ich9-uhci2"),
            "ich9-usb-uhci3" => ("usb", "ich9-uhci3"),
            "pci-ohci" => ("usb", "pci-ohci"),
            "nec-usb-xhci" => ("usb", "nec-xhci"),
            "qemu-xhci" => ("usb", "qemu-xhci"),
            "usb-ccid" => ("ccid", ""),
            "ahci" | "ich9-ahci" => ("sata", ""),
            _ => return None,
        },
    })
}
