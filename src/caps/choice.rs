//! Which capabilities hold for a domain: those that were given, or the embedded profile that fits it.

use super::{Capabilities, Version, distributions, profiles};
use crate::vocab::Arch;
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

/// What a domain says about the QEMU that it is for, read before anything is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'d> {
    /// The architecture, in the domain's own words or by the name of its emulator.
    pub arch: Option<Arch>,
    /// The machine type: `pc-q35-10.0`, `q35`.
    pub machine: Option<&'d str>,
    /// The emulator: `/usr/bin/qemu-system-aarch64`.
    pub emulator: Option<&'d str>,
}

/// The capabilities for one domain, and why these.
pub struct Chosen<'a> {
    /// What QEMU can do.
    pub caps: Held<'a>,
    /// Where they come from, for a person: `profile qemu-10.0.x86_64`; empty when nobody wants to know.
    pub from: Cow<'static, str>,
    /// What the user should be told about the choice.
    pub fit: Fit,
}

/// Capabilities that somebody else keeps, or a share of them.
pub enum Held<'a> {
    /// Kept by somebody else.
    Borrowed(&'a Capabilities),
    /// A share.
    Shared(Arc<Capabilities>),
}

impl Deref for Held<'_> {
    type Target = Capabilities;

    fn deref(&self) -> &Capabilities {
        match self {
            Held::Borrowed(caps) => caps,
            Held::Shared(caps) => caps,
        }
    }
}

/// How well the chosen capabilities fit what the domain asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// They are what was asked for.
    Fits,
    /// The machine type is older than today's QEMUs: nobody has it since the release that is named.
    Retired {
        /// The first release that does not have it.
        gone_with: Version,
    },
    /// The machine type is one that this distribution has added.
    Distribution(&'static str),
    /// The emulator of this host could not be asked: why.
    NotAsked(String),
}

impl<'a> Chosen<'a> {
    /// Capabilities that hold whatever the domain says.
    pub fn given(caps: &'a Capabilities) -> Chosen<'a> {
        Chosen { caps: Held::Borrowed(caps), from: Cow::Borrowed(""), fit: Fit::Fits }
    }
}

/// How capabilities are chosen.
pub enum Choice {
    /// Those of a file or a binary: they hold for every domain.
    Given {
        /// What QEMU can do.
        caps: Box<Capabilities>,
        /// Where they come from.
        from: String,
    },
    /// An embedded profile that was named.
    Profile {
        /// Release of QEMU: `7.2`.
        release: String,
        /// The architecture, when the name of the profile says it.
        fixed: Option<Arch>,
    },
    /// The embedded profile that fits the domain.
    Fitting,
}

impl Choice {
    /// Capabilities that hold for every domain.
    pub fn given(caps: Capabilities, from: String) -> Choice {
        Choice::Given { caps: Box::new(caps), from }
    }

    /// The embedded profile `qemu-10.0` or `qemu-10.0.aarch64`; none when there is none of that name.
    pub fn profile(name: &str) -> Option<Choice> {
        let rest = name.strip_prefix("qemu-")?;
        let (release, fixed) = match rest.rsplit_once('.').map(|(release, arch)| (release, Arch::parse(arch))) {
            Some((release, Some(arch))) => (release, Some(arch)),
            _ => (rest, None),
        };
        profiles::of(release, fixed.unwrap_or(Arch::X86_64))?;
        Some(Choice::Profile { release: release.to_string(), fixed })
    }

