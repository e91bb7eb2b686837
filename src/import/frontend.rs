//! What all devices share: boot order, address, and properties that the format has no word for.

use super::Import;
use super::element::Element;
use super::options::{self, Options};
use crate::stage::mapping::Mapping;

impl Import {
    /// Boot indexes begin with 1 in the format, and with 0 in QEMU.
    pub fn count_boot_indexes(&mut self) {
        let indexes: Vec<i64> = self
            .command
            .values("device")
            .filter_map(|value| Options::parse(value, "driver").get("bootindex")?.parse().ok())
            .collect();
        let floppy = |value: &str| value.contains("isa-fdc.bootindex");
        let mut floppies = false;
        for (place, mut controller) in self.command.find("device", "driver") {
            if controller.get("driver") != Some("isa-fdc") {
                continue;
            }
            // A machine with floppy drives has it.
            let drives =
                self.command.values("device").any(|d| Options::parse(d, "driver").get("driver") == Some("floppy"));
            for (drive, key) in ["bootindexA", "bootindexB"].iter().enumerate() {
                if let Some(index) = controller.take_if(key, |i| i.parse::<i64>().ok()) {
                    self.floppy_boot[drive] = Some(index);
                    floppies = true;
                }
            }
            controller.take("driver");
            controller.take("id");
            if drives && controller.is_empty() {
                self.command.mark(place);
            }
        }
        self.boot_order = !indexes.is_empty() || floppies || self.command.values("global").any(floppy);
        self.boot_offset = indexes.iter().min().map_or(0, |least| (1 - least).max(0));
    }

    /// Adds to an element what the rest of its device says. `driver` is QEMU's name of it.
    pub fn frontend(&mut self, element: &mut Element, driver: &str, mut device: Options) {
        let id = device.take("id");
        virtio_version(element, driver, &mut device);
        if let Some(index) = device.take_if("bootindex", |i| i.parse::<i64>().ok()) {
            let boot = Element::new("boot").attr("order", index + self.boot_offset);
            element.push(boot.maybe("loadparm", device.take("loadparm")));
        }
        self.rom(element, &mut device);
        for (key, name) in [("acpi-index", "index")] {
            if let Some(value) = device.take_number(key) {
                element.push(Element::new("acpi").attr(name, value));
            }
        }
        if !element.has("address") {
            self.address(element, driver, id.as_deref(), &mut device);
        }
        self.remaining(element, id, device);
    }

    fn rom(&mut self, element: &mut Element, device: &mut Options) {
        if !matches!(element.name(), "interface" | "hostdev") {
            return;
        }
        if let Some(bar) = device.take_on_off("rombar") {
            element.inside("rom").set("bar", bar);
        } else if let Some(bar) = device.take_if("rombar", |v| matches!(v, "0" | "1").then(|| v == "1")) {
            element.inside("rom").set("bar", if bar { "on" } else { "off" });
        }
        match device.take("romfile") {
            Some(file) if file.is_empty() => element.inside("rom").set("enabled", "no"),
            Some(file) => {
                // A bare name is one of those that come with QEMU.
                let file = if file.contains('/') { self.path(&file) } else { format!("/usr/share/qemu/{file}") };
                element.inside("rom").set("file", file);
            }
            None => {}
        }
    }

