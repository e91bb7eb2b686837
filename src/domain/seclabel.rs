//! `<seclabel>`: how security drivers label the domain, and single sources of it.

use crate::bind::{Binder, Model, model};
use crate::diag::codes::security as codes;
pub use crate::schema::words::SeclabelType;
use crate::vocab::YesNo;
use crate::xml::El;

model! {
    /// `<seclabel>` of a domain: one for each security driver.
    pub struct Seclabel = "seclabel" {
        attr kind: SeclabelType = "type",
        attr model: String = "model",
        attr relabel: YesNo = "relabel",
        leaf label: String = "label",
        leaf imagelabel: String = "imagelabel",
        leaf baselabel: String = "baselabel",
    }
}

model! {
    /// `<seclabel>` of a source (disk, character device): overrides the domain's.
    pub struct SourceSeclabel = "seclabel" {
        attr model: String = "model",
        attr relabel: YesNo = "relabel",
        attr labelskip: YesNo = "labelskip",
        leaf label: String = "label",
    }
}

impl Seclabel {
    /// Whether it is for this security driver.
    pub fn is_for(&self, model: &str) -> bool {
        self.model.as_deref() == Some(model)
    }

    /// The type, `dynamic` unless given.
    pub fn kind(&self) -> SeclabelType {
        self.kind.unwrap_or(SeclabelType::Dynamic)
    }

    /// Whether files are relabelled: unless said otherwise, only dynamic labels do that.
    pub fn relabels(&self) -> bool {
        self.relabel.map_or(self.kind() == SeclabelType::Dynamic, YesNo::is_yes)
    }
}

/// Reads the labels of one source. Those that say nothing are forgotten, as is what only a running domain says.
pub fn read_of_source(el: El<'_>, cx: &mut Binder<'_>) -> Vec<SourceSeclabel> {
    let mut labels: Vec<SourceSeclabel> = Vec::new();
    for child in el.children_named(SourceSeclabel::ELEMENT) {
        let mut label = SourceSeclabel::read(child, cx);
        let model = label.model.as_deref().unwrap_or("");
        let mut fault = |message: String, help: &str| {
            cx.diags.error(&codes::SECLABEL, child.span(), message).help(help);
        };
        if label.model.is_some() && labels.iter().any(|l| l.model == label.model) {
            fault(
                format!("a second <seclabel model='{model}'> for this source: one is provided already"),
                "give one label for each model",
            );
        } else if label.label.is_some() && label.relabel == Some(YesNo::No) {
            let message = format!(
                "<label> and relabel='no' contradict each other: relabelling is off, so no label can be given (model={model})"
            );
            fault(message, "leave out the <label> or relabel='no'");
        } else if label.label.is_none() && label.relabel == Some(YesNo::Yes) {
            let message = format!("relabel='yes' needs a <label>, which is missing (model={model})");
            fault(message, "add a <label>, or leave the <seclabel> out");
        }
        if label.label.is_some() {
            label.relabel.get_or_insert(YesNo::Yes);
        }
        label.labelskip = None;
        labels.push(label);
    }
    labels.retain(|l| l.label.is_some() || l.relabel == Some(YesNo::No));
    labels
}
