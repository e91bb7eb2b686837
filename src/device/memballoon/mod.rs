//! The memory balloon.

use super::info::DeviceInfo;
use super::plug::{Plug, VirtioModel};
use super::virtio::VirtioDriver;
use super::{Family, device};
use crate::diag::codes::general as support;
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::resolve::{Cx, Env, Machine};
use crate::vocab::{OnOff, keywords};

keywords! {
    /// `<memballoon model='…'>`
    pub enum MemballoonModel {
        Virtio = "virtio",
        Xen = "xen",
        None = "none",
        VirtioTransitional = "virtio-transitional",
        VirtioNonTransitional = "virtio-non-transitional",
    }
}

model! {
    /// `<stats period='10'/>`: how often the guest reports its memory.
    pub struct Stats = "stats" {
        attr period: i32 = "period",
    }
}

model! {
    /// `<memballoon>`
    pub struct Memballoon = "memballoon" {
        need model: MemballoonModel = "model",
        attr autodeflate: OnOff = "autodeflate",
        attr free_page_reporting: OnOff = "freePageReporting",
        child stats: Stats,
        part info: DeviceInfo,
        child driver: VirtioDriver,
    }
}

device!(Memballoon, "memory balloon");

impl Memballoon {
    fn virtio_model(&self) -> VirtioModel {
        match self.model {
            Some(MemballoonModel::VirtioTransitional) => VirtioModel::Transitional,
            Some(MemballoonModel::VirtioNonTransitional) => VirtioModel::NonTransitional,
            _ => VirtioModel::Virtio,
        }
    }

    /// Whether there is a device at all.
    pub fn is_present(&self) -> bool {
        self.model != Some(MemballoonModel::None)
    }
}

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
            cx.error(&support::NOT_BY_QEMU, self.site, "a second <memballoon>: a guest has a single one");
        }
        if let Some(model @ MemballoonModel::Xen) = self.model {
            let message = format!("this version of qemu has no memory balloon of type '{model}'");
            cx.error_at(&support::NOT_BY_QEMU, self.site, "model", message);
        }
        if let Some(driver) = &self.driver {
            driver.virtio.rules(true, cx);
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
