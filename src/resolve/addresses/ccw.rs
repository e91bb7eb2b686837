//! S/390: places in the channel subsystem.

use super::{held, order};
use crate::device::Device;
use crate::device::address::{Address, CcwAddress};
use crate::device::plug::{Plug, Round};
use crate::diag::codes::address as codes;
use crate::domain::Domain;
use crate::stage::{Cx, Machine};

/// The channel subsystem of virtual devices.
const VIRTUAL: u32 = 0xfe;

/// Gives the virtio devices of an S/390 their device numbers: the lowest that are free.
pub fn assign(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if !machine.arch.is_s390() {
        return;
    }
    let Some(devices) = &mut domain.devices else { return };
    let mut used: Vec<CcwAddress> = Vec::new();
    devices.each(&mut |d| {
        if let Some(Address::Ccw(Some(at))) = d.info().address.address {
            if used.contains(&at) {
                cx.error(
                    &codes::CONFLICT,
                    d.info().address_site(),
                    format!("two devices have the same CCW devno '{at}' (in use already)"),
                );
            }
            used.push(at);
        }
    });
    used.extend(held::places(devices, |a| if let Address::Ccw(at) = a { *at } else { None }));
    used.sort_unstable();
    let env = cx.env;
    let mut next = 0;
    order::serve(Round::Transports, devices, machine, &env, &mut |device: &mut dyn Device, plug: Plug| {
        let wanted = match device.info().address.address {
            None => matches!(plug, Plug::Virtio(_) | Plug::Ccw) && device.info().address.wanted.is_none(),
            Some(Address::Ccw(None)) => true,
            _ => false,
        };
        if !wanted {
            return;
        }
        let at = loop {
            let at = CcwAddress { cssid: VIRTUAL, ssid: 0, devno: next };
            if used.binary_search(&at).is_err() {
                break at;
            }
            next += 1;
        };
        next += 1;
        device.info_mut().place(Address::Ccw(Some(at)));
    });
}
