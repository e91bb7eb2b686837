//! The guest's CPU made definite: `host-model` expanded, optional features decided, an unknown model
//! replaced, and all of it compared with the host.

use super::decode::{self, Data};
use super::{FeatureSet, Model, Table, knows_feature, table};
use crate::caps::{Accel, Cap, PropertyValue, Usable};
use crate::domain::cpu::{Cpu, CpuCheck, CpuFallback, CpuFeature, CpuMatch, CpuMode, CpuModel, FeaturePolicy};
use crate::host::{DeprecatedFeatures, HostCpu};
use crate::stage::{Env, Machine, Quirk};
use crate::vocab::OnOff;

/// Features that the kernel or the guest switches, not QEMU; and one that QEMU has taken back.
const NOT_TOLD: &[&str] = &["cmt", "mbm_total", "mbm_local", "osxsave", "ospke", "pconfig"];

/// Features that QEMU derives from the topology.
const TOPOLOGY: &[&str] = &["ht", "cmp_legacy", "cmp-legacy"];

/// Why a CPU cannot be had.
#[derive(Debug, PartialEq)]
pub enum Fault {
    /// With this accelerator there is no such mode.
    Mode(String),
    /// The host's CPU lacks something.
    Incompatible(String),
    /// The parts contradict each other.
    Wrong(String),
    /// There is no model of this name.
    NoModel(String),
    /// There is no feature of this name.
    NoFeature(String),
}

/// The names of the CPU that nobody knows: features, and the model.
pub fn unknown(cpu: &Cpu, machine: &Machine, env: &Env<'_>) -> Vec<Fault> {
    let strange = cpu.features.iter().filter(|f| !knows_feature(machine.arch, f.name()));
    let mut faults: Vec<Fault> = strange.map(|f| Fault::NoFeature(f.name().to_string())).collect();
    // The model of x86 may be translated; otherwise libvirt leaves it to QEMU, which then does not start.
    if cpu.mode() == CpuMode::Custom && !machine.arch.is_x86() && env.is_guardian() {
        faults.extend(known_model(cpu, machine, env).err());
    }
    faults
}

/// The CPU that QEMU is told.
pub fn definite(cpu: &Cpu, machine: &Machine, env: &Env<'_>) -> Result<Cpu, Fault> {
    let arch = machine.arch;
    let mut new = cpu.clone();
    match cpu.mode() {
        CpuMode::HostPassthrough => {
            if machine.accel == Accel::Tcg || !env.host.machine.arch.runs(arch) {
                return Err(unsupported(cpu.mode(), machine, env));
            }
        }
        CpuMode::Maximum => {
            if !env.has(Cap::CpuMax) {
                return Err(unsupported(cpu.mode(), machine, env));
            }
        }
        CpuMode::HostModel if arch.is_ppc64() => power(cpu, env)?,
        CpuMode::HostModel => match host_model(machine, env) {
            Some(host) => take_model(&mut new, &host),
            None if takes_what_there_is(machine, env) => {
                new.mode = Some(CpuMode::HostPassthrough);
                new.model.take_if(|m| m.vendor_id.is_none());
            }
            None => return Err(unsupported(cpu.mode(), machine, env)),
        },
        CpuMode::Custom if arch.is_x86() => custom_x86(&mut new, machine, env)?,
        CpuMode::Custom => {}
    }
    if new.deprecated_features.is_some() {
        deprecated(&mut new, machine, env)?;
    } else if cpu.mode() == CpuMode::HostModel && arch.is_s390() && env.has(Cap::QueryCpuModelExpansionDeprecatedProps)
    {
        new.deprecated_features = match env.host.instance.cpu_deprecated_features {
            _ if env.behaves(Quirk::DeprecatedFeaturesStay) => None,
            DeprecatedFeatures::On => Some(OnOff::On),
            DeprecatedFeatures::Off => Some(OnOff::Off),
            DeprecatedFeatures::None => None,
        };
        if new.deprecated_features.is_some() {
            deprecated(&mut new, machine, env)?;
        }
    }
    if arch.is_x86() {
        let topology = |name: &str| TOPOLOGY.contains(&name) && !env.behaves(Quirk::HtIsTold);
        new.features.retain(|f| !NOT_TOLD.contains(&f.name()) && !topology(f.name()));
    }
    Ok(new)
}

