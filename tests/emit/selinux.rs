//! The CIL modules compile; file_contexts name what the Plan labels.

use super::{plans, tools};
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
