//! The units of the examples are hardly exposed.

use super::tools;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of a folder of the stored tree whose name passes.
fn stored(folder: &str, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|f| f.file_name().is_some_and(|n| fits(&n.to_string_lossy())));
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn no_example_is_exposed() {
    let Some(analyze) = tools::tool("systemd-analyze", "systemd") else { return };
    for unit in stored("usr/lib/systemd/system", |n| n.ends_with(".service")) {
        // The exit status says whether the score (times ten) is above the threshold.
        let mut command = Command::new(&analyze);
        command.args(["security", "--offline=yes", "--no-pager", "--threshold=20"]).arg(&unit);
        let (success, output) = tools::run(&mut command);
        assert!(success, "{}: {output}", unit.display());
    }
}
