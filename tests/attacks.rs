//! What the author of a domain may not do to the host: each test is an attack that once worked, or its kin.

use crate::common::virtc;
use virtc::caps::profiles;
use virtc::compile::{Compiled, Until, compile};
use virtc::host::Host;
use virtc::stage::Options;
use virtc::vocab::Arch;

/// A domain with this emulator and these devices.
fn domain(emulator: &str, devices: &str, end: &str) -> String {
    format!(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>vm</name>\
         <uuid>5a1b0c9d-2e3f-4a5b-8c6d-0123456789ab</uuid><memory unit='MiB'>64</memory>\
         <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <devices><emulator>{emulator}</emulator>{devices}</devices>{end}</domain>"
    )
}

const QEMU: &str = "/usr/bin/qemu-system-x86_64";

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
fn errors(facts: &str, text: &str) -> Vec<&'static str> {
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
