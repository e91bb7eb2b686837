//! Which slots of which buses are taken.

use super::bus::{Connect, offer};
use crate::device::address::PciAddress;
use crate::device::controller::ControllerModel;

/// A slot: its functions in use, and whether further ports may join it.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    functions: u8,
    aggregate: bool,
}

/// A bus.
#[derive(Clone, Debug)]
pub struct Bus {
    /// The controller that it belongs to; none for an index that no controller has.
    pub model: Option<ControllerModel>,
    offer: Connect,
    first: u8,
    last: u8,
    slots: [Slot; 32],
    /// POWER: devices of different isolation groups do not share a bus.
    group: u32,
    /// The group was set by a device or a user, and stays.
    group_locked: bool,
}

impl Bus {
    fn new(model: Option<ControllerModel>) -> Bus {
        let (offer, first, last) = model.and_then(offer).unwrap_or((Connect::default(), 0, 0));
        Bus { model, offer, first, last, slots: [Slot::default(); 32], group: 0, group_locked: false }
    }
}

/// Why an address cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such bus.
    NoBus(PciAddress),
    /// The bus has no such slot; its first and last.
    NoSlot(PciAddress, u8, u8),
    /// The bus does not take such a device.
    WrongBus(PciAddress, Connect),
    /// The function is in use.
    InUse(PciAddress),
    /// No slot is left.
    Full(Connect),
}

/// All PCI buses of the machine.
#[derive(Clone, Debug)]
pub struct Topology {
    /// By index.
    pub buses: Vec<Bus>,
    /// Whether buses may be added.
    pub grows: bool,
    /// Whether QEMU has `pcie-pci-bridge`.
    pub pcie_to_pci: bool,
    /// POWER: a further host bridge takes the place of a bridge.
    pub host_bridges: bool,
}

impl Topology {
    /// Buses of these models.
    pub fn new(models: impl Iterator<Item = Option<ControllerModel>>, grows: bool, pcie_to_pci: bool) -> Topology {
        Topology { buses: models.map(Bus::new).collect(), grows, pcie_to_pci, host_bridges: false }
    }

    /// The model of the root bus.
    pub fn root(&self) -> Option<ControllerModel> {
        self.buses.first().and_then(|b| b.model)
    }

    /// Whether anything sits in a slot.
    pub fn slot_used(&self, bus: u32, slot: u32) -> bool {
        self.buses.get(bus as usize).is_some_and(|b| b.slots.get(slot as usize).is_some_and(|s| s.functions != 0))
    }

    /// Takes the whole of a slot, whoever is there already.
    pub fn close(&mut self, bus: u32, slot: u32) {
        if let Some(slot) = self.buses.get_mut(bus as usize).and_then(|b| b.slots.get_mut(slot as usize)) {
            slot.functions = 0xff;
        }
    }

    /// Takes an address, if its bus is there: nobody else gets it.
    pub fn keep(&mut self, at: PciAddress) {
        if let Some(slot) = self.buses.get_mut(at.bus as usize).and_then(|b| b.slots.get_mut(at.slot as usize)) {
            slot.functions |= 1u8 << (at.function & 7);
        }
    }

    /// Takes an address that the XML, or the board, names.
    pub fn reserve(&mut self, at: PciAddress, device: Connect, group: u32) -> Result<(), Fault> {
        if at.bus as usize >= self.buses.len() && self.grows {
            self.grow(device, at.bus as usize)?;
        }
        let Some(bus) = self.buses.get_mut(at.bus as usize) else { return Err(Fault::NoBus(at)) };
        if bus.model.is_none() || at.domain != 0 {
            return Err(Fault::NoBus(at));
        }
        if !bus.offer.takes(device) {
            return Err(Fault::WrongBus(at, device));
        }
        if at.slot < bus.first.into() || at.slot > bus.last.into() {
            return Err(Fault::NoSlot(at, bus.first, bus.last));
        }
        let slot = &mut bus.slots[at.slot as usize & 31];
        let bit = 1u8 << (at.function & 7);
        if slot.functions & bit != 0 {
            return Err(Fault::InUse(at));
        }
        let joins = device.has(Connect::AGGREGATE);
        slot.aggregate = if slot.functions == 0 { joins } else { slot.aggregate && joins };
        slot.functions |= bit;
        if !bus.group_locked && group != 0 {
            (bus.group, bus.group_locked) = (group, true);
        }
        Ok(())
    }

