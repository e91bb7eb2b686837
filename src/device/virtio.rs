//! What all virtio devices share: driver options and names of the drivers.

use crate::bind::model;
use crate::vocab::OnOff;

model! {
    /// The attributes of `<driver>` that every virtio device has.
    pub struct VirtioOptions {
        attr iommu: OnOff = "iommu",
        attr ats: OnOff = "ats",
        attr packed: OnOff = "packed",
        attr page_per_vq: OnOff = "page_per_vq",
    }
}

model! {
    /// `<driver>` of a virtio device that has only the shared options.
    pub struct VirtioDriver = "driver" {
        part virtio: VirtioOptions,
    }
}

impl VirtioOptions {
    /// Whether any is set.
    pub fn is_set(&self) -> bool {
        self.iommu.is_some() || self.ats.is_some() || self.packed.is_some() || self.page_per_vq.is_some()
    }
}
