//! `<capabilities>`: the host, and the guests that its QEMUs can run.

use crate::caps::{Accel, Capabilities};
use crate::host::{Host, SecurityDriver};
use crate::vocab::Arch;
use crate::xml::XmlWriter;

/// Prints the XML. `guests` are the capabilities of the host's QEMUs.
pub fn capabilities(host: &Host, guests: &[Capabilities]) -> String {
    let mut w = XmlWriter::new();
    w.start("capabilities");
    w.start("host");
    cpu(&mut w, host);
    w.empty("power_management");
    w.start("iommu");
    let iommu = host.pci_devices.iter().any(|d| d.iommu_group.is_some());
    w.attr("support", if iommu { "yes" } else { "no" });
    w.end();
    topology(&mut w, host);
    security(&mut w, host);
    w.end();
    for caps in guests {
        guest(&mut w, caps, caps.arch);
        // An x86_64 QEMU runs 32-bit guests too, and an AArch64 one those of ARMv7.
        match caps.arch {
            Arch::X86_64 if guests.iter().all(|g| g.arch != Arch::I686) => guest(&mut w, caps, Arch::I686),
            Arch::Aarch64 if guests.iter().all(|g| g.arch != Arch::Armv7l) => guest(&mut w, caps, Arch::Armv7l),
            _ => {}
        }
    }
    w.finish()
}

fn cpu(w: &mut XmlWriter, host: &Host) {
    w.start("cpu");
    w.leaf("arch", host.machine.arch.as_str());
    if let Some(cpu) = &host.machine.cpu {
        w.leaf("model", &cpu.model);
        if let Some(vendor) = &cpu.vendor {
            w.leaf("vendor", vendor);
        }
        w.start("topology");
        w.attr_display("sockets", cpu.sockets);
        w.attr("dies", "1");
        w.attr_display("cores", cpu.cores);
        w.attr_display("threads", cpu.threads);
        w.end();
        for feature in &cpu.features {
            w.start("feature");
            w.attr("name", feature);
            w.end();
        }
    }
    if host.machine.physical_address_bits != 0 {
        w.start("maxphysaddr");
        w.attr("mode", "emulate");
        w.attr_display("bits", host.machine.physical_address_bits);
        w.end();
    }
    let mut sizes: Vec<u64> = host.numa.nodes.iter().flat_map(|n| n.pages.iter().copied()).collect();
    sizes.push(host.machine.page_size);
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        w.start("pages");
        w.attr("unit", "KiB");
        w.attr_display("size", size / 1024);
        w.end();
    }
    w.end();
}

fn topology(w: &mut XmlWriter, host: &Host) {
    w.start("topology");
    w.start("cells");
    w.attr_display("num", host.numa.nodes.len());
    for node in &host.numa.nodes {
        w.start("cell");
        w.attr_display("id", node.id);
        if let Some(memory) = node.memory {
            w.start("memory");
            w.attr("unit", "KiB");
            w.text(&(memory / 1024).to_string());
            w.end();
        }
        if let Some(cpus) = &node.cpus {
            w.start("cpus");
            w.attr_display("num", cpus.len());
            for cpu in cpus {
                w.start("cpu");
                w.attr_display("id", cpu);
                w.end();
            }
            w.end();
        }
        w.end();
    }
    w.end();
    w.end();
}

fn security(w: &mut XmlWriter, host: &Host) {
    let model = |w: &mut XmlWriter, model: &str| {
        w.start("secmodel");
        w.leaf("model", model);
        w.leaf("doi", "0");
        w.end();
    };
    let driver = host.instance.security_driver;
    if driver != SecurityDriver::Dac {
        model(w, driver.as_str());
    }
    model(w, "dac");
}

fn guest(w: &mut XmlWriter, caps: &Capabilities, arch: Arch) {
    let Some(first) = caps.accels.first() else { return };
    w.start("guest");
    w.leaf("os_type", "hvm");
    w.start("arch");
    w.attr("name", arch.as_str());
    w.leaf("wordsize", if is_32_bit(arch) { "32" } else { "64" });
    w.leaf("emulator", &caps.emulator);
    for machine in first.machines.iter() {
        let entry = |w: &mut XmlWriter, name: &str, canonical: Option<&str>| {
            w.start("machine");
            if let Some(canonical) = canonical {
                w.attr("canonical", canonical);
            }
            w.attr_display("maxCpus", machine.max_cpus);
            if machine.deprecated {
                w.attr("deprecated", "yes");
            }
            w.text(name);
            w.end();
        };
        entry(w, &machine.name, None);
        if let Some(alias) = &machine.alias {
            entry(w, alias, Some(&machine.name));
        }
    }
    for kind in domain_types(caps) {
        w.start("domain");
        w.attr("type", kind);
        w.end();
    }
    w.end();
    features(w, arch);
    w.end();
}

/// The types of domain: `qemu` first, then those with an accelerator.
fn domain_types(caps: &Capabilities) -> Vec<&'static str> {
    let mut types = Vec::new();
    if caps.accel(Accel::Tcg).is_some() {
        types.push("qemu");
    }
    types.extend(caps.accels.iter().map(|a| a.accel).filter(|a| *a != Accel::Tcg).map(Accel::as_str));
    types
}

fn is_32_bit(arch: Arch) -> bool {
    use Arch::*;
    matches!(
        arch,
        I686 | Armv6l | Armv7l | Armv7b | Ppc | Ppcemb | Sparc | Mips | Mipsel | Riscv32 | M68k | Sh4 | Sh4eb
    ) || matches!(arch, Cris | Lm32 | Microblaze | Microblazeel | Or32 | Parisc | S390 | Unicore32 | Xtensa | Xtensaeb)
}

fn features(w: &mut XmlWriter, arch: Arch) {
    w.start("features");
    if arch == Arch::I686 {
        w.empty("pae");
        w.empty("nonpae");
    }
    let toggle = |w: &mut XmlWriter, name: &'static str, toggle: &str| {
        w.start(name);
        w.attr("default", "on");
        w.attr("toggle", toggle);
        w.end();
    };
    if arch.is_x86() || arch == Arch::Aarch64 {
        toggle(w, "acpi", "yes");
    }
    if arch.is_x86() {
        toggle(w, "apic", "no");
    }
    w.empty("cpuselection");
    w.empty("deviceboot");
    toggle(w, "disksnapshot", "no");
    w.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::profiles;
    use crate::diag::Diagnostics;

    #[test]
    fn guests_are_listed() {
        let caps = profiles::named("qemu-10.0", Arch::X86_64).expect("a profile");
        let text = capabilities(&Host::default(), &[caps]);
        let mut diags = Diagnostics::new();
        let document = crate::xml::parse(text.as_bytes(), &mut diags);
        assert!(diags.is_empty(), "{diags:?}");
        let root = document.root().expect("a root");
        let arches: Vec<&str> = root
            .children_named("guest")
            .filter_map(|g| g.child("arch").and_then(|a| a.attr("name")).map(|a| a.value()))
            .collect();
        assert_eq!(arches, ["x86_64", "i686"]);
        assert!(text.contains("<machine canonical='pc-q35-10.0' maxCpus='4096'>q35</machine>"));
        assert!(text.contains("<domain type='qemu'/>") && text.contains("<domain type='kvm'/>"));
    }
}
