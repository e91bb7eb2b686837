//! Host facts that are settings: how machines are run, where their files go, what services do.

use super::DEVICE_ACL;
use super::facts::{Bytes, Level, Path};
use super::kdl::{Reader, Times, name_span};
use super::lines::Lines;
use super::rows::{Own, Plain, facts};
use crate::vocab::{Uuid, keywords};
use ::kdl::KdlNode;

facts! {
    /// First free port of each range.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Ports {
        "vnc" vnc: u16 = 5900 => one Plain told, "VNC; 5900";
        "vnc-websocket" vnc_websocket: u16 = 5700 => one Plain told, "VNC in a browser; 5700";
        "spice" spice: u16 = 5900 => one Plain told, "SPICE; 5900";
        "spice-tls" spice_tls: u16 = 5901 => one Plain told, "SPICE with TLS; 5901";
        "rdp" rdp: u16 = 3389 => one Plain told, "RDP; 3389";
    }
}

facts! {
    /// The instance of libvirt that is stood in for, and its switches. In brackets: the key of qemu.conf.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct Instance {
        "mode" mode: InstanceMode = InstanceMode::System => one Plain told, "system, or session: machines of a user";
        "domain-id" domain_id: i32 = -1 => one Plain other, "number in paths of libvirt; -1: none";
        "security-driver" security_driver: SecurityDriver = SecurityDriver::None => one Plain told,
            "none, selinux, apparmor, dac (security_driver)";
        "log-timestamp" log_timestamp: bool = true => one Plain told, "time stamps in QEMU's log (log_timestamp)";
        "dump-guest-core" dump_guest_core: bool = false => one Plain told,
            "whether the guest's memory goes into core dumps (dump_guest_core)";
        "seccomp-sandbox" seccomp_sandbox: Seccomp = Seccomp::Auto => one Plain told,
            "QEMU's own filter of system calls: auto, on, off (seccomp_sandbox)";
        "deprecation-behavior" deprecation_behavior: Deprecation = Deprecation::None => one Plain told,
            "what QEMU does with options that will go: none, omit, reject, crash (deprecation_behavior)";
        "nographics-allow-host-audio" nographics_allow_host_audio: bool = false => one Plain told,
            "sound of the host for guests without a display (nographics_allow_host_audio)";
        "gluster-debug-level" gluster_debug_level: u8 = 4 => one Level told, "0 to 9 (gluster_debug_level)";
        "default-cpu-deprecated-features" cpu_deprecated_features: DeprecatedFeatures = DeprecatedFeatures::Off =>
            one Plain other, "on, off, none: features of IBM Z that will go (default_cpu_deprecated_features)";
    }
}

keywords! {
    /// What becomes of features that newer machines will not have.
    pub enum DeprecatedFeatures {
        /// The guest has them.
        On = "on",
        /// The guest does not see them.
        Off = "off",
        /// As the host's model has them.
        None = "none",
    }
}

keywords! {
    /// Which instance of libvirt is stood in for.
    pub enum InstanceMode {
        System = "system",
        Session = "session",
    }
}

keywords! {
    /// Which driver confines the guests.
    pub enum SecurityDriver {
        None = "none",
        Selinux = "selinux",
        Apparmor = "apparmor",
        Dac = "dac",
    }
}

keywords! {
    /// QEMU's own system call filter.
    pub enum Seccomp {
        /// When QEMU can.
        Auto = "auto",
        On = "on",
        Off = "off",
    }
}

keywords! {
    /// What QEMU does with deprecated options.
    pub enum Deprecation {
        None = "none",
        Omit = "omit",
        Reject = "reject",
        Crash = "crash",
    }
}

