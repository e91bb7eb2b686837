//! Programs that the XML names: they run on the host, so that the host says which.
//!
//! A domain may name a program of the host's packages, which lies below `/usr` where only root installs any, and is made for
//! the part that it plays; or one that the host facts name (`security { allow-program … }`, the helpers, the QEMU that the
//! capabilities were asked from). Whoever starts the machine looks at owner and mode once more.

use super::Lower;
use super::places::{is_below, plain};
use crate::diag::codes::security as codes;
use crate::host::Host;
use crate::vocab::file_name;
use crate::xml::Site;

/// Where only root installs programs: `/usr`, and what is a link into it; and where NixOS has them.
const INSTALLED: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/run/current-system/sw/bin",
    "/run/libvirt/nix-emulators",
];

/// What is in the name of an emulator.
const EMULATOR: &[&str] = &["qemu", "kvm"];

/// A program that the XML names.
struct Named {
    site: Site,
    /// What it is in the format: "the emulator".
    what: &'static str,
    path: String,
    /// One of these words is in the name of every program that plays the part.
    words: &'static [&'static str],
}

/// Checks every program that the domain names.
pub fn check(lx: &mut Lower<'_>) {
    let faults: Vec<(Site, String, String)> = named(lx)
        .into_iter()
        .filter(|program| !is_of_host(&program.path, lx))
        .filter_map(|program| {
            let why = refused(&program)?;
            let message = format!("{} '{}' is not run for a guest: {why}", program.what, program.path.escape_debug());
            Some((program.site, message, program.path))
        })
        .collect();
    for (site, message, path) in faults {
        let plain = path.starts_with('/') && !path.contains(['"', '\\']) && !path.chars().any(char::is_control);
        let allow = if plain { path.as_str() } else { "/…" };
        lx.error(&codes::PROGRAM, site, message).help(format!(
            "name the one that the host's packages have installed, or allow it in the host facts: security {{ allow-program \"{allow}\"; }}"
        ));
    }
}

/// The programs that the domain names itself.
fn named(lx: &Lower<'_>) -> Vec<Named> {
    let mut found = Vec::new();
    // Of an element, the format has told when its path is not absolute.
    let absolute = |path: &String| path.starts_with('/');
    if let Some(path) = lx.devices.emulator.clone().filter(absolute) {
        found.push(Named { site: lx.devices.site, what: "the emulator", path, words: EMULATOR });
    }
    for fs in &lx.devices.filesystems {
        let binary = fs.binary.as_ref().and_then(|b| Some((b.site, b.path.clone().filter(absolute)?)));
        if let Some((site, path)) = binary {
            found.push(Named { site, what: "filesystem: the program", path, words: &["virtiofsd"] });
        }
    }
    let handed = super::options::programs(lx).into_iter();
    found.extend(handed.map(|(site, path)| Named { site, what: "qemu:commandline: the program", path, words: &[] }));
    found
}

/// Whether the host facts or the capabilities name the program.
fn is_of_host(path: &str, lx: &Lower<'_>) -> bool {
    is_simple(path) && lx.env.caps.emulator == *path || is_of_facts(path, lx.env.host)
}

fn is_simple(path: &str) -> bool {
    plain(path) == path && !path.split('/').any(|part| part == "..")
}

/// Whether the host facts name the program.
fn is_of_facts(path: &str, host: &Host) -> bool {
    is_simple(path)
        && (host.vhost_user.helpers.iter().any(|h| h.path == path)
            || host.process.helpers.iter().any(|(_, p)| p == path)
            || host.security.allow_programs.iter().any(|allowed| is_below(path, allowed)))
}

/// Why the emulator that a domain names is not run on this host, not even to ask what it can do; none if it may be.
pub fn refused_emulator(path: &str, host: &Host) -> Option<String> {
    if is_of_facts(path, host) {
        return None;
    }
    refused(&Named { site: Site::NONE, what: "the emulator", path: path.to_string(), words: EMULATOR })
}

/// Why a program that the host does not name is refused; none if it is one of its packages.
fn refused(program: &Named) -> Option<String> {
    let path = program.path.as_str();
    if !path.starts_with('/') {
        return Some("its path is not absolute".to_string());
    }
    if path.chars().any(char::is_control) {
        return Some("its path holds a control character".to_string());
    }
    if path.split('/').any(|part| part == "..") {
        return Some("its path holds '..', and could lead anywhere".to_string());
    }
    let path = plain(path);
    if !INSTALLED.iter().any(|place| path != *place && is_below(&path, place)) {
        return Some("it is not below /usr, where only root installs programs".to_string());
    }
    let name = file_name(&path);
    let fits = program.words.is_empty() || program.words.iter().any(|word| name.contains(word));
    (!fits).then(|| {
        format!("it is another program by its name: that of such a one holds '{}'", program.words.join("' or '"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(path: &str, words: &'static [&'static str]) -> Option<String> {
        refused(&Named { site: Site::default(), what: "the emulator", path: path.to_string(), words })
    }

    #[test]
    fn programs_of_packages_run() {
        let qemu: &[&str] = &["qemu", "kvm"];
        for path in [
            "/usr/bin/qemu-system-x86_64",
            "/usr/libexec/qemu-kvm",
            "/bin/kvm",
            "/usr/local/bin/qemu-system-arm",
            "/run/libvirt/nix-emulators/qemu-system-x86_64",
        ] {
            assert_eq!(why(path, qemu), None, "{path}");
        }
        for path in ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/lib64/virtiofsd"] {
            assert_eq!(why(path, &["virtiofsd"]), None, "{path}");
        }
    }

    #[test]
    fn a_name_alone_is_no_reason_to_run_a_program() {
        let qemu: &[&str] = &["qemu", "kvm"];
        for path in [
            "/home/alice/qemu-system-x86_64",
            "/srv/x/qemu-kvm",
            "/usr/../srv/qemu",
            "/usr/bin/../../tmp/qemu",
            "/usrlocal/qemu",
            "/usr",
            "/usr/bin/sh",
            "qemu-system-x86_64",
            "/dev/shm/kvm",
            "/usr/bin/qemu\n",
            "/opt/qemu/bin/qemu-system-x86_64",
            "",
        ] {
            assert!(why(path, qemu).is_some(), "{path}");
        }
        assert!(why("/bin/sh", &["virtiofsd"]).is_some());
    }
}
