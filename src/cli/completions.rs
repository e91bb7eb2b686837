//! `virtc completions`: scripts for shells.

use super::{Exit, print};

// Arguments of `virtc completions`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the completion script of a shell.
pub fn run(args: &Args) -> Exit {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "virtc", &mut out);
    print(&String::from_utf8_lossy(&out))
}
