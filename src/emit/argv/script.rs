//! The command line as a program: what a machine needs before, QEMU itself, and what it leaves, for a POSIX shell. It runs as
//! it stands, as root or as a user, and QEMU as whoever starts it: nothing is confined.

use super::format::write_quoted;
use super::{TokenKind, each_token};
use crate::emit::shaping;
use crate::plan::{DirectoryRole, LentDevice, Link, LinkKind, Overlay, Plan, Process, Ready, Role};

/// Folders that a user has elsewhere: variable, root's, the user's.
const PLACES: [(&str, &str, &str); 2] = [
    ("run", "/run/virtc", "${XDG_RUNTIME_DIR:-/tmp}/virtc"),
    ("state", "/var/lib/virtc", "${XDG_STATE_HOME:-$HOME/.local/state}/virtc"),
];

/// The script of a machine.
pub fn script(plan: &Plan) -> String {
    let mut out = String::from("#!/bin/sh\n");
    out += &format!("# {}: what it needs, QEMU, and what it leaves. Made by virtc.\nset -eu\n", one_line(&plan.name));
    out.push_str("if [ \"$(id -u)\" = 0 ]; then\n");
    PLACES.iter().for_each(|(name, root, _)| out += &format!("    {name}={root}\n"));
    out.push_str("else\n");
    PLACES.iter().for_each(|(name, _, user)| out += &format!("    {name}=\"{user}\"\n"));
    out.push_str("fi\n");
    clean(plan, &mut out);
    needed(plan, &mut out);
    devices(plan, &mut out);
    plan.links.iter().filter(|l| l.managed && !l.name.is_empty()).for_each(|link| make_link(link, &mut out));
    for process in plan.processes.iter().filter(|p| p.role != Role::Qemu) {
        for setup in plan.setups.iter().filter(|s| s.process == process.id) {
            out += &format!("\n# {}\n", setup.cause);
            let words = [setup.program.as_str()].into_iter().chain(setup.args.iter().map(String::as_str));
            words_of(&mut out, words);
            out.push_str(if setup.optional { " || :\n" } else { "\n" });
        }
        helper(process, &mut out);
    }
    for overlay in &plan.overlays {
        let words = overlay.arguments(&overlay.path);
        line(&mut out, [&[Overlay::PROGRAM], &words[..]].concat());
    }
    if let Some(qemu) = plan.qemu() {
        out += &format!("\n# {}\n", qemu.cause);
        command(qemu, &mut out);
        out.push('\n');
    }
    out
}

/// What is taken back at the end, whatever ends it.
fn clean(plan: &Plan, out: &mut String) {
    out.push_str("helpers=\nclean() {\n    trap - EXIT\n");
    out.push_str("    for helper in $helpers; do kill \"$helper\" 2>/dev/null || :; done\n");
    for link in plan.links.iter().filter(|l| l.managed && !l.name.is_empty()) {
        out.push_str("    ");
        let words = match link.kind {
            LinkKind::Tap => tap("del", link),
            LinkKind::Macvtap => vec!["ip", "link", "del", "dev", &link.name],
        };
        words_of(out, words);
        out.push_str(" 2>/dev/null || :\n");
    }
    for (address, _) in lent(plan) {
        let device = format!("/sys/bus/pci/devices/{address}");
        *out += &format!("    echo >{device}/driver_override; echo {address} >{device}/driver/unbind || :\n");
        *out += &format!("    echo {address} >/sys/bus/pci/drivers_probe || :\n");
    }
    for path in plan.overlays.iter().map(|o| &o.path) {
        out.push_str("    rm -f ");
        word(out, path);
        out.push('\n');
    }
    for directory in plan.directories.iter().filter(|d| d.role == DirectoryRole::Runtime) {
        out.push_str("    rm -rf ");
        word(out, &directory.path);
        out.push('\n');
    }
    out.push_str("}\ntrap clean EXIT\ntrap 'exit 1' HUP INT TERM\n");
}

