//! `virtc check`: all diagnostics, no output.

use super::compiled::{self, Naming, Purpose, There};
use super::fix;
use super::inputs::{Source, World, attempt, report_all};
use super::{Exit, LockArgs, Shared, complain};
use crate::compile::Until;
use crate::diag::codes::general::ONLY_BY_RUN;
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::plan::{Plan, Target};
use crate::run::preflight::preflight;
use crate::run::registry::Registry;
use crate::run::relocate::{Places, relocate};
use crate::{schema, xml};
use std::path::{Path, PathBuf};

// Arguments of `virtc check`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them; `-` is standard input
    #[arg(required_unless_present = "host")]
    files: Vec<PathBuf>,
    /// Check only against the format, not against a QEMU and a host
    #[arg(long)]
    schema_only: bool,
    /// Mend what is certain (a slip in a name or word, an attribute in the wrong place) in the files; comments and layout stay
    #[arg(long, conflicts_with = "here")]
    fix: bool,
    /// With --fix: show what would change, and change nothing
    #[arg(long, requires = "fix")]
    diff: bool,
    /// Check also whether this very host can run it: what its QEMU can do, programs, KVM, images and their
    /// permissions, interfaces, ports, memory
    #[arg(long, conflicts_with = "schema_only")]
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

/// Checks every file.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    // `check --host vm.xml` asks about this host: host facts are never XML.
    let mut files = args.files.clone();
    let mut shared = shared.clone();
    if let Some(domain) = shared.host.take_if(|h| h.extension().is_some_and(|e| e == "xml")) {
        files.insert(0, domain);
        return check(&Args { files, here: true, ..*args }, &shared);
    }
    if files.is_empty() {
        complain("which file? virtc check FILE…");
        return Exit::Usage;
    }
    check(args, &shared)
}

fn check(args: &Args, shared: &Shared) -> Exit {
    let shared = &shared.here(args.here).locks(args.locks);
    let world = if args.schema_only { None } else { Some(World::load(shared)) };
    let world = match world.transpose() {
        Ok(world) => world.map(|world| World { here: world.here || args.here, ..world }),
        Err(exit) => return exit,
    };
    let mut exit = Exit::Done;
    if args.fix {
        for file in compiled::distinct(&args.files) {
            exit = exit.and(fix::file(&file, args.diff, &|source| match &world {
                Some(w) => w.compile_text(&source.bytes, Until::Planned).diags,
                None => format_only(source),
            }));
        }
        if args.diff {
            return exit;
        }
    }
    let (reports, found, count) = match &world {
        Some(world) => whole(args, world, shared),
        None => format_of_all(args, shared),
    };
    report_all(&reports, shared);
    if count > 1 && !shared.quiet && shared.message_format == super::MessageFormatName::Human {
        compiled::summary(count, &reports);
    }
    exit.and(found)
}

/// What was found, file by file; how the command ends by it; how many files there were.
type Found = (Vec<(Source, Diagnostics)>, Exit, usize);

/// Everything that `build` would find, and what only a check looks for.
fn whole(args: &Args, world: &World<'_>, shared: &Shared) -> Found {
    let mut batch = compiled::compile(&args.files, world, &|_| false);
    let count = batch.units.len() + batch.unreadable.len();
    let mut exit = batch.exit;
    if args.here {
        for unit in &mut batch.units {
            let Some(plan) = unit.plan().cloned() else { continue };
            exit = exit.and(ready(&plan, &mut unit.compiled.diags));
        }
    }
    compiled::settle(&mut batch.units, &There::default(), &[], world);
    // What libvirt would execute is not written into units.
    if shared.target.is_standalone() {
        let naming = Naming { prefix: String::new(), base: None };
        if let Err(failed) = compiled::emit(&mut batch.units, world, &naming, Purpose::Faults) {
            exit = exit.and(failed);
        }
        // The machine can be had in another way.
        let grade = |d: &Diagnostic| if d.code == &ONLY_BY_RUN { Severity::Warning } else { d.severity };
        batch.units.iter_mut().for_each(|unit| unit.compiled.diags.grade(|d| Some(grade(d))));
    }
    let mut reports = std::mem::take(&mut batch.unreadable);
    // Programs read their own stream; a person hears of it, too.
    reports.iter().flat_map(|(_, diags)| diags.iter()).for_each(|d| complain(&d.message));
    for unit in batch.units {
        let mut diags = unit.compiled.diags;
        if shared.strict {
            diags.make_strict();
        }
        if fails(&diags, shared.target) {
            exit = exit.and(Exit::Input);
        }
        // A clean file costs nothing more.
        if !diags.is_empty() {
            reports.push((unit.source, diags));
        }
    }
    (reports, exit, count)
}

