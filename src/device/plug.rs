//! How a device is connected: what the address passes need to know of it.

pub use crate::schema::words::VirtioModel;

/// A round in which devices are given their places. Where a device ends up depends on who was served before it, so the order
/// (the column `plug` of the table of families) is part of what a guest sees. It is libvirt's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// PCI: what comes before the controllers other than PCI's own.
    Before,
    /// PCI: what comes behind the controllers.
    Behind,
    /// Virtio devices on the channel subsystem, on MMIO transports, or in virtual I/O registers.
    Transports,
    /// USB ports, without hubs.
    Usb,
}

/// The kind of connector that a device has, before the machine is considered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plug {
    /// None that is assigned here: part of the board, or placed by its family's own rules.
    #[default]
    Nowhere,
    /// A conventional PCI slot.
    Pci,
    /// A PCI Express slot.
    Pcie,
    /// Part of the PCI Express root complex.
    RootComplex,
    /// A virtio transport: PCI, CCW or MMIO, as the machine has it.
    Virtio(VirtioModel),
    /// A USB port.
    Usb,
    /// A register of POWER's virtual I/O; the number is where libvirt begins to look.
    SpaprVio(u64),
    /// A place in the channel subsystem of S/390 that is not virtio's.
    Ccw,
}

impl VirtioModel {
    /// What the name of QEMU's device has behind its transport.
    pub fn suffix(self) -> &'static str {
        match self {
            VirtioModel::Virtio => "",
            VirtioModel::VirtioTransitional => "-transitional",
            VirtioModel::VirtioNonTransitional => "-non-transitional",
        }
    }
}
