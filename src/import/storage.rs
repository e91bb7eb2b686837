//! Disks: `-drive`, `-blockdev`, `-hda`, `-cdrom` and their devices; firmware in flash.

use super::Import;
use super::element::Element;
use super::options::{Options, is_on};

/// What a drive or a chain of block nodes holds.
struct Medium {
    /// `type` of `<disk>`.
    kind: &'static str,
    source: Option<Element>,
    /// `<driver>`
    driver: Element,
    /// `<backingStore>`, if the command line names one.
    backing: Option<Element>,
    readonly: bool,
    /// Arguments that are used up with it.
    places: Vec<usize>,
    /// Whether the host's cache is bypassed, and whether flushes are ignored.
    direct: Option<bool>,
    no_flush: Option<bool>,
    throttle: Vec<(&'static str, String)>,
}

/// A device that shows a disk to the guest.
struct Bay {
    device: &'static str,
    bus: &'static str,
    prefix: &'static str,
}

impl Import {
    /// Flash that the machine names by its block nodes: 0 is the code, 1 the variables.
    pub fn pflash_node(&mut self, os: &mut Element, index: u32, node: &str) {
        match self.node(node) {
            Some(medium) if medium.kind == "file" => self.pflash(os, index, medium),
            _ => self.note(format!("left out: flash '{node}', which is no plain file")),
        }
    }

    /// `-drive if=pflash` and `-pflash`.
    pub fn pflash_drives(&mut self, os: &mut Element) {
        let mut index = 0;
        for (place, drive) in self.command.find("drive", "") {
            if drive.get("if") == Some("pflash") {
                let unit = drive.get("unit").and_then(|u| u.parse().ok()).unwrap_or(index);
                let mut drive = drive;
                drive.forget(&["if", "unit", "id", "index"]);
                if let Some(medium) = self.drive(&mut drive, place) {
                    self.pflash(os, unit, medium);
                }
                index += 1;
            }
        }
        for (_, path) in self.command.take(&["pflash"]) {
            let mut drive = Options::parse("", "");
            drive.graft("", Options::parse(&format!("file={}", path.replace(',', ",,")), ""));
            if let Some(medium) = self.drive(&mut drive, usize::MAX) {
                self.pflash(os, index, medium);
            }
            index += 1;
        }
    }

    /// Whether the flash is for code in system management mode alone.
    fn secure_flash(&mut self) -> bool {
        for (place, global) in self.command.find("global", "") {
            let long = global.get("driver") == Some("cfi.pflash01") && global.get("property") == Some("secure");
            let value = if long { global.get("value") } else { global.get("cfi.pflash01.secure") };
            if value.is_some_and(is_on) {
                self.command.mark(place);
                return true;
            }
        }
        false
    }

    fn pflash(&mut self, os: &mut Element, index: u32, medium: Medium) {
        medium.places.iter().for_each(|&p| self.command.mark(p));
        let Some(path) = medium.source.as_ref().and_then(|s| s.get("file")) else { return };
        let format = medium.driver.get("type").filter(|f| *f != "raw");
        let element = match index {
            0 => {
                let readonly = if medium.readonly { "yes" } else { "no" };
                let secure = self.secure_flash().then_some("yes");
                Element::leaf("loader", path).attr("readonly", readonly).maybe("secure", secure).attr("type", "pflash")
            }
            _ => Element::leaf("nvram", path),
        };
        os.push(element.maybe("format", format));
    }

