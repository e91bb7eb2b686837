//! Domains of our own and what libvirt itself made of them: `NAME.xml`, and in `NAME.args` the environment, program and
//! arguments that it answered, a token a line (`tests/oracle/README.md` says how it was asked). virtc has to say the same,
//! byte for byte.
//!
//! What is not the same by its nature is replaced on both sides: numbers of descriptors and of the machine. When it is
//! asked, libvirt names the paths of files and sockets (`--wiring paths`); when it starts a machine, which those of the name
//! `started-…` were, it hands descriptors over.

use crate::common::root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use virtc::caps::profiles;
use virtc::compile::{Until, compile};
use virtc::diag::Diagnostics;
use virtc::emit::argv::{Format, write};
use virtc::host::Host;
use virtc::plan::{Target, Wiring};
use virtc::stage::Options;
use virtc::vocab::Arch;

/// The libvirt that was asked.
const TARGET: &str = "libvirt@11.3";
/// The profile of the QEMU that it had probed.
const CAPS: &str = "qemu-10.0";

fn folder() -> PathBuf {
    root().join("tests/recorded")
}

fn read(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names of all files with this ending.
fn names(ending: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder()).expect("the recordings");
    let names = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter_map(|n| n.strip_suffix(ending).map(str::to_string)).collect()
}

/// What virtc makes of a domain, a token a line.
fn ours(name: &str, host: &Host) -> String {
    let xml = read(&format!("{name}.xml"));
    let arch = if xml.contains("arch='aarch64'") { Arch::Aarch64 } else { Arch::X86_64 };
    let caps = profiles::named(CAPS, arch).expect("an embedded profile");
    let target: Target = TARGET.parse().expect("a target");
    let wiring = if name.starts_with("started-") { Wiring::Descriptors } else { Wiring::Paths };
    let options = Options { target, wiring, ..Options::default() };
    let compiled = compile(xml.as_bytes(), host, &caps, &options, Until::Planned);
    let faults: Vec<&str> = compiled.diags.iter().map(|d| d.message.as_str()).collect();
    let plan = compiled.plan.unwrap_or_else(|| panic!("{name}: {faults:?}"));
    let mut text = String::new();
    write(&mut text, plan.qemu().expect("a QEMU process"), Format::Lines);
    text
}

/// A text in which the number behind `before` is N: a token may hold one of each kind.
fn without_number(text: &str, before: &str) -> String {
    let Some((start, rest)) = text.split_once(before) else { return text.to_string() };
    let rest = rest.strip_prefix('-').unwrap_or(rest).trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{start}{before}N{rest}")
}

/// A token without what differs by its nature.
fn settled(token: &str) -> String {
    // The number of a machine is -1 where libvirt was only asked.
    let mut text = token.to_string();
    for before in ["\"fd\":\"", "\"vhostfd\":\"", "/domain-", "/qemu/ram/"] {
        text = without_number(&text, before);
    }
    if text.starts_with("set=") {
        text = without_number(&text, ",fd=");
    }
    if text.starts_with("socket,id=") {
        text = without_number(&text, ",fd=");
    }
    text
}

/// The lines that only one side has, the recording's first.
fn difference(recorded: &str, ours: &str) -> Option<String> {
    let settle = |text: &str| text.lines().map(|l| settled(l) + "\n").collect::<String>();
    let (recorded, ours) = (settle(recorded), settle(ours));
    let diff = similar::TextDiff::from_lines(&recorded, &ours);
    let lines = diff.iter_all_changes().filter(|c| c.tag() != similar::ChangeTag::Equal);
    let lines: String = lines.map(|c| format!("{}{c}", c.tag())).collect();
    (!lines.is_empty()).then_some(lines)
}

#[test]
fn every_recording_is_repeated_byte_for_byte() {
    let host = virtc::host::read(&read("host.kdl"), &mut Diagnostics::new());
    let known = read("differences.txt");
    let known: BTreeMap<&str, &str> = known.lines().filter_map(|l| l.split_once('\t')).collect();
    let (domains, recordings) = (names(".xml"), names(".args"));
    assert_eq!(domains, recordings, "a domain without a recording, or the reverse");
    assert!(domains.len() >= 250, "{} recordings", domains.len());
    let mut faults = Vec::new();
    for name in &domains {
        let difference = difference(&read(&format!("{name}.args")), &ours(name, &host));
        match (difference, known.contains_key(name.as_str())) {
            (Some(lines), false) => faults.push(format!("{name}:\n{lines}")),
            (None, true) => faults.push(format!("{name} is repeated: take it out of differences.txt")),
            _ => {}
        }
    }
    let unknown: Vec<_> = known.keys().filter(|name| !domains.contains(**name)).collect();
    assert!(faults.is_empty() && unknown.is_empty(), "{unknown:?}\n{}", faults.join("\n"));
}

#[test]
fn every_domain_says_what_it_proves() {
    for name in names(".xml") {
        let xml = read(&format!("{name}.xml"));
        let says = xml.strip_prefix("<!-- ").and_then(|rest| rest.split_once(" -->"));
        assert!(
            says.is_some_and(|(words, _)| words.len() > 10) && xml.contains(&format!("<name>{name}</name>")),
            "{name}"
        );
    }
}

/// The judge is judged, too.
#[test]
fn a_wrong_byte_is_seen() {
    let recorded =
        "-netdev\n{\"type\":\"tap\",\"fd\":\"17\",\"id\":\"hostnet0\"}\n-x\nsocket,id=a,fd=12,server=on,wait=off\n";
    let same =
        "-netdev\n{\"type\":\"tap\",\"fd\":\"3\",\"id\":\"hostnet0\"}\n-x\nsocket,id=a,fd=4,server=on,wait=off\n";
    assert_eq!(difference(recorded, same), None);
    for (from, to) in
        [("hostnet0", "hostnet1"), ("wait=off", "wait=on"), ("id=a", "id=b"), ("-x\n", ""), ("tap", "user")]
    {
        assert!(difference(recorded, &same.replace(from, to)).is_some(), "{from}");
    }
}
