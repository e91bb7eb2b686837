//! `virtc explain --denial`: what a refusal of AppArmor or SELinux has to do with a domain. The answers are
//! snapshots; read them as someone would whose guest does not start.

use crate::common;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

const WEB: &str = "<domain type='qemu'>
  <name>web</name>
  <uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/srv/web/top disk.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'>
      <source file='/srv/iso/install.iso'/>
      <target dev='sda' bus='sata'/>
      <readonly/>
    </disk>
    <serial type='pipe'><source path='/srv/web/console'/></serial>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
  </devices>
</domain>
";

const MAIL: &str = "<domain type='kvm'>
  <name>mail</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <source file='/srv/mail/disk.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
";

/// Runs `virtc explain` in a folder with both machines; gives status and output.
fn explain(args: &[&str], input: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("web.xml"), WEB).expect("a file");
    std::fs::write(folder.path().join("mail.xml"), MAIL).expect("a file");
    explain_in(folder.path(), args, input)
}

fn explain_in(folder: &Path, args: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = common::virtc()
        .arg("explain")
        .args(args)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("virtc starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("virtc reads");
    let output = child.wait_with_output().expect("virtc ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// A line of AppArmor about the machine `web`.
fn apparmor(profile: &str, rest: &str) -> String {
    format!(
        "type=AVC msg=audit(1700000000.123:45): apparmor=\"DENIED\" \
         profile=\"libvirt-c7a5fdbd-edaf-9455-926a-d65c16db1809{profile}\" {rest}"
    )
}

/// The context of the machine `web`, from its own tree.
fn context() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("web.xml"), WEB).expect("a file");
    let built = common::virtc().current_dir(&folder).args(["build", "web.xml"]).status();
    assert!(built.is_ok_and(|s| s.success()));
    let labels = std::fs::read_to_string(folder.path().join("out/usr/share/virtc/web/selinux/labels")).expect("labels");
    let line = labels.lines().find(|l| l.contains("(the processes)")).expect("the processes");
    line.split('\t').next().unwrap_or_default().to_string()
}

fn snapshot(name: &str, text: &str) {
    // The categories follow from the UUID; what they are is not the point.
    let mut text = text.to_string();
    if let Some(range) = context().splitn(4, ':').nth(3) {
        text = text.replace(range, "s0:cA,cB");
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn apparmor_lines() {
    let file = "operation=\"open\" pid=7 comm=\"qemu-system-x86\" fsuid=1 ouid=0 requested_mask";
    let log = [
        // Hexadecimal because of the blank; granted, so that an old profile must be loaded.
        apparmor("", &format!("{file}=\"rw\" denied_mask=\"rw\" name=2F7372762F7765622F746F70206469736B2E71636F7732")),
        // Read-only.
        apparmor("", &format!("{file}=\"wc\" denied_mask=\"w\" name=\"/srv/iso/install.iso\"")),
        // The end of a pipe.
        apparmor("", &format!("{file}=\"r\" denied_mask=\"r\" name=\"/srv/web/console.in\"")),
        // A backing file that only the header names.
        apparmor("", &format!("{file}=\"r\" denied_mask=\"r\" name=\"/srv/web/base.qcow2\"")),
        // Another machine's.
        apparmor("", &format!("{file}=\"r\" denied_mask=\"r\" name=\"/srv/mail/disk.img\"")),
        // The system's, twice.
        apparmor("", &format!("{file}=\"r\" denied_mask=\"r\" name=\"/etc/shadow\"")),
        apparmor("", &format!("{file}=\"r\" denied_mask=\"r\" name=\"/etc/shadow\"")),
        // A helper's profile.
        apparmor("//swtpm-tpm0", &format!("{file}=\"r\" denied_mask=\"r\" name=\"/srv/web/top.img\"")),
        apparmor("", "operation=\"capable\" pid=7 comm=\"qemu-system-x86\" capability=21 capname=\"sys_admin\""),
        apparmor("", "operation=\"ptrace\" pid=7 requested_mask=\"trace\" denied_mask=\"trace\" peer=\"libvirt-x\""),
        apparmor(
            "",
            "operation=\"create\" pid=7 family=\"inet\" sock_type=\"stream\" protocol=6 requested_mask=\"create\"",
        ),
        "Nov 23 15:00:00 host systemd[1]: Started something else.".to_string(),
    ]
    .join("\n");
    let (status, text) = explain(&["web.xml", "mail.xml", "--denial", "-"], &log);
    assert_eq!(status, Some(0), "{text}");
    snapshot("denial_apparmor", &text);
}

#[test]
fn selinux_lines() {
    let context = context();
    let avc = |rights: &str, rest: &str, class: &str| {
        format!(
            "type=AVC msg=audit(1700000000.123:45): avc:  denied  {{ {rights} }} for  pid=7 comm=\"qemu-system-x86\" \
             {rest} scontext={context} {class} permissive=0"
        )
    };
    let range = context.splitn(4, ':').nth(3).unwrap_or_default();
    let own = format!("tcontext=system_u:object_r:svirt_image_t:{range}");
    let disk = "path=2F7372762F7765622F746F70206469736B2E71636F7732 dev=\"sda1\" ino=12";
    let log = [
        // A wrong label.
        avc("read write", disk, "tcontext=system_u:object_r:default_t:s0 tclass=file"),
        // The right label.
        avc("lock", disk, &format!("{own} tclass=file")),
        // NFS.
        avc("read", disk, "tcontext=system_u:object_r:nfs_t:s0 tclass=file"),
        // Only the last component; the path is in another record.
        avc("open", "name=\"install.iso\" dev=\"sda1\" ino=77", "tcontext=system_u:object_r:default_t:s0 tclass=file"),
        avc("write", "path=\"/srv/iso/install.iso\"", "tcontext=system_u:object_r:virt_content_t:s0 tclass=file"),
        avc("read", "path=\"/etc/shadow\"", "tcontext=system_u:object_r:shadow_t:s0 tclass=file"),
        avc("execmem", "", &format!("tcontext={context} tclass=process")),
        avc("name_connect", "dest=80", "tcontext=system_u:object_r:http_port_t:s0 tclass=tcp_socket"),
    ]
    .join("\n");
    let (status, text) = explain(&["web.xml", "mail.xml", "--denial", "-"], &log);
    assert_eq!(status, Some(0), "{text}");
    snapshot("denial_selinux", &text);
}

#[test]
fn lines_that_are_of_no_machine() {
    let stranger = "apparmor=\"DENIED\" operation=\"open\" profile=\"libvirt-0\" name=\"/x\" requested_mask=\"r\"";
    let (status, text) = explain(&["web.xml", "--denial", stranger], "");
    assert_eq!(status, Some(1));
    assert!(text.contains("none of these machines") && text.contains("web.xml is 'libvirt-c7a5"), "{text}");
    let (status, text) = explain(&["web.xml", "--denial", "the guest does not start"], "");
    assert_eq!(status, Some(1));
    assert!(text.contains("VC1412") && text.contains("no denial in that"), "{text}");
    let (status, _) = explain(&["web.xml", "--path", "/x", "--denial", "-"], "");
    assert_eq!(status, Some(2));
}

#[test]
fn json_has_the_place_and_the_verdict() {
    let line = apparmor(
        "",
        "operation=\"open\" name=\"/srv/iso/install.iso\" comm=\"qemu-system-x86\" requested_mask=\"w\" denied_mask=\"w\"",
    );
    let (status, text) = explain(&["mail.xml", "web.xml", "--message-format", "json", "--denial", &line], "");
    assert_eq!(status, Some(0), "{text}");
    let answer: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
    assert_eq!((&answer["verdict"], &answer["machine"]), (&"too-little".into(), &"web".into()));
    assert_eq!(answer["object"]["path"], "/srv/iso/install.iso");
    assert_eq!((&answer["cause"]["file"], &answer["cause"]["line"]), (&"web.xml".into(), &13.into()));
    let start = answer["cause"]["span"]["start"].as_u64().expect("a number") as usize;
    assert!(WEB[start..].starts_with("<source file='/srv/iso/install.iso'/>"), "{answer}");
}

#[test]
fn a_built_tree_answers_too() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("web.xml"), WEB).expect("a file");
    let built = common::virtc().current_dir(&folder).args(["build", "web.xml"]).status();
    assert!(built.is_ok_and(|s| s.success()));
    let line = apparmor("", "operation=\"open\" name=\"/srv/iso/install.iso\" requested_mask=\"w\" denied_mask=\"w\"");
    let plan = "out/usr/share/virtc/web/plan.json";
    let (status, text) = explain_in(folder.path(), &[plan, "--denial", &line], "");
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("disk sda (line 13)"), "{text}");
}

#[test]
fn a_link_is_followed_on_this_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a folder");
    std::fs::write(root.join("real.img"), "").expect("a file");
    std::os::unix::fs::symlink("real.img", root.join("link.img")).expect("a link");
    let xml = MAIL.replace("/srv/mail/disk.img", &root.join("link.img").display().to_string());
    std::fs::write(root.join("mail.xml"), xml).expect("a file");
    let line = format!(
        "apparmor=\"DENIED\" operation=\"open\" profile=\"libvirt-11111111-2222-3333-4444-555555555555\" \
         name=\"{}\" requested_mask=\"rw\" denied_mask=\"rw\"",
        root.join("real.img").display()
    );
    let (status, text) = explain_in(&root, &["mail.xml", "--denial", &line], "");
    assert_eq!(status, Some(0), "{text}");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("disk vda (line 8)") && text.contains("leads to"), "{text}");
}
