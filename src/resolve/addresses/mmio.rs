//! ARM boards without PCI: virtio transports in memory.

use super::order;
use crate::caps::Cap;
use crate::device::Device;
use crate::device::address::Address;
use crate::device::plug::{Plug, Round};
use crate::domain::Domain;
use crate::stage::{Board, Cx, Machine};

/// Puts the virtio devices of a board without PCI on its transports, which QEMU numbers itself.
pub fn assign(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if !(machine.name.starts_with("vexpress-") || machine.board == Board::Virt) || !cx.has(Cap::VirtioMmio) {
        return;
    }
    let Some(devices) = &mut domain.devices else { return };
    // Where one device is put on such a transport, the others follow, even if there is PCI.
    let mut mmio = !machine.has_pcie_root() || !(cx.has(Cap::PcieRootPort) || cx.has(Cap::Ioh3420));
    devices.each(&mut |d| mmio |= d.info().address.address == Some(Address::VirtioMmio));
    if !mmio {
        return;
    }
    let env = cx.env;
    order::serve(Round::Transports, devices, machine, &env, &mut |device: &mut dyn Device, plug: Plug| {
        if matches!(plug, Plug::Virtio(_)) && !device.info().has_address() {
            device.info_mut().place(Address::VirtioMmio);
        }
    });
}
