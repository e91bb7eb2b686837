//! Volumes of storage pools: what the host facts say they are.

use crate::device::storage::credentials::{Auth, SecretName, SecretRef};
use crate::device::storage::{
    Location, Network, Protocol, StartupPolicy, StorageHost, StorageKind, StorageSource, VolumeMode, VolumeRef,
};
use crate::diag::codes::storage as codes;
use crate::host::{Host, PoolKind, StoragePool, VolumeKind};
use crate::stage::Lower;

/// What became of a source.
pub enum Found {
    /// It is no volume: it says itself where it is.
    Itself,
    /// The source that stands for the volume.
    Volume(Box<StorageSource>),
    /// It is not there, and the XML says that this does not matter.
    Missing,
    /// It is not there, and that has been reported.
    Fault,
}

/// Whether a source is not there and may be missing.
pub fn is_dropped(source: &StorageSource, host: &Host) -> bool {
    let Location::Volume(volume) = &source.location else { return false };
    source.startup == Some(StartupPolicy::Optional) && look(volume, host).is_err()
}

fn look<'h>(volume: &VolumeRef, host: &'h Host) -> Result<(&'h StoragePool, &'h crate::host::Volume), String> {
    let pool = host
        .pool(&volume.pool)
        .ok_or_else(|| format!("the host facts have no storage pool with the name '{}'", volume.pool))?;
    if !pool.active {
        return Err(format!(
            "the storage pool '{}' with the volume '{}' is stopped, not active",
            volume.pool, volume.volume
        ));
    }
    let found = pool.volume(&volume.volume);
    found.map(|v| (pool, v)).ok_or_else(|| {
        format!(
            "no volume '{}' is in the storage pool '{}' of the host facts (storage volume, matching name)",
            volume.volume, volume.pool
        )
    })
}

/// Finds the source that stands for a volume.
pub fn find(source: &StorageSource, lx: &mut Lower<'_>) -> Found {
    let Location::Volume(volume) = &source.location else { return Found::Itself };
    let (pool, found) = match look(volume, lx.env.host) {
        Ok(found) => found,
        Err(_) if source.startup == Some(StartupPolicy::Optional) => return Found::Missing,
        Err(message) => {
            lx.error(&codes::NO_VOLUME, source.site, message)
                .help("the host facts list pools and volumes: storage-pool \"NAME\" { volume \"NAME\" … }");
            return Found::Fault;
        }
    };
    let mut real = StorageSource { auth: None, startup: None, ..source.clone() };
    let by_iscsi = matches!(pool.kind, Some(PoolKind::Iscsi | PoolKind::IscsiDirect));
    if volume.mode.is_some() && !by_iscsi {
        lx.error(
            &codes::NO_VOLUME,
            source.site,
            "<source mode> chooses how iscsi volumes are reached: this storage pool is of another type",
        );
        return Found::Fault;
    }
    let direct = volume.mode == Some(VolumeMode::Direct) || pool.kind == Some(PoolKind::IscsiDirect);
    if by_iscsi && direct {
        let Some(target) = iscsi(pool, &volume.volume) else {
            lx.error(
                &codes::NO_VOLUME,
                source.site,
                format!("the storage pool '{}' does not say which target of which host it is", pool.name),
            )
            .help("say it in the host facts: storage-pool … { host \"…\"; device \"iqn.…\"; }");
            return Found::Fault;
        };
        real.kind = StorageKind::Network;
        real.location = Location::Network(Box::new(target));
        real.auth = pool.auth.as_ref().map(|a| Auth {
            username: Some(a.username.clone()),
            secret: Some(SecretRef {
                kind: Some("iscsi".to_string()),
                name: Some(SecretName::Uuid(a.secret)),
                site: source.site,
            }),
            site: source.site,
        });
        return Found::Volume(Box::new(real));
    }
    real.kind = match found.kind {
        VolumeKind::File => StorageKind::File,
        VolumeKind::Block => StorageKind::Block,
        VolumeKind::Dir => StorageKind::Dir,
        VolumeKind::Network => {
            let kind = pool.kind.map_or("network", |k| k.as_str());
            lx.error(
                &codes::NO_VOLUME,
                source.site,
                format!("a 'volume' disk in a pool of type '{kind}': QEMU has no way to it yet"),
            );
            return Found::Fault;
        }
    };
    real.location = Location::Path(found.path.clone());
    Found::Volume(Box::new(real))
}

/// The target of an iSCSI pool, with the logical unit that the name of a volume, `unit:0:0:2`, ends with; none if the pool does
/// not say where it is.
fn iscsi(pool: &StoragePool, volume: &str) -> Option<Network> {
    let lun = volume.rsplit_once(':').map_or(volume, |(_, lun)| lun);
    let name = Some(format!("{}/{lun}", pool.device.as_deref()?));
    let port = Protocol::Iscsi.default_port();
    let host = StorageHost { name: Some(pool.host.clone()?), port, ..StorageHost::default() };
    let mut network = Network { protocol: Some(Protocol::Iscsi), name, ..Network::default() };
    network.parts.hosts.push(host);
    Some(network)
}
