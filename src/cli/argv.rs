//! `virtc argv`: the QEMU command line.

use super::inputs::{World, read};
use super::{Exit, Shared, complain, print};
use crate::compile::Until;
use crate::emit::argv::{Format, write};
use std::path::PathBuf;

/// Arguments of `virtc argv`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML; `-` is standard input
    file: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,
}

#[derive(clap::ValueEnum, Clone, Copy, Default)]
enum FormatName {
    /// A command for a POSIX shell
    #[default]
    Shell,
    /// One token a line: environment, program, arguments
    Lines,
    /// JSON
    Json,
}

/// Prints the command line of one domain.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let source = match read(&args.file) {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    let (compiled, exit) = world.compile(&source, Until::Planned);
    let Some(qemu) = compiled.plan.as_ref().and_then(|p| p.qemu()) else { return exit.and(Exit::Input) };
    for descriptor in qemu.descriptors.iter().filter(|d| d.link.is_some()) {
        let number = descriptor.number;
        complain(&format!("number {number} has to be open: {} (`virtc run` opens it)", descriptor.what));
    }
    let format = match args.format {
        FormatName::Shell => Format::Shell,
        FormatName::Lines => Format::Lines,
        FormatName::Json => Format::Json,
    };
    let mut out = String::new();
    write(&mut out, qemu, format);
    exit.and(print(&out))
}
