//! systemd units: a service for QEMU, one for each helper, the slice of a resource partition.
//!
//! QEMU is started directly (`Type=exec`). What has to be there before is declared to systemd-tmpfiles and udev; a small
//! helper, the same for all machines, waits until the guest runs, so that `systemctl start` tells the truth, and presses the
//! power button at the stop. SIGTERM, on which QEMU flushes its disks and quits, stops a guest that does not hear it.
//!
//! `virtc.target` pulls all machines in and stops them. They come after it, so that it is not stopped before they are; the
//! price is that its start does not wait for them. A machine needs its helpers, which stop with it.
//! When a helper dies without which the machine is of no use, by `<on_crash>` both start again, or both stop.

pub mod credentials;
mod exec;
mod limits;
mod prepare;
mod sandbox;
mod vfio;

use super::artifact::Artifact;
use super::fit::Fitter;
use super::names::Names;
use super::networks;
use super::template::{Fields, Templates};
use super::traced::{Mark, Traced};
use crate::diag::Diagnostics;
use crate::escape::{Escaped, Language, UnitName, UnitPath, UnitText, UnitUrl, UnitWord, format::Systemd};
use crate::plan::{Cause, Instance, Loss, Plan, Process, Role};
use crate::vocab::nodes::NODES;
pub use limits::cause as cause_of_limit;

/// The unit that stands for all machines.
pub const TARGET: &str = "virtc.target";

/// A line of a unit.
struct Directive {
    /// The element that it comes from, where the line before has another.
    why: Option<Escaped<UnitText>>,
    key: &'static str,
    value: Escaped<Line>,
    /// What parts of the value come from.
    parts: Vec<Mark>,
}

/// A value that is complete: whatever kind of value it was made from.
struct Line;

impl Language for Line {
    type Format = Systemd;
    const NAME: &'static str = "a systemd unit";
    fn spell(value: &str, out: &mut String) -> Result<(), crate::escape::Unfit> {
        UnitText::spell(value, out)
    }
}

/// Lines of one part of a unit.
#[derive(Default)]
struct Lines {
    all: Vec<Directive>,
    /// What the next line comes from.
    next: Option<String>,
    /// What the last one came from.
    last: Option<String>,
    /// The cause of the next line, whether or not it is told in a comment.
    from: Option<Cause>,
}

impl Lines {
    /// Says which element the next line comes from.
    fn because(&mut self, cause: &Cause) {
        let told = cause.line > 0 && !cause.is_default;
        self.next = told.then(|| cause.to_string());
        self.from(cause);
    }

    /// Says what the next line comes from, without a comment: its key tells a reader enough.
    fn from(&mut self, cause: &Cause) {
        self.from = (!cause.what.is_empty()).then(|| cause.clone());
    }

    fn push<L: Language<Format = Systemd>>(&mut self, key: &'static str, value: Escaped<L>) {
        let range = 0..value.as_str().len();
        let parts = self.from.take().map(|cause| Mark { range, cause });
        self.in_parts(key, value, parts.into_iter().collect());
    }

    /// A line whose parts come from different places.
    fn in_parts<L: Language<Format = Systemd>>(&mut self, key: &'static str, value: Escaped<L>, parts: Vec<Mark>) {
        let why = self.next.take();
        // A comment is cut where it is too long, and cannot fail.
        let shown = why.as_ref().filter(|why| self.last.as_ref() != Some(why));
        let shown = shown.and_then(|why| Escaped::new(why).ok());
        self.last = why;
        self.all.push(Directive { why: shown, key, value: value.cast::<Line>(), parts });
    }

    fn maybe<L: Language<Format = Systemd>>(&mut self, key: &'static str, value: Option<Escaped<L>>) {
        match value {
            Some(value) => self.push(key, value),
            None => self.from = None,
        }
    }

    /// A line whose value is part of virtc.
    fn set(&mut self, key: &'static str, value: &'static str) {
        self.push::<Line>(key, Escaped::literal(value));
    }

