//! `virtc build`: domains become trees.

use super::check::expand;
use super::inputs::{World, read, report};
use super::tree::{Fault, Staging};
use super::{Exit, Shared, complain};
use crate::compile::Until;
use crate::diag::{Diagnostics, Span, codes::emit as codes};
use crate::emit::{self, Artifact, Extras, Templates};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Arguments of `virtc build`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Folder that the tree is written to
    #[arg(short, long, value_name = "DIR", default_value = "out", conflicts_with = "destdir")]
    output: PathBuf,
    /// Install into the root of a file system, as packages are built: no dependency files
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
}

/// Compiles all files into one tree. If one has errors, nothing is written.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let templates = match templates(shared) {
        Ok(templates) => templates,
        Err(exit) => return exit,
    };
    let files: Vec<PathBuf> = args.files.iter().flat_map(|f| expand(f)).collect();
    if files.is_empty() {
        complain("there are no .xml files to compile");
        return Exit::Input;
    }
    if shared.verbose > 0 {
        complain(&format!(
            "QEMU capabilities: {}",
            match &shared.caps {
                Some(path) => path.display().to_string(),
                None => "the embedded profile".to_string(),
            }
        ));
    }
    let root = args.destdir.as_ref().unwrap_or(&args.output);
    let staging = match Staging::new(root) {
        Ok(staging) => staging,
        Err(fault) => return broken(&fault),
    };
    let job = Job {
        world: &world,
        templates: &templates.set,
        template_files: &templates.files,
        prefix: format!("{}/", root.display()),
        depfiles: args.destdir.is_none(),
        base: None,
    };
    let progress = Progress::new(files.len(), shared);
    let built: Vec<Built> = files
        .par_iter()
        .map(|file| {
            let built = job.compile(file, |artifact| staging.add(artifact));
            progress.step();
            built
        })
        .collect();
    drop(progress);
    match together(built, &files) {
        Ok(paths) => {
            let stale = stale(root, &paths);
            match staging.commit(&paths, &stale) {
                Ok(()) => Exit::Done,
                Err(fault) => broken(&fault),
            }
        }
        Err(exit) => exit,
    }
}

/// Tells about a fault of the file system.
pub(super) fn broken(fault: &Fault) -> Exit {
    complain(&fault.to_string());
    Exit::Environment
}

/// Templates, and the files that they were read from.
pub(super) struct TemplateSet {
    pub set: Templates,
    pub files: Vec<PathBuf>,
}

/// Reads the templates of `--templates DIR`.
pub(super) fn templates(shared: &Shared) -> Result<TemplateSet, Exit> {
    let Some(folder) = &shared.templates else {
        return Ok(TemplateSet { set: Templates::built_in(), files: Vec::new() });
    };
    let entries = std::fs::read_dir(folder).map_err(|e| {
        complain(&format!("cannot read the folder {}: {e}", folder.display()));
        Exit::Environment
    })?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "hbs")).collect();
    files.sort();
    let mut own = Vec::new();
    for file in &files {
        let text = String::from_utf8_lossy(&read(file)?.bytes).into_owned();
        own.push((file.file_stem().unwrap_or_default().to_string_lossy().into_owned(), text));
    }
    let mut diags = Diagnostics::new();
    let set = Templates::with(own, &mut diags);
    let source = super::inputs::Source { name: folder.display().to_string(), bytes: Vec::new() };
    report(&diags, &source, shared);
    if diags.has_errors() { Err(Exit::Input) } else { Ok(TemplateSet { set, files }) }
}

/// What all files of a build have in common.
pub(super) struct Job<'a> {
    pub world: &'a World<'a>,
    pub templates: &'a Templates,
    pub template_files: &'a [PathBuf],
    /// What stands before the target in dependency files.
    pub prefix: String,
    /// Whether dependency files are written.
    pub depfiles: bool,
    /// Names of inputs in dependency files are relative to this folder.
    pub base: Option<&'a Path>,
}

/// What one file gave: its exit status, its diagnostics, the paths with a digest of their contents.
pub(super) struct Built {
    pub exit: Exit,
    messages: String,
    paths: Vec<(String, u64)>,
}

impl Built {
    fn failed(exit: Exit) -> Built {
        Built { exit, messages: String::new(), paths: Vec::new() }
    }
}

