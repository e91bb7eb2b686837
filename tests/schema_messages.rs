//! Proves that the messages about typical mistakes can be acted upon without opening documentation: what
//! a person sees in the terminal is in the snapshots, under the input.
//!
//! `cargo insta review` (or INSTA_UPDATE=always) takes changes over; read them as a newcomer would.

use virtc::caps::profiles;
use virtc::compile::{Until, compile};
use virtc::diag::render::{MessageFormat, render};
use virtc::host::Host;
use virtc::stage::Options;
use virtc::vocab::Arch;

/// A domain with `devices` inside `<devices>` and `top` beside it.
fn domain(top: &str, devices: &str) -> String {
    format!(
        "<domain type='kvm'>\n  <name>vm</name>\n  <memory unit='GiB'>2</memory>\n  <vcpu>2</vcpu>\n{}  <os>\n    \
         <type arch='x86_64' machine='q35'>hvm</type>\n  </os>\n  <devices>\n{}  </devices>\n</domain>\n",
        indented(top, 2),
        indented(devices, 4)
    )
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|l| format!("{:by$}{l}\n", "")).collect()
}

fn shown(text: &str) -> String {
    // As `virtc check` does: what the reader and the rules say of the same fault must not be there too.
    let caps = profiles::default(Arch::X86_64).expect("an embedded profile");
    let diags = compile(text.as_bytes(), &Host::default(), &caps, &Options::default(), Until::Planned).diags;
    let mut out = Vec::new();
    render(&diags, "vm.xml", text, MessageFormat::Human, false, &mut out).expect("writing to memory");
    format!("{text}\n{}", String::from_utf8(out).expect("messages are UTF-8"))
}

macro_rules! mistakes {
    ($($name:ident: $text:expr;)*) => { $(
        #[test]
        fn $name() {
            // Some of the texts are strings, some are slices.
            #[allow(clippy::needless_borrow, clippy::unnecessary_to_owned)]
            let shown = shown(&$text);
            assert!(shown.contains("VC0"), "no diagnostic for {}", stringify!($name));
            insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(stringify!($name), shown);
            });
        }
    )* };
}

