//! From the features that a CPU has to the model that says it with the fewest words.

use super::{FeatureSet, Model, Table};
use crate::caps::{AccelCaps, HostCpu, PropertyValue};
use crate::domain::cpu::{Cpu, CpuFallback, CpuFeature, CpuMode, CpuModel, FeaturePolicy};

/// The parts of a CPU that select a model.
#[derive(Debug, Default)]
pub struct Data {
    pub features: FeatureSet,
    pub vendor: Option<&'static str>,
    /// Family, model, stepping.
    pub signature: Option<(u32, u32, u32)>,
}

/// The vendor of Zhaoxin's processors that call themselves after Centaur; `Zhaoxin` in the table, whose words have no blanks.
pub const ZHAOXIN: &str = "Zhaoxin CentaurHauls";

/// The vendor that the CPUID string names.
fn vendor(string: &str) -> Option<&'static str> {
    match string {
        "GenuineIntel" => Some("Intel"),
        "AuthenticAMD" => Some("AMD"),
        "HygonGenuine" => Some("Hygon"),
        "CentaurHauls" => Some(ZHAOXIN),
        _ => None,
    }
}

impl Data {
    /// What QEMU says of the host's CPU; of that only what can be migrated.
    pub fn of_host(table: &Table, host: &HostCpu) -> Data {
        let mut data = Data::default();
        let (mut family, mut model, mut stepping) = (0, 0, 0);
        for property in host.properties.iter() {
            match &property.value {
                PropertyValue::Boolean(true) if property.migratable != Some(false) || !host.migratability => {
                    if let Some(index) = table.feature(&property.name) {
                        data.features.add(index);
                    }
                }
                PropertyValue::String(text) if property.name == "vendor" => data.vendor = vendor(text),
                PropertyValue::Number(number) => {
                    let number = u32::try_from(*number).unwrap_or(0);
                    match &*property.name {
                        "family" => family = number,
                        "model" => model = number,
                        "stepping" => stepping = number,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        data.signature = Some((family, model, stepping));
        data
    }
}

impl Model {
    fn has_signature(&self, (family, model, stepping): (u32, u32, u32)) -> bool {
        self.signatures.iter().any(|s| {
            s.family == family
                && s.model == model
                && s.steppings.is_none_or(|(from, to)| (from..=to).contains(&stepping))
        })
    }
}

/// A model with what must be said besides.
struct Candidate<'t> {
    model: &'t Model,
    on: FeatureSet,
    off: FeatureSet,
}

impl Candidate<'_> {
    /// How much there is to say. Features switched off count twice: a model of which much is missing
    /// is a poor description.
    fn words(&self) -> u32 {
        self.on.len() + 2 * self.off.len()
    }
}

/// The model among those that QEMU knows, with `young` also those that libvirt 11.3 does not. None if no model fits.
pub fn decode(table: &Table, data: &Data, qemu: &AccelCaps, young: bool) -> Option<Cpu> {
    let mut best: Option<Candidate<'_>> = None;
    // The newest models come last; of two that do equally well, the newer is taken.
    for model in table.models.iter().rev() {
        let Some(known) = qemu.cpus.iter().find(|c| c.name == model.name) else { continue };
        if !model.decodes_guests
            || (model.young && !young)
            || (data.vendor.is_some() && model.vendor.is_some_and(|v| data.vendor != Some(v)))
        {
            continue;
        }
        let mut off = model.features;
        for blocker in known.blockers.iter() {
            if let Some(index) = table.feature(blocker) {
                off.add(index);
            }
        }
        let candidate = Candidate {
            model,
            on: data.features.minus(&model.features).minus(&model.added),
            off: off.minus(&data.features),
        };
        let better = match &best {
            None => true,
            Some(best) => is_better(best, &candidate, data),
        };
        if better {
            best = Some(candidate);
        }
    }
    let best = best?;
    let mut features: Vec<CpuFeature> = Vec::new();
    features.extend(table.names(&best.on).map(|f| CpuFeature::implied(f, FeaturePolicy::Require)));
    features.extend(table.names(&best.off).map(|f| CpuFeature::implied(f, FeaturePolicy::Disable)));
    for index in &best.model.removed {
        let name = table.feature_name(*index);
        if !features.iter().any(|f| f.name() == name) && !data.features.has(*index) {
            features.push(CpuFeature::implied(name, FeaturePolicy::Disable));
        }
    }
    Some(Cpu {
        mode: Some(CpuMode::Custom),
        model: Some(CpuModel {
            fallback: Some(CpuFallback::Allow),
            name: Some(best.model.name.to_string()),
            ..CpuModel::default()
        }),
        vendor: data.vendor.map(str::to_string),
        features,
        ..Cpu::default()
    })
}

/// The model that a host's processor has in full, newest first, and what the processor has besides.
#[cfg(feature = "host")]
pub fn host(table: &Table, data: &Data) -> Option<(&'static str, Vec<&'static str>)> {
    let mut best: Option<Candidate<'_>> = None;
    for model in table.models.iter().rev() {
        let other = data.vendor.is_some() && model.vendor.is_some_and(|v| data.vendor != Some(v));
        let off = model.features.minus(&data.features);
        if !model.decodes_guests || other || off.len() > 0 {
            continue;
        }
        let candidate = Candidate { model, on: data.features.minus(&model.features), off };
        if best.as_ref().is_none_or(|best| is_better(best, &candidate, data)) {
            best = Some(candidate);
        }
    }
    best.map(|best| (best.model.name, table.names(&best.on).collect()))
}

impl Data {
    /// What the kernel says of the first processor in /proc/cpuinfo. Its names of features are its own; of those that
    /// it switches off itself it says nothing.
    #[cfg(feature = "host")]
    pub fn of_cpuinfo(table: &Table, text: &str) -> Data {
        let first = text.split("\n\n").next().unwrap_or_default();
        let value = |key: &str| {
            let mut lines = first.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(name, _)| name.trim() == key).map_or("", |(_, value)| value.trim())
        };
        let number = |key: &str| value(key).parse().unwrap_or(0);
        let mut data = Data {
            vendor: vendor(value("vendor_id")),
            signature: Some((number("cpu family"), number("model"), number("stepping"))),
            ..Data::default()
        };
        for name in value("flags").split_ascii_whitespace() {
            let name = match name {
                "tsc_deadline_timer" => "tsc-deadline",
                "tsxldtrk" => "tsx-ldtrk",
                other => other,
            };
            let spellings = [name.to_string(), name.replace('_', "-"), name.replace('_', "")];
            if let Some(index) = spellings.iter().find_map(|name| table.feature(name)) {
                data.features.add(index);
            }
        }
        data
    }
}

/// Whether a candidate says it better: with the processor's own signature, then in fewer words, then with
/// fewer features switched off.
fn is_better(best: &Candidate<'_>, candidate: &Candidate<'_>, data: &Data) -> bool {
    if let Some(signature) = data.signature {
        let (was, is) = (best.model.has_signature(signature), candidate.model.has_signature(signature));
        if was != is {
            return is;
        }
    }
    match candidate.words().cmp(&best.words()) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => candidate.off.len() < best.off.len(),
        std::cmp::Ordering::Greater => false,
    }
}
