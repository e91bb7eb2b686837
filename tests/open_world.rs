//! What is assumed about a host that nobody has told about: each assumption is a note, and the line of host.kdl that the
//! note shows makes it a fact. Facts that were given are closed.

use crate::common;
use std::path::Path;
use virtc::diag::Severity;

/// A domain with these elements, and devices.
fn domain(elements: &str, devices: &str) -> String {
    format!(
        "<domain type='kvm'><name>vm</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory unit='MiB'>1024</memory>\
         <vcpu>2</vcpu>{elements}<devices><console type='pty'/>{devices}</devices></domain>"
    )
}

const Q35: &str = "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><features><acpi/></features>";
const NIC: &str = "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='NAME'/><model type='virtio'/></interface>";

/// What needs something of the host: the code of the assumption, and the domain.
fn cases() -> Vec<(&'static str, String)> {
    let uefi =
        "<os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><features><acpi/></features>";
    let disk =
        |source: &str| format!("<disk type='volume' device='disk'>{source}<target dev='vda' bus='virtio'/></disk>");
    let backing = |inner: &str| format!("<memoryBacking>{inner}</memoryBacking>{Q35}");
    let numa = "<numatune><memory mode='strict' nodeset='1,3'/></numatune>";
    vec![
        ("VC1502", domain(Q35, &NIC.replace("NAME", "default"))),
        ("VC1502", domain(Q35, &NIC.replace("NAME", "lan \"one\""))),
        (
            "VC1502",
            domain(Q35, "<graphics type='vnc' port='5901'><listen type='network' network='default'/></graphics>"),
        ),
        (
            "VC1502",
            domain(Q35, "<graphics type='vnc' port='5901'><listen type='network' network='ovirtmgmt'/></graphics>"),
        ),
        ("VC1503", domain(&backing("<hugepages/>"), "")),
        ("VC1503", domain(&backing("<hugepages><page size='1' unit='GiB'/></hugepages>"), "")),
        ("VC1504", domain(Q35, &disk("<source pool='default' volume='a.qcow2'/>"))),
        ("VC1504", domain(Q35, &disk("<source pool='fast' volume='b \"c\".img'/>"))),
        ("VC1506", domain(uefi, "")),
        ("VC1509", domain(Q35, "<graphics type='spice' port='5901' tlsPort='5902'/>")),
        ("VC1507", domain(&format!("{numa}{Q35}"), "")),
    ]
}

