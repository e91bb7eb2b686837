//! What an account may do with a file: mode bits and POSIX access lists, read as the kernel reads them.

use crate::diag::codes::run as codes;
use crate::diag::{Diagnostics, Span};
use crate::host::DEFAULT_USER;
use crate::plan::{Instance, Plan, Process};
use crate::run::errors::Fault;
use crate::run::own;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The account that a machine would run as here.
pub(super) struct Who {
    /// Its name for a person.
    pub name: String,
    /// How chmod and setfacl call it.
    short: String,
    uid: u32,
    groups: Vec<u32>,
}

/// The account of a plan on this host: its own user when root would start it, else whoever asks.
pub(super) fn who(plan: &Plan, diags: &mut Diagnostics) -> Result<Who, Fault> {
    let root = rustix::process::geteuid().is_root();
    let user = plan.confinement.user.clone().unwrap_or_default();
    let account = match own::account(plan) {
        _ if !root && plan.instance == Instance::Session => None,
        // Nobody asked for this account: the runner does without, and the package of the units makes it.
        Err(_) if plan.confinement.own_account || user == DEFAULT_USER => {
            let text = format!("there is no user '{user}' on this host, under which root starts the machine");
            diags
                .note(&codes::NO_ACCOUNT, Span::NONE, text)
                .help(format!("virtc deploy makes it, or by hand: useradd --system --no-create-home {user}"));
            None
        }
        account => account?,
    };
    if let Some(account) = account {
        let short = user.trim_start_matches('+').to_string();
        return Ok(Who { name: format!("the user '{user}'"), short, uid: account.uid, groups: account.groups });
    }
    let uid = rustix::process::geteuid().as_raw();
    let mut groups = vec![rustix::process::getegid().as_raw()];
    groups.extend(rustix::process::getgroups().unwrap_or_default().into_iter().map(|g| g.as_raw()));
    let name = if root { "root".to_string() } else { "the user who runs it".to_string() };
    Ok(Who { name, short: uid.to_string(), uid, groups })
}

/// The account of a process that has one of its own.
pub(super) fn of_process(process: &Process) -> Option<Who> {
    let user = process.user.as_deref()?;
    let account = own::account_of(user, process.group.as_deref(), &[]).ok()?;
    let short = user.trim_start_matches('+').to_string();
    Some(Who { name: format!("the user '{user}'"), short, uid: account.uid, groups: account.groups })
}

impl Who {
    /// The command that grants permissions on files, and no more to anybody else.
    pub(super) fn grant(&self, permissions: &str, paths: &[&Path]) -> String {
        format!("as its owner or root: setfacl -m u:{}:{permissions} -- {}", quoted(&self.short), all(paths))
    }

    /// The commands that let it through directories: for it alone, or for all where there are no access lists.
    pub(super) fn let_through(&self, directories: &[&Path]) -> String {
        format!("{}; or for everybody: chmod o+x -- {}", self.grant("x", directories), all(directories))
    }

    /// Whether it may read and write a file.
    pub(super) fn may(&self, meta: &Metadata, path: &Path, read: bool, write: bool) -> bool {
        // Root reads and writes everything.
        let wanted = if read { 4 } else { 0 } | if write { 2 } else { 0 };
        self.uid == 0 || self.bits(meta, path) & wanted == wanted
    }

    /// The directories on the way to `path` that it may not search: those that the path names, and those that
    /// its links lead to.
    pub(super) fn closed_directories(&self, path: &Path) -> Vec<PathBuf> {
        if self.uid == 0 {
            return Vec::new();
        }
        let mut closed: Vec<PathBuf> = Vec::new();
        let mut look = |path: &Path| {
            let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
            above.reverse();
            for directory in above {
                // A link among them is searched where it leads; that one is missing is another fault.
                let Ok(real) = std::fs::canonicalize(directory) else { continue };
                let Ok(meta) = std::fs::metadata(&real) else { continue };
                if self.bits(&meta, &real) & 1 == 0 && !closed.contains(&real) {
                    closed.push(real);
                }
            }
        };
        // Each link on the way, and the file itself, may lead through other directories.
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        for part in way {
            look(part);
            if part.is_symlink()
                && let Ok(real) = std::fs::canonicalize(part)
            {
                look(&real);
            }
        }
        closed
    }

    /// Its permission bits on a file: 4 read, 2 write, 1 execute or search.
    fn bits(&self, meta: &Metadata, path: &Path) -> u32 {
        let mut list = [0_u8; 4096];
        let entries = rustix::fs::getxattr(path, "system.posix_acl_access", &mut list)
            .ok()
            .and_then(|length| list.get(..length))
            .map(parse)
            .unwrap_or_default();
        if entries.is_empty() {
            return self.bits_of_mode(meta);
        }
        self.bits_of_list(meta, &entries)
    }

    fn bits_of_mode(&self, meta: &Metadata) -> u32 {
        let shift = if meta.uid() == self.uid {
            6
        } else if self.groups.contains(&meta.gid()) {
            3
        } else {
            0
        };
        (meta.mode() >> shift) & 7
    }

