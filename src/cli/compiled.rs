//! Many domains at once: compiled, held against each other and against what is there already, and emitted. `check`, `build`, `golden`
//! and `diff` all see the same faults, because they all come from here.

use super::check::expand;
use super::inputs::{Source, World, attempt, lock_file, report};
use super::{Exit, MessageFormatName, Shared, complain};
use crate::compile::{Compiled, Until};
use crate::diag::codes::{emit as codes, fleet as fleet_codes};
use crate::diag::{Diagnostics, Severity, Span};
use crate::emit::{self, Artifact, Extras, Fitter, Names, Templates};
use crate::fleet::inventory::{Fate, Inputs, Present, fate, lies_in};
use crate::fleet::{self, Member, categories};
use crate::plan::{Cause, Plan};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// One domain on its way.
pub struct Unit {
    /// Its file.
    pub source: Source,
    /// What came of it; all that is found later is added to its diagnostics.
    pub compiled: Compiled,
    /// Whether it compiled by itself.
    ready: bool,
}

impl Unit {
    /// Its Plan, if that is one that can be used.
    pub fn plan(&self) -> Option<&Plan> {
        self.compiled.plan.as_ref().filter(|_| self.ready)
    }

    fn plan_mut(&mut self) -> Option<&mut Plan> {
        self.compiled.plan.as_mut().filter(|_| self.ready)
    }
}

/// All domains of one call.
pub struct Batch {
    /// Those whose files could be read, in order.
    pub units: Vec<Unit>,
    /// Those whose files could not, as programs are told of it.
    pub unreadable: Vec<(Source, Diagnostics)>,
    /// What the domains were made from.
    pub inputs: Inputs,
    /// How it ends if nothing more is found.
    pub exit: Exit,
}

/// The files, each once.
pub fn distinct(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let all = files.iter().flat_map(|file| expand(file));
    all.filter(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone()))).collect()
}

/// With fewer machines than this, the threads would cost more than the work.
const FEW: usize = 4;

/// Does the same with each, on all CPUs where there are many.
pub fn each<T: Send, R: Send>(all: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    match all.len() {
        0..FEW => all.into_iter().map(work).collect(),
        _ => all.into_par_iter().map(work).collect(),
    }
}

/// Reads and compiles all files, and those of folders. `emptied`: whether a folder in which no domain is had some, so that it may
/// have none; any other is a slip.
pub fn compile(files: &[PathBuf], world: &World<'_>, emptied: &dyn Fn(&Path) -> bool) -> Batch {
    let folders = files.iter().filter(|f| f.is_dir()).map(|f| plain(&f.display().to_string())).collect();
    let mut files = distinct(files);
    // A folder stands for itself where there is no domain in it; one that may not be read hides what is in it.
    files.retain(|file| !(file.is_dir() && std::fs::read_dir(file).is_ok() && emptied(file)));
    let progress = Progress::new(files.len(), world.shared);
    let results: Vec<Result<Unit, (PathBuf, String)>> = each(files, |file| {
        let unit = attempt(&file).map(|source| {
            let compiled = world.compile_source(&source, Until::Planned);
            let ready = compiled.plan.is_some() && !compiled.diags.has_errors();
            Unit { source, compiled, ready }
        });
        progress.step();
        unit.map_err(|why| (file, why))
    });
    progress.finish();
    let mut batch = Batch {
        units: Vec::with_capacity(results.len()),
        unreadable: Vec::new(),
        inputs: Inputs { files: BTreeSet::new(), folders },
        exit: Exit::Done,
    };
    for result in results {
        match result {
            Ok(unit) => {
                batch.inputs.files.insert(plain(&unit.source.name));
                batch.units.push(unit);
            }
            Err((file, why)) => {
                batch.exit = Exit::Environment;
                batch.unreadable.extend(unreadable(&file, why, world.shared));
            }
        }
    }
    batch
}

