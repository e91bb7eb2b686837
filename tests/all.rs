//! Every test that starts no virtual machine: one program, because linking many takes longer than running them.
//! `cargo test --test all storage::` runs those of one module.

// Tests touch the machine, and stop where something is wrong.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

mod accepts;
mod addresses;
mod adopt;
mod attacks;
mod blueprints;
mod cli;
mod denial;
mod diffs;
mod direction;
mod emit;
mod explorer;
mod firmware;
mod fleet;
mod golden;
mod host_paths;
mod import;
mod import_words;
mod incomplete;
mod intruders;
mod kinds;
mod known;
mod life;
mod lints;
mod locks;
mod manual;
mod needs;
mod networks;
mod newcomer;
mod open_world;
mod ports_and_displays;
mod probe;
mod qapi;
mod recorded;
mod right_qemu;
mod rules;
mod schema_coverage;
mod schema_messages;
mod schema_mutations;
mod scripts;
mod security;
mod shells;
mod storage;
mod toolchain;
mod upgrade;
