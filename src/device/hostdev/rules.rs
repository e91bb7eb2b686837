//! Checks of a host device.

use super::{Hostdev, HostdevMode, HostdevModel, HostdevSource, HostdevType};
use crate::device::Devices;
use crate::device::address::Address;
use crate::device::controller::{ControllerKind, ControllerModel};
use crate::device::interface::TeamingType;
use crate::device::storage::{Network, StorageSource};
use crate::diag::codes::{general, hostdev as codes};
use crate::domain::Domain;
use crate::stage::Quirk;
use crate::stage::{Cx, Machine};

/// Whether a SCSI controller has no units below its targets.
fn is_narrow(devices: &Devices, index: u32) -> bool {
    let mut all = devices.controllers.iter();
    let found = all.find(|c| c.is(ControllerKind::Scsi) && c.index() == index);
    found.and_then(|c| c.model).is_some_and(ControllerModel::is_narrow)
}

/// Checks one host device.
pub fn hostdev(h: &Hostdev, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
    let Some(devices) = &domain.devices else { return };
    if h.kind.is_none() {
        cx.error(&codes::HOSTDEV, h.site, "a <hostdev> whose <source> names no device");
        return;
    }
    if let Some(teaming) = h.teaming.as_ref().filter(|t| t.persistent.is_none()) {
        let message =
            "<teaming> of a hostdev names the interface that stays: the required attribute persistent is missing";
        cx.error(&codes::HOSTDEV, teaming.site, message).help("persistent='ua-…': the alias of that <interface>");
    }
    let same = |other: &Hostdev| match (&h.source, &other.source) {
        (HostdevSource::Pci { address: a, .. }, HostdevSource::Pci { address: b, .. }) => a == b,
        (HostdevSource::None, _) => false,
        (HostdevSource::Iscsi(a), HostdevSource::Iscsi(b)) => {
            let first = |n: &Network| n.parts.hosts.first().map(|h| (h.name.clone(), h.port));
            a.network().zip(b.network()).is_some_and(|(a, b)| a.name == b.name && first(a) == first(b))
        }
        (a, b) => a == b,
    };
    let first = devices.hostdevs.iter().find(|o| same(o));
    if let Some(Address::Drive(at)) = &h.info.address.address
        && at.target != 0
        && is_narrow(devices, at.controller)
    {
        let message = "the target must be 0 on a controller of model 'lsilogic' or its like: the unit names the place";
        cx.error(&codes::HOSTDEV, h.info.address_site(), message);
    }
    if let Some(Address::Drive(at)) = &h.info.address.address
        && at.bus != 0
    {
        let message = format!("bus='{}' of the address: a SCSI controller supports one bus, 0", at.bus);
        cx.error(&codes::HOSTDEV, h.info.address_site(), message);
    }
    if let Some(first) = first
        && first.site != h.site
    {
        let span = cx.span(first.site);
        cx.error(
            &codes::HOSTDEV,
            h.site,
            "the domain has two <hostdev> for the same device of the host: it exists already",
        )
        .related(span, "the same device of the host is here")
        .help("a device of the host can be handed over once; remove one of the two");
    }
    if let Some(kind) = h.info.address_kind()
        && !super::address_kind(h).contains(&kind)
    {
        let message = match (h.kind(), h.model) {
            (HostdevType::Mdev, Some(model)) => {
                format!("a mediated device of model '{model}' is on another bus than an <address type='{kind}'>")
            }
            (of, _) => format!("<address type='{kind}'> is no place for {of} host devices"),
        };
        cx.error(&codes::HOSTDEV, h.info.address_site(), message);
    }
    if h.mode == Some(HostdevMode::Capabilities) {
        let message = format!(
            "<hostdev mode='capabilities'> is for containers: '{}' is an invalid value for its attribute 'type'",
            h.kind()
        );
        cx.error_at(&codes::HOSTDEV, h.site, "mode", message);
    }
    foreign(h, cx);
    model(h, cx);
    match h.kind() {
        HostdevType::Mdev => mediated(h, domain, cx),
        HostdevType::Usb => {
            if let HostdevSource::Usb { place: Some((_, 0)), port: Some(_), .. } = h.source
                && cx.env.behaves(Quirk::UsbByDevice)
            {
                let message =
                    "<address> of the USB host device: 'device' is missing, and this libvirt looks for no port";
                cx.error(&codes::HOSTDEV, h.site, message);
            }
            if matches!(h.source, HostdevSource::Usb { place: None, product: None, .. }) && cx.env.is_guardian() {
                cx.error(&codes::HOSTDEV, h.site, "the USB host device needs <address>, or <vendor> and <product>");
            }
            if let HostdevSource::Usb { product: Some((vendor, product)), .. } = h.source
                && (vendor == 0 || product == 0)
            {
                let message = "<vendor> and <product> of the USB host device: zero is not permitted as an id";
                cx.error(&codes::HOSTDEV, h.site, message);
            }
        }
        HostdevType::Scsi => {
            if let HostdevSource::Iscsi(storage) = &h.source {
                iscsi(storage, cx);
            }
        }
        HostdevType::ScsiHost => {
            if let HostdevSource::Vhost { wwpn } = &h.source {
                world_wide(wwpn, h, cx);
            }
        }
        _ => {}
    }
    let boot = h.info.boot.as_ref().filter(|_| h.kind() == HostdevType::ScsiHost);
    if let Some(boot) = boot {
        let message = "<boot order>: no firmware boots from a vhost SCSI device";
        cx.error(&general::NOT_BOOTABLE, boot.site, message);
    }
    if h.ramfb.is_some_and(|r| r.is_on()) {
        let count = devices.hostdevs.iter().filter(|o| o.ramfb.is_some_and(|r| r.is_on())).count();
        let first = devices.hostdevs.iter().find(|o| o.ramfb.is_some_and(|r| r.is_on()));
        if count > 1 && first.is_some_and(|f| f.site != h.site) {
            cx.error_at(
                &codes::HOSTDEV,
                h.site,
                "ramfb",
                "ramfb='on' twice: a guest has one 'ramfb', so one vgpu device at most",
            );
        }
    }
    if h.display.is_some_and(|d| d.is_on()) && devices.graphics.is_empty() {
        cx.error_at(
            &codes::HOSTDEV,
            h.site,
            "display",
            "'display=on' of a <hostdev> draws on a display, and the domain has none: a graphics device is needed",
        )
        .help("add <graphics type='vnc'/>");
    }
}

