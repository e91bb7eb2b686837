//! First pass: what the XML leaves open.

use super::{addresses, consoles, controllers, cpu, firmware, guest};
use crate::caps::{Accel, Cap, retirement};
use crate::device::family;
use crate::device::memballoon::{Memballoon, MemballoonModel};
use crate::device::{audio, input, video};
use crate::diag::codes::{general as support, machine as codes};
use crate::domain::general::{CrashAction, LifecycleAction};
use crate::domain::os::{Boot, BootDevice, Os, OsKind, OsType};
use crate::domain::vcpu::{Placement, Vcpu};
use crate::domain::{Domain, DomainKind, clock};
use crate::schema;
use crate::stage::Quirk;
use crate::stage::{Board, Cx, Guess, Machine};
use crate::vocab::{Arch, Uuid, Value, sum, sum_from};
use crate::xml::Site;

/// Completes a domain up to, not including, addresses.
pub fn domain(domain: &mut Domain, cx: &mut Cx<'_>) -> Machine {
    super::scope::limit(domain, cx);
    general(domain, cx);
    super::guest_rules::boot_parameters(domain, cx);
    super::seclabel::defaults(domain, cx);
    let machine = machine(domain, cx);
    firmware::choose(domain, &machine, cx);
    cpu::defaults(domain, &machine, cx);
    guest::defaults(domain, &machine, cx);
    domain.devices.get_or_insert_default();
    consoles::pair(domain, cx);
    audio::implied::add_default(domain, cx);
    let mut devices = domain.devices.take().unwrap_or_default();
    input::family::add_implicit(domain, &mut devices, &machine);
    video::defaults::add_implicit(&mut devices, cx);
    devices.emulator.get_or_insert_with(|| cx.env.caps.emulator.to_string());
    crate::device::disk::sort(&mut devices.disks);
    controllers::number(&mut devices, cx);
    controllers::add_board(&mut devices, &machine, cx);
    let balloon = machine.has_default_balloon() && (!machine.arch.is_riscv() || cx.env.behaves(Quirk::RiscvHasBalloon));
    if devices.memballoons.is_empty() && balloon {
        devices.memballoons.push(Memballoon { model: Some(MemballoonModel::Virtio), ..Memballoon::default() });
    }
    crate::device::watchdog::family::add_board(&mut devices.watchdogs, &machine);
    crate::device::panic::family::add_board(&mut devices.panics, &machine);
    family::defaults(&mut devices, &machine, cx);
    controllers::add_for_disks(&mut devices, &machine, cx);
    addresses::add_controllers(&mut devices, &machine, cx);
    controllers::add_for_hostdevs(&mut devices, &machine, cx);
    domain.devices = Some(devices);
    machine
}

/// Name, UUID, memory, CPUs, lifecycle, clock.
fn general(domain: &mut Domain, cx: &mut Cx<'_>) {
    if domain.uuid.is_none() {
        // What the tables of the firmware tell is the machine's.
        domain.uuid = uuid_of_sysinfo(domain);
    }
    if domain.uuid.is_none() {
        let uuid = derived_uuid(domain.name());
        // A malformed one was told already.
        if cx.doc.root().is_none_or(|root| root.child("uuid").is_none()) {
            let message = format!("<uuid> is missing: {uuid} was derived from the name '{}'", domain.name());
            cx.derived(domain.site, message, format!("to keep it when the name changes, add <uuid>{uuid}</uuid>"));
        }
        domain.uuid = Some(uuid);
    }
    let vcpu = domain.vcpu.get_or_insert_with(|| Vcpu { count: Some(1), ..Vcpu::default() });
    vcpu.placement.get_or_insert(Placement::Static);
    domain.on_poweroff.get_or_insert(LifecycleAction::Destroy);
    domain.on_reboot.get_or_insert(LifecycleAction::Restart);
    domain.on_crash.get_or_insert(CrashAction::Destroy);
    let clock = domain.clock.get_or_insert_with(clock::Clock::default);
    clock.offset.get_or_insert(clock::ClockOffset::Utc);
    let _ = cx;
}

/// The UUID that `<sysinfo>` gives the machine.
fn uuid_of_sysinfo(domain: &Domain) -> Option<Uuid> {
    let systems = domain.sysinfo.iter().filter_map(|info| info.system.as_ref());
    systems.filter_map(|system| system.get("uuid")).find_map(|text| Uuid::parse(text).ok())
}

/// A UUID that depends on the name alone, so that the same file gives the same output.
fn derived_uuid(name: &str) -> Uuid {
    let (high, low) = (sum(name.bytes()), sum_from(0x6c62_272e_07bb_0142, name.bytes()));
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    Uuid::from_random(bytes)
}

/// Architecture, accelerator, machine type. What is wrong with them is reported, and the passes go on with a guess.
fn machine(domain: &mut Domain, cx: &mut Cx<'_>) -> Machine {
    let emulator =
        domain.devices.as_ref().and_then(|d| d.emulator.clone()).unwrap_or_else(|| cx.env.caps.emulator.to_string());
    let accel = accelerator(domain, &emulator, cx);
    let kind = domain.os.get_or_insert_with(Os::default).kind.get_or_insert_with(Default::default);
    os_type(kind, &emulator, cx);
    let (arch, foreign) = architecture(kind, &emulator, cx);
    let (name, guess) = machine_type(kind, accel, foreign, &emulator, cx);
    kind.machine = Some(name.clone());
    let os = domain.os.get_or_insert_with(Os::default);
    if os.boot.is_empty() && !has_boot_order(domain) {
        let boot = Boot { dev: Some(BootDevice::Hd), site: Site::NONE };
        domain.os.get_or_insert_with(Os::default).boot.push(boot);
    }
    Machine { arch, board: Board::of(arch, &name), name, accel, guess }
}

