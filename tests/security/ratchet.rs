//! What passed once must pass always.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A case by its name, and what is wrong with it.
pub type Verdict = (String, Result<(), String>);

fn file() -> PathBuf {
    crate::common::root().join("tests/security/passing.txt")
}

/// Prints the score of a kind of cases, and fails when a case that passed before does not, or is gone.
pub fn judge(kind: &str, results: &[Verdict]) {
    let passed: Vec<&str> = results.iter().filter(|(_, r)| r.is_ok()).map(|(id, _)| id.as_str()).collect();
    println!("{kind}: {} of {}", passed.len(), results.len());
    if std::env::var_os("VIRTC_SHOW").is_some() {
        for (id, result) in results {
            if let Err(why) = result {
                println!("  {id}: {why}");
            }
        }
    }
    let stored = std::fs::read_to_string(file()).expect("passing.txt");
    if std::env::var_os("VIRTC_BLESS").is_some() {
        // Tests of this suite run one after the other (see `lock`).
        let mut all: BTreeSet<String> = stored.lines().map(str::to_string).collect();
        all.extend(passed.iter().map(|id| format!("{kind} {id}")));
        std::fs::write(file(), all.iter().map(|l| format!("{l}\n")).collect::<String>()).expect("passing.txt");
    }
    let lost = lost(kind, results, &stored);
    assert!(lost.is_empty(), "lost:\n{}", lost.join("\n"));
}

/// What `stored` says has passed and `results` do not say, with the reason. A kind of which nothing was stored, or
/// nothing was tried, proves nothing.
fn lost(kind: &str, results: &[Verdict], stored: &str) -> Vec<String> {
    let by_id: BTreeMap<&str, &Result<(), String>> = results.iter().map(|(id, r)| (id.as_str(), r)).collect();
    let wanted: Vec<&str> = stored.lines().filter_map(|l| l.strip_prefix(kind)?.strip_prefix(' ')).collect();
    if wanted.is_empty() || results.is_empty() {
        return vec![format!("{kind}: {} cases tried, {} have to pass", results.len(), wanted.len())];
    }
    let why = |id: &&str| match by_id.get(id) {
        None => Some(format!("{kind} {id}: the pack has it no longer")),
        Some(Err(why)) => Some(format!("{kind} {id}: {why}")),
        Some(Ok(())) => None,
    };
    wanted.iter().filter_map(why).collect()
}

#[test]
fn what_is_lost_is_seen() {
    let results = [("a".to_string(), Ok(())), ("b".to_string(), Err("broken".to_string()))];
    assert_eq!(lost("x", &results, "x a\ny b\n"), [""; 0]);
    assert_eq!(lost("x", &results, "x a\nx b\n"), ["x b: broken"]);
    assert_eq!(lost("x", &results, "x a\nx c\n"), ["x c: the pack has it no longer"]);
    assert_eq!(lost("x", &[], "x a\n"), ["x: 0 cases tried, 1 have to pass"]);
    assert_eq!(lost("z", &results, "x a\n"), ["z: 2 cases tried, 0 have to pass"]);
}

/// One kind of cases at a time, so that times mean something.
pub fn lock() -> std::sync::MutexGuard<'static, ()> {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    LOCK.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The verdict on a case that virtc refuses and the peer does not: `differences.txt` names the case with the code and
/// the line of the first error, and why.
pub fn refused(kind: &str, case: &str, error: &Refusal) -> Result<(), String> {
    match is_meant(kind, "refused", case, &error.at) {
        true => Ok(()),
        false => Err(format!("refused: {}: {}", error.at, error.message)),
    }
}

/// The first error of a domain.
#[derive(Debug, Default)]
pub struct Refusal {
    /// Code and line: `VC0902:12`.
    pub at: String,
    pub message: String,
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
