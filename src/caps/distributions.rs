//! Machine types that a distribution has added to its QEMU: `pc-q35-noble`, `pc-i440fx-rhel7.6.0`.
//!
//! Upstream's QEMU does not have them, and no embedded profile does. A domain that names one is for that distribution, and
//! is compiled for it: with the type of the same family that the profile has, under the name that the domain gives.

use super::Machine;

/// Versions of Ubuntu whose QEMU has machine types of its own.
const UBUNTU: &[&str] = &[
    "trusty", "xenial", "zesty", "artful", "bionic", "cosmic", "disco", "eoan", "focal", "groovy", "hirsute", "impish",
    "jammy", "kinetic", "lunar", "mantic", "noble", "oracular", "plucky", "questing", "resolute",
];

/// What Ubuntu adds to the name of a release.
const VARIANTS: &[&str] = &["-hpb", "-maxcpus", "-sdl", "-v2"];

/// A machine type of a distribution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Own<'n> {
    /// `pc-q35`
    pub family: &'n str,
    /// `Ubuntu`
    pub distribution: &'static str,
}

/// Whose machine type it is; none for upstream's and for what nobody has.
pub fn own(name: &str) -> Option<Own<'_>> {
    if let Some((family, release)) = name.split_once("-rhel") {
        let digits = !release.is_empty() && release.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        return digits.then_some(Own { family, distribution: "Red Hat" });
    }
    let mut bare = name;
    // A name may have several.
    while let Some(shorter) = VARIANTS.iter().find_map(|variant| bare.strip_suffix(variant)) {
        bare = shorter;
    }
    let (family, release) = bare.rsplit_once('-')?;
    UBUNTU.contains(&release).then_some(Own { family, distribution: "Ubuntu" })
}

/// The machine type under its distribution's name: what the newest of the family is.
pub fn named(name: &str, machines: &[Machine]) -> Option<Machine> {
    let family = own(name)?.family;
    let newest = |m: &&Machine| m.alias.is_some() && (m.name == family || m.name.starts_with(&format!("{family}-")));
    let newest = machines.iter().find(newest)?;
    Some(Machine { name: name.to_string().into(), alias: None, default: false, deprecated: false, ..newest.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_distributions_are_known() {
        for (name, family, distribution) in [
            ("pc-q35-noble", "pc-q35", "Ubuntu"),
            ("pc-i440fx-jammy-hpb", "pc-i440fx", "Ubuntu"),
            ("pc-q35-mantic-hpb-maxcpus", "pc-q35", "Ubuntu"),
            ("s390-ccw-virtio-noble", "s390-ccw-virtio", "Ubuntu"),
            ("pc-q35-rhel9.4.0", "pc-q35", "Red Hat"),
            ("pseries-rhel7.6.0", "pseries", "Red Hat"),
        ] {
            assert_eq!(own(name), Some(Own { family, distribution }), "{name}");
        }
        for name in ["pc-q35-nobel", "noble", "pc-q35-rhel", "pc-q35-rhel9.x", "pc-q35-10.0", "q35", ""] {
            assert_eq!(own(name), None, "{name}");
        }
    }
}
