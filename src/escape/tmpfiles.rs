//! tmpfiles.d (systemd 252 and newer). A path is quoted, its `%` are specifiers, and most kinds of lines take it as a
//! pattern: unescaped, the line for `a [1].img` would change `a 1.img`.

use super::systemd::quote;
use super::{Escaped, Language, Unfit, absolute, format, unfit};

/// A line of the file.
pub struct TmpfilesLine;

impl Language for TmpfilesLine {
    type Format = format::Systemd;
    const NAME: &'static str = "a tmpfiles.d line";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        TmpfilesPath::spell(value, out)
    }
}

/// The path of a line that makes something: itself and nothing else.
pub struct TmpfilesPath;

impl Language for TmpfilesPath {
    type Format = format::Systemd;
    const NAME: &'static str = "a tmpfiles.d line";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        spell(&absolute::<Self>(value)?, out);
        Ok(())
    }
}

/// The path of a line that changes what is there, which is a pattern: one that matches this path alone.
pub struct TmpfilesPattern;

impl Language for TmpfilesPattern {
    type Format = format::Systemd;
    const NAME: &'static str = "a tmpfiles.d line";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let mut pattern = String::new();
        for c in absolute::<Self>(value)?.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        spell(&pattern, out);
        Ok(())
    }
}

/// The path of a file to copy, at the end of a line: it has no quotes, and no escapes.
pub struct TmpfilesSource;

impl Language for TmpfilesSource {
    type Format = format::Systemd;
    const NAME: &'static str = "a tmpfiles.d line";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let path = absolute::<Self>(value)?;
        if let Some(odd) = path.chars().find(|c| matches!(c, '\\' | '"' | '\'' | '\t')) {
            return Err(unfit::<Self>(format!("'{odd}' in the path of a file to copy")));
        }
        if path.ends_with(' ') {
            return Err(unfit::<Self>("a blank at the end of the path of a file to copy"));
        }
        out.push_str(&path.replace('%', "%%"));
        Ok(())
    }
}

/// The name or the number of an account, as tmpfiles.d and udev rules take it.
pub struct AccountName;

impl Language for AccountName {
    type Format = format::Systemd;
    const NAME: &'static str = "a tmpfiles.d line";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let plain = value.strip_prefix('+').unwrap_or(value);
        if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
            return Err(unfit::<Self>(format!("the account '{value}'")));
        }
        out.push_str(plain);
        Ok(())
    }
}

fn spell(path: &str, out: &mut String) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@+=:,./-".contains(&b);
    match path.bytes().all(plain) {
        true => out.push_str(path),
        false => quote(path, out),
    }
}

impl<P: Language<Format = format::Systemd>> Escaped<P> {
    /// This as a part of a line.
    pub fn cast_line(self) -> Escaped<TmpfilesLine> {
        self.cast()
    }
}

impl Escaped<TmpfilesLine> {
    /// This and more of the same line.
    pub fn joined_with(self, other: &Escaped<TmpfilesLine>) -> Escaped<TmpfilesLine> {
        self.joined(other)
    }

    /// A line: kind, path, and what is to be there, in the order of the file.
    pub fn of<P: Language<Format = format::Systemd>>(
        kind: &'static str,
        path: Escaped<P>,
        rest: impl IntoIterator<Item = Escaped<TmpfilesLine>>,
    ) -> Escaped<TmpfilesLine> {
        Escaped::words([Escaped::literal(kind), path.cast()].into_iter().chain(rest))
    }

    /// `u:ACCOUNT:rw,m::rw`: an entry of an access list, and what limits it.
    pub fn entry(
        account: &Escaped<AccountName>,
        permissions: &'static str,
        mask: &'static str,
    ) -> Escaped<TmpfilesLine> {
        let entry = account.clone().cast_line().between("u:", ":");
        entry.between("", permissions).between("", mask)
    }
}
