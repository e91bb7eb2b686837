//! virtiofsd: the program that serves a directory by virtiofs.

use super::lower::what;
use super::{Filesystem, FilesystemCache, IdRange, SandboxMode};
use crate::diag::codes::storage as codes;
use crate::plan::{Arg, Need, Needed, Process, Ready, Role, Use};
use crate::stage::{Grant, Lower};
use crate::vocab::OnOff;

/// The one in C that came with QEMU up to 7.2, where Debian 12 has it. It takes other options.
const OF_QEMU: &str = "/usr/lib/qemu/virtiofsd";

/// Where distributions install it.
const PROGRAM: &str = "/usr/libexec/virtiofsd";

/// The socket of the virtiofsd of a file system.
pub fn socket(fs: &Filesystem, lx: &Lower<'_>) -> String {
    let dir = if lx.env.has_parent() { &lx.paths.lib } else { &lx.paths.run };
    format!("{dir}/{}-fs.sock", fs.info.id)
}

/// Ranges of accounts in virtiofsd's notation: `:GUEST:HOST:COUNT:`.
fn id_map(ranges: &[IdRange], lx: &mut Lower<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for range in ranges {
        let mut number = |value: Option<u32>| lx.must(value, "a number of a range of accounts", range.site);
        out.push(format!(":{}:{}:{}:", number(range.start), number(range.target), number(range.count)));
    }
    out
}

/// Adds the process. It keeps the owners of files, so that in a system instance it is root's, in a
/// sandbox of its own.
pub fn process(fs: &Filesystem, socket: &str, lx: &mut Lower<'_>) {
    let cause = lx.cause(fs.site, what(fs));
    let id = format!("virtiofsd-{}", fs.info.id);
    let program = fs.binary.as_ref().and_then(|b| b.path.clone()).unwrap_or_else(|| helper(lx));
    let args = if program == OF_QEMU { of_qemu(fs, socket, lx) } else { in_rust(fs, socket, lx) };
    let grant = if fs.readonly { Grant::READ_ONLY_SHARE } else { Grant::SHARE };
    lx.touch_by(&id, fs.dir(), grant, Use::Share, fs.site, what(fs));
    lx.listens(&id, socket, &cause);
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
    let mut needs = Vec::new();
    if !(system && sandbox(fs, lx) == Some("chroot")) {
        needs.extend(Needed::all(&[Need::Namespaces], &cause));
    }
    if ["/usr/lib/qemu/", "/usr/lib64/qemu/"].iter().any(|d| program.starts_with(d)) {
        needs.extend(Needed::all(&[Need::LockFolder], &cause));
    }
    if program == OF_QEMU {
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
        needs,
        cause,
        ..Process::default()
    });
}

