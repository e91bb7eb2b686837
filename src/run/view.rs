//! What the processes of a machine see of the folders of people and of other machines: what the Plan names, and nothing else.
//!
//! Root starts each process in a mount namespace of its own, by unshare(1), which becomes the next program. There an empty
//! file system covers each of these folders, and what is needed is bound into it.

use super::own::Account;
use crate::emit::argv;
use crate::plan::{self, PathKind, Plan};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount, mount_bind_recursive, mount_remount};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Folders that are covered: those of people, and those in which other machines have something.
const FOLDERS: &[&str] = &["/home", "/root", "/run/user", "/run/virtc", "/var/lib/virtc", "/var/home", "/var/roothome"];

/// What makes the namespace.
const UNSHARE: &str = "/usr/bin/unshare";

/// A folder that is covered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Covered {
    /// The folder.
    folder: PathBuf,
    /// What is still seen in it.
    kept: Vec<PathBuf>,
}

/// The folders that are covered for a machine: none where this host or the account does not let us. SELinux has no rule for what
/// lies on an empty file system, and separates machines by itself.
pub(super) fn of(plan: &Plan, account: Option<&Account>, selinux: bool) -> Vec<Covered> {
    let root = rustix::process::geteuid().is_root() && account.is_some_and(|a| a.uid != 0);
    if !root || selinux {
        return Vec::new();
    }
    let wanted = wanted(plan);
    let covered: Vec<Covered> = FOLDERS.iter().filter_map(|folder| cover(Path::new(folder), &wanted)).collect();
    if covered.is_empty() || !can_unshare() { Vec::new() } else { covered }
}

/// The words before a program that give it a namespace of its own.
pub(super) fn prefix(covered: &[Covered]) -> &'static [&'static str] {
    if covered.is_empty() { &[] } else { &[UNSHARE, "--mount", "--propagation", "private", "--"] }
}

/// Whether this host lets us: a container often does not.
fn can_unshare() -> bool {
    let mut command = Command::new(UNSHARE);
    command.args(["--mount", "--propagation", "private", "--", "true"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Every path that the machine may need: those of the Plan, and those in arguments and variables.
fn wanted(plan: &Plan) -> BTreeSet<PathBuf> {
    let mut all: BTreeSet<PathBuf> = BTreeSet::new();
    for access in &plan.access {
        all.extend(
            [Some(&access.path), access.resolved.as_ref()].into_iter().flatten().map(|path| kept(path, access.kind)),
        );
    }
    all.extend(plan.directories.iter().map(|d| PathBuf::from(&d.path)));
    let made = plan.sockets.iter().map(|s| &s.path).chain(plan.secrets.iter().map(|s| &s.path));
    let made = made.chain(plan.files.iter().map(|f| &f.path)).chain(plan.overlays.iter().map(|o| &o.path));
    all.extend(made.map(|path| kept(path, PathKind::Socket)));
    for process in &plan.processes {
        all.insert(kept(&process.program, PathKind::File));
        all.extend(mentioned(process).into_iter().map(|path| kept(&path, PathKind::File)));
    }
    all
}

/// A file that is there, or a folder, is kept itself; of what is made later its folder is.
fn kept(path: &str, kind: PathKind) -> PathBuf {
    let path = Path::new(path);
    let stays = match kind {
        PathKind::Tree | PathKind::Files | PathKind::Directory => true,
        PathKind::Socket | PathKind::Pipe => false,
        _ => path.exists(),
    };
    if stays { path.to_path_buf() } else { path.parent().unwrap_or(path).to_path_buf() }
}

/// The absolute paths in arguments and variables.
fn mentioned(process: &plan::Process) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'' | ';' | '}');
    let of = |text: &str| {
        let starts = text.match_indices('/').map(|(at, _)| at);
        let first =
            |at: &usize| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'));
        let path = |at: usize| text[at..].split(ends).next().unwrap_or_default().to_string();
        Vec::from_iter(starts.filter(first).map(path))
    };
    let tokens = argv::tokens(process);
    let values = process.env.iter().map(|(_, value)| value);
    tokens.iter().chain(values).flat_map(|text| of(text)).filter(|path| path.len() > 1).collect()
}

/// A folder with what is kept in it; none if it is needed as a whole, or something in it is not there yet.
fn cover(folder: &Path, wanted: &BTreeSet<PathBuf>) -> Option<Covered> {
    let real = folder.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    if !real || wanted.iter().any(|path| folder.starts_with(path)) {
        return None;
    }
    let mut kept: Vec<PathBuf> = Vec::new();
    // In order, so that a folder comes before what is in it.
    for path in wanted.iter().filter(|path| path.starts_with(folder)) {
        if !kept.iter().any(|above| path.starts_with(above)) {
            kept.push(path.clone());
        }
    }
    Some(Covered { folder: folder.to_path_buf(), kept })
}

/// Covers the folders, in a namespace of one's own.
pub(super) fn apply(covered: &[Covered]) -> Result<(), String> {
    covered.iter().try_for_each(|one| hide(one).map_err(|e| format!("cannot cover {}: {e}", one.folder.display())))
}

fn hide(covered: &Covered) -> std::io::Result<()> {
    let Covered { folder, kept } = covered;
    // Opened before they are covered. What is not there nobody can open.
    let open = |path: &PathBuf| {
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        Some((path.clone(), fd))
    };
    let kept: Vec<(PathBuf, OwnedFd)> = kept.iter().filter_map(open).collect();
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("virtc", folder, "tmpfs", flags, c"mode=0755,size=1M")?;
    for (path, fd) in &kept {
        let is_dir = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode).is_dir();
        if is_dir {
            std::fs::create_dir_all(path)?;
        } else {
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
            std::fs::File::create(path)?;
        }
        mount_bind_recursive(format!("/proc/self/fd/{}", fd.as_raw_fd()), path)?;
    }
    Ok(mount_remount(folder, flags | MountFlags::RDONLY, "mode=0755,size=1M")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = dir.path().join("home");
        std::fs::create_dir_all(home.join("me/vms")).expect("made");
        std::fs::write(home.join("me/vms/a.img"), "").expect("written");
        let path = |name: &str| home.join(name);
        let text = |name: &str| path(name).to_str().expect("text").to_string();
        assert_eq!(kept(&text("me/vms/a.img"), PathKind::File), path("me/vms/a.img"));
        assert_eq!(kept(&text("me/vms/new.img"), PathKind::File), path("me/vms"));
        assert_eq!(kept(&text("me/vms/s.sock"), PathKind::Socket), path("me/vms"));
        let cover = |names: &[&str]| cover(&home, &names.iter().map(|n| path(n)).collect()).map(|c| c.kept);
        assert_eq!(cover(&["me/vms/a.img", "me/vms"]), Some(vec![path("me/vms")]));
        assert_eq!(cover(&[]), Some(vec![]));
        assert_eq!(cover(&[""]), None, "it is shared as a whole");
        assert_eq!(super::cover(&home, &BTreeSet::from([PathBuf::from("/srv/a")])).map(|c| c.kept), Some(vec![]));
        assert_eq!(super::cover(&path("none"), &BTreeSet::new()), None);
    }

    #[test]
    fn paths_of_arguments_are_seen() {
        let process = plan::Process {
            program: "/usr/bin/qemu".to_string(),
            env: vec![("X".into(), "unix:/run/user/1/x".to_string())],
            ..plan::Process::default()
        };
        assert_eq!(mentioned(&process), ["/run/user/1/x"]);
    }
}
