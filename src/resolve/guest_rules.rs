//! Checks of everything that is not a device.

use crate::diag::codes::machine as codes;
use crate::domain::clock::{ClockOffset, TickPolicy, TimerName, TimerTrack};
use crate::domain::cpu::{CacheMode, Cpu, CpuMode, PhysAddrMode};
use crate::domain::general::{CrashAction, LifecycleAction};
use crate::domain::tuning::NumaMode;
use crate::domain::vcpu::Placement;
use crate::domain::{Domain, DomainKind};
use crate::stage::{Cx, Machine};
use crate::vocab::YesNo;
use std::collections::{BTreeMap, BTreeSet};

/// Checks the domain after all defaults are filled in.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    super::retired::check(domain, machine, cx);
    super::feature_rules::check(domain, machine, cx);
    super::os_rules::check(domain, machine, cx);
    boot(domain, cx);
    lifecycle(domain, cx);
    if let Some(pm) = domain
        .pm
        .as_ref()
        .filter(|pm| !machine.arch.is_x86() && (pm.suspend_to_mem.is_some() || pm.suspend_to_disk.is_some()))
    {
        let message = "<pm>: only x86 machines have the sleep states of ACPI (S3, S4), and this is another";
        cx.error(&codes::LIFECYCLE, pm.site, message);
    }
    clock(domain, machine, cx);
    timers(domain, cx);
    if let Some(cpu) = &domain.cpu {
        self::cpu(cpu, cx);
        super::numa_rules::check(domain, cpu, cx);
    }
    super::vcpu_rules::check(domain, machine, cx);
    memory(domain, machine, cx);
    huge_pages(domain, cx);
    numatune(domain, cx);
    super::tuning_rules::check(domain, cx);
    super::security_rules::check(domain, cx);
}

/// Boot parameters and ROMs; the order and the menu are checked where they are assigned.
fn boot(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(os) = &domain.os else { return };
    if let Some(bios) = &os.bios
        && bios.reboot_timeout.is_some_and(|t| !(-1..=65535).contains(&t))
    {
        let message = "<bios rebootTimeout>: a value from 0 to 65535 milliseconds, or -1 for none";
        cx.error_at(&codes::BOOT, bios.site, "rebootTimeout", message);
    }
    let mut faults = Vec::new();
    if let Some(devices) = &domain.devices {
        devices.each(&mut |device| {
            if let Some(rom) = &device.info().rom
                && rom.enabled == Some(YesNo::No)
                && (rom.bar.is_some() || rom.file.is_some())
            {
                faults.push((
                    rom.site,
                    "<rom enabled='no'> leaves nothing to tune: remove the other settings of the ROM".to_string(),
                ));
            }
        });
    }
    for (site, message) in faults {
        cx.error(&codes::BOOT, site, message);
    }
}

/// Boot parameters: checked before anything is known of the machine. They are in capital letters.
pub fn boot_parameters(domain: &mut Domain, cx: &mut Cx<'_>) {
    let mut faults = Vec::new();
    if let Some(devices) = &mut domain.devices {
        devices.each_mut(&mut |device| {
            let Some(boot) = &mut device.info_mut().boot else { return };
            let Some(loadparm) = &mut boot.loadparm else { return };
            loadparm.make_ascii_uppercase();
            if loadparm.is_empty() || loadparm.len() > 8 {
                let message = format!("loadparm='{loadparm}': the firmware reads between 1 and 8 characters");
                faults.push((boot.site, message));
            } else if !loadparm.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ' ')) {
                let message =
                    format!("loadparm='{loadparm}' has other chars than those of the set [a-zA-Z0-9.] and blanks");
                faults.push((boot.site, message));
            }
        });
    }
    for (site, message) in faults {
        cx.error(&codes::BOOT, site, message);
    }
}

