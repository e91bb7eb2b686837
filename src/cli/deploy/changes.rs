//! What a deployment changes: file by file, and in words machine by machine.

use super::transaction::{Change, Content, content, is_link_place};
use crate::cli::installed::{OWNER, Tree, bytes};
use crate::emit::Artifact;
use crate::emit::manifest::SHARE;
use crate::emit::systemd::TARGET;
use crate::fleet::inventory::{Fate, Present, left_over, renamed};
use crate::plan::{Difference, differences};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Folder of the units of the system.
const UNITS: &str = "usr/lib/systemd/system/";

/// What a deployment does.
#[derive(Default)]
pub struct Changes {
    /// File by file, by path.
    pub files: Vec<Change>,
    /// Machine by machine, by name.
    pub machines: Vec<Machine>,
    /// How many machines stay as they are.
    pub same: usize,
    /// Files of the host that were changed since they were deployed.
    pub edited: Vec<String>,
    /// Machines that are not this deployment's, which it leaves alone.
    pub others: Vec<String>,
}

/// One machine and what happens to it.
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its unit, and those of its helpers.
    pub units: Vec<String>,
    /// What happens.
    pub class: Class,
    /// Why, in a few words.
    pub details: Vec<String>,
}

/// What happens to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// It comes.
    New,
    /// It comes, and was there under another name, which goes.
    Renamed(String),
    /// It comes, and one of another UUID that had its name goes.
    Replaced,
    /// It changes, and has to be started again to have it.
    Restart,
    /// It changes while it runs.
    Live,
    /// It goes.
    Removed,
}

impl Class {
    /// The word in front of a machine.
    pub fn as_str(&self) -> &'static str {
        match self {
            Class::New => "new",
            Class::Renamed(_) => "renamed",
            Class::Replaced => "replaced",
            Class::Restart => "restart",
            Class::Live => "live",
            Class::Removed => "removed",
        }
    }
}

/// What is on the host, and whose it is.
pub struct Host<'a> {
    /// Its root.
    pub root: &'a Path,
    /// Its machines.
    pub machines: &'a [Present],
    /// `deployment NAME`: what this deployment's machines say of themselves.
    pub owner: &'a str,
    /// Whether machines stay that the tree does not have.
    pub keep: bool,
    /// Whether new units are enabled.
    pub enable: bool,
}

impl Host<'_> {
    /// What becomes of a machine of the host.
    fn fate(&self, machine: &Present, tree: &Tree) -> Fate {
        let own = machine.owner.as_deref() == Some(self.owner);
        let copied = machine.owner.is_none();
        match tree.machines.iter().any(|m| m.folder == machine.folder) {
            true if own || copied => Fate::Rebuilt,
            false if own && !self.keep => Fate::Removed,
            _ => Fate::Stays,
        }
    }

    /// Machines of the host that stay beside those of the tree.
    pub fn staying(&self, tree: &Tree) -> Vec<&Present> {
        self.machines.iter().filter(|m| self.fate(m, tree) == Fate::Stays).collect()
    }

    /// What keeps the tree from being deployed: what others have, and would lose.
    pub fn obstacles(&self, tree: &Tree) -> Vec<String> {
        let mut out = Vec::new();
        let known: BTreeSet<&String> = self.machines.iter().flat_map(|m| &m.files).collect();
        for other in self.staying(tree) {
            let owner = other.owner.as_deref().unwrap_or("nobody");
            if tree.machines.iter().any(|m| m.folder == other.folder) {
                out.push(format!("'{}' is on this host already: the {owner} has put it there", other.name()));
                continue;
            }
            let clash = |a: &&Artifact| other.files.contains(&a.path) && !is_target(&a.path) && !self.has(a);
            for artifact in tree.artifacts.iter().filter(clash) {
                out.push(format!("/{} is also a file of '{}', of the {owner}", artifact.path, other.name()));
            }
        }
        let foreign =
            |a: &&Artifact| !known.contains(&a.path) && !is_target(&a.path) && !self.has(a) && self.is_taken(&a.path);
        for artifact in tree.artifacts.iter().filter(foreign) {
            out.push(format!("/{} is on this host already, and no machine of virtc has it", artifact.path));
        }
        out
    }

    fn has(&self, artifact: &Artifact) -> bool {
        bytes(self.root, &artifact.path).is_some_and(|there| there == artifact.contents.as_bytes())
    }

    fn is_taken(&self, path: &str) -> bool {
        std::fs::symlink_metadata(self.root.join(path)).is_ok()
    }
}

