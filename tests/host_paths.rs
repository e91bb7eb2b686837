//! What a host says about the paths of a domain: links, headers of images, file systems without labels; and pairs of
//! categories that domains of one build would share.

use crate::common;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with domains, and the tree that is built of them.
struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a folder");
        Place { _folder: folder, root }
    }

    fn path(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.root.join(name), text).expect("a file");
    }

    /// Builds; gives the status and what was said, on one line.
    fn build(&self, args: &[&str]) -> (Option<i32>, String) {
        let _ = std::fs::remove_dir_all(self.root.join("out"));
        let output = common::virtc()
            .args(["build", "--color", "never", "-o", "out"])
            .args(args)
            .current_dir(&self.root)
            .output()
            .expect("virtc");
        let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        (output.status.code(), said)
    }

    /// The one file of the tree whose path ends so.
    fn text(&self, end: &str) -> String {
        fn find(folder: &Path, end: &str) -> Option<PathBuf> {
            std::fs::read_dir(folder).ok()?.flatten().find_map(|e| match e.path() {
                path if path.is_dir() => find(&path, end),
                path => path.to_string_lossy().ends_with(end).then_some(path),
            })
        }
        let path = find(&self.root.join("out"), end).unwrap_or_else(|| panic!("no {end}"));
        std::fs::read_to_string(path).expect("a text")
    }
}

fn domain(name: &str, uuid: &str, disk: &str, label: &str) -> String {
    format!(
        "<domain type='kvm'>\n<name>{name}</name>\n<uuid>{uuid}</uuid>\n<memory unit='MiB'>64</memory>\n\
         <os><type arch='x86_64' machine='q35'>hvm</type></os>\n<devices>\n<disk type='file' device='disk'>\
         <driver name='qemu' type='qcow2'/>{disk}<target dev='vda' bus='virtio'/></disk>\n</devices>\n{label}\n</domain>\n"
    )
}

const UUID: &str = "11111111-2222-3333-4444-555555555555";

#[test]
fn rules_name_what_links_lead_to() {
    let place = Place::new();
    std::fs::create_dir(place.root.join("data")).expect("a folder");
    place.write("data/real.img", "");
    symlink("data", place.root.join("images")).expect("a link");
    let source = format!("<source file='{}'/>", place.path("images/real.img"));
    place.write("vm.xml", &domain("vm", UUID, &source, ""));
    assert_eq!(place.build(&["vm.xml"]).0, Some(0));
    assert!(place.text(".files").contains("/images/real.img\" rwk,"));
    assert_eq!(place.build(&["--probe-backing", "vm.xml"]).0, Some(0));
    let files = place.text(".files");
    assert!(files.contains("/data/real.img\" rwk,") && !files.contains("/images/"), "{files}");
    // QEMU is told the name of the XML.
    assert!(place.text("/argv").contains("images/real.img"));
    assert!(place.text("file_contexts").contains("/data/real"));
    // The same by facts, on a machine where nothing of it exists.
    let facts = format!(
        "host-facts version=1\nmachine {{ arch \"x86_64\"; }}\nlink {:?} to=\"/elsewhere\"\n",
        place.path("images")
    );
    place.write("host.kdl", &facts);
    assert_eq!(place.build(&["--host", "host.kdl", "vm.xml"]).0, Some(0));
    assert!(place.text(".files").contains("\"/elsewhere/real.img\" rwk,"));
    // A link into the system is refused by facts, too.
    place.write("host.kdl", &facts.replace("/elsewhere", "/etc"));
    let (status, said) = place.build(&["--host", "host.kdl", "vm.xml"]);
    assert!(status == Some(1) && said.contains("no guest may have '/etc/real.img'"), "{said}");
}