/// What QEMU and its controller cannot do at the end of a run.
fn lifecycle(domain: &Domain, cx: &mut Cx<'_>) {
    let site = domain.site;
    let (off, reboot, crash) = (domain.on_poweroff, domain.on_reboot, domain.on_crash);
    let rename =
        [off, reboot].contains(&Some(LifecycleAction::RenameRestart)) || crash == Some(CrashAction::RenameRestart);
    if rename {
        let message = "'rename-restart' is an action of Xen; with qemu, 'on_reboot', 'on_poweroff' and 'on_crash' have no such driver support";
        let named = [("on_poweroff", off), ("on_reboot", reboot)];
        let culprit =
            named.iter().find(|(_, a)| *a == Some(LifecycleAction::RenameRestart)).map_or("on_crash", |(n, _)| *n);
        cx.error_in(&codes::LIFECYCLE, site, culprit, message).help("use 'restart'");
    }
    if [off, reboot].contains(&Some(LifecycleAction::Preserve)) {
        let message =
            "'preserve' keeps a crashed guest for a look; with qemu it is no action for 'on_reboot' or 'on_poweroff'";
        let culprit = if off == Some(LifecycleAction::Preserve) { "on_poweroff" } else { "on_reboot" };
        cx.error_in(&codes::LIFECYCLE, site, culprit, message).help("'preserve' is possible for 'on_crash'");
    }
    if off == Some(LifecycleAction::Restart) && reboot == Some(LifecycleAction::Destroy) {
        let message = "a reboot is to 'destroy and a poweroff is to 'reboot' ('onPoweroff', 'onReboot'): the qemu driver has one action for both, so one has to give way";
        cx.error_in(&codes::LIFECYCLE, site, "on_reboot", message)
            .help("use 'restart' for both, or 'destroy' for both");
    }
}

/// What a clock needs, and what can be said of each timer.
fn timers(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(clock) = &domain.clock else { return };
    if let (Some(offset @ (ClockOffset::Utc | ClockOffset::Localtime)), Some(text)) = (clock.offset, &clock.adjustment)
        && text != "reset"
    {
        let message = format!("unknown clock adjustment '{text}' for offset='{offset}': expected 'reset' or seconds");
        cx.error_at(&codes::TIMER, clock.site, "adjustment", message);
    }
    let missing = match clock.offset {
        Some(offset @ ClockOffset::Timezone) if clock.timezone.is_none() => Some(("timezone", offset)),
        Some(offset @ ClockOffset::Absolute) if clock.start.is_none() => Some(("start", offset)),
        _ => None,
    };
    if let Some((attribute, offset)) = missing {
        let message = format!("<clock offset='{offset}'> needs '{attribute}', which is missing");
        cx.error_at(&codes::TIMER, clock.site, "offset", message);
    }
    for timer in &clock.timers {
        let Some(name) = timer.name else { continue };
        let paravirtual = matches!(name, TimerName::Kvmclock | TimerName::Hypervclock);
        let not_for = [
            ("tickpolicy", timer.tick_policy.is_some() && paravirtual),
            ("track", timer.track.is_some() && name != TimerName::Rtc),
            ("frequency", timer.frequency.is_some() && name != TimerName::Tsc),
            ("mode", timer.mode.is_some() && name != TimerName::Tsc),
        ];
        for (attribute, _) in not_for.iter().filter(|(_, wrong)| *wrong) {
            let message = format!("a timer with name='{name}' has no {attribute} to set");
            cx.error_at(&codes::TIMER, timer.site, attribute, message);
        }
        if timer.catchup.is_some() && timer.tick_policy != Some(TickPolicy::Catchup) {
            let message = "<catchup> policies of a timer have an effect with tickpolicy='catchup' only";
            cx.error(&codes::TIMER, timer.site, message);
        }
        match (name, timer.tick_policy, timer.track) {
            (TimerName::Pit, Some(policy @ TickPolicy::Merge), _) => {
                cx.error_at(
                    &codes::TIMER,
                    timer.site,
                    "tickpolicy",
                    format!("<timer name='pit'>: this timer knows no tickpolicy='{policy}'"),
                );
            }
            (TimerName::Rtc, Some(policy @ (TickPolicy::Merge | TickPolicy::Discard)), track)
                if track != Some(TimerTrack::Boot) =>
            {
                let message = format!("QEMU's rtc timer has no tickpolicy '{policy}'");
                cx.error_at(&codes::TIMER, timer.site, "tickpolicy", message);
            }
            (TimerName::Rtc, _, Some(track @ TimerTrack::Boot)) => {
                cx.error_at(&codes::TIMER, timer.site, "track", format!("QEMU's rtc timer cannot track '{track}'"));
            }
            _ => {}
        }
    }
}

