//! `<seclabel>`: how security drivers label the domain, and single sources of it.

use super::Domain;
use super::model::model;
use crate::diag::codes::security as codes;
use crate::resolve::Cx;
use crate::vocab::{YesNo, keywords};

keywords! {
    /// Who makes the label of a domain.
    pub enum SeclabelType {
        /// virtc: unique to the domain.
        Dynamic = "dynamic",
        /// The XML.
        Static = "static",
        /// Nobody.
        None = "none",
    }
}

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

/// Fills in models and drops what only a running domain has.
pub fn defaults(domain: &mut Domain, cx: &mut Cx<'_>) {
    let driver = cx.env.host.instance.security_driver.as_str();
    let only = domain.seclabels.len() == 1;
    for label in &mut domain.seclabels {
        label.kind.get_or_insert(SeclabelType::Dynamic);
        label.imagelabel = None;
        if only && label.model.is_none() {
            label.model = Some(driver.to_string());
        }
        if label.is_for("none") {
            label.kind = Some(SeclabelType::None);
        }
        match label.kind() {
            SeclabelType::None => {
                // Without a label nothing can be relabelled, so that libvirt does not print it.
                if label.is_for("none") || label.relabel == Some(YesNo::No) {
                    label.relabel = None;
                }
                (label.label, label.baselabel) = (None, None);
            }
            SeclabelType::Dynamic => {
                label.relabel.get_or_insert(YesNo::Yes);
                label.label = None;
            }
            SeclabelType::Static => {
                label.relabel.get_or_insert(YesNo::No);
                label.baselabel = None;
            }
        }
    }
}

/// Drops labels of a source that only say what a running domain could not do.
pub fn source_defaults(labels: &mut Vec<SourceSeclabel>) {
    labels.retain(|l| !l.labelskip.is_some_and(YesNo::is_yes));
}

/// Checks the labels of the domain.
pub fn rules(domain: &Domain, cx: &mut Cx<'_>) {
    let labels = &domain.seclabels;
    let mut models = std::collections::BTreeSet::new();
    for label in labels {
        let span = cx.doc.span_of(label.site);
        let mut fault = |message: String, help: &str| {
            cx.diags.error(&codes::SECLABEL, span, message).help(help);
        };
        match label.model.as_deref() {
            None if labels.len() > 1 => {
                fault(
                    "missing security model: with multiple labels, each needs one".to_string(),
                    "add model='selinux', 'apparmor' or 'dac'",
                );
                continue;
            }
            Some(model) if !models.insert(model) => {
                let message = format!("a second <seclabel model='{model}'> is provided");
                fault(message, "give one label for each model");
                continue;
            }
            _ => {}
        }
        match label.kind() {
            SeclabelType::Dynamic if label.relabel == Some(YesNo::No) => {
                fault(
                    "type='dynamic' makes a label for every start and gives it to resources: relabel='no' contradicts it (relabeling)".to_string(),
                    "leave relabel='no' out, or give a static label",
                );
            }
            SeclabelType::None if label.relabel == Some(YesNo::Yes) => {
                fault(
                    "relabel='yes' has no label to give: the type of the label is 'none'".to_string(),
                    "leave relabel='yes' out",
                );
            }
            SeclabelType::Static if label.label.as_deref().is_none_or(str::is_empty) => {
                fault("security label is missing: a static label needs a <label>".to_string(), "add the <label>");
            }
            _ => {}
        }
    }
}

/// Checks the labels of one source.
pub fn source_rules(labels: &[SourceSeclabel], cx: &mut Cx<'_>) {
    for (i, label) in labels.iter().enumerate() {
        let span = cx.doc.span_of(label.site);
        let model = label.model.as_deref().unwrap_or("");
        if labels.iter().take(i).any(|l| l.model == label.model) {
            let message = format!("a second <seclabel model='{model}'> for this source: one is provided already");
            cx.diags.error(&codes::SECLABEL, span, message).help("give one label for each model");
        } else if label.label.is_some() && label.relabel == Some(YesNo::No) {
            let message = format!(
                "<label> and relabel='no' contradict each other: relabelling is off, so no label can be given (model={model})"
            );
            cx.diags.error(&codes::SECLABEL, span, message).help("leave out the <label> or relabel='no'");
        } else if label.label.is_none() && label.relabel == Some(YesNo::Yes) {
            let message = format!("relabel='yes' needs a <label>, which is missing (model={model})");
            cx.diags.error(&codes::SECLABEL, span, message).help("add a <label>, or leave the <seclabel> out");
        }
    }
}
