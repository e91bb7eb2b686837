//! Turns libvirt's `qemu.conf` into host facts.

mod syntax;

use super::*;
use crate::diag::Diagnostics;
use crate::diag::codes::inputs as codes;
use syntax::{Parser, Setting};

/// What a key is for.
enum Use {
    /// It becomes a host fact.
    Fact(fn(&mut Import<'_>, Setting) -> Result<(), String>),
    /// virtc has no use for it, and why.
    None(&'static str),
}
use Use::{Fact, None as Unused};

/// The file while it is turned.
struct Import<'d> {
    host: Host,
    diags: &'d mut Diagnostics,
    default_dir: Option<String>,
    default_verify: Option<bool>,
    default_secret: Option<Uuid>,
    /// What the file says of each service.
    tls: Vec<(Which, Tls)>,
}

/// What the file says of the TLS of a service.
#[derive(Default, Clone)]
struct Tls {
    dir: Option<String>,
    verify: Option<bool>,
    secret: Option<Uuid>,
}

/// A service with TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    Vnc,
    Spice,
    Rdp,
    Chardev,
    Vxhs,
    Nbd,
    Migration,
    Backup,
}

impl Which {
    const ALL: [Which; 8] = [
        Which::Vnc,
        Which::Spice,
        Which::Rdp,
        Which::Chardev,
        Which::Vxhs,
        Which::Nbd,
        Which::Migration,
        Which::Backup,
    ];

    fn service(self, host: &mut Host) -> &mut Service {
        match self {
            Which::Vnc => &mut host.vnc,
            Which::Spice => &mut host.spice,
            Which::Rdp => &mut host.rdp,
            Which::Chardev => &mut host.chardev,
            Which::Vxhs => &mut host.vxhs,
            Which::Nbd => &mut host.nbd,
            Which::Migration => &mut host.migration,
            Which::Backup => &mut host.backup,
        }
    }

    /// Whether a peer has to show a certificate when the file does not say.
    fn verifies(self) -> bool {
        matches!(self, Which::Chardev | Which::Migration | Which::Backup)
    }
}

impl Import<'_> {
    fn tls(&mut self, which: Which) -> &mut Tls {
        let at = self.tls.iter().position(|(w, _)| *w == which).unwrap_or_else(|| {
            self.tls.push((which, Tls::default()));
            self.tls.len() - 1
        });
        &mut self.tls[at].1
    }
}

macro_rules! set {
    ($($path:ident).+ = $how:ident) => {
        Fact(|import, setting| {
            import.host.$($path).+ = setting.$how()?;
            Ok(())
        })
    };
}

macro_rules! tls {
    ($which:ident $field:ident = $how:ident) => {
        Fact(|import, setting| {
            import.tls(Which::$which).$field = Some(setting.$how()?);
            Ok(())
        })
    };
}

macro_rules! helper {
    ($name:literal) => {
        Fact(|import, setting| {
            let path = setting.text()?;
            // A bare name is looked for on the path, which is what happens without the key.
            if path.starts_with('/') {
                import.host.process.helpers.push(($name.to_string(), path));
            }
            Ok(())
        })
    };
}