    fn records(self) -> Vec<Fields<Systemd>> {
        let record = |line: Directive| {
            let mut fields = Fields::new();
            fields.maybe("why", line.why).word("key", line.key).in_parts("value", line.value, &line.parts);
            fields
        };
        self.all.into_iter().map(record).collect()
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
        out.push(Artifact::traced(names.unit(process), in_session(plan, contents)));
    }
    out.extend(vfio::emit(plan, names, templates, diags));
    if let Some(partition) = plan.limits.partition.as_deref().filter(|p| *p != "/machine" && *p != "/") {
        let mut fit = Fitter::new(diags);
        let cause = limits::cause(plan, "partition");
        let slice: Option<Escaped<UnitName>> = fit.take(Escaped::slice(partition), &cause);
        let mut fields = Fields::new();
        fields.maybe::<UnitText>("description", fit.fit(&format!("Virtual machines of {partition}"), &cause));
        if let Some(slice) = slice {
            out.push(Artifact::traced(
                // A drop-in, because other machines of the partition may come from elsewhere; a slice needs no more.
                format!("{}/{slice}.d/{}.conf", names.unit_folder, names.stem),
                templates.render("slice", &fields, diags),
            ));
        }
    }
    out.push(target(plan.instance, templates, diags));
    out
}

/// The unit that stands for all machines of a host, or of a user.
fn target(instance: Instance, templates: &Templates, diags: &mut Diagnostics) -> Artifact {
    let (folder, wanted_by) = match instance {
        Instance::System => ("usr/lib/systemd/system", "multi-user.target"),
        Instance::Session => ("usr/lib/systemd/user", "default.target"),
    };
    let mut fields = Fields::new();
    fields.put::<UnitWord>("wanted_by", Escaped::literal(wanted_by));
    Artifact::traced(format!("{folder}/{TARGET}"), templates.render("target", &fields, diags))
}

/// The targets of the system and of users, for the package that all machines' packages depend on.
pub fn targets(templates: &Templates) -> Vec<Artifact> {
    let mut diags = Diagnostics::new();
    [Instance::System, Instance::Session].map(|instance| target(instance, templates, &mut diags)).into()
}

/// A unit of a user names his directories by the specifiers of his systemd: a Plan holds those of the system, because
/// it must not depend on who compiles it.
fn in_session(plan: &Plan, text: Traced) -> Traced {
    if plan.instance == Instance::System {
        return text;
    }
    let places = [
        ("/run/virtc/", "%t/virtc/"),
        ("/run/credentials/", "%t/credentials/"),
        ("/var/lib/virtc/", "%h/.local/state/virtc/"),
    ];
    places.iter().fold(text, |text, (system, own)| text.replaced(system, own))
}

/// What loads the drivers behind the device nodes that a process opens. A rule for a node that is not there yet when the
/// unit starts is no rule.
fn modules(plan: &Plan, process: &Process) -> Vec<&'static str> {
    let opens = |path: &str| plan.access.iter().any(|a| a.process == process.id && a.path == path);
    let needed = NODES.iter().filter(|node| plan.instance == Instance::System && opens(node.path));
    needed.filter_map(|node| node.loaded_by).collect()
}

/// The folders of files, which may be mount points of their own.
fn mounts(plan: &Plan, fit: &mut Fitter<'_>, unit: &mut Lines) {
    let mut folders = std::collections::BTreeMap::new();
    let far = |path: &str| !["/dev/", "/run/", "/usr/", "/sys/", "/proc/", "/etc/"].iter().any(|p| path.starts_with(p));
    for access in plan.access.iter().filter(|a| far(&a.path)) {
        match access.path.rsplit_once('/') {
            Some((folder, _)) if !folder.is_empty() => folders.entry(folder).or_insert(&access.cause),
            _ => continue,
        };
    }
    let paths = folders.into_iter().filter_map(|(path, cause)| Some((fit.fit::<UnitPath>(path, cause)?, cause)));
    let (paths, causes): (Vec<_>, Vec<_>) = paths.unzip();
    if !paths.is_empty() {
        let parts = parts(&paths, causes);
        unit.in_parts("RequiresMountsFor", Escaped::words(paths), parts);
    }
}