    /// The algorithm of acl(5): owner, named user, groups, others; all but owner and others limited by the mask.
    fn bits_of_list(&self, meta: &Metadata, entries: &[Entry]) -> u32 {
        let of = |tag: u16| entries.iter().find(|e| e.tag == tag).map(|e| e.bits);
        let mask = of(MASK).unwrap_or(7);
        if meta.uid() == self.uid {
            return of(USER_OBJ).unwrap_or(0);
        }
        if let Some(user) = entries.iter().find(|e| e.tag == USER && e.id == self.uid) {
            return user.bits & mask;
        }
        let groups: Vec<u32> = entries
            .iter()
            .filter(|e| match e.tag {
                GROUP_OBJ => self.groups.contains(&meta.gid()),
                GROUP => self.groups.contains(&e.id),
                _ => false,
            })
            .map(|e| e.bits & mask)
            .collect();
        if groups.is_empty() { of(OTHER).unwrap_or(0) } else { groups.into_iter().fold(0, |a, b| a | b) }
    }
}

/// Paths as a shell takes them.
fn all(paths: &[&Path]) -> String {
    let words: Vec<String> = paths.iter().map(|path| quoted(&path.to_string_lossy())).collect();
    words.join(" ")
}

/// A word that a shell leaves as it is.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+,:=@%".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Tags of the kernel's `system.posix_acl_access`.
const USER_OBJ: u16 = 1;
const USER: u16 = 2;
const GROUP_OBJ: u16 = 4;
const GROUP: u16 = 8;
const MASK: u16 = 16;
const OTHER: u16 = 32;

struct Entry {
    tag: u16,
    bits: u32,
    id: u32,
}

/// Reads the attribute: a version (2), then entries of tag, permissions and id, little endian.
fn parse(bytes: &[u8]) -> Vec<Entry> {
    let Some((version, rest)) = bytes.split_first_chunk::<4>() else { return Vec::new() };
    if u32::from_le_bytes(*version) != 2 {
        return Vec::new();
    }
    rest.chunks_exact(8)
        .filter_map(|entry| {
            let (tag, entry) = entry.split_first_chunk::<2>()?;
            let (bits, entry) = entry.split_first_chunk::<2>()?;
            let (id, _) = entry.split_first_chunk::<4>()?;
            Some(Entry {
                tag: u16::from_le_bytes(*tag),
                bits: u32::from(u16::from_le_bytes(*bits)),
                id: u32::from_le_bytes(*id),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn stranger() -> Who {
        Who { name: "x".into(), short: "x".into(), uid: 64_999, groups: vec![64_999] }
    }

    #[test]
    fn mode_bits_decide() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = std::fs::canonicalize(dir.path()).expect("a path").join("image");
        std::fs::write(&file, "").expect("written");
        let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
        set(&file, 0o604).expect("a mode");
        let meta = std::fs::metadata(&file).expect("the file");
        assert!(stranger().may(&meta, &file, true, false) && !stranger().may(&meta, &file, true, true));
        let parent = file.parent().expect("a parent");
        set(parent, 0o700).expect("a mode");
        assert_eq!(stranger().closed_directories(&file), [parent.to_path_buf()]);
        set(parent, 0o711).expect("a mode");
        assert!(stranger().closed_directories(&file).is_empty());
        // All that are closed are told at once, behind links as well.
        let inner = parent.join("a b/c");
        std::fs::create_dir_all(&inner).expect("directories");
        std::fs::write(inner.join("image"), "").expect("written");
        set(&inner, 0o700).expect("a mode");
        let outer = parent.join("a b");
        set(&outer, 0o700).expect("a mode");
        let link = parent.join("link");
        std::os::unix::fs::symlink(inner.join("image"), &link).expect("a link");
        let closed = stranger().closed_directories(&link);
        assert_eq!(closed, [outer.clone(), inner.clone()]);
        let help = stranger().let_through(&[&outer, &inner]);
        let both = format!("'{}' '{}'", outer.display(), inner.display());
        assert_eq!(
            help,
            format!("as its owner or root: setfacl -m u:x:x -- {both}; or for everybody: chmod o+x -- {both}")
        );
        set(&outer, 0o755).expect("a mode");
    }

    #[test]
    fn access_lists_count() {
        let entry = |tag: u16, bits: u16, id: u32| {
            let mut bytes = tag.to_le_bytes().to_vec();
            bytes.extend(bits.to_le_bytes());
            bytes.extend(id.to_le_bytes());
            bytes
        };
        let none = u32::MAX;
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for part in [
            entry(USER_OBJ, 7, none),
            entry(USER, 6, 64_999),
            entry(GROUP_OBJ, 0, none),
            entry(MASK, 4, none),
            entry(OTHER, 0, none),
        ] {
            bytes.extend(part);
        }
        let meta = std::fs::metadata("/").expect("the root");
        assert_eq!(stranger().bits_of_list(&meta, &parse(&bytes)), 4);
        let other = Who { uid: 65_000, groups: vec![65_000], ..stranger() };
        assert_eq!(other.bits_of_list(&meta, &parse(&bytes)), 0);
    }
}