/// Whether a guest that is to have the host's model gets the host's CPU as it is: nobody has told which that is.
fn takes_what_there_is(machine: &Machine, env: &Env<'_>) -> bool {
    env.host.open && machine.accel != Accel::Tcg && env.host.machine.arch.runs(machine.arch)
}

fn unsupported(mode: CpuMode, machine: &Machine, env: &Env<'_>) -> Fault {
    let kind = if machine.accel == Accel::Tcg { "qemu" } else { machine.accel.as_str() };
    Fault::Mode(format!(
        "<cpu mode='{mode}'>: a {} {kind} domain has no such CPU from its hypervisor on this {} host",
        machine.arch, env.host.machine.arch
    ))
}

/// The model and features of the host put under what the guest's CPU says itself.
fn take_model(cpu: &mut Cpu, host: &Cpu) {
    let own = std::mem::take(&mut cpu.features);
    cpu.mode = Some(CpuMode::Custom);
    cpu.matching = Some(CpuMatch::Exact);
    let vendor_id = cpu.model.as_ref().and_then(|m| m.vendor_id.clone());
    let site = cpu.model.as_ref().map(|m| m.site).unwrap_or_default();
    cpu.model = Some(CpuModel {
        fallback: Some(CpuFallback::Allow),
        vendor_id,
        name: host.model_name().map(str::to_string),
        site,
    });
    cpu.features.clone_from(&host.features);
    for feature in own {
        set(&mut cpu.features, feature);
    }
}

/// Sets a feature in a list: in its place if it is there, else at the end.
fn set(features: &mut Vec<CpuFeature>, feature: CpuFeature) {
    match features.iter_mut().find(|f| f.name == feature.name) {
        Some(old) => old.policy = feature.policy,
        None => features.push(feature),
    }
}

/// Whether models that are younger than libvirt 11.3 are known.
fn knows_young(env: &Env<'_>) -> bool {
    !env.behaves(Quirk::CpuModelsOf2025)
}

/// A model of the table that is known to whom the command line is for.
fn model_of<'t>(table: &'t Table, name: &str, env: &Env<'_>) -> Option<&'t Model> {
    table.model(name).filter(|model| !model.young || knows_young(env))
}

/// What `host-model` stands for.
fn host_model(machine: &Machine, env: &Env<'_>) -> Option<Cpu> {
    let qemu = env.caps.accel(machine.accel)?;
    if machine.arch.is_x86() {
        let table = table();
        if let Some(facts) = env.host.machine.cpu.as_ref().filter(|f| is_elsewhere(f, env)) {
            return Some(from_facts(table, facts));
        }
        return match &qemu.host_cpu {
            Some(host) => decode::decode(table, &Data::of_host(table, host), qemu, knows_young(env)),
            None => env.host.machine.cpu.as_ref().map(|facts| from_facts(table, facts)),
        };
    }
    let host = qemu.host_cpu.as_ref()?;
    let feature = |p: &crate::caps::CpuProperty| match p.value {
        PropertyValue::Boolean(_) if host.migratability && p.migratable == Some(false) => None,
        PropertyValue::Boolean(on) => {
            let policy = if on { FeaturePolicy::Require } else { FeaturePolicy::Disable };
            Some(CpuFeature::implied(p.name.to_string(), policy))
        }
        _ => None,
    };
    Some(Cpu {
        mode: Some(CpuMode::Custom),
        model: Some(CpuModel { name: Some(host.model.to_string()), ..CpuModel::default() }),
        features: host.properties.iter().filter_map(feature).collect(),
        ..Cpu::default()
    })
}

/// Whether the capabilities come from another machine than the host facts: whatever QEMU uses there, it
/// cannot run the model of this host's CPU. Then the facts are believed.
fn is_elsewhere(facts: &HostCpu, env: &Env<'_>) -> bool {
    let probed = env.caps.host_cpu(Accel::Kvm).and_then(|host| Data::of_host(table(), host).vendor);
    if probed.is_some() && probed == facts.vendor.as_deref() {
        return false;
    }
    let mut known = [Accel::Kvm, Accel::Tcg].into_iter().filter_map(|a| env.caps.cpu(a, &facts.model)).peekable();
    known.peek().is_some() && known.all(|c| c.usable == Usable::No)
}

