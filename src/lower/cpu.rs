//! `-cpu` and `-smp`.

use crate::caps::{Accel, Cap};
use crate::cpu::guest::{self, Fault};
use crate::device::panic::{Panic, PanicModel};
use crate::diag::codes::machine as codes;
use crate::domain::clock::{TickPolicy, TimerName};
use crate::domain::cpu::{CacheMode, Cpu, CpuMode, FeaturePolicy, PhysAddrMode};
use crate::domain::features::{Features, Hyperv, HypervMode, HypervVendor, Spinlocks, Stimer, Switch, TlbFlush};
use crate::plan::Props;
use crate::stage::Lower;
use crate::vocab::Arch;

/// Features of x86 that QEMU spells another way than the domain format.
static QEMU_SPELLING: &[(&str, &str)] = &[
    ("cmp_legacy", "cmp-legacy"),
    ("ds_cpl", "ds-cpl"),
    ("fxsr_opt", "fxsr-opt"),
    ("kvm_pv_eoi", "kvm-pv-eoi"),
    ("kvm_pv_unhalt", "kvm-pv-unhalt"),
    ("lahf_lm", "lahf-lm"),
    ("nodeid_msr", "nodeid-msr"),
    ("pclmuldq", "pclmulqdq"),
    ("perfctr_core", "perfctr-core"),
    ("perfctr_nb", "perfctr-nb"),
    ("tsc_adjust", "tsc-adjust"),
];

/// QEMU's name of a feature of the domain format.
pub fn feature_to_qemu(arch: Arch, name: &str) -> &str {
    if !arch.is_x86() {
        return name;
    }
    QEMU_SPELLING.iter().find(|(format, _)| *format == name).map_or(name, |(_, qemu)| qemu)
}

/// The domain format's name of a feature of x86 that QEMU has.
pub fn feature_from_qemu(name: &str) -> &str {
    QEMU_SPELLING.iter().find(|(_, qemu)| *qemu == name).map_or(name, |(format, _)| format)
}

/// `-cpu`: model and features.
pub fn cpu(lx: &mut Lower<'_>) {
    let mut props = Props::new();
    let site = lx.domain.cpu.as_ref().map_or(lx.domain.site, |c| c.site);
    let Some(cpu) = effective(lx) else { return };
    let named = model(lx, cpu.as_ref(), &mut props);
    flags(lx, &mut props);
    if let Some(cpu) = &cpu {
        address_width(cpu, &mut props);
    }
    if host_model(lx) && !lx.env.caps.hyperv.as_ref().is_some_and(|h| h.supported) {
        let message =
            "<hyperv mode='host-model'>: this QEMU told of no enlightenments (hyperv capabilities) of the host";
        lx.error(&codes::FEATURE, site, message).help("use mode='custom', and name them");
    }
    if named {
        lx.options("-cpu", props, site, "cpu");
    } else if !props.is_empty() {
        let message = format!("CPU flags are requested, but the default CPU of {} is not known", lx.machine.arch);
        lx.error(&codes::CPU, site, message).help("name the model: <cpu mode='custom'><model>…</model></cpu>");
    }
}

/// The width of physical addresses.
fn address_width(cpu: &Cpu, props: &mut Props) {
    let Some(bits) = &cpu.maxphysaddr else { return };
    match bits.mode {
        Some(PhysAddrMode::Passthrough) => {
            props.set("host-phys-bits", true);
            props.maybe("host-phys-bits-limit", bits.limit);
        }
        Some(PhysAddrMode::Emulate) => match bits.bits {
            Some(bits) if bits > 0 => {
                props.set("phys-bits", bits);
            }
            _ => {
                props.set("host-phys-bits", false);
            }
        },
        None => {}
    }
}

