//! The access closure against the rules of virt-aa-helper (libvirt 11.3).
//!
//! A domain agrees when each path has the same letters on both sides, but for the differences that are
//! meant. The peer reads XML without asking whether QEMU can run it: a domain that libvirt's own driver
//! refuses needs no access.

use super::pack::{self, Compiled, Surroundings};
use super::ratchet;
use serde_json::Value;
use std::collections::BTreeMap;
use virtc::plan::{Access, PathKind, Plan};

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
        match surroundings.compile(&surroundings.input(file)) {
            Compiled::Planned(plan) => compare(domain, &plan),
            Compiled::Refused(_) if surroundings.libvirt_refuses(file) => Ok(()),
            Compiled::Refused(error) => ratchet::refused("access", domain["name"].as_str().unwrap_or_default(), &error),
        }
    });
    ratchet::judge("access", &results);
}

/// Letters of a path, and what it is for.
#[derive(Default)]
struct Rule {
    letters: String,
    about: String,
}

impl Rule {
    fn add(&mut self, letters: &str, about: &str) {
        letters.chars().for_each(|c| {
            if !self.letters.contains(c) {
                self.letters.push(c);
            }
        });
        if self.about.is_empty() {
            self.about = about.to_string();
        }
    }

    /// Letters that `other` lacks. A lock needs no permission that reading does not give already.
    fn more_than(&self, other: &Rule) -> bool {
        self.letters.chars().any(|c| c != 'k' && !other.letters.contains(c))
    }
}

/// The rules that the closure comes to.
fn ours(plan: &Plan) -> BTreeMap<String, Rule> {
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    for access in &plan.access {
        let letters = letters(access);
        let mut add = |path: String, letters: &str| {
            rules.entry(path).or_default().add(letters, &pack::about(access));
        };
        let path = plain(&access.path);
        match access.kind {
            PathKind::Tree => {
                add(format!("{path}/"), "r");
                add(format!("{path}/**"), &letters);
            }
            PathKind::Files => {
                add(format!("{path}/"), "r");
                add(format!("{path}/*"), &letters);
            }
            PathKind::Directory => add(format!("{path}/"), "r"),
            PathKind::Pipe => ["", ".in", ".out"].iter().for_each(|end| add(format!("{path}{end}"), &letters)),
            _ => add(path, &letters),
        }
    }
    rules
}

fn letters(access: &Access) -> String {
    let perms = access.perms;
    let all = [(perms.read, 'r'), (perms.write, 'w'), (perms.lock, 'k'), (perms.link, 'l')];
    all.iter().filter(|(has, _)| *has).map(|(_, letter)| *letter).collect()
}

/// As the peer writes a path: resolved as far as it is the same on all hosts, without a slash at its end.
fn plain(path: &str) -> String {
    let path = path.strip_prefix("/var/run/").map_or(path.to_string(), |rest| format!("/run/{rest}"));
    path.trim_end_matches('/').to_string()
}

/// The rules of the peer that come from devices.
fn theirs(domain: &Value) -> BTreeMap<String, Rule> {
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    for rule in domain["rules"].as_array().into_iter().flatten() {
        let text = |key: &str| rule[key].as_str().unwrap_or_default();
        if rule["deny"] == true || text("origin") == "name" {
            continue;
        }
        // One rule for a folder and for what is in it.
        let paths = match text("path").strip_suffix("/{,*}") {
            Some(folder) => vec![format!("{folder}/"), format!("{folder}/*")],
            None => vec![text("path").to_string()],
        };
        for path in paths {
            rules.entry(path).or_default().add(text("mode"), text("origin"));
        }
    }
    rules
}

fn compare(domain: &Value, plan: &Plan) -> Result<(), String> {
    let (ours, theirs) = (ours(plan), theirs(domain));
    let mut faults = Vec::new();
    for (path, rule) in &theirs {
        let mut fault = |what: &str, about: &str, own: &str| {
            if !ratchet::is_meant("access", what, path, about) {
                faults.push(format!("{what} {path} {} for {} ({about})", own, rule.letters));
            }
        };
        // A name that the peer writes without the slash that a folder needs never fits.
        match ours.get(path).or_else(|| ours.get(&format!("{path}/"))) {
            None => fault("missing", &rule.about, ""),
            Some(own) if own.more_than(rule) => fault("wider", &own.about, &own.letters),
            Some(own) if rule.more_than(own) && ours.contains_key(path) => fault("narrower", &own.about, &own.letters),
            Some(_) => {}
        }
    }
    for (path, own) in ours.iter().filter(|(path, _)| !theirs.contains_key(*path)) {
        let covered = theirs.iter().any(|(pattern, rule)| matches(pattern, path) && !own.more_than(rule));
        if !covered && !ratchet::is_meant("access", "extra", path, &own.about) {
            faults.push(format!("extra {path} {} ({})", own.letters, own.about));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// Whether a pattern of AppArmor stands for a path: `*` for anything but a slash, `**` for anything, and a
/// class such as `[0-9]`.
fn matches(pattern: &str, path: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return path.is_empty() };
    if let Some(rest) = pattern.strip_prefix("**") {
        return (0..=path.len()).filter(|i| path.is_char_boundary(*i)).any(|i| matches(rest, &path[i..]));
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        let end = path.find('/').unwrap_or(path.len());
        return (0..=end).filter(|i| path.is_char_boundary(*i)).any(|i| matches(rest, &path[i..]));
    }
    let Some(next) = path.chars().next() else { return false };
    match pattern.strip_prefix("[0-9]") {
        Some(rest) => next.is_ascii_digit() && matches(rest, &path[1..]),
        None => first == next && matches(&pattern[first.len_utf8()..], &path[next.len_utf8()..]),
    }
}
