//! Each lint fires on what it is about, and not on what is beside it; none on the examples.

use virtc::caps::{Choice, Wanted};
use virtc::compile::{Until, compile_for};
use virtc::diag::Severity;
use virtc::diag::lints::{LINTS, Level, Levels};
use virtc::host::Host;
use virtc::stage::Options;

/// The parts of a domain that a case replaces: `PART=text`, separated by `|`. All others are those of a machine that no lint is about.
const PARTS: &[(&str, &str)] = &[
    ("KIND", "kvm"),
    ("HEAD", ""),
    ("MEMORY", "<memory unit='MiB'>512</memory>"),
    ("TYPE", "<type arch='x86_64' machine='q35'>hvm</type>"),
    ("OS", ""),
    ("FEATURES", "<features><acpi/></features>"),
    ("DEVICES", ""),
    ("CONSOLE", "<console type='pty'/>"),
    ("TAIL", ""),
    ("HOST", ""),
    ("INCOMING", ""),
];

fn domain(case: &str) -> (String, String, String) {
    let given: Vec<(&str, &str)> = case.split('|').filter_map(|part| part.split_once('=')).collect();
    let part = |name: &str| {
        let own = given.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
        own.unwrap_or_else(|| PARTS.iter().find(|(n, _)| *n == name).map_or("", |(_, text)| text))
    };
    assert!(given.iter().all(|(n, _)| PARTS.iter().any(|(p, _)| p == n)), "{case}");
    let text = format!(
        "<domain type='{}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>vm</name>{}{}<vcpu>2</vcpu>\
         <os>{}{}</os>{}<devices>{}{}</devices>{}</domain>",
        part("KIND"),
        part("HEAD"),
        part("MEMORY"),
        part("TYPE"),
        part("OS"),
        part("FEATURES"),
        part("CONSOLE"),
        part("DEVICES"),
        part("TAIL")
    );
    (text, part("HOST").to_string(), part("INCOMING").to_string())
}

const DISK: &str = "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/srv/a.qcow2'/><target dev='vda' bus='virtio'/></disk>";

