//! What the author of a domain may not do to the host: each test is an attack that once worked, or its kin.

use crate::common::virtc;
use virtc::caps::profiles;
use virtc::compile::{Compiled, Until, compile};
use virtc::host::Host;
use virtc::stage::Options;
use virtc::vocab::Arch;

/// A domain with this emulator and these devices.
pub fn domain(emulator: &str, devices: &str, end: &str) -> String {
    format!(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>vm</name>\
         <uuid>5a1b0c9d-2e3f-4a5b-8c6d-0123456789ab</uuid><memory unit='MiB'>64</memory>\
         <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <devices><emulator>{emulator}</emulator>{devices}</devices>{end}</domain>"
    )
}

pub const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// Compiles for a host with these facts.
fn on(facts: &str, text: &str) -> Compiled {
    let caps = profiles::default(Arch::X86_64).expect("an embedded profile");
    let mut diags = virtc::diag::Diagnostics::new();
    let host = match facts {
        "" => Host::default(),
        facts => {
            virtc::host::read(&format!("host-facts version=1\nmachine {{ arch \"x86_64\"; }}\n{facts}"), &mut diags)
        }
    };
    assert!(!diags.has_errors(), "{facts}: {:?}", diags.iter().map(|d| &d.message).collect::<Vec<_>>());
    compile(text.as_bytes(), &host, &caps, &Options::default(), Until::Planned)
}

/// The codes of the errors of a domain.
pub fn errors(facts: &str, text: &str) -> Vec<&'static str> {
    let compiled = on(facts, text);
    let errors: Vec<_> =
        compiled.diags.iter().filter(|d| d.severity == virtc::diag::Severity::Error).map(|d| d.code.id).collect();
    assert_eq!(errors.is_empty(), compiled.plan.is_some());
    errors
}

fn share(binary: &str) -> String {
    format!(
        "<filesystem type='mount'><driver type='virtiofs'/>{binary}<source dir='/srv/share'/><target dir='t'/></filesystem>"
    )
}

#[test]
fn programs_run_only_from_where_root_installs_them() {
    for emulator in [
        "/home/alice/qemu-system-x86_64",
        "/srv/x/qemu-system-x86_64",
        "/opt/qemu/bin/qemu-system-x86_64",
        "/usr/../home/alice/qemu",
        "/var/lib/kvm",
        "/bin/sh",
        "/usr/bin/env",
        "/usr",
    ] {
        assert_eq!(errors("", &domain(emulator, "", "")), ["VC1901"], "{emulator}");
    }
    for emulator in [QEMU, "/usr/libexec/qemu-kvm", "/usr/local/bin/qemu-system-x86_64", "/bin/qemu-system-x86_64"] {
        assert_eq!(errors("", &domain(emulator, "", "")), [""; 0], "{emulator}");
    }
    for binary in ["/srv/tenant/evil", "/home/alice/virtiofsd", "/bin/sh", "/usr/lib/../../tmp/virtiofsd"] {
        let text = domain(QEMU, &share(&format!("<binary path='{binary}'/>")), "");
        assert_eq!(errors("", &text), ["VC1901"], "{binary}");
    }
    for binary in ["/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd"] {
        let text = domain(QEMU, &share(&format!("<binary path='{binary}'/>")), "");
        assert_eq!(errors("", &text), [""; 0], "{binary}");
    }
}

#[test]
fn the_host_says_which_other_programs_run() {
    let facts = "security { allow-program \"/opt/qemu\" \"/home/alice/bin/virtiofsd\"; }";
    assert_eq!(errors(facts, &domain("/opt/qemu/bin/qemu-system-x86_64", "", "")), [""; 0]);
    assert_eq!(errors(facts, &domain("/opt/qemu-evil", "", "")), ["VC1901"], "a sibling is not below");
    assert_eq!(errors(facts, &domain("/opt/qemu/../evil/qemu", "", "")), ["VC1901"]);
    let devices = share("<binary path='/home/alice/bin/virtiofsd'/>");
    assert_eq!(errors(facts, &domain(QEMU, &devices, "")), [""; 0]);
}

#[test]
fn programs_behind_arguments_are_judged_too() {
    let handed = |switch: &str, value: &str| {
        domain(
            QEMU,
            "",
            &format!("<qemu:commandline><qemu:arg value='{switch}'/><qemu:arg value='{value}'/></qemu:commandline>"),
        )
    };
    for (switch, value, code) in [
        ("-netdev", "tap,id=n,script=/srv/evil", "VC1901"),
        ("--netdev", "tap,id=n,downscript=/srv/evil", "VC1901"),
        ("-nic", "bridge,helper=/home/alice/helper", "VC1901"),
        ("-net", "tap,script=/tmp/x", "VC1901"),
        ("-netdev", "{\"type\":\"tap\",\"id\":\"n\",\"script\":\"/srv/evil\"}", "VC1901"),
        ("-netdev", "user,id=n,guestfwd=tcp:10.0.2.9:1-cmd:/bin/sh", "VC1405"),
    ] {
        assert_eq!(errors("", &handed(switch, value)), [code], "{switch} {value}");
    }
    for value in ["tap,id=n,script=no,downscript=no", "bridge,id=n,br=br0,helper=/usr/lib/qemu/qemu-bridge-helper"] {
        assert_eq!(errors("", &handed("-netdev", value)), [""; 0], "{value}");
    }
}

/// With the right to mount and a rule for all files, the server of a share is the host's root.
#[test]
fn no_profile_may_mount_and_write_everything() {
    for sandbox in ["", "<sandbox mode='namespace'/>", "<sandbox mode='chroot'/>"] {
        let dir = tempfile::tempdir().expect("a folder");
        let binary = format!("<binary path='/usr/libexec/virtiofsd'>{sandbox}</binary>");
        std::fs::write(dir.path().join("vm.xml"), domain(QEMU, &share(&binary), "")).expect("written");
        let out = virtc().current_dir(dir.path()).args(["build", "vm.xml", "-o", "out"]).output().expect("virtc");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let profile = "out/etc/apparmor.d/libvirt/libvirt-5a1b0c9d-2e3f-4a5b-8c6d-0123456789ab";
        let text = std::fs::read_to_string(dir.path().join(profile)).expect("the profile");
        let helper = text.split("profile virtiofsd-fs0").nth(1).expect("the profile of the server");
        for word in ["mount,", "/** ", "sys_admin", "pivot_root"] {
            assert!(!helper.contains(word), "{sandbox}: {word}\n{helper}");
        }
        let unit = "out/usr/lib/systemd/system/virtc-vm-virtiofsd-fs0.service";
        let unit = std::fs::read_to_string(dir.path().join(unit)).expect("the unit");
        assert!(!unit.contains("CAP_SYS_ADMIN") && !unit.contains("@mount"), "{sandbox}: {unit}");
        assert!(unit.contains("NoNewPrivileges=yes"));
    }
}