/// The CPU of the host facts, without what a guest that migrates cannot have.
fn from_facts(table: &Table, facts: &HostCpu) -> Cpu {
    let told = |f: &&String| table.feature(f).is_none_or(|i| table.is_migratable(i));
    Cpu {
        mode: Some(CpuMode::Custom),
        model: Some(CpuModel { name: Some(facts.model.clone()), ..CpuModel::default() }),
        vendor: facts.vendor.clone(),
        features: facts
            .features
            .iter()
            .filter(told)
            .map(|f| CpuFeature::implied(f.clone(), FeaturePolicy::Require))
            .collect(),
        ..Cpu::default()
    }
}

/// All features of a CPU with a model of the table.
fn features_of(table: &Table, cpu: &Cpu) -> FeatureSet {
    let mut set = cpu.model_name().and_then(|m| table.model(m)).map_or(FeatureSet::default(), |m| m.features);
    for feature in &cpu.features {
        let Some(index) = table.feature(feature.name()) else { continue };
        match feature.policy() {
            FeaturePolicy::Force | FeaturePolicy::Require => set.add(index),
            FeaturePolicy::Disable | FeaturePolicy::Forbid => set.remove(index),
            FeaturePolicy::Optional => {}
        }
    }
    set
}

/// A named model of x86.
fn custom_x86(cpu: &mut Cpu, machine: &Machine, env: &Env<'_>) -> Result<(), Fault> {
    let minimum = cpu.matching == Some(CpuMatch::Minimum);
    let optional = cpu.features.iter().any(|f| f.policy() == FeaturePolicy::Optional);
    if cpu.check == Some(CpuCheck::Partial) && machine.accel != Accel::Tcg {
        compare(table(), cpu, machine, env)?;
    }
    if minimum || optional {
        let host = host_model(machine, env).ok_or_else(|| unsupported(CpuMode::HostModel, machine, env))?;
        let table = table();
        let has = features_of(table, &host);
        if minimum {
            take_model(cpu, &host);
        }
        for feature in cpu.features.iter_mut().filter(|f| f.policy() == FeaturePolicy::Optional) {
            let on = table.feature(feature.name()).is_some_and(|i| has.has(i));
            feature.policy = Some(if on { FeaturePolicy::Require } else { FeaturePolicy::Disable });
        }
    }
    translate(cpu, machine, env)?;
    if !cpu.model_name().is_some_and(super::may_lack_features) {
        return Ok(());
    }
    let table = table();
    // Newer QEMUs have models with fewer features than libvirt knows: said, so that the guest is the same.
    for index in cpu.model_name().and_then(|m| table.model(m)).map_or(&[][..], |m| &m.removed) {
        let name = table.feature_name(*index);
        if !cpu.features.iter().any(|f| f.name() == name) {
            cpu.features.push(CpuFeature::implied(name, FeaturePolicy::Disable));
        }
    }
    Ok(())
}

/// Compares with the host, unless QEMU has said that it runs the model.
fn compare(table: &Table, cpu: &Cpu, machine: &Machine, env: &Env<'_>) -> Result<(), Fault> {
    let Some(name) = cpu.model_name() else { return Ok(()) };
    let known = env.caps.cpu(machine.accel, name);
    let disabled = |feature: &str| {
        let index = table.feature(feature);
        cpu.features.iter().any(|f| {
            matches!(f.policy(), FeaturePolicy::Disable | FeaturePolicy::Forbid)
                && (f.name() == feature || (index.is_some() && table.feature(f.name()) == index))
        })
    };
    let usable = |c: &crate::caps::CpuModel| c.usable == Usable::Yes || c.blockers.iter().all(disabled);
    if known.is_some_and(|c| c.usable != Usable::Unknown && usable(c)) {
        return Ok(());
    }
    let Some(facts) = &env.host.machine.cpu else { return Ok(()) };
    let mut host = features_of(table, &from_facts(table, facts));
    if let Some(probed) = env.caps.host_cpu(machine.accel) {
        host = host.union(&Data::of_host(table, probed).features);
    }
    for name in TOPOLOGY.iter().filter(|_| env.behaves(Quirk::HtIsMissing)) {
        table.feature(name).into_iter().for_each(|index| host.remove(index));
    }
    let Some(model) = model_of(table, name, env) else { return Ok(()) };
    let mut wanted = model.features;
    for feature in &cpu.features {
        let Some(index) = table.feature(feature.name()) else { continue };
        match feature.policy() {
            FeaturePolicy::Require => wanted.add(index),
            FeaturePolicy::Forbid if host.has(index) => {
                let name = feature.name();
                return Err(Fault::Incompatible(format!(
                    "the host CPU has the feature '{name}', which the XML forbids: this makes it incompatible"
                )));
            }
            // What is forced, disabled or optional need not be there.
            _ => wanted.remove(index),
        }
    }
    let missing: Vec<&str> = table.names(&wanted.minus(&host)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Fault::Incompatible(format!(
        "the host CPU lacks features of the CPU that is asked for, so they are incompatible: {}",
        missing.join(",")
    )))
}

