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
    let shown = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(shown.contains("new      shipped") && !shown.contains("+++"), "{shown}");
    let full = bed.call(&["deploy", &out, "--root", &root, "--dry-run", "--full"]);
    assert!(String::from_utf8_lossy(&full.stdout).contains("+++ /usr/lib/systemd/system/virtc-shipped.service"));
    assert_eq!(read(), "");
    bed.ok(&["deploy", &out, "--root", &root]);
    let first = read();
    assert!(first.contains("size=65536k"));
    assert!(!Path::new(&format!("{root}/shipped.d")).exists(), "dependency files are not for the host");
    assert_eq!(bed.ok(&["deploy", &out, "--root", &root, "--dry-run"]), "");

    let out = build(&bed, 128);
    let diff = bed.ok(&["deploy", &out, "--root", &root, "--full"]);
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
    assert!(
        info.contains("Version: 1.2")
            && info.contains("Depends: qemu-system-x86 (>= 1:")
            && info.contains("virtc-common"),
        "{info}"
    );
    let unpacked = bed.path("unpacked");
    dpkg(&["-R", &deb, &unpacked]);
    let same = Command::new("diff").args(["-r", &out, &unpacked]).output().expect("diff");
    let differences = String::from_utf8_lossy(&same.stdout).into_owned();
    let left: Vec<&str> = differences
        .lines()
        .filter(|l| {
            let more = [
                ": DEBIAN",
                ": shipped.d",
                ": system-preset",
                "/share: doc",
                "/share: lintian",
                "/shipped: owner",
                "/usr/lib: virtc",
            ];
            !more.iter().any(|w| l.contains(w))
        })
        // The common package has it.
        .filter(|l| !l.ends_with("/usr/lib/systemd/system: virtc.target"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let preset = std::fs::read_to_string(format!("{unpacked}/usr/lib/systemd/system-preset/80-virtc-machines.preset"));
    assert_eq!(preset.expect("a preset"), "enable virtc-shipped.service\n");
    for script in ["preinst", "postinst", "prerm", "postrm"] {
        let checked = Command::new("sh").args(["-n", &format!("{unpacked}/DEBIAN/{script}")]).status();
        assert!(checked.expect("sh").success(), "{script}");
    }
    bed.fails(2, &["package", "--deb", &out, "--name", "Not A Name"]);
}

/// A root that dpkg can install into. Its scripts run here, on the other root: nothing of this system may be asked or told.
struct OtherRoot(String);

impl OtherRoot {
    fn new(bed: &Bed) -> OtherRoot {
        let root = bed.path("root");
        for folder in ["var/lib/dpkg/updates", "var/lib/dpkg/info", "etc", "tmp"] {
            std::fs::create_dir_all(format!("{root}/{folder}")).expect("made");
        }
        for file in ["var/lib/dpkg/status", "var/lib/dpkg/available", "etc/passwd", "etc/group"] {
            std::fs::write(format!("{root}/{file}"), "").expect("written");
        }
        OtherRoot(root)
    }

    fn dpkg(&self, what: &str, name: &str) {
        let options = ["--force-script-chrootless,depends,not-root,bad-path,confold", "--log=/dev/null", "--root"];
        let mut command = Command::new("dpkg");
        command.args(options).arg(&self.0).args([what, name]).env("DEBIAN_FRONTEND", "noninteractive");
        let out = command.output().expect("dpkg");
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "dpkg {what} {name}: {said}");
    }

    fn has(&self, path: &str) -> bool {
        Path::new(&format!("{}/{path}", self.0)).symlink_metadata().is_ok()
    }

    fn enables(&self, name: &str) -> bool {
        self.has(&format!("etc/systemd/system/virtc.target.wants/virtc-{name}.service"))
    }
}

const TARGET: &str = "usr/lib/systemd/system/virtc.target";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/virtc.target";

