//! systemd units (252 and newer).

use super::{
    ApparmorName, Escaped, Language, SelinuxContext, Unfit, absolute, format, refuse_control, spell_prose, unfit,
};
use std::fmt::Write;

/// A longer line makes systemd drop the whole unit; it allows 1 MiB.
const LONGEST_VALUE: usize = 512 * 1024;

/// Prose: `Description=`.
pub struct UnitText;

impl Language for UnitText {
    type Format = format::Systemd;
    const NAME: &'static str = "a systemd unit";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        spell_prose(value, out, |c, out| {
            if c == '%' {
                out.push('%');
            }
            out.push(c);
        });
        // At the end of a line a backslash would join the next one to it.
        if out.ends_with('\\') {
            out.push(' ');
        }
        Ok(())
    }
}

/// An argument of `ExecStart=`.
pub struct ExecArg;

impl Language for ExecArg {
    type Format = format::Systemd;
    const NAME: &'static str = "a systemd command line";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        check_length::<Self>(value)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@+=:,./-".contains(&b);
        if !value.is_empty() && value.bytes().all(plain) {
            out.push_str(value);
            return Ok(());
        }
        spell_quoted::<Self>(value, out, true)
    }
}

/// The program of `ExecStart=`: an absolute path.
pub struct ExecProgram;

impl Language for ExecProgram {
    type Format = format::Systemd;
    const NAME: &'static str = "a systemd command line";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let path = absolute::<Self>(value)?;
        // systemd expands variables in the name that the program is told, but not in its path.
        if path.contains('$') {
            return Err(unfit::<Self>("'$' in the path of a program"));
        }
        ExecArg::spell(&path, out)
    }
}

impl Escaped<ExecArg> {
    /// A command line: a program, with the prefixes that systemd gives a meaning to, and its arguments.
    pub fn command(
        prefix: &'static str,
        program: Escaped<ExecProgram>,
        arguments: impl IntoIterator<Item = Escaped<ExecArg>>,
    ) -> Escaped<ExecArg> {
        let mut line = Escaped { text: program.text, language: std::marker::PhantomData }.between(prefix, "");
        for argument in arguments {
            line.text.push(' ');
            line.text.push_str(&argument.text);
        }
        line
    }

    /// Two values of an option list, joined by a comma.
    pub fn comma(self, other: Escaped<ExecArg>) -> Escaped<ExecArg> {
        Escaped { text: format!("{},{}", self.text, other.text), language: std::marker::PhantomData }
    }

    /// This line, continued on the next one by an argument.
    pub fn continued(&mut self, argument: &Escaped<ExecArg>) {
        self.text.push_str(" \\\n    ");
        self.text.push_str(&argument.text);
    }

    /// This line and one more argument.
    pub fn and(&mut self, argument: &Escaped<ExecArg>) {
        self.text.push(' ');
        self.text.push_str(&argument.text);
    }
}

/// `"KEY=VALUE"` of `Environment=`.
pub struct EnvAssignment;

impl Language for EnvAssignment {
    type Format = format::Systemd;
    const NAME: &'static str = "a systemd environment";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        check_length::<Self>(value)?;
        let name = value.split('=').next().unwrap_or_default();
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.bytes().all(fits) {
            return Err(unfit::<Self>(format!("a variable of the name '{name}'")));
        }
        spell_quoted::<Self>(value, out, false)
    }
}

/// A path in a list (`ReadWritePaths=`, `DeviceAllow=`).
pub struct UnitPath;

impl Language for UnitPath {
    type Format = format::Systemd;
    const NAME: &'static str = "a systemd unit";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        check_length::<Self>(value)?;
        spell_word(&absolute::<Self>(value)?, out);
        Ok(())
    }
}

/// A file as a URL (`Documentation=`).
pub struct UnitUrl;

