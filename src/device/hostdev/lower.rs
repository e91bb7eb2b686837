//! Host devices on the command line.

use super::{Hostdev, HostdevModel, HostdevSource};
use crate::caps::Cap;
use crate::device::address::Address;
use crate::device::controller::{ControllerKind, ControllerModel};
use crate::device::hostdev::source::GuestReset;
use crate::device::info::DeviceInfo;
use crate::device::interface::Interface;
use crate::device::storage::{StorageSource, lower as storage};
use crate::diag::codes::hostdev as codes;
use crate::host::PciAddress;
use crate::plan::{ClaimKind, LentDevice, Need, PathKind, Props, Use};
use crate::stage::{Grant, Lower};
use crate::vocab::{OnOff, YesNo, nodes};
use crate::xml::Site;

/// Adds all host devices. The nodes of SCSI devices are numbered behind those of the disks.
pub fn lower_all(lx: &mut Lower<'_>) {
    object(lx);
    let interfaces = &lx.devices.interfaces;
    for interface in interfaces.iter().filter(|i| i.is_host_device()) {
        self::interface(interface, lx);
    }
    let hostdevs = &lx.devices.hostdevs;
    let mut node = lx.devices.disks.len();
    for h in hostdevs {
        match &h.source {
            HostdevSource::Scsi { adapter, place } => {
                node += 1;
                scsi(h, adapter, *place, node, lx);
            }
            HostdevSource::Iscsi(source) => {
                node += 1;
                iscsi(h, source, node, lx);
            }
            _ => hostdev(h, lx),
        }
    }
}

/// Adds the device behind an interface of type `hostdev`.
fn interface(interface: &Interface, lx: &mut Lower<'_>) {
    let given = interface.source.pci.map(|at| {
        let (bus, slot, function) = (at.bus as u8, at.slot as u8, at.function as u8);
        PciAddress { domain: at.domain, bus, slot, function }
    });
    let Some(address) = given.or(interface.network_device) else { return };
    let managed = interface.managed == Some(YesNo::Yes);
    lx.lend(LentDevice::Pci(address.to_string()), managed, interface.site, "hostdev");
    let own = interface.source.driver.as_ref().and_then(|d| d.iommufd);
    let how = Vfio { ramfb: false, iommufd: own };
    let mut props = vfio_pci(&address, &interface.info, how, interface.site, lx);
    props.maybe("bootindex", interface.info.bootindex);
    props.maybe("failover_pair_id", interface.teaming.as_ref().and_then(|t| t.persistent.clone()));
    iommufd_last(&mut props);
    lx.address(&mut props, &interface.info);
    lx.device(props, interface);
}

/// Adds one host device.
pub fn hostdev(h: &Hostdev, lx: &mut Lower<'_>) {
    if h.info.address.address == Some(Address::Unassigned) {
        return;
    }
    let props = match &h.source {
        HostdevSource::Pci { address, .. } => {
            let managed = h.managed == Some(YesNo::Yes);
            lx.lend(LentDevice::Pci(address.to_string()), managed, h.site, "hostdev");
            let own = h.driver.as_ref().and_then(|d| d.iommufd);
            let how = Vfio { ramfb: h.ramfb.is_some_and(OnOff::is_on), iommufd: own };
            let mut props = vfio_pci(address, &h.info, how, h.site, lx);
            display(h, &mut props);
            props
        }
        HostdevSource::Usb { place: Some((bus, 0)), port: Some(port), startup, reset, .. }
            if !lx.hands_over_descriptors() =>
        {
            // QEMU looks into the port itself, whatever is plugged in there.
            libusb(h.site, lx);
            lx.claim(ClaimKind::HostDevice, format!("USB port {bus}-{port}"), h.site, "hostdev");
            lx.touch("/dev/bus/usb", Grant::SYSTEM_NODE.on(PathKind::Tree), Use::HostDevice, h.site, "hostdev");
            let device = LentDevice::UsbPort { bus: *bus, port: port.clone() };
            lx.lend_usb(device, may_be_missing(startup.as_deref()), h.site, "hostdev");
            let mut props = Props::driver("usb-host");
            props.set("hostbus", *bus).set("hostport", port.clone()).set("id", h.info.id.clone());
            guest_reset(&mut props, *reset);
            props
        }
        HostdevSource::Usb { place: None, product: None, .. } => {
            let message =
                "the USB host device needs <address>, or <vendor> and <product>: its bus and device are missing";
            lx.error(&codes::HOSTDEV, h.site, message);
            return;
        }
        HostdevSource::Usb { place, product, startup, reset, .. } => {
            usb(h, *place, *product, may_be_missing(startup.as_deref()), *reset, lx)
        }
        HostdevSource::Vhost { wwpn } => vhost(h, wwpn, lx),
        HostdevSource::Mdev { uuid } => {
            let uuid = uuid.to_string();
            lx.lend(LentDevice::Mdev(uuid.clone()), false, h.site, "hostdev");
            lx.claim(ClaimKind::HostDevice, uuid.clone(), h.site, "hostdev");
            mediated(h, &uuid, lx)
        }
        HostdevSource::Scsi { .. } | HostdevSource::Iscsi(_) | HostdevSource::None => return,
    };
    let mut props = props;
    let teaming = h.teaming.as_ref().and_then(|t| t.persistent.clone());
    match h.source {
        // Firmware of IBM Z reads its parameter of mediated devices only.
        HostdevSource::Mdev { .. } => lx.boot(&mut props, &h.info),
        _ => {
            props.maybe("bootindex", h.info.bootindex);
        }
    }
    props.maybe("failover_pair_id", teaming);
    iommufd_last(&mut props);
    lx.address(&mut props, &h.info);
    lx.device(props, h);
}