impl Job<'_> {
    /// Compiles one file and hands over each artifact.
    pub fn compile(&self, file: &Path, add: impl Fn(&Artifact) -> Result<(), Fault>) -> Built {
        let source = match read(file) {
            Ok(source) => source,
            Err(exit) => return Built::failed(exit),
        };
        let mut compiled = self.world.compile_quietly(&source, Until::Planned);
        let mut built = Built::failed(Exit::Done);
        if let (Some(domain), Some(plan)) = (&compiled.domain, &compiled.plan) {
            let xml = crate::domain::print(domain);
            let name = |path: &Path| {
                let inner = self.base.and_then(|base| path.strip_prefix(base).ok()).unwrap_or(path);
                inner.display().to_string()
            };
            let inputs: Vec<String> = std::iter::once(file)
                .chain(self.world.read.iter().map(PathBuf::as_path))
                .chain(self.template_files.iter().map(PathBuf::as_path))
                .map(name)
                .collect();
            let extras = Extras { domain_xml: &xml, inputs: &inputs, target_prefix: &self.prefix };
            let tree = emit::all(plan, &extras, self.templates, &mut compiled.diags);
            let wanted = |a: &&Artifact| self.depfiles || !(a.path.ends_with(".d") && !a.path.contains('/'));
            if !compiled.diags.has_errors() {
                for artifact in tree.iter().filter(wanted) {
                    if let Err(fault) = add(artifact) {
                        return Built::failed(broken(&fault));
                    }
                    let mut digest = DefaultHasher::new();
                    artifact.contents.hash(&mut digest);
                    built.paths.push((artifact.path.clone(), digest.finish()));
                }
            }
        }
        if self.world.shared.strict {
            compiled.diags.make_strict();
        }
        built.exit = if compiled.diags.has_errors() { Exit::Input } else { Exit::Done };
        built.messages = super::inputs::rendered(&compiled.diags, &source, self.world.shared);
        built
    }
}

/// Prints the diagnostics of all files in their order; gives the paths of the tree if there are no errors.
pub(super) fn together(built: Vec<Built>, files: &[PathBuf]) -> Result<BTreeSet<String>, Exit> {
    let mut exit = Exit::Done;
    let mut all: BTreeMap<String, (u64, &PathBuf)> = BTreeMap::new();
    let mut clashes = Diagnostics::new();
    for (one, file) in built.into_iter().zip(files) {
        let _ = std::io::stderr().write_all(one.messages.as_bytes());
        exit = exit.and(one.exit);
        for (path, digest) in one.paths {
            match all.get(&path) {
                Some((other, first)) if *other != digest => {
                    let message = format!("'{}' and '{}' both make the file '{path}'", first.display(), file.display());
                    clashes.error(&codes::SAME_FILE, Span::NONE, message);
                }
                _ => {
                    all.insert(path, (digest, file));
                }
            }
        }
    }
    if clashes.has_errors() {
        // One pair of domains clashes in many files; the first says it.
        for clash in clashes.iter().take(1) {
            complain(&format!("{}: {}", clash.code.id, clash.message));
        }
        exit = exit.and(Exit::Input);
    }
    if exit == Exit::Done { Ok(all.into_keys().collect()) } else { Err(exit) }
}

/// Files that an earlier build of the same domains wrote and this one does not.
fn stale(root: &Path, paths: &BTreeSet<String>) -> BTreeSet<String> {
    let mut stale = BTreeSet::new();
    for list in paths.iter().filter(|p| p.starts_with("usr/share/virtc/") && p.ends_with("/files")) {
        let Ok(text) = std::fs::read_to_string(root.join(list)) else { continue };
        let own = |line: &&str| ["usr/", "etc/"].iter().any(|top| line.starts_with(top)) || line.ends_with(".d");
        let safe = |line: &&str| line.split('/').all(|part| !matches!(part, "" | "." | ".."));
        stale.extend(text.lines().filter(own).filter(safe).filter(|l| !paths.contains(*l)).map(str::to_string));
    }
    stale
}

/// A line on standard error that counts, when there are many files and a person looks on.
struct Progress {
    total: usize,
    done: AtomicUsize,
    shown: bool,
}

impl Progress {
    fn new(total: usize, shared: &Shared) -> Progress {
        let shown = total >= 50 && !shared.quiet && std::io::stderr().is_terminal();
        Progress { total, done: AtomicUsize::new(0), shown }
    }

    fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.shown && (done.is_multiple_of(50) || done == self.total) {
            let _ = write!(std::io::stderr(), "\r{done}/{} compiled", self.total);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = writeln!(std::io::stderr());
        }
    }
}
