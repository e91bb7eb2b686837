//! What machines need, in the names of Fedora's packages. Its QEMU comes in parts: devices, displays, sound and remote disks each have
//! a package. Source: Fedora's qemu.spec, edk2.spec.

use crate::cli::helper;
use crate::cli::package::control::is_target;
use crate::emit::Artifact;
use crate::emit::argv::tokens;
use crate::plan::{Plan, Role};
use std::collections::BTreeMap;

/// A package that is needed, and since which version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Require {
    /// Its name.
    pub name: String,
    /// `EPOCH:VERSION`; empty for any.
    pub version: String,
}

impl Require {
    /// In any version.
    pub fn any(name: &str) -> Require {
        Require { name: name.to_string(), version: String::new() }
    }

    /// Greater or equal, where there is a version.
    pub fn flags(&self) -> u32 {
        if self.version.is_empty() { 0 } else { 0b1100 }
    }
}

/// The epoch of Fedora's QEMU.
const EPOCH: u32 = 2;

/// The package of an emulator.
fn of_emulator(program: &str) -> Option<String> {
    let target = match program.rsplit('/').next()? {
        "qemu-kvm" | "kvm" => "x86",
        name => match name.strip_prefix("qemu-system-")? {
            "x86_64" | "i386" => "x86",
            "ppc64" => "ppc",
            "riscv32" | "riscv64" => "riscv",
            "mips64" | "mips64el" | "mipsel" => "mips",
            "sparc64" => "sparc",
            other => other,
        },
    };
    let plain = target.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    plain.then(|| format!("qemu-system-{target}-core"))
}

/// Packages of programs that are none of QEMU's emulators.
const PROGRAMS: &[(&str, &str)] = &[
    ("swtpm", "swtpm"),
    ("virtiofsd", "virtiofsd"),
    ("passt", "passt"),
    ("qemu-img", "qemu-img"),
    ("qemu-pr-helper", "qemu-pr-helper"),
    ("vhost-user-gpu", "qemu-device-display-vhost-user-gpu"),
    ("dbus-daemon", "dbus-daemon"),
];

/// Folders of firmware.
const FILES: &[(&str, &str)] = &[
    ("/usr/share/OVMF/", "edk2-ovmf"),
    ("/usr/share/edk2/ovmf/", "edk2-ovmf"),
    ("/usr/share/edk2/ovmf-4m/", "edk2-ovmf"),
    ("/usr/share/AAVMF/", "edk2-aarch64"),
    ("/usr/share/edk2/aarch64/", "edk2-aarch64"),
    ("/usr/share/edk2/riscv/", "edk2-riscv64"),
    ("/usr/share/seabios/", "seabios-bin"),
];

/// What stands in the arguments of QEMU, and the package of that part. A driver is a whole word.
const PARTS: &[(&str, &[&str])] = &[
    ("qxl", &["qemu-device-display-qxl"]),
    ("qxl-vga", &["qemu-device-display-qxl"]),
    ("virtio-gpu-device", &["qemu-device-display-virtio-gpu"]),
    ("virtio-gpu-pci", &["qemu-device-display-virtio-gpu", "qemu-device-display-virtio-gpu-pci"]),
    ("virtio-gpu-gl-pci", &["qemu-device-display-virtio-gpu-gl", "qemu-device-display-virtio-gpu-pci-gl"]),
    ("virtio-gpu-ccw", &["qemu-device-display-virtio-gpu-ccw"]),
    ("virtio-vga", &["qemu-device-display-virtio-vga"]),
    ("virtio-vga-gl", &["qemu-device-display-virtio-vga-gl"]),
    ("vhost-user-gpu-pci", &["qemu-device-display-vhost-user-gpu"]),
    ("vhost-user-vga", &["qemu-device-display-vhost-user-gpu"]),
    ("usb-host", &["qemu-device-usb-host"]),
    ("usb-redir", &["qemu-device-usb-redirect"]),
    ("ccid-card-passthru", &["qemu-device-usb-smartcard"]),
    ("ccid-card-emulated", &["qemu-device-usb-smartcard"]),
    ("rbd", &["qemu-block-rbd"]),
    ("iscsi", &["qemu-block-iscsi"]),
    ("nfs", &["qemu-block-nfs"]),
    ("ssh", &["qemu-block-ssh"]),
    ("gluster", &["qemu-block-gluster"]),
    ("http", &["qemu-block-curl"]),
    ("https", &["qemu-block-curl"]),
    ("ftp", &["qemu-block-curl"]),
    ("ftps", &["qemu-block-curl"]),
    ("dmg", &["qemu-block-dmg"]),
    ("spicevmc", &["qemu-char-spice"]),
    ("spiceport", &["qemu-char-spice"]),
    ("braille", &["qemu-char-baum"]),
];

/// Kinds of sound, each with a package of its own: `-audiodev`.
const SOUNDS: &[&str] = &["alsa", "dbus", "jack", "oss", "pa", "pipewire", "sdl", "spice"];

/// Displays: `-display`.
const DISPLAYS: &[&str] = &["curses", "dbus", "egl-headless", "gtk", "sdl", "spice-app"];

