//! A fleet's life: machines come, change, get other names and go, in a tree and on a host, and nothing is left behind. Without
//! systemd: the hosts are folders.

use crate::common;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// A folder with domains, a tree and a host.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["vms", "host"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Site { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a domain with a UUID and a disk of its own, which follow from `number`.
    fn domain(&self, file: &str, name: &str, number: u32, mib: u32) {
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><uuid>1a1b2c3d-0000-4000-8000-0000000000{number:02}</uuid>\n\
             <memory unit='MiB'>{mib}</memory><os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>\n\
             <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>\n\
             <disk type='file'><driver name='qemu' type='raw'/><source file='/srv/{number}.img'/><target dev='vda'/></disk>\n\
             </devices></domain>\n"
        );
        fs::write(self.path(file), xml).expect("a domain");
    }

    fn call(&self, args: &[&str]) -> Output {
        common::virtc().args(args).current_dir(self.folder.path()).stdin(Stdio::null()).output().expect("virtc")
    }

    /// Calls virtc, which is to end with this status; what it says.
    fn ends(&self, status: i32, args: &[&str]) -> String {
        let output = self.call(args);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
        said
    }

    /// The same, and what programs are told: the messages, a line each, with code and place.
    fn told(&self, status: i32, args: &[&str]) -> String {
        let mut all = args.to_vec();
        all.extend(["--message-format", "json"]);
        let said = self.ends(status, &all);
        let faults = said.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
        faults.map(|f| format!("{} {} {}\n", f["code"], f["message"], f["related"])).collect()
    }

    fn ok(&self, args: &[&str]) -> String {
        self.ends(0, args)
    }

    /// The machines below a root: their folders, units, accounts and links all have to say the same.
    fn machines(&self, root: &str, deployed: bool) -> BTreeSet<String> {
        let list = |folder: &str, start: &str, end: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(self.path(root).join(folder)).into_iter().flatten().flatten();
            let names = entries.filter_map(|e| e.file_name().into_string().ok());
            names.filter_map(|n| Some(n.strip_prefix(start)?.strip_suffix(end)?.to_string())).collect()
        };
        let machines = list("usr/share/virtc", "", "");
        assert_eq!(list("usr/lib/systemd/system", "virtc-", ".service"), machines, "units");
        assert_eq!(list("usr/lib/sysusers.d", "virtc-", ".conf"), machines, "accounts");
        assert_eq!(list("usr/lib/tmpfiles.d", "virtc-", ".conf"), machines, "folders");
        let profiles = list("etc/apparmor.d/libvirt", "libvirt-", ".files").len();
        assert_eq!(profiles, machines.len(), "profiles");
        if deployed {
            assert_eq!(list("etc/systemd/system/virtc.target.wants", "virtc-", ".service"), machines, "links");
        } else {
            assert_eq!(list("", "", ".d"), machines, "dependency files");
        }
        machines
    }

    fn are(&self, root: &str, names: &[&str]) {
        let expected: BTreeSet<String> = names.iter().map(|n| n.to_string()).collect();
        assert_eq!(self.machines(root, root == "host"), expected, "{root}");
    }
}

/// Every file and link below a folder, with its text; but what a deployment remembers.
fn look(root: &Path) -> BTreeSet<(String, String)> {
    let mut out = BTreeSet::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).expect("inside").display().to_string();
            let meta = fs::symlink_metadata(&path).expect("a file");
            match () {
                () if name == "var" => {}
                () if meta.is_dir() => folders.push(path),
                () if meta.is_symlink() => {
                    out.insert((name, fs::read_link(&path).expect("a link").display().to_string()));
                }
                () => {
                    out.insert((name, String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned()));
                }
            }
        }
    }
    out
}

