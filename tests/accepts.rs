//! What libvirt takes, virtc takes: what a running machine's XML says of the run, what tools write that says nothing, what belongs to
//! another kind of thing. And what libvirt refuses is refused. The expectations were learnt from libvirt 11.3 (`tests/oracle/`).

use virtc::caps::profiles;
use virtc::compile::{Compiled, Until, compile};
use virtc::diag::{Diagnostic, Severity};
use virtc::host::Host;
use virtc::plan::Target;
use virtc::stage::Options;
use virtc::vocab::{Arch, Release};

fn compiled(target: Target, head: &str, os: &str, devices: &str) -> Compiled {
    let text = format!(
        "<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory>{head}\
         <os><type arch='x86_64' machine='q35'>hvm</type>{os}</os><devices>{devices}</devices></domain>"
    );
    let caps = profiles::default(Arch::X86_64).expect("an embedded profile");
    let options = Options { target, ..Options::default() };
    compile(text.as_bytes(), &Host::default(), &caps, &options, Until::Planned)
}

fn told(compiled: &Compiled, severity: Severity) -> Vec<String> {
    compiled.diags.iter().filter(|d| d.severity == severity).map(|d| d.message.clone()).collect()
}

/// Compiles with nothing but remarks; gives the warnings, without those of the machine's sense.
fn accepted(target: Target, head: &str, os: &str, devices: &str) -> Vec<String> {
    let compiled = compiled(target, head, os, devices);
    assert_eq!(told(&compiled, Severity::Error), Vec::<String>::new(), "{head}{os}{devices}");
    let of_format = |d: &&Diagnostic| d.severity == Severity::Warning && !d.code.is_lint();
    compiled.diags.iter().filter(of_format).map(|d| d.message.clone()).collect()
}

const OLD: Target = Target::Libvirt(Release::OLDEST);

#[test]
fn what_dumpxml_says_of_a_run_is_passed_over() {
    let live = [
        "<serial type='pty'><source path='/dev/pts/3'/><target port='0'/><alias name='serial0'/></serial>\
         <console type='pty' tty='/dev/pts/3'><source path='/dev/pts/3'/><target type='serial' port='0'/><alias name='serial0'/></console>",
        "<controller type='usb' model='qemu-xhci'/><hostdev mode='subsystem' type='usb'>\
         <source startupPolicy='optional' missing='yes'><vendor id='0x046d'/><product id='0x0123'/></source></hostdev>",
        "<interface type='user'><mac address='52:54:00:12:34:56'/><model type='virtio'/>\
         <address type='pci' domain='0x0000' bus='0x00' slot='0x10' function='0x00'/></interface>",
    ];
    for devices in live {
        for target in [Target::Standalone, OLD] {
            assert_eq!(accepted(target, "", "", devices), Vec::<String>::new(), "{devices}");
        }
    }
}

#[test]
fn an_empty_element_says_nothing_and_is_told() {
    for target in [Target::Standalone, OLD] {
        let warnings = accepted(target, "<uuid></uuid><title></title>", "<kernel></kernel><initrd></initrd>", "");
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        assert!(warnings.iter().all(|w| w.contains("is empty")), "{warnings:?}");
    }
    let compiled = compiled(OLD, "", "<boot dev=''/>", "");
    assert!(compiled.diags.has_errors(), "an empty word is none of the words");
    assert_eq!(accepted(Target::Standalone, "", "<smbios mode='none'/>", ""), Vec::<String>::new());
}

#[test]
fn the_machine_has_the_uuid_of_its_tables() {
    let uuid = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0";
    let head = format!("<sysinfo type='smbios'><system><entry name='uuid'>{uuid}</entry></system></sysinfo>");
    let compiled = compiled(OLD, &head, "<smbios mode='sysinfo'/>", "");
    assert_eq!(compiled.domain.and_then(|d| d.uuid).map(|u| u.to_string()).as_deref(), Some(uuid));
}

