//! The `virtc` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    virtc::cli::main(std::env::args_os())
}
