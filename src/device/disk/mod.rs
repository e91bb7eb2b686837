//! Disks: hard disks, CD-ROM drives, floppies.

mod defaults;
mod lower;
mod rules;
mod source;

pub use source::{DiskSource, Format};

use super::info::DeviceInfo;
use super::plug::{Plug, VirtioModel};
use super::{Family, device};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::resolve::{Cx, Env, Machine};
use crate::vocab::{OnOff, keywords};

keywords! {
    /// `<disk type='…'>`: what the source is.
    pub enum DiskType {
        File = "file",
        Block = "block",
        Dir = "dir",
        Network = "network",
        Volume = "volume",
        Nvme = "nvme",
        VhostUser = "vhostuser",
        VhostVdpa = "vhostvdpa",
    }
}

keywords! {
    /// `<disk device='…'>`: what the guest sees.
    pub enum DiskDevice { Disk = "disk", Cdrom = "cdrom", Floppy = "floppy", Lun = "lun" }
}

keywords! {
    /// `<target bus='…'>`
    pub enum DiskBus {
        Ide = "ide",
        Fdc = "fdc",
        Scsi = "scsi",
        Virtio = "virtio",
        Xen = "xen",
        Usb = "usb",
        Uml = "uml",
        Sata = "sata",
        Sd = "sd",
        Nvme = "nvme",
        None = "none",
    }
}

keywords! {
    /// `<driver cache='…'>`
    pub enum Cache {
        Default = "default",
        None = "none",
        Writethrough = "writethrough",
        Writeback = "writeback",
        Directsync = "directsync",
        Unsafe = "unsafe",
    }
}

keywords! {
    /// `<driver io='…'>`
    pub enum IoMode { Native = "native", Threads = "threads", IoUring = "io_uring" }
}

keywords! {
    /// `<driver discard='…'>`
    pub enum Discard { Unmap = "unmap", Ignore = "ignore" }
}

model! {
    /// `<driver>` of a disk.
    pub struct Driver = "driver" {
        attr name: String = "name",
        attr format: Format = "type",
        attr cache: Cache = "cache",
        attr io: IoMode = "io",
        attr discard: Discard = "discard",
    }
}

keywords! {
    /// `<target tray='…'>`
    pub enum Tray { Closed = "closed", Open = "open" }
}

model! {
    /// `<target>` of a disk: its name decides its place on the bus.
    pub struct Target = "target" {
        need dev: String = "dev",
        attr bus: DiskBus = "bus",
        attr tray: Tray = "tray",
        attr removable: OnOff = "removable",
    }
}

model! {
    /// `<disk>`
    pub struct Disk = "disk" {
        attr kind: DiskType = "type",
        attr device: DiskDevice = "device",
        child driver: Driver,
        part source: DiskSource,
        child target: Target,
        flag readonly: bool = "readonly",
        flag shareable: bool = "shareable",
        leaf serial: String = "serial",
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

    /// Whether the guest can only read it.
    pub fn is_readonly(&self) -> bool {
        self.readonly || self.device() == DiskDevice::Cdrom
    }

    /// The number of the disk among those with its prefix: `vda` is 0, `vdaa` is 26. None for a name
    /// that is not a prefix and letters, with an optional partition number.
    pub fn number(&self) -> Option<u32> {
        disk_number(self.dev())
    }
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
    Some(number - 1)
}

impl Family for Disk {
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>) {
        defaults::disk(self, machine, cx);
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.bus() {
            Some(DiskBus::Virtio) => Plug::Virtio(VirtioModel::Virtio),
            Some(DiskBus::Usb) => Plug::Usb,
            _ => Plug::Nowhere,
        }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        rules::disk(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::disk(self, lx);
    }
}
