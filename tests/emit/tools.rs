//! The programs that are asked.

pub use crate::common::tool;
use std::process::{Command, Output};

/// What a program printed, both streams, and whether it succeeded.
pub fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program was found before");
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}