/// What runs the guest, by the type of the domain; emulation where there is none of that type.
fn accelerator(domain: &Domain, emulator: &str, cx: &mut Cx<'_>) -> Accel {
    let accel = match domain.kind() {
        DomainKind::Kvm => Accel::Kvm,
        DomainKind::Qemu => Accel::Tcg,
        DomainKind::Hvf => Accel::Hvf,
        DomainKind::Hyperv if cx.has(Cap::Mshv) => Accel::Mshv,
        other => {
            let message = format!("QEMU does not run domains of type '{other}'");
            cx.error_at(&support::DOMAIN_TYPE, domain.site, "type", message)
                .help("use type='kvm', or type='qemu' for emulation");
            return Accel::Tcg;
        }
    };
    // A binary probed without KVM may well run with it elsewhere; macOS' hypervisor is built in or not.
    let lacks = match accel {
        Accel::Hvf => !cx.has(Cap::Hvf),
        Accel::Kvm => cx.env.behaves(Quirk::AcceleratorMustBeProbed) && !cx.has(Cap::Kvm),
        Accel::Tcg => cx.env.behaves(Quirk::AcceleratorMustBeProbed) && !cx.has(Cap::Tcg),
        _ => false,
    };
    if lacks {
        let message = format!("'{emulator}' cannot run a <domain type='{}'>: it lacks this virt type", domain.kind());
        cx.error_at(&support::NOT_BY_QEMU, domain.site, "type", message);
        return Accel::Tcg;
    }
    accel
}

/// QEMU boots systems of type `hvm` only.
fn os_type(kind: &mut OsType, emulator: &str, cx: &mut Cx<'_>) {
    let own = *kind.kind.get_or_insert(OsKind::Hvm);
    if own != OsKind::Hvm {
        let message = format!("'{emulator}' runs guests of <type>hvm</type> only, not of type '{own}'");
        cx.error(&support::OS_TYPE, kind.site, message)
            .help("QEMU boots systems of type 'hvm'; the others are containers and guests of other hypervisors");
    }
}

/// The guest's architecture, and whether it is one that this QEMU does not emulate.
fn architecture(kind: &mut OsType, emulator: &str, cx: &mut Cx<'_>) -> (Arch, bool) {
    // libvirt takes the host's, whatever the emulator is for.
    let own = if cx.env.behaves(Quirk::ArchOfTheHost) { cx.env.host.machine.arch } else { cx.env.caps.arch };
    // Of a word that is none, which is told already, what was meant may be plain.
    let word = cx.doc.element(kind.site).and_then(|el| el.peek("arch")).map(|attr| attr.value());
    let unread = word.filter(|_| kind.arch.is_none()).is_some_and(|word| schema::architecture(word).is_none());
    let meant = word.and_then(schema::architecture).unwrap_or(own);
    let arch = *kind.arch.get_or_insert(meant);
    let foreign = !cx.env.caps.arch.runs(arch);
    if unread {
        return (arch, true);
    }
    if foreign {
        let qemu = cx.env.caps.arch;
        let message = format!("'{emulator}' is not an emulator for guests of arch '{arch}'");
        cx.error_at(&support::OTHER_ARCH, kind.site, "arch", message)
            .help(format!(
                "the capabilities in use are those of a QEMU for {qemu}; virtc probe qemu qemu-system-{0} > {0}.caps, and --caps {0}.caps, are those of another",
                arch.qemu_name()
            ));
    }
    (arch, foreign)
}

/// The machine type by the name that QEMU gives it.
fn machine_type(kind: &OsType, accel: Accel, foreign: bool, emulator: &str, cx: &mut Cx<'_>) -> (String, Guess) {
    let caps = cx.env.caps;
    let given = kind.machine.as_deref();
    if foreign {
        // Nothing is known of its machine types; most architectures have this one.
        return (given.unwrap_or("virt").to_string(), Guess::Any);
    }
    let default =
        || caps.default_machine(accel).or_else(|| caps.default_machine(Accel::Tcg)).map(|m| m.name.to_string());
    let Some(name) = given else {
        return match default() {
            Some(name) => (name, Guess::No),
            None => {
                let message = "no machine type is given, and this QEMU has no default";
                cx.error(&codes::UNKNOWN_MACHINE, kind.site, message);
                (String::new(), Guess::Any)
            }
        };
    };
    let known = |name: &str| caps.canonical_machine(accel, name).or_else(|| caps.canonical_machine(Accel::Tcg, name));
    if let Some(canonical) = known(name) {
        return (canonical.to_string(), Guess::No);
    }
    let message = format!("'{emulator}' has no machine type '{name}'");
    cx.error_at(&codes::UNKNOWN_MACHINE, kind.site, "machine", message).help(retirement::advice(caps, accel, name));
    match retirement::nearest(caps, accel, name).and_then(known) {
        Some(kin) => (kin.to_string(), Guess::Kin),
        None => (default().unwrap_or_else(|| name.to_string()), Guess::Any),
    }
}

fn has_boot_order(domain: &Domain) -> bool {
    let mut found = false;
    if let Some(devices) = &domain.devices {
        devices.each(&mut |d| found |= d.info().boot.is_some());
    }
    found
}
