//! `--probe-backing`: the headers of the images of a domain, read on this machine.

use super::inputs::Source;
use crate::compile::{Compiled, Until, compile};
use crate::device::disk::backing::open_end;
use crate::device::storage::{Format, HEADER_SIZE, ImageHeader};
use crate::diag::codes::storage as codes;
use crate::diag::{Diagnostics, Span};
use crate::domain::Domain;
use crate::resolve::Options;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// More images are no chain.
const MOST_IMAGES: usize = 4096;

/// Compiles a domain again with what the headers of its images say.
pub fn again(source: &Source, world: &super::inputs::World<'_>, first: Compiled, until: Until) -> Compiled {
    let Some(domain) = first.domain.as_ref().filter(|_| !first.diags.has_errors()) else { return first };
    let mut faults = Diagnostics::new();
    let headers = read(domain, &mut faults);
    if headers.is_empty() && faults.is_empty() {
        return first;
    }
    let options = Options { headers, ..world.options.clone() };
    let mut compiled = compile(&source.bytes, &world.host, world.caps.for_domain(&source.bytes), &options, until);
    compiled.diags.extend(faults);
    compiled
}

/// The headers of all images below and including the ends of open chains.
fn read(domain: &Domain, faults: &mut Diagnostics) -> BTreeMap<String, ImageHeader> {
    let mut headers = BTreeMap::new();
    let disks = domain.devices.iter().flat_map(|d| &d.disks);
    let mut left: Vec<(String, Format)> = disks.filter_map(open_end).map(|(p, f)| (p.to_string(), f)).collect();
    while let Some((path, format)) = left.pop() {
        if headers.contains_key(&path) || headers.len() >= MOST_IMAGES {
            continue;
        }
        let header = match header(Path::new(&path), format) {
            Ok(header) => header,
            Err(why) => {
                faults
                    .error(&codes::BACKING, Span::NONE, format!("'{path}': {why}"))
                    .help("write the chain into the XML instead (<backingStore>), or leave --probe-backing out");
                continue;
            }
        };
        if let Some(next) = &header.backing
            && let Some(format) = next.format.filter(|f| f.has_backing())
        {
            left.push((next.path.clone(), format));
        }
        headers.insert(path, header);
    }
    headers
}

/// The header of one image, with absolute paths.
fn header(path: &Path, format: Format) -> Result<ImageHeader, String> {
    // A FIFO must not keep us waiting, and a tape must not be moved.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(|e| format!("its header cannot be read: {e}"))?;
    let kind = file.metadata().map_err(|e| e.to_string())?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err("it is no image: neither a file nor a block device".to_string());
    }
    let mut bytes = Vec::with_capacity(HEADER_SIZE);
    file.take(HEADER_SIZE as u64).read_to_end(&mut bytes).map_err(|e| format!("its header cannot be read: {e}"))?;
    let mut header = ImageHeader::read(format, &bytes)?;
    if let Some(backing) = &mut header.backing {
        backing.path = absolute(path, &backing.path)?;
    }
    if let Some(file) = &mut header.data_file {
        *file = absolute(path, file)?;
    }
    Ok(header)
}

/// What a header names, as a path: relative to the folder of the image, without links and `..` in its folder.
fn absolute(image: &Path, name: &str) -> Result<String, String> {
    let name = name.strip_prefix("file:").unwrap_or(name);
    let first = name.split('/').next().unwrap_or_default();
    if name.is_empty() || first.contains(':') {
        return Err(format!("its header names '{name}', which is no file"));
    }
    let folder = image.parent().unwrap_or(Path::new("/"));
    let path = folder.join(name);
    let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else {
        return Err(format!("its header names '{name}', which is no file"));
    };
    let folder = std::fs::canonicalize(folder).map_err(|e| format!("its header names '{name}': {e}"))?;
    folder.join(file).into_os_string().into_string().map_err(|_| format!("its header names '{name}', not in UTF-8"))
}
