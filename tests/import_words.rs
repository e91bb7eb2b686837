//! `virtc import argv` keeps its word: every word of a command line is in the domain, so that it comes back from there, or in
//! a note. And what the domain makes of it again is the same command line.

use super::common;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use virtc::caps::{Capabilities, fitting};
use virtc::cli::{Shared, inputs};
use virtc::compile::{Until, compile, compile_for};
use virtc::diag::Diagnostics;
use virtc::emit::argv::{Format, tokens, write};
use virtc::host::Host;
use virtc::import;
use virtc::plan::{Plan, Target};
use virtc::stage::Options;
use virtc::vocab::Release;

/// A setting of a command line: its switch, the option, its value.
type Setting = (String, String, String);

/// Options that name something: what they name may be called otherwise afterwards.
const NAMES: &[&str] = &[
    "id",
    "node-name",
    "drive",
    "netdev",
    "chardev",
    "memdev",
    "audiodev",
    "iothread",
    "tpmdev",
    "fsdev",
    "rng",
    "cryptodev",
    "file",
    "backing",
    "throttle-group",
];

/// Options whose value is the number of a descriptor.
const DESCRIPTORS: &[&str] = &["fd", "fds", "vhostfd", "vhostfds"];

/// One form of a value: sizes in bytes, numbers in decimal, one word for each state.
fn usual(value: &str) -> String {
    if let Some(number) = value.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
        return number.to_string();
    }
    match value {
        "yes" | "true" | "y" => return "on".to_string(),
        "no" | "false" | "n" => return "off".to_string(),
        _ => {}
    }
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    match (digits.parse::<u64>(), value[digits.len()..].to_ascii_lowercase().trim_end_matches("ib")) {
        (Ok(number), "k") => (number << 10).to_string(),
        (Ok(number), "m") => (number << 20).to_string(),
        (Ok(number), "g") => (number << 30).to_string(),
        _ => value.to_string(),
    }
}

fn flatten(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&below(key), value, out)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| flatten(&below(&i.to_string()), item, out))
        }
        Value::String(text) => out.push((path.to_string(), usual(text))),
        other => out.push((path.to_string(), usual(&other.to_string()))),
    }
}

/// The options of a value: JSON, or `a,b=c` where a doubled comma is one of the text.
fn options(value: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if let Some(json) = serde_json::from_str::<Value>(value).ok().filter(Value::is_object) {
        flatten("", &json, &mut out);
        return out;
    }
    for part in value.replace(",,", "\0").split(',') {
        let part = part.replace('\0', ",");
        match part.split_once('=') {
            Some((key, value)) => out.push((key.to_string(), usual(value))),
            None if out.is_empty() => out.push((String::new(), usual(&part))),
            None => out.push((part, "on".to_string())),
        }
    }
    out
}

/// The settings of the arguments of a command line.
fn settings(words: &[String]) -> Vec<Setting> {
    let mut out = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(switch) = word.strip_prefix('-').filter(|s| !s.is_empty()) else {
            out.push(("hda".to_string(), String::new(), word.clone()));
            continue;
        };
        let switch = switch.trim_start_matches('-');
        let alone = import::switches::takes_value(switch) == Some(false);
        match words.next_if(|_| !alone) {
            Some(value) => out.extend(options(value).into_iter().map(|(key, value)| (switch.to_string(), key, value))),
            None => out.push((switch.to_string(), String::new(), String::new())),
        }
    }
    out
}

/// By what a setting is found again. What stands first without a key has one in the other notation; of a switch the key tells.
fn mark(key: &str, value: &str) -> String {
    match value {
        _ if DESCRIPTORS.contains(&key) => "N".to_string(),
        _ if value.starts_with("/dev/fdset/") => "/dev/fdset".to_string(),
        "on" | "off" => format!("{}={value}", key.replace(['-', '_'], "")),
        _ => value.to_string(),
    }
}

