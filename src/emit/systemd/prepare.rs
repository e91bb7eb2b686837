//! What is done before a process starts and behind its end. Folders, files and their owners are declared (`emit/tmpfiles`,
//! `emit/udev`); what is left is a line of a program each, and no shell. Lines with `+` are root's: they touch nothing that a
//! guest can have made. The others run as the account of the machine, confined like it.

use super::{Lines, credentials};
use crate::emit::fit::Fitter;
use crate::emit::names::Names;
use crate::emit::shaping;
use crate::emit::tmpfiles;
use crate::escape::{ApparmorName, Escaped, ExecArg, ExecProgram};
use crate::plan::{
    Cause, Directory, DirectoryRole, Instance, LentDevice, Link, LinkKind, Overlay, Plan, Process, Ready, Role,
};

/// The helper of units: it speaks with QEMU's own monitor for them.
pub const HELPER: &str = "/usr/lib/virtc/qmp";

/// How long a helper has to make its socket.
const SOCKET_SECONDS: &str = "60";

/// How long QEMU has to start its guest: it may have to lock or to clear all of a large memory before. (One that dies is seen
/// at once.) [`START_LIMIT`] is what systemd allows for it, and for what is done before.
const START_SECONDS: &str = "300";

/// The longest time of a start.
pub const START_LIMIT: &str = "6min";

/// How long a guest has to power off.
const STOP_SECONDS: &str = "90";

/// The lines before the start.
pub fn before(plan: &Plan, process: &Process, names: &Names, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if plan.instance == Instance::Session {
        return;
    }
    let mut pre = Commands { key: "ExecStartPre", fit, lines };
    // Before the first of its processes, and before its profile replaces one of the same name.
    let confined = plan.confinement.apparmor.is_some() || plan.confinement.selinux.is_some();
    let alone = confined || !plan.confinement.own_account;
    let links = plan.access.iter().any(|a| a.process == process.id && a.may_be_behind_link());
    let file = format!("/{}", names.share("plan.json"));
    match (alone, links) {
        (true, true) => pre.run("+", HELPER, &["alone", &file, "links"], &Cause::default()),
        (true, false) => pre.run("+", HELPER, &["alone", &file], &Cause::default()),
        (false, true) => pre.run("-+", HELPER, &["links", &file], &Cause::default()),
        (false, false) => {}
    }
    // Helpers start first, under child profiles of the same file.
    if let Some(apparmor) = plan.confinement.apparmor.as_ref().filter(|a| a.generated)
        && let Some(name) = pre.fit.fit::<ApparmorName>(&apparmor.profile, &apparmor.cause)
    {
        // Fails where there is no AppArmor; where there is, AppArmorProfile= fails when this has.
        let file = format!("/etc/apparmor.d/libvirt/{name}");
        pre.run("-+", "/usr/sbin/apparmor_parser", &["--replace", &file], &apparmor.cause);
    }
    let copied = plan.files.iter().find(|file| tmpfiles::is_copied_at_start(file));
    if let Some(file) = copied.filter(|_| process.role == Role::Qemu) {
        pre.run("+", HELPER, &["copy", &format!("/{}", names.share("plan.json"))], &file.cause);
    }
    if tmpfiles::is_needed(plan) {
        // A file that cannot be prepared may be usable as it is; if it is not, QEMU says so.
        let file = format!("/{}", tmpfiles::path(names));
        pre.run("-+", "systemd-tmpfiles", &["--create", &file], &Cause::default());
    }
    // One that was killed leaves its socket, at which the next one cannot listen. (Behind the end of a helper nothing may
    // run: systemd would make the run-time folder again, which QEMU's service has removed.)
    if let Ready::Socket(socket) = &process.ready {
        pre.run("-", HELPER, &["remove", socket], &Cause::default());
    }
    if process.role != Role::Qemu {
        return;
    }
    for lent in plan.lent.iter().filter(|l| !l.optional) {
        if let Some(name) = usb_name(&lent.device) {
            pre.run("", HELPER, &["usb", &name], &lent.cause);
        }
    }
    for bridge in plan.bridges.iter().filter(|b| b.dhcp.is_none()) {
        pre.run("-+", IP, &["link", "add", "name", &bridge.name, "type", "bridge"], &bridge.cause);
        for address in &bridge.addresses {
            pre.run("+", IP, &["address", "replace", address, "dev", &bridge.name], &bridge.cause);
        }
        pre.run("+", IP, &["link", "set", "dev", &bridge.name, "up"], &bridge.cause);
    }
    for link in taps(plan) {
        make_tap(plan, link, &mut pre);
    }
    for overlay in &plan.overlays {
        pre.run("", Overlay::PROGRAM, &overlay.arguments(&overlay.path), &overlay.cause);
    }
}