#[test]
fn a_tree_follows_its_inputs() {
    let site = Site::new();
    site.domain("vms/web.xml", "web", 1, 64);
    site.domain("vms/db.xml", "db", 2, 64);
    site.ok(&["build", "vms", "-o", "out"]);
    site.are("out", &["db", "web"]);
    // Another name: the same machine.
    site.domain("vms/web.xml", "www", 1, 64);
    let said = site.ok(&["build", "vms", "-o", "out"]);
    assert!(said.contains("'web' goes from out"), "{said}");
    site.are("out", &["db", "www"]);
    // Its file goes, and one that is not virtc's stays.
    fs::write(site.path("out/usr/share/note"), "mine").expect("a file");
    fs::remove_file(site.path("vms/db.xml")).expect("removed");
    site.ok(&["build", "vms", "-o", "out"]);
    site.are("out", &["www"]);
    assert!(site.path("out/usr/share/note").exists());
    // As a shell names the files, and with a file that has another name.
    fs::rename(site.path("vms/web.xml"), site.path("vms/moved.xml")).expect("moved");
    site.domain("vms/moved.xml", "moved", 1, 64);
    site.ok(&["build", "vms/moved.xml", "-o", "out"]);
    site.are("out", &["moved"]);
    // One file after the other, as make does it, takes nothing away.
    site.domain("vms/db.xml", "db", 2, 64);
    site.ok(&["build", "vms/db.xml", "-o", "out"]);
    site.are("out", &["db", "moved"]);
    site.ok(&["build", "vms/moved.xml", "-o", "out"]);
    site.are("out", &["db", "moved"]);
    site.ok(&["build", "--clean", "vms/db.xml", "-o", "out"]);
    site.are("out", &["db"]);
}

#[test]
fn what_is_in_the_tree_counts() {
    let site = Site::new();
    site.domain("vms/web.xml", "web", 1, 64);
    site.ok(&["build", "vms/web.xml", "-o", "out"]);
    // A copy with the UUID and the disk of the first.
    site.domain("vms/copy.xml", "copy", 1, 64);
    let said = site.told(1, &["build", "vms/copy.xml", "-o", "out"]);
    let faults: Vec<&str> = said.lines().filter(|l| l.contains("VC0904")).collect();
    assert!(faults.iter().any(|f| f.contains("the UUID") && f.contains("'web', which is in out already")), "{said}");
    assert!(faults.iter().any(|f| f.contains("the writable disk '/srv/1.img'")), "{said}");
    assert!(faults.iter().all(|f| f.contains("\"file\":\"vms/web.xml\"")), "{said}");
    site.are("out", &["web"]);
    // To rename and to keep what was is the same.
    site.domain("vms/web.xml", "www", 1, 64);
    assert!(site.ends(1, &["build", "--keep", "vms/web.xml", "-o", "out"]).contains("VC0904"));
    // Another machine of the same name would take its place.
    site.domain("vms/web.xml", "web", 1, 64);
    fs::create_dir(site.path("other")).expect("a folder");
    site.domain("other/web.xml", "web", 2, 64);
    assert!(site.ends(1, &["build", "other/web.xml", "-o", "out"]).contains("VC2105"));
    // The same machine from another file, and one whose file is gone, are no such thing.
    fs::remove_file(site.path("vms/web.xml")).expect("removed");
    site.ok(&["build", "other/web.xml", "-o", "out"]);
}

#[test]
fn units_of_helpers_are_nobody_elses() {
    let site = Site::new();
    let with_tpm = |name: &str, number: u32| {
        site.domain(&format!("vms/{name}.xml"), name, number, 64);
        let file = site.path(&format!("vms/{name}.xml"));
        let tpm = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm></devices>";
        let text = fs::read_to_string(&file).expect("a domain").replace("</devices>", tpm);
        fs::write(file, text).expect("a domain");
    };
    with_tpm("one", 1);
    site.domain("vms/two.xml", "one-swtpm-tpm0", 2, 64);
    let said = site.told(1, &["build", "vms", "-o", "out"]);
    assert!(said.contains("VC1105") && said.contains("virtc-one-swtpm-tpm0.service"), "{said}");
    assert!(site.ends(1, &["check", "vms"]).contains("VC1105"));
}

