//! `virtc build`: domains to a tree that can be deployed.

use super::compiled::{self, Naming, Purpose, There};
use super::inputs::{World, report_beside};
use super::{Exit, LockArgs, MessageFormatName, Shared, complain, installed, makefile, tree};
use crate::emit::{Artifact, manifest};
use crate::fleet::inventory::{Fate, Present, left_over};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

// Arguments of `virtc build`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write the tree here [default: out]. What its inputs no longer make goes; what was made from others stays
    #[arg(short, long, value_name = "DIR", conflicts_with = "destdir")]
    output: Option<PathBuf>,
    /// Install below the root of a file system instead, as packages are built: no dependency files
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
    /// Take nothing away: machines whose files are gone, or make others now, stay in the tree
    #[arg(long)]
    keep: bool,
    /// Take away every machine that this build does not make
    #[arg(long, conflicts_with = "keep")]
    clean: bool,
    /// For this very host: ask its QEMU what it can do, and take its facts
    #[arg(long)]
    here: bool,
    #[command(flatten)]
    locks: LockArgs,
    /// Compile nothing, and print the rules by which make or ninja does, for exactly these inputs
    #[arg(long, value_enum, value_name = "TOOL")]
    emit: Option<makefile::Tool>,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        self.files.first().map(PathBuf::as_path)
    }
}

