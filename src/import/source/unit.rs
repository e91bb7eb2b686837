//! systemd units: `ExecStart=`, with what else of the unit it depends on.

use super::line::{Around, Line, PROCESS, Word};
use super::shell::Fault;
use super::{program, shell};
use crate::diag::codes::inputs::{ARGV, ARGV_LEFT_OUT};
use crate::diag::{Diagnostics, Span};
use std::collections::BTreeMap;

/// Whether a text is a unit that starts something.
pub fn is_unit(text: &str) -> bool {
    let sections = text.lines().any(|l| matches!(l.trim(), "[Service]" | "[Unit]"));
    sections && text.lines().any(|l| l.trim_start().starts_with("Exec"))
}

/// A setting of the unit; continued lines are one.
struct Setting<'t> {
    key: &'t str,
    /// Its lines, each with its place in the text.
    value: Vec<(usize, &'t str)>,
}

/// The QEMU command lines that a unit starts.
pub fn lines(text: &str, around: &Around<'_>, diags: &mut Diagnostics) -> Vec<Line> {
    let settings = settings(text);
    let mut unit = Unit { around, environment: BTreeMap::new(), diags };
    let mut directory = None;
    for setting in &settings {
        match setting.key {
            "Environment" => unit.environment(setting),
            "EnvironmentFile" => unit.note(setting, "the file is not read; --env NAME=VALUE gives what stands in it"),
            "WorkingDirectory" => {
                directory = unit.words(setting).first().map(|w| w.text.trim_start_matches('-').to_string())
            }
            "ExecStartPre" | "ExecStartPost" | "ExecStop" | "ExecStopPost" | "ExecReload" => {
                unit.note(setting, "what the unit does besides starting QEMU");
            }
            _ => {}
        }
    }
    let starts: Vec<&Setting<'_>> = settings.iter().filter(|s| s.key == "ExecStart").collect();
    let mut out = Vec::new();
    for setting in starts {
        let mut words = unit.words(setting);
        if let Some(first) = words.first_mut() {
            first.text = first.text.trim_start_matches(['-', '@', ':', '+', '!']).to_string();
        }
        let script = words.iter().position(|w| w.text == "-c").and_then(|at| words.get(at + 1)).cloned();
        match (script, words.first()) {
            (Some(script), Some(first)) if first.text.ends_with("sh") => {
                let inner = shell::lines(&script.text, Span::new(0, 0), around, unit.diags);
                out.extend(inner.into_iter().map(|line| placed(line, script.span, directory.clone())));
            }
            _ => out.extend(program::split(words, directory.as_deref(), &mut |span, what| {
                unit.diags.note(&ARGV_LEFT_OUT, span, what);
            })),
        }
    }
    out
}

fn placed(mut line: Line, span: Span, directory: Option<String>) -> Line {
    let words = line.environment.iter_mut().chain([&mut line.program]).chain(&mut line.arguments);
    words.for_each(|w| w.span = span);
    line.directory = line.directory.or(directory);
    line
}

fn settings(text: &str) -> Vec<Setting<'_>> {
    let mut out: Vec<Setting<'_>> = Vec::new();
    let mut at = 0;
    let mut continued = false;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let bare = line.trim_end();
        if bare.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let more = bare.ends_with('\\');
        let bare = bare.strip_suffix('\\').unwrap_or(bare);
        if continued {
            if let Some(last) = out.last_mut() {
                last.value.push((start, bare));
            }
        } else if let Some((key, value)) = bare.split_once('=') {
            out.push(Setting { key: key.trim(), value: vec![(start + key.len() + 1, value)] });
        }
        continued = more;
    }
    out
}

struct Unit<'a, 'b> {
    around: &'a Around<'a>,
    environment: BTreeMap<String, String>,
    diags: &'b mut Diagnostics,
}

impl Unit<'_, '_> {
    fn note(&mut self, setting: &Setting<'_>, what: &str) {
        let Some((at, value)) = setting.value.first() else { return };
        let span = Span::new(*at, at + value.len());
        self.diags.note(&ARGV_LEFT_OUT, span, format!("left out: {}=: {what}", setting.key));
    }

