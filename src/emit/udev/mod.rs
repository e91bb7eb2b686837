//! udev rules: device nodes that are given to the account of a machine as soon as they appear, and stay its own.

use super::artifact::Artifact;
use super::fit::Fitter;
use super::names::Names;
use super::selinux;
use super::template::{Fields, Templates};
use crate::diag::Diagnostics;
use crate::escape::{Escaped, UdevMatch, UdevValue, UnitText, format::Systemd};
use crate::plan::{Access, Cause, Instance, Lent, LentDevice, OwnerRule, PathKind, Plan, Role, Sharing};
use crate::vocab::nodes::is_node;
use std::collections::BTreeSet;

/// The rules; none when there is no device.
pub fn emit(plan: &Plan, names: &Names, templates: &Templates, diags: &mut Diagnostics) -> Option<Artifact> {
    if plan.instance != Instance::System {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut fit = Fitter::new(diags);
    let mut rules = Vec::new();
    for access in plan.access.iter().filter(|a| is_given(plan, a) && seen.insert(&a.path)) {
        rules.extend(rule(plan, access, &mut fit));
    }
    for lent in &plan.lent {
        rules.extend(lent_rule(plan, lent, false, &mut fit));
    }
    // With IOMMUFD a device has a node of its own, and the machine the one of all.
    if let Some(iommu) = plan.access.iter().find(|a| a.path == "/dev/iommu") {
        rules.extend(plan.lent.iter().filter_map(|lent| lent_rule(plan, lent, true, &mut fit)));
        rules.extend(iommufd(plan, &iommu.cause, &mut fit));
    }
    if rules.is_empty() {
        return None;
    }
    let mut fields = Fields::new();
    fields.maybe::<UnitText>("title", fit.fit(&plan.name, &Cause::default()));
    fields.list("rules", rules);
    // Behind the rules that make links, and those of the system that set owners.
    let path = format!("usr/lib/udev/rules.d/90-{}.rules", names.stem);
    Some(Artifact::traced(path, templates.render("udev", &fields, diags)))
}

/// Whether a node is given by a rule: one device, not of the system, and not a helper's of root's.
fn is_given(plan: &Plan, access: &Access) -> bool {
    let of_root = |p: &crate::plan::Process| p.role != Role::Qemu && p.user.as_deref() == Some("root");
    let root = plan.processes.iter().any(|p| p.id == access.process && of_root(p));
    let folder = matches!(access.kind, PathKind::Tree | PathKind::Files | PathKind::Directory);
    let wanted = access.owner != OwnerRule::Keep || context(plan, access).is_some();
    is_node(&access.path) && access.sharing != Sharing::System && !root && !folder && wanted
}

fn context<'a>(plan: &'a Plan, access: &'a Access) -> Option<&'a str> {
    let selinux = plan.confinement.selinux.as_ref().filter(|s| s.relabel)?;
    selinux::context_of(selinux, access)
}

fn rule(plan: &Plan, access: &Access, fit: &mut Fitter<'_>) -> Option<Fields<Systemd>> {
    let mut record = Fields::new();
    record.maybe::<UnitText>("why", fit.fit(&access.cause.to_string(), &access.cause));
    record.traced("matches", matches(access, fit)?, &[&access.cause]);
    record.put("actions", actions(plan, access, fit)?);
    Some(record)
}

type Text = Escaped<UnitText>;

/// `KEY=="value", `
fn is(key: &'static str, value: &str, cause: &Cause, fit: &mut Fitter<'_>) -> Option<Text> {
    Some(fit.fit::<UdevMatch>(value, cause)?.between("==", ", ").between(key, "").cast())
}

/// How a device is known.
fn matches(access: &Access, fit: &mut Fitter<'_>) -> Option<Text> {
    let parts = by_name(access, fit)?;
    parts.into_iter().reduce(|a, b| a.joined(&b))
}

/// Several machines have a device: each gets an entry in its access list.
fn may_open(user: &str, permissions: &str, cause: &Cause, fit: &mut Fitter<'_>) -> Option<Text> {
    let entry = fit.fit::<UdevValue>(&format!("u:{user}:{permissions}"), cause)?.unquoted();
    Some(entry.between(r#"RUN{program}+="/usr/bin/setfacl -m "#, r#" $devnode""#).cast())
}

/// The node of IOMMUFD, which all machines of a host have together.
fn iommufd(plan: &Plan, cause: &Cause, fit: &mut Fitter<'_>) -> Option<Fields<Systemd>> {
    let user = plan.confinement.user.as_deref().unwrap_or("root").trim_start_matches('+');
    let mut record = Fields::new();
    record.maybe::<UnitText>("why", fit.fit(&cause.to_string(), cause));
    record.traced("matches", Text::literal(r#"SUBSYSTEM=="misc", KERNEL=="iommu", "#), &[cause]);
    record.put("actions", may_open(user, "rw", cause, fit)?);
    Some(record)
}

/// A device that is lent: of a PCI device and a mediated one it is the node of its IOMMU group, or its own.
fn lent_rule(plan: &Plan, lent: &Lent, own_node: bool, fit: &mut Fitter<'_>) -> Option<Fields<Systemd>> {
    let cause = &lent.cause;
    let group = |name: &str, fit: &mut Fitter<'_>| {
        let test = is("TEST", &format!("/sys/kernel/iommu_groups/%k/devices/{name}"), cause, fit)?;
        Some(Escaped::literal(r#"SUBSYSTEM=="vfio", "#).joined(&test))
    };
    let known: Text = match &lent.device {
        LentDevice::Usb { .. } | LentDevice::UsbPort { .. } if own_node => return None,
        LentDevice::Pci(name) | LentDevice::Mdev(name) if own_node => {
            Escaped::literal(r#"SUBSYSTEM=="vfio-dev", "#).joined(&is("KERNELS", name, cause, fit)?)
        }
        LentDevice::Usb { vendor, product } => Escaped::literal(r#"SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", "#)
            .joined(&is("ATTR{idVendor}", &format!("{vendor:04x}"), cause, fit)?)
            .joined(&is("ATTR{idProduct}", &format!("{product:04x}"), cause, fit)?),
        LentDevice::UsbPort { bus, port } => Escaped::literal(r#"SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", "#)
            .joined(&is("KERNEL", &format!("{bus}-{port}"), cause, fit)?),
        LentDevice::Pci(name) | LentDevice::Mdev(name) => group(name, fit)?,
    };
    let selinux = plan.confinement.selinux.as_ref().filter(|s| s.relabel);
    let user = plan.confinement.user.as_deref().unwrap_or("root").trim_start_matches('+');
    let owner = if plan.rivals.is_empty() {
        fit.fit::<UdevValue>(user, cause)?.between("OWNER=", r#", MODE="0600""#).cast::<UnitText>()
    } else {
        may_open(user, "rw", cause, fit)?
    };
    let label = selinux.and_then(|s| fit.fit::<UdevValue>(&s.image, cause));
    let label: Option<Text> = label.map(|l| l.between(", SECLABEL{selinux}=", "").cast());
    let mut record = Fields::new();
    record.maybe::<UnitText>("why", fit.fit(&cause.to_string(), cause));
    record.traced("matches", known, &[cause]).put("actions", label.into_iter().fold(owner, |a, b| a.joined(&b)));
    Some(record)
}

/// By the name of the node, or by that of a link to it.
fn by_name(access: &Access, fit: &mut Fitter<'_>) -> Option<Vec<Text>> {
    let cause = &access.cause;
    let name = access.path.strip_prefix("/dev/")?;
    let block = (access.kind == PathKind::BlockDevice).then(|| Escaped::literal(r#"SUBSYSTEM=="block", "#));
    let mut parts: Vec<Text> = block.into_iter().collect();
    if let Some((bus, device)) = name.strip_prefix("bus/usb/").and_then(|n| n.split_once('/')) {
        let number = |text: &str| text.trim_start_matches('0').to_string();
        parts.push(Escaped::literal(r#"SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", "#));
        parts.push(is("ATTR{busnum}", &number(bus), cause, fit)?);
        parts.push(is("ATTR{devnum}", &number(device), cause, fit)?);
    } else if let Some(name) = name.strip_prefix("mapper/") {
        parts.push(is("ENV{DM_NAME}", name, cause, fit)?);
    } else {
        let folders = ["vfio", "input", "snd", "dri", "net"];
        match name.split_once('/') {
            None => parts.push(is("KERNEL", name, cause, fit)?),
            Some((folder, name)) if folders.contains(&folder) && !name.contains('/') => {
                parts.push(is("KERNEL", name, cause, fit)?);
            }
            Some(_) => parts.push(is("SYMLINK", name, cause, fit)?),
        }
    }
    Some(parts)
}

/// Who gets it, and its label.
fn actions(plan: &Plan, access: &Access, fit: &mut Fitter<'_>) -> Option<Text> {
    let cause = &access.cause;
    let mut out: Vec<Text> = Vec::new();
    let owner = match &access.owner {
        OwnerRule::Keep => None,
        OwnerRule::Explicit(owner) => {
            Some(owner.split(':').next().unwrap_or(owner).trim_start_matches('+').to_string())
        }
        OwnerRule::Domain { .. } => {
            Some(plan.confinement.user.as_deref().unwrap_or("root").trim_start_matches('+').to_string())
        }
    };
    if let Some(owner) = owner {
        let alone = access.sharing == Sharing::Exclusive && plan.rivals.is_empty();
        if alone {
            let owner = fit.fit::<UdevValue>(&owner, cause)?;
            out.push(owner.between("OWNER=", r#", MODE="0600""#).cast());
        } else {
            let permissions = if access.perms.write { "rw" } else { "r" };
            out.push(may_open(&owner, permissions, cause, fit)?);
        }
    }
    if let Some(context) = context(plan, access) {
        let context = fit.fit::<UdevValue>(context, cause)?;
        out.push(context.between("SECLABEL{selinux}=", "").cast());
    }
    out.into_iter().reduce(|a, b| a.between("", ", ").joined(&b))
}
