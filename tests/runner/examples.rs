//! The examples, compiled and started: real QEMU takes the standalone command lines, and has inside what
//! the Plan says.
//!
//! Those of type kvm are emulated, so that the test runs everywhere; names get the number of the test's process, so that
//! two runs of the tests do not meet in /run. As root each runs in a network namespace of its own, with the
//! bridges that it asks for: the host keeps its network, and ports are free.

use super::bed::{Bed, until};
use crate::common::{given, has, has_qemu, makes_networks};
use crate::image;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use virtc::plan::{ArgValue, Plan, Prop, Props};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Makes the images that the examples name, once.
fn prepare() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let out = Command::new(examples().join("prepare")).output().expect("prepare runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    });
}

/// The plan of an example that is emulated, under another name.
fn plan(bed: &Bed, example: &str) -> Plan {
    let text = std::fs::read_to_string(examples().join(example)).expect("the example");
    let xml = bed.path(example);
    std::fs::write(&xml, renamed(&text.replace("<domain type='kvm'", "<domain type='qemu'"))).expect("written");
    let host = examples().join("host.kdl").display().to_string();
    bed.ok(&["build", "--here", "--host", &host, "-o", &bed.path("out"), &xml]);
    let name = example.trim_end_matches(".xml");
    let share = std::fs::read_dir(bed.path("out/usr/share/virtc")).expect("a tree");
    let folder = share.flatten().map(|e| e.path()).find(|p| p.is_dir()).expect("a domain");
    let json = std::fs::read(folder.join("plan.json")).unwrap_or_else(|e| panic!("{name}: {e}"));
    serde_json::from_slice(&json).expect("a plan")
}

/// The XML with the number of this process in the name of its domain.
fn renamed(xml: &str) -> String {
    xml.replacen("</name>", &format!("-{}</name>", std::process::id()), 1)
}

/// Starts a plan in a network namespace that has the bridges it asks for.
fn start(bed: &Bed) {
    let file = bed.plan_file();
    let bridges: BTreeSet<&String> = bed.plan.links.iter().filter_map(|l| l.over.as_ref()).collect();
    let out = if !makes_networks() {
        bed.call(&["run", "-d", "--allow-root", &file])
    } else {
        let make: String =
            bridges.iter().map(|b| format!("ip link add {b} type bridge && ip link set {b} up && ")).collect();
        let virtc = bed.virtc(&[]);
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", &format!("ip link set lo up && {make} exec \"$0\" \"$@\"")]);
        command.arg(virtc.get_program()).args(["run", "-d", "--allow-root", &file]);
        command.envs(virtc.get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.output().expect("unshare runs")
    };
    assert!(out.status.success(), "{}: {}", bed.plan.name, String::from_utf8_lossy(&out.stderr));
}

fn query(bed: &Bed, command: &str) -> Value {
    serde_json::from_str(&bed.ok(&["monitor", &bed.plan.name, command])).expect("JSON")
}

/// Every string under `key`, at any depth.
fn strings(value: &Value, key: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|v| strings(v, key, found)),
        Value::Object(object) => {
            found.extend(object.get(key).and_then(Value::as_str).map(str::to_string));
            object.values().for_each(|v| strings(v, key, found));
        }
        _ => {}
    }
}

fn text<'a>(props: &'a Props, key: &str) -> Option<&'a str> {
    match props.get(key) {
        Some(Prop::Text(text)) => Some(text),
        _ => None,
    }
}

/// Slot and function of `addr=0x2.0x1`.
fn place(addr: &str) -> Option<(i64, i64)> {
    let (slot, function) = addr.split_once('.').unwrap_or((addr, "0x0"));
    let number = |t: &str| i64::from_str_radix(t.trim_start_matches("0x"), 16).ok();
    Some((number(slot)?, number(function)?))
}

/// All devices of query-pci, those behind bridges too: id, slot, function.
fn pci_devices(value: &Value, found: &mut BTreeSet<(String, i64, i64)>) {
    match value {
        Value::Array(list) => list.iter().for_each(|v| pci_devices(v, found)),
        Value::Object(object) => {
            if let (Some(id), Some(slot), Some(function)) = (
                object.get("qdev_id").and_then(Value::as_str),
                object.get("slot").and_then(Value::as_i64),
                object.get("function").and_then(Value::as_i64),
            ) {
                found.insert((id.to_string(), slot, function));
            }
            object.values().for_each(|v| pci_devices(v, found));
        }
        _ => {}
    }
}

/// Where the Plan puts PCI devices: id, slot, function.
fn places(bed: &Bed) -> Vec<(String, i64, i64)> {
    let args = &bed.plan.qemu().expect("a QEMU").args;
    args.iter()
        .filter(|arg| arg.switch == "-device")
        .filter_map(|arg| {
            let ArgValue::Props(props, _) = &arg.value else { return None };
            text(props, "bus").filter(|bus| bus.starts_with("pci"))?;
            let (slot, function) = place(text(props, "addr")?)?;
            Some((text(props, "id").unwrap_or_default().to_string(), slot, function))
        })
        .collect()
}

