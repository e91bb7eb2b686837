//! SELinux labels of small domains, and how labels are made.

use super::pack::{self, Outcome, Surroundings};
use super::{labels, ratchet};
use crate::common;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

#[test]
fn selinux_cases() {
    let Some(pack) = pack::folder() else { return };
    let _lock = ratchet::lock();
    let surroundings = Surroundings::new(&pack);
    let cases = pack::json(&pack.join("selinux-cases/cases.json"));
    let results = pack::each(cases["cases"].as_array().expect("a list"), "id", |case| {
        let folder = tempfile::tempdir().expect("a folder");
        let input = pack.join("selinux-cases").join(case["xml"].as_str().unwrap_or_default());
        let options = options(case, &surroundings, &input, folder.path());
        let outcome = surroundings.build(&input, Duration::from_secs(20), &options);
        match (case["expect"].as_str(), &outcome.plan) {
            (Some("reject"), None) if outcome.status == Some(1) => Ok(()),
            (Some("reject"), _) => Err("not refused".to_string()),
            (_, Some(plan)) => labels::compare(case, plan),
            (_, None) => ratchet::refused("selinux", case["id"].as_str().unwrap_or_default(), &outcome.refusal()),
        }
    });
    ratchet::judge("selinux", &results);
}

/// What the machine of a case is said to be like: a QEMU that lacks something, file systems without labels.
fn options(case: &Value, surroundings: &Surroundings, input: &Path, folder: &Path) -> Vec<String> {
    let mut options = Vec::new();
    if case["error"].as_str().is_some_and(|e| e.ends_with("by this QEMU binary")) {
        options.extend(without(case["error"].as_str().unwrap_or_default(), surroundings));
    }
    let mut mounts = BTreeSet::new();
    for file in case["files"].as_array().into_iter().flatten() {
        if file["note"].as_str().is_some_and(|n| n.contains("refuses labels")) {
            let path = file["path"].as_str().unwrap_or_default();
            mounts.insert(path.rsplit_once('/').map_or("/", |(folder, _)| folder).to_string());
        }
    }
    if !mounts.is_empty() {
        let mut facts = std::fs::read_to_string(surroundings.host_of(input)).expect("host facts");
        facts = facts.replace("root \"../hostroot\"", "");
        mounts.iter().for_each(|m| facts.push_str(&format!("\nmount {m:?} type=\"nfs\"\n")));
        let file = folder.join("host.kdl");
        std::fs::write(&file, facts).expect("a file");
        options.extend(["--host".to_string(), file.display().to_string()]);
    }
    options
}

/// The capabilities of a QEMU without what an error says is missing: `… : sgx epc isn't supported by this QEMU binary`.
fn without(error: &str, surroundings: &Surroundings) -> Vec<String> {
    let what = error.rsplit(": ").next().unwrap_or_default();
    let flag = what.split(" is").next().unwrap_or_default().replace(' ', "-");
    let folder = surroundings.conformance_file("caps");
    let mut files: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.sort();
    let lacks = |path: &&std::path::PathBuf| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(path).unwrap_or_default();
        name.contains("_x86_64") && !text.contains(&format!("'{flag}'"))
    };
    files.iter().find(lacks).map(|f| vec!["--caps".to_string(), f.display().to_string()]).unwrap_or_default()
}

/// A domain of its own UUID, with an element for SELinux.
fn domain(number: usize, seclabel: &str) -> String {
    format!(
        "<domain type='kvm'><name>vm{number}</name><uuid>7d1f4b7e-5c1d-4d55-9d0e-{number:012x}</uuid>\
         <memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <devices><disk type='file' device='disk'><source file='/srv/{number}.img'/><target dev='vda' bus='virtio'/></disk>\
         </devices>{seclabel}</domain>"
    )
}

/// Builds domains together on a host whose daemon would have this context; gives status, messages, and the contexts of
/// process and image of each.
fn build(daemon: &str, domains: &[String]) -> (Outcome, Vec<(String, String)>) {
    let folder = tempfile::tempdir().expect("a folder");
    let parts: Vec<&str> = daemon.splitn(4, ':').collect();
    let (user, role) = (parts[0], parts[1]);
    let range = parts.get(3).map_or(String::new(), |r| format!("range={r:?}"));
    let facts = format!(
        "host-facts version=1\nmachine {{ arch \"x86_64\"; }}\nsecurity {{ selinux process=\"{user}:{role}:svirt_t:s0\" \
         image=\"{user}:object_r:svirt_image_t:s0\" {range}; }}\n"
    );
    let host = folder.path().join("host.kdl");
    std::fs::write(&host, facts).expect("a file");
    for (i, domain) in domains.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{i:03}.xml")), domain).expect("a file");
    }
    let out = folder.path().join("out");
    let output = common::virtc()
        .args(["build", "--message-format", "json", "--host"])
        .arg(&host)
        .arg("-o")
        .arg(&out)
        .arg(folder.path())
        .output()
        .expect("virtc");
    let tree = pack::files(&out);
    let contexts = tree
        .iter()
        .filter(|(path, _)| path.ends_with("/plan.json"))
        .filter_map(|(_, text)| {
            let plan: Value = serde_json::from_str(text).ok()?;
            let selinux = &plan["confinement"]["selinux"];
            Some((selinux["process"].as_str()?.to_string(), selinux["image"].as_str()?.to_string()))
        })
        .collect();
    let said = pack::said(&output.stdout, &output.stderr);
    (Outcome { status: output.status.code(), said, plan: None, tree, time: Duration::ZERO }, contexts)
}