    /// All disks.
    pub fn disks(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            let Some(bay) = device.get("driver").and_then(bay) else { continue };
            // Storage of the host that is handed to the guest as it is.
            if device.get("driver") == Some("scsi-generic") {
                continue;
            }
            device.take("driver");
            let medium = match device.take("drive") {
                None => None,
                Some(drive) => match self.medium(&drive) {
                    Some(medium) => Some(medium),
                    // A node that the format cannot express stays with its device.
                    None => continue,
                },
            };
            self.command.mark(place);
            self.disk(bay, medium, device);
        }
        for (place, mut drive) in self.command.find("drive", "") {
            let interface = drive.take("if").unwrap_or_else(|| self.default_interface().to_string());
            let cdrom = drive.get("media") == Some("cdrom");
            let Some(bay) = interface_bay(&interface, cdrom) else { continue };
            let mut device = Options::default();
            let places = [drive.take("index"), drive.take("bus"), drive.take("unit"), drive.take("id")];
            device.graft("", drive.take_below("serial").renamed("serial"));
            let Some(medium) = self.drive(&mut drive, place) else { continue };
            let wanted = places[0].as_deref().and_then(|i| i.parse().ok());
            self.disk_at(bay, Some(medium), device, wanted);
        }
        for (switch, path) in self.command.take(&["hda", "hdb", "hdc", "hdd", "cdrom", "fda", "fdb", "sd"]) {
            let index = match switch.as_str() {
                "hdb" | "fdb" => 1,
                "hdc" | "cdrom" => 2,
                "hdd" => 3,
                _ => 0,
            };
            let interface = match switch.as_str() {
                "fda" | "fdb" => "floppy",
                "sd" => "sd",
                _ => self.default_interface(),
            };
            let Some(bay) = interface_bay(interface, switch == "cdrom") else { continue };
            let mut drive = Options::parse(&format!("file={}", path.replace(',', ",,")), "");
            if let Some(medium) = self.drive(&mut drive, usize::MAX) {
                self.disk_at(bay, Some(medium), Options::default(), Some(index));
            }
        }
    }

