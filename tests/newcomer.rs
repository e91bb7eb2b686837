//! Files as newcomers write them. `tests/newcomer/faulty`: the comment in the first line lists each fault as `code line`, and one run
//! names at least 97 % of them there, each once. `traps`: the same for what compiles and is a warning. `clean`: nothing is said.

use std::collections::BTreeMap;
use std::path::PathBuf;
use virtc::caps::{Choice, Wanted};
use virtc::compile::{Until, compile_for};
use virtc::diag::Severity;
use virtc::diag::render::Lines;
use virtc::host::Host;
use virtc::stage::Options;

/// Faults by code and line, how many of each.
type Faults = BTreeMap<(String, usize), usize>;

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(crate::common::root().join("tests/newcomer").join(folder))
        .expect("the folder is there")
        .map(|e| e.expect("an entry").path())
        .collect();
    all.sort();
    all.into_iter().map(|p| (p.clone(), std::fs::read_to_string(p).expect("a text"))).collect()
}

/// What virtc says from this severity up, on this host, for this QEMU.
fn told(text: &str, least: Severity, host: &Host, choice: &Choice) -> Faults {
    let choose = |wanted: &Wanted<'_>| choice.for_domain(wanted);
    let compiled = compile_for(text.as_bytes(), host, &choose, &Options::default(), Until::Planned);
    let lines = Lines::of(text);
    let mut faults = Faults::new();
    for d in compiled.diags.iter().filter(|d| d.severity >= least) {
        let line = if d.span.is_none() { 0 } else { lines.place(d.span.start).0 };
        *faults.entry((d.code.id.to_string(), line)).or_default() += 1;
    }
    faults
}

/// What the first line expects: `<!-- VC0101 3, VC0103 7: words -->`.
fn expected(text: &str) -> Faults {
    let first = text.lines().next().unwrap_or("").trim_start_matches("<!--").trim_end_matches("-->");
    let mut faults = Faults::new();
    for entry in first.split(':').next().unwrap_or("").split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let (code, line) = entry.split_once(' ').unwrap_or_else(|| panic!("'{entry}' is no 'code line'"));
        *faults.entry((code.to_string(), line.parse().expect("a line"))).or_default() += 1;
    }
    faults
}

/// Compares; gives how many were expected, and the lists of what is missing and what is too much.
fn compare(folder: &str, least: Severity) -> (usize, Vec<String>, Vec<String>) {
    let (mut count, mut missing, mut extra) = (0, Vec::new(), Vec::new());
    // Nobody who begins has written host facts; those with faults do without what is assumed.
    let host = if folder == "clean" { Host::open() } else { Host::default() };
    let choice = if folder == "clean" { Choice::Fitting } else { Choice::profile("qemu-7.2").expect("a profile") };
    for (path, text) in files(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (want, have) = (expected(&text), told(&text, least, &host, &choice));
        for (fault, n) in &want {
            count += n;
            let found = have.get(fault).copied().unwrap_or(0);
            missing.extend((found..*n).map(|_| format!("{name}:{} {}", fault.1, fault.0)));
        }
        for (fault, n) in &have {
            let meant = want.get(fault).copied().unwrap_or(0);
            extra.extend((meant..*n).map(|_| format!("{name}:{} {}", fault.1, fault.0)));
        }
    }
    (count, missing, extra)
}

#[test]
fn nearly_all_faults_are_named_in_one_run_at_their_line() {
    assert!(files("faulty").len() >= 40);
    let (count, missing, extra) = compare("faulty", Severity::Error);
    assert!(count >= 200, "{count} faults");
    assert!(missing.len() * 100 <= count * 3, "{} of {count} faults are not named: {missing:#?}", missing.len());
    assert!(extra.len() * 100 <= count * 3, "said besides: {extra:#?}");
}

#[test]
fn traps_are_warned_of() {
    let (count, missing, extra) = compare("traps", Severity::Warning);
    assert!(count >= 20, "{count} traps");
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:#?}, besides {extra:#?}");
}

#[test]
fn clean_files_are_silent() {
    let (_, _, extra) = compare("clean", Severity::Warning);
    assert!(extra.is_empty(), "{extra:#?}");
}

#[test]
fn every_fault_says_what_to_do() {
    let rules = std::fs::read_dir(crate::common::root().join("tests/rules")).expect("the folder is there");
    let rules = rules.map(|e| e.expect("an entry").path()).filter(|p| {
        let name = p.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".xml") && !name.ends_with(".host.xml")
    });
    let rules = rules.filter_map(|p| Some((p.clone(), std::fs::read_to_string(p).ok()?)));
    let choice = Choice::profile("qemu-7.2").expect("a profile");
    let choose = |wanted: &Wanted<'_>| choice.for_domain(wanted);
    for (path, text) in files("faulty").into_iter().chain(files("traps")).chain(rules) {
        let compiled = compile_for(text.as_bytes(), &Host::default(), &choose, &Options::default(), Until::Planned);
        for d in compiled.diags.iter().filter(|d| d.severity >= Severity::Warning) {
            assert!(d.help.is_some(), "{}: {} {}", path.display(), d.code.id, d.message);
        }
    }
}

#[test]
fn a_duplicate_shows_the_first_place() {
    for (_, text) in files("faulty") {
        let choice = Choice::profile("qemu-7.2").expect("a profile");
        let choose = |wanted: &Wanted<'_>| choice.for_domain(wanted);
        let compiled = compile_for(text.as_bytes(), &Host::default(), &choose, &Options::default(), Until::Planned);
        for d in compiled.diags.iter().filter(|d| ["VC0106", "VC0309", "VC0415"].contains(&d.code.id)) {
            assert!(!d.related.is_empty() && d.help.is_some(), "{}: {}", d.code.id, d.message);
            assert!(d.related.iter().all(|(first, _)| *first < d.span), "{}", d.message);
        }
    }
}