/// Parts of the host that domains have asked for, and their kin: none is a disk or a port to write.
const OF_THE_HOST: &[&str] = &[
    "/.snapshots/1/snapshot/etc/shadow",
    "/backup/host/etc/sudoers.d/x",
    "/boot/grub/grub.cfg",
    "/dev/autofs",
    "/dev/block/259:1",
    "/dev/block/8:0",
    "/dev/bsg/0:0:0:0",
    "/dev/char/10:223",
    "/dev/char/1:1",
    "/dev/cpu/0/msr",
    "/dev/crash",
    "/dev/cuse",
    "/dev/fb0",
    "/dev/gpiochip0",
    "/dev/hidraw0",
    "/dev/hidraw12",
    "/dev/hugepages/x",
    "/dev/i2c-0",
    "/dev/ipmi1",
    "/dev/kfd",
    "/dev/mei1",
    "/dev/mqueue/x",
    "/dev/mtd0",
    "/dev/net/tap",
    "/dev/nvidiactl",
    "/dev/nvme0",
    "/dev/nvme1",
    "/dev/ppp",
    "/dev/rfkill",
    "/dev/root",
    "/dev/secureboot",
    "/dev/sg0",
    "/dev/shm/sem.x",
    "/dev/snapshot0",
    "/dev/stderr",
    "/dev/tee0",
    "/dev/tpm0",
    "/dev/tpmrm0",
    "/dev/trusty-ipc-dev0",
    "/dev/tty1",
    "/dev/tty2",
    "/dev/uhid",
    "/dev/usbmon0",
    "/dev/vcs1",
    "/dev/vcsa1",
    "/dev/vcsu1",
    "/dev/vduse/control",
    "/dev/vfio/1",
    "/dev/vga_arbiter",
    "/dev/vhost-vdpa-0",
    "/dev/watchdog",
    "/dev/watchdog1",
    "/dev/zram0",
    "/efi/EFI/BOOT/BOOTX64.EFI",
    "/etc/ceph/ceph.client.admin.keyring",
    "/etc/pki/nssdb/key4.db",
    "/gnu/store/x",
    "/home/EXAMPLE/alice/.ssh/id_rsa",
    "/home/alice/.ssh/authorized_keys",
    "/mnt/snapshot/etc/shadow",
    "/nix/store/x",
    "/opt/vendor/bin/daemon",
    "/ostree/deploy/x/etc/shadow",
    "/root/id_rsa",
    "/root/secret.txt",
    "/run/gssproxy.sock",
    "/run/host/etc/shadow",
    "/run/initramfs/x",
    "/run/keys/x",
    "/run/libvirt/qemu/victim.pid",
    "/run/libvirt/virtchd-sock",
    "/run/libvirt/virtinterfaced-sock",
    "/run/libvirt/virtlogd-admin-sock",
    "/run/libvirt/virtnetworkd-admin-sock",
    "/run/libvirt/virtnwfilterd-sock",
    "/run/libvirt/virtstoraged-sock",
    "/run/mysqld/mysqld.sock",
    "/run/openvswitch/db.sock",
    "/run/pcscd/pcscd.comm",
    "/run/postgresql/.s.PGSQL.5432",
    "/run/secrets/key",
    "/run/user/0/x",
    "/run/user/1000/bus",
    "/run/user/1000/gvfsd/x",
    "/run/user/1000/keyring2",
    "/run/user/1000/libpod/tmp/x",
    "/run/user/1000/pipewire-0",
    "/run/user/1000/wayland-0",
    "/run/utmp",
    "/run/virtc-owners/5a1b0c9d-2e3f-4a5b-8c6d-000000000002.qemu",
    "/run/xtables.lock",
    "/snap/bin/x",
    "/srv/chroot/etc/ssh/ssh_host_ed25519_key",
    "/srv/home/u/.ssh/id_rsa",
    "/swap.img",
    "/sys/devices/pci0000:00/0000:00:02.0/config",
    "/sys/devices/system/cpu/cpu0/online",
    "/sys/devices/virtual/dmi/id/product_serial",
    "/sysroot/etc/shadow",
    "/tmp/.X11-unix/X0",
    "/tmp/.X11-unix/X1",
    "/tmp/ssh-XXXX/agent.1",
    "/tmp/tmux-0/default",
    "/usr/local/share/ca-certificates/x.crt",
    "/var/backups/passwd.bak",
    "/var/backups/shadow.bak",
    "/var/cache/apt/x",
    "/var/cache/ldconfig/aux-cache",
    "/var/crash/x",
    "/var/home/me/.ssh/id_rsa",
    "/var/lib/bluetooth/x",
    "/var/lib/ceph/mon/keyring",
    "/var/lib/cloud/instance/user-data.txt",
    "/var/lib/jenkins/.ssh/id_rsa",
    "/var/lib/krb5kdc/principal",
    "/var/lib/libvirt/dnsmasq/default.conf",
    "/var/lib/libvirt/qemu/channel/target/domain-1-victim/org.qemu.guest_agent.0",
    "/var/lib/libvirt/qemu/domain-1-victim/monitor.sock",
    "/var/lib/libvirt/qemu/save/victim.save",
    "/var/lib/libvirt/swtpm/x/tpm2/tpm2-00.permall",
    "/var/lib/lxc/c/rootfs/etc/shadow",
    "/var/lib/machines/c/etc/shadow",
    "/var/lib/mysql/mysql.ibd",
    "/var/lib/nfs/x",
    "/var/lib/pam/seen",
    "/var/lib/postgresql/15/main/base/1/1",
    "/var/lib/private/x",
    "/var/lib/rancher/k3s/server/token",
    "/var/lib/samba/private/secrets.tdb",
    "/var/lib/sbctl/keys/db/db.key",
    "/var/lib/shim-signed/mok/MOK.priv",
    "/var/lib/waagent/x",
    "/var/log/cloud-init-output.log",
    "/var/log/dpkg.log",
    "/var/log/sudo.log",
    "/var/mail/root",
    "/var/roothome/.ssh/id_rsa",
    "/var/spool/postfix/x",
    "/var/www/html/index.php",
];

/// A disk or a port on a path.
fn used_as(how: &str, path: &str) -> String {
    let device = match how {
        "disk" => format!(
            "<disk type='file'><driver name='qemu' type='raw'/><source file='{path}'/><target dev='vda' bus='virtio'/></disk>"
        ),
        "block" => format!(
            "<disk type='block'><driver name='qemu' type='raw'/><source dev='{path}'/><target dev='vda' bus='virtio'/></disk>"
        ),
        "cdrom" => format!(
            "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{path}'/>\
             <target dev='sda' bus='sata'/><readonly/></disk>"
        ),
        "dev" => format!("<serial type='dev'><source path='{path}'/></serial>"),
        "file" => format!("<serial type='file'><source path='{path}'/></serial>"),
        "unix" => format!("<serial type='unix'><source mode='connect' path='{path}'/></serial>"),
        other => panic!("{other}"),
    };
    domain(QEMU, &device, "")
}

