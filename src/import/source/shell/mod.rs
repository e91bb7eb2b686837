//! Shell scripts, as far as they can be read without running anything.

mod expand;
mod lex;

pub use lex::Fault;

use super::line::{Around, Line, PROCESS, Word, below, is_assignment};
use super::program;
use crate::diag::codes::inputs::{ARGV, ARGV_LEFT_OUT};
use crate::diag::{Diagnostics, Span};
use lex::{Raw, Token};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// What a variable holds.
#[derive(Clone, Debug)]
enum Value {
    One(String),
    Many(Vec<String>),
    /// Something that only a shell knows.
    Unknown(Fault),
}

/// Whether a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Yes,
    /// It depends on what stands there.
    Perhaps(Span),
    No,
}

/// What a command stands in.
#[derive(Clone, Copy, Debug)]
enum Block {
    /// `if`: whether a branch was taken, and whether this one is.
    If { span: Span, taken: Option<bool>, run: Run },
    /// A loop, or `case`.
    Other { end: &'static str, run: Run },
}

/// A script that is being read.
pub(super) struct Shell<'a> {
    around: Around<'a>,
    variables: BTreeMap<String, Value>,
    functions: BTreeMap<String, Vec<Token>>,
    blocks: Vec<Block>,
    /// Whether the last command succeeded, as far as that is known.
    status: Option<bool>,
    /// How the last command is joined to the next: `&&`, `||`.
    joint: Option<&'static str>,
    directory: Option<String>,
    /// How deep functions call each other.
    depth: usize,
    found: Vec<Line>,
    /// Other commands, by name.
    others: BTreeSet<String>,
    other_span: Span,
    unset: BTreeSet<String>,
    faults: Vec<Fault>,
    notes: Vec<(Span, String)>,
    /// How much text variables have become so far, in bytes.
    spent: Cell<usize>,
}

/// The QEMU command lines of a script that stands at `span` of the source.
pub fn lines(text: &str, span: Span, around: &Around<'_>, diags: &mut Diagnostics) -> Vec<Line> {
    let mut shell = Shell::new(*around);
    shell.script(text, span.range().start, 0);
    shell.finish(diags)
}

