//! `virtc check`: all diagnostics, no output.

use super::inputs::{World, read};
use super::{Exit, Shared, complain};
use crate::compile::Until;
use std::path::{Path, PathBuf};

/// Arguments of `virtc check`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Checks every file.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let mut exit = Exit::Done;
    for file in args.files.iter().flat_map(|f| expand(f)) {
        exit = exit.and(match read(&file) {
            Ok(source) => world.compile(&source, Until::Planned).1,
            Err(failed) => failed,
        });
    }
    exit
}

/// The XML files of a folder, by name; any other path stands for itself.
pub fn expand(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_path_buf()];
    }
    let mut files: Vec<PathBuf> = match std::fs::read_dir(path) {
        Ok(entries) => {
            entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "xml")).collect()
        }
        Err(e) => {
            complain(&format!("cannot read the folder {}: {e}", path.display()));
            Vec::new()
        }
    };
    files.sort();
    files
}
