//! Files behind links. Whoever compiled the machine may not have seen this host: where a link leads is found at each start,
//! by root, and the account gets there what it would have got without the link.

use rustix::fs::{Stat, lstat, readlink, stat};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use virtc::diag::Diagnostics;
use virtc::emit::{apparmor, selinux, tmpfiles};
use virtc::escape::{Escaped, TmpfilesPattern, UnitWord};
use virtc::lower::policy::closed;
use virtc::plan::{Access, Plan, Role, Selinux};

/// Where what is found is written down, for the profile and for systemd-tmpfiles.
const FOLDER: &str = "/run/virtc-links";

/// As many links as the kernel follows.
const MOST: usize = 40;

/// Finds what lies behind links, and gives it to the machine.
pub fn follow(file: &str) -> Result<(), String> {
    let mut plan = crate::plan(file)?;
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for access in plan.access.iter().filter(|a| a.may_be_behind_link()) {
        match target(Path::new(&access.path)) {
            Ok(Some(real)) => match closed(&plan, access, &real, &[]) {
                Some(why) => faults.push(format!("{} leads to {real}, which no guest may have: {why}", access.path)),
                None => found.push(Access { resolved: Some(real), ..access.clone() }),
            },
            Ok(None) => {}
            Err(why) => faults.push(format!("{}: {why}", access.path)),
        }
    }
    plan.access = found;
    write(&mut plan)?;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// Writes the rules of the profile, and has the rights given.
fn write(plan: &mut Plan) -> Result<(), String> {
    std::fs::create_dir_all(FOLDER).map_err(|e| format!("{FOLDER}: {e}"))?;
    if let Some(apparmor) = plan.confinement.apparmor.as_ref().filter(|a| a.generated) {
        for process in &plan.processes {
            let name = if process.role == Role::Qemu { "" } else { process.id.as_str() };
            let dot = if name.is_empty() { "" } else { "." };
            put(&format!("{}{dot}{name}", apparmor.profile), &apparmor::rules(plan, process))?;
        }
    }
    let selinux =
        plan.confinement.selinux.take().filter(|s| s.relabel && Path::new("/sys/fs/selinux/enforce").exists());
    plan.directories.clear();
    plan.files.clear();
    plan.inherited.clear();
    let mut lines = tmpfiles::lines(plan, &mut Diagnostics::new());
    lines.extend(selinux.iter().flat_map(|s| plan.access.iter().filter_map(|a| label(s, a))));
    let name = format!("virtc-{}.conf", plan.uuid);
    put(&name, &lines.concat())?;
    if lines.is_empty() {
        return Ok(());
    }
    let status = Command::new("systemd-tmpfiles").args(["--create", &format!("{FOLDER}/{name}")]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("systemd-tmpfiles: {status}")),
        Err(error) => Err(format!("systemd-tmpfiles: {error}")),
    }
}

/// No policy knows where the link leads, so that the label is said.
fn label(selinux: &Selinux, access: &Access) -> Option<String> {
    let context = selinux::context_of(selinux, access)?;
    let path = Escaped::<TmpfilesPattern>::new(access.resolved.as_deref()?).ok()?;
    let context = Escaped::<UnitWord>::new(context).ok()?;
    Some(format!("t {path} - - - - security.selinux={context}\n"))
}

/// A file, complete or not at all.
fn put(name: &str, text: &str) -> Result<(), String> {
    if name.contains('/') {
        return Err(format!("'{name}' is no name of a file"));
    }
    let (path, draft) = (format!("{FOLDER}/{name}"), format!("{FOLDER}/.{name}"));
    let done = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path));
    done.map_err(|e| format!("{path}: {e}"))
}

/// Where a path leads; none where no link is on the way, or nothing is there. A link that somebody else than root can have
/// made leads only to what is his own: or he could give the guest what he may not read himself.
fn target(path: &Path) -> Result<Option<String>, String> {
    let mut todo: Vec<PathBuf> = parts(path);
    let mut at = PathBuf::from("/");
    let mut makers: Vec<u32> = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part.as_os_str() == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        let Ok(seen) = lstat(&next) else { return Ok(None) };
        if !is_link(&seen) {
            at = next;
            continue;
        }
        links += 1;
        if links > MOST {
            return Err("too many links".to_string());
        }
        let folder = stat(&at).map_err(|e| e.to_string())?;
        makers.push(if folder.st_mode & 0o022 == 0 { folder.st_uid } else { seen.st_uid });
        let to = readlink(&next, Vec::new()).map_err(|e| e.to_string())?;
        let to = PathBuf::from(std::ffi::OsString::from_vec(to.into_bytes()));
        if to.is_absolute() {
            at = PathBuf::from("/");
        }
        todo.extend(parts(&to));
    }
    if links == 0 {
        return Ok(None);
    }
    let owner = lstat(&at).map_err(|e| e.to_string())?.st_uid;
    if let Some(maker) = makers.into_iter().find(|maker| *maker != 0 && *maker != owner) {
        return Err(format!(
            "a link of user {maker} leads to {}, which is another's: name that path itself",
            at.display()
        ));
    }
    let real = at.into_os_string().into_string().map_err(|_| "the link leads to a name that is no text")?;
    Ok(Some(real))
}

fn is_link(seen: &Stat) -> bool {
    rustix::fs::FileType::from_raw_mode(seen.st_mode).is_symlink()
}

/// The parts of a path, the last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let part = |c: Component<'_>| match c {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from(OsStr::from_bytes(b".."))),
        _ => None,
    };
    path.components().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn where_links_lead() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("far/pool")).unwrap();
        std::fs::write(root.join("far/pool/a.img"), "").unwrap();
        symlink("far/pool", root.join("near")).unwrap();
        symlink("../far/./pool/a.img", root.join("far/b.img")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let of = |path: &str| target(&root.join(path)).map(|t| t.map(|t| t.replace(root.to_str().unwrap(), "")));
        assert_eq!(of("near/a.img"), Ok(Some("/far/pool/a.img".to_string())));
        assert_eq!(of("far/b.img"), Ok(Some("/far/pool/a.img".to_string())));
        assert_eq!((of("far/pool/a.img"), of("near/none"), of("none")), (Ok(None), Ok(None), Ok(None)));
        assert_eq!(of("loop"), Err("too many links".to_string()));
    }
}
