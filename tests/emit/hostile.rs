//! Hostile values: each output holds exactly one entry with exactly that value, or there is a diagnostic.

use super::{apparmor, plans, tools};
use std::collections::BTreeSet;
use std::process::Command;
use virtc::emit::Artifact;
use virtc::plan::*;

/// What has broken other generators, and every metacharacter of the languages written here.
const HOSTILE: &[&str] = &[
    "plain",
    "with blank",
    " leading",
    "trailing ",
    "tab\there",
    "a,b",
    "a,,b",
    ",key=value",
    "a=b",
    "a;b",
    ";",
    "a|b",
    "a&b",
    "a#b",
    "#",
    "'",
    "it's",
    "\"",
    "a\"b",
    "\" rw, \"/x",
    "`id`",
    "$(id)",
    "$HOME",
    "${HOME}",
    "$$",
    "$",
    "%",
    "%n",
    "%%",
    "100%",
    "%Z",
    "\\",
    "a\\",
    "a\\b",
    "a\\\\",
    "\\n",
    "\\x22",
    "\\042",
    "\\\"",
    "*",
    "**",
    "a*b",
    "?",
    "[a-z]",
    "[",
    "]",
    "[!a]",
    "{a,b}",
    "{",
    "}",
    "{a}",
    "^",
    "a^b",
    "~",
    "~root",
    "!",
    "@",
    "@{HOME}",
    "\\@{HOME}",
    "\\x40{HOME}",
    "@@",
    "-",
    "-dash",
    "--",
    "+plus",
    "+!cmd",
    ":",
    "a:b",
    "(",
    ")",
    "(/.*)?",
    "<",
    ">",
    "<a>",
    "&lt;",
    "a.b",
    "..a",
    "...",
    "é",
    "日本",
    "\u{1f4a9}",
    "\u{2028}",
    "\u{202e}",
    "\u{fffd}",
    "\u{feff}",
    "a/b",
    "a//b",
    "a/./b",
    "{{x}}",
    "{{{x}}}",
    "{{#if}}",
    "\u{7f}",
    "a\u{1}b",
    "a\nb",
    "\n[Service]\nUser=root",
    "a\rb",
    "x\"\n}\nprofile y {",
    "\0",
    "a\0b",
    "/etc/shadow\" rw,",
    "\\\n",
    "# include <x>",
    "\"; DROP",
    "a\u{85}b",
    "%h/%u",
    "$1",
    "a\\ b",
    "deny",
    "rwk,",
    "\\*",
    "\\[a\\]",
    "a??b",
    "[[:alpha:]]",
    "{}",
    "nul\u{0}",
    "é\\",
    "%\\",
];

/// A plan whose disk, and a file of a directive of its own, has this name.
fn with_path(value: &str) -> (Plan, String) {
    let path = format!("/srv/vm/{value}");
    let mut plan = plans::server();
    plan.access.push(Access { cause: plans::cause("the hostile one", 77), ..plans::disk(&path) });
    let mut props = Props::driver("file");
    props.set("filename", path.clone());
    plan.processes[0].args.push(Arg::props("-blockdev", props, Form::Json, Cause::default()));
    let mut name = Props::with("id", path.clone());
    name.set("end", true);
    plan.processes[0].args.push(Arg::props("-set", name, Form::Options, Cause::default()));
    plan.processes[0].args.push(Arg::text("-append", value, Cause::default()));
    plan.processes[0].env.push(("HOSTILE".into(), value.to_string()));
    // What the languages make of a path: no repeated slashes, no dots.
    let mut expected = path.replace("//", "/").replace("/./", "/");
    while expected.len() > 1 && expected.ends_with('/') {
        expected.pop();
    }
    (plan, expected)
}

fn each(mut check: impl FnMut(&str, &Plan, &str, &[Artifact])) {
    let mut fits = 0;
    for value in HOSTILE {
        let (plan, path) = with_path(value);
        match plans::try_tree(&plan) {
            Ok(tree) => {
                fits += 1;
                check(value, &plan, &path, &tree);
            }
            Err(messages) => {
                assert!(value.contains(|c: char| c.is_ascii_control()), "{value:?} was refused: {messages:?}");
                assert!(messages.iter().any(|m| m.contains("cannot express")), "{value:?}: {messages:?}");
            }
        }
    }
    // Only what holds a control character may be refused.
    assert!(fits > 100, "{fits} of {}", HOSTILE.len());
}

#[test]
fn apparmor_has_one_rule_for_the_path_itself() {
    let Some(parser) = tools::tool("apparmor_parser", "apparmor") else { return };
    let _ = parser;
    each(|value, plan, path, tree| {
        let files = plans::text(tree, ".files");
        let rules: Vec<&str> = files.lines().filter(|l| l.ends_with("# the hostile one (line 77)")).collect();
        assert_eq!(rules.len(), 1, "{value:?}:\n{files}");
        let plain = plans::tree(&plans::server());
        let (lines, plain) = (files.lines().count(), plans::text(&plain, ".files").lines().count());
        assert_eq!(lines, plain + 1, "{value:?} adds lines");
        assert_eq!(unquote(rules[0]), path, "{value:?}");
        let root = tempfile::tempdir().unwrap();
        plans::write(tree, root.path());
        let (success, output) = apparmor::compile(root.path(), &plan.uuid, &[]).unwrap();
        assert!(success && output.is_empty(), "{value:?}: {output}\n{}", rules[0]);
    });
}

