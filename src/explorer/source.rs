//! The source as HTML: each start tag that brought something about is a link to the first thing that came of it.

use super::html::{Html, Value};
use super::origins::Origins;
use super::page::link_of;
use crate::diag::{Diagnostics, Severity, Span};
use crate::xml::{self, Document};

/// A piece of an XML text.
enum Token {
    /// A start tag, or one of an empty element.
    Tag,
    /// An end tag.
    End,
    /// A comment, a processing instruction, a document type.
    Aside,
    /// What stands between them.
    Text,
}

/// Writes the source. Lines in `told` have something said about them.
pub fn write(source: &str, origins: &Origins, told: &[(Span, Severity)], out: &mut Html) {
    let mut unheard = Diagnostics::new();
    let doc = xml::parse(source.as_bytes(), &mut unheard);
    let mut writer = Writer { source, at: 0, line: 1, told: told_lines(source, told), origins, open: Vec::new(), out };
    writer.number();
    let ends = ends(&doc);
    while writer.at < source.len() {
        let (token, end) = next(source, writer.at);
        match token {
            Token::Tag => writer.tag(end, &ends),
            Token::End => {
                writer.markup(end);
                writer.leave(end);
            }
            Token::Aside => writer.classed("x", end),
            Token::Text => writer.upto(end),
        }
    }
    writer.leave(usize::MAX);
}

/// Where the elements end, by where they begin.
fn ends(doc: &Document<'_>) -> Vec<(usize, usize)> {
    let mut all = Vec::from_iter(doc.elements().map(|el| (el.whole().range().start, el.whole().range().end)));
    all.sort_unstable();
    all
}

fn told_lines(source: &str, told: &[(Span, Severity)]) -> Vec<(usize, Severity)> {
    let lines = crate::diag::render::Lines::of(source);
    let placed = told.iter().filter(|(span, _)| !span.is_none());
    let mut all = Vec::from_iter(placed.map(|(span, severity)| (lines.place(span.start).0, *severity)));
    all.sort_by_key(|(line, severity)| (*line, std::cmp::Reverse(*severity)));
    all.dedup_by_key(|(line, _)| *line);
    all
}

/// The token that begins at a byte, and where it ends.
fn next(source: &str, at: usize) -> (Token, usize) {
    let rest = source.get(at..).unwrap_or_default();
    let upto = |end: &str| rest.find(end).map_or(source.len(), |found| at + found + end.len());
    if !rest.starts_with('<') {
        return (Token::Text, rest.find('<').map_or(source.len(), |found| at + found));
    }
    if rest.starts_with("<!--") {
        return (Token::Aside, upto("-->"));
    }
    if rest.starts_with("<![CDATA[") {
        return (Token::Text, upto("]]>"));
    }
    if rest.starts_with("<?") || rest.starts_with("<!") {
        return (Token::Aside, upto(">"));
    }
    if rest.starts_with("</") {
        return (Token::End, upto(">"));
    }
    let mut quote = None;
    for (i, c) in rest.char_indices() {
        match (quote, c) {
            (None, '>') => return (Token::Tag, at + i + 1),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    (Token::Text, source.len())
}

struct Writer<'a, 'h> {
    source: &'a str,
    /// How far it is written.
    at: usize,
    line: usize,
    told: Vec<(usize, Severity)>,
    origins: &'a Origins,
    /// Where the elements end that are open as an HTML element.
    open: Vec<usize>,
    out: &'h mut Html,
}

impl Writer<'_, '_> {
    /// The number of the line that begins here, which is no part of its text.
    fn number(&mut self) {
        let told = self.told.binary_search_by_key(&self.line, |(line, _)| *line).ok();
        let class = match told.and_then(|at| self.told.get(at)).map(|(_, severity)| *severity) {
            Some(Severity::Error) => "n error",
            Some(Severity::Warning) => "n warning",
            Some(Severity::Note) => "n note",
            None => "n",
        };
        let number = self.line.to_string();
        let attributes =
            [("class", Value::Text(class)), ("id", Value::Id("L", self.line)), ("data-n", Value::Text(&number))];
        self.out.open("i", &attributes).close("i");
    }

    /// Writes text up to a byte.
    fn upto(&mut self, end: usize) {
        let text = self.source.get(self.at..end).unwrap_or_default();
        for (i, line) in text.split('\n').enumerate() {
            if i > 0 {
                self.line += 1;
                self.out.raw("\n");
                self.number();
            }
            self.out.text(line);
        }
        self.at = self.at.max(end);
    }

    fn classed(&mut self, class: &'static str, end: usize) {
        self.out.open("span", &[("class", Value::Text(class))]);
        self.upto(end);
        self.out.close("span");
    }

    /// A start tag; with it its element begins, if it is an origin.
    fn tag(&mut self, end: usize, ends: &[(usize, usize)]) {
        let Some((number, origin)) = self.origins.at(self.at) else { return self.markup(end) };
        let whole = ends.binary_search_by_key(&self.at, |(start, _)| *start).ok().and_then(|i| ends.get(i));
        let whole = whole.map_or(end, |(_, end)| *end);
        self.out.open("span", &[("class", Value::Text("el")), ("data-c", Value::Id("", number))]);
        self.open.push(whole);
        let target = link_of(origin.first);
        self.out.open(
            "a",
            &[
                ("class", Value::Text("c")),
                ("id", Value::Id("c", number)),
                ("href", Value::Text(&target)),
                ("data-c", Value::Id("", number)),
            ],
        );
        self.markup(end);
        self.out.close("a");
        if whole <= end {
            self.leave(end);
        }
    }

    /// Ends the elements that end at a byte.
    fn leave(&mut self, end: usize) {
        while self.open.last().is_some_and(|last| *last <= end) {
            self.open.pop();
            self.out.close("span");
        }
    }

    /// The text of a tag: name, attributes, values.
    fn markup(&mut self, end: usize) {
        let text = self.source.get(self.at..end).unwrap_or_default();
        let start = self.at;
        let name = text.find(|c: char| c.is_whitespace() || c == '>' || (c == '/')).filter(|at| *at > 1);
        let name = name.or_else(|| text.get(2..)?.find('>').map(|at| at + 2)).unwrap_or(text.len());
        self.classed("t", start + name);
        while let Some(quote) = self.source.get(self.at..end).and_then(|rest| rest.find(['\'', '"'])) {
            let open = self.at + quote;
            let mark = self.source.get(open..=open).unwrap_or_default();
            let closed = self.source.get(open + 1..end).and_then(|rest| rest.find(mark));
            let Some(closed) = closed else { break };
            self.upto(open);
            self.classed("v", open + closed + 2);
        }
        let tail = if text.ends_with("/>") { 2 } else { usize::from(text.ends_with('>')) };
        self.upto((end - tail).max(self.at));
        if self.at < end {
            self.classed("t", end);
        }
    }
}
