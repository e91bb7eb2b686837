//! Shared directories: 9p, virtiofs, and MTP over USB.

mod defaults;
pub(crate) mod family;
mod lower;
mod rules;
mod virtiofsd;

use super::info::{DeviceInfo, device};
use super::plug::VirtioModel;
use super::virtio::VirtioOptions;
use crate::bind::model;
pub use crate::schema::words::{
    FilesystemAccess, FilesystemCache, FilesystemType, FsDriver, MultiDevs, SandboxMode, WritePolicy,
};
use crate::vocab::{OnOff, Value};

/// Permission bits, in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Value for Mode {
    fn parse(text: &str) -> Result<Mode, String> {
        let bits = u32::from_str_radix(text.trim(), 8).ok().filter(|bits| *bits <= 0o777);
        bits.map(Mode).ok_or_else(|| "permission bits in octal, such as '0755'".to_string())
    }
    fn print(&self, out: &mut String) {
        use std::fmt::Write;
        let _ = write!(out, "{:04o}", self.0);
    }
}

model! {
    /// `<driver>` of a file system.
    pub struct Driver = "driver" {
        attr kind: FsDriver = "type",
        attr format: String = "format",
        attr name: String = "name",
        attr write_policy: WritePolicy = "wrpolicy",
        attr queue: u32 = "queue",
        part virtio: VirtioOptions,
    }
}

model! {
    /// `<cache>`
    pub struct CacheElement = "cache" {
        attr mode: FilesystemCache = "mode",
    }
}

model! {
    /// `<sandbox>`
    pub struct Sandbox = "sandbox" {
        attr mode: SandboxMode = "mode",
    }
}

model! {
    /// `<lock>`
    pub struct Lock = "lock" {
        attr posix: OnOff = "posix",
        attr flock: OnOff = "flock",
    }
}

model! {
    /// `<thread_pool>`
    pub struct ThreadPool = "thread_pool" {
        attr size: u32 = "size",
    }
}

model! {
    /// `<openfiles>`
    pub struct OpenFiles = "openfiles" {
        attr max: u64 = "max",
    }
}

model! {
    /// `<binary>`: the virtiofsd that serves, and its options.
    pub struct Binary = "binary" {
        attr path: String = "path",
        attr xattr: OnOff = "xattr",
        child cache: CacheElement,
        child sandbox: Sandbox,
        child lock: Lock,
        child thread_pool: ThreadPool,
        child open_files: OpenFiles,
    }
}

model! {
    /// `<uid>` or `<gid>` of `<idmap>`: a range of ids of the guest and where it is on the host.
    pub struct IdRange {
        need start: u32 = "start",
        need target: u32 = "target",
        need count: u32 = "count",
    }
}

model! {
    /// `<idmap>`
    pub struct IdMap = "idmap" {
        many uids: IdRange = "uid",
        many gids: IdRange = "gid",
    }
}

model! {
    /// `<source>` of a file system.
    pub struct FsSource = "source" {
        attr dir: String = "dir",
        attr socket: String = "socket",
    }
}

model! {
    /// `<target>`: what the guest mounts it by.
    pub struct FsTarget = "target" {
        need dir: String = "dir",
    }
}

model! {
    /// `<filesystem>`
    pub struct Filesystem = "filesystem" {
        attr kind: FilesystemType = "type",
        attr access_mode: FilesystemAccess = "accessmode",
        attr model: VirtioModel = "model",
        attr file_mode: Mode = "fmode",
        attr directory_mode: Mode = "dmode",
        attr multi_devs: MultiDevs = "multidevs",
        child driver: Driver,
        child binary: Binary,
        child idmap: IdMap,
        child source: FsSource,
        child target: FsTarget,
        flag readonly: bool = "readonly",
        part info: DeviceInfo,
    }
}

device!(Filesystem, "filesystem");

impl Filesystem {
    /// Who serves it.
    pub fn driver(&self) -> FsDriver {
        self.driver.as_ref().and_then(|d| d.kind).unwrap_or(FsDriver::Path)
    }

    /// The tag that the guest mounts it by.
    pub fn tag(&self) -> &str {
        self.target.as_ref().and_then(|t| t.dir.as_deref()).unwrap_or("")
    }

    /// The shared directory.
    pub fn dir(&self) -> &str {
        self.source.as_ref().and_then(|s| s.dir.as_deref()).unwrap_or("")
    }

    /// The socket of a virtiofsd that someone else starts.
    pub fn socket(&self) -> Option<&str> {
        self.source.as_ref().and_then(|s| s.socket.as_deref())
    }

    /// Whether virtiofs serves it, for which the guest's memory must be shared.
    pub fn is_virtiofs(&self) -> bool {
        self.driver() == FsDriver::Virtiofs
    }
}
