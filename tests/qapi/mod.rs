//! Every value that virtc writes as JSON on a command line is held against QEMU's own schema, as the
//! installed binary tells it: of the examples, of the domains of real life, and of the conformance suite where
//! it is there.

mod schema;

use crate::common;
use schema::{Fault, Schema, Wrong};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use virtc::caps::{Capabilities, profiles};
use virtc::cli::{Shared, inputs};
use virtc::compile::{Until, compile};
use virtc::diag::Diagnostics;
use virtc::emit::argv::tokens;
use virtc::host::Host;
use virtc::plan::{Plan, Target};
use virtc::run::qmp::{Duplex, Qmp};
use virtc::stage::Options;
use virtc::vocab::Arch;

/// What QEMU 7.2 does not know because it came later, or had gone before: the place, and the version. Newer
/// QEMUs know some of it; only what the schema at hand lacks is looked up here.
const OF_OTHER_VERSIONS: &[(&str, &str)] = &[
    ("-blockdev qcow2.discard-no-unref", "8.1"),
    ("-blockdev rbd.encrypt luks-any.format=luks-any", "8.0"),
    ("-blockdev rbd.encrypt luks.parent", "8.0"),
    ("-netdev stream.reconnect", "8.0 to 9.2"),
    ("-netdev stream.reconnect-ms", "9.2"),
    ("-object sev-snp-guest.qom-type=sev-snp-guest", "9.1"),
];

/// Properties of devices that came after QEMU 7.2, or had gone before: device (a part of its name), property, version.
const DEVICES_OF_OTHER_VERSIONS: &[(&str, &str, &str)] = &[
    ("virtio-scsi-pci", "iothread-vq-mapping", "10.0"),
    ("virtconsole", "devno", "no QEMU; libvirt gives the address of a console on a CCW machine"),
    // <qemu:override> of the suite sets what it likes.
    ("ide-hd", "prop1", "none"),
    ("ide-hd", "prop2", "none"),
    ("ide-hd", "prop3", "none"),
    ("ide-hd", "prop4", "none"),
    ("ide-hd", "prop5", "none"),
];

type Monitor = Qmp<Duplex<std::process::ChildStdout, std::process::ChildStdin>>;

