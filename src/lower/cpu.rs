//! `-cpu` and `-smp`.

use super::Lower;
use crate::domain::clock::TimerName;
use crate::domain::cpu::{CpuMode, FeaturePolicy};
use crate::plan::Props;

/// `-cpu`: model and features.
pub fn cpu(lx: &mut Lower<'_>) {
    let mut props = Props::new();
    let mut site = lx.domain.site;
    if let Some(cpu) = &lx.domain.cpu {
        site = cpu.site;
        match cpu.mode {
            Some(CpuMode::HostPassthrough) => {
                props.bare("host");
            }
            Some(CpuMode::Maximum) => {
                props.bare("max");
            }
            _ => match cpu.model.as_ref().and_then(|m| m.name.clone()) {
                Some(name) => {
                    props.bare(name);
                }
                None => return,
            },
        }
        for feature in &cpu.features {
            let Some(name) = &feature.name else { continue };
            let on = !matches!(feature.policy, Some(FeaturePolicy::Disable | FeaturePolicy::Forbid));
            props.set(name.clone(), on);
        }
    }
    if lx.machine.arch.is_x86()
        && let Some(timer) = lx.domain.clock.as_ref().and_then(|c| c.timer(TimerName::Kvmclock))
        && let Some(present) = timer.present
    {
        props.set("kvmclock", present.is_yes());
    }
    lx.options("-cpu", props, site, "cpu");
}

/// `-smp`: how many CPUs, and how they are grouped.
pub fn smp(lx: &mut Lower<'_>) {
    let vcpu = lx.domain.vcpu.as_ref();
    let count = vcpu.and_then(|v| v.count).unwrap_or(1);
    let current = vcpu.and_then(|v| v.current).unwrap_or(count);
    let mut props = Props::new();
    props.bare(current.to_string());
    if current != count {
        props.set("maxcpus", count);
    }
    let topology = lx.domain.cpu.as_ref().and_then(|c| c.topology.clone());
    let (sockets, cores, threads) = match &topology {
        Some(t) => (t.sockets.unwrap_or(1), t.cores.unwrap_or(1), t.threads.unwrap_or(1)),
        None => (count, 1, 1),
    };
    props.set("sockets", sockets);
    if let Some(t) = &topology {
        props.maybe("dies", t.dies).maybe("clusters", t.clusters);
    }
    props.set("cores", cores).set("threads", threads);
    let site = vcpu.map_or(lx.domain.site, |v| v.site);
    lx.options("-smp", props, site, "vcpu");
}
