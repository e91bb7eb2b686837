//! What the `<driver>` of every virtio device can say about its transport.

use crate::domain::model::model;
use crate::lower::Lower;
use crate::plan::Props;
use crate::vocab::OnOff;

model! {
    /// `iommu`, `ats`, `packed` and `page_per_vq` of `<driver>`.
    pub struct VirtioOptions {
        attr iommu: OnOff = "iommu",
        attr ats: OnOff = "ats",
        attr packed: OnOff = "packed",
        attr page_per_vq: OnOff = "page_per_vq",
    }
}

impl VirtioOptions {
    /// Adds the properties; they come right behind the driver.
    pub fn lower(&self, props: &mut Props, _: &Lower<'_>) {
        let on = |v: Option<OnOff>| v.map(OnOff::is_on);
        props.maybe("iommu_platform", on(self.iommu)).maybe("ats", on(self.ats));
        props.maybe("packed", on(self.packed)).maybe("page-per-vq", on(self.page_per_vq));
    }
}
