//! `virtc lock`: writes down what was chosen for a domain and its guest can see.

use super::check::expand;
use super::fix::replace;
use super::inputs::{Source, World, lock_file, read, report, text_of};
use super::{Exit, Shared, complain, print};
use crate::compile::Until;
use crate::diag::Diagnostics;
use crate::lock::{self, Lock};
use similar::TextDiff;
use std::path::{Path, PathBuf};

// Arguments of `virtc lock`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them; the lock of vm.xml is vm.lock beside it
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Give up the places of devices that are gone, and what else the XML does not ask for any more
    #[arg(long)]
    prune: bool,
    /// Take over what a machine of libvirt has: the output of `virsh dumpxml`
    #[arg(long, value_name = "XML", conflicts_with = "prune")]
    from: Option<PathBuf>,
    /// Show what would change, and change nothing; exit status 3 if anything would
    #[arg(long)]
    diff: bool,
    /// Change nothing, and fail if anything would change
    #[arg(long, conflicts_with = "diff")]
    locked: bool,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        self.files.first().map(PathBuf::as_path)
    }
}

/// Locks every file.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let mut world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    world.options.fresh_lock = true;
    if !world.options.target.is_standalone() {
        complain("a lock holds what virtc chooses; with --target libvirt the XML alone counts");
        return Exit::Usage;
    }
    let files: Vec<PathBuf> = args.files.iter().flat_map(|f| expand(f)).collect();
    if args.from.is_some() && files.len() != 1 {
        complain("--from is what one machine has: name one file");
        return Exit::Usage;
    }
    files.iter().fold(Exit::Done, |exit, file| exit.and(one(file, args, &world).unwrap_or_else(|failed| failed)))
}

fn one(file: &Path, args: &Args, world: &World<'_>) -> Result<Exit, Exit> {
    let source = read(file)?;
    let Some(place) = lock_file(&source) else {
        complain(&format!("'{}': a lock lies beside a file that ends with .xml", source.name));
        return Err(Exit::Usage);
    };
    let (before, old) = stored(&place, world.shared)?;
    let fresh = match &args.from {
        Some(from) => taken_over(from, &source, world)?,
        None => fresh(&source, old.as_ref(), args.prune, world)?,
    };
    let text = lock::write(&fresh);
    if text == before {
        return Ok(Exit::Done);
    }
    if args.diff || args.locked {
        let name = place.display().to_string();
        let diff = TextDiff::from_lines(&before, &text).unified_diff().header(&name, &name).to_string();
        let end = if args.locked { Exit::Input } else { Exit::Differs };
        return Ok(print(&diff).and(end));
    }
    replace(&place, text.as_bytes()).map_err(|fault| {
        complain(&format!("cannot write '{}': {fault}", place.display()));
        Exit::Environment
    })?;
    if !world.shared.quiet {
        let changes = old.as_ref().map(|old| old.changes(&fresh)).unwrap_or_default();
        let what = if old.is_some() { "changed" } else { "written" };
        complain(&format!("{} {what}", place.display()));
        changes.iter().for_each(|line| complain(&format!("  {line}")));
        stale(&fresh, &source, world);
    }
    Ok(Exit::Done)
}

/// The lock that is there: its text and what it says. An unreadable one is a fault, as it may be the only witness.
fn stored(place: &Path, shared: &Shared) -> Result<(String, Option<Lock>), Exit> {
    let text = match text_of(place) {
        Ok(text) => text,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok((String::new(), None)),
        Err(fault) => {
            complain(&format!("cannot read '{}': {fault}", place.display()));
            return Err(Exit::Environment);
        }
    };
    let mut diags = Diagnostics::new();
    let lock = lock::read(&text, &mut diags);
    report(&diags, &Source { name: place.display().to_string(), bytes: text.clone().into_bytes() }, shared);
    lock.map(|lock| (text, Some(lock))).ok_or(Exit::Input)
}

/// The lock of a domain as it is now.
fn fresh(source: &Source, old: Option<&Lock>, prune: bool, world: &World<'_>) -> Result<Lock, Exit> {
    // What virtc had added is asked for again only if the domain still needs it.
    let pruned = old.filter(|_| prune).map(Lock::pruned);
    let old = if prune { pruned.as_ref() } else { old };
    let mut compiled = world.compile_with(&source.bytes, Until::Planned, old);
    compiled.diags.retain(|_, d| d.code != &crate::diag::codes::lock::BEHIND);
    if world.shared.strict {
        compiled.diags.make_strict();
    }
    report(&compiled.diags, source, world.shared);
    let Some(domain) = compiled.domain.filter(|_| !compiled.diags.has_errors()) else { return Err(Exit::Input) };
    match prune {
        true => Ok(lock::take(&domain, compiled.plan.as_ref(), &compiled.locking.supplied, old, true)),
        false => compiled.locking.fresh.ok_or(Exit::Input),
    }
}

/// The lock that gives a domain what a machine of libvirt has.
fn taken_over(from: &Path, source: &Source, world: &World<'_>) -> Result<Lock, Exit> {
    let dump = read(from)?;
    let compiled = world.compile_with(&dump.bytes, Until::Planned, None);
    report(&compiled.diags, &dump, world.shared);
    let Some(domain) = compiled.domain.filter(|_| !compiled.diags.has_errors()) else { return Err(Exit::Input) };
    let taken = lock::take_over(&domain, &source.bytes);
    // What the domain has besides is locked with it.
    fresh(source, Some(&taken), false, world)
}

/// Names the devices whose places are kept though they are gone.
fn stale(fresh: &Lock, source: &Source, world: &World<'_>) {
    let compiled = world.compile_with(&source.bytes, Until::Resolved, Some(fresh));
    for at in &compiled.locking.supplied.stale {
        if let Some(entry) = fresh.devices.get(*at) {
            complain(&format!("  {} is gone, and its place is kept; --prune gives it up", entry.title()));
        }
    }
}
