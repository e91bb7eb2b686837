//! Conflicts between domains that are compiled together: what only one of them can have.

pub mod categories;
mod claims;
pub mod inventory;
pub mod ports;

use crate::diag::codes::general as codes;
use crate::diag::codes::hostdev::IN_TURNS;
use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::plan::{Access, Cause, Listen, PathKind, Plan, Sharing, Use};
use std::collections::{BTreeMap, BTreeSet};

/// One compiled domain of the fleet.
pub struct Member<'a> {
    /// The file, as the user named it.
    pub file: &'a str,
    /// Its Plan.
    pub plan: &'a Plan,
    /// For what is there already, words that say so: what it has, others cannot have, and nothing is told about it.
    pub there: Option<&'a str>,
}

/// A thing that only one domain can have: what kind, which one, who claims it.
type Claims<'a> = BTreeMap<(&'static str, String), Vec<(usize, &'a Cause)>>;

/// A port by protocol (whether UDP) and number, and who listens there.
type Ports<'a> = BTreeMap<(bool, u16), Vec<(usize, &'a Listen)>>;

/// Finds everything that two domains claim. Gives the faults of each member, in the order of the members. Each fact is told
/// once: where the later of the two claims it, with the place of the first.
pub fn conflicts(members: &[Member<'_>]) -> Vec<Diagnostics> {
    let mut claims = Claims::new();
    let mut ports = Ports::new();
    for (at, member) in members.iter().enumerate() {
        claims::claim(member.plan, &mut |kind, value, cause| {
            let owners = claims.entry((kind, value)).or_default();
            if owners.last().is_none_or(|(last, _)| *last != at) {
                owners.push((at, cause));
            }
        });
        for port in &member.plan.listens {
            ports.entry((port.udp, port.port)).or_default().push((at, port));
        }
    }
    let mut faults: Vec<Diagnostics> = members.iter().map(|_| Diagnostics::new()).collect();
    for ((kind, value), owners) in claims.iter().filter(|(_, owners)| owners.len() > 1) {
        // Those that are compiled together have been given pairs of their own.
        if *kind == claims::CATEGORIES && !owners.iter().any(|(at, _)| members[*at].there.is_some()) {
            continue;
        }
        // Of two with one UUID that is told.
        let uuids: BTreeSet<&str> = owners.iter().map(|(at, _)| members[*at].plan.uuid.as_str()).collect();
        if *kind == claims::PROFILE && uuids.len() < owners.len() {
            continue;
        }
        let (first, others) = told(members, owners);
        for &(at, cause) in others {
            let place = place(members, first);
            if *kind == DEVICE {
                let message = format!("the host device '{value}' is also that of {place}");
                let span = span_of(cause);
                let warning = faults[at].warning(&IN_TURNS, span, message);
                point(warning, members, first).help("they have it by turns: to start one stops the other");
                continue;
            }
            let message = format!("the {kind} '{value}' is also that of {place}");
            let error = faults[at].error(&codes::FLEET, span_of(cause), message);
            let help = match *kind {
                claims::CATEGORIES => {
                    "build the two together, so that each gets a pair of its own: virtc build a.xml b.xml".to_string()
                }
                _ => format!("give one of the domains another {kind}"),
            };
            point(error, members, first).help(help);
        }
    }
    for owners in ports.values().filter(|owners| owners.len() > 1) {
        for (number, (at, port)) in owners.iter().enumerate().filter(|(_, (at, _))| members[*at].there.is_none()) {
            // The first that is in the way, of those before it and of those that are there already.
            let earlier = |(n, (other, theirs)): &(usize, &(usize, &Listen))| {
                other != at && theirs.collides(port) && (*n < number || members[*other].there.is_some())
            };
            let Some((_, &(other, there))) = owners.iter().enumerate().find(earlier) else { continue };
            let protocol = if port.udp { "UDP" } else { "TCP" };
            let first = (other, &there.cause);
            let place = place(members, first);
            let message = format!("the {protocol} port {} of {} is also that of {place}", port.port, port.address);
            let error = faults[*at].error(&codes::FLEET, span_of(&port.cause), message);
            point(error, members, first).help("give one of the domains another port");
        }
    }
    readers(members, &claims, &mut faults);
    faults
}

/// Who has a thing first, and who is told of it: the others that are not there already.
fn told<'c, 'a>(
    members: &[Member<'_>],
    owners: &'c [(usize, &'a Cause)],
) -> ((usize, &'a Cause), impl Iterator<Item = &'c (usize, &'a Cause)>) {
    let settled = owners.iter().position(|(at, _)| members[*at].there.is_some()).unwrap_or(0);
    let others =
        move |(number, (at, _)): &(usize, &(usize, &Cause))| *number != settled && members[*at].there.is_none();
    (owners[settled], owners.iter().enumerate().filter(others).map(|(_, owner)| owner))
}

/// A claim that two machines can have by turns.
const DEVICE: &str = "host device";

/// The names of those with whom each member has a device of the host by turns.
pub fn rivals(members: &[Member<'_>]) -> Vec<Vec<String>> {
    let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        claims::claim(member.plan, &mut |kind, value, _| {
            if kind == DEVICE {
                owners.entry(value).or_default().push(at);
            }
        });
    }
    let mut rivals: Vec<BTreeSet<String>> = members.iter().map(|_| BTreeSet::new()).collect();
    for owners in owners.values() {
        for (&at, &other) in owners.iter().flat_map(|at| owners.iter().map(move |other| (at, other))) {
            if members[at].plan.name != members[other].plan.name {
                rivals[at].insert(members[other].plan.name.clone());
            }
        }
    }
    rivals.into_iter().map(Vec::from_iter).collect()
}

/// A disk that one domain writes and another reads: QEMU refuses to open it twice.
fn readers(members: &[Member<'_>], claims: &Claims<'_>, faults: &mut [Diagnostics]) {
    for (at, member) in members.iter().enumerate().filter(|(_, member)| member.there.is_none()) {
        let reads = |a: &&Access| {
            a.sharing == Sharing::ReadOnly
                && matches!(a.kind, PathKind::File | PathKind::BlockDevice)
                && a.usage == Use::Disk
        };
        for access in member.plan.access.iter().filter(reads) {
            let writers = claims.get(&("writable disk", access.path.clone()));
            let Some(&writer) = writers.and_then(|w| w.iter().find(|(other, _)| *other != at)) else { continue };
            let message = format!("'{}' is read here and written by {}", access.path, place(members, writer));
            let warning = faults[at].warning(&codes::FLEET, span_of(&access.cause), message);
            point(warning, members, writer)
                .help("an image that others are based on must not change: make it <readonly/> there too");
        }
    }
}

fn span_of(cause: &Cause) -> Span {
    if cause.line > 0 { cause.span } else { Span::NONE }
}

/// Adds the place of the other.
fn point<'d>(
    fault: &'d mut Diagnostic,
    members: &[Member<'_>],
    (member, cause): (usize, &Cause),
) -> &'d mut Diagnostic {
    fault.elsewhere(members[member].file, cause.line, "the first is here")
}

/// `file.xml:12`
fn place(members: &[Member<'_>], (member, cause): (usize, &Cause)) -> String {
    let Member { file, there, .. } = &members[member];
    match (there, cause.line) {
        (Some(words), _) => words.to_string(),
        (None, 0) => file.to_string(),
        (None, line) => format!("{file}:{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Process, Role};

    fn plan(name: &str, uuid: &str) -> Plan {
        let qemu = Process { role: Role::Qemu, ..Process::default() };
        Plan { name: name.to_string(), uuid: uuid.to_string(), processes: vec![qemu], ..Plan::default() }
    }

    #[test]
    fn a_name_is_claimed_once() {
        let (a, b, c) = (plan("vm", "1"), plan("vm", "2"), plan("other", "3"));
        let members =
            [("a.xml", &a), ("b.xml", &b), ("c.xml", &c)].map(|(file, plan)| Member { file, plan, there: None });
        let faults = conflicts(&members);
        let messages: Vec<String> = faults.iter().flat_map(|d| d.iter().map(|d| d.message.clone())).collect();
        assert_eq!(messages, ["the name 'vm' is also that of a.xml"], "a fact is told once");
        assert!(faults[0].is_empty() && faults[2].is_empty());
        assert_eq!(faults[1].iter().next().expect("a fault").elsewhere[0].file, "a.xml");
    }

    #[test]
    fn what_is_there_already_is_told_nothing() {
        let (a, b, c) = (plan("vm", "1"), plan("vm", "2"), plan("vm", "3"));
        let member = |file, plan, there: bool| Member { file, plan, there: there.then_some("that one") };
        let members = [member("a.xml", &a, false), member("there", &b, true), member("c.xml", &c, false)];
        let faults = conflicts(&members);
        let of = |at: usize| faults[at].iter().map(|d| d.message.as_str()).collect::<Vec<_>>();
        assert_eq!(of(0), ["the name 'vm' is also that of that one"]);
        assert!(of(1).is_empty());
        assert_eq!(of(2), ["the name 'vm' is also that of that one"]);
        assert!(conflicts(&[member("x", &a, true), member("y", &b, true)]).iter().all(Diagnostics::is_empty));
    }

    #[test]
    fn ports_collide_across_addresses() {
        let listening = |address: &str| {
            let mut plan = plan(address, address);
            plan.listens.extend(Listen::tcp("qemu", address, 7000, Cause { line: 3, ..Cause::default() }));
            plan
        };
        let (a, b, c) = (listening("127.0.0.1"), listening("127.0.0.2"), listening("0.0.0.0"));
        let faults =
            |members: &[Member<'_>]| -> Vec<usize> { conflicts(members).iter().map(|d| d.iter().count()).collect() };
        let member = |file, plan| Member { file, plan, there: None };
        assert_eq!(faults(&[member("a", &a), member("b", &b)]), [0, 0]);
        assert_eq!(faults(&[member("a", &a), member("b", &b), member("c", &c)]), [0, 0, 1]);
    }
}