/// A QEMU without a machine, to be asked.
struct Asked {
    child: Child,
    qmp: Monitor,
    schema: Schema,
    /// The properties of each device: name, type. None: this QEMU has no such device.
    devices: BTreeMap<String, Option<BTreeMap<String, String>>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Asked {
    fn start(program: &str) -> Asked {
        let mut child = Command::new(program)
            .args(["-M", "none", "-nodefaults", "-display", "none", "-qmp", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("QEMU starts");
        let (reader, writer) = (child.stdout.take().expect("piped"), child.stdin.take().expect("piped"));
        let mut qmp = Qmp::new(Duplex { reader, writer }, Duration::from_secs(60)).expect("QMP");
        let schema = Schema::new(qmp.execute("query-qmp-schema", Value::Null).expect("the schema"));
        Asked { child, qmp, schema, devices: BTreeMap::new() }
    }

    fn properties(&mut self, driver: &str) -> Option<&BTreeMap<String, String>> {
        if !self.devices.contains_key(driver) {
            let reply = self.qmp.execute("device-list-properties", json!({ "typename": driver })).ok();
            let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_string();
            let known = reply.map(|list| {
                list.as_array().into_iter().flatten().map(|p| (text(p, "name"), text(p, "type"))).collect()
            });
            self.devices.insert(driver.to_string(), known);
        }
        self.devices.get(driver).and_then(Option::as_ref)
    }

    /// Checks one argument.
    fn check(&mut self, switch: &str, value: &Value, faults: &mut Vec<Fault>) -> bool {
        let arguments = match switch {
            "-blockdev" => self.schema.arguments("blockdev-add"),
            "-netdev" => self.schema.arguments("netdev_add"),
            "-object" => self.schema.arguments("object-add"),
            "-chardev" => self.schema.arguments("chardev-add"),
            // QEMU before 8.0 does not tell.
            "-audiodev" => self.schema.result("query-audiodevs"),
            "-device" => return self.device(value, faults),
            _ => None,
        };
        let Some(id) = arguments else { return false };
        self.schema.check(id, value, switch, faults);
        true
    }

    /// The schema says of devices only that they have properties; each device knows its own.
    fn device(&mut self, value: &Value, faults: &mut Vec<Fault>) -> bool {
        let Value::Object(object) = value else { panic!("a device is an object: {value}") };
        let driver = object.get("driver").and_then(Value::as_str).unwrap_or_default();
        let Some(known) = self.properties(driver) else { return false };
        for (key, value) in object {
            if ["driver", "id", "bus"].contains(&key.as_str()) {
                continue;
            }
            let place = format!("-device {driver}.{key}");
            let Some(kind) = known.get(key) else {
                faults.push(Fault { place, wrong: Wrong::Unknown });
                continue;
            };
            let fits = match kind.as_str() {
                "bool" => value.is_boolean(),
                // Slot and function of a PCI device is an int32 that is also read from text.
                "int32" if key == "addr" => value.is_string() || value.is_i64(),
                // Read from text as well: SCSI disks' 64 bit identifiers, timers.
                k if k.starts_with("uint") || k.starts_with("int") || k == "size" => {
                    value.is_u64() || value.is_i64() || value.as_str().is_some_and(|t| t.starts_with("0x"))
                }
                k if k.starts_with("list") => value.is_array(),
                // Words, names, links.
                _ => value.is_string() || value.is_i64() || value.is_u64(),
            };
            if !fits {
                faults.push(Fault { place, wrong: Wrong::Never(format!("{value} is no {kind}")) });
            }
        }
        true
    }
}

/// What was looked at.
#[derive(Default, Debug)]
struct Count {
    plans: usize,
    checked: usize,
    unknown_to_schema: usize,
}

/// Holds all JSON of QEMU's arguments against the schema; faults get the name of the Plan.
fn check(
    plan: &Plan,
    name: &str,
    asked: &mut Asked,
    count: &mut Count,
    faults: &mut BTreeMap<Fault, BTreeSet<String>>,
) {
    let tokens = tokens(plan.qemu().expect("a QEMU process"));
    count.plans += 1;
    for pair in tokens.windows(2) {
        let [switch, text] = pair else { continue };
        if !switch.starts_with('-') || !text.starts_with('{') {
            continue;
        }
        let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{name}: {text}: {e}"));
        let mut found = Vec::new();
        match asked.check(switch, &value, &mut found) {
            true => count.checked += 1,
            false => count.unknown_to_schema += 1,
        }
        for fault in found {
            faults.entry(fault).or_default().insert(name.to_string());
        }
    }
}

/// Faults that no other version of QEMU explains, a line each.
fn unexplained(faults: &BTreeMap<Fault, BTreeSet<String>>) -> Vec<String> {
    let explained = |fault: &Fault| {
        fault.wrong == Wrong::Unknown
            && (OF_OTHER_VERSIONS.iter().any(|(place, _)| *place == fault.place)
                || DEVICES_OF_OTHER_VERSIONS.iter().any(|(device, property, _)| {
                    fault
                        .place
                        .strip_prefix("-device ")
                        .and_then(|p| p.split_once('.'))
                        .is_some_and(|(driver, key)| driver.contains(device) && key == *property)
                }))
    };
    let lines = faults.iter().filter(|(fault, _)| !explained(fault));
    lines
        .map(|(f, names)| {
            format!("{} {:?} ({} times: {})", f.place, f.wrong, names.len(), names.first().map_or("", |n| n))
        })
        .collect()
}

fn xml_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).expect("the folder").map(|e| e.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "xml")).collect();
    files.sort();
    files
}

/// The QEMU to ask: one that somebody has built himself is newer than that of the distribution.
fn qemu() -> Option<&'static str> {
    let found = ["/usr/local/bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64"]
        .into_iter()
        .find(|p| Path::new(p).exists());
    common::given(found.is_some(), "qemu-system-x86_64 (apt-get install qemu-system-x86)");
    found
}

