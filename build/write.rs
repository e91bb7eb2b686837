//! Writes the grammar as Rust statics.
//!
//! The tables hold indexes and offsets into one text, no pointers: a position-independent program
//! need not relocate them when it starts.

use crate::form::{Attr, Element, Grammar, Item, Part, Value};
use crate::pattern;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const NO_TYPE: usize = 0xffff;

#[derive(Default)]
struct Tables {
    text: String,
    texts: BTreeMap<String, usize>,
    names: Vec<String>,
    name_ids: BTreeMap<String, usize>,
    types: Vec<String>,
    type_ids: BTreeMap<String, usize>,
    parts: Vec<String>,
    words: Vec<String>,
    dfas: Vec<String>,
    dfa_ids: BTreeMap<String, usize>,
    dfa_classes: Vec<u8>,
    dfa_next: Vec<u16>,
    dfa_accept: Vec<bool>,
    elements: Vec<String>,
    element_ids: BTreeMap<String, usize>,
    attrs: Vec<String>,
    children: Vec<String>,
    guards: Vec<String>,
    guard_values: Vec<String>,
    option_attrs: Vec<String>,
    option_children: Vec<String>,
    most_guards: usize,
    /// Fingerprints of `element@attribute` and `element/child`, and of both without the element.
    known: BTreeSet<u64>,
}

struct AttrSlot {
    name: usize,
    guard: usize,
    required: bool,
    ty: usize,
    default: String,
    doc: String,
    since: String,
    unit: String,
}

struct ChildSlot {
    name: usize,
    guard: usize,
    element: usize,
    min: u8,
    max: u8,
    doc: String,
}

enum Guard {
    When { parent: usize, attr: String, values: Vec<String>, negate: bool },
    Option { parent: usize, index: usize, count: usize },
}

#[derive(Default)]
struct Body {
    attrs: Vec<AttrSlot>,
    children: Vec<ChildSlot>,
    guards: Vec<Guard>,
    foreign: bool,
}

/// The Rust source of the tables.
pub fn tables(grammar: &Grammar) -> Result<String, String> {
    let mut t = Tables::default();
    let roots: Vec<&Element> = grammar.roots.iter().collect();
    let [root] = roots.as_slice() else { return Err("there must be one root element".to_string()) };
    let root = t.element(grammar, root)?;
    if root != 0 {
        return Err("the root is not the first element".to_string());
    }
    Ok(t.source())
}

impl Tables {
    fn text(&mut self, text: &str) -> String {
        let at = match self.texts.get(text) {
            Some(at) => *at,
            None => {
                // Another text may hold this one already.
                let at = self.text.find(text).unwrap_or_else(|| {
                    self.text.push_str(text);
                    self.text.len() - text.len()
                });
                self.texts.insert(text.to_string(), at);
                at
            }
        };
        format!("t({at},{})", text.len())
    }

    fn name(&mut self, name: &str) -> usize {
        if let Some(id) = self.name_ids.get(name) {
            return *id;
        }
        let id = self.names.len();
        self.names.push(name.to_string());
        self.name_ids.insert(name.to_string(), id);
        id
    }

    fn flat_parts(&self, grammar: &Grammar, parts: &[Part], depth: usize, out: &mut Vec<Part>) -> Result<(), String> {
        for part in parts {
            match part {
                Part::AnyOf(name) => {
                    let form = grammar.types.get(name).ok_or_else(|| format!("no type {name}"))?;
                    if depth > 8 {
                        return Err(format!("type {name} contains itself"));
                    }
                    self.flat_parts(grammar, &form.parts, depth + 1, out)?;
                }
                other => out.push(other.clone()),
            }
        }
        Ok(())
    }

