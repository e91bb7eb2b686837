//! Controllers, input, and everything else that hangs on a bus.

use super::Import;
use super::element::Element;
use super::options::Options;

impl Import {
    /// PCI bridges and ports first, because others are on their buses; then the rest.
    pub fn controllers(&mut self) {
        let mut index = 0;
        let mut chassis_names: Vec<(usize, Options, &'static str)> = Vec::new();
        for (place, device) in self.command.find("device", "driver") {
            if let Some(model) = device.get("driver").and_then(pci_controller) {
                chassis_names.push((place, device, model));
            }
        }
        // Every one gets its index before any address is written: a bus may be named before it is made.
        for (_, device, _) in &chassis_names {
            index += 1;
            if let Some(id) = device.get("id") {
                self.pci.insert(id.to_string(), index);
            }
        }
        for (i, (place, mut device, model)) in chassis_names.into_iter().enumerate() {
            self.command.mark(place);
            let port = device.take("driver");
            let mut controller =
                Element::new("controller").attr("type", "pci").attr("index", i + 1).attr("model", model);
            let mut target = Element::new("target");
            for (key, name) in [("chassis", "chassis"), ("chassis_nr", "chassisNr"), ("port", "port")] {
                if let Some(value) = device.take(key) {
                    target.set(name, if name == "port" { hex(&value) } else { value });
                }
            }
            if port.as_deref() == Some("ioh3420") {
                controller.push(Element::new("model").attr("name", "ioh3420"));
            }
            if !target.is_empty() {
                controller.push(target);
            }
            self.frontend(&mut controller, device);
            self.devices.push(controller);
        }
        for (place, mut device) in self.command.find("device", "driver") {
            let Some((kind, model)) = device.get("driver").and_then(controller) else { continue };
            // The companions of an EHCI controller share its index.
            let master = device.get("masterbus").and_then(|bus| self.usb_bus(bus));
            let taken = |d: &&Element| d.name() == "controller" && d.get("type") == Some(kind) && !d.has("master");
            let index = master.unwrap_or_else(|| self.devices.iter().filter(taken).count() as u32);
            self.command.mark(place);
            device.take("driver");
            if let Some(id) = device.get("id") {
                self.controllers.insert((kind, id.to_string()), index);
            }
            if model == "lsilogic" {
                self.narrow_scsi.push(index);
            }
            let mut element = Element::new("controller").attr("type", kind).attr("index", index);
            if !model.is_empty() {
                element.set("model", model);
            }
            let mut driver = Element::new("driver");
            if let Some(thread) = device.take("iothread").and_then(|id| self.iothread(&id)) {
                driver.set("iothread", thread);
            }
            if kind == "scsi" {
                for (key, name) in
                    [("num_queues", "queues"), ("max_sectors", "max_sectors"), ("cmd_per_lun", "cmd_per_lun")]
                {
                    if let Some(value) = device.take(key) {
                        driver.set(name, value);
                    }
                }
            }
            if matches!(kind, "scsi" | "virtio-serial") {
                self.virtio(&mut driver, &mut device);
            }
            if !driver.is_empty() {
                element.push(driver);
            }
            if let Some(ports) = device.take("max_ports").filter(|_| kind == "virtio-serial") {
                element.set("ports", ports);
            }
            if kind == "usb" {
                if let Some(ports) = device.take("p2") {
                    device.take("p3");
                    element.set("ports", ports);
                }
                device.take("masterbus");
                if let Some(start) = device.take("firstport") {
                    element.push(Element::new("master").attr("startport", start));
                }
            }
            self.frontend(&mut element, device);
            self.devices.push(element);
        }
    }

    /// Everything that is left.
    pub fn other_devices(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            let driver = device.get("driver").unwrap_or_default().to_string();
            device.take("driver");
            let element = match driver.as_str() {
                "usb-tablet" | "usb-mouse" | "usb-kbd" => {
                    let kind = match driver.as_str() {
                        "usb-tablet" => "tablet",
                        "usb-mouse" => "mouse",
                        _ => "keyboard",
                    };
                    Some(Element::new("input").attr("type", kind).attr("bus", "usb"))
                }
                "virtio-tablet-pci" | "virtio-mouse-pci" | "virtio-keyboard-pci" => {
                    let kind = driver.trim_start_matches("virtio-").trim_end_matches("-pci").to_string();
                    Some(Element::new("input").attr("type", kind).attr("bus", "virtio"))
                }
                "virtio-balloon" | "virtio-balloon-pci" | "virtio-balloon-device" | "virtio-balloon-ccw" => {
                    let mut balloon = Element::new("memballoon").attr("model", "virtio");
                    for (key, name) in [("deflate-on-oom", "autodeflate"), ("free-page-reporting", "freePageReporting")]
                    {
                        if let Some(state) = device.take_on_off(key) {
                            balloon.set(name, state);
                        }
                    }
                    Some(balloon)
                }
                "virtio-rng" | "virtio-rng-pci" | "virtio-rng-device" | "virtio-rng-ccw" => self.rng(&mut device),
                "i6300esb" | "ib700" | "diag288" => {
                    let action = self.command.take_last("watchdog-action").unwrap_or_else(|| "reset".to_string());
                    Some(Element::new("watchdog").attr("model", &driver).attr("action", action))
                }
                "pvpanic" => {
                    device.forget_default("ioport", "1285");
                    Some(Element::new("panic").attr("model", "isa"))
                }
                "vhost-vsock-pci" => {
                    let cid = Element::new("cid").attr("auto", "no").maybe("address", device.take("guest-cid"));
                    Some(Element::new("vsock").attr("model", "virtio").child(cid))
                }
                "tpm-tis" | "tpm-crb" | "tpm-tis-device" | "tpm-spapr" => self.tpm(&driver, &mut device),
                "virtio-9p-pci" | "virtio-9p" => self.share(&mut device),
                "vhost-user-fs-pci" => self.virtiofs(&mut device),
                "vfio-pci" => pci_host_device(&mut device),
                "usb-host" => usb_host_device(&mut device),
                "intel-iommu" => {
                    let mut driver = Element::new("driver");
                    for (key, name) in [
                        ("intremap", "intremap"),
                        ("caching-mode", "caching_mode"),
                        ("eim", "eim"),
                        ("device-iotlb", "iotlb"),
                    ] {
                        if let Some(state) = device.take_on_off(key) {
                            driver.set(name, state);
                        }
                    }
                    let iommu = Element::new("iommu").attr("model", "intel");
                    Some(if driver.is_empty() { iommu } else { iommu.child(driver) })
                }
                _ => None,
            };
            if let Some(mut element) = element {
                self.command.mark(place);
                self.frontend(&mut element, device);
                self.devices.push(element);
            }
        }
        for (_, value) in self.command.take(&["usbdevice"]) {
            match value.as_str() {
                "tablet" | "mouse" | "keyboard" => {
                    self.devices.push(Element::new("input").attr("type", &value).attr("bus", "usb"));
                }
                _ => self.through("usbdevice", &value),
            }
        }
        for (_, value) in self.command.take(&["watchdog"]) {
            let action = self.command.take_last("watchdog-action").unwrap_or_else(|| "reset".to_string());
            self.devices.push(Element::new("watchdog").attr("model", value).attr("action", action));
        }
        // Without a watchdog the action concerns none, unless the machine brings one.
        if self.command.values("watchdog-action").next() == Some("reset") {
            self.command.take(&["watchdog-action"]);
        }
        for (switch, value) in self.command.take(&["balloon"]) {
            match value.as_str() {
                "none" => {}
                "virtio" => self.devices.push(Element::new("memballoon").attr("model", "virtio")),
                _ => self.through(&switch, &value),
            }
        }
        self.virtfs();
    }