/// Whether this QEMU has the model; it is not asked where it does not list any.
fn known_model(cpu: &Cpu, machine: &Machine, env: &Env<'_>) -> Result<(), Fault> {
    let (Some(qemu), Some(name)) = (env.caps.accel(machine.accel), cpu.model_name()) else { return Ok(()) };
    if qemu.cpus.is_empty() || qemu.cpus.iter().any(|c| c.name == name) {
        return Ok(());
    }
    Err(Fault::NoModel(name.to_string()))
}

/// Replaces a model that this QEMU does not know.
fn translate(cpu: &mut Cpu, machine: &Machine, env: &Env<'_>) -> Result<(), Fault> {
    let Some(qemu) = env.caps.accel(machine.accel) else { return Ok(()) };
    let Some(name) = cpu.model_name() else { return Ok(()) };
    if qemu.cpus.is_empty() || qemu.cpus.iter().any(|c| c.name == name) {
        return Ok(());
    }
    let fallback = cpu.model.as_ref().and_then(|m| m.fallback);
    let table = table();
    let Some(model) = model_of(table, name, env).filter(|_| fallback != Some(CpuFallback::Forbid)) else {
        return Err(Fault::NoModel(name.to_string()));
    };
    let data = Data { features: model.features, vendor: model.vendor, signature: None };
    let Some(other) = decode::decode(table, &data, qemu, knows_young(env)) else {
        return Err(Fault::NoModel(name.to_string()));
    };
    take_model(cpu, &other);
    Ok(())
}

/// Switches features on or off that newer CPUs will not have (s390x).
fn deprecated(cpu: &mut Cpu, machine: &Machine, env: &Env<'_>) -> Result<(), Fault> {
    let list = env.caps.host_cpu(machine.accel).map(|h| &h.deprecated_features);
    let Some(list) = list.filter(|_| env.has(Cap::QueryCpuModelExpansionDeprecatedProps)) else {
        return Err(Fault::Wrong(
            "deprecated_features: this QEMU cannot tell which features of a CPU model are deprecated".into(),
        ));
    };
    let on = cpu.deprecated_features == Some(OnOff::On);
    let policy = if on { FeaturePolicy::Require } else { FeaturePolicy::Disable };
    for name in list.iter() {
        set(&mut cpu.features, CpuFeature::implied(name.to_string(), policy));
    }
    Ok(())
}

/// Generations of POWER, oldest first, as the domain format writes them for compatibility.
const POWER: &[&str] = &["power6", "power7", "power8", "power9", "power10", "power11"];

/// Whether the host's POWER can look like an older one.
fn power(cpu: &Cpu, env: &Env<'_>) -> Result<(), Fault> {
    let Some(wanted) = cpu.model_name() else { return Ok(()) };
    let generation = |name: &str| POWER.iter().position(|p| p.eq_ignore_ascii_case(name));
    let Some(wanted_generation) = generation(wanted) else {
        return Err(Fault::Wrong(format!("unknown CPU model '{wanted}' to be compatible with")));
    };
    let host = env.host.machine.cpu.as_ref().and_then(|h| generation(&h.model));
    match host {
        Some(host) if host < wanted_generation => Err(Fault::Incompatible(format!(
            "the host CPU is older than '{wanted}', so incompatible with a CPU of that model"
        ))),
        _ => Ok(()),
    }
}
