//! Sizes, pages and host nodes of the guest's memory: what the XML says, spread over the nodes.

use super::{Env, Machine};
use crate::device::memory::MemoryModel;
use crate::domain::Domain;
use crate::domain::numa::GuestNuma;
use crate::domain::tuning::NumaMode;
use crate::domain::vcpu::Placement;
use crate::vocab::NumberSet;

/// The multiple of KiB in which guests get memory: 256 MiB on POWER (a logical memory block), else 1 MiB.
pub fn alignment_kib(machine: &Machine) -> u64 {
    if machine.arch.is_ppc64() { 256 * 1024 } else { 1024 }
}

/// Rounds up to a multiple.
pub fn align(kib: u64, to: u64) -> u64 {
    kib.div_ceil(to).saturating_mul(to)
}

/// Memory devices, KiB. Memory of enclaves is not the guest's to use as it likes.
pub fn devices_kib(domain: &Domain) -> u64 {
    let devices = domain.devices.as_ref().map_or(&[][..], |d| &d.memories);
    devices.iter().filter(|d| d.model() != MemoryModel::SgxEpc).map(|d| d.kib()).fold(0, u64::saturating_add)
}

/// The multiple to which the memory of guest nodes is rounded. A guest that comes from elsewhere has the
/// sizes that it had there.
pub fn node_alignment_kib(machine: &Machine, env: &Env<'_>) -> u64 {
    if env.options.incoming.is_some() { 1 } else { alignment_kib(machine) }
}

/// What the guest has without memory devices, KiB, aligned.
pub fn initial_kib(domain: &Domain, machine: &Machine, env: &Env<'_>) -> u64 {
    let to = alignment_kib(machine);
    if env.options.incoming.is_some() {
        return domain.memory.as_ref().map_or(0, |m| m.amount.size.0 / (1 << 20) * 1024);
    }
    match domain.cpu.as_ref().and_then(|c| c.numa.as_ref()).filter(|n| !n.cells.is_empty()) {
        Some(numa) => {
            let of_node = node_alignment_kib(machine, env);
            let sum = numa.cells.iter().map(|c| align(c.kib(), of_node)).fold(0, u64::saturating_add);
            sum / 1024 * 1024
        }
        None => {
            let total = domain.memory.as_ref().map_or(0, |m| m.amount.kib());
            align(total.saturating_sub(devices_kib(domain)), to)
        }
    }
}

/// Where memory is placed on the host.
#[derive(Clone, Debug)]
pub struct HostNodes {
    /// The policy.
    pub mode: NumaMode,
    /// The nodes, if any are named.
    pub nodes: Option<NumberSet>,
}

/// Whether `<memnode>` speaks of this node.
pub fn has_memnode(domain: &Domain, node: Option<u32>) -> bool {
    let memnodes = domain.numatune.iter().flat_map(|n| &n.memnodes);
    node.is_some_and(|node| memnodes.into_iter().any(|m| m.cellid == Some(node)))
}

/// Policy and host nodes of the memory of a guest node: `<memnode>`, else `<memory>` of `<numatune>`.
pub fn host_nodes(domain: &Domain, env: &Env<'_>, node: Option<u32>) -> HostNodes {
    let Some(tune) = &domain.numatune else { return HostNodes { mode: NumaMode::Strict, nodes: None } };
    if let Some(memnode) = tune.memnodes.iter().find(|m| node.is_some() && m.cellid == node) {
        return HostNodes { mode: memnode.mode.unwrap_or(NumaMode::Strict), nodes: memnode.nodeset.clone() };
    }
    let Some(memory) = &tune.memory else { return HostNodes { mode: NumaMode::Strict, nodes: None } };
    let nodes = match memory.placement {
        Some(Placement::Auto) => Some(env.host.numa.advice().into_iter().collect()),
        _ => memory.nodeset.clone(),
    };
    HostNodes { mode: memory.mode.unwrap_or(NumaMode::Strict), nodes }
}

/// The page size that `<hugepages>` gives a guest node, KiB: outer none for ordinary pages, inner none for
/// the default size of the host.
pub fn huge_page(domain: &Domain, node: Option<u32>) -> Option<Option<u64>> {
    let huge = domain.memory_backing.as_ref()?.hugepages.as_ref()?;
    if huge.pages.is_empty() {
        return Some(None);
    }
    let named = huge.pages.iter().find(|p| match (&p.nodeset, node) {
        (Some(set), Some(node)) => set.has(node),
        // Without guest nodes there is only node 0.
        (Some(set), None) => set.has(0),
        (None, _) => false,
    });
    let master = huge.pages.iter().find(|p| p.nodeset.is_none());
    named.or(master).map(|p| Some(p.size.kib()))
}

/// Whether `<hugepages>` has a page size for this guest node by its number.
pub fn has_own_pages(domain: &Domain, node: Option<u32>) -> bool {
    let huge = domain.memory_backing.as_ref().and_then(|b| b.hugepages.as_ref());
    let mut pages = huge.iter().flat_map(|h| &h.pages);
    node.is_some_and(|node| pages.any(|p| p.nodeset.as_ref().is_some_and(|set| set.has(node))))
}

/// The distance between two guest nodes: as given (resolving has made it hold both ways), else 10 to itself and 20 to
/// others (what ACPI's SLIT takes for local and remote).
pub fn distance(numa: &GuestNuma, src: u32, dst: u32) -> u32 {
    let given = |from: u32, to: u32| {
        let cell = numa.cell(from)?;
        cell.distances.iter().find(|s| s.id == Some(to)).and_then(|s| s.value)
    };
    given(src, dst).unwrap_or(if src == dst { 10 } else { 20 })
}