/// The models of mediated devices are none of vhost's, and the other way round.
fn model(h: &Hostdev, cx: &mut Cx<'_>) {
    let Some(model) = h.model else { return };
    let virtio =
        matches!(model, HostdevModel::Virtio | HostdevModel::VirtioTransitional | HostdevModel::VirtioNonTransitional);
    let wrong = match h.kind() {
        HostdevType::Mdev => virtio,
        HostdevType::ScsiHost => !virtio,
        _ => false,
    };
    if wrong {
        let message = format!("'{model}' is no value of the attribute 'model' of a <hostdev type='{}'>", h.kind());
        cx.error_at(&codes::HOSTDEV, h.site, "model", message);
    }
}

/// A logical unit of an iSCSI target: where the target is, and what it is called.
fn iscsi(storage: &StorageSource, cx: &mut Cx<'_>) {
    let Some(network) = storage.network() else { return };
    let mut fault = |message: &str| {
        cx.error(&codes::HOSTDEV, storage.site, format!("the iSCSI hostdev {message}"));
    };
    if network.name.is_none() {
        fault("lacks the name of its target: the attribute 'name' of <source> is missing");
    }
    let secret = storage.auth.as_ref().map(|a| a.secret.as_ref().map(|s| s.kind.as_deref()));
    match secret {
        Some(None) => fault("has an <auth> without its <secret> element, which is missing"),
        Some(Some(kind)) if kind != Some("iscsi") => fault("has an invalid secret type: it must be 'iscsi'"),
        _ => {}
    }
    match network.parts.hosts.as_slice() {
        [host] if host.name.is_some() => {}
        [_] => fault("lacks the name of its <host>, which is missing"),
        [] => fault("lacks its <host>: the address of the server is missing"),
        [..] => fault("has more than one <host>: only one source host may be given"),
    }
}

/// A world-wide port name: `naa.` and 16 hexadecimal digits.
fn world_wide(wwpn: &str, h: &Hostdev, cx: &mut Cx<'_>) {
    let digits = wwpn.strip_prefix("naa.").map(|d| d.strip_prefix("0x").unwrap_or(d));
    if wwpn.is_empty() || digits.is_some_and(|d| d.len() == 16 && d.bytes().all(|b| b.is_ascii_hexdigit())) {
        return;
    }
    let message = format!("'{wwpn}' is a malformed 'wwpn' value: 'naa.' and 16 hexadecimal digits are expected");
    cx.error(&codes::HOSTDEV, h.site, message).help("such as naa.5123456789abcde0");
}

fn mediated(h: &Hostdev, _: &Domain, cx: &mut Cx<'_>) {
    let Some(model) = h.model else {
        cx.error(
            &codes::HOSTDEV,
            h.site,
            "<hostdev type='mdev'> needs the 'model' of its mediated device, which is missing",
        );
        return;
    };
    if model == HostdevModel::VfioAp && h.info.boot.is_some() {
        let site = h.info.boot.as_ref().map_or(h.site, |b| b.site);
        cx.error(
            &general::NOT_BOOTABLE,
            site,
            format!("<boot order>: no firmware boots from a mediated device of model '{model}'"),
        );
    }
    if model != HostdevModel::VfioPci && (h.display.is_some() || h.ramfb.is_some()) {
        cx.error(&codes::HOSTDEV, h.site, "'display' of a <hostdev> is for a mediated device of model='vfio-pci'");
    }
}

/// What the kind of the device has no use for.
fn foreign(h: &Hostdev, cx: &mut Cx<'_>) {
    let kind = h.kind();
    let scsi = kind == HostdevType::Scsi;
    let pci = kind == HostdevType::Pci;
    let wrong = [
        ("model", h.model.is_some() && (pci || scsi || kind == HostdevType::Usb), "mdev and scsi_host devices"),
        ("rawio", h.rawio.is_some() && !scsi, "a scsi host device"),
        ("sgio", h.sgio.is_some() && !scsi, "a scsi host device"),
    ];
    for (name, _, whose) in wrong.iter().filter(|(_, wrong, _)| *wrong) {
        let message =
            format!("the attribute '{name}' of <hostdev> is only supported for {whose}, not with type='{kind}'");
        cx.error_at(&codes::HOSTDEV, h.site, name, message);
    }
    if let Some(teaming) = &h.teaming {
        if !pci {
            let message = "<teaming> joins network cards in the guest: of hostdev devices, pci ones can be such";
            cx.error(&codes::HOSTDEV, teaming.site, message);
        } else if teaming.kind != Some(TeamingType::Transient) {
            let message = "the <teaming> of hostdev devices must have type='transient': they are the ones that leave";
            cx.error_at(&codes::HOSTDEV, teaming.site, "type", message);
        }
    }
    if let HostdevSource::Pci { write_filtering: Some(_), .. } = h.source {
        let message =
            "<source writeFiltering>: that is a setting of Xen; QEMU always filters writes to the configuration space";
        cx.error(&general::OTHER_HYPERVISOR, h.site, message);
    }
}
