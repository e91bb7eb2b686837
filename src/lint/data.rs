//! What may cost data.

use crate::device::disk::{Cache, Disk, DiskDevice};
use crate::device::storage::{Format, StorageKind};
use crate::diag::Span;
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::stage::Cx;
use std::collections::BTreeMap;

/// Images whose names, or headers, tell another format than the domain does.
pub fn images(domain: &Domain, cx: &mut Cx<'_>) {
    let disks = domain.devices.as_ref().map_or(&[][..], |d| &d.disks);
    for disk in disks.iter().filter(|d| matches!(d.kind(), StorageKind::File) && d.device() != DiskDevice::Floppy) {
        let Some(path) = disk.source.path() else { continue };
        let given = disk.driver(|d| d.format);
        // An image that has another below it is none of raw.
        let layered = cx.env.host.images.iter().any(|i| i.path == path && i.backing.is_some());
        let Some(told) = by_name(path).or(layered.then_some(Format::Qcow2)) else { continue };
        let opened = given.unwrap_or(Format::Raw);
        if told == opened {
            continue;
        }
        let message = match given {
            None => {
                format!("'{path}' looks like a {told} image, and without <driver type='{told}'/> it is opened as raw")
            }
            Some(given) => format!("'{path}' looks like a {told} image, and is opened as {given}"),
        };
        let span = match &disk.driver {
            Some(driver) => cx.doc.span_of_attr(driver.site, "type"),
            None => cx.span(disk.source.site),
        };
        cx.diags
            .warning(&codes::WRONG_FORMAT, span, message)
            .help(format!("write <driver name='qemu' type='{told}'/>"));
    }
}

/// The format that the name of an image tells.
fn by_name(path: &str) -> Option<Format> {
    let end = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    if end == "iso" {
        return Some(Format::Raw);
    }
    let format = Format::parse(&end)?;
    matches!(format, Format::Raw | Format::Qcow2 | Format::Qed | Format::Vmdk | Format::Vdi).then_some(format)
}

/// The image of a CD as a disk that can be written.
fn medium(disk: &Disk, cx: &mut Cx<'_>) {
    let Some(path) = disk.source.path() else { return };
    let is_disk = disk.device() == DiskDevice::Disk && !disk.is_readonly() && disk.transient.is_none();
    if is_disk && path.to_ascii_lowercase().ends_with(".iso") {
        let message = format!("'{path}' is the image of a CD, and the guest has it as a disk that it may write");
        cx.warn(&codes::ISO_AS_DISK, disk.source.site, message)
            .help("write <disk … device='cdrom'> with <target dev='sda' bus='sata'/>, or add <readonly/>");
    }
}

/// An image in a folder that is emptied.
fn volatile(disk: &Disk, cx: &mut Cx<'_>) {
    let path = disk.source.path().filter(|_| matches!(disk.kind(), StorageKind::File));
    let Some(path) = path.filter(|p| p.starts_with("/tmp/")) else { return };
    if !disk.is_readonly() && disk.transient.is_none() {
        let message = format!("'{path}' is in /tmp, which the host empties when it starts, and often before");
        cx.warn(&codes::IN_TMP, disk.source.site, message)
            .help("move the image to /var/lib/libvirt/images, or a folder of your own");
    }
}

/// A disk of several machines, of which the host keeps parts in its memory.
fn shared(disk: &Disk, cx: &mut Cx<'_>) {
    let cache = disk.driver(|d| d.cache);
    if let Some(cache) =
        cache.filter(|c| disk.shareable && matches!(c, Cache::Writeback | Cache::Writethrough | Cache::Unsafe))
    {
        let site = disk.driver.as_ref().map_or(disk.site, |d| d.site);
        let message =
            format!("<shareable/> with cache='{cache}': another host does not see what this one has in its memory");
        cx.warn_at(&codes::SHARED_CACHE, site, "cache", message).help("use cache='none'");
    }
}

pub fn check(domain: &Domain, cx: &mut Cx<'_>) {
    let disks = domain.devices.as_ref().map_or(&[][..], |d| &d.disks);
    twice(disks, cx);
    disks.iter().for_each(|disk| {
        medium(disk, cx);
        volatile(disk, cx);
        shared(disk, cx);
    });
    for disk in disks.iter().filter(|d| d.driver(|d| d.cache) == Some(Cache::Unsafe) && !d.is_readonly()) {
        // What is thrown away anyway need not be safe.
        if disk.transient.is_some() {
            continue;
        }
        let site = disk.driver.as_ref().map_or(disk.site, |d| d.site);
        let message = format!("cache='unsafe': a crash of the host may destroy what is on '{}'", disk.dev());
        cx.warn_at(&codes::CACHE_UNSAFE, site, "cache", message)
            .help("use cache='writeback', the default; 'unsafe' is for disks that can be lost");
    }
}

/// One image in two disks, of which one writes it.
fn twice(disks: &[Disk], cx: &mut Cx<'_>) {
    let mut seen: BTreeMap<&str, &Disk> = BTreeMap::new();
    for disk in disks.iter().filter(|d| matches!(d.kind(), StorageKind::File | StorageKind::Block)) {
        let Some(path) = disk.source.path().filter(|p| *p != "/dev/null") else { continue };
        let first = *seen.entry(path).or_insert(disk);
        let writes = |d: &Disk| !d.is_readonly() && !d.shareable;
        // Two that write it are an error.
        if std::ptr::eq(first, disk) || writes(first) == writes(disk) || first.shareable || disk.shareable {
            continue;
        }
        let (one, two) = (cx.span(first.source.site), cx.span(disk.source.site));
        let (one, two): (Span, Span) = if two < one { (two, one) } else { (one, two) };
        let (writer, reader) = if writes(first) { (first, disk) } else { (disk, first) };
        let message = format!("'{}' writes the image that '{}' reads, '{path}'", writer.dev(), reader.dev());
        cx.diags
            .warning(&codes::DISK_TWICE, two, message)
            .related(one, "the first is here")
            .help("give each disk an image of its own; QEMU locks an image that is written");
    }
}
