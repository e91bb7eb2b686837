//! Conflicts between domains that are compiled together: what only one of them can have.

pub mod categories;
mod claims;
pub mod ports;

use crate::diag::codes::general as codes;
use crate::diag::codes::hostdev::IN_TURNS;
use crate::diag::{Diagnostics, Span};
use crate::plan::{Access, Cause, Listen, PathKind, Plan, Sharing, Use};
use std::collections::{BTreeMap, BTreeSet};

/// One compiled domain of the fleet.
pub struct Member<'a> {
    /// The file, as the user named it.
    pub file: &'a str,
    /// Its Plan.
    pub plan: &'a Plan,
}

/// A thing that only one domain can have: what kind, which one, who claims it.
type Claims<'a> = BTreeMap<(&'static str, String), Vec<(usize, &'a Cause)>>;

/// A port by protocol (whether UDP) and number, and who listens there.
type Ports<'a> = BTreeMap<(bool, u16), Vec<(usize, &'a Listen)>>;

/// Finds everything that two domains claim. Gives the faults of each member, in the order of the members;
/// each points at its own place and names the other's.
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
        for (i, &(at, cause)) in owners.iter().enumerate() {
            let other = owners[if i == 0 { 1 } else { 0 }];
            if *kind == DEVICE {
                let span = if cause.line > 0 { cause.span } else { Span::NONE };
                let message = format!("the host device '{value}' is also that of {}", place(members, other));
                faults[at]
                    .warning(&IN_TURNS, span, message)
                    .help("they have it by turns: to start one stops the other");
                continue;
            }
            let message = format!("the {kind} '{value}' is also that of {}", place(members, other));
            fault(&mut faults[at], cause, message, format!("give one of the domains another {kind}"));
        }
    }
    for owners in ports.values().filter(|owners| owners.len() > 1) {
        for (at, port) in owners {
            let other = owners.iter().find(|(other, theirs)| other != at && theirs.collides(port));
            let Some(&(other, there)) = other else { continue };
            let protocol = if port.udp { "UDP" } else { "TCP" };
            let message = format!(
                "the {protocol} port {} of {} is also that of {}",
                port.port,
                port.address,
                place(members, (other, &there.cause))
            );
            fault(&mut faults[*at], &port.cause, message, "give one of the domains another port".to_string());
        }
    }
    readers(members, &claims, &mut faults);
    faults
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
    for (at, member) in members.iter().enumerate() {
        let reads = |a: &&Access| {
            a.sharing == Sharing::ReadOnly
                && matches!(a.kind, PathKind::File | PathKind::BlockDevice)
                && a.usage == Use::Disk
        };
        for access in member.plan.access.iter().filter(reads) {
            let writers = claims.get(&("writable disk", access.path.clone()));
            let Some(&writer) = writers.and_then(|w| w.iter().find(|(other, _)| *other != at)) else { continue };
            let message = format!("'{}' is read here and written by {}", access.path, place(members, writer));
            let span = if access.cause.line > 0 { access.cause.span } else { Span::NONE };
            faults[at]
                .warning(&codes::FLEET, span, message)
                .help("an image that others are based on must not change: make it <readonly/> there too");
        }
    }
}

fn fault(faults: &mut Diagnostics, cause: &Cause, message: String, help: String) {
    let span = if cause.line > 0 { cause.span } else { Span::NONE };
    faults.error(&codes::FLEET, span, message).help(help);
}

/// `file.xml:12`
fn place(members: &[Member<'_>], (member, cause): (usize, &Cause)) -> String {
    match cause.line {
        0 => members[member].file.to_string(),
        line => format!("{}:{line}", members[member].file),
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
        let members = [("a.xml", &a), ("b.xml", &b), ("c.xml", &c)].map(|(file, plan)| Member { file, plan });
        let faults = conflicts(&members);
        let messages: Vec<String> = faults.iter().flat_map(|d| d.iter().map(|d| d.message.clone())).collect();
        assert_eq!(messages, ["the name 'vm' is also that of b.xml", "the name 'vm' is also that of a.xml"]);
        assert!(faults[2].is_empty());
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
        let member = |file, plan| Member { file, plan };
        assert_eq!(faults(&[member("a", &a), member("b", &b)]), [0, 0]);
        assert_eq!(faults(&[member("a", &a), member("b", &b), member("c", &c)]), [1, 1, 1]);
    }
}
