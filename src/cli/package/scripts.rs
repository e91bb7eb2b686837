//! The scripts of a Debian package, as debhelper would write them for units.
//!
//! `deb-systemd-helper` keeps what the administrator has chosen: a unit that it has never seen is enabled, one that was disabled
//! stays so. What an upgrade drops is known by what dpkg has of the version before: it is stopped and forgotten while its files
//! are still there.

use super::control::SharedFile;
use crate::cli::deploy::live::TRIGGER;
use crate::emit::Artifact;
use crate::run::remote::quoted;

/// What the scripts of a package do with machines.
pub struct Choices {
    /// Restart them at an upgrade.
    pub restart: bool,
    /// Start them at the first installation.
    pub start: bool,
}

/// Quoted words.
fn words<'a>(all: impl IntoIterator<Item = &'a String>) -> String {
    all.into_iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// The head of every script. `$DPKG_ROOT` is set where another root than this one is filled; nothing runs there.
const HEAD: &str = "\
#!/bin/sh
set -e
root=${DPKG_ROOT:-}
booted() { [ -z \"$root\" ] && [ -d /run/systemd/system ]; }
helper() { if command -v deb-systemd-helper >/dev/null; then deb-systemd-helper \"$@\" >/dev/null || true; fi; }
";

fn script(name: &str, body: &str) -> Artifact {
    let networks = if body.contains("gone ") || body.contains("empty_bridges") { GONE } else { "" };
    Artifact { mode: 0o755, ..Artifact::new(name, format!("{HEAD}{networks}{body}exit 0\n")) }
}

/// What a package is made of, as far as scripts concern it.
pub struct Parts<'a> {
    /// Its files.
    pub files: &'a [Artifact],
    /// Its units that are enabled.
    pub units: &'a [String],
    /// Its services: machines and their helpers.
    pub services: &'a [String],
    /// Files that other packages may have, too.
    pub shared: &'a [SharedFile],
    /// Profiles, by their places and their copies below `/usr`.
    pub profiles: &'a [(String, String)],
    /// The machines.
    pub machines: &'a [Machine],
    /// The SELinux contexts of its machines, by the folders of the machines.
    pub contexts: &'a [(String, String)],
}

/// A machine, as far as scripts concern it.
pub struct Machine {
    /// Its folder below `usr/share/virtc`.
    pub folder: String,
    /// Its UUID: under one name it tells one machine from another.
    pub uuid: String,
    /// Its services, and those of its helpers.
    pub services: Vec<String>,
}

/// All scripts.
pub fn all(parts: &Parts<'_>, choices: &Choices) -> Vec<Artifact> {
    vec![
        script("preinst", &preinst(parts)),
        script("postinst", &postinst(parts, choices)),
        script("prerm", &prerm(parts)),
        script("postrm", &postrm(parts)),
    ]
}

/// Refuses a machine whose label another one of the host has: it would have the files of that one, too.
fn same_label(parts: &Parts<'_>) -> String {
    let mut out = String::new();
    let own: String = parts.contexts.iter().map(|(folder, _)| format!(" {}", quoted(folder))).collect();
    for (folder, context) in parts.contexts {
        let (folder, context) = (quoted(folder), quoted(context));
        out += &format!("same_label {folder} {context}{own}\n");
    }
    if out.is_empty() { out } else { format!("{SAME_LABEL}{out}") }
}

/// The machine, its context, and all machines of the package.
const SAME_LABEL: &str = "\
same_label() {
    new=$1 context=$2
    shift 2
    for labels in \"$root\"/usr/share/virtc/*/selinux/labels; do
        [ -e \"$labels\" ] || continue
        there=${labels%/selinux/labels}
        there=${there##*/}
        for own in \"$@\"; do if [ \"$own\" = \"$there\" ]; then continue 2; fi; done
        # What the version before has of this package leaves: it may be the same machine under another name.
        if [ \"$(cat \"$root/usr/share/virtc/$there/owner\" 2>/dev/null)\" = \"package $DPKG_MAINTSCRIPT_PACKAGE\" ]; then continue; fi
        if grep -Fq -- \"$(printf '%s\\t-\\t(the processes)' \"$context\")\" \"$labels\"; then
            echo \"$new has the SELinux label of $there, which is on this host: build the two together\" >&2
            exit 1
        fi
    done
}
";

/// Before the files of an upgrade: what the version before has and this one has not is stopped and forgotten. So is a machine whose
/// name is another's now: its disks may be, too.
fn preinst(parts: &Parts<'_>) -> String {
    let kept = words(parts.services);
    let labels = same_label(parts);
    let replaced: String = parts
        .machines
        .iter()
        .filter(|m| !m.services.is_empty())
        .map(|m| {
            let (manifest, uuid) = (quoted(&format!("usr/share/virtc/{}/manifest.json", m.folder)), quoted(&m.uuid));
            format!(
                "    if another {manifest} {uuid} && booted; then deb-systemd-invoke stop {} >/dev/null || true; fi\n",
                words(&m.services)
            )
        })
        .collect();
    let networks = words(parts.shared.iter().map(|f| &f.name));
    format!(
        "\
another() {{ [ -e \"$root/$1\" ] && ! grep -qF \"\\\"uuid\\\": \\\"$2\\\"\" \"$root/$1\"; }}
{labels}if [ \"$1\" = upgrade ]; then
    dpkg-query -L \"$DPKG_MAINTSCRIPT_PACKAGE\" 2>/dev/null |
    sed -n 's#^/usr/lib/systemd/system/\\(virtc-[^/]*\\.service\\)$#\\1#p' |
    while IFS= read -r unit; do
        for kept in {kept}; do if [ \"$kept\" = \"$unit\" ]; then continue 2; fi; done
        if booted; then deb-systemd-invoke stop \"$unit\" >/dev/null || true; fi
        helper purge \"$unit\"
    done
{replaced}{NETWORKS_OF_BEFORE}        for kept in {networks}; do if [ \"$kept\" = \"$name\" ]; then continue 2; fi; done
        gone \"$name\"
    done
fi
"
    )
}

/// The networks that the version before has, to the loop over which those of this one are taken from. What its machines and those of
/// other packages share lies in a folder of each, and in its place.
const NETWORKS_OF_BEFORE: &str = "    dpkg-query -L \"$DPKG_MAINTSCRIPT_PACKAGE\" 2>/dev/null |
    sed -n \"s#^/usr/lib/virtc/$DPKG_MAINTSCRIPT_PACKAGE/\\([^/]*\\)\\$#\\1#p\" |
    while IFS= read -r name; do
";

/// Takes a file of a network out of its place, if no other package has it. What it was for is stopped, and the bridge goes when the
/// last guest has left it.
const GONE: &str = "\
bridges=/run/virtc-bridges-$DPKG_MAINTSCRIPT_PACKAGE
gone() {
    for other in \"$root\"/usr/lib/virtc/*/\"$1\"; do
        if [ -e \"$other\" ] && [ \"$other\" != \"$root/usr/lib/virtc/$DPKG_MAINTSCRIPT_PACKAGE/$1\" ]; then
            case $other in \"$root\"/usr/lib/virtc/networks/*) ;; *) return 0 ;; esac
        fi
    done
    case $1 in
    virtc-net-*.service)
        if booted; then deb-systemd-invoke stop \"$1\" >/dev/null || true; fi
        rm -f \"$root/usr/lib/systemd/system/$1\" ;;
    50-virtc-*)
        if booted; then sed -n 's/^Name=//p' \"$root/usr/lib/systemd/network/$1\" 2>/dev/null >>\"$bridges\" || true; fi
        rm -f \"$root/usr/lib/systemd/network/$1\" ;;
    *.nft) rm -f \"$root/usr/lib/virtc/networks/$1\"; rmdir \"$root/usr/lib/virtc/networks\" 2>/dev/null || true ;;
    esac
}
empty_bridges() {
    [ -e \"$bridges\" ] || return 0
    sort -u \"$bridges\" | while IFS= read -r bridge; do
        if [ -z \"$(ls -A \"/sys/class/net/$bridge/brif\" 2>/dev/null)\" ]; then ip link delete dev \"$bridge\" type bridge 2>/dev/null || true; fi
    done
    rm -f \"$bridges\"
}
";

fn postinst(parts: &Parts<'_>, choices: &Choices) -> String {
    let has = |folder: &str| parts.files.iter().any(|f| f.path.starts_with(folder));
    let mut out = String::from("if [ \"$1\" = configure ] || [ \"$1\" = abort-upgrade ]; then\n");
    out += OBSOLETE;
    // dpkg takes one that an earlier version dropped, and this one has again, for deleted by the administrator.
    for (place, copy) in parts.profiles {
        let (place, copy) = (quoted(place), quoted(copy));
        out += &format!("    [ -e \"$root\"/{place} ] || install -D -m 0644 \"$root\"/{copy} \"$root\"/{place}\n");
    }
    for SharedFile { place, copy, .. } in parts.shared {
        let (place, copy) = (quoted(place), quoted(copy));
        out += &format!("    install -D -m 0644 \"$root\"/{copy} \"$root\"/{place}\n");
    }
    if has("usr/lib/sysusers.d/") {
        out += "    if command -v systemd-sysusers >/dev/null; then systemd-sysusers ${root:+--root=\"$root\"}; fi\n";
    }
    if has("usr/lib/udev/rules.d/") {
        let trigger = TRIGGER.join(" ");
        out += &format!("    if booted; then udevadm control --reload || true; udevadm {trigger} || true; fi\n");
    } else {
        // The version before may have had some.
        out += "    if [ -n \"$2\" ] && booted; then udevadm control --reload || true; fi\n";
    }
    if parts.shared.iter().any(|f| f.place.starts_with("usr/lib/systemd/network/")) {
        out += "    if booted; then networkctl reload 2>/dev/null || true; fi\n";
    }
    if !parts.units.is_empty() {
        let units = words(parts.units);
        out += &format!(
            "    for unit in {units}; do
        helper unmask \"$unit\"
        if ! command -v deb-systemd-helper >/dev/null || deb-systemd-helper --quiet was-enabled \"$unit\"; then
            helper enable \"$unit\"
        else
            helper update-state \"$unit\"
        fi
    done\n"
        );
    }
    out += "    if booted; then systemctl --system daemon-reload >/dev/null || true; fi\n";
    let machines = words(parts.units);
    if choices.restart && !parts.units.is_empty() {
        // A disk may have gone from one to another: nothing starts before everything has stopped.
        let all = words(parts.services);
        out += &format!(
            "    if [ -n \"$2\" ] && booted; then
        deb-systemd-invoke stop {all} >/dev/null || true
        deb-systemd-invoke start {machines} >/dev/null || true
    fi\n"
        );
    }
    if choices.start && !parts.units.is_empty() {
        out += &format!(
            "    if [ -z \"$2\" ] && booted; then deb-systemd-invoke start {machines} >/dev/null || true; fi\n"
        );
    }
    out += "    if booted; then empty_bridges; fi\nfi\n";
    out
}

/// dpkg leaves configuration files that a version has no more. Profiles of machines that left, which nobody has changed, go: each
/// before the list of its files (`.files`), which the parser reads with it, and which dpkg may name first.
const OBSOLETE: &str = "    if [ -n \"$2\" ]; then
        dpkg-query -W -f='${Conffiles}\\n' \"$DPKG_MAINTSCRIPT_PACKAGE\" 2>/dev/null |
        sed -n 's# \\(/etc/apparmor\\.d/libvirt/.*\\) \\([0-9a-f]*\\) obsolete$#\\2 \\1#p' | sort -k 2 |
        while read -r sum path; do
            [ -e \"$root$path\" ] || continue
            if booted && [ \"${path%.files}\" = \"$path\" ] && command -v apparmor_parser >/dev/null; then
                apparmor_parser --remove \"$path\" 2>/dev/null || true
            fi
            if [ \"$(md5sum <\"$root$path\")\" = \"$sum  -\" ]; then rm -f \"$root$path\"; else mv -f \"$root$path\" \"$root$path.dpkg-bak\"; fi
        done
    fi
";

fn prerm(parts: &Parts<'_>) -> String {
    let mut out = String::from("if [ \"$1\" = remove ]; then\n");
    if !parts.services.is_empty() {
        let units = words(parts.services);
        out += &format!("    if booted; then deb-systemd-invoke stop {units} >/dev/null || true; fi\n");
    }
    out += UNLOAD;
    for name in parts.shared.iter().map(|f| &f.name) {
        out += &format!("    gone {}\n", quoted(name));
    }
    if !parts.shared.is_empty() {
        out += "    if booted; then networkctl reload 2>/dev/null || true; empty_bridges; fi\n";
    }
    out + "fi\n"
}

/// Profiles are taken out of the kernel while their texts are there.
const UNLOAD: &str = "    if booted && command -v apparmor_parser >/dev/null; then
        dpkg-query -L \"$DPKG_MAINTSCRIPT_PACKAGE\" | sed -n '/^\\/etc\\/apparmor\\.d\\/libvirt\\/.*[^s]$/p' |
        while IFS= read -r path; do
            case $path in *.files) ;; *) apparmor_parser --remove \"$path\" 2>/dev/null || true ;; esac
        done
    fi
";

fn postrm(parts: &Parts<'_>) -> String {
    let mut out = String::from("if [ \"$1\" = remove ] || [ \"$1\" = purge ]; then\n");
    if !parts.units.is_empty() {
        let units = words(parts.units);
        out += &format!("    for unit in {units}; do helper purge \"$unit\"; helper unmask \"$unit\"; done\n");
    }
    out += "    if booted; then systemctl --system daemon-reload >/dev/null || true; fi\n";
    if parts.files.iter().any(|f| f.path.starts_with("usr/lib/udev/rules.d/")) {
        out += "    if booted; then udevadm control --reload || true; fi\n";
    }
    out += "fi\n";
    out
}
