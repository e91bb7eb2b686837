//! Which QEMU a domain is compiled for when nobody says it, and what is told about machine types and switches that
//! QEMU has deprecated or removed.

use crate::common::{QEMU, has_qemu, virtc as program};
use std::path::Path;
use virtc::caps::{fitting, profiles};
use virtc::compile::{Compiled, Until, compile, compile_for};
use virtc::diag::lints::{Level, Levels};
use virtc::emit::argv::tokens;
use virtc::host::Host;
use virtc::stage::Options;
use virtc::vocab::Arch;

fn domain(os: &str, rest: &str) -> String {
    format!(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>vm</name>\
         <uuid>0f6a1c2e-57b4-4c0a-9d3e-1b2c3d4e5f60</uuid><memory unit='MiB'>64</memory><os>{os}</os>{rest}</domain>"
    )
}

/// Small machines, which have neither a console nor ACPI, are meant.
fn options() -> Options {
    let mut levels = Levels::default();
    levels.set("surprise", Level::Allow).expect("a group");
    Options { levels, ..Options::default() }
}

/// Compiled without capabilities.
fn fit(os: &str) -> Compiled {
    compile_for(domain(os, "").as_bytes(), &Host::default(), &fitting, &options(), Until::Planned)
}

fn with(profile: &str, os: &str, rest: &str) -> Compiled {
    let caps = profiles::named(profile, Arch::X86_64).expect("a profile");
    compile(domain(os, rest).as_bytes(), &Host::default(), &caps, &options(), Until::Planned)
}

fn codes(compiled: &Compiled) -> Vec<&str> {
    compiled.diags.iter().map(|d| d.code.id).collect()
}

fn made_for(compiled: &Compiled) -> &str {
    compiled.plan.as_ref().map_or("no plan", |p| p.qemu.capabilities.as_str())
}

#[test]
fn the_domain_says_which_qemu_it_is_for() {
    for (os, profile) in [
        ("<type>hvm</type>", "profile qemu-10.0.x86_64"),
        ("<type machine='pc'>hvm</type>", "profile qemu-10.0.x86_64"),
        ("<type arch='i686' machine='pc-i440fx-8.2'>hvm</type>", "profile qemu-10.0.x86_64"),
        ("<type arch='x86_64' machine='pc-q35-10.2'>hvm</type>", "profile qemu-10.2.x86_64"),
        ("<type arch='x86_64' machine='pc-q35-11.1'>hvm</type>", "profile qemu-11.1.x86_64"),
        ("<type arch='aarch64' machine='virt-11.0'>hvm</type>", "profile qemu-11.0.aarch64"),
        ("<type arch='riscv64' machine='virt'>hvm</type>", "profile qemu-10.0.riscv64"),
        ("<type arch='s390x' machine='s390-ccw-virtio-11.1'>hvm</type>", "profile qemu-11.1.s390x"),
    ] {
        let compiled = fit(os);
        assert_eq!(made_for(&compiled), profile, "{os}: {:?}", compiled.diags);
        assert!(codes(&compiled).is_empty(), "{os}: {:?}", compiled.diags);
    }
}

#[test]
fn a_retired_machine_type_is_compiled_for_the_newest_that_has_it() {
    let compiled = fit("<type arch='x86_64' machine='pc-i440fx-2.3'>hvm</type>");
    assert_eq!(made_for(&compiled), "profile qemu-9.0.x86_64");
    let told = compiled.diags.iter().find(|d| d.code.id == "VC1601").expect("a warning");
    assert!(told.message.contains("no QEMU since 9.1 has the machine type 'pc-i440fx-2.3'"), "{}", told.message);
    assert_eq!(codes(&compiled), ["VC1601"], "what is gone is not called deprecated, too");
    // One that no QEMU ever had is no retired one.
    assert_eq!(codes(&fit("<type arch='x86_64' machine='pc-q35-99.0'>hvm</type>")), ["VC0201"]);
}

#[test]
fn what_ends_is_a_warning_and_what_has_ended_an_error() {
    let old = "<type arch='x86_64' machine='pc-q35-6.2'>hvm</type>";
    let compiled = with("qemu-11.1", old, "");
    let told = compiled.diags.iter().find(|d| d.code.id == "VC1603").expect("a warning");
    assert!(told.message.contains("QEMU 12.2 removes it"), "{}", told.message);
    assert!(compiled.plan.is_some() && codes(&with("qemu-7.2", old, "")).is_empty());
    let q35 = "<type arch='x86_64' machine='q35'>hvm</type>";
    let line = "<qemu:commandline><qemu:arg value='-no-hpet'/></qemu:commandline>";
    assert_eq!(codes(&with("qemu-9.0", q35, line)), ["VC1604"]);
    assert!(codes(&with("qemu-8.2", q35, line)).is_empty());
    let line = "<qemu:commandline><qemu:arg value='-mon'/><qemu:arg value='m'/></qemu:commandline>";
    assert_eq!(codes(&with("qemu-11.1", q35, line)), ["VC1603"]);
    assert!(codes(&with("qemu-11.0", q35, line)).is_empty());
    let disk = "<devices><disk type='network'><source protocol='gluster' name='v/i'><host name='h'/></source>\
                <target dev='vda' bus='virtio'/></disk></devices>";
    assert_eq!(codes(&with("qemu-11.1", q35, disk)), ["VC1604"]);
    assert!(codes(&with("qemu-11.0", q35, disk)).is_empty());
}

