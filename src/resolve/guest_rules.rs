//! Checks of everything that is not a device.

use super::{Board, Cx, Machine};
use crate::caps::Cap;
use crate::diag::codes::machine as codes;
use crate::domain::clock::{ClockOffset, TickPolicy, TimerName, TimerTrack};
use crate::domain::cpu::{CacheMode, Cpu, CpuMode, PhysAddrMode};
use crate::domain::features::Features;
use crate::domain::general::{CrashAction, LifecycleAction};
use crate::domain::os::{FirmwareKind, LoaderKind, Os};
use crate::domain::tuning::NumaMode;
use crate::domain::vcpu::{OneVcpu, Placement};
use crate::domain::{Domain, DomainKind};
use crate::vocab::YesNo;
use std::collections::BTreeSet;

/// Checks the domain after all defaults are filled in.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if let Some(f) = &domain.features {
        features(f, domain, machine, cx);
    }
    boot(domain, cx);
    lifecycle(domain, cx);
    clock(domain, machine, cx);
    timers(domain, cx);
    if let Some(cpu) = &domain.cpu {
        self::cpu(cpu, cx);
        numa(domain, cpu, cx);
    }
    vcpus(domain, machine, cx);
    memory(domain, machine, cx);
    huge_pages(domain, cx);
    numatune(domain, cx);
    tuning(domain, cx);
    smbios(domain, cx);
}

/// Features that the machine, or this QEMU, does not have.
fn features(f: &Features, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let site = f.site;
    let pseries = machine.board == Board::Pseries;
    let arm_virt = machine.board == Board::Virt && machine.arch.is_arm();
    let riscv_virt = machine.board == Board::Virt && machine.arch.is_riscv();
    let x86 = machine.arch.is_x86();
    let where_it_is = [
        ("hpt", f.hpt.is_some(), pseries),
        ("htm", f.htm.is_some(), pseries),
        ("nested-hv", f.nested_hv.is_some(), pseries),
        ("ccf-assist", f.ccf_assist.is_some(), pseries),
        ("cfpc", f.cfpc.is_some(), pseries),
        ("sbbc", f.sbbc.is_some(), pseries),
        ("ibs", f.ibs.is_some(), pseries),
        ("gic", f.gic.is_some(), arm_virt),
        ("ras", f.ras.is_some(), arm_virt),
        ("aia", f.aia.is_some(), riscv_virt),
        ("vmport", f.vmport.is_some(), x86),
        ("smm", f.smm.is_some(), x86),
        ("ps2", f.ps2.is_some(), x86),
        ("ioapic", f.ioapic.is_some(), x86),
        ("async-teardown", f.async_teardown.is_some(), machine.arch.is_s390() || x86),
    ];
    // Whether a machine has ACPI stands in the capabilities; older ones do not say.
    let of_machine = cx.env.caps.accel(machine.accel).and_then(|a| a.machines.iter().find(|m| m.name == machine.name));
    let acpi = of_machine.and_then(|m| m.acpi).unwrap_or(!machine.arch.is_s390());
    let mut fault = |message: String| {
        cx.error(&codes::FEATURE, site, message);
    };
    if f.acpi && !acpi {
        fault(format!("<acpi/> is set, and the machine type '{}' has no ACPI", machine.name));
    }
    for (name, is_there, possible) in where_it_is {
        if is_there && !possible {
            fault(format!(
                "<features>: '{name}' does not exist on the architecture '{}' with the machine type '{}'",
                machine.arch, machine.name
            ));
        }
    }
    if f.acpi && machine.arch == crate::vocab::Arch::Aarch64 && machine.board == Board::Virt && !has_uefi(domain) {
        fault("<acpi/> on this architecture comes from UEFI: choose such firmware".to_string());
    }
    let ps2_off = f.ps2.as_ref().is_some_and(|p| !p.is_on());
    if ps2_off && f.vmport.as_ref().is_some_and(|v| v.is_on()) {
        fault("<vmport> works through the ps2 controller, and the ps2 feature is disabled".to_string());
    }
    if let Some(tseg) = f.smm.as_ref().and_then(|s| s.tseg.as_ref()) {
        if machine.board != Board::Q35 {
            fault("<tseg> belongs to SMM of the q35 machine type, no other has it".to_string());
        } else if !tseg.size.0.is_multiple_of(1 << 20) {
            fault("<tseg> of SMM: the size is counted in whole MiB".to_string());
        }
    }
    if let Some(spinlocks) = f.hyperv.as_ref().and_then(|h| h.spinlocks.as_ref())
        && spinlocks.switch.is_on()
        && spinlocks.retries.unwrap_or(0) < 0xfff
    {
        fault("<spinlocks retries>: Hyper-V guests take a count of 4095 or more".to_string());
    }
    if let Some(vendor) = f.hyperv.as_ref().and_then(|h| h.vendor_id.as_ref())
        && vendor.switch.is_on()
        && vendor.value.as_ref().is_none_or(|v| v.len() > 12 || v.contains(','))
    {
        fault("the hyperv vendor_id has at most 12 characters, and no ','".to_string());
    }
    if f.ps2.is_some() && x86 && !cx.has(Cap::MachineI8042Opt) {
        cx.error(&codes::FEATURE, site, "<ps2>: this QEMU binary always has its ps2 controller, no state can be set");
    }
    if ps2_off {
        let devices = domain.devices.as_ref();
        let inputs = devices.map_or(&[][..], |d| &d.inputs);
        if let Some(input) = inputs.iter().find(|i| i.bus == Some(crate::device::input::InputBus::Ps2)) {
            let message = "there are inputs on the ps2 bus, and the ps2 feature is disabled";
            cx.error(&codes::FEATURE, input.site, message);
        }
    }
}

