//! VC09xx: what virtc does not do yet, or this QEMU cannot.
super::codes! {
    /// Codes of support.
    general {
        NOT_YET = "VC0901" "not-supported-yet" "The format allows this, but virtc does not compile it yet. It refuses the file rather than leaving something out.\n\nThe help names the element or attribute; without it, the file compiles.\n\nbefore: a file with an element that the message names\nafter:  the same without it, or an equivalent in <qemu:commandline>";
        NOT_BY_QEMU = "VC0902" "not-supported-by-qemu" "The QEMU in use lacks a device or a property: it is too old, or was built without it. virtc knows that from its capabilities (`--caps`).\n\nTake the capabilities of the QEMU that will run the machine, or use what this one has.\n\nbefore: --caps of an old QEMU\nafter:  --caps made by `virtc probe qemu` from the QEMU that will run the machine";
        DERIVED = "VC0903" "derived-value" "A value that libvirt would draw at random (UUID, MAC address) was derived from the domain's name instead, so that the same file gives the same output.\n\nbefore: <domain type='kvm'><name>vm</name>…\nafter:  <domain type='kvm'><name>vm</name><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>…";
        NO_EFFECT = "VC0905" "no-effect" "Something stands in the domain that the format allows there, and that does nothing: libvirt passes over it, and so does virtc.\n\nbefore: <controller type='usb'><driver iommu='on'/></controller>\nafter:  <controller type='usb'/>";
        FLEET = "VC0904" "claimed-twice" "Two domains that are compiled together claim a thing that only one of them can have: a name, a UUID, a MAC address, an image that is written, a tap, a port, a host device. Running both would damage data or fail.\n\nbefore: a.xml and b.xml both write /var/lib/libvirt/images/vm.qcow2\nafter:  each has an image of its own, or both say <shareable/>";
        NOT_PCI = "VC0920" "only-for-pci-devices" "An option ROM (`<rom>`) and an index in ACPI (`<acpi index>`) belong to a PCI device. The device that has one here is on no PCI bus: it is a USB device, a disk on a SCSI bus, or its address says so.

Remove the element, or give the device a PCI address.\n\nbefore: <address type='ccw'/> with <rom bar='on'/>\nafter:  the same without <rom>";
        ONLY_S390 = "VC0921" "only-on-s390" "`<zpci>` is how S/390 identifies PCI devices; on machines of other architectures there is nothing to identify by it.\n\nbefore: <address type='pci'><zpci uid='1' fid='1'/></address> on x86\nafter:  <address type='pci'/>";
        DOMAIN_TYPE = "VC0922" "not-a-domain-of-qemu" "`type` of `<domain>` names the hypervisor. QEMU runs `kvm` (the processor runs the guest), `qemu` (emulation), and where it was built for them `hvf` and `hyperv`; the others are other programs.\n\nbefore: <domain type='xen'>\nafter:  <domain type='kvm'>";
        OS_TYPE = "VC0923" "not-a-whole-machine" "QEMU boots guests of `<type>hvm</type>`: whole machines. The other types are containers and guests that know their hypervisor.\n\nbefore: <os><type>exe</type></os>\nafter:  <os><type>hvm</type></os>";
        OTHER_ARCH = "VC0924" "emulator-of-another-architecture" "One QEMU program emulates one architecture (and its 32-bit half). The one that is used here is for another than `arch` of `<type>` says.

Name the program in `<emulator>`, or give its capabilities with `--caps`.\n\nbefore: <type arch='aarch64'>, with --caps of qemu-system-x86_64\nafter:  --caps made by `virtc probe qemu /usr/bin/qemu-system-aarch64`";
        NOT_VIRTIO = "VC0925" "option-of-virtio" "`iommu`, `ats`, `packed` and `page_per_vq` of `<driver>` say how a virtio device speaks to its driver. A device of another kind has no such options.\n\nbefore: <video><model type='vga'/><driver iommu='on'/></video>\nafter:  <video><model type='virtio'/><driver iommu='on'/></video>";
        OTHER_HYPERVISOR = "VC0926" "of-another-hypervisor" "The format is shared by several hypervisors. It has models and settings that QEMU never had: they belong to Xen, bhyve, VMware or VirtualBox.

The help names one that QEMU has, where there is one.\n\nbefore: <sound model='ich7'/>\nafter:  <sound model='ich9'/>";
        ONE_ONLY = "VC0927" "one-at-most" "A guest has one device of this kind at most: a second would speak for the same thing.\n\nbefore: <vsock model='virtio'/> twice\nafter:  <vsock model='virtio'/> once";
        NOT_BOOTABLE = "VC0928" "not-bootable" "`<boot order>` stands at a device that no firmware can boot from: a SCSI host that is handed over with vhost, or a mediated crypto card.\n\nbefore: <hostdev mode='subsystem' type='scsi_host'>…<boot order='1'/></hostdev>\nafter:  the same without <boot>";
        CONTROLLER_MODEL = "VC0929" "model-of-another-controller" "`model` of a `<controller>` is that of a controller of another `type`. `virtc schema controller` lists the models of each type.\n\nbefore: <controller type='scsi' model='ich9-ehci1'/>\nafter:  <controller type='scsi' model='virtio-scsi'/>";
        ONLY_VIRTIO_SCSI = "VC0930" "option-of-virtio-scsi" "`queues`, `cmd_per_lun`, `max_sectors`, `ioeventfd` and `iothread` of `<driver>` tune the queues of a virtio-scsi controller; controllers of other models have no such queues.\n\nbefore: <controller type='scsi' model='lsilogic'><driver queues='4'/></controller>\nafter:  <controller type='scsi' model='virtio-scsi'><driver queues='4'/></controller>";
        NO_IDE = "VC0931" "no-ide" "IDE controllers are parts of boards (`pc`, for example); QEMU has none that could be added to another board, such as `q35`.

Use `bus='sata'` or `bus='virtio'` for the disks; guests see a SATA disk much like an IDE disk.\n\nbefore: <target dev='hda' bus='ide'/> on q35\nafter:  <target dev='sda' bus='sata'/>";
        ON_BOARD = "VC0932" "controller-of-the-board" "This controller is a part of some boards: it is there once, with `index='0'`, or not at all. QEMU has none that could be added.\n\nbefore: <controller type='ide' index='1'/>\nafter:  <controller type='ide' index='0'/>, four disks at most";
        USB_PORTS = "VC0933" "usb-ports" "`ports` sets how many devices an xHCI controller takes: 15 at most. USB controllers of other models have a fixed number.\n\nbefore: <controller type='usb' model='qemu-xhci' ports='20'/>\nafter:  <controller type='usb' model='qemu-xhci' ports='15'/>";
        USB_MODEL = "VC0934" "usb-controller-without-model" "This machine type has no USB controller that goes without saying, so `model` has to name one that the QEMU in use has.\n\nbefore: <controller type='usb'/>\nafter:  <controller type='usb' model='qemu-xhci'/>";
        EXPANDER = "VC0935" "expander-of-another-board" "An expander bus extends the root bus of its board: `pci-expander-bus` that of `pc`, `pcie-expander-bus` that of `q35` and of Arm's `virt`.\n\nbefore: <controller type='pci' model='pci-expander-bus'/> on q35\nafter:  <controller type='pci' model='pcie-expander-bus'/>";
        PCI_HOLE = "VC0936" "no-pci-hole" "`<pcihole64>` sets the size of the window for large PCI resources that the boards `pc` and `q35` have. This machine type has none whose size could be set.\n\nbefore: <pcihole64> at the pcie-root of Arm's virt\nafter:  the same without <pcihole64>";
        RNG_BACKEND = "VC0937" "rng-without-source" "A random number generator hands random bytes of the host to the guest, and nothing says where they come from.\n\nbefore: <rng model='virtio'/>\nafter:  <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>";
        INTERNAL = "VC0999" "internal-error" "virtc has a bug: what one of its passes should have filled in is not there, and so the machine would not be what the file says. Nothing is written.

Please report it with the file and the output of `virtc --version`. The message names the place; an explicit value there may be a way around.\n\nbefore: a file in which the message names <uuid>\nafter:  the same with <uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>";
    }
}
