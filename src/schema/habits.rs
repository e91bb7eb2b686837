//! Habits of other tools: what somebody writes who knows how VirtualBox, VMware, Proxmox, Docker or QEMU itself say it, where the
//! format says it in another way altogether, so that no other word would do.

/// What to do about an element (the parent, the child) that the format does not have there.
static ELEMENTS: &[(&str, &[&str], &str)] = &[
    (
        "domain",
        &["autostart", "onboot", "startup"],
        "remove it: what starts with the host is no matter of the domain; `systemctl enable` of its unit does it",
    ),
    (
        "domain",
        &["cloudinit", "cloud-init", "cloud_init", "userdata", "user-data"],
        "remove it: the guest finds the data of cloud-init on a CD-ROM; `virtc new cloud NAME` makes one, and the <disk> for it",
    ),
    (
        "domain",
        &["osinfo", "ostype", "os-variant", "os_variant", "guestos", "variant"],
        "remove it: QEMU need not know which system runs in the guest; tools keep its name in <metadata>",
    ),
    (
        "domain",
        &["network", "networks", "pool", "volume", "domainsnapshot"],
        "remove it: libvirt defines networks, pools and snapshots in files of their own, and a domain names them",
    ),
    ("domain", &["boot", "bootorder", "boot_order"], "write it in <os>: <os>…<boot dev='hd'/></os>"),
    ("domain", &["snapshot", "snapshots", "backup", "backups"], "remove it: a snapshot is made, not described"),
    (
        "domain",
        &["sockets", "threads"],
        "write <vcpu> with the number of all CPUs, and <cpu><topology sockets='1' cores='2' threads='1'/></cpu>",
    ),
    (
        "os",
        &["secureboot", "secure-boot", "secure_boot"],
        "write <os firmware='efi'> and <firmware><feature enabled='yes' name='secure-boot'/></firmware>",
    ),
    ("os", &["root", "rootfs"], "the kernel learns of it by its command line: <cmdline>root=/dev/vda1</cmdline>"),
    ("os", &["machine"], "write it as an attribute: <type arch='x86_64' machine='q35'>hvm</type>"),
    ("os", &["arch"], "write it as an attribute: <type arch='x86_64'>hvm</type>"),
    (
        "interface",
        &["gateway", "dns", "dhcp", "nameserver", "netmask", "ipv4", "static"],
        "remove it: the guest sets its addresses itself, or has them from the DHCP server of its network",
    ),
    (
        "interface",
        &["hostfwd", "forwards", "ports", "portforward", "publish"],
        "write <backend type='passt'/> and <portForward proto='tcp'><range start='2222' to='22'/></portForward>, in an interface \
         of type='user'",
    ),
    ("interface", &["forward"], "remove it: it is of the XML of a network, not of what is plugged into one"),
    (
        "devices",
        &["guestagent", "guest-agent", "agent", "qemu-ga"],
        "write <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
    ),
    (
        "devices",
        &["share", "shares", "sharedfolder", "sharedfolders", "shared_folder", "volume", "mount"],
        "write <filesystem type='mount'><source dir='/srv/share'/><target dir='share'/></filesystem>",
    ),
    (
        "devices",
        &["gpu", "graphicscard"],
        "did you mean <video>, a graphics card of QEMU, or <hostdev mode='subsystem' type='pci'>, one of the host?",
    ),
    (
        "devices",
        &["usb", "usbdevice", "usbdev"],
        "did you mean <hostdev mode='subsystem' type='usb'>, a device of the host, or <controller type='usb'/>?",
    ),
    ("devices", &["pci", "passthrough", "vfio"], "did you mean <hostdev mode='subsystem' type='pci' managed='yes'>?"),
    ("devices", &["network", "networks", "net", "net0"], "did you mean <interface type='network'>?"),
    (
        "features",
        &["nested", "nestedhvm", "nested-virt", "hwvirtex", "vmx", "svm"],
        "remove it: that the guest can run guests is a feature of its CPU: <cpu mode='host-passthrough'/>",
    ),
    ("features", &["uefi", "efi", "ovmf"], "remove it, and write <os firmware='efi'>"),
    (
        "disk",
        &["capacity", "size"],
        "remove it: an image has its size from when it is made: qemu-img create -f qcow2 FILE 20G",
    ),
    ("disk", &["format"], "write <driver name='qemu' type='qcow2'/>"),
    ("cputune", &["limit", "cpulimit"], "write <period>100000</period> and <quota>50000</quota>, which is half a CPU"),
];

/// What to do about an attribute that the element does not have.
static ATTRIBUTES: &[(&str, &[&str], &str)] = &[
    (
        "disk",
        &["size", "capacity"],
        "remove it: an image has its size from when it is made: qemu-img create -f qcow2 FILE 20G",
    ),
    (
        "source",
        &["size", "capacity"],
        "remove it: an image has its size from when it is made: qemu-img create -f qcow2 FILE 20G",
    ),
    ("disk", &["format"], "write <driver name='qemu' type='qcow2'/> inside"),
    ("disk", &["readonly"], "write <readonly/> inside"),
    (
        "interface",
        &["ip"],
        "remove it: the guest sets its addresses itself, or has them from the DHCP server of its network",
    ),
    ("os", &["uefi", "efi"], "write <os firmware='efi'>"),
];

