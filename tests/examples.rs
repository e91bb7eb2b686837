//! Every example is started for real: Debian's QEMU, emulated, from the standalone command line; what QEMU
//! then says of itself is held against the Plan.

use crate::common::{caps_here, has_qemu};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use virtc::compile::{Until, compile};
use virtc::emit::argv::tokens;
use virtc::host::Host;
use virtc::plan::{Arg, ArgValue, Form, Plan, Props};
use virtc::run::qmp::Qmp;
use virtc::stage::Options;
use virtc::vocab::Arch;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of examples")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "xml"))
        .collect();
    files.sort();
    files
}

/// The example as it can run anywhere: emulated, its files below `dir`, its NICs without a bridge.
fn portable(text: &str, dir: &Path) -> String {
    text.replace("<domain type='kvm'", "<domain type='qemu'")
        .replace("/var/tmp/virtc-examples", dir.to_str().expect("UTF-8"))
        .replace("<interface type='network'>", "<interface type='user'>")
        .replace("<interface type='bridge'>", "<interface type='user'>")
        .replace("<source network='default'/>", "")
        .replace("<source bridge='br0'/>", "")
}

fn plan_of(text: &str, name: &Path) -> Plan {
    let compiled =
        compile(text.as_bytes(), &Host::default(), &caps_here(Arch::X86_64), &Options::default(), Until::Planned);
    let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    compiled.plan.unwrap_or_else(|| panic!("{}: {faults:?}", name.display()))
}

/// QEMU, killed when the test is over.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(plan: &Plan, dir: &Path, kernel: &Path) -> Running {
        for directory in &plan.directories {
            std::fs::create_dir_all(moved(&directory.path, dir)).expect("the directory can be made");
        }
        let process = plan.qemu().expect("a QEMU process");
        let argv: Vec<String> = tokens(process)
            .into_iter()
            .map(|t| {
                moved(&t, dir).replace(&dir.join("guest-kernel").display().to_string(), &kernel.display().to_string())
            })
            .collect();
        let log = dir.join("qemu.log");
        let output = std::fs::File::create(&log).expect("the log can be written");
        let child = Command::new(&process.program)
            .args(&argv)
            .envs(process.env.iter().map(|(k, v)| (&**k, v.as_str())))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("QEMU starts");
        Running { child, log }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn monitor(&mut self, socket: &Path) -> Qmp<std::os::unix::net::UnixStream> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(qmp) = Qmp::connect(socket, Duration::from_secs(60)) {
                return qmp;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("QEMU ended with {status}:\n{}", self.said());
            }
            assert!(Instant::now() < until, "no monitor at {}:\n{}", socket.display(), self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The run-time and state directories of the domain, moved below the test's own folder.
fn moved(text: &str, dir: &Path) -> String {
    let dir = dir.to_str().expect("UTF-8");
    text.replace("/run/virtc/", &format!("{dir}/run/")).replace("/var/lib/virtc/", &format!("{dir}/lib/"))
}

fn props<'a>(plan: &'a Plan, switch: &'a str) -> impl Iterator<Item = &'a Props> {
    plan.qemu().into_iter().flat_map(|q| &q.args).filter_map(move |arg| match arg {
        Arg { switch: s, value: ArgValue::Props(props, Form::Json | Form::Options), .. } if s == switch => Some(props),
        _ => None,
    })
}

fn texts<'a>(list: &'a Value, key: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array().into_iter().flatten().filter_map(move |v| v[key].as_str())
}

/// Every device of a PCI bus, and those behind its bridges: id in QEMU, slot, function.
fn pci_devices(buses: &Value, found: &mut Vec<(String, u64, u64)>) {
    for bus in buses.as_array().into_iter().flatten() {
        for device in bus["devices"].as_array().into_iter().flatten() {
            let id = device["qdev_id"].as_str().unwrap_or("").to_string();
            found.push((id, device["slot"].as_u64().unwrap_or(99), device["function"].as_u64().unwrap_or(99)));
            pci_devices(&json!([{ "devices": device["pci_bridge"]["devices"] }]), found);
        }
    }
}

