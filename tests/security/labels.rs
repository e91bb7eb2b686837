//! Labels, owners and what is given back, against libvirt's own code.

use super::pack::{self, Compiled, Surroundings};
use super::ratchet;
use serde_json::Value;
use std::collections::BTreeMap;
use virtc::emit::devices::{self, Device};
use virtc::plan::{LabelRole, OwnerRule, Perms, Plan};

#[test]
fn labels_owners_and_devices_agree_with_libvirt() {
    let Some(pack) = pack::folder() else { return };
    let _lock = ratchet::lock();
    let surroundings = Surroundings::new(&pack);
    let oracle = pack::json(&pack.join("labels.json"));
    let loaded: Vec<Value> =
        oracle["domains"].as_array().expect("a list").iter().filter(|d| d["load"] == "ok").cloned().collect();
    let results = pack::each(&loaded, "name", |domain| {
        let file = domain["file"].as_str().unwrap_or_default();
        match surroundings.compile(&surroundings.input(file)) {
            Compiled::Planned(plan) => {
                let faults = [labels(domain, &plan), device_rules(domain, &plan), limits(domain, &plan)].concat();
                if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
            }
            // What libvirt loads it may still refuse to start.
            Compiled::Refused(_) if surroundings.libvirt_refuses(file) => Ok(()),
            Compiled::Refused(error) => ratchet::refused("labels", domain["name"].as_str().unwrap_or_default(), &error),
        }
    });
    ratchet::judge("labels", &results);
}

/// What one path gets.
#[derive(Debug, Default, PartialEq)]
struct Treatment {
    label: Option<String>,
    owner: Option<String>,
    restored: Vec<&'static str>,
    about: String,
}

/// What the Plan does with each path, in the words of the oracle.
fn ours(plan: &Plan) -> BTreeMap<&str, Treatment> {
    let mut out: BTreeMap<&str, Treatment> = BTreeMap::new();
    let confinement = &plan.confinement;
    let selinux = confinement.selinux.as_ref();
    for access in &plan.access {
        let mut treatment = Treatment { about: pack::about(access), ..Treatment::default() };
        treatment.label = selinux.filter(|s| s.relabel).and_then(|s| match &access.label {
            LabelRole::Image => Some(s.image.clone()),
            LabelRole::Shared => Some(s.shared.clone()),
            LabelRole::Content => Some(s.content.clone()),
            LabelRole::Explicit(label) => Some(label.clone()),
            LabelRole::Keep => None,
        });
        let domain = || match confinement.user.as_deref().filter(|_| !confinement.own_account) {
            Some("virtc-qemu") | None => "user:group".to_string(),
            Some(user) => format!("{user}:{}", confinement.group.as_deref().unwrap_or_default()),
        };
        treatment.owner = match &access.owner {
            OwnerRule::Domain { .. } if confinement.dynamic_ownership => Some(domain()),
            OwnerRule::Explicit(text) => Some(text.clone()),
            _ => None,
        };
        let back = matches!(&access.owner, OwnerRule::Domain { restore: true } | OwnerRule::Explicit(_));
        if back && treatment.owner.is_some() {
            treatment.restored.push("dac");
        }
        if access.restore_label && treatment.label.is_some() {
            treatment.restored.push("selinux");
        }
        // Of several accesses to one path the one that labels it counts.
        let entry = out.entry(access.path.as_str()).or_default();
        if entry.label.is_none() && entry.owner.is_none() {
            *entry = treatment;
        }
    }
    out
}

