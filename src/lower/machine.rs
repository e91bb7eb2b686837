//! `-machine`, `-accel` and what else belongs to the machine as a whole.

use crate::caps::Cap;
use crate::device::controller::ControllerModel;
use crate::device::memory::MemoryModel;
use crate::diag::codes::machine as codes;
use crate::domain::DomainKind;
use crate::domain::cpu::CpuMode;
use crate::domain::features::{Features, GicVersion, IoapicDriver, Switch};
use crate::host::Seccomp;
use crate::plan::{Arg, Need, Props, Use};
use crate::stage::Board;
use crate::stage::Grant;
use crate::stage::Lower;
use crate::stage::Quirk;
use crate::vocab::{Arch, OnOff, YesNo};

/// `-compat`: what QEMU does about deprecated things, if the XML or the host says.
pub fn compat(lx: &mut Lower<'_>) {
    use crate::host::Deprecation;
    let behavior = match lx.domain.qemu.deprecation.as_deref() {
        Some("none") => return,
        Some("omit") => Deprecation::Omit,
        Some("reject") => Deprecation::Reject,
        Some("crash") => Deprecation::Crash,
        _ => lx.env.host.instance.deprecation_behavior,
    };
    let (output, input) = match behavior {
        Deprecation::None => return,
        Deprecation::Omit => ("hide", "accept"),
        Deprecation::Reject => ("hide", "reject"),
        Deprecation::Crash => ("hide", "crash"),
    };
    let mut props = Props::with("deprecated-output", output);
    props.set("deprecated-input", input);
    let site = lx.domain.site;
    lx.json("-compat", props, site, "qemu:deprecation");
}

/// `-name`
pub fn name(lx: &mut Lower<'_>) {
    let mut props = Props::with("guest", lx.domain.name().to_string());
    if lx.env.host.process.set_process_name {
        props.set("process", format!("qemu:{}", lx.domain.name()));
    }
    // Threads have names by themselves since QEMU 11.0, and the option is deprecated.
    if lx.env.has_parent() || !lx.env.caps.at_least(11, 0) {
        props.set("debug-threads", true);
    }
    let site = lx.domain.site;
    lx.options("-name", props, site, "name");
}

/// The master key under which libvirt encrypts secrets.
pub fn master_key(lx: &mut Lower<'_>) {
    if lx.env.has_parent() {
        let mut props = Props::with("qom-type", "secret");
        props.set("id", "masterKey0").set("format", "raw").set("file", format!("{}/master-key.aes", lx.paths.lib));
        let site = lx.domain.site;
        lx.object(props, site, "default: master key");
    }
}

/// `-machine`
pub fn machine(lx: &mut Lower<'_>) {
    let mut props = Props::new();
    props.bare(lx.machine.name.clone()).set("usb", false);
    let features = lx.domain.features.as_ref();
    switch(&mut props, "vmport", features.and_then(|f| f.vmport.as_ref()));
    switch(&mut props, "smm", features.and_then(|f| f.smm.as_ref()).map(|s| &s.switch));
    key_wrapping(lx, &mut props);
    if let Some(features) = features {
        of_features(lx, features, &mut props);
    }
    let whole = |i: &crate::device::iommu::Iommu| i.driver.as_ref().is_none_or(|d| d.pci_bus.is_none());
    if lx.devices.iommus.iter().any(|i| i.model == Some(crate::device::iommu::IommuModel::Smmuv3) && whole(i)) {
        props.set("iommu", "smmuv3");
    }
    of_memory(lx, &mut props);
    if let Some(cpu) = lx.domain.cpu.as_ref().filter(|c| c.mode() == CpuMode::HostModel && lx.machine.arch.is_ppc64()) {
        props.maybe("max-cpu-compat", cpu.model_name().map(str::to_string));
    }
    props.maybe("loadparm", lx.loadparm());
    super::firmware::machine_options(lx, &mut props);
    if lx.has_numa() && lx.has_hmat() {
        props.set("hmat", true);
    }
    if lx.domain.os.as_ref().and_then(|os| os.bios.as_ref()).is_some_and(|b| b.use_serial == Some(YesNo::Yes)) {
        props.set("graphics", false);
    }
    of_board(lx, &mut props);
    let site = lx.domain.os.as_ref().and_then(|os| os.kind.as_ref()).map_or(lx.domain.site, |t| t.site);
    lx.options("-machine", props, site, "machine");
}

fn switch(props: &mut Props, key: &'static str, switch: Option<&Switch>) {
    props.maybe(key, switch.map(Switch::state));
}

