//! The facts that hold when `host.kdl` does not say otherwise.

use super::*;

/// The account that machines run as when nothing names one; `sysusers.d` makes it.
pub const DEFAULT_USER: &str = "virtc-qemu";

/// The device nodes that libvirt grants every guest unless qemu.conf names others.
pub const DEVICE_ACL: &[&str] = &[
    "/dev/null",
    "/dev/full",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/dev/ptmx",
    "/dev/kvm",
    "/dev/userfaultfd",
];

impl Default for Host {
    fn default() -> Host {
        Host {
            open: false,
            root: "/".to_string(),
            random: Random::Derived,
            clock: Clock { now: None, timezone: "UTC".to_string() },
            ports: Ports::default(),
            machine: Machine::default(),
            numa: Numa::default(),
            hugepages: Vec::new(),
            environment: Vec::new(),
            instance: Instance::default(),
            process: Process::default(),
            security: Security::default(),
            directories: Directories::default(),
            vnc: Service::of("vnc"),
            spice: Service::of("spice"),
            rdp: Service::of("rdp"),
            chardev: Service::of("chardev"),
            nbd: Service::of("nbd"),
            vxhs: Service::of("vxhs"),
            // libvirt's directory is not named after the word of the format.
            migration: Service::of("migrate"),
            backup: Service::of("backup"),
            firmware: Firmware {
                shipped_by: None,
                descriptors: vec!["/usr/share/qemu/firmware".to_string(), "/etc/qemu/firmware".to_string()],
                nvram_templates: [
                    ("OVMF/OVMF_CODE.fd", "OVMF/OVMF_VARS.fd"),
                    ("OVMF/OVMF_CODE.secboot.fd", "OVMF/OVMF_VARS.fd"),
                    ("AAVMF/AAVMF_CODE.fd", "AAVMF/AAVMF_VARS.fd"),
                    ("AAVMF/AAVMF32_CODE.fd", "AAVMF/AAVMF32_VARS.fd"),
                ]
                .map(|(code, vars)| NvramTemplate {
                    code: format!("/usr/share/{code}"),
                    vars: format!("/usr/share/{vars}"),
                })
                .to_vec(),
            },
            vhost_user: VhostUser {
                descriptors: vec!["/usr/share/qemu/vhost-user".to_string(), "/etc/qemu/vhost-user".to_string()],
                helpers: Vec::new(),
            },
            swtpm: None,
            nbdkit: None,
            qemu_vnc: None,
            secrets: Vec::new(),
            networks: Vec::new(),
            pools: Vec::new(),
            pci_devices: Vec::new(),
            scsi_devices: Vec::new(),
            links: Vec::new(),
            images: Vec::new(),
            mounts: Vec::new(),
            starts: Vec::new(),
            fd_groups: Vec::new(),
            files: HostFiles::default(),
        }
    }
}

impl Service {
    /// The defaults of the service whose certificates are in `/etc/pki/libvirt-WHAT`.
    pub fn of(what: &str) -> Service {
        Service { tls_dir: format!("/etc/pki/libvirt-{what}"), ..Service::default() }
    }
}

impl Default for Numa {
    /// One node 0 with all CPUs.
    fn default() -> Numa {
        Numa {
            nodes: vec![NumaNode { id: 0, cpus: None, memory: None, free: None, pages: Vec::new() }],
            placement_advice: None,
        }
    }
}
