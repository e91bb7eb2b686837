//! Block devices of QEMU are numbered by the place of their disk among all disks, so that a new disk gives the others new
//! numbers. What counts is whose they are: the new Plan gets the numbers that the disks have in the old one, and a new disk
//! one that is free there. The names in commands of QMP are then those of the machine that runs.

use crate::plan::{ArgValue, Plan, Prop, Props};
use std::collections::BTreeMap;

/// The new Plan with the numbers of the old one; none if they agree.
pub fn renumbered(old: &Plan, new: &Plan) -> Option<Plan> {
    let (before, after) = (numbers(old), numbers(new));
    let mut free = before.values().chain(after.values()).max().copied().unwrap_or(0);
    let mut names: BTreeMap<u32, u32> = BTreeMap::new();
    for (device, number) in &after {
        let to = before.get(device).copied().unwrap_or_else(|| match before.values().any(|n| n == number) {
            true => {
                free += 1;
                free
            }
            false => *number,
        });
        names.insert(*number, to);
    }
    names.retain(|from, to| from != to);
    if names.is_empty() {
        return None;
    }
    let mut new = new.clone();
    for arg in new.processes.iter_mut().filter(|p| p.id == "qemu").flat_map(|p| &mut p.args) {
        if let ArgValue::Props(props, _) = &mut arg.value {
            rename(props, &names);
        }
    }
    Some(new)
}

/// The number of each disk, by the id of its device, and those of the nodes that it stands on.
fn numbers(plan: &Plan) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let Some(qemu) = plan.qemu() else { return found };
    for arg in qemu.args.iter().filter(|a| a.switch == "-device") {
        let ArgValue::Props(props, _) = &arg.value else { continue };
        let (Some(id), Some(drive)) = (props.text("id"), props.text("drive")) else { continue };
        let (mut key, mut name) = (id.to_string(), drive);
        for _ in 0..64 {
            let Some((number, _)) = split(name) else { break };
            found.insert(key.clone(), number);
            let below = qemu.args.iter().find_map(|a| match &a.value {
                ArgValue::Props(p, _) if a.switch == "-blockdev" && p.text("node-name") == Some(name) => p.text("file"),
                _ => None,
            });
            let Some(below) = below else { break };
            name = below;
            key.push('/');
        }
    }
    found
}

/// Number and rest of `libvirt-4-storage`.
fn split(name: &str) -> Option<(u32, &str)> {
    let (number, rest) = name.strip_prefix("libvirt-")?.split_once('-')?;
    Some((number.parse().ok()?, rest))
}

fn rename(props: &mut Props, names: &BTreeMap<u32, u32>) {
    props.0.iter_mut().for_each(|(_, value)| rename_value(value, names));
}

fn rename_value(value: &mut Prop, names: &BTreeMap<u32, u32>) {
    match value {
        Prop::Object(inner) => rename(inner, names),
        Prop::List(items) => items.iter_mut().for_each(|item| rename_value(item, names)),
        Prop::Text(text) => {
            if let Some((number, rest)) = split(text)
                && let Some(to) = names.get(&number)
            {
                *text = format!("libvirt-{to}-{rest}").into();
            }
        }
        _ => {}
    }
}
