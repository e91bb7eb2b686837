//! The reader: quick-xml finds the tags, this module checks and places them.

use super::document::{AttrData, Document, NIL, Namespace, Node};
use crate::diag::codes::xml as codes;
use crate::diag::{Diagnostics, Edit, Span};
use quick_xml::errors::{Error, SyntaxError};
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use std::borrow::Cow;
use std::cell::Cell;

/// Elements may be nested this deep.
pub const MAX_DEPTH: usize = 64;
/// A file may have this many bytes.
pub const MAX_SIZE: usize = 16 << 20;
/// A file may have this many elements, and this many attributes: far beyond any domain, and little
/// enough that a hostile file cannot fill the memory.
const MAX_ITEMS: usize = 1 << 20;
/// A tag may have this many attributes, and this many prefixes may be known at a place. Both are looked up one by one.
const MAX_ATTRIBUTES: usize = 64;
/// After this many faults the rest is most likely a consequence of them.
const MAX_FAULTS: usize = 50;

/// Parses `bytes`. Always gives a document, as far as the text could be read; the faults are in `diags`.
pub fn parse<'s>(bytes: &'s [u8], diags: &mut Diagnostics) -> Document<'s> {
    // A byte order mark says nothing in UTF-8. Whoever shows the text must leave it out too.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut empty = Document { source: "", nodes: Vec::new(), attrs: Vec::new(), certain: false };
    if bytes.len() > MAX_SIZE {
        diags.error(&codes::SIZE, Span::NONE, format!("the file has more than {} MiB", MAX_SIZE >> 20));
        return empty;
    }
    // In UTF-16 and UTF-32 every other byte of a tag is zero, or there is a byte order mark.
    let wide = match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [b'<', 0, 0, 0, ..] | [0, 0, 0, b'<', ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'<', 0, ..] | [0, b'<', ..] => Some("UTF-16"),
        _ => None,
    };
    if let Some(wide) = wide {
        diags
            .error(&codes::ENCODING, Span::new(0, 0), format!("the file is {wide}, not UTF-8"))
            .help(format!("convert it: iconv -f {wide} -t UTF-8 FILE, and remove its encoding declaration"));
        return empty;
    }
    let source = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let at = e.valid_up_to();
            empty.source = std::str::from_utf8(&bytes[..at]).unwrap_or("");
            diags
                .error(&codes::ENCODING, Span::new(at.saturating_sub(1), at), "the file is not UTF-8: the byte after this place belongs to no character")
                .help("if it is a domain in another encoding, convert it with iconv; if it is a disk image, name its XML instead");
            return empty;
        }
    };
    let mut parser = Parser {
        doc: Document {
            source,
            nodes: Vec::with_capacity(source.len() / 40),
            attrs: Vec::with_capacity(source.len() / 30),
            certain: false,
        },
        diags,
        open: Vec::new(),
        last_child: Vec::new(),
        prefixes: Vec::new(),
        undeclared: Vec::new(),
        faults: 0,
        slips: 0,
        roots: 0,
        stop: false,
    };
    parser.run();
    parser.doc
}

/// An element whose end tag has not come yet.
struct Open {
    node: u32,
    prefixes: usize,
    qualified: Span,
}

struct Parser<'s, 'd> {
    doc: Document<'s>,
    diags: &'d mut Diagnostics,
    open: Vec<Open>,
    last_child: Vec<u32>,
    prefixes: Vec<(&'s str, Namespace)>,
    undeclared: Vec<&'s str>,
    faults: usize,
    /// How many of them leave no doubt about what was meant.
    slips: usize,
    roots: usize,
    stop: bool,
}

impl<'s> Parser<'s, '_> {
    fn fault(
        &mut self,
        code: &'static crate::diag::Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut crate::diag::Diagnostic {
        self.faults += 1;
        self.stop |= self.faults >= MAX_FAULTS;
        self.diags.error(code, span, message)
    }

    /// A fault that leaves no doubt about the elements and their attributes.
    fn slip(
        &mut self,
        code: &'static crate::diag::Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut crate::diag::Diagnostic {
        self.slips += 1;
        self.fault(code, span, message)
    }

