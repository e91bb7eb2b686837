//! Host devices that are handed to the guest: what the passes ask of the family.

use super::source::{HostdevSource, HostdevType};
use super::{Hostdev, HostdevMode, HostdevModel, lower, rules};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Board, Cx, Env, Machine};
use crate::vocab::{OnOff, YesNo};

impl Family for Hostdev {
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>) {
        self.mode.get_or_insert(HostdevMode::Subsystem);
        self.managed.get_or_insert(YesNo::No);
        self.tidy();
        if self.kind() == HostdevType::Mdev && self.model == Some(HostdevModel::VfioPci) {
            self.display.get_or_insert(OnOff::Off);
        }
        if let HostdevSource::Pci { address, .. } = &self.source
            && machine.board == Board::Pseries
        {
            let known = cx.env.host.pci_devices.iter().find(|d| d.address == *address);
            self.info.isolation = known.and_then(|d| d.iommu_group).map_or(0, |g| g + 1);
        }
    }

    fn plug(&self, _: &Machine, env: &Env<'_>) -> Plug {
        match (&self.source, self.model) {
            (HostdevSource::Pci { address, .. }, _) => {
                let known = env.host.pci_devices.iter().find(|d| d.address == *address);
                if known.is_none_or(|d| d.express) { Plug::Pcie } else { Plug::Pci }
            }
            (HostdevSource::Usb { .. }, _) => Plug::Usb,
            (HostdevSource::Vhost { .. }, _) => Plug::Virtio(self.virtio_model()),
            (HostdevSource::Mdev { .. }, Some(HostdevModel::VfioCcw)) => Plug::Ccw,
            (HostdevSource::Mdev { .. }, Some(HostdevModel::VfioPci)) => Plug::Pcie,
            _ => Plug::Nowhere,
        }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        rules::hostdev(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::hostdev(self, lx);
    }

    fn lower_all(_: &[Hostdev], lx: &mut Lower<'_>) {
        lower::lower_all(lx);
    }
}
