//! The machine on which a domain will run: host facts.
//!
//! Invariant: a [`Host`] holds everything, besides the domain, the capabilities and the command line,
//! that can influence an output; the core asks nothing of the world. The format is `host.kdl`.

mod default;
mod fact;
mod facts;
mod files;
pub(crate) mod kdl;
mod lines;
mod machine;
mod network;
mod pci;
mod plain_kdl;
mod pool;
pub mod qemu_conf;
mod read;
pub mod reference;
mod rows;
mod security;
mod settings;
mod shipped;
mod storage;
mod write;

pub use default::{DEFAULT_USER, DEVICE_ACL};
pub use fact::Fact;
pub use facts::{parse_numbers, print_numbers};
pub use files::{DescriptorFile, HostFiles, NeededFiles, files_needed, in_order};
pub use lines::{Lines, print_size};
pub use machine::{HostCpu, Machine, Tpm, VhostNetPolicy};
pub use network::{DhcpRange, Forward, ForwardMode, Network, NetworkPort, Plug};
pub use pci::PciAddress;
pub use pool::{PoolAuth, PoolKind, StoragePool, Volume, VolumeKind};
pub use read::read;
pub use security::{Categories, Security, SelinuxPolicy};
pub use settings::{
    DeprecatedFeatures, Deprecation, Directories, Instance, InstanceMode, Ports, Process, Seccomp, SecurityDriver,
    Service,
};
pub use shipped::Distribution;
pub use storage::{Image, Link, Mount};
pub use write::write;

use crate::vocab::{Arch, Uuid, keywords, sum};

/// Host facts. The fields are named after the nodes of `host.kdl`.
#[derive(Clone, PartialEq, Debug)]
pub struct Host {
    /// Whether what these facts do not tell may be assumed: nobody gave them, or only the distribution. Not part of
    /// `host.kdl`: a file says what there is, and what it does not list is not there.
    pub open: bool,
    /// Directory that stands for `/` of the described machine, relative to the document.
    pub root: String,
    /// Where random bytes come from.
    pub random: Random,
    /// The wall clock.
    pub clock: Clock,
    /// First free port of each range.
    pub ports: Ports,
    /// The hardware.
    pub machine: Machine,
    /// Its NUMA nodes.
    pub numa: Numa,
    /// Mounts of hugetlbfs.
    pub hugepages: Vec<HugepageMount>,
    /// Environment of the launcher, in order.
    pub environment: Vec<(String, String)>,
    /// The instance: system-wide or a user's, and its switches.
    pub instance: Instance,
    /// How QEMU's process is run; not in the conformance pack's format, which knows only what shows in the
    /// argv.
    pub process: Process,
    /// How guests are confined.
    pub security: Security,
    /// Where per-domain files go.
    pub directories: Directories,
    /// What a VNC server does when the XML does not say.
    pub vnc: Service,
    /// What a SPICE server does when the XML does not say.
    pub spice: Service,
    /// What an RDP server does when the XML does not say.
    pub rdp: Service,
    /// TLS of character devices.
    pub chardev: Service,
    /// TLS of NBD disks.
    pub nbd: Service,
    /// TLS of VxHS disks.
    pub vxhs: Service,
    /// TLS of migration.
    pub migration: Service,
    /// TLS of backups.
    pub backup: Service,
    /// Where firmware is found.
    pub firmware: Firmware,
    /// Where vhost-user helpers are found.
    pub vhost_user: VhostUser,
    /// The TPM emulator; none when it is not installed.
    pub swtpm: Option<Swtpm>,
    /// nbdkit; none when it is not installed.
    pub nbdkit: Option<Nbdkit>,
    /// The VNC server that shows a D-Bus display; none when it is not installed.
    pub qemu_vnc: Option<String>,
    /// Secrets.
    pub secrets: Vec<Secret>,
    /// Virtual networks.
    pub networks: Vec<Network>,
    /// Storage pools.
    pub pools: Vec<StoragePool>,
    /// PCI devices.
    pub pci_devices: Vec<PciDevice>,
    /// SCSI generic nodes.
    pub scsi_devices: Vec<ScsiDevice>,
    /// Links that may stand in the way of a path.
    pub links: Vec<Link>,
    /// What headers of images say.
    pub images: Vec<Image>,
    /// Mounted file systems whose files have no labels of their own.
    pub mounts: Vec<Mount>,
    /// In what order machines are started.
    pub starts: Vec<Start>,
    /// Groups of descriptors that the launcher hands in.
    pub fd_groups: Vec<FdGroup>,
    /// Contents of the descriptor files; not part of `host.kdl`, filled in by the loader.
    pub files: HostFiles,
}

/// Source of the bytes that libvirt draws at random.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Random {
    /// From the name and UUID of the domain.
    #[default]
    Derived,
    /// Every request yields 00 01 02 …
    Counting,
    /// From these bytes and the name and UUID of the domain.
    Seed(Vec<u8>),
}

/// The wall clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clock {
    /// Seconds since 1970 in UTC; none: the time of compiling.
    pub now: Option<i64>,
    /// POSIX TZ string.
    pub timezone: String,
}

