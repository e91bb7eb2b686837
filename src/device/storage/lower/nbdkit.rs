//! Images that nbdkit fetches: QEMU talks NBD to it, over a socket of the domain.

use super::{network, secrets};
use crate::device::storage::{Auth, Network, Protocol, StorageSource};
use crate::host::SecretUsage;
use crate::plan::{Arg, Need, Needed, PathKind, Process, Props, Ready, Role, Secret, Text, Use};
use crate::stage::{Grant, Lower};

/// The plugin that serves a protocol.
fn plugin_of(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        protocol if protocol.is_curl() => Some("curl"),
        Protocol::Ssh => Some("ssh"),
        _ => None,
    }
}

/// Whether a source goes through nbdkit: the host facts say so, and it has the plugin.
pub fn serves(source: &StorageSource, lx: &Lower<'_>) -> bool {
    let Some(nbdkit) = lx.env.host.nbdkit.as_ref().filter(|n| n.enabled) else { return false };
    let plugin = source.network().and_then(|n| n.protocol).and_then(plugin_of);
    plugin.is_some_and(|p| nbdkit.plugins.iter().any(|have| have == p))
}

/// An image that nbdkit fetches.
pub struct Fetched<'a> {
    /// Where it is.
    pub source: &'a StorageSource,
    /// Credentials.
    pub auth: Option<&'a Auth>,
    /// Whether the guest can only read.
    pub readonly: bool,
    /// The storage node.
    pub node: &'a str,
    /// Name of the disk, for causes.
    pub disk: &'a str,
}

/// What makes up the command line of nbdkit: words of the plugin, and what they let it open.
#[derive(Default)]
struct Plugin {
    words: Vec<String>,
    reads: Vec<(String, PathKind)>,
    env: Vec<(Text, String)>,
}

impl Plugin {
    fn say(&mut self, key: &str, value: impl std::fmt::Display) {
        self.words.push(format!("{key}={value}"));
    }

    fn read(&mut self, key: &str, path: String) {
        self.say(key, &path);
        self.reads.push((path, PathKind::File));
    }

    /// A value that stands in a file: nbdkit writes it with a plus sign.
    fn read_secret(&mut self, key: &str, path: String) {
        self.say(key, format_args!("+{path}"));
        self.reads.push((path, PathKind::File));
    }
}

impl Fetched<'_> {
    /// The storage node; and for a standalone machine, the process.
    pub fn node(&self, lx: &mut Lower<'_>) -> Props {
        let dir = if lx.env.has_parent() { &lx.paths.lib } else { &lx.paths.run };
        let path = format!("{dir}/nbdkit-{}.socket", self.node);
        let mut server = Props::with("type", "unix");
        server.set("path", path.clone());
        let mut props = Props::driver("nbd");
        props.set("server", server);
        if let Some(network) = self.source.network()
            && !lx.env.has_parent()
        {
            self.process(network, path, lx);
        }
        props
    }

    fn process(&self, network: &Network, socket: String, lx: &mut Lower<'_>) {
        let program = lx.env.host.nbdkit.as_ref().map(|n| n.path.clone());
        let program = lx.must(program, "the path of nbdkit", self.source.site);
        let protocol = network.protocol.unwrap_or(Protocol::Http);
        let what = format!("disk {}", self.disk);
        let cause = lx.cause(self.source.site, what.clone());
        let id = format!("nbdkit-{}", self.node);
        let mut plugin = Plugin { env: vec![("LC_ALL".into(), "C".to_string())], ..Plugin::default() };
        match protocol {
            Protocol::Ssh => self.ssh(network, &mut plugin, lx),
            _ => self.curl(network, protocol, &mut plugin, lx),
        }
        if let Some(secret) = self.auth.and_then(|a| a.secret.as_ref()) {
            let source = secret.source(SecretUsage::Iscsi);
            let path = self.secret_file(&secrets::auth_id(self.node), source, lx);
            plugin.read_secret("password", path);
        }
        let options = ["--foreground", "--readonly"].into_iter().take(if self.readonly { 2 } else { 1 });
        let options = options.map(String::from).chain([plugin_of(protocol).unwrap_or("curl").to_string()]);
        let mut args = vec![Arg::text("--unix", socket.clone(), cause.clone())];
        args.extend(options.chain(plugin.words).map(|word| Arg::switch(word, cause.clone())));
        for (path, kind) in plugin.reads {
            let grant = if kind == PathKind::Socket { Grant::PEER_SOCKET } else { Grant::LOADER };
            lx.touch_by(&id, &path, grant, Use::Credentials, self.source.site, what.clone());
        }
        lx.listens(&id, &socket, &cause);
        lx.plan.processes.push(Process {
            role: Role::Nbdkit,
            id,
            program,
            args,
            env: plugin.env,
            ready: Ready::Socket(socket),
            needs: Needed::all(&[Need::Inet], &cause),
            cause,
            ..Process::default()
        });
    }

    fn ssh(&self, network: &Network, plugin: &mut Plugin, lx: &mut Lower<'_>) {
        let parts = &network.parts;
        let host = parts.hosts.first();
        let name = host.and_then(|h| h.name.as_deref());
        plugin.say("host", lx.must(name, "the name of a server", network.site));
        plugin.say("port", host.and_then(|h| h.port).or(Protocol::Ssh.default_port()).unwrap_or(22));
        plugin.say("path", lx.must(network.name.as_deref(), "the name of an image on the network", network.site));
        let identity = parts.identity.as_ref();
        let user = self.auth.and_then(|a| a.username.as_ref()).or(identity.and_then(|i| i.username.as_ref()));
        user.into_iter().for_each(|user| plugin.say("user", user));
        if let Some(key) = identity.and_then(|i| i.keyfile.clone()) {
            plugin.read("identity", key);
        }
        if let Some(agent) = identity.and_then(|i| i.agentsock.clone()) {
            plugin.env.push(("SSH_AUTH_SOCK".into(), agent.clone()));
            plugin.reads.push((agent, PathKind::Socket));
        }
        if let Some(known) = parts.known_hosts.as_ref().and_then(|k| k.path.clone()) {
            plugin.read("known-hosts", known);
        }
    }

    fn curl(&self, network: &Network, protocol: Protocol, plugin: &mut Plugin, lx: &mut Lower<'_>) {
        let parts = &network.parts;
        network::url(network).into_iter().for_each(|url| plugin.say("url", url));
        plugin.say("protocols", protocol);
        if let Some(verify) = parts.ssl.as_ref().and_then(|s| s.verify) {
            plugin.say("sslverify", verify.is_yes());
        }
        parts.timeout.as_ref().and_then(|t| t.seconds).into_iter().for_each(|s| plugin.say("timeout", s));
        self.auth.and_then(|a| a.username.as_ref()).into_iter().for_each(|user| plugin.say("user", user));
        if !parts.cookies.is_empty() {
            let source = format!("{}/{}-cookies", lx.plan.name, self.node);
            let path = self.secret_file(&secrets::cookie_id(self.node), source, lx);
            plugin.read_secret("cookie", path);
        }
    }

    /// The file in which the plugin finds a secret.
    fn secret_file(&self, id: &str, source: String, lx: &mut Lower<'_>) -> String {
        let path = format!("{}/secrets/{id}", lx.paths.run);
        let cause = lx.cause(self.source.site, format!("disk {}", self.disk));
        lx.plan.secrets.push(Secret { id: id.to_string(), path: path.clone(), source, base64: false, cause });
        path
    }
}