/// What each of some words with blanks between them comes from.
fn parts<'a, L: Language>(words: &[Escaped<L>], causes: impl IntoIterator<Item = &'a Cause>) -> Vec<Mark> {
    let mut at = 0;
    let part = |(word, cause): (&Escaped<L>, &'a Cause)| {
        let range = at..at + word.as_str().len();
        at = range.end + 1;
        Mark { range, cause: cause.clone() }
    };
    words.iter().zip(causes).map(part).collect()
}

/// Fills in the fields of one service.
fn service(plan: &Plan, process: &Process, names: &Names, fit: &mut Fitter<'_>, fields: &mut Fields<Systemd>) {
    let whole = Cause::default();
    let is_qemu = process.role == Role::Qemu;
    let system = plan.instance == Instance::System;
    fields.maybe::<UnitText>("title", fit.fit(&plan.name, &whole));
    fields.put::<UnitWord>("version", Escaped::literal(env!("CARGO_PKG_VERSION")));

    fields.maybe::<UnitText>("made_for", is_qemu.then(|| fit.fit(&plan.qemu.to_string(), &whole)).flatten());

    let mut unit = Lines::default();
    let title = plan.title.as_deref().unwrap_or(&plan.name);
    let description =
        if is_qemu { format!("Virtual machine {title}") } else { format!("{} of virtual machine {title}", process.id) };
    unit.maybe::<UnitText>("Description", fit.fit(&description, &whole));
    let xml = format!("/{}", names.share("domain.xml"));
    unit.maybe("Documentation", fit.fit::<UnitUrl>(&xml, &whole));
    if is_qemu {
        unit.set("PartOf", TARGET);
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
            for key in [needs, "After"] {
                unit.from(&helper.cause);
                unit.push(key, names.unit_name(helper));
            }
        }
        if let Some(vfio) = vfio::unit_name(plan, names) {
            unit.push("BindsTo", vfio.clone());
            unit.push("After", vfio);
        }
        for rival in &plan.rivals {
            if let Some(name) = fit.fit::<UnitName>(rival, &whole) {
                unit.push("Conflicts", name.between("virtc-", ".service"));
            }
        }
        for (key, machines) in [("Wants", &plan.wants), ("After", &plan.after)] {
            for name in machines.iter().filter_map(|name| fit.fit::<UnitName>(name, &whole)) {
                unit.push(key, name.between("virtc-", ".service"));
            }
        }
        for (bridge, _, units) in networks::declared(plan, fit) {
            unit.because(&bridge.cause);
            unit.push("Requires", units.bridge.clone());
            unit.from(&bridge.cause);
            unit.push("Wants", Escaped::words([Escaped::literal("systemd-networkd.service"), units.filter.clone()]));
            let before = [Escaped::literal("systemd-networkd.service"), units.bridge, units.filter];
            unit.from(&bridge.cause);
            unit.push("After", Escaped::words(before));
        }
        if system {
            mounts(plan, fit, &mut unit);
            let words = |units: Vec<&'static str>| Escaped::<UnitName>::words(units.into_iter().map(Escaped::literal));
            let wanted = [modules(plan, process), vec!["network.target"]].concat();
            unit.push("Wants", words(wanted.clone()));
            let before = ["virtc.target", "local-fs.target", "remote-fs.target"];
            unit.push("After", words([wanted.as_slice(), &before].concat()));
            unit.set("Before", "virt-guest-shutdown.target");
        } else {
            unit.set("After", TARGET);
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
    credentials::asserted(plan, process, fit, &mut unit);
    fields.list("unit", unit.records());

    let mut lines = Lines::default();
    exec::exec(plan, process, names, fit, &mut lines);
    if is_qemu {
        limits::limits(plan, fit, &mut lines);
    }
    fields.list("service", lines.records());

    let mut lines = Lines::default();
    sandbox::sandbox(plan, process, fit, &mut lines);
    sandbox::devices(plan, process, fit, &mut lines);
    fields.list("sandbox", lines.records());

    fields.maybe::<UnitWord>("wanted_by", is_qemu.then(|| Escaped::literal(TARGET)));
}
