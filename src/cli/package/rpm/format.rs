//! The format of rpm, version 4: a lead that nobody reads any more, a header with digests, a header with everything else, and a cpio
//! archive. Numbers are big-endian. Source: docs/manual/format_*.md and the tags of rpm itself.

use super::requires::Require;
use super::scripts::When;
use crate::cli::package::archive::gzip;
use crate::emit::manifest::sha256;
use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// A file or a folder of a package.
pub struct Entry<'a> {
    /// Path below the root.
    pub path: String,
    /// Kind and permission bits.
    mode: u16,
    bytes: &'a [u8],
}

const FILE: u16 = 0o100_000;
const FOLDER: u16 = 0o040_000;

impl<'a> Entry<'a> {
    /// A regular file.
    pub fn file(path: &str, mode: u32, bytes: &'a [u8]) -> Entry<'a> {
        Entry { path: path.to_string(), mode: FILE | (mode & 0o7777) as u16, bytes }
    }

    /// A folder.
    pub fn folder(path: &str) -> Entry<'a> {
        Entry { path: path.to_string(), mode: FOLDER | 0o755, bytes: &[] }
    }

    fn is_file(&self) -> bool {
        self.mode & FILE == FILE
    }

    /// The folder, with slashes around, and the name in it.
    fn parts(&self) -> (String, &str) {
        match self.path.rsplit_once('/') {
            Some((folder, name)) => (format!("/{folder}/"), name),
            None => ("/".to_string(), &self.path),
        }
    }
}

/// A package.
pub struct Package<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its epoch.
    pub epoch: Option<u32>,
    /// Its version.
    pub version: &'a str,
    /// Its release.
    pub release: &'a str,
    /// `noarch`, or that of the host that it is for.
    pub architecture: &'a str,
    /// One line.
    pub summary: &'a str,
    /// More lines.
    pub description: &'a str,
    /// Who answers for it.
    pub packager: &'a str,
    /// What it needs.
    pub requires: &'a [Require],
    /// What runs when.
    pub scripts: &'a [(When, String)],
    /// Seconds since 1970: of the package, and of all files.
    pub time: u64,
}

/// A value in a header.
enum Value {
    Numbers16(Vec<u16>),
    Numbers(Vec<u32>),
    Text(String),
    Texts(Vec<String>),
    /// A text that could be translated.
    Words(String),
    Bytes(Vec<u8>),
}

type Tags = BTreeMap<u32, Value>;

/// Region that covers a whole header: of digests, of the rest.
const SIGNATURES: u32 = 62;
const IMMUTABLE: u32 = 63;

/// Bits of dependencies.
const LESS_OR_EQUAL: u32 = 0b1010;
const EQUAL: u32 = 0b1000;
const OF_RPM: u32 = 1 << 24;
const INTERPRETER: u32 = 1 << 8;

/// What of rpm itself the package needs.
const RPMLIB: [(&str, &str); 3] = [
    ("rpmlib(CompressedFileNames)", "3.0.4-1"),
    ("rpmlib(FileDigests)", "4.6.0-1"),
    ("rpmlib(PayloadFilesHavePrefix)", "4.0-1"),
];

/// SHA-256, as rpm numbers digests.
const SHA256: u32 = 8;

/// A configuration file, which an upgrade does not replace where somebody has changed it.
const CONFIGURATION: u32 = 1 | 16;

