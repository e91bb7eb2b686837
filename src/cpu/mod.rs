//! What virtc knows about CPU models of x86: names of features, and the features of each model.
//!
//! The table is `x86.txt`. Its first entry, `features`, lists the names of features in the order in which
//! they are told to QEMU: `name=other` gives QEMU's other spellings, `name!` marks a feature that cannot be
//! migrated. Each `model` entry has the columns
//!
//! | column | meaning |
//! |---|---|
//! | name | of the model |
//! | vendor | `-` for any |
//! | decode | `h`: a host may be described by it, `g`: a guest may be; `-`: neither; `y`: libvirt 11.3 does not know it |
//! | signatures | `family/model` or `family/model:stepping-stepping`, separated by commas |
//! | base | the model from whose features the list goes on; `-` for none |
//! | the rest | `+x`: has x; `-x`: has not; `~x`: newer QEMUs add x; `!x`: newer QEMUs have taken x out |
//!
//! It is read when a domain first needs it: most never do.

mod decode;
pub mod guest;

use crate::vocab::Arch;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The model that describes the CPU that QEMU offers on this host, with what must be said besides: what
/// `host-model` stands for. None when QEMU did not say, or on another architecture than x86.
pub fn of_host(arch: Arch, qemu: &crate::caps::AccelCaps) -> Option<crate::domain::cpu::Cpu> {
    let host = qemu.host_cpu.as_ref().filter(|_| arch.is_x86())?;
    decode::decode(table(), &decode::Data::of_host(table(), host), qemu, true)
}

/// The model that describes the processor of a host with this /proc/cpuinfo, its vendor, and the features on top of
/// the model. None when no model fits: on another architecture than x86.
#[cfg(feature = "host")]
pub fn of_cpuinfo(text: &str) -> Option<(&'static str, Option<&'static str>, Vec<&'static str>)> {
    let data = decode::Data::of_cpuinfo(table(), text);
    let (model, features) = decode::host(table(), &data)?;
    Some((model, data.vendor, features))
}

/// A set of features, by position in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureSet([u64; FeatureSet::WORDS]);

impl FeatureSet {
    /// Room for 512 features; the table has fewer, which a test makes sure of.
    const WORDS: usize = 8;

