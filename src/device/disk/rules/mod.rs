//! Checks of a complete disk.

mod across;
mod frontend;
mod options;
mod throttle;
mod vhost_user;

use super::{Disk, DiskDevice};
use crate::caps::Cap;
use crate::device::storage::{Format, Layer, StorageKind, rules as source_rules};
use crate::diag::codes::{schema, storage as codes};
use crate::domain::Domain;
use crate::stage::Quirk;
use crate::stage::{Cx, Machine};
use crate::vocab::OnOff;

/// Checks one disk.
pub fn disk(disk: &Disk, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    // Once, with the first disk.
    if domain.devices.as_ref().and_then(|d| d.disks.first()).is_some_and(|first| std::ptr::eq(first, disk)) {
        across::check(domain, cx);
    }
    if disk.target.is_none() {
        let name = disk.source.path().unwrap_or("");
        cx.error(
            &codes::MISSING_TARGET,
            disk.site,
            format!("<target dev> of the {name} is missing: the guest's name of the device"),
        )
        .help("add <target dev='vda' bus='virtio'/>");
        return;
    }
    frontend::check(disk, machine, cx);
    frontend::iothreads(disk, domain, cx);
    throttle::check(disk, domain, cx);
    vhost_user::check(disk, domain, cx);
    source(disk, cx);
    content(disk, cx);
}

/// libvirt takes a layer without type for the end of the chain, and drops what it holds.
fn untyped(disk: &Disk, cx: &mut Cx<'_>) {
    let mut layer = disk.source.backing.as_deref();
    while let Some(image) = layer {
        if image.untyped && cx.env.is_guardian() {
            let message = "<backingStore> describes an image but lacks the attribute 'type'";
            cx.error(&schema::MISSING_ATTRIBUTE, image.site, message)
                .help("add type='file', or where the image lives; an empty <backingStore/> ends the chain");
        }
        layer = image.backing.as_deref();
    }
}

/// The images of the disk.
fn source(disk: &Disk, cx: &mut Cx<'_>) {
    let format = disk.driver(|d| d.format);
    source_rules::image(&disk.source, format, disk.auth(), disk.encryption(), disk.is_readonly(), cx);
    if disk.driver.as_ref().is_some_and(|d| d.metadata_cache.is_some()) && format != Some(Format::Qcow2) {
        let site = disk.driver.as_ref().map_or(disk.site, |d| d.site);
        cx.error_in(&codes::FORMAT, site, "metadata_cache", "<metadata_cache> is about the tables of qcow2 images");
    }
    untyped(disk, cx);
    let mut layer: Option<&Layer> = disk.source.backing.as_deref();
    while let Some(image) = layer.filter(|l| l.kind.is_some()) {
        let format = image.format.as_ref().and_then(|f| f.kind);
        if image.format.is_none() {
            cx.error(
                &codes::FORMAT,
                image.site,
                "<backingStore> of a disk has no <format type>: virtc does not guess it; it is missing",
            )
            .help("add <format type='qcow2'/>");
        }
        if image.format.as_ref().is_some_and(|f| f.cache.is_some()) && format != Some(Format::Qcow2) {
            let message = "<metadata_cache> of a <backingStore> is about the tables of qcow2 images";
            cx.error(&codes::FORMAT, image.site, message);
        }
        let source = &image.source;
        if source.site.is_none() {
            let message = "<backingStore> of a disk has no <source>: where the image lives is missing";
            cx.error(&codes::FORMAT, image.site, message);
        }
        source_rules::image(source, format, source.auth.as_ref(), source.encryption.as_ref(), true, cx);
        layer = image.backing.as_deref();
    }
}

