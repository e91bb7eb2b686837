//! `virtc upgrade`: when a machine retires, and what a newer machine type would change for its guest.

use super::check::expand;
use super::inputs::{Source, World, lock_file, read, text_of};
use super::{Exit, Shared, complain, print};
use crate::caps::{Version, retirement};
use crate::compile::Until;
use crate::diag::Diagnostics;
use crate::lock::{self, Lock};
use crate::plan::Plan;
use crate::upgrade::{self, Changed};
use crate::xml;
use serde_json::json;
use similar::TextDiff;
use std::fmt::Write;
use std::path::{Path, PathBuf};

// Arguments of `virtc upgrade`.
#[derive(clap::Args)]
pub struct Args {
    /// Domain XML files, or folders of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The QEMU that the machines are to run on
    #[arg(long, value_name = "qemu-X.Y", default_value = "qemu-11.1")]
    to: String,
    /// The machine type to become: a name, `newest`, or `unchanged` for the newest that changes nothing the guest uses
    #[arg(long, value_name = "TYPE", default_value = "newest")]
    machine: String,
    /// Print the change of the XML, or of the lock where that holds the machine type, as a patch
    #[arg(long)]
    patch: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "patch")]
    json: bool,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        self.files.first().map(PathBuf::as_path)
    }
}

/// What is known of one machine.
struct Advice {
    source: Source,
    plan: Plan,
    /// Its machine type.
    from: String,
    /// The one that it would become; none if it has nothing newer.
    to: Option<String>,
    /// The newest that changes nothing.
    unchanged: Option<String>,
    /// What would change; none if nobody knows.
    changes: Option<Vec<Changed>>,
}

/// Advises for every file; exit status 3 if a machine does not start with the QEMU that is named.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let Some(qemu) = release(&args.to) else {
        complain(&format!("--to {}: expected a release such as qemu-11.1", args.to));
        return Exit::Usage;
    };
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let mut exit = Exit::Done;
    let mut all = Vec::new();
    for file in args.files.iter().flat_map(|f| expand(f)) {
        match advise(&file, args, qemu, &world) {
            Ok(advice) => all.push(advice),
            Err(failed) => exit = exit.and(failed),
        }
    }
    // What goes first stands first.
    all.sort_by_key(|a| (upgrade::retires(&a.from).map_or(u32::MAX, |r| r.removed.0), a.source.name.clone()));
    let text = match () {
        () if args.patch => all.iter().map(|a| patch(a, &world)).collect(),
        () if args.json => json_of(&all, qemu),
        () if all.len() > 1 => table(&all, qemu),
        () => all.iter().map(|a| report(a, qemu)).collect(),
    };
    let gone = all
        .iter()
        .any(|a| is_gone(&a.from, qemu) || upgrade::dropped(&a.plan, qemu).iter().any(|(row, _)| has_gone(row, qemu)));
    let end = if gone && !args.patch { Exit::Differs } else { Exit::Done };
    if text.is_empty() { exit.and(end) } else { print(&text).and(exit).and(end) }
}

/// `qemu-11.1` or `11.1`.
fn release(text: &str) -> Option<Version> {
    let (major, minor) = text.strip_prefix("qemu-").unwrap_or(text).split_once('.')?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n < 1000);
    Some(Version::new(number(major)?, number(minor.split('.').next()?)?, 0))
}

fn advise(file: &Path, args: &Args, qemu: Version, world: &World<'_>) -> Result<Advice, Exit> {
    let source = read(file)?;
    // That a machine type retires is what is reported here.
    let (compiled, exit) = world.compile(&source, Until::Planned);
    let Some(plan) = compiled.plan.filter(|_| exit == Exit::Done) else { return Err(exit.and(Exit::Input)) };
    let from = upgrade::machine(&plan).unwrap_or_default();
    let newest = upgrade::newest(&from, qemu);
    let unchanged = newest.and_then(|newest| upgrade::unchanged(&plan, &from, newest)).map(str::to_string);
    let to = match args.machine.as_str() {
        "newest" => newest.map(str::to_string),
        "unchanged" => unchanged.clone(),
        named => Some(named.to_string()),
    };
    let to = to.filter(|to| *to != from);
    let changes = to.as_ref().and_then(|to| upgrade::changes(&plan, &from, to));
    Ok(Advice { source, plan, from, to, unchanged, changes })
}