#[test]
fn parts_of_the_host_are_no_guests() {
    for path in OF_THE_HOST {
        for how in ["disk", "block", "dev", "file"] {
            assert_eq!(errors("", &used_as(how, path)), ["VC1404"], "{how} {path}");
        }
    }
    for path in [
        "/run/openvswitch/db.sock",
        "/run/postgresql/.s.PGSQL.5432",
        "/run/libvirt/virtnwfilterd-sock",
        "/run/gssproxy.sock",
    ] {
        assert_eq!(errors("", &used_as("unix", path)), ["VC1404"], "{path}");
    }
    for path in ["/etc/shadow", "/root/secret.txt", "/etc/pki/nssdb/key4.db", "/home/me/.ssh/id", "/var/lib/mysql/x"] {
        assert_eq!(errors("", &used_as("cdrom", path)), ["VC1404"], "{path}");
    }
}

#[test]
fn what_people_have_compiles() {
    for path in [
        "/var/lib/libvirt/images/a.qcow2",
        "/var/lib/vz/images/100/vm.raw",
        "/var/lib/virtc-lab/b.img",
        "/var/lib/my-vms/web",
        "/var/lib/team/web.qcow2",
        "/srv/vm/a.img",
        "/home/me/vm.img",
        "/home/me/vms/a b.img",
        "/home/me/.local/share/libvirt/images/a.qcow2",
        "/data/vm/a.img",
        "/vm/a.raw",
        "/tank/vms/a.qcow2",
        "/images/etc.img",
        "/mnt/nas/a.img",
        "/media/usb/a.img",
        "/opt/vms/a.img",
        "/a.img",
        "/tmp/a.img",
        "/var/tmp/a.img",
        "/dev/shm/a.img",
        "/dev/vg/lv",
        "/dev/vg0/vm-root",
        "/dev/mapper/vg-lv",
        "/dev/disk/by-id/ata-X-part1",
        "/dev/zvol/tank/vm/a",
        "/dev/nvme0n1p3",
        "/dev/sdb",
        "/dev/dm-3",
        "/dev/md127",
        "/dev/loop3",
    ] {
        for how in ["disk", "block"] {
            assert_eq!(errors("", &used_as(how, path)), [""; 0], "{how} {path}");
        }
    }
    for path in ["/root/boot.iso", "/usr/share/virtio-win/virtio-win.iso", "/home/me/Downloads/x.iso", "/dev/sr0"] {
        assert_eq!(errors("", &used_as("cdrom", path)), [""; 0], "{path}");
    }
    for path in ["/dev/ttyS0", "/dev/ttyUSB0", "/dev/serial/by-id/usb-x-port0", "/dev/pts/4"] {
        assert_eq!(errors("", &used_as("dev", path)), [""; 0], "{path}");
    }
    for path in ["/var/log/vm/serial.log", "/var/log/libvirt/qemu/x.log", "/srv/log/serial", "/home/me/serial.log"] {
        assert_eq!(errors("", &used_as("file", path)), [""; 0], "{path}");
    }
    for path in ["/srv/vm/s.sock", "/tmp/s.sock", "/run/user/1000/vm.sock"] {
        assert_eq!(errors("", &used_as("unix", path)), [""; 0], "{path}");
    }
    let facts = "security { allow-path \"/var/lib/mysql\" \"/dev/hidraw3\"; }";
    for path in ["/var/lib/mysql/../../../etc/shadow", "/dev/hidraw3/../mem"] {
        assert_eq!(errors(facts, &used_as("disk", path)), ["VC1404"], "{path}");
    }
    assert_eq!(errors(facts, &used_as("disk", "/var/lib/mysql/vm.img")), [""; 0]);
    assert_eq!(errors(facts, &used_as("dev", "/dev/hidraw3")), [""; 0]);
}

/// The compiler prints what it was given: to a terminal never what that would obey.
#[test]
fn no_message_commands_a_terminal() {
    let dir = tempfile::tempdir().expect("a folder");
    for (at, text) in ["<domain>\u{1b}]0;PWNED\u{7}</domain>", "<domain \u{9b}2J='x'/>", "<domain type='\u{202e}kvm'/>"]
        .iter()
        .enumerate()
    {
        for name in [format!("{at}.xml"), format!("\u{1b}[31m{at}\u{9b}.xml")] {
            std::fs::write(dir.path().join(&name), text).expect("written");
            let missing = format!("{name}.missing");
            for file in [&name, &missing] {
                let out = virtc().current_dir(dir.path()).args(["check", file]).output().expect("virtc");
                let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
                let bad = |c: char| (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}');
                assert!(!said.contains(bad), "{said:?}");
            }
        }
    }
}

/// A file without end, a pipe to which nobody writes, nesting without end: an answer comes all the same, and soon.
#[test]
fn no_input_keeps_the_compiler() {
    use std::time::{Duration, Instant};
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_string();
    let made = std::process::Command::new("mkfifo").arg(path("pipe.xml")).status();
    assert!(made.is_ok_and(|status| status.success()));
    std::os::unix::fs::symlink("/dev/zero", path("zero.xml")).expect("a link");
    std::fs::write(path("slashes.kdl"), format!("host-facts version=1\n{}a", "/- ".repeat(3000))).expect("written");
    std::fs::write(path("types.kdl"), "(".repeat(30_000)).expect("written");
    std::fs::write(path("vm.xml"), domain(QEMU, "", "")).expect("written");
    let (pipe, zero, slashes, types, vm) =
        (path("pipe.xml"), path("zero.xml"), path("slashes.kdl"), path("types.kdl"), path("vm.xml"));
    for arguments in [
        vec!["check", &pipe],
        vec!["check", &zero],
        vec!["check", "--host", &pipe, &vm],
        vec!["check", "--host", &zero, &vm],
        vec!["check", "--host", &slashes, &vm],
        vec!["check", "--host", &types, &vm],
    ] {
        let began = Instant::now();
        let out = virtc().args(&arguments).output().expect("virtc");
        assert!(matches!(out.status.code(), Some(1 | 4)), "{arguments:?}: {:?}", out.status);
        assert!(began.elapsed() < Duration::from_secs(20), "{arguments:?}");
    }
    // The lock beside a domain is a file like it.
    for lock in ["pipe.xml", "zero.xml"] {
        let _ = std::fs::remove_file(path("vm.lock"));
        std::os::unix::fs::symlink(path(lock), path("vm.lock")).expect("a link");
        let began = Instant::now();
        for words in [vec!["check", vm.as_str()], vec!["lock", &vm], vec!["diff", &vm, &vm]] {
            let out = virtc().args(&words).output().expect("virtc");
            assert!(matches!(out.status.code(), Some(0 | 1 | 4)), "{words:?} with {lock}: {:?}", out.status);
        }
        assert!(began.elapsed() < Duration::from_secs(40), "{lock}");
    }
    std::fs::remove_file(path("vm.lock")).expect("removed");
    // In a folder they are passed over.
    let out = virtc().args(["check", dir.path().to_str().expect("text")]).output().expect("virtc");
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
}

