//! Disks: `-drive`, `-blockdev`, `-hda`, `-cdrom` and their devices; firmware in flash.

use super::Import;
use super::element::Element;
use super::options::{Options, is_on, switch};
use crate::diag::Span;

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
    /// Groups of limits above the image, the topmost first.
    groups: Vec<String>,
    /// Children of `<source>` that are not about where it is: credentials, encryption, reservations.
    inside: Vec<Element>,
    /// Whether writes are thrown away at the end.
    transient: bool,
    /// `<slices>`
    slice: Option<Element>,
    /// What the format has no place for.
    left: Vec<Options>,
}

impl Medium {
    fn new(places: Vec<usize>) -> Medium {
        Medium {
            kind: "file",
            source: None,
            driver: Element::new("driver").attr("name", "qemu"),
            backing: None,
            readonly: false,
            places,
            direct: None,
            no_flush: None,
            throttle: Vec::new(),
            groups: Vec::new(),
            inside: Vec::new(),
            transient: false,
            slice: None,
            left: Vec::new(),
        }
    }
}

/// A device that shows a disk to the guest.
struct Bay {
    device: &'static str,
    bus: &'static str,
    prefix: &'static str,
}

impl Import {
    /// Flash that the machine names by its block nodes: 0 is the code, 1 the variables.
    pub fn pflash_node(&mut self, os: &mut Element, index: u32, node: &str, span: Span) {
        match self.node(node) {
            Some(medium) => self.pflash(os, index, medium),
            None => self.left_out(span, format!("the flash '{node}', whose block node is not there")),
        }
    }