/// What is told of a file that cannot be read: to a person at once, to a program as a diagnostic.
pub fn unreadable(file: &Path, why: String, shared: &Shared) -> Option<(Source, Diagnostics)> {
    if shared.message_format == MessageFormatName::Human {
        complain(&why);
        return None;
    }
    let mut diags = Diagnostics::new();
    diags.error(&fleet_codes::UNREADABLE, Span::NONE, why);
    Some((Source { name: file.display().to_string(), bytes: Vec::new() }, diags))
}

/// A path without the `./` in front, which names nothing.
pub fn plain(path: &str) -> String {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./").filter(|rest| !rest.is_empty()) {
        path = rest.trim_start_matches('/');
    }
    path.to_string()
}

/// Where a tree is written that has machines already.
#[derive(Default)]
pub struct There<'a> {
    /// The tree, as the user named it.
    pub name: String,
    /// Its machines.
    pub machines: &'a [Present],
    /// Folders from which its machines were made until none was left.
    pub emptied: Vec<String>,
}

impl There<'_> {
    /// Whether it has, or had, machines that were made from files in a folder.
    pub fn had_of(&self, folder: &Path) -> bool {
        let folder = plain(&folder.display().to_string());
        let sources = self.machines.iter().filter(|m| m.owner.is_none()).filter_map(Present::source);
        self.emptied.contains(&folder) || { sources }.any(|file| lies_in(Path::new(file), Path::new(&folder)))
    }
}

/// The folders of the machines that the domains make, and which domain makes each.
pub fn folders(units: &[Unit]) -> BTreeMap<String, usize> {
    let folder =
        |plan: &Plan| Some(Names::of(plan, &mut Fitter::new(&mut Diagnostics::new()))?.name.as_str().to_string());
    units.iter().enumerate().filter_map(|(at, unit)| Some((folder(unit.plan()?)?, at))).collect()
}

/// What becomes of the machines of a tree, in their order. A file is looked for as a manifest names it.
pub fn fates(there: &There<'_>, batch: &Batch) -> Vec<Fate> {
    let made: BTreeSet<String> = folders(&batch.units).into_keys().collect();
    // What may not be looked at is not gone.
    let exists = |file: &str| Path::new(file).try_exists().unwrap_or(true);
    let of = |machine: &Present| match fate(machine, &batch.inputs, &made, &exists) {
        // A deployment or a package has put it there, and takes it away.
        fate if fate.leaves() && machine.owner.is_some() => Fate::Stays,
        fate => fate,
    };
    there.machines.iter().map(of).collect()
}

/// Settles what the machines of one host have to agree on, and finds what they cannot have together: those that are compiled, and
/// those of the tree that stay.
pub fn settle(units: &mut [Unit], there: &There<'_>, fates: &[Fate], world: &World<'_>) {
    another_file(units, there);
    let staying: Vec<&Present> =
        there.machines.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Stays).map(|(m, _)| m).collect();
    let words: Vec<String> =
        staying.iter().map(|m| format!("'{}', which is in {} already", m.name(), there.name)).collect();
    let mut plans: Vec<Plan> = staying.iter().map(|m| m.plan.clone().unwrap_or_default()).collect();
    agree_on_categories(units, &mut plans, &words, world);
    let fixed: Vec<&Plan> = plans.iter().collect();
    let mut own: Vec<&mut Plan> = units.iter_mut().filter_map(Unit::plan_mut).collect();
    fleet::ports::spread(&mut own, &fixed);
    let files: Vec<String> = staying.iter().map(|m| m.source().unwrap_or(m.name()).to_string()).collect();
    let members: Vec<Member<'_>> = (staying.iter().enumerate())
        .filter(|(_, m)| m.plan.is_some())
        .map(|(at, _)| Member { file: &files[at], plan: &plans[at], there: Some(&words[at]) })
        .chain(units.iter().filter_map(|u| Some(Member { file: &u.source.name, plan: u.plan()?, there: None })))
        .collect();
    let before = members.iter().filter(|m| m.there.is_some()).count();
    let faults = fleet::conflicts(&members).into_iter().skip(before);
    let rivals: Vec<Vec<String>> = fleet::rivals(&members).into_iter().skip(before).collect();
    let faults: Vec<Diagnostics> = faults.collect();
    let ready = units.iter_mut().filter(|u| u.plan().is_some());
    for ((unit, faults), rivals) in ready.zip(faults).zip(rivals) {
        if let Some(plan) = &mut unit.compiled.plan {
            plan.rivals = rivals;
        }
        unit.compiled.diags.extend(at_the_culprit(&unit.source, faults));
    }
}