/// What the content allows.
fn content(disk: &Disk, cx: &mut Cx<'_>) {
    let dev = disk.dev();
    let empty = disk.source.is_empty();
    let bus = disk.bus().map_or("", |b| b.as_str());
    // libvirt asks for a <source>, and not what it says, where a disk is handed through or stands in a pool.
    let later = matches!(disk.device(), DiskDevice::Lun) || disk.kind() == StorageKind::Volume;
    let told = cx.env.is_guardian() || !later || disk.source.site.is_none();
    if empty && told && !matches!(disk.device(), DiskDevice::Cdrom | DiskDevice::Floppy) {
        let message = format!("the disk {dev} on the bus '{bus}' has no <source>");
        cx.error_in(&codes::EMPTY, disk.site, "source", message)
            .help("add a <source>; only CD-ROM and floppy drives can be empty");
    }
    if empty && disk.device() == DiskDevice::Cdrom && disk.bus() == Some(super::DiskBus::Usb) {
        cx.error(&codes::EMPTY, disk.site, "a disk on the bus 'usb' has no source; it cannot be empty (a cdrom can)")
            .help("QEMU's USB drive needs a medium; use the sata bus for an empty drive");
    }
    let format = disk.driver(|d| d.format).unwrap_or(Format::Raw);
    if disk.shareable && !matches!(format, Format::Raw | Format::None) {
        cx.error_in(
            &codes::FORMAT,
            disk.site,
            "shareable",
            format!("<shareable/>: the disk '{dev}' has a storage format that two guests cannot access (raw is fine)"),
        )
        .help("only raw images can be written by several guests");
    }
    let driver = disk.driver.as_ref().map_or(disk.site, |d| d.site);
    if disk.driver(|d| d.copy_on_read).is_some_and(OnOff::is_on) {
        if disk.is_readonly() && disk.device() != DiskDevice::Cdrom {
            let message = format!("copy_on_read writes to the image, and the disk '{dev}' is read-only");
            cx.error_at(&codes::OPTION, driver, "copy_on_read", message);
        }
        if matches!(disk.device(), DiskDevice::Cdrom | DiskDevice::Floppy) {
            let message = format!("copy_on_read is for disks that stay, and '{dev}' is a removable one");
            cx.error_at(&codes::OPTION, driver, "copy_on_read", message);
        }
    }
    if disk.driver(|d| d.discard_no_unref).is_some() {
        if format != Format::Qcow2 {
            cx.error_at(
                &codes::OPTION,
                driver,
                "discard_no_unref",
                "'discard_no_unref' is a matter of qcow2: the disk has another format",
            );
        }
        if disk.is_readonly() {
            cx.error_at(
                &codes::OPTION,
                driver,
                "discard_no_unref",
                "'discard_no_unref' has no sense on a disk that is read-only",
            );
        }
        if !cx.has(Cap::Qcow2DiscardNoUnref) {
            cx.error_at(&codes::NEEDS_QEMU, driver, "discard_no_unref", "this QEMU binary has no 'discard_no_unref'");
        }
    }
    if let Some(transient) = &disk.transient {
        let site = transient.site;
        if disk.is_readonly() {
            cx.error(&codes::TRANSIENT, site, format!("read only disk '{dev}' cannot be transient"));
        }
        let shared = transient.share_backing.is_some();
        if shared && !matches!(disk.bus(), Some(super::DiskBus::Virtio | super::DiskBus::Usb | super::DiskBus::Scsi)) {
            let message = format!("<transient shareBacking>: a disk on the bus '{bus}' cannot share its backing image");
            cx.error_at(&codes::TRANSIENT, site, "shareBacking", message);
        }
        let files = cx.env.behaves(Quirk::TransientFilesOnly);
        if files && disk.device() != DiskDevice::Disk {
            let message = format!("<transient/>: a disk is transient, and '{dev}' is a {}", disk.device());
            cx.error(&codes::TRANSIENT, site, message);
        }
        let by_libvirt = files && disk.kind() != StorageKind::File;
        if by_libvirt || matches!(disk.kind(), StorageKind::Vhostuser | StorageKind::Dir) {
            cx.error(
                &codes::TRANSIENT,
                site,
                format!(
                    "<transient/>: the writes of disk '{dev}' (type '{}') have no file to be thrown away with",
                    disk.kind()
                ),
            );
        }
    }
}
