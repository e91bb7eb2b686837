//! Labels, owners and what is given back, against libvirt's own code.

use super::pack::{self, Surroundings};
use super::ratchet;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn labels_and_owners_agree_with_libvirt() {
    let Some(pack) = pack::folder() else { return };
    let _lock = ratchet::lock();
    let surroundings = Surroundings::new(&pack);
    let oracle = pack::json(&pack.join("labels.json"));
    let loaded: Vec<Value> =
        oracle["domains"].as_array().expect("a list").iter().filter(|d| d["load"] == "ok").cloned().collect();
    let results = pack::each(&loaded, "name", |domain| {
        let file = domain["file"].as_str().unwrap_or_default();
        let outcome = surroundings.build(&surroundings.input(file), Duration::from_secs(20));
        let Some(plan) = outcome.plan else {
            return Err(format!("not compiled: {}", outcome.said.lines().find(|l| l.contains('×')).unwrap_or("")));
        };
        compare(domain, &plan)
    });
    ratchet::judge("labels", &results);
}

/// What one path gets.
#[derive(Debug, Default, PartialEq)]
struct Treatment {
    label: Option<String>,
    owner: Option<String>,
    restored: Vec<&'static str>,
}

/// What the Plan does with each path, in the words of the oracle.
fn ours(plan: &Value) -> BTreeMap<String, Treatment> {
    let mut out: BTreeMap<String, Treatment> = BTreeMap::new();
    let confinement = &plan["confinement"];
    let selinux = &confinement["selinux"];
    let relabel = selinux["relabel"] == true;
    let dynamic = confinement["dynamic_ownership"] == true;
    for access in plan["access"].as_array().into_iter().flatten() {
        let path = access["path"].as_str().unwrap_or_default();
        let mut treatment = Treatment::default();
        let label = match &access["label"] {
            Value::String(role) => selinux[role.as_str()].as_str().map(str::to_string),
            explicit => explicit["explicit"].as_str().map(str::to_string),
        };
        treatment.label = label.filter(|_| relabel);
        let owner = &access["owner"];
        let restore_owner = owner["domain"]["restore"] == true || owner["explicit"].is_string();
        treatment.owner = match (owner["domain"].is_object(), owner["explicit"].as_str()) {
            (true, _) if dynamic => match confinement["user"].as_str() {
                Some("virtc-qemu") | None => Some("user:group".to_string()),
                Some(user) => Some(format!("{user}:{}", confinement["group"].as_str().unwrap_or_default())),
            },
            (_, Some(text)) => Some(text.to_string()),
            _ => None,
        };
        if restore_owner && treatment.owner.is_some() {
            treatment.restored.push("dac");
        }
        if access["restore_label"] == true && treatment.label.is_some() {
            treatment.restored.push("selinux");
        }
        // Of several accesses to one path the one that labels it counts.
        let entry = out.entry(path.to_string()).or_default();
        if entry.label.is_none() && entry.owner.is_none() {
            *entry = treatment;
        }
    }
    out
}

pub fn compare(domain: &Value, plan: &Value) -> Result<(), String> {
    let mut faults = Vec::new();
    let process = plan["confinement"]["selinux"]["process"].as_str().unwrap_or_default();
    let mcs = process.splitn(4, ':').nth(3).unwrap_or_default();
    for label in domain["seclabels"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|l| l["model"] == "selinux" && l["label"].is_string())
    {
        let theirs = label["label"].as_str().unwrap_or_default().replace("@MCS@", mcs);
        if theirs != process {
            faults.push(format!("process {process} for {theirs}"));
        }
        let image = plan["confinement"]["selinux"]["image"].as_str().unwrap_or_default();
        let theirs = label["imagelabel"].as_str().unwrap_or_default().replace("@MCS@", mcs);
        if theirs != image {
            faults.push(format!("image {image} for {theirs}"));
        }
    }
    let ours = ours(plan);
    for file in domain["files"].as_array().into_iter().flatten() {
        let path = file["path"].as_str().unwrap_or_default();
        let Some(own) = ours.get(path) else {
            let touched = !file["selinux"].is_null() || !file["dac"].is_null();
            if touched && !ratchet::is_meant("labels", "missing", path) {
                faults.push(format!("no access to {path}"));
            }
            continue;
        };
        let label = file["selinux"].as_str().map(|l| l.replace("@MCS@", mcs));
        // A case of libvirt's own has a fixed pair in the XML, which only a running domain has.
        let same =
            |a: &str, b: &str| a == b || a.rsplit_once(":s0:").map(|x| x.0) == b.rsplit_once(":s0:").map(|x| x.0);
        let agree = match (&own.label, &label) {
            (Some(a), Some(b)) => same(a, b),
            (a, b) => a == b,
        };
        if !agree {
            faults.push(format!("{path} labelled {:?} for {label:?}", own.label));
        }
        if let Some(dac) = file.get("dac").map(|d| d.as_str())
            && dac != own.owner.as_deref()
        {
            faults.push(format!("{path} owned by {:?} for {dac:?}", own.owner));
        }
        if let Some(restored) = file["restored"].as_array() {
            let restored: Vec<&str> = restored.iter().filter_map(Value::as_str).collect();
            if restored != own.restored {
                faults.push(format!("{path} gives back {:?} for {restored:?}", own.restored));
            }
        }
    }
    let files: Vec<&str> =
        domain["files"].as_array().into_iter().flatten().filter_map(|f| f["path"].as_str()).collect();
    let changed = ours.iter().filter(|(_, t)| t.label.is_some() || t.owner.is_some());
    for (path, treatment) in changed.filter(|(path, _)| !files.contains(&path.as_str())) {
        if domain["seclabels"].is_array() && !ratchet::is_meant("labels", "extra", path) {
            faults.push(format!("{path} is changed: {treatment:?}"));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}
