//! What QEMU wants to know of each PCI controller: its device, and numbers that the guest sees.

use crate::caps::Cap;
use crate::device::Devices;
use crate::device::controller::{Controller, ControllerKind, ControllerModel, PciDriver};
use crate::diag::codes::address as codes;
use crate::stage::{Board, Cx, Machine};

/// Fills in `<model name>` and `<target>` of the PCI controllers, now that they have addresses.
pub fn complete(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
    for i in 0..devices.controllers.len() {
        let controller = &devices.controllers[i];
        if !controller.is(ControllerKind::Pci) {
            continue;
        }
        let Some(model) = controller.model else { continue };
        let index = controller.index();
        let driver = default_driver(controller, model, machine, cx);
        let place = controller.info.pci().copied();
        let busnr = match model {
            ControllerModel::PciExpanderBus | ControllerModel::PcieExpanderBus
                if controller.target.as_ref().and_then(|t| t.bus_nr).is_none() =>
            {
                free_bus_number(devices, controller, cx)
            }
            _ => None,
        };
        let phb = model == ControllerModel::PciRoot && machine.board == Board::Pseries;
        let target_index = if phb { free_target_index(devices, controller) } else { None };
        let controller = &mut devices.controllers[i];
        if let Some(driver) = driver {
            controller.pci_model_mut().name.get_or_insert(driver);
        }
        match model {
            ControllerModel::PciBridge => {
                controller.target_mut().chassis_nr.get_or_insert(index);
            }
            ControllerModel::PcieRootPort | ControllerModel::PcieSwitchDownstreamPort => {
                let target = controller.target_mut();
                target.chassis.get_or_insert(index);
                if let Some(at) = place {
                    let port =
                        if model == ControllerModel::PcieRootPort { (at.slot << 3) + at.function } else { at.slot };
                    target.port.get_or_insert(crate::vocab::Hex(port.into()));
                }
            }
            ControllerModel::PciExpanderBus | ControllerModel::PcieExpanderBus => {
                if let Some(number) = busnr {
                    controller.target_mut().bus_nr = Some(number);
                }
            }
            ControllerModel::PciRoot if phb => {
                let target = controller.target_mut();
                target.index = target.index.or(target_index);
            }
            _ => {}
        }
    }
}

/// The device behind a model, unless the XML names it.
fn default_driver(c: &Controller, model: ControllerModel, machine: &Machine, cx: &Cx<'_>) -> Option<PciDriver> {
    if c.pci_model.as_ref().is_some_and(|m| m.name.is_some()) {
        return None;
    }
    Some(match model {
        ControllerModel::PciBridge => PciDriver::PciBridge,
        ControllerModel::DmiToPciBridge => PciDriver::I82801b11Bridge,
        ControllerModel::PcieToPciBridge => PciDriver::PciePciBridge,
        ControllerModel::PcieRootPort if cx.has(Cap::PcieRootPort) => PciDriver::PcieRootPort,
        ControllerModel::PcieRootPort => PciDriver::Ioh3420,
        ControllerModel::PcieSwitchUpstreamPort => PciDriver::X3130Upstream,
        ControllerModel::PcieSwitchDownstreamPort => PciDriver::Xio3130Downstream,
        ControllerModel::PciExpanderBus => PciDriver::Pxb,
        ControllerModel::PcieExpanderBus => PciDriver::PxbPcie,
        ControllerModel::PciRoot if machine.board == Board::Pseries => PciDriver::SpaprPciHostBridge,
        _ => return None,
    })
}

/// A number for the bus of an expander: below those of all others, with room for a bus behind it.
fn free_bus_number(devices: &Devices, controller: &Controller, cx: &mut Cx<'_>) -> Option<u32> {
    let lowest =
        devices.controllers.iter().filter_map(|c| c.target.as_ref().and_then(|t| t.bus_nr)).min().unwrap_or(256);
    if lowest < 4 {
        cx.error(
            &codes::NO_BUS,
            controller.site,
            "no free busNr is left for the expander bus: the lowest in use is too low to go below",
        );
        return None;
    }
    Some(lowest - 2)
}

/// POWER: a host bridge has a number of its own, 0 for the first controller.
fn free_target_index(devices: &Devices, controller: &Controller) -> Option<u32> {
    if controller.index() == 0 {
        return Some(0);
    }
    let used = |n: u32| {
        devices
            .controllers
            .iter()
            .any(|c| c.is(ControllerKind::Pci) && c.target.as_ref().and_then(|t| t.index) == Some(n))
    };
    (1..31).find(|n| !used(*n))
}
