//! The boot order: `<boot order>` of the devices, or `<boot dev>` of `<os>` spread over them.

use crate::device::disk::DiskDevice;
use crate::diag::codes::storage as codes;
use crate::domain::Domain;
use crate::domain::os::BootDevice;
use crate::stage::Cx;
use crate::vocab::YesNo;
use crate::xml::Site;

/// Gives each bootable device its place in the boot order.
pub fn assign(domain: &mut Domain, cx: &mut Cx<'_>) {
    let boot: Vec<BootDevice> = domain.os.iter().flat_map(|os| os.boot.iter().filter_map(|b| b.dev)).collect();
    menu(domain, cx);
    let Some(devices) = &mut domain.devices else { return };
    let mut orders: Vec<(u32, Site)> = Vec::new();
    devices.each_mut(&mut |d| {
        let info = d.info_mut();
        info.bootindex = info.boot.as_ref().and_then(|b| b.order);
        if let (Some(order), Some(boot)) = (info.bootindex, &info.boot) {
            orders.push((order, boot.site));
        }
    });
    check(&orders, !boot.is_empty(), cx);
    // Only the first device of each kind is asked to boot.
    for (i, dev) in boot.iter().enumerate() {
        let order = i as u32 + 1;
        let kinds: &[DiskDevice] = match dev {
            BootDevice::Hd => &[DiskDevice::Disk, DiskDevice::Lun],
            BootDevice::Cdrom => &[DiskDevice::Cdrom],
            BootDevice::Fd => &[DiskDevice::Floppy],
            BootDevice::Network => {
                if let Some(interface) = devices.interfaces.first_mut() {
                    interface.info.bootindex = Some(order);
                }
                continue;
            }
        };
        if let Some(disk) = devices.disks.iter_mut().find(|d| kinds.contains(&d.device())) {
            disk.info.bootindex = Some(order);
        }
    }
}

/// The boot menu: only one that is shown waits.
fn menu(domain: &mut Domain, cx: &mut Cx<'_>) {
    let Some(menu) = domain.os.as_mut().and_then(|os| os.bootmenu.as_mut()) else { return };
    if menu.enable != Some(YesNo::Yes) {
        menu.timeout = None;
    }
    if let Some(timeout) = menu.timeout.filter(|t| *t > 65535) {
        let message = format!("<bootmenu timeout='{timeout}'>: the menu can be shown for 0 to 65535 milliseconds");
        cx.error_at(&codes::BOOT_ORDER, menu.site, "timeout", message);
    }
}

/// Each place is taken once, and not both ways of writing the order are used.
fn check(orders: &[(u32, Site)], by_os: bool, cx: &mut Cx<'_>) {
    for (i, (order, site)) in orders.iter().enumerate() {
        if by_os {
            let message = "both <boot dev> in <os> and <boot order> in devices are given; use one way (os/boot elements, or per-device boot elements)";
            cx.error(&codes::BOOT_ORDER, *site, message).help("remove <boot dev='…'/> from <os>");
            return;
        }
        if *order == 0 {
            let message = "incorrect boot order '0', expecting a positive integer";
            cx.error_at(&codes::BOOT_ORDER, *site, "order", message);
        } else if let Some((_, other)) = orders[..i].iter().find(|(o, _)| o == order) {
            let other = cx.span(*other);
            cx.error_at(
                &codes::BOOT_ORDER,
                *site,
                "order",
                format!(
                    "two devices have the same <boot order='{order}'>; each device that boots needs an order of its own"
                ),
            )
            .related(other, "the other device");
        }
    }
}
