//! QEMU's own configuration files: sections are switches, their settings the options.

use super::line::{Line, Word};
use crate::diag::Span;

/// Whether a text is such a file.
pub fn is_config(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let sections = [
        "machine", "device", "drive", "netdev", "chardev", "object", "memory", "smp-opts", "global", "fsdev", "rtc",
        "name",
    ];
    lines.next().and_then(section).is_some_and(|(name, _)| sections.contains(&name))
}

/// A file that holds a whole machine, as a command line.
pub fn as_line(text: &str) -> Vec<Line> {
    let program = Word::new("qemu-system-x86_64", Span::new(0, 0));
    vec![Line { environment: Vec::new(), program, arguments: expand_config(text, None), directory: None }]
}

/// The arguments that a configuration file stands for. Their place is their own in the text, or `span`.
pub fn expand_config(text: &str, span: Option<Span>) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let bare = line.trim();
        let here = span.unwrap_or(Span::new(start, start + line.trim_end().len()));
        if let Some((name, id)) = section(bare) {
            let switch = match name {
                "memory" => "m",
                "smp-opts" => "smp",
                "boot-opts" => "boot",
                other => other,
            };
            out.push(Word::new(format!("-{switch}"), here));
            out.push(Word::new(id.map_or(String::new(), |id| format!("id={id}")), here));
        } else if let (Some((key, value)), Some(last)) = (bare.split_once('='), out.last_mut()) {
            let value = value.trim().trim_matches('"').replace(',', ",,");
            let separator = if last.text.is_empty() { "" } else { "," };
            // The option that a switch takes first has to stand first.
            let first = matches!(key.trim(), "driver" | "type" | "backend" | "qom-type");
            let setting = format!("{}={value}", key.trim());
            last.text = match (first, last.text.as_str()) {
                (true, "") => setting,
                (true, rest) => format!("{setting},{rest}"),
                (false, rest) => format!("{rest}{separator}{setting}"),
            };
            last.span.end = last.span.end.max(here.end);
        }
    }
    // An id without anything is none.
    out
}

/// `[name]` or `[name "id"]`.
fn section(line: &str) -> Option<(&str, Option<&str>)> {
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    match inner.split_once(' ') {
        Some((name, id)) => Some((name, Some(id.trim().trim_matches('"')))),
        None => Some((inner, None)),
    }
}
