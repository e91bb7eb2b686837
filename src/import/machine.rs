//! The machine itself: name, memory, CPUs, firmware, clock, features.

use super::Import;
use super::element::Element;
use super::options::{Options, is_on};
use crate::vocab::seconds_since_1970;

/// What stands before the devices.
pub struct Machine {
    /// `type` of the domain.
    pub kind: &'static str,
    /// Children of `<domain>`.
    pub children: Vec<Element>,
    /// Whether the machine brings a USB controller of its own.
    pub usb: bool,
}

/// The pieces that several arguments add to.
#[derive(Default)]
struct Pieces {
    features: Vec<Element>,
    hyperv: Vec<Element>,
    timers: Vec<Element>,
    memory_backing: Vec<Element>,
    cells: Vec<Element>,
    pm: Vec<Element>,
}

impl Import {
    /// Reads everything that is no device.
    pub fn machine(&mut self) -> Machine {
        let mut options = Options::default();
        for (_, value) in self.command.take(&["machine", "M"]) {
            options.graft("", Options::parse(&value, "type"));
        }
        let mut pieces = Pieces::default();
        let mut children = self.general();
        let kind = self.accelerator(&mut options);
        let arch = self.arch();
        let machine = options.take("type");
        self.express =
            machine.as_deref().is_some_and(|m| m.contains("q35") || m.starts_with("virt")) || arch == "riscv64";
        self.memory(&mut options, &mut pieces, &mut children);
        self.vcpus(&mut children);
        let cpu = self.cpu(&mut pieces);
        children.push(self.os(&arch, machine.as_deref(), &mut options));
        let rom = self.command.values("bios").next().is_some();
        let usb = self.command.take_switch("usb") || options.take_switch("usb") == Some(true);
        if usb {
            self.devices.push(Element::new("controller").attr("type", "usb").attr("index", 0));
        }
        let acpi = !self.command.take_switch("no-acpi") && options.take_switch("acpi") != Some(false);
        let firmware = children.last().is_some_and(|os| os.has("loader"));
        if acpi && (matches!(arch.as_str(), "x86_64" | "i686") || firmware && !rom) {
            pieces.features.insert(0, Element::new("acpi"));
        }
        if matches!(arch.as_str(), "x86_64" | "i686") {
            // QEMU's own x86 machines always have a local APIC.
            pieces.features.push(Element::new("apic"));
        }
        self.machine_features(&mut options, &mut pieces);
        let clock = self.clock(&mut options, &mut pieces);
        options.forget_default("dump-guest-core", "off");
        if !options.is_empty() {
            let rest: Vec<String> =
                options.into_rest().into_iter().map(|(k, v)| format!("{k}={}", v.replace(',', ",,"))).collect();
            self.note(format!("handed through as <qemu:arg>: -machine {}", rest.join(",")));
            self.arguments.extend(["-machine".to_string(), rest.join(",")]);
        }
        if !pieces.memory_backing.is_empty() {
            let all = pieces.memory_backing.into_iter().fold(Element::new("memoryBacking"), Element::child);
            children.push(all);
        }
        if !pieces.hyperv.is_empty() {
            let all = pieces.hyperv.into_iter().fold(Element::new("hyperv").attr("mode", "custom"), Element::child);
            pieces.features.push(all);
        }
        if !pieces.features.is_empty() {
            children.push(pieces.features.into_iter().fold(Element::new("features"), Element::child));
        }
        if !pieces.pm.is_empty() {
            children.push(pieces.pm.into_iter().fold(Element::new("pm"), Element::child));
        }
        let numa = pieces.cells.into_iter().fold(Element::new("numa"), Element::child);
        match (cpu, numa.is_empty()) {
            (Some(cpu), true) => children.push(cpu),
            (Some(cpu), false) => children.push(cpu.child(numa)),
            (None, true) => {}
            (None, false) => children.push(Element::new("cpu").child(numa)),
        }
        children.push(clock);
        children.extend(self.firmware_entries());
        if self.command.take_switch("no-reboot") {
            children.push(Element::leaf("on_reboot", "destroy"));
        }
        Machine { kind, children, usb }
    }