/// Whether the guest begins in UEFI.
fn has_uefi(domain: &Domain) -> bool {
    let is_uefi = |os: &Os| {
        os.firmware == Some(FirmwareKind::Efi)
            || os.loader.as_ref().is_some_and(|l| l.kind == Some(LoaderKind::Pflash) && l.path.is_some())
    };
    domain.os.as_ref().is_some_and(is_uefi)
}

/// Boot menu, boot order, boot parameters.
fn boot(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(os) = &domain.os else { return };
    if let Some(menu) = &os.bootmenu
        && menu.timeout.is_some_and(|t| t > 65535)
    {
        let message = "<bootmenu timeout>: the menu can be shown for 0 to 65535 milliseconds";
        cx.error_at(&codes::BOOT, menu.site, "timeout", message);
    }
    if let Some(bios) = &os.bios
        && bios.reboot_timeout.is_some_and(|t| !(-1..=65535).contains(&t))
    {
        let message = "<bios rebootTimeout>: a value from 0 to 65535 milliseconds, or -1 for none";
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
                faults.push((
                    rom.site,
                    "<rom enabled='no'> leaves nothing to tune: remove the other settings of the ROM".to_string(),
                ));
            }
            let Some(boot) = &device.info().boot else { return };
            if own_order {
                let message = "both <boot dev> in <os> and <boot order> in devices are given: use one way";
                faults.push((boot.site, message.to_string()));
            }
            if boot.order == Some(0) {
                faults.push((boot.site, "<boot>: 'order' counts from 1, zero has no meaning".to_string()));
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
        cx.error(&codes::LIFECYCLE, site, message);
    }
    if [off, reboot].contains(&Some(LifecycleAction::Preserve)) {
        let message =
            "'preserve' keeps a crashed guest for a look; with qemu it is no action for 'on_reboot' or 'on_poweroff'";
        cx.error(&codes::LIFECYCLE, site, message).help("'preserve' is possible for 'on_crash'");
    }
    if off == Some(LifecycleAction::Restart) && reboot == Some(LifecycleAction::Destroy) {
        let message = "a reboot is to 'destroy and a poweroff is to 'reboot' ('onPoweroff', 'onReboot'): the qemu driver has one action for both, so one has to give way";
        cx.error(&codes::LIFECYCLE, site, message);
    }
}

