//! The values of words: variables in the place of their names.

use super::lex::{Fault, Part, Raw, Variable};
use super::{Shell, Value};
use crate::diag::Span;
use crate::import::source::line::PROCESS;

/// How much text variables may become in one script, in bytes: a command line has two million at most, and a variable that doubles
/// itself is soon larger than the memory.
const MOST: usize = 32 << 20;

impl Shell<'_> {
    /// The fields that a word becomes.
    pub(super) fn fields(&self, word: &Raw) -> Result<Vec<String>, Fault> {
        let mut out = Vec::new();
        let mut open: Option<String> = None;
        for (i, part) in word.parts.iter().enumerate() {
            match part {
                Part::Text(text) if i == 0 && !word.quoted && (text == "~" || text.starts_with("~/")) => {
                    let home = self.variable(&name_of("HOME", word.span))?.join(" ");
                    open.get_or_insert_default().push_str(&format!("{home}{}", &text[1..]));
                }
                Part::Text(text) => open.get_or_insert_default().push_str(text),
                Part::Variable(variable) => {
                    let values = self.variable(variable)?;
                    spread(&values, variable.quoted, variable.quoted || values.len() > 1, &mut open, &mut out);
                }
                Part::Command { text, quoted, span } => {
                    let value = self.printed(text, *span)?;
                    spread(&[value], *quoted, *quoted, &mut open, &mut out);
                }
            }
        }
        // A list of nothing is no field, even in quotes.
        let list = |part: &Part| matches!(part, Part::Variable(v) if v.name == "@" || v.index.as_deref() == Some("@"));
        out.extend(open.filter(|text| !(text.is_empty() && word.parts.iter().any(list))));
        Ok(out)
    }

    /// The text that a word becomes where it is not split.
    pub(super) fn one(&self, word: &Raw) -> Result<String, Fault> {
        let mut out = String::new();
        for (i, part) in word.parts.iter().enumerate() {
            match part {
                Part::Text(text) if i == 0 && !word.quoted && text.starts_with("~/") => {
                    out.push_str(&self.variable(&name_of("HOME", word.span))?.join(" "));
                    out.push_str(&text[1..]);
                }
                Part::Text(text) => out.push_str(text),
                Part::Variable(variable) => out.push_str(&self.variable(variable)?.join(" ")),
                Part::Command { text, span, .. } => out.push_str(&self.printed(text, *span)?),
            }
        }
        Ok(out)
    }

    /// Whether nobody sets a variable.
    pub(super) fn is_unset(&self, name: &str) -> bool {
        !self.variables.contains_key(name)
            && !matches!(name, "0" | "PWD" | "BASH_SOURCE" | "#" | "@" | "*" | "?" | "$" | "!")
    }

    /// The values of a variable, as long as the script is not out to fill the memory.
    fn variable(&self, variable: &Variable) -> Result<Vec<String>, Fault> {
        let values = if self.spent.get() > MOST { Vec::new() } else { self.values(variable)? };
        // A value takes some memory, whatever it is.
        let length: usize = values.iter().map(|value| value.len() + 64).sum();
        self.spent.set(self.spent.get().saturating_add(length));
        if self.spent.get() <= MOST {
            return Ok(values);
        }
        Err(Fault {
            span: variable.span,
            what: format!("'${}' makes the text of the script longer than {} MiB", variable.name, MOST >> 20),
            help: format!("take out what repeats a variable, or {PROCESS}"),
        })
    }

    /// The values of a variable: more than one if it is an array.
    fn values(&self, variable: &Variable) -> Result<Vec<String>, Fault> {
        let name = variable.name.as_str();
        let values = match self.variables.get(name) {
            Some(Value::One(text)) => Some(vec![text.clone()]),
            Some(Value::Many(items)) => Some(items.clone()),
            Some(Value::Unknown(fault)) => {
                let replaced = variable.operator.as_ref().is_some_and(|(o, _)| matches!(o.as_str(), ":+" | "+"));
                return if replaced { Ok(Vec::new()) } else { Err(fault.clone()) };
            }
            None => self.special(name),
        };
        let values = match (values, variable.index.as_deref()) {
            (Some(all), Some("@" | "*")) => Some(all),
            (Some(all), Some(index)) => {
                Some(index.parse::<usize>().ok().and_then(|i| all.get(i)).cloned().into_iter().collect())
            }
            (Some(all), None) => {
                Some(all.into_iter().take(if matches!(name, "@" | "*") { usize::MAX } else { 1 }).collect())
            }
            (None, _) => None,
        };
        match &variable.operator {
            None => values.ok_or_else(|| unset(name, variable.span)),
            Some((operator, operand)) => self.operated(variable, values, operator, operand),
        }
    }

    /// Variables that every script has.
    fn special(&self, name: &str) -> Option<Vec<String>> {
        match name {
            "0" | "BASH_SOURCE" => Some(vec![self.script_path()]),
            "PWD" => Some(vec![self.here()]),
            "@" | "*" => Some(Vec::new()),
            "#" => Some(vec!["0".to_string()]),
            _ => None,
        }
    }

    /// The path of the script.
    fn script_path(&self) -> String {
        crate::import::source::line::below(
            self.around.base,
            if self.around.name.starts_with('<') { "script" } else { self.around.name },
        )
    }

    fn operated(
        &self,
        variable: &Variable,
        values: Option<Vec<String>>,
        operator: &str,
        operand: &Raw,
    ) -> Result<Vec<String>, Fault> {
        let set = values.as_ref().is_some_and(|v| !v.is_empty());
        let full = values.as_ref().is_some_and(|v| v.iter().any(|v| !v.is_empty()));
        let each = |change: &dyn Fn(&str) -> String| match &values {
            Some(values) => Ok(values.iter().map(|v| change(v)).collect()),
            None => Err(unset(&variable.name, variable.span)),
        };
        match operator {
            ":-" | ":=" if !full => Ok(vec![self.one(operand)?]),
            "-" | "=" if !set => Ok(vec![self.one(operand)?]),
            ":+" => Ok(if full { vec![self.one(operand)?] } else { Vec::new() }),
            "+" => Ok(if set { vec![self.one(operand)?] } else { Vec::new() }),
            ":-" | "-" | ":=" | "=" | ":?" | "?" => values.ok_or_else(|| unset(&variable.name, variable.span)),
            "%" | "%%" | "#" | "##" => {
                let pattern = self.one(operand)?;
                each(&|value| trimmed(value, &pattern, operator))
            }
            "/" | "//" => {
                let both = self.one(operand)?;
                let (from, to) = both.split_once('/').unwrap_or((&both, ""));
                each(&|value| if operator == "/" { value.replacen(from, to, 1) } else { value.replace(from, to) })
            }
            _ => Err(Fault {
                span: variable.span,
                what: "only a shell can work out this expansion".to_string(),
                help: format!("write the value itself, or {PROCESS}"),
            }),
        }
    }

    /// What a command in the script prints, where that is clear.
    fn printed(&self, text: &str, span: Span) -> Result<String, Fault> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let own = ["$0", "${0}", "BASH_SOURCE"].iter().any(|own| text.contains(own));
        match words.as_slice() {
            ["pwd", ..] => return Ok(self.here()),
            ["which" | "type", name] | ["command", "-v", name] | ["type", "-p", name] if !name.contains('$') => {
                return Ok(name.to_string());
            }
            _ if own && text.contains("dirname") => {
                let path = self.script_path();
                return Ok(path.rsplit_once('/').map_or(path.clone(), |(directory, _)| directory.to_string()));
            }
            _ if own && matches!(words.first(), Some(&("readlink" | "realpath"))) => return Ok(self.script_path()),
            _ => {}
        }
        if let Some(value) = self.words_of(text).and_then(|words| self.path_of(&words)) {
            return Ok(value);
        }
        if let Some(value) =
            text.strip_prefix('(').and_then(|t| t.strip_suffix(')')).and_then(|sum| self.arithmetic(sum))
        {
            return Ok(value.to_string());
        }
        Err(Fault {
            span,
            what: "only a shell can tell what this prints".to_string(),
            help: format!("write the value itself, or {PROCESS}"),
        })
    }

    /// The words of a single command whose words are all known.
    fn words_of(&self, text: &str) -> Option<Vec<String>> {
        let mut out = Vec::new();
        for token in super::lex::tokens(text, 0).ok()? {
            match token {
                super::lex::Token::Word(word) => out.extend(self.fields(&word).ok()?),
                _ => return None,
            }
        }
        Some(out)
    }

    /// What programs that only work on names print. Links are not followed: nobody knows the host of the script.
    fn path_of(&self, words: &[String]) -> Option<String> {
        let (name, rest) = words.split_first()?;
        let operands: Vec<&str> = rest.iter().map(String::as_str).filter(|w| !w.starts_with('-')).collect();
        let split =
            |path: &str| path.trim_end_matches('/').rsplit_once('/').map(|(d, n)| (d.to_string(), n.to_string()));
        match (name.as_str(), operands.as_slice()) {
            ("realpath" | "readlink", [path]) => Some(crate::import::source::line::below(&self.here(), path)),
            ("dirname", [path]) => Some(split(path).map_or_else(|| ".".to_string(), |(directory, _)| directory)),
            ("basename", [path]) => Some(split(path).map_or_else(|| (*path).to_string(), |(_, name)| name)),
            ("basename", [path, ending]) => {
                let name = split(path).map_or_else(|| (*path).to_string(), |(_, name)| name);
                Some(name.strip_suffix(ending).unwrap_or(&name).to_string())
            }
            ("echo", operands) if rest.len() == operands.len() => Some(operands.join(" ")),
            _ => None,
        }
    }

    /// Numbers with `+`, `-`, `*`, `/` between them, from left to right; none if it is more than that.
    fn arithmetic(&self, text: &str) -> Option<i64> {
        let spaced = ['+', '-', '*', '/'].iter().fold(text.to_string(), |t, c| t.replace(*c, &format!(" {c} ")));
        let mut words = spaced.split_whitespace();
        let number = |word: &str| -> Option<i64> {
            let name = word.trim_start_matches("${").trim_start_matches('$').trim_end_matches('}');
            match self.variables.get(name) {
                Some(Value::One(value)) => value.trim().parse().ok(),
                _ => name.parse().ok(),
            }
        };
        let mut out = number(words.next()?)?;
        let mut sums = 0;
        while let Some(operator) = words.next() {
            let right = number(words.next()?)?;
            out = match operator {
                "+" => out.checked_add(right)?,
                "-" => out.checked_sub(right)?,
                // After a sum, a product would have to come first.
                "*" if sums == 0 => out.checked_mul(right)?,
                "/" if sums == 0 => out.checked_div(right)?,
                _ => return None,
            };
            sums += i32::from(matches!(operator, "+" | "-"));
        }
        Some(out)
    }
}

