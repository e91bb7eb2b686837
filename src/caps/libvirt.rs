//! Reads and writes the XML in which libvirt keeps the capabilities of a QEMU, `<qemuCaps>`.

use super::*;
use crate::diag::codes::inputs as codes;
use crate::diag::{Diagnostics, Span};
use crate::vocab::Value;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// What is open: the place in the file decides what an element means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tag {
    Document,
    Root,
    /// An element of the root that holds one value.
    Field(Field),
    HostCpu,
    DeprecatedFeatures,
    HostDeprecatedFeatures,
    Cpu,
    Sev,
    Sgx,
    SgxSections,
    Hyperv,
    /// An element without content, or one that is not known.
    Leaf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Emulator,
    Version,
    Microcode,
    Package,
    Arch,
    Cbitpos,
    ReducedPhysBits,
    Pdh,
    CertChain,
    Cpu0Id,
    MaxGuests,
    MaxEsGuests,
    Flc,
    Sgx1,
    Sgx2,
    SectionSize,
    Spinlocks,
    StimerDirect,
    TlbflushDirect,
    TlbflushExtended,
    VendorId,
    /// Of the cache's own bookkeeping, or not known: read over.
    Ignored,
}

/// Reads `<qemuCaps>`; none, with diagnostics, when the file has a fault.
pub fn read(text: &str, diags: &mut Diagnostics) -> Option<Capabilities> {
    let mut parser = Parser {
        text,
        diags,
        caps: Capabilities::new(Arch::X86_64, Version(0)),
        arch: None,
        accels: Vec::new(),
        gic: Vec::new(),
        hyperv: Vec::new(),
        stack: vec![Tag::Document],
        content: String::new(),
        current: (0, 0),
        sections: Vec::new(),
        failed: false,
    };
    parser.run();
    parser.finish()
}

/// One accelerator while it is read.
struct Building {
    accel: Accel,
    host_cpu: Option<HostCpu>,
    properties: Vec<CpuProperty>,
    deprecated: Vec<Str>,
    host_deprecated: Vec<Str>,
    cpus: Vec<CpuModel>,
    blockers: String,
    machines: Vec<Machine>,
}

struct Parser<'t, 'd> {
    text: &'t str,
    diags: &'d mut Diagnostics,
    caps: Capabilities,
    arch: Option<Arch>,
    accels: Vec<Building>,
    gic: Vec<Gic>,
    hyperv: Vec<Str>,
    stack: Vec<Tag>,
    content: String,
    /// Index of the accelerator of the open element, and where that element starts.
    current: (usize, usize),
    sections: Vec<(u32, u64)>,
    failed: bool,
}

/// The attributes of one element.
struct Attrs<'a> {
    pairs: Vec<(&'a str, Str)>,
    span: Span,
}

