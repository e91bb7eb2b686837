//! Access lists of files: a machine may read an image that is not its own, and no more than that.
//!
//! An owner could change the permissions of a file, also of one that it may only read. So what several machines use stays whose
//! it is, and the account of each gets an entry (the kernel's format of `system.posix_acl_access`, see acl(5)).

use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::io::Errno;

const NAME: &str = "system.posix_acl_access";
const VERSION: u32 = 2;
const NOBODY: u32 = u32::MAX;

/// Tags of entries, in the order in which they have to stand.
const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    tag: u16,
    id: u32,
    rights: u16,
}

/// A list of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl(Vec<Entry>);

impl Acl {
    /// The list of the file behind `path`; that which its mode stands for where it has none.
    pub fn of(path: &str, mode: u32) -> Acl {
        let mut buffer = [0_u8; 4096];
        let stored = getxattr(path, NAME, &mut buffer).ok();
        stored.and_then(|length| parse(buffer.get(..length)?)).unwrap_or_else(|| Acl::of_mode(mode))
    }

    fn of_mode(mode: u32) -> Acl {
        let entry = |tag, shift: u32| Entry { tag, id: NOBODY, rights: (mode >> shift & 7) as u16 };
        Acl(vec![entry(OWNER, 6), entry(OWNING_GROUP, 3), entry(OTHERS, 0)])
    }

    /// What the user has by an entry of his own.
    fn own(&self, user: u32) -> Option<u16> {
        self.0.iter().find(|e| e.tag == USER && e.id == user).map(|e| e.rights)
    }

    fn mask(&self) -> Option<u16> {
        self.0.iter().find(|e| e.tag == MASK).map(|e| e.rights)
    }

    /// Whether the list lets a user who is neither owner nor in a group of it do this.
    pub fn lets(&self, user: u32, groups: &[u32], rights: u16) -> bool {
        let mask = self.mask().unwrap_or(7);
        if let Some(own) = self.own(user) {
            return own & mask & rights == rights;
        }
        let by_group = self.0.iter().filter(|e| e.tag == GROUP && groups.contains(&e.id));
        let mut by_group = by_group.map(|e| e.rights & mask).peekable();
        if by_group.peek().is_some() {
            return by_group.any(|has| has & rights == rights);
        }
        self.0.iter().any(|e| e.tag == OTHERS && e.rights & rights == rights)
    }

    /// The same with an entry for a user.
    pub fn with(&self, user: u32, rights: u16) -> Acl {
        let had = self.own(user).unwrap_or(0);
        let mut entries: Vec<Entry> = self.0.iter().filter(|e| e.tag != USER || e.id != user).copied().collect();
        entries.push(Entry { tag: USER, id: user, rights: had | rights });
        // The mask bounds all entries but the owner's: none that was there gets more than it had.
        let before = self.mask();
        entries.retain(|e| e.tag != MASK);
        let widest =
            entries.iter().filter(|e| matches!(e.tag, USER | OWNING_GROUP | GROUP)).fold(0, |all, e| all | e.rights);
        let mask = before.map_or(widest, |before| before | rights);
        if let Some(before) = before {
            for entry in
                entries.iter_mut().filter(|e| matches!(e.tag, OWNING_GROUP | GROUP) || (e.tag == USER && e.id != user))
            {
                entry.rights &= before;
            }
        }
        entries.push(Entry { tag: MASK, id: NOBODY, rights: mask });
        entries.sort();
        Acl(entries)
    }

    /// The same without the entry of a user; without a mask, where it was the last such entry.
    pub fn without(&self, user: u32) -> Acl {
        let mut entries: Vec<Entry> = self.0.iter().filter(|e| e.tag != USER || e.id != user).copied().collect();
        if !entries.iter().any(|e| matches!(e.tag, USER | GROUP)) {
            entries.retain(|e| e.tag != MASK);
        }
        Acl(entries)
    }

    /// Gives the list to the file behind `path`.
    pub fn set(&self, path: &str) -> Result<(), Errno> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for entry in &self.0 {
            bytes.extend(entry.tag.to_le_bytes());
            bytes.extend(entry.rights.to_le_bytes());
            bytes.extend(entry.id.to_le_bytes());
        }
        setxattr(path, NAME, &bytes, XattrFlags::empty())
    }
}

fn parse(bytes: &[u8]) -> Option<Acl> {
    let (version, rest) = bytes.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != VERSION || rest.len() % 8 != 0 {
        return None;
    }
    let entry = |chunk: &[u8]| {
        let (tag, rest) = chunk.split_first_chunk::<2>()?;
        let (rights, rest) = rest.split_first_chunk::<2>()?;
        let (id, _) = rest.split_first_chunk::<4>()?;
        Some(Entry { tag: u16::from_le_bytes(*tag), rights: u16::from_le_bytes(*rights), id: u32::from_le_bytes(*id) })
    };
    rest.chunks(8).map(entry).collect::<Option<Vec<_>>>().map(Acl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_and_goes() {
        let before = Acl::of_mode(0o640);
        assert!(!before.lets(1000, &[], 4));
        let given = before.with(1000, 4);
        assert!(given.lets(1000, &[], 4) && !given.lets(1000, &[], 2) && !given.lets(1001, &[], 4));
        assert_eq!(given.mask(), Some(4));
        assert_eq!(given.without(1000), before);
        // Of two users the other one stays.
        assert!(given.with(1001, 6).without(1000).lets(1001, &[], 6));
        assert!(Acl::of_mode(0o644).lets(1000, &[], 4));
    }

    #[test]
    fn nobody_else_gets_more_by_the_mask() {
        let narrow = Acl(vec![
            Entry { tag: OWNER, id: NOBODY, rights: 6 },
            Entry { tag: USER, id: 7, rights: 7 },
            Entry { tag: OWNING_GROUP, id: NOBODY, rights: 6 },
            Entry { tag: MASK, id: NOBODY, rights: 0 },
            Entry { tag: OTHERS, id: NOBODY, rights: 0 },
        ]);
        let given = narrow.with(1000, 4);
        assert!(given.lets(1000, &[], 4) && !given.lets(7, &[], 1) && !given.lets(7, &[], 4));
    }

    #[test]
    fn the_kernel_takes_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("text");
        let mode = || std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).expect("it")) & 0o777;
        let before = (mode(), Acl::of(path, mode()));
        match before.1.with(1234, 4).set(path) {
            // A file system without lists.
            Err(Errno::OPNOTSUPP) => return,
            result => result.expect("set"),
        }
        assert!(Acl::of(path, mode()).lets(1234, &[], 4));
        Acl::of(path, mode()).without(1234).set(path).expect("taken back");
        assert_eq!((mode(), Acl::of(path, mode())), before);
    }
}
