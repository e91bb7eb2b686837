//! What belongs to the machine as a whole.

use super::Lower;
use crate::domain::DomainKind;
use crate::domain::clock::ClockOffset;
use crate::host::Seccomp;
use crate::plan::{Arg, Props};
use crate::vocab::OnOff;

/// `-name`
pub fn name(lx: &mut Lower<'_>) {
    let mut props = Props::with("guest", lx.domain.name().to_string());
    props.set("debug-threads", true);
    let site = lx.domain.site;
    lx.options("-name", props, site, "name");
}

/// The master key under which libvirt encrypts secrets.
pub fn master_key(lx: &mut Lower<'_>) {
    if lx.env.is_libvirt() {
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
    let dump = lx.domain.memory.as_ref().and_then(|m| m.dump_core);
    props.set("dump-guest-core", dump.map_or(lx.env.host.instance.dump_guest_core, OnOff::is_on));
    let features = lx.domain.features.as_ref();
    if let Some(smm) = features.and_then(|f| f.smm.as_ref()) {
        props.set("smm", smm.is_on());
    }
    if let Some(vmport) = features.and_then(|f| f.vmport.as_ref()) {
        props.set("vmport", vmport.is_on());
    }
    if let Some(id) = lx.ram_id() {
        props.set("memory-backend", id);
    }
    if lx.machine.arch.is_x86() {
        props.set("acpi", features.is_some_and(|f| f.acpi));
    }
    let site = lx.domain.os.as_ref().and_then(|os| os.kind.as_ref()).map_or(lx.domain.site, |t| t.site);
    lx.options("-machine", props, site, "machine");
}

/// `-accel`
pub fn accel(lx: &mut Lower<'_>) {
    let mut props = Props::new();
    props.bare(match lx.domain.kind() {
        DomainKind::Kvm => "kvm",
        DomainKind::Hvf => "hvf",
        _ => "tcg",
    });
    let site = lx.domain.site;
    lx.options("-accel", props, site, "type of the domain");
}

/// `-uuid`
pub fn uuid(lx: &mut Lower<'_>) {
    let uuid = lx.domain.uuid.map(|u| u.to_string()).unwrap_or_default();
    let site = lx.domain.site;
    lx.text("-uuid", uuid, site, "uuid");
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

/// `-rtc`
pub fn rtc(lx: &mut Lower<'_>) {
    let Some(clock) = &lx.domain.clock else { return };
    let base = match clock.offset {
        Some(ClockOffset::Localtime) => "localtime",
        _ => "utc",
    };
    let site = clock.site;
    lx.options("-rtc", Props::with("base", base), site, "clock");
}

/// `-no-shutdown`: the controller decides what happens at the end.
pub fn shutdown(lx: &mut Lower<'_>) {
    if lx.env.is_libvirt() {
        lx.switch("-no-shutdown", "default: the controller decides what happens at the end");
    }
}

/// `-boot`
pub fn boot(lx: &mut Lower<'_>) {
    let mut props = Props::new();
    let menu = lx.domain.os.as_ref().and_then(|os| os.bootmenu.clone());
    if let Some(menu) = &menu {
        props.maybe("menu", menu.enable.map(|e| e.is_yes()));
        props.maybe("splash-time", menu.timeout);
    }
    props.set("strict", true);
    let site = menu.map_or(lx.domain.site, |m| m.site);
    lx.options("-boot", props, site, "boot");
}

/// `-sandbox`: QEMU's own seccomp filter.
pub fn sandbox(lx: &mut Lower<'_>) {
    use crate::caps::Cap;
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

/// The arguments of `<qemu:commandline>`.
pub fn handed_through(lx: &mut Lower<'_>) {
    for arg in &lx.domain.qemu.args {
        let cause = lx.cause(arg.site, "qemu:commandline");
        lx.args.push(Arg::switch(arg.value.clone(), cause));
    }
}

/// `-msg`
pub fn msg(lx: &mut Lower<'_>) {
    if lx.env.host.instance.log_timestamp {
        let site = lx.domain.site;
        lx.options("-msg", Props::with("timestamp", true), site, "default: time stamps in the log");
    }
}
