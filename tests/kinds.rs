//! What belongs to one kind of a thing is forgotten at the others, and contradictions are refused. The expectations were learnt from
//! libvirt 11.3 itself (`tests/oracle/`).

use virtc::caps::profiles;
use virtc::compile::{Compiled, Until, compile};
use virtc::host::Host;
use virtc::plan::Target;
use virtc::stage::Options;
use virtc::vocab::{Arch, Release};

/// A domain with this in `<domain>` and that in `<devices>`, as libvirt would compile it.
pub fn compiled(domain: &str, devices: &str) -> Compiled {
    booted(domain, "", devices)
}

/// The same, with this in `<os>`, too.
fn booted(domain: &str, os: &str, devices: &str) -> Compiled {
    of_machine(Release::OLDEST, Arch::X86_64, "q35", &[domain, os, devices])
}

/// A domain of a machine type, with this in `<domain>`, `<os>` and `<devices>`, as a release of libvirt would compile it.
fn of_machine(release: Release, arch: Arch, machine: &str, [domain, os, devices]: &[&str; 3]) -> Compiled {
    let text = format!(
        "<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory>{domain}\
         <os><type arch='{arch}' machine='{machine}'>hvm</type>{os}</os><devices>{devices}</devices></domain>"
    );
    let qemu = if arch == Arch::I686 { Arch::X86_64 } else { arch };
    let caps = profiles::default(qemu).expect("an embedded profile");
    let options = Options { target: Target::Libvirt(release), define: true, ..Options::default() };
    compile(text.as_bytes(), &Host::default(), &caps, &options, Until::Resolved)
}

pub fn normalised(domain: &str, devices: &str) -> String {
    let compiled = compiled(domain, devices);
    let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    match compiled.domain {
        Some(domain) if !compiled.diags.has_errors() => virtc::domain::print(&domain),
        _ => panic!("{faults:?}"),
    }
}

#[test]
fn what_has_no_meaning_is_not_printed() {
    let cases = [
        ("<clock offset='utc' timezone='x' basis='utc' start='3'/>", "", "<clock offset='utc'/>"),
        (
            "<clock offset='localtime' adjustment='5'/>",
            "",
            "<clock offset='variable' adjustment='5' basis='localtime'/>",
        ),
        ("<clock offset='variable'/>", "", "<clock offset='variable' adjustment='0' basis='utc'/>"),
        (
            "",
            "<controller type='sata' index='0' ports='4' vectors='2' maxGrantFrames='3'/>",
            "<controller type='sata' index='0'>",
        ),
        ("", "<audio id='1' type='none' driver='esd' path='/x'/>", "<audio id='1' type='none'/>"),
        ("", "<sound model='ich9' streams='2'><driver iommu='on'/></sound>", "<sound model='ich9'>"),
        (
            "",
            "<interface type='direct'><source dev='eth0' bridge='b'/><target dev='macvtap3'/></interface>",
            "<source dev='eth0' mode='vepa'/>",
        ),
        ("", "<graphics type='spice' port='-1' defaultMode='any'/>", "<graphics type='spice' port='-1' autoport='no'>"),
        ("", "<graphics type='vnc' autoport='no'><gl enable='no'/></graphics>", "<graphics type='vnc' autoport='no'>"),
        ("", "<graphics type='vnc'><listen type='none' address='::1'/></graphics>", "<listen type='none'/>"),
        ("", "<memballoon model='none'><alias name='ua-b'/></memballoon>", "<memballoon model='none'/>"),
        (
            "",
            "<tpm model='tpm-crb'><backend type='emulator' version='2.0' persistent_state='no'/></tpm>",
            "<backend type='emulator' version='2.0'/>",
        ),
        (
            "",
            "<sound model='ac97'><rom bar='on'/><boot order='1'/><alias name='ua-s'/></sound>",
            "<sound model='ac97'>\n      <alias name='ua-s'/>\n      <address",
        ),
        (
            "",
            "<channel type='pty'><source><mouse mode='server'/></source><target type='virtio' name='a' port='7'/><address type='isa'/></channel>",
            "<target type='virtio' name='a'/>\n      <address type='virtio-serial' controller='0' bus='0' port='1'/>",
        ),
        (
            "",
            "<video><driver vgaconf='io'/><model type='qxl' vram64='0'/></video>",
            "vgamem='16384' heads='1' primary='yes'/>",
        ),
        (
            "",
            "<interface type='direct'><source dev='e'/><virtualport type='midonet'><parameters interfaceid='09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f' profileid='p'/></virtualport></interface>",
            "<parameters interfaceid='09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f'/>",
        ),
        (
            "",
            "<disk type='network'><source protocol='rbd' name='p/i'><host name='h' transport='tcp'/></source><target dev='vda'/></disk>",
            "<host name='h'/>",
        ),
        // What is not PCI Express by name is taken for it; crypto is the other way round.
        (
            "",
            "<interface type='user'><model type='tulip'/></interface>",
            "bus='0x01' slot='0x00' function='0x0'/>\n    </interface>",
        ),
        ("", "<crypto model='virtio' type='qemu'><backend model='builtin'/></crypto>", "model='pcie-to-pci-bridge'"),
        (
            "",
            "<controller type='scsi' index='0' model='virtio-scsi'/><disk type='file'><source file='/x'/><target dev='sdk' bus='scsi'/></disk>",
            "<controller type='scsi' index='1' model='lsilogic'>",
        ),
    ];
    let cases = cases.into_iter().chain(GUEST_MEANS.iter().map(|(domain, expected)| (*domain, "", *expected)));
    for (domain, devices, expected) in cases {
        let xml = normalised(domain, devices);
        assert!(xml.contains(expected), "{domain}{devices}: {xml}");
    }
    for empty in ["<pm/>", "<blkiotune/>", "<numatune/>", "<idmap/>", "<defaultiothread/>"] {
        assert!(!normalised(empty, "").contains(empty), "{empty}");
    }
}

