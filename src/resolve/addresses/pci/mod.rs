//! PCI and PCI Express addresses.
//!
//! Two runs over the devices. The first only counts: where a slot is missing it adds the bridge or
//! port that would offer one. The controllers it found necessary then join the domain, and the second
//! run hands out addresses for good.

mod bus;
mod chipset;
mod controllers;
mod topology;

use super::{held, order};
use crate::caps::Cap;
use crate::device::Device;
use crate::device::Devices;
use crate::device::address::{Address, PciAddress};
use crate::device::controller::{Controller, ControllerKind, ControllerModel};
use crate::device::family::Family;
use crate::device::plug::{Plug, Round, VirtioModel};
use crate::diag::codes::address as codes;
use crate::domain::Domain;
use crate::stage::Quirk;
use crate::stage::{Board, Cx, Machine};
use crate::vocab::OnOff;
use crate::xml::Site;
use bus::Connect;
use topology::{Fault, Topology};

/// Assigns the addresses of all devices on PCI buses, and adds the controllers that this takes.
pub fn assign(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(devices) = &mut domain.devices else { return };
    let highest = devices.controllers.iter().filter(|c| c.is(ControllerKind::Pci)).map(Controller::index).max();
    if highest.is_none() || !(machine.has_pci_root() || machine.has_pcie_root()) {
        report_busless(devices, machine, cx);
        return;
    }
    if highest.is_some_and(|h| h > 255) {
        return;
    }
    let mut run = Run::new(devices, machine, cx, true);
    run.all(devices, highest == Some(0));
    if !run.ok {
        return;
    }
    let models: Vec<_> = run.topology.buses.iter().map(|b| b.model).collect();
    for (index, model) in models.into_iter().enumerate() {
        if model.is_some() {
            crate::resolve::controllers::ensure(devices, ControllerKind::Pci, index as u32, model, machine, cx);
        }
    }
    let mut run = Run::new(devices, machine, cx, false);
    run.all(devices, false);
    if run.ok {
        multifunction(devices);
        controllers::complete(devices, machine, cx);
    }
}

/// Without any PCI bus, a PCI address is a fault, and so is a device that can be nowhere else.
fn report_busless(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
    let mut homeless: Vec<Site> = Vec::new();
    let env = cx.env;
    let mut look = |d: &mut dyn Device, plug: Plug| {
        let needs = matches!(plug, Plug::Pci | Plug::Pcie | Plug::RootComplex | Plug::Virtio(_));
        if needs && !d.info().has_address() {
            homeless.push(d.site());
        }
    };
    for controller in &mut devices.controllers {
        let plug = controller.plug(machine, &env);
        look(controller, plug);
    }
    order::serve(Round::Before, devices, machine, &env, &mut look);
    order::serve(Round::Behind, devices, machine, &env, &mut look);
    // Boards of ARM and RISC-V without PCI have devices of their own, in places of which nothing is known.
    let unknown = machine.arch.is_arm() || machine.arch.is_riscv();
    homeless.retain(|_| !unknown || !env.behaves(Quirk::PciIsNotChecked));
    // libvirt's own additions need a bus, too; standalone, they are left out.
    homeless.retain(|site| env.behaves(Quirk::OwnDevicesNeedPci) || !site.is_none());
    for site in homeless {
        cx.error(
            &codes::NO_BUS,
            site,
            format!("this device needs PCI buses, and a machine of type '{}' has none available", machine.name),
        );
    }
    devices.each(&mut |d| {
        if let Some(pci) = d.info().pci()
            && cx.span(d.info().address_site()) != crate::diag::Span::NONE
        {
            let message = format!("no PCI bus is available for the device at PCI address {pci}: this machine has none");
            cx.error(&codes::NO_BUS, d.info().address_site(), message);
        }
    });
}

