//! Disks: `-drive`, `-blockdev`, `-hda`, `-cdrom` and their devices; firmware in flash.

mod flash;
mod limits;
mod medium;
mod protocols;

use super::Import;
use super::element::Element;
use super::options::Options;
use super::places::Made;
use crate::diag::Span;
use medium::{Medium, cache_mode};

/// A device that shows a disk to the guest.
struct Bay {
    device: &'static str,
    bus: &'static str,
    prefix: &'static str,
}

/// Where a disk is.
struct Place {
    /// Its number among the disks of the bus, if that is said.
    number: Option<usize>,
    /// `<address type='drive'>`, if that is said.
    address: Option<Element>,
    /// Whether an IDE device is one of AHCI, which the format calls SATA.
    on_ahci: bool,
}

impl Import {
    /// All disks.
    pub fn disks(&mut self) {
        self.nvme_controllers();
        for (place, mut device) in self.command.find("device", "driver") {
            let Some(bay) = device.get("driver").and_then(bay) else { continue };
            let foreign = device.get("subsys").is_some() || device.get("pmrdev").is_some();
            if self.on_foreign_bus(&device) || foreign {
                continue;
            }
            let medium = match device.get("drive").map(str::to_string) {
                None => None,
                Some(drive) => match self.medium(&drive) {
                    Some(medium) => Some(medium),
                    // A node that the format cannot express stays with its device.
                    None => continue,
                },
            };
            let driver = device.take("driver").unwrap_or_default();
            device.take("drive");
            self.command.mark(place);
            if driver == "nvme" {
                // The one namespace of a controller that has its disk with it.
                let id = self.nvme_controller(device);
                device = Options::at(Span::NONE).with("bus", id).with("nsid", "1");
            }
            self.disk_at(bay, medium, &driver, device, None);
        }
        for (place, mut drive) in self.command.find("drive", "") {
            let interface = drive.get("if").map_or_else(|| self.default_interface().to_string(), str::to_string);
            let cdrom = drive.get("media") == Some("cdrom");
            let Some(bay) = interface_bay(&interface, cdrom) else { continue };
            drive.take("if");
            let numbers = ["index", "bus", "unit"].map(|key| drive.take_number(key).map(|n| n as usize));
            drive.take("id");
            let mut device = Options::at(drive.span).made(drive.made);
            for key in ["serial", "werror", "rerror"] {
                if let Some(value) = drive.take(key) {
                    device = device.with(key, value);
                }
            }
            let Some(mut medium) = self.drive(&mut drive, place) else { continue };
            medium.readonly |= cdrom && bay.bus == "virtio";
            let pairs = if self.express { 1 } else { 2 };
            let wanted = match numbers {
                [Some(index), ..] => Some(index),
                [None, bus, unit] if bus.is_some() || unit.is_some() => {
                    Some(bus.unwrap_or(0) * pairs + unit.unwrap_or(0))
                }
                _ => None,
            };
            self.disk_at(bay, Some(medium), "", device, wanted);
        }
        for argument in self.command.take(&["hda", "hdb", "hdc", "hdd", "cdrom", "fda", "fdb", "sd"]) {
            let switch = argument.switch.as_str();
            let index = match switch {
                "hdb" | "fdb" => 1,
                "hdc" | "cdrom" => 2,
                "hdd" => 3,
                _ => 0,
            };
            let interface = match switch {
                "fda" | "fdb" => "floppy",
                "sd" => "sd",
                _ => self.default_interface(),
            };
            let Some(bay) = interface_bay(interface, switch == "cdrom") else { continue };
            let mut drive = Options::at(argument.value_span).with("file", argument.value.clone().unwrap_or_default());
            if let Some(mut medium) = self.drive(&mut drive, usize::MAX) {
                medium.readonly |= switch == "cdrom" && bay.bus == "virtio";
                let device = Options::at(argument.span).made(argument.made());
                self.disk_at(bay, Some(medium), "", device, Some(index));
            }
        }
        self.board_scsi();
    }