    pub fn address(&mut self, element: &mut Element, driver: &str, id: Option<&str>, device: &mut Options) {
        if let Some(devno) = device.take("devno") {
            let mut parts = devno.split('.').map(|part| format!("0x{part}"));
            let address = Element::new("address").attr("type", "ccw").maybe("cssid", parts.next());
            element.push(address.maybe("ssid", parts.next()).maybe("devno", parts.next()));
            return;
        }
        if let (Some(port), Some(bus)) = (device.get("port"), device.get("bus").and_then(|b| self.usb_bus(b))) {
            element.push(Element::new("address").attr("type", "usb").attr("bus", bus).attr("port", port));
            device.take("bus");
            device.take("port");
            return;
        }
        if driver.starts_with("virtio-") && driver.ends_with("-device") {
            element.push(Element::new("address").attr("type", "virtio-mmio"));
        }
        for (key, kind) in [("iobase", "isa"), ("reg", "spapr-vio")] {
            if let Some(value) = device.take_number(key) {
                let name = if kind == "isa" { "iobase" } else { "reg" };
                let irq = device.take_number("irq").filter(|_| kind == "isa").map(|irq| format!("{irq:#x}"));
                element.push(
                    Element::new("address").attr("type", kind).attr(name, format!("{value:#x}")).maybe("irq", irq),
                );
            }
        }
        if let Some(bus) = device.get("bus").and_then(|b| self.usb_bus(b)).filter(|_| driver.starts_with("usb-")) {
            // The first free port of that controller.
            element.push(Element::new("address").attr("type", "usb").attr("bus", bus));
            device.take("bus");
            return;
        }
        let place = (device.take("bus"), device.take("addr"), device.take("multifunction"));
        if let Some(mut address) = self.pci_address(&place.0, &place.1, place.2.as_deref()) {
            if let Some((uid, fid)) = id.and_then(|id| self.zpci.get(id)) {
                let number = |text: &str| options::number(text).unwrap_or(0);
                address.push(
                    Element::new("zpci")
                        .attr("uid", format!("{:#06x}", number(uid)))
                        .attr("fid", format!("{:#010x}", number(fid))),
                );
            }
            element.push(address);
            return;
        }
        let on_root = place.0.as_deref().is_none_or(|bus| self.pci.get(bus) == Some(&0));
        if let Some(made) = device.made.filter(|_| on_root && place.1.is_none() && self.takes_a_slot(element, driver))
            && let Some(mut address) = self.open_place(made)
        {
            if place.2.as_deref().is_some_and(options::is_on) {
                address.set("multifunction", "on");
            }
            element.push(address);
            return;
        }
        let what = id.map_or_else(|| driver.to_string(), str::to_string);
        if let Some(bus) = place.0.as_deref().filter(|b| place.1.is_none() && self.pci.get(*b).is_some_and(|i| *i > 0))
        {
            // A port has one slot; a bridge gives the first that is free.
            if let Some(address) =
                self.pci_address(&Some(bus.to_string()), &Some("0x0".to_string()), None).filter(|_| self.is_port(bus))
            {
                element.push(address);
                return;
            }
        }
        if let Some(state) = place.2.filter(|state| options::is_on(state)) {
            self.changed(device.span, format!("multifunction={state} of {what} is left to virtc, as its address is"));
        }
        if let Some(bus) = place.0.filter(|bus| !is_default_bus(bus)) {
            self.changed(device.span, format!("the place of {what} on bus={bus} is left to virtc"));
        }
        if let Some(addr) = place.1 {
            self.changed(device.span, format!("addr={addr} of {what} is left to virtc"));
        }
    }

    /// Whether a device is one that the format lets stand on the first PCI bus.
    fn takes_a_slot(&self, element: &Element, driver: &str) -> bool {
        let elsewhere = match element.get("model") {
            Some("pci-bridge") => self.express,
            Some("pcie-to-pci-bridge" | "pcie-switch-upstream-port" | "pcie-switch-downstream-port") => true,
            _ => false,
        };
        super::is_pci(driver) && !elsewhere
    }

