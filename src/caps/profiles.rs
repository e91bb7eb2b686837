//! The capabilities that come with virtc, for compiling where there is no QEMU.
//!
//! 7.2, 10.0 and 11.1 were asked of QEMU as Debian builds it (12, 13, sid). 8.0 to 9.2 are what libvirt's tests have of
//! upstream's builds; for aarch64 8.0, 8.1, 9.0 and 9.1 were worked out from their neighbours, and so were 10.1, 10.2
//! and 11.0: machine types by the rule that retires them, options by the release that brought or removed them. They
//! hold for any host: see `virtc probe qemu --generic`. A profile costs nothing until it is asked for.
//!
//! `build.rs` makes tables of `profiles/*.caps`: each line that several profiles share is there once.

use super::{Capabilities, Version, compact};
use crate::diag::Diagnostics;
use crate::vocab::Arch;
use std::sync::OnceLock;

/// The release that serves when none is named and nothing else is asked for: Debian stable's.
const STABLE: &str = "10.0";

/// One profile.
pub struct Profile {
    release: &'static str,
    arch: Arch,
    caps: OnceLock<Capabilities>,
}

impl Profile {
    /// `qemu-10.0.x86_64`
    pub fn name(&self) -> String {
        format!("qemu-{}.{}", self.release, self.arch)
    }

    /// The release as a number.
    pub fn release_number(&self) -> Version {
        number(self.release)
    }

    /// What that QEMU can do.
    pub fn caps(&self) -> &Capabilities {
        let read = || compact::read_lines(self.lines(), &mut Diagnostics::new());
        self.caps.get_or_init(|| read().unwrap_or(Capabilities::new(self.arch, Version(0))))
    }

    /// The lines of its file.
    fn lines(&self) -> impl Iterator<Item = &'static str> {
        let name = self.name();
        let numbers = FILES.iter().find(|(file, _)| *file == name).map_or(&[][..], |(_, numbers)| numbers);
        numbers.iter().map(|number| line(*number as usize))
    }

    /// Whether there is a machine type with this name or alias.
    pub fn has_machine(&self, name: &str) -> bool {
        self.caps().accels.iter().any(|of| self.caps().machine(of.accel, name).is_some())
    }
}

/// A release of digits and a dot as a number.
fn number(release: &str) -> Version {
    let mut parts = release.split('.').map(|part| part.parse().unwrap_or(0));
    Version::new(parts.next().unwrap_or(0), parts.next().unwrap_or(0), 0)
}

/// The release that serves when nothing else is asked for.
pub fn stable() -> Version {
    number(STABLE)
}

include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

/// The line with a number.
fn line(number: usize) -> &'static str {
    let end = |of: usize| ENDS.get(of).map_or(0, |end| *end as usize);
    let start = number.checked_sub(1).map_or(0, end);
    LINES.get(start..end(number)).unwrap_or("")
}

macro_rules! profiles {
    ($($release:literal $arch:ident;)*) => {
        /// From the oldest to the newest.
        static PROFILES: [Profile; [$($release),*].len()] = [$(Profile {
            release: $release,
            arch: Arch::$arch,
            caps: OnceLock::new(),
        }),*];
    };
}

profiles! {
    "7.2" X86_64;
    "7.2" Aarch64;
    "7.2" Riscv64;
    "7.2" S390x;
    "7.2" Ppc64;
    "8.0" X86_64;
    "8.0" Aarch64;
    "8.1" X86_64;
    "8.1" Aarch64;
    "8.2" X86_64;
    "8.2" Aarch64;
    "8.2" S390x;
    "9.0" X86_64;
    "9.0" Aarch64;
    "9.1" X86_64;
    "9.1" Aarch64;
    "9.1" S390x;
    "9.2" X86_64;
    "9.2" Aarch64;
    "10.0" X86_64;
    "10.0" Aarch64;
    "10.0" Riscv64;
    "10.0" S390x;
    "10.0" Ppc64;
    "10.1" X86_64;
    "10.1" Aarch64;
    "10.2" X86_64;
    "10.2" Aarch64;
    "11.0" X86_64;
    "11.0" Aarch64;
    "11.1" X86_64;
    "11.1" Aarch64;
    "11.1" Riscv64;
    "11.1" S390x;
    "11.1" Ppc64;
}

/// The names of the profiles: `qemu-10.0.x86_64`.
pub fn names() -> impl Iterator<Item = String> {
    PROFILES.iter().map(Profile::name)
}