/// What does not come back, and is told nowhere.
fn lost(before: &[String], after: &[String], told: &str) -> Vec<Setting> {
    let value = mark;
    let mut there: BTreeMap<String, usize> = BTreeMap::new();
    for (_, key, text) in settings(after) {
        *there.entry(value(&key, &text)).or_default() += 1;
    }
    let mut out = Vec::new();
    for (switch, key, text) in settings(before) {
        if NAMES.contains(&key.as_str()) || switch == "add-fd" {
            continue;
        }
        if let Some(left) = there.get_mut(&value(&key, &text)).filter(|left| **left > 0) {
            *left -= 1;
            continue;
        }
        let said = told.contains(&format!("{key}={text}")) && !key.is_empty()
            || text.len() > 2 && told.contains(&text)
            || DESCRIPTORS.contains(&key.as_str()) && told.contains("descriptor")
            || text.is_empty() && told.contains(&format!("-{switch}"))
            || !key.is_empty() && told.contains(&format!("{key}=")) && told.contains(&text);
        if !said {
            out.push((switch, key, text));
        }
    }
    out
}

/// What one round gives.
struct Round {
    xml: String,
    told: String,
    plan: Option<Plan>,
}

fn round(text: &str, name: &str, compiled: &dyn Fn(&[u8]) -> Option<Plan>) -> Round {
    let around = import::Around { name, base: "/srv/vm", environment: &[] };
    let mut diags = Diagnostics::new();
    let mut lines = import::command_lines(text.as_bytes(), &around, &mut diags);
    assert_eq!(lines.len(), 1, "{name}");
    let imported = import::domain(&lines.remove(0), "/srv/vm", compiled);
    diags.extend(imported.notes);
    let told = diags.sorted().iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("\n");
    let plan = compiled(imported.xml.as_bytes());
    Round { xml: imported.xml, told, plan }
}

fn domains() -> Vec<PathBuf> {
    let mut out = Vec::new();
    for folder in ["tests/domains", "examples"] {
        let entries = std::fs::read_dir(common::root().join(folder)).expect("a folder of the project");
        out.extend(entries.map(|e| e.expect("an entry").path()).filter(|p| p.extension().is_some_and(|e| e == "xml")));
    }
    out.sort();
    out
}

