//! What the XML of an interface leaves open.

use super::{Interface, InterfaceType, MacAddress, NetBackendType, NicModel};
use crate::caps::Cap;
use crate::diag::codes::network as codes;
use crate::stage::{Board, Cx, Machine, Quirk};
use crate::vocab::{Arch, Mac, YesNo, sum};

/// Fills in MAC address and model.
pub fn interface(interface: &mut Interface, machine: &Machine, cx: &mut Cx<'_>) {
    if interface.mac.is_none() {
        let mac = derived_mac(interface, cx);
        let message = format!("<mac> is missing: {mac} was derived from the domain's name and the interface's number");
        cx.derived(interface.site, message, format!("to keep it, add <mac address='{mac}'/>"));
        interface.mac = Some(MacAddress { address: Some(mac), ..MacAddress::default() });
    }
    virtual_port(interface, cx);
    // Only devices of the host are taken from their drivers.
    interface.managed.take_if(|_| interface.kind != Some(InterfaceType::Hostdev));
    if interface.kind() == InterfaceType::Vhostuser && !interface.uses_passt() {
        interface.source.fields.mode.get_or_insert_with(|| "client".to_string());
    }
    if let Some(reconnect) = &mut interface.source.fields.reconnect {
        reconnect.timeout = reconnect.timeout.filter(|_| reconnect.enabled == Some(YesNo::Yes));
    }
    if let Some(vlan) = interface.vlan.as_mut().filter(|v| v.tags.len() > 1) {
        vlan.trunk.get_or_insert(YesNo::Yes);
    }
    if let Some(backend) = interface.backend.as_mut().filter(|b| b.kind != Some(NetBackendType::Passt)) {
        let named = backend.hostname.is_some() || backend.fqdn.is_some();
        if named && !cx.env.behaves(Quirk::NamesOfPasstAreDropped) {
            let message = "<backend>: hostname and fqdn are what passt tells: they go with type='passt'";
            cx.error(&crate::diag::codes::network::NOT_FOR_TYPE, backend.site, message);
        }
        (backend.log_file, backend.hostname, backend.fqdn) = (None, None, None);
    }
    // libvirt writes the family of an address down.
    for ip in interface.ips.iter_mut().chain(&mut interface.source.fields.ips) {
        let v6 = ip.address.as_deref().is_some_and(|a| a.contains(':'));
        ip.family.get_or_insert_with(|| if v6 { "ipv6" } else { "ipv4" }.to_string());
    }
    if let Some(name) = &interface.source.fields.network
        && let Some(port) = cx.env.host.network(name).and_then(|n| n.port.as_ref())
        && port.plug == crate::host::Plug::HostdevPci
    {
        interface.network_device = port.address;
    }
    // Only a tap can be filtered; libvirt leaves the element out of the others.
    let filtered = matches!(interface.kind(), InterfaceType::Ethernet | InterfaceType::Network | InterfaceType::Bridge);
    if let Some(filter) = interface.filterref.take_if(|_| !filtered) {
        let message = format!("<filterref> has no effect on an interface of type '{}'", interface.kind());
        cx.diags.warning(&codes::NOT_FOR_TYPE, cx.doc.span_of(filter.site), message);
    }
    if interface.kind() == InterfaceType::Hostdev
        && let Some(driver) = &mut interface.driver
    {
        // Queues and offloads are those of the device itself.
        let (name, model, iommufd, site) = (driver.name, driver.model.take(), driver.iommufd, driver.site);
        *driver = super::Driver { name, model, iommufd, site, ..super::Driver::default() };
        interface.driver.take_if(|d| d.name.is_none() && d.model.is_none() && d.iommufd.is_none());
        interface.source.driver = interface.driver.take_if(|d| d.iommufd.is_some());
    }
    if interface.kind() == InterfaceType::Hostdev || interface.model.is_some() {
        return;
    }
    if let Some(model) = default_model(interface, machine, cx) {
        interface.model = Some(NicModel { kind: Some(model.to_string()), ..NicModel::default() });
    }
}

/// Makes the ids that a virtual port has and the XML does not give, and forgets what its type has not.
fn virtual_port(interface: &mut Interface, cx: &Cx<'_>) {
    let mac = interface.mac.as_ref().and_then(|m| m.address).map(|m| m.to_string()).unwrap_or_default();
    let Some(port) = &mut interface.virtualport else { return };
    let new = |what: &str| {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&cx.env.host.random.bytes(&mac, what, 16)[..16]);
        crate::vocab::Uuid::from_random(uuid).to_string()
    };
    let kind = port.kind.as_deref();
    // A port of a network without type may become any.
    let (instance, id) = (matches!(kind, Some("802.1Qbg") | None), matches!(kind, Some("openvswitch") | None));
    if instance || id {
        let parameters = port.parameters.get_or_insert_default();
        if instance {
            parameters.instanceid.get_or_insert_with(|| new("instanceid"));
        }
        if id {
            parameters.interfaceid.get_or_insert_with(|| new("interfaceid"));
        }
    }
    if kind == Some("midonet")
        && let Some(given) = &mut port.parameters
    {
        let (interfaceid, site) = (given.interfaceid.take(), given.site);
        *given = super::PortParameters { interfaceid, site, ..Default::default() };
    }
}

/// A MAC address under QEMU's prefix that depends on the domain's name and on how many interfaces stand before.
fn derived_mac(interface: &Interface, cx: &Cx<'_>) -> Mac {
    if cx.env.host.random == crate::host::Random::Counting {
        // Each byte is a request of its own.
        return Mac([0x52, 0x54, 0x00, 0x00, 0x00, 0x00]);
    }
    let root = cx.doc.root();
    let name = root.and_then(|r| r.child("name")).map_or("", |n| n.text());
    let start = cx.span(interface.site).start;
    let devices = root.and_then(|r| r.child("devices"));
    let interfaces = devices.iter().flat_map(|d| d.children_named("interface"));
    let before = interfaces.take_while(|i| i.span().start < start).count() as u64;
    let bytes = sum(name.trim().bytes().chain([0]).chain(before.to_be_bytes())).to_be_bytes();
    Mac([0x52, 0x54, 0x00, bytes[5], bytes[6], bytes[7]])
}

/// The model that libvirt gives an interface: virtio where it always works, else what the board's
/// guests know.
fn default_model(interface: &Interface, machine: &Machine, cx: &Cx<'_>) -> Option<&'static str> {
    if matches!(interface.kind(), InterfaceType::Vdpa | InterfaceType::Vhostuser) {
        return Some("virtio");
    }
    Some(match machine.arch {
        arch if arch.is_s390() || arch.is_loongarch() || arch.is_riscv() => "virtio",
        arch if arch.is_arm() => match machine.name.as_str() {
            "versatilepb" => "smc91c111",
            _ if machine.board == Board::Virt => "virtio",
            _ => "lan9118",
        },
        Arch::Ppc | Arch::Ppc64 | Arch::Ppc64le if machine.name == "mac99" || machine.name == "g3beige" => "e1000",
        _ if cx.has(Cap::Rtl8139) => "rtl8139",
        _ if cx.has(Cap::E1000) => "e1000",
        _ if cx.has(Cap::VirtioNet) => "virtio",
        _ => return None,
    })
}
