//! Machines with one kind of device each (`tests/lab/devices`): the lab starts them under their units. Here, on any machine:
//! that they compile, and that what the lab once found missing is there.

use crate::common;
use std::path::Path;

/// Builds a machine of the table.
fn build(name: &str) -> tempfile::TempDir {
    let folder = common::root().join("tests/lab/devices");
    let root = tempfile::tempdir().unwrap();
    let mut command = common::virtc();
    command.args(["--quiet", "build", "--host"]).arg(folder.join("host.kdl")).arg(folder.join(format!("{name}.xml")));
    let output = command.arg("-o").arg(root.path().join("tree")).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    root
}

/// All text of a tree below a folder.
fn text(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        all += &if path.is_dir() { text(&path) } else { std::fs::read_to_string(&path).unwrap() };
    }
    all
}

/// Machine, part of the tree, a line of it.
const FOUND_IN_THE_LAB: &[(&str, &str, &str)] = &[
    ("serials", "usr/lib/systemd", "RuntimeDirectory=virtc/serials virtc/serials/channel\n"),
    ("spice", "etc/apparmor.d", "  /etc/{ssl,pki/tls}/openssl.cnf r,\n"),
    ("vsock", "etc/apparmor.d", "  @{sys}/module/vhost/parameters/max_mem_regions r,\n"),
    ("block", "etc/apparmor.d", "  @{sys}/devices/**/queue/max_segments r,\n"),
    ("nvme", "usr/lib/systemd", "BindsTo=virtc-nvme-vfio.service\n"),
    ("nvme", "usr/lib/systemd", "LimitMEMLOCK=1140850688\n"),
    ("nvme", "usr/lib/systemd", "DeviceAllow=char-vfio rw\n"),
    ("nvme", "usr/lib/udev", "devices/0000:00:12.0\", OWNER=\"virtc-nvme\", MODE=\"0600\""),
    ("link", "usr/lib/systemd", "ExecStartPre=+/usr/lib/virtc/qmp alone /usr/share/virtc/link/plan.json links\n"),
    ("link", "usr/lib/systemd", "BindPaths=-/srv/near/link.img\n"),
    ("pty", "etc/apparmor.d", "  /dev/pts/[0-9]* rw,\n"),
    ("hugepages-memfd", "etc/apparmor.d", "  / rw,\n"),
    ("vfio", "usr/lib/virtc", "w /sys/bus/pci/drivers_probe - - - - 0000:00:10.0\n"),
    ("usb", "usr/lib/udev", "ATTR{idVendor}==\"46f4\", ATTR{idProduct}==\"0001\", OWNER=\"virtc-usb\""),
];

#[test]
fn what_the_lab_found_is_there() {
    for (name, part, line) in FOUND_IN_THE_LAB {
        let root = build(name);
        let all = text(&root.path().join("tree").join(part));
        assert!(all.contains(line), "{name}: no {line:?} in {part}:\n{all}");
    }
}

#[test]
fn every_machine_of_the_table_compiles() {
    let folder = common::root().join("tests/lab/devices");
    let names = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let names = Vec::from_iter(names.filter(|p| p.extension().is_some_and(|e| e == "xml")));
    assert!(names.len() >= 25, "{names:?}");
    for path in names {
        let text = std::fs::read_to_string(&path).unwrap();
        // Those that need the facts of the lab are compiled there.
        if !text.contains(" here: ") {
            build(path.file_stem().unwrap().to_str().unwrap());
        }
    }
}
