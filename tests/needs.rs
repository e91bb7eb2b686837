//! What a process needs besides paths: the Plan says it, and its sandbox opens that and no more. Nothing is guessed from
//! what a text looks like.

use crate::common;
use virtc::caps::profiles;
use virtc::compile::{Until, compile};
use virtc::diag::Diagnostics;
use virtc::emit::{self, Extras, Templates};
use virtc::host::Host;
use virtc::plan::{ClaimKind, Need, Plan, Use};
use virtc::stage::Options;
use virtc::vocab::Arch;

/// A machine with KVM, what comes in front of its devices, and the devices.
fn plan(before: &str, devices: &str) -> Plan {
    let text = format!(
        "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>vm</name>\
         <memory unit='MiB'>64</memory>{before}<devices>{devices}</devices></domain>"
    );
    let caps = profiles::default(Arch::X86_64).expect("an embedded profile");
    let compiled = compile(text.as_bytes(), &Host::default(), &caps, &Options::default(), Until::Planned);
    let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    compiled.plan.unwrap_or_else(|| panic!("{faults:?}"))
}

const OS: &str = "<os><type arch='x86_64' machine='q35'>hvm</type></os>";

/// The needs of QEMU.
fn needs(before: &str, devices: &str) -> Vec<Need> {
    plan(before, devices).qemu().expect("QEMU").needs.iter().map(|n| n.need).collect()
}

/// The unit of QEMU.
fn unit(plan: &Plan) -> String {
    let mut diags = Diagnostics::new();
    let templates = Templates::built_in();
    let tree = emit::all(plan, &Extras::default(), &templates, &mut diags);
    tree.into_iter().find(|a| a.path.ends_with("/virtc-vm.service")).expect("a unit").contents
}

#[test]
fn a_path_with_the_letters_gl_is_no_renderer() {
    for path in ["/srv/vmlinuz", "/srv/glass", "/srv/virtio-gpu-gl.img", "/srv/egl-headless"] {
        let os = format!("<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{path}</kernel></os>");
        let disk = format!("<disk type='file'><source file='{path}.img'/><target dev='vda'/></disk>");
        let plan = plan(&os, &disk);
        assert!(!plan.qemu().expect("QEMU").needs(Need::Code), "{path}");
        assert!(unit(&plan).contains("MemoryDenyWriteExecute=yes"), "{path}");
    }
    let gl = "<graphics type='spice'><listen type='none'/><gl enable='yes' rendernode='/dev/dri/renderD128'/></graphics>\
              <video><model type='virtio'><acceleration accel3d='yes'/></model></video>";
    assert!(!unit(&plan(OS, gl)).contains("MemoryDenyWriteExecute=yes"));
}

/// Devices, and what QEMU needs for them.
const OF_DEVICES: &[(&str, &[Need])] = &[
    ("<disk type='file'><source file='/srv/http/a.img'/><target dev='vda'/></disk>", &[]),
    ("<graphics type='vnc'><listen type='address' address='127.0.0.1'/></graphics>", &[Need::Inet]),
    ("<graphics type='vnc'><listen type='socket'/></graphics>", &[]),
    ("<graphics type='spice'><listen type='none'/></graphics>", &[Need::Spice]),
    ("<graphics type='spice' autoport='yes'/>", &[Need::Inet, Need::Spice]),
    ("<graphics type='egl-headless'/>", &[Need::Code]),
    ("<serial type='pty'/>", &[Need::Pty]),
    ("<serial type='stdio'/>", &[Need::Terminal]),
    ("<serial type='unix'><source mode='bind' path='/srv/pty,stdio'/></serial>", &[]),
    ("<serial type='tcp'><source mode='connect' host='h' service='1'/></serial>", &[Need::Inet]),
    ("<interface type='user'/>", &[Need::Inet]),
    ("<interface type='bridge'><source bridge='br0'/></interface>", &[Need::Tap]),
    (
        "<disk type='network'><source protocol='nbd' name='a'><host transport='unix' socket='/srv/nbd'/></source>\
         <target dev='vda'/></disk>",
        &[],
    ),
    (
        "<disk type='network'><source protocol='https' name='a'><host name='h'/></source><target dev='vda'/></disk>",
        &[Need::Inet],
    ),
    (
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>",
        &[Need::Usb, Need::Netlink],
    ),
    (
        "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>",
        &[Need::Vfio],
    ),
    ("<audio id='1' type='pulseaudio' serverName='/run/pulse'/>", &[]),
    ("<audio id='1' type='pulseaudio' serverName='tcp:sound:4713'/>", &[Need::Inet]),
];