/// Code, what fires, what does not. `DISK` stands for a disk on virtio.
const CASES: &[(&str, &str, &str)] = &[
    (
        "VC1301",
        "TYPE=<type arch='aarch64' machine='virt'>hvm</type>|FEATURES=",
        "KIND=qemu|TYPE=<type arch='aarch64' machine='virt'>hvm</type>|FEATURES=",
    ),
    (
        "VC1302",
        "DEVICES=<emulator>/usr/bin/qemu-system-aarch64</emulator>",
        "TYPE=<type arch='i686' machine='q35'>hvm</type>|DEVICES=<emulator>/usr/bin/qemu-system-x86_64</emulator>",
    ),
    (
        "VC1303",
        "KIND=qemu|TYPE=<type arch='aarch64' machine='virt'>hvm</type>|FEATURES=<features><hyperv><relaxed state='on'/></hyperv></features>",
        "FEATURES=<features><acpi/><hyperv><relaxed state='on'/></hyperv></features>",
    ),
    (
        "VC1305",
        "DEVICES=<graphics type='vnc'/><video><model type='virtio'><acceleration accel3d='yes'/></model></video>",
        "DEVICES=<graphics type='vnc'/><graphics type='egl-headless'/><video><model type='virtio'><acceleration accel3d='yes'/></model></video>",
    ),
    (
        "VC1306",
        "DEVICES=<graphics type='sdl'><gl enable='yes'/></graphics><graphics type='spice'/>",
        "DEVICES=<graphics type='sdl'/><graphics type='spice'/>",
    ),
    (
        "VC1307",
        "DEVICES=<video><model type='vga'/><alias name='ua-v'/></video>|TAIL=<qemu:commandline><qemu:arg value='-set'/><qemu:arg value='device.ua-v.edid=off'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='edu,id=e,bus=pcie.0,addr=0x1d'/><qemu:arg value='-set'/><qemu:arg value='device.e.dma_mask=1'/></qemu:commandline>",
    ),
    (
        "VC1308",
        "TAIL=<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='edu'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='edu,bus=pcie.0,addr=0x1d'/></qemu:commandline>",
    ),
    (
        "VC1309",
        "DEVICES=<video><model type='vga'/><address type='pci' slot='0x01'/></video>|TAIL=<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='edu,bus=pcie.0,addr=0x1'/></qemu:commandline>",
        "DEVICES=<video><model type='vga'/><address type='pci' slot='0x01'/></video>|TAIL=<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='edu,bus=pcie.0,addr=0x1d'/></qemu:commandline>",
    ),
    (
        "VC1310",
        "OS=<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/usr/share/OVMF/OVMF_VARS.fd' format='qcow2'>/srv/vm_VARS.qcow2</nvram>",
        "OS=<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/srv/vm_VARS.fd</nvram>",
    ),
    (
        "VC1312",
        "DEVICES=<interface type='user'><model type='virtoi'/></interface>",
        "DEVICES=<interface type='user'><model type='e1000e'/></interface>",
    ),
    (
        "VC1313",
        "DEVICES=<disk type='file'><source file='/dev/vg0/vm'/><target dev='vda' bus='virtio'/></disk>",
        "DEVICES=<disk type='block'><source dev='/dev/vg0/vm'/><target dev='vda' bus='virtio'/></disk>",
    ),
    (
        "VC1314",
        "DEVICES=<disk type='block'><source dev='/srv/vm.img'/><target dev='vda' bus='virtio'/></disk>",
        "DEVICES=<disk type='file'><source file='/srv/vm.img'/><target dev='vda' bus='virtio'/></disk>",
    ),
    ("VC1315", "DEVICES=<graphics type='vnc' keymap='en_us'/>", "DEVICES=<graphics type='vnc' keymap='en-us'/>"),
    (
        "VC1316",
        "HOST=pages|MEMORY=<memory unit='MiB'>513</memory><memoryBacking><hugepages/></memoryBacking>",
        "HOST=pages|MEMORY=<memory unit='MiB'>514</memory><memoryBacking><hugepages/></memoryBacking>",
    ),
    (
        "VC1317",
        "DEVICES=<filesystem type='mount' accessmode='mapped'><source dir='/srv/share'/><target dir='the-name-of-a-share-that-is-too-long'/></filesystem>",
        "DEVICES=<filesystem type='mount' accessmode='mapped'><source dir='/srv/share'/><target dir='a-name-of-a-share-with-31-bytes'/></filesystem>",
    ),
    (
        "VC1318",
        "OS=<loader readonly='yes' type='pflash'>/usr/share/AAVMF/AAVMF_CODE.fd</loader><nvram template='/usr/share/AAVMF/AAVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/vm.fd</nvram>",
        "OS=<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/vm.fd</nvram>",
    ),
    (
        "VC1319",
        "OS=<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader><nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/vm.fd</nvram>",
        "OS=<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader><nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'>/var/lib/libvirt/qemu/nvram/vm.fd</nvram>",
    ),
    (
        "VC1320",
        "DEVICES=<disk type='file'><source file='/srv/a.qcow2'/><target dev='vda' bus='virtio'/></disk>",
        "DEVICES=<disk type='file'><source file='/srv/a.img'/><target dev='vda' bus='virtio'/></disk>",
    ),
    (
        "VC1321",
        "DEVICES=DISK<disk type='file'><driver name='qemu' type='qcow2'/><source file='/srv/a.qcow2'/><target dev='vdb' bus='virtio'/><readonly/></disk>",
        "DEVICES=DISK<disk type='file'><driver name='qemu' type='qcow2'/><source file='/srv/b.qcow2'/><target dev='vdb' bus='virtio'/></disk>",
    ),
    (
        "VC1322",
        "DEVICES=<disk type='file'><driver name='qemu' type='raw' cache='unsafe'/><source file='/srv/a.img'/><target dev='vda' bus='virtio'/></disk>",
        "DEVICES=<disk type='file'><driver name='qemu' type='raw' cache='none'/><source file='/srv/a.img'/><target dev='vda' bus='virtio'/></disk>",
    ),
    (
        "VC1323",
        "TAIL=<qemu:commandline><qemu:arg value='-snapshot'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-no-reboot'/></qemu:commandline>",
    ),
    (
        "VC1324",
        "CONSOLE=|DEVICES=<serial type='file'><source path='/srv/log'/><target port='0'/></serial><serial type='file'><source path='/srv/log'/><target port='1'/></serial>",
        "CONSOLE=|DEVICES=<serial type='file'><source path='/srv/log'/><target port='0'/></serial><serial type='file'><source path='/srv/log2'/><target port='1'/></serial>",
    ),
    (
        "VC1325",
        "DEVICES=<disk type='file'><driver name='qemu' type='raw'/><source file='/tmp/a.raw'/><target dev='vda' bus='virtio'/></disk>",
        "DEVICES=<disk type='file'><driver name='qemu' type='raw'/><source file='/tmp/a.raw'/><target dev='vda' bus='virtio'/><readonly/></disk>",
    ),
    (
        "VC1326",
        "DEVICES=<disk type='file'><driver name='qemu' type='raw' cache='writeback'/><source file='/srv/a.raw'/><target dev='vda' bus='virtio'/><shareable/></disk>",
        "DEVICES=<disk type='file'><driver name='qemu' type='raw' cache='none'/><source file='/srv/a.raw'/><target dev='vda' bus='virtio'/><shareable/></disk>",
    ),
    (
        "VC1327",
        "DEVICES=<interface type='bridge'><mac address='fe:54:00:11:22:33'/><source bridge='br0'/><model type='virtio'/></interface>",
        "DEVICES=<interface type='bridge'><mac address='52:54:00:11:22:33'/><source bridge='br0'/><model type='virtio'/></interface>",
    ),
    (
        "VC1328",
        "MEMORY=<memory unit='MiB'>512</memory><currentMemory unit='MiB'>256</currentMemory>|DEVICES=<memballoon model='none'/>",
        "MEMORY=<memory unit='MiB'>512</memory><currentMemory unit='MiB'>256</currentMemory>|DEVICES=<memballoon model='virtio'/>",
    ),
    (
        "VC1329",
        "HEAD=<on_poweroff>restart</on_poweroff><on_reboot>restart</on_reboot>",
        "HEAD=<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot>",
    ),
    ("VC1330", "DEVICES=<graphics type='vnc' listen='0.0.0.0'/>", "DEVICES=<graphics type='vnc' listen='127.0.0.1'/>"),
    (
        "VC1330",
        "TAIL=<qemu:commandline><qemu:arg value='-vnc'/><qemu:arg value=':5'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-vnc'/><qemu:arg value='127.0.0.1:5'/></qemu:commandline>",
    ),
    ("VC1331", "DEVICES=<graphics type='vnc' passwd='hunter2'/>", "DEVICES=<graphics type='vnc'/>"),
    ("VC1332", "INCOMING=tcp:0.0.0.0:4444", "INCOMING=unix:/run/migration.sock"),
    (
        "VC1333",
        "DEVICES=<channel type='unix'><target type='virtio' name='org.qemu.guest-agent.0'/></channel>",
        "DEVICES=<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel><channel type='unix'><target type='virtio' name='com.example.own'/></channel>",
    ),
    (
        "VC1334",
        "HEAD=<metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'><l:os id='http://microsoft.com/win/10'/></l:libosinfo></metadata>|TAIL=<clock offset='utc'/>",
        "HEAD=<metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'><l:os id='http://microsoft.com/win/10'/></l:libosinfo></metadata>|TAIL=<clock offset='localtime'/>",
    ),
    (
        "VC1335",
        "TAIL=<clock offset='localtime'/>|DEVICES=<disk type='file'><driver name='qemu' type='raw'/><source file='/srv/a.raw'/><target dev='vda' bus='virtio'/></disk><disk type='file' device='cdrom'><source file='/srv/Win10_22H2_x64.iso'/><target dev='sda' bus='sata'/></disk>",
        "TAIL=<clock offset='localtime'/>|DEVICES=<disk type='file'><driver name='qemu' type='raw'/><source file='/srv/a.raw'/><target dev='vda' bus='virtio'/></disk><disk type='file' device='cdrom'><source file='/srv/Win10_22H2_x64.iso'/><target dev='sda' bus='sata'/></disk><disk type='file' device='cdrom'><source file='/srv/virtio-win.iso'/><target dev='sdb' bus='sata'/></disk>",
    ),
    (
        "VC1336",
        "HEAD=<metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'><l:os id='http://microsoft.com/win/2k22'/></l:libosinfo></metadata>|TAIL=<clock offset='localtime'/>|DEVICES=<filesystem type='mount' accessmode='mapped'><source dir='/srv/share'/><target dir='share'/></filesystem>",
        "HEAD=<metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'><l:os id='http://microsoft.com/win/2k22'/></l:libosinfo></metadata><memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>|TAIL=<clock offset='localtime'/>|DEVICES=<filesystem type='mount' accessmode='passthrough'><driver type='virtiofs'/><source dir='/srv/share'/><target dir='share'/></filesystem>",
    ),
    (
        "VC1337",
        "TAIL=<clock offset='localtime'/>|DEVICES=<disk type='file' device='cdrom'><source file='/srv/Win11_23H2_x64.iso'/><target dev='sda' bus='sata'/></disk>",
        "TAIL=<clock offset='localtime'/>|DEVICES=<disk type='file' device='cdrom'><source file='/srv/Win10_22H2_x64.iso'/><target dev='sda' bus='sata'/></disk>",
    ),
    ("VC1340", "MEMORY=<memory>2048</memory>", "MEMORY=<memory>2097152</memory>"),
    ("VC1341", "FEATURES=<features><apic/></features>", "FEATURES=<features><acpi/></features>"),
    (
        "VC1342",
        "HEAD=<currentMemory unit='GiB'>2</currentMemory>",
        "HEAD=<currentMemory unit='MiB'>256</currentMemory>",
    ),
    (
        "VC1343",
        "DEVICES=<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface><interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>",
        "DEVICES=<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface><interface type='user'><mac address='52:54:00:00:00:02'/><model type='virtio'/></interface>",
    ),
    (
        "VC1344",
        "HEAD=<cputune><vcpupin vcpu='2' cpuset='0'/></cputune>",
        "HEAD=<cputune><vcpupin vcpu='1' cpuset='0'/></cputune>",
    ),
    ("VC1345", "CONSOLE=", "CONSOLE=<serial type='pty'/>"),
    (
        "VC1346",
        "DEVICES=DISK<interface type='user'><model type='e1000'/></interface>",
        "DEVICES=DISK<interface type='user'><model type='virtio'/></interface>",
    ),
    (
        "VC1347",
        "DEVICES=<graphics type='vnc' port='5901' autoport='yes'/>",
        "DEVICES=<graphics type='vnc' port='5901' autoport='no'/>",
    ),
    (
        "VC1348",
        "HOST=group|DEVICES=<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x0b' slot='0x00' function='0x0'/></source></hostdev>",
        "HOST=group|DEVICES=<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x0b' slot='0x00' function='0x0'/></source></hostdev><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x0b' slot='0x00' function='0x1'/></source></hostdev>",
    ),
    (
        "VC1349",
        "HEAD=<memoryBacking><access mode='shared'/></memoryBacking>|DEVICES=<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x0c' slot='0x00' function='0x0'/></source></hostdev>",
        "HEAD=<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>|DEVICES=<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x0c' slot='0x00' function='0x0'/></source></hostdev>",
    ),
    (
        "VC1350",
        "DEVICES=<interface type='bridge'><source bridge='br0'/><vlan><tag id='42'/></vlan><model type='virtio'/></interface>",
        "DEVICES=<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>",
    ),
    (
        "VC1350",
        "DEVICES=<interface type='user'><bandwidth><inbound average='1000'/></bandwidth><model type='virtio'/></interface>",
        "DEVICES=<interface type='bridge'><source bridge='br0'/><bandwidth><inbound average='1000'/></bandwidth><model type='virtio'/></interface>",
    ),
    (
        "VC1350",
        "DEVICES=<interface type='ethernet'><bandwidth><inbound average='1000'/></bandwidth><target dev='tap7' managed='no'/><model type='virtio'/></interface>",
        "DEVICES=<interface type='ethernet'><bandwidth><inbound average='1000'/></bandwidth><target dev='tap7'/><model type='virtio'/></interface>",
    ),
    (
        "VC1350",
        "DEVICES=<interface type='ethernet'><script path='/etc/qemu-ifup'/><model type='virtio'/></interface>",
        "DEVICES=<interface type='ethernet'><script path='no'/><model type='virtio'/></interface>",
    ),
    (
        "VC1350",
        "DEVICES=<disk type='file' device='cdrom'><source file='/srv/a.iso' startupPolicy='optional'/><target dev='sda' bus='sata'/></disk>",
        "DEVICES=<disk type='file' device='cdrom'><source file='/srv/a.iso' startupPolicy='mandatory'/><target dev='sda' bus='sata'/></disk>",
    ),
    (
        "VC1350",
        "DEVICES=<watchdog model='i6300esb' action='dump'/>",
        "DEVICES=<watchdog model='i6300esb' action='poweroff'/>",
    ),
    (
        "VC1350",
        "DEVICES=<disk type='network'><driver name='qemu' type='raw'/><source protocol='ssh' name='/x'><host name='h'/><knownHosts path='/srv/known'/></source><target dev='vda'/></disk>",
        "DEVICES=<disk type='network'><driver name='qemu' type='raw'/><source protocol='ssh' name='/x'><host name='h'/></source><target dev='vda'/></disk>",
    ),
    (
        "VC1350",
        "DEVICES=<disk type='network'><driver name='qemu' type='raw'/><source protocol='ssh' name='/x'><host name='h'/><identity username='u' keyfile='/srv/key'/></source><target dev='vda'/></disk>",
        "DEVICES=<disk type='network'><driver name='qemu' type='raw'/><source protocol='ssh' name='/x'><host name='h'/></source><target dev='vda'/></disk>",
    ),
    ("VC1350", "TAIL=<on_lockfailure>poweroff</on_lockfailure>", "TAIL=<on_crash>destroy</on_crash>"),
    ("VC1350", "TAIL=<seclabel type='dynamic' model='smack'/>", "TAIL=<seclabel type='dynamic' model='selinux'/>"),
    (
        "VC1351",
        "DEVICES=<interface type='bridge'><source bridge='br0'/><model type='virtio'/><filterref filter='clean-traffic'/></interface>",
        "DEVICES=<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>",
    ),
    ("VC1380", "OS=<boot dev='cdrom'/>", "OS=<boot dev='hd'/>|DEVICES=DISK"),
    (
        "VC1380",
        "OS=<boot dev='network'/>",
        "OS=<boot dev='network'/>|DEVICES=<interface type='user'><model type='virtio'/></interface>",
    ),
    (
        "VC1381",
        "HEAD=<memtune><hard_limit unit='MiB'>256</hard_limit></memtune>",
        "HEAD=<memtune><hard_limit unit='GiB'>2</hard_limit></memtune>",
    ),
    (
        "VC1382",
        "DEVICES=<interface type='bridge'><source bridge='enp3s0'/><model type='virtio'/></interface>",
        "DEVICES=<interface type='bridge'><source bridge='ethernet'/><model type='virtio'/></interface>",
    ),
    (
        "VC1383",
        "DEVICES=<interface type='direct'><source dev='wlp2s0' mode='bridge'/><model type='virtio'/></interface>",
        "DEVICES=<interface type='direct'><source dev='enp3s0' mode='bridge'/><model type='virtio'/></interface>",
    ),
    (
        "VC1384",
        "DEVICES=<interface type='bridge'><source bridge='br0'/><target dev='tap0'/><model type='virtio'/></interface><interface type='bridge'><source bridge='br0'/><target dev='tap0'/><model type='virtio'/></interface>",
        "DEVICES=<interface type='bridge'><source bridge='br0'/><target dev='tap0'/><model type='virtio'/></interface><interface type='bridge'><source bridge='br0'/><target dev='tap1'/><model type='virtio'/></interface>",
    ),
    (
        "VC1385",
        "DEVICES=<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
        "DEVICES=<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.1'/></channel>",
    ),
    (
        "VC1386",
        "DEVICES=<graphics type='vnc' port='5901'/><graphics type='spice' port='5901'/>",
        "DEVICES=<graphics type='vnc' port='5901'/><graphics type='spice' port='5902'/>",
    ),
    (
        "VC1387",
        "CONSOLE=<serial type='tcp'><source mode='bind' host='0.0.0.0' service='4555'/></serial>",
        "CONSOLE=<serial type='tcp'><source mode='bind' host='127.0.0.1' service='4555'/></serial>",
    ),
    (
        "VC1387",
        "TAIL=<qemu:commandline><qemu:arg value='-monitor'/><qemu:arg value='tcp:0.0.0.0:4444,server,nowait'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-monitor'/><qemu:arg value='tcp:127.0.0.1:4444,server,nowait'/></qemu:commandline>",
    ),
    (
        "VC1387",
        "TAIL=<qemu:commandline><qemu:arg value='-s'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-S'/></qemu:commandline>",
    ),
    ("VC1388", "TAIL=<seclabel type='none'/>", "TAIL=<seclabel type='none' model='dac'/>"),
    (
        "VC1389",
        "OS=<cmdline>console=ttyS0</cmdline>",
        "OS=<kernel>/srv/vmlinuz</kernel><cmdline>console=ttyS0</cmdline>",
    ),
    (
        "VC1390",
        "OS=<loader>/usr/share/OVMF/OVMF_CODE.fd</loader>",
        "OS=<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/srv/vm_VARS.fd</nvram>",
    ),
    (
        "VC1391",
        "DEVICES=<graphics type='vnc'/><video><model type='none'/></video>",
        "DEVICES=<graphics type='vnc'/><video><model type='virtio'/></video>",
    ),
    (
        "VC1392",
        "DEVICES=<disk type='file'><source file='/srv/a.iso'/><target dev='vda' bus='virtio'/></disk>",
        "DEVICES=<disk type='file'><source file='/srv/a.iso'/><target dev='vda' bus='virtio'/><readonly/></disk>",
    ),
    (
        "VC1393",
        "DEVICES=<disk type='file'><source file='/srv/a.img'/><target dev='vda' bus='virtio'/><serial>123456789012345678901</serial></disk>",
        "DEVICES=<disk type='file'><source file='/srv/a.img'/><target dev='vda' bus='virtio'/><serial>12345678901234567890</serial></disk>",
    ),
    (
        "VC1394",
        "DEVICES=<disk type='file'><source file='/srv/a.img'/><target dev='vda' bus='virtio'/><blockio logical_block_size='1000'/></disk>",
        "DEVICES=<disk type='file'><source file='/srv/a.img'/><target dev='vda' bus='virtio'/><blockio logical_block_size='4096'/></disk>",
    ),
    (
        "VC1395",
        "TAIL=<qemu:commandline><qemu:arg value='-device virtio-rng-pci'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='virtio-rng-pci,bus=pcie.0,addr=0x1d'/></qemu:commandline>",
    ),
    (
        "VC1395",
        "TAIL=<qemu:commandline><qemu:arg value='-no-rebot'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-no-reboot'/></qemu:commandline>",
    ),
    (
        "VC1395",
        "TAIL=<qemu:commandline><qemu:arg value='-netdev'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-netdev'/><qemu:arg value='user,id=n'/></qemu:commandline>",
    ),
    (
        "VC1396",
        "TAIL=<qemu:commandline><qemu:arg value='-m'/><qemu:arg value='4096'/></qemu:commandline>",
        "TAIL=<qemu:commandline><qemu:arg value='-rtc'/><qemu:arg value='base=utc'/></qemu:commandline>",
    ),
    (
        "VC1397",
        "DEVICES=<disk type='file'><source file='/srv/a.img'/><target dev='vda' bus='virtio'/><serial>A1</serial></disk><disk type='file'><source file='/srv/b.img'/><target dev='vdb' bus='virtio'/><serial>A1</serial></disk>",
        "DEVICES=<disk type='file'><source file='/srv/a.img'/><target dev='vda' bus='virtio'/><serial>A1</serial></disk><disk type='file'><source file='/srv/b.img'/><target dev='vdb' bus='virtio'/><serial>A2</serial></disk>",
    ),
    (
        "VC1398",
        "DEVICES=<graphics type='spice' autoport='yes'><gl enable='yes'/></graphics>",
        "DEVICES=<graphics type='spice'><listen type='none'/><gl enable='yes'/></graphics>",
    ),
    (
        "VC1399",
        "KIND=qemu|TYPE=<type arch='aarch64' machine='virt'>hvm</type>|FEATURES=|DEVICES=<disk type='file' device='floppy'><source file='/srv/a.img'/><target dev='fda' bus='fdc'/></disk>",
        "DEVICES=<disk type='file' device='floppy'><source file='/srv/a.img'/><target dev='fda' bus='fdc'/></disk>",
    ),
];

