//! Owners and labels of the files that a machine uses: given before the start, taken back after the stop.
//!
//! A path is resolved once, and for root only by links that root has made; what is changed is the file behind an open
//! descriptor that no symbolic link led to. So neither a link that a guest has put in its own folder nor a path that is
//! swapped between the look and the change leads anywhere. The units do the same (`emit/systemd/scripts.rs`).

use super::acl::Acl;
use super::errors::{Fault, WithHelp, fault};
use super::journal::{Entry, FileId, Journal};
use super::registry::Registry;
use crate::diag::codes::run as codes;
use crate::plan::{Access, LabelRole, OwnerRule, PathKind, Plan, Sharing};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, openat2};
use rustix::io::Errno;
use std::fs::DirBuilder;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Extended attribute that holds a file's SELinux context.
const SELINUX: &str = "security.selinux";

/// The user and the groups that a machine runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// The account of a plan; none when it runs as the user who starts it.
pub(super) fn account(plan: &Plan) -> Result<Option<Account>, Fault> {
    let confinement = &plan.confinement;
    let Some(user) = &confinement.user else { return Ok(None) };
    account_of(user, confinement.group.as_deref(), &confinement.groups).map(Some)
}

/// The account of a process that has one of its own.
pub(super) fn account_of(user: &str, group: Option<&str>, more: &[String]) -> Result<Account, Fault> {
    let (uid, mut gid) = find_user(user)?;
    if let Some(group) = group {
        gid = find_group(group)?;
    }
    let mut groups = vec![gid];
    for group in more {
        groups.push(find_group(group)?);
    }
    groups.extend(groups_of(user));
    groups.sort_unstable();
    groups.dedup();
    Ok(Account { uid, gid, groups })
}

/// A line of a name database: the local file first, then whatever else the system asks (NSS).
fn lookup(database: &str, name: &str) -> Option<Vec<String>> {
    let fields = |line: &str| Vec::from_iter(line.split(':').map(str::to_string));
    if let Ok(text) = std::fs::read_to_string(format!("/etc/{database}"))
        && let Some(found) = text.lines().map(fields).find(|f| f.first().is_some_and(|n| n == name))
    {
        return Some(found);
    }
    // Where nobody else is asked, a process is saved.
    let switch = std::fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    if only_files(&switch, database) {
        return None;
    }
    let out = Command::new("getent").arg(database).arg("--").arg(name).output().ok()?;
    out.status.success().then(|| fields(String::from_utf8_lossy(&out.stdout).trim_end()))
}

/// Whether a name database has no source besides the local file: `passwd: files`.
fn only_files(switch: &str, database: &str) -> bool {
    let line = switch.lines().find_map(|line| line.trim().strip_prefix(database)?.strip_prefix(':'));
    line.is_some_and(|sources| sources.split_whitespace().all(|s| s == "files"))
}

/// A number, with or without the `+` that forces one.
fn number(name: &str) -> Option<u32> {
    name.strip_prefix('+').unwrap_or(name).parse().ok()
}

fn find_user(name: &str) -> Result<(u32, u32), Fault> {
    if !name.starts_with('+')
        && let Some(fields) = lookup("passwd", name)
        && let (Some(Ok(uid)), Some(Ok(gid))) = (fields.get(2).map(|f| f.parse()), fields.get(3).map(|f| f.parse()))
    {
        return Ok((uid, gid));
    }
    number(name).map(|n| (n, n)).ok_or_else(|| {
        fault(&codes::OWNER, format!("there is no user '{name}' on this host")).with_help(format!(
            "create it (useradd --system --no-create-home {name}), or name another in the host facts"
        ))
    })
}

fn find_group(name: &str) -> Result<u32, Fault> {
    if !name.starts_with('+')
        && let Some(fields) = lookup("group", name)
        && let Some(Ok(gid)) = fields.get(2).map(|f| f.parse())
    {
        return Ok(gid);
    }
    number(name).ok_or_else(|| {
        fault(&codes::OWNER, format!("there is no group '{name}' on this host"))
            .with_help(format!("create it (groupadd --system {name}), or name another in the host facts"))
    })
}

/// The groups of which a user is a member, in the local file.
fn groups_of(user: &str) -> Vec<u32> {
    let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':').skip(2);
            let gid = fields.next()?.parse().ok()?;
            fields.next()?.split(',').any(|member| member == user).then_some(gid)
        })
        .collect()
}