    /// A controller for NVMe, and how it is called.
    fn nvme_controller(&mut self, mut device: Options) -> String {
        let index = self.next_index("nvme", device.get("id"));
        let id = device.get("id").map_or_else(|| format!("nvme{index}"), str::to_string);
        self.controllers.insert(("nvme", id.clone()), index);
        let mut controller = Element::new("controller").attr("type", "nvme").attr("index", index);
        controller.push_all(device.take("serial").map(|serial| Element::leaf("serial", serial)));
        self.frontend(&mut controller, "nvme", device);
        self.devices.push(controller);
        id
    }

    /// Controllers for NVMe whose namespaces are devices of their own.
    fn nvme_controllers(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            // Several controllers of one subsystem, and virtual functions, are nothing that the format has.
            let plain = ["drive", "subsys", "pmrdev"].iter().all(|key| device.get(key).is_none());
            if device.get("driver") != Some("nvme") || !plain || device.get("id").is_none() {
                continue;
            }
            self.command.mark(place);
            device.take("driver");
            self.nvme_controller(device);
        }
    }

    /// The name of a namespace, which tells its controller and number.
    fn namespace(&mut self, device: &mut Options) -> String {
        let bus = device.take("bus").unwrap_or_default();
        let controller = self.controllers.get(&("nvme", bus)).copied().unwrap_or(0);
        let used = &mut self.targets.entry("nvme").or_default().used;
        let name = |n: u64| format!("nvme{controller}n{n}");
        let number = device.take_number("nsid").or_else(|| (1..).find(|n| !used.contains(&name(*n)))).unwrap_or(1);
        used.insert(name(number));
        name(number)
    }

    /// The SCSI controller that a board gets for drives with `if=scsi` (QEMU, `lsi53c8xx_handle_legacy_cmdline`).
    fn board_scsi(&mut self) {
        let lsi = self.is_versatile();
        let is = |device: &Element, name: &str, key: &str| device.name() == name && device.get(key) == Some("scsi");
        let disks = self
            .devices
            .iter()
            .any(|d| d.name() == "disk" && d.find("target").is_some_and(|t| t.get("bus") == Some("scsi")));
        if lsi && disks && !self.devices.iter().any(|d| is(d, "controller", "type")) {
            let mut controller =
                Element::new("controller").attr("type", "scsi").attr("index", 0).attr("model", "lsilogic");
            // The board makes it with its cards.
            let made = Options::at(Span::NONE).made(Made::Card(usize::MAX));
            self.frontend(&mut controller, "lsi", made);
            self.narrow_scsi.push(0);
            self.devices.push(controller);
        }
    }

    /// The interface of drives that name none, which depends on the machine.
    fn default_interface(&self) -> &'static str {
        let board = self.board.as_str();
        match self.arch().as_str() {
            "x86_64" | "i686" if board.starts_with("microvm") => "virtio",
            "x86_64" | "i686" | "ppc" | "sparc64" | "mips" | "mipsel" | "mips64" | "mips64el" | "alpha" => "ide",
            "ppc64" if board.starts_with("mac99") || board.starts_with("g3beige") => "ide",
            "ppc64" | "sparc" | "hppa" => "scsi",
            "armv7l" | "aarch64" if board.starts_with("versatile") || board.starts_with("realview") => "scsi",
            "armv7l" | "aarch64" if board.starts_with("vexpress") || board.starts_with("raspi") => "sd",
            _ => "virtio",
        }
    }

    /// Disks that another process serves by vhost-user.
    pub fn served_disks(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            if device.get("driver").map(super::controllers::bare) != Some("vhost-user-blk") {
                continue;
            }
            let Some(id) = device.get("chardev") else { continue };
            let Some((socket, mut chardev)) = self.command.find_by("chardev", "backend", "id", id) else { continue };
            let Some(path) = chardev.take("path") else { continue };
            self.command.mark(place);
            self.command.mark(socket);
            let mut source = Element::new("source").attr("type", "unix").attr("path", self.path(&path));
            source.push_all(super::ports::reconnect(&mut chardev));
            let mut medium = Medium::new(Vec::new());
            medium.kind = "vhostuser";
            medium.source = Some(source);
            medium.driver.set("type", "raw");
            chardev.take("backend");
            chardev.take("id");
            medium.left.push(chardev);
            let driver = device.take("driver").unwrap_or_default();
            device.take("chardev");
            let bay = Bay { device: "disk", bus: "virtio", prefix: "vd" };
            self.disk_at(bay, Some(medium), &driver, device, None);
        }
    }

    /// A disk in a bay: what it holds, and the device that shows it. `wanted` is its number among those of the bus.
    fn disk_at(
        &mut self,
        bay: Bay,
        medium: Option<Medium>,
        frontend: &str,
        mut device: Options,
        wanted: Option<usize>,
    ) {
        let mut disk = Element::new("disk").attr("type", medium.as_ref().map_or("file", |m| m.kind));
        let lun = bay.bus == "virtio" && device.take_switch("scsi") == Some(true);
        disk.set("device", if lun { "lun" } else { bay.device });
        if let Some(model) = super::controllers::variant(frontend) {
            disk.set("model", model);
        }
        let mut medium = match medium {
            Some(medium) => self.used_up(medium, &mut device),
            None => empty(&mut device),
        };
        let transient = (self.snapshot && bay.device == "disk") || (medium.transient && !medium.readonly);
        let mut driver = std::mem::replace(&mut medium.driver, Element::new("driver"));
        self.disk_driver(&bay, &mut driver, &mut device);
        disk.push(driver);
        disk.push_all(medium.images());
        // The number in an id of libvirt's or virtc's is that of the disk.
        let own = device
            .get("id")
            .and_then(|id| id.strip_prefix("virtio-disk").or(id.strip_prefix("usb-disk"))?.parse::<usize>().ok());
        let place = self.disk_place(&bay, &mut device, wanted.or(own));
        let (bus, prefix) = if place.on_ahci { ("sata", "sd") } else { (bay.bus, bay.prefix) };
        let dev = match bay.bus {
            "nvme" => self.namespace(&mut device),
            _ => self.target(prefix, place.number),
        };
        let mut target = Element::new("target").attr("dev", dev).attr("bus", bus);
        if let Some(removable) = device.take_on_off("removable").filter(|_| bay.bus == "usb") {
            target.set("removable", removable);
        }
        disk.push(target.maybe("rotation_rate", device.take("rotation_rate")));
        let flags = [
            ("transient", transient),
            ("readonly", medium.readonly && bay.device != "cdrom"),
            ("shareable", device.take_switch("share-rw") == Some(true)),
        ];
        disk.push_all(flags.into_iter().filter(|(_, is)| *is).map(|(name, _)| Element::new(name)));
        disk.push_all(identity(&mut device));
        let mut throttle = medium.throttle;
        throttle.extend(self.limits(&mut disk, medium.groups, device.get("id")));
        if !throttle.is_empty() {
            let all = throttle.into_iter().map(|(name, value)| Element::leaf(name, value));
            disk.push(all.fold(Element::new("iotune"), Element::child));
        }
        disk.push_all(place.address);
        device.same("hotplugged", &["off"]);
        let frontend = if frontend.is_empty() && bay.bus == "virtio" { "virtio-blk-pci" } else { frontend };
        self.frontend(&mut disk, frontend, device);
        self.devices.push(disk);
    }

    /// Marks what a medium was made of, tells what the format has no place for, and joins its way of caching with the device's.
    fn used_up(&mut self, mut medium: Medium, device: &mut Options) -> Medium {
        let what = medium.source.as_ref().map(|s| s.get("file").or(s.get("dev")).unwrap_or("a disk").to_string());
        let what = what.unwrap_or_else(|| "a disk without an image".to_string());
        std::mem::take(&mut medium.left).into_iter().for_each(|left| self.leave(&what, left));
        medium.places.iter().for_each(|&p| self.command.mark(p));
        if let Some(cache) = cache_mode(medium.direct, medium.no_flush, device.get("write-cache")) {
            medium.driver.set("cache", cache);
            device.take("write-cache");
        } else if medium.places.len() > 1 {
            // libvirt says on where nothing was asked for.
            device.same("write-cache", &["on"]);
        }
        medium
    }

    /// What of `<driver>` is the device's.
    fn disk_driver(&mut self, bay: &Bay, driver: &mut Element, device: &mut Options) {
        for (key, name) in [("werror", "error_policy"), ("rerror", "rerror_policy")] {
            if let Some(policy) = device.take(key).filter(|p| p != "auto") {
                driver.set(name, if policy == "enospc" { "enospace" } else { &policy });
            }
        }
        if let Some(thread) = device.take("iothread").and_then(|id| self.iothread(&id)) {
            driver.set("iothread", thread);
        }
        if bay.bus != "virtio" {
            return;
        }
        self.thread_queues(driver, device);
        for (key, name) in [("num-queues", "queues"), ("queue-size", "queue_size")] {
            if let Some(value) = device.take(key) {
                driver.set(name, value);
            }
        }
        super::frontend::mapped(crate::device::disk::mapping::EVENTS, driver, device);
        self.virtio(driver, device);
    }

    /// Where on its bus a disk is.
    fn disk_place(&mut self, bay: &Bay, device: &mut Options, wanted: Option<usize>) -> Place {
        let place = Place { number: wanted, address: None, on_ahci: bay.bus == "ide" && self.express };
        match bay.bus {
            "ide" => self.ide_place(device, place),
            "scsi" => self.scsi_place(device, place),
            "fdc" => {
                let number = device.take_number("unit").map(|unit| unit as usize).or(wanted);
                device.same("bus", &["floppy-bus.0"]);
                let boot = self.floppy_boot.get(number.unwrap_or(0)).copied().flatten();
                if let Some(index) = boot {
                    device.set("bootindex", index.to_string());
                }
                Place { number, ..place }
            }
            _ => place,
        }
    }

    fn ide_place(&mut self, device: &mut Options, place: Place) -> Place {
        let bus = device.get("bus").unwrap_or_default().to_string();
        let unit = device.take_number("unit").unwrap_or(0) as usize;
        let (id, port) = bus.rsplit_once('.').unwrap_or(("", ""));
        let controller = self.controllers.get(&("sata", id.to_string())).copied();
        let Ok(port) = port.parse::<usize>() else {
            if self.controllers.contains_key(&("sata", bus)) {
                device.take("bus");
            }
            return place;
        };
        device.take("bus");
        // On a machine with AHCI every port is a channel of its own.
        let on_ahci = controller.is_some() || self.express && id == "ide";
        let first = if on_ahci { controller.unwrap_or(0) as usize * 6 } else { 0 };
        let number = if on_ahci { first + port } else { port * 2 + unit };
        let at = if on_ahci { (controller.unwrap_or(0), 0, port) } else { (0, port, unit) };
        Place { number: Some(number), address: Some(drive_address(at.0, at.1, 0, at.2)), on_ahci }
    }

    /// Whether a number on a SCSI bus is taken.
    fn has_scsi(&self, controller: u32, narrow: bool, number: usize) -> bool {
        let key = if narrow { "unit" } else { "target" };
        let of = |address: &Element, name: &str| address.get(name).and_then(|n| n.parse::<usize>().ok());
        self.devices.iter().any(|device| {
            let scsi = device.find("target").is_some_and(|t| t.get("bus") == Some("scsi"));
            let address = device.find("address").filter(|a| a.get("type") == Some("drive"));
            scsi && address
                .is_some_and(|a| of(a, "controller") == Some(controller as usize) && of(a, key) == Some(number))
        })
    }

    fn scsi_place(&mut self, device: &mut Options, place: Place) -> Place {
        let bus = device.take("bus");
        let id = bus.as_deref().and_then(|b| b.strip_suffix(".0")).map(str::to_string);
        let controller = id.and_then(|id| self.controllers.get(&("scsi", id)).copied());
        // Unless one is named, QEMU takes the first bus that there is.
        let first = self.controllers.iter().any(|((kind, _), index)| *kind == "scsi" && *index == 0);
        let controller = controller.or((bus.is_none() && first).then_some(0));
        let [channel, id, lun] = ["channel", "scsi-id", "lun"].map(|key| device.take_number(key).map(|n| n as usize));
        let narrow = controller.map_or(self.arch() == "sparc", |c| self.narrow_scsi.contains(&c));
        let (unit, target) = if narrow { (id, None) } else { (lun, id) };
        if controller.is_none() && bus.as_deref().is_some_and(|b| b != "scsi.0" && b != "scsi0.0") {
            self.changed(device.span, format!("bus={} is left to virtc", bus.as_deref().unwrap_or_default()));
        }
        let given = device.get("device_id").map(str::to_string);
        if given.is_some_and(|g| g.starts_with("drive-") || Some(g.as_str()) == device.get("serial")) {
            device.take("device_id");
        }
        // QEMU takes the first number that is free.
        let (unit, target) = match (unit, target, controller) {
            (None, None, Some(controller)) if channel.is_none() => {
                let free = (0..).find(|n| !self.has_scsi(controller, narrow, *n));
                if narrow { (free, None) } else { (None, free) }
            }
            (unit, target, _) => (unit, target),
        };
        let is_said = controller.is_some() || unit.is_some() || target.is_some();
        let zero = |part: Option<usize>| part.unwrap_or(0);
        let address = is_said.then(|| drive_address(controller.unwrap_or(0), zero(channel), zero(target), zero(unit)));
        Place { address, ..place }
    }
}