/// Whether a file is the target of all machines: whoever comes last has the newest.
fn is_target(path: &str) -> bool {
    path.rsplit('/').next() == Some(TARGET)
}

/// Whether the package that all machines' packages depend on has the target, and keeps it.
fn target_is_packaged(root: &Path) -> bool {
    root.join(format!("var/lib/dpkg/info/{}.list", crate::cli::helper::PACKAGE)).exists()
}

/// What it takes to bring the host from what it has to what the tree has.
pub fn changes(host: &Host<'_>, tree: &Tree) -> Changes {
    let mut wanted: BTreeMap<String, Content> = tree.artifacts.iter().map(|a| (a.path.clone(), file(a))).collect();
    for machine in &tree.machines {
        let owner = Content::File { bytes: format!("{}\n", host.owner).into(), mode: 0o644 };
        wanted.insert(format!("{SHARE}/{}/{OWNER}", machine.folder), owner);
    }
    let fates: Vec<(&Present, Fate)> = host.machines.iter().map(|m| (m, host.fate(m, tree))).collect();
    let made: BTreeSet<String> = wanted.keys().cloned().collect();
    let gone = left_over(&fates, &made);
    let mut files: Vec<Change> =
        gone.iter().filter(|path| host.is_taken(path)).map(|path| Change { path: path.clone(), new: None }).collect();
    for (path, new) in wanted {
        if content(&host.root.join(&path)).as_ref() != Some(&new) {
            files.push(Change { path, new: Some(new) });
        }
    }
    let leaving: Vec<&Present> = fates.iter().filter(|(_, f)| f.leaves()).map(|(m, _)| *m).collect();
    let coming: Vec<&Present> =
        tree.machines.iter().filter(|m| !host.machines.iter().any(|h| h.folder == m.folder)).collect();
    let renamed = renamed(&leaving, &coming);
    if target_is_packaged(host.root) {
        files.retain(|change| !is_target(&change.path));
    }
    files.extend(links(host, &files, &renamed, tree));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut out = Changes { edited: edited(host, &files), files, ..Changes::default() };
    for machine in &tree.machines {
        let old = host.machines.iter().find(|m| m.folder == machine.folder);
        match (old, judge(host, old, machine, &out.files)) {
            (Some(_), None) => out.same += 1,
            (Some(_), Some((class, details))) => out.machines.push(row(machine, class, details)),
            (None, _) => {
                let class = renamed.get(machine.name()).map_or(Class::New, |old| Class::Renamed(old.to_string()));
                out.machines.push(row(machine, class, Vec::new()));
            }
        }
    }
    out.machines.extend(leaving.iter().map(|m| row(m, Class::Removed, Vec::new())));
    out.machines.sort_by(|a, b| a.name.cmp(&b.name));
    let whose =
        |m: &Present| m.owner.clone().map_or("copied here by hand".to_string(), |owner| format!("of the {owner}"));
    out.others = host.staying(tree).iter().map(|m| format!("{} ({})", m.name(), whose(m))).collect();
    out
}

fn file(artifact: &Artifact) -> Content {
    Content::File { bytes: artifact.contents.clone().into_bytes(), mode: artifact.mode }
}

fn row(machine: &Present, class: Class, details: Vec<String>) -> Machine {
    Machine { name: machine.name().to_string(), units: units(machine), class, details }
}

