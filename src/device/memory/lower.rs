//! The arguments of a memory device: its backend, then the device.

use super::{MemoryDevice, MemoryModel};
use crate::caps::Cap;
use crate::device::address::Address;
use crate::plan::{Need, Prop, Props, Use};
use crate::stage::backend::{self, BackendRequest};
use crate::stage::{Grant, Lower};
use crate::vocab::{YesNo, nodes};

/// Adds one memory device.
pub fn device(device: &MemoryDevice, lx: &mut Lower<'_>) {
    let source = device.source.clone().unwrap_or_default();
    let virtio_mem = device.model() == MemoryModel::VirtioMem;
    let request = BackendRequest {
        id: format!("mem{}", device.info.id),
        file: Some(device.info.id.clone()),
        kib: device.aligned_kib(lx.machine),
        node: device.node(),
        force: true,
        access: device.access,
        discard: device.discard,
        page_kib: source.pagesize.as_ref().map(|p| p.kib()),
        nodes: source.nodemask.clone(),
        path: source.path.clone(),
        align_kib: source.alignsize.as_ref().map(|a| a.kib()),
        pmem: source.pmem,
        epc: device.model() == MemoryModel::SgxEpc,
        // Pages of virtio-pmem belong to the file; they are touched as the guest does.
        prealloc: match device.model() {
            MemoryModel::SgxEpc => Some(true),
            MemoryModel::VirtioPmem => Some(false),
            _ => None,
        },
        no_reserve: virtio_mem,
        site: device.site,
        ..BackendRequest::default()
    };
    let Some(mut backend) = backend::backend(lx, &request) else { return };
    // Memory of virtio-mem is touched block by block, as the guest gets it.
    let by_device = virtio_mem && matches!(backend.props.get("prealloc"), Some(Prop::Bool(true)));
    if by_device {
        backend.props.0.retain(|(key, _)| key != "prealloc" && key != "prealloc-threads");
    }
    backend::add(lx, backend, device.site);
    if device.model() == MemoryModel::SgxEpc {
        lx.need(Need::Enclaves, device.site, "memory: enclaves");
        lx.touch(nodes::SGX_VEPC, Grant::SGX_MEMORY, Use::Enclave, device.site, "memory: enclaves");
        lx.touch(nodes::SGX_PROVISION, Grant::SGX_PROVISION, Use::Enclave, device.site, "memory: enclaves");
        return;
    }
    let driver = match device.model() {
        MemoryModel::Nvdimm => "nvdimm".to_string(),
        MemoryModel::VirtioPmem => lx.virtio_driver("virtio-pmem", &device.info, ""),
        MemoryModel::VirtioMem => lx.virtio_driver("virtio-mem", &device.info, ""),
        _ => "pc-dimm".to_string(),
    };
    let target = device.target.clone().unwrap_or_default();
    let mut props = Props::driver(driver);
    if let Some(driver) = &device.driver {
        driver.virtio.lower(&mut props, lx);
    }
    if device.model() != MemoryModel::VirtioPmem {
        props.maybe("node", target.node);
    }
    props.maybe("label-size", device.label_kib().map(|kib| kib * 1024));
    props.maybe("block-size", target.block.as_ref().map(|b| b.kib() * 1024));
    props.maybe("requested-size", target.requested.as_ref().map(|r| r.kib() * 1024).filter(|bytes| *bytes > 0));
    props.maybe("uuid", device.uuid.map(|u| u.to_string()));
    if target.readonly {
        props.set("unarmed", true);
    }
    props.set("memdev", request.id);
    if by_device && lx.has(Cap::VirtioMemPciPrealloc) {
        props.set("prealloc", true);
    }
    props.maybe("memaddr", target.address.as_ref().and_then(|a| a.base).map(|b| b.0));
    props.maybe("dynamic-memslots", target.dynamic_memslots.map(YesNo::is_yes));
    props.set("id", device.info.id.clone());
    if let Some(Address::Dimm { slot, base }) = &device.info.address.address {
        props.maybe("slot", *slot);
        props.maybe("addr", *base);
    } else {
        lx.address(&mut props, &device.info);
    }
    lx.device(props, device);
}
