//! A lock as KDL: one line a value that people review, in an order that does not change.

use super::{Entry, Lock, VERSION, Values};
use crate::host::Lines;

/// The text of the file.
pub fn write(lock: &Lock) -> String {
    let mut out = Lines::new();
    out.comment("What virtc chose for this machine and its guest can see. Made by `virtc lock`: keep it beside the XML, in git.");
    out.node("virtc-lock").prop_number("version", VERSION);
    out.node("domain").text(&lock.name);
    if let Some(machine) = &lock.machine {
        out.node("machine").text(&machine.name).prop("asked", &machine.asked);
    }
    for (path, value) in &lock.values {
        out.node("value").text(path).text(value);
    }
    for entry in &lock.devices {
        device(entry, &mut out);
    }
    out.finish()
}

fn device(entry: &Entry, out: &mut Lines) {
    out.node(&entry.element).text(&entry.id);
    if entry.made {
        out.prop_truth("made", true);
    }
    let lines: Vec<(&str, &Values)> = [("is", &entry.is), ("has", &entry.has), ("at", &entry.at)]
        .into_iter()
        .filter(|(_, v)| !v.is_empty())
        .collect();
    if lines.is_empty() {
        return;
    }
    out.block(|out| {
        for (name, values) in lines {
            out.node(name);
            for (path, value) in values {
                out.prop(path, value);
            }
        }
    });
}