#[test]
fn options_of_virtio_elsewhere_are_a_warning() {
    let devices = [
        "<controller type='usb' index='0'><driver iommu='on'/></controller>",
        "<input type='mouse' bus='ps2'><driver packed='on'/></input>",
    ];
    for device in devices {
        let warnings = accepted(Target::Standalone, "", "", device);
        assert!(warnings.iter().any(|w| w.contains("no effect")), "{warnings:?}");
    }
}

#[test]
fn what_libvirt_refuses_is_refused() {
    let disk = |target: &str, address: &str| {
        format!("<disk type='file'><source file='/a.img'/><target {target}/>{address}</disk>")
    };
    let mapped = |queues: &str| {
        format!(
            "<controller type='scsi' model='virtio-scsi'><driver queues='2'><iothreads>{queues}</iothreads></driver></controller>"
        )
    };
    let cases = [
        (disk("dev='vda' tray='open'", ""), "tray"),
        (disk("dev='vda'", "<address type='ccw' cssid='0xfe'/>"), "partial"),
        (
            "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/><model type='e1000'/></interface>".to_string(),
            "must be 'virtio'",
        ),
        ("<panic model='pvpanic'><address type='isa'/></panic>".to_string(), "PCI"),
        ("<controller type='usb' model='none'/><controller type='usb' model='none'/>".to_string(), "disabled"),
        ("<controller type='usb' ports='8' model='piix3-uhci'/>".to_string(), "number of ports"),
        (
            "<controller type='pci' index='0' model='pcie-root'><target hotplug='off'/></controller>".to_string(),
            "hotplug",
        ),
        (mapped("<iothread id='1'><queue id='0'/><queue id='0'/></iothread>"), "already assigned"),
        (mapped("<iothread id='1'><queue id='0'/></iothread>"), "'1'"),
    ];
    for (devices, word) in cases {
        let compiled = compiled(OLD, "<iothreads>1</iothreads>", "", &devices);
        let errors = told(&compiled, Severity::Error);
        assert!(errors.iter().any(|e| e.contains(word)), "{devices}: {errors:?}");
    }
}

#[test]
fn controllers_that_devices_and_boards_bring_along() {
    let printed = |devices: &str| {
        let compiled = compiled(OLD, "", "", devices);
        assert_eq!(told(&compiled, Severity::Error), Vec::<String>::new());
        compiled.domain.map(|d| virtc::domain::print(&d)).unwrap_or_default()
    };
    let beside = printed("<controller type='usb' index='7' model='nec-xhci'/>");
    assert!(beside.contains("<controller type='usb' index='0' model='qemu-xhci'>"), "{beside}");
    let scsi = printed(
        "<controller type='scsi' index='3' model='virtio-scsi'/>\
         <hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='iqn.2026-01.org.example:a/1'><host name='example.org' port='3260'/></source></hostdev>",
    );
    assert!(scsi.contains("<controller type='scsi' index='0' model='lsilogic'>"), "{scsi}");
}

#[test]
fn a_distance_holds_both_ways_until_the_other_side_tells_its_own() {
    let cell = |id: u32, siblings: &str| {
        format!("<cell id='{id}' cpus='{id}' memory='32' unit='MiB'><distances>{siblings}</distances></cell>")
    };
    let head = format!(
        "<vcpu>2</vcpu><cpu><numa>{}{}</numa></cpu>",
        cell(0, "<sibling id='1' value='21'/><sibling id='1' value='41'/>"),
        "<cell id='1' cpus='1' memory='32' unit='MiB'/>"
    );
    let compiled = compiled(OLD, &head, "", "");
    let text = compiled.domain.map(|d| virtc::domain::print(&d)).unwrap_or_default();
    let siblings: Vec<&str> = text.lines().map(str::trim).filter(|l| l.starts_with("<sibling")).collect();
    assert_eq!(
        siblings,
        [
            "<sibling id='0' value='10'/>",
            "<sibling id='1' value='41'/>",
            "<sibling id='0' value='21'/>",
            "<sibling id='1' value='10'/>"
        ]
    );
}

