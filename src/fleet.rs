//! Conflicts between domains that are compiled together: what only one of them can have.

pub mod categories;

use crate::diag::codes::general as codes;
use crate::diag::{Diagnostics, Span};
use crate::plan::{Arg, ArgValue, Cause, PathKind, Plan, Sharing};
use std::collections::BTreeMap;

/// One compiled domain of the fleet.
pub struct Member<'a> {
    /// The file, as the user named it.
    pub file: &'a str,
    /// Its Plan.
    pub plan: &'a Plan,
}

/// A thing that only one domain can have: what kind, which one, who claims it.
type Claims<'a> = BTreeMap<(&'static str, String), Vec<(usize, &'a Cause)>>;

/// Finds everything that two domains claim. Gives the faults of each member, in the order of the members;
/// each points at its own place and names the other's.
pub fn conflicts(members: &[Member<'_>]) -> Vec<Diagnostics> {
    let mut claims = Claims::new();
    for (at, member) in members.iter().enumerate() {
        claim(member.plan, &mut |kind, value, cause| {
            let owners = claims.entry((kind, value)).or_default();
            if owners.last().is_none_or(|(last, _)| *last != at) {
                owners.push((at, cause));
            }
        });
    }
    let mut faults: Vec<Diagnostics> = members.iter().map(|_| Diagnostics::new()).collect();
    for ((kind, value), owners) in claims.iter().filter(|(_, owners)| owners.len() > 1) {
        for (i, (at, cause)) in owners.iter().enumerate() {
            let (other, place) = owners[if i == 0 { 1 } else { 0 }];
            let line = if place.line > 0 { format!(":{}", place.line) } else { String::new() };
            let span = if cause.line > 0 { cause.span } else { Span::NONE };
            faults[*at]
                .error(
                    &codes::FLEET,
                    span,
                    format!("the {kind} '{value}' is also that of {}{line}", members[other].file),
                )
                .help(format!("give one of the domains another {kind}"));
        }
    }
    faults
}

/// Calls `f` for everything that a domain claims for itself.
fn claim<'a>(plan: &'a Plan, f: &mut dyn FnMut(&'static str, String, &'a Cause)) {
    let Some(qemu) = plan.qemu() else { return };
    f("name", plan.name.clone(), &qemu.cause);
    f("UUID", plan.uuid.clone(), &qemu.cause);
    for access in plan.access.iter().filter(|a| a.perms.write && a.sharing == Sharing::Exclusive) {
        match access.kind {
            PathKind::File | PathKind::BlockDevice => f("writable image", access.path.clone(), &access.cause),
            PathKind::Socket => f("socket", access.path.clone(), &access.cause),
            PathKind::CharDevice => f("host device", access.path.clone(), &access.cause),
            _ => {}
        }
    }
    for link in plan.links.iter().filter(|l| !l.name.is_empty()) {
        f("network interface", link.name.clone(), &link.cause);
    }
    for arg in &qemu.args {
        let Arg { switch, value: ArgValue::Props(props, _), cause } = arg else { continue };
        match &**switch {
            "-device" => {
                if let Some(mac) = props.text("mac") {
                    f("MAC address", mac.to_string(), cause);
                }
                if let (Some("vfio-pci"), Some(host)) = (props.text("driver"), props.text("host")) {
                    f("host device", host.to_string(), cause);
                }
            }
            "-vnc" => {
                // With `to`, QEMU looks for a free display itself.
                let fixed = props.get("to").is_none();
                if let Some(address) = props.text("").filter(|a| fixed && a.contains(':')) {
                    f("VNC display", address.to_string(), cause);
                }
            }
            _ => {}
        }
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
}