/// The path of a rule, read as the parser does: quoted, a backslash before a metacharacter.
fn unquote(rule: &str) -> String {
    let mut out = String::new();
    let mut chars = rule.trim_start().chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('x') => {
                    let hex: String = chars.by_ref().take(2).collect();
                    out.push(char::from(u8::from_str_radix(&hex, 16).expect("two digits")));
                }
                other => out.extend(other),
            },
            '"' => break,
            '*' | '?' | '[' | ']' | '{' | '}' | '^' => panic!("an open {c} in {rule}"),
            other => out.push(other),
        }
    }
    out
}

#[test]
fn systemd_splits_the_command_line_into_the_same_tokens() {
    let Some(analyze) = tools::tool("systemd-analyze", "systemd") else { return };
    // All in one run: each value has a unit of its own.
    let root = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    each(|value, plan, _, tree| {
        let text = plans::text(tree, "virtc-web.service");
        let unit = root.path().join(format!("u{}.service", units.len()));
        std::fs::write(&unit, text).unwrap();
        units.push(unit);
        let command = text.split_once("ExecStart=").expect("a command").1;
        let mut line = String::new();
        for part in command.lines() {
            match part.strip_suffix('\\') {
                Some(part) if part.ends_with(' ') => line.push_str(part),
                _ => {
                    line.push_str(part);
                    break;
                }
            }
        }
        let mut expected = vec![plan.processes[0].program.clone()];
        expected.extend(virtc::emit::argv::tokens(&plan.processes[0]));
        assert_eq!(split(&line), expected, "{value:?}");
        let keys: Vec<&str> = text.lines().filter_map(|l| l.split_once('=')).map(|(k, _)| k).collect();
        let plain = plans::tree(&plans::server());
        let known: BTreeSet<&str> = plans::text(&plain, "virtc-web.service")
            .lines()
            .filter_map(|l| l.split_once('='))
            .map(|(k, _)| k)
            .collect();
        let mine = |k: &&&str| !k.starts_with(' ') && !known.contains(*k);
        assert_eq!(keys.iter().filter(mine).count(), 0, "{value:?} adds a directive:\n{text}");
    });
    let remarks =
        tools::remarks(Command::new(analyze).args(["verify", "--recursive-errors=no", "--man=no"]).args(&units));
    assert!(remarks.is_empty(), "{remarks:#?}");
}

/// Splits a command line by systemd's rules (systemd.service(5), "Command lines").
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.peek().copied() {
        if first == ' ' {
            chars.next();
            continue;
        }
        let mut bytes = Vec::new();
        let quoted = first == '"' || first == '\'';
        if quoted {
            chars.next();
        }
        while let Some(c) = chars.next() {
            match c {
                c if quoted && c == first => break,
                ' ' if !quoted => break,
                '\\' => match chars.next() {
                    Some('x') => {
                        let hex: String = chars.by_ref().take(2).collect();
                        bytes.push(u8::from_str_radix(&hex, 16).expect("two digits"));
                    }
                    Some(c @ ('\\' | '"')) => bytes.push(c as u8),
                    other => panic!("the escape \\{other:?}"),
                },
                '%' | '$' => {
                    assert_eq!(chars.next(), Some(c), "a lone {c} in {line}");
                    bytes.push(c as u8);
                }
                other => bytes.extend(other.to_string().as_bytes()),
            }
        }
        words.push(String::from_utf8(bytes).expect("UTF-8"));
    }
    words
}

#[test]
fn a_shell_reads_the_same_tokens() {
    each(|value, plan, _, _| {
        let mut process = plan.processes[0].clone();
        process.program = "/usr/bin/printf".into();
        process.args.insert(0, Arg::switch("%s\\0", Cause::default()));
        let mut script = String::new();
        virtc::emit::argv::write(&mut script, &process, virtc::emit::argv::Format::Shell);
        let output = Command::new("sh").arg("-c").arg(script).output().expect("sh");
        let tokens = virtc::emit::argv::tokens(&process);
        let got: Vec<String> =
            output.stdout.split(|b| *b == 0).map(|t| String::from_utf8_lossy(t).into_owned()).collect();
        assert_eq!(got[..got.len() - 1], tokens[1..], "{value:?}");
    });
}

