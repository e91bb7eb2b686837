//! What libvirt knows of the host's networks and pools, from its own files.

use super::Source;
use crate::diag::Diagnostics;
use crate::host::*;
use crate::xml::{El, parse};

/// Fills in networks and pools, and says what was left out.
pub fn probe(source: &Source, host: &mut Host, remarks: &mut Vec<String>) {
    for text in definitions(source, "/etc/libvirt/qemu/networks") {
        let mut diags = Diagnostics::new();
        let document = parse(text.as_bytes(), &mut diags);
        if let Some(network) = document.root().filter(|r| r.is("network")).and_then(|r| network(&r)) {
            host.networks.push(network);
        }
    }
    for text in definitions(source, "/etc/libvirt/storage") {
        let mut diags = Diagnostics::new();
        let document = parse(text.as_bytes(), &mut diags);
        if let Some(pool) = document.root().filter(|r| r.is("pool")).and_then(|r| pool(source, &r)) {
            host.pools.push(pool);
        }
    }
    if definitions(source, "/etc/libvirt/secrets").next().is_some() {
        remarks
            .push("libvirt has secrets here; add those that your domains use: secret \"UUID\" value=\"…\"".to_string());
    }
    let interfaces = source.list("/sys/class/net");
    let bridges: Vec<String> =
        interfaces.into_iter().filter(|name| source.exists(&format!("/sys/class/net/{name}/bridge"))).collect();
    if !bridges.is_empty() {
        remarks.push(format!("bridges of this host: {}", bridges.join(", ")));
    }
}

/// The XML files of a directory, in the order of their names.
fn definitions<'s>(source: &'s Source, directory: &'s str) -> impl Iterator<Item = String> + 's {
    let names = source.list(directory).into_iter().filter(|name| name.ends_with(".xml"));
    names.filter_map(move |name| source.text(&format!("{directory}/{name}")))
}

fn value(element: &El<'_>, name: &str) -> Option<String> {
    element.attr(name).map(|a| a.value().to_string())
}

fn child_text(element: &El<'_>, name: &str) -> Option<String> {
    element.child(name).map(|c| c.text().trim().to_string()).filter(|t| !t.is_empty())
}

/// The network that a text of libvirt defines.
pub fn network_of(text: &str) -> Option<Network> {
    let mut diags = Diagnostics::new();
    let document = parse(text.as_bytes(), &mut diags);
    let root = document.root().filter(|r| r.is("network"))?;
    Some(Network { dhcp: dhcp(&root), ..network(&root)? })
}

/// The pool that a text of libvirt defines. Its volumes are not looked for.
pub fn pool_of(text: &str, active: bool) -> Option<StoragePool> {
    let mut diags = Diagnostics::new();
    let document = parse(text.as_bytes(), &mut diags);
    let root = document.root().filter(|r| r.is("pool"))?;
    let nowhere = Source::new(std::path::Path::new("/nowhere"));
    Some(StoragePool { active, ..pool(&nowhere, &root)? })
}

/// The addresses that a network gives away: those of its first range for IPv4.
fn dhcp(network: &El<'_>) -> Option<DhcpRange> {
    let dhcp = network.children_named("ip").find_map(|ip| ip.child("dhcp"))?;
    let range = dhcp.child("range")?;
    let hosts = dhcp.children_named("host").filter_map(|h| Some((value(&h, "mac")?, value(&h, "ip")?.parse().ok()?)));
    Some(DhcpRange {
        first: value(&range, "start")?.parse().ok()?,
        last: value(&range, "end")?.parse().ok()?,
        hosts: hosts.collect(),
    })
}

