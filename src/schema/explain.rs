//! The words of the diagnostics: what is wrong, and what to do. Runs only when something is wrong.

use super::suggest::{nearest, switch};
use super::tables::{self, AttrSlot, ChildSlot, Element, Guard, Name, Part, Text, Type, name_text};
use super::validate::{Parent, Reporter, State};
use crate::diag::Span;
use crate::diag::codes::schema as codes;
use crate::xml::{Attr, El, Namespace};

pub(super) struct Explainer<'r, 'd> {
    out: &'r mut Reporter<'d>,
}

impl<'r, 'd> Explainer<'r, 'd> {
    pub fn new(out: &'r mut Reporter<'d>) -> Explainer<'r, 'd> {
        Explainer { out }
    }

    pub fn wrong_root(&mut self, root: El<'_>) {
        let name = root.name();
        let message = format!("the root element is <{name}>, not <domain>");
        let help = match name {
            _ if root.namespace() != Namespace::None => {
                "the domain format itself has no namespace: remove the xmlns attribute".to_string()
            }
            "network" | "pool" | "volume" | "secret" | "interface" | "device" | "filter" | "capabilities"
            | "domainCapabilities" | "storagepool" => {
                format!("this is another kind of libvirt document (<{name}>); virtc compiles domains")
            }
            "domstatus" | "domainsnapshot" | "domaincheckpoint" => {
                "keep the <domain> element inside it, as a file of its own".to_string()
            }
            _ if name.eq_ignore_ascii_case("domain") => "names are case-sensitive: write <domain>".to_string(),
            _ => "a domain begins with <domain type='kvm'>".to_string(),
        };
        self.out.flagged.add(root.whole());
        self.out.report(&codes::WRONG_ROOT, root.span(), message).help(help);
    }

    /// Gives the name that was probably meant.
    pub fn unknown_attribute(&mut self, me: &Parent<'_, '_>, attr: Attr<'_>, inactive: bool) -> Option<Name> {
        self.out.flagged.add(attr.span());
        let (el, name) = (tag(me.el), attr.name());
        if attr.namespace() != Namespace::None {
            let message = format!("{el} takes no attribute of another namespace ('{name}')");
            self.out.report(&codes::UNKNOWN_ATTRIBUTE, attr.span(), message).help("remove it");
            return None;
        }
        if inactive {
            let guards: Vec<u8> =
                me.def.attrs().iter().filter(|s| name_text(s.name) == name).map(|s| s.guard).collect();
            let (message, help) = wrong_variant(me, &format!("'{name}'"), &guards);
            self.out.report(&codes::WRONG_VARIANT, attr.span(), message).help(help);
            return None;
        }
        let known = open_attrs(me);
        // An attribute that is set already cannot be the one that was meant.
        let unset = known.iter().copied().filter(|k| me.el.peek(k).is_none());
        if let Some(meant) = nearest(name, unset) {
            let message = format!("{el} has no attribute '{name}'");
            self.out.report(&codes::UNKNOWN_ATTRIBUTE, attr.span(), message).help(format!("did you mean '{meant}'?"));
            return Some(tables::find_name(Namespace::None, meant));
        }
        if let Some(above) = me.above {
            // The same element under another condition of its parent: <source file=…> of type='block'.
            let guards: Vec<u8> = (above.def.children().iter())
                .filter(|s| s.name == me.def.name && above.states.of(s.guard) == State::No)
                .filter(|s| s.element().attrs().iter().any(|a| name_text(a.name) == name))
                .map(|s| s.guard)
                .collect();
            if !guards.is_empty() {
                let (message, help) = wrong_variant(above, &format!("'{name}' of {el}"), &guards);
                // What only this variant takes stands in for what the other one takes.
                let other = |k: &&str| {
                    above
                        .def
                        .children()
                        .iter()
                        .filter(|s| guards.contains(&s.guard) && s.name == me.def.name)
                        .any(|s| s.element().attrs().iter().any(|a| name_text(a.name) == *k))
                };
                let unset = |k: &&str| me.el.peek(k).is_none();
                let needed = |k: &&str| me.def.attrs().iter().any(|a| a.required && name_text(a.name) == *k);
                let mut instead: Vec<&str> = known.iter().copied().filter(|k| needed(k) && unset(k)).collect();
                if instead.is_empty() {
                    instead = known.iter().copied().filter(|k| !other(k) && unset(k)).collect();
                }
                let help = match (instead.as_slice(), known.as_slice()) {
                    ([], []) => help,
                    ([], known) => format!("{help}; here {el} takes {}", list(known)),
                    (instead, _) => format!("here {el} takes {}; {help}", list(instead)),
                };
                self.out.report(&codes::WRONG_VARIANT, attr.span(), message).help(help);
                return instead.first().map(|n| tables::find_name(Namespace::None, n));
            }
        }
        if let Some(child) = me.def.children().iter().find(|s| name_text(s.name) == name) {
            let message = format!("{el} has no attribute '{name}'");
            self.out
                .report(&codes::UNKNOWN_ATTRIBUTE, attr.span(), message)
                .help(format!("'{name}' is an element: write {} inside {el}", skeleton(child)));
            return None;
        }
        let mut help = if known.is_empty() {
            format!("{el} takes no attributes here")
        } else {
            format!("{el} takes {}", list(&known))
        };
        if let Some(place) = relative_with_attribute(me, name) {
            help = format!("'{name}' belongs on <{place}>; {help}");
        }
        self.out.report(&codes::UNKNOWN_ATTRIBUTE, attr.span(), format!("{el} has no attribute '{name}'")).help(help);
        None
    }

