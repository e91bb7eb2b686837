//! Locks: what a guest has got used to stays where it is, whatever else is written into the file.

use crate::common;
use std::fs;
use std::path::PathBuf;
use virtc::caps::Choice;
use virtc::compile::{Compiled, Until, compile_locked};
use virtc::diag::Diagnostics;
use virtc::host::Host;
use virtc::lock::{self, Entry, Lock};
use virtc::stage::Options;
use virtc::xml;

fn compiled(text: &str, lock: Option<&Lock>, until: Until) -> Compiled {
    compiled_for(&Choice::Fitting, text, lock, until)
}

fn compiled_for(choice: &Choice, text: &str, lock: Option<&Lock>, until: Until) -> Compiled {
    compile_locked(
        text.as_bytes(),
        &Host::open(),
        &|w| choice.for_domain(w),
        &Options { fresh_lock: true, ..Options::default() },
        until,
        lock,
    )
}

fn locked(text: &str, lock: Option<&Lock>) -> Option<Lock> {
    compiled(text, lock, Until::Planned).locking.fresh
}

/// The lock of a domain that compiles.
fn fresh(text: &str, lock: Option<&Lock>) -> Lock {
    let compiled = compiled(text, lock, Until::Planned);
    let faults: Vec<_> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    compiled.locking.fresh.unwrap_or_else(|| panic!("{faults:#?}\n{text}"))
}

fn domains() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["tests/domains", "examples", "tests/recorded"] {
        let entries = fs::read_dir(common::root().join(folder)).expect("a folder");
        files.extend(entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "xml")));
    }
    files.sort();
    files
}

/// The ten kinds: each needs a place that something else might have.
const KINDS: [(&str, &str); 10] = [
    (
        "disk",
        "<disk type='file'><driver name='qemu' type='raw'/><source file='/srv/new.img'/><target dev='vdz' bus='virtio'/></disk>",
    ),
    ("interface", "<interface type='user'><model type='virtio'/></interface>"),
    ("filesystem", "<filesystem type='mount'><source dir='/srv/new'/><target dir='newshare'/></filesystem>"),
    ("rng", "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"),
    ("sound", "<sound model='ich9'/>"),
    ("controller", "<controller type='scsi' index='9' model='virtio-scsi'/>"),
    ("channel", "<channel type='pty'><target type='virtio' name='org.example.new'/></channel>"),
    ("input", "<input type='tablet' bus='usb'/>"),
    (
        "hostdev",
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1d6b'/><product id='0x0104'/></source></hostdev>",
    ),
    ("serial", "<serial type='pty'/>"),
];

/// The text with a device behind the n-th child of `<devices>`; 0: before all.
fn with(text: &str, device: &str, n: usize) -> String {
    let mut diags = Diagnostics::new();
    let doc = xml::parse(text.as_bytes(), &mut diags);
    let devices = doc.root().expect("a root").children().find(|e| e.is("devices")).expect("devices");
    let at = match n {
        0 => devices.span().end,
        n => devices.children().nth(n - 1).expect("a child").whole().end,
    } as usize;
    format!("{}{device}{}", &text[..at], &text[at..])
}

fn children(text: &str) -> usize {
    let mut diags = Diagnostics::new();
    let doc = xml::parse(text.as_bytes(), &mut diags);
    let devices = doc.root().and_then(|r| r.children().find(|e| e.is("devices")));
    devices.map_or(0, |d| d.children().count())
}

/// What of an old lock is not in a new one.
fn moved<'o>(old: &'o Lock, new: &Lock) -> Vec<&'o Entry> {
    let same = |a: &Entry, b: &Entry| a.element == b.element && a.id == b.id && a.has == b.has && a.at == b.at;
    old.devices.iter().filter(|a| !new.devices.iter().any(|b| same(a, b))).collect()
}

#[test]
fn a_new_device_moves_nothing_that_is_locked() {
    let (mut random, mut tried, mut added) = (7_u64, 0, 0);
    for file in domains() {
        let text = fs::read_to_string(&file).expect("a domain");
        let Some(lock) = locked(&text, None) else { continue };
        let count = children(&text);
        tried += 1;
        for (kind, device) in KINDS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (random >> 33) as usize % (count + 1);
            // A board without PCI, a second of what there is one of: it cannot be added with or without a lock.
            let new = with(&text, device, place);
            if locked(&new, None).is_none() {
                continue;
            }
            let after = fresh(&new, Some(&lock));
            added += 1;
            let what = moved(&lock, &after);
            assert!(
                what.is_empty(),
                "{}: a new {kind} behind child {place} moves {what:#?}\n{after:#?}",
                file.display()
            );
            assert_eq!((&lock.machine, &lock.values), (&after.machine, &after.values), "{}", file.display());
            assert!(after.devices.len() > lock.devices.len(), "{}: {kind}", file.display());
        }
    }
    assert!(tried > 60 && added > 500, "{tried} domains, {added} devices");
}

