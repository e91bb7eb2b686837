//! `<seclabel>` inside a device: how one file or device is labelled.

use crate::domain::model::model;
use crate::vocab::YesNo;

model! {
    /// `<seclabel model='…' relabel='…'>` of a source.
    pub struct DeviceSeclabel = "seclabel" {
        attr model: String = "model",
        attr relabel: YesNo = "relabel",
        leaf label: String = "label",
    }
}

impl DeviceSeclabel {
    /// Whether the source is relabelled.
    pub fn relabels(&self) -> bool {
        self.relabel.is_none_or(YesNo::is_yes)
    }
}
