//! VC09xx: what virtc does not do yet, or this QEMU cannot.
super::codes! {
    /// Codes of support.
    general {
        NOT_YET = "VC0901" "not-supported-yet" "The format allows this, but virtc does not compile it yet. It refuses the file rather than leaving something out.";
        NOT_BY_QEMU = "VC0902" "not-supported-by-qemu" "The capabilities in use say that this QEMU cannot do this.";
        DERIVED = "VC0903" "derived-value" "A value that libvirt would draw at random (UUID, MAC address) was derived from the domain's name instead, so that the same file gives the same output.";
        FLEET = "VC0904" "claimed-twice" "Two domains that are compiled together claim a thing that only one of them can have: a name, a UUID, a MAC address, an image that is written, a tap, a port, a host device. Running both would damage data or fail.\n\nbefore: a.xml and b.xml both write /var/lib/libvirt/images/vm.qcow2\nafter:  each has an image of its own, or both say <shareable/>";
    }
}