/// NUMA of the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Numa {
    /// The nodes, by number. When the facts name none: one node 0 with all CPUs.
    pub nodes: Vec<NumaNode>,
    /// The nodes that `placement='auto'` yields; none: all.
    pub placement_advice: Option<Vec<u32>>,
}

/// A NUMA node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NumaNode {
    /// Its number.
    pub id: u32,
    /// Its CPUs; none: all of the host.
    pub cpus: Option<Vec<u32>>,
    /// Memory, bytes.
    pub memory: Option<u64>,
    /// Free memory, bytes.
    pub free: Option<u64>,
    /// Page sizes it has pools for, bytes.
    pub pages: Vec<u64>,
}

/// A mount of hugetlbfs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HugepageMount {
    /// Mount point.
    pub path: String,
    /// Page size, bytes.
    pub page_size: u64,
    /// Whether it is used when the XML names no size.
    pub default: bool,
}

/// Where firmware is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Firmware {
    /// The distribution whose descriptors are there besides those in the directories.
    pub shipped_by: Option<Distribution>,
    /// Directories of descriptors, lowest precedence first.
    pub descriptors: Vec<String>,
    /// Pairs known without a descriptor.
    pub nvram_templates: Vec<NvramTemplate>,
}

/// An executable and its variable store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NvramTemplate {
    /// The executable.
    pub code: String,
    /// The template of the variable store.
    pub vars: String,
}

/// Where vhost-user helpers are found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VhostUser {
    /// Directories of descriptors, lowest precedence first.
    pub descriptors: Vec<String>,
    /// Helpers and what they can do.
    pub helpers: Vec<VhostUserHelper>,
}

/// A vhost-user helper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VhostUserHelper {
    /// The program.
    pub path: String,
    /// What it serves.
    pub kind: VhostUserKind,
    /// What it answers to `--print-capabilities`.
    pub features: Vec<String>,
}

keywords! {
    /// What a vhost-user helper serves.
    pub enum VhostUserKind {
        Gpu = "gpu",
        Fs = "fs",
    }
}

/// The TPM emulator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Swtpm {
    /// Socket to connect to; none: `<run>/swtpm/<id>-<name>-swtpm.sock`.
    pub socket: Option<String>,
    /// Versions it offers: `1.2`, `2.0`.
    pub tpm_versions: Vec<String>,
}

/// nbdkit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nbdkit {
    /// The program.
    pub path: String,
    /// Whether network disks go through it.
    pub enabled: bool,
    /// Its plugins: `curl`, `ssh`.
    pub plugins: Vec<String>,
}

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// How it is found.
    pub key: SecretKey,
    /// The raw secret.
    pub value: String,
}

impl std::fmt::Debug for Secret {
    /// Without the value: a secret must not get into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("key", &self.key).finish_non_exhaustive()
    }
}

/// How a secret is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretKey {
    /// By UUID.
    Uuid(Uuid),
    /// By what it is for.
    Usage {
        /// What kind of thing.
        kind: SecretUsage,
        /// Which one.
        name: String,
    },
}

keywords! {
    /// What a secret is for.
    pub enum SecretUsage {
        Volume = "volume",
        Ceph = "ceph",
        Iscsi = "iscsi",
        Tls = "tls",
        Vtpm = "vtpm",
    }
}

/// A PCI device of the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PciDevice {
    /// Its address.
    pub address: PciAddress,
    /// Vendor ID.
    pub vendor: Option<u16>,
    /// Device ID.
    pub device: Option<u16>,
    /// Class, 24 bits.
    pub class: Option<u32>,
    /// IOMMU group.
    pub iommu_group: Option<u32>,
    /// Whether it is PCI Express.
    pub express: bool,
    /// The device of which this is a virtual function.
    pub physfn: Option<PciAddress>,
}

/// The SCSI generic node of a SCSI device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScsiDevice {
    /// Number of `scsi_host`.
    pub host: u32,
    /// Bus.
    pub bus: u32,
    /// Target.
    pub target: u32,
    /// Unit.
    pub unit: u64,
    /// Name of the node: `sg0`.
    pub sg: String,
}

/// What is started before a machine of this host, as its unit says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// The machine.
    pub name: String,
    /// Machines that it waits for, where they are started, too (`After=`).
    pub after: Vec<String>,
    /// Machines that are started with it (`Wants=`).
    pub wants: Vec<String>,
}

/// Descriptors that the launcher hands in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FdGroup {
    /// Name.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Whether they can be written to.
    pub writable: bool,
}

impl Host {
    /// What is started before the machine of this name.
    pub fn start(&self, name: &str) -> Option<&Start> {
        self.starts.iter().find(|s| s.name == name)
    }

    /// Whether a machine would wait for itself, if it waited for this one.
    fn waits_for(&self, name: &str, first: &str) -> bool {
        let mut seen = vec![first];
        let mut at = 0;
        while let Some(&here) = seen.get(at) {
            if here == name {
                return true;
            }
            for next in self.start(here).iter().flat_map(|s| &s.after) {
                if !seen.contains(&next.as_str()) {
                    seen.push(next);
                }
            }
            at += 1;
        }
        false
    }

