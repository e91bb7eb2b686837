//! Writes capabilities in virtc's own form, which `compact` reads.

use super::compact::HEADER;
use super::*;

/// Writes a word so that it stays one.
fn encode(out: &mut String, word: &str) {
    use std::fmt::Write;
    for c in word.chars() {
        match c {
            ' ' | '%' | '=' | '\0'..='\x1f' => {
                let _ = write!(out, "%{:02x}", c as u32);
            }
            _ => out.push(c),
        }
    }
}

/// Writes capabilities. Reading the text gives the same capabilities.
pub fn write(caps: &Capabilities) -> String {
    let mut w = Writer { out: String::with_capacity(32 << 10) };
    w.out.push_str(HEADER);
    w.out.push('\n');
    w.line("version", &[&caps.version.to_string()]);
    w.line("arch", &[caps.arch.as_str()]);
    if !caps.emulator.is_empty() {
        w.line("emulator", &[&caps.emulator]);
    }
    if !caps.package.is_empty() {
        w.out.push_str("package ");
        w.out.push_str(&caps.package.replace(['\n', '\r'], " "));
        w.end();
    }
    if caps.microcode_version != 0 {
        w.line("microcode", &[&caps.microcode_version.to_string()]);
    }
    for flag in caps.flags.iter() {
        w.line("flag", &[flag.as_str()]);
    }
    for gic in caps.gic.iter() {
        w.start("gic", &gic.version.to_string());
        w.mark("kernel", gic.kernel);
        w.mark("emulated", gic.emulated);
        w.end();
    }
    if let Some(sev) = &caps.sev {
        w.out.push_str("sev");
        w.pair("cbitpos", &sev.cbitpos.to_string());
        w.pair("reduced-phys-bits", &sev.reduced_phys_bits.to_string());
        if let Some((sev_guests, es_guests)) = sev.max_guests {
            w.pair("max-guests", &sev_guests.to_string());
            w.pair("max-es-guests", &es_guests.to_string());
        }
        w.pair("cpu0-id", sev.cpu0_id.as_deref().unwrap_or(""));
        w.pair("pdh", &sev.pdh);
        w.pair("cert-chain", &sev.cert_chain);
        w.end();
    }
    if let Some(sgx) = &caps.sgx {
        w.out.push_str("sgx");
        w.mark("flc", sgx.flc);
        w.mark("sgx1", sgx.sgx1);
        w.mark("sgx2", sgx.sgx2);
        w.pair("size", &sgx.section_size.to_string());
        w.end();
        for (node, size) in sgx.sections.iter() {
            w.line("sgx-section", &[&node.to_string(), &size.to_string()]);
        }
    }
    if let Some(hyperv) = &caps.hyperv {
        w.hyperv(hyperv);
    }
    for accel in caps.accels.iter() {
        w.out.push('\n');
        w.line("accel", &[accel.accel.as_str()]);
        w.accel(accel);
    }
    w.out
}

struct Writer {
    out: String,
}

impl Writer {
    fn line(&mut self, keyword: &str, words: &[&str]) {
        self.out.push_str(keyword);
        for word in words {
            self.out.push(' ');
            encode(&mut self.out, word);
        }
        self.end();
    }

    fn start(&mut self, keyword: &str, word: &str) {
        self.out.push_str(keyword);
        self.out.push(' ');
        encode(&mut self.out, word);
    }

    fn mark(&mut self, word: &str, on: bool) {
        if on {
            self.out.push(' ');
            self.out.push_str(word);
        }
    }

    fn pair(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.out.push(' ');
            self.out.push_str(key);
            self.out.push('=');
            encode(&mut self.out, value);
        }
    }

    fn end(&mut self) {
        self.out.push('\n');
    }

    fn hyperv(&mut self, hyperv: &Hyperv) {
        let truth = |on: Option<bool>| on.map_or("", |on| if on { "yes" } else { "no" });
        let values = &hyperv.values;
        self.start("hyperv", if hyperv.supported { "yes" } else { "no" });
        for name in hyperv.caps.iter() {
            self.out.push(' ');
            encode(&mut self.out, name);
        }
        self.pair("spinlocks", &values.spinlocks.map(|n| n.to_string()).unwrap_or_default());
        self.pair("stimer-direct", truth(values.stimer_direct));
        self.pair("tlbflush-direct", truth(values.tlbflush_direct));
        self.pair("tlbflush-extended", truth(values.tlbflush_extended));
        self.pair("vendor-id", values.vendor_id.as_deref().unwrap_or(""));
        self.end();
    }

    fn accel(&mut self, accel: &AccelCaps) {
        if let Some(cpu) = &accel.host_cpu {
            self.start("host-cpu", &cpu.model);
            self.mark("migratability", cpu.migratability);
            self.end();
            for property in cpu.properties.iter() {
                self.start("property", &property.name);
                match &property.value {
                    PropertyValue::Boolean(true) => self.mark("true", true),
                    PropertyValue::Boolean(false) => self.mark("false", true),
                    PropertyValue::Number(n) => self.pair("number", &n.to_string()),
                    PropertyValue::String(text) => {
                        // Written even when empty: the type is part of the value.
                        self.out.push_str(" string=");
                        encode(&mut self.out, text);
                    }
                }
                self.mark("migratable", property.migratable == Some(true));
                self.mark("not-migratable", property.migratable == Some(false));
                self.end();
            }
            for name in cpu.deprecated_features.iter() {
                self.line("deprecated-feature", &[name]);
            }
            for name in cpu.host_deprecated_features.iter() {
                self.line("host-deprecated-feature", &[name]);
            }
        }
        for cpu in accel.cpus.iter() {
            self.start("cpu", &cpu.name);
            self.pair("type", &cpu.type_name);
            self.mark("usable", cpu.usable == Usable::Yes);
            self.mark("unusable", cpu.usable == Usable::No);
            self.mark("deprecated", cpu.deprecated);
            self.pair("blockers", cpu.blockers.joined());
            self.end();
        }
        for machine in accel.machines.iter() {
            self.start("machine", &machine.name);
            self.pair("alias", machine.alias.as_deref().unwrap_or(""));
            self.mark("default", machine.default);
            self.pair("max-cpus", &machine.max_cpus.to_string());
            self.mark("hotplug-cpus", machine.hotplug_cpus);
            self.mark("numa-mem", machine.numa_mem_supported);
            self.mark("deprecated", machine.deprecated);
            self.pair("acpi", machine.acpi.map_or("", |on| if on { "yes" } else { "no" }));
            self.pair("default-cpu", machine.default_cpu.as_deref().unwrap_or(""));
            self.pair("default-ram-id", machine.default_ram_id.as_deref().unwrap_or(""));
            self.end();
        }
    }
}