/// Opens the file behind `path` for nothing but being changed, without following a symbolic link.
fn open(path: &Path) -> rustix::io::Result<(OwnedFd, FileId, rustix::fs::Stat)> {
    // Without NOFOLLOW: together with PATH it would open a final link itself instead of refusing it.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // The kernel may ask to try again when something on the way is renamed at the same moment.
    let mut tries = 0;
    let fd = loop {
        match openat2(CWD, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < 100 => tries += 1,
            other => break other?,
        }
    };
    let stat = fstat(&fd)?;
    let id = FileId { path: path.to_path_buf(), device: stat.st_dev, inode: stat.st_ino };
    Ok((fd, id, stat))
}

/// The path of an open descriptor, for the calls that take no descriptor that was opened for nothing.
fn by_descriptor(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn label_of(fd: &OwnedFd) -> Option<String> {
    let mut buffer = [0_u8; 4096];
    let length = rustix::fs::getxattr(by_descriptor(fd), SELINUX, &mut buffer).ok()?;
    let text = buffer.get(..length)?;
    Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_string())
}

fn set_label(fd: &OwnedFd, label: &str) -> rustix::io::Result<()> {
    let mut value = label.as_bytes().to_vec();
    value.push(0);
    rustix::fs::setxattr(by_descriptor(fd), SELINUX, &value, rustix::fs::XattrFlags::empty())
}

/// The paths that an access stands for on this host; none when there is nothing to change yet.
fn paths(access: &Access) -> Result<Vec<PathBuf>, Fault> {
    let resolved = |path: String| match resolve(Path::new(&path)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(unsafe_link(&error)),
        Err(_) => Ok(None),
    };
    if access.kind == PathKind::Pipe
        && let (Some(input), Some(output)) =
            (resolved(format!("{}.in", access.path))?, resolved(format!("{}.out", access.path))?)
    {
        return Ok(vec![input, output]);
    }
    Ok(resolved(access.path.clone())?.into_iter().collect())
}

/// The file behind a path, free of links. Root follows a link only where nobody else can have made it: a guest that was
/// taken over could put one to a file of the system into its own folder.
pub(super) fn resolve(path: &Path) -> std::io::Result<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        return std::fs::canonicalize(path);
    }
    let parts = |path: &Path| Vec::from_iter(path.components().rev().map(|c| c.as_os_str().to_os_string()));
    let (mut done, mut left) = (PathBuf::from("/"), parts(&std::path::absolute(path)?));
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        if !next.symlink_metadata()?.is_symlink() {
            done = next;
            continue;
        }
        links += 1;
        if links > 40 {
            return Err(Errno::LOOP.into());
        }
        let folder = done.metadata()?;
        if folder.uid() != 0 || folder.mode() & 0o022 != 0 {
            let why = format!("'{}' is a symbolic link, and others than root can write its folder", next.display());
            return Err(std::io::Error::new(ErrorKind::PermissionDenied, why));
        }
        // An absolute one begins with the root, which replaces what is done.
        left.extend(parts(&std::fs::read_link(&next)?));
    }
    Ok(done)
}

/// A folder that is made if it is not there, held open, and no link that others can have put on the way led to it.
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// The folder of a path, and the folders above it.
    pub(super) fn of(path: &Path) -> std::io::Result<Folder> {
        let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
        if folder.components().any(|part| part == std::path::Component::ParentDir) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let there = folder.ancestors().find(|f| f.symlink_metadata().is_ok()).ok_or(ErrorKind::NotFound)?;
        let missing = folder.strip_prefix(there).unwrap_or(Path::new(""));
        let real = resolve(there)?.join(missing);
        if !missing.as_os_str().is_empty() {
            DirBuilder::new().recursive(true).mode(0o755).create(&real)?;
        }
        Ok(Folder(open(&real)?.0))
    }

    /// A name in it, which stays in it whoever renames the folder meanwhile.
    pub(super) fn join(&self, name: &std::ffi::OsStr) -> PathBuf {
        Path::new(&by_descriptor(&self.0)).join(name)
    }
}

/// The largest file that is copied for a machine: firmware keeps its variables in 64 MiB at most.
const LARGEST_COPY: u64 = 256 << 20;

/// What is in a file that root copies for a machine: a file, to which no link of others leads.
pub(super) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolved = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = std::fs::File::from(openat2(CWD, &resolve(path)?, flags, Mode::empty(), resolved)?);
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    if found.len() > LARGEST_COPY {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is larger than 256 MiB"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_COPY).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unsafe_link(error: &std::io::Error) -> Fault {
    fault(&codes::OWNER, error.to_string())
        .with_help("name what it leads to in the domain, or let root alone write the folder of the link")
}

