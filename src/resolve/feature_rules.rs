//! Checks of `<features>`.

use crate::caps::{Accel, Cap};
use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::features::{Features, Hyperv, IoapicDriver};
use crate::stage::Quirk;
use crate::stage::{Board, Cx, Machine};
use crate::vocab::OnOff;
use crate::xml::Site;

/// Features that the machine, or this QEMU, does not have.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let mut faults: Vec<(Site, String)> = Vec::new();
    let mut of_hyperv: Vec<(Site, &'static str, String)> = Vec::new();
    remapping(domain, &mut faults);
    if cx.env.behaves(Quirk::OneIommu)
        && let Some(second) = domain.devices.iter().flat_map(|d| &d.iommus).nth(1)
    {
        faults.push((second.site, "only a single IOMMU device is supported by this libvirt".to_string()));
    }
    if let Some(f) = &domain.features {
        ranges(f, machine, &mut faults);
        if let Some(hyperv) = &f.hyperv {
            enlightenments(hyperv, cx, &mut faults);
            if !cx.env.behaves(Quirk::HypervDependenciesUnchecked) {
                dependencies(hyperv, domain, &mut of_hyperv);
            }
        }
    }
    for (site, message) in faults {
        cx.error(&codes::FEATURE, site, message);
    }
    for (site, element, message) in of_hyperv {
        cx.error_in(&codes::FEATURE, site, element, message);
    }
    let Some(f) = &domain.features else { return };
    by_machine(f, machine, cx);
    by_qemu(f, machine, cx);
    ps2(f, domain, cx);
    if f.acpi
        && machine.arch == crate::vocab::Arch::Aarch64
        && machine.board == Board::Virt
        && !super::os_rules::has_uefi(domain)
    {
        cx.error_in(
            &codes::FEATURE,
            f.site,
            "acpi",
            "<acpi/> on this architecture comes from UEFI: choose such firmware",
        );
    }
}

/// Where each feature is.
fn by_machine(f: &Features, machine: &Machine, cx: &mut Cx<'_>) {
    let pseries = machine.board == Board::Pseries;
    let arm_virt = machine.board == Board::Virt && machine.arch.is_arm();
    let riscv_virt = machine.board == Board::Virt && machine.arch.is_riscv();
    let x86 = machine.arch.is_x86();
    let where_it_is = [
        ("hpt", "\'hpt\' does", f.hpt.is_some(), pseries),
        ("htm", "\'htm\' does", f.htm.is_some(), pseries),
        ("nested-hv", "\'nested-hv\' does", f.nested_hv.is_some(), pseries),
        ("ccf-assist", "\'ccf-assist\' does", f.ccf_assist.is_some(), pseries),
        ("cfpc", "\'cfpc\' does", f.cfpc.is_some(), pseries),
        ("sbbc", "\'sbbc\' does", f.sbbc.is_some(), pseries),
        ("ibs", "\'ibs\' does", f.ibs.is_some(), pseries),
        ("gic", "\'gic\' does", f.gic.is_some(), arm_virt),
        ("ras", "'ras', a feature of ARM Virt machines, does", f.ras.is_some(), arm_virt),
        ("aia", "\'aia\' does", f.aia.is_some(), riscv_virt),
        ("virtualization", "\'virtualization\' does", f.virtualization.is_some(), arm_virt),
        ("pvspinlock", "\'pvspinlock\' does", f.pvspinlock.is_some(), x86),
        ("ioapic", "\'ioapic\' does", f.ioapic.is_some(), x86),
        ("apic", "the attribute 'eoi' of 'apic' does", f.apic.as_ref().is_some_and(|a| a.eoi.is_some()), x86),
        ("hyperv", "Hyper-V ('hyperv') does", f.hyperv.is_some(), x86 || arm_virt),
    ];
    for (element, what, _, _) in where_it_is.iter().filter(|(_, _, is_there, possible)| *is_there && !possible) {
        let message = format!(
            "<features>: {what} not exist on the architecture '{}' with the machine type '{}'",
            machine.arch, machine.name
        );
        cx.error_in(&codes::FEATURE, f.site, element, message).help("remove it");
    }
    // Whether a machine has ACPI stands in the capabilities; older ones do not say.
    let of_machine = cx.env.caps.accel(machine.accel).and_then(|a| a.machines.iter().find(|m| m.name == machine.name));
    let acpi = of_machine.and_then(|m| m.acpi).unwrap_or(!machine.arch.is_s390());
    if f.acpi && !acpi {
        cx.error_in(
            &codes::FEATURE,
            f.site,
            "acpi",
            format!("<acpi/> is set, and the machine type '{}' has no ACPI", machine.name),
        );
    }
    if machine.arch.is_ppc64() && f.pmu.as_ref().is_some_and(|p| !p.is_on()) {
        cx.error_in(
            &codes::FEATURE,
            f.site,
            "pmu",
            format!("<pmu>: on the architecture '{}' it is always enabled", machine.arch),
        );
    }
}

