//! Resource limits and placement, in canonical units.

use super::Cause;
use crate::vocab::NumberSet;
use serde::{Deserialize, Serialize};

/// Limits of a domain. Absent values are not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limits {
    /// Number of virtual CPUs.
    pub vcpus: u32,
    /// Guest memory, bytes.
    pub memory: u64,
    /// Guest memory that comes from huge pages: bytes of memory, page size in bytes.
    pub hugepages: Vec<(u64, u64)>,
    /// `<shares>`, cgroup v1 scale (2..262144; 1024 is the default weight).
    pub cpu_shares: Option<u64>,
    /// `<period>` and `<quota>`, microseconds, of `global`, `vcpu`, `emulator`, `iothread`.
    pub cpu_bandwidth: Vec<(String, Option<u64>, Option<i64>)>,
    /// CPUs that all threads of the domain may use.
    pub cpuset: Option<NumberSet>,
    /// CPUs of single threads.
    pub pins: Vec<ThreadCpus>,
    /// Scheduling of single threads.
    pub schedules: Vec<ThreadSchedule>,
    /// Host NUMA policy of the domain's memory.
    pub numa: Option<MemoryPolicy>,
    /// `<hard_limit>`, bytes.
    pub memory_hard: Option<u64>,
    /// `<soft_limit>`, bytes.
    pub memory_soft: Option<u64>,
    /// `<swap_hard_limit>`, bytes, memory and swap together.
    pub memory_swap: Option<u64>,
    /// `<blkiotune><weight>`, 100..1000.
    pub io_weight: Option<u32>,
    /// `<blkiotune><device>`.
    pub io_devices: Vec<BlockDeviceLimit>,
    /// `<resource><partition>`.
    pub partition: Option<String>,
    /// Processes of the account, from the host facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_processes: Option<u32>,
    /// Open files of QEMU, from the host facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_files: Option<u32>,
    /// Tasks of the machine, from the host facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_threads: Option<u32>,
    /// Memory that QEMU may lock, bytes: devices of the host reach into all of the guest's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<u64>,
    /// Size of a core dump of QEMU, bytes, from the host facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_core: Option<u64>,
    /// Why, by field name, for the values above that the XML gives.
    pub causes: Vec<(String, Cause)>,
}

/// CPUs of one thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThreadCpus {
    /// `vcpu0`, `emulator`, `iothread1`.
    pub thread: String,
    /// The CPUs.
    pub cpus: NumberSet,
    /// Why.
    pub cause: Cause,
}

/// Scheduling of one thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThreadSchedule {
    /// `vcpu0`, `emulator`, `iothread1`.
    pub thread: String,
    /// `batch`, `idle`, `fifo`, `rr`.
    pub policy: String,
    /// 1..99 for `fifo` and `rr`.
    pub priority: Option<u32>,
}

/// Host NUMA policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryPolicy {
    /// `strict`, `preferred`, `interleave`, `restrictive`.
    pub mode: String,
    /// Host nodes.
    pub nodes: NumberSet,
}

/// Limits of one block device of the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlockDeviceLimit {
    /// Path of the device.
    pub path: String,
    /// 100..1000
    pub weight: Option<u32>,
    /// Reads per second.
    pub read_iops: Option<u64>,
    /// Writes per second.
    pub write_iops: Option<u64>,
    /// Bytes read per second.
    pub read_bytes: Option<u64>,
    /// Bytes written per second.
    pub write_bytes: Option<u64>,
}