#[test]
fn selinux_tables_have_one_line_for_the_path_itself() {
    each(|value, _, path, tree| {
        let labels = plans::text(tree, "selinux/labels");
        let of_path: Vec<&str> = labels.lines().filter(|l| l.ends_with("\tthe hostile one (line 77)")).collect();
        assert_eq!(of_path.len(), 1, "{value:?}");
        let field =
            of_path[0].split_once("\tyes\t").and_then(|(_, rest)| rest.strip_suffix("\tthe hostile one (line 77)"));
        // A tab would end the field.
        let spelled = path.replace('\\', "\\\\").replace('\t', "\\t");
        assert_eq!(field, Some(spelled.as_str()), "{value:?}");
        let contexts = plans::text(tree, "selinux/file_contexts");
        assert_eq!(contexts.lines().filter(|l| l.starts_with('/')).count(), 2, "{value:?}\n{contexts}");
    });
}

#[test]
fn a_hostile_name_is_one_part_of_a_path_and_one_line_of_prose() {
    let Some(analyze) = tools::tool("systemd-analyze", "systemd") else { return };
    let root = tempfile::tempdir().unwrap();
    let mut names = BTreeSet::new();
    for (i, value) in HOSTILE.iter().enumerate() {
        let mut plan = plans::server();
        plan.name = value.to_string();
        plan.title = Some(format!("{value} title {value}"));
        let Ok(tree) = plans::try_tree(&plan) else { panic!("{value:?} was refused") };
        let unit = tree.iter().find(|a| a.path.ends_with(".service")).unwrap();
        let file = unit.path.strip_prefix("usr/lib/systemd/system/").expect("a unit");
        assert!(file.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.\\-".contains(&b)), "{file}");
        assert!(names.insert(file.to_string()), "two names make {file}");
        let plain = plans::tree(&plans::server());
        let lines = plans::text(&plain, ".service").lines().count();
        assert_eq!(unit.contents.lines().count(), lines, "{value:?}:\n{}", unit.contents);
        std::fs::write(root.path().join(format!("n{i}.service")), &unit.contents).unwrap();
        let (success, output) = {
            let folder = tempfile::tempdir().unwrap();
            plans::write(&tree, folder.path());
            match apparmor::compile(folder.path(), &plan.uuid, &[]) {
                Some(said) => said,
                None => return,
            }
        };
        assert!(success && output.is_empty(), "{value:?}: {output}");
    }
    let units: Vec<_> = std::fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().path()).collect();
    let remarks =
        tools::remarks(Command::new(analyze).args(["verify", "--recursive-errors=no", "--man=no"]).args(&units));
    assert!(remarks.is_empty(), "{remarks:#?}");
}

#[test]
fn labels_that_are_none_are_refused() {
    for label in ["a:b", "u:r:t:s0\" x", "u:r:t:s0 x", "u:r:t:s0\nx", "u:r:t:c1", "", "u:r:t:s0:c1,"] {
        let mut plan = plans::server();
        plan.confinement.selinux.as_mut().unwrap().process = label.into();
        assert!(plans::try_tree(&plan).is_err(), "{label:?}");
    }
    for profile in ["a b", "x {", "\"", "a\nb", ""] {
        let mut plan = plans::server();
        plan.confinement.apparmor.as_mut().unwrap().profile = profile.into();
        assert!(plans::try_tree(&plan).is_err(), "{profile:?}");
    }
}

#[test]
fn a_device_that_systemd_takes_no_rule_for_is_told() {
    let mut plan = plans::server();
    plan.access.push(plans::device("/srv/node", "x", Sharing::Exclusive));
    let mut diags = virtc::diag::Diagnostics::new();
    let tree = virtc::emit::all(&plan, &Default::default(), &virtc::emit::Templates::built_in(), &mut diags);
    // A plain file may lie there, which needs none.
    assert!(!plans::text(&tree, ".service").lines().any(|l| l.starts_with("DeviceAllow") && l.contains("/srv/node")));
    let said: Vec<&str> = diags.iter().map(|d| d.message.as_str()).collect();
    assert!(said.len() == 1 && said[0].contains("'/srv/node'"), "{said:?}");
}

#[test]
fn values_that_systemd_would_drop_are_refused() {
    let refused = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plans::server();
        change(&mut plan);
        plans::try_tree(&plan).err().unwrap_or_else(|| panic!("taken: {:?}", plan.limits))
    };
    refused(&|p| p.limits.memory_hard = Some(0));
    refused(&|p| p.limits.cpuset = Some([9000].into_iter().collect()));
    refused(&|p| p.limits.cpuset = Some(Default::default()));
    refused(&|p| p.limits.cpu_bandwidth.push(("global".into(), Some(10), Some(10))));
    refused(&|p| p.limits.partition = Some("/a/../b".into()));
    refused(&|p| p.limits.partition = Some("relative".into()));
    refused(&|p| p.confinement.user = Some("root:x".into()));
    refused(&|p| p.confinement.user = Some("4294967295".into()));
    refused(&|p| p.confinement.group = Some("a b".into()));
    refused(&|p| p.access.push(plans::disk("relative")));
    refused(&|p| p.access.push(plans::disk("/a/../b")));
}
