//! Plans made by hand: small, and one with every kind of access.

use std::path::Path;
use virtc::diag::Diagnostics;
use virtc::emit::{self, Artifact, Extras, Templates};
use virtc::plan::*;

/// A cause in the XML.
pub fn cause(what: &'static str, line: u32) -> Cause {
    Cause { what: what.into(), line, ..Cause::default() }
}

/// A headless server: one disk, a serial console on a socket, KVM.
pub fn server() -> Plan {
    let mut plan = Plan {
        version: Plan::VERSION,
        name: "web".into(),
        uuid: "c7a5fdbd-edaf-9455-926a-d65c16db1809".into(),
        accelerator: Accelerator::Kvm,
        ..Plan::default()
    };
    plan.confinement = Confinement {
        user: Some("virtc-qemu".into()),
        group: Some("virtc-qemu".into()),
        own_account: true,
        groups: vec!["kvm".into()],
        dynamic_ownership: true,
        selinux: Some(Selinux {
            process: "system_u:system_r:svirt_t:s0:c41,c264".into(),
            image: "system_u:object_r:svirt_image_t:s0:c41,c264".into(),
            shared: "system_u:object_r:svirt_image_t:s0".into(),
            content: "system_u:object_r:virt_content_t:s0".into(),
            relabel: true,
            derived: true,
            range: String::new(),
            unlabelled: Vec::new(),
            cause: cause("default: dynamic label", 0),
        }),
        apparmor: Some(Apparmor {
            profile: "libvirt-c7a5fdbd-edaf-9455-926a-d65c16db1809".into(),
            generated: true,
            ..Apparmor::default()
        }),
        seccomp: true,
    };
    plan.lifecycle = Lifecycle {
        on_poweroff: "destroy".into(),
        on_reboot: "restart".into(),
        on_crash: "destroy".into(),
        ..Lifecycle::default()
    };
    plan.directories.push(Directory {
        role: DirectoryRole::Runtime,
        path: "/run/virtc/web".into(),
        mode: 0o700,
        cause: cause("default: run-time directory", 0),
    });
    plan.sockets.push(Socket {
        role: SocketRole::Monitor,
        path: "/run/virtc/web/monitor.sock".into(),
        process: "qemu".into(),
        cause: cause("default: QMP monitor", 0),
    });
    plan.access.push(disk("/var/lib/images/web.img"));
    plan.access.push(device("/dev/kvm", "default: KVM", Sharing::System));
    plan.limits.vcpus = 2;
    plan.limits.memory = 1 << 30;
    plan.processes.push(qemu());
    plan
}

/// QEMU with a few arguments.
pub fn qemu() -> Process {
    let none = Cause::default;
    let mut monitor = Props::with("", "socket");
    monitor.set("id", "charmonitor").set("path", "/run/virtc/web/monitor.sock").set("server", true).set("wait", false);
    let mut disk = Props::driver("file");
    disk.set("filename", "/var/lib/images/web.img").set("node-name", "libvirt-1-storage");
    Process {
        role: Role::Qemu,
        id: "qemu".into(),
        program: "/usr/bin/qemu-system-x86_64".into(),
        env: vec![("LC_ALL".into(), "C".into())],
        args: vec![
            Arg::props("-name", Props::with("guest", "web"), Form::Options, none()),
            Arg::switch("-nodefaults", none()),
            Arg::props("-chardev", monitor, Form::Options, none()),
            Arg::props("-blockdev", disk, Form::Json, none()),
        ],
        ready: Ready::Monitor,
        ..Process::default()
    }
}

/// Read and write access to an image.
pub fn disk(path: &str) -> Access {
    Access {
        process: "qemu".into(),
        usage: Use::Disk,
        path: path.into(),
        resolved: None,
        kind: PathKind::File,
        perms: Perms::READ_WRITE,
        sharing: Sharing::Exclusive,
        label: LabelRole::Image,
        restore_label: true,
        owner: OwnerRule::Domain { restore: true },
        optional: false,
        cause: cause("disk vda", 12),
    }
}

