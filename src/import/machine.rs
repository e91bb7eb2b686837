//! The machine itself: name, firmware, boot order, clock, features.

use super::element::Element;
use super::options::{Options, is_on, switch};
use super::{Import, note::Fate};
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
pub struct Pieces {
    /// Children of `<features>`.
    pub features: Vec<Element>,
    /// `<hyperv>`
    pub hyperv: Element,
    /// Its mode.
    pub hyperv_mode: &'static str,
    /// Whether the guest reports crashes as Hyper-V guests do.
    pub hyperv_panic: bool,
    /// Children of `<kvm>`.
    pub kvm: Vec<Element>,
    /// `eoi` of `<apic>`.
    pub apic_eoi: Option<&'static str>,
    /// `<timer>`
    pub timers: Vec<Element>,
    /// Children of `<memoryBacking>`.
    pub backing: Vec<Element>,
    /// `<numatune>`
    pub numatune: Option<Element>,
    /// `<cell>`
    pub cells: Vec<Element>,
    /// Children of `<interconnects>`.
    pub interconnects: Vec<Element>,
    /// Children of `<pm>`.
    pub pm: Vec<Element>,
    /// `host-cache-info` and `l3-cache`.
    pub host_cache: Option<bool>,
    /// See above.
    pub l3_cache: Option<bool>,
    /// How many CPUs there can be.
    pub vcpus: u32,
}

impl Pieces {
    fn new() -> Pieces {
        Pieces {
            features: Vec::new(),
            hyperv: Element::new("hyperv"),
            hyperv_mode: "custom",
            hyperv_panic: false,
            kvm: Vec::new(),
            apic_eoi: None,
            timers: Vec::new(),
            backing: Vec::new(),
            numatune: None,
            cells: Vec::new(),
            interconnects: Vec::new(),
            pm: Vec::new(),
            host_cache: None,
            l3_cache: None,
            vcpus: 1,
        }
    }

    /// Adds a page size, for some nodes or all.
    pub fn hugepages(&mut self, page: u64, nodes: Option<String>) {
        let at = self.backing.iter().position(|e| e.name() == "hugepages").unwrap_or_else(|| {
            self.backing.push(Element::new("hugepages"));
            self.backing.len() - 1
        });
        if page > 0 {
            let element = Element::new("page").attr("size", page).attr("unit", "KiB").maybe("nodeset", nodes);
            self.backing[at].push(element);
        }
    }

    /// Says when memory is touched.
    pub fn allocation(&mut self, mode: &str) {
        if !self.backing.iter().any(|e| e.name() == "allocation") {
            self.backing.push(Element::new("allocation").attr("mode", mode));
        }
    }

    /// Says by how many threads.
    pub fn threads(&mut self, threads: &str) {
        if let Some(allocation) = self.backing.iter_mut().find(|e| e.name() == "allocation") {
            allocation.set("threads", threads);
        }
    }

    /// Adds an attribute to a node.
    pub fn cell(&mut self, node: &str, attribute: &'static str, value: &str) {
        if let Some(cell) = self.cells.iter_mut().find(|c| c.get("id") == Some(node)) {
            cell.set(attribute, value);
        }
    }

    fn numa(&mut self) -> Option<Element> {
        if self.cells.is_empty() {
            return None;
        }
        let mut numa = Element::new("numa");
        numa.push_all(self.cells.drain(..));
        if !self.interconnects.is_empty() {
            numa.inside("interconnects").push_all(self.interconnects.drain(..));
        }
        Some(numa)
    }
}

/// Properties of the machine that are a feature: QEMU's name, the element, and the attribute.
const FEATURES: &[(&str, &str, &str)] = &[
    ("smm", "smm", "state"),
    ("vmport", "vmport", "state"),
    ("i8042", "ps2", "state"),
    ("ras", "ras", "state"),
    ("cap-htm", "htm", "state"),
    ("cap-nested-hv", "nested-hv", "state"),
    ("cap-ccf-assist", "ccf-assist", "state"),
    ("cap-cfpc", "cfpc", "value"),
    ("cap-sbbc", "sbbc", "value"),
    ("cap-ibs", "ibs", "value"),
    ("gic-version", "gic", "version"),
    ("aia", "aia", "value"),
];