/// The same for a Plan that is written down.
pub fn compare(domain: &Value, plan: &Value) -> Result<(), String> {
    let plan: Plan = serde_json::from_value(plan.clone()).expect("a plan");
    let faults = labels(domain, &plan);
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// Contexts, and label, owner and clean-up of each path.
fn labels(domain: &Value, plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    let list = |key: &str| domain[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let selinux = plan.confinement.selinux.clone().unwrap_or_default();
    let mcs = selinux.process.splitn(4, ':').nth(3).unwrap_or_default();
    for label in list("seclabels").iter().filter(|l| l["model"] == "selinux" && l["label"].is_string()) {
        for (key, own) in [("label", &selinux.process), ("imagelabel", &selinux.image)] {
            let theirs = label[key].as_str().unwrap_or_default().replace("@MCS@", mcs);
            if theirs != *own {
                faults.push(format!("{key} {own} for {theirs}"));
            }
        }
    }
    let ours = ours(plan);
    for file in list("files") {
        let path = file["path"].as_str().unwrap_or_default();
        let Some(own) = ours.get(path) else {
            let touched = !file["selinux"].is_null() || !file["dac"].is_null();
            if touched && !ratchet::is_meant("labels", "missing", path, "") {
                faults.push(format!("no access to {path}"));
            }
            continue;
        };
        if ratchet::is_meant("labels", "treated", path, &own.about) {
            continue;
        }
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
        // A path that is labelled and has no owner here keeps the one that it has.
        let dac = file["dac"].as_str();
        if dac != own.owner.as_deref() && (dac.is_some() || file["restored"].is_array()) {
            faults.push(format!("{path} owned by {:?} for {dac:?}", own.owner));
        }
        if let Some(restored) = file["restored"].as_array() {
            let restored: Vec<&str> = restored.iter().filter_map(Value::as_str).collect();
            if restored != own.restored {
                faults.push(format!("{path} gives back {:?} for {restored:?}", own.restored));
            }
        }
    }
    // Where a device was missing on the oracle's machine, what had been done till then was undone.
    if domain["incomplete"]["set"].is_string() || !domain["seclabels"].is_array() {
        return faults;
    }
    let files: Vec<&str> = list("files").iter().filter_map(|f| f["path"].as_str()).collect();
    let changed = ours.iter().filter(|(_, t)| t.label.is_some() || t.owner.is_some());
    for (path, treatment) in changed.filter(|(path, _)| !files.contains(path)) {
        if !ratchet::is_meant("labels", "extra", path, &treatment.about) {
            faults.push(format!("{path} is changed: {treatment:?}"));
        }
    }
    faults
}

/// Device rules. The oracle has an entry for every path, which becomes a rule if there is a device: for what
/// is no device here, the access has to give the same.
fn device_rules(domain: &Value, plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    let mut rules: BTreeMap<&str, (&str, String)> = BTreeMap::new();
    for process in &plan.processes {
        for rule in devices::rules(plan, process) {
            let path = match rule.device {
                Device::Known { path, .. } | Device::Path { path, .. } => path,
                Device::Class { name, .. } => name,
            };
            rules.entry(path).or_insert((rule.perms, rule.cause.what.to_string()));
        }
    }
    let mut files: BTreeMap<&str, Perms> = BTreeMap::new();
    for access in &plan.access {
        let perms = files.entry(access.path.as_str()).or_default();
        *perms = perms.union(access.perms);
    }
    let letters = |perms: Perms| match (perms.read, perms.write || perms.append) {
        (true, true) => "rw",
        (false, true) => "w",
        _ => "r",
    };
    let mut theirs: BTreeMap<&str, &str> = BTreeMap::new();
    for entry in domain["cgroup"].as_array().into_iter().flatten() {
        let (path, perms) = (entry["path"].as_str().unwrap_or_default(), entry["perms"].as_str().unwrap_or_default());
        // A path may be of two disks; one of them may be a layer that is only read.
        let all = theirs.entry(path).or_insert(perms);
        if perms.len() > all.len() {
            *all = perms;
        }
    }
    for (path, perms) in &theirs {
        let own = rules.get(path).map(|(perms, _)| *perms).or_else(|| files.get(path).map(|p| letters(*p)));
        let what = match own {
            None => "missing",
            Some(own) if own.chars().any(|c| !perms.contains(c)) => "wider",
            Some(own) if own != *perms => "narrower",
            Some(_) => continue,
        };
        let about = plan.access.iter().find(|a| a.path == **path).map_or("", |a| a.cause.what.as_ref());
        if !ratchet::is_meant("cgroup", what, path, about) {
            faults.push(format!("device rule {what}: {path} {} for {perms} ({about})", own.unwrap_or_default()));
        }
    }
    if domain["incomplete"]["cgroup"].is_string() {
        return faults;
    }
    for (path, (perms, about)) in rules.iter().filter(|(path, _)| !theirs.contains_key(*path)) {
        if !ratchet::is_meant("cgroup", "extra", path, about) {
            faults.push(format!("device rule extra: {path} {perms} ({about})"));
        }
    }
    faults
}

/// The values of the tuning elements, as they are in the XML.
fn limits(domain: &Value, plan: &Plan) -> Vec<String> {
    let limits = &plan.limits;
    let kib = |bytes: Option<u64>| bytes.unwrap_or(0) / 1024;
    let mut faults = Vec::new();
    for (key, value) in domain["tune"].as_object().into_iter().flatten() {
        let bandwidth = |who: &str| {
            let found = limits.cpu_bandwidth.iter().find(|(w, ..)| w == who);
            let (period, quota) = found.map_or((None, None), |(_, p, q)| (*p, *q));
            format!("{}/{}", period.unwrap_or(0), quota.unwrap_or(0))
        };
        let own = match key.as_str() {
            "cpu.shares" => limits.cpu_shares.unwrap_or(0).to_string(),
            "cpu.period/quota" => bandwidth("vcpu"),
            "cpu.global" => bandwidth("global"),
            "cpu.emulator" => bandwidth("emulator"),
            "cpu.iothread" => bandwidth("iothread"),
            "mem.hard_limit_kib" => kib(limits.memory_hard).to_string(),
            "mem.soft_limit_kib" => kib(limits.memory_soft).to_string(),
            "mem.swap_hard_limit_kib" => kib(limits.memory_swap).to_string(),
            "blkio.weight" => limits.io_weight.unwrap_or(0).to_string(),
            "partition" => limits.partition.clone().unwrap_or_default(),
            key => {
                let Some(path) = key.strip_prefix("blkio.device ") else {
                    faults.push(format!("nothing is known of {key}"));
                    continue;
                };
                let device = limits.io_devices.iter().find(|d| d.path == path);
                let numbers = device.map(|d| {
                    let values = [d.weight.map(u64::from), d.read_iops, d.write_iops, d.read_bytes, d.write_bytes];
                    values.map(|v| v.unwrap_or(0))
                });
                let [weight, riops, wiops, rbps, wbps] = numbers.unwrap_or_default();
                format!("weight={weight} riops={riops} wiops={wiops} rbps={rbps} wbps={wbps}")
            }
        };
        if value.as_str() != Some(&own) {
            faults.push(format!("{key} is {own} for {value}"));
        }
    }
    faults
}
