//! The scripts of a package of rpm. They know what is on the host by the machines themselves (`usr/share/virtc/NAME/owner` and
//! `files`), because a script may not ask rpm while it works.
//!
//! An upgrade runs: what is before the new files; the new files; what is behind them; the old files go; what is behind that, of the old
//! package. So what leaves is stopped before the new files, while its own are there.

use crate::cli::deploy::changes;
use crate::cli::deploy::live::TRIGGER;
use crate::emit::Artifact;
use crate::emit::manifest::SHARE;
use crate::fleet::inventory::Present;
use crate::run::remote::quoted;

/// When a script runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Before the files of the package are there.
    Before,
    /// When they are there.
    Behind,
    /// Before they go.
    BeforeRemoval,
    /// When they have gone.
    BehindRemoval,
}

impl When {
    /// The tag of the script.
    pub fn tag(self) -> u32 {
        match self {
            When::Before => 1023,
            When::Behind => 1024,
            When::BeforeRemoval => 1025,
            When::BehindRemoval => 1026,
        }
    }

    /// The tag of the program that runs it.
    pub fn program_tag(self) -> u32 {
        self.tag() + 62
    }

    /// The bit of a dependency that this script has.
    pub fn sense(self) -> u32 {
        1 << (self.tag() - 1023 + 9)
    }
}

/// What the scripts do with machines.
pub struct Choices {
    /// Restart them at an upgrade.
    pub restart: bool,
    /// Start them at the first installation.
    pub start: bool,
}

/// What a package is made of, as far as scripts concern it.
pub struct Parts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its files.
    pub files: &'a [Artifact],
    /// Its units that are enabled.
    pub units: &'a [String],
    /// Its services: machines and their helpers.
    pub services: &'a [String],
    /// Its machines.
    pub machines: &'a [Present],
}

/// All scripts.
pub fn all(parts: &Parts<'_>, choices: &Choices) -> Vec<(When, String)> {
    let head = format!("name={}\n{HEAD}", quoted(parts.name));
    let script = |body: String| format!("{head}{body}exit 0\n");
    vec![
        (When::Before, script(before(parts))),
        (When::Behind, script(behind(parts, choices))),
        (When::BeforeRemoval, script(before_removal(parts))),
        (When::BehindRemoval, script(behind_removal())),
    ]
}

