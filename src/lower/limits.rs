//! Limits and placement on the host: from the tuning elements to canonical units.

use crate::diag::codes::emit as codes;
use crate::domain::tuning::{Blkiotune, Cputune, Memtune, Numatune, Resource, Scheduler};
use crate::plan::{BlockDeviceLimit, Limits, MemoryPolicy, Need, ThreadCpus, ThreadSchedule, Use};
use crate::stage::Grant;
use crate::stage::Lower;
use crate::vocab::nodes::{self, Class};
use crate::vocab::{NumberSet, Value};
use crate::xml::Site;

/// libvirt's "no limit" (formatdomain, "Memory Tuning"): 2^53 - 1 KiB.
const UNLIMITED_KIB: u64 = 9_007_199_254_740_991;

/// Fills in the limits of the Plan.
pub fn limits(lx: &mut Lower<'_>) {
    let domain = lx.domain;
    let mut limits = std::mem::take(&mut lx.plan.limits);
    if let Some(vcpu) = &domain.vcpu {
        limits.cpuset = vcpu.cpuset.clone();
        note(lx, &mut limits, "cpuset", vcpu.site);
    }
    if let Some(tune) = &domain.cputune {
        cpu(tune, &mut limits, lx);
    }
    if let Some(tune) = &domain.memtune {
        memory(tune, &mut limits, lx);
    }
    if let Some(tune) = &domain.blkiotune {
        io(tune, &mut limits, lx);
    }
    if let Some(tune) = &domain.numatune {
        numa(tune, &mut limits, lx);
    }
    if let Some(resource) = &domain.resource {
        partition(resource, &mut limits, lx);
    }
    let process = &lx.env.host.process;
    let given = |number: u32| (number > 0).then_some(number);
    limits.max_processes = given(process.max_processes);
    limits.max_files = given(process.max_files);
    limits.max_threads = given(process.max_threads);
    limits.max_core = process.max_core;
    lx.plan.limits = limits;
}

/// The nodes that the host facts grant every guest, beyond those that a guest has anyway when it needs them.
pub fn granted_nodes(lx: &mut Lower<'_>) {
    let host = lx.env.host;
    for path in host.process.device_acl.iter().filter(|p| !crate::host::DEVICE_ACL.contains(&p.as_str())) {
        let what = "the host facts: device-acl";
        lx.touch(path, Grant::SYSTEM_NODE, Use::HostFacts, lx.domain.site, what);
        let needs: &[Need] = match Class::of(path) {
            Some(Class::Usb) => &[Need::Usb, Need::Netlink],
            Some(Class::Vfio) => &[Need::Vfio],
            Some(Class::Gpu) => &[Need::Gpu],
            _ if [nodes::SGX_VEPC, nodes::SGX_PROVISION].contains(&path.as_str()) => &[Need::Enclaves],
            _ => &[],
        };
        needs.iter().for_each(|need| lx.need(*need, lx.domain.site, what));
    }
}

/// Remembers what caused a field.
fn note(lx: &Lower<'_>, limits: &mut Limits, field: &str, site: Site) {
    limits.causes.push((field.to_string(), lx.cause(site, field.replace('_', " "))));
}

/// Refuses a value that no host could apply. Target `libvirt` takes what libvirt takes.
fn refuse(lx: &mut Lower<'_>, site: Site, message: String, help: &str) {
    if lx.env.is_guardian() {
        lx.error(&codes::OUT_OF_RANGE, site, message).help(help);
    }
}

fn cpu(tune: &Cputune, limits: &mut Limits, lx: &mut Lower<'_>) {
    limits.cpu_shares = tune.shares;
    note(lx, limits, "cpu_shares", tune.site);
    if tune.shares == Some(0) {
        refuse(lx, tune.site, "shares of 0 give the machine no CPU time".to_string(), "give a number from 2 to 262144");
    }
    for (who, period, quota) in [
        ("global", tune.global_period, tune.global_quota),
        ("vcpu", tune.period, tune.quota),
        ("emulator", tune.emulator_period, tune.emulator_quota),
        ("iothread", tune.iothread_period, tune.iothread_quota),
    ] {
        if period.is_some() || quota.is_some() {
            limits.cpu_bandwidth.push((who.to_string(), period, quota));
        }
    }
    note(lx, limits, "cpu_bandwidth", tune.site);
    pins(tune, limits, lx);
    schedules(tune, limits, lx);
}

/// On which CPUs of the host each thread runs.
fn pins(tune: &Cputune, limits: &mut Limits, lx: &mut Lower<'_>) {
    let mut all: Vec<(String, &Option<NumberSet>, Site)> = Vec::new();
    for pin in &tune.vcpupins {
        all.push((
            format!("vcpu{}", lx.must(pin.vcpu, "the number of a pinned vCPU", pin.site)),
            &pin.cpuset,
            pin.site,
        ));
    }
    all.extend(tune.emulatorpin.iter().map(|p| ("emulator".to_string(), &p.cpuset, p.site)));
    for pin in &tune.iothreadpins {
        let number = lx.must(pin.iothread, "the number of a pinned iothread", pin.site);
        all.push((format!("iothread{number}"), &pin.cpuset, pin.site));
    }
    for (thread, cpus, site) in all {
        if limits.pins.iter().any(|p| p.thread == thread) {
            refuse(lx, site, format!("{thread} is pinned twice"), "keep one of the two");
        }
        let cpus = lx.must(cpus.clone(), "the CPUs of a pinned thread", site);
        let cause = lx.cause(site, "pin");
        limits.pins.push(ThreadCpus { thread, cpus, cause });
    }
}