/// The unit of a machine, then those of its helpers.
pub fn units(machine: &Present) -> Vec<String> {
    let main = format!("virtc-{}.service", machine.folder);
    let mut units: Vec<String> = (machine.files.iter())
        .filter_map(|f| f.strip_prefix(UNITS))
        .filter(|name| name.starts_with("virtc-") && name.ends_with(".service") && !name.starts_with("virtc-net-"))
        .map(str::to_string)
        .collect();
    units.sort_by_key(|unit| (*unit != main, unit.clone()));
    units
}

/// Links that enable what comes and disable what goes.
fn links(host: &Host<'_>, files: &[Change], renamed: &BTreeMap<&str, &str>, tree: &Tree) -> Vec<Change> {
    let mut out = Vec::new();
    let there = link_list(host.root);
    for change in files {
        let Some(unit) = change.path.strip_prefix(UNITS).filter(|unit| !unit.contains('/')) else { continue };
        let of_unit = |link: &&String| link.rsplit('/').next() == Some(unit);
        let Some(Content::File { bytes, .. }) = &change.new else {
            out.extend(there.iter().filter(of_unit).map(|link| Change { path: link.clone(), new: None }));
            continue;
        };
        if !host.enable || host.is_taken(&change.path) || there.iter().any(|link| of_unit(&link)) {
            continue;
        }
        // Under another name it is what it was before: enabled or not.
        let machine = tree.machines.iter().find(|m| unit == format!("virtc-{}.service", m.folder));
        let before =
            machine.and_then(|m| renamed.get(m.name())).and_then(|old| host.machines.iter().find(|h| h.name() == *old));
        if before.is_some_and(|old| !there.iter().any(|l| l.ends_with(&format!("/virtc-{}.service", old.folder)))) {
            continue;
        }
        for folder in wanted_by(&String::from_utf8_lossy(bytes)) {
            let path = format!("etc/systemd/system/{folder}/{unit}");
            if is_link_place(&path) {
                out.push(Change { path, new: Some(Content::Link(format!("/{}", change.path))) });
            }
        }
    }
    out
}

/// The folders in which links enable a unit.
fn wanted_by(unit: &str) -> Vec<String> {
    let install = unit.split_once("\n[Install]\n").map(|(_, rest)| rest).unwrap_or_default();
    let lines = install.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| match line.split_once('=') {
            Some(("WantedBy", units)) => Some((units, "wants")),
            Some(("RequiredBy", units)) => Some((units, "requires")),
            _ => None,
        })
        .flat_map(|(units, kind)| units.split_whitespace().map(move |unit| format!("{unit}.{kind}")))
        .collect()
}

/// All links that enable units of virtc.
fn link_list(root: &Path) -> Vec<String> {
    const FOLDER: &str = "etc/systemd/system";
    let list = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().into_string().ok()).collect()
    };
    let mut out = Vec::new();
    for folder in list(&root.join(FOLDER)) {
        let names = list(&root.join(FOLDER).join(&folder));
        out.extend(names.iter().map(|name| format!("{FOLDER}/{folder}/{name}")).filter(|path| is_link_place(path)));
    }
    out.sort();
    out
}

/// Files that somebody has changed on the host since they were put there.
fn edited(host: &Host<'_>, files: &[Change]) -> Vec<String> {
    let entries: BTreeMap<&String, &str> = (host.machines.iter())
        .filter_map(|m| m.manifest.as_ref())
        .flat_map(|m| m.files.iter().map(|(path, entry)| (path, entry.sha256.as_str())))
        .collect();
    let changed = |change: &&Change| {
        let there = bytes(host.root, &change.path);
        matches!((entries.get(&change.path), there), (Some(then), Some(now)) if *then != crate::emit::manifest::sha256(&now))
    };
    files.iter().filter(changed).map(|c| c.path.clone()).collect()
}