impl<'t> Parser<'t, '_> {
    fn error(&mut self, span: Span, message: String) {
        self.failed = true;
        self.diags.error(&codes::CAPS, span, message);
    }

    fn run(&mut self) {
        let mut reader = Reader::from_str(self.text);
        reader.config_mut().trim_text(true);
        loop {
            let start = reader.buffer_position() as usize;
            let event = reader.read_event();
            let span = Span::new(start, reader.buffer_position() as usize);
            match event {
                Ok(Event::Start(e)) => {
                    self.content.clear();
                    let tag = self.open(&e, span);
                    self.stack.push(tag);
                    if self.stack.len() > 64 {
                        self.error(span, "elements are nested more than 64 deep".to_string());
                        return;
                    }
                }
                Ok(Event::Empty(e)) => {
                    self.content.clear();
                    let tag = self.open(&e, span);
                    self.close(tag, span);
                }
                Ok(Event::End(_)) => {
                    if let Some(tag) = self.stack.pop() {
                        self.close(tag, span);
                    }
                }
                Ok(Event::Text(text)) => self.content.push_str(&text),
                Ok(Event::CData(text)) => self.content.push_str(&text),
                Ok(Event::GeneralRef(name)) => match resolve_reference(&name) {
                    Some(c) => self.content.push(c),
                    None => self.error(span, format!("unknown entity '&{};'", &*name)),
                },
                Ok(Event::DocType(_)) => {
                    self.error(span, "a document type declaration is refused".to_string());
                    return;
                }
                Ok(Event::Eof) => {
                    if self.stack.len() > 1 {
                        self.error(span, "the file ends within an element: it is cut off".to_string());
                    }
                    return;
                }
                Ok(_) => {}
                Err(e) => {
                    let at = (reader.error_position() as usize).min(self.text.len());
                    self.error(Span::new(at, at), format!("the file is not well-formed XML: {e}"));
                    return;
                }
            }
        }
    }

    fn attrs<'a>(&mut self, e: &'a BytesStart<'_>, span: Span) -> Attrs<'a> {
        let mut pairs = Vec::with_capacity(8);
        for attr in e.attributes().with_checks(false) {
            let Ok(attr) = attr else {
                self.error(span, "an attribute is not well-formed".to_string());
                break;
            };
            let key = attr.key.0;
            match unescape(&attr.value) {
                Some(value) => pairs.push((key, value.into())),
                None => self.error(span, format!("the attribute '{key}' has an unknown entity")),
            }
        }
        Attrs { pairs, span }
    }

    /// The attribute, which has to be there.
    fn required(&mut self, attrs: &mut Attrs, element: &str, name: &str) -> Str {
        match attrs.take(name) {
            Some(value) => value,
            None => {
                self.error(attrs.span, format!("<{element}> lacks the attribute '{name}'"));
                Cow::Borrowed("")
            }
        }
    }

    fn parsed<T: Value + Default>(&mut self, text: &str, span: Span, what: &str) -> T {
        T::parse(text).unwrap_or_else(|expected| {
            self.error(span, format!("{what} is '{text}', expected {expected}"));
            T::default()
        })
    }

    fn yes(&mut self, value: Option<Str>, span: Span, what: &str) -> Option<bool> {
        match value.as_deref() {
            None => None,
            Some("yes") => Some(true),
            Some("no") => Some(false),
            Some(other) => {
                self.error(span, format!("{what} is '{other}', expected 'yes' or 'no'"));
                None
            }
        }
    }

    /// The entry of the accelerator that the element names.
    fn accel(&mut self, attrs: &mut Attrs, element: &str) -> usize {
        let word = self.required(attrs, element, "type");
        let Some(accel) = Accel::parse(&word) else {
            if !word.is_empty() {
                self.error(attrs.span, format!("<{element}> has the unknown accelerator '{word}'"));
            }
            return self.accel_entry(Accel::Tcg);
        };
        self.accel_entry(accel)
    }

    fn accel_entry(&mut self, accel: Accel) -> usize {
        self.accels.iter().position(|a| a.accel == accel).unwrap_or_else(|| {
            self.accels.push(Building {
                accel,
                host_cpu: None,
                properties: Vec::new(),
                deprecated: Vec::new(),
                host_deprecated: Vec::new(),
                cpus: Vec::new(),
                blockers: String::new(),
                machines: Vec::new(),
            });
            self.accels.len() - 1
        })
    }

    /// What an element stands for, by where it stands; what its attributes say is taken.
    fn open(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let parent = self.stack.last().copied().unwrap_or(Tag::Document);
        let name = e.name();
        let name = name.0;
        match (parent, name) {
            (Tag::Document, "qemuCaps") => Tag::Root,
            (Tag::Document, _) => {
                self.error(span, format!("the root element is <{name}>, expected <qemuCaps>"));
                Tag::Leaf
            }
            (Tag::Root, "flag") => self.flag(e, span),
            (Tag::Root, "hostCPU") => self.host_cpu(e, span),
            (Tag::HostCpu, "property") => {
                let property = self.property(e, span);
                let at = self.current.0;
                self.accels[at].properties.extend(property);
                Tag::Leaf
            }
            (Tag::HostCpu, "deprecatedFeatures") => Tag::DeprecatedFeatures,
            (Tag::HostCpu, "hostDeprecatedFeatures") => Tag::HostDeprecatedFeatures,
            (Tag::DeprecatedFeatures | Tag::HostDeprecatedFeatures, "property") => self.deprecated(parent, e, span),
            (Tag::Root, "cpu") => self.cpu(e, span),
            (Tag::Cpu, "blocker") => self.blocker(e, span),
            (Tag::Root, "machine") => {
                self.machine(e, span);
                Tag::Leaf
            }
            (Tag::Root, "gic") => self.interrupt_controller(e, span),
            (Tag::Root, "sev") => self.sev(),
            (Tag::Root, "sgx") => self.sgx(e, span),
            (Tag::Sgx, "sections") => Tag::SgxSections,
            (Tag::SgxSections, "section") => self.section(e, span),
            (Tag::Sgx, "section_size") => self.section_size(e, span),
            (Tag::Root, "hypervCapabilities") => self.hyperv(e, span),
            (Tag::Hyperv, "cap") => {
                let mut attrs = self.attrs(e, span);
                let name = self.required(&mut attrs, "cap", "name");
                self.hyperv.push(name);
                Tag::Leaf
            }
            (Tag::Root | Tag::Sev | Tag::Sgx | Tag::Hyperv, _) => field(parent, name).map_or(Tag::Leaf, Tag::Field),
            // What a newer libvirt writes, and <cpudata>: the processor as the kernel sees it; what QEMU makes of it
            // stands in <hostCPU>.
            _ => Tag::Leaf,
        }
    }

    /// Something that QEMU can do.
    fn flag(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        let name = self.required(&mut attrs, "flag", "name");
        // A newer libvirt has flags that say nothing here.
        if let Some(cap) = Cap::parse(&name) {
            self.caps.flags.set(cap, true);
        }
        Tag::Leaf
    }

    /// The processor of the host, as one accelerator offers it.
    fn host_cpu(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        let at = self.accel(&mut attrs, "hostCPU");
        let model = self.required(&mut attrs, "hostCPU", "model");
        let migratability = attrs.take("migratability");
        let migratability = self.yes(migratability, span, "'migratability'").unwrap_or(false);
        self.accels[at].host_cpu = Some(HostCpu {
            model,
            migratability,
            properties: Cow::Borrowed(&[]),
            deprecated_features: Cow::Borrowed(&[]),
            host_deprecated_features: Cow::Borrowed(&[]),
        });
        self.current = (at, span.start as usize);
        Tag::HostCpu
    }

    /// A feature that is on its way out, of QEMU or of the host.
    fn deprecated(&mut self, parent: Tag, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        let name = self.required(&mut attrs, "property", "name");
        let entry = &mut self.accels[self.current.0];
        match parent {
            Tag::DeprecatedFeatures => entry.deprecated.push(name),
            _ => entry.host_deprecated.push(name),
        }
        Tag::Leaf
    }

    /// A CPU model.
    fn cpu(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        let at = self.accel(&mut attrs, "cpu");
        let name = self.required(&mut attrs, "cpu", "name");
        let type_name = attrs.take("typename").unwrap_or_default();
        let usable = attrs.take("usable");
        let usable = match self.yes(usable, span, "'usable'") {
            None => Usable::Unknown,
            Some(true) => Usable::Yes,
            Some(false) => Usable::No,
        };
        let deprecated = attrs.take("deprecated");
        let deprecated = self.yes(deprecated, span, "'deprecated'").unwrap_or(false);
        self.accels[at].cpus.push(CpuModel { name, type_name, usable, blockers: Names::NONE, deprecated });
        self.current = (at, span.start as usize);
        Tag::Cpu
    }

    /// A feature for whose lack a CPU model cannot be used.
    fn blocker(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        let name = self.required(&mut attrs, "blocker", "name");
        let at = self.current.0;
        let blockers = &mut self.accels[at].blockers;
        if !blockers.is_empty() {
            blockers.push(',');
        }
        blockers.push_str(&name);
        Tag::Leaf
    }

    /// A version of the interrupt controller of Arm.
    fn interrupt_controller(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        let version = self.required(&mut attrs, "gic", "version");
        let version = self.parsed(&version, span, "'version'");
        let (kernel, emulated) = (attrs.take("kernel"), attrs.take("emulated"));
        let kernel = self.yes(kernel, span, "'kernel'").unwrap_or(false);
        let emulated = self.yes(emulated, span, "'emulated'").unwrap_or(false);
        self.gic.push(Gic { version, kernel, emulated });
        Tag::Leaf
    }

    /// Encrypted memory of AMD.
    fn sev(&mut self) -> Tag {
        self.caps.sev = Some(Sev {
            cbitpos: 0,
            reduced_phys_bits: 0,
            pdh: Cow::Borrowed(""),
            cert_chain: Cow::Borrowed(""),
            cpu0_id: None,
            max_guests: None,
        });
        Tag::Sev
    }

    /// Enclaves of Intel.
    fn sgx(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        let supported = attrs.take("supported");
        if self.yes(supported, span, "'supported'") != Some(false) {
            let sections = Cow::Borrowed(&[][..]);
            self.caps.sgx = Some(Sgx { flc: false, sgx1: false, sgx2: false, section_size: 0, sections });
        }
        Tag::Sgx
    }

    /// Memory of enclaves on one node.
    fn section(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        let node = self.required(&mut attrs, "section", "node");
        let size = self.required(&mut attrs, "section", "size");
        let unit = attrs.take("unit");
        let node = self.parsed(&node, span, "'node'");
        let size = self.size(&size, unit.as_deref(), span);
        self.sections.push((node, size));
        Tag::Leaf
    }

    /// The size of all memory of enclaves, where no sections are listed.
    fn section_size(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        // The unit is needed when the element closes, and nothing else can stand between.
        if attrs.take("unit").is_some_and(|unit| unit != "KiB") {
            self.error(span, "<section_size> has a unit other than 'KiB'".to_string());
        }
        Tag::Field(Field::SectionSize)
    }

    /// What Hyper-V guests can be offered.
    fn hyperv(&mut self, e: &BytesStart<'_>, span: Span) -> Tag {
        let mut attrs = self.attrs(e, span);
        let supported = attrs.take("supported");
        let supported = self.yes(supported, span, "'supported'").unwrap_or(false);
        self.caps.hyperv = Some(Hyperv { supported, caps: Cow::Borrowed(&[]), values: HypervValues::default() });
        Tag::Hyperv
    }

    fn size(&mut self, number: &str, unit: Option<&str>, span: Span) -> u64 {
        let count: u64 = self.parsed(number, span, "the size");
        match crate::vocab::Size::of(count, unit.unwrap_or("KiB")) {
            Some(size) => size.0,
            None => {
                self.error(span, format!("the size '{number}' has an unknown unit or is too large"));
                0
            }
        }
    }

    fn property(&mut self, e: &BytesStart<'_>, span: Span) -> Option<CpuProperty> {
        let mut attrs = self.attrs(e, span);
        let name = self.required(&mut attrs, "property", "name");
        let kind = self.required(&mut attrs, "property", "type");
        let text = self.required(&mut attrs, "property", "value");
        let migratable = attrs.take("migratable");
        let migratable = self.yes(migratable, span, "'migratable'");
        let value = match &*kind {
            "boolean" => match &*text {
                "true" => PropertyValue::Boolean(true),
                "false" => PropertyValue::Boolean(false),
                _ => {
                    self.error(span, format!("the property '{name}' is '{text}', expected 'true' or 'false'"));
                    return None;
                }
            },
            "number" => PropertyValue::Number(self.parsed_number(&text, span, &name)),
            "string" => PropertyValue::String(text),
            other => {
                self.error(span, format!("the property '{name}' has the unknown type '{other}'"));
                return None;
            }
        };
        Some(CpuProperty { name, value, migratable })
    }

    fn parsed_number(&mut self, text: &str, span: Span, name: &str) -> i64 {
        text.parse::<i64>().or_else(|_| text.parse::<u64>().map(|n| n as i64)).unwrap_or_else(|_| {
            self.error(span, format!("the property '{name}' is '{text}', expected a number"));
            0
        })
    }

    fn machine(&mut self, e: &BytesStart<'_>, span: Span) {
        let mut attrs = self.attrs(e, span);
        let at = self.accel(&mut attrs, "machine");
        let mut flag = |parser: &mut Self, name: &str| {
            let value = attrs.take(name);
            parser.yes(value, span, name)
        };
        let default = flag(self, "default").unwrap_or(false);
        let hotplug_cpus = flag(self, "hotplugCpus").unwrap_or(false);
        let numa_mem_supported = flag(self, "numaMemSupported").unwrap_or(false);
        let deprecated = flag(self, "deprecated").unwrap_or(false);
        let acpi = flag(self, "acpi");
        let max_cpus = attrs.take("maxCpus").unwrap_or(Cow::Borrowed("0"));
        let machine = Machine {
            name: self.required(&mut attrs, "machine", "name"),
            alias: attrs.take("alias"),
            max_cpus: self.parsed(&max_cpus, span, "'maxCpus'"),
            default,
            hotplug_cpus,
            default_cpu: attrs.take("defaultCPU"),
            numa_mem_supported,
            default_ram_id: attrs.take("defaultRAMid"),
            deprecated,
            acpi,
        };
        self.accels[at].machines.push(machine);
    }

    fn close(&mut self, tag: Tag, span: Span) {
        let content = std::mem::take(&mut self.content);
        match tag {
            Tag::Field(field) => self.field(field, content, span),
            Tag::HostCpu => {
                let entry = &mut self.accels[self.current.0];
                let properties = std::mem::take(&mut entry.properties);
                let deprecated = std::mem::take(&mut entry.deprecated);
                let host_deprecated = std::mem::take(&mut entry.host_deprecated);
                if let Some(cpu) = &mut entry.host_cpu {
                    cpu.host_deprecated_features = host_deprecated.into();
                    cpu.properties = properties.into();
                    cpu.deprecated_features = deprecated.into();
                }
            }
            Tag::Cpu => {
                let entry = &mut self.accels[self.current.0];
                let blockers = std::mem::take(&mut entry.blockers);
                if let Some(cpu) = entry.cpus.last_mut()
                    && !blockers.is_empty()
                {
                    cpu.blockers = Names::new(blockers);
                }
            }
            Tag::Sgx => {
                let sections = std::mem::take(&mut self.sections);
                if let Some(sgx) = &mut self.caps.sgx {
                    sgx.sections = sections.into();
                }
            }
            Tag::Hyperv => {
                let caps = std::mem::take(&mut self.hyperv);
                if let Some(hyperv) = &mut self.caps.hyperv {
                    hyperv.caps = caps.into();
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, field: Field, content: String, span: Span) {
        match field {
            Field::Emulator => self.caps.emulator = content.into(),
            Field::Package => self.caps.package = content.into(),
            Field::Version => self.caps.version = Version(self.parsed(&content, span, "<version>")),
            Field::Microcode => self.caps.microcode_version = self.parsed(&content, span, "<microcodeVersion>"),
            Field::Arch => match Arch::parse(&content) {
                Some(arch) => self.arch = Some(arch),
                None => {
                    self.arch = Some(Arch::X86_64);
                    self.error(span, format!("<arch> is '{content}', which is no architecture"));
                }
            },
            Field::Flc | Field::Sgx1 | Field::Sgx2 => {
                let value = self.yes(Some(content.into()), span, "the element").unwrap_or(false);
                if let Some(sgx) = &mut self.caps.sgx {
                    match field {
                        Field::Flc => sgx.flc = value,
                        Field::Sgx1 => sgx.sgx1 = value,
                        _ => sgx.sgx2 = value,
                    }
                }
            }
            Field::SectionSize => {
                let size = self.size(&content, None, span);
                if let Some(sgx) = &mut self.caps.sgx {
                    sgx.section_size = size;
                }
            }
            Field::Cbitpos | Field::ReducedPhysBits | Field::MaxGuests | Field::MaxEsGuests => {
                let number = self.parsed(&content, span, "the element");
                if let Some(sev) = &mut self.caps.sev {
                    match field {
                        Field::Cbitpos => sev.cbitpos = number,
                        Field::ReducedPhysBits => sev.reduced_phys_bits = number,
                        Field::MaxGuests => sev.max_guests.get_or_insert_default().0 = number,
                        _ => sev.max_guests.get_or_insert_default().1 = number,
                    }
                }
            }
            Field::Pdh | Field::CertChain | Field::Cpu0Id => {
                if let Some(sev) = &mut self.caps.sev {
                    match field {
                        Field::Pdh => sev.pdh = content.into(),
                        Field::CertChain => sev.cert_chain = content.into(),
                        _ => sev.cpu0_id = Some(content.into()),
                    }
                }
            }
            Field::Spinlocks
            | Field::StimerDirect
            | Field::TlbflushDirect
            | Field::TlbflushExtended
            | Field::VendorId => {
                self.hyperv_value(field, content, span);
            }
            Field::Ignored => {}
        }
    }

    fn hyperv_value(&mut self, field: Field, content: String, span: Span) {
        let number = if field == Field::Spinlocks { Some(self.parsed(&content, span, "<spinlocks>")) } else { None };
        let Some(hyperv) = &mut self.caps.hyperv else { return };
        let (values, on) = (&mut hyperv.values, Some(content == "on"));
        match field {
            Field::Spinlocks => values.spinlocks = number,
            Field::StimerDirect => values.stimer_direct = on,
            Field::TlbflushDirect => values.tlbflush_direct = on,
            Field::TlbflushExtended => values.tlbflush_extended = on,
            _ => values.vendor_id = Some(content.into()),
        }
    }

    fn finish(mut self) -> Option<Capabilities> {
        if let Some(missing) = super::incomplete(&mut self.caps, self.arch)
            && !self.failed
        {
            self.error(Span::new(0, 0), format!("the file lacks <{missing}>"));
        }
        if self.failed {
            return None;
        }
        let accels = self.accels.into_iter().map(|a| AccelCaps {
            accel: a.accel,
            host_cpu: a.host_cpu,
            cpus: a.cpus.into(),
            machines: a.machines.into(),
        });
        self.caps.accels = accels.collect::<Vec<_>>().into();
        self.caps.gic = self.gic.into();
        Some(self.caps)
    }
}

/// The elements that hold one value, by their parent.
fn field(parent: Tag, name: &str) -> Option<Field> {
    Some(match (parent, name) {
        (Tag::Root, "emulator") => Field::Emulator,
        (Tag::Root, "version") => Field::Version,
        (Tag::Root, "microcodeVersion") => Field::Microcode,
        (Tag::Root, "package") => Field::Package,
        (Tag::Root, "arch") => Field::Arch,
        (
            Tag::Root,
            "qemuctime" | "kvmVersion" | "cpudata" | "selfctime" | "selfvers" | "kernelVersion" | "hostCPUSignature",
        ) => Field::Ignored,
        (Tag::Root, "qemumoddirmtime" | "kvmSupportsNesting" | "kvmSupportsSecureGuest") => Field::Ignored,
        (Tag::Sev, "cbitpos") => Field::Cbitpos,
        (Tag::Sev, "reducedPhysBits") => Field::ReducedPhysBits,
        (Tag::Sev, "pdh") => Field::Pdh,
        (Tag::Sev, "certChain") => Field::CertChain,
        (Tag::Sev, "cpu0Id") => Field::Cpu0Id,
        (Tag::Sev, "maxGuests") => Field::MaxGuests,
        (Tag::Sev, "maxESGuests") => Field::MaxEsGuests,
        (Tag::Sgx, "flc") => Field::Flc,
        (Tag::Sgx, "sgx1") => Field::Sgx1,
        (Tag::Sgx, "sgx2") => Field::Sgx2,
        (Tag::Hyperv, "spinlocks") => Field::Spinlocks,
        (Tag::Hyperv, "stimer_direct") => Field::StimerDirect,
        (Tag::Hyperv, "tlbflush_direct") => Field::TlbflushDirect,
        (Tag::Hyperv, "tlbflush_extended") => Field::TlbflushExtended,
        (Tag::Hyperv, "vendor_id") => Field::VendorId,
        _ => return None,
    })
}

impl Attrs<'_> {
    fn take(&mut self, name: &str) -> Option<Str> {
        let at = self.pairs.iter().position(|(key, _)| *key == name)?;
        Some(self.pairs.swap_remove(at).1)
    }
}

/// The character that a reference names, `amp` or `#x26`.
fn resolve_reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// The value of an attribute with its references resolved; none for an unknown one.
fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (name, after) = rest[at + 1..].split_once(';')?;
        out.push(resolve_reference(name)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}
