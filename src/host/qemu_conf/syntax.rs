//! The language of libvirt's configuration: `key = value`, a line each.

use crate::diag::codes::inputs as codes;
use crate::diag::{Diagnostics, Span};
use crate::host::Uuid;
use crate::vocab::Value as _;

/// A value of the file.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Setting {
    Text(String),
    Number(i64),
    List(Vec<String>),
}

impl Setting {
    pub(super) fn text(self) -> Result<String, String> {
        match self {
            Setting::Text(text) => Ok(text),
            _ => Err("a string in quotes".to_string()),
        }
    }

    pub(super) fn path(self) -> Result<String, String> {
        match self.text() {
            Ok(text) if text.starts_with('/') => Ok(text),
            _ => Err("an absolute path in quotes".to_string()),
        }
    }

    pub(super) fn truth(self) -> Result<bool, String> {
        match self {
            Setting::Number(0) => Ok(false),
            Setting::Number(1) => Ok(true),
            _ => Err("0 or 1".to_string()),
        }
    }

    pub(super) fn number<T: TryFrom<i64>>(self) -> Result<T, String> {
        match self {
            Setting::Number(n) => T::try_from(n).map_err(|_| "a number that fits".to_string()),
            _ => Err("a number".to_string()),
        }
    }

    pub(super) fn uuid(self) -> Result<Uuid, String> {
        Uuid::parse(&self.text()?)
    }

    pub(super) fn word<T: crate::vocab::Value>(self) -> Result<T, String> {
        T::parse(&self.text()?)
    }

    /// A list, or one string.
    pub(super) fn list(self) -> Result<Vec<String>, String> {
        match self {
            Setting::List(list) => Ok(list),
            Setting::Text(text) if text.is_empty() => Ok(Vec::new()),
            Setting::Text(text) => Ok(vec![text]),
            Setting::Number(_) => Err("a list of strings".to_string()),
        }
    }

    pub(super) fn some_text(self) -> Result<Option<String>, String> {
        self.text().map(|text| Some(text).filter(|t| !t.is_empty()))
    }
}

/// Reads the syntax: `key = value`, comments after `#`.
pub(super) struct Parser<'t, 'd> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    pub(super) diags: &'d mut Diagnostics,
}

impl<'t> Parser<'t, '_> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn error(&mut self, from: usize, message: &str) {
        let span = Span::new(from, self.at.max(from + 1).min(self.text.len()).max(from));
        self.diags.error(&codes::QEMU_CONF_SYNTAX, span, message);
    }

    /// Skips blanks, and with `lines` also line ends and comments.
    fn skip(&mut self, lines: bool) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
            self.at += blank;
            let rest = self.rest();
            if lines && rest.starts_with('\n') {
                self.at += 1;
            } else if lines && rest.starts_with('#') {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if blank == 0 {
                return;
            }
        }
    }

    pub(super) fn settings(mut self) -> Vec<(String, Span, Setting, Span)> {
        let mut found: Vec<(String, Span, Setting, Span)> = Vec::new();
        loop {
            self.skip(true);
            if self.rest().is_empty() {
                return found;
            }
            let start = self.at;
            let rest = self.rest();
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let key = &rest[..length];
            self.at += length;
            let key_span = Span::new(start, self.at);
            self.skip(false);
            if key.is_empty() || !self.rest().starts_with('=') {
                self.error(start, "expected a key, '=' and a value");
                self.next_line();
                continue;
            }
            self.at += 1;
            self.skip(false);
            let from = self.at;
            let Some(value) = self.value() else {
                self.next_line();
                continue;
            };
            let span = Span::new(from, self.at);
            self.skip(false);
            if !matches!(self.rest().chars().next(), None | Some('\n' | '#')) {
                let here = self.at;
                self.error(here, "something follows the value on its line");
                self.next_line();
            }
            // The last one counts, as in libvirt.
            found.retain(|(other, ..)| other != key);
            found.push((key.to_string(), key_span, value, span));
        }
    }

    fn next_line(&mut self) {
        let rest = self.rest();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn value(&mut self) -> Option<Setting> {
        let start = self.at;
        match self.rest().chars().next() {
            Some('"' | '\'') => self.string().map(Setting::Text),
            Some('[') => self.list().map(Setting::List),
            Some('-' | '0'..='9') => {
                let rest = self.rest();
                let length = rest.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(rest.len());
                self.at += length;
                let number = rest[..length].parse().ok().map(Setting::Number);
                if number.is_none() {
                    self.error(start, "this is not a number");
                }
                number
            }
            _ => {
                self.error(start, "expected a value: a string in quotes, a number, or a list in brackets");
                None
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let rest = self.rest();
        let (quote, multi) = match rest {
            _ if rest.starts_with("\"\"\"") => ("\"\"\"", true),
            _ if rest.starts_with('"') => ("\"", false),
            _ => ("'", false),
        };
        let body = &rest[quote.len()..];
        let end = body.find(quote).filter(|end| multi || !body[..*end].contains('\n'));
        match end {
            Some(end) => {
                self.at += quote.len() + end + quote.len();
                Some(body[..end].to_string())
            }
            None => {
                self.error(start, "the string is not closed");
                None
            }
        }
    }

    fn list(&mut self) -> Option<Vec<String>> {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip(true);
            match self.rest().chars().next() {
                Some(']') => {
                    self.at += 1;
                    return Some(items);
                }
                Some('"' | '\'') => items.push(self.string()?),
                _ => {
                    self.error(start, "the list is not closed, or holds something that is not a string");
                    return None;
                }
            }
            self.skip(true);
            if self.rest().starts_with(',') {
                self.at += 1;
            }
        }
    }
}