    /// The interface of drives that name none, which depends on the machine.
    fn default_interface(&self) -> &'static str {
        match self.arch().as_str() {
            "x86_64" | "i686" | "ppc" | "sparc64" => "ide",
            "ppc64" => "scsi",
            _ => "virtio",
        }
    }

    fn medium(&mut self, id: &str) -> Option<Medium> {
        let drives = self.command.find("drive", "");
        match drives.into_iter().find(|(_, d)| d.get("id") == Some(id)) {
            Some((place, mut drive)) => {
                drive.forget(&["if", "id", "index", "bus", "unit", "media"]);
                self.drive(&mut drive, place)
            }
            None => self.node(id),
        }
    }

    /// The options of a `-drive`. None, and nothing used, if the format cannot express all of them.
    fn drive(&mut self, drive: &mut Options, place: usize) -> Option<Medium> {
        drive.forget(&["media", "snapshot"]);
        let mut medium = self.file(drive.take("file"))?;
        medium.places.push(place);
        let probed = medium.driver.get("type").map(str::to_string);
        let format = drive.take("format").or(probed).unwrap_or_else(|| self.guess(&medium));
        medium.driver.set("type", format);
        medium.readonly |= drive.take_any(&["readonly", "read-only"]).is_some_and(|v| is_on(&v));
        if let Some(cache) = drive.take("cache") {
            medium.driver.set("cache", cache);
        }
        common(drive, &mut medium);
        drive.is_empty().then(|| {
            self.command.mark(place);
            medium
        })
    }

    /// The format of an image whose format the command line leaves to QEMU: what its name says.
    fn guess(&mut self, medium: &Medium) -> String {
        let path = medium.source.as_ref().and_then(|s| s.get("file")).unwrap_or_default();
        let format = match path.rsplit('.').next().unwrap_or_default() {
            format @ ("qcow2" | "qed" | "vmdk" | "vdi" | "vhdx") => format,
            "vhd" => "vpc",
            _ => return "raw".to_string(),
        };
        let format = format.to_string();
        self.note(format!("'{path}' has no format=: {format}, by its name"));
        format
    }

    /// What a file name of QEMU means.
    fn file(&mut self, name: Option<String>) -> Option<Medium> {
        let driver = Element::new("driver").attr("name", "qemu");
        let mut medium = Medium {
            kind: "file",
            source: None,
            driver,
            backing: None,
            readonly: false,
            places: Vec::new(),
            direct: None,
            no_flush: None,
            throttle: Vec::new(),
        };
        let Some(name) = name.filter(|n| !n.is_empty()) else { return Some(medium) };
        if let Some(json) = name.strip_prefix("json:") {
            let mut options = Options::parse(json, "");
            return self.storage(&mut options, medium);
        }
        let path = name.strip_prefix("file:").unwrap_or(&name);
        if let Some(rest) = name.strip_prefix("fat:") {
            let writable = rest.contains("rw:");
            let directory = rest.rsplit(':').next().unwrap_or(rest);
            medium.kind = "dir";
            medium.driver.set("type", "fat");
            medium.readonly = !writable;
            medium.source = Some(Element::new("source").attr("dir", self.path(directory)));
        } else if let Some(source) = network(&name) {
            medium.kind = "network";
            medium.source = Some(source);
        } else if name
            .split_once(':')
            .is_some_and(|(scheme, _)| !scheme.contains('/') && scheme.len() > 1 && scheme != "file")
        {
            return None;
        } else if path.starts_with("/dev/") {
            medium.kind = "block";
            medium.source = Some(Element::new("source").attr("dev", path));
        } else {
            medium.source = Some(Element::new("source").attr("file", self.path(path)));
        }
        Some(medium)
    }

    /// A chain of block nodes by the name of its upper end.
    fn node(&mut self, name: &str) -> Option<Medium> {
        let (place, mut node) = self.command.find_by("blockdev", "driver", "node-name", name)?;
        node.forget(&["node-name"]);
        let medium = Medium {
            kind: "file",
            source: None,
            driver: Element::new("driver").attr("name", "qemu"),
            backing: None,
            readonly: false,
            places: vec![place],
            direct: None,
            no_flush: None,
            throttle: Vec::new(),
        };
        self.storage(&mut node, medium)
    }

    /// A block node: a format over a protocol, or a protocol alone.
    fn storage(&mut self, node: &mut Options, mut medium: Medium) -> Option<Medium> {
        node.forget(&["auto-read-only", "force-share"]);
        medium.readonly |= node.take("read-only").is_some_and(|v| is_on(&v));
        let driver = node.take("driver")?;
        medium.direct = node.take_switch("cache.direct").or(medium.direct);
        medium.no_flush = node.take_switch("cache.no-flush").or(medium.no_flush);
        common(node, &mut medium);
        if matches!(driver.as_str(), "raw" | "qcow2" | "qcow" | "qed" | "vmdk" | "vdi" | "vhdx" | "vpc" | "luks") {
            if medium.driver.get("type").is_none() {
                medium.driver.set("type", &driver);
            }
            if let Some(backing) = node.take("backing") {
                let below = self.node(&backing)?;
                let mut element = Element::new("backingStore").attr("type", below.kind);
                element.push(Element::new("format").attr("type", below.driver.get("type").unwrap_or("raw")));
                below.source.into_iter().for_each(|s| element.push(s));
                element.push(below.backing.unwrap_or_else(|| Element::new("backingStore")));
                medium.places.extend(below.places);
                medium.backing = Some(element);
            }
            let mut below = match node.take("file") {
                Some(name) => {
                    let (place, mut below) = self.command.find_by("blockdev", "driver", "node-name", &name)?;
                    medium.places.push(place);
                    below.forget(&["node-name"]);
                    below
                }
                None => node.take_below("file."),
            };
            if !node.is_empty() {
                return None;
            }
            return self.storage(&mut below, medium);
        }
        medium.driver = match medium.driver.get("type") {
            Some(_) => medium.driver,
            None => medium.driver.attr("type", "raw"),
        };
        if let Some(aio) = node.take("aio") {
            medium.driver.set("io", aio);
        }
        match driver.as_str() {
            "file" => medium.source = Some(Element::new("source").attr("file", self.path(&node.take("filename")?))),
            "host_device" | "host_cdrom" => {
                medium.kind = "block";
                medium.source = Some(Element::new("source").attr("dev", node.take("filename")?));
            }
            "vvfat" => {
                medium.kind = "dir";
                medium.driver.set("type", "fat");
                node.forget(&["fat-type", "floppy", "label"]);
                medium.readonly = node.take_switch("rw") != Some(true);
                medium.source = Some(Element::new("source").attr("dir", node.take("dir")?));
            }
            "nbd" => {
                medium.kind = "network";
                let mut source = Element::new("source").attr("protocol", "nbd").maybe("name", node.take("export"));
                let mut host = Element::new("host");
                match node.take("server.type").as_deref() {
                    Some("unix") => {
                        host.set("transport", "unix");
                        host.set("socket", node.take("server.path")?);
                    }
                    _ => {
                        host.set("name", node.take("server.host")?);
                        host = host.maybe("port", node.take("server.port"));
                    }
                }
                source.push(host);
                medium.source = Some(source);
            }
            "http" | "https" | "ftp" | "ftps" => {
                medium.kind = "network";
                medium.source = Some(network(&node.take("url")?)?);
            }
            _ => return None,
        }
        node.is_empty().then_some(medium)
    }

    fn disk(&mut self, bay: Bay, medium: Option<Medium>, device: Options) {
        self.disk_at(bay, medium, device, None);
    }

    fn disk_at(&mut self, bay: Bay, medium: Option<Medium>, mut device: Options, wanted: Option<usize>) {
        let mut disk = Element::new("disk").attr("type", medium.as_ref().map_or("file", |m| m.kind));
        disk.set("device", bay.device);
        let mut driver = Element::new("driver").attr("name", "qemu").attr("type", "raw");
        let mut source = None;
        let (mut backing, mut throttle, mut readonly) = (None, Vec::new(), false);
        if let Some(medium) = medium {
            medium.places.iter().for_each(|&p| self.command.mark(p));
            driver = medium.driver;
            if let Some(cache) = cache_mode(medium.direct, medium.no_flush, device.get("write-cache")) {
                driver.set("cache", cache);
                device.take("write-cache");
            }
            (source, backing, throttle, readonly) = (medium.source, medium.backing, medium.throttle, medium.readonly);
        }
        for (key, name) in [("werror", "error_policy"), ("rerror", "rerror_policy")] {
            if let Some(policy) = device.take(key).filter(|p| p != "auto") {
                driver.set(name, if policy == "enospc" { "enospace" } else { &policy });
            }
        }
        if let Some(thread) = device.take("iothread").and_then(|id| self.iothread(&id)) {
            driver.set("iothread", thread);
        }
        for (key, name) in [("num-queues", "queues"), ("queue-size", "queue_size")] {
            if bay.bus == "virtio"
                && let Some(value) = device.take(key)
            {
                driver.set(name, value);
            }
        }
        if bay.bus == "virtio" {
            self.virtio(&mut driver, &mut device);
        }
        disk.push(driver);
        source.into_iter().for_each(|s| disk.push(s));
        backing.into_iter().for_each(|b| disk.push(b));
        let numbers = |device: &mut Options, key: &str| device.take(key).and_then(|n| n.parse::<usize>().ok());
        let bus = device.get("bus").map(str::to_string);
        let mut address = Element::new("address").attr("type", "drive");
        let mut target = wanted;
        let mut addressed = false;
        match bay.bus {
            "ide" => {
                let channel = bus.as_deref().and_then(|b| b.strip_prefix("ide.")).and_then(|b| b.parse::<usize>().ok());
                let unit = numbers(&mut device, "unit").unwrap_or(0);
                // On a machine with AHCI every port is a channel of its own.
                let sata = self.express;
                device.take("bus");
                if let Some(channel) = channel {
                    target = Some(if sata { channel } else { channel * 2 + unit });
                }
            }
            "scsi" => {
                let id = bus.as_deref().and_then(|b| b.strip_suffix(".0")).map(str::to_string);
                let controller = id.and_then(|id| self.controllers.get(&("scsi", id)).copied());
                let (channel, unit, lun) =
                    (numbers(&mut device, "channel"), numbers(&mut device, "scsi-id"), numbers(&mut device, "lun"));
                device.take("bus");
                let narrow = controller.is_some_and(|c| self.narrow_scsi.contains(&c));
                let (place, target_id) = if narrow { (unit, None) } else { (lun, unit) };
                if controller.is_some() || place.is_some() || target_id.is_some() {
                    address.set("controller", controller.unwrap_or(0));
                    address.set("bus", channel.unwrap_or(0));
                    address.set("target", target_id.unwrap_or(0));
                    address.set("unit", place.unwrap_or(0));
                    addressed = true;
                }
                let given = device.get("device_id").map(str::to_string);
                if given.is_some_and(|g| g.starts_with("drive-") || Some(g.as_str()) == device.get("serial")) {
                    device.take("device_id");
                }
            }
            "fdc" => {
                target = numbers(&mut device, "unit").or(target);
                device.take("bus");
            }
            _ => {}
        }
        let (bus, prefix) = if bay.bus == "ide" && self.express { ("sata", "sd") } else { (bay.bus, bay.prefix) };
        let name = self.target(prefix, target);
        let mut at = Element::new("target").attr("dev", name);
        at.set("bus", bus);
        if let Some(removable) = device.take_on_off("removable").filter(|_| bay.bus == "usb") {
            at.set("removable", removable);
        }
        if let Some(rate) = device.take("rotation_rate") {
            at.set("rotation_rate", rate);
        }
        disk.push(at);
        if readonly && bay.device != "cdrom" {
            disk.push(Element::new("readonly"));
        }
        if device.take_switch("share-rw") == Some(true) {
            disk.push(Element::new("shareable"));
        }
        for (key, name) in [("serial", "serial"), ("wwn", "wwn"), ("vendor", "vendor"), ("product", "product")] {
            if let Some(value) = device.take(key) {
                disk.push(Element::leaf(name, value.trim_start_matches("0x")));
            }
        }
        let (logical, physical) = (device.take("logical_block_size"), device.take("physical_block_size"));
        if logical.is_some() || physical.is_some() {
            let io = Element::new("blockio").maybe("logical_block_size", logical);
            disk.push(io.maybe("physical_block_size", physical));
        }
        if !throttle.is_empty() {
            let all = throttle.into_iter().map(|(name, value)| Element::leaf(name, value));
            disk.push(all.fold(Element::new("iotune"), Element::child));
        }
        if addressed {
            disk.push(address);
        }
        device.forget(&["scsi"]);
        self.frontend(&mut disk, device);
        self.devices.push(disk);
    }

    /// The number of an I/O thread; an object of another name is renamed.
    pub fn iothread(&mut self, id: &str) -> Option<u32> {
        let (place, object) = self.command.find_by("object", "qom-type", "id", id).or_else(|| {
            let known = self.iothreads.iter().any(|known| known == id);
            known.then(|| (usize::MAX, Options::default()))
        })?;
        if object.get("qom-type").is_some_and(|t| t != "iothread") {
            return None;
        }
        self.command.mark(place);
        if !self.iothreads.iter().any(|known| known == id) {
            self.iothreads.push(id.to_string());
        }
        self.iothreads.iter().position(|known| known == id).map(|i| i as u32 + 1)
    }
}

