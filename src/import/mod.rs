//! A domain out of a QEMU command line: the way back from `virtc argv`.
//!
//! [`command_lines`] finds the command lines in what people have, [`domain`] makes a domain of one. Every word is either
//! expressed in the domain format, or is one that virtc writes by itself (its monitor, its sandbox), or is handed through as
//! `<qemu:arg>`. Properties of a device that the format cannot express become `<qemu:override>`. Nothing is lost in silence:
//! what became of the other words is in [`Imported::notes`].

mod command;
mod controllers;
mod cpu;
mod devices;
mod display;
mod element;
mod frontend;
mod hostdev;
mod kdl;
mod machine;
mod memory;
mod network;
mod note;
mod options;
mod own;
mod places;
mod ports;
mod secrets;
mod security;
mod source;
mod storage;
pub use crate::caps::switches;
mod sysinfo;
mod through;

pub use kdl::domain_of_kdl;
pub use source::{Around, Line, PROCESS, Word, command_lines, read_configs};
pub use through::is_pci;

use crate::diag::{Diagnostics, Span};
use crate::plan::Plan;
use command::{Argument, Command};
use element::Element;
use note::{Fate, Notes};
use options::Options;
use std::collections::{BTreeMap, BTreeSet};
use through::Through;

/// What an import gives.
#[derive(Debug)]
pub struct Imported {
    /// The domain, as XML.
    pub xml: String,
    /// What could not be expressed, and what became of it. The places are those of the words.
    pub notes: Diagnostics,
}

/// The domain of a command line. Relative paths are those of the directory `base`. `compile` says what virtc makes of a domain:
/// what is handed through has to fit beside it.
pub fn domain(line: &Line, base: &str, compile: &dyn Fn(&[u8]) -> Option<Plan>) -> Imported {
    let base = line.directory.as_deref().map_or(base.to_string(), |d| source_path(base, d));
    let mut import = Import::new(line, &base);
    let machine = import.read();
    import.finish(machine, compile)
}

/// A path below a directory, unless it is absolute.
fn source_path(base: &str, path: &str) -> String {
    source::below(base, path)
}

/// The domain as `virtc normalize` would order it, without what that fills in.
fn in_order(xml: String) -> String {
    let mut diags = Diagnostics::new();
    let doc = crate::xml::parse(xml.as_bytes(), &mut diags);
    match crate::domain::bind(&doc, &|_| false, &mut diags) {
        Some(domain) if !diags.has_errors() => crate::domain::print(&domain),
        // Whoever compiles it says what is wrong.
        _ => xml,
    }
}

