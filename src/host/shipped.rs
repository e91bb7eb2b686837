//! What distributions ship: firmware, and host facts that follow from it.
//!
//! Each row is a descriptor that a package installs below `/usr/share/qemu/firmware`. Debian's and Ubuntu's are of `ovmf` and
//! `qemu-efi-aarch64`, Fedora's of `edk2-ovmf`, `edk2-aarch64` and `edk2-riscv64`, Arch's of `edk2-ovmf` and `edk2-aarch64`.

use super::{DescriptorFile, Host, Link, SecurityDriver, Swtpm, VhostUserHelper, VhostUserKind};
use crate::vocab::keywords;
use serde_json::{Value, json};

keywords! {
    /// A distribution whose firmware and helpers are known.
    pub enum Distribution {
        Debian13 = "debian-13",
        Fedora44 = "fedora-44",
        Ubuntu2604 = "ubuntu-26.04",
        Arch = "arch",
        Debian12 = "debian-12",
    }
}

/// A firmware in flash, with a template of its variables, or (`vars` is empty) in memory.
struct Row {
    /// Name of the descriptor, without `.json`: their order is that of preference.
    name: &'static str,
    code: &'static str,
    vars: &'static str,
    /// Architecture and patterns of machine types.
    target: (&'static str, &'static [&'static str]),
    features: &'static [&'static str],
}

const Q35: (&str, &[&str]) = ("x86_64", &["pc-q35-*"]);
const PC: (&str, &[&str]) = ("x86_64", &["pc-i440fx-*", "pc-q35-*"]);
const ARM: (&str, &[&str]) = ("aarch64", &["virt-*"]);
const RISCV: (&str, &[&str]) = ("riscv64", &["virt", "virt-*"]);

macro_rules! rows {
    ($($name:literal, $folder:literal, $code:literal, $vars:literal, $target:expr, [$($feature:literal),*];)*) => {
        &[$(Row {
            name: $name,
            code: concat!("/usr/share/", $folder, "/", $code),
            vars: concat!("/usr/share/", $folder, "/", $vars),
            target: $target,
            features: &[$($feature),*],
        }),*]
    };
}

/// Debian 13, and Ubuntu, which takes the package from Debian.
const DEBIAN: &[Row] = rows! {
    "40-edk2-aarch64-secure-enrolled", "AAVMF", "AAVMF_CODE.ms.fd", "AAVMF_VARS.ms.fd", ARM, ["enrolled-keys", "secure-boot", "verbose-static"];
    "40-edk2-x86_64-secure-enrolled", "OVMF", "OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd", Q35, ["acpi-s3", "amd-sev", "enrolled-keys", "requires-smm", "secure-boot", "verbose-dynamic"];
    "50-edk2-aarch64-secure", "AAVMF", "AAVMF_CODE.secboot.fd", "AAVMF_VARS.fd", ARM, ["secure-boot", "verbose-static"];
    "50-edk2-x86_64-secure", "OVMF", "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd", Q35, ["acpi-s3", "amd-sev", "requires-smm", "secure-boot", "verbose-dynamic"];
    "60-edk2-aarch64", "AAVMF", "AAVMF_CODE.no-secboot.fd", "AAVMF_VARS.fd", ARM, ["verbose-static"];
    "60-edk2-x86_64", "OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", PC, ["acpi-s3", "amd-sev", "verbose-dynamic"];
};

/// Debian 12, whose firmware for ARM has one code for all.
const DEBIAN_12: &[Row] = rows! {
    "40-edk2-aarch64-secure-enrolled", "AAVMF", "AAVMF_CODE.ms.fd", "AAVMF_VARS.ms.fd", ARM, ["enrolled-keys", "secure-boot", "verbose-static"];
    "40-edk2-x86_64-secure-enrolled", "OVMF", "OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd", Q35, ["acpi-s3", "amd-sev", "enrolled-keys", "requires-smm", "secure-boot", "verbose-dynamic"];
    "50-edk2-x86_64-secure", "OVMF", "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd", Q35, ["acpi-s3", "amd-sev", "requires-smm", "secure-boot", "verbose-dynamic"];
    "60-edk2-aarch64", "AAVMF", "AAVMF_CODE.fd", "AAVMF_VARS.fd", ARM, ["verbose-static"];
    "60-edk2-x86_64", "OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", PC, ["acpi-s3", "amd-sev", "verbose-dynamic"];
};

const FEDORA: &[Row] = rows! {
    "30-edk2-ovmf-4m-qcow2-x64-sb-enrolled", "edk2/ovmf", "OVMF_CODE_4M.secboot.qcow2", "OVMF_VARS_4M.secboot.qcow2", Q35, ["acpi-s3", "enrolled-keys", "requires-smm", "secure-boot", "verbose-dynamic"];
    "31-edk2-ovmf-2m-raw-x64-sb-enrolled", "edk2/ovmf", "OVMF_CODE.secboot.fd", "OVMF_VARS.secboot.fd", Q35, ["acpi-s3", "enrolled-keys", "requires-smm", "secure-boot", "verbose-dynamic"];
    "40-edk2-ovmf-4m-qcow2-x64-sb", "edk2/ovmf", "OVMF_CODE_4M.secboot.qcow2", "OVMF_VARS_4M.qcow2", Q35, ["acpi-s3", "requires-smm", "secure-boot", "verbose-dynamic"];
    "41-edk2-ovmf-2m-raw-x64-sb", "edk2/ovmf", "OVMF_CODE.secboot.fd", "OVMF_VARS.fd", Q35, ["acpi-s3", "requires-smm", "secure-boot", "verbose-dynamic"];
    "50-edk2-aarch64-qcow2", "edk2/aarch64", "QEMU_EFI-silent-pflash.qcow2", "vars-template-pflash.qcow2", ARM, [];
    "50-edk2-ovmf-4m-qcow2-x64-nosb", "edk2/ovmf", "OVMF_CODE_4M.qcow2", "OVMF_VARS_4M.qcow2", PC, ["acpi-s3", "amd-sev", "amd-sev-es", "verbose-dynamic"];
    "50-edk2-riscv-qcow2", "edk2/riscv", "RISCV_VIRT_CODE.qcow2", "RISCV_VIRT_VARS.qcow2", RISCV, [];
    "51-edk2-aarch64-raw", "edk2/aarch64", "QEMU_EFI-silent-pflash.raw", "vars-template-pflash.raw", ARM, [];
    "51-edk2-ovmf-2m-raw-x64-nosb", "edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd", PC, ["acpi-s3", "amd-sev", "amd-sev-es", "verbose-dynamic"];
    "52-edk2-aarch64-verbose-qcow2", "edk2/aarch64", "QEMU_EFI-pflash.qcow2", "vars-template-pflash.qcow2", ARM, ["verbose-static"];
    "53-edk2-aarch64-verbose-raw", "edk2/aarch64", "QEMU_EFI-pflash.raw", "vars-template-pflash.raw", ARM, ["verbose-static"];
};

const ARCH: &[Row] = rows! {
    "50-edk2-x86_64-secure-4m", "edk2/x64", "OVMF_CODE.secboot.4m.fd", "OVMF_VARS.4m.fd", Q35, ["acpi-s3", "requires-smm", "secure-boot", "verbose-dynamic"];
    "60-edk2-aarch64", "edk2/aarch64", "QEMU_CODE.fd", "QEMU_VARS.fd", ARM, ["verbose-static"];
    "60-edk2-x86_64-4m", "edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd", PC, ["acpi-s3", "amd-sev", "amd-sev-es", "verbose-dynamic"];
};

/// What lies in memory instead of flash: for confidential guests.
const FEDORA_STATELESS: &[(&str, &str, bool, &[&str])] = &[
    (
        "60-edk2-ovmf-x64-amdsev",
        "/usr/share/edk2/ovmf/OVMF.amdsev.fd",
        true,
        &["amd-sev", "amd-sev-es", "amd-sev-snp", "verbose-dynamic"],
    ),
    (
        "60-edk2-ovmf-x64-inteltdx",
        "/usr/share/edk2/ovmf/OVMF.inteltdx.secboot.fd",
        false,
        &["enrolled-keys", "intel-tdx", "secure-boot", "verbose-dynamic"],
    ),
];

/// Firmware that is a link to another: the keys are in the variables, the code is the same.
const DEBIAN_LINKS: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"),
    ("/usr/share/OVMF/OVMF_CODE_4M.snakeoil.fd", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"),
];
const DEBIAN_13_LINKS: &[(&str, &str)] = &[
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd"),
    ("/usr/share/AAVMF/AAVMF_CODE.ms.fd", "/usr/share/AAVMF/AAVMF_CODE.secboot.fd"),
    ("/usr/share/AAVMF/AAVMF_CODE.snakeoil.fd", "/usr/share/AAVMF/AAVMF_CODE.secboot.fd"),
];
const DEBIAN_12_LINKS: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE.ms.fd", "/usr/share/OVMF/OVMF_CODE.secboot.fd"),
    ("/usr/share/AAVMF/AAVMF_CODE.ms.fd", "/usr/share/AAVMF/AAVMF_CODE.fd"),
    ("/usr/share/AAVMF/AAVMF_CODE.snakeoil.fd", "/usr/share/AAVMF/AAVMF_CODE.fd"),
];