#[test]
fn links_to_devices_are_given_by_udev_and_their_nodes_are_opened() {
    let place = Place::new();
    let xml = domain("vm", UUID, "<source dev='/dev/disk/by-id/x'/>", "").replace("type='file'", "type='block'");
    place.write("vm.xml", &xml);
    assert_eq!(place.build(&["vm.xml"]).0, Some(0));
    let rules = place.text(".rules");
    let rule = r#"SUBSYSTEM=="block", SYMLINK=="disk/by-id/x", OWNER="virtc-vm", MODE="0600", SECLABEL{selinux}="#;
    assert!(rules.contains(rule), "{rules}");
    assert!(
        place.text(".service").contains("DeviceAllow=/dev/disk/by-id/x rw") && !place.text(".service").contains("sh -")
    );
    let profile = |place: &Place| place.text(&format!("libvirt-{UUID}"));
    assert!(profile(&place).contains("/dev/{sd[a-z]*,") && profile(&place).contains("dm-[0-9]*"));
    // A node is known by its own name.
    place.write("vm.xml", &xml.replace("/dev/disk/by-id/x", "/dev/sda"));
    assert_eq!(place.build(&["vm.xml"]).0, Some(0));
    assert!(place.text(".rules").contains(r#"KERNEL=="sda""#) && !profile(&place).contains("/dev/{sd[a-z]*,"));
}

#[test]
fn headers_are_followed_only_when_asked() {
    if !common::has("/usr/bin/qemu-img", "qemu-utils") {
        return;
    }
    let place = Place::new();
    let create = |args: &[&str]| {
        let done = Command::new("qemu-img").args(["create", "-q", "-f"]).args(args).current_dir(&place.root).status();
        assert!(done.is_ok_and(|s| s.success()), "{args:?}");
    };
    create(&["raw", "base.raw", "1M"]);
    create(&["qcow2", "-b", "base.raw", "-F", "raw", "middle.qcow2"]);
    create(&["qcow2", "-b", &place.path("middle.qcow2"), "-F", "qcow2", "top.qcow2"]);
    let source = format!("<source file='{}'/>", place.path("top.qcow2"));
    place.write("vm.xml", &domain("vm", UUID, &source, ""));
    assert_eq!(place.build(&["vm.xml"]).0, Some(0));
    assert!(!place.text(".files").contains("middle"));
    let (status, said) = place.build(&["--probe-backing", "vm.xml"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("VC1407") && said.contains("base.raw"), "{said}");
    let files = place.text(".files");
    for rule in ["top.qcow2\" rwk,", "middle.qcow2\" r", "base.raw\" r"] {
        assert!(files.contains(rule), "{rule}\n{files}");
    }
    assert!(!files.contains("middle.qcow2\" rw") && !files.contains("base.raw\" rw"), "{files}");
    // The XML has the last word.
    place.write("vm.xml", &domain("vm", UUID, &format!("{source}<backingStore/>"), ""));
    assert_eq!(place.build(&["--probe-backing", "vm.xml"]).0, Some(0));
    assert!(!place.text(".files").contains("middle"));
    // What is said to be raw is raw.
    let raw = domain("vm", UUID, &source, "").replace("type='qcow2'", "type='raw'");
    place.write("vm.xml", &raw);
    assert_eq!(place.build(&["--probe-backing", "vm.xml"]).0, Some(0));
    assert!(!place.text(".files").contains("middle"));
    // A denial of a file that only the header names is explained.
    place.write("vm.xml", &domain("vm", UUID, &source, ""));
    let line = format!(
        "apparmor=\"DENIED\" operation=\"open\" profile=\"libvirt-{UUID}\" name=\"{}\" requested_mask=\"r\" denied_mask=\"r\"",
        place.path("base.raw")
    );
    let output = common::virtc()
        .args(["explain", "vm.xml", "--denial", &line])
        .current_dir(&place.root)
        .output()
        .expect("virtc");
    assert!(String::from_utf8_lossy(&output.stdout).contains("stands in the header"), "{output:?}");
}

#[test]
fn a_chain_that_leads_back_to_itself_is_refused() {
    let place = Place::new();
    place.write("vm.xml", &domain("vm", UUID, "<source file='/srv/a'/>", ""));
    place.write(
        "host.kdl",
        "host-facts version=1\nmachine { arch \"x86_64\"; }\nimage \"/srv/a\" backing=\"/srv/b\"\nimage \"/srv/b\" backing=\"/srv/a\"\n",
    );
    let (status, said) = place.build(&["--host", "host.kdl", "vm.xml"]);
    assert!(status == Some(1) && said.contains("does not end"), "{said}");
}

#[test]
fn files_without_labels_are_left_alone() {
    let place = Place::new();
    place.write("vm.xml", &domain("vm", UUID, "<source file='/nfs/a'/>", ""));
    place.write("host.kdl", "host-facts version=1\nmachine { arch \"x86_64\"; }\nmount \"/nfs\" type=\"nfs4\"\n");
    assert_eq!(place.build(&["--host", "host.kdl", "vm.xml"]).0, Some(0));
    assert!(place.text("selinux/booleans").contains("virt_use_nfs\tfiles on /nfs (nfs4)"));
    assert!(!place.text("selinux/labels").contains("/nfs/a"));
}

#[test]
fn domains_of_one_build_have_different_categories() {
    let place = Place::new();
    place.write(
        "host.kdl",
        "host-facts version=1\nmachine { arch \"x86_64\"; }\nsecurity { selinux range=\"s0-s0:c0.c7\"; }\n",
    );
    // 24 of 28 pairs: some are the same.
    for i in 0..24 {
        let uuid = format!("11111111-2222-3333-4444-{i:012}");
        let disk = format!("<source file='/srv/{i}'/>");
        place.write(&format!("{i}.xml"), &domain(&format!("vm{i}"), &uuid, &disk, ""));
    }
    let (status, said) = place.build(&["--host", "host.kdl", "."]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("VC1408") && said.contains("this domain gets") && said.contains(".xml:1"), "{said}");
    let contexts: std::collections::BTreeSet<String> = (0..24)
        .map(|i| place.text(&format!("share/virtc/vm{i}/selinux/labels")))
        .map(|labels| labels.lines().nth(1).unwrap_or_default().split('\t').next().unwrap_or_default().to_string())
        .collect();
    assert_eq!(contexts.len(), 24, "{contexts:?}");
}

#[test]
fn the_same_label_in_two_files_is_an_error() {
    let place = Place::new();
    let label = |set: &str| {
        format!("<seclabel type='static' model='selinux'><label>system_u:system_r:svirt_t:s0:{set}</label></seclabel>")
    };
    let other = "11111111-2222-3333-4444-666666666666";
    place.write("a.xml", &domain("a", UUID, "<source file='/srv/a'/>", &label("c1,c2")));
    place.write("b.xml", &domain("b", other, "<source file='/srv/b'/>", &label("c2,c1")));
    let (status, said) = place.build(&["a.xml", "b.xml"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("also those of a.xml:9") && !said.contains("also those of b.xml:9"), "{said}");
    assert!(said.contains("[b.xml:9:1]"), "{said}");
}
