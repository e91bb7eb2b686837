//! One fact about the host: what is assumed where nobody has told, and the line of `host.kdl` that would tell it.

use super::lines::Lines;
use super::write::{firmware_shipped_by, hugepage_mounts, numa};
use super::{Distribution, Host, HugepageMount, Network, Numa, StoragePool};
use crate::vocab::Arch;

/// A fact about the host.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// The architecture.
    Arch(Arch),
    /// Mounts of hugetlbfs.
    Hugepages(Vec<HugepageMount>),
    /// Its NUMA nodes.
    Numa(Numa),
    /// A virtual network.
    Network(Network),
    /// A storage pool.
    Pool(StoragePool),
    /// Whose firmware there is.
    Firmware(Distribution),
    /// That SPICE has TLS.
    SpiceTls,
}

impl Fact {
    /// Takes the fact into host facts.
    pub fn add_to(self, host: &mut Host) {
        match self {
            Fact::Arch(arch) => host.machine.arch = arch,
            Fact::Hugepages(mounts) => host.hugepages.extend(mounts),
            Fact::Numa(numa) => host.numa = numa,
            Fact::Network(network) => host.networks.push(network),
            Fact::Pool(pool) => host.pools.push(pool),
            Fact::Firmware(distribution) => host.firmware.shipped_by = Some(distribution),
            Fact::SpiceTls => host.spice.tls = true,
        }
    }

    /// The node of `host.kdl` that tells it, in one line.
    pub fn line(&self) -> String {
        let mut w = Lines::default();
        match self {
            Fact::Arch(arch) => {
                w.node("machine").block(|w| {
                    w.node("arch").text(arch.as_str());
                });
            }
            Fact::Hugepages(mounts) => hugepage_mounts(&mut w, mounts),
            Fact::Numa(nodes) => numa(&mut w, nodes),
            Fact::Network(one) => super::network::write(&mut w, one),
            Fact::Pool(pool) => super::pool::write(&mut w, pool),
            Fact::Firmware(distribution) => {
                w.node("firmware").block(|w| firmware_shipped_by(w, *distribution));
            }
            Fact::SpiceTls => {
                w.node("spice").block(|w| {
                    w.node("tls").truth(true);
                });
            }
        }
        w.one_line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Diagnostics;

    #[test]
    fn a_line_is_read_as_the_fact_that_it_tells() {
        let bridge = Network { name: "lan \"1\"".into(), bridge: Some("br0".into()), ..Network::default() };
        let mounts = vec![HugepageMount { path: "/dev/hugepages".into(), page_size: 2 << 20, default: true }];
        for fact in [Fact::Network(bridge), Fact::Hugepages(mounts), Fact::Firmware(Distribution::Arch)] {
            let line = fact.line();
            assert!(!line.contains('\n'), "{line}");
            let mut diags = Diagnostics::new();
            let read =
                crate::host::read(&format!("host-facts version=1\nmachine {{ arch \"x86_64\"; }}\n{line}"), &mut diags);
            assert!(diags.is_empty(), "{line}: {diags:?}");
            let mut expected = Host::default();
            fact.add_to(&mut expected);
            assert_eq!(read, expected, "{line}");
        }
    }
}
