//! Which capabilities hold for a domain: those of a file, or an embedded profile of the architecture
//! that the domain asks for.

use super::{Capabilities, Version, profiles};
use crate::vocab::Arch;
use std::sync::OnceLock;

/// Capabilities that were given, or a profile that is read when the first domain needs it.
pub enum Choice {
    /// From a file: they hold for every domain.
    Given(Box<Capabilities>),
    /// An embedded profile.
    Embedded {
        /// Release of QEMU: `7.2`.
        release: String,
        /// The architecture, when the name of the profile says it.
        fixed: Option<Arch>,
        /// The profiles that were needed so far, in the order of [`EMBEDDED`].
        loaded: Box<[OnceLock<Capabilities>; 2]>,
    },
}

/// The architectures that have profiles; the first serves where there is none.
const EMBEDDED: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

impl Choice {
    /// Capabilities that hold for every domain.
    pub fn given(caps: Capabilities) -> Choice {
        Choice::Given(Box::new(caps))
    }

    /// The embedded profile that serves when none is named.
    pub fn default_profile() -> Choice {
        Choice::Embedded { release: profiles::DEFAULT.to_string(), fixed: None, loaded: Default::default() }
    }

    /// The embedded profile `qemu-10.0` or `qemu-10.0.aarch64`; none when there is none of that name.
    pub fn profile(name: &str) -> Option<Choice> {
        let rest = name.strip_prefix("qemu-")?;
        let (release, fixed) = match rest.rsplit_once('.').map(|(release, arch)| (release, Arch::parse(arch))) {
            Some((release, Some(arch))) => (release, Some(arch)),
            _ => (rest, None),
        };
        profiles::named(name, fixed.unwrap_or(EMBEDDED[0]))?;
        Some(Choice::Embedded { release: release.to_string(), fixed, loaded: Default::default() })
    }

    /// What holds for the domain whose XML this is.
    pub fn for_domain(&self, xml: &[u8]) -> &Capabilities {
        match self {
            Choice::Given(caps) => caps,
            Choice::Embedded { release, fixed, loaded } => {
                let arch = fixed.or_else(|| arch_of(xml)).unwrap_or(EMBEDDED[0]);
                let at = EMBEDDED.iter().position(|a| *a == arch).unwrap_or(0);
                let load = || {
                    let name = format!("qemu-{release}");
                    profiles::named(&name, EMBEDDED[at])
                        .unwrap_or(Capabilities::new(EMBEDDED[at], Version::new(0, 0, 0)))
                };
                loaded[at].get_or_init(load)
            }
        }
    }

    /// For a person: where the capabilities come from.
    pub fn describe(&self) -> String {
        match self {
            Choice::Given(caps) => format!("QEMU {}, {}", caps.version, caps.arch),
            Choice::Embedded { release, fixed: Some(arch), .. } => {
                format!("embedded profile of QEMU {release}, {arch}")
            }
            Choice::Embedded { release, .. } => format!("embedded profile of QEMU {release}"),
        }
    }
}

/// The architecture that `<os><type arch='…'>` names. Only a profile is chosen by it; the XML is read
/// properly afterwards.
fn arch_of(xml: &[u8]) -> Option<Arch> {
    let text = std::str::from_utf8(xml).ok()?;
    let tag = text.split_once("<type")?.1.split_once('>')?.0;
    let value = tag.split_once("arch")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    Arch::parse(value[1..].split_once(quote)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_chooses_the_profile() {
        let arm = b"<domain type='kvm'><os><type machine='virt' arch = \"aarch64\">hvm</type></os></domain>";
        let choice = Choice::default_profile();
        assert_eq!(choice.for_domain(arm).arch, Arch::Aarch64);
        assert_eq!(choice.for_domain(b"<domain/>").arch, Arch::X86_64);
        assert_eq!(choice.for_domain(b"\xff<type arch='").arch, Arch::X86_64);
        let fixed = Choice::profile("qemu-10.0.x86_64").expect("a profile");
        assert_eq!(fixed.for_domain(arm).arch, Arch::X86_64);
        assert_eq!(Choice::profile("qemu-10.0").map(|c| c.for_domain(arm).version.0 / 1000), Some(10_000));
        assert!(Choice::profile("qemu-1.0").is_none() && Choice::profile("caps.xml").is_none());
    }
}
