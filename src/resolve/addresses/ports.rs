//! Ports on virtio-serial controllers and slots on smart card readers.

use super::held;
use crate::device::address::Address;
use crate::device::channel::ChannelTargetType;
use crate::device::console::ConsoleTargetType;
use crate::device::controller::{Controller, ControllerKind};
use crate::device::{Device, Devices};
use crate::diag::codes::address as codes;
use crate::resolve::controllers;
use crate::stage::{Cx, Machine};

/// Ports of a controller that does not say how many it has (QEMU's default).
const PORTS: u32 = 31;

/// Places smart cards that have no place, behind those that have one.
pub fn smartcards(devices: &mut Devices) {
    let slot = |a: &Option<Address>| match a {
        Some(Address::Ccid { controller: 0, slot }) => Some(*slot),
        _ => None,
    };
    for i in 0..devices.smartcards.len() {
        if devices.smartcards[i].info.has_address() {
            continue;
        }
        let given = devices.smartcards.iter().filter_map(|s| slot(&s.info.address.address));
        let highest = given.chain(held::places(devices, |a| slot(&Some(a.clone())))).max();
        devices.smartcards[i].info.place(Address::Ccid { controller: 0, slot: highest.map_or(0, |h| h + 1) });
    }
}

/// Adds the controllers that smart cards, channels and consoles need.
pub fn add_controllers(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
    smartcards(devices);
    let mut needed: Vec<(ControllerKind, u32)> = Vec::new();
    let virtio = |address: &Option<Address>| match address {
        Some(Address::VirtioSerial { controller, .. }) => *controller,
        _ => 0,
    };
    for channel in devices.channels.iter().filter(|c| c.target_type() == Some(ChannelTargetType::Virtio)) {
        needed.push((ControllerKind::VirtioSerial, virtio(&channel.info.address.address)));
    }
    for console in devices.consoles.iter().filter(|c| c.target_type() == Some(ConsoleTargetType::Virtio)) {
        needed.push((ControllerKind::VirtioSerial, virtio(&console.info.address.address)));
    }
    for smartcard in &devices.smartcards {
        if let Some(Address::Ccid { controller, .. }) = smartcard.info.address.address {
            needed.push((ControllerKind::Ccid, controller));
        }
    }
    for (kind, index) in needed {
        controllers::ensure(devices, kind, index, None, machine, cx);
    }
}

/// The ports of all virtio-serial controllers.
struct Ports {
    /// Index of the controller, how many ports it has, and which are taken.
    controllers: Vec<(u32, u32, Vec<u32>)>,
}

impl Ports {
    fn of(devices: &Devices) -> Ports {
        let is = |c: &&Controller| c.is(ControllerKind::VirtioSerial);
        let mut controllers: Vec<_> =
            devices.controllers.iter().filter(is).map(|c| (c.index(), c.ports.unwrap_or(PORTS), Vec::new())).collect();
        controllers.sort_by_key(|c| c.0);
        Ports { controllers }
    }

    /// Takes the first free port from `first` on, of this controller or of any.
    fn next(&mut self, only: Option<u32>, first: u32) -> Option<(u32, u32)> {
        for (index, ports, taken) in &mut self.controllers {
            if only.is_some_and(|o| o != *index) {
                continue;
            }
            if let Some(port) = (first..*ports).find(|p| !taken.contains(p)) {
                taken.push(port);
                return Some((*index, port));
            }
        }
        None
    }

    /// Takes the port that the XML names.
    fn reserve(&mut self, device: &dyn Device, controller: u32, port: u32, cx: &mut Cx<'_>) {
        let site = device.info().address_site();
        let Some((_, ports, taken)) = self.controllers.iter_mut().find(|c| c.0 == controller) else {
            cx.error(
                &codes::CONFLICT,
                site,
                format!("<address type='virtio-serial'>: there is no virtio serial controller with index {controller}"),
            );
            return;
        };
        if port >= *ports {
            let message = format!("port {port} is beyond the ports of virtio serial controller {controller}");
            cx.error(&codes::CONFLICT, site, message)
                .help(format!("it has ports 0 to {}; set ports='…' on the controller", ports.saturating_sub(1)));
        } else if taken.contains(&port) {
            let message =
                format!("two devices want virtio serial port {port} of controller {controller}: it is occupied");
            cx.error(&codes::CONFLICT, site, message).help("remove the port attribute, and a free one is chosen");
        } else {
            taken.push(port);
        }
    }
}

/// Gives channels (and consoles that ask for it) a port on a virtio-serial controller.
pub fn virtio_serial(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
    let is_channel = |t: Option<ChannelTargetType>| t == Some(ChannelTargetType::Virtio);
    let is_console = |t: Option<ConsoleTargetType>| t == Some(ConsoleTargetType::Virtio);
    let mut ports = Ports::of(devices);
    if ports.controllers.is_empty() {
        return;
    }
    for (of, port) in held::places(devices, |a| match a {
        Address::VirtioSerial { controller, port: Some(port), .. } => Some((*controller, *port)),
        _ => None,
    }) {
        ports.controllers.iter_mut().filter(|c| c.0 == of).for_each(|c| c.2.push(port));
    }
    // Port 0 in the XML of a channel stands for "any": it is a console's.
    let given = |a: &Option<Address>| match a {
        Some(Address::VirtioSerial { controller, port: Some(port), .. }) if *port != 0 => Some((*controller, *port)),
        _ => None,
    };
    for console in devices.consoles.iter().filter(|c| is_console(c.target_type())) {
        if let Some((controller, port)) = given(&console.info.address.address) {
            ports.reserve(console, controller, port, cx);
        }
    }
    for channel in devices.channels.iter().filter(|c| is_channel(c.target_type())) {
        if let Some((controller, port)) = given(&channel.info.address.address) {
            ports.reserve(channel, controller, port, cx);
        }
    }
    for console in devices.consoles.iter_mut().filter(|c| is_console(c.target_type())) {
        if let Some(Address::VirtioSerial { controller, port, .. }) = &mut console.info.address.address
            && port.is_none_or(|p| p == 0)
            && let Some((_, free)) = ports.next(Some(*controller), 0)
        {
            *port = Some(free);
        }
    }
    for i in 0..devices.channels.len() {
        let channel = &devices.channels[i];
        let address = &channel.info.address.address;
        if !is_channel(channel.target_type()) || given(address).is_some() {
            continue;
        }
        let only = match address {
            Some(Address::VirtioSerial { controller, .. }) => Some(*controller),
            // There is no other place for one; libvirt passes over what the XML says.
            _ => None,
        };
        let place = ports.next(only, 1).or_else(|| {
            if only.is_some() {
                return None;
            }
            // All are full: one more controller.
            let index = ports.controllers.last().map_or(0, |c| c.0 + 1);
            controllers::ensure(devices, ControllerKind::VirtioSerial, index, None, machine, cx);
            ports.controllers.push((index, PORTS, Vec::new()));
            ports.next(Some(index), 1)
        });
        match place {
            Some((controller, port)) => {
                let info = &mut devices.channels[i].info;
                info.place(Address::VirtioSerial { controller, bus: 0, port: Some(port) });
            }
            None => {
                let site = devices.channels[i].info.address_site();
                cx.error(&codes::CONFLICT, site, "no virtio-serial controller has a free port left");
            }
        }
    }
}
