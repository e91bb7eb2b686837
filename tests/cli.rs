//! The command line as a user meets it: exit statuses, messages, and no partial output.

use crate::common;
use std::path::Path;
use std::process::Output;

fn virtc(args: &[&str]) -> Output {
    common::virtc().args(args).output().expect("virtc starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn file(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("the temporary folder can be written");
    path.to_str().expect("the path is UTF-8").to_string()
}

const GOOD: &str = "<domain type='qemu'>
  <name>vm</name>
  <uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices/>
</domain>
";

/// `build` of one bad file: exit status 1, a message with these words, nothing written.
fn refused(name: &str, bytes: &[u8], words: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let input = file(&dir, name, bytes);
    let out = dir.path().join("out");
    let output = virtc(&["build", &input, "-o", out.to_str().expect("UTF-8")]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in words {
        assert!(text.contains(word), "'{word}' is missing in:\n{text}");
    }
    assert!(!out.exists(), "a tree was written for {name}");
    text
}

#[test]
fn an_empty_file() {
    refused("empty.xml", b"", &["VC0008", "the file is empty"]);
}

#[test]
fn a_binary_file() {
    refused("image.xml", b"QFI\xfb\x00\x00\x00\x03\xff\xfe", &["VC0004", "not UTF-8"]);
}

#[test]
fn a_file_that_says_it_is_not_utf8() {
    for encoding in ["UTF-7", "UTF-16", "ISO-8859-1"] {
        let text = format!("<?xml version='1.0' encoding='{encoding}'?>\n{GOOD}");
        let name = format!("'{encoding}'");
        refused("encoding.xml", text.as_bytes(), &["VC0004", "encoding.xml:1:31", &name, "iconv"]);
    }
}

#[test]
fn a_file_in_utf16() {
    let wide: Vec<u8> = GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused("wide.xml", &wide, &["VC0004", "UTF-16", "wide.xml:1:1"]);
    let marked: Vec<u8> = [0xfe, 0xff].into_iter().chain(GOOD.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    refused("marked.xml", &marked, &["VC0004", "UTF-16"]);
}

#[test]
fn a_declaration_that_comes_late() {
    refused("late.xml", format!("\n<?xml version='1.0'?>\n{GOOD}").as_bytes(), &["VC0001", "late.xml:2:1"]);
}

/// A fault is reported once: what follows from it is not a second one.
#[test]
fn the_source_of_another_type_is_one_fault() {
    let disk = "<devices><disk type='block'>\n<source file='/srv/vm.img'/>\n<target dev='vda'/></disk></devices>";
    let message = refused("wrong.xml", GOOD.replace("<devices/>", disk).as_bytes(), &["VC0108", "'file'"]);
    assert_eq!(message.matches("VC0").count(), 1, "{message}");
}

#[test]
fn a_truncated_file() {
    refused("short.xml", &GOOD.as_bytes()[..GOOD.len() / 2], &["VC0001", "short.xml:4:"]);
}

#[test]
fn three_faults_in_order_each_underlined() {
    let text = GOOD
        .replace("<vcpu>1</vcpu>", "<vcpu>many</vcpu>")
        .replace("c7a5fdbd-edaf", "not-a-uuid")
        .replace("<devices/>", "<devices><frobnicator/></devices>");
    let message = refused("three.xml", text.as_bytes(), &["three.xml:3:", "three.xml:5:", "three.xml:7:"]);
    let at = |needle: &str| message.find(needle).unwrap_or(usize::MAX);
    assert!(at("three.xml:3:") < at("three.xml:5:") && at("three.xml:5:") < at("three.xml:7:"), "{message}");
    assert_eq!(message.matches("VC0").count(), 3, "{message}");
}

#[test]
fn an_unknown_element_is_named() {
    let text = GOOD.replace("<vcpu>", "<cpus>8</cpus><vcpu>");
    refused("unknown.xml", text.as_bytes(), &["<cpus>", "unknown.xml:5:"]);
}

#[test]
fn a_doctype_is_refused() {
    let text = format!("<!DOCTYPE domain [<!ENTITY a 'b'>]>\n{GOOD}");
    refused("doctype.xml", text.as_bytes(), &["VC0002", "doctype.xml:1:1"]);
}

#[test]
fn a_missing_file_is_an_environment_fault() {
    let output = virtc(&["build", "/nonexistent/vm.xml", "-o", "/nonexistent/out"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("/nonexistent/vm.xml"));
}

#[test]
fn an_unwritable_output_folder() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let input = file(&dir, "vm.xml", GOOD.as_bytes());
    // A file where a folder would have to be: not even root can write below it.
    let blocker = file(&dir, "blocker", b"");
    let output = virtc(&["build", &input, "-o", &format!("{blocker}/out")]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("blocker/out"), "{}", stderr(&output));
}

#[test]
fn a_good_file_gives_the_same_tree_twice() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let input = file(&dir, "vm.xml", GOOD.as_bytes());
    let out = dir.path().join("out");
    let trees: Vec<String> = (0..2)
        .map(|_| {
            let output = virtc(&["build", &input, "-o", out.to_str().expect("UTF-8")]);
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            listing(&out)
        })
        .collect();
    assert!(trees[0].contains("virtc-vm.service"), "{}", trees[0]);
    assert!(trees[0] == trees[1], "the second tree differs from the first");
}

/// Every file of a tree with its content.
fn listing(root: &Path) -> String {
    let mut out = String::new();
    let mut folders = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the tree") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    for path in files {
        let name = path.strip_prefix(root).expect("below the root").display().to_string();
        out.push_str(&format!("== {name}\n{}\n", std::fs::read_to_string(&path).expect("text")));
    }
    out
}

#[test]
fn wrong_usage_is_status_2() {
    assert_eq!(virtc(&["build"]).status.code(), Some(2));
    assert_eq!(virtc(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(virtc(&["explain", "VC9999"]).status.code(), Some(2));
}

#[test]
fn explain_knows_every_code() {
    for (_, codes) in virtc::diag::codes::TOPICS {
        for code in *codes {
            let output = virtc(&["explain", code.id]);
            assert_eq!(output.status.code(), Some(0));
            assert!(String::from_utf8_lossy(&output.stdout).contains(code.name));
        }
    }
}

/// Standard output and exit status of `virtc diff`.
fn diff(args: &[&str]) -> (String, Option<i32>) {
    // The machines are small on purpose.
    let output = virtc(&[&["diff", "--allow", "surprise"], args].concat());
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    (String::from_utf8(output.stdout).expect("UTF-8"), output.status.code())
}

#[test]
fn a_difference_is_told_in_the_terms_of_the_domain() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let old = file(&dir, "old.xml", GOOD.as_bytes());
    let disk = "<devices><disk type='file'><source file='/images/a.img'/><target dev='vda'/></disk></devices>";
    let new = file(&dir, "new.xml", GOOD.replace("<devices/>", disk).replace(">64<", ">128<").as_bytes());
    assert_eq!(diff(&[&old, &old]), (String::new(), Some(0)));
    let (text, status) = diff(&[&old, &new]);
    assert_eq!(status, Some(3));
    for expected in [
        "command line of qemu\n",
        "+ -device virtio-disk0  (disk, line 7)  [live]\n    driver=virtio-blk-pci, ",
        "~ -object pc.ram  ",
        "+ /images/a.img of qemu  (disk vda, line 7)  [host]\n    permissions=rwk, ",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
    // The other way round the same subjects are gone.
    assert!(diff(&[&new, &old]).0.contains("- /images/a.img of qemu  (disk vda, line 7)  [host]\n"));
    let (unified, status) = diff(&["--format", "unified", &old, &new]);
    assert_eq!(status, Some(3));
    assert!(unified.contains("systemd unit: usr/lib/systemd/system/virtc-vm.service\n"), "{unified}");
    let (json, _) = diff(&["--format", "json", &old, &new]);
    let found: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(found.as_array().is_some_and(|all| all.iter().any(|d| d["subject"] == "-device virtio-disk0")), "{json}");
}

#[test]
fn one_domain_is_compared_under_two_qemus() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let input = file(&dir, "vm.xml", GOOD.as_bytes());
    let (text, status) = diff(&[&input, "--caps", "qemu-7.2", "--caps", "qemu-10.0"]);
    assert_eq!(status, Some(3));
    assert!(text.starts_with(&format!("--- {input} with qemu-7.2\n+++ {input} with qemu-10.0\n")), "{text}");
    assert!(text.contains("pc-i440fx-7.2 -> pc-i440fx-10.0"), "{text}");
    assert_eq!(virtc(&["diff", &input]).status.code(), Some(2));
    let three = ["diff", &input, "--caps", "qemu-7.2", "--caps", "qemu-10.0", "--caps", "qemu-9.2"];
    assert_eq!(virtc(&three).status.code(), Some(2));
    assert_eq!(virtc(&["argv", &input, "--caps", "qemu-7.2", "--caps", "qemu-10.0"]).status.code(), Some(2));
}

#[test]
fn explain_tells_everything_about_a_path() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let xml = "<domain type='qemu'><name>a</name><memory>65536</memory><os><type arch='x86_64'>hvm</type></os>\
        <seclabel type='dynamic' model='selinux'/><devices>\
        <disk type='block'>\n<source dev='/dev/vg/a'><seclabel model='dac'><label>+7:+8</label></seclabel></source>\
        <target dev='vda' bus='virtio'/></disk>\
        <serial type='pipe'><source path='/srv/p'/></serial>\
        <smartcard mode='host'/></devices></domain>";
    let file = file(&dir, "a.xml", xml.as_bytes());
    let explain = |path: &str| {
        let output = virtc(&["explain", &file, "--path", path]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = explain("/dev/vg/a");
    for part in [
        "qemu may read, write, lock /dev/vg/a",
        "because of disk vda (line 2)",
        "shared: with nobody",
        "owner: +7:+8 by its own <seclabel>, given back at the end",
        "SELinux label: system_u:object_r:svirt_image_t:s0:c",
        "device rule: /dev/vg/a rw",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // What stands for more than itself.
    assert!(explain("/srv/p.in").contains("because of serial port serial0"));
    let text = explain("/etc/pki/nssdb/cert9.db");
    assert!(text.contains("shared: part of the system") && text.contains("owner: as it is"), "{text}");
    assert_eq!(explain("/etc/pki/nssdb/a/b"), "nothing asks for that\n");
}

#[test]
fn a_macvtap_is_for_the_runner() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let nic = "<devices><interface type='direct'><source dev='eth0' mode='bridge'/><model type='virtio'/></interface></devices>";
    let input = file(&dir, "vm.xml", GOOD.replace("<devices/>", nic).as_bytes());
    let output = virtc(&["argv", &input, "--format", "lines"]);
    let argv = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        argv.contains("\"type\":\"tap\",\"fd\":\"3\"") && stderr(&output).contains("number 3 has to be open"),
        "{argv}"
    );
    let out = dir.path().join("out");
    let output = virtc(&["build", &input, "-o", out.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("virtc run"), "{}", stderr(&output));
    // The domain itself is right.
    let output = virtc(&["check", &input]);
    assert!(output.status.success() && stderr(&output).contains("VC0940"), "{}", stderr(&output));
}

#[test]
fn certain_fixes_are_made_and_nothing_else_changes() {
    let before = "<!-- mine -->
<domain type='kvm'>
  <name>vm</name>
  <memroy   unit='GiB'>1</memroy> <!-- kept -->
\t<vcpu placment=\"static\">1</vcpu>
  <os><type arch='amd64' machine='q35'>hvm</type></os>
  <features><acpi/></features>

  <devices>
    <disk type='file' bus='virtio'>
      <source file='/srv/a.img'/>
      <target dev='vda'/>
    </disk>
    <console type='pty'/>
  </devices>
</domain>
";
    let after = before
        .replace("memroy", "memory")
        .replace("placment", "placement")
        .replace("amd64", "x86_64")
        .replace("<disk type='file' bus='virtio'>", "<disk type='file'>")
        .replace("<target dev=", "<target bus='virtio' dev=");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let input = file(&dir, "vm.xml", before.as_bytes());
    let read = || std::fs::read_to_string(&input).expect("a text");
    for (format, word) in [("json", "\"fix\":[{"), ("sarif", "\"fixes\":")] {
        let output = virtc(&["check", "--message-format", format, &input]);
        let text = String::from_utf8_lossy(&output.stdout).replace(": [", ":[");
        assert!(text.contains(word), "{text}");
    }
    let shown = virtc(&["check", "--fix", "--diff", &input]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("-  <memroy") && shown.contains("+  <memory"), "{shown}");
    assert_eq!(read(), before);
    virtc(&["check", "--fix", &input]);
    assert_eq!(read(), after);
    // What is right stays as it is.
    assert!(virtc(&["check", "--fix", &input]).status.success());
    assert_eq!(read(), after);
}

/// What only the format minds: a warning for libvirt's target.
fn misspelt() -> String {
    GOOD.replace("<vcpu>", "<vcpu placment='static'>")
}

#[test]
fn programs_read_diagnostics_on_standard_output() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (bad, gone) = (file(&dir, "bad.xml", misspelt().as_bytes()), dir.path().join("gone.xml"));
    for (format, words) in [("json", "\"line\":5"), ("sarif", "\"startLine\":5"), ("github", "line=5")] {
        let output = virtc(&["check", "--message-format", format, &bad, gone.to_str().expect("UTF-8")]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(words) && text.contains("gone.xml"), "{text}");
        assert!(stderr(&output).contains("gone.xml"), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(4));
    }
}

#[test]
fn with_strict_a_warning_leaves_no_output() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let bad = file(&dir, "bad.xml", misspelt().as_bytes());
    let argv = ["argv", "--target", "libvirt", &bad];
    assert!(virtc(&argv).status.success());
    let output = virtc(&[&argv[..], &["--strict"]].concat());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    // What fails is shown, however quiet.
    let output = virtc(&["check", "--quiet", "--target", "libvirt", &bad]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("placement"), "{}", stderr(&output));
}

#[test]
fn a_folder_without_domains_is_no_success() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = virtc(&["check", dir.path().to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("*.xml"), "{}", stderr(&output));
}

/// Folders are read with those in them, but hidden ones and trees that were built; what was found is said in sum.
#[test]
fn folders_are_read_with_those_in_them_and_summed_up() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for folder in ["more/deep", ".hidden", "out/usr/share/virtc/vm"] {
        std::fs::create_dir_all(dir.path().join(folder)).expect("a folder");
    }
    std::fs::write(dir.path().join("good.xml"), GOOD).expect("a file");
    for bad in ["more/deep/bad.xml", ".hidden/bad.xml", "out/usr/share/virtc/vm/domain.xml"] {
        std::fs::write(dir.path().join(bad), misspelt()).expect("a file");
    }
    let folder = dir.path().to_str().expect("UTF-8");
    let output = virtc(&["check", folder]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("virtc: 2 files, 1 error"), "{said}");
    let said = stderr(&virtc(&["check", "--quiet", folder]));
    assert!(said.contains("placment") && !said.contains("2 files"), "{said}");
}

