//! What QEMU touches for an image.

use crate::device::storage::{Location, Protocol, StorageKind, StorageSource, Transport};
use crate::diag::codes::storage as codes;
use crate::domain::seclabel::SourceSeclabel;
use crate::host::PciAddress;
use crate::plan::{ClaimKind, LentDevice, PathKind, Use};
use crate::stage::{Grant, Lower, labels_of_layer};
use crate::vocab::YesNo;
use crate::xml::Site;

/// How an image is used.
pub struct ImageUse<'a> {
    /// Only read.
    pub readonly: bool,
    /// Other guests may write too.
    pub shareable: bool,
    /// The topmost image of its chain.
    pub top: bool,
    /// The labels of the topmost image of its chain.
    pub labels: &'a [SourceSeclabel],
    /// Name of the disk.
    pub what: &'a str,
    /// What asks for it.
    pub site: Site,
}

/// Records the paths of a source.
pub fn source(source: &StorageSource, how: &ImageUse<'_>, lx: &mut Lower<'_>) {
    let what = || format!("disk {}", how.what);
    let labels = labels_of_layer(&source.seclabels, how.labels);
    match &source.location {
        Location::Path(path) => {
            let grant = match source.kind {
                StorageKind::Block => image(how).on(PathKind::BlockDevice),
                StorageKind::Vhostvdpa => Grant::HOST_DEVICE,
                StorageKind::Dir if how.readonly => Grant::READ_ONLY_SHARE,
                StorageKind::Dir => Grant::SHARE,
                _ => image(how),
            };
            lx.touch(path, grant.overridden(&labels), Use::Disk, how.site, what());
        }
        Location::Nvme(nvme) => {
            let at = nvme.address;
            // The reader bounds all numbers of an address.
            let at =
                PciAddress { domain: at.domain, bus: at.bus as u8, slot: at.slot as u8, function: at.function as u8 };
            lx.claim(ClaimKind::HostDevice, at.to_string(), how.site, what());
            let managed = nvme.managed.is_some_and(YesNo::is_yes);
            lx.lend(LentDevice::Pci(at.to_string()), managed, how.site, what());
            lx.touch_vfio(lx.env.host.pci_device(at).and_then(|d| d.iommu_group), Use::Disk, how.site, what());
        }
        Location::VhostUser(socket) => {
            if let Some(path) = &socket.path {
                lx.touch(path, Grant::PEER_SOCKET, Use::Disk, how.site, what());
            }
        }
        Location::Network(network) => {
            for host in network.parts.hosts.iter().filter(|h| h.transport == Some(Transport::Unix)) {
                if let Some(path) = &host.socket {
                    lx.touch(path, Grant::PEER_SOCKET.overridden(&labels), Use::Disk, how.site, what());
                }
            }
            let colon = network.name.as_deref().filter(|name| name.contains(':'));
            if let Some(name) = colon.filter(|_| network.protocol == Some(Protocol::Rbd) && lx.env.is_guardian()) {
                // Programs that take the older notation (qemu-img) read options behind a colon.
                lx.error(&codes::NETWORK, how.site, format!("the name of an RBD image holds a colon: '{name}'"))
                    .help("give options of the cluster as elements of <source>: <host>, <config>, <snapshot>, <auth>");
            }
            let config = network.parts.config.as_ref().and_then(|c| c.file.as_deref());
            if let Some(path) = config {
                lx.touch(
                    path,
                    Grant::SYSTEM_FILE,
                    Use::DiskConfiguration,
                    how.site,
                    format!("configuration of {}", what()),
                );
            } else if network.protocol == Some(Protocol::Rbd) {
                ceph(source.auth.is_some(), how.site, &format!("configuration of {}", what()), lx);
            }
        }
        Location::Empty | Location::Volume(_) => {}
    }
}

/// What Ceph's library reads when it is told no configuration: the cluster's, and keys when it gets none
/// (librados, `keyring` in ceph.conf(5)).
fn ceph(has_key: bool, site: Site, what: &str, lx: &mut Lower<'_>) {
    let keys = ["/etc/ceph/ceph.client.admin.keyring", "/etc/ceph/ceph.keyring", "/etc/ceph/keyring"];
    let keys = if has_key { &[] } else { &keys[..] };
    for path in std::iter::once(&"/etc/ceph/ceph.conf").chain(keys) {
        lx.touch_if_there(path, Grant::SYSTEM_FILE, Use::DiskConfiguration, site, what.to_string());
    }
}

fn image(how: &ImageUse<'_>) -> Grant {
    if !how.top && how.readonly {
        Grant::BACKING
    } else if how.readonly {
        Grant::READ_ONLY_IMAGE
    } else if how.shareable {
        Grant::SHARED_IMAGE
    } else {
        Grant::IMAGE
    }
}