/// Options that drives and block nodes share.
fn common(options: &mut Options, medium: &mut Medium) {
    for (key, name) in [
        ("aio", "io"),
        ("discard", "discard"),
        ("detect-zeroes", "detect_zeroes"),
        ("werror", "error_policy"),
        ("rerror", "rerror_policy"),
        ("copy-on-read", "copy_on_read"),
    ] {
        // A protocol node below a format repeats what was decided above it.
        if key == "aio" && options.get("filename").is_some() {
            continue;
        }
        if let Some(value) = options.take(key)
            && medium.driver.get(name).is_none()
            && !(key == "discard" && options.get("filename").is_some())
        {
            medium.driver.set(name, if value == "enospc" { "enospace" } else { &value });
        }
    }
    for (key, old, name) in [
        ("throttling.bps-total", "bps", "total_bytes_sec"),
        ("throttling.bps-read", "bps_rd", "read_bytes_sec"),
        ("throttling.bps-write", "bps_wr", "write_bytes_sec"),
        ("throttling.iops-total", "iops", "total_iops_sec"),
        ("throttling.iops-read", "iops_rd", "read_iops_sec"),
        ("throttling.iops-write", "iops_wr", "write_iops_sec"),
    ] {
        if let Some(value) = options.take_any(&[key, old]) {
            medium.throttle.push((name, value));
        }
    }
}