/// What to do about a value of an attribute (of the element itself, if it is empty).
static VALUES: &[(&str, &str, &[&str], &str)] = &[
    (
        "filesystem",
        "type",
        &["virtiofs"],
        "write type='mount', with <driver type='virtiofs'/> inside; the memory has to be shared: <memoryBacking><source \
         type='memfd'/><access mode='shared'/></memoryBacking>",
    ),
    ("filesystem", "type", &["9p", "virtio-9p", "plan9", "p9"], "write type='mount': without a <driver>, that is 9p"),
    (
        "driver",
        "type",
        &["9p", "virtio-9p", "virtio9p"],
        "remove it: a <filesystem type='mount'> without <driver> is 9p",
    ),
    (
        "disk",
        "device",
        &["lun"],
        "a LUN is a SCSI device that is handed through whole: with <disk type='block'>, or a network disk of iSCSI; an image is \
         device='disk'",
    ),
    (
        "interface",
        "type",
        &["hostonly", "host-only", "isolated", "private"],
        "write type='network', with <source network='…'/>: a network without <forward> is one of the host and its guests alone",
    ),
    (
        "interface",
        "type",
        &["ovs", "openvswitch"],
        "write type='bridge', with <source bridge='…'/> and <virtualport type='openvswitch'/> inside",
    ),
    ("graphics", "type", &["gtk"], "write 'sdl' for a window, or 'spice' and see it with virt-viewer"),
    (
        "graphics",
        "type",
        &["novnc", "vmrc", "console"],
        "write 'vnc': noVNC and others are programs that connect to it",
    ),
    (
        "disk",
        "type",
        &["iscsi", "rbd", "nbd", "ceph", "nfs", "gluster", "http", "https"],
        "write type='network', with \
      <source protocol='…' name='…'><host name='…'/></source> inside",
    ),
    ("os", "firmware", &["ovmf", "uefi", "efi64", "seabios"], "write 'efi', or 'bios' for SeaBIOS"),
];

fn find<'t>(table: impl Iterator<Item = (bool, &'t [&'t str], &'t str)>, word: &str) -> Option<&'t str> {
    let fits = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
    table.filter(|(of, words, _)| *of && fits(words)).map(|(.., advice)| advice).next()
}

/// What to do about `<child>` under `<parent>`.
pub(super) fn element(parent: &str, child: &str) -> Option<&'static str> {
    find(ELEMENTS.iter().map(|(p, words, advice)| (*p == parent, *words, *advice)), child)
}

/// What to do about an attribute of `<element>`.
pub(super) fn attribute(element: &str, name: &str) -> Option<&'static str> {
    find(ATTRIBUTES.iter().map(|(e, words, advice)| (*e == element, *words, *advice)), name)
}

/// What to do about a value that the attribute cannot have.
pub(super) fn value(element: &str, attribute: &str, value: &str) -> Option<String> {
    if let ("boot", "dev") = (element, attribute)
        && value.ends_with(|c: char| c.is_ascii_digit() || c.is_ascii_lowercase())
        && ["scsi", "virtio", "sata", "ide", "vd", "sd", "nvme", "net"].iter().any(|bus| value.starts_with(bus))
    {
        return Some(
            "write <boot order='1'/> inside the <disk> or <interface> that is meant, and none here".to_string(),
        );
    }
    if let ("type", "machine", Some((own, _))) = (element, attribute, value.split_once('+')) {
        return Some(format!("what follows the '+' is of another tool, such as Proxmox: write '{own}'"));
    }
    let table = VALUES.iter().map(|(e, a, words, advice)| (*e == element && *a == attribute, *words, *advice));
    find(table, value).map(str::to_string)
}

/// What is wrong with a MAC address, and the one that was meant.
pub(super) fn mac(value: &str) -> Option<(String, Option<String>)> {
    let digits: String = value.chars().filter(|c| !matches!(c, ':' | '-' | '.' | ' ')).collect();
    if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let bytes: Vec<&str> = (0..6).filter_map(|at| digits.get(at * 2..at * 2 + 2)).collect();
    let written = bytes.join(":").to_lowercase();
    if u8::from_str_radix(bytes.first()?, 16).ok()? % 2 == 1 {
        let help =
            "it is the address of a group of cards, as its odd second digit says: choose another, such as '52:54:00:…'";
        return Some((help.to_string(), None));
    }
    Some((format!("write '{written}'"), Some(written)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_known_where_they_are_meant() {
        assert!(element("domain", "autostart").is_some_and(|a| a.contains("systemctl enable")));
        assert!(element("devices", "autostart").is_none());
        assert!(attribute("disk", "SIZE").is_some());
        assert!(value("filesystem", "type", "virtiofs").is_some_and(|a| a.contains("<driver type='virtiofs'/>")));
        assert!(value("boot", "dev", "scsi0").is_some() && value("boot", "dev", "disk").is_none());
        assert!(value("type", "machine", "pc-q35-8.1+pve0").is_some_and(|a| a.ends_with("write 'pc-q35-8.1'")));
    }

    #[test]
    fn a_mac_address_is_read_as_others_write_it() {
        let meant = |text: &str| mac(text).and_then(|(_, meant)| meant);
        for text in ["525400AABBCC", "52-54-00-AA-BB-CC", "5254.00aa.bbcc"] {
            assert_eq!(meant(text).as_deref(), Some("52:54:00:aa:bb:cc"), "{text}");
        }
        assert!(mac("01:00:5e:00:00:01").is_some_and(|(help, meant)| help.contains("group") && meant.is_none()));
        assert!(mac("auto").is_none() && mac("52:54:00:11:22").is_none());
    }
}