/// Twice as much takes about twice as long: what once grew with the square.
#[test]
fn time_grows_with_the_input() {
    type Shape = fn(usize) -> String;
    let shapes: [(&str, Shape); 24] = [
        ("namespaces", |n| {
            let all: String = (0..n).map(|i| format!("<x:a xmlns:x='urn:{i}'/>")).collect();
            domain(QEMU, "", &format!("<metadata>{all}</metadata>"))
        }),
        ("prefixes", |n| {
            let declared: String = (0..n / 8).map(|i| format!(" xmlns:n{i}='urn:{i}'")).collect();
            let used: String = (0..n / 8).map(|i| format!("<n{i}:a/>")).collect();
            domain(QEMU, "", &format!("<metadata{declared}>{used}</metadata>"))
        }),
        ("ranges of CPUs", |n| {
            domain(QEMU, "", &format!("<cputune><emulatorpin cpuset='{}0'/></cputune>", "0-8000,".repeat(n)))
        }),
        ("oem strings", |n| {
            domain(
                QEMU,
                "",
                &format!("<sysinfo type='smbios'><oemStrings>{}</oemStrings></sysinfo>", "<entry>x</entry>".repeat(n)),
            )
        }),
        ("arguments with paths", |n| {
            let one = |i| format!("<qemu:arg value='-drive'/><qemu:arg value='file=/srv/{i},if=none'/>");
            let all: String = (0..n / 4).map(one).collect();
            domain(QEMU, "", &format!("<qemu:commandline>{all}</qemu:commandline>"))
        }),
        ("one long argument", |n| {
            let value = "a=/b,".repeat(n);
            domain(
                QEMU,
                "",
                &format!("<qemu:commandline><qemu:arg value='-x'/><qemu:arg value='{value}'/></qemu:commandline>"),
            )
        }),
        ("nested JSON", |n| {
            let value = format!("{}1{}", "{&quot;a&quot;:".repeat(n), "}".repeat(n));
            let args = format!("<qemu:arg value='-blockdev'/><qemu:arg value='{value}'/>");
            domain(QEMU, "", &format!("<qemu:commandline>{args}</qemu:commandline>"))
        }),
        ("a long path", |n| {
            domain(
                QEMU,
                &format!("<disk type='file'><source file='{}'/><target dev='vda'/></disk>", "/a".repeat(n)),
                "",
            )
        }),
        ("slashes and dots", |n| {
            domain(
                QEMU,
                &format!("<disk type='file'><source file='/srv{}x'/><target dev='vda'/></disk>", "/./".repeat(n)),
                "",
            )
        }),
        ("commas", |n| {
            domain(
                QEMU,
                &format!("<disk type='file'><source file='/srv/{}'/><target dev='vda'/></disk>", ",".repeat(n)),
                "",
            )
        }),
        ("nesting", |n| domain(QEMU, &format!("{}{}", "<a>".repeat(n), "</a>".repeat(n)), "")),
        ("elements that never end", |n| domain(QEMU, &"<a>".repeat(n), "")),
        ("comments", |n| domain(QEMU, &"<!-- c -->".repeat(n), "")),
        ("pieces of text", |n| {
            domain(QEMU, "", &format!("<description>{}</description>", "<![CDATA[x]]>&amp;".repeat(n)))
        }),
        ("attributes", |n| {
            let all: String = (0..n).map(|i| format!(" a{i}='x'")).collect();
            domain(QEMU, &format!("<disk type='file'{all}/>"), "")
        }),
        ("the same attribute", |n| domain(QEMU, &format!("<disk type='file'{}/>", " a='x'".repeat(n)), "")),
        ("a long unknown name", |n| domain(QEMU, &format!("<{}/>", "d".repeat(n * 8)), "")),
        ("unknown names", |n| domain(QEMU, &(0..n).map(|i| format!("<dsik{i}/>")).collect::<String>(), "")),
        ("faults of one line", |n| domain(QEMU, &"<disk type='flie'/>".repeat(n), "")),
        ("the same PCI address", |n| {
            let one =
                "<interface type='user'><address type='pci' domain='0' bus='0' slot='5' function='0'/></interface>";
            domain(QEMU, &one.repeat(n / 4), "")
        }),
        ("the same alias", |n| domain(QEMU, &"<serial type='pty'><alias name='ua-x'/></serial>".repeat(n / 4), "")),
        ("variables", |n| {
            let all: String = (0..n / 4).map(|i| format!("<qemu:env name='A{i}' value='x'/>")).collect();
            domain(QEMU, "", &format!("<qemu:commandline>{all}</qemu:commandline>"))
        }),
        ("features of the CPU", |n| {
            let all: String = (0..n / 4).map(|i| format!("<feature policy='require' name='f{i}'/>")).collect();
            domain(QEMU, "", &format!("<cpu mode='custom'><model>qemu64</model>{all}</cpu>"))
        }),
        ("labels", |n| domain(QEMU, "", &"<seclabel type='none' model='m'/>".repeat(n / 4))),
    ];
    for (name, shape) in shapes {
        grows(name, shape, |text| drop(on("", text)));
    }
}

/// Four times as much takes four times as long, or hardly any time.
fn grows(name: &str, shape: impl Fn(usize) -> String, run: impl Fn(&str)) {
    use std::time::{Duration, Instant};
    let time = |n: usize| {
        let text = shape(n);
        let began = Instant::now();
        run(&text);
        began.elapsed()
    };
    let (small, large) = (time(4000), time(16_000));
    assert!(large < small * 12 + Duration::from_millis(1500), "{name}: {small:?}, then {large:?}");
}

#[test]
fn time_of_import_grows_with_the_command() {
    let line = |one: fn(usize) -> String| {
        move |n: usize| format!("qemu-system-x86_64 -m 64 {}\n", (0..n / 16).map(one).collect::<String>())
    };
    let import = |text: &str| {
        let mut diags = virtc::diag::Diagnostics::new();
        let lines = virtc::import::command_lines(text.as_bytes(), &Default::default(), &mut diags);
        let imported = lines.first().map(|line| virtc::import::domain(line, "/", &|_| None));
        assert!(imported.is_some_and(|i| !i.xml.is_empty()));
    };
    let drive = |i| format!(" -drive file=/srv/d{i},if=none,id=d{i} -device virtio-blk-pci,drive=d{i}");
    let card = |i| format!(" -netdev user,id=n{i} -device e1000,netdev=n{i}");
    let serial = |i| format!(" -chardev pty,id=c{i} -device isa-serial,chardev=c{i}");
    grows("drives", line(drive), import);
    grows("cards", line(card), import);
    grows("serial ports", line(serial), import);
}

/// A built tree of one machine in a folder.
fn built(dir: &std::path::Path) -> std::path::PathBuf {
    std::fs::write(dir.join("vm.xml"), domain(QEMU, "", "")).expect("written");
    let out = virtc().current_dir(dir).args(["build", "vm.xml", "-o", "tree"]).output().expect("virtc");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    dir.join("tree")
}

