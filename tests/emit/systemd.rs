//! systemd itself reads the units: no fault, no remark, and a low exposure.

use super::{plans, tools};
use std::process::Command;

#[test]
fn units_verify_without_a_word() {
    let Some(analyze) = tools::tool("systemd-analyze", "systemd") else { return };
    for plan in plans::all() {
        let root = tempfile::tempdir().unwrap();
        let tree = plans::tree(&plan);
        plans::write(&tree, root.path());
        let folder = root.path().join("usr/lib/systemd/system");
        let mut units: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        units.sort();
        // In place of the programs of the Plan, which need not be installed here.
        let mut command = Command::new(&analyze);
        command.args(["verify", "--recursive-errors=no", "--man=no"]).args(&units);
        command.env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()));
        let (success, output) = tools::run(&mut command);
        let output: Vec<&str> = output.lines().filter(|l| !l.contains("/usr/bin/swtpm is not executable")).collect();
        assert!(output.is_empty(), "{}:\n{}", plan.name, output.join("\n"));
        assert!(success || plan.processes.len() > 1, "{}", plan.name);
    }
}

#[test]
fn a_server_is_hardly_exposed() {
    let Some(analyze) = tools::tool("systemd-analyze", "systemd") else { return };
    let root = tempfile::tempdir().unwrap();
    plans::write(&plans::tree(&plans::server()), root.path());
    let unit = root.path().join("usr/lib/systemd/system/virtc-web.service");
    let (_, output) = tools::run(Command::new(analyze).args(["security", "--offline=yes", "--no-pager"]).arg(unit));
    let score: f32 = output
        .split_once("Overall exposure level")
        .and_then(|(_, rest)| rest.split_once(": "))
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("no score in:\n{output}"));
    assert!(score <= 2.0, "{score}\n{output}");
}
