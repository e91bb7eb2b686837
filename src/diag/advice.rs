//! What to do where a rule itself says no more than what is wrong: a line a code. The page of the code (`virtc explain`) has the
//! example.

use super::codes::{
    Code, address, chardev, display, emit, general, hostdev, machine, network, schema, security, storage, xml,
};

macro_rules! advice {
    ($($topic:ident $code:ident $text:literal;)*) => {
        static ADVICE: &[(&Code, &str)] = &[$((&$topic::$code, $text)),*];
    };
}
advice! {
    xml SIZE "is this the XML of a domain? A disk image is named in it, by <source file='…'/>";
    xml DEPTH "close the elements: <a/> is an empty one, <a>…</a> one that holds something";
    schema WRONG_VALUE "`virtc schema NAME`, with the name of the element, lists what it takes";
    schema MISSING_ATTRIBUTE "add it; `virtc schema NAME`, with the name of the element, lists its values";
    machine HUGE_PAGES "name pages that the host has, or remove <hugepages>";
    machine MEMORY "<memory> is what the guest has at the start, <currentMemory> at most as much, <maxMemory> at least; check the units";
    machine VCPUS "<vcpu> counts the CPUs: the product of <topology>, and the numbers elsewhere, follow it";
    machine CPU "<cpu mode='host-passthrough'/> gives the guest the CPU of the host; `virtc domcapabilities` lists the models";
    machine NUMA "each CPU belongs to one <cell>, and the cells count from id='0'; the memory of all is that of <memory>";
    machine NUMATUNE "<memnode cellid='…'> names a <cell> of <cpu><numa>, each once; nodeset names nodes of the host";
    machine TUNING "name a CPU or thread that the guest has, each once, and stay within the range that is named";
    machine FEATURE "remove it from <features>, or choose a machine type, or a CPU, that has it";
    machine FIRMWARE "the simplest is <os firmware='efi'> without <loader> and <nvram>: then all that is needed is chosen";
    machine BOOT "either <boot dev='…'/> in <os>, or <boot order='…'/> in the devices, with values in the range that is named";
    machine TIMER "remove what this timer does not have, or the whole <timer>: each has a default that works";
    machine SMBIOS "write it as the message says, or leave the entry out";
    machine SECURITY "remove it, or take a host and a QEMU (--caps) that have it: `virtc domcapabilities` tells";
    machine MEMORY_DEVICE "<maxMemory slots='…'> has room for all memory devices, and each names a <node> that is there";
    machine LIFECYCLE "give both the same action, or leave them out: on_poweroff is then 'destroy', on_reboot 'restart'";
    machine IOTHREAD "<iothreads>N</iothreads> makes the threads 1 to N; each is named once";
    address CONFLICT "give one of them another address, or remove the <address> and virtc chooses one";
    address NO_BUS "remove the <address> and virtc chooses one, or add the controller that offers the bus";
    address NO_SLOT "remove the <address> and virtc chooses one, or take a slot that is there and free";
    address FIXED "remove the <address>, or write this one";
    address CONTROLLERS "remove 'index', 'model' or the whole <controller> that does not fit: virtc adds those that are needed";
    address KIND "remove the <address>: virtc chooses one of the type that the device has";
    address USB "remove the <address>, or name a port that a controller or hub of the machine has";
    storage EMPTY "add <source file='…'/>: only CD-ROM and floppy drives can be empty";
    storage NAME "name it after its bus: vda on virtio, sda on scsi, sata and usb, hda on ide, fda for a floppy";
    storage BUS "choose a bus that takes such a disk (virtio, scsi, sata), or remove the <address> that is of another bus";
    storage OPTION "remove it, or what it does not go with: the cache mode, the bus, the kind of device";
    storage FORMAT "name the format of the image in <driver type='…'/>: raw, qcow2; an ISO is raw";
    storage LUN "use device='disk', or hand through a block device, as <source dev='…'/> with format raw";
    storage NETWORK "give the <source> what its protocol asks for: name='…', and <host name='…' port='…'/>";
    storage THROTTLE "write the total, or reading and writing apart, and each group once";
    storage NEEDS_QEMU "leave it out, or compile for a QEMU that has it (--caps)";
    storage IOTHREAD "name a thread that <iothreads> makes, each once; disks on virtio have them";
    storage ENCRYPTION "the usual form is <encryption format='luks'><secret type='passphrase' uuid='…'/></encryption>";
    storage NO_VOLUME "name the file or device of the volume itself, in <disk type='file'> or type='block'";
    storage TRANSIENT "remove <transient/>, or give it to a disk in a file that the guest writes";
    storage FILESYSTEM "the usual form is <filesystem type='mount' accessmode='passthrough'><driver type='virtiofs'/><source dir='…'/><target dir='…'/>";
    storage BOOT_ORDER "give each device that boots a number of its own: 1, 2, 3";
    network NOT_FOR_TYPE "remove it, or choose a type of interface that has it";
    network INCOMPLETE "add what is missing: `virtc explain` of this code shows an example";
    network ADDRESS "write an address of the form 192.168.122.10 or fe80::1, with a prefix that it can have; a VLAN is 1 to 4094";
    network BAD_NAME "choose a shorter name, of letters, digits and '-'";
    chardev TARGET "leave <target> out: then the machine's own kind of port is used";
    chardev SMARTCARD "use mode='passthrough', or give all three certificates";
    chardev UNSUPPORTED "remove the port, or use <serial type='pty'/>";
    display GRAPHICS "keep one display of each type, and only what that type has";
    display LISTEN "the usual form is <listen type='address' address='127.0.0.1'/>";
    display SPICE_TLS "add the certificates to the host facts, or let the channel go unencrypted";
    display VIDEO "remove the setting, or choose <model type='virtio'/>";
    display AUDIO "give each <audio> an id of its own, counted from 1, and name that one in the device";
    display SOUND "remove the setting, or choose the model that it is for";
    display INPUT "use bus='usb' or bus='virtio'";
    hostdev UNSUPPORTED_MODEL "remove the device, or choose a model, or a machine type, that has it";
    hostdev VALUE "write a value within what the message names, or leave it out";
    hostdev TPM "the usual form is <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>, on ARM model='tpm-tis'";
    hostdev HOSTDEV "name the device by all of its address, each device once";
    general NOT_YET "leave it out: virtc refuses it rather than dropping it in silence";
    general NOT_BY_QEMU "leave it out, or compile for a QEMU that has it: --caps, or --here for the one of this host";
    general NOT_PCI "remove it, or give it to a device that has a PCI address";
    general NOT_VIRTIO "remove it: the device is none of virtio";
    general OTHER_HYPERVISOR "remove it, or choose one that QEMU has";
    general ONE_ONLY "keep one of them";
    general CONTROLLER_MODEL "remove 'model', or name one that belongs to this type of controller";
    general ONLY_VIRTIO_SCSI "remove it, or write <controller type='scsi' model='virtio-scsi'/>";
    general ON_BOARD "remove the controller: the board has its own, or has none";
    general USB_PORTS "write ports='15', or fewer, or leave it out";
    general EXPANDER "remove it, or choose a machine type that has such a root bus";
    general PCI_HOLE "remove it";
    general NOT_BOOTABLE "remove <boot order='…'/> from this device";
    emit NOT_EXPRESSIBLE "choose a value without such a character";
    security SECLABEL "remove <seclabel>: each machine then gets a label of its own";
    security BAD_LABEL "remove the <seclabel>, or write a label of the form that the message names";
}

/// What to do about a fault of this code, in general.
pub fn of(code: &Code) -> Option<&'static str> {
    ADVICE.iter().find(|(of, _)| *of == code).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_code_has_one_line() {
        let mut ids: Vec<&str> = super::ADVICE.iter().map(|(code, _)| code.id).collect();
        ids.sort_unstable();
        let before = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), before);
    }
}
