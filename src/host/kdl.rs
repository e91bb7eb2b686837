//! A strict reader of KDL nodes: what is not asked for is a fault, with its span.

use crate::diag::codes::inputs;
use crate::diag::{Code, Diagnostics, Span};
use kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};

/// The deepest nesting of children and comments that is read; the format needs 3.
const MAX_DEPTH: usize = 32;
/// The largest document that is read, bytes.
const MAX_SIZE: usize = 4 << 20;

/// Reads a KDL version 2 document; none, with diagnostics of this code, when it is not one.
pub fn parse(text: &str, code: &'static Code, diags: &mut Diagnostics) -> Option<KdlDocument> {
    if text.len() > MAX_SIZE {
        diags.error(code, Span::new(0, 0), "the file has more than 4 MiB");
        return None;
    }
    if let Some(document) = super::plain_kdl::parse(text) {
        return Some(document);
    }
    // The parser recurses with the nesting, so that is bounded first; braces in strings and comments
    // count too, which no sensible document notices.
    let (mut depth, mut deepest, mut place) = (0usize, 0, 0);
    // Commented-out nodes (`/-`) and types (`(`) of which each begins in the one before.
    let mut chain = 0usize;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 1;
            }
            (b'*', Some(b'/')) => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            (b'/', Some(b'-')) => {
                chain += 1;
                at += 1;
            }
            (b'(', _) => chain += 1,
            (b'{', _) => depth += 1,
            (b'}', _) => depth = depth.saturating_sub(1),
            (b, _) if b.is_ascii_whitespace() || *b == b'\\' => {}
            _ => chain = 0,
        }
        if depth + chain > deepest {
            (deepest, place) = (depth + chain, at);
        }
        at += 1;
    }
    if deepest > MAX_DEPTH {
        let message = format!("nodes or comments are nested more than {MAX_DEPTH} deep");
        diags.error(code, Span::new(place, place + 1), message);
        return None;
    }
    match KdlDocument::parse_v2(text) {
        Ok(document) => Some(document),
        Err(error) => {
            for fault in &error.diagnostics {
                let message =
                    fault.message.as_deref().or(fault.label.as_deref()).unwrap_or("this is not KDL version 2");
                let start = fault.span.offset().min(text.len());
                let end = (start + fault.span.len()).min(text.len());
                let diagnostic = diags.error(code, Span::new(start, end), message);
                if let Some(help) = &fault.help {
                    diagnostic.help(help.clone());
                }
            }
            if error.diagnostics.is_empty() {
                diags.error(code, Span::new(0, text.len().min(1)), "this is not KDL version 2");
            }
            None
        }
    }
}

fn span_of(span: miette::SourceSpan) -> Span {
    Span::new(span.offset(), span.offset() + span.len())
}

/// The name of the node, for a fault of the whole node.
pub fn name_span(node: &KdlNode) -> Span {
    span_of(node.name().span())
}

/// The value of the entry without the blanks around it.
fn entry_span(entry: &KdlEntry) -> Span {
    span_of(entry.span())
}

/// How often a node may stand in its block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// At most once.
    Once,
    /// Any number of times.
    Many,
}

/// A value of a host fact: how it is written in KDL.
pub trait Fact: Sized {
    /// Reads it. The error says what is expected instead.
    fn read(value: &KdlValue) -> Result<Self, String>;
}

impl Fact for String {
    fn read(value: &KdlValue) -> Result<Self, String> {
        match value.as_string() {
            Some(text) if text.contains('\0') => Err("a string without NUL characters".to_string()),
            Some(text) => Ok(text.to_string()),
            None => Err("a string in quotes".to_string()),
        }
    }
}

impl Fact for bool {
    fn read(value: &KdlValue) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "#true or #false".to_string())
    }
}

macro_rules! integer_facts {
    ($($ty:ty),+) => { $(
        impl Fact for $ty {
            fn read(value: &KdlValue) -> Result<Self, String> {
                let expected = || format!("a whole number from {} to {}", <$ty>::MIN, <$ty>::MAX);
                <$ty>::try_from(value.as_integer().ok_or_else(expected)?).map_err(|_| expected())
            }
        }
    )+ };
}
integer_facts!(u8, u16, u32, u64, i32);

