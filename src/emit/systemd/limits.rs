//! Resource limits of a service. Values that systemd would drop without failing are reported.

use super::Lines;
use crate::emit::fit::Fitter;
use crate::emit::limits as scale;
use crate::escape::{Escaped, UnitName, UnitPath, UnitWord};
use crate::plan::{Cause, Limits, Need, Plan};
use crate::vocab::NumberSet;

/// What caused a limit.
pub fn cause(plan: &Plan, field: &str) -> Cause {
    let found = plan.limits.causes.iter().find(|(name, _)| name == field);
    found.map(|(_, cause)| cause.clone()).unwrap_or_default()
}

/// The lines of all limits.
pub fn limits(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let limits = &plan.limits;
    slice(plan, fit, lines);
    if let Some(shares) = limits.cpu_shares {
        lines.from(&cause(plan, "cpu_shares"));
        lines.push::<UnitWord>("CPUWeight", Escaped::number(scale::cpu_weight(shares)));
    }
    cpu_quota(plan, fit, lines);
    cpus(plan, fit, lines);
    memory(plan, fit, lines);
    io(plan, fit, lines);
    numa(plan, fit, lines);
    if !limits.schedules.is_empty() {
        fit.not_applied(
            &cause(plan, "schedules"),
            "the scheduling of single threads (vcpusched, iothreadsched, emulatorsched) is not applied yet".to_string(),
        );
    }
    for (directive, number) in [
        ("LimitNPROC", limits.max_processes.map(u64::from)),
        ("LimitNOFILE", limits.max_files.map(u64::from)),
        ("LimitCORE", limits.max_core),
        ("TasksMax", limits.max_threads.map(u64::from)),
    ] {
        if let Some(number) = number {
            lines.push::<UnitWord>(directive, Escaped::number(number));
        }
    }
    if plan.processes.iter().any(|p| p.needs(Need::LockedMemory)) {
        let needed = plan.processes.iter().flat_map(|p| &p.needs).find(|n| n.need == Need::LockedMemory);
        if let Some(needed) = needed {
            lines.from(&needed.cause);
        }
        lines.set("LimitMEMLOCK", "infinity");
    } else if let Some(bytes) = limits.locked {
        lines.push::<UnitWord>("LimitMEMLOCK", Escaped::number(bytes));
    }
}

fn slice(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if plan.instance == crate::plan::Instance::Session {
        return;
    }
    let partition = plan.limits.partition.as_deref().unwrap_or("/machine");
    let cause = cause(plan, "partition");
    lines.from(&cause);
    lines.maybe::<UnitName>("Slice", fit.take(Escaped::slice(partition), &cause));
}

fn cpu_quota(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let limits = &plan.limits;
    let cause = cause(plan, "cpu_bandwidth");
    if let Some((_, period, quota)) = limits.cpu_bandwidth.iter().find(|(who, ..)| who == "global")
        && let Some(quota) = quota.filter(|q| *q > 0)
    {
        let period = period.unwrap_or(scale::DEFAULT_PERIOD);
        percent(quota as u64, period, &cause, fit, lines);
        return;
    }
    if limits.cpu_bandwidth.iter().any(|(_, period, quota)| period.is_some() || quota.is_some()) {
        match scale::total_bandwidth(limits) {
            Some((quota, period)) => percent(quota, period, &cause, fit, lines),
            None => fit.runner_only(
                &cause,
                "the unit cannot hold a CPU period or quota that some threads of the machine have and others do not"
                    .to_string(),
            ),
        }
    }
}

/// `CPUQuota=`, rounded up to what systemd can say: a hundredth of a percent.
fn percent(quota: u64, period: u64, cause: &Cause, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if !(1000..=1_000_000).contains(&period) {
        fit.out_of_range(
            cause,
            format!("a CPU period of {period} microseconds cannot be set on a host"),
            "give a period from 1000 to 1000000",
        );
        return;
    }
    let hundredths = (u128::from(quota) * 10_000).div_ceil(u128::from(period));
    // systemd keeps the quota as microseconds a second, in 64 bits.
    if hundredths > u128::from(u32::MAX) {
        return;
    }
    let text = match (hundredths / 100, hundredths % 100) {
        (whole, 0) => format!("{whole}%"),
        (whole, part) => format!("{whole}.{part:02}%"),
    };
    // The percent sign of a number is no specifier, so it is not doubled.
    if let Some(number) = fit.fit::<UnitWord>(text.trim_end_matches('%'), cause) {
        lines.from(cause);
        lines.push("CPUQuota", number.between("", "%"));
    }
    if period != scale::DEFAULT_PERIOD {
        lines.from(cause);
        lines.push("CPUQuotaPeriodSec", Escaped::<UnitWord>::number(period).between("", "us"));
    }
}

