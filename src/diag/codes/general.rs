//! VC09xx: what virtc does not do yet, or this QEMU cannot.
super::codes! {
    /// Codes of support.
    general {
        NOT_YET = "VC0901" "not-supported-yet" "The format allows this, but virtc does not compile it yet. It refuses the file rather than leaving something out.\n\nThe help names the element or attribute; without it, the file compiles.\n\nbefore: a file with an element that the message names\nafter:  the same without it, or an equivalent in <qemu:commandline>";
        NOT_BY_QEMU = "VC0902" "not-supported-by-qemu" "The capabilities in use say that this QEMU cannot do this.\n\nbefore: --caps of an old QEMU\nafter:  --caps made by `virtc probe qemu` from the QEMU that will run the machine";
        DERIVED = "VC0903" "derived-value" "A value that libvirt would draw at random (UUID, MAC address) was derived from the domain's name instead, so that the same file gives the same output.\n\nbefore: <domain type='kvm'><name>vm</name>…\nafter:  <domain type='kvm'><name>vm</name><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>…";
        NO_EFFECT = "VC0905" "no-effect" "Something stands in the domain that the format allows there, and that does nothing: libvirt passes over it, and so does virtc.\n\nbefore: <controller type='usb'><driver iommu='on'/></controller>\nafter:  <controller type='usb'/>";
        FLEET = "VC0904" "claimed-twice" "Two domains that are compiled together claim a thing that only one of them can have: a name, a UUID, a MAC address, an image that is written, a tap, a port, a host device. Running both would damage data or fail.\n\nbefore: a.xml and b.xml both write /var/lib/libvirt/images/vm.qcow2\nafter:  each has an image of its own, or both say <shareable/>";
    }
}
