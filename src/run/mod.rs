//! Runs a Plan without systemd, and speaks to what it started.
//!
//! This is one of the three edges of virtc (with `cli` and `probe`): here files are made, processes
//! started and clocks read. Everything it does comes from the Plan; it decides nothing about the machine.
//!
//! One *runner* looks after one machine: `virtc run` itself, or with `-d` a second virtc in a session of
//! its own. What it changes on the host it first writes into a journal ([`journal`]); the lock on the
//! journal says that the runner lives. So the next virtc can undo what a killed runner left.

mod acl;
mod calls;
mod categories;
pub mod console;
pub mod control;
pub mod detach;
mod devices;
mod errors;
mod groups;
pub mod journal;
mod kvm;
mod links;
mod own;
pub mod preflight;
mod prepare;
mod process;
mod profiles;
pub mod programs;
mod proxy;
pub mod qmp;
pub mod registry;
pub mod relocate;
pub mod remote;
pub mod screenshot;
mod shaping;
mod signals;
mod start;
mod supervise;
mod terminal;
mod threads;
mod trampoline;
mod view;

pub use errors::{Fault, fault};
pub use prepare::copy_templates;
pub use start::{Machine, debian_package, start};
pub use supervise::Outcome;
pub use trampoline::{EXEC, exec};

use std::path::PathBuf;
use std::time::Duration;

/// Values of secrets, by the name under which the Plan asks for them: a UUID, or `usage/name`.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct SecretValues(pub Vec<(String, String)>);

impl std::fmt::Debug for SecretValues {
    /// Without the values: a secret must not get into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// How to run a machine: what the Plan does not say.
#[derive(Clone, Debug)]
pub struct Options {
    /// The virtc program, for what has to happen in the child before QEMU's own program begins.
    pub virtc: PathBuf,
    /// Where machines are registered.
    pub registry: registry::Registry,
    /// How long the guest may take to power off when asked to; then QEMU is told to quit.
    pub stop_timeout: Duration,
    /// How long QEMU and each helper may take to get ready.
    pub ready_timeout: Duration,
    /// The directory that holds the values of secrets, one file each.
    pub secrets: PathBuf,
    /// Values of secrets that the host facts hold.
    pub secret_values: SecretValues,
    /// Whether root runs the machine as root where its account is missing; without all rights even so.
    pub allow_root: bool,
    /// Whether QEMU may use our standard input and output (`<serial type='stdio'>`).
    pub terminal: bool,
}

impl Options {
    /// The defaults for machines registered in `registry`.
    pub fn new(virtc: PathBuf, registry: registry::Registry) -> Options {
        let secrets = registry.secrets();
        Options {
            virtc,
            registry,
            stop_timeout: Duration::from_secs(30),
            ready_timeout: Duration::from_secs(30),
            secrets,
            secret_values: SecretValues::default(),
            allow_root: false,
            terminal: true,
        }
    }
}
