//! The README and the manual: every command in a block ` ```console ` is run, and what it prints is what stands there.
//!
//! Each page has a folder of its own, with the examples and what `docs/tour` holds; its blocks are one story. A line `…`
//! stands for any lines, and `…` at the end of a line for the rest of it. What a block needs stands behind `console`:
//! ` ```console qemu-img `. With `VIRTC_MANUAL=write` the pages get what is printed now.

use crate::common::{root, skip};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command of a page, and what stands below it.
#[derive(Debug)]
struct Step {
    /// Lines of the page, from 0: the command, and behind the output.
    command: usize,
    end: usize,
    text: String,
    output: Vec<String>,
    needs: Vec<String>,
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let docs = std::fs::read_dir(root().join("docs")).expect("docs").map(|e| e.expect("an entry").path());
    pages.extend(docs.filter(|p| p.extension().is_some_and(|e| e == "md")));
    pages.sort();
    pages
}

/// The commands of a page, in order. A command goes on where its line ends in a backslash.
fn steps(lines: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block: Option<Vec<String>> = None;
    let mut goes_on = false;
    for (at, line) in lines.iter().enumerate() {
        match (&block, line.strip_prefix("```")) {
            (None, Some(kind)) if kind.split(' ').next() == Some("console") => {
                block = Some(kind.split(' ').skip(1).map(str::to_string).collect());
                goes_on = false;
            }
            (None, _) => {}
            (Some(_), Some(_)) => block = None,
            (Some(needs), None) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    goes_on = command.ends_with('\\');
                    let (text, needs) = (command.to_string(), needs.clone());
                    steps.push(Step { command: at, end: at + 1, text, output: Vec::new(), needs });
                }
                (None, Some(step)) if goes_on => {
                    goes_on = line.ends_with('\\');
                    step.text += &format!("\n{line}");
                    (step.command, step.end) = (at, at + 1);
                }
                (None, Some(step)) => {
                    step.output.push((*line).to_string());
                    step.end = at + 1;
                }
                (None, None) => panic!("a block begins without a command: {line}"),
            },
        }
    }
    steps
}

/// Whether what was printed is what stands there.
fn agrees(wanted: &[String], printed: &[&str]) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return printed.is_empty() };
    if first == "…" {
        return (0..=printed.len()).any(|skipped| agrees(rest, &printed[skipped..]));
    }
    let Some((line, more)) = printed.split_first() else { return false };
    let same = match first.strip_suffix('…') {
        Some(start) => line.starts_with(start),
        None => line == first,
    };
    same && agrees(rest, more)
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        std::fs::copy(from, to).expect("copied");
        return;
    }
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn lacks(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    if !found {
        skip(&format!("{program}, for a page of the manual"));
    }
    !found
}

