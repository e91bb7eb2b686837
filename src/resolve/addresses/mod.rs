//! Second pass: a place for every device on its bus.

mod ccw;
mod held;
mod mmio;
mod order;
mod pci;
mod ports;
mod spapr;
mod usb;
mod zpci;

pub use ports::add_controllers;

use crate::domain::Domain;
use crate::stage::{Cx, Machine};

/// Assigns all addresses that are not given.
pub fn assign(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if let Some(devices) = &mut domain.devices {
        held::place(devices);
        ports::virtio_serial(devices, machine, cx);
    }
    spapr::assign(domain, machine, cx);
    ccw::assign(domain, machine, cx);
    mmio::assign(domain, machine, cx);
    pci::assign(domain, machine, cx);
    zpci::assign(domain, machine, cx);
    // An old domain keeps its USB ports open in the XML; the command line fixes them.
    usb::assign(domain, machine, cx, cx.env.options.define);
}

/// Assigns what is left open until the command line is made: USB ports.
pub fn assign_late(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    usb::assign(domain, machine, cx, true);
}