#[test]
fn a_lock_changes_nothing_of_the_domain_that_it_was_made_of() {
    for file in domains() {
        let text = fs::read_to_string(&file).expect("a domain");
        let Some(lock) = locked(&text, None) else { continue };
        let plain = compiled(&text, None, Until::Planned).plan;
        let again = compiled(&text, Some(&lock), Until::Planned);
        assert_eq!(again.locking.fresh.as_ref(), Some(&lock), "{}", file.display());
        let (plain, again) = (plain.expect("a Plan"), again.plan.expect("a Plan"));
        assert_eq!(virtc::plan::differences(&plain, &again), [], "{}", file.display());
    }
}

#[test]
fn a_lock_is_written_as_it_is_read() {
    for file in domains() {
        let text = fs::read_to_string(&file).expect("a domain");
        let Some(lock) = locked(&text, None) else { continue };
        let written = lock::write(&lock);
        let mut diags = Diagnostics::new();
        let read = lock::read(&written, &mut diags);
        assert_eq!(read.as_ref(), Some(&lock), "{}: {diags:?}\n{written}", file.display());
    }
}

fn domain(devices: &str) -> String {
    format!(
        "<domain type='kvm'><name>vm</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}</devices></domain>"
    )
}

const NET: &str = "<interface type='user'><model type='virtio'/></interface>";
const DISK: &str = "<disk type='file'><source file='/srv/a.img'/><target dev='vda'/></disk>";

fn device<'l>(lock: &'l Lock, element: &str, id: &str) -> &'l Entry {
    lock.devices
        .iter()
        .find(|e| e.element == element && e.id == id)
        .unwrap_or_else(|| panic!("{element} {id}: {lock:#?}"))
}

#[test]
fn a_device_that_is_gone_keeps_its_place_until_it_is_pruned() {
    let lock = fresh(&domain(&format!("{DISK}{NET}")), None);
    let net = device(&lock, "interface", "net0").at.clone();
    let without = fresh(&domain(DISK), Some(&lock));
    assert_eq!(device(&without, "interface", "net0").at, net);
    // A share would be served first, and take the place.
    let share = "<filesystem type='mount'><source dir='/srv/s'/><target dir='s'/></filesystem>";
    let shared = fresh(&domain(&format!("{DISK}{share}")), Some(&without));
    assert_ne!(device(&shared, "filesystem", "fs0").at, net);
    assert_eq!(device(&shared, "disk", "virtio-disk0").at, device(&lock, "disk", "virtio-disk0").at);
    // It comes back where it was.
    let back = fresh(&domain(&format!("{share}{DISK}{NET}")), Some(&shared));
    assert_eq!(device(&back, "interface", "net0").at, net);
    // Without it in the lock, its place is anybody's.
    let compiled = compiled(&domain(DISK), Some(&without), Until::Planned);
    let pruned = lock::take(&compiled.domain.unwrap(), None, &compiled.locking.supplied, Some(&without), true);
    assert!(!pruned.devices.iter().any(|e| e.element == "interface"));
}

#[test]
fn devices_are_known_by_what_they_are() {
    let net = |source: &str, mac: &str| {
        format!("<interface type='bridge'><source bridge='{source}'/>{mac}<model type='virtio'/></interface>")
    };
    let lock = fresh(&domain(&format!("{}{}", net("br0", ""), net("br1", ""))), None);
    let (first, second) = (device(&lock, "interface", "net0").clone(), device(&lock, "interface", "net1").clone());
    // The other way around, with a third between them.
    let swapped = fresh(&domain(&format!("{}{}{}", net("br1", ""), net("br2", ""), net("br0", ""))), Some(&lock));
    assert_eq!(device(&swapped, "interface", "net0"), &first);
    assert_eq!(device(&swapped, "interface", "net1"), &second);
    assert!(
        !swapped
            .devices
            .iter()
            .filter(|e| e.element == "interface")
            .any(|e| e.id == "net2" && (e.at == first.at || e.at == second.at))
    );
    // Another MAC address is another card.
    let mac = "<mac address='52:54:00:12:34:56'/>";
    let other = fresh(&domain(&net("br0", mac)), Some(&lock));
    let card = other
        .devices
        .iter()
        .filter(|e| e.element == "interface")
        .find(|e| e.has.iter().any(|(_, v)| v == "52:54:00:12:34:56"))
        .unwrap();
    assert!(card.at != first.at && card.at != second.at, "{other:#?}");
    // A disk keeps its place when its file changes, and when its serial number says that it is the same.
    let disk = |file: &str, dev: &str| {
        format!("<disk type='file'><source file='{file}'/><target dev='{dev}' bus='virtio'/><serial>S1</serial></disk>")
    };
    let lock = fresh(&domain(&disk("/srv/a", "vda")), None);
    let renamed = fresh(&domain(&format!("{}{}", NET, disk("/srv/b", "vdb"))), Some(&lock));
    assert_eq!(device(&renamed, "disk", "virtio-disk1").at, device(&lock, "disk", "virtio-disk0").at);
}