#[test]
fn contradictions_are_refused_with_the_values_that_contradict() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("<on_reboot>rename-restart</on_reboot>", "", &["'rename-restart'", "'on_reboot'"]),
        ("<clock offset='timezone'/>", "", &["'timezone'"]),
        ("<clock offset='utc'><timer name='pit' tickpolicy='merge'/></clock>", "", &["'pit'", "'merge'"]),
        ("<clock offset='utc'><timer name='hpet' track='guest'/></clock>", "", &["hpet", "track"]),
        ("", "<controller type='usb' model='piix3'/>", &["no model", "'piix3'"]),
        (
            "",
            "<controller type='pci' index='0' model='pcie-root'><target chassisNr='4'/></controller>",
            &["'chassisNr'", "'none'"],
        ),
        ("", "<iommu model='intel'><driver eim='on'/></iommu>", &["eim", "interrupt remapping"]),
        ("", "<controller type='pci' index='0'/>", &["'pcie-root'"]),
        ("", "<memballoon model='virtio'/><memballoon model='virtio'/>", &["second <memballoon>"]),
        ("", "<interface type='network'/>", &["type='network'", "<source>"]),
        ("", "<interface type='user'><ip address='10.0.0.1' prefix='48'/></interface>", &["'48'"]),
        ("", "<interface type='direct'><source dev='e'/><virtualport type='802.1Qbh'/></interface>", &["profileid"]),
        ("", "<disk type='file'><source file='/x'/><target dev='vda1' bus='virtio'/></disk>", &["'vda1'", "partition"]),
        ("", "<channel type='spicevmc'><target type='virtio'/></channel>", &["'spicevmc'", "SPICE display"]),
        ("", "<graphics type='vnc' passwd='secretsecret'/>", &["12", "8"]),
        ("", "<graphics type='dbus'/><graphics type='rdp' multiUser='yes'/>", &["RDP", "multiUser"]),
        ("", "<graphics type='vnc'><listen type='address' network='n'/></graphics>", &["'network'"]),
        (
            "",
            "<rng model='virtio'><backend model='random'/><backend model='builtin'/></rng>",
            &["only one <backend>", "<rng>"],
        ),
        (
            "",
            "<input type='tablet' bus='usb'><address type='pci' bus='0x00' slot='0x08'/></input>",
            &["USB", "address"],
        ),
        ("", "<memballoon model='virtio'><address type='unassigned'/></memballoon>", &["'unassigned'", "host device"]),
        ("", "<memballoon model='virtio'><address type='ccw'/></memballoon>", &["CCW"]),
        ("", "<smartcard mode='host'><address type='pci' slot='0x08'/></smartcard>", &["'ccid'"]),
        (
            "",
            "<controller type='virtio-serial'/><channel type='pty'><target type='virtio'/><address type='virtio-serial' port='0x1'/></channel>",
            &["'0x1'", "integer"],
        ),
        ("", "<pstore backend='acpi-erst'><path>/x</path><size unit='KiB'>5</size></pstore>", &["pstore", "size"]),
        ("", "<audio id='1' type='spice'/>", &["spice", "graphics"]),
        ("", "<audio id='1' type='alsa'><input voices='0'/></audio>", &["voices"]),
        (
            "",
            "<hostdev mode='subsystem' type='usb' rawio='yes'><source><vendor id='1'/><product id='2'/></source></hostdev>",
            &["'rawio'", "'usb'"],
        ),
        ("", "<interface type='user'><teaming type='persistent' persistent='ua-x'/></interface>", &["persistent"]),
        ("", "<interface type='ethernet'><source><route address='::1'/></source></interface>", &["'::1'", "ipv4"]),
        (
            "",
            "<interface type='direct'><source dev='e'/><virtualport type='openvswitch'><parameters instanceid='09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f'/></virtualport></interface>",
            &["instanceid", "'openvswitch'"],
        ),
        (
            "",
            "<disk type='file'><transient shareBacking='yes'/><source file='/x'/><target dev='sda' bus='sata'/></disk>",
            &["'sata'"],
        ),
        (
            "",
            "<serial type='unix'><source mode='bind' path='/s'><seclabel model='dac' relabel='no'><label>l</label></seclabel></source></serial>",
            &["relabel", "dac"],
        ),
    ];
    let devices = cases
        .iter()
        .map(|(domain, devices, words)| unsaid(&compiled(domain, devices), &format!("{domain}{devices}"), words));
    let guests = GUEST_REFUSED.iter().map(|(domain, words)| unsaid(&compiled(domain, ""), domain, words));
    let systems = OS_REFUSED.iter().map(|(os, words)| unsaid(&booted("", os, ""), os, words));
    let unsaid: Vec<String> = devices.chain(guests).chain(systems).flatten().collect();
    assert!(unsaid.is_empty(), "{}", unsaid.join("\n"));
}

