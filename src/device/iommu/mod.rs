//! `<iommu>`: translation of the addresses that devices use.

pub(crate) mod family;
pub mod mapping;

use super::info::{DeviceInfo, device};
use crate::bind::{Binder, Model, Part, Shape, model, print_attr};
pub use crate::schema::words::{GranuleMode, IommuModel};
use crate::vocab::{OnOff, Size};
use crate::xml::{El, Site, XmlWriter};

/// `<granule>`: the smallest page of a virtio IOMMU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Granule {
    /// The host's pages.
    pub mode: Option<GranuleMode>,
    /// The size, KiB; 0 if it is no whole number of them.
    pub kib: Option<u64>,
    /// Where it stands.
    pub site: Site,
}

impl Part for Granule {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.mode = cx.attr(el, "mode");
        let unit: Option<String> = cx.attr(el, "unit");
        let size: Option<u64> = cx.attr(el, "size");
        self.kib = size.map(|size| {
            let bytes = Size::of(size, unit.as_deref().unwrap_or("KiB")).map_or(0, |s| s.0);
            if bytes.is_multiple_of(1024) { bytes / 1024 } else { 0 }
        });
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "mode", &self.mode);
        print_attr(out, "size", &self.kib);
        print_attr(out, "unit", &self.kib.map(|_| "KiB".to_string()));
    }
    fn print_body(&self, _: &mut XmlWriter) {}
    fn shape(shape: &mut Shape) {
        ["mode", "size", "unit"].into_iter().for_each(|a| shape.attr(a));
    }
}

impl Model for Granule {
    const ELEMENT: &'static str = "granule";
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
        attr xtsup: OnOff = "xtsup",
        attr passthrough: OnOff = "passthrough",
        attr pci_bus: u32 = "pciBus",
        attr accel: OnOff = "accel",
        attr ats: OnOff = "ats",
        attr ril: OnOff = "ril",
        attr ssidsize: u32 = "ssidsize",
        attr oas: u32 = "oas",
        attr cmdqv: OnOff = "cmdqv",
        child granule: Granule,
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