/// Keys of the guest that IBM Z wraps.
fn key_wrapping(lx: &mut Lower<'_>, props: &mut Props) {
    if !lx.machine.arch.is_s390()
        && let Some(keywrap) = lx.domain.keywrap.as_ref().filter(|k| !k.ciphers.is_empty())
    {
        let message = "<keywrap>: 'aes-key-wrap' and 'dea-key-wrap' are available on the architecture s390x only";
        lx.error(&codes::SECURITY, keywrap.site, message);
    }
    for cipher in lx.domain.keywrap.iter().flat_map(|k| &k.ciphers) {
        if let (Some(name), Some(state)) = (cipher.name, cipher.state) {
            props.set(format!("{name}-key-wrap"), state);
        }
    }
}

/// What `<features>` says of the machine.
fn of_features(lx: &mut Lower<'_>, f: &Features, props: &mut Props) {
    switch(props, "i8042", f.ps2.as_ref());
    match f.ioapic.as_ref().and_then(|i| i.driver) {
        Some(IoapicDriver::Qemu) => {
            props.set("kernel_irqchip", "split");
        }
        Some(IoapicDriver::Kvm) => {
            props.set("kernel_irqchip", true);
        }
        None => {}
    }
    if lx.machine.board == Board::Virt && lx.machine.arch.is_arm() {
        props.maybe("gic-version", gic_version(lx, f));
    }
    if let Some(hpt) = &f.hpt {
        props.maybe("resize-hpt", hpt.resizing.map(|r| r.as_str()));
        props.maybe("cap-hpt-max-page-size", hpt.max_page_size.as_ref().map(|s| format!("{}k", s.kib())));
    }
    switch(props, "cap-htm", f.htm.as_ref());
    switch(props, "cap-nested-hv", f.nested_hv.as_ref());
    switch(props, "cap-ccf-assist", f.ccf_assist.as_ref());
    props.maybe("cap-cfpc", f.cfpc.as_ref().and_then(|c| c.value).map(|v| v.as_str()));
    props.maybe("cap-sbbc", f.sbbc.as_ref().and_then(|c| c.value).map(|v| v.as_str()));
    props.maybe("cap-ibs", f.ibs.as_ref().and_then(|c| c.value).map(|v| v.as_str()));
    switch(props, "ras", f.ras.as_ref());
    switch(props, "virtualization", f.virtualization.as_ref());
    props.maybe("aia", f.aia.as_ref().and_then(|c| c.value).map(|v| v.as_str()));
}

/// Dumps, merging, and memory of special kinds.
fn of_memory(lx: &mut Lower<'_>, props: &mut Props) {
    let dump = lx.domain.memory.as_ref().and_then(|m| m.dump_core);
    props.set("dump-guest-core", dump.map_or(lx.env.host.instance.dump_guest_core, OnOff::is_on));
    if lx.domain.memory_backing.as_ref().is_some_and(|b| b.nosharepages) {
        props.set("mem-merge", false);
    }
    if lx.devices.memories.iter().any(|d| d.model() == MemoryModel::Nvdimm) {
        props.set("nvdimm", true);
    }
    let enclaves = lx.devices.memories.iter().filter(|d| d.model() == MemoryModel::SgxEpc);
    for (i, device) in enclaves.enumerate() {
        props.set(format!("sgx-epc.{i}.memdev"), format!("mem{}", device.info.id));
        props.set(format!("sgx-epc.{i}.node"), device.node().unwrap_or(0));
    }
    if !lx.has_numa()
        && let Some(id) = lx.ram_id()
    {
        props.set("memory-backend", id);
    }
}

/// Timers, the speaker, ACPI and windows of the board.
fn of_board(lx: &mut Lower<'_>, props: &mut Props) {
    let hpet = lx.domain.clock.as_ref().and_then(|c| c.timer(crate::domain::clock::TimerName::Hpet));
    if lx.machine.arch.is_x86()
        && let Some(present) = hpet.and_then(|t| t.present)
        && lx.has(Cap::MachineHpet)
    {
        props.set("hpet", present.is_yes());
    }
    props.maybe("pcspk-audiodev", crate::device::sound::lower::speaker(lx.devices));
    if lx.machine_acpi() == Some(true) {
        props.set("acpi", lx.domain.features.as_ref().is_some_and(|f| f.acpi));
    }
    if lx.machine.board == Board::Virt && lx.has(Cap::MachineVirtHighmemMmioSize) {
        let root = lx.devices.controllers.iter().find(|c| c.model == Some(ControllerModel::PcieRoot));
        let hole = root.and_then(|c| c.hole.0.as_ref());
        props.maybe("highmem-mmio-size", hole.map(|hole| format!("{}K", hole.kib())));
    }
}

