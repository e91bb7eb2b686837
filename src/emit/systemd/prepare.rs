//! What has to be there before a process starts: `ExecStartPre=` lines of coreutils, iproute2 and the
//! tools of the security modules, run by systemd with full privileges (`+`). And what is undone behind it.

use super::Lines;
use super::scripts::*;
use crate::emit::Names;
use crate::emit::escape::{ApparmorName, Escaped, ExecArg, ExecProgram, SelinuxContext};
use crate::emit::fit::Fitter;
use crate::plan::{
    Access, Cause, Directory, DirectoryRole, Instance, Link, LinkKind, Overlay, OwnerRule, PathKind, Plan, Process,
    Ready, Role, Sharing,
};
use std::collections::BTreeSet;

/// The lines before the start.
pub fn before(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if plan.instance == Instance::Session {
        return;
    }
    let mut pre = Commands { key: "ExecStartPre", fit, lines };
    // Helpers start first, under child profiles of the same file.
    if let Some(apparmor) = plan.confinement.apparmor.as_ref().filter(|a| a.generated)
        && let Some(name) = pre.fit.fit::<ApparmorName>(&apparmor.profile, &apparmor.cause)
    {
        let links: Vec<&Access> = links(plan, process);
        if !links.is_empty() {
            let file = format!("/etc/apparmor.d/libvirt/{name}.links");
            let mut arguments = vec!["-ec", LINKS, "sh", &file];
            for access in links {
                arguments.extend([crate::emit::apparmor::letters(access.perms), &access.path]);
            }
            pre.run("+-", "/bin/sh", &arguments, &apparmor.cause);
        }
        // Fails where there is no AppArmor; where there is, AppArmorProfile= fails when this has.
        let file = format!("/etc/apparmor.d/libvirt/{name}");
        pre.run("+-", "/usr/sbin/apparmor_parser", &["--replace", &file], &apparmor.cause);
    }
    // systemd makes what is below its own base directories.
    let by_systemd = |path: &str, role| match role {
        DirectoryRole::Runtime => path.starts_with("/run/"),
        DirectoryRole::State => path.starts_with("/var/lib/"),
        DirectoryRole::Log => path.starts_with("/var/log/"),
        DirectoryRole::Memory => false,
    };
    let owner = owner(plan);
    {
        let own = plan.directories.iter().filter(|d| uses(plan, process, d));
        for directory in own.filter(|d| !by_systemd(&d.path, d.role) || is_lent(process, d)) {
            let mode = format!("0{:o}", directory.mode);
            pre.caused_script(FOLDER, &[&owner, &mode, &directory.path], &directory.cause);
        }
    }
    if process.role == Role::Qemu {
        for file in &plan.files {
            if let Some(template) = &file.template {
                pre.caused_script(COPY, &[&file.path, template, &owner], &file.cause);
            }
        }
        for overlay in &plan.overlays {
            let draft = format!("{NOTES}/{}.overlay", plan.uuid);
            let mut arguments = vec![overlay.path.as_str(), &draft, Overlay::PROGRAM];
            arguments.extend(overlay.arguments(&draft));
            pre.caused_script(OVERLAY, &arguments, &overlay.cause);
        }
        for bridge in &plan.bridges {
            let mut arguments = vec![bridge.name.as_str()];
            arguments.extend(bridge.addresses.iter().map(String::as_str));
            pre.script(BRIDGE, &arguments);
        }
        for link in plan.links.iter().filter(|l| l.managed && !l.name.is_empty()) {
            make_link(plan, link, &mut pre);
        }
    }
    let accesses = own(plan, process);
    // QEMU makes the file behind a character device itself, but may not write to its folder.
    let is_made =
        |a: &&&Access| a.kind == PathKind::File && a.perms.write && !a.perms.lock && !a.path.starts_with("/dev/");
    let mut made: Vec<&str> = accesses.iter().filter(is_made).map(|a| a.path.as_str()).collect();
    if !made.is_empty() {
        made.insert(0, &owner);
        pre.script(CREATE, &made);
    }
    let mut labels: Vec<&str> = Vec::new();
    let mut given: Vec<&str> = Vec::new();
    if let Some(selinux) = plan.confinement.selinux.as_ref().filter(|s| s.relabel) {
        // The domain's own folders; systemd makes those below /run, and gives them the label of /run.
        let folders = plan.directories.iter().filter(|d| d.role != DirectoryRole::Log);
        labels.extend(folders.flat_map(|d| [selinux.image.as_str(), d.path.as_str()]));
    }
    for access in &accesses {
        if let Some(context) = context(plan, access)
            && pre.fit.fit::<SelinuxContext>(context, &access.cause).is_some()
        {
            labels.extend([context, &access.path]);
        }
        if let OwnerRule::Domain { restore: false } = &access.owner
            && is_given(access)
        {
            given.push(&access.path);
        }
    }
    if !labels.is_empty() {
        pre.script(LABEL, &labels);
    }
    if !given.is_empty() {
        given.insert(0, &owner);
        pre.script(CHOWN, &given);
    }
    let note = note(plan, process);
    let back = given_back(plan, process);
    if !back.is_empty() {
        let mut arguments = vec![note.as_str()];
        arguments.extend(back.iter().flat_map(|(owner, path)| [owner.as_str(), path]));
        pre.script(REMEMBER, &arguments);
    }
}

