//! Writing trees of artifacts: complete or untouched.
//!
//! Artifacts go into a staging folder next to their place first. [`Staging::commit`] then puts them in
//! place: a new tree by renaming its folder, an existing one file by file, each by a rename, and when one
//! of them fails, those before it are put back. Dropping a [`Staging`] leaves the target as it was.

use crate::emit::Artifact;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// A tree on its way to its place.
pub struct Staging {
    target: PathBuf,
    folder: PathBuf,
    /// Whether the target was not there, so that the folder becomes it.
    fresh: bool,
}

/// An I/O fault, with the path that it was about.
#[derive(Debug)]
pub struct Fault {
    /// The path.
    pub path: PathBuf,
    /// What happened.
    pub error: io::Error,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot write {}: {}", self.path.display(), self.error)
    }
}

/// All files of a tree, relative to it, in order. What stands at its top (dependency files) is for make, not for the host.
pub fn collect(folder: &Path) -> Result<Vec<Artifact>, String> {
    let mut artifacts = Vec::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(next) = left.pop() {
        let failed = |path: &Path, e: io::Error| format!("cannot read {}: {e}", path.display());
        for entry in fs::read_dir(&next).map_err(|e| failed(&next, e))? {
            let path = entry.map_err(|e| failed(&next, e))?.path();
            let kind = fs::symlink_metadata(&path).map_err(|e| failed(&path, e))?;
            if kind.is_dir() {
                left.push(path);
                continue;
            }
            let Ok(inner) = path.strip_prefix(folder) else { continue };
            if inner.components().count() < 2 {
                continue;
            }
            if !kind.is_file() {
                return Err(format!("{} is not a regular file", path.display()));
            }
            let mode = kind.permissions().mode() & 0o7777;
            // No output of virtc is so: somebody has put it there.
            if mode & 0o7002 != 0 {
                let why = "a file of a tree has no special bits, and not everybody writes it";
                return Err(format!("{} has the mode {mode:o}: {why}", path.display()));
            }
            if inner.to_str().is_none_or(|name| name.chars().any(char::is_control)) {
                return Err(format!("{:?} is no name of a file of a tree", inner));
            }
            let contents = fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
            artifacts.push(Artifact { mode, ..Artifact::new(inner.display().to_string(), contents) });
        }
    }
    artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(artifacts)
}

/// Puts artifacts into their place below `target` and takes `gone` away: all of it, or nothing has changed.
pub fn write(target: &Path, artifacts: &[Artifact], gone: &BTreeSet<String>) -> Result<(), Fault> {
    let staging = Staging::new(target)?;
    for artifact in artifacts {
        staging.add(artifact)?;
    }
    let files: BTreeSet<String> = artifacts.iter().map(|a| a.path.clone()).collect();
    staging.commit(&files, gone)
}

/// Attaches a path to an I/O fault.
fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, Fault> {
    result.map_err(|error| Fault { path: path.to_path_buf(), error })
}

impl Staging {
    /// A staging folder for `target`: beside it when it is not there yet, else inside.
    pub fn new(target: &Path) -> Result<Staging, Fault> {
        let exists = match fs::metadata(target) {
            Ok(meta) if meta.is_dir() => true,
            Ok(_) => return at(target, Err(io::Error::from(io::ErrorKind::NotADirectory))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return at(target, Err(error)),
        };
        let place = match target.parent() {
            _ if exists => target,
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        at(place, fs::create_dir_all(place))?;
        let folder = place.join(format!(".virtc-{}", std::process::id()));
        // What a killed process with this number left.
        let _ = fs::remove_dir_all(&folder);
        at(target, fs::create_dir(&folder))?;
        at(&folder, fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)))?;
        Ok(Staging { target: target.to_path_buf(), folder, fresh: !exists })
    }

    /// Writes an artifact into the staging folder.
    pub fn add(&self, artifact: &Artifact) -> Result<(), Fault> {
        let path = self.new_files().join(relative(&artifact.path)?);
        if let Some(parent) = path.parent() {
            at(parent, fs::create_dir_all(parent))?;
        }
        at(&path, fs::write(&path, &artifact.contents))?;
        if artifact.mode != 0o644 {
            at(&path, fs::set_permissions(&path, fs::Permissions::from_mode(artifact.mode)))?;
        }
        Ok(())
    }

    fn new_files(&self) -> PathBuf {
        if self.fresh { self.folder.clone() } else { self.folder.join("new") }
    }

