//! The pairs of SELinux categories of domains that are compiled together: no two may have the same.
//!
//! A pair follows from the UUID alone, so that it does not change with what else is compiled. There are half
//! a million pairs, and so among a thousand domains two often come to the same one: then the one with
//! the higher UUID takes the next that is free. Pairs that the XML gives are taken first.

use crate::diag::{Diagnostics, Span, codes::security as codes};
use crate::host::Categories;
use crate::plan::{Cause, Plan};
use std::collections::{BTreeMap, BTreeSet};

/// One domain of the fleet.
pub struct Member<'a> {
    /// The file, as the user named it.
    pub file: &'a str,
    /// Its Plan, whose pair may change.
    pub plan: &'a mut Plan,
    /// Whether it is there already, so that its pair stays, and nothing is told about it.
    pub settled: bool,
}

/// Gives every domain a pair of its own. `range` is that of the host facts, from which pairs are derived. Gives
/// the faults of each member, in the order of the members.
pub fn settle(members: &mut [Member<'_>], range: &str) -> Vec<Diagnostics> {
    let mut faults: Vec<Diagnostics> = members.iter().map(|_| Diagnostics::new()).collect();
    let Ok(range) = Categories::parse(range) else { return faults };
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for (at, member) in members.iter().enumerate().filter(|(_, member)| member.settled) {
        taken.extend(pair_of(member.plan).map(|pair| (pair, at)));
    }
    let derived = |plan: &Plan| plan.confinement.selinux.as_ref().is_some_and(|s| s.derived);
    for at in 0..members.len() {
        let fixed = !derived(members[at].plan) && !members[at].settled;
        let Some(own) = pair_of(members[at].plan).filter(|_| fixed) else { continue };
        match taken.get(&own) {
            None => {
                taken.insert(own, at);
            }
            Some(&other) => {
                let message = format!("the categories '{own}' are also those of {}", place(&members[other]));
                let line = cause(members[other].plan).map_or(0, |c| c.line);
                faults[at]
                    .error(&codes::SAME_CATEGORIES, span(members[at].plan), message)
                    .elsewhere(members[other].file, line, "the first is here")
                    .help("give one of the domains other categories, or no <seclabel> and so a pair of its own");
            }
        }
    }
    // By UUID, so that the order of the files does not matter.
    let mut order: Vec<usize> =
        (0..members.len()).filter(|at| derived(members[*at].plan) && !members[*at].settled).collect();
    order.sort_by(|a, b| members[*a].plan.uuid.cmp(&members[*b].plan.uuid));
    for at in order {
        let Some(wanted) = pair_of(members[at].plan) else { continue };
        let Some(&other) = taken.get(&wanted) else {
            taken.insert(wanted, at);
            continue;
        };
        // The same UUID is another fault.
        if members[other].plan.uuid == members[at].plan.uuid {
            continue;
        }
        let Some(found) = free(&range, &members[at].plan.uuid, |pair| taken.contains_key(pair)) else {
            let message = format!("all {} pairs of categories of the host's range are taken", range.pairs());
            faults[at]
                .error(&codes::SAME_CATEGORIES, span(members[at].plan), message)
                .help("widen the range in the host facts: security { selinux range=\"s0-s0:c0.c1023\"; }");
            continue;
        };
        let message = format!(
            "the categories '{wanted}' that follow from the UUID are also those of {}; this domain gets '{found}'",
            place(&members[other])
        );
        faults[at].warning(&codes::SAME_CATEGORIES, span(members[at].plan), message).help(
            "always compile the two together; or give one a <seclabel type='static' relabel='yes'> with a label of its own",
        );
        if !members[other].settled {
            let message = format!("{} comes to the same categories '{wanted}', and gets others", place(&members[at]));
            faults[other].note(&codes::SAME_CATEGORIES, span(members[other].plan), message);
        }
        replace(members[at].plan, &wanted, &found);
        taken.insert(found, at);
    }
    faults
}

/// Another pair for a domain whose derived pair a running machine has. `held`: the contexts of what runs. Gives the pair
/// that it had and the one that it has now; none if there was nothing to do, or nothing is free.
pub fn give_way(plan: &mut Plan, held: &BTreeSet<String>) -> Option<(String, String)> {
    let selinux = plan.confinement.selinux.as_ref().filter(|s| s.derived)?;
    let range = if selinux.range.is_empty() { Categories::ALL } else { &selinux.range };
    let range = Categories::parse(range).ok()?;
    let taken: BTreeSet<String> = held.iter().filter_map(|context| pair(context)).collect();
    let wanted = pair_of(plan).filter(|own| taken.contains(own))?;
    let found = free(&range, &plan.uuid, |pair| taken.contains(pair))?;
    replace(plan, &wanted, &found);
    Some((wanted, found))
}

fn pair_of(plan: &Plan) -> Option<String> {
    plan.confinement.selinux.as_ref().and_then(|s| pair(&s.process))
}

/// The first pair from that of the UUID on that is not taken.
fn free(range: &Categories, uuid: &str, taken: impl Fn(&str) -> bool) -> Option<String> {
    let first = Categories::number(uuid) % range.pairs().max(1);
    let pairs = (0..range.pairs()).map(|step| range.pair(first.wrapping_add(step)));
    pairs.map(|(low, high)| format!("c{low},c{high}")).find(|pair| !taken(pair))
}

/// Writes another pair into the labels of a plan.
fn replace(plan: &mut Plan, wanted: &str, found: &str) {
    let Some(selinux) = &mut plan.confinement.selinux else { return };
    for context in [&mut selinux.process, &mut selinux.image] {
        if let Some(start) = context.strip_suffix(wanted) {
            *context = format!("{start}{found}");
        }
    }
}

/// The pair of categories of a context: `c1,c2`, the lower one first; none if it has no pair.
pub fn pair(context: &str) -> Option<String> {
    let (_, set) = context.splitn(4, ':').nth(3)?.split_once(':')?;
    let (a, b) = set.split_once(',')?;
    let number = |c: &str| c.strip_prefix('c')?.parse::<u32>().ok();
    let (a, b) = (number(a)?, number(b)?);
    Some(format!("c{},c{}", a.min(b), a.max(b)))
}

/// Where the categories come from: the label, or the domain.
fn cause(plan: &Plan) -> Option<&Cause> {
    let label = plan.confinement.selinux.as_ref().map(|s| &s.cause).filter(|c| c.line > 0);
    label.or(plan.qemu().map(|q| &q.cause))
}

fn span(plan: &Plan) -> Span {
    cause(plan).filter(|c| c.line > 0).map_or(Span::NONE, |c| c.span)
}

fn place(member: &Member<'_>) -> String {
    match cause(member.plan).filter(|c| c.line > 0) {
        Some(cause) => format!("{}:{}", member.file, cause.line),
        None => member.file.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Selinux;

    const EIGHT: &str = "s0-s0:c0.c7";

    fn plan(uuid: &str, fixed: Option<&str>) -> Plan {
        let range = Categories::parse(EIGHT).unwrap();
        let (low, high) = range.pair(Categories::number(uuid));
        let pair = fixed.map_or(format!("c{low},c{high}"), str::to_string);
        let mut plan = Plan { uuid: uuid.to_string(), ..Plan::default() };
        plan.confinement.selinux = Some(Selinux {
            process: format!("u:r:t:s0:{pair}"),
            image: format!("u:object_r:i:s0:{pair}"),
            derived: fixed.is_none(),
            ..Selinux::default()
        });
        plan
    }

    fn run(plans: &mut [Plan]) -> (BTreeSet<String>, Vec<Diagnostics>) {
        let mut members: Vec<Member<'_>> =
            plans.iter_mut().map(|plan| Member { file: "a.xml", plan, settled: false }).collect();
        let faults = settle(&mut members, EIGHT);
        let label = |p: &Plan| p.confinement.selinux.as_ref().map(|s| (s.process.clone(), s.image.clone())).unwrap();
        for plan in plans.iter() {
            let (process, image) = label(plan);
            assert_eq!(process.strip_prefix("u:r:t:"), image.strip_prefix("u:object_r:i:"));
        }
        (plans.iter().map(|p| label(p).0).collect(), faults)
    }

    #[test]
    fn all_pairs_are_given_and_no_more() {
        let mut plans: Vec<Plan> = (0..28).map(|i| plan(&format!("{i:08}"), None)).collect();
        let (labels, faults) = run(&mut plans);
        assert_eq!(labels.len(), 28);
        assert!(faults.iter().all(|d| !d.has_errors()) && faults.iter().any(|d| !d.is_empty()));
        let mut reversed: Vec<Plan> = (0..28).rev().map(|i| plan(&format!("{i:08}"), None)).collect();
        run(&mut reversed);
        reversed.reverse();
        let processes = |plans: &[Plan]| -> Vec<String> {
            plans.iter().filter_map(|p| Some(p.confinement.selinux.as_ref()?.process.clone())).collect()
        };
        assert_eq!(processes(&plans), processes(&reversed), "the order of the files does not matter");
        plans.push(plan("99999999", None));
        let (_, faults) = run(&mut plans);
        assert!(faults[28].has_errors());
    }

    #[test]
    fn pairs_of_the_xml_go_first() {
        let free = plan("1", None).confinement.selinux.unwrap();
        let own = pair(&free.process).unwrap();
        let mut plans = [plan("1", None), plan("2", Some(&own))];
        let (labels, faults) = run(&mut plans);
        assert_eq!(labels.len(), 2);
        assert!(plans[1].confinement.selinux.as_ref().unwrap().process.ends_with(&own));
        assert!(!faults[0].has_errors() && !faults[0].is_empty());
        let (_, faults) = run(&mut [plan("1", Some("c2,c1")), plan("2", Some("c1,c2")), plan("3", Some("c1"))]);
        assert!(faults[0].is_empty() && faults[1].has_errors() && faults[2].is_empty());
    }

    #[test]
    fn what_runs_keeps_its_pair() {
        let mut ours = plan("1", None);
        ours.confinement.selinux.as_mut().unwrap().range = EIGHT.to_string();
        let own = pair_of(&ours).unwrap();
        // The profile of AppArmor in place of a context, another pair, no pair.
        let mut held =
            BTreeSet::from(["libvirt-1 (enforce)".to_string(), "u:r:t:s0:c900,c901".into(), "u:r:t:s0".into()]);
        assert_eq!(give_way(&mut ours, &held), None);
        held.insert(format!("u:r:other_t:s0:{own}"));
        let (was, now) = give_way(&mut ours, &held).unwrap();
        let labels = ours.confinement.selinux.clone().unwrap();
        assert!(was == own && now != own && labels.process.ends_with(&now) && labels.image.ends_with(&now));
        let mut fixed = plan("1", Some(&own));
        assert_eq!(give_way(&mut fixed, &held), None, "what the XML says is meant");
    }
}
