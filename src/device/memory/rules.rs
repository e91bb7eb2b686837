//! What a memory device needs of the domain, and what contradicts.

use super::{MemoryDevice, MemoryModel};
use crate::caps::Cap;
use crate::diag::codes::{general, machine as codes};
use crate::domain::Domain;
use crate::stage::{Cx, Machine};

/// Checks one device; the first also checks all against each other.
pub fn check(device: &MemoryDevice, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let site = device.site;
    let nodes = domain.cpu.as_ref().and_then(|c| c.numa.as_ref()).map_or(0, |n| n.cells.len());
    let model = device.model();
    slots(device, domain, cx);
    let mut fault = |message: String| {
        cx.error(&codes::MEMORY_DEVICE, site, message);
    };
    if domain.max_memory.is_none() && model != MemoryModel::SgxEpc {
        fault("cannot use a memory device: memory hotplug is not enabled, <maxMemory> is not there".to_string());
    }
    if nodes == 0 && !machine.arch.is_ppc64() {
        fault(
            "memory devices are plugged into a guest with NUMA: add one <cell> at least; none is configured"
                .to_string(),
        );
    }
    match device.node() {
        Some(node) if nodes > 0 && node as usize >= nodes => {
            fault(format!(
                "a memory device is for guest node '{node}', and there are '{nodes}' NUMA nodes: no such one to add memory to"
            ));
        }
        None if nodes > 0 && (uses_slot(device) || model == MemoryModel::VirtioMem) => {
            fault("<target> of the memory device lacks its <node>: which NUMA node gets it?".to_string());
        }
        _ => {}
    }
    if device.kib() == 0 {
        fault(format!("the memory device of model '{model}' has no size"));
    }
    let path = device.source.as_ref().and_then(|s| s.path.as_ref());
    if path.is_none() && matches!(model, MemoryModel::Nvdimm | MemoryModel::VirtioPmem) {
        fault(format!("a path is required for the <source> of a memory device of model '{model}'"));
    }
    if model == MemoryModel::Nvdimm && device.uuid.is_some() && !machine.arch.is_ppc64() {
        fault("<uuid> of an NVDIMM: only POWER machines tell it to the guest".to_string());
    }
    if model == MemoryModel::Nvdimm && device.uuid.is_none() && machine.arch.is_ppc64() {
        fault("an NVDIMM on POWER needs a <uuid>".to_string());
    }
    if model == MemoryModel::Nvdimm && device.label_kib().is_some_and(|kib| kib < 128) {
        fault("<label> of an nvdimm: 128 KiB is the least size (128KiB)".to_string());
    }
    if model == MemoryModel::VirtioPmem && device.node().is_some() {
        fault("virtio-pmem is in none of the guest's NUMA nodes: remove its <node>".to_string());
    }
    if model == MemoryModel::VirtioMem {
        let target = device.target.as_ref();
        let requested = target.and_then(|t| t.requested.as_ref()).map_or(0, |r| r.kib());
        let block = target.and_then(|t| t.block.as_ref()).map_or(0, |b| b.kib());
        if block == 0 {
            fault(
                "<target> of a virtio-mem device lacks its <block>: the block size must be a power of two".to_string(),
            );
        }
        if requested > device.kib() {
            fault(format!("<requested> asks for more than <size> ({} KiB): {requested} KiB", device.kib()));
        } else if block > 0 && (!requested.is_multiple_of(block) || !device.kib().is_multiple_of(block)) {
            fault(format!("size and requested size must be multiples of the block size {block} KiB"));
        } else if block > 0 && !block.is_power_of_two() {
            fault(format!("<block>: {block} KiB is no power of two"));
        }
    }
    overlaps(device, domain, cx);
    if model == MemoryModel::SgxEpc && !cx.has(Cap::SgxEpc) {
        cx.error(&general::NOT_BY_QEMU, site, "this QEMU binary has no sgx epc memory")
            .help("take its capabilities on the host that has SGX: virtc probe qemu");
    }
    let same = |d: &&MemoryDevice| d.slot().is_some() && d.slot() == device.slot();
    let devices = domain.devices.as_ref().map_or(&[][..], |d| &d.memories);
    let earlier = devices.iter().take_while(|d| !std::ptr::eq(*d, device)).find(same);
    if earlier.is_some()
        && let Some(slot) = device.slot()
    {
        cx.error(
            &codes::MEMORY_DEVICE,
            site,
            format!("two memory devices want the slot '{slot}': another one is using it"),
        );
    }
    let slots = domain.max_memory.as_ref().and_then(|m| m.slots);
    if let (Some(slot), Some(slots)) = (device.slot(), slots)
        && slot >= slots
    {
        cx.error(
            &codes::MEMORY_DEVICE,
            site,
            format!(
                "failed to find an empty memory slot: memory device slot '{slot}' exceeds the number of slots, {slots}"
            ),
        );
    }
}

/// Whether the device sits in one of the slots that `<maxMemory slots='…'>` counts.
fn uses_slot(device: &MemoryDevice) -> bool {
    matches!(device.model(), MemoryModel::Dimm | MemoryModel::Nvdimm)
}

/// Whether there is a slot for the device.
fn slots(device: &MemoryDevice, domain: &Domain, cx: &mut Cx<'_>) {
    let Some(max) = domain.max_memory.as_ref().filter(|_| uses_slot(device)) else { return };
    let devices = domain.devices.as_ref().map_or(&[][..], |d| &d.memories);
    let all = devices.iter().filter(|d| uses_slot(d));
    let number = all.clone().take_while(|d| !std::ptr::eq(*d, device)).count();
    let (slots, count) = (max.slots.unwrap_or(0), all.count());
    if number as u32 != slots {
        return;
    }
    let span = if slots == 0 { cx.span(max.amount.site) } else { cx.span(device.site) };
    let message = format!(
        "<maxMemory> has {slots} slots, and {count} memory devices need one: their count exceeds the slots count"
    );
    cx.diags.error(&codes::MEMORY_DEVICE, span, message).help(format!("write <maxMemory slots='{count}' …>, or more"));
}

/// Two devices at the same place in the guest's memory.
fn overlaps(device: &MemoryDevice, domain: &Domain, cx: &mut Cx<'_>) {
    let base = |d: &MemoryDevice| d.target.as_ref().and_then(|t| t.address.as_ref()).and_then(|a| a.base).map(|b| b.0);
    let Some(own) = base(device) else { return };
    let end = own.saturating_add(device.kib() * 1024);
    let devices = domain.devices.as_ref().map_or(&[][..], |d| &d.memories);
    for other in devices.iter().filter(|d| d.info.id != device.info.id) {
        if let Some(at) = base(other)
            && (own..end).contains(&at)
        {
            cx.error(
                &codes::MEMORY_DEVICE,
                device.site,
                format!(
                    "two memory devices lie over each other: [0x{own:x}:0x{end:x}] and the one at address 0x{at:x}"
                ),
            );
        }
    }
}
