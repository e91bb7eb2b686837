//! QEMU's option notation: `virtio-blk-pci,bus=pci.0,addr=0x3`.
//!
//! `,` in a value is doubled; there is no other escape (QEMU's documentation, "Keyval and option
//! strings"). So a key can hold neither `,` nor `=`, and a value without a key no `=`: [`unfit`] finds those.

use crate::plan::{Prop, Props};
use std::fmt::Write;

/// Appends properties as an option list: `on`/`off` for booleans, `a.b=c` for nested objects, `a.0=b`
/// for lists; a property with an empty key stands without one.
pub fn write_options(out: &mut String, props: &Props) {
    let start = out.len();
    let mut path = String::new();
    write_level(out, start, &mut path, props);
}

/// Writes one object. `start` is where the list began in `out`, `path` the keys of the objects around.
fn write_level(out: &mut String, start: usize, path: &mut String, props: &Props) {
    for (key, value) in &props.0 {
        write_entry(out, start, path, key, value);
    }
}

fn write_entry(out: &mut String, start: usize, path: &mut String, key: &str, value: &Prop) {
    match value {
        Prop::Object(inner) => nest(path, key, |path| write_level(out, start, path, inner)),
        Prop::List(items) => nest(path, key, |path| {
            for (i, item) in items.iter().enumerate() {
                write_entry(out, start, path, &i.to_string(), item);
            }
        }),
        Prop::Null => {}
        scalar => {
            if out.len() > start {
                out.push(',');
            }
            if !path.is_empty() {
                out.push_str(path);
                out.push('.');
            }
            out.push_str(key);
            if !(path.is_empty() && key.is_empty()) {
                out.push('=');
            }
            write_scalar(out, scalar);
        }
    }
}

/// Runs `inside` with `key` appended to `path`.
fn nest(path: &mut String, key: &str, inside: impl FnOnce(&mut String)) {
    let before = path.len();
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
    inside(path);
    path.truncate(before);
}

fn write_scalar(out: &mut String, value: &Prop) {
    match value {
        Prop::Bool(on) => out.push_str(if *on { "on" } else { "off" }),
        // Writing a number to a String cannot fail.
        Prop::Number(n) => drop(write!(out, "{n}")),
        Prop::Unsigned(n) => drop(write!(out, "{n}")),
        Prop::Text(text) => write_doubled(out, text),
        Prop::Null | Prop::Object(_) | Prop::List(_) => {}
    }
}

/// Appends text with every comma doubled.
fn write_doubled(out: &mut String, text: &str) {
    let mut parts = text.split(',');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str(",,");
        out.push_str(part);
    }
}

/// What of `props` an option list cannot express: the text that would be read as something else.
pub fn unfit(props: &Props) -> Option<&str> {
    props.0.iter().find_map(|(key, value)| {
        if key.contains([',', '=']) {
            return Some(key.as_ref());
        }
        match value {
            Prop::Object(inner) => unfit(inner),
            Prop::List(items) => items.iter().find_map(|item| match item {
                Prop::Object(inner) => unfit(inner),
                _ => None,
            }),
            Prop::Text(text) if key.is_empty() && text.contains('=') => Some(text.as_ref()),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(props: &Props) -> String {
        let mut out = String::new();
        write_options(&mut out, props);
        out
    }

    #[test]
    fn values_of_all_kinds_in_order() {
        let mut props = Props::new();
        props.bare("socket").set("id", "a,b").set("server", true).set("wait", false).set("n", -3i64);
        props.set("addr", Props::with("type", "unix")).set("l", vec![Prop::from("x"), Prop::from("y,")]);
        assert_eq!(options(&props), "socket,id=a,,b,server=on,wait=off,n=-3,addr.type=unix,l.0=x,l.1=y,,");
    }

    #[test]
    fn lists_of_objects_and_an_empty_list() {
        let mut props = Props::new();
        props.set("o", vec![Prop::from(Props::with("k", 1u32)), Prop::from(Props::with("k", 2u32))]);
        assert_eq!(options(&props), "o.0.k=1,o.1.k=2");
        assert_eq!(options(&Props::new()), "");
    }

    #[test]
    fn what_cannot_be_written_is_found() {
        assert_eq!(unfit(&Props::with("a=b", "c")), Some("a=b"));
        assert_eq!(unfit(&Props::with("", "mon=x")), Some("mon=x"));
        assert_eq!(unfit(&Props::with("o", Props::with("a,b", true))), Some("a,b"));
        assert_eq!(unfit(&Props::with("path", "/a=b,c")), None);
    }
}
