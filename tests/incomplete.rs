//! What an edited domain lacks: where libvirt takes it for not there, where it has a usual value, and where it is refused.
//! The expectations were learnt from libvirt 11.3 itself (`tests/oracle/`), by leaving out each attribute and element once.

use crate::kinds::{compiled, normalised, unsaid};

/// A disk at a server, with this in its source.
fn at_server(source: &str) -> String {
    format!("<disk type='network'><source {source}</source><target dev='vda' bus='virtio'/></disk>")
}

/// A file as disk, with this beside and in its source.
fn file(beside: &str, inside: &str) -> String {
    format!(
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/x'>{inside}</source>{beside}\
         <target dev='vda' bus='virtio'/></disk>"
    )
}

#[test]
fn what_lacks_its_key_is_as_if_it_were_not_there() {
    let cases = [
        (at_server("protocol='http' name='a'><host name='h'/><timeout/>"), "timeout"),
        (at_server("protocol='http' name='a'><host name='h'/><readahead size='0'/>"), "readahead"),
        (at_server("protocol='nbd' name='a'><host name='h'/><reconnect/>"), "reconnect"),
        (at_server("protocol='rbd' name='a/b'><config/>"), "config"),
        (file("<backingStore><format type='raw'/><source file='/y'/></backingStore>", ""), "/y"),
        (file("", "<slices><slice offset='0' size='100'/></slices>"), "slice"),
        ("<interface type='user'><mtu/></interface>".into(), "mtu"),
        ("<interface type='ethernet'><script/><downscript/></interface>".into(), "script"),
        ("<interface type='ethernet' managed='yes'/>".into(), "interface type='ethernet' managed"),
        ("<rng model='virtio'><rate period='5'/><backend model='random'>/dev/random</backend></rng>".into(), "rate"),
        ("<serial type='pty'><log append='on'/></serial>".into(), "<log"),
        ("<tpm><backend type='emulator'><encryption/></backend></tpm>".into(), "encryption"),
        (
            "<filesystem><driver type='path'/><binary path='/v'/><source dir='/a'/><target dir='t'/></filesystem>"
                .into(),
            "binary",
        ),
        ("<controller type='scsi'><address type='pci' function='0x1' multifunction='on'/></controller>".into(), "0x1' multi"),
        (
            "<interface type='network'><source network='n'/><virtualport type='midonet'><parameters managerid='1'/></virtualport></interface>"
                .into(),
            "managerid",
        ),
    ];
    for (devices, gone) in cases {
        let xml = normalised("", &devices);
        assert!(!xml.contains(gone), "{devices}: {xml}");
    }
}

#[test]
fn what_is_left_out_has_its_usual_value() {
    let cases = [
        ("<redirdev bus='usb' type='dbus'/>", "<source channel='org.qemu.usbredir'/>"),
        ("<pstore backend='acpi-erst'><size unit='KiB'>8</size></pstore>", "nvram/vm_PSTORE.raw</path>"),
        ("<graphics type='sdl'/><graphics type='vnc'/>", "<audio id='1' type='none'/>"),
        ("<graphics type='vnc'/><graphics type='spice'/>", "<audio id='1' type='spice'/>"),
        ("<audio id='1' type='none'><input fixedSettings='yes' mixingEngine='yes'/></audio>", "<settings/>"),
        (
            "<serial type='pty'><target type='isa-serial'/></serial><serial type='pty'><target type='isa-serial' port='0'/></serial>",
            "<target type='isa-serial' port='1'>",
        ),
        (
            "<serial type='pty'><target type='usb-serial'/></serial><serial type='pty'><target type='usb-serial' port='3'/></serial>",
            "<target type='usb-serial' port='4'>",
        ),
        (
            "<parallel type='pty'/><parallel type='pty'><target port='2'/></parallel><parallel type='pty'/>",
            "<target port='3'/>",
        ),
        ("<interface type='network'><source network='n'/><virtualport/></interface>", "<parameters instanceid="),
        ("<tpm><backend type='passthrough'><device/></backend></tpm>", "<device path='/dev/tpm0'/>"),
    ];
    for (devices, expected) in cases {
        let xml = normalised("", devices);
        assert!(xml.contains(expected), "{devices}: {xml}");
    }
}

/// Devices that lack something that libvirt asks for, and the words of the fault.
const REFUSED: &[(&str, &[&str])] = &[
    ("<graphics type='vnc'><audio id='2'/></graphics>", &["id='2'", "no <audio>"]),
    ("<graphics type='vnc'><audio id='0'/></graphics>", &["zero"]),
    ("<controller type='pci' index='1'/>", &["model"]),
    (
        "<controller type='usb' index='0' model='qemu-xhci'/><controller type='usb' index='0' model='nec-xhci'/>",
        &["USB", "index"],
    ),
    ("<lease><lockspace>a</lockspace><target path='/x'/></lease>", &["'key'", "lease"]),
    ("<watchdog action='reset'/>", &["'model'", "<watchdog>"]),
    ("<redirdev bus='usb'/>", &["lacks", "'type'"]),
    ("<tpm><backend type='emulator'><source type='dir'/></backend></tpm>", &["path"]),
    ("<tpm><backend type='external'><source path='/a'/></backend></tpm>", &["type", "external"]),
    ("<serial type='pty'><target type='isa-serial' port='7'/></serial>", &["at most 4"]),
    (
        "<serial type='pty'><target type='isa-serial' port='1'/></serial><serial type='pty'><target type='isa-serial' port='1'/></serial>",
        &["port '1'", "already"],
    ),
    ("<interface type='ethernet'><source><route address='10.0.0.0'/></source></interface>", &["gateway"]),
    (
        "<interface type='ethernet'><source><route address='10.1.0.0' gateway='10.0.0.1'/></source></interface>",
        &["'10.1.0.0'", "not a network address"],
    ),
    ("<interface type='network'><source network='n'/><teaming type='transient'/></interface>", &["persistent"]),
    (
        "<interface type='network'><source network='n'/><virtualport type='802.1Qbh'><parameters managerid='1'/></virtualport></interface>",
        &["managerid", "extra"],
    ),
    (
        "<disk type='nvme'><source type='pci' namespace='1'/><target dev='vda' bus='virtio'/></disk>",
        &["<address>", "NVMe"],
    ),
    (
        "<disk type='file'><driver type='qcow2'/><source file='/x'><dataStore type='file'><source file='/y'/></dataStore></source><target dev='vda'/></disk>",
        &["format", "missing"],
    ),
    (
        "<disk type='network'><source protocol='http' name='a'><host name='h'/><cookies><cookie name='c'>1</cookie><cookie name='c'>2</cookie></cookies></source><target dev='vda'/></disk>",
        &["duplicate", "'c'"],
    ),
    (
        "<disk type='network'><source protocol='ssh' name='a'><host name='h'/><identity username='u'/></source><target dev='vda'/></disk>",
        &["'keyfile'", "'agentsock'"],
    ),
    (
        "<disk type='dir' device='cdrom'><driver type='raw'/><source file='/x'/><target dev='sda' bus='sata'/></disk>",
        &["'dir'", "'fat'"],
    ),
    (
        "<hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='n'><host port='3260'/></source></hostdev>",
        &["name", "<host>"],
    ),
    ("<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='x'/></hostdev>", &["'x'", "malformed"]),
    ("<panic model='isa'><address type='pci'/></panic>", &["ISA"]),
];

#[test]
fn what_libvirt_asks_for_is_asked_for() {
    let missing: Vec<String> =
        REFUSED.iter().filter_map(|(devices, words)| unsaid(&compiled("", devices), devices, words)).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
