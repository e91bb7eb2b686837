//! Screens, video, sound.

use super::Import;
use super::element::Element;
use super::machine::Machine;
use super::options::{Options, is_on};
use super::places::Made;
use super::secrets::Password;
use crate::diag::Span;

impl Import {
    /// All displays, video devices, sound devices and audio backends.
    pub fn displays(&mut self) {
        self.audio();
        self.graphics();
        self.video();
    }

    fn graphics(&mut self) {
        for argument in self.command.take(&["vnc"]) {
            if argument.value.as_deref() == Some("none") {
                continue;
            }
            match self.vnc(argument.options("vnc")) {
                Some(vnc) => self.devices.push(vnc),
                None => self.through(&argument),
            }
        }
        for argument in self.command.take(&["spice"]) {
            match self.spice(argument.options("")) {
                Some(spice) => self.devices.push(spice),
                None => self.through(&argument),
            }
        }
        if self.command.take_switch("sdl") {
            self.devices.push(Element::new("graphics").attr("type", "sdl"));
        }
        for argument in self.command.all().to_vec().iter().filter(|a| matches!(a.switch.as_str(), "gtk" | "curses")) {
            self.command.take_switch(&argument.switch);
            self.left_out(
                argument.span,
                format!("{}, the window of QEMU itself: add <graphics> for a way to see the screen", argument.shown()),
            );
        }
        for argument in self.command.take(&["display"]) {
            self.display(&argument);
        }
        if self.command.has("full-screen") && self.devices.iter().any(|d| d.get("type") == Some("sdl")) {
            self.command.take_switch("full-screen");
            let windows = self.devices.iter_mut().filter(|d| d.name() == "graphics" && d.get("type") == Some("sdl"));
            windows.for_each(|window| window.set("fullscreen", "yes"));
        }
        if let Some(argument) = self.last("k") {
            let keymap = argument.value.clone().unwrap_or_default();
            let takes = |d: &Element| d.name() == "graphics" && matches!(d.get("type"), Some("vnc" | "spice"));
            if !self.devices.iter().any(takes) {
                let text = format!("{}: it is for VNC and SPICE, and there is neither", argument.shown());
                self.idle(argument.span, text);
            }
            for graphics in self.devices.iter_mut().filter(|d| takes(d)) {
                graphics.set("keymap", &keymap);
            }
        }
    }

    fn display(&mut self, argument: &super::Argument) {
        let mut options = argument.options("type");
        if options.get("vnc").is_some() {
            match self.vnc(options) {
                Some(vnc) => self.devices.push(vnc),
                None => self.through(argument),
            }
            return;
        }
        let kind = options.take("type").unwrap_or_default();
        let mut graphics = Element::new("graphics").attr("type", &kind);
        match kind.as_str() {
            "none" => {
                self.headless = true;
                return;
            }
            "egl-headless" => {
                if let Some(node) = options.take("rendernode") {
                    graphics.push(Element::new("gl").attr("rendernode", node));
                }
            }
            "sdl" => {
                if let Some(gl) = options.take_if("gl", |gl| Some(gl != "off")) {
                    graphics.push(Element::new("gl").attr("enable", if gl { "yes" } else { "no" }));
                }
                if options.take_switch("full-screen") == Some(true) {
                    graphics.set("fullscreen", "yes");
                }
            }
            "dbus" => {
                if let Some(gl) = options.take_if("gl", |gl| Some(gl != "off")) {
                    let node = options.take("rendernode");
                    graphics.push(
                        Element::new("gl").attr("enable", if gl { "yes" } else { "no" }).maybe("rendernode", node),
                    );
                }
                if options.take_switch("p2p") == Some(true) {
                    graphics.set("p2p", "yes");
                }
                if let Some(address) = options.take("addr") {
                    // libvirt's own bus of the machine needs no name.
                    if !address.contains("/libvirt/qemu/dbus/") && !address.contains("/virtc/") {
                        graphics.set("address", address);
                    }
                }
                if let Some(number) = options.take("audiodev").and_then(|id| self.audio_number(&id)) {
                    graphics.push(Element::new("audio").attr("id", number));
                }
            }
            "spice-app" => return self.spice_app(argument.span, options),
            _ => {
                if options.take_if("gl", |gl| Some(gl != "off")) == Some(true) {
                    // Cards that draw with OpenGL do not start without.
                    self.devices.push(Element::new("graphics").attr("type", "egl-headless"));
                }
                self.left_out(
                    argument.span,
                    format!(
                        "-display {}: add <graphics> for a way to see the screen",
                        argument.value.as_deref().unwrap_or_default()
                    ),
                );
                return;
            }
        }
        self.devices.push(graphics);
        self.leave(&format!("-display {kind}"), options);
    }

