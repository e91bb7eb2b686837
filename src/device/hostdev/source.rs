//! `<source>` of a host device: which device of the host it is.

use crate::bind::{Binder, Part, Shape, print_attr, print_sparse};
use crate::device::address::bind_pci;
use crate::device::storage::{IscsiSource, Location, StorageSource};
use crate::diag::codes::schema as codes;
use crate::host::PciAddress;
pub use crate::schema::words::{GuestReset, HostdevType};
use crate::vocab::{Uuid, Value, YesNo};
use crate::xml::{El, XmlWriter};

/// The device on the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum HostdevSource {
    /// The XML does not say (a fault that has been reported).
    #[default]
    None,
    /// A PCI function.
    Pci {
        /// Its address.
        address: PciAddress,
        /// Whether writes to the configuration space are filtered.
        write_filtering: Option<YesNo>,
    },
    /// A USB device by its place, or by vendor and product.
    Usb {
        /// Bus and device number.
        place: Option<(u32, u32)>,
        /// The port that it is plugged into, on its bus; then the device number is 0 where it is not known.
        port: Option<String>,
        /// Vendor and product.
        product: Option<(u32, u32)>,
        /// `startupPolicy`
        startup: Option<String>,
        /// Which resets reach it.
        reset: Option<GuestReset>,
    },
    /// A SCSI device of an adapter.
    Scsi {
        /// `scsi_host0`
        adapter: String,
        /// Bus, target, unit.
        place: (u32, u32, u64),
    },
    /// A logical unit of an iSCSI target.
    Iscsi(Box<StorageSource>),
    /// A virtio-scsi target of the kernel.
    Vhost {
        /// World-wide port name: `naa.5123456789abcde0`.
        wwpn: String,
    },
    /// A mediated device.
    Mdev {
        /// Its UUID.
        uuid: Uuid,
    },
}