/// Compares what QEMU has with what the Plan says.
fn compare(bed: &Bed) {
    let name = &bed.plan.name;
    // What is behind a bridge shows up once the firmware has given the bridge a number.
    let pci = until(&format!("{name} to have its PCI devices"), || {
        let mut pci = BTreeSet::new();
        pci_devices(&query(bed, "query-pci"), &mut pci);
        let missing = places(bed).into_iter().filter(|p| !pci.contains(p)).count();
        if missing > 0 {
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        (missing == 0).then_some(pci)
    });
    let mut block = BTreeSet::new();
    strings(&query(bed, "query-block"), "qdev", &mut block);
    let mut chardevs = BTreeSet::new();
    strings(&query(bed, "query-chardev"), "label", &mut chardevs);
    let qemu = bed.plan.qemu().expect("a QEMU");
    let (mut devices, mut disks, mut backends) = (0, 0, 0);
    for arg in &qemu.args {
        let ArgValue::Props(props, _) = &arg.value else { continue };
        let id = text(props, "id").unwrap_or_default();
        match arg.switch.as_ref() {
            "-device" => {
                if let (Some(bus), Some(addr)) = (text(props, "bus"), text(props, "addr"))
                    && bus.starts_with("pci")
                {
                    assert!(place(addr).is_some(), "{name}: {addr}");
                    devices += 1;
                }
                if props.get("drive").is_some() {
                    let known = block.iter().any(|q| q == id || q.split('/').any(|part| part == id));
                    assert!(known, "{name}: disk {id} is not among {block:?}");
                    disks += 1;
                }
            }
            "-chardev" => {
                assert!(chardevs.contains(id), "{name}: chardev {id} is not among {chardevs:?}");
                backends += 1;
            }
            _ => {}
        }
    }
    assert!(pci.len() >= devices);
    println!("{name}: {devices} PCI devices, {disks} disks, {backends} character devices");
    assert!(backends > 0, "{name}: at least the monitor");
}

fn runs(example: &str) {
    if !has_qemu() || !has("/usr/bin/qemu-img", "qemu-utils") {
        return;
    }
    prepare();
    let mut bed = Bed::new("example");
    bed.plan = plan(&bed, example);
    if !bed.plan.links.is_empty() && !given(makes_networks(), "root that may make network interfaces") {
        return;
    }
    start(&bed);
    until(&format!("{example} to run"), || (bed.state() == "running").then_some(()));
    compare(&bed);
    // Nothing boots on these disks that would react to a power button.
    bed.ok(&["stop", "--timeout", "1", &bed.plan.name.clone()]);
    assert_eq!(bed.ok(&["list", "--names"]), "");
    let run = bed.plan.run_dir().expect("a run-time directory").path.clone();
    assert!(!Path::new(&run).exists(), "{run} is left");
}

macro_rules! examples {
    ($($test:ident $file:literal),+ $(,)?) => {
        $(#[test] fn $test() { runs($file); })+

        #[test]
        fn no_example_is_forgotten() {
            let named: BTreeSet<&str> = [$($file),+].into_iter().collect();
            for entry in std::fs::read_dir(examples()).expect("the examples").flatten() {
                let name = entry.file_name().into_string().expect("a name");
                assert!(!name.ends_with(".xml") || named.contains(name.as_str()), "{name} has no test");
            }
        }
    };
}

examples! {
    commandline "commandline.xml",
    demo2_kvm "demo2-kvm.xml",
    desktop "desktop.xml",
    direct_kernel "direct-kernel.xml",
    fedora_i686 "fedora-i686.xml",
    server "server.xml",
    storage "storage.xml",
    windows "windows.xml",
}

#[test]
fn the_direct_kernel_prints_and_powers_off() {
    use std::io::{Read, Write};
    if !has_qemu() || !has("/usr/bin/qemu-img", "qemu-utils") {
        return;
    }
    prepare();
    // Another name than above.
    let bed = Bed::new("direct");
    let text = std::fs::read_to_string(examples().join("direct-kernel.xml")).expect("the example");
    let text = text.replace("<name>direct-kernel<", "<name>direct-console<");
    std::fs::write(bed.path("vm.xml"), renamed(&text)).expect("written");
    let mut child = bed
        .virtc(&["run", "--allow-root", &bed.path("vm.xml")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("virtc runs");
    let mut output = child.stdout.take().expect("a pipe");
    let mut seen = String::new();
    while !seen.contains("panic=1") {
        let mut buffer = [0; 256];
        let read = output.read(&mut buffer).expect("output");
        assert!(read > 0, "the guest said only {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    child.stdin.as_mut().expect("a pipe").write_all(b"q").expect("typed");
    output.read_to_string(&mut seen).expect("output");
    let (status, _, err) = super::bed::finish(child);
    assert_eq!(status, Some(0), "{err}");
    assert!(seen.contains(image::GREETING) && seen.contains(image::FAREWELL), "{seen:?}");
}