impl Import {
    /// Reads everything that is no device.
    pub fn machine(&mut self) -> Machine {
        let mut options = Options::default();
        for argument in self.command.take(&["machine", "M"]) {
            options.graft("", argument.options("type"));
        }
        let mut pieces = Pieces::new();
        let mut children = self.general();
        self.compat();
        let kind = self.accelerator(&mut options, &mut pieces);
        let arch = self.arch();
        let machine = self.board_type(options.take("type"), options.span);
        self.board = machine.clone().unwrap_or_default();
        self.express = self.board.contains("q35")
            || self.board == "virt"
            || self.board.starts_with("virt-")
            || self.board.starts_with("sbsa-ref")
            || matches!(arch.as_str(), "riscv64" | "loongarch64");
        let vcpu = self.vcpus();
        pieces.vcpus = vcpu.text_of().parse().unwrap_or(1);
        self.memory(&mut options, &mut pieces, &mut children);
        children.push(vcpu);
        children.extend(self.main_loop());
        children.extend(self.launch_security(&mut options));
        let mut cpu = self.cpu(&mut pieces, options.take("max-cpu-compat"));
        children.extend(self.sysinfo());
        children.extend(self.uuid.take().map(|uuid| Element::leaf("uuid", uuid)));
        let mut os = self.os(&arch, machine.as_deref(), &mut options);
        if children.iter().any(|c| c.name() == "sysinfo" && c.get("type") == Some("smbios")) {
            os.push(Element::new("smbios").attr("mode", "sysinfo"));
        }
        let usb = self.command.take_switch("usb") | (options.take_switch("usb") == Some(true));
        if usb && self.root_bus().is_none() {
            self.notes.push(options.span, Fate::Through, "-usb");
            self.hand("usb", None, options.span);
        } else if usb && self.is_q35() {
            self.on_board_usb = true;
            self.devices.extend(chipset_usb());
        } else if usb {
            self.devices.push(Element::new("controller").attr("type", "usb").attr("index", 0));
        }
        if usb && self.root_bus().is_some() {
            self.controllers.insert(("usb", "usb-bus".to_string()), 0);
        }
        self.acpi(&arch, &os, &mut options, &mut pieces);
        children.push(os);
        self.machine_features(&mut options, &mut pieces);
        children.extend(self.keywrap(&mut options));
        self.globals(&mut pieces);
        let clock = self.clock(&mut options, &mut pieces);
        self.rest_of_machine(options);
        children.extend(pieces.numatune.take());
        collect(&mut children, "memoryBacking", std::mem::take(&mut pieces.backing));
        if pieces.hyperv_mode == "passthrough" || !pieces.hyperv.is_empty() {
            pieces.features.push(pieces.hyperv.clone().attr("mode", pieces.hyperv_mode));
        }
        let kvm = std::mem::take(&mut pieces.kvm);
        collect(&mut pieces.features, "kvm", kvm);
        let features = std::mem::take(&mut pieces.features);
        collect(&mut children, "features", features);
        let pm = std::mem::take(&mut pieces.pm);
        collect(&mut children, "pm", pm);
        if let Some(numa) = pieces.numa() {
            cpu = Some(cpu.unwrap_or_else(|| Element::new("cpu")).child(numa));
        }
        children.extend(cpu);
        children.push(clock);
        if pieces.hyperv_panic {
            self.devices.push(Element::new("panic").attr("model", "hyperv"));
        }
        if self.command.take_switch("no-reboot") {
            children.push(Element::leaf("on_reboot", "destroy"));
        }
        Machine { kind, children, usb }
    }

    /// The machine's type. Proxmox adds a version of its own, which only its QEMU knows.
    fn board_type(&mut self, machine: Option<String>, span: crate::diag::Span) -> Option<String> {
        let machine = machine?;
        let Some((board, own)) = machine.split_once('+') else { return Some(machine) };
        self.changed(span, format!("the machine '{board}' without '+{own}', which only the QEMU of Proxmox has"));
        Some(board.to_string())
    }

