//! The typed domain: what the XML says, and after resolving, what it means.
//!
//! Each part of `<domain>` that is not a device has a module here; the devices are in
//! [`crate::device`]. Parts remember their [`Site`](crate::xml::Site), so that later stages can point at
//! the element or attribute that is at fault.

pub mod clock;
pub mod cpu;
pub mod features;
pub mod general;
pub mod memory;
pub mod numa;
pub mod os;
pub mod qemu;
pub mod seclabel;
pub mod security;
pub mod sysinfo;
pub mod tuning;
pub mod vcpu;

use crate::bind::{Binder, Model, Part, model};
use crate::device::Devices;
use crate::diag::Diagnostics;
use crate::diag::codes::{general as support, schema};
pub use crate::schema::words::DomainKind;
use crate::vocab::Uuid;
use crate::xml::{Document, Namespace, XmlWriter};

model! {
    /// `<domain>`: one virtual machine. The fields stand in the order in which libvirt prints them.
    pub struct Domain = "domain" {
        need kind: DomainKind = "type",
        leaf name: String = "name",
        leaf uuid: Uuid = "uuid",
        leaf hwuuid: Uuid = "hwuuid",
        child genid: general::GenId = "genid",
        leaf title: String = "title",
        leaf description: String = "description",
        child metadata: general::Metadata,
        child max_memory: memory::MaxMemory = "maxMemory",
        child memory: memory::Memory = "memory",
        child current_memory: memory::Amount = "currentMemory",
        child blkiotune: tuning::Blkiotune,
        child memtune: tuning::Memtune,
        child memory_backing: memory::MemoryBacking,
        child vcpu: vcpu::Vcpu,
        list vcpus: vcpu::OneVcpu = "vcpus",
        leaf iothreads: u32 = "iothreads",
        list iothread_ids: vcpu::IoThread = "iothreadids",
        /// Every I/O thread, those that only `<iothreads>` counts among them.
        extra all_iothreads: Vec<vcpu::IoThread>,
        child default_iothread: vcpu::DefaultIoThread,
        list throttle_groups: crate::device::disk::ThrottleGroup = "throttlegroups",
        child cputune: tuning::Cputune,
        child numatune: tuning::Numatune,
        mark iommufd: general::Iommufd,
        child resource: tuning::Resource,
        many sysinfo: sysinfo::Sysinfo,
        child os: os::Os,
        child idmap: crate::device::filesystem::IdMap,
        child features: features::Features,
        child cpu: cpu::Cpu,
        child clock: clock::Clock,
        leaf on_poweroff: general::LifecycleAction = "on_poweroff",
        leaf on_reboot: general::LifecycleAction = "on_reboot",
        leaf on_crash: general::CrashAction = "on_crash",
        leaf on_lockfailure: general::LockFailureAction = "on_lockfailure",
        child pm: general::Pm,
        child perf: general::Perf,
        child devices: Devices,
        many seclabels: seclabel::Seclabel,
        child keywrap: security::Keywrap,
        child launch_security: security::LaunchSecurity,
        part qemu: qemu::QemuNamespace,
    }
}

impl Domain {
    /// The name, or an empty text while it is unknown (a fault that the schema has reported).
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("")
    }

    /// The identity that the guest's hardware tells.
    pub fn hardware_uuid(&self) -> Option<Uuid> {
        self.hwuuid.or(self.uuid)
    }

    /// The hypervisor; `qemu` while it is unknown.
    pub fn kind(&self) -> DomainKind {
        self.kind.unwrap_or(DomainKind::Qemu)
    }
}

/// What helps where something is not supported yet.
const WITHOUT: &str =
    "virtc refuses what it would have to leave out; remove it, or compile this domain with a later version";

/// Reads the domain of a document.
///
/// Whatever the format allows but nothing has read is reported as not supported yet. `flagged` tells
/// whether the schema has already refused the place of a span.
pub fn bind(
    doc: &Document<'_>,
    flagged: &dyn Fn(crate::diag::Span) -> bool,
    diags: &mut Diagnostics,
) -> Option<Domain> {
    let root = doc.root()?;
    if !root.is(Domain::ELEMENT) {
        diags
            .error(
                &schema::UNKNOWN_ELEMENT,
                root.span(),
                format!("unexpected root element <{}>, expecting <domain>", root.name()),
            )
            .help("virtc compiles domains; networks, pools and other files of libvirt are described in the host facts");
        return None;
    }
    root.mark();
    // Number of a running domain: it means nothing to one that is to be started.
    root.attr("id");
    let domain = Domain::read(root, &mut Binder { diags });
    if let Some(name) = root.child("name").filter(|name| name.text().contains('/')) {
        diags
            .error(&schema::WRONG_VALUE, name.text_span(), format!("name {} cannot contain '/'", name.text().trim()))
            .help("files and sockets of the machine are named after it: choose a name without '/'");
    }
    for el in doc.elements() {
        if !el.is_used() {
            // Foreign elements outside <metadata> mean nothing to libvirt either.
            if el.namespace() != Namespace::Foreign && !flagged(el.span()) {
                let message = format!("the element <{}> is not supported yet at this place", el.name());
                diags.error(&support::NOT_YET, el.span(), message).help(WITHOUT);
            }
            el.mark_all();
            continue;
        }
        for attr in el.attrs().filter(|a| !a.is_used() && a.namespace() == Namespace::None) {
            if !flagged(attr.span()) && !flagged(attr.name_span()) {
                let message = format!("the attribute '{}' of <{}> is not supported yet", attr.name(), el.name());
                diags.error(&support::NOT_YET, attr.span(), message).help(WITHOUT);
            }
        }
    }
    Some(domain)
}

/// Prints the domain as libvirt would.
pub fn print(domain: &Domain) -> String {
    print_placed(domain).0
}

/// The same, with where its elements begin that have a place in the source.
pub fn print_placed(domain: &Domain) -> (String, Vec<(usize, crate::xml::Site)>) {
    let mut out = XmlWriter::new();
    out.start(Domain::ELEMENT);
    if domain.qemu.is_present() {
        out.attr("xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0");
    }
    domain.print_attrs(&mut out);
    domain.print_body(&mut out);
    out.finish_placed()
}

impl Domain {
    /// Whether other processes can map the guest's memory: `<memoryBacking>` says so, or every NUMA cell
    /// does. What vhost-user backends and virtiofs need.
    pub fn has_shared_memory(&self) -> bool {
        use memory::{AccessMode, MemorySource};
        let backing = self.memory_backing.as_ref();
        let shared = |access: Option<AccessMode>| access == Some(AccessMode::Shared);
        if shared(backing.and_then(|b| b.access())) {
            return true;
        }
        // A memfd is shared unless it says otherwise.
        if backing.is_some_and(|b| b.source() == Some(MemorySource::Memfd) && b.access() != Some(AccessMode::Private)) {
            return true;
        }
        let cells = self.cpu.as_ref().and_then(|c| c.numa.as_ref()).map_or(&[][..], |n| &n.cells);
        !cells.is_empty() && cells.iter().all(|c| shared(c.access))
    }
}
