//! `virtc check`: all diagnostics, no output.

use super::fix;
use super::inputs::{Source, World, read, report_all};
use super::{Exit, Shared, complain};
use crate::compile::Until;
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::fleet::{self, Member};
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
    let shared = &shared.here(args.here);
    let world = if args.schema_only { None } else { Some(World::load(shared)) };
    let world = match world.transpose() {
        Ok(world) => world.map(|world| World { here: world.here || args.here, ..world }),
        Err(exit) => return exit,
    };
    let mut exit = Exit::Done;
    if args.fix {
        for file in distinct(args.files.iter().flat_map(|f| expand(f))) {
            exit = exit.and(fix::file(&file, args.diff, &|source| match &world {
                Some(w) => w.compile_text(&source.bytes, Until::Planned).diags,
                None => format_only(source),
            }));
        }
        if args.diff {
            return exit;
        }
    }
    let mut reports: Vec<(Source, Diagnostics)> = Vec::new();
    let mut fleet: Vec<(Source, Plan)> = Vec::new();
    let mut count = 0;
    for file in distinct(args.files.iter().flat_map(|f| expand(f))) {
        count += 1;
        match read(&file) {
            Ok(source) => {
                let mut planned = None;
                let mut diags = match &world {
                    Some(w) => {
                        let mut compiled = w.compile_text(&source.bytes, Until::Planned);
                        let plan = compiled.plan.filter(|_| !compiled.diags.has_errors());
                        if let Some(plan) = plan.as_ref().filter(|_| args.here) {
                            exit = exit.and(ready(plan, &mut compiled.diags));
                        }
                        planned = plan;
                        compiled.diags
                    }
                    None => format_only(&source),
                };
                if shared.strict {
                    diags.make_strict();
                }
                if fails(&diags, shared.target) {
                    exit = exit.and(Exit::Input);
                }
                // A clean file costs nothing more, but for what it has in common with others.
                if let Some(plan) = planned {
                    fleet.push((Source { name: source.name.clone(), bytes: source.bytes.clone() }, plan));
                }
                if !diags.is_empty() {
                    reports.push((source, diags));
                }
            }
            Err(failed) => exit = exit.and(failed),
        }
    }
    if conflicts(&fleet, &mut reports, shared) {
        exit = exit.and(Exit::Input);
    }
    report_all(&reports, shared);
    if count > 1 && !shared.quiet && shared.message_format == super::MessageFormatName::Human {
        summary(count, &reports);
    }
    exit
}

/// The files, each once.
fn distinct(files: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = std::collections::BTreeSet::new();
    files.filter(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone()))).collect()
}

/// Adds what only one of the domains can have, as `build` does. Whether there is any such thing.
fn conflicts(fleet: &[(Source, Plan)], reports: &mut Vec<(Source, Diagnostics)>, shared: &Shared) -> bool {
    if fleet.len() < 2 {
        return false;
    }
    let members: Vec<Member<'_>> = fleet.iter().map(|(source, plan)| Member { file: &source.name, plan }).collect();
    let mut found = false;
    for ((source, _), mut faults) in fleet.iter().zip(fleet::conflicts(&members)) {
        if shared.strict {
            faults.make_strict();
        }
        found |= faults.has_errors();
        if faults.is_empty() {
            continue;
        }
        match reports.iter_mut().find(|(other, _)| other.name == source.name) {
            Some((_, diags)) => diags.extend(faults),
            None => reports.push((Source { name: source.name.clone(), bytes: source.bytes.clone() }, faults)),
        }
    }
    found
}

/// Says how many files were looked at, and what was found in them.
fn summary(files: usize, reports: &[(Source, Diagnostics)]) {
    let of = |severity| reports.iter().flat_map(|(_, d)| d.iter()).filter(|d| d.severity == severity).count();
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut line = format!("{files} files, {}", number(of(Severity::Error), "error"));
    let warnings = of(Severity::Warning);
    if warnings > 0 {
        line += &format!(", {}", number(warnings, "warning"));
    }
    complain(&line);
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
