//! What becomes of a machine under another QEMU, or as a newer machine type.
//!
//! A version of a machine type is a list of properties that it sets as they were then, so that a guest finds the hardware
//! that it knows. [`compat`] holds what QEMU says of them, [`table`] what else QEMU drops.

pub mod compat;
pub mod table;

use crate::caps::Version;
use crate::caps::retirement::{family, retirement};
use crate::plan::{Cause, Plan, Prop};
use compat::Compat;
use serde::Serialize;
use table::{RETIRING, Retiring};

/// A property of the guest's hardware that another machine type sets otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The type of device, as QEMU names it.
    pub device: String,
    /// The property.
    pub property: String,
    /// What it is now; none: nobody knows.
    pub before: Option<String>,
    /// What it would be.
    pub after: Option<String>,
    /// What of the domain has it: `disk vda`, `the board`.
    pub of: Vec<String>,
    /// The arguments that keep it as it is; none if it cannot be kept.
    pub keep: Option<String>,
}

/// When a machine type retires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retirement {
    /// The release that removes it.
    pub removed: Version,
    /// The release that marks it deprecated.
    pub deprecated: Version,
}

/// The first release that removes machine types by the rule of six years; older ones were removed by hand, and QEMU 10.0
/// still has those of PCs from 2.4 on (docs/about/removed-features.rst, "System emulator machines").
const RULE_SINCE: Version = Version::new(10, 1, 0);

/// When a machine type retires; none for one without a version.
pub fn retires(machine: &str) -> Option<Retirement> {
    let (_, release) = family(machine)?;
    let (deprecated, removed) = retirement(release);
    Some(Retirement { removed: removed.max(RULE_SINCE), deprecated })
}

/// The machine type of a Plan.
pub fn machine(plan: &Plan) -> Option<String> {
    let arg = plan.qemu()?.args.iter().find(|arg| arg.switch == "-machine")?;
    let crate::plan::ArgValue::Props(props, _) = &arg.value else { return None };
    props.0.first().and_then(|(_, value)| match value {
        Prop::Text(text) => Some(text.to_string()),
        _ => None,
    })
}

/// The types of device that a machine has, each with what of the domain it is.
fn devices(plan: &Plan, machine: &str, compat: &Compat) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> =
        compat.board(machine).iter().map(|d| ((*d).to_string(), "the board".to_string())).collect();
    let Some(qemu) = plan.qemu() else { return out };
    for arg in &qemu.args {
        let crate::plan::ArgValue::Props(props, _) = &arg.value else { continue };
        match &*arg.switch {
            "-device" => {
                let driver = props.text("driver").or(props.text("")).unwrap_or_default();
                out.push((driver.to_string(), describe(&arg.cause)));
            }
            "-cpu" => {
                if let Some(model) = props.text("").or(props.0.first().and_then(|(k, _)| props.text(k))) {
                    out.push((compat.cpu(model), "the CPU".to_string()));
                }
            }
            _ => {}
        }
    }
    out
}

fn describe(cause: &Cause) -> String {
    match cause.line {
        0 => cause.what.to_string(),
        line => format!("{} (line {line})", cause.what),
    }
}

/// What of a machine another machine type would change; none if nothing is known of one of the two.
pub fn changes(plan: &Plan, from: &str, to: &str) -> Option<Vec<Changed>> {
    let compat = Compat::about(from);
    let (before, after) = (compat.of(from)?, compat.of(to)?);
    let devices: Vec<(Vec<String>, String)> =
        devices(plan, from, compat).into_iter().map(|(device, of)| (compat.lineage(&device), of)).collect();
    let mut names: Vec<(&str, &str)> = before.keys().chain(after.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    let mut out = Vec::new();
    for (device, property) in names {
        let default = || compat.default(device, property);
        let old = before.get(&(device, property)).copied().or_else(default);
        let new = after.get(&(device, property)).copied().or_else(default);
        let same = before.get(&(device, property)) == after.get(&(device, property));
        if same || old.is_some() && old.map(plain) == new.map(plain) {
            continue;
        }
        // Migration is no device of the guest, and its settings are no hardware.
        let of: Vec<String> =
            devices.iter().filter(|(all, _)| all.iter().any(|d| d == device)).map(|(_, of)| of.clone()).collect();
        if of.is_empty() {
            continue;
        }
        let mut of = of;
        of.sort();
        of.dedup();
        let keep = old.map(|value| format!("-global {device}.{property}={}", shown(value)));
        out.push(Changed {
            device: device.to_string(),
            property: property.to_string(),
            before: old.map(shown),
            after: new.map(shown),
            of,
            keep,
        });
    }
    Some(out)
}

/// `on` and `true` are the same to QEMU.
fn plain(value: &str) -> &str {
    match value {
        "true" | "yes" => "on",
        "false" | "no" => "off",
        other => other,
    }
}

fn shown(value: &str) -> String {
    plain(value).replace("%20", " ").replace("%0a", "\n").replace("%25", "%")
}

/// The newest machine type of the family, not newer than `until`, that changes nothing that the machine has.
pub fn unchanged(plan: &Plan, from: &str, until: &str) -> Option<&'static str> {
    let (kind, _) = family(from)?;
    let last = family(until)?.1;
    let now = family(from)?.1;
    let newer = |m: &&str| family(m).is_some_and(|(_, v)| v > now && v <= last);
    let versions = Compat::about(from).versions(kind);
    versions.into_iter().filter(newer).find(|to| changes(plan, from, to).is_some_and(|c| c.is_empty()))
}

/// What else of the command line QEMU drops, up to a release, and the element that is the reason.
pub fn dropped(plan: &Plan, until: Version) -> Vec<(&'static Retiring, String)> {
    let args = plan.qemu().into_iter().flat_map(|q| &q.args);
    let mut out: Vec<(&'static Retiring, String)> = Vec::new();
    for arg in args {
        for row in RETIRING {
            let (major, minor) = row.deprecated;
            let known = out.iter().any(|(r, _)| std::ptr::eq(*r, row));
            if !known && Version::new(major, minor, 0) <= until && row.is_used_by(arg) {
                out.push((row, describe(&arg.cause)));
            }
        }
    }
    out
}

/// The newest machine type of a family that is known, at most of a release.
pub fn newest(machine: &str, until: Version) -> Option<&'static str> {
    let (kind, _) = family(machine)?;
    let versions = Compat::about(machine).versions(kind);
    versions.into_iter().find(|m| family(m).is_some_and(|(_, v)| v.0 / 1000 <= until.0 / 1000))
}

#[cfg(test)]
mod tests;
