//! VC08xx: host devices and the devices that have no topic of their own.
super::codes! {
    /// Codes of host devices and other devices.
    hostdev {
        UNSUPPORTED_MODEL = "VC0801" "unsupported-model" "This QEMU, or this machine, does not have the device model.\n\nbefore: <iommu model='smmuv3'/> on machine 'q35'\nafter:  <iommu model='intel'/>";
        VALUE = "VC0802" "device-value" "A value of the device is outside of what the device takes, or does not go together with another.\n\nbefore: <shmem name='m'><size unit='M'>3</size></shmem>\nafter:  <shmem name='m'><size unit='M'>4</size></shmem>";
        TPM = "VC0803" "tpm" "The TPM cannot be had like this: the model does not go with the version, the architecture or the backend, or the host's TPM emulator cannot do it.\n\nbefore: <tpm model='tpm-crb'><backend type='emulator' version='1.2'/></tpm>\nafter:  <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>";
        IN_TURNS = "VC1801" "by-turns" "Two domains that are compiled together have the same device of the host. Only one of them can run: to start its unit stops the other's (`Conflicts=`), and both accounts may open the device.\n\nbefore: a.xml and b.xml both have the graphics card 0000:01:00.0\nafter:  the same, if they take turns; else each has a device of its own";
        HOSTDEV = "VC0804" "host-device" "The host device cannot be assigned like this: its source is incomplete, is used twice, or does not go with the options of the element.\n\nbefore: <hostdev mode='subsystem' type='pci'/>\nafter:  <hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source></hostdev>";
    }
}
