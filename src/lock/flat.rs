//! An element as a list of names and values.

use super::Values;
use crate::xml::{El, Namespace};

/// The values of an element: its attributes, and what is inside by path. What stands several times has a number from the
/// second on: `feature.2.name`.
pub fn flatten(el: El<'_>) -> Values {
    let mut out = Values::new();
    add("", el, &mut out);
    out
}

/// The values of an element without these children.
pub fn flatten_without(el: El<'_>, left_out: &[&str]) -> Values {
    let mut out = Values::new();
    for child in el.children().filter(|c| c.namespace() == Namespace::None && !left_out.contains(&c.name())) {
        add(child.name(), child, &mut out);
    }
    out
}

fn add(path: &str, el: El<'_>, out: &mut Values) {
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    for attr in el.attrs().filter(|a| a.namespace() == Namespace::None) {
        out.push((below(attr.name()), attr.value().to_string()));
    }
    let text = el.text().trim();
    if !text.is_empty() {
        out.push((below("text"), text.to_string()));
    }
    let mut seen: Vec<(&str, u32)> = Vec::new();
    for child in el.children().filter(|c| c.namespace() == Namespace::None) {
        let number = match seen.iter_mut().find(|(name, _)| *name == child.name()) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                seen.push((child.name(), 1));
                1
            }
        };
        match number {
            1 => add(&below(child.name()), child, out),
            n => add(&below(&format!("{}.{n}", child.name())), child, out),
        }
    }
}

/// The value of a path.
pub fn get<'v>(values: &'v Values, path: &str) -> Option<&'v str> {
    values.iter().find(|(name, _)| name == path).map(|(_, value)| value.as_str())
}

/// Whether two values mean the same: numbers may be written in two ways, letters of MAC addresses and UUIDs in two cases.
pub fn same(one: &str, other: &str) -> bool {
    one == other || one.eq_ignore_ascii_case(other) || number(one).is_some_and(|n| number(other) == Some(n))
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether a value is nothing, or the zero that stands for it.
pub fn is_zero(text: &str) -> bool {
    text.is_empty() || number(text) == Some(0)
}
