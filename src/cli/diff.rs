//! `virtc diff`: what differs, in the terms of the domain, and what it means for the guest.

use super::build;
use super::compiled::Naming;
use super::inputs::World;
use super::sides::{Compared, Member, Side, compile};
use super::{Exit, Shared, Sides, complain, paper, print};
use crate::diff::{Class, Classed, classed};
use crate::emit::{Artifact, describe};
use crate::plan::{Cause, Change, Difference};
use serde_json::json;
use similar::TextDiff;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

// Arguments of `virtc diff`.
#[derive(clap::Args)]
pub struct Args {
    /// A domain XML file, a folder of them, a tree that was built or its plan.json; a command line of QEMU (/proc/PID/cmdline
    /// of one that runs) or the socket of its monitor; or a revision of git
    first: PathBuf,
    /// What to compare it with; without it, the first with two --caps, two --host or two --target
    second: Option<PathBuf>,
    /// The path to compare, where revisions of git were named: virtc diff HEAD~1 -- vms/
    #[arg(last = true)]
    path: Option<PathBuf>,
    /// How to print what differs
    #[arg(long, value_enum, default_value_t, conflicts_with = "html")]
    format: Format,
    /// Write a page for a browser: what differs, and the outputs side by side; for several machines a folder. - is standard output
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// Exit with status 3 only for differences of this class and of graver ones (the gravest is guest-visible)
    #[arg(long, value_enum, value_name = "CLASS")]
    fail_on: Option<FailOn>,
    /// Leave out what does not count
    #[arg(long, value_enum, value_name = "WHAT")]
    ignore: Vec<Ignore>,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        [Some(&self.first), self.second.as_ref(), self.path.as_ref()]
            .into_iter()
            .flatten()
            .find(|p| p.exists())
            .map(PathBuf::as_path)
    }
}

#[derive(clap::ValueEnum, Clone, Copy, Default, PartialEq, Eq)]
enum Format {
    /// In the terms of the domain, each difference with its class and its reason
    #[default]
    Text,
    /// The outputs themselves, as a unified diff
    Unified,
    /// JSON
    Json,
    /// A SARIF log, a rule for each class
    Sarif,
}

/// `--fail-on`
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum FailOn {
    /// The guest may notice
    GuestVisible,
    /// It takes a new start
    Restart,
    /// QEMU can be told while it runs
    Live,
    /// On the host only
    Host,
    /// Anything
    Cosmetic,
}

impl FailOn {
    fn class(self) -> Class {
        match self {
            FailOn::GuestVisible => Class::GuestVisible,
            FailOn::Restart => Class::Restart,
            FailOn::Live => Class::Live,
            FailOn::Host => Class::Host,
            FailOn::Cosmetic => Class::Cosmetic,
        }
    }
}

/// `--ignore`
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Ignore {
    /// UUIDs and MAC addresses that one of the files leaves open, so that they follow from its name
    Generated,
}

/// What differs of a machine.
pub(super) struct Machine {
    /// Its name.
    pub name: String,
    /// Its file, of the new side if it has one.
    pub file: String,
    /// What differs.
    pub found: Vec<Classed>,
    /// What was compared; none if only one side has the machine.
    pub sides: Option<Box<(Compared, Compared)>>,
}

/// Compares; exit status 3 if something differs.
pub fn run(args: &Args, sides: &Sides, shared: &Shared) -> Exit {
    compared(args, sides, shared).unwrap_or_else(|failed| failed)
}