    fn rng(&mut self, device: &mut Options) -> Option<Element> {
        let id = device.take("rng")?;
        let (place, mut object) = self.command.find_by("object", "qom-type", "id", &id)?;
        let backend = match object.take("qom-type")?.as_str() {
            "rng-random" => {
                let path = object.take("filename").unwrap_or_else(|| "/dev/urandom".to_string());
                Element::leaf("backend", path).attr("model", "random")
            }
            "rng-builtin" => Element::new("backend").attr("model", "builtin"),
            _ => return None,
        };
        self.command.mark(place);
        let mut rng = Element::new("rng").attr("model", "virtio");
        let (bytes, period) = (device.take("max-bytes"), device.take("period"));
        if let Some(bytes) = bytes {
            rng.push(Element::new("rate").attr("bytes", bytes).maybe("period", period));
        }
        Some(rng.child(backend))
    }

    fn tpm(&mut self, driver: &str, device: &mut Options) -> Option<Element> {
        let model = match driver {
            "tpm-tis-device" => "tpm-tis",
            other => other,
        };
        let id = device.take("tpmdev")?;
        let (place, mut backend) = self.command.find_by("tpmdev", "type", "id", &id)?;
        let tpm = Element::new("tpm").attr("model", model);
        let out = match backend.take("type")?.as_str() {
            "passthrough" => {
                let path = backend.take("path").unwrap_or_else(|| "/dev/tpm0".to_string());
                let of = Element::new("backend").attr("type", "passthrough");
                tpm.child(of.child(Element::new("device").attr("path", path)))
            }
            "emulator" => {
                let chardev = backend.take("chardev")?;
                let (socket, mut chardev) = self.command.find_by("chardev", "backend", "id", &chardev)?;
                let path = chardev.take("path")?;
                self.command.mark(socket);
                let source = Element::new("source").attr("type", "unix").attr("path", path).attr("mode", "connect");
                // Whoever started swtpm goes on doing so.
                tpm.child(Element::new("backend").attr("type", "external").child(source))
            }
            _ => return None,
        };
        self.command.mark(place);
        Some(out)
    }