/// What a clock needs, and what can be said of each timer.
fn timers(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(clock) = &domain.clock else { return };
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
                cx.error_at(&codes::TIMER, timer.site, "tickpolicy", format!("unsupported pit tickpolicy '{policy}'"));
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
            TimerName::Tsc | TimerName::Kvmclock | TimerName::Hypervclock => x86,
            TimerName::Armvtimer => machine.arch.is_arm() && domain.kind() == DomainKind::Kvm,
            TimerName::Rtc | TimerName::Pit | TimerName::Hpet => true,
        };
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
    if cpu.vendor.is_some() && !cpu.names_a_cpu() {
        cx.error(&codes::CPU, cpu.site, "<vendor> restricts a CPU <model>, and none is specified");
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
            Some(PhysAddrMode::Passthrough) if cpu.mode() != CpuMode::HostPassthrough => {
                Some("the maximum physical address of the CPU can be passed through only with a 'host-passthrough' CPU")
            }
            Some(PhysAddrMode::Emulate) if bits.limit.is_some() => {
                Some("<maxphysaddr limit> bounds what is passed through; with mode='emulate', bits says it")
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
        cx.error(
            &codes::CPU,
            cpu.site,
            format!("vendor_id '{vendor}': CPUID has 12 characters for it, no fewer, no more, and no ','"),
        );
    }
    let mut seen = BTreeSet::new();
    for feature in &cpu.features {
        if !seen.insert(feature.name()) {
            let message = format!(
                "two <feature> of the CPU have the name '{}'; specified twice, which policy holds?",
                feature.name()
            );
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
                let message = format!(
                    "the distances of NUMA 'cell id {id}' name 'sibling_id {other}', and no <cell> has that id"
                );
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
        let message = format!("the cells of <numa> have more CPUs than <vcpu> counts: {count}");
        cx.error(&codes::NUMA, numa.site, message);
    }
}

/// How many CPUs there are.
fn vcpus(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(vcpu) = &domain.vcpu else { return };
    let count = vcpu.count.unwrap_or(1);
    let mut fault = |message: String| {
        cx.error(&codes::VCPUS, vcpu.site, message);
    };
    if count == 0 {
        return fault("the number of vCPUs must be greater than 0".to_string());
    }
    if let Some(current) = vcpu.current
        && (current > count || current == 0)
    {
        fault(format!("current vCPUs ({current}) must be at least 1 and at most the maximum ({count})"));
    }
    let topology = domain.cpu.as_ref().and_then(|c| c.topology.as_ref());
    if let Some(topology) = topology
        && topology.cpus() != u64::from(count)
    {
        fault(format!(
            "<topology> makes {} CPUs, and the maximum of <vcpu> is a count of {count}: they don't match",
            topology.cpus()
        ));
    }
    if machine.board == Board::Pseries {
        let granularity = topology.map_or(1, |t| t.threads()).max(1);
        let current = vcpu.current.unwrap_or(count);
        if !count.is_multiple_of(granularity) || !current.is_multiple_of(granularity) {
            fault(format!(
                "<vcpu>: vCPUs of this machine come in groups of {granularity} (hotplug granularity), and the count is no multiple of it"
            ));
        } else {
            granules(&domain.vcpus, granularity, &mut fault);
        }
    }
    let max = cx.env.caps.machine(machine.accel, &machine.name).map_or(0, |m| m.max_cpus);
    if max > 0 && count > max {
        let message = format!(
            "the machine type '{}' takes {max} CPUs as its maximum limit, and {count} is greater",
            machine.name
        );
        cx.error(&codes::VCPUS, vcpu.site, message);
    }
}

/// CPUs of one core are plugged in together.
fn granules(vcpus: &[OneVcpu], granularity: u32, fault: &mut dyn FnMut(String)) {
    for one in vcpus {
        let core = one.id.unwrap_or(0) / granularity;
        let differs = |v: &&OneVcpu| {
            v.id.unwrap_or(0) / granularity == core && (v.enabled != one.enabled || v.hotpluggable != one.hotpluggable)
        };
        if vcpus.iter().find(differs).is_some() {
            fault(format!(
                "vCPUs of a group of {granularity}, the vCPU hotplug granularity, must agree in 'enabled' and 'hotpluggable'"
            ));
            return;
        }
    }
}

/// How much memory there is.
fn memory(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let site = domain.memory.as_ref().map_or(domain.site, |m| m.amount.site);
    let total = domain.memory.as_ref().map_or(0, |m| m.amount.kib());
    if total.saturating_sub(super::memory::devices_kib(domain)) == 0 {
        cx.error(&codes::MEMORY, site, "how much memory? Say it in <memory>, or in the cells of <numa>");
    }
    let Some(max) = &domain.max_memory else { return };
    let mut fault = |message: &str| {
        cx.error(&codes::MEMORY, max.amount.site, message);
    };
    if max.amount.kib() < total {
        fault("<maxMemory> is smaller than the memory that the guest begins with");
    }
    let has_nodes = domain.cpu.as_ref().and_then(|c| c.numa.as_ref()).is_some_and(|n| !n.cells.is_empty());
    if !has_nodes && !machine.arch.is_ppc64() {
        fault("<maxMemory> (memory hotplug) needs a guest with NUMA: add one <cell> at least; none is configured");
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
        && memory.placement == Some(Placement::Static)
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
        if node.mode == restrictive && of_memory.is_some() && of_memory != restrictive {
            let message =
                "<memnode> has the mode 'restrictive': then <memory> of <numatune> is required to have it, too";
            cx.error(&codes::NUMATUNE, node.site, message);
        } else if of_memory == restrictive && node.mode != restrictive {
            let message =
                "<memory> of <numatune> has the mode 'restrictive': then each <memnode> is required to have it, too";
            cx.error(&codes::NUMATUNE, node.site, message);
        }
    }
}

/// Pins and schedules.
fn tuning(domain: &Domain, cx: &mut Cx<'_>) {
    let mut ids = BTreeSet::new();
    for thread in &domain.all_iothreads {
        if !ids.insert(thread.id) {
            let id = thread.id.unwrap_or(0);
            cx.error(
                &codes::IOTHREAD,
                thread.site,
                format!("<iothreadids>: two threads have the id '{id}' (duplicate iothread)"),
            );
        }
        if let (Some(min), Some(max)) = (thread.thread_pool_min, thread.thread_pool_max)
            && min > max
        {
            let message = format!("thread_pool_min ({min}) is above thread_pool_max ({max})");
            cx.error(&codes::IOTHREAD, thread.site, message);
        }
    }
    if let Some(main) = &domain.default_iothread
        && let (Some(min), Some(max)) = (main.thread_pool_min, main.thread_pool_max)
        && min > max
    {
        let message = format!("thread_pool_min ({min}) is above thread_pool_max ({max})");
        cx.error(&codes::IOTHREAD, main.site, message);
    }
    let Some(tune) = &domain.cputune else { return };
    if let Some(shares) = tune.shares
        && shares != 0
        && !(2..=262_144).contains(&shares)
    {
        cx.error(
            &codes::TUNING,
            tune.site,
            format!("<cputune>: 'shares' is a weight from 2 to 262144, and {shares} is none"),
        );
    }
    let periods = [
        ("period", tune.period),
        ("global_period", tune.global_period),
        ("emulator_period", tune.emulator_period),
        ("iothread_period", tune.iothread_period),
    ];
    for (name, period) in periods {
        if period.is_some_and(|p| p != 0 && !(1000..=1_000_000).contains(&p)) {
            cx.error(
                &codes::TUNING,
                tune.site,
                format!("<cputune>: '{name}' is a value from 1000 to 1000000 microseconds"),
            );
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
            cx.error(&codes::TUNING, tune.site, message);
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
                cx.error(&codes::IOTHREAD, sched.site, format!("cannot find 'iothread' : {number}"));
            }
        }
    }
    for pin in &tune.iothreadpins {
        let number = pin.iothread.unwrap_or(0);
        if !ids.contains(&pin.iothread) {
            cx.error(&codes::IOTHREAD, pin.site, format!("cannot find 'iothread' : {number}"));
        }
    }
    let mut seen = BTreeSet::new();
    for pin in &tune.vcpupins {
        if !seen.insert(pin.vcpu) {
            let number = pin.vcpu.unwrap_or(0);
            cx.error(&codes::TUNING, pin.site, format!("vcpu '{number}' has a second <vcpupin> (duplicate)"));
        }
    }
}

