//! One fault, one report: what follows from a fault that is reported already is dropped.

use crate::diag::codes::general::{INTERNAL, NO_IDE, NOT_BY_QEMU, NOT_YET};
use crate::diag::codes::{address, display, hostdev, lint, machine as machine_codes, schema, storage};
use crate::diag::{Code, Diagnostic, Diagnostics, Severity, Span};
use crate::schema::{Flagged, nearest};
use crate::stage::Guess;
use crate::xml::{Document, El};
use std::collections::BTreeSet;

/// Where the causes are, and where what is said is most likely their consequence.
struct Shadow {
    /// Nothing in these says anything new: the causes themselves, and tags that are wrong as a whole.
    within: Vec<Span>,
    /// Nor in these, as long as it depends on what the element is: the attributes that are wrong (none: any may be).
    inside: Vec<(Span, Vec<Wrong>)>,
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

/// An attribute that is wrong.
struct Wrong {
    name: String,
    /// Whether the element has an attribute of this name. Another may be meant for any that it has.
    known: bool,
}

/// Attributes that say what an element is, or which one: where one of them is wrong, a rule that looks at the element may err.
/// The others are what the element has besides, each on its own.
static DECISIVE: &[&str] = &[
    "type",
    "device",
    "model",
    "mode",
    "bus",
    "name",
    "protocol",
    "arch",
    "machine",
    "policy",
    "state",
    "id",
    "index",
    "dev",
    "enable",
    "transport",
    "driver",
    "placement",
    "offset",
    "present",
    "firmware",
    "function",
    "slot",
    "level",
];

/// Drops the errors from number `first` on that most likely follow from an error before it, or from a guess at the machine.
pub(super) fn drop(doc: &Document<'_>, first: usize, flagged: &Flagged, guess: Guess, diags: &mut Diagnostics) {
    let errors = || diags.iter().take(first).filter(|d| d.severity == Severity::Error);
    // Of several attributes that are for another variant, one report has the places of all.
    let places = |d: &Diagnostic| match d.code == &schema::WRONG_VARIANT {
        true => std::iter::once(d.span).chain(d.related.iter().map(|(span, _)| *span)).collect(),
        false => vec![d.span],
    };
    let mut causes: Vec<Span> = errors().flat_map(places).filter(|span| !span.is_none()).collect();
    if diags.len() == first || causes.is_empty() && guess == Guess::No {
        return;
    }
    causes.sort();
    let places = errors().any(|d| d.code.is_of_addresses());
    let strange: Vec<Span> = errors().filter(|d| d.code == &schema::UNKNOWN_ATTRIBUTE).map(|d| d.span).collect();
    let shadow = Shadow { places, guess, machine: machine(doc), ..shadow(doc, &causes, &strange, flagged) };
    // Lints, too, follow from what is wrong.
    let follows = |d: &Diagnostic| d.severity == Severity::Error || d.code.is_lint();
    diags.retain(|at, d| at < first || !follows(d) || !shadow.covers(d));
}

/// Of a text with slips (the first faults), drops the faults of the format, from number `first` on, that touch one of them.
pub(super) fn slips(first: usize, diags: &mut Diagnostics) {
    let slips: Vec<Span> = diags.iter().take(first).map(|d| d.span).collect();
    let touches = |of: Span| slips.iter().any(|s| s.start <= of.end && of.start <= s.end);
    let kept: Vec<bool> = diags.iter().map(|d| !touches(d.span)).collect();
    diags.retain(|at, _| at < first || kept.get(at).is_some_and(|k| *k));
}

/// Of a text that is not well-formed, keeps the faults of the format, from number `first` on, that hold however the text is mended.
pub(super) fn broken(doc: &Document<'_>, first: usize, diags: &mut Diagnostics) {
    let faults: Vec<Span> = diags.iter().take(first).map(|d| d.span).collect();
    let source = doc.source();
    // An end tag that was most likely not meant for the element that it closed may move all that follows.
    let stray = |span: &&Span| {
        let end = source.get(span.range()).and_then(|t| t.strip_prefix("</")).map(|t| t.trim_end_matches('>').trim());
        let closed = || doc.elements().find(|e| e.whole().end == span.end);
        end.is_some_and(|end| closed().is_none_or(|el| nearest(end, [el.name()]).is_none()))
    };
    let until = faults.iter().filter(stray).map(|s| s.start).min().unwrap_or(u32::MAX);
    let nowhere = faults.iter().any(|s| s.is_none());
    let mut unsure: Vec<Span> = Vec::new();
    let mut unfinished: Vec<Span> = Vec::new();
    for el in doc.elements() {
        let (tag, whole) = (el.span(), el.whole());
        let inside = |s: &Span, of: Span| of.start <= s.start && s.end <= of.end;
        let closed = source.get(tag.range()).is_some_and(|t| t.ends_with("/>")) || whole.end > tag.end;
        if faults.iter().any(|s| inside(s, tag)) {
            unsure.push(whole);
        }
        if !closed || faults.iter().any(|s| inside(s, whole)) {
            unfinished.push(tag);
        }
    }
    let keep = |d: &Diagnostic| {
        let touches = |s: &Span| s.start <= d.span.end && d.span.start <= s.end;
        let lacks = [&schema::MISSING_ELEMENT, &schema::MISSING_ATTRIBUTE].contains(&d.code);
        let within = |all: &[Span]| all.iter().any(|s| s.start <= d.span.start && d.span.end <= s.end);
        let in_doubt = d.span.is_none() || d.span.start >= until || faults.iter().any(touches) || within(&unsure);
        d.severity == Severity::Error && !in_doubt && !(lacks && within(&unfinished))
    };
    let kept: Vec<bool> = diags.iter().map(|d| !nowhere && keep(d)).collect();
    diags.retain(|at, _| at < first || kept.get(at).is_some_and(|k| *k));
}

/// `<type>` of `<os>`, or the domain's own tag.
fn machine(doc: &Document<'_>) -> Span {
    let root = doc.root();
    let kind = root.and_then(|r| r.child("os")).and_then(|os| os.child("type"));
    kind.or(root).map_or(Span::NONE, |e| e.span())
}

fn shadow(doc: &Document<'_>, causes: &[Span], strange: &[Span], flagged: &Flagged) -> Shadow {
    let hit = |place: Span| {
        let from = causes.partition_point(|c| c.start < place.start);
        causes[from..].iter().take_while(|c| c.start < place.end).any(|c| c.end <= place.end)
    };
    let mut shadow = Shadow {
        within: causes.to_vec(),
        inside: flagged.unsure().iter().map(|s| (*s, Vec::new())).collect(),
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
            let wrong = wrong_attributes(el, causes, strange);
            // What is wrong with the tag as a whole hides all that it might lack.
            if wrong.is_empty() || wrong.iter().any(|w| !w.known) {
                shadow.within.push(el.span());
            }
            shadow.inside.push((el.whole(), wrong));
        }
    }
    shadow
}

