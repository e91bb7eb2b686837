//! What differs between two Plans, in the terms of the domain.
//!
//! A Plan is taken apart into facts: a subject (`-device virtio-disk0`, `/images/a.qcow2`), a property of it,
//! and a value. Two Plans differ in the facts that only one of them holds. The order in which a Plan lists its
//! facts is that of the report; the order of arguments itself is no fact.

use super::{Access, Arg, ArgValue, Cause, Need, Plan, Prop, Props};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

/// One subject that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The part of the host that it concerns: `command line of qemu`, `access`, `limits`, `network`, …
    pub part: String,
    /// What it is: `-device virtio-disk0`, `/images/a.qcow2`.
    pub subject: String,
    /// All of its properties; of the new side, or of the old one for what is gone.
    #[serde(skip)]
    pub whole: Vec<(String, String)>,
    /// What happened to it.
    #[serde(flatten)]
    pub change: Change,
    /// Why it is there; of the new side, or of the old one for what is gone.
    pub cause: Cause,
}

/// What happened to a subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// Only the second Plan has it.
    Added {
        /// The whole of it.
        properties: Vec<(String, String)>,
    },
    /// Only the first Plan has it.
    Removed {
        /// The whole of it.
        properties: Vec<(String, String)>,
    },
    /// Both have it, with other properties.
    Changed {
        /// Property, value before, value after; a value that is absent is none.
        properties: Vec<(String, Option<String>, Option<String>)>,
    },
}

/// A subject with its properties.
struct Subject {
    properties: Vec<(String, String)>,
    cause: Cause,
}

/// Part and name of a subject: what is matched between the sides.
type Key = (String, String);

/// All differences between two Plans: what the second changed or added in its order, then what is gone.
pub fn differences(old: &Plan, new: &Plan) -> Vec<Difference> {
    let (old, new) = (facts(old), facts(new));
    let mut out = Vec::new();
    let difference = |(part, subject): &Key, change, of: &Subject| Difference {
        part: part.clone(),
        subject: subject.clone(),
        whole: of.properties.clone(),
        change,
        cause: of.cause.clone(),
    };
    for (key, after) in &new {
        match old.get(key) {
            None => {
                let change = Change::Added { properties: after.properties.clone() };
                out.push(difference(key, change, after));
            }
            Some(before) => {
                let properties = changed(&before.properties, &after.properties);
                if !properties.is_empty() {
                    out.push(difference(key, Change::Changed { properties }, after));
                }
            }
        }
    }
    for (key, before) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
        let change = Change::Removed { properties: before.properties.clone() };
        out.push(difference(key, change, before));
    }
    // One block for each part, in the order in which parts first appear. The sort keeps the order within.
    let mut parts: Vec<String> = Vec::new();
    for difference in &out {
        if !parts.contains(&difference.part) {
            parts.push(difference.part.clone());
        }
    }
    out.sort_by_key(|d| parts.iter().position(|p| *p == d.part));
    out
}

/// Properties whose values differ. A property that stands more than once is compared as a whole.
fn changed(old: &[(String, String)], new: &[(String, String)]) -> Vec<(String, Option<String>, Option<String>)> {
    let (old, new) = (joined(old), joined(new));
    let gone = old.iter().filter(|(name, _)| !new.contains_key(**name)).map(|(n, v)| (n, Some(v), None));
    let kept = new.iter().map(|(name, value)| (name, old.get(name), Some(value)));
    kept.chain(gone)
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| (name.to_string(), before.cloned(), after.cloned()))
        .collect()
}

fn joined(properties: &[(String, String)]) -> IndexMap<&str, String> {
    let mut out: IndexMap<&str, String> = IndexMap::new();
    for (name, value) in properties {
        match out.get_mut(name.as_str()) {
            Some(all) => {
                all.push_str(", ");
                all.push_str(value);
            }
            None => drop(out.insert(name, value.clone())),
        }
    }
    out
}

