//! What people have: a script, a systemd unit, a line of `ps`, a log, a list; and the QEMU command lines in it.

mod compose;
mod config;
mod line;
mod listing;
mod program;
mod shell;
mod unit;

use config::expand_config;
pub use line::{Around, Line, PROCESS, Word};
pub use program::architecture;

pub use line::below;
use line::is_assignment;

use crate::diag::codes::inputs::{ARGV, ARGV_LEFT_OUT};
use crate::diag::{Diagnostics, Span};

/// Puts the arguments that `-readconfig FILE` stands for in its place. A file that cannot be read is told.
pub fn read_configs(line: &mut Line, base: &str, read: &dyn Fn(&str) -> Option<String>, diags: &mut Diagnostics) {
    let base = line.directory.clone().unwrap_or_else(|| base.to_string());
    let mut out = Vec::new();
    let mut words = std::mem::take(&mut line.arguments).into_iter().peekable();
    while let Some(word) = words.next() {
        let named = matches!(word.text.as_str(), "-readconfig" | "--readconfig");
        let Some(file) = words.next_if(|_| named) else {
            out.push(word);
            continue;
        };
        match read(&below(&base, &file.text)) {
            Some(text) => out.extend(expand_config(&text, Some(file.span))),
            None => {
                let what = format!(
                    "left out: what '{}' holds, which is a part of the machine: it cannot be read here",
                    file.text
                );
                diags
                    .warning(&ARGV_LEFT_OUT, file.span, what)
                    .help("copy it here under the same path, or give the options that it holds");
            }
        }
    }
    line.arguments = out;
}

/// The QEMU command lines of a text, in order. Faults are recorded where they are.
pub fn command_lines(bytes: &[u8], around: &Around<'_>, diags: &mut Diagnostics) -> Vec<Line> {
    let lossy = String::from_utf8_lossy(bytes);
    let fenced = examples(&lossy);
    let text: &str = fenced.as_deref().unwrap_or(&lossy);
    let trimmed = text.trim_start();
    let found = if text.contains('\0') {
        separated(text, '\0').into_iter().collect()
    } else if trimmed.starts_with('{')
        || trimmed.starts_with('[') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    {
        json(text, diags).into_iter().collect()
    } else if config::is_config(text) {
        config::as_line(text)
    } else if unit::is_unit(text) {
        unit::lines(text, around, diags)
    } else if is_token_a_line(text) {
        separated(text, '\n').into_iter().collect()
    } else if let Some(found) = listing::lines(text, around, diags) {
        found
    } else if let Some(found) = compose::lines(text, around, diags) {
        found
    } else {
        shell::lines(text, Span::new(0, text.len()), around, diags)
    };
    if found.is_empty() && !diags.has_errors() {
        let (at, what) = program::nearest(text);
        diags.error(&ARGV, at, what).help(PROCESS);
    }
    found
}

/// What stands between fences in a text for people (Markdown), everything at its place; none if there are no fences.
fn examples(text: &str) -> Option<String> {
    let is_fence = |line: &str| line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
    if text.lines().filter(|line| is_fence(line)).count() < 2 || text.starts_with("#!") {
        return None;
    }
    let (mut out, mut inside) = (String::new(), false);
    for line in text.split_inclusive('\n') {
        if inside && !is_fence(line) {
            // What is typed stands behind a prompt.
            let prompt = line.trim_start().starts_with("$ ").then(|| line.replacen('$', " ", 1));
            out.push_str(prompt.as_deref().unwrap_or(line));
        } else {
            inside ^= is_fence(line);
            out.extend(line.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        }
    }
    Some(out)
}

/// A command line with one separator between its words.
fn separated(text: &str, separator: char) -> Option<Line> {
    let mut at = 0;
    let mut words = Vec::new();
    for part in text.trim_end_matches(separator).split(separator) {
        words.push(Word::new(part.trim_end_matches('\r'), Span::new(at, at + part.len())));
        at += part.len() + separator.len_utf8();
    }
    program::split(words, None, &mut |_, _| {})
}

/// One token a line, as `virtc argv --format lines` and `tr` write it: the program is a line of its own, switches stand alone.
fn is_token_a_line(text: &str) -> bool {
    let all: Vec<&str> = text.lines().collect();
    let alone = |line: &&str| line.starts_with('-') && !line.contains(' ');
    all.len() > 2
        && !all.iter().any(|l| l.ends_with('\\'))
        && all.iter().filter(|l| l.starts_with('-')).all(alone)
        && all.iter().any(alone)
        && all.iter().find(|l| !is_assignment(l)).is_some_and(|line| program::is_qemu(line))
}

/// `{"environment": […], "argv": […]}` or a plain list.
fn json(text: &str, diags: &mut Diagnostics) -> Option<Line> {
    let whole = Span::new(0, text.len());
    let value: Result<serde_json::Value, _> = serde_json::from_str(text);
    let texts = |list: &serde_json::Value| -> Option<Vec<Word>> {
        list.as_array()?.iter().map(|v| v.as_str().map(|v| Word::new(v, place(text, v)))).collect()
    };
    let words = value.ok().and_then(|value| {
        if value.is_array() {
            return texts(&value);
        }
        let mut out = value.get("environment").map_or(Some(Vec::new()), texts)?;
        out.extend(texts(value.get("argv")?)?);
        Some(out)
    });
    let Some(words) = words else {
        diags.error(&ARGV, whole, "expected a list of words, or the JSON of `virtc argv --format json`");
        return None;
    };
    program::split(words, None, &mut |span, what| {
        diags.note(&ARGV_LEFT_OUT, span, what);
    })
}

/// Where a word of JSON stands, as far as it stands there as it is.
fn place(text: &str, word: &str) -> Span {
    let quoted = serde_json::Value::from(word).to_string();
    text.find(&quoted).map_or(Span::new(0, text.len()), |at| Span::new(at, at + quoted.len()))
}