/// Reads one block of the document and reports what is wrong with it.
pub struct Reader<'d> {
    diags: &'d mut Diagnostics,
    /// Whether a newer virtc may have written the document.
    newer: bool,
}

impl<'d> Reader<'d> {
    /// A reader that reports here. Only the rim reads documents of one's own virtc: the project file.
    #[cfg(feature = "host")]
    pub fn new(diags: &'d mut Diagnostics) -> Reader<'d> {
        Reader { diags, newer: false }
    }

    /// One of a document that a newer virtc may have written: a node that is not known is a warning.
    pub fn of_newer(diags: &'d mut Diagnostics) -> Reader<'d> {
        Reader { diags, newer: true }
    }

    /// A value that the format does not take.
    pub fn bad_value(&mut self, span: Span, what: &str, expected: &str) {
        self.diags.error(&inputs::HOST_VALUE, span, format!("{what}: expected {expected}"));
    }

    /// Something that must be there and is not.
    pub fn missing(&mut self, span: Span, what: &str, of: &str) {
        self.diags.error(&inputs::HOST_MISSING, span, format!("'{of}' lacks {what}"));
    }

    /// Something that is there twice.
    pub fn twice(&mut self, span: Span, what: &str) {
        self.diags.error(&inputs::HOST_TWICE, span, format!("{what} is given twice"));
    }

    /// The nodes of a block that the table knows; the others are reported, and so are nodes that are
    /// repeated and may not be.
    pub fn known<'k>(&mut self, nodes: &'k [KdlNode], of: &str, table: &[(&str, Times)]) -> Vec<&'k KdlNode> {
        let mut found: Vec<&KdlNode> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let name = node.name().value();
            let Some((_, times)) = table.iter().find(|(known, _)| *known == name) else {
                let words = table.iter().map(|(known, _)| *known);
                let help = suggestion(name, words);
                let message = format!("unknown node '{name}' {of}");
                let span = name_span(node);
                let told = match self.newer {
                    true => self.diags.warning(&inputs::HOST_NODE, span, format!("{message}: it is not used")),
                    false => self.diags.error(&inputs::HOST_NODE, span, message),
                };
                told.help(help);
                continue;
            };
            if *times == Times::Once && found.iter().any(|n| n.name().value() == name) {
                self.twice(name_span(node), &format!("'{name}'"));
                continue;
            }
            if let Some(ty) = node.ty() {
                let message =
                    format!("'{name}' has a type annotation, '({})', which the format does not know", ty.value());
                self.diags.error(&inputs::HOST_NODE, span_of(ty.span()), message);
            }
            found.push(node);
        }
        found
    }

    /// The children of a node that the table knows. `entries` of the node are not looked at.
    pub fn children<'k>(&mut self, node: &'k KdlNode, table: &[(&str, Times)]) -> Vec<&'k KdlNode> {
        match node.children() {
            Some(block) => self.known(block.nodes(), &format!("in '{}'", node.name().value()), table),
            None => Vec::new(),
        }
    }

    /// The children of a node that has nothing but children.
    pub fn block<'k>(&mut self, node: &'k KdlNode, table: &[(&str, Times)]) -> Vec<&'k KdlNode> {
        self.entries(node).finish();
        self.children(node, table)
    }

    /// The arguments and properties of a node.
    pub fn entries<'r, 'k>(&'r mut self, node: &'k KdlNode) -> Entries<'r, 'd, 'k> {
        Entries { used: vec![false; node.entries().len()], reader: self, node }
    }

    /// Reads a node that is one value: `page-size "4KiB"`.
    pub fn value<T: Fact>(&mut self, node: &KdlNode, into: &mut T) {
        let mut entries = self.entries(node);
        if let Some(value) = entries.required_arg("a value") {
            *into = value;
        }
        entries.finish();
        self.no_children(node);
    }

    /// Reads a node that is one value, which its default does without.
    pub fn option<T: Fact>(&mut self, node: &KdlNode, into: &mut Option<T>) {
        let mut entries = self.entries(node);
        if let Some(value) = entries.required_arg("a value") {
            *into = Some(value);
        }
        entries.finish();
        self.no_children(node);
    }

    /// Reads a node whose arguments are a list, and appends them.
    pub fn list<T: Fact>(&mut self, node: &KdlNode, into: &mut Vec<T>) {
        let mut entries = self.entries(node);
        entries.args(into);
        entries.finish();
        self.no_children(node);
    }

    /// Reports the children of a node that may not have any.
    pub fn no_children(&mut self, node: &KdlNode) {
        let Some(block) = node.children() else { return };
        let of = format!("in '{}', which has no children", node.name().value());
        self.known(block.nodes(), &of, &[]);
    }
}