#[test]
fn devices_say_what_they_need() {
    for (devices, expected) in OF_DEVICES {
        assert_eq!(needs(OS, devices), *expected, "{devices}");
    }
    let locked =
        format!("{OS}<memoryBacking><locked/></memoryBacking><memtune><hard_limit>1048576</hard_limit></memtune>");
    assert_eq!(needs(&locked, ""), [Need::LockedMemory]);
}

#[test]
fn arguments_that_are_handed_through_are_looked_into() {
    let of = |args: &[&str]| {
        let args: String = args.iter().map(|a| format!("<qemu:arg value='{a}'/>")).collect();
        plan(&format!("{OS}<qemu:commandline>{args}</qemu:commandline>"), "")
    };
    let qemu = |args: &[&str]| Vec::from_iter(of(args).qemu().expect("QEMU").needs.iter().map(|n| n.need));
    assert_eq!(qemu(&["-serial", "mon:stdio"]), [Need::Inet, Need::Terminal]);
    assert_eq!(qemu(&["-device", "usb-host,vendorid=1"]), [Need::Usb, Need::Netlink]);
    assert_eq!(qemu(&["-fw_cfg", "name=opt/a,string=pty"]), []);
    assert!(of(&["-action", "panic=none"]).lifecycle.is_handed_through);
    assert!(of(&["-S"]).starts_paused);
}

#[test]
fn memory_without_reserved_swap_sees_settings_of_the_kernel() {
    let memory = |device: &str| {
        format!(
            "<memory model='{device}'><target><size unit='MiB'>32</size><node>0</node><block unit='MiB'>2</block>\
                 <requested unit='MiB'>0</requested></target></memory>"
        )
    };
    let growing = format!(
        "<maxMemory slots='2' unit='MiB'>512</maxMemory><vcpu>1</vcpu>{OS}\
                           <cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/></numa></cpu>"
    );
    let plan = plan(&growing, &memory("virtio-mem"));
    assert!(plan.qemu().expect("QEMU").needs(Need::KernelSettings));
    assert!(!unit(&plan).contains("ProcSubset="), "{}", unit(&plan));
    assert!(unit(&self::plan(OS, "")).contains("ProcSubset=pid"));
}

#[test]
fn a_plan_of_another_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.json");
    let json = serde_json::to_string(&plan(OS, "")).expect("JSON");
    for (version, who) in [(1, "an older virtc"), (99, "a newer virtc")] {
        let old = json.replacen(&format!("\"version\":{}", Plan::VERSION), &format!("\"version\":{version}"), 1);
        std::fs::write(&file, old).expect("a file");
        for command in [&["run"][..], &["explain"]] {
            let output = common::virtc().args(command).arg(&file).args(&command[1..]).output().expect("virtc");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains(&format!("version {version}, which {who} wrote")), "{command:?}: {said}");
            assert!(said.contains("virtc build") && output.status.code() == Some(1), "{command:?}: {said}");
        }
    }
}