impl<'a> Shell<'a> {
    pub(super) fn new(around: Around<'a>) -> Shell<'a> {
        let variables = around.environment.iter().map(|(k, v)| (k.clone(), Value::One(v.clone()))).collect();
        Shell {
            around,
            variables,
            functions: BTreeMap::new(),
            blocks: Vec::new(),
            status: None,
            joint: None,
            directory: None,
            depth: 0,
            found: Vec::new(),
            others: BTreeSet::new(),
            other_span: Span::NONE,
            unset: BTreeSet::new(),
            faults: Vec::new(),
            notes: Vec::new(),
            spent: Cell::new(0),
        }
    }

    /// Tells what was found out.
    pub(super) fn finish(self, diags: &mut Diagnostics) -> Vec<Line> {
        for fault in self.faults {
            diags.error(&ARGV, fault.span, fault.what).help(fault.help);
        }
        for (span, what) in self.notes {
            diags.note(&ARGV_LEFT_OUT, span, what);
        }
        if !self.found.is_empty() && !self.others.is_empty() {
            let names: Vec<&str> = self.others.iter().map(String::as_str).collect();
            let what = format!("left out: what the script does besides starting QEMU: {}", names.join(", "));
            diags.note(&ARGV_LEFT_OUT, self.other_span, what);
        }
        self.found
    }

    fn script(&mut self, text: &str, from: usize, depth: usize) {
        match lex::tokens(text, from) {
            Ok(tokens) => {
                let outer = std::mem::replace(&mut self.depth, depth);
                self.tokens(&tokens);
                // A function that nobody calls is the script's menu: its commands are what can be chosen from.
                if self.found.is_empty() && self.faults.is_empty() && depth == 0 {
                    let bodies: Vec<Vec<Token>> = self.functions.values().cloned().collect();
                    bodies.iter().for_each(|body| self.tokens(body));
                }
                self.depth = outer;
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    fn tokens(&mut self, tokens: &[Token]) {
        let mut command: Vec<&Token> = Vec::new();
        let mut i = 0;
        while let Some(token) = tokens.get(i) {
            i += 1;
            match token {
                Token::Operator("(") if is_definition(&command, tokens.get(i)) => {
                    if let Some(Token::Word(name)) = command.last() {
                        let body = body(tokens, i + 1);
                        self.functions.insert(name.start().to_string(), tokens[body.clone()].to_vec());
                        i = body.end + 1;
                    }
                    command.clear();
                }
                Token::Word(word) if word.plain() == Some("case") && command.iter().all(|t| opens(t)) => {
                    self.command(&command);
                    command.clear();
                    i = self.case(tokens, i, word.span);
                }
                Token::Operator(operator) => {
                    self.command(&command);
                    command.clear();
                    self.joint = matches!(*operator, "&&" | "||").then_some(*operator);
                }
                other => command.push(other),
            }
        }
        self.command(&command);
        self.joint = None;
    }

    /// `case`: from behind the word to behind its `esac`. What the word is, decides which commands are run; where that is not
    /// known, each of them may be.
    fn case(&mut self, tokens: &[Token], from: usize, span: Span) -> usize {
        let plain = |token: &Token, text: &str| matches!(token, Token::Word(w) if w.plain() == Some(text));
        let subject = match tokens.get(from) {
            Some(Token::Word(word)) => self.one(word).ok(),
            _ => None,
        };
        let mut at = (from..tokens.len()).find(|&i| plain(&tokens[i], "in")).map_or(tokens.len(), |i| i + 1);
        let mut taken = false;
        while let Some(token) = tokens.get(at) {
            match token {
                Token::Operator("\n" | "(" | ";") => at += 1,
                token if plain(token, "esac") => return at + 1,
                _ => {
                    let close = (at..tokens.len()).find(|&i| tokens[i] == Token::Operator(")")).unwrap_or(tokens.len());
                    let body = close + 1..end_of_arm(tokens, close + 1);
                    let run = match &subject {
                        Some(subject) if !taken => self.fits(subject, &tokens[at..close], span),
                        Some(_) => Run::No,
                        None => Run::Perhaps(span),
                    };
                    taken |= run == Run::Yes;
                    self.blocks.push(Block::Other { end: "esac", run });
                    self.tokens(tokens.get(body.clone()).unwrap_or_default());
                    self.blocks.pop();
                    at = body.end;
                    if tokens.get(at).is_some_and(|t| matches!(t, Token::Operator(";;" | ";&" | ";;&"))) {
                        at += 1;
                    }
                }
            }
        }
        at
    }

    /// Whether a text fits one of the patterns of an arm.
    fn fits(&self, subject: &str, patterns: &[Token], span: Span) -> Run {
        let mut out = Run::No;
        for pattern in patterns {
            let Token::Word(word) = pattern else { continue };
            match self.one(word) {
                Ok(pattern) if pattern.contains('[') => out = Run::Perhaps(span),
                Ok(pattern) if expand::matches(subject, &pattern) => return Run::Yes,
                Ok(_) => {}
                Err(_) => out = Run::Perhaps(span),
            }
        }
        out
    }

    /// `shift`: the first arguments are gone.
    fn shift(&mut self, words: &[&Raw], run: Run) {
        let Some(Value::Many(mut all)) = self.variables.get("@").cloned() else { return };
        let count = words.get(1).and_then(|w| w.plain()).and_then(|n| n.parse().ok()).unwrap_or(1_usize);
        all.drain(..count.min(all.len()));
        for (i, name) in (1..10).map(|i| (i, i.to_string())) {
            match all.get(i - 1) {
                Some(value) => self.set(name, Value::One(value.clone()), run, span_of_words(words)),
                None => drop(self.variables.remove(&name)),
            }
        }
        for name in ["@", "*"] {
            self.set(name.to_string(), Value::Many(all.clone()), run, span_of_words(words));
        }
    }

    /// Whether commands are run where the script is now.
    fn run(&self) -> Run {
        let mut out = Run::Yes;
        for block in &self.blocks {
            let (Block::If { run, .. } | Block::Other { run, .. }) = block;
            match run {
                Run::No => return Run::No,
                Run::Perhaps(span) if out == Run::Yes => out = Run::Perhaps(*span),
                _ => {}
            }
        }
        out
    }

    fn command(&mut self, command: &[&Token]) {
        let mut rest = command;
        // Reserved words stand where a command begins, and may follow one another.
        while let Some((Token::Word(word), behind)) = rest.split_first() {
            let Some(reserved) = word.plain().filter(|w| self.reserved(w, word.span)) else { break };
            if matches!(reserved, "for" | "select" | "case") {
                self.loop_variable(reserved, behind, word.span);
                return;
            }
            rest = behind;
        }
        if !rest.is_empty() {
            self.simple(rest);
        }
    }

    /// Steps into and out of blocks. Whether the word was a reserved one.
    fn reserved(&mut self, word: &str, span: Span) -> bool {
        let other = |end| Block::Other { end, run: Run::Perhaps(span) };
        match word {
            "if" => self.blocks.push(Block::If { span, taken: Some(false), run: Run::Yes }),
            "then" | "else" | "elif" => self.branch(word),
            "while" | "until" | "for" | "select" => self.blocks.push(other("done")),
            "case" => self.blocks.push(other("esac")),
            "fi" | "done" | "esac" => drop(self.blocks.pop_if(|b| match b {
                Block::If { .. } => word == "fi",
                Block::Other { end, .. } => *end == word,
            })),
            "do" | "{" | "}" | "!" | "function" => {}
            _ => return false,
        }
        true
    }

    fn branch(&mut self, word: &str) {
        let status = self.status;
        let Some(Block::If { span, taken, run }) = self.blocks.last_mut() else { return };
        let condition = if word == "else" { Some(true) } else { status };
        if word == "elif" {
            *run = Run::Yes;
            return;
        }
        (*run, *taken) = match (*taken, condition) {
            (Some(true), _) => (Run::No, Some(true)),
            (taken, Some(false)) => (Run::No, taken),
            (Some(false), Some(true)) => (Run::Yes, Some(true)),
            (None, Some(true)) => (Run::Perhaps(*span), None),
            (_, None) => (Run::Perhaps(*span), None),
        };
    }

    fn loop_variable(&mut self, what: &str, rest: &[&Token], span: Span) {
        if let (true, Some(Token::Word(name))) = (what != "case", rest.first()) {
            let name = name.start().to_string();
            let fault = self.only_a_shell(span, format!("'{name}' changes with each round of this loop"));
            self.variables.insert(name, Value::Unknown(fault));
        }
    }

    fn only_a_shell(&self, span: Span, what: String) -> Fault {
        Fault { span, what, help: format!("write the value itself into the script, or {PROCESS}") }
    }

    /// A command without reserved words.
    fn simple(&mut self, command: &[&Token]) {
        let run = match (self.run(), self.joint, self.status) {
            (Run::No, ..) | (_, Some("&&"), Some(false)) | (_, Some("||"), Some(true)) => Run::No,
            (Run::Yes, Some(_), None) => Run::Perhaps(span_of(command)),
            (run, ..) => run,
        };
        if run == Run::No {
            return;
        }
        let mut words: Vec<&Raw> = Vec::new();
        let mut assignments = Vec::new();
        for token in command {
            match token {
                Token::Array { name, append, items } => self.assign_array(name, *append, items, run),
                Token::Word(word) if words.is_empty() && is_assigned(word) => assignments.push(word),
                Token::Word(word) => words.push(word),
                Token::Redirection(_) | Token::Operator(_) => {}
            }
        }
        if words.is_empty() {
            assignments.iter().for_each(|word| self.assign(word, run));
            self.status = Some(true);
            return;
        }
        let status = self.start(&assignments, &words, run, command);
        self.status = status;
    }

    /// A command with a name. Whether it succeeds, as far as that is known.
    fn start(&mut self, assignments: &[&Raw], words: &[&Raw], run: Run, command: &[&Token]) -> Option<bool> {
        match words[0].plain() {
            Some("export" | "local" | "readonly" | "declare" | "typeset") => {
                words[1..].iter().filter(|w| is_assigned(w)).for_each(|word| self.assign(word, run));
                return Some(true);
            }
            Some("true" | ":") => return Some(true),
            Some("false") => return Some(false),
            Some("[" | "test" | "[[") => return self.test(&words[1..]),
            Some("cd" | "pushd") => {
                self.change_directory(words.get(1).copied());
                return None;
            }
            Some("shift") => {
                self.shift(words, run);
                return Some(true);
            }
            Some(
                "set" | "trap" | "exit" | "return" | "wait" | "break" | "continue" | "sleep" | "unset" | "popd" | "in",
            ) => {
                return None;
            }
            Some(name) if self.functions.contains_key(name) && self.depth < 8 => {
                self.call(name, &words[1..]);
                return None;
            }
            _ => {}
        }
        let all: Vec<&Raw> = assignments.iter().chain(words).copied().collect();
        let mut expanded: Vec<Word> = Vec::new();
        let mut faults: Vec<Fault> = Vec::new();
        for word in all {
            match self.fields(word) {
                Ok(fields) => expanded.extend(fields.into_iter().map(|text| Word::new(text, word.span))),
                Err(fault) => {
                    expanded.push(Word::new("\u{fffd}", word.span));
                    faults.push(fault);
                }
            }
        }
        self.started(expanded, faults, command);
        None
    }

    /// A command whose words are known: QEMU itself, or a shell in a shell, or something else.
    fn started(&mut self, words: Vec<Word>, faults: Vec<Fault>, command: &[&Token]) {
        if let [name, sign, ..] = words.as_slice()
            && matches!(sign.text.as_str(), "=" | ":=" | "::=" | "?=" | "+=")
        {
            if words.iter().any(|w| program::is_qemu(&w.text)) {
                self.faults.push(Fault {
                    span: Span { start: name.span.start, end: sign.span.end },
                    what: format!(
                        "'{} {}' is an assignment of make, and only make knows what it leads to",
                        name.text, sign.text
                    ),
                    help: format!("`make -n TARGET` prints the command line, and that can be read; or {PROCESS}"),
                });
            }
            return;
        }
        let nested = words.iter().find(|w| w.text.contains(char::is_whitespace) && w.text.contains("qemu")).cloned();
        let name = words.iter().find(|w| !is_assignment(&w.text)).map(|w| w.text.clone()).unwrap_or_default();
        let mut notes = Vec::new();
        match program::split(words, self.directory.as_deref(), &mut |span, what| notes.push((span, what))) {
            Some(line) => {
                self.faults.extend(faults);
                self.notes.extend(notes);
                self.redirections(command);
                self.found.push(line);
            }
            None => {
                let shell = ["sh", "bash", "dash", "zsh", "su", "sudo", "tmux", "screen", "eval", "xterm"];
                let base = name.rsplit('/').next().unwrap_or_default().to_string();
                if let Some(text) = nested.filter(|_| shell.contains(&base.as_str()) && self.depth < 4) {
                    return self.nested(&text);
                }
                if !base.is_empty() && base != "\u{fffd}" {
                    let span = span_of(command);
                    self.other_span = self.other_span.or(span);
                    self.others.insert(base);
                }
            }
        }
    }

    /// A script in a word: all of it stands where the word stands.
    fn nested(&mut self, word: &Word) {
        let (found, faults) = (self.found.len(), self.faults.len());
        self.script(&word.text, 0, self.depth + 1);
        for line in &mut self.found[found..] {
            let words = line.environment.iter_mut().chain([&mut line.program]).chain(&mut line.arguments);
            words.for_each(|w| w.span = word.span);
        }
        self.faults[faults..].iter_mut().for_each(|fault| fault.span = word.span);
    }

    fn redirections(&mut self, command: &[&Token]) {
        for token in command {
            if let Token::Redirection(span) = token {
                self.notes.push((*span, "left out: where the program's own output goes".to_string()));
            }
        }
    }

    fn call(&mut self, name: &str, arguments: &[&Raw]) {
        let body = self.functions.get(name).cloned().unwrap_or_default();
        let mut all = Vec::new();
        let mut unknown = None;
        for word in arguments {
            match self.fields(word) {
                Ok(fields) => all.extend(fields),
                Err(fault) => unknown = Some(Value::Unknown(fault)),
            }
        }
        let all = unknown.unwrap_or(Value::Many(all));
        let mut given: Vec<(String, Value)> = arguments
            .iter()
            .enumerate()
            .map(|(i, word)| ((i + 1).to_string(), self.one(word).map_or_else(Value::Unknown, Value::One)))
            .collect();
        given.extend(["@", "*"].map(|name| (name.to_string(), all.clone())));
        let before = self.variables.clone();
        self.variables.extend(given);
        self.depth += 1;
        let joint = self.joint.take();
        self.tokens(&body);
        self.joint = joint;
        self.depth -= 1;
        for key in (1..10).map(|i| i.to_string()).chain(["@".to_string(), "*".to_string()]) {
            match before.get(&key) {
                Some(value) => drop(self.variables.insert(key, value.clone())),
                None => drop(self.variables.remove(&key)),
            }
        }
    }

    fn assign(&mut self, word: &Raw, run: Run) {
        let Some((name, append)) = assigned_name(word) else { return };
        let mut value = word.clone();
        if let Some(lex::Part::Text(text)) = value.parts.first_mut() {
            *text = text[text.find('=').map_or(0, |at| at + 1)..].to_string();
        }
        let value = self.one(&value).map_or_else(Value::Unknown, Value::One);
        let value = match (append, self.variables.get(&name), value) {
            (true, Some(Value::One(old)), Value::One(new)) => Value::One(format!("{old}{new}")),
            (true, Some(unknown @ Value::Unknown(_)), _) => unknown.clone(),
            (_, _, value) => value,
        };
        self.set(name, value, run, word.span);
    }

    fn assign_array(&mut self, name: &str, append: bool, items: &[Raw], run: Run) {
        let mut all = match self.variables.get(name) {
            Some(Value::Many(old)) if append => old.clone(),
            Some(Value::One(old)) if append => vec![old.clone()],
            Some(Value::Unknown(_)) if append => return,
            _ => Vec::new(),
        };
        let mut value = None;
        for item in items {
            match self.fields(item) {
                Ok(fields) => all.extend(fields),
                Err(fault) => value = Some(Value::Unknown(fault)),
            }
        }
        let span = items.first().map_or(Span::NONE, |i| i.span);
        self.set(name.to_string(), value.unwrap_or(Value::Many(all)), run, span);
    }

    fn set(&mut self, name: String, value: Value, run: Run, span: Span) {
        let value = match run {
            Run::Perhaps(condition) => {
                let what =
                    format!("whether '{name}' gets another value depends on this, which only a shell can find out");
                let mut fault = self.only_a_shell(if condition.is_none() { span } else { condition }, what);
                fault.help = format!("leave one of the cases in the script, or {PROCESS}");
                Value::Unknown(fault)
            }
            _ => value,
        };
        self.variables.insert(name, value);
    }

    fn change_directory(&mut self, word: Option<&Raw>) {
        self.directory = word.and_then(|word| self.one(word).ok()).map(|to| below(&self.here(), &to));
    }

    /// The directory in which commands are run.
    fn here(&self) -> String {
        self.directory.clone().unwrap_or_else(|| self.around.base.to_string())
    }

    /// `[ a = b ]` and its like.
    fn test(&mut self, words: &[&Raw]) -> Option<bool> {
        let closed = words.last().and_then(|w| w.plain()).is_some_and(|w| matches!(w, "]" | "]]"));
        let words = if closed { &words[..words.len() - 1] } else { words };
        let (negated, words) = match words.split_first() {
            Some((first, rest)) if first.plain() == Some("!") => (true, rest),
            _ => (false, words),
        };
        let mut texts = Vec::new();
        for word in words {
            texts.push(self.tested(word)?);
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let numbers = |a: &str, b: &str| Some((a.parse::<i64>().ok()?, b.parse::<i64>().ok()?));
        let out = match texts.as_slice() {
            [] => false,
            [text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            ["-n", text] => !text.is_empty(),
            [a, "=" | "==", b] => a == b,
            [a, "!=", b] => a != b,
            [a, "-eq", b] => numbers(a, b).map(|(a, b)| a == b)?,
            [a, "-ne", b] => numbers(a, b).map(|(a, b)| a != b)?,
            [a, "-gt", b] => numbers(a, b).map(|(a, b)| a > b)?,
            [a, "-lt", b] => numbers(a, b).map(|(a, b)| a < b)?,
            [a, "-ge", b] => numbers(a, b).map(|(a, b)| a >= b)?,
            [a, "-le", b] => numbers(a, b).map(|(a, b)| a <= b)?,
            _ => return None,
        };
        Some(out != negated)
    }

    /// A word of a test. A variable that nobody sets is empty, and that is told.
    fn tested(&mut self, word: &Raw) -> Option<String> {
        if let [lex::Part::Variable(variable)] = word.parts.as_slice()
            && variable.operator.is_none()
            && self.is_unset(&variable.name)
        {
            if self.unset.insert(variable.name.clone()) && !variable.name.starts_with(|c: char| c.is_ascii_digit()) {
                let name = &variable.name;
                self.notes.push((
                    variable.span,
                    format!("'{name}' is not set in this file, and taken as empty; --env {name}=VALUE says otherwise"),
                ));
            }
            return Some(String::new());
        }
        if let [lex::Part::Text(_), lex::Part::Variable(variable)] = word.parts.as_slice()
            && variable.operator.is_none()
            && self.is_unset(&variable.name)
        {
            return Some(word.start().to_string());
        }
        self.one(word).ok()
    }
}

/// `name () {` and `function name {`.
fn is_definition(command: &[&Token], next: Option<&Token>) -> bool {
    matches!(command, [.., Token::Word(name)] if name.plain().is_some())
        && next == Some(&Token::Operator(")"))
        && command.len() <= 2
}

/// Whether a command may begin behind a word: `then`, `do`, `else`, a brace.
fn opens(token: &Token) -> bool {
    matches!(token, Token::Word(w) if matches!(w.plain(), Some("then" | "do" | "else" | "{" | "!" | "time")))
}

/// Where an arm of `case` ends: at its `;;`, or at `esac`.
fn end_of_arm(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(from) {
        match token {
            Token::Word(word) if word.plain() == Some("case") => depth += 1,
            Token::Word(word) if word.plain() == Some("esac") && depth == 0 => return i,
            Token::Word(word) if word.plain() == Some("esac") => depth -= 1,
            Token::Operator(";;" | ";&" | ";;&") if depth == 0 => return i,
            _ => {}
        }
    }
    tokens.len()
}

fn span_of_words(words: &[&Raw]) -> Span {
    words.first().map_or(Span::NONE, |word| word.span)
}

/// The tokens between the braces of a function's body.
fn body(tokens: &[Token], from: usize) -> std::ops::Range<usize> {
    let brace = |token: &Token, text: &str| matches!(token, Token::Word(w) if w.plain() == Some(text));
    let start = (from..tokens.len()).find(|&i| brace(&tokens[i], "{")).map_or(tokens.len(), |i| i + 1);
    let mut depth = 1;
    for (i, token) in tokens.iter().enumerate().skip(start) {
        depth += i32::from(brace(token, "{")) - i32::from(brace(token, "}"));
        if depth == 0 {
            return start..i;
        }
    }
    start..tokens.len()
}

fn span_of(command: &[&Token]) -> Span {
    let mut words = command.iter().filter_map(|t| match t {
        Token::Word(word) => Some(word.span),
        _ => None,
    });
    let first = words.next().unwrap_or(Span::NONE);
    let last = words.next_back().unwrap_or(first);
    Span { start: first.start, end: last.end }
}

/// The name in `name=…` or `name+=…`, and whether it adds.
fn assigned_name(word: &Raw) -> Option<(String, bool)> {
    let name = word.start().split_once('=')?.0;
    let (name, append) = name.strip_suffix('+').map_or((name, false), |n| (n, true));
    is_assignment(&format!("{name}=")).then(|| (name.to_string(), append))
}

fn is_assigned(word: &Raw) -> bool {
    assigned_name(word).is_some()
}

#[cfg(test)]
mod tests;