/// What this QEMU cannot do.
fn by_qemu(f: &Features, machine: &Machine, cx: &mut Cx<'_>) {
    let x86 = machine.arch.is_x86();
    let teardown = f.async_teardown.as_ref().is_some_and(|a| a.enabled.is_some_and(|e| e.is_yes()));
    let lacks = [
        ("vmport", "vmport", f.vmport.is_some() && !x86),
        // Standalone, older QEMUs are asked with a switch of their own.
        (
            "async-teardown",
            "asynchronous teardown",
            teardown && cx.env.behaves(Quirk::TeardownByRunWith) && !cx.has(Cap::RunWithAsyncTeardown),
        ),
        ("vmcoreinfo", "vmcoreinfo", f.vmcoreinfo.as_ref().is_some_and(|v| v.is_on()) && !cx.has(Cap::Vmcoreinfo)),
        ("ps2", "a switch for the ps2 feature", f.ps2.is_some() && !(x86 && cx.has(Cap::MachineI8042Opt))),
    ];
    for (element, what, _) in lacks.iter().filter(|(_, _, lacks)| *lacks) {
        let message = format!("<features>: this QEMU binary has no {what} available");
        cx.error_in(&codes::FEATURE, f.site, element, message);
    }
}

/// What remapping of interrupts builds on.
fn remapping(domain: &Domain, faults: &mut Vec<(Site, String)>) {
    let split =
        domain.features.as_ref().and_then(|f| f.ioapic.as_ref()).and_then(|i| i.driver) == Some(IoapicDriver::Qemu);
    for iommu in domain.devices.iter().flat_map(|d| &d.iommus) {
        let Some(driver) = &iommu.driver else { continue };
        let remaps = driver.intremap == Some(OnOff::On);
        if remaps && !split {
            let message = "intremap='on': the IOMMU remaps interrupts of a split I/O APIC only, so <features> needs <ioapic driver='qemu'/>";
            faults.push((iommu.site, message.to_string()));
        }
        if driver.eim == Some(OnOff::On) && !remaps {
            let message = "eim='on' of the IOMMU extends interrupt remapping, which is not enabled: add intremap='on'";
            faults.push((iommu.site, message.to_string()));
        }
    }
}

/// Sizes.
fn ranges(f: &Features, machine: &Machine, faults: &mut Vec<(Site, String)>) {
    if let Some(tseg) = f.smm.as_ref().and_then(|s| s.tseg.as_ref()) {
        if machine.board != Board::Q35 {
            faults.push((tseg.site, "<tseg> belongs to SMM of the q35 machine type, no other has it".to_string()));
        } else if !tseg.size.0.is_multiple_of(1 << 20) {
            faults.push((tseg.site, "<tseg> of SMM: the size is counted in whole MiB".to_string()));
        }
    }
    if let Some(tcg) = &f.tcg {
        if machine.accel != Accel::Tcg {
            let message = format!(
                "<tcg> tunes the emulator, and the domain is of type '{}': the features are incompatible",
                machine.accel.as_str()
            );
            faults.push((tcg.site, message));
        } else if tcg.tb_cache.as_ref().is_some_and(|c| !c.kib().is_multiple_of(1024)) {
            faults.push((tcg.site, "<tb-cache>: the size is counted in whole MiB, an integer multiple".to_string()));
        }
    }
    if let Some(ring) = f.kvm.as_ref().and_then(|k| k.dirty_ring.as_ref()).filter(|r| r.switch.is_on()) {
        let fits = ring.size.is_some_and(|s| s.is_power_of_two() && (1024..=65536).contains(&s));
        let message = match ring.size {
            None => "a 'dirty-ring' that is on needs the attribute 'size', which is missing",
            Some(_) => "<dirty-ring size>: a dirty ring has a power of 2 of entries, from 1024 to 65536",
        };
        if !fits {
            faults.push((ring.site, message.to_string()));
        }
    }
}

