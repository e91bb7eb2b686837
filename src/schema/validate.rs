//! The check of a document: one walk, a table look-up an element and an attribute.

use super::explain::Explainer;
use super::suggest::{meant, nearest};
use super::tables::{self, AttrSlot, ChildSlot, Element, Guard, MOST_GUARDS, NO_NAME, Name};
use super::variants::guards_up;
use crate::diag::{Code, Diagnostic, Diagnostics, Severity, Span};
use crate::xml::{Attr, Document, El, Namespace};

/// The places that [`validate`] has reported, so that nobody reports them again.
#[derive(Default, Debug, Clone)]
pub struct Flagged {
    spans: Vec<Span>,
    unsure: Vec<Span>,
}

impl Flagged {
    /// Whether the place lies in something reported.
    pub fn covers(&self, place: Span) -> bool {
        self.spans.iter().any(|s| s.start <= place.start && place.end <= s.end)
    }

    /// Elements of which it is not known what they may hold, because of a fault in their parent.
    pub fn unsure(&self) -> &[Span] {
        &self.unsure
    }

    /// Whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(super) fn add(&mut self, span: Span) {
        self.spans.push(span);
    }
}

/// How faults of the format are reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grade {
    /// Each as an error: the format is what counts.
    Strict,
    /// As an error, but what libvirt passes over, without harm to the machine, as a warning.
    Lenient,
    /// Each as a warning: for a libvirt that reads the same text.
    Warn,
}

/// Checks a whole document against the grammar of the domain format and reports every fault. Gives the places that it has
/// reported.
pub fn validate(doc: &Document<'_>, grade: Grade, diags: &mut Diagnostics) -> Flagged {
    validate_watched(doc, grade, diags, &mut Unwatched)
}

/// Sees which entries of the schema a document uses.
pub trait Watch {
    /// An attribute of an element.
    fn attribute(&mut self, _slot: &'static AttrSlot, _of: El<'_>, _attr: Attr<'_>) {}
    /// A child element.
    fn child(&mut self, _slot: &'static ChildSlot, _el: El<'_>) {}
    /// The text of an element.
    fn text(&mut self, _of: &'static Element, _el: El<'_>) {}
}

struct Unwatched;
impl Watch for Unwatched {}

/// As [`validate`], and tells `watch` which entries the document uses.
pub fn validate_watched<W: Watch>(doc: &Document<'_>, grade: Grade, diags: &mut Diagnostics, watch: &mut W) -> Flagged {
    let Some(root) = doc.root() else { return Flagged::default() };
    let mut v = Validator {
        watch,
        out: Reporter { grade, diags, faults: 0, flagged: Flagged::default() },
        attrs: Vec::new(),
        children: Vec::new(),
        counts: Vec::new(),
    };
    let domain = Element::root();
    if root.namespace() == Namespace::None && root.name() == tables::name_text(domain.name) {
        v.element(root, domain, None);
    } else {
        Explainer::new(&mut v.out).wrong_root(root);
        // What was meant for a domain, or holds one, is looked at as one: its other faults are told in the same run.
        let mut inner = root.children().filter(|e| e.is("domain"));
        match (inner.next(), inner.next()) {
            (Some(one), None) => v.element(one, domain, None),
            (None, _) if is_meant_for_domain(root) => v.element(root, domain, None),
            _ => {}
        }
    }
    v.out.flagged
}

/// Whether the text of an element that holds none is the value of an attribute of its parent: `<os><firmware>efi</firmware>`.
pub(super) fn is_attribute_of(me: &Parent<'_, '_>) -> bool {
    let text = me.el.text().trim_ascii();
    let takes = |s: &AttrSlot| tables::name_text(s.name) == me.el.name() && !s.ty().is_free() && s.ty().accepts(text);
    !text.is_empty()
        && me.def.text().is_none()
        && me.above.is_some_and(|above| above.el.peek(me.el.name()).is_none() && above.def.attrs().iter().any(takes))
}

/// Whether a child is written as an attribute that the element has not (`<vlan tag='1'/>`), which is told there.
fn stands_as_attribute(me: &Parent<'_, '_>, child: &ChildSlot) -> bool {
    let name = tables::name_text(child.name);
    me.el.peek(name).is_some() && !me.def.attrs().iter().any(|s| s.name == child.name)
}

/// Whether a root element is `<domain>`, but for a slip of the keyboard.
fn is_meant_for_domain(root: El<'_>) -> bool {
    root.namespace() == Namespace::None && nearest(root.name(), ["domain"]).is_some()
}

/// After this many faults the rest of the file is not looked at: it is no domain.
const MOST_FAULTS: usize = 2000;

/// Where faults go.
pub(super) struct Reporter<'d> {
    grade: Grade,
    diags: &'d mut Diagnostics,
    faults: usize,
    pub flagged: Flagged,
}

