//! What an import makes of a command line is the same machine for QEMU: the one that was given and the one that comes back are both
//! started, stopped before their first instruction, and asked what they have.

use super::common;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use virtc::compile::{Until, compile};
use virtc::diag::Diagnostics;
use virtc::emit::argv::tokens;
use virtc::host::Host;
use virtc::import;
use virtc::run::qmp::Qmp;
use virtc::stage::Options;
use virtc::vocab::Arch;

/// Switches that are about the process or this host, and whether they have a value. Both command lines lose them.
const OF_THE_PROCESS: &[(&str, bool)] = &[
    ("enable-kvm", false),
    ("accel", true),
    ("daemonize", false),
    ("display", true),
    ("monitor", true),
    ("mon", true),
    ("name", true),
    ("sandbox", true),
    ("S", false),
];

/// What a machine has that QEMU starts.
#[derive(Debug, Default, PartialEq)]
struct Machine {
    /// Slot, function, vendor and device of what is on the first PCI bus.
    pci: BTreeSet<String>,
    /// File, format, whether it is written, whether it can be taken out.
    blocks: Vec<String>,
    chardevs: Vec<String>,
    /// How many devices of each type.
    devices: BTreeMap<String, usize>,
    cpus: usize,
    memory: u64,
}

/// A QEMU that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The words that describe the machine.
fn tamed(words: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    let serial = words.iter().any(|word| word.trim_start_matches('-') == "serial");
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let switch = word.trim_start_matches('-');
        if let Some((_, value)) = OF_THE_PROCESS.iter().find(|(name, _)| *name == switch && word.starts_with('-')) {
            words.next_if(|_| *value);
            continue;
        }
        match switch {
            // The terminal is the test's; nobody reads from it.
            "nographic" if serial => out.extend(["-parallel", "none"].map(str::to_string)),
            "nographic" => out.extend(["-serial", "null", "-parallel", "none"].map(str::to_string)),
            "chardev" if words.peek().is_some_and(|v| v.contains("charmonitor")) => drop(words.next()),
            "cpu" => {
                out.push(word.clone());
                out.extend(
                    words.next().map(|v| {
                        v.replacen("host", "max", 1).replace("migratable=on,", "").replace(",migratable=on", "")
                    }),
                );
            }
            "machine" | "M" => {
                let value = words.next().map(|v| v.replace(",accel=kvm", "")).unwrap_or_default();
                out.extend([word.clone(), value]);
            }
            "serial" => {
                let value = words.next().cloned().unwrap_or_default();
                out.extend([word.clone(), if value == "mon:stdio" { "null".to_string() } else { value }]);
            }
            _ => out.push(word.clone()),
        }
    }
    out
}