#[test]
fn two_packages_share_a_host() {
    if !has("/usr/bin/dpkg", "dpkg") || !has("/usr/bin/deb-systemd-helper", "init-system-helpers") {
        return;
    }
    let bed = Bed::new("packs");
    let root = OtherRoot::new(&bed);
    let common = bed.path("common.deb");
    bed.ok(&["package", "--deb", "--common", "-o", &common]);
    let packages = ["first", "second"].map(|name| {
        let tree = build_one(&bed, name, 64, &format!("{name}.out"));
        let deb = bed.path(&format!("{name}.deb"));
        bed.ok(&["package", "--deb", &tree, "-o", &deb, "--name", name]);
        (tree, deb)
    });
    root.dpkg("-i", &common);
    for (tree, deb) in &packages {
        root.dpkg("-i", deb);
        let [made, installed] =
            [tree.as_str(), &root.0].map(|top| std::fs::read(format!("{top}/{TARGET}")).expect("a target"));
        assert_eq!(made, installed);
    }
    for name in ["first", "second"] {
        assert!(root.has(&format!("usr/lib/systemd/system/machine-shop.slice.d/virtc-{name}.conf")), "{name}");
    }
    assert!(root.has(WANTED) && root.enables("first") && root.enables("second"));
    // What the administrator has chosen survives another package.
    std::fs::remove_file(format!("{}/{WANTED}", root.0)).expect("disabled");
    root.dpkg("-r", "second");
    assert!(!root.enables("second"));
    root.dpkg("-i", &packages[1].1);
    assert!(!root.has(WANTED) && root.enables("second"));
    root.dpkg("-r", "first");
    assert!(root.has(TARGET) && !root.enables("first") && root.enables("second"));
    root.dpkg("-P", "second");
    root.dpkg("-P", "first");
    assert!(!root.enables("second") && !root.has("usr/share/virtc"));
    root.dpkg("-P", "virtc-common");
    assert!(!root.has(TARGET) && !root.has("usr/lib/virtc"));
}

#[test]
fn an_upgrade_enables_what_is_new_and_forgets_what_left() {
    if !has("/usr/bin/dpkg", "dpkg") || !has("/usr/bin/deb-systemd-helper", "init-system-helpers") {
        return;
    }
    let bed = Bed::new("upgrade");
    let root = OtherRoot::new(&bed);
    let package = |version: &str, names: &[&str]| {
        let out = bed.path("out");
        for name in names {
            build_one(&bed, name, 64, "out");
        }
        let deb = bed.path(&format!("{version}.deb"));
        bed.ok(&["package", "--deb", &out, "-o", &deb, "--package-version", version]);
        root.dpkg("-i", &deb);
    };
    let profiles = || std::fs::read_dir(format!("{}/etc/apparmor.d/libvirt", root.0)).map_or(0, Iterator::count);
    package("1.0", &["alpha", "beta"]);
    assert!(root.enables("alpha") && root.enables("beta"));
    assert_eq!(profiles(), 4);
    // The administrator disables one; another comes, one goes.
    let link = format!("{}/etc/systemd/system/virtc.target.wants/virtc-alpha.service", root.0);
    std::fs::remove_file(link).expect("disabled");
    std::fs::remove_file(bed.path("beta.xml")).expect("removed");
    package("1.1", &["alpha", "gamma"]);
    assert!(root.enables("gamma"), "what is new is enabled");
    assert!(!root.enables("beta") && !root.has("usr/share/virtc/beta"), "what left is forgotten");
    assert!(!root.enables("alpha"), "what was disabled stays so");
    assert_eq!(profiles(), 4, "the profile of what left is gone");
    // Back to the version before.
    std::fs::remove_file(bed.path("gamma.xml")).expect("removed");
    package("1.0", &["alpha", "beta"]);
    assert!(root.enables("beta") && !root.enables("gamma") && !root.enables("alpha"));
    assert_eq!(profiles(), 4, "the profile of what comes back is there again");
    root.dpkg("-P", "virtc-machines");
    assert!(!root.enables("beta") && profiles() == 0 && !root.has("usr/share/virtc"));
    assert!(!root.has("var/lib/systemd/deb-systemd-helper-enabled/virtc-beta.service.dsh-also"));
}

