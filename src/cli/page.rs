//! `virtc explain --html`, `virtc diff --html`: domains as pages for a browser.

use super::compiled::{self, There, Unit};
use super::diff::Machine as Compared;
use super::inputs::{World, report_beside};
use super::{Exit, Shared, complain, print};
use crate::diag::Diagnostics;
use crate::emit::Templates;
use crate::explorer::{Explorer, Machine, difference, fleet};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Writes the page of one file, or a folder with the pages of many. A domain with errors has a page, too.
pub fn run(files: &[PathBuf], out: &Path, shared: &Shared) -> Exit {
    let mut world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    // The page shows it.
    world.options.fresh_lock = true;
    let templates = match compiled::templates(&world) {
        Ok((templates, _)) => templates,
        Err(exit) => return exit,
    };
    let mut batch = compiled::compile(files, &world, &|_| false);
    if let Some(plan) = batch.units.iter().find(|u| u.source.bytes.trim_ascii_start().starts_with(b"{")) {
        complain(&format!("{}: --html takes the XML of a domain; a plan.json does not hold it", plan.source.name));
        return Exit::Usage;
    }
    let by_itself: Vec<usize> = batch.units.iter().map(|u| u.compiled.diags.len()).collect();
    compiled::settle(&mut batch.units, &There::default(), &[], &world);
    let written = match (files, batch.units.as_slice()) {
        ([file], [unit]) if !file.is_dir() => write(out, &page(unit, &templates)),
        (_, []) => Exit::Done,
        (_, units) => write_all(out, units, &by_itself, &templates),
    };
    let (reports, exit) = compiled::verdict(batch, shared);
    report_beside(&reports, shared);
    exit.and(written)
}

fn page(unit: &Unit, templates: &Templates) -> String {
    let text = String::from_utf8_lossy(&unit.source.bytes);
    Explorer::of(&unit.source.name, &text, &unit.compiled, templates).page()
}

/// `index.html` for the fleet, and a page a machine. Behind the first `by_itself` diagnostics are those of the fleet.
fn write_all(out: &Path, units: &[Unit], by_itself: &[usize], templates: &Templates) -> Exit {
    if let Err(e) = std::fs::create_dir_all(out) {
        complain(&format!("several machines have a page each, in a folder; cannot make '{}': {e}", out.display()));
        return Exit::Environment;
    }
    let names = names(units);
    let conflicts: Vec<Diagnostics> =
        units.iter().zip(by_itself).map(|(unit, first)| conflicts(unit, *first)).collect();
    let machines: Vec<Machine<'_>> = units
        .iter()
        .zip(&names)
        .zip(&conflicts)
        .map(|((unit, page), conflicts)| Machine {
            file: &unit.source.name,
            page,
            plan: unit.compiled.plan.as_ref(),
            said: &unit.compiled.diags,
            conflicts,
        })
        .collect();
    let mut exit = write(&out.join("index.html"), &fleet(&machines));
    for (unit, name) in units.iter().zip(&names) {
        exit = exit.and(write(&out.join(name), &page(unit, templates)));
    }
    exit
}

/// Writes what differs: the page of one machine, or a folder with the pages of many. Machines without differences have none.
pub(super) fn differences(machines: &[Compared], titles: &[String; 2], out: &Path) -> Exit {
    let templates = Templates::built_in();
    let page = |machine: &Compared| {
        machine.sides.as_deref().map(|(old, new)| {
            let [old, new] = [(old, 0), (new, 1)].map(|(side, i)| difference::Side {
                name: if machines.len() == 1 { &titles[i] } else { &side.file },
                source: side.text.as_deref(),
                plan: &side.plan,
            });
            difference::page(&old, &new, &machine.found, &templates)
        })
    };
    if let [machine] = machines
        && let Some(page) = page(machine)
    {
        return write(out, &page);
    }
    if machines.is_empty() {
        complain("nothing differs, so there is no page");
        return Exit::Done;
    }
    if let Err(e) = std::fs::create_dir_all(out) {
        complain(&format!("several machines have a page each, in a folder; cannot make '{}': {e}", out.display()));
        return Exit::Environment;
    }
    let mut taken = BTreeSet::from(["index.html".to_string()]);
    let mut exit = Exit::Done;
    let mut names = Vec::new();
    for machine in machines {
        names.push(page(machine).map(|page| {
            let name = free(&machine.name, &mut taken);
            exit = exit.and(write(&out.join(&name), &page));
            name
        }));
    }
    let listed = Vec::from_iter(machines.iter().zip(&names).map(|(machine, page)| listed(machine, page)));
    exit.and(write(&out.join("index.html"), &difference::index(&titles[0], &titles[1], &listed)))
}

fn listed<'a>(machine: &'a Compared, page: &'a Option<String>) -> difference::Machine<'a> {
    difference::Machine { name: &machine.name, page: page.as_deref(), found: &machine.found }
}

/// What a domain cannot have beside the others.
fn conflicts(unit: &Unit, by_itself: usize) -> Diagnostics {
    let mut all = unit.compiled.diags.clone();
    all.retain(|at, _| at >= by_itself);
    all
}

/// Names of the pages, which need no escaping in a link, each once.
fn names(units: &[Unit]) -> Vec<String> {
    let mut taken = BTreeSet::from(["index.html".to_string()]);
    let name = |unit: &Unit| {
        let stem = Path::new(&unit.source.name).file_stem().map(|s| s.to_string_lossy().into_owned());
        let name = unit.compiled.plan.as_ref().map(|p| p.name.clone()).or(stem).unwrap_or_default();
        free(&name, &mut taken)
    };
    units.iter().map(name).collect()
}

/// The name of a page that needs no escaping in a link and is not taken yet; it is afterwards.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    let name: String = name.chars().take(100).map(plain).collect();
    let numbered = (2..).map(|n| format!("{name}-{n}.html"));
    let free = std::iter::once(format!("{name}.html")).chain(numbered).find(|name| !taken.contains(name));
    let free = free.unwrap_or_default();
    taken.insert(free.clone());
    free
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
