//! What brings outputs about: a tag of the source, or a default rule.

use crate::diag::Span;
use crate::plan::Cause;
use crate::xml::Document;
use std::collections::BTreeMap;

/// Something that brings outputs about.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The start tag in the source; none for a default rule.
    pub tag: Option<Span>,
    /// Its line, from 1; 0 for a default rule.
    pub line: u32,
    /// A few words for a reader, as the Plan has them.
    pub what: String,
    /// The first part of an output that it brought about: number of the tab, of the text, of the part.
    pub first: (usize, usize, usize),
}

/// All of them. An element is one, whatever its causes are called.
#[derive(Debug, Default)]
pub struct Origins {
    all: Vec<Origin>,
    by_tag: BTreeMap<u32, usize>,
    by_words: BTreeMap<String, usize>,
    /// Where the start tags of the source are, in source order.
    tags: Vec<Span>,
}

impl Origins {
    /// None yet.
    pub(super) fn new(doc: &Document<'_>) -> Origins {
        let mut tags = Vec::from_iter(doc.elements().map(|el| el.span()));
        tags.sort();
        Origins { tags, ..Origins::default() }
    }

    /// Everything that brought something about.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.all.iter()
    }

    /// One by its number.
    pub fn get(&self, number: usize) -> Option<&Origin> {
        self.all.get(number)
    }

    /// The origin whose start tag begins at this byte, and its number.
    pub fn at(&self, start: usize) -> Option<(usize, &Origin)> {
        let number = *self.by_tag.get(&u32::try_from(start).ok()?)?;
        Some((number, self.all.get(number)?))
    }

    /// The number of the origin that a cause names. `first` is where it is first seen.
    pub(super) fn of(&mut self, cause: &Cause, first: (usize, usize, usize)) -> usize {
        let whole = cause.what.is_empty() && cause.span.is_none();
        let span = if whole { self.tags.first().copied().unwrap_or_default() } else { cause.span };
        let tag = self.tag(span).filter(|_| !cause.is_default);
        let next = self.all.len();
        let (number, line) = match tag {
            Some(tag) => (*self.by_tag.entry(tag.start).or_insert(next), cause.line.max(1)),
            None => (*self.by_words.entry(cause.what.to_string()).or_insert(next), 0),
        };
        if number == next {
            let what = if whole { "the domain" } else { &cause.what }.to_string();
            self.all.push(Origin { tag, line, what, first });
        }
        number
    }

    /// The start tag that a span lies in.
    fn tag(&self, span: Span) -> Option<Span> {
        let upto = self.tags.partition_point(|tag| tag.start <= span.start);
        let tag = self.tags.get(upto.checked_sub(1)?)?;
        (!span.is_none() && span.start < tag.end).then_some(*tag)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        if self.line > 0 { write!(f, " (line {})", self.line) } else { Ok(()) }
    }
}
