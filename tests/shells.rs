//! `virtc completions`, in the shells themselves: what they offer where one presses Tab.

use crate::common::{root, tool, virtc};
use std::path::PathBuf;
use std::process::Command;

/// A folder with the script of a shell, and a `virtc` for it on the path.
struct Shell {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Shell {
    fn of(name: &str) -> Option<Shell> {
        let program = tool(name, name)?;
        let folder = tempfile::tempdir().expect("a folder");
        let script = virtc().args(["completions", name]).output().expect("virtc runs");
        assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
        std::fs::write(folder.path().join("script"), script.stdout).expect("written");
        std::os::unix::fs::symlink(virtc().get_program(), folder.path().join("virtc")).expect("a link");
        Some(Shell { folder, program })
    }

    /// What a command line of this shell prints, line by line.
    fn says(&self, option: &str, line: &str) -> Vec<String> {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap_or_default());
        let out = Command::new(&self.program)
            .args([option, line])
            .env("PATH", path)
            .env("SCRIPT", self.folder.path().join("script"))
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .current_dir(root())
            .output()
            .expect("the shell runs");
        eprint!("{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).lines().map(|l| l.trim_end().to_string()).collect()
    }
}

/// What is offered where, whatever the shell: words before, what is typed, some that are offered, one that is not.
const OFFERED: [(&[&str], &str, &[&str], &str); 12] = [
    (&[], "ex", &["explain"], "build"),
    (&["explain"], "VC010", &["VC0101", "VC0103"], "VC0201"),
    (&["explain"], "examples/s", &["examples/server.xml", "examples/storage.xml"], "examples/host.kdl"),
    (&["argv"], "examples/d", &["examples/desktop.xml"], "examples/server.xml"),
    (&["argv", "--caps"], "qemu-10", &["qemu-10.0", "qemu-10.2"], "qemu-7.2"),
    (&["check", "--deny"], "s", &["security", "surprise"], "data"),
    (&["build", "--host"], "deb", &["debian-12", "debian-13"], "here"),
    (&["build", "--target"], "lib", &["libvirt@11.3"], "standalone"),
    (&["schema"], "devices/disk/so", &["devices/disk/source"], "devices/disk/target"),
    (&["argv"], "--ca", &["--caps"], "--host"),
    (&["list"], "--", &["--names", "--connect"], "--caps"),
    (&["completions"], "", &["bash", "fish", "zsh"], "explain"),
];

fn quoted(words: &[&str], typed: &str) -> String {
    let all = std::iter::once("virtc").chain(words.iter().copied()).chain([typed]);
    all.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

/// Holds what a shell offers against the table. `ask` makes its command line, from the words and what is typed.
fn offers(shell: &Shell, option: &str, ask: impl Fn(&[&str], &str) -> String) {
    for (words, typed, wanted, unwanted) in OFFERED {
        let said = shell.says(option, &ask(words, typed));
        let has = |word: &str| said.iter().any(|line| line.split(['\t', ' ']).next() == Some(word));
        for word in wanted {
            assert!(has(word), "{words:?} {typed:?}: {word} is not among {said:#?}");
        }
        assert!(!has(unwanted), "{words:?} {typed:?}: {said:#?}");
    }
}

#[test]
fn bash_offers_what_can_stand_there() {
    let Some(shell) = Shell::of("bash") else { return };
    offers(&shell, "-c", |words, typed| {
        let (all, at) = (quoted(words, typed), words.len() + 1);
        format!(
            "source \"$SCRIPT\"; COMP_WORDS=({all}); COMP_CWORD={at}; COMP_TYPE=9; compopt() {{ :; }}; \
             _clap_complete_virtc virtc '{typed}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
    });
}

#[test]
fn fish_offers_what_can_stand_there() {
    let Some(shell) = Shell::of("fish") else { return };
    offers(&shell, "-c", |words, typed| format!("source $SCRIPT; complete -C \"virtc {} {typed}\"", words.join(" ")));
}

#[test]
fn zsh_offers_what_can_stand_there() {
    let Some(shell) = Shell::of("zsh") else { return };
    // What shows the candidates is of the line editor: here it prints them. A colon stands before their help.
    offers(&shell, "-fc", |words, typed| {
        let (all, at) = (quoted(words, typed), words.len() + 2);
        format!(
            "compdef() {{ :; }}; compadd() {{ :; }}; _describe() {{ print -rl -- ${{${{(P)3}}%%:*}}; }}; \
             source $SCRIPT; words=({all}); CURRENT={at}; _clap_dynamic_completer_virtc"
        )
    });
}

#[test]
fn who_asks_wrongly_gets_an_answer_all_the_same() {
    let answer = |variables: &[(&str, &str)], args: &[&str]| {
        let out = virtc().args(args).envs(variables.iter().copied()).output().expect("virtc runs");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (status, said) = answer(&[("VIRTC_COMPLETE", "nosuch")], &["--", "virtc", ""]);
    assert!(status == Some(2) && said.contains("nosuch"), "{status:?} {said}");
    assert_eq!(answer(&[("VIRTC_COMPLETE", "")], &["--version"]).0, Some(0));
    assert_eq!(answer(&[("VIRTC_COMPLETE", "bash")], &["--"]).0, Some(0));
    // A place that is not there: an answer with a status, and no panic.
    let (status, said) = answer(&[("VIRTC_COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", "99")], &["--", "virtc"]);
    assert!(status == Some(2) && said.starts_with("virtc: "), "{status:?} {said}");
}

#[test]
fn an_option_without_meaning_is_refused() {
    for args in [["list", "--caps", "nosuch"], ["schema", "--host", "here"], ["man", "--env", "A=b"]] {
        let out = virtc().args(args).output().expect("virtc runs");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains(args[1]) && said.contains(args[0]), "{said}");
    }
}