    pub fn wrong_attribute_value(&mut self, me: &Parent<'_, '_>, slot: &AttrSlot, attr: Attr<'_>) {
        self.out.flagged.add(attr.span());
        let what = format!("the attribute '{}' of {}", attr.name(), tag(me.el));
        let (value, unit) = (attr.value(), slot.unit.get());
        let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        // `64M`, where the unit is fixed.
        if !unit.is_empty()
            && digits > 0
            && value[digits..].chars().all(|c| c.is_ascii_alphabetic())
            && slot.ty().accepts(&value[..digits])
        {
            self.out
                .report(
                    &codes::WRONG_UNIT,
                    attr.span(),
                    format!("{what} cannot be '{value}': it is a number without a unit"),
                )
                .help(format!("write the number alone; its unit is {unit}"));
            return;
        }
        self.wrong_value(&what, attr.value(), slot.ty(), attr.span());
    }

    pub fn wrong_text(&mut self, me: &Parent<'_, '_>, ty: &Type) {
        self.out.flagged.add(me.el.whole());
        let value = me.el.text().trim_ascii();
        let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = value.split_at(digits);
        let unit = unit.trim_ascii();
        // `1GiB`, where the unit is an attribute.
        if let Some(slot) = me.def.attrs().iter().find(|a| name_text(a.name) == "unit")
            && !number.is_empty()
            && slot.ty().accepts(unit)
        {
            let name = me.el.name();
            let message = format!("{} cannot be '{value}': its unit is an attribute", tag(me.el));
            self.out
                .report(&codes::WRONG_UNIT, trimmed(me.el), message)
                .help(format!("write <{name} unit='{unit}'>{number}</{name}>"));
            return;
        }
        self.wrong_value(&tag(me.el), value, ty, trimmed(me.el));
    }

    fn wrong_value(&mut self, what: &str, value: &str, ty: &Type, span: Span) {
        let words: Vec<&str> = ty.words().iter().map(|w| w.word.get()).collect();
        let number = tables::decimal(value).or_else(|| tables::hexadecimal(value));
        let ranged = ty.parts().iter().any(|p| matches!(p, Part::Int(..) | Part::Hex(..)));
        // A hexadecimal number where the format has decimal ones.
        let hex = tables::hexadecimal(value)
            .filter(|_| !words.contains(&value) && ty.parts().iter().any(|p| matches!(p, Part::Int(..))))
            .filter(|_| !ty.parts().iter().any(|p| matches!(p, Part::Hex(..))));
        if let Some(decimal) = hex.map(|n| n.to_string()).filter(|n| ty.accepts(n)) {
            self.out
                .report(&codes::WRONG_VALUE, span, format!("{what} cannot be '{value}': it takes decimal numbers"))
                .help(format!("write '{decimal}'"));
            return;
        }
        let (code, message) = if value.is_empty() {
            (&codes::WRONG_VALUE, format!("{what} is empty"))
        } else if number.is_some() && ranged {
            (&codes::OUT_OF_RANGE, format!("{what} is out of range: '{value}'"))
        } else if ty.name.get().ends_with("unit") {
            (&codes::WRONG_UNIT, format!("{what} is no known unit: '{value}'"))
        } else {
            (&codes::WRONG_VALUE, format!("{what} cannot be '{value}'"))
        };
        let expected = expected(ty);
        let meant = switch(value, words.iter().copied()).or_else(|| nearest(value, words.iter().copied()));
        let help = match meant {
            Some(meant) => format!("did you mean '{meant}'? Expected {expected}"),
            None => format!("expected {expected}"),
        };
        self.out.report(code, span, message).help(help);
    }