/// What belongs to another variant of an element, libvirt passes over; so it is a warning, and the machine is the same.
#[test]
fn what_is_for_another_variant_is_a_warning() {
    let display = "<graphics type='spice' port='5901' passwdValidTo='1970-01-01T00:00:01'/>";
    let disk =
        "<disk type='block' device='disk'><source dev='/dev/vg/a' name='a'/><target dev='vda' bus='virtio'/></disk>";
    let hyperv =
        "<features><acpi/><hyperv mode='passthrough'><relaxed state='on'/><vapic state='on'/></hyperv></features>";
    let labelled = "<disk type='file'><source file='/a.img'><seclabel model='dac' relabel='no' type='none'/></source>\
        <target dev='vda' bus='virtio'/></disk>";
    let cases =
        [("", display, "passwdValidTo"), ("", disk, "'name'"), (hyperv, "", "<relaxed>"), ("", labelled, "'type'")];
    for (head, devices, what) in cases {
        let warnings = accepted(Target::Standalone, head, "", devices);
        assert!(warnings.iter().any(|w| w.contains(what)), "{what}: {warnings:?}");
    }
}

/// A PCI bridge is placed where a card may be; a card goes anywhere by hand.
#[test]
fn a_pci_bridge_stands_where_the_xml_says() {
    let bridge = "<controller type='pci' index='0' model='pcie-root'/><controller type='pci' index='1' model='pci-bridge'>\
        <address type='pci' domain='0' bus='0' slot='8' function='0'/></controller>";
    for target in [Target::Standalone, OLD] {
        assert_eq!(accepted(target, "", "", bridge), Vec::<String>::new());
    }
}

/// Tables of SMBIOS without entries, an empty path: nothing is said by them.
#[test]
fn what_is_empty_is_a_warning() {
    let tables = "<sysinfo type='smbios'><bios/><system/><baseBoard/></sysinfo>";
    assert_eq!(accepted(Target::Standalone, tables, "", "").len(), 3);
    let cdrom = "<disk type='file' device='cdrom'><source file=''/><target dev='sda' bus='sata'/><readonly/></disk>";
    let warnings = accepted(Target::Standalone, "", "", cdrom);
    assert!(matches!(warnings.as_slice(), [one] if one.contains("empty")), "{warnings:?}");
}

/// QEMU starts in the root directory: a relative path of a kernel is looked for there, and it is that path which is granted.
#[test]
fn a_relative_path_of_a_kernel_is_one_of_the_root_directory() {
    let compiled = compiled(Target::Standalone, "", "<kernel>vmlinux</kernel>", "");
    assert_eq!(told(&compiled, Severity::Error), Vec::<String>::new());
    let warnings = told(&compiled, Severity::Warning);
    assert_eq!(warnings.iter().filter(|w| w.contains("relative path")).count(), 1, "{warnings:?}");
    let plan = compiled.plan.expect("a plan");
    assert!(plan.access.iter().any(|a| a.path == "/vmlinux"));
}

/// So is one of a disk that is only read. What the guest writes is named in full, and what means something else to QEMU is an error.
#[test]
fn a_relative_path_of_a_medium_is_one_of_the_root_directory() {
    let disk = |device: &str, path: &str| {
        let disk =
            format!("<disk type='file' device='{device}'><source file='{path}'/><target dev='sda' bus='sata'/></disk>");
        compiled(Target::Standalone, "", "", &disk)
    };
    let plan = disk("cdrom", "images/a.iso").plan.expect("a plan");
    assert!(plan.access.iter().any(|a| a.path == "/images/a.iso"));
    for path in ["json:{}", "ssh://host/a", "fat:rw:/etc", "etc/shadow", "../etc/shadow", "a.img,readonly=off"] {
        assert!(disk("cdrom", path).diags.has_errors(), "{path}");
    }
    assert!(disk("disk", "images/a.img").diags.has_errors());
}
