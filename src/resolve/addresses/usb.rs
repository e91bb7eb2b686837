//! USB ports.

use super::{held, order};
use crate::device::address::{Address, AddressKind, UsbAddress};
use crate::device::controller::{Controller, ControllerKind, ControllerModel};
use crate::device::hub::Hub;
use crate::device::info::DeviceInfo;
use crate::device::input::Input;
use crate::device::plug::{Plug, Round};
use crate::device::redirdev::Redirdev;
use crate::device::{Device, Devices};
use crate::diag::codes::address as codes;
use crate::domain::Domain;
use crate::stage::{Cx, Env, Machine, Quirk};
use crate::xml::Site;

/// Ports of QEMU's `usb-hub`.
const HUB_PORTS: u32 = 8;

/// A controller or a hub: what is plugged into each of its ports.
#[derive(Debug)]
struct Ports(Vec<Port>);

#[derive(Debug)]
enum Port {
    Free,
    Used,
    Hub(Ports),
}

impl Ports {
    fn new(count: u32) -> Ports {
        Ports((0..count.min(255)).map(|_| Port::Free).collect())
    }

    /// The path to the first free port: one of its own before one of a hub behind it.
    fn free(&self) -> Option<Vec<u32>> {
        if let Some(at) = self.0.iter().position(|p| matches!(p, Port::Free)) {
            return Some(vec![at as u32 + 1]);
        }
        self.0.iter().enumerate().find_map(|(i, port)| {
            let Port::Hub(hub) = port else { return None };
            let mut path = hub.free()?;
            // QEMU knows paths of at most five ports, libvirt of four.
            if path.len() >= 4 {
                return None;
            }
            path.insert(0, i as u32 + 1);
            Some(path)
        })
    }
}

/// The number of root ports of a controller; none for a companion, which shares those of its master.
fn root_ports(controller: &Controller) -> Option<u32> {
    type M = ControllerModel;
    match controller.model? {
        M::Piix3Uhci | M::Piix4Uhci | M::Vt82c686bUhci => Some(2),
        M::Ehci | M::Ich9Ehci1 => Some(6),
        M::PciOhci => Some(3),
        M::NecXhci | M::QemuXhci => Some(controller.ports.unwrap_or(4)),
        M::Qusb1 | M::Qusb2 => Some(controller.ports.unwrap_or(8)),
        _ => None,
    }
}

/// Two USB controllers with ports of their own have different indexes.
fn unambiguous(devices: &Devices, cx: &mut Cx<'_>) {
    let with_ports = || devices.controllers.iter().filter(|c| c.is(ControllerKind::Usb) && root_ports(c).is_some());
    for (i, controller) in with_ports().enumerate() {
        let Some(first) = with_ports().take(i).find(|c| c.index() == controller.index()) else { continue };
        let first = cx.span(first.site);
        let message = format!("two USB controllers have the same index='{}' (duplicate)", controller.index());
        cx.error_at(&codes::CONTROLLERS, controller.site, "index", message)
            .related(first, "the first is here")
            .help("remove the index attribute, and virtc chooses a free one");
    }
}

