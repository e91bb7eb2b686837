//! Diagnostics: what is wrong, where, and what to do about it.
//!
//! Every stage collects into one [`Diagnostics`] and goes on, so that a person sees all faults of a
//! file in one run. A diagnostic carries a stable [`Code`] (`virtc explain CODE`), a message in the
//! words of the domain format, the [`Span`] of the culprit and, where there is one, a help text.

mod advice;
pub mod codes;
pub mod lints;
pub mod printable;
pub mod render;

pub use codes::Code;
pub use lints::{Level, Levels};
pub use printable::{printable, printable_json};

use std::collections::BTreeMap;

/// A range of bytes of the source text; `Span::NONE` where nothing in the source is the cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// No place in the source: the cause is a default rule.
    pub const NONE: Span = Span { start: u32::MAX, end: u32::MAX };

    /// The bytes from `start` up to, not including, `end`.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    /// Whether this span points nowhere.
    pub fn is_none(self) -> bool {
        self == Span::NONE
    }

    /// This span, or `other` where this one points nowhere.
    pub fn or(self, other: Span) -> Span {
        if self.is_none() { other } else { self }
    }

    /// The bounds as `usize`, for slicing the source. Empty at 0 for [`Span::NONE`].
    pub fn range(self) -> std::ops::Range<usize> {
        if self.is_none() { 0..0 } else { self.start as usize..self.end as usize }
    }
}

impl Default for Span {
    fn default() -> Span {
        Span::NONE
    }
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Note,
    /// Compiles, but probably not to what was meant.
    Warning,
    /// The file does not compile.
    Error,
}

/// A change of the source text.
#[derive(Clone, PartialEq, Debug)]
pub struct Edit {
    /// What is replaced; an empty span inserts.
    pub span: Span,
    /// What stands there instead.
    pub text: String,
}

impl Edit {
    /// A new edit.
    pub fn new(span: Span, text: impl Into<String>) -> Edit {
        Edit { span, text: text.into() }
    }

    /// Inserts at a byte.
    pub fn insert(at: u32, text: impl Into<String>) -> Edit {
        Edit::new(Span { start: at, end: at }, text)
    }
}

/// A place in another file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Elsewhere {
    /// The file, as the user named it, or a word for what is no file.
    pub file: String,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// What is there.
    pub words: String,
}

/// One fault or remark.
#[derive(Clone, PartialEq, Debug)]
pub struct Diagnostic {
    /// The stable code, with its explanation.
    pub code: &'static Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub span: Span,
    /// What is wrong, in the words of the format.
    pub message: String,
    /// Other places that take part, each with a few words.
    pub related: Vec<(Span, String)>,
    /// Places in other files that take part.
    pub elsewhere: Vec<Elsewhere>,
    /// What to do.
    pub help: Option<String>,
    /// The changes that do it, where it is certain what is meant.
    pub edits: Vec<Edit>,
    /// The names of the elements that are missing there, where that is what is wrong.
    pub lacks: Vec<&'static str>,
}

impl Diagnostic {
    /// Adds what to do about it. Who reported the place first knows best.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help.get_or_insert_with(|| text.into());
        self
    }

    /// Adds the changes that mend it. Who reported the place first knows best.
    pub fn fix(&mut self, edits: Vec<Edit>) -> &mut Self {
        if self.edits.is_empty() {
            self.edits = edits;
        }
        self
    }

    /// Says which elements are missing there.
    pub fn lacks(&mut self, names: impl IntoIterator<Item = &'static str>) -> &mut Self {
        self.lacks.extend(names);
        self
    }

    /// Adds another place that takes part.
    pub fn related(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        if !span.is_none() {
            self.related.push((span, text.into()));
        }
        self
    }

    /// Adds a place in another file that takes part.
    pub fn elsewhere(&mut self, file: impl Into<String>, line: u32, words: impl Into<String>) -> &mut Self {
        let other = Elsewhere { file: file.into(), line, words: words.into() };
        // Two claims at one place have one fault, and its other place is named once.
        if !self.elsewhere.contains(&other) {
            self.elsewhere.push(other);
        }
        self
    }
}