    pub fn missing_attributes(&mut self, me: &Parent<'_, '_>, missing: &[&AttrSlot]) {
        let el = tag(me.el);
        let mut names: Vec<&str> = missing.iter().map(|s| name_text(s.name)).collect();
        names.dedup();
        let what = if names.len() == 1 { "the attribute" } else { "the attributes" };
        let lines: Vec<String> = missing
            .iter()
            .map(|s| {
                let example = example(s.ty());
                let doc = s.doc.get();
                format!("add {}='{example}': {}", name_text(s.name), first_lower(doc.trim_end_matches('.')))
            })
            .collect();
        self.out
            .report(&codes::MISSING_ATTRIBUTE, me.el.span(), format!("{el} lacks {what} {}", and(&names)))
            .help(lines.join("\n"));
    }

    pub fn missing_elements(&mut self, me: &Parent<'_, '_>, missing: &[&ChildSlot]) {
        let name = |s: &&ChildSlot| match (name_text(s.name), s.min) {
            (name, 0 | 1) => format!("<{name}>"),
            (name, times) => format!("<{name}>, of which there are {times}"),
        };
        let names: Vec<String> = missing.iter().map(name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let lines: Vec<String> = (missing.iter())
            .map(|s| format!("add {}: {}", skeleton(s), first_lower(s.doc.get().trim_end_matches('.'))))
            .collect();
        // The name of the tag only: the whole tag is the place of missing attributes.
        let tag_span = me.el.span();
        let end = (tag_span.start as usize + 1 + me.el.name().len()).min(tag_span.end as usize);
        let span = Span::new(tag_span.start as usize, end);
        self.out
            .report(&codes::MISSING_ELEMENT, span, format!("{} lacks {}", tag(me.el), and_plain(&names)))
            .help(lines.join("\n"));
    }

    pub fn duplicate(&mut self, me: &Parent<'_, '_>, el: El<'_>, slot: &ChildSlot, first: Option<Span>) {
        self.out.flagged.add(el.whole());
        let many = if slot.max == 1 { "only one".to_string() } else { format!("only {}", slot.max) };
        let message = format!("{} may hold {many} {}", tag(me.el), tag(el));
        let d = self.out.report(&codes::DUPLICATE, el.span(), message);
        if let Some(first) = first {
            d.related(first, "the first is here");
        }
        d.help("keep one of them; libvirt would take the first and drop the others");
    }

    pub fn unexpected_text(&mut self, me: &Parent<'_, '_>) {
        let text = me.el.text().trim_ascii();
        let shown: String = if text.chars().count() > 40 {
            text.chars().take(40).chain("…".chars()).collect()
        } else {
            text.to_string()
        };
        let el = tag(me.el);
        let attrs = open_attrs(me);
        let children = open_children(me);
        // The attribute that the text was meant for, if only one takes such a value.
        let picky = me.def.attrs().iter().filter(|s| {
            let free = matches!(s.ty().name.get(), "text" | "some-text" | "line");
            me.states.of(s.guard) == State::Yes && !free && s.ty().accepts(text)
        });
        let fitting: Vec<&str> = picky.map(|s| name_text(s.name)).filter(|n| me.el.peek(n).is_none()).collect();
        let help = match (attrs.as_slice(), children.as_slice()) {
            _ if fitting.len() == 1 => format!("write <{} {}='{shown}'/>", me.el.name(), fitting[0]),
            ([], []) => format!("{el} is empty: write <{}/>", me.el.name()),
            ([], children) => format!("remove it; {el} holds elements: {}", brackets(children)),
            ([one], []) => format!("write <{} {one}='{shown}'/>", me.el.name()),
            (attrs, _) => format!("remove it; what {el} says stands in its attributes: {}", list(attrs)),
        };
        self.out
            .report(&codes::UNEXPECTED_TEXT, trimmed(me.el), format!("{el} holds no text, but has '{shown}'"))
            .help(help);
    }

    /// Gives the name that was probably meant.
    pub fn unknown_element(&mut self, me: &Parent<'_, '_>, el: El<'_>, name: Name, inactive: bool) -> Option<Name> {
        self.out.flagged.add(el.whole());
        let (child, parent) = (tag(el), tag(me.el));
        if inactive {
            let guards: Vec<u8> = me.def.children().iter().filter(|s| s.name == name).map(|s| s.guard).collect();
            let (message, help) = wrong_variant(me, &child, &guards);
            self.out.report(&codes::WRONG_VARIANT, el.span(), message).help(help);
            return None;
        }
        let known = open_children(me);
        let plain = el.namespace() == Namespace::None;
        if plain
            && let Some(meant) = nearest(el.name(), known.iter().copied())
            && !paths_of_child(el.name()).iter().any(|p| p == &path(me))
        {
            let message = format!("{parent} has no element {child}");
            let help = match paths_of_child(el.name()).first() {
                Some(place) => format!("did you mean <{meant}>? ({child} belongs under {place})"),
                None => format!("did you mean <{meant}>?"),
            };
            self.out.report(&codes::UNKNOWN_ELEMENT, el.span(), message).help(help);
            return Some(tables::find_name(Namespace::None, meant));
        }
        // An element of libvirt's further namespaces, without its prefix or with a misspelt namespace.
        let further = |s: &&ChildSlot| name_text(s.name).split_once(':').is_some_and(|(_, local)| local == el.name());
        if let Some(slot) = me.def.children().iter().find(further).filter(|_| name == tables::NO_NAME) {
            let full = name_text(slot.name);
            let prefix = full.split(':').next().unwrap_or("");
            let message = match el.namespace() {
                Namespace::Foreign => format!("{child} is of a namespace that libvirt does not know"),
                _ => format!("{parent} has no element {child} without a namespace"),
            };
            self.out.report(&codes::UNKNOWN_ELEMENT, el.span(), message).help(format!(
                "write <{full}>, and xmlns:{prefix}='http://libvirt.org/schemas/domain/{prefix}/1.0' on <domain>"
            ));
            return None;
        }
        if el.namespace() == Namespace::Foreign {
            let message = format!("{child} is of another namespace, which {parent} does not keep");
            self.out
                .report(&codes::FOREIGN, el.span(), message)
                .help("move it into <metadata>, where applications keep their own elements, or remove it");
            return None;
        }
        let qualified = name_text(name);
        let places = if qualified.is_empty() { Vec::new() } else { paths_of_child(qualified) };
        // One or more levels too deep: the nearest element around it that takes it.
        let mut above = me.above;
        while let Some(around) = above {
            if plain && open_children(around).contains(&qualified) && around.above.is_some() {
                let message = format!("{child} does not belong under {parent}");
                let help = format!("move it out of {parent}, directly under {}", tag(around.el));
                self.out.report(&codes::WRONG_PLACE, el.span(), message).help(help);
                return None;
            }
            above = around.above;
        }
        if let Some(first) = places.first() {
            let message = format!("{child} does not belong under {parent}");
            let places = match places.as_slice() {
                [one] => one.clone(),
                [a, b, ..] if a.len() < 60 => format!("{a} or {b}"),
                _ => first.clone(),
            };
            let mut help = format!("{child} belongs under {places}");
            if known.len() <= 12 && !known.is_empty() {
                help.push_str(&format!("; {parent} holds {}", brackets(&known)));
            }
            self.out.report(&codes::WRONG_PLACE, el.span(), message).help(help);
            return None;
        }
        let help = if known.is_empty() {
            format!("{parent} holds no elements; remove it")
        } else if known.len() <= 24 {
            format!("{parent} holds {}", brackets(&known))
        } else {
            format!("remove it; `virtc schema {}` lists what {parent} holds", me.el.name())
        };
        self.out.report(&codes::UNKNOWN_ELEMENT, el.span(), format!("{parent} has no element {child}")).help(help);
        None
    }
}

/// The span of an element's text without the blanks around it.
fn trimmed(el: El<'_>) -> Span {
    let span = el.text_span();
    let raw = el.document().source().get(span.range()).unwrap_or("");
    let start = span.range().start + (raw.len() - raw.trim_ascii_start().len());
    let text = raw.trim_ascii();
    if text.is_empty() { span } else { Span::new(start, start + text.len()) }
}

/// `<name>`, with the usual prefix for libvirt's own namespaces.
fn tag(el: El<'_>) -> String {
    let prefix = match el.namespace() {
        Namespace::None | Namespace::Foreign => "",
        Namespace::Qemu => "qemu:",
        Namespace::Lxc => "lxc:",
        Namespace::Xen => "xen:",
        Namespace::Bhyve => "bhyve:",
    };
    format!("<{prefix}{}>", el.name())
}

/// `'a', 'b', 'c'`.
fn list(words: &[&str]) -> String {
    words.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(", ")
}

fn brackets(words: &[&str]) -> String {
    words.iter().map(|w| format!("<{w}>")).collect::<Vec<_>>().join(", ")
}

fn and(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
    and_plain(&quoted.iter().map(String::as_str).collect::<Vec<_>>())
}

fn and_plain(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn first_lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // An abbreviation such as "PCI" stays.
        (Some(a), Some(b)) if a.is_uppercase() && !b.is_uppercase() => {
            a.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_string(),
    }
}

/// What a type takes, as in "expected …".
pub fn expected(ty: &Type) -> String {
    let words: Vec<&str> = ty.words().iter().map(|w| w.word.get()).collect();
    let mut text = match words.as_slice() {
        [] => String::new(),
        [one] => format!("'{one}'"),
        [a, b] => format!("'{a}' or '{b}'"),
        many => format!("one of {}", list(many)),
    };
    // Units are listed; the pattern behind them only says that their case does not count.
    if ty.has_other_than_words() && (text.is_empty() || !ty.name.get().ends_with("unit")) {
        if !text.is_empty() {
            text.push_str(", or ");
        }
        text.push_str(ty.doc.get());
    }
    text
}

/// A value to show in a hint: the first word, or an ellipsis.
fn example(ty: &Type) -> &'static str {
    ty.words().first().map_or("…", |w| w.word.get())
}