/// The lines behind the end.
pub fn after(plan: &Plan, process: &Process, names: &Names, fit: &mut Fitter<'_>, lines: &mut Lines) {
    if plan.instance == Instance::Session {
        return;
    }
    let mut post = Commands { key: "ExecStopPost", fit, lines };
    let accesses = own(plan, process);
    let labelled = accesses.iter().filter(|a| a.restore_label && context(plan, a).is_some());
    let labelled: Vec<&str> = labelled.map(|a| a.path.as_str()).collect();
    if !labelled.is_empty() {
        post.script(UNLABEL, &labelled);
    }
    let note = note(plan, process);
    let back = given_back(plan, process);
    if !back.is_empty() {
        let mut arguments = vec![note.as_str()];
        arguments.extend(back.iter().map(|(_, path)| *path));
        post.script(GIVE_BACK, &arguments);
    }
    if let (Ready::Socket(socket), Some(folder), Some(qemu)) = (&process.ready, plan.run_dir(), plan.qemu()) {
        let unit = names.unit_name(qemu).to_string();
        post.run("+-", "/bin/sh", &["-ec", SWEEP, "sh", socket, &folder.path, &unit], &process.cause);
    }
    if process.role == Role::Qemu {
        for directory in plan.directories.iter().filter(|d| d.role == DirectoryRole::Memory) {
            post.run("+-", "/bin/rm", &["-rf", "--", &directory.path], &directory.cause);
        }
        for overlay in &plan.overlays {
            post.run("+-", "/bin/sh", &["-ec", REMOVE, "sh", &overlay.path], &overlay.cause);
        }
        for link in plan.links.iter().filter(|l| l.managed && !l.name.is_empty()) {
            post.run("+-", "/usr/sbin/ip", &["link", "delete", "dev", &link.name], &link.cause);
        }
    }
}

/// Asks the guest to power off.
pub fn stop(plan: &Plan, fit: &mut Fitter<'_>, lines: &mut Lines) {
    let Some(monitor) = plan.monitor() else { return };
    let context = plan.confinement.selinux.as_ref().map_or("", |s| s.process.as_str());
    // user:role:type:range, and the range has colons of its own.
    let range = context.splitn(4, ':').nth(3).unwrap_or_default();
    let arguments = ["-c", STOP, "sh", &monitor.path, range];
    Commands { key: "ExecStop", fit, lines }.run("+-", "/bin/sh", &arguments, &monitor.cause);
}

/// Whether a process uses a directory without owning it: root's helper works in the run-time directory of the domain's
/// user, and systemd would give it to root while another helper starts.
pub fn is_lent(process: &Process, directory: &Directory) -> bool {
    directory.role == DirectoryRole::Runtime && process.user.as_deref() == Some("root")
}

/// Whether a directory is one of a process: the run-time directory is everybody's, others are of those that touch what
/// is in them, else QEMU's. systemd gives a directory to the user of the unit that names it.
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

/// Waits until a process that others connect to listens.
pub fn wait_for_socket(plan: &Plan, path: &str, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    // Neither the profile nor the sandbox of the process lets a shell run.
    let owner = if plan.instance == Instance::Session { String::new() } else { owner(plan) };
    Commands { key: "ExecStartPost", fit, lines }.caused_script(WAIT, &[path, &owner], &process.cause);
}

/// The devices of a process that may be named by a link, and where it leads only the host knows.
fn links<'a>(plan: &'a Plan, process: &Process) -> Vec<&'a Access> {
    let may_be = |a: &&Access| {
        let Some(name) = a.path.strip_prefix("/dev/") else { return false };
        let nodes = ["vfio/", "bus/usb/", "dri/", "net/", "snd/", "pts/", "shm/", "hugepages"];
        match a.kind {
            PathKind::BlockDevice | PathKind::CharDevice | PathKind::File => {
                // `sda1`, `nvme0n1`, `ttyS0` are the nodes themselves.
                name.contains('/') && !nodes.iter().any(|n| name.starts_with(n)) || name == "cdrom"
            }
            _ => false,
        }
    };
    own(plan, process).into_iter().filter(|a| a.resolved.is_none()).filter(may_be).collect()
}

