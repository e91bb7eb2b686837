//! virtc compiles libvirt domain XML to everything that a Linux host needs to run the machine.
//!
//! [`compile::compile`] takes a text, the facts of a [`host::Host`] and the [`caps::Capabilities`] of a QEMU to a
//! [`plan::Plan`] and [`diag::Diagnostics`]; [`emit::all`] writes the files of a host from the Plan. Both are pure. What touches
//! the machine (files, processes, the clock, the command line) is the feature `host`.
//!
//! That is the face of the crate: [`compile`], [`plan`], [`diag`], [`emit`], [`host`], [`caps`], and the words that they share
//! ([`vocab`], [`stage::Options`]). The other modules are public for the programs and tests that come with it, and change
//! without notice; `docs/ARCHITECTURE.md` says what each is for.

#![warn(missing_docs)]
// Unit tests look at files, too.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types))]

pub(crate) mod assume;
pub(crate) mod bind;
pub mod blueprint;
pub mod caps;
pub mod compile;
pub(crate) mod cpu;
pub mod denial;
pub mod device;
pub mod diag;
pub mod diff;
pub mod domain;
pub mod emit;
pub mod escape;
pub mod explorer;
pub mod fleet;
pub mod host;
pub mod import;
pub mod lint;
pub mod lock;
pub mod lower;
pub mod plan;
pub mod report;
pub mod resolve;
pub mod schema;
pub mod stage;
pub mod upgrade;
pub mod vocab;
pub mod xml;

// The rim: what touches the machine.
#[cfg(feature = "host")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod cli;
#[cfg(feature = "host")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod probe;
#[cfg(feature = "host")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod run;
