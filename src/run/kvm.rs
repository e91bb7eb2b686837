//! Whether KVM works here, asked of the kernel and not of a file's existence.

use super::errors::{Fault, WithHelp, fault};
use crate::diag::codes::run as codes;
use kvm_ioctls::{Cap, Kvm};

/// The version of the interface that every KVM since Linux 2.6.22 has.
const API: i32 = 12;

/// Opens KVM, makes a machine and a virtual CPU, and asks for what QEMU cannot do without.
///
/// This finds a module that is missing, not permitted or disabled by the firmware. It cannot find a KVM that refuses
/// one register or instruction of a certain CPU model: QEMU finds that when it runs, and then virtc
/// explains its message.
pub(super) fn check() -> Result<(), Fault> {
    let broken = |what: String| {
        let others = match modules() {
            names if names.is_empty() => "no KVM module is loaded".to_string(),
            names => format!("loaded: {}", names.join(", ")),
        };
        fault(&codes::NO_KVM, format!("the domain's type is kvm, but {what} ({others})"))
    };
    let emulate = "to emulate instead: <domain type='qemu'>";
    let kvm = Kvm::new().map_err(|e| {
        let error = std::io::Error::from_raw_os_error(e.errno());
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!(
                    "load the module (modprobe kvm_intel or kvm_amd; is virtualisation on in the firmware?); {emulate}"
                )
            }
            std::io::ErrorKind::PermissionDenied => {
                format!("join the group of /dev/kvm (usermod -aG kvm USER, then log in again); {emulate}")
            }
            _ => emulate.to_string(),
        };
        broken(format!("/dev/kvm cannot be opened: {error}")).with_help(help)
    })?;
    let version = kvm.get_api_version();
    if version != API {
        return Err(broken(format!("/dev/kvm speaks version {version}, not {API}")).with_help(emulate));
    }
    if !kvm.check_extension(Cap::UserMemory) {
        return Err(broken("/dev/kvm takes no memory of user space".to_string()).with_help(emulate));
    }
    let failed = |what: &str, e: kvm_ioctls::Error| {
        broken(format!("/dev/kvm opens and yet {what}: {}", std::io::Error::from_raw_os_error(e.errno())))
            .with_help(format!("another hypervisor may hold the processor, or this host is itself a guest; {emulate}"))
    };
    let vm = kvm.create_vm().map_err(|e| failed("creates no machine", e))?;
    vm.create_vcpu(0).map_err(|e| failed("creates no virtual CPU", e))?;
    Ok(())
}

/// The KVM modules that are loaded, apart from the common part.
pub(super) fn modules() -> Vec<String> {
    let Ok(dir) = std::fs::read_dir("/sys/module") else { return Vec::new() };
    let mut names: Vec<String> =
        dir.filter_map(|e| e.ok()?.file_name().into_string().ok()).filter(|name| name.starts_with("kvm")).collect();
    names.sort();
    names
}
