//! `-m`, memory backends, NUMA nodes, locking.

use crate::domain::memory::MemorySource;
use crate::plan::{Arg, Need, Props};
use crate::stage::Lower;
use crate::stage::Quirk;
use crate::stage::backend::{self, BackendRequest};
use crate::stage::sizes;
use crate::vocab::NumberSet;
use crate::xml::Site;

/// `-m` and the backend of the machine's RAM.
pub fn memory(lx: &mut Lower<'_>) {
    let site = lx.domain.memory.as_ref().map_or(lx.domain.site, |m| m.amount.site);
    let kib = sizes::initial_kib(lx.domain, lx.machine, &lx.env);
    let mut props = Props::with("size", format!("{kib}k"));
    if let Some(max) = &lx.domain.max_memory {
        props.maybe("slots", max.slots.filter(|n| *n > 0));
        let align = sizes::alignment_kib(lx.machine);
        props.set("maxmem", format!("{}k", max.amount.kib().div_ceil(align) * align));
    }
    lx.options("-m", props, site, "memory");
    if lx.has_numa() {
        return;
    }
    if let Some(id) = lx.ram_id() {
        let request = BackendRequest { id, kib, is_main: true, force: true, site, ..BackendRequest::default() };
        if let Some(backend) = backend::backend(lx, &request) {
            backend::add(lx, backend, site);
        }
    } else {
        legacy(lx, site);
    }
}

/// `-mem-prealloc`, `-mem-path`: how machines without a named RAM are told.
fn legacy(lx: &mut Lower<'_>, site: Site) {
    let backing = lx.domain.memory_backing.as_ref();
    let immediate = backing.is_some_and(|b| b.is_immediate());
    let request = BackendRequest { is_main: true, site, ..BackendRequest::default() };
    let Some(pages) = backend::huge_page(lx, &request) else { return };
    let path = match pages.filter(|(_, huge)| *huge) {
        Some((kib, _)) => match backend::huge_page_path(lx, kib, site) {
            Some(path) => {
                // The nodes of a guest have told theirs.
                if lx.plan.limits.hugepages.is_empty() {
                    backend::takes_huge_pages(lx, sizes::initial_kib(lx.domain, lx.machine, &lx.env), kib);
                }
                Some(path)
            }
            None => return,
        },
        None if backing.and_then(|b| b.source()) == Some(MemorySource::File) => {
            Some(format!("{}/ram", backend::file_directory(lx, site)))
        }
        None => None,
    };
    if immediate || (path.is_some() && pages.is_some()) {
        let cause = lx.cause(site, "memoryBacking");
        lx.args.push(Arg::switch("-mem-prealloc", cause));
    }
    if let Some(path) = path {
        backend::file_access(lx, &path, &request);
        lx.text("-mem-path", path, site, "memoryBacking");
    }
}

impl Lower<'_> {
    /// The id of the machine's RAM, where the board has one.
    pub fn ram_id(&self) -> Option<String> {
        let machine = self.env.caps.machine(self.machine.accel, &self.machine.name);
        machine.and_then(|m| m.default_ram_id.as_ref()).map(|id| id.to_string())
    }
}

/// `-overcommit`: whether guest memory is locked.
pub fn overcommit(lx: &mut Lower<'_>) {
    let backing = lx.domain.memory_backing.as_ref();
    let locked = backing.is_some_and(|b| b.locked);
    let site = backing.map_or(lx.domain.site, |b| b.site);
    if locked {
        lx.need(Need::LockedMemory, site, "memoryBacking");
    }
    lx.options("-overcommit", Props::with("mem-lock", locked), site, "memoryBacking");
}

/// `-numa`: the guest's nodes, their distances and attributes.
pub fn numa(lx: &mut Lower<'_>) {
    let Some(numa) = lx.numa().cloned().filter(|n| !n.cells.is_empty()) else { return };
    let machine = lx.env.caps.machine(lx.machine.accel, &lx.machine.name);
    let old_form = machine.is_some_and(|m| m.numa_mem_supported);
    let align = sizes::node_alignment_kib(lx.machine, &lx.env);
    let hmat = lx.has_hmat();
    let mut backends = Vec::new();
    let mut needs_backend = hmat || lx.domain.numatune.as_ref().is_some_and(|n| !n.memnodes.is_empty());
    for (i, cell) in numa.cells.iter().enumerate() {
        let id = cell.id.unwrap_or(i as u32);
        let kib = cell.kib().div_ceil(align) * align;
        let request = BackendRequest {
            id: format!("ram-node{id}"),
            kib,
            node: Some(id),
            force: !old_form,
            site: cell.site,
            ..BackendRequest::default()
        };
        let Some(backend) = backend::backend(lx, &request) else { return };
        needs_backend |= !backend.is_plain;
        // What only initiates access has no memory.
        let empty = kib == 0 && !lx.env.behaves(Quirk::EmptyCellsHaveBackends);
        backends.push((id, kib, (!empty).then_some(backend)));
    }
    if !needs_backend {
        // The old form of -numa does not know how pages are touched.
        legacy(lx, numa.site);
    }
    for (cell, (id, kib, backend)) in numa.cells.iter().zip(backends) {
        let is_empty = backend.is_none();
        if let Some(backend) = backend.filter(|_| needs_backend) {
            backend::add(lx, backend, cell.site);
        }
        let mut props = Props::new();
        props.bare("node").set("nodeid", id);
        for (first, last) in cell.cpus.iter().flat_map(NumberSet::ranges) {
            props.set("cpus", if first == last { first.to_string() } else { format!("{first}-{last}") });
        }
        if hmat && let Some(initiator) = initiator(&numa, id) {
            props.set("initiator", initiator);
        }
        if is_empty {
            // Nothing to say.
        } else if needs_backend {
            props.set("memdev", format!("ram-node{id}"));
        } else {
            props.set("mem", kib >> 10);
        }
        lx.options("-numa", props, cell.site, "numa cell");
    }
    distances(lx, &numa);
    if hmat {
        attributes(lx, &numa);
    }
}

