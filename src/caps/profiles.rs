//! The capabilities that come with virtc, for compiling where there is no QEMU.
//!
//! They were asked of QEMU as distributions build it (7.2 and 10.0: Debian 12 and 13; 8.2: Ubuntu
//! 24.04; 9.2: worked out from 10.0 and the release notes), and hold for any host: see
//! `virtc probe qemu --generic`. A profile costs nothing until it is asked for.

use super::{Capabilities, compact};
use crate::diag::Diagnostics;
use crate::vocab::Arch;

/// The release that serves when none is named.
pub const DEFAULT: &str = "7.2";

macro_rules! profiles {
    ($($release:literal $arch:ident $file:literal;)*) => {
        /// Release, architecture, text.
        static PROFILES: &[(&str, Arch, &str)] = &[$(($release, Arch::$arch, include_str!(concat!("profiles/", $file)))),*];
    };
}

profiles! {
    "7.2" X86_64 "qemu-7.2.x86_64.caps";
    "7.2" Aarch64 "qemu-7.2.aarch64.caps";
    "8.2" X86_64 "qemu-8.2.x86_64.caps";
    "8.2" Aarch64 "qemu-8.2.aarch64.caps";
    "9.2" X86_64 "qemu-9.2.x86_64.caps";
    "9.2" Aarch64 "qemu-9.2.aarch64.caps";
    "10.0" X86_64 "qemu-10.0.x86_64.caps";
    "10.0" Aarch64 "qemu-10.0.aarch64.caps";
}

/// The names of the profiles: `qemu-10.0.x86_64`.
pub fn names() -> impl Iterator<Item = String> {
    PROFILES.iter().map(|(release, arch, _)| format!("qemu-{release}.{arch}"))
}

/// The profile that `name` names, `qemu-10.0` (of the architecture `arch`) or `qemu-10.0.aarch64`.
pub fn named(name: &str, arch: Arch) -> Option<Capabilities> {
    let rest = name.strip_prefix("qemu-")?;
    PROFILES
        .iter()
        .find(|(release, own, _)| match rest.strip_prefix(release) {
            Some("") => *own == arch,
            Some(suffix) => suffix.strip_prefix('.') == Some(own.as_str()),
            None => false,
        })
        .and_then(|(_, _, text)| compact::read_static(text, &mut Diagnostics::new()))
}

/// The profile that serves when no capabilities are given; none for an architecture without one.
pub fn default(arch: Arch) -> Option<Capabilities> {
    named(&format!("qemu-{DEFAULT}"), arch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::{Accel, Cap};

    #[test]
    fn every_profile_is_read_without_a_remark() {
        for (release, arch, text) in PROFILES {
            let mut diags = Diagnostics::new();
            let caps = compact::read_static(text, &mut diags).expect("a profile");
            assert!(diags.is_empty(), "{release} {arch}: {diags:?}");
            assert_eq!(caps.arch, *arch);
            assert!(caps.version.to_string().starts_with(release));
            for accel in [Accel::Kvm, Accel::Tcg] {
                let machine = if arch.is_x86() { "q35" } else { "virt" };
                let canonical = caps.canonical_machine(accel, machine).expect("the machine");
                assert!(canonical.ends_with(release), "{canonical}");
                let first = caps.default_machine(accel).expect("a machine");
                assert!(first.alias.is_some(), "{}", first.name);
                assert!(caps.cpu(accel, "max").is_some());
            }
            assert!(caps.host_cpu(Accel::Tcg).is_some() && caps.host_cpu(Accel::Kvm).is_none());
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
        assert!(default(Arch::S390x).is_none());
        assert!(names().any(|n| n == "qemu-8.2.x86_64"));
    }
}