/// One run.
struct Run<'r, 'c> {
    topology: Topology,
    machine: &'r Machine,
    cx: &'r mut Cx<'c>,
    /// Whether addresses are only counted.
    dry: bool,
    ok: bool,
    /// Addresses that the XML gives, with the place and the kind of the device that has each.
    owners: Vec<(PciAddress, Site, &'static str)>,
}

impl<'r, 'c> Run<'r, 'c> {
    fn new(devices: &Devices, machine: &'r Machine, cx: &'r mut Cx<'c>, dry: bool) -> Self {
        let pci = || devices.controllers.iter().filter(|c| c.is(ControllerKind::Pci));
        let count = pci().map(|c| c.index() as usize + 1).max().unwrap_or(0);
        let mut models = vec![None; count];
        for controller in pci() {
            models[controller.index() as usize] = controller.model;
        }
        let gap = match models.first() {
            Some(Some(ControllerModel::PcieRoot)) => ControllerModel::PcieRootPort,
            _ if machine.board == Board::Pseries => ControllerModel::PciRoot,
            _ => ControllerModel::PciBridge,
        };
        if dry {
            models.iter_mut().for_each(|m| {
                m.get_or_insert(gap);
            });
        }
        let mut topology = Topology::new(models.into_iter(), dry, cx.has(Cap::PciePciBridge));
        topology.host_bridges = machine.board == Board::Pseries;
        Run { topology, machine, cx, dry, ok: true, owners: Vec::new() }
    }

    /// Serves everybody. `spare`: one port more than needed, if ports had to be added at all, so that a
    /// device can be plugged in later.
    fn all(&mut self, devices: &mut Devices, spare: bool) {
        let before = self.topology.buses.len();
        self.given(devices);
        if !self.ok {
            return;
        }
        chipset::reserve(self, devices);
        let bridged = self.topology.root() == Some(ControllerModel::PciRoot) && !self.topology.host_bridges;
        if self.dry && bridged && self.has_room() {
            // A slot for a bridge, as long as there is one.
            let _ = self.topology.next(Connect::PCI_BRIDGE, None, 0);
        }
        self.pci_controllers(devices);
        let (machine, env) = (self.machine, self.cx.env);
        order::serve(Round::Before, devices, machine, &env, &mut |d, plug| self.endpoint(d, plug));
        self.other_controllers(devices);
        order::serve(Round::Behind, devices, machine, &env, &mut |d, plug| self.endpoint(d, plug));
        if spare
            && self.dry
            && self.topology.root() == Some(ControllerModel::PcieRoot)
            && self.topology.buses.len() > before
        {
            let _ = self.topology.next(Connect::PCIE | Connect::HOTPLUG, None, 0);
        }
    }

    /// Whether any bus has a free slot.
    fn has_room(&self) -> bool {
        let mut probe = self.topology.clone();
        probe.grows = false;
        probe.next(Connect::PCI_BRIDGE, None, 0).is_ok()
    }

    /// What a device that is to be plugged in this way needs of a slot; none if it is not for PCI.
    fn connect(&self, plug: Plug) -> Option<Connect> {
        // Where the root is conventional PCI, Express devices work as conventional ones.
        let express =
            if self.topology.root() == Some(ControllerModel::PcieRoot) { Connect::PCIE } else { Connect::PCI };
        Some(match plug {
            Plug::Pci | Plug::Virtio(VirtioModel::VirtioTransitional) => Connect::PCI | Connect::HOTPLUG,
            Plug::RootComplex => Connect::ROOT_COMPLEX,
            Plug::Pcie | Plug::Virtio(_) => express | Connect::HOTPLUG,
            _ => return None,
        })
    }

    /// What a controller needs of a slot.
    fn controller_connect(&self, controller: &Controller) -> Option<Connect> {
        if controller.is(ControllerKind::Pci) {
            return Some(bus::demand(controller.model?)).filter(|c| *c != Connect::default());
        }
        self.connect(controller.plug(self.machine, &self.cx.env))
    }

    /// Takes the addresses that the XML gives.
    fn given(&mut self, devices: &mut Devices) {
        for controller in &devices.controllers {
            if let Some(at) = controller.info.pci() {
                let connect = self.controller_connect(controller).unwrap_or(Connect::PCI);
                self.take(*at, connect, controller);
            }
        }
        let (machine, env) = (self.machine, self.cx.env);
        let mut take = |d: &mut dyn Device, plug: Plug| {
            if let Some(at) = d.info().pci() {
                let connect = self.connect(plug).unwrap_or(Connect::PCI | Connect::PCIE);
                self.take(*at, connect, d);
            }
        };
        order::serve(Round::Before, devices, machine, &env, &mut take);
        order::serve(Round::Behind, devices, machine, &env, &mut take);
        // A lock keeps the places of devices that are gone, where nobody has taken them.
        for at in held::places(devices, |a| if let Address::Pci(at) = a { Some(*at) } else { None }) {
            self.topology.keep(at);
        }
    }

