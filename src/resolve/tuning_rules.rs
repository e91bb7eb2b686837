//! Checks of limits and pins: `<blkiotune>`, `<memtune>`, `<cputune>`, I/O threads, `<resource>`, `<perf>`.

use crate::caps::Cap;
use crate::diag::codes::{general, machine as codes};
use crate::domain::tuning::{Cputune, Scheduler};
use crate::domain::{Domain, DomainKind};
use crate::stage::{Cx, Quirk};
use crate::vocab::NumberSet;
use crate::xml::Site;
use std::collections::{BTreeMap, BTreeSet};

/// Checks all limits and pins.
pub fn check(domain: &Domain, cx: &mut Cx<'_>) {
    iothreads(domain, cx);
    tuning(domain, cx);
    if let Some(tune) = domain.memtune.as_ref().filter(|t| t.min_guarantee.is_some()) {
        let message =
            "<memtune>: no memory can be promised to QEMU, 'min_guarantee' is a parameter of other hypervisors";
        cx.error_in(&codes::TUNING, tune.site, "min_guarantee", message).help("remove it");
    }
    let mut faults: Vec<(Site, String)> = Vec::new();
    devices(domain, &mut faults);
    if let Some(tune) = &domain.cputune {
        schedulers(tune, domain, &mut faults);
        let none = tune.cachetunes.is_empty() && tune.memorytunes.is_empty() && tune.energytunes.is_empty();
        if domain.kind() != DomainKind::Kvm && !none {
            let first = tune.cachetunes.iter().map(|c| c.site).chain(tune.memorytunes.iter().map(|m| m.site)).next();
            faults.push((
                first.unwrap_or(tune.site),
                "<cachetune> and <memorytune> act on the threads of KVM domains only".to_string(),
            ));
        }
        if cx.env.behaves(Quirk::ResctrlNeedsVcpus) {
            unnamed_vcpus(tune, &mut faults);
        }
        resctrl(tune, &mut faults);
    }
    general(domain, &mut faults);
    for (site, message) in faults {
        cx.error(&codes::TUNING, site, message);
    }
}

/// Groups without virtual CPUs are the whole machine, for those who know.
fn unnamed_vcpus(tune: &Cputune, faults: &mut Vec<(Site, String)>) {
    let caches = tune.cachetunes.iter().flat_map(|c| {
        let monitors = c.monitors.iter().map(|m| (m.site, &m.vcpus));
        std::iter::once((c.site, &c.vcpus)).chain(monitors)
    });
    let memory = tune.memorytunes.iter().flat_map(|m| {
        let monitors = m.monitors.iter().map(|m| (m.site, &m.vcpus));
        std::iter::once((m.site, &m.vcpus)).chain(monitors)
    });
    for (site, _) in caches.chain(memory).filter(|(_, vcpus)| vcpus.is_none()) {
        faults.push((site, "'vcpus' is missing: this libvirt has no groups for the whole machine".to_string()));
    }
}

/// Parts of caches and of memory bandwidth.
fn resctrl(tune: &Cputune, faults: &mut Vec<(Site, String)>) {
    let caches = tune.cachetunes.iter().map(|c| (c.site, &c.vcpus));
    let memory = tune.memorytunes.iter().map(|m| (m.site, &m.vcpus));
    let energy = tune.energytunes.iter().map(|e| (e.site, &e.vcpus));
    let groups: Vec<_> = caches.chain(memory).chain(energy).collect();
    if let Some((site, _)) = groups.iter().find(|(_, vcpus)| vcpus.is_none())
        && groups.iter().any(|(_, vcpus)| vcpus.is_some())
    {
        let message = "groups of resctrl are of the whole machine or of virtual CPUs: both cannot be mixed";
        faults.push((*site, message.to_string()));
    }
    let overlap = |a: &Option<NumberSet>, b: &Option<NumberSet>| match (a, b) {
        (Some(a), Some(b)) => a != b && a.iter().any(|n| b.has(n)),
        _ => false,
    };
    for (i, (site, vcpus)) in groups.iter().enumerate() {
        if groups.iter().take(i).any(|(_, other)| overlap(vcpus, other)) {
            faults.push((
                *site,
                "<cachetune>, <memorytune>: the vcpus of two resctrls are overlapping, and a vCPU belongs to one"
                    .to_string(),
            ));
        }
    }
    for group in &tune.cachetunes {
        for (i, cache) in group.caches.iter().enumerate() {
            let same = |c: &&crate::domain::tuning::CacheAllocation| {
                (c.level, c.id, &c.kind) == (cache.level, cache.id, &cache.kind)
            };
            if group.caches.iter().take(i).any(|c| same(&c)) {
                let (level, id) = (cache.level.unwrap_or(0), cache.id.unwrap_or(0));
                let kind = cache.kind.as_deref().unwrap_or("");
                let message = format!(
                    "two <cache> allocations are colliding: both are of level '{level}', id '{id}' and type '{kind}'"
                );
                faults.push((cache.site, message));
            }
        }
        for (i, monitor) in group.monitors.iter().enumerate() {
            if let Some(level) = monitor.level.filter(|l| *l != 3) {
                faults.push((
                    monitor.site,
                    format!("<monitor>: the processor counts what is in the cache of level 3, so '{level}' is invalid"),
                ));
            }
            let whole = monitor.vcpus == group.vcpus;
            let others = || group.monitors.iter().take(i).filter(|m| m.vcpus != group.vcpus);
            if !whole && others().any(|m| overlap(&m.vcpus, &monitor.vcpus)) {
                faults.push((monitor.site, "<monitor>: the vcpus of two groups overlap in a resctrl".to_string()));
            }
        }
    }
    for group in &tune.memorytunes {
        for (i, node) in group.nodes.iter().enumerate() {
            if group.nodes.iter().take(i).any(|n| n.id == node.id) {
                let id = node.id.unwrap_or(0);
                faults.push((
                    node.site,
                    format!("<memorytune>: a second bandwidth of memory for node {id}, which is defined already"),
                ));
            }
        }
    }
}

