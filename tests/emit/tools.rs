//! The programs that are asked.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program by its name and the package that has it. Where it is missing: a failure in CI, else a note
/// that says what to install.
pub fn tool(name: &str, package: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let found = folders.iter().map(|f| Path::new(f).join(name)).find(|p| p.exists());
    if found.is_none() {
        let message = format!("{name} is not installed (Debian: apt-get install {package})");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
        eprintln!("SKIP: {message}");
    }
    found
}

/// What a program printed, both streams, and whether it succeeded.
pub fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program was found before");
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}