/// Values of enlightenments.
fn enlightenments(hyperv: &Hyperv, cx: &Cx<'_>, faults: &mut Vec<(Site, String)>) {
    let retries_needed = cx.env.behaves(Quirk::HypervDependenciesUnchecked);
    if let Some(spinlocks) = hyperv.spinlocks.as_ref().filter(|s| s.switch.is_on()) {
        let message = match spinlocks.retries {
            None if retries_needed => Some("'spinlocks' that are on need the attribute 'retries', which is missing"),
            None => None,
            Some(retries) if retries < 0xfff => {
                Some("<spinlocks retries>: Hyper-V guests take a count of 4095 or more")
            }
            Some(_) => None,
        };
        faults.extend(message.map(|m| (spinlocks.site, m.to_string())));
    }
    if let Some(vendor) = hyperv.vendor_id.as_ref().filter(|v| v.switch.is_on()) {
        let message = match &vendor.value {
            None => Some("'vendor_id' of HyperV is on, and its attribute 'value' is missing"),
            Some(value) if value.len() > 12 || value.contains(',') => {
                Some("the hyperv vendor_id has at most 12 characters, and no ','")
            }
            Some(_) => None,
        };
        faults.extend(message.map(|m| (vendor.site, m.to_string())));
    }
}

/// Enlightenments that need others.
fn dependencies(h: &Hyperv, domain: &Domain, faults: &mut Vec<(Site, &'static str, String)>) {
    use crate::domain::clock::TimerName;
    use crate::domain::features::{HypervMode, Switch};
    if h.mode == Some(HypervMode::Passthrough) {
        return;
    }
    let on = |s: &Option<Switch>| s.as_ref().is_some_and(Switch::is_on);
    let stimer = h.stimer.as_ref().is_some_and(|s| s.switch.is_on());
    let flush = h.tlbflush.as_ref().is_some_and(|s| s.switch.is_on());
    let mut timers = domain.clock.iter().flat_map(|c| &c.timers);
    let clock = timers.any(|t| t.name == Some(TimerName::Hypervclock) && t.present.is_some_and(|p| p.is_yes()));
    let needs = [
        ("stimer", stimer, "synic", on(&h.synic)),
        ("tlbflush", flush, "vpindex", on(&h.vpindex)),
        ("ipi", on(&h.ipi), "vpindex", on(&h.vpindex)),
        ("evmcs", on(&h.evmcs), "vapic", on(&h.vapic)),
    ];
    // The host has what is not named.
    let host = h.mode == Some(HypervMode::HostModel);
    for (what, _, needed, _) in needs.iter().filter(|(_, is_on, _, met)| *is_on && !met && !host) {
        faults.push((
            h.site,
            what,
            format!("the enlightenment '{what}' needs '{needed}', which is not on: add it to <hyperv>"),
        ));
    }
    if stimer && !clock {
        let message = "the enlightenment 'stimer' needs the timer 'hypervclock': add <timer name='hypervclock' present='yes'/> to <clock>";
        faults.push((h.site, "stimer", message.to_string()));
    }
}

/// Without the controller of keyboard and mouse there is neither, nor what pretends to be one.
fn ps2(f: &Features, domain: &Domain, cx: &mut Cx<'_>) {
    if f.ps2.as_ref().is_none_or(|p| p.is_on()) {
        return;
    }
    if f.vmport.as_ref().is_some_and(|v| v.is_on()) {
        cx.error_in(
            &codes::FEATURE,
            f.site,
            "vmport",
            "<vmport> works through the ps2 controller, and the ps2 feature is disabled",
        );
    }
    let inputs = domain.devices.as_ref().map_or(&[][..], |d| &d.inputs);
    if let Some(input) = inputs.iter().find(|i| i.bus == Some(crate::device::input::InputBus::Ps2)) {
        let message = "there are inputs on the ps2 bus, and the ps2 feature is disabled";
        cx.error(&codes::FEATURE, input.site, message);
    }
}
