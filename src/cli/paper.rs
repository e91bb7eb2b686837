//! How text for a person is laid out: the width of the terminal, and colours.

use super::{Color, Shared};
use std::fmt::Write;
use std::io::IsTerminal;

/// The width of messages where no terminal tells another.
const USUAL: usize = 100;
/// No line is made shorter than this: words would stand one below another.
const LEAST: usize = 40;

/// How many columns the terminal has to which `out` goes; `COLUMNS` says otherwise. None where it is no terminal.
fn columns(out: impl std::os::fd::AsFd) -> Option<usize> {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(out).ok().map(|size| usize::from(size.ws_col));
    told.or_else(asked).filter(|columns| *columns > 0)
}

/// The width of messages on standard error: that of the terminal, up to what is read with ease.
pub fn message_width() -> usize {
    columns(std::io::stderr()).map_or(USUAL, |columns| columns.clamp(LEAST, USUAL))
}

/// Whether standard output is coloured.
fn colours(shared: &Shared) -> bool {
    match shared.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}

/// A text whose lines `style` gives an attribute (of ECMA-48's SGR), where there are colours.
fn painted(text: &str, shared: &Shared, style: impl Fn(usize, &str) -> Option<&'static str>) -> String {
    // Names in it may hold what a terminal would obey.
    let text = crate::diag::printable(text);
    if !colours(shared) {
        return text.into_owned();
    }
    let mut out = String::with_capacity(text.len() * 5 / 4);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end_matches('\n');
        match style(number, bare).filter(|_| !bare.is_empty()) {
            Some(style) => {
                let _ = write!(out, "\x1b[{style}m{bare}\x1b[0m{}", &line[bare.len()..]);
            }
            None => out.push_str(line),
        }
    }
    out
}

/// What differs: green is new, red is gone, yellow is changed; headings are bold.
pub fn differences(text: &str, shared: &Shared) -> String {
    painted(text, shared, |_, line| {
        Some(match line.as_bytes().first()? {
            _ if line.starts_with("+++") || line.starts_with("---") => "1",
            b'+' => "32",
            b'-' => "31",
            b'~' => "33",
            b'@' => "36",
            b' ' => return None,
            _ => "1",
        })
    })
}

/// A page of the reference: its heading is bold, an example before and after is red and green.
pub fn page(text: &str, shared: &Shared) -> String {
    let text = match columns(std::io::stdout()).filter(|_| std::io::stdout().is_terminal()) {
        Some(columns) => wrapped(text, columns.max(LEAST)),
        None => text.to_string(),
    };
    painted(&text, shared, |number, line| match line {
        _ if number == 0 => Some("1"),
        _ if line.starts_with("before:") => Some("31"),
        _ if line.starts_with("after:") => Some("32"),
        _ => None,
    })
}

/// Prose in lines of this width; lines that are indented are examples, and stay.
fn wrapped(text: &str, width: usize) -> String {
    let options = textwrap::Options::new(width)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    let line = |line: &str| if line.starts_with(' ') { line.to_string() } else { textwrap::fill(line, &options) };
    let mut out = text.lines().map(line).collect::<Vec<_>>().join("\n");
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_wrapped_and_examples_are_not() {
        let text = "one two three four\n    one two three four\n";
        assert_eq!(wrapped(text, 9), "one two\nthree\nfour\n    one two three four\n");
    }

    #[test]
    fn lines_are_painted_one_by_one() {
        let shared = Shared { color: Color::Always, ..Shared::default() };
        assert_eq!(differences("+ a\n b\n- c\n", &shared), "\x1b[32m+ a\x1b[0m\n b\n\x1b[31m- c\x1b[0m\n");
        let plain = Shared { color: Color::Never, ..Shared::default() };
        assert_eq!(differences("+ a\n", &plain), "+ a\n");
    }
}
