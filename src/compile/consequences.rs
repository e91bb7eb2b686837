//! One fault, one report: what follows from a fault that is reported already is dropped.

use crate::diag::codes::general::{NOT_BY_QEMU, NOT_YET};
use crate::diag::codes::{address, display, lint, machine as machine_codes, schema, storage};
use crate::diag::{Code, Diagnostic, Diagnostics, Severity, Span};
use crate::schema::Flagged;
use crate::stage::Guess;
use crate::xml::Document;

/// Where the causes are, and where what is said is most likely their consequence.
struct Shadow {
    /// Nothing in these says anything new: a cause stands in the tag, or is the attribute itself.
    within: Vec<Span>,
    /// Nor in these, as long as it depends on what the element is.
    inside: Vec<Span>,
    /// Tags of elements with a cause inside: what a rule says of the element (that it lacks something, say).
    tags: Vec<Span>,
    /// These elements: what is left unread in them was not come to.
    unread: Vec<Span>,
    /// Whether a device has no place, so that others have none either.
    places: bool,
    guess: Guess,
    /// Where the machine is described: what is said there is the cause of the guess.
    machine: Span,
}

/// Drops the errors from number `first` on that most likely follow from an error before it, or from a guess at the machine.
pub(super) fn drop(doc: &Document<'_>, first: usize, flagged: &Flagged, guess: Guess, diags: &mut Diagnostics) {
    let errors = || diags.iter().take(first).filter(|d| d.severity == Severity::Error);
    let mut causes: Vec<Span> = errors().map(|d| d.span).filter(|span| !span.is_none()).collect();
    if diags.len() == first || causes.is_empty() && guess == Guess::No {
        return;
    }
    causes.sort();
    let places = errors().any(|d| d.code.is_of_addresses());
    let shadow = Shadow { places, guess, machine: machine(doc), ..shadow(doc, &causes, flagged) };
    // Lints, too, follow from what is wrong.
    let follows = |d: &Diagnostic| d.severity == Severity::Error || d.code.is_lint();
    diags.retain(|at, d| at < first || !follows(d) || !shadow.covers(d));
}

/// `<type>` of `<os>`, or the domain's own tag.
fn machine(doc: &Document<'_>) -> Span {
    let root = doc.root();
    let kind = root.and_then(|r| r.child("os")).and_then(|os| os.child("type"));
    kind.or(root).map_or(Span::NONE, |e| e.span())
}

fn shadow(doc: &Document<'_>, causes: &[Span], flagged: &Flagged) -> Shadow {
    let hit = |place: Span| {
        let from = causes.partition_point(|c| c.start < place.start);
        causes[from..].iter().take_while(|c| c.start < place.end).any(|c| c.end <= place.end)
    };
    let mut shadow = Shadow {
        within: causes.to_vec(),
        inside: flagged.unsure().to_vec(),
        tags: Vec::new(),
        unread: Vec::new(),
        places: false,
        guess: Guess::No,
        machine: Span::NONE,
    };
    // The outermost two hold everything: a fault in them says nothing of the rest.
    for el in doc.elements().filter(|e| !e.is("domain") && !e.is("devices") && hit(e.whole())) {
        shadow.tags.push(el.span());
        shadow.unread.push(el.whole());
        if hit(el.span()) {
            shadow.within.push(el.span());
            shadow.inside.push(el.whole());
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
            || !d.code.stands_alone() && inside(&self.inside)
            || d.code == &NOT_YET && inside(&self.unread)
            || self.places && d.code.is_of_addresses()
            || self.guess == Guess::Any && d.code.is_of_machine() && !inside(&[self.machine])
    }
}

/// Where both are said of one place, the first follows from the second.
static OF_ONE_PLACE: &[(&Code, &Code)] = &[(&address::USB, &display::INPUT), (&NOT_BY_QEMU, &storage::BUS)];

/// Drops what another error says better, although it stands elsewhere or was found at the same time.
fn once(doc: &Document<'_>, diags: &mut Diagnostics) {
    let errors: Vec<(Span, &'static Code)> =
        diags.iter().filter(|d| d.severity == Severity::Error).map(|d| (d.span, d.code)).collect();
    let Some(root) = doc.root() else { return };
    // A misspelt element of the domain may be the one that is missed.
    let strange = root.children().any(|c| errors.contains(&(c.span(), &schema::UNKNOWN_ELEMENT)));
    // An element in the wrong place is missing in the right one.
    let misplaced: Vec<String> = doc
        .elements()
        .filter(|e| errors.contains(&(e.span(), &schema::WRONG_PLACE)))
        .map(|e| format!("lacks <{}>", e.name()))
        .collect();
    diags.retain(|_, d| {
        let follows = OF_ONE_PLACE.iter().any(|(one, other)| d.code == *one && errors.contains(&(d.span, *other)));
        let missed = strange && d.code == &machine_codes::MEMORY && d.span == root.span();
        let moved = d.code == &schema::MISSING_ELEMENT && misplaced.iter().any(|m| d.message.ends_with(m.as_str()));
        !(follows || missed || moved)
    });
}

/// Makes the report of a domain that does not compile worth reading: nothing twice, no remarks that only matter to one that does,
/// and a place for each fault.
pub(super) fn tidy(doc: &Document<'_>, diags: &mut Diagnostics) {
    once(doc, diags);
    let errors: Vec<Span> = diags.iter().filter(|d| d.severity == Severity::Error).map(|d| d.span).collect();
    diags.retain(|_, d| match d.severity {
        Severity::Error => true,
        // Where the format only warns, the error of the reader or of a rule says it better.
        Severity::Warning => !d.code.is_of_format() || !errors.contains(&d.span),
        Severity::Note => false,
    });
    // What is absent may be what is wrong.
    diags.retain(|_, d| d.severity == Severity::Error || ![&lint::NO_CONSOLE, &lint::NO_ACPI].contains(&d.code));
    diags.place(doc.root().map_or(Span::NONE, |root| root.span()));
}
