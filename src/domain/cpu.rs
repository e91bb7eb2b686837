//! `<cpu>`: the CPU that the guest sees.

use super::model::model;
use crate::vocab::keywords;

keywords! {
    /// How the guest's CPU relates to the host's.
    pub enum CpuMode {
        Custom = "custom",
        HostModel = "host-model",
        HostPassthrough = "host-passthrough",
        Maximum = "maximum",
    }
}

keywords! {
    /// How strictly the CPU must match.
    pub enum CpuMatch { Minimum = "minimum", Exact = "exact", Strict = "strict" }
}

keywords! {
    /// How the CPU is checked before the start.
    pub enum CpuCheck { None = "none", Partial = "partial", Full = "full" }
}

keywords! {
    /// What to do when the model is not available.
    pub enum CpuFallback { Allow = "allow", Forbid = "forbid" }
}

keywords! {
    /// What the guest gets of one CPU feature.
    pub enum FeaturePolicy {
        Force = "force",
        Require = "require",
        Optional = "optional",
        Disable = "disable",
        Forbid = "forbid",
    }
}

model! {
    /// `<model>` of `<cpu>`.
    pub struct CpuModel = "model" {
        attr fallback: CpuFallback = "fallback",
        attr vendor_id: String = "vendor_id",
        text name: String,
    }
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

model! {
    /// `<feature>` of `<cpu>`.
    pub struct CpuFeature = "feature" {
        attr policy: FeaturePolicy = "policy",
        need name: String = "name",
    }
}

model! {
    /// `<cpu>`
    pub struct Cpu = "cpu" {
        attr mode: CpuMode = "mode",
        attr matching: CpuMatch = "match",
        attr check: CpuCheck = "check",
        child model: CpuModel,
        leaf vendor: String = "vendor",
        child topology: Topology,
        many features: CpuFeature,
    }
}
