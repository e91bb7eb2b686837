//! `<seclabel>` of the domain: what it leaves open, and what contradicts itself.

use crate::diag::codes::security as codes;
use crate::domain::Domain;
use crate::domain::seclabel::{Seclabel, SeclabelType, SourceSeclabel};
use crate::stage::Cx;
use crate::vocab::YesNo;

/// Fills in models and drops what only a running domain has, or what says nothing: without a type the host decides.
pub fn defaults(domain: &mut Domain, cx: &mut Cx<'_>) {
    let driver = cx.env.host.instance.security_driver.as_str();
    let only = domain.seclabels.len() == 1;
    for label in &mut domain.seclabels {
        label.imagelabel = None;
        if only && label.model.is_none() {
            nameless(label, cx);
            label.model = Some(driver.to_string());
        }
        if label.kind == Some(SeclabelType::None) && label.relabel == Some(YesNo::Yes) {
            let message = "relabel='yes' has no label to give: the type of the label is 'none'";
            cx.error(&codes::SECLABEL, label.site, message).help("leave relabel='yes' out");
        }
        if label.is_for("none") {
            label.kind = Some(SeclabelType::None);
        }
        match label.kind() {
            SeclabelType::None => {
                // Without a label nothing can be relabelled, so that libvirt does not print it.
                (label.relabel, label.label, label.baselabel) = (None, None, None);
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
    domain.seclabels.retain(|l| l.kind.is_some());
}

/// Only a label that leaves everything to the driver can leave open which driver it is.
pub(super) fn nameless(label: &Seclabel, cx: &mut Cx<'_>) {
    let labelled = label.label.as_deref().is_some_and(|l| !l.is_empty());
    let message = match label.kind {
        Some(SeclabelType::Static) if !labelled => "security label is missing: a static label needs a <label>",
        Some(SeclabelType::None) => return,
        Some(SeclabelType::Dynamic) if label.baselabel.is_none() => return,
        _ => "a <seclabel> of the domain needs the security model it is for, which is missing",
    };
    cx.error(&codes::SECLABEL, label.site, message).help("add type='dynamic', or model='selinux', 'apparmor' or 'dac'");
}

/// Checks the labels of the domain.
pub fn rules(domain: &Domain, cx: &mut Cx<'_>) {
    overrides(domain, cx);
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
                    "several <seclabel> without a model: each has to name its own".to_string(),
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
            SeclabelType::Static if label.label.as_deref().is_none_or(str::is_empty) => {
                fault("security label is missing: a static label needs a <label>".to_string(), "add the <label>");
            }
            _ => {}
        }
    }
}

/// Checks labels of sources against those of the domain: where the domain keeps out of a driver's way, so does everything in it.
pub(super) fn overrides(domain: &Domain, cx: &mut Cx<'_>) {
    let kept = |l: &&SourceSeclabel| {
        let own = l.model.is_some().then(|| domain.seclabels.iter().find(|d| d.model == l.model)).flatten();
        own.is_some_and(|d| !d.relabels())
    };
    let Some(devices) = domain.devices.as_ref().filter(|_| !domain.seclabels.is_empty()) else { return };
    let chardevs = (devices.serials.iter().map(|d| &d.source))
        .chain(devices.parallels.iter().map(|d| &d.source))
        .chain(devices.consoles.iter().map(|d| &d.source))
        .chain(devices.channels.iter().map(|d| &d.source));
    let disks = devices.disks.iter().map(|d| &d.source.source.seclabels);
    let labels = disks.chain(chardevs.map(|c| &c.seclabels)).flatten();
    for label in labels.filter(kept) {
        let message = "a <seclabel> here overrides that of the domain, and the domain has relabeling off for this model: it would have to be enabled";
        cx.error(&codes::SECLABEL, label.site, message).help("give the domain's <seclabel> relabel='yes'");
    }
}
