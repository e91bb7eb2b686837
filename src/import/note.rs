//! What an import has to say about words that the domain does not hold as they were.

use crate::diag::codes::inputs::{ARGV_CHANGED, ARGV_LEFT_OUT, ARGV_REMOVED, ARGV_THROUGH};
use crate::diag::{Code, Diagnostics, Severity, Span};

/// What became of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is a `<qemu:arg>`.
    Through,
    /// It is in other words, or in another way.
    Changed,
    /// It is not in the domain, and the machine is the same without it.
    Idle,
    /// It is not in the domain, and the machine lacks it.
    LeftOut,
    /// QEMU has it no more.
    Removed,
}

/// The remarks of an import.
#[derive(Clone, Debug, Default)]
pub struct Notes(Vec<(Span, Fate, String)>);

impl Notes {
    /// Adds a remark on a place.
    pub fn push(&mut self, span: Span, fate: Fate, text: impl Into<String>) {
        self.0.push((span, fate, text.into()));
    }

    /// As diagnostics: what concerns one place in one way is one of them.
    pub fn report(self, diags: &mut Diagnostics) {
        let mut all: Vec<(Span, Fate, Vec<String>)> = Vec::new();
        for (span, fate, text) in self.0 {
            match all.iter_mut().find(|(s, f, _)| (*s, *f) == (span, fate)) {
                Some((.., texts)) if !texts.contains(&text) => texts.push(text),
                Some(_) => {}
                None => all.push((span, fate, vec![text])),
            }
        }
        all.sort_by_key(|(span, fate, _)| (span.start, span.end, *fate));
        for (span, fate, texts) in all {
            let (code, severity, head): (&'static Code, _, _) = match fate {
                Fate::Through => (&ARGV_THROUGH, Severity::Note, "handed through as <qemu:arg>: "),
                Fate::Changed => (&ARGV_CHANGED, Severity::Note, ""),
                Fate::Idle => (&ARGV_LEFT_OUT, Severity::Note, "left out: "),
                Fate::LeftOut => (&ARGV_LEFT_OUT, Severity::Warning, "left out: "),
                Fate::Removed => (&ARGV_REMOVED, Severity::Note, ""),
            };
            let message = format!("{head}{}", texts.join("; "));
            match severity {
                Severity::Warning => diags.warning(code, span, message),
                _ => diags.note(code, span, message),
            };
        }
    }
}
