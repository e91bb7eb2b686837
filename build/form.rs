//! Reads the KDL form of the schema (docs/SCHEMA.md describes it) into a [`Grammar`].

use kdl::{KdlDocument, KdlNode};
use std::collections::BTreeMap;
use std::path::Path;

/// Everything that `schema/*.kdl` says.
#[derive(Default)]
pub struct Grammar {
    pub types: BTreeMap<String, TypeForm>,
    pub defines: BTreeMap<String, Vec<Item>>,
    pub roots: Vec<Element>,
}

/// A type of values.
pub struct TypeForm {
    pub doc: String,
    /// The enum of its words, if the model has one, and which word it is where nobody says.
    pub model: String,
    pub default: String,
    pub parts: Vec<Part>,
}

/// One alternative of a type.
#[derive(Clone)]
pub enum Part {
    Word {
        word: String,
        doc: String,
        since: String,
    },
    /// Decimal digits within bounds.
    Int(i128, i128),
    /// Hexadecimal digits behind `0x`, within bounds.
    Hex(i128, i128),
    Pattern(String),
    /// A check written in Rust.
    Builtin(String),
    AnyOf(String),
    /// Any text.
    Text,
}

/// Something that stands in an element.
pub enum Item {
    Attr(Attr),
    Element(Element),
    Include(String),
    /// Holds where the attribute has one of the values; where it is absent, if there are none.
    When {
        attr: String,
        values: Vec<String>,
        negate: bool,
        items: Vec<Item>,
    },
    Choice {
        optional: bool,
        options: Vec<Vec<Item>>,
    },
    /// Elements of other namespaces are kept as they are.
    Foreign,
}

pub struct Attr {
    pub name: String,
    pub required: bool,
    pub value: Value,
    /// The enum that its words are in the model; may be empty.
    pub model: String,
    pub default: String,
    pub doc: String,
    pub since: String,
    pub unit: String,
}

pub struct Element {
    /// Unique in the grammar: file and offset.
    pub key: String,
    pub name: String,
    pub min: u8,
    /// 0: no limit.
    pub max: u8,
    pub text: Option<Value>,
    /// The enum that the words of its text are in the model; may be empty.
    pub model: String,
    pub doc: String,
    pub since: String,
    pub unit: String,
    pub items: Vec<Item>,
}

/// The type of an attribute or a text: a named one, words of its own, or both.
pub struct Value {
    pub named: Option<String>,
    pub words: Vec<Part>,
}

/// Reads all `.kdl` files of a folder.
pub fn read_folder(folder: &Path) -> Result<Grammar, String> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map_err(|e| format!("{}: {e}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "kdl"))
        .collect();
    files.sort();
    let mut grammar = Grammar::default();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{name}: {e}"))?;
        let document: KdlDocument = text.parse().map_err(|e: kdl::KdlError| {
            let all: Vec<String> = (e.diagnostics.iter())
                .map(|d| {
                    let line = text[..d.span.offset().min(text.len())].matches('\n').count() + 1;
                    format!(
                        "{name}:{line}: {} {}",
                        d.message.as_deref().unwrap_or("not KDL"),
                        d.label.as_deref().unwrap_or("")
                    )
                })
                .collect();
            all.join("\n")
        })?;
        Reader { file: &name, text: &text, grammar: &mut grammar }.top(&document)?;
    }
    Ok(grammar)
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    grammar: &'a mut Grammar,
}

