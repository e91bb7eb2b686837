//! Storage nodes of images that a server holds.

use super::backend::Backend;
use super::secrets;
use crate::device::storage::{EncryptionEngine, Network, Protocol, StorageHost, Transport};
use crate::diag::codes::storage as codes;
use crate::plan::{Need, Prop, Props};
use crate::stage::Lower;
use crate::stage::Quirk;

/// The properties of the node of a network image. None after a fault.
pub fn node(how: &Backend<'_>, network: &Network, lx: &mut Lower<'_>) -> Option<Props> {
    let (protocol, hosts) = (network.protocol?, network.parts.hosts.len());
    let fits = match protocol {
        Protocol::Gluster => hosts > 0,
        Protocol::Rbd | Protocol::Sheepdog => true,
        _ => hosts == 1,
    };
    if !fits {
        let message = format!("the protocol '{protocol}' has one host, and {hosts} are given");
        lx.error(&codes::NETWORK, how.source.site, message);
        return None;
    }
    let by_socket = |host: &StorageHost| host.transport == Some(Transport::Unix);
    if network.protocol != Some(Protocol::Nbd) || !network.parts.hosts.iter().all(by_socket) {
        lx.need(Need::Inet, network.site, "disk on the network");
    }
    Some(match network.protocol? {
        Protocol::Nbd => nbd(how, network, lx),
        Protocol::Rbd => rbd(how, network, lx),
        Protocol::Gluster => gluster(network, lx),
        Protocol::Iscsi => return iscsi(how, network, lx),
        Protocol::Ssh => ssh(how, network, lx),
        Protocol::Nfs => return nfs(network, lx),
        Protocol::Vxhs => vxhs(how, network, lx),
        Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => curl(how, network, lx),
        Protocol::Sheepdog => return None,
    })
}

/// QEMU's `SocketAddress` of a server.
fn server(host: &StorageHost, lx: &mut Lower<'_>) -> Props {
    let mut props = Props::new();
    if host.transport == Some(Transport::Unix) {
        props.set("type", "unix").set("path", lx.must(host.socket.clone(), "the socket of a server", host.site));
    } else {
        props.set("type", "inet").set("host", name(host, lx)).set("port", port(host));
    }
    props
}

/// QEMU's `InetSocketAddress` of a server.
fn inet(host: &StorageHost, lx: &mut Lower<'_>) -> Props {
    let mut props = Props::with("host", name(host, lx));
    props.set("port", port(host));
    props
}

/// The name or address of a server.
fn name(host: &StorageHost, lx: &mut Lower<'_>) -> String {
    lx.must(host.name.clone(), "the name of a server", host.site)
}

/// The port of a server; 0, as a libvirt writes it, for a protocol that has no port of its own.
fn port(host: &StorageHost) -> String {
    host.port.unwrap_or(0).to_string()
}

/// What the server calls the image.
fn image(network: &Network, lx: &mut Lower<'_>) -> String {
    lx.must(network.name.clone(), "the name of an image on the network", network.site)
}

fn nbd(how: &Backend<'_>, network: &Network, lx: &mut Lower<'_>) -> Props {
    let mut props = Props::driver("nbd");
    if let Some(host) = network.parts.hosts.first() {
        props.set("server", server(host, lx));
    }
    props.maybe("export", network.name.clone());
    if secrets::uses_tls(network, lx) {
        props.set("tls-creds", secrets::tls_id(how.node));
        props.maybe("tls-hostname", network.tls_hostname.clone());
    } else if lx.env.has_parent() {
        // Libvirt says it even where there is no TLS.
        props.maybe("tls-hostname", network.tls_hostname.clone());
    }
    props.maybe("reconnect-delay", network.parts.reconnect.as_ref().and_then(|r| r.delay));
    props
}

fn rbd(how: &Backend<'_>, network: &Network, lx: &mut Lower<'_>) -> Props {
    let has_namespaces = !lx.env.behaves(Quirk::RbdNamesUnchecked);
    let (pool, image) = network.split_name();
    let (namespace, image) = match image.split_once('/') {
        Some((namespace, image)) if has_namespaces => (Some(namespace), image),
        _ => (None, image),
    };
    let mut props = Props::driver("rbd");
    props.set("pool", pool.to_string());
    props.maybe("namespace", namespace.map(str::to_string));
    props.set("image", image.to_string());
    props.maybe("snapshot", network.parts.snapshot.as_ref().and_then(|s| s.name.clone()));
    props.maybe("conf", network.parts.config.as_ref().and_then(|c| c.file.clone()));
    if !network.parts.hosts.is_empty() {
        let monitors: Vec<Prop> = network.parts.hosts.iter().map(|h| Prop::from(inet(h, lx))).collect();
        props.set("server", monitors);
    }
    if let Some(auth) = how.auth {
        props.maybe("user", auth.username.clone());
        props.set("auth-client-required", vec![Prop::from("cephx"), Prop::from("none")]);
        props.set("key-secret", secrets::auth_id(how.node));
    }
    if let Some(encryption) = how.encryption.filter(|e| e.engine == Some(EncryptionEngine::Librbd)) {
        let format = encryption.format.map_or("luks", |f| f.as_str());
        // The first secret opens the image, the next its parent, and so on.
        let mut encrypt: Option<Props> = None;
        for i in (0..encryption.secrets.len()).rev() {
            let mut layer = Props::with("format", format);
            layer.set("key-secret", secrets::encryption_id(how.node, i));
            layer.maybe("parent", encrypt.take());
            encrypt = Some(layer);
        }
        props.maybe("encrypt", encrypt);
    }
    props
}