#[test]
fn all_commands_find_the_same() {
    let site = Site::new();
    site.domain("vms/a.xml", "a", 1, 64);
    site.domain("vms/b.xml", "b", 1, 64);
    fs::write(site.path("vms/c.xml"), "<domain type='qemu'><name>c</name><memori/></domain>").expect("a file");
    let codes = |output: &Output, of_stderr: bool| -> Vec<String> {
        let text = String::from_utf8_lossy(if of_stderr { &output.stderr } else { &output.stdout }).into_owned();
        let log: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("one document: {e}: {text}"));
        let results = log["runs"][0]["results"].as_array().cloned().unwrap_or_default();
        results.iter().map(|r| format!("{} {}", r["ruleId"], r["locations"])).collect()
    };
    let check = codes(&site.call(&["check", "vms", "nothing.xml", "--message-format", "sarif"]), false);
    let build = codes(&site.call(&["build", "vms", "nothing.xml", "-o", "out", "--message-format", "sarif"]), true);
    assert_eq!(check, build);
    assert!(check.iter().any(|c| c.contains("VC2101") && c.contains("nothing.xml")), "{check:?}");
    assert_eq!(check.iter().filter(|c| c.contains("VC0904")).count(), 2, "the UUID and the disk, each once: {check:?}");
    let golden = codes(&site.call(&["golden", "check", "vms", "--message-format", "sarif"]), true);
    assert_eq!(golden.len(), check.len() - 1, "{golden:?}");
}

#[test]
fn only_whole_trees_are_deployed() {
    let site = Site::new();
    assert!(site.ends(1, &["deploy", "vms", "--root", "host"]).contains("VC2102"));
    site.domain("vms/web.xml", "web", 1, 64);
    assert!(site.ends(1, &["package", "--deb", "vms"]).contains("VC2102"));
    site.ok(&["build", "vms", "-o", "out"]);
    let unit = site.path("out/usr/lib/systemd/system/virtc-web.service");
    let text = fs::read_to_string(&unit).expect("a unit");
    fs::write(&unit, text.replace("[Service]", "[Service]\nExecStartPre=/bin/evil")).expect("written");
    let said = site.told(1, &["deploy", "out", "--root", "host"]);
    assert!(said.contains("VC2103") && said.contains("virtc-web.service"), "{said}");
    fs::write(&unit, text).expect("written");
    fs::create_dir_all(site.path("out/etc/cron.d")).expect("a folder");
    fs::write(site.path("out/etc/cron.d/evil"), "* * * * * root evil").expect("written");
    assert!(site.told(1, &["deploy", "out", "--root", "host"]).contains("/etc/cron.d/evil"));
    fs::remove_file(site.path("out/etc/cron.d/evil")).expect("removed");
    fs::remove_file(site.path("out/usr/share/virtc/web/argv")).expect("removed");
    assert!(site.told(1, &["deploy", "out", "--root", "host"]).contains("argv of 'web' is missing"));
    assert!(look(&site.path("host")).is_empty());
}

