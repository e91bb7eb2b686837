//! What a difference between two Plans means: for the guest, for the machine that runs, for the host.
//!
//! [`rules`] is the table that says it, [`live`] what QEMU could be told instead of starting anew.

pub mod live;
mod nodes;
pub mod rules;

use crate::plan::{Cause, Change, Difference, Plan, differences};
use crate::vocab::keywords;
use serde::Serialize;

keywords! {
    /// What a difference means; the gravest first.
    pub enum Class {
        /// The guest may notice: its hardware is another.
        GuestVisible = "guest-visible",
        /// The guest sees the same; it takes a new start of QEMU.
        Restart = "restart",
        /// QEMU can be told while it runs.
        Live = "live",
        /// The unit, the profile, labels, limits: QEMU's command line stays.
        Host = "host",
        /// Nothing that acts.
        Cosmetic = "cosmetic",
    }
}

impl Class {
    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Class::GuestVisible => "the guest may notice",
            Class::Restart => "takes a new start, the guest sees the same",
            Class::Live => "QEMU can be told while it runs",
            Class::Host => "on the host only",
            Class::Cosmetic => "changes nothing that acts",
        }
    }
}

/// A difference with its classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Classed {
    /// What differs.
    pub difference: Difference,
    /// The gravest of its classes.
    pub class: Class,
    /// Why it is of this class.
    pub why: &'static str,
    /// For each changed property its class and why; empty where the subject came or went as a whole.
    pub properties: Vec<(Class, &'static str)>,
    /// What QEMU could be told, if all of it can be done so: commands of QMP, in their order.
    pub qmp: Vec<String>,
}

/// One line of a report: a subject that came or went, or a property that changed.
#[derive(Serialize)]
pub struct Line<'a> {
    /// Its class.
    pub class: &'static str,
    /// Why.
    pub why: &'static str,
    /// Commands of QMP that do it.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub qmp: &'a [String],
    /// What differs.
    #[serde(flatten)]
    pub difference: &'a Difference,
    /// The classes of the properties, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<&'static str>,
}

impl Classed {
    /// As it is written to JSON.
    pub fn line(&self) -> Line<'_> {
        let classes = self.properties.iter().map(|(class, _)| class.as_str()).collect();
        Line { class: self.class.as_str(), why: self.why, qmp: &self.qmp, difference: &self.difference, classes }
    }

    /// The element that is the reason.
    pub fn cause(&self) -> &Cause {
        &self.difference.cause
    }
}

/// All differences between two Plans, each with its class.
pub fn classed(old: &Plan, new: &Plan) -> Vec<Classed> {
    let renumbered = nodes::renumbered(old, new);
    let new = renumbered.as_ref().unwrap_or(new);
    let found = differences(old, new);
    let mut out: Vec<Classed> = found.into_iter().map(|difference| classify(difference, new)).collect();
    together(&mut out);
    out
}

fn classify(difference: Difference, new: &Plan) -> Classed {
    let (mut class, mut why, mut properties) = (Class::Cosmetic, "", Vec::new());
    match &difference.change {
        Change::Changed { properties: changed } => {
            for (name, before, after) in changed {
                let rule = rules::of(&difference, name);
                let own = match rules::is_default(&difference, name, before.as_deref(), after.as_deref()) {
                    true => (Class::Cosmetic, "the value that it has anyway"),
                    false => (rule.class, rule.why),
                };
                properties.push(own);
                if why.is_empty() || own.0 < class {
                    (class, why) = own;
                }
            }
        }
        Change::Added { .. } | Change::Removed { .. } => {
            let rule = rules::of(&difference, "");
            (class, why) = (rule.class, rule.why);
        }
    }
    let mut classed = Classed { difference, class, why, properties, qmp: Vec::new() };
    if class == Class::Live {
        classed.qmp = live::commands(&classed.difference, new);
        if classed.qmp.is_empty() {
            // What cannot be said cannot be done.
            classed.class = Class::Restart;
            classed.properties.iter_mut().filter(|(c, _)| *c == Class::Live).for_each(|(c, _)| *c = Class::Restart);
        }
    }
    classed
}

/// A device that is plugged in while the machine runs brings its backend; one that is not takes a new start, and so does the
/// backend.
fn together(all: &mut [Classed]) {
    let came = |c: &Classed| !matches!(c.difference.change, Change::Changed { .. });
    let mut cold: Vec<String> = Vec::new();
    for classed in
        all.iter().filter(|c| came(c) && c.difference.subject.starts_with("-device ") && c.class != Class::Live)
    {
        for name in ["drive", "netdev", "chardev", "memdev", "rng", "fsdev", "audiodev", "tpmdev"] {
            cold.extend(classed.difference.whole.iter().filter(|(n, _)| n == name).map(|(_, id)| id.clone()));
        }
    }
    for classed in all.iter_mut().filter(|c| came(c) && c.class == Class::Live) {
        let id = classed.difference.subject.split_once(' ').map_or("", |(_, id)| id);
        if !id.is_empty() && !classed.difference.subject.starts_with("-device ") && cold.iter().any(|c| c == id) {
            (classed.class, classed.why) = (Class::Restart, "the backend of a device that takes a new start");
            classed.qmp.clear();
        }
    }
}

/// The gravest class of all; none if nothing differs.
pub fn gravest(all: &[Classed]) -> Option<Class> {
    all.iter().map(|c| c.class).min()
}
