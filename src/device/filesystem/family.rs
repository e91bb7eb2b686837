//! Shared directories: what the passes ask of the family.

use super::{Filesystem, FsDriver, defaults, lower, rules};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};

impl Family for Filesystem {
    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.driver() {
            FsDriver::Mtp => Plug::Usb,
            _ => Plug::Virtio(self.model.unwrap_or_default()),
        }
    }

    fn defaults(&mut self, _: &Machine, cx: &mut Cx<'_>) {
        defaults::filesystem(self, cx);
    }

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        rules::filesystem(self, domain, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::filesystem(self, lx);
    }
}
