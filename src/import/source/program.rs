//! Which word of a command is QEMU.

use super::line::{Line, Word, is_assignment};
use crate::diag::Span;

/// Commands that speak of QEMU and do not start it.
const SPEAK_OF_IT: &[&str] = &[
    "apk", "apt", "apt-get", "brew", "cat", "command", "cp", "dnf", "dpkg", "echo", "export", "file", "grep", "hash",
    "install", "kill", "killall", "ldd", "ln", "ls", "man", "modprobe", "pacman", "pgrep", "pkill", "printf", "pidof",
    "rm", "rmmod", "test", "type", "usermod", "whereis", "which", "yum", "zypper", "[", "[[", "setcap", "chmod",
    "chown", "if", "elif", "local", "readonly",
];

/// Whether a word is the name or the path of a QEMU that runs machines.
pub fn is_qemu(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    matches!(name, "kvm" | "qemu-kvm" | "qemu") || architecture(name).is_some()
}

/// The architectures for which there is a QEMU, as its programs spell them.
const ARCHITECTURES: &[&str] = &[
    "aarch64",
    "alpha",
    "arm",
    "avr",
    "cris",
    "hppa",
    "i386",
    "loongarch64",
    "m68k",
    "microblaze",
    "microblazeel",
    "mips",
    "mips64",
    "mips64el",
    "mipsel",
    "nios2",
    "or1k",
    "ppc",
    "ppc64",
    "riscv32",
    "riscv64",
    "rx",
    "s390x",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc64",
    "armv7l",
    "tricore",
    "x86_64",
    "xtensa",
    "xtensaeb",
];

/// Endings that packages add when they put a wrapper in the program's place.
const WRAPPED: &[&str] = &["-unsigned", "-spice", "-wrapped", "-microvm", ".real", ".bin"];

/// The architecture in the name of a program.
pub fn architecture(name: &str) -> Option<&'static str> {
    let name = name.trim_start_matches('.');
    let name = name.strip_suffix(".exe").unwrap_or(name).strip_prefix("qemu-system-")?;
    let name = WRAPPED.iter().fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
    ARCHITECTURES.iter().copied().find(|arch| *arch == name.trim_end_matches('w') || *arch == name)
}

/// The command line in the words of one command; none if it is about something else. What stands before the program, other
/// than the environment, is told to `left`.
pub fn split(words: Vec<Word>, directory: Option<&str>, left: &mut dyn FnMut(Span, String)) -> Option<Line> {
    let at = find(&words)?;
    let mut environment = Vec::new();
    let mut prefix: Vec<&Word> = Vec::new();
    // Settings of a wrapper look like those of the environment.
    let mut open = true;
    for word in &words[..at] {
        let text = word.text.as_str();
        // What starts another program and adds nothing.
        if matches!(text, "exec" | "env" | "nohup" | "sudo" | "doas" | "time" | "setsid") {
            open = true;
        } else if open && is_assignment(text) {
            environment.push(word.clone());
        } else {
            open &= text.starts_with('-');
            prefix.push(word);
        }
    }
    if let (Some(first), Some(last)) = (prefix.first(), prefix.last()) {
        let text: Vec<&str> = prefix.iter().map(|w| w.text.as_str()).collect();
        left(
            Span { start: first.span.start, end: last.span.end },
            format!("left out: what stands before the program: {}", text.join(" ")),
        );
    }
    let program = words[at].clone();
    let arguments = words.into_iter().skip(at + 1).collect();
    Some(Line { environment, program, arguments, directory: directory.map(str::to_string) })
}

/// The place of the program: the first word that is a QEMU, and is followed by a switch or by nothing.
fn find(words: &[Word]) -> Option<usize> {
    let first = words.iter().position(|w| !is_assignment(&w.text))?;
    let base = words[first].text.rsplit('/').next().unwrap_or_default();
    if SPEAK_OF_IT.contains(&base) {
        return None;
    }
    words
        .iter()
        .enumerate()
        .skip(first)
        .position(|(i, word)| {
            // A bare `kvm` or `qemu` is a word like others, unless it is the command itself.
            let sure = i == first || word.text.contains("qemu-") || word.text.starts_with('/');
            let switch = words.get(i + 1).is_none_or(|next| next.text.starts_with('-') || i == first);
            sure && switch && is_qemu(&word.text)
        })
        .map(|i| i + first)
}

/// What to say of a text in which no QEMU was found.
pub fn nearest(text: &str) -> (Span, String) {
    if let Some(at) = text.find("qemu-system-") {
        let name: &str = text[at..]
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | ')'))
            .next()
            .unwrap_or_default();
        let span = Span::new(at, at + name.len());
        if architecture(name).is_none() {
            return (span, format!("'{name}' is not QEMU, but a program with a name like it: its switches are others"));
        }
        return (
            span,
            "no command of this file starts this QEMU in a way that can be read without running it".to_string(),
        );
    }
    (
        Span::new(0, text.len().min(1)),
        "there is no command line of QEMU in this file: no command whose program is qemu-system-ARCH, qemu-kvm or kvm"
            .to_string(),
    )
}
