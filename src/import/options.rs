//! QEMU's option lists, as they are read.

use super::places::Made;
use super::source::Word;
use crate::diag::Span;
use serde_json::Value;

/// An option with its value and its place.
#[derive(Clone, Debug)]
struct Entry {
    key: String,
    value: String,
    span: Span,
}

/// The options of one argument, in order; those that were understood are taken out. What is left in the end has to be
/// handed through or told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    entries: Vec<Entry>,
    /// Where the whole argument stands.
    pub span: Span,
    /// When QEMU makes the device that they are of.
    pub made: Option<Made>,
}

impl Options {
    /// Reads `a=1,b.c=2` or JSON. What stands first without a key belongs to `implied`; a later word without a key is
    /// a switch that is on (`nofoo`: off), as QEMU's documentation says under "Keyval and option strings".
    pub fn parse(text: &str, implied: &str) -> Options {
        Options::of(&Word::new(text, Span::NONE), implied)
    }

    /// The options in a word.
    pub fn of(word: &Word, implied: &str) -> Options {
        let text = word.text.as_str();
        if text.trim_start().starts_with('{')
            && let Ok(Value::Object(fields)) = serde_json::from_str(text)
        {
            let mut out = Vec::new();
            fields.iter().for_each(|(key, value)| flatten(key, value, word.span, &mut out));
            return Options { entries: out, span: word.span, made: None };
        }
        // A word without quotes and variables stands in the source as it is, and so do its parts.
        let whole = word.span;
        let raw = !whole.is_none() && whole.range().len() == text.len();
        let mut entries = Vec::new();
        for (i, (at, end, part)) in split(text).into_iter().enumerate() {
            let start = whole.range().start;
            let span = if raw { Span::new(start + at, start + end) } else { whole };
            let mut push = |key: &str, value: &str| {
                entries.push(Entry { key: key.to_string(), value: value.to_string(), span });
            };
            match part.split_once('=') {
                Some((key, value)) => push(key, value),
                None if i == 0 && !implied.is_empty() => push(implied, &part),
                None if part.is_empty() => {}
                None => match part.strip_prefix("no").filter(|_| SWITCHED_OFF.contains(&part.as_str())) {
                    Some(key) => push(key, "off"),
                    None => push(&part, "on"),
                },
            }
        }
        Options { entries, span: whole, made: None }
    }

    /// No options, at a place.
    pub fn at(span: Span) -> Options {
        Options { entries: Vec::new(), span, made: None }
    }

    /// Of a device that is made at this time.
    pub fn made(self, made: impl Into<Option<Made>>) -> Options {
        Options { made: made.into(), ..self }
    }

    /// With an option more.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Options {
        self.entries.push(Entry { key: key.to_string(), value: value.into(), span: self.span });
        self
    }

    /// The value of an option; of one that is given twice, the last.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|e| e.key == key).map(|e| e.value.as_str())
    }

    /// Takes an option out.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let value = self.get(key).map(str::to_string)?;
        self.entries.retain(|e| e.key != key);
        Some(value)
    }

    /// Takes an option out if its value is one that a function can make use of.
    pub fn take_if<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = read(self.get(key)?)?;
        self.take(key);
        Some(value)
    }

    /// Takes the first of some options that is there; the others are earlier names of it.
    pub fn take_any(&mut self, keys: &[&str]) -> Option<String> {
        keys.iter().fold(None, |found, key| found.or_else(|| self.take(key)))
    }

    /// Takes a switch: `on`, `true` and `yes` are on.
    pub fn take_switch(&mut self, key: &str) -> Option<bool> {
        self.take_if(key, switch)
    }

    /// Takes a switch as the word of the domain format.
    pub fn take_on_off(&mut self, key: &str) -> Option<&'static str> {
        self.take_switch(key).map(|on| if on { "on" } else { "off" })
    }

    /// Takes a number, decimal or hexadecimal.
    pub fn take_number(&mut self, key: &str) -> Option<u64> {
        self.take_if(key, number)
    }

    /// Takes all options below a prefix, without it.
    pub fn take_below(&mut self, prefix: &str) -> Options {
        let (below, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.entries).into_iter().partition(|e| e.key.starts_with(prefix));
        self.entries = rest;
        let cut = |e: Entry| Entry { key: e.key[prefix.len()..].to_string(), ..e };
        Options { entries: below.into_iter().map(cut).collect(), span: self.span, made: None }
    }

    /// Takes every value of an option that may be given many times.
    pub fn take_all(&mut self, key: &str) -> Vec<String> {
        let (these, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries).into_iter().partition(|e| e.key == key);
        self.entries = rest;
        these.into_iter().map(|e| e.value).collect()
    }

    /// Takes an option out if it says what is so anyway: what QEMU does by itself, or what virtc writes.
    pub fn same(&mut self, key: &str, usual: &[&str]) -> bool {
        let is = self.get(key).is_some_and(|value| {
            usual.iter().any(|u| *u == value || switch(u).is_some() && switch(u) == switch(value))
        });
        if is {
            self.take(key);
        }
        is
    }

    /// Adds options below a prefix.
    pub fn graft(&mut self, prefix: &str, others: Options) {
        if self.span.is_none() {
            self.span = others.span;
        }
        self.entries.extend(others.entries.into_iter().map(|e| Entry { key: format!("{prefix}{}", e.key), ..e }));
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names of what is left.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|e| e.key.as_str())
    }

    /// What is left, with places.
    pub fn into_rest(self) -> Vec<(String, String, Span)> {
        self.entries.into_iter().map(|e| (e.key, e.value, e.span)).collect()
    }

    /// What is left as QEMU's own text.
    pub fn text(&self) -> String {
        let all: Vec<String> =
            self.entries.iter().map(|e| format!("{}={}", e.key, e.value.replace(',', ",,"))).collect();
        all.join(",")
    }

    /// Gives an option another value.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        match self.entries.iter_mut().rev().find(|e| e.key == key) {
            Some(entry) => entry.value = value,
            None => self.entries.push(Entry { key: key.to_string(), value, span: self.span }),
        }
    }

    /// Changes the values of some options.
    pub fn each(&mut self, mut change: impl FnMut(&str, &mut String)) {
        self.entries.iter_mut().for_each(|e| change(&e.key, &mut e.value));
    }
}

