//! Features, memory, CPUs, clock: what the format leaves open.

use crate::caps::Accel;
use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::features::{Features, Gic, GicVersion, HypervMode};
use crate::domain::memory::Amount;
use crate::domain::numa::{Cell, GuestNuma, Sibling};
use crate::domain::tuning::{BlkioDevice, NumaMode};
use crate::domain::vcpu::{IoThread, OneVcpu, Placement};
use crate::stage::Quirk;
use crate::stage::{Board, Cx, Machine};
use crate::vocab::{NumberSet, OnOff, Size, Value, YesNo};
use std::collections::{BTreeMap, BTreeSet};

/// Completes everything of a domain that is not a device.
pub fn defaults(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    features(domain, machine, cx);
    node_for_hotplug(domain, cx);
    if let Some(devices) = &mut domain.devices
        && cx.env.options.define
    {
        crate::device::memory::family::align_sizes(&mut devices.memories, machine);
    }
    memory(domain, cx);
    iothreads(domain, cx);
    vcpus(domain, cx);
    placement(domain);
    genid(domain, cx);
    numa(domain);
    schedulers(domain);
    tidy(domain);
}

/// ACPI, interrupt controller, Hyper-V mode.
fn features(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    // Machines of s390x never had ACPI, but many files ask for it: only new domains are told.
    if machine.arch.is_s390()
        && !cx.env.options.define
        && let Some(features) = &mut domain.features
    {
        features.acpi = false;
    }
    if machine.arch.is_arm() && machine.board == Board::Virt {
        let features = domain.features.get_or_insert_with(Features::default);
        let gic = features.gic.get_or_insert_with(Gic::default);
        if gic.version.is_none() {
            // The highest version that KVM has; an emulated version 3 has no message interrupts for PCIe.
            let usable = |version: u8| {
                let gic = cx.env.caps.gic.iter().find(|g| g.version == version);
                gic.is_some_and(|g| g.kernel)
            };
            let three = machine.accel == Accel::Kvm && usable(3);
            gic.version = Some(if three { GicVersion::V3 } else { GicVersion::V2 });
        }
    }
    // To libvirt it is there or not, whatever its state.
    if let Some(switch) = domain.features.as_mut().and_then(|f| f.virtualization.as_mut())
        && !cx.env.is_guardian()
    {
        switch.state = None;
    }
    interrupts_beyond_255(domain, machine, cx);
    if let Some(hyperv) = domain.features.as_mut().and_then(|f| f.hyperv.as_mut()) {
        hyperv.mode.get_or_insert(HypervMode::Custom);
        // Never, unless it is said.
        let never = !cx.env.behaves(Quirk::HypervDependenciesUnchecked);
        if let Some(spin) = hyperv.spinlocks.as_mut().filter(|s| never && s.switch.is_on()) {
            spin.retries.take_if(|retries| *retries == u32::MAX);
        }
    }
}

/// More CPUs than an 8-bit APIC id can name need interrupt remapping: new domains of q35 get it. It takes an I/O APIC
/// that QEMU emulates.
fn interrupts_beyond_255(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    use crate::device::iommu::{Iommu, IommuDriver, IommuModel};
    use crate::domain::features::{Ioapic, IoapicDriver};
    let count = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1);
    let devices = domain.devices.get_or_insert_default();
    let remaps = |i: &Iommu| i.driver.as_ref().is_some_and(|d| d.intremap == Some(OnOff::On));
    if devices.iommus.iter().any(remaps) {
        let ioapic = domain.features.get_or_insert_default().ioapic.get_or_insert_with(Ioapic::default);
        ioapic.driver.get_or_insert(IoapicDriver::Qemu);
    }
    if !cx.env.options.define || machine.board != Board::Q35 || count <= 255 {
        return;
    }
    if devices.iommus.is_empty() {
        devices.iommus.push(Iommu { model: Some(IommuModel::Intel), ..Iommu::default() });
    }
    for iommu in devices.iommus.iter_mut().filter(|i| i.model == Some(IommuModel::Intel)) {
        let driver = iommu.driver.get_or_insert_with(IommuDriver::default);
        driver.intremap.get_or_insert(OnOff::On);
        driver.eim.get_or_insert(OnOff::On);
        let features = domain.features.get_or_insert_default();
        let ioapic = features.ioapic.get_or_insert_with(Ioapic::default);
        ioapic.driver.get_or_insert(IoapicDriver::Qemu);
    }
}