/// Whether this host runs SELinux.
pub(super) fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Whether this host runs AppArmor.
pub(super) fn has_apparmor() -> bool {
    Path::new("/sys/kernel/security/apparmor/profiles").exists()
}

/// Gives the machine's files to its account and labels them. Notes what could not be done and does not matter to
/// a file system that has no owners or labels.
pub(super) fn give(
    plan: &Plan,
    account: Option<&Account>,
    journal: &mut Journal,
    registry: &Registry,
) -> Result<Vec<String>, Fault> {
    let mut notes = Vec::new();
    let may_own = rustix::process::geteuid().is_root();
    let selinux = plan.confinement.selinux.as_ref().filter(|s| s.relabel && has_selinux());
    let others = other_entries(registry, journal);
    if let Some(account) = account.filter(|_| may_own) {
        make_outputs(plan, account)?;
    }
    for access in plan.access.iter().filter(|a| a.sharing != Sharing::System) {
        let owner = match &access.owner {
            OwnerRule::Keep => None,
            // Whoever owns a file can change its permissions: what others use, too, is only opened to the account of the
            // machine, also where the domain names another owner.
            OwnerRule::Domain { .. } | OwnerRule::Explicit(_) if access.sharing != Sharing::Exclusive => None,
            OwnerRule::Domain { restore } => {
                account.filter(|_| plan.confinement.dynamic_ownership).map(|a| (a.uid, a.gid, *restore))
            }
            OwnerRule::Explicit(text) => match text.split_once(':') {
                Some((user, group)) => Some((find_user(user)?.0, find_group(group)?, true)),
                None => Some((find_user(text)?.0, find_user(text)?.1, true)),
            },
        };
        let label = selinux.and_then(|s| match &access.label {
            LabelRole::Image => Some(&s.image),
            LabelRole::Shared => Some(&s.shared),
            LabelRole::Content => Some(&s.content),
            LabelRole::Explicit(label) => Some(label),
            LabelRole::Keep => None,
        });
        let opened = access.owner != OwnerRule::Keep && access.sharing != Sharing::Exclusive;
        let opened = account.filter(|a| opened && may_own && a.uid != 0 && plan.confinement.dynamic_ownership);
        if (owner.is_none() || !may_own) && label.is_none() && opened.is_none() {
            continue;
        }
        for path in paths(access)? {
            let failed = |what: &str, e: Errno| {
                fault(
                    &codes::OWNER,
                    format!("cannot set the {what} of {} ({}): {e}", path.display(), access.cause.what),
                )
            };
            let (fd, id, stat) = open(&path).map_err(|e| failed("owner", e))?;
            if let Some(account) = opened {
                let result = open_to(&fd, &id, &stat, account, access.perms.write, &others, journal)?;
                tolerate(result, &mut notes, "access list", &path).map_err(|e| failed("access list", e))?;
            }
            if let Some((uid, gid, restore)) = owner.filter(|_| may_own) {
                // Another machine may have changed it before: what it remembers is the true owner, and
                // whoever stops last gives it back.
                let before = others.iter().find_map(|e| match e {
                    Entry::Owner(other, uid, gid) if same(other, &id) => Some((*uid, *gid)),
                    _ => None,
                });
                let fits = (stat.st_uid, stat.st_gid) == (uid, gid);
                if restore && (!fits || before.is_some()) {
                    let (old_uid, old_gid) = before.unwrap_or((stat.st_uid, stat.st_gid));
                    journal.add(Entry::Owner(id.clone(), old_uid, old_gid))?;
                }
                if !fits {
                    tolerate(own(&fd, uid, gid), &mut notes, "owner", &path).map_err(|e| failed("owner", e))?;
                }
            }
            if let Some(label) = label {
                let old = label_of(&fd);
                let before = others.iter().find_map(|e| match e {
                    Entry::Label(other, label) if same(other, &id) => Some(label.clone()),
                    _ => None,
                });
                let fits = old.as_ref() == Some(label);
                if let Some(old) = before.or(old.filter(|_| !fits)) {
                    journal.add(Entry::Label(id, old))?;
                }
                if !fits {
                    tolerate(set_label(&fd, label), &mut notes, "label", &path).map_err(|e| failed("label", e))?;
                }
            }
        }
    }
    Ok(notes)
}

