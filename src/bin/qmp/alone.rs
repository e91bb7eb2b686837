//! Whether a machine is the only one of its host with its identity: its UUID, and so its AppArmor profile, its pair of SELinux
//! categories, its account. Deployments and packages look when they come; this looks at each start, at what was copied by hand,
//! and at what another manager of machines runs.

use std::path::Path;
use virtc::emit::{manifest, selinux};
use virtc::fleet::categories::pair;
use virtc::plan::Plan;

/// Looks at the machines whose folders lie beside that of the plan, and at the processes of the host.
pub fn check(file: &str) -> Result<(), String> {
    let plan = crate::plan(file)?;
    let mut faults = Vec::new();
    if let Some(own) = Path::new(file).parent() {
        installed(&plan, own, &mut faults);
        let stem = format!("virtc-{}", own.file_name().unwrap_or_default().to_string_lossy());
        running(&plan, &stem, Path::new("/proc"), &mut faults);
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!("{}: build the two together, or give this one a UUID and labels of its own", faults.join("; ")))
}

/// The other machines of the host.
fn installed(plan: &Plan, own: &Path, faults: &mut Vec<String>) {
    let beside = own.parent().and_then(|share| share.read_dir().ok()).into_iter().flatten().flatten();
    for folder in beside.map(|entry| entry.path()).filter(|path| path != own) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(other) = std::fs::read(folder.join(manifest::FILE)) else { continue };
        let Ok(other) = manifest::Manifest::read(&other) else { continue };
        if other.uuid == plan.uuid {
            faults.push(format!("{name}, which is on this host, has the same UUID {}", plan.uuid));
        }
        let labels = std::fs::read_to_string(folder.join("selinux/labels")).unwrap_or_default();
        if let (Some(own), Some(other)) = (categories(plan), selinux::process_context(&labels).and_then(pair))
            && own == other
        {
            faults.push(format!("{name}, which is on this host, has the same SELinux categories {own}"));
        }
        // An account that follows from the name of the machine is nobody else's to name.
        let lent = plan.confinement.user.as_ref().filter(|_| !plan.confinement.own_account);
        if let Some(user) = lent.filter(|user| user.contains("virtc-"))
            && std::fs::read(folder.join("plan.json"))
                .ok()
                .and_then(|text| Plan::read(&text).ok())
                .is_some_and(|other| other.confinement.own_account && other.confinement.user.as_ref() == Some(user))
        {
            faults.push(format!("{name}, which is on this host, has the account {user}"));
        }
    }
}

fn categories(plan: &Plan) -> Option<String> {
    pair(&plan.confinement.selinux.as_ref()?.process)
}

/// The processes of the host, but for those of the machine's own services.
fn running(plan: &Plan, stem: &str, proc: &Path, faults: &mut Vec<String>) {
    let profile = plan.confinement.apparmor.as_ref().map(|a| a.profile.as_str());
    let categories = categories(plan);
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    for process in proc.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Some(id) = process.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let label = read(&process.join("attr/current"));
        let label = label.trim_end_matches(['\0', '\n']);
        let what = if categories.is_some() && pair(label) == categories {
            "these SELinux categories"
        } else if profile.is_some_and(|own| is_confined_by(label, own)) {
            "this AppArmor profile"
        } else {
            continue;
        };
        if !is_of_service(&read(&process.join("cgroup")), stem) {
            faults.push(format!("process {id} of another program has {what} ({label})"));
            return;
        }
    }
}

/// Whether a label is a profile, or one below it: `libvirt-UUID//swtpm-tpm0 (enforce)`.
fn is_confined_by(label: &str, profile: &str) -> bool {
    let rest = label.strip_prefix(profile);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ') || rest.starts_with("//"))
}