/// Timers that the machine does not have.
fn clock(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    for timer in domain.clock.iter().flat_map(|c| &c.timers) {
        let Some(name) = timer.name else { continue };
        let x86 = machine.arch.is_x86();
        let possible = match name {
            TimerName::Platform => false,
            TimerName::Tsc | TimerName::Kvmclock | TimerName::Hypervclock => x86 || timer.present.is_none(),
            TimerName::Armvtimer => machine.arch.is_arm() && domain.kind() == DomainKind::Kvm,
            TimerName::Hpet if !x86 && timer.present.is_some_and(|p| p.is_yes()) => {
                let message = "<timer name='hpet'>: this architecture has no hpet";
                cx.error(&codes::TIMER, timer.site, message);
                true
            }
            TimerName::Rtc | TimerName::Pit | TimerName::Hpet => true,
        };
        let policy = timer.tick_policy.filter(|p| !matches!(p, TickPolicy::Delay | TickPolicy::Discard));
        if let (TimerName::Armvtimer, Some(policy)) = (name, policy) {
            let message =
                format!("the 'armvtimer' timer does not support tickpolicy='{policy}': it knows delay and discard");
            cx.error_at(&codes::TIMER, timer.site, "tickpolicy", message);
        }
        if !possible {
            let message = format!(
                "the '{name}' timer does not exist in a guest of virtType={}, arch={}, machine={}: it cannot be configured",
                domain.kind(),
                machine.arch,
                machine.name
            );
            cx.error(&codes::TIMER, timer.site, message);
        }
    }
}

/// Caches and widths of addresses.
fn cpu(cpu: &Cpu, cx: &mut Cx<'_>) {
    if cpu.migratable.is_some() && !matches!(cpu.mode(), CpuMode::HostPassthrough | CpuMode::Maximum) {
        let message = "migratable is about the host's own features: an attribute of a CPU in mode 'host-passthrough' or 'maximum'";
        cx.error_at(&codes::CPU, cpu.site, "migratable", message);
    }
    let passes = matches!(cpu.mode(), CpuMode::HostPassthrough | CpuMode::Maximum);
    if let Some(cache) = cpu.caches.first() {
        let message = match cache.mode {
            Some(CacheMode::Emulate) if cache.level != Some(3) => {
                Some("<cache mode='emulate'>: QEMU emulates the CPU cache of level='3', no other")
            }
            Some(CacheMode::Passthrough) if !passes => Some(
                "<cache mode='passthrough'> shows the host's CPU cache, for which the CPU has to be 'host-passthrough' or 'maximum'",
            ),
            Some(CacheMode::Passthrough) if cache.level.is_some() => {
                Some("<cache mode='passthrough'> shows all of the CPU cache: it takes no level")
            }
            Some(CacheMode::Disable) if cache.level.is_some() => {
                Some("<cache mode='disable'> hides all of the CPU cache: it takes no level")
            }
            _ => None,
        };
        if let Some(message) = message {
            cx.error(&codes::CPU, cache.site, message);
        }
    }
    if let Some(bits) = &cpu.maxphysaddr {
        let message = match bits.mode {
            Some(PhysAddrMode::Passthrough) if bits.bits.is_some() => Some(
                "the number of bits of the CPU's maximum physical address: its specification cannot be used with mode='passthrough'",
            ),
            Some(PhysAddrMode::Emulate) if bits.limit.is_some() => Some(
                "<maxphysaddr>: 'limit' bounds what the mode 'passthrough' lets through; with mode='emulate', bits says it",
            ),
            _ => None,
        };
        if let Some(message) = message {
            cx.error(&codes::CPU, bits.site, message);
        }
    }
    if let Some(vendor) = cpu.model.as_ref().and_then(|m| m.vendor_id.as_ref())
        && (vendor.len() != 12 || vendor.contains(','))
    {
        cx.error_at(
            &codes::CPU,
            cpu.model.as_ref().map_or(cpu.site, |m| m.site),
            "vendor_id",
            format!("vendor_id '{vendor}': CPUID has 12 characters for it, no fewer, no more, and no ','"),
        );
    }
    let mut seen = BTreeMap::new();
    for feature in &cpu.features {
        let first = *seen.entry(feature.name()).or_insert(feature.site);
        if first != feature.site {
            let message = format!(
                "two <feature> of the CPU have the name '{}'; specified twice, which policy holds?",
                feature.name()
            );
            let (one, two) = (cx.span(first), cx.span(feature.site));
            cx.twice(&codes::CPU, one, two, message).help("keep the one that is meant");
        }
    }
}

