//! Everything that is no controller, disk, interface, port or display.

use super::Import;
use super::controllers::{bare, variant};
use super::element::Element;
use super::options::Options;
use super::places::Made;
use crate::bind::Model;

/// Switches of QEMU, each with the attribute that it is.
type Switches = &'static [(&'static str, &'static str)];

macro_rules! imported {
    (@ ($driver:literal $($property:literal $attribute:literal),*), $given:ident, $model:ty) => {
        if $given == $driver {
            return Some((<$model as Model>::ELEMENT, &[$(($property, $attribute)),*]));
        }
    };
    (@ (own), $given:ident, $model:ty) => {};
    (@ (never), $given:ident, $model:ty) => {};
    ($($field:ident: $module:ident::$model:ident {
        lower: $lower:tt, id: $id:tt, plug: $plug:tt, lock: $lock:tt, import: $import:tt
    })*) => {
        /// The element of a device from which no more than switches has to be read: the column `import` of the table of
        /// families. `driver` is without transport and variant.
        fn plain(driver: &str) -> Option<(&'static str, Switches)> {
            $(imported!(@ $import, driver, crate::device::$module::$model);)*
            None
        }
    };
}
crate::device::families!(imported);

impl Import {
    /// Everything that is left.
    pub fn other_devices(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            let driver = device.get("driver").unwrap_or_default().to_string();
            device.take("driver");
            if self.on_foreign_bus(&device) {
                continue;
            }
            let Some(mut element) = self.other_device(&driver, &mut device) else { continue };
            self.command.mark(place);
            self.frontend(&mut element, &driver, device);
            self.devices.push(element);
        }
        self.inputs();
        for argument in self.command.take(&["usbdevice"]) {
            let value = argument.value.clone().unwrap_or_default();
            match value.as_str() {
                "tablet" | "mouse" | "keyboard" if self.takes_usb() => {
                    self.devices.push(Element::new("input").attr("type", &value).attr("bus", "usb"));
                }
                _ => match value.strip_prefix("host:").and_then(host_usb) {
                    Some(mut device) if self.takes_usb() => {
                        let element = self.host_device("usb-host", &mut device);
                        self.devices.extend(element);
                    }
                    _ => self.through(&argument),
                },
            }
        }
        for argument in self.command.take(&["watchdog"]) {
            let action = self.watchdog_action();
            let model = argument.value.clone().unwrap_or_default();
            let mut watchdog = Element::new("watchdog").attr("model", &model).attr("action", action);
            self.frontend(&mut watchdog, &model, Options::at(argument.span).made(Made::Device(argument.place)));
            self.devices.push(watchdog);
        }
        if self.itco {
            let action = self.watchdog_action();
            self.devices.push(Element::new("watchdog").attr("model", "itco").attr("action", action));
        }
        self.action_without_watchdog();
        for argument in self.command.take(&["balloon"]) {
            match argument.value.as_deref() {
                Some("none") => {}
                Some("virtio") => self.devices.push(Element::new("memballoon").attr("model", "virtio")),
                _ => self.through(&argument),
            }
        }
        self.shares();
    }

    fn other_device(&mut self, driver: &str, device: &mut Options) -> Option<Element> {
        let model = variant(driver).unwrap_or("virtio");
        if let Some(element) = self.host_device(driver, device) {
            return Some(element);
        }
        if let Some((element, switches)) = plain(bare(driver)) {
            return Some(self.with_switches(Element::new(element).attr("model", model), switches, device));
        }
        let element = match bare(driver) {
            "virtio-rng" => self.rng(model, device)?,
            "vhost-vsock" => {
                // A descriptor is opened anew.
                device.take("vhostfd");
                let cid = Element::new("cid").attr("auto", "no").maybe("address", device.take("guest-cid"));
                let mut vsock = Element::new("vsock").attr("model", model).child(cid);
                self.virtio_driver(&mut vsock, device);
                vsock
            }
            "virtio-9p" => self.share(model, device)?,
            "vhost-user-fs" => self.virtiofs(device)?,
            "virtio-crypto" => self.crypto(device)?,
            "virtio-iommu" => Element::new("iommu").attr("model", "virtio"),
            "virtio-tablet" | "virtio-mouse" | "virtio-keyboard" | "virtio-input-host" => {
                self.virtio_input(driver, device)
            }
            _ if driver.starts_with("usb-") && !self.takes_usb() => return None,
            _ => match driver {
                "usb-tablet" => Element::new("input").attr("type", "tablet").attr("bus", "usb"),
                "usb-mouse" => Element::new("input").attr("type", "mouse").attr("bus", "usb"),
                "usb-kbd" => Element::new("input").attr("type", "keyboard").attr("bus", "usb"),
                "usb-hub" => Element::new("hub").attr("type", "usb"),
                "i6300esb" | "ib700" | "diag288" => {
                    Element::new("watchdog").attr("model", driver).attr("action", self.watchdog_action())
                }
                "pvpanic" => {
                    if let Some(port) = device.take_number("ioport") {
                        let address = Element::new("address").attr("type", "isa").attr("iobase", format!("{port:#x}"));
                        return Some(Element::new("panic").attr("model", "isa").child(address));
                    }
                    Element::new("panic").attr("model", "isa")
                }
                "pvpanic-pci" => Element::new("panic").attr("model", "pvpanic"),
                "tpm-tis" | "tpm-crb" | "tpm-tis-device" | "tpm-spapr" => self.tpm(driver, device)?,
                "intel-iommu" => intel_iommu(device),
                "ivshmem-plain" | "ivshmem-doorbell" => self.shared_memory(driver, device)?,
                "ccid-card-emulated" | "ccid-card-passthru" => self.smartcard(driver, device)?,
                "acpi-erst" => self.pstore(device)?,
                "spapr-tpm-proxy" => {
                    let path = Element::new("device").attr("path", device.take("host-path")?);
                    let backend = Element::new("backend").attr("type", "passthrough").child(path);
                    Element::new("tpm").attr("model", "spapr-tpm-proxy").child(backend)
                }
                "usb-mtp" => self.mtp(device)?,
                _ => return None,
            },
        };
        Some(element)
    }

    /// What a watchdog does.
    pub fn watchdog_action(&mut self) -> String {
        self.last("watchdog-action").and_then(|a| a.value).unwrap_or_else(|| {
            let before = self.devices.iter().find(|d| d.name() == "watchdog").and_then(|d| d.get("action"));
            before.unwrap_or("reset").to_string()
        })
    }

    /// Without a watchdog the action concerns none, unless the machine brings one.
    fn action_without_watchdog(&mut self) {
        if self.devices.iter().any(|d| d.name() == "watchdog")
            || self.command.values("watchdog-action").next() == Some("reset")
        {
            self.last("watchdog-action");
        }
    }

    /// Reads what a device has besides what all virtio devices have: switches, each an attribute.
    fn with_switches(&mut self, mut element: Element, switches: Switches, device: &mut Options) -> Element {
        for (property, attribute) in switches {
            if let Some(state) = device.take_on_off(property) {
                element.set(*attribute, state);
            }
        }
        self.virtio_driver(&mut element, device);
        element
    }

    fn rng(&mut self, model: &str, device: &mut Options) -> Option<Element> {
        let mut rng = Element::new("rng").attr("model", model);
        let backend = match device.get("rng").map(str::to_string) {
            // QEMU draws from its own source unless it is given another.
            None => Element::new("backend").attr("model", "builtin"),
            Some(id) => {
                let (place, mut object) = self.command.find_by("object", "qom-type", "id", &id)?;
                let backend = match object.take("qom-type")?.as_str() {
                    "rng-random" => {
                        let path = object.take("filename").unwrap_or_else(|| "/dev/urandom".to_string());
                        Element::leaf("backend", path).attr("model", "random")
                    }
                    "rng-builtin" => Element::new("backend").attr("model", "builtin"),
                    "rng-egd" => {
                        let chardev = object.take("chardev")?;
                        self.chardev(&chardev, "backend")?.attr("model", "egd")
                    }
                    _ => return None,
                };
                object.take("id");
                self.command.mark(place);
                self.leave("the source of random numbers", object);
                backend
            }
        };
        device.take("rng");
        let (bytes, period) = (device.take("max-bytes"), device.take("period"));
        if let Some(bytes) = bytes {
            rng.push(Element::new("rate").attr("bytes", bytes).maybe("period", period));
        }
        rng.push(backend);
        self.virtio_driver(&mut rng, device);
        Some(rng)
    }

    fn crypto(&mut self, device: &mut Options) -> Option<Element> {
        let id = device.get("cryptodev")?.to_string();
        let (place, mut object) = self.command.find_by("object", "qom-type", "id", &id)?;
        let model = object.take("qom-type")?.strip_prefix("cryptodev-backend-")?.to_string();
        object.take("id");
        let backend = Element::new("backend").attr("model", model).maybe("queues", object.take("queues"));
        self.command.mark(place);
        device.take("cryptodev");
        self.leave("the crypto device", object);
        let mut out = Element::new("crypto").attr("model", "virtio").attr("type", "qemu").child(backend);
        self.virtio_driver(&mut out, device);
        Some(out)
    }

    fn virtio_input(&mut self, driver: &str, device: &mut Options) -> Element {
        let kind = bare(driver).trim_start_matches("virtio-");
        let kind = if kind == "input-host" { "passthrough" } else { kind };
        let mut input = Element::new("input").attr("type", kind).attr("bus", "virtio").maybe("model", variant(driver));
        self.virtio_driver(&mut input, device);
        if let Some(path) = device.take("evdev") {
            input.push(Element::new("source").attr("evdev", path));
        }
        input
    }

    /// `-object input-linux`: a device of the host.
    fn inputs(&mut self) {
        for (place, mut object) in self.command.find("object", "qom-type") {
            if object.get("qom-type") != Some("input-linux") {
                continue;
            }
            let Some(path) = object.take("evdev") else { continue };
            self.command.mark(place);
            object.take("qom-type");
            let id = object.take("id");
            let mut source = Element::new("source").attr("dev", path);
            if object.take_switch("grab_all") == Some(true) {
                source.set("grab", "all");
            }
            if let Some(toggle) = object.take("grab-toggle") {
                source.set("grabToggle", toggle);
            }
            if let Some(repeat) = object.take_on_off("repeat") {
                source.set("repeat", repeat);
            }
            let mut input = Element::new("input").attr("type", "evdev").child(source);
            if let Some(alias) = id.filter(|id| id.starts_with("ua-")) {
                input.push(Element::new("alias").attr("name", alias));
            }
            self.devices.push(input);
            self.leave("the input device", object);
        }
    }

    fn shared_memory(&mut self, driver: &str, device: &mut Options) -> Option<Element> {
        let mut out = Element::new("shmem");
        let model = Element::new("model").attr("type", driver);
        if driver == "ivshmem-plain" {
            let id = device.get("memdev")?.to_string();
            let (_, object) = self.command.find_by("object", "qom-type", "id", &id)?;
            // The format names a file in /dev/shm, and counts in MiB.
            let name = object.get("mem-path")?.strip_prefix("/dev/shm/")?.to_string();
            let kib = super::memory::kib(object.get("size")?, 1)?;
            if name.contains('/') || !kib.is_multiple_of(1024) || object.get("share") == Some("off") {
                return None;
            }
            self.memory_backend(&id);
            device.take("memdev");
            out.set("name", name);
            out.push(model);
            out.push(Element::leaf("size", kib / 1024).attr("unit", "M"));
        } else {
            let id = device.get("chardev")?.to_string();
            let (place, mut chardev) = self.command.find_by("chardev", "backend", "id", &id)?;
            let path = chardev.take("path")?;
            self.command.mark(place);
            device.take("chardev");
            let name =
                path.rsplit('/').next().unwrap_or("shmem").trim_start_matches("ivshmem-").trim_end_matches("-sock");
            out.set("name", name);
            out.push(model);
            out.push(Element::new("server").attr("path", self.path(&path)));
            let mut msi = Element::new("msi").maybe("vectors", device.take("vectors"));
            if let Some(state) = device.take_on_off("ioeventfd") {
                msi.set("ioeventfd", state);
            }
            out.push(msi);
        }
        match device.take_switch("master") {
            Some(true) => out.set("role", "master"),
            Some(false) => out.set("role", "peer"),
            None => {}
        }
        Some(out)
    }

    fn smartcard(&mut self, driver: &str, device: &mut Options) -> Option<Element> {
        if driver == "ccid-card-passthru" {
            let id = device.get("chardev")?.to_string();
            let card = self.chardev(&id, "smartcard")?;
            device.take("chardev");
            self.ccid_address(device);
            return Some(card.attr("mode", "passthrough"));
        }
        let certificates: Vec<String> = (1..=3).filter_map(|i| device.take(&format!("cert{i}"))).collect();
        let out = match device.take("backend").as_deref() {
            Some("nss-emulated") | None => Element::new("smartcard").attr("mode", "host"),
            Some(_) => {
                let mut card = Element::new("smartcard").attr("mode", "host-certificates");
                card.push_all(certificates.into_iter().map(|c| Element::leaf("certificate", c)));
                card.push_all(device.take("db").map(|db| Element::leaf("database", db)));
                card
            }
        };
        self.ccid_address(device);
        Some(out)
    }

    /// The one slot of the reader.
    fn ccid_address(&mut self, device: &mut Options) {
        if device.get("bus").is_some_and(|bus| bus.starts_with("ccid")) {
            device.take("bus");
        }
    }

    fn pstore(&mut self, device: &mut Options) -> Option<Element> {
        let backend = self.memory_backend(device.get("memdev")?)?;
        device.take("memdev");
        let mut out = Element::new("pstore").attr("backend", "acpi-erst");
        out.push(Element::leaf("path", backend.path?));
        out.push(Element::leaf("size", backend.kib?).attr("unit", "KiB"));
        Some(out)
    }

    fn tpm(&mut self, driver: &str, device: &mut Options) -> Option<Element> {
        let model = if driver == "tpm-tis-device" { "tpm-tis" } else { driver };
        let id = device.get("tpmdev")?.to_string();
        let (place, mut backend) = self.command.find_by("tpmdev", "type", "id", &id)?;
        let tpm = Element::new("tpm").attr("model", model);
        let out = match backend.take("type")?.as_str() {
            "passthrough" => {
                // QEMU's own default.
                let path = backend.take("path").unwrap_or_else(|| "/dev/tpm0".to_string());
                let path = self.node_of_set(path, "/dev/tpm0", backend.span);
                // It follows from the node.
                let name = path.rsplit('/').next().unwrap_or_default();
                let cancel = format!("/sys/class/tpm/{name}/device/cancel");
                if backend.get("cancel-path").is_some_and(|c| c.starts_with("/dev/fdset/")) {
                    backend.take("cancel-path");
                }
                backend.same("cancel-path", &[&cancel, &cancel.replace("/device", "")]);
                let of = Element::new("backend").attr("type", "passthrough");
                tpm.child(of.child(Element::new("device").attr("path", path)))
            }
            "emulator" => {
                let chardev = backend.take("chardev")?;
                let (socket, mut chardev) = self.command.find_by("chardev", "backend", "id", &chardev)?;
                let path = chardev.take("path")?;
                self.command.mark(socket);
                if path.contains("/libvirt/qemu/swtpm/") || path.contains("/virtc/") {
                    // The emulator was started for this guest, and is started for it again.
                    tpm.child(Element::new("backend").attr("type", "emulator"))
                } else {
                    // Whoever started swtpm goes on doing so.
                    let source = Element::new("source")
                        .attr("type", "unix")
                        .attr("path", self.path(&path))
                        .attr("mode", "connect");
                    tpm.child(Element::new("backend").attr("type", "external").child(source))
                }
            }
            _ => return None,
        };
        device.take("tpmdev");
        backend.take("id");
        self.leave("the TPM", backend);
        self.command.mark(place);
        Some(out)
    }

    fn share(&mut self, model: &str, device: &mut Options) -> Option<Element> {
        let id = device.get("fsdev")?.to_string();
        let (place, mut backend) = self.command.find_by("fsdev", "fsdriver", "id", &id)?;
        let mut out = filesystem(&mut backend, device.get("mount_tag")?.to_string(), &|p| self.path(p))?;
        device.take("fsdev");
        device.take("mount_tag");
        if model != "virtio" {
            out.set("model", model);
        }
        let mut driver = Element::new("driver");
        self.virtio(&mut driver, device);
        if !driver.is_empty() {
            let existing = out.inside("driver");
            existing.absorb(driver);
            if existing.get("type").is_none() {
                existing.set("type", "path");
            }
        }
        self.command.mark(place);
        self.leave("the shared folder", backend);
        Some(out)
    }

    fn shares(&mut self) {
        for argument in self.command.take(&["virtfs"]) {
            let mut options = argument.options("fsdriver");
            let tag = options.take("mount_tag");
            match tag.and_then(|tag| filesystem(&mut options, tag, &|p| self.path(p))) {
                Some(mut filesystem) => {
                    let place = Options::at(argument.span).made(Made::Device(argument.place));
                    self.frontend(&mut filesystem, "virtio-9p-pci", place);
                    self.devices.push(filesystem);
                    self.leave("the shared folder", options);
                }
                None => self.through(&argument),
            }
        }
    }

    /// A folder over USB, as cameras and telephones show theirs.
    fn mtp(&mut self, device: &mut Options) -> Option<Element> {
        let dir = self.path(device.get("rootdir")?);
        device.take("rootdir");
        let mut out = Element::new("filesystem").attr("type", "mount").attr("accessmode", "passthrough");
        out.push(Element::new("driver").attr("type", "mtp"));
        out.push(Element::new("source").attr("dir", dir));
        out.push(Element::new("target").attr("dir", device.take("desc").unwrap_or_else(|| "mtp".to_string())));
        if device.take_switch("readonly") == Some(true) {
            out.push(Element::new("readonly"));
        }
        Some(out)
    }

    fn virtiofs(&mut self, device: &mut Options) -> Option<Element> {
        let chardev = device.get("chardev")?.to_string();
        let (place, mut options) = self.command.find_by("chardev", "backend", "id", &chardev)?;
        let socket = options.take("path")?;
        self.command.mark(place);
        device.take("chardev");
        let mut driver = Element::new("driver").attr("type", "virtiofs");
        if let Some(size) = device.take("queue-size") {
            driver.set("queue", size);
        }
        self.virtio(&mut driver, device);
        let share = Element::new("filesystem").attr("type", "mount").child(driver);
        let share = share.child(Element::new("source").attr("socket", self.path(&socket)));
        Some(share.child(Element::new("target").attr("dir", device.take("tag")?)))
    }
}