    /// Takes the arguments of a switch that counts once; earlier ones are without effect.
    pub fn last(&mut self, switch: &str) -> Option<super::Argument> {
        let mut all = self.command.take(&[switch]);
        let last = all.pop();
        for earlier in all {
            self.idle(earlier.span, format!("{}: the later -{switch} counts", earlier.shown()));
        }
        last
    }

    /// `<qemu:deprecation>`: what QEMU does with options that are to go.
    pub fn compat(&mut self) {
        for (place, mut compat) in self.command.find("compat", "") {
            let behavior = match (compat.get("deprecated-output"), compat.get("deprecated-input")) {
                (Some("hide"), Some("accept") | None) => "omit",
                (Some("hide"), Some("reject")) => "reject",
                (Some("hide"), Some("crash")) => "crash",
                _ => continue,
            };
            compat.take("deprecated-output");
            compat.take("deprecated-input");
            self.command.mark(place);
            self.deprecation = Some(behavior);
            self.leave("-compat", compat);
        }
    }

    /// The options of a switch; given twice, they count together.
    pub fn merged(&mut self, switch: &str, implied: &str) -> Options {
        let mut out = Options::default();
        for argument in self.command.take(&[switch]) {
            out.graft("", argument.options(implied));
        }
        out
    }

    fn general(&mut self) -> Vec<Element> {
        let mut options = self.merged("name", "guest");
        let name = options.take("guest").unwrap_or_else(|| "guest".to_string());
        options.same("debug-threads", &["on"]);
        self.leave("-name", options);
        // A name is the name of files, too.
        let usable = name.replace('/', "-");
        let mut out = vec![Element::leaf("name", usable)];
        if let Some(argument) = self.last("uuid") {
            out.extend(argument.value.map(|uuid| Element::leaf("uuid", uuid)));
        }
        for (place, mut device) in self.command.find("device", "driver") {
            if device.get("driver") != Some("vmgenid") {
                continue;
            }
            self.command.mark(place);
            device.take("driver");
            device.take("id");
            let guid = device.take("guid").filter(|g| g != "auto");
            out.push(guid.map_or_else(|| Element::new("genid"), |guid| Element::leaf("genid", guid)));
            self.leave("-device vmgenid", device);
        }
        out
    }

