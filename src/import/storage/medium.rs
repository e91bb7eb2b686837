//! What a disk holds: a drive, or a chain of block nodes.

use super::super::Import;
use super::super::element::Element;
use super::super::options::{Options, is_on, switch};
use super::protocols::{gluster, host, iscsi, network, nfs, nvme, rbd, ssh};
use crate::diag::Span;

/// What a drive or a chain of block nodes holds.
pub(super) struct Medium {
    /// `type` of `<disk>`.
    pub(super) kind: &'static str,
    pub(super) source: Option<Element>,
    /// `<driver>`
    pub(super) driver: Element,
    /// `<backingStore>`, if the command line names one.
    pub(super) backing: Option<Element>,
    pub(super) readonly: bool,
    /// Arguments that are used up with it.
    pub(super) places: Vec<usize>,
    /// Whether the host's cache is bypassed, and whether flushes are ignored.
    pub(super) direct: Option<bool>,
    pub(super) no_flush: Option<bool>,
    pub(super) throttle: Vec<(&'static str, String)>,
    /// Groups of limits above the image, the topmost first.
    pub(super) groups: Vec<String>,
    /// Children of `<source>` that are not about where it is: credentials, encryption, reservations.
    pub(super) inside: Vec<Element>,
    /// Whether writes are thrown away at the end.
    pub(super) transient: bool,
    /// `<slices>`
    pub(super) slice: Option<Element>,
    /// What the format has no place for.
    pub(super) left: Vec<Options>,
}

impl Medium {
    pub(super) fn new(places: Vec<usize>) -> Medium {
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

    /// `<source>` with what is inside, and `<backingStore>`.
    pub(super) fn images(&mut self) -> Vec<Element> {
        let mut source = self.source.take();
        if let (Some(source), Some(slice)) = (source.as_mut(), self.slice.take()) {
            source.inside("slices").push(slice);
        }
        let inside = std::mem::take(&mut self.inside);
        if !inside.is_empty() {
            source.get_or_insert_with(|| Element::new("source")).push_all(inside);
        }
        source.into_iter().chain(self.backing.take()).collect()
    }
}

/// Formats of images.
const FORMATS: &[&str] =
    &["raw", "luks", "parallels", "qcow2", "qcow", "qed", "vmdk", "vdi", "vhdx", "vpc", "bochs", "cloop", "dmg"];

impl Import {
    pub(super) fn medium(&mut self, id: &str) -> Option<Medium> {
        match self.command.find_by("drive", "", "id", id) {
            Some((place, mut drive)) => {
                ["if", "id", "index", "bus", "unit"].iter().for_each(|key| drop(drive.take(key)));
                self.drive(&mut drive, place)
            }
            None => self.node(id),
        }
    }