#[test]
fn labels_are_made_as_the_cases_say() {
    let Some(pack) = pack::folder() else { return };
    let _lock = ratchet::lock();
    let cases = pack::json(&pack.join("selinux-cases/generate.json"));
    let results = pack::each(cases["cases"].as_array().expect("a list"), "id", generated);
    ratchet::judge("generate", &results);
}

fn generated(case: &Value) -> Result<(), String> {
    let daemon = case["daemon_context"].as_str().unwrap_or_default();
    let expect = &case["expect"];
    let fixed = case["static"].as_str();
    let seclabel = match (fixed, case["type"].as_str()) {
        (Some(label), _) => {
            format!("<seclabel type='static' model='selinux' relabel='yes'><label>{label}</label></seclabel>")
        }
        (None, Some(kind)) => format!("<seclabel type='{kind}' model='selinux'/>"),
        (None, None) => String::new(),
    };
    let pairs = pairs_of(daemon);
    if expect["error"].is_string() && pairs.is_some() {
        // One more than there are pairs.
        let domains: Vec<String> = (0..=pairs.unwrap_or(0)).map(|i| domain(i, "")).collect();
        let (outcome, _) = build(daemon, &domains);
        return check(outcome.status == Some(1) && outcome.tree.is_empty(), "not refused", &outcome);
    }
    let count = case["count"].as_u64().unwrap_or(1) as usize;
    let mut domains: Vec<String> = (0..count).map(|i| domain(i, &seclabel)).collect();
    let reserves = expect["rule"].as_str().is_some_and(|r| r.contains("reserve"));
    if reserves {
        // A domain whose UUID comes to the pair that another has by its XML.
        let (_, contexts) = build(daemon, &[domain(1, "")]);
        let own = contexts.first().map(|(process, _)| process.clone()).unwrap_or_default();
        let label = format!("<seclabel type='static' model='selinux' relabel='yes'><label>{own}</label></seclabel>");
        domains = vec![domain(1, ""), domain(2, &label)];
    }
    let (outcome, contexts) = build(daemon, &domains);
    if expect["error"].is_string() {
        return check(outcome.status == Some(1) && outcome.tree.is_empty(), "not refused", &outcome);
    }
    check(outcome.status == Some(0), "not compiled", &outcome)?;
    if expect["process"].as_str().is_some_and(|p| p.starts_with("no label")) {
        return check(contexts.is_empty(), "a label", &outcome);
    }
    let distinct: BTreeSet<&(String, String)> = contexts.iter().collect();
    check(contexts.len() == domains.len() && distinct.len() == contexts.len(), "a pair is given twice", &outcome)?;
    for (process, image) in &contexts {
        let parts = |context: &str| context.splitn(4, ':').map(str::to_string).collect::<Vec<_>>();
        let (p, i) = (parts(process), parts(image));
        check(p.len() == 4 && p[3] == i[3], "the ranges differ", &outcome)?;
        if let Some(fixed) = fixed.filter(|_| !reserves) {
            let daemon_user = daemon.split(':').next().unwrap_or_default();
            check(process == fixed, "another label", &outcome)?;
            check(
                i[0] == daemon_user && i[1] == "object_r" && i[2] == "svirt_image_t",
                "another image label",
                &outcome,
            )?;
            continue;
        }
        for (key, parts) in [("process", &p), ("image", &i)] {
            for (at, part) in ["user", "role", "type"].into_iter().enumerate() {
                if let Some(wanted) = expect[key][part].as_str() {
                    check(parts[at] == wanted, &format!("{key} {part} {}", parts[at]), &outcome)?;
                }
            }
        }
        let (sensitivity, set) = p[3].split_once(':').unwrap_or_default();
        if let Some(wanted) = expect["sensitivity"].as_str() {
            check(sensitivity == wanted, sensitivity, &outcome)?;
        }
        let numbers: Vec<u64> = set.split(',').filter_map(|c| c.strip_prefix('c')?.parse().ok()).collect();
        let low = expect["cat_min"].as_u64().unwrap_or(0);
        let high = expect["cat_max"].as_u64().unwrap_or(1023);
        let fits = matches!(numbers.as_slice(), [a, b] if a < b && *a >= low && *b <= high);
        check(fits, &format!("categories {set}"), &outcome)?;
    }
    Ok(())
}

/// How many pairs the range of a daemon has, where it is a range of categories to choose from.
fn pairs_of(daemon: &str) -> Option<usize> {
    let set = daemon.splitn(4, ':').nth(3)?.split_once(':')?.1;
    let (first, last) = set.split_once('.')?;
    let number = |c: &str| c.strip_prefix('c')?.parse::<usize>().ok();
    let n = number(last)?.checked_sub(number(first)?)? + 1;
    (8..64).contains(&n).then_some(n * (n - 1) / 2)
}

fn check(holds: bool, what: &str, outcome: &Outcome) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what} ({:?} {:?})", outcome.status, outcome.refusal())) }
}
