//! Host devices on the command line.

use super::{Hostdev, HostdevModel, HostdevSource};
use crate::device::address::Address;
use crate::device::controller::{ControllerKind, ControllerModel};
use crate::device::hostdev::source::GuestReset;
use crate::device::info::DeviceInfo;
use crate::device::interface::Interface;
use crate::device::storage::{StorageSource, lower as storage};
use crate::diag::codes::hostdev as codes;
use crate::host::PciAddress;
use crate::plan::{PathKind, Props};
use crate::stage::{Grant, Lower};
use crate::vocab::OnOff;
use crate::xml::Site;

/// Adds all host devices. The nodes of SCSI devices are numbered behind those of the disks.
pub fn lower_all(lx: &mut Lower<'_>) {
    let interfaces = &lx.devices.interfaces;
    for interface in interfaces.iter().filter(|i| i.is_host_device()) {
        self::interface(interface, lx);
    }
    let hostdevs = &lx.devices.hostdevs;
    for (i, h) in hostdevs.iter().enumerate() {
        match &h.source {
            HostdevSource::Scsi { adapter, place } => {
                let node = lx.devices.disks.len() + i + 1;
                scsi(h, adapter, *place, node, lx);
            }
            HostdevSource::Iscsi(source) => {
                let node = lx.devices.disks.len() + i + 1;
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
    let mut props = vfio_pci(&address, &interface.info, false, interface.site, lx);
    props.maybe("bootindex", interface.info.bootindex);
    props.maybe("failover_pair_id", interface.teaming.as_ref().and_then(|t| t.persistent.clone()));
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
            let mut props = vfio_pci(address, &h.info, h.ramfb.is_some_and(OnOff::is_on), h.site, lx);
            display(h, &mut props);
            props
        }
        HostdevSource::Usb { place, product, reset, .. } => usb(h, *place, *product, *reset, lx),
        HostdevSource::Vhost { wwpn } => vhost(h, wwpn, lx),
        HostdevSource::Mdev { uuid } => {
            let uuid = uuid.to_string();
            mediated(h, &uuid, lx)
        }
        HostdevSource::Scsi { .. } | HostdevSource::Iscsi(_) | HostdevSource::None => return,
    };
    let mut props = props;
    let teaming = h.teaming.as_ref().and_then(|t| t.persistent.clone());
    lx.boot(&mut props, &h.info);
    props.maybe("failover_pair_id", teaming);
    lx.address(&mut props, &h.info);
    lx.device(props, h);
}

fn display(h: &Hostdev, props: &mut Props) {
    props.maybe("display", h.display);
    if h.ramfb.is_some_and(OnOff::is_on) {
        props.set("ramfb", true);
    }
}

/// A PCI device by VFIO: driver, host and id. Also used for interfaces of type `hostdev`.
pub fn vfio_pci(address: &PciAddress, info: &DeviceInfo, ramfb: bool, site: Site, lx: &mut Lower<'_>) -> Props {
    let mut props = Props::driver(if ramfb { "vfio-pci-nohotplug" } else { "vfio-pci" });
    props.set("host", address.to_string()).set("id", info.id.clone());
    vfio_access(lx.env.host.pci_devices.iter().find(|d| d.address == *address).and_then(|d| d.iommu_group), site, lx);
    props
}

/// The container of VFIO, and the group of the device; all groups where the host facts do not tell it.
fn vfio_access(group: Option<u32>, site: Site, lx: &mut Lower<'_>) {
    lx.touch("/dev/vfio/vfio", Grant::SYSTEM_NODE, site, "hostdev");
    match group {
        Some(group) => lx.touch(&format!("/dev/vfio/{group}"), Grant::VFIO_GROUP, site, "hostdev"),
        None => lx.touch("/dev/vfio", Grant::VFIO_GROUP.on(PathKind::Files), site, "hostdev"),
    }
}

fn usb(
    h: &Hostdev,
    place: Option<(u32, u32)>,
    product: Option<(u32, u32)>,
    reset: Option<GuestReset>,
    lx: &mut Lower<'_>,
) -> Props {
    let mut props = Props::driver("usb-host");
    match (place, product) {
        (Some((bus, device)), _) => {
            let path = format!("/dev/bus/usb/{bus:03}/{device:03}");
            lx.touch(&path, Grant::HOST_DEVICE, h.site, "hostdev");
            props.set("hostdevice", path);
        }
        (None, Some((vendor, product))) => {
            // The device number is not known before the start: QEMU looks for the product itself.
            lx.touch("/dev/bus/usb", Grant::SYSTEM_NODE.on(PathKind::Tree), h.site, "hostdev");
            props.set("vendorid", vendor).set("productid", product);
        }
        (None, None) => {}
    }
    props.set("id", h.info.id.clone());
    if let Some(reset) = reset {
        let all = match reset {
            GuestReset::Off => None,
            GuestReset::Uninitialized => Some(false),
            GuestReset::On => Some(true),
        };
        props.set("guest-reset", all.is_some()).maybe("guest-resets-all", all);
    }
    props
}

fn vhost(h: &Hostdev, wwpn: &str, lx: &mut Lower<'_>) -> Props {
    let mut props = lx.virtio_device("vhost-scsi", &h.info, h.virtio_model(), None);
    props.set("wwpn", wwpn.to_string());
    if lx.hands_over_descriptors() {
        let fd = lx.descriptor("vhost-scsi");
        props.set("vhostfd", fd);
    }
    lx.touch("/dev/vhost-scsi", Grant::PRIVILEGED_NODE, h.site, "hostdev");
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
    vfio_access(None, h.site, lx);
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
    lx.touch(&path, grant, h.site, "hostdev");
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
