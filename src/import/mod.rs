//! A domain out of a QEMU command line: the way back from `virtc argv`.
//!
//! Every argument is either expressed in the domain format, or is one that virtc writes by itself (its monitor,
//! its sandbox), or is handed through as `<qemu:arg>`. Properties of a device that the format cannot express
//! become `<qemu:override>`. Nothing is lost in silence: what was handed through or left out is in
//! [`Imported::notes`].

mod command;
mod devices;
mod display;
mod element;
mod kdl;
mod machine;
mod network;
mod options;
mod ports;
mod storage;
mod words;

pub use kdl::domain_of_kdl;
pub use words::{Malformed, words};

use crate::diag::Diagnostics;
use command::Command;
use element::Element;
use options::Options;
use std::collections::BTreeMap;

/// What an import gives.
#[derive(Debug)]
pub struct Imported {
    /// The domain, as XML.
    pub xml: String,
    /// What could not be expressed, and what became of it.
    pub notes: Vec<String>,
}

/// The domain of a command line: environment assignments, the program, its arguments. Relative paths are those of
/// the directory `base`.
pub fn domain(words: &[String], base: &str) -> Imported {
    let assignments = words.iter().take_while(|w| is_assignment(w)).count();
    let (environment, rest) = words.split_at(assignments);
    let program = rest.first().cloned().unwrap_or_else(|| "qemu-system-x86_64".to_string());
    let mut import = Import::new(program, Command::new(rest.get(1..).unwrap_or_default()), base);
    for variable in environment {
        // The launcher sets these for every machine.
        if !["LC_ALL", "PATH", "HOME", "USER", "LOGNAME", "XDG_"].iter().any(|own| variable.starts_with(own)) {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            import.environment.push(Element::new("qemu:env").attr("name", name).attr("value", value));
        }
    }
    import.run()
}

/// The domain as `virtc normalize` would order it, without what that fills in.
fn in_order(xml: String) -> String {
    let mut diags = Diagnostics::new();
    let doc = crate::xml::parse(xml.as_bytes(), &mut diags);
    match crate::domain::bind(&doc, &|_| false, &mut diags) {
        Some(domain) if !diags.has_errors() => crate::domain::print(&domain),
        // Whoever compiles it says what is wrong.
        _ => xml,
    }
}