/// Runs `virtc` in a folder; status, output, what was said.
fn virtc(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = common::virtc().args(args).current_dir(folder).output().expect("virtc");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The diagnostics of `virtc check`, as JSON.
fn told(folder: &Path, args: &[&str]) -> Vec<serde_json::Value> {
    let args: Vec<&str> =
        ["check", "--message-format", "json", "vm.xml"].into_iter().chain(args.iter().copied()).collect();
    let (_, out, _) = virtc(folder, &args);
    out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn each_assumption_is_a_note_whose_line_makes_it_a_fact() {
    for (code, xml) in cases() {
        let place = tempfile::tempdir().expect("a folder");
        let place = place.path();
        std::fs::write(place.join("vm.xml"), &xml).expect("a file");
        let all = told(place, &[]);
        assert_eq!(all.len(), 1, "{xml}: {all:?}");
        assert_eq!((all[0]["code"].as_str(), all[0]["severity"].as_str()), (Some(code), Some("note")), "{xml}");
        let help = all[0]["help"].as_str().expect("a help");
        let line = help.lines().find_map(|l| l.strip_prefix("  ")).expect("a line for host.kdl");
        // Silent with -q, an error with --strict.
        assert_eq!(virtc(place, &["argv", "-q", "vm.xml"]).2, "", "{xml}");
        assert_eq!(virtc(place, &["check", "--strict", "vm.xml"]).0, Some(1), "{xml}");
        // A person copies the line from the terminal, where it is in one piece.
        let shown = virtc(place, &["check", "--color", "never", "vm.xml"]).2;
        assert!(shown.contains(line), "{line}\n{shown}");
        let facts = format!("host-facts version=1\nmachine {{ arch \"x86_64\"; }}\n{line}\n");
        std::fs::write(place.join("host.kdl"), &facts).expect("a file");
        assert_eq!(told(place, &["--host", "host.kdl"]), Vec::<serde_json::Value>::new(), "{facts}");
        let (open, closed) =
            (virtc(place, &["argv", "vm.xml"]), virtc(place, &["argv", "vm.xml", "--host", "host.kdl"]));
        assert_eq!((open.0, open.1), (Some(0), closed.1), "{facts}");
    }
}

#[test]
fn facts_that_were_given_are_closed() {
    // Where no network is described at all, 'default' is libvirt's own; a port for TLS without TLS is passed over.
    let accepted = |code: &str, xml: &str| code == "VC1509" || xml.contains("network='default'");
    for (code, xml) in cases().into_iter().filter(|(code, xml)| !accepted(code, xml)) {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::write(place.path().join("vm.xml"), &xml).expect("a file");
        std::fs::write(
            place.path().join("host.kdl"),
            "host-facts version=1\nroot \"empty\"\nmachine { arch \"x86_64\"; }\n",
        )
        .expect("a file");
        let all = told(place.path(), &["--host", "host.kdl"]);
        assert!(all.iter().any(|d| d["severity"] == "error"), "{code} {xml}: {all:?}");
        assert!(all.iter().all(|d| d["code"] != code), "{all:?}");
    }
}

#[test]
fn a_distribution_is_named_and_the_rest_is_assumed() {
    let place = tempfile::tempdir().expect("a folder");
    let uefi =
        "<os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><features><acpi/></features>";
    std::fs::write(place.path().join("vm.xml"), domain(uefi, &NIC.replace("NAME", "lan"))).expect("a file");
    for (name, code) in [
        ("debian-13", "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"),
        ("debian-12", "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"),
        ("ubuntu-26.04", "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"),
        ("fedora-44", "/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd"),
        ("arch", "/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd"),
    ] {
        let (status, argv, said) = virtc(place.path(), &["argv", "--host", name, "--color", "never", "vm.xml"]);
        assert_eq!(status, Some(0), "{said}");
        assert!(argv.contains(code), "{name}: {argv}");
        assert!(said.contains("VC1502") && !said.contains("VC1506"), "{name}: {said}");
    }
    let (status, _, said) = virtc(place.path(), &["argv", "--host", "debian-99", "vm.xml"]);
    assert_eq!(status, Some(4));
    assert!(said.contains("debian-13") && said.contains("here"), "{said}");
}

#[test]
fn a_loader_of_another_distribution_is_found_in_what_that_one_ships() {
    let place = tempfile::tempdir().expect("a folder");
    let os = "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\
              <loader readonly='yes' type='pflash'>/usr/share/edk2/x64/OVMF_CODE.4m.fd</loader></os><features><acpi/></features>";
    std::fs::write(place.path().join("vm.xml"), domain(os, "")).expect("a file");
    let (status, xml, said) = virtc(place.path(), &["normalize", "vm.xml", "--color", "never"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(xml.contains("template='/usr/share/edk2/x64/OVMF_VARS.4m.fd'"), "{xml}");
    assert!(said.contains("shipped-by \"arch\""), "{said}");
}

#[test]
fn a_pci_device_is_taken_to_be_alone() {
    let place = tempfile::tempdir().expect("a folder");
    let device = "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>";
    std::fs::write(place.path().join("vm.xml"), domain(Q35, device)).expect("a file");
    let all = told(place.path(), &[]);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0]["code"].as_str(), all[0]["severity"].as_str()), (Some("VC1505"), Some("note")));
}

#[test]
fn an_arm_guest_with_kvm_is_for_an_arm_host() {
    let place = tempfile::tempdir().expect("a folder");
    let arm = "<os><type arch='aarch64' machine='virt-7.2'>hvm</type></os><cpu mode='host-passthrough'/>";
    std::fs::write(place.path().join("vm.xml"), domain(arm, "")).expect("a file");
    let all = told(place.path(), &[]);
    assert!(all.iter().any(|d| d["code"] == "VC1501") && all.iter().all(|d| d["severity"] != "error"), "{all:?}");
}

#[test]
fn a_model_that_nobody_has_told_is_the_hosts_own_cpu() {
    let place = tempfile::tempdir().expect("a folder");
    let cpu = format!("{Q35}<cpu mode='host-model'><feature policy='disable' name='vmx'/></cpu>");
    std::fs::write(place.path().join("vm.xml"), domain(&cpu, "")).expect("a file");
    let (status, argv, said) = virtc(place.path(), &["argv", "vm.xml", "--color", "never"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(argv.contains("host,") && argv.contains("vmx=off"), "{argv}");
    assert!(said.contains("VC1508"), "{said}");
}

/// Where a name leads on the machine that compiles is no fact about the machine that runs the domain.
#[test]
fn files_of_the_compiling_machine_decide_nothing() {
    let place = tempfile::tempdir().expect("a folder");
    let root = place.path().canonicalize().expect("a folder");
    std::os::unix::fs::symlink("/etc/shadow", root.join("disk.img")).expect("a link");
    let disk = format!(
        "<disk type='file'><source file='{}/disk.img'/><target dev='vda' bus='virtio'/></disk>",
        root.display()
    );
    std::fs::write(root.join("vm.xml"), domain(Q35, &disk)).expect("a file");
    for command in ["argv", "check"] {
        let (status, _, said) = virtc(&root, &[command, "vm.xml"]);
        assert_eq!(status, Some(0), "{said}");
    }
    // Asked about this host, the same name is refused.
    let (status, _, said) = virtc(&root, &["argv", "--probe-backing", "--color", "never", "vm.xml"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("/etc/shadow"), "{said}");
}

/// `--strict` has an error of an assumption, not of any note.
#[test]
fn other_notes_stay_notes() {
    let text = "<domain type='kvm'><name>vm</name><memory>65536</memory><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>";
    let caps = virtc::caps::profiles::default(virtc::vocab::Arch::X86_64).expect("an embedded profile");
    let options = virtc::stage::Options::default();
    let host = virtc::host::Host::open();
    let mut compiled = virtc::compile::compile(text.as_bytes(), &host, &caps, &options, virtc::compile::Until::Planned);
    compiled.diags.make_strict();
    assert!(compiled.diags.iter().any(|d| d.code.id == "VC0903" && d.severity == Severity::Note));
}
