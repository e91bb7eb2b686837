//! Limits and placement on the host: `<memtune>`, `<cputune>`, `<numatune>`, `<blkiotune>`, `<resource>`.

use super::memory::Amount;
use super::vcpu::Placement;
use crate::bind::{Binder, Model, Part, Shape, model};
pub use crate::schema::words::{NumaMode, Scheduler};
use crate::vocab::{NumberSet, Value};
use crate::xml::{El, XmlWriter};

model! {
    /// `<device>` of `<blkiotune>`: limits of one block device of the host.
    pub struct BlkioDevice = "device" {
        leaf path: String = "path",
        leaf weight: u32 = "weight",
        leaf read_iops: u32 = "read_iops_sec",
        leaf write_iops: u32 = "write_iops_sec",
        leaf read_bytes: u64 = "read_bytes_sec",
        leaf write_bytes: u64 = "write_bytes_sec",
    }
}

model! {
    /// `<blkiotune>`
    pub struct Blkiotune = "blkiotune" {
        leaf weight: u32 = "weight",
        many devices: BlkioDevice,
    }
}

model! {
    /// `<memtune>`
    pub struct Memtune = "memtune" {
        child hard_limit: Amount = "hard_limit",
        child soft_limit: Amount = "soft_limit",
        child min_guarantee: Amount = "min_guarantee",
        child swap_hard_limit: Amount = "swap_hard_limit",
    }
}

model! {
    /// `<vcpupin>`
    pub struct VcpuPin = "vcpupin" {
        need vcpu: u32 = "vcpu",
        need cpuset: NumberSet = "cpuset",
    }
}

model! {
    /// `<emulatorpin>`
    pub struct EmulatorPin = "emulatorpin" {
        need cpuset: NumberSet = "cpuset",
    }
}

model! {
    /// `<iothreadpin>`
    pub struct IoThreadPin = "iothreadpin" {
        need iothread: u32 = "iothread",
        need cpuset: NumberSet = "cpuset",
    }
}

impl Scheduler {
    /// Whether it has priorities.
    pub fn has_priority(self) -> bool {
        matches!(self, Scheduler::Fifo | Scheduler::Rr)
    }
}

model! {
    /// `<vcpusched>`
    pub struct VcpuSched = "vcpusched" {
        need vcpus: NumberSet = "vcpus",
        need scheduler: Scheduler = "scheduler",
        attr priority: u32 = "priority",
    }
}

model! {
    /// `<iothreadsched>`
    pub struct IoThreadSched = "iothreadsched" {
        need iothreads: NumberSet = "iothreads",
        need scheduler: Scheduler = "scheduler",
        attr priority: u32 = "priority",
    }
}

model! {
    /// `<emulatorsched>`
    pub struct EmulatorSched = "emulatorsched" {
        need scheduler: Scheduler = "scheduler",
        attr priority: u32 = "priority",
    }
}

model! {
    /// `<cache>` of `<cachetune>`: a part of a cache of the host.
    pub struct CacheAllocation = "cache" {
        need id: u32 = "id",
        need level: u32 = "level",
        need kind: String = "type",
        need size: u64 = "size",
        attr unit: String = "unit",
    }
}

model! {
    /// `<monitor>` of `<cachetune>`.
    pub struct ResctrlMonitor = "monitor" {
        need level: u32 = "level",
        attr vcpus: NumberSet = "vcpus",
    }
}

model! {
    /// `<monitor>` of `<memorytune>` and `<energytune>`.
    pub struct BandwidthMonitor = "monitor" {
        attr vcpus: NumberSet = "vcpus",
    }
}

model! {
    /// `<cachetune>`
    pub struct Cachetune = "cachetune" {
        attr vcpus: NumberSet = "vcpus",
        many caches: CacheAllocation,
        many monitors: ResctrlMonitor,
    }
}

model! {
    /// `<node>` of `<memorytune>`: a part of the memory bandwidth of a node.
    pub struct BandwidthShare = "node" {
        need id: u32 = "id",
        need bandwidth: u32 = "bandwidth",
    }
}

model! {
    /// `<memorytune>`
    pub struct Memorytune = "memorytune" {
        attr vcpus: NumberSet = "vcpus",
        many nodes: BandwidthShare,
        many monitors: BandwidthMonitor,
    }
}

model! {
    /// `<energytune>`: energy that virtual CPUs take, measured.
    pub struct Energytune = "energytune" {
        attr vcpus: NumberSet = "vcpus",
        many monitors: BandwidthMonitor,
    }
}

model! {
    /// `<cputune>`
    pub struct Cputune = "cputune" {
        leaf shares: u64 = "shares",
        leaf period: u64 = "period",
        leaf quota: i64 = "quota",
        leaf global_period: u64 = "global_period",
        leaf global_quota: i64 = "global_quota",
        leaf emulator_period: u64 = "emulator_period",
        leaf emulator_quota: i64 = "emulator_quota",
        leaf iothread_period: u64 = "iothread_period",
        leaf iothread_quota: i64 = "iothread_quota",
        many vcpupins: VcpuPin,
        child emulatorpin: EmulatorPin,
        many iothreadpins: IoThreadPin,
        child emulatorsched: EmulatorSched,
        many vcpuscheds: VcpuSched,
        many iothreadscheds: IoThreadSched,
        many cachetunes: Cachetune,
        many memorytunes: Memorytune,
        many energytunes: Energytune,
    }
}

impl Cputune {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        Cputune { site: crate::xml::Site::NONE, ..self.clone() } == Cputune::default()
    }
}

impl NumaMode {
    /// QEMU's word for the policy of a memory backend.
    pub fn policy(self) -> &'static str {
        match self {
            NumaMode::Strict => "bind",
            NumaMode::Preferred => "preferred",
            NumaMode::Interleave => "interleave",
            NumaMode::Restrictive => "restrictive",
        }
    }
}

model! {
    /// `<memory>` of `<numatune>`: for all of the guest's memory.
    pub struct NumaMemory = "memory" {
        attr mode: NumaMode = "mode",
        attr nodeset: NumberSet = "nodeset",
        attr placement: Placement = "placement",
    }
}

model! {
    /// `<memnode>` of `<numatune>`: for one guest node.
    pub struct MemNode = "memnode" {
        need cellid: u32 = "cellid",
        attr mode: NumaMode = "mode",
        need nodeset: NumberSet = "nodeset",
    }
}

model! {
    /// `<numatune>`
    pub struct Numatune = "numatune" {
        child memory: NumaMemory,
        many memnodes: MemNode,
    }
}

/// `<resource>`: the cgroup under which the guest is put.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// `<partition>`
    pub partition: Option<String>,
    /// `<fibrechannel appid='…'>`
    pub appid: Option<String>,
    /// Where it stands.
    pub site: crate::xml::Site,
}

impl Part for Resource {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.partition = el.child("partition").and_then(|e| cx.text(e));
        self.appid = el.child("fibrechannel").and_then(|e| cx.need(e, "appid"));
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(partition) = &self.partition {
            out.leaf("partition", &partition.to_text());
        }
        if let Some(appid) = &self.appid {
            out.start("fibrechannel");
            out.attr("appid", appid);
            out.end();
        }
    }
    fn shape(shape: &mut Shape) {
        shape.leaf("partition");
        let mut fibrechannel = Shape::default();
        fibrechannel.attr("appid");
        shape.children.push(("fibrechannel", fibrechannel));
    }
}

impl Model for Resource {
    const ELEMENT: &'static str = "resource";
}