/// A Plan knows the place of the domain only. The elements that say its name and UUID are looked up in the source.
fn at_the_culprit(source: &Source, mut faults: Diagnostics) -> Diagnostics {
    const CULPRITS: [(&str, &str); 2] = [("the name '", "name"), ("the UUID '", "uuid")];
    if !faults.iter().any(|d| CULPRITS.iter().any(|(words, _)| d.message.starts_with(words))) {
        return faults;
    }
    let document = crate::xml::parse(&source.bytes, &mut Diagnostics::new());
    faults.move_to(|d| {
        let (_, element) = CULPRITS.iter().find(|(words, _)| d.message.starts_with(words))?;
        Some(document.root()?.child(element)?.whole())
    });
    faults
}

fn agree_on_categories(units: &mut [Unit], there: &mut [Plan], words: &[String], world: &World<'_>) {
    let mut members: Vec<categories::Member<'_>> = (there.iter_mut().zip(words))
        .map(|(plan, words)| categories::Member { file: words, plan, settled: true })
        .collect();
    let before = members.len();
    let mut places = Vec::new();
    for (at, unit) in units.iter_mut().enumerate() {
        let Some(plan) = unit.compiled.plan.as_mut().filter(|_| unit.ready) else { continue };
        members.push(categories::Member { file: &unit.source.name, plan, settled: false });
        places.push(at);
    }
    let faults = categories::settle(&mut members, &world.host.security.selinux.range);
    for (at, faults) in places.into_iter().zip(faults.into_iter().skip(before)) {
        units[at].compiled.diags.extend(faults);
    }
}

/// A machine of the tree that would be replaced by one that has only its name.
fn another_file(units: &mut [Unit], there: &There<'_>) {
    let folders = folders(units);
    for machine in there.machines {
        let (Some(at), Some(source), Some(uuid)) = (folders.get(&machine.folder), machine.source(), machine.uuid())
        else {
            continue;
        };
        let unit = &mut units[*at];
        let Some(plan) = unit.plan() else { continue };
        let same_file = plain(&unit.source.name) == source;
        if same_file || plan.uuid == uuid || !Path::new(source).is_file() {
            continue;
        }
        let cause = plan.qemu().map(|q| q.cause.clone()).unwrap_or_default();
        let message = format!("{} has a machine '{}' already, which is made from {source}", there.name, plan.name);
        let error = unit.compiled.diags.error(&fleet_codes::OF_ANOTHER_FILE, span(&cause), message);
        error.elsewhere(source, 0, "that one").help("give one of them another <name>");
    }
}

fn span(cause: &Cause) -> Span {
    if cause.line > 0 { cause.span } else { Span::NONE }
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
        let inner = self.base.and_then(|base| path.strip_prefix(base).ok()).unwrap_or(path);
        plain(&inner.display().to_string())
    }
}

/// What the outputs are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be written.
    Texts,
    /// To find what no output can express, and what two domains would write.
    Faults,
}

/// The outputs of all domains, by path. What no output can express, and what two of them would write, is added to their faults.
pub fn emit(
    units: &mut [Unit],
    world: &World<'_>,
    naming: &Naming<'_>,
    purpose: Purpose,
) -> Result<Vec<Artifact>, Exit> {
    // One's own templates may have faults, too.
    let (templates, template_files) = match purpose {
        Purpose::Faults if world.shared.templates.is_none() => (Templates::unfilled(), Vec::new()),
        _ => templates(world)?,
    };
    let emitted: Vec<(Vec<Artifact>, Diagnostics)> =
        each(units.iter().collect(), |unit| emit_unit(unit, world, &templates, &template_files, naming));
    let mut all: BTreeMap<String, (usize, Artifact)> = BTreeMap::new();
    for (at, (tree, faults)) in emitted.into_iter().enumerate() {
        units[at].compiled.diags.extend(faults);
        for artifact in tree {
            match all.get(&artifact.path) {
                Some((_, first)) if *first == artifact => {}
                Some(&(first, _)) => same_file(units, at, first, &artifact.path),
                None => drop(all.insert(artifact.path.clone(), (at, artifact))),
            }
        }
    }
    Ok(all.into_values().map(|(_, artifact)| artifact).collect())
}

