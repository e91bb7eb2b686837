//! `virtc new`: what it writes compiles without a warning, and stays the same however often it is compiled.

use crate::common::{tool, virtc};
use std::path::Path;
use std::process::Output;

const KINDS: [&str; 6] = ["server", "desktop", "windows", "cloud", "microvm", "kernel"];

fn run(dir: &Path, args: &[&str]) -> Output {
    virtc().current_dir(dir).args(args).output().expect("virtc runs")
}

fn new(dir: &Path, kind: &str, more: &[&str]) -> Output {
    let kernel: &[&str] = if ["microvm", "kernel"].contains(&kind) { &["--kernel", "vmlinuz"] } else { &[] };
    run(dir, &[&["new", kind, &format!("my-{kind}")][..], kernel, more].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn check_has_nothing_against_a_new_machine() {
    let variants: [&[&str]; 5] = [
        &[],
        &["--emulated", "--terminal"],
        &["--network", "bridge:br0", "--memory", "3GiB", "--cpus", "3"],
        &["--network", "default", "--disk", "images/a <&> b.raw"],
        &["--network", "none"],
    ];
    for kind in KINDS {
        for more in variants {
            let dir = tempfile::tempdir().expect("a folder");
            let made = new(dir.path(), kind, more);
            assert!(made.status.success(), "{kind} {more:?}: {}", said(&made));
            let file = format!("my-{kind}.xml");
            let text = std::fs::read_to_string(dir.path().join(&file)).expect("the domain");
            // What is assumed of a host that nobody has told about is a note; nothing else is said.
            let check = run(dir.path(), &["check", "--allow", "image-in-tmp", "--message-format", "json", &file]);
            let told = String::from_utf8(check.stdout).expect("UTF-8");
            assert!(check.status.success(), "{kind} {more:?}: {told}\n{text}");
            for line in told.lines() {
                assert!(
                    line.contains("\"severity\":\"note\"") && line.contains("\"code\":\"VC15"),
                    "{kind} {more:?}: {line}"
                );
            }
            let tree = run(dir.path(), &["build", "-q", &file]);
            assert!(tree.status.success(), "{kind} {more:?}: {}", said(&tree));
            assert!(!text.contains("/dev/null") && text.contains("<uuid>"), "{text}");
        }
    }
}

#[test]
fn a_new_machine_has_an_identity_of_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = |args: &[&str]| String::from_utf8(new(dir.path(), "server", args).stdout).expect("UTF-8");
    assert_ne!(text(&["-o", "-"]), text(&["-o", "-"]));
    let fixed = ["-o", "-", "--uuid", "0f6a1c2e-57b4-4c0a-9d3e-1b2c3d4e5f60"];
    assert_eq!(text(&fixed), text(&fixed));
    assert!(text(&fixed).contains("<mac address='52:54:00:0f:6a:1c'/>"), "{}", text(&fixed));
}

#[test]
fn nothing_is_overwritten_unasked() {
    let dir = tempfile::tempdir().expect("a folder");
    assert!(new(dir.path(), "server", &[]).status.success());
    let before = std::fs::read(dir.path().join("my-server.xml")).expect("the domain");
    let again = new(dir.path(), "server", &[]);
    assert_eq!(again.status.code(), Some(4));
    assert!(said(&again).contains("--force"), "{}", said(&again));
    assert_eq!(std::fs::read(dir.path().join("my-server.xml")).expect("the domain"), before);
    assert!(new(dir.path(), "server", &["--force"]).status.success());
    assert_ne!(std::fs::read(dir.path().join("my-server.xml")).expect("the domain"), before);
}

#[test]
fn wrong_usage_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    for (args, word) in [
        (&["new", "kernel", "a"][..], "--kernel"),
        (&["new", "server", "a/b"], "no name"),
        (&["new", "server", "a", "--seed", "x"], "cloud"),
        (&["new", "microvm", "a", "--kernel", "k", "--cdrom", "x"], "no bus"),
        (&["new", "server", "a", "--memory", "much"], "2GiB"),
        (&["new", "mainframe", "a"], "microvm"),
    ] {
        let output = run(dir.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(said(&output).contains(word), "{args:?}: {}", said(&output));
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 0);
}

#[test]
fn the_seed_of_a_cloud_image_can_be_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA you@\"here\"";
    std::fs::write(dir.path().join("key.pub"), format!("# mine\n{key}\n")).expect("written");
    let made = new(dir.path(), "cloud", &["--disk", "debian.qcow2", "--ssh-key", "key.pub"]);
    assert!(made.status.success(), "{}", said(&made));
    let text = std::fs::read_to_string(dir.path().join("my-cloud.xml")).expect("the domain");
    assert!(text.contains("my-cloud-seed.iso'/>"), "{text}");
    let seed = dir.path().join("my-cloud-seed.iso");
    assert!(seed.is_file());
    let Some(xorriso) = tool("xorriso", "xorriso") else { return };
    let read = |name: &str| {
        let to = dir.path().join(format!("read-{name}"));
        let out = std::process::Command::new(&xorriso)
            .args(["-read_fs", "norock", "-indev"])
            .arg(&seed)
            .args(["-osirrox", "on", "-extract", &format!("/{name}")])
            .arg(&to)
            .output()
            .expect("xorriso runs");
        std::fs::read_to_string(&to).unwrap_or_else(|e| panic!("{name}: {e}: {}", String::from_utf8_lossy(&out.stderr)))
    };
    assert!(read("meta-data").contains("local-hostname: my-cloud\n"), "{}", read("meta-data"));
    assert_eq!(
        read("user-data"),
        "#cloud-config\nssh_authorized_keys:\n  - \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA you@\\\"here\\\"\"\n"
    );
}

#[test]
fn a_new_machine_starts() {
    if !crate::common::has_qemu() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    for file in ["disk.raw", "seed.iso"] {
        std::fs::write(dir.path().join(file), vec![0; 1 << 20]).expect("written");
    }
    for (kind, more) in [("server", None), ("cloud", Some(["--seed", "seed.iso"]))] {
        let words = ["--emulated", "--disk", "disk.raw"].into_iter().chain(more.into_iter().flatten());
        let made = new(dir.path(), kind, &Vec::from_iter(words));
        assert!(made.status.success(), "{kind}: {}", said(&made));
        let argv = run(dir.path(), &["argv", "-q", "--here", "--format", "lines", &format!("my-{kind}.xml")]);
        assert!(argv.status.success(), "{kind}: {}", said(&argv));
        let lines = String::from_utf8(argv.stdout).expect("UTF-8");
        let place = dir.path().display().to_string();
        let words: Vec<String> = lines
            .lines()
            .skip_while(|line| !line.starts_with('/'))
            .map(|line| line.replace(&format!("/run/virtc/my-{kind}/"), &format!("{place}/")))
            .map(|line| line.replace("/channel/", "/"))
            .collect();
        // QEMU makes all devices, is told to end, and ends well.
        let monitor = "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"quit\"}";
        let out = std::process::Command::new("sh")
            .args(["-c", "printf '%s' \"$0\" | exec \"$@\" -S -qmp stdio", monitor])
            .args(&words)
            .output()
            .expect("a shell");
        let told = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && told.contains("\"QMP\""), "{kind}: {told}");
    }
}
