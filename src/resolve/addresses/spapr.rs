//! POWER: registers of virtual I/O.

use super::{held, order};
use crate::device::Device;
use crate::device::address::Address;
use crate::device::controller::Controller;
use crate::device::plug::{Plug, Round};
use crate::diag::codes::address as codes;
use crate::domain::Domain;
use crate::stage::{Board, Cx, Machine};

/// Gives the devices of a pSeries machine their registers: from that of their kind upwards.
pub fn assign(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if machine.board != Board::Pseries {
        return;
    }
    let Some(devices) = &mut domain.devices else { return };
    let mut used: Vec<u64> = Vec::new();
    devices.each(&mut |d| {
        let Some(Address::SpaprVio { reg: Some(reg) }) = d.info().address.address else { return };
        let site = d.info().address_site();
        if reg > u64::from(u32::MAX) {
            cx.error(
                &codes::NO_SLOT,
                site,
                format!("spapr-vio addresses end at 0x{:x}, the maximum; reg='0x{reg:x}' is beyond", u32::MAX),
            );
        } else if used.contains(&reg) {
            cx.error(&codes::CONFLICT, site, format!("two devices have the spapr-vio address 0x{reg:x}"));
        }
        used.push(reg);
    });
    used.extend(held::places(devices, |a| if let Address::SpaprVio { reg } = a { *reg } else { None }));
    let env = cx.env;
    order::serve(Round::Transports, devices, machine, &env, &mut |device: &mut dyn Device, plug: Plug| {
        // Whatever controller the XML puts there gets a place.
        let asked =
            device.is::<Controller>() && matches!(device.info().address.address, Some(Address::SpaprVio { .. }));
        let first = match plug {
            Plug::SpaprVio(first) => first,
            _ if asked => 0x2000,
            _ => return,
        };
        if !matches!(device.info().address.address, None | Some(Address::SpaprVio { reg: None })) {
            return;
        }
        let mut reg = first;
        while used.contains(&reg) {
            reg += 0x1000;
        }
        used.push(reg);
        device.info_mut().place(Address::SpaprVio { reg: Some(reg) });
    });
}
