//! virtc compiles libvirt domain XML to everything that a Linux host needs to run the machine.
pub mod caps;
pub mod cli;
pub mod compile;
pub mod device;
pub mod diag;
pub mod domain;
pub mod emit;
pub mod fleet;
pub mod host;
pub mod lower;
pub mod plan;
pub mod probe;
pub mod resolve;
pub mod run;
pub mod schema;
pub mod vocab;
pub mod xml;
