//! `virtc deploy` and `virtc package`, as far as they need no systemd.

use super::bed::Bed;
use crate::common::{QEMU, has};
use std::path::Path;
use std::process::Command;

/// Builds a tree of one machine with this much memory.
fn build(bed: &Bed, mib: u32) -> String {
    build_one(bed, "shipped", mib, "out")
}

fn build_one(bed: &Bed, name: &str, mib: u32, out: &str) -> String {
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>{mib}</memory>\
         <resource><partition>/machine/shop</partition></resource>\
         <os><type arch='x86_64' machine='pc'>hvm</type></os><devices><emulator>{QEMU}</emulator></devices></domain>"
    );
    let file = bed.path(&format!("{name}.xml"));
    std::fs::write(&file, xml).expect("written");
    let out = bed.path(out);
    bed.ok(&["build", &file, "-o", &out]);
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
        .filter(|l| ![": DEBIAN", ": shipped.d", ": system-preset", "/usr/lib: virtc"].iter().any(|w| l.contains(w)))
        // It is the same file elsewhere; the scripts put it in place.
        .filter(|l| !l.ends_with("/usr/lib/systemd/system: virtc.target"))
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

#[test]
fn two_packages_share_a_host() {
    if !has("/usr/bin/dpkg", "dpkg") {
        return;
    }
    let bed = Bed::new("packs");
    let root = bed.path("root");
    for folder in ["var/lib/dpkg/updates", "var/lib/dpkg/info", "etc", "tmp"] {
        std::fs::create_dir_all(format!("{root}/{folder}")).expect("made");
    }
    for file in ["var/lib/dpkg/status", "var/lib/dpkg/available", "etc/passwd", "etc/group"] {
        std::fs::write(format!("{root}/{file}"), "").expect("written");
    }
    // The scripts run here, on the other root: nothing of this system may be asked or told.
    let options = ["--force-script-chrootless,depends,not-root,bad-path,confold", "--log=/dev/null", "--root"];
    let dpkg = |what: &str, name: &str| {
        let mut command = Command::new("dpkg");
        command.args(options).arg(&root).args([what, name]).env("DEBIAN_FRONTEND", "noninteractive");
        let out = command.output().expect("dpkg");
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "dpkg {what} {name}: {said}");
    };
    let there = |path: &str| Path::new(&format!("{root}/{path}")).symlink_metadata().is_ok();
    let target = "usr/lib/systemd/system/virtc.target";
    let wanted = "etc/systemd/system/multi-user.target.wants/virtc.target";
    let packages = ["first", "second"].map(|name| {
        let tree = build_one(&bed, name, 64, &format!("{name}.out"));
        let deb = bed.path(&format!("{name}.deb"));
        bed.ok(&["package", "--deb", &tree, "-o", &deb, "--name", name]);
        (tree, deb)
    });
    for (tree, deb) in &packages {
        dpkg("-i", deb);
        let [made, installed] = [tree, &root].map(|top| std::fs::read(format!("{top}/{target}")).expect("a target"));
        assert_eq!(made, installed);
    }
    for name in ["first", "second"] {
        assert!(there(&format!("usr/lib/systemd/system/machine-shop.slice.d/virtc-{name}.conf")), "{name}");
    }
    let has_systemctl = Path::new("/usr/bin/systemctl").exists();
    let enabled = |name: &str| there(&format!("etc/systemd/system/virtc.target.wants/virtc-{name}.service"));
    if has_systemctl {
        assert!(there(wanted) && enabled("first") && enabled("second"));
        // What the administrator has chosen survives another package.
        std::fs::remove_file(format!("{root}/{wanted}")).expect("disabled");
        dpkg("-r", "second");
        dpkg("-i", &packages[1].1);
        assert!(!there(wanted) && enabled("second"));
    }
    dpkg("-r", "first");
    assert!(there(target), "the second package needs it");
    assert!(!enabled("first") && (!has_systemctl || enabled("second")));
    dpkg("-P", "second");
    assert!(!there(target) && !enabled("second") && !there("usr/lib/virtc"));
    dpkg("-P", "first");
    assert!(!there("var/lib/virtc/.packages"));
}