    /// `type` of the domain; takes the accelerator out of the options of the machine.
    fn accelerator(&mut self, options: &mut Options, pieces: &mut Pieces) -> &'static str {
        let mut chosen: Vec<String> = Vec::new();
        if self.command.take_switch("enable-kvm") {
            chosen.push("kvm".to_string());
        }
        if self.command.take_switch("no-kvm") {
            chosen.push("tcg".to_string());
        }
        if let Some(list) = options.take("accel") {
            chosen.extend(list.split(':').map(str::to_string));
        }
        for argument in self.command.take(&["accel"]) {
            let mut accel = argument.options("accel");
            chosen.extend(accel.take("accel"));
            if let Some(size) = accel.take_if("tb-size", |s| s.parse::<u64>().ok()) {
                let cache = Element::leaf("tb-cache", size).attr("unit", "MiB");
                pieces.features.push(Element::new("tcg").child(cache));
            }
            if let Some(size) = accel.take("dirty-ring-size") {
                pieces.kvm.push(Element::new("dirty-ring").attr("state", "on").attr("size", size));
            }
            // QEMU adds what is said twice of one accelerator together.
            if !accel.is_empty() {
                let text = format!("{},{}", chosen.last().map_or("kvm", String::as_str), accel.text());
                self.notes.push(argument.span, Fate::Through, format!("-accel {text}"));
                self.hand("accel", Some(text), argument.span);
            }
        }
        let name = self.program.rsplit('/').next().unwrap_or_default();
        if matches!(name, "qemu-kvm" | "kvm") && chosen.is_empty() {
            chosen.push("kvm".to_string());
        }
        let first = chosen.first().cloned();
        if let Some(first) = first.as_deref().filter(|first| chosen.iter().any(|c| c != first)) {
            let all = chosen.join(", ");
            self.changed(options.span, format!("of the accelerators {all} only the first, {first}, is kept"));
        }
        match first.as_deref() {
            Some("kvm") => "kvm",
            Some("hvf") => "hvf",
            Some("xen") => "xen",
            Some("mshv") => "hyperv",
            _ => "qemu",
        }
    }

    /// The architecture of the program.
    pub fn arch(&self) -> String {
        let name = self.program.rsplit('/').next().unwrap_or_default();
        match super::source::architecture(name) {
            Some("i386") => "i686".to_string(),
            Some("arm" | "armv7l") => "armv7l".to_string(),
            // A processor of 64 bits that runs a guest of 32.
            Some("aarch64") if self.command.values("cpu").any(|cpu| cpu.split(',').any(|p| p == "aarch64=off")) => {
                "armv7l".to_string()
            }
            Some(arch) => arch.to_string(),
            None => "x86_64".to_string(),
        }
    }

    /// Whether the guest is an x86.
    pub fn is_x86(&self) -> bool {
        matches!(self.arch().as_str(), "x86_64" | "i686")
    }

    fn os(&mut self, arch: &str, machine: Option<&str>, options: &mut Options) -> Element {
        let mut os = Element::new("os");
        os.push(Element::leaf("type", "hvm").attr("arch", arch).maybe("machine", machine));
        for (index, role) in [(0, "pflash0"), (1, "pflash1")] {
            if let Some(node) = options.take(role) {
                self.pflash_node(&mut os, index, &node, options.span);
            }
        }
        self.pflash_drives(&mut os);
        // Firmware that cannot be written, and no store beside it.
        let stateless = !os.has("nvram") && os.find("loader").is_some_and(|l| l.get("readonly") == Some("yes"));
        if stateless {
            os.inside("loader").set("stateless", "yes");
        }
        let bios = match self.last("bios") {
            // RISC-V starts without: that is no file.
            Some(argument) if argument.value.as_deref() == Some("none") => {
                self.through(&argument);
                None
            }
            Some(argument) => argument.value,
            None => options.take("firmware"),
        };
        match bios {
            // With flash, the firmware is there.
            Some(path) if path != "default" => os.push(Element::leaf("loader", self.path(&path)).attr("type", "rom")),
            _ => {}
        }
        self.varstore(arch, &mut os);
        for (switch, name) in
            [("kernel", "kernel"), ("initrd", "initrd"), ("append", "cmdline"), ("dtb", "dtb"), ("shim", "shim")]
        {
            let value = self.last(switch).and_then(|a| a.value).or_else(|| options.take(switch));
            if let Some(value) = value.filter(|v| !v.is_empty()) {
                os.push(Element::leaf(name, if name == "cmdline" { value } else { self.path(&value) }));
            }
        }
        self.acpi_tables(&mut os);
        self.boot(&mut os);
        if self.is_x86() && options.same("graphics", &["off"]) {
            // What the firmware shows goes to the serial port.
            os.inside("bios").set("useserial", "yes");
        }
        self.loadparm = options.take("loadparm");
        os
    }

    /// The variables of UEFI that a device of QEMU keeps, beside firmware in read-only memory.
    fn varstore(&mut self, arch: &str, os: &mut Element) {
        if os.find("loader").is_none_or(|loader| loader.get("type") != Some("rom")) {
            return;
        }
        let name = if matches!(arch, "x86_64" | "i686") { "uefi-vars-x64" } else { "uefi-vars-sysbus" };
        for (place, mut device) in self.command.find("device", "driver") {
            let (true, Some(path)) = (device.get("driver") == Some(name), device.get("jsonfile")) else { continue };
            let path = self.path(path);
            for told in ["driver", "id", "jsonfile"] {
                device.take(told);
            }
            // What it is told besides has no place in the format, and would be lost.
            if device.is_empty() && !os.has("varstore") {
                self.command.mark(place);
                os.push(Element::new("varstore").attr("path", path));
            }
        }
    }

    fn acpi_tables(&mut self, os: &mut Element) {
        for (place, mut table) in self.command.find("acpitable", "") {
            let (sig, file) = (table.take("sig"), table.take_any(&["file", "data"]));
            let kind = match sig.as_deref() {
                Some("SLIC") => "slic",
                Some("MSDM") => "msdm",
                None => "rawset",
                Some(_) => continue,
            };
            if let Some(file) = file.filter(|_| table.is_empty()) {
                self.command.mark(place);
                let path = self.path(&file);
                os.inside("acpi").push(Element::leaf("table", path).attr("type", kind));
            }
        }
    }

    fn boot(&mut self, os: &mut Element) {
        let mut boot = self.merged("boot", "order");
        self.strict_boot = boot.same("strict", &["on"]);
        match boot.get("order").map(str::to_string) {
            Some(_) if self.boot_order => {
                let text = format!(
                    "-boot order={}, because devices have a boot index",
                    boot.take("order").unwrap_or_default()
                );
                self.idle(boot.span, text);
            }
            Some(order) if order.chars().all(|c| "abcdnop".contains(c)) => {
                boot.take("order");
                for letter in order.chars() {
                    let device = match letter {
                        'a' | 'b' => "fd",
                        'c' => "hd",
                        'd' => "cdrom",
                        _ => "network",
                    };
                    os.push(Element::new("boot").attr("dev", device));
                }
            }
            _ => {}
        }
        let menu = boot.take_switch("menu");
        let timeout = boot.take("splash-time");
        if menu.is_some() || timeout.is_some() {
            let enable = if menu.unwrap_or(true) { "yes" } else { "no" };
            os.push(Element::new("bootmenu").attr("enable", enable).maybe("timeout", timeout));
        }
        if let Some(timeout) = boot.take("reboot-timeout") {
            os.inside("bios").set("rebootTimeout", timeout);
        }
        if !boot.is_empty() {
            if let Some(splash) = boot.get("splash").map(|s| self.path(s)) {
                boot.set("splash", splash);
            }
            self.notes.push(boot.span, Fate::Through, format!("-boot {}", boot.text()));
            self.hand("boot", Some(boot.text()), boot.span);
        }
    }

    fn acpi(&mut self, arch: &str, os: &Element, options: &mut Options, pieces: &mut Pieces) {
        let rom = os.find("loader").is_some_and(|l| l.get("type") == Some("rom"));
        let said = if self.command.take_switch("no-acpi") { Some(false) } else { options.take_switch("acpi") };
        let usual = match arch {
            "x86_64" | "i686" => !self.board.starts_with("isapc"),
            "aarch64" | "armv7l" => os.has("loader") && !rom,
            _ => false,
        };
        if said.unwrap_or(usual) {
            pieces.features.insert(0, Element::new("acpi"));
        }
        if self.is_x86() {
            // QEMU's own x86 machines always have a local APIC.
            pieces.features.push(Element::new("apic").maybe("eoi", pieces.apic_eoi));
        }
    }

    fn machine_features(&mut self, options: &mut Options, pieces: &mut Pieces) {
        for (key, name, attribute) in FEATURES {
            if options.get(key) == Some("auto") {
                options.take(key);
                continue;
            }
            let value = match *attribute {
                "state" => options.take_on_off(key).map(str::to_string),
                _ => options.take(key),
            };
            if let Some(value) = value {
                pieces.features.push(Element::new(*name).attr(*attribute, value.replace("max", "host")));
            }
        }
        let irqchip = options.take_any(&["kernel-irqchip", "kernel_irqchip"]);
        match irqchip.as_deref().map(|chip| (chip, switch(chip))) {
            Some(("split", _)) => pieces.features.push(Element::new("ioapic").attr("driver", "qemu")),
            Some((_, Some(true))) if self.is_x86() => {
                pieces.features.push(Element::new("ioapic").attr("driver", "kvm"))
            }
            Some((other, _)) => options.set("kernel-irqchip", other),
            None => {}
        }
        let mut hpt = Element::new("hpt").maybe("resizing", options.take("resize-hpt"));
        if let Some(size) = options.take_if("cap-hpt-max-page-size", |s| super::memory::kib(s, 1)) {
            hpt.push(Element::leaf("maxpagesize", size).attr("unit", "KiB"));
        }
        if !hpt.is_empty() {
            pieces.features.push(hpt);
        }
        if options.same("iommu", &["smmuv3"]) {
            self.devices.push(Element::new("iommu").attr("model", "smmuv3"));
        }
        // These follow from devices and nodes.
        let nvdimm = self.devices.iter().any(|d| d.name() == "memory" && d.get("model") == Some("nvdimm"));
        if nvdimm {
            options.same("nvdimm", &["on"]);
        }
        options.same("nvdimm", &["off"]);
        if !pieces.interconnects.is_empty() {
            options.same("hmat", &["on"]);
        }
        for (place, mut device) in self.command.find("device", "driver") {
            if device.get("driver") == Some("vmcoreinfo") {
                self.command.mark(place);
                device.take("driver");
                device.take("id");
                pieces.features.push(Element::new("vmcoreinfo").attr("state", "on"));
                self.leave("-device vmcoreinfo", device);
            }
        }
        for (place, mut run) in self.command.find("run-with", "") {
            if run.take_switch("async-teardown") == Some(true) && run.is_empty() {
                self.command.mark(place);
                pieces.features.push(Element::new("async-teardown").attr("enabled", "yes"));
            }
        }
        if self.command.take_switch("async-teardown") {
            pieces.features.push(Element::new("async-teardown").attr("enabled", "yes"));
        }
    }

    /// `<keywrap>` of IBM's mainframes.
    fn keywrap(&mut self, options: &mut Options) -> Option<Element> {
        let mut out = Element::new("keywrap");
        for name in ["aes", "dea"] {
            if let Some(state) = options.take_on_off(&format!("{name}-key-wrap")) {
                out.push(Element::new("cipher").attr("name", name).attr("state", state));
            }
        }
        (!out.is_empty()).then_some(out)
    }

    /// `-global` settings that the format has.
    fn globals(&mut self, pieces: &mut Pieces) {
        for (place, global) in self.command.find("global", "") {
            let Some((driver, property, value)) = setting(&global) else { continue };
            match (driver.as_str(), property.as_str()) {
                ("ICH9-LPC" | "PIIX4_PM", state @ ("disable_s3" | "disable_s4")) => {
                    let element = if state == "disable_s3" { "suspend-to-mem" } else { "suspend-to-disk" };
                    let enabled = if is_on(&value) || value == "1" { "no" } else { "yes" };
                    pieces.pm.push(Element::new(element).attr("enabled", enabled));
                }
                ("ICH9-LPC", "noreboot") if switch(&value) == Some(false) => {
                    self.itco = true;
                }
                ("mch" | "q35-pcihost" | "i440FX-pcihost", "pci-hole64-size") => {
                    let Some(size) = super::memory::kib(&value, 1) else { continue };
                    let model = if driver == "i440FX-pcihost" { "pci-root" } else { "pcie-root" };
                    let hole = Element::leaf("pcihole64", size).attr("unit", "KiB");
                    let controller =
                        Element::new("controller").attr("type", "pci").attr("index", 0).attr("model", model);
                    self.devices.push(controller.child(hole));
                }
                ("PIIX4_PM", "acpi-root-pci-hotplug") if switch(&value).is_some() => {
                    let target = Element::new("target").attr("hotplug", if is_on(&value) { "on" } else { "off" });
                    let controller =
                        Element::new("controller").attr("type", "pci").attr("index", 0).attr("model", "pci-root");
                    self.devices.push(controller.child(target));
                }
                ("isa-fdc", "bootindexA" | "bootindexB") if value.parse::<i64>().is_ok() => {
                    let drive = usize::from(property.ends_with('B'));
                    self.floppy_boot[drive] = value.parse().ok();
                }
                ("mch", "extended-tseg-mbytes") if pieces.features.iter().any(|f| f.name() == "smm") => {
                    if let Some(smm) = pieces.features.iter_mut().find(|f| f.name() == "smm") {
                        smm.push(Element::leaf("tseg", &value).attr("unit", "MiB"));
                    }
                }
                ("spapr-nvram", "reg") if super::options::number(&value).is_some() => {
                    let reg = super::options::number(&value).unwrap_or(0);
                    let address = Element::new("address").attr("type", "spapr-vio").attr("reg", format!("{reg:#x}"));
                    self.devices.push(Element::new("nvram").child(address));
                }
                ("kvm-pit", "lost_tick_policy") if matches!(value.as_str(), "delay" | "discard") => {
                    pieces.timers.push(Element::new("timer").attr("name", "pit").attr("tickpolicy", value));
                }
                _ => continue,
            }
            self.command.mark(place);
        }
    }

    fn clock(&mut self, options: &mut Options, pieces: &mut Pieces) -> Element {
        let mut rtc = self.merged("rtc", "base");
        if self.command.take_switch("localtime") {
            rtc = rtc.with("base", "localtime");
        }
        let base = rtc.take("base");
        let mut clock = match base.as_deref() {
            Some("localtime") => Element::new("clock").attr("offset", "localtime"),
            Some("utc") | None => Element::new("clock").attr("offset", "utc"),
            Some(start) => match seconds_since_1970(start) {
                Some(seconds) => Element::new("clock").attr("offset", "absolute").attr("start", seconds),
                None => {
                    self.left_out(rtc.span, format!("-rtc base={start}, which is no date"));
                    Element::new("clock").attr("offset", "utc")
                }
            },
        };
        let policy = rtc.take_if("driftfix", |d| match d {
            "slew" => Some(Some("catchup")),
            "none" => Some(None),
            _ => None,
        });
        let track = rtc.take_if("clock", |c| match c {
            "vm" => Some("guest"),
            "rt" => Some("realtime"),
            "host" => Some("wall"),
            _ => None,
        });
        let policy = policy.flatten();
        if policy.is_some() || track.is_some() {
            clock.push(Element::new("timer").attr("name", "rtc").maybe("track", track).maybe("tickpolicy", policy));
        }
        self.leave("-rtc", rtc);
        clock.push_all(pieces.timers.drain(..));
        let without_hpet = self.command.take_switch("no-hpet");
        if let Some(present) = options.take_switch("hpet").or(without_hpet.then_some(false)) {
            let present = if present { "yes" } else { "no" };
            clock.push(Element::new("timer").attr("name", "hpet").attr("present", present));
        }
        clock
    }

    /// QEMU takes further options of the machine with another `-machine`.
    fn rest_of_machine(&mut self, mut options: Options) {
        options.same("graphics", &["on"]);
        self.speaker = options.take("pcspk-audiodev");
        if !options.is_empty() {
            let text = options.text();
            self.notes.push(options.span, Fate::Through, format!("-machine {text}"));
            self.hand("machine", Some(text), options.span);
        }
    }
}

