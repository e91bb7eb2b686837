//! Text of others on its way to a terminal: names, excerpts of files, what QEMU says. A terminal obeys control characters, and
//! those that turn the direction of writing show another text than there is.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal would obey the character instead of showing it.
fn commands(c: char) -> bool {
    let turns = matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

/// The text with each such character as `\u{1b}`. Lines stay lines.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if commands(c) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// JSON with each such character as `\u001b`, which means the same: they can be in strings only.
pub fn printable_json(text: &str) -> Cow<'_, str> {
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if commands(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The text with `?` for each byte of such a character: as long as before, so that places in it stay what they are.
pub fn masked(text: &str) -> Cow<'_, str> {
    // The end of a line may be two characters.
    let masks = |c: char| commands(c) && c != '\r';
    if !text.contains(masks) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match masks(c) {
            true => (0..c.len_utf8()).for_each(|_| out.push('?')),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_commanded() {
        let evil = "a\u{1b}]0;PWNED\u{7}\u{9b}2J\u{202e}b\r\u{7f}";
        for text in [printable(evil), printable_json(evil)] {
            assert!(!text.contains(commands), "{text:?}");
        }
        assert_eq!(printable("Müller\n\tx"), "Müller\n\tx");
        assert_eq!(printable("\u{1b}"), "\\u{1b}");
        let json = printable_json("{\"a\":\"\u{9b}\"}").into_owned();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON")["a"], "\u{9b}");
        let shown = masked(evil);
        assert_eq!((shown.len(), shown.contains(|c: char| commands(c) && c != '\r')), (evil.len(), false));
    }
}
