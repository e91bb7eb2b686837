//! What has to happen inside a child before its program begins: user, groups, capabilities, labels, CPUs.
//!
//! The runner starts `virtc __exec SETTINGS PROGRAM ARGS…`, which applies the settings to itself and then
//! becomes the program. This needs no code between fork and exec, and hence no unsafe code.

use super::calls::Calls;
use super::view::{self, Covered};
use rustix::process::{Gid, Resource, Rlimit, Uid, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, CpuSet, remove_capability_from_bounding_set, sched_setaffinity, set_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::process::CommandExt;

/// The hidden first argument under which virtc becomes another program.
pub const EXEC: &str = "__exec";

/// The settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Confine {
    /// User, group and supplementary groups.
    pub account: Option<(u32, u32, Vec<u32>)>,
    /// Capabilities that are kept, by name. Where an account is given, root's too, all others are dropped.
    pub keep: Vec<String>,
    /// Whether memory may be locked without limit.
    pub locks_memory: bool,
    /// Limits of processes, open files and core dumps.
    pub maxima: [Option<u64>; 3],
    /// SELinux context of the program.
    pub selinux: Option<String>,
    /// AppArmor profile of the program.
    pub apparmor: Option<String>,
    /// CPUs that it may use.
    pub cpus: Vec<usize>,
    /// Files that the program gets open, by number. They are opened before the account changes.
    #[serde(default)]
    pub descriptors: Vec<(u32, String)>,
    /// Folders of others that it does not see; it has been given a mount namespace of its own.
    #[serde(default)]
    pub covered: Vec<Covered>,
    /// What it may ask the kernel for; none: anything.
    #[serde(default)]
    pub calls: Option<Calls>,
    /// Files of control groups (`cgroup.procs`) into which it writes itself.
    pub groups: Vec<String>,
}

impl Confine {
    /// Whether there is nothing to do.
    pub(super) fn is_nothing(&self) -> bool {
        Confine { keep: Vec::new(), calls: None, ..self.clone() } == Confine::default()
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Applies the settings to this process.
    fn apply(&self) -> Result<(), String> {
        let failed = |what: &str, e: rustix::io::Errno| format!("cannot set {what}: {e}");
        for file in &self.groups {
            // 0 is the writer itself.
            std::fs::write(file, "0").map_err(|e| format!("cannot enter the control group {file}: {e}"))?;
        }
        for (number, path) in &self.descriptors {
            pass(*number, path)?;
        }
        view::apply(&self.covered)?;
        if !self.cpus.is_empty() {
            let mut set = CpuSet::new();
            for cpu in self.cpus.iter().filter(|c| **c < CpuSet::MAX_CPU) {
                set.set(*cpu);
            }
            sched_setaffinity(None, &set).map_err(|e| failed("the CPUs", e))?;
        }
        if self.locks_memory {
            // Without the privilege for it QEMU itself says what it misses.
            let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
        }
        for (resource, limit) in [Resource::Nproc, Resource::Nofile, Resource::Core].into_iter().zip(self.maxima) {
            if limit.is_some() {
                setrlimit(resource, Rlimit { current: limit, maximum: limit })
                    .map_err(|e| failed("the limits of processes, files or core dumps", e))?;
            }
        }
        // Labels take effect at the next exec, and need the rights that go with the account.
        for (file, value) in [
            ("/proc/thread-self/attr/exec", self.selinux.clone()),
            ("/proc/thread-self/attr/apparmor/exec", self.apparmor.as_ref().map(|p| format!("exec {p}"))),
        ] {
            if let Some(value) = value {
                std::fs::write(file, &value).map_err(|e| format!("cannot enter {value}: {e}"))?;
            }
        }
        if let Some((uid, gid, groups)) = &self.account {
            let mut keep = CapabilitySet::empty();
            for name in &self.keep {
                keep |= capability(name).ok_or_else(|| format!("there is no capability {name}"))?;
            }
            for bit in CapabilitySet::all().difference(keep).iter() {
                // A kernel that does not know a capability refuses to remove it.
                let _ = remove_capability_from_bounding_set(bit);
            }
            let groups: Vec<Gid> = groups.iter().map(|g| Gid::from_raw(*g)).collect();
            let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
            set_thread_groups(&groups).map_err(|e| failed("the groups", e))?;
            set_thread_res_gid(gid, gid, gid).map_err(|e| failed("the group", e))?;
            if !keep.is_empty() {
                rustix::thread::set_keep_capabilities(true).map_err(|e| failed("capabilities", e))?;
            }
            set_thread_res_uid(uid, uid, uid).map_err(|e| failed("the user", e))?;
            // Who stays root would keep all of them; at the exec, root gets what is in the bounding set.
            if !keep.is_empty() || uid.is_root() {
                set_capabilities(None, CapabilitySets { effective: keep, permitted: keep, inheritable: keep })
                    .map_err(|e| failed("capabilities", e))?;
                // Root has them by the exec; those that are ambient could not be given up one by one (libcap-ng insists on it).
                for bit in keep.iter().filter(|_| !uid.is_root()) {
                    rustix::thread::configure_capability_in_ambient_set(bit, true)
                        .map_err(|e| failed("capabilities", e))?;
                }
            }
            if self.selinux.is_none() {
                // SELinux refuses its label at the exec then, unless the policy has a rule for it; AppArmor lets the
                // unconfined enter a profile.
                set_no_new_privs(true).map_err(|e| failed("no_new_privs", e))?;
                self.calls.map_or(Ok(()), Calls::apply)?;
            }
        }
        Ok(())
    }
}

/// Opens a file under this number, for the program that follows.
fn pass(number: u32, path: &str) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot open {path}: {e}");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let wanted = number as i32;
    let mut fd = OwnedFd::from(file);
    if fd.as_raw_fd() != wanted {
        // The lowest free number from there on: it must be that one.
        fd = rustix::io::fcntl_dupfd_cloexec(&fd, wanted).map_err(|e| failed(e.into()))?;
    }
    if fd.as_raw_fd() != wanted {
        return Err(format!("cannot open {path} as number {number}: it is in use"));
    }
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty()).map_err(|e| failed(e.into()))?;
    // It stays open until the program ends.
    let _ = fd.into_raw_fd();
    Ok(())
}

/// A capability by its name, `CAP_NET_ADMIN`.
fn capability(name: &str) -> Option<CapabilitySet> {
    CapabilitySet::from_name(name.to_ascii_uppercase().trim_start_matches("CAP_"))
}

/// `virtc __exec SETTINGS PROGRAM ARGS…`: applies the settings and becomes the program. Returns only
/// when that fails, with what to print.
pub fn exec(args: impl IntoIterator<Item = OsString>) -> String {
    let mut args = args.into_iter();
    let settings = args.next().and_then(|s| s.into_string().ok());
    let Some(confine) = settings.and_then(|s| serde_json::from_str::<Confine>(&s).ok()) else {
        return "the settings are not understood".to_string();
    };
    let Some(program) = args.next() else { return "no program".to_string() };
    if let Err(why) = confine.apply() {
        return why;
    }
    let error = std::process::Command::new(&program).args(args).exec();
    format!("cannot start {}: {error}", program.to_string_lossy())
}
