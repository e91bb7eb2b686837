//! Control groups: the limits of a machine that no systemd unit sets.
//!
//! By what the host has, the machine gets a scope of systemd's (delegated, so that its threads can have groups of
//! their own), or a group that we make: one in the hierarchy of version 2, or one for each controller of
//! version 1. The values are the lines of `cgroup/v2` and `cgroup/v1` that `virtc build` writes. What cannot be
//! set is told, a line each: a limit that is not in force is no fault of the machine.

use super::devices;
use super::errors::Fault;
use super::journal::{Entry, Journal};
use super::registry::file_name;
use crate::emit::cgroup::{Knob, Version, table};
use crate::emit::limits as scale;
use crate::plan::{Instance, Plan};
use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A place in which a machine's processes and threads are limited.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    /// The controllers that it has.
    controllers: BTreeSet<String>,
}

/// Where the machine is put.
#[derive(Debug)]
enum Home {
    /// A scope that systemd makes; the words that go before the command.
    Scope { words: Vec<String>, mount: PathBuf },
    /// Groups that we made.
    Own(Vec<Place>),
}

/// The groups of one machine.
#[derive(Debug)]
pub(super) struct Groups {
    version: Version,
    knobs: Vec<Knob>,
    home: Home,
}

/// A hierarchy of control groups, as it is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    version: Version,
    mount: PathBuf,
    /// Our own group in it.
    own: PathBuf,
    controllers: BTreeSet<String>,
}

/// The controller of device rules, in version 1 alone.
const DEVICES: &str = "devices";

/// The controller to which a file belongs: `cpu` for `cpu.max`.
fn controller(file: &str) -> &str {
    file.split('.').next().unwrap_or(file)
}

/// Makes the groups that the plan asks for; none when it asks for none or the host has none for us.
pub(super) fn make(plan: &Plan, journal: &mut Journal, notes: &mut Vec<String>) -> Result<Option<Groups>, Fault> {
    let root = rustix::process::geteuid().is_root();
    let has_limits = !table(plan, Version::Two).is_empty();
    // As in the units: a machine of the session has no device rules.
    let has_rules = root && plan.instance == Instance::System;
    if !has_limits && !has_rules {
        return Ok(None);
    }
    let hierarchies = hierarchies();
    let limits =
        |h: &&Hierarchy| ["cpu", "memory", "io", "blkio", "cpuset", "pids"].iter().any(|c| h.controllers.contains(*c));
    let version = match hierarchies.iter().find(limits) {
        Some(hierarchy) => hierarchy.version,
        None => {
            if has_limits {
                let what = "no limit of CPU time, memory and block I/O is in force: this host has no control groups";
                notes.push(what.into());
            }
            return Ok(None);
        }
    };
    let knobs = knobs(plan, version);
    let two = hierarchies.iter().find(|h| h.version == Version::Two && version == Version::Two);
    if let Some(hierarchy) = two
        && let Some(words) = scope(plan, &knobs, root)
    {
        let home = Home::Scope { words, mount: hierarchy.mount.clone() };
        return Ok(Some(Groups { version, knobs, home }));
    }
    let mut wanted: BTreeSet<&str> = knobs.iter().map(|k| controller(&k.file)).collect();
    if has_rules && version == Version::One {
        wanted.insert(DEVICES);
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut places = Vec::new();
    for hierarchy in hierarchies.iter().filter(|h| h.version == version) {
        if version == Version::One && !wanted.iter().any(|c| hierarchy.controllers.contains(*c)) {
            continue;
        }
        match place(hierarchy, &plan.name, &wanted, root, journal)? {
            Ok(place) => places.push(place),
            Err(why) => {
                // Nobody has asked for device rules.
                let asked = wanted.iter().filter(|c| hierarchy.controllers.contains(**c) && **c != DEVICES);
                let what = Vec::from_iter(asked.copied());
                if !what.is_empty() {
                    notes.push(format!("limits of {} are not in force: {why}", what.join(", ")));
                }
            }
        }
    }
    if let Some(place) = places.iter().find(|p| has_rules && p.controllers.contains(DEVICES))
        && let Err(error) = allow_devices(&place.dir, &devices::lines(plan))
    {
        notes.push(format!("device rules are not in force: {}: {error}", place.dir.display()));
    }
    let groups = Groups { version, knobs, home: Home::Own(places) };
    if let Home::Own(places) = &groups.home {
        for knob in groups.knobs.iter().filter(|k| k.thread.is_empty()) {
            groups.set(places, "", knob, notes);
        }
    }
    Ok(Some(groups))
}

/// Forbids a group of version 1 all devices, and allows it these.
fn allow_devices(dir: &Path, lines: &[String]) -> std::io::Result<()> {
    std::fs::write(dir.join("devices.deny"), "a")?;
    for line in lines {
        // Refused where the group above does not have it, and then we had not, either.
        let _ = std::fs::write(dir.join("devices.allow"), line);
    }
    Ok(())
}

/// The values, with the CPUs of the whole machine wide enough for every thread.
fn knobs(plan: &Plan, version: Version) -> Vec<Knob> {
    let mut knobs = table(plan, version);
    let is_whole = |k: &Knob| k.thread.is_empty() && k.file == "cpuset.cpus";
    if !plan.limits.pins.is_empty() {
        knobs.retain(|k| !is_whole(k));
        if let Some(cpus) = scale::all_cpus(&plan.limits) {
            let value = cpus.to_string();
            knobs.insert(0, Knob { thread: String::new(), file: "cpuset.cpus".to_string(), value });
        }
    }
    knobs
}

/// The hierarchies that are mounted here, by what the kernel tells about this process.
fn hierarchies() -> Vec<Hierarchy> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut found = parse(&mounts, &own);
    for hierarchy in found.iter_mut().filter(|h| h.version == Version::Two) {
        let text = std::fs::read_to_string(hierarchy.mount.join("cgroup.controllers")).unwrap_or_default();
        hierarchy.controllers = text.split_whitespace().map(str::to_string).collect();
    }
    found
}