/// `KEY=VALUE` before the program.
fn is_assignment(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    word.contains('=') && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// An import on its way.
struct Import {
    program: String,
    command: Command,
    /// The directory of relative paths.
    base: String,
    /// Children of `<domain>` besides the machine's: devices in the order in which they were found.
    devices: Vec<Element>,
    environment: Vec<Element>,
    /// `<qemu:arg>`, in order.
    arguments: Vec<String>,
    /// `<qemu:device>` of `<qemu:override>`.
    overrides: Vec<Element>,
    notes: Vec<String>,
    /// Indexes of PCI controllers by the id that QEMU knows them under.
    pci: BTreeMap<String, u32>,
    /// Indexes of other controllers by `type id`.
    controllers: BTreeMap<(&'static str, String), u32>,
    /// How many targets of a prefix are in use (`vd`, `sd`, `hd`, `fd`).
    targets: BTreeMap<&'static str, Vec<String>>,
    /// Whether any device has a boot index; `<boot>` of the whole domain is then not allowed.
    boot_order: bool,
    /// What is added to a boot index: the format counts from 1.
    boot_offset: i64,
    /// Audio backends by the id that QEMU knows them under; their number is the place, from 1.
    audio: Vec<String>,
    /// Whether QEMU adds devices of its own to the machine.
    bare: bool,
    /// Whether there is to be no screen.
    headless: bool,
    has_video: bool,
    /// SCSI controllers that know targets and no units.
    narrow_scsi: Vec<u32>,
    /// I/O threads by the id that QEMU knows them under; their number is the place, from 1.
    iothreads: Vec<String>,
    /// Sockets, dies, clusters, cores, threads.
    topology: Option<[Option<u32>; 5]>,
    /// Whether the machine has PCI Express (`q35`, `virt`).
    express: bool,
}

impl Import {
    fn new(program: String, command: Command, base: &str) -> Import {
        Import {
            program,
            command,
            base: base.trim_end_matches('/').to_string(),
            devices: Vec::new(),
            environment: Vec::new(),
            arguments: Vec::new(),
            overrides: Vec::new(),
            notes: Vec::new(),
            pci: BTreeMap::from([("pci.0".to_string(), 0), ("pcie.0".to_string(), 0), ("pci".to_string(), 0)]),
            controllers: BTreeMap::new(),
            targets: BTreeMap::new(),
            boot_order: false,
            boot_offset: 0,
            audio: Vec::new(),
            bare: false,
            headless: false,
            has_video: false,
            narrow_scsi: Vec::new(),
            iothreads: Vec::new(),
            topology: None,
            express: false,
        }
    }

    fn run(mut self) -> Imported {
        self.command.drop_own();
        self.count_boot_indexes();
        let machine = self.machine();
        self.controllers();
        self.disks();
        self.interfaces();
        self.ports();
        self.displays();
        self.other_devices();
        self.hand_the_rest_through();

        let arch_usb = self.devices.iter().any(|d| d.name() == "controller" && d.get("type") == Some("usb"));
        if !arch_usb && !machine.usb {
            self.devices.push(Element::new("controller").attr("type", "usb").attr("model", "none"));
        }
        if !self.devices.iter().any(|d| d.name() == "memballoon") {
            self.devices.push(Element::new("memballoon").attr("model", "none"));
        }
        let mut domain = Element::new("domain").attr("type", machine.kind);
        if !(self.arguments.is_empty() && self.environment.is_empty() && self.overrides.is_empty()) {
            domain = domain.attr("xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0");
        }
        machine.children.into_iter().for_each(|child| domain.push(child));
        if !self.iothreads.is_empty() {
            domain.push(Element::leaf("iothreads", self.iothreads.len()));
        }
        let emulator = Element::leaf("emulator", &self.program);
        let mut devices = Element::new("devices");
        // The emulator is a path; a bare name is found by the host.
        if self.program.starts_with('/') {
            devices.push(emulator);
        }
        self.devices.into_iter().for_each(|d| devices.push(d));
        domain.push(devices);
        if !(self.arguments.is_empty() && self.environment.is_empty()) {
            let mut line = Element::new("qemu:commandline");
            self.arguments.iter().for_each(|a| line.push(Element::new("qemu:arg").attr("value", a)));
            self.environment.into_iter().for_each(|e| line.push(e));
            domain.push(line);
        }
        if !self.overrides.is_empty() {
            let mut all = Element::new("qemu:override");
            self.overrides.into_iter().for_each(|o| all.push(o));
            domain.push(all);
        }
        Imported { xml: in_order(domain.print()), notes: self.notes }
    }

    /// A path as the format wants it, absolute.
    fn path(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_string();
        }
        format!("{}/{}", self.base, path.strip_prefix("./").unwrap_or(path))
    }

    /// Remarks on something that the import could not carry over as it was.
    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Boot indexes begin with 1 in the format, and with 0 in QEMU.
    fn count_boot_indexes(&mut self) {
        let indexes: Vec<i64> = self
            .command
            .values("device")
            .filter_map(|value| Options::parse(value, "driver").get("bootindex")?.parse().ok())
            .collect();
        self.boot_order = !indexes.is_empty();
        self.boot_offset = indexes.iter().min().map_or(0, |least| (1 - least).max(0));
    }

    /// What nobody has used goes to QEMU as it is.
    fn hand_the_rest_through(&mut self) {
        for (switch, value) in self.command.unused() {
            let shown = value.as_ref().map_or(format!("-{switch}"), |v| format!("-{switch} {v}"));
            self.notes.push(format!("handed through as <qemu:arg>: {shown}"));
            self.arguments.push(format!("-{switch}"));
            self.arguments.extend(value);
        }
    }

    /// What all devices share: boot order, address, and properties that the format has no word for.
    fn frontend(&mut self, element: &mut Element, mut device: Options) {
        let id = device.take("id");
        if let Some(index) = device.take("bootindex").and_then(|i| i.parse::<i64>().ok()) {
            element.push(Element::new("boot").attr("order", index + self.boot_offset));
        }
        if let Some(devno) = device.take("devno") {
            let mut parts = devno.split('.').map(|part| format!("0x{part}"));
            let address = Element::new("address").attr("type", "ccw").maybe("cssid", parts.next());
            element.push(address.maybe("ssid", parts.next()).maybe("devno", parts.next()));
        }
        if let (Some(port), Some(bus)) = (device.get("port"), device.get("bus").and_then(|b| self.usb_bus(b))) {
            element.push(Element::new("address").attr("type", "usb").attr("bus", bus).attr("port", port));
            device.forget(&["bus", "port"]);
        }
        let place = (device.take("bus"), device.take("addr"), device.take("multifunction"));
        if let Some(address) = self.pci_address(&place.0, &place.1, place.2.as_deref()) {
            element.push(address);
        } else if place.2.is_some() {
            self.note(format!("left out: multifunction of a {} without an address", element.name()));
        } else if let Some(bus) = place.0.filter(|bus| !is_default_bus(bus)) {
            let what = id.clone().unwrap_or_else(|| element.name().to_string());
            self.note(format!("the place of '{what}' on '{bus}' is left to virtc"));
        }
        self.remaining(element, id, device);
    }

    /// Properties that are left become an override, which needs an alias to name the device.
    fn remaining(&mut self, element: &mut Element, id: Option<String>, device: Options) {
        let users = id.as_deref().is_some_and(|id| id.starts_with("ua-"));
        if device.is_empty() && !users {
            return;
        }
        let name = id.unwrap_or_else(|| format!("{}{}", element.name(), self.overrides.len()));
        let alias = match name.strip_prefix("ua-") {
            Some(_) => name,
            None => format!("ua-{}", name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_', "-")),
        };
        element.push(Element::new("alias").attr("name", &alias));
        if device.is_empty() {
            return;
        }
        let mut frontend = Element::new("qemu:frontend");
        for (name, value) in device.into_rest() {
            let (kind, value) = match value.as_str() {
                "on" | "true" => ("bool", "true".to_string()),
                "off" | "false" => ("bool", "false".to_string()),
                number if number.parse::<u64>().is_ok() => ("unsigned", value),
                number if number.parse::<i64>().is_ok() => ("signed", value),
                _ => ("string", value),
            };
            frontend.push(Element::new("qemu:property").attr("name", name).attr("type", kind).attr("value", value));
        }
        self.overrides.push(Element::new("qemu:device").attr("alias", alias).child(frontend));
    }

    /// The index of the USB controller that has a bus.
    fn usb_bus(&self, bus: &str) -> Option<u32> {
        let id = bus.strip_suffix(".0")?;
        self.controllers.get(&("usb", id.to_string())).copied().or((bus == "usb-bus.0").then_some(0))
    }

    /// What virtio devices share, as attributes of `<driver>`.
    fn virtio(&self, driver: &mut Element, device: &mut Options) {
        for (key, name) in [
            ("iommu_platform", "iommu"),
            ("ats", "ats"),
            ("packed", "packed"),
            ("page-per-vq", "page_per_vq"),
            ("ioeventfd", "ioeventfd"),
            ("event_idx", "event_idx"),
        ] {
            if let Some(state) = device.take_on_off(key) {
                driver.set(name, state);
            }
        }
    }

    /// The address of a device on a PCI bus that the domain knows.
    fn pci_address(&self, bus: &Option<String>, addr: &Option<String>, multifunction: Option<&str>) -> Option<Element> {
        let index = match bus {
            Some(bus) => *self.pci.get(bus)?,
            None => 0,
        };
        let (slot, function) = addr.as_deref()?.split_once('.').map_or((addr.as_deref()?, "0"), |(s, f)| (s, f));
        let number = |text: &str| {
            let text = text.strip_prefix("0x").unwrap_or(text);
            u32::from_str_radix(text, 16).ok()
        };
        let mut address = Element::new("address")
            .attr("type", "pci")
            .attr("domain", "0x0000")
            .attr("bus", format!("{index:#04x}"))
            .attr("slot", format!("{:#04x}", number(slot)?))
            .attr("function", format!("{:#x}", number(function)?));
        if let Some("on" | "true") = multifunction {
            address = address.attr("multifunction", "on");
        }
        Some(address)
    }

    /// A name for the guest's view of a disk that nobody else has: `vda`, `sdb`. Some places are fixed by name.
    fn target(&mut self, prefix: &'static str, wanted: Option<usize>) -> String {
        let used = self.targets.entry(prefix).or_default();
        let mut index = wanted.unwrap_or(0);
        let mut name = format!("{prefix}{}", letters(index));
        while used.contains(&name) {
            index += 1;
            name = format!("{prefix}{}", letters(index));
        }
        used.push(name.clone());
        name
    }
}

/// Buses that a device is on unless it says otherwise.
fn is_default_bus(bus: &str) -> bool {
    matches!(bus, "pci.0" | "pcie.0" | "isa.0" | "usb.0" | "usb-bus.0" | "virtio-serial0.0" | "ide.0" | "scsi.0")
}

/// `a` to `z`, `aa` to `zz`, … for 0 and up.
fn letters(mut index: usize) -> String {
    let mut out = Vec::new();
    loop {
        out.push(b'a' + (index % 26) as u8);
        if index < 26 {
            break;
        }
        index = index / 26 - 1;
    }
    out.reverse();
    String::from_utf8(out).unwrap_or_default()
}
