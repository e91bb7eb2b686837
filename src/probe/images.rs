//! `--probe-backing`: where the paths of a domain lead on this host, and what the headers of its images name.
//!
//! Only headers of qcow, qcow2 and QED are read; nothing is opened for writing, and what is neither a file
//! nor a block device is not opened at all.

use crate::host::{Host, Image, Link};
use crate::plan::{PathKind, Plan};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// The longest chain that is followed.
const MAX_CHAIN: usize = 200;

/// Adds what this host says about the paths of a Plan to its facts.
pub fn look(plan: &Plan, host: &mut Host) {
    let files = plan.files.iter().map(|f| f.path.as_str());
    for path in plan.access.iter().map(|a| a.path.as_str()).chain(files) {
        link(path, host);
    }
    for access in plan.access.iter().filter(|a| matches!(a.kind, PathKind::File | PathKind::BlockDevice)) {
        chain(&access.path, host);
    }
}

/// Notes where a path leads: its longest part that is there, without links, and the rest.
fn link(path: &str, host: &mut Host) {
    if host.links.iter().any(|l| l.path == path) {
        return;
    }
    let mut existing = Path::new(path);
    loop {
        if let Ok(real) = existing.canonicalize() {
            let rest = Path::new(path).strip_prefix(existing).unwrap_or(Path::new(""));
            let to = if rest.as_os_str().is_empty() { real } else { real.join(rest) };
            // A path that is no UTF-8 cannot be a fact.
            if let Some(to) = to.to_str().filter(|to| *to != path.trim_end_matches('/')) {
                host.links.push(Link { path: path.to_string(), to: to.to_string() });
            }
            return;
        }
        // A link that leads to nothing yet: its target is what will be opened.
        if let Ok(target) = std::fs::read_link(existing) {
            let folder = existing.parent().unwrap_or(Path::new("/"));
            let rest = Path::new(path).strip_prefix(existing).unwrap_or(Path::new(""));
            let to = folder.join(target).join(rest);
            if let Some(to) = to.to_str().map(|to| to.trim_end_matches('/').to_string()) {
                host.links.push(Link { path: path.to_string(), to });
            }
            return;
        }
        match existing.parent() {
            Some(parent) => existing = parent,
            None => return,
        }
    }
}

fn chain(path: &str, host: &mut Host) {
    let mut now = path.to_string();
    for _ in 0..MAX_CHAIN {
        if host.image(&now).is_some() {
            return;
        }
        let Some(header) = header(Path::new(&now)) else { return };
        let base = Path::new(&now).canonicalize().unwrap_or_else(|_| Path::new(&now).to_path_buf());
        let absolute = |name: &str| -> Option<String> {
            let name = local(name)?;
            let folder = base.parent().unwrap_or(Path::new("/"));
            Some(folder.join(name).to_str()?.to_string())
        };
        let image = Image {
            path: now.clone(),
            backing: header.backing.as_deref().and_then(absolute),
            backing_format: header.backing_format,
            data_file: header.data_file.as_deref().and_then(absolute),
        };
        let (next, data) = (image.backing.clone(), image.data_file.clone());
        host.images.push(image);
        for path in next.iter().chain(&data) {
            link(path, host);
        }
        match next {
            Some(next) => now = next,
            None => return,
        }
    }
}

/// The path of a file that QEMU would open for a name in a header; none for what is no file.
fn local(name: &str) -> Option<String> {
    if let Some(json) = name.strip_prefix("json:") {
        let json: serde_json::Value = serde_json::from_str(json).ok()?;
        let named = json["file"]["filename"].as_str().or(json["file.filename"].as_str()).or(json["filename"].as_str());
        return named.map(str::to_string);
    }
    if let Some(path) = name.strip_prefix("file:") {
        return Some(path.strip_prefix("//").unwrap_or(path).to_string());
    }
    // A protocol ends with a colon before the first slash.
    let protocol = name.split('/').next().is_some_and(|first| first.contains(':'));
    (!protocol && !name.is_empty()).then(|| name.to_string())
}

/// What a header names.
#[derive(Debug, Default, PartialEq)]
struct Header {
    backing: Option<String>,
    backing_format: Option<String>,
    data_file: Option<String>,
}

