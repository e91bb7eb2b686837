//! systemd units: a service for QEMU, one for each helper, the slice of a resource partition.
//!
//! The units need nothing of virtc on the host: QEMU is started directly (`Type=exec`), what has to be
//! there before is made by `ExecStartPre=` lines, `ExecStop=` asks the guest to power down, and SIGTERM,
//! on which QEMU flushes its disks and quits, stops one that does not.
//!
//! `virtc.target` pulls all machines in and stops them. They come after it, so that it is not stopped before they are; the
//! price is that its start does not wait for them. A machine needs its helpers, which stop with it.
//! When a helper dies without which the machine is of no use, by `<on_crash>` both start again, or both stop.

mod exec;
mod limits;
mod prepare;
mod sandbox;
mod scripts;

use super::escape::{Escaped, Language, UnitName, UnitPath, UnitText, UnitWord, format::Systemd};
use super::fit::Fitter;
use super::template::{Fields, Templates};
use super::{Artifact, Names};
use crate::diag::Diagnostics;
use crate::plan::{Cause, Instance, Loss, Plan, Process, Role};
pub use limits::cause as cause_of_limit;

/// The account that machines run as when nothing names one; `sysusers.d` makes it.
pub const DEFAULT_USER: &str = "virtc-qemu";

/// The unit that stands for all machines.
pub const TARGET: &str = "virtc.target";

/// A line of a unit.
struct Directive {
    key: &'static str,
    value: Escaped<Line>,
}

/// A value that is complete: whatever kind of value it was made from.
struct Line;

impl Language for Line {
    type Format = Systemd;
    const NAME: &'static str = "a systemd unit";
    fn spell(value: &str, out: &mut String) -> Result<(), super::escape::Unfit> {
        UnitText::spell(value, out)
    }
}

/// Lines of one part of a unit.
#[derive(Default)]
struct Lines(Vec<Directive>);

impl Lines {
    fn push<L: Language<Format = Systemd>>(&mut self, key: &'static str, value: Escaped<L>) {
        self.0.push(Directive { key, value: value.cast::<Line>() });
    }

    fn maybe<L: Language<Format = Systemd>>(&mut self, key: &'static str, value: Option<Escaped<L>>) {
        if let Some(value) = value {
            self.push(key, value);
        }
    }

    /// A line whose value is part of virtc.
    fn set(&mut self, key: &'static str, value: &'static str) {
        self.push::<Line>(key, Escaped::literal(value));
    }

    fn records(self) -> Vec<Fields<Systemd>> {
        let record = |line: Directive| {
            let mut fields = Fields::new();
            fields.word("key", line.key).put("value", line.value);
            fields
        };
        self.0.into_iter().map(record).collect()
    }
}

/// All units of a domain.
pub fn emit(plan: &Plan, names: &Names, templates: &Templates, diags: &mut Diagnostics) -> Vec<Artifact> {
    let mut out = Vec::new();
    for process in &plan.processes {
        let mut fields = Fields::new();
        let mut fit = Fitter::new(diags);
        service(plan, process, names, &mut fit, &mut fields);
        let contents = templates.render("service", &fields, diags);
        out.push(Artifact::new(names.unit(process), contents));
    }
    if let Some(partition) = plan.limits.partition.as_deref().filter(|p| *p != "/machine" && *p != "/") {
        let mut fit = Fitter::new(diags);
        let cause = limits::cause(plan, "partition");
        let slice: Option<Escaped<UnitName>> = fit.take(Escaped::slice(partition), &cause);
        let mut fields = Fields::new();
        fields.maybe::<UnitText>("description", fit.fit(&format!("Virtual machines of {partition}"), &cause));
        if let Some(slice) = slice {
            out.push(Artifact::new(
                // A drop-in, because other machines of the partition may come from elsewhere; a slice needs no more.
                format!("{}/{slice}.d/{}.conf", names.unit_folder, names.stem),
                templates.render("slice", &fields, diags),
            ));
        }
    }
    let mut fields = Fields::new();
    fields.put::<UnitWord>(
        "wanted_by",
        Escaped::literal(match plan.instance {
            Instance::System => "multi-user.target",
            Instance::Session => "default.target",
        }),
    );
    out.push(Artifact::new(format!("{}/{TARGET}", names.unit_folder), templates.render("target", &fields, diags)));
    let user = plan.confinement.user.as_deref();
    if plan.instance == Instance::System && user == Some(DEFAULT_USER) {
        let mut fields = Fields::new();
        fields.put::<UnitWord>("user", Escaped::literal(DEFAULT_USER));
        fields.list("groups", Vec::new());
        let contents = templates.render("sysusers", &fields, diags);
        out.push(Artifact::new(format!("usr/lib/sysusers.d/{}.conf", names.stem), contents));
    }
    out
}

