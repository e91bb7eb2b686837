//! `<address>`: where a device sits on its bus.

use crate::bind::{Binder, Part, Shape};
use crate::diag::codes::schema as codes;
pub use crate::schema::words::AddressKind;
use crate::vocab::{Hex, OnOff, Value};
use crate::xml::{El, Site, XmlWriter};

/// A PCI address: `domain:bus:slot.function`. Conventional PCI and PCI Express alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PciAddress {
    /// PCI domain (segment); always 0 inside a guest.
    pub domain: u32,
    /// Index of the controller whose bus it is.
    pub bus: u32,
    /// 0..31
    pub slot: u32,
    /// 0..7
    pub function: u32,
    /// Whether the slot holds several functions; set on function 0.
    pub multifunction: Option<OnOff>,
    /// S/390: identifiers that the operating system sees.
    pub zpci: Option<Zpci>,
}

/// `<zpci uid='0x0001' fid='0x00000000'/>`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Zpci {
    /// User-defined identifier, 1..65535.
    pub uid: Option<u32>,
    /// Function identifier.
    pub fid: Option<u32>,
}

impl std::fmt::Display for PciAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.slot, self.function)
    }
}

/// A drive: a place on a disk controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DriveAddress {
    /// Index of the controller.
    pub controller: u32,
    /// Channel on the controller.
    pub bus: u32,
    /// SCSI target.
    pub target: u32,
    /// Unit on the bus, or logical unit of the target.
    pub unit: u64,
}

/// A USB port. `port` is a path through hubs: `1.2`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UsbAddress {
    /// Index of the controller.
    pub bus: u32,
    /// Ports on the way from the controller, root port first; empty when none was given.
    pub port: Vec<u32>,
}

/// A channel-subsystem address of S/390: `cssid.ssid.devno`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CcwAddress {
    /// Channel subsystem; 0xfe for virtual devices.
    pub cssid: u32,
    /// Subchannel set, 0..3.
    pub ssid: u32,
    /// Device number.
    pub devno: u32,
}

impl std::fmt::Display for CcwAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}.{:x}.{:04x}", self.cssid, self.ssid, self.devno)
    }
}

/// Where a device sits.
#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    /// PCI or PCI Express.
    Pci(PciAddress),
    /// On a disk controller.
    Drive(DriveAddress),
    /// On a virtio-serial controller: controller, bus, port (none: to be assigned).
    VirtioSerial {
        /// Index of the controller.
        controller: u32,
        /// Always 0.
        bus: u32,
        /// Port; port 0 is for a console.
        port: Option<u32>,
    },
    /// On a CCID controller: controller, slot.
    Ccid {
        /// Index of the controller.
        controller: u32,
        /// Always 0.
        slot: u32,
    },
    /// A USB port.
    Usb(UsbAddress),
    /// POWER: virtual I/O register.
    SpaprVio {
        /// The register.
        reg: Option<u64>,
    },
    /// S/390; none: to be assigned.
    Ccw(Option<CcwAddress>),
    /// ARM: a virtio transport of the board.
    VirtioMmio,
    /// I/O ports and interrupt of an ISA device.
    Isa {
        /// First I/O port.
        iobase: Option<u32>,
        /// Interrupt.
        irq: Option<u32>,
    },
    /// A memory slot.
    Dimm {
        /// Slot number.
        slot: Option<u32>,
        /// Guest-physical address.
        base: Option<u64>,
    },
    /// Known to the guest's configuration, but not plugged in.
    Unassigned,
}

