//! Writes `host.kdl`.

use super::lines::Lines;
use super::rows::Facts;
use super::*;

/// Writes host facts: all that differs from the defaults. `title` is the comment at the top.
pub fn write(host: &Host, title: &str) -> String {
    let default = Host::default();
    let mut w = Lines::new();
    w.comment(title).gap();
    w.node("host-facts").prop_number("version", 1);
    if host.root != default.root {
        w.node("root").text(&host.root);
    }
    match &host.random {
        Random::Derived => {}
        Random::Counting => {
            w.node("random").text("counting");
        }
        Random::Seed(bytes) => {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            w.node("random").text(&format!("seed:{hex}"));
        }
    }
    if host.clock != default.clock {
        w.node("clock");
        if let Some(now) = host.clock.now {
            w.prop("now", &super::facts::print_time(now));
        }
        w.prop("timezone", &host.clock.timezone);
    }
    if host.ports != default.ports {
        w.node("ports");
        host.ports.write_properties(&mut w);
    }
    w.gap().node("machine").block(|w| host.machine.write_children(&default.machine, w));
    numa(&mut w, &host.numa);
    if !host.hugepages.is_empty() {
        hugepage_mounts(&mut w, &host.hugepages);
    }
    if !host.environment.is_empty() {
        w.gap().node("environment").block(|w| {
            for (name, value) in &host.environment {
                w.node(name).text(value);
            }
        });
    }
    block(&mut w, "instance", &host.instance, &default.instance);
    block(&mut w, "process", &host.process, &default.process);
    block(&mut w, "security", &host.security, &default.security);
    block(&mut w, "directories", &host.directories, &default.directories);
    for (name, service, usual) in [
        ("vnc", &host.vnc, &default.vnc),
        ("spice", &host.spice, &default.spice),
        ("rdp", &host.rdp, &default.rdp),
        ("chardev", &host.chardev, &default.chardev),
        ("nbd", &host.nbd, &default.nbd),
        ("vxhs", &host.vxhs, &default.vxhs),
        ("migration", &host.migration, &default.migration),
        ("backup", &host.backup, &default.backup),
    ] {
        block(&mut w, name, service, usual);
    }
    firmware(&mut w, host, &default);
    helpers(&mut w, host);
    secrets(&mut w, &host.secrets);
    for network in &host.networks {
        super::network::write(&mut w, network);
    }
    for pool in &host.pools {
        super::pool::write(&mut w, pool);
    }
    devices(&mut w, host);
    w.finish()
}

/// Writes a node with what differs from what is usual, if anything does.
fn block<F: Facts + PartialEq>(w: &mut Lines, name: &str, facts: &F, usual: &F) {
    if facts != usual {
        w.gap().node(name).block(|w| facts.write_children(usual, w));
    }
}

pub(super) fn hugepage_mounts(w: &mut Lines, mounts: &[HugepageMount]) {
    w.gap().node("hugepages").block(|w| {
        for mount in mounts {
            w.node("mount").text(&mount.path).prop("page-size", &print_size(mount.page_size));
            if mount.default {
                w.prop_truth("default", true);
            }
        }
    });
}

pub(super) fn numa(w: &mut Lines, numa: &Numa) {
    if *numa == Numa::default() {
        return;
    }
    w.gap().node("numa").block(|w| {
        for node in &numa.nodes {
            w.node("node").number(node.id);
            w.prop_if("cpus", node.cpus.as_deref().map(print_numbers).as_deref());
            w.prop_if("memory", node.memory.map(print_size).as_deref());
            w.prop_if("free", node.free.map(print_size).as_deref());
            if !node.pages.is_empty() {
                let pages: Vec<String> = node.pages.iter().map(|size| print_size(*size)).collect();
                w.block(|w| {
                    w.node("pages").texts(&pages);
                });
            }
        }
        if let Some(advice) = &numa.placement_advice {
            w.node("placement-advice").text(&print_numbers(advice));
        }
    });
}