/// The word for a way of caching.
fn cache_mode(direct: Option<bool>, no_flush: Option<bool>, write_cache: Option<&str>) -> Option<&'static str> {
    let (direct, no_flush) = (direct?, no_flush.unwrap_or(false));
    Some(match (direct, no_flush, write_cache.is_none_or(is_on)) {
        (_, true, _) => "unsafe",
        (true, false, true) => "none",
        (true, false, false) => "directsync",
        (false, false, true) => "writeback",
        (false, false, false) => "writethrough",
    })
}

/// The bay that a device is.
fn bay(driver: &str) -> Option<Bay> {
    let (device, bus, prefix) = match driver {
        "virtio-blk" | "virtio-blk-pci" | "virtio-blk-device" | "virtio-blk-ccw" => ("disk", "virtio", "vd"),
        "scsi-hd" | "scsi-disk" => ("disk", "scsi", "sd"),
        "scsi-cd" => ("cdrom", "scsi", "sd"),
        "scsi-block" => ("lun", "scsi", "sd"),
        "ide-hd" | "ide-drive" => ("disk", "ide", "hd"),
        "ide-cd" => ("cdrom", "ide", "hd"),
        "usb-storage" => ("disk", "usb", "sd"),
        "floppy" => ("floppy", "fdc", "fd"),
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
        (_, true) => "cdrom",
        _ => "disk",
    };
    Some(Bay { device, bus, prefix })
}

