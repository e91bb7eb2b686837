//! What the XML of a shared directory leaves open.

use super::{Filesystem, FilesystemAccess, FilesystemType, FsDriver};

/// Fills in type and access mode.
pub fn filesystem(fs: &mut Filesystem) {
    fs.kind.get_or_insert(FilesystemType::Mount);
    fs.access_mode.get_or_insert(FilesystemAccess::Passthrough);
    let driver = fs.driver();
    if let Some(given) = &mut fs.driver {
        given.queue = given.queue.filter(|q| *q > 0 && driver == FsDriver::Virtiofs);
        if given.kind.is_none() {
            given.format = None;
            given.write_policy = None;
        }
    }
    // Another virtiofsd is another's to configure, but libvirt prints what it was told.
    if fs.multi_devs == Some(super::MultiDevs::Default) {
        fs.multi_devs = None;
    }
}
