//! Network interfaces: made when the plan says so and we may, else the commands are told.

use super::errors::{Fault, WithHelp, fault};
use super::journal::{Entry, Journal};
use crate::diag::codes::run as codes;
use crate::plan::{Link, LinkKind, Plan};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Whether the host has an interface of this name. /sys shows those of the namespace in which it was mounted,
/// /proc those of our own.
pub(super) fn exists(name: &str) -> bool {
    let text = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    !name.is_empty() && text.lines().any(|line| line.trim_start().split_once(':').is_some_and(|(n, _)| n == name))
}

/// The commands that make a link, each as its words. `user` may open it without privileges.
pub(super) fn commands(link: &Link, user: Option<&str>) -> Vec<Vec<String>> {
    let words = |text: &[&str]| Vec::from_iter(text.iter().map(|w| w.to_string()));
    let name = link.name.as_str();
    let mut all = Vec::new();
    match link.kind {
        LinkKind::Tap => {
            let mut make = words(&["ip", "tuntap", "add", "dev", name, "mode", "tap"]);
            if let Some(user) = user {
                make.extend(words(&["user", user]));
            }
            if link.queues > 1 {
                make.extend(words(&["multi_queue"]));
            }
            all.push(make);
            // A bridge takes the lowest address of its ports as its own; fe: is above all others.
            if let Some((_, rest)) = link.mac.split_once(':') {
                all.push(words(&["ip", "link", "set", "dev", name, "address", &format!("fe:{rest}")]));
            }
            if let Some(bridge) = &link.over {
                all.push(words(&["ip", "link", "set", "dev", name, "master", bridge]));
            }
        }
        LinkKind::Macvtap => {
            let below = link.over.as_deref().unwrap_or_default();
            let mut make = words(&["ip", "link", "add", "link", below, "name", name]);
            let mode = link.mode.as_deref().unwrap_or("vepa");
            make.extend(words(&["address", &link.mac, "type", "macvtap", "mode", mode]));
            all.push(make);
        }
    }
    if let Some(mtu) = link.mtu {
        all.push(words(&["ip", "link", "set", "dev", name, "mtu", &mtu.to_string()]));
    }
    if link.up {
        all.push(words(&["ip", "link", "set", "dev", name, "up"]));
    }
    all
}

/// The character device of a macvtap: it is named after the number of the interface. The kernel makes it; where
/// `/dev` is kept by somebody else, that may take a moment.
pub(super) fn character_device(name: &str) -> Result<String, Fault> {
    let cannot = |why: String| fault(&codes::NO_LINK, format!("cannot open the macvtap '{name}': {why}"));
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
        .map_err(|e| cannot(e.to_string()))?;
    let index = rustix::net::netdevice::name_to_index(&socket, name).map_err(|e| cannot(e.to_string()))?;
    let path = format!("/dev/tap{index}");
    let deadline = Instant::now() + Duration::from_secs(2);
    while !Path::new(&path).exists() {
        if Instant::now() > deadline {
            return Err(cannot(format!("{path} does not appear")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(path)
}

/// Commands as lines for a shell.
pub(super) fn as_text(commands: &[Vec<String>]) -> String {
    Vec::from_iter(commands.iter().map(|words| words.join(" "))).join("\n")
}

/// What is missing for a link, as a fault with the commands that put it right.
pub(super) fn missing(link: &Link, user: Option<&str>) -> Option<Fault> {
    if let Some(over) = &link.over
        && !exists(over)
    {
        let what = if link.kind == LinkKind::Tap { "bridge" } else { "device" };
        let help = match link.kind {
            LinkKind::Tap => format!("as root: ip link add {over} type bridge && ip link set {over} up"),
            LinkKind::Macvtap => "name an interface of this host in <source dev='…'>".to_string(),
        };
        let text = format!("the {what} '{over}' of the interface {} is not there", link.mac);
        return Some(fault(&codes::NO_LINK, text).with_help(help));
    }
    if link.name.is_empty() || exists(&link.name) {
        return None;
    }
    let text = format!("the {} '{}' of the interface {} is not there", kind(link), link.name, link.mac);
    Some(fault(&codes::NO_LINK, text).with_help(format!("as root:\n{}", as_text(&commands(link, user)))))
}

fn kind(link: &Link) -> &'static str {
    match link.kind {
        LinkKind::Tap => "tap",
        LinkKind::Macvtap => "macvtap",
    }
}

/// Makes the links that are missing, if they are ours to make.
pub(super) fn make(plan: &Plan, user: Option<&str>, journal: &mut Journal) -> Result<(), Fault> {
    let root = rustix::process::geteuid().is_root();
    for link in &plan.links {
        let Some(fault) = missing(link, user) else { continue };
        let has_ground = link.over.as_deref().is_none_or(exists);
        if !(root && link.managed && has_ground && !link.name.is_empty()) {
            return Err(fault);
        }
        journal.add(Entry::Link(link.name.clone()))?;
        for words in commands(link, user) {
            run(&words).map_err(|why| {
                super::fault(&codes::NO_LINK, format!("cannot make the {} '{}': {why}", kind(link), link.name))
                    .with_help(format!("this was: {}", words.join(" ")))
            })?;
        }
    }
    Ok(())
}

/// Removes a link that we made.
pub(super) fn remove(name: &str) -> Result<(), String> {
    if !exists(name) {
        return Ok(());
    }
    let words = ["ip", "link", "delete", "dev", name].map(str::to_string);
    run(&words).map_err(|why| format!("cannot remove the interface {name}: {why}"))
}

pub(super) fn run(words: &[String]) -> Result<(), String> {
    let Some((program, args)) = words.split_first() else { return Ok(()) };
    let out = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&out.stderr).trim().to_string())
}