/// The attributes that the causes in a tag are about; none where one is about the tag as a whole (it lacks something, say).
fn wrong_attributes(el: El<'_>, causes: &[Span], strange: &[Span]) -> Vec<Wrong> {
    let tag = el.span();
    let mut names = Vec::new();
    for cause in causes.iter().filter(|c| tag.start <= c.start && c.end <= tag.end) {
        let about = el.attrs().find(|a| a.span().start <= cause.start && cause.end <= a.span().end);
        match about {
            Some(attr) => {
                names.push(Wrong { name: attr.name().to_string(), known: !strange.contains(cause) });
            }
            None => return Vec::new(),
        }
    }
    names
}

impl Shadow {
    fn covers(&self, d: &Diagnostic) -> bool {
        let holds = |s: &Span| s.start <= d.span.start && d.span.end <= s.end;
        let inside = |all: &[Span]| all.iter().any(holds);
        let decides = |wrong: &Wrong| match d.code.depends_on() {
            Some(on) => on.contains(&wrong.name.as_str()),
            None => !wrong.known || DECISIVE.contains(&wrong.name.as_str()),
        };
        let depends = |wrong: &[Wrong]| wrong.is_empty() || wrong.iter().any(decides);
        d.span.is_none()
            || self.tags.contains(&d.span) && !d.code.is_of_its_tag()
            || inside(&self.within)
            || !d.code.stands_alone() && self.inside.iter().any(|(s, wrong)| holds(s) && depends(wrong))
            || d.code == &NOT_YET && inside(&self.unread)
            || self.places && d.code.is_of_addresses()
            || self.guess == Guess::Any && d.code.is_of_machine() && !inside(&[self.machine])
    }
}