/// The version of the interrupt controller. libvirt takes it that QEMU's program for 32 bits has no choice.
fn gic_version(lx: &mut Lower<'_>, features: &Features) -> Option<&'static str> {
    let gic = features.gic.as_ref()?;
    let version = gic.version?;
    if !lx.env.behaves(Quirk::GicOf32Bit) || lx.env.caps.arch == Arch::Aarch64 {
        return Some(version.as_str());
    }
    if version != GicVersion::V2 {
        let message = format!("<gic version>: this QEMU binary has no gic-version='{version}'");
        lx.error(&codes::FEATURE, gic.site, message);
    }
    None
}

impl Lower<'_> {
    /// What the boot loader is told of the device to boot from (s390x), where devices cannot be told each.
    fn loadparm(&self) -> Option<String> {
        if !self.machine.arch.is_s390() || self.has(Cap::VirtioCcwLoadparm) {
            return None;
        }
        let mut first: Option<(u32, String)> = None;
        self.devices.each(&mut |device| {
            if let Some(boot) = &device.info().boot
                && let Some(loadparm) = &boot.loadparm
            {
                let order = boot.order.unwrap_or(u32::MAX);
                if first.as_ref().is_none_or(|(o, _)| order < *o) {
                    first = Some((order, loadparm.clone()));
                }
            }
        });
        first.map(|(_, loadparm)| loadparm)
    }

    /// Whether the machine has the property `acpi`; none where this QEMU does not tell.
    fn machine_acpi(&self) -> Option<bool> {
        self.env.caps.machine(self.machine.accel, &self.machine.name).and_then(|m| m.acpi)
    }

    /// Whether the guest has NUMA nodes.
    pub fn has_numa(&self) -> bool {
        self.numa().is_some_and(|n| !n.cells.is_empty())
    }

    /// The guest's NUMA nodes.
    pub fn numa(&self) -> Option<&crate::domain::numa::GuestNuma> {
        self.domain.cpu.as_ref().and_then(|c| c.numa.as_ref())
    }

    /// Whether attributes of the memory of NUMA nodes are told to the guest.
    pub fn has_hmat(&self) -> bool {
        self.numa().is_some_and(|n| {
            n.interconnects.as_ref().is_some_and(|i| !i.list.is_empty()) || n.cells.iter().any(|c| !c.caches.is_empty())
        })
    }
}

/// `-accel`
pub fn accel(lx: &mut Lower<'_>) {
    let mut props = Props::new();
    let features = lx.domain.features.as_ref();
    match lx.domain.kind() {
        DomainKind::Kvm => {
            props.bare("kvm");
            let ring = features.and_then(|f| f.kvm.as_ref()).and_then(|k| k.dirty_ring.as_ref());
            if let Some(ring) = ring.filter(|r| r.switch.is_on()) {
                props.maybe("dirty-ring-size", ring.size);
            }
        }
        DomainKind::Hvf => {
            props.bare("hvf");
        }
        DomainKind::Hyperv => {
            props.bare("mshv");
            lx.touch("/dev/mshv", Grant::SYSTEM_NODE, Use::Accelerator, lx.domain.site, "the domain: type='hyperv'");
        }
        _ => {
            props.bare("tcg");
            let cache = features.and_then(|f| f.tcg.as_ref()).and_then(|t| t.tb_cache.as_ref());
            props.maybe("tb-size", cache.map(|c| c.kib() >> 10).filter(|mib| *mib > 0));
        }
    }
    let site = lx.domain.site;
    lx.options("-accel", props, site, "type of the domain");
}

/// `-global mch.extended-tseg-mbytes`: memory of system management mode.
pub fn tseg(lx: &mut Lower<'_>) {
    let Some(tseg) = lx.domain.features.as_ref().and_then(|f| f.smm.as_ref()).and_then(|s| s.tseg.clone()) else {
        return;
    };
    let mib = tseg.size.0 >> 20;
    lx.options("-global", Props::with("mch.extended-tseg-mbytes", mib), tseg.site, "tseg");
}

/// `-uuid`
pub fn uuid(lx: &mut Lower<'_>) {
    let site = lx.domain.site;
    let uuid = lx.must(lx.domain.hardware_uuid().map(|u| u.to_string()), "the UUID of the machine", site);
    lx.text("-uuid", uuid, site, "uuid");
}