    fn run(&mut self) {
        let source = self.doc.source;
        let mut reader = Reader::from_str(source);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        let mut before = 0;
        while !self.stop {
            let event = reader.read_event();
            let after = reader.buffer_position() as usize;
            let span = Span::new(before, after);
            match event {
                Ok(Event::Start(tag)) => self.start(span, tag.name().as_ref().len(), false),
                Ok(Event::Empty(tag)) => self.start(span, tag.name().as_ref().len(), true),
                Ok(Event::End(_)) => self.end(span),
                Ok(Event::Text(_)) => {
                    // quick-xml takes a dangling `&` for text.
                    if let Some(at) = source[before..after].find('&') {
                        let at = before + at;
                        self.unknown_reference("&", Span::new(at, at + 1));
                    }
                    self.text(Cow::Borrowed(&source[before..after]), span);
                }
                Ok(Event::CData(_)) => {
                    // `<![CDATA[` has 9 bytes, `]]>` 3.
                    let inner = Span::new(before + 9, after - 3);
                    self.text(Cow::Borrowed(&source[inner.range()]), inner);
                }
                Ok(Event::GeneralRef(_)) => {
                    let text = &source[before..after];
                    match resolve_reference(text) {
                        Some(c) => self.text(Cow::Owned(c.to_string()), span),
                        None => self.unknown_reference(text, span),
                    }
                }
                Ok(Event::DocType(_)) => {
                    self.slip(&codes::DOCTYPE, span, "a document type declaration is not accepted")
                        .help("remove the <!DOCTYPE …> declaration; domain XML needs none");
                }
                Ok(Event::Decl(_)) => self.declaration(span),
                Ok(Event::Comment(_)) => self.comment(span),
                Ok(Event::PI(_)) => {}
                Ok(Event::Eof) => break,
                Err(e) => {
                    let at = (reader.error_position() as usize).min(source.len());
                    self.syntax(&e, at);
                    break;
                }
            }
            before = after;
        }
        self.finish();
    }

    /// XML 1.0, 2.5: `--` ends a comment.
    fn comment(&mut self, span: Span) {
        let (start, end) = (span.start as usize + "<!--".len(), span.end as usize - "-->".len());
        if let Some(at) = self.doc.source.get(start..end).and_then(|inner| inner.find("--")) {
            self.slip(&codes::SYNTAX, Span::new(start + at, start + at + 2), "'--' may not stand inside a comment")
                .help("only '-->' ends it: put something between the two dashes, or leave one out");
        }
    }

    /// Checks `<?xml version='1.0' encoding='…'?>`.
    fn declaration(&mut self, span: Span) {
        if span.start != 0 {
            self.slip(&codes::SYNTAX, span, "an XML declaration stands only at the very beginning of a file")
                .help("remove it, or what is before it");
            return;
        }
        let text = &self.doc.source[span.range()];
        let Some(at) = text.find("encoding") else { return };
        let rest = text[at..].trim_start_matches("encoding").trim_start().trim_start_matches('=').trim_start();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else { return };
        let from = text.len() - rest.len() + 1;
        let Some(len) = text[from..].find(quote) else { return };
        let name = &text[from..from + len];
        // ASCII is a part of UTF-8.
        if !["UTF-8", "UTF8", "US-ASCII", "ASCII"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let message = format!("the file says that it is encoded in '{name}', but virtc reads UTF-8");
            self.fault(&codes::ENCODING, Span::new(from, from + len), message)
                .help(format!("convert it: iconv -f {name} -t UTF-8 FILE, and write encoding='UTF-8'"));
        }
    }