/// Folders and files.
fn needed(plan: &Plan, out: &mut String) {
    let mut comment = Comment::default();
    for secret in &plan.secrets {
        comment.say(&secret.cause.to_string(), out);
        let mut path = String::new();
        word(&mut path, &secret.path);
        *out += &format!("[ -r {path} ] || {{ echo {path}' has to hold a secret' >&2; exit 1; }}\n");
    }
    for directory in &plan.directories {
        comment.say(&directory.cause.to_string(), out);
        line(out, ["mkdir", "-p", "-m", &format!("{:o}", directory.mode), &directory.path]);
    }
    for file in &plan.files {
        let Some(template) = &file.template else { continue };
        comment.say(&file.cause.to_string(), out);
        if let Some((folder, _)) = file.path.rsplit_once('/') {
            line(out, ["mkdir", "-p", folder]);
        }
        out.push_str("[ -e ");
        word(out, &file.path);
        out.push_str(" ] || ");
        line(out, ["cp", template, &file.path]);
    }
    for inherited in &plan.inherited {
        let (mut path, mut from) = (String::new(), String::new());
        word(&mut path, &inherited.path);
        word(&mut from, &inherited.from);
        *out += &format!("[ -e {path} ] || [ ! -e {from} ] || cp {from} {path}\n");
    }
    for bridge in &plan.bridges {
        comment.say(&bridge.cause.to_string(), out);
        out.push_str("[ -e ");
        word(out, &format!("/sys/class/net/{}", bridge.name));
        out.push_str(" ] || ");
        line(out, ["ip", "link", "add", "name", &bridge.name, "type", "bridge"]);
        for address in &bridge.addresses {
            line(out, ["ip", "address", "replace", address, "dev", &bridge.name]);
        }
        line(out, ["ip", "link", "set", "dev", &bridge.name, "up"]);
    }
}

/// Devices that are taken from the host's drivers.
fn devices(plan: &Plan, out: &mut String) {
    for (address, cause) in lent(plan) {
        let device = format!("/sys/bus/pci/devices/{address}");
        *out += &format!("\n# {cause}\nmodprobe vfio-pci\necho vfio-pci >{device}/driver_override\n");
        *out += &format!("[ ! -e {device}/driver ] || echo {address} >{device}/driver/unbind\n");
        *out += &format!("echo {address} >/sys/bus/pci/drivers_probe\n");
    }
}

fn lent(plan: &Plan) -> impl Iterator<Item = (&str, &crate::plan::Cause)> {
    plan.lent.iter().filter(|l| l.managed).filter_map(|l| match &l.device {
        LentDevice::Pci(address) => Some((address.as_str(), &l.cause)),
        _ => None,
    })
}

fn tap<'a>(action: &'static str, link: &'a Link) -> Vec<&'a str> {
    let mut words = vec!["ip", "tuntap", action, "dev", &link.name, "mode", "tap"];
    words.extend((link.queues > 1).then_some("multi_queue"));
    words
}

fn make_link(link: &Link, out: &mut String) {
    *out += &format!("\n# {}\n", link.cause);
    let name = link.name.as_str();
    let mut set = vec!["ip", "link", "set", "dev", name];
    let address = link.mac.split_once(':').map(|(_, rest)| format!("fe:{rest}"));
    match link.kind {
        LinkKind::Tap => {
            let mut add = tap("add", link);
            add.push("vnet_hdr");
            line(out, add);
            set.extend(address.as_deref().into_iter().flat_map(|a| ["address", a]));
            set.extend(link.over.as_deref().into_iter().flat_map(|bridge| ["master", bridge]));
        }
        LinkKind::Macvtap => {
            let mut add = vec!["ip", "link", "add", "name", name];
            add.extend(link.over.as_deref().into_iter().flat_map(|below| ["link", below]));
            add.extend(["address", &link.mac, "type", "macvtap", "mode", link.mode.as_deref().unwrap_or("vepa")]);
            line(out, add);
        }
    }
    let mtu = link.mtu.map(|mtu| mtu.to_string());
    set.extend(mtu.as_deref().into_iter().flat_map(|mtu| ["mtu", mtu]));
    set.extend(link.up.then_some("up"));
    line(out, set);
    for words in shaping::commands(link) {
        line(out, words.iter().map(String::as_str));
    }
}

