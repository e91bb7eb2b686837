//! What QEMU has removed, or is going to remove: said while the domain is compiled, not when it does not start.

use crate::caps::{Accel, Version, retirement, switches};
use crate::diag::codes::qemu as codes;
use crate::domain::Domain;
use crate::stage::{Cx, Guess, Machine};

/// Checks the machine type, the CPU model and what is handed through. A libvirt target is told by its libvirt.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if !cx.env.is_guardian() {
        return;
    }
    machine_type(domain, machine, cx);
    cpu_model(domain, machine, cx);
    handed_through(domain, cx);
}

/// The machine type of the domain, by its name there: a name that a machine gets by itself is never deprecated.
fn machine_type(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    // What is not sure is not judged.
    if machine.guess != Guess::No {
        return;
    }
    let Some(known) = cx.env.caps.machine(machine.accel, &machine.name).or_else(|| tcg(cx, &machine.name)) else {
        return;
    };
    let Some(kind) = domain.os.as_ref().and_then(|os| os.kind.as_ref()).filter(|_| known.deprecated) else { return };
    // That it is gone from newer ones says more.
    if cx.diags.iter().any(|d| d.code == &codes::RETIRED) {
        return;
    }
    let span = cx.doc.span_of_attr(kind.site, "machine");
    let message = match retirement::family(&machine.name) {
        Some((_, release)) => {
            let (_, end) = retirement::retirement(release);
            let end = if cx.env.caps.version < end {
                format!("QEMU {} removes it", retirement::short(end))
            } else {
                "it can go with any release".to_string()
            };
            format!("the machine type '{}' is deprecated: {end}", machine.name)
        }
        None => format!("the machine type '{}' is deprecated: a later QEMU will not have it", machine.name),
    };
    cx.diags.warning(&codes::DEPRECATED, span, message).help(retirement::successor(&machine.name));
}

fn tcg<'a>(cx: &Cx<'a>, name: &str) -> Option<&'a crate::caps::Machine> {
    cx.env.caps.machine(Accel::Tcg, name)
}

/// The CPU model that `<model>` names.
fn cpu_model(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(model) = domain.cpu.as_ref().and_then(|cpu| cpu.model.as_ref()) else { return };
    let Some(name) = &model.name else { return };
    let known = cx.env.caps.cpu(machine.accel, name).or_else(|| cx.env.caps.cpu(Accel::Tcg, name));
    if known.is_some_and(|known| known.deprecated) {
        let version = retirement::short(cx.env.caps.version);
        let message = format!("the CPU model '{name}' is deprecated in QEMU {version}: a later one will not have it");
        let help = "take a newer model of the family, mode='host-model', or mode='maximum'";
        cx.diags.warning(&codes::DEPRECATED, cx.doc.span_of(model.site), message).help(help);
    }
}

/// Switches in `<qemu:commandline>` that this QEMU does not have, or does not have for much longer.
fn handed_through(domain: &Domain, cx: &mut Cx<'_>) {
    for arg in &domain.qemu.args {
        let Some(name) = arg.value.strip_prefix('-') else { continue };
        let name = name.strip_prefix('-').unwrap_or(name);
        let span = cx.doc.span_of_attr(arg.site, "value");
        if let Some(gone) = switches::removed(name).filter(|r| cx.env.caps.version >= version(r.since)) {
            let message = format!(
                "QEMU {} has no switch '-{name}': it was removed in {}",
                retirement::short(cx.env.caps.version),
                gone.since
            );
            cx.diags.error(&codes::REMOVED, span, message).help(instead(gone.instead));
        } else if let Some(ending) = switches::deprecated(name).filter(|d| cx.env.caps.version >= version(d.since)) {
            let message =
                format!("the switch '-{name}' is deprecated since QEMU {}: a later one will not have it", ending.since);
            cx.diags.warning(&codes::DEPRECATED, span, message).help(instead(ending.instead));
        }
    }
}

fn instead(what: &str) -> String {
    match what.strip_prefix("nothing") {
        Some(rest) => format!("remove it{rest}"),
        None => format!("use {what}"),
    }
}

/// Digits and a dot as a version.
fn version(text: &str) -> Version {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    Version::new(parts.next().unwrap_or(0), parts.next().unwrap_or(0), 0)
}
