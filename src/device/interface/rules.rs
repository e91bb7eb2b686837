//! Checks of a complete interface.

use super::{Interface, InterfaceType};
use crate::diag::codes::{network as codes, schema};
use crate::domain::Domain;
use crate::lower::Lower;
use crate::resolve::{Cx, Machine};

/// Checks one interface.
pub fn interface(interface: &Interface, _: &Domain, _: &Machine, cx: &mut Cx<'_>) {
    let kind = interface.kind();
    let port_forward_works = interface.uses_passt() && matches!(kind, InterfaceType::User | InterfaceType::Vhostuser);
    if let Some(forward) = interface.port_forwards.first()
        && !port_forward_works
    {
        cx.error(
            &codes::NOT_FOR_TYPE,
            forward.site,
            "the <portForward> element can only be used with the 'passt' backend of interface type='user' or type='vhostuser'",
        )
        .help("add <backend type='passt'/>");
    }
    if kind == InterfaceType::Bridge && interface.source.fields.bridge.is_none() {
        cx.error(
            &schema::MISSING_ATTRIBUTE,
            interface.site,
            "no <source> with a 'bridge' attribute for interface type='bridge'",
        )
        .help("add <source bridge='br0'/>");
    }
    if let Some(port) = &interface.virtualport {
        let needed: &[&str] = match port.kind.as_deref() {
            Some("802.1Qbh") => &["profileid"],
            Some("802.1Qbg") => &["managerid", "typeid", "typeidversion"],
            _ => &[],
        };
        let given = port.parameters.as_ref();
        let has = |name: &str| {
            given.is_some_and(|p| match name {
                "profileid" => p.profileid.is_some(),
                "managerid" => p.managerid.is_some(),
                "typeid" => p.typeid.is_some(),
                _ => p.typeidversion.is_some(),
            })
        };
        if let Some(missing) = needed.iter().find(|n| !has(n)) {
            let kind = port.kind.as_deref().unwrap_or("");
            let site = given.map_or(port.site, |p| p.site);
            cx.error(&schema::MISSING_ATTRIBUTE, site, format!("missing {missing} in <virtualport type='{kind}'>"))
                .help(format!("add <parameters {missing}='…'/> as the switch wants it"));
        }
    }
    if let Some(driver) = &interface.driver {
        // MAX_TAP_QUEUES of QEMU; a vhost-user backend may have as many as virtio allows.
        let most = if kind == InterfaceType::Vhostuser { 1024 } else { 256 };
        if let Some(queues) = driver.queues.filter(|q| *q > most) {
            cx.error_at(&codes::QUEUE_SIZE, driver.site, "queues", format!("{queues} queues are more than QEMU has"))
                .help(format!("use at most {most}"));
        }
        for (name, size) in [("rx_queue_size", driver.rx_queue_size), ("tx_queue_size", driver.tx_queue_size)] {
            if size.is_some_and(|s| !s.is_power_of_two()) {
                cx.error_at(&codes::QUEUE_SIZE, driver.site, name, format!("{name} has to be a power of two"))
                    .help("256, 512 and 1024 are sizes that QEMU takes");
            }
        }
    }
    if kind == InterfaceType::Network
        && let Some(name) = &interface.source.fields.network
        && super::lower::network(name, cx.env).is_none()
        && !cx.env.is_libvirt()
    {
        cx.error_at(
            &codes::NO_NETWORK,
            interface.source.site,
            "network",
            format!("the host facts hold no network '{name}'"),
        )
        .help(format!(
            "add to the host facts: network \"{name}\" {{ bridge \"virbr0\"; port plug=\"network\" bridge=\"virbr0\" }}"
        ));
    }
    if let Some(name) = interface.target.as_ref().and_then(|t| t.dev.as_ref())
        && (name.len() > 15 || name.contains(['/', ' ', ':']) || name == "." || name == "..")
    {
        cx.error_at(
            &codes::BAD_NAME,
            interface.target.as_ref().map_or(interface.site, |t| t.site),
            "dev",
            format!("'{name}' is no name for a network interface"),
        )
        .help("use at most 15 characters, without '/', ':' and blanks");
    }
}

/// What only the start shows: whether the host's side of the interface can be had.
pub fn can_start(interface: &Interface, lx: &mut Lower<'_>) -> bool {
    let kind = interface.kind();
    let mac = interface.mac();
    if let Some(backend) = interface.backend.as_ref().filter(|b| b.tap.is_some())
        && !takes_tap(kind)
    {
        lx.error(
            &codes::NOT_FOR_TYPE,
            backend.site,
            format!(
                "interface {mac} - a custom tap device path is not supported for network interfaces of type {kind}"
            ),
        )
        .help(
            "remove the 'tap' attribute of <backend>, or use an interface that has a tap: network, bridge or ethernet",
        );
        return false;
    }
    if kind == InterfaceType::Vhostuser && interface.uses_passt() && !lx.domain.has_shared_memory() {
        lx.error(
            &codes::SHARED_MEMORY,
            interface.site,
            "this 'interface' requires shared memory: passt reads the guest's memory itself",
        )
        .help("add <memoryBacking><access mode='shared'/></memoryBacking>");
        return false;
    }
    true
}

fn takes_tap(kind: InterfaceType) -> bool {
    matches!(kind, InterfaceType::Network | InterfaceType::Bridge | InterfaceType::Ethernet | InterfaceType::Direct)
}
