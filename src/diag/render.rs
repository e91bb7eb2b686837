//! Diagnostics as a person or a program reads them.
//!
//! Four forms: the terminal (source line underlined, help below), JSON lines, SARIF 2.1.0 for code
//! scanners, and the workflow commands of GitHub. Nothing here runs when nothing is reported, and
//! miette is touched only for the terminal form.

use super::printable::{masked, printable};
use super::{Diagnostic, Diagnostics, Elsewhere, Severity, Span};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};
use serde_json::{Map, Value, json};
use std::fmt;
use std::fmt::Write as _;
use std::io;

/// How diagnostics are printed (`--message-format`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MessageFormat {
    /// For a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
    /// One SARIF 2.1.0 log for all files.
    Sarif,
    /// GitHub workflow commands: `::error file=…,line=…::…`.
    Github,
}

impl MessageFormat {
    /// Every form, in the order in which the help lists them.
    pub const ALL: &'static [MessageFormat] =
        &[MessageFormat::Human, MessageFormat::Json, MessageFormat::Sarif, MessageFormat::Github];

    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageFormat::Human => "human",
            MessageFormat::Json => "json",
            MessageFormat::Sarif => "sarif",
            MessageFormat::Github => "github",
        }
    }

    /// The form that a word of the command line names.
    pub fn parse(word: &str) -> Option<MessageFormat> {
        MessageFormat::ALL.iter().copied().find(|f| f.as_str() == word)
    }
}

/// The diagnostics of one file, with what is needed to show them.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// What to print.
    pub diags: &'a Diagnostics,
    /// The name of the file as the user gave it; `<stdin>` for standard input.
    pub name: &'a str,
    /// The text that the spans point into.
    pub text: &'a str,
}

/// Columns of a line of the human form, where nothing is known about the reader's terminal.
pub const WIDTH: usize = 100;
/// A person is shown this many diagnostics of a file.
const MOST_SHOWN: usize = 200;
/// Of a longer line only the surroundings of the culprit are shown, in bytes.
const LONGEST_LINE: usize = 2000;

/// Prints the diagnostics of one file to `out`; nothing if there are none (but an empty log for SARIF).
///
/// `source_name` is printed as given, `source_text` is the text that the spans point into, `color` allows
/// terminal colours in the human form.
pub fn render(
    diags: &Diagnostics,
    source_name: &str,
    source_text: &str,
    format: MessageFormat,
    color: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    render_all(&[Report { diags, name: source_name, text: source_text }], format, color, WIDTH, out)
}

/// Prints the diagnostics of many files; SARIF becomes one log. See [`render`].
pub fn render_all(
    reports: &[Report<'_>],
    format: MessageFormat,
    color: bool,
    width: usize,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    if format == MessageFormat::Sarif {
        return writeln!(out, "{}", sarif(reports));
    }
    for report in reports.iter().filter(|r| !r.diags.is_empty()) {
        // What a person reads goes to a terminal.
        let human_form = format == MessageFormat::Human;
        let (text, name) = match human_form {
            true => (masked(report.text), printable(report.name)),
            false => (report.text.into(), report.name.into()),
        };
        let report = &Report { diags: report.diags, name: &name, text: &text };
        let lines = Lines::of(report.text);
        let sorted = report.diags.sorted();
        let shown = if format == MessageFormat::Human { sorted.len().min(MOST_SHOWN) } else { sorted.len() };
        let (shown, left_out) = sorted.split_at(shown);
        for d in shown {
            match format {
                MessageFormat::Human => human(d, report, &lines, color, width, out)?,
                MessageFormat::Json => writeln!(out, "{}", json_object(d, report, &lines))?,
                MessageFormat::Github => writeln!(out, "{}", github(d, report, &lines))?,
                MessageFormat::Sarif => {}
            }
        }
        if !left_out.is_empty() {
            writeln!(out, "{}: {} more like these; --message-format json shows all\n", report.name, left_out.len())?;
        }
    }
    Ok(())
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// Where the lines of a text begin.
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<u32>,
    /// How many characters begin before each block of [`BLOCK`] bytes: a file may be one long line.
    characters: Vec<u32>,
}

/// Bytes in a block of [`Lines::characters`].
const BLOCK: usize = 1024;

impl<'a> Lines<'a> {
    /// Finds the lines of `text`; linear, once a file.
    pub fn of(text: &'a str) -> Lines<'a> {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at as u32 + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        let mut characters = vec![0];
        let mut before = 0;
        for block in text.as_bytes().chunks(BLOCK) {
            before += begins(block);
            characters.push(before);
        }
        Lines { text, starts, characters }
    }

    /// The line of a byte offset, from 0.
    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|s| *s as usize <= offset).max(1) - 1
    }

    /// Where a line begins, counted from 0; the end of the text for one that is not there.
    fn start(&self, line: usize) -> usize {
        self.starts.get(line).map_or(self.text.len(), |s| *s as usize)
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub fn place(&self, offset: u32) -> (usize, usize) {
        let line = self.starts.partition_point(|s| *s <= offset).max(1);
        let from = self.starts[line - 1] as usize;
        let to = (offset as usize).clamp(from, self.text.len());
        (line, (self.before(to) - self.before(from)) as usize + 1)
    }

    /// How many characters begin before a byte of the text.
    fn before(&self, at: usize) -> u32 {
        let block = at / BLOCK;
        let rest = self.text.as_bytes().get(block * BLOCK..at).map_or(0, begins);
        self.characters.get(block).copied().unwrap_or(0) + rest
    }
}

/// How many characters begin in these bytes of UTF-8.
fn begins(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|b| **b & 0xc0 != 0x80).count() as u32
}

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

