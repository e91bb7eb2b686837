//! Many domains at once: conflicts between them, and only what changed is compiled anew.

use crate::common;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

fn virtc(arguments: &[&str], files: &[PathBuf], folder: &Path) -> Output {
    common::virtc()
        .args(["build", "--color", "never", "-o"])
        .arg(folder.join("out"))
        .args(arguments)
        .args(files)
        .current_dir(folder)
        .output()
        .expect("virtc")
}

fn domain(name: &str, devices: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\n\
         <os><type arch='x86_64' machine='q35'>hvm</type></os>\n\
         <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>\n{devices}\n</devices></domain>\n"
    )
}

/// What each domain has for itself, and the words in which a second one is told of it.
const EXCLUSIVE: &[(&str, &str)] = &[
    ("<disk type='file'><source file='/srv/a.img'/><target dev='vda'/></disk>", "the writable disk '/srv/a.img'"),
    ("<interface type='user'><mac address='52:54:00:00:00:01'/></interface>", "the MAC address '52:54:00:00:00:01'"),
    ("<graphics type='vnc' port='5905'/>", "the TCP port 5905"),
    ("<graphics type='vnc' port='5906' websocket='5706'/>", "the TCP port 5706"),
    ("<graphics type='spice' port='5910'/>", "the TCP port 5910"),
    (
        "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='7000'/></serial>",
        "the TCP port 7000 of 127.0.0.1",
    ),
    (
        "<serial type='udp'><source mode='connect' host='127.0.0.1' service='7001'/>\
         <source mode='bind' host='127.0.0.1' service='7002'/></serial>",
        "the UDP port 7002 of 127.0.0.1",
    ),
    (
        "<interface type='server'><source address='127.0.0.1' port='5558'/></interface>",
        "the TCP port 5558 of 127.0.0.1",
    ),
    (
        "<interface type='user'><backend type='passt'/><portForward proto='tcp' address='127.0.0.1'>\
         <range start='2022' to='22'/></portForward></interface>",
        "the TCP port 2022 of 127.0.0.1",
    ),
    ("<serial type='unix'><source mode='bind' path='/srv/a.sock'/></serial>", "the socket '/srv/a.sock'"),
    ("<serial type='file'><source path='/srv/a.txt'/></serial>", "the written file '/srv/a.txt'"),
    ("<interface type='bridge'><source bridge='br0'/><target dev='tapx'/></interface>", "the network interface 'tapx'"),
    ("<vsock model='virtio'><cid auto='no' address='5'/></vsock>", "the vsock address '5'"),
    (
        "<tpm model='tpm-crb'><backend type='emulator' version='2.0'><source type='dir' path='/srv/tpm'/></backend></tpm>",
        "the TPM state '/srv/tpm'",
    ),
];