/// The faults of the format alone.
fn format_of_all(args: &Args, shared: &Shared) -> Found {
    let (mut reports, mut exit) = (Vec::new(), Exit::Done);
    let files = compiled::distinct(&args.files);
    let count = files.len();
    for file in files {
        match attempt(&file) {
            Ok(source) => {
                let mut diags = format_only(&source);
                if shared.strict {
                    diags.make_strict();
                }
                if fails(&diags, shared.target) {
                    exit = exit.and(Exit::Input);
                }
                if !diags.is_empty() {
                    reports.push((source, diags));
                }
            }
            Err(why) => {
                exit = exit.and(Exit::Environment);
                reports.extend(compiled::unreadable(&file, why, shared));
            }
        }
    }
    (reports, exit, count)
}

/// Looks whether this host can run the machine.
fn ready(plan: &Plan, diags: &mut Diagnostics) -> Exit {
    match Registry::of(plan.instance) {
        Ok(registry) => {
            let plan = relocate(plan.clone(), &Places::mine(registry.base()));
            preflight(&plan, &registry, diags);
            if diags.has_errors() { Exit::Environment } else { Exit::Done }
        }
        Err(fault) => {
            complain(&fault.message);
            Exit::Environment
        }
    }
}

/// The faults of the format alone.
fn format_only(source: &Source) -> Diagnostics {
    let mut diags = Diagnostics::new();
    let doc = xml::parse(&source.bytes, &mut diags);
    if !diags.has_errors() {
        schema::validate(&doc, schema::Grade::Strict, &mut diags);
    }
    diags
}

/// What a file fails by.
pub fn failures(diags: &Diagnostics, target: Target) -> Diagnostics {
    let mut out = diags.clone();
    let format = !target.is_standalone();
    out.retain(|_, d| {
        d.severity == Severity::Error || (format && d.severity == Severity::Warning && d.code.is_of_format())
    });
    out
}

/// A file fails on an error; and, for libvirt, on a fault of the format even where that would only drop it: whether the
/// file follows the format is what `check` is asked. For a standalone machine the compiler has told apart what does harm.
pub fn fails(diags: &Diagnostics, target: Target) -> bool {
    let of_format = |d: &Diagnostic| d.severity == Severity::Warning && d.code.is_of_format();
    diags.has_errors() || (!target.is_standalone() && diags.iter().any(of_format))
}

/// Whether it is a file, or is not there to be looked at: a pipe or a device among the files of a folder is passed over.
fn is_file(path: &Path) -> bool {
    path.metadata().map_or(true, |meta| meta.is_file())
}

/// The XML files of a folder and of those in it, by name; any other path, and a folder without any, stands for itself.
pub fn expand(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_path_buf()];
    }
    let mut files = Vec::new();
    collect(path, MOST_LEVELS, &mut files);
    if files.is_empty() {
        return vec![path.to_path_buf()];
    }
    files.sort();
    files
}

/// Folders are followed this deep.
const MOST_LEVELS: usize = 16;

fn collect(folder: &Path, levels: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // A link to a folder may lead back.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if levels > 0 && !hidden && !is_built(&path) {
                collect(&path, levels - 1, files);
            }
        } else if path.extension().is_some_and(|e| e == "xml") && is_file(&path) {
            files.push(path);
        }
    }
}

/// Whether a folder is a tree that virtc has built: the domains in it are outputs.
fn is_built(folder: &Path) -> bool {
    folder.join("usr/share/virtc").is_dir()
}