#[test]
fn the_plan_says_what_each_path_is_for() {
    let os = "<os><type arch='x86_64' machine='q35'>hvm</type><kernel>/srv/disk/kernel</kernel></os>";
    let plan = plan(
        os,
        "<disk type='file'><source file='/srv/nvram.img'/><target dev='vda'/></disk>\
         <serial type='file'><source path='/srv/hostdev.txt'/><log file='/srv/disk.log'/></serial>\
         <filesystem type='mount'><source dir='/srv/share'/><target dir='t'/></filesystem>",
    );
    let of = |path: &str| plan.access.iter().find(|a| a.path == path).map(|a| a.usage);
    assert_eq!(of("/srv/disk/kernel"), Some(Use::Boot));
    assert_eq!(of("/srv/nvram.img"), Some(Use::Disk));
    assert_eq!(of("/srv/hostdev.txt"), Some(Use::CharacterDevice));
    assert_eq!(of("/srv/disk.log"), Some(Use::Log));
    assert_eq!(of("/srv/share"), Some(Use::Share));
    assert_eq!(of("/dev/kvm"), Some(Use::Accelerator));
    let json = serde_json::to_value(&plan).expect("JSON");
    assert!(json["access"].as_array().is_some_and(|all| all.iter().all(|a| a["use"].is_string())));
}

#[test]
fn the_plan_says_where_a_machine_listens_and_what_it_claims() {
    let devices = "<interface type='user'><mac address='52:54:00:00:00:AB'/><backend type='passt'/>\
         <portForward proto='udp'><range start='8000' end='8002'/><range start='8001' exclude='yes'/></portForward></interface>\
         <interface type='user'><mac address='52:54:00:00:00:cd'/><alias name='ua-n'/></interface>\
         <graphics type='vnc' port='5907' websocket='5707'/>\
         <graphics type='spice' port='5950' tlsPort='-1'/>\
         <serial type='tcp'><source mode='connect' host='h' service='9'/></serial>\
         <serial type='unix'><source mode='connect' path='/srv/peer'><reconnect enabled='yes' timeout='5'/></source></serial>";
    let before = format!(
        "{OS}<qemu:commandline><qemu:arg value='-chardev'/>\
         <qemu:arg value='socket,id=x,host=127.0.0.1,port=4555,server=on'/>\
         <qemu:arg value='-device'/><qemu:arg value='vfio-pci,host=02:00.0'/></qemu:commandline>\
         <qemu:override><qemu:device alias='ua-n'><qemu:frontend>\
         <qemu:property name='mac' type='string' value='52:54:00:00:00:EF'/></qemu:frontend></qemu:device></qemu:override>"
    );
    let plan = plan(&before, devices);
    let mut listens: Vec<_> = plan.listens.iter().map(|l| (l.process.as_str(), l.port, l.udp)).collect();
    listens.sort_unstable();
    let expected = [
        ("passt-net0", 8000, true),
        ("passt-net0", 8002, true),
        ("qemu", 4555, false),
        ("qemu", 5707, false),
        ("qemu", 5907, false),
        ("qemu", 5950, false),
    ];
    assert_eq!(listens, expected);
    let claims: Vec<_> = plan.claims.iter().map(|c| (c.kind, c.value.as_str())).collect();
    for claim in [
        (ClaimKind::Mac, "52:54:00:00:00:ab"),
        (ClaimKind::Mac, "52:54:00:00:00:ef"),
        (ClaimKind::HostDevice, "0000:02:00.0"),
    ] {
        assert!(claims.contains(&claim), "{claims:?}");
    }
    assert_eq!(claims.len(), 3);
    let again: Vec<_> = plan.connects.iter().map(|c| (c.socket.as_str(), c.again)).collect();
    assert!(again.contains(&("/srv/peer", true)), "{again:?}");
}

#[test]
fn a_folder_of_nodes_counts_as_its_nodes() {
    let groups = |devices: &str| plan(OS, devices).confinement.groups;
    assert!(groups("<audio id='1' type='alsa'/>").contains(&"audio".to_string()));
    assert!(!groups("<audio id='1' type='none'/>").contains(&"audio".to_string()));
}
