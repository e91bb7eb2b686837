//! `virtc argv`: the QEMU command line.

use super::check::expand;
use super::inputs::{Source, World, read, report};
use super::{Exit, Shared, complain, print};
use crate::compile::Until;
use crate::diag::Diagnostics;
use crate::emit::argv::{Format, write};
use rayon::prelude::*;
use std::path::PathBuf;

/// Arguments of `virtc argv`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them; `-` is standard input. Each of several is headed by a line `# FILE`
    /// (not in JSON, where one object follows the other)
    #[arg(required = true)]
    files: Vec<PathBuf>,
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

/// Prints the command lines, in the order of the files.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let format = match args.format {
        FormatName::Shell => Format::Shell,
        FormatName::Lines => Format::Lines,
        FormatName::Json => Format::Json,
    };
    let files: Vec<PathBuf> = args.files.iter().flat_map(|f| expand(f)).collect();
    match files.as_slice() {
        [] => {
            complain("no domain XML files found");
            Exit::Environment
        }
        [file] => match read(file) {
            Ok(source) => {
                let (text, diags) = one(&source, &world, format);
                finish(&source, &diags, text, shared)
            }
            Err(exit) => exit,
        },
        _ => {
            let all: Vec<Result<(Source, String, Diagnostics), Exit>> = files
                .par_iter()
                .map(|file| {
                    let source = read(file)?;
                    let (text, diags) = one(&source, &world, format);
                    let heading = format != Format::Json && !text.is_empty();
                    let text = if heading { format!("# {}\n{text}", source.name) } else { text };
                    Ok((source, text, diags))
                })
                .collect();
            all.into_iter().fold(Exit::Done, |exit, result| match result {
                Ok((source, text, diags)) => exit.and(finish(&source, &diags, text, shared)),
                Err(failed) => exit.and(failed),
            })
        }
    }
}

/// The command line of one domain, empty if it has faults.
fn one(source: &Source, world: &World<'_>, format: Format) -> (String, Diagnostics) {
    let mut compiled = world.compile_text(&source.bytes, Until::Planned);
    if world.shared.strict {
        compiled.diags.make_strict();
    }
    let mut out = String::new();
    if let Some(qemu) = compiled.plan.as_ref().and_then(|p| p.qemu()) {
        write(&mut out, qemu, format);
    }
    (out, compiled.diags)
}

fn finish(source: &Source, diags: &Diagnostics, text: String, shared: &Shared) -> Exit {
    report(diags, source, shared);
    let faults = diags.has_errors() || text.is_empty();
    print(&text).and(if faults { Exit::Input } else { Exit::Done })
}
