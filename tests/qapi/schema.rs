//! Holds JSON against what `query-qmp-schema` says (QEMU, docs/devel/qapi-code-gen.rst, "Client JSON Protocol
//! introspection"): types, enumerations, variants, alternates, members that must be there.

use serde_json::{Map, Value};
use std::collections::HashMap;

/// What a value is that the schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// The schema has no such member, or no such word of an enumeration: QEMU may be too old.
    Unknown,
    /// A member that must be there is missing, or a value is of another type.
    Never(String),
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where: `-blockdev nbd.server.path`; a word of an enumeration as `-blockdev driver=nbd`.
    pub place: String,
    /// What.
    pub wrong: Wrong,
}

pub struct Schema {
    entities: HashMap<String, Value>,
}

impl Schema {
    /// Takes the reply of `query-qmp-schema`.
    pub fn new(reply: Value) -> Schema {
        let Value::Array(list) = reply else { panic!("the schema is a list") };
        let entities = list.into_iter().map(|e| (e["name"].as_str().unwrap_or_default().to_string(), e)).collect();
        Schema { entities }
    }

    /// The type of the arguments of a command.
    pub fn arguments(&self, command: &str) -> Option<&str> {
        self.entities.get(command)?["arg-type"].as_str()
    }

    /// The type that a command gives back, or its elements.
    pub fn result(&self, command: &str) -> Option<&str> {
        let id = self.entities.get(command)?["ret-type"].as_str()?;
        match &self.entities.get(id)?["element-type"] {
            Value::String(element) => Some(element),
            _ => Some(id),
        }
    }

    /// Holds `value` against the type `id`.
    pub fn check(&self, id: &str, value: &Value, place: &str, faults: &mut Vec<Fault>) {
        let never = |text: String| Fault { place: place.to_string(), wrong: Wrong::Never(text) };
        let Some(entity) = self.entities.get(id) else { return faults.push(never(format!("no type {id}"))) };
        match entity["meta-type"].as_str() {
            Some("builtin") => {
                let wanted = entity["json-type"].as_str().unwrap_or_default();
                if !is(value, wanted) {
                    faults.push(never(format!("{value} is no {wanted}")));
                }
            }
            Some("enum") => {
                let Some(word) = value.as_str() else { return faults.push(never(format!("{value} is no word"))) };
                let listed = |key: &str| entity[key].as_array().into_iter().flatten();
                let known = listed("values").any(|v| v == word) || listed("members").any(|m| m["name"] == word);
                if !known {
                    faults.push(Fault { place: format!("{place}={word}"), wrong: Wrong::Unknown });
                }
            }
            Some("array") => match value {
                Value::Array(items) => {
                    let element = entity["element-type"].as_str().unwrap_or_default();
                    items.iter().for_each(|item| self.check(element, item, place, faults));
                }
                _ => faults.push(never(format!("{value} is no list"))),
            },
            Some("alternate") => {
                let members = entity["members"].as_array().map(Vec::as_slice).unwrap_or_default();
                let branch = members.iter().filter_map(|m| m["type"].as_str()).find(|t| self.fits(t, value));
                match branch {
                    Some(branch) => self.check(branch, value, place, faults),
                    None => faults.push(never(format!("{value} is none of the alternatives"))),
                }
            }
            Some("object") => match value {
                Value::Object(object) => self.object(entity, object, place, faults),
                _ => faults.push(never(format!("{value} is no object"))),
            },
            other => faults.push(never(format!("the schema has a {other:?} here"))),
        }
    }

    /// Whether a branch of an alternate is the one that the JSON type of the value selects.
    fn fits(&self, id: &str, value: &Value) -> bool {
        let Some(entity) = self.entities.get(id) else { return false };
        match entity["meta-type"].as_str() {
            Some("builtin") => is(value, entity["json-type"].as_str().unwrap_or_default()),
            Some("enum") => value.is_string(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => false,
        }
    }

    fn object(&self, entity: &Value, object: &Map<String, Value>, place: &str, faults: &mut Vec<Fault>) {
        let tag = entity["tag"].as_str();
        let case = tag.and_then(|tag| object.get(tag)).and_then(Value::as_str);
        let variant = case.and_then(|case| {
            let variants = entity["variants"].as_array().into_iter().flatten();
            let found = variants.into_iter().find(|v| v["case"] == case)?;
            self.entities.get(found["type"].as_str()?)
        });
        // What belongs to one branch only is told apart by its name.
        let place = case.map_or_else(|| place.to_string(), |case| format!("{place} {case}"));
        let members = || {
            let of = |e: &'_ Value| e["members"].as_array().cloned().unwrap_or_default();
            let mut all = of(entity);
            all.extend(variant.map(of).unwrap_or_default());
            all
        };
        let members = members();
        for (key, value) in object {
            let at = format!("{place}.{key}");
            match members.iter().find(|m| m["name"] == **key) {
                Some(member) => self.check(member["type"].as_str().unwrap_or_default(), value, &at, faults),
                // A branch that is not known says nothing about its members; the word itself is told.
                None if case.is_some() && variant.is_none() && self.is_unknown_case(entity, case) => {}
                None => faults.push(Fault { place: at, wrong: Wrong::Unknown }),
            }
        }
        for member in &members {
            let name = member["name"].as_str().unwrap_or_default();
            if member.get("default").is_none() && !object.contains_key(name) {
                faults
                    .push(Fault { place: format!("{place}.{name}"), wrong: Wrong::Never("it is missing".to_string()) });
            }
        }
        // A union inside a branch has its own tag.
        if let Some(inner) = variant.filter(|v| v["tag"].is_string()) {
            let rest: Map<String, Value> = object
                .iter()
                .filter(|(k, _)| entity["members"].as_array().is_none_or(|m| m.iter().all(|m| m["name"] != ***k)))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            let known: Vec<String> =
                members.iter().filter_map(|m| m["name"].as_str().map(|n| format!("{place}.{n}"))).collect();
            let mut found = Vec::new();
            self.object(inner, &rest, &place, &mut found);
            // Those of the inner branch were unknown to the outer one.
            let inner_case =
                inner["tag"].as_str().and_then(|t| rest.get(t)).and_then(Value::as_str).unwrap_or_default();
            faults.retain(|f| {
                f.wrong != Wrong::Unknown
                    || known.contains(&f.place)
                    || f.place.rsplit_once('.').is_none_or(|(front, key)| {
                        front != place || found.iter().any(|g| g.place == format!("{place} {inner_case}.{key}"))
                    })
            });
        }
    }

    fn is_unknown_case(&self, entity: &Value, case: Option<&str>) -> bool {
        let tag = entity["tag"].as_str().unwrap_or_default();
        let members = entity["members"].as_array().into_iter().flatten();
        let Some(id) = members.into_iter().find(|m| m["name"] == tag).and_then(|m| m["type"].as_str()) else {
            return false;
        };
        let mut faults = Vec::new();
        self.check(id, &Value::from(case.unwrap_or_default()), "", &mut faults);
        !faults.is_empty()
    }
}

/// Whether a value has a JSON type of the schema.
fn is(value: &Value, json_type: &str) -> bool {
    match json_type {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "int" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        _ => true,
    }
}
