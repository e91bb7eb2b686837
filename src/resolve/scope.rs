//! What the XML says of a thing that does not have it: the ports of an IDE controller, the time zone of a clock that follows UTC.
//!
//! The format's grammar allows much of this, and libvirt reads only what the kind of the thing calls for. What it does not read is
//! forgotten here, first of all, so that no later stage sees it and `normalize` does not print it.

use crate::device::Devices;
use crate::device::audio::{Audio, AudioType};
use crate::device::controller::{Controller, ControllerKind, ControllerModel};
use crate::device::disk::Cache;
use crate::device::info::DeviceInfo;
use crate::device::input::InputKind;
use crate::device::interface::{Interface, InterfaceType, NetBackendType};
use crate::device::sound::SoundModel;
use crate::device::tpm::{TpmBackend, TpmSourceKind};
use crate::device::video::VideoType;
use crate::domain::Domain;
use crate::domain::clock::{Clock, ClockBasis, ClockOffset};
use crate::domain::cpu::CpuMode;
use crate::domain::features::{ContainerPolicy, Features, Hyperv, HypervMode};
use crate::domain::os::SmbiosMode;
use crate::domain::sysinfo::{Sysinfo, SysinfoKind};
use crate::domain::tuning::{Blkiotune, Cputune, Scheduler};
use crate::stage::{Cx, Quirk};
use crate::vocab::{Size, YesNo};

/// Forgets what has no meaning where it stands.
pub fn limit(domain: &mut Domain, cx: &Cx<'_>) {
    if let Some(clock) = &mut domain.clock {
        self::clock(clock);
    }
    for (_, one) in
        domain.cpu.iter_mut().flat_map(|c| &mut c.numa).flat_map(|n| &mut n.interconnects).flat_map(|i| &mut i.list)
    {
        one.cache = one.cache.filter(|level| *level != 0);
    }
    if let Some(cpu) = &mut domain.cpu
        && cpu.mode() != CpuMode::Custom
    {
        cpu.matching = None;
    }
    if let Some(os) = &mut domain.os {
        os.smbios.take_if(|s| s.mode == Some(SmbiosMode::None));
    }
    if let Some(vcpu) = &mut domain.vcpu
        && vcpu.current == vcpu.count.or(Some(1))
    {
        vcpu.current = None;
    }
    if let Some(backing) = &mut domain.memory_backing {
        backing.access.take_if(|a| a.mode.is_none());
        backing.source.take_if(|s| s.kind.is_none());
    }
    domain.default_iothread.take_if(|t| t.thread_pool_min.is_none() && t.thread_pool_max.is_none());
    domain.sysinfo.iter_mut().for_each(sysinfo);
    if let Some(features) = &mut domain.features {
        self::features(features);
    }
    if let Some(tune) = &mut domain.blkiotune {
        blkio(tune);
    }
    if let Some(tune) = &mut domain.cputune {
        cputune(tune);
    }
    if let Some(tune) = &mut domain.numatune {
        tune.memory.take_if(|m| m.mode.is_none() && m.placement.is_none() && m.nodeset.is_none());
    }
    if let Some(max) = &mut domain.max_memory {
        max.slots = max.slots.filter(|n| *n != 0);
    }
    if let Some(devices) = &mut domain.devices {
        self::devices(devices, cx);
    }
}

/// Zero stands for no limit.
fn blkio(tune: &mut Blkiotune) {
    tune.weight = tune.weight.filter(|n| *n != 0);
    for d in &mut tune.devices {
        for limit in [&mut d.weight, &mut d.read_iops, &mut d.write_iops] {
            *limit = limit.filter(|n| *n != 0);
        }
        for limit in [&mut d.read_bytes, &mut d.write_bytes] {
            *limit = limit.filter(|n| *n != 0);
        }
    }
}