impl Package<'_> {
    /// The package as a file.
    pub fn write(&self, mut entries: Vec<Entry<'_>>) -> Result<Vec<u8>, String> {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let time = u32::try_from(self.time).map_err(|_| "SOURCE_DATE_EPOCH is beyond what rpm can say".to_string())?;
        let archive = cpio(&entries, time);
        let payload = gzip(&archive);
        let mut tags = self.about(time);
        files(&entries, time, &mut tags);
        self.dependencies(&mut tags);
        tags.insert(5092, Value::Texts(vec![sha256(&payload)]));
        tags.insert(5093, Value::Numbers(vec![SHA256]));
        let header = header(IMMUTABLE, &tags);
        let mut md5 = Md5::new();
        md5.update(&header);
        md5.update(&payload);
        let digests = Tags::from([
            (273, Value::Text(sha256(&header))),
            (1000, Value::Numbers(vec![number(header.len() + payload.len())])),
            (1004, Value::Bytes(md5.finalize().to_vec())),
            (1007, Value::Numbers(vec![number(archive.len())])),
        ]);
        let mut out = self.lead();
        out.extend(self::header(SIGNATURES, &digests));
        out.resize(out.len().next_multiple_of(8), 0);
        out.extend(header);
        out.extend(payload);
        Ok(out)
    }

    fn lead(&self) -> Vec<u8> {
        let mut out = vec![0xed, 0xab, 0xee, 0xdb, 3, 0, 0, 0, 0, 1];
        let name = format!("{}-{}-{}", self.name, self.version, self.release);
        out.extend(name.bytes().take(65));
        out.resize(76, 0);
        // Linux; digests are in a header.
        out.extend([0, 1, 0, 5]);
        out.resize(96, 0);
        out
    }

    fn about(&self, time: u32) -> Tags {
        let text = |text: &str| Value::Text(text.to_string());
        let mut tags = Tags::from([
            (100, Value::Texts(vec!["C".to_string()])),
            (1000, text(self.name)),
            (1001, text(self.version)),
            (1002, text(self.release)),
            (1004, Value::Words(self.summary.to_string())),
            (1005, Value::Words(self.description.to_string())),
            (1006, Value::Numbers(vec![time])),
            // No host is named: the same tree gives the same bytes everywhere.
            (1007, text("localhost")),
            // Its author decides.
            (1014, text("Unspecified")),
            (1015, text(self.packager)),
            (1016, Value::Words("Unspecified".to_string())),
            (1021, text("linux")),
            (1022, text(self.architecture)),
            // Without the name of a source package it would count as one.
            (1044, text(&format!("{}-{}-{}.src.rpm", self.name, self.version, self.release))),
            (1064, text("4.18.0")),
            (1124, text("cpio")),
            (1125, text("gzip")),
            (1126, text("9")),
            (5062, text("utf-8")),
        ]);
        tags.extend(self.epoch.map(|epoch| (1003, Value::Numbers(vec![epoch]))));
        for (when, script) in self.scripts {
            tags.insert(when.tag(), text(script));
            tags.insert(when.program_tag(), text("/bin/sh"));
        }
        tags
    }

    fn dependencies(&self, tags: &mut Tags) {
        let version = match self.epoch {
            Some(epoch) => format!("{epoch}:{}-{}", self.version, self.release),
            None => format!("{}-{}", self.version, self.release),
        };
        tags.insert(1047, Value::Texts(vec![self.name.to_string()]));
        tags.insert(1112, Value::Numbers(vec![EQUAL]));
        tags.insert(1113, Value::Texts(vec![version]));
        let mut all: Vec<(String, u32, String)> =
            self.requires.iter().map(|r| (r.name.clone(), r.flags(), r.version.clone())).collect();
        all.extend(RPMLIB.iter().map(|(name, since)| (name.to_string(), OF_RPM | LESS_OR_EQUAL, since.to_string())));
        all.extend(
            self.scripts.iter().map(|(when, _)| ("/bin/sh".to_string(), INTERPRETER | when.sense(), String::new())),
        );
        all.sort();
        tags.insert(1048, Value::Numbers(all.iter().map(|r| r.1).collect()));
        tags.insert(1050, Value::Texts(all.iter().map(|r| r.2.clone()).collect()));
        tags.insert(1049, Value::Texts(all.into_iter().map(|r| r.0).collect()));
    }
}