/// `<name type='…'/>`: the element with what it requires.
fn skeleton(slot: &ChildSlot) -> String {
    let def = slot.element();
    let mut text = format!("<{}", name_text(slot.name));
    for attr in def.attrs().iter().filter(|a| a.required && a.guard == 0) {
        text.push_str(&format!(" {}='{}'", name_text(attr.name), example(attr.ty())));
    }
    if def.text().is_some() {
        text.push_str(&format!(">…</{}>", name_text(slot.name)));
    } else {
        text.push_str("/>");
    }
    text
}

/// The attributes that the element may have here.
fn open_attrs(me: &Parent<'_, '_>) -> Vec<&'static str> {
    distinct(me.def.attrs().iter().filter(|s| me.states.of(s.guard) != State::No).map(|s| name_text(s.name)))
}

/// The elements that the element may hold here.
fn open_children(me: &Parent<'_, '_>) -> Vec<&'static str> {
    distinct(me.def.children().iter().filter(|s| me.states.of(s.guard) != State::No).map(|s| name_text(s.name)))
}

/// Names in their order, each once.
fn distinct(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    names.collect::<indexmap::IndexSet<_>>().into_iter().collect()
}

/// Message and help for `what`, which belongs to conditions that do not hold for `me`.
fn wrong_variant(me: &Parent<'_, '_>, what: &str, guards: &[u8]) -> (String, String) {
    let el = me.el.name();
    let mut wants: Vec<String> = Vec::new();
    let mut has: Vec<String> = Vec::new();
    let mut option = false;
    for guard in guards {
        let (text, seen, in_option) = conditions(me, *guard);
        option |= in_option;
        if !text.is_empty() && !wants.contains(&text) {
            wants.push(text);
        }
        for s in seen {
            if !has.contains(&s) {
                has.push(s);
            }
        }
    }
    if wants.is_empty() {
        let rivals = rivals(me, guards);
        let message = match rivals.as_str() {
            "" => format!("{what} is not allowed here in <{el}>"),
            rivals => format!("{what} does not go together with {rivals} in <{el}>"),
        };
        let help = match (option, rivals.as_str()) {
            (true, rivals) if !rivals.is_empty() => format!("keep either {what} or {rivals}"),
            _ => format!("`virtc schema {el}` shows the alternatives of <{el}>"),
        };
        return (message, help);
    }
    let message = if has.is_empty() {
        format!("{what} is not for this <{el}>")
    } else {
        format!("{what} is not for <{el}> with {}", has.join(" and "))
    };
    wants.truncate(4);
    (message, format!("{what} is for <{el}> with {}", wants.join(", or ")))
}

