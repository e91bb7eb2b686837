//! A lock as KDL: one line a value that people review, in an order that does not change.

use super::{Entry, Lock, VERSION, Values};
use crate::host::Lines;
use std::ops::Range;

/// What a part of the file is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About<'l> {
    /// The machine type.
    Machine,
    /// A value of the domain, by its path: `uuid.text`.
    Value(&'l str),
    /// A device.
    Device(&'l Entry),
}

/// The text of the file.
pub fn write(lock: &Lock) -> String {
    write_placed(lock).0
}

/// The same, with where its parts are.
pub fn write_placed(lock: &Lock) -> (String, Vec<(Range<usize>, About<'_>)>) {
    let mut parts = Vec::new();
    let mut out = Lines::new();
    out.comment("What virtc chose for this machine and its guest can see. Made by `virtc lock`: keep it beside the XML, in git.");
    out.node("virtc-lock").prop_number("version", VERSION);
    out.node("domain").text(&lock.name);
    let mut part = |about, out: &mut Lines, write: &dyn Fn(&mut Lines)| {
        let start = out.place();
        write(out);
        parts.push((start..out.place(), about));
    };
    if let Some(machine) = &lock.machine {
        part(About::Machine, &mut out, &|out| {
            out.node("machine").text(&machine.name).prop("asked", &machine.asked);
        });
    }
    for (path, value) in &lock.values {
        part(About::Value(path), &mut out, &|out| {
            out.node("value").text(path).text(value);
        });
    }
    for entry in &lock.devices {
        part(About::Device(entry), &mut out, &|out| device(entry, out));
    }
    (out.finish(), parts)
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