/// A new domain whose memory can grow gets a NUMA node, since memory devices belong to one.
fn node_for_hotplug(domain: &mut Domain, cx: &mut Cx<'_>) {
    let count = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1).min(MAX_VCPUS);
    if let Some(devices) = &mut domain.devices {
        crate::device::memory::assign_slots(&mut devices.memories);
    }
    // An empty <numa> is told where nodes are checked.
    let has_nodes = domain.cpu.as_ref().is_some_and(|c| c.numa.is_some());
    // Machines of s390x have no NUMA.
    let arch = domain.os.as_ref().and_then(|os| os.arch());
    if has_nodes || domain.max_memory.is_none() || !cx.env.options.define || arch.is_some_and(|a| a.is_s390()) {
        return;
    }
    let total = domain.memory.as_ref().map_or(0, |m| m.amount.size.0);
    let memory = Size(total.saturating_sub(crate::stage::sizes::devices_kib(domain) * 1024));
    let cell = Cell { id: Some(0), cpus: Some((0..count).collect()), memory, has_memory: true, ..Cell::default() };
    let numa = domain.cpu.get_or_insert_default().numa.get_or_insert_default();
    numa.cells.push(cell);
    for device in domain.devices.iter_mut().flat_map(|d| &mut d.memories) {
        if let Some(target) = &mut device.target {
            target.node.get_or_insert(0);
        }
    }
}

/// Memory and what the balloon leaves of it.
fn memory(domain: &mut Domain, cx: &mut Cx<'_>) {
    let devices = crate::stage::sizes::devices_kib(domain);
    let nodes = domain.cpu.as_ref().and_then(|c| c.numa.as_ref()).map_or(0, |n| n.kib());
    let memory = domain.memory.get_or_insert_with(Default::default);
    if nodes > 0 && (memory.amount.kib() == 0 || cx.env.options.define) {
        memory.amount.size.0 = (nodes + devices) * 1024;
    }
    let total = memory.amount.kib();
    let current = domain.current_memory.get_or_insert_with(|| Amount::implied(total));
    if current.kib() > total || current.kib() == 0 {
        *current = Amount { site: current.site, ..Amount::implied(total) };
    }
}

/// Once one CPU is spoken of, all are: those left out are to be plugged in later. How many are there follows.
fn vcpus(domain: &mut Domain, cx: &mut Cx<'_>) {
    let count = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1);
    if domain.vcpus.is_empty() || count > MAX_VCPUS {
        return;
    }
    let mut given: BTreeMap<u32, OneVcpu> = domain.vcpus.iter().filter_map(|v| Some((v.id?, v.clone()))).collect();
    let absent = |id| OneVcpu { id: Some(id), enabled: Some(YesNo::No), ..OneVcpu::default() };
    let mut all: Vec<OneVcpu> = (0..count).map(|id| given.remove(&id).unwrap_or_else(|| absent(id))).collect();
    all.extend(given.into_values());
    super::vcpu_rules::order(&all, cx);
    for vcpu in &mut all {
        vcpu.hotpluggable = Some(vcpu.is_hotpluggable().into());
        vcpu.order.take_if(|order| *order == 0);
    }
    if let Some(vcpu) = &mut domain.vcpu {
        let enabled = all.iter().filter(|v| v.is_enabled()).count() as u32;
        vcpu.current = (enabled < count).then_some(enabled);
    }
    domain.vcpus = all;
}

/// More I/O threads than any host has processors for.
const MOST_IOTHREADS: u32 = 4096;

/// `<iothreads>` and `<iothreadids>` tell the same number.
fn iothreads(domain: &mut Domain, cx: &mut Cx<'_>) {
    let mut count = domain.iothreads.unwrap_or(0);
    let mut threads = domain.iothread_ids.clone();
    if count.max(threads.len() as u32) > MOST_IOTHREADS {
        let message = format!("{} I/O threads are more than any host has use for", count.max(threads.len() as u32));
        cx.error(&codes::IOTHREAD, domain.site, message).help(format!("use at most {MOST_IOTHREADS}"));
        count = 0;
        threads.truncate(MOST_IOTHREADS as usize);
    }
    let taken: BTreeSet<u32> = threads.iter().filter_map(|t| t.id).collect();
    let missing = (count as usize).saturating_sub(threads.len());
    let free = (1..).filter(|id| !taken.contains(id)).take(missing);
    threads.extend(free.map(|id| IoThread { id: Some(id), ..IoThread::default() }));
    domain.iothreads = if threads.is_empty() { None } else { Some(threads.len() as u32) };
    // The list is printed when the XML has one, and then in full.
    if !domain.iothread_ids.is_empty() {
        domain.iothread_ids.clone_from(&threads);
    }
    domain.all_iothreads = threads;
}