/// What the element has of the option that was taken instead of those of `guards`.
fn rivals(me: &Parent<'_, '_>, guards: &[u8]) -> String {
    let all = me.def.guards();
    let mut found: Vec<String> = Vec::new();
    for guard in guards {
        let Some(Guard::Option { index, count, .. }) = all.get((*guard as usize).wrapping_sub(1)) else { continue };
        let first = (*guard).saturating_sub(*index);
        for other in first..first.saturating_add(*count) {
            let Some(option) = all.get((other as usize).wrapping_sub(1)) else { continue };
            if me.states.of(other) != State::Yes {
                continue;
            }
            let attrs = option.option_attrs().map(|(n, ..)| name_text(n)).filter(|n| me.el.peek(n).is_some());
            found.extend(attrs.map(|n| format!("'{n}'")));
            let children = option.option_children().iter().map(|(n, _)| name_text(*n));
            let present = children.filter(|n| me.el.children().any(|c| c.is(n)));
            found.extend(present.map(|n| format!("<{n}>")));
        }
    }
    found.dedup();
    found.truncate(3);
    and_plain(&found.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The conditions on attributes up from `guard` that do not hold: as wanted, and as they are; whether one
/// of several options is involved.
fn conditions(me: &Parent<'_, '_>, guard: u8) -> (String, Vec<String>, bool) {
    let (mut wants, mut has, mut option) = (Vec::new(), Vec::new(), false);
    let mut at = guard;
    while at != 0 {
        let Some(guard) = me.def.guards().get(at as usize - 1) else { break };
        at = match guard {
            Guard::When { parent, attr, negate, default, .. } => {
                if me.states.of(at) == State::No {
                    let name = name_text(*attr);
                    let values: Vec<&str> = guard.values().iter().map(|v: &Text| v.get()).collect();
                    wants.push(match (values.as_slice(), negate) {
                        ([], false) => format!("no '{name}'"),
                        ([], true) => format!("'{name}'"),
                        (values, false) => {
                            let quoted: Vec<String> = values.iter().map(|v| format!("'{v}'")).collect();
                            format!("{name}={}", quoted.join(" or "))
                        }
                        (values, true) => format!("'{name}' other than {}", list(values)),
                    });
                    has.push(match me.el.peek(name) {
                        Some(attr) => format!("{name}='{}'", attr.value()),
                        None if default.get().is_empty() => format!("no '{name}'"),
                        None => format!("{name}='{}' (the default)", default.get()),
                    });
                }
                *parent
            }
            Guard::Option { parent, .. } => {
                option |= me.states.of(at) == State::No;
                *parent
            }
        };
    }
    wants.reverse();
    (wants.join(" and "), has, option)
}

/// A child of this element, or its parent, that takes the attribute.
fn relative_with_attribute(me: &Parent<'_, '_>, name: &str) -> Option<&'static str> {
    let takes = |def: &Element| def.attrs().iter().any(|a| name_text(a.name) == name);
    let child = me.def.children().iter().find(|s| me.states.of(s.guard) == State::Yes && takes(s.element()));
    child.map(|s| name_text(s.name)).or_else(|| {
        let above = me.above?;
        takes(above.def).then(|| name_text(above.def.name))
    })
}

/// `<domain><devices><disk>`: the path of an element under validation.
fn path(me: &Parent<'_, '_>) -> String {
    let mut names = vec![me.def.name];
    let mut above = me.above;
    while let Some(p) = above {
        names.push(p.def.name);
        above = p.above;
    }
    names.reverse();
    names.iter().map(|n| format!("<{}>", name_text(*n))).collect()
}

/// The shortest paths of elements that hold a child of this name, at most three.
fn paths_of_child(name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut seen = vec![false; tables::elements().len()];
    let mut todo: std::collections::VecDeque<(&Element, Vec<Name>)> =
        std::collections::VecDeque::from([(Element::root(), vec![Element::root().name])]);
    while let Some((def, path)) = todo.pop_front() {
        if def.children().iter().any(|s| name_text(s.name) == name) {
            let text: String = path.iter().map(|n| format!("<{}>", name_text(*n))).collect();
            if !found.contains(&text) {
                found.push(text);
            }
            if found.len() == 3 {
                break;
            }
        }
        for slot in def.children() {
            if !std::mem::replace(&mut seen[slot.id() as usize], true) {
                let mut below = path.clone();
                below.push(slot.name);
                todo.push_back((slot.element(), below));
            }
        }
    }
    found
}