fn cpus(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let limits = &plan.limits;
    let pin_cause = limits.pins.first().map(|p| p.cause.clone()).unwrap_or_default();
    let cause = if limits.cpuset.is_some() { cause(plan, "cpuset") } else { pin_cause };
    if let Some(all) = scale::all_cpus(limits) {
        numbers("AllowedCPUs", &all, &cause, fit, lines);
    }
}

/// A line with a list of CPUs or nodes.
fn numbers(key: &'static str, list: &NumberSet, cause: &Cause, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if !list.is_empty() && list.iter().all(|n| n < 8192) {
        lines.from(cause);
        lines.maybe::<UnitWord>(key, fit.fit(&list.to_string(), cause));
    } else {
        fit.out_of_range(
            cause,
            format!("'{list}' is no list of CPUs or nodes that systemd takes"),
            "give numbers below 8192 and ranges of them, such as 0-3,8",
        );
    }
}

fn memory(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let limits = &plan.limits;
    for (key, field, value) in
        [("MemoryHigh", "memory_soft", limits.memory_soft), ("MemoryMax", "memory_hard", limits.memory_hard)]
    {
        match value {
            Some(0) => fit.out_of_range(
                &cause(plan, field),
                "a memory limit of 0 would be ignored by systemd".to_string(),
                "leave the element out for no limit",
            ),
            Some(bytes) => {
                lines.from(&cause(plan, field));
                lines.push::<UnitWord>(key, Escaped::number(bytes));
            }
            None => {}
        }
    }
    if let Some(swap) = limits.memory_swap {
        // The format counts memory and swap together, cgroup v2 swap alone.
        match limits.memory_hard {
            Some(hard) => {
                lines.from(&cause(plan, "memory_swap"));
                lines.push::<UnitWord>("MemorySwapMax", Escaped::number(swap.saturating_sub(hard)));
            }
            None => fit.runner_only(
                &cause(plan, "memory_swap"),
                "swap_hard_limit counts memory and swap together, and needs hard_limit to be told apart".to_string(),
            ),
        }
    }
}

fn io(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let limits = &plan.limits;
    if let Some(weight) = limits.io_weight {
        lines.from(&cause(plan, "io_weight"));
        lines.push::<UnitWord>("IOWeight", Escaped::number(scale::io_weight(weight)));
    }
    let cause = cause(plan, "io_devices");
    for device in &limits.io_devices {
        let Some(path) = fit.fit::<UnitPath>(&device.path, &cause) else { continue };
        let mut limit = |key, value: Option<u64>| {
            // None and 0 both mean: no limit.
            if let Some(value) = value.filter(|v| *v > 0) {
                let number = Escaped::<UnitPath>::number(value);
                lines.from(&cause);
                lines.push(key, Escaped::words([path.clone(), number]));
            }
        };
        limit("IODeviceWeight", device.weight.map(|w| u64::from(scale::io_weight(w))));
        limit("IOReadIOPSMax", device.read_iops);
        limit("IOWriteIOPSMax", device.write_iops);
        limit("IOReadBandwidthMax", device.read_bytes);
        limit("IOWriteBandwidthMax", device.write_bytes);
    }
}

fn numa(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let Limits { numa: Some(policy), .. } = &plan.limits else { return };
    let cause = cause(plan, "numa");
    match policy.mode.as_str() {
        "strict" => {
            lines.set("NUMAPolicy", "bind");
            numbers("NUMAMask", &policy.nodes, &cause, fit, lines);
            numbers("AllowedMemoryNodes", &policy.nodes, &cause, fit, lines);
        }
        "preferred" => {
            lines.set("NUMAPolicy", "preferred");
            numbers("NUMAMask", &policy.nodes, &cause, fit, lines);
        }
        "interleave" => {
            lines.set("NUMAPolicy", "interleave");
            numbers("NUMAMask", &policy.nodes, &cause, fit, lines);
        }
        _ => numbers("AllowedMemoryNodes", &policy.nodes, &cause, fit, lines),
    }
}
