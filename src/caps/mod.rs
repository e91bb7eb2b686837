//! What one QEMU can do: its capabilities.
//!
//! Invariant: a [`Capabilities`] is complete and immutable; nothing here looks at a file or starts a
//! QEMU (that is `probe`'s). Strings and lists are [`Cow`]s of static data, so that an embedded
//! profile costs nothing to use.

mod choice;
pub mod compact;
pub mod compact_write;
pub mod distributions;
mod flags;
pub mod libvirt;
pub mod libvirt_write;
pub mod profiles;
pub mod retirement;
pub mod switches;
#[cfg(test)]
mod tests;

pub use choice::{Choice, Chosen, Fit, Held, Wanted, fitting};
pub use flags::{Cap, Flags};

use crate::diag::codes::inputs as codes;
use crate::diag::{Diagnostics, Span};
use crate::vocab::{Arch, keywords};
use std::borrow::Cow;

/// The largest file that is read, bytes.
const MAX_SIZE: usize = 16 << 20;

/// A string that may be static data.
pub type Str = Cow<'static, str>;
/// A list that may be static data.
pub type List<T> = Cow<'static, [T]>;

/// A version of QEMU as one number, `major * 1000000 + minor * 1000 + micro`: 7.2.0 is 7002000.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, PartialOrd, Ord)]
pub struct Version(pub u32);

impl Version {
    /// The version `major.minor.micro`.
    pub const fn new(major: u32, minor: u32, micro: u32) -> Version {
        Version(major * 1_000_000 + minor * 1000 + micro)
    }

    /// Whether it is `major.minor` or newer.
    pub const fn at_least(self, major: u32, minor: u32) -> bool {
        self.0 >= Version::new(major, minor, 0).0
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0 / 1_000_000, self.0 / 1000 % 1000, self.0 % 1000)
    }
}

keywords! {
    /// How QEMU runs guest code.
    #[derive(Default)]
    pub enum Accel {
        #[default]
        Tcg = "tcg",
        Kvm = "kvm",
        Hvf = "hvf",
        Whpx = "whpx",
        Nvmm = "nvmm",
        Xen = "xen",
        Mshv = "mshv",
    }
}

/// What one QEMU can do.
#[derive(Clone, PartialEq, Debug)]
pub struct Capabilities {
    /// Path of the QEMU binary.
    pub emulator: Str,
    /// Version of QEMU.
    pub version: Version,
    /// What the packager added to the version: `Debian 1:7.2+dfsg-7`, `v10.0.0`; may be empty.
    pub package: Str,
    /// Guest architecture.
    pub arch: Arch,
    /// Version of KVM's microcode as libvirt writes it down; 0 where it does not matter.
    pub microcode_version: u32,
    /// What is there.
    pub flags: Flags,
    /// What depends on the accelerator, one entry an accelerator.
    pub accels: List<AccelCaps>,
    /// Interrupt controllers of an ARM guest.
    pub gic: List<Gic>,
    /// AMD's encrypted virtualisation, when the host has it.
    pub sev: Option<Sev>,
    /// Intel's enclaves, when the host has them.
    pub sgx: Option<Sgx>,
    /// Enlightenments for Windows guests that KVM supports; none when QEMU was not asked.
    pub hyperv: Option<Hyperv>,
}

/// A list of names, none of which holds a comma. Kept as one string: there are thousands of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names(Str);

impl Names {
    /// The empty list.
    pub const NONE: Names = Names(Cow::Borrowed(""));

    /// The names in this text, separated by commas.
    pub fn new(joined: impl Into<Str>) -> Names {
        Names(joined.into())
    }

    /// The names, separated by commas.
    pub fn joined(&self) -> &str {
        &self.0
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|name| !name.is_empty())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What QEMU can do with one accelerator.
#[derive(Clone, PartialEq, Debug)]
pub struct AccelCaps {
    /// The accelerator.
    pub accel: Accel,
    /// What `-cpu host` (or `max`) is made of.
    pub host_cpu: Option<HostCpu>,
    /// CPU models, in QEMU's order.
    pub cpus: List<CpuModel>,
    /// Machine types, in QEMU's order, the one first that serves when none is named.
    pub machines: List<Machine>,
}

/// The CPU that `host-model` expands to.
#[derive(Clone, PartialEq, Debug)]
pub struct HostCpu {
    /// QEMU's name of the base model: `base`, `max`, `gen15a-base`.
    pub model: Str,
    /// Whether QEMU told which properties can be migrated.
    pub migratability: bool,
    /// The properties, in QEMU's order.
    pub properties: List<CpuProperty>,
    /// Features that a newer CPU will not have (s390x).
    pub deprecated_features: List<Str>,
    /// Those of them that this host has.
    pub host_deprecated_features: List<Str>,
}

/// A property of the host CPU.
#[derive(Clone, PartialEq, Debug)]
pub struct CpuProperty {
    /// QEMU's name: `avx-ne-convert`.
    pub name: Str,
    /// Its value.
    pub value: PropertyValue,
    /// Whether a guest with it can be migrated; none where QEMU did not say.
    pub migratable: Option<bool>,
}

/// The value of a CPU property.
#[derive(Clone, PartialEq, Debug)]
pub enum PropertyValue {
    /// On or off.
    Boolean(bool),
    /// Text, such as the vendor.
    String(Str),
    /// A number.
    Number(i64),
}

/// Whether a CPU model runs on the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Usable {
    /// QEMU did not say.
    #[default]
    Unknown,
    /// It runs.
    Yes,
    /// It lacks features.
    No,
}

