//! Changes below a root: all of them or none, wherever they are interrupted.
//!
//! What is to be there is written beside its place, and what is there is copied into the store, before anything changes. The
//! renaming of the journal from `draft.json` to `ready.json` decides: an interrupted transaction is undone before it, and finished
//! behind it, by the next virtc that works on the root ([`interrupted`]) or, on a host that went down, by a unit at the next boot.
//! Every step may be repeated.

use crate::cli::tree::inside;
use crate::emit::manifest::is_place;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// Where deployments are remembered, below the root: a folder for each.
pub const STORE: &str = "var/lib/virtc/deployments";

/// What is to be at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file.
    File {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link: a unit that is enabled.
    Link(String),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Path below the root.
    pub path: String,
    /// What is to be there; `None` when it goes.
    pub new: Option<Content>,
}

/// What is done besides, on a host that runs: kept in the journal, so that who finishes can do it, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duties {
    /// Units that are stopped before their files go.
    pub stop: Vec<String>,
    /// Units that are started at the end.
    pub start: Vec<String>,
    /// Units that are restarted at the end.
    pub restart: Vec<String>,
}

/// A transaction on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Format version.
    version: u32,
    /// Whether it can be rolled back when it is done.
    keep: bool,
    /// What is done besides.
    pub duties: Duties,
    /// What changes, in order.
    entries: Vec<Entry>,
    /// Folders that were not there, outermost first.
    made: Vec<String>,
}

/// A change as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    path: String,
    /// Name of the file that lies beside the place, ready; none for what goes.
    draft: Option<String>,
    /// Whether something was there: its copy is in the store.
    replaces: bool,
}

const VERSION: u32 = 1;

/// Called before each step that changes something: tests stop there as SIGKILL would.
pub type Tick<'a> = &'a dyn Fn();

/// A fault of the file system, for a person.
pub type Fault = String;

