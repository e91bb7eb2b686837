//! The report of an adoption: what is the same, what is to be done, what cannot be had.

use super::conf::Conf;
use super::libvirt::Found;
use crate::host::qemu_conf::Said;
use crate::plan::{Change, Plan, Use, differences};
use crate::run::remote::quoted;
use std::fmt::Write;

/// A machine, and what becomes of it.
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its file below `vms`.
    pub file: String,
    /// Its unit.
    pub unit: String,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Network filters that it uses.
    pub filters: Vec<String>,
    /// Whether it runs, so that what it has was taken over.
    pub runs: bool,
    /// The text of its lock.
    pub lock: Option<String>,
    /// Its Plan; none if it does not compile.
    pub plan: Option<Plan>,
    /// Why not.
    pub errors: Vec<String>,
    /// What deserves a look.
    pub warnings: Vec<String>,
    /// What its guest sees otherwise than under libvirt.
    pub differs: Vec<String>,
}

/// Arguments of QEMU that a guest can see the effect of.
const SEEN: &[&str] =
    &["-machine", "-cpu", "-smp", "-m", "-uuid", "-smbios", "-rtc", "-device", "-global", "-numa", "-acpitable"];

/// Properties of devices that only the host sees: how a backend is named, and found.
const HOST_ONLY: &[&str] = &[
    "memory-backend",
    "netdev",
    "drive",
    "chardev",
    "fd",
    "vhostfd",
    "fds",
    "vhostfds",
    "host_mtu",
    "audiodev",
    "dump-guest-core",
];

/// What a guest sees that moves from the first to the second.
pub fn seen_by_the_guest(theirs: &Plan, own: &Plan) -> Vec<String> {
    let mut out = Vec::new();
    for difference in differences(theirs, own).iter().filter(|d| d.part == "command line of qemu") {
        let subject = &difference.subject;
        if !SEEN.iter().any(|seen| subject == seen || subject.starts_with(&format!("{seen} "))) {
            continue;
        }
        match &difference.change {
            Change::Added { .. } => out.push(format!("{subject} comes")),
            Change::Removed { .. } => out.push(format!("{subject} goes")),
            Change::Changed { properties } => {
                let seen = properties.iter().filter(|(name, ..)| !HOST_ONLY.contains(&name.as_str()));
                let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "nothing".to_string());
                out.extend(seen.map(|(name, before, after)| {
                    format!("{subject} {name}: {} becomes {}", value(before), value(after))
                }));
            }
        }
    }
    out
}

/// The whole report.
pub fn write(machines: &[Machine], found: &Found, conf: &Conf) -> String {
    let mut out = String::from("# From libvirt\n\n");
    let (good, bad): (Vec<&Machine>, Vec<&Machine>) = machines.iter().partition(|m| m.plan.is_some());
    same(&good, conf, &mut out);
    to_do(&good, found, conf, &mut out);
    cannot(&bad, &good, found, conf, &mut out);
    out
}

fn same(machines: &[&Machine], conf: &Conf, out: &mut String) {
    out.push_str("## What is the same\n\n");
    out.push_str("Name, UUID, MAC addresses, machine type, and the address of every device stand in the XML as libvirt has written them; a lock beside each XML holds what virtc adds.\n\n");
    for machine in machines {
        let _ = writeln!(out, "- **{}** (`vms/{}`)", machine.name, machine.file);
        if machine.runs {
            out.push_str("  It runs: the lock has the places of the devices that its guest sees now.\n");
        }
        if machine.differs.is_empty() {
            out.push_str("  The guest sees no difference.\n");
        }
        for difference in &machine.differs {
            let _ = writeln!(out, "  - the guest sees: {difference}");
        }
        for warning in &machine.warnings {
            let _ = writeln!(out, "  - {warning}");
        }
    }
    let keys = |wanted: &dyn Fn(&Said) -> bool| -> Vec<String> {
        conf.said.iter().filter(|said| wanted(said)).map(|said| format!("`{}`", said.key)).collect()
    };
    let facts = keys(&|said| said.unused.is_none() && !is_password(&said.key));
    if !facts.is_empty() {
        let _ = writeln!(out, "\nOf qemu.conf, host.kdl says the same: {}.", facts.join(", "));
    }
    for said in conf.said.iter().filter(|said| !is_missed(&said.key)) {
        if let Some(why) = said.unused {
            let _ = writeln!(out, "- `{}` of qemu.conf needs nothing here: {why}.", said.key);
        }
    }
}

/// Keys of qemu.conf that are passwords.
fn is_password(key: &str) -> bool {
    key.ends_with("_password")
}

/// Keys of qemu.conf whose effect is lost, not done by another.
fn is_missed(key: &str) -> bool {
    const MISSED: &[&str] = &["lock_manager", "mac_filter", "sched_core", "auto_dump_path"];
    let of_images = ["save_image_format", "dump_image_format", "snapshot_image_format"];
    MISSED.contains(&key) || of_images.contains(&key) || key.starts_with("migrat")
}

