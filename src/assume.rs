//! An open world: what a domain needs of a host about which nobody has told anything.
//!
//! Where facts were given, what they do not list is not there. Where none were given, that is assumed which
//! distributions ship, and each assumption is a note with the line of `host.kdl` that would have said it. Nothing of
//! this is looked up anywhere: with the same domain the same is assumed. The passes behind see host facts and know
//! nothing of where those come from; which firmware fits is the one thing that only resolving can tell
//! (`resolve::firmware`).

use crate::device::graphics::{ChannelMode, Graphics, GraphicsKind};
use crate::device::hostdev::HostdevSource;
use crate::device::storage::{Layer, Location, StorageSource, VolumeRef};
use crate::diag::codes::assume as codes;
use crate::diag::{Code, Diagnostics, Span};
use crate::domain::memory::MemorySource;
use crate::domain::{Domain, DomainKind};
use crate::host::{
    Fact, Forward, ForwardMode, Host, HugepageMount, Network, NumaNode, PciAddress, PoolKind, StoragePool, Volume,
    VolumeKind,
};
use crate::plan::Target;
use crate::vocab::Arch;
use crate::xml::{Document, Site};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Where pools of images are, unless told otherwise: libvirt's own place.
const IMAGES: &str = "/var/lib/libvirt/images";
/// Where systemd mounts huge pages.
const HUGEPAGES: &str = "/dev/hugepages";

/// Something that nobody has told.
struct Assumption {
    code: &'static Code,
    span: Span,
    message: String,
    /// What is assumed instead; none: that nothing else is to be known.
    fact: Option<Fact>,
    /// What to do, where no line can be given.
    help: Option<String>,
}

/// What the assumptions are made from.
struct Asked<'a> {
    domain: &'a Domain,
    doc: &'a Document<'a>,
    host: &'a Host,
    target: Target,
    out: Vec<Assumption>,
}

/// The host facts with those that the domain needs and that nobody has told; each is noted.
pub fn assume<'h>(
    domain: &Domain,
    doc: &Document<'_>,
    host: &'h Host,
    target: Target,
    diags: &mut Diagnostics,
) -> Cow<'h, Host> {
    if !host.open {
        return Cow::Borrowed(host);
    }
    let mut asked = Asked { domain, doc, host, target, out: Vec::new() };
    asked.architecture();
    asked.hugepages();
    asked.numa();
    asked.networks();
    asked.pools();
    asked.pci_devices();
    asked.spice_tls();
    let mut host = Cow::Borrowed(host);
    for assumption in asked.out {
        let note = diags.note(assumption.code, assumption.span, assumption.message);
        if let Some(help) = assumption.help {
            note.help(help);
        }
        if let Some(fact) = assumption.fact {
            note.help(in_host_kdl(&fact));
            fact.add_to(host.to_mut());
        }
    }
    host
}

/// How the facts would say it.
pub fn in_host_kdl(fact: &Fact) -> String {
    format!("if it is so, or to say otherwise, in the facts of --host:\n  {}", fact.line())
}