    /// `-drive if=pflash` and `-pflash`.
    pub fn pflash_drives(&mut self, os: &mut Element) {
        let mut index = 0;
        for (place, drive) in self.command.find("drive", "") {
            if drive.get("if") == Some("pflash") {
                let unit = drive.get("unit").and_then(|u| u.parse().ok()).unwrap_or(index);
                let mut drive = drive;
                ["if", "unit", "id", "index"].iter().for_each(|key| drop(drive.take(key)));
                if let Some(medium) = self.drive(&mut drive, place) {
                    self.pflash(os, unit, medium);
                }
                index += 1;
            }
        }
        for argument in self.command.take(&["pflash"]) {
            let mut drive = Options::at(argument.span).with("file", argument.value.unwrap_or_default());
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
                // Without system management mode nothing could write to it; QEMU takes that, the format does not.
                let off = self
                    .command
                    .values("machine")
                    .chain(self.command.values("M"))
                    .any(|m| Options::parse(m, "type").get("smm") == Some("off"));
                if off {
                    let text =
                        "secure=on of the flash, which needs system management mode, and smm=off switches that off";
                    self.idle(global.span, text);
                }
                self.command.mark(place);
                return !off;
            }
        }
        false
    }

    fn pflash(&mut self, os: &mut Element, index: u32, mut medium: Medium) {
        medium.places.iter().for_each(|&p| self.command.mark(p));
        std::mem::take(&mut medium.left).into_iter().for_each(|left| self.leave("the flash", left));
        let Some(mut source) = medium.source.take() else { return };
        source.push_all(std::mem::take(&mut medium.inside));
        let format = medium.driver.get("type").filter(|f| *f != "raw").map(str::to_string);
        let path = source.get("file").or_else(|| source.get("dev")).unwrap_or_default().to_string();
        let element = match index {
            0 => {
                let readonly = if medium.readonly { "yes" } else { "no" };
                let secure = self.secure_flash();
                let loader = Element::leaf("loader", path).attr("readonly", readonly);
                loader.maybe("secure", secure.then_some("yes")).attr("type", "pflash")
            }
            _ if medium.kind == "file" => Element::leaf("nvram", path),
            _ => Element::new("nvram").attr("type", medium.kind).child(source),
        };
        os.push(element.maybe("format", format));
    }

    /// All disks.
    pub fn disks(&mut self) {
        for (place, mut device) in self.command.find("device", "driver") {
            let Some(bay) = device.get("driver").and_then(bay) else { continue };
            if self.on_foreign_bus(&device) {
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
            self.disk_at(bay, medium, &driver, device, None);
        }
        for (place, mut drive) in self.command.find("drive", "") {
            let interface = drive.get("if").map_or_else(|| self.default_interface().to_string(), str::to_string);
            let cdrom = drive.get("media") == Some("cdrom");
            let Some(bay) = interface_bay(&interface, cdrom) else { continue };
            drive.take("if");
            let numbers = ["index", "bus", "unit"].map(|key| drive.take_number(key).map(|n| n as usize));
            drive.take("id");
            let mut device = Options::at(drive.span);
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
                let device = Options::at(argument.span);
                self.disk_at(bay, Some(medium), "", device, Some(index));
            }
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

    fn medium(&mut self, id: &str) -> Option<Medium> {
        let drives = self.command.find("drive", "");
        match drives.into_iter().find(|(_, d)| d.get("id") == Some(id)) {
            Some((place, mut drive)) => {
                ["if", "id", "index", "bus", "unit"].iter().for_each(|key| drop(drive.take(key)));
                self.drive(&mut drive, place)
            }
            None => self.node(id),
        }
    }

    /// The options of a `-drive`. None, and nothing used, if its file is of a kind that the format does not know.
    fn drive(&mut self, drive: &mut Options, place: usize) -> Option<Medium> {
        let below = drive.get("file").is_none() && drive.get("file.driver").is_some();
        let mut medium = match below {
            true => {
                let mut file = drive.take_below("file.");
                self.storage(&mut file, Medium::new(Vec::new()))?
            }
            false => self.file(drive.get("file").or(drive.get("file.filename")).map(str::to_string))?,
        };
        drive.take("file");
        drive.take("file.filename");
        medium.places.push(place);
        // `media` says which device it is, and that is said.
        drive.same("media", &["disk", "cdrom"]);
        medium.transient = drive.take_switch("snapshot") == Some(true);
        drive.same("file.locking", &["auto"]);
        let probed = medium.driver.get("type").map(str::to_string).filter(|_| !below);
        let format =
            drive.take_any(&["format", "driver"]).or(probed).unwrap_or_else(|| self.guess(&medium, drive.span));
        medium.driver.set("type", format);
        medium.readonly |= drive.take_any(&["readonly", "read-only"]).is_some_and(|v| is_on(&v));
        if let Some(cache) = drive.take("cache") {
            medium.driver.set("cache", if cache == "off" { "none" } else { &cache });
        }
        medium.direct = drive.take_switch("cache.direct").or(medium.direct);
        medium.no_flush = drive.take_switch("cache.no-flush").or(medium.no_flush);
        if let Some(back) = drive.take_switch("cache.writeback") {
            let (direct, no_flush) = (medium.direct.take().unwrap_or(false), medium.no_flush.take());
            medium.driver.set(
                "cache",
                cache_mode(Some(direct), no_flush, Some(if back { "on" } else { "off" })).unwrap_or("writeback"),
            );
        }
        common(drive, &mut medium);
        self.command.mark(place);
        medium.left.push(std::mem::take(drive));
        Some(medium)
    }

    /// The format of an image whose format the command line leaves to QEMU: what its name says.
    fn guess(&mut self, medium: &Medium, span: Span) -> String {
        let Some(path) = medium.source.as_ref().and_then(|s| s.get("file")).map(str::to_string) else {
            return "raw".to_string();
        };
        let format = match path.rsplit('.').next().unwrap_or_default() {
            format @ ("qcow2" | "qed" | "vmdk" | "vdi" | "vhdx") => format,
            "vhd" => "vpc",
            "iso" | "raw" | "fd" => return "raw".to_string(),
            _ => {
                self.changed(span, format!("'{path}' has no format=: taken as raw, which QEMU would find out itself"));
                return "raw".to_string();
            }
        };
        self.changed(span, format!("'{path}' has no format=: {format}, by its name"));
        format.to_string()
    }

    /// What a file name of QEMU means.
    fn file(&mut self, name: Option<String>) -> Option<Medium> {
        let mut medium = Medium::new(Vec::new());
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
        } else if path.starts_with("/dev/") && !path.starts_with("/dev/shm/") {
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
        node.take("node-name");
        self.storage(&mut node, Medium::new(vec![place]))
    }

    /// The node below another: named, or within it.
    fn below(&mut self, node: &mut Options, medium: &mut Medium) -> Option<Options> {
        match node.take("file") {
            Some(name) => {
                let (place, mut below) = self.command.find_by("blockdev", "driver", "node-name", &name)?;
                medium.places.push(place);
                below.take("node-name");
                Some(below)
            }
            None => {
                let mut below = node.take_below("file.");
                below.take("node-name");
                Some(below)
            }
        }
    }

    /// A block node: a format over a protocol, or a protocol alone.
    fn storage(&mut self, node: &mut Options, mut medium: Medium) -> Option<Medium> {
        // libvirt and virtc write it for every image, and it changes nothing.
        node.same("auto-read-only", &["on"]);
        node.same("force-share", &["off"]);
        medium.readonly |= node.take("read-only").is_some_and(|v| is_on(&v));
        let driver = node.take("driver")?;
        medium.direct = node.take_switch("cache.direct").or(medium.direct);
        medium.no_flush = node.take_switch("cache.no-flush").or(medium.no_flush);
        match driver.as_str() {
            "copy-on-read" => {
                medium.driver.set("copy_on_read", "on");
                // It lets what is discarded pass; what becomes of it is said below.
                node.same("discard", &["unmap"]);
                common(node, &mut medium);
                let mut below = self.below(node, &mut medium)?;
                medium.left.push(std::mem::take(node));
                return self.storage(&mut below, medium);
            }
            "throttle" => {
                medium.groups.extend(node.take("throttle-group"));
                node.same("discard", &["unmap"]);
                common(node, &mut medium);
                let mut below = self.below(node, &mut medium)?;
                medium.left.push(std::mem::take(node));
                return self.storage(&mut below, medium);
            }
            _ => {}
        }
        let is_format = FORMATS.contains(&driver.as_str());
        if is_format || medium.driver.get("type").is_none() {
            common(node, &mut medium);
        }
        if is_format {
            if medium.driver.get("type").is_none() {
                medium.driver.set("type", if driver == "luks" { "raw" } else { &driver });
            }
            let encrypted = self.encryption(&driver, node);
            medium.inside.extend(encrypted);
            self.image_below(node, &mut medium)?;
            if let Some(data) = node.take("data-file") {
                let data = self.layer("dataStore", &data, &mut medium)?;
                medium.inside.push(data);
            }
            if let (Some(offset), Some(size)) = (node.get("offset"), node.get("size")) {
                let slice = Element::new("slice").attr("type", "storage").attr("offset", offset).attr("size", size);
                medium.slice = Some(slice);
                node.take("offset");
                node.take("size");
            }
            if let Some(size) = node.take_if("cache-size", |s| s.parse::<u64>().ok()) {
                let most = Element::leaf("max_size", size).attr("unit", "bytes");
                medium.driver.inside("metadata_cache").push(most);
            }
            let mut below = self.below(node, &mut medium)?;
            if below.is_empty() {
                return None;
            }
            medium.left.push(std::mem::take(node));
            return self.storage(&mut below, medium);
        }
        if medium.driver.get("type").is_none() {
            medium.driver.set("type", "raw");
        }
        if let Some(aio) = node.take("aio") {
            medium.driver.set("io", aio);
        }
        match driver.as_str() {
            "file" => medium.source = Some(Element::new("source").attr("file", self.path(&node.take("filename")?))),
            "host_device" | "host_cdrom" => {
                medium.kind = "block";
                medium.source = Some(Element::new("source").attr("dev", node.take("filename")?));
                if let Some(id) = node.take("pr-manager") {
                    let reservations = self.reservations(&id);
                    medium.inside.push(reservations);
                }
            }
            "vvfat" => {
                medium.kind = "dir";
                medium.driver.set("type", "fat");
                node.same("fat-type", &["0"]);
                // It follows from what the disk is.
                node.same("floppy", &["on", "off"]);
                node.same("label", &["QEMU VVFAT"]);
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
                        node.same("server.type", &["inet"]);
                    }
                }
                source.push(host);
                if let Some(id) = node.take("tls-creds") {
                    source.set("tls", "yes");
                    self.tls_credentials(&id, "nbd");
                }
                source = source.maybe("tlsHostname", node.take("tls-hostname"));
                if let Some(delay) = node.take("reconnect-delay") {
                    source.push(Element::new("reconnect").attr("delay", delay));
                }
                medium.source = Some(source);
            }
            "http" | "https" | "ftp" | "ftps" => {
                medium.kind = "network";
                let mut source = network(&node.take("url")?)?;
                if let Some(verify) = node.take_switch("sslverify") {
                    source.push(Element::new("ssl").attr("verify", if verify { "yes" } else { "no" }));
                }
                source.push_all(node.take("readahead").map(|size| Element::new("readahead").attr("size", size)));
                source.push_all(node.take("timeout").map(|seconds| Element::new("timeout").attr("seconds", seconds)));
                medium.source = Some(source);
                medium.inside.extend(self.login(node, "username", "iscsi"));
            }
            "gluster" | "nfs" | "ssh" => {
                medium.kind = "network";
                medium.source = Some(match driver.as_str() {
                    "gluster" => gluster(node)?,
                    "nfs" => nfs(node)?,
                    _ => ssh(node)?,
                });
            }
            "nvme" => {
                medium.kind = "nvme";
                medium.source = Some(nvme(node)?);
            }
            "rbd" => {
                medium.kind = "network";
                medium.source = Some(rbd(node)?);
                medium.inside.extend(self.rbd_encryption(node));
                medium.inside.extend(self.login(node, "user", "ceph"));
            }
            "iscsi" => {
                medium.kind = "network";
                medium.source = Some(iscsi(node)?);
                medium.inside.extend(self.login(node, "user", "iscsi"));
            }
            _ => return None,
        }
        // A protocol node below a format repeats what was decided above it.
        node.same("discard", &["unmap", "ignore", "on", "off"]);
        medium.left.push(std::mem::take(node));
        Some(medium)
    }

    /// `backing`: the image below another.
    fn image_below(&mut self, node: &mut Options, medium: &mut Medium) -> Option<()> {
        let Some(name) = node.take("backing") else { return Some(()) };
        if name == "null" {
            medium.backing = Some(Element::new("backingStore"));
            return Some(());
        }
        medium.backing = Some(self.layer("backingStore", &name, medium)?);
        Some(())
    }

    /// An image below another, by the name of its node.
    fn layer(&mut self, role: &'static str, name: &str, medium: &mut Medium) -> Option<Element> {
        let below = self.node(name)?;
        let mut element = Element::new(role).attr("type", below.kind);
        element.push(Element::new("format").attr("type", below.driver.get("type").unwrap_or("raw")));
        let mut source = below.source.unwrap_or_else(|| Element::new("source"));
        source.push_all(below.inside);
        if let Some(slice) = below.slice {
            source.inside("slices").push(slice);
        }
        element.push(source);
        element.push_all(below.backing);
        if let Some(cache) = below.driver.find("metadata_cache") {
            element.inside("format").push(cache.clone());
        }
        medium.places.extend(below.places);
        medium.left.extend(below.left);
        Some(element)
    }

    /// `<encryption>` of an image.
    fn encryption(&mut self, driver: &str, node: &mut Options) -> Option<Element> {
        let (format, key) = match driver {
            "luks" => ("luks", node.take("key-secret")?),
            _ => {
                let format = match node.take("encrypt.format")?.as_str() {
                    "aes" => "qcow",
                    _ => "luks",
                };
                (format, node.take("encrypt.key-secret")?)
            }
        };
        Some(Element::new("encryption").attr("format", format).child(self.secret(&key, "passphrase")))
    }

    /// `<encryption>` of an image that Ceph's library opens, with those of its parents.
    fn rbd_encryption(&mut self, node: &mut Options) -> Option<Element> {
        let mut layer = node.take_below("encrypt.");
        let format = layer.take("format")?;
        let mut out = Element::new("encryption").attr("format", format).attr("engine", "librbd");
        loop {
            if let Some(key) = layer.take("key-secret") {
                let secret = self.secret(&key, "passphrase");
                out.push(secret);
            }
            let mut parent = layer.take_below("parent.");
            node.graft("encrypt.", layer);
            if parent.take("format").is_none() {
                return Some(out);
            }
            layer = parent;
        }
    }

    /// `<auth>`
    fn login(&mut self, node: &mut Options, user: &str, kind: &str) -> Option<Element> {
        let key = node.take_any(&["password-secret", "key-secret"])?;
        // What Ceph is asked for wherever there is a key.
        let methods = node.take_below("auth-client-required.");
        for (key, value, span) in methods.into_rest() {
            if !matches!(value.as_str(), "cephx" | "none") {
                self.left_out(span, format!("auth-client-required.{key}={value} of a disk"));
            }
        }
        let name = node.take(user).unwrap_or_default();
        Some(Element::new("auth").attr("username", name).child(self.secret(&key, kind)))
    }

    /// `<reservations>`
    fn reservations(&mut self, id: &str) -> Element {
        let own = Element::new("reservations").attr("managed", "yes");
        let Some((place, helper)) = self.command.find_by("object", "qom-type", "id", id) else { return own };
        self.command.mark(place);
        let path = helper.get("path").unwrap_or_default();
        // The helper was started for this guest, and is started for it again.
        if id == "pr-helper0" || path.is_empty() {
            return own;
        }
        let source = Element::new("source").attr("type", "unix").attr("path", self.path(path)).attr("mode", "client");
        Element::new("reservations").attr("managed", "no").child(source)
    }

    /// The groups of limits of a disk. One that only it has are its own limits; others are groups of the domain.
    fn limits(&mut self, disk: &mut Element, groups: Vec<String>, device: Option<&str>) -> Vec<(&'static str, String)> {
        let mut own: Vec<(&'static str, String)> = Vec::new();
        let mut filters = Element::new("throttlefilters");
        for (at, id) in groups.into_iter().enumerate() {
            let Some((place, group)) = self.group(&id) else { continue };
            let name = id.strip_prefix("throttle-").unwrap_or(&id).to_string();
            let shared = name.strip_prefix("iotune-");
            let users = self
                .command
                .values("blockdev")
                .filter(|b| b.contains(&format!("\"{id}\"")) || b.contains(&format!("={id}")))
                .count();
            let alone = Some(name.as_str()) == device || !id.starts_with("throttle-");
            if at == 0 && own.is_empty() && (alone || shared.is_some()) {
                own = group.clone();
                let shared = shared.or((users > 1).then_some(name.as_str()));
                own.extend(shared.map(|name| ("group_name", name.to_string())));
                self.command.mark(place);
                continue;
            }
            self.command.mark(place);
            // The lowest comes first.
            filters.insert(Element::new("throttlefilter").attr("group", &name));
            self.keep_group(place, &name, group);
        }
        if !filters.is_empty() {
            disk.push(filters);
        }
        own
    }

    /// Place and limits of a group.
    fn group(&mut self, id: &str) -> Option<(usize, Vec<(&'static str, String)>)> {
        let (place, mut group) = self.command.any_by("object", "qom-type", "id", id)?;
        if group.get("qom-type") != Some("throttle-group") {
            return None;
        }
        group.take("qom-type");
        group.take("id");
        let mut limits = group.take_below("x-");
        limits.graft("", group.take_below("limits."));
        let mut out = Vec::new();
        for (key, name) in LIMITS {
            if let Some(value) = limits.take(key).filter(|v| v != "0") {
                out.push((*name, value));
            }
        }
        self.leave(&format!("the limits '{id}'"), limits);
        self.leave(&format!("the limits '{id}'"), group);
        Some((place, out))
    }

    /// Limits that no disk is under yet are kept for those that get under them.
    pub fn idle_groups(&mut self) {
        for (place, group) in self.command.find("object", "qom-type") {
            let (Some("throttle-group"), Some(id)) = (group.get("qom-type"), group.get("id")) else { continue };
            let Some((_, limits)) = self.group(id) else { continue };
            let name = id.strip_prefix("throttle-").unwrap_or(id);
            self.command.mark(place);
            self.keep_group(place, name, limits);
        }
    }

    /// A group of the domain, in the order of the command line.
    fn keep_group(&mut self, place: usize, name: &str, limits: Vec<(&'static str, String)>) {
        self.groups.entry(place).or_insert_with(|| {
            let mut element = Element::new("throttlegroup").child(Element::leaf("group_name", name));
            element.push_all(limits.into_iter().map(|(name, value)| Element::leaf(name, value)));
            element
        });
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
        let (mut transient, mut slice) = (self.snapshot && bay.device == "disk", None);
        let mut driver = Element::new("driver").attr("name", "qemu").attr("type", "raw");
        let mut source = None;
        let (mut backing, mut throttle, mut readonly, mut groups) = (None, Vec::new(), false, Vec::new());
        let mut inside = Vec::new();
        if medium.is_none() && device.same("write-cache", &["on"]) {
            driver.set("cache", "writeback");
        }
        if let Some(mut medium) = medium {
            let what = medium.source.as_ref().map(|s| s.get("file").or(s.get("dev")).unwrap_or("a disk").to_string());
            let what = what.unwrap_or_else(|| "a disk without an image".to_string());
            std::mem::take(&mut medium.left).into_iter().for_each(|left| self.leave(&what, left));
            transient |= medium.transient && !medium.readonly;
            slice = medium.slice.take();
            groups = std::mem::take(&mut medium.groups);
            inside = std::mem::take(&mut medium.inside);
            medium.places.iter().for_each(|&p| self.command.mark(p));
            driver = medium.driver;
            if let Some(cache) = cache_mode(medium.direct, medium.no_flush, device.get("write-cache")) {
                driver.set("cache", cache);
                device.take("write-cache");
            } else if medium.places.len() > 1 {
                // libvirt says on where nothing was asked for.
                device.same("write-cache", &["on"]);
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
        if bay.bus == "virtio" {
            self.thread_queues(&mut driver, &mut device);
            for (key, name) in [("num-queues", "queues"), ("queue-size", "queue_size")] {
                if let Some(value) = device.take(key) {
                    driver.set(name, value);
                }
            }
            for key in ["ioeventfd", "event_idx"] {
                if let Some(state) = device.take_on_off(key) {
                    driver.set(key, state);
                }
            }
            self.virtio(&mut driver, &mut device);
        }
        disk.push(driver);
        if let (Some(source), Some(slice)) = (source.as_mut(), slice) {
            source.inside("slices").push(slice);
        }
        if !inside.is_empty() {
            source.get_or_insert_with(|| Element::new("source")).push_all(inside);
        }
        source.into_iter().for_each(|s| disk.push(s));
        backing.into_iter().for_each(|b| disk.push(b));
        let numbers = |device: &mut Options, key: &str| device.take(key).and_then(|n| n.parse::<usize>().ok());
        let bus = device.get("bus").map(str::to_string);
        // The number in an id of libvirt's or virtc's is that of the disk.
        let own = device
            .get("id")
            .and_then(|id| id.strip_prefix("virtio-disk").or(id.strip_prefix("usb-disk"))?.parse::<usize>().ok());
        let wanted = wanted.or(own);
        let mut address = Element::new("address").attr("type", "drive");
        let mut target = wanted;
        let (mut addressed, mut on_ahci) = (false, bay.bus == "ide" && self.express);
        match bay.bus {
            "ide" => {
                let unit = numbers(&mut device, "unit").unwrap_or(0);
                let (id, port) = bus.as_deref().and_then(|b| b.rsplit_once('.')).unwrap_or(("", ""));
                let controller = self.controllers.get(&("sata", id.to_string())).copied();
                if let Ok(port) = port.parse::<usize>() {
                    device.take("bus");
                    // On a machine with AHCI every port is a channel of its own.
                    on_ahci = controller.is_some() || self.express && id == "ide";
                    let first = if on_ahci { controller.unwrap_or(0) as usize * 6 } else { 0 };
                    target = Some(if on_ahci { first + port } else { port * 2 + unit });
                    let place = if on_ahci { (controller.unwrap_or(0), 0, port) } else { (0, port, unit) };
                    address = address
                        .attr("controller", place.0)
                        .attr("bus", place.1)
                        .attr("target", 0)
                        .attr("unit", place.2);
                    addressed = true;
                } else if bus.as_deref().is_some_and(|b| self.controllers.contains_key(&("sata", b.to_string()))) {
                    device.take("bus");
                }
            }
            "scsi" => {
                let id = bus.as_deref().and_then(|b| b.strip_suffix(".0")).map(str::to_string);
                let controller = id.and_then(|id| self.controllers.get(&("scsi", id)).copied());
                let (channel, unit, lun) =
                    (numbers(&mut device, "channel"), numbers(&mut device, "scsi-id"), numbers(&mut device, "lun"));
                device.take("bus");
                let narrow = controller.map_or(self.arch() == "sparc", |c| self.narrow_scsi.contains(&c));
                let (place, target_id) = if narrow { (unit, None) } else { (lun, unit) };
                if controller.is_some() || place.is_some() || target_id.is_some() {
                    address.set("controller", controller.unwrap_or(0));
                    address.set("bus", channel.unwrap_or(0));
                    address.set("target", target_id.unwrap_or(0));
                    address.set("unit", place.unwrap_or(0));
                    addressed = true;
                }
                if controller.is_none() && bus.as_deref().is_some_and(|b| b != "scsi.0" && b != "scsi0.0") {
                    self.changed(device.span, format!("bus={} is left to virtc", bus.as_deref().unwrap_or_default()));
                }
                let given = device.get("device_id").map(str::to_string);
                if given.is_some_and(|g| g.starts_with("drive-") || Some(g.as_str()) == device.get("serial")) {
                    device.take("device_id");
                }
            }
            "fdc" => {
                target = numbers(&mut device, "unit").or(target);
                device.same("bus", &["floppy-bus.0"]);
                let boot = self.floppy_boot.get(target.unwrap_or(0)).copied().flatten();
                if let Some(index) = boot {
                    device.set("bootindex", index.to_string());
                }
            }
            _ => {}
        }
        let (bus, prefix) = if on_ahci { ("sata", "sd") } else { (bay.bus, bay.prefix) };
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
        if transient {
            disk.push(Element::new("transient"));
        }
        if readonly && bay.device != "cdrom" {
            disk.push(Element::new("readonly"));
        }
        if device.take_switch("share-rw") == Some(true) {
            disk.push(Element::new("shareable"));
        }
        for (key, name) in [("serial", "serial"), ("wwn", "wwn"), ("vendor", "vendor"), ("product", "product")] {
            if let Some(value) = device.take(key) {
                // JSON may hold the name of a disk as a number.
                let value = match value.parse::<u64>() {
                    Ok(number) if name == "wwn" => format!("{number:016x}"),
                    _ => value.trim_start_matches("0x").to_string(),
                };
                disk.push(Element::leaf(name, value));
            }
        }
        let mut io = Element::new("blockio");
        for key in ["logical_block_size", "physical_block_size", "discard_granularity"] {
            io = io.maybe(key, device.take(key));
        }
        if !io.is_empty() {
            disk.push(io);
        }
        throttle.extend(self.limits(&mut disk, groups, device.get("id")));
        if !throttle.is_empty() {
            let all = throttle.into_iter().map(|(name, value)| Element::leaf(name, value));
            disk.push(all.fold(Element::new("iotune"), Element::child));
        }
        if addressed {
            disk.push(address);
        }
        device.same("hotplugged", &["off"]);
        self.frontend(&mut disk, frontend, device);
        self.devices.push(disk);
    }
}

/// Formats of images.
const FORMATS: &[&str] =
    &["raw", "luks", "parallels", "qcow2", "qcow", "qed", "vmdk", "vdi", "vhdx", "vpc", "bochs", "cloop", "dmg"];

/// `<source>` of a drive of the host.
fn nvme(node: &mut Options) -> Option<Element> {
    let device = node.take("device")?;
    let mut parts = device.rsplit(':');
    let (slot, function) = parts.next()?.split_once('.')?;
    let (bus, domain) = (parts.next()?, parts.next().unwrap_or("0000"));
    let address = Element::new("address")
        .attr("domain", format!("0x{domain}"))
        .attr("bus", format!("0x{bus}"))
        .attr("slot", format!("0x{slot}"))
        .attr("function", format!("0x{function}"));
    let source =
        Element::new("source").attr("type", "pci").attr("managed", "yes").maybe("namespace", node.take("namespace"));
    Some(source.child(address))
}

/// `<source>` of an image in Ceph.
fn rbd(node: &mut Options) -> Option<Element> {
    let (pool, image) = (node.get("pool")?.to_string(), node.get("image")?.to_string());
    node.take("pool");
    node.take("image");
    let name = match node.take("namespace") {
        Some(space) => format!("{pool}/{space}/{image}"),
        None => format!("{pool}/{image}"),
    };
    let mut source = Element::new("source").attr("protocol", "rbd").attr("name", name);
    for i in 0.. {
        let mut server = node.take_below(&format!("server.{i}."));
        let Some(host) = server.take("host") else { break };
        source.push(Element::new("host").attr("name", host).maybe("port", server.take("port")));
    }
    source.push_all(node.take("snapshot").map(|s| Element::new("snapshot").attr("name", s)));
    source.push_all(node.take("conf").map(|c| Element::new("config").attr("file", c)));
    Some(source)
}

/// A server, in either of QEMU's notations.
fn host(server: &mut Options) -> Option<Element> {
    let kind = server.take("type");
    if kind.as_deref() == Some("unix") {
        return Some(
            Element::new("host").attr("transport", "unix").attr("socket", server.take_any(&["path", "socket"])?),
        );
    }
    Some(Element::new("host").attr("name", server.take("host")?).maybe("port", server.take("port")))
}

/// `<source>` of an image on Gluster.
fn gluster(node: &mut Options) -> Option<Element> {
    let name = format!("{}/{}", node.get("volume")?, node.get("path")?);
    node.take("volume");
    node.take("path");
    let mut source = Element::new("source").attr("protocol", "gluster").attr("name", name);
    for i in 0.. {
        let mut server = node.take_below(&format!("server.{i}."));
        let Some(host) = host(&mut server) else { break };
        source.push(host);
    }
    // How much its library tells is a matter of the host.
    node.same("debug", &["4"]);
    Some(source)
}

/// `<source>` of an image on NFS.
fn nfs(node: &mut Options) -> Option<Element> {
    let mut server = node.take_below("server.");
    let mut source = Element::new("source").attr("protocol", "nfs").attr("name", node.take("path")?);
    source.push(host(&mut server)?);
    let (user, group) = (node.take("user"), node.take("group"));
    if user.is_some() || group.is_some() {
        let number = |name: Option<String>| name.map(|name| format!("+{name}"));
        source.push(Element::new("identity").maybe("user", number(user)).maybe("group", number(group)));
    }
    Some(source)
}

/// `<source>` of an image behind SSH.
fn ssh(node: &mut Options) -> Option<Element> {
    let mut server = node.take_below("server.");
    let mut source = Element::new("source").attr("protocol", "ssh").attr("name", node.take("path")?);
    source.push(host(&mut server)?);
    source.push_all(node.take("user").map(|user| Element::new("identity").attr("username", user)));
    Some(source)
}

/// `<source>` of a unit of an iSCSI target.
fn iscsi(node: &mut Options) -> Option<Element> {
    let (portal, target) = (node.take("portal")?, node.take("target")?);
    let lun = node.take("lun").unwrap_or_else(|| "0".to_string());
    node.same("transport", &["tcp"]);
    let (host, port) = portal.rsplit_once(':').map_or((portal.as_str(), None), |(h, p)| (h, Some(p)));
    let mut source = Element::new("source").attr("protocol", "iscsi").attr("name", format!("{target}/{lun}"));
    source.push(Element::new("host").attr("name", host.trim_matches(['[', ']'])).maybe("port", port));
    if let Some(name) = node.take("initiator-name") {
        source.push(Element::new("initiator").child(Element::new("iqn").attr("name", name)));
    }
    Some(source)
}

/// Limits: QEMU's name, the element of `<iotune>`.
const LIMITS: &[(&str, &str)] = &[
    ("bps-total", "total_bytes_sec"),
    ("bps-read", "read_bytes_sec"),
    ("bps-write", "write_bytes_sec"),
    ("iops-total", "total_iops_sec"),
    ("iops-read", "read_iops_sec"),
    ("iops-write", "write_iops_sec"),
    ("bps-total-max", "total_bytes_sec_max"),
    ("bps-read-max", "read_bytes_sec_max"),
    ("bps-write-max", "write_bytes_sec_max"),
    ("iops-total-max", "total_iops_sec_max"),
    ("iops-read-max", "read_iops_sec_max"),
    ("iops-write-max", "write_iops_sec_max"),
    ("bps-total-max-length", "total_bytes_sec_max_length"),
    ("bps-read-max-length", "read_bytes_sec_max_length"),
    ("bps-write-max-length", "write_bytes_sec_max_length"),
    ("iops-total-max-length", "total_iops_sec_max_length"),
    ("iops-read-max-length", "read_iops_sec_max_length"),
    ("iops-write-max-length", "write_iops_sec_max_length"),
    ("iops-size", "size_iops_sec"),
];

/// Options that drives and block nodes share.
fn common(options: &mut Options, medium: &mut Medium) {
    let protocol = options.get("filename").is_some();
    for (key, name) in [
        ("aio", "io"),
        ("discard", "discard"),
        ("detect-zeroes", "detect_zeroes"),
        ("werror", "error_policy"),
        ("rerror", "rerror_policy"),
        ("copy-on-read", "copy_on_read"),
        ("discard-no-unref", "discard_no_unref"),
    ] {
        if matches!(key, "aio" | "discard") && protocol && medium.driver.get("type").is_some() {
            continue;
        }
        if let Some(value) = options.take(key)
            && medium.driver.get(name).is_none()
        {
            let value = match (key, switch(&value)) {
                ("discard", Some(on)) => if on { "unmap" } else { "ignore" }.to_string(),
                (_, Some(on)) => if on { "on" } else { "off" }.to_string(),
                (_, None) if value == "enospc" => "enospace".to_string(),
                _ => value,
            };
            medium.driver.set(name, value);
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
        _ if super::controllers::bare(driver) == "virtio-blk" => ("disk", "virtio", "vd"),
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
        // A disk that cannot be written is the nearest to it.
        ("virtio", true) => "disk",
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