/// Reads mountinfo (fields 4 and 5, root and mount point; after the `-` type, source and options) and the list of
/// groups (`NUMBER:CONTROLLERS:PATH`).
fn parse(mounts: &str, own: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let mut fields = before.split(' ').skip(3);
        let (Some(root), Some(mount)) = (fields.next(), fields.next()) else { continue };
        let mut rest = after.split(' ');
        let (kind, options) = (rest.next().unwrap_or_default(), rest.nth(1).unwrap_or_default());
        let version = match kind {
            "cgroup2" => Version::Two,
            "cgroup" => Version::One,
            _ => continue,
        };
        const KNOWN: &[&str] = &["cpu", "cpuacct", "cpuset", "memory", "blkio", "devices", "freezer", "pids"];
        let controllers: BTreeSet<String> =
            options.split(',').filter(|o| KNOWN.contains(o)).map(str::to_string).collect();
        let path = own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (names, path) = rest.split_once(':')?;
            let fits = match version {
                Version::Two => names.is_empty(),
                Version::One => names.split(',').any(|n| controllers.contains(n)),
            };
            fits.then_some(path)
        });
        let inside = path.and_then(|p| p.strip_prefix(root.trim_end_matches('/'))).unwrap_or("/");
        let mount = PathBuf::from(mount);
        if found.iter().any(|h| h.version == version && h.controllers == controllers) {
            continue;
        }
        found.push(Hierarchy { version, own: mount.join(inside.trim_start_matches('/')), mount, controllers });
    }
    found
}

/// The command that makes a scope, when a systemd is there that makes one for us.
fn scope(plan: &Plan, knobs: &[Knob], root: bool) -> Option<Vec<String>> {
    let there = if root {
        Path::new("/run/systemd/system").is_dir()
    } else {
        std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|d| Path::new(&d).join("systemd/private").exists())
    };
    let program = ["/usr/bin/systemd-run", "/bin/systemd-run"].into_iter().find(|p| Path::new(p).exists())?;
    if !there {
        return None;
    }
    let mut words: Vec<String> = vec![program.to_string()];
    if !root {
        words.push("--user".to_string());
    }
    words.extend(["--scope", "--quiet", "--collect", "--property=Delegate=yes"].map(str::to_string));
    // The unit's name holds only what needs no escape; the number keeps two registries apart.
    let plain: String = plan.name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(100).collect();
    words.push(format!("--unit=virtc-run-{plain}-{}", std::process::id()));
    if root {
        let partition = plan.limits.partition.as_deref().unwrap_or("/machine");
        if let Ok(slice) = crate::escape::Escaped::slice(partition) {
            words.push(format!("--slice={slice}"));
        }
    }
    let mut all: Vec<String> = knobs.iter().filter(|k| k.thread.is_empty()).flat_map(properties).collect();
    if root && plan.instance == Instance::System {
        // A user's systemd may not load filters.
        all.extend(devices::properties(plan));
    }
    words.extend(all.into_iter().map(|p| format!("--property={p}")));
    words.push("--".to_string());
    Some(words)
}