#[test]
fn a_deployment_never_leaves_its_root() {
    let dir = tempfile::tempdir().expect("a folder");
    let tree = built(dir.path());
    let deploy = |root: &std::path::Path, more: &[&str]| {
        let mut command = virtc();
        command.args(["deploy", "--no-reload", "--root"]).arg(root).args(more);
        command.output().expect("virtc")
    };
    let tree_word = tree.to_str().expect("text");
    let host = dir.path().join("host");
    for link in ["etc", "usr", "usr/lib/systemd", "var", "var/lib"] {
        let root = dir.path().join(format!("root-{}", link.replace('/', "-")));
        std::fs::create_dir_all(&host).expect("made");
        std::fs::write(host.join("passwd"), "the host's").expect("written");
        std::fs::create_dir_all(root.join(link).parent().expect("above")).expect("made");
        std::os::unix::fs::symlink(&host, root.join(link)).expect("planted");
        let out = deploy(&root, &[tree_word]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(4), "{link}: {said}");
        assert!(said.contains("leads out of"), "{link}: {said}");
        let left: Vec<_> = std::fs::read_dir(&host).expect("it").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["passwd"], "{link}: something was written to the host");
    }
    // What a forged list of a deployment names is not removed either.
    let root = dir.path().join("forged");
    let memory = root.join("var/lib/virtc/deployed");
    std::fs::create_dir_all(&memory).expect("made");
    std::fs::write(memory.join("added"), "etc/passwd\n").expect("written");
    std::os::unix::fs::symlink(&host, root.join("etc")).expect("planted");
    assert_eq!(deploy(&root, &["--rollback"]).status.code(), Some(4));
    assert!(host.join("passwd").exists());
    // A link that stays inside is a merged /usr.
    let root = dir.path().join("merged");
    std::fs::create_dir_all(root.join("real/etc")).expect("made");
    std::os::unix::fs::symlink("real/etc", root.join("etc")).expect("made");
    assert_eq!(deploy(&root, &[tree_word]).status.code(), Some(0));
}

#[test]
fn a_tree_with_special_bits_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    for mode in [0o4755, 0o2755, 0o666] {
        let dir = tempfile::tempdir().expect("a folder");
        let tree = built(dir.path());
        let plan = tree.join("usr/share/virtc/vm/plan.json");
        std::fs::set_permissions(plan, PermissionsExt::from_mode(mode)).expect("a mode");
        for words in
            [vec!["deploy", "--no-reload", "--root", "root", "tree"], vec!["package", "--deb", "tree", "-o", "vm.deb"]]
        {
            let out = virtc().current_dir(dir.path()).args(&words).output().expect("virtc");
            assert!(!out.status.success(), "{mode:o} {words:?}");
            assert!(!dir.path().join("vm.deb").exists() && !dir.path().join("root/usr").exists());
        }
    }
}

#[test]
fn scripts_of_packages_run_nothing_of_a_tree() {
    let dir = tempfile::tempdir().expect("a folder");
    let tree = built(dir.path());
    // What was put into a tree is not packed at all.
    let planted = tree.join("usr/lib/systemd/system/virtc-x;touch PWNED;.service");
    std::fs::write(&planted, "[Service]\n\n[Install]\nWantedBy=virtc.target\n").expect("written");
    let package =
        || virtc().current_dir(dir.path()).args(["package", "--deb", "tree", "-o", "vm.deb"]).output().expect("virtc");
    assert_eq!(package().status.code(), Some(1));
    std::fs::remove_file(planted).expect("removed");
    // Names of machines are what people like.
    for (number, name) in ["x;touch PWNED;", "$(touch PWNED)", "a b'c", "`touch PWNED`"].iter().enumerate() {
        let uuid = format!("1a1b2c3d-0000-4000-8000-00000000000{number}");
        let text = domain(QEMU, "", "").replace("5a1b0c9d-2e3f-4a5b-8c6d-0123456789ab", &uuid);
        let file = dir.path().join(format!("{number}.xml"));
        std::fs::write(&file, text.replace("<name>vm</name>", &format!("<name>{name}</name>"))).expect("written");
        let out = virtc().current_dir(dir.path()).arg("build").arg(file).args(["-o", "tree"]).output().expect("virtc");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let out = package();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let unpack = std::process::Command::new("sh")
        .args(["-c", "ar x vm.deb && tar xf control.tar*"])
        .current_dir(dir.path())
        .status()
        .expect("sh");
    if !unpack.success() {
        crate::common::skip("ar, tar");
        return;
    }
    // The helper says what it is given; it is found first.
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).expect("made");
    let mode = || -> std::fs::Permissions { std::os::unix::fs::PermissionsExt::from_mode(0o755) };
    std::fs::write(bin.join("deb-systemd-helper"), "#!/bin/sh\nprintf '<%s>' \"$@\" >>\"$LOG\"\n").expect("written");
    std::fs::set_permissions(bin.join("deb-systemd-helper"), mode()).expect("a mode");
    let run = |script: &str, word: &str| {
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let mut command = std::process::Command::new("sh");
        command.arg(script).arg(word).current_dir(dir.path()).env("PATH", path).env("LOG", dir.path().join("log"));
        command.env("DPKG_ROOT", dir.path().join("target"));
        command.output().expect("sh")
    };
    for (script, word) in [("preinst", "install"), ("postinst", "configure"), ("prerm", "remove"), ("postrm", "purge")]
    {
        run(script, word);
        assert!(!dir.path().join("PWNED").exists() && !dir.path().join("target/PWNED").exists(), "{script} ran a name");
    }
    let log = std::fs::read_to_string(dir.path().join("log")).expect("what the helper was given");
    for unit in [r"<virtc-x\x3btouch\x20PWNED\x3b.service>", r"<virtc-a\x20b\x27c.service>", "<virtc-vm.service>"] {
        assert!(log.contains(unit), "{unit}: {log}");
    }
}

#[test]
fn labels_of_others_are_refused() {
    let labelled = |model: &str, label: &str| {
        domain(QEMU, "", &format!("<seclabel type='static' model='{model}'><label>{label}</label></seclabel>"))
    };
    for kind in ["fsadm_t", "rpm_t", "mount_t", "staff_t", "unconfined_t", "svirt_own_t"] {
        let refused = errors("", &labelled("selinux", &format!("system_u:system_r:{kind}:s0:c1,c2"))) == ["VC1403"];
        assert_eq!(refused, kind != "svirt_own_t", "{kind}");
    }
    let other = "libvirt-11111111-2222-4333-8444-555555555555";
    assert_eq!(errors("", &labelled("apparmor", other)), ["VC1403"]);
    assert_eq!(errors("security { allow-unconfined #true; }", &labelled("apparmor", other)), [""; 0]);
}

#[test]
fn layouts_of_keyboards_are_no_paths() {
    let display = |keymap: &str| domain(QEMU, &format!("<graphics type='vnc' keymap='{keymap}'/>"), "");
    for keymap in ["../../etc/passwd", "/etc/passwd", "-x", "a b", ".."] {
        assert_eq!(errors("", &display(keymap)), ["VC1101"], "{keymap}");
    }
    for keymap in ["de", "en-us", "pt-br", "de-ch"] {
        assert_eq!(errors("", &display(keymap)), [""; 0], "{keymap}");
    }
}

/// Arguments that are handed through, an option of QEMU with its value.
fn handed(switch: &str, value: &str) -> String {
    let value = value.replace('&', "&amp;").replace('\'', "&apos;").replace('<', "&lt;");
    let end = format!("<qemu:commandline><qemu:arg value='{switch}'/><qemu:arg value='{value}'/></qemu:commandline>");
    domain(QEMU, "", &end)
}