impl Address {
    /// The kind of the address.
    pub fn kind(&self) -> AddressKind {
        match self {
            Address::Pci(_) => AddressKind::Pci,
            Address::Drive(_) => AddressKind::Drive,
            Address::VirtioSerial { .. } => AddressKind::VirtioSerial,
            Address::Ccid { .. } => AddressKind::Ccid,
            Address::Usb(_) => AddressKind::Usb,
            Address::SpaprVio { .. } => AddressKind::SpaprVio,
            Address::Ccw(_) => AddressKind::Ccw,
            Address::VirtioMmio => AddressKind::VirtioMmio,
            Address::Isa { .. } => AddressKind::Isa,
            Address::Dimm { .. } => AddressKind::Dimm,
            Address::Unassigned => AddressKind::Unassigned,
        }
    }
}

/// The `<address>` child of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddressPart {
    /// The address, if there is one yet.
    pub address: Option<Address>,
    /// `<address type='pci'/>` alone: the bus is chosen, the place is not.
    pub wanted: Option<AddressKind>,
    /// Identifiers on S/390 that are given for a place that is not.
    pub zpci: Option<Zpci>,
    /// Where it stands.
    pub site: Site,
}

/// A number in hexadecimal or decimal that must not exceed `max`.
fn bounded(el: El<'_>, name: &str, max: u64, cx: &mut Binder<'_>) -> Option<u32> {
    let attr = el.attr(name)?;
    let value: u64 = cx.value(el, attr)?;
    if value > max {
        cx.diags
            .error(
                &codes::WRONG_VALUE,
                attr.span(),
                format!("PCI address: {name}='0x{value:x}' of <{}> is beyond the last, 0x{max:X}", el.name()),
            )
            .help(format!("use a value from 0 to 0x{max:x}"));
        return None;
    }
    Some(value as u32)
}

/// Reads a PCI address from the attributes of an element.
pub fn bind_pci(el: El<'_>, cx: &mut Binder<'_>) -> PciAddress {
    PciAddress {
        domain: bounded(el, "domain", 0xffff, cx).unwrap_or(0),
        bus: bounded(el, "bus", 0xff, cx).unwrap_or(0),
        slot: bounded(el, "slot", 0x1f, cx).unwrap_or(0),
        function: bounded(el, "function", 7, cx).unwrap_or(0),
        multifunction: cx.attr(el, "multifunction"),
        zpci: el.child("zpci").map(|z| bind_zpci(z, cx)),
    }
}

fn bind_zpci(el: El<'_>, cx: &mut Binder<'_>) -> Zpci {
    let uid: Option<u32> = cx.attr(el, "uid");
    if uid.is_some_and(|uid| uid == 0 || uid > 0xffff) {
        let text = el.peek("uid").map_or("", |a| a.value());
        let message = format!("<zpci uid='{text}'>: a value above 0x0000, up to 0xffff");
        cx.diags.error(&codes::WRONG_VALUE, el.span(), message);
    }
    Zpci { uid, fid: cx.attr(el, "fid") }
}

/// Writes the attributes of a PCI address.
pub fn print_pci(address: &PciAddress, out: &mut XmlWriter) {
    out.attr("domain", &Hex::<4>(address.domain.into()).to_text());
    out.attr("bus", &Hex::<2>(address.bus.into()).to_text());
    out.attr("slot", &Hex::<2>(address.slot.into()).to_text());
    out.attr("function", &Hex::<1>(address.function.into()).to_text());
    if let Some(multifunction) = address.multifunction {
        out.attr("multifunction", multifunction.as_str());
    }
}

/// Writes the `<zpci>` child of a PCI address.
pub fn print_zpci(address: &PciAddress, out: &mut XmlWriter) {
    if let Some(zpci) = address.zpci {
        out.start("zpci");
        if let Some(uid) = zpci.uid {
            out.attr("uid", &Hex::<4>(uid.into()).to_text());
        }
        if let Some(fid) = zpci.fid {
            out.attr("fid", &Hex::<8>(fid.into()).to_text());
        }
        out.end();
    }
}

impl UsbAddress {
    /// `1.2`
    pub fn port_text(&self) -> String {
        self.port.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
    }
}

