//! Checks of `<features>`.

use super::{Board, Cx, Machine};
use crate::caps::{Accel, Cap};
use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::features::{Features, Hyperv};
use crate::xml::Site;

/// Features that the machine, or this QEMU, does not have.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(f) = &domain.features else { return };
    by_machine(f, machine, cx);
    by_qemu(f, machine, cx);
    let mut faults: Vec<(Site, String)> = Vec::new();
    ranges(f, machine, &mut faults);
    if let Some(hyperv) = &f.hyperv {
        enlightenments(hyperv, &mut faults);
    }
    for (site, message) in faults {
        cx.error(&codes::FEATURE, site, message);
    }
    ps2(f, domain, cx);
    if f.acpi
        && machine.arch == crate::vocab::Arch::Aarch64
        && machine.board == Board::Virt
        && !super::os_rules::has_uefi(domain)
    {
        cx.error(&codes::FEATURE, f.site, "ACPI requires UEFI firmware on this architecture");
    }
}

/// Where each feature is.
fn by_machine(f: &Features, machine: &Machine, cx: &mut Cx<'_>) {
    let pseries = machine.board == Board::Pseries;
    let arm_virt = machine.board == Board::Virt && machine.arch.is_arm();
    let riscv_virt = machine.board == Board::Virt && machine.arch.is_riscv();
    let x86 = machine.arch.is_x86();
    let where_it_is = [
        ("'hpt' feature is", f.hpt.is_some(), pseries),
        ("'htm' feature is", f.htm.is_some(), pseries),
        ("'nested-hv' feature is", f.nested_hv.is_some(), pseries),
        ("'ccf-assist' feature is", f.ccf_assist.is_some(), pseries),
        ("'cfpc' feature is", f.cfpc.is_some(), pseries),
        ("'sbbc' feature is", f.sbbc.is_some(), pseries),
        ("'ibs' feature is", f.ibs.is_some(), pseries),
        ("'gic' feature is", f.gic.is_some(), arm_virt),
        ("'ras' feature, which is only there for ARM Virt machines, is", f.ras.is_some(), arm_virt),
        ("'aia' feature is", f.aia.is_some(), riscv_virt),
        ("'pvspinlock' feature is", f.pvspinlock.is_some(), x86),
        ("'ioapic' feature is", f.ioapic.is_some(), x86),
        ("'eoi' attribute of the 'apic' feature is", f.apic.as_ref().is_some_and(|a| a.eoi.is_some()), x86),
        ("hyperv features are", f.hyperv.is_some(), x86 || arm_virt),
    ];
    for (what, _, _) in where_it_is.iter().filter(|(_, is_there, possible)| *is_there && !possible) {
        let message =
            format!("the {what} not supported for architecture '{}' or machine type '{}'", machine.arch, machine.name);
        cx.error(&codes::FEATURE, f.site, message);
    }
    // Whether a machine has ACPI stands in the capabilities; older ones do not say.
    let of_machine = cx.env.caps.accel(machine.accel).and_then(|a| a.machines.iter().find(|m| m.name == machine.name));
    let acpi = of_machine.and_then(|m| m.acpi).unwrap_or(!machine.arch.is_s390());
    if f.acpi && !acpi {
        cx.error(&codes::FEATURE, f.site, format!("machine type '{}' does not support ACPI", machine.name));
    }
    if machine.arch.is_ppc64() && f.pmu.as_ref().is_some_and(|p| !p.is_on()) {
        cx.error(&codes::FEATURE, f.site, format!("the PMU is always enabled for architecture '{}'", machine.arch));
    }
}

