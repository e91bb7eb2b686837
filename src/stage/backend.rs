//! Memory backends: `-object memory-backend-*`, for the machine's RAM, its nodes and its memory devices.

use super::sizes::{self, HostNodes};
use super::{Grant, Lower};
use crate::caps::Cap;
use crate::diag::codes::machine as codes;
use crate::domain::memory::{AccessMode, MemorySource};
use crate::domain::tuning::NumaMode;
use crate::host::Host;
use crate::plan::{Directory, DirectoryRole, Need, Prop, Props, Use};
use crate::vocab::{NumberSet, YesNo};
use crate::xml::Site;
use std::path::Path;

/// What a memory backend is asked for.
#[derive(Clone, Debug, Default)]
pub struct BackendRequest {
    /// Id of the object.
    pub id: String,
    /// Name of its file, if not the id.
    pub file: Option<String>,
    /// Size in KiB.
    pub kib: u64,
    /// The guest node that it belongs to.
    pub node: Option<u32>,
    /// Whether it is the memory that the machine begins with, and not of a node.
    pub is_main: bool,
    /// A backend is wanted even if plain memory would do.
    pub force: bool,
    /// Access that the device asks for.
    pub access: Option<AccessMode>,
    /// Whether the device asks to throw the memory away at the end.
    pub discard: Option<YesNo>,
    /// Page size in KiB that the device asks for.
    pub page_kib: Option<u64>,
    /// Host nodes that the device asks for.
    pub nodes: Option<NumberSet>,
    /// The file of an NVDIMM or virtio-pmem device.
    pub path: Option<String>,
    /// Alignment in KiB.
    pub align_kib: Option<u64>,
    /// Whether the file is persistent memory.
    pub pmem: bool,
    /// Whether no swap space is reserved (virtio-mem).
    pub no_reserve: bool,
    /// Whether pages are touched before the start; none: as the domain says.
    pub prealloc: Option<bool>,
    /// `memory-backend-epc`: memory of an enclave.
    pub epc: bool,
    /// Where it stands.
    pub site: Site,
}

/// A memory backend.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its properties.
    pub props: Props,
    /// The host nodes that it is bound to.
    pub nodes: Option<NumberSet>,
    /// Whether plain memory would do as well.
    pub is_plain: bool,
}

/// Adds a backend, and the context in which its pages are touched.
pub fn add(lx: &mut Lower<'_>, mut backend: Backend, site: Site) {
    if backend.nodes.is_some() {
        lx.need(Need::MemoryPolicy, site, "memory");
    }
    let preallocates = matches!(backend.props.get("prealloc"), Some(Prop::Bool(true)));
    if let Some(nodes) = backend.nodes.as_ref().and_then(|nodes| near_emulator(lx, nodes))
        && preallocates
        && lx.has(Cap::ThreadContext)
    {
        let nodes = &nodes;
        let of = lx.must(backend.props.text("id").map(str::to_string), "the id of a memory backend", site);
        let id = format!("tc-{of}");
        let mut context = Props::with("qom-type", "thread-context");
        context.set("id", id.clone()).set("node-affinity", list(nodes));
        backend.props.set("prealloc-context", id);
        lx.object(context, site, "memory");
    }
    lx.object(backend.props, site, "memory");
}

/// Those of the nodes on which QEMU's own threads may run; none if there is no such node.
fn near_emulator(lx: &Lower<'_>, nodes: &NumberSet) -> Option<NumberSet> {
    let tune = lx.domain.cputune.as_ref();
    let pinned = tune.and_then(|t| t.emulatorpin.as_ref()).and_then(|p| p.cpuset.as_ref());
    let cpus = pinned.or_else(|| lx.domain.vcpu.as_ref().and_then(|v| v.cpuset.as_ref()));
    let Some(cpus) = cpus else { return Some(nodes.clone()) };
    let cpus: Vec<u32> = cpus.iter().collect();
    let near = lx.env.host.numa.nodes_of_cpus(&cpus);
    let both: NumberSet = nodes.iter().filter(|n| near.contains(n)).collect();
    (!both.is_empty()).then_some(both)
}

/// A list of numbers for JSON.
fn list(numbers: &NumberSet) -> Prop {
    Prop::List(numbers.iter().map(Prop::from).collect())
}