/// The keys, in the order of libvirt's commented file.
const KEYS: &[(&str, Use)] = &[
    (
        "default_tls_x509_cert_dir",
        Fact(|import, setting| {
            import.default_dir = Some(setting.path()?);
            Ok(())
        }),
    ),
    (
        "default_tls_x509_verify",
        Fact(|import, setting| {
            import.default_verify = Some(setting.truth()?);
            Ok(())
        }),
    ),
    (
        "default_tls_x509_secret_uuid",
        Fact(|import, setting| {
            import.default_secret = Some(setting.uuid()?);
            Ok(())
        }),
    ),
    ("vnc_listen", set!(vnc.listen = text)),
    ("vnc_auto_unix_socket", set!(vnc.auto_unix_socket = truth)),
    ("vnc_tls", set!(vnc.tls = truth)),
    ("vnc_tls_x509_cert_dir", tls!(Vnc dir = path)),
    ("vnc_tls_x509_secret_uuid", tls!(Vnc secret = uuid)),
    ("vnc_tls_x509_verify", tls!(Vnc verify = truth)),
    ("vnc_password", set!(vnc.password = some_text)),
    ("vnc_sasl", set!(vnc.sasl = truth)),
    ("vnc_sasl_dir", set!(vnc.sasl_dir = some_text)),
    ("vnc_allow_host_audio", set!(vnc.allow_host_audio = truth)),
    ("spice_listen", set!(spice.listen = text)),
    ("spice_tls", set!(spice.tls = truth)),
    ("spice_tls_x509_cert_dir", tls!(Spice dir = path)),
    ("spice_auto_unix_socket", set!(spice.auto_unix_socket = truth)),
    ("spice_password", set!(spice.password = some_text)),
    ("spice_sasl", set!(spice.sasl = truth)),
    ("spice_sasl_dir", set!(spice.sasl_dir = some_text)),
    ("rdp_listen", set!(rdp.listen = text)),
    ("rdp_tls_x509_cert_dir", tls!(Rdp dir = path)),
    ("rdp_username", Unused("the user name of a domain's RDP server stands in its XML")),
    ("rdp_password", set!(rdp.password = some_text)),
    ("chardev_tls", set!(chardev.tls = truth)),
    ("chardev_tls_x509_cert_dir", tls!(Chardev dir = path)),
    ("chardev_tls_x509_verify", tls!(Chardev verify = truth)),
    ("chardev_tls_x509_secret_uuid", tls!(Chardev secret = uuid)),
    ("vxhs_tls", set!(vxhs.tls = truth)),
    ("vxhs_tls_x509_cert_dir", tls!(Vxhs dir = path)),
    ("vxhs_tls_x509_secret_uuid", tls!(Vxhs secret = uuid)),
    ("nbd_tls", set!(nbd.tls = truth)),
    ("nbd_tls_x509_cert_dir", tls!(Nbd dir = path)),
    ("nbd_tls_x509_secret_uuid", tls!(Nbd secret = uuid)),
    ("migrate_tls_x509_cert_dir", tls!(Migration dir = path)),
    ("migrate_tls_x509_verify", tls!(Migration verify = truth)),
    ("migrate_tls_x509_secret_uuid", tls!(Migration secret = uuid)),
    ("migrate_tls_force", Unused("virtc does not migrate machines")),
    ("backup_tls_x509_cert_dir", tls!(Backup dir = path)),
    ("backup_tls_x509_verify", tls!(Backup verify = truth)),
    ("backup_tls_x509_secret_uuid", tls!(Backup secret = uuid)),
    ("nographics_allow_host_audio", set!(instance.nographics_allow_host_audio = truth)),
    (
        "remote_display_port_min",
        Fact(|import, setting| {
            let port: u16 = setting.number()?;
            if port < 5900 {
                return Err("a port of 5900 or above".to_string());
            }
            import.host.ports.vnc = port;
            import.host.ports.spice = port;
            import.host.ports.spice_tls = port.saturating_add(1);
            Ok(())
        }),
    ),
    ("remote_display_port_max", Fact(port_limit)),
    (
        "remote_websocket_port_min",
        Fact(|import, setting| {
            let port: u16 = setting.number()?;
            if port < 5700 {
                return Err("a port of 5700 or above".to_string());
            }
            import.host.ports.vnc_websocket = port;
            Ok(())
        }),
    ),
    ("remote_websocket_port_max", Fact(port_limit)),
    ("security_driver", Fact(security_driver)),
    ("security_default_confined", set!(security.default_confined = truth)),
    ("security_require_confined", set!(security.require_confined = truth)),
    ("user", set!(security.user = some_text)),
    ("group", set!(security.group = some_text)),
    ("dynamic_ownership", set!(security.dynamic_ownership = truth)),
    ("remember_owner", Unused("virtc always remembers owners: in the journal of the run")),
    ("cgroup_controllers", Unused("systemd mounts the controllers that a unit's directives ask for")),
    ("cgroup_device_acl", set!(process.device_acl = list)),
    ("save_image_format", Unused(NO_IMAGES)),
    ("dump_image_format", Unused(NO_IMAGES)),
    ("snapshot_image_format", Unused(NO_IMAGES)),
    ("auto_dump_path", Unused(NO_IMAGES)),
    ("auto_dump_bypass_cache", Unused(NO_IMAGES)),
    ("auto_start_bypass_cache", Unused(NO_IMAGES)),
    ("auto_start_delay", Unused(SYSTEMD_STARTS)),
    ("auto_shutdown_try_save", Unused(SYSTEMD_STARTS)),
    ("auto_shutdown_try_shutdown", Unused(SYSTEMD_STARTS)),
    ("auto_shutdown_poweroff", Unused(SYSTEMD_STARTS)),
    ("auto_shutdown_wait", Unused(SYSTEMD_STARTS)),
    ("auto_shutdown_restore", Unused(SYSTEMD_STARTS)),
    ("auto_save_bypass_cache", Unused(NO_IMAGES)),
    ("hugetlbfs_mount", Fact(hugetlbfs_mount)),
    ("bridge_helper", Unused("taps are made by the units or by virtc run, or are there")),
    ("pr_helper", helper!("pr")),
    ("slirp_helper", Unused("user networking is QEMU's own, or passt")),
    ("qemu_rdp", helper!("rdp")),
    ("dbus_daemon", helper!("dbus")),
    ("set_process_name", set!(process.set_process_name = truth)),
    ("max_processes", set!(process.max_processes = number)),
    ("max_files", set!(process.max_files = number)),
    ("max_threads_per_process", set!(process.max_threads = number)),
    (
        "max_core",
        Fact(|import, setting| {
            import.host.process.max_core = match setting {
                Setting::Text(text) if text == "unlimited" => None,
                other => Some(other.number::<u64>().map_err(|_| "a number of bytes or \"unlimited\"".to_string())?),
            };
            Ok(())
        }),
    ),
    ("dump_guest_core", set!(instance.dump_guest_core = truth)),
    ("mac_filter", Unused("filtering by MAC address belongs to the bridge")),
    ("relaxed_acs_check", Unused("the kernel's VFIO decides which devices can be assigned")),
    ("lock_manager", Unused("there is no daemon that could hold locks; QEMU locks its images itself")),
    ("max_queued", Unused(NO_DAEMON)),
    ("keepalive_interval", Unused(NO_DAEMON)),
    ("keepalive_count", Unused(NO_DAEMON)),
    (
        "seccomp_sandbox",
        Fact(|import, setting| {
            import.host.instance.seccomp_sandbox = match setting {
                Setting::Number(-1) => Seccomp::Auto,
                Setting::Number(0) => Seccomp::Off,
                Setting::Number(1) => Seccomp::On,
                _ => return Err("-1, 0 or 1".to_string()),
            };
            Ok(())
        }),
    ),
    ("migration_address", Unused("virtc does not migrate machines")),
    ("migration_host", Unused("virtc does not migrate machines")),
    ("migration_port_min", Unused("virtc does not migrate machines")),
    ("migration_port_max", Unused("virtc does not migrate machines")),
    ("log_timestamp", set!(instance.log_timestamp = truth)),
    ("nvram", Fact(nvram)),
    ("stdio_handler", Unused("the journal takes what QEMU prints")),
    (
        "gluster_debug_level",
        Fact(|import, setting| {
            let level: u8 = setting.number()?;
            // libvirt takes 9 for anything above.
            import.host.instance.gluster_debug_level = level.min(9);
            Ok(())
        }),
    ),
    ("virtiofsd_debug", Unused("the log level of virtiofsd is set in its unit")),
    ("namespaces", Unused("the units have systemd's own mount namespaces")),
    (
        "memory_backing_dir",
        Fact(|import, setting| {
            import.host.directories.memory_backing = format!("{}/libvirt/qemu", setting.path()?.trim_end_matches('/'));
            Ok(())
        }),
    ),
    ("swtpm_user", set!(process.swtpm_user = some_text)),
    ("swtpm_group", set!(process.swtpm_group = some_text)),
    ("capability_filters", Unused("what to leave out of the capabilities stands in their file")),
    ("deprecation_behavior", set!(instance.deprecation_behavior = word)),
    ("sched_core", Unused("core scheduling is not set up by units")),
    (
        "storage_use_nbdkit",
        Fact(|import, setting| {
            let enabled = setting.truth()?;
            match &mut import.host.nbdkit {
                Some(nbdkit) => nbdkit.enabled = enabled,
                None if enabled => {
                    let path = "/usr/bin/nbdkit".to_string();
                    let plugins = vec!["curl".to_string(), "ssh".to_string()];
                    import.host.nbdkit = Some(Nbdkit { path, enabled, plugins });
                }
                None => {}
            }
            Ok(())
        }),
    ),
    ("shared_filesystems", Unused("it says what a migration keeps, and virtc does not migrate machines")),
    (
        "allow_disk_format_probing",
        Fact(|_, setting| match setting.truth()? {
            true => Err("0: guessing the format of an image lets a guest choose which files are opened".to_string()),
            false => Ok(()),
        }),
    ),
    ("clear_emulator_capabilities", Unused("QEMU never keeps capabilities of a privileged parent")),
];