/// What loads the drivers behind the device nodes that a process opens. A rule for a node that is not there yet when the
/// unit starts is no rule.
fn modules(plan: &Plan, process: &Process) -> Vec<&'static str> {
    const NODES: &[(&str, &str)] = &[
        ("/dev/net/tun", "modprobe@tun.service"),
        ("/dev/vhost-net", "modprobe@vhost_net.service"),
        ("/dev/vhost-vsock", "modprobe@vhost_vsock.service"),
    ];
    let opens = |path: &str| plan.access.iter().any(|a| a.process == process.id && a.path == path);
    let needed = NODES.iter().filter(|(path, _)| plan.instance == Instance::System && opens(path));
    needed.map(|(_, unit)| *unit).collect()
}

/// Fills in the fields of one service.
fn service(plan: &Plan, process: &Process, names: &Names, fit: &mut Fitter<'_>, fields: &mut Fields<Systemd>) {
    let whole = Cause::default();
    let is_qemu = process.role == Role::Qemu;
    let system = plan.instance == Instance::System;
    fields.maybe::<UnitText>("title", fit.fit(&plan.name, &whole));

    let mut unit = Lines::default();
    let title = plan.title.as_deref().unwrap_or(&plan.name);
    let description =
        if is_qemu { format!("Virtual machine {title}") } else { format!("{} of virtual machine {title}", process.id) };
    unit.maybe::<UnitText>("Description", fit.fit(&description, &whole));
    if is_qemu {
        unit.set("PartOf", TARGET);
        unit.set("After", TARGET);
        for helper in plan.processes.iter().filter(|p| p.role != Role::Qemu) {
            let needs = match Loss::of(plan, helper) {
                // A helper that is started again restarts those that require it; BindsTo= would stop them before.
                Loss::Fatal if plan.restarts_on_crash() => "Requires",
                Loss::Fatal => "BindsTo",
                // Has to be there at the start, and may die later.
                Loss::Bearable => "Requires",
                // QEMU connects to the next one.
                Loss::Mended => "Wants",
            };
            unit.push(needs, names.unit_name(helper));
            unit.push("After", names.unit_name(helper));
        }
        for module in modules(plan, process) {
            unit.set("Wants", module);
            unit.set("After", module);
        }
        unit.set("Wants", "network.target");
        unit.set("After", "network.target local-fs.target remote-fs.target");
        if system {
            unit.set("Before", "virt-guest-shutdown.target");
        }
    } else {
        if let Some(qemu) = plan.qemu() {
            unit.push("PartOf", names.unit_name(qemu));
        }
        if process.role == Role::Rdp {
            for bus in plan.processes.iter().filter(|p| p.role == Role::Dbus) {
                unit.push("After", names.unit_name(bus));
            }
        }
        unit.set("After", TARGET);
        unit.set("StopWhenUnneeded", "yes");
        if Loss::of(plan, process) == Loss::Mended {
            let (most, seconds) = Loss::RESTARTS;
            unit.push::<UnitWord>("StartLimitBurst", Escaped::number(most as u64));
            unit.push::<UnitWord>("StartLimitIntervalSec", Escaped::number(seconds));
        }
    }
    for secret in plan.secrets.iter().filter(|_| is_qemu) {
        unit.maybe("AssertPathExists", fit.fit::<UnitPath>(&secret.path, &secret.cause));
    }
    fields.list("unit", unit.records());

    let mut lines = Lines::default();
    exec::exec(plan, process, names, fit, &mut lines);
    fields.list("service", lines.records());

    let mut lines = Lines::default();
    if is_qemu {
        limits::limits(plan, fit, &mut lines);
    }
    fields.list("limits", lines.records());

    let mut lines = Lines::default();
    sandbox::sandbox(plan, process, fit, &mut lines);
    fields.list("sandbox", lines.records());

    let mut lines = Lines::default();
    sandbox::devices(plan, process, fit, &mut lines);
    fields.list("devices", lines.records());

    fields.maybe::<UnitWord>("wanted_by", is_qemu.then(|| Escaped::literal(TARGET)));
}
