//! VC04xx: disks and storage.
super::codes! {
    /// Codes of storage.
    storage {
        MISSING_TARGET = "VC0401" "missing-target" "Every disk needs `<target dev='…'/>`: the name decides its place on the bus.";
        EMPTY = "VC0402" "empty-disk" "A hard disk needs a `<source>`: only CD-ROM and floppy drives can be empty.\n\nbefore: <disk type='file'><target dev='vda'/></disk>\nafter:  <disk type='file'><source file='/var/lib/libvirt/images/vm.qcow2'/><target dev='vda'/></disk>";
    }
}