fn compared(args: &Args, sides: &Sides, shared: &Shared) -> Result<Exit, Exit> {
    let usage = |fault: &str| {
        complain(fault);
        Exit::Usage
    };
    let several = sides.several().map_err(|fault| usage(&fault))?;
    // With one side, a host is the other: what is installed there is what would be replaced.
    let host = shared.connect.as_deref().filter(|_| args.second.is_none() && args.path.is_none() && !several);
    let (old, new) = match host {
        Some(uri) => Side::of_host(uri).and_then(|host| Ok((host, Side::of(&args.first, None)?))),
        None => two(args, several),
    }
    .map_err(|fault| usage(&fault))?;
    let mut shareds = [0, 1].map(|i| sides.shared(i, shared));
    if host.is_some_and(|uri| uri.contains("+ssh://")) {
        let session = host.is_some_and(|uri| uri.ends_with("/session"));
        shareds.iter_mut().for_each(|s| s.connect = session.then(|| "qemu:///session".to_string()));
    }
    let titles = [(&old, 0), (&new, 1)].map(|(side, i)| side.name() + &sides.title(i));
    if args.format == Format::Unified {
        let (Some(one), Some(other)) = (old.path(), new.path()) else {
            return Err(usage("--format unified compares what lies on the disk; leave it out for revisions of git"));
        };
        let out = unified(&artifacts(one, &shareds[0])?, &artifacts(other, &shareds[1])?);
        return Ok(if out.is_empty() {
            Exit::Done
        } else {
            print(&paper::differences(&out, shared)).and(Exit::Differs)
        });
    }
    let mut machines = differing(&old, &new, &shareds, several, args)?;
    machines.retain(|m| !m.found.is_empty());
    let gravest = machines.iter().filter_map(|m| crate::diff::gravest(&m.found)).min();
    let least = args.fail_on.map_or(Class::Cosmetic, FailOn::class);
    let end = if gravest.is_some_and(|class| class <= least) { Exit::Differs } else { Exit::Done };
    if let Some(out) = &args.html {
        return Ok(super::page::differences(&machines, &titles, out).and(end));
    }
    let out = match args.format {
        Format::Json => json_of(&machines),
        Format::Sarif => sarif(&machines),
        _ if machines.is_empty() => String::new(),
        _ => paper::differences(&report(&machines, &titles, old.is_one() && new.is_one()), shared),
    };
    Ok(if out.is_empty() { end } else { print(&out).and(end) })
}

/// The two sides that the arguments name.
fn two(args: &Args, several: bool) -> Result<(Side, Side), String> {
    let first = args.first.as_path();
    match (args.second.as_deref(), args.path.as_deref()) {
        (second, Some(path)) => {
            let revision = |word: &Path| -> Result<Side, String> {
                match Side::of(word, Some(path))? {
                    Side::Path(_) => {
                        Ok(Side::Revision { revision: word.display().to_string(), path: path.to_path_buf() })
                    }
                    side => Ok(side),
                }
            };
            let new = match second {
                Some(second) => revision(second)?,
                None => Side::Path(path.to_path_buf()),
            };
            Ok((revision(first)?, new))
        }
        (Some(second), None) => Ok((Side::of(first, Some(second))?, Side::of(second, Some(first))?)),
        (None, None) if several => Ok((Side::of(first, None)?, Side::of(first, None)?)),
        (None, None) => {
            Err("with what? virtc diff A B, virtc diff REVISION -- PATH, or virtc diff A --caps X --caps Y".into())
        }
    }
}

/// What differs, machine by machine, in the order of the new side; then those that are gone.
fn differing(old: &Side, new: &Side, shareds: &[Shared; 2], several: bool, args: &Args) -> Result<Vec<Machine>, Exit> {
    let (before, after) = (old.members()?, new.members()?);
    // The first machine comes to a folder, and the last one leaves it; two without any are a slip.
    if before.is_empty() && after.is_empty() && !several {
        complain(&format!("neither {} nor {} has a machine", old.name(), new.name()));
        return Err(Exit::Environment);
    }
    // What is written in the same way means the same, under the same facts.
    let same = |one: &Member, all: &[Member]| !several && all.iter().any(|m| m.key == one.key && m.same(one));
    let left: Vec<&Member> = before.iter().filter(|m| !same(m, &after)).collect();
    let right: Vec<&Member> = after.iter().filter(|m| !same(m, &before)).collect();
    let worlds = [World::load(&shareds[0])?, World::load(&shareds[1])?];
    let (mut left, right) = (compile(&left, &worlds[0])?, compile(&right, &worlds[1])?);
    let one = left.len() == 1 && right.len() == 1 && old.is_one() && new.is_one();
    let mut out = Vec::new();
    for new in right {
        let at = left.iter().position(|old| one || old.plan.name == new.plan.name);
        let at = at.or_else(|| left.iter().position(|old| old.plan.uuid == new.plan.uuid));
        out.push(match at {
            Some(at) => machine(left.remove(at), new, args),
            None => whole(new.plan.name, new.file, Change::Added { properties: Vec::new() }),
        });
    }
    out.extend(left.into_iter().map(|old| whole(old.plan.name, old.file, Change::Removed { properties: Vec::new() })));
    Ok(out)
}