    /// Takes the next free place for a device. With `function`, a free slot is taken at that function;
    /// else function 0 of a free slot, or the next of one that is shared.
    pub fn next(&mut self, device: Connect, function: Option<u32>, group: u32) -> Result<PciAddress, Fault> {
        loop {
            // A bus of the device's own group; else an empty one, which joins the group.
            for strict in [true, false] {
                if let Some(at) = self.find(device, function, group, strict) {
                    self.reserve(at, device, group)?;
                    if group != 0
                        && let Some(bus) = self.buses.get_mut(at.bus as usize)
                    {
                        (bus.group, bus.group_locked) = (group, true);
                    }
                    return Ok(at);
                }
                if group == 0 {
                    break;
                }
            }
            if !self.grows {
                return Err(Fault::Full(device));
            }
            let next = self.buses.len();
            self.grow(device, next)?;
        }
    }

    fn find(&self, device: Connect, function: Option<u32>, group: u32, strict: bool) -> Option<PciAddress> {
        for (index, bus) in self.buses.iter().enumerate() {
            if !bus.offer.suits(device) {
                continue;
            }
            let allowed = if strict {
                bus.group == group
            } else {
                index > 0 && !bus.group_locked && bus.slots.iter().all(|s| s.functions == 0)
            };
            if !allowed {
                continue;
            }
            for number in bus.first..=bus.last {
                let slot = bus.slots[usize::from(number) & 31];
                let function = if slot.functions == 0 {
                    function.unwrap_or(0)
                } else if device.has(Connect::AGGREGATE) && slot.aggregate && slot.functions != 0xff {
                    slot.functions.trailing_ones()
                } else {
                    continue;
                };
                return Some(PciAddress { bus: index as u32, slot: number.into(), function, ..PciAddress::default() });
            }
        }
        None
    }

    /// Adds buses until there is one of index `up_to`, of the models that a device like this needs.
    fn grow(&mut self, device: Connect, up_to: usize) -> Result<(), Fault> {
        type M = ControllerModel;
        let before = self.buses.len();
        let model = if device.any(Connect::PCI | Connect::PCI_BRIDGE) {
            let has_bridged = self.buses.iter().any(|b| b.offer.any(Connect::PCI_BRIDGE));
            if self.host_bridges {
                M::PciRoot
            } else if has_bridged {
                M::PciBridge
            } else if self.pcie_to_pci {
                // The bridge takes the slot of its port.
                let mut port = Bus::new(Some(M::PcieRootPort));
                port.slots[0].functions = 1;
                self.buses.push(port);
                if device.any(Connect::PCI) {
                    self.buses.push(Bus::new(Some(M::PcieToPciBridge)));
                    if self.buses.len() > up_to {
                        return Ok(());
                    }
                    M::PciBridge
                } else {
                    M::PcieToPciBridge
                }
            } else {
                self.buses.push(Bus::new(Some(M::DmiToPciBridge)));
                M::PciBridge
            }
        } else if device.any(Connect::PCIE | Connect::UPSTREAM | Connect::PCIE_TO_PCI) {
            M::PcieRootPort
        } else {
            return Err(Fault::Full(device));
        };
        if self.root() == Some(M::PciRoot) && model == M::PcieRootPort {
            return Err(Fault::Full(device));
        }
        while self.buses.len() <= up_to.max(before) {
            if self.buses.len() > 255 {
                return Err(Fault::Full(device));
            }
            self.buses.push(Bus::new(Some(model)));
        }
        Ok(())
    }
}