/// The options of the virtiofsd in C that was part of QEMU up to 7.2 (its `--help`): options of FUSE, where
/// a comma is escaped, and no separate values.
fn of_qemu(fs: &Filesystem, socket: &str, lx: &mut Lower<'_>) -> Vec<Arg> {
    let cause = lx.cause(fs.site, what(fs));
    let lacks = |what: &str, lx: &mut Lower<'_>| {
        lx.error(&codes::FILESYSTEM, fs.site, format!("the virtiofsd of QEMU ({OF_QEMU}) has no {what}"))
            .help("name the virtiofsd in Rust: <binary path='/usr/libexec/virtiofsd'/>, Debian package virtiofsd");
    };
    if fs.readonly {
        lacks("read-only mode: <readonly/>", lx);
    }
    if fs.idmap.is_some() {
        lacks("mapping of users and groups: <idmap>", lx);
    }
    let escaped = fs.dir().replace('\\', "\\\\").replace(',', "\\,");
    let mut args = vec![Arg::switch(format!("--socket-path={socket}"), cause.clone())];
    let mut option = |text: String| args.push(Arg::text("-o", text, cause.clone()));
    option(format!("source={escaped}"));
    let binary = fs.binary.as_ref();
    if let Some(mode) = binary.and_then(|b| b.cache.as_ref()).and_then(|c| c.mode) {
        option(format!("cache={}", mode.as_str()));
    }
    if let Some(mode) = sandbox(fs, lx) {
        option(format!("sandbox={mode}"));
    }
    let mut toggle = |value: Option<OnOff>, on: &str, off: &str| {
        if let Some(value) = value {
            option(if value.is_on() { on } else { off }.to_string());
        }
    };
    toggle(binary.and_then(|b| b.xattr), "xattr", "no_xattr");
    let lock = binary.and_then(|b| b.lock.as_ref());
    toggle(lock.and_then(|l| l.posix), "posix_lock", "no_posix_lock");
    toggle(lock.and_then(|l| l.flock), "flock", "no_flock");
    if let Some(size) = binary.and_then(|b| b.thread_pool.as_ref()).and_then(|t| t.size) {
        args.push(Arg::switch(format!("--thread-pool-size={size}"), cause.clone()));
    }
    if let Some(max) = binary.and_then(|b| b.open_files.as_ref()).and_then(|o| o.max) {
        args.push(Arg::switch(format!("--rlimit-nofile={max}"), cause.clone()));
    }
    args
}

/// The options of the virtiofsd in Rust.
fn in_rust(fs: &Filesystem, socket: &str, lx: &mut Lower<'_>) -> Vec<Arg> {
    let cause = lx.cause(fs.site, what(fs));
    let binary = fs.binary.as_ref();
    if let Some(lock) = binary.and_then(|b| b.lock.as_ref())
        && [lock.posix, lock.flock].into_iter().flatten().any(OnOff::is_on)
    {
        lx.error(
            &codes::FILESYSTEM,
            lock.site,
            "the virtiofsd in Rust does not pass locks of the guest on to the host",
        )
        .help(format!("leave <lock> out, or name the virtiofsd of QEMU 7.2: <binary path='{OF_QEMU}'/>"));
    }
    let mut args = Vec::new();
    let mut option = |switch: &'static str, value: String| args.push(Arg::text(switch, value, cause.clone()));
    option("--socket-path", socket.to_string());
    option("--shared-dir", fs.dir().to_string());
    if let Some(mode) = binary.and_then(|b| b.cache.as_ref()).and_then(|c| c.mode) {
        option("--cache", if mode == FilesystemCache::None { "never" } else { "always" }.to_string());
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
    if let Some(idmap) = &fs.idmap {
        id_map(&idmap.uids, lx).into_iter().for_each(|range| option("--uid-map", range));
        id_map(&idmap.gids, lx).into_iter().for_each(|range| option("--gid-map", range));
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

/// The sandbox of the server. Root's changes its root directory, also where the XML says `namespace`: that takes no right to
/// mount, and its AppArmor profile names the shared directory, which in namespaces would be `/`. What namespaces keep away, the
/// network and other processes, its unit keeps away.
fn sandbox(fs: &Filesystem, lx: &Lower<'_>) -> Option<&'static str> {
    let mode = fs.binary.as_ref().and_then(|b| b.sandbox.as_ref()).and_then(|s| s.mode);
    let system = lx.plan.instance == crate::plan::Instance::System;
    match mode {
        Some(SandboxMode::Namespace) if system && !lx.env.has_parent() => Some("chroot"),
        Some(mode) => Some(mode.as_str()),
        None => system.then_some("chroot"),
    }
}

/// The helper that the host facts name, or the usual place.
fn helper(lx: &Lower<'_>) -> String {
    let helpers = &lx.env.host.vhost_user.helpers;
    // A name that ends so is the real one; test doubles come before it in no list that a user writes.
    let found = helpers.iter().find(|h| h.path.ends_with("/virtiofsd"));
    found.map_or_else(|| PROGRAM.to_string(), |h| h.path.clone())
}
