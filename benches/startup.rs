//! What `virtc run` adds to the start of a machine: from the exec to `running`, against QEMU started by
//! hand with the same command line (exec, connect, handshake, query-status), alternating in one run.
//!
//!     cargo bench --bench startup

// A benchmark touches the machine, and stops where something is wrong.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

#[path = "../examples/guest/image.rs"]
#[allow(dead_code)]
mod image;

#[path = "../tests/runner/bed.rs"]
#[allow(dead_code)]
mod bed;

use bed::Bed;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use virtc::emit::argv;
use virtc::run::qmp::Qmp;

const ROUNDS: usize = 60;

/// QEMU by hand: the time until its monitor says `running`.
fn by_hand(bed: &Bed) -> Duration {
    let run = bed.path("run");
    std::fs::create_dir(&run).expect("made");
    let monitor = format!("{run}/monitor.sock");
    let tokens = argv::tokens(bed.plan.qemu().expect("a QEMU"));
    let begin = Instant::now();
    let mut qemu = Command::new(common::QEMU).args(tokens).stdin(Stdio::null()).spawn().expect("QEMU");
    let mut qmp = loop {
        match Qmp::connect(Path::new(&monitor), Duration::from_secs(20)) {
            Ok(qmp) => break qmp,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    while qmp.execute("query-status", json!({})).expect("a reply")["status"] != "running" {}
    let took = begin.elapsed();
    let _ = qmp.execute("quit", json!({}));
    qemu.wait().expect("it ends");
    std::fs::remove_dir_all(&run).expect("removed");
    took
}

/// `virtc run`: the time until it says that the machine runs.
fn by_virtc(bed: &Bed, plan: &str) -> Duration {
    let begin = Instant::now();
    let mut child = bed.virtc(&["run", plan]).stderr(Stdio::piped()).spawn().expect("virtc");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let line = lines.next().expect("a line").expect("text");
    let took = begin.elapsed();
    assert!(line.contains("runs"), "{line}");
    // A signal without a process of its own: the guest would run on meanwhile.
    let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a number");
    rustix::process::kill_process(pid, rustix::process::Signal::QUIT).expect("a signal");
    lines.for_each(drop);
    child.wait().expect("it ends");
    took
}

/// CPU time of all children that have ended, with their children: fields 16 and 17 of /proc/self/stat, clock ticks.
fn children() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("a status");
    let fields: Vec<&str> = text.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<f64>().expect("a number");
    (ticks(16) + ticks(17)) / 100.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    // cargo test runs benches, too, and asks for nothing then.
    if !std::env::args().any(|a| a == "--bench") || !common::has_qemu() {
        return;
    }
    let rounds = std::env::var("VIRTC_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let bed = Bed::new("startup").with_serial_file();
    let plan = bed.plan_file();
    let mut wall = [Vec::new(), Vec::new()];
    let mut cpu = [0.0, 0.0];
    for round in 0..rounds {
        // Each begins as often as the other, so that what drifts touches both.
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let before = children();
            let took = if which == 0 { by_hand(&bed) } else { by_virtc(&bed, &plan) };
            wall[which].push(took.as_secs_f64() * 1e3);
            cpu[which] += children() - before;
        }
    }
    let ratios = wall[0].iter().zip(&wall[1]).map(|(hand, virtc)| virtc / hand).collect();
    let [hand, virtc] = wall.map(median);
    let of_cpu = |which: usize| cpu[which] * 1e3 / rounds as f64;
    println!("              to running   CPU time to the end (median of {rounds}; mean)");
    println!("QEMU by hand  {hand:>7.1} ms   {:>7.1} ms", of_cpu(0));
    println!("virtc run     {virtc:>7.1} ms   {:>7.1} ms", of_cpu(1));
    println!("ratio         {:>7.2}      {:>7.2}", virtc / hand, of_cpu(1) / of_cpu(0));
    println!("of pairs      {:>7.2}", median(ratios));
}