/// The properties of a memory backend. None after an error.
pub fn backend(lx: &mut Lower<'_>, request: &BackendRequest) -> Option<Backend> {
    let domain = lx.domain;
    let backing = domain.memory_backing.as_ref();
    let cell = request.node.and_then(|n| lx.numa().and_then(|numa| numa.cell(n)));
    let access = request.access.or_else(|| cell.and_then(|c| c.access)).or_else(|| backing.and_then(|b| b.access()));
    let discard = request
        .discard
        .or_else(|| cell.and_then(|c| c.discard))
        .or_else(|| backing.filter(|b| b.discard).map(|_| YesNo::Yes));
    let source = backing.and_then(|b| b.source());

    // Page size: the device's own, else that of <hugepages> for the node.
    let pages = match request.page_kib {
        Some(kib) => Some((kib, kib != lx.env.host.machine.page_size / 1024)),
        None if request.path.is_some() || request.epc => None,
        None => huge_page(lx, request)?,
    };
    let huge = pages.filter(|(_, is_huge)| *is_huge).map(|(kib, _)| kib);
    if let Some(kib) = huge {
        takes_huge_pages(lx, request.kib, kib);
    }

    let mut props = Props::with("qom-type", "");
    props.set("id", request.id.clone());
    let Kind { name, canonical, prealloc } = kind(lx, request, &Wanted { source, huge, access, discard }, &mut props)?;
    props.replace("qom-type", name);
    props.maybe("share", access.map(|a| a == AccessMode::Shared));
    if canonical {
        // The old name of the RAM block: guests could not be migrated to and from older QEMUs without it.
        props.set("x-use-canonical-path-for-ramblock-id", false);
    }
    if prealloc {
        props.set("prealloc", true);
        let threads = backing.and_then(|b| b.allocation.as_ref()).and_then(|a| a.threads);
        props.maybe("prealloc-threads", threads.filter(|n| *n > 0));
    }
    if request.no_reserve {
        // QEMU asks first whether the kernel would let it (vm.overcommit_memory), and gives up where it cannot.
        lx.need(Need::KernelSettings, request.site, "memory without reserved swap");
        props.set("reserve", false);
    }
    props.set("size", request.kib * 1024);
    props.maybe("align", request.align_kib.map(|kib| kib * 1024));
    if request.pmem {
        props.set("pmem", true);
    }
    let nodes = bound(lx, request, &mut props)?;
    // Pages for all nodes are told by -mem-path where machines have that; those of one node are not.
    let own_pages = request.page_kib.is_some() || sizes::has_own_pages(domain, request.node);
    let is_plain = (huge.is_none() || !own_pages)
        && request.nodes.is_none()
        && !sizes::has_memnode(domain, request.node)
        && request.path.is_none()
        && access.is_none()
        && !matches!(source, Some(MemorySource::File | MemorySource::Memfd))
        && !request.force
        && !request.epc;
    Some(Backend { props, nodes, is_plain })
}

/// What the domain wants of memory.
struct Wanted {
    source: Option<MemorySource>,
    /// The size of its huge pages, KiB.
    huge: Option<u64>,
    access: Option<AccessMode>,
    discard: Option<YesNo>,
}

/// The kind of a backend.
struct Kind {
    /// Its type in QEMU.
    name: &'static str,
    /// Whether its RAM block would get another name than in older QEMUs.
    canonical: bool,
    /// Whether its pages are touched at the start.
    prealloc: bool,
}

/// Chooses the kind, and sets what only backends of the kind have. None after an error.
fn kind(lx: &mut Lower<'_>, request: &BackendRequest, wanted: &Wanted, props: &mut Props) -> Option<Kind> {
    let backing = lx.domain.memory_backing.as_ref();
    let prealloc = request.prealloc.unwrap_or_else(|| backing.is_some_and(|b| b.is_immediate()));
    if request.epc {
        return Some(Kind { name: "memory-backend-epc", canonical: false, prealloc });
    }
    if wanted.source == Some(MemorySource::Memfd) && request.path.is_none() {
        if let Some(kib) = wanted.huge {
            lx.need(Need::HugePages, request.site, "memory");
            props.set("hugetlb", true).set("hugetlbsize", kib * 1024);
        }
        let prealloc = if wanted.huge.is_some() { request.prealloc.unwrap_or(true) } else { prealloc };
        return Some(Kind { name: "memory-backend-memfd", canonical: request.is_main, prealloc });
    }
    let in_file = wanted.huge.is_some()
        || request.path.is_some()
        || wanted.access.is_some()
        || wanted.source == Some(MemorySource::File);
    if !in_file {
        return Some(Kind { name: "memory-backend-ram", canonical: false, prealloc });
    }
    let (path, prealloc) = if let Some(path) = &request.path {
        (path.clone(), request.prealloc.unwrap_or(!request.pmem || prealloc))
    } else if let Some(kib) = wanted.huge {
        (huge_page_path(lx, kib, request.site)?, request.prealloc.unwrap_or(true))
    } else {
        let name = request.file.as_ref().unwrap_or(&request.id);
        (format!("{}/{name}", file_directory(lx, request.site)), prealloc)
    };
    file_access(lx, &path, request);
    props.set("mem-path", path);
    if request.path.is_none() {
        props.maybe("discard-data", wanted.discard.map(YesNo::is_yes));
    }
    let canonical = request.path.is_none() && request.is_main;
    Some(Kind { name: "memory-backend-file", canonical, prealloc })
}