/// All diagnostics of one compilation.
#[derive(Default, Debug, Clone)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// Where in `list` the diagnostics of a span are.
    by_span: BTreeMap<Span, Vec<usize>>,
}

impl Diagnostics {
    /// No diagnostics yet.
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    fn push(&mut self, severity: Severity, code: &'static Code, span: Span, message: String) -> &mut Diagnostic {
        // One place, one fault: a value that the schema has already refused is not refused again by
        // the binder. The worse of the two severities stays.
        if !span.is_none()
            && let Some(at) = self.by_span.get(&span).and_then(|all| {
                all.iter().copied().find(|&at| self.list.get(at).is_some_and(|d| d.code.same_topic(code)))
            })
        {
            let first = &mut self.list[at];
            if first.severity < severity {
                first.severity = severity;
                // The graver report says what to do, unless the first one has guessed what was meant.
                first.help.take_if(|help| !help.starts_with("did you mean"));
            }
            return first;
        }
        let at = self.list.len();
        self.by_span.entry(span).or_default().push(at);
        self.list.push(Diagnostic {
            code,
            severity,
            span,
            message,
            related: Vec::new(),
            elsewhere: Vec::new(),
            help: None,
            edits: Vec::new(),
            lacks: Vec::new(),
        });
        &mut self.list[at]
    }

    /// Records a fault. The file will not compile.
    pub fn error(&mut self, code: &'static Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Error, code, span, message.into())
    }

    /// Records something that compiles but deserves a look.
    pub fn warning(&mut self, code: &'static Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Warning, code, span, message.into())
    }

    /// Records a remark.
    pub fn note(&mut self, code: &'static Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Note, code, span, message.into())
    }

    /// Whether an error was recorded.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The diagnostics in source order; those without a place come last.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<&Diagnostic> = self.list.iter().collect();
        all.sort_by_key(|d| d.span.start);
        all
    }

    /// The diagnostics in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Turns every warning, and every note of an assumption, into an error (`--strict`).
    pub fn make_strict(&mut self) {
        for d in &mut self.list {
            if d.severity == Severity::Warning || d.code.is_of_assumptions() {
                d.severity = Severity::Error;
            }
        }
    }

    /// Gives each the severity that `grade` finds for it; drops those for which it finds none.
    pub fn grade(&mut self, grade: impl Fn(&Diagnostic) -> Option<Severity>) {
        let grades: Vec<Option<Severity>> = self.list.iter().map(grade).collect();
        for (d, severity) in self.list.iter_mut().zip(&grades) {
            d.severity = severity.unwrap_or(d.severity);
        }
        self.retain(|at, _| grades.get(at).is_some_and(Option::is_some));
    }

    /// Says what to do about each fault of which that is not said yet, as far as its code knows it.
    pub fn advise(&mut self) {
        for d in self.list.iter_mut().filter(|d| d.severity != Severity::Note && d.help.is_none()) {
            d.help = advice::of(d.code).map(str::to_string);
        }
    }

    /// Keeps those for which `keep` holds, which is told how many were recorded before each.
    pub fn retain(&mut self, keep: impl Fn(usize, &Diagnostic) -> bool) {
        let mut at = 0;
        self.list.retain(|d| {
            at += 1;
            keep(at - 1, d)
        });
        self.by_span.clear();
        for (at, d) in self.list.iter().enumerate() {
            self.by_span.entry(d.span).or_default().push(at);
        }
    }

    /// Gives those without a place this one.
    pub fn place(&mut self, span: Span) {
        for d in self.list.iter_mut().filter(|d| d.span.is_none()) {
            d.span = span;
        }
    }

    /// Gives each the place that `find` knows better.
    pub fn move_to(&mut self, find: impl Fn(&Diagnostic) -> Option<Span>) {
        for d in &mut self.list {
            d.span = find(d).unwrap_or(d.span);
        }
        self.retain(|_, _| true);
    }

    /// How many were recorded.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Takes in the diagnostics of another stage.
    pub fn extend(&mut self, other: Diagnostics) {
        for diagnostic in other.list {
            self.by_span.entry(diagnostic.span).or_default().push(self.list.len());
            self.list.push(diagnostic);
        }
    }
}
