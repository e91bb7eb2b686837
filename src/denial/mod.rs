//! What a security module refused: lines of the audit log, and what in a domain they concern.
//!
//! [`records`] reads lines, [`judge`] holds one denial against a Plan. Both are pure: what the host would
//! have to be asked (where a link leads to) is an argument.

mod fields;
mod file;
mod finding;
mod judge;
mod parse;

pub use finding::{Finding, Hints, Verdict};
pub use judge::{belongs_to, judge};
pub use parse::records;

use crate::plan::Perms;

/// The module that refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// AppArmor.
    Apparmor,
    /// SELinux.
    Selinux,
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Which module.
    pub module: Module,
    /// The profile, or the context of the process.
    pub subject: String,
    /// The short name of the program, as the kernel cuts it.
    pub comm: Option<String>,
    /// What was to be done, in the words of the log: `open`, `file { read }`.
    pub operation: String,
    /// With what.
    pub object: Object,
    /// It was only written down: complain mode, a permissive domain.
    pub allowed: bool,
}

impl Denial {
    /// The profile of the domain, without that of a helper: AppArmor's subject is `virtc-…//helper`.
    fn profile(&self) -> &str {
        self.subject.split("//").next().unwrap_or_default()
    }
}

/// What a refused operation was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A file.
    File {
        /// Its path; for SELinux sometimes only the last component.
        path: String,
        /// What was asked for.
        asked: Perms,
        /// Its label (SELinux).
        label: Option<String>,
    },
    /// A Linux capability, in lower case without `cap_`.
    Capability(String),
    /// A network socket: `inet stream`.
    Network(String),
    /// Another process: its profile or context.
    Process(String),
    /// A right over itself: `execmem`.
    Own(String),
    /// A profile or label that could not be entered.
    Confinement(String),
    /// Something else, in the words of the log.
    Other(String),
}

impl Module {
    /// As people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Module::Apparmor => "AppArmor",
            Module::Selinux => "SELinux",
        }
    }
}

/// What someone wants to do, or may do, in words.
pub fn verbs(perms: Perms) -> String {
    let all = [
        (perms.read, "read"),
        (perms.write, "write"),
        (perms.append && !perms.write, "append to"),
        (perms.lock, "lock"),
        (perms.map, "map"),
        (perms.execute, "execute"),
        (perms.link, "link"),
    ];
    let verbs: Vec<&str> = all.iter().filter(|(has, _)| *has).map(|(_, verb)| *verb).collect();
    if verbs.is_empty() { "touch".to_string() } else { verbs.join(", ") }
}
