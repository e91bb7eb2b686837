//! An hour of somebody who never saw the code, and wants more of the host than an image and a network: what each attempt has to
//! come to was decided before it was run.

use crate::attacks::{QEMU, domain, errors};
use crate::common::virtc;

/// Tries each device against what is expected of it.
fn try_all<S: AsRef<str>>(attempts: &[(S, &str)]) {
    let mut wrong = Vec::new();
    for (device, expected) in attempts {
        let device = device.as_ref();
        let found = errors("", &domain(QEMU, device, ""));
        let fits = if expected.is_empty() { found.is_empty() } else { found.contains(expected) };
        if !fits {
            wrong.push(format!("{device}\n    gave {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tries what stands after the devices.
fn try_ends(attempts: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (end, expected) in attempts {
        let found = errors("", &domain(QEMU, "", end));
        let fits = if expected.is_empty() { found.is_empty() } else { found.contains(expected) };
        if !fits {
            wrong.push(format!("{end}\n    gave {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every element that has a path, with one of the host's own.
#[test]
fn every_element_with_a_path_is_judged() {
    try_all(&[
        ("<serial type='pty'><log file='/etc/cron.d/x' append='on'/></serial>", "VC1404"),
        ("<serial type='pty'><log file='/var/log/syslog'/></serial>", "VC1404"),
        ("<serial type='pty'><log file='/root/.bashrc'/></serial>", "VC1404"),
        ("<serial type='pty'><log file='/dev/kmsg'/></serial>", "VC1404"),
        ("<serial type='file'><source path='/sys/kernel/uevent_helper'/></serial>", "VC1404"),
        ("<serial type='file'><source path='/proc/sys/kernel/core_pattern' append='on'/></serial>", "VC1404"),
        ("<serial type='pipe'><source path='/run/initctl'/></serial>", "VC1404"),
        ("<serial type='pipe'><source path='/run/systemd/private'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/run/systemd/private'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/run/systemd/notify'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/run/dbus/system_bus_socket'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/run/docker.sock'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/var/run/docker.sock'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/proc/1/root/run/docker.sock'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/run/libvirt/libvirt-sock'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/run/libvirt/virtqemud-sock'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/run/udev/control'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/run/containerd/containerd.sock'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='connect' path='/run/virtc/other/monitor.sock'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='bind' path='/run/systemd/journal/stdout'/></serial>", "VC1404"),
        ("<serial type='unix'><source mode='bind' path='/etc/x.sock'/></serial>", "VC1404"),
        (
            "<channel type='unix'><source mode='bind' path='/run/docker.sock'/><target type='virtio' name='x'/></channel>",
            "VC1404",
        ),
        ("<channel type='spicevmc'><target type='virtio' name='x'/><log file='/etc/motd'/></channel>", "VC1404"),
        ("<console type='dev'><source path='/dev/tty0'/></console>", "VC1404"),
        ("<parallel type='dev'><source path='/dev/port'/></parallel>", "VC1404"),
        (
            "<rng model='virtio'><backend model='egd' type='unix'><source mode='connect' path='/run/docker.sock'/></backend></rng>",
            "VC1404",
        ),
        ("<rng model='virtio'><backend model='random'>/dev/sda</backend></rng>", "VC1404"),
        ("<rng model='virtio'><backend model='random'>/proc/kcore</backend></rng>", "VC1404"),
        ("<rng model='virtio'><backend model='random'>/dev/../etc/shadow</backend></rng>", "VC1404"),
        ("<tpm><backend type='passthrough'><device path='/dev/mem'/></backend></tpm>", "VC1404"),
        ("<tpm><backend type='passthrough'><device path='/etc/shadow'/></backend></tpm>", "VC1404"),
        ("<tpm><backend type='emulator'><source type='dir' path='/etc'/></backend></tpm>", "VC1404"),
        (
            "<tpm><backend type='emulator'><source type='file' path='/root/.ssh/authorized_keys'/></backend></tpm>",
            "VC1404",
        ),
        (
            "<tpm><backend type='external'><source type='unix' mode='connect' path='/run/docker.sock'/></backend></tpm>",
            "VC1404",
        ),
        ("<shmem name='../../etc/passwd'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>", "VC0103"),
        ("<shmem name='x'><model type='ivshmem-doorbell'/><server path='/run/docker.sock'/></shmem>", "VC1404"),
        ("<filesystem type='mount'><source dir='/'/><target dir='t'/></filesystem>", "VC1404"),
        ("<filesystem type='mount'><source dir='/etc'/><target dir='t'/></filesystem>", "VC1404"),
        ("<filesystem type='mount'><source dir='/proc/self/root'/><target dir='t'/></filesystem>", "VC1404"),
        ("<filesystem type='mount'><source dir='/home/me/.ssh'/><target dir='t'/></filesystem>", "VC1404"),
        (
            "<filesystem type='mount'><driver type='virtiofs'/><source dir='/root'/><target dir='t'/></filesystem>",
            "VC1404",
        ),
        (
            "<filesystem type='mount'><driver type='virtiofs'/><source dir='/var/lib'/><target dir='t'/></filesystem>",
            "VC1404",
        ),
        (
            "<filesystem type='mount'><driver type='virtiofs'/><source socket='/run/docker.sock'/><target dir='t'/></filesystem>",
            "VC1404",
        ),
        ("<graphics type='vnc' socket='/run/systemd/notify'/>", "VC1404"),
        ("<graphics type='vnc'><listen type='socket' socket='/etc/vnc.sock'/></graphics>", "VC1404"),
        ("<graphics type='spice'><listen type='socket' socket='/run/docker.sock'/></graphics>", "VC1404"),
        ("<graphics type='egl-headless'><gl rendernode='/dev/mem'/></graphics>", "VC1404"),
        ("<graphics type='egl-headless'><gl rendernode='/dev/dri/../sda'/></graphics>", "VC1404"),
        ("<graphics type='sdl' xauth='/etc/shadow'/>", "VC1404"),
        ("<graphics type='sdl' xauth='/home/me/.ssh/id'/>", "VC1404"),
        ("<input type='evdev'><source dev='/dev/sda'/></input>", "VC1404"),
        ("<input type='evdev'><source dev='/etc/shadow'/></input>", "VC1404"),
        ("<input type='passthrough' bus='virtio'><source evdev='/dev/uinput'/></input>", "VC1404"),
        (
            "<interface type='vhostuser'><source type='unix' path='/run/docker.sock' mode='client'/><model type='virtio'/></interface>",
            "VC1404",
        ),
        ("<interface type='vdpa'><source dev='/dev/mem'/></interface>", "VC1404"),
        ("<interface type='user'><rom file='/etc/shadow'/></interface>", "VC1404"),
        ("<interface type='user'><rom file='/dev/mem'/></interface>", "VC1404"),
        ("<interface type='user'><backend type='passt' logFile='/etc/cron.d/x'/></interface>", "VC1404"),
        // Said not to be carried out.
        ("<interface type='bridge'><source bridge='br0'/><backend tap='/dev/mem'/></interface>", ""),
        (
            "<interface type='bridge'><source bridge='br0'/><model type='virtio'/><backend vhost='/dev/sda'/></interface>",
            "",
        ),
        (
            "<video><driver vgaconf='io'/><model type='virtio'><acceleration accel3d='yes' rendernode='/dev/mem'/></model></video>",
            "VC0704",
        ),
        (
            "<smartcard mode='host-certificates'><certificate>a</certificate><certificate>b</certificate><certificate>c</certificate><database>/root</database></smartcard>",
            "VC1404",
        ),
        (
            "<smartcard mode='passthrough' type='unix'><source mode='connect' path='/run/pcscd/pcscd.comm'/></smartcard>",
            "VC1404",
        ),
        ("<smartcard mode='passthrough' type='dev'><source path='/dev/mem'/></smartcard>", "VC1404"),
        ("<redirdev bus='usb' type='unix'><source mode='connect' path='/run/docker.sock'/></redirdev>", "VC1404"),
        ("<redirdev bus='usb' type='dev'><source path='/dev/kmsg'/></redirdev>", "VC1404"),
        ("<audio id='1' type='file' path='/etc/cron.d/x'/>", "VC1404"),
        ("<audio id='1' type='oss'><input dev='/dev/mem'/></audio>", "VC1404"),
        (
            "<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='naa.5123456789abcde0/../x'/></hostdev>",
            "VC0103",
        ),
    ]);
}

/// Disks: other names of the host's own.
#[test]
fn every_name_of_a_disk_is_judged() {
    let disk = |source: &str, more: &str| {
        format!(
            "<disk type='file'><driver name='qemu' type='raw'/>{source}<target dev='vda' bus='virtio'/>{more}</disk>"
        )
    };
    let all: Vec<(String, &str)> = [
        ("<source file='/proc/self/fd/0'/>", "", "VC1404"),
        ("<source file='/proc/kcore'/>", "", "VC1404"),
        ("<source file='/proc/1/mem'/>", "", "VC1404"),
        ("<source file='/proc/thread-self/root/etc/shadow'/>", "", "VC1404"),
        ("<source file='/dev/fd/3'/>", "", "VC1404"),
        ("<source file='/dev/core'/>", "", "VC1404"),
        ("<source file='/sys/firmware/efi/efivars/x'/>", "", "VC1404"),
        ("<source file='/sys/fs/cgroup/cgroup.procs'/>", "", "VC1404"),
        ("<source file='/sys/kernel/debug/x'/>", "", "VC1404"),
        ("<source file='/srv/a/../../etc/shadow'/>", "", "VC1404"),
        ("<source file='//etc/shadow'/>", "", "VC1404"),
        ("<source file='/./etc/./shadow'/>", "", "VC1404"),
        ("<source file='/etc/shadow/'/>", "", "VC1404"),
        ("<source file='/var/lib/libvirt/images/../../../../etc/shadow'/>", "", "VC1404"),
        ("<source file='/usr/bin/qemu-system-x86_64'/>", "", "VC1404"),
        ("<source file='/lib/systemd/systemd'/>", "", "VC1404"),
        ("<source file='/var/spool/cron/crontabs/root'/>", "", "VC1404"),
        ("<source file='/var/lib/dpkg/status'/>", "", "VC1404"),
        ("<source file='/etc/libvirt/qemu/other.xml'/>", "", "VC1404"),
        ("<source file='/usr/share/virtc/other/plan.json'/>", "", "VC1404"),
        ("<source file='/usr/lib/virtc/qmp'/>", "", "VC1404"),
        ("<source file='/var/lib/virtc/deployed/added'/>", "", "VC1404"),
        ("<source file='/var/lib/virtc/other/tpm/x'/>", "", "VC1404"),
        ("<source file='/var/lib/virtc/vm/../other/x'/>", "", "VC1404"),
        ("<source file='/run/virtc-links/libvirt-x'/>", "", "VC1404"),
        ("<source file='/run/credentials/x/y'/>", "", "VC1404"),
        ("<source file='/run/log/journal/x'/>", "", "VC1404"),
        ("<source file='/var/log/journal/x/system.journal'/>", "", "VC1404"),
        ("<source file='/var/log/audit/audit.log'/>", "", "VC1404"),
        ("<source file='/dev/disk/../mem'/>", "", "VC1404"),
        ("<source file='/dev/mapper/../../etc/shadow'/>", "", "VC1404"),
        ("<source file='/srv/a.qcow2'/>", "<backingStore type='file'><format type='raw'/><source file='/etc/shadow'/><backingStore/></backingStore>", "VC1404"),
        ("<source file='/srv/a.qcow2'/>", "<mirror type='file' job='copy'><format type='raw'/><source file='/etc/cron.d/x'/></mirror>", ""),
        ("<source file='/srv/a'><dataStore type='file'><format type='raw'/><source file='/etc/shadow'/></dataStore></source>", "", "VC1404"),
        ("<source file='/srv/a'><encryption format='luks'><secret type='passphrase' usage='/etc/shadow'/></encryption></source>", "", ""),
        ("<source file='/srv/a'><reservations managed='no'><source type='unix' path='/run/docker.sock' mode='client'/></reservations></source>", "", "VC0111"),
        ("<source file='json:{\"driver\":\"file\",\"filename\":\"/etc/shadow\"}'/>", "", "VC0103"),
        ("<source file='nbd:unix:/run/docker.sock'/>", "", "VC0103"),
        ("<source file='fat:rw:/etc'/>", "", "VC0103"),
        ("<source file='etc/shadow'/>", "", "VC0103"),
    ]
    .into_iter()
    .map(|(source, more, expected)| (disk(source, more), expected))
    .collect();
    try_all(&all);
    let named = |kind: &str, source: &str| {
        let format = if kind == "dir" { "fat" } else { "raw" };
        format!(
            "<disk type='{kind}'><driver name='qemu' type='{format}'/>{source}<target dev='vda' bus='virtio'/></disk>"
        )
    };
    let all: Vec<(String, &str)> = [
        ("dir", "<source dir='/etc'/><readonly/>", "VC1404"),
        ("dir", "<source dir='/home/me/.ssh'/><readonly/>", "VC1404"),
        ("dir", "<source dir='/'/><readonly/>", "VC1404"),
        ("network", "<source protocol='nbd' name='x'><host transport='unix' socket='/run/docker.sock'/></source>", "VC1404"),
        ("network", "<source protocol='vxhs' name='x' tls='yes'><host name='h'/></source>", ""),
        // Said not to be carried out: QEMU opens neither.
        ("network", "<source protocol='ssh' name='/x'><host name='h'/><identity username='u' keyfile='/root/.ssh/id_rsa'/></source>", ""),
        ("network", "<source protocol='ssh' name='/x'><host name='h'/><knownHosts path='/etc/shadow'/><identity username='u' keyfile='/srv/k'/></source>", ""),
        ("network", "<source protocol='rbd' name='p/x:conf=/etc/shadow'><host name='h'/></source>", "VC0412"),
        ("network", "<source protocol='gluster' name='v/../../x'><host transport='unix' socket='/run/docker.sock'/></source>", "VC1404"),
        ("vhostuser", "<source type='unix' path='/run/docker.sock'/>", "VC1404"),
        ("vhostvdpa", "<source dev='/dev/mem'/>", "VC1404"),
        ("nvme", "<source type='pci' managed='yes' namespace='1'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>", ""),
    ]
    .into_iter()
    .map(|(kind, source, expected)| (named(kind, source), expected))
    .collect();
    try_all(&all);
}

/// The machine itself: firmware, tables, blobs, variables.
#[test]
fn what_the_firmware_is_given_is_judged() {
    let os = |inner: &str| domain(QEMU, "", "").replace("</os>", &format!("{inner}</os>"));
    for (inner, expected) in [
        ("<loader readonly='yes' type='pflash'>/etc/shadow</loader>", "VC1404"),
        ("<loader readonly='no' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>", "VC1404"),
        (
            "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram>/etc/cron.d/x</nvram>",
            "VC1404",
        ),
        (
            "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/etc/shadow'>/srv/n.fd</nvram>",
            "VC1404",
        ),
        (
            "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/proc/kcore'>/srv/n.fd</nvram>",
            "VC1404",
        ),
        (
            "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/dev/sda'>/srv/n.fd</nvram>",
            "VC1404",
        ),
        (
            "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/home/me/.ssh/id'>/srv/n.fd</nvram>",
            "VC1404",
        ),
        ("<kernel>/etc/shadow</kernel>", "VC1404"),
        ("<initrd>/proc/1/environ</initrd><kernel>/boot/vmlinuz</kernel>", "VC1404"),
        ("<kernel>/boot/vmlinuz</kernel><initrd>/root/.ssh/id_rsa</initrd>", "VC1404"),
        ("<kernel>/boot/vmlinuz</kernel><dtb>/etc/shadow</dtb>", "VC1404"),
        ("<kernel>/boot/vmlinuz</kernel><shim>/etc/shadow</shim>", "VC1404"),
        ("<acpi><table type='slic'>/etc/shadow</table></acpi>", "VC1404"),
        ("<acpi><table type='slic'>/sys/firmware/acpi/tables/../../../../etc/shadow</table></acpi>", "VC1404"),
    ] {
        let found = errors("", &os(inner));
        assert!(found.contains(&expected), "{inner}: {found:?}");
    }
    try_ends(&[
        ("<sysinfo type='fwcfg'><entry name='opt/x' file='/etc/shadow'/></sysinfo>", "VC1404"),
        ("<sysinfo type='fwcfg'><entry name='opt/x' file='/dev/mem'/></sysinfo>", "VC1404"),
        ("<sysinfo type='fwcfg'><entry name='opt/x' file='/srv/../root/k'/></sysinfo>", "VC1404"),
        ("<sysinfo type='fwcfg'><entry name='opt/x,file=/etc/shadow'>v</entry></sysinfo>", ""),
    ]);
}

#[test]
fn files_of_memory_are_judged() {
    for (path, expected) in
        [("/etc/shadow", "VC1404"), ("/dev/mem", "VC1404"), ("/proc/kcore", "VC1404"), ("/srv/../root/x", "VC1404")]
    {
        let module = format!(
            "<memory model='nvdimm' access='shared'><source><path>{path}</path></source>\
             <target><size unit='MiB'>64</size><node>0</node></target></memory>"
        );
        let text = domain(QEMU, &module, "<cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB'/></numa></cpu>")
            .replace("<memoryBacking>", "<maxMemory slots='2' unit='MiB'>512</maxMemory><memoryBacking>");
        let found = errors("", &text);
        assert!(found.contains(&expected), "{path}: {found:?}");
    }
}

/// What is handed to QEMU as it is.
#[test]
fn arguments_are_no_way_around() {
    let handed = |switch: &str, value: &str| {
        format!("<qemu:commandline><qemu:arg value='{switch}'/><qemu:arg value='{value}'/></qemu:commandline>")
    };
    let mut all = Vec::new();
    for (switch, value, expected) in [
        ("-object", "secret,id=s,file=/etc/shadow", "VC1404"),
        ("-object", "secret_keyring,id=s,serial=1", ""),
        ("-object", "memory-backend-file,id=m,size=1M,mem-path=/dev/mem", "VC1404"),
        // A disk of the host may be named, as in <disk>.
        ("-object", "memory-backend-file,id=m,size=1M,mem-path=/dev/sda", ""),
        ("-object", "filter-dump,id=f,netdev=n,file=/etc/cron.d/x", "VC1404"),
        ("-object", "rng-egd,id=r,chardev=c", ""),
        ("-object", "rng-random,id=r,filename=/dev/mem", "VC1404"),
        ("-object", "can-host-socketcan,id=c,if=can0,canbus=b", ""),
        ("-object", "input-linux,id=i,evdev=/dev/uinput", "VC1404"),
        ("-object", "tls-creds-x509,id=t,dir=/root,endpoint=server", "VC1404"),
        ("-object", "pr-manager-helper,id=p,path=/run/docker.sock", "VC1404"),
        ("-object", "qtest,id=q,chardev=c", ""),
        ("-object", "sev-guest,id=s,dh-cert-file=/etc/shadow", "VC1404"),
        ("-acpitable", "file=/etc/shadow", "VC1404"),
        ("-smbios", "file=/etc/shadow", "VC1404"),
        ("-smbios", "type=11,path=/etc/shadow", "VC1404"),
        ("-fw_cfg", "name=opt/x,file=/etc/shadow", "VC1404"),
        ("-fw_cfg", "opt/x,/etc/shadow", "VC1404"),
        ("-kernel", "/etc/shadow", "VC1404"),
        ("-initrd", "/boot/vmlinuz,/etc/shadow", "VC1404"),
        ("-initrd", "/boot/vmlinuz /etc/shadow", "VC1404"),
        ("-dtb", "/etc/shadow", "VC1404"),
        ("-bios", "/etc/shadow", "VC1404"),
        ("-pflash", "/etc/shadow", "VC1404"),
        ("-hda", "/etc/shadow", "VC1404"),
        ("-hda", "json:{&quot;driver&quot;:&quot;file&quot;,&quot;filename&quot;:&quot;/etc/shadow&quot;}", "VC1404"),
        ("-cdrom", "/etc/shadow", "VC1404"),
        ("-sd", "/etc/shadow", "VC1404"),
        ("-mtdblock", "/etc/shadow", "VC1404"),
        ("-fda", "fat:/etc", "VC1404"),
        ("-D", "/etc/cron.d/x", "VC1404"),
        ("-trace", "file=/etc/cron.d/x", "VC1404"),
        ("-loadvm", "x", ""),
        ("-monitor", "unix:/run/docker.sock", "VC1404"),
        ("-qmp", "unix:/run/virtc/other/monitor.sock,server=off", "VC1404"),
        ("-mon", "chardev=c", ""),
        ("-chardev", "socket,id=c,path=/run/systemd/private", "VC1404"),
        ("-chardev", "pipe,id=c,path=/run/initctl", "VC1404"),
        ("-chardev", "parport,id=c,path=/dev/port", "VC1404"),
        ("-chardev", "null,id=c,logfile=/etc/cron.d/x", "VC1404"),
        ("-chardev", "stdio,id=c,logfile=/root/.bashrc", "VC1404"),
        ("-serial", "file:/etc/cron.d/x", "VC1404"),
        ("-serial", "pipe:/etc/x", "VC1404"),
        ("-parallel", "file:/etc/cron.d/x", "VC1404"),
        ("-debugcon", "file:/etc/cron.d/x", "VC1404"),
        ("-gdb", "unix:/run/docker.sock", "VC1404"),
        ("-virtfs", "local,path=/etc,mount_tag=t,security_model=none", "VC1404"),
        ("-fsdev", "local,id=f,path=/,security_model=none", "VC1404"),
        ("-device", "usb-mtp,rootdir=/etc,desc=x", "VC1404"),
        ("-device", "usb-ccid,x=/etc/y", "VC1404"),
        ("-device", "vhost-user-fs-pci,chardev=c,tag=/etc", ""),
        ("-device", "virtio-9p-pci,fsdev=f,mount_tag=/etc", ""),
        ("-device", "scsi-generic,drive=d", ""),
        ("-device", "ivshmem-plain,memdev=m", ""),
        ("-device", "guest-loader,addr=0,kernel=/etc/shadow", "VC1404"),
        ("-device", "virtio-gpu-gl-pci,hostmem=1M,romfile=/etc/shadow", "VC1404"),
        ("-tpmdev", "passthrough,id=t,path=/dev/mem", "VC1404"),
        ("-tpmdev", "passthrough,id=t,path=/dev/tpm0,cancel-path=/etc/x", "VC1404"),
        ("-netdev", "tap,id=n,vhostfd=3,fd=4", ""),
        ("-netdev", "vde,id=n,sock=/run/docker.sock", "VC1404"),
        ("-netdev", "l2tpv3,id=n,src=a,dst=b,txsession=1", ""),
        ("-netdev", "dgram,id=n,remote.type=unix,remote.path=/run/systemd/notify", "VC1404"),
        ("-netdev", "af-xdp,id=n,ifname=eth0,map-path=/sys/fs/bpf/x", "VC1404"),
        ("-netdev", "vhost-vdpa,id=n,vhostdev=/dev/mem", "VC1404"),
        ("-netdev", "passt,id=n,path=/srv/evil", "VC1901"),
        ("-netdev", "user,id=n,tftp=/home/me/.ssh", "VC1404"),
        ("-netdev", "user,id=n,smb=/etc", "VC1404"),
        ("-spice", "x509-key-file=/etc/shadow,port=1", "VC1404"),
        ("-spice", "x509-dir=/root,tls-port=1", "VC1404"),
        ("-vnc", "unix:/etc/x.sock", "VC1404"),
        ("-vnc", ":1,sasl-authz=x", ""),
        ("-display", "egl-headless,rendernode=/dev/mem", "VC1404"),
        ("-display", "dbus,addr=unix:path=/run/dbus/system_bus_socket", "VC1404"),
        ("-display", "dbus,addr=unixexec:path=/bin/sh", "VC1405"),
        ("-audiodev", "wav,id=a,path=/etc/cron.d/x", "VC1404"),
        ("-audiodev", "alsa,id=a,out.dev=file:/etc/cron.d/x", "VC1404"),
        ("-audiodev", "oss,id=a,out.dev=/dev/mem", "VC1404"),
        ("-k", "../../etc/passwd", "VC1404"),
        ("-readconfig", "/srv/x", "VC1405"),
        ("-plugin", "/srv/evil.so", "VC1405"),
        ("--plugin", "file=/srv/evil.so", "VC1405"),
        ("-incoming", "exec:id", "VC1405"),
        ("-incoming", "fd:3", ""),
        ("-incoming", "exec%3aid", ""),
        (
            "-incoming",
            "{&quot;channel-type&quot;:&quot;main&quot;,&quot;addr&quot;:{&quot;transport&quot;:&quot;exec&quot;,&quot;args&quot;:[&quot;/bin/sh&quot;]}}",
            "VC1405",
        ),
        ("-add-fd", "fd=3,set=1", ""),
        ("-qtest", "unix:/run/docker.sock", "VC1404"),
        ("-accel", "qtest", ""),
        ("-semihosting-config", "enable=on,target=native", "VC1405"),
        ("-action", "panic=exit-failure", ""),
        ("-perfmap", "", ""),
        ("-machine", "dumpdtb=/etc/cron.d/x", "VC1404"),
        ("-machine", "firmware=/etc/shadow", "VC1404"),
        ("-machine", "initrd=/etc/shadow", "VC1404"),
        ("-compat", "deprecated-input=crash", ""),
        ("-watchdog-action", "debug", ""),
        ("-user", "root", ""),
        ("-run-with", "chroot=/srv", "VC1405"),
        ("-run-with", "user=root", "VC1405"),
        ("-sandbox", "off", "VC1405"),
        ("--sandbox", "off", "VC1405"),
        ("-daemonize", "", "VC1405"),
        ("-pidfile", "/etc/x", "VC1405"),
    ] {
        all.push((handed(switch, value), expected));
    }
    for (name, value, expected) in [
        ("LD_PRELOAD", "/srv/evil.so", "VC1405"),
        ("LD_LIBRARY_PATH", "/srv", "VC1405"),
        ("LD_AUDIT", "/srv/x", "VC1405"),
        ("GCONV_PATH", "/srv", "VC1405"),
        ("QEMU_MODULE_DIR", "/srv", "VC1405"),
        ("PATH", "/srv", "VC1405"),
        ("IFS", " ", ""),
        ("GTK_IM_MODULE_FILE", "/srv/x", "VC1405"),
        ("GTK_EXE_PREFIX", "/srv/x", "VC1405"),
        ("GSS_MECH_CONFIG", "/srv/mech", "VC1405"),
        ("KRB5_CONFIG", "/srv/krb5.conf", "VC1405"),
        ("LIBGL_DRIVERS_DIR", "/srv", "VC1405"),
        ("EGL_DRIVERS_PATH", "/srv", "VC1405"),
        ("VK_LAYER_SETTINGS_PATH", "/srv", "VC1405"),
        ("VK_ADD_IMPLICIT_LAYER_PATH", "/srv", "VC1405"),
        ("SPA_CONFIG_DIR", "/srv", "VC1405"),
        ("PULSE_DLPATH", "/srv", "VC1405"),
        ("PULSE_CLIENTCONFIG", "/srv/client.conf", "VC1405"),
        ("P11_KIT_CONFIG_FILE", "/srv/x", "VC1405"),
        ("SSL_ENGINES", "/srv", "VC1405"),
        ("SSLKEYLOGFILE", "/etc/x", "VC1404"),
        ("DBUS_SESSION_BUS_ADDRESS", "unixexec:path=/bin/sh,argv1=-c", "VC1405"),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/dbus/system_bus_socket", "VC1404"),
        ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/docker.sock", "VC1404"),
        ("SSH_AUTH_SOCK", "/tmp/ssh-x/agent.1", "VC1404"),
        ("XAUTHORITY", "/etc/shadow", "VC1404"),
        ("PULSE_SERVER", "unix:/run/docker.sock", "VC1404"),
        ("NOTIFY_SOCKET", "/run/systemd/notify", "VC1405"),
        ("LISTEN_FDS", "1", "VC1405"),
        ("MAINPID", "1", "VC1405"),
        ("CREDENTIALS_DIRECTORY", "/srv", "VC1405"),
        ("MALLOC_TRACE", "/etc/x", "VC1404"),
        ("XDG_RUNTIME_DIR", "/run/user/1000", ""),
        // The account of the machine may not look into it.
        ("HOME", "/root", ""),
        ("TMPDIR", "/etc", "VC1404"),
        ("A=B", "x", "VC0103"),
        ("A\nB", "x", "VC0103"),
        ("A", "x\ny", ""),
        ("A", "%n $x", ""),
    ] {
        all.push((format!("<qemu:commandline><qemu:env name='{name}' value='{value}'/></qemu:commandline>"), expected));
    }
    let all: Vec<(&str, &str)> = all.iter().map(|(end, expected)| (end.as_str(), *expected)).collect();
    try_ends(&all);
}

/// A script of thirty lines can name more text than the host has memory.
#[test]
fn scripts_that_double_themselves_come_to_an_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = |item: &dyn Fn(usize) -> String| (1..40).map(item).collect::<String>();
    let doubled = text(&|i| format!("A{i}=\"$A{}$A{}\"\n", i - 1, i - 1));
    let listed = "A=(x)\n".to_string() + &"A=(\"${A[@]}\" \"${A[@]}\")\n".repeat(40);
    let repeated = format!("A={}\n", "x".repeat(1 << 20)) + &"B=\"$A$A$A$A$A$A$A$A\"\n".repeat(200);
    for script in [format!("A0=x\n{doubled}"), listed, repeated] {
        let file = dir.path().join("start.sh");
        std::fs::write(&file, format!("{script}qemu-system-x86_64 -append \"$A39$A$B\"\n")).expect("written");
        let began = std::time::Instant::now();
        let out = virtc().args(["import", "argv"]).arg(&file).output().expect("virtc");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && said.contains("longer than 32 MiB"), "{:?} {said:.300}", out.status);
        assert!(began.elapsed() < std::time::Duration::from_secs(60));
    }
}

/// Whose account a label may name: nobody's whose files the guest is not to have.
#[test]
fn accounts_of_others_are_not_lent() {
    let labelled = |label: &str| {
        domain(QEMU, "", &format!("<seclabel type='static' model='dac'><label>{label}</label></seclabel>"))
    };
    for label in
        ["virtc-bob:virtc-bob", "qemu:virtc-bob", "postgres:postgres", "www-data:www-data", "systemd-network:kvm"]
    {
        assert_eq!(errors("", &labelled(label)), ["VC1403"], "{label}");
        assert_eq!(errors_with_consent(&labelled(label)), [""; 0], "{label}");
    }
    for label in ["virtc-vm:virtc-vm", "qemu:kvm", "libvirt-qemu:kvm", "+64055:+64055", "alice:alice", "nobody:users"] {
        assert_eq!(errors("", &labelled(label)), [""; 0], "{label}");
    }
}

fn errors_with_consent(text: &str) -> Vec<&'static str> {
    errors("security { allow-unconfined #true; }", text)
}

/// A template is read by root, and its contents are the guest's: what a tenant has made is copied at the start, by who looks for links.
#[test]
fn templates_of_tenants_are_copied_with_care() {
    use std::os::unix::fs::{chown, symlink};
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let built = |template: &str, store: &str| {
        let nvram = format!(
            "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='{template}'>{store}</nvram></os>"
        );
        let text = domain(QEMU, "", "<features><acpi/></features>").replace("</os>", &nvram);
        std::fs::write(at("vm.xml"), text).expect("written");
        let _ = std::fs::remove_dir_all(at("out"));
        let out = virtc().current_dir(dir.path()).args(["build", "vm.xml", "-o", "out"]).output().expect("virtc");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = |name: &str| std::fs::read_to_string(at("out/usr").join(name)).expect("a file of the tree");
        (text("lib/tmpfiles.d/virtc-vm.conf"), text("lib/systemd/system/virtc-vm.service"))
    };
    let line = "ExecStartPre=+/usr/lib/virtc/qmp copy /usr/share/virtc/vm/plan.json\n";
    let (files, unit) = built("/usr/share/OVMF/OVMF_VARS.fd", "/srv/vm_VARS.fd");
    assert!(files.contains("\nC /srv/vm_VARS.fd ") && !unit.contains("qmp copy"), "{files}{unit}");
    let (files, unit) = built("/srv/tenant/vars.fd", "/srv/vm_VARS.fd");
    assert!(!files.contains("C /srv") && unit.contains(line), "{files}{unit}");
    if !crate::common::is_root() {
        return;
    }
    std::fs::create_dir_all(at("host")).expect("made");
    std::fs::create_dir_all(at("tenant")).expect("made");
    std::fs::write(at("host/shadow"), "a secret").expect("written");
    std::fs::write(at("tenant/vars.fd"), "variables").expect("written");
    symlink(at("host"), at("tenant/link")).expect("planted");
    chown(at("tenant"), Some(64_999), None).expect("given away");
    let text = |path: std::path::PathBuf| path.to_str().expect("text").to_string();
    let copied = |template: &str, store: &str| {
        built(&text(at(template)), &text(at(store)));
        let plan = at("out/usr/share/virtc/vm/plan.json");
        // The account is one that every host has.
        let json = std::fs::read_to_string(&plan).expect("a plan");
        std::fs::write(&plan, json.replace("\"virtc-vm\"", "\"+64998\"")).expect("written");
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_virtc-qmp")).arg("copy").arg(&plan).output();
        let out = out.expect("the helper");
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (done, said) = copied("tenant/link/shadow", "state/a.fd");
    assert!(!done && said.contains("symbolic link") && !at("state/a.fd").exists(), "{said}");
    let (done, said) = copied("tenant/vars.fd", "tenant/link/b.fd");
    assert!(!done && said.contains("symbolic link") && !at("host/b.fd").exists(), "{said}");
    let (done, said) = copied("tenant/vars.fd", "state/c.fd");
    assert!(done, "{said}");
    assert_eq!(std::fs::read_to_string(at("state/c.fd")).expect("the store"), "variables");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&at("state/c.fd").metadata().expect("the store")), 64_998);
}