    fn syntax(&mut self, error: &Error, at: usize) {
        let source = self.doc.source;
        let rest = &source[at..];
        let line = rest.find('\n').unwrap_or(rest.len());
        let span = Span::new(at, at + line.max(rest.chars().next().map_or(0, char::len_utf8)));
        use SyntaxError as S;
        let (message, help) = match error {
            Error::Syntax(S::UnclosedComment) => {
                ("the comment that begins here is never closed: '-->' is missing", "add --> where it ends")
            }
            Error::Syntax(S::UnclosedCData) => {
                ("the CDATA section that begins here is never closed: ']]>' is missing", "add ]]> where it ends")
            }
            Error::Syntax(S::UnclosedTag) => {
                ("the tag that begins here is never closed: '>' is missing", "add > where it ends")
            }
            Error::Syntax(S::UnclosedSingleQuotedAttributeValue) => (
                "in the tag that begins here, an attribute value lacks its closing quote (')",
                "add ' where the value ends",
            ),
            Error::Syntax(S::UnclosedDoubleQuotedAttributeValue) => (
                "in the tag that begins here, an attribute value lacks its closing quote (\")",
                "add \" where the value ends",
            ),
            Error::Syntax(S::UnclosedDoctype) => (
                "the <!DOCTYPE that begins here is never closed, and would not be accepted",
                "remove it: domain XML needs none",
            ),
            Error::Syntax(S::UnclosedPI | S::UnclosedXmlDecl) => {
                ("the processing instruction that begins here is never closed: '?>' is missing", "add ?> where it ends")
            }
            _ => ("this is not XML", "a plain '<' is written &lt;"),
        };
        self.fault(&codes::SYNTAX, span, message).help(help);
    }

    fn finish(&mut self) {
        self.check_end();
        self.doc.certain = !self.stop && self.faults == self.slips;
    }

    /// What is open at the end.
    fn check_end(&mut self) {
        let source = self.doc.source;
        if !self.stop {
            // Only the innermost open element is worth a message: the others follow from it.
            if let Some(open) = self.open.last() {
                let node = &mut self.doc.nodes[open.node as usize];
                node.whole.end = source.len() as u32;
                let (tag, name) = (node.tag, &source[open.qualified.range()]);
                if self.faults == 0 {
                    self.fault(&codes::SYNTAX, tag, format!("the element <{name}> is never closed"))
                        .help(format!("add </{name}>; if the file was cut short, fetch it again"));
                }
            }
            if self.doc.nodes.is_empty() && self.faults == 0 {
                let message = if source.trim().is_empty() { "the file is empty" } else { "the file holds no element" };
                self.fault(&codes::EMPTY, Span::new(0, 0), message).help("a domain begins with <domain type='kvm'>");
            }
        }
    }

    /// Takes a start tag that spans `span` and whose name has `name_len` bytes.
    fn start(&mut self, span: Span, name_len: usize, empty: bool) {
        let source = self.doc.source;
        let open_at = span.start as usize;
        let name_span = Span::new(open_at + 1, open_at + 1 + name_len);
        let qualified = &source[name_span.range()];
        if qualified.is_empty() {
            // What follows up to the next '>' was taken for a tag: nothing behind it can be relied on.
            self.fault(&codes::SYNTAX, Span::new(open_at, open_at + 1), "'<' begins a tag, but no name follows")
                .help("write &lt; for a plain '<'");
            self.stop = true;
            return;
        }
        if !is_name(qualified) {
            self.fault(
                &codes::SYNTAX,
                name_span.or(span),
                format!("'{qualified}' is not a name: an element name begins with a letter"),
            );
        }
        if self.open.is_empty() {
            self.roots += 1;
            if self.roots == 2 {
                self.fault(&codes::ROOTS, span, format!("a second root element <{qualified}>"))
                    .help("keep one domain a file");
            }
        }
        if self.open.len() >= MAX_DEPTH {
            self.fault(&codes::DEPTH, span, format!("elements are nested more than {MAX_DEPTH} deep"));
            self.stop = true;
            return;
        }
        if self.doc.nodes.len() >= MAX_ITEMS || self.doc.attrs.len() >= MAX_ITEMS {
            self.fault(&codes::SIZE, span, format!("more than {MAX_ITEMS} elements or attributes"));
            self.stop = true;
            return;
        }
        let prefixes = self.prefixes.len();
        let attrs_end = span.end as usize - if empty { 2 } else { 1 };
        let attrs = self.attributes(name_span.end as usize, attrs_end);
        let (namespace, name) = self.qualify(qualified, name_span, true);
        let at = self.doc.nodes.len() as u32;
        self.doc.nodes.push(Node {
            name,
            namespace,
            tag: span,
            whole: span,
            attrs,
            first_child: NIL,
            next: NIL,
            text: Cow::Borrowed(""),
            text_span: Span::NONE,
            used: Cell::new(false),
        });
        match self.last_child.last_mut() {
            // A second root hangs on nothing: the document keeps the first.
            None => {}
            Some(last) => {
                if *last == NIL {
                    let parent = self.open.last().map_or(0, |o| o.node);
                    self.doc.nodes[parent as usize].first_child = at;
                } else {
                    self.doc.nodes[*last as usize].next = at;
                }
                *last = at;
            }
        }
        if empty {
            self.prefixes.truncate(prefixes);
        } else {
            self.open.push(Open { node: at, prefixes, qualified: name_span });
            self.last_child.push(NIL);
        }
    }

