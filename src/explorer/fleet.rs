//! The page of many domains: who is there, what they share, and where they are in each other's way.

use super::html::{Html, Value};
use super::page::{begin, end};
use crate::diag::{Diagnostics, Severity};
use crate::plan::{Accelerator, Access, Claim, ClaimKind, LentDevice, Plan, Sharing};
use std::collections::{BTreeMap, BTreeSet};

/// One domain of a fleet.
pub struct Machine<'a> {
    /// The file, as the user named it.
    pub file: &'a str,
    /// Where its own page is, relative to that of the fleet.
    pub page: &'a str,
    /// The Plan; none if there were errors.
    pub plan: Option<&'a Plan>,
    /// Everything that was said about the domain.
    pub said: &'a Diagnostics,
    /// What it cannot have beside the others.
    pub conflicts: &'a Diagnostics,
}

/// Things by name, and who has them in which way.
type Table = BTreeMap<String, Vec<(usize, String)>>;

/// The page.
pub fn fleet(machines: &[Machine<'_>]) -> String {
    let mut out = Html::default();
    begin(&mut out, "Machines of this host");
    out.raw("<header class=\"top\"><div class=\"who\"><h1>");
    out.number(machines.len()).raw(" machines</h1></div></header>\n<main class=\"fleet\">\n");
    list(machines, &mut out);
    conflicts(machines, &mut out);
    let shown: [(&str, &str, &str, Table); 5] = [
        ("Shared files", "file", "Paths that several machines use.", several(files(machines))),
        ("Ports", "port", "Where machines listen on the host.", ports(machines)),
        ("Networks", "bridge or device", "What the cards of machines are plugged into.", networks(machines)),
        ("Devices of the host", "device", "What is lent to a machine while it runs.", devices(machines)),
        ("Processors", "processor", "Processors of the host that threads of machines are pinned to.", cpus(machines)),
    ];
    for (title, thing, about, table) in shown {
        things(title, thing, about, &table, machines, &mut out);
    }
    out.raw("</main>\n");
    end(&mut out);
    out.finish()
}

fn name<'a>(machine: &Machine<'a>) -> &'a str {
    machine.plan.map_or(machine.file, |plan| &plan.name)
}

fn link(machine: &Machine<'_>, out: &mut Html) {
    out.open("a", &[("href", Value::Text(machine.page))]).text(name(machine)).close("a");
}

