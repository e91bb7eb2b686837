//! VC08xx: host devices and the devices that have no topic of their own.
super::codes! {
    /// Codes of host devices and other devices.
    hostdev {
        UNSUPPORTED_MODEL = "VC0801" "unsupported-model" "This QEMU, or this machine, does not have the device model.\n\nbefore: <iommu model='smmuv3'/> on machine 'q35'\nafter:  <iommu model='intel'/>";
    }
}
