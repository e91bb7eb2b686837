//! The access closure against the rules of virt-aa-helper (libvirt 11.3).

use super::pack::{self, Surroundings};
use super::ratchet;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn closures_agree_with_virt_aa_helper() {
    let Some(pack) = pack::folder() else { return };
    let _lock = ratchet::lock();
    let surroundings = Surroundings::new(&pack);
    let oracle = pack::json(&pack.join("access-11.3.json"));
    let accepted: Vec<Value> =
        oracle["domains"].as_array().expect("a list").iter().filter(|d| d["result"] == "accept").cloned().collect();
    let results = pack::each(&accepted, "name", |domain| {
        let file = domain["file"].as_str().unwrap_or_default();
        let outcome = surroundings.build(&surroundings.input(file), Duration::from_secs(20));
        let Some(plan) = outcome.plan else {
            return Err(format!("not compiled: {}", outcome.said.lines().find(|l| l.contains('×')).unwrap_or("")));
        };
        compare(domain, &plan)
    });
    ratchet::judge("access", &results);
}

/// Letters that the kinds of paths of the Plan come to.
fn ours(plan: &Value) -> BTreeMap<String, String> {
    let mut rules: BTreeMap<String, String> = BTreeMap::new();
    for access in plan["access"].as_array().into_iter().flatten() {
        let path = access["path"].as_str().unwrap_or_default();
        let perms = &access["perms"];
        let letters: String = [("read", 'r'), ("write", 'w'), ("lock", 'k'), ("link", 'l')]
            .iter()
            .filter(|(key, _)| perms[*key] == true)
            .map(|(_, letter)| *letter)
            .collect();
        let mut add = |path: String, letters: &str| {
            let all = rules.entry(path).or_default();
            letters.chars().filter(|c| !all.contains(*c)).collect::<Vec<_>>().into_iter().for_each(|c| all.push(c));
        };
        match access["kind"].as_str().unwrap_or_default() {
            "tree" => {
                add(format!("{path}/"), "r");
                add(format!("{path}/**"), &letters);
            }
            "pipe" => ["", ".in", ".out"].iter().for_each(|end| add(format!("{path}{end}"), &letters)),
            _ => add(path.to_string(), &letters),
        }
    }
    rules
}

fn compare(domain: &Value, plan: &Value) -> Result<(), String> {
    let ours = ours(plan);
    let mut faults = Vec::new();
    let mut theirs: BTreeMap<String, String> = BTreeMap::new();
    for rule in domain["rules"].as_array().into_iter().flatten() {
        let origin = rule["origin"].as_str().unwrap_or_default();
        if rule["deny"] == true || origin == "name" || origin == "swtpm" {
            continue;
        }
        let path = rule["path"].as_str().unwrap_or_default().to_string();
        let all = theirs.entry(path).or_default();
        all.push_str(rule["mode"].as_str().unwrap_or_default());
    }
    for (path, mode) in &theirs {
        match ours.get(path).or_else(|| ours.get(&path.replace("/run/", "/var/run/"))) {
            None if !ratchet::is_meant("access", "missing", path) => faults.push(format!("missing {path} {mode}")),
            Some(own) => {
                let wider: String = own.chars().filter(|c| !mode.contains(*c)).collect();
                // A lock needs no permission that reading does not give already.
                if wider.chars().any(|c| c != 'k') && !ratchet::is_meant("access", "wider", path) {
                    faults.push(format!("wider {path} {own} for {mode}"));
                }
            }
            None => {}
        }
    }
    for path in ours.keys() {
        let known = theirs.contains_key(path) || theirs.contains_key(&path.replace("/var/run/", "/run/"));
        // The end of a pipe that the peer leaves out.
        let end = path.strip_suffix(".in").or(path.strip_suffix(".out")).unwrap_or(path);
        let pipe = theirs.contains_key(&format!("{end}.in")) || theirs.contains_key(end);
        if !known && !pipe && !ratchet::is_meant("access", "extra", path) {
            faults.push(format!("extra {path} {}", ours[path]));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}