/// What happens to a machine that is there; none if it does not change.
fn judge(host: &Host<'_>, old: Option<&Present>, new: &Present, files: &[Change]) -> Option<(Class, Vec<String>)> {
    let old = old?;
    if old.uuid().is_some_and(|uuid| new.uuid() != Some(uuid)) {
        return Some((Class::Replaced, Vec::new()));
    }
    let own = |path: &String| (old.files.contains(path) || new.files.contains(path)) && !is_target(path);
    let changed: Vec<&Change> = files.iter().filter(|c| own(&c.path) && counts(&c.path)).collect();
    let on_record = files.iter().any(|c| own(&c.path) && !c.path.ends_with(&format!("/{OWNER}")));
    if changed.is_empty() {
        // Notes for a reader: a comment, a place in the XML.
        return on_record.then(|| (Class::Live, vec!["what it was made from".to_string()]));
    }
    let restart = changed.iter().any(|c| !is_live(host, c));
    let details = match (&old.plan, &new.plan) {
        (Some(before), Some(after)) => words(&differences(before, after)),
        _ => Vec::new(),
    };
    let details = if details.is_empty() { kinds(&changed) } else { details };
    Some((if restart { Class::Restart } else { Class::Live }, details))
}

/// Whether a file is read by anything that runs.
fn counts(path: &str) -> bool {
    !path.starts_with("usr/share/virtc/") || path.contains("/selinux/")
}

/// Directives that systemd takes over for a unit that runs, when it reads units again.
const LIVE: &[&str] = &[
    "Description",
    "Documentation",
    "CPUWeight",
    "CPUQuota",
    "CPUQuotaPeriodSec",
    "AllowedCPUs",
    "AllowedMemoryNodes",
    "MemoryMin",
    "MemoryLow",
    "MemoryHigh",
    "MemoryMax",
    "MemorySwapMax",
    "MemoryZSwapMax",
    "IOWeight",
    "IODeviceWeight",
    "IOReadBandwidthMax",
    "IOWriteBandwidthMax",
    "IOReadIOPSMax",
    "IOWriteIOPSMax",
    "TasksMax",
    "TimeoutStopSec",
    "TimeoutStartSec",
    "Restart",
    "RestartSec",
    "ExecStop",
    "ExecStopPost",
    "WantedBy",
    "RequiredBy",
    "Conflicts",
    "PartOf",
    "Before",
    "After",
    "Wants",
    "RequiresMountsFor",
];

/// Whether a change takes effect on a machine that runs.
fn is_live(host: &Host<'_>, change: &Change) -> bool {
    if !change.path.ends_with(".service") {
        // Profiles are loaded over the old ones, rules and folders hold from now on. A new label is that of a new process.
        return !change.path.contains("/selinux/");
    }
    let Some(Content::File { bytes: after, .. }) = &change.new else { return false };
    let Some(before) = bytes(host.root, &change.path) else { return false };
    let lines = |text: &[u8]| directives(&String::from_utf8_lossy(text));
    let (before, after) = (lines(&before), lines(after));
    before.symmetric_difference(&after).all(|(key, _)| LIVE.contains(&key.as_str()))
}

/// The directives of a unit: continued lines as one, comments left out.
fn directives(text: &str) -> BTreeSet<(String, String)> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.starts_with(['#', ';', '[']));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Differences of plans in a few words.
fn words(found: &[Difference]) -> Vec<String> {
    use crate::plan::Change as Kind;
    let mut out = Vec::new();
    for difference in found {
        let subject = &difference.subject;
        match &difference.change {
            Kind::Added { .. } => out.push(format!("+{subject}")),
            Kind::Removed { .. } => out.push(format!("-{subject}")),
            Kind::Changed { properties } => {
                let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "nothing".to_string());
                out.extend(properties.iter().map(|(name, before, after)| {
                    let name = if name.is_empty() { String::new() } else { format!(" {name}") };
                    format!("{subject}{name}: {} -> {}", value(before), value(after))
                }));
            }
        }
    }
    out
}

/// The kinds of files that change, where the plans are the same.
fn kinds(changed: &[&Change]) -> Vec<String> {
    let kinds: BTreeSet<&str> = changed.iter().map(|c| crate::emit::describe(&c.path)).collect();
    kinds.into_iter().map(str::to_string).collect()
}