fn is_gone(machine: &str, qemu: Version) -> bool {
    upgrade::retires(machine).is_some_and(|r| r.removed <= qemu)
}

fn has_gone(row: &upgrade::table::Retiring, qemu: Version) -> bool {
    row.removed.is_some_and(|(major, minor)| Version::new(major, minor, 0) <= qemu)
}

/// When the machine type goes, for a person.
fn fate(machine: &str, qemu: Version) -> String {
    let Some(retires) = upgrade::retires(machine) else {
        return "a machine type without versions, which does not retire".into();
    };
    let (deprecated, removed) = (retirement::short(retires.deprecated), retirement::short(retires.removed));
    let now = retirement::short(qemu);
    match () {
        () if retires.removed <= qemu => format!("gone since QEMU {removed}: QEMU {now} does not start it"),
        () if retires.deprecated <= qemu => format!("deprecated since QEMU {deprecated}, removed with {removed}"),
        () => format!("deprecated from QEMU {deprecated} on, removed with {removed}"),
    }
}

fn report(a: &Advice, qemu: Version) -> String {
    let mut out = format!("{}: '{}', machine type {}\n", a.source.name, a.plan.name, a.from);
    let _ = writeln!(out, "  {}", fate(&a.from, qemu));
    for (row, of) in upgrade::dropped(&a.plan, qemu) {
        let (major, minor) = row.deprecated;
        let end =
            row.removed.map_or("not removed yet".to_string(), |(major, minor)| format!("removed in {major}.{minor}"));
        let _ = writeln!(out, "  {} ({of}): deprecated since QEMU {major}.{minor}, {end}", row.what);
        let _ = writeln!(out, "      {}", row.source);
    }
    if let Some(unchanged) = &a.unchanged {
        let _ = writeln!(out, "  {unchanged} changes nothing that this guest has");
    } else if a.to.is_some() {
        out.push_str("  no newer machine type leaves everything as it is\n");
    }
    match (&a.to, &a.changes) {
        (None, _) => out.push_str("  it is the newest that this QEMU has\n"),
        (Some(to), None) => {
            let _ = writeln!(
                out,
                "  what {to} changes is not known: virtc knows the versions of PCs (pc-q35, pc-i440fx) and of ARM's virt"
            );
        }
        (Some(to), Some(changes)) if changes.is_empty() => {
            let _ = writeln!(out, "  {to} changes nothing that this guest has");
        }
        (Some(to), Some(changes)) => {
            let _ = writeln!(out, "  {to} changes {} properties:", changes.len());
            for change in changes {
                line(change, &mut out);
            }
        }
    }
    out
}

fn line(change: &Changed, out: &mut String) {
    let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "QEMU's default".to_string());
    let (before, after) = (value(&change.before), value(&change.after));
    let _ = writeln!(out, "    {}.{}: {before} -> {after}  ({})", change.device, change.property, some(&change.of));
    match &change.keep {
        Some(keep) => drop(writeln!(out, "        keep it: {keep}")),
        None => out.push_str("        how it is now cannot be asked for, as QEMU does not tell its value\n"),
    }
}

/// The first of many, and how many more there are.
fn some(names: &[String]) -> String {
    match names {
        [one, two, three, rest @ ..] if rest.len() > 1 => format!("{one}, {two}, {three} and {} more", rest.len()),
        all => all.join(", "),
    }
}

