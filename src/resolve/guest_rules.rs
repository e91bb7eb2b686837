//! Checks of everything that is not a device.

use super::{Cx, Machine};
use crate::diag::codes::machine as codes;
use crate::domain::clock::{ClockOffset, TickPolicy, TimerName, TimerTrack};
use crate::domain::cpu::{CacheMode, Cpu, CpuMode, PhysAddrMode};
use crate::domain::general::{CrashAction, LifecycleAction};
use crate::domain::tuning::NumaMode;
use crate::domain::vcpu::Placement;
use crate::domain::{Domain, DomainKind};
use crate::vocab::YesNo;
use std::collections::BTreeSet;

/// Checks the domain after all defaults are filled in.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    super::feature_rules::check(domain, machine, cx);
    super::os_rules::check(domain, machine, cx);
    boot(domain, cx);
    lifecycle(domain, cx);
    clock(domain, machine, cx);
    timers(domain, cx);
    if let Some(cpu) = &domain.cpu {
        self::cpu(cpu, cx);
        numa(domain, cpu, cx);
    }
    super::vcpu_rules::check(domain, machine, cx);
    memory(domain, machine, cx);
    huge_pages(domain, cx);
    numatune(domain, cx);
    super::tuning_rules::check(domain, cx);
}

/// Boot menu, boot order, boot parameters.
fn boot(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(os) = &domain.os else { return };
    if let Some(menu) = &os.bootmenu
        && menu.timeout.is_some_and(|t| t > 65535)
    {
        let message = "invalid value for the timeout of the boot menu: it must be in the range [0,65535]";
        cx.error_at(&codes::BOOT, menu.site, "timeout", message);
    }
    if let Some(bios) = &os.bios
        && bios.reboot_timeout.is_some_and(|t| !(-1..=65535).contains(&t))
    {
        let message = "invalid value for rebootTimeout: it must be in the range [-1,65535]";
        cx.error_at(&codes::BOOT, bios.site, "rebootTimeout", message);
    }
    let own_order = os.boot.iter().any(|b| !b.site.is_none());
    let mut faults = Vec::new();
    if let Some(devices) = &domain.devices {
        devices.each(&mut |device| {
            if let Some(rom) = &device.info().rom
                && rom.enabled == Some(YesNo::No)
                && (rom.bar.is_some() || rom.file.is_some())
            {
                faults.push((rom.site, "ROM tuning is not supported when the ROM is disabled".to_string()));
            }
            let Some(boot) = &device.info().boot else { return };
            if own_order {
                let message = "per-device <boot> elements cannot be used together with <boot> elements of <os>";
                faults.push((boot.site, message.to_string()));
            }
            if boot.order == Some(0) {
                faults.push((
                    boot.site,
                    "invalid value for the attribute 'order' in the element 'boot': zero is not permitted".to_string(),
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
                let message = format!("loadparm value '{loadparm}' must be between 1 and 8 characters");
                faults.push((boot.site, message));
            } else if !loadparm.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ' ')) {
                let allowed = "expecting chars in the set of [a-zA-Z0-9.] and blank spaces";
                faults.push((boot.site, format!("invalid loadparm value '{loadparm}', {allowed}")));
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
        let message =
            "the qemu driver doesn't support the 'rename-restart' action for 'on_reboot'/'on_poweroff'/'on_crash'";
        cx.error(&codes::LIFECYCLE, site, message);
    }
    if [off, reboot].contains(&Some(LifecycleAction::Preserve)) {
        let message = "the qemu driver doesn't support the 'preserve' action for 'on_reboot'/'on_poweroff'";
        cx.error(&codes::LIFECYCLE, site, message).help("'preserve' is possible for 'on_crash'");
    }
    if off == Some(LifecycleAction::Restart) && reboot == Some(LifecycleAction::Destroy) {
        let message = "the qemu driver doesn't support 'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot': one of them has to give way";
        cx.error(&codes::LIFECYCLE, site, message);
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
        let message = format!("missing '{attribute}' attribute for a clock with offset='{offset}'");
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
            let message = format!("the timer {name} doesn't support setting of the timer {attribute}");
            cx.error_at(&codes::TIMER, timer.site, attribute, message);
        }
        if timer.catchup.is_some() && timer.tick_policy != Some(TickPolicy::Catchup) {
            let message = "setting of timer catchup policies is only supported with tickpolicy='catchup'";
            cx.error(&codes::TIMER, timer.site, message);
        }
        match (name, timer.tick_policy, timer.track) {
            (TimerName::Pit, Some(policy @ TickPolicy::Merge), _) => {
                cx.error_at(&codes::TIMER, timer.site, "tickpolicy", format!("unsupported pit tickpolicy '{policy}'"));
            }
            (TimerName::Rtc, Some(policy @ (TickPolicy::Merge | TickPolicy::Discard)), track)
                if track != Some(TimerTrack::Boot) =>
            {
                let message = format!("unsupported rtc timer tickpolicy '{policy}'");
                cx.error_at(&codes::TIMER, timer.site, "tickpolicy", message);
            }
            (TimerName::Rtc, _, Some(track @ TimerTrack::Boot)) => {
                cx.error_at(&codes::TIMER, timer.site, "track", format!("unsupported rtc timer track '{track}'"));
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
                let message = "the hpet timer is not supported by this architecture";
                cx.error(&codes::TIMER, timer.site, message);
                true
            }
            TimerName::Rtc | TimerName::Pit | TimerName::Hpet => true,
        };
        if !possible {
            let message = format!(
                "configuring the '{name}' timer is not supported for virtType={} arch={} machine={} guests",
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
        let message = "the attribute migratable is only allowed for the CPU modes 'host-passthrough' / 'maximum'";
        cx.error_at(&codes::CPU, cpu.site, "migratable", message);
    }
    if cpu.vendor.is_some() && !cpu.names_a_cpu() {
        cx.error(&codes::CPU, cpu.site, "a CPU vendor is specified without a CPU model");
    }
    let passes = matches!(cpu.mode(), CpuMode::HostPassthrough | CpuMode::Maximum);
    if let Some(cache) = cpu.caches.first() {
        let message = match cache.mode {
            Some(CacheMode::Emulate) if cache.level != Some(3) => {
                Some("CPU cache mode 'emulate' can only be used with level='3'")
            }
            Some(CacheMode::Passthrough) if !passes => {
                Some("CPU cache mode 'passthrough' can only be used with 'host-passthrough' / 'maximum' CPUs")
            }
            Some(CacheMode::Passthrough) if cache.level.is_some() => {
                Some("unsupported level of the CPU cache for mode 'passthrough'")
            }
            Some(CacheMode::Disable) if cache.level.is_some() => {
                Some("unsupported level of the CPU cache for mode 'disable'")
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
            Some(PhysAddrMode::Passthrough) if cpu.mode() != CpuMode::HostPassthrough => {
                Some("the maximum physical address of the CPU can be passed through only with a 'host-passthrough' CPU")
            }
            Some(PhysAddrMode::Emulate) if bits.limit.is_some() => {
                Some("the limit of the CPU's maximum physical address cannot be used with mode='emulate'")
            }
            _ => None,
        };
        if let Some(message) = message {
            cx.error(&codes::CPU, bits.site, message);
        }
    }
    if let Some(vendor) = cpu.model.as_ref().and_then(|m| m.vendor_id.as_ref())
        && (vendor.len() != 12 || vendor.contains(','))
    {
        cx.error(&codes::CPU, cpu.site, format!("vendor_id '{vendor}' must have exactly 12 characters, and no ','"));
    }
    let mut seen = BTreeSet::new();
    for feature in &cpu.features {
        if !seen.insert(feature.name()) {
            let message = format!("CPU feature '{}' is specified more than once", feature.name());
            cx.error(&codes::CPU, feature.site, message);
        }
    }
}

/// Guest nodes.
fn numa(domain: &Domain, cpu: &Cpu, cx: &mut Cx<'_>) {
    let Some(numa) = &cpu.numa else { return };
    let ids: BTreeSet<u32> = numa.cells.iter().filter_map(|c| c.id).collect();
    if ids.len() != numa.cells.len() || ids.iter().next_back().is_some_and(|last| *last as usize >= numa.cells.len()) {
        cx.error(&codes::NUMA, numa.site, "the NUMA cells need exactly one 'cell' element per guest node: ids count up from 0, without gaps (non-contiguous ranges are not allowed)");
    }
    let count = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1);
    let mut taken = BTreeSet::new();
    for cell in &numa.cells {
        let id = cell.id.unwrap_or(0);
        for sibling in &cell.distances {
            let Some(other) = sibling.id else { continue };
            if !ids.contains(&other) {
                let message = format!("'sibling_id {other}' does not refer to a valid cell within NUMA 'cell id {id}'");
                cx.error(&codes::NUMA, sibling.site, message);
            }
            let value = sibling.value.unwrap_or(0);
            if !(10..=255).contains(&value) || ((other == id) != (value == 10)) {
                let message = format!(
                    "distance {value} from NUMA cell {id} to {other}: 10 stands for itself, others have 11 to 255"
                );
                cx.error(&codes::NUMA, sibling.site, message);
            }
        }
        for number in cell.cpus.iter().flat_map(|s| s.iter()) {
            if !taken.insert(number) {
                let message = format!("NUMA cells must have disjoint vCPU ids: {number} is in two");
                cx.error(&codes::NUMA, cell.site, message);
                break;
            }
        }
    }
    if taken.iter().next_back().is_some_and(|last| *last >= count) {
        let message = format!("number of CPUs in <numa> exceeds the number of vCPUs, {count}");
        cx.error(&codes::NUMA, numa.site, message);
    }
}

/// How much memory there is.
fn memory(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let site = domain.memory.as_ref().map_or(domain.site, |m| m.amount.site);
    let total = domain.memory.as_ref().map_or(0, |m| m.amount.kib());
    if total.saturating_sub(super::memory::devices_kib(domain)) == 0 {
        cx.error(&codes::MEMORY, site, "the memory size must be specified via <memory> or in the <numa> configuration");
    }
    let Some(max) = &domain.max_memory else { return };
    let mut fault = |message: &str| {
        cx.error(&codes::MEMORY, max.amount.site, message);
    };
    if max.amount.kib() < total {
        fault("the maximum memory size must be equal to or greater than the actual memory size");
    }
    let has_nodes = domain.cpu.as_ref().and_then(|c| c.numa.as_ref()).is_some_and(|n| !n.cells.is_empty());
    if !has_nodes && !machine.arch.is_ppc64() {
        fault("at least one NUMA node has to be configured when enabling memory hotplug");
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
        let message = format!("two master hugepages detected: {} and {}", first.size.kib(), second.size.kib());
        cx.error(&codes::HUGE_PAGES, second.site, message).help("name the nodes of all but one size with nodeset='…'");
    }
    for page in &huge.pages {
        let absent = page.nodeset.iter().flat_map(|s| s.iter()).find(|n| *n >= cells.max(1));
        if let Some(node) = absent {
            cx.error(&codes::HUGE_PAGES, page.site, format!("hugepages: the guest's node {node} is not found"));
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
        let message = "the nodeset for NUMA memory tuning must be set if 'placement' is 'static'";
        cx.error(&codes::NUMATUNE, memory.site, message);
    }
    if let Some(first) = tune.memnodes.first() {
        if ids.is_empty() {
            cx.error(&codes::NUMATUNE, first.site, "the element 'memnode' is invalid without any guest NUMA cells");
            return;
        }
        if memory.is_some_and(|m| m.placement == Some(Placement::Auto)) {
            let message = "per-node binding is not compatible with automatic NUMA placement";
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
            cx.error(&codes::NUMATUNE, node.site, format!("multiple <memnode> elements with cellid {id}"));
        }
        let of_memory = memory.and_then(|m| m.mode);
        let restrictive = Some(NumaMode::Restrictive);
        if node.mode == restrictive && of_memory != restrictive {
            let message = "'restrictive' mode is required in the memory element when mode is 'restrictive' in the memnode element";
            cx.error(&codes::NUMATUNE, node.site, message);
        } else if of_memory == restrictive && node.mode != restrictive {
            let message = "'restrictive' mode is required in the memnode element when mode is 'restrictive' in the memory element";
            cx.error(&codes::NUMATUNE, node.site, message);
        }
    }
}
