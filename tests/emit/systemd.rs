//! systemd itself reads the units: no fault, no remark, and a low exposure.

use super::{plans, tools};
use std::process::Command;
use virtc::plan::{Connection, Loss, Role};

#[test]
fn units_verify_without_a_word() {
    let Some(analyze) = tools::tool("systemd-analyze", "systemd") else { return };
    for plan in plans::all() {
        let root = tempfile::tempdir().unwrap();
        let tree = plans::tree(&plan);
        plans::write(&tree, root.path());
        let folder = root.path().join("usr/lib/systemd/system");
        let mut units: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        // Drop-ins are read with what they belong to.
        units.retain(|path| path.is_file());
        units.sort();
        // In place of the programs of the Plan, which need not be installed here.
        let mut command = Command::new(&analyze);
        command.args(["verify", "--recursive-errors=no", "--man=no"]).args(&units);
        command.env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()));
        let remarks = tools::remarks(&mut command);
        assert!(remarks.is_empty(), "{}: {remarks:#?}", plan.name);
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

/// The unit of this name as lines.
fn unit(tree: &[virtc::emit::Artifact], name: &str) -> Vec<String> {
    let file = tree.iter().find(|a| a.path.ends_with(&format!("/{name}.service"))).expect("a unit");
    file.contents.lines().map(str::to_string).collect()
}

#[test]
fn a_helper_that_dies_takes_the_machine_along_or_not() {
    let cases = [
        (Role::Swtpm, false, Loss::Fatal, "BindsTo", ""),
        (Role::Dbus, false, Loss::Bearable, "Requires", ""),
        (Role::Passt, false, Loss::Bearable, "Requires", ""),
        (Role::Passt, true, Loss::Mended, "Wants", "Restart=always"),
        (Role::PrHelper, false, Loss::Mended, "Wants", "Restart=always"),
    ];
    for (role, again, loss, needs, restart) in cases {
        let mut plan = plans::desktop();
        plan.processes[0].role = role;
        if again {
            let cause = plans::cause("interface", 1);
            plan.connects.push(Connection { socket: "/run/virtc/web/tpm.sock".into(), again, cause });
        }
        // What the runner goes by.
        assert_eq!(Loss::of(&plan, &plan.processes[0]), loss, "{role:?}");
        let tree = plans::tree(&plan);
        let (qemu, helper) = (unit(&tree, r"virtc-desk\x20top"), unit(&tree, r"virtc-desk\x20top-swtpm-tpm0"));
        let needed = qemu.iter().filter(|l| l.ends_with("swtpm-tpm0.service") && !l.starts_with("After="));
        assert_eq!(Vec::from_iter(needed), [&format!(r"{needs}=virtc-desk\x20top-swtpm-tpm0.service")], "{role:?}");
        let restarts = helper.iter().find(|l| l.starts_with("Restart=")).map_or("", String::as_str);
        assert_eq!(restarts, restart, "{role:?}");
        assert_eq!(helper.iter().any(|l| l == "StartLimitBurst=5"), !restart.is_empty(), "{role:?}");
    }
}

#[test]
fn a_machine_waits_for_others() {
    let mut plan = plans::server();
    plan.after = vec!["db".into(), "desk top".into()];
    plan.wants = vec!["db".into()];
    let unit = unit(&plans::tree(&plan), "virtc-web");
    let at = |line: &str| unit.iter().position(|l| l == line).unwrap_or_else(|| panic!("no {line} in {unit:#?}"));
    let service = at("[Service]");
    for line in ["Wants=virtc-db.service", "After=virtc-db.service", r"After=virtc-desk\x20top.service"] {
        assert!(at(line) < service, "{line}");
    }
}
