//! `<cpu>`: the CPU that the guest sees.

use super::numa::GuestNuma;
use crate::bind::{Binder, Model, Part, Shape, model};
pub use crate::schema::words::{CacheMode, CpuCheck, CpuFallback, CpuMatch, CpuMode, FeaturePolicy, PhysAddrMode};
use crate::vocab::OnOff;
use crate::xml::{El, XmlWriter};

/// `<model>` of `<cpu>`: printed with its fallback whenever a name is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuModel {
    /// What to do when the model is not available.
    pub fallback: Option<CpuFallback>,
    /// The vendor that the guest is told, 12 characters.
    pub vendor_id: Option<String>,
    /// Name of the model.
    pub name: Option<String>,
    /// Where it stands.
    pub site: crate::xml::Site,
}

impl Part for CpuModel {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.fallback = cx.attr(el, "fallback");
        self.vendor_id = cx.attr(el, "vendor_id");
        let name = el.text().trim();
        self.name = if name.is_empty() { None } else { Some(name.to_string()) };
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        crate::bind::print_attr(out, "fallback", &self.fallback);
        crate::bind::print_attr(out, "vendor_id", &self.vendor_id);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(name) = &self.name {
            out.text(name);
        }
    }
    fn shape(shape: &mut Shape) {
        shape.attr("fallback");
        shape.attr("vendor_id");
        shape.text = true;
    }
}

impl Model for CpuModel {
    const ELEMENT: &'static str = "model";
}

model! {
    /// `<topology>`: how the CPUs are grouped.
    pub struct Topology = "topology" {
        need sockets: u32 = "sockets",
        attr dies: u32 = "dies",
        attr clusters: u32 = "clusters",
        need cores: u32 = "cores",
        need threads: u32 = "threads",
    }
}

impl Topology {
    /// The levels and how many each has, outermost first.
    pub fn levels(&self) -> [(&'static str, Option<u32>); 5] {
        let Topology { sockets, dies, clusters, cores, threads, .. } = self;
        [("sockets", *sockets), ("dies", *dies), ("clusters", *clusters), ("cores", *cores), ("threads", *threads)]
    }

    /// How many CPUs there are in all.
    pub fn cpus(&self) -> u64 {
        self.levels().iter().map(|(_, n)| u64::from(n.unwrap_or(1))).fold(1, u64::saturating_mul)
    }

    /// Threads per core.
    pub fn threads(&self) -> u32 {
        self.threads.unwrap_or(1)
    }
}

model! {
    /// `<cache>` of `<cpu>`
    pub struct CpuCache = "cache" {
        attr level: u32 = "level",
        need mode: CacheMode = "mode",
    }
}

model! {
    /// `<maxphysaddr>`: how many bits a physical address has.
    pub struct MaxPhysAddr = "maxphysaddr" {
        need mode: PhysAddrMode = "mode",
        attr bits: u32 = "bits",
        attr limit: u32 = "limit",
    }
}

model! {
    /// `<feature>` of `<cpu>`.
    pub struct CpuFeature = "feature" {
        attr policy: FeaturePolicy = "policy",
        need name: String = "name",
    }
}

impl CpuFeature {
    /// A feature that a rule adds.
    pub fn implied(name: impl Into<String>, policy: FeaturePolicy) -> CpuFeature {
        CpuFeature { policy: Some(policy), name: Some(name.into()), ..CpuFeature::default() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("")
    }

    /// Its policy; `require` unless the XML says.
    pub fn policy(&self) -> FeaturePolicy {
        self.policy.unwrap_or(FeaturePolicy::Require)
    }
}

model! {
    /// `<cpu>`
    pub struct Cpu = "cpu" {
        attr mode: CpuMode = "mode",
        attr matching: CpuMatch = "match",
        attr check: CpuCheck = "check",
        attr migratable: OnOff = "migratable",
        attr deprecated_features: OnOff = "deprecated_features",
        child model: CpuModel,
        leaf vendor: String = "vendor",
        child topology: Topology,
        many caches: CpuCache,
        child maxphysaddr: MaxPhysAddr,
        many features: CpuFeature,
        child numa: GuestNuma,
    }
}

impl Cpu {
    /// The mode; `custom` unless the XML says.
    pub fn mode(&self) -> CpuMode {
        self.mode.unwrap_or(CpuMode::Custom)
    }

    /// Whether it names a CPU, or only groups CPUs and memory.
    pub fn names_a_cpu(&self) -> bool {
        self.mode() != CpuMode::Custom || self.model_name().is_some()
    }

    /// The name of the model.
    pub fn model_name(&self) -> Option<&str> {
        self.model.as_ref().and_then(|m| m.name.as_deref())
    }

    /// The feature with this name.
    pub fn feature(&self, name: &str) -> Option<&CpuFeature> {
        self.features.iter().find(|f| f.name.as_deref() == Some(name))
    }
}