/// Values of SMBIOS.
fn smbios(domain: &Domain, cx: &mut Cx<'_>) {
    for info in &domain.sysinfo {
        if let Some(bios) = &info.bios
            && let Some(date) = bios.get("date")
            && !is_date(date)
        {
            cx.error(&codes::SMBIOS, bios.site, format!("invalid format of the BIOS 'date': {date}"))
                .help("write month/day/year: 04/30/2013");
        }
        let uuid = info.system.as_ref().and_then(|s| s.get("uuid"));
        if let Some(text) = uuid
            && let Some(system) = &info.system
        {
            use crate::vocab::{Uuid, Value};
            match Uuid::parse(text) {
                Err(_) => {
                    cx.error(&codes::SMBIOS, system.site, format!("malformed <sysinfo> uuid '{text}'"));
                }
                Ok(uuid) if Some(uuid) != domain.uuid => {
                    let message =
                        format!("<sysinfo> gives the guest another UUID than the domain's <uuid>: '{uuid}' (mismatch)");
                    cx.error(&codes::SMBIOS, system.site, message);
                }
                Ok(_) => {}
            }
        }
    }
}

/// Whether it is `mm/dd/yyyy`, or with a year of two digits.
fn is_date(text: &str) -> bool {
    let number = |text: &str, digits: &[usize]| {
        if digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse::<u32>().ok()
        } else {
            None
        }
    };
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|m| number(m, &[1, 2])).is_some_and(|m| (1..=12).contains(&m));
    let day = day.and_then(|d| number(d, &[1, 2])).is_some_and(|d| (1..=31).contains(&d));
    let year = year.is_some_and(|y| match y.len() {
        2 => number(y, &[2]).is_some(),
        _ => number(y, &[4]).is_some_and(|y| y >= 1900),
    });
    month && day && year && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn dates_of_a_bios() {
        for (text, valid) in
            [("04/30/2013", true), ("4/3/13", true), ("2013-04-30", false), ("13/01/2013", false), ("01/02", false)]
        {
            assert_eq!(is_date(text), valid, "{text}");
        }
    }
}