impl Distribution {
    fn rows(self) -> &'static [Row] {
        match self {
            Distribution::Debian13 | Distribution::Ubuntu2604 => DEBIAN,
            Distribution::Debian12 => DEBIAN_12,
            Distribution::Fedora44 => FEDORA,
            Distribution::Arch => ARCH,
        }
    }

    /// For a person: `Debian 13`.
    pub fn title(self) -> &'static str {
        match self {
            Distribution::Debian13 => "Debian 13",
            Distribution::Debian12 => "Debian 12",
            Distribution::Ubuntu2604 => "Ubuntu 26.04",
            Distribution::Fedora44 => "Fedora 44",
            Distribution::Arch => "Arch",
        }
    }

    /// The descriptors of the firmware that its packages install.
    pub fn descriptors(self) -> Vec<DescriptorFile> {
        let flash = self.rows().iter().map(|row| (row.name, row.descriptor()));
        let fedora = self == Distribution::Fedora44;
        let stateless = FEDORA_STATELESS.iter().filter(|_| fedora).map(|(name, file, flash, features)| {
            let mapping = match flash {
                true => {
                    json!({"device": "flash", "mode": "stateless", "executable": {"filename": file, "format": "raw"}})
                }
                false => json!({"device": "memory", "filename": file}),
            };
            (*name, descriptor(mapping, Q35, features))
        });
        flash
            .chain(stateless)
            .map(|(name, json)| DescriptorFile {
                path: format!("/usr/share/qemu/firmware/{name}.json"),
                text: json.to_string(),
            })
            .collect()
    }

    /// Whether its packages install this file as firmware, or as a template of variables.
    pub fn ships(self, path: &str) -> bool {
        self.rows().iter().any(|row| row.code == path || row.vars == path)
            || (self == Distribution::Fedora44 && FEDORA_STATELESS.iter().any(|row| row.1 == path))
    }

    /// The facts that hold on a host of this distribution.
    pub fn host(self) -> Host {
        let mut host = Host { open: true, ..Host::default() };
        host.firmware.shipped_by = Some(self);
        host.links = self.links();
        host.swtpm = Some(Swtpm { socket: None, tpm_versions: vec!["1.2".to_string(), "2.0".to_string()] });
        let virtiofsd = match self {
            Distribution::Debian12 => "/usr/lib/qemu/virtiofsd",
            Distribution::Arch => "/usr/lib/virtiofsd",
            _ => "/usr/libexec/virtiofsd",
        };
        host.vhost_user.helpers =
            vec![VhostUserHelper { path: virtiofsd.to_string(), kind: VhostUserKind::Fs, features: Vec::new() }];
        host.instance.security_driver = match self {
            Distribution::Fedora44 => SecurityDriver::Selinux,
            Distribution::Arch => SecurityDriver::None,
            _ => SecurityDriver::Apparmor,
        };
        host
    }

    /// Firmware that is a link.
    fn links(self) -> Vec<Link> {
        let own: [&[(&str, &str)]; 2] = match self {
            Distribution::Debian13 | Distribution::Ubuntu2604 => [DEBIAN_LINKS, DEBIAN_13_LINKS],
            Distribution::Debian12 => [DEBIAN_LINKS, DEBIAN_12_LINKS],
            Distribution::Fedora44 | Distribution::Arch => [&[], &[]],
        };
        own.concat().into_iter().map(|(path, to)| Link { path: path.to_string(), to: to.to_string() }).collect()
    }
}

