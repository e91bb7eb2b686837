//! `virtc argv`: the QEMU command line.

use super::check::expand;
use super::inputs::{Source, World, read, report};
use super::{Exit, LockArgs, Shared, complain, print};
use crate::compile::Until;
use crate::diag::Diagnostics;
use crate::emit::argv::{Format, script, write};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

// Arguments of `virtc argv`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them; `-` is standard input. Each of several is headed by a line `# FILE`
    /// (not in JSON, where one object follows the other)
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,
    /// For this very host: ask its QEMU what it can do, and take its facts
    #[arg(long)]
    here: bool,
    #[command(flatten)]
    locks: LockArgs,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        self.files.first().map(PathBuf::as_path)
    }
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
    /// A script that makes what the machine needs (folders, taps, helpers), runs it, and cleans up
    Script,
}

/// What is printed of a Plan.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    /// QEMU's command line.
    Line(Format),
    /// All of it.
    Script,
}

/// Prints the command lines, in the order of the files.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let shared = &shared.here(args.here).locks(args.locks);
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let format = match args.format {
        FormatName::Shell => Shown::Line(Format::Shell),
        FormatName::Lines => Shown::Line(Format::Lines),
        FormatName::Json => Shown::Line(Format::Json),
        FormatName::Script => Shown::Script,
    };
    let files: Vec<PathBuf> = args.files.iter().flat_map(|f| expand(f)).collect();
    match files.as_slice() {
        [] => {
            complain("no domain XML files found");
            Exit::Environment
        }
        [file] => match read(file) {
            Ok(source) => one(source, &world, format).finish(shared),
            Err(exit) => exit,
        },
        _ => {
            let all: Vec<Result<Line, Exit>> = files
                .par_iter()
                .map(|file| {
                    let mut line = one(read(file)?, &world, format);
                    if format != Shown::Line(Format::Json) && !line.text.is_empty() {
                        line.text = format!("# {}\n{}", line.source.name, line.text);
                    }
                    Ok(line)
                })
                .collect();
            all.into_iter().fold(Exit::Done, |exit, result| match result {
                Ok(line) => exit.and(line.finish(shared)),
                Err(failed) => exit.and(failed),
            })
        }
    }
}

/// The command line of one domain.
struct Line {
    source: Source,
    /// Empty if the domain has faults.
    text: String,
    diags: Diagnostics,
    /// What has to be open when it is run.
    open: Vec<String>,
}

fn one(source: Source, world: &World<'_>, format: Shown) -> Line {
    let mut compiled = world.compile_source(&source, Until::Planned);
    if world.shared.strict {
        compiled.diags.make_strict();
    }
    let mut line = Line { source, text: String::new(), diags: compiled.diags, open: Vec::new() };
    if let Some((plan, qemu)) = compiled.plan.as_ref().and_then(|p| Some((p, p.qemu()?))) {
        match format {
            Shown::Line(format) => write(&mut line.text, qemu, format),
            Shown::Script => {
                line.text = script(plan);
                return line;
            }
        }
        for descriptor in qemu.descriptors.iter().filter(|d| d.link.is_some()) {
            let (number, what) = (descriptor.number, &descriptor.what);
            line.open.push(format!("number {number} has to be open: {what} (`virtc run` opens it)"));
        }
    }
    line
}

impl Line {
    /// Reports and prints.
    fn finish(self, shared: &Shared) -> Exit {
        report(&self.diags, &self.source, shared);
        self.open.iter().for_each(|what| complain(what));
        // With --strict a warning is a fault, though there is a command line.
        if self.diags.has_errors() || self.text.is_empty() {
            return Exit::Input;
        }
        print(&self.text)
    }
}
