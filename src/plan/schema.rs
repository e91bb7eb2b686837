//! The JSON schema of `plan.json`: `schema/plan.schema.json`, made from the types of the Plan.
//!
//! Set `VIRTC_BLESS=1` to write it anew when the Plan has changed on purpose; then its version has to be raised too, unless
//! older readers get on with it.

use super::Plan;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn made() -> Value {
    let mut schema = schemars::schema_for!(Plan);
    schema.insert("title".to_string(), "plan.json of virtc".into());
    schema.insert("version".to_string(), Plan::VERSION.into());
    schema.to_value()
}

fn stored() -> PathBuf {
    root().join("schema/plan.schema.json")
}

#[test]
fn the_stored_schema_is_that_of_the_plan() {
    let mut text = serde_json::to_string_pretty(&made()).unwrap_or_default();
    text.push('\n');
    if std::env::var_os("VIRTC_BLESS").is_some() {
        std::fs::write(stored(), &text).expect("the schema is written");
    }
    let stored = std::fs::read_to_string(stored()).unwrap_or_default();
    assert!(
        stored == text,
        "schema/plan.schema.json is not that of the Plan. If the change is meant: VIRTC_BLESS=1 cargo test --lib plan::schema"
    );
}

/// Every `plan.json` below a folder.
fn plans(folder: &Path, out: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()) {
        if path.is_dir() {
            plans(&path, out);
        } else if path.ends_with("plan.json") {
            out.push(path);
        }
    }
}

#[test]
fn the_golden_plans_fit_the_stored_schema() {
    let schema: Value = serde_json::from_slice(&std::fs::read(stored()).expect("the schema")).expect("JSON");
    let mut paths = Vec::new();
    plans(&root().join("golden"), &mut paths);
    assert!(paths.len() >= 8, "{paths:?}");
    for path in paths {
        let bytes = std::fs::read(&path).expect("a plan");
        let plan: Value = serde_json::from_slice(&bytes).expect("JSON");
        let mut faults = Vec::new();
        check(&plan, &schema, &schema, "", &mut faults);
        assert!(faults.is_empty(), "{}: {faults:#?}", path.display());
        // What the schema allows is also read.
        Plan::read(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // A value of another type is found, so that the check above says something.
        let mut wrong = plan.clone();
        wrong["processes"][0]["needs"] = "all".into();
        check(&wrong, &schema, &schema, "", &mut faults);
        assert!(faults.iter().any(|f| f.starts_with("/processes/0/needs")), "{faults:?}");
    }
}

/// Checks a value against the part of JSON schema that is used here; an unknown word of it, and a member that it does not
/// name, are faults.
fn check(value: &Value, schema: &Value, whole: &Value, at: &str, faults: &mut Vec<String>) {
    let Value::Object(schema) = schema else {
        if *schema == Value::Bool(false) {
            faults.push(format!("{at}: not allowed"));
        }
        return;
    };
    let fits = |schema: &Value| {
        let mut inner = Vec::new();
        check(value, schema, whole, at, &mut inner);
        inner
    };
    for (word, wanted) in schema {
        match word.as_str() {
            "$schema"
            | "$defs"
            | "title"
            | "description"
            | "default"
            | "format"
            | "version"
            | "pattern"
            | "required"
            | "items"
            | "minItems"
            | "maxItems"
            | "additionalProperties" => {}
            "$ref" => {
                let name = wanted.as_str().and_then(|r| r.strip_prefix("#/$defs/")).unwrap_or_default();
                faults.extend(fits(&whole["$defs"][name]));
            }
            "type" if !is_of(value, wanted) => faults.push(format!("{at}: {value} is not of type {wanted}")),
            "type" => {}
            "const" if value != wanted => faults.push(format!("{at}: {value} is not {wanted}")),
            "enum" if !wanted.as_array().is_some_and(|all| all.contains(value)) => {
                faults.push(format!("{at}: {value} is none of {wanted}"));
            }
            "const" | "enum" => {}
            "minimum" | "maximum" => {
                let (is, bound) = (value.as_f64(), wanted.as_f64());
                if is.is_some_and(|is| bound.is_some_and(|b| if word == "minimum" { is < b } else { is > b })) {
                    faults.push(format!("{at}: {value} is beyond the {word} {wanted}"));
                }
            }
            "anyOf" | "oneOf" => {
                let of: Vec<Vec<String>> = wanted.as_array().into_iter().flatten().map(&fits).collect();
                if of.iter().all(|faults| !faults.is_empty()) {
                    faults.extend(of.into_iter().flatten());
                }
            }
            "properties" => members(value, schema, whole, at, faults),
            "prefixItems" => {}
            other => faults.push(format!("the schema says '{other}', which this test does not know")),
        }
    }
    elements(value, schema, whole, at, faults);
}

/// The members of an object.
fn members(value: &Value, schema: &Map<String, Value>, whole: &Value, at: &str, faults: &mut Vec<String>) {
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        match schema["properties"].get(name) {
            Some(schema) => check(member, schema, whole, &format!("{at}/{name}"), faults),
            None => faults.push(format!("{at}/{name}: the schema does not name it")),
        }
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    faults.extend(required.filter(|r| !members.contains_key(*r)).map(|r| format!("{at}/{r} is missing")));
}

/// The elements of a list.
fn elements(value: &Value, schema: &Map<String, Value>, whole: &Value, at: &str, faults: &mut Vec<String>) {
    let Value::Array(elements) = value else { return };
    let first = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (i, element) in elements.iter().enumerate() {
        if let Some(schema) = first.get(i).or_else(|| schema.get("items")) {
            check(element, schema, whole, &format!("{at}/{i}"), faults);
        }
    }
}

fn is_of(value: &Value, wanted: &Value) -> bool {
    let one = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match wanted {
        Value::String(kind) => one(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(one),
        _ => false,
    }
}