facts! {
    /// How the processes are run. In brackets: the key of qemu.conf.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct Process {
        "swtpm-user" swtpm_user: Option<String> = None => maybe Plain other, "account of swtpm (swtpm_user)";
        "swtpm-group" swtpm_group: Option<String> = None => maybe Plain other, "its group (swtpm_group)";
        "set-process-name" set_process_name: bool = false => one Plain other,
            "the process is called after the domain (set_process_name)";
        "max-processes" max_processes: u32 = 0 => one Plain other,
            "limit of processes; 0: the host's (max_processes)";
        "max-files" max_files: u32 = 0 => one Plain other, "limit of open files; 0: the host's (max_files)";
        "max-threads" max_threads: u32 = 0 => one Plain other,
            "limit of threads; 0: the host's (max_threads_per_process)";
        "max-core" max_core: Option<u64> = None => maybe Bytes other,
            "limit of core dumps, a size; unlimited without it (max_core)";
        "device-acl" device_acl: Vec<String> = DEVICE_ACL.iter().map(|path| path.to_string()).collect() =>
            list Path other, "device nodes that every guest may use (cgroup_device_acl)";
        "helper" helpers: Vec<(String, String)> = Vec::new() => own HelperNodes other,
            "pr, dbus or rdp, and path: the program, where it is not at its usual place";
    }
}

/// The nodes of helper programs: the name, and the path.
struct HelperNodes;

impl Own<Vec<(String, String)>> for HelperNodes {
    const TIMES: Times = Times::Many;

    fn read(r: &mut Reader<'_>, node: &KdlNode, into: &mut Vec<(String, String)>) {
        let mut e = r.entries(node);
        let name = e.required_arg::<String>("its name");
        let program = e.required_prop::<Path>("path");
        e.finish();
        r.no_children(node);
        let known = name.as_deref().is_none_or(|name| matches!(name, "pr" | "dbus" | "rdp"));
        if !known {
            r.bad_value(name_span(node), "helper", "'pr', 'dbus' or 'rdp'");
        } else if let (Some(name), Some(Path(path))) = (name, program) {
            into.push((name, path));
        }
    }

    fn write(w: &mut Lines, name: &str, value: &Vec<(String, String)>) {
        for (helper, path) in value {
            w.node(name).text(helper).prop("path", path);
        }
    }
}

facts! {
    /// Where the files of each domain go.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct Directories {
        "lib" lib: String = "/var/lib/libvirt/qemu".to_string() => one Path told,
            "parent of the folders of the domains";
        "channel-target" channel_target: String = "/run/libvirt/qemu/channel".to_string() => one Path told,
            "sockets of channels without a path";
        "memory-backing" memory_backing: String = "/var/lib/libvirt/qemu/ram".to_string() => one Path told,
            "files that are the guest's memory";
        "nvram" nvram: String = "/var/lib/libvirt/qemu/nvram".to_string() => one Path told,
            "variable stores of UEFI";
        "varstore" varstore: String = "/var/lib/libvirt/qemu/varstore".to_string() => one Path told,
            "variable stores that QEMU keeps itself";
        "passt" passt: String = "/run/libvirt/qemu/passt".to_string() => one Path told, "sockets of passt";
        "dbus" dbus: String = "/run/libvirt/qemu/dbus".to_string() => one Path told,
            "sockets of the bus of a display";
        "rdp" rdp: String = "/run/libvirt/qemu/rdp".to_string() => one Path told, "state of the RDP server";
    }
}

facts! {
    /// What a network service does when the domain does not say.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct Service {
        "listen" listen: String = "127.0.0.1".to_string() => one Plain other,
            "address when the domain names none; 127.0.0.1";
        "tls" tls: bool = false => one Plain other, "whether it speaks TLS; #false";
        "tls-verify" tls_verify: bool = false => one Plain other, "whether a client has to show a certificate; #false";
        "tls-dir" tls_dir: String = String::new() => one Path other, "folder of the certificates";
        "tls-secret" tls_secret: Option<Uuid> = None => maybe Plain other,
            "UUID of the secret with the passphrase of the key";
        "tls-priority" tls_priority: Option<String> = None => maybe Plain other,
            "which algorithms are taken, in the words of GnuTLS";
        "sasl" sasl: bool = false => one Plain other, "whether users are asked for by SASL; #false";
        "sasl-dir" sasl_dir: Option<String> = None => maybe Path other, "folder of the configuration of SASL";
        "password" password: Option<String> = None => maybe Plain other, "password of domains that set none";
        "auto-unix-socket" auto_unix_socket: bool = false => one Plain other, "a socket in place of a port; #false";
        "allow-host-audio" allow_host_audio: bool = false => one Plain other,
            "whether the sound of the host stays on with VNC; #false";
    }
}
