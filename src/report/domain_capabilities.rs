//! `<domainCapabilities>`: what a domain of one type on one machine type can have.

use super::firmware;
use crate::caps::Cap::{self, *};
use crate::caps::{Accel, Capabilities, CpuModel, Machine, Usable};
use crate::host::Host;
use crate::vocab::Arch;
use crate::xml::XmlWriter;
use std::collections::BTreeSet;

/// What is asked.
pub struct Question<'a> {
    /// What QEMU can do.
    pub caps: &'a Capabilities,
    /// The host.
    pub host: &'a Host,
    /// How the domain runs.
    pub accel: Accel,
    /// Its machine type.
    pub machine: &'a Machine,
}

impl Question<'_> {
    fn has(&self, cap: Cap) -> bool {
        self.caps.has(cap)
    }

    /// A machine type by its family: `pc-q35-7.2` is of `q35`.
    fn is(&self, family: &str) -> bool {
        let name = &*self.machine.name;
        name == family
            || self.machine.alias.as_deref() == Some(family)
            || name.strip_prefix("pc-").unwrap_or(name).starts_with(&format!("{family}-"))
    }

    fn arch(&self) -> Arch {
        self.caps.arch
    }

    fn is_q35(&self) -> bool {
        self.is("q35")
    }

    fn is_i440fx(&self) -> bool {
        self.is("i440fx") || self.is("pc")
    }

    fn is_pseries(&self) -> bool {
        self.is("pseries")
    }
}

/// A value, and when it is there.
type Value = (&'static str, fn(&Question<'_>) -> bool);

