//! Options that only some disks have: of a bus, of a device, of a kind of source.

use crate::caps::{Cap, Version};
use crate::device::disk::driver::{Driver, Histogram, HistogramKind, Statistics};
use crate::device::disk::{Cache, Disk, DiskBus, DiskDevice, DiskModel, IoMode, Target};
use crate::device::storage::StorageKind;
use crate::device::virtio::VirtioOptions;
use crate::diag::codes::storage as codes;
use crate::stage::{Cx, Quirk};
use crate::xml::Site;

/// The place of a fault: an attribute, or a child, of an element.
type Place<'n> = (Site, &'n str);

/// A disk while its options are checked.
struct Checked<'d, 'c, 'a> {
    disk: &'d Disk,
    bus: DiskBus,
    cx: &'c mut Cx<'a>,
}

/// Checks the options of a disk on its bus.
pub fn check(disk: &Disk, bus: DiskBus, cx: &mut Cx<'_>) {
    let mut checked = Checked { disk, bus, cx };
    checked.virtio();
    checked.model();
    checked.of_bus();
    checked.statistics();
    checked.reservations_that_move();
    checked.identity();
    checked.target();
    checked.source();
    checked.blocks();
    checked.driver();
    checked.qemu();
}

impl<'d> Checked<'d, '_, '_> {
    fn refuse(&mut self, wrong: bool, place: Place<'_>, message: &str) {
        self.refuse_with(wrong, place, || message.to_string());
    }

    fn refuse_with(&mut self, wrong: bool, (site, name): Place<'_>, message: impl FnOnce() -> String) {
        if wrong {
            let span = self.cx.doc.span_in(site, name);
            self.cx.diags.error(&codes::OPTION, span, message());
        }
    }