/// Two domains would write one file with different contents.
fn same_file(units: &mut [Unit], at: usize, first: usize, path: &str) {
    let place = |unit: &Unit| unit.plan().and_then(Plan::qemu).map(|q| q.cause.clone()).unwrap_or_default();
    let there = place(&units[first]);
    let file = units[first].source.name.clone();
    let here = span(&place(&units[at]));
    // That these are one machine is told already; all of its files follow.
    let (Some(one), Some(other)) = (units[first].plan(), units[at].plan()) else { return };
    if one.uuid == other.uuid || one.name == other.name {
        return;
    }
    let message = format!("this domain and {file} both make the file '{path}', not with the same contents");
    let error = units[at].compiled.diags.error(&codes::SAME_FILE, here, message);
    error.elsewhere(file, there.line, "the first is here").help("give one of the domains another name");
}

fn emit_unit(
    unit: &Unit,
    world: &World<'_>,
    templates: &Templates,
    template_files: &[PathBuf],
    naming: &Naming<'_>,
) -> (Vec<Artifact>, Diagnostics) {
    let mut diags = Diagnostics::new();
    let (Some(plan), Some(domain)) = (unit.plan(), &unit.compiled.domain) else { return (Vec::new(), diags) };
    let domain_xml = if templates.are_unfilled() { String::new() } else { crate::domain::print(domain) };
    let mut inputs = vec![naming.input(Path::new(&unit.source.name))];
    let lock = lock_file(&unit.source).filter(|lock| lock.is_file());
    inputs.extend(lock.iter().chain(&world.read).chain(template_files).map(|p| naming.input(p)));
    let extras =
        Extras { domain_xml: &domain_xml, inputs: &inputs, source: &unit.source.bytes, target_prefix: &naming.prefix };
    let tree = emit::all(plan, &extras, templates, &mut diags);
    (tree, diags)
}

/// Everything that was found, as it is told; and how the command ends by it.
pub fn verdict(batch: Batch, shared: &Shared) -> (Vec<(Source, Diagnostics)>, Exit) {
    let mut exit = batch.exit;
    let mut reports = batch.unreadable;
    for Unit { source, mut compiled, .. } in batch.units {
        if shared.strict {
            compiled.diags.make_strict();
        }
        if compiled.diags.has_errors() || compiled.plan.is_none() {
            exit = exit.and(Exit::Input);
        }
        if !compiled.diags.is_empty() {
            reports.push((source, compiled.diags));
        }
    }
    (reports, exit)
}

/// Says how many files were looked at, and what was found in them.
pub fn summary(files: usize, reports: &[(Source, Diagnostics)]) {
    let of = |severity| reports.iter().flat_map(|(_, d)| d.iter()).filter(|d| d.severity == severity).count();
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut line = format!("{files} files, {}", number(of(Severity::Error), "error"));
    let warnings = of(Severity::Warning);
    if warnings > 0 {
        line += &format!(", {}", number(warnings, "warning"));
    }
    complain(&line);
}

/// The templates, some replaced by the files of `--templates`.
pub(super) fn templates(world: &World<'_>) -> Result<(Templates, Vec<PathBuf>), Exit> {
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

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_is_named_in_one_way() {
        for (given, plain) in
            [("./a.xml", "a.xml"), (".//./a/b.xml", "a/b.xml"), ("a.xml", "a.xml"), ("./", "./"), (".", ".")]
        {
            assert_eq!(super::plain(given), plain, "{given}");
        }
    }
}
