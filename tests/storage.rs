//! What disks and shared directories become: block nodes, accesses, helpers; secrets stay out of the
//! command line.

use crate::common;
use virtc::caps::profiles;
use virtc::compile::{Compiled, Until, compile};
use virtc::emit::argv::tokens;
use virtc::host::Host;
use virtc::plan::{LabelRole, PathKind, Plan, Role, Target};
use virtc::stage::Options;
use virtc::vocab::Arch;

/// A domain with these devices, compiled for a standalone machine or as libvirt would.
fn compiled(devices: &str, target: Target) -> Compiled {
    compiled_on(&Host::default(), devices, target)
}

fn compiled_on(host: &Host, devices: &str, target: Target) -> Compiled {
    let text = format!(
        "<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory>\
         <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
    );
    let caps = profiles::named("qemu-7.2", Arch::X86_64).expect("an embedded profile");
    let options = Options { target, ..Options::default() };
    compile(text.as_bytes(), host, &caps, &options, Until::Planned)
}

fn plan(devices: &str) -> Plan {
    let compiled = compiled(devices, Target::Standalone);
    let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    compiled.plan.unwrap_or_else(|| panic!("{faults:?}"))
}

fn argv(plan: &Plan) -> String {
    tokens(plan.qemu().expect("a QEMU process")).join("\n")
}

/// The messages of a domain that does not compile.
fn faults(devices: &str) -> Vec<String> {
    let compiled = compiled(devices, Target::Standalone);
    assert!(compiled.plan.is_none(), "compiles: {devices}");
    compiled.diags.iter().map(|d| d.message.clone()).collect()
}

const CHAIN: &str = "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/img/top'/>\
    <backingStore type='file'><format type='qcow2'/><source file='/img/mid'/>\
    <backingStore type='block'><format type='raw'/><source dev='/dev/base'/><backingStore/></backingStore></backingStore>\
    <target dev='vda' bus='virtio'/></disk>";

#[test]
fn every_image_of_a_chain_is_in_the_access_closure_and_only_the_top_is_written() {
    let plan = plan(CHAIN);
    let uses: Vec<_> = plan
        .access
        .iter()
        .filter(|a| a.cause.what == "disk vda")
        .map(|a| (a.path.as_str(), a.kind, a.perms.write, a.label.clone()))
        .collect();
    assert_eq!(
        uses,
        [
            ("/dev/base", PathKind::BlockDevice, false, LabelRole::Content),
            ("/img/mid", PathKind::File, false, LabelRole::Content),
            ("/img/top", PathKind::File, true, LabelRole::Image),
        ]
    );
}

#[test]
fn nodes_are_made_from_the_bottom_up_and_numbered_from_the_top_down() {
    let argv = argv(&plan(CHAIN));
    let at = |text: &str| argv.find(text).unwrap_or_else(|| panic!("{text} is missing in\n{argv}"));
    assert!(at("\"filename\":\"/dev/base\",\"node-name\":\"libvirt-3-storage\"") < at("libvirt-2-storage"));
    assert!(at("\"file\":\"libvirt-2-storage\"") < at("\"file\":\"libvirt-1-storage\""));
    at("\"drive\":\"libvirt-1-format\"");
}

#[test]
fn a_secret_is_a_file_of_a_standalone_machine() {
    let plan = plan(
        "<disk type='network'><driver name='qemu' type='raw'/>\
         <source protocol='https' name='a.img'><host name='example.org'/>\
         <cookies><cookie name='c'>TOPSECRET</cookie></cookies>\
         <auth username='u'><secret type='iscsi' usage='web'/></auth>\
         <encryption format='luks'><secret type='passphrase' uuid='0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f'/></encryption>\
         </source><target dev='vda' bus='virtio'/></disk>",
    );
    let argv = argv(&plan);
    assert!(!argv.contains("TOPSECRET") && !argv.contains("masterKey0"), "{argv}");
    let sources: Vec<_> = plan.secrets.iter().map(|s| s.source.as_str()).collect();
    assert_eq!(
        sources,
        ["iscsi/web", "vm/libvirt-1-storage-httpcookie-secret0", "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"]
    );
    for secret in &plan.secrets {
        assert!(argv.contains(&format!("\"id\":\"{}\"", secret.id)) && argv.contains(&secret.path), "{}", secret.id);
    }
}

