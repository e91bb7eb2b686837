//! Disks: hard disks, CD-ROM drives, floppies.

mod address;
mod defaults;
pub mod driver;
pub(crate) mod family;
pub mod iotune;
pub(crate) mod lower;
pub mod mapping;
mod rules;

use super::info::{DeviceInfo, device};
use super::plug::VirtioModel;
use super::storage::{Auth, Encryption, Layer, StorageKind, StorageSource, bind_backing};
use crate::bind::{Binder, Part, Shape, model, print_as};
pub use crate::schema::words::{DiskBus, DiskDevice, DiskModel, Sgio, SnapshotLocation, Translation, Tray};
use crate::vocab::{OnOff, YesNo};
use crate::xml::{El, XmlWriter};
pub use driver::{Cache, DetectZeroes, Discard, Driver, IoMode};
pub use iotune::{Limits, ThrottleFilter, ThrottleGroup};

impl DiskModel {
    /// Whether it is one of the USB bus.
    pub fn is_usb(self) -> bool {
        matches!(self, DiskModel::UsbStorage | DiskModel::UsbBot)
    }
}

model! {
    /// `<target>` of a disk: its name decides its place on the bus.
    pub struct Target = "target" {
        need dev: String = "dev",
        attr bus: DiskBus = "bus",
        attr tray: Tray = "tray",
        attr removable: OnOff = "removable",
        attr rotation_rate: u32 = "rotation_rate",
        attr dpofua: OnOff = "dpofua",
    }
}

model! {
    /// `<backenddomain name='…'/>` (Xen).
    pub struct BackendDomain = "backenddomain" {
        need name: String = "name",
    }
}

model! {
    /// `<geometry>`: cylinders, heads, sectors.
    pub struct Geometry = "geometry" {
        need cylinders: u32 = "cyls",
        need heads: u32 = "heads",
        need sectors: u32 = "secs",
        attr translation: Translation = "trans",
    }
}

model! {
    /// `<blockio>`: block sizes that the guest sees, bytes.
    pub struct BlockIo = "blockio" {
        attr logical: u32 = "logical_block_size",
        attr physical: u32 = "physical_block_size",
        attr discard: u32 = "discard_granularity",
    }
}

model! {
    /// `<transient/>`: what the guest writes is lost at the end of the run.
    pub struct Transient = "transient" {
        attr share_backing: YesNo = "shareBacking",
    }
}

/// `<source>` and `<backingStore>`: which attributes they have depends on the type of the disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiskSource {
    /// Where the content is.
    pub source: StorageSource,
    /// The image below; none: not known.
    pub backing: Option<Box<Layer>>,
}

impl Part for DiskSource {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        // An unknown type is reported by the attribute's own field.
        let kind = el.peek("type").map_or(StorageKind::File, |a| StorageKind::parse(a.value()).unwrap_or_default());
        self.source.bind_child(kind, el, cx);
        for name in ["auth", "encryption"] {
            if let (Some(_), Some(inner)) = (el.child(name), el.child("source").and_then(|s| s.child(name))) {
                let message =
                    format!("<{name}> is given twice, in the disk and in its source: one definition was found already");
                cx.diags
                    .error(&crate::diag::codes::storage::CREDENTIALS, inner.span(), message)
                    .help("keep the one inside <source>");
            }
        }
        self.backing = bind_backing(el, cx);
        // The state of a running block job: it means nothing to a guest that is to be started.
        if let Some(mirror) = el.child("mirror") {
            mirror.mark_all();
        }
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        if self.source.says_something() {
            print_as("source", &self.source, out);
        }
        if let Some(backing) = &self.backing {
            print_as("backingStore", backing, out);
        }
    }
    fn shape(shape: &mut Shape) {
        shape.child::<StorageSource>("source");
        shape.child::<Layer>("backingStore");
        shape.children.push(("mirror", Shape::default()));
    }
}

impl std::ops::Deref for DiskSource {
    type Target = StorageSource;
    fn deref(&self) -> &StorageSource {
        &self.source
    }
}

model! {
    /// `<disk>`
    pub struct Disk = "disk" {
        attr kind: StorageKind = "type",
        attr device: DiskDevice = "device",
        attr model: DiskModel = "model",
        attr rawio: YesNo = "rawio",
        attr sgio: Sgio = "sgio",
        attr snapshot: SnapshotLocation = "snapshot",
        child driver: Driver,
        child auth: Auth,
        part source: DiskSource,
        child backend_domain: BackendDomain,
        child geometry: Geometry,
        child blockio: BlockIo,
        child target: Target,
        child iotune: Limits = "iotune",
        list throttle_filters: ThrottleFilter = "throttlefilters",
        flag readonly: bool = "readonly",
        flag shareable: bool = "shareable",
        mark transient: Transient,
        leaf serial: String = "serial",
        leaf wwn: String = "wwn",
        leaf vendor: String = "vendor",
        leaf product: String = "product",
        child encryption: Encryption,
        part info: DeviceInfo,
    }
}