    fn value(&mut self, grammar: &Grammar, value: &Value) -> Result<usize, String> {
        let mut parts = Vec::new();
        self.flat_parts(grammar, &value.words, 0, &mut parts)?;
        let (name, doc) = match &value.named {
            Some(name) => {
                let form = grammar.types.get(name).ok_or_else(|| format!("no type {name}"))?;
                self.flat_parts(grammar, &form.parts, 0, &mut parts)?;
                (name.as_str(), form.doc.as_str())
            }
            None => ("", ""),
        };
        let first_word = self.words.len();
        let mut words = Vec::new();
        let mut others = Vec::new();
        for part in parts {
            match part {
                Part::Word { word, doc, since } => {
                    let (word, doc, since) = (self.text(&word), self.text(&doc), self.text(&since));
                    words.push(format!("Word {{ word: {word}, doc: {doc}, since: {since} }}"));
                }
                Part::Int(min, max) => others.push(format!("Part::Int({min},{max})")),
                Part::Hex(min, max) => others.push(format!("Part::Hex({min},{max})")),
                Part::Pattern(p) => others.push(format!("Part::Pattern({})", self.dfa(&p)?)),
                Part::Builtin(b) => others.push(format!("Part::Builtin(Builtin::{b})")),
                Part::Text => others.push("Part::Text".to_string()),
                Part::AnyOf(_) => return Err("an unresolved type".to_string()),
            }
        }
        let key = format!("{name}|{}|{}", words.join(","), others.join(","));
        if let Some(id) = self.type_ids.get(&key) {
            return Ok(*id);
        }
        let first_part = self.parts.len();
        if !words.is_empty() {
            self.parts.push(format!("Part::Words({first_word},{})", words.len()));
            self.words.extend(words);
        }
        self.parts.extend(others);
        let (name, doc) = (self.text(name), self.text(doc));
        self.types.push(format!(
            "Type {{ name: {name}, doc: {doc}, parts: ({first_part},{}) }}",
            self.parts.len() - first_part
        ));
        self.type_ids.insert(key, self.types.len() - 1);
        Ok(self.types.len() - 1)
    }

    fn dfa(&mut self, pattern: &str) -> Result<usize, String> {
        if let Some(id) = self.dfa_ids.get(pattern) {
            return Ok(*id);
        }
        let dfa = pattern::compile(pattern)?;
        let (classes, next, accept) = (self.dfa_classes.len(), self.dfa_next.len(), self.dfa_accept.len());
        self.dfa_classes.extend(&dfa.classes);
        self.dfa_next.extend(&dfa.next);
        self.dfa_accept.extend(&dfa.accept);
        let width = dfa.width;
        self.dfas.push(format!("Dfa {{ classes: {classes}, width: {width}, next: {next}, accept: {accept} }}"));
        self.dfa_ids.insert(pattern.to_string(), self.dfas.len() - 1);
        Ok(self.dfas.len() - 1)
    }

    fn element(&mut self, grammar: &Grammar, form: &Element) -> Result<usize, String> {
        if let Some(id) = self.element_ids.get(&form.key) {
            return Ok(*id);
        }
        let id = self.elements.len();
        self.elements.push(String::new());
        self.element_ids.insert(form.key.clone(), id);
        let place = |e: String| format!("{} <{}>: {e}", form.key, form.name);
        let mut body = Body::default();
        self.flatten(grammar, &form.items, 0, 0, &mut body).map_err(place)?;
        let text = match &form.text {
            Some(value) => self.value(grammar, value).map_err(place)?,
            None => NO_TYPE,
        };
        let name = self.name(&form.name);
        let guards = self.guards(&body).map_err(place)?;
        let attrs = self.attrs.len();
        for a in &body.attrs {
            let texts = [&a.default, &a.doc, &a.since, &a.unit].map(|x| self.text(x));
            let [default, doc, since, unit] = texts;
            self.attrs.push(format!(
                "AttrSlot {{ name: {}, guard: {}, required: {}, ty: {}, default: {default}, doc: {doc}, since: {since}, unit: {unit} }}",
                a.name, a.guard, a.required, a.ty
            ));
        }
        self.know(&form.name, &body);
        let children = self.children.len();
        for c in &body.children {
            let doc = self.text(&c.doc);
            self.children.push(format!(
                "ChildSlot {{ name: {}, guard: {}, element: {}, min: {}, max: {}, doc: {doc} }}",
                c.name, c.guard, c.element, c.min, c.max
            ));
        }
        let [doc, since, unit] = [&form.doc, &form.since, &form.unit].map(|x| self.text(x));
        self.elements[id] = format!(
            "Element {{ name: {name}, text: {text}, attrs: ({attrs},{}), children: ({children},{}), guards: {guards}, foreign: {}, doc: {doc}, since: {since}, unit: {unit} }}",
            body.attrs.len(),
            body.children.len(),
            body.foreign
        );
        Ok(id)
    }

