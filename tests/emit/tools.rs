//! The programs that are asked.

pub use crate::common::tool;
use std::process::{Command, Output};

/// What a program printed, both streams, and whether it succeeded.
pub fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program was found before");
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// What systemd-analyze remarks, but for programs of units that need not be installed where the tests run.
pub fn remarks(verify: &mut Command) -> Vec<String> {
    let (success, output) = run(verify);
    let absent = ["/usr/bin/swtpm is not executable", "/usr/lib/virtc/qmp is not executable"];
    let mut remarks: Vec<String> = output.lines().map(str::to_string).collect();
    let all = remarks.len();
    remarks.retain(|line| !absent.iter().any(|a| line.contains(a)));
    if !success && all == remarks.len() {
        remarks.push("it failed".into());
    }
    remarks
}