    /// `-display spice-app`: SPICE on a socket of the machine's own, and a viewer that QEMU starts.
    fn spice_app(&mut self, span: Span, mut options: Options) {
        let is_spice = |d: &Element| d.name() == "graphics" && d.get("type") == Some("spice");
        if !self.devices.iter().any(is_spice) {
            let listen = Element::new("listen").attr("type", "socket");
            self.devices.push(Element::new("graphics").attr("type", "spice").child(listen));
        }
        let gl = options.take_if("gl", |gl| Some(gl != "off"));
        for spice in self.devices.iter_mut().filter(|d| is_spice(d)) {
            spice.push_all(gl.map(|gl| Element::new("gl").attr("enable", if gl { "yes" } else { "no" })));
        }
        self.changed(span, "-display spice-app: SPICE on a socket of the machine; start the viewer yourself");
        self.leave("-display spice-app", options);
    }

    /// Memory that a graphics card shares with the host has to be of the kind that can be shared.
    pub fn shared_graphics(&mut self, machine: &mut Machine) {
        let shares = |d: &Element| d.name() == "video" && d.find("model").is_some_and(|m| m.get("blob") == Some("on"));
        if !self.devices.iter().any(shares) {
            return;
        }
        if !machine.children.iter().any(|c| c.name() == "memoryBacking") {
            machine.children.push(Element::new("memoryBacking"));
        }
        let Some(backing) = machine.children.iter_mut().find(|c| c.name() == "memoryBacking") else { return };
        if !backing.has("source") {
            backing.push(Element::new("source").attr("type", "memfd"));
            self.changed(self.program_span, "blob=on: the memory becomes a memfd, for only such memory can be shared");
        }
    }

