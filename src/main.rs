//! The `virtc` command.

// A program of the rim.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::process::ExitCode;

fn main() -> ExitCode {
    virtc::cli::main(std::env::args_os())
}
