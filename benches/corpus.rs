//! The command lines of a whole conformance suite in one process, and of its single domains.
//!
//! Budgets, CPU time: all command lines 0.25 s, the largest domain (`pci-bridge-many-disks`) 0.5 ms, the minimal
//! one 60 µs. The suite is `../shared/conformance`, or the folder in `VIRTC_CONFORMANCE`. Host facts and
//! capabilities are read once each, beforehand: a build of many domains does the same. Times are CPU times of
//! this thread, the least of several rounds, so that other work on the machine does not count.

// A benchmark touches the machine, and stops where something is wrong.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;
use virtc::caps::Capabilities;
use virtc::cli::{Shared, inputs};
use virtc::compile::{Until, compile};
use virtc::emit::argv::{Format, write};
use virtc::host::Host;
use virtc::plan::Target;
use virtc::stage::Options;

/// Rounds over the whole suite; single domains take more.
const ROUNDS: usize = 5;

/// One case of the suite.
struct Case {
    name: String,
    text: Vec<u8>,
    host: Host,
    caps: String,
    options: Options,
}

fn main() {
    let root = std::env::var_os("VIRTC_CONFORMANCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance"), PathBuf::from);
    let Ok(list) = std::fs::read(root.join("cases.json")) else {
        println!("no conformance suite at {}: nothing measured", root.display());
        return;
    };
    let list: Vec<Value> = serde_json::from_slice(&list).expect("cases.json is a list of cases");
    let mut caps: BTreeMap<String, Capabilities> = BTreeMap::new();
    let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
    let shared = Shared { quiet: true, ..Shared::default() };
    let cases: Vec<Case> = list
        .iter()
        .filter(|case| case["expect"] == "argv")
        .map(|case| {
            let text = |key: &str| case[key].as_str().unwrap_or_default().to_string();
            caps.entry(text("caps")).or_insert_with(|| {
                inputs::read_caps(&root.join(text("caps")), &shared).expect("capabilities of the suite")
            });
            let host = hosts.entry(text("host")).or_insert_with(|| {
                inputs::read_host(&root.join(text("host")), &shared).expect("host facts of the suite")
            });
            let mut host = host.clone();
            for (key, value) in case["env"].as_object().into_iter().flatten() {
                host.environment.push((key.clone(), value.as_str().unwrap_or_default().to_string()));
            }
            let options = Options {
                target: Target::Libvirt(virtc::vocab::Release::OLDEST),
                define: case["define"] == true,
                incoming: case["incoming"].as_str().map(str::to_string),
                ..Options::default()
            };
            let input = std::fs::read(root.join(text("input"))).expect("an input of the suite");
            Case { name: text("id"), text: input, host, caps: text("caps"), options }
        })
        .collect();

    let all = least(ROUNDS, || cases.iter().map(|case| command_line(case, &caps)).sum::<usize>());
    println!("{} command lines: {:.3} s (budget 0.250 s)", cases.len(), all.as_secs_f64());
    let mut single: Vec<(Duration, &Case)> =
        cases.iter().map(|case| (least(4 * ROUNDS, || command_line(case, &caps)), case)).collect();
    single.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    println!("the slowest:");
    for (time, case) in single.iter().take(8) {
        println!("{:>9.1} µs  {}", time.as_secs_f64() * 1e6, case.name);
    }
    for (name, budget) in [("pci-bridge-many-disks.", 500), ("x86_64-pc-minimal.", 60), ("x86_64-q35-minimal.", 60)] {
        for (time, case) in single.iter().filter(|(_, case)| case.name.starts_with(name)) {
            println!("{:>9.1} µs  {} (budget {budget} µs)", time.as_secs_f64() * 1e6, case.name);
        }
    }
}

/// Compiles one domain and writes its command line; gives its length.
fn command_line(case: &Case, caps: &BTreeMap<String, Capabilities>) -> usize {
    let compiled = compile(black_box(&case.text), &case.host, &caps[&case.caps], &case.options, Until::Planned);
    let mut out = String::new();
    if let Some(qemu) = compiled.plan.as_ref().and_then(|p| p.qemu()) {
        write(&mut out, qemu, Format::Lines);
    }
    out.len()
}

/// The least CPU time of this thread over some rounds.
fn least(rounds: usize, mut work: impl FnMut() -> usize) -> Duration {
    let now = || {
        let at = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(at.tv_sec.unsigned_abs(), at.tv_nsec as u32)
    };
    let times = (0..rounds).map(|_| {
        let start = now();
        black_box(work());
        now() - start
    });
    times.min().unwrap_or_default()
}
