//! From a resolved domain to the Plan.
//!
//! The order of QEMU's arguments is libvirt's; [`lower`] is that order, written down. Families add their
//! parts with the methods of [`Lower`]: an argument with its cause, an access, a limit.

mod clock;
mod confinement;
mod cpu;
mod firmware;
mod grant;
mod limits;
mod machine;
pub mod memory;
mod monitor;
mod paths;
pub mod policy;
pub mod real;
mod secret;
mod security;
pub mod tls;

use crate::caps::Cap;
use crate::device::address::Address;
use crate::device::controller::ControllerKind;
use crate::device::disk;
use crate::device::info::DeviceInfo;
use crate::device::{Device, Devices, Family};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::domain::qemu::OverrideType;
use crate::domain::{Domain, DomainKind};
use crate::plan::{
    Accelerator, Arg, Cause, Descriptor, Form, Instance, Lifecycle, PathKind, Plan, Process, Prop, Props, Ready, Role,
    Text,
};
use crate::resolve::{Cx, Env, Machine};
use crate::vocab::Value;
use crate::xml::{Document, Site};
pub use grant::Grant;
pub use paths::Paths;

/// Numbers of the block nodes: the first of each disk, in the order of the disks.
#[derive(Debug, Default)]
pub struct BlockNodes {
    first: std::vec::IntoIter<u32>,
}

impl BlockNodes {
    /// The number of the first node of the next disk.
    pub fn take(&mut self) -> u32 {
        self.first.next().unwrap_or(0)
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
    secret_values: Vec<(String, String)>,
    /// Where faults go.
    pub diags: &'a mut Diagnostics,
}

/// What lowering gives.
pub struct Lowered {
    /// The Plan.
    pub plan: Plan,
    /// Values of secrets that the XML holds, by source.
    pub secret_values: Vec<(String, String)>,
}

/// Lowers a resolved domain.
pub fn lower(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) -> Lowered {
    let no_devices = Devices::default();
    let devices = domain.devices.as_ref().unwrap_or(&no_devices);
    let mut lx = Lower {
        env: cx.env,
        doc: cx.doc,
        domain,
        devices,
        machine,
        paths: Paths::of(domain, &cx.env),
        plan: Plan { version: Plan::VERSION, ..Plan::default() },
        args: Vec::with_capacity(64),
        descriptors: Vec::new(),
        fd_sets: 0,
        variables: Vec::new(),
        secret_values: Vec::new(),
        block_nodes: BlockNodes {
            first: crate::device::disk::node_numbers(&devices.disks, cx.env.host, cx.env.is_libvirt()).into_iter(),
        },
        lines: line_starts(cx.doc.source()),
        diags: cx.diags,
    };
    lx.head();
    machine::name(&mut lx);
    machine::compat(&mut lx);
    monitor::stopped(&mut lx);
    machine::master_key(&mut lx);
    disk::reservations(&mut lx);
    firmware::pflash(&mut lx);
    machine::machine(&mut lx);
    machine::accel(&mut lx);
    machine::tseg(&mut lx);
    cpu::cpu(&mut lx);
    firmware::loader(&mut lx);
    memory::memory(&mut lx);
    memory::overcommit(&mut lx);
    cpu::smp(&mut lx);
    memory::iothreads(&mut lx);
    disk::throttle_groups(&mut lx);
    memory::numa(&mut lx);
    machine::uuid(&mut lx);
    firmware::smbios(&mut lx);
    firmware::fwcfg(&mut lx);
    machine::genid(&mut lx);
    machine::display(&mut lx);
    lx.switch("-no-user-config", "default: no configuration of the user");
    lx.switch("-nodefaults", "default: no devices but those named");
    monitor::monitor(&mut lx);
    clock::rtc(&mut lx);
    clock::timers(&mut lx);
    machine::shutdown(&mut lx);
    machine::no_acpi(&mut lx);
    machine::power_management(&mut lx);
    firmware::boot(&mut lx);
    lower_all(&devices.iommus, &mut lx);
    crate::device::controller::lower_all(&mut lx);
    lower_all(&devices.memories, &mut lx);
    lower_all(&devices.hubs, &mut lx);
    crate::device::controller::smartcard_readers(&mut lx);
    disk::floppy_controller(&mut lx);
    lower_all(&devices.disks, &mut lx);
    lower_all(&devices.filesystems, &mut lx);
    lower_all(&devices.interfaces, &mut lx);
    lower_all(&devices.smartcards, &mut lx);
    lower_all(&devices.serials, &mut lx);
    lower_all(&devices.parallels, &mut lx);
    lower_all(&devices.channels, &mut lx);
    lower_all(&devices.consoles, &mut lx);
    lower_all(&devices.tpms, &mut lx);
    lower_all(&devices.inputs, &mut lx);
    lower_all(&devices.audios, &mut lx);
    lower_all(&devices.graphics, &mut lx);
    lower_all(&devices.videos, &mut lx);
    lower_all(&devices.sounds, &mut lx);
    crate::device::watchdog::lower_all(&mut lx);
    lower_all(&devices.redirdevs, &mut lx);
    crate::device::hostdev::lower_all(&mut lx);
    machine::incoming(&mut lx);
    lower_all(&devices.memballoons, &mut lx);
    lower_all(&devices.rngs, &mut lx);
    lower_all(&devices.nvrams, &mut lx);
    machine::vmcoreinfo(&mut lx);
    security::launch(&mut lx);
    machine::handed_through(&mut lx);
    machine::sandbox(&mut lx);
    lower_all(&devices.panics, &mut lx);
    lower_all(&devices.shmems, &mut lx);
    lower_all(&devices.vsocks, &mut lx);
    lower_all(&devices.cryptos, &mut lx);
    machine::async_teardown(&mut lx);
    lower_all(&devices.pstores, &mut lx);
    machine::msg(&mut lx);
    let secret_values = std::mem::take(&mut lx.secret_values);
    Lowered { plan: lx.finish(), secret_values }
}

fn lower_all<F: Family>(family: &[F], lx: &mut Lower<'_>) {
    family.iter().for_each(|d| d.lower(lx));
}

fn line_starts(source: &str) -> Vec<u32> {
    std::iter::once(0)
        .chain(source.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1))
        .collect()
}

