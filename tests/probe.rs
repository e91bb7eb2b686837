//! Probing a real QEMU: what it says becomes capabilities, as libvirt would have them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use virtc::caps::{Accel, Cap, Capabilities, profiles, read};
use virtc::diag::Diagnostics;
use virtc::probe::qemu::{generalise, known_flags, probe};
use virtc::vocab::Arch;

const QEMU: &str = "/usr/bin/qemu-system-x86_64";

fn virtc(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_virtc")).args(args).output().expect("virtc starts")
}

fn parsed(bytes: &[u8]) -> Capabilities {
    let mut diags = Diagnostics::new();
    let caps = read(bytes, &mut diags);
    assert!(diags.is_empty(), "{diags:?}");
    caps.expect("capabilities")
}

#[test]
fn the_embedded_profile_is_what_this_qemu_says() {
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
    let virtc_form = virtc(&["probe", "qemu", QEMU, "--no-kvm"]);
    let libvirt_form = virtc(&["probe", "qemu", QEMU, "--no-kvm", "--format", "libvirt"]);
    assert!(virtc_form.status.success() && libvirt_form.status.success());
    assert_eq!(parsed(&virtc_form.stdout), parsed(&libvirt_form.stdout));
}

/// Where a libvirt has probed the same binary, its flags are ours. A libvirt that is older than 11.3
/// does not know the newest flags.
#[test]
fn the_flags_are_those_of_libvirt() {
    let cache = Path::new("/var/cache/libvirt/qemu/capabilities");
    let Ok(entries) = std::fs::read_dir(cache) else { return };
    let caps = probe(Path::new(QEMU), true).expect("a probe").caps;
    let ours: BTreeSet<Cap> = caps.flags.iter().collect();
    let known: BTreeSet<Cap> = known_flags().collect();
    for entry in entries {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a cache file");
        let Some(cached) = read(&bytes, &mut Diagnostics::new()) else { continue };
        if cached.emulator != QEMU || cached.package != caps.package {
            continue;
        }
        let theirs: BTreeSet<Cap> = cached.flags.iter().collect();
        let newest = theirs.iter().max().copied().expect("a flag");
        let missing: Vec<&Cap> = theirs.difference(&ours).filter(|cap| known.contains(cap)).collect();
        let extra: Vec<&Cap> = ours.difference(&theirs).filter(|cap| **cap <= newest).collect();
        // A cache that was made where KVM did not work, or did, differs in what depends on it.
        let on_kvm = |cap: &&Cap| matches!(cap, Cap::Kvm | Cap::SevGuest | Cap::SevSnpGuest | Cap::SgxEpc);
        assert_eq!(missing.into_iter().filter(|c| !on_kvm(c)).count(), 0, "{theirs:?}");
        assert_eq!(extra.into_iter().filter(|c| !on_kvm(c)).count(), 0, "{ours:?}");
        assert_eq!(cached.accel(Accel::Tcg).map(|a| &a.host_cpu), caps.accel(Accel::Tcg).map(|a| &a.host_cpu));
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
    if std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let wrapper = dir.path().join("qemu");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *isa-debug-exit*) echo 'error: kvm run failed' >&2; exit 1;; esac\nexec {QEMU} \"$@\"\n"
    );
    std::fs::write(&wrapper, script).expect("a script");
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).expect("permissions");
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