    fn is_port(&self, bus: &str) -> bool {
        let index = self.pci.get(bus).map(u32::to_string);
        self.devices.iter().any(|d| {
            d.get("type") == Some("pci")
                && d.get("index").map(str::to_string) == index
                && d.get("model").is_some_and(|m| m.ends_with("port"))
        })
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
        for (name, value, _) in device.into_rest() {
            let (kind, value) = match value.as_str() {
                "on" | "off" if is_on_off_auto(&name) => ("string", value),
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
    pub fn usb_bus(&self, bus: &str) -> Option<u32> {
        let id = bus.strip_suffix(".0")?;
        self.controllers.get(&("usb", id.to_string())).copied().or((bus == "usb-bus.0").then_some(0))
    }

    /// What virtio devices share, as attributes of `<driver>`.
    pub fn virtio(&self, driver: &mut Element, device: &mut Options) {
        mapped(crate::stage::virtio::OPTIONS, driver, device);
    }

    /// The same for a device that has nothing else in its `<driver>`.
    pub fn virtio_driver(&self, element: &mut Element, device: &mut Options) {
        let mut driver = Element::new("driver");
        self.virtio(&mut driver, device);
        if !driver.is_empty() {
            element.push(driver);
        }
    }

    /// The address of a device on a PCI bus that the domain knows.
    pub fn pci_address(
        &self,
        bus: &Option<String>,
        addr: &Option<String>,
        multifunction: Option<&str>,
    ) -> Option<Element> {
        let index = match bus {
            Some(bus) => *self.pci.get(bus)?,
            None => 0,
        };
        let addr = addr.as_deref()?;
        let (slot, function) = addr.split_once('.').unwrap_or((addr, "0"));
        let number = |text: &str| {
            let text = text.strip_prefix("0x").unwrap_or(text);
            u32::from_str_radix(text, 16).ok()
        };
        let address = Element::new("address")
            .attr("type", "pci")
            .attr("domain", "0x0000")
            .attr("bus", format!("{index:#04x}"))
            .attr("slot", format!("{:#04x}", number(slot)?))
            .attr("function", format!("{:#x}", number(function)?));
        Some(match multifunction.map(options::is_on) {
            Some(true) => address.attr("multifunction", "on"),
            Some(false) => address.attr("multifunction", "off"),
            None => address,
        })
    }
}

/// Devices of which there is a kind that knows no version of virtio before 1.0 (QEMU, `virtio_pci_types_register`).
const OF_A_VERSION: &[&str] = &[
    "virtio-blk",
    "virtio-net",
    "virtio-rng",
    "virtio-balloon",
    "virtio-9p",
    "virtio-scsi",
    "virtio-serial",
    "virtio-input-host",
    "vhost-vsock",
];

/// `disable-legacy=on`: the format says it with the model.
fn virtio_version(element: &mut Element, driver: &str, device: &mut Options) {
    let name = super::controllers::bare(driver);
    let plain = driver == name || driver.strip_suffix("-pci") == Some(name);
    let modern = device.get("disable-legacy").is_some_and(options::is_on)
        && device.get("disable-modern").is_none_or(|v| options::switch(v) == Some(false));
    if !plain || !modern || !OF_A_VERSION.contains(&name) {
        return;
    }
    device.take("disable-legacy");
    device.take("disable-modern");
    let word = "virtio-non-transitional";
    match element.name() {
        "interface" => element.inside("model").set("type", word),
        _ => element.set("model", word),
    }
}

/// Properties that have a third state, and so are words where others are switches (`device-list-properties` of QEMU 7.2 to 11.1).
const ON_OFF_AUTO: &[&str] = &[
    "account-failed",
    "account-invalid",
    "backend_defaults",
    "cmdqv",
    "disable-legacy",
    "eim",
    "enable-migration",
    "hash-ipv4",
    "hash-ipv6",
    "hash-ipv6ex",
    "hash-tcp4",
    "hash-tcp6",
    "hash-tcp6ex",
    "hash-udp4",
    "hash-udp6",
    "hash-udp6ex",
    "intremap",
    "msi",
    "msix",
    "ril",
    "seqpacket",
    "unplugged-inaccessible",
    "write-cache",
    "x-device-dirty-page-tracking",
    "x-igd-legacy-mode",
    "x-migration-load-config-after-iter",
    "x-migration-multifd-transfer",
    "x-pre-copy-dirty-page-tracking",
    "x-ramfb-migrate",
];

/// Whether a property has a third state.
pub fn is_on_off_auto(name: &str) -> bool {
    ON_OFF_AUTO.contains(&name)
}

/// Makes attributes of the properties that a table knows. What cannot be said stays.
pub fn mapped<M>(table: &[Mapping<M>], element: &mut Element, options: &mut Options) {
    for row in table {
        if let Some(word) = options.take_if(row.property, |value| row.kind.word(value)) {
            element.set(row.attribute, word);
        }
    }
}

/// Buses that a device is on unless it says otherwise.
fn is_default_bus(bus: &str) -> bool {
    matches!(bus, "pci.0" | "pcie.0" | "isa.0" | "usb.0" | "usb-bus.0" | "virtio-serial0.0" | "ide.0" | "scsi.0")
}
