//! cgroups without systemd: knobs of version 2, files of version 1, and the device rules of both.
//!
//! Each line is a file below the group of the domain, a tab, and what is written into it. Threads have
//! groups of their own: `emulator`, `vcpu0`, `iothread1`.

use super::artifact::Artifact;
use super::devices::{self, Device};
use super::fit::Fitter;
use super::limits as scale;
use super::names::Names;
use super::traced::Traced;
use crate::diag::Diagnostics;
use crate::escape::{TableField, TablePath};
use crate::plan::{Cause, Limits, Plan};

/// The knob files and the device rules; nothing for a session, which has no cgroups of its own.
pub fn emit(plan: &Plan, names: &Names, diags: &mut Diagnostics) -> Vec<Artifact> {
    if plan.instance == crate::plan::Instance::Session {
        return Vec::new();
    }
    let mut fit = Fitter::new(diags);
    vec![
        Artifact::traced(names.share("cgroup/v2"), knobs(plan, Version::Two, &mut fit)),
        Artifact::traced(names.share("cgroup/v1"), knobs(plan, Version::One, &mut fit)),
        Artifact::traced(names.share("cgroup/devices"), device_list(plan, &mut fit)),
    ]
}

/// A version of the kernel's control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller.
    One,
    /// One hierarchy.
    Two,
}

/// One line of the table: a file below the group of the domain, and what is written into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// The group of threads (`vcpu0`, `emulator`, `iothread*`); empty for the whole machine.
    pub thread: String,
    /// The file: `cpu.max`.
    pub file: String,
    /// The value. The path of a block device stands in angle brackets where the kernel wants its numbers.
    pub value: String,
}

/// The lines of the table, for who sets the limits himself.
pub fn table(plan: &Plan, version: Version) -> Vec<Knob> {
    let mut diags = Diagnostics::new();
    let text = knobs(plan, version, &mut Fitter::new(&mut diags));
    let lines = text.text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'));
    lines
        .map(|(path, value)| {
            let (thread, file) = path.rsplit_once('/').unwrap_or(("", path));
            Knob { thread: thread.to_string(), file: file.to_string(), value: value.to_string() }
        })
        .collect()
}

/// All knobs of one version.
fn knobs(plan: &Plan, version: Version, fit: &mut Fitter<'_>) -> Traced {
    let limits = &plan.limits;
    let mut out = Traced::plain("# file\tvalue\n");
    let because = |field: &str| super::systemd::cause_of_limit(plan, field);
    let mut knob = |file: &str, value: String, cause: &Cause| {
        out.push(&format!("{file}\t{value}"), cause);
        out.push_str("\n");
    };
    let two = version == Version::Two;
    if let Some(shares) = limits.cpu_shares {
        let cause = because("cpu_shares");
        if two {
            knob("cpu.weight", scale::cpu_weight(shares).to_string(), &cause);
        } else {
            knob("cpu.shares", shares.to_string(), &cause);
        }
    }
    for (thread, period, quota) in threads_with_bandwidth(limits) {
        let cause = because("cpu_bandwidth");
        let folder = if thread == "global" { String::new() } else { format!("{thread}/") };
        let quota = quota.filter(|q| *q > 0);
        if two {
            let quota = quota.map_or("max".to_string(), |q| q.to_string());
            knob(&format!("{folder}cpu.max"), format!("{quota} {}", period.unwrap_or(scale::DEFAULT_PERIOD)), &cause);
        } else {
            if let Some(period) = period {
                knob(&format!("{folder}cpu.cfs_period_us"), period.to_string(), &cause);
            }
            knob(&format!("{folder}cpu.cfs_quota_us"), quota.unwrap_or(-1).to_string(), &cause);
        }
    }
    if let Some(list) = &limits.cpuset {
        knob("cpuset.cpus", list.to_string(), &because("cpuset"));
    }
    for pin in &limits.pins {
        if let Some(thread) = fit.fit::<TableField>(&pin.thread, &pin.cause) {
            knob(&format!("{thread}/cpuset.cpus"), pin.cpus.to_string(), &pin.cause);
        }
    }
    if let Some(numa) = limits.numa.as_ref().filter(|n| n.mode == "strict" || n.mode == "restrictive") {
        knob("cpuset.mems", numa.nodes.to_string(), &because("numa"));
    }
    let (high, max) =
        if two { ("memory.high", "memory.max") } else { ("memory.soft_limit_in_bytes", "memory.limit_in_bytes") };
    if let Some(bytes) = limits.memory_soft {
        knob(high, bytes.to_string(), &because("memory_soft"));
    }
    if let Some(bytes) = limits.memory_hard {
        knob(max, bytes.to_string(), &because("memory_hard"));
    }
    match (limits.memory_swap, limits.memory_hard) {
        (Some(swap), Some(hard)) if two => {
            knob("memory.swap.max", swap.saturating_sub(hard).to_string(), &because("memory_swap"))
        }
        (Some(swap), _) if !two => knob("memory.memsw.limit_in_bytes", swap.to_string(), &because("memory_swap")),
        _ => {}
    }
    if let Some(weight) = limits.io_weight {
        let cause = because("io_weight");
        if two {
            knob("io.weight", format!("default {}", scale::io_weight(weight)), &cause);
        } else {
            knob("blkio.bfq.weight", weight.to_string(), &cause);
        }
    }
    if let Some(tasks) = limits.max_threads {
        knob("pids.max", tasks.to_string(), &because("max_threads"));
    }
    io_devices(limits, two, &mut knob, fit, plan);
    out
}

