//! `virtc build --emit make|ninja`: the rules by which a build tool compiles only what changed.
//!
//! One rule compiles all machines: virtc looks at them together (ports, category pairs, names), and is faster than the tool
//! is with a rule for each. What it reads besides (locks, facts, the project file) is listed as it was found.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The languages.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// A Makefile
    Make,
    /// A build.ninja
    Ninja,
}

/// What the rules are made of.
pub struct Rules<'a> {
    /// The domains.
    pub files: &'a [PathBuf],
    /// What else is read: locks, host facts, capabilities, the project file.
    pub read: &'a [PathBuf],
    /// The tree.
    pub output: &'a Path,
    /// Options that are given again: `--host`, `--caps`, …
    pub options: &'a [String],
}

/// The text of the rules; an error for a name that the language cannot spell.
pub fn rules(tool: Tool, rules: &Rules<'_>) -> Result<String, String> {
    let name = |path: &Path| spelled(tool, &path.display().to_string());
    let words = |paths: &[PathBuf]| paths.iter().map(|p| name(p)).collect::<Result<Vec<_>, _>>();
    let (files, read, output) = (words(rules.files)?, words(rules.read)?, name(rules.output)?);
    let command: Vec<String> = rules
        .options
        .iter()
        .map(|o| shell(tool, o))
        .chain(rules.files.iter().map(|f| shell(tool, &f.display().to_string())))
        .collect();
    let target = shell(tool, &rules.output.display().to_string());
    let mut out = String::from("# Made by `virtc build --emit`: make it anew when machines come or go.\n");
    let command = format!("virtc build -o {target} {}", command.join(" "));
    match tool {
        Tool::Make => {
            let _ = write!(
                out,
                "VIRTC = virtc\n\n.PHONY: all check clean\nall: {output}/.built\n\n{output}/.built: {}\n\t{}\n\ttouch {target}/.built\n\n\
                 check:\n\t$(VIRTC) check {}\n\nclean:\n\trm -rf {target}\n",
                [files.clone(), read].concat().join(" \\\n  "),
                command.replacen("virtc", "$(VIRTC)", 1),
                rules.files.iter().map(|f| shell(tool, &f.display().to_string())).collect::<Vec<_>>().join(" "),
            );
        }
        Tool::Ninja => {
            let _ = write!(
                out,
                "virtc = virtc\n\nrule machines\n  command = {} && touch {target}/.built\n  description = virtc {} machines\n\n\
                 build {output}/.built: machines {}{}\n\ndefault {output}/.built\n",
                command.replacen("virtc", "$virtc", 1),
                rules.files.len(),
                files.join(" "),
                if read.is_empty() { String::new() } else { format!(" | {}", read.join(" ")) },
            );
        }
    }
    Ok(out)
}

/// A name as the tool reads it among targets and prerequisites.
fn spelled(tool: Tool, name: &str) -> Result<String, String> {
    let cannot = |c: char| match tool {
        // make cannot have these in a name at all, or reads them as something else whatever stands before them.
        Tool::Make => {
            matches!(c, '\n' | '\r' | '"' | '\'' | ';' | '=' | '*' | '?' | '[' | ']' | '~' | '|' | '&' | '\\' | '`')
        }
        Tool::Ninja => matches!(c, '\n' | '\r' | '|'),
    };
    if let Some(c) = name.chars().find(|c| cannot(*c)) {
        return Err(format!("the name '{}' has a {c:?}, which the tool cannot have in a name", name.escape_default()));
    }
    let mut out = String::new();
    for c in name.chars() {
        match (tool, c) {
            (Tool::Make, ' ' | '\t' | '#' | ':' | '%') => out.extend(['\\', c]),
            (Tool::Make, '$') => out.push_str("$$"),
            (Tool::Ninja, ' ' | ':' | '$') => out.extend(['$', c]),
            (_, c) => out.push(c),
        }
    }
    Ok(out)
}

/// A word of the shell in a command of the tool.
fn shell(tool: Tool, word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=,:@+".contains(c));
    let quoted = if plain { word.to_string() } else { format!("'{}'", word.replace('\'', "'\\''")) };
    match tool {
        Tool::Make | Tool::Ninja => quoted.replace('$', "$$"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled() {
        assert_eq!(spelled(Tool::Make, "a b$c.xml").as_deref(), Ok("a\\ b$$c.xml"));
        assert_eq!(spelled(Tool::Ninja, "a b:c.xml").as_deref(), Ok("a$ b$:c.xml"));
        assert!(spelled(Tool::Make, "a\nb").is_err() && spelled(Tool::Ninja, "a|b").is_err());
        assert_eq!(shell(Tool::Make, "it's $x"), "'it'\\''s $$x'");
    }
}