/// `-device vmgenid`
pub fn genid(lx: &mut Lower<'_>) {
    let domain = lx.domain;
    let Some(genid) = &domain.genid else { return };
    let guid = lx.must(genid.uuid.map(|u| u.to_string()), "the id of this generation", genid.site);
    let mut props = Props::driver("vmgenid");
    props.set("guid", guid).set("id", "vmgenid0");
    let site = genid.site;
    lx.plain_device(props, site, "genid");
}

/// `-device vmcoreinfo`
pub fn vmcoreinfo(lx: &mut Lower<'_>) {
    let feature = lx.domain.features.as_ref().and_then(|f| f.vmcoreinfo.clone());
    if let Some(feature) = feature.filter(Switch::is_on) {
        lx.plain_device(Props::driver("vmcoreinfo"), feature.site, "vmcoreinfo");
    }
}

/// `-run-with async-teardown=on`: memory of a stopped guest is freed in the background.
pub fn async_teardown(lx: &mut Lower<'_>) {
    let feature = lx.domain.features.as_ref().and_then(|f| f.async_teardown.clone());
    let Some(feature) = feature else { return };
    let Some(enabled) = feature.enabled else { return };
    if lx.has(Cap::RunWithAsyncTeardown) {
        let on = OnOff::from(enabled == YesNo::Yes);
        lx.options("-run-with", Props::with("async-teardown", on), feature.site, "async-teardown");
    } else if enabled.is_yes() {
        let cause = lx.cause(feature.site, "async-teardown");
        lx.args.push(Arg::switch("-async-teardown", cause));
    }
}

/// `-display none`: what QEMU would open by itself.
pub fn display(lx: &mut Lower<'_>) {
    if !lx.devices.graphics.is_empty() {
        return;
    }
    let mut props = Props::new();
    props.bare("none");
    let site = lx.domain.site;
    lx.options("-display", props, site, "default: no window");
}

/// `-no-shutdown`: the controller decides what happens at the end.
pub fn shutdown(lx: &mut Lower<'_>) {
    if lx.env.has_parent() {
        lx.switch("-no-shutdown", "default: the controller decides what happens at the end");
    }
}

/// `-no-acpi`, where the machine has no property for it.
pub fn no_acpi(lx: &mut Lower<'_>) {
    let acpi = lx.domain.features.as_ref().is_some_and(|f| f.acpi);
    let may = lx.machine.arch.is_x86() || (lx.machine.board == Board::Virt && lx.machine.arch.is_arm());
    if !acpi && may && lx.machine_acpi().is_none() {
        lx.switch("-no-acpi", "features: no acpi");
    }
}

/// `-global PIIX4_PM.disable_s3` and its siblings: whether the guest may suspend.
pub fn power_management(lx: &mut Lower<'_>) {
    let Some(pm) = lx.domain.pm.clone() else { return };
    let chip = if lx.machine.board == Board::Q35 { "ICH9-LPC" } else { "PIIX4_PM" };
    for (suspend, state) in [(&pm.suspend_to_mem, "s3"), (&pm.suspend_to_disk, "s4")] {
        if let Some(enabled) = suspend.as_ref().and_then(|s| s.enabled) {
            let disabled = u8::from(!enabled.is_yes());
            lx.options("-global", Props::with(format!("{chip}.disable_{state}"), disabled), pm.site, "pm");
        }
    }
}

/// `-incoming`: the guest waits for a migration.
pub fn incoming(lx: &mut Lower<'_>) {
    if let Some(uri) = lx.env.options.incoming.clone() {
        let site = lx.domain.site;
        if !(uri.starts_with("fd:") || uri.starts_with("unix:") || uri == "defer") {
            lx.need(Need::Inet, site, "--incoming");
        }
        lx.plan.awaits_state = true;
        lx.text("-incoming", uri, site, "--incoming");
    }
}

/// `-sandbox`: QEMU's own seccomp filter.
pub fn sandbox(lx: &mut Lower<'_>) {
    let mut props = Props::new();
    match lx.env.host.instance.seccomp_sandbox {
        Seccomp::Off => {
            props.bare("off");
        }
        Seccomp::Auto if !lx.has(Cap::SeccompSandbox) => return,
        _ => {
            lx.plan.confinement.seccomp = true;
            props.bare("on");
            for what in ["obsolete", "elevateprivileges", "spawn", "resourcecontrol"] {
                props.set(what, "deny");
            }
        }
    }
    let site = lx.domain.site;
    lx.options("-sandbox", props, site, "default: seccomp filter");
}

/// `-msg`
pub fn msg(lx: &mut Lower<'_>) {
    if lx.env.host.instance.log_timestamp {
        let site = lx.domain.site;
        lx.options("-msg", Props::with("timestamp", true), site, "default: time stamps in the log");
    }
}
