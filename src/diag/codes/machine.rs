//! VC02xx: machine, CPU, memory, firmware, clock, tuning.
super::codes! {
    /// Codes of the machine.
    machine {
        UNKNOWN_MACHINE = "VC0201" "unknown-machine" "This QEMU does not have the machine type that `<type machine='…'>` names.\n\n`virtc domcapabilities` lists the machine types of the capabilities in use.";
        HOST_NODE = "VC0202" "host-node-unavailable" "`<numatune>`, or the `<source>` of a memory device, names a NUMA node that the host does not have.\n\nThe host facts list the nodes: `numa { node 0 … }`.";
        HUGE_PAGES = "VC0203" "huge-pages" "`<hugepages>` asks for pages that the host does not offer, or asks for two sizes at once.\n\n    <hugepages><page size='2' unit='MiB'/></hugepages>\n\nneeds a mount of hugetlbfs with pages of 2 MiB: `hugepages { mount \"/dev/hugepages\" page-size=\"2MiB\" }` in the host facts.";
        MEMORY = "VC0204" "memory-size" "The sizes of memory do not fit together.\n\n`<memory>` is what the guest has at start, `<currentMemory>` what the balloon leaves it, `<maxMemory slots='…'>` up to how much can be plugged in.";
        VCPUS = "VC0205" "vcpu-count" "The numbers of CPUs do not fit together: `<vcpu>`, its attribute 'current', `<vcpus>`, `<topology>` and the limit of the machine type.";
        CPU = "VC0206" "cpu" "The CPU that `<cpu>` describes cannot be had on this machine, or its parts contradict each other.";
        CPU_HOST = "VC0207" "cpu-incompatible" "The CPU that `<cpu>` describes needs more than the CPU of the host has.\n\nRemove the features, take an older model, or use mode='host-model'.";
        NUMA = "VC0208" "guest-numa" "The guest's NUMA nodes contradict each other or the number of CPUs.";
        NUMATUNE = "VC0209" "numatune" "`<numatune>` contradicts itself, or does not fit the guest's NUMA nodes.";
        TUNING = "VC0210" "tuning" "A limit or a placement names something that is not there, or names it twice.";
        FEATURE = "VC0211" "machine-feature" "The machine type or this QEMU does not have a feature that `<features>` asks for, or two features exclude each other.";
        FIRMWARE = "VC0212" "firmware" "`<os>` asks for firmware in a way that contradicts itself.\n\nEither name the files:\n\n    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>\n    <nvram template='/usr/share/OVMF/OVMF_VARS.fd'/>\n\nor have them chosen: `<os firmware='efi'>`.";
        NO_FIRMWARE = "VC0213" "no-firmware" "None of the firmware descriptors of the host fits the domain.\n\nThe descriptors are JSON files in /usr/share/qemu/firmware and /etc/qemu/firmware. Each says for which architecture, machine types and features its firmware is.";
        BOOT = "VC0214" "boot" "The boot order or the boot menu contradicts itself.";
        TIMER = "VC0215" "timer" "The clock or a timer cannot be had on this machine.";
        SMBIOS = "VC0216" "smbios" "A value of `<sysinfo>` does not have the form that SMBIOS asks for.";
        SECURITY = "VC0217" "launch-security" "`<launchSecurity>` or `<keywrap>` asks for what this machine, QEMU or host does not have.";
        MEMORY_DEVICE = "VC0218" "memory-device" "A `<memory>` device does not fit the guest: its node, its size, its address, or the machine.";
        IOTHREAD = "VC0219" "iothread" "The I/O threads contradict each other.";
    }
}
