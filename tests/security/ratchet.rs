//! What passed once must pass always.

use std::collections::BTreeSet;
use std::path::PathBuf;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/security/passing.txt")
}

/// Prints the score of a kind of cases, and fails when a case that passed before does not.
pub fn judge(kind: &str, results: &[(String, Result<(), String>)]) {
    let passed: BTreeSet<String> =
        results.iter().filter(|(_, r)| r.is_ok()).map(|(id, _)| format!("{kind} {id}")).collect();
    println!("{kind}: {} of {}", passed.len(), results.len());
    if std::env::var_os("VIRTC_SHOW").is_some() {
        for (id, result) in results {
            if let Err(why) = result {
                println!("  {id}: {why}");
            }
        }
    }
    let stored = std::fs::read_to_string(file()).unwrap_or_default();
    let stored: BTreeSet<String> = stored.lines().map(str::to_string).collect();
    if std::env::var_os("VIRTC_BLESS").is_some() {
        // Tests of this file run one after the other (see `lock`).
        let all: BTreeSet<&String> = stored.union(&passed).collect();
        std::fs::write(file(), all.iter().map(|l| format!("{l}\n")).collect::<String>()).expect("passing.txt");
        return;
    }
    let known: BTreeSet<&String> = results.iter().map(|(id, _)| id).collect();
    let prefix = format!("{kind} ");
    let lost: Vec<String> = stored
        .iter()
        .filter(|l| l.strip_prefix(&prefix).is_some_and(|id| known.contains(&id.to_string())) && !passed.contains(*l))
        .map(|l| {
            let id = l.strip_prefix(&prefix).unwrap_or_default();
            let why = results.iter().find(|(i, _)| i == id).and_then(|(_, r)| r.as_ref().err());
            format!("{l}: {}", why.map(String::as_str).unwrap_or_default())
        })
        .collect();
    assert!(lost.is_empty(), "lost:\n{}", lost.join("\n"));
}

/// One kind of cases at a time, so that times mean something.
pub fn lock() -> std::sync::MutexGuard<'static, ()> {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    LOCK.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A difference that is meant: kind, what, a path, and what it is about (see `differences.txt`).
pub fn is_meant(kind: &str, what: &str, path: &str, about: &str) -> bool {
    include_str!("differences.txt").lines().filter(|l| !l.starts_with('#') && !l.is_empty()).any(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [its_kind, its_what, its_path, its_about, _] = fields[..] else { panic!("five fields: {line}") };
        its_kind == kind && its_what == what && fits(its_path, path) && fits(its_about, about)
    })
}

/// Whether `text` is what `pattern` says; `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            rest.is_empty() || (0..=text.len()).filter(|i| text.is_char_boundary(*i)).any(|i| fits(rest, &text[i..]))
        }),
    }
}