/// Id, slot and function of every device that the Plan puts on a PCI bus.
fn wanted_pci(plan: &Plan) -> Vec<(String, u64, u64)> {
    let number = |hex: &str| u64::from_str_radix(hex.trim_start_matches("0x"), 16).expect("a hexadecimal number");
    let place = |device: &Props| {
        let (id, addr) = (device.text("id")?, device.text("addr")?);
        let (slot, function) = addr.split_once('.').unwrap_or((addr, "0x0"));
        Some((id.to_string(), number(slot), number(function)))
    };
    props(plan, "-device").filter_map(place).collect()
}

/// What QEMU says it has must be what the Plan says it gets.
fn compare(plan: &Plan, qmp: &mut Qmp<std::os::unix::net::UnixStream>) {
    // QEMU lists what is behind a bridge once the firmware has numbered the buses.
    let wanted = wanted_pci(plan);
    let until = Instant::now() + Duration::from_secs(90);
    loop {
        let mut pci = Vec::new();
        pci_devices(&qmp.execute("query-pci", Value::Null).expect("query-pci"), &mut pci);
        let missing: Vec<_> = wanted.iter().filter(|w| !pci.contains(w)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < until, "query-pci has no {missing:?}: {pci:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut ask = |command: &str| qmp.execute(command, Value::Null).unwrap_or_else(|e| panic!("{command}: {e}"));

    let block = ask("query-block");
    let drives: BTreeSet<String> = texts(&block, "qdev").map(str::to_string).collect();
    for device in props(plan, "-device").filter(|d| d.get("drive").is_some()) {
        let id = device.text("id").expect("a disk has an id");
        let known = drives.iter().any(|d| d == id || d.contains(&format!("/{id}/")) || d.ends_with(&format!("/{id}")));
        assert!(known, "query-block has no {id}: {drives:?}");
    }
    let chardevs = ask("query-chardev");
    let labels: BTreeSet<&str> = texts(&chardevs, "label").collect();
    for chardev in props(plan, "-chardev") {
        let id = chardev.text("id").expect("a chardev has an id");
        assert!(labels.contains(id), "query-chardev has no {id}: {labels:?}");
    }
}

fn prepare(dir: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(root.join("examples/prepare")).arg(dir).output().expect("examples/prepare runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    dir.join("guest-kernel")
}

#[test]
fn every_example_runs_and_is_what_the_plan_says() {
    if !has_qemu() {
        return;
    }
    for file in examples() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let kernel = prepare(dir.path());
        let text = portable(&std::fs::read_to_string(&file).expect("the example"), dir.path());
        let plan = plan_of(&text, &file);
        for new in &plan.files {
            if let Some(template) = &new.template {
                let path = moved(&new.path, dir.path());
                std::fs::copy(template, &path).unwrap_or_else(|e| panic!("{template} to {path}: {e}"));
            }
        }
        let mut running = Running::start(&plan, dir.path(), &kernel);
        let socket = moved(&plan.monitor().expect("a monitor").path, dir.path());
        let mut qmp = running.monitor(Path::new(&socket));
        let status = qmp.execute("query-status", Value::Null).expect("query-status");
        assert_eq!(status["status"], "running", "{}: {}", file.display(), running.said());
        compare(&plan, &mut qmp);
        qmp.execute("quit", Value::Null).expect("quit");
        let status = running.child.wait().expect("QEMU ends");
        assert!(status.success(), "{}: {status}\n{}", file.display(), running.said());
    }
}

#[test]
fn examples_compile_as_they_stand() {
    for file in examples() {
        let text = std::fs::read_to_string(&file).expect("the example");
        assert!(text.starts_with("<!-- "), "{} does not say what it shows", file.display());
        plan_of(&text, &file);
    }
}