    /// Takes one given address, or reports why it cannot be had.
    fn take(&mut self, at: PciAddress, connect: Connect, device: &dyn Device) {
        let (site, what) = (device.info().address_site(), device.family());
        match self.topology.reserve(at, connect, device.info().isolation) {
            Ok(()) => self.owners.push((at, site, what)),
            Err(Fault::InUse(at)) => self.report_shared(at, site, what),
            Err(fault) => self.report(fault, site, what),
        }
    }

    /// Reports an address that two devices have, at the one that comes later in the file.
    fn report_shared(&mut self, at: PciAddress, site: Site, what: &'static str) {
        let place = |a: &PciAddress| (a.domain, a.bus, a.slot, a.function);
        let owner = self.owners.iter().find(|(of, ..)| place(of) == place(&at)).copied();
        let Some((_, other, of)) = owner else { return self.report(Fault::InUse(at), site, what) };
        self.ok = false;
        let (this, that) = (self.cx.span(site), self.cx.span(other));
        let ((first, first_what), (second, second_what)) =
            if this < that { ((this, what), (that, of)) } else { ((that, of), (this, what)) };
        let message =
            format!("the {second_what} has the PCI address {at} of another device, the {first_what} (double use)");
        self.cx
            .diags
            .error(&codes::CONFLICT, second, message)
            .related(first, "the first is here")
            .help("give one of the devices another address, or remove the <address> and virtc chooses one");
    }

    /// Gives a device an address.
    fn endpoint(&mut self, device: &mut dyn Device, plug: Plug) {
        if device.info().has_address() {
            return;
        }
        let Some(connect) = self.connect(plug) else { return };
        self.place(device, connect, None);
    }

    fn place(&mut self, device: &mut dyn Device, connect: Connect, function: Option<u32>) -> Option<PciAddress> {
        match self.topology.next(connect, function, device.info().isolation) {
            Ok(at) => {
                if !self.dry {
                    device.info_mut().place_pci(at);
                }
                Some(at)
            }
            Err(fault) => {
                self.report(fault, device.site(), device.family());
                None
            }
        }
    }

    /// Places bridges and ports.
    fn pci_controllers(&mut self, devices: &mut Devices) {
        for controller in devices.controllers.iter_mut().filter(|c| c.is(ControllerKind::Pci)) {
            if controller.info.has_address() || controller.index() == 0 {
                continue;
            }
            let Some(connect) = controller.model.map(bus::demand).filter(|c| *c != Connect::default()) else {
                continue;
            };
            self.place(controller, connect, None);
        }
    }

    /// Places the controllers that are devices on PCI. The parts of a USB 2 controller share a slot.
    fn other_controllers(&mut self, devices: &mut Devices) {
        // Slots that this run has given to USB 2 controllers, by index; a dry run keeps no addresses.
        let mut shared: Vec<(u32, PciAddress)> = Vec::new();
        for i in 0..devices.controllers.len() {
            let controller = &devices.controllers[i];
            if controller.is(ControllerKind::Pci) || controller.info.has_address() {
                continue;
            }
            let Some(connect) = self.controller_connect(controller) else { continue };
            let index = controller.index();
            let Some(function) = controller.model.and_then(companion_function) else {
                self.place(&mut devices.controllers[i], connect, None);
                continue;
            };
            let partner = devices.controllers.iter().find_map(|c| {
                let companion =
                    c.is(ControllerKind::Usb) && c.index() == index && c.model.and_then(companion_function).is_some();
                companion.then(|| c.info.pci().copied()).flatten()
            });
            let partner = partner.or_else(|| shared.iter().find(|(of, _)| *of == index).map(|(_, at)| *at));
            let at = match partner {
                Some(partner) => {
                    let at = PciAddress { function, multifunction: None, ..partner };
                    match self.topology.reserve(at, connect, 0) {
                        Ok(()) => Some(at),
                        Err(fault) => {
                            let site = devices.controllers[i].site;
                            self.report(fault, site, "controller");
                            None
                        }
                    }
                }
                None => self
                    .topology
                    .next(connect, Some(function), 0)
                    .map_err(|fault| {
                        let site = devices.controllers[i].site;
                        self.report(fault, site, "controller");
                    })
                    .ok(),
            };
            if let Some(mut at) = at {
                shared.push((index, at));
                at.multifunction = (function == 0).then_some(OnOff::On);
                if !self.dry {
                    devices.controllers[i].info.place_pci(at);
                }
            }
        }
    }

