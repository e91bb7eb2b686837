//! Serial ports on the command line.

use super::{Serial, SerialModelName, SerialTargetType};
use crate::device::address::Address;
use crate::device::chardev::SourceKind;
use crate::device::chardev::lower::{Chardev, chardev};
use crate::device::graphics::GraphicsKind;
use crate::diag::codes::chardev as codes;
use crate::plan::{Props, Use};
use crate::stage::Lower;

/// Adds the character device and the port.
pub fn serial(serial: &Serial, lx: &mut Lower<'_>) {
    // Without SPICE there is nobody to carry its port; libvirt leaves such a port out.
    let spice = lx.devices.graphics.iter().any(|g| g.is(GraphicsKind::Spice));
    if serial.source.kind() == SourceKind::Spiceport && !spice {
        return;
    }
    let of = Chardev {
        id: &serial.info.id,
        site: serial.site,
        family: "serial port",
        usage: Use::CharacterDevice,
        spicevmc: "vdagent",
        generated: None,
    };
    let id = chardev(&serial.source, of, lx);
    let model = serial.target.as_ref().and_then(|t| t.model());
    let driver = match (serial.target_type(), model) {
        // The board has the port already; it is only connected.
        (None, _) | (_, None | Some(SerialModelName::Pl011 | SerialModelName::V16550a)) => {
            lx.text("-serial", format!("chardev:{id}"), serial.site, "serial port");
            return;
        }
        (_, Some(model)) => model.as_str(),
    };
    let mut props = Props::driver(driver);
    props.set("chardev", id).set("id", serial.info.id.clone());
    if serial.target_type() == Some(SerialTargetType::IsaSerial) {
        // A PC has COM1 to COM4 (QEMU, isa-serial).
        if serial.port() > 3 && lx.env.is_guardian() {
            let message = format!("ISA has four serial ports, 0 to 3, and this is port {}", serial.port());
            lx.error(&codes::UNSUPPORTED, serial.site, message)
                .help("make it <target type='pci-serial'/> or <target type='usb-serial'/>");
        }
        props.set("index", serial.port());
    }
    match &serial.info.address.address {
        Some(Address::Isa { iobase, irq }) => {
            props.set("iobase", iobase.unwrap_or(0)).maybe("irq", *irq);
        }
        Some(Address::SpaprVio { reg }) => {
            props.maybe("reg", *reg);
        }
        _ => lx.address(&mut props, &serial.info),
    }
    lx.device(props, serial);
}
