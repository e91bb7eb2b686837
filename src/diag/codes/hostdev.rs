//! VC08xx: host devices and the devices that have no topic of their own.
super::codes! {
    /// Codes of host devices and other devices.
    hostdev {
        UNSUPPORTED_MODEL = "VC0801" "unsupported-model" "This QEMU, or this machine, does not have the device model.\n\nbefore: <iommu model='smmuv3'/> on machine 'q35'\nafter:  <iommu model='intel'/>";
        VALUE = "VC0802" "device-value" "A value of the device is outside of what the device takes, or does not go together with another.";
        TPM = "VC0803" "tpm" "The TPM cannot be had like this: the model does not go with the version, the architecture or the backend, or the host's TPM emulator cannot do it.";
        HOSTDEV = "VC0804" "host-device" "The host device cannot be assigned like this: its source is incomplete, is used twice, or does not go with the options of the element.";
    }
}
