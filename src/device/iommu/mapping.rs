//! Attributes of `<driver>` that are one property of an IOMMU each.

use super::IommuDriver;
use crate::stage::mapping::mapping;

mapping! {
    /// Intel's.
    pub INTEL: IommuDriver {
        "intremap" = intremap: Word, "intremap";
        "caching-mode" = caching_mode: OnOff, "caching_mode";
        "eim" = eim: Word, "eim";
        "device-iotlb" = iotlb: OnOff, "iotlb";
        "aw-bits" = aw_bits: Number, "aw_bits";
        "dma-translation" = dma_translation: OnOff, "dma_translation";
    }
}