    fn general(&mut self) -> Vec<Element> {
        let mut name = "guest".to_string();
        if let Some(value) = self.command.take_last("name") {
            let mut options = Options::parse(&value, "guest");
            name = options.take("guest").unwrap_or(name);
        }
        let mut out = vec![Element::leaf("name", name)];
        out.extend(self.command.take_last("uuid").map(|uuid| Element::leaf("uuid", uuid)));
        out
    }

    /// `type` of the domain; takes the accelerator out of the options of the machine.
    fn accelerator(&mut self, options: &mut Options) -> &'static str {
        let mut chosen: Vec<String> = Vec::new();
        if self.command.take_switch("enable-kvm") {
            chosen.push("kvm".to_string());
        }
        if let Some(list) = options.take("accel") {
            chosen.extend(list.split(':').map(str::to_string));
        }
        for (_, value) in self.command.take(&["accel"]) {
            let mut accel = Options::parse(&value, "accel");
            chosen.extend(accel.take("accel"));
            // What a property of an accelerator means differs from one to the other.
            if !accel.is_empty() {
                let rest: Vec<String> = accel.into_rest().into_iter().map(|(k, v)| format!("{k}={v}")).collect();
                self.note(format!("left out: properties of the accelerator: {}", rest.join(",")));
            }
        }
        if self.program.ends_with("qemu-kvm") || self.program.ends_with("/kvm") {
            chosen.push("kvm".to_string());
        }
        let first = chosen.first().map(String::as_str);
        if let (Some(first), true) = (first, chosen.len() > 1 && chosen.iter().any(|c| Some(c.as_str()) != first)) {
            let first = first.to_string();
            self.note(format!("of several accelerators only the first is kept: {first}"));
        }
        match first {
            Some("kvm") => "kvm",
            Some("hvf") => "hvf",
            Some("xen") => "xen",
            _ => "qemu",
        }
    }

    /// The architecture of the program.
    pub fn arch(&self) -> String {
        let name = self.program.rsplit('/').next().unwrap_or_default();
        match name.strip_prefix("qemu-system-") {
            Some("i386") => "i686".to_string(),
            Some("arm") => "armv7l".to_string(),
            Some(arch) => arch.trim_end_matches(".exe").to_string(),
            None => "x86_64".to_string(),
        }
    }

    fn memory(&mut self, options: &mut Options, pieces: &mut Pieces, children: &mut Vec<Element>) {
        let value = self.command.take_last("m").unwrap_or_else(|| "128".to_string());
        let mut memory = Options::parse(&value, "size");
        let size = memory.take("size").and_then(|s| kib(&s, 1024)).unwrap_or(128 * 1024);
        if let Some(most) = memory.take("maxmem").and_then(|s| kib(&s, 1024)) {
            let slots = memory.take("slots");
            children.push(Element::leaf("maxMemory", most).maybe("slots", slots).attr("unit", "KiB"));
        }
        let mut element = Element::leaf("memory", size).attr("unit", "KiB");
        if options.take_switch("dump-guest-core") == Some(true) {
            element.set("dumpCore", "on");
        }
        children.push(element);
        let ram = options.take("memory-backend");
        let mut backends: Vec<String> = ram.into_iter().collect();
        for (place, mut cell) in self.command.find("numa", "type") {
            if cell.get("type") != Some("node") || cell.get("cpus").is_none() {
                continue;
            }
            self.command.mark(place);
            cell.take("type");
            let id = cell.take("nodeid");
            let backend = cell.take("memdev");
            let cpus = cell.take_all("cpus").join(",");
            let object = backend.as_deref().and_then(|id| self.command.find_by("object", "qom-type", "id", id));
            let own = object.as_ref().and_then(|(_, o)| kib(o.get("size")?, 1));
            let size = own.or_else(|| kib(cell.take("mem").as_deref()?, 1024)).unwrap_or(size);
            backends.extend(backend);
            let element = Element::new("cell").maybe("id", id).attr("cpus", cpus);
            pieces.cells.push(element.attr("memory", size).attr("unit", "KiB"));
        }
        if backends.is_empty() {
            // Old command lines say it once for all memory.
            if let Some(path) = self.command.take_last("mem-path") {
                if path.contains("hugepages") {
                    pieces.memory_backing.push(Element::new("hugepages"));
                } else {
                    self.note(format!("memory from files below {path}: the host's own directory is used"));
                    pieces.memory_backing.push(Element::new("source").attr("type", "file"));
                }
            }
        }
        if self.command.take_switch("mem-prealloc") {
            pieces.memory_backing.push(Element::new("allocation").attr("mode", "immediate"));
        }
        for (i, id) in backends.iter().enumerate() {
            self.memory_backend(id, i == 0, pieces);
        }
        if options.take_switch("mem-merge") == Some(false) {
            pieces.memory_backing.push(Element::new("nosharepages"));
        }
    }

    /// An object that is the guest's memory. Only the first speaks for all.
    fn memory_backend(&mut self, id: &str, speaks: bool, pieces: &mut Pieces) {
        let Some((place, mut object)) = self.command.find_by("object", "qom-type", "id", id) else { return };
        self.command.mark(place);
        let kind = object.take("qom-type").unwrap_or_default();
        object.forget(&["id", "size", "x-use-canonical-path-for-ramblock-id"]);
        let path = object.take("mem-path");
        let shared = object.take_switch("share");
        let huge = object.take_switch("hugetlb") == Some(true);
        let page = object.take("hugetlbsize").and_then(|s| kib(&s, 1));
        let prealloc = object.take_switch("prealloc");
        if !speaks {
            return;
        }
        let backing = &mut pieces.memory_backing;
        let on_huge_pages = huge || path.as_deref().is_some_and(|p| p.contains("hugepages"));
        match page {
            Some(size) => {
                let page = Element::new("page").attr("size", size).attr("unit", "KiB");
                backing.push(Element::new("hugepages").child(page));
            }
            None if on_huge_pages => backing.push(Element::new("hugepages")),
            None => {}
        }
        match kind.as_str() {
            "memory-backend-memfd" => backing.push(Element::new("source").attr("type", "memfd")),
            "memory-backend-file" if !on_huge_pages => {
                backing.push(Element::new("source").attr("type", "file"));
                let path = path.unwrap_or_default();
                self.notes.push(format!("memory from {path}: the host's own directory is used"));
            }
            _ => {}
        }
        if let Some(shared) = shared {
            let mode = if shared { "shared" } else { "private" };
            backing.push(Element::new("access").attr("mode", mode));
        }
        if prealloc == Some(true) {
            object.take("prealloc-threads");
            backing.push(Element::new("allocation").attr("mode", "immediate"));
        }
        if !object.is_empty() {
            let rest: Vec<String> = object.into_rest().into_iter().map(|(k, v)| format!("{k}={v}")).collect();
            self.note(format!("left out: properties of the memory '{id}': {}", rest.join(",")));
        }
    }

    /// `-fw_cfg` entries.
    fn firmware_entries(&mut self) -> Option<Element> {
        let mut all = Element::new("sysinfo").attr("type", "fwcfg");
        for (place, mut entry) in self.command.find("fw_cfg", "name") {
            let (Some(name), text, file) = (entry.take("name"), entry.take("string"), entry.take("file")) else {
                continue;
            };
            if !entry.is_empty() {
                continue;
            }
            self.command.mark(place);
            all.push(match (text, file) {
                (Some(text), _) => Element::leaf("entry", text).attr("name", name),
                (None, Some(file)) => Element::new("entry").attr("name", name).attr("file", self.path(&file)),
                (None, None) => continue,
            });
        }
        all.has("entry").then_some(all)
    }

    fn vcpus(&mut self, children: &mut Vec<Element>) {
        let Some(value) = self.command.take_last("smp") else {
            children.push(Element::leaf("vcpu", 1));
            return;
        };
        let mut smp = Options::parse(&value, "cpus");
        let number = |smp: &mut Options, key: &str| smp.take(key).and_then(|n| n.parse::<u32>().ok());
        let cpus = number(&mut smp, "cpus");
        let most = number(&mut smp, "maxcpus");
        let parts = ["sockets", "dies", "clusters", "cores", "threads"].map(|key| number(&mut smp, key));
        let product = parts.iter().flatten().product::<u32>();
        let all = most.or(cpus).unwrap_or(product.max(1));
        let mut vcpu = Element::leaf("vcpu", all);
        if let Some(cpus) = cpus.filter(|cpus| *cpus != all) {
            vcpu.set("current", cpus);
        }
        children.push(vcpu);
        // One socket for each CPU is what there is without a topology.
        let plain = parts.iter().skip(1).all(|part| part.unwrap_or(1) == 1);
        self.topology = (product == all && !plain).then_some(parts);
        if product != all && parts.iter().any(Option::is_some) {
            self.note(format!("left out: the topology of -smp {value} does not say all of it"));
        }
    }

    fn cpu(&mut self, pieces: &mut Pieces) -> Option<Element> {
        let value = self.command.take_last("cpu");
        let topology = self.topology.take().map(|[sockets, dies, clusters, cores, threads]| {
            Element::new("topology")
                .attr("sockets", sockets.unwrap_or(1))
                .maybe("dies", dies)
                .maybe("clusters", clusters)
                .attr("cores", cores.unwrap_or(1))
                .attr("threads", threads.unwrap_or(1))
        });
        let Some(value) = value else { return topology.map(|t| Element::new("cpu").child(t)) };
        let mut parts = value.split(',');
        let model = parts.next().unwrap_or_default();
        let mut cpu = match model {
            "host" => Element::new("cpu").attr("mode", "host-passthrough").attr("check", "none"),
            "max" => Element::new("cpu").attr("mode", "maximum").attr("check", "none"),
            model => Element::new("cpu")
                .attr("mode", "custom")
                .attr("match", "exact")
                .attr("check", "none")
                .child(Element::leaf("model", model).attr("fallback", "forbid")),
        };
        if let Some(topology) = topology {
            cpu.push(topology);
        }
        for part in parts {
            let (name, on) = match (part.strip_prefix('+'), part.strip_prefix('-'), part.split_once('=')) {
                (Some(name), ..) => (name, "on"),
                (_, Some(name), _) => (name, "off"),
                (_, _, Some((name, value))) => (name, value),
                _ => (part, "on"),
            };
            self.cpu_property(name, on, &mut cpu, pieces);
        }
        Some(cpu)
    }

    fn cpu_property(&mut self, name: &str, value: &str, cpu: &mut Element, pieces: &mut Pieces) {
        let state = if is_on(value) { "on" } else { "off" };
        if let Some(hyperv) = name.strip_prefix("hv-").or_else(|| name.strip_prefix("hv_")) {
            let feature = match hyperv {
                "relaxed" => Some("relaxed"),
                "vapic" => Some("vapic"),
                "spinlocks" => {
                    let retries =
                        value.strip_prefix("0x").map_or(value.parse().ok(), |h| u32::from_str_radix(h, 16).ok());
                    let on = Element::new("spinlocks").attr("state", "on");
                    pieces.hyperv.push(on.maybe("retries", retries));
                    return;
                }
                "vpindex" => Some("vpindex"),
                "runtime" => Some("runtime"),
                "synic" => Some("synic"),
                "stimer" => Some("stimer"),
                "reset" => Some("reset"),
                "frequencies" => Some("frequencies"),
                "reenlightenment" => Some("reenlightenment"),
                "tlbflush" => Some("tlbflush"),
                "ipi" => Some("ipi"),
                "evmcs" => Some("evmcs"),
                "avic" => Some("avic"),
                "vendor-id" | "vendor_id" => {
                    pieces.hyperv.push(Element::new("vendor_id").attr("state", "on").attr("value", value));
                    return;
                }
                "time" => {
                    let present = if is_on(value) { "yes" } else { "no" };
                    pieces.timers.push(Element::new("timer").attr("name", "hypervclock").attr("present", present));
                    return;
                }
                _ => None,
            };
            match feature {
                Some(feature) => pieces.hyperv.push(Element::new(feature).attr("state", state)),
                None => self.note(format!("left out: CPU property {name}={value}")),
            }
            return;
        }
        match name {
            "kvm" => {
                let hidden = if is_on(value) { "off" } else { "on" };
                pieces.features.push(Element::new("kvm").child(Element::new("hidden").attr("state", hidden)));
            }
            "pmu" => pieces.features.push(Element::new("pmu").attr("state", state)),
            "migratable" => cpu.set("migratable", state),
            "host-cache-info" if is_on(value) => cpu.push(Element::new("cache").attr("mode", "passthrough")),
            "l3-cache" if is_on(value) => cpu.push(Element::new("cache").attr("level", 3).attr("mode", "emulate")),
            "host-phys-bits" if is_on(value) => cpu.push(Element::new("maxphysaddr").attr("mode", "passthrough")),
            "phys-bits" => cpu.push(Element::new("maxphysaddr").attr("mode", "emulate").attr("bits", value)),
            "vendor" => cpu.push(Element::leaf("vendor", vendor(value))),
            "kvmclock" | "kvm-pv-eoi" | "kvm_pv_eoi" | "enforce" | "check" => {
                self.note(format!("left out: CPU property {name}={value}"));
            }
            _ if matches!(value, "on" | "off" | "true" | "false" | "yes" | "no") => {
                let policy = if is_on(value) { "require" } else { "disable" };
                cpu.push(Element::new("feature").attr("policy", policy).attr("name", name));
            }
            _ => self.note(format!("left out: CPU property {name}={value}")),
        }
    }

    fn os(&mut self, arch: &str, machine: Option<&str>, options: &mut Options) -> Element {
        let mut os = Element::new("os");
        os.push(Element::leaf("type", "hvm").attr("arch", arch).maybe("machine", machine));
        for (index, role) in [(0, "pflash0"), (1, "pflash1")] {
            if let Some(node) = options.take(role) {
                self.pflash_node(&mut os, index, &node);
            }
        }
        self.pflash_drives(&mut os);
        if let Some(path) = self.command.take_last("bios").or_else(|| options.take("firmware")) {
            os.push(Element::leaf("loader", self.path(&path)).attr("type", "rom"));
        }
        for (switch, name) in [("kernel", "kernel"), ("initrd", "initrd"), ("append", "cmdline"), ("dtb", "dtb")] {
            if let Some(value) = self.command.take_last(switch).or_else(|| options.take(switch)) {
                os.push(Element::leaf(name, if name == "cmdline" { value } else { self.path(&value) }));
            }
        }
        let mut boot = Options::default();
        for (_, value) in self.command.take(&["boot"]) {
            boot.graft("", Options::parse(&value, "order"));
        }
        boot.forget(&["strict"]);
        match boot.take("order") {
            Some(order) if !self.boot_order => {
                for letter in order.chars() {
                    let device = match letter {
                        'a' | 'b' => "fd",
                        'c' => "hd",
                        'd' => "cdrom",
                        'n' | 'o' | 'p' => "network",
                        _ => continue,
                    };
                    os.push(Element::new("boot").attr("dev", device));
                }
            }
            Some(order) => self.note(format!("left out: -boot order={order}, because devices have a boot index")),
            None => {}
        }
        let menu = boot.take_switch("menu");
        let timeout = boot.take("splash-time");
        if menu.is_some() || timeout.is_some() {
            let enable = if menu.unwrap_or(true) { "yes" } else { "no" };
            os.push(Element::new("bootmenu").attr("enable", enable).maybe("timeout", timeout));
        }
        if let Some(timeout) = boot.take("reboot-timeout") {
            os.push(Element::new("bios").attr("rebootTimeout", timeout));
        }
        for (key, value) in boot.into_rest() {
            self.note(format!("left out: -boot {key}={value}"));
        }
        os
    }

    fn machine_features(&mut self, options: &mut Options, pieces: &mut Pieces) {
        for (key, name) in [("smm", "smm"), ("vmport", "vmport"), ("i8042", "ps2")] {
            if let Some(state) = options.take_on_off(key).filter(|_| options.get(key) != Some("auto")) {
                pieces.features.push(Element::new(name).attr("state", state));
            }
        }
        match options.take("kernel-irqchip").or_else(|| options.take("kernel_irqchip")).as_deref() {
            Some("split") => pieces.features.push(Element::new("ioapic").attr("driver", "qemu")),
            Some("on" | "true") => pieces.features.push(Element::new("ioapic").attr("driver", "kvm")),
            Some(other) => options.graft("", Options::parse(&format!("kernel-irqchip={other}"), "")),
            None => {}
        }
        if let Some(version) = options.take("gic-version") {
            pieces.features.push(Element::new("gic").attr("version", version));
        }
        // These follow from the devices.
        options.forget(&["nvdimm", "graphics"]);
        for (place, global) in self.command.find("global", "") {
            if global.get("ICH9-LPC.noreboot").is_some() {
                self.command.mark(place);
            }
            for (state, element) in [("s3", "suspend-to-mem"), ("s4", "suspend-to-disk")] {
                let disabled =
                    ["ICH9-LPC", "PIIX4_PM"].iter().find_map(|chip| global.get(&format!("{chip}.disable_{state}")));
                if let Some(disabled) = disabled {
                    let enabled = if matches!(disabled, "1" | "on" | "true") { "no" } else { "yes" };
                    pieces.pm.push(Element::new(element).attr("enabled", enabled));
                    self.command.mark(place);
                }
            }
        }
    }

    fn clock(&mut self, options: &mut Options, pieces: &mut Pieces) -> Element {
        let mut rtc = self.command.take_last("rtc").map(|v| Options::parse(&v, "base")).unwrap_or_default();
        let mut clock = match rtc.take("base").as_deref() {
            Some("localtime") => Element::new("clock").attr("offset", "localtime"),
            Some("utc") | None => Element::new("clock").attr("offset", "utc"),
            Some(start) => match seconds_since_1970(start) {
                Some(seconds) => Element::new("clock").attr("offset", "absolute").attr("start", seconds),
                None => {
                    self.note(format!("left out: -rtc base={start}"));
                    Element::new("clock").attr("offset", "utc")
                }
            },
        };
        let drift = rtc.take("driftfix");
        let track = rtc.take("clock").map(|c| match c.as_str() {
            "vm" => "guest",
            "rt" => "realtime",
            _ => "wall",
        });
        if drift.as_deref() == Some("slew") || track.is_some() {
            let policy = (drift.as_deref() == Some("slew")).then_some("catchup");
            clock.push(Element::new("timer").attr("name", "rtc").maybe("track", track).maybe("tickpolicy", policy));
        }
        for (place, mut global) in self.command.find("global", "") {
            let policy = match global.take("kvm-pit.lost_tick_policy").as_deref() {
                Some("delay") => "delay",
                Some("discard") => "discard",
                _ => continue,
            };
            self.command.mark(place);
            clock.push(Element::new("timer").attr("name", "pit").attr("tickpolicy", policy));
        }
        let without_hpet = self.command.take_switch("no-hpet");
        if let Some(present) = options.take_switch("hpet").or(without_hpet.then_some(false)) {
            let present = if present { "yes" } else { "no" };
            clock.push(Element::new("timer").attr("name", "hpet").attr("present", present));
        }
        pieces.timers.drain(..).for_each(|t| clock.push(t));
        clock
    }
}

/// KiB of a size with one of QEMU's suffixes; without one it counts in `unit` KiB, or in bytes when that is 1.
fn kib(text: &str, unit: u64) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    let bytes = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib") {
        "" if unit == 1 => 1.0,
        "" => (unit * 1024) as f64,
        "b" => 1.0,
        "k" => 1024.0,
        "m" => 1048576.0,
        "g" => 1073741824.0,
        "t" => 1099511627776.0,
        _ => return None,
    };
    let kib = number * bytes / 1024.0;
    (0.0..1e15).contains(&kib).then_some(kib as u64)
}

/// The names of CPU vendors in the format.
fn vendor(id: &str) -> &str {
    match id {
        "GenuineIntel" => "Intel",
        "AuthenticAMD" => "AMD",
        "HygonGenuine" => "Hygon",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(kib("2G", 1024), Some(2 << 20));
        assert_eq!(kib("512", 1024), Some(512 << 10));
        assert_eq!(kib("1.5g", 1024), Some(3 << 19));
        assert_eq!(kib("220160k", 1024), Some(220160));
        assert_eq!(kib("1048576", 1), Some(1024));
        assert_eq!(kib("much", 1), None);
    }
}
