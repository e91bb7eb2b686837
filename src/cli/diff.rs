//! `virtc diff`: what differs on the host, in the terms of the domain.

use super::build;
use super::compiled::Naming;
use super::explain::plan;
use super::inputs::World;
use super::{Exit, Shared, Sides, complain, print};
use crate::emit::{Artifact, describe};
use crate::plan::{Change, Difference, differences};
use similar::TextDiff;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

// Arguments of `virtc diff`.
#[derive(clap::Args)]
pub struct Args {
    /// A domain XML file, or the plan.json of a tree that was built
    first: PathBuf,
    /// What to compare it with; without it, the first with two --caps or two --host
    second: Option<PathBuf>,
    /// How to print what differs
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        Some(&self.first)
    }
}

#[derive(clap::ValueEnum, Clone, Copy, Default, PartialEq, Eq)]
enum Format {
    /// In the terms of the domain, each difference with its reason
    #[default]
    Text,
    /// The outputs themselves, as a unified diff
    Unified,
    /// JSON
    Json,
}

/// One of the two things that are compared.
struct Side<'a> {
    file: &'a Path,
    shared: Shared,
    name: String,
}

/// Compares; exit status 3 if something differs.
pub fn run(args: &Args, sides: &Sides, shared: &Shared) -> Exit {
    let two = |given: &[PathBuf], option| match given.len() {
        0..=2 => Ok(given.len() == 2),
        _ => Err(format!("{option} is given {} times; two sides are compared", given.len())),
    };
    let several = two(&sides.caps, "--caps").and_then(|caps| Ok(caps | two(&sides.hosts, "--host")?));
    match several {
        Err(fault) => {
            complain(&fault);
            return Exit::Usage;
        }
        Ok(false) if args.second.is_none() => {
            complain("with what? virtc diff A B, or virtc diff A --caps X --caps Y");
            return Exit::Usage;
        }
        Ok(_) => {}
    }
    let side = |i: usize| {
        let file = if i == 1 { args.second.as_deref().unwrap_or(&args.first) } else { &args.first };
        let of = |given: &[PathBuf]| given.get(i).or_else(|| given.last()).cloned();
        let shared = Shared { caps: of(&sides.caps), host: of(&sides.hosts), ..shared.clone() };
        let mut name = file.display().to_string();
        for (given, chosen) in [(&sides.caps, &shared.caps), (&sides.hosts, &shared.host)] {
            if let (2, Some(chosen)) = (given.len(), chosen) {
                let _ = write!(name, " with {}", chosen.display());
            }
        }
        Side { file, shared, name }
    };
    let (old, new) = (side(0), side(1));
    let result = match args.format {
        Format::Unified => artifacts(&old).and_then(|a| Ok(unified(&a, &artifacts(&new)?))),
        format => plan(old.file, &old.shared).and_then(|a| {
            let found = differences(&a, &plan(new.file, &new.shared)?);
            Ok(match format {
                Format::Json => json(&found),
                _ if found.is_empty() => String::new(),
                _ => format!("--- {}\n+++ {}\n{}", old.name, new.name, text(&found)),
            })
        }),
    };
    match result {
        Ok(out) if out.is_empty() => Exit::Done,
        Ok(out) if args.format == Format::Json => print(&out).and(Exit::Differs),
        Ok(out) => print(&super::paper::differences(&out, shared)).and(Exit::Differs),
        Err(exit) => exit,
    }
}

fn artifacts(side: &Side<'_>) -> Result<BTreeMap<String, Artifact>, Exit> {
    let world = World::load(&side.shared)?;
    let naming = Naming { prefix: String::new(), base: None };
    let all = build::outputs(&[side.file.to_path_buf()], &world, &naming)?;
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

fn json(found: &[Difference]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut out = serde_json::to_string_pretty(found).unwrap_or_default();
    out.push('\n');
    out
}

/// Differences for a reader: a heading for each part, a line for each subject and each property.
fn text(found: &[Difference]) -> String {
    let mut out = String::new();
    let mut part = "";
    for difference in found {
        if difference.part != part {
            part = &difference.part;
            let _ = writeln!(out, "\n{part}");
        }
        let subject = &difference.subject;
        let sign = match &difference.change {
            Change::Added { .. } => '+',
            Change::Removed { .. } => '-',
            Change::Changed { .. } => '~',
        };
        let _ = writeln!(out, "{sign} {subject}{}", reason(difference));
        match &difference.change {
            Change::Added { properties } | Change::Removed { properties } => {
                let all: Vec<String> = properties.iter().map(|(name, value)| pair(name, value)).collect();
                if !all.is_empty() {
                    let _ = writeln!(out, "    {}", all.join(", "));
                }
            }
            Change::Changed { properties } => properties.iter().for_each(|(name, before, after)| {
                let name = if name.is_empty() { "value" } else { name };
                let shown = |value: &Option<String>| value.as_deref().map_or("not set".to_string(), quoted);
                let _ = writeln!(out, "    {name}: {} -> {}", shown(before), shown(after));
            }),
        }
    }
    out
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
