//! Memory devices: DIMMs, NVDIMMs, virtio-mem, virtio-pmem, enclaves.

pub(crate) mod family;
mod lower;
mod rules;

use super::info::{DeviceInfo, device};
use super::virtio::VirtioOptions;
use crate::bind::model;
use crate::device::address::Address;
use crate::domain::memory::{AccessMode, Amount};
pub use crate::schema::words::MemoryModel;
use crate::vocab::{Hex, NumberSet, Uuid, YesNo};

model! {
    /// `<source>`: what the memory is made of on the host.
    pub struct MemorySource = "source" {
        leaf path: String = "path",
        child alignsize: Amount = "alignsize",
        flag pmem: bool = "pmem",
        leaf nodemask: NumberSet = "nodemask",
        child pagesize: Amount = "pagesize",
    }
}

model! {
    /// `<label>`: the label area of an NVDIMM.
    pub struct Label = "label" {
        child size: Amount = "size",
    }
}

model! {
    /// `<address base='…'>` of `<target>`: where a virtio-mem or virtio-pmem device is in the guest's memory.
    pub struct TargetAddress = "address" {
        key base: Hex<1> = "base",
    }
}

model! {
    /// `<target>`: what the guest sees.
    pub struct MemoryTarget = "target" {
        attr dynamic_memslots: YesNo = "dynamicMemslots",
        child size: Amount = "size",
        leaf node: u32 = "node",
        child label: Label,
        flag readonly: bool = "readonly",
        child block: Amount = "block",
        child requested: Amount = "requested",
        child current: Amount = "current",
        child address: TargetAddress,
    }
}

model! {
    /// `<driver>` of a virtio memory device.
    pub struct MemoryDriver = "driver" {
        part virtio: VirtioOptions,
    }
}

model! {
    /// `<memory>` of `<devices>`
    pub struct MemoryDevice = "memory" {
        need model: MemoryModel = "model",
        attr access: AccessMode = "access",
        attr discard: YesNo = "discard",
        child driver: MemoryDriver,
        leaf uuid: Uuid = "uuid",
        child source: MemorySource,
        child target: MemoryTarget,
        part info: DeviceInfo,
    }
}

device!(MemoryDevice, "memory device");

impl MemoryDevice {
    /// Its model; a DIMM while it is unknown.
    pub fn model(&self) -> MemoryModel {
        self.model.unwrap_or(MemoryModel::Dimm)
    }

    /// Forgets what other models have.
    fn tidy(&mut self) {
        use MemoryModel::{Dimm, Nvdimm, SgxEpc, VirtioMem, VirtioPmem};
        let model = self.model();
        let by_path = matches!(model, Nvdimm | VirtioPmem);
        if !by_path {
            self.uuid = None;
        }
        if let Some(source) = &mut self.source {
            if by_path {
                (source.nodemask, source.pagesize) = (None, None);
            } else {
                (source.path, source.alignsize, source.pmem) = (None, None, false);
            }
            if model != Nvdimm {
                (source.alignsize, source.pmem) = (None, false);
            }
            if model == SgxEpc {
                source.pagesize = None;
            }
        }
        let Some(target) = &mut self.target else { return };
        if model != VirtioMem {
            (target.block, target.requested, target.current, target.dynamic_memslots) = (None, None, None, None);
        }
        if model == VirtioMem {
            // What is not asked for is not there.
            target.requested.get_or_insert_default();
        }
        if matches!(model, Dimm | Nvdimm | SgxEpc) {
            target.address = None;
        }
        if model != Nvdimm {
            (target.label, target.readonly) = (None, false);
        }
    }

    /// Its size in KiB, as the XML says.
    pub fn kib(&self) -> u64 {
        self.target.as_ref().and_then(|t| t.size.as_ref()).map_or(0, Amount::kib)
    }

    /// The size of its label area in KiB.
    pub fn label_kib(&self) -> Option<u64> {
        self.target.as_ref()?.label.as_ref()?.size.as_ref().map(Amount::kib)
    }

    /// The guest node.
    pub fn node(&self) -> Option<u32> {
        self.target.as_ref().and_then(|t| t.node)
    }

    /// Whether it is plugged into a slot for DIMMs.
    pub fn has_slot(&self) -> bool {
        matches!(self.model(), MemoryModel::Dimm | MemoryModel::Nvdimm)
    }

    /// The slot.
    pub fn slot(&self) -> Option<u32> {
        match &self.info.address.address {
            Some(Address::Dimm { slot, .. }) => *slot,
            _ => None,
        }
    }

    /// What its id begins with.
    pub fn id_prefix(&self) -> &'static str {
        match self.model() {
            MemoryModel::Dimm => "dimm",
            MemoryModel::Nvdimm => "nvdimm",
            MemoryModel::VirtioPmem => "virtiopmem",
            MemoryModel::VirtioMem => "virtiomem",
            MemoryModel::SgxEpc => "epc",
        }
    }
}

/// Gives each DIMM a slot: the lowest that is free.
pub fn assign_slots(devices: &mut [MemoryDevice]) {
    let mut taken: Vec<u32> = devices.iter().filter_map(MemoryDevice::slot).collect();
    for device in devices.iter_mut().filter(|d| d.has_slot() && d.slot().is_none()) {
        let free = (0..).find(|n| !taken.contains(n)).unwrap_or(0);
        taken.push(free);
        let base = match &device.info.address.address {
            Some(Address::Dimm { base, .. }) => *base,
            _ => None,
        };
        device.info.place(Address::Dimm { slot: Some(free), base });
    }
}

/// Gives each device its id: by slot, or counted by model.
pub fn ids(devices: &[MemoryDevice]) -> Vec<String> {
    let mut counts = [0u32; MemoryModel::ALL.len()];
    devices
        .iter()
        .map(|device| {
            let count = &mut counts[device.model() as usize];
            let number = device.slot().filter(|_| device.has_slot()).unwrap_or(*count);
            *count += 1;
            format!("{}{number}", device.id_prefix())
        })
        .collect()
}
