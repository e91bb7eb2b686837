//! Rules of udev.

use super::{Escaped, Language, Unfit, format, refuse_control, unfit};

/// A value that is compared, in quotes: a pattern that matches this text alone.
pub struct UdevMatch;

impl Language for UdevMatch {
    type Format = format::Systemd;
    const NAME: &'static str = "an udev rule";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        refuse_control::<Self>(value, &[])?;
        // A bar separates patterns and cannot be escaped; quotes and backslashes are read differently by versions of udev.
        if let Some(odd) = value.chars().find(|c| matches!(c, '|' | '"' | '\\')) {
            return Err(unfit::<Self>(format!("'{odd}' in '{value}'")));
        }
        out.push('"');
        for c in value.chars() {
            match c {
                '*' | '?' | '[' => {
                    out.push('[');
                    out.push(c);
                    out.push(']');
                }
                other => out.push(other),
            }
        }
        out.push('"');
        Ok(())
    }
}

impl Escaped<UdevValue> {
    /// The same without its quotes, as a part of another value.
    pub fn unquoted(mut self) -> Escaped<UdevValue> {
        self.text = self.text.trim_matches('"').to_string();
        self
    }
}

/// A value that is assigned, in quotes: an account, a link below `/dev`, a context.
pub struct UdevValue;

impl Language for UdevValue {
    type Format = format::Systemd;
    const NAME: &'static str = "an udev rule";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.:,+/@-".contains(c);
        if let Some(odd) = value.chars().find(|c| !plain(*c)) {
            return Err(unfit::<Self>(format!("'{odd}' in '{value}'")));
        }
        out.push('"');
        out.push_str(value);
        out.push('"');
        Ok(())
    }
}