/// The programs that make ready what the process finds.
pub fn set_up(plan: &Plan, process: &Process, names: &Names, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let credentials = credentials::paths(plan, process, names);
    let in_unit = |text: &String| credentials.iter().fold(text.clone(), |text, (s, path)| text.replace(&s.path, path));
    for setup in plan.setups.iter().filter(|s| s.process == process.id) {
        let Some(program) = fit.fit::<ExecProgram>(&setup.program, &setup.cause) else { continue };
        let args = Vec::from_iter(setup.args.iter().map(&in_unit));
        let words = Vec::from_iter(args.iter().map(String::as_str));
        let prefix = if setup.optional { "-" } else { "" };
        Commands { key: "ExecStartPre", fit, lines }.run_program(prefix, program, &words, &setup.cause);
    }
}

/// How the helper of units knows a USB device: by what it is, or by where it is plugged in.
fn usb_name(device: &LentDevice) -> Option<String> {
    match device {
        LentDevice::Usb { vendor, product } => Some(format!("{vendor:04x}:{product:04x}")),
        LentDevice::UsbPort { bus, port } => Some(format!("{bus}-{port}")),
        LentDevice::Pci(_) | LentDevice::Mdev(_) => None,
    }
}

/// The lines behind the start, which is done when they are.
pub fn started(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let mut post = Commands { key: "ExecStartPost", fit, lines };
    if let Ready::Socket(socket) = &process.ready {
        post.run("", HELPER, &["socket", socket, SOCKET_SECONDS], &process.cause);
    }
    let Some(control) = plan.control().filter(|_| process.role == Role::Qemu) else { return };
    let mut words = vec!["wait", &*control.path, START_SECONDS];
    words.extend((plan.starts_paused || plan.awaits_state).then_some("--paused"));
    post.run("", HELPER, &words, &control.cause);
    let pins: Vec<String> = pins(plan);
    if let Some(first) = plan.limits.pins.first().filter(|_| !pins.is_empty()) {
        let words = ["pin", &*control.path].into_iter().chain(pins.iter().map(String::as_str));
        post.run("-", HELPER, &Vec::from_iter(words), &first.cause);
    }
    for histogram in &plan.histograms {
        let starts = Vec::from_iter(histogram.boundaries.iter().map(u64::to_string)).join(",");
        let what = format!("{}={starts}", histogram.argument());
        post.run("-", HELPER, &["histogram", &control.path, &histogram.device, &what], &histogram.cause);
    }
}

/// `vcpu0=2-3`: the threads that have CPUs of their own.
fn pins(plan: &Plan) -> Vec<String> {
    plan.limits.pins.iter().map(|p| format!("{}={}", p.thread, p.cpus)).collect()
}

/// The lines behind the end.
pub fn after(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let mut post = Commands { key: "ExecStopPost", fit, lines };
    if process.role != Role::Qemu {
        return;
    }
    for directory in plan.directories.iter().filter(|d| d.role == DirectoryRole::Memory) {
        post.run("-", HELPER, &["remove", &directory.path], &directory.cause);
    }
    for overlay in &plan.overlays {
        post.run("-", HELPER, &["remove", &overlay.path], &overlay.cause);
    }
    if plan.instance == Instance::System {
        for link in taps(plan) {
            // As a tap: an interface of another kind that has this name is not touched.
            post.run("-+", IP, &tap_words("del", link), &link.cause);
        }
    }
}