fn machine(old: Compared, new: Compared, args: &Args) -> Machine {
    let mut found = classed(&old.plan, &new.plan);
    if args.ignore.contains(&Ignore::Generated) {
        leave_out_generated(&mut found, &old.derived, &new.derived);
    }
    Machine { name: new.plan.name.clone(), file: new.file.clone(), found, sides: Some(Box::new((old, new))) }
}

/// Leaves out values that one side did not ask for.
fn leave_out_generated(found: &mut Vec<Classed>, old: &str, new: &str) {
    let made = |value: &Option<String>, of: &str| {
        value.as_deref().is_some_and(|v| v.len() >= 17 && of.split([' ', '\n', ',']).any(|word| word == v))
    };
    for classed in found.iter_mut() {
        let Change::Changed { properties } = &mut classed.difference.change else { continue };
        let keep: Vec<bool> = properties.iter().map(|(_, b, a)| !(made(b, old) || made(a, new))).collect();
        let mut kept = keep.iter();
        properties.retain(|_| *kept.next().unwrap_or(&true));
        let mut kept = keep.iter();
        classed.properties.retain(|_| *kept.next().unwrap_or(&true));
        if let Some((class, why)) = classed.properties.iter().min_by_key(|(class, _)| *class) {
            (classed.class, classed.why) = (*class, why);
        }
    }
    found.retain(|c| !matches!(&c.difference.change, Change::Changed { properties } if properties.is_empty()));
}

/// A machine that only one side has.
fn whole(name: String, file: String, change: Change) -> Machine {
    let difference = Difference {
        part: "machines".to_string(),
        subject: name.clone(),
        whole: Vec::new(),
        change,
        cause: Cause::default(),
    };
    let why = "the whole machine";
    let classed = Classed { difference, class: Class::GuestVisible, why, properties: Vec::new(), qmp: Vec::new() };
    Machine { name, file, found: vec![classed], sides: None }
}

fn artifacts(path: &Path, shared: &Shared) -> Result<BTreeMap<String, Artifact>, Exit> {
    let world = World::load(shared)?;
    let naming = Naming { prefix: String::new(), base: None };
    let all = build::outputs(&[path.to_path_buf()], &world, &naming, &|_| true)?;
    // A dependency file says what was read, which is no output for the host.
    Ok(all.into_iter().filter(|a| a.path.contains('/')).map(|a| (a.path.clone(), a)).collect())
}

/// The outputs as a unified diff.
fn unified(old: &BTreeMap<String, Artifact>, new: &BTreeMap<String, Artifact>) -> String {
    let mut out = String::new();
    let empty = String::new();
    for path in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let text = |tree: &BTreeMap<String, Artifact>| tree.get(path).map_or(empty.clone(), |a| a.contents.clone());
        let (before, after) = (text(old), text(new));
        if before != after {
            let name = |tree: &BTreeMap<String, Artifact>| if tree.contains_key(path) { path } else { "/dev/null" };
            let _ = writeln!(out, "{}: {path}", describe(path));
            let diff = TextDiff::from_lines(&before, &after);
            out.push_str(&diff.unified_diff().context_radius(2).header(name(old), name(new)).to_string());
        }
    }
    out
}

fn json_of(machines: &[Machine]) -> String {
    let mut all = Vec::new();
    for machine in machines {
        for classed in &machine.found {
            let mut line = serde_json::to_value(classed.line()).unwrap_or_default();
            line["machine"] = json!(machine.name);
            all.push(line);
        }
    }
    if all.is_empty() {
        return String::new();
    }
    let mut out = serde_json::to_string_pretty(&all).unwrap_or_default();
    out.push('\n');
    out
}