/// Priorities, and CPUs that are there.
fn schedulers(tune: &Cputune, domain: &Domain, faults: &mut Vec<(Site, String)>) {
    let vcpus = tune.vcpuscheds.iter().map(|s| (s.site, "vcpusched", s.scheduler, s.priority));
    let iothreads = tune.iothreadscheds.iter().map(|s| (s.site, "iothreadsched", s.scheduler, s.priority));
    let emulator = tune.emulatorsched.iter().map(|s| (s.site, "emulatorsched", s.scheduler, s.priority));
    for (site, element, scheduler, priority) in vcpus.chain(iothreads).chain(emulator) {
        if priority.is_none() && scheduler.is_some_and(Scheduler::has_priority) {
            let message = format!("'{element}' with this scheduler needs the attribute 'priority', which is missing");
            faults.push((site, message));
        }
    }
    let count = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1);
    for sched in &tune.vcpuscheds {
        if let Some(vcpu) = sched.vcpus.iter().flat_map(|s| s.iter()).find(|v| *v >= count) {
            faults.push((
                sched.site,
                format!("<vcpusched> names vCPU '{vcpu}', and the domain has none of that number: not present"),
            ));
        }
    }
    for (i, pin) in tune.iothreadpins.iter().enumerate() {
        if tune.iothreadpins.iter().take(i).any(|p| p.iothread == pin.iothread) {
            let number = pin.iothread.unwrap_or(0);
            faults
                .push((pin.site, format!("a second <iothreadpin> (duplicate) is about the same iothread '{number}'")));
        }
    }
}

/// Block devices, guaranteed memory, counters and identifiers.
fn general(domain: &Domain, faults: &mut Vec<(Site, String)>) {
    let events = domain.perf.as_ref().map_or(&[][..], |p| &p.events);
    for (i, event) in events.iter().enumerate() {
        if events.iter().take(i).any(|e| e.name == event.name) {
            let name = event.name.as_deref().unwrap_or("");
            faults.push((event.site, format!("<perf>: a second event '{name}', which was specified already")));
        }
    }
    if let Some(resource) = &domain.resource
        && resource.appid.as_ref().is_some_and(|id| id.len() > 128)
    {
        let message = "<fibrechannel>: an 'appid' is a string with a length between 1 and 128";
        faults.push((resource.site, message.to_string()));
    }
}

fn devices(domain: &Domain, faults: &mut Vec<(Site, String)>) {
    let devices = domain.blkiotune.as_ref().map_or(&[][..], |t| &t.devices);
    for (i, device) in devices.iter().enumerate() {
        match &device.path {
            None => faults
                .push((device.site, "a limit per-device needs the <path> of the device, which is missing".to_string())),
            Some(path) if devices.iter().take(i).any(|d| d.path.as_ref() == Some(path)) => {
                faults.push((device.site, format!("<blkiotune>: a second device (duplicate) has the path '{path}'")));
            }
            Some(_) => {}
        }
    }
}

/// I/O threads and the main loop.
fn iothreads(domain: &Domain, cx: &mut Cx<'_>) {
    let mut ids = BTreeSet::new();
    for thread in &domain.all_iothreads {
        let id = thread.id.unwrap_or(0);
        if !ids.insert(id) {
            cx.error(
                &codes::IOTHREAD,
                thread.site,
                format!("<iothreadids>: two threads have the id '{id}' (duplicate iothread)"),
            );
        }
        if id == 0 {
            let message = "the attribute 'id' of an 'iothread' counts from 1, zero is invalid";
            cx.error_at(&codes::IOTHREAD, thread.site, "id", message);
        }
        has_pools(thread.thread_pool_min, thread.thread_pool_max, thread.site, cx);
        pool(thread.thread_pool_min, thread.thread_pool_max, thread.site, cx);
    }
    if let Some(main) = &domain.default_iothread {
        pool(main.thread_pool_min, main.thread_pool_max, main.site, cx);
    }
}