/// Placement of CPUs and memory on the host.
fn placement(domain: &mut Domain) {
    // Memory where numad says, and CPUs wherever: then CPUs too where numad says.
    let auto_memory =
        domain.numatune.as_ref().and_then(|n| n.memory.as_ref()).is_some_and(|m| m.placement == Some(Placement::Auto));
    if let Some(vcpu) = &mut domain.vcpu
        && auto_memory
        && vcpu.cpuset.is_none()
    {
        vcpu.placement = Some(Placement::Auto);
    }
    let auto_cpus = domain.vcpu.as_ref().is_some_and(|v| v.placement == Some(Placement::Auto));
    if auto_cpus && let Some(vcpu) = &mut domain.vcpu {
        vcpu.cpuset = None;
    }
    if let Some(memory) = domain.numatune.as_mut().and_then(|n| n.memory.as_mut()) {
        memory.mode.get_or_insert(NumaMode::Strict);
        if memory.nodeset.is_some() && memory.placement != Some(Placement::Auto) {
            memory.placement = None;
        } else if auto_cpus && memory.nodeset.is_none() && memory.placement.is_none() {
            memory.placement = Some(Placement::Auto);
        }
        if memory.placement == Some(Placement::Auto) {
            memory.nodeset = None;
        }
    } else if auto_cpus {
        let memory = crate::domain::tuning::NumaMemory {
            mode: Some(NumaMode::Strict),
            placement: Some(Placement::Auto),
            ..Default::default()
        };
        domain.numatune.get_or_insert_default().memory = Some(memory);
    }
}

/// A `<genid/>` without a value gets one.
fn genid(domain: &mut Domain, cx: &mut Cx<'_>) {
    let identity = format!("{}{}", domain.name(), domain.uuid.map(|u| u.to_text()).unwrap_or_default());
    if let Some(genid) = &mut domain.genid
        && genid.uuid.is_none()
    {
        let bytes = cx.env.host.random.bytes(&identity, "genid", 16);
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[..16]);
        genid.uuid = Some(crate::vocab::Uuid::from_random(uuid));
    }
}

/// CPUs that no guest node names belong to the first; distances are told in full once one is told.
fn numa(domain: &mut Domain) {
    if let Some(tune) = &mut domain.numatune {
        tune.memnodes.sort_by_key(|m| m.cellid);
        for node in &mut tune.memnodes {
            node.mode.get_or_insert(NumaMode::Strict);
        }
    }
    let count = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1).min(MAX_VCPUS);
    let Some(numa) = domain.cpu.as_mut().and_then(|c| c.numa.as_mut()) else { return };
    let named: BTreeSet<u32> = numa.cells.iter().filter_map(|c| c.cpus.as_ref()).flat_map(|s| s.iter()).collect();
    let missing: Vec<u32> = (0..count).filter(|n| !named.contains(n)).collect();
    if let Some(first) = numa.cells.first_mut()
        && !missing.is_empty()
    {
        first.cpus.get_or_insert_default().0.extend(missing);
    }
    distances(numa);
}

/// A distance holds in both directions, until the other side tells its own; a node that has any is near to itself.
fn distances(numa: &mut GuestNuma) {
    let ids: BTreeSet<u32> = numa.cells.iter().filter_map(|c| c.id).collect();
    let mut told: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for cell in &numa.cells {
        let Some(here) = cell.id else { continue };
        for sibling in &cell.distances {
            let (Some(there), Some(value)) = (sibling.id.filter(|id| ids.contains(id)), sibling.value) else {
                continue;
            };
            told.entry((here, here)).or_insert(LOCAL_DISTANCE);
            told.insert((here, there), value);
            told.entry((there, there)).or_insert(LOCAL_DISTANCE);
            told.entry((there, here)).or_insert(value);
        }
    }
    for cell in &mut numa.cells {
        let Some(here) = cell.id else { continue };
        let of =
            |(to, value): (&(u32, u32), &u32)| Sibling { id: Some(to.1), value: Some(*value), ..Sibling::default() };
        let mut all: Vec<Sibling> = told.range((here, 0)..=(here, u32::MAX)).map(of).collect();
        // What names no cell is for the rules to say.
        all.extend(
            std::mem::take(&mut cell.distances).into_iter().filter(|s| s.id.is_none_or(|id| !ids.contains(&id))),
        );
        cell.distances = all;
    }
}

/// The distance of a NUMA node to itself, as firmware tells it.
const LOCAL_DISTANCE: u32 = 10;

/// More CPUs than any machine type of QEMU takes.
const MAX_VCPUS: u32 = 16384;

