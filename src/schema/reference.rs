//! The format's reference, for people (terminal, Markdown) and editors (JSON), out of the tables.

use super::tables::{self, ChildSlot, Element, Guard, Type, name_text};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

/// A place of the format: a path such as `/domain/devices/disk/source`, and the definitions that hold there,
/// each under its own condition.
pub struct Place {
    /// The path from the root.
    pub path: String,
    /// The definitions: condition (may be empty), what it is here, content.
    pub variants: Vec<(String, &'static str, &'static Element)>,
}

/// Every place of the format, parents before children. An element that holds itself (a backing store) is listed
/// once.
pub fn places() -> Vec<Place> {
    let mut all: Vec<Place> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut seen = vec![false; tables::elements().len()];
    let root = Element::root();
    let mut todo = VecDeque::from([(format!("/{}", name_text(root.name)), String::new(), root.doc.get(), root, 0u16)]);
    while let Some((path, condition, doc, def, id)) = todo.pop_front() {
        let at = *known.entry(path.clone()).or_insert_with(|| {
            all.push(Place { path: path.clone(), variants: Vec::new() });
            all.len() - 1
        });
        let place = &mut all[at];
        match place.variants.iter_mut().find(|v| std::ptr::eq(v.2, def)) {
            Some(same) => {
                if same.0 != condition {
                    same.0 = format!("{}, or {condition}", same.0);
                }
                continue;
            }
            None => place.variants.push((condition, doc, def)),
        }
        if std::mem::replace(&mut seen[id as usize], true) && path.matches('/').count() > 6 {
            continue;
        }
        for slot in def.children() {
            let name = name_text(slot.name);
            let recursive = path.split('/').filter(|p| *p == name).count() > 0 && seen[slot.id() as usize];
            if !recursive {
                let when = condition_text(def, slot.guard);
                todo.push_back((format!("{path}/{name}"), when, slot.doc.get(), slot.element(), slot.id()));
            }
        }
    }
    all
}

/// The places whose path ends with `query` (`disk/source`, `/domain/os`); those nearest to the root first.
pub fn find<'p>(all: &'p [Place], query: &str) -> Vec<&'p Place> {
    let query = query.trim_matches(['/', '<', '>']);
    let ending = format!("/{query}");
    let mut hits: Vec<&Place> = all.iter().filter(|p| p.path.ends_with(&ending)).collect();
    hits.sort_by_key(|p| p.path.matches('/').count());
    // An exact path, or one clearly nearer to the root, stands alone.
    if let Some(exact) = hits.iter().find(|p| p.path.trim_matches('/') == query) {
        return vec![*exact];
    }
    hits
}

/// The places that have the attribute with which a query ends: `disk/target/bus`, `disk/target@bus`.
pub fn with_attribute<'p>(all: &'p [Place], query: &str) -> Vec<&'p Place> {
    let Some((place, attr)) = query.rsplit_once(['/', '@']) else { return Vec::new() };
    let has = |p: &&Place| p.variants.iter().any(|v| v.2.attrs().iter().any(|a| name_text(a.name) == attr));
    find(all, place.trim_end_matches('/')).into_iter().filter(has).collect()
}

/// What was probably meant by a query that finds nothing.
pub fn similar(all: &[Place], query: &str) -> Option<String> {
    let name = |p: &'_ Place| p.path.rsplit('/').next().unwrap_or("").to_string();
    let (above, last) = query.rsplit_once('/').unwrap_or(("", query));
    // Below an element that there is, what it holds is meant.
    let below: Vec<String> = (all.iter())
        .filter(|p| !above.is_empty() && p.path.rsplit_once('/').is_some_and(|(path, _)| path.ends_with(above)))
        .map(name)
        .collect();
    if let [meant, ..] = super::suggest::meant(last, below.iter().map(String::as_str)).as_slice() {
        return Some(format!("{above}/{meant}"));
    }
    let names: Vec<String> = all.iter().map(name).collect();
    super::suggest::nearest(last, names.iter().map(String::as_str)).map(str::to_string)
}

/// The condition of a guard: `type='file' and device='lun'`; empty for none.
pub fn condition_text(def: &Element, guard: u8) -> String {
    let mut parts = Vec::new();
    let mut at = guard;
    while at != 0 {
        let Some(g) = def.guards().get(at as usize - 1) else { break };
        at = match g {
            Guard::When { parent, attr, negate, .. } => {
                let name = name_text(*attr);
                let values: Vec<String> = g.values().iter().map(|v| format!("'{}'", v.get())).collect();
                parts.push(match (values.is_empty(), negate) {
                    (true, false) => format!("without {name}"),
                    (true, true) => format!("with {name}"),
                    (false, false) => format!("{name}={}", values.join(" or ")),
                    (false, true) => format!("{name} not {}", values.join(" or ")),
                });
                *parent
            }
            Guard::Option { parent, index, count, .. } => {
                // An only option may be there or not; that says nothing.
                if *count > 1 {
                    parts.push(format!("alternative {}", index + 1));
                }
                *parent
            }
        };
    }
    parts.reverse();
    parts.join(", ")
}

