//! `virtc deploy` and `virtc package`, as far as they need no systemd.

use crate::bed::{Bed, QEMU, has};
use std::path::Path;
use std::process::Command;

/// Builds a tree of one machine with this much memory.
fn build(bed: &Bed, mib: u32) -> String {
    let xml = format!(
        "<domain type='qemu'><name>shipped</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>\
         <memory unit='MiB'>{mib}</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>\
         <devices><emulator>{QEMU}</emulator></devices></domain>"
    );
    std::fs::write(bed.path("shipped.xml"), xml).expect("written");
    let out = bed.path("out");
    bed.ok(&["build", &bed.path("shipped.xml"), "-o", &out]);
    out
}

#[test]
fn deploys_shows_and_rolls_back() {
    let bed = Bed::new("ship");
    let root = bed.path("root");
    std::fs::create_dir(&root).expect("made");
    let unit = format!("{root}/usr/lib/systemd/system/virtc-shipped.service");
    let read = || std::fs::read_to_string(&unit).unwrap_or_default();

    let out = build(&bed, 64);
    let dry = bed.call(&["deploy", &out, "--root", &root, "--dry-run"]);
    assert_eq!(dry.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&dry.stdout).contains("+++ /usr/lib/systemd/system/virtc-shipped.service"));
    assert_eq!(read(), "");
    bed.ok(&["deploy", &out, "--root", &root]);
    let first = read();
    assert!(first.contains("size=65536k"));
    assert!(!Path::new(&format!("{root}/shipped.d")).exists(), "dependency files are not for the host");
    assert_eq!(bed.ok(&["deploy", &out, "--root", &root, "--dry-run"]), "");

    let out = build(&bed, 128);
    let diff = bed.ok(&["deploy", &out, "--root", &root]);
    assert!(diff.contains("-    -m size=65536k") && diff.contains("+    -m size=131072k"), "{diff}");
    assert!(read().contains("size=131072k"));
    bed.ok(&["deploy", "--rollback", "--root", &root]);
    assert_eq!(read(), first);
    assert!(bed.fails(4, &["deploy", "--rollback", "--root", &root]).contains("no deployment"));
    bed.fails(1, &["deploy", &bed.path("root/var"), "--root", &root]);
}

#[test]
fn other_transports_are_refused_with_what_to_use() {
    let bed = Bed::new("far");
    let err = bed.fails(2, &["list", "--connect", "qemu+tls://host/system"]);
    assert!(err.contains("VC1217") && err.contains("qemu+ssh://host/system"), "{err}");
    bed.fails(2, &["deploy", &bed.path("."), "--connect", "qemu+ssh://-oProxyCommand=x/system"]);
}

#[test]
fn ssh_carries_the_commands() {
    // An ssh that only writes down what it was asked.
    let bed = Bed::new("far");
    std::fs::create_dir(bed.path("bin")).expect("made");
    let asked = bed.path("asked");
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >{asked}\ncat >{asked}.tar\nexit 3\n");
    std::fs::write(bed.path("bin/ssh"), script).expect("written");
    Command::new("chmod").args(["755", &bed.path("bin/ssh")]).status().expect("chmod");
    let path = format!("{}:{}", bed.path("bin"), std::env::var("PATH").unwrap_or_default());
    let uri = "qemu+ssh://admin@far.example:2222/system";
    let call = |args: &[&str]| {
        let out = bed.virtc(args).env("PATH", &path).output().expect("virtc runs");
        assert_eq!(out.status.code(), Some(3), "{}", String::from_utf8_lossy(&out.stderr));
        std::fs::read_to_string(&asked).expect("what ssh was asked")
    };
    let words = call(&["monitor", "--connect", uri, "vm", "device_add", "driver=a b"]);
    assert!(words.starts_with("-p\n2222\n-T\n-l\nadmin\n--\nfar.example\n"), "{words}");
    assert!(words.contains("virtc --connect qemu:///system monitor -- vm device_add 'driver=a b'"), "{words}");
    let out = build(&bed, 64);
    let words = call(&["deploy", "--connect", uri, &out, "--dry-run"]);
    assert!(words.contains("virtc deploy --dry-run --root / \"$d\""), "{words}");
    let list = Command::new("tar").args(["-tf", &format!("{asked}.tar")]).output().expect("tar");
    assert!(String::from_utf8_lossy(&list.stdout).contains("./usr/lib/systemd/system/virtc-shipped.service"));
}

#[test]
fn debian_takes_the_package() {
    if !has("/usr/bin/dpkg-deb", "dpkg") {
        return;
    }
    let bed = Bed::new("pack");
    let out = build(&bed, 64);
    let deb = bed.path("machines.deb");
    bed.ok(&["package", "--deb", &out, "-o", &deb, "--package-version", "1.2"]);
    let bytes = std::fs::read(&deb).expect("the package");
    bed.ok(&["package", "--deb", &out, "-o", &deb, "--package-version", "1.2"]);
    assert_eq!(std::fs::read(&deb).expect("the package"), bytes, "the same tree gives the same bytes");
    let dpkg = |args: &[&str]| {
        let out = Command::new("dpkg-deb").args(args).output().expect("dpkg-deb");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let info = dpkg(&["-I", &deb]);
    assert!(info.contains("Version: 1.2") && info.contains("Depends: qemu-system-x86"), "{info}");
    let unpacked = bed.path("unpacked");
    dpkg(&["-R", &deb, &unpacked]);
    let same = Command::new("diff").args(["-r", &out, &unpacked]).output().expect("diff");
    let differences = String::from_utf8_lossy(&same.stdout).into_owned();
    let left: Vec<&str> = differences
        .lines()
        .filter(|l| !l.contains(": DEBIAN") && !l.contains(": shipped.d") && !l.contains(": system-preset"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let preset = std::fs::read_to_string(format!("{unpacked}/usr/lib/systemd/system-preset/80-virtc-machines.preset"));
    assert_eq!(preset.expect("a preset"), "enable virtc-shipped.service\nenable virtc.target\n");
    for script in ["postinst", "prerm", "postrm"] {
        let checked = Command::new("sh").args(["-n", &format!("{unpacked}/DEBIAN/{script}")]).status();
        assert!(checked.expect("sh").success(), "{script}");
    }
    bed.fails(2, &["package", "--deb", &out, "--name", "Not A Name"]);
}