/// Reads `1.2.3`.
fn parse_port(text: &str) -> Option<Vec<u32>> {
    let ports: Option<Vec<u32>> = text.split('.').map(|p| p.parse().ok()).collect();
    ports.filter(|p| p.len() <= 4)
}

/// Refuses hexadecimal numbers where libvirt reads none: controllers and what is on them are counted.
fn decimals(kind: AddressKind, el: El<'_>, cx: &mut Binder<'_>) {
    let counted: &[&str] = match kind {
        AddressKind::Drive => &["controller", "bus", "target", "unit"],
        AddressKind::VirtioSerial => &["controller", "bus", "port"],
        AddressKind::Ccid => &["controller", "slot"],
        AddressKind::Usb => &["bus"],
        AddressKind::Dimm => &["slot"],
        _ => &[],
    };
    for attr in counted.iter().filter_map(|name| el.peek(name)).filter(|a| a.value().starts_with("0x")) {
        let (name, value) = (attr.name(), attr.value());
        let message = format!(
            "the attribute '{name}' of <address type='{kind}'> is '{value}': a non-negative integer value is expected"
        );
        cx.diags.error(&codes::WRONG_VALUE, attr.value_span(), message).help("write a decimal number");
    }
}

impl AddressPart {
    fn bind_address(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        let Some(kind) = cx.need::<AddressKind>(el, "type") else {
            el.mark_all();
            return;
        };
        decimals(kind, el, cx);
        self.address = match kind {
            AddressKind::Pci => {
                let given = ["domain", "bus", "slot", "function"].iter().any(|n| el.peek(n).is_some());
                let address = bind_pci(el, cx);
                // Slot 0 of the root bus is the host bridge: who asks for it asks for any place.
                let nowhere = address.domain == 0 && address.bus == 0 && address.slot == 0;
                if nowhere && !(given && address.zpci.is_some()) {
                    self.wanted = Some(kind);
                    self.zpci = address.zpci;
                    return;
                }
                Some(Address::Pci(address))
            }
            AddressKind::Drive => Some(Address::Drive(DriveAddress {
                controller: cx.attr(el, "controller").unwrap_or(0),
                bus: cx.attr(el, "bus").unwrap_or(0),
                target: cx.attr(el, "target").unwrap_or(0),
                unit: cx.attr(el, "unit").unwrap_or(0),
            })),
            AddressKind::VirtioSerial => Some(Address::VirtioSerial {
                controller: cx.attr(el, "controller").unwrap_or(0),
                bus: cx.attr(el, "bus").unwrap_or(0),
                port: cx.attr(el, "port"),
            }),
            AddressKind::Ccid => Some(Address::Ccid {
                controller: cx.attr(el, "controller").unwrap_or(0),
                slot: cx.attr(el, "slot").unwrap_or(0),
            }),
            AddressKind::Usb => {
                let port = el.attr("port").and_then(|attr| {
                    let port = parse_port(attr.value());
                    if port.is_none() {
                        cx.diags
                            .error(
                                &codes::WRONG_VALUE,
                                attr.span(),
                                format!("<address type='usb'>: 'port' is a path of numbers such as 1.2, and '{}' does not parse as one", attr.value()),
                            )
                            .help("a port is a number, or a path through at most four hubs such as '1.2'");
                    }
                    port
                });
                Some(Address::Usb(UsbAddress { bus: cx.attr(el, "bus").unwrap_or(0), port: port.unwrap_or_default() }))
            }
            AddressKind::SpaprVio => Some(Address::SpaprVio { reg: cx.attr(el, "reg") }),
            AddressKind::Ccw => {
                let (cssid, ssid, devno) = (cx.attr(el, "cssid"), cx.attr(el, "ssid"), cx.attr(el, "devno"));
                if (cssid.is_some() || ssid.is_some() || devno.is_some())
                    && (cssid.is_none() || ssid.is_none() || devno.is_none())
                {
                    let message = "<address type='ccw'> names a place by cssid, ssid and devno together; a partial specification is invalid";
                    cx.diags.error(&codes::MISSING_ATTRIBUTE, el.span(), message).help("give all three, or none");
                }
                Some(Address::Ccw(match (cssid, ssid, devno) {
                    (Some(cssid), Some(ssid), Some(devno)) => Some(CcwAddress { cssid, ssid, devno }),
                    _ => None,
                }))
            }
            AddressKind::VirtioMmio => Some(Address::VirtioMmio),
            AddressKind::Isa => Some(Address::Isa { iobase: cx.attr(el, "iobase"), irq: cx.attr(el, "irq") }),
            AddressKind::Dimm => Some(Address::Dimm { slot: cx.need(el, "slot"), base: cx.attr(el, "base") }),
            AddressKind::Unassigned => Some(Address::Unassigned),
        };
    }

