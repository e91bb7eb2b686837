//! Lines of KDL.

use std::fmt::Write;

/// A value as it stands in the document.
pub enum Written {
    /// In quotes.
    Text(String),
    /// A number.
    Number(i128),
    /// `#true` or `#false`.
    Truth(bool),
}

/// Lines of KDL, with indentation. Values are quoted here, and nowhere else.
pub struct Lines {
    out: String,
    depth: usize,
    /// Whether the line that is being written has its end still to come.
    open: bool,
}

impl Default for Lines {
    fn default() -> Lines {
        Lines::new()
    }
}

impl Lines {
    /// The beginning of a document.
    pub fn new() -> Lines {
        Lines { out: "/- kdl-version 2\n".to_string(), depth: 0, open: false }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            self.out.push('\n');
        }
    }

    /// Where the next line begins, bytes.
    pub fn place(&mut self) -> usize {
        self.end();
        self.out.len()
    }

    /// A comment on a line of its own.
    pub fn comment(&mut self, text: &str) -> &mut Lines {
        self.end();
        for line in text.lines() {
            let _ = writeln!(self.out, "{:width$}// {line}", "", width = 4 * self.depth);
        }
        self
    }

    /// An empty line.
    pub fn gap(&mut self) -> &mut Lines {
        self.end();
        self.out.push('\n');
        self
    }

    /// A node, whose arguments and properties follow.
    pub fn node(&mut self, name: &str) -> &mut Lines {
        self.end();
        let _ = write!(self.out, "{:width$}", "", width = 4 * self.depth);
        if plain(name) {
            self.out.push_str(name);
        } else {
            quote(&mut self.out, name);
        }
        self.open = true;
        self
    }

    /// A string as an argument.
    pub fn text(&mut self, value: &str) -> &mut Lines {
        self.out.push(' ');
        quote(&mut self.out, value);
        self
    }

    /// Strings as arguments.
    pub fn texts(&mut self, values: &[String]) -> &mut Lines {
        for value in values {
            self.text(value);
        }
        self
    }

    /// A number as an argument.
    pub fn number(&mut self, value: impl Into<i128>) -> &mut Lines {
        let _ = write!(self.out, " {}", value.into());
        self
    }

    /// A boolean as an argument.
    pub fn truth(&mut self, value: bool) -> &mut Lines {
        let _ = write!(self.out, " #{value}");
        self
    }

    /// A string as a property.
    pub fn prop(&mut self, name: &str, value: &str) -> &mut Lines {
        let _ = write!(self.out, " {name}=");
        quote(&mut self.out, value);
        self
    }

    /// A string as a property, when there is one.
    pub fn prop_if(&mut self, name: &str, value: Option<&str>) -> &mut Lines {
        match value {
            Some(value) => self.prop(name, value),
            None => self,
        }
    }

    /// A number as a property.
    pub fn prop_number(&mut self, name: &str, value: impl Into<i128>) -> &mut Lines {
        let _ = write!(self.out, " {name}={}", value.into());
        self
    }

    /// A number as a property, in hexadecimal.
    pub fn prop_hex(&mut self, name: &str, value: u32, digits: usize) -> &mut Lines {
        let _ = write!(self.out, " {name}=0x{value:0digits$x}");
        self
    }

    /// A value as an argument.
    pub fn argument(&mut self, value: Written) -> &mut Lines {
        match value {
            Written::Text(text) => self.text(&text),
            Written::Number(number) => self.number(number),
            Written::Truth(truth) => self.truth(truth),
        }
    }

    /// A value as a property.
    pub fn property(&mut self, name: &str, value: Written) -> &mut Lines {
        match value {
            Written::Text(text) => self.prop(name, &text),
            Written::Number(number) => self.prop_number(name, number),
            Written::Truth(truth) => self.prop_truth(name, truth),
        }
    }

    /// A boolean as a property.
    pub fn prop_truth(&mut self, name: &str, value: bool) -> &mut Lines {
        let _ = write!(self.out, " {name}=#{value}");
        self
    }

    /// The children of the node.
    pub fn block(&mut self, children: impl FnOnce(&mut Lines)) -> &mut Lines {
        self.out.push_str(" {\n");
        self.open = false;
        self.depth += 1;
        children(self);
        self.end();
        self.depth -= 1;
        let _ = writeln!(self.out, "{:width$}}}", "", width = 4 * self.depth);
        self
    }

    /// What was written, without the head of a document, in one line.
    pub fn one_line(mut self) -> String {
        self.end();
        let mut out = String::new();
        for line in self.out.lines().skip(1).map(str::trim).filter(|l| !l.is_empty()) {
            // What stands in braces ends with a semicolon each.
            if !(out.is_empty() || out.ends_with('{')) {
                out.push(';');
            }
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(line);
        }
        out
    }

    /// The document.
    pub fn finish(mut self) -> String {
        self.end();
        self.out
    }
}

/// Whether a name needs no quotes.
fn plain(name: &str) -> bool {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let keyword = matches!(name, "true" | "false" | "null" | "inf" | "nan");
    starts && !keyword && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Writes a KDL string.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Controls, and what would change how the text is read.
            c if c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') =>
            {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A size with the largest unit that divides it.
pub fn print_size(bytes: u64) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes != 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}
