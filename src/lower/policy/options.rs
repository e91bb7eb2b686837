//! What `<qemu:commandline>` hands through, and `<qemu:capabilities>` changes.

use crate::diag::codes::security as codes;
use crate::stage::Lower;
use crate::xml::Site;

/// Environment variables that make QEMU load other code, or that another part of virtc sets.
const LOADERS: &[&str] = &[
    "BASH_ENV",
    "CEPH_ARGS",
    "CEPH_CONF",
    "EGL_DRIVERS_PATH",
    "ENV",
    "GBM_BACKENDS_PATH",
    "GBM_BACKEND",
    "GCONV_PATH",
    "GDK_PIXBUF_MODULE_FILE",
    "GIO_EXTRA_MODULES",
    "GIO_MODULE_DIR",
    "GLIBC_TUNABLES",
    "GSS_MECH_CONFIG",
    "GST_PLUGIN_PATH",
    "GTK_EXE_PREFIX",
    "GTK_MODULES",
    "GTK_PATH",
    "JACK_DRIVER_DIR",
    "KRB5_CONFIG",
    "LADSPA_PATH",
    "LIBGL_DRIVERS_DIR",
    "LIBGL_DRIVERS_PATH",
    "LIBVA_DRIVERS_PATH",
    "LOCPATH",
    "OCL_ICD_VENDORS",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PATH",
    "PERL5LIB",
    "PIPEWIRE_CONFIG_DIR",
    "PIPEWIRE_CONFIG_NAME",
    "PIPEWIRE_MODULE_DIR",
    "PKCS11_MODULE_PATH",
    "PULSE_CLIENTCONFIG",
    "PULSE_DLPATH",
    "PYTHONPATH",
    "QEMU_MODULE_DIR",
    "SASL_CONF_PATH",
    "SASL_PATH",
    "SDL3_DYNAMIC_API",
    "SDL_DYNAMIC_API",
    "SSL_ENGINES",
    "VDPAU_DRIVER_PATH",
    "__EGL_EXTERNAL_PLATFORM_CONFIG_DIRS",
    "__EGL_EXTERNAL_PLATFORM_CONFIG_FILENAMES",
    "__EGL_VENDOR_LIBRARY_DIRS",
    "__EGL_VENDOR_LIBRARY_FILENAMES",
    "__GLX_VENDOR_LIBRARY_NAME",
];

/// Beginnings of such names: the loader of libraries, and configurations that name libraries of plug-ins.
const LOADER_FRONTS: &[&str] = &["LD_", "ALSA_CONFIG", "ALSA_PLUGIN", "GTK_IM_MODULE", "P11_KIT_", "SPA_", "VK_"];

