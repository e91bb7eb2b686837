//! `<source>` of images that are not files: drives of the host and servers.

use super::super::element::Element;
use super::super::options::Options;

/// `<source>` of a drive of the host.
pub(super) fn nvme(node: &mut Options) -> Option<Element> {
    let device = node.take("device")?;
    let mut parts = device.rsplit(':');
    let (slot, function) = parts.next()?.split_once('.')?;
    let (bus, domain) = (parts.next()?, parts.next().unwrap_or("0000"));
    let address = Element::new("address")
        .attr("domain", format!("0x{domain}"))
        .attr("bus", format!("0x{bus}"))
        .attr("slot", format!("0x{slot}"))
        .attr("function", format!("0x{function}"));
    let source =
        Element::new("source").attr("type", "pci").attr("managed", "yes").maybe("namespace", node.take("namespace"));
    Some(source.child(address))
}

/// `<source>` of an image in Ceph.
pub(super) fn rbd(node: &mut Options) -> Option<Element> {
    let (pool, image) = (node.get("pool")?.to_string(), node.get("image")?.to_string());
    node.take("pool");
    node.take("image");
    let name = match node.take("namespace") {
        Some(space) => format!("{pool}/{space}/{image}"),
        None => format!("{pool}/{image}"),
    };
    let mut source = Element::new("source").attr("protocol", "rbd").attr("name", name);
    for i in 0.. {
        let mut server = node.take_below(&format!("server.{i}."));
        let Some(host) = server.take("host") else { break };
        source.push(Element::new("host").attr("name", host).maybe("port", server.take("port")));
    }
    source.push_all(node.take("snapshot").map(|s| Element::new("snapshot").attr("name", s)));
    source.push_all(node.take("conf").map(|c| Element::new("config").attr("file", c)));
    Some(source)
}

/// A server, in either of QEMU's notations.
pub(super) fn host(server: &mut Options) -> Option<Element> {
    let kind = server.take("type");
    if kind.as_deref() == Some("unix") {
        return Some(
            Element::new("host").attr("transport", "unix").attr("socket", server.take_any(&["path", "socket"])?),
        );
    }
    Some(Element::new("host").attr("name", server.take("host")?).maybe("port", server.take("port")))
}

/// `<source>` of an image on Gluster.
pub(super) fn gluster(node: &mut Options) -> Option<Element> {
    let name = format!("{}/{}", node.get("volume")?, node.get("path")?);
    node.take("volume");
    node.take("path");
    let mut source = Element::new("source").attr("protocol", "gluster").attr("name", name);
    for i in 0.. {
        let mut server = node.take_below(&format!("server.{i}."));
        let Some(host) = host(&mut server) else { break };
        source.push(host);
    }
    // How much its library tells is a matter of the host.
    node.same("debug", &["4"]);
    Some(source)
}

/// `<source>` of an image on NFS.
pub(super) fn nfs(node: &mut Options) -> Option<Element> {
    let mut server = node.take_below("server.");
    let mut source = Element::new("source").attr("protocol", "nfs").attr("name", node.take("path")?);
    source.push(host(&mut server)?);
    let (user, group) = (node.take("user"), node.take("group"));
    if user.is_some() || group.is_some() {
        let number = |name: Option<String>| name.map(|name| format!("+{name}"));
        source.push(Element::new("identity").maybe("user", number(user)).maybe("group", number(group)));
    }
    Some(source)
}

/// `<source>` of an image behind SSH.
pub(super) fn ssh(node: &mut Options) -> Option<Element> {
    let mut server = node.take_below("server.");
    let mut source = Element::new("source").attr("protocol", "ssh").attr("name", node.take("path")?);
    source.push(host(&mut server)?);
    source.push_all(node.take("user").map(|user| Element::new("identity").attr("username", user)));
    Some(source)
}

/// `<source>` of a unit of an iSCSI target.
pub(super) fn iscsi(node: &mut Options) -> Option<Element> {
    let (portal, target) = (node.take("portal")?, node.take("target")?);
    let lun = node.take("lun").unwrap_or_else(|| "0".to_string());
    node.same("transport", &["tcp"]);
    let (host, port) = portal.rsplit_once(':').map_or((portal.as_str(), None), |(h, p)| (h, Some(p)));
    let mut source = Element::new("source").attr("protocol", "iscsi").attr("name", format!("{target}/{lun}"));
    source.push(Element::new("host").attr("name", host.trim_matches(['[', ']'])).maybe("port", port));
    if let Some(name) = node.take("initiator-name") {
        source.push(Element::new("initiator").child(Element::new("iqn").attr("name", name)));
    }
    Some(source)
}

/// `<source>` of a URI, or of QEMU's older way to name an NBD server.
pub(super) fn network(name: &str) -> Option<Element> {
    if let Some(rest) = name.strip_prefix("nbd:") {
        let (server, export) = rest.split_once(":exportname=").map_or((rest, None), |(s, e)| (s, Some(e)));
        let host = match server.strip_prefix("unix:") {
            Some(socket) => Element::new("host").attr("transport", "unix").attr("socket", socket),
            None => {
                let (host, port) = server.rsplit_once(':')?;
                Element::new("host").attr("name", host).attr("port", port)
            }
        };
        // `nbd://` is a URI, below.
        if !server.starts_with("//") {
            return Some(Element::new("source").attr("protocol", "nbd").maybe("name", export).child(host));
        }
    }
    let (scheme, rest) = name.split_once("://")?;
    let (protocol, transport) = scheme.split_once('+').map_or((scheme, None), |(p, t)| (p, Some(t)));
    if !matches!(protocol, "nbd" | "http" | "https" | "ftp" | "ftps" | "tftp" | "iscsi" | "gluster")
        || rest.contains('@')
    {
        return None;
    }
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
    let mut source = Element::new("source").attr("protocol", protocol);
    if !path.is_empty() {
        source.set("name", path);
    }
    let mut host = Element::new("host");
    if let Some(socket) = query.and_then(|q| q.strip_prefix("socket=")) {
        host = host.maybe("transport", transport).attr("socket", socket);
    } else {
        if let Some(query) = query {
            source.set("query", query);
        }
        let (name, port) = server.rsplit_once(':').filter(|(_, p)| p.parse::<u16>().is_ok()).unzip();
        host = host.attr("name", name.unwrap_or(server).trim_matches(['[', ']'])).maybe("port", port);
    }
    Some(source.child(host))
}