fn started(program: &Path, words: &[String], folder: &Path, name: &str) -> Result<Machine, String> {
    let socket = folder.join(format!("{name}.qmp"));
    let mut command = Command::new(program);
    command.args(tamed(words)).args(["-S", "-accel", "tcg", "-display", "none", "-qmp"]);
    command.arg(format!("unix:{},server=on,wait=off", socket.display()));
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().map_err(|e| e.to_string())?);
    let end = Instant::now() + Duration::from_secs(60);
    let stream = loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            Err(_) if Instant::now() < end && running.0.try_wait().is_ok_and(|status| status.is_none()) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => {
                let _ = running.0.kill();
                let mut text = String::new();
                if let Some(mut stderr) = running.0.stderr.take() {
                    let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
                }
                return Err(format!("{error}\n{text}\n{}", tamed(words).join(" ")));
            }
        }
    };
    let mut qmp = Qmp::new(stream, Duration::from_secs(30)).map_err(|e| {
        let mut text = String::new();
        let _ = running.0.kill();
        let _ = running.0.stderr.take().map(|mut stderr| std::io::Read::read_to_string(&mut stderr, &mut text));
        format!("{e:?}: {text}{}", tamed(words).join(" "))
    })?;
    let mut ask = |command: &str, arguments: Value| qmp.execute(command, arguments).unwrap_or_default();
    let mut machine = Machine::default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    for device in ask("query-pci", json!({}))[0]["devices"].as_array().into_iter().flatten() {
        let (id, number) = (&device["id"], |key: &str| device[key].as_u64().unwrap_or(0));
        machine.pci.insert(format!("{:02x}.{} {}:{}", number("slot"), number("function"), id["vendor"], id["device"]));
    }
    for block in ask("query-block", json!({})).as_array().into_iter().flatten() {
        let inserted = &block["inserted"];
        if inserted.is_null() {
            continue;
        }
        let image = image(&inserted["image"], folder);
        machine.blocks.push(format!("{image} ro={} removable={}", inserted["ro"], block["removable"]));
    }
    for chardev in ask("query-chardev", json!({})).as_array().into_iter().flatten() {
        let file = text(&chardev["filename"]);
        // Windows of QEMU itself, the terminal, and what the test talks through.
        if !["vc", "stdio", "disconnected:unix:", "unix:", "null"].iter().any(|kind| file.starts_with(kind)) {
            machine.chardevs.push(file);
        }
    }
    for path in ["/machine/peripheral", "/machine/peripheral-anon", "/machine/unattached"] {
        for child in ask("qom-list", json!({ "path": path })).as_array().into_iter().flatten() {
            if let Some(kind) = text(&child["type"]).strip_prefix("child<").and_then(|k| k.strip_suffix('>')) {
                // The same device, which says by its name what the other says by a property.
                let kind = kind.trim_end_matches("-non-transitional");
                *machine.devices.entry(kind.to_string()).or_default() += 1;
            }
        }
    }
    machine.cpus = ask("query-cpus-fast", json!({})).as_array().map_or(0, Vec::len);
    machine.memory = ask("query-memory-size-summary", json!({}))["base-memory"].as_u64().unwrap_or(0);
    machine.blocks.sort();
    machine.chardevs.sort();
    let _ = qmp.execute("quit", json!({}));
    Ok(machine)
}

/// The file of an image and its format; of one that is thrown away, those of what is below it.
fn image(image: &Value, folder: &Path) -> String {
    if let Some(below) = image.get("backing-image") {
        return format!("thrown away: {}", self::image(below, folder));
    }
    let file = image["filename"].as_str().unwrap_or_default();
    let file = file
        .strip_prefix("json:")
        .and_then(|j| serde_json::from_str::<Value>(j).ok())
        .map_or_else(|| file.to_string(), |json| json["file"]["filename"].as_str().unwrap_or_default().to_string());
    // Newer ones have no node for `raw` above that of the file.
    let format = image["format"].as_str().map_or("", |format| if format == "file" { "raw" } else { format });
    format!("{} {format}", folder.join(file).display())
}

/// What QEMU adds unless `-nodefaults` is given, and what the import tells of.
const DEFAULTS: &[&str] = &["isa-parallel", "isa-serial", "floppy", "ide-cd", "sd-card", "vmmouse"];

/// Disks that `-hda` adds stand below their bus, where the test does not look: what is in them is compared.
const BELOW_BUSES: &[&str] = &["scsi-hd", "scsi-cd", "nvme-ns"];

/// The device one slot further.
fn next_slot(device: &str) -> String {
    let (slot, rest) = device.split_once('.').expect("a slot");
    format!("{:02x}.{rest}", u32::from_str_radix(slot, 16).expect("a number") + 1)
}

/// Differences between what was given and what came back. Where PCI devices `moved`, which is told, each is one slot further.
fn differences(given: &Machine, back: &Machine, moved: bool) -> Vec<String> {
    let mut out = Vec::new();
    let expected: BTreeSet<String> =
        if moved { given.pci.iter().map(|device| next_slot(device)).collect() } else { given.pci.clone() };
    let mut compare = |what: &str, a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| {
        let (a, b) = (format!("{a:?}"), format!("{b:?}"));
        if a != b {
            out.push(format!("{what}: {a}, not {b}"));
        }
    };
    compare("PCI", &back.pci, &expected);
    compare("blocks", &back.blocks, &given.blocks);
    compare("character devices", &back.chardevs, &given.chardevs);
    compare("processors", &back.cpus, &given.cpus);
    compare("memory", &back.memory, &given.memory);
    for kind in given.devices.keys().chain(back.devices.keys()).collect::<BTreeSet<_>>() {
        let [before, after] = [given, back].map(|m| m.devices.get(kind).copied().unwrap_or(0));
        let default =
            DEFAULTS.contains(&kind.as_str()) && after < before || BELOW_BUSES.contains(&kind.as_str()) && before == 0;
        if before != after && !default && !kind.ends_with("-memory-region") && kind != "memory-region" {
            out.push(format!("{kind}: {after}, not {before}"));
        }
    }
    out
}