/// A user's own machine sees what the user sees: what is not granted is not out of reach there.
#[test]
fn no_argument_names_what_is_closed() {
    let attempts = [
        ("-drive", "file.driver=file,file.filename=@,if=virtio"),
        ("-drive", "file=json:{\"driver\":\"file\",\"filename\":\"@\"},if=virtio"),
        ("-drive", "driver=qcow2,file.driver=file,file.filename=/srv/a,backing.file.filename=@"),
        ("-blockdev", "{\"driver\":\"raw\",\"node-name\":\"n\",\"file\":{\"driver\":\"file\",\"filename\":\"@\"}}"),
        ("-blockdev", "driver=host_device,node-name=n,filename=@"),
        ("-chardev", "file,id=z,path=/srv/o,input-path=@"),
        ("-chardev", "serial,id=z,path=@"),
        ("-option-rom", "@"),
        ("-L", "@"),
        ("-mem-path", "@"),
        ("-device", "loader,file=@,addr=0"),
        ("--device", "{\"driver\":\"usb-mtp\",\"rootdir\":\"@\"}"),
        ("-object", "authz-list-file,id=s,filename=@"),
        ("-netdev", "user,id=n,smb=@"),
        ("-netdev", "user,id=n,tftp=@"),
        ("-netdev", "stream,id=n,server=off,addr.type=unix,addr.path=@"),
        ("-serial", "@"),
        ("-trace", "events=@"),
        ("-dump-vmstate", "@"),
        ("-spice", "unix=on,addr=@"),
        ("-vnc", "unix:@"),
        ("-fsdev", "proxy,id=f,socket=@"),
        ("-incoming", "file:@"),
        ("-icount", "shift=1,rr=record,rrfile=@"),
        ("-machine", "dumpdtb=@"),
        ("-set", "drive.x.file=@"),
        ("-global", "e1000.romfile=@"),
        ("-boot", "splash=@"),
        ("-drive", "file=fat:rw:@"),
    ];
    for path in ["/etc/shadow", "/home/me/.ssh/id_rsa", "/srv/../etc/shadow", "etc/shadow", "/proc/1/root/etc/shadow"] {
        for (switch, value) in attempts {
            let text = handed(switch, &value.replace('@', path));
            assert_eq!(errors("", &text).first(), Some(&"VC1404"), "{switch} {value} with {path}");
        }
        let end = format!(
            "<qemu:override><qemu:device alias='ua-n'><qemu:frontend><qemu:property name='romfile' type='string' \
             value='{path}'/></qemu:frontend></qemu:device></qemu:override>"
        );
        let card = "<interface type='user'><model type='virtio'/><alias name='ua-n'/></interface>";
        assert_eq!(errors("", &domain(QEMU, card, &end)), ["VC1404"], "qemu:override {path}");
    }
    for (switch, value) in [
        ("-L", "/usr/share/seabios"),
        ("-append", "root=/dev/vda init=/etc/rc"),
        ("-device", "vfio-pci,sysfsdev=/sys/bus/mdev/devices/5a1b0c9d-2e3f-4a5b-8c6d-0123456789ab"),
        ("-object", "input-linux,id=k,evdev=/dev/input/by-id/usb-x-event-kbd"),
        ("-netdev", "user,id=n,tftp=/srv/tftp,bootfile=/pxelinux.0"),
        ("-audiodev", "pa,id=a,server=/run/user/1000/pulse/native"),
        ("-smbios", "type=1,serial=/etc/x"),
        ("-drive", "file=nbd://etc/shadow,if=virtio"),
        ("-device", "loader,file=/srv/boot.bin"),
    ] {
        assert_eq!(errors("", &handed(switch, value)), [""; 0], "{switch} {value}");
    }
}

#[test]
fn names_of_sound_and_buses_start_nothing() {
    let alsa = |dev: &str| domain(QEMU, &format!("<audio id='1' type='alsa'><output dev='{dev}'/></audio>"), "");
    for dev in [
        "file:FILE=/home/me/.bashrc,FORMAT=raw",
        "file:|id,raw",
        "tee:hw:0,/srv/x,raw",
        "plug:&quot;file:/x&quot;",
        "{type file file /x}",
        "/etc/shadow",
    ] {
        assert_eq!(errors("", &alsa(dev)), ["VC1101"], "{dev}");
    }
    for dev in ["default", "hw:0,0", "plughw:CARD=PCH,DEV=0", "sysdefault:CARD=x", "/dev/dsp0"] {
        assert_eq!(errors("", &alsa(dev)), [""; 0], "{dev}");
    }
    let oss = |dev: &str| domain(QEMU, &format!("<audio id='1' type='oss'><output dev='{dev}'/></audio>"), "");
    for dev in ["/dev/mem", "/dev/uinput", "/dev/char/10:223", "/dev/input/event0", "/dev/sda"] {
        assert_eq!(errors("", &oss(dev)), ["VC1404"], "{dev}");
    }
    assert_eq!(errors("", &oss("/dev/dsp1")), [""; 0]);
    let bus = |address: &str| domain(QEMU, &format!("<graphics type='dbus' address='{address}'/>"), "");
    for (address, code) in [
        ("unix:path=/run/dbus/system_bus_socket", "VC1404"),
        ("unix:path=%2frun%2fdocker.sock", "VC1404"),
        ("nonce-tcp:host=h,port=1,noncefile=/etc/shadow", "VC1404"),
        ("unixexec:path=/bin/sh,argv1=-c", "VC1101"),
        ("unix:path=/srv/bus;autolaunch:", "VC1101"),
    ] {
        assert_eq!(errors("", &bus(address)).last(), Some(&code), "{address}");
    }
    assert_eq!(errors("", &bus("unix:path=/srv/bus")), [""; 0]);
    for (device, open) in [
        ("<audio id='1' type='pulseaudio' serverName='unix:/etc/shadow'/>", false),
        ("<audio id='1' type='pulseaudio' serverName='unix:/run/user/1000/pulse/native'/>", true),
        ("<audio id='1' type='pipewire' runtimeDir='/etc'/>", false),
        ("<graphics type='sdl' display='/run/docker.sock'/>", false),
        ("<graphics type='sdl' display=':0'/>", true),
    ] {
        let found = errors("", &domain(QEMU, device, ""));
        assert_eq!(found.contains(&"VC1404"), !open, "{device}: {found:?}");
    }
}

#[test]
fn variables_load_no_code() {
    for name in [
        "LD_AUDIT",
        "ALSA_CONFIG_PATH",
        "SDL_DYNAMIC_API",
        "GTK_MODULES",
        "VK_ICD_FILENAMES",
        "OPENSSL_CONF",
        "CEPH_CONF",
    ] {
        let end = format!("<qemu:commandline><qemu:env name='{name}' value='/srv/x'/></qemu:commandline>");
        assert_eq!(errors("", &domain(QEMU, "", &end)), ["VC1405"], "{name}");
    }
}