    fn end(&mut self, span: Span) {
        let source = self.doc.source;
        let name = source[span.start as usize + 2..span.end as usize - 1].trim_end();
        let matches = |o: &Open| &source[o.qualified.range()] == name;
        if !self.open.last().is_some_and(matches) {
            // An unclosed element inside a closed one: report the inner one and go on behind it.
            let Some(depth) = self.open.iter().rposition(matches) else {
                match self.open.last().map(|o| (o.qualified, self.doc.nodes[o.node as usize].tag)) {
                    Some((qualified, tag)) => {
                        let open = &source[qualified.range()];
                        self.fault(
                            &codes::SYNTAX,
                            span,
                            format!("</{name}> closes nothing: the open element is <{open}>"),
                        )
                        .related(tag, "opened here")
                        .help(format!("write </{open}>"));
                        // Taken for a misspelt end tag of the open element.
                        self.close(span);
                    }
                    None => {
                        self.fault(&codes::SYNTAX, span, format!("</{name}> closes nothing"));
                    }
                }
                return;
            };
            while self.open.len() > depth + 1 {
                if let Some(open) = self.open.last() {
                    let (tag, open) = (self.doc.nodes[open.node as usize].tag, &source[open.qualified.range()]);
                    self.fault(&codes::SYNTAX, tag, format!("the element <{open}> is not closed before </{name}>"))
                        .related(span, "this end tag comes first")
                        .help(format!("add </{open}>, or write <{open}/> if it is empty"));
                }
                self.close(Span::new(span.start as usize, span.start as usize));
            }
        }
        self.close(span);
    }

    fn close(&mut self, span: Span) {
        if let Some(open) = self.open.pop() {
            self.last_child.pop();
            self.doc.nodes[open.node as usize].whole.end = span.end;
            self.prefixes.truncate(open.prefixes);
        }
    }

    fn text(&mut self, piece: Cow<'s, str>, span: Span) {
        let blank = piece.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
        let Some(open) = self.open.last() else {
            let byte_order_mark = span.start == 0 && &*piece == "\u{feff}";
            if !blank && !byte_order_mark {
                let lead = piece.len() - piece.trim_ascii_start().len();
                let start = span.start as usize + lead;
                self.slip(
                    &codes::SYNTAX,
                    Span::new(start, start + piece.trim_ascii().len()),
                    "text outside the root element",
                )
                .help("remove it: only comments stand outside <domain>");
            }
            return;
        };
        let at = open.node as usize;
        if let Some(c) = piece.chars().find(|&c| !is_char(c)) {
            self.fault(&codes::SYNTAX, span, format!("the control character U+{:04X} is not allowed in XML", c as u32));
            return;
        }
        let node = &mut self.doc.nodes[at];
        if !blank {
            node.text_span =
                if node.text_span.is_none() { span } else { Span { start: node.text_span.start, end: span.end } };
        }
        if node.text.is_empty() {
            node.text = piece;
        } else {
            node.text.to_mut().push_str(&piece);
        }
    }

