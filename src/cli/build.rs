//! `virtc build`: domains to a tree that can be deployed.

use super::check::expand;
use super::inputs::{Source, World, read, report};
use super::{Exit, Shared, complain, tree};
use crate::compile::{Compiled, Until};
use crate::diag::{Diagnostics, codes::emit as codes};
use crate::emit::{self, Artifact, Extras, Templates};
use crate::fleet::{self, Member, categories};
use rayon::prelude::*;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

// Arguments of `virtc build`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write the tree here [default: out]; what other builds put there stays
    #[arg(short, long, value_name = "DIR", conflicts_with = "destdir")]
    output: Option<PathBuf>,
    /// Install below the root of a file system instead, as packages are built: no dependency files
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
    /// For this very host: ask its QEMU what it can do, and take its facts
    #[arg(long)]
    here: bool,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        self.files.first().map(PathBuf::as_path)
    }
}

/// One domain on its way.
struct Unit {
    source: Source,
    compiled: Compiled,
}

/// Compiles all files and writes the tree.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let shared = &shared.here(args.here);
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let output = args.output.as_deref().or(shared.output.as_deref()).unwrap_or(Path::new("out"));
    let target = args.destdir.as_deref().unwrap_or(output);
    let naming = Naming { prefix: format!("{}/", target.display()), base: None };
    let mut artifacts = match artifacts(&args.files, &world, &naming) {
        Ok(artifacts) => artifacts,
        Err(exit) => return exit,
    };
    if args.destdir.is_some() {
        artifacts.retain(|a| a.path.contains('/'));
    }
    match tree::write(target, &artifacts) {
        Ok(()) => {
            if shared.verbose > 0 {
                complain(&format!("{} files in {} ({})", artifacts.len(), target.display(), world.describe()));
            }
            Exit::Done
        }
        Err(fault) => {
            complain(&fault.to_string());
            Exit::Environment
        }
    }
}

/// How dependency files name things.
pub struct Naming<'a> {
    /// What stands before the path of an artifact.
    pub prefix: String,
    /// Inputs are named relative to this folder.
    pub base: Option<&'a Path>,
}

impl Naming<'_> {
    fn input(&self, path: &Path) -> String {
        self.base.and_then(|base| path.strip_prefix(base).ok()).unwrap_or(path).display().to_string()
    }
}

/// The tree of all files, by path. Faults are told to the user; with any error there is no tree.
pub fn artifacts(files: &[PathBuf], world: &World<'_>, naming: &Naming<'_>) -> Result<Vec<Artifact>, Exit> {
    let files: Vec<PathBuf> = files.iter().flat_map(|f| expand(f)).collect();
    if files.is_empty() {
        complain("no domain XML files found");
        return Err(Exit::Environment);
    }
    let (templates, template_files) = templates(world)?;
    let progress = Progress::new(files.len(), world.shared);
    let units: Vec<Result<Unit, Exit>> = files
        .par_iter()
        .map(|file| {
            let source = read(file)?;
            let compiled = world.compile_text(&source.bytes, Until::Planned);
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
    let mut shared_pairs: Vec<categories::Member<'_>> = ready
        .iter_mut()
        .filter_map(|u| Some(categories::Member { file: &u.source.name, plan: u.compiled.plan.as_mut()? }))
        .collect();
    let pairs = categories::settle(&mut shared_pairs, &world.host.security.selinux.range);
    let mut plans: Vec<_> = ready.iter_mut().filter_map(|u| u.compiled.plan.as_mut()).collect();
    fleet::ports::spread(&mut plans);
    let members: Vec<Member<'_>> =
        ready.iter().filter_map(|u| Some(Member { file: &u.source.name, plan: u.compiled.plan.as_ref()? })).collect();
    let (conflicts, rivals) = (fleet::conflicts(&members), fleet::rivals(&members));
    for (plan, rivals) in ready.iter_mut().filter_map(|u| u.compiled.plan.as_mut()).zip(rivals) {
        plan.rivals = rivals;
    }
    let emitted: Vec<(Vec<Artifact>, Diagnostics)> =
        ready.par_iter().map(|unit| emit_unit(unit, world, &templates, &template_files, naming)).collect();
    let mut artifacts = Vec::new();
    for (((unit, (tree, faults)), conflict), pairs) in ready.iter().zip(emitted).zip(conflicts).zip(pairs) {
        let mut diags = unit.compiled.diags.clone();
        diags.extend(faults);
        diags.extend(conflict);
        diags.extend(pairs);
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
    if let Some([a, ..]) = artifacts.windows(2).find(|w| matches!(w, [a, b] if a.path == b.path)) {
        complain(&format!("{}: two domains make the file '{}'", codes::SAME_FILE.id, a.path));
        return Err(Exit::Input);
    }
    Ok(artifacts)
}

fn emit_unit(
    unit: &Unit,
    world: &World<'_>,
    templates: &Templates,
    template_files: &[PathBuf],
    naming: &Naming<'_>,
) -> (Vec<Artifact>, Diagnostics) {
    let mut diags = Diagnostics::new();
    let (Some(plan), Some(domain)) = (&unit.compiled.plan, &unit.compiled.domain) else { return (Vec::new(), diags) };
    let domain_xml = crate::domain::print(domain);
    let mut inputs = vec![naming.input(Path::new(&unit.source.name))];
    inputs.extend(world.read.iter().chain(template_files).map(|p| naming.input(p)));
    let extras = Extras { domain_xml: &domain_xml, inputs: &inputs, target_prefix: &naming.prefix };
    let tree = emit::all(plan, &extras, templates, &mut diags);
    (tree, diags)
}

/// The templates, some replaced by the files of `--templates`.
fn templates(world: &World<'_>) -> Result<(Templates, Vec<PathBuf>), Exit> {
    let Some(directory) = &world.shared.templates else { return Ok((Templates::built_in(), Vec::new())) };
    let own = own_templates(directory).map_err(|e| {
        complain(&format!("cannot read the templates in {}: {e}", directory.display()));
        Exit::Environment
    })?;
    let files = own.iter().map(|(name, _)| directory.join(format!("{name}.hbs"))).collect();
    let mut diags = Diagnostics::new();
    let templates = Templates::with(own, &mut diags);
    let source = Source { name: directory.display().to_string(), bytes: Vec::new() };
    report(&diags, &source, world.shared);
    if diags.has_errors() { Err(Exit::Input) } else { Ok((templates, files)) }
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