/// A value as properties of a unit.
fn properties(knob: &Knob) -> Vec<String> {
    let value = knob.value.as_str();
    // `<path> rest`
    let device = value.strip_prefix('<').and_then(|v| v.rsplit_once("> "));
    match (knob.file.as_str(), device) {
        ("cpu.weight", _) => vec![format!("CPUWeight={value}")],
        ("cpu.max", _) => match value.split_once(' ') {
            Some((quota, period)) => match (quota.parse::<u64>(), period.parse::<u64>()) {
                (Ok(quota), Ok(period)) if period > 0 => vec![
                    // Percent, rounded up: nothing is 0 %.
                    format!("CPUQuota={}%", (quota.saturating_mul(100)).div_ceil(period)),
                    format!("CPUQuotaPeriodSec={period}us"),
                ],
                _ => Vec::new(),
            },
            None => Vec::new(),
        },
        ("memory.high", _) => vec![format!("MemoryHigh={value}")],
        ("memory.max", _) => vec![format!("MemoryMax={value}")],
        ("memory.swap.max", _) => vec![format!("MemorySwapMax={value}")],
        ("pids.max", _) => vec![format!("TasksMax={value}")],
        ("cpuset.cpus", _) => vec![format!("AllowedCPUs={value}")],
        ("cpuset.mems", _) => vec![format!("AllowedMemoryNodes={value}")],
        ("io.weight", None) => vec![format!("IOWeight={}", value.trim_start_matches("default "))],
        ("io.weight", Some((path, weight))) => vec![format!("IODeviceWeight={path} {weight}")],
        ("io.max", Some((path, limit))) => {
            let property = match limit.split_once('=') {
                Some(("riops", n)) => Some(("IOReadIOPSMax", n)),
                Some(("wiops", n)) => Some(("IOWriteIOPSMax", n)),
                Some(("rbps", n)) => Some(("IOReadBandwidthMax", n)),
                Some(("wbps", n)) => Some(("IOWriteBandwidthMax", n)),
                _ => None,
            };
            property.map(|(name, n)| format!("{name}={path} {n}")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Makes a group below ours. The outer fault: the journal could not be written; the inner: why there is none.
fn place(
    hierarchy: &Hierarchy,
    name: &str,
    wanted: &BTreeSet<&str>,
    root: bool,
    journal: &mut Journal,
) -> Result<Result<Place, String>, Fault> {
    // The kernel wants no processes beside groups (version 2), so root begins at the top, where it does not mind.
    let base = match hierarchy.version {
        Version::Two if root => hierarchy.mount.clone(),
        _ => hierarchy.own.clone(),
    };
    let above = base.join("virtc");
    let dir = above.join(format!("{}.{}", file_name(name), std::process::id()));
    if !above.is_dir()
        && let Err(error) = std::fs::create_dir(&above)
    {
        let hint = if root { "" } else { " (only root, or a user whose systemd delegates them, has control groups)" };
        return Ok(Err(format!("{}: {error}{hint}", above.display())));
    }
    journal.add(Entry::Group(dir.clone()))?;
    let controllers = match hierarchy.version {
        Version::One => hierarchy.controllers.clone(),
        Version::Two => {
            for group in [&base, &above] {
                for controller in wanted {
                    // What is refused is missing in the group below, and told from there.
                    let _ = std::fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
                }
            }
            BTreeSet::new()
        }
    };
    if let Err(error) = std::fs::create_dir(&dir) {
        return Ok(Err(format!("{}: {error}", dir.display())));
    }
    if hierarchy.controllers.contains("cpuset") && hierarchy.version == Version::One {
        inherit_cpus(&above);
        inherit_cpus(&dir);
    }
    let controllers = match hierarchy.version {
        Version::One => controllers,
        Version::Two => controllers_of(&dir),
    };
    Ok(Ok(Place { dir, controllers }))
}

fn controllers_of(dir: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().map(str::to_string).collect()
}

/// A new group of version 1 has no CPUs and nodes: it gets those of the group above.
fn inherit_cpus(dir: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let empty = std::fs::read_to_string(dir.join(file)).is_ok_and(|t| t.trim().is_empty());
        let above = dir.parent().and_then(|d| std::fs::read_to_string(d.join(file)).ok());
        if let Some(text) = above.filter(|_| empty) {
            // What is refused is seen when a process is put there.
            let _ = std::fs::write(dir.join(file), text.trim());
        }
    }
}

impl Groups {
    /// The words that go before the command of QEMU.
    pub(super) fn prefix(&self) -> &[String] {
        match &self.home {
            Home::Scope { words, .. } => words,
            Home::Own(_) => &[],
        }
    }

    /// The files into which QEMU writes itself before it begins.
    pub(super) fn joins(&self) -> Vec<String> {
        match &self.home {
            Home::Scope { .. } => Vec::new(),
            Home::Own(places) => {
                places.iter().map(|p| p.dir.join("cgroup.procs").to_string_lossy().into_owned()).collect()
            }
        }
    }

    /// Whether single threads have limits of their own.
    pub(super) fn wants_threads(&self) -> bool {
        self.knobs.iter().any(|k| !k.thread.is_empty())
    }

    /// Puts threads into groups of their own. `threads`: name (`vcpu0`, `iothread1`, `emulator`) and number.
    /// Tells also which limits of the whole machine the scope could not get.
    pub(super) fn settle(&self, pid: i32, threads: &[(String, i32)], notes: &mut Vec<String>) {
        let scope;
        let places = match &self.home {
            Home::Own(places) => places,
            Home::Scope { mount, .. } => {
                let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
                let path = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
                let dir = mount.join(path);
                let place = Place { controllers: controllers_of(&dir), dir };
                for knob in self.knobs.iter().filter(|k| k.thread.is_empty()) {
                    if !place.controllers.contains(controller(&knob.file)) {
                        notes.push(format!(
                            "not in force: {} = {} (systemd gives us no control of {})",
                            knob.file,
                            knob.value,
                            controller(&knob.file)
                        ));
                    }
                }
                scope = [place];
                &scope[..]
            }
        };
        let mut names: Vec<&str> = threads.iter().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        for name in names {
            let fits = |k: &&Knob| {
                k.thread == name || k.thread.strip_suffix('*').is_some_and(|beginning| name.starts_with(beginning))
            };
            let knobs: Vec<&Knob> = self.knobs.iter().filter(|k| !k.thread.is_empty()).filter(fits).collect();
            let wanted: BTreeSet<&str> = knobs.iter().map(|k| controller(&k.file)).collect();
            if wanted.is_empty() {
                continue;
            }
            for place in places.iter().filter(|p| wanted.iter().any(|c| p.controllers.contains(*c))) {
                if let Err(why) = self.thread_group(place, name, &wanted) {
                    notes.push(format!("limits of {name} are not in force: {why}"));
                }
            }
            for knob in knobs {
                self.set(places, name, knob, notes);
            }
            let file = if self.version == Version::Two { "cgroup.threads" } else { "tasks" };
            for (_, thread) in threads.iter().filter(|(n, _)| n == name) {
                for place in places.iter().filter(|p| wanted.iter().any(|c| p.controllers.contains(*c))) {
                    let path = place.dir.join(name).join(file);
                    // A thread that has ended meanwhile needs no group.
                    if let Err(error) = std::fs::write(&path, thread.to_string())
                        && Path::new(&format!("/proc/{pid}/task/{thread}")).exists()
                    {
                        notes.push(format!("limits of {name} are not in force: {}: {error}", path.display()));
                    }
                }
            }
        }
    }

    fn thread_group(&self, place: &Place, name: &str, wanted: &BTreeSet<&str>) -> Result<(), String> {
        let dir = place.dir.join(name);
        let failed = |what: &Path| {
            let what = what.display().to_string();
            move |e: std::io::Error| format!("{what}: {e}")
        };
        if !dir.is_dir() {
            std::fs::create_dir(&dir).map_err(failed(&dir))?;
        }
        match self.version {
            Version::One => inherit_cpus(&dir),
            Version::Two => {
                let kind = dir.join("cgroup.type");
                std::fs::write(&kind, "threaded").map_err(failed(&kind))?;
                let control = place.dir.join("cgroup.subtree_control");
                for controller in wanted.iter().filter(|c| place.controllers.contains(**c)) {
                    std::fs::write(&control, format!("+{controller}")).map_err(failed(&control))?;
                }
            }
        }
        Ok(())
    }

    /// Writes one value into the group, or into that of a thread.
    fn set(&self, places: &[Place], thread: &str, knob: &Knob, notes: &mut Vec<String>) {
        let what = if thread.is_empty() { knob.file.clone() } else { format!("{thread}: {}", knob.file) };
        let mut fail = |why: String| notes.push(format!("not in force: {what} = {} ({why})", knob.value));
        let name = controller(&knob.file);
        let Some(place) = places.iter().find(|p| p.controllers.contains(name)) else {
            // Where the group itself failed, that was told.
            if !places.is_empty() {
                fail(format!("this host has no control of {name}"));
            }
            return;
        };
        let value = match numbered(&knob.value) {
            Ok(value) => value,
            Err(why) => return fail(why),
        };
        let dir = place.dir.join(thread);
        // Without the scheduler BFQ, weights have the older name, if any.
        let file = match knob.file.as_str() {
            "blkio.bfq.weight" | "blkio.bfq.weight_device" if !dir.join(&knob.file).exists() => {
                knob.file.replace(".bfq", "")
            }
            other => other.to_string(),
        };
        // No file is made: a missing one is a control that the kernel does not have.
        let written = std::fs::OpenOptions::new()
            .write(true)
            .open(dir.join(file))
            .and_then(|mut f| std::io::Write::write_all(&mut f, value.as_bytes()));
        if let Err(error) = written {
            fail(match error.kind() {
                std::io::ErrorKind::NotFound => "the kernel of this host does not have it".to_string(),
                _ => error.to_string(),
            });
        }
    }
}

/// A value with the numbers of a device for its path.
fn numbered(value: &str) -> Result<String, String> {
    let Some((path, rest)) = value.strip_prefix('<').and_then(|v| v.rsplit_once("> ")) else {
        return Ok(value.to_string());
    };
    let meta = std::fs::metadata(path).map_err(|e| format!("{path}: {e}"))?;
    if !meta.file_type().is_block_device() {
        return Err(format!("{path} is no block device"));
    }
    Ok(format!("{}:{} {rest}", rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev())))
}

/// Removes a group with those of its threads, once its processes have ended.
pub(super) fn remove(dir: &Path) -> Result<(), String> {
    // A process that has ended leaves its group a moment later.
    for _ in 0..200 {
        let inner = std::fs::read_dir(dir).map(|d| Vec::from_iter(d.flatten().map(|e| e.path()))).unwrap_or_default();
        for thread in inner.iter().filter(|p| p.is_dir()) {
            let _ = std::fs::remove_dir(thread);
        }
        match std::fs::remove_dir(dir) {
            Ok(()) => break,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    if dir.exists() {
        return Err(format!("the control group {} is in use", dir.display()));
    }
    // The group of all machines goes with the last of them.
    if let Some(above) = dir.parent() {
        let _ = std::fs::remove_dir(above);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
                      41 31 0:38 /box /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        let found = parse(mounts, "3:cpu,cpuacct:/a/b\n0::/box/c\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].version, found[0].own.to_str()), (Version::One, Some("/sys/fs/cgroup/cpu/a/b")));
        assert!(found[0].controllers.contains("cpuacct"));
        assert_eq!((found[1].version, found[1].own.to_str()), (Version::Two, Some("/sys/fs/cgroup/unified/c")));
    }

    #[test]
    fn knobs_as_properties() {
        let of = |file: &str, value: &str| {
            properties(&Knob { thread: String::new(), file: file.to_string(), value: value.to_string() }).join(" ")
        };
        assert_eq!(of("cpu.max", "50000 100000"), "CPUQuota=50% CPUQuotaPeriodSec=100000us");
        assert_eq!(of("cpu.max", "max 100000"), "");
        assert_eq!(of("io.weight", "default 200"), "IOWeight=200");
        assert_eq!(of("io.max", "</dev/a b> riops=7"), "IOReadIOPSMax=/dev/a b 7");
        assert_eq!(of("cpuset.cpus", "0-1"), "AllowedCPUs=0-1");
    }

    #[test]
    fn devices_have_numbers() {
        assert_eq!(numbered("512"), Ok("512".to_string()));
        assert_eq!(numbered("</dev/null> 9"), Err("/dev/null is no block device".to_string()));
    }
}
