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
            ports: Ports { vnc: 5900, vnc_websocket: 5700, spice: 5900, spice_tls: 5901, rdp: 3389 },
            machine: Machine {
                arch: Arch::X86_64,
                page_size: 4 << 10,
                transparent_hugepage_size: 2 << 20,
                cpu: None,
                physical_address_bits: 0,
                kvm_max_vcpus: i32::MAX as u32,
                vhost_net: VhostNetPolicy::Auto,
                vsock_next_cid: 3,
                drm_render_node: None,
                cdrom: Vec::new(),
                tpm: None,
            },
            numa: Numa::default(),
            hugepages: Vec::new(),
            environment: Vec::new(),
            instance: Instance {
                mode: InstanceMode::System,
                domain_id: -1,
                security_driver: SecurityDriver::None,
                log_timestamp: true,
                dump_guest_core: false,
                seccomp_sandbox: Seccomp::Auto,
                deprecation_behavior: Deprecation::None,
                nographics_allow_host_audio: false,
                gluster_debug_level: 4,
                cpu_deprecated_features: DeprecatedFeatures::Off,
            },
            process: Process {
                swtpm_user: None,
                swtpm_group: None,
                set_process_name: false,
                max_processes: 0,
                max_files: 0,
                max_threads: 0,
                max_core: None,
                device_acl: DEVICE_ACL.iter().map(|path| path.to_string()).collect(),
                helpers: Vec::new(),
            },
            security: Security::default(),
            directories: Directories {
                lib: "/var/lib/libvirt/qemu".to_string(),
                channel_target: "/run/libvirt/qemu/channel".to_string(),
                memory_backing: "/var/lib/libvirt/qemu/ram".to_string(),
                nvram: "/var/lib/libvirt/qemu/nvram".to_string(),
                varstore: "/var/lib/libvirt/qemu/varstore".to_string(),
                passt: "/run/libvirt/qemu/passt".to_string(),
                dbus: "/run/libvirt/qemu/dbus".to_string(),
                rdp: "/run/libvirt/qemu/rdp".to_string(),
            },
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
            fd_groups: Vec::new(),
            files: HostFiles::default(),
        }
    }
}

impl Service {
    /// The defaults of the service whose certificates are in `/etc/pki/libvirt-WHAT`.
    pub fn of(what: &str) -> Service {
        Service {
            listen: "127.0.0.1".to_string(),
            tls: false,
            tls_verify: false,
            tls_dir: format!("/etc/pki/libvirt-{what}"),
            tls_secret: None,
            tls_priority: None,
            sasl: false,
            sasl_dir: None,
            password: None,
            auto_unix_socket: false,
            allow_host_audio: false,
        }
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
