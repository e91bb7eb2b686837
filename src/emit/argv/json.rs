//! QEMU's JSON notation: no blanks, keys in order, `/` and UTF-8 as they are.

use crate::plan::{Prop, Props};
use std::fmt::Write;

/// Appends properties as a JSON object.
pub fn write_props(out: &mut String, props: &Props) {
    out.push('{');
    for (i, (key, value)) in props.0.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(out, key);
        out.push(':');
        write_prop(out, value);
    }
    out.push('}');
}

fn write_prop(out: &mut String, value: &Prop) {
    match value {
        Prop::Null => out.push_str("null"),
        Prop::Bool(true) => out.push_str("true"),
        Prop::Bool(false) => out.push_str("false"),
        // Writing a number to a String cannot fail.
        Prop::Number(n) => drop(write!(out, "{n}")),
        Prop::Unsigned(n) => drop(write!(out, "{n}")),
        Prop::Text(text) => write_string(out, text),
        Prop::Object(props) => write_props(out, props),
        Prop::List(list) => {
            out.push('[');
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_prop(out, item);
            }
            out.push(']');
        }
    }
}

/// Appends text as a JSON string with its quotes (RFC 8259, section 7).
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut clean = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        // `i` is at an ASCII byte, so both ends are character boundaries.
        out.push_str(&text[clean..i]);
        clean = i + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            control => drop(write!(out, "\\u{control:04x}")),
        }
    }
    out.push_str(&text[clean..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(props: &Props) -> String {
        let mut out = String::new();
        write_props(&mut out, props);
        out
    }

    #[test]
    fn values_of_all_kinds_in_order() {
        let mut props = Props::driver("virtio-blk-pci");
        props.set("num-queues", 4u32).set("read-only", false).set("big", u64::MAX);
        props.set("cache", Props::with("direct", true)).set("list", vec![Prop::from("a/b"), Prop::from(-1i64)]);
        assert_eq!(
            json(&props),
            r#"{"driver":"virtio-blk-pci","num-queues":4,"read-only":false,"big":18446744073709551615,"cache":{"direct":true},"list":["a/b",-1]}"#
        );
        assert_eq!(json(&Props::new()), "{}");
    }

    #[test]
    fn strings_are_what_serde_reads_back() {
        let every_ascii: String = (1u8..128).map(char::from).collect();
        for text in [every_ascii.as_str(), "", "ü/€", "\"", "\\", "a\"b\\c\nd"] {
            let mut out = String::new();
            write_string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
