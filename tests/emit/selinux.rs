//! The CIL modules compile; file_contexts name what the Plan labels.

use super::{plans, tools};
use crate::common;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The least policy that a module can be linked into: the types that Debian's has, and nothing else.
const BASE: &str = include_str!("base.cil");

#[test]
fn modules_compile_with_a_policy() {
    let Some(secilc) = tools::tool("secilc", "secilc") else { return };
    for plan in plans::all() {
        let root = tempfile::tempdir().unwrap();
        let tree = plans::tree(&plan);
        let module = root.path().join("module.cil");
        let base = root.path().join("base.cil");
        std::fs::write(&module, plans::text(&tree, ".cil")).unwrap();
        std::fs::write(&base, BASE).unwrap();
        let mut command = Command::new(&secilc);
        command.args(["-M", "1", "-N", "-o"]).arg(root.path().join("policy"));
        command.arg("-f").arg(root.path().join("contexts")).args([&base, &module]);
        let (success, output) = tools::run(&mut command);
        assert!(success && output.is_empty(), "{}: {output}", plan.name);
    }
}

#[test]
fn labels_and_file_contexts() {
    let tree = plans::tree(&plans::everything());
    let labels = plans::text(&tree, "selinux/labels");
    assert!(labels.contains("system_u:object_r:svirt_image_t:s0:c41,c264\tyes\t/srv/file\tdisk vda (line 12)\n"));
    assert!(labels.contains("system_u:object_r:svirt_image_t:s0\tno\t/srv/shared\t"));
    let contexts = plans::text(&tree, "selinux/file_contexts");
    assert!(
        contexts.contains("/srv/iso/install\\x20cd\\.iso\t--\tsystem_u:object_r:virt_content_t:s0\n"),
        "{contexts}"
    );
    assert!(contexts.contains("/srv/share(/.*)?\tsystem_u:"), "{contexts}");
}

/// The folder with Debian's policy (`usr/share/selinux/default`) and its translator to CIL: that of this machine, or
/// the one that tests/run has unpacked.
fn debians_policy() -> Option<PathBuf> {
    let roots = [PathBuf::from("/"), Path::new(env!("CARGO_MANIFEST_DIR")).join("target/selinux-policy")];
    let found = roots.into_iter().find(|root| {
        root.join("usr/share/selinux/default/virt.pp.bz2").exists() && root.join("usr/libexec/selinux/hll/pp").exists()
    });
    if found.is_none() {
        common::skip(
            "Debian's SELinux policy (packages selinux-policy-default and policycoreutils, which tests/run unpacks)",
        );
    }
    found
}

#[test]
fn modules_are_in_force_with_debians_policy() {
    let Some(secilc) = tools::tool("secilc", "secilc") else { return };
    let Some(root) = debians_policy() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root.join("usr/share/selinux/default")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".pp.bz2").map(|n| format!("{n}.cil")) else { continue };
        let to = folder.path().join(&name);
        let script = r#"bunzip2 -c "$1" | "$2" - "$3""#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(entry.path()).arg(root.join("usr/libexec/selinux/hll/pp")).arg(&to);
        let (success, output) = tools::run(&mut command);
        assert!(success, "{name}: {output}");
        files.push(to);
    }
    files.sort();
    // Debian's policy has no type of its own for emulation; host facts say so there.
    for (i, mut plan) in plans::all().into_iter().enumerate() {
        plan.uuid = format!("00000000-0000-0000-0000-{i:012x}");
        if let Some(selinux) = &mut plan.confinement.selinux {
            selinux.process = selinux.process.replace("svirt_tcg_t", "svirt_t");
        }
        let tree = plans::tree(&plan);
        let Some(module) = tree.iter().find(|a| a.path.ends_with(".cil")) else { continue };
        let file = folder.path().join(format!("own{i}.cil"));
        std::fs::write(&file, &module.contents).unwrap();
        files.push(file);
    }
    // What is forbidden here is found again in the rules that allow it, with their files.
    let forbidden = folder.path().join("forbidden.cil");
    let rules = "(neverallow init_t svirt_t (process (noatsecure)))\n(neverallow svirt_t svirt_t (process (execmem)))\n\
                 (neverallow svirt_t svirt_t (anon_inode (create)))\n(neverallow svirt_t sysfs_t (file (open)))\n";
    std::fs::write(&forbidden, rules).unwrap();
    let compile = |more: Option<&Path>| {
        let mut command = Command::new(&secilc);
        command.args(["-m", "-M", "1", "-o"]).arg(folder.path().join("policy"));
        command.arg("-f").arg(folder.path().join("contexts")).args(&files).args(more);
        tools::run(&mut command)
    };
    let (success, output) = compile(Some(&forbidden));
    assert!(!success);
    for check in output.split("neverallow check failed").skip(1) {
        assert!(check.contains("forbidden.cil"), "a rule of the policy itself is broken: {check}");
        assert!(check.contains("/own"), "no module allows it: {check}");
    }
    assert_eq!(output.matches("neverallow check failed").count(), 4, "{output}");
    let (success, output) = compile(None);
    assert!(success && output.is_empty(), "{output}");
}