/// The context that a file is given before the start.
fn context<'a>(plan: &'a Plan, access: &'a Access) -> Option<&'a str> {
    let selinux = plan.confinement.selinux.as_ref().filter(|s| s.relabel)?;
    crate::emit::selinux::context_of(selinux, access)
}

/// The accesses of a process to what is not part of the system, one a path.
fn own<'a>(plan: &'a Plan, process: &Process) -> Vec<&'a Access> {
    let mut seen = BTreeSet::new();
    let own = plan.access.iter().filter(|a| a.process == process.id && a.sharing != Sharing::System);
    own.filter(|a| seen.insert(a.path.as_str())).collect()
}

/// Whether a file is given to the account of the domain. What is only read is not: a guest could change the
/// permissions of files of its own.
fn is_given(access: &Access) -> bool {
    access.perms.write && access.sharing != Sharing::ReadOnly
}

/// The files that are given to an owner, and back at the end: owner and path.
fn given_back<'a>(plan: &'a Plan, process: &Process) -> Vec<(String, &'a str)> {
    let domain = owner(plan);
    let accesses = own(plan, process).into_iter();
    accesses
        .filter_map(|access| match &access.owner {
            OwnerRule::Domain { restore: true } if is_given(access) => Some((domain.clone(), access.path.as_str())),
            OwnerRule::Explicit(owner) => Some((owner.replace('+', ""), access.path.as_str())),
            _ => None,
        })
        .collect()
}

/// Where it is noted who had the files before; a folder of root's alone.
fn note(plan: &Plan, process: &Process) -> String {
    format!("{NOTES}/{}.{}", plan.uuid, process.id)
}

/// `user:group` of the domain.
fn owner(plan: &Plan) -> String {
    let confinement = &plan.confinement;
    let user = confinement.user.as_deref().unwrap_or("root").trim_start_matches('+');
    let group = confinement.group.as_deref().unwrap_or(user).trim_start_matches('+');
    format!("{user}:{group}")
}

fn make_link(plan: &Plan, link: &Link, pre: &mut Commands<'_, '_>) {
    let ip = "/usr/sbin/ip";
    let name = link.name.as_str();
    match link.kind {
        LinkKind::Tap => {
            let user = plan.confinement.user.as_deref().unwrap_or("root").trim_start_matches('+');
            let mut add = vec!["tuntap", "add", "dev", name, "mode", "tap", "user", user, "vnet_hdr"];
            if link.queues > 1 {
                add.push("multi_queue");
            }
            pre.run("+-", ip, &add, &link.cause);
            // A bridge takes the lowest address of its ports as its own; fe: is above all others.
            if let Some((_, rest)) = link.mac.split_once(':') {
                pre.run("+", ip, &["link", "set", "dev", name, "address", &format!("fe:{rest}")], &link.cause);
            }
            if let Some(bridge) = &link.over {
                pre.run("+", ip, &["link", "set", "dev", name, "master", bridge], &link.cause);
            }
        }
        LinkKind::Macvtap => {
            let below = link.over.as_deref().unwrap_or_default();
            pre.run("+", ip, &["link", "add", "link", below, "name", name, "type", "macvtap"], &link.cause);
            pre.run("+", ip, &["link", "set", "dev", name, "address", &link.mac], &link.cause);
        }
    }
    if let Some(mtu) = link.mtu {
        pre.run("+", ip, &["link", "set", "dev", name, "mtu", &mtu.to_string()], &link.cause);
    }
    pre.run("+", ip, &["link", "set", "dev", name, "up"], &link.cause);
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
        let mut escaped = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match self.fit.fit::<ExecArg>(argument, cause) {
                Some(argument) => escaped.push(argument),
                None => return,
            }
        }
        self.lines.push(self.key, Escaped::command(prefix, Escaped::<ExecProgram>::literal(program), escaped));
    }

    /// A line that runs a script of ours as root.
    fn script(&mut self, script: &'static str, arguments: &[&str]) {
        self.caused_script(script, arguments, &Cause::default());
    }

    /// The same for an entry of the Plan.
    fn caused_script(&mut self, script: &'static str, arguments: &[&str], cause: &Cause) {
        let mut all = vec!["-ec", script, "sh"];
        all.extend(arguments);
        self.run("+", "/bin/sh", &all, cause);
    }
}
