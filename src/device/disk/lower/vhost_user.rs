//! Disks of a vhost-user backend.

use crate::device::disk::Disk;
use crate::device::storage::SocketSource;
use crate::plan::{Props, Use};
use crate::stage::{Grant, Lower};

/// Adds the `-chardev` of the backend's socket; gives its id.
pub fn chardev(disk: &Disk, socket: &SocketSource, lx: &mut Lower<'_>) -> String {
    let id = format!("chr-vu-{}", disk.info.id);
    let path = lx.must(socket.path.clone(), "the socket of the disk", disk.site);
    let mut props = Props::new();
    props.bare("socket").set("id", id.clone()).set("path", path.clone());
    if let Some(reconnect) = &socket.reconnect {
        lx.reconnect(reconnect.enabled, reconnect.timeout, reconnect.site, &mut props);
    }
    lx.options("-chardev", props, disk.site, "vhost-user disk");
    lx.touch(&path, Grant::PEER_SOCKET, Use::Disk, disk.site, format!("disk {}", disk.dev()));
    id
}