/// Runs the commands of a page; gives what is different, and the page as it should be.
fn told(page: &Path) -> (Vec<String>, String) {
    let text = std::fs::read_to_string(page).expect("a text");
    let lines: Vec<&str> = text.lines().collect();
    let dir = tempfile::tempdir().expect("a folder");
    copy(&root().join("examples"), &dir.path().join("examples"));
    copy(&root().join("docs/tour"), dir.path());
    let own = Path::new(env!("CARGO_BIN_EXE_virtc")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut wrong = Vec::new();
    let mut fresh: Vec<String> = lines.iter().map(|l| (*l).to_string()).collect();
    for step in &steps(&lines) {
        if step.needs.iter().any(|program| lacks(program)) {
            continue;
        }
        let out = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {}", step.text)])
            .current_dir(dir.path())
            .env_clear()
            .envs([("NO_COLOR", "1"), ("LC_ALL", "C.UTF-8"), ("COLUMNS", "100")])
            .env("PATH", format!("{}:{path}", own.display()))
            .env("HOME", dir.path())
            .output()
            .expect("a shell");
        let printed = String::from_utf8_lossy(&out.stdout).replace(&dir.path().display().to_string(), "/home/you");
        let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
        if !agrees(&step.output, &printed) {
            wrong.push(format!("$ {}\n{}", step.text, printed.join("\n")));
            // A line of the page stands for all that is printed below it.
            for line in &mut fresh[step.command + 1..step.end] {
                line.clear();
                line.push('\u{0}');
            }
            fresh[step.command].push_str(&printed.iter().map(|line| format!("\n{line}")).collect::<String>());
        }
    }
    fresh.retain(|line| line != "\u{0}");
    (wrong, fresh.join("\n") + "\n")
}

#[test]
fn every_command_prints_what_the_page_says() {
    let write = std::env::var_os("VIRTC_MANUAL").is_some_and(|word| word == "write");
    let mut wrong = Vec::new();
    for page in pages() {
        let (different, fresh) = told(&page);
        let name = page.strip_prefix(root()).expect("in the repository").display().to_string();
        if write && !different.is_empty() {
            std::fs::write(&page, fresh).expect("written");
        }
        wrong.extend(different.iter().map(|what| format!("{name}: {what}")));
    }
    assert!(
        wrong.is_empty(),
        "VIRTC_MANUAL=write puts this into the pages; look at the difference:\n{}",
        wrong.join("\n\n")
    );
}

/// Holds a text of the manual against what the program knows, or writes it.
fn generated(name: &str, fresh: &dyn Fn(&str) -> String) {
    let file = root().join("docs").join(name);
    let old = std::fs::read_to_string(&file).unwrap_or_default();
    let fresh = fresh(&old);
    if std::env::var_os("VIRTC_MANUAL").is_some_and(|word| word == "write") {
        std::fs::write(&file, &fresh).expect("written");
    }
    assert!(old == fresh, "docs/{name} is not what the program knows: VIRTC_MANUAL=write writes it");
}

#[test]
fn host_facts_are_described_as_they_are_read() {
    generated("host-facts.md", &|old| {
        let (before, rest) = old.split_once("<!-- nodes -->\n").expect("the place of the nodes");
        let (_, behind) = rest.split_once("<!-- end -->\n").expect("their end");
        format!("{before}<!-- nodes -->\n{}<!-- end -->\n{behind}", virtc::host::reference::markdown())
    });
}

#[test]
fn all_lints_are_listed() {
    let text = std::fs::read_to_string(root().join("docs/lints.md")).expect("a text");
    for lint in virtc::diag::lints::LINTS {
        let row = format!("| {} | {} |", lint.code.id, lint.group.as_str());
        assert!(text.contains(&row), "docs/lints.md has no row {row}");
    }
}

#[test]
fn every_link_of_the_manual_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a text");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let there = file.is_empty() || target.contains("://") || page.with_file_name(file).exists();
            if !there {
                wrong.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_way_leads_through_all_pages() {
    let index = std::fs::read_to_string(root().join("docs/README.md")).expect("the index");
    for page in pages() {
        let name = page.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "docs/README.md leads to no {name}");
    }
}

#[test]
fn a_comparison_is_strict_where_nothing_is_left_out() {
    let wanted = |lines: &[&str]| lines.iter().map(|l| (*l).to_string()).collect::<Vec<_>>();
    assert!(agrees(&wanted(&["a", "…", "d"]), &["a", "b", "c", "d"]));
    assert!(agrees(&wanted(&["a", "…"]), &["a"]));
    assert!(agrees(&wanted(&["process 1…"]), &["process 1234"]));
    assert!(!agrees(&wanted(&["a"]), &["a", "b"]));
    assert!(!agrees(&wanted(&["a", "…", "d"]), &["a", "b"]));
}

#[test]
fn tests_that_the_manual_names_are_there() {
    let root = root();
    let text = std::fs::read_to_string(root.join("docs/security.md")).expect("a page of the manual");
    let named =
        text.split('`').skip(1).step_by(2).filter(|word| word.contains("::") && !word.contains(['(', ' ', '/']));
    let mut missing = Vec::new();
    let mut count = 0;
    for name in named {
        count += 1;
        let parts: Vec<&str> = name.split("::").collect();
        let (module, last) = (parts[0], parts[parts.len() - 1]);
        let function = format!("fn {last}(");
        let of_library = root.join("src").join(module).join(last);
        let there = ["tests", "src"].iter().any(|folder| holds(&root.join(folder), module, &function))
            || of_library.with_extension("rs").exists()
            || of_library.is_dir()
            || root.join("tests").join(module).join(last).with_extension("rs").exists();
        if !there {
            missing.push(name);
        }
    }
    assert!(count > 20 && missing.is_empty(), "{count} named, not there: {missing:?}");
}

/// Whether a file or folder of this name, below this folder, has the function.
fn holds(folder: &std::path::Path, module: &str, function: &str) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.into_iter().any(|path| {
        let own = path.file_stem().is_some_and(|stem| stem == module);
        if path.is_dir() {
            return holds(&path, if own { "" } else { module }, function);
        }
        (own || module.is_empty()) && std::fs::read_to_string(&path).is_ok_and(|text| text.contains(function))
    })
}
