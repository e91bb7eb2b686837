//! What stands in the control file of a Debian package: above all, which packages bring what the machines need.

use crate::cli::helper;
use crate::emit::Artifact;
use crate::emit::systemd::TARGET;
use crate::plan::Plan;
use crate::run::debian_package;
use std::collections::BTreeSet;

/// A file that several packages have, such as a network that their machines are in: Debian lets only one package have a file.
pub struct SharedFile {
    /// Where it has to be.
    pub place: String,
    /// This package's own copy.
    pub copy: String,
    /// Its name: that of the copies of other packages.
    pub name: String,
}

/// Moves what is not a machine's alone to where no other package has a file. The scripts put it in place, and away with the last
/// package.
pub fn set_apart(package: &str, files: &mut [Artifact]) -> Vec<SharedFile> {
    let mut shared = Vec::new();
    for file in files.iter_mut().filter(|f| is_shared(&f.path)) {
        let name = file.path.rsplit('/').next().unwrap_or_default().to_string();
        let copy = format!("usr/lib/virtc/{package}/{name}");
        let place = std::mem::replace(&mut file.path, copy.clone());
        shared.push(SharedFile { place, copy, name });
    }
    shared
}

/// Whether machines of other trees have the same file: networks.
fn is_shared(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    path.starts_with("usr/lib/systemd/network/50-virtc-")
        || path.starts_with("usr/lib/virtc/networks/")
        || (path.starts_with("usr/lib/systemd/system/") && name.starts_with("virtc-net-"))
}

/// Whether a file is the target of all machines, which the common package has.
pub fn is_target(file: &Artifact) -> bool {
    file.path.starts_with("usr/lib/systemd/") && file.path.rsplit('/').next() == Some(TARGET)
}

/// The units that are to be enabled: those that say where they are wanted.
pub fn units(files: &[Artifact]) -> Vec<String> {
    services(files)
        .into_iter()
        .filter(|unit| {
            let path = format!("usr/lib/systemd/system/{unit}");
            files.iter().any(|f| f.path == path && f.contents.contains("\n[Install]\n"))
        })
        .collect()
}

/// All services of machines and of their helpers.
pub fn services(files: &[Artifact]) -> Vec<String> {
    (files.iter())
        .filter_map(|f| f.path.strip_prefix("usr/lib/systemd/system/"))
        // Nothing that a program could take for an option.
        .filter(|unit| unit.starts_with("virtc-") && unit.ends_with(".service") && !unit.starts_with("virtc-net-"))
        .map(str::to_string)
        .collect()
}

/// Whether a word is the name of a package: a plan says what it likes, and this goes into a control file.
fn is_package(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.');
    name.len() > 1 && name.bytes().all(fits) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Folders of files that a package brings, and the package.
const FILES: &[(&str, &str)] = &[
    ("/usr/share/OVMF/", "ovmf"),
    ("/usr/share/ovmf/", "ovmf"),
    ("/usr/share/AAVMF/", "qemu-efi-aarch64"),
    ("/usr/share/qemu-efi-aarch64/", "qemu-efi-aarch64"),
    ("/usr/share/qemu-efi-riscv64/", "qemu-efi-riscv64"),
    ("/usr/share/seabios/", "seabios"),
];

/// The packages that the machines need: `Depends`, in Debian's words.
pub fn depends(plans: &[Plan], files: &[Artifact]) -> Vec<String> {
    let mut emulators: BTreeSet<String> = BTreeSet::new();
    let mut others: BTreeSet<String> = BTreeSet::new();
    for plan in plans {
        let run = plan.processes.iter().map(|p| p.program.as_str());
        for program in run.chain(plan.setups.iter().map(|s| s.program.as_str())) {
            let package = debian_package(program);
            let known = program.starts_with("/usr/bin/") || program.starts_with("/usr/lib");
            if !known || !is_package(&package) {
                continue;
            }
            match package.starts_with("qemu-system-") && package != "qemu-system-common" {
                true => drop(emulators.insert(format!("{package}{}", since(&plan.qemu.version)))),
                false => drop(others.insert(package)),
            }
        }
        let touched =
            plan.access.iter().map(|a| a.path.as_str()).chain(plan.files.iter().filter_map(|f| f.template.as_deref()));
        let touched: Vec<&str> = touched.collect();
        let brought = FILES.iter().filter(|(folder, _)| touched.iter().any(|path| path.starts_with(folder)));
        others.extend(brought.map(|(_, package)| package.to_string()));
        if !plan.links.is_empty() || !plan.bridges.is_empty() {
            others.insert("iproute2".to_string());
        }
    }
    let calls = |word: &str| files.iter().any(|f| f.contents.contains(word));
    for (word, package) in [
        ("/usr/sbin/nft", "nftables"),
        ("/usr/bin/setfacl", "acl"),
        ("=/usr/sbin/sysctl", "procps"),
        ("=/usr/bin/qemu-img", "qemu-utils"),
    ] {
        if calls(word) {
            others.insert(package.to_string());
        }
    }
    if files.iter().any(|f| helper::is_called(&f.contents)) || files.iter().any(is_target) {
        others.insert(helper::PACKAGE.to_string());
    }
    newest_only(&mut emulators);
    emulators.into_iter().chain(others).collect()
}

/// ` (>= 1:10.0)`: the arguments are those of this QEMU. A version that is none binds nothing.
fn since(version: &str) -> String {
    let mut parts = version.split('.');
    let number = |part: Option<&str>| {
        part.filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit())).map(str::to_string)
    };
    match (number(parts.next()), number(parts.next())) {
        (Some(major), Some(minor)) => format!(" (>= 1:{major}.{minor})"),
        _ => String::new(),
    }
}

/// Of several versions of one package the newest binds.
fn newest_only(all: &mut BTreeSet<String>) {
    let key = |text: &str| -> (String, Vec<u32>) {
        let (name, version) = text.split_once(" (>= 1:").unwrap_or((text, ""));
        (name.to_string(), version.trim_end_matches(')').split('.').filter_map(|p| p.parse().ok()).collect())
    };
    let every: Vec<(String, Vec<u32>)> = all.iter().map(|text| key(text)).collect();
    all.retain(|text| {
        let (name, version) = key(text);
        !every.iter().any(|(other, newer)| *other == name && *newer > version)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_binds() {
        let mut all = BTreeSet::from(
            ["qemu-system-x86 (>= 1:7.2)", "qemu-system-x86 (>= 1:10.0)", "qemu-system-arm (>= 1:9.2)"]
                .map(str::to_string),
        );
        newest_only(&mut all);
        assert_eq!(Vec::from_iter(all), ["qemu-system-arm (>= 1:9.2)", "qemu-system-x86 (>= 1:10.0)"]);
        assert_eq!(since("10.0.13"), " (>= 1:10.0)");
        assert_eq!(since("ten) | evil"), "");
    }

    #[test]
    fn names_of_packages() {
        assert!(is_package("qemu-system-x86") && is_package("libc6"));
        assert!(!is_package("x") && !is_package("a, evil") && !is_package("-a"));
    }
}