/// A CPU model that QEMU knows.
#[derive(Clone, PartialEq, Debug)]
pub struct CpuModel {
    /// QEMU's name: `Haswell-noTSX`.
    pub name: Str,
    /// Its QOM type: `Haswell-noTSX-x86_64-cpu`.
    pub type_name: Str,
    /// Whether the host can run it.
    pub usable: Usable,
    /// The features that the host lacks.
    pub blockers: Names,
    /// Whether QEMU will drop it.
    pub deprecated: bool,
}

/// A machine type.
#[derive(Clone, PartialEq, Debug)]
pub struct Machine {
    /// QEMU's name: `pc-q35-10.0`.
    pub name: Str,
    /// Its short name: `q35`.
    pub alias: Option<Str>,
    /// The most virtual CPUs it takes.
    pub max_cpus: u32,
    /// Whether QEMU uses it when no machine is named.
    pub default: bool,
    /// Whether CPUs can be added while it runs.
    pub hotplug_cpus: bool,
    /// QOM type of the CPU it has when none is named: `qemu64-x86_64-cpu`.
    pub default_cpu: Option<Str>,
    /// Whether NUMA nodes may be given memory by `-numa node,mem=`.
    pub numa_mem_supported: bool,
    /// Identifier of its main memory: `pc.ram`.
    pub default_ram_id: Option<Str>,
    /// Whether QEMU will drop it.
    pub deprecated: bool,
    /// Whether it has ACPI; none where QEMU did not say.
    pub acpi: Option<bool>,
}

/// An interrupt controller of an ARM guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gic {
    /// 2, 3 or 4.
    pub version: u8,
    /// Whether KVM has it.
    pub kernel: bool,
    /// Whether QEMU has it.
    pub emulated: bool,
}

/// AMD's encrypted virtualisation.
#[derive(Clone, PartialEq, Debug)]
pub struct Sev {
    /// Bit of a page table entry that marks an encrypted page.
    pub cbitpos: u32,
    /// How many bits of physical addresses are lost.
    pub reduced_phys_bits: u32,
    /// The platform's Diffie-Hellman key, base64.
    pub pdh: Str,
    /// The certificate chain, base64.
    pub cert_chain: Str,
    /// Identifier of the first socket's CPU, base64.
    pub cpu0_id: Option<Str>,
    /// The most guests of SEV, and of SEV-ES.
    pub max_guests: Option<(u32, u32)>,
}

/// Intel's enclaves.
#[derive(Clone, PartialEq, Debug)]
pub struct Sgx {
    /// Flexible launch control.
    pub flc: bool,
    /// SGX1.
    pub sgx1: bool,
    /// SGX2.
    pub sgx2: bool,
    /// Size of all sections, bytes.
    pub section_size: u64,
    /// NUMA node and size in bytes of each section.
    pub sections: List<(u32, u64)>,
}

/// Enlightenments for Windows guests.
#[derive(Clone, PartialEq, Debug)]
pub struct Hyperv {
    /// Whether there are any.
    pub supported: bool,
    /// Their names in the domain format: `relaxed`, `vapic`.
    pub caps: List<Str>,
    /// What they are set to.
    pub values: HypervValues,
}

/// What KVM's enlightenments are set to when all of them are on; none where nobody said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HypervValues {
    /// Tries before a guest that waits for a lock tells so.
    pub spinlocks: Option<u32>,
    /// Whether synthetic timers can interrupt directly.
    pub stimer_direct: Option<bool>,
    /// Whether a nested guest can flush directly.
    pub tlbflush_direct: Option<bool>,
    /// Whether single pages can be flushed.
    pub tlbflush_extended: Option<bool>,
    /// The vendor that a guest sees.
    pub vendor_id: Option<Str>,
}

impl Hyperv {
    /// Whether the enlightenment is there.
    pub fn has(&self, name: &str) -> bool {
        self.caps.iter().any(|cap| cap == name)
    }
}

