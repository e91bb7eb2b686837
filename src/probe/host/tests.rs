use super::*;
use crate::host::*;
use std::fs;

/// A machine made of a few files.
fn machine(files: &[(&str, &str)], links: &[(&str, &str)]) -> (tempfile::TempDir, Source) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let place = |path: &str| {
        let place = dir.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().expect("a parent")).expect("directories");
        place
    };
    for (path, text) in files {
        fs::write(place(path), text).expect("a file");
    }
    for (path, target) in links {
        std::os::unix::fs::symlink(target, place(path)).expect("a link");
    }
    let source = Source::new(dir.path());
    (dir, source)
}

#[test]
fn a_bare_machine_is_the_default() {
    let (_dir, source) = machine(&[("/dev/kvm", ""), ("/dev/vhost-net", "")], &[]);
    let (host, remarks) = probe(&source);
    let mut expected = Host::default();
    expected.machine.arch = host.machine.arch;
    assert_eq!(host, expected);
    assert_eq!(remarks, Vec::<String>::new());
}

#[test]
fn facts_are_found() {
    let network = "<network><name>default</name><forward mode='nat'/><bridge name='virbr0'/>
        <ip address='192.168.122.1' netmask='255.255.255.0'/><ip family='ipv6' address='fd00::1' prefix='64'/></network>";
    let pool = "<pool type='dir'><name>images</name><target><path>/srv/images</path></target></pool>";
    let (_dir, source) = machine(
        &[
            ("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n"),
            ("/sys/devices/system/node/node0/cpulist", "0-1\n"),
            ("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       2048 kB\n"),
            ("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "0\n"),
            ("/sys/devices/system/node/node1/cpulist", "\n"),
            ("/proc/meminfo", "Hugepagesize:       2048 kB\n"),
            (
                "/proc/mounts",
                "none /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\nnone /huge\\0401G hugetlbfs rw,pagesize=1024M 0 0\n",
            ),
            ("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x8086\n"),
            ("/sys/bus/pci/devices/0000:01:00.0/class", "0x020000\n"),
            ("/sys/bus/pci/devices/0000:01:00.0/max_link_speed", "8.0 GT/s\n"),
            ("/sys/bus/pci/devices/0000:02:00.0/vendor", "0x8086\n"),
            ("/etc/libvirt/qemu/networks/default.xml", network),
            ("/etc/libvirt/storage/images.xml", pool),
            ("/etc/libvirt/storage/autostart/images.xml", pool),
            ("/srv/images/a.qcow2", ""),
            ("/sys/class/net/br0/bridge/x", ""),
            ("/dev/sr0", ""),
            ("/dev/dri/renderD128", ""),
            ("/dev/tpm0", ""),
            ("/sys/fs/selinux/enforce", "1"),
            ("/etc/passwd", "root:x:0:0::/root:/bin/sh\ntss:x:107:107::/:/sbin/nologin\n"),
            ("/usr/share/OVMF/OVMF_CODE_4M.fd", ""),
            ("/usr/share/OVMF/OVMF_VARS_4M.fd", ""),
        ],
        &[
            ("/sys/bus/pci/devices/0000:01:00.0/iommu_group", "../../kernel/iommu_groups/7"),
            ("/sys/bus/pci/devices/0000:02:00.0/physfn", "../0000:01:00.0"),
            ("/sys/class/scsi_generic/sg0/device", "../../../2:0:1:3"),
        ],
    );
    let (host, remarks) = probe(&source);
    assert_eq!(host.numa.node(0).map(|n| (n.cpus.clone(), n.memory)), Some((Some(vec![0, 1]), Some(2 << 20))));
    assert_eq!(host.numa.node(1).and_then(|n| n.cpus.clone()), Some(vec![]));
    assert_eq!(host.default_hugepage_mount().map(|m| m.path.as_str()), Some("/dev/hugepages"));
    assert_eq!(host.hugepage_mount(1 << 30).map(|m| m.path.as_str()), Some("/huge 1G"));
    let nic = host.pci_device(PciAddress::parse("0000:01:00.0").expect("an address")).expect("a device");
    assert_eq!((nic.vendor, nic.class, nic.iommu_group, nic.express), (Some(0x8086), Some(0x02_0000), Some(7), true));
    assert_eq!(host.pci_devices[1].physfn, Some(nic.address));
    assert_eq!(host.scsi_generic(2, 0, 1, 3), Some("sg0"));
    let default = host.network("default").expect("a network");
    assert_eq!(default.addresses, ["192.168.122.1/24", "fd00::1/64"]);
    assert_eq!(default.port.as_ref().map(|p| p.plug), Some(Plug::Network));
    let pool = host.pool("images").expect("a pool");
    assert!(pool.active && pool.volume("a.qcow2").is_some_and(|v| v.path == "/srv/images/a.qcow2"));
    assert_eq!(host.machine.cdrom, ["/dev/sr0"]);
    assert_eq!(host.machine.drm_render_node.as_deref(), Some("/dev/dri/renderD128"));
    assert!(host.machine.tpm.is_some());
    assert_eq!(host.instance.security_driver, SecurityDriver::Selinux);
    assert_eq!(host.process.swtpm_user.as_deref(), Some("tss"));
    assert_eq!(host.firmware.nvram_templates.len(), 1);
    assert_eq!(host.machine.vhost_net, VhostNetPolicy::Never);
    assert_eq!(remarks.len(), 3, "{remarks:?}");

    // What is written is read again.
    let mut diags = crate::diag::Diagnostics::new();
    assert_eq!(read(&write(&host, "a test"), &mut diags), host);
    assert!(diags.is_empty(), "{diags:?}");
}

#[test]
fn contexts_of_the_policy() {
    let (_dir, source) = machine(
        &[
            ("/sys/fs/selinux/enforce", "1"),
            ("/etc/selinux/config", "# comment\nSELINUX=enforcing\nSELINUXTYPE=default\n"),
            ("/etc/selinux/default/contexts/virtual_domain_context", "system_u:system_r:svirt_t:s0\n"),
            ("/etc/selinux/default/contexts/virtual_image_context", "a:object_r:i:s0\na:object_r:c:s0\n"),
            ("/proc/mounts", "h:/x /srv/a\\040b nfs4 rw,vers=4.2 0 0\nh:/y /srv/c nfs4 rw,seclabel 0 0\n"),
        ],
        &[],
    );
    let (host, _) = probe(&source);
    assert_eq!(host.instance.security_driver, SecurityDriver::Selinux);
    let policy = &host.security.selinux;
    assert_eq!(policy.tcg_process, "system_u:system_r:svirt_t:s0");
    assert_eq!((policy.image.as_str(), policy.content.as_str()), ("a:object_r:i:s0", "a:object_r:c:s0"));
    assert_eq!(host.mounts, [Mount { path: "/srv/a b".into(), kind: "nfs4".into(), labels: false }]);
}

#[test]
fn the_processor_has_a_model() {
    let flags = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 syscall nx lm \
                 pni ssse3 cx16 sse4_1 lahf_lm tsc_deadline_timer constant_tsc";
    let one = |n: u32| {
        format!(
            "processor\t: {n}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 23\nstepping\t: 3\n\
             physical id\t: {}\nsiblings\t: 2\ncpu cores\t: 2\nflags\t\t: {flags}\n\n",
            n / 2
        )
    };
    let text: String = (0..4).map(one).collect();
    let (_dir, source) = machine(&[("/proc/cpuinfo", &text)], &[]);
    let (host, _) = probe(&source);
    let cpu = host.machine.cpu.expect("a model");
    assert_eq!((cpu.model.as_str(), cpu.vendor.as_deref()), ("Penryn", Some("Intel")));
    assert_eq!((cpu.sockets, cpu.cores, cpu.threads), (2, 2, 1));
    assert_eq!(cpu.features, ["tsc-deadline", "vme"]);
}
