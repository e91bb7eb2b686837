//! Where the machines of one instance are registered: a directory with a journal and a control socket each.

use super::errors::{Fault, fault};
use super::journal::{self, Entry, Header, Journal};
use super::process::ProcessRef;
use crate::diag::codes::run as codes;
use crate::plan::Instance;
use crate::vocab::sum;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The machines of one instance.
#[derive(Clone, Debug)]
pub struct Registry {
    base: PathBuf,
    instance: Instance,
}

/// One registered machine, as its journal tells.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whose journal it is.
    pub header: Header,
    /// Everything in the journal.
    pub entries: Vec<Entry>,
    /// Path of the journal.
    pub journal: PathBuf,
    /// Path of the runner's control socket.
    pub control: PathBuf,
    /// Whether its runner lives.
    pub supervised: bool,
    /// No runner of ours has started it: its systemd unit has.
    pub by_unit: bool,
}

impl Record {
    /// The QEMU process, if it was started and lives.
    pub fn qemu(&self) -> Option<ProcessRef> {
        if self.by_unit {
            return listener_of_unit(&self.header.monitor);
        }
        journal::processes(&self.entries)
            .filter(|(id, _)| *id == "qemu")
            .map(|(_, p)| p)
            .last()
            .filter(|p| p.is_alive())
    }

    /// Whether it got as far as running.
    pub fn is_ready(&self) -> bool {
        self.entries.contains(&Entry::Ready)
    }
}

