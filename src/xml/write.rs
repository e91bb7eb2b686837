//! Writing domain XML: two blanks of indentation and single quotes, as libvirt prints it.

use super::document::Site;
use std::borrow::Cow;
use std::fmt::Write;

/// Builds an XML text. Every value is escaped on its way in.
#[derive(Default)]
pub struct XmlWriter {
    out: String,
    open: Vec<Cow<'static, str>>,
    /// The start tag of the innermost element has not got its `>` yet.
    in_tag: bool,
    /// The innermost element has text, so that its end tag stands on the same line.
    has_text: bool,
    /// Where the start tag that was closed last ends, for [`XmlWriter::end_unless_empty`].
    closed_for: Option<usize>,
    /// Where elements begin that have a place in the source, and that place.
    places: Vec<(usize, Site)>,
}

impl XmlWriter {
    /// An empty text.
    pub fn new() -> XmlWriter {
        XmlWriter::default()
    }

    fn close_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
            self.closed_for = Some(self.out.len());
        }
    }

    fn indent(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        for _ in 0..self.open.len() {
            self.out.push_str("  ");
        }
    }

    /// Begins an element.
    pub fn start(&mut self, name: impl Into<Cow<'static, str>>) {
        let name = name.into();
        self.close_tag();
        self.indent();
        self.out.push('<');
        self.out.push_str(&name);
        self.open.push(name);
        self.in_tag = true;
        self.has_text = false;
    }

    /// Says where in the source the element just begun stands.
    pub fn from(&mut self, site: Site) {
        let Some(name) = self.open.last().filter(|_| self.in_tag && !site.is_none()) else { return };
        let start = self.out.len() - name.len() - 1;
        if self.out.get(start..).is_some_and(|tag| tag.starts_with('<')) {
            self.places.push((start, site));
        }
    }

    /// Adds an attribute to the element just begun.
    pub fn attr(&mut self, name: &str, value: &str) {
        debug_assert!(self.in_tag, "attribute {name} behind the start tag");
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("='");
        escape(value, &mut self.out);
        self.out.push('\'');
    }

    /// Adds an attribute from anything that displays.
    pub fn attr_display(&mut self, name: &str, value: impl std::fmt::Display) {
        let mut text = String::new();
        let _ = write!(text, "{value}");
        self.attr(name, &text);
    }

    /// Adds text to the innermost element.
    pub fn text(&mut self, text: &str) {
        self.close_tag();
        escape(text, &mut self.out);
        self.has_text = true;
    }

    /// Adds a piece of XML that was well-formed in the source, as it stands.
    pub fn raw(&mut self, xml: &str) {
        self.close_tag();
        self.indent();
        self.out.push_str(xml);
        self.has_text = false;
    }

    /// Ends the innermost element.
    pub fn end(&mut self) {
        let Some(name) = self.open.pop() else { return };
        if self.in_tag {
            self.out.push_str("/>");
            self.in_tag = false;
        } else {
            if !self.has_text {
                self.indent();
            }
            self.out.push_str("</");
            self.out.push_str(&name);
            self.out.push('>');
        }
        self.has_text = false;
    }

    /// Ends the innermost element. If nothing stands in it, neither attributes nor content, it is taken back.
    pub fn end_unless_empty(&mut self) {
        let empty = self.open.last().is_some_and(|name| self.in_tag && self.out.ends_with(&**name));
        let Some(name) = self.open.last().filter(|_| empty) else {
            self.end();
            return;
        };
        let start = self.out.len() - name.len() - 1;
        self.open.pop();
        self.in_tag = false;
        self.has_text = false;
        let kept = self.out[..start].trim_end_matches(' ').trim_end_matches('\n').len();
        self.out.truncate(kept);
        self.places.retain(|(at, _)| *at < kept);
        // The parent was closed for this child only.
        if self.closed_for == Some(kept) {
            self.out.pop();
            self.in_tag = true;
        }
    }

    /// `<name>text</name>`
    pub fn leaf(&mut self, name: &'static str, text: &str) {
        self.start(name);
        if !text.is_empty() {
            self.text(text);
        }
        self.end();
    }

    /// `<name/>`
    pub fn empty(&mut self, name: &'static str) {
        self.start(name);
        self.end();
    }

    /// How many bytes are written: lets a caller see whether a part wrote anything.
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// The finished text, with a newline at its end.
    pub fn finish(self) -> String {
        self.finish_placed().0
    }

    /// The same, with where its elements begin that have a place in the source, by place.
    pub fn finish_placed(mut self) -> (String, Vec<(usize, Site)>) {
        while !self.open.is_empty() {
            self.end();
        }
        self.out.push('\n');
        (self.out, self.places)
    }
}

/// Appends text as it may stand between tags and in quotes.
pub fn escape(text: &str, out: &mut String) {
    if !text.bytes().any(|b| matches!(b, b'<' | b'>' | b'&' | b'\'' | b'"' | b'\n' | b'\r' | b'\t')) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#xa;"),
            '\r' => out.push_str("&#xd;"),
            '\t' => out.push_str("&#x9;"),
            c => out.push(c),
        }
    }
}
