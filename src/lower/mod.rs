//! From a resolved domain to the Plan.
//!
//! The order of QEMU's arguments is libvirt's; [`lower`] is that order, written down, and the column `lower` of the table of
//! families is the order within a moment. Families add their parts with the methods of [`Lower`]: an argument with its
//! cause, an access, a limit.

pub mod account;
mod clock;
mod confinement;
pub mod cpu;
mod firmware;
pub mod handed;
mod limits;
mod machine;
pub mod memory;
mod monitor;
pub mod policy;
pub mod real;
mod security;

use crate::device::Devices;
use crate::device::disk;
use crate::device::family::{Family, Moment, lower_at};
use crate::device::interface::InterfaceType;
use crate::device::iommu::Iommu;
use crate::device::storage::Location;
use crate::domain::{Domain, DomainKind};
use crate::plan::{Accelerator, Instance, LentDevice, Lifecycle, Need, Plan, Process, Ready, Role, Text, Use};
use crate::stage::{BlockNodes, Cx, Grant, Lower, Machine, Quirk};
use crate::vocab::nodes;

/// What lowering gives.
pub struct Lowered {
    /// The Plan.
    pub plan: Plan,
    /// Values of secrets that the XML holds, by source.
    pub secret_values: Vec<(String, String)>,
}

/// Lowers a resolved domain.
pub fn lower(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) -> Lowered {
    let no_devices = Devices::default();
    let devices = domain.devices.as_ref().unwrap_or(&no_devices);
    let numbers = disk::lower::node_numbers(&devices.disks, &cx.env);
    let mut lx = Lower::new(domain, devices, machine, BlockNodes::new(numbers), cx);
    head(&mut lx);
    machine::name(&mut lx);
    machine::compat(&mut lx);
    monitor::stopped(&mut lx);
    machine::master_key(&mut lx);
    disk::lower::reservations(&mut lx);
    firmware::pflash(&mut lx);
    machine::machine(&mut lx);
    machine::accel(&mut lx);
    machine::tseg(&mut lx);
    cpu::cpu(&mut lx);
    firmware::loader(&mut lx);
    memory::memory(&mut lx);
    memory::overcommit(&mut lx);
    cpu::smp(&mut lx);
    memory::iothreads(&mut lx);
    disk::lower::throttle_groups(&mut lx);
    memory::numa(&mut lx);
    machine::uuid(&mut lx);
    firmware::smbios(&mut lx);
    firmware::fwcfg(&mut lx);
    machine::genid(&mut lx);
    machine::display(&mut lx);
    lx.switch("-no-user-config", "default: no configuration of the user");
    lx.switch("-nodefaults", "default: no devices but those named");
    monitor::monitor(&mut lx);
    clock::rtc(&mut lx);
    clock::timers(&mut lx);
    machine::shutdown(&mut lx);
    machine::no_acpi(&mut lx);
    machine::power_management(&mut lx);
    firmware::boot(&mut lx);
    let before_controllers = lx.env.behaves(Quirk::IommuBeforeControllers);
    if before_controllers {
        Iommu::lower_all(&devices.iommus, &mut lx);
    }
    crate::device::controller::lower::all(&mut lx);
    if !before_controllers {
        Iommu::lower_all(&devices.iommus, &mut lx);
    }
    crate::device::iommu::family::behind_controllers(&mut lx);
    lower_at(Moment::First, &mut lx);
    crate::device::controller::lower::smartcard_readers(&mut lx);
    disk::lower::floppy_controller(&mut lx);
    lower_at(Moment::Devices, &mut lx);
    machine::incoming(&mut lx);
    lower_at(Moment::Late, &mut lx);
    machine::vmcoreinfo(&mut lx);
    security::launch(&mut lx);
    crate::device::hostdev::lower::initiators(&mut lx);
    handed::arguments(&mut lx);
    machine::sandbox(&mut lx);
    lower_at(Moment::Last, &mut lx);
    machine::async_teardown(&mut lx);
    lower_at(Moment::End, &mut lx);
    machine::msg(&mut lx);
    let secret_values = std::mem::take(&mut lx.secret_values);
    Lowered { plan: finish(lx), secret_values }
}