fn headings(names: &[&'static str], out: &mut Html) {
    out.raw("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
    for name in names {
        out.raw("<th scope=\"col\">").raw(name).raw("</th>");
    }
    out.raw("</tr></thead>\n<tbody>\n");
}

fn list(machines: &[Machine<'_>], out: &mut Html) {
    out.raw("<h2>Machines</h2>\n");
    headings(&["machine", "file", "QEMU", "processes", "paths", "messages"], out);
    for machine in machines {
        out.raw("<tr><th scope=\"row\">");
        link(machine, out);
        out.raw("</th><td>").element("code", "", machine.file).raw("</td>");
        match machine.plan {
            Some(plan) => {
                let how = if plan.accelerator == Accelerator::Kvm { "KVM" } else { "emulated" };
                out.raw("<td>").text(&format!("{}, {how}", plan.qemu.version)).raw("</td><td>");
                out.number(plan.processes.len()).raw("</td><td>").number(plan.access.len()).raw("</td>");
            }
            None => {
                out.raw("<td class=\"bad\" colspan=\"3\">does not compile</td>");
            }
        }
        out.raw("<td>").text(&messages(machine)).raw("</td></tr>\n");
    }
    out.raw("</tbody></table></div>\n");
}

fn messages(machine: &Machine<'_>) -> String {
    let count = |severity, one: &str| match machine.said.iter().filter(|d| d.severity == severity).count() {
        0 => None,
        1 => Some(format!("1 {one}")),
        more => Some(format!("{more} {one}s")),
    };
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts = Vec::from_iter(counts.into_iter().filter_map(|(severity, one)| count(severity, one)));
    if counts.is_empty() { "none".to_string() } else { counts.join(", ") }
}

fn conflicts(machines: &[Machine<'_>], out: &mut Html) {
    out.raw("<h2>Conflicts</h2>\n");
    if machines.iter().all(|m| m.conflicts.is_empty()) {
        out.raw("<p class=\"fine\">None: all of them can run on one host at the same time.</p>\n");
        return;
    }
    headings(&["machine", "what"], out);
    for machine in machines {
        for fault in machine.conflicts.sorted() {
            out.raw("<tr><th scope=\"row\">");
            link(machine, out);
            let class = if fault.severity == Severity::Error { "bad" } else { "" };
            out.raw("</th><td>").element("span", class, fault.severity.as_str()).raw(": ");
            out.text(&fault.message);
            if let Some(help) = &fault.help {
                out.element("p", "", help);
            }
            out.raw("</td></tr>\n");
        }
    }
    out.raw("</tbody></table></div>\n");
}

fn things(
    title: &'static str,
    thing: &'static str,
    about: &'static str,
    table: &Table,
    machines: &[Machine<'_>],
    out: &mut Html,
) {
    if table.is_empty() {
        return;
    }
    out.element("h2", "", title).raw("\n").element("p", "", about).raw("\n");
    headings(&[thing, "machines"], out);
    for (value, owners) in table {
        out.raw("<tr><th scope=\"row\">").element("code", "", value).raw("</th><td><ul>");
        for (at, how) in owners {
            let Some(machine) = machines.get(*at) else { continue };
            out.raw("<li>");
            link(machine, out);
            out.raw(" ").text(how).raw("</li>");
        }
        out.raw("</ul></td></tr>\n");
    }
    out.raw("</tbody></table></div>\n");
}

/// What each machine has, by name of the thing.
fn collect<'a>(machines: &[Machine<'a>], each: impl Fn(&'a Plan) -> Vec<(String, String)>) -> Table {
    let mut table = Table::new();
    for (at, machine) in machines.iter().enumerate() {
        let all = BTreeSet::from_iter(machine.plan.map(&each).unwrap_or_default());
        for (thing, how) in all {
            table.entry(thing).or_default().push((at, how));
        }
    }
    table
}

/// Only what more than one machine has.
fn several(mut table: Table) -> Table {
    let count = |owners: &[(usize, String)]| owners.iter().map(|(at, _)| at).collect::<BTreeSet<_>>().len();
    table.retain(|_, owners| count(owners) > 1);
    table
}

fn files(machines: &[Machine<'_>]) -> Table {
    let own = |a: &&Access| a.sharing != Sharing::System && !a.path.starts_with("/dev/");
    let how = |a: &Access| if a.perms.write { "writes it" } else { "reads it" };
    collect(machines, |plan| {
        plan.access.iter().filter(own).map(|a| (a.path.clone(), format!("{} for {}", how(a), a.cause))).collect()
    })
}

fn ports(machines: &[Machine<'_>]) -> Table {
    collect(machines, |plan| {
        let fixed = plan.listens.iter().map(|l| {
            let protocol = if l.udp { "UDP" } else { "TCP" };
            (format!("{protocol} {:>5}", l.port), format!("on {} for {}", l.address, l.cause))
        });
        let found = plan.auto_ports.iter().map(|p| {
            let address = p.address.as_deref().unwrap_or("all addresses");
            (format!("TCP {:>5}", p.port), format!("on {address}, or the next that is free, for {}", p.cause))
        });
        fixed.chain(found).collect()
    })
}

fn networks(machines: &[Machine<'_>]) -> Table {
    collect(machines, |plan| {
        let named = |name: &str| if name.is_empty() { String::new() } else { format!("by {name} ") };
        plan.links
            .iter()
            .filter_map(|l| Some((l.over.clone()?, format!("{}{} for {}", named(&l.name), l.mac, l.cause))))
            .collect()
    })
}

fn devices(machines: &[Machine<'_>]) -> Table {
    collect(machines, |plan| {
        let lent = plan.lent.iter().map(|l| {
            let device = match &l.device {
                LentDevice::Usb { vendor, product } => format!("USB {vendor:04x}:{product:04x}"),
                LentDevice::UsbPort { bus, port } => format!("USB port {bus}-{port}"),
                LentDevice::Pci(address) => format!("PCI {address}"),
                LentDevice::Mdev(uuid) => format!("mediated device {uuid}"),
            };
            (device, format!("for {}", l.cause))
        });
        let claims = plan.claims.iter().filter(|c| c.kind == ClaimKind::HostDevice && plan.lent.is_empty());
        let claims = claims.map(|Claim { value, cause, .. }| (value.clone(), format!("for {cause}")));
        let nodes = plan.access.iter().filter(|a| a.path.starts_with("/dev/") && a.sharing == Sharing::Exclusive);
        let nodes = nodes.map(|a| (a.path.clone(), format!("for {}", a.cause)));
        lent.chain(claims).chain(nodes).collect()
    })
}

fn cpus(machines: &[Machine<'_>]) -> Table {
    collect(machines, |plan| {
        let pins = plan.limits.pins.iter();
        pins.flat_map(|pin| {
            pin.cpus.iter().map(move |cpu| (format!("{cpu:>3}"), format!("{} for {}", pin.thread, pin.cause)))
        })
        .collect()
    })
}
