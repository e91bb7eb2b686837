//! What QEMU can be told instead of starting anew, as commands of QMP (qapi/*.json).

use crate::emit::argv::{write_props, write_string};
use crate::plan::{Arg, ArgValue, Change, Difference, Plan, Prop, subject};

/// The commands that make the difference, in their order; none where there is no way.
pub fn commands(difference: &Difference, new: &Plan) -> Vec<String> {
    let (switch, id) = difference.subject.split_once(' ').unwrap_or((&difference.subject, ""));
    let there = |plan| argument(plan, &difference.subject).and_then(arguments);
    let gone = |key: &str| Some(format!("{{{}:{}}}", quoted(key), quoted(id)));
    let (command, arguments) = match (&difference.change, switch) {
        (Change::Added { .. }, "-device") => ("device_add", there(new)),
        (Change::Added { .. }, "-netdev") => ("netdev_add", there(new)),
        (Change::Added { .. }, "-blockdev") => ("blockdev-add", there(new)),
        (Change::Added { .. }, "-object") => ("object-add", there(new)),
        (Change::Removed { .. }, "-device") => ("device_del", gone("id")),
        (Change::Removed { .. }, "-netdev") => ("netdev_del", gone("id")),
        (Change::Removed { .. }, "-blockdev") => ("blockdev-del", gone("node-name")),
        (Change::Removed { .. }, "-object") => ("object-del", gone("id")),
        (Change::Removed { .. }, "-chardev") => ("chardev-remove", gone("id")),
        (Change::Changed { properties }, "-object" | "-device") => {
            return set(switch, id, properties, argument(new, &difference.subject));
        }
        (Change::Changed { properties }, "-watchdog-action") => {
            let action = properties.first().and_then(|(_, _, after)| after.as_deref());
            ("watchdog-set-action", action.map(|a| format!("{{\"action\":{}}}", quoted(a))))
        }
        // `chardev-add` has a form of its own for each backend, which the command line does not have.
        _ => return Vec::new(),
    };
    arguments.map(|arguments| execute(command, &arguments)).into_iter().collect()
}

fn execute(command: &str, arguments: &str) -> String {
    format!("{{\"execute\":{},\"arguments\":{arguments}}}", quoted(command))
}

/// `qom-set` for each property; none where one of them goes away, for QEMU does not tell its default.
fn set(
    switch: &str,
    id: &str,
    properties: &[(String, Option<String>, Option<String>)],
    new: Option<&Arg>,
) -> Vec<String> {
    let path = if switch == "-object" { format!("/objects/{id}") } else { format!("/machine/peripheral/{id}") };
    let set = |name: &str, value: &str| {
        let arguments = format!("{{\"path\":{},\"property\":{},\"value\":{value}}}", quoted(&path), quoted(name));
        execute("qom-set", &arguments)
    };
    // Limits are one value: single ones can only be set before the group is made.
    if properties.iter().all(|(name, _, _)| name.starts_with("limits.")) {
        let ArgValue::Props(props, _) = new.map_or(&ArgValue::None, |arg| &arg.value) else { return Vec::new() };
        let Some(Prop::Object(limits)) = props.get("limits") else { return Vec::new() };
        let mut value = String::new();
        write_props(&mut value, limits);
        return vec![set("limits", &value)];
    }
    let all: Option<Vec<String>> = properties
        .iter()
        .map(|(name, _, after)| {
            let value = match after.as_deref()? {
                "on" => "true".to_string(),
                "off" => "false".to_string(),
                number if number.parse::<i64>().is_ok() => number.to_string(),
                text => quoted(text),
            };
            Some(set(name, &value))
        })
        .collect();
    all.unwrap_or_default()
}

/// The argument of QEMU that a subject names.
fn argument<'p>(plan: &'p Plan, name: &str) -> Option<&'p Arg> {
    plan.qemu()?.args.iter().find(|arg| subject(arg) == name)
}

/// The properties of an argument as JSON.
fn arguments(arg: &Arg) -> Option<String> {
    let ArgValue::Props(props, _) = &arg.value else { return None };
    let mut out = String::new();
    write_props(&mut out, props);
    Some(out)
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(&mut out, text);
    out
}