fn to_do(machines: &[&Machine], found: &Found, conf: &Conf, out: &mut String) {
    out.push_str("\n## What is to be done\n\nLook at what is made, and at what changes on the host:\n\n");
    out.push_str("    virtc check vms && virtc build vms -o out && virtc deploy out --dry-run\n\n");
    out.push_str("Then, machine by machine. libvirt keeps its definition, so that the way back is open as long as it is not undefined.\n\n");
    for machine in machines {
        let name = quoted(&machine.name);
        let _ = writeln!(out, "    virsh shutdown {name}; virsh autostart --disable {name}");
    }
    out.push_str("    virtc deploy out\n");
    for machine in machines {
        for command in state(machine) {
            let _ = writeln!(out, "    {command}");
        }
        let _ = writeln!(out, "    systemctl start {}", quoted(&machine.unit));
    }
    let idle: Vec<&&Machine> = machines.iter().filter(|m| !m.autostart).collect();
    if !idle.is_empty() {
        out.push_str("\nThese did not start with the host:\n\n");
        for machine in idle {
            let _ = writeln!(out, "    systemctl disable {}", quoted(&machine.unit));
        }
    }
    for secret in &found.secrets {
        let _ = writeln!(
            out,
            "\nThe secret {0} is to be written into host.kdl:\n\n    virsh secret-get-value {0}",
            secret.uuid
        );
    }
    for display in &conf.passwords {
        let key = format!("{display}_password");
        let _ = writeln!(
            out,
            "\n`{key}` of qemu.conf is in no file of this folder. Write it into host.kdl, where git does not keep that, as `{display} password=\"…\"`:\n\n    grep {key} /etc/libvirt/qemu.conf"
        );
    }
    if !found.networks.is_empty() {
        out.push_str(
            "\nNetworks with DHCP are declared to systemd-networkd; two servers on one bridge are one too many:\n\n",
        );
        for network in &found.networks {
            let name = quoted(&network.value.name);
            let _ = writeln!(out, "    virsh net-destroy {name}; virsh net-autostart --disable {name}");
        }
    }
    out.push_str("\nBack again:\n\n");
    for machine in machines {
        let _ = writeln!(out, "    systemctl disable --now {}", quoted(&machine.unit));
    }
    for network in &found.networks {
        // A bridge that a unit has made stays, and libvirt makes its own.
        if let Some(bridge) = &network.value.bridge {
            let (bridge, name) = (quoted(bridge), quoted(&network.value.name));
            let _ = writeln!(out, "    ip link delete dev {bridge} type bridge 2>/dev/null; virsh net-start {name}");
        }
    }
    for machine in machines {
        let name = quoted(&machine.name);
        // The account of libvirt's file stays.
        for inherited in machine.plan.iter().flat_map(|plan| &plan.inherited) {
            let _ = writeln!(out, "    cp {} {}", quoted(&inherited.path), quoted(&inherited.from));
        }
        let _ = writeln!(out, "    virsh start {name}");
    }
}

/// Looks at what a guest has left on the host besides its disks.
fn state(machine: &Machine) -> Vec<String> {
    let mut out = Vec::new();
    let Some(plan) = &machine.plan else { return out };
    // systemd-tmpfiles copies them, with the rights of the machine's account.
    for inherited in &plan.inherited {
        let what = "# the state of its TPM: the unit takes a copy at its first start";
        out.push(format!("test -s {} {what}", quoted(&inherited.from)));
    }
    let nvram = plan.access.iter().find(|a| a.usage == Use::Nvram && a.perms.write);
    if let Some(access) = nvram {
        out.push(format!("test -s {0} # the variables of its firmware: as they are", quoted(&access.path)));
    }
    out
}

fn cannot(bad: &[&Machine], good: &[&Machine], found: &Found, conf: &Conf, out: &mut String) {
    out.push_str("\n## What cannot be had\n\n");
    let before = out.len();
    for machine in bad {
        let _ = writeln!(out, "- **{}** (`vms/{}`) does not compile:", machine.name, machine.file);
        for error in &machine.errors {
            let _ = writeln!(out, "  - {error}");
        }
    }
    for machine in good.iter().filter(|m| !m.filters.is_empty()) {
        let _ = writeln!(
            out,
            "- The network filter {} of **{}** is libvirt's: write rules for nftables, or go without.",
            machine.filters.join(", "),
            machine.name
        );
    }
    for said in conf.said.iter().filter(|said| is_missed(&said.key)) {
        let why = said.unused.unwrap_or("nobody does it");
        let _ = writeln!(
            out,
            "- `{}` of qemu.conf: {why}. What it says: `grep {} /etc/libvirt/qemu.conf`.",
            said.key, said.key
        );
    }
    for fault in &conf.faults {
        let _ = writeln!(out, "- In qemu.conf: {fault}.");
    }
    for file in &found.unread {
        let _ = writeln!(out, "- `{file}` could not be understood.");
    }
    if out.len() == before {
        out.push_str("Nothing that was found.\n");
    }
}
