//! The boot order: `<boot order>` of the devices, or `<boot dev>` of `<os>` spread over them.

use super::Cx;
use crate::device::disk::DiskDevice;
use crate::domain::Domain;
use crate::domain::os::BootDevice;

/// Gives each bootable device its place in the boot order.
pub fn assign(domain: &mut Domain, _: &mut Cx<'_>) {
    let boot: Vec<BootDevice> = domain.os.iter().flat_map(|os| os.boot.iter().filter_map(|b| b.dev)).collect();
    let Some(devices) = &mut domain.devices else { return };
    devices.each_mut(&mut |d| {
        let info = d.info_mut();
        info.bootindex = info.boot.as_ref().and_then(|b| b.order);
    });
    // Only the first device of each kind is asked to boot.
    for (i, dev) in boot.iter().enumerate() {
        let order = i as u32 + 1;
        let device = match dev {
            BootDevice::Hd => DiskDevice::Disk,
            BootDevice::Cdrom => DiskDevice::Cdrom,
            BootDevice::Fd => DiskDevice::Floppy,
            BootDevice::Network => continue,
        };
        if let Some(disk) = devices.disks.iter_mut().find(|d| d.device() == device) {
            disk.info.bootindex = Some(order);
        }
    }
}
