//! AppArmor profiles of machines that no package has brought: loaded for the run, and unloaded after it.

use super::errors::{Fault, WithHelp, fault};
use super::journal::{Entry, Journal};
use super::own::has_apparmor;
use super::start::profile_is_loaded;
use crate::diag::Diagnostics;
use crate::diag::codes::run as codes;
use crate::emit::{Artifact, Fitter, Names, Templates, apparmor};
use crate::plan::Plan;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What reads profiles and gives them to the kernel.
const PARSER: &str = "/usr/sbin/apparmor_parser";

/// Where the profiles of a tree lie, below its root.
const FOLDER: &str = "etc/apparmor.d/";

/// Loads the profile of the machine and of its helpers, where the kernel has AppArmor and nobody has loaded them. What
/// keeps it from being loaded keeps the machine from running, but for a host that has nothing to load it with.
pub(super) fn load(plan: &Plan, journal: &mut Journal) -> Result<(), Fault> {
    let Some(own) = plan.confinement.apparmor.as_ref().filter(|a| a.generated) else { return Ok(()) };
    let able = has_apparmor() && rustix::process::geteuid().is_root() && Path::new(PARSER).exists();
    if !able || profile_is_loaded(&own.profile) {
        return Ok(());
    }
    let folder = journal.path().with_extension("apparmor");
    let failed = |e: std::io::Error| fault(&codes::PREPARE, format!("cannot write {}: {e}", folder.display()));
    journal.add(Entry::RunDirectory(folder.clone()))?;
    let _ = std::fs::remove_dir_all(&folder);
    let Some(file) = write(&text_of(plan), &own.profile, &folder).map_err(failed)? else {
        return Err(fault(&codes::PROFILE, format!("the profile {} cannot be written down", own.profile)));
    };
    journal.add(Entry::Profile(file.clone()))?;
    let said = parser("--replace", &file);
    if profile_is_loaded(&own.profile) {
        return Ok(());
    }
    Err(fault(&codes::PROFILE, format!("the AppArmor profile {} was not loaded: {}", own.profile, said.trim()))
        .with_help("the host facts may leave AppArmor out: instance { security-driver \"none\"; }"))
}

/// Takes a profile out of the kernel that was loaded for a run. Nothing has it any more: what had it has ended.
pub(super) fn unload(file: &Path) {
    parser("--remove", file);
}

/// What the parser says about a file; its folder has what the profile includes.
fn parser(what: &str, file: &Path) -> String {
    let Some(folder) = file.parent() else { return String::new() };
    let mut command = Command::new(PARSER);
    command.args([what, "--skip-cache", "--Include"]).arg(folder).arg(file);
    match command.env_clear().stdin(Stdio::null()).output() {
        Ok(out) => String::from_utf8_lossy(&out.stderr).into_owned(),
        Err(error) => error.to_string(),
    }
}

/// The profile and what it includes, as they stand in a tree.
fn text_of(plan: &Plan) -> Vec<Artifact> {
    let mut diags = Diagnostics::new();
    let Some(names) = Names::of(plan, &mut Fitter::new(&mut diags)) else { return Vec::new() };
    apparmor::emit(plan, &names, &Templates::built_in(), &mut diags)
}

/// Writes them below a folder, as below that of the host. Gives the file of the profile.
fn write(all: &[Artifact], profile: &str, folder: &Path) -> std::io::Result<Option<PathBuf>> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let mut found = None;
    for artifact in all {
        let Some(inner) = artifact.path.strip_prefix(FOLDER) else { continue };
        let path = folder.join(inner);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(folder))?;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        std::io::Write::write_all(&mut file, artifact.contents.as_bytes())?;
        if inner.rsplit('/').next() == Some(profile) {
            // Beside the folder that it includes from.
            let top = folder.join(profile);
            std::fs::rename(&path, &top)?;
            found = Some(top);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Apparmor, Process, Role};

    fn machine() -> Plan {
        let process = |id: &str, role, program: &str| Process {
            id: id.to_string(),
            role,
            program: program.to_string(),
            ..Process::default()
        };
        let mut plan = Plan { name: "vm".to_string(), uuid: "u".to_string(), ..Plan::default() };
        plan.processes.push(process("swtpm-tpm0", Role::Swtpm, "/usr/bin/swtpm"));
        plan.processes.push(process("qemu", Role::Qemu, "/usr/bin/qemu-system-x86_64"));
        plan.confinement.apparmor =
            Some(Apparmor { profile: "libvirt-u".to_string(), generated: true, ..Apparmor::default() });
        plan
    }

    #[test]
    fn the_parser_finds_what_a_profile_includes() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().join("vm.apparmor");
        let file = write(&text_of(&machine()), "libvirt-u", &base).expect("written").expect("a profile");
        assert_eq!(file, base.join("libvirt-u"));
        assert!(
            base.join("libvirt/libvirt-u.files").exists() && base.join("libvirt/libvirt-u.swtpm-tpm0.files").exists()
        );
        // Into the kernel it does not go here.
        let Ok(out) = Command::new(PARSER)
            .args(["--skip-kernel-load", "--skip-cache", "--names", "--Include"])
            .arg(&base)
            .arg(&file)
            .output()
        else {
            return;
        };
        let names = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert!(names.contains("libvirt-u\n") && names.contains("libvirt-u//swtpm-tpm0"), "{names}");
    }
}
