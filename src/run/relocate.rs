//! The paths of a session: a plan for the session names the system's directories, because it must not
//! depend on who compiles it. Whoever runs it has his own.

use crate::plan::{Instance, Plan};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The directories of one user that stand for those of the system.
#[derive(Clone, Debug)]
pub struct Places {
    /// In place of `/run/virtc`.
    pub run: PathBuf,
    /// In place of `/var/lib/virtc`.
    pub state: PathBuf,
    /// In place of `/var/log/virtc`.
    pub log: PathBuf,
}

impl Places {
    /// Those of the user of this process, by the XDG base directory rules. `run` holds the registry.
    pub fn mine(run: &Path) -> Places {
        let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let state = var("XDG_STATE_HOME")
            .or_else(|| var("HOME").map(|home| home.join(".local/state")))
            .unwrap_or_else(|| run.to_path_buf())
            .join("virtc");
        Places { run: run.to_path_buf(), log: state.join("log"), state }
    }
}

/// The plan with a session's own paths; a plan of the system as it is.
pub fn relocate(plan: Plan, places: &Places) -> Plan {
    if plan.instance != Instance::Session {
        return plan;
    }
    let pairs = [("/run/virtc", &places.run), ("/var/lib/virtc", &places.state), ("/var/log/virtc", &places.log)];
    let pairs = pairs.map(|(from, to)| (from, to.display().to_string()));
    let Ok(mut value) = serde_json::to_value(&plan) else { return plan };
    walk(&mut value, &pairs);
    // By way of text, as a plan is read elsewhere: to read it from values, too, would be a quarter of a megabyte of program.
    serde_json::from_slice(value.to_string().as_bytes()).unwrap_or(plan)
}

fn walk(value: &mut Value, pairs: &[(&str, String)]) {
    match value {
        Value::String(text) => {
            for (from, to) in pairs {
                if text.contains(from) {
                    *text = replace(text, from, to);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| walk(v, pairs)),
        Value::Object(object) => object.values_mut().for_each(|v| walk(v, pairs)),
        _ => {}
    }
}

/// Replaces `from` where it is a directory at the beginning of a path, and not a part of another name.
fn replace(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len() + to.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        out.push_str(before);
        let starts = before.chars().next_back().is_none_or(|c| !(c.is_alphanumeric() || "/._-".contains(c)));
        let ends = after.chars().next().is_none_or(|c| c == '/');
        out.push_str(if starts && ends { to } else { from });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_directories_are_replaced() {
        let replace = |text| replace(text, "/run/virtc", "/x");
        assert_eq!(replace("path=/run/virtc/a,b=/run/virtc"), "path=/x/a,b=/x");
        assert_eq!(replace("/var/run/virtc/a /run/virtcd"), "/var/run/virtc/a /run/virtcd");
    }

    #[test]
    fn a_plan_of_the_system_stays() {
        let places = Places { run: "/x".into(), state: "/y".into(), log: "/z".into() };
        let mut plan = Plan { title: Some("/run/virtc/a".to_string()), ..Plan::default() };
        assert_eq!(relocate(plan.clone(), &places).title.as_deref(), Some("/run/virtc/a"));
        plan.instance = Instance::Session;
        assert_eq!(relocate(plan, &places).title.as_deref(), Some("/x/a"));
    }
}
