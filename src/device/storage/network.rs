//! `<source protocol='…'>`: an image that a server holds.

use super::credentials::Auth;
use super::kinds::{Protocol, StorageKind, Transport};
use super::source::{Location, StorageSource};
use crate::bind::{Binder, Part, Shape, model};
use crate::vocab::YesNo;
use crate::xml::{El, Site, XmlWriter};

model! {
    /// `<host>` of a network source.
    pub struct StorageHost = "host" {
        attr name: String = "name",
        attr port: u32 = "port",
        attr transport: Transport = "transport",
        attr socket: String = "socket",
    }
}

model! {
    /// A child element with one `name`.
    pub struct Named {
        attr name: String = "name",
    }
}

model! {
    /// `<config file='…'/>`: configuration of the Ceph client.
    pub struct Config {
        key file: String = "file",
    }
}

model! {
    /// `<initiator>` of an iSCSI source.
    pub struct Initiator {
        child iqn: Named = "iqn",
    }
}

model! {
    /// `<ssl verify='…'/>`
    pub struct Ssl {
        attr verify: YesNo = "verify",
    }
}

model! {
    /// `<cookie name='…'>value</cookie>`
    pub struct Cookie = "cookie" {
        need name: String = "name",
        text value: String,
    }
}

model! {
    /// `<readahead size='…'/>`, bytes.
    pub struct Readahead {
        key size: u64 = "size",
    }
}

model! {
    /// `<timeout seconds='…'/>`
    pub struct Timeout {
        key seconds: u64 = "seconds",
    }
}

model! {
    /// `<knownHosts path='…'/>` of an SSH source.
    pub struct KnownHosts {
        need path: String = "path",
    }
}

model! {
    /// `<identity>`: user and group of NFS; user, key or agent of SSH.
    pub struct Identity {
        attr user: String = "user",
        attr group: String = "group",
        attr username: String = "username",
        attr keyfile: String = "keyfile",
        attr agentsock: String = "agentsock",
    }
}

model! {
    /// `<reconnect delay='…'/>` of an NBD source, seconds.
    pub struct Delay {
        key delay: u32 = "delay",
    }
}

model! {
    /// The children of a network source, in libvirt's order.
    pub struct NetworkParts {
        many hosts: StorageHost,
        child snapshot: Named = "snapshot",
        child config: Config = "config",
        child initiator: Initiator = "initiator",
        child ssl: Ssl = "ssl",
        list cookies: Cookie = "cookies",
        child readahead: Readahead = "readahead",
        child timeout: Timeout = "timeout",
        child known_hosts: KnownHosts = "knownHosts",
        child identity: Identity = "identity",
        child reconnect: Delay = "reconnect",
    }
}

model! {
    /// `<source protocol='iscsi'>` of a host device: what it shares with that of a disk, which has more.
    pub struct IscsiSource {
        need protocol: Protocol = "protocol",
        attr name: String = "name",
        many hosts: StorageHost,
        child auth: Auth,
        child initiator: Initiator = "initiator",
    }
}

impl From<IscsiSource> for StorageSource {
    fn from(source: IscsiSource) -> StorageSource {
        let IscsiSource { protocol, name, hosts, auth, initiator, site } = source;
        let mut parts = NetworkParts { hosts, initiator, site, ..NetworkParts::default() };
        parts.tidy(protocol);
        let mut network = Network { protocol, name, parts, site, ..Network::default() };
        network.complete_iscsi();
        let location = Location::Network(Box::new(network));
        StorageSource { kind: StorageKind::Network, location, auth, site, ..StorageSource::default() }
    }
}

/// An image that a server holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// How it is reached.
    pub protocol: Option<Protocol>,
    /// What it is called there, as the XML says.
    pub name: Option<String>,
    /// Query of the URL, without `?`.
    pub query: Option<String>,
    /// Whether TLS is used; none: what the host facts say.
    pub tls: Option<YesNo>,
    /// Name in the server's certificate.
    pub tls_hostname: Option<String>,
    /// Servers and options.
    pub parts: NetworkParts,
    /// Where it stands.
    pub site: Site,
}

impl Part for Network {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.protocol = cx.need(el, "protocol");
        self.name = cx.attr(el, "name");
        self.query = cx.attr(el, "query");
        self.query.take_if(|_| !matches!(self.protocol, Some(Protocol::Http | Protocol::Https)));
        self.tls = cx.attr(el, "tls");
        self.tls_hostname = cx.attr(el, "tlsHostname");
        self.parts.bind(el, cx);
        self.parts.tidy(self.protocol);
        self.complete_ports();
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        if let Some(protocol) = self.protocol {
            out.attr("protocol", protocol.as_str());
        }
        for (name, value) in [("name", &self.name), ("query", &self.query)] {
            if let Some(value) = value {
                out.attr(name, value);
            }
        }
        if let Some(tls) = self.tls {
            out.attr("tls", tls.as_str());
        }
        if let Some(hostname) = &self.tls_hostname {
            out.attr("tlsHostname", hostname);
        }
    }
    fn print_body(&self, out: &mut XmlWriter) {
        self.parts.print_body(out);
    }
    fn shape(shape: &mut Shape) {
        ["protocol", "name", "query", "tls", "tlsHostname"].into_iter().for_each(|name| shape.attr(name));
        NetworkParts::shape(shape);
    }
}

impl NetworkParts {
    /// Forgets what goes without saying, and what the protocol has no use for.
    fn tidy(&mut self, protocol: Option<Protocol>) {
        for host in &mut self.hosts {
            host.transport = host.transport.filter(|t| *t != Transport::Tcp);
            if host.transport == Some(Transport::Unix) {
                host.port = None;
            }
        }
        if !matches!(protocol, Some(Protocol::Https | Protocol::Ftps)) {
            self.ssl = None;
        }
        if !matches!(protocol, Some(Protocol::Http | Protocol::Https)) {
            self.cookies.clear();
        }
        if !protocol.is_some_and(Protocol::is_curl) {
            (self.readahead, self.timeout) = (None, None);
        }
        // 0, or none, is what the driver does by itself.
        self.readahead = self.readahead.take().filter(|r| r.size.is_some_and(|size| size > 0));
        self.timeout = self.timeout.take().filter(|t| t.seconds.is_some_and(|seconds| seconds > 0));
        if protocol != Some(Protocol::Ssh) {
            self.known_hosts = None;
            if protocol != Some(Protocol::Nfs) {
                self.identity = None;
            }
            if let Some(identity) = &mut self.identity {
                (identity.username, identity.keyfile, identity.agentsock) = (None, None, None);
            }
        }
    }
}

impl Network {
    /// Fills in the usual port of the protocol where none is given.
    fn complete_ports(&mut self) {
        let port = self.protocol.and_then(Protocol::default_port);
        for host in self.parts.hosts.iter_mut().filter(|h| h.transport != Some(Transport::Unix)) {
            host.port = host.port.filter(|p| *p != 0).or(port);
        }
    }

    /// Completes the name of an iSCSI disk or host device: without a logical unit the first one is meant.
    pub fn complete_iscsi(&mut self) {
        if self.protocol == Some(Protocol::Iscsi)
            && let Some(name) = &mut self.name
            && !name.contains('/')
        {
            name.push_str("/0");
        }
    }

    /// The name split at the first `/`: volume and path of Gluster, pool and image of Ceph.
    pub fn split_name(&self) -> (&str, &str) {
        let name = self.name.as_deref().unwrap_or("");
        let name = name.strip_prefix('/').unwrap_or(name);
        name.split_once('/').unwrap_or((name, ""))
    }
}