    /// The helper program that the facts name in place of the usual one: `pr`, `dbus`.
    pub fn helper_program(&self, name: &str) -> Option<&str> {
        self.process.helpers.iter().find(|(n, _)| n == name).map(|(_, path)| path.as_str())
    }

    /// The value of a variable of the launcher's environment.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Sets a variable of the launcher's environment (`--env`): in its place, or at the end.
    pub fn set_env(&mut self, name: &str, value: &str) {
        match self.environment.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value.to_string(),
            None => self.environment.push((name.to_string(), value.to_string())),
        }
    }

    /// The secret with this UUID.
    pub fn secret_by_uuid(&self, uuid: Uuid) -> Option<&Secret> {
        self.secrets.iter().find(|s| s.key == SecretKey::Uuid(uuid))
    }

    /// The secret for this use.
    pub fn secret_by_usage(&self, usage: SecretUsage, wanted: &str) -> Option<&Secret> {
        self.secrets
            .iter()
            .find(|s| matches!(&s.key, SecretKey::Usage { kind, name } if *kind == usage && name == wanted))
    }

    /// The network with this name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|n| n.name == name)
    }

    /// The storage pool with this name.
    pub fn pool(&self, name: &str) -> Option<&StoragePool> {
        self.pools.iter().find(|p| p.name == name)
    }

    /// The PCI device at this address, when the facts list it.
    pub fn pci_device(&self, address: PciAddress) -> Option<&PciDevice> {
        self.pci_devices.iter().find(|d| d.address == address)
    }

    /// The SCSI generic node of a SCSI device.
    pub fn scsi_generic(&self, host: u32, bus: u32, target: u32, unit: u64) -> Option<&str> {
        self.scsi_devices
            .iter()
            .find(|d| (d.host, d.bus, d.target, d.unit) == (host, bus, target, unit))
            .map(|d| d.sg.as_str())
    }

    /// The group of descriptors with this name.
    pub fn fd_group(&self, name: &str) -> Option<&FdGroup> {
        self.fd_groups.iter().find(|g| g.name == name)
    }

    /// The mount whose pages have this size, bytes.
    pub fn hugepage_mount(&self, page_size: u64) -> Option<&HugepageMount> {
        self.hugepages.iter().find(|m| m.page_size == page_size)
    }

    /// The mount that serves when the XML names no page size: the one marked so, or else the first.
    pub fn default_hugepage_mount(&self) -> Option<&HugepageMount> {
        self.hugepages.iter().find(|m| m.default).or(self.hugepages.first())
    }

    /// The vhost-user helper at this path.
    pub fn vhost_user_helper(&self, path: &str) -> Option<&VhostUserHelper> {
        self.vhost_user.helpers.iter().find(|h| h.path == path)
    }

    /// The template of the variable store that belongs to this executable, by `nvram-template`.
    pub fn nvram_template(&self, code: &str) -> Option<&NvramTemplate> {
        self.firmware.nvram_templates.iter().find(|t| t.code == code)
    }
}

impl Numa {
    /// Whether the host has the node.
    pub fn has(&self, id: u32) -> bool {
        self.node(id).is_some()
    }

    /// The node with this number.
    pub fn node(&self, id: u32) -> Option<&NumaNode> {
        self.nodes.iter().find(|n| n.id == id)
    }

    /// The nodes that hold at least one of these CPUs, ascending.
    pub fn nodes_of_cpus(&self, cpus: &[u32]) -> Vec<u32> {
        let holds = |node: &&NumaNode| node.cpus.as_ref().is_none_or(|own| own.iter().any(|c| cpus.contains(c)));
        let mut ids: Vec<u32> = self.nodes.iter().filter(holds).map(|n| n.id).collect();
        ids.sort_unstable();
        ids
    }

    /// The nodes that `placement='auto'` yields.
    pub fn advice(&self) -> Vec<u32> {
        self.placement_advice.clone().unwrap_or_else(|| self.nodes.iter().map(|n| n.id).collect())
    }
}

impl Random {
    /// The first `count` bytes of the source for one request: `salt` tells requests apart and is not
    /// used by `Counting`; `identity` is the name and UUID of the domain.
    pub fn bytes(&self, identity: &str, salt: &str, count: usize) -> Vec<u8> {
        match self {
            Random::Counting => (0..count).map(|i| i as u8).collect(),
            Random::Derived => derive(&[], identity, salt, count),
            Random::Seed(seed) => derive(seed, identity, salt, count),
        }
    }
}

/// Bytes that depend on all arguments and on nothing else: FNV-1a of the input spread by
/// SplitMix64. They serve as identifiers and placeholders, not as key material.
fn derive(seed: &[u8], identity: &str, salt: &str, count: usize) -> Vec<u8> {
    // The length keeps ("ab", "c") apart from ("a", "bc").
    let parts = [seed, identity.as_bytes(), salt.as_bytes()];
    let bytes = parts.iter().flat_map(|part| (part.len() as u64).to_le_bytes().into_iter().chain(part.iter().copied()));
    let mut state = sum(bytes);
    let mut out = Vec::with_capacity(count + 8);
    while out.len() < count {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(count);
    out
}