    /// Puts `files` in place and removes `stale` ones, all relative to the root.
    pub fn commit(self, files: &BTreeSet<String>, stale: &BTreeSet<String>) -> Result<(), Fault> {
        at(&self.folder, flush(&self.folder))?;
        if self.fresh {
            match fs::rename(&self.folder, &self.target) {
                // Another virtc has made it by now.
                Err(e) if matches!(e.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty) => {}
                result => return at(&self.target, result),
            }
        }
        let mut done = Vec::new();
        let result = self.install(files, stale, &mut done);
        if result.is_err() {
            for step in done.into_iter().rev() {
                step.undo();
            }
        }
        if result.is_ok() {
            stale.iter().for_each(|path| tidy(&self.target, path));
        }
        result.and_then(|()| at(&self.target, flush(&self.target)))
    }

    fn install(&self, files: &BTreeSet<String>, stale: &BTreeSet<String>, done: &mut Vec<Step>) -> Result<(), Fault> {
        let old = self.folder.join("old");
        for path in files.iter().chain(stale) {
            let inner = relative(path)?;
            inside(&self.target, &inner)?;
            let place = self.target.join(&inner);
            let new = self.new_files().join(&inner);
            if files.contains(path) && same(&new, &place) {
                continue;
            }
            for folder in missing_folders(&place) {
                match fs::create_dir(&folder) {
                    Ok(()) => done.push(Step::Made(folder)),
                    // Another virtc that writes into the same tree was faster.
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                    Err(error) => return at(&folder, Err(error)),
                }
            }
            if fs::symlink_metadata(&place).is_ok() {
                let kept = old.join(&inner);
                if let Some(parent) = kept.parent() {
                    at(parent, fs::create_dir_all(parent))?;
                }
                // A hard link keeps the old file, so that the place is never empty.
                at(&place, fs::hard_link(&place, &kept).or_else(|_| fs::copy(&place, &kept).map(drop)))?;
                done.push(Step::Replaced { kept, place: place.clone() });
            } else {
                done.push(Step::Added(place.clone()));
            }
            if files.contains(path) {
                at(&place, fs::rename(&new, &place))?;
            } else if let Err(error) = fs::remove_file(&place)
                && error.kind() != io::ErrorKind::NotFound
            {
                return at(&place, Err(error));
            }
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a commit of a fresh tree the folder is gone.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What was done, so that it can be undone.
enum Step {
    Made(PathBuf),
    Added(PathBuf),
    Replaced { kept: PathBuf, place: PathBuf },
}

impl Step {
    fn undo(self) {
        // Nothing more can be done when putting back fails too.
        let _ = match self {
            Step::Made(folder) => fs::remove_dir(folder),
            Step::Added(place) => fs::remove_file(place),
            Step::Replaced { kept, place } => fs::rename(kept, place),
        };
    }
}

/// A path below the root; a fault if it would leave it.
fn relative(path: &str) -> Result<PathBuf, Fault> {
    let inner = PathBuf::from(path);
    if inner.components().all(|c| matches!(c, Component::Normal(_))) && !path.is_empty() {
        return Ok(inner);
    }
    at(&inner, Err(io::Error::from(io::ErrorKind::InvalidInput)))
}

/// A fault if a link below the root leads out of it on the way to the folder of this path: what is written there would be
/// written to another place, the host's own for an image that is mounted somewhere.
pub fn inside(root: &Path, inner: &Path) -> Result<(), Fault> {
    let Ok(real) = fs::canonicalize(root) else { return Ok(()) };
    let folder = inner.parent().unwrap_or(Path::new(""));
    let there = folder.ancestors().map(|part| root.join(part)).find(|path| fs::symlink_metadata(path).is_ok());
    let Some(there) = there else { return Ok(()) };
    match fs::canonicalize(&there) {
        Ok(found) if found.starts_with(&real) => Ok(()),
        Ok(found) => {
            let why = format!("a link leads out of {}, to {}", root.display(), found.display());
            at(&there, Err(io::Error::new(io::ErrorKind::InvalidInput, why)))
        }
        Err(error) => at(&there, Err(error)),
    }
}

/// Folders above a path that are not there, outermost first.
fn missing_folders(path: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<PathBuf> = path
        .ancestors()
        .skip(1)
        .take_while(|p| !p.as_os_str().is_empty() && !p.exists())
        .map(Path::to_path_buf)
        .collect();
    missing.reverse();
    missing
}

/// Whether two files hold the same bytes and permissions.
fn same(new: &Path, place: &Path) -> bool {
    let mode =
        |path: &Path| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|m| m.permissions().mode());
    mode(new) == mode(place) && matches!((fs::read(new), fs::read(place)), (Ok(a), Ok(b)) if a == b)
}

/// Removes the folders above a file that has gone, as far as they are empty.
fn tidy(target: &Path, path: &str) {
    for folder in Path::new(path).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        if fs::remove_dir(target.join(folder)).is_err() {
            break;
        }
    }
}

/// Writes the file system of a folder out to its disk: once for all files of a tree.
fn flush(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(folder)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(path: &str, contents: &str) -> Artifact {
        Artifact::new(path, contents.to_string())
    }

    fn write(target: &Path, files: &[(&str, &str)], stale: &[&str]) -> Result<(), Fault> {
        let staging = Staging::new(target)?;
        for (path, contents) in files {
            staging.add(&artifact(path, contents))?;
        }
        let names = files.iter().map(|(path, _)| path.to_string()).collect();
        staging.commit(&names, &stale.iter().map(|s| s.to_string()).collect())
    }

    /// Every file below a folder with its text.
    fn list(root: &Path) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    out.push((name, fs::read_to_string(path).unwrap()));
                }
            }
        }
        out.sort();
        out
    }

    fn expect(root: &Path, files: &[(&str, &str)]) {
        let files: Vec<_> = files.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        assert_eq!(list(root), files);
    }

    #[test]
    fn a_new_tree_and_a_second_one_over_it() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("deep/out");
        write(&out, &[("a/b", "1"), ("c", "2")], &[]).unwrap();
        expect(&out, &[("a/b", "1"), ("c", "2")]);
        fs::write(out.join("foreign"), "x").unwrap();
        write(&out, &[("a/b", "3"), ("d/e", "4")], &["c", "never/there"]).unwrap();
        expect(&out, &[("a/b", "3"), ("d/e", "4"), ("foreign", "x")]);
        expect(root.path(), &[("deep/out/a/b", "3"), ("deep/out/d/e", "4"), ("deep/out/foreign", "x")]);
    }

    #[test]
    fn a_fault_leaves_everything_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        write(&out, &[("a", "1"), ("z", "2")], &[]).unwrap();
        // `z` becomes a folder that is not empty: a file cannot take its place.
        fs::remove_file(out.join("z")).unwrap();
        fs::create_dir_all(out.join("z/y")).unwrap();
        let fault = write(&out, &[("a", "changed"), ("new/file", "3"), ("z", "4")], &[]).unwrap_err();
        assert!(fault.to_string().contains("out/z"), "{fault}");
        expect(&out, &[("a", "1")]);
        assert!(!out.join("new").exists());
    }

    #[test]
    fn without_a_commit_nothing_is_there() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let staging = Staging::new(&out).unwrap();
        staging.add(&artifact("a", "1")).unwrap();
        drop(staging);
        expect(root.path(), &[]);
    }

    #[test]
    fn a_path_cannot_leave_the_tree() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::new(&root.path().join("out")).unwrap();
        for path in ["../x", "/etc/x", "a/../../x", ""] {
            assert!(staging.add(&artifact(path, "")).is_err(), "{path}");
        }
    }

    #[test]
    fn many_write_into_one_tree_at_once() {
        for round in 0..20 {
            let root = tempfile::tempdir().unwrap();
            let target = root.path().join("out");
            if round % 2 == 0 {
                fs::create_dir(&target).unwrap();
            }
            let start = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for number in 0..4 {
                    let (start, target) = (&start, &target);
                    scope.spawn(move || {
                        // Each as a process of its own would: with a folder of its own.
                        let fresh = !target.exists();
                        let folder = root_of(target, fresh).join(format!(".staging-{number}"));
                        fs::create_dir(&folder).unwrap();
                        let staging = Staging { target: target.clone(), folder, fresh };
                        let own = format!("usr/share/{number}/plan");
                        staging.add(&artifact("usr/lib/shared", "x")).unwrap();
                        staging.add(&artifact(&own, "y")).unwrap();
                        start.wait();
                        staging.commit(&BTreeSet::from(["usr/lib/shared".to_string(), own]), &BTreeSet::new()).unwrap();
                    });
                }
            });
            let names: Vec<String> = list(&target).into_iter().map(|(name, _)| name).collect();
            let all =
                ["usr/lib/shared", "usr/share/0/plan", "usr/share/1/plan", "usr/share/2/plan", "usr/share/3/plan"];
            assert_eq!(names, all);
        }
    }

    fn root_of(target: &Path, fresh: bool) -> PathBuf {
        if fresh { target.parent().unwrap().to_path_buf() } else { target.to_path_buf() }
    }
}