    fn environment(&mut self, setting: &Setting<'_>) {
        for word in self.words(setting) {
            if let Some((name, value)) = word.text.split_once('=') {
                self.environment.insert(name.to_string(), value.to_string());
            }
        }
    }

    /// The words of a setting: quotes, variables and specifiers are read as systemd does.
    fn words(&mut self, setting: &Setting<'_>) -> Vec<Word> {
        let mut out = Vec::new();
        for (at, line) in &setting.value {
            for (start, end, word) in split(line) {
                let span = Span::new(at + start, at + end);
                match self.replaced(&word, span) {
                    Ok(words) => out.extend(words.into_iter().map(|text| Word::new(text, span))),
                    Err(fault) => {
                        self.diags.error(&ARGV, fault.span, fault.what).help(fault.help);
                    }
                }
            }
        }
        out
    }

    /// A word with the values of variables and specifiers. `$NAME` alone is split, `${NAME}` is not.
    fn replaced(&self, word: &str, span: Span) -> Result<Vec<String>, Fault> {
        let word = self.specifiers(word, span)?;
        if let Some(name) = word.strip_prefix('$').filter(|n| is_name(n)) {
            return Ok(self.variable(name, span)?.split_whitespace().map(str::to_string).collect());
        }
        let mut out = String::new();
        let mut rest = word.as_str();
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let braced = rest.strip_prefix('{').and_then(|r| r.split_once('}')).filter(|(name, _)| is_name(name));
            match braced {
                Some((name, behind)) => {
                    out.push_str(&self.variable(name, span)?);
                    rest = behind;
                }
                None => {
                    out.push('$');
                    rest = rest.strip_prefix('$').unwrap_or(rest);
                }
            }
        }
        out.push_str(rest);
        Ok(vec![out])
    }

    fn variable(&self, name: &str, span: Span) -> Result<String, Fault> {
        let given = self.around.environment.iter().find(|(k, _)| k == name).map(|(_, v)| v);
        given.or_else(|| self.environment.get(name)).cloned().ok_or_else(|| Fault {
            span,
            what: format!("'{name}' is not set in this unit"),
            help: format!("add --env {name}=VALUE, or {PROCESS}"),
        })
    }

    /// `%i` and its like (systemd.unit(5), "Specifiers").
    fn specifiers(&self, word: &str, span: Span) -> Result<String, Fault> {
        let file = self.around.name.rsplit('/').next().unwrap_or_default();
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
        let mut out = String::new();
        let mut chars = word.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let specifier = chars.next();
            let value = match specifier {
                Some('%') => "%",
                Some('t') => "/run",
                Some('S') => "/var/lib",
                Some('C') => "/var/cache",
                Some('L') => "/var/log",
                Some('E') => "/etc",
                Some('T') => "/tmp",
                Some('V') => "/var/tmp",
                Some('n') => file,
                Some('N') => stem,
                Some('p') => prefix,
                Some('i' | 'I') if !instance.is_empty() => instance,
                _ => {
                    let what =
                        format!("what %{} stands for is not known from the unit's file", specifier.unwrap_or(' '));
                    let help =
                        "write the value itself, or give the file the name of an instance: NAME@INSTANCE.service";
                    return Err(Fault { span, what, help: help.to_string() });
                }
            };
            out.push_str(value);
        }
        Ok(out)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The words of a line, with their places.
fn split(line: &str) -> Vec<(usize, usize, String)> {
    let mut out = Vec::new();
    let mut chars = line.char_indices().peekable();
    let mut word: Option<(usize, String)> = None;
    let mut quote = None;
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert((at, String::new()));
            }
            (_, '\\') => {
                let escaped = match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 't')) => '\t',
                    Some((_, 's')) => ' ',
                    Some((_, c)) => c,
                    None => break,
                };
                word.get_or_insert((at, String::new())).1.push(escaped);
            }
            (None, c) if c.is_whitespace() => out.extend(word.take().map(|(start, text)| (start, at, text))),
            (_, c) => word.get_or_insert((at, String::new())).1.push(c),
        }
    }
    out.extend(word.map(|(start, text)| (start, line.len(), text)));
    out
}