/// Compiles all files and writes the tree.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let shared = &shared.here(args.here).locks(args.locks);
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let output = args.output.as_deref().or(shared.output.as_deref()).unwrap_or(Path::new("out"));
    let target = args.destdir.as_deref().unwrap_or(output);
    if let Some(tool) = args.emit {
        return emit_rules(tool, args, &world, target);
    }
    let naming = Naming { prefix: format!("{}/", target.display()), base: None };
    let machines = installed::read(target);
    let emptied = installed::bytes(target, manifest::EMPTY).unwrap_or_default();
    let emptied = manifest::emptied(&String::from_utf8_lossy(&emptied));
    let there = There { name: target.display().to_string(), machines: &machines, emptied };
    let (mut artifacts, fates) = match artifacts(args, &world, &naming, &there) {
        Ok(made) => made,
        Err(exit) => return exit,
    };
    let with_fates: Vec<(&Present, Fate)> = machines.iter().zip(fates).collect();
    let stays = with_fates.iter().any(|(_, fate)| *fate == Fate::Stays);
    if artifacts.is_empty() && !stays {
        let named = args.files.iter().map(|folder| compiled::plain(&folder.display().to_string()));
        artifacts.push(manifest::empty(&named.chain(there.emptied.iter().cloned()).collect::<BTreeSet<_>>()));
    }
    if args.destdir.is_some() {
        artifacts.retain(|a| a.path.contains('/'));
    }
    let made: BTreeSet<String> = artifacts.iter().map(|a| a.path.clone()).collect();
    let mut gone = left_over(&with_fates, &made);
    gone.extend(Some(manifest::EMPTY.to_string()).filter(|file| !there.emptied.is_empty() && !made.contains(file)));
    match tree::write(target, &artifacts, &gone) {
        Ok(()) => {
            tell(&with_fates, &there, shared);
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

/// Prints rules for a build tool.
fn emit_rules(tool: makefile::Tool, args: &Args, world: &World<'_>, output: &Path) -> Exit {
    let files: Vec<PathBuf> = super::compiled::distinct(&args.files);
    if let Some(file) = files.iter().find(|f| !f.is_file()) {
        complain(&format!("'{}' is no file: rules are made for files", file.display()));
        return Exit::Environment;
    }
    let locks = files.iter().map(|f| f.with_extension("lock")).filter(|lock| lock.is_file() && !world.shared.unlocked);
    let mut read: Vec<PathBuf> = locks.chain(world.read.iter().cloned()).collect();
    let mut options = Vec::new();
    for (option, value) in
        [("--host", &world.shared.host), ("--caps", &world.shared.caps), ("--templates", &world.shared.templates)]
    {
        if let Some(value) = value {
            options.extend([option.to_string(), value.display().to_string()]);
        }
    }
    if let Some(uri) = &world.shared.connect {
        options.extend(["--connect".to_string(), uri.clone()]);
    }
    if !world.shared.target.is_standalone() {
        options.extend(["--target".to_string(), world.shared.target.to_string()]);
    }
    let flags = [(args.locks.locked, "--locked"), (args.locks.no_lock, "--no-lock"), (world.shared.strict, "--strict")];
    options.extend(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| (*flag).to_string()));
    read.dedup();
    match makefile::rules(tool, &makefile::Rules { files: &files, read: &read, output, options: &options }) {
        Ok(text) => super::print(&text),
        Err(fault) => {
            complain(&fault);
            Exit::Usage
        }
    }
}

/// Says which machines have gone, and why.
fn tell(machines: &[(&Present, Fate)], there: &There<'_>, shared: &Shared) {
    if shared.quiet || shared.message_format != MessageFormatName::Human {
        return;
    }
    for (machine, fate) in machines {
        let (name, source) = (machine.name(), machine.source().unwrap_or("its file"));
        match fate {
            Fate::Renamed => {
                complain(&format!("'{name}' goes from {}: {source} makes another machine now", there.name))
            }
            Fate::Removed => complain(&format!("'{name}' goes from {}: {source} is no input any more", there.name)),
            Fate::Stays if machine.plan.is_none() => complain(&format!(
                "'{name}' in {} has a plan that this virtc cannot read: whether it has something twice is not known; build it anew",
                there.name
            )),
            Fate::Rebuilt | Fate::Stays => {}
        }
    }
}

/// The tree of all files, by path, and what becomes of the machines that are there. Faults are told to the user; with any error there
/// is no tree.
fn artifacts(
    args: &Args,
    world: &World<'_>,
    naming: &Naming<'_>,
    there: &There<'_>,
) -> Result<(Vec<Artifact>, Vec<Fate>), Exit> {
    let mut batch = compiled::compile(&args.files, world, &|folder| there.had_of(folder));
    if batch.exit != Exit::Done && world.shared.message_format == MessageFormatName::Human {
        gone_input(args, there);
    }
    let mut fates = compiled::fates(there, &batch);
    for fate in &mut fates {
        match fate {
            Fate::Renamed | Fate::Removed if args.keep => *fate = Fate::Stays,
            // The root of a system may have machines from anywhere.
            Fate::Removed if args.destdir.is_some() => *fate = Fate::Stays,
            Fate::Stays if args.clean => *fate = Fate::Removed,
            _ => {}
        }
    }
    compiled::settle(&mut batch.units, there, &fates, world);
    let artifacts = compiled::emit(&mut batch.units, world, naming, Purpose::Texts)?;
    told(batch, world.shared).map(|()| (artifacts, fates))
}

/// Helps where an input is not there: it is how the last machine, or a single one, is taken away by mistake.
fn gone_input(args: &Args, there: &There<'_>) {
    for path in args.files.iter().filter(|path| path.as_os_str() != "-") {
        if path.is_dir() && compiled::distinct(std::slice::from_ref(path)) == [path.clone()] {
            complain(&format!(
                "{} has no machine that was made from {}: only a tree that had some may have none",
                there.name,
                path.display()
            ));
        }
        let file = compiled::plain(&path.display().to_string());
        let of_it = there.machines.iter().find(|m| m.source() == Some(file.as_str()));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Some(machine) = of_it.filter(|_| matches!(path.try_exists(), Ok(false))) {
            let (name, folder) = (machine.name(), folder.display());
            complain(&format!(
                "'{name}' in {} was made from it; to take it away, build the folder: {folder}",
                there.name
            ));
        }
    }
}

/// Tells what was found; the end of the command if there is an error.
fn told(batch: compiled::Batch, shared: &Shared) -> Result<(), Exit> {
    let files = batch.units.len() + batch.unreadable.len();
    let (reports, exit) = compiled::verdict(batch, shared);
    report_beside(&reports, shared);
    if exit == Exit::Done {
        return Ok(());
    }
    if files > 1 && !shared.quiet && shared.message_format == MessageFormatName::Human {
        compiled::summary(files, &reports);
    }
    Err(exit)
}

/// The tree that these files alone make, by path: for comparisons. Faults are told to the user; with any error there is no tree.
/// A manifest only repeats what the other files say.
pub fn outputs(
    files: &[PathBuf],
    world: &World<'_>,
    naming: &Naming<'_>,
    emptied: &dyn Fn(&Path) -> bool,
) -> Result<Vec<Artifact>, Exit> {
    let mut batch = compiled::compile(files, world, emptied);
    compiled::settle(&mut batch.units, &There::default(), &[], world);
    let mut artifacts = compiled::emit(&mut batch.units, world, naming, Purpose::Texts)?;
    told(batch, world.shared)?;
    artifacts.retain(|a| !a.path.ends_with(&format!("/{}", crate::emit::manifest::FILE)));
    Ok(artifacts)
}