/// What `-usb` is on a machine with a Q35 (`ehci_create_ich9_with_companions`).
fn chipset_usb() -> Vec<Element> {
    let part = |model: &str, function: u32, port: Option<u32>| {
        let controller = Element::new("controller").attr("type", "usb").attr("index", 0).attr("model", model);
        let address = Element::new("address").attr("type", "pci").attr("domain", "0x0000").attr("bus", "0x00");
        let address = address.attr("slot", "0x1d").attr("function", format!("{function:#x}"));
        let address = if function == 0 { address.attr("multifunction", "on") } else { address };
        match port {
            Some(port) => controller.child(Element::new("master").attr("startport", port)).child(address),
            None => controller.child(address),
        }
    };
    vec![
        part("ich9-ehci1", 7, None),
        part("ich9-uhci1", 0, Some(0)),
        part("ich9-uhci2", 1, Some(2)),
        part("ich9-uhci3", 2, Some(4)),
    ]
}

/// Adds children below an element, if there are any.
fn collect(to: &mut Vec<Element>, name: &'static str, children: Vec<Element>) {
    if !children.is_empty() {
        let mut all = Element::new(name);
        all.push_all(children);
        to.push(all);
    }
}

/// Driver, property and value of a `-global`, in either notation.
pub fn setting(global: &Options) -> Option<(String, String, String)> {
    if let (Some(driver), Some(property), Some(value)) =
        (global.get("driver"), global.get("property"), global.get("value"))
    {
        return Some((driver.to_string(), property.to_string(), value.to_string()));
    }
    let key = global.keys().next()?;
    let (driver, property) = key.split_once('.')?;
    Some((driver.to_string(), property.to_string(), global.get(key)?.to_string()))
}