fn firmware(w: &mut Lines, host: &Host, default: &Host) {
    if host.firmware != default.firmware {
        w.gap().node("firmware").block(|w| {
            if host.firmware.descriptors != default.firmware.descriptors {
                w.node("descriptors").texts(&host.firmware.descriptors);
            }
            if let Some(distribution) = host.firmware.shipped_by {
                firmware_shipped_by(w, distribution);
            }
            let own = host.firmware.nvram_templates != default.firmware.nvram_templates;
            for template in host.firmware.nvram_templates.iter().filter(|_| own) {
                w.node("nvram-template").prop("code", &template.code).prop("vars", &template.vars);
            }
        });
    }
    if host.vhost_user != default.vhost_user {
        w.gap().node("vhost-user").block(|w| {
            w.node("descriptors").texts(&host.vhost_user.descriptors);
            for helper in &host.vhost_user.helpers {
                w.node("helper").text(&helper.path).prop("type", helper.kind.as_str());
                if !helper.features.is_empty() {
                    w.block(|w| {
                        w.node("feature").texts(&helper.features);
                    });
                }
            }
        });
    }
}

pub(super) fn firmware_shipped_by(w: &mut Lines, distribution: Distribution) {
    w.node("shipped-by").text(distribution.as_str());
}

fn helpers(w: &mut Lines, host: &Host) {
    if let Some(swtpm) = &host.swtpm {
        w.gap().node("swtpm").prop_if("socket", swtpm.socket.as_deref());
        if !swtpm.tpm_versions.is_empty() {
            w.block(|w| {
                w.node("tpm-version").texts(&swtpm.tpm_versions);
            });
        }
    }
    if let Some(nbdkit) = &host.nbdkit {
        w.gap().node("nbdkit").text(&nbdkit.path).prop_truth("enabled", nbdkit.enabled);
        if !nbdkit.plugins.is_empty() {
            w.block(|w| {
                w.node("plugin").texts(&nbdkit.plugins);
            });
        }
    }
    if let Some(path) = &host.qemu_vnc {
        w.gap().node("qemu-vnc").text(path);
    }
}

fn secrets(w: &mut Lines, secrets: &[Secret]) {
    if !secrets.is_empty() {
        w.gap();
    }
    for secret in secrets {
        w.node("secret");
        match &secret.key {
            SecretKey::Uuid(uuid) => w.text(&uuid.to_string()),
            SecretKey::Usage { kind, name } => w.prop("usage-type", kind.as_str()).prop("usage", name),
        };
        w.prop("value", &secret.value);
    }
}

fn devices(w: &mut Lines, host: &Host) {
    if !(host.pci_devices.is_empty() && host.scsi_devices.is_empty() && host.fd_groups.is_empty()) {
        w.gap();
    }
    for device in &host.pci_devices {
        w.node("pci-device").text(&device.address.to_string());
        if let Some(vendor) = device.vendor {
            w.prop_hex("vendor", vendor.into(), 4);
        }
        if let Some(id) = device.device {
            w.prop_hex("device", id.into(), 4);
        }
        if let Some(class) = device.class {
            w.prop_hex("class", class, 6);
        }
        if let Some(group) = device.iommu_group {
            w.prop_number("iommu-group", group);
        }
        w.prop_truth("express", device.express);
        w.prop_if("physfn", device.physfn.map(|a| a.to_string()).as_deref());
    }
    for device in &host.scsi_devices {
        w.node("scsi-device").prop_number("host", device.host).prop_number("bus", device.bus);
        w.prop_number("target", device.target).prop_number("unit", device.unit).prop("sg", &device.sg);
    }
    for group in &host.fd_groups {
        w.node("fd-group").text(&group.name).prop_number("count", group.count).prop_truth("writable", group.writable);
    }
    super::storage::write(w, host);
    for start in &host.starts {
        w.gap().node("start").text(&start.name).block(|w| {
            for (name, machines) in [("after", &start.after), ("wants", &start.wants)] {
                if !machines.is_empty() {
                    w.node(name).texts(machines);
                }
            }
        });
    }
}