/// A SARIF log: a rule for each class, a result for each difference.
fn sarif(machines: &[Machine]) -> String {
    let level = |class: Class| match class {
        Class::GuestVisible => "error",
        Class::Restart => "warning",
        _ => "note",
    };
    let rules: Vec<_> = Class::ALL
        .iter()
        .map(|class| {
            json!({ "id": class.as_str(), "shortDescription": { "text": class.meaning() },
                    "defaultConfiguration": { "level": level(*class) } })
        })
        .collect();
    let mut results = Vec::new();
    for machine in machines {
        for classed in &machine.found {
            let mut text = format!("{}: ", machine.name);
            subject(classed, &mut text);
            let line = classed.cause().line.max(1);
            let place = json!({ "physicalLocation": {
                "artifactLocation": { "uri": machine.file }, "region": { "startLine": line } } });
            results.push(json!({ "ruleId": classed.class.as_str(), "level": level(classed.class),
                "message": { "text": text.trim_end() }, "locations": [place] }));
        }
    }
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{ "tool": { "driver": { "name": "virtc diff", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
                   "results": results }]
    });
    format!("{}\n", serde_json::to_string_pretty(&log).unwrap_or_default())
}

/// The report for a person.
pub(super) fn report(machines: &[Machine], titles: &[String; 2], one: bool) -> String {
    let mut out = format!("--- {}\n+++ {}\n", titles[0], titles[1]);
    for machine in machines {
        if !one {
            let _ = write!(out, "\n=== {}\n", machine.name);
        }
        out.push_str(&text(&machine.found));
    }
    summary(machines, &mut out);
    out
}

/// How many of each class, the gravest first.
fn summary(machines: &[Machine], out: &mut String) {
    let count = |class: Class| machines.iter().flat_map(|m| &m.found).filter(|c| c.class == class).count();
    let words: Vec<String> = Class::ALL
        .iter()
        .map(|class| (count(*class), class))
        .filter(|(n, _)| *n > 0)
        .map(|(n, class)| format!("{n} {class} ({})", class.meaning()))
        .collect();
    let _ = writeln!(out, "\n{}", words.join("; "));
}

/// Differences for a reader: a heading for each part, a line for each subject and each property, with its class.
fn text(found: &[Classed]) -> String {
    let mut out = String::new();
    let mut part = "";
    for classed in found {
        if classed.difference.part != part {
            part = &classed.difference.part;
            let _ = writeln!(out, "\n{part}");
        }
        subject(classed, &mut out);
        for command in &classed.qmp {
            let _ = writeln!(out, "    qmp: {command}");
        }
    }
    out
}

fn subject(classed: &Classed, out: &mut String) {
    let difference = &classed.difference;
    let sign = match &difference.change {
        Change::Added { .. } => '+',
        Change::Removed { .. } => '-',
        Change::Changed { .. } => '~',
    };
    let _ = write!(out, "{sign} {}{}", difference.subject, reason(difference));
    match &difference.change {
        Change::Added { properties } | Change::Removed { properties } => {
            let _ = writeln!(out, "  [{}]", classed.class);
            let all: Vec<String> = properties.iter().map(|(name, value)| pair(name, value)).collect();
            if !all.is_empty() {
                let _ = writeln!(out, "    {}", all.join(", "));
            }
        }
        Change::Changed { properties } => {
            out.push('\n');
            for ((name, before, after), (class, _)) in properties.iter().zip(&classed.properties) {
                let name = if name.is_empty() { "value" } else { name };
                let shown = |value: &Option<String>| value.as_deref().map_or("not set".to_string(), quoted);
                let _ = writeln!(out, "    {name}: {} -> {}  [{class}]", shown(before), shown(after));
            }
        }
    }
}

fn pair(name: &str, value: &str) -> String {
    if name.is_empty() { quoted(value) } else { format!("{name}={}", quoted(value)) }
}

/// A value as it is, unless it would not be seen as one.
fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_control() || c == ' ' || c == ',');
    if plain { value.to_string() } else { format!("{value:?}") }
}

/// The element of the XML that is the reason.
fn reason(difference: &Difference) -> String {
    let cause = &difference.cause;
    match (cause.what.as_ref(), cause.line) {
        ("", _) | ("the domain", _) => String::new(),
        (what, 0) => format!("  ({what})"),
        (what, line) => format!("  ({what}, line {line})"),
    }
}
