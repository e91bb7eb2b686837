//! What a command line is for.

use crate::vocab::Release;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the command line is for. In text: `standalone`, `libvirt` (the newest known) or `libvirt@11.3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(into = "String", try_from = "String")]
#[cfg_attr(test, schemars(with = "String"))]
pub enum Target {
    /// Runs as it stands.
    #[default]
    Standalone,
    /// What this release of libvirt would execute; descriptor numbers are placeholders.
    Libvirt(Release),
}

impl Target {
    /// The newest libvirt that is known.
    pub const LIBVIRT: Target = Target::Libvirt(Release::NEWEST);

    /// Whether the command line runs as it stands.
    pub fn is_standalone(self) -> bool {
        self == Target::Standalone
    }

    /// The libvirt whose command line is asked for.
    pub fn release(self) -> Option<Release> {
        match self {
            Target::Standalone => None,
            Target::Libvirt(release) => Some(release),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Standalone => f.write_str("standalone"),
            Target::Libvirt(release) => write!(f, "libvirt@{release}"),
        }
    }
}

/// How the files and sockets of character devices and of the monitor reach a QEMU that libvirt starts. A standalone QEMU opens
/// all by their paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wiring {
    /// As descriptors, as at a start.
    #[default]
    Descriptors,
    /// By their paths, as `virsh domxml-to-native` prints them.
    Paths,
}

impl fmt::Display for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wiring::Descriptors => "descriptors",
            Wiring::Paths => "paths",
        })
    }
}

impl FromStr for Wiring {
    type Err = String;

    fn from_str(text: &str) -> Result<Wiring, String> {
        match text {
            "descriptors" => Ok(Wiring::Descriptors),
            "paths" => Ok(Wiring::Paths),
            _ => Err("expected descriptors or paths".to_string()),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        match text.split_once('@') {
            None if text == "standalone" => Ok(Target::Standalone),
            None if text == "libvirt" => Ok(Target::LIBVIRT),
            Some(("libvirt", version)) => known(version.parse()?).map(Target::Libvirt),
            _ => Err("expected standalone, libvirt or libvirt@VERSION".to_string()),
        }
    }
}

fn known(release: Release) -> Result<Release, String> {
    let (oldest, newest) = (Release::OLDEST, Release::NEWEST);
    if (oldest..=newest).contains(&release) {
        Ok(release)
    } else {
        Err(format!("libvirt {oldest} to {newest} are known, {release} is not"))
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.to_string()
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Target, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::{Release, Target};

    #[test]
    fn reads_what_it_writes() {
        for target in [Target::Standalone, Target::LIBVIRT, Target::Libvirt(Release::new(11, 3))] {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        assert_eq!("libvirt".parse(), Ok(Target::Libvirt(Release::NEWEST)));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for wrong in ["libvirt@11.2", "libvirt@99.0", "libvirt@", "qemu", "standalone@1.0", "Libvirt"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