    fn know(&mut self, element: &str, body: &Body) {
        let attrs = body.attrs.iter().map(|a| ('@', &self.names[a.name]));
        for (sign, name) in attrs.chain(body.children.iter().map(|c| ('/', &self.names[c.name]))) {
            self.known.extend([element, ""].map(|holder| fingerprint(&format!("{holder}{sign}{name}"))));
        }
    }

    fn flatten(
        &mut self,
        grammar: &Grammar,
        items: &[Item],
        guard: usize,
        depth: usize,
        body: &mut Body,
    ) -> Result<(), String> {
        if depth > 16 {
            return Err("a definition includes itself".to_string());
        }
        for item in items {
            match item {
                Item::Attr(a) => {
                    let Attr { name, required, value, default, doc, since, unit, model: _ } = a;
                    let ty = self.value(grammar, value).map_err(|e| format!("{name}: {e}"))?;
                    let (default, doc, since, unit) = (default.clone(), doc.clone(), since.clone(), unit.clone());
                    let name = self.name(name);
                    body.attrs.push(AttrSlot { name, guard, required: *required, ty, default, doc, since, unit });
                }
                Item::Element(e) => {
                    let element = self.element(grammar, e)?;
                    let (name, doc) = (self.name(&e.name), e.doc.clone());
                    body.children.push(ChildSlot { name, guard, element, min: e.min, max: e.max, doc });
                }
                Item::Include(name) => {
                    let items = grammar.defines.get(name).ok_or_else(|| format!("no definition {name}"))?;
                    self.flatten(grammar, items, guard, depth + 1, body)?;
                }
                Item::When { attr, values, negate, items } => {
                    body.guards.push(Guard::When {
                        parent: guard,
                        attr: attr.clone(),
                        values: values.clone(),
                        negate: *negate,
                    });
                    let inner = body.guards.len();
                    self.flatten(grammar, items, inner, depth + 1, body)?;
                }
                Item::Choice { optional, options } => {
                    let count = options.len() + usize::from(*optional);
                    let first = body.guards.len() + 1;
                    for index in 0..count {
                        body.guards.push(Guard::Option { parent: guard, index, count });
                    }
                    for (index, items) in options.iter().enumerate() {
                        self.flatten(grammar, items, first + index, depth + 1, body)?;
                    }
                }
                Item::Foreign => body.foreign = true,
            }
        }
        Ok(())
    }

