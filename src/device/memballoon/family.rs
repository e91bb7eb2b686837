//! The memory balloon: what the passes ask of the family.

use super::{Memballoon, MemballoonModel};
use crate::device::family::Family;
use crate::device::info::DeviceInfo;
use crate::device::plug::Plug;
use crate::diag::codes::general as support;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};
use crate::vocab::OnOff;

impl Family for Memballoon {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {
        if !self.is_present() {
            self.info = DeviceInfo::default();
        }
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.model {
            Some(MemballoonModel::None | MemballoonModel::Xen) => Plug::Nowhere,
            _ => Plug::Virtio(self.virtio_model()),
        }
    }

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        let first = domain.devices.iter().flat_map(|d| d.memballoons.first()).next();
        if first.is_some_and(|m| m.site != self.site) {
            cx.error(&support::ONE_ONLY, self.site, "a second <memballoon>: a guest has one at most");
        }
        if let Some(model @ MemballoonModel::Xen) = self.model {
            let message = format!("<memballoon model='{model}'>: that is Xen's, and QEMU has none of it");
            cx.error_at(&support::OTHER_HYPERVISOR, self.site, "model", message).help("use model='virtio', or 'none'");
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        if !self.is_present() {
            return;
        }
        let options = self.driver.as_ref().map(|d| &d.virtio);
        let mut props = lx.virtio_device("virtio-balloon", &self.info, self.virtio_model(), options);
        props.set("id", self.info.id.clone());
        props.maybe("deflate-on-oom", self.autodeflate.map(OnOff::is_on));
        props.maybe("free-page-reporting", self.free_page_reporting.map(OnOff::is_on));
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}
