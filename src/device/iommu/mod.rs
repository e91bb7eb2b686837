//! `<iommu>`: translation of the addresses that devices use.

pub(crate) mod family;

use super::device;
use super::info::DeviceInfo;
use crate::bind::model;
use crate::vocab::{OnOff, keywords};

keywords! {
    /// `<iommu model='…'>`
    pub enum IommuModel { Intel = "intel", Smmuv3 = "smmuv3", Virtio = "virtio" }
}

model! {
    /// `<driver>` of an `<iommu>`.
    pub struct IommuDriver = "driver" {
        attr intremap: OnOff = "intremap",
        attr caching_mode: OnOff = "caching_mode",
        attr eim: OnOff = "eim",
        attr iotlb: OnOff = "iotlb",
        attr aw_bits: u32 = "aw_bits",
        attr dma_translation: OnOff = "dma_translation",
    }
}

model! {
    /// `<iommu>`
    pub struct Iommu = "iommu" {
        need model: IommuModel = "model",
        child driver: IommuDriver,
        part info: DeviceInfo,
    }
}

device!(Iommu, "iommu");
