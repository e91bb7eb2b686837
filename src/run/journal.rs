//! The journal of one machine: what its runner changed on the host, so that it can be undone.
//!
//! A file of JSON lines, one an entry, written *before* the change it tells of. The runner holds an
//! advisory lock on it as long as it lives; the kernel drops the lock however the runner ends.
//! A journal without a lock belongs to a runner that was killed.

use super::errors::{Fault, fault};
use super::process::ProcessRef;
use crate::diag::codes::run as codes;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// One change on the host, or one fact about the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// The first line: whose journal it is.
    Machine(Header),
    /// A directory that was made; it goes when it is empty.
    Directory(PathBuf),
    /// A run-time directory that was made; it goes with all it holds.
    RunDirectory(PathBuf),
    /// A file that was made for this run only.
    File(PathBuf),
    /// A socket on which one of the processes listens.
    Socket(PathBuf),
    /// A network interface that was made.
    Link(String),
    /// A network interface whose traffic was shaped.
    Shaping(String),
    /// A control group that was made; it goes with those of its threads.
    Group(PathBuf),
    /// The owner of a file before it was changed.
    Owner(FileId, u32, u32),
    /// A file on whose access list a user was put.
    Access(FileId, u32),
    /// The SELinux label of a file before it was changed.
    Label(FileId, String),
    /// A process that was started.
    Process {
        /// Its id in the Plan.
        id: String,
        /// Its number and start.
        process: ProcessRef,
    },
    /// The file of an AppArmor profile that was loaded.
    Profile(PathBuf),
    /// The SELinux context that its processes get.
    Context(String),
    /// The machine runs: everything before has worked.
    Ready,
}

/// Whose journal it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Name of the domain.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// Title, if any.
    pub title: Option<String>,
    /// The runner.
    pub runner: ProcessRef,
    /// Start of the run, seconds since 1970.
    pub started: u64,
    /// QEMU's monitor socket.
    pub monitor: PathBuf,
    /// The QEMU was started by somebody else and adopted.
    pub adopted: bool,
}

/// A file, by its path and by what it was when it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// Its path, free of symbolic links.
    pub path: PathBuf,
    /// Its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// An open, locked journal.
pub struct Journal {
    file: File,
    path: PathBuf,
    entries: Vec<Entry>,
}

impl Journal {
    /// Opens and locks the journal at `path`, making it when missing. `Ok(None)`: another runner holds it.
    pub fn claim(path: &Path) -> Result<Option<Journal>, Fault> {
        let failed = |e: std::io::Error| fault(&codes::PREPARE, format!("cannot open {}: {e}", path.display()));
        loop {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create(true).mode(0o600).custom_flags(NO_LINK);
            let file = options.open(path).map_err(failed)?;
            own(&file).map_err(|why| fault(&codes::FOREIGN, format!("{}: {why}", path.display())))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(failed(error.into())),
            }
            // The former holder may have removed the file between our open and our lock.
            let ours = file.metadata().map_err(failed)?;
            if std::fs::metadata(path).is_ok_and(|m| m.ino() == ours.ino() && m.dev() == ours.dev()) {
                let entries = read_entries(&file);
                return Ok(Some(Journal { file, path: path.to_path_buf(), entries }));
            }
        }
    }

    /// Whether somebody holds the journal at `path`.
    pub fn is_held(path: &Path) -> bool {
        match open_own(path) {
            Some(file) => flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK),
            None => false,
        }
    }

    /// The entries of the journal at `path`, without holding it. A last line that was cut off is left out.
    pub fn read(path: &Path) -> Vec<Entry> {
        open_own(path).map(|file| read_entries(&file)).unwrap_or_default()
    }

    /// What is written so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an entry.
    pub fn add(&mut self, entry: Entry) -> Result<(), Fault> {
        let failed = |e: std::io::Error| fault(&codes::PREPARE, format!("cannot write {}: {e}", self.path.display()));
        let mut line = serde_json::to_vec(&entry).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Removes it, once everything is undone.
    pub fn remove(self) {
        // Still locked: nobody else can claim the name before the file is gone.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A path that is a link is not opened.
const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// Whether what an open file tells was told by us: it would have us kill processes and remove files. Else, whose it is.
pub fn own(file: &File) -> Result<(), String> {
    let meta = file.metadata().map_err(|e| e.to_string())?;
    let me = rustix::process::geteuid().as_raw();
    match meta.mode() & 0o022 {
        _ if meta.uid() != me => Err(format!("it belongs to the user {}, and is not trusted", meta.uid())),
        0 => Ok(()),
        _ => Err("others can write it, and it is not trusted".to_string()),
    }
}

/// The journal at `path`, if it is our own.
fn open_own(path: &Path) -> Option<File> {
    let file = OpenOptions::new().read(true).custom_flags(NO_LINK).open(path).ok()?;
    own(&file).is_ok().then_some(file)
}

fn read_entries(mut file: &File) -> Vec<Entry> {
    let mut text = String::new();
    if file.rewind().and_then(|()| file.read_to_string(&mut text)).is_err() {
        return Vec::new();
    }
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The header among `entries`.
pub fn header(entries: &[Entry]) -> Option<&Header> {
    entries.iter().find_map(|e| match e {
        Entry::Machine(header) => Some(header),
        _ => None,
    })
}

/// The processes among `entries`, in the order of their start.
pub fn processes(entries: &[Entry]) -> impl Iterator<Item = (&str, ProcessRef)> {
    entries.iter().filter_map(|e| match e {
        Entry::Process { id, process } => Some((id.as_str(), *process)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.journal");
        let mut first = Journal::claim(&path).expect("no fault").expect("free");
        assert!(Journal::claim(&path).expect("no fault").is_none());
        assert!(Journal::is_held(&path));
        first.add(Entry::Link("vnet0".into())).expect("written");
        drop(first);
        assert!(!Journal::is_held(&path));
        // A runner that was killed while writing leaves half a line.
        let mut file = OpenOptions::new().append(true).open(&path).expect("opened");
        file.write_all(b"{\"dir").expect("written");
        let second = Journal::claim(&path).expect("no fault").expect("free again");
        assert_eq!(second.entries(), [Entry::Link("vnet0".into())]);
        second.remove();
        assert!(!path.exists());
    }
}
