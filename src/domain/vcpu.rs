//! Virtual CPUs and I/O threads.

use crate::bind::model;
pub use crate::schema::words::Placement;
use crate::vocab::{NumberSet, YesNo};

model! {
    /// `<vcpu>`: how many CPUs the guest can have.
    pub struct Vcpu = "vcpu" {
        attr placement: Placement = "placement",
        attr cpuset: NumberSet = "cpuset",
        attr current: u32 = "current",
        text count: u32,
    }
}

model! {
    /// `<vcpu>` of `<vcpus>`: one CPU.
    pub struct OneVcpu = "vcpu" {
        need id: u32 = "id",
        need enabled: YesNo = "enabled",
        attr hotpluggable: YesNo = "hotpluggable",
        attr order: u32 = "order",
    }
}

impl OneVcpu {
    /// Whether it can be plugged and unplugged while the guest runs.
    pub fn is_hotpluggable(&self) -> bool {
        self.hotpluggable.map_or(!self.is_enabled(), YesNo::is_yes)
    }

    /// Whether the CPU is there when the guest starts.
    pub fn is_enabled(&self) -> bool {
        self.enabled.is_none_or(YesNo::is_yes)
    }
}

model! {
    /// `<poll>`: how long an I/O thread polls before it sleeps, nanoseconds.
    pub struct Poll = "poll" {
        attr max: u64 = "max",
        attr grow: u64 = "grow",
        attr shrink: u64 = "shrink",
        attr weight: u32 = "weight",
    }
}

model! {
    /// `<iothread>`
    pub struct IoThread = "iothread" {
        need id: u32 = "id",
        attr thread_pool_min: u32 = "thread_pool_min",
        attr thread_pool_max: u32 = "thread_pool_max",
        child poll: Poll,
    }
}

impl IoThread {
    /// The id of the object in QEMU.
    pub fn object(&self) -> String {
        format!("iothread{}", self.id.unwrap_or(0))
    }
}

model! {
    /// `<defaultiothread>`: the main loop.
    pub struct DefaultIoThread = "defaultiothread" {
        attr thread_pool_min: u32 = "thread_pool_min",
        attr thread_pool_max: u32 = "thread_pool_max",
    }
}