/// A device without a medium.
fn empty(device: &mut Options) -> Medium {
    let mut medium = Medium::new(Vec::new());
    medium.driver.set("type", "raw");
    if device.same("write-cache", &["on"]) {
        medium.driver.set("cache", "writeback");
    }
    medium
}

/// `<address type='drive'>`
fn drive_address(controller: u32, bus: usize, target: usize, unit: usize) -> Element {
    Element::new("address")
        .attr("type", "drive")
        .attr("controller", controller)
        .attr("bus", bus)
        .attr("target", target)
        .attr("unit", unit)
}

/// What a disk says of itself, and its blocks.
fn identity(device: &mut Options) -> Vec<Element> {
    let mut out = Vec::new();
    for name in ["serial", "wwn", "vendor", "product"] {
        if let Some(value) = device.take(name) {
            // JSON may hold the name of a disk as a number.
            let value = match value.parse::<u64>() {
                Ok(number) if name == "wwn" => format!("{number:016x}"),
                _ => value.trim_start_matches("0x").to_string(),
            };
            out.push(Element::leaf(name, value));
        }
    }
    let keys = ["logical_block_size", "physical_block_size", "discard_granularity"];
    let io = keys.into_iter().fold(Element::new("blockio"), |io, key| io.maybe(key, device.take(key)));
    out.extend((!io.is_empty()).then_some(io));
    out
}

