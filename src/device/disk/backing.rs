//! The images below a disk's own that the XML does not name, but a header that was asked for does.

use super::Disk;
use crate::device::storage::{Format, ImageHeader, Layer, LayerFormat, Location, StorageKind, StorageSource};
use crate::diag::codes::storage as codes;
use crate::resolve::Cx;
use crate::xml::Site;
use std::collections::BTreeSet;

/// libvirt stops here too.
const DEEPEST: usize = 200;

/// The last image of a disk whose chain the XML leaves open: its path and format.
pub fn open_end(disk: &Disk) -> Option<(&str, Format)> {
    let mut end = (disk.source.source.path()?, disk.driver(|d| d.format)?);
    let mut layer = disk.source.backing.as_deref();
    while let Some(next) = layer {
        next.kind?;
        end = (next.source.path()?, next.format.as_ref().and_then(|f| f.kind)?);
        layer = next.backing.as_deref();
    }
    end.1.has_backing().then_some(end)
}

/// Adds what the headers say below the last image, each with a note.
pub fn complete(disk: &mut Disk, cx: &mut Cx<'_>) {
    if cx.env.options.headers.is_empty() {
        return;
    }
    let Some((path, format)) = open_end(disk).map(|(path, format)| (path.to_string(), format)) else { return };
    let (name, site) = (disk.dev().to_string(), disk.source.source.site);
    let mut seen = BTreeSet::new();
    let top = disk.source.backing.is_none();
    let below = follow(&name, site, path.clone(), format, &mut seen, cx);
    if top && disk.source.source.data_store.is_none() {
        disk.source.source.data_store = data_store(&name, &path, site, cx);
    }
    let mut end = &mut disk.source.backing;
    while let Some(layer) = end {
        end = &mut layer.backing;
    }
    *end = below;
}

/// The chain below the image at `path`; none if its header is not known.
fn follow(
    disk: &str,
    site: Site,
    path: String,
    format: Format,
    seen: &mut BTreeSet<String>,
    cx: &mut Cx<'_>,
) -> Option<Box<Layer>> {
    let mut names = Vec::new();
    let (mut path, mut format) = (path, format);
    let terminated = loop {
        if !format.has_backing() {
            break true;
        }
        if !seen.insert(path.clone()) || seen.len() > DEEPEST {
            let message = format!("disk {disk}: the chain of '{path}' is deeper than {DEEPEST} images or has no end");
            cx.error(&codes::BACKING, site, message).help("repair the images with qemu-img rebase");
            return None;
        }
        let Some(ImageHeader { backing, .. }) = cx.env.options.headers.get(&path) else { break false };
        let Some(next) = backing else { break true };
        let Some(next_format) = next.format else {
            let message = format!("disk {disk}: the header of '{path}' does not tell the format of '{}'", next.path);
            cx.error(&codes::BACKING, site, message)
                .help("write it into the header: qemu-img rebase -u -F FORMAT -b BACKING IMAGE");
            return None;
        };
        let span = cx.span(site);
        cx.diags.note(
            &codes::BACKING,
            span,
            format!("disk {disk}: the guest may read '{}' too, because the header of '{path}' names it", next.path),
        );
        names.push((next.path.clone(), next_format));
        (path, format) = (next.path.clone(), next_format);
    };
    let mut below = terminated.then(|| Box::new(Layer::default()));
    for (path, format) in names.into_iter().rev() {
        let kind = if path.starts_with("/dev/") { StorageKind::Block } else { StorageKind::File };
        let data_store = data_store(disk, &path, site, cx);
        let source =
            StorageSource { kind, location: Location::Path(path), site, data_store, ..StorageSource::default() };
        let format = Some(LayerFormat { kind: Some(format), ..LayerFormat::default() });
        below = Some(Box::new(Layer { kind: Some(kind), format, source, backing: below, site }));
    }
    below
}

/// The file with the data of an image, if its header names one.
fn data_store(disk: &str, path: &str, site: Site, cx: &mut Cx<'_>) -> Option<Box<Layer>> {
    let file = cx.env.options.headers.get(path)?.data_file.clone()?;
    let span = cx.span(site);
    cx.diags.note(
        &codes::BACKING,
        span,
        format!("disk {disk}: the guest has '{file}' too, because the header of '{path}' names it for its data"),
    );
    let kind = if file.starts_with("/dev/") { StorageKind::Block } else { StorageKind::File };
    let source = StorageSource { kind, location: Location::Path(file), site, ..StorageSource::default() };
    let format = Some(LayerFormat { kind: Some(Format::Raw), ..LayerFormat::default() });
    Some(Box::new(Layer { kind: Some(kind), format, source, backing: None, site }))
}
