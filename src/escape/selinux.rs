//! SELinux: contexts, file_contexts, CIL.

use super::{Language, Unfit, absolute, format, unfit};

/// A security context: `user:role:type[:range]`.
pub struct SelinuxContext;

impl Language for SelinuxContext {
    type Format = format::Selinux;
    const NAME: &'static str = "an SELinux context";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let mut parts = value.splitn(4, ':');
        let named = |part: Option<&str>| {
            part.is_some_and(|p| {
                !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
            })
        };
        if !(named(parts.next()) && named(parts.next()) && named(parts.next())) {
            return Err(unfit::<Self>(format!("'{value}', which is not of the form user:role:type:range")));
        }
        if parts.next().is_some_and(|range| !is_range(range)) {
            return Err(unfit::<Self>(format!("'{value}', whose range is not of the form s0:c1,c2")));
        }
        out.push_str(value);
        Ok(())
    }
}

/// `s0`, `s0:c1,c5.c9`, `s0-s0:c0.c1023`.
fn is_range(range: &str) -> bool {
    let number = |text: &str, letter: char| {
        text.strip_prefix(letter).is_some_and(|n| (1..=4).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let categories = |text: &str| text.split(',').all(|set| set.split('.').all(|c| number(c, 'c')));
    let level = |text: &str| match text.split_once(':') {
        None => number(text, 's'),
        Some((sensitivity, set)) => number(sensitivity, 's') && categories(set),
    };
    match range.split_once('-') {
        None => level(range),
        Some((low, high)) => level(low) && level(high),
    }
}

/// A path in `file_contexts`: a regular expression that matches this path only.
pub struct FileContextsPath;

impl Language for FileContextsPath {
    type Format = format::Selinux;
    const NAME: &'static str = "file_contexts";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        for c in absolute::<Self>(value)?.chars() {
            match c {
                '.' | '^' | '$' | '?' | '*' | '+' | '|' | '[' | ']' | '(' | ')' | '{' | '}' | '\\' => {
                    out.push('\\');
                    out.push(c);
                }
                // A blank ends the field; a leading # would be a comment, but a path starts with a slash.
                ' ' => out.push_str("\\x20"),
                // A module has the expression in quotes.
                '"' => out.push_str("\\x22"),
                '\t' => out.push_str("\\x09"),
                other => out.push(other),
            }
        }
        Ok(())
    }
}

/// An identifier of CIL.
pub struct CilName;

impl Language for CilName {
    type Format = format::Selinux;
    const NAME: &'static str = "a CIL identifier";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !value.starts_with(|c: char| c.is_ascii_alphabetic()) || !value.bytes().all(plain) {
            return Err(unfit::<Self>(format!("'{value}'")));
        }
        out.push_str(value);
        Ok(())
    }
}

/// A context in CIL: `(system_u object_r svirt_image_t ((s0 (c1 c2)) (s0 (c1 c2))))`.
pub struct CilContext;

impl Language for CilContext {
    type Format = format::Selinux;
    const NAME: &'static str = "an SELinux module";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        SelinuxContext::spell(value, &mut String::new())?;
        let mut parts = value.splitn(4, ':');
        let mut name = || parts.next().unwrap_or_default();
        let (user, role, kind, range) = (name(), name(), name(), name());
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        out.push_str(&format!("({user} {role} {kind} ({} {}))", level(low), level(high)));
        Ok(())
    }
}

/// `s0:c1,c5.c9` as `(s0 (c1 (range c5 c9)))`.
fn level(text: &str) -> String {
    let Some((sensitivity, set)) = text.split_once(':') else {
        return format!("({})", if text.is_empty() { "s0" } else { text });
    };
    let one = |part: &str| match part.split_once('.') {
        Some((first, last)) => format!("(range {first} {last})"),
        None => part.to_string(),
    };
    format!("({sensitivity} ({}))", set.split(',').map(one).collect::<Vec<_>>().join(" "))
}