/// Two functions of one card, with a bridge above them that may stay behind.
fn host(name: &str) -> Host {
    let mut host = Host::default();
    if name == "group" {
        for (function, class) in [(0, 0x03_0000), (1, 0x04_0300), (2, 0x06_0400)] {
            host.pci_devices.push(virtc::host::PciDevice {
                address: virtc::host::PciAddress { domain: 0, bus: 0x0b, slot: 0, function },
                vendor: None,
                device: None,
                class: Some(class),
                iommu_group: Some(17),
                express: true,
                physfn: None,
            });
        }
    }
    if name == "pages" {
        host.hugepages.push(virtc::host::HugepageMount {
            path: "/dev/hugepages".to_string(),
            page_size: 2 << 20,
            default: true,
        });
    }
    host
}

/// Codes of the lints that fire.
fn fired(case: &str, levels: Levels) -> Vec<(&'static str, Severity)> {
    let (text, facts, incoming) = domain(&case.replace("DISK", DISK));
    // Older ones fill the last page themselves.
    let choice = Choice::profile(if facts == "pages" { "qemu-10.0" } else { "qemu-7.2" }).expect("a profile");
    let options = Options { levels, incoming: Some(incoming).filter(|uri| !uri.is_empty()), ..Options::default() };
    let choose = |wanted: &Wanted<'_>| choice.for_domain(wanted);
    let compiled = compile_for(text.as_bytes(), &host(&facts), &choose, &options, Until::Planned);
    let errors: Vec<&str> = compiled
        .diags
        .iter()
        .filter(|d| d.severity == Severity::Error && !d.code.is_lint())
        .map(|d| &*d.message)
        .collect();
    assert!(errors.is_empty(), "{text}: {errors:?}");
    compiled.diags.iter().filter(|d| d.code.is_lint()).map(|d| (d.code.id, d.severity)).collect()
}

