//! CPU time of checking against the format, side by side with `xmllint --relaxng` and libvirt's grammar in one run: 500
//! files at once, and one file as a process against `/bin/true`.
//!
//!     cargo bench --bench check
//!
//! The files are the corpus beside the project, or the folder that VIRTC_CORPUS names; where there is none, the
//! project's own fixtures, repeated. Files that xmllint refuses, or searches for more than two seconds, are left
//! out, which is to its advantage.

// A benchmark touches the machine, and stops where something is wrong.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FILES: usize = 500;
const ROUNDS: usize = 5;
const PROCESSES: usize = 200;
const GRAMMAR: &str = "/usr/share/libvirt/schemas/domain.rng";
const VIRTC: &str = env!("CARGO_BIN_EXE_virtc");

fn xmllint() -> Command {
    let mut command = Command::new("timeout");
    command.args(["2", "xmllint", "--noout", "--nonet", "--relaxng", GRAMMAR]);
    command
}

fn corpus() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("VIRTC_CORPUS").map(PathBuf::from);
    let folders = match given.unwrap_or_else(|| root.join("../shared/conformance/input")) {
        folder if folder.is_dir() => vec![folder],
        _ => vec![root.join("examples"), root.join("tests/schema/valid")],
    };
    let mut files: Vec<PathBuf> =
        folders.iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().flatten().map(|e| e.path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "xml"));
    files.sort();
    let accepted = |file: &&PathBuf| xmllint().arg(file).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    let some: Vec<PathBuf> = files.iter().filter(accepted).take(FILES).cloned().collect();
    some.iter().cycle().take(if some.is_empty() { 0 } else { FILES }).cloned().collect()
}

/// User and system time, in seconds, of `times` runs of a command, the best of some rounds. bash measures: it has
/// getrusage, and its own part is the same for all.
fn cpu(times: usize, command: &[&str], files: &[PathBuf]) -> f64 {
    let script =
        format!("TIMEFORMAT='%3U %3S'; time for ((i = 0; i < {times}; i++)); do \"$@\" >/dev/null 2>/dev/null; done");
    let round = || {
        let output =
            Command::new("bash").args(["-c", &script, "bash"]).args(command).args(files).output().expect("bash");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.split_whitespace().filter_map(|n| n.parse::<f64>().ok()).sum::<f64>()
    };
    (0..ROUNDS).map(|_| round()).fold(f64::MAX, f64::min)
}

fn main() {
    // cargo test runs benches, too, and asks for nothing then.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    if !Path::new(GRAMMAR).is_file() {
        println!("needs xmllint (Debian: libxml2-utils) and libvirt's schemas (Debian: libvirt0)");
        return;
    }
    let files = corpus();
    let n = files.len();
    let theirs = cpu(1, &["xmllint", "--noout", "--nonet", "--relaxng", GRAMMAR], &files) * 1e3;
    let format = cpu(1, &[VIRTC, "check", "-q", "--schema-only"], &files) * 1e3;
    let all = cpu(1, &[VIRTC, "check", "-q", "--target", "libvirt@11.3"], &files) * 1e3;
    println!("{n} files: xmllint --relaxng            {theirs:>8.1} ms");
    println!("{n} files: virtc check --schema-only    {format:>8.1} ms");
    println!("{n} files: virtc check, all rules too   {all:>8.1} ms");
    let one = [PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/server.xml")];
    let each = |command: &[&str], files: &[PathBuf]| cpu(PROCESSES, command, files) * 1e3 / PROCESSES as f64;
    let nothing = each(&["/bin/true"], &[]);
    let format = each(&[VIRTC, "check", "-q", "--schema-only"], &one);
    let all = each(&[VIRTC, "check", "-q"], &one);
    println!("a process: /bin/true                     {nothing:>8.2} ms");
    println!("a process: virtc check --schema-only     {format:>8.2} ms, {:.2} more", format - nothing);
    println!("a process: virtc check, all rules too    {all:>8.2} ms, {:.2} more", all - nothing);
}