/// The judge is judged first: what is wrong on purpose is found, and nothing else.
#[test]
fn faults_are_found() {
    let Some(program) = qemu() else { return };
    let mut asked = Asked::start(program);
    let file = json!({ "driver": "file", "filename": "/a", "node-name": "n" });
    let luks = json!({ "format": "luks", "key-secret": "s" });
    let memory = |size: Value| json!({ "qom-type": "memory-backend-ram", "id": "m", "size": size, "host-nodes": [0] });
    for (switch, value, place) in [
        ("-blockdev", file.clone(), ""),
        ("-blockdev", json!({ "driver": "file", "node-name": "n" }), "-blockdev file.filename"),
        ("-blockdev", json!({ "driver": "file", "filename": 5 }), "-blockdev file.filename"),
        ("-blockdev", json!({ "driver": "file", "filename": "/a", "aio": "slow" }), "-blockdev file.aio=slow"),
        ("-blockdev", json!({ "driver": "file", "filename": "/a", "server": 1 }), "-blockdev file.server"),
        ("-blockdev", json!({ "driver": "qcow2", "file": file }), ""),
        ("-blockdev", json!({ "driver": "qcow2", "file": 7 }), "-blockdev qcow2.file"),
        ("-blockdev", json!({ "driver": "qcow2", "file": "n", "backing": null, "encrypt": luks }), ""),
        ("-blockdev", json!({ "driver": "nbd", "server": { "type": "unix" } }), "-blockdev nbd.server unix.path"),
        ("-blockdev", json!({ "driver": "vapour" }), "-blockdev vapour.driver=vapour"),
        ("-netdev", json!({ "type": "user", "id": "n", "net": "10.0.0.0/24" }), ""),
        ("-netdev", json!({ "type": "user" }), "-netdev user.id"),
        ("-object", memory(json!(4096)), ""),
        ("-object", memory(json!("4K")), "-object memory-backend-ram.size"),
        ("-device", json!({ "driver": "virtio-net-pci", "netdev": "n", "mq": true, "addr": "0x1.0x2" }), ""),
        ("-device", json!({ "driver": "virtio-net-pci", "mq": "on" }), "-device virtio-net-pci.mq"),
        ("-device", json!({ "driver": "virtio-net-pci", "color": 1 }), "-device virtio-net-pci.color"),
    ] {
        let mut faults = Vec::new();
        asked.check(switch, &value, &mut faults);
        let places: Vec<&str> = faults.iter().map(|f| f.place.as_str()).collect();
        let wanted: &[&str] = if place.is_empty() { &[] } else { &[place] };
        assert_eq!(places, wanted, "{value}: {faults:?}");
    }
}

#[test]
fn examples_and_domains_speak_qemus_language() {
    let Some(program) = qemu() else { return };
    let mut asked = Asked::start(program);
    let (mut count, mut faults) = (Count::default(), BTreeMap::new());
    for file in xml_files("examples").into_iter().chain(xml_files("tests/domains")) {
        let text = std::fs::read_to_string(&file).expect("a domain");
        let host = match std::fs::read_to_string(file.with_extension("kdl")) {
            Ok(facts) => virtc::host::read(&facts, &mut Diagnostics::new()),
            Err(_) => Host::default(),
        };
        let arch = if text.contains("arch='aarch64'") { Arch::Aarch64 } else { Arch::X86_64 };
        let caps = profiles::named("qemu-7.2", arch).expect("an embedded profile");
        let compiled = compile(text.as_bytes(), &host, &caps, &Options::default(), Until::Planned);
        // Those that do not compile are in the table of tests/domains.
        let Some(plan) = compiled.plan else { continue };
        check(&plan, &file.display().to_string(), &mut asked, &mut count, &mut faults);
    }
    println!("{count:?}");
    assert!(count.plans >= 38 && count.checked > 300, "{count:?}");
    let all: Vec<String> = faults.iter().map(|(f, names)| format!("{f:?} {names:?}")).collect();
    // The profile is that of QEMU 7.2: nothing of another version may be there.
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn the_conformance_suite_speaks_qemus_language() {
    let Some((root, list)) = common::conformance() else { return };
    let Some(program) = qemu() else { return };
    let mut asked = Asked::start(program);
    let mut all_caps: BTreeMap<String, Capabilities> = BTreeMap::new();
    let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
    let shared = Shared { quiet: true, ..Shared::default() };
    let (mut count, mut faults) = (Count::default(), BTreeMap::new());
    for case in list.iter().filter(|case| case["expect"] == "argv") {
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_string();
        let caps = all_caps
            .entry(text("caps"))
            .or_insert_with(|| inputs::read_caps(&root.join(text("caps")), &shared).expect("capabilities"));
        let host = hosts
            .entry(text("host"))
            .or_insert_with(|| inputs::read_host(&root.join(text("host")), &shared).expect("host facts"));
        let mut host = host.clone();
        for (key, value) in case["env"].as_object().into_iter().flatten() {
            host.environment.push((key.clone(), value.as_str().unwrap_or_default().to_string()));
        }
        let input = std::fs::read(root.join(text("input"))).expect("an input");
        // libvirt's own notation, and that of a machine by itself.
        for target in [Target::Libvirt(virtc::vocab::Release::OLDEST), Target::Standalone] {
            let options = Options { target, define: case["define"] == true, ..Options::default() };
            let Some(plan) = compile(&input, &host, caps, &options, Until::Planned).plan else { continue };
            check(&plan, &text("id"), &mut asked, &mut count, &mut faults);
        }
    }
    println!("{count:?}");
    let faults = unexplained(&faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
