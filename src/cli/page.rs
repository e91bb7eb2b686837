//! `virtc explain --html`: domains as pages for a browser.

use super::build::templates;
use super::check::expand;
use super::inputs::{Source, World, read, report};
use super::{Exit, Shared, complain, print};
use crate::compile::{Compiled, Until};
use crate::diag::Diagnostics;
use crate::emit::Templates;
use crate::explorer::{Explorer, Machine, fleet as fleet_page};
use crate::fleet::{self, Member, categories};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One domain on its way to a page.
struct Unit {
    source: Source,
    text: String,
    compiled: Compiled,
    conflicts: Diagnostics,
}

/// Writes the page of one file, or a folder with the pages of many. A domain with errors has a page, too.
pub fn run(files: &[PathBuf], out: &Path, shared: &Shared) -> Exit {
    let is_one = matches!(files, [file] if !file.is_dir());
    let files: Vec<PathBuf> = files.iter().flat_map(|file| expand(file)).collect();
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let templates = match templates(&world) {
        Ok((templates, _)) => templates,
        Err(exit) => return exit,
    };
    let mut units = Vec::with_capacity(files.len());
    for file in &files {
        match unit(file, &world) {
            Ok(unit) => units.push(unit),
            Err(exit) => return exit,
        }
    }
    look_at_fleet(&mut units, &world);
    let mut exit = Exit::Done;
    for unit in &units {
        let mut diags = unit.compiled.diags.clone();
        diags.extend(unit.conflicts.clone());
        report(&diags, &unit.source, shared);
        exit = exit.and(if diags.has_errors() { Exit::Input } else { Exit::Done });
    }
    let written = match units.as_slice() {
        [unit] if is_one => write(out, &page(unit, &templates)),
        _ => write_all(out, &units, &templates),
    };
    exit.and(written)
}

fn unit(file: &Path, world: &World<'_>) -> Result<Unit, Exit> {
    let source = read(file)?;
    if source.bytes.trim_ascii_start().starts_with(b"{") {
        complain(&format!(
            "{}: --html takes the XML of a domain, not a plan.json, which does not hold it",
            source.name
        ));
        return Err(Exit::Usage);
    }
    let mut compiled = world.compile_text(&source.bytes, Until::Planned);
    if world.shared.strict {
        compiled.diags.make_strict();
    }
    let text = String::from_utf8_lossy(&source.bytes).into_owned();
    Ok(Unit { source, text, compiled, conflicts: Diagnostics::new() })
}

/// What only many domains together tell: the same that `virtc build` finds.
fn look_at_fleet(units: &mut [Unit], world: &World<'_>) {
    let mut confined: Vec<categories::Member<'_>> = units
        .iter_mut()
        .filter_map(|u| Some(categories::Member { file: &u.source.name, plan: u.compiled.plan.as_mut()? }))
        .collect();
    let pairs = categories::settle(&mut confined, &world.host.security.selinux.range);
    let mut plans: Vec<_> = units.iter_mut().filter_map(|u| u.compiled.plan.as_mut()).collect();
    fleet::ports::spread(&mut plans);
    let members: Vec<Member<'_>> =
        units.iter().filter_map(|u| Some(Member { file: &u.source.name, plan: u.compiled.plan.as_ref()? })).collect();
    let (conflicts, rivals) = (fleet::conflicts(&members), fleet::rivals(&members));
    let planned = units.iter_mut().filter(|u| u.compiled.plan.is_some());
    for (((unit, mut conflicts), pairs), rivals) in planned.zip(conflicts).zip(pairs).zip(rivals) {
        conflicts.extend(pairs);
        unit.conflicts = conflicts;
        if let Some(plan) = &mut unit.compiled.plan {
            plan.rivals = rivals;
        }
    }
}

fn page(unit: &Unit, templates: &Templates) -> String {
    Explorer::of(&unit.source.name, &unit.text, &unit.compiled, templates, unit.conflicts.clone()).page()
}

/// `index.html` for the fleet, and a page a machine.
fn write_all(out: &Path, units: &[Unit], templates: &Templates) -> Exit {
    if let Err(e) = std::fs::create_dir_all(out) {
        complain(&format!("several machines have a page each, in a folder; cannot make '{}': {e}", out.display()));
        return Exit::Environment;
    }
    let names = names(units);
    let machines: Vec<Machine<'_>> = units
        .iter()
        .zip(&names)
        .map(|(unit, page)| Machine {
            file: &unit.source.name,
            page,
            plan: unit.compiled.plan.as_ref(),
            said: &unit.compiled.diags,
            conflicts: &unit.conflicts,
        })
        .collect();
    let mut exit = write(&out.join("index.html"), &fleet_page(&machines));
    for (unit, name) in units.iter().zip(&names) {
        exit = exit.and(write(&out.join(name), &page(unit, templates)));
    }
    exit
}

/// Names of the pages, which need no escaping in a link, each once.
fn names(units: &[Unit]) -> Vec<String> {
    let mut taken = BTreeSet::from(["index.html".to_string()]);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    let name = |unit: &Unit| {
        let stem = Path::new(&unit.source.name).file_stem().map(|s| s.to_string_lossy().into_owned());
        let name = unit.compiled.plan.as_ref().map(|p| p.name.clone()).or(stem).unwrap_or_default();
        let name: String = name.chars().take(100).map(plain).collect();
        let numbered = (2..).map(|n| format!("{name}-{n}.html"));
        let free = std::iter::once(format!("{name}.html")).chain(numbered).find(|name| !taken.contains(name));
        let free = free.unwrap_or_default();
        taken.insert(free.clone());
        free
    };
    units.iter().map(name).collect()
}

/// Writes a page; `-` is standard output.
fn write(path: &Path, text: &str) -> Exit {
    if path.as_os_str() == "-" {
        return print(text);
    }
    match std::fs::write(path, text) {
        Ok(()) => Exit::Done,
        Err(e) => {
            complain(&format!("cannot write '{}': {e}", path.display()));
            Exit::Environment
        }
    }
}
