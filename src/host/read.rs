//! Reads `host.kdl`.

use super::facts::{Bytes, Numbers, Path, Time};
use super::kdl::{self, Reader, Times::*};
use super::rows::{Facts, Table};
use super::*;
use crate::diag::{Diagnostics, Span};
use ::kdl::KdlNode;

/// The nodes of the document.
const TOP: Table = &[
    ("host-facts", Once),
    ("root", Once),
    ("random", Once),
    ("clock", Once),
    ("ports", Once),
    ("machine", Once),
    ("numa", Once),
    ("hugepages", Once),
    ("environment", Once),
    ("instance", Once),
    ("process", Once),
    ("security", Once),
    ("directories", Once),
    ("vnc", Once),
    ("spice", Once),
    ("rdp", Once),
    ("chardev", Once),
    ("nbd", Once),
    ("vxhs", Once),
    ("migration", Once),
    ("backup", Once),
    ("firmware", Once),
    ("vhost-user", Once),
    ("swtpm", Once),
    ("nbdkit", Once),
    ("qemu-vnc", Once),
    ("secret", Many),
    ("network", Many),
    ("storage-pool", Many),
    ("pci-device", Many),
    ("scsi-device", Many),
    ("start", Many),
    ("fd-group", Many),
    ("link", Many),
    ("image", Many),
    ("mount", Many),
];

