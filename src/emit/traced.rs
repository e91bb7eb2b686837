//! Text that knows what caused which part of it.
//!
//! Emitters say with each line that they write what in the domain it comes from; the page of `virtc explain --html`
//! lights it up. While a template is filled in, causes travel within the text, between control characters that no
//! output's language lets through and no XML holds.

use crate::diag::Span;
use crate::plan::Cause;
use std::ops::Range;

/// A part of a text, and what brought it about.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// What brought it about.
    pub cause: Cause,
}

/// A text with its marks, by place.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    /// The text.
    pub text: String,
    /// What its parts come from.
    pub marks: Vec<Mark>,
}

/// Stands before a cause, between it and what it caused, and behind that.
const OPEN: char = '\u{1}';
const INNER: char = '\u{2}';
const CLOSE: char = '\u{3}';

/// A value as it travels through a template: with its cause.
pub fn wrap(value: &str, cause: &Cause) -> String {
    let Cause { line, span, what, is_default } = cause;
    let what = what.replace(|c: char| c.is_ascii_control(), " ");
    format!("{OPEN}{line},{},{},{is_default},{what}{INNER}{value}{CLOSE}", span.start, span.end)
}

/// The cause that [`wrap`] wrote.
fn unwrap(header: &str) -> Option<Cause> {
    let mut words = header.splitn(5, ',');
    let line = words.next()?.parse().ok()?;
    let span = Span { start: words.next()?.parse().ok()?, end: words.next()?.parse().ok()? };
    let is_default = words.next()? == "true";
    Some(Cause { line, span, what: words.next()?.to_string().into(), is_default })
}

impl Traced {
    /// A text of which nothing is known.
    pub fn plain(text: impl Into<String>) -> Traced {
        Traced { text: text.into(), marks: Vec::new() }
    }

    /// What a template made: the causes that travelled with its values become marks.
    pub fn of(rendered: String) -> Traced {
        if !rendered.contains(OPEN) {
            return Traced::plain(rendered);
        }
        let mut out = Traced { text: String::with_capacity(rendered.len()), marks: Vec::new() };
        let mut open: Vec<(usize, Option<Cause>)> = Vec::new();
        let mut rest = rendered.as_str();
        while let Some(at) = rest.find([OPEN, CLOSE]) {
            let (before, behind) = rest.split_at(at);
            out.text.push_str(before);
            match behind.strip_prefix(OPEN).and_then(|header| header.split_once(INNER)) {
                Some((header, value)) => {
                    open.push((out.text.len(), unwrap(header)));
                    rest = value;
                }
                None => {
                    if let Some((start, Some(cause))) = open.pop() {
                        out.marks.push(Mark { range: start..out.text.len(), cause });
                    }
                    rest = behind.get(1..).unwrap_or_default();
                }
            }
        }
        out.text.push_str(rest);
        out.marks.sort_by_key(|mark| (mark.range.start, std::cmp::Reverse(mark.range.end)));
        out
    }

    /// Appends text of which nothing is known.
    pub fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends what `cause` brought about.
    pub fn push(&mut self, text: &str, cause: &Cause) {
        let start = self.text.len();
        self.text.push_str(text);
        self.marks.push(Mark { range: start..self.text.len(), cause: cause.clone() });
    }

    /// The same text with every `from` replaced.
    #[must_use]
    pub fn replaced(mut self, from: &str, to: &str) -> Traced {
        let found = Vec::from_iter(self.text.match_indices(from).map(|(at, _)| at));
        let moved = |at: usize| {
            let before = found.iter().take_while(|start| **start + from.len() <= at).count();
            at + before * to.len() - before * from.len()
        };
        for mark in &mut self.marks {
            mark.range = moved(mark.range.start)..moved(mark.range.end);
        }
        self.text = self.text.replace(from, to);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(what: &'static str) -> Cause {
        Cause { line: 7, span: Span::new(10, 20), what: what.into(), is_default: false }
    }

    #[test]
    fn causes_travel_through_a_text() {
        let inner = format!("ExecStart=qemu {} {}", wrap("-m 1", &cause("memory, much")), wrap("-S", &cause("S")));
        let traced = Traced::of(format!("[Service]\n{}\nend\n", wrap(&inner, &cause("all"))));
        assert_eq!(traced.text, "[Service]\nExecStart=qemu -m 1 -S\nend\n");
        let found = Vec::from_iter(traced.marks.iter().map(|m| (&traced.text[m.range.clone()], &*m.cause.what)));
        assert_eq!(found, [("ExecStart=qemu -m 1 -S", "all"), ("-m 1", "memory, much"), ("-S", "S")]);
        assert_eq!(traced.marks[1].cause, cause("memory, much"));
    }

    #[test]
    fn marks_stay_at_what_they_mark() {
        let mut traced = Traced::plain("a /run/virtc/x ");
        traced.push("/run/virtc/y", &cause("y"));
        let moved = traced.replaced("/run/virtc/", "%t/virtc/");
        assert_eq!(moved.text, "a %t/virtc/x %t/virtc/y");
        assert_eq!(&moved.text[moved.marks[0].range.clone()], "%t/virtc/y");
    }

    #[test]
    fn what_is_no_cause_is_lost_without_harm() {
        let traced = Traced::of(format!("{CLOSE}a{OPEN}nothing{INNER}b{CLOSE}c{OPEN}d"));
        assert_eq!(traced.text, "abcd");
        assert!(traced.marks.is_empty());
    }
}
