//! Devices of the host.

use crate::device::hostdev::{HostdevSource, HostdevType};
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::domain::memory::{AccessMode, MemorySource};
use crate::host::PciAddress;
use crate::stage::Cx;
use crate::xml::Site;

pub fn check(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &domain.devices else { return };
    let mut taken: Vec<(PciAddress, Site)> = Vec::new();
    for hostdev in &devices.hostdevs {
        if let HostdevSource::Pci { address, .. } = &hostdev.source {
            taken.push((*address, hostdev.site));
        }
    }
    for interface in &devices.interfaces {
        if let Some(at) = interface.source.pci {
            let (bus, slot, function) = (at.bus as u8, at.slot as u8, at.function as u8);
            taken.push((PciAddress { domain: at.domain, bus, slot, function }, interface.site));
        }
    }
    groups(&taken, cx);
    let vfio = !taken.is_empty() || devices.hostdevs.iter().any(|h| h.kind() == HostdevType::Mdev);
    shared(domain, vfio, cx);
}

/// Functions of a group that stay behind. Bridges may.
fn groups(taken: &[(PciAddress, Site)], cx: &mut Cx<'_>) {
    const BRIDGE: u32 = 0x06;
    let facts = &cx.env.host.pci_devices;
    let mut told: Vec<u32> = Vec::new();
    for (address, site) in taken {
        let fact = facts.iter().find(|f| f.address == *address);
        let Some(group) = fact.and_then(|f| f.iommu_group).filter(|g| !told.contains(g)) else { continue };
        let others: Vec<String> = facts
            .iter()
            .filter(|f| f.iommu_group == Some(group) && f.class.is_none_or(|c| c >> 16 != BRIDGE))
            .filter(|f| !taken.iter().any(|(t, _)| *t == f.address))
            .map(|f| f.address.to_string())
            .collect();
        if others.is_empty() {
            continue;
        }
        told.push(group);
        let message = format!("IOMMU group {group} holds {} as well, and VFIO wants all of a group", others.join(", "));
        cx.warn(&codes::HALF_GROUP, *site, message)
            .help("hand them through, too, or take them from their drivers: bind them to vfio-pci");
    }
}

/// Shared memory that is a file, below devices that write to it.
fn shared(domain: &Domain, vfio: bool, cx: &mut Cx<'_>) {
    let Some(backing) = domain.memory_backing.as_ref().filter(|_| vfio) else { return };
    let shared = backing.access() == Some(AccessMode::Shared);
    if shared && backing.source() != Some(MemorySource::Memfd) && backing.hugepages.is_none() {
        let site = backing.access.as_ref().map_or(backing.site, |a| a.site);
        let message = "shared memory without memfd is a file on disk, to which a device of the host would write";
        cx.warn(&codes::SHARED_FILES_VFIO, site, message).help("add <source type='memfd'/> to <memoryBacking>");
    }
}