impl Asked<'_> {
    fn assume(&mut self, code: &'static Code, span: Span, message: String, fact: Fact) {
        self.out.push(Assumption { code, span, message, fact: Some(fact), help: None });
    }

    /// KVM runs guests of the host's own architecture.
    fn architecture(&mut self) {
        let asked = self.domain.os.as_ref().and_then(|os| os.kind.as_ref()).and_then(|t| t.arch);
        let Some(arch) = asked.filter(|a| self.domain.kind() == DomainKind::Kvm && !self.host.machine.arch.runs(*a))
        else {
            return;
        };
        let site = self.domain.os.as_ref().and_then(|os| os.kind.as_ref()).map_or(Site::NONE, |t| t.site);
        let span = self.doc.span_of_attr(site, "arch");
        let message =
            format!("a guest of type 'kvm' runs on a host of its own architecture: the host is taken to be {arch}");
        self.assume(&codes::ARCH, span, message, Fact::Arch(arch));
    }

    /// Huge pages that need a mount: all but those of a memfd whose size is said.
    fn hugepages(&mut self) {
        let mut sizes: BTreeSet<u64> = BTreeSet::new();
        let mut site = None;
        let usual = match self.domain.os.as_ref().and_then(|os| os.kind.as_ref()).and_then(|t| t.arch) {
            Some(Arch::Ppc64 | Arch::Ppc64le) => 16 << 20,
            Some(Arch::S390x) => 1 << 20,
            _ => self.host.machine.transparent_hugepage_size,
        };
        if let Some(backing) = &self.domain.memory_backing
            && let Some(huge) = &backing.hugepages
        {
            site = Some(huge.site);
            let by_file = backing.source() != Some(MemorySource::Memfd);
            if huge.pages.is_empty() && self.host.default_hugepage_mount().is_none() {
                sizes.insert(usual);
            }
            sizes.extend(huge.pages.iter().filter(|_| by_file).map(|p| p.size.kib().saturating_mul(1024)));
            let devices = self.domain.devices.iter().flat_map(|d| &d.memories);
            let own = devices.filter_map(|m| m.source.as_ref()?.pagesize.as_ref()).filter(|_| by_file);
            sizes.extend(own.map(|size| size.kib().saturating_mul(1024)));
        }
        sizes.retain(|size| {
            *size > 0 && *size != self.host.machine.page_size && self.host.hugepage_mount(*size).is_none()
        });
        let (Some(site), Some(first)) = (site, sizes.first().copied()) else { return };
        let mount = |size: u64| HugepageMount {
            // One folder holds pages of one size; libvirt's documentation calls the second one so.
            path: if size == first { HUGEPAGES.to_string() } else { format!("{HUGEPAGES}{}", short(size)) },
            page_size: size,
            default: false,
        };
        let mounts: Vec<HugepageMount> = sizes.iter().map(|size| mount(*size)).collect();
        let all: Vec<String> = mounts.iter().map(|m| format!("{} at {}", short(m.page_size), m.path)).collect();
        let message = format!("huge pages are taken to be mounted: {}", all.join(", "));
        self.assume(&codes::HUGEPAGES, self.doc.span_of(site), message, Fact::Hugepages(mounts));
    }

    /// The nodes of the host that the domain names.
    fn numa(&mut self) {
        let mut wanted: BTreeSet<u32> = BTreeSet::new();
        let mut site = None;
        let tune = self.domain.numatune.iter();
        let of_tune = tune.flat_map(|t| {
            let memory = t.memory.iter().filter_map(|m| Some((m.site, m.nodeset.as_ref()?)));
            memory.chain(t.memnodes.iter().filter_map(|m| Some((m.site, m.nodeset.as_ref()?))))
        });
        let devices = self.domain.devices.iter().flat_map(|d| &d.memories);
        let of_devices = devices.filter_map(|m| Some((m.site, m.source.as_ref()?.nodemask.as_ref()?)));
        for (at, set) in of_tune.chain(of_devices) {
            let absent: Vec<u32> = set.iter().filter(|n| !self.host.numa.has(*n)).collect();
            if !absent.is_empty() {
                site.get_or_insert(at);
                wanted.extend(absent);
            }
        }
        let Some(site) = site else { return };
        let mut numa = self.host.numa.clone();
        let list: Vec<u32> = wanted.iter().copied().collect();
        let new = |id| NumaNode { id, cpus: None, memory: None, free: None, pages: Vec::new() };
        numa.nodes.extend(wanted.into_iter().map(new));
        numa.nodes.sort_by_key(|n| n.id);
        let message = format!(
            "the host is taken to have the NUMA nodes that the domain names: {}",
            crate::host::print_numbers(&list)
        );
        self.assume(&codes::NUMA, self.doc.span_of(site), message, Fact::Numa(numa));
    }

    /// Networks: `default` is libvirt's own, any other a bridge of its name.
    fn networks(&mut self) {
        let devices = self.domain.devices.iter();
        // Who has a parent asks that for its networks; what a display listens on stands in the command line.
        let guardian = self.target.is_standalone();
        let interfaces = devices.clone().flat_map(|d| &d.interfaces).filter(|_| guardian);
        let plugged = interfaces.filter_map(|i| Some((i.source.site, i.source.fields.network.as_deref()?)));
        let listens = devices.flat_map(|d| &d.graphics).flat_map(|g| &g.listens);
        let shown = listens.clone().filter_map(|l| Some((l.site, l.network.as_deref()?)));
        let mut seen = BTreeSet::new();
        let wanted: Vec<(Span, String)> = plugged
            .chain(shown)
            .filter(|(_, name)| !name.is_empty() && self.host.network(name).is_none() && seen.insert(name.to_string()))
            .map(|(site, name)| (self.doc.span_of_attr(site, "network"), name.to_string()))
            .collect();
        for (span, name) in wanted {
            let own = name == "default";
            let bridge = if own { "virbr0".to_string() } else { name.clone() };
            let shown = listens.clone().any(|l| l.network.as_deref() == Some(&name));
            // Where nobody has told the host's address on a network, a display is not opened to it.
            let address = match (own, shown) {
                (true, _) => Some("192.168.122.1/24"),
                (false, true) => Some("127.0.0.1/8"),
                (false, false) => None,
            };
            let mut message = format!("the network '{name}' is taken to be the bridge '{bridge}' of the host");
            if let Some(address) = address.filter(|_| shown) {
                message += &format!(", where displays listen on {}", address.split('/').next().unwrap_or(address));
            }
            let network = Network {
                // The bridge is there: nobody makes it.
                forward: Some(Forward { mode: ForwardMode::Bridge, managed: false, interfaces: Vec::new() }),
                bridge: Some(bridge),
                addresses: address.map(str::to_string).into_iter().collect(),
                name,
                ..Network::default()
            };
            self.assume(&codes::NETWORK, span, message, Fact::Network(network));
        }
    }

    /// Pools of images: `default` and `images` are libvirt's folder, any other a folder in it.
    fn pools(&mut self) {
        let mut wanted: Vec<(Site, &VolumeRef)> = Vec::new();
        let disks = self.domain.devices.iter().flat_map(|d| &d.disks);
        for disk in disks {
            volume(&disk.source.source, &mut wanted);
            let mut layer = disk.source.backing.as_deref();
            while let Some(one) = layer {
                volume(&one.source, &mut wanted);
                layer = one.backing.as_deref();
            }
        }
        let mut names: Vec<&str> = Vec::new();
        for (_, volume) in &wanted {
            // What such a pool holds is on a server, of which nothing is known.
            if volume.mode.is_none() && self.host.pool(&volume.pool).is_none() && !names.contains(&volume.pool.as_str())
            {
                names.push(&volume.pool);
            }
        }
        let mut found = Vec::new();
        for name in names {
            let folder =
                if matches!(name, "default" | "images") { IMAGES.to_string() } else { format!("{IMAGES}/{name}") };
            let mut pool = StoragePool {
                name: name.to_string(),
                kind: Some(PoolKind::Dir),
                active: true,
                host: None,
                device: None,
                target: Some(folder.clone()),
                auth: None,
                volumes: Vec::new(),
            };
            let of_pool = wanted.iter().filter(|(_, v)| v.pool == name && !v.volume.is_empty());
            for (_, one) in of_pool {
                if pool.volume(&one.volume).is_none() {
                    let path = format!("{folder}/{}", one.volume);
                    pool.volumes.push(Volume { name: one.volume.clone(), kind: VolumeKind::File, path });
                }
            }
            let site = wanted.iter().find(|(_, v)| v.pool == name).map_or(Site::NONE, |(site, _)| *site);
            let message = format!("the storage pool '{name}' is taken to be the folder {folder}");
            found.push((self.doc.span_of_attr(site, "pool"), message, pool));
        }
        for (span, message, pool) in found {
            self.assume(&codes::POOL, span, message, Fact::Pool(pool));
        }
    }

    /// A display with secure channels is for a host that has certificates.
    fn spice_tls(&mut self) {
        let secure = |g: &&Graphics| {
            let channels = g.spice.channels.iter().map(|c| c.mode).chain([g.spice.default_mode]);
            g.kind == Some(GraphicsKind::Spice)
                && (g.tls_port.is_some_and(|port| port > 0) || channels.flatten().any(|m| m == ChannelMode::Secure))
        };
        let mut displays = self.domain.devices.iter().flat_map(|d| &d.graphics);
        let Some(display) = displays.find(secure).filter(|_| !self.host.spice.tls) else { return };
        let message = "the display has secure channels: TLS for SPICE is taken to be on, with certificates in /etc/pki/libvirt-spice";
        self.assume(&codes::SPICE_TLS, self.doc.span_of(display.site), message.to_string(), Fact::SpiceTls);
    }

    /// PCI devices that are handed over: each is alone in its group.
    fn pci_devices(&mut self) {
        if !self.target.is_standalone() {
            return;
        }
        let hostdevs = self.domain.devices.iter().flat_map(|d| &d.hostdevs).filter_map(|h| match &h.source {
            HostdevSource::Pci { address, .. } => Some((h.site, *address)),
            _ => None,
        });
        let disks = self.domain.devices.iter().flat_map(|d| &d.disks).filter_map(|d| match &d.source.location {
            Location::Nvme(nvme) => {
                let at = nvme.address;
                let (bus, slot, function) = (at.bus as u8, at.slot as u8, at.function as u8);
                Some((d.site, PciAddress { domain: at.domain, bus, slot, function }))
            }
            _ => None,
        });
        let unknown: Vec<(Site, PciAddress)> =
            hostdevs.chain(disks).filter(|(_, at)| self.host.pci_device(*at).is_none()).collect();
        let Some((site, first)) = unknown.first().copied() else { return };
        let list: Vec<String> = unknown.iter().map(|(_, at)| at.to_string()).collect();
        let (are, each) =
            if list.len() == 1 { ("is", "its IOMMU group") } else { ("are", "one IOMMU group, or each in its own") };
        self.out.push(Assumption {
            code: &codes::PCI_DEVICE,
            span: self.doc.span_of(site),
            message: format!("{} {are} taken to be alone in {each}", list.join(", ")),
            fact: None,
            help: Some(format!(
                "`virtc probe host` on the host tells the groups; in the facts of --host, with the group that `readlink \
                 /sys/bus/pci/devices/{first}/iommu_group` ends with:\n  pci-device \"{first}\" iommu-group=N"
            )),
        });
    }
}

/// Notes the volume that a source names.
fn volume<'d>(source: &'d StorageSource, out: &mut Vec<(Site, &'d VolumeRef)>) {
    if let Location::Volume(volume) = &source.location {
        out.push((source.site, volume));
    }
    let data: Option<&Layer> = source.data_store.as_deref();
    if let Some(Location::Volume(volume)) = data.map(|d| &d.source.location) {
        out.push((source.site, volume));
    }
}

/// A page size as people write it: `2M`, `1G`.
fn short(bytes: u64) -> String {
    let text = crate::host::print_size(bytes);
    text.trim_end_matches("iB").to_string()
}