fn name_of(name: &str, span: Span) -> Variable {
    Variable { name: name.to_string(), index: None, operator: None, quoted: true, span }
}

fn unset(name: &str, span: Span) -> Fault {
    let argument = name.bytes().all(|b| b.is_ascii_digit());
    Fault {
        span,
        what: if argument {
            format!("${name} is what the script is called with, which is not in this file")
        } else {
            format!("'{name}' is not set in this file")
        },
        help: format!("add --env {name}=VALUE, or {PROCESS}"),
    }
}

/// Puts values into fields: each value one field if quoted, otherwise split at blanks.
fn spread(values: &[String], quoted: bool, keep: bool, open: &mut Option<String>, out: &mut Vec<String>) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.extend(open.take());
        }
        if quoted || keep {
            open.get_or_insert_default().push_str(value);
            continue;
        }
        if value.starts_with(char::is_whitespace) {
            out.extend(open.take());
        }
        for (j, field) in value.split_whitespace().enumerate() {
            if j > 0 {
                out.extend(open.take());
            }
            open.get_or_insert_default().push_str(field);
        }
        if value.ends_with(char::is_whitespace) {
            out.extend(open.take());
        }
    }
}

/// `${name%pattern}`, `%%`, `#`, `##`.
fn trimmed(value: &str, pattern: &str, operator: &str) -> String {
    let cuts: Vec<usize> = value.char_indices().map(|(i, _)| i).chain([value.len()]).collect();
    let suffix = operator.starts_with('%');
    let fits = |at: &&usize| matches(if suffix { &value[**at..] } else { &value[..**at] }, pattern);
    // The shortest suffix begins latest, the shortest prefix ends earliest.
    let last = suffix == (operator.len() == 1);
    let found = if last { cuts.iter().rev().find(fits) } else { cuts.iter().find(fits) };
    match found {
        Some(&at) if suffix => value[..at].to_string(),
        Some(&at) => value[at..].to_string(),
        None => value.to_string(),
    }
}

/// Whether a text fits a pattern of `*`, `?` and plain characters.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            (0..=text.len()).filter(|&i| text.is_char_boundary(i)).any(|i| matches(&text[i..], rest))
        }
        Some(p) => text
            .chars()
            .next()
            .is_some_and(|c| (p == '?' || p == c) && matches(&text[c.len_utf8()..], &pattern[p.len_utf8()..])),
    }
}
