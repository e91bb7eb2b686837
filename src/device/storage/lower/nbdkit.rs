//! Images that nbdkit fetches: QEMU talks NBD to it, over a socket of the domain.

use super::{network, secrets};
use crate::device::storage::{Auth, Network, Protocol, StorageSource};
use crate::host::SecretUsage;
use crate::lower::{Grant, Lower};
use crate::plan::{Arg, PathKind, Process, Props, Ready, Role, Secret, Socket, SocketRole};

/// The plugin that serves a protocol.
fn plugin(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        protocol if protocol.is_curl() => Some("curl"),
        Protocol::Ssh => Some("ssh"),
        _ => None,
    }
}

/// Whether a source goes through nbdkit: the host facts say so, and it has the plugin.
pub fn serves(source: &StorageSource, lx: &Lower<'_>) -> bool {
    let Some(nbdkit) = lx.env.host.nbdkit.as_ref().filter(|n| n.enabled) else { return false };
    let plugin = source.network().and_then(|n| n.protocol).and_then(plugin);
    plugin.is_some_and(|p| nbdkit.plugins.iter().any(|have| have == p))
}

/// The storage node of a source that nbdkit fetches; and for a standalone machine, the process.
pub fn server(
    source: &StorageSource,
    auth: Option<&Auth>,
    readonly: bool,
    node: &str,
    disk: &str,
    lx: &mut Lower<'_>,
) -> Props {
    let dir = if lx.env.is_libvirt() { &lx.paths.lib } else { &lx.paths.run };
    let path = format!("{dir}/nbdkit-{node}.socket");
    let mut server = Props::with("type", "unix");
    server.set("path", path.clone());
    let mut props = Props::driver("nbd");
    props.set("server", server);
    if let Some(network) = source.network()
        && !lx.env.is_libvirt()
    {
        process(source, network, auth, readonly, node, path, disk, lx);
    }
    props
}

#[allow(clippy::too_many_arguments)]
fn process(
    source: &StorageSource,
    network: &Network,
    auth: Option<&Auth>,
    readonly: bool,
    node: &str,
    socket: String,
    disk: &str,
    lx: &mut Lower<'_>,
) {
    let program = lx.env.host.nbdkit.as_ref().map(|n| n.path.clone()).unwrap_or_default();
    let protocol = network.protocol.unwrap_or(Protocol::Http);
    let cause = lx.cause(source.site, format!("disk {disk}"));
    let id = format!("nbdkit-{node}");
    let mut tokens = vec!["--foreground".to_string()];
    if readonly {
        tokens.push("--readonly".to_string());
    }
    tokens.push(plugin(protocol).unwrap_or("curl").to_string());
    let mut reads = Vec::new();
    let mut env = vec![("LC_ALL".into(), "C".to_string())];
    if protocol == Protocol::Ssh {
        let host = network.parts.hosts.first();
        tokens.push(format!("host={}", host.and_then(|h| h.name.clone()).unwrap_or_default()));
        tokens.push(format!("port={}", host.and_then(|h| h.port).unwrap_or(22)));
        tokens.push(format!("path={}", network.name.as_deref().unwrap_or("")));
        let identity = network.parts.identity.as_ref();
        let user = auth.and_then(|a| a.username.clone()).or_else(|| identity.and_then(|i| i.username.clone()));
        tokens.extend(user.map(|u| format!("user={u}")));
        if let Some(key) = identity.and_then(|i| i.keyfile.clone()) {
            tokens.push(format!("identity={key}"));
            reads.push((key, PathKind::File));
        }
        if let Some(agent) = identity.and_then(|i| i.agentsock.clone()) {
            env.push(("SSH_AUTH_SOCK".into(), agent.clone()));
            reads.push((agent, PathKind::Socket));
        }
        if let Some(known) = network.parts.known_hosts.as_ref().and_then(|k| k.path.clone()) {
            tokens.push(format!("known-hosts={known}"));
            reads.push((known, PathKind::File));
        }
    } else {
        tokens.extend(network::url(network).map(|url| format!("url={url}")));
        tokens.push(format!("protocols={protocol}"));
        if let Some(verify) = network.parts.ssl.as_ref().and_then(|s| s.verify) {
            tokens.push(format!("sslverify={}", verify.is_yes()));
        }
        tokens.extend(network.parts.timeout.as_ref().and_then(|t| t.seconds).map(|s| format!("timeout={s}")));
        tokens.extend(auth.and_then(|a| a.username.clone()).map(|u| format!("user={u}")));
        if !network.parts.cookies.is_empty() {
            let path = secret_file(&secrets::cookie_id(node), format!("{}/{node}-cookies", lx.plan.name), &cause, lx);
            tokens.push(format!("cookie=+{path}"));
            reads.push((path, PathKind::File));
        }
    }
    if let Some(secret) = auth.and_then(|a| a.secret.as_ref()) {
        let path = secret_file(&secrets::auth_id(node), secret.source(SecretUsage::Iscsi), &cause, lx);
        tokens.push(format!("password=+{path}"));
        reads.push((path, PathKind::File));
    }
    let mut args = vec![Arg::text("--unix", socket.clone(), cause.clone())];
    args.extend(tokens.into_iter().map(|token| Arg::switch(token, cause.clone())));
    for (path, kind) in reads {
        let grant = if kind == PathKind::Socket { Grant::PEER_SOCKET } else { Grant::LOADER };
        lx.touch_by(&id, &path, grant, source.site, format!("disk {disk}"));
    }
    lx.plan.sockets.push(Socket {
        role: SocketRole::Helper,
        path: socket.clone(),
        process: id.clone(),
        cause: cause.clone(),
    });
    lx.plan.processes.push(Process {
        role: Role::Nbdkit,
        id,
        program,
        args,
        env,
        ready: Ready::Socket(socket),
        cause,
        ..Process::default()
    });
}

fn secret_file(id: &str, source: String, cause: &crate::plan::Cause, lx: &mut Lower<'_>) -> String {
    let path = format!("{}/secrets/{id}", lx.paths.run);
    lx.plan.secrets.push(Secret { id: id.to_string(), path: path.clone(), source, cause: cause.clone() });
    path
}