    fn add(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    fn remove(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    /// Whether the feature is in it.
    pub fn has(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    fn minus(&self, other: &FeatureSet) -> FeatureSet {
        let mut set = *self;
        set.0.iter_mut().zip(other.0).for_each(|(a, b)| *a &= !b);
        set
    }

    fn union(&self, other: &FeatureSet) -> FeatureSet {
        let mut set = *self;
        set.0.iter_mut().zip(other.0).for_each(|(a, b)| *a |= b);
        set
    }

    fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

/// A CPU model.
#[derive(Debug)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// The vendor; none for any.
    pub vendor: Option<&'static str>,
    /// Whether a guest's CPU may be described by it.
    decodes_guests: bool,
    /// Whether it is younger than libvirt 11.3.
    pub young: bool,
    signatures: Vec<Signature>,
    /// Its features.
    pub features: FeatureSet,
    /// Features that newer QEMUs add.
    added: FeatureSet,
    /// Features that newer QEMUs have taken out.
    removed: Vec<usize>,
}

/// Family, model and steppings of a processor.
#[derive(Clone, Debug)]
struct Signature {
    family: u32,
    model: u32,
    steppings: Option<(u32, u32)>,
}

/// The table.
#[derive(Debug)]
pub struct Table {
    features: Vec<(&'static str, bool)>,
    by_name: BTreeMap<&'static str, usize>,
    models: Vec<Model>,
}

/// The table of x86.
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::read(include_str!("x86.txt")))
}

/// Whether newer QEMUs may have taken features out of the model. Told from the text of the table: most domains ask
/// nothing else, and to read it all is a tenth of what checking a small domain costs.
fn may_lack_features(model: &str) -> bool {
    let entries = || include_str!("x86.txt").split("\nmodel ");
    entries()
        .find(|e| e.strip_prefix(model).is_some_and(|rest| rest.starts_with(' ')))
        .is_some_and(|entry| entry.contains('!'))
}

impl Table {
    fn read(text: &'static str) -> Table {
        let mut table = Table { features: Vec::new(), by_name: BTreeMap::new(), models: Vec::new() };
        let mut words = text.lines().filter(|l| !l.starts_with('#')).flat_map(str::split_whitespace).peekable();
        while let Some(word) = words.next() {
            if word == "features" {
                while let Some(entry) = words.next_if(|w| *w != "model") {
                    table.feature_entry(entry);
                }
            } else if word == "model" {
                let mut column = || words.next().unwrap_or("-");
                let columns = [column(), column(), column(), column(), column()];
                let mut model = table.model_entry(columns);
                while let Some(change) = words.next_if(|w| *w != "model") {
                    table.change(&mut model, change);
                }
                table.models.push(model);
            }
        }
        table
    }

    fn feature_entry(&mut self, entry: &'static str) {
        let mut names = entry.split('=');
        let first = names.next().unwrap_or_default();
        let name = first.strip_suffix('!').unwrap_or(first);
        let index = self.features.len();
        self.features.push((name, first == name));
        for name in std::iter::once(name).chain(names) {
            self.by_name.insert(name, index);
        }
    }

    fn model_entry(&self, [name, vendor, decode, signatures, base]: [&'static str; 5]) -> Model {
        let number = |text: &str| text.parse().unwrap_or(0);
        let signature = |text: &str| {
            let (text, steppings) = match text.split_once(':') {
                Some((text, steppings)) => {
                    let (from, to) = steppings.split_once('-').unwrap_or((steppings, steppings));
                    (text, Some((number(from), number(to))))
                }
                None => (text, None),
            };
            let (family, model) = text.split_once('/').unwrap_or((text, "0"));
            Signature { family: number(family), model: number(model), steppings }
        };
        let base = self.model(base);
        Model {
            name,
            vendor: Some(if vendor == "Zhaoxin" { decode::ZHAOXIN } else { vendor }).filter(|v| *v != "-"),
            decodes_guests: decode.contains('g'),
            young: decode.contains('y'),
            signatures: signatures.split(',').filter(|s| *s != "-").map(signature).collect(),
            features: base.map_or(FeatureSet::default(), |b| b.features),
            added: base.map_or(FeatureSet::default(), |b| b.added),
            removed: Vec::new(),
        }
    }

    fn change(&self, model: &mut Model, change: &str) {
        let Some(index) = change.get(1..).and_then(|name| self.by_name.get(name)).copied() else { return };
        match change.as_bytes()[0] {
            b'+' => model.features.add(index),
            b'-' => {
                model.features.remove(index);
                model.added.remove(index);
            }
            b'~' => model.added.add(index),
            _ => model.removed.push(index),
        }
    }

    /// The model with this name.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|m| m.name == name)
    }

    /// The position of a feature, by any of its spellings.
    pub fn feature(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The domain format's name of a feature.
    pub fn feature_name(&self, index: usize) -> &'static str {
        self.features.get(index).map_or("", |f| f.0)
    }

    /// Whether a guest with the feature can be migrated.
    fn is_migratable(&self, index: usize) -> bool {
        self.features.get(index).is_none_or(|f| f.1)
    }

    /// The names of a set, in the order of the table.
    fn names(&self, set: &FeatureSet) -> impl Iterator<Item = &'static str> {
        let set = *set;
        self.features.iter().enumerate().filter(move |(i, _)| set.has(*i)).map(|(_, f)| f.0)
    }
}

/// Whether the domain format knows the feature on this architecture; true where it has no list.
pub fn knows_feature(arch: Arch, name: &str) -> bool {
    if arch == Arch::Aarch64 {
        // Lengths of SVE vectors are multiples of 128 bits up to 2048.
        let length = name.strip_prefix("sve").and_then(|bits| bits.parse::<u32>().ok());
        return matches!(name, "sve" | "pauth")
            || length.is_some_and(|bits| bits > 0 && bits <= 2048 && bits.is_multiple_of(128));
    }
    !arch.is_x86() || table().feature(name).is_some()
}

/// The names of features that the domain format has on this architecture, as far as there is a list.
pub fn feature_names(arch: Arch) -> Vec<&'static str> {
    match arch {
        Arch::Aarch64 => vec!["sve", "pauth"],
        _ if arch.is_x86() => table().features.iter().map(|(name, _)| *name).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_younger_than_libvirt_11_3_are_marked() {
        let model = |name: &str| table().model(name).unwrap();
        assert!(model("EPYC-Turin").young && model("GraniteRapids-v5").young && !model("GraniteRapids-v2").young);
        assert_eq!(model("YongFeng").vendor, Some("Zhaoxin CentaurHauls"));
        let has = |name: &str, feature: &str| model(name).features.has(table().feature(feature).unwrap());
        assert!(has("EPYC-Turin", "prefetchi") && !has("EPYC-Genoa-v2", "prefetchi"));
        assert!(has("ClearwaterForest-v3", "its-no") && has("ClearwaterForest", "sm4"));
    }

    #[test]
    fn the_table_is_read() {
        let table = table();
        assert!(table.features.len() < FeatureSet::WORDS * 64);
        assert_eq!(table.feature("sse4-1"), table.feature("sse4.1"));
        let haswell = table.model("Haswell").unwrap();
        assert_eq!(haswell.vendor, Some("Intel"));
        assert!(haswell.features.has(table.feature("hle").unwrap()));
        assert!(!table.model("Haswell-noTSX").unwrap().features.has(table.feature("hle").unwrap()));
        let taken_out = &table.model("Icelake-Server").unwrap().removed;
        assert_eq!(taken_out.iter().map(|i| table.feature_name(*i)).collect::<Vec<_>>(), ["intel-pt", "mpx"]);
        assert!(!table.is_migratable(table.feature("invtsc").unwrap()));
        let lacking = |m: &&Model| !m.removed.is_empty();
        assert!(table.models.iter().filter(lacking).all(|m| may_lack_features(m.name)));
        assert!(!may_lack_features("qemu64") && !may_lack_features("no-such-model"));
    }
}