#[test]
fn what_the_xml_says_wins() {
    let lock = fresh(&domain(NET), None);
    let at = "<address type='pci' domain='0' bus='0' slot='9' function='0'/>";
    let moved = fresh(&domain(&NET.replace("</interface>", &format!("{at}</interface>"))), Some(&lock));
    let place = &device(&moved, "interface", "net0").at;
    assert!(place.contains(&("slot".into(), "0x09".into())), "{place:?}");
    // A machine type of a version is what the file says; an alias is what it was.
    let old = domain(NET).replace("'q35'", "'pc-q35-7.2'");
    assert_eq!(fresh(&old, Some(&lock)).machine.unwrap().name, "pc-q35-7.2");
    let mut before = lock.clone();
    before.machine.as_mut().unwrap().name = "pc-q35-6.2".into();
    assert_eq!(fresh(&domain(NET), Some(&before)).machine.unwrap().name, "pc-q35-6.2");
}

#[test]
fn a_name_may_change() {
    let lock = fresh(&domain(NET), None);
    let renamed = fresh(&domain(NET).replace("<name>vm<", "<name>other<"), Some(&lock));
    assert_eq!(lock.values, renamed.values);
    assert_eq!(device(&lock, "interface", "net0"), device(&renamed, "interface", "net0"));
}

#[test]
fn a_lock_that_cannot_be_read_stops_the_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("vm.xml");
    fs::write(&file, domain(NET)).expect("a file");
    let run = |arguments: &[&str]| {
        let out = common::virtc().args(arguments).current_dir(folder.path()).output().expect("virtc");
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
    };
    let (status, said) = run(&["argv", "vm.xml", "--locked"]);
    assert!(status == Some(1) && said.contains("VC2203"), "{said}");
    assert_eq!(run(&["lock", "vm.xml"]).0, Some(0));
    let (status, said) = run(&["check", "vm.xml", "--locked"]);
    assert_eq!(status, Some(0), "{said}");
    fs::write(&file, domain(&format!("{DISK}{NET}"))).expect("a file");
    let (status, said) = run(&["argv", "vm.xml", "--locked"]);
    assert!(status == Some(1) && said.contains("VC2202") && said.contains("+ disk 'virtio-disk0'"), "{said}");
    let (status, said) = run(&["argv", "vm.xml"]);
    assert!(status == Some(0) && said.contains("VC2202"), "{said}");
    let (status, said) = run(&["lock", "--diff", "vm.xml"]);
    assert!(status == Some(3) && said.contains("+disk \"virtio-disk0\""), "{said}");
    let (status, said) = run(&["argv", "vm.xml", "--target", "libvirt"]);
    assert!(status == Some(0) && said.contains("VC2204"), "{said}");
    fs::write(folder.path().join("vm.lock"), "<<<<<<< HEAD\n").expect("a file");
    let (status, said) = run(&["build", "vm.xml"]);
    assert!(status == Some(1) && said.contains("VC2201"), "{said}");
    for text in
        ["", "virtc-lock version=2", "virtc-lock version=1\nshoe \"a\"", "virtc-lock version=1\nvalue \"a/b\" \"c\""]
    {
        fs::write(folder.path().join("vm.lock"), text).expect("a file");
        assert_eq!(run(&["check", "vm.xml"]).0, Some(1), "{text}");
    }
}

