//! What the XML of a shared directory leaves open.

use super::{AccessMode, Filesystem, FilesystemType};

/// Fills in type and access mode.
pub fn filesystem(fs: &mut Filesystem) {
    fs.kind.get_or_insert(FilesystemType::Mount);
    fs.access_mode.get_or_insert(AccessMode::Passthrough);
    // Another virtiofsd is another's to configure, but libvirt prints what it was told.
    if fs.multi_devs == Some(super::MultiDevs::Default) {
        fs.multi_devs = None;
    }
}
