//! One fault, one report: what follows from a fault that is reported already is dropped.

use crate::diag::codes::general::NOT_YET;
use crate::diag::{Diagnostic, Diagnostics, Severity, Span};
use crate::xml::Document;

/// Where the causes are, and where what is said is most likely their consequence.
struct Shadow {
    /// Nothing in these says anything new: a cause stands in the tag, or is the attribute itself.
    within: Vec<Span>,
    /// Tags of elements with a cause inside: what a rule says of the element (that it lacks something, say).
    tags: Vec<Span>,
    /// These elements: what is left unread in them was not come to.
    unread: Vec<Span>,
}

/// Drops the errors from number `first` on that most likely follow from an error before it.
pub(super) fn drop(doc: &Document<'_>, first: usize, diags: &mut Diagnostics) {
    let mut causes: Vec<Span> = (diags.iter().take(first))
        .filter(|d| d.severity == Severity::Error && !d.span.is_none())
        .map(|d| d.span)
        .collect();
    if causes.is_empty() || diags.len() == first {
        return;
    }
    causes.sort();
    let shadow = shadow(doc, &causes);
    diags.retain(|at, d| at < first || d.severity != Severity::Error || !shadow.covers(d));
}

fn shadow(doc: &Document<'_>, causes: &[Span]) -> Shadow {
    let hit = |place: Span| {
        let from = causes.partition_point(|c| c.start < place.start);
        causes[from..].iter().take_while(|c| c.start < place.end).any(|c| c.end <= place.end)
    };
    let mut shadow = Shadow { within: causes.to_vec(), tags: Vec::new(), unread: Vec::new() };
    // The outermost two hold everything: a fault in them says nothing of the rest.
    for el in doc.elements().filter(|e| !e.is("domain") && !e.is("devices") && hit(e.whole())) {
        shadow.tags.push(el.span());
        shadow.unread.push(el.whole());
        if hit(el.span()) {
            shadow.within.push(el.whole());
        }
    }
    shadow
}

impl Shadow {
    fn covers(&self, d: &Diagnostic) -> bool {
        let inside = |all: &[Span]| all.iter().any(|s| s.start <= d.span.start && d.span.end <= s.end);
        d.span.is_none()
            || self.tags.contains(&d.span)
            || inside(&self.within)
            || d.code == &NOT_YET && inside(&self.unread)
    }
}

/// Makes the report of a domain that does not compile worth reading: nothing twice, no remarks that only matter to one that does,
/// and a place for each fault.
pub(super) fn tidy(doc: &Document<'_>, diags: &mut Diagnostics) {
    let errors: Vec<Span> = diags.iter().filter(|d| d.severity == Severity::Error).map(|d| d.span).collect();
    diags.retain(|_, d| match d.severity {
        Severity::Error => true,
        // Where the format only warns, the error of the reader or of a rule says it better.
        Severity::Warning => !d.code.is_of_format() || !errors.contains(&d.span),
        Severity::Note => false,
    });
    diags.place(doc.root().map_or(Span::NONE, |root| root.span()));
}