#[test]
fn lintian_has_nothing_to_say() {
    if !has("/usr/bin/lintian", "lintian") {
        return;
    }
    let bed = Bed::new("lint");
    let out = build(&bed, 64);
    let maintainer = "Team of Machines <machines@debian.org>";
    let machines = bed.path("virtc-machines_1.2_all.deb");
    bed.ok(&["package", "--deb", &out, "-o", &machines, "--package-version", "1.2", "--maintainer", maintainer]);
    let common = bed.path("virtc-common_1.2_amd64.deb");
    bed.ok(&["package", "--deb", "--common", "-o", &common, "--package-version", "1.2", "--maintainer", maintainer]);
    for deb in [machines, common] {
        // A debug build of the helper is not stripped.
        let tags = "unstripped-binary-or-object,binary-without-manpage,hardening-no-relro";
        let out =
            Command::new("lintian").args(["--allow-root", "--suppress-tags", tags, &deb]).output().expect("lintian");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let faults: Vec<&str> = said.lines().filter(|l| l.starts_with("E:") || l.starts_with("W:")).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// A root that rpm can install into.
struct RpmRoot(String);

impl RpmRoot {
    fn new(bed: &Bed) -> RpmRoot {
        let root = bed.path("rpm-root");
        std::fs::create_dir_all(&root).expect("made");
        RpmRoot(root)
    }

    fn rpm(&self, words: &[&str]) -> String {
        let mut command = Command::new("rpm");
        command.args(["--root", &self.0, "--dbpath", "/var/lib/rpm", "--nosignature"]).args(words);
        if words.iter().any(|word| ["-i", "-U", "-e"].contains(word)) {
            command.args(["--nodeps", "--noscripts"]);
        }
        let out = command.output().expect("rpm");
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "rpm {words:?}: {said}");
        said
    }

    fn machines(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(format!("{}/usr/share/virtc", self.0)) else { return Vec::new() };
        let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// Whether rpm can install here: it changes to the other root.
fn has_rpm() -> bool {
    if !has("/usr/bin/rpm", "rpm") {
        return false;
    }
    let root = rustix::process::geteuid().is_root();
    if !root {
        crate::common::skip("root that may change the system");
    }
    root
}

/// What rpm says of a package that is a file. It looks for a database even then.
fn rpm_says(words: &[&str]) -> String {
    let home = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("rpm");
    command.args(["-qp", "--nosignature"]).args(words).env("HOME", home.path());
    let out = command.output().expect("rpm");
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn rpm_takes_the_package() {
    if !has_rpm() {
        return;
    }
    let bed = Bed::new("rpm");
    let out = build(&bed, 64);
    let rpm = bed.path("machines.rpm");
    let make = || {
        bed.ok(&["package", "--rpm", &out, "-o", &rpm, "--package-version", "1:1.2-3"]);
        std::fs::read(&rpm).expect("the package")
    };
    assert_eq!(make(), make(), "the same tree gives the same bytes");
    assert_eq!(
        rpm_says(&["--qf", "%{NAME} %{EPOCH} %{VERSION} %{RELEASE} %{ARCH} %{SOURCERPM}", &rpm]),
        "virtc-machines 1 1.2 3 noarch virtc-machines-1.2-3.src.rpm"
    );
    let requires = rpm_says(&["--requires", &rpm]);
    for wanted in ["qemu-system-x86-core >= 2:", "virtc-common", "/bin/sh", "rpmlib(FileDigests)"] {
        assert!(requires.lines().any(|line| line.starts_with(wanted)), "{wanted}: {requires}");
    }
    // Whether its digests are those of its bytes.
    let home = bed.path("home");
    let mut checked = Command::new("rpm");
    checked.args(["-K", "--nosignature", "-v", &rpm]).env("HOME", &home);
    let checked = checked.output().expect("rpm");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && said.contains("SHA256 digest: OK") && !said.contains("BAD"), "{said}");
    let listed = rpm_says(&["-l", "-c", &rpm]);
    assert!(
        listed.lines().all(|path| path.starts_with("/etc/apparmor.d/libvirt/")),
        "only these are configuration: {listed}"
    );

    let root = RpmRoot::new(&bed);
    root.rpm(&["-i", &rpm]);
    let same = Command::new("diff").args(["-r", &out, &root.0]).output().expect("diff");
    let differences = String::from_utf8_lossy(&same.stdout).into_owned();
    let more = [": shipped.d", ": system-preset", "/shipped: owner", ": var"];
    let left: Vec<&str> = (differences.lines())
        .filter(|l| !more.iter().any(|w| l.contains(w)) && !l.ends_with("/usr/lib/systemd/system: virtc.target"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    root.rpm(&["-e", "virtc-machines"]);
    assert!(root.machines().is_empty() && !Path::new(&format!("{}/usr/share/virtc", root.0)).exists());

    // Where rpm and Debian write versions in different ways, it is told.
    bed.fails(2, &["package", "--rpm", &out, "--package-version", "1-2-3"]);
    let common = bed.path("common.rpm");
    bed.ok(&["package", "--rpm", "--common", "-o", &common]);
    assert!(rpm_says(&["-l", &common]).contains("/usr/lib/virtc/qmp\n"));
    root.rpm(&["-i", &common, &rpm]);
    // Two packages may have one and the same folder and network.
    let other = build_one(&bed, "other", 64, "other.out");
    let second = bed.path("second.rpm");
    bed.ok(&["package", "--rpm", &other, "-o", &second, "--name", "second"]);
    root.rpm(&["-i", &second]);
    root.rpm(&["-e", "virtc-machines"]);
    assert_eq!(root.machines(), ["other"]);
}

/// The scripts of a package of rpm, on a root of their own: what they call writes down how it was called.
#[test]
fn scripts_of_rpm_follow_the_tree() {
    if !has_rpm() {
        return;
    }
    let bed = Bed::new("rpm-scripts");
    let root = RpmRoot::new(&bed);
    let log = bed.path("log");
    let bin = bed.path("bin");
    for folder in [&bin, &format!("{}/run/systemd/system", root.0)] {
        std::fs::create_dir_all(folder).expect("made");
    }
    for program in
        ["systemctl", "systemd-sysusers", "udevadm", "apparmor_parser", "semodule", "networkctl", "setsebool"]
    {
        let place = format!("{bin}/{program}");
        std::fs::write(&place, format!("#!/bin/sh\necho {program} \"$@\" >>{log}\n")).expect("written");
        let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&place, mode).expect("a mode");
    }
    let run = |rpm: &str, tag: &str, count: &str| -> String {
        let text = rpm_says(&["--qf", &format!("%{{{tag}}}"), rpm]);
        let moved = ["/usr/share/virtc", "/var/lib/virtc", "/run/", "/sys/"]
            .iter()
            .fold(text, |text, place| text.replace(place, &format!("{}{place}", root.0)));
        let script = bed.path("script");
        std::fs::write(&script, moved).expect("written");
        let _ = std::fs::remove_file(&log);
        let path = format!("{bin}:/usr/bin:/bin");
        let out = Command::new("sh").args([&script, count]).env("PATH", path).output().expect("sh");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success() && said.is_empty(), "{tag}: {said}");
        std::fs::read_to_string(&log).unwrap_or_default()
    };
    let package = |version: &str, names: &[(&str, u32)]| -> String {
        let out = bed.path("out");
        let _ = std::fs::remove_dir_all(&out);
        for (name, mib) in names {
            build_one(&bed, name, *mib, "out");
        }
        let rpm = bed.path(&format!("{version}.rpm"));
        bed.ok(&[
            "package",
            "--rpm",
            &out,
            "-o",
            &rpm,
            "--package-version",
            version,
            "--on-upgrade",
            "restart",
            "--start",
        ]);
        rpm
    };
    let first = package("1", &[("alpha", 64), ("beta", 64)]);
    assert_eq!(run(&first, "PREIN", "1"), "");
    root.rpm(&["-i", &first]);
    let said = run(&first, "POSTIN", "1");
    assert!(said.contains("systemctl --no-reload preset virtc-alpha.service\n"), "{said}");
    assert!(said.contains("systemctl start virtc-alpha.service virtc-beta.service\n"), "{said}");
    let state = format!("{}/var/lib/virtc/packages/virtc-machines", root.0);
    assert_eq!(std::fs::read_to_string(&state).expect("a state"), "virtc-alpha.service\nvirtc-beta.service\n");

    std::fs::remove_file(bed.path("beta.xml")).expect("removed");
    let second = package("2", &[("alpha", 96), ("gamma", 64)]);
    let said = run(&second, "PREIN", "2");
    assert!(
        said.contains("systemctl stop virtc-beta.service\n") && said.contains("disable virtc-beta.service\n"),
        "{said}"
    );
    assert!(!said.contains("alpha") && said.contains("semodule --remove virtc_"), "{said}");
    root.rpm(&["-U", &second]);
    assert_eq!(root.machines(), ["alpha", "gamma"]);
    let said = run(&second, "POSTIN", "2");
    assert!(said.contains("preset virtc-gamma.service\n") && !said.contains("preset virtc-alpha"), "{said}");
    let stop = said.find("systemctl stop virtc-alpha.service virtc-gamma.service");
    let start = said.find("systemctl start virtc-alpha.service virtc-gamma.service");
    assert!(stop.is_some() && stop < start, "{said}");
    assert_eq!(run(&first, "PREUN", "1"), "");
    // All of it goes.
    let said = run(&second, "PREUN", "0");
    assert!(
        said.contains("systemctl stop virtc-alpha.service\n") && said.contains("disable virtc-gamma.service\n"),
        "{said}"
    );
    root.rpm(&["-e", "virtc-machines"]);
    run(&second, "POSTUN", "0");
    assert!(root.machines().is_empty() && !Path::new(&state).exists());
}