/// What is told of a domain in place of the words that it should be.
pub fn unsaid(compiled: &Compiled, what: &str, words: &[&str]) -> Option<String> {
    let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    let said = faults.iter().any(|f| words.iter().all(|w| f.contains(w)));
    (!said).then(|| format!("{what}: {words:?} in none of {faults:?}"))
}

/// What the guest itself comes to.
const GUEST_MEANS: &[(&str, &str)] = &[
    ("<features><smm state='off'><tseg>16</tseg></smm></features>", "<smm state='off'/>"),
    ("<features><hyperv mode='passthrough'><relaxed state='on'/></hyperv></features>", "<hyperv mode='passthrough'/>"),
    ("<features><xen><passthrough state='on' mode='sync_pt'/></xen></features>", "state='on' mode='sync_pt'"),
    ("<features><capabilities policy='deny'/></features>", "<capabilities policy='deny'/>"),
    ("<vcpu>3</vcpu><vcpus><vcpu id='0' enabled='yes' order='1'/></vcpus>", "<vcpu placement='static' current='1'>3<"),
    ("<vcpu>2</vcpu><vcpus><vcpu id='0' enabled='yes'/></vcpus>", "<vcpu id='1' enabled='no' hotpluggable='yes'/>"),
    ("<vcpu>2</vcpu><cputune><vcpupin vcpu='1' cpuset='0'/><vcpupin vcpu='7' cpuset='0'/></cputune>", "vcpu='1' "),
    ("<cputune><vcpusched vcpus='0' scheduler='batch' priority='4'/></cputune>", "scheduler='batch'/>"),
    ("<blkiotune><weight>0</weight></blkiotune><seclabel model='dac'/><title/>", "</memory>"),
    ("<clock offset='variable' adjustment='x'/>", "adjustment='0'"),
];

