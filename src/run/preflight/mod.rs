//! `virtc check --here`: can this host run the machine? Everything that would fail at the start is told
//! before it, all at once, each with what puts it right. Nothing is changed.

mod permissions;
mod ports;

use super::errors::Fault;
use super::registry::Registry;
use super::{kvm, links, start};
use crate::diag::codes::run as codes;
use crate::diag::{Code, Diagnostics, Span};
use crate::plan::{Accelerator, Access, OwnerRule, PathKind, Plan, Role, Sharing};
use crate::vocab::{NumberSet, Value};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Looks for everything that keeps this host from running the machine.
pub fn preflight(plan: &Plan, registry: &Registry, diags: &mut Diagnostics) {
    programs(plan, diags);
    if plan.accelerator == Accelerator::Kvm
        && let Err(fault) = kvm::check()
    {
        tell(fault, plan.qemu().map_or(Span::NONE, |q| q.cause.span), diags);
    }
    for link in &plan.links {
        let user = plan.confinement.user.as_deref().unwrap_or("USER");
        let ours = rustix::process::geteuid().is_root() && link.managed;
        match links::missing(link, Some(user)) {
            // The runner makes it, if its bridge is there.
            Some(_) if ours && link.over.as_deref().is_none_or(links::exists) => {}
            Some(fault) => tell(fault, link.cause.span, diags),
            None => {}
        }
    }
    let account = match permissions::who(plan, diags) {
        Ok(account) => account,
        Err(fault) => {
            tell(fault, Span::NONE, diags);
            return;
        }
    };
    for access in &plan.access {
        // Helpers may have an account of their own; one that is not there is told by its start.
        let process = plan.processes.iter().find(|p| p.id == access.process);
        let own = process.and_then(permissions::of_process);
        resource(plan, access, own.as_ref().unwrap_or(&account), diags);
    }
    for file in &plan.files {
        if let Some(template) = &file.template
            && !Path::new(&file.path).exists()
            && !Path::new(template).exists()
        {
            let text = format!("the template {template} of {} is not there", file.path);
            fault(&codes::HOST, file.cause.span, text, "install the firmware (Debian: ovmf, Fedora: edk2-ovmf)", diags);
        }
    }
    // What the XML itself holds needs no file.
    for secret in plan.secrets.iter().filter(|s| s.source != format!("{}/{}", plan.name, s.id)) {
        let name = secret.source.replace('/', "%2F");
        let at = registry.secrets().join(&name);
        if !Path::new(&secret.path).exists() && !at.exists() && !at.with_file_name(format!("{name}.base64")).exists() {
            let text = format!("the secret '{}' has no value on this host", secret.source);
            let help = format!("put the value into {} (mode 0600)", at.display());
            fault(&codes::NO_SECRET, secret.cause.span, text, help, diags);
        }
    }
    ports::check(plan, diags);
    memory(plan, diags);
    cpus(plan, diags);
    if registry.find(&plan.name).is_some_and(|r| r.supervised) {
        let text = format!("the machine '{}' runs already", plan.name);
        diags.warning(&codes::RUNNING, Span::NONE, text).help(format!("virtc stop {}", plan.name));
    }
}

fn fault(code: &'static Code, span: Span, text: impl Into<String>, help: impl Into<String>, diags: &mut Diagnostics) {
    diags.error(code, span, text).help(help);
}

/// Puts a fault of the runner at its place in the source.
#[allow(clippy::boxed_local)]
fn tell(found: Fault, span: Span, diags: &mut Diagnostics) {
    let shown = diags.error(found.code, span, found.message);
    if let Some(help) = found.help {
        shown.help(help);
    }
}

fn programs(plan: &Plan, diags: &mut Diagnostics) {
    for process in &plan.processes {
        if let Err(found) = start::has_program(&process.program) {
            let span = if process.role == Role::Qemu { Span::NONE } else { process.cause.span };
            tell(found, span, diags);
        }
    }
    for setup in plan.setups.iter().filter(|s| !s.optional) {
        if let Err(found) = start::has_program(&setup.program) {
            tell(found, setup.cause.span, diags);
        }
    }
}

