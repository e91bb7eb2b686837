//! Shared directories on the command line.

use super::{Filesystem, FilesystemAccess, FsDriver, MultiDevs, virtiofsd};
use crate::diag::codes::storage as codes;
use crate::plan::{Props, Use};
use crate::stage::Quirk;
use crate::stage::{Grant, Lower};
use crate::vocab::Value;

/// Adds what one shared directory needs.
pub fn filesystem(fs: &Filesystem, lx: &mut Lower<'_>) {
    match fs.driver() {
        FsDriver::Virtiofs => virtiofs(fs, lx),
        FsDriver::Mtp => mtp(fs, lx),
        _ => nine_p(fs, lx),
    }
}

fn nine_p(fs: &Filesystem, lx: &mut Lower<'_>) {
    let backend = format!("fsdev-{}", fs.info.id);
    let mut props = Props::new();
    if fs.driver() == FsDriver::Handle {
        if !lx.env.behaves(Quirk::NinepHandle) {
            lx.error(&codes::NEEDS_QEMU, fs.site, "the driver type 'handle' is gone: QEMU 4.0 has removed it")
                .help("use <driver type='path'/>");
        }
        props.bare("handle");
    } else {
        props.bare("local").set(
            "security_model",
            match fs.access_mode {
                Some(FilesystemAccess::Mapped) => "mapped",
                Some(FilesystemAccess::Squash) => "none",
                _ => "passthrough",
            },
        );
        props.maybe("multidevs", fs.multi_devs.filter(|m| *m != MultiDevs::Default).map(|m| m.as_str()));
        props.maybe("fmode", fs.file_mode.map(|m| m.to_text()));
        props.maybe("dmode", fs.directory_mode.map(|m| m.to_text()));
    }
    let policy = fs.driver.as_ref().and_then(|d| d.write_policy);
    props.maybe("writeout", policy.map(|p| p.as_str()));
    props.set("id", backend.clone()).set("path", fs.dir().to_string());
    if fs.readonly {
        // The short form is deprecated; libvirt still writes it.
        if lx.env.has_parent() {
            props.bare("readonly");
        } else {
            props.set("readonly", true);
        }
    }
    lx.options("-fsdev", props, fs.site, "filesystem");
    tree(fs, lx);
    let mut props = device(fs, "virtio-9p", lx);
    props.set("id", fs.info.id.clone()).set("fsdev", backend).set("mount_tag", fs.tag().to_string());
    lx.address(&mut props, &fs.info);
    lx.device(props, fs);
}

fn virtiofs(fs: &Filesystem, lx: &mut Lower<'_>) {
    let chardev = format!("chr-vu-{}", fs.info.id);
    let path = match fs.socket() {
        Some(path) => path.to_string(),
        None => virtiofsd::socket(fs, lx),
    };
    let mut props = Props::new();
    props.bare("socket").set("id", chardev.clone()).set("path", path.clone());
    lx.options("-chardev", props, fs.site, "filesystem");
    if fs.socket().is_some() {
        lx.touch(&path, Grant::PEER_SOCKET, Use::Share, fs.site, what(fs));
    } else if !lx.env.has_parent() {
        virtiofsd::process(fs, &path, lx);
    }
    let mut props = device(fs, "vhost-user-fs", lx);
    props.set("id", fs.info.id.clone()).set("chardev", chardev);
    props.maybe("queue-size", fs.driver.as_ref().and_then(|d| d.queue).filter(|q| *q > 0));
    props.set("tag", fs.tag().to_string());
    lx.boot(&mut props, &fs.info);
    lx.address(&mut props, &fs.info);
    lx.device(props, fs);
}

fn mtp(fs: &Filesystem, lx: &mut Lower<'_>) {
    let mut props = Props::driver("usb-mtp");
    props.set("id", fs.info.id.clone()).set("rootdir", fs.dir().to_string());
    props.set("desc", fs.tag().to_string()).set("readonly", fs.readonly);
    lx.address(&mut props, &fs.info);
    lx.device(props, fs);
    tree(fs, lx);
}

fn device(fs: &Filesystem, base: &str, lx: &Lower<'_>) -> Props {
    let variant = fs.model.unwrap_or_default().suffix();
    let mut props = Props::driver(lx.virtio_driver(base, &fs.info, variant));
    if let Some(driver) = &fs.driver {
        driver.virtio.lower(&mut props, lx);
    }
    props
}

/// For causes.
pub fn what(fs: &Filesystem) -> String {
    format!("filesystem {}", fs.tag())
}

/// QEMU itself opens everything below the directory.
fn tree(fs: &Filesystem, lx: &mut Lower<'_>) {
    let grant = if fs.readonly { Grant::READ_ONLY_SHARE } else { Grant::SHARE };
    lx.touch(fs.dir(), grant, Use::Share, fs.site, what(fs));
}
