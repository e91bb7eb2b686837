//! Devices of the host that are lent to the machine.

use super::Cause;
use serde::{Deserialize, Serialize};

/// A device of the host that is lent to the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lent {
    /// How it is known: its node gets a name only when it appears.
    pub device: LentDevice,
    /// Whether it is taken from the host's driver at the start, and given back at the stop.
    pub managed: bool,
    /// Whether the machine may start without it. (QEMU itself starts without a USB device in silence.)
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Why.
    pub cause: Cause,
}

/// How a device of the host is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LentDevice {
    /// A USB device by vendor and product.
    Usb {
        /// Vendor.
        vendor: u32,
        /// Product.
        product: u32,
    },
    /// Whatever is plugged into a USB port.
    UsbPort {
        /// The number of its bus.
        bus: u32,
        /// The ports on the way to it, `1.4`.
        port: String,
    },
    /// A PCI device by its address, `0000:00:10.0`.
    Pci(String),
    /// A mediated device by its UUID.
    Mdev(String),
}