/// What stands behind the model.
fn flags(lx: &mut Lower<'_>, props: &mut Props) {
    timers(lx, props);
    if host_model(lx) {
        props.set("hv-time", true);
    }
    if let Some(features) = &lx.domain.features {
        guest_features(features, lx, props);
    }
    let hyperv = |p: &&Panic| p.model == Some(PanicModel::Hyperv);
    if lx.devices.panics.iter().find(hyperv).is_some() {
        props.bare("hv-crash");
    }
    if let Some(features) = &lx.domain.features {
        kvm_features(features, props);
        // POWER always has it, and no switch.
        props.maybe("pmu", features.pmu.as_ref().filter(|_| !lx.machine.arch.is_ppc64()).map(Switch::state));
    }
    if let Some(cpu) = &lx.domain.cpu {
        caches(cpu, props);
    }
}

/// The CPU as QEMU is told. None after an error; nothing inside if the guest has the CPU that QEMU gives it.
fn effective(lx: &mut Lower<'_>) -> Option<Option<Cpu>> {
    let Some(cpu) = lx.domain.cpu.as_ref().filter(|c| c.names_a_cpu()) else { return Some(None) };
    let unknown = guest::unknown(cpu, lx.machine, &lx.env);
    if !unknown.is_empty() {
        unknown.into_iter().for_each(|fault| refuse(fault, cpu, lx));
        return None;
    }
    match guest::definite(cpu, lx.machine, &lx.env) {
        Ok(definite) => {
            if cpu.mode() == CpuMode::HostModel && definite.mode() == CpuMode::HostPassthrough {
                let message =
                    "<cpu mode='host-model'>: nobody has told the host's model: the guest gets the host's CPU as it is";
                lx.diags
                    .note(&crate::diag::codes::assume::CPU, lx.doc.span_of_attr(cpu.site, "mode"), message)
                    .help("`virtc probe host` on the host tells it; in the facts of --host, in 'machine':\n  cpu model=\"MODEL\" vendor=\"VENDOR\"");
            }
            Some(Some(definite))
        }
        Err(fault) => {
            refuse(fault, cpu, lx);
            None
        }
    }
}

/// Says why the guest cannot have its CPU, at the part that is to blame.
fn refuse(fault: Fault, cpu: &Cpu, lx: &mut Lower<'_>) {
    let of_model = cpu.model.as_ref().map_or(cpu.site, |m| m.site);
    let (code, site, attribute, message, help) = match fault {
        Fault::Incompatible(message) => (&codes::CPU_HOST, of_model, "", message, None),
        Fault::Mode(message) => (&codes::CPU, cpu.site, "mode", message, mode_help(cpu.mode(), lx).map(str::to_string)),
        Fault::Wrong(message) => (&codes::CPU, cpu.site, "", message, None),
        Fault::NoModel(name) => {
            let qemu = lx.env.caps.accel(lx.machine.accel);
            let known = qemu.iter().flat_map(|q| q.cpus.iter()).map(|c| &*c.name);
            let help = similar_names(&name, known)
                .unwrap_or_else(|| "virtc domcapabilities lists the models that this QEMU has".to_string());
            (&codes::CPU, of_model, "", format!("the hypervisor has no CPU model '{name}'"), Some(help))
        }
        Fault::NoFeature(name) => {
            let site = cpu.features.iter().find(|f| f.name() == name).map_or(cpu.site, |f| f.site);
            let help = similar_names(&name, crate::cpu::feature_names(lx.machine.arch));
            let help =
                help.unwrap_or_else(|| "remove it; features are those of the processor, as CPUID has them".to_string());
            (&codes::CPU, site, "name", format!("unknown CPU feature: {name}"), Some(help))
        }
    };
    let span = lx.doc.span_of_attr(site, attribute);
    let diagnostic = lx.diags.error(code, span, message);
    if let Some(help) = help {
        diagnostic.help(help);
    }
}

/// "did you mean …?", if names resemble one.
fn similar_names<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    match crate::schema::meant(name, known).as_slice() {
        [] => None,
        all => Some(format!("did you mean '{}'?", all.join("' or '"))),
    }
}