/// Asks the guest to power off.
pub fn stop(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let Some(control) = plan.control() else { return };
    Commands { key: "ExecStop", fit, lines }.run(
        "-",
        HELPER,
        &["powerdown", &control.path, STOP_SECONDS],
        &control.cause,
    );
}

/// Whether a process uses a directory without owning it: root's helper works in the run-time directory of the domain's
/// user, and systemd would give it to root while another helper starts.
pub fn is_lent(process: &Process, directory: &Directory) -> bool {
    directory.role == DirectoryRole::Runtime && process.user.as_deref() == Some("root")
}

/// Whether a directory is one of a process: the run-time directory is everybody's, others are of those that touch what
/// is in them, else QEMU's.
pub fn uses(plan: &Plan, process: &Process, directory: &Directory) -> bool {
    if directory.role == DirectoryRole::Runtime {
        return true;
    }
    let touches = |id: &str| {
        let below =
            |path: &str| path.strip_prefix(&*directory.path).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        plan.access.iter().any(|a| a.process == id && below(&a.path))
    };
    touches(&process.id)
        || (process.role == Role::Qemu && !plan.processes.iter().any(|p| p.role != Role::Qemu && touches(&p.id)))
}

const IP: &str = "/usr/sbin/ip";
const TC: &str = "/usr/sbin/tc";

/// The taps that the unit makes. (A macvtap has a descriptor, which a unit cannot hand over.)
fn taps(plan: &Plan) -> impl Iterator<Item = &Link> {
    plan.links.iter().filter(|l| l.managed && !l.name.is_empty() && l.kind == LinkKind::Tap)
}

/// `tuntap add|del dev NAME mode tap`
fn tap_words<'a>(action: &'static str, link: &'a Link) -> Vec<&'a str> {
    let mut words = vec!["tuntap", action, "dev", &link.name, "mode", "tap"];
    words.extend((link.queues > 1).then_some("multi_queue"));
    words
}

fn make_tap(plan: &Plan, link: &Link, pre: &mut Commands<'_, '_>) {
    let name = link.name.as_str();
    let user = plan.confinement.user.as_deref().unwrap_or("root").trim_start_matches('+');
    let mut add = tap_words("add", link);
    add.extend(["user", user, "vnet_hdr"]);
    // An interface of another kind that has this name ends the start here.
    pre.run("+", IP, &add, &link.cause);
    let mut set = vec!["link", "set", "dev", name];
    // A bridge takes the lowest address of its ports as its own; fe: is above all others.
    let address = link.mac.split_once(':').map(|(_, rest)| format!("fe:{rest}"));
    if let Some(address) = &address {
        set.extend(["address", address]);
    }
    if let Some(bridge) = &link.over {
        set.extend(["master", bridge]);
    }
    let mtu = link.mtu.map(|mtu| mtu.to_string());
    if let Some(mtu) = &mtu {
        set.extend(["mtu", mtu]);
    }
    set.extend(link.up.then_some("up"));
    pre.run("+", IP, &set, &link.cause);
    for words in shaping::commands(link) {
        let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        pre.run("+", TC, &words, &link.cause);
    }
}

/// Commands of one kind of line.
struct Commands<'a, 'b> {
    key: &'static str,
    fit: &'a mut Fitter<'b>,
    lines: &'a mut Lines,
}

impl Commands<'_, '_> {
    /// A line that runs a program; nothing if a value does not fit.
    fn run(&mut self, prefix: &'static str, program: &'static str, arguments: &[&str], cause: &Cause) {
        self.run_program(prefix, Escaped::<ExecProgram>::literal(program), arguments, cause);
    }

    fn run_program(&mut self, prefix: &'static str, program: Escaped<ExecProgram>, arguments: &[&str], cause: &Cause) {
        let mut escaped = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match self.fit.fit::<ExecArg>(argument, cause) {
                Some(argument) => escaped.push(argument),
                None => return,
            }
        }
        // What is undone is told where it is done.
        if self.key == "ExecStopPost" {
            self.lines.from(cause);
        } else {
            self.lines.because(cause);
        }
        self.lines.push(self.key, Escaped::command(prefix, program, escaped));
    }
}