impl<'a> Lower<'a> {
    /// The general part of the Plan.
    fn head(&mut self) {
        let domain = self.domain;
        let text = |v: &'static str| Text::Borrowed(v);
        self.plan.name = domain.name().to_string();
        self.plan.uuid = domain.uuid.map(|u| u.to_string()).unwrap_or_default();
        self.plan.title = domain.title.clone();
        self.plan.target = self.env.options.target;
        self.plan.instance = match self.env.host.instance.mode {
            crate::host::InstanceMode::System => Instance::System,
            crate::host::InstanceMode::Session => Instance::Session,
        };
        self.plan.accelerator = match domain.kind() {
            DomainKind::Kvm => Accelerator::Kvm,
            DomainKind::Qemu => Accelerator::Tcg,
            _ => Accelerator::Other,
        };
        self.plan.lifecycle = Lifecycle {
            on_poweroff: text(domain.on_poweroff.map_or("destroy", |a| a.as_str())),
            on_reboot: text(domain.on_reboot.map_or("restart", |a| a.as_str())),
            on_crash: text(domain.on_crash.map_or("destroy", |a| a.as_str())),
        };
        self.plan.limits.vcpus = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1);
        self.plan.limits.memory = domain.memory.as_ref().map_or(0, |m| m.amount.size.0);
    }

    /// Puts QEMU's process into the Plan.
    fn finish(mut self) -> Plan {
        let env = monitor::environment(&self);
        let cause = self.cause(self.domain.site, "the domain");
        if self.plan.accelerator == Accelerator::Kvm {
            self.touch("/dev/kvm", Grant::SYSTEM_NODE, self.domain.site, "the domain: type='kvm'");
        }
        limits::granted_nodes(&mut self);
        limits::limits(&mut self);
        self.plan.confinement = confinement::confinement(&mut self);
        real::settle(&mut self);
        policy::check(&mut self);
        self.plan.processes.push(Process {
            role: Role::Qemu,
            id: "qemu".to_string(),
            program: self.devices.emulator.clone().unwrap_or_default(),
            args: self.args,
            env,
            descriptors: self.descriptors,
            ready: Ready::Monitor,
            capabilities: disk::capabilities(&self.devices.disks),
            locks_memory: self.domain.memory_backing.as_ref().is_some_and(|b| b.locked),
            cause,
            ..Process::default()
        });
        self.plan
    }

    /// Whether QEMU can do this.
    pub fn has(&self, cap: Cap) -> bool {
        self.env.has(cap)
    }

    /// The cause of an entry: an element of the XML, and a few words.
    pub fn cause(&self, site: Site, what: impl Into<Text>) -> Cause {
        let span = self.doc.span_of(site);
        let line = if span.is_none() { 0 } else { self.lines.partition_point(|&at| at <= span.start) as u32 };
        Cause { line, span, what: what.into() }
    }

    /// Records a fault that only shows when the command line is made.
    pub fn error(&mut self, code: &'static Code, site: Site, message: impl Into<String>) -> &mut Diagnostic {
        let span = self.doc.span_of(site);
        self.diags.error(code, span, message)
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
    fn json(&mut self, switch: &'static str, props: Props, site: Site, what: impl Into<Text>) {
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
        self.touch(path, Grant::SYSTEM_NODE, site, what);
        // The library compares all nodes to find the driver of this one (libdrm, drmGetDevices).
        // The folder is not the XML's to choose.
        self.touch_if_there("/dev/dri", Grant::SYSTEM_SOURCE.on(PathKind::Directory), Site::NONE, what);
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
            self.touch(&rom, Grant::ROM, device.site(), "option ROM");
        }
        let id = &device.info().id;
        for change in self.domain.qemu.overrides.iter().filter(|o| o.alias == *id) {
            let value = change.value.as_deref().unwrap_or("");
            let prop = match change.kind {
                OverrideType::Remove => {
                    props.0.retain(|(key, _)| *key != change.name);
                    continue;
                }
                OverrideType::String => Prop::from(value.to_string()),
                OverrideType::Signed => Prop::from(i64::parse(value).unwrap_or(0)),
                OverrideType::Unsigned => Prop::from(u64::parse(value).unwrap_or(0)),
                OverrideType::Bool => Prop::from(value == "true"),
            };
            props.replace(change.name.clone(), prop);
        }
        // libvirt leaves this device of memory devices to QEMU.
        let zpci = device.info().pci().and_then(|pci| pci.zpci).filter(|_| device.family() != "memory device");
        if let Some(zpci) = zpci {
            let uid = zpci.uid.unwrap_or(0);
            let mut zpci_props = Props::driver("zpci");
            zpci_props.set("uid", uid).set("fid", zpci.fid.unwrap_or(0));
            zpci_props.set("target", id.clone()).set("id", format!("zpci{uid}"));
            let cause = self.cause(device.info().address_site(), "S/390 identifiers of a PCI device");
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