impl Language for UnitUrl {
    type Format = format::Systemd;
    const NAME: &'static str = "a systemd unit";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        out.push_str("file:");
        for byte in absolute::<Self>(value)?.bytes() {
            if byte.is_ascii_alphanumeric() || b"/_.-:+@,".contains(&byte) {
                out.push(char::from(byte));
            } else {
                // The percent sign of a URL is doubled in a unit. Writing to a String cannot fail.
                let _ = write!(out, "%%{byte:02X}");
            }
        }
        Ok(())
    }
}

/// A path that is the whole value of a line, which has no quotes (`AssertPathExists=`).
pub struct UnitRest;

impl Language for UnitRest {
    type Format = format::Systemd;
    const NAME: &'static str = "a systemd unit";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        check_length::<Self>(value)?;
        let path = absolute::<Self>(value)?;
        if path.ends_with(['\\', ' ']) {
            return Err(unfit::<Self>("a blank or a backslash at the end of a path"));
        }
        out.push_str(&path.replace('%', "%%"));
        Ok(())
    }
}

impl Escaped<UnitPath> {
    /// A path that may be missing (`-/path`).
    pub fn optional(value: &str) -> Result<Escaped<UnitPath>, Unfit> {
        check_length::<UnitPath>(value)?;
        let mut text = String::new();
        spell_word(&format!("-{}", absolute::<UnitPath>(value)?), &mut text);
        Ok(Escaped { text, language: std::marker::PhantomData })
    }

    /// `path` relative to `base`, for `RuntimeDirectory=` and its kin; none when it is not below.
    pub fn below(base: &str, path: &str) -> Result<Option<Escaped<UnitPath>>, Unfit> {
        let path = absolute::<UnitPath>(path)?;
        let Some(rest) = path.strip_prefix(base).and_then(|r| r.strip_prefix('/')) else { return Ok(None) };
        // A colon separates a directory from a symbolic link to it.
        if rest.contains(':') {
            return Err(unfit::<UnitPath>(format!("':' in the directory '{path}'")));
        }
        let mut text = String::new();
        spell_word(rest, &mut text);
        Ok(Some(Escaped { text, language: std::marker::PhantomData }))
    }
}

/// A word that needs no quotes: a user, a CPU list, a number with its unit.
pub struct UnitWord;

impl Language for UnitWord {
    type Format = format::Systemd;
    const NAME: &'static str = "a systemd unit";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.,:/\\@-".contains(c);
        refuse_control::<Self>(value, &[])?;
        if value.is_empty() || value.ends_with('\\') {
            return Err(unfit::<Self>(format!("'{value}' as a word")));
        }
        match value.chars().find(|c| !plain(*c)) {
            Some(odd) => Err(unfit::<Self>(format!("'{odd}' in '{value}'"))),
            None => {
                out.push_str(value);
                Ok(())
            }
        }
    }
}

/// The name of a domain as part of a unit's name and of a file's: what systemd does not allow there is
/// written `\xNN`, as systemd-escape does, but for the hyphen, which only means something in slices.
pub struct UnitName;

impl Escaped<UnitName> {
    /// The unit that systemd has for a network interface while it is there: a dash would separate folders.
    pub fn device_of(interface: &str) -> Result<Escaped<UnitName>, Unfit> {
        let mut text = String::from("sys-subsystem-net-devices-");
        for (at, part) in interface.split('-').enumerate() {
            text.push_str(if at > 0 { "\\x2d" } else { "" });
            if !part.is_empty() {
                UnitName::spell(part, &mut text)?;
            }
        }
        text.push_str(".device");
        Ok(Escaped { text, language: std::marker::PhantomData })
    }
}

impl Language for UnitName {
    type Format = format::Systemd;
    const NAME: &'static str = "the name of a unit";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let start = out.len();
        if value.is_empty() {
            return Err(unfit::<Self>("an empty name"));
        }
        for (i, byte) in value.bytes().enumerate() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-') || (byte == b'.' && i > 0) {
                out.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
        // 255 bytes are the limit of systemd and of file systems; "virtc-" and ".service" come on top.
        if out.len() - start > 200 {
            return Err(unfit::<Self>("a name of more than 200 bytes"));
        }
        Ok(())
    }
}

