//! The changes that mend faults of the format, where it is certain what is meant. Only what is wrong changes: comments and
//! layout stay.

use super::tables::{AttrSlot, ChildSlot, name_text};
use super::validate::Parent;
use crate::diag::{Edit, Span};
use crate::xml::{Attr, El};

/// Another name for an element, in both of its tags.
pub(super) fn renamed(el: El<'_>, name: &str) -> Vec<Edit> {
    let (tag, whole) = (el.span(), el.whole());
    let start = tag.start + 1;
    let old = el.name().len() as u32;
    let mut edits = vec![Edit::new(Span { start, end: start + old }, name)];
    let source = el.document().source();
    let inside = source.get(tag.end as usize..whole.end as usize).unwrap_or("");
    if let Some(at) = inside.rfind("</") {
        let start = tag.end + at as u32 + 2;
        edits.push(Edit::new(Span { start, end: start + old }, name));
    }
    // A prefix would stand before the name: then nothing is certain.
    let is_name = |edit: &Edit| source.get(edit.span.range()) == Some(el.name());
    if edits.iter().all(is_name) { edits } else { Vec::new() }
}

/// An attribute that belongs on the parent, or on the one child of that name.
pub(super) fn moved_attribute(me: &Parent<'_, '_>, attr: Attr<'_>, place: &str) -> Vec<Edit> {
    let mut children = me.el.children().filter(|c| c.is(place));
    let target = match (children.next(), children.next()) {
        (Some(one), None) => Some(one),
        (None, _) => me.above.map(|above| above.el).filter(|el| el.is(place)),
        _ => None,
    };
    let Some(target) = target.filter(|el| el.peek(attr.name()).is_none()) else { return Vec::new() };
    let source = me.el.document().source();
    let span = attr.span();
    let text = source.get(span.range()).unwrap_or("");
    vec![Edit::new(with_blanks(source, span), ""), Edit::insert(behind_name(target), format!(" {text}"))]
}

/// The only attribute of an empty element as its text.
pub(super) fn text_of(el: El<'_>, attr: Attr<'_>) -> Vec<Edit> {
    let source = el.document().source();
    let tag = source.get(el.whole().range()).unwrap_or("");
    if el.attrs().count() != 1 || !tag.ends_with("/>") || el.whole() != el.span() {
        return Vec::new();
    }
    let value = source.get(attr.value_span().range()).unwrap_or("");
    let name = el.name();
    vec![Edit::new(el.whole(), format!("<{name}>{value}</{name}>"))]
}

/// A unit as an attribute; the number alone between the tags.
pub(super) fn unit(el: El<'_>, number: &str, unit: &str, text: Span) -> Vec<Edit> {
    if el.peek("unit").is_some() {
        return Vec::new();
    }
    vec![Edit::insert(behind_name(el), format!(" unit='{unit}'")), Edit::new(text, number)]
}

/// Attributes that are missing and can have one value only.
pub(super) fn missing_attributes(me: &Parent<'_, '_>, missing: &[&AttrSlot]) -> Vec<Edit> {
    let mut text = String::new();
    for slot in missing {
        match slot.ty().words() {
            [one] if !slot.ty().has_other_than_words() => {
                text.push_str(&format!(" {}='{}'", name_text(slot.name), one.word.get()));
            }
            _ => return Vec::new(),
        }
    }
    vec![Edit::insert(behind_name(me.el), text)]
}

/// Elements that are missing and can be written in one way only: before the end tag, each on a line of its own where the others
/// are.
pub(super) fn missing_elements(el: El<'_>, missing: &[&ChildSlot]) -> Vec<Edit> {
    let Some(elements) = missing.iter().map(|slot| only_form(slot)).collect::<Option<Vec<String>>>() else {
        return Vec::new();
    };
    let source = el.document().source();
    let whole = el.whole();
    let text = source.get(whole.range()).unwrap_or("");
    if el.span() == whole {
        // `<name/>`
        let Some(start) = text.strip_suffix("/>") else { return Vec::new() };
        let name = start.get(1..).unwrap_or("").split(|c: char| c.is_ascii_whitespace()).next().unwrap_or("");
        let end = Span { start: whole.end - "/>".len() as u32, end: whole.end };
        return vec![Edit::new(end, format!(">{}</{name}>", elements.concat()))];
    }
    let Some(end) = text.rfind("</") else { return Vec::new() };
    let at = whole.start + end as u32;
    // The blanks before the first child, if it stands on a line of its own.
    let first = el.children().next().map(|c| source.get(..c.span().start as usize).unwrap_or(""));
    let indent = first.and_then(|before| before.rsplit_once('\n')).map(|(_, blanks)| blanks);
    match indent.filter(|blanks| blanks.chars().all(|c| c == ' ' || c == '\t')) {
        Some(blanks) => {
            let before = source.get(..at as usize).unwrap_or("");
            let place = before.rfind('\n').map_or(at, |line| line as u32);
            vec![Edit::insert(place, elements.iter().map(|e| format!("\n{blanks}{e}")).collect::<String>())]
        }
        None => vec![Edit::insert(at, elements.concat())],
    }
}

/// An element whose required attributes have one value each, and that holds nothing that is required.
fn only_form(slot: &ChildSlot) -> Option<String> {
    let def = slot.element();
    let needs_more = def.text().is_some() || def.children().iter().any(|c| c.min > 0) || slot.min > 1;
    let mut attrs = def.attrs().iter().filter(|a| a.required);
    if needs_more || def.attrs().iter().any(|a| a.required && a.guard != 0) {
        return None;
    }
    let written = attrs.try_fold(String::new(), |text, attr| match attr.ty().words() {
        [one] if !attr.ty().has_other_than_words() => {
            Some(format!("{text} {}='{}'", name_text(attr.name), one.word.get()))
        }
        _ => None,
    });
    // One that says nothing would be added for nothing.
    written.filter(|text| !text.is_empty()).map(|text| format!("<{}{text}/>", name_text(slot.name)))
}

/// Behind the name in the start tag.
fn behind_name(el: El<'_>) -> u32 {
    let start = el.span().start;
    let tag = el.document().source().get(el.span().range()).unwrap_or("");
    let length = tag.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/').unwrap_or(tag.len());
    start + length as u32
}

/// A span with the blanks before it.
fn with_blanks(source: &str, span: Span) -> Span {
    let before = source.get(..span.start as usize).unwrap_or("");
    Span { start: before.trim_ascii_end().len() as u32, end: span.end }
}
