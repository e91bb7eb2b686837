//! What QEMU touches for an image.

use crate::device::storage::{Location, Protocol, StorageKind, StorageSource, Transport};
use crate::diag::codes::storage as codes;
use crate::host::PciAddress;
use crate::lower::Lower;
use crate::plan::{LabelRole, OwnerRule, PathKind, Perms, Sharing};
use crate::xml::Site;

/// How an image is used.
pub struct Use<'a> {
    /// Only read.
    pub readonly: bool,
    /// Other guests may write too.
    pub shareable: bool,
    /// Name of the disk.
    pub what: &'a str,
    /// What asks for it.
    pub site: Site,
}

/// Records the paths of a source.
pub fn source(source: &StorageSource, how: &Use<'_>, lx: &mut Lower<'_>) {
    match &source.location {
        Location::Path(path) => {
            let kind = match source.kind {
                StorageKind::Block => PathKind::BlockDevice,
                StorageKind::VhostVdpa => PathKind::CharDevice,
                StorageKind::Dir => PathKind::Tree,
                _ => PathKind::File,
            };
            file(source, path, kind, how, lx);
        }
        Location::Nvme(nvme) => {
            let at = nvme.address;
            // The reader bounds all numbers of an address.
            let at =
                PciAddress { domain: at.domain, bus: at.bus as u8, slot: at.slot as u8, function: at.function as u8 };
            let group = lx.env.host.pci_device(at).and_then(|d| d.iommu_group);
            let what = format!("disk {}", how.what);
            device(lx, "/dev/vfio/vfio", how.site, &what);
            match group {
                Some(group) => device(lx, &format!("/dev/vfio/{group}"), how.site, &what),
                None => {
                    let span = lx.doc.span_of(how.site);
                    let message = format!("the host facts do not tell the IOMMU group of {}", nvme.address);
                    lx.diags
                        .warning(&codes::UNKNOWN_ACCESS, span, message)
                        .help("add pci-device \"ADDRESS\" iommu-group=N to the host facts");
                }
            }
        }
        Location::VhostUser(socket) => {
            if let Some(path) = &socket.path {
                self::socket(lx, path, how);
            }
        }
        Location::Network(network) => {
            for host in network.parts.hosts.iter().filter(|h| h.transport == Some(Transport::Unix)) {
                if let Some(path) = &host.socket {
                    self::socket(lx, path, how);
                }
            }
            let what = format!("disk {}", how.what);
            if let Some(path) = network.parts.config.as_ref().and_then(|c| c.file.clone()) {
                read(lx, &path, PathKind::File, how.site, &what);
            } else if network.protocol == Some(Protocol::Rbd) {
                read(lx, "/etc/ceph", PathKind::Tree, how.site, &what);
            }
        }
        Location::Empty | Location::Volume(_) => {}
    }
}

fn file(source: &StorageSource, path: &str, kind: PathKind, how: &Use<'_>, lx: &mut Lower<'_>) {
    let (perms, sharing, label) = if how.readonly {
        (Perms::READ, Sharing::ReadOnly, LabelRole::Content)
    } else if how.shareable {
        (Perms::READ_WRITE, Sharing::Shared, LabelRole::Shared)
    } else {
        (Perms::READ_WRITE, Sharing::Exclusive, LabelRole::Image)
    };
    let mut label = label;
    let mut owner = OwnerRule::Domain { restore: sharing == Sharing::Exclusive };
    for own in &source.seclabels {
        let dac = own.model.as_deref() == Some("dac");
        match (own.relabels(), &own.label) {
            (false, _) if dac => owner = OwnerRule::Keep,
            (false, _) => label = LabelRole::Keep,
            (true, Some(text)) if dac => owner = OwnerRule::Explicit(text.clone()),
            (true, Some(text)) => label = LabelRole::Explicit(text.clone()),
            (true, None) => {}
        }
    }
    lx.access(path, kind, perms, sharing, label, owner, how.site, format!("disk {}", how.what));
}

/// A socket that another program serves.
pub fn socket(lx: &mut Lower<'_>, path: &str, how: &Use<'_>) {
    let perms = Perms { lock: false, ..Perms::READ_WRITE };
    let what = format!("disk {}", how.what);
    lx.access(path, PathKind::Socket, perms, Sharing::System, LabelRole::Keep, OwnerRule::Keep, how.site, what);
}

fn device(lx: &mut Lower<'_>, path: &str, site: Site, what: &str) {
    let perms = Perms { lock: false, ..Perms::READ_WRITE };
    let owner = OwnerRule::Domain { restore: true };
    lx.access(path, PathKind::CharDevice, perms, Sharing::Shared, LabelRole::Image, owner, site, what.to_string());
}

fn read(lx: &mut Lower<'_>, path: &str, kind: PathKind, site: Site, what: &str) {
    let perms = Perms { lock: false, ..Perms::READ };
    lx.access(path, kind, perms, Sharing::System, LabelRole::Keep, OwnerRule::Keep, site, what.to_string());
}
