//! VC03xx: addresses on the buses.
super::codes! {
    /// Codes of address assignment.
    address {
        CONFLICT = "VC0301" "address-in-use" "Two devices have the same address on a bus. Give one of them another address, or remove its `<address>` so that virtc chooses one.";
        NO_BUS = "VC0302" "no-such-bus" "The address names a bus that the machine does not have.\n\nAdd the `<controller>` that offers the bus, or remove the `<address>` so that virtc chooses one.";
        NO_SLOT = "VC0303" "no-free-slot" "There is no such slot on the bus, or none is left for the device.";
        WRONG_BUS = "VC0304" "wrong-bus" "The device cannot be plugged into the controller that its address names: a `pcie-root-port` goes into `pcie-root` or an expander bus, a `pci-bridge` into a conventional bus, a switch's downstream port into its upstream port.";
        FIXED = "VC0305" "fixed-address" "The chipset has this device at one place. Remove the `<address>`, or give the one that the message names.";
        CONTROLLERS = "VC0306" "controllers" "The controllers do not fit together or do not fit the machine: an index is used twice, the root bus has the wrong model, or one that others need is missing.";
        KIND = "VC0307" "address-type" "The device cannot have an address of this type.";
        USB = "VC0308" "usb-port" "The USB port is not there, is in use, or leads through a hub that is not there.";
    }
}