    fn driver_of(&self) -> Option<&'d Driver> {
        self.disk.driver.as_ref()
    }

    fn target_of(&self) -> Option<&'d Target> {
        self.disk.target.as_ref()
    }

    fn statistics_of(&self) -> Option<&'d Statistics> {
        self.driver_of().and_then(|d| d.statistics.as_ref())
    }

    fn at<'n>(&self, name: &'n str) -> Place<'n> {
        (self.disk.site, name)
    }

    fn at_driver<'n>(&self, name: &'n str) -> Place<'n> {
        (self.driver_of().map_or(self.disk.site, |d| d.site), name)
    }

    fn at_target<'n>(&self, name: &'n str) -> Place<'n> {
        (self.target_of().map_or(self.disk.site, |t| t.site), name)
    }

    fn is_scsi(&self) -> bool {
        self.bus == DiskBus::Scsi
    }

    fn is_ata(&self) -> bool {
        matches!(self.bus, DiskBus::Ide | DiskBus::Sata)
    }

    /// What only disks on the virtio bus have.
    fn virtio(&mut self) {
        let Some(driver) = self.driver_of().filter(|_| self.bus != DiskBus::Virtio) else { return };
        let bus = self.bus;
        for (name, is_set) in [("queues", driver.queues.is_some()), ("queue_size", driver.queue_size.is_some())] {
            let what = if name == "queues" { "has more than one" } else { "has this" };
            self.refuse_with(is_set, self.at_driver(name), || {
                format!("{name}: a disk on the virtio bus {what}, others have not")
            });
        }
        for (name, is_set) in [("event_idx", driver.event_idx.is_some()), ("ioeventfd", driver.ioeventfd.is_some())] {
            self.refuse_with(is_set, self.at_driver(name), || {
                format!("{name}: a disk on the virtio bus has this mode, not one on '{bus}'")
            });
        }
        let VirtioOptions { iommu, ats, packed, page_per_vq, .. } = &driver.virtio;
        for (name, option) in [("iommu", iommu), ("ats", ats), ("packed", packed), ("page_per_vq", page_per_vq)] {
            self.refuse_with(option.is_some(), self.at_driver(name), || {
                format!("the driver option {name} is one of virtio devices")
            });
        }
    }

    /// The model goes with the bus.
    fn model(&mut self) {
        let (bus, virtio) = (self.bus, self.bus == DiskBus::Virtio);
        let passes_over = self.cx.env.behaves(Quirk::UsbModelOnAnyBus);
        let on_another = |model: &DiskModel| match model.is_usb() {
            true => bus != DiskBus::Usb && (virtio || !passes_over),
            false => !virtio,
        };
        if let Some(model) = self.disk.model.filter(on_another) {
            let of = if model.is_usb() { "USB" } else { "virtio" };
            self.refuse_with(true, self.at("model"), || {
                format!("<disk model='{model}'>: that is a model of the bus '{of}', and this disk is on '{bus}'")
            });
        }
    }

    fn of_bus(&mut self) {
        let bus = self.bus;
        let dpofua = self.target_of().is_some_and(|t| t.dpofua.is_some());
        self.refuse_with(dpofua && !self.is_scsi(), self.at_target("dpofua"), || {
            format!("dpofua: a scsi disk has this, and one on '{bus}' has not")
        });
        let lun = self.disk.device() == DiskDevice::Lun && !self.cx.env.behaves(Quirk::LunHasBlockSizes);
        self.refuse(
            self.disk.blockio.is_some() && lun,
            self.at("blockio"),
            "<blockio> says which blocks the guest sees, and the SCSI device behind device='lun' says that itself",
        );
    }

    fn statistics(&mut self) {
        let Some(statistics) = self.statistics_of() else { return };
        let (bus, at) = (self.bus, self.at_driver("statistics"));
        let counts = matches!(bus, DiskBus::Virtio | DiskBus::Scsi | DiskBus::Usb) || self.is_ata();
        self.refuse_with(!counts, at, || format!("<statistics>: QEMU counts nothing for disks on the bus '{bus}'"));
        self.refuse(
            statistics.intervals.iter().any(|i| i.interval == Some(0)),
            at,
            "<statistic interval>: an interval is 1 second or more",
        );
        let all = &statistics.histograms;
        self.refuse(
            all.iter().enumerate().any(|(i, h)| all.iter().take(i).any(|o| o.kind == h.kind)),
            at,
            "<latency-histogram>: there is one for each type of requests",
        );
        let rises = |h: &Histogram| {
            h.bins.first().and_then(|b| b.start) == Some(0) && h.bins.windows(2).all(|p| p[0].start < p[1].start)
        };
        self.refuse(
            !all.iter().all(rises),
            at,
            "<latency-histogram>: the first <bin> starts at 0, and each further one behind the one before",
        );
    }

    fn migrates(&self) -> bool {
        self.disk.source.reservations.as_ref().is_some_and(|r| r.migration.is_some())
    }

    fn reservations_that_move(&mut self) {
        let lun = self.is_scsi() && self.disk.device() == DiskDevice::Lun;
        self.refuse(
            self.migrates() && !lun,
            self.at("source"),
            "<reservations migration>: they move with a device='lun' on the bus scsi",
        );
    }

    /// What a disk says of itself to the guest: maker, product, serial number, world-wide name.
    fn identity(&mut self) {
        let Disk { vendor, product, wwn, serial, .. } = self.disk;
        let (bus, scsi) = (self.bus, self.is_scsi());
        for (name, text) in [("vendor", vendor), ("product", product)] {
            self.refuse_with(text.is_some() && !scsi, self.at(name), || {
                format!("'{name}': a scsi disk shows one to the guest, others have none")
            });
        }
        // QEMU's SATA disks have world-wide names, too; libvirt does not say so.
        let has_name = scsi || bus == DiskBus::Ide || bus == DiskBus::Sata && !self.cx.env.behaves(Quirk::NoWwnOnSata);
        self.refuse(
            wwn.is_some() && !has_name,
            self.at("wwn"),
            "'wwn': ide and scsi disks have a world wide name, others have none",
        );
        let wwn = wwn.as_deref().unwrap_or("0000000000000000");
        let digits = wwn.trim_start_matches("0x");
        self.refuse_with(digits.len() != 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()), self.at("wwn"), || {
            format!("malformed wwn: '{wwn}' must consist of 16 hexadecimal digits")
        });
        for (name, text, most) in [("vendor", vendor, 8), ("product", product, 16)] {
            self.refuse_with(text.as_ref().is_some_and(|t| t.len() > most), self.at(name), || {
                format!("<{name}> of a disk has room for {most} characters, and this has more")
            });
        }
        for (name, text) in [("vendor", vendor), ("product", product)] {
            let printable = text.as_ref().is_none_or(|t| t.bytes().all(|b| (0x20..0x7f).contains(&b)));
            self.refuse_with(!printable, self.at(name), || {
                format!("<{name}> of a disk is printable ASCII, and this string is not")
            });
        }
        self.refuse_with(serial.is_some() && bus == DiskBus::Sd, self.at("serial"), || {
            format!("<serial>: a drive on the bus '{bus}' has no such property")
        });
        let serial = serial.as_deref().unwrap_or("");
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"_-.+ ".contains(&b);
        self.refuse_with(!serial.bytes().all(fine), self.at("serial"), || {
            format!(
                "<serial>: '{serial}' has characters that are unsafe for a driver (letters, digits, blanks, '_', '.', '+' and '-' are fine)"
            )
        });
    }

    /// The attributes of `<target>`, and what is written to.
    fn target(&mut self) {
        let (disk, device, bus) = (self.disk, self.disk.device(), self.bus);
        let (scsi, ata) = (self.is_scsi(), self.is_ata());
        if let Some(target) = self.target_of() {
            self.refuse(
                target.rotation_rate.is_some() && !scsi && !ata,
                self.at_target("rotation_rate"),
                "rotation_rate: disks on scsi, ide and sata have a rate, others have none",
            );
            self.refuse(
                target.removable.is_some() && (!scsi && bus != DiskBus::Usb || device == DiskDevice::Cdrom),
                self.at_target("removable"),
                "removable: usb and scsi disks can tell this to the guest, others cannot",
            );
            self.refuse(
                target.tray.is_some() && !matches!(device, DiskDevice::Cdrom | DiskDevice::Floppy),
                self.at_target("tray"),
                "tray: a cdrom or floppy has one, other disks have not",
            );
            self.refuse(
                target.rotation_rate.is_some_and(|r| r > 0) && device != DiskDevice::Disk,
                self.at_target("rotation_rate"),
                "rotation_rate: what turns is a disk; this device is none",
            );
        }
        self.refuse_with(ata && disk.is_readonly() && device == DiskDevice::Disk, self.at("readonly"), || {
            format!("<readonly/>: the bus {bus} knows no readonly disks")
        });
    }

    fn is_uncached(&self) -> bool {
        matches!(self.disk.cache(), Cache::None | Cache::Directsync)
    }

    fn source(&mut self) {
        let kind = self.disk.kind();
        self.refuse(
            self.disk.source.reservations.is_some() && self.disk.device() != DiskDevice::Lun,
            self.at("source"),
            "<reservations> are SCSI's, made by the guest of device='lun'",
        );
        self.refuse_with(kind == StorageKind::Vhostvdpa && !self.is_uncached(), self.at_driver("cache"), || {
            format!("QEMU opens a disk of type '{kind}' without the host's cache: mode 'none' or 'directsync'")
        });
    }

    /// Geometry and sizes of blocks.
    fn blocks(&mut self) {
        let bus = self.bus;
        if let Some(geometry) = &self.disk.geometry {
            let cylinders = geometry.cylinders.unwrap_or(0) > 0;
            self.refuse_with(cylinders && matches!(bus, DiskBus::Usb | DiskBus::Sd), self.at("geometry"), || {
                format!("<geometry>: QEMU takes no CHS geometry on the '{bus}' bus")
            });
            self.refuse_with(geometry.translation.is_some() && bus != DiskBus::Ide, self.at("geometry"), || {
                format!("<geometry trans>: the CHS translation mode is set on the 'ide' bus, and this is '{bus}'")
            });
        }
        let floppy = self.disk.device() == DiskDevice::Floppy && self.cx.env.is_guardian();
        self.refuse_with(self.disk.blockio.is_some() && (floppy || bus == DiskBus::Sd), self.at("blockio"), || {
            format!("block sizes (blockio) are not supported for '{bus}' bus")
        });
    }

    fn driver(&mut self) {
        let Some(driver) = self.driver_of() else { return };
        self.refuse(
            driver.io == Some(IoMode::Native) && !self.is_uncached(),
            self.at_driver("io"),
            "io='native' reads around the host's cache: with this cache mode QEMU would fall back to threads (cache='none' or 'directsync' is what native I/O needs)",
        );
        if let Some(name) = driver.name.as_deref().filter(|name| *name != "qemu") {
            let dev = self.disk.dev();
            self.refuse_with(true, self.at_driver("name"), || {
                format!("<driver name='{name}'> of disk '{dev}': the driver of a QEMU disk has the name 'qemu'")
            });
        }
    }

    /// Histograms that QEMU would refuse when the machine runs.
    fn histograms(&mut self) {
        let Some(statistics) = self.statistics_of().filter(|s| !s.histograms.is_empty()) else { return };
        self.refuse(
            self.disk.kind == Some(StorageKind::Vhostuser),
            self.at_driver("statistics"),
            "<latency-histogram>: the requests of a vhost-user disk do not pass through QEMU",
        );
        let zone = statistics.histograms.iter().find(|h| h.kind == Some(HistogramKind::Zone));
        if let Some(histogram) = zone.filter(|_| self.cx.env.caps.version < Version::new(8, 1, 0)) {
            let message = "<latency-histogram type='zone'>: QEMU counts appends to zones since 8.1";
            self.cx.error(&codes::NEEDS_QEMU, histogram.site, message);
        }
    }

    /// What this QEMU lacks.
    fn qemu(&mut self) {
        let (disk, driver, site) = (self.disk, self.driver_of(), self.disk.site);
        let statistics = self.statistics_of();
        let lacks = [
            ("persistent reservations that migrate", self.migrates(), Cap::ScsiBlockMigratePr),
            ("statistics over intervals", statistics.is_some_and(|s| !s.intervals.is_empty()), Cap::DiskTimedStats),
            ("disks on the bus nvme", self.bus == DiskBus::Nvme, Cap::NvmeNs),
            ("the disk model usb-bot", disk.model == Some(DiskModel::UsbBot), Cap::UsbBot),
        ];
        for (what, wanted, cap) in lacks {
            if wanted && !self.cx.has(cap) {
                self.cx.error(&codes::NEEDS_QEMU, site, format!("this QEMU binary has no {what}"));
            }
        }
        if self.cx.env.is_guardian() {
            self.histograms();
        }
        let uring = driver.is_some_and(|d| d.io == Some(IoMode::IoUring));
        if uring && !self.cx.has(Cap::AioIoUring) {
            let message = "io='io_uring': this QEMU binary was built without io uring";
            self.cx.error(&codes::NEEDS_QEMU, site, message);
        }
        let queue_size = self.bus == DiskBus::Virtio && driver.is_some_and(|d| d.queue_size.is_some());
        if queue_size && !self.cx.has(Cap::VirtioBlkQueueSize) {
            self.cx.error(&codes::NEEDS_QEMU, site, "queue_size: this QEMU binary has no such property");
        }
    }
}