/// How much memory there is.
fn memory(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let site = domain.memory.as_ref().map(|m| m.amount.site).filter(|site| !site.is_none()).unwrap_or(domain.site);
    let total = domain.memory.as_ref().map_or(0, |m| m.amount.kib());
    let plugged = crate::stage::sizes::devices_kib(domain);
    if total > 0 && total <= plugged {
        let message =
            format!("<memory> counts the memory devices, too: they have {plugged} KiB, and it is only {total} KiB");
        cx.error(&codes::MEMORY, site, message)
            .help("write into <memory> what the guest has at the start and all memory devices together");
    } else if total == 0 {
        cx.error(&codes::MEMORY, site, "how much memory? Say it in <memory>, or in the cells of <numa>")
            .help("add <memory unit='GiB'>2</memory>");
    }
    let Some(max) = &domain.max_memory else { return };
    let mut fault = |message: &str, help: &str| {
        cx.error(&codes::MEMORY, max.amount.site, message).help(help);
    };
    if max.amount.kib() < total {
        fault(
            "<maxMemory> is smaller than the memory that the guest begins with",
            "raise it above <memory>, or remove it: it is for memory that is added later",
        );
    }
    let has_nodes = domain.cpu.as_ref().and_then(|c| c.numa.as_ref()).is_some_and(|n| !n.cells.is_empty());
    if !has_nodes && !machine.arch.is_ppc64() && !machine.arch.is_s390() {
        fault(
            "<maxMemory> (memory hotplug) needs a guest with NUMA: add one <cell> at least; none is configured",
            "write <cpu><numa><cell id='0' cpus='…' memory='…' unit='KiB'/></numa></cpu> with all CPUs and the memory of the guest, \
             or remove <maxMemory>",
        );
    }
}

/// Sizes and nodes of huge pages.
fn huge_pages(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(huge) = domain.memory_backing.as_ref().and_then(|b| b.hugepages.as_ref()) else { return };
    let cells = domain.cpu.as_ref().and_then(|c| c.numa.as_ref()).map_or(0, |n| n.cells.len() as u32);
    // Without guest nodes, all memory is that of node 0; what is said of it is said of all.
    let master =
        |p: &&crate::domain::memory::HugePage| p.nodeset.as_ref().is_none_or(|set| cells == 0 && set.iter().eq([0]));
    let mut masters = huge.pages.iter().filter(master);
    if let (Some(first), Some(second)) = (masters.next(), masters.next()) {
        let message = format!(
            "<hugepages> has two entries without a nodeset, so two master sizes: {} and {} KiB",
            first.size.kib(),
            second.size.kib()
        );
        cx.error(&codes::HUGE_PAGES, second.site, message).help("name the nodes of all but one size with nodeset='…'");
    }
    for page in &huge.pages {
        let absent = page.nodeset.iter().flat_map(|s| s.iter()).find(|n| *n >= cells.max(1));
        if let Some(node) = absent {
            cx.error(
                &codes::HUGE_PAGES,
                page.site,
                format!(
                    "<page nodeset> of <hugepages> names node {node}, and the guest has none of that number: not found"
                ),
            );
        }
    }
}

/// Placement of memory.
fn numatune(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(tune) = &domain.numatune else { return };
    let ids: Vec<u32> = domain.cpu.iter().flat_map(|c| &c.numa).flat_map(|n| &n.cells).filter_map(|c| c.id).collect();
    let memory = tune.memory.as_ref();
    if let Some(memory) = memory
        && memory.placement != Some(Placement::Auto)
        && memory.nodeset.is_none()
    {
        let message = "<memory placement='static'> in <numatune> needs a nodeset: the host's NUMA nodes";
        cx.error(&codes::NUMATUNE, memory.site, message);
    }
    if let Some(first) = tune.memnodes.first() {
        if ids.is_empty() {
            cx.error(
                &codes::NUMATUNE,
                first.site,
                "a <memnode> is about a guest NUMA cell, and the guest has no cells",
            );
            return;
        }
        if memory.is_some_and(|m| m.placement == Some(Placement::Auto)) {
            let message =
                "<memnode> binds memory per-node, while placement='auto' leaves NUMA placement to an automatic choice";
            cx.error(&codes::NUMATUNE, first.site, message);
        }
    }
    let mut seen = BTreeSet::new();
    for node in &tune.memnodes {
        let Some(id) = node.cellid else { continue };
        if !ids.contains(&id) {
            cx.error(&codes::NUMATUNE, node.site, format!("argument 'cellid' in <memnode> has no NUMA cell: {id}"));
        }
        if !seen.insert(id) {
            cx.error(&codes::NUMATUNE, node.site, format!("two <memnode> are about cellid {id}"));
        }
        let of_memory = memory.and_then(|m| m.mode);
        let restrictive = Some(NumaMode::Restrictive);
        if node.mode == restrictive && of_memory != restrictive {
            let message =
                "a <memnode> has the mode 'restrictive': then <memory> of <numatune> is required to have it, too";
            cx.error(&codes::NUMATUNE, node.site, message);
        } else if of_memory == restrictive && node.mode != restrictive {
            let message =
                "<memory> of <numatune> has the mode 'restrictive': then each <memnode> is required to have it, too";
            cx.error(&codes::NUMATUNE, node.site, message);
        }
    }
}
