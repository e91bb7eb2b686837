//! The seed of a cloud image: a CD named `cidata` with the files that cloud-init reads at the first start.
//!
//! ISO 9660 with the names of Joliet, the simplest that Linux mounts with names in lower case. Sources: ECMA-119 and the
//! Joliet specification; cloud-init's documentation of its data source NoCloud for what the CD holds.

use std::fmt;

/// A file does not fit into such a CD.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a seed holds a few files of up to 16 MiB together")
    }
}

/// Bytes in a sector.
const SECTOR: usize = 2048;
/// The first descriptor comes behind what a computer would start from.
const FIRST: u32 = 16;
/// Primary and Joliet descriptor and the end; then two path tables for each, then the two folders.
const PATHS: u32 = FIRST + 3;
const FOLDERS: u32 = PATHS + 4;
const DATA: u32 = FOLDERS + 2;
/// More than anybody tells a machine at its first start.
const MOST: usize = 16 << 20;
const LABEL: &str = "cidata";

/// How names are spelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// In capitals, as the standard has them.
    Plain,
    /// In UCS-2, as they are.
    Joliet,
}

impl Names {
    fn spell(self, name: &str) -> Vec<u8> {
        match self {
            Names::Plain => format!("{}.;1", name.to_ascii_uppercase().replace('-', "_")).into_bytes(),
            Names::Joliet => name.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }
}

/// The CD with these files.
pub fn seed(files: &[(&str, &[u8])]) -> Result<Vec<u8>, TooLarge> {
    let all: usize = files.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
    // A folder is one sector.
    if all > MOST || files.len() > 16 || files.iter().any(|(name, _)| name.len() > 31) {
        return Err(TooLarge);
    }
    let (mut data, mut placed) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        placed.push((*name, DATA + sectors(data.len()), bytes.len() as u32));
        data.extend_from_slice(bytes);
        fill(&mut data);
    }
    let sectors_in_all = DATA + sectors(data.len());
    let mut out = vec![0; FIRST as usize * SECTOR];
    for (at, names) in [Names::Plain, Names::Joliet].into_iter().enumerate() {
        out.extend(descriptor(names, at as u32, sectors_in_all));
    }
    out.extend(b"\xffCD001\x01");
    fill(&mut out);
    for at in 0..2 {
        out.extend(paths(FOLDERS + at, u32::to_le_bytes, u16::to_le_bytes));
        out.extend(paths(FOLDERS + at, u32::to_be_bytes, u16::to_be_bytes));
    }
    for (at, names) in [Names::Plain, Names::Joliet].into_iter().enumerate() {
        out.extend(folder(FOLDERS + at as u32, names, &placed));
    }
    out.extend(data);
    Ok(out)
}

fn sectors(bytes: usize) -> u32 {
    bytes.div_ceil(SECTOR) as u32
}

/// Goes on to the next sector.
fn fill(out: &mut Vec<u8>) {
    out.resize(out.len().div_ceil(SECTOR) * SECTOR, 0);
}