/// Access to a character device.
pub fn device(path: &str, what: &'static str, sharing: Sharing) -> Access {
    Access {
        kind: PathKind::CharDevice,
        perms: Perms { lock: false, ..Perms::READ_WRITE },
        sharing,
        label: LabelRole::Keep,
        owner: OwnerRule::Keep,
        cause: cause(what, 20),
        ..disk(path)
    }
}

/// A desktop: emulated, SPICE on TCP, sound, a tap, a CD-ROM, a TPM emulator.
pub fn desktop() -> Plan {
    let mut plan = server();
    plan.name = "desk top".into();
    plan.title = Some("A desktop, 100 % emulated".into());
    plan.accelerator = Accelerator::Tcg;
    plan.access.retain(|a| a.path != "/dev/kvm");
    plan.access.push(Access {
        perms: Perms::READ,
        sharing: Sharing::ReadOnly,
        label: LabelRole::Content,
        owner: OwnerRule::Domain { restore: false },
        cause: cause("disk sda", 30),
        ..disk("/srv/iso/install cd.iso")
    });
    plan.access.push(device("/dev/net/tun", "interface", Sharing::System));
    plan.access.push(device("/dev/vhost-net", "interface", Sharing::System));
    plan.links.push(Link {
        kind: LinkKind::Tap,
        name: "vnet0".into(),
        over: Some("br0".into()),
        mode: None,
        mac: "52:54:00:12:34:56".into(),
        mtu: Some(1500),
        managed: true,
        queues: 1,
        vhost: true,
        bandwidth: None,
        up: true,
        cause: cause("interface", 40),
    });
    let mut spice = Props::with("port", 5900u32);
    spice.set("addr", "127.0.0.1");
    let mut swtpm = Process {
        role: Role::Swtpm,
        id: "swtpm-tpm0".into(),
        program: "/usr/bin/swtpm".into(),
        args: vec![Arg::switch("socket", Cause::default()), Arg::switch("--tpm2", Cause::default())],
        ready: Ready::Socket("/run/virtc/web/tpm.sock".into()),
        cause: cause("TPM emulator", 50),
        ..Process::default()
    };
    swtpm.env.push(("LC_ALL".into(), "C".into()));
    plan.sockets.push(Socket {
        role: SocketRole::Helper,
        path: "/run/virtc/web/tpm.sock".into(),
        process: "swtpm-tpm0".into(),
        cause: cause("TPM emulator", 50),
    });
    plan.directories.push(Directory {
        role: DirectoryRole::State,
        path: "/var/lib/virtc/web/tpm2".into(),
        mode: 0o700,
        cause: cause("TPM emulator", 50),
    });
    plan.access.push(Access { process: "swtpm-tpm0".into(), kind: PathKind::Tree, ..disk("/var/lib/virtc/web/tpm2") });
    plan.processes[0].args.push(Arg::props("-spice", spice, Form::Options, Cause::default()));
    plan.processes[0].needs = Needed::all(&[Need::Inet, Need::Code], &cause("graphics spice", 60));
    plan.processes.insert(0, swtpm);
    plan
}

