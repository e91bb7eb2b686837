//! Network interfaces: what the passes ask of the family.

use super::{CONVENTIONAL, Interface, InterfaceType, defaults, lower, rules};
use crate::device::family::Family;
use crate::device::plug::{Plug, Round, VirtioModel};
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine, Quirk};

impl Family for Interface {
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>) {
        defaults::interface(self, machine, cx);
    }

    fn plug(&self, _: &Machine, env: &Env<'_>) -> Plug {
        match self.model() {
            _ if self.is_host_device() => {
                let iommufd = self.source.driver.is_some();
                if iommufd && env.behaves(Quirk::IommufdInterfaceIsConventional) { Plug::Pci } else { Plug::Pcie }
            }
            "virtio" => Plug::Virtio(VirtioModel::Virtio),
            "virtio-transitional" => Plug::Virtio(VirtioModel::VirtioTransitional),
            "virtio-non-transitional" => Plug::Virtio(VirtioModel::VirtioNonTransitional),
            "usb-net" => Plug::Usb,
            "spapr-vlan" => Plug::SpaprVio(0x1000),
            "lan9118" | "smc91c111" => Plug::Nowhere,
            model if CONVENTIONAL.contains(&model) => Plug::Pci,
            _ => Plug::Pcie,
        }
    }

    fn is_served_in(&self, round: Round) -> bool {
        // Those that are devices of the host stand among the host devices.
        let of_host = self.kind() == InterfaceType::Hostdev;
        match round {
            Round::Before => !of_host,
            Round::Behind => of_host,
            Round::Transports | Round::Usb => true,
        }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        rules::interface(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::interface(self, lx);
    }
}
