//! PCI buses: what each controller model offers, and what has to be plugged into what.

use crate::device::controller::ControllerModel;
use std::ops::BitOr;

/// What a device needs of a slot, or a slot offers: a set of the constants below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connect(u16);

impl Connect {
    /// A conventional PCI device.
    pub const PCI: Connect = Connect(1);
    /// A PCI Express device.
    pub const PCIE: Connect = Connect(1 << 1);
    /// `pci-bridge`
    pub const PCI_BRIDGE: Connect = Connect(1 << 2);
    /// `pci-expander-bus`
    pub const PCI_EXPANDER: Connect = Connect(1 << 3);
    /// `pcie-root-port`
    pub const ROOT_PORT: Connect = Connect(1 << 4);
    /// `pcie-switch-upstream-port`
    pub const UPSTREAM: Connect = Connect(1 << 5);
    /// `pcie-switch-downstream-port`
    pub const DOWNSTREAM: Connect = Connect(1 << 6);
    /// `pcie-expander-bus`
    pub const PCIE_EXPANDER: Connect = Connect(1 << 7);
    /// `dmi-to-pci-bridge`
    pub const DMI_TO_PCI: Connect = Connect(1 << 8);
    /// `pcie-to-pci-bridge`
    pub const PCIE_TO_PCI: Connect = Connect(1 << 9);
    /// A device of the root complex.
    pub const ROOT_COMPLEX: Connect = Connect(1 << 10);
    /// The device can be plugged and unplugged while the guest runs; the slot takes such.
    pub const HOTPLUG: Connect = Connect(1 << 14);
    /// Several of these share a slot, a function each.
    pub const AGGREGATE: Connect = Connect(1 << 15);

    /// The kinds of device, without the manner of plugging.
    const KINDS: u16 = (1 << 11) - 1;
    /// Devices proper, as opposed to controllers.
    const ENDPOINTS: u16 = Connect::PCI.0 | Connect::PCIE.0 | Connect::ROOT_COMPLEX.0;

    /// Whether all of `other` is in it.
    pub fn has(self, other: Connect) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in it.
    pub fn any(self, other: Connect) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds alone.
    pub fn kinds(self) -> Connect {
        Connect(self.0 & Connect::KINDS)
    }

    /// Whether a slot that offers this takes a device that virtc places there by itself.
    pub fn suits(self, device: Connect) -> bool {
        self.any(device.kinds()) && (self.has(Connect::HOTPLUG) || !device.has(Connect::HOTPLUG))
    }

    /// Whether a slot that offers this takes a device that the XML places there. Conventional and
    /// Express devices work in the slots of the other; being pluggable is then the user's business.
    pub fn takes(self, device: Connect) -> bool {
        // A PCI bridge is plugged in like a card.
        let card = Connect::ENDPOINTS | Connect::PCI_BRIDGE.0;
        let endpoint = device.0 & card != 0 && self.0 & Connect::ENDPOINTS != 0;
        endpoint || self.any(device.kinds())
    }

    /// The word for the device in messages.
    pub fn what(self) -> &'static str {
        const NAMES: &[(Connect, &str)] = &[
            (Connect::ROOT_PORT, "pcie-root-port"),
            (Connect::UPSTREAM, "pcie-switch-upstream-port"),
            (Connect::DOWNSTREAM, "pcie-switch-downstream-port"),
            (Connect::DMI_TO_PCI, "dmi-to-pci-bridge"),
            (Connect::PCIE_TO_PCI, "pcie-to-pci-bridge"),
            (Connect::PCI_EXPANDER, "pci-expander-bus"),
            (Connect::PCIE_EXPANDER, "pcie-expander-bus"),
            (Connect::PCI_BRIDGE, "pci-bridge"),
            (Connect::PCIE, "standard PCI Express device"),
            (Connect::PCI, "standard PCI device"),
        ];
        NAMES.iter().find(|(c, _)| self.any(*c)).map_or("PCI device", |(_, name)| name)
    }
}

impl BitOr for Connect {
    type Output = Connect;
    fn bitor(self, other: Connect) -> Connect {
        Connect(self.0 | other.0)
    }
}

/// What the bus behind a controller offers, and its first and last slot. None for a model that is not
/// a PCI controller.
pub fn offer(model: ControllerModel) -> Option<(Connect, u8, u8)> {
    type M = ControllerModel;
    type C = Connect;
    Some(match model {
        M::PciRoot => (C::PCI | C::PCI_BRIDGE | C::PCI_EXPANDER | C::HOTPLUG, 1, 31),
        M::PciBridge => (C::PCI | C::PCI_BRIDGE | C::HOTPLUG, 1, 31),
        M::PciExpanderBus => (C::PCI | C::PCI_BRIDGE | C::HOTPLUG, 0, 31),
        M::PcieRoot => (C::PCIE | C::ROOT_PORT | C::DMI_TO_PCI | C::PCIE_EXPANDER | C::ROOT_COMPLEX, 1, 31),
        M::DmiToPciBridge => (C::PCI | C::PCI_BRIDGE, 0, 31),
        M::PcieToPciBridge => (C::PCI | C::PCI_BRIDGE | C::HOTPLUG, 1, 31),
        M::PcieRootPort | M::PcieSwitchDownstreamPort => (C::PCIE | C::UPSTREAM | C::PCIE_TO_PCI | C::HOTPLUG, 0, 0),
        M::PcieSwitchUpstreamPort => (C::DOWNSTREAM, 0, 31),
        M::PcieExpanderBus => (C::ROOT_PORT | C::DMI_TO_PCI, 0, 31),
        _ => return None,
    })
}

/// What a controller itself has to be plugged into; nothing for a root.
pub fn demand(model: ControllerModel) -> Connect {
    type M = ControllerModel;
    match model {
        M::PciBridge => Connect::PCI_BRIDGE,
        M::PciExpanderBus => Connect::PCI_EXPANDER,
        M::DmiToPciBridge => Connect::DMI_TO_PCI,
        M::PcieToPciBridge => Connect::PCIE_TO_PCI,
        M::PcieRootPort => Connect::ROOT_PORT | Connect::AGGREGATE,
        M::PcieSwitchUpstreamPort => Connect::UPSTREAM,
        M::PcieSwitchDownstreamPort => Connect::DOWNSTREAM,
        M::PcieExpanderBus => Connect::PCIE_EXPANDER,
        _ => Connect::default(),
    }
}
