//! Mandatory access control and ownership.

use super::Cause;
use serde::{Deserialize, Serialize};

/// Mandatory access control and ownership.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Confinement {
    /// User that QEMU runs as; none: the user who starts it.
    pub user: Option<String>,
    /// Group that QEMU runs as.
    pub group: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// Whether the account is this machine's alone, and comes with its tree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_account: bool,
    /// Whether files are given to the user before the start and back after the stop.
    pub dynamic_ownership: bool,
    /// SELinux.
    pub selinux: Option<Selinux>,
    /// AppArmor.
    pub apparmor: Option<Apparmor>,
    /// Whether QEMU's own seccomp filter is on.
    pub seccomp: bool,
}

/// SELinux labels of a domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Selinux {
    /// Context of the processes.
    pub process: String,
    /// Context of files that only this domain may use.
    pub image: String,
    /// Context of files that several domains may write.
    pub shared: String,
    /// Context of files that are only read.
    pub content: String,
    /// Whether files are relabelled before the start and back after the stop.
    pub relabel: bool,
    /// Whether the categories follow from the UUID; else the XML gives the whole label.
    #[serde(default)]
    pub derived: bool,
    /// The host's range of categories; empty: all of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub range: String,
    /// File systems without labels that files lie on: mount point, type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlabelled: Vec<(String, String)>,
    /// Why.
    pub cause: Cause,
}

/// The AppArmor profile of a domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Apparmor {
    /// Profile name, `libvirt-UUID` unless the XML names another.
    pub profile: String,
    /// Whether the profile is generated; else it must be on the host.
    pub generated: bool,
    /// Report instead of refuse.
    pub complain: bool,
    /// Why.
    pub cause: Cause,
}
