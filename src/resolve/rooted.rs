//! Relative paths of files: QEMU starts in the root directory, under libvirt and under a unit, and so looks for them there.
//! A standalone machine is told the whole path, which is also what is granted and labelled.

use crate::device::storage::{Layer, Location, StorageKind, StorageSource};
use crate::domain::Domain;

/// Makes the paths of images, firmware and kernels absolute.
pub fn paths(domain: &mut Domain) {
    if let Some(os) = &mut domain.os {
        let nvram = os.nvram.as_mut();
        let (template, store) = nvram.map_or((None, None), |n| (n.template.as_mut(), n.path.as_mut()));
        let loader = os.loader.as_mut().and_then(|l| l.path.as_mut());
        let kernel = [os.kernel.as_mut(), os.initrd.as_mut(), os.dtb.as_mut()];
        kernel.into_iter().chain([loader, template, store]).flatten().for_each(rooted);
        if let Some(store) = os.nvram.as_mut().and_then(|n| n.source.as_mut()) {
            source(store);
        }
    }
    let disks = domain.devices.iter_mut().flat_map(|d| &mut d.disks);
    for disk in disks.filter(|d| d.is_readonly()) {
        source(&mut disk.source.source);
        let mut next = disk.source.backing.as_deref_mut();
        while let Some(Layer { source: below, backing, .. }) = next {
            source(below);
            next = backing.as_deref_mut();
        }
    }
}

fn source(source: &mut StorageSource) {
    let in_files = matches!(source.kind, StorageKind::File | StorageKind::Block | StorageKind::Dir);
    if let Location::Path(path) = &mut source.location
        && in_files
    {
        rooted(path);
    }
}

fn rooted(path: &mut String) {
    if !path.is_empty() && !path.starts_with('/') {
        path.insert(0, '/');
    }
}