/// Zero stands for no limit, and only two of the schedulers have priorities.
fn cputune(tune: &mut Cputune) {
    for group in &mut tune.cachetunes {
        for cache in &mut group.caches {
            let size = Size::of(cache.size.unwrap_or(0), cache.unit.as_deref().unwrap_or("KiB"));
            if let Some((value, unit)) = size.map(Size::in_largest_unit) {
                (cache.size, cache.unit) = (Some(value), Some(unit.to_string()));
            }
        }
    }
    for period in [&mut tune.period, &mut tune.global_period, &mut tune.emulator_period, &mut tune.iothread_period] {
        *period = period.filter(|n| *n != 0);
    }
    for quota in [&mut tune.quota, &mut tune.global_quota, &mut tune.emulator_quota, &mut tune.iothread_quota] {
        *quota = quota.filter(|n| *n != 0);
    }
    let vcpus = tune.vcpuscheds.iter_mut().map(|s| (s.scheduler, &mut s.priority));
    let iothreads = tune.iothreadscheds.iter_mut().map(|s| (s.scheduler, &mut s.priority));
    let emulator = tune.emulatorsched.iter_mut().map(|s| (s.scheduler, &mut s.priority));
    for (scheduler, priority) in vcpus.chain(iothreads).chain(emulator) {
        *priority = priority.filter(|_| scheduler.is_some_and(Scheduler::has_priority));
    }
}

/// Tables belong to SMBIOS, entries to QEMU's firmware configuration.
fn sysinfo(info: &mut Sysinfo) {
    if info.kind == Some(SysinfoKind::Fwcfg) {
        *info = Sysinfo {
            kind: info.kind,
            entries: std::mem::take(&mut info.entries),
            site: info.site,
            ..Sysinfo::default()
        };
    } else {
        info.entries.clear();
        info.base_boards.retain(|b| !b.is_empty());
    }
}

/// What is switched off has no details.
fn features(f: &mut Features) {
    if let Some(teardown) = &mut f.async_teardown {
        teardown.enabled.get_or_insert(YesNo::Yes);
    }
    if let Some(hyperv) = &mut f.hyperv {
        enlightenments(hyperv);
    }
    if let Some(ring) = f.kvm.as_mut().and_then(|k| k.dirty_ring.as_mut()) {
        ring.size = ring.size.filter(|_| ring.switch.is_on());
    }
    if let Some(smm) = &mut f.smm {
        smm.tseg.take_if(|_| !smm.switch.is_on());
    }
    if let Some(pass) = f.xen.as_mut().and_then(|x| x.passthrough.as_mut()) {
        pass.mode = pass.mode.filter(|_| pass.switch.is_on());
    }
    f.tcg.take_if(|t| t.tb_cache.as_ref().is_none_or(|c| c.kib() == 0));
    f.hpt.take_if(|h| h.resizing.is_none() && h.max_page_size.is_none());
    f.capabilities.take_if(|c| c.policy.is_none_or(|p| p == ContainerPolicy::Default) && c.states.is_empty());
}

/// Who passes all enlightenments through names none.
fn enlightenments(h: &mut Hyperv) {
    if h.mode == Some(HypervMode::Passthrough) {
        *h = Hyperv { mode: h.mode, site: h.site, ..Hyperv::default() };
    }
    if let Some(spinlocks) = &mut h.spinlocks {
        spinlocks.retries = spinlocks.retries.filter(|_| spinlocks.switch.is_on());
    }
    if let Some(stimer) = &mut h.stimer {
        stimer.direct.take_if(|_| !stimer.switch.is_on());
    }
    if let Some(flush) = h.tlbflush.as_mut().filter(|f| !f.switch.is_on()) {
        (flush.direct, flush.extended) = (None, None);
    }
    if let Some(vendor) = &mut h.vendor_id {
        vendor.value.take_if(|_| !vendor.switch.is_on());
    }
}