    fn print_address(address: &Address, out: &mut XmlWriter) {
        out.start("address");
        out.attr("type", address.kind().as_str());
        match address {
            Address::Pci(pci) => {
                print_pci(pci, out);
                print_zpci(pci, out);
            }
            Address::Drive(drive) => {
                out.attr_display("controller", drive.controller);
                out.attr_display("bus", drive.bus);
                out.attr_display("target", drive.target);
                out.attr_display("unit", drive.unit);
            }
            Address::VirtioSerial { controller, bus, port } => {
                out.attr_display("controller", controller);
                out.attr_display("bus", bus);
                out.attr_display("port", port.unwrap_or(0));
            }
            Address::Ccid { controller, slot } => {
                out.attr_display("controller", controller);
                out.attr_display("slot", slot);
            }
            Address::Usb(usb) => {
                out.attr_display("bus", usb.bus);
                if !usb.port.is_empty() {
                    out.attr("port", &usb.port_text());
                }
            }
            Address::SpaprVio { reg } => {
                if let Some(reg) = reg {
                    out.attr("reg", &Hex::<8>(*reg).to_text());
                }
            }
            Address::Ccw(ccw) => {
                if let Some(ccw) = ccw {
                    out.attr("cssid", &Hex::<1>(ccw.cssid.into()).to_text());
                    out.attr("ssid", &Hex::<1>(ccw.ssid.into()).to_text());
                    out.attr("devno", &Hex::<4>(ccw.devno.into()).to_text());
                }
            }
            Address::VirtioMmio | Address::Unassigned => {}
            Address::Isa { iobase, irq } => {
                if let Some(iobase) = iobase {
                    out.attr("iobase", &Hex::<1>((*iobase).into()).to_text());
                }
                if let Some(irq) = irq {
                    out.attr("irq", &Hex::<1>((*irq).into()).to_text());
                }
            }
            Address::Dimm { slot, base } => {
                if let Some(slot) = slot {
                    out.attr_display("slot", slot);
                }
                if let Some(base) = base {
                    out.attr("base", &Hex::<1>(*base).to_text());
                }
            }
        }
        out.end();
    }
}

impl Part for AddressPart {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        if let Some(el) = el.child("address") {
            self.bind_address(el, cx);
        }
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        match (&self.address, self.wanted) {
            (Some(address), _) => AddressPart::print_address(address, out),
            (None, Some(kind)) => {
                out.start("address");
                out.attr("type", kind.as_str());
                out.end();
            }
            (None, None) => {}
        }
    }
    fn shape(shape: &mut Shape) {
        let mut address = Shape::default();
        for name in [
            "type",
            "domain",
            "bus",
            "slot",
            "function",
            "multifunction",
            "controller",
            "target",
            "unit",
            "port",
            "reg",
            "cssid",
            "ssid",
            "devno",
            "iobase",
            "irq",
            "base",
        ] {
            address.attr(name);
        }
        let mut zpci = Shape::default();
        zpci.attr("uid");
        zpci.attr("fid");
        address.children.push(("zpci", zpci));
        shape.children.push(("address", address));
    }
}