/// A helper in the background, and what says that it is ready.
fn helper(process: &Process, out: &mut String) {
    *out += &format!("\n# {}\n", process.cause);
    command(process, out);
    out.push_str(" &\nhelper=$! helpers=\"$helpers $!\"\n");
    if let Ready::Socket(path) = &process.ready {
        out.push_str("until [ -S ");
        word(out, path);
        out.push_str(" ]; do kill -0 \"$helper\"; sleep 0.1; done\n");
    }
}

/// A process: environment, program, switches, with the descriptors that it is given.
fn command(process: &Process, out: &mut String) {
    let opened: Vec<_> = process.descriptors.iter().filter_map(|d| Some((d.number, d.link.as_ref()?))).collect();
    for (number, link) in opened {
        let mut file = String::new();
        word(&mut file, &format!("/sys/class/net/{link}/ifindex"));
        *out += &format!("exec {number}<>\"/dev/tap$(cat {file})\"\n");
    }
    out.push_str("env");
    for (key, value) in &process.env {
        out.push(' ');
        word(out, &format!("{key}={value}"));
    }
    let mut scratch = String::new();
    each_token(process, &mut scratch, |kind, token| {
        out.push_str(if kind == TokenKind::Switch { " \\\n    " } else { " " });
        word(out, token);
    });
}

/// The comment above lines of one cause.
#[derive(Default)]
struct Comment {
    last: String,
}

impl Comment {
    fn say(&mut self, cause: &str, out: &mut String) {
        if self.last != cause {
            *out += &format!("\n# {}\n", one_line(cause));
            self.last = cause.to_string();
        }
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line<'a>(out: &mut String, words: impl IntoIterator<Item = &'a str>) {
    words_of(out, words);
    out.push('\n');
}

fn words_of<'a>(out: &mut String, words: impl IntoIterator<Item = &'a str>) {
    for (at, text) in words.into_iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        word(out, text);
    }
}

/// A word of the shell; folders that a user has elsewhere by their variables.
fn word(out: &mut String, text: &str) {
    let mut rest = text;
    if rest.is_empty() {
        write_quoted(out, rest);
    }
    while !rest.is_empty() {
        let found = PLACES.iter().filter_map(|place| Some((place_in(rest, place.1)?, place))).min_by_key(|(at, _)| *at);
        let Some((at, (name, root, _))) = found else {
            write_quoted(out, rest);
            return;
        };
        if at > 0 {
            write_quoted(out, &rest[..at]);
        }
        *out += &format!("\"${name}\"");
        rest = &rest[at + root.len()..];
    }
}

/// Where a folder begins in a text: not in the middle of another's name.
fn place_in(text: &str, folder: &str) -> Option<usize> {
    let ends = |at: &usize| text[at + folder.len()..].starts_with('/');
    let begins = |at: &usize| !text[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || "/._-".contains(c));
    text.match_indices(folder).map(|(at, _)| at).find(|at| ends(at) && begins(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_variables() {
        let of = |text: &str| {
            let mut out = String::new();
            word(&mut out, text);
            out
        };
        assert_eq!(of("path=/run/virtc/a b/c"), "path=\"$run\"'/a b/c'");
        assert_eq!(of(r#"{"f":"/var/lib/virtc/a/x"}"#), "'{\"f\":\"'\"$state\"'/a/x\"}'");
        assert_eq!(
            (of("/srv/run/virtc/x"), of("/run/virtcx/y"), of("")),
            ("/srv/run/virtc/x".into(), "/run/virtcx/y".into(), "''".into())
        );
    }
}
