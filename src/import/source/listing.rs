//! Lines of `ps` and libvirt's log.

use super::line::{Around, Line, Word};
use super::{program, shell};
use crate::diag::{Diagnostics, Span};

/// The command lines of a listing; none if the text is no listing.
pub fn lines(text: &str, around: &Around<'_>, diags: &mut Diagnostics) -> Option<Vec<Line>> {
    if text.contains(": starting up libvirt version") {
        return Some(log(text, around, diags));
    }
    let found: Vec<Line> = places(text).filter_map(|(at, line)| process(at, line)).collect();
    (!found.is_empty()).then_some(found)
}

/// The lines of a text with their places.
fn places(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        at += line.len();
        (at - line.len(), line.trim_end_matches(['\n', '\r']))
    })
}

/// libvirt's log of a machine: each start is a line about libvirt, and the command behind it.
fn log(text: &str, around: &Around<'_>, diags: &mut Diagnostics) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::new();
    let mut lines = places(text).peekable();
    while let Some((_, line)) = lines.next() {
        if !line.contains(": starting up libvirt version") {
            continue;
        }
        let Some(&(start, _)) = lines.peek() else { break };
        let mut end = start;
        for (at, line) in lines.by_ref() {
            end = at + line.len();
            if !line.ends_with('\\') {
                break;
            }
        }
        for found in shell::lines(&text[start..end], Span::new(start, end), around, diags) {
            // A machine that was started again as it was is one machine.
            out.retain(|old| !old.words().eq(found.words()));
            out.push(found);
        }
    }
    out
}

/// A line of `ps`: numbers, states and times, then the command, whose quotes are lost.
fn process(at: usize, line: &str) -> Option<Line> {
    let mut words = Vec::new();
    let mut start = 0;
    for word in line.split(' ') {
        if !word.is_empty() {
            words.push(Word::new(word, Span::new(at + start, at + start + word.len())));
        }
        start += word.len() + 1;
    }
    let program = words.iter().position(|w| program::is_qemu(&w.text))?;
    let times = words[..program].iter().any(|w| is_time(&w.text));
    let numbers = words[..program].iter().any(|w| w.text.bytes().all(|b| b.is_ascii_digit()));
    if !times || !numbers {
        return None;
    }
    let mut found = program::split(words.split_off(program), None, &mut |_, _| {})?;
    found.arguments = joined(found.arguments);
    Some(found)
}

/// `0:35`, `01:02:03`, `1-02:03:04`.
fn is_time(word: &str) -> bool {
    word.contains(':') && word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'-' | b'.'))
}

/// Words that lost their quotes: what follows a value and is no switch belongs to it.
fn joined(words: Vec<Word>) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    for word in words {
        let value = matches!(out.as_slice(), [.., before, last] if is_switch(&before.text) && !is_switch(&last.text));
        match out.last_mut() {
            Some(last) if value && !is_switch(&word.text) => {
                last.text.push(' ');
                last.text.push_str(&word.text);
                last.span.end = word.span.end;
            }
            _ => out.push(word),
        }
    }
    out
}

fn is_switch(word: &str) -> bool {
    word.starts_with('-') && word.len() > 1
}