/// An import on its way.
struct Import {
    program: String,
    program_span: Span,
    command: Command,
    /// The directory of relative paths.
    base: String,
    /// Children of `<domain>` besides the machine's: devices in the order in which they were found.
    devices: Vec<Element>,
    environment: Vec<Element>,
    /// `<qemu:arg>`, in order.
    arguments: Vec<Through>,
    /// Arguments that virtc writes by itself, if it writes them.
    own: Vec<Argument>,
    /// `<qemu:device>` of `<qemu:override>`.
    overrides: Vec<Element>,
    notes: Notes,
    /// Indexes of PCI controllers by the id that QEMU knows them under.
    pci: BTreeMap<String, u32>,
    /// Indexes of other controllers by `type id`.
    controllers: BTreeMap<(&'static str, String), u32>,
    /// The targets of a prefix that are in use (`vd`, `sd`, `hd`, `fd`).
    targets: BTreeMap<&'static str, Targets>,
    /// Whether any device has a boot index; `<boot>` of the whole domain is then not allowed.
    boot_order: bool,
    /// What is added to a boot index: the format counts from 1.
    boot_offset: i64,
    /// Audio backends by the id that QEMU knows them under, with their numbers.
    audio: Vec<(String, usize)>,
    /// Whether QEMU adds devices of its own to the machine.
    bare: bool,
    /// Whether there is to be no screen.
    headless: bool,
    has_video: bool,
    /// SCSI controllers that know targets and no units.
    narrow_scsi: Vec<u32>,
    /// I/O threads.
    iothreads: Vec<controllers::Thread>,
    /// Sockets, dies, clusters, cores, threads.
    topology: Option<Element>,
    /// The machine's type.
    board: String,
    /// Whether the machine has PCI Express (`q35`, `virt`).
    express: bool,
    /// Whether writes to all disks are thrown away at the end.
    snapshot: bool,
    /// Boot indexes of floppy drives.
    floppy_boot: [Option<i64>; 2],
    /// Whether the watchdog of the chipset is on.
    itco: bool,
    /// Whether only devices that are named are booted from.
    strict_boot: bool,
    /// The UUID that a table of the firmware holds.
    uuid: Option<String>,
    /// Which USB devices may be redirected, as QEMU says it.
    usb_filter: Option<String>,
    /// Settings that the host facts say.
    of_host: Vec<secrets::OfHost>,
    /// What the boot loader of IBM's mainframes is told.
    loadparm: Option<String>,
    /// What QEMU does with options that are to go.
    deprecation: Option<&'static str>,
    /// The audio backend of the speaker on the board.
    speaker: Option<String>,
    /// Indexes of PCI controllers by the places of their arguments.
    pci_indexes: BTreeMap<usize, u32>,
    /// Groups of limits that disks share.
    groups: BTreeMap<usize, Element>,
    /// When devices are made whose address is still open, by the numbers of their addresses.
    open: Vec<places::Made>,
    /// Whether PCI devices get other places than QEMU gives them.
    moved: bool,
    /// Whether the machine brings a USB controller of its own.
    on_board_usb: bool,
    /// Numbers of PCI functions on IBM's mainframes by the id of their device.
    zpci: BTreeMap<String, (String, String)>,
}

impl Import {
    fn new(line: &Line, base: &str) -> Import {
        let mut import = Import {
            program: line.program.text.clone(),
            program_span: line.program.span,
            command: Command::new(&line.arguments),
            base: base.to_string(),
            devices: Vec::new(),
            environment: Vec::new(),
            arguments: Vec::new(),
            own: Vec::new(),
            overrides: Vec::new(),
            notes: Notes::default(),
            pci: BTreeMap::from([("pci.0".to_string(), 0), ("pcie.0".to_string(), 0), ("pci".to_string(), 0)]),
            controllers: BTreeMap::new(),
            targets: BTreeMap::new(),
            boot_order: false,
            boot_offset: 0,
            audio: Vec::new(),
            bare: false,
            headless: false,
            has_video: false,
            narrow_scsi: Vec::new(),
            iothreads: Vec::new(),
            topology: None,
            board: String::new(),
            express: false,
            snapshot: false,
            floppy_boot: [None; 2],
            itco: false,
            strict_boot: false,
            uuid: None,
            usb_filter: None,
            of_host: Vec::new(),
            loadparm: None,
            deprecation: None,
            speaker: None,
            pci_indexes: BTreeMap::new(),
            groups: BTreeMap::new(),
            open: Vec::new(),
            moved: false,
            on_board_usb: false,
            zpci: BTreeMap::new(),
        };
        import.environment(&line.environment);
        import
    }

    fn environment(&mut self, words: &[Word]) {
        // The launcher sets these for every machine.
        let own = ["LC_ALL", "PATH", "HOME", "USER", "LOGNAME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"];
        for word in words {
            let (name, value) = word.text.split_once('=').unwrap_or((&word.text, ""));
            if own.contains(&name) {
                continue;
            }
            self.environment.push(Element::new("qemu:env").attr("name", name).attr("value", value));
        }
    }

    /// Reads all arguments, in an order in which each finds what it refers to.
    fn read(&mut self) -> machine::Machine {
        self.set_aside_own();
        self.bare = !self.command.take_switch("nodefaults");
        self.snapshot = self.command.take_switch("snapshot");
        self.count_boot_indexes();
        self.number_iothreads();
        self.number_pci();
        let mut machine = self.machine();
        self.controllers();
        self.served_disks();
        self.disks();
        self.idle_groups();
        self.interfaces();
        self.ports();
        self.redirection();
        self.displays();
        self.shared_graphics(&mut machine);
        self.other_devices();
        self.hand_the_rest_through();
        self.places();
        self.without_boot_order(&mut machine);
        self.boot_parameter();
        machine
    }

    fn finish(mut self, machine: machine::Machine, compile: &dyn Fn(&[u8]) -> Option<Plan>) -> Imported {
        self.add_absences(&machine);
        self.judge_emulator(&machine, compile);
        let mut notes = std::mem::take(&mut self.notes);
        let mut arguments = std::mem::take(&mut self.arguments);
        if !arguments.is_empty() || !self.own.is_empty() || !self.of_host.is_empty() {
            let plan = compile(self.print(&machine, &[]).as_bytes());
            let tokens = plan.as_ref().and_then(Plan::qemu).map(crate::emit::argv::tokens).unwrap_or_default();
            own::compare(&self.own, &tokens, &mut notes);
            through::follow(&mut arguments, &|key, name| self.name_here(key, name), &mut notes);
            secrets::compare(&self.of_host, &tokens, &mut notes);
            through::settle(&mut arguments, &tokens, self.root_bus(), &mut notes);
        }
        let mut diags = Diagnostics::new();
        notes.report(&mut diags);
        Imported { xml: self.print(&machine, &arguments), notes: diags }
    }