/// The bay that a device is.
fn bay(driver: &str) -> Option<Bay> {
    let (device, bus, prefix) = match driver {
        _ if super::controllers::bare(driver) == "virtio-blk" => ("disk", "virtio", "vd"),
        "scsi-hd" | "scsi-disk" => ("disk", "scsi", "sd"),
        "scsi-cd" => ("cdrom", "scsi", "sd"),
        "scsi-block" => ("lun", "scsi", "sd"),
        "ide-hd" | "ide-drive" => ("disk", "ide", "hd"),
        "ide-cd" => ("cdrom", "ide", "hd"),
        "usb-storage" => ("disk", "usb", "sd"),
        "floppy" => ("floppy", "fdc", "fd"),
        "nvme" | "nvme-ns" => ("disk", "nvme", "nvme"),
        _ => return None,
    };
    Some(Bay { device, bus, prefix })
}

/// The bay that an interface of `-drive` is.
fn interface_bay(interface: &str, cdrom: bool) -> Option<Bay> {
    let (bus, prefix) = match interface {
        "virtio" => ("virtio", "vd"),
        "ide" => ("ide", "hd"),
        "scsi" => ("scsi", "sd"),
        "sd" => ("sd", "sd"),
        "floppy" => ("fdc", "fd"),
        _ => return None,
    };
    let device = match (interface, cdrom) {
        ("floppy", _) => "floppy",
        // A disk that cannot be written is the nearest to it.
        ("virtio", true) => "disk",
        (_, true) => "cdrom",
        _ => "disk",
    };
    Some(Bay { device, bus, prefix })
}
