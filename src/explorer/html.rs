//! Writing HTML: fixed tags, and text that cannot become a tag.

use crate::escape::spell_html;

/// An HTML text that is being written. Names of tags and attributes are part of virtc; everything else is escaped on
/// its way in.
#[derive(Default)]
pub struct Html {
    out: String,
}

/// The value of an attribute.
pub enum Value<'a> {
    /// Text from anywhere.
    Text(&'a str),
    /// A number behind a word of virtc's: `c17`.
    Id(&'static str, usize),
}

impl Html {
    /// A piece of HTML that is part of virtc.
    pub fn raw(&mut self, html: &'static str) -> &mut Html {
        self.out.push_str(html);
        self
    }

    /// Text from anywhere.
    pub fn text(&mut self, text: &str) -> &mut Html {
        spell_html(text, &mut self.out);
        self
    }

    /// HTML that this writer made.
    pub fn append(&mut self, html: String) -> &mut Html {
        self.out.push_str(&html);
        self
    }

    /// A number.
    pub fn number(&mut self, number: usize) -> &mut Html {
        self.out.push_str(&number.to_string());
        self
    }

    /// A start tag.
    pub fn open(&mut self, tag: &'static str, attributes: &[(&'static str, Value<'_>)]) -> &mut Html {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            match value {
                Value::Text(text) => spell_html(text, &mut self.out),
                Value::Id(word, number) => {
                    self.out.push_str(word);
                    self.out.push_str(&number.to_string());
                }
            }
            self.out.push('"');
        }
        self.out.push('>');
        self
    }

    /// An end tag.
    pub fn close(&mut self, tag: &'static str) -> &mut Html {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
        self
    }

    /// An element of a class with nothing but text in it.
    pub fn element(&mut self, tag: &'static str, class: &'static str, text: &str) -> &mut Html {
        let attributes = [("class", Value::Text(class))];
        self.open(tag, if class.is_empty() { &[] } else { &attributes }).text(text).close(tag)
    }

    /// The finished text.
    pub fn finish(self) -> String {
        self.out
    }
}
