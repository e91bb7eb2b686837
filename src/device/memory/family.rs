//! Memory devices: what the passes ask of the family.

use super::{MemoryDevice, MemoryModel, lower, rules};
use crate::device::family::Family;
use crate::device::plug::{Plug, VirtioModel};
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};

impl MemoryDevice {
    /// Its size in KiB as QEMU gets it: whole huge pages; on POWER whole logical memory blocks, of which an
    /// NVDIMM has as many as fit beside its label.
    pub fn aligned_kib(&self, machine: &Machine) -> u64 {
        let to = if machine.arch.is_ppc64() { 256 * 1024 } else { 2048 };
        if self.model() == MemoryModel::Nvdimm && machine.arch.is_ppc64() {
            let label = self.label_kib().unwrap_or(0);
            return self.kib().saturating_sub(label) / to * to + label;
        }
        match self.model() {
            MemoryModel::SgxEpc => self.kib(),
            _ => self.kib().div_ceil(to).saturating_mul(to),
        }
    }
}

/// Gives the devices of a new domain the sizes that they will really have, where those are far apart: POWER.
pub fn align_sizes(devices: &mut [MemoryDevice], machine: &Machine) {
    for device in devices.iter_mut().filter(|_| machine.arch.is_ppc64()) {
        let kib = device.aligned_kib(machine);
        if let Some(size) = device.target.as_mut().and_then(|t| t.size.as_mut()) {
            size.size.0 = kib * 1024;
        }
    }
}

impl Family for MemoryDevice {
    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.model() {
            MemoryModel::VirtioMem | MemoryModel::VirtioPmem => Plug::Virtio(VirtioModel::Virtio),
            _ => Plug::Nowhere,
        }
    }

    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {
        self.tidy();
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        if let Some(driver) = &self.driver {
            driver.virtio.refuse_unless(matches!(self.model(), MemoryModel::VirtioMem | MemoryModel::VirtioPmem), cx);
        }
        rules::check(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::device(self, lx);
    }
}
