//! What lowering writes to: the Plan, filled by an argument with its cause, an access, a limit at a time.

use super::{Cx, Env, Grant, Machine, Paths};
use crate::caps::Cap;
use crate::device::address::Address;
use crate::device::controller::ControllerKind;
use crate::device::info::DeviceInfo;
use crate::device::{Device, Devices};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::domain::Domain;
use crate::domain::qemu::OverrideType;
use crate::plan::{
    Arg, Cause, Claim, ClaimKind, Connection, Descriptor, Form, Listen, Need, Needed, PathKind, Plan, Prop, Props,
    Text, Use, Wiring,
};
use crate::vocab::Value;
use crate::xml::{Document, Site};

/// Numbers of the block nodes: the first of each disk, in the order of the disks.
#[derive(Debug, Default)]
pub struct BlockNodes {
    first: std::vec::IntoIter<u32>,
}

impl BlockNodes {
    /// Node numbers that were counted before.
    pub fn new(first: Vec<u32>) -> BlockNodes {
        BlockNodes { first: first.into_iter() }
    }

    /// The number of the first node of the next disk; none if there are more disks than were counted.
    pub fn take(&mut self) -> Option<u32> {
        self.first.next()
    }
}

/// The context of lowering: what it reads, and the Plan that it fills.
pub struct Lower<'a> {
    /// What the compilation depends on.
    pub env: Env<'a>,
    /// The source, for causes.
    pub doc: &'a Document<'a>,
    /// The resolved domain.
    pub domain: &'a Domain,
    /// Its devices.
    pub devices: &'a Devices,
    /// Its machine.
    pub machine: &'a Machine,
    /// Where the domain's own files are.
    pub paths: Paths,
    /// The Plan so far.
    pub plan: Plan,
    /// QEMU's arguments so far.
    pub args: Vec<Arg>,
    /// Which of the arguments are the user's own (`<qemu:commandline>`).
    pub handed_through: std::ops::Range<usize>,
    /// What QEMU needs so far besides paths.
    pub needs: Vec<Needed>,
    /// Descriptors that libvirt would pass.
    pub descriptors: Vec<Descriptor>,
    /// Descriptor sets (`-add-fd`) so far.
    fd_sets: u32,
    /// Numbers of block nodes.
    pub block_nodes: BlockNodes,
    /// Starts of lines in the source, for causes.
    lines: Vec<u32>,
    /// Environment variables that devices add.
    pub variables: Vec<(Text, String)>,
    /// Values of secrets that the XML holds, by source; see [`crate::compile::Compiled::secret_values`].
    pub secret_values: Vec<(String, String)>,
    /// Where faults go.
    pub diags: &'a mut Diagnostics,
}

fn line_starts(source: &str) -> Vec<u32> {
    std::iter::once(0)
        .chain(source.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1))
        .collect()
}

impl<'a> Lower<'a> {
    /// *Wiring*: whether a parent opens files, sockets and interfaces, and hands their descriptors over. Otherwise QEMU
    /// opens them itself, by their paths.
    pub fn hands_over_descriptors(&self) -> bool {
        self.env.has_parent()
    }

    /// The same for the files and sockets of character devices and of the monitor: `--wiring paths` is the form of
    /// `virsh domxml-to-native`, which opens none of them.
    pub fn hands_over_chardevs(&self) -> bool {
        self.hands_over_descriptors() && self.env.options.wiring == Wiring::Descriptors
    }