/// The threads that have a bandwidth of their own: `vcpu` stands for each of them.
fn threads_with_bandwidth(limits: &Limits) -> Vec<(String, Option<u64>, Option<i64>)> {
    let mut out = Vec::new();
    for (who, period, quota) in limits.cpu_bandwidth.iter().filter(|(_, p, q)| p.is_some() || q.is_some()) {
        match who.as_str() {
            "vcpu" => out.extend((0..limits.vcpus).map(|i| (format!("vcpu{i}"), *period, *quota))),
            "iothread" => out.push(("iothread*".to_string(), *period, *quota)),
            other => out.push((other.to_string(), *period, *quota)),
        }
    }
    out
}

/// Limits of block devices. The kernel wants their numbers, which only the host knows: the path stands
/// in their place, in angle brackets.
fn io_devices(
    limits: &Limits,
    two: bool,
    knob: &mut impl FnMut(&str, String, &Cause),
    fit: &mut Fitter<'_>,
    plan: &Plan,
) {
    let cause = super::systemd::cause_of_limit(plan, "io_devices");
    for device in &limits.io_devices {
        let Some(path) = fit.fit::<TablePath>(&device.path, &cause) else { continue };
        if let Some(weight) = device.weight {
            if two {
                knob("io.weight", format!("<{path}> {}", scale::io_weight(weight)), &cause);
            } else {
                knob("blkio.bfq.weight_device", format!("<{path}> {weight}"), &cause);
            }
        }
        for (v2, v1, value) in [
            ("riops", "blkio.throttle.read_iops_device", device.read_iops),
            ("wiops", "blkio.throttle.write_iops_device", device.write_iops),
            ("rbps", "blkio.throttle.read_bps_device", device.read_bytes),
            ("wbps", "blkio.throttle.write_bps_device", device.write_bytes),
        ] {
            match value.filter(|v| *v > 0) {
                Some(value) if two => knob("io.max", format!("<{path}> {v2}={value}"), &cause),
                Some(value) => knob(v1, format!("<{path}> {value}"), &cause),
                None => {}
            }
        }
    }
}

/// `devices`: type, number, rights, path, reason. A number that only the host knows is `-`. Everything
/// else is denied.
fn device_list(plan: &Plan, fit: &mut Fitter<'_>) -> Traced {
    let mut out = Traced::plain("# type\tnumber\trights\tpath\treason\n");
    if let Some(process) = plan.qemu() {
        for rule in devices::rules(plan, process) {
            let (kind, number, path) = match rule.device {
                Device::Known { path, number: (major, minor) } => ("c", format!("{major}:{minor}"), path.to_string()),
                Device::Class { name, major } => {
                    // The number of a class that the kernel chooses stands in its place, as that of a path does.
                    let number = major.map_or_else(|| format!("<{name}>:*"), |major| format!("{major}:*"));
                    ("c", number, "-".to_string())
                }
                Device::Path { path, block } => {
                    let Some(path) = fit.fit::<TablePath>(path, &rule.cause) else { continue };
                    let kind = match block {
                        Some(true) => "b",
                        Some(false) => "c",
                        None => "-",
                    };
                    (kind, "-".to_string(), path.to_string())
                }
            };
            let reason = fit.fit::<TableField>(&rule.cause.what, &rule.cause);
            let reason = reason.map(|r| r.to_string()).unwrap_or_default();
            out.push(&format!("{kind}\t{number}\t{}\t{path}\t{reason}", rule.perms), &rule.cause);
            out.push_str("\n");
        }
    }
    out
}
