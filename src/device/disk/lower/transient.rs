//! Transient disks of a standalone machine: what the guest writes goes to an overlay of its own, which whoever
//! starts QEMU makes before and removes afterwards. libvirt does the same over the monitor.

use crate::device::disk::{Disk, DiskBus};
use crate::device::storage::lower::Chain;
use crate::device::storage::{Format, Layer, LayerFormat, Location, StorageKind, StorageSource};
use crate::diag::codes::general as support;
use crate::plan::{Directory, DirectoryRole, Overlay as Image, OwnerRule};
use crate::stage::{Env, Lower};

/// Whether the disk gets an overlay.
pub fn applies(disk: &Disk, env: &Env<'_>) -> bool {
    disk.transient.is_some() && !env.has_parent()
}

/// The overlay and the image below it.
pub struct Overlay {
    source: StorageSource,
    base: Layer,
}

impl Overlay {
    /// The chain with the overlay on top.
    pub fn chain(&self, number: u32) -> Chain<'_> {
        Chain {
            source: &self.source,
            format: Format::Qcow2,
            auth: None,
            encryption: None,
            backing: Some(&self.base),
            number,
        }
    }

    /// The image below is the user's own, though it is only read: its owner gets it back.
    pub fn give_back(&self, lx: &mut Lower<'_>) {
        let Location::Path(base) = &self.base.source.location else { return };
        for access in lx.plan.access.iter_mut().filter(|a| a.path == *base) {
            if let OwnerRule::Domain { restore } = &mut access.owner {
                *restore = true;
            }
        }
    }
}

/// The overlay of a disk whose topmost image is `top`; none after a fault.
pub fn overlay(disk: &Disk, top: &Chain<'_>, lx: &mut Lower<'_>) -> Option<Overlay> {
    let site = disk.transient.as_ref().map_or(disk.site, |t| t.site);
    let source = top.source;
    let is_local = matches!(source.kind, StorageKind::File | StorageKind::Block);
    let obstacle = match &source.location {
        _ if disk.bus() == Some(DiskBus::Sd) => Some("on the sd bus"),
        Location::Path(_) if !is_local => Some("of this type"),
        Location::Path(_) if top.encryption.is_some() => Some("that is encrypted"),
        Location::Path(_) if source.slice().is_some() => Some("that is a slice"),
        Location::Path(_) if source.data_store.is_some() => Some("with a data store"),
        Location::Path(_) => None,
        _ => Some("of this type"),
    };
    let (Location::Path(base), None) = (&source.location, obstacle) else {
        let message = format!(
            "a transient disk {} is not supported yet in a standalone command line",
            obstacle.unwrap_or("of this type")
        );
        lx.error(&support::NOT_YET, site, message)
            .help("let the disk be an overlay that you make before the start: qemu-img create -b IMAGE");
        return None;
    };
    let cause = lx.cause(site, "transient disk");
    let directory = format!("{}/transient", lx.paths.lib);
    let path = format!("{directory}/{}.qcow2", disk.dev());
    if !lx.plan.directories.iter().any(|d| d.path == directory) {
        let role = DirectoryRole::State;
        lx.plan.directories.push(Directory { role, path: directory, mode: 0o700, cause: cause.clone() });
    }
    let format = match top.format {
        Format::Vhd => "vpc",
        Format::None => "raw",
        other => other.as_str(),
    };
    lx.plan.overlays.push(Image { path: path.clone(), base: base.clone(), format: format.into(), cause });
    let source = StorageSource {
        kind: StorageKind::File,
        location: Location::Path(path),
        site: source.site,
        ..StorageSource::default()
    };
    let base = Layer {
        kind: Some(top.source.kind),
        format: Some(LayerFormat { kind: Some(top.format), ..LayerFormat::default() }),
        source: top.source.clone(),
        backing: top.backing.cloned().map(Box::new),
        untyped: false,
        site,
    };
    Some(Overlay { source, base })
}