    /// An empty Plan for a resolved domain.
    pub fn new<'c: 'a>(
        domain: &'a Domain,
        devices: &'a Devices,
        machine: &'a Machine,
        block_nodes: BlockNodes,
        cx: &'a mut Cx<'c>,
    ) -> Lower<'a> {
        Lower {
            env: cx.env,
            doc: cx.doc,
            domain,
            devices,
            machine,
            paths: Paths::of(domain, &cx.env),
            plan: Plan { version: Plan::VERSION, ..Plan::default() },
            args: Vec::with_capacity(64),
            handed_through: 0..0,
            needs: Vec::new(),
            descriptors: Vec::new(),
            fd_sets: 0,
            variables: Vec::new(),
            secret_values: Vec::new(),
            block_nodes,
            lines: line_starts(cx.doc.source()),
            diags: cx.diags,
        }
    }

    /// Whether QEMU can do this.
    pub fn has(&self, cap: Cap) -> bool {
        self.env.has(cap)
    }

    /// The cause of an entry: an element of the XML, and a few words.
    pub fn cause(&self, site: Site, what: impl Into<Text>) -> Cause {
        let span = self.doc.span_of(site);
        let line = if span.is_none() { 0 } else { self.lines.partition_point(|&at| at <= span.start) as u32 };
        Cause { line, span, what: what.into(), is_default: false }
    }

    /// Records something that QEMU needs besides paths; the first who needs it is the cause.
    pub fn need(&mut self, need: Need, site: Site, what: impl Into<Text>) {
        if self.needs.iter().all(|n| n.need != need) {
            let cause = self.cause(site, what);
            self.needs.push(Needed { need, cause });
        }
    }

    /// Records a port on which QEMU listens; nothing for port 0.
    pub fn listens_on(&mut self, address: &str, port: u16, udp: bool, cause: &Cause) {
        let listen = if udp { Listen::udp } else { Listen::tcp };
        self.plan.listens.extend(listen("qemu", address, port, cause.clone()));
    }

    /// Records a socket to which QEMU connects, and whether it does so again.
    pub fn connects(&mut self, socket: &str, again: bool, cause: &Cause) {
        self.plan.connects.push(Connection { socket: socket.to_string(), again, cause: cause.clone() });
    }

    /// Records what only this machine can have.
    pub fn claim(&mut self, kind: ClaimKind, value: impl Into<String>, site: Site, what: impl Into<Text>) {
        let cause = self.cause(site, what);
        self.plan.claims.push(Claim { kind, value: value.into(), cause });
    }

    /// What `<qemu:override>` puts in the place of a property of a device.
    pub fn overridden(&self, id: &str, property: &str) -> Option<&str> {
        let mut all = self.domain.qemu.overrides.iter().rev();
        all.find(|o| o.alias == id && o.name == property).and_then(|o| o.value.as_deref())
    }

    /// The cause of what a default rule adds to every domain; the place is that of the domain.
    pub fn default_cause(&self, what: &'static str) -> Cause {
        Cause { is_default: true, ..self.cause(self.domain.site, what) }
    }

    /// Records a fault that only shows when the command line is made.
    pub fn error(&mut self, code: &'static Code, site: Site, message: impl Into<String>) -> &mut Diagnostic {
        let span = self.doc.span_of(site);
        self.diags.error(code, span, message)
    }

    /// Records what works for others than the machine's instance.
    pub fn warning(&mut self, code: &'static Code, site: Site, message: impl Into<String>) -> &mut Diagnostic {
        let span = self.doc.span_of(site);
        self.diags.warning(code, span, message)
    }

    /// What an earlier pass has seen to. That it is not there is a bug of virtc, which is told: the default value only lets
    /// lowering go on to the end.
    pub fn must<T: Default>(&mut self, value: Option<T>, what: &str, site: Site) -> T {
        if value.is_none() {
            self.error(&crate::diag::codes::general::INTERNAL, site, format!("a bug of virtc: {what} is missing here"))
                .help("please report it, with this file and `virtc --version`");
        }
        value.unwrap_or_default()
    }

    /// Adds a switch without a value that a default rule asks for.
    pub fn switch(&mut self, switch: &'static str, why: &'static str) {
        self.args.push(Arg::switch(switch, Cause { line: 0, what: why.into(), ..Cause::default() }));
    }

    /// Adds a switch with a plain token.
    pub fn text(&mut self, switch: &'static str, text: impl Into<String>, site: Site, what: impl Into<Text>) {
        let cause = self.cause(site, what);
        self.args.push(Arg::text(switch, text, cause));
    }

    /// Adds a switch with an option list.
    pub fn options(&mut self, switch: &'static str, props: Props, site: Site, what: impl Into<Text>) {
        let cause = self.cause(site, what);
        self.args.push(Arg::props(switch, props, Form::Options, cause));
    }

    /// Adds a switch whose properties are written in JSON.
    pub fn json(&mut self, switch: &'static str, props: Props, site: Site, what: impl Into<Text>) {
        let cause = self.cause(site, what);
        self.args.push(Arg::props(switch, props, Form::Json, cause));
    }

    /// Adds an `-object`.
    pub fn object(&mut self, props: Props, site: Site, what: impl Into<Text>) {
        self.json("-object", props, site, what);
    }

    /// Adds a `-blockdev`.
    pub fn blockdev(&mut self, props: Props, site: Site, what: &'static str) {
        self.json("-blockdev", props, site, what);
    }

    /// Adds an `-audiodev`.
    pub fn audiodev(&mut self, props: Props, site: Site) {
        self.json("-audiodev", props, site, "audio");
    }

    /// Adds a variable to QEMU's environment.
    pub fn variable(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((Text::Borrowed(name), value.into()));
    }

    /// Records that a process renders on a GPU of the host.
    pub fn render_node(&mut self, path: &str, site: Site) {
        let what = "rendering on the GPU";
        self.need(Need::Gpu, site, what);
        self.touch(path, Grant::SYSTEM_NODE, Use::Gpu, site, what);
        // The library compares all nodes to find the driver of this one (libdrm, drmGetDevices).
        // The folder is not the XML's to choose.
        self.touch_if_there("/dev/dri", Grant::SYSTEM_SOURCE.on(PathKind::Directory), Use::Gpu, Site::NONE, what);
    }

    /// Adds a `-netdev`.
    pub fn netdev(&mut self, mut props: Props, site: Site) {
        let form = if self.has(Cap::NetdevJson) { Form::Json } else { Form::Options };
        if form == Form::Options {
            // The type stands without a key, and a list of strings is the key once for each.
            for (key, value) in std::mem::take(&mut props.0) {
                match value {
                    Prop::List(items) => {
                        for item in items {
                            let text = match &item {
                                Prop::Object(inner) => inner.get("str").cloned(),
                                _ => None,
                            };
                            props.set(key.clone(), text.unwrap_or(item));
                        }
                    }
                    value if key == "type" => {
                        props.bare(value);
                    }
                    value => {
                        props.set(key, value);
                    }
                }
            }
        }
        let cause = self.cause(site, "interface");
        self.args.push(Arg::props("-netdev", props, form, cause));
    }

    /// Adds the `-device` of a device, with the properties that `<qemu:override>` changes.
    pub fn device(&mut self, mut props: Props, device: &dyn Device) {
        if let Some(Prop::Text(rom)) = props.get("romfile")
            && rom.starts_with('/')
        {
            let rom = rom.to_string();
            self.touch(&rom, Grant::ROM, Use::OptionRom, device.site(), "option ROM");
        }
        let id = &device.info().id;
        let what = "a value of its type for an overridden property";
        for change in self.domain.qemu.overrides.iter().filter(|o| o.alias == *id) {
            let value = change.value.as_deref();
            let prop = match change.kind {
                OverrideType::Remove => {
                    props.0.retain(|(key, _)| *key != change.name);
                    continue;
                }
                OverrideType::String => Prop::from(self.must(value, what, change.site).to_string()),
                OverrideType::Signed => {
                    Prop::from(self.must(value.and_then(|v| i64::parse(v).ok()), what, change.site))
                }
                OverrideType::Unsigned => {
                    Prop::from(self.must(value.and_then(|v| u64::parse(v).ok()), what, change.site))
                }
                OverrideType::Bool => Prop::from(value == Some("true")),
            };
            props.replace(change.name.clone(), prop);
        }
        // libvirt leaves this device of memory devices to QEMU.
        let zpci = device
            .info()
            .pci()
            .and_then(|pci| pci.zpci)
            .filter(|_| !device.is::<crate::device::memory::MemoryDevice>());
        if let Some(zpci) = zpci {
            let site = device.info().address_site();
            let uid = self.must(zpci.uid, "the uid of a zPCI address", site);
            let fid = self.must(zpci.fid, "the fid of a zPCI address", site);
            let mut zpci_props = Props::driver("zpci");
            zpci_props.set("uid", uid).set("fid", fid);
            zpci_props.set("target", id.clone()).set("id", format!("zpci{uid}"));
            let cause = self.cause(site, "S/390 identifiers of a PCI device");
            self.device_arg(zpci_props, cause);
        }
        let cause = self.cause(device.site(), device.family());
        self.device_arg(props, cause);
    }

    /// Adds a `-device` that stands for no device of the domain format.
    pub fn plain_device(&mut self, props: Props, site: Site, what: impl Into<Text>) {
        let cause = self.cause(site, what);
        self.device_arg(props, cause);
    }

    /// Adds a `-device` in the notation of this QEMU. The option form names the driver without a key.
    fn device_arg(&mut self, mut props: Props, cause: Cause) {
        let json = self.has(Cap::DeviceJsonHotplug);
        if !json
            && let Some((key, _)) = props.0.first_mut()
            && key == "driver"
        {
            *key = Text::Borrowed("");
        }
        self.args.push(Arg::props("-device", props, if json { Form::Json } else { Form::Options }, cause));
    }

    /// The driver of a virtio device: `virtio-blk-pci`, `-ccw` or `-device` by its address.
    pub fn virtio_driver(&self, base: &str, info: &DeviceInfo, suffix: &str) -> String {
        let transport = match &info.address.address {
            Some(Address::Ccw(_)) => "-ccw",
            Some(Address::VirtioMmio) => "-device",
            _ => "-pci",
        };
        format!("{base}{transport}{suffix}")
    }

    /// The id of a controller, by kind and index.
    pub fn controller_id(&self, kind: ControllerKind, index: u32) -> String {
        let found = self.devices.controllers.iter().find(|c| c.is(kind) && c.index() == index);
        found.map_or_else(|| format!("{kind}{index}"), |c| c.info.id.clone())
    }

    /// Adds `bus` and `addr`, or what the kind of the address has in their place.
    pub fn address(&self, props: &mut Props, info: &DeviceInfo) {
        match &info.address.address {
            Some(Address::Pci(pci)) => {
                let bus = self.controller_id(ControllerKind::Pci, pci.bus);
                // The bus of a further host bridge of POWER is named after it.
                let host_bridge = pci.bus > 0
                    && self.devices.controllers.iter().any(|c| {
                        c.is(ControllerKind::Pci)
                            && c.index() == pci.bus
                            && c.model == Some(crate::device::controller::ControllerModel::PciRoot)
                    });
                props.set("bus", if host_bridge { format!("{bus}.0") } else { bus });
                props.maybe("multifunction", pci.multifunction.map(|m| m.is_on()));
                let place = if pci.function == 0 {
                    format!("0x{:x}", pci.slot)
                } else {
                    format!("0x{:x}.0x{:x}", pci.slot, pci.function)
                };
                props.set("addr", place);
                props.maybe("acpi-index", info.acpi.as_ref().and_then(|a| a.index));
                if let Some(rom) = &info.rom {
                    props.maybe("rombar", rom.bar.map(|b| u32::from(b.is_on())));
                    let disabled = rom.enabled.is_some_and(|e| !e.is_yes());
                    props.maybe("romfile", if disabled { Some(String::new()) } else { rom.file.clone() });
                }
            }
            Some(Address::Usb(usb)) => {
                props.set("bus", format!("{}.0", self.controller_id(ControllerKind::Usb, usb.bus)));
                if !usb.port.is_empty() {
                    props.set("port", usb.port_text());
                }
            }
            Some(Address::SpaprVio { reg: Some(reg) }) => {
                props.set("reg", *reg);
            }
            Some(Address::Ccw(Some(ccw))) => {
                props.set("devno", ccw.to_string());
            }
            _ => {}
        }
    }

    /// Adds the place in the boot order.
    pub fn boot(&self, props: &mut Props, info: &DeviceInfo) {
        props.maybe("bootindex", info.bootindex);
        if self.has(Cap::VirtioCcwLoadparm) {
            props.maybe("loadparm", info.boot.as_ref().and_then(|b| b.loadparm.clone()));
        }
    }

    /// A descriptor that libvirt would pass: a placeholder number.
    pub fn descriptor(&mut self, what: impl Into<Text>) -> String {
        let number = 3 + self.descriptors.len() as u32;
        self.descriptors.push(Descriptor { number, what: what.into(), link: None });
        number.to_string()
    }

    /// A descriptor of a macvtap, which whoever starts a standalone QEMU opens.
    pub fn link_descriptor(&mut self, link: &str) -> String {
        let number = self.descriptor(format!("macvtap {link}"));
        if let Some(last) = self.descriptors.last_mut() {
            last.link = Some(link.to_string());
        }
        number
    }

    /// A set with one descriptor that libvirt would pass (`-add-fd`); gives the path that stands for it,
    /// `/dev/fdset/0`. `opaque` is the note that QEMU keeps with the descriptor.
    pub fn fd_set(&mut self, opaque: impl Into<Text>, site: Site) -> String {
        let opaque = opaque.into();
        let set = self.fd_sets;
        self.fd_sets += 1;
        let mut props = Props::with("set", set);
        let fd = self.descriptor(opaque.clone());
        props.set("fd", fd).set("opaque", opaque.clone());
        self.options("-add-fd", props, site, opaque);
        format!("/dev/fdset/{set}")
    }

    /// A set with several descriptors of the launcher; see [`Lower::fd_set`].
    pub fn fd_set_of(&mut self, count: u32, opaque: &str, site: Site) -> String {
        let set = self.fd_sets;
        self.fd_sets += 1;
        for _ in 0..count {
            let fd = self.descriptor(opaque.to_string());
            let mut props = Props::with("set", set);
            props.set("fd", fd).set("opaque", opaque.to_string());
            self.options("-add-fd", props, site, opaque.to_string());
        }
        format!("/dev/fdset/{set}")
    }
}
