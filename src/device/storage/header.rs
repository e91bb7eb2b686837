//! What the header of an image says of other files: a pure reader of its first bytes.

use super::Format;

/// The header of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageHeader {
    /// The image below.
    pub backing: Option<Named>,
    /// The file that holds the data, where the image itself does not.
    pub data_file: Option<String>,
}

/// An image that a header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As the header has it, or the absolute path once that is known.
    pub path: String,
    /// Its format, if the header tells.
    pub format: Option<Format>,
}

/// How many bytes of an image are enough: names stand in its first cluster.
pub const HEADER_SIZE: usize = 64 * 1024;

impl ImageHeader {
    /// Reads the beginning of an image of this format. A header that is cut short or is of another format is a fault,
    /// said as the end of a sentence.
    pub fn read(format: Format, bytes: &[u8]) -> Result<ImageHeader, &'static str> {
        match format {
            Format::Qcow2 => qcow2(bytes),
            Format::Qed => qed(bytes),
            Format::Vmdk => Ok(vmdk(bytes)),
            _ => Ok(ImageHeader::default()),
        }
    }
}

const CUT: &str = "its header is cut short";
const OTHER: &str = "it is not of the format that the domain says";

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, &'static str> {
    let four = bytes.get(at..at.saturating_add(4)).and_then(|b| <[u8; 4]>::try_from(b).ok());
    four.map(u32::from_be_bytes).ok_or(CUT)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, &'static str> {
    Ok(u64::from(u32_at(bytes, at)?) << 32 | u64::from(u32_at(bytes, at.saturating_add(4))?))
}

/// A name of some bytes at a place.
fn name_at(bytes: &[u8], at: u64, length: u32) -> Result<String, &'static str> {
    // QEMU takes no longer ones.
    if length > 1023 {
        return Err("the name in its header is longer than 1023 bytes");
    }
    let from = usize::try_from(at).map_err(|_| CUT)?;
    let name = bytes.get(from..from.saturating_add(length as usize)).ok_or(CUT)?;
    String::from_utf8(name.to_vec()).map_err(|_| "the name in its header is not UTF-8")
}

/// docs/interop/qcow2.txt of QEMU.
fn qcow2(bytes: &[u8]) -> Result<ImageHeader, &'static str> {
    if bytes.get(..4) != Some(b"QFI\xfb") {
        return Err(OTHER);
    }
    let version = u32_at(bytes, 4)?;
    let (at, length) = (u64_at(bytes, 8)?, u32_at(bytes, 16)?);
    let header = if version >= 3 { u32_at(bytes, 100)? as usize } else { 72 };
    let external = version >= 3 && u64_at(bytes, 72)? & 4 != 0;
    let mut found = ImageHeader::default();
    let mut format = None;
    // Extensions: type, length, contents padded to 8 bytes; the type 0 ends them.
    let mut next = header;
    while let (Ok(kind @ 1..), Ok(size)) = (u32_at(bytes, next), u32_at(bytes, next + 4)) {
        let contents = || name_at(bytes, (next + 8) as u64, size);
        match kind {
            0xe279_2aca => format = <Format as crate::vocab::Value>::parse(&contents()?).ok(),
            0x4441_5441 if external => found.data_file = Some(contents()?),
            _ => {}
        }
        next = next.saturating_add(8).saturating_add((size as usize).saturating_add(7) & !7);
    }
    if external && found.data_file.is_none() {
        return Err("its header does not name the file that holds the data");
    }
    if at != 0 {
        found.backing = Some(Named { path: name_at(bytes, at, length)?, format });
    }
    Ok(found)
}

/// docs/interop/qed_spec.rst of QEMU; numbers are little-endian.
fn qed(bytes: &[u8]) -> Result<ImageHeader, &'static str> {
    if bytes.get(..4) != Some(b"QED\0") {
        return Err(OTHER);
    }
    let features = u64_at(bytes, 16)?.swap_bytes();
    let mut found = ImageHeader::default();
    if features & 1 != 0 {
        let (at, length) = (u32_at(bytes, 56)?.swap_bytes(), u32_at(bytes, 60)?.swap_bytes());
        let format = (features & 4 != 0).then_some(Format::Raw);
        found.backing = Some(Named { path: name_at(bytes, u64::from(at), length)?, format });
    }
    Ok(found)
}