fn gluster(network: &Network, lx: &mut Lower<'_>) -> Props {
    let (volume, path) = network.split_name();
    let mut props = Props::driver("gluster");
    props.set("volume", volume.to_string()).set("path", path.to_string());
    let servers: Vec<Prop> = network.parts.hosts.iter().map(|h| Prop::from(server(h, lx))).collect();
    props.set("server", servers);
    let debug = lx.env.host.instance.gluster_debug_level;
    if debug != 0 {
        props.set("debug", debug);
    }
    props
}

fn iscsi(how: &Backend<'_>, network: &Network, lx: &mut Lower<'_>) -> Option<Props> {
    let image = image(network, lx);
    let (target, lun) = image.split_once('/').unwrap_or((&image, "0"));
    let Ok(lun) = lun.parse::<u32>() else {
        lx.error(
            &codes::NETWORK,
            network.site,
            format!("the iSCSI name ends in '{lun}', which does not parse as a LUN of a target"),
        )
        .help("an iSCSI name is the target's IQN, '/', and the number of the logical unit");
        return None;
    };
    let host = network.parts.hosts.first()?;
    let address = name(host, lx);
    // The port of a host device is not filled in; libvirt writes 0 then.
    let port = if lx.env.behaves(Quirk::IscsiPortZero) { Some(0) } else { Protocol::Iscsi.default_port() };
    let port = lx.must(host.port.or(port), "the port of a server", host.site);
    let portal = if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
    let mut props = Props::driver("iscsi");
    props.set("portal", portal).set("target", target.to_string()).set("lun", lun).set("transport", "tcp");
    if let Some(auth) = how.auth {
        props.maybe("user", auth.username.clone());
        props.set("password-secret", secrets::auth_id(how.node));
    }
    let initiator = network.parts.initiator.as_ref().and_then(|i| i.iqn.as_ref()).and_then(|i| i.name.clone());
    props.maybe("initiator-name", initiator);
    Some(props)
}

fn ssh(how: &Backend<'_>, network: &Network, lx: &mut Lower<'_>) -> Props {
    let mut props = Props::driver("ssh");
    props.set("path", image(network, lx));
    if let Some(host) = network.parts.hosts.first() {
        props.set("server", inet(host, lx));
    }
    let user = how.auth.and_then(|a| a.username.clone());
    props.maybe("user", user.or_else(|| network.parts.identity.as_ref().and_then(|i| i.username.clone())));
    props
}

fn nfs(network: &Network, lx: &mut Lower<'_>) -> Option<Props> {
    let mut props = Props::driver("nfs");
    if let Some(host) = network.parts.hosts.first() {
        let mut server = Props::with("host", name(host, lx));
        server.set("type", "inet");
        props.set("server", server);
    }
    props.set("path", image(network, lx));
    if let Some(identity) = &network.parts.identity {
        for (key, name) in [("user", &identity.user), ("group", &identity.group)] {
            let Some(name) = name else { continue };
            let Some(number) = account(name) else {
                lx.error(
                    &codes::ACCOUNT,
                    identity.site,
                    format!("the {key} '{name}' of the NFS source is not a number"),
                )
                .help(format!("write the numeric id: {key}='+1000'"));
                return None;
            };
            props.set(key, number);
        }
    }
    Some(props)
}

/// The number of a user or group: `+1000`, `1000`, or `root`. Other names depend on the host's accounts.
fn account(name: &str) -> Option<u32> {
    if name == "root" {
        return Some(0);
    }
    name.strip_prefix('+').unwrap_or(name).parse().ok()
}

fn vxhs(how: &Backend<'_>, network: &Network, lx: &mut Lower<'_>) -> Props {
    let mut props = Props::driver("vxhs");
    if network.tls.is_some_and(|t| t.is_yes()) {
        props.set("tls-creds", secrets::tls_id(how.node));
    }
    props.set("vdisk-id", image(network, lx));
    if let Some(host) = network.parts.hosts.first() {
        props.set("server", inet(host, lx));
    }
    props
}

/// The path of a URL, escaped as libxml2 does it: what RFC 2396 reserves in a path stays, but for the colon.
fn url_path(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()/;@&=+$,".contains(&b);
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The URL of a source that libcurl serves; none if it lacks what one has.
pub fn url(network: &Network) -> Option<String> {
    let host = network.parts.hosts.first()?;
    let name = host.name.as_deref()?;
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_string() };
    let port = host.port.map_or(String::new(), |p| format!(":{p}"));
    let path = url_path(network.name.as_deref()?);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let query = network.query.as_ref().map_or(String::new(), |q| format!("?{q}"));
    Some(format!("{}://{name}{port}{slash}{path}{query}", network.protocol?))
}

fn curl(how: &Backend<'_>, network: &Network, lx: &mut Lower<'_>) -> Props {
    let mut props = Props::driver(network.protocol.map_or("http", |p| p.as_str()));
    props.set("url", lx.must(url(network), "the host and the name of an image on the network", network.site));
    if let Some(auth) = how.auth {
        props.maybe("username", auth.username.clone());
        props.set("password-secret", secrets::auth_id(how.node));
    }
    props.maybe("sslverify", network.parts.ssl.as_ref().and_then(|s| s.verify).map(|v| v.is_yes()));
    if !network.parts.cookies.is_empty() {
        props.set("cookie-secret", secrets::cookie_id(how.node));
    }
    props.maybe("timeout", network.parts.timeout.as_ref().and_then(|t| t.seconds));
    props.maybe("readahead", network.parts.readahead.as_ref().and_then(|r| r.size));
    props
}
