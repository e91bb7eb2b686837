//! Checks of `<numa>` of `<cpu>`.

use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::cpu::Cpu;
use crate::domain::numa::{Cell, GuestNuma};
use crate::stage::Cx;
use crate::xml::Site;
use std::collections::{BTreeMap, BTreeSet};

/// Guest nodes.
pub fn check(domain: &Domain, cpu: &Cpu, cx: &mut Cx<'_>) {
    let Some(numa) = &cpu.numa else { return };
    if numa.cells.is_empty() {
        cx.error(&codes::NUMA, numa.site, "<numa> is without any <cell>: a topology of NUMA consists of cells");
    }
    attributes(numa, cx);
    let ids: BTreeSet<u32> = numa.cells.iter().filter_map(|c| c.id).collect();
    if ids.len() != numa.cells.len() || ids.iter().next_back().is_some_and(|last| *last as usize >= numa.cells.len()) {
        // In the order of the source: the first that is not one more than those before it.
        let mut cells: Vec<&Cell> = numa.cells.iter().collect();
        cells.sort_by_key(|c| cx.span(c.site));
        let site = cells.iter().zip(0..).find(|(c, i)| c.id != Some(*i)).map_or(numa.site, |(c, _)| c.site);
        cx.error_at(&codes::NUMA, site, "id", "the NUMA cells need exactly one 'cell' element per guest node: ids count up from 0, without gaps (non-contiguous ranges are not allowed)");
    }
    let count = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1);
    let mut taken = BTreeMap::new();
    for cell in &numa.cells {
        let id = cell.id.unwrap_or(0);
        for sibling in &cell.distances {
            let Some(other) = sibling.id else { continue };
            if !ids.contains(&other) {
                let message = format!(
                    "the distances of NUMA 'cell id {id}' name 'sibling_id {other}', and no <cell> has that id"
                );
                cx.error(&codes::NUMA, sibling.site, message);
            }
            let value = sibling.value.unwrap_or(0);
            if !(10..=255).contains(&value) || ((other == id) != (value == 10)) {
                let message = format!(
                    "the distances of NUMA 'cell id {id}' give 'sibling id {other}' the invalid 'value {value}': \
                     10 is that of a node from itself, others have 11 to 255"
                );
                cx.error(&codes::NUMA, sibling.site, message);
            }
        }
        for number in cell.cpus.iter().flat_map(|s| s.iter()) {
            let first = *taken.entry(number).or_insert(cell.site);
            if first != cell.site {
                let message = format!("NUMA cells must have disjoint vCPU ids: {number} is in two");
                let span = |site| cx.doc.span_of_attr(site, "cpus");
                let (one, two) = (span(first), span(cell.site));
                cx.twice(&codes::NUMA, one, two, message).help("each CPU belongs to one cell");
                break;
            }
        }
    }
    if let Some((_, site)) = taken.iter().next_back().filter(|(last, _)| **last >= count) {
        let message = format!("the cells of <numa> have more CPUs than <vcpu> counts: {count}");
        cx.error_at(&codes::NUMA, *site, "cpus", message)
            .help(format!("the CPUs are 0 to {}", count.saturating_sub(1)));
    }
}

/// Caches in front of memory, and what it costs to reach it.
fn attributes(numa: &GuestNuma, cx: &mut Cx<'_>) {
    let mut faults: Vec<(Site, String)> = Vec::new();
    numa.cells.iter().for_each(|cell| caches(cell, &mut faults));
    let list = numa.interconnects.as_ref().map_or(&[][..], |i| &i.list);
    for (i, (bandwidth, one)) in list.iter().enumerate() {
        for (what, node) in [("initiator", one.initiator), ("target", one.target)] {
            if node.is_some_and(|id| numa.cell(id).is_none()) {
                faults.push((
                    one.site,
                    format!(
                        "<interconnects>: '{what}' is a NUMA node, and the guest has none of that number: non-existent"
                    ),
                ));
            }
        }
        let cached = |level: u32| {
            let target = one.target.and_then(|id| numa.cell(id));
            target.is_some_and(|cell| cell.caches.iter().any(|c| c.level == Some(level)))
        };
        if one.cache.is_some_and(|level| level != 0 && !cached(level)) {
            faults.push((one.site, "<interconnects>: 'cache' is a level of cache of the NUMA node 'target', which has none such: non-existent".to_string()));
        }
        let key = |b: &bool, o: &crate::domain::numa::Interconnect| (*b, o.initiator, o.target, o.cache, o.kind);
        if list.iter().take(i).any(|(b, o)| key(b, o) == key(bandwidth, one)) {
            let what = if *bandwidth { "bandwidths" } else { "latencies" };
            faults.push((one.site, format!("<interconnects>: a second info (duplicate) for the same NUMA {what}")));
        }
    }
    for (site, message) in faults {
        cx.error(&codes::NUMA, site, message);
    }
}

/// The levels of caches of one node.
fn caches(cell: &Cell, faults: &mut Vec<(Site, String)>) {
    for (i, cache) in cell.caches.iter().enumerate() {
        let level = cache.level.unwrap_or(0);
        if level == 0 {
            let message = "the attribute 'level' of a 'cache' counts from 1, zero is invalid";
            faults.push((cache.site, message.to_string()));
        } else if level > 3 {
            faults.push((cache.site, format!("<cache>: nobody has that many levels, {level} is too much: up to 3")));
        } else if cell.caches.iter().take(i).any(|c| c.level == cache.level) {
            faults.push((
                cache.site,
                format!("a second <cache> of level '{level}': it is defined already for this node"),
            ));
        }
        for (part, missing) in [("size", cache.size.is_none()), ("line", cache.line.is_none())] {
            if missing {
                faults.push((cache.site, format!("<cache> needs the element './{part}/@value', which is missing")));
            }
        }
    }
}