fn words<'a>(all: impl IntoIterator<Item = &'a String>) -> String {
    all.into_iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// What all scripts know. `leave` takes a line of the list of a machine's files: what is not kept is stopped and forgotten.
const HEAD: &str = "\
state=/var/lib/virtc/packages/$name
bridges=/run/virtc-bridges-$name
booted() { [ -d /run/systemd/system ]; }
own() {
    for owner in /usr/share/virtc/*/owner; do
        if [ \"$(cat \"$owner\" 2>/dev/null)\" = \"package $name\" ]; then cat \"${owner%/owner}/files\" 2>/dev/null; fi
    done | sort -u
}
of_others() {
    for list in /usr/share/virtc/*/files; do
        if grep -qxF \"$1\" \"$list\" 2>/dev/null && [ \"$(cat \"${list%/files}/owner\" 2>/dev/null)\" != \"package $name\" ]; then return 0; fi
    done
    return 1
}
stop() {
    case $1 in usr/lib/systemd/system/virtc-*.service) ;; *) return 0 ;; esac
    if of_others \"$1\"; then return 0; fi
    if booted; then systemctl stop \"${1##*/}\" >/dev/null 2>&1; fi
    systemctl --no-reload disable \"${1##*/}\" >/dev/null 2>&1
    if [ -e \"$state\" ]; then grep -vxF \"${1##*/}\" \"$state\" >\"$state.new\"; mv -f \"$state.new\" \"$state\"; fi
}
leave() {
    if of_others \"$1\"; then return 0; fi
    case $1 in
    usr/lib/systemd/network/50-virtc-*.netdev) if booted; then sed -n 's/^Name=//p' \"/$1\" >>\"$bridges\" 2>/dev/null; fi ;;
    etc/apparmor.d/libvirt/*.files) ;;
    etc/apparmor.d/libvirt/libvirt-*) if booted && command -v apparmor_parser >/dev/null; then apparmor_parser --remove \"/$1\" 2>/dev/null; fi ;;
    usr/share/virtc/*/selinux/*.cil)
        module=${1##*/}
        if command -v semodule >/dev/null; then semodule --remove \"${module%.cil}\" 2>/dev/null; fi ;;
    esac
}
empty_bridges() {
    if [ ! -e \"$bridges\" ]; then return 0; fi
    networkctl reload 2>/dev/null
    sort -u \"$bridges\" | while IFS= read -r bridge; do
        if [ -z \"$(ls -A \"/sys/class/net/$bridge/brif\" 2>/dev/null)\" ]; then ip link delete dev \"$bridge\" type bridge 2>/dev/null; fi
    done
    rm -f \"$bridges\"
}
";

/// Whether a file of a machine is something that a host has been told of.
fn counts(path: &str) -> bool {
    (path.starts_with("usr/lib/systemd/") && (path.ends_with(".service") || path.ends_with(".netdev")))
        || path.starts_with("etc/apparmor.d/libvirt/")
        || path.ends_with(".cil")
}

fn before(parts: &Parts<'_>) -> String {
    let kept: Vec<&String> = parts.files.iter().map(|f| &f.path).filter(|path| counts(path)).collect();
    let replaced: String = (parts.machines.iter())
        .filter_map(|m| {
            let manifest = quoted(&format!("/{SHARE}/{}/manifest.json", m.folder));
            let uuid = quoted(&format!("\"uuid\": \"{}\"", m.uuid()?));
            let units = words(&changes::units(m));
            Some(format!(
                "    if booted && [ -e {manifest} ] && ! grep -qF {uuid} {manifest}; then systemctl stop {units} >/dev/null 2>&1; fi\n"
            ))
        })
        .collect();
    let pass = |what: &str| {
        format!(
            "    own | while IFS= read -r path; do
        for kept in {}; do if [ \"$kept\" = \"$path\" ]; then continue 2; fi; done
        {what} \"$path\"
    done\n",
            words(kept.iter().copied())
        )
    };
    format!("if [ \"$1\" -ge 2 ]; then\n{}{replaced}{}fi\n", pass("stop"), pass("leave"))
}

fn behind(parts: &Parts<'_>, choices: &Choices) -> String {
    let has = |folder: &str| parts.files.iter().any(|f| f.path.starts_with(folder));
    let mut out = String::new();
    if has("usr/lib/sysusers.d/") {
        out += "if command -v systemd-sysusers >/dev/null; then systemd-sysusers; fi\n";
    }
    let modules: Vec<String> =
        parts.files.iter().filter(|f| f.path.ends_with(".cil")).map(|f| format!("/{}", f.path)).collect();
    if !modules.is_empty() {
        // Folders that tmpfiles.d makes for machines have labels of machines.
        out += &format!(
            "if command -v selinuxenabled >/dev/null && selinuxenabled; then
    semodule --install {}
    setsebool -P systemd_tmpfiles_manage_all on 2>/dev/null
fi\n",
            words(&modules)
        );
    }
    out += "if booted; then udevadm control --reload; fi\n";
    if has("usr/lib/udev/rules.d/") {
        out += &format!("if booted; then udevadm {}; fi\n", TRIGGER.join(" "));
    }
    if has("usr/lib/systemd/network/") {
        out += "if booted; then networkctl reload 2>/dev/null; fi\n";
    }
    let (units, services) = (words(parts.units), words(parts.services));
    // One that an administrator has disabled stays so: only what was not there before is asked about.
    out += &format!(
        "mkdir -p \"${{state%/*}}\"
touch \"$state\"
for unit in {units}; do
    if ! grep -qxF \"$unit\" \"$state\"; then systemctl --no-reload preset \"$unit\" >/dev/null 2>&1; fi
done
for unit in {units}; do printf '%s\\n' \"$unit\"; done >\"$state\"
if booted; then systemctl daemon-reload; fi\n"
    );
    if choices.restart && !parts.units.is_empty() {
        // A disk may have gone from one to another: nothing starts before everything has stopped.
        out += &format!(
            "if [ \"$1\" -ge 2 ] && booted; then
    systemctl stop {services}
    systemctl start {units}
fi\n"
        );
    }
    if choices.start && !parts.units.is_empty() {
        out += &format!("if [ \"$1\" = 1 ] && booted; then systemctl start {units}; fi\n");
    }
    out
}

fn before_removal(parts: &Parts<'_>) -> String {
    let mut out = String::from("if [ \"$1\" = 0 ]; then\n");
    for what in ["stop", "leave"] {
        out += &format!("    own | while IFS= read -r path; do {what} \"$path\"; done\n");
    }
    if parts.machines.is_empty() {
        out += &format!(
            "    for unit in {}; do systemctl --no-reload disable \"$unit\" >/dev/null 2>&1; done\n",
            words(parts.units)
        );
    }
    out + "fi\n"
}

fn behind_removal() -> String {
    "if booted; then systemctl daemon-reload; udevadm control --reload; empty_bridges; fi
if [ \"$1\" = 0 ]; then
    rm -f \"$state\"
    rmdir /var/lib/virtc/packages /var/lib/virtc 2>/dev/null
fi\n"
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_rpm() {
        let all = [When::Before, When::Behind, When::BeforeRemoval, When::BehindRemoval];
        assert_eq!(all.map(When::program_tag), [1085, 1086, 1087, 1088]);
        assert_eq!(all.map(When::sense), [1 << 9, 1 << 10, 1 << 11, 1 << 12]);
    }
}
