//! The words of a shell script, unexpanded.

use crate::diag::Span;

/// Why something cannot be read here, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text that means itself.
    Text(String),
    /// `$name`, `${name…}`.
    Variable(Variable),
    /// `$(…)` and its like, which only a shell can run.
    Command {
        /// What stands in it.
        text: String,
        /// Whether it stands in double quotes.
        quoted: bool,
        /// Where it stands.
        span: Span,
    },
}

/// The use of a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name; `@` for the script's own arguments.
    pub name: String,
    /// What stands in brackets.
    pub index: Option<String>,
    /// What is made of its value: an operator and its operand.
    pub operator: Option<(String, Box<Raw>)>,
    /// Whether it stands in double quotes.
    pub quoted: bool,
    /// Where it stands.
    pub span: Span,
}

/// A word before variables are replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raw {
    /// Its pieces.
    pub parts: Vec<Part>,
    /// Whether any of it is quoted.
    pub quoted: bool,
    /// Where it stands.
    pub span: Span,
}

impl Raw {
    /// The text of a word that holds nothing else, and no quotes.
    pub fn plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Text(text)] if !self.quoted => Some(text),
            _ => None,
        }
    }

    /// The text that it begins with.
    pub fn start(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    fn push(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.parts.push(Part::Text(c.to_string())),
        }
    }
}

/// What a script consists of.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A word.
    Word(Raw),
    /// `name=( … )`
    Array {
        /// The variable.
        name: String,
        /// Whether it is `+=`.
        append: bool,
        /// Its items.
        items: Vec<Raw>,
    },
    /// What ends a command: `;`, a line's end, `&&`, `||`, `|`, `&`, `(`, `)`.
    Operator(&'static str),
    /// A redirection, with its target.
    Redirection(Span),
}

/// What ends a command, the longest first.
const OPERATORS: &[&str] = &[";;&", ";;", ";&", "&&", "||", "|&", ";", "|", "&", "(", ")"];

