//! Escaping is a type: a value reaches an output only as [`Escaped`] text of that output's language.
//!
//! Each [`Language`] says in one function how a value is spelled, or that it cannot be
//! ([`Unfit`]). Nothing is dropped or changed silently: what a language cannot express is refused, but
//! for prose (descriptions, comments), which may be shortened because no program reads it.
//! The rules were checked with the programs themselves: `tests/emit` asks them again.

mod apparmor;
mod html;
mod make;
mod selinux;
mod systemd;
mod tmpfiles;
mod udev;

pub use apparmor::{ApparmorName, ApparmorPath, ApparmorText};
pub use html::HtmlText;
pub(crate) use html::spell_html;
pub use make::MakePath;
pub use selinux::{CilContext, CilName, FileContextsPath, SelinuxContext};
pub use systemd::{EnvAssignment, ExecArg, ExecProgram, UnitName, UnitPath, UnitRest, UnitText, UnitUrl, UnitWord};
pub use tmpfiles::{AccountName, TmpfilesLine, TmpfilesPath, TmpfilesPattern, TmpfilesSource};
pub use udev::{UdevMatch, UdevValue};

use std::fmt;
use std::marker::PhantomData;

/// The formats of outputs; a template of one takes only values of its languages.
pub mod format {
    /// systemd units and the like.
    pub enum Systemd {}
    /// AppArmor profiles.
    pub enum Apparmor {}
    /// SELinux: contexts, file_contexts, CIL.
    pub enum Selinux {}
    /// Pages for a browser.
    pub enum Html {}
    /// Texts that no program of the host reads by itself: tables, scripts, argv.
    pub enum Plain {}
}
use format::Plain;

/// A language that an output is written in, or one kind of place in it.
pub trait Language {
    /// The format that it is part of.
    type Format;
    /// What it is called in a diagnostic: "a systemd unit".
    const NAME: &'static str;
    /// Appends `value` as this language spells it.
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit>;
}

/// Why a value cannot be written: the end of a sentence, "…a newline".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// What it holds or lacks: "a newline".
    pub what: String,
    /// The language that cannot express it.
    pub language: &'static str,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot express {}", self.language, self.what)
    }
}

/// Text that is safe to stand in language `L`. Only a constructor of this module makes one.
pub struct Escaped<L: Language> {
    text: String,
    language: PhantomData<L>,
}

impl<L: Language> Escaped<L> {
    /// `value` as `L` spells it.
    pub fn new(value: &str) -> Result<Escaped<L>, Unfit> {
        let mut text = String::with_capacity(value.len() + 8);
        L::spell(value, &mut text)?;
        Ok(Escaped { text, language: PhantomData })
    }

    /// The spelled text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Several values with blanks between them.
    pub fn words(words: impl IntoIterator<Item = Escaped<L>>) -> Escaped<L> {
        let mut text = String::new();
        for word in words {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&word.text);
        }
        Escaped { text, language: PhantomData }
    }

    /// Text that virtc itself wrote, so that no value from outside is in it.
    pub fn literal(text: &'static str) -> Escaped<L> {
        Escaped { text: text.to_string(), language: PhantomData }
    }

    /// The same text as a value of another kind of place of the same format.
    pub(super) fn cast<M: Language<Format = L::Format>>(self) -> Escaped<M> {
        Escaped { text: self.text, language: PhantomData }
    }

    /// A number.
    pub fn number(number: impl Into<u64>) -> Escaped<L> {
        Escaped { text: number.into().to_string(), language: PhantomData }
    }

    /// This text, a blank, and a keyword of the language.
    pub fn followed_by(mut self, keyword: &'static str) -> Escaped<L> {
        self.text.push(' ');
        self.text.push_str(keyword);
        self
    }

    /// This text and another behind it.
    pub(super) fn joined(mut self, other: &Escaped<L>) -> Escaped<L> {
        self.text.push_str(&other.text);
        self
    }

    /// This text between literal parts of the language.
    pub fn between(mut self, before: &'static str, after: &'static str) -> Escaped<L> {
        self.text.insert_str(0, before);
        self.text.push_str(after);
        self
    }
}

impl<L: Language> Clone for Escaped<L> {
    fn clone(&self) -> Self {
        Escaped { text: self.text.clone(), language: PhantomData }
    }
}

impl<L: Language> fmt::Display for Escaped<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<L: Language> fmt::Debug for Escaped<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// A field of a table: one line a record, tabs between fields; a tab or a backslash in a value is written
/// `\t` or `\\`.
pub struct TableField;

impl Language for TableField {
    type Format = Plain;
    const NAME: &'static str = "a table";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        refuse_control::<Self>(value, &['\t'])?;
        spell_field(value, out);
        Ok(())
    }
}

/// An absolute path in a table, in its shortest form, spelled like a [`TableField`].
pub struct TablePath;

impl Language for TablePath {
    type Format = Plain;
    const NAME: &'static str = "a table";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        spell_field(&absolute::<Self>(value)?, out);
        Ok(())
    }
}

fn spell_field(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            _ => out.push(c),
        }
    }
}

/// An error of language `L`.
fn unfit<L: Language>(what: impl Into<String>) -> Unfit {
    Unfit { what: what.into(), language: L::NAME }
}

/// Refuses control characters but those in `allowed`.
fn refuse_control<L: Language>(value: &str, allowed: &[char]) -> Result<(), Unfit> {
    match value.chars().find(|c| c.is_ascii_control() && !allowed.contains(c)) {
        None => Ok(()),
        Some('\n') => Err(unfit::<L>("a newline")),
        Some('\t') => Err(unfit::<L>("a tab")),
        Some(other) => Err(unfit::<L>(format!("the control character U+{:04X}", u32::from(other)))),
    }
}

/// Refuses what is no absolute path in its shortest form; gives the path without repeated or trailing
/// slashes and without `.` components.
fn absolute<L: Language>(path: &str) -> Result<String, Unfit> {
    refuse_control::<L>(path, &['\t'])?;
    if !path.starts_with('/') {
        return Err(unfit::<L>(format!("the relative path '{path}'")));
    }
    let mut out = String::with_capacity(path.len());
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => return Err(unfit::<L>(format!("the path '{path}', which holds '..'"))),
            name => {
                out.push('/');
                out.push_str(name);
            }
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// Appends prose for a comment.
pub(crate) fn spell_comment(value: &str, out: &mut String) {
    spell_prose(value, out, |c, out| out.push(c));
}

/// Appends prose: control characters become blanks, and it is cut at 200 characters.
fn spell_prose(value: &str, out: &mut String, mut each: impl FnMut(char, &mut String)) {
    const LONGEST: usize = 200;
    for (i, c) in value.chars().enumerate() {
        if i == LONGEST {
            out.push('…');
            break;
        }
        // Line separators of Unicode look like newlines to some readers.
        each(if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }, out);
    }
}
