//! The stored trees of the examples: what virtc makes today is what is stored, and the programs that read
//! the files accept them without a word.

use crate::common::{self, root, tool};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn files(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.file_name().is_some_and(|n| wanted(&n.to_string_lossy())))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "nothing to check in {}", folder.display());
    files
}

#[test]
fn the_examples_compile_to_the_stored_trees() {
    let output = common::virtc()
        .current_dir(root())
        .args(["golden", "check", "examples", "--stored", "golden"])
        .output()
        .expect("virtc starts");
    assert!(
        output.status.success(),
        "{}\nIf the change is meant: virtc golden update examples --stored golden",
        text(&output)
    );
}

#[test]
fn systemd_verifies_every_unit_without_a_word() {
    let Some(analyze) = tool("systemd-analyze", "systemd") else { return };
    if tool("qemu-system-x86_64", "qemu-system-x86").is_none() {
        return;
    }
    let folder = root().join("golden/usr/lib/systemd/system");
    let output = Command::new(analyze)
        .args(["verify", "--recursive-errors=no", "--man=no"])
        .args(files(&folder, &|n| n.starts_with("virtc-") && n.ends_with(".service")))
        .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()))
        .output()
        .expect("systemd-analyze starts");
    // The helper of units comes in a package of its own, which need not be installed here.
    let said = text(&output);
    let said: Vec<&str> = said.lines().filter(|l| !l.contains("/usr/lib/virtc/qmp is not executable")).collect();
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn a_person_can_read_the_unit_of_a_server() {
    let unit =
        std::fs::read_to_string(root().join("golden/usr/lib/systemd/system/virtc-server.service")).expect("a unit");
    assert!(unit.lines().count() <= 90, "{} lines", unit.lines().count());
    let long: Vec<&str> = unit.lines().filter(|l| l.chars().count() > 160 && !l.contains("'{")).collect();
    assert!(long.is_empty(), "{long:?}");
    assert!(!unit.contains("/bin/sh"), "no shell");
}

#[test]
fn apparmor_compiles_every_profile() {
    let Some(parser) = tool("apparmor_parser", "apparmor") else { return };
    let base = root().join("golden/etc/apparmor.d");
    for profile in files(&base.join("libvirt"), &|n| n.starts_with("libvirt-") && !n.contains('.')) {
        let output = Command::new(&parser)
            .args(["-Q", "-K", "-I"])
            .arg(&base)
            .arg(&profile)
            .output()
            .expect("apparmor_parser starts");
        let said = text(&output);
        // The parser remarks on a kernel without AppArmor, which does not matter for compiling.
        let said: Vec<&str> =
            said.lines().filter(|l| !l.is_empty() && !l.starts_with("Cache read/write disabled")).collect();
        assert!(output.status.success() && said.is_empty(), "{}: {said:?}", profile.display());
    }
}

#[test]
fn secilc_compiles_every_module() {
    let Some(secilc) = tool("secilc", "secilc") else { return };
    let domains = std::fs::read_dir(root().join("golden/usr/share/virtc")).expect("stored trees");
    let modules: Vec<PathBuf> =
        domains.flatten().flat_map(|d| files(&d.path().join("selinux"), &|n| n.ends_with(".cil"))).collect();
    assert!(!modules.is_empty());
    let folder = tempfile::tempdir().expect("a folder");
    // All of them go into one policy: the modules of a host.
    let output = Command::new(secilc)
        .args(["-M", "1", "-N", "-o"])
        .arg(folder.path().join("policy"))
        .arg("-f")
        .arg(folder.path().join("contexts"))
        .arg(root().join("tests/emit/base.cil"))
        .args(&modules)
        .output()
        .expect("secilc starts");
    assert!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
}
