//! Probing a real QEMU: what it says becomes capabilities, as libvirt would have them.

use crate::common::{self, QEMU, has_qemu, opens, write_program};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use virtc::caps::{Accel, Cap, Capabilities, profiles, read};
use virtc::diag::Diagnostics;
use virtc::probe::qemu::{generalise, probe};
use virtc::vocab::Arch;

fn virtc(args: &[&str]) -> Output {
    common::virtc().args(args).output().expect("virtc starts")
}

fn parsed(bytes: &[u8]) -> Capabilities {
    let mut diags = Diagnostics::new();
    let caps = read(bytes, &mut diags);
    assert!(diags.is_empty(), "{diags:?}");
    caps.expect("capabilities")
}

#[test]
fn the_embedded_profile_is_what_this_qemu_says() {
    if !has_qemu() {
        return;
    }
    let mut caps = probe(Path::new(QEMU), false).expect("a probe").caps;
    generalise(&mut caps);
    let profile = profiles::named("qemu-7.2", Arch::X86_64).expect("a profile");
    if caps.package != profile.package {
        // Another build may have other devices; then what every build has must do.
        assert!(caps.has(Cap::VirtioNet) && caps.canonical_machine(Accel::Tcg, "q35").is_some());
        return;
    }
    assert_eq!(caps, profile);
}

#[test]
fn both_forms_hold_the_same() {
    if !has_qemu() {
        return;
    }
    let virtc_form = virtc(&["probe", "qemu", QEMU, "--no-kvm"]);
    let libvirt_form = virtc(&["probe", "qemu", QEMU, "--no-kvm", "--format", "libvirt"]);
    assert!(virtc_form.status.success() && libvirt_form.status.success());
    assert_eq!(parsed(&virtc_form.stdout), parsed(&libvirt_form.stdout));
}

/// What libvirt sets for a QEMU: facts, taken from the cache file that Debian's libvirt 9.0 wrote for the binary.
struct Facts {
    both: BTreeSet<Cap>,
    retired: BTreeSet<Cap>,
    newer: BTreeSet<Cap>,
}

fn facts(text: &str) -> Facts {
    let of = |kind: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
        lines.map(|name| Cap::parse(name).expect("a flag of libvirt")).collect()
    };
    Facts { both: of("both"), retired: of("retired"), newer: of("newer") }
}

const FACTS_7_2: &str = include_str!("qemu-7.2.flags");
const FACTS_10_0: &str = include_str!("qemu-10.0.flags");

/// What depends on the host and not on the binary.
fn of_the_binary(caps: &Capabilities) -> BTreeSet<Cap> {
    let of_kvm = [Cap::Kvm, Cap::SevGuest, Cap::SevSnpGuest, Cap::SgxEpc];
    caps.flags.iter().filter(|cap| !of_kvm.contains(cap)).collect()
}

fn assert_flags(flags: &BTreeSet<Cap>, facts: &Facts) {
    let expected: BTreeSet<Cap> = facts.both.union(&facts.newer).copied().collect();
    let missing: Vec<&Cap> = expected.difference(flags).collect();
    let extra: Vec<&Cap> = flags.difference(&expected).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing: {missing:?}, extra: {extra:?}");
}

#[test]
fn the_flags_are_those_of_libvirt() {
    // This needs no QEMU: the profiles are what a probe has found.
    for (name, text) in [("qemu-7.2", FACTS_7_2), ("qemu-10.0", FACTS_10_0)] {
        let profile = profiles::named(name, Arch::X86_64).expect("a profile");
        let facts = facts(text);
        assert!(facts.both.len() > 150, "{name}: {}", facts.both.len());
        assert_flags(&of_the_binary(&profile), &facts);
    }
    if !has_qemu() {
        return;
    }
    let begin = std::time::Instant::now();
    let caps = probe(Path::new(QEMU), true).expect("a probe").caps;
    println!("probed in {:?}", begin.elapsed());
    match caps.version.0 / 1000 {
        7_002 => assert_flags(&of_the_binary(&caps), &facts(FACTS_7_2)),
        10_000 => assert_flags(&of_the_binary(&caps), &facts(FACTS_10_0)),
        // What both of these QEMUs have, the one between has, too.
        _ => {
            let (old, new) = (facts(FACTS_7_2).both, facts(FACTS_10_0).both);
            assert!(of_the_binary(&caps).is_superset(&old.intersection(&new).copied().collect()));
        }
    }
}

/// A flag that libvirt no longer sets must not be asked for: with new capabilities it would never be there.
#[test]
fn nobody_asks_for_a_retired_flag() {
    let mut asked = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("caps/flags.rs") {
                asked.push_str(&std::fs::read_to_string(path).expect("a source"));
            }
        }
    }
    let words: BTreeSet<&str> = asked.split(|c: char| !c.is_alphanumeric() && c != ':').collect();
    for cap in facts(FACTS_7_2).retired.into_iter().chain(facts(FACTS_10_0).retired) {
        let word = format!("Cap::{cap:?}");
        assert!(!words.contains(word.as_str()), "{word}");
    }
    assert!(words.contains("Cap::DeviceJsonHotplug"), "the sources are not read");
}

/// Where a libvirt has probed the same binary, the facts still hold.
#[test]
fn the_facts_are_those_of_the_libvirt_here() {
    let cache = Path::new("/var/cache/libvirt/qemu/capabilities");
    let Ok(entries) = std::fs::read_dir(cache) else { return common::skip("a libvirt that has probed its QEMU") };
    let facts = facts(FACTS_7_2);
    for entry in entries {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a cache file");
        let Some(cached) = read(&bytes, &mut Diagnostics::new()) else { continue };
        if cached.emulator == QEMU && cached.version.0 / 1000 == 7_002 {
            let theirs = of_the_binary(&cached);
            let known: BTreeSet<Cap> = facts.both.union(&facts.retired).copied().collect();
            let known: BTreeSet<Cap> = known.union(&facts.newer).copied().collect();
            assert!(theirs.is_superset(&facts.both), "{:?}", facts.both.difference(&theirs));
            assert!(theirs.is_subset(&known), "{:?}", theirs.difference(&known));
        }
    }
}

#[test]
fn what_is_no_qemu_is_told() {
    for (binary, expected) in [("/bin/true", "it does not speak QMP"), ("/nonexistent", "cannot start it")] {
        let output = virtc(&["probe", "qemu", binary]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(output.stdout.is_empty());
    }
}

/// A KVM that opens but runs nothing, played by a wrapper that fails when the test guest is started.
#[test]
fn a_kvm_that_does_not_run_is_reported() {
    if !has_qemu() || !common::given(opens("/dev/kvm"), "/dev/kvm") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let wrapper = dir.path().join("qemu");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *isa-debug-exit*) echo 'error: kvm run failed' >&2; exit 1;; esac\nexec {QEMU} \"$@\"\n"
    );
    write_program(&wrapper, &script);
    let probed = probe(&wrapper, true).expect("a probe");
    assert!(probed.caps.accel(Accel::Kvm).is_none() && !probed.caps.has(Cap::Kvm));
    assert!(probed.remarks.iter().any(|r| r.contains("kvm run failed")), "{:?}", probed.remarks);
}

#[test]
fn host_facts_are_read_again() {
    let output = virtc(&["probe", "host", "-q"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut diags = Diagnostics::new();
    let host = virtc::host::read(&text, &mut diags);
    assert!(diags.is_empty(), "{diags:?}");
    assert!(!host.numa.nodes.is_empty());
}