/// Reads the header of an image; none if it is none that names other files.
fn header(path: &Path) -> Option<Header> {
    let kind = std::fs::metadata(path).ok()?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return None;
    }
    // O_NONBLOCK: what was a file may be a pipe by now.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let mut bytes = Vec::with_capacity(65536);
    std::io::Read::by_ref(&mut file).take(1 << 20).read_to_end(&mut bytes).ok()?;
    parse(&bytes)
}

/// qcow, qcow2 (QEMU, `docs/interop/qcow2.txt`) and QED (`docs/interop/qed_spec.txt`).
fn parse(bytes: &[u8]) -> Option<Header> {
    let big = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let big_long = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let text = |at: usize, length: usize| -> Option<String> {
        let name = bytes.get(at..at.checked_add(length)?)?;
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        Some(std::str::from_utf8(name).ok()?.to_string()).filter(|n| !n.is_empty())
    };
    if bytes.starts_with(b"QED\0") {
        let little = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        let backing = if little(16)? & 1 == 1 { text(little(56)?, little(60)?) } else { None };
        // Bit 2: the image below is raw, whatever it looks like.
        let raw = backing.is_some() && little(16)? & 4 == 4;
        return Some(Header { backing, backing_format: raw.then(|| "raw".to_string()), data_file: None });
    }
    if !bytes.starts_with(b"QFI\xfb") {
        return None;
    }
    let version = big(4)?;
    let offset = usize::try_from(big_long(8)?).ok()?;
    let mut header = Header::default();
    if offset > 0 {
        header.backing = text(offset, big(16)?.min(1023));
    }
    if version < 2 {
        return Some(header);
    }
    let mut at = if version == 2 { 72 } else { big(100)? };
    let external = version >= 3 && big_long(72)? & 4 == 4;
    for _ in 0..64 {
        let (Some(kind), Some(length)) = (big(at), big(at.saturating_add(4))) else { break };
        match kind {
            0 => break,
            0xe279_2aca => header.backing_format = text(at + 8, length),
            0x4441_5441 if external => header.data_file = text(at + 8, length),
            _ => {}
        }
        // Extensions are padded to eight bytes.
        let Some(next) = length.checked_next_multiple_of(8).and_then(|l| at.checked_add(8 + l)) else { break };
        at = next;
    }
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qcow2() -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..4].copy_from_slice(b"QFI\xfb");
        bytes[7] = 3;
        bytes[15..16].copy_from_slice(&[200]);
        bytes[19] = 8;
        bytes[79] = 4;
        bytes[103] = 104;
        bytes[104..112].copy_from_slice(&[0xe2, 0x79, 0x2a, 0xca, 0, 0, 0, 3]);
        bytes[112..115].copy_from_slice(b"raw");
        bytes[120..128].copy_from_slice(&[0x44, 0x41, 0x54, 0x41, 0, 0, 0, 2]);
        bytes[128..130].copy_from_slice(b"/d");
        bytes[200..208].copy_from_slice(b"base.raw");
        bytes
    }

    #[test]
    fn headers() {
        let expected = Header {
            backing: Some("base.raw".into()),
            backing_format: Some("raw".into()),
            data_file: Some("/d".into()),
        };
        assert_eq!(parse(&qcow2()), Some(expected));
        assert_eq!(parse(b"not an image"), None);
    }

    #[test]
    fn broken_headers_are_no_headers() {
        let good = qcow2();
        for end in 0..good.len() {
            parse(&good[..end]);
        }
        for at in 0..good.len() {
            for value in [0, 1, 4, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                parse(&bad);
            }
        }
        let mut qed = b"QED\0".to_vec();
        qed.resize(64, 0xff);
        parse(&qed);
    }

    #[test]
    fn names_that_are_files() {
        assert_eq!(local("base.img").as_deref(), Some("base.img"));
        assert_eq!(local("file:///a").as_deref(), Some("/a"));
        assert_eq!(local("/a:b").as_deref(), Some("/a:b"));
        assert_eq!(local("json:{\"file\":{\"driver\":\"file\",\"filename\":\"/x\"}}").as_deref(), Some("/x"));
        assert_eq!((local("nbd://h/x"), local("json:{"), local("")), (None, None, None));
    }
}
