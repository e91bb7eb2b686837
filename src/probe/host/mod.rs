//! Finds out the host facts of this machine: reads `/sys`, `/proc`, `/dev` and libvirt's own files.
//!
//! Everything is read below a root directory, so that the facts of another machine (an image, a backup)
//! can be gathered too; programs are only asked on the machine itself. What cannot be read is left at
//! its default: a fact that nobody knows must not stop anyone.

mod devices;
mod firmware;
mod hardware;
pub mod libvirt;
mod programs;

use crate::host::Host;
use std::path::{Path, PathBuf};

/// Where the facts are read, and how.
pub struct Source {
    root: PathBuf,
}

impl Source {
    /// The machine whose files are below `root`; `/` is this machine.
    pub fn new(root: &Path) -> Source {
        Source { root: root.to_path_buf() }
    }

    /// Whether it is this machine, whose programs can be asked.
    fn is_here(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a path of the machine is.
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn exists(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// The text of a file, without blanks around it.
    fn text(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.at(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_string())
    }

    /// A number that is alone in a file, decimal or `0x…`.
    fn number(&self, path: &str) -> Option<u64> {
        let text = self.text(path)?;
        match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// The names in a directory, sorted; none when it cannot be read.
    fn list(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.at(path)) else { return Vec::new() };
        let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The last part of what a symbolic link points to.
    fn link(&self, path: &str) -> Option<String> {
        let target = std::fs::read_link(self.at(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }
}

/// The facts of a machine, and remarks for the person who will edit them.
pub fn probe(source: &Source) -> (Host, Vec<String>) {
    let mut host = Host::default();
    let mut remarks = Vec::new();
    hardware::probe(source, &mut host, &mut remarks);
    devices::probe(source, &mut host);
    firmware::probe(source, &mut host);
    programs::probe(source, &mut host);
    libvirt::probe(source, &mut host, &mut remarks);
    (host, remarks)
}

#[cfg(test)]
mod tests;