#[test]
fn a_machine_type_of_a_distribution_is_compiled_with_a_note() {
    for (name, arch) in
        [("pc-q35-noble", "x86_64"), ("pc-i440fx-rhel7.6.0", "x86_64"), ("s390-ccw-virtio-jammy", "s390x")]
    {
        let compiled = fit(&format!("<type arch='{arch}' machine='{name}'>hvm</type>"));
        assert_eq!(codes(&compiled), ["VC1606"], "{name}: {:?}", compiled.diags);
        let line = tokens(compiled.plan.as_ref().and_then(|p| p.qemu()).expect("QEMU"));
        assert!(line.iter().any(|t| t.starts_with(name)), "{line:?}");
    }
    assert_eq!(codes(&fit("<type arch='x86_64' machine='pc-q35-nobel'>hvm</type>")), ["VC0201"]);
}

#[test]
fn nothing_deprecated_is_written() {
    let q35 = "<type arch='x86_64' machine='q35'>hvm</type>";
    for (profile, mon, names) in [("qemu-10.0", true, true), ("qemu-11.0", true, false), ("qemu-11.1", false, false)] {
        let compiled = with(profile, q35, "");
        let plan = compiled.plan.expect("a plan");
        let line = tokens(plan.qemu().expect("QEMU"));
        assert_eq!(line.iter().any(|t| t == "-mon"), mon, "{profile}");
        assert_eq!(line.iter().any(|t| t.contains("debug-threads")), names, "{profile}");
        assert!(!line.iter().any(|t| t == "-no-acpi" || t == "-no-hpet"), "{profile}");
        assert_eq!(plan.qemu.monitor_objects, !mon, "{profile}");
    }
}

/// `virtc argv --here`, with a cache in this folder.
fn argv_here(cache: &Path, xml: &str) -> (bool, String, String) {
    let file = cache.join("vm.xml");
    std::fs::write(&file, xml).expect("written");
    let out = program()
        .args(["argv", "--here", "--allow", "surprise"])
        .arg(&file)
        .env("XDG_CACHE_HOME", cache)
        .output()
        .expect("virtc");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.success(), text(&out.stdout), text(&out.stderr))
}

#[test]
fn the_emulator_of_this_host_is_asked_once() {
    if !has_qemu() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let emulator = format!("<devices><emulator>{QEMU}</emulator></devices>");
    let xml = domain("<type arch='x86_64' machine='pc'>hvm</type>", &emulator);
    let (done, first, said) = argv_here(folder.path(), &xml);
    assert!(done && said.is_empty(), "{said}");
    let files = || std::fs::read_dir(folder.path().join("virtc/qemu")).expect("a cache").count();
    assert_eq!(files(), 1);
    assert_eq!(argv_here(folder.path(), &xml), (true, first.clone(), String::new()));
    assert_eq!(files(), 1);
    // The machine type is the one of this very QEMU.
    let version = std::process::Command::new(QEMU).arg("--version").output().expect("QEMU").stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let release: Vec<&str> = version.split_whitespace().nth(3).unwrap_or_default().split('.').take(2).collect();
    assert!(first.contains(&format!("pc-i440fx-{}", release.join("."))), "{first}");
}

#[test]
fn an_emulator_that_is_not_here_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let xml = domain(
        "<type arch='x86_64' machine='q35'>hvm</type>",
        "<devices><emulator>/usr/none/qemu</emulator></devices>",
    );
    let (done, line, said) = argv_here(folder.path(), &xml);
    assert!(done && line.contains("pc-q35-10.0"), "{said}");
    assert!(said.contains("VC1602") && said.contains("'/usr/none/qemu'"), "{said}");
}

/// `virtc build` in a folder, with options.
fn build(folder: &Path, options: &[&str]) -> (bool, String) {
    let out = program().current_dir(folder).args(["build", "vms/vm.xml"]).args(options).output().expect("virtc");
    (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn a_project_file_holds_what_is_not_typed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("vms")).expect("made");
    std::fs::write(at("vms/vm.xml"), domain("<type arch='x86_64' machine='q35'>hvm</type>", "")).expect("written");
    std::fs::write(at("virtc.kdl"), "caps \"qemu-11.1\"\noutput \"tree\"\n").expect("written");
    let unit = |tree: &str| {
        std::fs::read_to_string(at(tree).join("usr/lib/systemd/system/virtc-vm.service")).unwrap_or_default()
    };
    let (done, said) = build(folder.path(), &["-v"]);
    assert!(done && said.contains("project file: ") && said.contains("virtc.kdl"), "{said}");
    let text = unit("tree");
    assert!(text.lines().next().is_some_and(|l| l.contains("for QEMU 11.1.3, profile qemu-11.1.x86_64")), "{text}");
    assert!(text.contains("pc-q35-11.1") && !text.contains("-mon "), "{text}");
    // The command line counts more; without the file, there is the default.
    assert!(build(folder.path(), &["--caps", "qemu-7.2", "-o", "other"]).0 && unit("other").contains("pc-q35-7.2"));
    assert!(build(folder.path(), &["--no-config"]).0 && unit("out").contains("pc-q35-10.0"));
    // A nearer file is taken alone, and a fault in it is told in its place.
    std::fs::write(at("vms/virtc.kdl"), "capss \"qemu-7.2\"\n").expect("written");
    let (done, said) = build(folder.path(), &[]);
    assert!(!done && said.contains("unknown node 'capss'") && said.contains("virtc.kdl:1:1"), "{said}");
}