    fn guards(&mut self, body: &Body) -> Result<String, String> {
        let parent = |g: usize| match &body.guards[g - 1] {
            Guard::When { parent, .. } | Guard::Option { parent, .. } => *parent,
        };
        let within = |mut g: usize, outer: usize| {
            while g != 0 && g != outer {
                g = parent(g);
            }
            g == outer
        };
        let first = self.guards.len();
        self.most_guards = self.most_guards.max(body.guards.len());
        if body.guards.len() > 250 {
            return Err("more than 250 conditions".to_string());
        }
        for (at, guard) in body.guards.iter().enumerate() {
            let line = match guard {
                Guard::When { parent, attr, values, negate } => {
                    let name = *self.name_ids.get(attr).ok_or_else(|| format!("no attribute {attr}"))?;
                    let slots: Vec<&AttrSlot> = body.attrs.iter().filter(|a| a.name == name).collect();
                    if slots.is_empty() {
                        return Err(format!("a condition on {attr}, which is no attribute here"));
                    }
                    let default = slots.iter().find(|s| !s.default.is_empty()).map_or("", |s| s.default.as_str());
                    let (default, from) = (self.text(default), self.guard_values.len());
                    for v in values {
                        let v = self.text(v);
                        self.guard_values.push(v);
                    }
                    let count = values.len();
                    format!(
                        "Guard::When {{ parent: {parent}, attr: {name}, values: ({from},{count}), negate: {negate}, default: {default} }}"
                    )
                }
                Guard::Option { parent, index, count } => {
                    let me = at + 1;
                    let (from_a, from_c) = (self.option_attrs.len(), self.option_children.len());
                    for a in body.attrs.iter().filter(|a| within(a.guard, me)) {
                        self.option_attrs.push(format!("({},{},{})", a.name, a.ty, a.required && a.guard == me));
                    }
                    for c in body.children.iter().filter(|c| within(c.guard, me)) {
                        self.option_children.push(format!("({},{})", c.name, c.min > 0 && c.guard == me));
                    }
                    let (a, c) = (self.option_attrs.len() - from_a, self.option_children.len() - from_c);
                    format!(
                        "Guard::Option {{ parent: {parent}, index: {index}, count: {count}, attrs: ({from_a},{a}), children: ({from_c},{c}) }}"
                    )
                }
            };
            self.guards.push(line);
        }
        Ok(format!("({first},{})", body.guards.len()))
    }

    fn source(mut self) -> String {
        let mut out = String::new();
        let names: Vec<String> = self.names.clone();
        let name_texts: Vec<String> = names.iter().map(|n| self.text(n)).collect();
        let size = (names.len() * 4).next_power_of_two();
        let mut slots = vec![0xffffu16; size];
        for (id, name) in names.iter().enumerate() {
            let mut at = hash(name) as usize & (size - 1);
            while slots[at] != 0xffff {
                at = (at + 1) & (size - 1);
            }
            slots[at] = id as u16;
        }
        let _ = writeln!(out, "pub static TEXT: &str = {:?};", self.text);
        let _ = writeln!(out, "pub const MOST_GUARDS: usize = {};", self.most_guards);
        list(&mut out, "NAMES", "Text", &name_texts);
        list(&mut out, "NAME_SLOTS", "u16", &slots);
        list(&mut out, "TYPES", "Type", &self.types);
        list(&mut out, "PARTS", "Part", &self.parts);
        list(&mut out, "WORDS", "Word", &self.words);
        list(&mut out, "DFAS", "Dfa", &self.dfas);
        list(&mut out, "DFA_CLASSES", "u8", &self.dfa_classes);
        list(&mut out, "DFA_NEXT", "u16", &self.dfa_next);
        list(&mut out, "DFA_ACCEPT", "bool", &self.dfa_accept);
        list(&mut out, "ELEMENTS", "Element", &self.elements);
        list(&mut out, "ATTRS", "AttrSlot", &self.attrs);
        list(&mut out, "CHILDREN", "ChildSlot", &self.children);
        list(&mut out, "GUARDS", "Guard", &self.guards);
        list(&mut out, "GUARD_VALUES", "Text", &self.guard_values);
        list(&mut out, "OPTION_ATTRS", "(u16, u16, bool)", &self.option_attrs);
        list(&mut out, "OPTION_CHILDREN", "(u16, bool)", &self.option_children);
        let _ = writeln!(out, "pub const KNOWN: &[u64] = &{:?};", Vec::from_iter(&self.known));
        out
    }
}

fn list<T: std::fmt::Display>(out: &mut String, name: &str, ty: &str, items: &[T]) {
    let _ = write!(out, "pub static {name}: [{ty}; {}] = [", items.len());
    for (at, item) in items.iter().enumerate() {
        let _ = write!(out, "{}{item},", if at % 8 == 0 { "\n" } else { "" });
    }
    out.push_str("];\n");
}

/// FNV-1a; `src/schema/tables.rs` has the same.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// FNV-1a of 64 bits; `src/schema/known.rs` has the same.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