impl Reporter<'_> {
    pub fn report(&mut self, code: &'static Code, span: Span, message: String) -> &mut Diagnostic {
        self.faults += 1;
        let severity = if self.grade == Grade::Warn { Severity::Warning } else { Severity::Error };
        self.report_as(severity, code, span, message)
    }

    /// Reports what every reader of the format refuses.
    pub fn refused(&mut self, code: &'static Code, span: Span, message: String) -> &mut Diagnostic {
        self.faults += 1;
        self.report_as(Severity::Error, code, span, message)
    }

    /// Reports what the format does not have, and libvirt passes over or takes nevertheless.
    pub fn passed_over(&mut self, code: &'static Code, span: Span, message: String) -> &mut Diagnostic {
        if self.grade == Grade::Strict {
            return self.report(code, span, message);
        }
        self.faults += 1;
        self.report_as(Severity::Warning, code, span, message)
    }

    /// Whether what libvirt takes is taken.
    pub fn is_lenient(&self) -> bool {
        self.grade != Grade::Strict
    }

    /// Reports what does no harm: libvirt passes over it.
    pub fn remark(&mut self, code: &'static Code, span: Span, message: String) -> &mut Diagnostic {
        self.report_as(Severity::Warning, code, span, message)
    }

    fn report_as(&mut self, severity: Severity, code: &'static Code, span: Span, message: String) -> &mut Diagnostic {
        match severity {
            Severity::Error => self.diags.error(code, span, message),
            Severity::Warning => self.diags.warning(code, span, message),
            Severity::Note => self.diags.note(code, span, message),
        }
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    No,
    /// The attribute it depends on is missing or wrong: be lenient, that fault is reported.
    Unsure,
    Yes,
}

/// The states of the conditions of one element.
pub(super) struct States([State; MOST_GUARDS + 1]);

impl States {
    pub fn of(&self, guard: u8) -> State {
        self.0.get(guard as usize).copied().unwrap_or(State::No)
    }
}

/// Whether an element that need not be there is empty, and so is not there for libvirt. Numbers and words it reads.
fn says_nothing(me: &Parent<'_, '_>, ty: &tables::Type, raw: &str) -> bool {
    let optional = me.above.is_some_and(|above| {
        let slots = above.def.children().iter().filter(|s| s.name == me.def.name);
        slots.clone().next().is_some() && slots.clone().all(|s| s.min == 0 && s.max == 1)
    });
    let number = ty.parts().iter().any(|p| matches!(p, tables::Part::Int(..) | tables::Part::Hex(..)));
    optional && raw.trim().is_empty() && me.el.attrs().next().is_none() && ty.words().is_empty() && !number
}

/// An element under validation, as its children's diagnostics need it.
#[derive(Clone, Copy)]
pub(super) struct Parent<'v, 'd> {
    pub el: El<'d>,
    pub def: &'static Element,
    pub states: &'v States,
    pub above: Option<&'v Parent<'v, 'd>>,
}