    fn unknown_reference(&mut self, text: &str, span: Span) {
        if text.starts_with("&#") && text.ends_with(';') {
            self.slip(&codes::ENTITY, span, format!("the reference '{text}' stands for no character that XML allows"))
                .help("remove it");
        } else if text.ends_with(';') {
            self.slip(&codes::ENTITY, span, format!("the reference '{text}' names no known entity"))
                .help("only &lt; &gt; &amp; &quot; &apos; and references such as &#65; are known");
        } else {
            self.slip(&codes::SYNTAX, span, "'&' begins a reference that is never ended")
                .help("write &amp; for a plain '&'");
        }
    }

    /// Reads the attributes between two offsets; gives their range in the arena.
    fn attributes(&mut self, from: usize, to: usize) -> (u32, u32) {
        let source = self.doc.source;
        let bytes = source.as_bytes();
        let first = self.doc.attrs.len();
        let mut at = from;
        let mut count = 0;
        let skip_blanks = |mut at: usize| {
            while at < to && matches!(bytes[at], b' ' | b'\t' | b'\r' | b'\n') {
                at += 1;
            }
            at
        };
        loop {
            let begin = at;
            at = skip_blanks(at);
            if at >= to {
                break;
            }
            count += 1;
            if count > MAX_ATTRIBUTES || self.prefixes.len() > MAX_ATTRIBUTES {
                let span = Span::new(from.min(at), at);
                self.fault(&codes::SIZE, span, format!("more than {MAX_ATTRIBUTES} attributes or prefixes in a tag"))
                    .help("no element of a domain has so many");
                self.stop = true;
                break;
            }
            let name_at = at;
            while at < to && !matches!(bytes[at], b'=' | b' ' | b'\t' | b'\r' | b'\n' | b'\'' | b'"') {
                at += 1;
            }
            let name_span = Span::new(name_at, at);
            let qualified = &source[name_span.range()];
            at = skip_blanks(at);
            if begin == name_at || !is_name(qualified) {
                let span = if name_span.start == name_span.end {
                    Span::new(name_at, (name_at + 1).min(to))
                } else {
                    name_span
                };
                self.fault(&codes::SYNTAX, span, "this is no attribute")
                    .help("attributes are separated by blanks and written name='value'");
                break;
            }
            if at >= to || bytes[at] != b'=' {
                self.fault(&codes::SYNTAX, name_span, format!("the attribute '{qualified}' has no value"))
                    .help(format!("write {qualified}='…'"));
                break;
            }
            at = skip_blanks(at + 1);
            let quote = match bytes.get(at) {
                Some(&q @ (b'\'' | b'"')) if at < to => q,
                _ => {
                    let end = bytes[at..to].iter().position(|b| b.is_ascii_whitespace()).map_or(to, |n| at + n);
                    let bare = Span::new(at, end);
                    let word = &source[bare.range()];
                    let plain = !word.is_empty()
                        && !word.contains(['=', '<', '\'', '"', '&'])
                        && !qualified.starts_with("xmlns");
                    let message = format!("the value of '{qualified}' is not in quotes");
                    if !plain {
                        self.fault(&codes::SYNTAX, name_span, message).help(format!("write {qualified}='…'"));
                        break;
                    }
                    self.slip(&codes::SYNTAX, name_span, message)
                        .help(format!("write {qualified}='{word}'"))
                        .fix(vec![Edit::new(bare, format!("'{word}'"))]);
                    self.doc.attrs.push(AttrData {
                        name: qualified,
                        namespace: Namespace::None,
                        value: Cow::Borrowed(word),
                        name_span,
                        value_span: bare,
                        used: Cell::new(false),
                    });
                    at = end;
                    continue;
                }
            };
            let value_at = at + 1;
            let Some(len) = bytes[value_at..to].iter().position(|&b| b == quote) else {
                self.fault(&codes::SYNTAX, name_span, format!("the value of '{qualified}' lacks its closing quote"))
                    .help(format!("write {qualified}='…'"));
                break;
            };
            at = value_at + len + 1;
            let value_span = Span::new(value_at, value_at + len);
            let value = self.attribute_value(value_span);
            if qualified == "xmlns" || qualified.starts_with("xmlns:") {
                let prefix = qualified.strip_prefix("xmlns").unwrap_or("").trim_start_matches(':');
                self.prefixes.push((prefix, Namespace::of(&value)));
                continue;
            }
            if self.doc.attrs[first..].iter().any(|a| source[a.name_span.range()] == *qualified) {
                self.slip(&codes::SYNTAX, name_span, format!("the attribute '{qualified}' stands twice in this tag"))
                    .help("keep one of them");
                continue;
            }
            self.doc.attrs.push(AttrData {
                name: qualified,
                namespace: Namespace::None,
                value,
                name_span,
                value_span,
                used: Cell::new(false),
            });
        }
        // Prefixes are known only when all attributes of the tag are read.
        for i in first..self.doc.attrs.len() {
            let (name, span) = (self.doc.attrs[i].name, self.doc.attrs[i].name_span);
            let (namespace, local) = self.qualify(name, span, false);
            self.doc.attrs[i].namespace = namespace;
            self.doc.attrs[i].name = local;
        }
        (first as u32, self.doc.attrs.len() as u32)
    }

