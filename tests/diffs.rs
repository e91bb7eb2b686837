//! `virtc diff`, `virtc upgrade`, rules for build tools and the scripts for CI.

use crate::common;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use virtc::caps::Choice;
use virtc::compile::{Until, compile_for};
use virtc::diff::{Class, classed, gravest};
use virtc::host::Host;
use virtc::plan::Plan;
use virtc::stage::Options;

fn plan(text: &str) -> Plan {
    let choice = Choice::Fitting;
    let compiled =
        compile_for(text.as_bytes(), &Host::open(), &|w| choice.for_domain(w), &Options::default(), Until::Planned);
    let faults: Vec<_> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    compiled.plan.unwrap_or_else(|| panic!("{faults:#?}\n{text}"))
}

/// A domain with something of each family, every address given, so that a change moves nothing else.
const BASE: &str = include_str!("diffs/base.xml");

/// The prepared changes: what is replaced, by what, the gravest class, and why it is that. One a line:
/// `CLASS | what it is | old | new`; an empty old stands for "at the end of <devices>".
const CHANGES: &str = include_str!("diffs/changes.txt");

#[test]
fn prepared_changes_have_the_class_that_was_reasoned_out() {
    let old = plan(BASE);
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in CHANGES.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [class, what, from, to] = cells[..] else { panic!("{line}") };
        let from = if from == "END" { "</devices>" } else { from };
        let to = if from == "</devices>" { format!("{to}</devices>") } else { to.replace("NOTHING", "") };
        assert!(BASE.contains(from), "{what}: '{from}' is not in the base");
        let found = classed(&old, &plan(&BASE.replacen(from, &to, 1)));
        let gravest = gravest(&found).map_or("none", Class::as_str);
        count += 1;
        if gravest != class.trim() {
            let lines: Vec<_> = found.iter().map(|c| format!("{} {:?}", c.class, c.difference)).collect();
            wrong.push(format!("{what}: {gravest}, not {class}\n  {}", lines.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 100, "{count} changes");
}

#[test]
fn what_qemu_can_be_told_is_said_as_qmp() {
    let net = "<interface type='user'><mac address='52:54:00:00:00:99'/><model type='virtio'/>\
               <address type='pci' domain='0' bus='7' slot='0' function='0'/></interface></devices>";
    let found = classed(&plan(BASE), &plan(&BASE.replace("</devices>", net)));
    let commands: Vec<&String> = found.iter().flat_map(|c| &c.qmp).collect();
    assert!(commands.iter().any(|c| c.starts_with("{\"execute\":\"netdev_add\"")), "{found:#?}");
    let device = commands.iter().find(|c| c.contains("device_add")).expect("device_add");
    let json: serde_json::Value = serde_json::from_str(device).expect("JSON");
    assert_eq!(json["arguments"]["driver"], "virtio-net-pci");
    assert_eq!(gravest(&found), Some(Class::Live));
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    said(&common::virtc().args(arguments).current_dir(folder).output().expect("virtc"))
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

fn domain(name: &str, memory: u32, machine: &str) -> String {
    format!(
        "<domain type='qemu'>\n<name>{name}</name>\n<memory unit='MiB'>{memory}</memory>\n<vcpu>1</vcpu>\n\
         <os><type arch='x86_64' machine='{machine}'>hvm</type></os>\n<features><acpi/></features>\n\
         <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>\n\
         <interface type='user'><model type='virtio'/></interface><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>\n\
         <serial type='pty'/></devices>\n</domain>\n"
    )
}

fn git(folder: &Path, arguments: &[&str]) {
    let own =
        ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").args(own).args(arguments).current_dir(folder).output().expect("git");
    assert!(output.status.success(), "{}", said(&output).1);
}

/// A folder in git with three machines, one of which has changed since.
fn repository() -> Option<tempfile::TempDir> {
    common::tool("git", "git")?;
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("vms")).expect("a folder");
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(format!("vms/{name}.xml")), domain(name, 256, "q35")).expect("a file");
    }
    git(folder.path(), &["init", "-q"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-q", "-m", "three machines"]);
    fs::write(folder.path().join("vms/b.xml"), domain("b", 512, "q35")).expect("a file");
    Some(folder)
}

#[test]
fn revisions_folders_and_trees_are_compared() {
    let Some(folder) = repository() else { return };
    let at = folder.path();
    for arguments in [
        &["diff", "HEAD", "--", "vms"][..],
        &["diff", "HEAD", "vms"],
        &["diff", "HEAD:vms/b.xml", "vms/b.xml"],
        &["diff", "HEAD", "--", "vms/b.xml"],
    ] {
        let (status, text) = run(at, arguments);
        assert_eq!(status, Some(3), "{arguments:?}: {text}");
        assert!(text.contains("-m\n") || text.contains("pc.ram"), "{arguments:?}: {text}");
        assert!(!text.contains("=== a") && text.contains("guest-visible"), "{arguments:?}: {text}");
    }
    // A revision with itself, whatever lies in the folder now.
    assert_eq!(run(at, &["diff", "HEAD", "HEAD", "--", "vms"]), (Some(0), String::new()));
    let (status, text) = run(at, &["diff", "nonsense", "--", "vms"]);
    assert!(status == Some(4) || status == Some(2), "{status:?} {text}");
    // Two folders, one of which lacks a machine; two trees that were built.
    fs::create_dir(at.join("old")).expect("a folder");
    for name in ["a", "b"] {
        fs::write(at.join(format!("old/{name}.xml")), domain(name, 256, "q35")).expect("a file");
    }
    let (status, text) = run(at, &["diff", "old", "vms"]);
    assert!(status == Some(3) && text.contains("+ c") && text.contains("=== b") && !text.contains("=== a"), "{text}");
    assert_eq!(run(at, &["build", "-q", "--allow", "surprise", "old", "-o", "t1"]).0, Some(0));
    assert_eq!(run(at, &["build", "-q", "--allow", "surprise", "vms", "-o", "t2"]).0, Some(0));
    let (status, trees) = run(at, &["diff", "t1", "t2"]);
    assert!(status == Some(3) && trees.contains("=== b") && trees.contains("+ c"), "{trees}");
    // One file for two targets.
    let (status, text) = run(at, &["diff", "vms/a.xml", "--target", "standalone", "--target", "libvirt"]);
    assert!(status == Some(3) && text.contains("for libvirt"), "{text}");
}

#[test]
fn a_running_qemu_is_compared_through_its_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = domain("vm", 512, "pc-q35-7.2");
    fs::write(folder.path().join("vm.xml"), &text).expect("a file");
    fs::write(folder.path().join("more.xml"), text.replace("512", "1024")).expect("a file");
    let line = common::virtc().args(["argv", "-q", "--format", "json", "vm.xml"]).current_dir(folder.path()).output();
    let line: serde_json::Value = serde_json::from_slice(&line.expect("virtc").stdout).expect("JSON");
    let words = line["argv"].as_array().expect("words").iter().filter_map(|w| w.as_str());
    // As the kernel shows it.
    let cmdline: String = words.flat_map(|word| [word, "\0"]).collect();
    fs::write(folder.path().join("cmdline"), cmdline).expect("a file");
    assert_eq!(run(folder.path(), &["diff", "-q", "vm.xml", "cmdline"]), (Some(0), String::new()));
    let (code, said) = run(folder.path(), &["diff", "-q", "more.xml", "cmdline"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("guest-visible") && said.contains("memory"), "{said}");
}

#[test]
fn the_socket_of_a_monitor_stands_for_its_qemu() {
    if !common::has_qemu() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("monitor.sock");
    let mut qemu = std::process::Command::new("qemu-system-x86_64")
        .args(["-machine", "q35", "-m", "64", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio"])
        .args(["-qmp", &format!("unix:{},server=on,wait=off", socket.display())])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("QEMU starts");
    // Its first words come when the sockets are there.
    let mut first = [0; 1];
    std::io::Read::read_exact(qemu.stdout.as_mut().expect("a pipe"), &mut first).expect("it greets");
    let cmdline = format!("/proc/{}/cmdline", qemu.id());
    let same = run(folder.path(), &["diff", "-q", "monitor.sock", &cmdline]);
    fs::write(folder.path().join("vm.xml"), domain("vm", 128, "q35")).expect("a file");
    let other = run(folder.path(), &["diff", "-q", "vm.xml", "monitor.sock"]);
    drop(qemu.stdin.take());
    qemu.kill().expect("it ends");
    qemu.wait().expect("it ended");
    assert_eq!(same, (Some(0), String::new()));
    assert!(other.0 == Some(3) && other.1.contains("memory"), "{other:?}");
    let (status, said) = run(folder.path(), &["diff", "vm.xml", "monitor.sock"]);
    assert!(status != Some(0) && status != Some(3), "{said}");
}

#[test]
fn classes_decide_over_the_exit_status() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::write(at.join("a.xml"), domain("a", 256, "q35")).expect("a file");
    fs::write(at.join("b.xml"), domain("a", 256, "q35").replace("<memory", "<title>t</title><memory")).expect("a file");
    assert_eq!(run(at, &["diff", "a.xml", "b.xml"]).0, Some(3));
    assert_eq!(run(at, &["diff", "a.xml", "b.xml", "--fail-on", "guest-visible"]).0, Some(0));
    assert_eq!(run(at, &["diff", "a.xml", "b.xml", "--fail-on", "cosmetic"]).0, Some(3));
    // Only the name differs: what follows from it may be left out.
    fs::write(at.join("n.xml"), domain("n", 256, "q35")).expect("a file");
    let (_, text) = run(at, &["diff", "a.xml", "n.xml", "-q"]);
    assert!(text.contains("mac: 52:54"), "{text}");
    let (_, text) = run(at, &["diff", "a.xml", "n.xml", "-q", "--ignore", "generated"]);
    assert!(!text.contains("mac: 52:54"), "{text}");
    let (_, sarif) = run(at, &["diff", "a.xml", "b.xml", "-q", "--allow", "surprise", "--format", "sarif"]);
    let log: serde_json::Value = serde_json::from_str(&sarif).unwrap_or_else(|e| panic!("{e}: {sarif}"));
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "cosmetic");
}

#[test]
fn golden_reports_as_diff_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::create_dir(at.join("vms")).expect("a folder");
    fs::write(at.join("vms/a.xml"), domain("a", 256, "q35")).expect("a file");
    assert_eq!(run(at, &["golden", "update", "vms"]).0, Some(0));
    fs::write(at.join("vms/a.xml"), domain("a", 512, "q35")).expect("a file");
    let (status, text) = run(at, &["golden", "check", "vms", "-q"]);
    assert!(status == Some(3) && text.contains("=== a") && text.contains("files differ by that"), "{text}");
    assert!(text.lines().count() < 20, "{text}");
    let (_, unified) = run(at, &["golden", "check", "vms", "-q", "--format", "unified"]);
    assert!(unified.lines().count() > text.lines().count(), "{unified}");
}

#[test]
fn golden_replaces_nothing_but_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for place in ["vms", "photos", "empty"] {
        fs::create_dir(at.join(place)).expect("a folder");
    }
    fs::write(at.join("vms/a.xml"), domain("a", 256, "q35")).expect("a file");
    fs::write(at.join("photos/one.jpg"), "1").expect("a file");
    let (status, text) = run(at, &["golden", "update", "vms", "--stored", "photos"]);
    assert!(status != Some(0) && text.contains("one.jpg"), "{text}");
    std::os::unix::fs::symlink("../photos", at.join("vms/golden")).expect("a link");
    let (status, text) = run(at, &["golden", "update", "vms"]);
    assert!(status != Some(0) && text.contains("is a link"), "{text}");
    assert_eq!(fs::read_dir(at.join("photos")).expect("a folder").count(), 1);
    fs::remove_file(at.join("vms/golden")).expect("the link");
    // A link in what is stored is removed as such.
    assert_eq!(run(at, &["golden", "update", "vms", "--stored", "empty"]).0, Some(0));
    std::os::unix::fs::symlink("../photos", at.join("empty/more")).expect("a link");
    assert_eq!(run(at, &["golden", "update", "vms", "--stored", "empty"]).0, Some(0));
    assert!(at.join("photos/one.jpg").exists() && !at.join("empty/more").exists());
}

