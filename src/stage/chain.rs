//! What headers of images name, where the host facts hold the headers.

use super::{Grant, Lower};
use crate::device::storage::Format;
use crate::diag::codes::security as codes;
use crate::domain::seclabel::SourceSeclabel;
use crate::plan::{Access, Use};
use crate::xml::Site;

/// The longest chain that is followed.
const MAX_CHAIN: usize = 200;

/// Grants what headers of images name, where the host facts hold the headers (`--probe-backing`): from an
/// image downwards, as QEMU opens them when the XML does not end the chain.
/// `labels` are those of the image on top.
pub fn chain(path: &str, format: Format, what: &str, labels: &[SourceSeclabel], site: Site, lx: &mut Lower<'_>) {
    let host = lx.env.host;
    if host.images.is_empty() || !format.has_backing() {
        return;
    }
    let mut seen = vec![path.to_string()];
    let mut named: Vec<String> = Vec::new();
    let mut now = path.to_string();
    while let Some(image) = host.image(&now).or_else(|| host.image(&host.resolve(&now)?)) {
        if let Some(data) = &image.data_file {
            let grant = if seen.len() == 1 { Grant::IMAGE } else { Grant::BACKING };
            let grant = grant.overridden(labels);
            touch(data, grant, &now, what, site, &mut named, lx);
        }
        let Some(backing) = &image.backing else { break };
        if seen.contains(backing) || seen.len() > MAX_CHAIN {
            let message =
                format!("disk {what}: the chain of '{path}' does not end: the header of '{now}' names '{backing}'");
            lx.error(&codes::PROBED, site, message).help("name the layers of the chain in <backingStore>");
            return;
        }
        touch(backing, Grant::BACKING.overridden(labels), &now, what, site, &mut named, lx);
        if image.backing_format.as_deref() == Some("raw") {
            break;
        }
        now = backing.clone();
        seen.push(backing.clone());
    }
    if !named.is_empty() {
        let span = lx.doc.span_of(site);
        let message = format!("disk {what}: granted because headers of images name them: {}", named.join(", "));
        lx.diags
            .note(&codes::PROBED, span, message)
            .help("a guest that once wrote a header has chosen what it names; <backingStore/> in the XML ends a chain");
    }
}

/// One file that a header names.
fn touch(path: &str, grant: Grant, by: &str, what: &str, site: Site, named: &mut Vec<String>, lx: &mut Lower<'_>) {
    let disk = |a: &Access| a.path == path && a.process == "qemu" && a.usage == Use::Disk;
    if !lx.plan.access.iter().any(disk) {
        lx.touch(path, grant, Use::Disk, site, format!("disk {what}, by the header of {by}"));
        named.push(format!("'{path}'"));
    }
}
