//! virtiofsd: the program that serves a directory by virtiofs.

use super::lower::what;
use super::{CacheMode, Filesystem, IdRange, SandboxMode};
use crate::diag::codes::general as support;
use crate::lower::{Grant, Lower};
use crate::plan::{Arg, Cause, Process, Ready, Role, Socket, SocketRole};
use crate::vocab::OnOff;

/// Where distributions install it.
const PROGRAM: &str = "/usr/libexec/virtiofsd";

/// The socket of the virtiofsd of a file system.
pub fn socket(fs: &Filesystem, lx: &Lower<'_>) -> String {
    let dir = if lx.env.is_libvirt() { &lx.paths.lib } else { &lx.paths.run };
    format!("{dir}/{}-fs.sock", fs.info.id)
}

/// Adds the process. It keeps the owners of files, so that in a system instance it is root's, in a
/// sandbox of its own.
pub fn process(fs: &Filesystem, socket: &str, lx: &mut Lower<'_>) {
    let cause = lx.cause(fs.site, what(fs));
    let id = format!("virtiofsd-{}", fs.info.id);
    let program = fs.binary.as_ref().and_then(|b| b.path.clone()).unwrap_or_else(|| helper(lx));
    let args = if is_in_c(&program) { options_of_c(fs, socket, &cause, lx) } else { options(fs, socket, &cause, lx) };
    let grant = if fs.readonly { Grant::READ_ONLY_SHARE } else { Grant::SHARE };
    lx.touch_by(&id, fs.dir(), grant, fs.site, what(fs));
    lx.plan.sockets.push(Socket {
        role: SocketRole::Helper,
        path: socket.to_string(),
        process: id.clone(),
        cause: cause.clone(),
    });
    let system = lx.plan.instance == crate::plan::Instance::System;
    // What the server needs to act for any user of the guest (virtiofsd's documentation, "capabilities").
    let mut capabilities = vec![
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_MKNOD",
        "CAP_SETFCAP",
        "CAP_DAC_READ_SEARCH",
    ];
    capabilities.push(if sandbox(fs, lx) == Some("chroot") { "CAP_SYS_CHROOT" } else { "CAP_SYS_ADMIN" });
    if is_in_c(&program) {
        // It also empties its bounding set.
        capabilities.push("CAP_SETPCAP");
    }
    lx.plan.processes.push(Process {
        role: Role::Virtiofsd,
        id,
        program,
        args,
        env: vec![("LC_ALL".into(), "C".to_string())],
        user: system.then(|| "root".to_string()),
        capabilities: if system { capabilities.iter().map(|c| (*c).into()).collect() } else { Vec::new() },
        ready: Ready::Socket(socket.to_string()),
        cause,
        ..Process::default()
    });
}

/// The arguments of virtiofsd in Rust.
fn options(fs: &Filesystem, socket: &str, cause: &Cause, lx: &Lower<'_>) -> Vec<Arg> {
    let binary = fs.binary.as_ref();
    let mut args = Vec::new();
    let mut option = |switch: &'static str, value: String| args.push(Arg::text(switch, value, cause.clone()));
    option("--socket-path", socket.to_string());
    option("--shared-dir", fs.dir().to_string());
    if let Some(mode) = binary.and_then(|b| b.cache.as_ref()).and_then(|c| c.mode) {
        option("--cache", if mode == CacheMode::None { "never" } else { "always" }.to_string());
    }
    if let Some(mode) = sandbox(fs, lx) {
        option("--sandbox", mode.to_string());
    }
    if let Some(size) = binary.and_then(|b| b.thread_pool.as_ref()).and_then(|t| t.size) {
        option("--thread-pool-size", size.to_string());
    }
    if let Some(max) = binary.and_then(|b| b.open_files.as_ref()).and_then(|o| o.max) {
        option("--rlimit-nofile", max.to_string());
    }
    let map = |ranges: &[IdRange]| {
        let one =
            |r: &IdRange| format!(":{}:{}:{}:", r.start.unwrap_or(0), r.target.unwrap_or(0), r.count.unwrap_or(0));
        ranges.iter().map(one).collect::<Vec<_>>()
    };
    if let Some(idmap) = &fs.idmap {
        map(&idmap.uids).into_iter().for_each(|range| option("--uid-map", range));
        map(&idmap.gids).into_iter().for_each(|range| option("--gid-map", range));
    }
    let mut flag = |switch: &'static str| args.push(Arg::switch(switch, cause.clone()));
    if binary.and_then(|b| b.xattr).is_some_and(OnOff::is_on) {
        flag("--xattr");
    }
    if fs.readonly {
        flag("--readonly");
    }
    args
}