/// The place of one deployment.
pub struct Store<'a> {
    root: &'a Path,
    /// Below the root.
    folder: String,
    tick: Tick<'a>,
}

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, Fault> {
    result.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

impl<'a> Store<'a> {
    /// That of a deployment with this name.
    pub fn new(root: &'a Path, deployment: &str, tick: Tick<'a>) -> Store<'a> {
        Store { root, folder: format!("{STORE}/{deployment}"), tick }
    }

    fn next(&self) -> PathBuf {
        self.root.join(&self.folder).join("next")
    }

    fn last(&self) -> PathBuf {
        self.root.join(&self.folder).join("last")
    }

    /// Prepares everything: nothing has changed yet that anybody looks at.
    pub fn prepare(&self, changes: &[Change], duties: Duties, keep: bool) -> Result<Journal, Fault> {
        self.checked(changes.iter().map(|c| c.path.as_str()))?;
        inside(self.root, Path::new(&format!("{}/next/x", self.folder))).map_err(|f| f.to_string())?;
        let next = self.next();
        (self.tick)();
        let (state, store) = (self.root.join("var/lib/virtc"), self.root.join(STORE));
        at(&state, fs::DirBuilder::new().recursive(true).mode(0o755).create(&state))?;
        // What was replaced may be for few eyes.
        at(&store, fs::DirBuilder::new().recursive(true).mode(0o700).create(&store))?;
        at(&next, fs::create_dir_all(&next))?;
        let journal = self.drafted(changes, duties, keep);
        let prepared = self.write(&journal, changes);
        if prepared.is_err() {
            let _ = self.undo(Some(&journal));
        }
        prepared.map(|()| journal)
    }

    fn drafted(&self, changes: &[Change], duties: Duties, keep: bool) -> Journal {
        let there = |path: &str| fs::symlink_metadata(self.root.join(path)).is_ok();
        let entry = |(number, change): (usize, &Change)| Entry {
            path: change.path.clone(),
            draft: change.new.as_ref().map(|_| format!(".virtc-new-{}-{number}", std::process::id())),
            replaces: there(&change.path),
        };
        let entries: Vec<Entry> = changes.iter().enumerate().map(entry).collect();
        let mut made = BTreeSet::new();
        for entry in entries.iter().filter(|e| e.draft.is_some()) {
            let folders = Path::new(&entry.path).ancestors().skip(1).filter(|p| !p.as_os_str().is_empty());
            made.extend(folders.map(|p| p.display().to_string()).filter(|p| !there(p)));
        }
        Journal { version: VERSION, keep, duties, entries, made: made.into_iter().collect() }
    }

    fn write(&self, journal: &Journal, changes: &[Change]) -> Result<(), Fault> {
        let next = self.next();
        let draft = next.join("draft.json");
        (self.tick)();
        let text = serde_json::to_vec_pretty(journal).unwrap_or_default();
        at(&draft, fs::write(&draft, text).and_then(|()| flush(&draft)))?;
        for folder in &journal.made {
            let folder = self.root.join(folder);
            (self.tick)();
            at(&folder, fs::DirBuilder::new().mode(0o755).create(&folder))?;
            at(&folder, fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)))?;
        }
        for entry in journal.entries.iter().filter(|e| e.replaces) {
            (self.tick)();
            let kept = next.join("old").join(&entry.path);
            at(&kept, kept.parent().map_or(Ok(()), fs::create_dir_all))?;
            at(&kept, copy(&self.root.join(&entry.path), &kept))?;
        }
        for (entry, change) in journal.entries.iter().zip(changes) {
            let (Some(place), Some(new)) = (self.draft_of(entry), &change.new) else { continue };
            (self.tick)();
            at(&place, put(&place, new))?;
        }
        at(&next, self.sync(journal))?;
        (self.tick)();
        let ready = next.join("ready.json");
        at(&ready, fs::rename(&draft, &ready))?;
        at(&ready, flush(&next))
    }

    /// Where the new file of an entry lies beside its place.
    fn draft_of(&self, entry: &Entry) -> Option<PathBuf> {
        let folder = Path::new(&entry.path).parent()?;
        Some(self.root.join(folder).join(entry.draft.as_ref()?))
    }

    /// Puts everything in its place. It can be called again.
    pub fn finish(&self, journal: &Journal) -> Result<(), Fault> {
        self.checked(journal.entries.iter().map(|e| e.path.as_str()))?;
        for entry in &journal.entries {
            let place = self.root.join(&entry.path);
            match self.draft_of(entry) {
                // Without a draft it is there already.
                Some(draft) => {
                    (self.tick)();
                    if fs::symlink_metadata(&draft).is_ok() {
                        at(&place, fs::rename(&draft, &place))?;
                    }
                }
                None => {
                    (self.tick)();
                    match fs::remove_file(&place) {
                        Err(e) if e.kind() != io::ErrorKind::NotFound => at(&place, Err(e))?,
                        _ => {}
                    }
                    self.tidy(&entry.path);
                }
            }
        }
        at(self.root, self.sync(journal))
    }

    /// Removes the folders above a file that has gone, where they are empty and virtc's.
    fn tidy(&self, path: &str) {
        for folder in Path::new(path).ancestors().skip(1) {
            let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let below =
                ["usr/share/virtc", "usr/lib/virtc", "etc/apparmor.d/libvirt"].iter().any(|f| folder.starts_with(f));
            let of_units = folder.starts_with("usr/lib/systemd") && name.ends_with(".slice.d");
            let of_links = folder.starts_with("etc/systemd/system") && name.starts_with("virtc.target.");
            if !(below || of_units || of_links) || fs::remove_dir(self.root.join(folder)).is_err() {
                break;
            }
        }
    }

    /// All is done: what was replaced is kept for a rollback, or nothing is.
    pub fn close(&self, journal: &Journal) -> Result<(), Fault> {
        let (next, last) = (self.next(), self.last());
        (self.tick)();
        at(&last, gone(fs::remove_dir_all(&last)))?;
        (self.tick)();
        if journal.keep {
            return at(&last, fs::rename(&next, &last));
        }
        // First that which says what to do.
        at(&next, gone(fs::remove_file(next.join("ready.json"))))?;
        (self.tick)();
        at(&next, fs::remove_dir_all(&next))?;
        for folder in [self.folder.as_str(), STORE, "var/lib/virtc"] {
            if fs::remove_dir(self.root.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Takes back what was prepared. Nothing else has changed.
    pub fn undo(&self, journal: Option<&Journal>) -> Result<(), Fault> {
        let next = self.next();
        let (draft, ready) = (next.join("draft.json"), next.join("ready.json"));
        (self.tick)();
        at(&draft, gone(fs::rename(&ready, &draft)))?;
        for entry in journal.iter().flat_map(|j| &j.entries) {
            let Some(place) = self.draft_of(entry) else { continue };
            (self.tick)();
            at(&place, gone(fs::remove_file(&place)))?;
        }
        for folder in journal.iter().flat_map(|j| j.made.iter().rev()) {
            (self.tick)();
            let _ = fs::remove_dir(self.root.join(folder));
        }
        (self.tick)();
        at(&next, gone(fs::remove_dir_all(&next)))?;
        for folder in [self.folder.as_str(), STORE, "var/lib/virtc"] {
            if fs::remove_dir(self.root.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// What was interrupted: one that is to be finished. One that is to be undone is undone.
    pub fn interrupted(&self) -> Result<Option<Journal>, Fault> {
        let next = self.next();
        if inside(self.root, Path::new(&format!("{}/next/x", self.folder))).is_err() || !next.exists() {
            return Ok(None);
        }
        let read = |name: &str| {
            let journal: Journal = serde_json::from_slice(&fs::read(next.join(name)).ok()?).ok()?;
            (journal.version == VERSION).then_some(journal)
        };
        if let Some(journal) = read("ready.json") {
            return Ok(Some(journal));
        }
        let draft = read("draft.json");
        if let Some(journal) = &draft {
            self.checked(journal.entries.iter().map(|e| e.path.as_str()))?;
        }
        self.undo(draft.as_ref()).map(|()| None)
    }

    /// Where what is replaced is kept, until all is done.
    pub fn kept(&self) -> PathBuf {
        self.next().join("old")
    }

    /// The changes of a journal that was found.
    pub fn changes_of(&self, journal: &Journal) -> Vec<Change> {
        let new = |entry: &Entry| {
            let draft = self.draft_of(entry)?;
            content(&draft).or_else(|| content(&self.root.join(&entry.path)))
        };
        journal.entries.iter().map(|e| Change { path: e.path.clone(), new: new(e) }).collect()
    }

    /// What puts back what the last deployment replaced; none if there was none.
    pub fn inverse(&self) -> Option<Vec<Change>> {
        inside(self.root, Path::new(&format!("{}/last/x", self.folder))).ok()?;
        let journal: Journal = serde_json::from_slice(&fs::read(self.last().join("ready.json")).ok()?).ok()?;
        let back = |entry: &Entry| {
            let kept = self.last().join("old").join(&entry.path);
            let new = if entry.replaces { Some(content(&kept)?) } else { None };
            Some(Change { path: entry.path.clone(), new })
        };
        journal.entries.iter().map(back).collect()
    }

    /// Journals are read by root: what stands in one is believed only where virtc writes.
    fn checked<'p>(&self, paths: impl Iterator<Item = &'p str>) -> Result<(), Fault> {
        for path in paths {
            if !is_place(path) && !is_link_place(path) {
                return Err(format!("{path:?} is no place of a file of virtc"));
            }
            inside(self.root, Path::new(path)).map_err(|fault| fault.to_string())?;
        }
        Ok(())
    }

    /// Writes out the file systems of everything that changes.
    fn sync(&self, journal: &Journal) -> io::Result<()> {
        let mut seen = BTreeSet::new();
        let folders = journal.entries.iter().filter_map(|e| Path::new(&e.path).parent().map(|p| self.root.join(p)));
        for folder in folders.chain([self.next()]) {
            let Some(folder) = folder.ancestors().find(|f| f.is_dir()) else { continue };
            if seen.insert(fs::metadata(folder)?.dev()) {
                flush(folder)?;
            }
        }
        Ok(())
    }
}

/// Whether a path is that of a link which enables a unit of virtc.
pub fn is_link_place(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("etc/systemd/system/") else { return false };
    let normal = Path::new(rest).components().all(|c| matches!(c, Component::Normal(_)));
    let wants = |folder: &str| folder.ends_with(".wants") || folder.ends_with(".requires");
    let unit = |name: &str| (name.starts_with("virtc-") || name.starts_with("virtc.")) && !name.contains('/');
    normal && !rest.chars().any(char::is_control) && rest.split_once('/').is_some_and(|(f, n)| wants(f) && unit(n))
}

/// What is at a path: a file or a link.
pub fn content(path: &Path) -> Option<Content> {
    let meta = fs::symlink_metadata(path).ok()?;
    if meta.is_symlink() {
        return Some(Content::Link(fs::read_link(path).ok()?.to_str()?.to_string()));
    }
    let bytes = meta.is_file().then(|| fs::read(path))?.ok()?;
    Some(Content::File { bytes, mode: meta.permissions().mode() & 0o7777 })
}

fn put(place: &Path, content: &Content) -> io::Result<()> {
    gone(fs::remove_file(place))?;
    match content {
        Content::Link(target) => std::os::unix::fs::symlink(target, place),
        Content::File { bytes, mode } => {
            fs::write(place, bytes)?;
            fs::set_permissions(place, fs::Permissions::from_mode(*mode))
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match content(from) {
        Some(content) => put(to, &content),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no regular file", from.display()))),
    }
}

/// That something is not there is as good as that it has gone.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn flush(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn file(text: &str) -> Option<Content> {
        Some(Content::File { bytes: text.into(), mode: 0o644 })
    }

    fn change(path: &str, new: Option<Content>) -> Change {
        Change { path: path.into(), new }
    }

    /// Everything below a root but the store.
    fn look(root: &Path) -> BTreeMap<String, Content> {
        let mut out = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().display().to_string();
                if fs::symlink_metadata(&path).unwrap().is_dir() {
                    if name != "var/lib/virtc" {
                        out.insert(name, Content::Link("a folder".into()));
                        folders.push(path);
                    }
                } else {
                    out.insert(name, content(&path).unwrap());
                }
            }
        }
        out
    }

    fn old_root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("usr/lib/systemd/system/virtc-a.service", "old a"),
            ("usr/share/virtc/gone/plan.json", "gone"),
            ("usr/lib/systemd/system/ssh.service", "not ours"),
            ("var/lib/x", "x"),
        ] {
            let place = root.path().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        }
        root
    }

    fn changes() -> Vec<Change> {
        vec![
            change("usr/lib/systemd/system/virtc-a.service", file("new a")),
            change("usr/lib/systemd/system/virtc-b.service", file("b")),
            change("usr/share/virtc/gone/plan.json", None),
            change("usr/share/virtc/b/cgroup/v2", file("limits")),
            change("etc/systemd/system/virtc.target.wants/virtc-b.service", Some(Content::Link("/usr/x".into()))),
        ]
    }

    fn deploy(root: &Path, tick: Tick<'_>) -> Result<(), Fault> {
        let store = Store::new(root, "default", tick);
        let journal = store.prepare(&changes(), Duties::default(), true)?;
        store.finish(&journal)?;
        store.close(&journal)
    }

    fn recover(root: &Path, tick: Tick<'_>) -> Result<(), Fault> {
        let store = Store::new(root, "default", tick);
        match store.interrupted()? {
            Some(journal) => store.finish(&journal).and_then(|()| store.close(&journal)),
            None => Ok(()),
        }
    }

    fn roll_back(root: &Path, tick: Tick<'_>) -> Result<(), Fault> {
        let store = Store::new(root, "default", tick);
        let Some(changes) = store.inverse() else { return Err("nothing to roll back".into()) };
        let journal = store.prepare(&changes, Duties::default(), false)?;
        store.finish(&journal)?;
        store.close(&journal)
    }

    /// Calls something that is killed at its step number `at`; whether it got as far.
    fn killed(at: usize, what: &dyn Fn(Tick<'_>) -> Result<(), Fault>) -> bool {
        let count = Cell::new(0);
        let tick = || {
            count.set(count.get() + 1);
            if count.get() == at {
                std::panic::resume_unwind(Box::new("killed"));
            }
        };
        catch_unwind(AssertUnwindSafe(|| what(&tick).unwrap())).is_err()
    }

    #[test]
    fn forth_and_back() {
        let root = old_root();
        let before = look(root.path());
        deploy(root.path(), &|| {}).unwrap();
        let after = look(root.path());
        assert_eq!(after["usr/lib/systemd/system/virtc-a.service"], file("new a").unwrap());
        assert!(!after.contains_key("usr/share/virtc/gone"));
        assert_eq!(after["usr/lib/systemd/system/ssh.service"], file("not ours").unwrap());
        roll_back(root.path(), &|| {}).unwrap();
        let mut back = look(root.path());
        // Folders of the system that are empty now harm nobody.
        back.retain(|path, _| !path.starts_with("etc"));
        assert_eq!(back, before);
        assert!(roll_back(root.path(), &|| {}).is_err());
        assert!(!root.path().join("var/lib/virtc").exists());
    }

    /// Killed at every step, and killed again at every step of what then puts it right: old or new.
    #[test]
    fn killed_anywhere_it_is_old_or_new() {
        let (old, new) = {
            let root = old_root();
            let old = look(root.path());
            deploy(root.path(), &|| {}).unwrap();
            (old, look(root.path()))
        };
        let mut seen = [0, 0];
        for step in 1.. {
            let root = old_root();
            if !killed(step, &|tick| deploy(root.path(), tick)) {
                assert!(step > 15, "{step} steps only");
                break;
            }
            let ready = root.path().join(STORE).join("default/next/ready.json").exists();
            if !ready && step < 5 {
                // Nobody who looks at units sees anything of it.
                assert_eq!(look(root.path())["usr/lib/systemd/system/virtc-a.service"], file("old a").unwrap());
            }
            for again in 1.. {
                if !killed(again, &|tick| recover(root.path(), tick)) {
                    break;
                }
            }
            let now = look(root.path());
            assert!(now == old || now == new, "killed at step {step}: {now:#?}");
            seen[usize::from(now == new)] += 1;
            // What is left lets the next one through.
            deploy(root.path(), &|| {}).unwrap();
            assert_eq!(look(root.path()), new, "deployed again behind step {step}");
        }
        assert!(seen[0] > 5 && seen[1] > 5, "{seen:?}");
    }

    #[test]
    fn a_rollback_can_be_killed_too() {
        for step in 1.. {
            let root = old_root();
            deploy(root.path(), &|| {}).unwrap();
            let new = look(root.path());
            let done = !killed(step, &|tick| roll_back(root.path(), tick));
            recover(root.path(), &|| {}).unwrap();
            let now = look(root.path());
            let is_old = now["usr/lib/systemd/system/virtc-a.service"] == file("old a").unwrap();
            assert!(now == new || (is_old && now.contains_key("usr/share/virtc/gone/plan.json")), "step {step}");
            assert_ne!(is_old, now.contains_key("usr/share/virtc/b/cgroup/v2"), "step {step}");
            if done {
                break;
            }
        }
    }

    #[test]
    fn no_path_leads_elsewhere() {
        let root = old_root();
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/lib/virtc")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("usr/lib/virtc/vfio")).unwrap();
        for path in ["etc/passwd", "../x", "/etc/x", "usr/lib/virtc/vfio/a.conf", "usr/lib/systemd/system/ssh.service"]
        {
            let store = Store::new(root.path(), "default", &|| {});
            assert!(store.prepare(&[change(path, file("x"))], Duties::default(), true).is_err(), "{path}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(is_link_place("etc/systemd/system/multi-user.target.wants/virtc.target"));
        assert!(!is_link_place("etc/systemd/system/multi-user.target.wants/ssh.service"));
        assert!(!is_link_place("etc/systemd/system/virtc-a.service"));
    }
}