/// Puts the properties of IOMMUFD behind those of the device itself, where libvirt has them.
fn iommufd_last(props: &mut Props) {
    for name in ["iommufd", "fd"] {
        if let Some(at) = props.0.iter().position(|(key, _)| key == name) {
            let moved = props.0.remove(at);
            props.0.push(moved);
        }
    }
}

fn display(h: &Hostdev, props: &mut Props) {
    props.maybe("display", h.display);
    if h.ramfb.is_some_and(OnOff::is_on) {
        props.set("ramfb", true);
    }
}

/// How a PCI device is passed.
#[derive(Clone, Copy, Default)]
pub struct Vfio {
    /// Whether there is a screen before the guest's driver runs.
    pub ramfb: bool,
    /// Whether it goes through IOMMUFD, if the device says.
    pub iommufd: Option<YesNo>,
}

/// A PCI device by VFIO: driver, host and id. Also used for interfaces of type `hostdev`.
pub fn vfio_pci(address: &PciAddress, info: &DeviceInfo, how: Vfio, site: Site, lx: &mut Lower<'_>) -> Props {
    lx.claim(ClaimKind::HostDevice, address.to_string(), site, "hostdev");
    let mut props = Props::driver(if how.ramfb { "vfio-pci-nohotplug" } else { "vfio-pci" });
    let general = lx.domain.iommufd.as_ref().and_then(|i| i.enabled);
    if how.iommufd.or(general).is_some_and(YesNo::is_yes) {
        if lx.hands_over_descriptors() {
            let fd = lx.descriptor(format!("vfio device {address}"));
            props.set("id", info.id.clone()).set("iommufd", IOMMUFD).set("fd", fd);
        } else {
            props.set("host", address.to_string()).set("id", info.id.clone()).set("iommufd", IOMMUFD);
        }
        lx.touch("/dev/vfio/devices", Grant::VFIO_GROUP.on(PathKind::Files), Use::HostDevice, site, "hostdev");
        return props;
    }
    props.set("host", address.to_string()).set("id", info.id.clone());
    lx.touch_vfio(lx.env.host.pci_device(*address).and_then(|d| d.iommu_group), Use::HostDevice, site, "hostdev");
    props
}

/// The one object of IOMMUFD that all devices share.
const IOMMUFD: &str = "iommufd0";

