//! `virtc check`: all diagnostics, no output.

use super::inputs::{Source, World, read, report_all};
use super::{Exit, Shared, complain};
use crate::compile::{Until, compile};
use crate::diag::{Diagnostics, Severity};
use crate::{schema, xml};
use std::path::{Path, PathBuf};

/// Arguments of `virtc check`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Check only against the format, not against a QEMU and a host
    #[arg(long)]
    schema_only: bool,
}

/// Checks every file.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let world = if args.schema_only { None } else { Some(World::load(shared)) };
    let world = match world.transpose() {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let mut exit = Exit::Done;
    let mut reports: Vec<(Source, Diagnostics)> = Vec::new();
    for file in args.files.iter().flat_map(|f| expand(f)) {
        match read(&file) {
            Ok(source) => {
                let mut diags = match &world {
                    Some(w) => {
                        compile(&source.bytes, &w.host, w.caps.for_domain(&source.bytes), &w.options, Until::Planned)
                            .diags
                    }
                    None => format_only(&source),
                };
                if shared.strict {
                    diags.make_strict();
                }
                if fails(&diags) {
                    exit = exit.and(Exit::Input);
                }
                // A clean file costs nothing more.
                if !diags.is_empty() {
                    reports.push((source, diags));
                }
            }
            Err(failed) => exit = exit.and(failed),
        }
    }
    report_all(&reports, shared);
    exit
}

/// The faults of the format alone.
fn format_only(source: &Source) -> Diagnostics {
    let mut diags = Diagnostics::new();
    let doc = xml::parse(&source.bytes, &mut diags);
    if !diags.has_errors() {
        schema::validate(&doc, Severity::Error, &mut diags);
    }
    diags
}

/// A file fails on an error; and on a fault of the format even where the target, like libvirt, would only
/// drop it: whether the file follows the format is what `check` is asked.
fn fails(diags: &Diagnostics) -> bool {
    diags.has_errors() || diags.iter().any(|d| d.severity == Severity::Warning && d.code.is_of_format())
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