fn scripts() -> Vec<PathBuf> {
    let folder = common::root().join("tests/import/started");
    let mut out: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder of the project").flatten().map(|entry| entry.path()).collect();
    out.sort();
    out
}

/// One script: what is different, or why it could not be seen.
fn tried(script: &Path) -> Result<Vec<String>, String> {
    let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = std::env::temp_dir().join(format!("virtc-words-{}-{name}", std::process::id()));
    std::fs::create_dir_all(folder.join("share")).expect("a folder");
    let base = folder.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(script).expect("a script").replace("/srv/vm", &base);
    for image in text.split(['=', ',', ' ', '"', '\n']).filter(|word| word.ends_with(".img") || word.ends_with(".iso"))
    {
        let file = std::fs::File::create(folder.join(image)).expect("an image");
        file.set_len(4 << 20).expect("its size");
    }
    let around = import::Around { name: "start.sh", base: &base, environment: &[] };
    let mut diags = Diagnostics::new();
    let lines = import::command_lines(text.as_bytes(), &around, &mut diags);
    let [line] = lines.as_slice() else { return Err(format!("{name}: {} command lines", lines.len())) };
    let qemu = line.program.text.rsplit('/').next().unwrap_or_default();
    let of = qemu.strip_prefix("qemu-system-").unwrap_or("x86_64");
    let arch = Arch::ALL.iter().copied().find(|arch| arch.qemu_name() == of).unwrap_or(Arch::X86_64);
    let Some(program) = common::tool(&format!("qemu-system-{}", arch.qemu_name()), "qemu-system") else {
        return Ok(Vec::new());
    };
    let caps = common::caps_here(arch);
    let compiled = |xml: &[u8]| compile(xml, &Host::default(), &caps, &Options::default(), Until::Planned);
    let imported = import::domain(line, &base, &|xml| compiled(xml).plan);
    let back = compiled(imported.xml.as_bytes());
    let moved = imported.notes.iter().any(|d| d.message.contains("one slot further"));
    let faults: Vec<&str> = back.diags.iter().map(|d| d.message.as_str()).collect();
    let plan = back.plan.ok_or_else(|| format!("{name}: {faults:?}\n{}", imported.xml))?;
    let words: Vec<String> = line.arguments.iter().map(|word| word.text.clone()).collect();
    let given = started(&program, &words, &folder, "given").map_err(|e| format!("{name}, as given: {e}"))?;
    let mut words = tokens(plan.qemu().expect("a QEMU"));
    // Where writes that are thrown away go is made by the unit.
    let overlay = "/var/lib/virtc/guest/transient/";
    words.iter_mut().for_each(|word| *word = word.replace(overlay, &format!("{base}/")));
    if words.iter().any(|word| word.contains(&format!("{base}/sd")) && word.contains(".qcow2")) {
        overlays(&words, &folder);
    }
    let back = started(&program, &words, &folder, "back").map_err(|e| format!("{name}, as it came back: {e}"))?;
    let out = differences(&given, &back, moved).into_iter().map(|d| format!("{name}: {d}")).collect();
    let _ = std::fs::remove_dir_all(&folder);
    Ok(out)
}

/// Makes the overlays that a command line names.
fn overlays(words: &[String], folder: &Path) {
    for word in words {
        let Ok(node) = serde_json::from_str::<Value>(word) else { continue };
        let Some(path) =
            node["filename"].as_str().filter(|p| p.ends_with(".qcow2") && Path::new(p).starts_with(folder))
        else {
            continue;
        };
        let made = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", path, "4M"]).status();
        assert!(made.is_ok_and(|status| status.success()), "{path}");
    }
}

#[test]
fn command_lines_come_back_as_the_same_machine() {
    if !common::has_qemu() || common::tool("qemu-img", "qemu-utils").is_none() {
        return;
    }
    let mut faults = Vec::new();
    let all = scripts();
    assert!(all.len() >= 14, "{}", all.len());
    for script in all {
        match tried(&script) {
            Ok(differences) => faults.extend(differences),
            Err(fault) => faults.push(fault),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