#[test]
fn every_word_of_own_domains_comes_back_or_is_told() {
    let (mut faults, mut rounds, mut handed) = (Vec::new(), 0, BTreeSet::new());
    for target in [Target::Standalone, Target::Libvirt(Release::OLDEST)] {
        for file in domains() {
            let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
            let host = match std::fs::read_to_string(file.with_extension("kdl")) {
                Ok(facts) => virtc::host::read(&facts, &mut Diagnostics::new()),
                Err(_) => Host::default(),
            };
            let stage = Options { target, ..Options::default() };
            let compiled = |xml: &[u8]| compile_for(xml, &host, &fitting, &stage, Until::Planned).plan;
            // Those that need another host are in the table of tests/domains.
            let Some(before) = compiled(&std::fs::read(&file).expect("a domain")) else { continue };
            let before = before.qemu().expect("a QEMU");
            let mut text = String::new();
            write(&mut text, before, Format::Json);
            let round = round(&text, &name, &compiled);
            rounds += 1;
            if round.xml.contains("<qemu:arg ") {
                handed.insert(name.clone());
            }
            let Some(after) = round.plan else {
                // A secret of libvirt is one of the host, which the command line does not name.
                if target == Target::Standalone || !round.told.contains("the domain names the secret") {
                    faults.push(format!("{name}: what comes back does not compile\n{}", round.xml));
                }
                continue;
            };
            let after = tokens(after.qemu().expect("a QEMU"));
            let lost = lost(&tokens(before), &after, &round.told);
            if !lost.is_empty() {
                faults.push(format!("{name} {target}: {lost:?}"));
            }
        }
    }
    assert!(rounds > 85, "{rounds}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // A device that the format does not have.
    assert_eq!(handed.into_iter().collect::<Vec<_>>(), ["hackintosh"]);
}

/// Words of scripts that are in the domain as an element of another name: the element.
const ELEMENTS: &[(&str, &str)] = &[
    // Its other name.
    ("-device=ich9-ahci", "type='sata'"),
    ("-enable-kvm", "type='kvm'"),
    ("accel=kvm", "type='kvm'"),
    ("-accel=kvm", "type='kvm'"),
    ("-snapshot", "<transient/>"),
    ("snapshot=on", "<transient/>"),
    ("if=none", "<disk "),
    ("media=cdrom", "device='cdrom'"),
    ("readonly=on", "readonly"),
    ("-usb", "type='usb'"),
    ("-nographic", "type='stdio'"),
    ("-no-reboot", "<on_reboot>destroy"),
    ("-no-hpet", "name='hpet' present='no'"),
    ("-localtime", "offset='localtime'"),
    ("gl=on", "<gl enable='yes'"),
    ("-nodefaults", "<domain"),
    ("-no-user-config", "<domain"),
    ("-vga=std", "type='vga'"),
    ("-boot=d", "<boot dev='cdrom'"),
    ("-boot=dc", "<boot dev='cdrom'"),
    ("-net=nic", "<interface"),
    ("nowait=on", "<source"),
    ("mux=on", "stdio"),
    ("cache.direct=off", "cache='"),
    ("cache.direct=on", "cache='"),
    ("cache.no-flush=off", "cache='"),
    ("+kvm_pv_eoi=on", "eoi='on'"),
    ("+kvm_pv_unhalt=on", "<pvspinlock state='on'"),
    ("hv_passthrough=on", "<hyperv mode='passthrough'"),
    ("-object=memory-backend-file", "<memoryBacking"),
    ("mem-path=/dev/hugepages", "<hugepages"),
    ("prealloc=on", "<hugepages"),
    ("-numa=node", "<cell "),
    ("security_model=mapped-xattr", "accessmode='mapped'"),
    ("driver=cfi.pflash01", "<loader"),
    ("disable-legacy=on", "non-transitional"),
    ("disable-modern=off", "non-transitional"),
    // libvirt and virtc write both for images that the disk says nothing about.
    ("auto-read-only=on", "<disk "),
    ("discard=unmap", "<disk "),
];

/// Command lines as people write them in public whose domain is refused, and why.
const REFUSED: &[(&str, &str)] = &[
    ("gpu.sh", "huge pages, which the facts of the host do not have"),
    ("loongarch.sh", "no capabilities of a QEMU for LoongArch come along: `virtc probe qemu` gives them"),
    ("mac99.sh", "no capabilities of a QEMU for PowerPC of 32 bits come along"),
    (
        "netdevs.sh",
        "memory that is not shared, which vhost-user needs, and a socket that belongs to the host's programs",
    ),
    ("nixos-vm.sh", "a share that may be written of a folder that belongs to the system"),
    ("s390x.sh", "KVM of a mainframe, and the host is another"),
    ("sev.sh", "the host has no SEV-SNP, as far as anybody said"),
    ("tdx.sh", "the host has no TDX, as far as anybody said"),
];

/// The scripts of this folder, and those of the findings where they are at hand.
fn scripts() -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut folders = vec![common::root().join("tests/import"), common::root().join("../shared/findings/inputs")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is = |ending: &&str| path.extension().is_some_and(|e| e == *ending);
            let public = folder.ends_with("public") && ["txt", "yml", "cfg", "log"].iter().any(is);
            if path.is_dir() {
                folders.push(path);
            } else if public || ["sh", "service"].iter().any(is) {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}

#[test]
fn scripts_as_people_have_them_lose_no_word() {
    let stage = Options::default();
    let compiled = |xml: &[u8]| compile_for(xml, &Host::default(), &fitting, &stage, Until::Planned).plan;
    let (mut faults, mut rounds, mut refused) = (Vec::new(), 0, Vec::new());
    for file in scripts() {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let around = import::Around { name: "start.sh", base: "/srv/vm", environment: &[] };
        let mut diags = Diagnostics::new();
        let lines = import::command_lines(text.as_bytes(), &around, &mut diags);
        let [line] = lines.as_slice() else { continue };
        if diags.has_errors() {
            continue;
        }
        let before: Vec<String> = line.arguments.iter().map(|word| word.text.clone()).collect();
        let imported = import::domain(line, "/srv/vm", &compiled);
        diags.extend(imported.notes);
        let told = diags.sorted().iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("\n");
        // What does not compile is told by the compiler.
        let Some(plan) = compiled(imported.xml.as_bytes()) else {
            refused.extend(name.split_once("/public/").map(|(_, name)| name.to_string()));
            continue;
        };
        let after = tokens(plan.qemu().expect("a QEMU"));
        rounds += 1;
        let all = format!("{}\n{told}\n{}", imported.xml.replace('"', "'"), after.join(" "));
        let there = |(switch, key, text): &Setting| {
            let word = match (key.as_str(), text.as_str()) {
                ("", "") => format!("-{switch}"),
                ("", text) => format!("-{switch}={text}"),
                (key, text) => format!("{key}={text}"),
            };
            let element = ELEMENTS.iter().find(|(known, _)| *known == word).map(|(_, element)| *element);
            let number = text.parse::<u64>().unwrap_or(0);
            let kib = if switch == "m" && number < 1 << 20 { number << 10 } else { number >> 10 };
            element.is_some_and(|element| all.contains(element))
                // Buses are called by the names of their controllers, chardevs by those of their devices.
                || key == "bus"
                || text.starts_with("chardev:")
                // Slots are numbers of base 16, with and without saying so.
                || key == "addr" && all.contains(&format!("'0x{:0>2}'", text.trim_end_matches(".0").trim_start_matches("0x")))
                // A path is absolute now; a path in sysfs is the device.
                || text.rsplit(['/', ':']).next().is_some_and(|last| last.len() > 2 && all.contains(last))
                || text.len() > 2 && all.to_lowercase().contains(&text.to_lowercase())
                || kib > 0 && all.contains(&kib.to_string())
                || text.len() > 1 && !matches!(text.as_str(), "on" | "off") && all.contains(text.as_str())
                || matches!(text.as_str(), "on" | "off") && all.contains(key.trim_start_matches(['+', '-']))
                || text.len() == 1 && all.contains(&format!("{text}'"))
        };
        let lost: Vec<Setting> = lost(&before, &after, &told).into_iter().filter(|setting| !there(setting)).collect();
        if !lost.is_empty() {
            faults.push(format!("{name}: {lost:?}"));
        }
    }
    assert!(rounds >= 40, "{rounds}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let meant: Vec<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
    assert_eq!(refused, meant);
}

/// The numbers of descriptors are another each time.
fn without_numbers(words: Vec<String>) -> Vec<String> {
    let mut sets: Vec<String> = Vec::new();
    let mut out: Vec<String> = Vec::new();
    for word in words {
        let adds = out.last().is_some_and(|w| w == "-add-fd");
        let mut text = String::new();
        let mut rest = word.as_str();
        while let Some(at) = rest.find("/dev/fdset/").filter(|_| !adds) {
            let number: String = rest[at + 11..].chars().take_while(char::is_ascii_digit).collect();
            let place = sets.iter().position(|s| *s == number).unwrap_or_else(|| {
                sets.push(number.clone());
                sets.len() - 1
            });
            text.push_str(&format!("{}/dev/fdset/#{place}", &rest[..at]));
            rest = &rest[at + 11 + number.len()..];
        }
        text.push_str(rest);
        out.push(if adds { String::new() } else { without_fds(&text) });
    }
    out
}

/// `fd=12` and `"fds":"12:13"` with one number for all.
fn without_fds(word: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    let keys = ["\"fd\":\"", "\"fds\":\"", "\"vhostfd\":\"", "\"vhostfds\":\"", "\"str\":\"", "fd=", "fds="];
    loop {
        let next = keys.iter().filter_map(|key| rest.find(key).map(|at| at + key.len())).min();
        let Some(at) = next else { break };
        out.push_str(&rest[..at]);
        let numbers: String = rest[at..].chars().take_while(|c| c.is_ascii_digit() || *c == ':').collect();
        out.push_str(&"N".repeat(numbers.split(':').filter(|n| !n.is_empty()).count()));
        rest = &rest[at + numbers.len()..];
    }
    out + rest
}

/// The cases that do not come back byte for byte, each with the reason.
const NOT_EQUAL: &str = include_str!("import/not-equal.txt");

#[test]
fn command_lines_of_libvirt_come_back_byte_for_byte() {
    let Some((root, list)) = common::conformance() else { return };
    come_back(&root, &list, Release::OLDEST, &[NOT_EQUAL]);
}

fn come_back(root: &Path, list: &[Value], release: Release, tables: &[&str]) {
    let cases: Vec<&Value> = list.iter().filter(|case| case["expect"] == "argv").collect();
    let reasons: BTreeMap<&str, &str> =
        tables.iter().flat_map(|table| table.lines()).filter_map(|line| line.split_once('\t')).collect();
    let half = cases.len() / 2;
    let found = std::thread::scope(|scope| {
        let other = scope.spawn(|| differences(root, release, &cases[..half]));
        let mut found = differences(root, release, &cases[half..]);
        found.extend(other.join().expect("no panic"));
        found
    });
    let different: BTreeSet<&str> =
        found.iter().filter(|(_, fault)| fault.is_empty()).map(|(id, _)| id.as_str()).collect();
    let silent: Vec<String> = found.iter().filter(|(_, fault)| !fault.is_empty()).map(|f| format!("{f:?}")).collect();
    assert!(silent.is_empty(), "told nowhere:\n{}", silent.join("\n"));
    let known: BTreeSet<&str> = reasons.keys().copied().collect();
    let new: Vec<_> = different.difference(&known).collect();
    let fine: Vec<_> = known.difference(&different).collect();
    assert!(
        new.is_empty() && fine.is_empty(),
        "not equal, and not in not-equal.txt: {new:?}\nequal, and there: {fine:?}"
    );
    assert!(different.len() * 20 <= cases.len(), "{} of {}", different.len(), cases.len());
}

/// The cases that do not come back equal, and what is lost in silence.
fn differences(root: &Path, release: Release, cases: &[&Value]) -> Vec<(String, Vec<Setting>)> {
    let mut all_caps: BTreeMap<String, Capabilities> = BTreeMap::new();
    let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
    let shared = Shared { quiet: true, ..Shared::default() };
    let mut out = Vec::new();
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_string();
        let caps = all_caps
            .entry(text("caps"))
            .or_insert_with(|| inputs::read_caps(&root.join(text("caps")), &shared).expect("capabilities"));
        let host = hosts
            .entry(text("host"))
            .or_insert_with(|| inputs::read_host(&root.join(text("host")), &shared).expect("host facts"));
        let (caps, mut host): (&Capabilities, Host) = (caps, host.clone());
        for (key, value) in case["env"].as_object().into_iter().flatten() {
            host.environment.push((key.clone(), value.as_str().unwrap_or_default().to_string()));
        }
        let incoming = case["incoming"].as_str().map(str::to_string);
        let stage = Options { target: Target::Libvirt(release), incoming, ..Options::default() };
        let compiled = |xml: &[u8]| compile(xml, &host, caps, &stage, Until::Planned).plan;
        let line = std::fs::read_to_string(root.join(text("expected_args"))).expect("a command line");
        let around = import::Around { name: "line", base: "/", environment: &[] };
        let words = import::command_lines(line.as_bytes(), &around, &mut Diagnostics::new());
        let words = &words.first().expect("a line").arguments;
        let before: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
        let round = round(&line, &text("id"), &compiled);
        let Some(plan) = round.plan else {
            out.push((text("id"), Vec::new()));
            continue;
        };
        let after = tokens(plan.qemu().expect("a QEMU"));
        let lost = lost(&before, &after, &round.told);
        if !lost.is_empty() {
            out.push((text("id"), lost));
        } else if without_numbers(before) != without_numbers(after) {
            out.push((text("id"), Vec::new()));
        }
    }
    out
}
