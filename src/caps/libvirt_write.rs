//! Writes capabilities in the form of libvirt's cache, `<qemuCaps>`.

use super::*;
use crate::xml::escape;
use std::fmt::Write;

/// Writes `<qemuCaps>`. The time stamps by which libvirt tells a stale cache are zero.
pub fn write(caps: &Capabilities) -> String {
    let mut w = Writer { out: String::with_capacity(128 << 10) };
    w.out.push_str("<qemuCaps>\n");
    w.text(2, "emulator", &caps.emulator);
    for stamp in ["qemuctime", "selfctime", "selfvers"] {
        w.text(2, stamp, "0");
    }
    for flag in caps.flags.iter() {
        w.open(2, "flag");
        w.attr("name", flag.as_str());
        w.out.push_str("/>\n");
    }
    w.text(2, "version", &caps.version.0.to_string());
    w.text(2, "microcodeVersion", &caps.microcode_version.to_string());
    w.text(2, "package", &caps.package);
    w.text(2, "arch", caps.arch.as_str());
    for accel in caps.accels.iter() {
        w.accel(accel);
    }
    for gic in caps.gic.iter() {
        w.open(2, "gic");
        w.attr("version", &gic.version.to_string());
        w.attr("kernel", yes_no(gic.kernel));
        w.attr("emulated", yes_no(gic.emulated));
        w.out.push_str("/>\n");
    }
    if let Some(sev) = &caps.sev {
        w.sev(sev);
    }
    if let Some(sgx) = &caps.sgx {
        w.sgx(sgx);
    }
    if let Some(hyperv) = &caps.hyperv {
        w.open(2, "hypervCapabilities");
        w.attr("supported", yes_no(hyperv.supported));
        w.hyperv(hyperv);
    }
    w.out.push_str("</qemuCaps>\n");
    w.out
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

struct Writer {
    out: String,
}

impl Writer {
    fn indent(&mut self, width: usize) {
        self.out.extend(std::iter::repeat_n(' ', width));
    }

    /// The start tag up to its attributes.
    fn open(&mut self, indent: usize, name: &str) {
        self.indent(indent);
        self.out.push('<');
        self.out.push_str(name);
    }

    fn attr(&mut self, name: &str, value: &str) {
        let _ = write!(self.out, " {name}='");
        escape(value, &mut self.out);
        self.out.push('\'');
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.attr(name, value);
        }
    }

    fn text(&mut self, indent: usize, name: &str, text: &str) {
        self.open(indent, name);
        self.out.push('>');
        escape(text, &mut self.out);
        let _ = writeln!(self.out, "</{name}>");
    }

    /// Ends a start tag and writes children that have a name, or ends an empty element.
    fn items<'a>(&mut self, indent: usize, name: &str, items: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut any = false;
        for (element, item) in items {
            if !any {
                self.out.push_str(">\n");
                any = true;
            }
            self.open(indent + 2, element);
            self.attr("name", item);
            self.out.push_str("/>\n");
        }
        if any {
            self.indent(indent);
            let _ = writeln!(self.out, "</{name}>");
        } else {
            self.out.push_str("/>\n");
        }
    }

    fn accel(&mut self, accel: &AccelCaps) {
        let kind = accel.accel.as_str();
        if let Some(cpu) = &accel.host_cpu {
            self.host_cpu(kind, cpu);
        }
        for cpu in accel.cpus.iter() {
            self.open(2, "cpu");
            self.attr("type", kind);
            self.attr("name", &cpu.name);
            if !cpu.type_name.is_empty() {
                self.attr("typename", &cpu.type_name);
            }
            match cpu.usable {
                Usable::Unknown => {}
                Usable::Yes => self.attr("usable", "yes"),
                Usable::No => self.attr("usable", "no"),
            }
            self.optional("deprecated", cpu.deprecated.then_some("yes"));
            self.items(2, "cpu", cpu.blockers.iter().map(|name| ("blocker", name)));
        }
        for machine in accel.machines.iter() {
            self.open(2, "machine");
            self.attr("type", kind);
            self.attr("name", &machine.name);
            self.optional("alias", machine.alias.as_deref());
            self.optional("hotplugCpus", machine.hotplug_cpus.then_some("yes"));
            self.attr("maxCpus", &machine.max_cpus.to_string());
            self.optional("default", machine.default.then_some("yes"));
            self.optional("defaultCPU", machine.default_cpu.as_deref());
            self.optional("numaMemSupported", machine.numa_mem_supported.then_some("yes"));
            self.optional("defaultRAMid", machine.default_ram_id.as_deref());
            self.optional("deprecated", machine.deprecated.then_some("yes"));
            self.optional("acpi", machine.acpi.map(yes_no));
            self.out.push_str("/>\n");
        }
    }

    fn host_cpu(&mut self, kind: &str, cpu: &HostCpu) {
        self.open(2, "hostCPU");
        self.attr("type", kind);
        self.attr("model", &cpu.model);
        self.attr("migratability", yes_no(cpu.migratability));
        self.out.push_str(">\n");
        for property in cpu.properties.iter() {
            self.open(4, "property");
            self.attr("name", &property.name);
            let number;
            let (kind, value) = match &property.value {
                PropertyValue::Boolean(on) => ("boolean", if *on { "true" } else { "false" }),
                PropertyValue::String(text) => ("string", &**text),
                PropertyValue::Number(n) => {
                    number = n.to_string();
                    ("number", number.as_str())
                }
            };
            self.attr("type", kind);
            self.attr("value", value);
            self.optional("migratable", property.migratable.map(yes_no));
            self.out.push_str("/>\n");
        }
        let lists = [
            ("deprecatedFeatures", &cpu.deprecated_features),
            ("hostDeprecatedFeatures", &cpu.host_deprecated_features),
        ];
        for (element, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            self.open(4, element);
            self.items(4, element, list.iter().map(|name| ("property", &**name)));
        }
        self.out.push_str("  </hostCPU>\n");
    }

    fn hyperv(&mut self, hyperv: &Hyperv) {
        let values = &hyperv.values;
        let number = values.spinlocks.map(|n| n.to_string());
        let switch = |on: Option<bool>| on.map(|on| if on { "on" } else { "off" });
        let texts = [
            ("spinlocks", number.as_deref()),
            ("stimer_direct", switch(values.stimer_direct)),
            ("tlbflush_direct", switch(values.tlbflush_direct)),
            ("tlbflush_extended", switch(values.tlbflush_extended)),
            ("vendor_id", values.vendor_id.as_deref()),
        ];
        if hyperv.caps.is_empty() && texts.iter().all(|(_, text)| text.is_none()) {
            self.out.push_str("/>\n");
            return;
        }
        self.out.push_str(">\n");
        for name in hyperv.caps.iter() {
            self.open(4, "cap");
            self.attr("name", name);
            self.out.push_str("/>\n");
        }
        for (element, text) in texts {
            if let Some(text) = text {
                self.text(4, element, text);
            }
        }
        self.out.push_str("  </hypervCapabilities>\n");
    }

    fn sev(&mut self, sev: &Sev) {
        self.out.push_str("  <sev>\n");
        self.text(4, "cbitpos", &sev.cbitpos.to_string());
        self.text(4, "reducedPhysBits", &sev.reduced_phys_bits.to_string());
        self.text(4, "pdh", &sev.pdh);
        self.text(4, "certChain", &sev.cert_chain);
        if let Some(id) = &sev.cpu0_id {
            self.text(4, "cpu0Id", id);
        }
        if let Some((guests, es_guests)) = sev.max_guests {
            self.text(4, "maxGuests", &guests.to_string());
            self.text(4, "maxESGuests", &es_guests.to_string());
        }
        self.out.push_str("  </sev>\n");
    }

    fn sgx(&mut self, sgx: &Sgx) {
        self.out.push_str("  <sgx supported='yes'>\n");
        self.text(4, "flc", yes_no(sgx.flc));
        self.text(4, "sgx1", yes_no(sgx.sgx1));
        self.text(4, "sgx2", yes_no(sgx.sgx2));
        let _ = writeln!(self.out, "    <section_size unit='KiB'>{}</section_size>", sgx.section_size / 1024);
        if !sgx.sections.is_empty() {
            self.out.push_str("    <sections>\n");
            for (node, size) in sgx.sections.iter() {
                let _ = writeln!(self.out, "      <section node='{node}' size='{}' unit='KiB'/>", size / 1024);
            }
            self.out.push_str("    </sections>\n");
        }
        self.out.push_str("  </sgx>\n");
    }
}
