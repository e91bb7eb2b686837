//! From libvirt: its folder of definitions becomes a folder for git, which compiles to the same machines.

use crate::common;
use std::fs;
use std::path::Path;
use std::process::Output;

const WARNING: &str = "<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE\nOVERWRITTEN AND LOST. Changes to this xml configuration should be made using:\n  virsh edit web\nor other application using the libvirt API.\n-->\n\n";

/// A domain as libvirt keeps it: every address is there.
fn domain(name: &str, number: u32, devices: &str) -> String {
    format!(
        "{WARNING}<domain type='kvm'>\n  <name>{name}</name>\n  <uuid>1a1b2c3d-0000-4000-8000-0000000000{number:02}</uuid>\n  \
         <memory unit='KiB'>1048576</memory>\n  <vcpu placement='static'>2</vcpu>\n  <os>\n    <type arch='x86_64' machine='pc-q35-10.0'>hvm</type>\n  </os>\n  \
         <features>\n    <acpi/>\n    <apic/>\n  </features>\n  <devices>\n    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n    \
         <disk type='file' device='disk'>\n      <driver name='qemu' type='qcow2'/>\n      <source file='/var/lib/libvirt/images/{name}.qcow2'/>\n      \
         <target dev='vda' bus='virtio'/>\n      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>\n    </disk>\n    {devices}\n  </devices>\n</domain>\n"
    )
}

fn nic(number: u32, more: &str) -> String {
    format!(
        "<interface type='network'>\n      <mac address='52:54:00:00:00:{number:02}'/>\n      <source network='default'/>\n      <model type='virtio'/>{more}\n      \
         <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>\n    </interface>"
    )
}

fn definitions(root: &Path) {
    let write = |path: &str, text: &str| {
        let place = root.join("libvirt").join(path);
        fs::create_dir_all(place.parent().expect("a folder")).expect("made");
        fs::write(place, text).expect("written");
    };
    write("qemu/web.xml", &domain("web", 1, &nic(1, "")));
    write("qemu/db.xml", &domain("db", 2, &nic(2, "")));
    write("qemu/filtered.xml", &domain("filtered", 4, &nic(4, "\n      <filterref filter='clean-traffic'/>")));
    write(
        "qemu/odd.xml",
        &domain("odd", 3, "<disk type='file' device='disk'><target dev='vdb' bus='nonsense'/></disk>"),
    );
    write("qemu/broken.xml", "<domain type='kvm'>");
    write("qemu/autostart/web.xml", "");
    write(
        "qemu/networks/default.xml",
        "<network><name>default</name><forward mode='nat'/><bridge name='virbr0' stp='on' delay='0'/>\
         <ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/>\
         <host mac='52:54:00:00:00:01' name='web' ip='192.168.122.10'/></dhcp></ip></network>",
    );
    write(
        "storage/default.xml",
        "<pool type='dir'><name>default</name><target><path>/var/lib/libvirt/images</path></target></pool>",
    );
    write(
        "secrets/0a1b2c3d-1111-4000-8000-000000000001.xml",
        "<secret ephemeral='no' private='no'><uuid>0a1b2c3d-1111-4000-8000-000000000001</uuid>\
         <usage type='ceph'><name>client.vm</name></usage></secret>",
    );
    write("secrets/0a1b2c3d-1111-4000-8000-000000000001.base64", "c2VjcmV0");
    write(
        "qemu.conf",
        "# as Debian has it, and some more\nuser = \"libvirt-qemu\"\nvnc_listen = \"0.0.0.0\"\nset_process_name = 1\n\
         spice_password = \"hunter2\"\nlock_manager = \"lockd\"\nkeepalive_interval = 5\nvnc_lsten = \"x\"\n",
    );
}

fn virtc(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let out: Output = common::virtc().args(args).current_dir(folder).output().expect("virtc");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.code(), said)
}