/// What to do where the guest cannot have a CPU of this mode.
fn mode_help(mode: CpuMode, lx: &Lower<'_>) -> Option<&'static str> {
    match mode {
        CpuMode::HostModel if lx.machine.accel != Accel::Tcg => Some(
            "the host facts and capabilities in use do not know the host's processor: take those of the machine that is to run \
             the guest (there: virtc probe host > host.kdl, virtc probe qemu > qemu.kdl; then --host host.kdl --caps qemu.kdl), \
             or mode='host-passthrough', which needs neither",
        ),
        CpuMode::HostModel | CpuMode::HostPassthrough => {
            Some("an emulated CPU is not the host's: take mode='maximum', or a model")
        }
        CpuMode::Maximum | CpuMode::Custom => None,
    }
}

/// Model, features, width of addresses. Whether there is anything to say.
fn model(lx: &mut Lower<'_>, cpu: Option<&Cpu>, props: &mut Props) -> bool {
    let Some(cpu) = cpu else {
        // Without a model, options are appended to the name of the model that QEMU takes anyway; where
        // QEMU does not tell its name, nothing can be said.
        return false;
    };
    match cpu.mode() {
        mode @ (CpuMode::HostPassthrough | CpuMode::Maximum) => {
            props.bare(if mode == CpuMode::Maximum { "max" } else { "host" });
            if lx.machine.arch == Arch::Armv7l && lx.env.caps.arch == Arch::Aarch64 {
                props.set("aarch64", false);
            }
            props.maybe("migratable", cpu.migratable.filter(|_| lx.has(Cap::CpuMigratable)));
        }
        CpuMode::HostModel if lx.machine.arch.is_ppc64() => {
            props.bare("host");
        }
        _ => {
            let model = lx.must(cpu.model_name().map(str::to_string), "the name of the CPU model", cpu.site);
            props.bare(model);
        }
    }
    if let Some(vendor) = cpu.model.as_ref().and_then(|m| m.vendor_id.clone()) {
        props.set("vendor", vendor);
    }
    for feature in &cpu.features {
        let on = match feature.policy() {
            FeaturePolicy::Force | FeaturePolicy::Require => true,
            FeaturePolicy::Disable | FeaturePolicy::Forbid => false,
            FeaturePolicy::Optional => continue,
        };
        props.set(feature_to_qemu(lx.machine.arch, feature.name()).to_string(), on);
    }
    true
}

/// Timers that are properties of the CPU.
fn timers(lx: &Lower<'_>, props: &mut Props) {
    for timer in lx.domain.clock.iter().flat_map(|c| &c.timers) {
        match timer.name {
            Some(TimerName::Kvmclock) => {
                props.maybe("kvmclock", timer.present.map(|p| p.is_yes()));
            }
            Some(TimerName::Hypervclock) if timer.present.is_some_and(|p| p.is_yes()) && !host_model(lx) => {
                props.set("hv-time", true);
            }
            Some(TimerName::Tsc) => {
                props.maybe("tsc-frequency", timer.frequency.filter(|f| *f > 0));
            }
            Some(TimerName::Armvtimer) => match timer.tick_policy {
                Some(TickPolicy::Delay) => {
                    props.set("kvm-no-adjvtime", false);
                }
                Some(TickPolicy::Discard) => {
                    props.set("kvm-no-adjvtime", true);
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// Whether enlightenments are those of the host, the clock among them.
fn host_model(lx: &Lower<'_>) -> bool {
    let hyperv = lx.domain.features.as_ref().and_then(|f| f.hyperv.as_ref());
    hyperv.and_then(|h| h.mode) == Some(HypervMode::HostModel)
}

/// End of interrupt, spin locks, Hyper-V.
fn guest_features(features: &Features, lx: &mut Lower<'_>, props: &mut Props) {
    let arch = lx.machine.arch;
    props.maybe("kvm-pv-eoi", features.apic.as_ref().and_then(|a| a.eoi));
    props.maybe("kvm-pv-unhalt", features.pvspinlock.as_ref().map(Switch::state));
    if let Some(hyperv) = &features.hyperv {
        match hyperv.mode {
            Some(HypervMode::HostModel) => enlightenments(&of_host(hyperv, lx), arch, props, lx),
            _ => enlightenments(hyperv, arch, props, lx),
        }
    }
}

/// The enlightenments that this QEMU has on its host, and over them what the XML says.
fn of_host(own: &Hyperv, lx: &Lower<'_>) -> Hyperv {
    let Some(host) = lx.env.caps.hyperv.as_ref().filter(|h| h.supported) else { return own.clone() };
    let values = &host.values;
    let has = |name: &str| host.has(name).then(Switch::on);
    let on = |set: Option<bool>| set.filter(|on| *on).map(|_| Switch::on());
    let mut all = own.clone();
    all.relaxed = all.relaxed.or(has("relaxed"));
    all.vapic = all.vapic.or(has("vapic"));
    let spin = has("spinlocks").map(|switch| Spinlocks {
        switch,
        retries: Some(values.spinlocks.unwrap_or(0xfff)),
        ..Spinlocks::default()
    });
    all.spinlocks = all.spinlocks.or(spin);
    all.vpindex = all.vpindex.or(has("vpindex"));
    all.runtime = all.runtime.or(has("runtime"));
    all.synic = all.synic.or(has("synic"));
    let timer = has("stimer").map(|switch| Stimer { switch, direct: on(values.stimer_direct), ..Stimer::default() });
    all.stimer = all.stimer.or(timer);
    all.reset = all.reset.or(has("reset"));
    let vendor = has("vendor_id").map(|switch| HypervVendor {
        switch,
        value: values.vendor_id.as_ref().map(|v| v.to_string()),
        ..HypervVendor::default()
    });
    all.vendor_id = all.vendor_id.or(vendor.filter(|v| v.value.is_some()));
    all.frequencies = all.frequencies.or(has("frequencies"));
    all.reenlightenment = all.reenlightenment.or(has("reenlightenment"));
    let flush = has("tlbflush").map(|switch| TlbFlush {
        switch,
        direct: on(values.tlbflush_direct),
        extended: on(values.tlbflush_extended),
        ..TlbFlush::default()
    });
    all.tlbflush = all.tlbflush.or(flush);
    all.ipi = all.ipi.or(has("ipi"));
    all.evmcs = all.evmcs.or(has("evmcs"));
    all.avic = all.avic.or(has("avic"));
    all.emsr_bitmap = all.emsr_bitmap.or(has("emsr_bitmap"));
    all.xmm_input = all.xmm_input.or(has("xmm_input"));
    all
}

/// Enlightenments for Windows guests.
fn enlightenments(hyperv: &Hyperv, arch: Arch, props: &mut Props, lx: &mut Lower<'_>) {
    fn on(props: &mut Props, key: &'static str, switch: Option<&Switch>) {
        if switch.is_some_and(Switch::is_on) {
            props.set(key, true);
        }
    }
    if hyperv.mode == Some(HypervMode::Passthrough) {
        props.set("hv-passthrough", true);
    }
    on(props, "hv-relaxed", hyperv.relaxed.as_ref());
    on(props, "hv-vapic", hyperv.vapic.as_ref());
    if let Some(spinlocks) = hyperv.spinlocks.as_ref().filter(|s| s.switch.is_on()) {
        props.set("hv-spinlocks", format!("0x{:x}", spinlocks.retries.unwrap_or(u32::MAX)));
    }
    on(props, "hv-vpindex", hyperv.vpindex.as_ref());
    on(props, "hv-runtime", hyperv.runtime.as_ref());
    on(props, "hv-synic", hyperv.synic.as_ref());
    if let Some(stimer) = hyperv.stimer.as_ref().filter(|s| s.switch.is_on()) {
        props.set("hv-stimer", true);
        on(props, "hv-stimer-direct", stimer.direct.as_ref());
    }
    on(props, "hv-reset", hyperv.reset.as_ref());
    if let Some(vendor) = hyperv.vendor_id.as_ref().filter(|v| v.switch.is_on()) {
        props.set("hv-vendor-id", lx.must(vendor.value.clone(), "the value of HyperV's <vendor_id>", vendor.site));
    }
    on(props, "hv-frequencies", hyperv.frequencies.as_ref());
    on(props, "hv-reenlightenment", hyperv.reenlightenment.as_ref());
    if let Some(flush) = hyperv.tlbflush.as_ref().filter(|t| t.switch.is_on()) {
        props.set("hv-tlbflush", true);
        on(props, "hv-tlbflush-direct", flush.direct.as_ref());
        on(props, "hv-tlbflush-ext", flush.extended.as_ref());
    }
    on(props, "hv-ipi", hyperv.ipi.as_ref());
    on(props, "hv-evmcs", hyperv.evmcs.as_ref());
    on(props, "hv-avic", hyperv.avic.as_ref());
    // Only on x86 libvirt spells them as QEMU does.
    let (emsr, xmm) =
        if arch.is_x86() { ("hv-emsr-bitmap", "hv-xmm-input") } else { ("hv-emsr_bitmap", "hv-xmm_input") };
    on(props, emsr, hyperv.emsr_bitmap.as_ref());
    on(props, xmm, hyperv.xmm_input.as_ref());
}

/// What KVM offers to the guest.
fn kvm_features(features: &Features, props: &mut Props) {
    let Some(kvm) = &features.kvm else { return };
    if kvm.hidden.as_ref().is_some_and(Switch::is_on) {
        props.set("kvm", false);
    }
    if kvm.hint_dedicated.as_ref().is_some_and(Switch::is_on) {
        props.set("kvm-hint-dedicated", true);
    }
    if kvm.poll_control.as_ref().is_some_and(Switch::is_on) {
        props.set("kvm-poll-control", true);
    }
    if kvm.pv_ipi.as_ref().is_some_and(|s| !s.is_on()) {
        props.set("kvm-pv-ipi", false);
    }
}

/// How the guest sees caches.
fn caches(cpu: &Cpu, props: &mut Props) {
    let Some(cache) = cpu.caches.first() else { return };
    let passes = matches!(cpu.mode(), CpuMode::HostPassthrough | CpuMode::Maximum);
    match cache.mode {
        Some(CacheMode::Emulate) => {
            props.set("l3-cache", true);
            if passes {
                props.set("host-cache-info", false);
            }
        }
        Some(CacheMode::Passthrough) => {
            props.set("host-cache-info", true).set("l3-cache", false);
        }
        Some(CacheMode::Disable) => {
            if passes {
                props.set("host-cache-info", false);
            }
            props.set("l3-cache", false);
        }
        None => {}
    }
}

/// `-smp`: how many CPUs, and how they are grouped.
pub fn smp(lx: &mut Lower<'_>) {
    let vcpu = lx.domain.vcpu.as_ref();
    let count = vcpu.and_then(|v| v.count).unwrap_or(1);
    let current = lx.cold_plugged_vcpus();
    let mut props = Props::new();
    props.bare(current.to_string());
    if current != count {
        props.set("maxcpus", count);
    }
    match lx.domain.cpu.as_ref().and_then(|c| c.topology.clone()) {
        Some(t) => {
            props.set("sockets", t.sockets.unwrap_or(1));
            if lx.has(Cap::SmpDies) {
                props.set("dies", t.dies.unwrap_or(1));
            }
            if lx.has(Cap::SmpClusters) {
                props.set("clusters", t.clusters.unwrap_or(1));
            }
            props.set("cores", t.cores.unwrap_or(1)).set("threads", t.threads());
        }
        None => {
            props.set("sockets", count).set("cores", 1).set("threads", 1);
        }
    }
    let site = vcpu.map_or(lx.domain.site, |v| v.site);
    lx.options("-smp", props, site, "vcpu");
}

impl Lower<'_> {
    /// How many CPUs are there when QEMU starts: those that cannot be unplugged. The others are plugged
    /// in by the controller; standalone, all that are enabled are there from the beginning.
    fn cold_plugged_vcpus(&self) -> u32 {
        use crate::domain::vcpu::OneVcpu;
        use crate::vocab::YesNo;
        let vcpu = self.domain.vcpu.as_ref();
        let count = vcpu.and_then(|v| v.count).unwrap_or(1);
        let current = vcpu.and_then(|v| v.current).unwrap_or(count);
        if self.domain.vcpus.is_empty() || !self.env.has_parent() {
            return current;
        }
        let fixed = |v: &&OneVcpu| v.is_enabled() && v.hotpluggable != Some(YesNo::Yes);
        self.domain.vcpus.iter().filter(fixed).count() as u32
    }
}
