//! The threads of QEMU: put on their CPUs, given their scheduling, and placed in their control groups.

use super::groups::Groups;
use super::start::Machine;
use crate::plan::Plan;
use crate::vocab::{NumberSet, Value};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::json;
use std::process::Command;

/// The part of QEMU that is neither a virtual CPU nor an I/O thread.
const EMULATOR: &str = "emulator";

impl Machine {
    /// Applies what the plan says of single threads.
    pub(super) fn place_threads(&mut self, plan: &Plan, groups: Option<&Groups>, say: &mut dyn FnMut(&str)) {
        let limits = &plan.limits;
        if limits.pins.is_empty() && limits.schedules.is_empty() && groups.is_none() {
            return;
        }
        let threads = self.threads();
        if !limits.pins.is_empty() {
            pin(plan, &threads, say);
        }
        for schedule in &limits.schedules {
            let of_it = threads.iter().filter(|(name, _)| names(&schedule.thread, name));
            let mut found = false;
            for (name, thread) in of_it {
                found = true;
                if let Err(why) = set_schedule(*thread, &schedule.policy, schedule.priority) {
                    say(&format!("{name} is not scheduled as '{}': {why}", schedule.policy));
                    break;
                }
            }
            if !found {
                say(&format!("there is no {} to be scheduled as '{}'", schedule.thread, schedule.policy));
            }
        }
        if let Some(groups) = groups {
            let mut notes = Vec::new();
            let of_threads = if groups.wants_threads() { threads.as_slice() } else { &[] };
            groups.settle(self.pid(), of_threads, &mut notes);
            notes.iter().for_each(|note| say(note));
        }
    }

    /// All threads of QEMU, by name.
    fn threads(&mut self) -> Vec<(String, i32)> {
        let mut threads = Vec::new();
        if let Ok(reply) = self.command("query-cpus-fast", json!({})) {
            for cpu in reply.as_array().into_iter().flatten() {
                threads.push((format!("vcpu{}", cpu["cpu-index"]), number(&cpu["thread-id"])));
            }
        }
        if let Ok(reply) = self.command("query-iothreads", json!({})) {
            for thread in reply.as_array().into_iter().flatten() {
                let id = thread["id"].as_str().unwrap_or_default().to_string();
                threads.push((id, number(&thread["thread-id"])));
            }
        }
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid()));
        let tasks = tasks.into_iter().flatten().filter_map(|t| t.ok()?.file_name().to_str()?.parse().ok());
        let others: Vec<i32> = tasks.filter(|task| threads.iter().all(|(_, thread)| thread != task)).collect();
        threads.extend(others.into_iter().map(|task| (EMULATOR.to_string(), task)));
        threads
    }
}

fn number(value: &serde_json::Value) -> i32 {
    value.as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(0)
}

/// Whether a list of threads of the Plan (`vcpu0-3`, `iothread1`, `emulator`) holds this one.
fn names(list: &str, thread: &str) -> bool {
    if list == thread {
        return true;
    }
    let digits = |text: &str| text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let (kind, numbers) = list.split_at(digits(list));
    let (of, one) = thread.split_at(digits(thread));
    kind == of && one.parse().is_ok_and(|n| NumberSet::parse(numbers).is_ok_and(|all| all.has(n)))
}

/// Moves virtual CPUs and I/O threads to their CPUs. The emulator's threads are there from the beginning.
fn pin(plan: &Plan, threads: &[(String, i32)], say: &mut dyn FnMut(&str)) {
    let limits = &plan.limits;
    let emulator = limits.pins.iter().any(|p| p.thread == EMULATOR);
    for (name, thread) in threads.iter().filter(|(name, _)| name != EMULATOR) {
        let own = limits.pins.iter().find(|p| p.thread == *name).map(|p| &p.cpus);
        let cpus: Vec<usize> = match own.or(limits.cpuset.as_ref()) {
            Some(list) => list.iter().map(|n| n as usize).collect(),
            // It began on the emulator's CPUs, which are not meant for it.
            None if emulator => (0..CpuSet::MAX_CPU).collect(),
            None => continue,
        };
        let mut set = CpuSet::new();
        cpus.iter().filter(|c| **c < CpuSet::MAX_CPU).for_each(|c| set.set(*c));
        let pid = Pid::from_raw(*thread);
        if pid.is_none() || sched_setaffinity(pid, &set).is_err() {
            say(&format!(
                "cannot bind {name} to CPUs {}",
                own.map_or("of the domain".to_string(), NumberSet::to_string)
            ));
        }
    }
    for pin in limits.pins.iter().filter(|p| threads.iter().all(|(name, _)| *name != p.thread)) {
        say(&format!("there is no {} to be bound to CPUs {}", pin.thread, pin.cpus));
    }
}

/// Sets the scheduling of one thread. There is no safe call for it; `chrt` is part of util-linux.
fn set_schedule(thread: i32, policy: &str, priority: Option<u32>) -> Result<(), String> {
    let flag = match policy {
        "batch" => "--batch",
        "idle" => "--idle",
        "fifo" => "--fifo",
        "rr" => "--rr",
        // The kernel's usual one.
        _ => return Ok(()),
    };
    let real_time = matches!(policy, "fifo" | "rr");
    let priority = if real_time { priority.unwrap_or(1).max(1) } else { 0 };
    let out = Command::new("chrt")
        .args([flag, "--pid", &priority.to_string(), &thread.to_string()])
        .output()
        .map_err(|e| format!("chrt (util-linux): {e}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&out.stderr).trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_threads() {
        assert!(names("vcpu0-3", "vcpu2") && names("emulator", "emulator") && names("iothread1,4", "iothread4"));
        assert!(!names("vcpu0-3", "vcpu4") && !names("vcpu0-3", "iothread1") && !names("vcpu1", "emulator"));
    }
}