/// What the header says of files: a list for each property, in the order of the files.
fn files(entries: &[Entry<'_>], time: u32, tags: &mut Tags) {
    let mut folders: Vec<String> = Vec::new();
    let (mut places, mut names) = (Vec::new(), Vec::new());
    for entry in entries {
        let (folder, name) = entry.parts();
        let at = folders.iter().position(|f| *f == folder).unwrap_or_else(|| {
            folders.push(folder);
            folders.len() - 1
        });
        places.push(number(at));
        names.push(name.to_string());
    }
    let each = |value: &dyn Fn(&Entry<'_>) -> u32| Value::Numbers(entries.iter().map(value).collect());
    let same = |text: &str| Value::Texts(entries.iter().map(|_| text.to_string()).collect());
    let digest = |e: &Entry<'_>| if e.is_file() { sha256(e.bytes) } else { String::new() };
    tags.insert(1009, Value::Numbers(vec![number(entries.iter().map(|e| e.bytes.len()).sum())]));
    tags.insert(1028, each(&|e| number(e.bytes.len())));
    tags.insert(1030, Value::Numbers16(entries.iter().map(|e| e.mode).collect()));
    tags.insert(1033, Value::Numbers16(entries.iter().map(|_| 0).collect()));
    tags.insert(1034, each(&|_| time));
    tags.insert(1035, Value::Texts(entries.iter().map(digest).collect()));
    tags.insert(1036, same(""));
    tags.insert(1037, each(&|e| if e.is_file() && e.path.starts_with("etc/") { CONFIGURATION } else { 0 }));
    tags.insert(1039, same("root"));
    tags.insert(1040, same("root"));
    tags.insert(1045, each(&|_| u32::MAX));
    tags.insert(1095, each(&|_| 1));
    tags.insert(1096, Value::Numbers((1..=number(entries.len())).collect()));
    tags.insert(1097, same(""));
    tags.insert(1116, Value::Numbers(places));
    tags.insert(1117, Value::Texts(names));
    tags.insert(1118, Value::Texts(folders));
    tags.insert(5011, Value::Numbers(vec![SHA256]));
}

/// A header: an index of tags, and the values. The first entry is a region that says how far it has been signed: to its end.
fn header(region: u32, tags: &Tags) -> Vec<u8> {
    let mut index: Vec<[u32; 4]> = Vec::new();
    let mut store: Vec<u8> = Vec::new();
    for (tag, value) in tags {
        let (kind, width, count) = match value {
            Value::Numbers16(all) => (3, 2, all.len()),
            Value::Numbers(all) => (4, 4, all.len()),
            Value::Text(_) => (6, 1, 1),
            Value::Bytes(all) => (7, 1, all.len()),
            Value::Texts(all) => (8, 1, all.len()),
            Value::Words(_) => (9, 1, 1),
        };
        if count == 0 {
            continue;
        }
        store.resize(store.len().next_multiple_of(width), 0);
        index.push([*tag, kind, number(store.len()), number(count)]);
        match value {
            Value::Numbers16(all) => all.iter().for_each(|n| store.extend(n.to_be_bytes())),
            Value::Numbers(all) => all.iter().for_each(|n| store.extend(n.to_be_bytes())),
            Value::Bytes(all) => store.extend(all),
            Value::Text(text) | Value::Words(text) => put(&mut store, text),
            Value::Texts(all) => all.iter().for_each(|text| put(&mut store, text)),
        }
    }
    let entries = number(index.len() + 1);
    let end = [region, 7, number(store.len()), 16];
    // Where the index begins, counted back from here.
    let back = [region, 7, 0u32.wrapping_sub(entries * 16), 16];
    back.iter().for_each(|n| store.extend(n.to_be_bytes()));
    let mut out = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
    out.extend(entries.to_be_bytes());
    out.extend(number(store.len()).to_be_bytes());
    [end].iter().chain(&index).flatten().for_each(|n| out.extend(n.to_be_bytes()));
    out.extend(store);
    out
}

/// A text ends with a zero byte, so that it has none.
fn put(store: &mut Vec<u8>, text: &str) {
    store.extend(text.bytes().filter(|b| *b != 0));
    store.push(0);
}

/// No tree comes near this.
fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// A cpio archive, in the form `newc`.
fn cpio(entries: &[Entry<'_>], time: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut add = |inode: u32, mode: u32, time: u32, name: &str, bytes: &[u8]| {
        // inode, mode, user, group, links, time, size, four numbers of devices, length of the name, checksum
        let fields = [inode, mode, 0, 0, 1, time, number(bytes.len()), 0, 0, 0, 0, number(name.len() + 1), 0];
        out.extend(b"070701");
        fields.iter().for_each(|field| out.extend(format!("{field:08x}").bytes()));
        out.extend(name.bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(4), 0);
    };
    for (inode, entry) in (1..).zip(entries) {
        add(inode, u32::from(entry.mode), time, &format!("./{}", entry.path), entry.bytes);
    }
    add(0, 0, 0, "TRAILER!!!", &[]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_where_everything_is() {
        let tags = Tags::from([
            (1000, Value::Text("a".into())),
            (1006, Value::Numbers(vec![7])),
            (1037, Value::Numbers(vec![])),
        ]);
        let bytes = header(IMMUTABLE, &tags);
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        // Three entries; the text, two bytes to the next multiple of four, the number, the region.
        assert_eq!((number(8), number(12)), (3, 2 + 2 + 4 + 16));
        assert_eq!([16, 20, 24, 28].map(number), [63, 7, 8, 16]);
        assert_eq!([32, 36, 40, 44].map(number), [1000, 6, 0, 1]);
        assert_eq!([48, 52, 56, 60].map(number), [1006, 4, 4, 1]);
        assert_eq!(number(64 + 4), 7);
        assert_eq!(number(64 + 16) as i32, -48);
    }

    #[test]
    fn an_archive_is_padded() {
        let bytes = cpio(&[Entry::file("a/b", 0o644, b"x")], 1);
        assert!(bytes.starts_with(b"07070100000001000081a4"));
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.windows(11).any(|w| w == b"TRAILER!!!\0"));
    }
}
