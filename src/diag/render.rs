//! Diagnostics as a person or a program reads them.
//!
//! Four forms: the terminal (source line underlined, help below), JSON lines, SARIF 2.1.0 for code
//! scanners, and the workflow commands of GitHub. Nothing here runs when nothing is reported, and
//! miette is touched only for the terminal form.

mod human;
mod lines;
mod programs;

use super::printable::{masked, printable};
use super::{Diagnostics, Severity};
use std::io;

use human::human;
pub use lines::Lines;
use programs::{github, json_object, sarif};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;
    use crate::diag::codes::schema;
    use serde_json::{Value, json};

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