/// `<source>` of a URI, or of QEMU's older way to name an NBD server.
fn network(name: &str) -> Option<Element> {
    if let Some(rest) = name.strip_prefix("nbd:") {
        let (server, export) = rest.split_once(":exportname=").map_or((rest, None), |(s, e)| (s, Some(e)));
        let host = match server.strip_prefix("unix:") {
            Some(socket) => Element::new("host").attr("transport", "unix").attr("socket", socket),
            None => {
                let (host, port) = server.rsplit_once(':')?;
                Element::new("host").attr("name", host).attr("port", port)
            }
        };
        // `nbd://` is a URI, below.
        if !server.starts_with("//") {
            return Some(Element::new("source").attr("protocol", "nbd").maybe("name", export).child(host));
        }
    }
    let (scheme, rest) = name.split_once("://")?;
    let (protocol, transport) = scheme.split_once('+').map_or((scheme, None), |(p, t)| (p, Some(t)));
    if !matches!(protocol, "nbd" | "http" | "https" | "ftp" | "ftps" | "tftp" | "iscsi" | "gluster")
        || rest.contains('@')
    {
        return None;
    }
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
    let mut source = Element::new("source").attr("protocol", protocol);
    if !path.is_empty() {
        source.set("name", path);
    }
    let mut host = Element::new("host");
    if let Some(socket) = query.and_then(|q| q.strip_prefix("socket=")) {
        host = host.maybe("transport", transport).attr("socket", socket);
    } else {
        if let Some(query) = query {
            source.set("query", query);
        }
        let (name, port) = server.rsplit_once(':').filter(|(_, p)| p.parse::<u16>().is_ok()).unzip();
        host = host.attr("name", name.unwrap_or(server).trim_matches(['[', ']'])).maybe("port", port);
    }
    Some(source.child(host))
}