/// How often a child may be there, in words.
fn cardinality(min: u8, max: u8) -> std::borrow::Cow<'static, str> {
    match (min, max) {
        (0, 1) => "optional".into(),
        (0, _) => "any number".into(),
        (_, 1) => "required".into(),
        (_, 0) => "one or more".into(),
        (_, most) => format!("exactly {most}").into(),
    }
}

fn type_text(ty: &Type) -> String {
    if ty.words().is_empty() { ty.doc.get().to_string() } else { super::wording::expected(ty) }
}

fn notes(since: &str, unit: &str, default: &str) -> String {
    let mut notes = Vec::new();
    if !unit.is_empty() {
        notes.push(format!("unit: {unit}"));
    }
    if !default.is_empty() {
        notes.push(format!("default: {default}"));
    }
    if !since.is_empty() {
        notes.push(format!("since {since}"));
    }
    if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join("; ")) }
}

/// Version of a child, and the unit of its text: often another attribute says that.
fn child_notes(slot: &ChildSlot) -> String {
    let def = slot.element();
    let chosen = def.attrs().iter().find(|a| name_text(a.name) == "unit" && !a.default.get().is_empty());
    match chosen {
        Some(unit) if def.unit.get().is_empty() => {
            notes(def.since.get(), &format!("{}, or what its attribute 'unit' says", unit.default.get()), "")
        }
        _ => notes(def.since.get(), def.unit.get(), ""),
    }
}

/// A switch of two words that need no explanation.
fn is_switch(ty: &Type) -> bool {
    matches!(ty.name.get(), "on-off" | "yes-no")
}

/// A page for the terminal.
pub fn text_page(place: &Place) -> String {
    let mut out = String::new();
    let name = place.path.rsplit('/').next().unwrap_or("");
    let _ = writeln!(out, "<{name}>   {}", place.path);
    for (condition, doc, def) in &place.variants {
        out.push('\n');
        if !condition.is_empty() {
            let _ = writeln!(out, "where the parent has {condition}:");
        }
        let _ = writeln!(out, "{doc}{}", notes(def.since.get(), def.unit.get(), ""));
        if let Some(ty) = def.text() {
            let _ = writeln!(out, "\nText\n  {}", type_text(ty));
            words_text(&mut out, ty);
        }
        if !def.attrs().is_empty() {
            out.push_str("\nAttributes\n");
        }
        for slot in def.attrs() {
            let when = condition_text(def, slot.guard);
            let when = if when.is_empty() { String::new() } else { format!("  ({when})") };
            let need = if slot.required { "required" } else { "optional" };
            let _ = writeln!(out, "  {:<18} {need}{when}", name_text(slot.name));
            let extra = notes(slot.since.get(), slot.unit.get(), slot.default.get());
            let _ = writeln!(out, "      {}{extra}", slot.doc.get());
            if slot.ty().words().is_empty() || is_switch(slot.ty()) {
                let _ = writeln!(out, "      {}", slot.ty().doc.get());
            } else {
                words_text(&mut out, slot.ty());
            }
        }
        if !def.children().is_empty() || def.foreign {
            out.push_str("\nElements\n");
        }
        for slot in def.children() {
            let when = condition_text(def, slot.guard);
            let when = if when.is_empty() { String::new() } else { format!("  ({when})") };
            let tag = format!("<{}>", name_text(slot.name));
            let extra = child_notes(slot);
            let _ =
                writeln!(out, "  {tag:<18} {}{when}\n      {}{extra}", cardinality(slot.min, slot.max), slot.doc.get());
        }
        if def.foreign {
            out.push_str("  any elements of other namespaces\n");
        }
    }
    out
}

fn words_text(out: &mut String, ty: &Type) {
    for word in ty.words() {
        let since = notes(word.since.get(), "", "");
        let _ = writeln!(out, "        {:<18} {}{since}", word.word.get(), word.doc.get());
    }
    if ty.has_other_than_words() && !ty.words().is_empty() {
        let _ = writeln!(out, "        or {}", ty.doc.get());
    }
}

