//! Host facts about storage pools: the node `storage-pool`.

use super::kdl::{self, Reader, Times::*};
use super::lines::Lines;
use super::rows::Table;
use crate::vocab::{Uuid, keywords};
use ::kdl::KdlNode;

/// A storage pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoragePool {
    /// Name.
    pub name: String,
    /// Type of the pool; none: not known.
    pub kind: Option<PoolKind>,
    /// Whether it is started.
    pub active: bool,
    /// Source host.
    pub host: Option<String>,
    /// Source device or target name.
    pub device: Option<String>,
    /// Target directory.
    pub target: Option<String>,
    /// Credentials.
    pub auth: Option<PoolAuth>,
    /// Volumes.
    pub volumes: Vec<Volume>,
}

keywords! {
    /// Type of a storage pool, in libvirt's words.
    pub enum PoolKind {
        Dir = "dir",
        Fs = "fs",
        Netfs = "netfs",
        Logical = "logical",
        Disk = "disk",
        Iscsi = "iscsi",
        IscsiDirect = "iscsi-direct",
        Scsi = "scsi",
        Mpath = "mpath",
        Rbd = "rbd",
        Sheepdog = "sheepdog",
        Gluster = "gluster",
        Zfs = "zfs",
        Vstorage = "vstorage",
    }
}

/// Credentials of a storage pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolAuth {
    /// `chap`, `ceph`.
    pub kind: String,
    /// User.
    pub username: String,
    /// Secret.
    pub secret: Uuid,
}

/// A volume of a storage pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: VolumeKind,
    /// Where it is.
    pub path: String,
}

keywords! {
    /// What a volume is.
    pub enum VolumeKind {
        File = "file",
        Block = "block",
        Dir = "dir",
        Network = "network",
    }
}

impl StoragePool {
    /// The volume with this name.
    pub fn volume(&self, name: &str) -> Option<&Volume> {
        self.volumes.iter().find(|v| v.name == name)
    }
}

/// Reads a node `storage-pool`.
pub(super) fn read(r: &mut Reader<'_>, node: &KdlNode) -> Option<StoragePool> {
    let mut e = r.entries(node);
    let name = e.required_arg("its name");
    let kind = e.prop("type");
    let state = e.prop::<String>("state");
    e.finish();
    let active = match state.as_deref() {
        None | Some("active") => true,
        Some("inactive") => false,
        Some(_) => {
            r.bad_value(kdl::name_span(node), "'state'", "\"active\" or \"inactive\"");
            true
        }
    };
    let mut pool = StoragePool {
        name: String::new(),
        kind,
        active,
        host: None,
        device: None,
        target: None,
        auth: None,
        volumes: Vec::new(),
    };
    let table: Table = &[("host", Once), ("device", Once), ("target", Once), ("auth", Once), ("volume", Many)];
    for child in r.children(node, table) {
        match child.name().value() {
            "host" => r.option(child, &mut pool.host),
            "device" => r.option(child, &mut pool.device),
            "target" => r.option(child, &mut pool.target),
            "auth" => {
                let mut e = r.entries(child);
                let kind = e.required_prop("type");
                let username = e.required_prop("username");
                let secret = e.required_prop("secret");
                e.finish();
                r.no_children(child);
                if let (Some(kind), Some(username), Some(secret)) = (kind, username, secret) {
                    pool.auth = Some(PoolAuth { kind, username, secret });
                }
            }
            "volume" => {
                let mut e = r.entries(child);
                let name = e.required_arg::<String>("its name");
                let kind = e.required_prop("type");
                let path = e.required_prop("path");
                e.finish();
                r.no_children(child);
                if let (Some(name), Some(kind), Some(path)) = (name, kind, path) {
                    if pool.volume(&name).is_some() {
                        r.twice(kdl::name_span(child), &format!("the volume '{name}'"));
                    }
                    pool.volumes.push(Volume { name, kind, path });
                }
            }
            _ => {}
        }
    }
    pool.name = name?;
    Some(pool)
}

/// Writes it.
pub(super) fn write(w: &mut Lines, pool: &StoragePool) {
    w.gap().node("storage-pool").text(&pool.name).prop_if("type", pool.kind.map(PoolKind::as_str));
    w.prop("state", if pool.active { "active" } else { "inactive" });
    w.block(|w| {
        for (name, value) in [("host", &pool.host), ("device", &pool.device), ("target", &pool.target)] {
            if let Some(value) = value {
                w.node(name).text(value);
            }
        }
        if let Some(auth) = &pool.auth {
            w.node("auth").prop("type", &auth.kind).prop("username", &auth.username);
            w.prop("secret", &auth.secret.to_string());
        }
        for volume in &pool.volumes {
            w.node("volume").text(&volume.name).prop("type", volume.kind.as_str()).prop("path", &volume.path);
        }
    });
}
