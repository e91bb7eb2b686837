//! Domains as people write them, each started for real: Debian's QEMU, emulated, with the helpers that the
//! Plan asks for; what QEMU then says of itself is held against the Plan. Those that cannot start here say why.

mod compare;
mod peers;
mod place;

use crate::common;
use compare::{Count, Monitor};
use place::Place;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use virtc::caps::profiles;
use virtc::compile::{Until, compile};
use virtc::diag::Diagnostics;
use virtc::host::{Host, InstanceMode};
use virtc::plan::{Instance, Plan};
use virtc::run::qmp::Qmp;
use virtc::run::registry::Registry;
use virtc::stage::Options;
use virtc::vocab::Arch;

/// Domains that do not start with Debian 12's QEMU on a plain host: what virtc or QEMU says, and the file whose
/// presence would change that.
const CANNOT: [(&str, &str, &str); 9] = [
    ("doorbell", "Failed to connect to", "/usr/bin/ivshmem-server"),
    ("gaming", "Could not open '/dev/input/by-id/usb-mouse-", "/dev/input/by-id/usb-mouse-event-mouse"),
    ("headless-gl", "virtio-gpu-gl-device", "/dev/dri/renderD128"),
    ("lun", "Could not open '/dev/sdz'", "/dev/sdz"),
    ("remote-desktop", "/usr/bin/qemu-rdp is not on this host", "/usr/bin/qemu-rdp"),
    ("render", "egl: no drm render node available", "/dev/dri/renderD128"),
    ("rust-share", "/usr/libexec/virtiofsd is not on this host", "/usr/libexec/virtiofsd"),
    ("vhost-gpu", "the host facts list no vhost-user-gpu", "/usr/lib/qemu/vhost-user-gpu"),
    ("vsock", "vhost-vsock: failed to open vhost device", "/dev/vhost-vsock"),
];

/// Domains that only root can start: they make network interfaces.
const NEEDS_NETWORKS: [&str; 1] = ["router"];

/// Domains whose helpers root can only start where it may change the system: they shut themselves in, or talk to devices.
const NEEDS_RIGHTS: [&str; 2] = ["lun", "nas"];

/// The programs that the domains need: program, Debian package.
const PROGRAMS: [(&str, &str); 9] = [
    ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
    ("/usr/bin/qemu-system-aarch64", "qemu-system-arm"),
    ("/usr/bin/qemu-img", "qemu-utils"),
    ("/usr/bin/swtpm", "swtpm"),
    ("/usr/bin/passt", "passt"),
    ("/usr/bin/dbus-daemon", "dbus-daemon"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"),
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "qemu-efi-aarch64"),
];

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/domains");
    let entries = std::fs::read_dir(folder).expect("the folder").map(|e| e.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "xml")).collect();
    files.sort();
    files
}

fn stem(file: &Path) -> &str {
    file.file_stem().and_then(|n| n.to_str()).expect("a name")
}

/// The Plan of a place, as `virtc run` makes it.
fn plan(place: &Place) -> Plan {
    let text = std::fs::read_to_string(place.path("host.kdl")).expect("the host facts");
    let mut diags = Diagnostics::new();
    let mut host = virtc::host::read(&text, &mut diags);
    assert!(diags.is_empty(), "the host facts are read");
    host.instance.mode = InstanceMode::Session;
    let arch = if place.text.contains("arch='aarch64'") { Arch::Aarch64 } else { Arch::X86_64 };
    let caps = common::caps_here(arch);
    let compiled = compile(place.text.as_bytes(), &host, &caps, &Options::default(), Until::Planned);
    let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    compiled.plan.unwrap_or_else(|| panic!("{}: {faults:?}", place.name))
}

/// Starts one domain, compares, ends it. What is wrong, and how much was compared.
fn try_one(file: &Path) -> (Vec<String>, Count) {
    let mut faults = Vec::new();
    let place = Place::of(file);
    let (started, said) = place.start();
    if let Some((_, why, _)) = CANNOT.iter().find(|(name, ..)| *name == place.name) {
        if started || !said.contains(why) {
            faults.push(format!("should not start with '{why}': {said}"));
        }
        return (faults, Count::default());
    }
    if !started {
        return (vec![said], Count::default());
    }
    let plan = plan(&place);
    let control = Registry::at(place.registry(), Instance::Session).control(&place.name);
    let mut qmp: Monitor = Qmp::connect(&control, Duration::from_secs(60)).expect("the monitor");
    let status = qmp.execute("query-status", Value::Null).unwrap_or_default();
    if status["status"] != "running" {
        faults.push(format!("is not running: {status}"));
    }
    let count = compare::compare(&plan, &mut qmp, &mut faults);
    let _ = qmp.execute("quit", Value::Null);
    let until = Instant::now() + Duration::from_secs(20);
    while control.exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    let left: Vec<_> = ["run", "state/virtc"].iter().flat_map(|d| left_in(&place.path(d), &place.name)).collect();
    if !left.is_empty() {
        faults.push(format!("left behind: {left:?}"));
    }
    (faults, count)
}