/// Scheduling is told for each thread by itself; of CPUs that are not there nothing is.
fn schedulers(domain: &mut Domain) {
    let count = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1);
    let Some(tune) = &mut domain.cputune else { return };
    fn split<T: Clone>(list: &mut Vec<T>, set: impl Fn(&mut T) -> &mut Option<NumberSet>) {
        let mut single: Vec<(u32, T)> = Vec::new();
        for entry in list.iter() {
            let mut entry = entry.clone();
            for number in set(&mut entry).take().into_iter().flat_map(|s| s.0) {
                let mut one = entry.clone();
                *set(&mut one) = Some(NumberSet::from_iter([number]));
                single.push((number, one));
            }
        }
        single.sort_by_key(|(number, _)| *number);
        *list = single.into_iter().map(|(_, one)| one).collect();
    }
    let there = |vcpu: u32| vcpu < count;
    tune.vcpupins.retain(|p| p.vcpu.is_none_or(there));
    for set in tune.cachetunes.iter_mut().map(|c| &mut c.vcpus).chain(tune.memorytunes.iter_mut().map(|m| &mut m.vcpus))
    {
        set.iter_mut().for_each(|s| s.0.retain(|v| there(*v)));
    }
    for monitor in tune.cachetunes.iter_mut().flat_map(|c| &mut c.monitors) {
        monitor.vcpus.iter_mut().for_each(|s| s.0.retain(|v| there(*v)));
    }
    for group in &mut tune.cachetunes {
        let all = group.vcpus.clone();
        group.monitors.iter_mut().for_each(|m| m.vcpus = m.vcpus.take().or(all.clone()));
    }
    for group in &mut tune.memorytunes {
        let all = group.vcpus.clone();
        group.monitors.iter_mut().for_each(|m| m.vcpus = m.vcpus.take().or(all.clone()));
    }
    for group in &mut tune.energytunes {
        let all = group.vcpus.clone();
        group.vcpus.iter_mut().for_each(|s| s.0.retain(|v| there(*v)));
        group.monitors.iter_mut().for_each(|m| m.vcpus = m.vcpus.take().or(all.clone()));
    }
    let nobody = |vcpus: &Option<NumberSet>| vcpus.as_ref().is_some_and(|s| s.0.is_empty());
    tune.cachetunes.retain(|c| !(nobody(&c.vcpus) || (c.caches.is_empty() && c.monitors.is_empty())));
    tune.memorytunes.retain(|m| !(nobody(&m.vcpus) || (m.nodes.is_empty() && m.monitors.is_empty())));
    tune.energytunes.retain(|e| !(nobody(&e.vcpus) || e.monitors.is_empty()));
    split(&mut tune.vcpuscheds, |s| &mut s.vcpus);
    split(&mut tune.iothreadscheds, |s| &mut s.iothreads);
    tune.vcpupins.sort_by_key(|p| p.vcpu);
}

/// Elements that say nothing are not printed.
fn tidy(domain: &mut Domain) {
    if let Some(menu) = domain.os.as_mut().and_then(|os| os.bootmenu.as_mut())
        && menu.enable != Some(YesNo::Yes)
    {
        menu.timeout = None;
    }
    if domain.features.as_ref().is_some_and(Features::is_empty) {
        domain.features = None;
    }
    if domain.cputune.as_ref().is_some_and(|c| c.is_empty()) {
        domain.cputune = None;
    }
    if let Some(tune) = &mut domain.blkiotune {
        let says_nothing =
            |d: &BlkioDevice| *d == BlkioDevice { path: d.path.clone(), site: d.site, ..BlkioDevice::default() };
        tune.devices.retain(|d| d.path.is_none() || !says_nothing(d));
    }
    if let Some(tune) = &mut domain.memtune {
        // As much as a 64-bit number of bytes can count, in KiB, is no limit.
        const UNLIMITED_KIB: u64 = 9_007_199_254_740_991;
        let limits = [&mut tune.hard_limit, &mut tune.soft_limit, &mut tune.min_guarantee, &mut tune.swap_hard_limit];
        let mut any = false;
        for limit in limits {
            limit.take_if(|l| l.kib() >= UNLIMITED_KIB);
            any |= limit.is_some();
        }
        if !any {
            domain.memtune = None;
        }
    }
    if domain.memory_backing.as_ref().is_some_and(|b| b.is_empty()) {
        domain.memory_backing = None;
    }
    if domain.cpu.as_ref().is_some_and(|c| {
        crate::domain::cpu::Cpu { site: crate::xml::Site::NONE, ..c.clone() } == crate::domain::cpu::Cpu::default()
    }) {
        domain.cpu = None;
    }
}
