//! What the format has and nobody carries out: a daemon does it for libvirt, and neither QEMU nor the units do.

use crate::device::interface::{Interface, InterfaceType};
use crate::device::storage::StartupPolicy;
use crate::device::watchdog::{Watchdog, WatchdogAction};
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::stage::Cx;
use crate::vocab::YesNo;
use crate::xml::Site;

/// Where it stands, what it is, and what does it instead.
type Undone = (Site, String, &'static str);

pub fn check(domain: &Domain, cx: &mut Cx<'_>) {
    let mut found = Vec::new();
    of_the_domain(domain, &mut found);
    for interface in domain.devices.iter().flat_map(|d| &d.interfaces) {
        of_an_interface(interface, &mut found);
        filter(interface, cx);
    }
    for (site, what, instead) in found {
        cx.warn(&codes::NOT_CARRIED_OUT, site, format!("{what}, and nothing here does that")).help(instead);
    }
}

/// A guest that is to be filtered, and is not, is open.
fn filter(interface: &Interface, cx: &mut Cx<'_>) {
    let Some(filter) = &interface.filterref else { return };
    let message = format!(
        "<filterref filter='{}'>: the network filters of libvirt are not loaded, so that the guest may send what it likes",
        filter.filter.as_deref().unwrap_or_default()
    );
    cx.warn_at(&codes::NETWORK_FILTER, filter.site, "filter", message).help(
        "give the interface a <target dev='…'/> and write the rules for that name into nftables (table bridge), then remove \
         <filterref>",
    );
}

fn of_an_interface(interface: &Interface, found: &mut Vec<Undone>) {
    let mut tell = |site: Site, what: String, instead| found.push((site, what, instead));
    let named = |path: &Option<String>| path.as_deref().is_some_and(|p| !matches!(p, "" | "no" | "none"));
    for (script, name) in [(&interface.script, "script"), (&interface.downscript, "downscript")] {
        if let Some(script) = script.as_ref().filter(|s| named(&s.path)) {
            let what = format!("<{name}>: a program of the domain would be run as root beside the interface");
            tell(
                script.site,
                what,
                "put it into a drop-in of the unit (ExecStartPre=, ExecStopPost=), or name a bridge",
            );
        }
    }
    let backend = interface.backend.as_ref();
    let other = |path: &Option<String>, node: &str| path.as_deref().is_some_and(|p| p != node);
    if let Some(backend) = backend.filter(|b| other(&b.tap, "/dev/net/tun") || other(&b.vhost, "/dev/vhost-net")) {
        let what =
            "<backend tap= vhost=>: other nodes than /dev/net/tun and /dev/vhost-net would be opened".to_string();
        tell(backend.site, what, "leave them out: the interface goes through the nodes of the kernel");
    }
    let of_host = !matches!(interface.kind(), InterfaceType::Hostdev | InterfaceType::Direct);
    if let Some(vlan) = interface.vlan.as_ref().filter(|_| of_host) {
        let what = "<vlan>: the port of the switch would get the tag".to_string();
        tell(
            vlan.site,
            what,
            "name a bridge that is in the VLAN, or set the tag of the interface by systemd-networkd ([BridgeVLAN])",
        );
    }
    if let Some(port) = interface.port.as_ref().filter(|p| p.isolated.is_some_and(YesNo::is_yes)) {
        let what = "<port isolated>: the guests of the bridge would not reach each other".to_string();
        tell(
            port.site,
            what,
            "give the interface a <target dev='…'/>, and set Isolated=yes for it in systemd-networkd ([Bridge])",
        );
    }
    let on_host = matches!(
        interface.kind(),
        InterfaceType::Network | InterfaceType::Bridge | InterfaceType::Ethernet | InterfaceType::Direct
    );
    if let Some(bandwidth) = interface.bandwidth.as_ref().filter(|_| !on_host || !interface.is_managed()) {
        let what = "<bandwidth>: traffic of the interface would be shaped".to_string();
        let help = if on_host {
            "shape the interface where it is made (tc qdisc)"
        } else {
            "use type='network' or type='bridge': the interface then has a tap on the host, which can be shaped"
        };
        tell(bandwidth.site, what, help);
    }
    if let Some(coalesce) = &interface.coalesce {
        let what = "<coalesce>: interrupts of the interface would be gathered".to_string();
        tell(coalesce.site, what, "set it with ethtool -C for the <target dev='…'/>");
    }
    if let Some(port) = &interface.virtualport {
        let what = "<virtualport>: the interface would be registered with a switch".to_string();
        tell(port.site, what, "register it yourself (ovs-vsctl add-port BRIDGE DEV for Open vSwitch)");
    }
}

fn of_the_domain(domain: &Domain, found: &mut Vec<Undone>) {
    let mut tell = |site: Site, what: &str, instead| found.push((site, what.to_string(), instead));
    for lease in domain.devices.iter().flat_map(|d| &d.leases) {
        tell(lease.site, "<lease>: a lock would be held while the guest runs", "let the storage keep others away");
    }
    if let Some(tune) = &domain.cputune {
        let help = "make a group in /sys/fs/resctrl and put the machine's threads into it";
        let cache = tune.cachetunes.iter().map(|t| t.site);
        let memory = tune.memorytunes.iter().map(|t| t.site);
        let energy = tune.energytunes.iter().map(|t| t.site);
        for site in cache.chain(memory).chain(energy) {
            tell(site, "cache and memory bandwidth would be set aside for CPUs (resctrl)", help);
        }
    }
    if let Some(resource) = domain.resource.as_ref().filter(|r| r.appid.is_some()) {
        tell(
            resource.site,
            "<fibrechannel appid>: traffic on Fibre Channel would be marked",
            "write it into the cgroup's fc_appid",
        );
    }
    if let Some(perf) = domain.perf.as_ref().filter(|p| p.events.iter().any(|e| e.enabled.is_some_and(YesNo::is_yes))) {
        tell(
            perf.site,
            "<perf>: events of the CPU would be counted",
            "use perf stat -p with the number of the process",
        );
    }
    if domain.on_lockfailure.is_some() {
        tell(domain.site, "<on_lockfailure>: the end of a lease would be answered", "let the storage keep others away");
    }
    for graphics in domain.devices.iter().flat_map(|d| &d.graphics).filter(|g| g.passwd_valid_to.is_some()) {
        let what = "passwdValidTo: the password of the display would end then";
        tell(
            graphics.site,
            what,
            "virtc monitor NAME expire_password protocol=vnc time=… ends it in a running machine",
        );
    }
    // The watchdog that q35 has anyhow takes over the action of the one that was written: that one is told.
    let dumps = |w: &&Watchdog| w.action == Some(WatchdogAction::Dump) && !w.site.is_none();
    for watchdog in domain.devices.iter().flat_map(|d| &d.watchdogs).filter(dumps) {
        let what = "<watchdog action='dump'>: the guest's memory would be dumped, and the guest go on";
        tell(watchdog.site, what, "QEMU pauses the guest and leaves it so: take action='reset' or 'poweroff'");
    }
    let disks = domain.devices.iter().flat_map(|d| &d.disks);
    for disk in disks.clone().filter(|d| d.source.source.startup == Some(StartupPolicy::Optional)) {
        let what = "<source startupPolicy='optional'>: a medium that is missing would be left out at the start";
        tell(disk.site, what, "take the medium out of the file where it is missing; a drive without <source> is empty");
    }
    // QEMU asks the agent of its own account, and knows the hosts that are in that account's home.
    for parts in disks.clone().filter_map(|d| Some(&d.source.source.network()?.parts)) {
        let help = "let the account of the machine have an agent (SSH_AUTH_SOCK) and ~/.ssh/known_hosts, or export the disk by NBD";
        if let Some(identity) = parts.identity.as_ref().filter(|i| i.keyfile.is_some() || i.agentsock.is_some()) {
            tell(identity.site, "<identity keyfile= agentsock=>: nbdkit would log in with that key", help);
        }
        if let Some(known) = &parts.known_hosts {
            tell(known.site, "<knownHosts>: nbdkit would compare the host with that list", help);
        }
    }
    for disk in disks.filter(|d| d.backend_domain.is_some()) {
        tell(disk.site, "<backenddomain>: the disk would come from another domain of Xen", "leave it out");
    }
    for label in &domain.seclabels {
        if let Some(model) = label.model.as_deref().filter(|m| !matches!(*m, "selinux" | "apparmor" | "dac" | "none")) {
            let what = format!("<seclabel model='{model}'>: a security driver of that name would confine the guest");
            found.push((label.site, what, "the drivers are selinux, apparmor and dac"));
        }
    }
}