fn devices(devices: &mut Devices, cx: &Cx<'_>) {
    let keeps_zero = !cx.env.behaves(Quirk::ZeroGranularityIsDropped);
    devices.controllers.iter_mut().for_each(controller);
    devices.audios.iter_mut().for_each(audio);
    let names = !cx.env.behaves(Quirk::NamesOfPasstAreDropped);
    devices.interfaces.iter_mut().for_each(|n| interface(n, names));
    for input in &mut devices.inputs {
        match (input.kind, &mut input.source) {
            (Some(InputKind::Evdev), Some(source)) => source.evdev = None,
            (Some(InputKind::Passthrough), Some(source)) => {
                source.dev = None;
                source.grab = None;
                source.grab_toggle = None;
                source.repeat = None;
            }
            _ => input.source = None,
        }
    }
    for disk in &mut devices.disks {
        if let Some(io) = &mut disk.blockio {
            io.logical = io.logical.filter(|n| *n != 0);
            io.physical = io.physical.filter(|n| *n != 0);
            io.discard = io.discard.filter(|n| *n != 0 || keeps_zero);
        }
        if let Some(driver) = &mut disk.driver {
            driver.cache.take_if(|c| *c == Cache::Default);
        }
    }
    for disk in &mut devices.disks {
        if let Some(target) = &mut disk.target {
            target.rotation_rate = target.rotation_rate.filter(|r| *r != 0);
        }
        disk.geometry.take_if(|g| [g.cylinders, g.heads, g.sectors].contains(&Some(0)) && g.translation.is_none());
    }
    for video in &mut devices.videos {
        if video.model.as_ref().is_some_and(|m| m.kind == Some(VideoType::None)) {
            let user = video.info.alias.user.take();
            video.info = DeviceInfo { site: video.info.site, ..DeviceInfo::default() };
            video.info.alias.user = user;
        }
    }
    devices.redirfilters.retain(|f| !f.rules.is_empty());
    for balloon in &mut devices.memballoons {
        balloon.stats.take_if(|s| s.period.is_none_or(|p| p <= 0));
    }
    for sound in &mut devices.sounds {
        if !matches!(sound.model, Some(SoundModel::Ich6 | SoundModel::Ich9)) {
            sound.codecs.clear();
        }
        if sound.model != Some(SoundModel::Virtio) {
            sound.streams = None;
            sound.driver = None;
        }
        if sound.model != Some(SoundModel::Usb) && !cx.env.is_guardian() {
            sound.multichannel = None;
        }
    }
    for backend in devices.tpms.iter_mut().filter_map(|t| t.backend.as_mut()) {
        let emulator = backend.kind == Some(TpmBackend::Emulator);
        backend.source.take_if(|s| emulator && s.kind.is_none());
    }
    for tpm in &mut devices.tpms {
        if let Some(source) = tpm.backend.as_mut().and_then(|b| b.source.as_mut())
            && source.kind == Some(TpmSourceKind::Unix)
        {
            source.mode.get_or_insert_with(|| "connect".to_string());
        }
    }
    devices.each_mut(&mut |device| {
        let info = device.info_mut();
        if info.acpi.as_ref().is_some_and(|a| a.index.is_none_or(|i| i == 0) && a.nodeset.is_none()) {
            info.acpi = None;
        }
    });
}

/// An adjustment in seconds makes a clock that follows UTC or the local time a variable one; the other attributes belong to one kind each.
fn clock(clock: &mut Clock) {
    let offset = clock.offset.unwrap_or(ClockOffset::Utc);
    let adjusted = clock.adjustment.as_ref().is_some_and(|a| a.trim().parse::<i64>().is_ok());
    match offset {
        ClockOffset::Utc | ClockOffset::Localtime if adjusted => {
            clock.basis = Some(if offset == ClockOffset::Utc { ClockBasis::Utc } else { ClockBasis::Localtime });
            clock.offset = Some(ClockOffset::Variable);
        }
        ClockOffset::Utc | ClockOffset::Localtime => clock.basis = None,
        ClockOffset::Variable => {
            if !adjusted {
                clock.adjustment = Some("0".to_string());
            }
            clock.basis.get_or_insert(ClockBasis::Utc);
        }
        ClockOffset::Timezone | ClockOffset::Absolute => {
            clock.adjustment = None;
            clock.basis = None;
        }
    }
    if offset != ClockOffset::Timezone {
        clock.timezone = None;
    }
    if offset != ClockOffset::Absolute {
        clock.start = None;
    }
    for timer in &mut clock.timers {
        timer.frequency = timer.frequency.filter(|f| *f != 0);
    }
}

/// Ports, vectors, grants and the parts of a PCI controller belong to one type of controller each.
fn controller(c: &mut Controller) {
    c.kind.get_or_insert(ControllerKind::Ide);
    if !c.is(ControllerKind::VirtioSerial) {
        c.vectors = None;
        if !c.is(ControllerKind::Usb) {
            c.ports = None;
        }
    }
    if !c.is(ControllerKind::Nvme) {
        c.serial = None;
    }
    if !c.is(ControllerKind::Xenbus) {
        c.max_grant_frames = None;
        c.max_event_channels = None;
    }
    if !c.is(ControllerKind::Pci) {
        c.pci_model = None;
        c.target = None;
        c.hole.0 = None;
    } else if c.model.is_some_and(|m| !matches!(m, ControllerModel::PciRoot | ControllerModel::PcieRoot)) {
        c.hole.0 = None;
    }
    if c.is(ControllerKind::Usb) && c.model == Some(ControllerModel::None) {
        c.info = DeviceInfo { site: c.info.site, ..DeviceInfo::default() };
    }
}