#[test]
fn each_lint_fires_where_it_should_and_only_there() {
    let mut cases: Vec<&str> = CASES.iter().map(|(code, ..)| *code).collect();
    cases.dedup();
    assert_eq!(cases, LINTS.iter().map(|l| l.code.id).collect::<Vec<_>>(), "a case for each lint");
    for (code, fires, silent) in CASES {
        let denied = LINTS.iter().any(|l| l.code.id == *code && l.level == Level::Deny);
        let severity = if denied { Severity::Error } else { Severity::Warning };
        assert_eq!(fired(fires, Levels::default()), [(*code, severity)], "{fires}");
        assert_eq!(fired(silent, Levels::default()), [], "{silent}");
    }
}

#[test]
fn levels_hold() {
    for (code, fires, _) in CASES {
        let level = |level| {
            let mut levels = Levels::default();
            levels.set(code, level).expect("a code");
            levels
        };
        assert_eq!(fired(fires, level(Level::Allow)), [], "{fires}");
        assert_eq!(fired(fires, level(Level::Deny)), [(*code, Severity::Error)], "{fires}");
    }
}

#[test]
fn no_lint_fires_on_the_examples() {
    for entry in std::fs::read_dir(crate::common::root().join("examples")).expect("examples") {
        let path = entry.expect("an entry").path();
        // Two are domains of others, kept as they were written.
        let foreign = ["demo2-kvm.xml", "fedora-i686.xml"].iter().any(|name| path.ends_with(name));
        if foreign || path.extension().is_none_or(|e| e != "xml") {
            continue;
        }
        let text = std::fs::read(&path).expect("a text");
        let choice = Choice::profile("qemu-7.2").expect("a profile");
        let choose = |wanted: &Wanted<'_>| choice.for_domain(wanted);
        let compiled = compile_for(&text, &Host::default(), &choose, &Options::default(), Until::Planned);
        let lints: Vec<&str> = compiled.diags.iter().filter(|d| d.code.is_lint()).map(|d| &*d.message).collect();
        assert!(lints.is_empty(), "{}: {lints:?}", path.display());
    }
}