    fn share(&mut self, device: &mut Options) -> Option<Element> {
        let id = device.take("fsdev")?;
        let (place, mut backend) = self.command.find_by("fsdev", "driver", "id", &id)?;
        let out = filesystem(&mut backend, device.take("mount_tag")?, &|p| self.path(p))?;
        self.command.mark(place);
        Some(out)
    }

    fn virtfs(&mut self) {
        for (switch, value) in self.command.take(&["virtfs"]) {
            let mut options = Options::parse(&value, "driver");
            let tag = options.take("mount_tag");
            match tag.and_then(|tag| filesystem(&mut options, tag, &|p| self.path(p))) {
                Some(filesystem) => self.devices.push(filesystem),
                None => self.through(&switch, &value),
            }
        }
    }

    fn virtiofs(&mut self, device: &mut Options) -> Option<Element> {
        let chardev = device.take("chardev")?;
        let (place, mut options) = self.command.find_by("chardev", "backend", "id", &chardev)?;
        let socket = options.take("path")?;
        self.command.mark(place);
        let mut driver = Element::new("driver").attr("type", "virtiofs");
        if let Some(size) = device.take("queue-size") {
            driver.set("queue", size);
        }
        let share = Element::new("filesystem").attr("type", "mount").child(driver);
        let share = share.child(Element::new("source").attr("socket", socket));
        Some(share.child(Element::new("target").attr("dir", device.take("tag")?)))
    }
}