/// The descriptor is text, at the beginning or within the first sectors.
fn vmdk(bytes: &[u8]) -> ImageHeader {
    const KEY: &[u8] = b"parentFileNameHint=\"";
    let at = bytes.windows(KEY.len()).position(|w| w == KEY).map(|at| at + KEY.len());
    let name = at.and_then(|at| {
        let length = bytes[at..].iter().take(1024).position(|b| *b == b'"')?;
        String::from_utf8(bytes[at..at + length].to_vec()).ok()
    });
    ImageHeader { backing: name.map(|path| Named { path, format: Some(Format::Vmdk) }), data_file: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A qcow2 header of version 3 with extensions and a backing file.
    fn image(extensions: &[(u32, &str)], backing: &str, incompatible: u64) -> Vec<u8> {
        let mut bytes = b"QFI\xfb\0\0\0\x03".to_vec();
        bytes.resize(104, 0);
        bytes[72..80].copy_from_slice(&incompatible.to_be_bytes());
        bytes[100..104].copy_from_slice(&104u32.to_be_bytes());
        for (kind, text) in extensions {
            bytes.extend(kind.to_be_bytes());
            bytes.extend((text.len() as u32).to_be_bytes());
            bytes.extend(text.bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes.extend([0; 8]);
        if !backing.is_empty() {
            let at = bytes.len() as u64;
            bytes[8..16].copy_from_slice(&at.to_be_bytes());
            bytes[16..20].copy_from_slice(&(backing.len() as u32).to_be_bytes());
            bytes.extend(backing.bytes());
        }
        bytes
    }

    #[test]
    fn names_of_a_qcow2_header() {
        let read = |bytes: &[u8]| ImageHeader::read(Format::Qcow2, bytes);
        assert_eq!(read(&image(&[], "", 0)), Ok(ImageHeader::default()));
        let format = (0xe279_2aca, "qcow2");
        let found = read(&image(&[(1, "x"), format], "/srv/base", 0)).unwrap();
        assert_eq!(found.backing, Some(Named { path: "/srv/base".to_string(), format: Some(Format::Qcow2) }));
        let data = (0x4441_5441, "data.raw");
        assert_eq!(read(&image(&[data], "", 4)).unwrap().data_file.as_deref(), Some("data.raw"));
        assert_eq!(read(&image(&[data], "", 0)).unwrap().data_file, None);
        assert!(read(&image(&[], "", 4)).is_err());
        assert!(read(&image(&[], &"x".repeat(2000), 0)).is_err());
        assert_eq!(read(b"no image at all"), Err(OTHER));
    }

    #[test]
    fn a_header_that_is_cut_short_is_a_fault_and_no_more() {
        let whole = image(&[(0xe279_2aca, "raw")], "/srv/base", 0);
        for length in 0..whole.len() {
            let _ = ImageHeader::read(Format::Qcow2, &whole[..length]);
            let mut wild = whole[..length].to_vec();
            wild.iter_mut().skip(4).for_each(|b| *b = 0xff);
            let _ = ImageHeader::read(Format::Qcow2, &wild);
            let _ = ImageHeader::read(Format::Qed, &wild);
        }
    }

    #[test]
    fn names_of_other_headers() {
        let mut qed = b"QED\0".to_vec();
        qed.resize(64, 0);
        qed[16] = 5;
        qed[56..60].copy_from_slice(&64u32.to_le_bytes());
        qed[60..64].copy_from_slice(&5u32.to_le_bytes());
        qed.extend(b"/base");
        let found = ImageHeader::read(Format::Qed, &qed).unwrap();
        assert_eq!(found.backing, Some(Named { path: "/base".to_string(), format: Some(Format::Raw) }));
        let vmdk = b"# Disk DescriptorFile\nparentFileNameHint=\"base.vmdk\"\n";
        assert_eq!(ImageHeader::read(Format::Vmdk, vmdk).unwrap().backing.unwrap().path, "base.vmdk");
    }
}
