//! Features, memory, CPUs, clock: what the format leaves open.

use super::{Board, Cx, Machine};
use crate::caps::Accel;
use crate::domain::Domain;
use crate::domain::features::{Features, Gic, GicVersion, HypervMode};
use crate::domain::memory::Amount;
use crate::domain::tuning::NumaMode;
use crate::domain::vcpu::{IoThread, Placement};
use crate::vocab::Value;

/// Completes everything of a domain that is not a device.
pub fn defaults(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    features(domain, machine, cx);
    memory(domain, cx);
    iothreads(domain);
    placement(domain);
    genid(domain, cx);
    tidy(domain);
}

/// Interrupt controller, Hyper-V mode.
fn features(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if machine.arch.is_arm() && machine.board == Board::Virt {
        let features = domain.features.get_or_insert_with(Features::default);
        let gic = features.gic.get_or_insert_with(Gic::default);
        if gic.version.is_none() {
            // The highest version that KVM has; an emulated version 3 has no message interrupts for PCIe.
            let usable = |version: u8| {
                let gic = cx.env.caps.gic.iter().find(|g| g.version == version);
                gic.is_some_and(|g| if machine.accel == Accel::Kvm { g.kernel } else { g.emulated })
            };
            let three = machine.accel != Accel::Tcg && usable(3);
            gic.version = Some(if three { GicVersion::V3 } else { GicVersion::V2 });
        }
    }
    if let Some(hyperv) = domain.features.as_mut().and_then(|f| f.hyperv.as_mut()) {
        hyperv.mode.get_or_insert(HypervMode::Custom);
    }
}

/// Memory and what the balloon leaves of it.
fn memory(domain: &mut Domain, cx: &mut Cx<'_>) {
    let devices = super::memory::devices_kib(domain);
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

/// `<iothreads>` and `<iothreadids>` tell the same number.
fn iothreads(domain: &mut Domain) {
    let count = domain.iothreads.unwrap_or(0).min(u32::from(u16::MAX));
    let mut threads = domain.iothread_ids.clone();
    let mut next = 1;
    while (threads.len() as u32) < count {
        while threads.iter().any(|t| t.id == Some(next)) {
            next += 1;
        }
        threads.push(IoThread { id: Some(next), ..IoThread::default() });
    }
    domain.iothreads = if threads.is_empty() { None } else { Some(threads.len() as u32) };
    // The list is printed when the XML has one, and then in full.
    if !domain.iothread_ids.is_empty() {
        domain.iothread_ids.clone_from(&threads);
    }
    domain.all_iothreads = threads;
}

/// Placement of CPUs and memory on the host.
fn placement(domain: &mut Domain) {
    let auto_cpus = domain.vcpu.as_ref().is_some_and(|v| v.placement == Some(Placement::Auto));
    if auto_cpus && let Some(vcpu) = &mut domain.vcpu {
        vcpu.cpuset = None;
    }
    if let Some(memory) = domain.numatune.as_mut().and_then(|n| n.memory.as_mut()) {
        memory.mode.get_or_insert(NumaMode::Strict);
        if memory.nodeset.is_some() && memory.placement != Some(Placement::Auto) {
            memory.placement = None;
        } else if auto_cpus && memory.nodeset.is_none() {
            memory.placement = Some(Placement::Auto);
        }
        if memory.placement == Some(Placement::Auto) {
            memory.nodeset = None;
        }
    } else if auto_cpus && domain.numatune.is_none() {
        let memory = crate::domain::tuning::NumaMemory {
            mode: Some(NumaMode::Strict),
            placement: Some(Placement::Auto),
            ..Default::default()
        };
        domain.numatune = Some(crate::domain::tuning::Numatune { memory: Some(memory), ..Default::default() });
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

/// Elements that say nothing are not printed.
fn tidy(domain: &mut Domain) {
    if domain.features.as_ref().is_some_and(Features::is_empty) {
        domain.features = None;
    }
    if domain.cputune.as_ref().is_some_and(|c| c.is_empty()) {
        domain.cputune = None;
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