    /// What holds for a domain.
    pub fn for_domain(&self, wanted: &Wanted<'_>) -> Chosen<'_> {
        match self {
            Choice::Given { caps, from } => Chosen { from: Cow::Owned(from.clone()), ..Chosen::given(caps) },
            Choice::Profile { release, fixed } => {
                let arch = fixed.or(wanted.arch).unwrap_or(Arch::X86_64);
                match profiles::of(release, arch).or_else(|| profiles::of(release, Arch::X86_64)) {
                    Some(profile) => embedded(profile, Fit::Fits),
                    None => fitting(wanted),
                }
            }
            Choice::Fitting => fitting(wanted),
        }
    }

    /// For a person: where the capabilities come from.
    pub fn describe(&self) -> String {
        match self {
            Choice::Given { caps, from } => format!("{from} (QEMU {}, {})", caps.version, caps.arch),
            Choice::Profile { release, fixed: Some(arch) } => format!("profile qemu-{release}.{arch}"),
            Choice::Profile { release, .. } => format!("profile qemu-{release}"),
            Choice::Fitting => "the embedded profile that fits the machine type".to_string(),
        }
    }
}

fn embedded(profile: &'static profiles::Profile, fit: Fit) -> Chosen<'static> {
    Chosen { caps: Held::Borrowed(profile.caps()), from: Cow::Owned(format!("profile {}", profile.name())), fit }
}

/// The oldest profile, from Debian stable's on, that has the machine type; for one that was retired before, the newest
/// that has it. Where none has it, or none is named, Debian stable's.
pub fn fitting(wanted: &Wanted<'_>) -> Chosen<'static> {
    let arch = wanted.arch.unwrap_or(Arch::X86_64);
    let mut family = profiles::for_guest(arch);
    if family.is_empty() {
        family = profiles::for_guest(Arch::X86_64);
    }
    let first = family.iter().position(|p| p.release_number() >= profiles::stable()).unwrap_or(0);
    let (older, today) = family.split_at(first);
    let has = |profile: &&&'static profiles::Profile| wanted.machine.is_none_or(|m| profile.has_machine(m));
    if let Some(profile) = today.iter().find(has) {
        return embedded(profile, Fit::Fits);
    }
    if let Some(at) = older.iter().rposition(|p| has(&p)) {
        let gone_with = family.get(at + 1).map_or(profiles::stable(), |next| next.release_number());
        return embedded(older[at], Fit::Retired { gone_with });
    }
    match today.first().or(older.last()) {
        Some(profile) => {
            wanted.machine.and_then(|m| of_distribution(profile, m)).unwrap_or(embedded(profile, Fit::Fits))
        }
        None => Chosen { caps: Held::Shared(Arc::new(Capabilities::new(arch, Version(0)))), ..nothing() },
    }
}

/// A profile with a machine type that a distribution has added.
fn of_distribution(profile: &'static profiles::Profile, machine: &str) -> Option<Chosen<'static>> {
    let own = distributions::own(machine)?;
    let mut caps = profile.caps().clone();
    for accel in caps.accels.to_mut() {
        let added = distributions::named(machine, &accel.machines)?;
        accel.machines.to_mut().push(added);
    }
    let fit = Fit::Distribution(own.distribution);
    Some(Chosen { caps: Held::Shared(Arc::new(caps)), ..embedded(profile, fit) })
}

/// Without any profile there is a QEMU that can do nothing.
fn nothing() -> Chosen<'static> {
    static NOTHING: Capabilities = Capabilities::new(Arch::X86_64, Version(0));
    Chosen::given(&NOTHING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(arch: Option<Arch>, machine: Option<&'static str>) -> Wanted<'static> {
        Wanted { arch, machine, emulator: None }
    }

    /// The profile that a domain of this machine type gets, and whether it is told that the type is retired.
    fn serves(arch: Arch, machine: &'static str) -> (String, bool) {
        let chosen = fitting(&wanted(Some(arch), Some(machine)));
        (chosen.from.into_owned(), matches!(chosen.fit, Fit::Retired { .. }))
    }

    #[test]
    fn the_machine_type_chooses_the_profile() {
        let is = |name: &str, retired| (format!("profile qemu-{name}"), retired);
        for machine in ["q35", "pc", "pc-q35-10.0", "pc-i440fx-7.2", "microvm", "no-such-type"] {
            assert_eq!(serves(Arch::X86_64, machine), is("10.0.x86_64", false), "{machine}");
        }
        assert_eq!(serves(Arch::I686, "pc-q35-9.2"), is("10.0.x86_64", false));
        assert_eq!(serves(Arch::Aarch64, "virt"), is("10.0.aarch64", false));
        assert_eq!(serves(Arch::Armv7l, "virt-9.2"), is("10.0.aarch64", false));
        // Younger than Debian stable's.
        assert_eq!(serves(Arch::X86_64, "pc-q35-10.1"), is("10.1.x86_64", false));
        assert_eq!(serves(Arch::X86_64, "pc-i440fx-11.0"), is("11.0.x86_64", false));
        assert_eq!(serves(Arch::Aarch64, "virt-11.1"), is("11.1.aarch64", false));
        assert_eq!(serves(Arch::Riscv64, "virt"), is("10.0.riscv64", false));
        assert_eq!(serves(Arch::S390x, "s390-ccw-virtio"), is("10.0.s390x", false));
        assert_eq!(serves(Arch::Ppc64le, "pseries"), is("10.0.ppc64", false));
        // Gone from today's QEMUs.
        assert_eq!(serves(Arch::X86_64, "pc-i440fx-2.3"), is("9.0.x86_64", true));
        assert_eq!(serves(Arch::X86_64, "pc-i440fx-1.4"), is("8.1.x86_64", true));
    }

    #[test]
    fn a_domain_without_words_gets_the_stable_profile() {
        assert_eq!(fitting(&Wanted::default()).caps.arch, Arch::X86_64);
        assert_eq!(fitting(&wanted(Some(Arch::Aarch64), None)).caps.arch, Arch::Aarch64);
        // There is no profile of it: whoever compiles says that this QEMU is for another architecture.
        assert_eq!(fitting(&wanted(Some(Arch::Sparc), Some("SS-5"))).caps.arch, Arch::X86_64);
    }

    #[test]
    fn a_profile_is_named() {
        let arm = wanted(Some(Arch::Aarch64), Some("virt"));
        let caps = |name: &str| Choice::profile(name).map(|c| c.for_domain(&arm).caps.arch);
        assert_eq!(caps("qemu-7.2.x86_64"), Some(Arch::X86_64));
        assert_eq!(caps("qemu-7.2"), Some(Arch::Aarch64));
        assert_eq!(caps("qemu-1.0"), None);
        assert_eq!(caps("caps.xml"), None);
    }
}
