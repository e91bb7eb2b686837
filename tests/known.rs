//! `tests/conformance/known.txt`: the cases of the packs that do not pass are known, each with its cause.

use crate::common;
use std::collections::{BTreeMap, BTreeSet};

/// The packs, and their ratchets.
const PACKS: [(&str, &str); 4] = [
    ("conformance", "passing.txt"),
    ("conformance-12.8", "passing-12.8.txt"),
    ("generated-11.3", "passing-generated-11.3.txt"),
    ("generated-12.8", "passing-generated-12.8.txt"),
];

/// Case and score.
type Scores = BTreeSet<(String, String)>;

fn read(name: &str) -> String {
    std::fs::read_to_string(common::root().join("tests/conformance").join(name)).expect("a file of the repository")
}

/// What passes, by the ratchet of a pack.
fn passing(file: &str) -> Scores {
    let pairs = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        let case = words.first().cloned().unwrap_or_default();
        words.into_iter().skip(1).map(move |score| (case.clone(), score)).collect::<Vec<_>>()
    };
    read(file).lines().flat_map(pairs).collect()
}

/// What is known not to pass, by pack.
fn known() -> BTreeMap<String, Scores> {
    let mut all: BTreeMap<String, Scores> = BTreeMap::new();
    for line in read("known.txt").lines().filter(|l| !l.starts_with('#')) {
        let (what, cause) = line.split_once(": ").expect("a colon before the cause");
        assert!(cause.ends_with('.') && cause.len() > 8, "{line}");
        let words: Vec<&str> = what.split(' ').collect();
        let [pack, case, scores @ ..] = words.as_slice() else { panic!("{line}") };
        assert!(PACKS.iter().any(|(p, _)| p == pack) && !scores.is_empty(), "{line}");
        let scores = scores.iter().map(|s| (case.to_string(), s.to_string()));
        all.entry(pack.to_string()).or_default().extend(scores);
    }
    all
}

#[test]
fn nothing_that_passes_is_known_to_fail() {
    let known = known();
    for (pack, file) in PACKS {
        let passing = passing(file);
        let both: Vec<_> = known.get(pack).into_iter().flatten().filter(|k| passing.contains(*k)).collect();
        assert!(both.is_empty(), "{pack}: {both:?} pass, and stand in known.txt");
    }
}

#[test]
fn whatever_fails_is_known() {
    let known = known();
    for (pack, file) in PACKS {
        let list = common::root().join("../shared").join(pack).join("cases.json");
        let Ok(text) = std::fs::read_to_string(list) else {
            common::skip(&format!("the pack {pack}"));
            continue;
        };
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list of cases");
        let passing = passing(file);
        for case in cases {
            let id = case["id"].as_str().expect("a name").to_string();
            let mut scores = match case["expect"].as_str() {
                Some("argv") => vec!["byte", "semantic"],
                _ => vec!["error"],
            };
            if !case["expected_xml"].is_null() || case["xml_same_as_input"] == true {
                scores.push("xml");
            }
            for score in scores {
                let pair = (id.clone(), score.to_string());
                let is_known = known.get(pack).is_some_and(|k| k.contains(&pair));
                assert!(
                    passing.contains(&pair) || is_known,
                    "{pack} {id} {score} does not pass, and is not in known.txt"
                );
            }
        }
    }
}