#[test]
fn a_secret_that_the_host_lacks_is_a_fault_of_libvirts_command_line() {
    let compiled = compiled(
        "<disk type='file'><source file='/a'><encryption format='luks'>\
         <secret type='passphrase' usage='nowhere'/></encryption></source><target dev='vda' bus='virtio'/></disk>",
        Target::Libvirt(virtc::vocab::Release::OLDEST),
    );
    assert!(compiled.plan.is_none());
    assert!(compiled.diags.iter().any(|d| d.message.contains("volume/nowhere")));
}

#[test]
fn limits_of_a_standalone_machine_are_a_filter() {
    let argv = argv(&plan(
        "<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/>\
         <iotune><total_iops_sec>100</total_iops_sec></iotune></disk>",
    ));
    assert!(argv.contains("\"qom-type\":\"throttle-group\"") && argv.contains("\"iops-total\":100"), "{argv}");
    assert!(argv.contains("\"drive\":\"libvirt-2-filter\""), "{argv}");
}

#[test]
fn virtiofsd_is_a_process_of_a_standalone_machine() {
    let plan = plan(
        "<filesystem type='mount'><driver type='virtiofs'/><binary xattr='on'><cache mode='none'/></binary>\
         <source dir='/srv/data'/><target dir='data'/><readonly/></filesystem>",
    );
    let helper = plan.processes.iter().find(|p| p.role == Role::Virtiofsd).expect("a virtiofsd");
    let line = tokens(helper).join(" ");
    assert!(line.contains("--shared-dir /srv/data --cache never --sandbox chroot --xattr --readonly"), "{line}");
    let socket = &plan.sockets.iter().find(|s| s.process == helper.id).expect("its socket").path;
    assert!(argv(&plan).contains(&format!("path={socket}")));
    let share = plan.access.iter().find(|a| a.path == "/srv/data").expect("the share");
    assert!(share.process == helper.id && !share.perms.write);
}

#[test]
fn the_virtiofsd_of_qemu_takes_other_options() {
    let of_qemu = |inner: &str, more: &str| {
        format!(
            "<filesystem type='mount'><driver type='virtiofs'/><binary path='/usr/lib/qemu/virtiofsd' xattr='off'>{inner}\
             </binary><source dir='/srv/a,b'/><target dir='data'/>{more}</filesystem>"
        )
    };
    let plan = plan(&of_qemu("<cache mode='none'/><lock posix='on' flock='off'/><thread_pool size='2'/>", ""));
    let helper = plan.processes.iter().find(|p| p.role == Role::Virtiofsd).expect("a virtiofsd");
    let line = tokens(helper).join(" ");
    let rest = "-o source=/srv/a\\,b -o cache=none -o sandbox=chroot -o no_xattr -o posix_lock -o no_flock --thread-pool-size=2";
    assert!(line.starts_with("--socket-path=") && line.ends_with(rest), "{line}");
    assert!(faults(&of_qemu("", "<readonly/>")).iter().any(|f| f.contains("<readonly/>")));
}

#[test]
fn a_transient_disk_writes_to_an_overlay() {
    let plan = plan(
        "<disk type='file'><driver name='qemu' type='raw'/><source file='/img/base'/><target dev='vda' bus='virtio'/>\
         <transient/></disk>\
         <disk type='file'><source file='/img/other'/><target dev='vdb' bus='virtio'/></disk>",
    );
    let [overlay] = plan.overlays.as_slice() else { panic!("one overlay") };
    assert_eq!((overlay.base.as_str(), overlay.format.as_ref()), ("/img/base", "raw"));
    let argv = argv(&plan);
    for node in [
        "\"filename\":\"/img/base\",\"node-name\":\"libvirt-3-storage\"",
        "\"node-name\":\"libvirt-3-format\",\"read-only\":true",
        "\"driver\":\"qcow2\",\"file\":\"libvirt-2-storage\",\"backing\":\"libvirt-3-format\"",
        "\"drive\":\"libvirt-1-format\"",
    ] {
        assert!(argv.contains(node), "{node} is missing in\n{argv}");
    }
    let writes = |path: &str| plan.access.iter().any(|a| a.path == path && a.perms.write);
    assert!(writes(&overlay.path) && !writes("/img/base") && writes("/img/other"));
}