    /// Firmware that tries nothing by itself, and no device that it is told to try: the format says so by a kind of device that
    /// the machine does not have.
    fn without_boot_order(&self, machine: &mut machine::Machine) {
        let Some(os) = machine.children.iter_mut().find(|c| c.name() == "os") else { return };
        if !self.strict_boot || self.boot_order || os.has("boot") || os.has("kernel") {
            return;
        }
        let is = |device: &Element, kind: &str| device.name() == "disk" && device.get("device") == Some(kind);
        let absent = if !self.devices.iter().any(|d| d.name() == "interface") {
            "network"
        } else if !self.devices.iter().any(|d| is(d, "cdrom")) {
            "cdrom"
        } else if !self.devices.iter().any(|d| is(d, "floppy")) {
            "fd"
        } else {
            return;
        };
        os.push(Element::new("boot").attr("dev", absent));
    }

    /// `loadparm` of the machine belongs to the device that is booted first.
    fn boot_parameter(&mut self) {
        let Some(parameter) = self.loadparm.take() else { return };
        let order = |device: &Element| device.find("boot").and_then(|b| b.get("order")?.parse::<u32>().ok());
        match self.devices.iter_mut().filter(|d| order(d).is_some()).min_by_key(|d| order(d)) {
            Some(first) => first.inside("boot").set("loadparm", parameter),
            None => {
                let text = format!("loadparm={parameter}");
                self.notes.push(Span::NONE, Fate::Through, format!("-machine {text}"));
                self.hand("machine", Some(text), Span::NONE);
            }
        }
    }

    /// What the format gives a machine unless it says that there is none.
    fn add_absences(&mut self, machine: &machine::Machine) {
        let is_usb = |d: &Element| match d.name() {
            "controller" | "hostdev" | "hub" => d.get("type") == Some("usb"),
            "redirdev" => true,
            _ => d.get("bus") == Some("usb") || d.find("target").is_some_and(|t| t.get("bus") == Some("usb")),
        };
        let usb = self.devices.iter().any(is_usb);
        if !usb && !machine.usb {
            self.devices.push(Element::new("controller").attr("type", "usb").attr("model", "none"));
        }
        if self.bare && self.is_x86() && self.root_bus().is_some() {
            let text = "what QEMU adds unless -nodefaults is given, if nobody named it: an empty CD-ROM drive, a floppy drive, a serial and a parallel port";
            self.idle(self.program_span, text);
        } else if self.bare && !self.is_x86() {
            let text =
                "what QEMU adds unless -nodefaults is given, if nobody named it: an SD card, a serial port, a screen";
            self.idle(self.program_span, text);
        }
        if !self.devices.iter().any(|d| d.name() == "memballoon") {
            self.devices.push(Element::new("memballoon").attr("model", "none"));
        }
    }

    /// How something that the domain has is called in virtc's own command line: a bus, a thread, an audio backend.
    fn name_here(&self, key: &str, name: &str) -> Option<String> {
        match key {
            "iothread" => self.iothreads.iter().find(|t| t.id == name).map(|t| format!("iothread{}", t.number)),
            "audiodev" => self.audio.iter().find(|(id, _)| id == name).map(|(_, number)| format!("audio{number}")),
            "bus" => {
                if let Some(index) = self.pci.get(name).filter(|index| **index > 0) {
                    return Some(format!("pci.{index}"));
                }
                let (owner, rest) = name.split_once('.').map_or((name, ""), |(owner, _)| (owner, &name[owner.len()..]));
                let ((kind, _), index) = self.controllers.iter().find(|((_, id), _)| id == owner)?;
                Some(match (*kind, *index) {
                    ("usb", 0) => format!("usb{rest}"),
                    ("sata", 0) if self.express => format!("ide{rest}"),
                    (kind, index) => format!("{kind}{index}{rest}"),
                })
            }
            _ => None,
        }
    }

    /// The PCI bus of the machine itself.
    fn root_bus(&self) -> Option<&'static str> {
        let board = self.board.as_str();
        let pc = board.is_empty()
            || board.contains("i440fx")
            || matches!(board, "pc" | "pseries" | "mac99" | "g3beige" | "malta");
        match (self.express, pc || board.starts_with("pc-") || board.starts_with("pseries-")) {
            (true, _) => Some("pcie.0"),
            (false, true) if !self.arch().starts_with("arm") => Some("pci.0"),
            _ => None,
        }
    }

    /// Whether the format has a USB bus for devices of this machine. A controller that the board of a machine without PCI
    /// brings is none that the format knows.
    fn takes_usb(&self) -> bool {
        self.root_bus().is_some() || self.arch() == "s390x" || self.controllers.keys().any(|(kind, _)| *kind == "usb")
    }

