//! A lock is read, strictly: what is not known is a fault.

use super::families::FAMILIES;
use super::{Entry, Lock, Machine, VERSION, Values};
use crate::diag::codes::lock as codes;
use crate::diag::{Diagnostics, Span};
use crate::host::kdl::{self, name_span};
use ::kdl::{KdlEntry, KdlNode};

/// Reads a lock; none, with diagnostics, if the text is not one.
pub fn read(text: &str, diags: &mut Diagnostics) -> Option<Lock> {
    let document = kdl::parse(text, &codes::SYNTAX, diags)?;
    let mut reader = Reader { diags, lock: Lock::default() };
    let mut nodes = document.nodes().iter();
    match nodes.next() {
        Some(first) if first.name().value() == "virtc-lock" => reader.version(first),
        other => {
            let span = other.map_or(Span::new(0, 0), name_span);
            reader.fault(span, "a lock begins with 'virtc-lock version=1'");
        }
    }
    nodes.for_each(|node| reader.node(node));
    let mut lock = reader.lock;
    lock.sort();
    (!diags.has_errors()).then_some(lock)
}

struct Reader<'d> {
    diags: &'d mut Diagnostics,
    lock: Lock,
}

impl Reader<'_> {
    fn fault(&mut self, span: Span, message: impl Into<String>) {
        self.diags
            .error(&codes::SYNTAX, span, message.into())
            .help("restore the file from git, or make it anew with `virtc lock` (places may move then)");
    }

    fn version(&mut self, node: &KdlNode) {
        let version = node.entries().iter().find(|e| e.name().is_some_and(|n| n.value() == "version"));
        let version = version.and_then(|e| e.value().as_integer());
        if version != Some(i128::from(VERSION)) {
            let message = format!("this virtc reads locks of version {VERSION}");
            self.diags
                .error(&codes::SYNTAX, name_span(node), message)
                .help("use the virtc that made it, or a newer one");
        }
    }

    /// The arguments of a node; properties are not among them.
    fn words(&mut self, node: &KdlNode, count: usize) -> Vec<String> {
        let arguments: Vec<&KdlEntry> = node.entries().iter().filter(|e| e.name().is_none()).collect();
        let words: Vec<String> = arguments.iter().filter_map(|e| e.value().as_string().map(str::to_string)).collect();
        if words.len() != count || arguments.len() != count {
            let message = format!("'{}' has {count} text(s) in quotes", node.name().value());
            self.fault(name_span(node), message);
            return vec![String::new(); count];
        }
        words
    }

    fn properties(&mut self, node: &KdlNode) -> Values {
        let mut out = Values::new();
        for entry in node.entries() {
            match (entry.name(), entry.value().as_string()) {
                (Some(name), Some(value)) if !value.contains('\0') && is_path(name.value()) => {
                    out.push((name.value().to_string(), value.to_string()));
                }
                _ => self.fault(name_span(node), format!("'{}' has names with texts in quotes", node.name().value())),
            }
        }
        out
    }

    fn node(&mut self, node: &KdlNode) {
        let name = node.name().value();
        match name {
            "domain" => self.lock.name = self.words(node, 1).swap_remove(0),
            "machine" => {
                let name = self.words(node, 1).swap_remove(0);
                let asked = node.get("asked").and_then(|v| v.as_string()).unwrap_or_default().to_string();
                self.lock.machine = Some(Machine { asked, name });
            }
            "value" => {
                let mut words = self.words(node, 2);
                let value = words.pop().unwrap_or_default();
                let path = words.pop().unwrap_or_default();
                match is_path(&path) {
                    true => self.lock.values.push((path, value)),
                    false => self.fault(name_span(node), format!("'{path}' is no path of elements")),
                }
            }
            element if FAMILIES.iter().any(|f| f.element == element) => self.device(node),
            _ => self.fault(name_span(node), format!("unknown node '{name}' in a lock")),
        }
    }

    fn device(&mut self, node: &KdlNode) {
        let mut entry = Entry {
            element: node.name().value().to_string(),
            id: self.words(node, 1).swap_remove(0),
            made: node.get("made").and_then(|v| v.as_bool()) == Some(true),
            ..Entry::default()
        };
        for line in node.children().map_or(&[][..], |c| c.nodes()) {
            let values = self.properties(line);
            match line.name().value() {
                "is" => entry.is = values,
                "has" => entry.has = values,
                "at" => entry.at = values,
                other => {
                    self.fault(name_span(line), format!("unknown node '{other}': a device has 'is', 'has' and 'at'"))
                }
            }
        }
        self.lock.devices.push(entry);
    }
}

/// Whether a text names elements and an attribute: nothing else may be grafted onto a document.
pub(super) fn is_path(text: &str) -> bool {
    let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    !text.is_empty() && text.len() < 200 && text.split('.').all(word) && text.split('.').count() < 12
}
