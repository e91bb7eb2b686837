//! What the host facts say about the paths of the closure: links, and file systems without labels.

use crate::plan::LabelRole;
use crate::stage::Lower;

/// Notes where the paths of the closure really lead, and which of them cannot be labelled.
pub fn settle(lx: &mut Lower<'_>) {
    let host = lx.env.host;
    if host.links.is_empty() && host.mounts.is_empty() {
        return;
    }
    let mut unlabelled: Vec<(String, String)> = Vec::new();
    for access in &mut lx.plan.access {
        access.resolved = host.resolve(&access.path);
        let real = access.resolved.as_deref().unwrap_or(&access.path);
        if let Some(mount) = host.mount_of(real).filter(|m| !m.labels) {
            access.label = LabelRole::Keep;
            access.restore_label = false;
            let entry = (mount.path.clone(), mount.kind.clone());
            if !unlabelled.contains(&entry) {
                unlabelled.push(entry);
            }
        }
    }
    if let Some(selinux) = &mut lx.plan.confinement.selinux {
        selinux.unlabelled = unlabelled;
    }
}