#[test]
fn raw_access_keeps_one_capability() {
    let with = plan(
        "<disk type='block' device='lun' rawio='yes'><source dev='/dev/sdx'/><target dev='sda' bus='scsi'/></disk><controller type='scsi' model='virtio-scsi'/>",
    );
    assert_eq!(with.qemu().expect("QEMU").capabilities, ["CAP_SYS_RAWIO"]);
    let without = plan("<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>");
    assert!(without.qemu().expect("QEMU").capabilities.is_empty());
}

#[test]
fn what_cannot_be_is_said() {
    let disk = |inner: &str| format!("<disk type='file'><source file='/a'/>{inner}</disk>");
    for (devices, part) in [
        (disk("<target dev='vda' bus='virtio'/><vendor>A</vendor>"), "'vendor'"),
        (disk("<driver name='qemu' type='iso'/><target dev='vda' bus='virtio'/>"), "'iso'"),
        (disk("<driver name='qemu' iothread='7'/><target dev='vda' bus='virtio'/>"), "'7'"),
        (disk("<driver name='qemu' type='raw' io='native'/><target dev='vda' bus='virtio'/>"), "directsync"),
        (disk("<target dev='hda' bus='ide'/>"), "q35"),
        (disk("<target dev='vda' bus='virtio'/><throttlefilters><throttlefilter group='g'/></throttlefilters>"), "'g'"),
        (disk("<target dev='vda' bus='virtio'/>") + &disk("<target dev='vda' bus='virtio'/>"), "duplicated"),
        ("<disk type='file'><target dev='vda' bus='virtio'/></disk>".to_string(), "has no <source>"),
        ("<disk type='dir'><driver type='fat'/><source dir='/d'/><target dev='vda' bus='virtio'/></disk>".to_string(), "read-write"),
        (
            "<filesystem type='mount' accessmode='passthrough'><driver type='handle'/><source dir='/a'/><target dir='t'/></filesystem>"
                .to_string(),
            "'handle'",
        ),
        ("<controller type='scsi' model='virtio-scsi'><driver iothread='9'/></controller>".to_string(), "'9'"),
        ("<filesystem type='block'><source dev='/a'/><target dir='t'/></filesystem>".to_string(), "'block'"),
    ] {
        let faults = faults(&devices);
        assert!(faults.iter().any(|f| f.contains(part)), "{part} is in none of {faults:?}");
    }
}

/// The helper of reservations gives up what it does not need, by libcap-ng, which would raise again what is ambient.
#[test]
fn the_helper_of_reservations_may_give_up_rights() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let domain = common::root().join("tests/lab/devices/lun.xml");
    let output = common::virtc().args(["--quiet", "build"]).arg(domain).arg("-o").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let unit = std::fs::read_to_string(out.join("usr/lib/systemd/system/virtc-lun-pr-helper0.service")).unwrap();
    assert!(unit.contains("\nUser=root\n") && unit.contains("CapabilityBoundingSet=CAP_DAC_OVERRIDE "), "{unit}");
    assert!(!unit.contains("AmbientCapabilities"), "{unit}");
}

#[test]
fn an_iscsi_pool_says_where_it_is() {
    let on = |inner: &str| {
        let facts = format!(
            "host-facts version=1\nmachine {{\n arch \"x86_64\"\n}}\nstorage-pool \"san\" type=\"iscsi\" {{\n{inner}\n volume \"unit:0:0:2\" type=\"block\" path=\"/dev/sdz\"\n}}\n"
        );
        let mut diags = virtc::diag::Diagnostics::new();
        let host = virtc::host::read(&facts, &mut diags);
        assert!(diags.iter().next().is_none(), "{facts}");
        let disk = "<disk type='volume'><driver name='qemu' type='raw'/><source pool='san' volume='unit:0:0:2' mode='direct'/>\
            <target dev='vda' bus='virtio'/></disk>";
        compiled_on(&host, disk, Target::Standalone)
    };
    let whole = on(" host \"h.example\"\n device \"iqn.2026-01.example:a\"").plan.expect("a plan");
    let line = argv(&whole);
    assert!(line.contains("h.example:3260") && line.contains("iqn.2026-01.example:a"), "{line}");
    for part in [" host \"h.example\"", " device \"iqn.2026-01.example:a\""] {
        let told = on(part);
        let messages: Vec<&str> = told.diags.iter().map(|d| d.message.as_str()).collect();
        assert!(
            told.plan.is_none() && messages.iter().any(|m| m.contains("which target of which host")),
            "{messages:?}"
        );
    }
}