fn human(
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

/// Adds line, column and byte range of a span, unless it points nowhere.
fn place(object: &mut Map<String, Value>, span: Span, lines: &Lines<'_>) {
    if span.is_none() {
        return;
    }
    let ((line, column), (end_line, end_column)) = (lines.place(span.start), lines.place(span.end));
    for (key, value) in [
        ("line", line),
        ("column", column),
        ("endLine", end_line),
        ("endColumn", end_column),
        ("offset", span.start as usize),
        ("length", span.range().len()),
    ] {
        object.insert(key.to_string(), value.into());
    }
}

fn json_object(d: &Diagnostic, report: &Report<'_>, lines: &Lines<'_>) -> Value {
    let mut object = Map::new();
    object.insert("severity".to_string(), d.severity.as_str().into());
    object.insert("code".to_string(), d.code.id.into());
    object.insert("name".to_string(), d.code.name.into());
    object.insert("message".to_string(), d.message.clone().into());
    object.insert("file".to_string(), report.name.into());
    place(&mut object, d.span, lines);
    if let Some(help) = &d.help {
        object.insert("help".to_string(), help.clone().into());
    }
    if !d.edits.is_empty() {
        let edits = d.edits.iter().map(|edit| {
            let mut change = Map::new();
            change.insert("text".to_string(), edit.text.clone().into());
            place(&mut change, edit.span, lines);
            Value::Object(change)
        });
        object.insert("fix".to_string(), Value::Array(edits.collect()));
    }
    let related: Vec<Value> = related(d, lines);
    if !related.is_empty() {
        object.insert("related".to_string(), Value::Array(related));
    }
    Value::Object(object)
}

/// The other places that take part, of this file and of others.
fn related(d: &Diagnostic, lines: &Lines<'_>) -> Vec<Value> {
    let here = d.related.iter().map(|(span, words)| {
        let mut other = Map::new();
        other.insert("message".to_string(), words.clone().into());
        place(&mut other, *span, lines);
        Value::Object(other)
    });
    let there = d.elsewhere.iter().map(|other| match other.line {
        0 => json!({ "message": other.words, "file": other.file }),
        line => json!({ "message": other.words, "file": other.file, "line": line }),
    });
    here.chain(there).collect()
}

/// A workflow command. GitHub's runner decodes %25, %0D, %0A everywhere and %3A, %2C in properties.
fn github(d: &Diagnostic, report: &Report<'_>, lines: &Lines<'_>) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let command = match d.severity {
        Severity::Note => "notice",
        other => other.as_str(),
    };
    let mut line = format!("::{command} file={}", property(report.name));
    if !d.span.is_none() {
        let ((from, column), (to, end_column)) = (lines.place(d.span.start), lines.place(d.span.end));
        let _ = write!(line, ",line={from},endLine={to}");
        // The runner accepts columns only where the range stays on one line.
        if from == to {
            let _ = write!(line, ",col={column},endColumn={end_column}");
        }
    }
    let _ = write!(line, ",title={}::{}", property(&format!("{} {}", d.code.id, d.code.name)), data(&d.message));
    if let Some(help) = &d.help {
        let _ = write!(line, "%0A{}", data(help));
    }
    line
}

fn sarif_location(name: &str, span: Span, lines: &Lines<'_>, message: Option<&str>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(name) } });
    if !span.is_none() {
        let ((line, column), (end_line, end_column)) = (lines.place(span.start), lines.place(span.end));
        physical["region"] =
            json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column });
    }
    let mut location = json!({ "physicalLocation": physical });
    if let Some(text) = message {
        location["message"] = json!({ "text": text });
    }
    location
}

/// A place in another file, whose text is not at hand.
fn sarif_elsewhere(other: &Elsewhere) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(&other.file) } });
    if other.line > 0 {
        physical["region"] = json!({ "startLine": other.line });
    }
    json!({ "physicalLocation": physical, "message": { "text": other.words } })
}

