//! `<bandwidth>` of interfaces in force for a run, and out of it.

use super::errors::Fault;
use super::journal::{Entry, Journal};
use super::links::{as_text, run};
use crate::emit::shaping::commands;
use crate::plan::Plan;

/// Shapes the links of the plan. A limit that is not in force is told with its commands; the machine runs without.
pub(super) fn apply(plan: &Plan, journal: &mut Journal, notes: &mut Vec<String>) -> Result<(), Fault> {
    let root = rustix::process::geteuid().is_root();
    for link in plan.links.iter().filter(|l| l.bandwidth.is_some()) {
        let commands = commands(link);
        if commands.is_empty() {
            continue;
        }
        if link.name.is_empty() {
            notes.push(format!("<bandwidth> of the interface {} is not in force: its link has no name", link.mac));
            continue;
        }
        if !root {
            notes.push(format!(
                "<bandwidth> of the interface {} is not in force; as root:\n{}",
                link.mac,
                as_text(&commands)
            ));
            continue;
        }
        // On a link that goes at the end, so does this. What a killed runner left is removed first.
        journal.add(Entry::Shaping(link.name.clone()))?;
        remove(&link.name);
        for words in &commands {
            if let Err(why) = run(words) {
                let why = why.lines().next().unwrap_or_default();
                notes.push(format!(
                    "<bandwidth> of the interface {} is not in force: {} ({why})",
                    link.mac,
                    words.join(" ")
                ));
                break;
            }
        }
    }
    Ok(())
}

/// Removes what shapes a link. One that is gone took it along.
pub(super) fn remove(name: &str) {
    for which in ["root", "ingress"] {
        let _ = run(&["tc", "qdisc", "del", "dev", name, which].map(str::to_string));
    }
}
