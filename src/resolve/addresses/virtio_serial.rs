//! Ports of virtio-serial controllers.

use crate::device::address::Address;
use crate::device::channel::{Channel, ChannelTargetType};
use crate::device::console::{Console, ConsoleTargetType};
use crate::device::controller::ControllerKind;
use crate::device::info::DeviceInfo;
use crate::device::{Devices, Family};
use crate::diag::codes::address as codes;
use crate::domain::Domain;
use crate::resolve::controllers::ensure;
use crate::resolve::{Cx, Machine};

/// Ports of a controller that does not say how many it has (QEMU's `max_ports`).
const DEFAULT_PORTS: u32 = 31;

/// Whether a channel is a virtio port.
pub fn is_port(channel: &Channel) -> bool {
    channel.target.as_ref().and_then(|t| t.kind) == Some(ChannelTargetType::Virtio)
}

/// Whether a console is a virtio port.
pub fn is_console(console: &Console) -> bool {
    console.target_type() == Some(ConsoleTargetType::Virtio)
}

/// The controller that a virtio port asks for; 0 if it does not care, none if it is not on one.
fn wanted(info: &DeviceInfo) -> Option<u32> {
    match info.address.address {
        None => Some(0),
        Some(Address::VirtioSerial { controller, .. }) => Some(controller),
        Some(_) => None,
    }
}

/// The highest controller that consoles and channels need.
pub fn highest(devices: &Devices) -> Option<u32> {
    let channels = devices.channels.iter().filter(|c| is_port(c)).filter_map(|c| wanted(&c.info));
    let consoles = devices.consoles.iter().filter(|c| is_console(c)).filter_map(|c| wanted(&c.info));
    channels.chain(consoles).max()
}

/// Controllers and their ports in use, by index.
struct Ports(Vec<(u32, Vec<bool>)>);

impl Ports {
    /// Port 0 is kept for a console, since old guests expect one there.
    fn free(&self, controller: Option<u32>, zero: bool) -> Option<(u32, u32)> {
        self.0.iter().filter(|(index, _)| controller.is_none_or(|c| c == *index)).find_map(|(index, ports)| {
            let port = ports.iter().enumerate().position(|(i, used)| !used && (zero || i > 0))?;
            Some((*index, port as u32))
        })
    }

    fn take(&mut self, controller: u32, port: u32) -> bool {
        let ports = self.0.iter_mut().find(|(index, _)| *index == controller).map(|(_, ports)| ports);
        match ports.and_then(|p| p.get_mut(port as usize)) {
            Some(used) if !*used => {
                *used = true;
                true
            }
            _ => false,
        }
    }
}

/// Gives virtio consoles and channels their ports.
pub fn assign(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(devices) = &mut domain.devices else { return };
    if highest(devices).is_none() {
        return;
    }
    let mut ports = Ports(Vec::new());
    for c in devices.controllers.iter().filter(|c| c.is(ControllerKind::VirtioSerial)) {
        let count = c.ports.unwrap_or(DEFAULT_PORTS).min(512);
        ports.0.push((c.index(), vec![false; count as usize]));
    }
    let mut given = |info: &DeviceInfo, zero: bool| {
        let Some(Address::VirtioSerial { controller, port: Some(port), .. }) = info.address.address else { return };
        if (port > 0 || zero) && !ports.take(controller, port) {
            cx.error(
                &codes::CONFLICT,
                info.address_site(),
                format!("virtio serial port {port} on controller {controller} is already occupied or does not exist"),
            );
        }
    };
    devices.consoles.iter().filter(|c| is_console(c)).for_each(|c| given(&c.info, true));
    devices.channels.iter().filter(|c| is_port(c)).for_each(|c| given(&c.info, false));
    let mut consoles = std::mem::take(&mut devices.consoles);
    for console in consoles.iter_mut().filter(|c| is_console(c)) {
        place(console, true, &mut ports, devices, machine, cx);
    }
    devices.consoles = consoles;
    let mut channels = std::mem::take(&mut devices.channels);
    for channel in channels.iter_mut().filter(|c| is_port(c)) {
        place(channel, false, &mut ports, devices, machine, cx);
    }
    devices.channels = channels;
}

/// Gives one device the next free port, on the controller it names or on any. A controller is added
/// when all are full.
fn place<D: Family>(
    device: &mut D,
    zero: bool,
    ports: &mut Ports,
    devices: &mut Devices,
    machine: &Machine,
    cx: &mut Cx<'_>,
) {
    let only = match device.info().address.address {
        None => None,
        Some(Address::VirtioSerial { port: Some(port), .. }) if port > 0 || zero => return,
        Some(Address::VirtioSerial { controller, .. }) => Some(controller),
        Some(_) => return,
    };
    let mut found = ports.free(only, zero);
    if found.is_none() && only.is_none() {
        let index = ports.0.iter().map(|(i, _)| i + 1).max().unwrap_or(0);
        ensure(devices, ControllerKind::VirtioSerial, index, None, machine, cx);
        ports.0.push((index, vec![false; DEFAULT_PORTS as usize]));
        found = ports.free(None, zero);
    }
    let Some((controller, port)) = found else {
        cx.error(&codes::NO_SLOT, device.site(), "no free virtio serial port is left on the controller");
        return;
    };
    ports.take(controller, port);
    device.info_mut().place(Address::VirtioSerial { controller, bus: 0, port: Some(port) });
}