    fn vnc(&mut self, mut options: Options) -> Option<Element> {
        let span = options.span;
        let place = options.take("vnc")?;
        let mut vnc = Element::new("graphics").attr("type", "vnc");
        if let Some(path) = place.strip_prefix("unix:") {
            // libvirt hands its own socket over.
            vnc.push(Element::new("listen").attr("type", "socket").attr("socket", self.path(path)));
        } else if place == "none" {
            vnc.push(Element::new("listen").attr("type", "none"));
        } else {
            let (host, display) = place.rsplit_once(':')?;
            if let Some(to) = options.take("to") {
                vnc.set("autoport", "yes");
                if display != "0" {
                    self.changed(
                        span,
                        format!(
                            "the first free display from {display} to {to}: of this machine, the first that is free"
                        ),
                    );
                }
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
        if let Some(state) = options.take_switch("power-control") {
            vnc.set("powerControl", if state { "yes" } else { "no" });
        }
        // Where a connection comes to the viewer is no setting of the display.
        if options.get("reverse").is_some_and(is_on) {
            return None;
        }
        match self.password(&mut options) {
            Password::Open => {}
            Password::Text(text) => vnc.set("passwd", text),
            Password::Unset => self.closed(&mut vnc, span, "password=on"),
        }
        self.certificates(&mut options, "vnc");
        options.take("id");
        self.leave("-vnc", options);
        Some(vnc)
    }

    fn video(&mut self) {
        let (mut found, mut second) = (false, None);
        for (place, mut device) in self.command.find("device", "driver") {
            let Some((model, primary)) = device.get("driver").and_then(video) else { continue };
            let apart = device.get("driver").is_some_and(|d| d.starts_with("vhost-user-"));
            if apart && !self.video_process(&mut device) {
                continue;
            }
            self.command.mark(place);
            let driver = device.take("driver").unwrap_or_default();
            let mut element = Element::new("model").attr("type", model);
            let kib = |device: &mut Options, key: &str, scale: u64| {
                device.take(key).and_then(|n| n.parse::<u64>().ok()).map(|n| n * scale / 1024)
            };
            for (key, name, scale) in [
                ("vgamem_mb", if model == "qxl" { "vgamem" } else { "vram" }, 1 << 20),
                ("ram_size", "ram", 1),
                ("vram_size", "vram", 1),
                ("vgamem", "vram", 1),
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
            if driver.contains("-gl") {
                element.push(Element::new("acceleration").attr("accel3d", "yes"));
            } else if let Some(state) = device.take_switch("virgl") {
                element.push(Element::new("acceleration").attr("accel3d", if state { "yes" } else { "no" }));
            }
            if let Some(state) = device.take_on_off("blob") {
                element.set("blob", state);
            }
            if let Some(state) = device.take_on_off("edid") {
                element.set("edid", state);
            }
            if primary && found {
                self.changed(
                    device.span,
                    format!("two primary video devices: the second, {model}, becomes the first's companion"),
                );
            } else if primary {
                element.set("primary", "yes");
                found = true;
            }
            let mut video = Element::new("video").child(element);
            let mut settings = Element::new("driver");
            if apart {
                settings.set("name", "vhostuser");
            }
            self.virtio(&mut settings, &mut device);
            if !settings.is_empty() {
                video.push(settings);
            }
            if !primary {
                second = Some((device.span, driver.clone()));
            }
            self.frontend(&mut video, &driver, device);
            self.devices.push(video);
            // Beside a card that is no VGA, QEMU still adds its own to a PC.
            self.has_video |= primary || !self.is_x86();
        }
        let named = self.last("vga");
        let kind = match named.as_ref().and_then(|a| a.value.as_deref()) {
            Some("none") => None,
            Some("std") => Some("vga"),
            Some("cirrus") => Some("cirrus"),
            Some("qxl") => Some("qxl"),
            Some("virtio") => Some("virtio"),
            Some("vmware") => Some("vmvga"),
            Some(_) => {
                named.iter().for_each(|argument| self.through(argument));
                None
            }
            // QEMU's own default, unless there are to be none.
            None => {
                (self.bare && !self.has_video && self.is_x86() && !self.board.starts_with("microvm")).then_some("vga")
            }
        };
        if let Some(kind) = kind {
            let model = Element::new("model").attr("type", kind).attr("primary", "yes");
            let mut video = Element::new("video").child(model);
            let span = named.as_ref().map_or(crate::diag::Span::NONE, |a| a.span);
            self.frontend(&mut video, screen_of(kind), Options::at(span).made(Made::Screen));
            self.devices.push(video);
            self.has_video = true;
        }
        if let Some((span, driver)) = second {
            if !self.has_video {
                self.changed(span, format!("{driver} becomes a VGA: in the format, the first screen of a PC is one"));
            }
            self.has_video = true;
        }
        if !self.has_video && self.devices.iter().any(|d| d.name() == "graphics") {
            self.devices.push(Element::new("video").child(Element::new("model").attr("type", "none")));
        }
    }

    /// The process that draws for a video device: it was started for this guest, and is started for it again.
    fn video_process(&mut self, device: &mut Options) -> bool {
        let Some(id) = device.get("chardev").map(str::to_string) else { return false };
        let Some((place, chardev)) = self.command.find_by("chardev", "backend", "id", &id) else { return false };
        self.command.mark(place);
        device.take("chardev");
        if let Some(path) = chardev.get("path") {
            let own = path.contains("/virtc/") || path.contains("/libvirt/");
            if !own {
                self.changed(chardev.span, format!("path={path} of '{id}': virtc starts a vhost-user-gpu of its own"));
            }
        }
        true
    }

    /// The number of an audio backend.
    fn audio_number(&self, id: &str) -> Option<usize> {
        self.audio.iter().find(|(known, _)| known == id).map(|(_, number)| *number)
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
            let named = id.strip_prefix("audio").and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0);
            let used = |n: usize| self.audio.iter().any(|(_, number)| *number == n);
            let free = (1..).find(|n| !used(*n)).unwrap_or(1);
            let number = named.filter(|n| !used(*n)).unwrap_or(free);
            let mut element = Element::new("audio").attr("id", number).attr("type", kind);
            audio_backend(&mut element, &mut backend);
            self.leave(&format!("the audio backend '{id}'"), backend);
            self.command.mark(place);
            self.audio.push((id, number));
            self.devices.push(element);
        }
        if let Some(id) = self.speaker.take() {
            let mut speaker = Element::new("sound").attr("model", "pcspk");
            speaker.push_all(self.audio_number(&id).map(|number| Element::new("audio").attr("id", number)));
            self.devices.push(speaker);
        }
        // Codecs belong to the controller whose bus they are on.
        let mut codecs = self.command.find("device", "driver");
        codecs.retain(|(_, d)| matches!(d.get("driver"), Some("hda-duplex" | "hda-micro" | "hda-output")));
        for (place, mut device) in self.command.find("device", "driver") {
            let model = match device.get("driver") {
                Some("intel-hda") => "ich6",
                Some("ich9-intel-hda") => "ich9",
                Some("AC97" | "ac97") => "ac97",
                Some("ES1370" | "es1370") => "es1370",
                Some("sb16") => "sb16",
                Some("usb-audio") => "usb",
                Some(driver) if super::controllers::bare(driver) == "virtio-sound" => "virtio",
                _ => continue,
            };
            // With a backend that is handed through, the card is, too.
            if device.get("audiodev").is_some_and(|id| self.audio_number(id).is_none()) {
                continue;
            }
            self.command.mark(place);
            let driver = device.take("driver").unwrap_or_default();
            let mut sound = Element::new("sound").attr("model", model);
            if model == "virtio" {
                sound = sound.maybe("streams", device.take("streams"));
                self.virtio_driver(&mut sound, &mut device);
            }
            if device.take_switch("multi") == Some(true) {
                sound.set("multichannel", "yes");
            }
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
            self.frontend(&mut sound, &driver, device);
            self.devices.push(sound);
        }
        for argument in self.command.take(&["soundhw"]) {
            for name in argument.value.clone().unwrap_or_default().split(',') {
                let (model, driver) = match name {
                    "hda" => ("ich6", "intel-hda"),
                    "ac97" => ("ac97", "AC97"),
                    "es1370" => ("es1370", "ES1370"),
                    "sb16" => ("sb16", "sb16"),
                    "pcspk" => ("pcspk", ""),
                    _ => {
                        self.left_out(argument.span, format!("-soundhw {name}"));
                        continue;
                    }
                };
                let mut sound = Element::new("sound").attr("model", model);
                let options = Options::at(argument.span).made(Made::Sound(argument.place));
                self.frontend(&mut sound, driver, options);
                self.devices.push(sound);
            }
        }
    }

    fn spice(&mut self, mut options: Options) -> Option<Element> {
        let mut spice = Element::new("graphics").attr("type", "spice");
        if let Some(port) = options.take("port") {
            spice.set("port", port);
        }
        if let Some(port) = options.take("tls-port") {
            spice.set("tlsPort", port);
        }
        spice.set("autoport", "no");
        let address = options.take("addr");
        let nowhere = address.is_none() && spice.get("port") == Some("0") && spice.get("tlsPort").is_none();
        if options.take_switch("unix") == Some(true) {
            spice = Element::new("graphics").attr("type", "spice");
            spice.push(Element::new("listen").attr("type", "socket").attr("socket", self.path(&address?)));
        } else if nowhere {
            // Sockets that are handed over one by one, and GL for a viewer on this host.
            spice = Element::new("graphics").attr("type", "spice");
            spice.push(Element::new("listen").attr("type", "none"));
        } else {
            let listen = Element::new("listen").attr("type", "address");
            spice.push(listen.attr("address", address.unwrap_or_else(|| "0.0.0.0".to_string())));
        }
        let open = options.take_switch("disable-ticketing") == Some(true);
        match self.password(&mut options) {
            Password::Text(text) => spice.set("passwd", text),
            Password::Open | Password::Unset if !open => {
                self.closed(&mut spice, options.span, "no disable-ticketing=on")
            }
            Password::Open | Password::Unset => {}
        }
        self.certificates(&mut options, "spice");
        for (key, mode) in [("tls-channel", "secure"), ("plaintext-channel", "insecure")] {
            for name in options.take_all(key) {
                match name.as_str() {
                    "default" => spice.set("defaultMode", mode),
                    _ => spice.push(Element::new("channel").attr("name", name).attr("mode", mode)),
                }
            }
        }
        if let Some(client) = options.take_switch("agent-mouse") {
            spice.push(Element::new("mouse").attr("mode", if client { "client" } else { "server" }));
        }
        options.same("seamless-migration", &["on"]);
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
        if let Some(gl) = options.take_switch("gl") {
            let node = options.take("rendernode");
            spice.push(Element::new("gl").attr("enable", if gl { "yes" } else { "no" }).maybe("rendernode", node));
        }
        // QEMU takes further options of it with another `-spice`.
        if !options.is_empty() {
            let text = options.text();
            self.notes.push(options.span, super::Fate::Through, format!("-spice {text}"));
            self.hand("spice", Some(text), options.span);
        }
        Some(spice)
    }

    /// A display that asks for a password which nobody has set yet: the format says so with an empty one.
    fn closed(&mut self, graphics: &mut Element, span: crate::diag::Span, why: &str) {
        graphics.set("passwd", "");
        let text = format!("{why}: nobody gets in until passwd='…' says a password, or one is set through the monitor");
        self.changed(span, text);
    }

    /// Who may connect, as far as the host facts say it: certificates and SASL.
    fn certificates(&mut self, options: &mut Options, service: &'static str) {
        if let Some(id) = options.take("tls-creds") {
            self.of_host(options, service, "tls-creds", &id, &format!("{service} {{ tls #true }}"));
            self.tls_credentials(&id, service);
        }
        if options.take_switch("sasl") == Some(true) {
            self.of_host(options, service, "sasl", "on", &format!("{service} {{ sasl #true }}"));
        }
        if let Some(dir) = options.take("x509-dir") {
            self.of_host(options, service, "x509-dir", &dir, &format!("{service} {{ tls #true; tls-dir \"{dir}\" }}"));
        }
    }
}

/// QEMU's name of a primary video device.
fn screen_of(model: &str) -> &'static str {
    match model {
        "cirrus" => "cirrus-vga",
        "qxl" => "qxl-vga",
        "virtio" => "virtio-vga",
        "vmvga" => "vmware-svga",
        _ => "VGA",
    }
}

