//! The memory balloon.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use super::plug::VirtioModel;
use super::virtio::VirtioDriver;
use crate::bind::model;
pub use crate::schema::words::MemballoonModel;
use crate::vocab::OnOff;

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
            Some(MemballoonModel::VirtioTransitional) => VirtioModel::VirtioTransitional,
            Some(MemballoonModel::VirtioNonTransitional) => VirtioModel::VirtioNonTransitional,
            _ => VirtioModel::Virtio,
        }
    }

    /// Whether there is a device at all.
    pub fn is_present(&self) -> bool {
        self.model != Some(MemballoonModel::None)
    }
}