    /// The options of a `-drive`. None, and nothing used, if its file is of a kind that the format does not know.
    pub(super) fn drive(&mut self, drive: &mut Options, place: usize) -> Option<Medium> {
        let below = drive.get("file").is_none() && drive.get("file.driver").is_some();
        let mut medium = match below {
            true => {
                let mut file = drive.take_below("file.");
                self.storage(&mut file, Medium::new(Vec::new()))?
            }
            false => self.file(drive.get("file").or(drive.get("file.filename")).map(str::to_string), drive.span)?,
        };
        drive.take("file");
        drive.take("file.filename");
        medium.places.push(place);
        // `media` says which device it is, and that is said.
        drive.same("media", &["disk", "cdrom"]);
        medium.transient = drive.take_switch("snapshot") == Some(true);
        drive.same("file.locking", &["auto"]);
        // A folder is a disk of FAT, whatever is said of the format above it.
        let folder = medium.kind == "dir";
        let probed = medium.driver.get("type").map(str::to_string).filter(|_| !below || folder);
        let format = drive
            .take_any(&["format", "driver"])
            .filter(|_| !folder)
            .or(probed)
            .unwrap_or_else(|| self.guess(&medium, drive.span));
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
    fn file(&mut self, name: Option<String>, span: Span) -> Option<Medium> {
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
            // The format knows them without writing, which QEMU's own documentation calls unsafe.
            medium.readonly = true;
            if writable {
                self.left_out(
                    span,
                    format!("'rw:' of {name}: what the guest writes would change the folder {directory}"),
                );
            }
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
    pub(super) fn node(&mut self, name: &str) -> Option<Medium> {
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
        self.protocol(&driver, node, &mut medium)?;
        // A protocol node below a format repeats what was decided above it.
        node.same("discard", &["unmap", "ignore", "on", "off"]);
        medium.left.push(std::mem::take(node));
        Some(medium)
    }

    /// What a node at the bottom of a chain reaches.
    fn protocol(&mut self, driver: &str, node: &mut Options, medium: &mut Medium) -> Option<()> {
        medium.kind = match driver {
            "file" => "file",
            "host_device" | "host_cdrom" => "block",
            "vvfat" => "dir",
            "nvme" => "nvme",
            _ => "network",
        };
        match driver {
            "file" => medium.source = Some(Element::new("source").attr("file", self.path(&node.take("filename")?))),
            "host_device" | "host_cdrom" => {
                medium.source = Some(Element::new("source").attr("dev", node.take("filename")?));
                if let Some(id) = node.take("pr-manager") {
                    let reservations = self.reservations(&id);
                    medium.inside.push(reservations);
                }
            }
            "vvfat" => {
                medium.driver.set("type", "fat");
                node.same("fat-type", &["0"]);
                // It follows from what the disk is.
                node.same("floppy", &["on", "off"]);
                node.same("label", &["QEMU VVFAT"]);
                medium.readonly = node.take_switch("rw") != Some(true);
                medium.source = Some(Element::new("source").attr("dir", node.take("dir")?));
            }
            "nbd" => medium.source = Some(self.nbd(node)?),
            "http" | "https" | "ftp" | "ftps" => {
                let mut source = network(&node.take("url")?)?;
                if let Some(verify) = node.take_switch("sslverify") {
                    source.push(Element::new("ssl").attr("verify", if verify { "yes" } else { "no" }));
                }
                source.push_all(node.take("readahead").map(|size| Element::new("readahead").attr("size", size)));
                source.push_all(node.take("timeout").map(|seconds| Element::new("timeout").attr("seconds", seconds)));
                medium.source = Some(source);
                medium.inside.extend(self.login(node, "username", "iscsi"));
            }
            "gluster" => medium.source = Some(gluster(node)?),
            "nfs" => medium.source = Some(nfs(node)?),
            "ssh" => medium.source = Some(ssh(node)?),
            "nvme" => medium.source = Some(nvme(node)?),
            "rbd" => {
                medium.source = Some(rbd(node)?);
                medium.inside.extend(self.rbd_encryption(node));
                medium.inside.extend(self.login(node, "user", "ceph"));
            }
            "iscsi" => {
                medium.source = Some(iscsi(node)?);
                medium.inside.extend(self.login(node, "user", "iscsi"));
            }
            _ => return None,
        }
        Some(())
    }

    fn nbd(&mut self, node: &mut Options) -> Option<Element> {
        let mut source = Element::new("source").attr("protocol", "nbd").maybe("name", node.take("export"));
        let mut server = node.take_below("server.");
        source.push(host(&mut server)?);
        node.graft("server.", server);
        if let Some(id) = node.take("tls-creds") {
            source.set("tls", "yes");
            self.tls_credentials(&id, "nbd");
        }
        source = source.maybe("tlsHostname", node.take("tls-hostname"));
        if let Some(delay) = node.take("reconnect-delay") {
            source.push(Element::new("reconnect").attr("delay", delay));
        }
        Some(source)
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
}

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
pub(super) fn cache_mode(
    direct: Option<bool>,
    no_flush: Option<bool>,
    write_cache: Option<&str>,
) -> Option<&'static str> {
    let (direct, no_flush) = (direct?, no_flush.unwrap_or(false));
    Some(match (direct, no_flush, write_cache.is_none_or(is_on)) {
        (_, true, _) => "unsafe",
        (true, false, true) => "none",
        (true, false, false) => "directsync",
        (false, false, true) => "writeback",
        (false, false, false) => "writethrough",
    })
}