fn network(root: &El<'_>) -> Option<Network> {
    let forward = root.child("forward").and_then(|f| {
        let mode = value(&f, "mode").unwrap_or_else(|| "nat".to_string());
        let named = |i: El<'_>| value(&i, "dev");
        Some(Forward {
            mode: ForwardMode::parse(&mode)?,
            managed: value(&f, "managed").as_deref() == Some("yes"),
            interfaces: f.children_named("interface").filter_map(named).collect(),
        })
    });
    let bridge = root.child("bridge").and_then(|b| value(&b, "name"));
    let mode = forward.as_ref().map(|f| f.mode);
    // What libvirt makes of a NIC on such a network.
    let plug = match mode {
        None | Some(ForwardMode::None | ForwardMode::Nat | ForwardMode::Route | ForwardMode::Open) => Plug::Network,
        Some(ForwardMode::Bridge) if bridge.is_some() => Plug::Bridge,
        Some(ForwardMode::Hostdev) => Plug::HostdevPci,
        Some(_) => Plug::Direct,
    };
    Some(Network {
        dhcp: None,
        name: child_text(root, "name")?,
        addresses: root.children_named("ip").filter_map(|ip| cidr(&ip)).collect(),
        virtualport: root.child("virtualport").and_then(|v| value(&v, "type")),
        port: Some(NetworkPort {
            plug,
            bridge: bridge.clone(),
            address: None,
            managed: None,
            trust_guest_rx_filters: value(root, "trustGuestRxFilters").map(|v| v == "yes"),
        }),
        forward,
        bridge,
    })
}

/// The address of an `<ip>` with its prefix length.
fn cidr(ip: &El<'_>) -> Option<String> {
    let address = value(ip, "address")?;
    if let Some(prefix) = value(ip, "prefix") {
        return Some(format!("{address}/{prefix}"));
    }
    match value(ip, "netmask") {
        Some(mask) => {
            let mask: std::net::Ipv4Addr = mask.parse().ok()?;
            Some(format!("{address}/{}", u32::from(mask).leading_ones()))
        }
        // The width of the network's class, as before CIDR.
        None => match address.parse::<std::net::IpAddr>().ok()? {
            std::net::IpAddr::V4(v4) => Some(format!(
                "{address}/{}",
                match v4.octets()[0] {
                    0..128 => 8,
                    128..192 => 16,
                    _ => 24,
                }
            )),
            std::net::IpAddr::V6(_) => Some(format!("{address}/64")),
        },
    }
}

fn pool(source: &Source, root: &El<'_>) -> Option<StoragePool> {
    let name = child_text(root, "name")?;
    let from = root.child("source");
    let within =
        |element: &str, attribute: &str| from.and_then(|s| s.child(element)).and_then(|e| value(&e, attribute));
    let target = root.child("target").and_then(|t| child_text(&t, "path"));
    let kind = value(root, "type").and_then(|t| PoolKind::parse(&t));
    let volumes = match (&target, kind) {
        (Some(path), Some(PoolKind::Dir | PoolKind::Fs | PoolKind::Netfs)) => files(source, path),
        _ => Vec::new(),
    };
    let auth = from.and_then(|s| s.child("auth")).and_then(|a| {
        let uuid = a.child("secret").and_then(|s| value(&s, "uuid"))?;
        Some(PoolAuth {
            kind: value(&a, "type")?,
            username: value(&a, "username")?,
            secret: <crate::vocab::Uuid as crate::vocab::Value>::parse(&uuid).ok()?,
        })
    });
    Some(StoragePool {
        // A pool is started when libvirt says so, or when it is to be started with the host.
        active: source.exists(&format!("/run/libvirt/storage/{name}.xml"))
            || source.exists(&format!("/etc/libvirt/storage/autostart/{name}.xml")),
        name,
        kind,
        host: within("host", "name"),
        device: within("device", "path").or_else(|| from.and_then(|s| child_text(&s, "name"))),
        target,
        auth,
        volumes,
    })
}

/// The files of a directory as volumes.
fn files(source: &Source, path: &str) -> Vec<Volume> {
    source
        .list(path)
        .into_iter()
        .filter(|name| !name.starts_with('.'))
        .map(|name| {
            let place = format!("{}/{name}", path.trim_end_matches('/'));
            let kind = if source.at(&place).is_dir() { VolumeKind::Dir } else { VolumeKind::File };
            Volume { name, kind, path: place }
        })
        .collect()
}