/// Checks the ports that the XML names. With `all`, gives every other USB device one, too, and adds hubs
/// where the controllers have too few.
pub fn assign(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>, all: bool) {
    let Some(devices) = &mut domain.devices else { return };
    let env = cx.env;
    let usb = |d: &dyn Device, plug: Plug| {
        plug == Plug::Usb && matches!(d.info().address.address, None | Some(Address::Usb(_)))
    };
    for hub in &mut devices.hubs {
        // There is no other place for one; libvirt passes over what the XML says.
        hub.info.address.address.take_if(|a| !matches!(a, Address::Usb(_)));
    }
    let mut count = 0;
    order::serve(Round::Usb, devices, machine, &env, &mut |d, plug| {
        let elsewhere = d.info().address_kind();
        // The rest libvirt lets pass, to QEMU's dismay.
        let checked = d.is::<Input>() || d.is::<Redirdev>() || !env.behaves(Quirk::UsbAddressUnchecked);
        if checked && plug == Plug::Usb && elsewhere.is_some_and(|kind| kind != AddressKind::Usb) {
            let message =
                format!("the {} is a USB device: its address cannot be of another type, it is invalid", d.family());
            cx.error(&codes::KIND, d.info().address_site(), message)
                .help("remove the <address>, and virtc chooses one");
        }
    });
    order::serve(Round::Usb, devices, machine, &env, &mut |d, plug| count += u32::from(usb(d, plug)));
    if count == 0 && devices.hubs.is_empty() {
        unambiguous(devices, cx);
        return;
    }
    // libvirt looks at the ports of an old domain at its start, unless all are given.
    if !all && env.behaves(Quirk::UsbPortsLater) && has_open_port(devices, machine, &env) {
        return;
    }
    if disabled(devices) {
        report_disabled(devices, machine, cx);
        return;
    }
    unambiguous(devices, cx);
    let mut buses: Vec<Option<Ports>> = Vec::new();
    for controller in devices.controllers.iter().filter(|c| c.is(ControllerKind::Usb)) {
        let (Some(ports), index) = (root_ports(controller), controller.index().min(255) as usize) else { continue };
        if buses.len() <= index {
            buses.resize_with(index + 1, || None);
        }
        buses[index].get_or_insert_with(|| Ports::new(ports));
    }
    if buses.is_empty() {
        return;
    }
    if all {
        add_hubs(devices, &buses, count);
    }
    let mut usb_bus = Bus { buses, cx };
    let kept: Vec<UsbAddress> =
        held::places(devices, |a| if let Address::Usb(at) = a { Some(at.clone()) } else { None }).collect();
    let mut kept = Some(kept);
    // Hubs come first, so that the ports behind them are there.
    for pass in [Pass::GivenHubs, Pass::Hubs, Pass::Given, Pass::Rest] {
        let hubs = matches!(pass, Pass::GivenHubs | Pass::Hubs);
        if !all && matches!(pass, Pass::Hubs | Pass::Rest) {
            continue;
        }
        if pass == Pass::Rest {
            kept.take().into_iter().flatten().for_each(|at| usb_bus.keep(&at));
        }
        let mut visit = |d: &mut dyn Device, plug: Plug| {
            if usb(d, plug) {
                usb_bus.serve(d, pass, hubs);
            }
        };
        if hubs {
            devices.hubs.iter_mut().for_each(|hub| visit(hub, Plug::Usb));
        } else {
            order::serve(Round::Usb, devices, machine, &env, &mut visit);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    GivenHubs,
    Hubs,
    Given,
    Rest,
}

struct Bus<'b, 'c> {
    buses: Vec<Option<Ports>>,
    cx: &'b mut Cx<'c>,
}

impl Bus<'_, '_> {
    fn serve(&mut self, device: &mut dyn Device, pass: Pass, hub: bool) {
        let given = matches!(&device.info().address.address, Some(Address::Usb(at)) if !at.port.is_empty());
        let wanted = matches!(pass, Pass::GivenHubs | Pass::Given);
        if given != wanted {
            return;
        }
        let site = device.info().address_site();
        match &device.info().address.address {
            Some(Address::Usb(at)) if given => {
                let at = at.clone();
                self.reserve(&at, hub, site);
            }
            other => {
                let only = match other {
                    Some(Address::Usb(at)) => Some(at.bus),
                    _ => None,
                };
                let found =
                    self.buses.iter().enumerate().filter(|(i, _)| only.is_none_or(|o| o as usize == *i)).find_map(
                        |(i, bus)| bus.as_ref().and_then(Ports::free).map(|port| UsbAddress { bus: i as u32, port }),
                    );
                let Some(at) = found else {
                    self.cx
                        .error(
                            &codes::USB,
                            site,
                            format!("the {} finds no place: all USB ports are taken, none is free", device.family()),
                        )
                        .help("add a <controller type='usb'/> or a <hub type='usb'/>");
                    return;
                };
                self.reserve(&at, hub, site);
                device.info_mut().place(Address::Usb(at));
            }
        }
    }

    /// Takes a port that stays free, if nobody has it.
    fn keep(&mut self, at: &UsbAddress) {
        let Some(Some(mut here)) = self.buses.get_mut(at.bus as usize).map(Option::as_mut) else { return };
        for (depth, port) in at.port.iter().enumerate() {
            match (*port as usize).checked_sub(1).and_then(|i| here.0.get_mut(i)) {
                Some(slot) if depth + 1 == at.port.len() => {
                    if matches!(slot, Port::Free) {
                        *slot = Port::Used;
                    }
                    return;
                }
                Some(Port::Hub(behind)) => here = behind,
                _ => return,
            }
        }
    }

    /// Takes a port.
    fn reserve(&mut self, at: &UsbAddress, hub: bool, site: Site) {
        let (bus, path) = (at.bus, at.port_text());
        let Some(Some(ports)) = self.buses.get_mut(bus as usize) else {
            self.cx
                .error(&codes::USB, site, format!("there is no USB bus {bus} (requested for port {path})"))
                .help(format!("add <controller type='usb' index='{bus}'/>"));
            return;
        };
        let mut here = ports;
        for (depth, port) in at.port.iter().enumerate() {
            let last = depth + 1 == at.port.len();
            let slot = (*port as usize).checked_sub(1).and_then(|i| here.0.get_mut(i));
            let Some(slot) = slot else {
                let message = format!("USB bus {bus} has no port {path}");
                self.cx.error(&codes::USB, site, message);
                return;
            };
            if last {
                if matches!(slot, Port::Free) {
                    *slot = if hub { Port::Hub(Ports::new(HUB_PORTS)) } else { Port::Used };
                } else {
                    self.cx.error(
                        &codes::CONFLICT,
                        site,
                        format!("two devices want the USB address bus {bus} port {path} (duplicate)"),
                    );
                }
                return;
            }
            let Port::Hub(behind) = slot else {
                let way: Vec<String> = at.port[..=depth].iter().map(u32::to_string).collect();
                let message = format!(
                    "a hub would have to be at port {} for the USB address bus: {bus} port: {path}",
                    way.join(".")
                );
                self.cx.error(&codes::USB, site, message).help("add the <hub type='usb'> that the port is behind");
                return;
            };
            here = behind;
        }
    }
}

/// Whether a USB device has no port yet.
fn has_open_port(devices: &mut Devices, machine: &Machine, env: &Env<'_>) -> bool {
    let open = |info: &DeviceInfo| !matches!(&info.address.address, Some(Address::Usb(at)) if !at.port.is_empty());
    let mut found = devices.hubs.iter().any(|hub| open(&hub.info));
    order::serve(Round::Usb, devices, machine, env, &mut |d, plug| found |= plug == Plug::Usb && open(d.info()));
    found
}

/// Whether the machine has no USB: the XML switches it off, or the board has no controller by itself.
fn disabled(devices: &Devices) -> bool {
    let mut usb = devices.controllers.iter().filter(|c| c.is(ControllerKind::Usb));
    usb.all(|c| c.model == Some(ControllerModel::None))
}

/// Why there is no USB, and what helps.
fn no_usb(devices: &Devices) -> (&'static str, &'static str) {
    if devices.controllers.iter().any(|c| c.is(ControllerKind::Usb)) {
        ("whose USB is disabled (model='none')", "remove <controller type='usb' model='none'/>")
    } else {
        ("that has no USB controller", "add <controller type='usb' model='qemu-xhci'/>")
    }
}

fn report_disabled(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
    let (why, help) = no_usb(devices);
    for hub in &devices.hubs {
        cx.error(&codes::USB, hub.site, format!("there is a USB hub, in a domain {why}; can't add it")).help(help);
    }
    let env = cx.env;
    order::serve(Round::Usb, devices, machine, &env, &mut |d, plug| {
        if plug == Plug::Usb && !d.is::<Hub>() {
            let message = format!("a USB {} device, in a domain {why}", d.family());
            cx.error(&codes::USB, d.site(), message).help(help);
        }
    });
}

/// Adds hubs until there is a port for everything: a hub takes one port and offers eight.
fn add_hubs(devices: &mut Devices, buses: &[Option<Ports>], count: u32) {
    let roots: usize = buses.iter().flatten().map(|b| b.0.len()).sum();
    let available = roots as u32 + devices.hubs.len() as u32 * (HUB_PORTS - 1);
    // As libvirt counts: one port more than is missing.
    let missing = if count > available { count - available + 1 } else { 0 };
    for _ in 0..missing.div_ceil(HUB_PORTS - 1) {
        devices.hubs.push(Hub::implied());
    }
}