/// What a backend of this type does not have.
fn audio(a: &mut Audio) {
    type T = AudioType;
    let kind = a.kind();
    if !matches!(kind, T::Pulseaudio) {
        a.server_name = None;
    }
    if kind != T::Sdl {
        a.driver = None;
    }
    if kind != T::File {
        a.path = None;
    }
    if kind != T::Oss {
        a.try_mmap = None;
        a.exclusive = None;
        a.dsp_policy = None;
    }
    a.dsp_policy = a.dsp_policy.filter(|p| *p != 0);
    if kind != T::Pipewire {
        a.runtime_dir = None;
    }
    for d in [&mut a.input, &mut a.output].into_iter().flatten() {
        if !matches!(kind, T::Alsa | T::Oss) {
            d.dev = None;
        }
        if kind != T::Oss {
            d.try_poll = None;
        }
        if !matches!(kind, T::Oss | T::Coreaudio | T::Sdl) {
            d.buffer_count = None;
        }
        if kind != T::Jack {
            d.server_name = None;
            d.client_name = None;
            d.connect_ports = None;
            d.exact_name = None;
        }
        if !matches!(kind, T::Pulseaudio | T::Pipewire) {
            d.name = None;
            d.stream_name = None;
            d.latency = None;
        }
        d.buffer_count = d.buffer_count.filter(|c| *c != 0);
        d.latency = d.latency.filter(|l| *l != 0);
    }
}

/// What an interface of this type and model does not have.
fn interface(n: &mut Interface, names: bool) {
    type T = InterfaceType;
    n.kind.get_or_insert(T::User);
    n.mac.take_if(|m| m.address.is_none());
    n.model.take_if(|m| m.kind.is_none());
    n.link.take_if(|l| l.state.is_none());
    let kind = n.kind();
    let source = &mut n.source;
    let f = &mut source.fields;
    let passt = n.backend.as_ref().is_some_and(|b| b.kind == Some(NetBackendType::Passt));
    if kind != T::Network {
        f.network = None;
        f.portgroup = None;
    }
    if kind != T::Bridge {
        f.bridge = None;
    }
    if !matches!(kind, T::Direct | T::Vdpa) && !passt {
        f.dev = None;
    }
    if kind != T::Vhostuser {
        f.path = None;
        f.kind = None;
        f.reconnect = None;
    }
    if !matches!(kind, T::Direct | T::Vhostuser) {
        f.mode = None;
    }
    if kind == T::Vhostuser && f.path.is_some() {
        f.kind.get_or_insert_with(|| "unix".to_string());
    }
    if kind == T::Direct {
        f.mode.get_or_insert_with(|| "vepa".to_string());
    }
    if !matches!(kind, T::Server | T::Client | T::Mcast | T::Udp) {
        f.address = None;
        f.port = None;
    }
    if kind != T::Udp {
        f.local = None;
    }
    if kind != T::Internal {
        f.name = None;
    }
    // Names that libvirt makes up itself are not the user's to keep.
    let made_up = |name: &str| name.starts_with(if kind == T::Direct { "macvtap" } else { "vnet" });
    if let Some(target) = &mut n.target
        && matches!(kind, T::Network | T::Bridge | T::Ethernet | T::Direct)
    {
        target.dev.take_if(|name| made_up(name));
    }
    n.script.take_if(|s| s.path.as_ref().is_none_or(String::is_empty));
    n.downscript.take_if(|s| s.path.as_ref().is_none_or(String::is_empty));
    n.mtu.take_if(|m| m.size == Some(0));
    if kind != T::Ethernet && kind != T::Hostdev {
        n.managed = None;
    }
    let virtio = matches!(n.model(), "virtio" | "virtio-transitional" | "virtio-non-transitional");
    if let Some(backend) = &mut n.backend {
        backend.kind.take_if(|k| *k == NetBackendType::Default);
        if !virtio {
            backend.vhost = None;
        }
        if !passt && !names {
            backend.hostname = None;
            backend.fqdn = None;
        }
    }
    if kind != T::Hostdev
        && let Some(driver) = &mut n.driver
    {
        driver.model = None;
        driver.queues = driver.queues.filter(|q| *q > 1);
        // The options of virtio stay: they are refused.
        let options = &driver.virtio;
        let none = [options.iommu, options.ats, options.packed, options.page_per_vq].iter().all(Option::is_none);
        if !virtio && none {
            n.driver = None;
        }
    }
}