/// A number in both orders.
fn both(number: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (number.to_le_bytes(), number.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

fn both_short(number: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (number.to_le_bytes(), number.to_be_bytes());
    [a, b, c, d]
}

/// Text of a fixed width, filled with blanks.
fn padded(text: &str, width: usize, names: Names) -> Vec<u8> {
    let blanks = text.chars().chain(std::iter::repeat(' '));
    match names {
        Names::Plain => blanks.take(width).map(|c| c as u8).collect(),
        Names::Joliet => {
            let mut out: Vec<u8> = blanks.take(width / 2).flat_map(|c| (c as u16).to_be_bytes()).collect();
            out.resize(width, 0);
            out
        }
    }
}

/// A volume descriptor. No date is set, so that the same files are the same bytes.
fn descriptor(names: Names, at: u32, sectors_in_all: u32) -> Vec<u8> {
    let joliet = names == Names::Joliet;
    let mut out = vec![if joliet { 2 } else { 1 }];
    out.extend(b"CD001\x01\0");
    out.extend(padded("", 32, names));
    out.extend(padded(LABEL, 32, names));
    out.extend([0; 8]);
    out.extend(both(sectors_in_all));
    let mut escapes = [0; 32];
    if joliet {
        // UCS-2, level 3.
        escapes[..3].copy_from_slice(b"%/E");
    }
    out.extend(escapes);
    for number in [1, 1, SECTOR as u16] {
        out.extend(both_short(number));
    }
    out.extend(both(10));
    let table = PATHS + 2 * at;
    out.extend(table.to_le_bytes());
    out.extend([0; 4]);
    out.extend((table + 1).to_be_bytes());
    out.extend([0; 4]);
    out.extend(record(&[0], FOLDERS + at, SECTOR as u32, true));
    // Set, publisher, preparer and application; copyright, abstract and bibliography.
    out.extend(padded("", 4 * 128 + 3 * 37, names));
    for _ in 0..4 {
        out.extend(b"0000000000000000\0");
    }
    out.extend([1, 0]);
    fill(&mut out);
    out
}

/// The table of folders: there is one.
fn paths(folder: u32, long: fn(u32) -> [u8; 4], short: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mut out = vec![1, 0];
    out.extend(long(folder));
    out.extend(short(1));
    out.extend([0, 0]);
    fill(&mut out);
    out
}

/// The folder: itself, the one above, which is itself, and the files.
fn folder(at: u32, names: Names, files: &[(&str, u32, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    for own in [[0], [1]] {
        out.extend(record(&own, at, SECTOR as u32, true));
    }
    let mut files = Vec::from_iter(files.iter().map(|(name, at, size)| (names.spell(name), *at, *size)));
    files.sort();
    for (name, at, size) in files {
        out.extend(record(&name, at, size, false));
    }
    fill(&mut out);
    out
}

/// An entry of a folder.
fn record(name: &[u8], at: u32, size: u32, is_folder: bool) -> Vec<u8> {
    let length = 33 + name.len() + usize::from(name.len().is_multiple_of(2));
    let mut out = vec![length as u8, 0];
    out.extend(both(at));
    out.extend(both(size));
    // The first day that a date can tell.
    out.extend([70, 1, 1, 0, 0, 0, 0]);
    out.extend([if is_folder { 2 } else { 0 }, 0, 0]);
    out.extend(both_short(1));
    out.push(name.len() as u8);
    out.extend(name);
    out.resize(length, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_its_parts_where_the_standard_wants_them() {
        let cd = seed(&[("user-data", b"#cloud-config\n"), ("meta-data", b"{}\n")]).unwrap();
        assert_eq!(cd.len(), (DATA as usize + 2) * SECTOR);
        let sector = |at: u32| &cd[at as usize * SECTOR..(at as usize + 1) * SECTOR];
        assert_eq!(&sector(16)[..8], b"\x01CD001\x01\0");
        assert_eq!(&sector(16)[40..47], b"cidata ");
        assert_eq!(&sector(17)[..7], b"\x02CD001\x01");
        assert_eq!(&sector(17)[88..91], b"%/E");
        assert_eq!(&sector(18)[..7], b"\xffCD001\x01");
        // The root record says where its folder is, and that one where the first file is.
        let root = u32::from_le_bytes(sector(17)[158..162].try_into().unwrap());
        let first = &sector(root)[68..];
        assert_eq!(&first[33..33 + 18], "meta-data".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
        let at = u32::from_le_bytes(first[2..6].try_into().unwrap());
        assert_eq!(&sector(at)[..3], b"{}\n");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(seed(&[("user-data", &vec![0; MOST + 1])]), Err(TooLarge));
        assert_eq!(seed(&[(&"x".repeat(40), b"")]), Err(TooLarge));
    }
}
