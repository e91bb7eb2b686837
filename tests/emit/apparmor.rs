//! AppArmor's parser compiles the profiles.

use super::{plans, tools};
use std::path::Path;
use std::process::Command;

/// Compiles the profile of a tree without loading it; gives what the parser says.
pub fn compile(root: &Path, uuid: &str, extra: &[&str]) -> Option<(bool, String)> {
    let parser = tools::tool("apparmor_parser", "apparmor")?;
    let base = root.join("etc/apparmor.d");
    let mut command = Command::new(parser);
    command.args(["-Q", "-K", "-I"]).arg(&base).args(extra).arg(base.join(format!("libvirt/libvirt-{uuid}")));
    let (success, output) = tools::run(&mut command);
    // Said where the kernel has no AppArmor.
    let said = output.lines().filter(|l| !l.is_empty() && !l.starts_with("Cache read/write disabled"));
    Some((success, said.collect::<Vec<_>>().join("\n")))
}

#[test]
fn profiles_compile() {
    for plan in plans::all() {
        let root = tempfile::tempdir().unwrap();
        plans::write(&plans::tree(&plan), root.path());
        let Some((success, output)) = compile(root.path(), &plan.uuid, &[]) else { return };
        assert!(success && output.is_empty(), "{}: {output}", plan.name);
    }
}

#[test]
fn one_rule_for_each_access_with_its_reason() {
    let tree = plans::tree(&plans::everything());
    let files = plans::text(&tree, "555.files");
    for rule in [
        "\"/srv/file\" rwk,  # disk vda (line 12)",
        "\"/srv/iso/install cd.iso\" rk,  # disk sda (line 30)",
        "\"/srv/share/\" r,",
        "\"/srv/share/**\" rwk,",
        "\"/srv/log\" w,",
        "\"/srv/pipe.in\" rwk,",
        "\"/dev/vfio/12\" rw,  # hostdev (line 20)",
        "\"/run/virtc/web/tpm.sock\" rw,",
    ] {
        assert_eq!(files.lines().filter(|l| l.starts_with(rule)).count(), 1, "{rule}\n{files}");
    }
    assert!(!files.contains("tpm2"), "the state of the TPM is the helper's alone");
    assert!(plans::text(&tree, "555.swtpm-tpm0.files").contains("\"/var/lib/virtc/web/tpm2/**\" rwk,"));
}

#[test]
fn complain_mode_holds_for_the_helpers_too() {
    let mut plan = plans::everything();
    plan.confinement.apparmor.as_mut().unwrap().complain = true;
    let tree = plans::tree(&plan);
    let text = plans::text(&tree, &plan.uuid);
    let profiles: Vec<&str> = text.lines().filter(|l| l.trim_start().starts_with("profile ")).collect();
    assert!(profiles.len() > 1, "{text}");
    assert!(profiles.iter().all(|l| l.ends_with("flags=(attach_disconnected, complain) {")), "{profiles:?}");
    let root = tempfile::tempdir().unwrap();
    plans::write(&tree, root.path());
    let Some((success, output)) = compile(root.path(), &plan.uuid, &[]) else { return };
    assert!(success && output.is_empty(), "{output}");
}

#[test]
fn links_lead_to_the_rule() {
    let mut plan = plans::server();
    plan.access.retain(|a| !a.path.ends_with(".img"));
    plan.access.push(virtc::plan::Access { resolved: Some("/dev/dm-0".into()), ..plans::disk("/dev/mapper/vg-lv") });
    let tree = plans::tree(&plan);
    let files = plans::text(&tree, ".files");
    assert!(files.contains("\"/dev/dm-0\" rwk,") && !files.contains("/dev/mapper"), "{files}");
}
