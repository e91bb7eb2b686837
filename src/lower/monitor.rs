//! Monitor, environment, and the state in which QEMU starts.

use crate::caps::Cap;
use crate::domain::qemu::QemuEnv;
use crate::plan::{Directory, DirectoryRole, Props, Screen, Socket, SocketRole, Text};
use crate::stage::Lower;
use crate::stage::Quirk;
use crate::vocab::SCREEN;

/// `-S`: a controller starts the CPUs when it is ready. Nobody does that for a standalone guest.
pub fn stopped(lx: &mut Lower<'_>) {
    if lx.env.has_parent() {
        lx.plan.starts_paused = true;
        lx.switch("-S", "default: the controller starts the CPUs");
    }
}

/// The QMP monitor: `-chardev`, and `-object` or, before QEMU 11.1, `-mon`.
pub fn monitor(lx: &mut Lower<'_>) {
    let site = lx.domain.site;
    let mut chardev = Props::new();
    chardev.bare("socket").set("id", "charmonitor");
    if lx.hands_over_chardevs() {
        let fd = lx.descriptor("monitor socket");
        chardev.set("fd", fd);
    } else if lx.env.has_parent() {
        chardev.set("path", format!("{}/monitor.sock", lx.paths.lib));
    } else {
        let path = format!("{}/monitor.sock", lx.paths.run);
        chardev.set("path", path.clone());
        let cause = lx.default_cause("default: QMP monitor");
        lx.plan.sockets.push(Socket {
            role: SocketRole::Monitor,
            path,
            process: "qemu".to_string(),
            cause: cause.clone(),
        });
        lx.plan.screen = Some(Screen {
            path: format!("{}/{SCREEN}", lx.paths.run),
            process: "qemu".to_string(),
            cause: lx.default_cause("default: what the guest shows, for virtc screenshot"),
        });
        let control = format!("{}/control.sock", lx.paths.run);
        lx.plan.sockets.push(Socket {
            role: SocketRole::Control,
            path: control,
            process: "qemu".to_string(),
            cause: lx.default_cause("default: QMP monitor of the unit"),
        });
        let path = lx.paths.run.clone();
        lx.plan.directories.push(Directory { role: DirectoryRole::Runtime, path, mode: 0o700, cause });
    }
    chardev.set("server", true).set("wait", false);
    lx.options("-chardev", chardev, site, "default: QMP monitor");
    if lx.has(Cap::ObjectMonitorQmp) && !lx.env.behaves(Quirk::MonitorByOption) {
        let mut object = Props::with("qom-type", "monitor-qmp");
        object.set("id", "monitor").set("chardev", "charmonitor");
        lx.object(object, site, "default: QMP monitor");
        return;
    }
    let mut mon = Props::with("chardev", "charmonitor");
    mon.set("id", "monitor").set("mode", "control");
    lx.options("-mon", mon, site, "default: QMP monitor");
}

/// The environment of QEMU: what libvirt passes on, or nothing that a unit does not set.
pub fn environment(lx: &Lower<'_>) -> Vec<(Text, String)> {
    let mut env: Vec<(Text, String)> = vec![("LC_ALL".into(), "C".to_string())];
    let launcher = &lx.env.host.environment;
    let get = |name: &str| launcher.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.clone());
    if lx.env.has_parent() {
        let pass = |env: &mut Vec<(Text, String)>, name: &'static str| {
            env.extend(get(name).map(|v| (Text::Borrowed(name), v)));
        };
        pass(&mut env, "LD_PRELOAD");
        pass(&mut env, "LD_LIBRARY_PATH");
        pass(&mut env, "PATH");
        let lib = &lx.paths.lib;
        env.push(("HOME".into(), lib.clone()));
        pass(&mut env, "USER");
        pass(&mut env, "LOGNAME");
        pass(&mut env, "TMPDIR");
        env.push(("XDG_DATA_HOME".into(), format!("{lib}/.local/share")));
        env.push(("XDG_CACHE_HOME".into(), format!("{lib}/.cache")));
        env.push(("XDG_CONFIG_HOME".into(), format!("{lib}/.config")));
    }
    env.extend(lx.variables.iter().cloned());
    // A variable without a value is an empty one.
    let value = |e: &QemuEnv| e.value.clone().unwrap_or_default();
    let own = lx.domain.qemu.env.iter().map(|e| (Text::Owned(e.name.clone()), value(e)));
    env.extend(own);
    env
}
