//! virtc's own format of capabilities: one fact a line, so that two QEMUs can be compared with diff.
//!
//! `docs/capabilities.md` describes it. A line is words separated by blanks; the first says what the
//! line is about, words of the form `key=value` are attributes, the others are positional. `%XX` stands
//! for a byte that would otherwise end a word. Reading is cheap enough that the embedded profiles are
//! kept in this form: no table of pointers has to be relocated when the program starts.

use super::*;
use crate::diag::codes::inputs as codes;
use crate::diag::{Diagnostics, Span};

/// The first line of a file.
pub const HEADER: &str = "virtc-capabilities 1";

/// Reads a file; none, with diagnostics, when it has a fault.
pub fn read(text: &str, diags: &mut Diagnostics) -> Option<Capabilities> {
    Parser::new(diags, |word| Cow::Owned(word.to_string())).run(spanned(text))
}

/// Reads lines that live as long as the program, without copying them. They come from no text: nothing has a place.
pub fn read_lines(lines: impl Iterator<Item = &'static str>, diags: &mut Diagnostics) -> Option<Capabilities> {
    Parser::new(diags, Cow::Borrowed).run(lines.map(|line| (line, Span::new(0, 0))))
}

/// The lines of a text, with their places in it.
fn spanned(text: &str) -> impl Iterator<Item = (&str, Span)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |whole| {
        let body = whole.strip_suffix('\n').unwrap_or(whole);
        let body = body.strip_suffix('\r').unwrap_or(body);
        let span = Span::new(start, start + body.len());
        start += whole.len();
        (body, span)
    })
}

struct Parser<'d, K> {
    diags: &'d mut Diagnostics,
    /// Makes a word last: borrows it or copies it.
    keep: K,
    /// Whether there is a `%` in the line.
    escapes: bool,
    failed: bool,
    caps: Capabilities,
    arch: Option<Arch>,
    accels: Vec<Building>,
    gic: Vec<Gic>,
    hyperv: Option<Hyperv>,
    sgx_sections: Vec<(u32, u64)>,
    /// Flags that are not known.
    unknown_flags: Vec<(String, Span)>,
}

/// One accelerator while it is read.
struct Building {
    accel: Accel,
    host_cpu: Option<HostCpu>,
    properties: Vec<CpuProperty>,
    deprecated: Vec<Str>,
    host_deprecated: Vec<Str>,
    cpus: Vec<CpuModel>,
    machines: Vec<Machine>,
}

/// The words of a line that nobody has taken yet.
struct Line<'t> {
    rest: &'t str,
    span: Span,
}

impl<'t> Line<'t> {
    /// The next word.
    fn word(&mut self) -> Option<&'t str> {
        // Words are short: a loop finds their ends sooner than a search that is made for long texts.
        let bytes = self.rest.as_bytes();
        let start = bytes.iter().position(|b| *b != b' ').unwrap_or(bytes.len());
        let end = bytes[start..].iter().position(|b| *b == b' ').map_or(bytes.len(), |n| start + n);
        let word = &self.rest[start..end];
        self.rest = &self.rest[end..];
        (!word.is_empty()).then_some(word)
    }
}