const GUEST_REFUSED: &[(&str, &[&str])] = &[
    ("<features><kvm><hidden/></kvm></features>", &["'state'", "hidden"]),
    ("<features><kvm><dirty-ring state='on' size='1000'/></kvm></features>", &["power of 2", "65536"]),
    ("<features><tcg><tb-cache unit='KiB'>5</tb-cache></tcg></features>", &["multiple", "MiB"]),
    ("<features><hyperv><vendor_id state='on'/></hyperv></features>", &["'value'", "'vendor_id'"]),
    ("<vcpu>2</vcpu><vcpus><vcpu id='1' enabled='yes'/></vcpus>", &["vcpu 0", "offline"]),
    ("<vcpu>2</vcpu><vcpus><vcpu id='0' enabled='yes' order='2'/></vcpus>", &["vcpu0", "first"]),
    ("<memtune><min_guarantee>5</min_guarantee></memtune>", &["'min_guarantee'"]),
    ("<blkiotune><device><weight>500</weight></device></blkiotune>", &["path"]),
    ("<iothreadids><iothread id='1' thread_pool_min='4'/></iothreadids>", &["thread_pool_min", "thread_pool_max"]),
    ("<cputune><emulatorsched scheduler='rr'/></cputune>", &["'priority'", "'emulatorsched'"]),
    ("<cputune><memorytune vcpus='0'><node id='0' bandwidth='60'/></memorytune></cputune>", &["KVM"]),
    ("<launchSecurity type='s390-pv'/>", &["'s390-pv'", "no such protection"]),
    ("<cpu><numa/></cpu>", &["<numa>", "<cell>"]),
    ("<cpu><feature policy='require' name='avx'/></cpu>", &["no model"]),
    ("<numatune><memory mode='preferred'/></numatune>", &["nodeset", "'static'"]),
    ("<clock offset='utc' adjustment='x'/>", &["'x'"]),
    ("<seclabel type='static'><label>x</label></seclabel>", &["security model", "missing"]),
    ("<sysinfo type='fwcfg'><entry name='opt/ovmf/x'>1</entry></sysinfo>", &["reserved"]),
];

const OS_REFUSED: &[(&str, &[&str])] = &[
    ("<nvram>/x</nvram>", &["loader", "auto"]),
    ("<loader readonly='yes' type='pflash'>/x</loader>", &["UEFI", "ACPI"]),
    ("<loader readonly='yes' type='pflash' secure='yes'>/x</loader>", &["SMM"]),
    ("<bios useserial='yes'/>", &["serial port"]),
    ("<acpi><table type='slic'>/x</table><table type='slic'>/y</table></acpi>", &["'slic'", "once"]),
    ("<acpi><table type='rawset'>/x</table></acpi>", &["'rawset'"]),
];

#[test]
fn what_is_for_containers_means_nothing_to_a_machine() {
    let compiled = booted("", "<init>/sbin/init</init><initarg>x</initarg><initenv name='A'>b</initenv>", "");
    let printed = compiled.domain.as_ref().map(virtc::domain::print).unwrap_or_default();
    assert!(!compiled.diags.has_errors() && !printed.contains("init"), "{printed}");
}

#[test]
fn what_is_younger_than_a_libvirt_is_passed_over_and_told() {
    let cases = [
        ("<hwuuid>2c1a9d2e-6d0c-4b0a-9a4b-53a3a0d3b111</hwuuid>", "", "hwuuid"),
        ("<iommufd enabled='yes'/>", "", "iommufd"),
        ("", "<interface type='user'><backend type='passt' hostname='h' fqdn='h.example'/></interface>", "hostname"),
        ("", "<iommu model='virtio'><driver><granule><size>4096</size></granule></driver></iommu>", "granule"),
    ];
    for (domain, devices, gone) in cases {
        let compiled = compiled(domain, devices);
        let told = compiled.diags.iter().any(|d| d.code.id == "VC0114" && d.message.contains(gone));
        let refused = compiled.diags.iter().any(|d| d.code.id == "VC0901");
        assert!(told && !refused, "{domain}{devices}: {:?}", compiled.diags);
        let xml = compiled.domain.as_ref().map(virtc::domain::print).unwrap_or_default();
        assert!(!xml.contains(gone), "{xml}");
    }
}