#[test]
fn an_old_machine_is_advised() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::write(at.join("old.xml"), domain("old", 256, "pc-q35-7.1")).expect("a file");
    let (status, text) = run(at, &["upgrade", "old.xml", "-q"]);
    assert_eq!(status, Some(0), "{text}");
    for expected in [
        "deprecated since QEMU 10.1, removed with 13.1",
        "virtio-rng-pci.vectors: 0 -> ",
        "keep it: -global virtio-rng-pci.vectors=0",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let (status, patch) = run(at, &["upgrade", "old.xml", "-q", "--patch"]);
    assert!(status == Some(0) && patch.contains("+<os><type arch='x86_64' machine='pc-q35-11.1'>"), "{patch}");
    // The patch applies.
    if common::tool("patch", "patch").is_some() {
        fs::write(at.join("p"), &patch).expect("a file");
        let applied = Command::new("patch").args(["-p1", "-i", "p"]).current_dir(at).output().expect("patch");
        assert!(applied.status.success(), "{}", said(&applied).1);
        assert!(fs::read_to_string(at.join("old.xml")).expect("a file").contains("pc-q35-11.1"));
    }
    // A folder: what goes first stands first. The lock is what changes where it holds the version.
    fs::write(at.join("older.xml"), domain("older", 256, "pc-q35-5.2")).expect("a file");
    fs::write(at.join("new.xml"), domain("new", 256, "q35")).expect("a file");
    assert_eq!(run(at, &["lock", "-q", "new.xml", "--caps", "qemu-9.2"]).0, Some(0));
    let (_, table) = run(at, &["upgrade", ".", "-q", "--caps", "qemu-9.2", "--allow", "surprise"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("file") && lines[1].contains("pc-q35-5.2"), "{table}");
    let (_, patch) = run(at, &["upgrade", "new.xml", "-q", "--patch", "--caps", "qemu-9.2"]);
    assert!(patch.contains("+machine \"pc-q35-11.1\" asked=\"q35\""), "{patch}");
}

#[test]
fn build_tools_compile_what_changed() {
    for (tool, file) in [("make", "Makefile"), ("ninja", "build.ninja")] {
        let Some(program) = common::tool(tool, if tool == "ninja" { "ninja-build" } else { tool }) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        // The name of a file is not that of the machine, and has what the tools read in their own way.
        for (name, file) in [("a", "one machine.xml"), ("b", "b.xml")] {
            fs::write(at.join(file), domain(name, 256, "q35")).expect("a file");
        }
        let (status, rules) = run(at, &["build", "--emit", tool, "one machine.xml", "b.xml"]);
        assert_eq!(status, Some(0), "{rules}");
        fs::write(at.join(file), rules).expect("a file");
        let virtc = Path::new(env!("CARGO_BIN_EXE_virtc")).parent().expect("a folder");
        let path = format!("{}:{}", virtc.display(), std::env::var("PATH").unwrap_or_default());
        let build = || said(&Command::new(&program).current_dir(at).env("PATH", &path).output().expect("the tool"));
        let (status, text) = build();
        assert_eq!(status, Some(0), "{tool}: {text}");
        for name in ["a", "b"] {
            assert!(at.join(format!("out/usr/share/virtc/{name}/plan.json")).is_file(), "{tool}: {name}");
        }
        let (_, again) = build();
        assert!(again.contains("Nothing to be done") || again.contains("no work to do"), "{tool}: {again}");
    }
}

#[test]
fn the_scripts_for_ci_do_what_they_say() {
    let Some(folder) = repository() else { return };
    let at = folder.path();
    let script = common::root().join("examples/ci/review");
    let review = |base: &str, allow: &str| {
        let mut command = Command::new("sh");
        command.arg(&script).args(["vms", base]).current_dir(at).env("VIRTC", env!("CARGO_BIN_EXE_virtc"));
        said(&command.env("ALLOW_GUEST_VISIBLE", allow).output().expect("sh"))
    };
    let (status, text) = review("HEAD", "");
    assert!(status == Some(3) && text.contains("guest-visible"), "{status:?} {text}");
    assert_eq!(review("HEAD", "1").0, Some(0));
    // A lock that is behind.
    assert_eq!(run(at, &["lock", "-q", "vms/a.xml"]).0, Some(0));
    fs::write(at.join("vms/a.xml"), domain("a", 256, "q35").replace("<serial", "<sound model='ich9'/><serial"))
        .expect("a file");
    let (status, text) = review("HEAD", "1");
    assert!(status == Some(1) && text.contains("VC2202"), "{text}");
    // The hook stops the same.
    git(at, &["add", "."]);
    let hook = common::root().join("examples/ci/pre-commit");
    let commit =
        || said(&Command::new(&hook).current_dir(at).env("VIRTC", env!("CARGO_BIN_EXE_virtc")).output().expect("bash"));
    assert_eq!(commit().0, Some(1));
    assert_eq!(run(at, &["lock", "-q", "vms/a.xml"]).0, Some(0));
    git(at, &["add", "."]);
    let (status, text) = commit();
    assert!(status == Some(0) && text.contains("guest-visible"), "{text}");
}
