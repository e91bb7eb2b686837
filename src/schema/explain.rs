//! The words of the diagnostics: what is wrong, and what to do. Runs only when something is wrong.

use super::fix;
use super::habits;
use super::phrases::{and, and_plain, brackets, first_lower, list, or, or_plain, plural, shown};
use super::suggest::{meant, nearest, size_unit, switch};
use super::tables::{self, AttrSlot, ChildSlot, Name, Part, Type, name_text};
use super::validate::{Parent, Reporter, State, is_attribute_of};
use super::variants::{alternatives, asks_for, closed, slots_of, wrong_variant};
use super::wording::{
    FILES, PATHS, crossed, example, expected, holds, is_only_read, meant_for, open_attrs, open_children, path,
    paths_of_child, relative_with_attribute, skeleton, stands_once, tag, taken_for, trimmed,
};
use crate::diag::codes::schema as codes;
use crate::diag::{Diagnostic, Edit, Span};
use crate::xml::{Attr, El, Namespace};

/// What an unknown attribute was probably meant to be.
enum Meant {
    Attribute(Name),
    /// The text of the element.
    Text,
    Unknown,
}

pub(super) struct Explainer<'r, 'd> {
    out: &'r mut Reporter<'d>,
}

impl<'r, 'd> Explainer<'r, 'd> {
    pub fn new(out: &'r mut Reporter<'d>) -> Explainer<'r, 'd> {
        Explainer { out }
    }

