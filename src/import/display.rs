//! Screens, video, sound.

use super::Import;
use super::element::Element;
use super::options::Options;

impl Import {
    /// All displays, video devices, sound devices and audio backends.
    pub fn displays(&mut self) {
        self.audio();
        self.graphics();
        self.video();
    }

    fn graphics(&mut self) {
        for (_, value) in self.command.take(&["vnc"]) {
            match self.vnc(&value) {
                Some(vnc) => self.devices.push(vnc),
                None => self.through("vnc", &value),
            }
        }
        for (_, value) in self.command.take(&["spice"]) {
            match spice(&value) {
                Some(spice) => self.devices.push(spice),
                None => self.through("spice", &value),
            }
        }
        if self.command.take_switch("sdl") {
            self.devices.push(Element::new("graphics").attr("type", "sdl"));
        }
        let windowed = self.command.take_switch("gtk") | self.command.take_switch("curses");
        if windowed {
            self.note("left out: the window of QEMU itself; add <graphics> for a way to see the screen");
        }
        for (_, value) in self.command.take(&["display"]) {
            let mut options = Options::parse(&value, "type");
            match options.take("type").as_deref() {
                Some("none") => self.headless = true,
                Some("vnc") => self.note(format!("left out: -display {value}")),
                Some("egl-headless") => {
                    let mut graphics = Element::new("graphics").attr("type", "egl-headless");
                    if let Some(node) = options.take("rendernode") {
                        graphics.push(Element::new("gl").attr("rendernode", node));
                    }
                    self.devices.push(graphics);
                }
                Some("sdl") => self.devices.push(Element::new("graphics").attr("type", "sdl")),
                _ => self.note(format!("left out: -display {value}; add <graphics> for a way to see the screen")),
            }
        }
        if let Some(keymap) = self.command.take_last("k") {
            for graphics in self.devices.iter_mut().filter(|d| matches!(d.get("type"), Some("vnc" | "spice"))) {
                graphics.set("keymap", &keymap);
            }
        }
    }

    fn vnc(&mut self, value: &str) -> Option<Element> {
        let mut options = Options::parse(value, "vnc");
        let place = options.take("vnc")?;
        let mut vnc = Element::new("graphics").attr("type", "vnc");
        if let Some(path) = place.strip_prefix("unix:") {
            vnc.push(Element::new("listen").attr("type", "socket").attr("socket", path));
        } else if place == "none" {
            vnc.push(Element::new("listen").attr("type", "none"));
        } else {
            let (host, display) = place.rsplit_once(':')?;
            if options.take("to").is_some() {
                vnc.set("autoport", "yes");
            } else {
                vnc.set("port", display.parse::<i64>().ok()? + 5900);
                vnc.set("autoport", "no");
            }
            let host = host.trim_matches(['[', ']']);
            vnc.push(
                Element::new("listen")
                    .attr("type", "address")
                    .attr("address", if host.is_empty() { "0.0.0.0" } else { host }),
            );
        }
        if let Some(port) = options.take("websocket").and_then(|w| w.parse::<u32>().ok()) {
            vnc.set("websocket", port);
        }
        if let Some(share) = options.take("share") {
            vnc.set("sharePolicy", share);
        }
        if let Some(id) = options.take("audiodev").and_then(|id| self.audio_number(&id)) {
            vnc.push(Element::new("audio").attr("id", id));
        }
        if options.take_switch("power-control") == Some(true) {
            vnc.set("powerControl", "yes");
        }
        options.is_empty().then_some(vnc)
    }