#[test]
fn a_folder_of_libvirt_becomes_one_for_git() {
    let root = tempfile::tempdir().expect("a folder");
    definitions(root.path());
    let (status, said) = virtc(root.path(), &["adopt", "libvirt/qemu", "-o", "site", "--host", "debian-13"]);
    // Two of them cannot be had.
    assert_eq!(status, Some(1), "{said}");
    let read =
        |name: &str| fs::read_to_string(root.path().join("site").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let web = read("vms/web.xml");
    assert!(web.starts_with("<domain type='kvm'>") && web.contains("bus='0x04'"), "{web}");
    let facts = read("host.kdl");
    for fact in [
        "network \"default\"",
        "virbr0",
        "192.168.122.1/24",
        "192.168.122.254",
        "52:54:00:00:00:01",
        "/var/lib/libvirt/images",
    ] {
        assert!(facts.contains(fact), "{fact}: {facts}");
    }
    assert!(
        facts.contains("// secret \"0a1b2c3d-1111-4000-8000-000000000001\"") && facts.contains("ceph: client.vm"),
        "{facts}"
    );
    let report = read("REPORT.md");
    for line in [
        "- **web** (`vms/web.xml`)\n  The guest sees no difference.",
        "systemctl disable virtc-db.service",
        "virsh secret-get-value 0a1b2c3d-1111-4000-8000-000000000001",
        "virsh net-destroy default",
        "- **odd** (`vms/odd.xml`) does not compile:",
        "  - VC1351 <filterref filter='clean-traffic'>: the network filters of libvirt are not loaded",
        "broken.xml` could not be understood",
        "Of qemu.conf, host.kdl says the same: `user`, `vnc_listen`, `set_process_name`.",
        "`keepalive_interval` of qemu.conf needs nothing here",
        "grep spice_password /etc/libvirt/qemu.conf",
        "- `lock_manager` of qemu.conf: ",
        "- In qemu.conf: qemu.conf has no key 'vnc_lsten'.",
    ] {
        assert!(report.contains(line), "{line}: {report}");
    }
    assert!(!report.contains("systemctl disable virtc-web.service\n"), "{report}");
    let all: String = ["host.kdl", "REPORT.md", "virtc.kdl"].map(read).concat();
    assert!(!all.contains("c2VjcmV0") && !all.contains("hunter2"), "no secret is copied");
    assert!(facts.contains("libvirt-qemu") && facts.contains("0.0.0.0"), "{facts}");
    // Each has a lock, which is as `virtc lock` would write it.
    assert!(!read("vms/web.lock").is_empty() && !root.path().join("site/vms/odd.lock").exists());
    let (status, said) = virtc(root.path(), &["lock", "--locked", "site/vms/web.xml", "site/vms/db.xml"]);
    assert_eq!(status, Some(0), "{said}");
    // What can be had is built from the folder as it is.
    fs::remove_file(root.path().join("site/vms/odd.xml")).expect("removed");
    let (status, said) = virtc(root.path(), &["build", "site/vms", "-o", "out"]);
    assert_eq!(status, Some(0), "{said}");
    let unit = fs::read_to_string(root.path().join("out/usr/lib/systemd/system/virtc-web.service")).expect("a unit");
    assert!(unit.contains("52:54:00:00:00:01"), "{unit}");
    // It does not write over what is there.
    let (status, said) = virtc(root.path(), &["adopt", "libvirt/qemu", "-o", "site"]);
    assert!(status == Some(4) && said.contains("has files already"), "{said}");
}

/// A machine that runs has a disk that came while it ran: where the guest sees it stands in the lock.
#[test]
fn what_runs_is_taken_over() {
    let root = tempfile::tempdir().expect("a folder");
    let etc = root.path().join("etc/libvirt/qemu");
    let run = root.path().join("run/libvirt/qemu");
    for folder in [&etc, &run] {
        fs::create_dir_all(folder).expect("made");
    }
    // What is defined says nothing of the place; what runs does.
    let free = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>";
    let placed =
        free.replace("</rng>", "<address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/></rng>");
    fs::write(etc.join("web.xml"), domain("web", 1, free)).expect("written");
    let status = format!("<domstatus state='running' pid='7'>\n{}\n</domstatus>\n", domain("web", 1, &placed));
    fs::write(run.join("web.xml"), status).expect("written");
    let (code, said) = virtc(root.path(), &["adopt", "etc/libvirt/qemu", "-o", "site", "--host", "debian-13"]);
    assert_eq!(code, Some(0), "{said}");
    let read = |name: &str| fs::read_to_string(root.path().join("site").join(name)).expect(name);
    assert!(read("REPORT.md").contains("It runs: the lock has the places"), "{}", read("REPORT.md"));
    let (code, said) = virtc(root.path(), &["argv", "-q", "site/vms/web.xml"]);
    assert_eq!(code, Some(0), "{said}");
    let rng = said.lines().find(|l| l.contains("virtio-rng-pci")).unwrap_or_default();
    assert!(rng.contains("\"bus\":\"pci.5\""), "{said}");
}

#[test]
fn what_is_no_folder_of_libvirt_is_told() {
    let root = tempfile::tempdir().expect("a folder");
    let (status, said) = virtc(root.path(), &["adopt", "."]);
    assert!(status == Some(4) && said.contains("has no domains"), "{said}");
    assert_eq!(virtc(root.path(), &["adopt", "nothing"]).0, Some(4));
    let (status, said) = virtc(root.path(), &["adopt", "qemu+ssh://-oProxyCommand=x/system"]);
    assert_eq!(status, Some(4), "{said}");
}