#[test]
fn two_domains_cannot_have_the_same_thing() {
    let root = tempfile::tempdir().expect("a folder");
    for (at, (devices, message)) in EXCLUSIVE.iter().enumerate() {
        let files = ["one", "two"].map(|name| root.path().join(format!("{name}{at}.xml")));
        std::fs::write(&files[0], domain("one", devices)).expect("a file");
        // One line further down, so that the places differ.
        std::fs::write(&files[1], domain("two", &format!("<!-- other -->\n{devices}"))).expect("a file");
        let output = virtc(&["--message-format", "json"], &files, root.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{devices}: {said}");
        let faults: Vec<serde_json::Value> = said.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        let text = |fault: &serde_json::Value| fault["message"].as_str().unwrap_or_default().to_string();
        let told: Vec<_> = faults.iter().filter(|f| f["code"] == "VC0904" && text(f).starts_with(message)).collect();
        // Once, at the second, with the place of the first.
        assert_eq!(told.len(), 1, "{devices}: {said}");
        assert!(text(told[0]).contains(&format!("one{at}.xml:4")), "{devices}: {said}");
        assert_eq!((&told[0]["line"], &told[0]["related"][0]["line"]), (&5.into(), &4.into()), "{devices}: {said}");
        assert!(!root.path().join("out").exists());
        // One of them alone is fine.
        let alone = virtc(&[], &files[..1], root.path());
        assert!(alone.status.success(), "{devices}: {}", String::from_utf8_lossy(&alone.stderr));
        std::fs::remove_dir_all(root.path().join("out")).expect("a tree");
    }
}

/// What one machine after the other can have.
const BY_TURNS: &[(&str, &str)] = &[
    (
        "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>",
        "the host device '0000:01:00.0'",
    ),
    (
        "<hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>",
        "the host device '/dev/bus/usb/001/002'",
    ),
    (
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>",
        "the host device 'USB 1234:beef'",
    ),
    (
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci'>\
         <source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>",
        "the host device 'c2177883-f1bb-47f0-914d-32a22e3a8804'",
    ),
    ("<input type='evdev'><source dev='/dev/input/event0'/></input>", "the host device '/dev/input/event0'"),
];

#[test]
fn two_domains_have_a_device_of_the_host_by_turns() {
    let root = tempfile::tempdir().expect("a folder");
    for (at, (devices, message)) in BY_TURNS.iter().enumerate() {
        let files = ["one", "two"].map(|name| root.path().join(format!("{name}{at}.xml")));
        for (file, name) in files.iter().zip(["one", "two"]) {
            std::fs::write(file, domain(name, devices)).expect("a file");
        }
        let output = virtc(&["--message-format", "json"], &files, root.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{devices}: {said}");
        assert_eq!(
            said.lines().filter(|l| l.contains("VC1801") && l.contains(message)).count(),
            1,
            "{devices}: {said}"
        );
        for (name, other) in [("one", "two"), ("two", "one")] {
            let unit = root.path().join(format!("out/usr/lib/systemd/system/virtc-{name}.service"));
            let unit = std::fs::read_to_string(unit).expect("a unit");
            assert!(unit.contains(&format!("Conflicts=virtc-{other}.service\n")), "{devices}: {unit}");
            let rules = root.path().join(format!("out/usr/lib/udev/rules.d/90-virtc-{name}.rules"));
            let rules = std::fs::read_to_string(rules).expect("rules");
            assert!(rules.contains(&format!("setfacl -m u:virtc-{name}:rw")) && !rules.contains("OWNER="), "{rules}");
        }
        std::fs::remove_dir_all(root.path().join("out")).expect("a tree");
    }
}

#[test]
fn two_open_ports_of_spice_are_two() {
    let root = tempfile::tempdir().expect("a folder");
    let files = ["one", "two"].map(|name| root.path().join(format!("{name}.xml")));
    for (file, name) in files.iter().zip(["one", "two"]) {
        std::fs::write(file, domain(name, "<graphics type='spice' autoport='yes'/>")).expect("a file");
    }
    let output = virtc(&[], &files, root.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, port) in [("one", "port=5900"), ("two", "port=5901")] {
        let unit = root.path().join(format!("out/usr/lib/systemd/system/virtc-{name}.service"));
        assert!(std::fs::read_to_string(unit).expect("a unit").contains(port), "{name}");
    }
}

#[test]
fn what_can_be_shared_is_no_conflict() {
    let root = tempfile::tempdir().expect("a folder");
    for devices in [
        "<disk type='file' device='cdrom'><source file='/srv/a.iso'/><target dev='sda' bus='sata'/></disk>",
        "<disk type='file'><source file='/srv/a.img'/><target dev='vda'/><shareable/></disk>",
        "<graphics type='vnc'/>",
        "<serial type='unix'><source mode='connect' path='/srv/a.sock'/></serial>",
        "<filesystem type='mount'><source dir='/srv/share'/><target dir='t'/></filesystem>",
        "<interface type='user'/>",
        "<interface type='bridge'><source bridge='br0'/></interface>",
        "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
    ] {
        let files = [1, 2].map(|number| {
            let file = root.path().join(format!("{number}.xml"));
            // UUIDs in sequence, as people write them.
            let uuid = format!("<uuid>1a1b2c3d-0000-4000-8000-00000000001{number}</uuid><memory");
            let xml = domain(&format!("vm{number}"), devices).replace("<memory", &uuid);
            std::fs::write(&file, xml).expect("a file");
            file
        });
        let output = virtc(&[], &files, root.path());
        assert!(output.status.success(), "{devices}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Copies the examples to a place of their own.
fn examples() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in std::fs::read_dir(from).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, root.path().join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    root
}

/// When the Plan of a machine was written.
fn built(root: &Path, name: &str) -> SystemTime {
    let plan = root.join(format!("out/usr/share/virtc/{name}/plan.json"));
    std::fs::metadata(plan).and_then(|m| m.modified()).expect("a plan")
}

/// Builds with a program, changes one file, builds again; only what depends on it may be new.
fn only_what_changed(program: &str, arguments: &[&str], machines: &[&str]) {
    let root = examples();
    let build = || {
        let output = Command::new(program)
            .args(arguments)
            .env("VIRTC", env!("CARGO_BIN_EXE_virtc"))
            .current_dir(root.path())
            .output()
            .expect("a build");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
        said.into_owned()
    };
    let times = || machines.iter().map(|m| built(root.path(), m)).collect::<Vec<_>>();
    let touch = |file: &str| {
        // Builders look at times of whole seconds or finer, and may find a file of this very moment unchanged.
        let file = std::fs::File::options().append(true).open(root.path().join(file)).expect("a file");
        file.set_modified(SystemTime::now() + Duration::from_secs(2)).expect("a time");
    };
    let calm = || std::thread::sleep(Duration::from_millis(20));
    build();
    let first = times();
    calm();
    build();
    assert_eq!(times(), first, "{program}: nothing changed");
    touch(&format!("{}.xml", machines[0]));
    calm();
    build();
    let second = times();
    assert!(second[0] > first[0], "{program}: the changed machine is built");
    assert_eq!(second[1..], first[1..], "{program}: the others are not");
    touch("host.kdl");
    calm();
    build();
    assert!(times().iter().zip(&second).all(|(new, old)| new > old), "{program}: host facts are for all");
}

#[test]
fn make_compiles_what_changed() {
    if common::tool("make", "make").is_some() {
        only_what_changed("make", &[], &["server", "desktop", "storage", "windows", "direct-kernel", "commandline"]);
    }
}

#[test]
fn ninja_compiles_what_changed() {
    if common::tool("ninja", "ninja-build").is_some() {
        // ninja takes no variables from outside: virtc has to be on the path.
        let binary = Path::new(env!("CARGO_BIN_EXE_virtc")).parent().expect("a folder");
        let path = std::env::join_paths(
            std::iter::once(binary.to_path_buf())
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        );
        let path = format!("PATH={}", path.expect("a path").to_string_lossy());
        only_what_changed("env", &[&path, "ninja"], &["server", "desktop", "storage"]);
    }
}
