//! Makefiles (GNU make).

use super::{Language, Unfit, refuse_control, unfit};

/// A target or prerequisite.
pub struct MakePath;

impl Language for MakePath {
    const NAME: &'static str = "a Makefile";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        refuse_control::<Self>(value, &['\t'])?;
        if value.is_empty() {
            return Err(unfit::<Self>("an empty file name"));
        }
        // make expands a leading tilde, and has no way to quote an equals sign or a pair of parentheses.
        if value.starts_with('~') {
            out.push_str("./");
        }
        for odd in ['=', '(', ')'] {
            if value.contains(odd) {
                return Err(unfit::<Self>(format!("'{odd}' in a file name")));
            }
        }
        let mut backslashes = 0;
        for c in value.chars() {
            match c {
                '$' => out.push('$'),
                ' ' | '\t' | '#' | ':' | ';' | '%' | '*' | '?' | '[' | ']' | '|' | '&' => {
                    // Backslashes in front of an escaped character count as escapes themselves.
                    (0..backslashes).for_each(|_| out.push('\\'));
                    out.push('\\');
                }
                _ => {}
            }
            backslashes = if c == '\\' { backslashes + 1 } else { 0 };
            out.push(c);
        }
        (0..backslashes).for_each(|_| out.push('\\'));
        Ok(())
    }
}