/// Puts the account on the access list of a file, if it could not open it otherwise.
fn open_to(
    fd: &OwnedFd,
    id: &FileId,
    stat: &rustix::fs::Stat,
    account: &Account,
    writes: bool,
    others: &[Entry],
    journal: &mut Journal,
) -> Result<rustix::io::Result<()>, Fault> {
    let rights: u16 = if writes { 6 } else { 4 };
    let path = by_descriptor(fd);
    let list = Acl::of(&path, stat.st_mode);
    let bits = |shift: u32| (stat.st_mode >> shift & 7) as u16 & rights == rights;
    let has = match () {
        () if stat.st_uid == account.uid => bits(6),
        () if account.groups.contains(&stat.st_gid) && bits(3) => true,
        () => list.lets(account.uid, &account.groups, rights),
    };
    // What another machine of the account was given stays until the last of them has ended.
    let given =
        others.iter().any(|e| matches!(e, Entry::Access(other, user) if *user == account.uid && same(other, id)));
    if has && !given {
        return Ok(Ok(()));
    }
    journal.add(Entry::Access(id.clone(), account.uid))?;
    if has {
        return Ok(Ok(()));
    }
    Ok(list.with(account.uid, rights).set(&path))
}

/// Makes the logs and the files behind character devices that are not there yet: QEMU would make them
/// itself, but may not write to their folder. They stay after the end. The units do the same.
fn make_outputs(plan: &Plan, account: &Account) -> Result<(), Fault> {
    let is_made = |a: &&Access| {
        a.kind == PathKind::File
            && a.perms.write
            && !a.perms.lock
            && a.sharing != Sharing::System
            && !a.path.starts_with("/dev/")
    };
    for access in plan.access.iter().filter(is_made) {
        let path = Path::new(&access.path);
        // Its folder without links that others can have put there: root would make a file where they lead.
        let Some(folder) = path.parent().and_then(|folder| resolve(folder).ok()) else { continue };
        let Some(path) = path.file_name().map(|name| folder.join(name)) else { continue };
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match made {
            Ok(_) => hand_over(&path, Some(account))?,
            // There already; or its folder is missing, which QEMU says in its own words.
            Err(_) => continue,
        }
    }
    Ok(())
}

/// Network and read-only file systems refuse owners and labels; whether QEMU can use the file is seen when it opens it.
fn tolerate(
    result: rustix::io::Result<()>,
    notes: &mut Vec<String>,
    what: &str,
    path: &Path,
) -> rustix::io::Result<()> {
    match result {
        Err(error @ (Errno::PERM | Errno::ROFS | Errno::INVAL | Errno::OPNOTSUPP)) => {
            notes.push(format!("the {what} of {} stays as it is: {error}", path.display()));
            Ok(())
        }
        other => other,
    }
}

fn own(fd: &OwnedFd, uid: u32, gid: u32) -> rustix::io::Result<()> {
    chownat(fd, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)
}

fn same(a: &FileId, b: &FileId) -> bool {
    (a.device, a.inode) == (b.device, b.inode)
}

/// What the journals of the other machines tell.
fn other_entries(registry: &Registry, journal: &Journal) -> Vec<Entry> {
    registry.journals().into_iter().filter(|r| r.journal != journal.path()).flat_map(|r| r.entries).collect()
}

/// Gives a file its former owner or label back, unless another machine still needs it or it is another file by now.
pub(super) fn take_back(entry: &Entry, registry: &Registry, journal: &Journal) -> Result<(), String> {
    let (Entry::Owner(id, ..) | Entry::Label(id, _) | Entry::Access(id, _)) = entry else { return Ok(()) };
    let needed = other_entries(registry, journal).iter().any(|other| match (entry, other) {
        (Entry::Access(_, user), Entry::Access(other, same_user)) => user == same_user && same(id, other),
        (Entry::Owner(..), Entry::Owner(other, ..)) | (Entry::Label(..), Entry::Label(other, _)) => same(id, other),
        _ => false,
    });
    if needed {
        return Ok(());
    }
    let Ok((fd, now, stat)) = open(&id.path) else { return Ok(()) };
    if !same(&now, id) {
        return Ok(());
    }
    let result = match entry {
        Entry::Owner(_, uid, gid) => own(&fd, *uid, *gid),
        Entry::Label(_, label) => set_label(&fd, label),
        Entry::Access(_, user) => {
            let path = by_descriptor(&fd);
            Acl::of(&path, stat.st_mode).without(*user).set(&path)
        }
        _ => Ok(()),
    };
    result.map_err(|e| format!("cannot give {} its owner or label back: {e}", id.path.display()))
}