    fn attribute_value(&mut self, span: Span) -> Cow<'s, str> {
        let raw = &self.doc.source[span.range()];
        if let Some(at) = raw.find('<') {
            let at = span.start as usize + at;
            self.slip(&codes::SYNTAX, Span::new(at, at + 1), "'<' may not stand in an attribute value")
                .help("write &lt;");
        }
        if let Some(c) = raw.chars().find(|&c| !is_char(c)) {
            self.fault(&codes::SYNTAX, span, format!("the control character U+{:04X} is not allowed in XML", c as u32));
        }
        // XML 1.0, 3.3.3: blanks become spaces, references are resolved.
        if !raw.bytes().any(|b| matches!(b, b'&' | b'\t' | b'\n' | b'\r')) {
            return Cow::Borrowed(raw);
        }
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
            out.push_str(&rest[..at]);
            if !rest[at..].starts_with('&') {
                out.push(' ');
                rest = &rest[at + 1..];
                continue;
            }
            let len = rest[at..].find(';').map_or(rest.len() - at, |n| n + 1);
            let text = &rest[at..at + len];
            match resolve_reference(text) {
                Some(c) => out.push(c),
                None => {
                    let start = span.start as usize + (raw.len() - rest.len()) + at;
                    self.unknown_reference(text, Span::new(start, start + len));
                    out.push_str(text);
                }
            }
            rest = &rest[at + len..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// Splits a qualified name and finds the namespace of its prefix.
    fn qualify(&mut self, name: &'s str, span: Span, element: bool) -> (Namespace, &'s str) {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        // XML namespaces, 6.2: the default namespace does not apply to attributes.
        if prefix.is_empty() && !element {
            return (Namespace::None, local);
        }
        if let Some((_, namespace)) = self.prefixes.iter().rev().find(|(p, _)| *p == prefix) {
            return (*namespace, local);
        }
        if prefix.is_empty() {
            return (Namespace::None, local);
        }
        if prefix != "xml" && !self.undeclared.contains(&prefix) {
            // One declaration is missing, however often the prefix is used.
            self.undeclared.push(prefix);
            self.fault(&codes::NAMESPACE, span, format!("no xmlns:{prefix} attribute declares the prefix '{prefix}'"))
                .help(if prefix == "qemu" {
                    "add xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' to <domain>".to_string()
                } else {
                    format!("declare it with xmlns:{prefix}='…' on <domain>")
                });
        }
        (Namespace::Foreign, local)
    }
}

/// The character that a reference (`&amp;`, `&#65;`, `&#x41;`) stands for.
fn resolve_reference(text: &str) -> Option<char> {
    let name = text.strip_prefix('&')?.strip_suffix(';')?;
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = name.strip_prefix('#')?;
            let number = match digits.strip_prefix('x') {
                Some(hex) if !hex.starts_with('+') => u32::from_str_radix(hex, 16).ok()?,
                None if !digits.starts_with('+') => digits.parse().ok()?,
                _ => return None,
            };
            char::from_u32(number).filter(|&c| is_char(c))
        }
    }
}

/// XML 1.0, production 2: characters that may stand in a document.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == ':')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '\u{b7}'))
}