/// All facts of a Plan.
fn facts(plan: &Plan) -> IndexMap<Key, Subject> {
    let mut facts = Facts::default();
    for (name, value) in [("name", Some(&plan.name)), ("uuid", Some(&plan.uuid)), ("title", plan.title.as_ref())] {
        if let Some(value) = value {
            facts.whole("domain", name, value);
        }
    }
    facts.whole("domain", "instance", &plan.instance);
    facts.whole("domain", "accelerator", &plan.accelerator);
    facts.whole("domain", "lifecycle", &plan.lifecycle);
    for process in &plan.processes {
        let part = format!("command line of {}", process.id);
        let mut properties = vec![(String::new(), process.program.clone())];
        leaves("user", &json(&process.user), &mut properties);
        leaves("group", &json(&process.group), &mut properties);
        leaves("capabilities", &json(&process.capabilities), &mut properties);
        leaves("ready", &json(&process.ready), &mut properties);
        let needs: Vec<Need> = process.needs.iter().map(|n| n.need).collect();
        leaves("needs", &json(&needs), &mut properties);
        facts.add(&part, "program".to_string(), properties, &process.cause);
        for (name, value) in &process.env {
            facts.add(&part, format!("environment {name}"), vec![(String::new(), value.clone())], &process.cause);
        }
        for arg in &process.args {
            let (subject, properties) = argument(arg);
            facts.add(&part, subject, properties, &arg.cause);
        }
    }
    for access in &plan.access {
        facts.add("access", format!("{} of {}", access.path, access.process), grant(access), &access.cause);
    }
    let limits = json(&plan.limits);
    for (name, value) in limits.as_object().into_iter().flatten().filter(|(name, _)| *name != "causes") {
        let cause = plan.limits.causes.iter().find(|(n, _)| n == name).map(|(_, c)| c.clone());
        let mut properties = Vec::new();
        leaves("", value, &mut properties);
        if !properties.is_empty() {
            facts.add("limits", name.replace('_', " "), properties, &cause.unwrap_or_default());
        }
    }
    for link in &plan.links {
        let name = if link.name.is_empty() { &link.mac } else { &link.name };
        facts.caused("network", name, link, &link.cause);
    }
    for secret in &plan.secrets {
        facts.caused("secrets", &secret.id, secret, &secret.cause);
    }
    for directory in &plan.directories {
        facts.caused("files and directories", &directory.path, directory, &directory.cause);
    }
    for file in &plan.files {
        facts.caused("files and directories", &file.path, file, &file.cause);
    }
    for inherited in &plan.inherited {
        facts.caused("files and directories", &inherited.path, inherited, &inherited.cause);
    }
    for socket in &plan.sockets {
        facts.caused("sockets", &socket.path, socket, &socket.cause);
    }
    facts.whole("confinement", "accounts and labels", &plan.confinement);
    facts.0
}

/// Facts as they are collected.
#[derive(Default)]
struct Facts(IndexMap<Key, Subject>);

impl Facts {
    /// Adds a subject. A second one of the same name is told apart by its number.
    fn add(&mut self, part: &str, subject: String, properties: Vec<(String, String)>, cause: &Cause) {
        let mut key = (part.to_string(), subject);
        let mut number = 1;
        while self.0.contains_key(&key) {
            number += 1;
            let name = key.1.split(" #").next().unwrap_or_default();
            key.1 = format!("{name} #{number}");
        }
        self.0.insert(key, Subject { properties, cause: cause.clone() });
    }

    /// Adds a structure of the Plan, without the cause that it holds.
    fn caused(&mut self, part: &str, subject: &str, what: &impl Serialize, cause: &Cause) {
        let mut value = json(what);
        if let Value::Object(fields) = &mut value {
            fields.remove("cause");
        }
        let mut properties = Vec::new();
        leaves("", &value, &mut properties);
        self.add(part, subject.to_string(), properties, cause);
    }

    /// Adds a structure that no element of the XML causes.
    fn whole(&mut self, part: &str, subject: &str, what: &impl Serialize) {
        let cause = Cause { what: "the domain".into(), ..Cause::default() };
        self.caused(part, subject, what, &cause);
    }
}

/// A structure of the Plan as JSON. None of them has a key that is not text, so this cannot fail.
fn json(what: &impl Serialize) -> Value {
    serde_json::to_value(what).unwrap_or_default()
}

/// Appends the leaves of a JSON value, named by their path. A cause inside is no property.
fn leaves(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            fields.iter().filter(|(n, _)| *n != "cause").for_each(|(n, v)| leaves(&below(n), v, out));
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(path, item, out)),
        Value::String(text) => out.push((path.to_string(), text.clone())),
        other => out.push((path.to_string(), other.to_string())),
    }
}

/// The name by which an argument is found again: `-device net0`.
pub fn subject(arg: &Arg) -> String {
    argument(arg).0
}

/// The properties of an argument, nested ones by path; the name of one that has none is empty.
pub fn properties(arg: &Arg) -> Vec<(String, String)> {
    argument(arg).1
}

