//! VC03xx: addresses on the buses.
super::codes! {
    /// Codes of address assignment.
    address {
        CONFLICT = "VC0301" "address-in-use" "Two devices have the same address on a bus. Give one of them another address, or remove its `<address>` so that virtc chooses one.\n\nbefore: two devices with <address type='pci' bus='0x00' slot='0x03'/>\nafter:  the second with slot='0x04', or without <address>";
        NO_BUS = "VC0302" "no-such-bus" "The address names a bus that the machine does not have.\n\nAdd the `<controller>` that offers the bus, or remove the `<address>` so that virtc chooses one.\n\nbefore: <address type='pci' bus='0x09' slot='0x00'/> without a controller of index 9\nafter:  <controller type='pci' index='9' model='pcie-root-port'/> as well";
        NO_SLOT = "VC0303" "no-free-slot" "There is no such slot on the bus, or none is left for the device.\n\nbefore: <address type='pci' bus='0x01' slot='0x01'/> where bus 1 is a root port: it has slot 0 only\nafter:  <address type='pci' bus='0x01' slot='0x00'/>";
        WRONG_BUS = "VC0304" "wrong-bus" "The device cannot be plugged into the controller that its address names: a `pcie-root-port` goes into `pcie-root` or an expander bus, a `pci-bridge` into a conventional bus, a switch's downstream port into its upstream port.\n\nbefore: <controller type='pci' model='pcie-root-port'> with an address on a pci-bridge\nafter:  the same without <address>";
        FIXED = "VC0305" "fixed-address" "The chipset has this device at one place. Remove the `<address>`, or give the one that the message names.\n\nbefore: <controller type='sata' index='0'> with <address … slot='0x05'/> on q35\nafter:  the same with slot='0x1f' function='0x2', or without <address>";
        CONTROLLERS = "VC0306" "controllers" "The controllers do not fit together or do not fit the machine: an index is used twice, the root bus has the wrong model, or one that others need is missing.\n\nbefore: <controller type='pci' index='1' …/> twice\nafter:  the second with index='2'";
        KIND = "VC0307" "address-type" "The device cannot have an address of this type.\n\nbefore: <disk>…<target dev='vda' bus='virtio'/><address type='drive' …/></disk>\nafter:  <disk>…<target dev='vda' bus='virtio'/><address type='pci' …/></disk>";
        ALIAS = "VC0309" "alias-twice" "Two devices have the same id. `<alias name='ua-…'/>` names a device for QEMU and its monitor, so that each name stands once in a domain.\n\nbefore: two devices with <alias name='ua-disk'/>\nafter:  the second with <alias name='ua-disk2'/>";
        USB = "VC0308" "usb-port" "The USB port is not there, is in use, or leads through a hub that is not there.\n\nbefore: <address type='usb' bus='0' port='1.1'/> without a hub at port 1\nafter:  <address type='usb' bus='0' port='2'/>";
    }
}
