//! The guest's CPU: what the format leaves open.

use crate::caps::{Accel, Cap};
use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::cpu::{Cpu, CpuCheck, CpuFallback, CpuFeature, CpuMatch, CpuMode, CpuModel, FeaturePolicy};
use crate::stage::{Cx, Machine};
use crate::vocab::OnOff;

/// Fills in mode, match, check, fallback, and the CPU of a machine that has none.
pub fn defaults(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if let Some(cpu) = domain.cpu.as_ref().filter(|c| c.model_name().is_none()) {
        without_model(cpu, cx);
    }
    if domain.cpu.as_ref().is_none_or(|c| !c.names_a_cpu()) {
        default_model(domain, machine, cx);
    }
    let Some(cpu) = &mut domain.cpu else { return };
    if let Some(topology) = &mut cpu.topology {
        topology.dies.get_or_insert(1);
        topology.clusters.get_or_insert(1);
    }
    for (i, cell) in cpu.numa.iter_mut().flat_map(|n| &mut n.cells).enumerate() {
        cell.id.get_or_insert(i as u32);
    }
    if let Some(numa) = &mut cpu.numa {
        numa.cells.sort_by_key(|c| c.id);
    }
    if !cpu.names_a_cpu() {
        // Which of QEMU's CPUs it is stays open: there is nothing to choose among, nor to compare with.
        (cpu.mode, cpu.matching) = (None, None);
        return;
    }
    let mode = *cpu.mode.get_or_insert(CpuMode::Custom);
    vector_lengths(cpu, cx);
    match mode {
        CpuMode::Custom => {
            cpu.matching.get_or_insert(CpuMatch::Exact);
            if let Some(model) = &mut cpu.model {
                model.fallback.get_or_insert(CpuFallback::Allow);
            }
        }
        CpuMode::HostModel => {
            // A name says something only on POWER: which older CPU the host's is to look like.
            if let Some(model) = &mut cpu.model {
                model.fallback = match model.name {
                    Some(_) => Some(model.fallback.unwrap_or(CpuFallback::Allow)),
                    None => None,
                };
            }
            cpu.model.take_if(|m| m.name.is_none() && m.vendor_id.is_none());
        }
        CpuMode::HostPassthrough | CpuMode::Maximum => {
            cpu.model = None;
            cpu.vendor = None;
            if mode == CpuMode::HostPassthrough && machine.arch.is_x86() {
                cpu.migratable.get_or_insert(if cx.has(Cap::CpuMigratable) { OnOff::On } else { OnOff::Off });
            }
        }
    }
    for feature in &mut cpu.features {
        if cpu.mode != Some(CpuMode::HostPassthrough) || feature.policy.is_none() {
            feature.policy.get_or_insert(FeaturePolicy::Require);
        }
    }
    if cpu.check.is_none() {
        cpu.check = Some(match mode {
            CpuMode::HostPassthrough | CpuMode::Maximum => CpuCheck::None,
            CpuMode::HostModel => CpuCheck::Partial,
            // An emulated CPU is not compared with the host's.
            CpuMode::Custom if machine.accel == Accel::Tcg => CpuCheck::None,
            CpuMode::Custom => CpuCheck::Partial,
        });
    }
}

/// What cannot be said of a CPU without a model.
fn without_model(cpu: &Cpu, cx: &mut Cx<'_>) {
    let passes = matches!(cpu.mode(), CpuMode::HostPassthrough | CpuMode::Maximum);
    if cpu.vendor.is_some() && !passes {
        cx.error(&codes::CPU, cpu.site, "<vendor> restricts a CPU <model>, and none is specified");
    } else if let Some(feature) = cpu.features.first().filter(|_| cpu.mode() == CpuMode::Custom) {
        let message = "<feature> changes a CPU <model>: the list is non-empty, and no model is specified";
        cx.error(&codes::CPU, feature.site, message);
    }
}

/// The CPU that QEMU gives the machine, where its name is sure to mean the same later.
fn default_model(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let arch = machine.arch;
    if !arch.is_x86() && !arch.is_s390() && !arch.is_ppc64() && machine.accel != Accel::Tcg {
        return;
    }
    // libvirt has no notion of CPUs of other architectures: 32-bit POWER, SPARC.
    let known = arch.is_x86() || arch.is_s390() || arch.is_ppc64() || arch.is_arm() || arch.is_riscv();
    if !known && !arch.is_loongarch() {
        return;
    }
    let caps = cx.env.caps;
    let Some(of_accel) = caps.accel(machine.accel).or_else(|| caps.accel(Accel::Tcg)) else { return };
    let wanted = of_accel.machines.iter().find(|m| m.name == machine.name).and_then(|m| m.default_cpu.as_deref());
    let Some(wanted) = wanted else { return };
    let Some(model) = of_accel.cpus.iter().find(|c| c.type_name == wanted).map(|c| &*c.name) else { return };
    let cpu = domain.cpu.get_or_insert_with(Cpu::default);
    if model == "host" && machine.accel == Accel::Kvm {
        let described = caps.host_cpu(Accel::Kvm).is_some() && cx.env.host.machine.arch.runs(arch);
        cpu.mode = Some(if arch.is_s390() && described { CpuMode::HostModel } else { CpuMode::HostPassthrough });
        return;
    }
    // QEMU for s390x names 'host' as the default of emulated machines too, which have 'qemu'.
    let model = if model == "host" && arch.is_s390() { "qemu" } else { model };
    cpu.mode = Some(CpuMode::Custom);
    cpu.matching = Some(CpuMatch::Exact);
    cpu.check = Some(CpuCheck::None);
    // A model without a name may say the vendor all the same.
    let named = cpu.model.get_or_insert_with(CpuModel::default);
    (named.fallback, named.name) = (Some(CpuFallback::Forbid), Some(model.to_string()));
}

/// Lengths of SVE vectors (`sve512`) ask for SVE itself.
fn vector_lengths(cpu: &mut Cpu, cx: &mut Cx<'_>) {
    let is_length = |f: &CpuFeature| f.name().len() > 3 && f.name().starts_with("sve");
    if !cpu.features.iter().any(is_length) {
        return;
    }
    match cpu.features.iter_mut().find(|f| f.name() == "sve") {
        Some(sve) if matches!(sve.policy(), FeaturePolicy::Disable | FeaturePolicy::Forbid) => {
            let site = sve.site;
            cx.error(&codes::CPU, site, "<feature> names SVE vector lengths, and disables sve itself")
                .help("remove the features that begin with 'sve', or require 'sve'");
        }
        Some(sve) => sve.policy = Some(FeaturePolicy::Require),
        None => cpu.features.push(CpuFeature::implied("sve", FeaturePolicy::Require)),
    }
}