/// What a machine leaves in its directories, apart from what survives it.
fn left_in(base: &str, name: &str) -> Vec<String> {
    let folder = Path::new(base).join(name);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|e| e.path()).filter(|p| !p.ends_with("tpm2") && !p.ends_with("nvram"));
    let mut left = Vec::new();
    for path in names {
        // A directory of the state stays; it must be empty.
        match std::fs::read_dir(&path) {
            Ok(inner) => left.extend(inner.flatten().map(|e| e.path().display().to_string())),
            Err(_) => left.push(path.display().to_string()),
        }
    }
    left
}

fn programs_are_here() -> bool {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(p, _)| !Path::new(p).exists()).map(|(_, package)| *package).collect();
    common::given(missing.is_empty(), &format!("programs of the domains (apt-get install {})", missing.join(" ")))
}

#[test]
fn every_domain_starts_and_is_what_the_plan_says() {
    if !programs_are_here() {
        return;
    }
    let networks = common::makes_networks();
    let only = std::env::var("VIRTC_DOMAIN").ok();
    let wanted = |file: &PathBuf| {
        let name = stem(file);
        let changed = CANNOT.iter().find(|(n, _, path)| *n == name && Path::new(path).exists());
        if let Some((_, _, path)) = changed {
            common::skip(&format!("a host without {path} (the refusal of {name})"));
        }
        let makes = NEEDS_NETWORKS.contains(&name);
        let bare = NEEDS_RIGHTS.contains(&name) && common::is_bare_root();
        let may = || {
            (!makes || common::given(networks, "root that may make network interfaces"))
                && common::given(!bare, "root that may change the system")
        };
        changed.is_none() && only.as_ref().is_none_or(|o| o == name) && may()
    };
    let files: Vec<PathBuf> = files().into_iter().filter(wanted).collect();
    let (next, report) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |n| n.get().min(4)) {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begin = Instant::now();
                    let (faults, count) = try_one(file);
                    println!("{}: {count:?}, {:.1} s", stem(file), begin.elapsed().as_secs_f32());
                    let faults = faults.into_iter().map(|f| format!("{}: {f}", stem(file)));
                    report.lock().expect("no panic").extend(faults);
                }
            });
        }
    });
    let report = report.into_inner().expect("no panic");
    assert!(report.is_empty(), "{}", report.join("\n"));
}

#[test]
fn a_spice_port_that_is_taken_moves() {
    if !programs_are_here() {
        return;
    }
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let place = Place::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/domains/workstation.xml"));
    let host = std::fs::read_to_string(place.path("host.kdl")).expect("the host facts");
    std::fs::write(place.path("host.kdl"), format!("{host}ports spice={port}\n")).expect("written");
    let [file, host] = ["vm.xml", "host.kdl"].map(|name| place.path(name));
    // Not in a namespace of its own: there the port would be free.
    let out =
        place.virtc(&["run", "-d", &file, "--connect", "qemu:///session", "--host", &host]).output().expect("virtc");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    let control = Registry::at(place.registry(), Instance::Session).control(&place.name);
    let mut qmp: Monitor = Qmp::connect(&control, Duration::from_secs(60)).expect("the monitor");
    let spice = qmp.execute("query-spice", Value::Null).expect("query-spice");
    assert!(spice["port"].as_u64().is_some_and(|p| p > u64::from(port)), "{spice}");
}

#[test]
fn every_domain_says_what_it_shows() {
    let files = files();
    let names: BTreeSet<&str> = files.iter().map(|f| stem(f)).collect();
    for (name, ..) in CANNOT {
        assert!(names.contains(name), "{name} of the table is no domain");
    }
    for file in &files {
        let text = std::fs::read_to_string(file).expect("the domain");
        assert!(
            text.starts_with("<!-- ") && text.contains(&format!("<name>{}</name>", stem(file))),
            "{}",
            file.display()
        );
    }
    assert!(files.len() - CANNOT.len() >= 30, "{} domains", files.len());
}

/// What `virtc normalize` prints, it takes for normal. (A domain that needs host facts of its own is left out.)
#[test]
fn every_normal_form_is_its_own() {
    let normal = |text: &str| {
        let arch = if text.contains("arch='aarch64'") { Arch::Aarch64 } else { Arch::X86_64 };
        let caps = profiles::default(arch).expect("an embedded profile");
        let compiled = compile(text.as_bytes(), &Host::default(), &caps, &Options::default(), Until::Resolved);
        let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
        let domain = compiled.domain.filter(|_| !compiled.diags.has_errors()).ok_or(faults)?;
        Ok::<String, Vec<String>>(virtc::domain::print(&domain))
    };
    let mut count = 0;
    for file in files() {
        let Ok(first) = normal(&std::fs::read_to_string(&file).expect("a domain")) else { continue };
        assert_eq!(normal(&first).as_ref(), Ok(&first), "{}", stem(&file));
        count += 1;
    }
    assert!(count > 30, "{count} domains");
}