/// Firmware, configuration and ports that only read are no way to a node.
#[test]
fn nodes_are_no_files() {
    for node in ["/dev/mem", "/dev/uinput", "/dev/char/1:1", "/dev/input/event0", "/dev/net/tun", "/dev/kvm"] {
        let rom = domain(QEMU, "", "").replace("<type arch", &format!("<loader type='rom'>{node}</loader><type arch"));
        assert_eq!(errors("", &rom), ["VC1404"], "{node} as firmware");
        let rbd = format!(
            "<disk type='network'><driver name='qemu' type='raw'/><source protocol='rbd' name='p/x'><host name='h'/>\
             <config file='{node}'/></source><target dev='vda' bus='virtio'/></disk>"
        );
        assert_eq!(errors("", &domain(QEMU, &rbd, "")), ["VC1404"], "{node} as configuration");
    }
    let socket = "<serial type='unix'><source mode='bind' path='/dev/sda'/></serial>";
    assert_eq!(errors("", &domain(QEMU, socket, "")), ["VC1404"]);
    assert_eq!(errors("", &domain(QEMU, &share("").replace("/srv/share", "/dev/sda"), "")), ["VC1404"]);
}

#[test]
fn labels_cover_no_other_machine() {
    let labelled = |model: &str, label: &str| {
        domain(QEMU, "", &format!("<seclabel type='static' model='{model}'><label>{label}</label></seclabel>"))
    };
    for (range, refused) in
        [("s0:c1,c2", false), ("s0:c1,c2,c3", true), ("s0-s0:c1,c2,c3,c4", true), ("s0:c0.c1023", true)]
    {
        let found = errors("", &labelled("selinux", &format!("system_u:system_r:svirt_t:{range}")));
        assert_eq!(found == ["VC1403"], refused, "{range}: {found:?}");
    }
    for (label, refused) in [
        ("+64999:+64999", false),
        ("+1001:+6", true),
        ("1001:42", true),
        ("vm:+27", true),
        ("vm:staff", true),
        ("vm:vm", false),
    ] {
        let found = errors("", &labelled("dac", label));
        assert_eq!(found == ["VC1403"], refused, "{label}: {found:?}");
    }
}

#[test]
fn names_of_interfaces_are_names() {
    let of = |text: &str| errors("", &domain(QEMU, text, ""));
    for name in ["-x", "--help", "a/b", "../../x", "a:b", "0123456789abcdef", ".", ".."] {
        let bridge = format!("<interface type='bridge'><source bridge='{name}'/></interface>");
        assert_eq!(of(&bridge), ["VC0504"], "bridge {name}");
        let target = format!("<interface type='bridge'><source bridge='br0'/><target dev='{name}'/></interface>");
        assert_eq!(of(&target), ["VC0504"], "target {name}");
        let passt = format!("<interface type='user'><backend type='passt'/><source dev='{name}'/></interface>");
        assert_eq!(of(&passt), ["VC0504"], "passt {name}");
    }
    for name in ["lo", "all", "default"] {
        let target = format!("<interface type='bridge'><source bridge='br0'/><target dev='{name}'/></interface>");
        assert_eq!(of(&target), ["VC0504"], "{name}");
    }
}

