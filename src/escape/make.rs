//! Makefiles (GNU make).

use super::{Language, Unfit, format, refuse_control, unfit};

/// A prerequisite. (In a target, `%` would make a pattern rule.)
pub struct MakePath;

impl Language for MakePath {
    type Format = format::Plain;
    const NAME: &'static str = "a Makefile";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        refuse_control::<Self>(value, &['\t'])?;
        if value.is_empty() {
            return Err(unfit::<Self>("an empty file name"));
        }
        // make expands a leading tilde, and has no way to quote these.
        if value.starts_with('~') {
            out.push_str("./");
        }
        for odd in ['=', '(', ')', ';'] {
            if value.contains(odd) {
                return Err(unfit::<Self>(format!("'{odd}' in a file name")));
            }
        }
        if value.ends_with('\\') {
            return Err(unfit::<Self>("a backslash at the end of a file name"));
        }
        let mut backslashes = 0;
        for c in value.chars() {
            match c {
                '$' => out.push('$'),
                ' ' | '\t' | '#' | ':' | '*' | '?' | '[' | ']' | '|' => {
                    // Backslashes in front of an escaped character count as escapes themselves.
                    (0..backslashes).for_each(|_| out.push('\\'));
                    out.push('\\');
                }
                _ => {}
            }
            backslashes = if c == '\\' { backslashes + 1 } else { 0 };
            out.push(c);
        }
        Ok(())
    }
}
