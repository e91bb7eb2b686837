//! The words of a command line, as a shell, `virtc argv` or `ps` writes them.

/// Why a text is no command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Byte offset.
    pub at: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// The words of a text in any of the notations of `virtc argv`: a JSON array, one token a line, or a command for
/// a shell, with quotes, comments and continued lines.
///
/// # Errors
/// A quote that is not closed, something that only a shell could expand, JSON that holds no list of texts.
pub fn words(text: &str) -> Result<Vec<String>, Malformed> {
    let trimmed = text.trim_start();
    if trimmed.starts_with('[') || trimmed.starts_with('{') {
        return json(trimmed).ok_or(Malformed { at: 0, what: "expected the JSON of `virtc argv --format json`" });
    }
    if let Some(words) = lines(text) {
        return Ok(words);
    }
    shell(text)
}

/// `{"environment": […], "argv": […]}` or a plain list.
fn json(text: &str) -> Option<Vec<String>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let texts = |list: &serde_json::Value| -> Option<Vec<String>> {
        list.as_array()?.iter().map(|v| v.as_str().map(str::to_string)).collect()
    };
    if value.is_array() {
        return texts(&value);
    }
    let mut out = value.get("environment").map_or(Some(Vec::new()), texts)?;
    out.extend(texts(value.get("argv")?)?);
    Some(out)
}

/// One token a line: at least two lines, none of them continued, and the switches stand alone.
fn lines(text: &str) -> Option<Vec<String>> {
    let all: Vec<&str> = text.lines().collect();
    let alone = |line: &&str| line.starts_with('-') && !line.contains(' ');
    let is = all.len() > 2
        && !all.iter().any(|l| l.ends_with('\\'))
        && all.iter().filter(|l| l.starts_with('-')).all(alone)
        && all.iter().any(alone)
        // The program is a line of its own.
        && all.iter().find(|l| !super::is_assignment(l)).is_some_and(|program| !program.contains(' '));
    is.then(|| all.into_iter().map(str::to_string).collect())
}

/// Words of a POSIX shell, as far as they need no shell.
fn shell(text: &str) -> Result<Vec<String>, Malformed> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some((_, '\'')) => break,
                        Some((_, c)) => word.push(c),
                        None => return Err(Malformed { at, what: "this quote is not closed" }),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some((_, '"')) => break,
                        Some((_, '\\')) => match chars.next() {
                            Some((_, '\n')) => {}
                            Some((_, c @ ('"' | '\\' | '$' | '`'))) => word.push(c),
                            Some((_, c)) => word.extend(['\\', c]),
                            None => return Err(Malformed { at, what: "this quote is not closed" }),
                        },
                        Some((at, '$' | '`')) => return Err(Malformed { at, what: EXPANSION }),
                        Some((_, c)) => word.push(c),
                        None => return Err(Malformed { at, what: "this quote is not closed" }),
                    }
                }
            }
            '\\' => match chars.next() {
                Some((_, '\n')) => {}
                Some((_, '\r')) if chars.peek().is_some_and(|(_, c)| *c == '\n') => drop(chars.next()),
                Some((_, c)) => word.get_or_insert_default().push(c),
                None => {}
            },
            '#' if word.is_none() => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            '$' | '`' => return Err(Malformed { at, what: EXPANSION }),
            ';' | '|' | '&' | '<' | '>' | '(' | ')' => {
                return Err(Malformed { at, what: "this is for a shell; give the command line alone" });
            }
            c if c.is_whitespace() => out.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    // What starts a program is none of its words.
    let prefix = out.iter().take_while(|w| matches!(w.as_str(), "exec" | "sudo" | "env" | "nohup")).count();
    Ok(out.split_off(prefix))
}

const EXPANSION: &str = "only a shell can expand this; write the value itself";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        words(text).expect("a command line")
    }

    #[test]
    fn a_shell_command_with_quotes_comments_and_continued_lines() {
        let text = "#!/bin/sh\nsudo LC_ALL=C qemu -name 'a b' \\\n  -append \"x=\\\"1\\\" y\" # the end\n -m 1\\ G";
        assert_eq!(of(text), ["LC_ALL=C", "qemu", "-name", "a b", "-append", "x=\"1\" y", "-m", "1 G"]);
    }

    #[test]
    fn a_token_a_line() {
        assert_eq!(of("A=b c\n/usr/bin/qemu\n-append\nx y 'z\n"), ["A=b c", "/usr/bin/qemu", "-append", "x y 'z"]);
    }

    #[test]
    fn json_of_both_forms() {
        assert_eq!(of(r#"["qemu", "-S"]"#), ["qemu", "-S"]);
        let text = r#"{"environment":["A=b"],"argv":["qemu","-S"]}"#;
        assert_eq!(of(text), ["A=b", "qemu", "-S"]);
    }

    #[test]
    fn what_only_a_shell_could_read() {
        assert_eq!(words("qemu -hda $DISK").unwrap_err().at, 10);
        assert_eq!(words("qemu -hda 'x").unwrap_err().what, "this quote is not closed");
        assert!(words("qemu | less").is_err());
    }
}