/// What systemd tells a service about itself: QEMU is to hear it from systemd alone.
const OF_THE_UNIT: &[&str] = &[
    "CREDENTIALS_DIRECTORY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "MAINPID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// What would take the confinement apart, or break the unit.
pub fn check(lx: &mut Lower<'_>) {
    let mut faults: Vec<(Site, String)> = Vec::new();
    for env in &lx.domain.qemu.env {
        let name = env.name.as_str();
        let fits = !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let value = env.value.as_deref().unwrap_or("");
        if !fits {
            faults.push((env.site, format!("'{name}' is no name of an environment variable")));
        } else if LOADERS.contains(&name) || LOADER_FRONTS.iter().any(|front| name.starts_with(front)) {
            faults.push((env.site, format!("the environment variable '{name}' makes QEMU load other code")));
        } else if OF_THE_UNIT.contains(&name) {
            faults.push((env.site, format!("the environment variable '{name}' is systemd's to set")));
        } else if starts_program(value) {
            faults.push((
                env.site,
                format!("the environment variable '{name}' names a bus that is reached by starting a program"),
            ));
        } else if value.chars().any(|c| c.is_control()) {
            faults
                .push((env.site, format!("the value of the environment variable '{name}' holds a control character")));
        }
    }
    let args = &lx.domain.qemu.args;
    for (i, arg) in args.iter().enumerate() {
        // The last switch has no value.
        let next = args.get(i + 1).map_or("", |a| a.value.as_str());
        // QEMU takes two hyphens for one.
        let switch = arg.value.strip_prefix('-').filter(|s| s.starts_with('-')).unwrap_or(&arg.value);
        let Some(why) = refused(switch, next) else { continue };
        faults.push((arg.site, format!("'{}' may not be handed through to QEMU: {why}", arg.value)));
    }
    // What only says how a thing is written down takes nothing away from the machine.
    let spelling = |capability: &str| capability == "usb-host.hostdevice";
    for edit in lx.domain.qemu.capabilities.iter().filter(|e| !e.add && !spelling(&e.capability)) {
        // What virtc says about a QEMU that cannot do something is not made for a QEMU that can.
        let message = format!("the capability '{}' may not be taken away", edit.capability);
        lx.error(&codes::FORBIDDEN_OPTION, edit.site, message)
            .help("leave it out, or describe the QEMU with --caps; --target libvirt shows what libvirt does");
    }
    for (site, message) in faults {
        lx.error(&codes::FORBIDDEN_OPTION, site, message)
            .help("leave it out; --target libvirt shows what libvirt does");
    }
}

/// Why a switch with this value is not handed through to QEMU.
pub fn refused(switch: &str, value: &str) -> Option<&'static str> {
    Some(match switch {
        "-sandbox" => "the sandbox is virtc's to set",
        "-daemonize" | "-pidfile" => "the unit looks after the process",
        "-chroot" | "-runas" | "-run-with" => "the unit sets the account and the root folder",
        // The address of a migration is a URI, or JSON in newer versions.
        "-incoming" if value.starts_with("exec:") || value.trim_start().starts_with('{') && value.contains("exec") => {
            "it runs a command"
        }
        "-readconfig" | "-plugin" => "it brings in what virtc cannot see",
        "-netdev" | "-net" | "-nic" if runs_command(value) => "it runs a command",
        "-display" if starts_program(value) => "it runs a command",
        // Programs in the guest ask for files and commands of the host.
        "-semihosting" => "the guest would open files of the host",
        "-semihosting-config" if !value.split(',').any(|part| matches!(part, "enable=off" | "off" | "target=gdb")) => {
            "the guest would open files of the host"
        }
        _ => return None,
    })
}

/// Whether the address of a message bus is one at which a program is started.
fn starts_program(value: &str) -> bool {
    ["unixexec:", "autolaunch:", "launchd:"].iter().any(|way| value.contains(way))
}

/// Whether a network back end of the user's own has a command of the XML run for what the guest sends (`guestfwd=…-cmd:…`).
/// Programs that it names are judged like all others.
fn runs_command(backend: &str) -> bool {
    backend.contains("guestfwd") && backend.contains("-cmd:")
}

/// The programs that network back ends of the user's own run: what `script=`, `downscript=` and `helper=` name, and `path=` of passt.
pub fn programs(lx: &Lower<'_>) -> Vec<(Site, String)> {
    let args = &lx.domain.qemu.args;
    let backends = args.iter().zip(args.iter().skip(1)).filter(|(switch, _)| {
        let name = switch.value.trim_start_matches('-');
        switch.value.starts_with('-') && matches!(name, "netdev" | "net" | "nic")
    });
    let named = |value: &str| -> Vec<String> {
        if value.trim_start().starts_with('{') {
            // QEMU itself refuses what is no JSON.
            let Ok(json) = serde_json::from_str::<serde_json::Value>(value) else { return Vec::new() };
            let text = |key: &&str| json.get(*key).and_then(|v| v.as_str()).map(str::to_string);
            let is_passt = json.get("type").and_then(|kind| kind.as_str()) == Some("passt");
            return RUN.iter().chain(is_passt.then_some(&"path")).filter_map(text).collect();
        }
        let is_passt = value.starts_with("passt,");
        let runs = |key: &str| RUN.contains(&key) || (is_passt && key == "path");
        let pair = |part: &str| part.split_once('=').filter(|(key, _)| runs(key)).map(|(_, v)| v.to_string());
        value.split(',').filter_map(pair).collect()
    };
    let found = backends.flat_map(|(_, value)| named(&value.value).into_iter().map(|path| (value.site, path)));
    found.filter(|(_, path)| !path.is_empty() && path != "no").collect()
}

/// Properties of network back ends that name a program.
const RUN: &[&str] = &["script", "downscript", "helper"];