/// A UUID can be chosen so that its pair of categories is that of a machine which is on the host: 563,087 tries found this one.
#[test]
fn nobody_takes_the_label_of_a_machine_that_is_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let facts = "host-facts version=1\nmachine { arch \"x86_64\"; }\ninstance { security-driver \"selinux\"; }\n";
    std::fs::write(dir.path().join("host.kdl"), facts).expect("written");
    let run = |words: &[&str]| virtc().current_dir(dir.path()).args(words).output().expect("virtc");
    for (name, uuid) in
        [("bob", "5a1b0c9d-2e3f-4a5b-8c6d-0000000000b0"), ("alice", "5a1b0c9d-2e3f-4a5b-8c6d-00000018978e")]
    {
        let text = domain(QEMU, "", "").replace("5a1b0c9d-2e3f-4a5b-8c6d-0123456789ab", uuid);
        let file = format!("{name}.xml");
        std::fs::write(dir.path().join(&file), text.replace("<name>vm</name>", &format!("<name>{name}</name>")))
            .expect("written");
        let out = run(&["build", "--host", "host.kdl", &file, "-o", name]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let label = |name: &str| {
        let labels = dir.path().join(format!("{name}/usr/share/virtc/{name}/selinux/labels"));
        let text = std::fs::read_to_string(labels).expect("labels");
        text.lines().find(|l| l.contains("(the processes)")).and_then(|l| l.split('\t').next()).map(str::to_string)
    };
    assert_eq!(label("alice"), label("bob"), "the attack has a pair to take");
    std::fs::create_dir(dir.path().join("root")).expect("made");
    let deploy = |tree: &str| run(&["deploy", "--no-reload", "--keep", "--root", "root", tree]);
    assert_eq!(deploy("bob").status.code(), Some(0));
    let out = run(&["deploy", "--no-reload", "--name", "alice", "--root", "root", "alice"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(1) && said.contains("pair of SELinux categories"), "{said}");
    assert!(!dir.path().join("root/usr/share/virtc/alice").exists());
    // So does a package, before a file of it is there.
    let out = run(&["package", "--deb", "alice", "-o", "alice.deb"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let unpack = std::process::Command::new("sh")
        .args(["-c", "ar x alice.deb && tar xf control.tar*"])
        .current_dir(dir.path())
        .status();
    if !unpack.is_ok_and(|status| status.success()) {
        crate::common::skip("ar, tar");
        return;
    }
    let preinst = |root: &str| {
        let mut command = std::process::Command::new("sh");
        command.args(["preinst", "install"]).current_dir(dir.path()).env("DPKG_ROOT", dir.path().join(root));
        command.output().expect("sh")
    };
    let out = preinst("root");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("label of bob"), "{said}");
    let out = preinst("elsewhere");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(deploy("bob").status.success(), "what is there stays");
}

/// Who says that an image is not relabelled, or gives it a label, says so of the images below, too.
#[test]
fn labels_of_an_image_hold_for_those_below() {
    use virtc::plan::{LabelRole, OwnerRule};
    let plan = |labels: &str, below: &str| {
        let disk = format!(
            "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/srv/a'>{labels}</source>\
             <backingStore type='file'><format type='qcow2'/><source file='/srv/b'>{below}</source>\
             <backingStore type='file'><format type='raw'/><source file='/srv/c'/><backingStore/></backingStore>\
             </backingStore><target dev='vda' bus='virtio'/></disk>"
        );
        on("", &domain(QEMU, &disk, "")).plan.expect("a plan")
    };
    let of = |plan: &virtc::plan::Plan, path: &str| {
        let access = plan.access.iter().find(|a| a.path == path).expect("an access");
        (access.label.clone(), access.owner.clone())
    };
    let left = plan("<seclabel model='selinux' relabel='no'/><seclabel model='dac' relabel='no'/>", "");
    for path in ["/srv/a", "/srv/b", "/srv/c"] {
        assert_eq!(of(&left, path), (LabelRole::Keep, OwnerRule::Keep), "{path}");
    }
    let label = "system_u:object_r:svirt_image_t:s0:c7,c8";
    let given = format!("<seclabel model='selinux' relabel='yes'><label>{label}</label></seclabel>");
    let given = plan(&given, "<seclabel model='selinux' relabel='no'/>");
    let explicit = LabelRole::Explicit(label.to_string());
    assert_eq!(
        ["/srv/a", "/srv/b", "/srv/c"].map(|path| of(&given, path).0),
        [explicit.clone(), LabelRole::Keep, explicit]
    );
}

/// A repository that was cloned is looked at: that runs nothing of it, shows nothing of the host, and writes nowhere else.
#[test]
fn projects_of_strangers_are_only_read() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    let outer = dir.path().join("outer");
    let repository = outer.join("repository");
    std::fs::create_dir_all(repository.join("vms")).expect("made");
    let put = |name: &str, text: &str| std::fs::write(repository.join(name), text).expect("written");
    let evil = repository.join("qemu-evil");
    put("qemu-evil", &format!("#!/bin/sh\ntouch {}\n", dir.path().join("PWNED").display()));
    std::fs::set_permissions(&evil, PermissionsExt::from_mode(0o755)).expect("a mode");
    std::fs::write(dir.path().join("secret"), "a secret of the host\n").expect("written");
    std::os::unix::fs::symlink(dir.path().join("secret"), repository.join("link.kdl")).expect("a link");
    std::fs::create_dir(repository.join("vms/sub")).expect("made");
    put("vms/vm.xml", &domain(QEMU, "", ""));
    put("vms/evil.xml", &domain(evil.to_str().expect("text"), "", ""));
    let allows = format!("security {{ allow-program \"{}\"; }}\n", repository.display());
    put("host.kdl", &format!("host-facts version=1\nmachine {{ arch \"x86_64\"; }}\n{allows}"));
    let secret = dir.path().join("secret");
    let elsewhere = dir.path().join("elsewhere");
    let run = |project: &str, words: &[&str]| {
        put("virtc.kdl", project);
        let out = virtc().current_dir(&repository).args(words).output().expect("virtc");
        assert!(!dir.path().join("PWNED").exists(), "{project}: a program of the repository has run");
        let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        assert!(!said.contains("a secret of the host"), "{project}: {said}");
        (out.status.code(), said)
    };
    for project in [
        "caps \"./qemu-evil\"".to_string(),
        format!("caps \"{}\"", evil.display()),
        format!("caps \"{}\"", secret.display()),
        format!("host \"{}\"", secret.display()),
        "host \"link.kdl\"".to_string(),
        "caps \"link.kdl\"".to_string(),
        "caps \"../../secret\"".to_string(),
    ] {
        let (code, said) = run(&project, &["check", "vms/vm.xml"]);
        assert!(code == Some(1) && said.contains("VC1921"), "{project}: {said}");
    }
    // Facts that come with the domains let nothing be asked.
    run("host \"host.kdl\"\ncaps \"here\"", &["check", "vms/evil.xml"]);
    for output in [elsewhere.to_str().expect("text"), "../../elsewhere", "../.hidden", "/"] {
        let (code, said) = run(&format!("output \"{output}\""), &["build", "vms/vm.xml"]);
        assert!(code == Some(1) && said.contains("VC1921"), "{output}: {said}");
        assert!(!elsewhere.exists() && !outer.join(".hidden").exists());
    }
    for output in ["out", "../out"] {
        let (code, said) = run(&format!("output \"{output}\""), &["build", "vms/vm.xml"]);
        assert!(code == Some(0) && repository.join(output).is_dir(), "{output}: {said}");
    }
    let (code, said) = run("host \"host.kdl\"", &["check", "vms/vm.xml"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&format!("host \"{}\"", secret.display()), &["check", "--host", "host.kdl", "vms/vm.xml"]);
    assert_eq!(code, Some(0), "the command line says it: {said}");
}

#[test]
fn links_to_other_kinds_of_files_are_not_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("shadow"), "a secret of the host\n").expect("written");
    std::fs::write(at("real.xml"), domain(QEMU, "", "")).expect("written");
    std::fs::create_dir(at("vms")).expect("made");
    std::os::unix::fs::symlink(at("shadow"), at("vms/vm.xml")).expect("a link");
    std::os::unix::fs::symlink(at("real.xml"), at("good.xml")).expect("a link");
    std::os::unix::fs::symlink(at("shadow"), at("host.kdl")).expect("a link");
    for words in [vec!["check", "vms"], vec!["check", "vms/vm.xml"], vec!["check", "--host", "host.kdl", "good.xml"]] {
        let out = virtc().current_dir(dir.path()).args(&words).output().expect("virtc");
        let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        assert!(!out.status.success() && !said.contains("a secret of the host"), "{words:?}: {said}");
    }
    let out = virtc().current_dir(dir.path()).args(["check", "good.xml"]).output().expect("virtc");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// An owner of an image could change its permissions: what others read, too, is not given away because a domain says so.
#[test]
fn nobody_is_made_the_owner_of_what_others_use() {
    let rules = |more: &str| {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = format!(
            "<disk type='file'><driver name='qemu' type='raw'/><source file='/srv/base.img'>\
             <seclabel model='dac' relabel='yes'><label>+1000:+1000</label></seclabel></source>\
             <target dev='vda' bus='virtio'/>{more}</disk>"
        );
        std::fs::write(dir.path().join("vm.xml"), domain(QEMU, &disk, "")).expect("written");
        let out = virtc().current_dir(dir.path()).args(["build", "vm.xml", "-o", "out"]).output().expect("virtc");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let rules = std::fs::read_to_string(dir.path().join("out/usr/lib/tmpfiles.d/virtc-vm.conf")).expect("rules");
        let of: Vec<String> = rules.lines().filter(|l| l.contains("/srv/base.img")).map(str::to_string).collect();
        (of.iter().any(|l| l.starts_with('z') && l.contains("1000")), of.iter().any(|l| l.starts_with("a+")))
    };
    assert_eq!(rules("<readonly/>"), (false, true));
    assert_eq!(rules("<shareable/>"), (false, true));
    assert_eq!(rules(""), (true, false), "what is the machine's alone has the owner that it is given");
}

/// A plan says what is started, and whom files are given to.
#[test]
fn root_runs_no_plan_of_others() {
    if !crate::common::is_root() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let tree = built(dir.path());
    let plan = tree.join("usr/share/virtc/vm/plan.json");
    let run = || {
        let out = virtc().arg("run").arg(&plan).output().expect("virtc");
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    for (owner, mode) in [(12345, 0o644), (0, 0o666)] {
        std::os::unix::fs::chown(&plan, Some(owner), None).expect("an owner");
        std::fs::set_permissions(&plan, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("a mode");
        let (done, said) = run();
        assert!(!done && said.contains("VC1922"), "{owner} {mode:o}: {said}");
    }
    // Root's own is read on: what keeps it from running here is another thing.
    std::fs::set_permissions(&plan, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode");
    std::fs::write(&plan, "{\"version\": 0}").expect("written");
    let (done, said) = run();
    assert!(!done && !said.contains("VC1922"), "{said}");
}