/// The packages that machines need.
pub fn of(plans: &[&Plan], files: &[Artifact]) -> Vec<Require> {
    let mut all: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut need = |name: &str, version: Vec<u32>| {
        let since = all.entry(name.to_string()).or_default();
        *since = version.max(std::mem::take(since));
    };
    for plan in plans {
        // What lies elsewhere was put there by somebody else.
        let packaged = ["/usr/bin/", "/usr/lib", "/usr/sbin/"];
        for process in plan.processes.iter().filter(|p| packaged.iter().any(|folder| p.program.starts_with(folder))) {
            let name = process.program.rsplit('/').next().unwrap_or_default();
            if let Some(package) = of_emulator(&process.program) {
                need(&package, version(&plan.qemu.version));
            }
            PROGRAMS.iter().filter(|(program, _)| *program == name).for_each(|(_, package)| need(package, Vec::new()));
            if process.role == Role::Qemu {
                parts(&tokens(process)).iter().for_each(|package| need(package, Vec::new()));
            }
        }
        let touched =
            plan.access.iter().map(|a| a.path.as_str()).chain(plan.files.iter().filter_map(|f| f.template.as_deref()));
        for path in touched {
            FILES.iter().filter(|(folder, _)| path.starts_with(folder)).for_each(|(_, p)| need(p, Vec::new()));
        }
        if !plan.links.is_empty() || !plan.bridges.is_empty() {
            need("iproute", Vec::new());
        }
        if plan.bridges.iter().any(|bridge| bridge.dhcp.is_some()) {
            need("systemd-networkd", Vec::new());
        }
    }
    let calls = |word: &str| files.iter().any(|f| f.contents.contains(word));
    for (word, package) in [
        ("/usr/sbin/nft", "nftables"),
        ("/usr/bin/setfacl", "acl"),
        ("=/usr/sbin/sysctl", "procps-ng"),
        ("=/usr/bin/qemu-img", "qemu-img"),
    ] {
        if calls(word) {
            need(package, Vec::new());
        }
    }
    if files.iter().any(|f| helper::is_called(&f.contents)) || files.iter().any(is_target) {
        need(helper::PACKAGE, Vec::new());
    }
    let since = |version: &[u32]| {
        let version: Vec<String> = version.iter().map(u32::to_string).collect();
        if version.is_empty() { String::new() } else { format!("{EPOCH}:{}", version.join(".")) }
    };
    all.into_iter().map(|(name, version)| Require { version: since(&version), name }).collect()
}

/// Major and minor number; nothing of a version that is none.
fn version(text: &str) -> Vec<u32> {
    let numbers: Option<Vec<u32>> = text.split('.').take(2).map(|part| part.parse().ok()).collect();
    numbers.filter(|numbers| numbers.len() == 2).unwrap_or_default()
}

/// The packages of the parts of QEMU that a command line uses.
fn parts(words: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for pair in words.windows(2) {
        let [switch, value] = pair else { continue };
        let first = value.split(',').next().unwrap_or_default();
        match switch.as_str() {
            "-spice" => out.extend(["qemu-ui-opengl", "qemu-ui-spice-core"].map(String::from)),
            "-display" => out.extend(DISPLAYS.iter().filter(|d| **d == first).map(|d| format!("qemu-ui-{d}"))),
            "-audiodev" => {
                let kind = |sound: &&&str| first == **sound || value.contains(&format!("\"driver\":\"{sound}\""));
                out.extend(SOUNDS.iter().filter(kind).map(|sound| format!("qemu-audio-{sound}")));
            }
            "-device" | "-blockdev" | "-drive" | "-chardev" => {
                let is = |word: &str| {
                    first == word
                        || value.contains(&format!("\"driver\":\"{word}\""))
                        || value.split(',').any(|p| p == format!("driver={word}") || p == format!("file.driver={word}"))
                };
                out.extend(
                    PARTS.iter().filter(|(word, _)| is(word)).flat_map(|(_, p)| p.iter().map(|p| p.to_string())),
                );
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulators() {
        for (program, package) in [
            ("/usr/bin/qemu-system-x86_64", Some("qemu-system-x86-core")),
            ("/usr/libexec/qemu-kvm", Some("qemu-system-x86-core")),
            ("/usr/bin/qemu-system-aarch64", Some("qemu-system-aarch64-core")),
            ("/usr/bin/qemu-system-riscv64", Some("qemu-system-riscv-core")),
            ("/usr/bin/qemu-system-x;rm", None),
            ("/usr/bin/swtpm", None),
        ] {
            assert_eq!(of_emulator(program).as_deref(), package, "{program}");
        }
    }

    #[test]
    fn parts_of_qemu() {
        let words = |all: &[&str]| all.iter().map(|w| w.to_string()).collect::<Vec<_>>();
        let found = |all: &[&str]| parts(&words(all)).join(" ");
        assert_eq!(
            found(&["-device", "{\"driver\":\"virtio-vga\",\"id\":\"video0\"}"]),
            "qemu-device-display-virtio-vga"
        );
        assert_eq!(found(&["-device", "virtio-vga-gl,id=video0"]), "qemu-device-display-virtio-vga-gl");
        assert_eq!(found(&["-spice", "port=5900"]), "qemu-ui-opengl qemu-ui-spice-core");
        assert_eq!(found(&["-audiodev", "{\"id\":\"audio1\",\"driver\":\"pa\"}"]), "qemu-audio-pa");
        assert_eq!(found(&["-chardev", "spicevmc,id=c,name=vdagent"]), "qemu-char-spice");
        assert_eq!(found(&["-blockdev", "{\"driver\":\"rbd\",\"pool\":\"p\"}"]), "qemu-block-rbd");
        assert_eq!(found(&["-append", "virtio-vga", "-name", "guest=qxl"]), "");
        assert_eq!(version("10.0.2"), [10, 0]);
        assert!(version("ten").is_empty());
    }
}