impl Registry {
    /// The registry of an instance: below `/run/virtc` or `$XDG_RUNTIME_DIR/virtc`.
    /// `VIRTC_RUNTIME_DIR` names another directory, for tests and for containers.
    pub fn of(instance: Instance) -> Result<Registry, Fault> {
        if let Some(base) = std::env::var_os("VIRTC_RUNTIME_DIR").filter(|d| !d.is_empty()) {
            return Ok(Registry { base: PathBuf::from(base), instance });
        }
        let base = match instance {
            Instance::System => PathBuf::from("/run/virtc"),
            Instance::Session => match std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty()) {
                Some(dir) => Path::new(&dir).join("virtc"),
                None => {
                    let uid = rustix::process::getuid().as_raw();
                    PathBuf::from(format!("/run/user/{uid}/virtc"))
                }
            },
        };
        Ok(Registry { base, instance })
    }

    /// The registry below `base`.
    pub fn at(base: impl Into<PathBuf>, instance: Instance) -> Registry {
        Registry { base: base.into(), instance }
    }

    /// The directory that holds the registry.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Whose machines they are.
    pub fn instance(&self) -> Instance {
        self.instance
    }

    /// Where the values of secrets are looked for by default.
    pub fn secrets(&self) -> PathBuf {
        match self.instance {
            Instance::System => PathBuf::from("/etc/virtc/secrets"),
            Instance::Session => {
                let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
                var("XDG_CONFIG_HOME")
                    .or_else(|| var("HOME").map(|home| home.join(".config")))
                    .unwrap_or_else(|| PathBuf::from("/etc"))
                    .join("virtc/secrets")
            }
        }
    }

    /// The directory of journals. The dot keeps it apart from the machines' own directories beside it.
    fn machines(&self) -> PathBuf {
        self.base.join(".machines")
    }

    /// The journal's path for a machine of this name.
    pub fn journal(&self, name: &str) -> PathBuf {
        self.machines().join(format!("{}.journal", file_name(name)))
    }

    /// The control socket's path for a machine of this name.
    pub fn control(&self, name: &str) -> PathBuf {
        self.machines().join(format!("{}.qmp", file_name(name)))
    }

    /// Locks the journal of a machine of this name. `Ok(None)`: it runs already.
    pub fn claim(&self, name: &str) -> Result<Option<Journal>, Fault> {
        let machines = self.machines();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&self.base)
            .and_then(|()| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&machines))
            .map_err(|e| {
                let mut fault = fault(&codes::PREPARE, format!("cannot make {}: {e}", machines.display()));
                if e.kind() == std::io::ErrorKind::PermissionDenied {
                    fault.help("run as root, or as a user's own machine with --connect qemu:///session");
                }
                fault
            })?;
        self.trusted().map_err(|why| fault(&codes::FOREIGN, why))?;
        Journal::claim(&self.journal(name))
    }

    /// Whether the folder of the journals is our own; else whose it is.
    pub fn trusted(&self) -> Result<(), String> {
        let machines = self.machines();
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::DIRECTORY;
        let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(&machines);
        match opened {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!("{}: {error}", machines.display())),
            Ok(folder) => journal::own(&folder).map_err(|why| format!("{}: {why}", machines.display())),
        }
    }

    /// Keeps other starts waiting as long as the file is open.
    pub fn lock(&self) -> std::io::Result<std::fs::File> {
        let machines = std::fs::File::open(self.machines())?;
        rustix::fs::flock(&machines, rustix::fs::FlockOperation::LockExclusive)?;
        Ok(machines)
    }

    /// All registered machines, by name.
    pub fn list(&self) -> Vec<Record> {
        let mut records = self.journals();
        records.extend(self.of_units());
        records.sort_by(|a, b| a.header.name.cmp(&b.header.name));
        records
    }

    /// The machines that have a journal.
    pub fn journals(&self) -> Vec<Record> {
        if self.trusted().is_err() {
            return Vec::new();
        }
        let Ok(dir) = std::fs::read_dir(self.machines()) else { return Vec::new() };
        dir.filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "journal"))
            .map(|path| self.record(path))
            .filter(|record| !record.entries.is_empty() || !record.supervised)
            .collect()
    }

    /// The machine of this name (or UUID).
    pub fn find(&self, name: &str) -> Option<Record> {
        let path = self.journal(name);
        if path.exists() {
            return Some(self.record(path));
        }
        let monitor = self.base.join(name).join("monitor.sock");
        if !name.contains('/') && !name.starts_with('.') && listener_of_unit(&monitor).is_some() {
            return Some(self.unit_record(name.to_string(), monitor));
        }
        self.journals().into_iter().find(|r| !r.header.uuid.is_empty() && r.header.uuid == name)
    }

    fn record(&self, journal: PathBuf) -> Record {
        let supervised = Journal::is_held(&journal);
        let entries = Journal::read(&journal);
        let header = journal::header(&entries).cloned().unwrap_or_default();
        let control = journal.with_extension("qmp");
        Record { header, entries, journal, control, supervised, by_unit: false }
    }

    /// Machines that run without a journal: those whose unit systemd has started. They are known by the monitor in
    /// their run-time directory.
    fn of_units(&self) -> Vec<Record> {
        let Ok(dir) = std::fs::read_dir(&self.base) else { return Vec::new() };
        dir.filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let monitor = entry.path().join("monitor.sock");
            if name.starts_with('.') || self.journal(&name).exists() {
                return None;
            }
            listener_of_unit(&monitor)?;
            Some(self.unit_record(name, monitor))
        })
        .collect()
    }

    fn unit_record(&self, name: String, monitor: PathBuf) -> Record {
        let (journal, control) = (self.journal(&name), self.control(&name));
        let header = Header { name, monitor, ..Header::default() };
        Record { header, entries: Vec::new(), journal, control, supervised: false, by_unit: true }
    }
}

/// The process that listens at the monitor of a machine of systemd's: it has to run as the account whose folder it is. A QEMU that
/// was taken over by its guest could put a link to the socket of another program there, and have that one ended in its place.
fn listener_of_unit(socket: &Path) -> Option<ProcessRef> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let folder = socket.parent()?.symlink_metadata().ok().filter(|meta| meta.is_dir())?;
    socket.symlink_metadata().ok().filter(|meta| meta.file_type().is_socket())?;
    let stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    (peer.uid.as_raw() == folder.uid()).then(|| ProcessRef::of(peer.pid.as_raw_nonzero().get()))
}

/// The process that listens on a socket.
pub(super) fn listener(socket: &Path) -> Option<ProcessRef> {
    let stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    Some(ProcessRef::of(peer.pid.as_raw_nonzero().get()))
}