const NO_IMAGES: &str = "virtc does not save or dump machines";
const SYSTEMD_STARTS: &str = "systemd starts and stops machines, by the units' own directives";
const NO_DAEMON: &str = "there is no daemon with connections";

fn port_limit(_: &mut Import<'_>, setting: Setting) -> Result<(), String> {
    // Ports are given out by the compiler, which knows no other guests; only the value is checked.
    setting.number::<u16>().map(|_| ()).map_err(|_| "a port up to 65535".to_string())
}

fn security_driver(import: &mut Import<'_>, setting: Setting) -> Result<(), String> {
    let names = setting.list()?;
    if let Some((at, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(format!("each driver once; '{name}' is number {} again", at + 1));
    }
    // DAC stands beside the others; the first other one is the one that confines.
    let mut chosen = SecurityDriver::None;
    for name in &names {
        let driver = <SecurityDriver as crate::vocab::Value>::parse(name)?;
        if matches!(chosen, SecurityDriver::None | SecurityDriver::Dac) {
            chosen = driver;
        }
    }
    import.host.instance.security_driver = chosen;
    Ok(())
}

fn hugetlbfs_mount(import: &mut Import<'_>, setting: Setting) -> Result<(), String> {
    let paths = setting.list()?;
    if paths.iter().any(|path| !path.starts_with('/')) {
        return Err("absolute paths".to_string());
    }
    // The sizes stand in the host's mounts; a mount that is already known keeps its own.
    let known = std::mem::take(&mut import.host.hugepages);
    for (at, path) in paths.into_iter().enumerate() {
        let page_size = known.iter().find(|m| m.path == path).map_or(2 << 20, |m| m.page_size);
        import.host.hugepages.push(HugepageMount { path, page_size, default: at == 0 });
    }
    Ok(())
}

fn nvram(import: &mut Import<'_>, setting: Setting) -> Result<(), String> {
    let mut templates = Vec::new();
    for pair in setting.list()? {
        match pair.split_once(':') {
            Some((code, vars)) if code.starts_with('/') && vars.starts_with('/') => {
                templates.push(NvramTemplate { code: code.to_string(), vars: vars.to_string() });
            }
            _ => return Err("pairs such as \"/path/CODE.fd:/path/VARS.fd\"".to_string()),
        }
    }
    import.host.firmware.nvram_templates = templates;
    Ok(())
}

/// Reads `qemu.conf` on top of the facts `host`. `exists` says whether a directory is there: a service
/// without a directory of its own has the common one. Faults, unknown keys (warnings) and keys without
/// a use (notes) are reported with their spans.
pub fn import(text: &str, host: Host, exists: &dyn Fn(&str) -> bool, diags: &mut Diagnostics) -> Host {
    let settings = Parser { text, at: 0, diags }.settings();
    let mut import =
        Import { host, diags, default_dir: None, default_verify: None, default_secret: None, tls: Vec::new() };
    for (key, key_span, setting, span) in settings {
        let Some((_, what)) = KEYS.iter().find(|(name, _)| *name == key) else {
            let close = KEYS
                .iter()
                .map(|(name, _)| *name)
                .find(|name| key.len() <= 64 && similar::TextDiff::from_chars(*name, key.as_str()).ratio() > 0.8);
            let diagnostic =
                import.diags.warning(&codes::QEMU_CONF_KEY, key_span, format!("qemu.conf has no key '{key}'"));
            if let Some(name) = close {
                diagnostic.help(format!("did you mean '{name}'?"));
            }
            continue;
        };
        match what {
            Fact(apply) => {
                if let Err(expected) = apply(&mut import, setting) {
                    import.diags.error(&codes::QEMU_CONF_VALUE, span, format!("'{key}': expected {expected}"));
                }
            }
            Unused(why) => {
                import.diags.note(&codes::QEMU_CONF_UNUSED, key_span, format!("'{key}' has no use here: {why}"));
            }
        }
    }
    let Import { mut host, default_dir, default_verify, default_secret, tls, .. } = import;
    for which in Which::ALL {
        let own = tls.iter().find(|(w, _)| *w == which).map(|(_, tls)| tls.clone()).unwrap_or_default();
        let service = which.service(&mut host);
        service.tls_verify = own.verify.or(default_verify).unwrap_or(which.verifies());
        service.tls_secret = own.secret.or(default_secret);
        match (own.dir, &default_dir) {
            (Some(dir), _) => service.tls_dir = dir,
            (None, Some(dir)) if !exists(&service.tls_dir) => service.tls_dir = dir.clone(),
            _ => {}
        }
    }
    host
}

/// A key that a file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its name.
    pub key: String,
    /// Why it becomes no host fact; none where it does.
    pub unused: Option<&'static str>,
}

