//! SELinux categories at the start: what runs already keeps its pair, and a machine whose pair was derived gives way.

use super::errors::{Fault, fault};
use super::journal::{Entry, Journal};
use super::own::has_selinux;
use super::registry::{Record, Registry};
use crate::diag::codes::run as codes;
use crate::fleet::categories::give_way;
use crate::plan::Plan;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The plan with labels that no running machine has, and its context in the journal for those that start later.
pub(super) fn settle<'a>(
    plan: &'a Plan,
    registry: &Registry,
    journal: &mut Journal,
    say: &mut dyn FnMut(&str),
) -> Result<Cow<'a, Plan>, Fault> {
    if has_selinux() { choose(plan, registry, journal, say) } else { Ok(Cow::Borrowed(plan)) }
}

fn choose<'a>(
    plan: &'a Plan,
    registry: &Registry,
    journal: &mut Journal,
    say: &mut dyn FnMut(&str),
) -> Result<Cow<'a, Plan>, Fault> {
    if plan.confinement.selinux.is_none() {
        return Ok(Cow::Borrowed(plan));
    }
    // Of two that start at once, the second one looks when the first has written.
    let _lock = registry
        .lock()
        .map_err(|e| fault(&codes::PREPARE, format!("cannot lock {}: {e}", registry.base().display())))?;
    let others = registry.list().into_iter().filter(|record| record.journal != journal.path());
    let held: BTreeSet<String> = others.filter_map(|record| context(&record)).collect();
    let mut plan = Cow::Borrowed(plan);
    let mut other = plan.as_ref().clone();
    if let Some((was, now)) = give_way(&mut other, &held) {
        say(&format!(
            "the categories '{was}' that follow from the UUID are those of a machine that runs: it gets '{now}'"
        ));
        plan = Cow::Owned(other);
    }
    if let Some(selinux) = &plan.confinement.selinux {
        journal.add(Entry::Context(selinux.process.clone()))?;
    }
    Ok(plan)
}

/// The context of a machine that runs or is being started.
fn context(record: &Record) -> Option<String> {
    let noted = record.entries.iter().find_map(|entry| match entry {
        Entry::Context(context) => Some(context.clone()),
        _ => None,
    });
    let qemu = record.qemu();
    if record.supervised || qemu.is_some() {
        return noted.or_else(|| {
            // Started by its unit.
            let text = std::fs::read_to_string(format!("/proc/{}/attr/current", qemu?.pid)).ok()?;
            Some(text.trim_end_matches(['\0', '\n']).to_string())
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Instance, Selinux};

    fn plan(name: &str, derived: bool) -> Plan {
        let mut plan = Plan { name: name.to_string(), uuid: "u".to_string(), ..Plan::default() };
        let (process, image) = ("u:r:t:s0:c1,c2".to_string(), "u:object_r:i:s0:c1,c2".to_string());
        plan.confinement.selinux = Some(Selinux { process, image, derived, ..Selinux::default() });
        plan
    }

    #[test]
    fn two_machines_never_have_the_same_pair() {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::at(folder.path(), Instance::Session);
        let mut said = Vec::new();
        let mut start = |name: &str, derived: bool| {
            let mut journal = registry.claim(name).expect("no fault").expect("free");
            let machine = plan(name, derived);
            let settled = choose(&machine, &registry, &mut journal, &mut |note| said.push(note.to_string()));
            let selinux = settled.expect("no fault").into_owned().confinement.selinux.expect("labels");
            assert_eq!(selinux.process.strip_prefix("u:r:t"), selinux.image.strip_prefix("u:object_r:i"));
            (journal, selinux.process)
        };
        let (first, one) = start("one", true);
        let (_second, two) = start("two", true);
        let (_third, three) = start("three", false);
        assert!(one.ends_with(":c1,c2") && !two.ends_with(":c1,c2") && three == one);
        // A journal without a runner and a QEMU holds nothing.
        drop((first, _third));
        let (_fourth, four) = start("four", true);
        assert_eq!(four, one);
        assert!(said.len() == 1 && said[0].contains("'c1,c2'"), "{said:?}");
    }
}