/// The node whose CPUs reach the memory of a node first: itself if it has CPUs; else the one with the
/// lowest latency, or the highest bandwidth; else the first with CPUs.
fn initiator(numa: &crate::domain::numa::GuestNuma, target: u32) -> Option<u32> {
    let has_cpus = |id: u32| numa.cell(id).is_some_and(|c| c.cpus.as_ref().is_some_and(|s| !s.is_empty()));
    if has_cpus(target) {
        return Some(target);
    }
    let all = numa.interconnects.iter().flat_map(|i| &i.list);
    let mut best: Option<(bool, u64, u32)> = None;
    for (bandwidth, one) in all.filter(|(_, o)| o.target == Some(target) && o.cache.unwrap_or(0) == 0) {
        let (Some(initiator), Some(value)) = (one.initiator, one.value) else { continue };
        if !has_cpus(initiator) {
            continue;
        }
        let better = match best {
            None => true,
            Some((was_bandwidth, old, _)) if was_bandwidth == *bandwidth => {
                if *bandwidth {
                    value > old
                } else {
                    value < old
                }
            }
            Some((was_bandwidth, _, _)) => was_bandwidth && !bandwidth,
        };
        if better {
            best = Some((*bandwidth, value, initiator));
        }
    }
    best.map(|(_, _, initiator)| initiator).or_else(|| numa.cells.iter().filter_map(|c| c.id).find(|id| has_cpus(*id)))
}

/// `-numa dist`
fn distances(lx: &mut Lower<'_>, numa: &crate::domain::numa::GuestNuma) {
    if numa.cells.iter().all(|c| c.distances.is_empty()) {
        return;
    }
    for source in &numa.cells {
        for target in &numa.cells {
            let (Some(src), Some(dst)) = (source.id, target.id) else { continue };
            let mut props = Props::new();
            props.bare("dist").set("src", src).set("dst", dst).set("val", sizes::distance(numa, src, dst));
            lx.options("-numa", props, source.site, "numa distances");
        }
    }
}

/// `-numa hmat-lb`, `-numa hmat-cache`: how fast memory is.
fn attributes(lx: &mut Lower<'_>, numa: &crate::domain::numa::GuestNuma) {
    for (bandwidth, one) in numa.interconnects.iter().flat_map(|i| &i.list) {
        let value = lx.must(one.value, "the value of a latency or bandwidth", one.site);
        let mut props = Props::new();
        props.bare("hmat-lb").maybe("initiator", one.initiator).maybe("target", one.target);
        props.set(
            "hierarchy",
            match one.cache {
                None | Some(0) => "memory",
                Some(1) => "first-level",
                Some(2) => "second-level",
                _ => "third-level",
            },
        );
        let kind = one.kind.map_or("access", |k| k.as_str());
        if *bandwidth {
            props.set("data-type", format!("{kind}-bandwidth"));
            props.set("bandwidth", format!("{value}K"));
        } else {
            props.set("data-type", format!("{kind}-latency")).set("latency", value);
        }
        lx.options("-numa", props, one.site, "numa interconnects");
    }
    for cell in &numa.cells {
        for cache in &cell.caches {
            let mut props = Props::new();
            props.bare("hmat-cache").maybe("node-id", cell.id);
            props.set("size", format!("{}K", cache.size.as_ref().map_or(0, |s| s.size.kib())));
            props.maybe("level", cache.level);
            use crate::domain::numa::{Associativity, CachePolicy};
            props.maybe(
                "associativity",
                cache.associativity.map(|a| match a {
                    Associativity::None => "none",
                    Associativity::Direct => "direct",
                    Associativity::Full => "complex",
                }),
            );
            props.maybe(
                "policy",
                cache.policy.map(|p| match p {
                    CachePolicy::None => "none",
                    CachePolicy::Writeback => "write-back",
                    CachePolicy::Writethrough => "write-through",
                }),
            );
            props.maybe("line", cache.line.as_ref().map(|l| l.size.0));
            lx.options("-numa", props, cache.site, "numa cache");
        }
    }
}

/// `-object iothread`, `-object main-loop`
pub fn iothreads(lx: &mut Lower<'_>) {
    for thread in &lx.domain.all_iothreads {
        let mut props = Props::with("qom-type", "iothread");
        props.set("id", thread.object());
        props.maybe("thread-pool-min", thread.thread_pool_min);
        props.maybe("thread-pool-max", thread.thread_pool_max);
        if let Some(poll) = &thread.poll {
            props.maybe("poll-max-ns", poll.max).maybe("poll-grow", poll.grow).maybe("poll-shrink", poll.shrink);
            props.maybe("poll-weight", poll.weight);
        }
        lx.object(props, thread.site, "iothread");
    }
    if let Some(main) = &lx.domain.default_iothread {
        let mut props = Props::with("qom-type", "main-loop");
        props.set("id", "main-loop");
        props.maybe("thread-pool-min", main.thread_pool_min).maybe("thread-pool-max", main.thread_pool_max);
        lx.object(props, main.site, "defaultiothread");
    }
}
