//! Every test that starts virtual machines: a program of its own, so that they have the processors for themselves
//! (`cargo test` runs one program after the other).

// Tests touch the machine, and stop where something is wrong.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

#[path = "../examples/guest/image.rs"]
mod image;

mod domains;
mod examples;
mod import_qemu;
mod runner;
