//! Writes the words of the format as Rust enums: one for each `enum=NAME` of the schema.
//!
//! Several places may bear one name; the enum has the words of all of them, in the order of the schema.

use crate::form::{Element, Grammar, Item, Part, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// An enum on the way.
#[derive(Default)]
struct Enum {
    doc: String,
    default: String,
    /// Each word with what it means.
    words: Vec<(String, String)>,
}

struct Words<'a> {
    grammar: &'a Grammar,
    enums: BTreeMap<String, Enum>,
}

/// The Rust source of the enums.
pub fn enums(grammar: &Grammar) -> Result<String, String> {
    let mut all = Words { grammar, enums: BTreeMap::new() };
    for (name, form) in &grammar.types {
        let value = Value { named: Some(name.clone()), words: Vec::new() };
        all.add(&form.model, &form.default, &value, format!("{}.", capital(&form.doc)))?;
    }
    for (name, items) in &grammar.defines {
        all.items(name, items)?;
    }
    for root in &grammar.roots {
        all.element(root)?;
    }
    let mut out = String::new();
    for (name, one) in &all.enums {
        write(&mut out, name, one)?;
    }
    Ok(out)
}

impl Words<'_> {
    fn element(&mut self, element: &Element) -> Result<(), String> {
        if let Some(text) = &element.text {
            self.add(&element.model, "", text, format!("`<{}>`: {}", element.name, element.doc))?;
        } else if !element.model.is_empty() {
            return Err(format!("enum={}: <{}> has no words", element.model, element.name));
        }
        self.items(&element.name, &element.items)
    }

    /// `holder` is the element or the definition in which the items stand.
    fn items(&mut self, holder: &str, items: &[Item]) -> Result<(), String> {
        for item in items {
            match item {
                Item::Attr(a) => {
                    self.add(&a.model, "", &a.value, format!("`{}='…'` of {holder}: {}", a.name, a.doc))?;
                }
                Item::Element(e) => self.element(e)?,
                Item::When { items, .. } => self.items(holder, items)?,
                Item::Choice { options, .. } => options.iter().try_for_each(|o| self.items(holder, o))?,
                Item::Include(_) | Item::Foreign => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, default: &str, value: &Value, doc: String) -> Result<(), String> {
        if name.is_empty() {
            return Ok(());
        }
        let mut words = Vec::new();
        self.words(value, &mut words);
        if words.is_empty() {
            return Err(format!("enum={name}: there are no words ({doc})"));
        }
        let one = self.enums.entry(name.to_string()).or_default();
        if one.doc.is_empty() {
            one.doc = doc;
        }
        if !default.is_empty() {
            one.default = default.to_string();
        }
        for (word, doc) in words {
            if !one.words.iter().any(|(w, _)| *w == word) {
                one.words.push((word, doc));
            }
        }
        Ok(())
    }

    fn words(&self, value: &Value, to: &mut Vec<(String, String)>) {
        let named = value.named.iter().flat_map(|n| self.grammar.types.get(n)).flat_map(|form| &form.parts);
        for part in named.chain(&value.words) {
            match part {
                Part::Word { word, doc, .. } => to.push((word.clone(), doc.clone())),
                Part::AnyOf(name) => self.words(&Value { named: Some(name.clone()), words: Vec::new() }, to),
                _ => {}
            }
        }
    }
}

fn write(out: &mut String, name: &str, one: &Enum) -> Result<(), String> {
    let derive = if one.default.is_empty() { "" } else { "#[derive(Default)] " };
    let _ = writeln!(out, "keywords! {{\n    #[doc = {:?}]\n    {derive}pub enum {name} {{", one.doc);
    let mut seen: Vec<String> = Vec::new();
    for (word, doc) in &one.words {
        let variant = variant(word);
        if seen.contains(&variant) {
            return Err(format!("enum={name}: '{word}' and another word are both {variant}"));
        }
        let default = if one.default == *word { "#[default] " } else { "" };
        let _ = writeln!(out, "        #[doc = {doc:?}] {default}{variant} = {word:?},");
        seen.push(variant);
    }
    if !one.default.is_empty() && !one.words.iter().any(|(w, _)| *w == one.default) {
        return Err(format!("enum={name}: the default '{}' is none of the words", one.default));
    }
    out.push_str("    }\n}\n");
    Ok(())
}

/// How a word is called in Rust: `virtio-scsi` is `VirtioScsi`, `1.2` is `V12`.
fn variant(word: &str) -> String {
    let name: String = word.split(|c: char| !c.is_ascii_alphanumeric()).map(capital).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("V{name}") } else { name }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