/// The QEMU whose monitor a socket is: that of a machine of ours, or whoever listens there.
pub fn qemu_at(monitor: &Path) -> Option<ProcessRef> {
    let same = |record: &Record| {
        let own = record.header.monitor.canonicalize().ok();
        own.is_some() && own == monitor.canonicalize().ok()
    };
    // A runner stands between QEMU and those who come.
    let instances = [Instance::System, Instance::Session].into_iter();
    let registries = instances.filter_map(|instance| Registry::of(instance).ok());
    let ours = registries.flat_map(|registry| registry.list()).find(same);
    ours.map_or_else(|| listener(monitor), |record| record.qemu())
}

/// A file name for a domain's name: unsafe bytes as `%XX`; a long name is cut and told apart by a sum.
/// Socket paths are limited to 107 bytes, so it stays below 50.
pub(super) fn file_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => out.push(byte as char),
            b'.' if !out.is_empty() => out.push('.'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    if out.len() > 48 {
        // No attack matters here: a clash is a refused start.
        out.truncate(31);
        out.push_str(&format!("~{:016x}", sum(name.bytes())));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_safe_file_names() {
        assert_eq!(file_name("web-1.example"), "web-1.example");
        assert_eq!(file_name("../x"), "%2E.%2Fx");
        let long = "ä".repeat(200);
        assert!(file_name(&long).len() <= 48 && file_name(&long) != file_name(&"ä".repeat(201)));
    }

    #[test]
    fn machines_are_listed_with_the_life_of_their_runner() {
        let dir = tempfile::tempdir().expect("a directory");
        let registry = Registry::at(dir.path(), Instance::Session);
        assert!(registry.list().is_empty());
        let mut journal = registry.claim("b").expect("no fault").expect("free");
        let header = Header { name: "b".into(), ..Header::default() };
        journal.add(Entry::Machine(header)).expect("written");
        assert!(registry.list()[0].supervised);
        drop(journal);
        assert!(!registry.find("b").expect("listed").supervised);
        assert!(registry.find("c").is_none());
    }
    #[test]
    fn journals_of_others_are_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let registry = Registry::at(dir.path(), Instance::Session);
        let mut journal = registry.claim("b").expect("no fault").expect("free");
        journal.add(Entry::Machine(Header { name: "b".into(), ..Header::default() })).expect("written");
        drop(journal);
        let (file, folder) = (registry.journal("b"), registry.machines());
        let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
        let knows = || registry.journals().iter().any(|r| r.header.name == "b");
        assert!(knows());
        mode(&file, 0o666);
        assert!(!knows() && registry.claim("b").is_err(), "others can write the journal");
        mode(&file, 0o600);
        mode(&folder, 0o777);
        assert!(!knows() && registry.claim("b").is_err(), "others can write the folder");
        mode(&folder, 0o700);
        assert!(knows());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(12345), None).expect("given away");
            assert!(!knows() && registry.claim("b").is_err(), "a journal of somebody else");
            std::os::unix::fs::chown(&file, Some(0), None).expect("taken back");
            std::os::unix::fs::chown(&folder, Some(12345), None).expect("given away");
            assert!(!knows() && registry.claim("b").is_err(), "a folder of somebody else");
        }
    }

    #[test]
    fn a_planted_monitor_is_nobodys() {
        let dir = tempfile::tempdir().expect("a directory");
        let registry = Registry::at(dir.path(), Instance::System);
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        std::fs::create_dir_all(&own).and_then(|()| std::fs::create_dir(&other)).expect("made");
        let daemon = std::os::unix::net::UnixListener::bind(other.join("daemon.sock")).expect("listens");
        std::os::unix::fs::symlink(other.join("daemon.sock"), own.join("monitor.sock")).expect("planted");
        assert!(registry.find("own").is_none() && registry.list().is_empty(), "a link is followed");
        std::fs::remove_file(own.join("monitor.sock")).expect("removed");
        std::fs::rename(other.join("daemon.sock"), own.join("monitor.sock")).expect("moved");
        assert!(registry.find("own").is_some(), "one's own is known");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&own, Some(12345), None).expect("given away");
            assert!(registry.find("own").is_none(), "who listens is not the owner of the folder");
        }
        drop(daemon);
    }
}
