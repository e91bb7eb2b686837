//! What the XML of a shared directory leaves open.

use super::{Filesystem, FilesystemAccess, FilesystemType, FsDriver};
use crate::diag::codes::storage as codes;
use crate::stage::Cx;

/// Fills in type and access mode.
pub fn filesystem(fs: &mut Filesystem, cx: &mut Cx<'_>) {
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
    if driver != FsDriver::Virtiofs && !cx.env.is_guardian() {
        (fs.binary, fs.idmap) = (None, None);
    }
    if let Some(map) = fs.idmap.take_if(|map| map.uids.is_empty() || map.gids.is_empty()) {
        let message = "<idmap> maps both users and groups: with one of <uid> and <gid> alone nothing is mapped";
        cx.diags.warning(&codes::FILESYSTEM, cx.doc.span_of(map.site), message);
    }
    // Another virtiofsd is another's to configure, but libvirt prints what it was told.
    if fs.multi_devs == Some(super::MultiDevs::Default) {
        fs.multi_devs = None;
    }
}