/// The keys that libvirt knows and a file sets, in their order. What is wrong with the file is said by [`import`].
pub fn said(text: &str) -> Vec<Said> {
    let mut faults = Diagnostics::new();
    let settings = Parser { text, at: 0, diags: &mut faults }.settings();
    let known = settings.into_iter().filter_map(|(key, ..)| {
        let (_, what) = KEYS.iter().find(|(name, _)| *name == key)?;
        let unused = match what {
            Fact(_) => None,
            Unused(why) => Some(*why),
        };
        Some(Said { key, unused })
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Severity;

    fn imported(text: &str) -> (Host, Diagnostics) {
        let mut diags = Diagnostics::new();
        let host = import(text, Host::default(), &|_| false, &mut diags);
        (host, diags)
    }

    #[test]
    fn settings_become_facts() {
        let (host, diags) = imported(
            "# comment\nvnc_listen = \"0.0.0.0\"\nvnc_tls=1 # on\nuser = '+0'\nseccomp_sandbox = -1\n\
             security_driver = [ \"selinux\", \"dac\" ]\nhugetlbfs_mount = \"/huge\"\n\
             cgroup_device_acl = [\n  \"/dev/null\", # one\n  \"/dev/kvm\",\n]\n\
             nvram = [ \"/a.fd:/b.fd\" ]\nmemory_backing_dir = \"/ram\"\nmax_core = \"unlimited\"\n\
             default_tls_x509_cert_dir = \"/pki\"\nnbd_tls_x509_cert_dir = \"/nbd\"\n\
             remote_display_port_min = 5950\nspice_password = \"\"\"a\nb\"\"\"\n",
        );
        assert!(diags.is_empty(), "{diags:?}");
        assert_eq!((host.vnc.listen.as_str(), host.vnc.tls, host.vnc.tls_dir.as_str()), ("0.0.0.0", true, "/pki"));
        assert_eq!(host.nbd.tls_dir, "/nbd");
        assert!(!host.vnc.tls_verify && host.chardev.tls_verify);
        assert_eq!(host.security.user.as_deref(), Some("+0"));
        assert_eq!(host.instance.security_driver, SecurityDriver::Selinux);
        assert_eq!(host.process.device_acl, ["/dev/null", "/dev/kvm"]);
        assert_eq!(host.hugepages[0].path, "/huge");
        assert_eq!(host.firmware.nvram_templates[0].vars, "/b.fd");
        assert_eq!(host.directories.memory_backing, "/ram/libvirt/qemu");
        assert_eq!((host.ports.vnc, host.ports.spice_tls), (5950, 5951));
        assert_eq!(host.spice.password.as_deref(), Some("a\nb"));
    }

    #[test]
    fn faults_are_reported_in_one_run() {
        let text = "vnc_tls = \"yes\"\nvnc_lisen = \"x\"\nlock_manager = \"lockd\"\nuser = \"root\nnonsense\n\
                    security_driver = [\"selinux\", \"selinux\"]\nallow_disk_format_probing = 1\ngroup = [ 1 ]\n";
        let (_, diags) = imported(text);
        let list: Vec<(Severity, &str)> =
            diags.sorted().iter().map(|d| (d.severity, &text[d.span.range()])).map(|(s, t)| (s, t.trim())).collect();
        use Severity::*;
        assert_eq!(
            list,
            [
                (Error, "\"yes\""),
                (Warning, "vnc_lisen"),
                (Note, "lock_manager"),
                (Error, "\""),
                (Error, "nonsense"),
                (Error, "[\"selinux\", \"selinux\"]"),
                (Error, "1"),
                (Error, "["),
            ]
        );
        let help = diags.sorted()[1].help.clone();
        assert_eq!(help.as_deref(), Some("did you mean 'vnc_listen'?"));
    }

    #[test]
    fn garbage_never_panics() {
        let text = "a = \"é\"\nuser = [ 'b', ] # c\nx = \"\"\"q\"\"\"\nmax_files = -5\n";
        for end in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
            imported(&text[..end]);
            for c in ["\"", "[", "]", "=", "#", "\0", "é", "-", "'", "\n"] {
                imported(&format!("{}{c}{}", &text[..end], &text[end..]));
            }
        }
    }
}
