//! Lists of other tools: `command:` and `entrypoint:` of Compose, `args:` of Kubernetes, `CMD` of a Dockerfile.

use super::line::{Around, Line, Word};
use super::{program, shell};
use crate::diag::codes::inputs::ARGV_LEFT_OUT;
use crate::diag::{Diagnostics, Span};

/// Keys that begin a program's words.
const KEYS: &[&str] = &["entrypoint", "command", "args", "cmd", "exec", "CMD", "ENTRYPOINT"];

/// A line, its place and how far it is indented.
#[derive(Clone, Copy)]
struct Row<'t> {
    at: usize,
    indent: usize,
    text: &'t str,
}

/// The command lines of lists; none if the text has none.
pub fn lines(text: &str, around: &Around<'_>, diags: &mut Diagnostics) -> Option<Vec<Line>> {
    let rows = rows(text);
    let mut out = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    let mut indent = 0;
    for (i, row) in rows.iter().enumerate() {
        let Some((key, value, at)) = key(row) else { continue };
        // The entry point comes first, whatever comes first in the file.
        if row.indent != indent {
            words.clear();
            indent = row.indent;
        }
        let found = list(value, at, row, &rows[i + 1..], around, diags)?;
        match key {
            "entrypoint" | "ENTRYPOINT" => drop(words.splice(0..0, found)),
            _ => words.extend(found),
        }
        let mut left = Vec::new();
        let line = program::split(words.clone(), None, &mut |span, what| left.push((span, what)));
        if let Some(line) = line.filter(|line| words.len() > line.arguments.len() + line.environment.len()) {
            out.retain(|old: &Line| old.program != line.program);
            out.push(line);
            for (span, what) in left {
                diags.note(&ARGV_LEFT_OUT, span, what);
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let mut at = 0;
    let mut out = Vec::new();
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if !bare.trim().is_empty() && !bare.starts_with('#') {
            out.push(Row { at: at + indent, indent, text: bare.trim_end() });
        }
        at += line.len();
    }
    out
}

/// The key of a row, and what stands behind it.
fn key<'t>(row: &Row<'t>) -> Option<(&'t str, &'t str, usize)> {
    let (text, skipped) = row.text.strip_prefix("- ").map_or((row.text, 0), |t| (t, 2));
    let end = text.find([':', ' '])?;
    let key = &text[..end];
    let docker = matches!(key, "CMD" | "ENTRYPOINT");
    if !KEYS.contains(&key) || docker != text[end..].starts_with(' ') {
        return None;
    }
    let value = text[end + 1..].trim();
    let at = row.at + skipped + text.len() - text[end + 1..].trim_start().len();
    Some((key, value, at))
}

/// The words of a value: a list in brackets, a list of items below, or a command. None if it is no list and no QEMU.
fn list(
    value: &str,
    at: usize,
    row: &Row<'_>,
    below: &[Row<'_>],
    around: &Around<'_>,
    diags: &mut Diagnostics,
) -> Option<Vec<Word>> {
    if value.starts_with('[') {
        let items: Vec<String> = serde_json::from_str(value).ok()?;
        let span = Span::new(at, at + value.len());
        return Some(items.into_iter().map(|item| Word::new(item.replace("$$", "$"), span)).collect());
    }
    let inner: Vec<&Row<'_>> = below
        .iter()
        .take_while(|r| r.indent > row.indent || r.indent == row.indent && r.text.starts_with('-'))
        .collect();
    if matches!(value, "" | ">" | "|" | ">-" | "|-") {
        if inner.iter().all(|r| r.text.starts_with("- ")) {
            return Some(
                inner
                    .iter()
                    .map(|r| Word::new(unquoted(r.text[1..].trim()), Span::new(r.at + 2, r.at + r.text.len())))
                    .collect(),
            );
        }
        let (first, last) = (inner.first()?, inner.last()?);
        let text: Vec<&str> = inner.iter().map(|r| r.text.trim_end_matches('\\').trim_end()).collect();
        return Some(words_of(&text.join(" "), Span::new(first.at, last.at + last.text.len()), around, diags));
    }
    Some(words_of(&unquoted(value), Span::new(at, at + value.len()), around, diags))
}

/// The words of a command that is written as one text. One without a program goes on where the entry point ends.
fn words_of(text: &str, span: Span, around: &Around<'_>, diags: &mut Diagnostics) -> Vec<Word> {
    let own = shell::lines(text, Span::new(0, 0), around, diags).into_iter().next();
    let words: Vec<String> = match own {
        Some(line) => line.words().map(str::to_string).collect(),
        None if !text.trim_start().starts_with('-') => return Vec::new(),
        None => {
            let line = shell::lines(&format!("kvm {text}"), Span::new(0, 0), around, diags).into_iter().next();
            line.map_or_else(Vec::new, |line| line.arguments.into_iter().map(|w| w.text).collect())
        }
    };
    words.into_iter().map(|word| Word::new(word, span)).collect()
}

/// A scalar of YAML without its quotes.
fn unquoted(text: &str) -> String {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
    match (inner('"'), inner('\'')) {
        (Some(_), _) => serde_json::from_str(text).unwrap_or_else(|_| text.to_string()),
        (_, Some(inner)) => inner.replace("''", "'"),
        _ => text.split(" #").next().unwrap_or(text).trim_end().to_string(),
    }
    .replace("$$", "$")
}