    /// Reports that an address cannot be had.
    fn report(&mut self, fault: Fault, site: Site, what: &str) {
        self.ok = false;
        match fault {
            Fault::NoBus(at) if at.domain != 0 => {
                self.cx
                    .error(
                        &codes::NO_BUS,
                        site,
                        format!("PCI address {at}: guests have PCI domain 0 only, no other is available"),
                    )
                    .help("leave out 'domain', or set it to 0");
            }
            Fault::NoBus(at) => {
                let last = self.topology.buses.len().saturating_sub(1);
                self.cx
                    .error(
                        &codes::NO_BUS,
                        site,
                        format!("PCI address {at}: the last of the PCI buses that are available has index {last}"),
                    )
                    .help(format!("add a <controller type='pci' index='{}'/>, or use another bus", at.bus));
            }
            Fault::NoSlot(at, first, last) => {
                self.cx.error(
                    &codes::NO_SLOT,
                    site,
                    format!("PCI address {at}: this bus has the slots {first} to {last}"),
                );
            }
            Fault::WrongBus(at, connect) => {
                let model = self.topology.buses.get(at.bus as usize).and_then(|b| b.model).map_or("", |m| m.as_str());
                self.cx
                    .error(
                        &codes::WRONG_BUS,
                        site,
                        format!(
                            "PCI address {at} does not fit: the PCI controller with index='{}' is a {model}, and the device has to be plugged into one that accepts a {}",
                            at.bus,
                            connect.what()
                        ),
                    )
                    .help("choose a bus behind a suitable controller, or remove the <address> and virtc chooses one");
            }
            Fault::InUse(at) => {
                self.cx
                    .error(
                        &codes::CONFLICT,
                        site,
                        format!("the {what} has the PCI address {at} of another device (double use)"),
                    )
                    .help("give one of the devices another address, or remove the <address> and virtc chooses one");
            }
            Fault::Full(connect) => {
                let device = if connect.any(Connect::PCI | Connect::PCIE | Connect::ROOT_COMPLEX) {
                    "a device".to_string()
                } else {
                    format!("a PCI controller model='{}'", connect.what())
                };
                self.cx
                    .error(
                        &codes::NO_SLOT,
                        site,
                        format!("no PCI slot is left for {device}, and none can be added automatically"),
                    )
                    .help("remove devices, or add a bus that has free slots");
            }
        }
    }
}

/// The function at which a part of a USB 2 controller sits (Intel ICH9 datasheet).
fn companion_function(model: ControllerModel) -> Option<u32> {
    match model {
        ControllerModel::Ich9Ehci1 => Some(7),
        ControllerModel::Ich9Uhci1 => Some(0),
        ControllerModel::Ich9Uhci2 => Some(1),
        ControllerModel::Ich9Uhci3 => Some(2),
        _ => None,
    }
}

/// Marks function 0 of a slot that holds several functions, unless the XML says what it is.
fn multifunction(devices: &mut Devices) {
    let mut several: Vec<(u32, u32)> = Vec::new();
    devices.each(&mut |d| {
        if let Some(at) = d.info().pci()
            && at.function != 0
        {
            several.push((at.bus, at.slot));
        }
    });
    if several.is_empty() {
        return;
    }
    several.sort_unstable();
    several.dedup();
    devices.each_mut(&mut |d| {
        if let Some(Address::Pci(at)) = &mut d.info_mut().address.address
            && at.function == 0
            && at.multifunction.is_none()
            && several.binary_search(&(at.bus, at.slot)).is_ok()
        {
            at.multifunction = Some(OnOff::On);
        }
    });
}