/// The Markdown pages: file name and content, in order.
pub fn markdown() -> Vec<(String, String)> {
    let all = places();
    let mut files: Vec<(String, String)> = Vec::new();
    let mut index = String::from(
        "# The domain format\n\nThe reference of the domain format of libvirt 11.3, as virtc checks it. Written by \
         `virtc schema --format markdown`\nfrom `schema/*.kdl`; a test keeps it true. `virtc schema ELEMENT` shows the \
         same in the terminal.\n\n| page | what |\n|---|---|\n",
    );
    for place in &all {
        let file = file_of(&place.path);
        let at = match files.iter().position(|(f, _)| *f == file) {
            Some(at) => at,
            None => {
                let name = place.path.rsplit('/').next().unwrap_or("");
                let doc = place.variants.first().map_or("", |v| v.1);
                let _ = writeln!(index, "| [{name}]({file}) | {} |", escape(doc));
                files.push((file, format!("# {name}\n\n[All pages](README.md)\n")));
                files.len() - 1
            }
        };
        markdown_section(&mut files[at].1, place);
    }
    files.insert(0, ("README.md".to_string(), index));
    files
}

/// Each child of `<domain>` and of `<devices>` has a page of its own.
fn file_of(path: &str) -> String {
    let mut parts = path.split('/').skip(2);
    match (parts.next(), parts.next()) {
        (None, _) => "domain.md".to_string(),
        (Some("devices"), None) => "devices.md".to_string(),
        (Some("devices"), Some(device)) => format!("devices-{device}.md"),
        (Some(name), _) => format!("{}.md", name.replace(':', "-")),
    }
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*")
}

fn markdown_section(out: &mut String, place: &Place) {
    let _ = writeln!(out, "\n## `{}`", place.path);
    for (condition, doc, def) in &place.variants {
        out.push('\n');
        if !condition.is_empty() {
            let _ = write!(out, "Where the parent has `{condition}`: ");
        }
        let _ = writeln!(out, "{}{}", escape(doc), escape(&notes(def.since.get(), def.unit.get(), "")));
        if let Some(ty) = def.text() {
            let _ = writeln!(out, "\nText: {}.", escape(&markdown_type(ty)));
        }
        if !def.attrs().is_empty() {
            out.push_str("\n| attribute | | value | what |\n|---|---|---|---|\n");
        }
        for slot in def.attrs() {
            let need = if slot.required { "required" } else { "" };
            let when = condition_text(def, slot.guard);
            let when = if when.is_empty() { String::new() } else { format!(" ({when})") };
            let extra = notes(slot.since.get(), slot.unit.get(), slot.default.get());
            let what = escape(&format!("{}{when}{extra}", slot.doc.get()));
            let _ = writeln!(
                out,
                "| `{}` | {need} | {} | {what} |",
                name_text(slot.name),
                escape(&markdown_type(slot.ty()))
            );
        }
        if !def.children().is_empty() {
            out.push_str("\n| element | | what |\n|---|---|---|\n");
        }
        for slot in def.children() {
            let when = condition_text(def, slot.guard);
            let when = if when.is_empty() { String::new() } else { format!(" ({when})") };
            let what = escape(&format!("{}{when}{}", slot.doc.get(), child_notes(slot)));
            let _ = writeln!(out, "| `{}` | {} | {what} |", name_text(slot.name), cardinality(slot.min, slot.max));
        }
        if def.foreign {
            out.push_str("\nHolds any elements of other namespaces.\n");
        }
    }
}

fn markdown_type(ty: &Type) -> String {
    let mut parts: Vec<String> =
        (ty.words().iter()).map(|w| format!("`{}` {}", w.word.get(), w.doc.get().trim_end_matches('.'))).collect();
    if is_switch(ty) {
        parts = ty.words().iter().map(|w| format!("`{}`", w.word.get())).collect();
    }
    if ty.has_other_than_words() {
        parts.push(ty.doc.get().to_string());
    }
    parts.join("; ")
}

/// The whole format for editors: element definitions by number, the root first.
pub fn json() -> Value {
    let all = tables::elements();
    let number = |def: &Element| all.iter().position(|d| std::ptr::eq(d, def));
    let elements: Vec<Value> = all
        .iter()
        .map(|def| {
            let attributes: Vec<Value> = (def.attrs().iter())
                .map(|a| {
                    json!({
                        "name": name_text(a.name),
                        "required": a.required,
                        "when": condition_text(def, a.guard),
                        "default": a.default.get(),
                        "unit": a.unit.get(),
                        "since": a.since.get(),
                        "doc": a.doc.get(),
                        "value": json_type(a.ty()),
                    })
                })
                .collect();
            let children: Vec<Value> = (def.children().iter())
                .map(|c| {
                    json!({
                        "name": name_text(c.name),
                        "element": number(c.element()),
                        "min": c.min,
                        "max": if c.max == 0 { Value::Null } else { c.max.into() },
                        "when": condition_text(def, c.guard),
                        "doc": c.doc.get(),
                    })
                })
                .collect();
            json!({
                "name": name_text(def.name),
                "doc": def.doc.get(),
                "since": def.since.get(),
                "unit": def.unit.get(),
                "text": def.text().map(json_type),
                "attributes": attributes,
                "children": children,
                "keepsForeign": def.foreign,
            })
        })
        .collect();
    json!({ "format": "libvirt domain", "version": "11.3.0", "elements": elements })
}