/// Adds the object, before the first device, where one needs it.
fn object(lx: &mut Lower<'_>) {
    let general = lx.domain.iommufd.as_ref().and_then(|i| i.enabled);
    let wants = |own: Option<YesNo>| own.or(general).is_some_and(YesNo::is_yes);
    let pci = |h: &&Hostdev| matches!(h.source, HostdevSource::Pci { .. });
    let mut hostdevs = lx.devices.hostdevs.iter().filter(pci);
    let mut interfaces = lx.devices.interfaces.iter().filter(|i| i.is_host_device());
    let found = hostdevs
        .find(|h| wants(h.driver.as_ref().and_then(|d| d.iommufd)))
        .map(|h| h.site)
        .or_else(|| interfaces.find(|i| wants(i.source.driver.as_ref().and_then(|d| d.iommufd))).map(|i| i.site));
    let Some(site) = found else { return };
    if !lx.has(Cap::Iommufd) {
        lx.error(&codes::HOSTDEV, site, "this QEMU binary has no IOMMUFD").help("remove iommufd='yes'");
        return;
    }
    let mut props = Props::with("qom-type", "iommufd");
    props.set("id", IOMMUFD);
    let group = lx.domain.iommufd.as_ref().and_then(|i| i.fdgroup.clone());
    if lx.hands_over_descriptors() {
        if let Some(name) = group {
            let count = lx.env.host.fd_group(&name).map(|g| g.count);
            if count != Some(1) {
                let what = if count.is_none() { "no group of descriptors is" } else { "one descriptor has to be" };
                lx.error(
                    &crate::diag::codes::storage::NO_FD_GROUP,
                    site,
                    format!("<iommufd fdgroup='{name}'>: {what} handed over under this name"),
                );
                return;
            }
        }
        let fd = lx.descriptor("/dev/iommu");
        props.set("fd", fd);
    }
    lx.object(props, site, "iommufd");
    lx.need(Need::Vfio, site, "hostdev");
    lx.touch("/dev/iommu", Grant::SYSTEM_NODE, Use::HostDevice, site, "hostdev");
}

/// What the library behind USB devices needs: lists of devices, and to be told of new ones.
fn libusb(site: Site, lx: &mut Lower<'_>) {
    lx.need(Need::Usb, site, "hostdev");
    lx.need(Need::Netlink, site, "hostdev");
}

/// Whether the machine may start without the device. (`requisite` is about migration only.)
fn may_be_missing(startup: Option<&str>) -> bool {
    startup == Some("optional")
}

fn usb(
    h: &Hostdev,
    place: Option<(u32, u32)>,
    product: Option<(u32, u32)>,
    optional: bool,
    reset: Option<GuestReset>,
    lx: &mut Lower<'_>,
) -> Props {
    libusb(h.site, lx);
    let mut props = Props::driver("usb-host");
    match (place, product) {
        (Some((bus, device)), _) if optional && !lx.hands_over_descriptors() && !lx.env.has_parent() => {
            // QEMU starts without a device that it looks for, but not without a node that it is told.
            let path = format!("/dev/bus/usb/{bus:03}/{device:03}");
            lx.touch("/dev/bus/usb", Grant::SYSTEM_NODE.on(PathKind::Tree), Use::HostDevice, h.site, "hostdev");
            lx.touch_if_there(&path, Grant::HOST_DEVICE, Use::HostDevice, h.site, "hostdev");
            props.set("hostbus", bus).set("hostaddr", device);
        }
        (Some((bus, device)), _) => {
            let path = format!("/dev/bus/usb/{bus:03}/{device:03}");
            lx.touch(&path, Grant::HOST_DEVICE, Use::HostDevice, h.site, "hostdev");
            props.set("hostdevice", path);
        }
        (None, Some((vendor, product))) => {
            // The device number is not known before the start: QEMU looks for the product itself.
            lx.touch("/dev/bus/usb", Grant::SYSTEM_NODE.on(PathKind::Tree), Use::HostDevice, h.site, "hostdev");
            lx.lend_usb(LentDevice::Usb { vendor, product }, optional, h.site, "hostdev");
            lx.claim(ClaimKind::HostDevice, format!("USB {vendor:04x}:{product:04x}"), h.site, "hostdev");
            props.set("vendorid", vendor).set("productid", product);
        }
        (None, None) => {}
    }
    props.set("id", h.info.id.clone());
    guest_reset(&mut props, reset);
    props
}

fn guest_reset(props: &mut Props, reset: Option<GuestReset>) {
    if let Some(reset) = reset {
        let all = match reset {
            GuestReset::Off => None,
            GuestReset::Uninitialized => Some(false),
            GuestReset::On => Some(true),
        };
        props.set("guest-reset", all.is_some()).maybe("guest-resets-all", all);
    }
}

/// NUMA cells that initiate access through a host device: one object each, numbered over all devices.
pub fn initiators(lx: &mut Lower<'_>) {
    let mut number = 0;
    for h in &lx.devices.hostdevs {
        let nodes = h.info.acpi.as_ref().and_then(|a| a.nodeset.clone());
        for node in nodes.iter().flat_map(|set| set.iter()) {
            let mut props = Props::with("qom-type", "acpi-generic-initiator");
            props.set("id", format!("gi{number}")).set("pci-dev", h.info.id.clone()).set("node", node);
            lx.object(props, h.site, "acpi nodeset");
            number += 1;
        }
    }
}