/// Every kind of access, limit, directory and link.
pub fn everything() -> Plan {
    let mut plan = desktop();
    plan.name = "all".into();
    plan.uuid = "11111111-2222-4333-8444-555555555555".into();
    if let Some(apparmor) = &mut plan.confinement.apparmor {
        apparmor.profile = format!("libvirt-{}", plan.uuid);
    }
    let base = disk("/var/lib/images/x");
    for (path, kind) in [
        ("/srv/file", PathKind::File),
        ("/dev/mapper/vg-lv", PathKind::BlockDevice),
        ("/dev/hwrng", PathKind::CharDevice),
        ("/srv/share", PathKind::Tree),
        ("/srv/dir", PathKind::Directory),
        ("/srv/console.sock", PathKind::Socket),
        ("/srv/pipe", PathKind::Pipe),
        ("/home/user/vm.img", PathKind::File),
        ("/tmp/vm.img", PathKind::File),
    ] {
        plan.access.push(Access { path: path.into(), kind, ..base.clone() });
    }
    plan.access.push(Access { path: "/srv/log".into(), perms: Perms::WRITE, ..base.clone() });
    plan.access.push(Access {
        path: "/srv/shared".into(),
        sharing: Sharing::Shared,
        label: LabelRole::Shared,
        restore_label: false,
        ..base.clone()
    });
    plan.access.push(Access {
        path: "/srv/own".into(),
        label: LabelRole::Explicit("system_u:object_r:svirt_image_t:s0:c1,c2".into()),
        owner: OwnerRule::Explicit("+107:+107".into()),
        ..base.clone()
    });
    plan.access.push(device("/dev/bus/usb/001/002", "hostdev", Sharing::Exclusive));
    plan.access.push(device("/dev/vfio/12", "hostdev", Sharing::Exclusive));
    plan.directories.push(Directory {
        role: DirectoryRole::Memory,
        path: "/dev/hugepages/virtc/all".into(),
        mode: 0o700,
        cause: cause("memory", 3),
    });
    plan.files.push(NewFile {
        path: "/var/lib/virtc/web/vars.fd".into(),
        usage: Use::Nvram,
        template: Some("/usr/share/OVMF/OVMF_VARS_4M.fd".into()),
        cause: cause("nvram", 4),
    });
    plan.secrets.push(Secret {
        id: "s0".into(),
        path: "/run/credentials/disk.key".into(),
        source: "volume/x".into(),
        base64: false,
        cause: cause("encryption", 5),
    });
    plan.processes[1].capabilities.push("CAP_SYS_RAWIO".into());
    plan.processes[1].needs.extend(Needed::all(&[Need::LockedMemory], &cause("memoryBacking", 6)));
    let limits = &mut plan.limits;
    limits.cpu_shares = Some(2048);
    limits.cpu_bandwidth.push(("global".into(), Some(100_000), Some(123_456)));
    limits.cpuset = Some([0, 1, 3, 8].into_iter().collect());
    limits.memory_hard = Some(2 << 30);
    limits.memory_soft = Some(1 << 30);
    limits.memory_swap = Some(3 << 30);
    limits.io_weight = Some(800);
    limits.io_devices.push(BlockDeviceLimit {
        path: "/dev/sda".into(),
        weight: Some(300),
        read_iops: Some(100),
        write_iops: Some(0),
        read_bytes: Some(1 << 20),
        write_bytes: None,
    });
    limits.numa = Some(MemoryPolicy { mode: "strict".into(), nodes: [0].into_iter().collect() });
    limits.partition = Some("/machine/prod-1".into());
    limits.hugepages.push((1 << 30, 2 << 20));
    plan
}

/// All hand-made Plans.
pub fn all() -> Vec<Plan> {
    vec![server(), desktop(), everything()]
}

/// The tree of a Plan, which must compile.
pub fn tree(plan: &Plan) -> Vec<Artifact> {
    let mut diags = Diagnostics::new();
    let tree =
        emit::all(plan, &Extras { domain_xml: "<domain/>\n", ..Extras::default() }, &Templates::built_in(), &mut diags);
    let faults: Vec<_> = diags.iter().filter(|d| d.severity == virtc::diag::Severity::Error).collect();
    assert!(faults.is_empty(), "{}: {faults:?}", plan.name);
    tree
}

/// The tree of a Plan, or the messages of what cannot be written.
pub fn try_tree(plan: &Plan) -> Result<Vec<Artifact>, Vec<String>> {
    let mut diags = Diagnostics::new();
    let tree = emit::all(plan, &Extras::default(), &Templates::built_in(), &mut diags);
    if diags.has_errors() { Err(diags.iter().map(|d| d.message.clone()).collect()) } else { Ok(tree) }
}

/// Writes a tree below a folder.
pub fn write(tree: &[Artifact], root: &Path) {
    for artifact in tree {
        let path = root.join(&artifact.path);
        std::fs::create_dir_all(path.parent().expect("an artifact has a folder")).unwrap();
        std::fs::write(path, &artifact.contents).unwrap();
    }
}

/// The text of an artifact, by the end of its path.
pub fn text<'a>(tree: &'a [Artifact], end: &str) -> &'a str {
    &tree.iter().find(|a| a.path.ends_with(end)).unwrap_or_else(|| panic!("no {end}")).contents
}