/// Reads a capabilities file, libvirt's `<qemuCaps>` or virtc's own format; none, with diagnostics,
/// when it has a fault.
pub fn read(bytes: &[u8], diags: &mut Diagnostics) -> Option<Capabilities> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let at = e.valid_up_to();
            diags.error(&codes::CAPS, Span::new(at, at), "the capabilities file is not text in UTF-8");
            return None;
        }
    };
    if bytes.len() > MAX_SIZE {
        diags.error(&codes::CAPS, Span::new(0, 0), "the capabilities file has more than 16 MiB");
        return None;
    }
    if text.starts_with("virtc-capabilities") {
        compact::read(text, diags)
    } else if text.trim_start().starts_with('<') {
        libvirt::read(text, diags)
    } else {
        let message = "the file is neither libvirt's <qemuCaps> nor virtc's own format of capabilities";
        diags.error(&codes::CAPS, Span::new(0, 0), message);
        None
    }
}

impl Capabilities {
    /// A QEMU of this architecture and version that can do nothing.
    pub const fn new(arch: Arch, version: Version) -> Capabilities {
        Capabilities {
            emulator: Cow::Borrowed(""),
            version,
            package: Cow::Borrowed(""),
            arch,
            microcode_version: 0,
            flags: Flags::EMPTY,
            accels: Cow::Borrowed(&[]),
            gic: Cow::Borrowed(&[]),
            sev: None,
            sgx: None,
            hyperv: None,
        }
    }

    /// Whether QEMU can do this.
    pub const fn has(&self, cap: Cap) -> bool {
        self.flags.has(cap)
    }

    /// Whether QEMU is `major.minor` or newer.
    pub const fn at_least(&self, major: u32, minor: u32) -> bool {
        self.version.at_least(major, minor)
    }

    /// What depends on the accelerator; none when QEMU cannot use it here.
    pub fn accel(&self, accel: Accel) -> Option<&AccelCaps> {
        self.accels.iter().find(|a| a.accel == accel)
    }

    /// The machine type with this name, or else with this alias.
    pub fn machine(&self, accel: Accel, name: &str) -> Option<&Machine> {
        let machines = &self.accel(accel)?.machines;
        machines.iter().find(|m| m.name == name).or_else(|| machines.iter().find(|m| m.alias.as_deref() == Some(name)))
    }

    /// The name that stays the same when QEMU is upgraded: `pc-q35-10.0` for `q35`. None for an
    /// unknown machine.
    pub fn canonical_machine(&self, accel: Accel, name: &str) -> Option<&str> {
        self.machine(accel, name).map(|m| &*m.name)
    }

    /// The machine type that serves when none is named: the first, which is QEMU's default or, where
    /// that is not for general use (ARM, RISC-V), `virt`.
    pub fn default_machine(&self, accel: Accel) -> Option<&Machine> {
        self.accel(accel)?.machines.first()
    }

    /// The CPU model with this name.
    pub fn cpu(&self, accel: Accel, name: &str) -> Option<&CpuModel> {
        self.accel(accel)?.cpus.iter().find(|c| c.name == name)
    }

    /// What `host-model` expands from.
    pub fn host_cpu(&self, accel: Accel) -> Option<&HostCpu> {
        self.accel(accel)?.host_cpu.as_ref()
    }
}

impl AccelCaps {
    /// Nothing, with this accelerator.
    pub const fn new(accel: Accel) -> AccelCaps {
        AccelCaps { accel, host_cpu: None, cpus: Cow::Borrowed(&[]), machines: Cow::Borrowed(&[]) }
    }
}

impl HostCpu {
    /// The property with this name.
    pub fn property(&self, name: &str) -> Option<&CpuProperty> {
        self.properties.iter().find(|p| p.name == name)
    }
}

/// Tells in one note what a file holds that is not known here: a newer virtc may write more, and that must not stop anyone.
fn note_unknown(unknown: &[(String, Span)], diags: &mut Diagnostics) {
    let Some((first, span)) = unknown.first() else { return };
    let message = match unknown {
        [_] => format!("{first} is not known here and not used"),
        all => {
            let shown: Vec<&str> = all.iter().take(4).map(|(what, _)| what.as_str()).collect();
            let more = if all.len() > 4 { " and others" } else { "" };
            format!("{} things are not known here and not used: {}{more}", all.len(), shown.join(", "))
        }
    };
    diags.note(&codes::CAPS_UNKNOWN, *span, message);
}

/// What both notations must hold, `arch` and `version`: the name of the first that is missing. Sets the former.
fn incomplete(caps: &mut Capabilities, arch: Option<Arch>) -> Option<&'static str> {
    let Some(arch) = arch else { return Some("arch") };
    caps.arch = arch;
    (caps.version == Version(0)).then_some("version")
}