    fn video(&mut self) {
        let mut found = false;
        for (place, mut device) in self.command.find("device", "driver") {
            let Some((model, primary)) = device.get("driver").and_then(video) else { continue };
            self.command.mark(place);
            device.take("driver");
            let mut element = Element::new("model").attr("type", model);
            let kib = |device: &mut Options, key: &str, scale: u64| {
                device.take(key).and_then(|n| n.parse::<u64>().ok()).map(|n| n * scale / 1024)
            };
            for (key, name, scale) in [
                ("vgamem_mb", if model == "qxl" { "vgamem" } else { "vram" }, 1 << 20),
                ("ram_size", "ram", 1),
                ("vram_size", "vram", 1),
                ("vram64_size_mb", "vram64", 1 << 20),
            ] {
                if let Some(size) = kib(&mut device, key, scale).filter(|s| *s > 0) {
                    element.set(name, size);
                }
            }
            if let Some(heads) = device.take("max_outputs") {
                element.set("heads", heads);
            }
            if let (Some(x), Some(y)) = (device.take("xres"), device.take("yres")) {
                element.push(Element::new("resolution").attr("x", x).attr("y", y));
            }
            if primary && found {
                self.note(format!("two primary video devices: the second, {model}, becomes the first's companion"));
            } else if primary {
                element.set("primary", "yes");
                found = true;
            }
            let mut video = Element::new("video").child(element);
            self.frontend(&mut video, device);
            self.devices.push(video);
            self.has_video = true;
        }
        let named = self.command.take_last("vga");
        let kind = match named.as_deref() {
            Some("none") => None,
            Some("std") => Some("vga"),
            Some("cirrus") => Some("cirrus"),
            Some("qxl") => Some("qxl"),
            Some("virtio") => Some("virtio"),
            Some("vmware") => Some("vmvga"),
            Some(other) => {
                let other = other.to_string();
                self.through("vga", &other);
                None
            }
            // QEMU's own default, unless there are to be none.
            None => (self.bare && !self.has_video && !self.headless && self.arch().ends_with("86_64")).then_some("vga"),
        };
        if let Some(kind) = kind {
            let model = Element::new("model").attr("type", kind).attr("primary", "yes");
            self.devices.push(Element::new("video").child(model));
            self.has_video = true;
        }
        if !self.has_video && self.devices.iter().any(|d| d.name() == "graphics") {
            self.devices.push(Element::new("video").child(Element::new("model").attr("type", "none")));
        }
    }

    /// The number of an audio backend.
    fn audio_number(&self, id: &str) -> Option<usize> {
        self.audio.iter().position(|known| known == id).map(|i| i + 1)
    }

    fn audio(&mut self) {
        for (place, mut backend) in self.command.find("audiodev", "driver") {
            let (Some(driver), Some(id)) = (backend.take("driver"), backend.take("id")) else { continue };
            let kind = match driver.as_str() {
                "pa" => "pulseaudio",
                "alsa" | "coreaudio" | "dbus" | "jack" | "none" | "oss" | "pipewire" | "sdl" | "spice" => {
                    driver.as_str()
                }
                "wav" => "file",
                _ => continue,
            };
            let mut element = Element::new("audio").attr("id", self.audio.len() + 1).attr("type", kind);
            if let Some(period) = backend.take("timer-period") {
                element.set("timerPeriod", period);
            }
            if let Some(server) = backend.take("server") {
                element.set("serverName", server);
            }
            if let Some(path) = backend.take("path") {
                element.set("path", path);
            }
            if !backend.is_empty() {
                let rest: Vec<String> = backend.into_rest().into_iter().map(|(k, v)| format!("{k}={v}")).collect();
                self.note(format!("left out: properties of the audio backend '{id}': {}", rest.join(",")));
            }
            self.command.mark(place);
            self.audio.push(id);
            self.devices.push(element);
        }
        // Codecs belong to the controller whose bus they are on.
        let mut codecs = self.command.find("device", "driver");
        codecs.retain(|(_, d)| matches!(d.get("driver"), Some("hda-duplex" | "hda-micro" | "hda-output")));
        for (place, mut device) in self.command.find("device", "driver") {
            let model = match device.get("driver") {
                Some("intel-hda") => "ich6",
                Some("ich9-intel-hda") => "ich9",
                Some("AC97") => "ac97",
                Some("ES1370") => "es1370",
                Some("sb16") => "sb16",
                Some("usb-audio") => "usb",
                Some("virtio-sound-pci") => "virtio",
                _ => continue,
            };
            self.command.mark(place);
            device.take("driver");
            let mut sound = Element::new("sound").attr("model", model);
            let bus = device.get("id").map(|id| format!("{id}.0"));
            let mut audiodev = device.take("audiodev");
            for (place, codec) in &codecs {
                if codec.get("bus").is_none_or(|b| Some(b) == bus.as_deref()) && model.starts_with("ich") {
                    let kind = match codec.get("driver") {
                        Some("hda-micro") => "micro",
                        Some("hda-output") => "output",
                        _ => "duplex",
                    };
                    sound.push(Element::new("codec").attr("type", kind));
                    audiodev = audiodev.or_else(|| codec.get("audiodev").map(str::to_string));
                    self.command.mark(*place);
                }
            }
            codecs.retain(|(_, c)| c.get("bus").is_some_and(|b| Some(b) != bus.as_deref()));
            if let Some(number) = audiodev.and_then(|id| self.audio_number(&id)) {
                sound.push(Element::new("audio").attr("id", number));
            }
            self.frontend(&mut sound, device);
            self.devices.push(sound);
        }
        for (_, value) in self.command.take(&["soundhw"]) {
            for name in value.split(',') {
                let model = match name {
                    "hda" => "ich6",
                    "ac97" => "ac97",
                    "es1370" => "es1370",
                    "sb16" => "sb16",
                    _ => {
                        self.note(format!("left out: -soundhw {name}"));
                        continue;
                    }
                };
                self.devices.push(Element::new("sound").attr("model", model));
            }
        }
    }
}

