//! What a domain has for itself alone.

use crate::plan::{Cause, ClaimKind, PathKind, Plan, Role, Sharing, Use};

/// Calls `f` for everything that a domain claims for itself: what kind, which one, why.
pub fn claim<'a>(plan: &'a Plan, f: &mut dyn FnMut(&'static str, String, &'a Cause)) {
    let Some(qemu) = plan.qemu() else { return };
    f("name", plan.name.clone(), &qemu.cause);
    f("UUID", plan.uuid.clone(), &qemu.cause);
    if let Some(user) = plan.confinement.user.as_ref().filter(|_| plan.confinement.own_account) {
        f("account", user.clone(), &qemu.cause);
    }
    labels(plan, f);
    accesses(plan, f);
    for socket in &plan.sockets {
        f("socket", socket.path.clone(), &socket.cause);
    }
    for link in plan.links.iter().filter(|l| !l.name.is_empty()) {
        f("network interface", link.name.clone(), &link.cause);
    }
    for claim in &plan.claims {
        let kind = match claim.kind {
            ClaimKind::Mac => "MAC address",
            ClaimKind::Cid => "vsock address",
            ClaimKind::HostDevice => "host device",
        };
        f(kind, claim.value.clone(), &claim.cause);
    }
}

fn accesses<'a>(plan: &'a Plan, f: &mut dyn FnMut(&'static str, String, &'a Cause)) {
    let is_tpm = |id: &str| plan.processes.iter().any(|p| p.role == Role::Swtpm && p.id == id);
    for access in plan.access.iter().filter(|a| a.perms.write && a.sharing == Sharing::Exclusive) {
        let kind = match access.kind {
            PathKind::File | PathKind::BlockDevice if access.usage == Use::Disk => "writable disk",
            PathKind::File | PathKind::BlockDevice if access.usage == Use::Nvram => "firmware variable store",
            PathKind::File | PathKind::BlockDevice => "written file",
            PathKind::CharDevice => "host device",
            PathKind::Pipe => "pipe",
            // Folders are often shared, but no state of a TPM.
            PathKind::Tree | PathKind::Directory if is_tpm(&access.process) => "TPM state",
            // Those that somebody listens on are listed apart; any number may connect.
            _ => continue,
        };
        f(kind, access.path.clone(), &access.cause);
    }
}

/// The pair of categories, compared with machines that are there already.
pub(super) const CATEGORIES: &str = "pair of SELinux categories";

/// The profile of AppArmor, which is named after the UUID.
pub(super) const PROFILE: &str = "AppArmor profile";

/// What keeps the files of machines apart: who has the label of another has its files, too.
fn labels<'a>(plan: &'a Plan, f: &mut dyn FnMut(&'static str, String, &'a Cause)) {
    let cause = |own: &'a Cause| plan.qemu().map_or(own, |q| if own.line > 0 { own } else { &q.cause });
    if let Some(selinux) = &plan.confinement.selinux
        && let Some(pair) = super::categories::pair(&selinux.process)
    {
        f(CATEGORIES, pair, cause(&selinux.cause));
    }
    // Profiles of the host may serve several machines.
    if let Some(own) = plan.confinement.apparmor.as_ref().filter(|a| a.generated || a.profile.starts_with("libvirt-")) {
        f(PROFILE, own.profile.clone(), cause(&own.cause));
    }
}
