//! What lowering and rules of all virtio devices share.

use crate::device::address::AddressKind;
use crate::device::info::DeviceInfo;
use crate::device::iothreads::ThreadQueues;
use crate::device::plug::VirtioModel;
use crate::device::virtio::VirtioOptions;
use crate::diag::codes::{address, general as codes};
use crate::plan::{Prop, Props};
use crate::stage::mapping::{self, mapping};
use crate::stage::{Cx, Lower};

mapping! {
    /// What all virtio devices share (formatdomain, "Virtio-related options").
    pub OPTIONS: VirtioOptions {
        "iommu_platform" = iommu: OnOff, "iommu";
        "ats" = ats: OnOff, "ats";
        "packed" = packed: OnOff, "packed";
        "page-per-vq" = page_per_vq: OnOff, "page_per_vq";
    }
}

impl VirtioOptions {
    /// Adds QEMU's properties. They stand right behind the driver.
    pub fn lower(&self, props: &mut Props, _: &Lower<'_>) {
        mapping::lower(OPTIONS, self, props);
    }

    /// Says that the options have no effect: the device is none of virtio's, and libvirt passes over them.
    pub fn idle(&self, device: &str, cx: &mut Cx<'_>) {
        if self.is_set() {
            cx.diags
                .warning(
                    &codes::NO_EFFECT,
                    cx.doc.span_of(self.site),
                    format!("<driver>: iommu, ats, packed and page_per_vq are options of virtio devices; this {device} is none, so they have no effect"),
                )
                .help("remove them");
        }
    }

    /// Refuses the options where the device is none of virtio's.
    pub fn refuse_unless(&self, is_virtio: bool, cx: &mut Cx<'_>) {
        let options =
            [("iommu", self.iommu), ("ats", self.ats), ("packed", self.packed), ("page_per_vq", self.page_per_vq)];
        for (name, _) in options.iter().filter(|(_, v)| v.is_some()) {
            if !is_virtio {
                cx.error_at(
                    &codes::NOT_VIRTIO,
                    self.site,
                    name,
                    format!("<driver {name}>: only a virtio device has this option, and this one is none"),
                );
            }
        }
    }
}

/// Where a virtio device can be.
const TRANSPORTS: [AddressKind; 4] =
    [AddressKind::Pci, AddressKind::Ccw, AddressKind::VirtioMmio, AddressKind::Unassigned];

impl Lower<'_> {
    /// Refuses a virtio device at a place that is none of virtio's.
    pub fn virtio_place(&mut self, base: &str, info: &DeviceInfo) {
        let kind = info.address_kind();
        if kind.is_none() && info.address.wanted.is_none() {
            let message = format!(
                "'{base}': this machine type has neither PCI nor another place for virtio devices (unexpected address type)"
            );
            self.error(&address::KIND, info.address_site(), message)
                .help("use another bus or model, or machine='virt'");
        }
        if let Some(kind) = kind.filter(|k| !TRANSPORTS.contains(k)) {
            let message = format!(
                "unexpected address type for '{base}': a virtio device cannot be at an address of type '{kind}'"
            );
            self.error(&address::KIND, info.address_site(), message)
                .help("remove the <address>, and virtc chooses one");
        }
    }

    /// QEMU's list of `IOThreadVirtQueueMapping`: which I/O thread serves which queues; none where nothing is said of it.
    pub fn queues_of_iothreads(&mut self, threads: &[ThreadQueues]) -> Option<Vec<Prop>> {
        let mut list = Vec::new();
        for thread in threads {
            let id = self.must(thread.id, "the id of an iothread", thread.site);
            let mut entry = Props::with("iothread", format!("iothread{id}"));
            let queues = thread.queues.iter().map(|q| Prop::from(self.must(q.id, "the id of a queue", q.site)));
            let queues: Vec<Prop> = queues.collect();
            if !queues.is_empty() {
                entry.set("vqs", queues);
            }
            list.push(Prop::from(entry));
        }
        (!list.is_empty()).then_some(list)
    }

    /// The properties of a virtio device up to its options: `base` is `virtio-rng` or `vhost-vsock`;
    /// transport and model are added to it.
    pub fn virtio_device(
        &mut self,
        base: &str,
        info: &DeviceInfo,
        model: VirtioModel,
        options: Option<&VirtioOptions>,
    ) -> Props {
        self.virtio_place(base, info);
        let suffix = match model {
            VirtioModel::Virtio => "",
            VirtioModel::VirtioTransitional => "-transitional",
            VirtioModel::VirtioNonTransitional => "-non-transitional",
        };
        let mut props = Props::driver(self.virtio_driver(base, info, suffix));
        if let Some(options) = options {
            options.lower(&mut props, self);
        }
        props
    }
}