/// The name by which an argument is found again, and its properties.
fn argument(arg: &Arg) -> (String, Vec<(String, String)>) {
    let mut properties = Vec::new();
    let name = match &arg.value {
        ArgValue::None => None,
        ArgValue::Text(text) => {
            properties.push((String::new(), text.clone()));
            None
        }
        ArgValue::Props(props, _) => {
            flatten("", props, &mut properties);
            let name = ["id", "node-name", "nodeid"].iter().find_map(|key| props.get(key)).map(scalar);
            // A global property is known by its name.
            name.or_else(|| (arg.switch == "-global").then(|| props.0.first().map(|(key, _)| key.to_string()))?)
        }
    };
    let subject = match name {
        Some(name) => format!("{} {name}", arg.switch),
        None => arg.switch.to_string(),
    };
    (subject, properties)
}

fn flatten(path: &str, props: &Props, out: &mut Vec<(String, String)>) {
    for (key, value) in &props.0 {
        flatten_entry(&if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }, value, out);
    }
}

fn flatten_entry(path: &str, value: &Prop, out: &mut Vec<(String, String)>) {
    match value {
        Prop::Object(inner) => flatten(path, inner, out),
        Prop::List(items) => {
            items.iter().enumerate().for_each(|(i, item)| flatten_entry(&format!("{path}.{i}"), item, out));
        }
        scalar_value => out.push((path.to_string(), scalar(scalar_value))),
    }
}

fn scalar(value: &Prop) -> String {
    match value {
        Prop::Null | Prop::Object(_) | Prop::List(_) => String::new(),
        Prop::Bool(on) => if *on { "on" } else { "off" }.to_string(),
        Prop::Number(n) => n.to_string(),
        Prop::Unsigned(n) => n.to_string(),
        Prop::Text(text) => text.to_string(),
    }
}

fn grant(access: &Access) -> Vec<(String, String)> {
    let perms = access.perms;
    let letters = [
        (perms.read, 'r'),
        (perms.write, 'w'),
        (perms.append, 'a'),
        (perms.lock, 'k'),
        (perms.map, 'm'),
        (perms.execute, 'x'),
        (perms.link, 'l'),
    ];
    let letters: String = letters.iter().filter(|(has, _)| *has).map(|(_, letter)| letter).collect();
    let mut out = vec![("permissions".to_string(), letters)];
    leaves("kind", &json(&access.kind), &mut out);
    leaves("sharing", &json(&access.sharing), &mut out);
    leaves("label", &json(&access.label), &mut out);
    leaves("restore label", &json(&access.restore_label), &mut out);
    leaves("owner", &json(&access.owner), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Form, Process};

    fn plan(devices: &[(&str, &str)]) -> Plan {
        let args = devices.iter().map(|(id, bus)| {
            let mut props = Props::driver("virtio-blk-pci");
            props.set("bus", bus.to_string()).set("id", id.to_string());
            Arg::props("-device", props, Form::Json, Cause { line: 7, what: "disk vda".into(), ..Cause::default() })
        });
        let process =
            Process { id: "qemu".into(), program: "/usr/bin/qemu".into(), args: args.collect(), ..Process::default() };
        Plan { name: "vm".into(), processes: vec![process], ..Plan::default() }
    }

    #[test]
    fn a_plan_does_not_differ_from_itself() {
        let one = plan(&[("a", "pci.0"), ("a", "pci.1")]);
        assert_eq!(differences(&one, &one), []);
    }

    #[test]
    fn subjects_are_found_by_their_id_and_not_by_their_place() {
        let old = plan(&[("a", "pci.0"), ("b", "pci.0"), ("c", "pci.0")]);
        let new = plan(&[("c", "pci.0"), ("b", "pci.1"), ("d", "pci.2")]);
        let found = differences(&old, &new);
        let changes: Vec<(&str, &Change)> = found.iter().map(|d| (d.subject.as_str(), &d.change)).collect();
        let changed = Change::Changed { properties: vec![("bus".into(), Some("pci.0".into()), Some("pci.1".into()))] };
        let whole = |id: &str, bus: &str| {
            vec![
                ("driver".to_string(), "virtio-blk-pci".to_string()),
                ("bus".to_string(), bus.to_string()),
                ("id".to_string(), id.to_string()),
            ]
        };
        assert_eq!(
            changes,
            [
                ("-device b", &changed),
                ("-device d", &Change::Added { properties: whole("d", "pci.2") }),
                ("-device a", &Change::Removed { properties: whole("a", "pci.0") }),
            ]
        );
        assert_eq!(found[0].cause.line, 7);
    }
}