/// The options of `usb-host` for what stands behind `-usbdevice host:`: `vendor:product`, or `bus.address`.
fn host_usb(text: &str) -> Option<Options> {
    let (keys, (first, second)) = match text.split_once(':') {
        Some((vendor, product)) => (["vendorid", "productid"], (format!("0x{vendor}"), format!("0x{product}"))),
        None => (["hostbus", "hostaddr"], text.split_once('.').map(|(b, a)| (b.to_string(), a.to_string()))?),
    };
    Some(Options::at(crate::diag::Span::NONE).with(keys[0], first).with(keys[1], second))
}

/// `<filesystem>` of a 9p export; none if it is of a kind that the format does not know.
fn filesystem(backend: &mut Options, tag: String, absolute: &dyn Fn(&str) -> String) -> Option<Element> {
    let driver = backend.get("fsdriver").or_else(|| backend.get("driver")).unwrap_or_default().to_string();
    if !matches!(driver.as_str(), "local" | "handle") {
        return None;
    }
    backend.take_any(&["fsdriver", "driver"]);
    backend.take("id");
    let mode = match backend.take("security_model").as_deref() {
        _ if driver == "handle" => "passthrough",
        Some("passthrough") => "passthrough",
        Some("mapped" | "mapped-xattr" | "mapped-file") => "mapped",
        _ => "squash",
    };
    let readonly = backend.take_any(&["readonly", "read-only"]).is_some_and(|v| super::options::is_on(&v));
    let mut out = Element::new("filesystem").attr("type", "mount").attr("accessmode", mode);
    for (key, name) in [("fmode", "fmode"), ("dmode", "dmode")] {
        if let Some(value) = backend.take(key) {
            out.set(name, value);
        }
    }
    let kind = if driver == "handle" { "handle" } else { "path" };
    let policy = backend.take("writeout");
    if policy.is_some() || kind == "handle" {
        out.push(Element::new("driver").attr("type", kind).maybe("wrpolicy", policy));
    }
    if let Some(handling) = backend.take("multidevs") {
        out.set("multidevs", handling);
    }
    out.push(Element::new("source").attr("dir", absolute(&backend.take("path")?)));
    out.push(Element::new("target").attr("dir", tag));
    if readonly {
        out.push(Element::new("readonly"));
    }
    Some(out)
}

fn intel_iommu(device: &mut Options) -> Element {
    let mut driver = Element::new("driver");
    super::frontend::mapped(crate::device::iommu::mapping::INTEL, &mut driver, device);
    let iommu = Element::new("iommu").attr("model", "intel");
    if driver.is_empty() { iommu } else { iommu.child(driver) }
}
