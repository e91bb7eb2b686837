//! What a service runs, as whom, and how it ends.

use super::Lines;
use super::prepare;
use crate::emit::Names;
use crate::emit::argv;
use crate::emit::escape::{EnvAssignment, Escaped, ExecArg, ExecProgram, UnitPath, UnitWord};
use crate::emit::fit::Fitter;
use crate::plan::{Cause, DirectoryRole, Instance, Loss, Plan, Process, Ready, Role};

/// The `[Service]` lines of a process, but for limits and sandbox.
pub fn exec(plan: &Plan, process: &Process, names: &Names, fit: &mut Fitter<'_>, lines: &mut Lines) {
    lines.set("Type", "exec");
    identity(plan, process, fit, lines);
    directories(plan, process, fit, lines);
    for (key, value) in &process.env {
        lines.maybe::<EnvAssignment>("Environment", fit.fit(&format!("{key}={value}"), &process.cause));
    }
    prepare::before(plan, process, fit, lines);
    lines.maybe("ExecStart", command_line(plan, process, fit));
    if let Ready::Socket(path) = &process.ready {
        prepare::wait_for_socket(plan, path, process, fit, lines);
    }
    if process.role == Role::Qemu {
        prepare::stop(plan, fit, lines);
        lines.set("KillMode", "mixed");
        lines.set("TimeoutStopSec", "2min");
        match (plan.lifecycle.on_poweroff.contains("restart"), plan.restarts_on_crash()) {
            (true, true) => lines.set("Restart", "always"),
            (true, false) => lines.set("Restart", "on-success"),
            (false, true) => lines.set("Restart", "on-failure"),
            (false, false) => {}
        }
        if plan.lifecycle.on_crash.starts_with("coredump") {
            let what = "a unit writes no dump of the guest's memory when the guest crashes".to_string();
            fit.runner_only(&Cause { what: "on_crash".into(), ..Cause::default() }, what);
        }
    }
    match Loss::of(plan, process) {
        Loss::Mended => lines.set("Restart", "always"),
        Loss::Fatal if process.role != Role::Qemu && plan.restarts_on_crash() => lines.set("Restart", "on-failure"),
        Loss::Fatal | Loss::Bearable => {}
    }
    prepare::after(plan, process, names, fit, lines);
}

/// What QEMU does by itself at the end of a run, where no runner decides: the value of `-action`. A crash that is
/// to be followed by a new start has to end in failure.
fn actions(plan: &Plan, process: &Process) -> Option<Escaped<ExecArg>> {
    if process.role != Role::Qemu || process.args.iter().any(|a| a.switch == "-action") {
        return None;
    }
    let life = &plan.lifecycle;
    let reboot = match life.on_reboot.as_ref() {
        "destroy" | "preserve" => Some("reboot=shutdown"),
        _ => None,
    };
    let preserve = life.on_poweroff == "preserve" || life.on_reboot == "preserve";
    let panic = match life.on_crash.as_ref() {
        "preserve" => Some("panic=pause"),
        "preserve-running" => Some("panic=none"),
        _ if plan.restarts_on_crash() => Some("panic=exit-failure"),
        _ => None,
    };
    let all = [reboot, preserve.then_some("shutdown=pause"), panic].into_iter().flatten();
    all.map(Escaped::literal).reduce(Escaped::comma)
}

/// `ExecStart=`: one switch a line.
fn command_line(plan: &Plan, process: &Process, fit: &mut Fitter<'_>) -> Option<Escaped<ExecArg>> {
    let program = fit.fit::<ExecProgram>(&process.program, &process.cause)?;
    if let Some(link) = process.descriptors.iter().find_map(|d| d.link.as_deref()) {
        let message = format!("a unit cannot open the macvtap {link} for QEMU, whose number is only known at run time");
        fit.out_of_range(&process.cause, message, "start it with `virtc run`, or join the device to a bridge");
    }
    let mut line = Escaped::command("", program, []);
    let mut complete = true;
    let mut value = String::new();
    for arg in &process.args {
        match fit.fit::<ExecArg>(&arg.switch, &arg.cause) {
            Some(switch) => line.continued(&switch),
            None => complete = false,
        }
        value.clear();
        if argv::write_value_of(&mut value, arg) {
            match fit.fit::<ExecArg>(&value, &arg.cause) {
                Some(value) => line.and(&value),
                None => complete = false,
            }
        }
    }
    if let Some(actions) = actions(plan, process) {
        line.continued(&Escaped::literal("-action"));
        line.and(&actions);
    }
    complete.then_some(line)
}

/// `User=` and its kin.
fn identity(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if plan.instance == Instance::Session {
        return;
    }
    let whole = &plan.confinement;
    let cause = Cause { what: "user and group".into(), ..Cause::default() };
    if let Some(user) = process.user.as_ref().or(whole.user.as_ref()) {
        lines.maybe("User", account(user, &cause, fit));
    }
    if let Some(group) = process.group.as_ref().or(whole.group.as_ref()) {
        lines.maybe("Group", account(group, &cause, fit));
    }
    if process.user.is_none() && !whole.groups.is_empty() {
        let groups: Vec<_> = whole.groups.iter().filter_map(|g| account(g, &cause, fit)).collect();
        lines.push("SupplementaryGroups", Escaped::words(groups));
    }
}

/// A user or group. libvirt's `+107` is the number 107; systemd takes a plain number for one.
pub fn account(name: &str, cause: &Cause, fit: &mut Fitter<'_>) -> Option<Escaped<UnitWord>> {
    let plain = name.strip_prefix('+').unwrap_or(name);
    let number = plain.parse::<u64>();
    let reserved = matches!(number, Ok(65_535) | Ok(4_294_967_295..));
    let fits = match number {
        Ok(_) => !reserved,
        Err(_) => {
            plain.len() <= 31
                && plain.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && plain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        }
    };
    if !fits {
        fit.out_of_range(
            cause,
            format!("'{name}' is no user or group that a systemd unit can name"),
            "use a name of letters, digits, '-' and '_', or a number below 4294967295 other than 65535",
        );
        return None;
    }
    fit.fit(plain, cause)
}

/// Directories that systemd makes by itself.
fn directories(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if plan.instance == Instance::Session {
        return;
    }
    for (role, base, key, mode_key) in [
        (DirectoryRole::Runtime, "/run", "RuntimeDirectory", "RuntimeDirectoryMode"),
        (DirectoryRole::State, "/var/lib", "StateDirectory", "StateDirectoryMode"),
        (DirectoryRole::Log, "/var/log", "LogsDirectory", "LogsDirectoryMode"),
    ] {
        let mut paths = Vec::new();
        let mut mode = None;
        for directory in plan
            .directories
            .iter()
            .filter(|d| d.role == role && prepare::uses(plan, process, d) && !prepare::is_lent(process, d))
        {
            let below: Result<Option<Escaped<UnitPath>>, _> = Escaped::below(base, &directory.path);
            if let Some(Some(path)) = fit.take(below, &directory.cause) {
                mode = Some(mode.map_or(directory.mode, |m: u32| m | directory.mode));
                paths.push(path);
            }
        }
        let Some(mode) = mode else { continue };
        lines.push(key, Escaped::words(paths));
        lines.maybe::<UnitWord>(mode_key, fit.fit(&format!("0{mode:o}"), &Cause::default()));
        if role == DirectoryRole::Runtime && plan.processes.len() > 1 {
            // The processes share it; the last one to go is QEMU.
            lines.set("RuntimeDirectoryPreserve", if process.role == Role::Qemu { "no" } else { "yes" });
        }
    }
}
