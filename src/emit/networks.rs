//! Virtual networks with DHCP, as libvirt's `default` is one: a bridge and its server are declared to systemd-networkd; the translation of
//! addresses and what may come in from outside are a table of nftables of its own. They are the host's: every machine in one has
//! the same files of it.

use super::artifact::Artifact;
use super::fit::Fitter;
use super::names::Names;
use super::rooted::OF_ROOT;
use super::traced::Traced;
use crate::diag::Diagnostics;
use crate::escape::{Escaped, UnitName, UnitWord};
use crate::plan::{Bridge, Cause, Dhcp, Instance, Plan};

/// Names of a network: its unit, the unit of its bridge.
pub struct Units {
    /// The unit that loads the filter.
    pub filter: Escaped<UnitName>,
    /// The unit that systemd has for the bridge as soon as it is there.
    pub bridge: Escaped<UnitName>,
}

/// The networks of a machine that are declared, and their units.
pub fn declared<'a>(plan: &'a Plan, fit: &mut Fitter<'_>) -> Vec<(&'a Bridge, &'a Dhcp, Units)> {
    let all = plan.bridges.iter().filter(|_| plan.instance == Instance::System);
    let all = all.filter_map(|b| Some((b, b.dhcp.as_ref()?)));
    all.filter_map(|(bridge, dhcp)| {
        let name = fit.fit::<UnitName>(&bridge.network, &bridge.cause)?;
        let device = fit.take(Escaped::device_of(&bridge.name), &bridge.cause)?;
        let filter = name.between("virtc-net-", ".service");
        Some((bridge, dhcp, Units { filter, bridge: device }))
    })
    .collect()
}

/// The files of all networks of a machine.
pub fn emit(plan: &Plan, names: &Names, diags: &mut Diagnostics) -> Vec<Artifact> {
    let mut fit = Fitter::new(diags);
    let mut out = Vec::new();
    for (bridge, dhcp, units) in declared(plan, &mut fit) {
        out.extend(files(bridge, dhcp, &units, names, &mut fit).into_iter().flatten());
    }
    out
}

fn files(bridge: &Bridge, dhcp: &Dhcp, units: &Units, names: &Names, fit: &mut Fitter<'_>) -> Option<Vec<Artifact>> {
    let cause = &bridge.cause;
    let name = fit.fit::<UnitName>(&bridge.network, cause)?;
    let interface = plain(&bridge.name, cause, fit)?;
    let interface = fit.fit::<UnitWord>(interface, cause)?;
    let head = |what: &str| format!("# {what} of the virtual network {name}. Made by virtc.\n");
    let file = |end: &str| format!("usr/lib/systemd/network/50-virtc-{name}.{end}");
    let netdev = head("The bridge") + &format!("[NetDev]\nName={interface}\nKind=bridge\n");
    let mut network = head("Addresses and DHCP");
    network += &format!("[Match]\nName={interface}\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n");
    for address in &bridge.addresses {
        network += &format!("Address={}\n", fit.fit::<UnitWord>(address, cause)?);
    }
    // Without a machine there is no carrier, and the first one asks at once.
    network.push_str("ConfigureWithoutCarrier=yes\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nDHCPServer=yes\n");
    network += &format!("\n[DHCPServer]\nPoolOffset={}\nPoolSize={}\n", dhcp.offset, dhcp.size);
    for host in &dhcp.hosts {
        let (mac, address) = (fit.fit::<UnitWord>(&host.mac, cause)?, fit.fit::<UnitWord>(&host.address, cause)?);
        network += &format!("\n[DHCPServerStaticLease]\nMACAddress={mac}\nAddress={address}\n");
    }
    let rules = format!("usr/lib/virtc/networks/{name}.nft");
    let table = format!("virtc_{}", interface.as_str().replace(['-', '.'], "_"));
    // Of the whole host: answers come in at another interface than the bridge.
    let forward = if bridge.nat { "ExecStart=/usr/sbin/sysctl -q -w net.ipv4.ip_forward=1\n" } else { "" };
    let confined = OF_ROOT.iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>();
    let service = head("The filter")
        + &format!(
            "[Unit]\nDescription=Filter of the virtual network {name}\nPartOf=nftables.service\n\
             After=nftables.service systemd-networkd.service\nStopWhenUnneeded=yes\n\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\n\
             ExecStart=/usr/sbin/nft -f /{rules}\n{forward}ExecStop=-/usr/sbin/nft delete table inet {table}\n\n\
             # Confinement\n{confined}CapabilityBoundingSet=CAP_NET_ADMIN\nRestrictAddressFamilies=AF_UNIX AF_NETLINK\n"
        );
    let whole = |text: String| {
        let mut traced = Traced::default();
        traced.push(&text, cause);
        traced
    };
    Some(vec![
        Artifact::traced(file("netdev"), whole(netdev)),
        Artifact::traced(file("network"), whole(network)),
        Artifact::traced(format!("{}/{}", names.unit_folder, units.filter), whole(service)),
        Artifact::traced(rules, whole(head("The filter") + &filter(bridge, interface.as_str(), &table))),
    ])
}

/// The table: what machines say to each other and to the outside goes through, and what answers them. It takes its own place
/// each time it is read.
fn filter(bridge: &Bridge, interface: &str, table: &str) -> String {
    let own = format!("iifname \"{interface}\" oifname \"{interface}\" accept\n");
    let through = if bridge.nat {
        format!(
            "iifname \"{interface}\" accept\n        oifname \"{interface}\" ct state established,related accept\n        "
        )
    } else {
        String::new()
    };
    let nat = if bridge.nat { translation(bridge) } else { String::new() };
    format!(
        "table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n    chain forward {{\n        \
         type filter hook forward priority filter; policy accept;\n        {own}        {through}\
         iifname \"{interface}\" reject\n        oifname \"{interface}\" reject\n    }}\n{nat}}}\n"
    )
}

/// The chain that gives what goes outside the address of the host. (networkd can do it, too: it waits for the kernel in the
/// meantime, and gives the whole network up when that takes long, as the first time does.)
fn translation(bridge: &Bridge) -> String {
    let is_subnet = |text: &&String| {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        address.parse::<std::net::Ipv4Addr>().is_ok() && prefix.parse::<u8>().is_ok()
    };
    let rules = bridge.addresses.iter().filter(is_subnet).map(|subnet| {
        format!("        ip saddr {subnet} ip daddr != {{ {subnet}, 224.0.0.0/24, 255.255.255.255 }} masquerade\n")
    });
    let rules: String = rules.collect();
    format!(
        "    chain postrouting {{\n        type nat hook postrouting priority srcnat; policy accept;\n{rules}    }}\n"
    )
}

/// The name of an interface that no language has to spell.
fn plain<'a>(name: &'a str, cause: &Cause, fit: &mut Fitter<'_>) -> Option<&'a str> {
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if !fits {
        let message = format!("'{name}' is no name of a bridge that networkd and nftables can be told");
        fit.out_of_range(cause, message, "use letters, digits, '-', '_' and '.'");
    }
    fits.then_some(name)
}
