//! The reference of `host.kdl`: every node with an example that reads, and what its parts mean. The manual and
//! virtc-host(5) are written from it; tests hold it against the reader. What is declared in rows describes itself.

use super::rows::Facts;
use super::{Directories, Instance, Machine, Ports, Process, Security, Service};

/// A node of the document.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub about: &'static str,
    /// As it may stand in a file.
    pub example: &'static str,
    /// Children and properties with what they mean, units and defaults.
    pub parts: &'static [(&'static str, &'static str)],
}

/// The settings of a service that only has certificates.
const CERTIFICATES: &[(&str, &str)] = &[
    ("tls", "whether it speaks TLS; #false"),
    ("tls-verify", "whether the other side has to show a certificate"),
    ("tls-dir", "folder of the certificates"),
    ("tls-secret", "UUID of the secret with the passphrase of the key"),
    ("tls-priority", "which algorithms are taken, in the words of GnuTLS"),
];

/// Every node, in the order in which a reader wants to know of it.
pub const NODES: &[Entry] = &[
    Entry {
        name: "host-facts",
        about: "The first node of every file: the version of the format.",
        example: "host-facts version=1",
        parts: &[("version", "1")],
    },
    Entry {
        name: "machine",
        about: "The hardware. The only node that has to be there, with arch.",
        example: "machine {\n    arch \"x86_64\"\n    page-size \"4KiB\"\n    physical-address-bits 46\n    vhost-net policy=\"auto\"\n    cpu model=\"Skylake-Server\" vendor=\"Intel\" sockets=1 cores=8 threads=2 {\n        feature \"vmx\"\n    }\n    kvm max-vcpus=1024\n    tpm \"/dev/tpm0\" cancel-path=\"/sys/class/tpm/tpm0/device/cancel\"\n}",
        parts: Machine::PARTS,
    },
    Entry {
        name: "root",
        about: "The folder that stands for / of the machine that is described, relative to the file: descriptors are read below it.",
        example: "root \"/\"",
        parts: &[],
    },
    Entry {
        name: "random",
        about: "Where the bytes come from that libvirt draws at random: \"derived\" (from name and UUID, the default), \"counting\", or \"seed:\" and hexadecimal digits.",
        example: "random \"derived\"",
        parts: &[],
    },
    Entry {
        name: "clock",
        about: "The wall clock, for domains whose time of day has an offset.",
        example: "clock now=\"2026-01-01T00:00:00Z\" timezone=\"UTC\"",
        parts: &[("now", "the time; that of compiling when left out"), ("timezone", "as in TZ; \"UTC\"")],
    },
    Entry {
        name: "ports",
        about: "The first free port of each range, for displays that choose one.",
        example: "ports vnc=5900 vnc-websocket=5700 spice=5900 spice-tls=5900 rdp=3389",
        parts: Ports::PARTS,
    },
    Entry {
        name: "numa",
        about: "NUMA nodes. Without it: one node with all CPUs.",
        example: "numa {\n    node 0 cpus=\"0-7\" memory=\"64GiB\" free=\"32GiB\" {\n        pages \"4KiB\" \"2MiB\"\n    }\n    placement-advice \"0\"\n}",
        parts: &[
            ("node", "number of a node, its cpus, memory and free memory; pages: sizes that it has pools for"),
            ("placement-advice", "nodes that <numatune placement='auto'> takes; all of them"),
        ],
    },
    Entry {
        name: "hugepages",
        about: "Where file systems of huge pages are mounted.",
        example: "hugepages {\n    mount \"/dev/hugepages\" page-size=\"2MiB\" default=#true\n}",
        parts: &[("mount", "mount point, page-size, and default: taken when the domain names no size")],
    },
    Entry {
        name: "environment",
        about: "Variables in the environment of who starts QEMU; some change what QEMU is told (sound, TMPDIR).",
        example: "environment {\n    PATH \"/usr/bin\"\n}",
        parts: &[],
    },
    Entry {
        name: "instance",
        about: "Which instance of libvirt is stood in for, and its switches. In brackets: the key of qemu.conf.",
        example: "instance {\n    mode \"system\"\n    security-driver \"apparmor\"\n    seccomp-sandbox \"auto\"\n}",
        parts: Instance::PARTS,
    },
    Entry {
        name: "process",
        about: "How the processes are run. In brackets: the key of qemu.conf.",
        example: "process {\n    max-files 32768\n    device-acl \"/dev/null\" \"/dev/full\" \"/dev/zero\" \"/dev/random\" \"/dev/urandom\" \"/dev/ptmx\" \"/dev/kvm\"\n    helper \"pr\" path=\"/usr/bin/qemu-pr-helper\"\n}",
        parts: Process::PARTS,
    },
    Entry {
        name: "security",
        about: "Accounts, ownership, contexts, and what guests may have although it is the system's. In brackets: the key of qemu.conf.",
        example: "security {\n    dynamic-ownership #true\n    selinux range=\"s0-s0:c0.c1023\"\n    allow-path \"/etc/vm-secrets\"\n}",
        parts: Security::PARTS,
    },
    Entry {
        name: "directories",
        about: "Where the files of each domain go.",
        example: "directories {\n    nvram \"/var/lib/libvirt/qemu/nvram\"\n}",
        parts: Directories::PARTS,
    },
    Entry {
        name: "vnc",
        about: "What VNC does when the domain does not say. Settings stand as children or as properties.",
        example: "vnc listen=\"127.0.0.1\" tls=#false",
        parts: Service::PARTS,
    },
    Entry {
        name: "spice",
        about: "The same of SPICE.",
        example: "spice {\n    listen \"127.0.0.1\"\n    tls #true\n    tls-dir \"/etc/pki/libvirt-spice\"\n}",
        parts: Service::PARTS,
    },
    Entry {
        name: "rdp",
        about: "The same of RDP.",
        example: "rdp tls-dir=\"/etc/pki/libvirt-rdp\"",
        parts: Service::PARTS,
    },
    Entry {
        name: "chardev",
        about: "TLS of character devices that are TCP sockets.",
        example: "chardev tls=#true tls-dir=\"/etc/pki/libvirt-chardev\"",
        parts: CERTIFICATES,
    },
    Entry {
        name: "nbd",
        about: "TLS of disks by NBD.",
        example: "nbd tls=#true tls-dir=\"/etc/pki/libvirt-nbd\"",
        parts: CERTIFICATES,
    },
    Entry {
        name: "vxhs",
        about: "TLS of disks by VxHS.",
        example: "vxhs tls=#true tls-dir=\"/etc/pki/libvirt-vxhs\"",
        parts: CERTIFICATES,
    },
    Entry {
        name: "migration",
        about: "TLS of migration.",
        example: "migration tls-dir=\"/etc/pki/libvirt-migrate\"",
        parts: CERTIFICATES,
    },
    Entry {
        name: "backup",
        about: "TLS of backups.",
        example: "backup tls-dir=\"/etc/pki/libvirt-backup\"",
        parts: CERTIFICATES,
    },
    Entry {
        name: "firmware",
        about: "Where firmware is found.",
        example: "firmware {\n    descriptors \"/usr/share/qemu/firmware\" \"/etc/qemu/firmware\"\n    shipped-by \"debian-13\"\n    nvram-template code=\"/usr/share/OVMF/OVMF_CODE_4M.fd\" vars=\"/usr/share/OVMF/OVMF_VARS_4M.fd\"\n}",
        parts: &[
            ("descriptors", "folders of descriptors, the last one counts most"),
            (
                "shipped-by",
                "a distribution whose firmware is there: debian-13, fedora-44, ubuntu-26.04, arch, debian-12",
            ),
            ("nvram-template", "code of UEFI, and vars: the template of its variables (nvram)"),
        ],
    },
    Entry {
        name: "vhost-user",
        about: "Where helpers of vhost-user devices (virtiofsd, GPUs) are found.",
        example: "vhost-user {\n    descriptors \"/usr/share/qemu/vhost-user\"\n    helper \"/usr/libexec/virtiofsd\" type=\"fs\" {\n        feature \"migrate-precopy\"\n    }\n}",
        parts: &[
            ("descriptors", "folders of descriptors, the last one counts most"),
            ("helper", "a program, its type, and feature: what it says that it can do"),
        ],
    },
    Entry {
        name: "swtpm",
        about: "The emulator of TPMs is there.",
        example: "swtpm {\n    tpm-version \"1.2\" \"2.0\"\n}",
        parts: &[
            ("socket", "a socket on which one listens already"),
            ("tpm-version", "versions that it can be: 1.2, 2.0"),
        ],
    },
    Entry {
        name: "nbdkit",
        about: "nbdkit is there.",
        example: "nbdkit \"/usr/sbin/nbdkit\" enabled=#true {\n    plugin \"curl\" \"ssh\"\n}",
        parts: &[("enabled", "disks by HTTP and SSH go through it; #false"), ("plugin", "plug-ins that it has")],
    },
    Entry {
        name: "qemu-vnc",
        about: "The server that shows a D-Bus display by VNC.",
        example: "qemu-vnc \"/usr/bin/qemu-vnc\"",
        parts: &[],
    },
    Entry {
        name: "secret",
        about: "A secret, by UUID, or by usage-type and usage. It never stands in a command line.",
        example: "secret \"0f6a1c2e-57b4-4c0a-9d3e-1b2c3d4e5f60\" value=\"wonderland\"",
        parts: &[
            ("usage-type", "what it is for: volume, ceph, iscsi, tls, vtpm"),
            ("usage", "the name under which the domain asks for it"),
            ("value", "the secret, as it is"),
        ],
    },
    Entry {
        name: "network",
        about: "A virtual network that domains name. One with dhcp is virtc's to make, for units.",
        example: "network \"default\" {\n    forward \"nat\"\n    bridge \"virbr0\"\n    address \"192.168.122.1/24\"\n    port plug=\"network\" bridge=\"virbr0\"\n    dhcp first=\"192.168.122.2\" last=\"192.168.122.254\" {\n        host mac=\"52:54:00:00:00:0b\" address=\"192.168.122.50\"\n    }\n}",
        parts: &[
            (
                "forward",
                "how it reaches the outside: none, nat, route, open, bridge, private, vepa, passthrough, hostdev; managed; interface: devices of the host",
            ),
            ("bridge", "the bridge"),
            ("address", "addresses of the host on it, with the length of the prefix"),
            ("dhcp", "first and last address for machines; host: a machine that always gets the same"),
            ("virtualport", "type of virtual port (openvswitch)"),
            (
                "port",
                "what a card is plugged into: plug (network, bridge, direct, hostdev-pci), bridge, address, managed, trust-guest-rx-filters",
            ),
        ],
    },
    Entry {
        name: "storage-pool",
        about: "A storage pool that domains name.",
        example: "storage-pool \"images\" type=\"dir\" state=\"active\" {\n    target \"/srv/images\"\n    volume \"web.qcow2\" type=\"file\" path=\"/srv/images/web.qcow2\"\n}",
        parts: &[
            (
                "type",
                "kind of pool: dir, fs, netfs, logical, disk, iscsi, iscsi-direct, scsi, mpath, rbd, sheepdog, gluster, zfs, vstorage",
            ),
            ("state", "active, or inactive; active"),
            ("host", "the server of a pool by the network"),
            ("device", "the device or target of it"),
            ("target", "its folder"),
            ("auth", "type, username and secret"),
            ("volume", "a volume: its name, type (file, block, dir, network) and path"),
        ],
    },
    Entry {
        name: "pci-device",
        about: "A PCI device of the host.",
        example: "pci-device \"0000:01:00.0\" vendor=0x8086 device=0x1528 iommu-group=14 express=#true",
        parts: &[
            ("vendor, device, class", "its numbers"),
            ("iommu-group", "the devices that can only be handed over together"),
            ("express", "whether it speaks PCI Express; #true"),
            ("physfn", "the device that it is a virtual function of"),
        ],
    },
    Entry {
        name: "scsi-device",
        about: "A SCSI device of the host, and its generic node.",
        example: "scsi-device host=0 bus=0 target=0 unit=0 sg=\"sg0\"",
        parts: &[("host, bus, target, unit", "its address"), ("sg", "name of the node, as sg0")],
    },
    Entry {
        name: "start",
        about: "What is started before a machine of this host, when the host starts, or when somebody starts several. A machine counts as started when its guest runs, not when the guest's programs answer.",
        example: "start \"web\" {\n    after \"db\" \"cache\"\n    wants \"db\"\n}",
        parts: &[
            ("after", "the machines that it waits for, where they are started, too (After= of its unit)"),
            ("wants", "the machines that are started with it (Wants=)"),
        ],
    },
    Entry {
        name: "fd-group",
        about: "Descriptors that who starts QEMU hands in, for disks that name the group.",
        example: "fd-group \"images\" count=1",
        parts: &[("count", "how many"), ("writable", "whether they can be written; #false")],
    },
    Entry {
        name: "link",
        about: "Where a symbolic link, or a folder behind one, leads. AppArmor looks at what is behind it.",
        example: "link \"/dev/vg0/web\" to=\"/dev/dm-3\"",
        parts: &[("to", "what it leads to")],
    },
    Entry {
        name: "image",
        about: "What the header of an image names: it is granted where the domain does not end the chain.",
        example: "image \"/srv/web.qcow2\" backing=\"/srv/base.qcow2\" backing-format=\"qcow2\"",
        parts: &[("backing, backing-format", "the image below"), ("data-file", "where its data are")],
    },
    Entry {
        name: "mount",
        about: "A file system whose files have no SELinux labels: NFS, CIFS, FAT, FUSE.",
        example: "mount \"/srv/nfs\" type=\"nfs\"",
        parts: &[("type", "the file system"), ("labels", "whether files on it have labels all the same; #false")],
    },
];

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut out = String::new();
    for node in NODES {
        out += &format!("### {}\n\n{}\n\n```kdl\n{}\n```\n\n", node.name, node.about, node.example);
        if !node.parts.is_empty() {
            out.push_str("| part | meaning |\n|---|---|\n");
            let part = |(name, meaning): &(&str, &str)| format!("| `{}` | {meaning} |\n", name.replace(", ", "`, `"));
            out.extend(node.parts.iter().map(part));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Diagnostics;

    #[test]
    fn every_example_reads() {
        let text = NODES.iter().map(|n| format!("{}\n", n.example)).collect::<String>();
        let mut diags = Diagnostics::new();
        crate::host::read(&text, &mut diags);
        let said = Vec::from_iter(diags.iter().map(|d| format!("{} at {:?}", d.message, text.get(d.span.range()))));
        assert!(said.is_empty(), "{said:#?}");
    }

    #[test]
    fn what_the_reader_knows_is_described() {
        for (node, table) in crate::host::read::tables() {
            for (name, _) in table {
                let here = NODES.iter().filter(|n| node.is_empty() || n.name == node);
                let known = match node {
                    "" => NODES.iter().any(|n| n.name == *name),
                    _ => here.flat_map(|n| n.parts).any(|(part, _)| part.split(", ").any(|p| p == *name)),
                };
                assert!(known, "'{name}' of '{node}' is not in the reference");
            }
        }
        assert_eq!(NODES.len(), crate::host::read::tables()[0].1.len());
    }
}
