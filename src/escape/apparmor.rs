//! AppArmor profiles (parser 3 and 4).

use super::{Language, Unfit, absolute, format, refuse_control, spell_prose, unfit};

/// A path in a rule, in quotes, that matches itself only.
pub struct ApparmorPath;

impl Language for ApparmorPath {
    type Format = format::Apparmor;
    const NAME: &'static str = "an AppArmor rule";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let path = absolute::<Self>(value)?;
        out.push('"');
        spell_literally(&path, out);
        out.push('"');
        Ok(())
    }
}

impl ApparmorPath {
    /// The rule path for a directory itself (`"/dir/"`), for the files in it (`"/dir/*"`), and for all below it
    /// (`"/dir/**"`).
    pub fn tree(value: &str) -> Result<[super::Escaped<ApparmorPath>; 3], Unfit> {
        let path = absolute::<Self>(value)?;
        let path = if path == "/" { "" } else { &path };
        let with = |end: &str| {
            let mut text = String::from("\"");
            spell_literally(path, &mut text);
            text.push_str(end);
            super::Escaped { text, language: std::marker::PhantomData }
        };
        Ok([with("/\""), with("/*\""), with("/**\"")])
    }
}

/// Appends a path with every character of the glob language escaped. A variable (`@{HOME}`) is
/// expanded even behind `\@`, so that its braces are what has to be escaped.
fn spell_literally(path: &str, out: &mut String) {
    for c in path.chars() {
        // Before the closing quote the parser takes even an escaped backslash for the escape of the quote.
        if c == '\\' {
            out.push_str("\\x5c");
            continue;
        }
        if matches!(c, '"' | '*' | '?' | '[' | ']' | '{' | '}' | '^') {
            out.push('\\');
        }
        out.push(c);
    }
}

/// A comment behind a rule, or part of one.
pub struct ApparmorText;

impl Language for ApparmorText {
    type Format = format::Apparmor;
    const NAME: &'static str = "an AppArmor comment";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        spell_prose(value, out, |c, out| out.push(c));
        Ok(())
    }
}

/// The name of a profile.
pub struct ApparmorName;

impl Language for ApparmorName {
    type Format = format::Apparmor;
    const NAME: &'static str = "the name of an AppArmor profile";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        refuse_control::<Self>(value, &[])?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:/+-".contains(c);
        if value.is_empty() || value.len() > 255 {
            return Err(unfit::<Self>("an empty or very long name"));
        }
        match value.chars().find(|c| !plain(*c)) {
            Some(odd) => Err(unfit::<Self>(format!("'{odd}'"))),
            None => {
                out.push_str(value);
                Ok(())
            }
        }
    }
}