impl Reader<'_> {
    fn fail<T>(&self, node: &KdlNode, message: &str) -> Result<T, String> {
        let at = node.span().offset().min(self.text.len());
        let line = self.text[..at].matches('\n').count() + 1;
        Err(format!("{}:{line}: {} ({})", self.file, message, node.name().value()))
    }

    fn args(&self, node: &KdlNode) -> Vec<String> {
        node.entries()
            .iter()
            .filter(|e| e.name().is_none())
            .map(|e| match e.value().as_string() {
                Some(text) => text.to_string(),
                None => e.value().to_string(),
            })
            .collect()
    }

    fn prop(&self, node: &KdlNode, name: &str) -> String {
        node.get(name).and_then(|v| v.as_string()).unwrap_or("").to_string()
    }

    fn check_props(&self, node: &KdlNode, known: &[&str]) -> Result<(), String> {
        match node.entries().iter().filter_map(|e| e.name()).find(|n| !known.contains(&n.value())) {
            Some(name) => self.fail(node, &format!("unknown property {}", name.value())),
            None => Ok(()),
        }
    }

    fn top(&mut self, document: &KdlDocument) -> Result<(), String> {
        for node in document.nodes() {
            let args = self.args(node);
            match (node.name().value(), args.as_slice()) {
                ("type", [name, doc]) => {
                    self.check_props(node, &["enum", "default"])?;
                    let parts = self.parts(node)?;
                    let (model, default) = (self.prop(node, "enum"), self.prop(node, "default"));
                    let form = TypeForm { doc: doc.clone(), model, default, parts };
                    if self.grammar.types.insert(name.clone(), form).is_some() {
                        return self.fail(node, "a second type of this name");
                    }
                }
                ("define", [name]) => {
                    let items = self.items(node)?;
                    if self.grammar.defines.insert(name.clone(), items).is_some() {
                        return self.fail(node, "a second definition of this name");
                    }
                }
                ("element", _) => {
                    let element = self.element(node)?;
                    self.grammar.roots.push(element);
                }
                _ => return self.fail(node, "expected type NAME DOC, define NAME or element NAME DOC"),
            }
        }
        Ok(())
    }

    fn parts(&self, node: &KdlNode) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        for child in node.iter_children() {
            let args = self.args(child);
            let bounds = |args: &[String]| match args {
                [] => Some((0, i128::from(u64::MAX))),
                [min, max] => min.parse().ok().zip(max.parse().ok()),
                _ => None,
            };
            match (child.name().value(), args.as_slice()) {
                ("value", [word, doc]) => {
                    self.check_props(child, &["since"])?;
                    let since = self.prop(child, "since");
                    parts.push(Part::Word { word: word.clone(), doc: doc.clone(), since });
                }
                (kind @ ("int" | "hex" | "number"), bound) => {
                    let Some((min, max)) = bounds(bound) else { return self.fail(child, "expected MIN MAX") };
                    if kind != "hex" {
                        parts.push(Part::Int(min, max));
                    }
                    if kind != "int" {
                        parts.push(Part::Hex(min, max));
                    }
                }
                ("pattern", [pattern]) => parts.push(Part::Pattern(pattern.clone())),
                ("builtin", [name]) => parts.push(Part::Builtin(name.clone())),
                ("any-of", names) => parts.extend(names.iter().cloned().map(Part::AnyOf)),
                ("text", []) => parts.push(Part::Text),
                _ => return self.fail(child, "not part of a type"),
            }
        }
        if parts.is_empty() { self.fail(node, "a type without content") } else { Ok(parts) }
    }

    /// The type annotation of the first argument.
    fn annotation(&self, node: &KdlNode) -> Option<String> {
        node.entries().iter().find(|e| e.name().is_none())?.ty().map(|t| t.value().to_string())
    }

    fn element(&mut self, node: &KdlNode) -> Result<Element, String> {
        self.check_props(node, &["since", "unit", "times", "enum"])?;
        let args = self.args(node);
        let [name, doc] = args.as_slice() else { return self.fail(node, "expected element NAME DOC") };
        let (name, min, max) = match name.as_bytes().last() {
            Some(b'?') => (&name[..name.len() - 1], 0, 1),
            Some(b'*') => (&name[..name.len() - 1], 0, 0),
            Some(b'+') => (&name[..name.len() - 1], 1, 0),
            _ => {
                let times = node.get("times").and_then(|v| v.as_integer()).and_then(|n| u8::try_from(n).ok());
                (name.as_str(), times.unwrap_or(1), times.unwrap_or(1))
            }
        };
        let words: Vec<&KdlNode> = node.iter_children().filter(|c| c.name().value() == "value").collect();
        let named = self.annotation(node);
        let text = if named.is_some() || !words.is_empty() {
            let mut parts = Vec::new();
            for word in words {
                parts.push(self.word(word)?);
            }
            Some(Value { named, words: parts })
        } else {
            None
        };
        Ok(Element {
            key: format!("{}@{}", self.file, node.span().offset()),
            name: name.to_string(),
            min,
            max,
            text,
            model: self.prop(node, "enum"),
            doc: doc.clone(),
            since: self.prop(node, "since"),
            unit: self.prop(node, "unit"),
            items: self.items(node)?,
        })
    }

    fn word(&self, node: &KdlNode) -> Result<Part, String> {
        self.check_props(node, &["since"])?;
        match self.args(node).as_slice() {
            [word, doc] => Ok(Part::Word { word: word.clone(), doc: doc.clone(), since: self.prop(node, "since") }),
            _ => self.fail(node, "expected value WORD DOC"),
        }
    }

    fn items(&mut self, node: &KdlNode) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        for child in node.iter_children() {
            let args = self.args(child);
            match (child.name().value(), args.as_slice()) {
                ("value", _) => {}
                ("attr", [name, doc]) => {
                    self.check_props(child, &["since", "unit", "default", "enum"])?;
                    let mut words = Vec::new();
                    for word in child.iter_children() {
                        if word.name().value() != "value" {
                            return self.fail(word, "an attribute holds values only");
                        }
                        words.push(self.word(word)?);
                    }
                    let named = self.annotation(child);
                    if named.is_none() && words.is_empty() {
                        return self.fail(child, "an attribute needs a (type) or values");
                    }
                    items.push(Item::Attr(Attr {
                        name: name.trim_end_matches('?').to_string(),
                        required: !name.ends_with('?'),
                        value: Value { named, words },
                        model: self.prop(child, "enum"),
                        default: self.prop(child, "default"),
                        doc: doc.clone(),
                        since: self.prop(child, "since"),
                        unit: self.prop(child, "unit"),
                    }));
                }
                ("element", _) => items.push(Item::Element(self.element(child)?)),
                ("include", names) if !names.is_empty() => items.extend(names.iter().cloned().map(Item::Include)),
                (kind @ ("when" | "unless"), [attr, values @ ..]) if !values.is_empty() => {
                    let (attr, values, negate) = (attr.clone(), values.to_vec(), kind == "unless");
                    items.push(Item::When { attr, values, negate, items: self.items(child)? });
                }
                (kind @ ("with" | "without"), [attr]) => {
                    let (attr, negate) = (attr.clone(), kind == "with");
                    items.push(Item::When { attr, values: Vec::new(), negate, items: self.items(child)? });
                }
                (kind @ ("choice" | "choice?"), []) => {
                    let mut options = Vec::new();
                    for option in child.iter_children() {
                        if option.name().value() != "option" {
                            return self.fail(option, "a choice holds options only");
                        }
                        options.push(self.items(option)?);
                    }
                    items.push(Item::Choice { optional: kind == "choice?", options });
                }
                ("foreign", []) => items.push(Item::Foreign),
                _ => return self.fail(child, "not part of an element"),
            }
        }
        Ok(items)
    }
}
