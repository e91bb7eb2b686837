//! VC10xx: host facts, capabilities and other inputs.
super::codes! {
    /// Codes of host facts and capabilities.
    inputs {
        HOST_SYNTAX = "VC1001" "host-facts-syntax" "The host-facts file is not KDL version 2.\n\nA node is a name, its arguments and properties, and its children in braces; it ends with its line or with ';'. Strings are in quotes, booleans are #true and #false.\n\nbefore: log-timestamp true\nafter:  log-timestamp #true";
        HOST_NODE = "VC1002" "host-facts-node" "The host-facts file has a node, property or argument that the format does not know. Nothing is ignored silently: a misspelt fact would otherwise be its default.\n\nbefore: numma { node 0 cpus=\"0-3\" }\nafter:  numa { node 0 cpus=\"0-3\" }";
        HOST_VALUE = "VC1004" "host-facts-value" "A host fact has a value that it cannot have: a wrong type, a word that is not one of its words, a number out of range. Sizes are strings with a unit, paths are absolute.\n\nbefore: page-size 4096\nafter:  page-size \"4KiB\"";
        HOST_MISSING = "VC1005" "host-facts-missing" "A host fact lacks a part that it cannot do without. The document begins with 'host-facts version=1' and has a 'machine' with 'arch'.\n\nbefore: hugepages { mount \"/dev/hugepages\" }\nafter:  hugepages { mount \"/dev/hugepages\" page-size=\"2MiB\" }";
        HOST_TWICE = "VC1006" "host-facts-twice" "A host fact that there can be only one of stands twice. Remove one of them.\n\nbefore: page-size \"4KiB\" … page-size \"64KiB\"\nafter:  page-size \"4KiB\"";
        CAPS = "VC1003" "capabilities" "The capabilities file cannot be read: it is neither libvirt's `<qemuCaps>` XML nor virtc's own format, or it is damaged.\n\nMake a new one with `virtc probe qemu`, or leave `--caps` out to use the embedded profile.\n\nbefore: virtc argv vm.xml --caps vm.xml\nafter:  virtc probe qemu -o caps.xml && virtc argv vm.xml --caps caps.xml";
        CAPS_UNKNOWN = "VC1007" "capabilities-unknown" "The capabilities file has something that this version of virtc does not know, as a newer libvirt or QEMU may write. It is not used.\n\nbefore: --caps of a newer libvirt, with a <flag name='…'/> that virtc has not heard of\nafter:  --caps made by `virtc probe qemu`, or a later virtc";
        QEMU_CONF_SYNTAX = "VC1008" "qemu-conf-syntax" "The file is not in the form of libvirt's qemu.conf: one `key = value` a line, strings in quotes, numbers without, lists in brackets.\n\nbefore: user = root\nafter:  user = \"root\"";
        QEMU_CONF_KEY = "VC1009" "qemu-conf-key" "libvirt 11.3 has no such key in qemu.conf, and would ignore it.\n\nbefore: vnc_tlss = 1\nafter:  vnc_tls = 1";
        QEMU_CONF_VALUE = "VC1010" "qemu-conf-value" "A key of qemu.conf has a value that it cannot have.\n\nbefore: vnc_tls = \"yes\"\nafter:  vnc_tls = 1";
        QEMU_CONF_UNUSED = "VC1011" "qemu-conf-unused" "The key steers something that libvirt's daemon does while machines run, or that systemd does here. It becomes no host fact.\n\nbefore: keepalive_interval = 5\nafter:  no such line: there is no connection to a daemon to keep alive";
        ARGV = "VC1012" "command-line" "The file holds no command line that can be read without a shell: quotes must be closed, and variables, substitutions and pipes must be replaced by what they stand for.\n\nbefore: qemu-system-x86_64 -hda $DISK\nafter:  qemu-system-x86_64 -hda /images/disk.img";
        KDL_DOMAIN = "VC1013" "kdl-domain" "The file is no domain in KDL version 2: one node at the top, each node an element, its properties the attributes, its argument the text.\n\nbefore: memory 2 \"GiB\"\nafter:  memory 2 unit=\"GiB\"";
    }
}
