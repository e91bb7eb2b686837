//! A command line that was found, and what is known beside the text.

use crate::diag::Span;

/// A word of a command line, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word, without quotes and with what variables stood for.
    pub text: String,
    /// Its place in the source.
    pub span: Span,
}

impl Word {
    /// A word of this place.
    pub fn new(text: impl Into<String>, span: Span) -> Word {
        Word { text: text.into(), span }
    }
}

/// A QEMU command line that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `NAME=value` before the program.
    pub environment: Vec<Word>,
    /// The program.
    pub program: Word,
    /// Its arguments.
    pub arguments: Vec<Word>,
    /// The directory in which it is run, if the source says so.
    pub directory: Option<String>,
}

impl Line {
    /// All words, as a shell would see them.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.environment.iter().chain([&self.program]).chain(&self.arguments).map(|w| w.text.as_str())
    }
}

/// What is known beside the text.
#[derive(Clone, Copy, Default)]
pub struct Around<'a> {
    /// The name of the file; units and `$0` speak of it.
    pub name: &'a str,
    /// The directory in which a script is taken to run.
    pub base: &'a str,
    /// Values of variables that the text does not set.
    pub environment: &'a [(String, String)],
}

/// The way out that always works.
pub const PROCESS: &str =
    "start it, and give what runs: tr '\\0' '\\n' < /proc/PID/cmdline > line, then `virtc import argv line`";

/// `NAME=value`.
pub fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A path below a directory, unless it is absolute. Steps that lead back or nowhere are taken, as a shell takes them.
pub fn below(base: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_string() } else { format!("{base}/{path}") };
    let mut steps: Vec<&str> = Vec::new();
    for step in whole.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    format!("/{}", steps.join("/"))
}