/// Gives something that the runner made itself to the machine's account.
pub(super) fn hand_over(path: &Path, account: Option<&Account>) -> Result<(), Fault> {
    let Some(account) = account else { return Ok(()) };
    let failed = |e: Errno| fault(&codes::OWNER, format!("cannot set the owner of {}: {e}", path.display()));
    let path =
        resolve(path).map_err(|e| fault(&codes::OWNER, format!("cannot set the owner of {}: {e}", path.display())))?;
    let (fd, _, stat) = open(&path).map_err(failed)?;
    if (stat.st_uid, stat.st_gid) == (account.uid, account.gid) {
        return Ok(());
    }
    own(&fd, account.uid, account.gid).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbolic_links_are_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = std::fs::canonicalize(dir.path()).expect("a path");
        std::fs::write(base.join("image"), "x").expect("written");
        std::os::unix::fs::symlink(base.join("image"), base.join("link")).expect("linked");
        let opened = open(&base.join("image"));
        assert!(opened.is_ok(), "{:?}", opened.err());
        assert_eq!(open(&base.join("link")).err(), Some(Errno::LOOP));
    }

    #[test]
    fn root_follows_the_links_of_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("guest")).expect("made");
        std::fs::write(at("guest/image"), "").expect("written");
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, at(name)).expect("linked");
        link("guest/../guest/./image", "relative");
        link(at("relative").to_str().expect("text"), "absolute");
        link("../guest/image", "guest/planted");
        link("loop", "loop");
        assert_eq!(resolve(&at("absolute")).expect("a file"), at("guest/image"));
        assert_eq!(resolve(&at("loop")).expect_err("a loop").raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        assert_eq!(resolve(&at("guest/planted")).expect("root's folder still"), at("guest/image"));
        chownat(CWD, at("guest"), Some(Uid::from_raw(64_999)), None, AtFlags::empty()).expect("given away");
        let error = resolve(&at("guest/planted")).expect_err("a link of a guest");
        assert!(error.kind() == ErrorKind::PermissionDenied && error.to_string().contains("guest/planted"), "{error}");
        assert_eq!(resolve(&at("guest/image")).expect("no link"), at("guest/image"));
    }

    /// A template or the folder of a store may be a tenant's: what root reads would be the guest's, what it makes the host's.
    #[test]
    fn what_root_copies_lies_behind_no_link_of_others() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("host")).expect("made");
        std::fs::write(at("host/shadow"), "a secret").expect("written");
        std::fs::create_dir(at("tenant")).expect("made");
        std::fs::write(at("tenant/template"), "variables").expect("written");
        std::os::unix::fs::symlink(at("host/shadow"), at("tenant/file")).expect("planted");
        std::os::unix::fs::symlink(at("host"), at("tenant/folder")).expect("planted");
        chownat(CWD, at("tenant"), Some(Uid::from_raw(64_999)), None, AtFlags::empty()).expect("given away");
        for name in ["tenant/file", "tenant/folder/shadow", "tenant"] {
            assert!(read(&at(name)).is_err(), "{name}");
        }
        let made = Command::new("mkfifo").arg(at("tenant/pipe")).status();
        assert!(made.is_ok_and(|status| status.success()));
        assert!(read(&at("tenant/pipe")).is_err(), "nobody writes into it");
        assert!(read(Path::new("/dev/zero")).is_err());
        assert_eq!(read(&at("tenant/template")).expect("a file"), b"variables");
        for name in ["tenant/folder/x", "tenant/folder/new/x", "tenant/../host/x"] {
            assert!(Folder::of(&at(name)).is_err(), "{name}");
        }
        assert!(!at("host/new").exists());
        let folder = Folder::of(&at("tenant/new/below/x")).expect("made");
        std::fs::rename(at("tenant/new"), at("tenant/old")).expect("renamed");
        std::os::unix::fs::symlink(at("host"), at("tenant/new")).expect("planted");
        std::fs::write(folder.join(std::ffi::OsStr::new("x")), "").expect("written");
        assert!(at("tenant/old/below/x").exists() && !at("host/below").exists());
    }

    #[test]
    fn name_databases_with_one_source() {
        assert!(only_files("group: files\npasswd:\t  files\n", "passwd"));
        assert!(!only_files("passwd: files systemd\n", "passwd") && !only_files("", "passwd"));
    }

    #[test]
    fn numbers_and_names_are_accounts() {
        assert_eq!(find_user("root").expect("root"), (0, 0));
        assert_eq!(find_user("+107").expect("a number"), (107, 107));
        assert!(find_user("no-such-user-here").is_err());
    }
}