    /// Whether the emulator is one that the host runs. Another is left out, and told.
    fn judge_emulator(&mut self, machine: &machine::Machine, compile: &dyn Fn(&[u8]) -> Option<Plan>) {
        let installed = ["/usr/", "/bin/", "/sbin/"].iter().any(|place| self.program.starts_with(place));
        if installed || !self.program.starts_with('/') || compile(self.print(machine, &[]).as_bytes()).is_some() {
            return;
        }
        let emulator = self.program.clone();
        let name = emulator.rsplit('/').next().unwrap_or_default().to_string();
        self.program = name;
        let text = format!(
            "{emulator}: only QEMUs that the host's packages have installed are run for guests, and this machine gets that one; with security {{ allow-program \"{emulator}\"; }} in the host facts, <emulator>{emulator}</emulator> names yours"
        );
        self.changed(self.program_span, text);
    }

    /// The whole domain.
    fn print(&self, machine: &machine::Machine, arguments: &[Through]) -> String {
        let mut domain = Element::new("domain").attr("type", machine.kind);
        let plain = arguments.is_empty() && self.environment.is_empty() && self.overrides.is_empty();
        if !plain || self.deprecation.is_some() {
            domain = domain.attr("xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0");
        }
        machine.children.iter().for_each(|child| domain.push(child.clone()));
        self.iothread_elements().into_iter().for_each(|e| domain.push(e));
        if !self.groups.is_empty() {
            let mut groups = Element::new("throttlegroups");
            groups.push_all(self.groups.values().cloned());
            domain.push(groups);
        }
        let mut devices = Element::new("devices");
        // The emulator is a path; a bare name is found by the host.
        if self.program.starts_with('/') {
            devices.push(Element::leaf("emulator", &self.program));
        }
        self.devices.iter().for_each(|d| devices.push(d.clone()));
        domain.push(devices);
        if !(arguments.is_empty() && self.environment.is_empty()) {
            let mut line = Element::new("qemu:commandline");
            for argument in arguments {
                line.push(Element::new("qemu:arg").attr("value", format!("-{}", argument.switch)));
                line.push_all(argument.value.iter().map(|v| Element::new("qemu:arg").attr("value", v)));
            }
            line.push_all(self.environment.iter().cloned());
            domain.push(line);
        }
        if let Some(behavior) = self.deprecation {
            domain.push(Element::new("qemu:deprecation").attr("behavior", behavior));
        }
        if !self.overrides.is_empty() {
            let mut all = Element::new("qemu:override");
            all.push_all(self.overrides.iter().cloned());
            domain.push(all);
        }
        in_order(domain.print())
    }

    /// A path as the format wants it, absolute.
    fn path(&self, path: &str) -> String {
        source_path(&self.base, path)
    }

    /// The node behind a set of descriptors, whose name does not say it: a guess, which is told.
    fn node_of_set(&mut self, path: String, usual: &str, span: Span) -> String {
        if !path.starts_with("/dev/fdset/") {
            return path;
        }
        self.changed(
            span,
            format!(
                "{path} was handed over as a descriptor: taken to be {usual}; write the right one if it is another"
            ),
        );
        usual.to_string()
    }

    /// Remarks on something that is there in other words, or in another way.
    fn changed(&mut self, span: Span, text: impl Into<String>) {
        self.notes.push(span, Fate::Changed, text);
    }

    /// Remarks on something that the machine lacks.
    fn left_out(&mut self, span: Span, text: impl Into<String>) {
        self.notes.push(span, Fate::LeftOut, text);
    }

    /// Remarks on something that is no part of the machine.
    fn idle(&mut self, span: Span, text: impl Into<String>) {
        self.notes.push(span, Fate::Idle, text);
    }

    /// Tells options for which the format has no place, nor QEMU another way to be given them.
    fn leave(&mut self, what: &str, options: Options) {
        for (key, value, span) in options.into_rest() {
            self.left_out(span, format!("{key}={value} of {what}"));
        }
    }

    /// A name for the guest's view of a disk that nobody else has: `vda`, `sdb`. Some places are fixed by name.
    fn target(&mut self, prefix: &'static str, wanted: Option<usize>) -> String {
        let targets = self.targets.entry(prefix).or_default();
        let mut index = wanted.unwrap_or(targets.free);
        let mut name = format!("{prefix}{}", letters(index));
        while !targets.used.insert(name.clone()) {
            index += 1;
            name = format!("{prefix}{}", letters(index));
        }
        if wanted.is_none() {
            targets.free = index + 1;
        }
        name
    }
}

/// Names for the guest's view of disks with one prefix.
#[derive(Default)]
struct Targets {
    used: BTreeSet<String>,
    /// Those before this one are in use.
    free: usize,
}

/// `a` to `z`, `aa` to `zz`, … for 0 and up.
fn letters(mut index: usize) -> String {
    let mut out = Vec::new();
    loop {
        out.push(b'a' + (index % 26) as u8);
        if index < 26 {
            break;
        }
        index = index / 26 - 1;
    }
    out.reverse();
    String::from_utf8(out).unwrap_or_default()
}