/// The general part of the Plan.
fn head(lx: &mut Lower<'_>) {
    let domain = lx.domain;
    let text = |v: &'static str| Text::Borrowed(v);
    lx.plan.name = domain.name().to_string();
    if let Some(start) = lx.env.host.start(&lx.plan.name) {
        lx.plan.after.clone_from(&start.after);
        lx.plan.wants.clone_from(&start.wants);
    }
    lx.plan.uuid = lx.must(domain.uuid.map(|u| u.to_string()), "the UUID of the domain", domain.site);
    lx.plan.title = domain.title.clone();
    lx.plan.target = lx.env.options.target;
    lx.plan.instance = match lx.env.host.instance.mode {
        crate::host::InstanceMode::System => Instance::System,
        crate::host::InstanceMode::Session => Instance::Session,
    };
    lx.plan.accelerator = match domain.kind() {
        DomainKind::Kvm => Accelerator::Kvm,
        DomainKind::Qemu => Accelerator::Tcg,
        _ => Accelerator::Other,
    };
    lx.plan.lifecycle = Lifecycle {
        on_poweroff: text(domain.on_poweroff.map_or("destroy", |a| a.as_str())),
        on_reboot: text(domain.on_reboot.map_or("restart", |a| a.as_str())),
        on_crash: text(domain.on_crash.map_or("destroy", |a| a.as_str())),
        is_handed_through: false,
    };
    lx.plan.limits.vcpus = domain.vcpu.as_ref().and_then(|v| v.count).unwrap_or(1);
    lx.plan.limits.memory = domain.memory.as_ref().map_or(0, |m| m.amount.size.0);
}

/// What devices of the host make QEMU lock: all of the guest's memory, for each NVMe drive and each vDPA device once more, and
/// once more for each device by VFIO where an IOMMU of the guest keeps them apart, and 1 GiB for what they map besides; or
/// what the domain may have at all (the rule of libvirt's `qemuDomainGetMemLockLimitBytes`).
fn locked(lx: &Lower<'_>) -> Option<u64> {
    let plan = &lx.plan;
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let nvme = count(lx.devices.disks.iter().filter(|d| matches!(d.source.location, Location::Nvme(_))).count());
    let vdpa = count(lx.devices.interfaces.iter().filter(|i| i.kind == Some(InterfaceType::Vdpa)).count());
    let lent = plan.lent.iter().filter(|l| !matches!(l.device, LentDevice::Usb { .. } | LentDevice::UsbPort { .. }));
    let vfio = count(lent.count()).saturating_sub(nvme);
    let apart = if lx.devices.iommus.is_empty() { vfio.min(1) } else { vfio };
    let times = nvme + vdpa + apart;
    if times == 0 {
        return None;
    }
    let all = plan.limits.memory.saturating_mul(times).saturating_add(1 << 30);
    Some(plan.limits.memory_hard.unwrap_or(all))
}

/// Puts QEMU's process into the Plan.
fn finish(mut lx: Lower<'_>) -> Plan {
    let env = monitor::environment(&lx);
    let cause = lx.cause(lx.domain.site, "the domain");
    if lx.plan.accelerator == Accelerator::Kvm {
        lx.touch(nodes::KVM, Grant::SYSTEM_NODE, Use::Accelerator, lx.domain.site, "the domain: type='kvm'");
    }
    if lx.plan.accelerator != Accelerator::Kvm {
        lx.need(Need::Code, lx.domain.site, "the domain: its instructions are emulated");
    }
    limits::granted_nodes(&mut lx);
    limits::limits(&mut lx);
    lx.plan.limits.locked = locked(&lx);
    lx.plan.confinement = confinement::confinement(&mut lx);
    real::settle(&mut lx);
    policy::check(&mut lx);
    let program = lx.must(lx.devices.emulator.clone(), "the path of the emulator", lx.domain.site);
    lx.plan.processes.push(Process {
        role: Role::Qemu,
        id: "qemu".to_string(),
        program,
        args: lx.args,
        env,
        descriptors: lx.descriptors,
        ready: Ready::Monitor,
        capabilities: disk::lower::capabilities(&lx.devices.disks),
        needs: lx.needs,
        cause,
        ..Process::default()
    });
    lx.plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::profiles;
    use crate::diag::Diagnostics;
    use crate::host::Host;
    use crate::stage::{Env, Options};
    use crate::vocab::Arch;

    #[test]
    fn what_no_pass_has_filled_in_is_told_as_a_bug() {
        let text = b"<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory>\
            <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>";
        let mut diags = Diagnostics::new();
        let doc = crate::xml::parse(text, &mut diags);
        let bound = crate::domain::bind(&doc, &|_| false, &mut diags).expect("a domain");
        let caps = profiles::default(Arch::X86_64).expect("an embedded profile");
        let (host, options) = (Host::default(), Options::default());
        let env = Env { host: &host, caps: &caps, flags: caps.flags, options: &options };
        let mut cx = Cx { env, doc: &doc, diags: &mut diags };
        let machine = crate::resolve::resolve(&mut bound.clone(), &mut cx);
        assert!(!cx.diags.has_errors());
        lower(&bound, &machine, &mut cx);
        assert!(diags.iter().any(|d| d.code.id == "VC0999" && d.message.contains("UUID")), "{diags:?}");
    }
}
