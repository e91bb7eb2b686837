//! What a service runs, as whom, and how it ends.

use super::{Lines, credentials, prepare};
use crate::emit::argv;
use crate::emit::fit::Fitter;
use crate::emit::names::Names;
use crate::emit::traced::Mark;
use crate::escape::{EnvAssignment, Escaped, ExecArg, ExecProgram, UnitPath, UnitWord};
use crate::plan::{Arg, Cause, DirectoryRole, Form, Instance, Loss, Plan, Process, Props, Role};

/// The `[Service]` lines of a process, but for limits and sandbox.
pub fn exec(plan: &Plan, process: &Process, names: &Names, fit: &mut Fitter<'_>, lines: &mut Lines) {
    lines.set("Type", "exec");
    identity(plan, process, fit, lines);
    directories(plan, process, fit, lines);
    for (key, value) in &process.env {
        lines.from(&process.cause);
        lines.maybe::<EnvAssignment>("Environment", fit.fit(&format!("{key}={value}"), &process.cause));
    }
    prepare::before(plan, process, names, fit, lines);
    prepare::set_up(plan, process, names, fit, lines);
    credentials::load(plan, process, fit, lines);
    if let Some((line, parts)) = command_line(plan, process, names, fit) {
        lines.in_parts("ExecStart", line, parts);
    }
    prepare::started(plan, process, fit, lines);
    if process.role == Role::Qemu {
        prepare::stop(plan, fit, lines);
        lines.set("KillMode", "mixed");
        lines.set("TimeoutStartSec", prepare::START_LIMIT);
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
    prepare::after(plan, process, fit, lines);
}

/// What QEMU does by itself at the end of a run, where no runner decides: the value of `-action`. A crash that is
/// to be followed by a new start has to end in failure.
fn actions(plan: &Plan, process: &Process) -> Option<Escaped<ExecArg>> {
    if process.role != Role::Qemu || plan.lifecycle.is_handed_through {
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

/// `ExecStart=`: as many arguments a line as a person reads; and what each of them comes from.
fn command_line(
    plan: &Plan,
    process: &Process,
    names: &Names,
    fit: &mut Fitter<'_>,
) -> Option<(Escaped<ExecArg>, Vec<Mark>)> {
    let program = fit.fit::<ExecProgram>(&process.program, &process.cause)?;
    for name in process.descriptors.iter().filter_map(|d| d.link.as_deref()) {
        let link = plan.links.iter().find(|l| l.name == name);
        let message = "a unit cannot open a macvtap for QEMU: its number is only known at run time";
        let help = "start the machine with `virtc run`, or use <interface type='bridge'>";
        fit.only_by_run(link.map_or(&process.cause, |l| &l.cause), message, help);
    }
    let mut line = Escaped::command("", program, []);
    let mut parts = vec![Mark { range: 0..line.as_str().len(), cause: process.cause.clone() }];
    let mut complete = true;
    let mut value = String::new();
    let mut width = Width::FULL;
    let credentials = credentials::paths(plan, process, names);
    for arg in process.args.iter().chain(&of_unit(plan, process)) {
        value.clear();
        let changed = (!credentials.is_empty()).then(|| credentials::in_unit(arg, &credentials));
        let has_value = argv::write_value_of(&mut value, changed.as_ref().unwrap_or(arg));
        let switch = fit.fit::<ExecArg>(&arg.switch, &arg.cause);
        let value = has_value.then(|| fit.fit::<ExecArg>(&value, &arg.cause));
        let before = line.as_str().len();
        match (switch, value) {
            (Some(switch), None) => width.add(&mut line, &switch, None),
            (Some(switch), Some(Some(value))) => width.add(&mut line, &switch, Some(&value)),
            _ => complete = false,
        }
        // Without the blanks, the backslash and the line break between it and the last one.
        let added = line.as_str().get(before..).unwrap_or_default();
        let start = before + (added.len() - added.trim_start_matches([' ', '\\', '\n']).len());
        parts.push(Mark { range: start..line.as_str().len(), cause: arg.cause.clone() });
    }
    if let Some(actions) = actions(plan, process) {
        width.add(&mut line, &Escaped::literal("-action"), Some(&actions));
    }
    complete.then_some((line, parts))
}

/// How far the last line of a command is written.
struct Width(usize);

impl Width {
    /// Longer lines than this are continued on the next one.
    const LONGEST: usize = 150;
    /// The same where arguments are JSON.
    const LONGEST_JSON: usize = 240;
    /// Nothing more fits.
    const FULL: Width = Width(Width::LONGEST_JSON);

    fn add(&mut self, line: &mut Escaped<ExecArg>, switch: &Escaped<ExecArg>, value: Option<&Escaped<ExecArg>>) {
        let length = switch.as_str().len() + value.map_or(0, |v| v.as_str().len() + 1) + 1;
        let json = value.is_some_and(|v| v.as_str().starts_with("'{"));
        if self.0 + length > if json { Width::LONGEST_JSON } else { Width::LONGEST } {
            line.continued(switch);
            self.0 = 4 + length;
        } else {
            line.and(switch);
            self.0 += length;
        }
        if let Some(value) = value {
            line.and(value);
        }
    }
}

/// Arguments that only the unit needs: its own monitor, and the group that may connect to the socket of root's helper.
fn of_unit(plan: &Plan, process: &Process) -> Vec<Arg> {
    let group = plan.confinement.group.as_deref().filter(|_| process.user.as_deref() == Some("root"));
    match (process.role, plan.control(), group) {
        (Role::Qemu, Some(control), _) => {
            let mut chardev = Props::new();
            chardev.bare("socket").set("id", "charcontrol").set("path", control.path.clone());
            chardev.set("server", true).set("wait", false);
            let cause = || control.cause.clone();
            let monitor = if plan.qemu.monitor_objects {
                let mut object = Props::with("qom-type", "monitor-qmp");
                object.set("id", "control").set("chardev", "charcontrol");
                Arg::props("-object", object, Form::Json, cause())
            } else {
                let mut monitor = Props::with("chardev", "charcontrol");
                monitor.set("id", "control").set("mode", "control");
                Arg::props("-mon", monitor, Form::Options, cause())
            };
            vec![Arg::props("-chardev", chardev, Form::Options, cause()), monitor]
        }
        (Role::Virtiofsd, _, Some(group)) => {
            vec![Arg::switch(format!("--socket-group={}", group.trim_start_matches('+')), process.cause.clone())]
        }
        _ => Vec::new(),
    }
}

/// `User=` and its kin.
fn identity(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if plan.instance == Instance::Session {
        return;
    }
    let whole = &plan.confinement;
    let cause = Cause { what: "user and group".into(), ..Cause::default() };
    if let Some(user) = process.user.as_ref().or(whole.user.as_ref()) {
        lines.from(&process.cause);
        lines.maybe("User", account(user, &cause, fit));
    }
    // That of an account of its own has the same name.
    let group =
        whole.group.as_ref().filter(|_| !whole.own_account || process.user.is_some() || whole.group != whole.user);
    if let Some(group) = process.group.as_ref().or(group) {
        lines.from(&process.cause);
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

/// The run-time directory and those in it, which systemd makes and removes. All processes of a machine share it, and the last one to go
/// is QEMU. (`emit/tmpfiles` makes the others, and this one for helpers of root's.)
fn directories(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let Some(directory) = plan.run_dir().filter(|d| !prepare::is_lent(process, d)) else { return };
    let own = plan.directories.iter().filter(|d| d.role == DirectoryRole::Runtime);
    let (mut paths, mut causes) = (Vec::new(), Vec::new());
    for directory in own {
        let below: Result<Option<Escaped<UnitPath>>, _> = Escaped::below("/run", &directory.path);
        if let Some(path) = fit.take(below, &directory.cause).flatten() {
            paths.push(path);
            causes.push(&directory.cause);
        }
    }
    let parts = super::parts(&paths, causes);
    lines.in_parts("RuntimeDirectory", Escaped::words(paths), parts);
    lines.from(&directory.cause);
    lines.maybe::<UnitWord>("RuntimeDirectoryMode", fit.fit(&format!("0{:o}", directory.mode), &directory.cause));
    if plan.processes.len() > 1 {
        lines.set("RuntimeDirectoryPreserve", if process.role == Role::Qemu { "no" } else { "yes" });
    }
    if plan.instance == Instance::Session {
        state(plan, fit, lines);
        if process.role == Role::Qemu {
            copies(plan, fit, lines);
        }
    }
}

/// The files of a machine of a user that are copied from templates, where they are not there yet. (A cp that leaves one as it is may
/// call that a failure.)
fn copies(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    for file in &plan.files {
        let Some(template) = &file.template else { continue };
        let paths = (fit.fit::<ExecArg>(template, &file.cause), fit.fit::<ExecArg>(&file.path, &file.cause));
        if let (Some(template), Some(path)) = paths {
            let words = [Escaped::literal("-n"), Escaped::literal("--"), template, path];
            lines.from(&file.cause);
            lines.push("ExecStartPre", Escaped::command("-", Escaped::<ExecProgram>::literal("/bin/cp"), words));
        }
    }
}

/// What a machine of a user keeps: nobody but its unit makes the folders.
fn state(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    for directory in plan.directories.iter().filter(|d| d.role != DirectoryRole::Runtime) {
        if let Some(path) = fit.fit::<ExecArg>(&directory.path, &directory.cause) {
            let words = [Escaped::literal("-p"), Escaped::literal("-m"), Escaped::literal("0700"), path];
            lines.from(&directory.cause);
            lines.push("ExecStartPre", Escaped::command("", Escaped::<ExecProgram>::literal("/bin/mkdir"), words));
        }
    }
}