/// The format's model of a video device, and whether it is a primary one.
fn video(driver: &str) -> Option<(&'static str, bool)> {
    Some(match driver {
        "VGA" => ("vga", true),
        "cirrus-vga" => ("cirrus", true),
        "qxl-vga" => ("qxl", true),
        "qxl" => ("qxl", false),
        "virtio-vga" | "virtio-vga-gl" | "vhost-user-vga" => ("virtio", true),
        "vhost-user-gpu-pci" | "vhost-user-gpu" => ("virtio", false),
        _ if matches!(super::controllers::bare(driver), "virtio-gpu" | "virtio-gpu-gl") => ("virtio", false),
        "vmware-svga" => ("vmvga", true),
        "bochs-display" => ("bochs", true),
        "ramfb" => ("ramfb", true),
        _ => return None,
    })
}

/// Settings of an audio backend: QEMU's name, and the attribute of `<input>` and `<output>`.
const DIRECTION: &[(&str, &str)] = &[
    ("dev", "dev"),
    ("buffer-count", "bufferCount"),
    ("try-poll", "tryPoll"),
    ("name", "name"),
    ("stream-name", "streamName"),
    ("latency", "latency"),
    ("server-name", "serverName"),
    ("client-name", "clientName"),
    ("connect-ports", "connectPorts"),
    ("exact-name", "exactName"),
];