struct Validator<'d, 'o, W> {
    watch: &'o mut W,
    out: Reporter<'o>,
    // Stacks shared by all levels, so that a walk allocates a few times only.
    attrs: Vec<(Name, Attr<'d>)>,
    children: Vec<(Name, El<'d>)>,
    counts: Vec<u32>,
}

impl<'d, W: Watch> Validator<'d, '_, W> {
    fn element(&mut self, el: El<'d>, def: &'static Element, above: Option<&Parent<'_, 'd>>) {
        let (attrs, children) = (self.attrs.len(), self.children.len());
        for attr in el.attrs() {
            self.attrs.push((tables::find_name(attr.namespace(), attr.name()), attr));
        }
        for child in el.children() {
            self.children.push((tables::find_name(child.namespace(), child.name()), child));
        }
        let states = self.states(def, attrs, children);
        let me = Parent { el, def, states: &states, above };
        let text_meant = self.check_attrs(&me, attrs);
        if !text_meant {
            self.check_text(&me);
        }
        self.check_children(&me, children);
        self.attrs.truncate(attrs);
        self.children.truncate(children);
    }

    /// Finds out which conditions hold.
    fn states(&self, def: &'static Element, attrs: usize, children: usize) -> States {
        let mut states = States([State::Yes; MOST_GUARDS + 1]);
        let guards = def.guards();
        let (attrs, children) = (&self.attrs[attrs..], &self.children[children..]);
        // Conditions on one attribute follow one another: remember its last verdict.
        let mut known: Option<(Name, State)> = None;
        for (at, guard) in guards.iter().enumerate() {
            let at = at + 1;
            match guard {
                Guard::When { parent, attr, negate, default, .. } => {
                    let outer = states.of(*parent);
                    if outer == State::No {
                        states.0[at] = State::No;
                        continue;
                    }
                    let value = attrs.iter().find(|(n, _)| n == attr).map(|(_, a)| a.value());
                    let hit = match (guard.values(), value) {
                        ([], _) => value.is_none(),
                        (values, Some(value)) => tables::has(values, value),
                        (values, None) => !default.get().is_empty() && tables::has(values, default.get()),
                    };
                    let mut state = if hit != *negate { State::Yes } else { State::No };
                    if !hit && !guard.values().is_empty() {
                        let sure = match known {
                            Some((name, sure)) if name == *attr => sure,
                            _ => {
                                let slots = def.attrs().iter().filter(|s| s.name == *attr);
                                let open = slots.filter(|s| states.of(s.guard) != State::No);
                                let sure = trusted(open, value);
                                known = Some((*attr, sure));
                                sure
                            }
                        };
                        if sure == State::Unsure {
                            state = State::Unsure;
                        }
                    }
                    states.0[at] = state.min(outer);
                }
                Guard::Option { parent, index: 0, count, .. } => {
                    let count = *count as usize;
                    let outer = states.of(*parent);
                    let options = guards.get(at - 1..at - 1 + count).unwrap_or(&[]);
                    let chosen = if outer == State::Yes { choose(options, attrs, children) } else { 0 };
                    for i in 0..count {
                        states.0[at + i] = match outer {
                            State::Yes if i == chosen => State::Yes,
                            State::Yes => State::No,
                            other => other,
                        };
                    }
                }
                Guard::Option { .. } => {}
            }
        }
        states
    }

    /// Gives whether an attribute was taken for the text.
    fn check_attrs(&mut self, me: &Parent<'_, 'd>, from: usize) -> bool {
        let slots = me.def.attrs();
        let (mut unknown, mut foreign, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
        for at in from..self.attrs.len() {
            let (name, attr) = self.attrs[at];
            let (mut active, mut lenient, mut inactive): (Option<&'static AttrSlot>, bool, bool) = (None, false, false);
            if name != NO_NAME {
                for slot in slots.iter().filter(|s| s.name == name) {
                    match me.states.of(slot.guard) {
                        State::Yes => active = active.or(Some(slot)),
                        State::Unsure => lenient = true,
                        State::No => inactive = true,
                    }
                }
            }
            if let Some(slot) = active {
                self.watch.attribute(slot, me.el, attr);
            }
            match active {
                Some(slot) if slot.ty().accepts(attr.value()) => {}
                // An attribute and its namesake in another option: either will do.
                _ if lenient => unsure.push((name, attr)),
                Some(slot) => Explainer::new(&mut self.out).wrong_attribute_value(me, slot, attr),
                None if inactive => foreign.push(attr),
                None => unknown.push(attr),
            }
        }
        let mine = &self.attrs[from..];
        // Text where none belongs is reported, and says what it should be.
        let text_told = me.def.text().is_none() && !me.el.text().trim_ascii().is_empty();
        let mut missing: Vec<&'static AttrSlot> = (slots.iter())
            .filter(|s| s.required && me.states.of(s.guard) == State::Yes && !text_told)
            .filter(|s| !mine.iter().any(|(n, _)| *n == s.name))
            .collect();
        // An attribute that waits for the one that is missing, with a value of that one.
        if let ([(name, attr)], [needed]) = (unsure.as_slice(), missing.as_slice())
            && !needed.ty().is_free()
            && needed.ty().accepts(attr.value())
            && !slots.iter().any(|s| s.name == *name && s.ty().accepts(attr.value()))
        {
            unknown.push(*attr);
        }
        let text_meant = Explainer::new(&mut self.out).unknown_attributes(me, &unknown, &foreign, &mut missing);
        if !missing.is_empty() {
            Explainer::new(&mut self.out).missing_attributes(me, &missing);
        }
        text_meant
    }

    fn check_text(&mut self, me: &Parent<'_, 'd>) {
        let raw = me.el.text();
        if me.def.text().is_some() {
            self.watch.text(me.def, me.el);
        }
        match me.def.text() {
            None if raw.is_empty() => {}
            None => {
                if !raw.bytes().all(|b| b.is_ascii_whitespace()) {
                    Explainer::new(&mut self.out).unexpected_text(me);
                }
            }
            Some(ty) if ty.accepts_text(raw) => {}
            Some(ty) if says_nothing(me, ty, raw) => Explainer::new(&mut self.out).says_nothing(me),
            Some(ty) => Explainer::new(&mut self.out).wrong_text(me, ty),
        }
    }

    fn check_children(&mut self, me: &Parent<'_, 'd>, from: usize) {
        let slots = me.def.children();
        let to = self.children.len();
        let base = self.counts.len();
        self.counts.resize(base + slots.len(), 0);
        let mut guessed: Vec<Name> = Vec::new();
        let mut strange = false;
        for at in from..to {
            let (name, el) = self.children[at];
            if me.def.foreign {
                continue;
            }
            if self.out.faults > MOST_FAULTS {
                break;
            }
            let (mut active, mut unsure, mut inactive) = (None, Vec::new(), false);
            if name != NO_NAME {
                for (i, slot) in slots.iter().enumerate().filter(|(_, s)| s.name == name) {
                    match me.states.of(slot.guard) {
                        State::Yes => active = active.or(Some((i, slot))),
                        State::Unsure => unsure.push((i, slot)),
                        State::No => inactive = true,
                    }
                }
            }
            match (active, unsure.as_slice()) {
                (Some((i, slot)), []) => self.child(me, slot, el, base + i, from..at),
                // One candidate only: what it holds is checked, although it may not belong here.
                (None, [(i, slot)]) => self.child(me, slot, el, base + i, from..at),
                (Some((i, _)), _) => self.counts[base + i] += 1,
                (None, several @ [(i, _), ..]) => match likely(me, el, several) {
                    Some((i, slot)) => self.child(me, slot, el, base + i, from..at),
                    None => {
                        self.out.flagged.unsure.push(el.whole());
                        self.counts[base + *i] += 1;
                    }
                },
                (None, []) => {
                    let meant = Explainer::new(&mut self.out).unknown_element(me, el, name, inactive);
                    strange |= meant.is_none();
                    guessed.extend(meant);
                }
            }
        }
        let text_told = is_attribute_of(me);
        let missing: Vec<&ChildSlot> = (slots.iter().enumerate())
            .filter(|(i, s)| self.counts[base + i] < u32::from(s.min) && me.states.of(s.guard) == State::Yes)
            .map(|(_, s)| s)
            .filter(|s| !guessed.contains(&s.name))
            // The report of the stranger says what belongs there, and that of the text where it belongs.
            .filter(|_| !strange || slots.len() > 1)
            .filter(|_| !text_told)
            .filter(|s| !stands_as_attribute(me, s))
            .collect();
        if !missing.is_empty() {
            Explainer::new(&mut self.out).missing_elements(me, &missing);
        }
        self.counts.truncate(base);
    }

    fn child(
        &mut self,
        me: &Parent<'_, 'd>,
        slot: &'static ChildSlot,
        el: El<'d>,
        count: usize,
        before: std::ops::Range<usize>,
    ) {
        self.counts[count] += 1;
        self.watch.child(slot, el);
        if slot.max != 0 && self.counts[count] > u32::from(slot.max) {
            let first = self.children[before].iter().find(|(n, _)| *n == slot.name).map(|(_, e)| e.span());
            Explainer::new(&mut self.out).duplicate(me, el, slot, first);
        }
        self.element(el, slot.element(), Some(me));
    }
}

/// What an element most likely is where a fault in its parent leaves several possible: the one that knows most of its
/// attributes; of several, that of the value that was probably meant in the parent.
fn likely(
    me: &Parent<'_, '_>,
    el: El<'_>,
    several: &[(usize, &'static ChildSlot)],
) -> Option<(usize, &'static ChildSlot)> {
    let known = |slot: &ChildSlot| {
        let of = |attr: &Attr<'_>| slot.element().attrs().iter().any(|s| tables::name_text(s.name) == attr.name());
        el.attrs().filter(of).count()
    };
    let most = several.iter().map(|(_, slot)| known(slot)).max()?;
    let mut best: Vec<_> = several.iter().copied().filter(|(_, slot)| known(slot) == most).collect();
    if best.len() > 1 {
        best.retain(|(_, slot)| would_hold(me, slot.guard));
    }
    match best.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

/// Whether the conditions of a guard would hold if wrong values of attributes were what they probably were meant to be.
fn would_hold(me: &Parent<'_, '_>, guard: u8) -> bool {
    guards_up(me, guard).all(|(at, guard)| match guard {
        Guard::When { attr, negate, .. } if me.states.of(at) == State::Unsure => {
            let name = tables::name_text(*attr);
            let Some(value) = me.el.peek(name).map(|a| a.value()) else { return false };
            let slots = me.def.attrs().iter().filter(|s| s.name == *attr);
            let words = slots.flat_map(|s| s.ty().words()).map(|w| w.word.get());
            match meant(value, words).as_slice() {
                [one] => tables::has(guard.values(), one) != *negate,
                _ => false,
            }
        }
        _ => me.states.of(at) != State::No,
    })
}

/// Whether a value that misses a condition can be relied on.
fn trusted<'s>(mut slots: impl Iterator<Item = &'s AttrSlot>, value: Option<&str>) -> State {
    match value {
        None if slots.any(|s| s.required) => State::Unsure,
        None => State::Yes,
        Some(value) => {
            if slots.any(|s| s.ty().accepts(value)) {
                State::Yes
            } else {
                State::Unsure
            }
        }
    }
}

/// The option that fits best: the fewest required things absent and the fewest present things foreign
/// to it. The first wins a draw.
fn choose(options: &[Guard], attrs: &[(Name, Attr<'_>)], children: &[(Name, El<'_>)]) -> usize {
    let mut best = (usize::MAX, 0);
    for (at, option) in options.iter().enumerate() {
        let mut cost = 0;
        for (name, ty, required) in option.option_attrs() {
            match attrs.iter().find(|(n, _)| *n == name) {
                Some((_, attr)) => cost += usize::from(!ty.accepts(attr.value())),
                None => cost += usize::from(required),
            }
        }
        for (name, required) in option.option_children() {
            cost += usize::from(*required && !children.iter().any(|(n, _)| n == name));
        }
        for other in options.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, o)| o) {
            for (name, ..) in other.option_attrs() {
                let mine = option.option_attrs().any(|(n, ..)| n == name);
                cost += usize::from(!mine && attrs.iter().any(|(n, _)| *n == name));
            }
            for (name, _) in other.option_children() {
                let mine = option.option_children().iter().any(|(n, _)| n == name);
                cost += usize::from(!mine && children.iter().any(|(n, _)| n == name));
            }
        }
        if cost < best.0 {
            best = (cost, at);
        }
    }
    best.1
}
