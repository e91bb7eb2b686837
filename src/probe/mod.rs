//! Asks the world what the compiler has to know: a QEMU binary for its capabilities, the machine for
//! its host facts.
//!
//! This is one of the three edges of virtc (with `cli` and `run`). What it learns is written to a file;
//! compiling then depends on nothing but that file.

pub mod emulators;
mod flags;
pub mod host;
pub mod images;
mod kvm;
pub mod qemu;
mod schema;