    pub fn wrong_root(&mut self, root: El<'_>) {
        let name = root.name();
        let message = match root.namespace() {
            Namespace::None => format!("the root element is <{name}>, not <domain>"),
            _ => format!("the root element <{name}> is of a namespace that is not the domain format's"),
        };
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
            _ if root.child("domain").is_some() => format!("remove <{name}> and </{name}>: keep one <domain> a file"),
            _ if nearest(name, ["domain"]).is_some() => "did you mean <domain>?".to_string(),
            _ => "a domain begins with <domain type='kvm'>".to_string(),
        };
        self.out.flagged.add(root.whole());
        let own = root.namespace() == Namespace::None && root.child("domain").is_none();
        let meant = own && nearest(name, ["domain"]).is_some();
        let certain = if meant { fix::renamed(root, "domain") } else { Vec::new() };
        self.out.report(&codes::WRONG_ROOT, root.span(), message).help(help).fix(certain);
    }

    /// Reports attributes that the element has not at all (`unknown`) or not in this variant (`foreign`). Takes out of `missing`
    /// what one of them was probably meant for. Gives whether one was taken for the text.
    pub fn unknown_attributes(
        &mut self,
        me: &Parent<'_, '_>,
        unknown: &[Attr<'_>],
        foreign: &[Attr<'_>],
        missing: &mut Vec<&AttrSlot>,
    ) -> bool {
        let mut text_meant = false;
        let mut guessed: Vec<Name> = Vec::new();
        for (at, attr) in unknown.iter().enumerate() {
            self.out.flagged.add(attr.span());
            // As many are missing as are too many: one is another.
            let instead = if missing.len() == unknown.len() - at { missing.first().copied() } else { None };
            match self.unknown_attribute(me, *attr, instead.filter(|s| s.ty().accepts(attr.value()))) {
                Meant::Attribute(name) => {
                    missing.retain(|s| s.name != name);
                    guessed.push(name);
                }
                Meant::Text => text_meant = true,
                Meant::Unknown => {}
            }
        }
        let follows = |attr: &Attr<'_>| slots_of(me, *attr).any(|s| asks_for(me, s.guard, &guessed));
        let foreign: Vec<Attr<'_>> = foreign.iter().copied().filter(|a| !follows(a)).collect();
        self.wrong_variants(me, &foreign);
        text_meant
    }

    fn unknown_attribute(&mut self, me: &Parent<'_, '_>, attr: Attr<'_>, instead: Option<&AttrSlot>) -> Meant {
        let (el, name, value) = (tag(me.el), attr.name(), shown(attr.value()));
        if attr.namespace() != Namespace::None {
            let message = format!("{el} takes no attribute of another namespace ('{name}')");
            self.out.report(&codes::UNKNOWN_ATTRIBUTE, attr.span(), message).help("remove it");
            return Meant::Unknown;
        }
        if let Some(advice) = habits::attribute(me.el.name(), name) {
            self.tell_unknown(me, attr, advice.to_string());
            return Meant::Unknown;
        }
        let known = open_attrs(me);
        // An attribute that is set already cannot be the one that was meant.
        let unset: Vec<&str> = known.iter().copied().filter(|k| me.el.peek(k).is_none()).collect();
        let mut like = meant(name, unset.iter().copied());
        // Of several, what it lacks.
        if let Some(needed) = instead.map(|s| name_text(s.name)).filter(|n| like.contains(n)) {
            like = vec![needed];
        }
        if !like.is_empty() {
            let d = self.tell_unknown(me, attr, format!("did you mean {}?", or(&like)));
            if let [one] = like.as_slice() {
                d.fix(vec![Edit::new(attr.name_span(), *one)]);
            }
            return Meant::Attribute(tables::find_name(Namespace::None, like[0]));
        }
        if let Some(meant) = self.of_another_variant(me, attr, &known) {
            return meant;
        }
        if let Some(child) = me.def.children().iter().find(|s| name_text(s.name) == name) {
            self.tell_unknown(me, attr, format!("'{name}' is an element: write {} inside {el}", skeleton(child)));
            return Meant::Unknown;
        }
        if me.el.text().trim_ascii().is_empty()
            && me.def.text().is_some_and(|ty| ty.accepts(attr.value()) && !ty.accepts(""))
        {
            let name = name_text(me.def.name);
            self.tell_unknown(me, attr, format!("its value stands between the tags: write <{name}>{value}</{name}>"))
                .fix(fix::text_of(me.el, attr));
            return Meant::Text;
        }
        if let Some(slot) = instead {
            let (missing, doc) = (name_text(slot.name), first_lower(slot.doc.get().trim_end_matches('.')));
            let help = match slot.ty().is_free() {
                true => format!("it lacks '{missing}': {doc}"),
                false => format!("did you mean '{missing}'?"),
            };
            self.tell_unknown(me, attr, help);
            return Meant::Attribute(slot.name);
        }
        let takes = match known.as_slice() {
            [] => format!("{el} takes no attributes here"),
            known => format!("{el} takes {}", list(known)),
        };
        if let Some(place) = relative_with_attribute(me, name) {
            let edits = fix::moved_attribute(me, attr, place);
            self.tell_unknown(me, attr, format!("'{name}' belongs on <{place}>; {takes}")).fix(edits);
            return Meant::Unknown;
        }
        // The only one that knows the value as one of its words.
        let slots = me.def.attrs().iter().filter(|s| me.states.of(s.guard) == State::Yes);
        let knows: Vec<&AttrSlot> = (slots.filter(|s| unset.contains(&name_text(s.name))))
            .filter(|s| s.ty().words().iter().any(|w| w.word.get() == attr.value()))
            .collect();
        if let [one] = knows.as_slice() {
            self.tell_unknown(me, attr, format!("did you mean {}='{value}'?", name_text(one.name)))
                .fix(vec![Edit::new(attr.name_span(), name_text(one.name))]);
            return Meant::Attribute(one.name);
        }
        self.tell_unknown(me, attr, takes);
        Meant::Unknown
    }

    fn tell_unknown(&mut self, me: &Parent<'_, '_>, attr: Attr<'_>, help: String) -> &mut Diagnostic {
        let message = format!("{} has no attribute '{}'", tag(me.el), attr.name());
        // What the label of a domain has, tools write in that of an image, too.
        let label = me.el.name() == "seclabel" && attr.name() == "type" && me.el.peek("relabel").is_some();
        let told = match label {
            true => self.out.passed_over(&codes::UNKNOWN_ATTRIBUTE, attr.span(), message),
            false => self.out.report(&codes::UNKNOWN_ATTRIBUTE, attr.span(), message),
        };
        told.help(help)
    }

    /// Reports attributes that belong to another variant of the element: one report for those of the same reason.
    fn wrong_variants(&mut self, me: &Parent<'_, '_>, attrs: &[Attr<'_>]) {
        let mut told: Vec<(String, Vec<Attr<'_>>, Vec<String>)> = Vec::new();
        for attr in attrs {
            self.out.flagged.add(attr.span());
            let guards: Vec<u8> = slots_of(me, *attr).map(|s| s.guard).collect();
            let (why, help) = wrong_variant(me, &format!("'{}'", attr.name()), &guards);
            match told.iter_mut().find(|(w, ..)| *w == why) {
                Some((_, group, helps)) => {
                    group.push(*attr);
                    helps.push(help);
                }
                None => told.push((why, vec![*attr], vec![help])),
            }
        }
        for (why, group, helps) in told {
            let [first, others @ ..] = group.as_slice() else { continue };
            let names: Vec<&str> = group.iter().map(|a| a.name()).collect();
            let message = format!("{} {}", and(&names), if others.is_empty() { why } else { plural(&why) });
            // libvirt reads an attribute of a display where it means something, and only there.
            let d = match me.el.name() == "graphics" {
                true => self.out.passed_over(&codes::WRONG_VARIANT, first.span(), message),
                false => self.out.report(&codes::WRONG_VARIANT, first.span(), message),
            };
            for other in others {
                d.related(other.span(), "and here");
            }
            d.help(helps.join("\n"));
        }
    }

    /// The same element under another condition of its parent has the attribute: `<source file=…>` of type='block'.
    fn of_another_variant(&mut self, me: &Parent<'_, '_>, attr: Attr<'_>, known: &[&'static str]) -> Option<Meant> {
        let (el, name) = (tag(me.el), attr.name());
        let above = me.above?;
        let guards: Vec<u8> = (above.def.children().iter())
            .filter(|s| s.name == me.def.name && above.states.of(s.guard) == State::No)
            .filter(|s| s.element().attrs().iter().any(|a| name_text(a.name) == name))
            .map(|s| s.guard)
            .collect();
        if guards.is_empty() {
            return None;
        }
        let (why, help) = wrong_variant(above, &format!("'{name}' of {el}"), &guards);
        // What only this variant takes stands in for what the other one takes.
        let other = |k: &&str| {
            let others = above.def.children().iter().filter(|s| guards.contains(&s.guard) && s.name == me.def.name);
            others.flat_map(|s| s.element().attrs()).any(|a| name_text(a.name) == *k)
        };
        let unset = |k: &&str| me.el.peek(k).is_none();
        let needed = |k: &&str| me.def.attrs().iter().any(|a| a.required && name_text(a.name) == *k);
        let fits = |k: &&str| me.def.attrs().iter().any(|a| name_text(a.name) == *k && a.ty().accepts(attr.value()));
        let pick = |fit: &dyn Fn(&&str) -> bool| -> Vec<&'static str> {
            known.iter().copied().filter(|k| unset(k) && fit(k)).collect()
        };
        let choices = [pick(&|k| needed(k)), pick(&|k| !other(k) && fits(k)), pick(&|k| !other(k))];
        let instead = choices.into_iter().find(|c| !c.is_empty()).unwrap_or_default();
        let help = match (instead.as_slice(), known) {
            ([], []) => help,
            ([], known) => format!("{help}; here {el} takes {}", list(known)),
            (instead, _) => format!("here {el} takes {}; {help}", list(instead)),
        };
        let message = format!("'{name}' of {el} {why}");
        // Beside what this variant takes it says nothing; alone, it was meant to.
        let beside = known.iter().any(|k| me.el.peek(k).is_some());
        let told = match beside {
            true => self.out.passed_over(&codes::WRONG_VARIANT, attr.span(), message),
            false => self.out.report(&codes::WRONG_VARIANT, attr.span(), message),
        };
        told.help(help);
        Some(match instead.first() {
            Some(name) => Meant::Attribute(tables::find_name(Namespace::None, name)),
            None => Meant::Unknown,
        })
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
        self.wrong_value(me, &what, attr.value(), slot.ty(), attr.span(), attr.value_span());
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
                .help(format!("write <{name} unit='{unit}'>{number}</{name}>"))
                .fix(fix::unit(me.el, number, unit, trimmed(me.el)));
            return;
        }
        // A name or a path with blanks around it is another one.
        if !value.is_empty() && ty.accepts(value) {
            let name = name_text(me.def.name);
            self.out
                .report(
                    &codes::WRONG_VALUE,
                    me.el.text_span(),
                    format!("{} has blanks or line breaks around '{}'", tag(me.el), shown(value)),
                )
                .help(format!("they would be taken for a part of it: write <{name}>{}</{name}>", shown(value)));
            return;
        }
        self.wrong_value(me, &tag(me.el), value, ty, trimmed(me.el), trimmed(me.el));
    }

    /// An empty element stands where it may be left out.
    pub fn says_nothing(&mut self, me: &Parent<'_, '_>) {
        let message = format!("{} is empty: it says nothing, and libvirt passes over it", tag(me.el));
        self.out.remark(&codes::WRONG_VALUE, me.el.span(), message).help("remove it");
    }

    /// `span` is the place of the fault, `of_value` that of the value alone.
    fn wrong_value(&mut self, me: &Parent<'_, '_>, what: &str, value: &str, ty: &Type, span: Span, of_value: Span) {
        let of_file = PATHS.contains(&ty.name.get()) && FILES.contains(&me.el.name());
        let lenient = of_file && self.out.is_lenient();
        if lenient && value.is_empty() {
            let message = format!("{what} is empty: libvirt takes it for a missing one");
            self.out.passed_over(&codes::WRONG_VALUE, span, message).help("remove it");
            return;
        }
        // What a guest writes is named in full; and `json:…`, `ssh://…`, `fat:rw:…` are no paths of the root directory.
        let plain = me.el.name() != "source" || (is_only_read(me) && !value.contains([':', '{', ',', '\\']));
        if lenient && plain && !value.chars().any(char::is_control) {
            let message = format!("{what} is a relative path, which is looked for in the root directory: '/{value}'");
            self.out.passed_over(&codes::WRONG_VALUE, span, message).help("give the whole path, from '/' on");
            return;
        }
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
                .help(format!("write '{decimal}'"))
                .fix(vec![Edit::new(of_value, decimal)]);
            return;
        }
        let (is_unit, quoted) = (ty.name.get().ends_with("unit"), shown(value));
        let (code, message) = if value.is_empty() {
            (&codes::WRONG_VALUE, format!("{what} is empty"))
        } else if number.is_some() && ranged {
            (&codes::OUT_OF_RANGE, format!("{what} is out of range: '{quoted}'"))
        } else if is_unit {
            (&codes::WRONG_UNIT, format!("{what} is no known unit: '{quoted}'"))
        } else {
            (&codes::WRONG_VALUE, format!("{what} cannot be '{quoted}'"))
        };
        let mut expected = expected(ty);
        if let Some(bound) = number.and_then(|n| crossed(ty, n)) {
            expected.push_str(&bound);
        }
        let unit = size_unit(value).filter(|u| is_unit && words.contains(u));
        let bare = words.iter().copied().find(|w| *w == value.trim());
        let like = match bare.or(unit).or_else(|| switch(value, words.iter().copied())) {
            Some(one) => vec![one],
            None => meant(value, words.iter().copied()),
        };
        let attribute = me.el.attrs().find(|a| a.value_span() == of_value).map_or("", |a| a.name());
        if let Some(advice) = habits::value(me.el.name(), attribute, value) {
            self.out.report(code, span, message).help(advice);
            return;
        }
        if let Some((help, meant)) = habits::mac(value).filter(|_| me.el.name() == "mac") {
            let edits = meant.map(|meant| Edit::new(of_value, meant));
            self.out.report(code, span, message).help(help).fix(edits.into_iter().collect());
            return;
        }
        let help = match like.as_slice() {
            [] => format!("expected {expected}"),
            like => format!("did you mean {}? Expected {expected}", or(like)),
        };
        let certain = match like.as_slice() {
            [one] => vec![Edit::new(of_value, *one)],
            _ => Vec::new(),
        };
        self.out.report(code, span, message).help(help).fix(certain);
    }

    pub fn missing_attributes(&mut self, me: &Parent<'_, '_>, missing: &[&AttrSlot]) {
        if me.el.is("address") && me.above.is_some_and(|above| has_its_address_outside(above.el)) {
            let message = "the address of the host's device belongs into <source>";
            self.out.report(&codes::WRONG_PLACE, me.el.span(), message.to_string()).help(
                "write <source>, this <address>, </source>; an <address> beside <source> is the device's place in the guest",
            );
            return;
        }
        let el = tag(me.el);
        let mut names: Vec<&str> = missing.iter().map(|s| name_text(s.name)).collect();
        names.dedup();
        let what = if names.len() == 1 { "the attribute" } else { "the attributes" };
        let add = |s: &AttrSlot| {
            let doc = first_lower(s.doc.get().trim_end_matches('.'));
            format!("add {}='{}': {doc}", name_text(s.name), example(s.ty()))
        };
        let mut lines: Vec<String> = missing.iter().map(|s| add(s)).collect();
        let mut lacks = and(&names);
        // Of a choice, another option may be what is wanted.
        if let [one] = missing
            && let others = alternatives(me, one.guard).filter(|s| s.name != one.name).collect::<Vec<_>>()
            && !others.is_empty()
        {
            names.extend(others.iter().map(|s| name_text(s.name)));
            lacks = or(&names);
            lines.extend(others.iter().map(|s| format!("or {}", add(s))));
        }
        let message = format!("{el} lacks {what} {lacks}");
        let told = match (missing, missing.iter().find_map(|s| taken_for(me.el, s)).filter(|_| missing.len() == 1)) {
            ([one], Some("")) => self.out.passed_over(
                &codes::MISSING_ATTRIBUTE,
                me.el.span(),
                format!("{message}: without '{}' it says nothing, and libvirt passes over it", name_text(one.name)),
            ),
            ([_], Some(taken)) => self.out.passed_over(
                &codes::MISSING_ATTRIBUTE,
                me.el.span(),
                format!("{message}: libvirt takes '{taken}' for it"),
            ),
            _ => self.out.report(&codes::MISSING_ATTRIBUTE, me.el.span(), message),
        };
        told.help(lines.join("\n")).fix(if names.len() == missing.len() {
            fix::missing_attributes(me, missing)
        } else {
            Vec::new()
        });
    }

    pub fn missing_elements(&mut self, me: &Parent<'_, '_>, missing: &[&ChildSlot]) {
        // Told at the address.
        if has_its_address_outside(me.el) && matches!(missing, [one] if name_text(one.name) == "source") {
            return;
        }
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
        let message = format!("{} lacks {}", tag(me.el), and_plain(&names));
        // A table of SMBIOS without entries is none.
        let table = me.above.is_some_and(|above| above.el.name() == "sysinfo") && me.el.attrs().next().is_none();
        let told = match table {
            true => self.out.passed_over(&codes::MISSING_ELEMENT, span, message),
            false => self.out.report(&codes::MISSING_ELEMENT, span, message),
        };
        told.lacks(missing.iter().map(|s| name_text(s.name)));
        told.help(lines.join("\n")).fix(fix::missing_elements(me.el, missing));
    }

    pub fn duplicate(&mut self, me: &Parent<'_, '_>, el: El<'_>, slot: &ChildSlot, first: Option<Span>) {
        self.out.flagged.add(el.whole());
        let many = if slot.max == 1 { "only one".to_string() } else { format!("only {}", slot.max) };
        let message = format!("{} may hold {many} {}", tag(me.el), tag(el));
        let d = match stands_once(me.el.name(), el.name()) {
            true => self.out.refused(&codes::DUPLICATE, el.span(), message),
            false => self.out.report(&codes::DUPLICATE, el.span(), message),
        };
        if let Some(first) = first {
            d.related(first, "the first is here");
        }
        d.help("keep one of them; libvirt would take the first and drop the others");
    }

    pub fn unexpected_text(&mut self, me: &Parent<'_, '_>) {
        let (text, el, name) = (me.el.text().trim_ascii(), tag(me.el), name_text(me.def.name));
        let shown = shown(text);
        let (attrs, children) = (open_attrs(me), open_children(me));
        let slots = || me.def.attrs().iter().filter(|s| me.states.of(s.guard) == State::Yes);
        let unset = |s: &&AttrSlot| me.el.peek(name_text(s.name)).is_none();
        // The attribute that the text was meant for, if only one takes such a value.
        let fitting: Vec<&AttrSlot> =
            slots().filter(unset).filter(|s| !s.ty().is_free() && s.ty().accepts(text)).collect();
        let required: Vec<String> = (slots().filter(|s| s.required).filter(unset))
            .map(|s| format!(" {}='{}'", name_text(s.name), example(s.ty())))
            .collect();
        let sibling = me.above.and_then(|above| {
            let takes = |n: &&str| above.def.children().iter().any(|s| name_text(s.name) == *n && holds(s, text));
            meant(name, open_children(above).into_iter().filter(takes)).first().copied()
        });
        // The value of the one element that has to be in it: `<vlan>10</vlan>`.
        let needed = me.def.children().iter().filter(|s| s.min > 0 && me.states.of(s.guard) == State::Yes);
        let inner = needed.filter(|s| me.el.child(name_text(s.name)).is_none()).find_map(|s| {
            let takes = |a: &&AttrSlot| a.required && a.guard == 0 && !a.ty().is_free() && a.ty().accepts(text);
            Some((name_text(s.name), name_text(s.element().attrs().iter().find(takes)?.name)))
        });
        // `<os><firmware>efi</firmware>` for `<os firmware='efi'>`.
        let above = me.above.filter(|_| is_attribute_of(me));
        let help = match (attrs.as_slice(), children.as_slice(), fitting.as_slice()) {
            _ if above.is_some() => {
                let above = above.map_or("", |above| above.el.name());
                format!("write <{above} {name}='{shown}'>, and remove <{name}>")
            }
            (.., [one]) => format!("write <{name} {}='{shown}'/>", name_text(one.name)),
            _ if inner.is_some() => {
                let (child, attr) = inner.unwrap_or_default();
                format!("write <{name}><{child} {attr}='{shown}'/></{name}>")
            }
            _ if sibling.is_some_and(|s| !s.is_empty()) => {
                let sibling = sibling.unwrap_or_default();
                format!("did you mean <{sibling}>{shown}</{sibling}>?")
            }
            _ if children.contains(&text) => format!("write <{text}/>"),
            ([one], [], _) => format!("write <{name} {one}='{shown}'/>"),
            _ if !required.is_empty() => format!("write <{name}{}/>", required.concat()),
            ([], [], _) => format!("{el} is empty: write <{name}/>"),
            ([], children, _) if children.len() <= 24 => {
                format!("remove it; {el} holds elements: {}", brackets(children))
            }
            (attrs, ..) if me.above.is_some() => {
                format!("remove it; what {el} says stands in its attributes: {}", list(attrs))
            }
            _ => format!("remove it; a remark is written <!-- {shown} -->"),
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
            let (why, help) = wrong_variant(me, &child, &guards);
            let message = format!("{child} {why}");
            // With mode='passthrough' QEMU has every enlightenment, whatever is named.
            let told = match me.el.name() == "hyperv" {
                true => self.out.passed_over(&codes::WRONG_VARIANT, el.span(), message),
                false => self.out.report(&codes::WRONG_VARIANT, el.span(), message),
            };
            told.help(help);
            return None;
        }
        let plain = el.namespace() == Namespace::None;
        if let Some(advice) = habits::element(me.el.name(), el.name()).filter(|_| plain) {
            let message = format!("{parent} has no element {child}");
            self.out.report(&codes::UNKNOWN_ELEMENT, el.span(), message).help(advice);
            return None;
        }
        let known = open_children(me);
        if plain
            && let like = meant_for(me, el, &known)
            && let [first, ..] = like.as_slice()
            && !paths_of_child(el.name()).iter().any(|p| p == &path(me))
        {
            let message = format!("{parent} has no element {child}");
            let tags: Vec<String> = like.iter().map(|name| format!("<{name}>")).collect();
            let like = or_plain(&tags.iter().map(String::as_str).collect::<Vec<_>>());
            let help = match paths_of_child(el.name()).first() {
                Some(place) => format!("did you mean {like}? ({child} belongs under {place})"),
                None => format!("did you mean {like}?"),
            };
            // A word of another tool may need more than another name.
            let slip = tags.len() == 1 && nearest(el.name(), [*first]).is_some();
            let certain = if slip { fix::renamed(el, first) } else { Vec::new() };
            self.out.report(&codes::UNKNOWN_ELEMENT, el.span(), message).help(help).fix(certain);
            return Some(tables::find_name(Namespace::None, first));
        }
        // `<network>default</network>` for `<source network='default'/>`.
        let text = el.text().trim_ascii();
        let takes = |s: &&ChildSlot| {
            let attr = |a: &AttrSlot| name_text(a.name) == el.name() && !text.is_empty() && a.ty().accepts(text);
            let absent = !me.el.children().any(|c| c.is(name_text(s.name)));
            absent && !closed(me, s.guard) && s.element().attrs().iter().any(attr)
        };
        let known_elsewhere = !paths_of_child(el.name()).is_empty();
        if plain
            && !known_elsewhere
            && let Some(slot) = me.def.children().iter().find(takes)
        {
            let (of, name) = (name_text(slot.name), el.name());
            let message = format!("{parent} has no element {child}");
            let help = format!("write <{of} {name}='{}'/>: it is an attribute", shown(text));
            self.out.report(&codes::UNKNOWN_ELEMENT, el.span(), message).help(help);
            return Some(slot.name);
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
                .passed_over(&codes::FOREIGN, el.span(), message)
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

/// Whether a host device has the address that belongs into its `<source>` beside it: the guest's address has a type.
fn has_its_address_outside(el: El<'_>) -> bool {
    let untyped = || el.child("address").is_some_and(|address| address.peek("type").is_none());
    el.is("hostdev") && el.child("source").is_none() && untyped()
}
