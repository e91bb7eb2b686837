//! The memory balloon.

use super::info::DeviceInfo;
use super::{Family, device};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::plan::Props;
use crate::resolve::{Cx, Machine};
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
    }
}

device!(Memballoon, "memory balloon");

impl Memballoon {
    /// Whether there is a device at all.
    pub fn is_present(&self) -> bool {
        self.model != Some(MemballoonModel::None)
    }
}

impl Family for Memballoon {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn rules(&self, _: &Domain, _: &Machine, _: &mut Cx<'_>) {}

    fn lower(&self, lx: &mut Lower<'_>) {
        if !self.is_present() {
            return;
        }
        let driver = lx.virtio_driver(
            "virtio-balloon",
            &self.info,
            match self.model {
                Some(MemballoonModel::VirtioTransitional) => "-transitional",
                Some(MemballoonModel::VirtioNonTransitional) => "-non-transitional",
                _ => "",
            },
        );
        let mut props = Props::driver(driver);
        props.set("id", self.info.id.clone());
        lx.address(&mut props, &self.info);
        props.maybe("deflate-on-oom", self.autodeflate.map(OnOff::is_on));
        props.maybe("free-page-reporting", self.free_page_reporting.map(OnOff::is_on));
        lx.device(props, self);
    }
}