#[test]
fn a_lock_takes_over_what_a_machine_of_libvirt_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let lean = domain(&format!("{DISK}{NET}"));
    fs::write(folder.path().join("vm.xml"), &lean).expect("a file");
    // libvirt has put things elsewhere.
    let full = domain(&format!(
        "<controller type='pci' index='0' model='pcie-root'/>\
         <controller type='pci' index='1' model='pcie-root-port'><target chassis='1' port='0x10'/>\
         <address type='pci' domain='0' bus='0' slot='2' function='0' multifunction='on'/></controller>\
         <controller type='pci' index='2' model='pcie-root-port'><target chassis='2' port='0x11'/>\
         <address type='pci' domain='0' bus='0' slot='2' function='1'/></controller>\
         <controller type='pci' index='3' model='pcie-root-port'><target chassis='3' port='0x12'/>\
         <address type='pci' domain='0' bus='0' slot='2' function='2'/></controller>\
         {}{}",
        DISK.replace(
            "</disk>",
            "<alias name='virtio-disk0'/><address type='pci' domain='0' bus='3' slot='0' function='0'/></disk>"
        ),
        NET.replace("<model", "<mac address='52:54:00:aa:bb:cc'/><model").replace(
            "</interface>",
            "<alias name='net0'/><address type='pci' domain='0' bus='2' slot='0' function='0'/></interface>"
        )
    ))
    .replace("'q35'", "'pc-q35-7.1'")
    .replace("<memory", "<uuid>1b2c9a4e-0000-4000-8000-00000000beef</uuid><memory");
    fs::write(folder.path().join("full.xml"), full).expect("a file");
    let out = common::virtc()
        .args(["lock", "vm.xml", "--from", "full.xml"])
        .current_dir(folder.path())
        .output()
        .expect("virtc");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = fs::read_to_string(folder.path().join("vm.lock")).expect("a lock");
    let lock = lock::read(&text, &mut Diagnostics::new()).expect("a lock");
    assert_eq!(lock.machine.as_ref().unwrap().name, "pc-q35-7.1");
    let bus = |entry: &Entry| entry.at.iter().find(|(n, _)| n == "bus").unwrap().1.clone();
    assert_eq!(bus(device(&lock, "interface", "net0")), "0x02", "{text}");
    assert_eq!(bus(device(&lock, "disk", "virtio-disk0")), "0x03");
    assert!(text.contains("52:54:00:aa:bb:cc") && text.contains("1b2c9a4e-0000-4000-8000-00000000beef"));
    let again = fresh(&lean, Some(&lock));
    assert_eq!(again, lock);
}

/// The machine as its guest finds it, asked of QEMU itself: every PCI function with its place.
#[test]
fn qemu_has_the_devices_where_they_were() {
    if !common::has(common::QEMU, "qemu-system-x86") {
        return;
    }
    // What the oldest QEMU that the tests meet has, too.
    let base =
        domain(&format!("{DISK}{NET}")).replace("'kvm'", "'qemu'").replace(DISK, "").replace("'q35'", "'pc-q35-7.2'");
    let lock = fresh(&base, None);
    let before = query_pci(&base, None);
    for (kind, device) in
        KINDS.iter().filter(|(kind, _)| ["interface", "rng", "sound", "controller", "channel"].contains(kind))
    {
        let text = with(&base, device, 1);
        let after = query_pci(&text, Some(&lock));
        let gone: Vec<_> = before.iter().filter(|b| !after.contains(b)).collect();
        assert!(gone.is_empty(), "{kind}: {gone:?}\n{after:?}");
    }
}

/// Bus, slot, function, id and class of every function, as `query-pci` tells them.
fn query_pci(text: &str, lock: Option<&Lock>) -> Vec<String> {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    let old = Choice::profile("qemu-7.2").expect("a profile");
    let plan = compiled_for(&old, text, lock, Until::Planned).plan.expect("a Plan");
    let process = plan.qemu().expect("QEMU");
    let mut words = Vec::new();
    let mut line = virtc::emit::argv::tokens(process).into_iter().peekable();
    while let Some(switch) = line.next() {
        let value = line.next_if(|w| !w.starts_with('-'));
        // The monitor of the test in place of the unit's.
        let text = value.as_deref().unwrap_or("");
        let left_out = match switch.as_str() {
            "-mon" | "-sandbox" | "-pidfile" | "-add-fd" | "-S" => true,
            "-chardev" | "-object" => text.contains("monitor") || text.contains("secret"),
            _ => false,
        };
        if !left_out {
            words.push(switch);
            words.extend(value);
        }
    }
    let mut child = Command::new(common::QEMU)
        .args(&words)
        .args(["-qmp", "stdio", "-S"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("QEMU");
    let mut to = child.stdin.take().expect("a pipe");
    writeln!(to, "{{\"execute\":\"qmp_capabilities\"}}\n{{\"execute\":\"query-pci\"}}\n{{\"execute\":\"quit\"}}")
        .expect("QEMU");
    let mut found = Vec::new();
    for answer in BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok) {
        // QEMU also says there which terminals it has opened.
        let Ok(json) = serde_json::from_str::<serde_json::Value>(&answer) else { continue };
        for bus in json["return"].as_array().into_iter().flatten() {
            functions(bus, &mut found);
        }
    }
    child.wait().expect("an end");
    assert!(found.len() > 4, "{found:?}");
    found
}

fn functions(bus: &serde_json::Value, out: &mut Vec<String>) {
    for device in bus["devices"].as_array().into_iter().flatten() {
        let class = &device["class_info"]["class"];
        let id = device["qdev_id"].as_str().unwrap_or("");
        out.push(format!("{}:{}.{} {id} {class}", device["bus"], device["slot"], device["function"]));
        functions(&device["pci_bridge"], out);
    }
}
