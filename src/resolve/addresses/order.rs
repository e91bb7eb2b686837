//! The order in which devices are given their places.
//!
//! Where a device ends up depends on who was served before it, so this order is part of what a guest
//! sees. It is libvirt's: behind the controllers come file systems, interfaces, sounds, …

use crate::device::family::Family;
use crate::device::interface::{Interface, InterfaceType};
use crate::device::plug::Plug;
use crate::device::{Device, Devices};
use crate::stage::{Env, Machine};

/// A visitor of devices and what they are to be plugged into.
pub type Visit<'a> = &'a mut dyn FnMut(&mut dyn Device, Plug);

fn all<F: Family>(devices: &mut [F], machine: &Machine, env: &Env<'_>, visit: Visit<'_>) {
    for device in devices {
        let plug = device.plug(machine, env);
        if plug != Plug::Nowhere {
            visit(device, plug);
        }
    }
}

/// Interfaces, those that are devices of the host or the others: the former stand among the host devices.
fn interfaces(interfaces: &mut [Interface], of_host: bool, m: &Machine, env: &Env<'_>, visit: Visit<'_>) {
    for interface in interfaces.iter_mut().filter(|i| (i.kind() == InterfaceType::Hostdev) == of_host) {
        let plug = interface.plug(m, env);
        if plug != Plug::Nowhere {
            visit(interface, plug);
        }
    }
}

/// PCI: what comes before the controllers other than PCI's own.
pub fn pci_before_controllers(d: &mut Devices, m: &Machine, env: &Env<'_>, visit: Visit<'_>) {
    all(&mut d.filesystems, m, env, visit);
    interfaces(&mut d.interfaces, false, m, env, visit);
    all(&mut d.sounds, m, env, visit);
}

/// PCI: what comes behind the controllers.
pub fn pci_behind_controllers(d: &mut Devices, m: &Machine, env: &Env<'_>, visit: Visit<'_>) {
    all(&mut d.disks, m, env, visit);
    interfaces(&mut d.interfaces, true, m, env, visit);
    all(&mut d.hostdevs, m, env, visit);
    all(&mut d.memballoons, m, env, visit);
    all(&mut d.rngs, m, env, visit);
    all(&mut d.watchdogs, m, env, visit);
    all(&mut d.videos, m, env, visit);
    all(&mut d.shmems, m, env, visit);
    all(&mut d.inputs, m, env, visit);
    all(&mut d.serials, m, env, visit);
    all(&mut d.iommus, m, env, visit);
    all(&mut d.vsocks, m, env, visit);
    all(&mut d.memories, m, env, visit);
    all(&mut d.panics, m, env, visit);
    all(&mut d.cryptos, m, env, visit);
    all(&mut d.pstores, m, env, visit);
}

/// Virtio devices on the channel subsystem, on MMIO transports, or in virtual I/O registers.
pub fn other_transports(d: &mut Devices, m: &Machine, env: &Env<'_>, visit: Visit<'_>) {
    all(&mut d.disks, m, env, visit);
    all(&mut d.interfaces, m, env, visit);
    all(&mut d.sounds, m, env, visit);
    all(&mut d.hostdevs, m, env, visit);
    all(&mut d.videos, m, env, visit);
    all(&mut d.controllers, m, env, visit);
    all(&mut d.serials, m, env, visit);
    all(&mut d.consoles, m, env, visit);
    all(&mut d.inputs, m, env, visit);
    all(&mut d.filesystems, m, env, visit);
    all(&mut d.memballoons, m, env, visit);
    all(&mut d.rngs, m, env, visit);
    all(&mut d.nvrams, m, env, visit);
    all(&mut d.tpms, m, env, visit);
    all(&mut d.iommus, m, env, visit);
    all(&mut d.vsocks, m, env, visit);
    all(&mut d.memories, m, env, visit);
    all(&mut d.cryptos, m, env, visit);
}

/// USB ports, without hubs.
pub fn usb(d: &mut Devices, m: &Machine, env: &Env<'_>, visit: Visit<'_>) {
    all(&mut d.disks, m, env, visit);
    all(&mut d.interfaces, m, env, visit);
    all(&mut d.sounds, m, env, visit);
    all(&mut d.hostdevs, m, env, visit);
    all(&mut d.controllers, m, env, visit);
    all(&mut d.serials, m, env, visit);
    all(&mut d.inputs, m, env, visit);
    all(&mut d.filesystems, m, env, visit);
    all(&mut d.redirdevs, m, env, visit);
}
