//! `virtc golden`: a folder of domains and the tree that they compile to, compared or renewed.

use super::build::outputs;
use super::compiled::Naming;
use super::diff::{Machine, report};
use super::inputs::{World, text_of};
use super::tree::Staging;
use super::{Exit, Shared, complain, print};
use crate::diff::classed;
use crate::emit::manifest::SHARE;
use crate::emit::{Artifact, describe};
use crate::plan::Plan;
use similar::TextDiff;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

// Arguments of `virtc golden`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Compare what the domains compile to with what is stored; exit status 3 if they differ
    Check(Folders),
    /// Store what the domains compile to
    Update(Folders),
}

#[derive(clap::Args)]
struct Folders {
    /// Folder with the domains, and with their host.kdl unless --host names another
    folder: PathBuf,
    /// Folder of the stored tree; `golden` in the folder of the domains unless given
    #[arg(long, value_name = "DIR")]
    stored: Option<PathBuf>,
    /// With `check`: how to print what differs
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
}

#[derive(clap::ValueEnum, Clone, Copy, Default, PartialEq, Eq)]
enum Shown {
    /// As `virtc diff` does
    #[default]
    Text,
    /// The outputs themselves, as a unified diff
    Unified,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        match &self.action {
            Action::Check(folders) | Action::Update(folders) => Some(&folders.folder),
        }
    }
}

/// Compares or renews.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let (folders, update) = match &args.action {
        Action::Check(folders) => (folders, false),
        Action::Update(folders) => (folders, true),
    };
    let mut shared = shared.clone();
    let facts = folders.folder.join("host.kdl");
    if shared.host.is_none() && facts.exists() {
        shared.host = Some(facts);
    }
    let stored = folders.stored.clone().unwrap_or_else(|| folders.folder.join("golden"));
    let tree = match compile(&folders.folder, &stored, &shared) {
        Ok(tree) => tree,
        Err(exit) => return exit,
    };
    if update { renew(&tree, &stored) } else { compare(&tree, &stored, folders.format) }
}

/// The tree of all domains of a folder, by path. Where something is stored, none may be left.
fn compile(folder: &Path, stored: &Path, shared: &Shared) -> Result<BTreeMap<String, Artifact>, Exit> {
    let world = World::load(shared)?;
    let naming = Naming { prefix: String::new(), base: Some(folder) };
    let artifacts = outputs(&[folder.to_path_buf()], &world, &naming, &|_| !stored_files(stored).is_empty())?;
    Ok(artifacts.into_iter().map(|a| (a.path.clone(), a)).collect())
}

/// Prints what differs: machine by machine what changed in the Plan, then the artifacts in which that does not show.
fn compare(tree: &BTreeMap<String, Artifact>, stored: &Path, format: Shown) -> Exit {
    let old = stored_files(stored);
    let mut paths: BTreeSet<&String> = tree.keys().chain(&old).collect();
    let mut out = match format {
        Shown::Text => changed_plans(tree, stored, &mut paths),
        Shown::Unified => String::new(),
    };
    for path in paths {
        let what = describe(path);
        match (text_of(&stored.join(path)), tree.get(path)) {
            (Ok(before), Some(after)) if before == after.contents => {}
            (Ok(before), Some(after)) => {
                out.push_str(&format!("{what}: {path}\n"));
                let diff = TextDiff::from_lines(&before, &after.contents);
                out.push_str(&diff.unified_diff().context_radius(2).header("stored", "compiled").to_string());
            }
            (Ok(_), None) => out.push_str(&format!("{what}: {path} is stored, but no domain makes it\n")),
            (Err(_), Some(_)) => out.push_str(&format!("{what}: {path} is new\n")),
            (Err(error), None) => out.push_str(&format!("{what}: {path} cannot be read: {error}\n")),
        }
    }
    if out.is_empty() { Exit::Done } else { print(&out).and(Exit::Differs) }
}

/// What changed in Plans, as `virtc diff` says it. What follows from it is taken from the list of paths: the artifacts of
/// these machines.
fn changed_plans(tree: &BTreeMap<String, Artifact>, stored: &Path, paths: &mut BTreeSet<&String>) -> String {
    let mut machines = Vec::new();
    let mut follow = 0;
    for path in tree.keys().filter(|path| path.ends_with("/plan.json")) {
        let Ok(before) = std::fs::read(stored.join(path)) else { continue };
        let Some(after) = tree.get(path).filter(|a| a.contents.as_bytes() != before) else { continue };
        // A Plan of another virtc cannot be compared: then the files are.
        let (Ok(old), Ok(new)) = (Plan::read(&before), Plan::read(after.contents.as_bytes())) else { continue };
        let found = classed(&old, &new);
        if found.is_empty() {
            continue;
        }
        let is_of = |path: &str| {
            let words = |c: char| matches!(c, '/' | '.' | '@');
            path.split(words).any(|word| {
                let word = word.strip_prefix("virtc-").or(word.strip_prefix("libvirt-")).unwrap_or(word);
                word == new.name
                    || word == new.uuid
                    || word.strip_prefix(new.name.as_str()).is_some_and(|r| r.starts_with('-'))
            })
        };
        let differs = |path: &str| tree.get(path).map(|a| a.contents.clone()) != text_of(&stored.join(path)).ok();
        paths.retain(|path| {
            let mine = is_of(path);
            follow += usize::from(mine && differs(path));
            !mine
        });
        machines.push(Machine { name: new.name.clone(), file: path.clone(), found, sides: None });
    }
    if machines.is_empty() {
        return String::new();
    }
    let titles = [format!("stored in {}", stored.display()), "compiled".to_string()];
    let mut out = report(&machines, &titles, false);
    out.push_str(&format!("{follow} files differ by that; --format unified shows them\n"));
    out
}

/// Stores the tree, and removes what no domain makes any more.
fn renew(tree: &BTreeMap<String, Artifact>, stored: &Path) -> Exit {
    if let Err(why) = is_ours(stored) {
        complain(&why);
        return Exit::Environment;
    }
    let write = || {
        let staging = Staging::new(stored)?;
        for artifact in tree.values() {
            staging.add(artifact)?;
        }
        let files: BTreeSet<String> = tree.keys().cloned().collect();
        let stale = stored_files(stored).into_iter().filter(|path| !files.contains(path)).collect();
        staging.commit(&files, &stale)
    };
    match write() {
        Ok(()) => Exit::Done,
        Err(fault) => {
            complain(&fault.to_string());
            Exit::Environment
        }
    }
}

/// Whether what is stored may be replaced: what no domain makes is removed, and that must be files of virtc.
fn is_ours(stored: &Path) -> Result<(), String> {
    let shown = stored.display();
    if stored.is_symlink() {
        return Err(format!("{shown} is a link: what is behind it is not replaced; --stored names the folder itself"));
    }
    let files = stored_files(stored);
    if files.is_empty() || files.iter().any(|path| path.starts_with(SHARE) && path.ends_with("/plan.json")) {
        return Ok(());
    }
    Err(format!(
        "{shown} holds files, and no tree of virtc ({}, for example): name another folder, or an empty one",
        files[0]
    ))
}

/// Every file below a folder, relative to it, by path; links are not followed. A folder that is not there holds none.
fn stored_files(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                // A staging folder is none of the tree's.
                if !entry.file_name().to_string_lossy().starts_with(".virtc-") {
                    folders.push(path);
                }
            } else if let Ok(inner) = path.strip_prefix(root) {
                files.push(inner.display().to_string());
            }
        }
    }
    files.sort();
    files
}