device!(Disk, "disk");

impl Disk {
    /// The name of the target: `vda`.
    pub fn dev(&self) -> &str {
        self.target.as_ref().and_then(|t| t.dev.as_deref()).unwrap_or("")
    }

    /// The bus; none while defaults have not run.
    pub fn bus(&self) -> Option<DiskBus> {
        self.target.as_ref().and_then(|t| t.bus)
    }

    /// What the guest sees.
    pub fn device(&self) -> DiskDevice {
        self.device.unwrap_or(DiskDevice::Disk)
    }

    /// Which drivers a virtio disk serves.
    pub fn virtio_model(&self) -> VirtioModel {
        match self.model {
            Some(DiskModel::VirtioTransitional) => VirtioModel::VirtioTransitional,
            Some(DiskModel::VirtioNonTransitional) => VirtioModel::VirtioNonTransitional,
            _ => VirtioModel::Virtio,
        }
    }

    /// What the source is.
    pub fn kind(&self) -> StorageKind {
        self.kind.unwrap_or_default()
    }

    /// Whether the guest can only read it.
    pub fn is_readonly(&self) -> bool {
        self.readonly || self.device() == DiskDevice::Cdrom
    }

    /// The number of the disk among those with its prefix: `vda` is 0, `vdaa` is 26. None for a name
    /// that is not a prefix and letters, with an optional partition number.
    pub fn number(&self) -> Option<u32> {
        disk_number(self.dev())
    }

    /// A setting of the driver.
    pub fn driver<T: Copy>(&self, get: impl Fn(&Driver) -> Option<T>) -> Option<T> {
        self.driver.as_ref().and_then(get)
    }

    /// The cache mode. What several guests write must not stay in a cache of the host.
    pub fn cache(&self) -> Cache {
        match self.driver(|d| d.cache).unwrap_or(Cache::Default) {
            Cache::Default if self.shareable && !self.is_readonly() => Cache::None,
            mode => mode,
        }
    }

    /// Credentials: of the disk or of its source.
    pub fn auth(&self) -> Option<&Auth> {
        self.auth.as_ref().or(self.source.auth.as_ref())
    }

    /// Encryption: of the disk or of its source.
    pub fn encryption(&self) -> Option<&Encryption> {
        self.encryption.as_ref().or(self.source.encryption.as_ref())
    }

    /// Whether the disk joins the running guest later, when its overlay is there: QEMU's command line
    /// does not have it (target `libvirt`).
    pub fn is_plugged_later(&self) -> bool {
        self.transient.as_ref().is_some_and(|t| t.share_backing.is_some_and(YesNo::is_yes))
    }
}

/// Controller and namespace that a name such as `nvme0n1` tells; namespaces count from 1.
pub fn nvme_place(dev: &str) -> Option<(u32, u32)> {
    let (controller, namespace) = dev.strip_prefix("nvme")?.split_once('n')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(controller) || !digits(namespace) {
        return None;
    }
    Some((controller.parse().ok()?, namespace.parse().ok().filter(|n| *n > 0)?))
}

/// See [`Disk::number`].
pub fn disk_number(dev: &str) -> Option<u32> {
    let letters = ["fd", "hd", "vd", "sd", "xvd", "ubd"].iter().find_map(|p| dev.strip_prefix(p))?;
    let letters = letters.trim_end_matches(|c: char| c.is_ascii_digit());
    if letters.is_empty() {
        return None;
    }
    let mut number = 0u32;
    for c in letters.bytes() {
        if !c.is_ascii_lowercase() {
            return None;
        }
        number = number.checked_mul(26)?.checked_add(u32::from(c - b'a') + 1)?;
    }
    // The bound of libvirt's signed integer.
    Some(number - 1).filter(|n| *n <= i32::MAX as u32)
}

/// Puts the disks of a bus in the order of their names, as libvirt does when it reads them: a disk goes
/// before the first of its bus that comes later in the alphabet, else behind the last of its bus.
pub fn sort(disks: &mut Vec<Disk>) {
    // Names that are no disk names come first.
    let keys = disks.iter().map(|d| (d.bus(), d.number().map_or(-1, i64::from)));
    let mut order: Vec<(Option<DiskBus>, i64, usize)> = Vec::with_capacity(disks.len());
    for (i, (bus, number)) in keys.enumerate() {
        let at = match order.iter().rposition(|k| k.0 == bus) {
            // Each bus is in order so far: its last disk tells whether any comes later.
            Some(last) if order[last].1 <= number => last + 1,
            Some(_) => order.iter().position(|k| k.0 == bus && k.1 > number).unwrap_or(order.len()),
            None => order.len(),
        };
        order.insert(at, (bus, number, i));
    }
    if order.iter().enumerate().all(|(at, k)| at == k.2) {
        return;
    }
    let mut old: Vec<Option<Disk>> = disks.drain(..).map(Some).collect();
    disks.extend(order.iter().filter_map(|k| old[k.2].take()));
}