/// The arguments of virtiofsd in C: option lists, in which a comma of a path is `\,`; long options with `=`.
fn options_of_c(fs: &Filesystem, socket: &str, cause: &Cause, lx: &mut Lower<'_>) -> Vec<Arg> {
    let binary = fs.binary.as_ref();
    let mut unable = |what: &str| {
        lx.error(&support::NOT_YET, fs.site, format!("{what}: not supported by the virtiofsd of QEMU 7.2"))
            .help("name the virtiofsd in Rust with <binary path='…'/> or in the host facts");
    };
    if fs.readonly {
        unable("<readonly/>");
    }
    if fs.idmap.is_some() {
        unable("<idmap>");
    }
    let mut list = vec![format!("source={}", fs.dir().replace('\\', "\\\\").replace(',', "\\,"))];
    if let Some(mode) = binary.and_then(|b| b.cache.as_ref()).and_then(|c| c.mode) {
        list.push(format!("cache={}", if mode == CacheMode::None { "none" } else { "always" }));
    }
    if let Some(mode) = sandbox(fs, lx) {
        list.push(format!("sandbox={mode}"));
    }
    match binary.and_then(|b| b.xattr) {
        Some(OnOff::On) => list.push("xattr".to_string()),
        Some(OnOff::Off) => list.push("no_xattr".to_string()),
        None => {}
    }
    let mut args = vec![Arg::switch(format!("--socket-path={socket}"), cause.clone())];
    args.push(Arg::text("-o", list.join(","), cause.clone()));
    if let Some(size) = binary.and_then(|b| b.thread_pool.as_ref()).and_then(|t| t.size) {
        args.push(Arg::switch(format!("--thread-pool-size={size}"), cause.clone()));
    }
    if let Some(max) = binary.and_then(|b| b.open_files.as_ref()).and_then(|o| o.max) {
        args.push(Arg::switch(format!("--rlimit-nofile={max}"), cause.clone()));
    }
    args
}

fn is_in_c(program: &str) -> bool {
    Process { role: Role::Virtiofsd, program: program.to_string(), ..Process::default() }.is_virtiofsd_in_c()
}

/// The sandbox that the XML names. Root's server changes its root directory where nothing is said: that takes no right
/// to mount, and its AppArmor profile names the shared directory, which in namespaces would be `/`. The unit keeps it
/// from the network and from other processes.
fn sandbox(fs: &Filesystem, lx: &Lower<'_>) -> Option<&'static str> {
    let mode = fs.binary.as_ref().and_then(|b| b.sandbox.as_ref()).and_then(|s| s.mode);
    match mode {
        Some(SandboxMode::Chroot) => Some("chroot"),
        Some(_) => Some("namespace"),
        None => (lx.plan.instance == crate::plan::Instance::System).then_some("chroot"),
    }
}

/// The helper that the host facts name, or the usual place.
fn helper(lx: &Lower<'_>) -> String {
    let helpers = &lx.env.host.vhost_user.helpers;
    // A name that ends so is the real one; test doubles come before it in no list that a user writes.
    let found = helpers.iter().find(|h| h.path.ends_with("/virtiofsd"));
    found.map_or_else(|| PROGRAM.to_string(), |h| h.path.clone())
}
