//! When machine types come and go.
//!
//! QEMU adds a machine type for each release and keeps it for migration: it is marked deprecated three
//! years after its release and removed after six. A major version is a year, so `pc-q35-4.1` is
//! deprecated since 7.1 and gone with 10.1. Before 10.1 removal was by hand and later than that.

use super::{Accel, Capabilities, Version};

/// Years until a machine type is marked deprecated.
const DEPRECATED_AFTER: u32 = 3;
/// Years until it is removed.
const REMOVED_AFTER: u32 = 6;

/// Family and release of a versioned machine type: `pc-q35` and 4.1 for `pc-q35-4.1`.
pub fn family(name: &str) -> Option<(&str, Version)> {
    let (family, release) = name.rsplit_once('-')?;
    let mut parts = release.split('.').map(|part| part.parse::<u32>().ok().filter(|n| *n < 1000));
    let version = Version::new(parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_none() { Some((family, version)) } else { None }
}

/// The release that marks the machine types of `release` deprecated, and the one that removes them.
pub fn retirement(release: Version) -> (Version, Version) {
    let later = |years: u32| Version(release.0 + years * 1_000_000);
    (later(DEPRECATED_AFTER), later(REMOVED_AFTER))
}

/// Major and minor version, as people say it.
pub fn short(version: Version) -> String {
    format!("{}.{}", version.0 / 1_000_000, version.0 / 1000 % 1000)
}

/// The machine types of these capabilities.
fn machines(caps: &Capabilities, accel: Accel) -> impl Iterator<Item = &super::Machine> {
    caps.accel(accel).or(caps.accels.first()).into_iter().flat_map(|a| a.machines.iter())
}

/// The machine type that is nearest to one that QEMU does not have: the newest of its family, or one with a name that
/// differs in a slip or two. None if nothing resembles it.
pub fn nearest<'c>(caps: &'c Capabilities, accel: Accel, name: &str) -> Option<&'c str> {
    let wanted = family(name).map(|(wanted, _)| wanted);
    let kin = machines(caps, accel)
        .filter_map(|m| family(&m.name).filter(|(own, _)| Some(*own) == wanted).map(|(_, version)| (version, &*m.name)))
        .max();
    let named = wanted.and_then(|wanted| machines(caps, accel).find(|m| m.alias.as_deref() == Some(wanted)));
    kin.map(|(_, newest)| newest).or(named.map(|m| &*m.name)).or_else(|| close(caps, accel, name))
}

/// The machine type, or alias of one, with the most similar name.
fn close<'c>(caps: &'c Capabilities, accel: Accel, name: &str) -> Option<&'c str> {
    // Comparing costs the product of the lengths, and no machine type has such a name.
    let comparable = name.len() <= 64;
    let names = machines(caps, accel).flat_map(|m| [Some(&*m.name), m.alias.as_deref()]).flatten();
    names
        .filter(|_| comparable)
        .map(|known| (similar::TextDiff::from_chars(name, known).ratio(), known))
        .filter(|(ratio, _)| *ratio > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// What to write instead of a machine type that retires: one of the same family.
pub fn successor(name: &str) -> String {
    let family = family(name).map_or(name, |(family, _)| family);
    match family {
        "pc-q35" => "take machine='q35'".to_string(),
        "pc-i440fx" => "take machine='pc'".to_string(),
        other => format!("take a newer '{other}' type"),
    }
}

/// What to do when QEMU does not have the machine type `name`.
pub fn advice(caps: &Capabilities, accel: Accel, name: &str) -> String {
    if let Some((wanted, release)) = family(name) {
        let mut relatives: Vec<(Version, &str)> = machines(caps, accel)
            .filter_map(|m| family(&m.name).filter(|(own, _)| *own == wanted).map(|(_, version)| (version, &*m.name)))
            .collect();
        relatives.sort_unstable();
        if let (Some((_, oldest)), Some((_, newest))) = (relatives.first(), relatives.last()) {
            return if release.0 > caps.version.0 {
                format!(
                    "it came with QEMU {}, the capabilities in use are of {}; the newest here is '{newest}'",
                    short(release),
                    short(caps.version)
                )
            } else {
                let (deprecated, removed) = retirement(release);
                format!(
                    "machine types retire: this one is deprecated since QEMU {} and removed with {} at the latest; \
                     here are '{oldest}' to '{newest}'",
                    short(deprecated),
                    short(removed)
                )
            };
        }
    }
    let alias = |wanted: &str| machines(caps, accel).any(|m| m.alias.as_deref() == Some(wanted));
    // Those from before `pc-i440fx-1.4` had short names.
    if let Some((old, _)) = family(name).filter(|(old, _)| alias(old)) {
        return format!("it is of a QEMU long before {}: take machine='{old}'", short(caps.version));
    }
    match close(caps, accel, name) {
        Some(known) => format!("did you mean '{known}'?"),
        None => match ["q35", "virt"].into_iter().find(|usual| alias(usual)) {
            Some(usual) => format!("take machine='{usual}'; virtc domcapabilities prints all that a QEMU has"),
            None => "virtc domcapabilities prints what a QEMU has".to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::profiles;
    use crate::vocab::Arch;

    #[test]
    fn advice_fits_the_name() {
        let caps = profiles::named("qemu-8.2", Arch::X86_64).expect("a profile");
        let say = |name: &str| advice(&caps, Accel::Kvm, name);
        assert!(say("pc-q35-9.1").starts_with("it came with QEMU 9.1, the capabilities in use are of 8.2"));
        assert!(say("pc-i440fx-1.3").contains("deprecated since QEMU 4.3 and removed with 7.3 at the latest"));
        assert_eq!(say("q53"), "did you mean 'q35'?");
        assert!(say("xyzzy").starts_with("take machine='q35'; virtc domcapabilities prints"));
        assert_eq!(say("pc-0.12"), "it is of a QEMU long before 8.2: take machine='pc'");
        assert!(nearest(&caps, Accel::Kvm, "pc-0.12").is_some_and(|kin| kin.starts_with("pc-i440fx-")));
    }

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(family("pc-q35-4.0.1"), Some(("pc-q35", Version::new(4, 0, 1))));
        assert_eq!(family("virt-10.0"), Some(("virt", Version::new(10, 0, 0))));
        for name in ["q35", "pc-q35", "s390-ccw-virtio", "a-1", "a-1.2.3.4", ""] {
            assert_eq!(family(name), None, "{name}");
        }
    }

    #[test]
    fn the_profiles_follow_the_rule() {
        // What is deprecated in a release is what the rule says, from when QEMU applies it by itself.
        let caps = profiles::named("qemu-10.0", Arch::X86_64).expect("a profile");
        for machine in caps.accel(Accel::Tcg).expect("TCG").machines.iter() {
            if let Some((_, release)) = family(&machine.name) {
                let (deprecated, _) = retirement(Version::new(release.0 / 1_000_000, release.0 / 1000 % 1000, 0));
                assert_eq!(machine.deprecated, deprecated <= caps.version, "{}", machine.name);
            }
        }
    }
}