/// "known here: 'a', 'b'", after a guess at what was meant.
fn suggestion<'a>(name: &str, words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    let close = words.iter().find(|word| {
        // Comparing costs the product of the lengths.
        if name.len() > 64 {
            return false;
        }
        let ratio = similar::TextDiff::from_chars(name, **word).ratio();
        ratio > 0.7
    });
    let known = if words.is_empty() {
        "remove it".to_string()
    } else {
        let quoted: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
        format!("known here: {}", quoted.join(", "))
    };
    match close {
        Some(word) => format!("did you mean '{word}'? {known}"),
        None => known,
    }
}

/// The arguments and properties of one node, taken one after the other.
pub struct Entries<'r, 'd, 'k> {
    reader: &'r mut Reader<'d>,
    node: &'k KdlNode,
    used: Vec<bool>,
}

impl Entries<'_, '_, '_> {
    fn convert<T: Fact>(&mut self, at: usize, what: &str) -> Option<T> {
        self.used[at] = true;
        let entry = &self.node.entries()[at];
        match T::read(entry.value()) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.reader.bad_value(entry_span(entry), what, &expected);
                None
            }
        }
    }

    /// The next argument.
    pub fn arg<T: Fact>(&mut self) -> Option<T> {
        let at = self.next_arg()?;
        let what = format!("'{}'", self.node.name().value());
        self.convert(at, &what)
    }

    /// The next argument, which has to be there.
    pub fn required_arg<T: Fact>(&mut self, what: &str) -> Option<T> {
        if self.next_arg().is_none() {
            self.reader.missing(name_span(self.node), what, self.node.name().value());
        }
        self.arg()
    }

    /// All arguments that are left, appended.
    pub fn args<T: Fact>(&mut self, into: &mut Vec<T>) {
        while self.next_arg().is_some() {
            into.extend(self.arg::<T>());
        }
    }

    fn next_arg(&self) -> Option<usize> {
        (0..self.used.len()).find(|at| !self.used[*at] && self.node.entries()[*at].name().is_none())
    }

    /// The property.
    pub fn prop<T: Fact>(&mut self, name: &str) -> Option<T> {
        let named = |entry: &KdlEntry| entry.name().is_some_and(|n| n.value() == name);
        // In KDL the last of several properties of one name counts; here the others are a fault.
        let at = self.node.entries().iter().rposition(named)?;
        for earlier in 0..at {
            if named(&self.node.entries()[earlier]) {
                self.used[earlier] = true;
                self.reader.twice(entry_span(&self.node.entries()[earlier]), &format!("'{name}'"));
            }
        }
        self.convert(at, &format!("'{name}'"))
    }

    /// Whether the property is there.
    pub fn has_property(&self, name: &str) -> bool {
        self.node.entries().iter().any(|e| e.name().is_some_and(|n| n.value() == name))
    }

    /// The property, which has to be there.
    pub fn required_prop<T: Fact>(&mut self, name: &str) -> Option<T> {
        if !self.has_property(name) {
            self.reader.missing(name_span(self.node), &format!("the property '{name}'"), self.node.name().value());
        }
        self.prop(name)
    }

    /// The property, put where it belongs when it is there.
    pub fn set<T: Fact>(&mut self, name: &str, into: &mut T) {
        if let Some(value) = self.prop(name) {
            *into = value;
        }
    }

    /// Reports what nobody asked for.
    pub fn finish(self) {
        let node_name = self.node.name().value();
        for (entry, used) in self.node.entries().iter().zip(&self.used) {
            let message = match entry.name() {
                _ if *used => match entry.ty() {
                    None => continue,
                    Some(ty) => format!(
                        "'{node_name}' has a type annotation, '({})', which the format does not know",
                        ty.value()
                    ),
                },
                Some(name) => format!("unknown property '{}' of '{node_name}'", name.value()),
                None => format!("'{node_name}' has too many arguments: {}", entry.value()),
            };
            self.reader.diags.error(&inputs::HOST_NODE, entry_span(entry), message);
        }
    }
}