#[test]
fn a_host_follows_its_tree() {
    let site = Site::new();
    site.domain("vms/web.xml", "web", 1, 64);
    site.domain("vms/db.xml", "db", 2, 64);
    let step = |what: &str| {
        site.ok(&["build", "vms", "-o", "out"]);
        let plan = site.ends(3, &["deploy", "out", "--root", "host", "--dry-run"]);
        let before = look(&site.path("host"));
        site.ok(&["deploy", "out", "--root", "host", "--yes"]);
        assert_eq!(
            site.ok(&["deploy", "out", "--root", "host", "--dry-run"]).lines().count(),
            1,
            "{what}: nothing changes"
        );
        (plan, before)
    };
    let (plan, before) = step("two come");
    assert!(before.is_empty());
    assert!(plan.contains("new      db") && plan.contains("new      web"), "{plan}");
    site.are("host", &["db", "web"]);

    site.domain("vms/web.xml", "web", 1, 128);
    let (plan, _) = step("one has more memory");
    assert!(plan.contains("restart  web") && !plan.contains(" db "), "{plan}");
    assert!(plan.lines().count() < 10, "one screen: {plan}");

    site.domain("vms/web.xml", "www", 1, 128);
    let (plan, before) = step("one is renamed");
    assert!(plan.contains("renamed  www") && plan.contains("was 'web'") && plan.contains("removed  web"), "{plan}");
    site.are("host", &["db", "www"]);

    // Back: the old name, its link, and nothing of the new one.
    site.ok(&["deploy", "--rollback", "--root", "host"]);
    site.are("host", &["db", "web"]);
    assert_eq!(look(&site.path("host")), before);
    assert!(site.ends(4, &["deploy", "--rollback", "--root", "host"]).contains("no deployment"));
    site.ok(&["deploy", "out", "--root", "host"]);

    // What the administrator has disabled is not enabled by a change, nor by another name.
    let link = |name: &str| site.path(&format!("host/etc/systemd/system/virtc.target.wants/virtc-{name}.service"));
    fs::remove_file(link("db")).expect("disabled");
    site.domain("vms/db.xml", "db", 2, 128);
    step("one that is disabled changes");
    assert!(!link("db").exists() && fs::symlink_metadata(link("www")).is_ok());
    site.domain("vms/db.xml", "data", 2, 128);
    step("one that is disabled is renamed");
    assert!(fs::symlink_metadata(link("data")).is_err() && fs::symlink_metadata(link("db")).is_err());

    // A file that somebody has changed on the host.
    let unit = site.path("host/usr/lib/systemd/system/virtc-www.service");
    let text = fs::read_to_string(&unit).expect("a unit");
    fs::write(&unit, text + "# by hand\n").expect("written");
    site.domain("vms/www.xml", "third", 3, 64);
    let (plan, _) = step("one comes");
    assert!(
        plan.contains("changed on this host by hand, and replaced: /usr/lib/systemd/system/virtc-www.service"),
        "{plan}"
    );

    for file in ["web.xml", "db.xml", "www.xml"] {
        fs::remove_file(site.path("vms").join(file)).expect("removed");
    }
    site.domain("vms/last.xml", "last", 4, 64);
    step("only one is left");
    site.are("host", &["last"]);
}

#[test]
fn two_trees_share_a_host() {
    let site = Site::new();
    fs::create_dir(site.path("others")).expect("a folder");
    site.domain("vms/web.xml", "web", 1, 64);
    site.domain("others/db.xml", "db", 2, 64);
    site.ok(&["build", "vms", "-o", "out"]);
    site.ok(&["build", "others", "-o", "out2"]);
    site.ok(&["deploy", "out", "--root", "host"]);
    site.ok(&["deploy", "out2", "--root", "host", "--name", "others"]);
    site.are("host", &["db", "web"]);
    // The first does not take the second away, nor the other way round.
    site.domain("vms/web.xml", "web", 1, 128);
    site.ok(&["build", "vms", "-o", "out"]);
    let said = site.ok(&["deploy", "out", "--root", "host"]);
    assert!(said.contains("not touched: db (of the deployment others)"), "{said}");
    site.are("host", &["db", "web"]);
    // Nothing can be had twice.
    site.domain("vms/thief.xml", "thief", 2, 64);
    site.ok(&["build", "vms", "-o", "out"]);
    let said = site.told(1, &["deploy", "out", "--root", "host"]);
    assert!(
        said.contains("the UUID") && said.contains("/srv/2.img") && said.contains("'db', which is on this host"),
        "{said}"
    );
    site.domain("vms/thief.xml", "db", 3, 64);
    site.ok(&["build", "vms", "-o", "out"]);
    assert!(site.ends(1, &["deploy", "out", "--root", "host"]).contains("VC2104"));
    site.are("host", &["db", "web"]);
    // Each goes back by itself; what the other needs stays.
    site.ok(&["deploy", "--rollback", "--root", "host"]);
    site.ok(&["deploy", "--rollback", "--root", "host", "--name", "others"]);
    site.are("host", &["web"]);
    assert!(site.path("host/usr/lib/systemd/system/virtc.target").exists());
}