/// Short forms of option lists that mean `off`.
const SWITCHED_OFF: &[&str] = &["nowait", "noserver", "nodelay", "nomux", "noreadonly"];

/// What a switch says.
pub fn switch(value: &str) -> Option<bool> {
    match value {
        "on" | "true" | "yes" | "y" => Some(true),
        "off" | "false" | "no" | "n" => Some(false),
        _ => None,
    }
}

/// Whether a switch is on.
pub fn is_on(value: &str) -> bool {
    switch(value) == Some(true)
}

/// A number as QEMU reads it.
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The parts between single commas, with where they begin and end; a doubled comma is one of the text.
fn split(text: &str) -> Vec<(usize, usize, String)> {
    let mut out = vec![(0, 0, String::new())];
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let doubled = c == ',' && chars.next_if(|(_, next)| *next == ',').is_some();
        if c == ',' && !doubled {
            out.push((at + 1, at + 1, String::new()));
        } else if let Some(last) = out.last_mut() {
            last.2.push(c);
            last.1 = at + c.len_utf8() + usize::from(doubled);
        }
    }
    out
}

fn flatten(path: &str, value: &Value, span: Span, out: &mut Vec<Entry>) {
    let mut push = |value: String| out.push(Entry { key: path.to_string(), value, span });
    match value {
        // A chain that ends on purpose: there is no way to write this but in JSON.
        Value::Null => push("null".to_string()),
        Value::Bool(on) => push(if *on { "on" } else { "off" }.to_string()),
        Value::Number(n) => push(n.to_string()),
        Value::String(text) => push(text.clone()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| flatten(&format!("{path}.{i}"), v, span, out));
        }
        Value::Object(fields) => fields.iter().for_each(|(k, v)| flatten(&format!("{path}.{k}"), v, span, out)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(options: &Options) -> Vec<(String, String)> {
        let mut out: Vec<_> = options.clone().into_rest().into_iter().map(|(k, v, _)| (k, v)).collect();
        out.sort();
        out
    }

    #[test]
    fn both_notations_give_the_same() {
        let list = Options::parse("socket,id=a,,b,server,nowait,addr.type=unix", "type");
        let json =
            Options::parse(r#"{"type":"socket","id":"a,b","server":true,"wait":false,"addr":{"type":"unix"}}"#, "type");
        assert_eq!(pairs(&list), pairs(&json));
        assert_eq!(list.get("id"), Some("a,b"));
        assert_eq!(list.get("wait"), Some("off"));
    }

    #[test]
    fn what_is_taken_is_gone() {
        let mut options = Options::parse("a=1,b=2,a=3,c.d=4,c.e=5", "");
        assert_eq!(options.take("a").as_deref(), Some("3"));
        assert_eq!(options.take_below("c.").into_rest().len(), 2);
        assert_eq!(pairs(&options), [("b".to_string(), "2".to_string())]);
    }

    #[test]
    fn what_cannot_be_read_stays() {
        let mut options = Options::parse("a=auto,b=7,c=on", "");
        assert_eq!(
            (options.take_switch("a"), options.take_number("b"), options.take_switch("c")),
            (None, Some(7), Some(true))
        );
        assert!(!options.same("a", &["on"]) && options.same("a", &["off", "auto"]), "only what is usual is taken");
        assert!(options.is_empty());
    }

    #[test]
    fn every_option_has_its_place() {
        let options = Options::of(&Word::new("file=/a,,b,if=virtio", Span::new(10, 30)), "");
        let places: Vec<Span> = options.into_rest().into_iter().map(|(.., span)| span).collect();
        assert_eq!(places, [Span::new(10, 20), Span::new(21, 30)]);
    }
}
