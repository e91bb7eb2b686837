//! `virtc build`: domains to a tree that can be deployed.

use super::check::expand;
use super::inputs::{Source, World, read, report};
use super::{Exit, Shared, complain, tree};
use crate::compile::{Compiled, Until, compile};
use crate::diag::Diagnostics;
use crate::emit::{self, Artifact, Extras, Templates};
use crate::fleet::{self, Member};
use rayon::prelude::*;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Arguments of `virtc build`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write the tree here; it is complete or untouched
    #[arg(short, long, value_name = "DIR", default_value = "out", conflicts_with = "destdir")]
    output: PathBuf,
    /// Install the files below this root instead, each atomically
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
}

/// One domain on its way.
struct Unit {
    source: Source,
    compiled: Compiled,
}

/// Compiles all files and writes the tree.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let artifacts = match artifacts(&args.files, &world) {
        Ok(artifacts) => artifacts,
        Err(exit) => return exit,
    };
    let written = match &args.destdir {
        Some(root) => tree::install(root, &artifacts),
        None => tree::replace(&args.output, &artifacts),
    };
    let target = args.destdir.as_deref().unwrap_or(&args.output);
    match written {
        Ok(()) => {
            if shared.verbose > 0 {
                complain(&format!("{} files in {} ({})", artifacts.len(), target.display(), world.describe()));
            }
            Exit::Done
        }
        Err(e) => {
            complain(&format!("cannot write {}: {e}", target.display()));
            Exit::Environment
        }
    }
}

/// The tree of all files, by path. Faults are told to the user; with any error there is no tree.
pub fn artifacts(files: &[PathBuf], world: &World<'_>) -> Result<Vec<Artifact>, Exit> {
    let files: Vec<PathBuf> = files.iter().flat_map(|f| expand(f)).collect();
    if files.is_empty() {
        complain("no domain XML files found");
        return Err(Exit::Environment);
    }
    let templates = templates(world)?;
    let progress = Progress::new(files.len(), world.shared);
    let units: Vec<Result<Unit, Exit>> = files
        .par_iter()
        .map(|file| {
            let source = read(file)?;
            let compiled = compile(&source.bytes, &world.host, &world.caps, &world.options, Until::Planned);
            progress.step();
            Ok(Unit { source, compiled })
        })
        .collect();
    progress.finish();
    let mut exit = Exit::Done;
    let mut ready = Vec::with_capacity(units.len());
    for unit in units {
        match unit {
            Ok(mut unit) => {
                if world.shared.strict {
                    unit.compiled.diags.make_strict();
                }
                if unit.compiled.diags.has_errors() || unit.compiled.plan.is_none() {
                    report(&unit.compiled.diags, &unit.source, world.shared);
                    exit = exit.and(Exit::Input);
                } else {
                    ready.push(unit);
                }
            }
            Err(failed) => exit = exit.and(failed),
        }
    }
    let members: Vec<Member<'_>> =
        ready.iter().filter_map(|u| Some(Member { file: &u.source.name, plan: u.compiled.plan.as_ref()? })).collect();
    let conflicts = fleet::conflicts(&members);
    let emitted: Vec<(Vec<Artifact>, Diagnostics)> =
        ready.par_iter().map(|unit| emit_unit(unit, world, &templates)).collect();
    let mut artifacts = Vec::new();
    for ((unit, (tree, faults)), conflict) in ready.iter().zip(emitted).zip(conflicts) {
        let mut diags = unit.compiled.diags.clone();
        diags.extend(faults);
        diags.extend(conflict);
        report(&diags, &unit.source, world.shared);
        if diags.has_errors() {
            exit = exit.and(Exit::Input);
        }
        artifacts.extend(tree);
    }
    if exit != Exit::Done {
        return Err(exit);
    }
    artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    artifacts.dedup();
    Ok(artifacts)
}

fn emit_unit(unit: &Unit, world: &World<'_>, templates: &Templates) -> (Vec<Artifact>, Diagnostics) {
    let mut diags = Diagnostics::new();
    let (Some(plan), Some(domain)) = (&unit.compiled.plan, &unit.compiled.domain) else { return (Vec::new(), diags) };
    let domain_xml = crate::domain::print(domain);
    let mut inputs = vec![unit.source.name.clone()];
    inputs.extend(world.read.iter().map(|p| p.display().to_string()));
    let extras = Extras { domain_xml: &domain_xml, inputs: &inputs, target_prefix: "" };
    let tree = emit::all(plan, &extras, templates, &mut diags);
    (tree, diags)
}

/// The templates, some replaced by the files of `--templates`.
fn templates(world: &World<'_>) -> Result<Templates, Exit> {
    let Some(directory) = &world.shared.templates else { return Ok(Templates::built_in()) };
    let own = own_templates(directory).map_err(|e| {
        complain(&format!("cannot read the templates in {}: {e}", directory.display()));
        Exit::Environment
    })?;
    let mut diags = Diagnostics::new();
    let templates = Templates::with(own, &mut diags);
    let source = Source { name: directory.display().to_string(), bytes: Vec::new() };
    report(&diags, &source, world.shared);
    if diags.has_errors() { Err(Exit::Input) } else { Ok(templates) }
}

fn own_templates(directory: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut own = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "hbs")
            && let Some(name) = path.file_stem()
        {
            own.push((name.to_string_lossy().into_owned(), std::fs::read_to_string(&path)?));
        }
    }
    own.sort();
    Ok(own)
}

/// Progress on standard error: one line that counts, only on a terminal and only for many files.
struct Progress {
    total: usize,
    done: AtomicUsize,
    shown: bool,
}

impl Progress {
    fn new(total: usize, shared: &Shared) -> Progress {
        let shown = total > 20 && !shared.quiet && std::io::stderr().is_terminal();
        Progress { total, done: AtomicUsize::new(0), shown }
    }

    fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.shown && (done.is_multiple_of(50) || done == self.total) {
            let _ = write!(std::io::stderr(), "\rcompiling {done}/{}", self.total);
        }
    }

    fn finish(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
