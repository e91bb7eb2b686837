//! What `virtc run` adds to the start of a machine: from the exec to `running`, against QEMU started by
//! hand with the same command line (exec, connect, handshake, query-status), alternating in one run.
//!
//!     cargo bench --bench startup

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

const ROUNDS: usize = 30;

/// QEMU by hand: the time until its monitor says `running`.
fn by_hand(bed: &Bed) -> Duration {
    let run = bed.path("run");
    std::fs::create_dir(&run).expect("made");
    let monitor = format!("{run}/monitor.sock");
    let tokens = argv::tokens(bed.plan.qemu().expect("a QEMU"));
    let begin = Instant::now();
    let mut qemu = Command::new(bed::QEMU).args(tokens).stdin(Stdio::null()).spawn().expect("QEMU");
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
    bed::kill(child.id() as i32, "QUIT");
    lines.for_each(drop);
    child.wait().expect("it ends");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() {
    // cargo test runs benches, too, and asks for nothing then.
    if !std::env::args().any(|a| a == "--bench") || !bed::has_qemu() {
        return;
    }
    let bed = Bed::new("startup").with_serial_file();
    let plan = bed.plan_file();
    let (mut hand, mut virtc) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        hand.push(by_hand(&bed));
        virtc.push(by_virtc(&bed, &plan));
    }
    let (hand, virtc) = (median(hand), median(virtc));
    println!("QEMU by hand  {:>8.1} ms", hand.as_secs_f64() * 1e3);
    println!("virtc run     {:>8.1} ms", virtc.as_secs_f64() * 1e3);
    println!("ratio         {:>8.2}", virtc.as_secs_f64() / hand.as_secs_f64());
}
