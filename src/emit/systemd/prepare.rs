//! What has to be there before a process starts: `ExecStartPre=` lines of coreutils, iproute2 and the
//! tools of the security modules, run by systemd with full privileges (`+`). And what is undone behind it.

use super::Lines;
use crate::emit::Names;
use crate::emit::escape::{ApparmorName, Escaped, ExecArg, ExecProgram, SelinuxContext};
use crate::emit::fit::Fitter;
use crate::plan::{
    Access, Cause, Directory, DirectoryRole, Instance, Link, LinkKind, Overlay, OwnerRule, PathKind, Plan, Process,
    Ready, Role, Sharing,
};
use std::collections::BTreeSet;

/// Makes a file from a template when it is missing: `$1` the file, `$2` the template, `$3` its owner.
const COPY: &str = r#"[ -e "$1" ] || { install -m 0600 -o "${3%%:*}" -g "${3#*:}" -- "$2" "$1"; }"#;

/// Makes files that are not there yet: the owner, then the files.
const CREATE: &str =
    r#"o=$1; shift; for f; do [ -e "$f" ] || install -m 0600 -o "${o%%:*}" -g "${o#*:}" /dev/null "$f"; done"#;

/// Labels files: context, file, context, file, … Nothing where SELinux is off.
const LABEL: &str = r#"[ -e /sys/fs/selinux/enforce ] || exit 0; while [ $# -gt 1 ]; do [ ! -e "$2" ] || chcon -- "$1" "$2"; shift 2; done"#;

/// Gives files the label that the policy has for their place.
const UNLABEL: &str = r#"[ -e /sys/fs/selinux/enforce ] || exit 0; restorecon -- "$@" || :"#;

/// Gives files to an owner: the owner, then the files.
const CHOWN: &str = r#"o=$1; shift; for f; do [ ! -e "$f" ] || chown -- "$o" "$f"; done"#;

/// Gives files to owners and notes who had them, a line a file (`-`: it is not there): the note, then owner, file,
/// owner, file, … A note that is there already is the true one. No guest may write to its folder.
const REMEMBER: &str = r#"f=$1; shift; if [ -e "$f" ]; then k=/dev/null; else install -d -m 0700 -- "${f%/*}"; k=$f; fi; while [ $# -gt 1 ]; do { stat -L -c %u:%g -- "$2" 2>/dev/null || echo -; } >>"$k"; [ ! -e "$2" ] || chown -- "$1" "$2"; shift 2; done"#;

/// Gives files back to those who had them: the note, then the files in its order.
const GIVE_BACK: &str = r#"f=$1; shift; [ -e "$f" ] || exit 0; for p; do read -r o || break; [ "$o" = - ] || [ ! -e "$p" ] || chown -- "$o" "$p" || :; done <"$f"; rm -f -- "$f""#;

/// Presses the power button and waits for QEMU to end: `$1` its monitor, `$2` the range of its SELinux context. By
/// virtc, or by what every Debian has. QEMU may only answer a client of its own range.
const STOP: &str = r#"[ -S "$1" ] || exit 0; r=; [ -z "$2" ] || [ ! -e /sys/fs/selinux/enforce ] || r="runcon -l $2"; if command -v virtc >/dev/null; then exec $r virtc stop --timeout 90 --socket "$1"; fi; exec $r perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => shift) or exit; alarm 90; <$s>; for (qw(qmp_capabilities system_powerdown)) { print $s qq({"execute":"$_"}\n); <$s> } 1 while <$s>' "$1""#;

/// Removes the socket of a helper, `$1`, and its folder, `$2`, if the service of QEMU, `$3`, is not there to do that. The
/// folder is a mount point in the unit's own view of the file system, even for a privileged command.
const SWEEP: &str = r#"rm -f -- "$1"; case $(systemctl is-active "$3") in *ctivating | active) exit 0 ;; esac; [ ! -d "$2" ] || exec nsenter --target 1 --mount -- rmdir --ignore-fail-on-non-empty -- "$2""#;

/// Makes a bridge that is missing: its name, then its addresses.
const BRIDGE: &str = r#"b=$1; shift; [ ! -e "/sys/class/net/$b" ] || exit 0; ip link add name "$b" type bridge 2>/dev/null || [ -e "/sys/class/net/$b" ]; for a; do ip address replace "$a" dev "$b"; done; ip link set dev "$b" up"#;

/// Waits up to 60 s for a socket, `$1`, as long as the process lives; gives it to QEMU, `$2`.
const WAIT: &str = r#"i=0; until [ -S "$1" ]; do [ $i -lt 600 ] && kill -0 "$MAINPID" || exit 1; i=$((i+1)); sleep 0.1; done; [ -z "$2" ] || chown -- "$2" "$1""#;

/// Writes rules for what links to devices lead to: the file, then letters, link, letters, link, …
/// Names below `/dev` belong to the kernel and to udev, and where they lead changes from boot to boot.
const LINKS: &str = r#"f=$1; shift; umask 022; : >"$f.new"; while [ $# -gt 1 ]; do t=$(readlink -f -- "$2") || t=; case $t in "$2") ;; /dev/*) printf '"%s" %s,\n' "$(printf %s "$t" | sed 's/[]["*?{}^\\]/\\&/g')" "$1" >>"$f.new";; esac; shift 2; done; mv -f -- "$f.new" "$f""#;

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
            let (user, group) = owner.split_once(':').unwrap_or((&owner, &owner));
            let arguments = ["-d", "-m", &mode, "-o", user, "-g", group, "--", &directory.path];
            pre.run("+", "/usr/bin/install", &arguments, &directory.cause);
        }
    }
    if process.role == Role::Qemu {
        for file in &plan.files {
            if let Some(template) = &file.template {
                pre.run("+", "/bin/sh", &["-ec", COPY, "sh", &file.path, template, &owner], &file.cause);
            }
        }
        for overlay in &plan.overlays {
            pre.run("+", Overlay::PROGRAM, &overlay.arguments(), &overlay.cause);
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
            post.run("+-", "/bin/rm", &["-f", "--", &overlay.path], &overlay.cause);
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
    let arguments = ["-ec", WAIT, "sh", path, &owner];
    Commands { key: "ExecStartPost", fit, lines }.run("+", "/bin/sh", &arguments, &process.cause);
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
    format!("/run/virtc-owners/{}.{}", plan.uuid, process.id)
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
        let mut all = vec!["-ec", script, "sh"];
        all.extend(arguments);
        self.run("+", "/bin/sh", &all, &Cause::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    #[test]
    fn rules_for_what_links_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        symlink("/dev/null", at("a link")).unwrap();
        symlink("/etc/shadow", at("elsewhere")).unwrap();
        symlink("/dev/pts/[x]*", at("odd")).unwrap();
        let links =
            ["rwk", &at("a link"), "r", &at("elsewhere"), "rw", &at("odd"), "rw", &at("missing"), "rw", "/dev/zero"];
        let done = Command::new("/bin/sh").args(["-ec", LINKS, "sh", &at("rules")]).args(links).status().unwrap();
        assert!(done.success());
        let rules = std::fs::read_to_string(at("rules")).unwrap();
        assert_eq!(rules, "\"/dev/null\" rwk,\n\"/dev/pts/\\[x\\]\\*\" rw,\n");
    }
}