#[test]
fn what_was_there_before_is_not_overwritten() {
    let site = Site::new();
    site.domain("vms/web.xml", "web", 1, 64);
    site.ok(&["build", "vms", "-o", "out"]);
    let unit = site.path("host/usr/lib/systemd/system/virtc-web.service");
    fs::create_dir_all(unit.parent().expect("a folder")).expect("made");
    fs::write(&unit, "[Service]\n# mine\n").expect("written");
    let said = site.told(1, &["deploy", "out", "--root", "host"]);
    assert!(said.contains("VC2104") && said.contains("no machine of virtc has it"), "{said}");
    assert_eq!(fs::read_to_string(&unit).expect("a unit"), "[Service]\n# mine\n");
    assert_eq!(look(&site.path("host")).len(), 1);
}

/// Killed with SIGKILL somewhere, many times: what follows finds old or new, and goes on from there.
#[test]
fn killed_by_force_it_is_put_right() {
    let site = Site::new();
    for number in 1..=12 {
        site.domain(&format!("vms/vm{number}.xml"), &format!("vm{number}"), number, 64);
    }
    site.ok(&["build", "vms", "-o", "old"]);
    for number in 1..=6 {
        site.domain(&format!("vms/vm{number}.xml"), &format!("other{number}"), number, 96);
    }
    site.ok(&["build", "vms", "-o", "new"]);
    let state = |tree: &str| {
        site.ok(&["deploy", tree, "--root", "host"]);
        look(&site.path("host"))
    };
    let states = [state("old"), state("new")];
    for round in 0..12 {
        let tree = ["old", "new"][round % 2];
        let mut command = common::virtc();
        command.args(["deploy", tree, "--root", "host", "--yes"]).current_dir(site.folder.path());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("virtc");
        std::thread::sleep(std::time::Duration::from_millis(3 * round as u64));
        child.kill().expect("killed");
        child.wait().expect("an end");
        site.ok(&["deploy", "--recover", "--root", "host"]);
        assert!(states.contains(&look(&site.path("host"))), "round {round}");
        site.are("host", &site.machines("host", true).iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// The first machine comes into what is not there yet, and the last one leaves.
#[test]
fn the_first_and_the_last_machine() {
    let site = Site::new();
    site.domain("vms/web.xml", "web", 1, 64);
    site.ok(&["build", "vms", "-o", "out"]);
    // A root that is not there is made; not for a folder that is no tree.
    site.ends(1, &["deploy", "vms", "--root", "new/image"]);
    assert!(!site.path("new").exists());
    site.ok(&["deploy", "out", "--root", "new/image"]);
    assert!(site.path("new/image/usr/share/virtc/web/plan.json").exists());
    site.ok(&["deploy", "out", "--root", "host"]);
    site.ok(&["golden", "update", "vms"]);
    let before = look(&site.path("out"));

    fs::remove_file(site.path("vms/web.xml")).expect("removed");
    // Elsewhere an empty folder is a slip.
    let said = site.ends(4, &["build", "vms", "-o", "elsewhere"]);
    assert!(said.contains("elsewhere has no machine that was made from vms"), "{said}");
    site.ends(4, &["check", "vms"]);
    // One that is named is missed, and its folder is the way to take it away.
    let said = site.ends(4, &["build", "vms/web.xml", "-o", "out"]);
    assert!(said.contains("build the folder: vms"), "{said}");
    site.ends(4, &["build", "other/web.xml", "-o", "out"]);
    assert_eq!(look(&site.path("out")), before);
    let said = site.ok(&["build", "vms", "-o", "out"]);
    assert!(said.contains("'web' goes from out"), "{said}");
    site.are("out", &[]);
    // Once more, and it is still a tree.
    site.ok(&["build", "vms", "-o", "out"]);
    let said = site.ends(3, &["golden", "check", "vms"]);
    assert!(said.contains("no domain makes it"), "{said}");
    site.ok(&["golden", "update", "vms"]);
    let said = site.ends(3, &["deploy", "out", "--root", "host", "--dry-run"]);
    assert!(said.contains("removed  web"), "{said}");
    site.ok(&["deploy", "out", "--root", "host"]);
    site.are("host", &[]);
    assert!(look(&site.path("host")).iter().all(|(path, _)| path == "usr/lib/virtc/qmp"));
    site.ok(&["package", "--deb", "out", "-o", "empty.deb"]);
    site.ok(&["deploy", "--rollback", "--root", "host"]);
    site.are("host", &["web"]);
    // The next one is the first again.
    site.domain("vms/db.xml", "db", 2, 64);
    site.ok(&["build", "vms", "-o", "out"]);
    site.are("out", &["db"]);
    assert!(!site.path("out/no-machines").exists());
    // Between a folder without machines and one with some there is a difference; between two without any there is none to tell.
    fs::create_dir(site.path("none")).expect("a folder");
    let said = site.ends(3, &["diff", "none", "vms"]);
    assert!(said.contains("db"), "{said}");
    site.ends(4, &["diff", "none", "none"]);
}

/// What nobody can look at has not gone.
#[test]
fn what_cannot_be_read_is_not_gone() {
    let site = Site::new();
    fs::create_dir(site.path("vms/inner")).expect("a folder");
    site.domain("vms/web.xml", "web", 1, 64);
    site.domain("vms/inner/db.xml", "db", 2, 64);
    site.ok(&["build", "vms", "-o", "out"]);
    // A link that leads to itself stops root, too.
    fs::remove_dir_all(site.path("vms/inner")).expect("removed");
    std::os::unix::fs::symlink("inner", site.path("vms/inner")).expect("a link");
    site.ok(&["build", "vms", "-o", "out"]);
    site.are("out", &["db", "web"]);
    fs::remove_file(site.path("vms/inner")).expect("removed");
    site.ok(&["build", "vms", "-o", "out"]);
    site.are("out", &["web"]);
}

/// Twelve versions of a fleet, each deployed over the one before, three of them only after a deployment that was killed: after
/// each the host has what the tree says, and no disk twice.
#[test]
fn a_year_of_a_fleet() {
    type Version<'a> = &'a [(&'a str, u32, u32)];
    const YEAR: [Version<'static>; 12] = [
        &[("web", 1, 64)],
        &[("web", 1, 64), ("db", 2, 64)],
        &[("web", 1, 128), ("db", 2, 64)],
        &[("www", 1, 128), ("db", 2, 64), ("mail", 3, 64)],
        &[("www", 1, 128), ("mail", 3, 64)],
        // Two change their names with each other.
        &[("mail", 1, 128), ("www", 3, 64)],
        &[("mail", 1, 128), ("www", 3, 64), ("db", 2, 96), ("cache", 4, 64)],
        // The disk of one that leaves is another's.
        &[("mail", 1, 128), ("db", 3, 64), ("cache", 4, 64)],
        &[("cache", 4, 256)],
        &[("a", 1, 64), ("b", 2, 64), ("c", 3, 64), ("d", 4, 64), ("e", 5, 64)],
        // Back to what was in the second month.
        &[("web", 1, 64), ("db", 2, 64)],
        &[("last", 9, 64)],
    ];
    let site = Site::new();
    for (month, version) in YEAR.iter().enumerate() {
        fs::remove_dir_all(site.path("vms")).expect("removed");
        fs::create_dir(site.path("vms")).expect("made");
        for (name, number, mib) in *version {
            site.domain(&format!("vms/{name}.xml"), name, *number, *mib);
        }
        site.ok(&["build", "vms", "-o", "out"]);
        if [3, 6, 9].contains(&month) {
            let mut command = common::virtc();
            command.args(["deploy", "out", "--root", "host", "--yes"]).current_dir(site.folder.path());
            let mut child =
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("virtc");
            std::thread::sleep(std::time::Duration::from_millis(4 * month as u64));
            child.kill().expect("killed");
            child.wait().expect("an end");
        }
        site.ok(&["deploy", "out", "--root", "host", "--yes"]);
        let names: Vec<&str> = version.iter().map(|(name, ..)| *name).collect();
        site.are("out", &names);
        site.are("host", &names);
        let mut disks: Vec<String> = Vec::new();
        for name in names {
            let unit = site.path(&format!("host/usr/lib/systemd/system/virtc-{name}.service"));
            let text = fs::read_to_string(unit).expect("a unit");
            let disk = text.split("\"filename\":\"/srv/").nth(1).and_then(|rest| rest.split('"').next());
            disks.push(disk.expect("a disk").to_string());
        }
        let count = disks.len();
        disks.sort();
        disks.dedup();
        assert_eq!(disks.len(), count, "month {month}");
        assert!(!look(&site.path("host")).iter().any(|(path, _)| path.contains(".virtc-new")), "month {month}");
    }
}

/// The playbook of the examples, against two hosts that are folders: what is to change is told, done once, and then nothing is left to
/// do.
#[test]
fn a_playbook_brings_hosts_to_their_trees() {
    let site = Site::new();
    let ansible = |words: &[&str]| {
        let mut command = std::process::Command::new("ansible-playbook");
        command.args(["-i", "hosts", "deploy.yml", "-e", "ansible_become=false"]).args(words);
        command.current_dir(site.folder.path()).stdin(Stdio::null()).env("HOME", site.path("home"));
        command.env("ANSIBLE_NOCOLOR", "1").env("LC_ALL", "C.UTF-8").output()
    };
    if std::process::Command::new("ansible-playbook").arg("--version").output().is_err() {
        return common::skip("ansible-playbook");
    }
    let playbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ansible/deploy.yml");
    fs::copy(playbook, site.path("deploy.yml")).expect("a playbook");
    // Each host is a folder, and its virtc deploys into that.
    let mut hosts = String::from("[hypervisors]\n");
    for (number, host) in [(1, "first"), (2, "second")] {
        fs::create_dir_all(site.path(&format!("vms/{host}"))).expect("a folder");
        site.domain(&format!("vms/{host}/web.xml"), "web", number, 64);
        site.ok(&["build", &format!("vms/{host}"), "-o", &format!("out/{host}")]);
        let bin = site.path(&format!("bin-{host}"));
        fs::create_dir(&bin).expect("a folder");
        let script = format!(
            "#!/bin/sh\nshift\nexec {} deploy --root {} \"$@\"\n",
            common::virtc().get_program().display(),
            site.path(&format!("host-{host}")).display()
        );
        fs::write(bin.join("virtc"), script).expect("a script");
        let mode: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bin.join("virtc"), mode).expect("a mode");
        hosts += &format!(
            "{host} ansible_connection=local ansible_python_interpreter=/usr/bin/python3 path_of_host={}\n",
            bin.display()
        );
    }
    fs::write(site.path("hosts"), hosts).expect("an inventory");
    // Where a host has its programs is its own affair: here it is said.
    let text = fs::read_to_string(site.path("deploy.yml")).expect("a playbook");
    let text = text.replace(
        "  become: true\n",
        "  become: true\n  environment:\n    PATH: \"{{ path_of_host }}:{{ ansible_env.PATH }}\"\n",
    );
    fs::write(site.path("deploy.yml"), text).expect("a playbook");
    let run = |words: &[&str], changed: u32| {
        let out = ansible(words).expect("ansible-playbook");
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{said}");
        for host in ["first", "second"] {
            let recap = said.lines().rev().find(|l| l.starts_with(host) && l.contains("changed=")).unwrap_or_default();
            assert!(recap.contains(&format!("changed={changed} ")) && recap.contains("failed=0"), "{said}");
        }
    };
    let has = |host: &str| site.path(&format!("host-{host}/usr/share/virtc/web/plan.json")).exists();
    run(&["--check"], 1);
    assert!(!has("first") && !has("second"), "looking changes nothing");
    run(&[], 2);
    assert!(has("first") && has("second"));
    run(&[], 0);
}