/// How the host schedules each thread.
fn schedules(tune: &Cputune, limits: &mut Limits, lx: &mut Lower<'_>) {
    let mut all: Vec<(String, Option<Scheduler>, Option<u32>, Site)> = Vec::new();
    for sched in &tune.vcpuscheds {
        let threads = lx.must(sched.vcpus.as_ref().map(Value::to_text), "the vCPUs of a <vcpusched>", sched.site);
        all.push((format!("vcpu{threads}"), sched.scheduler, sched.priority, sched.site));
    }
    for sched in &tune.iothreadscheds {
        let threads =
            lx.must(sched.iothreads.as_ref().map(Value::to_text), "the threads of an <iothreadsched>", sched.site);
        all.push((format!("iothread{threads}"), sched.scheduler, sched.priority, sched.site));
    }
    if let Some(sched) = &tune.emulatorsched {
        all.push(("emulator".to_string(), sched.scheduler, sched.priority, sched.site));
    }
    for (thread, policy, priority, site) in all {
        if let Some(priority) = priority.filter(|p| *p > 99) {
            let message = format!("the priority {priority} of {thread} is out of range");
            refuse(lx, site, message, "give a number up to 99");
        }
        let policy = lx.must(policy.map(|p| p.as_str().to_string()), "the scheduler of a thread", site);
        limits.schedules.push(ThreadSchedule { thread, policy, priority });
        note(lx, limits, "schedules", site);
    }
}

fn memory(tune: &Memtune, limits: &mut Limits, lx: &mut Lower<'_>) {
    let bytes = |amount: &Option<crate::domain::memory::Amount>| {
        amount.as_ref().map(|a| a.kib()).filter(|kib| *kib < UNLIMITED_KIB).map(|kib| kib * 1024)
    };
    limits.memory_hard = bytes(&tune.hard_limit);
    limits.memory_soft = bytes(&tune.soft_limit);
    limits.memory_swap = bytes(&tune.swap_hard_limit);
    for field in ["memory_hard", "memory_soft", "memory_swap"] {
        note(lx, limits, field, tune.site);
    }
}

fn io(tune: &Blkiotune, limits: &mut Limits, lx: &mut Lower<'_>) {
    limits.io_weight = tune.weight;
    note(lx, limits, "io_weight", tune.site);
    note(lx, limits, "io_devices", tune.site);
    for device in &tune.devices {
        let path = lx.must(device.path.clone(), "the <path> of a <device> of <blkiotune>", device.site);
        if limits.io_devices.iter().any(|d| d.path == path) {
            refuse(lx, device.site, format!("the device '{path}' has two sets of limits"), "keep one of the two");
        }
        if path.split('/').any(|part| part == "..") || !path.starts_with("/dev/") {
            let message = format!("'{path}' is no path of a block device below /dev");
            refuse(lx, device.site, message, "name the node below /dev");
        }
        limits.io_devices.push(BlockDeviceLimit {
            path,
            weight: device.weight,
            read_iops: device.read_iops.map(u64::from),
            write_iops: device.write_iops.map(u64::from),
            read_bytes: device.read_bytes,
            write_bytes: device.write_bytes,
        });
    }
}

fn numa(tune: &Numatune, limits: &mut Limits, lx: &mut Lower<'_>) {
    let Some(memory) = &tune.memory else { return };
    let Some(nodes) = memory.nodeset.clone() else { return };
    note(lx, limits, "numa", memory.site);
    if nodes.is_empty() {
        refuse(lx, memory.site, "the nodeset is empty".to_string(), "name at least one NUMA node of the host");
        return;
    }
    let mode = memory.mode.map_or("strict", |m| m.as_str()).to_string();
    limits.numa = Some(MemoryPolicy { mode, nodes });
}

fn partition(resource: &Resource, limits: &mut Limits, lx: &mut Lower<'_>) {
    let Some(partition) = &resource.partition else { return };
    let components: Vec<&str> = partition.split('/').skip(1).collect();
    let fits = partition.starts_with('/')
        && components.iter().all(|c| !matches!(*c, "" | "." | "..") && !c.chars().any(char::is_control));
    if !fits {
        let message = format!("the partition '{partition}' is not of the form /machine/name");
        refuse(lx, resource.site, message, "give an absolute path of plain components");
        return;
    }
    if matches!(components.first(), Some(&"system" | &"init.scope" | &"user")) {
        let message = format!("the partition '{partition}' is that of the system's own services");
        refuse(lx, resource.site, message, "use one below /machine");
    }
    limits.partition = Some(partition.clone());
    note(lx, limits, "partition", resource.site);
}