/// A name of SELinux is letters, digits and `_.-:,`, which mean nothing to systemd.
impl Escaped<SelinuxContext> {
    /// This context as a value of a unit.
    pub fn in_unit(self) -> Escaped<UnitWord> {
        Escaped { text: self.text, language: std::marker::PhantomData }
    }
}

/// The name of a profile is letters, digits and `._:/+-`, which mean nothing to systemd.
impl Escaped<ApparmorName> {
    /// This name as a value of a unit.
    pub fn in_unit(self) -> Escaped<UnitWord> {
        Escaped { text: self.text, language: std::marker::PhantomData }
    }
}

impl Escaped<UnitName> {
    /// The name of a service: a stem and a suffix that were spelled before.
    pub fn service(stem: &Escaped<UnitName>, suffix: Option<&Escaped<UnitName>>) -> Escaped<UnitName> {
        let mut text = stem.text.clone();
        if let Some(suffix) = suffix {
            text.push('-');
            text.push_str(&suffix.text);
        }
        text.push_str(".service");
        Escaped { text, language: std::marker::PhantomData }
    }

    /// The slice of a resource partition: `/machine/a-b` is `machine-a\x2db.slice`.
    pub fn slice(partition: &str) -> Result<Escaped<UnitName>, Unfit> {
        let path = absolute::<UnitName>(partition)?;
        let mut text = String::new();
        for component in path.split('/').filter(|c| !c.is_empty()) {
            if !text.is_empty() {
                text.push('-');
            }
            let start = text.len();
            UnitName::spell(component, &mut text)?;
            let escaped = text.split_off(start).replace('-', "\\x2d");
            text.push_str(&escaped);
        }
        text.push_str(if text.is_empty() { "-.slice" } else { ".slice" });
        if text.len() > 250 {
            return Err(unfit::<UnitName>("a partition of more than 250 bytes"));
        }
        Ok(Escaped { text, language: std::marker::PhantomData })
    }
}

fn check_length<L: Language>(value: &str) -> Result<(), Unfit> {
    if value.len() > LONGEST_VALUE {
        return Err(unfit::<L>(format!("a value of {} bytes", value.len())));
    }
    Ok(())
}

/// Appends a word of a list, in quotes when it needs them. Lists differ in whether they know `\xNN`, so that
/// control characters (but a tab) must have been refused.
fn spell_word(value: &str, out: &mut String) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@+=,./-".contains(&b);
    match !value.is_empty() && value.bytes().all(plain) {
        true => out.push_str(value),
        false => quote(value, out),
    }
}

/// Appends a word in quotes, in the way of units and of tmpfiles.d: neither a quote nor a specifier in it counts.
pub(super) fn quote(value: &str, out: &mut String) {
    out.push('"');
    for c in value.chars() {
        match c {
            '\\' | '"' => out.push('\\'),
            '%' => out.push('%'),
            _ => {}
        }
        out.push(c);
    }
    out.push('"');
}

/// Appends a quoted word; `variables` says whether `$` would be expanded.
fn spell_quoted<L: Language>(value: &str, out: &mut String, variables: bool) -> Result<(), Unfit> {
    // JSON reads better without a backslash at each quote.
    let quote = if value.contains('"') && !value.contains('\'') { '\'' } else { '"' };
    out.push(quote);
    for c in value.chars() {
        match c {
            '\0' => return Err(unfit::<L>("a NUL byte")),
            '\\' => out.push_str("\\\\"),
            '"' if quote == '"' => out.push_str("\\\""),
            '%' => out.push_str("%%"),
            '$' if variables => out.push_str("$$"),
            // Writing to a String cannot fail.
            control if control.is_ascii_control() => drop(write!(out, "\\x{:02x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push(quote);
    Ok(())
}