/// Whether QEMU makes a machine of the arguments. It stays at its first instruction, and ends when its monitor says so.
fn starts(args: &[&str]) -> bool {
    let mut qemu = std::process::Command::new("qemu-system-x86_64")
        .args(["-machine", "q35", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio"])
        .args(args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("QEMU is there");
    if let Some(mut monitor) = qemu.stdin.take() {
        // One that has ended already hears nothing.
        let _ = std::io::Write::write_all(&mut monitor, b"quit\n");
    }
    qemu.wait().expect("QEMU ends").success()
}

#[test]
fn qemu_refuses_what_the_lints_say() {
    if !crate::common::has_qemu() {
        return;
    }
    let vga = "{\"driver\":\"VGA\",\"id\":\"ua-v\",\"bus\":\"pcie.0\",\"addr\":\"0x1\"}";
    let ports = ["-device", "virtio-serial-pci", "-chardev", "null,id=a", "-chardev", "null,id=b"];
    let port = |id: &str| format!("virtserialport,chardev={id},name=org.qemu.guest_agent.0");
    let (one, two) = (port("a"), port("b"));
    let twice = [&ports[..], &["-device", &one, "-device", &two]].concat();
    let disk = ["-blockdev", "driver=null-co,node-name=n", "-device", "virtio-blk-pci,drive=n,logical_block_size=1000"];
    let tag = ["-fsdev", "local,id=f,path=/srv,security_model=none"];
    let tag = [&tag[..], &["-device", "virtio-9p-pci,fsdev=f,mount_tag=the-name-of-a-share-that-is-too-long"]].concat();
    let refused: [&[&str]; 15] = [
        &["-vnc", "none", "-k", "en_us"],
        &tag,
        &twice,
        &disk,
        &["-append", "console=ttyS0"],
        &["-initrd", "/etc/passwd"],
        &["-device virtio-rng-pci"],
        &["-netdev"],
        &["-object", "memory-backend-ram,id=ram,size=64M", "-machine", "memory-backend=ram", "-m", "64", "-m", "128"],
        &["-device", "virtio-vga-gl"],
        &["-device", "virtoi"],
        &["-device", vga, "-set", "device.ua-v.edid=off"],
        &["-device", vga, "-device", "edu"],
        &["-device", vga, "-device", "edu,bus=pcie.0,addr=0x1"],
        &["-blockdev", "driver=host_device,node-name=a,filename=/etc/passwd,read-only=on"],
    ];
    for args in refused {
        assert!(!starts(args), "{args:?}");
    }
    assert!(starts(&["-device", vga, "-device", "edu,bus=pcie.0,addr=0x1d"]));
}

#[test]
fn the_network_cards_of_qemu_are_known() {
    if !crate::common::has_qemu() {
        return;
    }
    let out = std::process::Command::new("qemu-system-x86_64").args(["-device", "help"]).output().expect("QEMU runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let cards =
        text.split_once("Network devices:\n").map_or("", |(_, rest)| rest).lines().take_while(|l| !l.is_empty());
    let names: Vec<&str> = cards.filter_map(|line| line.split('"').nth(1)).collect();
    assert!(names.len() > 10, "{text}");
    let unknown: Vec<&&str> = names.iter().filter(|n| !virtc::lint::NIC_MODELS.contains(n)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
