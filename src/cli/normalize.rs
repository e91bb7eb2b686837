//! `virtc normalize`: the domain with everything filled in.

use super::inputs::{World, read};
use super::{Exit, LockArgs, Shared, print};
use crate::compile::Until;
use std::path::{Path, PathBuf};

// Arguments of `virtc normalize`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML; `-` is standard input
    file: PathBuf,
    #[command(flatten)]
    locks: LockArgs,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        Some(&self.file)
    }
}

/// Prints the domain after defaults, addresses and rules.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let shared = &shared.clone().locks(args.locks);
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let source = match read(&args.file) {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    let (compiled, exit) = world.compile(&source, Until::Resolved);
    match compiled.domain {
        Some(domain) if exit == Exit::Done => print(&crate::domain::print(&domain)),
        _ => exit.and(Exit::Input),
    }
}