impl<'t, 'd, K: Fn(&'t str) -> Str> Parser<'d, K> {
    fn new(diags: &'d mut Diagnostics, keep: K) -> Self {
        Parser {
            diags,
            keep,
            escapes: false,
            failed: false,
            caps: Capabilities::new(Arch::X86_64, Version(0)),
            arch: None,
            accels: Vec::new(),
            gic: Vec::new(),
            hyperv: None,
            sgx_sections: Vec::new(),
            unknown_flags: Vec::new(),
        }
    }

    fn error(&mut self, span: Span, message: String) {
        self.failed = true;
        self.diags.error(&codes::CAPS, span, message);
    }

    fn run(mut self, lines: impl Iterator<Item = (&'t str, Span)>) -> Option<Capabilities> {
        let mut first = true;
        for (body, span) in lines {
            self.escapes = memchr::memchr(b'%', body.as_bytes()).is_some();
            let mut line = Line { rest: body, span };
            if std::mem::take(&mut first) {
                if body != HEADER {
                    self.error(line.span, format!("the first line is not '{HEADER}'"));
                    return None;
                }
                continue;
            }
            match line.word() {
                None => {}
                Some(word) if word.starts_with('#') => {}
                Some(word) => self.line(word, line),
            }
        }
        if first {
            self.error(Span::new(0, 0), "the file is empty".to_string());
        }
        self.finish()
    }

    /// A word, with `%XX` resolved.
    fn kept(&mut self, word: &'t str, span: Span) -> Str {
        if !self.escapes || !word.contains('%') {
            return (self.keep)(word);
        }
        match decode(word) {
            Some(text) => Cow::Owned(text),
            None => {
                self.error(span, format!("'{word}' has a '%' without two hexadecimal digits"));
                Cow::Borrowed("")
            }
        }
    }

    fn required(&mut self, line: &mut Line<'t>, what: &str) -> Str {
        match line.word() {
            Some(word) => self.kept(word, line.span),
            None => {
                self.error(line.span, format!("the line lacks {what}"));
                Cow::Borrowed("")
            }
        }
    }

    fn number<T: std::str::FromStr + Default>(&mut self, text: &str, span: Span) -> T {
        text.parse().unwrap_or_else(|_| {
            self.error(span, format!("'{text}' is not a number that fits here"));
            T::default()
        })
    }

    fn truth(&mut self, text: &str, span: Span) -> bool {
        match text {
            "yes" => true,
            "no" => false,
            other => {
                self.error(span, format!("'{other}' is neither 'yes' nor 'no'"));
                false
            }
        }
    }

    fn unknown(&mut self, word: &str, span: Span) {
        self.error(span, format!("'{word}' is not known here"));
    }

    /// The entry of the accelerator that the file speaks of.
    fn current(&mut self, span: Span) -> Option<&mut Building> {
        if self.accels.is_empty() {
            self.error(span, "the line stands before the first 'accel'".to_string());
        }
        self.accels.last_mut()
    }

    fn line(&mut self, keyword: &'t str, mut line: Line<'t>) {
        let span = line.span;
        match keyword {
            "emulator" => self.caps.emulator = self.required(&mut line, "a path"),
            "package" => {
                // The name may hold blanks: it is all the rest of the line.
                self.caps.package = (self.keep)(line.rest.trim());
                return;
            }
            "version" => {
                let text = self.required(&mut line, "a version");
                match parse_version(&text) {
                    Some(version) => self.caps.version = version,
                    None => self.error(span, format!("'{text}' is not a version such as 7.2.0")),
                }
            }
            "microcode" => {
                let text = self.required(&mut line, "a number");
                self.caps.microcode_version = self.number(&text, span);
            }
            "arch" => {
                let text = self.required(&mut line, "an architecture");
                match Arch::parse(&text) {
                    Some(arch) => self.arch = Some(arch),
                    None => self.error(span, format!("'{text}' is not an architecture")),
                }
            }
            "flag" => {
                let name = self.required(&mut line, "a name");
                match Cap::parse(&name) {
                    Some(cap) => self.caps.flags.set(cap, true),
                    None => self.unknown_flags.push((format!("the flag '{name}'"), span)),
                }
            }
            "gic" => self.gic(&mut line),
            "hyperv" => self.hyperv(&mut line),
            "sev" => self.sev(&mut line),
            "sgx" => self.sgx(&mut line),
            "sgx-section" => {
                let node = self.required(&mut line, "a node");
                let size = self.required(&mut line, "a size");
                let section = (self.number(&node, span), self.number(&size, span));
                self.sgx_sections.push(section);
            }
            "accel" => {
                let name = self.required(&mut line, "a name");
                match Accel::parse(&name) {
                    Some(accel) => self.accels.push(Building {
                        accel,
                        host_cpu: None,
                        properties: Vec::new(),
                        deprecated: Vec::new(),
                        host_deprecated: Vec::new(),
                        cpus: Vec::with_capacity(192),
                        machines: Vec::with_capacity(128),
                    }),
                    None => self.error(span, format!("'{name}' is not an accelerator")),
                }
            }
            "host-cpu" => {
                let model = self.required(&mut line, "a model");
                let migratability = match line.word() {
                    Some("migratability") => true,
                    Some(other) => {
                        self.unknown(other, span);
                        false
                    }
                    None => false,
                };
                if let Some(current) = self.current(span) {
                    current.properties.reserve(400);
                    current.host_cpu = Some(HostCpu {
                        model,
                        migratability,
                        properties: Cow::Borrowed(&[]),
                        deprecated_features: Cow::Borrowed(&[]),
                        host_deprecated_features: Cow::Borrowed(&[]),
                    });
                }
            }
            "property" => self.property(&mut line),
            "deprecated-feature" => {
                let name = self.required(&mut line, "a name");
                if let Some(current) = self.current(span) {
                    current.deprecated.push(name);
                }
            }
            "host-deprecated-feature" => {
                let name = self.required(&mut line, "a name");
                if let Some(current) = self.current(span) {
                    current.host_deprecated.push(name);
                }
            }
            "cpu" => self.cpu(&mut line),
            "machine" => self.machine(&mut line),
            other => self.unknown(other, span),
        }
        if let Some(word) = line.word() {
            self.error(span, format!("'{word}' is one word too many"));
        }
    }

    fn gic(&mut self, line: &mut Line<'t>) {
        let span = line.span;
        let version = self.required(line, "a version");
        let mut gic = Gic { version: self.number(&version, span), kernel: false, emulated: false };
        while let Some(word) = line.word() {
            match word {
                "kernel" => gic.kernel = true,
                "emulated" => gic.emulated = true,
                other => self.unknown(other, span),
            }
        }
        self.gic.push(gic);
    }

    fn hyperv(&mut self, line: &mut Line<'t>) {
        let span = line.span;
        let supported = self.required(line, "'yes' or 'no'");
        let supported = self.truth(&supported, span);
        let (mut caps, mut values) = (Vec::new(), HypervValues::default());
        while let Some(word) = line.word() {
            match word.split_once('=') {
                None => caps.push(self.kept(word, span)),
                Some(("spinlocks", n)) => values.spinlocks = Some(self.number(n, span)),
                Some(("stimer-direct", text)) => values.stimer_direct = Some(self.truth(text, span)),
                Some(("tlbflush-direct", text)) => values.tlbflush_direct = Some(self.truth(text, span)),
                Some(("tlbflush-extended", text)) => values.tlbflush_extended = Some(self.truth(text, span)),
                Some(("vendor-id", text)) => values.vendor_id = Some(self.kept(text, span)),
                Some(_) => self.unknown(word, span),
            }
        }
        self.hyperv = Some(Hyperv { supported, caps: caps.into(), values });
    }

    fn sev(&mut self, line: &mut Line<'t>) {
        let span = line.span;
        let mut sev = Sev {
            cbitpos: 0,
            reduced_phys_bits: 0,
            pdh: Cow::Borrowed(""),
            cert_chain: Cow::Borrowed(""),
            cpu0_id: None,
            max_guests: None,
        };
        while let Some(word) = line.word() {
            match word.split_once('=') {
                Some(("cbitpos", n)) => sev.cbitpos = self.number(n, span),
                Some(("reduced-phys-bits", n)) => sev.reduced_phys_bits = self.number(n, span),
                Some(("max-guests", n)) => sev.max_guests.get_or_insert_default().0 = self.number(n, span),
                Some(("max-es-guests", n)) => sev.max_guests.get_or_insert_default().1 = self.number(n, span),
                Some(("pdh", text)) => sev.pdh = self.kept(text, span),
                Some(("cert-chain", text)) => sev.cert_chain = self.kept(text, span),
                Some(("cpu0-id", text)) => sev.cpu0_id = Some(self.kept(text, span)),
                _ => self.unknown(word, span),
            }
        }
        self.caps.sev = Some(sev);
    }

    fn sgx(&mut self, line: &mut Line<'t>) {
        let span = line.span;
        let mut sgx = Sgx { flc: false, sgx1: false, sgx2: false, section_size: 0, sections: Cow::Borrowed(&[]) };
        while let Some(word) = line.word() {
            match word.split_once('=') {
                None if word == "flc" => sgx.flc = true,
                None if word == "sgx1" => sgx.sgx1 = true,
                None if word == "sgx2" => sgx.sgx2 = true,
                Some(("size", n)) => sgx.section_size = self.number(n, span),
                _ => self.unknown(word, span),
            }
        }
        self.caps.sgx = Some(sgx);
    }

    fn property(&mut self, line: &mut Line<'t>) {
        let span = line.span;
        let name = self.required(line, "a name");
        let value = match line.word() {
            Some("true") => PropertyValue::Boolean(true),
            Some("false") => PropertyValue::Boolean(false),
            Some(word) => match word.split_once('=') {
                Some(("number", n)) => PropertyValue::Number(self.number(n, span)),
                Some(("string", text)) => PropertyValue::String(self.kept(text, span)),
                _ => return self.unknown(word, span),
            },
            None => return self.error(span, "the line lacks a value".to_string()),
        };
        let migratable = match line.word() {
            None => None,
            Some("migratable") => Some(true),
            Some("not-migratable") => Some(false),
            Some(other) => return self.unknown(other, span),
        };
        if let Some(current) = self.current(span) {
            current.properties.push(CpuProperty { name, value, migratable });
        }
    }

    fn cpu(&mut self, line: &mut Line<'t>) {
        let span = line.span;
        let mut cpu = CpuModel {
            name: self.required(line, "a name"),
            type_name: Cow::Borrowed(""),
            usable: Usable::Unknown,
            blockers: Names::NONE,
            deprecated: false,
        };
        while let Some(word) = line.word() {
            match word.split_once('=') {
                None if word == "usable" => cpu.usable = Usable::Yes,
                None if word == "unusable" => cpu.usable = Usable::No,
                None if word == "deprecated" => cpu.deprecated = true,
                Some(("type", text)) => cpu.type_name = self.kept(text, span),
                Some(("blockers", text)) => cpu.blockers = Names(self.kept(text, span)),
                _ => self.unknown(word, span),
            }
        }
        if let Some(current) = self.current(span) {
            current.cpus.push(cpu);
        }
    }

    fn machine(&mut self, line: &mut Line<'t>) {
        let span = line.span;
        let mut machine = Machine {
            name: self.required(line, "a name"),
            alias: None,
            max_cpus: 0,
            default: false,
            hotplug_cpus: false,
            default_cpu: None,
            numa_mem_supported: false,
            default_ram_id: None,
            deprecated: false,
            acpi: None,
        };
        while let Some(word) = line.word() {
            match word.split_once('=') {
                None if word == "default" => machine.default = true,
                None if word == "hotplug-cpus" => machine.hotplug_cpus = true,
                None if word == "numa-mem" => machine.numa_mem_supported = true,
                None if word == "deprecated" => machine.deprecated = true,
                Some(("alias", text)) => machine.alias = Some(self.kept(text, span)),
                Some(("max-cpus", n)) => machine.max_cpus = self.number(n, span),
                Some(("default-cpu", text)) => machine.default_cpu = Some(self.kept(text, span)),
                Some(("default-ram-id", text)) => machine.default_ram_id = Some(self.kept(text, span)),
                Some(("acpi", text)) => machine.acpi = Some(self.truth(text, span)),
                _ => self.unknown(word, span),
            }
        }
        if let Some(current) = self.current(span) {
            current.machines.push(machine);
        }
    }

    fn finish(mut self) -> Option<Capabilities> {
        super::note_unknown(&self.unknown_flags, self.diags);
        if let Some(missing) = super::incomplete(&mut self.caps, self.arch)
            && !self.failed
        {
            self.error(Span::new(0, 0), format!("the file lacks '{missing}'"));
        }
        if self.failed {
            return None;
        }
        let accels = self.accels.into_iter().map(|a| AccelCaps {
            accel: a.accel,
            host_cpu: a.host_cpu.map(|cpu| HostCpu {
                properties: a.properties.into(),
                deprecated_features: a.deprecated.into(),
                host_deprecated_features: a.host_deprecated.into(),
                ..cpu
            }),
            cpus: a.cpus.into(),
            machines: a.machines.into(),
        });
        self.caps.accels = accels.collect::<Vec<_>>().into();
        self.caps.gic = self.gic.into();
        self.caps.hyperv = self.hyperv;
        if let Some(sgx) = &mut self.caps.sgx {
            sgx.sections = self.sgx_sections.into();
        }
        Some(self.caps)
    }
}

/// Reads `7.2.0`.
fn parse_version(text: &str) -> Option<Version> {
    let mut parts = text.split('.');
    let mut number = || parts.next()?.parse::<u32>().ok().filter(|n| *n < 1000);
    let version = Version::new(number()?, number()?, number()?);
    if parts.next().is_none() { Some(version) } else { None }
}

/// Resolves `%XX`.
fn decode(word: &str) -> Option<String> {
    let mut out = Vec::with_capacity(word.len());
    let mut bytes = word.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = (bytes.next()? as char).to_digit(16)?;
            let low = (bytes.next()? as char).to_digit(16)?;
            out.push((high << 4 | low) as u8);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