/// The changes that mend a fault.
fn sarif_fix(d: &Diagnostic, name: &str, lines: &Lines<'_>) -> Value {
    let replacements: Vec<Value> = (d.edits.iter())
        .map(|edit| {
            let ((line, column), (end_line, end_column)) = (lines.place(edit.span.start), lines.place(edit.span.end));
            let region =
                json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column });
            json!({ "deletedRegion": region, "insertedContent": { "text": edit.text } })
        })
        .collect();
    json!({
        "description": { "text": d.help.as_deref().unwrap_or(&d.message) },
        "artifactChanges": [{ "artifactLocation": { "uri": uri(name) }, "replacements": replacements }],
    })
}

/// A path as a URI reference: everything that is not unreserved, `/` or `:` is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn sarif(reports: &[Report<'_>]) -> Value {
    let mut rules: Vec<&'static super::Code> = Vec::new();
    let mut results = Vec::new();
    for report in reports.iter().filter(|r| !r.diags.is_empty()) {
        let lines = Lines::of(report.text);
        for d in report.diags.sorted() {
            let index = rules.iter().position(|r| *r == d.code).unwrap_or_else(|| {
                rules.push(d.code);
                rules.len() - 1
            });
            let text = match &d.help {
                Some(help) => format!("{}\n\n{help}", d.message),
                None => d.message.clone(),
            };
            let here = (d.related.iter()).map(|(span, words)| sarif_location(report.name, *span, &lines, Some(words)));
            let related: Vec<Value> = here.chain(d.elsewhere.iter().map(sarif_elsewhere)).collect();
            let mut result = json!({
                "ruleId": d.code.id,
                "ruleIndex": index,
                "level": d.severity.as_str(),
                "message": { "text": text },
                "locations": [sarif_location(report.name, d.span, &lines, None)],
            });
            if !related.is_empty() {
                result["relatedLocations"] = Value::Array(related);
            }
            if !d.edits.is_empty() {
                result["fixes"] = json!([sarif_fix(d, report.name, &lines)]);
            }
            results.push(result);
        }
    }
    let rules: Vec<Value> = (rules.iter())
        .map(|c| {
            json!({
                "id": c.id,
                "name": c.name,
                "shortDescription": { "text": c.explain.lines().next().unwrap_or(c.name) },
                "help": { "text": c.explain },
            })
        })
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "virtc", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::codes::schema;

    const TEXT: &str = "<domain>\n  <näme>vm</näme>\n  <vcpu unit='x'>4</vcpu>\n</domain>\n";

    fn sample() -> Diagnostics {
        let mut diags = Diagnostics::new();
        let unit = TEXT.find("unit").unwrap();
        let name = TEXT.find("näme").unwrap();
        diags
            .error(&schema::UNKNOWN_ATTRIBUTE, Span::new(unit, unit + 4), "<vcpu> has no attribute 'unit'")
            .related(Span::new(name, name + 5), "a place\nto compare")
            .help("remove it, 100%");
        diags.warning(&schema::MISSING_ELEMENT, Span::NONE, "no place");
        diags
    }

    fn shown(format: MessageFormat) -> String {
        let mut out = Vec::new();
        render(&sample(), "a b.xml", TEXT, format, false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn terminal_form_names_the_place_and_underlines() {
        let text = shown(MessageFormat::Human);
        assert!(text.contains("error VC0102[unknown-attribute]"), "{text}");
        assert!(text.contains("a b.xml:3:9"), "{text}");
        assert!(text.contains("<vcpu unit='x'>4</vcpu>"), "{text}");
        assert!(text.contains("help: remove it, 100%"), "{text}");
        assert!(text.contains("a b.xml: no place"), "{text}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = shown(MessageFormat::Json);
        let all: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((&all[0]["line"], &all[0]["column"], &all[0]["length"]), (&json!(3), &json!(9), &json!(4)));
        assert_eq!(all[0]["related"][0]["line"], 2);
        assert_eq!(all[1].get("line"), None);
    }

    #[test]
    fn github_escapes_what_the_runner_decodes() {
        let text = shown(MessageFormat::Github);
        assert!(text.starts_with("::error file=a b.xml,line=3,endLine=3,col=9,endColumn=13,title=VC0102"), "{text}");
        assert!(text.contains("%0Aremove it, 100%25"), "{text}");
    }

    #[test]
    fn sarif_is_one_log_with_rules() {
        let log: Value = serde_json::from_str(&shown(MessageFormat::Sarif)).unwrap();
        let run = &log["runs"][0];
        assert_eq!(run["results"].as_array().unwrap().len(), 2);
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "VC0102");
        assert_eq!(run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "a%20b.xml");
    }

    #[test]
    fn columns_count_characters_and_any_span_is_shown() {
        let lines = Lines::of(TEXT);
        assert_eq!(lines.place(TEXT.find("vm").unwrap() as u32), (2, 9));
        let mut diags = Diagnostics::new();
        diags.error(&schema::DUPLICATE, Span::new(9000, 9005), "beyond the end");
        diags.error(&schema::DUPLICATE, Span::new(13, 14), "inside a character");
        for format in MessageFormat::ALL {
            render(&diags, "x", TEXT, *format, true, &mut Vec::new()).unwrap();
        }
    }
}
