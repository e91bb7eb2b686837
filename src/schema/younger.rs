//! What of a document is younger than the libvirt that it is for.

use super::tables::{AttrSlot, ChildSlot, Element, Text, Type};
use super::validate::Watch;
use crate::diag::codes::schema as codes;
use crate::diag::{Diagnostics, Span};
use crate::vocab::Release;
use crate::xml::{Attr, Document, El, Site};

/// Finds what is younger than a release, while the document is checked.
pub struct Younger {
    than: Release,
    found: Vec<Found>,
    inside: Span,
}

struct Found {
    place: Place,
    span: Span,
    what: String,
    since: Release,
}

enum Place {
    Element(Site),
    Attribute(Site, String),
    Value,
}

impl Younger {
    /// Looks for what came after this release.
    pub fn than(than: Release) -> Younger {
        Younger { than, found: Vec::new(), inside: Span::NONE }
    }

    /// Reports what was found, and takes elements and attributes out of the document: an older libvirt passes over
    /// them. A word that it does not know it refuses.
    pub fn take_out(self, doc: &mut Document<'_>, diags: &mut Diagnostics) {
        for Found { place, span, what, since } in self.found {
            let message = format!("{what} came with libvirt {since}");
            let help = format!("compile for libvirt@{since} or newer, or leave it out");
            let than = self.than;
            match place {
                Place::Value => diags.error(&codes::YOUNGER, span, format!("{message}: libvirt {than} refuses it")),
                _ => diags.warning(&codes::YOUNGER, span, format!("{message}: libvirt {than} passes over it")),
            }
            .help(help);
            match place {
                Place::Element(site) => doc.take_out(site),
                Place::Attribute(site, name) => doc.take_out_attr(site, &name),
                Place::Value => {}
            }
        }
    }

    fn is_younger(&self, since: Text) -> Option<Release> {
        let since = since.get();
        if since.is_empty() { None } else { since.parse().ok().filter(|since| *since > self.than) }
    }

    fn is_feature(&self, el: El<'_>) -> bool {
        let root = el.document().root();
        let features = root.and_then(|root| root.children().find(|child| child.is("features")));
        features.is_some_and(|f| f.children().any(|child| child.site() == el.site()))
    }

    fn is_inside(&self, span: Span) -> bool {
        !self.inside.is_none() && self.inside.start <= span.start && span.end <= self.inside.end
    }

    fn word(&mut self, ty: &'static Type, value: &str, span: Span) {
        let Some(word) = ty.words().iter().find(|w| w.word.get() == value) else { return };
        if let Some(since) = self.is_younger(word.since)
            && !ty.is_free()
        {
            self.found.push(Found { place: Place::Value, span, what: format!("the word '{value}'"), since });
        }
    }
}

impl Watch for Younger {
    fn attribute(&mut self, slot: &'static AttrSlot, el: El<'_>, attr: Attr<'_>) {
        if self.is_inside(attr.span()) {
            return;
        }
        match self.is_younger(slot.since) {
            Some(since) => self.found.push(Found {
                place: Place::Attribute(el.site(), attr.name().to_string()),
                span: attr.span(),
                what: format!("the attribute '{}' of <{}>", attr.name(), el.name()),
                since,
            }),
            None => self.word(slot.ty(), attr.value(), attr.value_span()),
        }
    }

    fn child(&mut self, slot: &'static ChildSlot, el: El<'_>) {
        if self.is_inside(el.whole()) {
            return;
        }
        if let Some(since) = self.is_younger(slot.element().since) {
            self.inside = el.whole();
            let (name, site) = (el.name(), el.site());
            // The names of features are words to libvirt: one that it does not know it refuses.
            let place = if self.is_feature(el) { Place::Value } else { Place::Element(site) };
            self.found.push(Found { place, span: el.span(), what: format!("<{name}> here"), since });
        }
    }

    fn text(&mut self, of: &'static Element, el: El<'_>) {
        if let Some(ty) = of.text()
            && !self.is_inside(el.whole())
        {
            self.word(ty, el.text().trim(), el.text_span());
        }
    }
}