/// Whether QEMU can be told how many threads there are.
fn has_pools(min: Option<u32>, max: Option<u32>, site: Site, cx: &mut Cx<'_>) {
    if (min.is_some() || max.is_some()) && !cx.has(Cap::IothreadThreadPoolMax) {
        let message =
            "thread_pool_min and thread_pool_max: this QEMU cannot bound the number of threads of an I/O thread";
        cx.error(&general::NOT_BY_QEMU, site, message);
    }
}

/// The bounds of a pool of threads. libvirt sees an upper bound that is not there as one below zero.
fn pool(min: Option<u32>, max: Option<u32>, site: Site, cx: &mut Cx<'_>) {
    if max == Some(0) {
        cx.error(&codes::IOTHREAD, site, "thread_pool_max is a positive integer, and zero is none");
    } else if let Some(min) = min.filter(|min| max.is_none_or(|max| *min > max)) {
        let message = match max {
            Some(max) => format!("thread_pool_min ({min}) is above thread_pool_max ({max})"),
            None => {
                "thread_pool_min is given alone: thread_pool_max, which is no smaller or equal to it, belongs to it"
                    .to_string()
            }
        };
        cx.error(&codes::IOTHREAD, site, message);
    }
}

/// Pins and schedules.
fn tuning(domain: &Domain, cx: &mut Cx<'_>) {
    let ids: BTreeSet<Option<u32>> = domain.all_iothreads.iter().map(|t| t.id).collect();
    let Some(tune) = &domain.cputune else { return };
    let periods = [
        ("period", tune.period),
        ("global_period", tune.global_period),
        ("emulator_period", tune.emulator_period),
        ("iothread_period", tune.iothread_period),
    ];
    for (name, period) in periods {
        if period.is_some_and(|p| p != 0 && !(1000..=1_000_000).contains(&p)) {
            let message = format!("<cputune>: '{name}' is a value from 1000 to 1000000 microseconds");
            cx.error_in(&codes::TUNING, tune.site, name, message);
        }
    }
    let quotas = [
        ("quota", tune.quota),
        ("global_quota", tune.global_quota),
        ("emulator_quota", tune.emulator_quota),
        ("iothread_quota", tune.iothread_quota),
    ];
    for (name, quota) in quotas {
        if quota.is_some_and(|q| q > 0 && !(1000..=17_592_186_044_415).contains(&q)) {
            let message = format!("<cputune>: '{name}' is a value from 1000 to 17592186044415 microseconds");
            cx.error_in(&codes::TUNING, tune.site, name, message);
        }
    }
    let mut seen = BTreeSet::new();
    for sched in &tune.vcpuscheds {
        if let Some(number) = sched.vcpus.iter().flat_map(|s| s.iter()).find(|n| !seen.insert(*n)) {
            let message = format!("'vcpusched' attributes 'vcpus' must not overlap: {number} is in two");
            cx.error(&codes::TUNING, sched.site, message);
        }
    }
    let mut seen = BTreeSet::new();
    for sched in &tune.iothreadscheds {
        for number in sched.iothreads.iter().flat_map(|s| s.iter()) {
            if !seen.insert(number) {
                let message = format!("'iothreadsched' attributes 'iothreads' must not overlap: {number} is in two");
                cx.error(&codes::TUNING, sched.site, message);
            }
            if !ids.contains(&Some(number)) {
                cx.error(&codes::IOTHREAD, sched.site, format!("there is no I/O thread {number} in this domain"));
            }
        }
    }
    for pin in &tune.iothreadpins {
        let number = pin.iothread.unwrap_or(0);
        if !ids.contains(&pin.iothread) {
            cx.error(&codes::IOTHREAD, pin.site, format!("there is no I/O thread {number} in this domain"));
        }
    }
    let mut seen = BTreeMap::new();
    for pin in &tune.vcpupins {
        let first = *seen.entry(pin.vcpu).or_insert(pin.site);
        if first != pin.site {
            let number = pin.vcpu.unwrap_or(0);
            let (one, two) = (cx.span(first), cx.span(pin.site));
            cx.twice(&codes::TUNING, one, two, format!("vcpu '{number}' has a second <vcpupin> (duplicate)"))
                .help("join the two in one 'cpuset', as in cpuset='0,2-3'");
        }
    }
}
