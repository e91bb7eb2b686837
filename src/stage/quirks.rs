//! Behaviours of libvirt: what one release or another does, and a standalone machine does not.
//!
//! One table. [`Env::behaves`](super::Env::behaves) asks whether the libvirt of `--target` has one of them; a standalone
//! machine has none. What depends on whether a parent starts QEMU, or on who refuses what does harm, is not here: see
//! [`Env::has_parent`](super::Env::has_parent) and [`Env::is_guardian`](super::Env::is_guardian).

use crate::vocab::Release;

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The behaviour.
    pub quirk: Quirk,
    /// Its name.
    pub name: &'static str,
    /// The first release that has it; none: all that are known.
    pub since: Option<Release>,
    /// The first release that no longer has it; none: it is still there.
    pub until: Option<Release>,
    /// What it is, in one line.
    pub why: &'static str,
}

impl Row {
    /// Whether a release behaves so.
    fn holds(&self, release: Release) -> bool {
        self.since.is_none_or(|since| release >= since) && self.until.is_none_or(|until| release < until)
    }
}

macro_rules! quirks {
    ($($(#[since($sa:literal, $si:literal)])? $(#[until($ua:literal, $ui:literal)])? $variant:ident = $name:literal $why:literal;)*) => {
        /// A behaviour of libvirt.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Quirk { $(#[doc = $why] $variant),* }

        /// Every behaviour, in the order of [`Quirk`].
        pub static QUIRKS: &[Row] = &[$(Row {
            quirk: Quirk::$variant,
            name: $name,
            since: release(&[$($sa, $si)?]),
            until: release(&[$($ua, $ui)?]),
            why: $why,
        }),*];
    };
}

const fn release(numbers: &[u16]) -> Option<Release> {
    match numbers {
        [major, minor] => Some(Release::new(*major, *minor)),
        _ => None,
    }
}

impl Quirk {
    /// Whether a release behaves so.
    pub fn of(self, release: Release) -> bool {
        QUIRKS.get(self as usize).is_some_and(|row| row.holds(release))
    }
}

quirks! {
    AcceleratorMustBeProbed = "accelerator-must-be-probed" "A QEMU that was probed without KVM, or without emulation, runs no domain of that type.";
    ArchOfTheHost = "arch-of-the-host" "A domain without arch has that of the host, whatever QEMU is for.";
    #[until(12, 8)]
    CpuModelsOf2025 = "cpu-models-of-2025" "CPU models that came later (ClearwaterForest, DiamondRapids, EPYC-Turin, YongFeng, newer versions of others) are not known.";
    Dc390WithHyphen = "dc390-with-hyphen" "The SCSI controller dc390 is written dc-390, which no QEMU knows.";
    #[until(11, 9)]
    EmptyCellsHaveBackends = "empty-cells-have-backends" "A NUMA cell of the guest without memory gets a backend of size 0, which QEMU refuses.";
    #[until(12, 8)]
    HtIsTold = "ht-is-told" "The CPU features ht and cmp-legacy are passed on, though QEMU derives them from the topology.";
    #[until(12, 0)]
    OnlyFlashKeepsVariables = "only-flash-keeps-variables" "Firmware is chosen for read-only flash with a variable store of the same format; stateless='no' asks for such flash.";
    #[since(12, 1)]
    IommufdInterfaceIsConventional = "iommufd-interface-is-conventional" "An interface of type hostdev that names IOMMUFD gets a place on a conventional PCI bus.";
    #[since(12, 8)]
    FloppyNeedsBus = "floppy-needs-bus" "A floppy drive is refused where the capabilities do not have the flag of the floppy bus.";
    #[until(12, 8)]
    IommuBeforeControllers = "iommu-before-controllers" "An IOMMU stands before the controllers on the command line.";
    #[until(12, 8)]
    ShimWithoutKernel = "shim-without-kernel" "<shim> is passed on without a <kernel>, which QEMU refuses.";
    #[until(12, 8)]
    ScsiModelsDiffer = "scsi-models-differ" "A SCSI controller that is added is of the machine's usual model, whatever the others are.";
    #[since(12, 8)]
    UsbModelOnAnyBus = "usb-model-on-any-bus" "The model usb-storage or usb-bot of a disk that is on another bus is passed over.";
    #[until(11, 10)]
    TopImageFindsZeroes = "top-image-finds-zeroes" "detect_zeroes of a disk counts for its topmost image, not for those below.";
    #[until(12, 8)]
    FiltersKeepBlocks = "filters-keep-blocks" "What the guest discards ends at a throttle filter.";
    #[until(11, 9)]
    OneIommu = "one-iommu" "A domain has one IOMMU at most.";
    #[until(12, 8)]
    PciHoleOfPcs = "pci-hole-of-pcs" "Only the boards pc and q35 have a 64-bit PCI hole of a chosen size, not virt of ARM.";
    #[until(11, 5)]
    NoNvmeNames = "no-nvme-names" "nvme0n1 is no name of a disk.";
    #[until(12, 8)]
    ZeroGranularityIsDropped = "zero-granularity-is-dropped" "discard_granularity='0' says nothing, instead of turning discarding off for the guest.";
    #[until(12, 8)]
    LunHasBlockSizes = "lun-has-block-sizes" "<blockio> of a SCSI device that is handed through is accepted, and does nothing.";
    #[until(11, 5)]
    UsbDiskHasNoModel = "usb-disk-has-no-model" "The normal form of a USB disk does not say which device it is.";
    #[until(12, 3)]
    VideoHasNoDevice = "video-has-no-device" "The normal form of a virtio adapter does not say which device it is.";
    #[until(11, 9)]
    HypervDependenciesUnchecked = "hyperv-dependencies-unchecked" "Enlightenments are passed on without those that they need.";
    #[until(12, 8)]
    OldUsbOnArm = "old-usb-on-arm" "USB controllers without a model are UHCI or OHCI on ARM, RISC-V and PowerPC boards.";
    #[until(11, 6)]
    OldScsiOnRiscv = "old-scsi-on-riscv" "SCSI controllers without a model are lsilogic on RISC-V.";
    #[until(12, 8)]
    RiscvHasBalloon = "riscv-has-balloon" "A RISC-V machine has a memory balloon when the XML says nothing.";
    #[until(12, 8)]
    ResctrlNeedsVcpus = "resctrl-needs-vcpus" "<cachetune>, <memorytune> and their <monitor> name virtual CPUs.";
    #[until(12, 8)]
    UsbByDevice = "usb-by-device" "A USB device of the host is named by its number, not by its port.";
    #[until(12, 5)]
    VncIsQemus = "vnc-is-qemus" "QEMU serves VNC beside a D-Bus display; later qemu-vnc does, where the host has it.";
    #[until(11, 6)]
    DeprecatedFeaturesStay = "deprecated-features-stay" "A host-model CPU of IBM Z keeps features that newer machines will not have.";
    #[since(12, 8)]
    HtIsMissing = "ht-is-missing" "No host satisfies a CPU that requires ht: QEMU does not tell of it.";
    #[until(12, 8)]
    PciIsNotChecked = "pci-is-not-checked" "A PCI controller on a board without PCI is passed over.";
    #[until(12, 8)]
    Accel3dOfVirtio = "accel3d-of-virtio" "accel3d='yes' of a video card other than virtio is refused; later it is passed over.";
    #[until(12, 8)]
    RbdNamesUnchecked = "rbd-names-unchecked" "The name of an RBD image may have empty parts.";
    #[until(12, 8)]
    NamesOfPasstAreDropped = "names-of-passt-are-dropped" "A host name of a network back end other than passt is passed over.";
    FirstListenOnly = "first-listen-only" "Of several <listen> of a display the first counts, and nothing is said of the others.";
    FirstMasterLater = "first-master-later" "The USB 2 controller of a companion is looked for when the command line is made; before, any master will do.";
    GicOf32Bit = "gic-of-32-bit" "QEMU's program for 32-bit ARM has interrupt controllers of version 2 only.";
    IscsiPortZero = "iscsi-port-zero" "The portal of an iSCSI host device without a port gets port 0, not 3260.";
    IsapcHasNoIde = "isapc-has-no-ide" "The isapc machine has an IDE controller on its board, and libvirt does not know.";
    #[until(12, 8)]
    LsilogicOnArm = "lsilogic-on-arm" "A SCSI controller without model is lsilogic on ARM, not virtio-scsi.";
    #[until(12, 8)]
    MonitorByOption = "monitor-by-option" "The monitor is the option -mon, which QEMU 11.1 deprecates, and no object.";
    #[until(12, 8)]
    NinepHandle = "9p-handle" "The driver 'handle' of a file system is passed on; QEMU 4.0 has removed it.";
    NoWwnOnSata = "no-wwn-on-sata" "A SATA disk takes no world-wide name, though QEMU's has one.";
    OneBaseBoard = "one-base-board" "SMBIOS tables hold one <baseBoard>.";
    OwnDevicesNeedPci = "own-devices-need-pci" "A machine without PCI cannot have the devices that libvirt adds by itself.";
    SpacesOfSerialEscaped = "spaces-of-serial-escaped" "A backslash stands before each space in the serial number of a disk, and the guest sees it.";
    #[until(12, 0)]
    RomBesideNvram = "rom-beside-nvram" "Firmware in read-only memory is chosen for a domain with a variable store, if no other fits.";
    TeardownByRunWith = "teardown-by-run-with" "Asynchronous teardown is asked for with -run-with only, not with the older -async-teardown.";
    TransientFilesOnly = "transient-files-only" "A transient disk is a file, and no floppy.";
    UsbAddressUnchecked = "usb-address-unchecked" "A USB device may have an address of another bus, unless it is an input device or a redirection.";
    #[until(12, 8)]
    ClosedTrayAnywhere = "closed-tray-anywhere" "tray='closed' is passed over for disks that have no tray.";
    #[until(12, 8)]
    UsbPortsOfUhciLater = "usb-ports-of-uhci-later" "Ports of a USB controller that has a fixed number are an error when the command line is made.";
    UsbPortsLater = "usb-ports-later" "The USB ports of a domain that is not new are looked at when it starts, unless all are given.";
}

#[cfg(test)]
mod tests {
    use super::{QUIRKS, Quirk};
    use crate::vocab::Release;

    #[test]
    fn rows_are_in_order_and_tell_why() {
        for (at, row) in QUIRKS.iter().enumerate() {
            assert_eq!(row.quirk as usize, at, "{}", row.name);
            assert!(row.why.ends_with('.'), "{}", row.name);
            assert!(
                row.since.or(row.until).is_none_or(|r| (Release::OLDEST..=Release::NEWEST).contains(&r)),
                "{}",
                row.name
            );
        }
        let mut names: Vec<_> = QUIRKS.iter().map(|r| r.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), QUIRKS.len());
    }

    #[test]
    fn end_and_begin_with_a_release() {
        assert!(Quirk::NinepHandle.of(Release::new(11, 3)));
        assert!(!Quirk::NinepHandle.of(Release::new(12, 8)));
        assert!(Quirk::ArchOfTheHost.of(Release::NEWEST));
    }
}