/// The releases for which there are profiles, from the oldest to the newest.
pub fn releases() -> Vec<&'static str> {
    let mut all: Vec<&str> = PROFILES.iter().map(|p| p.release).collect();
    all.dedup();
    all
}

/// The profile of a release for guests of an architecture.
pub fn of(release: &str, guest: Arch) -> Option<&'static Profile> {
    let mut of_release = PROFILES.iter().filter(|p| p.release == release);
    of_release.clone().find(|p| p.arch == guest).or_else(|| of_release.find(|p| p.arch.runs(guest)))
}

/// The profiles for guests of an architecture, from the oldest to the newest.
pub fn for_guest(guest: Arch) -> Vec<&'static Profile> {
    let exact: Vec<&Profile> = PROFILES.iter().filter(|p| p.arch == guest).collect();
    if exact.is_empty() { PROFILES.iter().filter(|p| p.arch.runs(guest)).collect() } else { exact }
}

/// The profile that `name` names, `qemu-10.0` (of the architecture `arch`) or `qemu-10.0.aarch64`.
pub fn named(name: &str, arch: Arch) -> Option<Capabilities> {
    let rest = name.strip_prefix("qemu-")?;
    let mut all = PROFILES.iter();
    all.find(|p| match rest.strip_prefix(p.release) {
        Some("") => p.arch == arch,
        Some(suffix) => suffix.strip_prefix('.') == Some(p.arch.as_str()),
        None => false,
    })
    .map(|p| p.caps().clone())
}

/// The profile that serves when no capabilities are given and no machine type is asked for; none for an architecture
/// without one.
pub fn default(arch: Arch) -> Option<Capabilities> {
    named(&format!("qemu-{STABLE}"), arch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::{Accel, Cap};

    #[test]
    fn every_profile_is_read_without_a_remark() {
        assert_eq!(FILES.len(), PROFILES.len());
        for profile @ Profile { release, arch, .. } in &PROFILES {
            let mut diags = Diagnostics::new();
            let caps = compact::read_lines(profile.lines(), &mut diags).expect("a profile");
            assert!(diags.is_empty(), "{release} {arch}: {diags:?}");
            assert_eq!(caps.arch, *arch);
            assert!(caps.version.to_string().starts_with(release));
            for accel in [Accel::Kvm, Accel::Tcg] {
                let newest = match arch {
                    Arch::X86_64 => Some("q35"),
                    Arch::Aarch64 => Some("virt"),
                    Arch::Ppc64 => Some("pseries"),
                    Arch::S390x => Some("s390-ccw-virtio"),
                    _ => None,
                };
                if let Some(alias) = newest {
                    let canonical = caps.canonical_machine(accel, alias).expect("the machine");
                    assert!(canonical.ends_with(release), "{canonical} in {release}");
                }
                let first = caps.default_machine(accel).expect("a machine");
                assert!(first.alias.is_some() || *arch == Arch::Riscv64, "{}", first.name);
                let names: std::collections::BTreeSet<&str> =
                    caps.accel(accel).iter().flat_map(|a| a.machines.iter().map(|m| &*m.name)).collect();
                assert_eq!(names.len(), caps.accel(accel).map_or(0, |a| a.machines.len()), "{release} {arch}");
                // Upstream's names only.
                assert!(!names.iter().any(|name| name.contains("noble") || name.contains("rhel")));
                assert!(!arch.is_x86() || caps.cpu(accel, "max").is_some());
            }
            assert!(caps.host_cpu(Accel::Kvm).is_none());
            assert!(caps.host_cpu(Accel::Tcg).is_some() || !(arch.is_x86() || arch.is_arm()));
            assert!(caps.has(Cap::Kvm) && caps.has(Cap::Tcg) && caps.has(Cap::DeviceJsonHotplug));
        }
    }

    #[test]
    fn profiles_are_named() {
        let version = |name: &str| named(name, Arch::X86_64).map(|c| (c.version.0 / 1_000_000, c.arch));
        assert_eq!(version("qemu-10.0"), Some((10, Arch::X86_64)));
        assert_eq!(version("qemu-9.2.aarch64"), Some((9, Arch::Aarch64)));
        assert_eq!(version("qemu-10"), None);
        assert_eq!(version("qemu-10.0.sparc"), None);
        assert_eq!(version("caps.xml"), None);
        assert!(default(Arch::X86_64).is_some());
        assert!(default(Arch::S390x).is_some() && default(Arch::Sparc).is_none());
        assert!(names().any(|n| n == "qemu-8.2.x86_64"));
    }
}
