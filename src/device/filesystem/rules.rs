//! Checks of a shared directory.

use super::{Filesystem, FilesystemAccess, FilesystemType, FsDriver};
use crate::caps::Cap;
use crate::device::address::Address;
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::stage::Cx;

/// Checks one shared directory.
pub fn filesystem(fs: &Filesystem, domain: &Domain, cx: &mut Cx<'_>) {
    let site = fs.site;
    if fs.target.is_none() {
        cx.error(&codes::FILESYSTEM, site, "a <filesystem> without <target dir='…'>: the guest mounts it by that name");
    }
    let target = |f: &Filesystem| f.target.as_ref().and_then(|t| t.dir.clone());
    let mut others = domain.devices.iter().flat_map(|d| &d.filesystems).take_while(|f| !std::ptr::eq(*f, fs));
    // libvirt lets the guest mount the first of 9p, and refuses it for virtiofs.
    let told = fs.is_virtiofs() || cx.env.is_guardian();
    if let Some(tag) = target(fs).filter(|tag| told && others.any(|f| target(f).as_ref() == Some(tag))) {
        let message = format!("the filesystem target '{tag}' is specified twice: a guest mounts by it");
        cx.error(&codes::FILESYSTEM, site, message).help("give each its own <target dir='…'/>");
    }
    if let Some(kind) = fs.kind.filter(|k| *k != FilesystemType::Mount) {
        cx.error_at(
            &codes::FILESYSTEM,
            site,
            "type",
            format!("<filesystem type='{kind}'>: a QEMU guest sees directories, for which the type is 'mount' (only that is supported)"),
        );
        return;
    }
    if let Some(boot) = fs.info.boot.as_ref().filter(|_| !fs.is_virtiofs()) {
        cx.error(&codes::FILESYSTEM, boot.site, "<boot order>: of filesystems, virtiofs alone can be booted from");
    }
    match fs.driver() {
        FsDriver::Path | FsDriver::Handle => nine_p(fs, cx),
        FsDriver::Virtiofs => virtiofs(fs, domain, cx),
        FsDriver::Mtp => mtp(fs, cx),
        driver => {
            let message = format!("<driver type='{driver}'>: a filesystem of this kind is not for QEMU guests");
            cx.error(&codes::FILESYSTEM, site, message).help("use type='path' for 9p, or type='virtiofs'");
        }
    }
}

fn nine_p(fs: &Filesystem, cx: &mut Cx<'_>) {
    let site = fs.site;
    if fs.dir().is_empty() {
        cx.error(&codes::FILESYSTEM, site, "the filesystem has no <source dir='…'/>");
    }
    if fs.driver() == FsDriver::Handle && fs.access_mode != Some(FilesystemAccess::Passthrough) {
        cx.error_at(
            &codes::FILESYSTEM,
            site,
            "accessmode",
            "only supports passthrough accessmode: the driver type 'handle' has no other",
        );
    }
    let modes = fs.file_mode.is_some() || fs.directory_mode.is_some();
    if modes && fs.access_mode != Some(FilesystemAccess::Mapped) {
        cx.error(
            &codes::FILESYSTEM,
            site,
            "fmode and dmode set the permissions of files with accessmode='mapped', and are of no use with another",
        );
    }
    if fs.multi_devs.is_some() && !cx.has(Cap::FsdevMultidevs) {
        cx.error(&codes::NEEDS_QEMU, site, "this QEMU binary has no multidevs for 9p");
    }
    // Libvirt passes over what belongs to another driver, but not a socket.
    let own = cx.env.is_guardian() && (fs.binary.is_some() || fs.idmap.is_some());
    if own || fs.socket().is_some() {
        cx.error(
            &codes::FILESYSTEM,
            site,
            "<binary>, <idmap> and a socket as source are for virtiofs, and this filesystem is 9p",
        );
    }
}

fn virtiofs(fs: &Filesystem, domain: &Domain, cx: &mut Cx<'_>) {
    let site = fs.site;
    if !cx.has(Cap::VhostUserFs) {
        cx.error(&codes::NEEDS_QEMU, site, "this QEMU binary has no vhost-user device for virtiofs");
    }
    let external = fs.socket().is_some();
    if fs.access_mode.is_some_and(|m| m != FilesystemAccess::Passthrough) {
        cx.error_at(&codes::FILESYSTEM, site, "accessmode", "accessmode: virtiofs knows passthrough only");
    }
    let driver = fs.driver.as_ref();
    let refused: [(bool, &str); 4] = [
        (driver.is_some_and(|d| d.write_policy.is_some()), "wrpolicy"),
        (driver.is_some_and(|d| d.format.is_some()), "format"),
        (fs.multi_devs.is_some(), "multidevs"),
        (fs.file_mode.is_some() || fs.directory_mode.is_some(), "fmode and dmode"),
    ];
    for (set, what) in refused {
        if set {
            cx.error(&codes::FILESYSTEM, site, format!("virtiofs has no {what}"));
        }
    }
    if external && (fs.binary.is_some() || fs.idmap.is_some() || fs.readonly) {
        cx.error(
            &codes::FILESYSTEM,
            site,
            "virtiofsd options cannot be used when the source is a socket: it is started elsewhere",
        );
    }
    if !external && fs.dir().is_empty() {
        cx.error(&codes::FILESYSTEM, site, "the filesystem has no <source dir='…'/>");
    }
    if fs.tag().len() > 35 {
        let message = format!("target directory '{}' is too long for a virtiofs tag: at most 35 bytes", fs.tag());
        cx.error(&codes::FILESYSTEM, site, message);
    }
    if let Some(boot) = &fs.info.boot {
        if !cx.has(Cap::VhostUserFsBootindex) {
            cx.error(
                &codes::NEEDS_QEMU,
                boot.site,
                "this QEMU binary cannot boot from virtiofs: remove its <boot order>",
            );
        } else if !matches!(fs.info.address.address, Some(Address::Pci(_)) | None) {
            cx.error(&codes::FILESYSTEM, boot.site, "<boot order> of virtiofs needs a device on the PCI bus");
        }
    }
    if !crate::device::storage::rules::has_shared_memory(domain) {
        cx.error(&codes::FILESYSTEM, site, "virtiofs reads the guest's memory itself, and the memory is not shared")
            .help("add <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>");
    }
}

fn mtp(fs: &Filesystem, cx: &mut Cx<'_>) {
    let site = fs.site;
    if fs.dir().is_empty() {
        cx.error(&codes::FILESYSTEM, site, "the source of the filesystem is missing: <source dir='…'/>");
    }
    if !cx.has(Cap::UsbMtp) {
        cx.error(&codes::NEEDS_QEMU, site, "this QEMU binary has no usb-mtp device for an MTP filesystem");
    }
    if fs.access_mode.is_some_and(|m| m != FilesystemAccess::Passthrough) || fs.multi_devs.is_some() {
        cx.error(&codes::FILESYSTEM, site, "an mtp filesystem knows accessmode='passthrough' only, and no multidevs");
    }
}