/// Binds a backend to nodes of the host; those to which it is bound. None after an error.
fn bound(lx: &mut Lower<'_>, request: &BackendRequest, props: &mut Props) -> Option<Option<NumberSet>> {
    let HostNodes { mode, nodes } = sizes::host_nodes(lx.domain, &lx.env, request.node);
    let from_device = request.nodes.is_some();
    let Some(nodes) = request.nodes.clone().or(nodes) else { return Some(None) };
    if let Some(absent) = nodes.iter().find(|n| !lx.env.host.numa.has(*n)) {
        lx.error(&codes::HOST_NODE, request.site, format!("NUMA node {absent} is unavailable on the host"))
            .help("the host facts list the nodes of the host");
        return None;
    }
    if mode == NumaMode::Restrictive && !from_device {
        return Some(None);
    }
    let mode = if mode == NumaMode::Restrictive { NumaMode::Strict } else { mode };
    props.set("host-nodes", list(&nodes)).set("policy", mode.policy());
    Some(Some(nodes))
}

/// The page size for a node in KiB, and whether it is a huge one. None after an error.
pub fn huge_page(lx: &mut Lower<'_>, request: &BackendRequest) -> Option<Option<(u64, bool)>> {
    let Some(entry) = sizes::huge_page(lx.domain, request.node) else { return Some(None) };
    if let Some(kib) = entry {
        return Some(Some((kib, kib != lx.env.host.machine.page_size / 1024)));
    }
    match lx.env.host.default_hugepage_mount() {
        Some(mount) => Some(Some((mount.page_size / 1024, true))),
        None => {
            let site = lx.domain.memory_backing.as_ref().map_or(request.site, |b| b.site);
            lx.error(&codes::HUGE_PAGES, site, "hugepages are asked for, but hugetlbfs is not mounted on the host");
            None
        }
    }
}

/// Notes in the Plan that so much memory comes from huge pages of this size.
pub fn takes_huge_pages(lx: &mut Lower<'_>, memory_kib: u64, page_kib: u64) {
    let (bytes, page) = (memory_kib * 1024, page_kib * 1024);
    match lx.plan.limits.hugepages.iter_mut().find(|(_, size)| *size == page) {
        Some((sum, _)) => *sum += bytes,
        None => lx.plan.limits.hugepages.push((bytes, page)),
    }
}

/// Where the files of huge pages of this size are. None after an error.
pub fn huge_page_path(lx: &mut Lower<'_>, kib: u64, site: Site) -> Option<String> {
    match lx.env.host.hugepage_mount(kib * 1024) {
        Some(mount) => {
            let path = format!("{}/libvirt/qemu/{}", mount.path, lx.paths.short);
            directory(lx, &path, site);
            Some(path)
        }
        None => {
            let site = lx.domain.memory_backing.as_ref().map_or(site, |b| b.site);
            lx.error(
                &codes::HUGE_PAGES,
                site,
                format!("the host facts have no usable hugetlbfs mount with pages of {kib} KiB"),
            )
            .help("mount hugetlbfs with this page size, or name another size; the host facts list the mounts");
            None
        }
    }
}

/// The directory of the files behind guest memory. What the host facts name is libvirt's own unless
/// somebody has chosen another; a standalone machine keeps its files with its state.
pub fn file_directory(lx: &mut Lower<'_>, site: Site) -> String {
    let base = &lx.env.host.directories.memory_backing;
    if lx.env.has_parent() {
        return format!("{base}/{}", lx.paths.short);
    }
    let path = if *base == Host::default().directories.memory_backing {
        format!("{}/ram", lx.paths.lib)
    } else {
        format!("{base}/{}", lx.paths.short)
    };
    directory(lx, &path, site);
    path
}

/// A directory for memory that must exist when a standalone QEMU starts, once.
fn directory(lx: &mut Lower<'_>, path: &str, site: Site) {
    if lx.env.has_parent() || lx.plan.directories.iter().any(|d| d.path == path) {
        return;
    }
    let cause = lx.cause(site, "memory");
    lx.plan.directories.push(Directory { role: DirectoryRole::Memory, path: path.to_string(), mode: 0o700, cause });
}

/// Records the file behind a backend.
pub fn file_access(lx: &mut Lower<'_>, path: &str, request: &BackendRequest) {
    let grant = match request.path.as_deref() {
        // A node (a DAX device, a volume); /dev/shm and the like are no devices, which the emitters know.
        Some(_) => Grant::MEMORY_FILE,
        None => Grant::MEMORY_FOLDER,
    };
    // QEMU makes the files of a standalone machine in a directory of the machine's own.
    let folder = Path::new(path).parent();
    let own = |d: &&Directory| d.role == DirectoryRole::Memory && folder == Some(Path::new(&d.path));
    let path = lx.plan.directories.iter().find(own).map_or(path, |d| &d.path).to_string();
    if request.path.is_none() && !lx.env.has_parent() && lx.plan.access.iter().any(|a| a.path == path) {
        return;
    }
    lx.touch(&path, grant, Use::Memory, request.site, "memory");
}
