//! The form for a terminal: the line of the source, underlined, and the help below it.

use super::{Lines, Report};
use crate::diag::printable::printable;
use crate::diag::{Diagnostic, Severity, Span};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};
use std::fmt;
use std::fmt::Write as _;
use std::io;

/// Of a longer line only the surroundings of the culprit are shown, in bytes.
const LONGEST_LINE: usize = 2000;

/// A diagnostic in miette's terms.
struct Shown<'a> {
    d: &'a Diagnostic,
    source: Option<Named<'a>>,
    message: String,
}

/// The text of a file under its name; borrows both, unlike miette's own `NamedSource`.
struct Named<'a> {
    name: &'a str,
    text: &'a str,
    lines: &'a Lines<'a>,
}

impl SourceCode for Named<'_> {
    fn read_span<'s>(
        &'s self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'s> + 's>, miette::MietteError> {
        let len = self.text.len();
        if span.offset() > len || span.len() > len - span.offset() {
            return Err(miette::MietteError::OutOfBounds);
        }
        // Only the lines that are asked for: the whole file, once for each diagnostic, would be quadratic.
        let at = self.lines.line(span.offset());
        let first = at.saturating_sub(before);
        let from = self.lines.start(first);
        let to = self.lines.start(self.lines.line(span.offset() + span.len()) + after + 1);
        let here = |data, shown: miette::SourceSpan, line, column, count| {
            Box::new(
                miette::MietteSpanContents::new_named(self.name.to_string(), data, shown, line, column, count)
                    .with_language("xml"),
            )
        };
        if to - from > LONGEST_LINE {
            let (data, shown) = surroundings(self.text, span, &(from, to - from).into());
            let column = if before == 0 { self.lines.place(span.offset() as u32).1 - 1 } else { 0 };
            return Ok(here(data, shown, at, column, 1));
        }
        let moved = (span.offset() - from, span.len()).into();
        let inner = self.text[from..to].read_span(&moved, before, after)?;
        let shown = (inner.span().offset() + from, inner.span().len()).into();
        let data =
            &self.text.as_bytes()[from + inner.span().offset()..from + inner.span().offset() + inner.span().len()];
        Ok(here(data, shown, first + inner.line(), inner.column(), inner.line_count()))
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("{} {}[{}]", self.d.severity.as_str(), self.d.code.id, self.d.code.name)))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.d.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.d.help.as_deref()?;
        Some(Box::new(in_one_piece(&printable(help)).to_string()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let text = self.source.as_ref()?.text;
        let main = LabeledSpan::new_primary_with_span(None, marked(self.d.span, text));
        // Far away on the same line it would make the excerpt as long as the distance.
        let near = |other: Span| {
            let (from, to) = (self.d.span.start.min(other.start), self.d.span.start.max(other.start));
            to - from < LONGEST_LINE as u32
                || text.get(from as usize..to as usize).is_some_and(|between| between.contains('\n'))
        };
        let related = self.d.related.iter().filter(move |(span, _)| near(*span)).map(move |(span, words)| {
            LabeledSpan::new_with_span(Some(printable(words).into_owned()), marked(*span, text))
        });
        Some(Box::new(std::iter::once(main).chain(related)))
    }
}

/// Stands for a blank at which no line may be broken; no text means anything by it.
const UNBROKEN: char = '\u{fdd0}';

/// A help text whose indented lines, which are there to be copied, stay in one piece.
fn in_one_piece(help: &str) -> std::borrow::Cow<'_, str> {
    if !help.contains("\n  ") {
        return help.into();
    }
    let line = |line: &str| match line.strip_prefix("  ") {
        Some(_) => line.replace(' ', &UNBROKEN.to_string()),
        None => line.to_string(),
    };
    help.lines().map(line).collect::<Vec<_>>().join("\n").into()
}

/// The part of a long line around a span, with what it spans; no more than `most`.
fn surroundings<'t>(
    text: &'t str,
    span: &miette::SourceSpan,
    most: &miette::SourceSpan,
) -> (&'t [u8], miette::SourceSpan) {
    const AROUND: usize = 80;
    let (first, last) = (most.offset(), most.offset() + most.len());
    let from = floor(text, span.offset().clamp(first, last));
    let to = floor(text, (span.offset() + span.len()).clamp(from, last));
    // Other lines do not help, and the first one would be taken for the line of the span.
    let before = &text[floor(text, from.saturating_sub(AROUND).max(first))..from];
    let after = &text[to..floor(text, (to + AROUND).min(last))];
    let start = from - before.len() + before.rfind('\n').map_or(0, |n| n + 1);
    let end = to + after.find('\n').unwrap_or(after.len());
    (&text.as_bytes()[start..end], (start, end - start).into())
}

/// The part of a span that is underlined: its first line, without a line break, within the text.
fn marked(span: Span, text: &str) -> std::ops::Range<usize> {
    let range = span.range();
    let start = floor(text, range.start);
    let end = floor(text, range.end).max(start);
    let first_line = text[start..end].find('\n').map_or(end, |n| start + n);
    start..first_line
}

/// The largest character boundary of `text` up to `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

pub(super) fn human(
    d: &Diagnostic,
    report: &Report<'_>,
    lines: &Lines<'_>,
    color: bool,
    width: usize,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        // A value of the format (host-passthrough, a path) stays in one piece, to be searched for and copied.
        .with_word_separator(textwrap::WordSeparator::AsciiSpace)
        .with_word_splitter(textwrap::WordSplitter::NoHyphenation)
        .with_break_words(false)
        .with_context_lines(1)
        .with_links(false)
        .without_cause_chain();
    let placed = !d.span.is_none() && !report.text.is_empty();
    let source = placed.then_some(Named { name: report.name, text: report.text, lines });
    let message = if placed { d.message.clone() } else { format!("{}: {}", report.name, d.message) };
    let message = printable(&message).into_owned();
    let mut text = String::new();
    let shown = Shown { d, source, message };
    if handler.render_report(&mut text, &shown).is_err() {
        // Only if the source could not be read at the span; the message still has to arrive.
        text.clear();
        let _ = writeln!(text, "{} {}: {}: {}", d.severity.as_str(), d.code.id, report.name, shown.message);
    }
    let text = text.replace(UNBROKEN, " ");
    writeln!(out, "{}", text.trim_end())?;
    writeln!(out)
}