/// What this QEMU cannot do.
fn by_qemu(f: &Features, machine: &Machine, cx: &mut Cx<'_>) {
    let x86 = machine.arch.is_x86();
    let teardown = f.async_teardown.as_ref().is_some_and(|a| a.enabled.is_some_and(|e| e.is_yes()));
    let lacks = [
        ("vmport is", f.vmport.is_some() && !x86),
        // Standalone, older QEMUs are asked with a switch of their own.
        ("asynchronous teardown is", teardown && cx.env.is_libvirt() && !cx.has(Cap::RunWithAsyncTeardown)),
        ("vmcoreinfo is", f.vmcoreinfo.as_ref().is_some_and(|v| v.is_on()) && !cx.has(Cap::Vmcoreinfo)),
        ("control of the ps2 feature is", f.ps2.is_some() && !(x86 && cx.has(Cap::MachineI8042Opt))),
    ];
    for (what, _) in lacks.iter().filter(|(_, lacks)| *lacks) {
        cx.error(&codes::FEATURE, f.site, format!("{what} not available with this QEMU binary"));
    }
}

/// Sizes.
fn ranges(f: &Features, machine: &Machine, faults: &mut Vec<(Site, String)>) {
    if let Some(tseg) = f.smm.as_ref().and_then(|s| s.tseg.as_ref()) {
        if machine.board != Board::Q35 {
            faults.push((tseg.site, "SMM TSEG is only supported with the q35 machine type".to_string()));
        } else if !tseg.size.0.is_multiple_of(1 << 20) {
            faults.push((tseg.site, "the size of SMM TSEG must be divisible by 1 MiB".to_string()));
        }
    }
    if let Some(tcg) = &f.tcg {
        if machine.accel != Accel::Tcg {
            let message = format!("TCG features are incompatible with a domain of type '{}'", machine.accel.as_str());
            faults.push((tcg.site, message));
        } else if tcg.tb_cache.as_ref().is_some_and(|c| !c.kib().is_multiple_of(1024)) {
            faults.push((tcg.site, "the size of tb-cache must be an integer multiple of MiB".to_string()));
        }
    }
    if let Some(ring) = f.kvm.as_ref().and_then(|k| k.dirty_ring.as_ref()).filter(|r| r.switch.is_on()) {
        let fits = ring.size.is_some_and(|s| s.is_power_of_two() && (1024..=65536).contains(&s));
        let message = match ring.size {
            None => "missing attribute 'size' in element 'dirty-ring': it is required when the ring is on",
            Some(_) => "the size of a dirty ring must be a power of 2 in the range [1024, 65536]",
        };
        if !fits {
            faults.push((ring.site, message.to_string()));
        }
    }
}

/// Values of enlightenments.
fn enlightenments(hyperv: &Hyperv, faults: &mut Vec<(Site, String)>) {
    if let Some(spinlocks) = hyperv.spinlocks.as_ref().filter(|s| s.switch.is_on()) {
        let message = match spinlocks.retries {
            None => Some("missing attribute 'retries' in element 'spinlocks': it is required when they are on"),
            Some(retries) if retries < 0xfff => Some("the hyperv spinlock retry count must be at least 4095"),
            Some(_) => None,
        };
        faults.extend(message.map(|m| (spinlocks.site, m.to_string())));
    }
    if let Some(vendor) = hyperv.vendor_id.as_ref().filter(|v| v.switch.is_on()) {
        let message = match &vendor.value {
            None => Some("missing 'value' attribute for the HyperV feature 'vendor_id'"),
            Some(value) if value.len() > 12 || value.contains(',') => {
                Some("the hyperv vendor_id has at most 12 characters, and no ','")
            }
            Some(_) => None,
        };
        faults.extend(message.map(|m| (vendor.site, m.to_string())));
    }
}

/// Without the controller of keyboard and mouse there is neither, nor what pretends to be one.
fn ps2(f: &Features, domain: &Domain, cx: &mut Cx<'_>) {
    if f.ps2.as_ref().is_none_or(|p| p.is_on()) {
        return;
    }
    if f.vmport.as_ref().is_some_and(|v| v.is_on()) {
        cx.error(&codes::FEATURE, f.site, "the vmport feature requires the ps2 feature: it must not be disabled");
    }
    let inputs = domain.devices.as_ref().map_or(&[][..], |d| &d.inputs);
    if let Some(input) = inputs.iter().find(|i| i.bus == Some(crate::device::input::InputBus::Ps2)) {
        let message = "inputs on the ps2 bus require the ps2 feature: it must not be disabled";
        cx.error(&codes::FEATURE, input.site, message);
    }
}