/// Whether a cgroup is that of the machine's services: `virtc-NAME.service`, `virtc-NAME-HELPER.service`.
fn is_of_service(cgroup: &str, stem: &str) -> bool {
    cgroup
        .trim_end()
        .split('/')
        .filter(|part| part.ends_with(".service"))
        .any(|part| part.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['-', '.'])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtc::plan::{Apparmor, Selinux};

    #[test]
    fn machines_have_nothing_of_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        let other = dir.path().join("other");
        std::fs::create_dir(&own).unwrap();
        std::fs::create_dir_all(other.join("selinux")).unwrap();
        let mut plan = Plan { uuid: "u".into(), ..Plan::default() };
        plan.confinement.user = Some("virtc-own".into());
        plan.confinement.own_account = true;
        let process = "system_u:system_r:svirt_t:s0:c1,c2".to_string();
        plan.confinement.selinux = Some(Selinux { process, ..Selinux::default() });
        let version = manifest::Manifest::VERSION;
        let manifest = |uuid: &str| manifest::Manifest { version, uuid: uuid.into(), ..manifest::Manifest::default() };
        let found = |plan: &Plan, uuid: &str, labels: &str, owner: &str| {
            std::fs::write(other.join(manifest::FILE), serde_json::to_vec(&manifest(uuid)).unwrap()).unwrap();
            std::fs::write(other.join("selinux/labels"), labels).unwrap();
            let mut theirs = Plan { version: Plan::VERSION, ..Plan::default() };
            theirs.confinement.user = Some(owner.into());
            theirs.confinement.own_account = true;
            std::fs::write(other.join("plan.json"), serde_json::to_vec(&theirs).unwrap()).unwrap();
            let mut faults = Vec::new();
            installed(plan, &own, &mut faults);
            faults.join("\n")
        };
        assert_eq!(found(&plan, "v", "svirt:x:y:s0:c1,c3\t-\t(the processes)\tseclabel (line 9)\n", "virtc-other"), "");
        assert!(found(&plan, "u", "", "virtc-other").contains("same UUID"));
        assert!(
            found(&plan, "v", "a:b:c:s0:c1,c2\t-\t(the processes)\tseclabel (line 9)\n", "virtc-other")
                .contains("categories c1,c2")
        );
        plan.confinement.user = Some("virtc-other".into());
        plan.confinement.own_account = false;
        assert!(found(&plan, "v", "", "virtc-other").contains("the account virtc-other"));
    }

    #[test]
    fn processes_of_other_programs_are_told_apart() {
        let proc = tempfile::tempdir().unwrap();
        let process = |id: &str, label: &str, cgroup: &str| {
            let folder = proc.path().join(id);
            std::fs::create_dir_all(folder.join("attr")).unwrap();
            std::fs::write(folder.join("attr/current"), label).unwrap();
            std::fs::write(folder.join("cgroup"), cgroup).unwrap();
        };
        let mut plan = Plan::default();
        plan.confinement.apparmor = Some(Apparmor { profile: "libvirt-1".into(), ..Apparmor::default() });
        let found = |plan: &Plan| {
            let mut faults = Vec::new();
            running(plan, "virtc-web", proc.path(), &mut faults);
            faults.join("\n")
        };
        process("1", "unconfined\n", "0::/init.scope\n");
        process("2", "libvirt-1//swtpm-tpm0 (enforce)\n", "0::/virtc.slice/virtc-web-swtpm-tpm0.service\n");
        process("3", "libvirt-12 (enforce)\n", "0::/machine.slice/other.scope\n");
        assert_eq!(found(&plan), "");
        process("4", "libvirt-1 (enforce)\n", "0::/machine.slice/machine-qemu\\x2d1.scope/libvirt/emulator\n");
        assert!(found(&plan).contains("process 4 of another program has this AppArmor profile"));
        plan.confinement.apparmor = None;
        let process_label = "u:r:svirt_t:s0:c5,c6".to_string();
        plan.confinement.selinux = Some(Selinux { process: process_label, ..Selinux::default() });
        assert_eq!(found(&plan), "");
        process("5", "system_u:system_r:svirt_t:s0:c5,c6\0", "0::/machine.slice/x.scope\n");
        assert!(found(&plan).contains("process 5"));
    }
}
