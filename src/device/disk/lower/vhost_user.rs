//! Disks of a vhost-user backend.

use crate::caps::Cap;
use crate::device::disk::Disk;
use crate::device::storage::SocketSource;
use crate::plan::{Props, Use};
use crate::stage::{Grant, Lower};
use crate::vocab::YesNo;

/// Adds the `-chardev` of the backend's socket; gives its id.
pub fn chardev(disk: &Disk, socket: &SocketSource, lx: &mut Lower<'_>) -> String {
    let id = format!("chr-vu-{}", disk.info.id);
    let path = lx.must(socket.path.clone(), "the socket of the disk", disk.site);
    let mut props = Props::new();
    props.bare("socket").set("id", id.clone()).set("path", path.clone());
    if let Some(reconnect) = &socket.reconnect {
        let seconds = if reconnect.enabled.is_some_and(YesNo::is_yes) { reconnect.timeout.unwrap_or(0) } else { 0 };
        if lx.has(Cap::ChardevReconnectMiliseconds) {
            props.set("reconnect-ms", u64::from(seconds) * 1000);
        } else {
            props.set("reconnect", seconds);
        }
    }
    lx.options("-chardev", props, disk.site, "vhost-user disk");
    lx.touch(&path, Grant::PEER_SOCKET, Use::Disk, disk.site, format!("disk {}", disk.dev()));
    id
}
