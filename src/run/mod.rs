//! Runs a Plan without systemd, and speaks to what it started.
//!
//! This is one of the three edges of virtc (with `cli` and `probe`): here files are made, processes
//! started and clocks read. Everything it does comes from the Plan; it decides nothing about the machine.

pub mod qmp;