fn vhost(h: &Hostdev, wwpn: &str, lx: &mut Lower<'_>) -> Props {
    let mut props = lx.virtio_device("vhost-scsi", &h.info, h.virtio_model(), None);
    lx.claim(ClaimKind::HostDevice, wwpn, h.site, "hostdev");
    props.set("wwpn", wwpn.to_string());
    if lx.hands_over_descriptors() {
        let fd = lx.descriptor("vhost-scsi");
        props.set("vhostfd", fd);
    }
    lx.touch(nodes::VHOST_SCSI, Grant::PRIVILEGED_NODE, Use::HostDevice, h.site, "hostdev");
    props.set("id", h.info.id.clone());
    props
}

fn mediated(h: &Hostdev, uuid: &str, lx: &mut Lower<'_>) -> Props {
    let driver = match h.model {
        Some(HostdevModel::VfioPci) if h.ramfb.is_some_and(OnOff::is_on) => "vfio-pci-nohotplug",
        Some(model) => model.as_str(),
        None => "vfio-pci",
    };
    let mut props = Props::driver(driver);
    props.set("id", h.info.id.clone()).set("sysfsdev", format!("/sys/bus/mdev/devices/{uuid}"));
    display(h, &mut props);
    lx.touch_vfio(None, Use::HostDevice, h.site, "hostdev");
    props
}

/// A SCSI device of the host: a node on its generic device, and `scsi-generic` on top.
fn scsi(h: &Hostdev, adapter: &str, (bus, target, unit): (u32, u32, u64), number: usize, lx: &mut Lower<'_>) {
    let host: Option<u32> = adapter.strip_prefix("scsi_host").and_then(|n| n.parse().ok());
    let known = lx
        .env
        .host
        .scsi_devices
        .iter()
        .find(|d| Some(d.host) == host && (d.bus, d.target, d.unit) == (bus, target, unit));
    let Some(sg) = known.map(|d| d.sg.clone()) else {
        lx.error(
            &codes::HOSTDEV,
            h.site,
            format!("the host facts know no SCSI generic node of {adapter} bus {bus} target {target} unit {unit}"),
        )
        .help("add a scsi-device node to the host facts");
        return;
    };
    let path = format!("/dev/{sg}");
    let node = format!("libvirt-{number}-backend");
    let mut props = Props::driver("host_device");
    props.set("filename", path.clone()).set("node-name", node.clone()).set("read-only", h.readonly);
    lx.blockdev(props, h.site, "host device");
    let grant = match (h.shareable, h.readonly) {
        (true, _) => Grant::SHARED_HOST_DEVICE,
        (_, true) => Grant::READ_ONLY_HOST_DEVICE,
        _ => Grant::HOST_DEVICE,
    };
    lx.touch(&path, grant, Use::HostDevice, h.site, "hostdev");
    generic(h, node, lx);
}

/// A logical unit of an iSCSI target: a node that reaches it, and `scsi-generic` on top.
fn iscsi(h: &Hostdev, source: &StorageSource, number: usize, lx: &mut Lower<'_>) {
    let node = format!("libvirt-{number}-backend");
    let auth = source.auth.as_ref();
    storage::objects(source, auth, None, &node, false, lx);
    let how = storage::Backend {
        source,
        auth,
        encryption: None,
        node: &node,
        aio: None,
        floppy: false,
        cdrom: false,
        readonly: h.readonly,
    };
    let Some(mut props) = storage::backend(&how, lx) else { return };
    props.set("node-name", node.clone()).set("read-only", h.readonly);
    lx.blockdev(props, h.site, "host device");
    generic(h, node, lx);
}

/// The guest's side of a SCSI device.
fn generic(h: &Hostdev, node: String, lx: &mut Lower<'_>) {
    let mut props = Props::driver("scsi-generic");
    props.set("drive", node).set("id", h.info.id.clone());
    props.maybe("bootindex", h.info.bootindex);
    if let Some(Address::Drive(at)) = &h.info.address.address {
        let controllers = &lx.devices.controllers;
        let on = controllers.iter().find(|c| c.is(ControllerKind::Scsi) && c.index() == at.controller);
        let narrow = on.and_then(|c| c.model).is_some_and(ControllerModel::is_narrow);
        props.set("bus", format!("{}.0", lx.controller_id(ControllerKind::Scsi, at.controller)));
        if narrow {
            props.set("scsi-id", at.unit);
        } else {
            props.set("channel", at.bus).set("scsi-id", at.target).set("lun", at.unit);
        }
    }
    lx.device(props, h);
}