/// Reads a script that stands at `from` in the source.
pub fn tokens(text: &str, from: usize) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer { text, at: 0, from, heredocs: Vec::new() };
    let mut out = Vec::new();
    while let Some(token) = lexer.token()? {
        out.push(token);
    }
    Ok(out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    from: usize,
    /// Ends of here-documents whose text begins with the next line.
    heredocs: Vec<String>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn span(&self, start: usize) -> Span {
        Span::new(self.from + start, self.from + self.at)
    }

    fn token(&mut self) -> Result<Option<Token>, Fault> {
        loop {
            if self.eat("\\\n") || self.eat("\\\r\n") {
                continue;
            }
            match self.peek() {
                None => return Ok(None),
                Some('\n') => {
                    self.at += 1;
                    self.skip_heredocs();
                    return Ok(Some(Token::Operator("\n")));
                }
                Some(c) if c.is_whitespace() => drop(self.next()),
                Some('#') => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                Some(_) => break,
            }
        }
        if let Some(redirection) = self.redirection()? {
            return Ok(Some(redirection));
        }
        for operator in OPERATORS {
            if self.eat(operator) {
                return Ok(Some(Token::Operator(operator)));
            }
        }
        let word = self.word(&|c| c.is_whitespace() || matches!(c, ';' | '|' | '&' | '<' | '>' | '(' | ')'))?;
        match word.plain().and_then(|w| w.strip_suffix('=')).filter(|_| self.peek() == Some('(')) {
            Some(name) => {
                let (name, append) = name.strip_suffix('+').map_or((name, false), |n| (n, true));
                let name = name.to_string();
                self.at += 1;
                Ok(Some(Token::Array { name, append, items: self.items(word.span)? }))
            }
            None => Ok(Some(Token::Word(word))),
        }
    }

    /// The items of an array, up to its closing parenthesis.
    fn items(&mut self, opened: Span) -> Result<Vec<Raw>, Fault> {
        let mut out = Vec::new();
        loop {
            match self.token()? {
                Some(Token::Word(word)) => out.push(word),
                Some(Token::Operator(")")) => return Ok(out),
                Some(_) => {}
                None => return Err(unclosed(opened, "this list is not closed")),
            }
        }
    }

    /// `2>/dev/null`, `<<EOF`, `&>log`, `2>&1`.
    fn redirection(&mut self) -> Result<Option<Token>, Fault> {
        let start = self.at;
        let digits = self.rest().chars().take_while(char::is_ascii_digit).count();
        self.at += digits;
        if digits == 0 {
            self.eat("&");
        }
        if !matches!(self.peek(), Some('<' | '>')) || self.rest().starts_with("<(") || self.rest().starts_with(">(") {
            self.at = start;
            return Ok(None);
        }
        let here = !self.rest().starts_with("<<<") && self.rest().starts_with("<<");
        while matches!(self.peek(), Some('<' | '>' | '&' | '|' | '-')) {
            self.at += 1;
        }
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
        let target = self.word(&|c| c.is_whitespace() || matches!(c, ';' | '|' | '&' | '<' | '>' | '(' | ')'))?;
        if here {
            self.heredocs.push(target.start().to_string());
        }
        Ok(Some(Token::Redirection(self.span(start))))
    }

    fn skip_heredocs(&mut self) {
        for end in std::mem::take(&mut self.heredocs) {
            loop {
                let line = self.rest().lines().next().unwrap_or_default();
                self.at = (self.at + line.len() + 1).min(self.text.len());
                if line.trim() == end || self.rest().is_empty() {
                    break;
                }
            }
        }
    }

    /// A word, up to a character that ends it.
    fn word(&mut self, ends: &dyn Fn(char) -> bool) -> Result<Raw, Fault> {
        let start = self.at;
        let mut word = Raw::default();
        while let Some(c) = self.peek() {
            match c {
                '\'' => self.single(&mut word)?,
                '"' => self.double(&mut word)?,
                '\\' => self.escaped(&mut word),
                '$' if self.rest().starts_with("$'") => {
                    self.at += 1;
                    self.single(&mut word)?;
                }
                '$' | '`' => self.expansion(&mut word, false)?,
                '<' | '>' if self.rest()[1..].starts_with('(') => {
                    let at = self.at;
                    self.at += 2;
                    let text = self.until_closed(')', at)?;
                    word.parts.push(Part::Command { text, quoted: false, span: self.span(at) });
                }
                c if ends(c) => break,
                c => {
                    self.at += c.len_utf8();
                    word.push(c);
                }
            }
        }
        word.span = self.span(start);
        Ok(word)
    }

    fn escaped(&mut self, word: &mut Raw) {
        self.at += 1;
        match self.next() {
            Some('\n') | None => {}
            Some('\r') if self.peek() == Some('\n') => self.at += 1,
            Some(c) => {
                word.quoted = true;
                word.push(c);
            }
        }
    }

    fn single(&mut self, word: &mut Raw) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        let Some(end) = self.rest().find('\'') else { return Err(self.quote(start)) };
        let text = &self.rest()[..end];
        self.at += end + 1;
        word.quoted = true;
        if text.is_empty() {
            word.parts.push(Part::Text(String::new()));
        }
        text.chars().for_each(|c| word.push(c));
        Ok(())
    }

    fn double(&mut self, word: &mut Raw) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        word.quoted = true;
        word.parts.push(Part::Text(String::new()));
        loop {
            match self.peek() {
                None => return Err(self.quote(start)),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') => {
                    self.at += 1;
                    match self.next() {
                        Some('\n') => {}
                        Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                        Some(c) => {
                            word.push('\\');
                            word.push(c);
                        }
                        None => return Err(self.quote(start)),
                    }
                }
                Some('$' | '`') => self.expansion(word, true)?,
                Some(c) => {
                    self.at += c.len_utf8();
                    word.push(c);
                }
            }
        }
    }

    fn quote(&self, at: usize) -> Fault {
        unclosed(Span::new(self.from + at, self.from + at + 1), "this quote is not closed")
    }

    /// What begins with `$` or a backquote.
    fn expansion(&mut self, word: &mut Raw, quoted: bool) -> Result<(), Fault> {
        let start = self.at;
        if self.eat("`") {
            let text = self.until_closed('`', start)?;
            word.parts.push(Part::Command { text, quoted, span: self.span(start) });
            return Ok(());
        }
        self.at += 1;
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let text = self.until_closed(')', start)?;
                word.parts.push(Part::Command { text, quoted, span: self.span(start) });
            }
            Some('{') => {
                self.at += 1;
                let variable = self.braces(start, quoted)?;
                word.parts.push(Part::Variable(variable));
            }
            Some(c) if c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '*' | '#' | '?' | '$' | '!') => {
                let name = self.name();
                let span = self.span(start);
                word.parts.push(Part::Variable(Variable { name, index: None, operator: None, quoted, span }));
            }
            _ => word.push('$'),
        }
        Ok(())
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let length = match rest.chars().next() {
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())
            }
            Some(c) => c.len_utf8(),
            None => 0,
        };
        self.at += length;
        rest[..length].to_string()
    }

    /// `${name[index]operator operand}`
    fn braces(&mut self, start: usize, quoted: bool) -> Result<Variable, Fault> {
        let special = if self.peek() == Some('#') || self.peek() == Some('!') { self.next() } else { None };
        let name = self.name();
        let mut index = None;
        if self.eat("[") {
            let end = self.rest().find(']').unwrap_or(0);
            index = Some(self.rest()[..end].to_string());
            self.at += end + 1;
        }
        let mut operator = special.map(|c| (format!("prefix {c}"), Box::default()));
        let found = [":-", ":=", ":+", ":?", "##", "%%", "//", "#", "%", "-", "=", "+", "?", "/", ":", ",", "^", "@"];
        if let Some(known) = found.iter().find(|o| self.rest().starts_with(**o)) {
            self.at += known.len();
            operator = Some((known.to_string(), Box::new(self.word(&|c| c == '}')?)));
        }
        if !self.eat("}") {
            return Err(unclosed(self.span(start), "this brace is not closed"));
        }
        Ok(Variable { name, index, operator, quoted, span: self.span(start) })
    }

    /// The text up to what closes it, with what is nested in it.
    fn until_closed(&mut self, close: char, opened: usize) -> Result<String, Fault> {
        let start = self.at;
        let mut depth = 1;
        while let Some(c) = self.next() {
            match c {
                '\\' => drop(self.next()),
                '(' if close == ')' => depth += 1,
                c if c == close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(self.text[start..self.at - close.len_utf8()].to_string());
            }
        }
        Err(unclosed(Span::new(self.from + opened, self.from + opened + 1), "this is not closed"))
    }
}

fn unclosed(span: Span, what: &str) -> Fault {
    Fault { span, what: what.to_string(), help: "close it".to_string() }
}
