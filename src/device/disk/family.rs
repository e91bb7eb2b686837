//! Disks: what the passes ask of the family.

use super::{Disk, DiskBus, defaults, lower, rules};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};

impl Family for Disk {
    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.bus() {
            Some(DiskBus::Virtio) => Plug::Virtio(self.virtio_model()),
            Some(DiskBus::Usb) => Plug::Usb,
            _ => Plug::Nowhere,
        }
    }

    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>) {
        defaults::disk(self, machine, cx);
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        rules::disk(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::disk(self, lx);
    }
}
