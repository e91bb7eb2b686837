//! What the XML of a disk leaves open.

use super::{Disk, DiskBus, DiskDevice, DiskType, Driver, Format};
use crate::device::address::{Address, DriveAddress};
use crate::resolve::{Cx, Machine};

/// Fills in type, device, bus, driver, and the drive address that the target name implies.
pub fn disk(disk: &mut Disk, _: &Machine, _: &mut Cx<'_>) {
    disk.kind.get_or_insert(DiskType::File);
    disk.device.get_or_insert(DiskDevice::Disk);
    let (dev, device) = (disk.dev().to_string(), disk.device());
    if let Some(target) = &mut disk.target {
        target.bus.get_or_insert_with(|| bus_of(&dev, device));
    }
    if device == DiskDevice::Cdrom {
        disk.readonly = true;
    }
    let driver = disk.driver.get_or_insert_with(Driver::default);
    driver.name.get_or_insert_with(|| "qemu".to_string());
    driver.format.get_or_insert(Format::Raw);
    if !disk.info.has_address()
        && let Some(number) = disk.number()
        && let Some(address) = drive_address(disk.bus(), number)
    {
        disk.info.place(Address::Drive(address));
    }
}

/// The bus that a target name implies (formatdomain, "Hard drives, floppy disks, CDROMs", `target`).
fn bus_of(dev: &str, device: DiskDevice) -> DiskBus {
    match device {
        DiskDevice::Floppy => DiskBus::Fdc,
        _ if dev.starts_with("hd") => DiskBus::Ide,
        _ if dev.starts_with("sd") => DiskBus::Scsi,
        _ if dev.starts_with("fd") => DiskBus::Fdc,
        _ if dev.starts_with("vd") => DiskBus::Virtio,
        _ if dev.starts_with("xvd") => DiskBus::Xen,
        _ if dev.starts_with("ubd") => DiskBus::Uml,
        _ => DiskBus::Ide,
    }
}

/// The place of disk `number` on its bus: two units on each of two buses of an IDE controller, six
/// ports of a SATA controller, seven targets of a SCSI controller, two floppies.
fn drive_address(bus: Option<DiskBus>, number: u32) -> Option<DriveAddress> {
    Some(match bus? {
        DiskBus::Ide => {
            DriveAddress { controller: number / 4, bus: number % 4 / 2, target: 0, unit: u64::from(number % 2) }
        }
        DiskBus::Sata => DriveAddress { controller: number / 6, bus: 0, target: 0, unit: u64::from(number % 6) },
        DiskBus::Scsi => DriveAddress { controller: number / 7, bus: 0, target: 0, unit: u64::from(number % 7) },
        DiskBus::Fdc => DriveAddress { controller: number / 2, bus: 0, target: 0, unit: u64::from(number % 2) },
        _ => return None,
    })
}