/// The names that are known, by the node that they stand in.
#[cfg(test)]
pub(super) fn tables() -> [(&'static str, Table); 7] {
    [
        ("", TOP),
        ("machine", Machine::NAMES),
        ("instance", Instance::NAMES),
        ("process", Process::NAMES),
        ("directories", Directories::NAMES),
        ("vnc", Service::NAMES),
        ("spice", Service::NAMES),
    ]
}

/// Reads host facts. All faults are reported in one run, with their spans; the facts are of use only
/// when there is none.
pub fn read(text: &str, diags: &mut Diagnostics) -> Host {
    let mut host = Host::default();
    let Some(document) = kdl::parse(text, &crate::diag::codes::inputs::HOST_SYNTAX, diags) else { return host };
    let mut r = Reader::of_newer(diags);
    match document.nodes().first() {
        Some(first) if first.name().value() == "host-facts" => {
            let mut entries = r.entries(first);
            let version = entries.required_prop::<u32>("version");
            entries.finish();
            r.no_children(first);
            if version.is_some_and(|v| v != 1) {
                r.bad_value(kdl::name_span(first), "'version'", "1, the only version there is");
            }
        }
        Some(other) => r.missing(kdl::name_span(other), "'host-facts version=1' as its first node", "the document"),
        None => r.missing(Span::new(0, 0), "'host-facts version=1' as its first node", "the document"),
    }
    let nodes = r.known(document.nodes(), "of the document", TOP);
    if !nodes.iter().any(|n| n.name().value() == "machine") {
        r.missing(Span::new(text.len(), text.len()), "the node 'machine' with 'arch'", "the document");
    }
    for node in nodes {
        top(&mut r, node, &mut host);
    }
    host
}

fn top(r: &mut Reader, node: &KdlNode, host: &mut Host) {
    match node.name().value() {
        "root" => r.value(node, &mut host.root),
        "random" => r.value(node, &mut host.random),
        "clock" => clock(r, node, &mut host.clock),
        "ports" => host.ports.read_properties(r, node),
        "machine" => machine(r, node, &mut host.machine),
        "numa" => numa(r, node, &mut host.numa),
        "hugepages" => hugepages(r, node, &mut host.hugepages),
        "environment" => environment(r, node, host),
        "instance" => host.instance.read_block(r, node),
        "process" => host.process.read_block(r, node),
        "security" => host.security.read_block(r, node),
        "directories" => host.directories.read_block(r, node),
        "vnc" => host.vnc.read_either(r, node),
        "spice" => host.spice.read_either(r, node),
        "rdp" => host.rdp.read_either(r, node),
        "chardev" => host.chardev.read_either(r, node),
        "nbd" => host.nbd.read_either(r, node),
        "vxhs" => host.vxhs.read_either(r, node),
        "migration" => host.migration.read_either(r, node),
        "backup" => host.backup.read_either(r, node),
        "firmware" => firmware(r, node, &mut host.firmware),
        "vhost-user" => vhost_user(r, node, &mut host.vhost_user),
        "swtpm" => host.swtpm = Some(swtpm(r, node)),
        "nbdkit" => host.nbdkit = nbdkit(r, node),
        "qemu-vnc" => optional_path(r, node, &mut host.qemu_vnc),
        "secret" => {
            if let Some(secret) = secret(r, node) {
                if host.secrets.iter().any(|s| s.key == secret.key) {
                    r.twice(kdl::name_span(node), "a secret with this key");
                }
                host.secrets.push(secret);
            }
        }
        "network" => {
            if let Some(network) = super::network::read(r, node) {
                if host.network(&network.name).is_some() {
                    r.twice(kdl::name_span(node), &format!("the network '{}'", network.name));
                }
                host.networks.push(network);
            }
        }
        "storage-pool" => {
            if let Some(pool) = super::pool::read(r, node) {
                if host.pool(&pool.name).is_some() {
                    r.twice(kdl::name_span(node), &format!("the storage pool '{}'", pool.name));
                }
                host.pools.push(pool);
            }
        }
        "pci-device" => {
            if let Some(device) = pci_device(r, node) {
                if host.pci_device(device.address).is_some() {
                    r.twice(kdl::name_span(node), &format!("the PCI device '{}'", device.address));
                }
                host.pci_devices.push(device);
            }
        }
        "scsi-device" => host.scsi_devices.extend(scsi_device(r, node)),
        "link" => host.links.extend(super::storage::read_link(r, node)),
        "image" => host.images.extend(super::storage::read_image(r, node)),
        "mount" => host.mounts.extend(super::storage::read_mount(r, node)),
        "start" => start(r, node, host),
        "fd-group" => host.fd_groups.extend(fd_group(r, node)),
        // `host-facts` was read first; the table knows no other.
        _ => {}
    }
}

fn optional_path(r: &mut Reader, node: &KdlNode, into: &mut Option<String>) {
    let mut value = None;
    r.option::<Path>(node, &mut value);
    if let Some(Path(path)) = value {
        *into = Some(path);
    }
}

fn paths(r: &mut Reader, node: &KdlNode, into: &mut Vec<String>) {
    let mut list = Vec::new();
    r.list::<Path>(node, &mut list);
    into.extend(list.into_iter().map(|p| p.0));
}

fn clock(r: &mut Reader, node: &KdlNode, clock: &mut Clock) {
    let mut e = r.entries(node);
    if let Some(Time(now)) = e.prop("now") {
        clock.now = Some(now);
    }
    e.set("timezone", &mut clock.timezone);
    e.finish();
    r.no_children(node);
}

fn machine(r: &mut Reader, node: &KdlNode, machine: &mut Machine) {
    machine.read_block(r, node);
    let has_arch = node.iter_children().any(|child| child.name().value() == "arch");
    if !has_arch {
        r.missing(kdl::name_span(node), "'arch'", "machine");
    }
}

fn numa(r: &mut Reader, node: &KdlNode, numa: &mut Numa) {
    let mut nodes: Vec<NumaNode> = Vec::new();
    for child in r.block(node, &[("node", Many), ("placement-advice", Once)]) {
        if child.name().value() == "placement-advice" {
            let mut advice = None;
            r.option::<Numbers>(child, &mut advice);
            numa.placement_advice = advice.map(|n| n.0);
            continue;
        }
        let mut e = r.entries(child);
        let id = e.required_arg::<u32>("its number");
        let cpus = e.prop::<Numbers>("cpus");
        let memory = e.prop::<Bytes>("memory");
        let free = e.prop::<Bytes>("free");
        e.finish();
        let mut pages = Vec::new();
        for list in r.children(child, &[("pages", Many)]) {
            r.list::<Bytes>(list, &mut pages);
        }
        let Some(id) = id else { continue };
        if nodes.iter().any(|n| n.id == id) {
            r.twice(kdl::name_span(child), &format!("the NUMA node {id}"));
        }
        nodes.push(NumaNode {
            id,
            cpus: cpus.map(|n| n.0),
            memory: memory.map(|b| b.0),
            free: free.map(|b| b.0),
            pages: pages.into_iter().map(|b| b.0).collect(),
        });
    }
    if !nodes.is_empty() {
        nodes.sort_by_key(|n| n.id);
        numa.nodes = nodes;
    }
}

fn hugepages(r: &mut Reader, node: &KdlNode, mounts: &mut Vec<HugepageMount>) {
    for child in r.block(node, &[("mount", Many)]) {
        let mut e = r.entries(child);
        let path = e.required_arg::<Path>("the mount point");
        let page_size = e.required_prop::<Bytes>("page-size");
        let default = e.prop("default").unwrap_or(false);
        e.finish();
        r.no_children(child);
        if let (Some(Path(path)), Some(Bytes(page_size))) = (path, page_size) {
            mounts.push(HugepageMount { path, page_size, default });
        }
    }
}

fn environment(r: &mut Reader, node: &KdlNode, host: &mut Host) {
    r.entries(node).finish();
    let Some(block) = node.children() else { return };
    for child in block.nodes() {
        let name = child.name().value();
        if name.is_empty() || name.contains(['=', '\0']) {
            r.bad_value(kdl::name_span(child), "'environment'", "names of variables, without '='");
            continue;
        }
        if host.env(name).is_some() {
            r.twice(kdl::name_span(child), &format!("the variable '{name}'"));
        }
        let mut value = String::new();
        r.value(child, &mut value);
        host.set_env(name, &value);
    }
}

fn firmware(r: &mut Reader, node: &KdlNode, firmware: &mut Firmware) {
    let mut templates = Vec::new();
    let mut descriptors = None;
    let mut any = false;
    for child in r.block(node, &[("descriptors", Many), ("shipped-by", Once), ("nvram-template", Many)]) {
        if child.name().value() == "shipped-by" {
            r.option(child, &mut firmware.shipped_by);
            continue;
        }
        if child.name().value() == "descriptors" {
            paths(r, child, descriptors.get_or_insert_default());
            continue;
        }
        any = true;
        let mut e = r.entries(child);
        let code = e.required_prop::<Path>("code");
        let vars = e.required_prop::<Path>("vars");
        e.finish();
        r.no_children(child);
        if let (Some(Path(code)), Some(Path(vars))) = (code, vars) {
            templates.push(NvramTemplate { code, vars });
        }
    }
    if let Some(directories) = descriptors {
        firmware.descriptors = directories;
    }
    if any {
        firmware.nvram_templates = templates;
    }
}

fn vhost_user(r: &mut Reader, node: &KdlNode, vhost_user: &mut VhostUser) {
    let mut descriptors = None;
    for child in r.block(node, &[("descriptors", Many), ("helper", Many)]) {
        if child.name().value() == "descriptors" {
            paths(r, child, descriptors.get_or_insert_default());
            continue;
        }
        let mut e = r.entries(child);
        let program = e.required_arg::<Path>("the path of the program");
        let kind = e.required_prop("type");
        e.finish();
        let mut features = Vec::new();
        for list in r.children(child, &[("feature", Many)]) {
            r.list(list, &mut features);
        }
        if let (Some(Path(path)), Some(kind)) = (program, kind) {
            vhost_user.helpers.push(VhostUserHelper { path, kind, features });
        }
    }
    if let Some(directories) = descriptors {
        vhost_user.descriptors = directories;
    }
}

fn swtpm(r: &mut Reader, node: &KdlNode) -> Swtpm {
    let mut swtpm = Swtpm::default();
    let mut e = r.entries(node);
    swtpm.socket = e.prop::<Path>("socket").map(|p| p.0);
    e.finish();
    for child in r.children(node, &[("tpm-version", Many)]) {
        let before = swtpm.tpm_versions.len();
        r.list(child, &mut swtpm.tpm_versions);
        if swtpm.tpm_versions[before..].iter().any(|v| v != "1.2" && v != "2.0") {
            r.bad_value(kdl::name_span(child), "'tpm-version'", "\"1.2\" or \"2.0\"");
        }
    }
    swtpm
}

fn nbdkit(r: &mut Reader, node: &KdlNode) -> Option<Nbdkit> {
    let mut e = r.entries(node);
    let program = e.required_arg::<Path>("the path of the program");
    let enabled = e.prop("enabled").unwrap_or(false);
    e.finish();
    let mut plugins = Vec::new();
    for child in r.children(node, &[("plugin", Many)]) {
        r.list(child, &mut plugins);
    }
    program.map(|Path(path)| Nbdkit { path, enabled, plugins })
}

fn secret(r: &mut Reader, node: &KdlNode) -> Option<Secret> {
    let mut e = r.entries(node);
    let uuid = e.arg::<Uuid>();
    let kind = e.prop("usage-type");
    let name = e.prop("usage");
    let value = e.required_prop("value");
    e.finish();
    r.no_children(node);
    let key = match (uuid, kind, name) {
        (Some(uuid), None, None) => SecretKey::Uuid(uuid),
        (None, Some(kind), Some(name)) => SecretKey::Usage { kind, name },
        _ => {
            let expected = "either a UUID, or both 'usage-type' and 'usage'";
            r.bad_value(kdl::name_span(node), "'secret'", expected);
            return None;
        }
    };
    Some(Secret { key, value: value? })
}

fn pci_device(r: &mut Reader, node: &KdlNode) -> Option<PciDevice> {
    let mut e = r.entries(node);
    let address = e.required_arg("its address");
    let device = PciDevice {
        address: address.unwrap_or_default(),
        vendor: e.prop("vendor"),
        device: e.prop("device"),
        class: e.prop("class"),
        iommu_group: e.prop("iommu-group"),
        express: e.prop("express").unwrap_or(true),
        physfn: e.prop("physfn"),
    };
    e.finish();
    r.no_children(node);
    address.map(|_| device)
}

fn scsi_device(r: &mut Reader, node: &KdlNode) -> Option<ScsiDevice> {
    let mut e = r.entries(node);
    let numbers = (e.required_prop("host"), e.required_prop("bus"), e.required_prop("target"), e.required_prop("unit"));
    let sg = e.required_prop("sg");
    e.finish();
    r.no_children(node);
    let (Some(host), Some(bus), Some(target), Some(unit)) = numbers else { return None };
    Some(ScsiDevice { host, bus, target, unit, sg: sg? })
}

fn start(r: &mut Reader, node: &KdlNode, host: &mut Host) {
    let mut e = r.entries(node);
    let name = e.required_arg::<String>("the name of the machine");
    e.finish();
    let mut start = Start { name: name.unwrap_or_default(), after: Vec::new(), wants: Vec::new() };
    for child in r.children(node, &[("after", Once), ("wants", Once)]) {
        let wants = child.name().value() == "wants";
        r.list::<String>(child, if wants { &mut start.wants } else { &mut start.after });
    }
    if host.start(&start.name).is_some() {
        r.twice(kdl::name_span(node), &format!("the start of '{}'", start.name));
    }
    if let Some(first) = start.after.iter().find(|first| host.waits_for(&start.name, first)) {
        let what = format!("'after \"{first}\"': '{first}' waits for '{}', too", start.name);
        r.bad_value(kdl::name_span(node), &what, "an order without a circle");
    }
    host.starts.push(start);
}

fn fd_group(r: &mut Reader, node: &KdlNode) -> Option<FdGroup> {
    let mut e = r.entries(node);
    let name = e.required_arg("its name");
    let count = e.required_prop("count");
    let writable = e.prop("writable").unwrap_or(false);
    e.finish();
    r.no_children(node);
    Some(FdGroup { name: name?, count: count?, writable })
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
