//! PCI devices that are lent to a machine: a service of its own takes them from their drivers before the start and gives them
//! back behind the stop. It has no program but systemd-tmpfiles, which writes to sysfs.

use super::Lines;
use crate::diag::Diagnostics;
use crate::emit::artifact::Artifact;
use crate::emit::fit::Fitter;
use crate::emit::names::Names;
use crate::emit::rooted::OF_ROOT;
use crate::emit::template::{Fields, Templates};
use crate::escape::{Escaped, ExecArg, ExecProgram, TmpfilesLine, UnitName, UnitRest, UnitText, UnitWord};
use crate::plan::{Cause, Instance, LentDevice, Plan};

/// The name of the service; none where no device is taken.
pub fn unit_name(plan: &Plan, names: &Names) -> Option<Escaped<UnitName>> {
    let any = plan.instance == Instance::System && addresses(plan).next().is_some();
    any.then(|| names.stem.clone().between("", "-vfio.service"))
}

/// The devices that are taken.
fn addresses(plan: &Plan) -> impl Iterator<Item = (&str, &Cause)> {
    plan.lent.iter().filter(|l| l.managed).filter_map(|l| match &l.device {
        LentDevice::Pci(address) => Some((address.as_str(), &l.cause)),
        _ => None,
    })
}

/// The service, and what it writes.
pub fn emit(plan: &Plan, names: &Names, templates: &Templates, diags: &mut Diagnostics) -> Vec<Artifact> {
    let Some(name) = unit_name(plan, names) else { return Vec::new() };
    let mut fit = Fitter::new(diags);
    let whole = Cause::default();
    let file = |what: &str| format!("usr/lib/virtc/vfio/{}.{what}.conf", names.name);
    let mut unit = Lines::default();
    let description = format!("PCI devices of the host, lent to virtual machine {}", plan.name);
    unit.maybe::<UnitText>("Description", fit.fit(&description, &whole));
    unit.set("Wants", "modprobe@vfio_pci.service");
    unit.set("After", "modprobe@vfio_pci.service");
    unit.set("StopWhenUnneeded", "yes");
    let mut service = Lines::default();
    service.set("Type", "oneshot");
    service.set("RemainAfterExit", "yes");
    let mut run = |key: &'static str, program: &'static str, words: &[&str], cause: &Cause| {
        let words = words.iter().filter_map(|w| fit.fit::<ExecArg>(w, cause));
        let words = Vec::from_iter(words);
        service.because(cause);
        service.push(key, Escaped::command("", Escaped::<ExecProgram>::literal(program), words));
    };
    run("ExecStart", "systemd-tmpfiles", &["--create", &format!("/{}", file("take"))], &whole);
    run("ExecStart", "udevadm", &["settle", "--timeout=10"], &whole);
    for (address, cause) in addresses(plan) {
        run("ExecStart", "test", &["-e", &format!("/sys/bus/pci/drivers/vfio-pci/{address}")], cause);
    }
    run("ExecStop", "systemd-tmpfiles", &["--create", &format!("/{}", file("give"))], &whole);
    for (address, cause) in addresses(plan) {
        let path = format!("/sys/bus/pci/devices/{address}");
        unit.from(cause);
        unit.maybe("AssertPathExists", fit.fit::<UnitRest>(&path, cause));
    }
    let mut confined = Lines::default();
    OF_ROOT.iter().for_each(|(key, value)| confined.set(key, value));
    confined.set("CapabilityBoundingSet", "");
    confined.set("ProcSubset", "pid");
    confined.set("RestrictAddressFamilies", "AF_UNIX");
    let mut fields = Fields::new();
    fields.maybe::<UnitText>("title", fit.fit(&plan.name, &whole));
    fields.put::<UnitWord>("version", Escaped::literal(env!("CARGO_PKG_VERSION")));
    fields.list("unit", unit.records()).list("service", service.records()).list("sandbox", confined.records());
    fields.maybe::<UnitWord>("wanted_by", None);
    let mut out =
        vec![Artifact::traced(format!("{}/{name}", names.unit_folder), templates.render("service", &fields, diags))];
    for (what, driver) in [("take", "vfio-pci"), ("give", "\\n")] {
        let mut fields = Fields::new();
        let mut fit = Fitter::new(diags);
        fields.maybe::<UnitText>("title", fit.fit(&plan.name, &whole));
        let lines = addresses(plan).flat_map(|(address, cause)| writes(address, driver, cause, &mut fit)).collect();
        fields.list("lines", lines);
        out.push(Artifact::traced(file(what), templates.render("vfio", &fields, diags)));
    }
    out
}

/// Says which driver a device is for, takes it from the one that it has, and lets the kernel look again.
fn writes(
    address: &str,
    driver: &'static str,
    cause: &Cause,
    fit: &mut Fitter<'_>,
) -> Vec<Fields<crate::escape::format::Systemd>> {
    let Some(address) = fit.fit::<UnitWord>(address, cause) else { return Vec::new() };
    let address: Escaped<TmpfilesLine> = address.cast_line();
    let device = |end: &'static str| address.clone().between("w /sys/bus/pci/devices/", end);
    let lines = [
        device("/driver_override - - - -").followed_by(driver),
        device("/driver/unbind - - - - ").joined_with(&address),
        Escaped::<TmpfilesLine>::literal("w /sys/bus/pci/drivers_probe - - - - ").joined_with(&address),
    ];
    lines
        .into_iter()
        .map(|line| {
            let mut record = Fields::new();
            record.traced("line", line, &[cause]);
            record
        })
        .collect()
}