impl Part for HostdevSource {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        let kind = el.peek("type").and_then(|t| HostdevType::parse(t.value()));
        let Some(source) = el.child("source") else {
            cx.diags.error(&codes::MISSING_ELEMENT, el.span(), "<hostdev> has no <source>: which device of the host?");
            return;
        };
        let address = source.child("address");
        if kind != Some(HostdevType::Usb)
            && let Some(policy) = source.attr("startupPolicy")
        {
            let message = "startupPolicy is about devices that come and go: setting it is only allowed for USB devices";
            cx.diags.error(&codes::WRONG_VALUE, policy.span(), message);
        }
        *self = match kind {
            Some(HostdevType::Pci) => {
                let write_filtering = cx.attr(source, "writeFiltering");
                // libvirt takes a missing one for 0000:00:00.0; that it is missing is a fault of the format.
                let at = address.map(|address| bind_pci(address, cx)).unwrap_or_default();
                let (bus, slot, function) = (at.bus as u8, at.slot as u8, at.function as u8);
                HostdevSource::Pci { address: PciAddress { domain: at.domain, bus, slot, function }, write_filtering }
            }
            Some(HostdevType::Usb) => {
                let port: Option<String> = address.and_then(|a| cx.attr(a, "port"));
                let place = match address.filter(|a| port.is_some() && a.peek("device").is_none()) {
                    Some(address) => cx.need(address, "bus").map(|bus| (bus, 0)),
                    None => {
                        let mut pair = |el: Option<El<'_>>, a: &str, b: &str| {
                            el.and_then(|e| Some((cx.need::<u32>(e, a)?, cx.need::<u32>(e, b)?)))
                        };
                        pair(address, "bus", "device")
                    }
                };
                let mut id = |name: &'static str| source.child(name).and_then(|e| cx.need::<u32>(e, "id"));
                let product = id("vendor").zip(id("product"));
                // What libvirt writes of a device that was not there when the machine started.
                let _ = source.attr("missing");
                let (startup, reset) = (cx.attr(source, "startupPolicy"), cx.attr(source, "guestReset"));
                HostdevSource::Usb { place, port, product, startup, reset }
            }
            Some(HostdevType::Scsi) if source.peek("protocol").is_some_and(|p| p.value() == "iscsi") => {
                let mut iscsi = IscsiSource::default();
                iscsi.bind(source, cx);
                HostdevSource::Iscsi(Box::new(iscsi.into()))
            }
            Some(HostdevType::Scsi) => {
                let adapter = source.child("adapter").and_then(|e| cx.need(e, "name"));
                let (Some(adapter), Some(address)) = (adapter, address) else {
                    cx.diags.error(
                        &codes::MISSING_ELEMENT,
                        source.span(),
                        "the SCSI host device needs <adapter> and <address> in its <source>",
                    );
                    return;
                };
                let place = (
                    cx.need(address, "bus").unwrap_or(0),
                    cx.need(address, "target").unwrap_or(0),
                    cx.need(address, "unit").unwrap_or(0),
                );
                HostdevSource::Scsi { adapter, place }
            }
            Some(HostdevType::ScsiHost) => {
                let protocol: Option<String> = cx.need(source, "protocol");
                if let Some(other) = protocol.filter(|p| p != "vhost") {
                    let message = format!("'{other}' is no value of the attribute 'protocol': it is 'vhost'");
                    cx.diags.error(&codes::WRONG_VALUE, source.span(), message);
                }
                HostdevSource::Vhost { wwpn: cx.need(source, "wwpn").unwrap_or_default() }
            }
            Some(HostdevType::Mdev) => {
                let Some(address) = address else {
                    cx.diags.error(&codes::MISSING_ELEMENT, source.span(), "missing <address> of the mediated device");
                    return;
                };
                match cx.need(address, "uuid") {
                    Some(uuid) => HostdevSource::Mdev { uuid },
                    None => return,
                }
            }
            None => return,
        };
    }

    fn print_attrs(&self, _: &mut XmlWriter) {}

    fn print_body(&self, out: &mut XmlWriter) {
        out.start("source");
        match self {
            HostdevSource::None => {}
            HostdevSource::Pci { address, write_filtering } => {
                print_attr(out, "writeFiltering", write_filtering);
                out.start("address");
                out.attr("domain", &format!("0x{:04x}", address.domain));
                out.attr("bus", &format!("0x{:02x}", address.bus));
                out.attr("slot", &format!("0x{:02x}", address.slot));
                out.attr("function", &format!("0x{:x}", address.function));
                out.end();
            }
            HostdevSource::Usb { place, port, product, startup, reset } => {
                print_attr(out, "startupPolicy", startup);
                print_attr(out, "guestReset", reset);
                if let Some((vendor, product)) = product {
                    for (name, id) in [("vendor", vendor), ("product", product)] {
                        out.start(name);
                        out.attr("id", &format!("0x{id:04x}"));
                        out.end();
                    }
                }
                if let Some((bus, device)) = place {
                    out.start("address");
                    out.attr_display("bus", bus);
                    if *device != 0 || port.is_none() {
                        out.attr_display("device", device);
                    }
                    print_attr(out, "port", port);
                    out.end();
                }
            }
            HostdevSource::Scsi { adapter, place: (bus, target, unit) } => {
                out.start("adapter");
                out.attr("name", adapter);
                out.end();
                out.start("address");
                out.attr_display("bus", bus);
                out.attr_display("target", target);
                out.attr_display("unit", unit);
                out.end();
            }
            HostdevSource::Iscsi(storage) => {
                storage.print_attrs(out);
                // Here libvirt prints the initiator behind the credentials, unlike in a disk.
                let mut rest = storage.clone();
                let mut initiator = None;
                if let Location::Network(network) = &mut rest.location {
                    initiator = network.parts.initiator.take();
                }
                rest.print_body(out);
                if let Some(initiator) = &initiator {
                    print_sparse("initiator", initiator, out);
                }
            }
            HostdevSource::Vhost { wwpn } => {
                out.attr("protocol", "vhost");
                out.attr("wwpn", wwpn);
            }
            HostdevSource::Mdev { uuid } => {
                out.start("address");
                out.attr("uuid", &uuid.to_text());
                out.end();
            }
        }
        out.end();
    }

    fn shape(shape: &mut Shape) {
        let mut source = Shape::default();
        for name in ["writeFiltering", "startupPolicy", "missing", "guestReset", "protocol", "wwpn"] {
            source.attr(name);
        }
        let mut address = Shape::default();
        for name in ["domain", "bus", "slot", "function", "device", "target", "unit", "uuid"] {
            address.attr(name);
        }
        source.children.push(("address", address));
        for (child, attr) in [("vendor", "id"), ("product", "id"), ("adapter", "name")] {
            let mut part = Shape::default();
            part.attr(attr);
            source.children.push((child, part));
        }
        IscsiSource::shape(&mut source);
        shape.children.push(("source", source));
    }
}