#[test]
fn machines_and_releases_differ_in_what_they_refuse() {
    let (old, new) = (Release::OLDEST, Release::NEWEST);
    let hole = "<controller type='pci' index='0' model='pcie-root'><pcihole64>1048576</pcihole64></controller>";
    let iommus = "<iommu model='intel'/><iommu model='intel'/>";
    let secure = "<loader readonly='yes' secure='yes' type='pflash'>/x</loader>";
    let smm = "<features><acpi/><smm state='on'/></features>";
    let virtualization = "<features><virtualization/></features>";
    let cases = [
        (old, Arch::Aarch64, "virt", ["", "", hole], ["pcihole64", "not supported"]),
        (new, Arch::Riscv64, "virt", ["", "", hole], ["pcihole64", "not supported"]),
        (old, Arch::X86_64, "q35", ["", "", iommus], ["single", "IOMMU"]),
        (old, Arch::Aarch64, "virt", [virtualization, "", ""], ["<virtualization>", "12.6"]),
        (new, Arch::I686, "q35", [smm, secure, ""], ["secure boot", "x86_64"]),
        (old, Arch::I686, "q35", [smm, secure, ""], ["secure boot", "x86_64"]),
    ];
    let missing: Vec<String> = (cases.iter())
        .filter_map(|(release, arch, machine, parts, words)| {
            unsaid(&of_machine(*release, *arch, machine, parts), &format!("{release} {arch} {parts:?}"), words)
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn the_smallest_machine_gets_no_keyboard_by_itself() {
    let compiled = of_machine(
        Release::NEWEST,
        Arch::X86_64,
        "microvm",
        &["", "", "<controller type='usb' model='none'/><memballoon model='none'/>"],
    );
    let xml = compiled.domain.as_ref().map(virtc::domain::print).unwrap_or_default();
    assert!(xml.contains("microvm") && !xml.contains("<input"), "{xml}");
}

#[test]
fn the_format_of_a_variable_store_is_its_own_since_12_0() {
    let of = |release, nvram: &str| {
        let os = format!("<loader readonly='yes' type='pflash'>/code.fd</loader>{nvram}");
        let compiled = of_machine(release, Arch::X86_64, "q35", &["<features><acpi/></features>", &os, ""]);
        compiled.domain.as_ref().map(virtc::domain::print).unwrap_or_default()
    };
    for (nvram, old, new) in [
        ("<nvram format='qcow2'/>", "format='raw'>/var/lib/libvirt/qemu/nvram/vm_VARS.fd<", "vm_VARS.qcow2<"),
        ("<nvram format='raw' templateFormat='qcow2'/>", "format='qcow2'>", "format='raw'>"),
        ("<nvram template='/x.fd' templateFormat='raw' format='qcow2'/>", "vm_VARS.fd<", "vm_VARS.qcow2<"),
        ("<nvram format='qcow2'>/a</nvram>", "format='qcow2'>/a<", "format='qcow2'>/a<"),
    ] {
        for (release, expected) in [(Release::OLDEST, old), (Release::NEWEST, new)] {
            let xml = of(release, nvram);
            assert!(xml.contains(expected), "{release} {nvram}: {xml}");
        }
    }
}

#[test]
fn a_type_without_its_source_is_refused() {
    let nvram = "<loader readonly='yes' type='pflash'>/code.fd</loader><nvram type='file'/>";
    let of_store = of_machine(Release::NEWEST, Arch::X86_64, "q35", &["<features><acpi/></features>", nvram, ""]);
    let missing = unsaid(&of_store, nvram, &["<nvram>", "type='file'", "<source>"]);
    assert!(missing.is_none(), "{missing:?}");
}