/// Whether a path is what the machine expects, and whether its account may use it.
fn resource(plan: &Plan, access: &Access, account: &permissions::Who, diags: &mut Diagnostics) {
    let path = Path::new(&access.path);
    let span = access.cause.span;
    let made_later = plan.files.iter().any(|f| f.path == access.path)
        || plan.sockets.iter().any(|s| s.path == access.path)
        || plan.secrets.iter().any(|s| s.path == access.path)
        || plan.directories.iter().any(|d| path.starts_with(&d.path));
    if made_later {
        return;
    }
    let closed = account.closed_directories(path);
    if !closed.is_empty() {
        let closed: Vec<&Path> = closed.iter().map(PathBuf::as_path).collect();
        let named: Vec<String> = closed.iter().map(|directory| directory.display().to_string()).collect();
        let text = format!(
            "{} may not search {}, on the way to {} ({})",
            account.name,
            named.join(" and "),
            access.path,
            access.cause.what
        );
        let help = account.let_through(&closed);
        return fault(&codes::HOST, span, text, help, diags);
    }
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(_) if access.optional => return,
        // What is only written (logs, serial output) is made when it is missing; so is a socket of somebody's.
        Err(_) if access.perms.write && !access.perms.read => return,
        Err(_) if matches!(access.kind, PathKind::Socket | PathKind::Pipe) && access.perms.write => return,
        Err(error) => {
            let text = format!("{} ({}) cannot be used: {error}", access.path, access.cause.what);
            let help = match (error.kind(), access.kind) {
                (std::io::ErrorKind::NotFound, PathKind::CharDevice) => {
                    "load the module that makes the device, or remove what needs it".to_string()
                }
                (std::io::ErrorKind::NotFound, _) if access.sharing == Sharing::System => {
                    "install the package that brings it, or name another file".to_string()
                }
                (std::io::ErrorKind::NotFound, PathKind::File) => {
                    format!("make it (qemu-img create -f qcow2 {} SIZE), or name another", access.path)
                }
                _ => "name one that is there".to_string(),
            };
            return fault(&codes::HOST, span, text, help, diags);
        }
    };
    let kind = meta.file_type();
    let fits = match access.kind {
        // Below /dev a file of the domain may be a node (a volume, persistent memory).
        PathKind::File if path.starts_with("/dev") => !kind.is_dir(),
        PathKind::File => kind.is_file(),
        PathKind::BlockDevice => kind.is_block_device(),
        PathKind::CharDevice => kind.is_char_device(),
        PathKind::Directory | PathKind::Files | PathKind::Tree => kind.is_dir(),
        PathKind::Socket => kind.is_socket(),
        PathKind::Pipe => kind.is_fifo(),
    };
    if !fits {
        let text = format!("{} ({}) is not {}", access.path, access.cause.what, a(access.kind));
        return fault(&codes::HOST, span, text, "name one that is, or change its type in the domain", diags);
    }
    // What will be given to the account before the start need not be its own yet.
    let given = match access.owner {
        OwnerRule::Keep => false,
        _ => {
            plan.confinement.dynamic_ownership
                && rustix::process::geteuid().is_root()
                && access.sharing != Sharing::System
        }
    };
    let (read, write) = (access.perms.read, access.perms.write);
    if !given && !account.may(&meta, path, read, write) {
        let wanted = match (read, write) {
            (true, true) => ("read and write", "rw"),
            (false, true) => ("write", "w"),
            _ => ("read", "r"),
        };
        let text = format!("{} may not {} {} ({})", account.name, wanted.0, access.path, access.cause.what);
        fault(&codes::HOST, span, text, account.grant(wanted.1, &[path]), diags);
    }
}

fn a(kind: PathKind) -> &'static str {
    match kind {
        PathKind::File => "a regular file",
        PathKind::BlockDevice => "a block device",
        PathKind::CharDevice => "a character device",
        PathKind::Directory | PathKind::Files | PathKind::Tree => "a directory",
        PathKind::Socket => "a socket",
        PathKind::Pipe => "a FIFO",
    }
}

/// A value of /proc/meminfo, in bytes.
fn meminfo(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().split(' ').next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn memory(plan: &Plan, diags: &mut Diagnostics) {
    let mut from_pages = 0;
    for (bytes, page) in &plan.limits.hugepages {
        from_pages += bytes;
        let Some(needed) = bytes.checked_div(*page) else { continue };
        let file = format!("/sys/kernel/mm/hugepages/hugepages-{}kB/free_hugepages", page / 1024);
        let free = std::fs::read_to_string(&file).ok().and_then(|t| t.trim().parse::<u64>().ok());
        match free {
            None => fault(
                &codes::HOST,
                Span::NONE,
                format!("this host has no huge pages of {} KiB", page / 1024),
                "choose another size in <hugepages>: see /sys/kernel/mm/hugepages",
                diags,
            ),
            Some(free) if free < needed => fault(
                &codes::HOST,
                Span::NONE,
                format!("{needed} huge pages of {} KiB are needed, and {free} are free", page / 1024),
                format!("as root: echo {needed} > {}", file.replace("free_hugepages", "nr_hugepages")),
                diags,
            ),
            Some(_) => {}
        }
    }
    let needed = plan.limits.memory.saturating_sub(from_pages);
    if let Some(available) = meminfo("MemAvailable")
        && available < needed
    {
        let mib = |bytes: u64| bytes >> 20;
        let text = format!("the guest has {} MiB of memory, and {} MiB are available", mib(needed), mib(available));
        diags.warning(&codes::HOST, Span::NONE, text).help("make <memory> smaller, or stop something");
    }
}

fn cpus(plan: &Plan, diags: &mut Diagnostics) {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let online = NumberSet::parse(online.trim()).unwrap_or_default();
    if online.is_empty() {
        return;
    }
    for pin in &plan.limits.pins {
        let missing: Vec<String> = pin.cpus.iter().filter(|c| !online.has(*c)).map(|c| c.to_string()).collect();
        if !missing.is_empty() {
            let text = format!("{} is bound to CPUs that this host does not have: {}", pin.thread, missing.join(","));
            fault(
                &codes::HOST,
                pin.cause.span,
                text,
                format!("this host has the CPUs 0-{}", online.iter().count() - 1),
                diags,
            );
        }
    }
}