impl Row {
    fn descriptor(&self) -> Value {
        let format = if self.code.ends_with(".qcow2") { "qcow2" } else { "raw" };
        let mapping = json!({
            "device": "flash",
            "mode": "split",
            "executable": {"filename": self.code, "format": format},
            "nvram-template": {"filename": self.vars, "format": format},
        });
        descriptor(mapping, self.target, self.features)
    }
}

/// A descriptor of UEFI in the form of QEMU's `docs/interop/firmware.json`.
fn descriptor(mapping: Value, (arch, machines): (&str, &[&str]), features: &[&str]) -> Value {
    json!({
        "interface-types": ["uefi"],
        "mapping": mapping,
        "targets": [{"architecture": arch, "machines": machines}],
        "features": features,
    })
}

impl Host {
    /// No facts at all: what a domain needs of the host is assumed, as distributions ship it.
    pub fn open() -> Host {
        Host { open: true, links: Distribution::Debian13.links(), ..Host::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_come_in_the_order_in_which_they_are_tried() {
        for one in Distribution::ALL {
            let all = one.descriptors();
            assert!(all.iter().all(|d| !d.text.is_empty()));
            let mut names: Vec<&str> = all.iter().map(|d| d.path.as_str()).collect();
            let before = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), before, "{one}");
        }
    }

    #[test]
    fn a_path_tells_whose_it_is() {
        let whose = |path: &str| Distribution::ALL.iter().find(|d| d.ships(path)).map(|d| d.as_str());
        assert_eq!(whose("/usr/share/OVMF/OVMF_CODE_4M.fd"), Some("debian-13"));
        assert_eq!(whose("/usr/share/edk2/ovmf/OVMF_VARS.fd"), Some("fedora-44"));
        assert_eq!(whose("/usr/share/edk2/x64/OVMF_CODE.4m.fd"), Some("arch"));
        assert_eq!(whose("/usr/share/edk2/ovmf/OVMF.amdsev.fd"), Some("fedora-44"));
        assert_eq!(whose("/srv/own.fd"), None);
    }
}
