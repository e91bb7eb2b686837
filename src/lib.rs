//! virtc compiles libvirt domain XML to everything that a Linux host needs to run the machine.
pub mod caps;
pub mod diag;
pub mod emit;
pub mod host;
pub mod plan;
pub mod run;
pub mod vocab;
pub mod xml;