/// `<filesystem>` of a 9p export; none if the format cannot express all of it.
fn filesystem(backend: &mut Options, tag: String, absolute: &dyn Fn(&str) -> String) -> Option<Element> {
    if backend.take("driver").as_deref() != Some("local") {
        return None;
    }
    backend.take("id");
    let mode = match backend.take("security_model").as_deref() {
        Some("passthrough") => "passthrough",
        Some("mapped" | "mapped-xattr" | "mapped-file") => "mapped",
        _ => "squash",
    };
    let readonly = backend.take_any(&["readonly", "read-only"]).is_some_and(|v| super::options::is_on(&v));
    let mut out = Element::new("filesystem").attr("type", "mount").attr("accessmode", mode);
    if let Some(policy) = backend.take("writeout") {
        out.push(Element::new("driver").attr("type", "path").attr("wrpolicy", policy));
    }
    if let Some(handling) = backend.take("multidevs") {
        out.set("multidevs", handling);
    }
    out.push(Element::new("source").attr("dir", absolute(&backend.take("path")?)));
    out.push(Element::new("target").attr("dir", tag));
    if readonly {
        out.push(Element::new("readonly"));
    }
    backend.is_empty().then_some(out)
}

fn pci_host_device(device: &mut Options) -> Option<Element> {
    let host = device.take("host")?;
    let mut parts = host.rsplit(':');
    let (slot, function) = parts.next()?.split_once('.')?;
    let (bus, domain) = (parts.next()?, parts.next().unwrap_or("0000"));
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let address = Element::new("address")
        .attr("domain", format!("{:#06x}", hex(domain)?))
        .attr("bus", format!("{:#04x}", hex(bus)?))
        .attr("slot", format!("{:#04x}", hex(slot)?))
        .attr("function", format!("{:#x}", hex(function)?));
    let out = Element::new("hostdev").attr("mode", "subsystem").attr("type", "pci").attr("managed", "yes");
    Some(out.child(Element::new("source").child(address)))
}

fn usb_host_device(device: &mut Options) -> Option<Element> {
    let mut source = Element::new("source");
    match (device.take("vendorid"), device.take("productid")) {
        (Some(vendor), Some(product)) => {
            source.push(Element::new("vendor").attr("id", hex(&vendor)));
            source.push(Element::new("product").attr("id", hex(&product)));
        }
        _ => {
            let (bus, address) = (device.take("hostbus")?, device.take("hostaddr")?);
            source.push(Element::new("address").attr("bus", bus).attr("device", address));
        }
    }
    device.forget(&["bus", "port", "hostdevice"]);
    let out = Element::new("hostdev").attr("mode", "subsystem").attr("type", "usb").attr("managed", "yes");
    Some(out.child(source))
}

/// A number in the notation that the format wants for identities.
fn hex(text: &str) -> String {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    number.map_or_else(|| text.to_string(), |n| format!("{n:#x}"))
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
        _ => return None,
    })
}

/// Type and model of another controller.
fn controller(driver: &str) -> Option<(&'static str, &'static str)> {
    Some(match driver {
        "virtio-scsi" | "virtio-scsi-pci" | "virtio-scsi-device" | "virtio-scsi-ccw" => ("scsi", "virtio-scsi"),
        "lsi" | "lsi53c895a" => ("scsi", "lsilogic"),
        "megasas" => ("scsi", "lsisas1078"),
        "mptsas1068" => ("scsi", "lsisas1068"),
        "pvscsi" => ("scsi", "vmpvscsi"),
        "piix3-usb-uhci" => ("usb", "piix3-uhci"),
        "piix4-usb-uhci" => ("usb", "piix4-uhci"),
        "usb-ehci" => ("usb", "ehci"),
        "ich9-usb-ehci1" => ("usb", "ich9-ehci1"),
        "ich9-usb-uhci1" => ("usb", "ich9-uhci1"),
        "ich9-usb-uhci2" => ("usb", "ich9-uhci2"),
        "ich9-usb-uhci3" => ("usb", "ich9-uhci3"),
        "pci-ohci" => ("usb", "pci-ohci"),
        "nec-usb-xhci" => ("usb", "nec-xhci"),
        "qemu-xhci" => ("usb", "qemu-xhci"),
        "virtio-serial" | "virtio-serial-pci" | "virtio-serial-device" | "virtio-serial-ccw" => ("virtio-serial", ""),
        "ahci" | "ich9-ahci" => ("sata", ""),
        _ => return None,
    })
}
