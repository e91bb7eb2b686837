//! `<seclabel>` of one resource of a device: its own label in place of the domain's.

use crate::domain::model::model;
use crate::plan::{LabelRole, OwnerRule};
use crate::vocab::YesNo;

model! {
    /// `<seclabel>` inside a `<source>`.
    pub struct DeviceSeclabel = "seclabel" {
        attr model: String = "model",
        attr labelskip: YesNo = "labelskip",
        attr relabel: YesNo = "relabel",
        leaf label: String = "label",
    }
}

impl DeviceSeclabel {
    /// What a security driver is asked to do: nothing (`None`), or to set this label.
    fn wish(labels: &[DeviceSeclabel], model: &str) -> Option<Result<String, ()>> {
        let label = labels.iter().find(|l| l.model.as_deref().is_none_or(|m| m == model))?;
        if label.relabel == Some(YesNo::No) || label.labelskip == Some(YesNo::Yes) {
            return Some(Err(()));
        }
        label.label.clone().map(Ok)
    }

    /// The SELinux label of a resource that would have `default`.
    pub fn label(labels: &[DeviceSeclabel], default: LabelRole) -> LabelRole {
        match DeviceSeclabel::wish(labels, "selinux") {
            None => default,
            Some(Ok(label)) => LabelRole::Explicit(label),
            Some(Err(())) => LabelRole::Keep,
        }
    }

    /// The owner of a resource that would have `default`.
    pub fn owner(labels: &[DeviceSeclabel], default: OwnerRule) -> OwnerRule {
        match DeviceSeclabel::wish(labels, "dac") {
            None => default,
            Some(Ok(label)) => OwnerRule::Explicit(label),
            Some(Err(())) => OwnerRule::Keep,
        }
    }
}