fn json_type(ty: &Type) -> Value {
    let words: Vec<Value> = (ty.words().iter())
        .map(|w| json!({ "word": w.word.get(), "doc": w.doc.get(), "since": w.since.get() }))
        .collect();
    json!({ "type": ty.name.get(), "expected": super::wording::expected(ty), "words": words })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bind::Shape;

    #[test]
    fn every_definition_has_a_place_and_every_entry_a_doc() {
        let all = places();
        for (at, def) in tables::elements().iter().enumerate() {
            let found = all.iter().any(|p| p.variants.iter().any(|v| std::ptr::eq(v.2, def)));
            assert!(found, "definition {at} <{}> is nowhere", name_text(def.name));
            assert!(!def.doc.get().is_empty(), "<{}> has no doc", name_text(def.name));
            for attr in def.attrs() {
                assert!(!attr.doc.get().is_empty(), "{} of <{}>", name_text(attr.name), name_text(def.name));
                assert!(attr.ty().words().iter().all(|w| !w.doc.get().is_empty()), "{}", name_text(attr.name));
            }
        }
    }

    #[test]
    fn docs_format_says_what_the_schema_says() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format");
        let pages = markdown();
        for (name, text) in &pages {
            let stored = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert!(stored == *text, "docs/format/{name} is out of date: run `virtc schema --format markdown`");
        }
        let names: Vec<&str> = pages.iter().map(|(n, _)| n.as_str()).collect();
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(names.contains(&name.as_str()), "docs/format/{name} belongs to nothing in the schema");
        }
    }

    #[test]
    fn queries_find_by_ending() {
        let all = places();
        assert_eq!(find(&all, "disk/source")[0].path, "/domain/devices/disk/source");
        assert_eq!(find(&all, "domain").len(), 1);
        assert!(find(&all, "nonsense").is_empty());
        assert_eq!(similar(&all, "contoller").as_deref(), Some("controller"));
    }

    /// Names of a model that no definition at the same path has.
    fn unknown(shape: &Shape, defs: &[&'static Element], path: &str, out: &mut Vec<String>) {
        let attrs = || defs.iter().flat_map(|d| d.attrs());
        out.extend(
            (shape.attrs.iter()).filter(|a| !attrs().any(|s| name_text(s.name) == **a)).map(|a| format!("{path}/@{a}")),
        );
        for (name, inner) in &shape.children {
            let path = format!("{path}/{name}");
            let slots = defs.iter().flat_map(|d| d.children()).filter(|s| name_text(s.name) == *name);
            let below: Vec<&'static Element> = slots.map(|s| s.element()).collect();
            if below.is_empty() {
                out.push(path);
            } else {
                unknown(inner, &below, &path, out);
            }
        }
    }

    /// Parts of the model that many elements share read a little more than each of them has; the schema has
    /// refused it before. By the end of the path.
    const SHARED: &[&str] = &[
        // The information that all devices share.
        "/alias",
        "/acpi",
        "/acpi/@index",
        "/acpi/@nodeset",
        "/boot",
        "/boot/@order",
        "/boot/@loadparm",
        "/rom",
        "/log",
        // Sources, credentials and encryption of disks.
        "/cipher/@state",
        "/source/reconnect",
        "/format/metadata_cache",
        // Entries of all tables of SMBIOS, and of fw_cfg.
        "/entry/@file",
        "/entry/@name",
        // Offloads and limits of both directions.
        "/guest/@gso",
        "/guest/@mrg_rxbuf",
        "/outbound/@floor",
        // Measures of both kinds.
        "/latency/@unit",
        // The driver of file systems and of network interfaces.
        "/filesystem/driver/@name",
        // Known to libvirt alone.
        "/graphics/@websocketGenerated",
    ];

    #[test]
    fn the_model_binds_no_name_that_the_schema_lacks() {
        let shape = Shape::of::<crate::domain::Domain>();
        assert!(shape.children.len() > 20, "the shape of the model is empty");
        let mut strangers = Vec::new();
        unknown(&shape, &[Element::root()], "/domain", &mut strangers);
        strangers.retain(|s| !SHARED.iter().any(|end| s.ends_with(end)));
        assert!(strangers.is_empty(), "bound by the model, but not in schema/*.kdl: {strangers:#?}");
    }
}