/// Where both are said of one place, the first follows from the second.
static OF_ONE_PLACE: &[(&Code, &Code)] =
    &[(&address::USB, &display::INPUT), (&NOT_BY_QEMU, &storage::BUS), (&NO_IDE, &storage::BUS)];

/// Drops what another error says better, although it stands elsewhere or was found at the same time.
fn once(doc: &Document<'_>, diags: &mut Diagnostics) {
    let errors: Vec<(Span, &'static Code)> =
        diags.iter().filter(|d| d.severity == Severity::Error).map(|d| (d.span, d.code)).collect();
    let Some(root) = doc.root() else { return };
    // A misspelt element of the domain may be the one that is missed.
    let strange = root.children().any(|c| errors.contains(&(c.span(), &schema::UNKNOWN_ELEMENT)));
    // An element in the wrong place is missing in the right one.
    let misplaced: BTreeSet<&str> =
        doc.elements().filter(|e| errors.contains(&(e.span(), &schema::WRONG_PLACE))).map(|e| e.name()).collect();
    // What no such machine has, its QEMU has not either.
    let unsuitable = |of: &Span| {
        let inside = |s: &Span| of.start <= s.start && s.end <= of.end;
        let codes = [&hostdev::UNSUPPORTED_MODEL, &hostdev::TPM];
        errors.iter().any(|(s, code)| codes.contains(code) && inside(s))
    };
    let devices = root.children().filter(|e| e.is("devices")).flat_map(|d| d.children()).map(|e| e.whole());
    let unsuitable: Vec<Span> = devices.filter(unsuitable).collect();
    // What an element lacks that is one too many is in the first one.
    let twice: Vec<Span> = errors.iter().filter(|(_, c)| **c == schema::DUPLICATE).map(|(s, _)| *s).collect();
    let lacks = [&schema::MISSING_ELEMENT, &schema::MISSING_ATTRIBUTE];
    let with_text = with_text(doc, diags);
    diags.retain(|_, d| {
        let second = lacks.contains(&d.code) && twice.iter().any(|s| s.start <= d.span.start && d.span.end <= s.end);
        let device = |s: &Span| s.start <= d.span.start && d.span.end <= s.end;
        let follows = second
            || with_text.contains(&d.span.start) && lacks.contains(&d.code)
            || d.code == &NOT_BY_QEMU && unsuitable.iter().any(device)
            || OF_ONE_PLACE.iter().any(|(one, other)| d.code == *one && errors.contains(&(d.span, *other)));
        let missed = strange && d.code == &machine_codes::MEMORY && d.span == root.span();
        let moved = !d.lacks.is_empty() && d.lacks.iter().all(|name| misplaced.contains(name));
        !(follows || missed || moved)
    });
}

/// The elements, by where they begin, in which text stands that was meant for what they lack: the help of that fault says how it
/// is written. (What an attribute that does not belong was meant for, nobody knows: what the element lacks is told beside it.)
fn with_text(doc: &Document<'_>, diags: &Diagnostics) -> BTreeSet<u32> {
    let texts = diags.iter().filter(|d| d.severity == Severity::Error && d.code == &schema::UNEXPECTED_TEXT);
    let holds = |of: Span, d: &Diagnostic| of.start <= d.span.start && d.span.end <= of.end;
    // The innermost is the last to begin.
    let element = |d| doc.elements().filter(|e| holds(e.whole(), d)).max_by_key(|e| e.whole().start);
    texts.filter_map(element).map(|el| el.span().start).collect()
}

/// Makes the report of a domain that does not compile worth reading: nothing twice, no remarks that only matter to one that does,
/// and a place for each fault.
pub(super) fn tidy(doc: &Document<'_>, diags: &mut Diagnostics) {
    once(doc, diags);
    // What a fault keeps from being filled in is no bug of virtc.
    if diags.iter().any(|d| d.severity == Severity::Error && d.code != &INTERNAL) {
        diags.retain(|_, d| d.code != &INTERNAL);
    }
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