/// `<audio>` of a backend. What is left of it, the format does not have.
fn audio_backend(element: &mut Element, backend: &mut Options) {
    for (key, name) in [
        ("timer-period", "timerPeriod"),
        ("server", "serverName"),
        ("path", "path"),
        ("driver-name", "driver"),
        ("dsp-policy", "dspPolicy"),
    ] {
        if let Some(value) = backend.take(key) {
            element.set(name, value);
        }
    }
    let yes = |on: bool| if on { "yes" } else { "no" };
    for (key, name) in [("try-mmap", "tryMMap"), ("exclusive", "exclusive")] {
        if let Some(on) = backend.take_switch(key) {
            element.set(name, yes(on));
        }
    }
    for (prefix, child) in [("in.", "input"), ("out.", "output")] {
        let mut side = backend.take_below(prefix);
        let mut out = Element::new(child);
        super::frontend::mapped(crate::device::audio::mapping::DIRECTION, &mut out, &mut side);
        for (key, name) in DIRECTION {
            let name = *name;
            match (side.take_switch(key), side.get(key)) {
                (Some(on), _) => out.set(name, yes(on)),
                (None, Some(_)) => {
                    if let Some(value) = side.take(key) {
                        out.set(name, value);
                    }
                }
                (None, None) => {}
            }
        }
        let mut settings = Element::new("settings");
        for key in ["frequency", "channels", "format"] {
            if let Some(value) = side.take(key) {
                settings.set(key, value);
            }
        }
        if !settings.is_empty() {
            // QEMU's own default, without which these would count for nothing.
            if out.get("fixedSettings").is_none() {
                out.set("fixedSettings", "yes");
            }
            if out.get("fixedSettings") == Some("yes") {
                out.push(settings);
            }
        }
        if !out.is_empty() {
            element.push(out);
        }
        backend.graft(prefix, side);
    }
}