fn spice(value: &str) -> Option<Element> {
    let mut options = Options::parse(value, "");
    let mut spice = Element::new("graphics").attr("type", "spice");
    if let Some(port) = options.take("port") {
        spice.set("port", port);
    }
    if let Some(port) = options.take("tls-port") {
        spice.set("tlsPort", port);
    }
    spice.set("autoport", "no");
    let address = options.take("addr");
    if options.take_switch("unix") == Some(true) {
        spice.push(Element::new("listen").attr("type", "socket").attr("socket", address?));
    } else {
        let listen = Element::new("listen").attr("type", "address");
        spice.push(listen.attr("address", address.unwrap_or_else(|| "0.0.0.0".to_string())));
    }
    // Without tickets is how a domain without a password is.
    if options.take_switch("disable-ticketing") != Some(true) {
        return None;
    }
    options.forget_default("seamless-migration", "on");
    for (key, name, attr) in [
        ("image-compression", "image", "compression"),
        ("jpeg-wan-compression", "jpeg", "compression"),
        ("zlib-glz-wan-compression", "zlib", "compression"),
        ("streaming-video", "streaming", "mode"),
    ] {
        if let Some(value) = options.take(key) {
            spice.push(Element::new(name).attr(attr, value));
        }
    }
    if let Some(playback) = options.take_on_off("playback-compression") {
        spice.push(Element::new("playback").attr("compression", playback));
    }
    if options.take_switch("disable-copy-paste") == Some(true) {
        spice.push(Element::new("clipboard").attr("copypaste", "no"));
    }
    if options.take_switch("disable-agent-file-xfer") == Some(true) {
        spice.push(Element::new("filetransfer").attr("enable", "no"));
    }
    if options.take_switch("gl") == Some(true) {
        spice.push(Element::new("gl").attr("enable", "yes").maybe("rendernode", options.take("rendernode")));
    }
    options.is_empty().then_some(spice)
}

/// The format's model of a video device, and whether it is a primary one.
fn video(driver: &str) -> Option<(&'static str, bool)> {
    Some(match driver {
        "VGA" => ("vga", true),
        "cirrus-vga" => ("cirrus", true),
        "qxl-vga" => ("qxl", true),
        "qxl" => ("qxl", false),
        "virtio-vga" | "virtio-vga-gl" => ("virtio", true),
        "virtio-gpu" | "virtio-gpu-pci" | "virtio-gpu-device" | "virtio-gpu-ccw" => ("virtio", false),
        "vmware-svga" => ("vmvga", true),
        "bochs-display" => ("bochs", true),
        "ramfb" => ("ramfb", true),
        _ => return None,
    })
}