/// A line a machine, what goes first first.
fn table(all: &[Advice], qemu: Version) -> String {
    let rows: Vec<[String; 6]> = all
        .iter()
        .map(|a| {
            let retires = upgrade::retires(&a.from);
            let at = |version: Option<Version>| version.map_or("-".to_string(), retirement::short);
            let changes = match (&a.to, &a.changes) {
                (None, _) => "-".to_string(),
                (_, None) => "?".to_string(),
                (_, Some(changes)) => changes.len().to_string(),
            };
            let dropped = upgrade::dropped(&a.plan, qemu).len();
            let changes = if dropped > 0 { format!("{changes} (+{dropped} that retire)") } else { changes };
            [
                a.source.name.clone(),
                a.from.clone(),
                at(retires.map(|r| r.deprecated)),
                at(retires.map(|r| r.removed)),
                a.unchanged.clone().unwrap_or("-".into()),
                changes,
            ]
        })
        .collect();
    let head =
        ["file", "machine type", "deprecated", "removed", "newest without change", "changes"].map(str::to_string);
    let width = |column: usize| rows.iter().chain([&head]).map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut out = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

fn json_of(all: &[Advice], qemu: Version) -> String {
    let machines: Vec<_> = all
        .iter()
        .map(|a| {
            let retires = upgrade::retires(&a.from);
            let dropped: Vec<_> = upgrade::dropped(&a.plan, qemu)
                .into_iter()
                .map(|(row, of)| {
                    let version = |(major, minor): (u32, u32)| format!("{major}.{minor}");
                    json!({ "what": row.what, "of": of, "deprecated": version(row.deprecated),
                            "removed": row.removed.map(version), "source": row.source })
                })
                .collect();
            json!({
                "file": a.source.name, "name": a.plan.name, "machine": a.from, "to": a.to, "unchanged": a.unchanged,
                "deprecated": retires.map(|r| retirement::short(r.deprecated)),
                "removed": retires.map(|r| retirement::short(r.removed)),
                "changes": a.changes, "retiring": dropped,
            })
        })
        .collect();
    format!("{}\n", serde_json::to_string_pretty(&machines).unwrap_or_default())
}

/// The change as a patch: of the XML that names the version, or of the lock that holds it.
fn patch(a: &Advice, world: &World<'_>) -> String {
    let Some(to) = &a.to else { return String::new() };
    let text = String::from_utf8_lossy(&a.source.bytes).into_owned();
    let mut diags = Diagnostics::new();
    let doc = xml::parse(text.as_bytes(), &mut diags);
    let find = |el: xml::El<'_>, name: &str| el.children().find(|c| c.is(name)).map(|c| c.site());
    let kind = doc.root().and_then(|r| find(r, "os")).and_then(|os| find(doc.element(os)?, "type"));
    let machine = kind.and_then(|site| doc.element(site)).and_then(|k| k.peek("machine"));
    let unified = |name: &str, old: &str, new: &str| {
        TextDiff::from_lines(old, new).unified_diff().header(&format!("a/{name}"), &format!("b/{name}")).to_string()
    };
    if let Some(machine) = machine.filter(|m| m.value() == a.from) {
        let span = machine.value_span().range();
        let mut new = text.clone();
        new.replace_range(span, to);
        return unified(&a.source.name, &text, &new);
    }
    let place = lock_file(&a.source).filter(|_| !world.shared.unlocked);
    let stored = place.as_ref().and_then(|file| text_of(file).ok());
    if let (Some(place), Some(old)) = (place, stored)
        && let Some(Lock { machine: Some(machine), .. }) = lock::read(&old, &mut Diagnostics::new())
    {
        let from = format!("machine \"{}\"", machine.name);
        return unified(&place.display().to_string(), &old, &old.replacen(&from, &format!("machine \"{to}\""), 1));
    }
    complain(&format!(
        "{}: neither the file nor a lock names a version of the machine type: each QEMU takes its own (virtc lock keeps one)",
        a.source.name
    ));
    String::new()
}
