//! Which system calls the processes of a machine do not get: what `SystemCallFilter=` of their units leaves out.
//!
//! The groups are those of systemd.exec(5); a call that is refused ends with EPERM, so that programs which only try it go on. QEMU
//! and virtiofsd add filters of their own. A filter cannot be loaded without no_new_privs, under which SELinux refuses to change
//! the label: there the policy alone confines.

use crate::plan::{Need, Plan, Process};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a process may do besides what all may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Calls {
    /// It makes a root of its own, by mounts; a filter of its own follows.
    mounts: bool,
    /// It makes a root of its own, by chroot(2).
    root: bool,
    /// It has capabilities.
    privileged: bool,
    /// It chooses the nodes of its memory.
    memory: bool,
}

impl Calls {
    /// What any process of a Plan may do.
    pub(super) fn of(plan: &Plan) -> Calls {
        Calls { memory: plan.limits.numa.is_some(), ..Calls::default() }
    }

    /// What this one may do besides.
    pub(super) fn with(self, process: &Process) -> Calls {
        Calls {
            mounts: process.needs(Need::Namespaces),
            root: process.changes_root(),
            privileged: !process.capabilities.is_empty(),
            memory: self.memory || process.needs(Need::MemoryPolicy),
        }
    }

    /// The calls that are refused, by number.
    fn refused(self) -> Vec<i64> {
        let mut out = NEVER.to_vec();
        let rest = [
            (!self.mounts, MOUNT),
            (!self.mounts && !self.root, &[libc::SYS_chroot]),
            (!self.mounts && !self.privileged, PRIVILEGED),
            (!self.mounts, RESOURCES),
            (!self.mounts && !self.memory, MEMORY),
        ];
        rest.iter().filter(|(refused, _)| *refused).for_each(|(_, calls)| out.extend_from_slice(calls));
        #[cfg(target_arch = "x86_64")]
        out.extend_from_slice(OF_X86);
        out
    }

    /// Loads the filter into this process, for good. Nothing where the filter knows no such processor.
    pub(super) fn apply(self) -> Result<(), String> {
        let Ok(arch) = std::env::consts::ARCH.try_into() else { return Ok(()) };
        let failed = |e: &dyn std::fmt::Display| format!("cannot filter system calls: {e}");
        let refused: BTreeMap<i64, _> = self.refused().into_iter().map(|call| (call, Vec::new())).collect();
        let action = SeccompAction::Errno(libc::EPERM as u32);
        let filter = SeccompFilter::new(refused, SeccompAction::Allow, action, arch).map_err(|e| failed(&e))?;
        let program = BpfProgram::try_from(filter).map_err(|e| failed(&e))?;
        seccompiler::apply_filter(&program).map_err(|e| failed(&e))
    }
}

/// `@clock`, `@debug`, `@module`, `@reboot`, `@swap`, and what of `@privileged` no helper has a use for.
const NEVER: &[i64] = &[
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_ptrace,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_acct,
    libc::SYS_bpf,
    libc::SYS_quotactl,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// `@mount`.
const MOUNT: &[i64] = &[
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_umount2,
];

/// The rest of `@privileged`.
const PRIVILEGED: &[i64] = &[
    libc::SYS_capset,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_open_by_handle_at,
    libc::SYS_setfsuid,
    libc::SYS_setgroups,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
];

/// `@resources`, but for what a domain may ask for itself.
const RESOURCES: &[i64] = &[
    libc::SYS_ioprio_set,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_setpriority,
    libc::SYS_setrlimit,
];

/// What of `@resources` places memory and the threads that fill it.
const MEMORY: &[i64] = &[libc::SYS_mbind, libc::SYS_set_mempolicy, libc::SYS_sched_setaffinity];

/// What only this processor has of the groups: `@raw-io`, `@cpu-emulation`, `@obsolete` and others.
#[cfg(target_arch = "x86_64")]
const OF_X86: &[i64] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS__sysctl,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_nfsservctl,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread of its own is told when it asks for a mount. (A filter holds for the thread that loads it.)
    fn mounting(calls: Calls) -> rustix::io::Errno {
        let thread = std::thread::spawn(move || {
            calls.apply().expect("a filter");
            let place = "/nonexistent/virtc";
            rustix::mount::mount("none", place, "tmpfs", rustix::mount::MountFlags::empty(), None)
                .expect_err("no place")
        });
        thread.join().expect("a thread")
    }

    #[test]
    fn mounts_are_for_who_needs_them() {
        use rustix::io::Errno;
        assert_eq!(mounting(Calls::default()), Errno::PERM);
        let told = mounting(Calls { mounts: true, ..Calls::default() });
        // Without the right to mount the kernel does not look for the place.
        let expected =
            if rustix::process::geteuid().is_root() { [Errno::NOENT, Errno::ACCESS] } else { [Errno::PERM; 2] };
        assert!(expected.contains(&told) || told == Errno::PERM, "{told}");
        assert!(std::fs::read("/proc/self/status").is_ok());
    }

    #[test]
    fn no_call_is_named_twice() {
        let mut all = Calls::default().refused();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(count, all.len());
        let privileged = Calls { privileged: true, root: true, ..Calls::default() }.refused();
        assert!(!privileged.contains(&libc::SYS_setuid) && !privileged.contains(&libc::SYS_chroot));
        assert!(privileged.contains(&libc::SYS_mount));
    }
}