/// Who asks for quiet sees errors, and no remarks beside them.
#[test]
fn quiet_leaves_remarks_out() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let noted = "<domain type='kvm'><name>vm</name><memory>65536</memory><vcpuu>1</vcpuu>\
        <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>";
    let bad = file(&dir, "bad.xml", noted.as_bytes());
    let said = stderr(&virtc(&["check", "--color", "never", "-q", &bad]));
    assert!(said.contains("error VC") && !said.contains("note VC") && !said.contains("warning VC"), "{said}");
}

/// Of a file that is no domain, as long as it may be, no more is read than says so.
#[test]
fn a_disk_image_is_not_read_whole() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let image = dir.path().join("vm.qcow2");
    std::fs::File::create(&image).and_then(|f| f.set_len(64 << 30)).expect("a sparse file");
    let output = virtc(&["check", image.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("VC0007"), "{}", stderr(&output));
}

#[test]
fn quirks_are_listed_and_versions_are_known() {
    let output = virtc(&["explain", "--quirks"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("9p-handle until 12.8\n"), "{output:?}");
    for target in ["libvirt@9.0", "libvirt@99.1", "xen"] {
        let output = virtc(&["argv", "--target", target, "/dev/null"]);
        assert_eq!(output.status.code(), Some(2), "{target}");
    }
}
