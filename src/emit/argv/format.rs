//! Texts that show a command line.

use super::{TokenKind, each_token, write_string};
use crate::emit::traced::{Mark, Traced};
use crate::plan::Process;

crate::vocab::keywords! {
    /// How a command line is shown (`--format`).
    pub enum Format {
        /// A command for a POSIX shell, one switch a line.
        Shell = "shell",
        /// One token a line: the environment as KEY=VALUE, the program, the arguments. A token that holds a
        /// newline, or begins with `$'`, stands in the shell's ANSI-C quotes, `$'a\nb'`, so that a line is
        /// always one token and can be read back.
        Lines = "lines",
        /// `{"environment": ["KEY=VALUE", …], "argv": ["/usr/bin/qemu…", …]}`.
        Json = "json",
    }
}

/// Appends the command line of a process, environment first, and a newline.
pub fn write(out: &mut String, process: &Process, format: Format) {
    out.reserve(process.args.len() * 64);
    match format {
        Format::Lines => write_lines(out, process),
        Format::Shell => write_shell(out, process, |_| {}),
        Format::Json => write_json(out, process),
    }
}

fn write_lines(out: &mut String, process: &Process) {
    for (key, value) in &process.env {
        let start = out.len();
        out.push_str(key);
        out.push('=');
        out.push_str(value);
        requote_line(out, start);
        out.push('\n');
    }
    let mut scratch = String::new();
    each_token(process, &mut scratch, |_, token| {
        let start = out.len();
        out.push_str(token);
        requote_line(out, start);
        out.push('\n');
    });
}

/// Puts the line from `start` on into ANSI-C quotes if it cannot stand by itself.
fn requote_line(out: &mut String, start: usize) {
    let line = &out[start..];
    if !line.contains(['\n', '\r']) && !line.starts_with("$'") {
        return;
    }
    let token = out.split_off(start);
    out.push_str("$'");
    for c in token.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            other => out.push(other),
        }
    }
    out.push('\'');
}

/// The command for a shell, and what each of its arguments comes from.
pub fn traced(process: &Process) -> Traced {
    let (mut text, mut starts) = (String::new(), Vec::with_capacity(process.args.len() + 2));
    write_shell(&mut text, process, |at| starts.push(at));
    // The end stands for the start of a next one, behind a blank, a backslash and a line break.
    starts.push(text.len() + " \\".len());
    let causes = std::iter::once(&process.cause).chain(process.args.iter().map(|arg| &arg.cause));
    let between = starts.windows(2).filter_map(|w| Some(*w.first()?..w.last()?.checked_sub(" \\\n".len())?));
    let marks = between.zip(causes).map(|(range, cause)| Mark { range, cause: cause.clone() }).collect();
    Traced { text, marks }
}

/// Tells `begins` where the program and each argument begin.
fn write_shell(out: &mut String, process: &Process, mut begins: impl FnMut(usize)) {
    // A shell takes NAME=VALUE before a command only if NAME is an identifier; env(1) takes any.
    let plain_names = process.env.iter().all(|(key, _)| is_identifier(key));
    if !plain_names {
        out.push_str("env \\\n");
    }
    for (key, value) in &process.env {
        if plain_names {
            out.push_str(key);
            out.push('=');
            write_quoted(out, value);
        } else {
            write_quoted(out, &format!("{key}={value}"));
        }
        out.push_str(" \\\n");
    }
    let mut scratch = String::new();
    each_token(process, &mut scratch, |kind, token| {
        match kind {
            TokenKind::Program => begins(out.len()),
            TokenKind::Switch => {
                out.push_str(" \\\n");
                begins(out.len());
            }
            TokenKind::Value => out.push(' '),
        }
        // An equals sign in the name of the program would make it an assignment.
        if kind == TokenKind::Program && token.contains('=') {
            write_in_quotes(out, token);
        } else {
            write_quoted(out, token);
        }
    });
    out.push('\n');
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Appends a word for a POSIX shell, in quotes when it needs them.
pub(crate) fn write_quoted(out: &mut String, word: &str) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        out.push_str(word);
    } else {
        write_in_quotes(out, word);
    }
}

fn write_in_quotes(out: &mut String, word: &str) {
    out.push('\'');
    for (i, part) in word.split('\'').enumerate() {
        if i > 0 {
            out.push_str("'\\''");
        }
        out.push_str(part);
    }
    out.push('\'');
}

fn write_json(out: &mut String, process: &Process) {
    out.push_str("{\n  \"environment\": [");
    for (i, (key, value)) in process.env.iter().enumerate() {
        out.push_str(if i > 0 { ",\n    " } else { "\n    " });
        write_string(out, &format!("{key}={value}"));
    }
    out.push_str(if process.env.is_empty() { "],\n  \"argv\": [" } else { "\n  ],\n  \"argv\": [" });
    let mut scratch = String::new();
    let mut first = true;
    each_token(process, &mut scratch, |_, token| {
        out.push_str(if first { "\n    " } else { ",\n    " });
        first = false;
        write_string(out, token);
    });
    out.push_str("\n  ]\n}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Arg, Cause, Form, Props};

    fn sample() -> Process {
        let cause = Cause::default;
        Process {
            program: "/usr/bin/qemu-system-x86_64".into(),
            env: vec![("LC_ALL".into(), "C".into()), ("A".into(), "it's".into())],
            args: vec![
                Arg::switch("-nodefaults", cause()),
                Arg::text("-append", "a b\nc\\", cause()),
                Arg::props("-device", Props::driver("ide-hd"), Form::Json, cause()),
                Arg::props("-name", Props::with("guest", "a,b"), Form::Options, cause()),
                Arg::switch("$'x", cause()),
                Arg::switch("", cause()),
            ],
            ..Process::default()
        }
    }

    fn text(format: Format) -> String {
        let mut out = String::new();
        write(&mut out, &sample(), format);
        out
    }

    #[test]
    fn lines_hold_one_token_each() {
        assert_eq!(
            text(Format::Lines),
            "LC_ALL=C\nA=it's\n/usr/bin/qemu-system-x86_64\n-nodefaults\n-append\n$'a b\\nc\\\\'\n-device\n\
             {\"driver\":\"ide-hd\"}\n-name\nguest=a,,b\n$'$\\'x'\n\n"
        );
    }

    #[test]
    fn json_is_read_back() {
        let value: serde_json::Value = serde_json::from_str(&text(Format::Json)).unwrap();
        assert_eq!(value["environment"][1], "A=it's");
        let mut argv = vec!["/usr/bin/qemu-system-x86_64".to_string()];
        argv.extend(super::super::tokens(&sample()));
        assert_eq!(value["argv"], serde_json::json!(argv));
    }

    #[test]
    fn a_shell_reads_the_same_tokens() {
        let mut process = sample();
        process.program = "printf".into();
        process.args.insert(0, Arg::switch("%s\\0", Cause::default()));
        let mut script = String::new();
        write(&mut script, &process, Format::Shell);
        let output = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
        let got: Vec<&str> = std::str::from_utf8(&output.stdout).unwrap().split_terminator('\0').collect();
        assert_eq!(got, super::super::tokens(&process)[1..]);
    }

    #[test]
    fn odd_names_of_variables_go_through_env() {
        let mut process = sample();
        process.env.push(("A-B".into(), "1".into()));
        let mut script = String::new();
        write(&mut script, &process, Format::Shell);
        assert!(script.starts_with("env \\\nLC_ALL=C \\\n"), "{script}");
    }
}