mistakes! {
    element_misspelt: domain("", "<contoller type='usb' model='qemu-xhci'/>");
    element_in_wrong_case: domain("<VCPU>4</VCPU>", "");
    element_unknown: domain("", "<turbo/>");
    element_in_wrong_place: domain("<acpi/>", "");
    element_twice: domain("<vcpu>4</vcpu>", "");
    element_missing: "<domain type='kvm'>\n  <vcpu>1</vcpu>\n</domain>\n".to_string();
    element_of_a_foreign_namespace: domain("", "<acme:tag xmlns:acme='urn:acme'>x</acme:tag>");
    devices_outside_devices: domain("<disk type='file'><source file='/srv/vm.img'/><target dev='vda'/></disk>", "");
    attribute_misspelt: domain("", "<disk type='file'>\n  <source file='/srv/vm.img'/>\n  <target dve='vda' bus='virtio'/>\n</disk>");
    attribute_in_wrong_case: domain("", "<graphics type='vnc' autoPort='yes'/>");
    attribute_unknown: domain("", "<memballoon model='virtio' size='4'/>");
    attribute_missing: domain("", "<disk type='file'>\n  <source file='/srv/vm.img'/>\n  <target bus='virtio'/>\n</disk>");
    attribute_on_the_parent: domain("", "<disk type='file' bus='virtio'>\n  <source file='/srv/vm.img'/>\n  <target dev='vda'/>\n</disk>");
    type_attribute_misspelt: domain("", "<disk tpye='file'>\n  <source file='/srv/vm.img'/>\n  <target dev='vda'/>\n</disk>");
    type_attribute_missing: domain("", "<graphics port='5901'/>");
    type_unknown: domain("", "<interface type='bridged'>\n  <source bridge='br0'/>\n</interface>");
    source_of_another_type: domain("", "<disk type='block'>\n  <source file='/srv/vm.img'/>\n  <target dev='vda'/>\n</disk>");
    file_disk_with_a_device: domain("", "<disk type='file'>\n  <source dev='/dev/vg/vm'/>\n  <target dev='vda'/>\n</disk>");
    network_of_a_bridge: domain("", "<interface type='bridge'>\n  <source network='default'/>\n</interface>");
    address_of_another_bus: domain("", "<input type='tablet' bus='usb'>\n  <address type='usb' slot='0x05'/>\n</input>");
    value_misspelt: domain("", "<disk type='file'>\n  <driver name='qemu' type='qcow'/>\n  <driver name='qemu' cache='writebak'/>\n  <source file='/srv/vm.img'/>\n  <target dev='vda'/>\n</disk>");
    value_in_wrong_case: domain("<clock offset='UTC'/>", "");
    value_empty: domain("", "<memballoon model=''/>");
    switch_with_yes_for_on: domain("<features>\n  <smm state='yes'/>\n</features>", "");
    switch_with_true: domain("", "<graphics type='vnc' autoport='true'/>");
    unit_unknown: domain("<currentMemory unit='gig'>1</currentMemory>", "");
    number_with_a_unit: domain("<currentMemory>1GiB</currentMemory>", "");
    number_not_whole: domain("<cputune>\n  <shares>1.5</shares>\n</cputune>", "");
    number_out_of_range: domain("", "<video>\n  <model type='virtio'/>\n  <address type='pci' bus='0x00' slot='0x20' function='0x8'/>\n</video>");
    port_out_of_range: domain("", "<graphics type='spice' port='70000'/>");
    uuid_malformed: "<domain type='kvm'>\n  <name>vm</name>\n  <uuid>REPLACE-ME</uuid>\n</domain>\n".to_string();
    mac_of_a_group: domain("", "<interface type='user'>\n  <mac address='01:00:5e:00:00:01'/>\n</interface>");
    cpus_malformed: domain("<cputune>\n  <vcpupin vcpu='0' cpuset='0..3'/>\n</cputune>", "");
    path_relative: domain("", "<emulator>qemu-system-x86_64</emulator>");
    text_where_none_is: domain("", "<memballoon model='virtio'>256</memballoon>");
    text_instead_of_an_attribute: domain("", "<disk type='file'>\n  <source>/srv/vm.img</source>\n  <target dev='vda'/>\n</disk>");
    root_is_another_document: "<network>\n  <name>default</name>\n</network>\n".to_string();
    root_in_wrong_case: "<Domain type='kvm'>\n  <name>vm</name>\n</Domain>\n".to_string();
    namespace_not_declared: domain("<qemu:commandline>\n  <qemu:arg value='-nodefaults'/>\n</qemu:commandline>", "");
    three_faults: domain("<vpcu>4</vpcu>", "<disk type='file' devce='cdrom'>\n  <source file='/srv/vm.iso'/>\n  <target dev='sda' bus='satta'/>\n</disk>");
    both_total_and_read: domain("", "<disk type='file'>\n  <source file='/srv/vm.img'/>\n  <target dev='vda'/>\n  <iotune>\n    <total_bytes_sec>1000</total_bytes_sec>\n    <read_bytes_sec>500</read_bytes_sec>\n  </iotune>\n</disk>");
    unit_in_the_wrong_case: domain("<currentMemory unit='gb'>1</currentMemory>", "<shmem name='x'>\n  <size unit='mib '>4</size>\n</shmem>");
    unit_of_another_kind: domain("<memtune>\n  <hard_limit unit='seconds'>4</hard_limit>\n</memtune>", "");
    driver_under_the_source: domain("", "<disk type='file'>\n  <source file='/srv/vm.img'>\n    <driver name='qemu' type='qcow2'/>\n  </source>\n  <target dev='vda'/>\n</disk>");
    target_twice: domain("", "<disk type='file'>\n  <source file='/srv/vm.img'/>\n  <target dev='vda' bus='virtio'/>\n  <target dev='vdb' bus='virtio'/>\n</disk>");
    video_memory_of_the_wrong_kind: domain("", "<video>\n  <model type='qxl' vram='64M'/>\n</video>");
    vlan_out_of_range: domain("", "<interface type='bridge'>\n  <source bridge='br0'/>\n  <vlan>\n    <tag id='5000'/>\n  </vlan>\n</interface>");
    watchdog_action_misspelt: domain("", "<watchdog model='i6300esb' action='power-off'/>");
    tpm_version_as_a_word: domain("", "<tpm model='tpm-crb'>\n  <backend type='emulator' version='2'/>\n</tpm>");
    cpu_mode_misspelt: domain("<cpu mode='host-passthru'/>", "");
    timer_name_unknown: domain("<clock offset='utc'>\n  <timer name='kvm-clock' present='yes'/>\n</clock>", "");
    feature_as_an_attribute: domain("<features acpi='on'/>", "");
    loader_type_misspelt: "<domain type='kvm'>\n  <name>vm</name>\n  <os>\n    <type>hvm</type>\n    <loader readonly='true' type='flash'>/usr/share/OVMF/OVMF_CODE.fd</loader>\n  </os>\n</domain>\n".to_string();
    memory_mode_misspelt: domain("<numatune>\n  <memory mode='prefered' nodeset='0'/>\n</numatune>", "");
    qemu_arguments_without_prefix: domain("<commandline>\n  <arg value='-nodefaults'/>\n</commandline>", "");
    qemu_namespace_wrong: "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu'>\n  <name>vm</name>\n  <qemu:commandline>\n    <qemu:arg value='-nodefaults'/>\n  </qemu:commandline>\n</domain>\n".to_string();
    boot_order_from_zero: domain("", "<interface type='user'>\n  <boot order='0'/>\n</interface>");
    hexadecimal_port: domain("", "<graphics type='vnc' port='0x170c'/>");
    usb_id_too_long: domain("", "<hostdev mode='subsystem' type='usb'>\n  <source>\n    <vendor id='0x0046d1'/>\n    <product id='0xc52b'/>\n  </source>\n</hostdev>");
    certificates_too_few: domain("", "<smartcard mode='host-certificates'>\n  <certificate>one</certificate>\n  <certificate>two</certificate>\n</smartcard>");
    filesystem_path_as_text: domain("", "<filesystem type='mount'>\n  <source>/srv/share</source>\n  <target dir='share'/>\n</filesystem>");
    attribute_of_another_name: domain("", "<sound type='ich9'/>\n<rng model='virtio'>\n  <backend type='random'>/dev/urandom</backend>\n</rng>");
    attribute_cut_short: domain("<iothreads count='2'/>", "<interface type='user'>\n  <mac addr='52:54:00:12:34:56'/>\n</interface>");
    attributes_of_another_model: domain("", "<video>\n  <model type='virtio' ram='65536' vgamem='16384'/>\n</video>");
    word_of_another_tool: domain("", "<interface type='nat'/>\n<controller type='usb' model='xhci'/>");
    name_on_a_line_of_its_own: "<domain type='kvm'>\n  <name>\n    vm\n  </name>\n</domain>\n".to_string();
    store_of_firmware_as_text_and_type: "<domain type='kvm'>\n  <name>vm</name>\n  <memory>65536</memory>\n  <os>\n    <type arch='x86_64' machine='q35'>hvm</type>\n    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>\n    <nvram type='file'>/srv/vars.fd</nvram>\n  </os>\n</domain>\n".to_string();
    ampersand_and_less_than: "<domain type='kvm'>\n  <name>vm</name>\n  <title>Tom & Jerry</title>\n  <description>a < b</description>\n</domain>\n".to_string();
    dashes_in_a_comment: domain("<!-- was -- is -->", "");
    tag_not_closed: "<domain type='kvm'>\n  <name>vm\n  <vcpu>2</vcpu>\n</domain>\n".to_string();
}