const ALWAYS: fn(&Question<'_>) -> bool = |_| true;

const DISK_DEVICE: &[Value] = &[("disk", ALWAYS), ("cdrom", ALWAYS), ("floppy", floppy), ("lun", ALWAYS)];
const DISK_BUS: &[Value] = &[
    ("ide", |q| q.is_i440fx() || matches!(q.arch(), Arch::Sparc | Arch::Sparc64)),
    ("fdc", floppy),
    ("scsi", ALWAYS),
    ("virtio", ALWAYS),
    ("usb", |q| q.has(UsbStorage)),
    ("sata", |q| q.has(Ich9Ahci)),
    ("nvme", |q| q.has(NvmeNs)),
    ("sd", |q| q.arch().is_arm() && !q.is("virt")),
];
const VIRTIO: &[Value] = &[
    ("virtio", ALWAYS),
    ("virtio-transitional", |q| q.has(VirtioPciNonTransitional)),
    ("virtio-non-transitional", |q| q.has(VirtioPciNonTransitional)),
];
const GRAPHICS: &[Value] = &[
    ("sdl", |q| q.has(Sdl)),
    ("vnc", |q| q.has(Vnc)),
    ("spice", |q| q.has(Spice)),
    ("egl-headless", |q| q.has(EglHeadless)),
    ("dbus", |q| q.has(DisplayDbus)),
    ("rdp", |q| q.has(DisplayDbus)),
];
const VIDEO: &[Value] = &[
    ("vga", |q| q.has(VGA)),
    ("cirrus", |q| q.has(CirrusVga)),
    ("vmvga", |q| q.has(VmwareSvga)),
    ("qxl", |q| q.has(Qxl)),
    ("virtio", |q| q.has(VirtioGpu)),
    ("none", ALWAYS),
    ("bochs", |q| q.has(BochsDisplay)),
    ("ramfb", |q| q.has(Ramfb)),
];
const HOSTDEV_SUBSYSTEM: &[Value] = &[("usb", ALWAYS), ("pci", |q| q.has(VfioPci)), ("scsi", ALWAYS)];
const HOSTDEV_BACKEND: &[Value] =
    &[("default", |q| q.has(VfioPci) && has_iommu(q)), ("vfio", |q| q.has(VfioPci) && has_iommu(q))];
const STARTUP: &[Value] = &[("default", ALWAYS), ("mandatory", ALWAYS), ("requisite", ALWAYS), ("optional", ALWAYS)];
const RNG_BACKEND: &[Value] =
    &[("random", |q| q.has(RngRandom)), ("egd", |q| q.has(RngEgd)), ("builtin", |q| q.has(RngBuiltin))];
const FILESYSTEM: &[Value] = &[("path", ALWAYS), ("virtiofs", |q| q.has(VhostUserFs)), ("mtp", |q| q.has(UsbMtp))];
const TPM_MODEL: &[Value] =
    &[("tpm-tis", |q| q.has(TpmTis)), ("tpm-crb", |q| q.has(TpmCrb)), ("tpm-spapr", |q| q.has(TpmSpapr))];
const TPM_BACKEND: &[Value] = &[
    ("passthrough", |q| q.has(TpmPassthrough)),
    ("emulator", |q| q.has(TpmEmulator) && q.host.swtpm.is_some()),
    ("external", |q| q.has(TpmEmulator)),
];
const TPM_VERSION: &[Value] = &[("1.2", |q| swtpm(q, "1.2")), ("2.0", |q| swtpm(q, "2.0"))];
const REDIRDEV: &[Value] = &[("usb", |q| q.has(UsbRedir))];
const CHANNEL: &[Value] = &[
    ("pty", ALWAYS),
    ("unix", ALWAYS),
    ("spicevmc", |q| q.has(Spice)),
    ("qemu-vdagent", |q| q.has(ChardevQemuVdagent)),
    ("dbus", |q| q.has(DisplayDbus)),
];
const CONSOLE: &[Value] = &[
    ("null", ALWAYS),
    ("vc", ALWAYS),
    ("pty", ALWAYS),
    ("dev", ALWAYS),
    ("file", ALWAYS),
    ("pipe", ALWAYS),
    ("stdio", ALWAYS),
    ("udp", ALWAYS),
    ("tcp", ALWAYS),
    ("unix", ALWAYS),
    ("qemu-vdagent", |q| q.has(ChardevQemuVdagent)),
    ("dbus", |q| q.has(DisplayDbus)),
];
const CRYPTO_TYPE: &[Value] = &[("qemu", ALWAYS)];
const CRYPTO_MODEL: &[Value] = &[("virtio", |q| q.has(VirtioCrypto))];
const CRYPTO_BACKEND: &[Value] = &[("builtin", ALWAYS), ("lkcf", |q| q.has(CryptodevBackendLkcf))];
const INTERFACE: &[Value] = &[("default", |q| q.has(NetdevUser)), ("passt", |q| q.has(NetdevStream))];
const PANIC: &[Value] = &[
    ("isa", |q| q.has(Pvpanic) && q.arch().is_x86()),
    ("hyperv", |q| q.arch().is_x86()),
    ("pvpanic", |q| q.has(PvpanicPci)),
    ("s390", |q| q.arch().is_s390()),
    ("pseries", |q| q.is_pseries()),
];
const MEMORY_SOURCE: &[Value] = &[("file", ALWAYS), ("anonymous", ALWAYS), ("memfd", |q| q.has(MemoryBackendMemfd))];
const LAUNCH_SECURITY: &[Value] = &[
    ("sev", |q| q.has(SevGuest)),
    ("sev-snp", |q| q.has(SevSnpGuest)),
    ("s390-pv", |q| q.has(S390PvGuest) && q.has(ConfidentialGuestSupport)),
];

/// A floppy drive: where there is a controller for it.
fn floppy(q: &Question<'_>) -> bool {
    q.arch().is_x86() && !q.is("microvm") || matches!(q.arch(), Arch::Sparc | Arch::Sparc64)
}

fn has_iommu(q: &Question<'_>) -> bool {
    q.host.pci_devices.iter().any(|d| d.iommu_group.is_some())
}

fn swtpm(q: &Question<'_>, version: &str) -> bool {
    q.has(TpmEmulator) && q.host.swtpm.as_ref().is_some_and(|s| s.tpm_versions.iter().any(|v| v == version))
}

/// Prints the XML.
pub fn domain_capabilities(q: &Question<'_>) -> String {
    let mut w = XmlWriter::new();
    w.start("domainCapabilities");
    w.leaf("path", &q.caps.emulator);
    w.leaf("domain", if q.accel == Accel::Tcg { "qemu" } else { q.accel.as_str() });
    w.leaf("machine", &q.machine.name);
    w.leaf("arch", q.arch().as_str());
    let limit = if q.accel == Accel::Kvm { q.host.machine.kvm_max_vcpus } else { u32::MAX };
    w.start("vcpu");
    w.attr_display("max", q.machine.max_cpus.min(limit));
    w.end();
    supported(&mut w, "iothreads", true);
    os(&mut w, q);
    cpu(&mut w, q);
    w.start("memoryBacking");
    w.attr("supported", "yes");
    values(&mut w, q, "sourceType", MEMORY_SOURCE);
    w.end();
    devices(&mut w, q);
    features(&mut w, q);
    w.finish()
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// An element that only says whether something is there.
fn supported(w: &mut XmlWriter, name: &'static str, yes: bool) {
    w.start(name);
    w.attr("supported", yes_no(yes));
    w.end();
}

/// The values that are there.
fn values(w: &mut XmlWriter, q: &Question<'_>, name: &str, all: &[Value]) {
    let there: Vec<&str> = all.iter().filter(|(_, when)| when(q)).map(|(value, _)| *value).collect();
    list(w, name, &there);
}

fn list(w: &mut XmlWriter, name: &str, there: &[&str]) {
    w.start("enum");
    w.attr("name", name);
    for value in there {
        w.leaf("value", value);
    }
    w.end();
}

fn os(w: &mut XmlWriter, q: &Question<'_>) {
    let offer = firmware::offer(q.host, q.arch(), &q.machine.name);
    w.start("os");
    w.attr("supported", "yes");
    let kinds: Vec<&str> =
        [("bios", offer.bios), ("efi", offer.efi)].iter().filter(|(_, there)| *there).map(|(kind, _)| *kind).collect();
    list(w, "firmware", &kinds);
    w.start("firmwareFeatures");
    w.attr("supported", yes_no(offer.efi));
    if offer.efi {
        list(w, "secureBoot", &offer.secure_boot.values());
        list(w, "enrolledKeys", &offer.enrolled_keys.values());
    }
    w.end();
    w.start("loader");
    w.attr("supported", "yes");
    for path in &offer.loaders {
        w.leaf("value", path);
    }
    let flash = q.arch().is_x86() || q.arch().is_arm() || q.arch().is_riscv() || q.arch().is_loongarch();
    list(w, "type", if flash { &["rom", "pflash"] } else { &["rom"] });
    list(w, "readonly", &["yes", "no"]);
    list(w, "secure", if offer.secure { &["yes", "no"] } else { &["no"] });
    w.end();
    supported(w, "varstore", offer.device_variables && q.has(UefiVars));
    w.end();
}

fn cpu(w: &mut XmlWriter, q: &Question<'_>) {
    w.start("cpu");
    mode(w, "host-passthrough", "hostPassthroughMigratable", q.accel != Accel::Tcg, q);
    mode(w, "maximum", "maximumMigratable", q.has(CpuMax), q);
    host_model(w, q);
    w.start("mode");
    w.attr("name", "custom");
    let models: Vec<&CpuModel> =
        q.caps.accel(q.accel).map(|a| a.cpus.iter().filter(|c| is_named_model(&c.name)).collect()).unwrap_or_default();
    w.attr("supported", yes_no(!models.is_empty()));
    for model in &models {
        w.start("model");
        w.attr(
            "usable",
            match model.usable {
                Usable::Unknown => "unknown",
                Usable::Yes => "yes",
                Usable::No => "no",
            },
        );
        if model.deprecated {
            w.attr("deprecated", "yes");
        }
        if q.arch().is_x86() {
            let known = crate::cpu::table().model(&model.name);
            w.attr("vendor", known.and_then(|m| m.vendor).unwrap_or("unknown"));
        }
        w.text(&model.name);
        w.end();
    }
    for model in models.iter().filter(|m| !m.blockers.is_empty()) {
        w.start("blockers");
        w.attr("model", &model.name);
        for feature in model.blockers.iter() {
            w.start("feature");
            w.attr("name", feature);
            w.end();
        }
        w.end();
    }
    w.end();
    w.end();
}

/// What `host-model` stands for.
fn host_model(w: &mut XmlWriter, q: &Question<'_>) {
    let qemu = q.caps.accel(q.accel);
    let host = qemu.and_then(|qemu| crate::cpu::of_host(q.arch(), qemu));
    // Elsewhere than on x86 QEMU's own name serves.
    let name = match &host {
        Some(cpu) => cpu.model.as_ref().and_then(|m| m.name.clone()),
        None => q.caps.host_cpu(q.accel).filter(|_| !q.arch().is_x86()).map(|cpu| cpu.model.to_string()),
    };
    w.start("mode");
    w.attr("name", "host-model");
    w.attr("supported", yes_no(name.is_some()));
    if let Some(name) = name {
        w.start("model");
        w.attr("fallback", "forbid");
        w.text(&name);
        w.end();
        let cpu = host.unwrap_or_default();
        if let Some(vendor) = &cpu.vendor {
            w.leaf("vendor", vendor);
        }
        for feature in &cpu.features {
            w.start("feature");
            w.attr("policy", feature.policy.map_or("require", |p| p.as_str()));
            w.attr("name", feature.name());
            w.end();
        }
    }
    w.end();
}

/// A model that a domain can name; the others are modes.
fn is_named_model(name: &str) -> bool {
    !matches!(name, "host" | "max" | "base")
}

fn mode(w: &mut XmlWriter, name: &str, switch: &str, there: bool, q: &Question<'_>) {
    w.start("mode");
    w.attr("name", name);
    w.attr("supported", yes_no(there));
    if there {
        list(w, switch, if q.has(CpuMigratable) { &["on", "off"] } else { &["off"] });
    }
    w.end();
}

fn devices(w: &mut XmlWriter, q: &Question<'_>) {
    let device = |w: &mut XmlWriter, name: &'static str, there: bool, enums: &[(&str, &[Value])]| {
        w.start(name);
        w.attr("supported", yes_no(there));
        if there {
            for (name, all) in enums {
                values(w, q, name, all);
            }
        }
        w.end();
    };
    w.start("devices");
    device(w, "disk", true, &[("diskDevice", DISK_DEVICE), ("bus", DISK_BUS), ("model", VIRTIO)]);
    device(w, "graphics", true, &[("type", GRAPHICS)]);
    device(w, "video", true, &[("modelType", VIDEO)]);
    device(
        w,
        "hostdev",
        true,
        &[
            ("mode", &[("subsystem", ALWAYS)]),
            ("startupPolicy", STARTUP),
            ("subsysType", HOSTDEV_SUBSYSTEM),
            ("capsType", &[]),
            ("pciBackend", HOSTDEV_BACKEND),
        ],
    );
    device(w, "rng", q.has(VirtioRng), &[("model", VIRTIO), ("backendModel", RNG_BACKEND)]);
    device(w, "filesystem", true, &[("driverType", FILESYSTEM)]);
    let tpm = TPM_MODEL.iter().any(|(_, when)| when(q));
    device(w, "tpm", tpm, &[("model", TPM_MODEL), ("backendModel", TPM_BACKEND), ("backendVersion", TPM_VERSION)]);
    device(w, "redirdev", q.has(UsbRedir), &[("bus", REDIRDEV)]);
    device(w, "channel", true, &[("type", CHANNEL)]);
    let crypto: &[(&str, &[Value])] =
        &[("model", CRYPTO_MODEL), ("type", CRYPTO_TYPE), ("backendModel", CRYPTO_BACKEND)];
    device(w, "crypto", q.has(VirtioCrypto), crypto);
    device(w, "interface", true, &[("backendType", INTERFACE)]);
    device(w, "panic", PANIC.iter().any(|(_, when)| when(q)), &[("model", PANIC)]);
    device(w, "console", true, &[("type", CONSOLE)]);
    w.end();
}

fn features(w: &mut XmlWriter, q: &Question<'_>) {
    w.start("features");
    let usable = q.caps.gic.iter().filter(|g| if q.accel == Accel::Kvm { g.kernel } else { g.emulated });
    let versions: BTreeSet<String> = usable.map(|g| g.version.to_string()).collect();
    let gic = q.is("virt") && q.arch().is_arm() && !versions.is_empty();
    w.start("gic");
    w.attr("supported", yes_no(gic));
    if gic {
        list(w, "version", &versions.iter().map(String::as_str).collect::<Vec<_>>());
    }
    w.end();
    supported(w, "vmcoreinfo", q.has(Vmcoreinfo));
    supported(w, "genid", q.has(Vmgenid));
    supported(w, "backingStoreInput", true);
    supported(w, "backup", true);
    supported(w, "async-teardown", q.has(RunWithAsyncTeardown));
    supported(w, "s390-pv", q.has(S390PvGuest));
    supported(w, "ps2", q.arch().is_x86() && (q.is_q35() || q.is_i440fx() || q.is("isapc")));
    sev(w, q);
    sgx(w, q);
    let hyperv = q.caps.hyperv.as_ref().filter(|h| q.accel == Accel::Kvm && h.supported);
    w.start("hyperv");
    w.attr("supported", yes_no(hyperv.is_some()));
    if let Some(hyperv) = hyperv {
        list(w, "features", &hyperv.caps.iter().map(|c| &**c).collect::<Vec<_>>());
    }
    w.end();
    w.start("launchSecurity");
    let any = LAUNCH_SECURITY.iter().any(|(_, when)| when(q));
    w.attr("supported", yes_no(any));
    if any {
        values(w, q, "sectype", LAUNCH_SECURITY);
    }
    w.end();
    w.end();
}

fn sev(w: &mut XmlWriter, q: &Question<'_>) {
    w.start("sev");
    w.attr("supported", yes_no(q.caps.sev.is_some()));
    if let Some(sev) = &q.caps.sev {
        w.leaf("cbitpos", &sev.cbitpos.to_string());
        w.leaf("reducedPhysBits", &sev.reduced_phys_bits.to_string());
        if let Some((guests, es_guests)) = sev.max_guests {
            w.leaf("maxGuests", &guests.to_string());
            w.leaf("maxESGuests", &es_guests.to_string());
        }
        if let Some(id) = &sev.cpu0_id {
            w.leaf("cpu0Id", id);
        }
    }
    w.end();
}

fn sgx(w: &mut XmlWriter, q: &Question<'_>) {
    w.start("sgx");
    w.attr("supported", yes_no(q.caps.sgx.is_some()));
    if let Some(sgx) = &q.caps.sgx {
        w.leaf("flc", yes_no(sgx.flc));
        w.leaf("sgx1", yes_no(sgx.sgx1));
        w.leaf("sgx2", yes_no(sgx.sgx2));
        w.start("section_size");
        w.attr("unit", "KiB");
        w.text(&(sgx.section_size / 1024).to_string());
        w.end();
        w.start("sections");
        for (node, size) in sgx.sections.iter() {
            w.start("section");
            w.attr_display("node", node);
            w.attr_display("size", size / 1024);
            w.attr("unit", "KiB");
            w.end();
        }
        w.end();
    }
    w.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::profiles;
    use crate::diag::Diagnostics;
    use crate::xml;

    /// The words below the path of element names, of `enum`s with a name after the path.
    fn words(text: &str, path: &[&str], name: &str) -> Vec<String> {
        let mut diags = Diagnostics::new();
        let document = xml::parse(text.as_bytes(), &mut diags);
        assert!(diags.is_empty(), "{diags:?}");
        let mut at = document.root().expect("a root");
        for step in path {
            at = at.child(step).unwrap_or_else(|| panic!("no {step} in {text}"));
        }
        let named = at.children_named("enum").find(|e| e.attr("name").is_some_and(|a| a.value() == name));
        named.into_iter().flat_map(|e| e.children()).map(|v| v.text().to_string()).collect()
    }

    #[test]
    fn the_machine_decides() {
        let caps = profiles::named("qemu-7.2", Arch::X86_64).expect("a profile");
        let host = Host::default();
        let ask = |machine: &str| {
            let machine = caps.machine(Accel::Tcg, machine).expect("a machine");
            domain_capabilities(&Question { caps: &caps, host: &host, accel: Accel::Tcg, machine })
        };
        let pc = ask("pc");
        assert_eq!(words(&pc, &["devices", "disk"], "bus"), ["ide", "fdc", "scsi", "virtio", "usb", "sata", "nvme"]);
        assert_eq!(words(&ask("q35"), &["devices", "disk"], "bus"), ["fdc", "scsi", "virtio", "usb", "sata", "nvme"]);
        assert_eq!(words(&pc, &["devices", "tpm"], "backendModel"), ["passthrough", "external"]);
        assert!(pc.contains("<machine>pc-i440fx-7.2</machine>") && pc.contains("<domain>qemu</domain>"));
        assert!(pc.contains("<vcpu max='255'/>"));
        assert!(pc.contains("<mode name='host-passthrough' supported='no'/>"));
        assert!(pc.contains("<gic supported='no'/>"));
    }

    #[test]
    fn arm_has_its_interrupt_controllers() {
        let caps = profiles::named("qemu-10.0", Arch::Aarch64).expect("a profile");
        let machine = caps.machine(Accel::Tcg, "virt").expect("a machine");
        let text = domain_capabilities(&Question { caps: &caps, host: &Host::default(), accel: Accel::Tcg, machine });
        assert_eq!(words(&text, &["features", "gic"], "version"), ["2", "3"]);
    }
}
