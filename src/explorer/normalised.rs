//! The normalised domain beside its source: which element came from which, and what was added.

use super::Text;
use super::origins::Origins;
use super::text::parts;
use crate::diag::Diagnostics;
use crate::diag::render::Lines;
use crate::domain::{self, Domain};
use crate::emit::Mark;
use crate::plan::Cause;
use crate::xml::{self, Document, El, Site};
use std::collections::BTreeMap;
use std::ops::Range;

/// The normalised XML. `place` is its own among the outputs: number of the tab and of the text.
pub fn text(domain: &Domain, doc: &Document<'_>, place: (usize, usize), origins: &mut Origins) -> Text {
    let (text, places) = domain::print_placed(domain);
    let mut found = Found {
        doc,
        lines: Lines::of(doc.source()),
        places: places.into_iter().collect(),
        marks: Vec::new(),
        added: Vec::new(),
    };
    let mut unheard = Diagnostics::new();
    let printed = xml::parse(text.as_bytes(), &mut unheard);
    if let Some(root) = printed.root() {
        found.element(root, doc.root());
    }
    let (marks, added) = (found.marks, found.added);
    let parts = parts(&text, marks, place, origins);
    Text { name: "domain.xml".to_string(), text, parts, added }
}

/// What is known of the elements that were looked at.
struct Found<'d> {
    doc: &'d Document<'d>,
    lines: Lines<'d>,
    /// Places in the source, by where an element begins.
    places: BTreeMap<usize, Site>,
    marks: Vec<Mark>,
    added: Vec<Range<usize>>,
}

impl<'d> Found<'d> {
    /// An element, and the one of the source that it came from.
    fn element(&mut self, el: El<'_>, from: Option<El<'d>>) {
        match from {
            Some(from) => {
                let line = self.lines.place(from.span().start).0 as u32;
                let what = format!("<{}>", from.name()).into();
                let cause = Cause { line, span: from.span(), what, is_default: false };
                self.marks.push(Mark { range: el.span().range(), cause });
                let new = el.attrs().filter(|attr| from.attrs().all(|other| other.name() != attr.name()));
                self.added.extend(new.map(|attr| attr.span().range()));
                if from.text().trim().is_empty() && !el.text().trim().is_empty() {
                    self.added.push(el.text_span().range());
                }
            }
            None => self.added.push(el.whole().range()),
        }
        for child in el.children() {
            let source = self.source_of(child, el, from);
            if source.is_some() || from.is_some() {
                self.element(child, source);
            }
        }
    }

    /// The element of the source that a child came from. One that holds only text has no place of its own: it is the
    /// child of this name.
    fn source_of(&self, child: El<'_>, parent: El<'_>, from: Option<El<'d>>) -> Option<El<'d>> {
        let doc = self.doc;
        if let Some(site) = self.places.get(&child.span().range().start) {
            return doc.element(*site);
        }
        let alone = parent.children_named(child.name()).count() == 1;
        from?.child(child.name()).filter(|_| alone)
    }
}
