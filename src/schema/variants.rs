//! Conditions of the grammar that do not hold at a place: which, why, and what would be right.

use super::phrases::{and_plain, list};
use super::tables::{AttrSlot, Guard, Name, Text, name_text};
use super::validate::{Parent, State};
use crate::xml::Attr;

/// Whether the value of an attribute closes a guard; that another option was taken does not.
pub(super) fn closed(me: &Parent<'_, '_>, guard: u8) -> bool {
    guards_up(me, guard)
        .any(|(at, g)| matches!(g, Guard::When { .. }) && me.states.of(at) == State::No && !below_option(me, at))
}

/// The slots of an attribute, under whatever condition.
pub(super) fn slots_of<'v>(me: &'v Parent<'_, '_>, attr: Attr<'v>) -> impl Iterator<Item = &'static AttrSlot> + 'v {
    me.def.attrs().iter().filter(move |s| name_text(s.name) == attr.name())
}

/// Whether a guard asks for one of these attributes.
pub(super) fn asks_for(me: &Parent<'_, '_>, guard: u8, names: &[Name]) -> bool {
    guards_up(me, guard).any(|(_, g)| matches!(g, Guard::When { attr, .. } if names.contains(attr)))
}

/// A guard and those around it, with their numbers.
pub(super) fn guards_up<'v>(me: &'v Parent<'_, '_>, guard: u8) -> impl Iterator<Item = (u8, &'static Guard)> + 'v {
    let all = me.def.guards();
    let number = |at: u8| all.get((at as usize).wrapping_sub(1)).map(|g| (at, g));
    std::iter::successors(number(guard), move |(_, g)| match g {
        Guard::When { parent, .. } | Guard::Option { parent, .. } => number(*parent),
    })
}

/// Whether a guard stands inside an option.
pub(super) fn below_option(me: &Parent<'_, '_>, guard: u8) -> bool {
    guards_up(me, guard).any(|(at, g)| matches!(g, Guard::Option { .. }) && me.states.of(at) == State::No)
}

/// What the options beside that of `guard` require.
pub(super) fn alternatives<'v>(me: &'v Parent<'_, '_>, guard: u8) -> impl Iterator<Item = &'static AttrSlot> + 'v {
    let siblings = match guards_up(me, guard).next() {
        Some((at, Guard::Option { index, count, .. })) => {
            let first = at.saturating_sub(*index);
            first..first.saturating_add(*count)
        }
        _ => 0..0,
    };
    me.def.attrs().iter().filter(move |s| s.required && s.guard != guard && siblings.contains(&s.guard))
}

/// What the element has of the option that was taken instead of those of `guards`.
pub(super) fn rivals(me: &Parent<'_, '_>, guards: &[u8]) -> String {
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
pub(super) fn conditions(me: &Parent<'_, '_>, guard: u8) -> (String, Vec<String>, bool) {
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

/// What is wrong with `what` ("is not for …") and what helps: it belongs to conditions that do not hold for `me`.
pub(super) fn wrong_variant(me: &Parent<'_, '_>, what: &str, guards: &[u8]) -> (String, String) {
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
            "" => format!("is not allowed here in <{el}>"),
            rivals => format!("does not go together with {rivals} in <{el}>"),
        };
        let help = match (option, rivals.as_str()) {
            (true, rivals) if !rivals.is_empty() => format!("keep either {what} or {rivals}"),
            _ => format!("`virtc schema {el}` shows the alternatives of <{el}>"),
        };
        return (message, help);
    }
    let message = if has.is_empty() {
        format!("is not for this <{el}>")
    } else {
        format!("is not for <{el}> with {}", has.join(" and "))
    };
    wants.truncate(4);
    (message, format!("{what} is for <{el}> with {}", wants.join(", or ")))
}
