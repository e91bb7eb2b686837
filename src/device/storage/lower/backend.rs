//! The storage node of an image: where its bytes are.

use super::network;
use crate::device::storage::{Auth, Encryption, Location, StorageKind, StorageSource};
use crate::diag::codes::storage as codes;
use crate::plan::Props;
use crate::stage::Lower;

/// What the storage node depends on.
pub struct Backend<'a> {
    /// Where the bytes are.
    pub source: &'a StorageSource,
    /// Credentials.
    pub auth: Option<&'a Auth>,
    /// Encryption, for servers that decrypt.
    pub encryption: Option<&'a Encryption>,
    /// Name of the node, from which the ids of its objects are made.
    pub node: &'a str,
    /// How requests are submitted.
    pub aio: Option<&'static str>,
    /// Whether the drive is a floppy.
    pub floppy: bool,
    /// Whether the drive is optical.
    pub cdrom: bool,
    /// Whether it is only read.
    pub readonly: bool,
}

/// The properties of a storage node, without name and options that all nodes share. None after a fault.
pub fn backend(how: &Backend<'_>, lx: &mut Lower<'_>) -> Option<Props> {
    let source = how.source;
    match &source.location {
        Location::Path(path) => path_node(how, path, lx),
        Location::Nvme(nvme) => {
            let mut props = Props::driver("nvme");
            let at = nvme.address;
            props.set("device", format!("{:04x}:{:02x}:{:02x}.{:x}", at.domain, at.bus, at.slot, at.function));
            props.set("namespace", nvme.namespace);
            Some(props)
        }
        Location::Network(network) => network::node(how, network, lx),
        Location::Empty | Location::Volume(_) | Location::VhostUser(_) => {
            lx.error(&codes::EMPTY, source.site, format!("the source of type '{}' names nothing to open", source.kind));
            None
        }
    }
}

fn path_node(how: &Backend<'_>, path: &str, lx: &mut Lower<'_>) -> Option<Props> {
    let source = how.source;
    if source.kind == StorageKind::Dir {
        let mut props = Props::driver("vvfat");
        props.set("dir", path.to_string()).set("floppy", how.floppy).set("rw", !how.readonly);
        return Some(props);
    }
    if source.kind == StorageKind::Vhostvdpa {
        let mut props = Props::driver("virtio-blk-vhost-vdpa");
        let path = if lx.hands_over_descriptors() {
            lx.fd_set(format!("{}-vdpa", how.node), source.site)
        } else {
            path.to_string()
        };
        props.set("path", path);
        return Some(props);
    }
    let mut props = Props::driver(match source.kind {
        StorageKind::Block if how.cdrom && lx.env.host.machine.cdrom.iter().any(|c| c == path) => "host_cdrom",
        StorageKind::Block => "host_device",
        _ => "file",
    });
    props.set("filename", filename(source, path, how.node, lx)?);
    props.maybe("aio", how.aio);
    props.maybe("pr-manager", pr_manager(source, how.node));
    Some(props)
}

/// The id of the object that makes persistent reservations for a source.
pub fn pr_manager(source: &StorageSource, node: &str) -> Option<String> {
    let reservations = source.reservations.as_ref()?;
    Some(if reservations.is_managed() { "pr-helper0".to_string() } else { format!("pr-helper-{node}") })
}

/// The path, or what stands for descriptors that the launcher hands in.
fn filename(source: &StorageSource, path: &str, node: &str, lx: &mut Lower<'_>) -> Option<String> {
    let Some(name) = source.fdgroup.as_deref().filter(|_| lx.hands_over_descriptors()) else {
        return Some(path.to_string());
    };
    let Some(group) = lx.env.host.fd_group(name) else {
        lx.error(
            &codes::NO_FD_GROUP,
            source.site,
            format!("fdgroup='{name}': no file descriptor group of this name is handed over with the domain"),
        )
        .help("describe it in the host facts: fd-group \"NAME\" count=1");
        return None;
    };
    Some(lx.fd_set_of(group.count, &format!("{node}-fd"), source.site))
}
