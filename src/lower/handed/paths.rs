//! Files in arguments that are handed through: one table of QEMU's options that hold paths (QEMU 10.0, `qemu-options.hx`,
//! `qapi/*.json`, properties of its devices). Device nodes are left out: they are the host facts' to grant
//! (`device-acl`), because nobody says what a guest wants with one.

use super::{Options, WHAT};
use crate::plan::{PathKind, Use};
use crate::stage::{Grant, Lower};
use crate::vocab::before;
use crate::vocab::nodes::is_node;
use crate::xml::Site;

/// Where the path stands in the value of a switch.
#[derive(Clone, Copy)]
enum At {
    /// The value is the path.
    Whole,
    /// The value of this key; with a kind (the first word, `driver`, `qom-type`) only in values of that kind.
    Key(&'static str, &'static str),
    /// Behind this word and a colon: `file:/var/log/x`.
    Behind(&'static str),
}

/// Switches, where the path stands, what for, and how it is granted.
const TABLE: &[(&[&str], At, Use, Grant)] = &[
    (&["kernel", "initrd", "dtb"], At::Whole, Use::Boot, Grant::BOOT_FILE),
    (&["bios"], At::Whole, Use::Firmware, Grant::LOADER),
    (&["hda", "hdb", "hdc", "hdd", "sd", "mtdblock", "fda", "fdb", "pflash"], At::Whole, Use::Disk, Grant::IMAGE),
    (&["cdrom"], At::Whole, Use::Disk, Grant::READ_ONLY_IMAGE),
    (&["drive"], At::Key("", "file"), Use::Disk, Grant::IMAGE),
    (&["blockdev"], At::Key("file", "filename"), Use::Disk, Grant::IMAGE),
    (&["blockdev"], At::Key("", "file.filename"), Use::Disk, Grant::IMAGE),
    (&["fw_cfg"], At::Key("", "file"), Use::FirmwareConfiguration, Grant::BOOT_FILE),
    (&["acpitable"], At::Key("", "file"), Use::AcpiTable, Grant::BOOT_FILE),
    (&["acpitable"], At::Key("", "data"), Use::AcpiTable, Grant::BOOT_FILE),
    (&["smbios"], At::Key("", "file"), Use::FirmwareConfiguration, Grant::BOOT_FILE),
    (&["device"], At::Key("", "romfile"), Use::OptionRom, Grant::ROM),
    (&["object"], At::Key("memory-backend-file", "mem-path"), Use::Memory, Grant::MEMORY_FILE),
    (&["object"], At::Key("secret", "file"), Use::Credentials, Grant::BOOT_FILE),
    (&["object"], At::Key("tls-creds-x509", "dir"), Use::Credentials, Grant::CERTIFICATES),
    (&["object"], At::Key("tls-creds-psk", "dir"), Use::Credentials, Grant::CERTIFICATES),
    (&["object"], At::Key("filter-dump", "file"), Use::Log, Grant::CHARDEV_FILE),
    (&["fsdev", "virtfs"], At::Key("local", "path"), Use::Share, Grant::SHARE),
    (&["chardev"], At::Key("file", "path"), Use::CharacterDevice, Grant::CHARDEV_FILE),
    (&["chardev"], At::Key("pipe", "path"), Use::CharacterDevice, Grant::CHARDEV_PIPE),
    (&["chardev"], At::Key("socket", "path"), Use::CharacterDevice, Grant::PEER_SOCKET),
    (&["chardev"], At::Key("", "logfile"), Use::Log, Grant::OWN_LOG),
    (
        &["serial", "parallel", "monitor", "qmp", "debugcon"],
        At::Behind("file"),
        Use::CharacterDevice,
        Grant::CHARDEV_FILE,
    ),
    (
        &["serial", "parallel", "monitor", "qmp", "debugcon"],
        At::Behind("pipe"),
        Use::CharacterDevice,
        Grant::CHARDEV_PIPE,
    ),
    (
        &["serial", "parallel", "monitor", "qmp", "debugcon"],
        At::Behind("unix"),
        Use::CharacterDevice,
        Grant::PEER_SOCKET,
    ),
    (&["audiodev"], At::Key("wav", "path"), Use::Audio, Grant::CHARDEV_FILE),
    (&["D"], At::Whole, Use::Log, Grant::OWN_LOG),
];

/// Options whose value is a path only if it begins with `/`, and the keys that say that nothing is written.
const READ_ONLY: &[&str] = &["readonly", "read-only", "read_only"];

/// Adds the files of one switch to the access closure.
pub(super) fn touch(switch: &str, value: &Options<'_>, site: Site, lx: &mut Lower<'_>) {
    for (path, usage, grant) in found(switch, value) {
        lx.touch(&path, grant, usage, site, WHAT);
    }
}

/// The files of one switch.
fn found(switch: &str, value: &Options<'_>) -> Vec<(String, Use, Grant)> {
    // A relative path is one of a folder that a unit does not have; `nbd:…` is no path.
    let is_file = |path: &str| path.starts_with('/') && !is_node(path);
    let all = named(switch, value).filter(|(path, ..)| is_file(path));
    all.map(|(path, usage, grant)| (path.to_string(), usage, narrowed(grant, value))).collect()
}

/// What the rows of the table find.
fn named<'v>(switch: &'v str, value: &'v Options<'_>) -> impl Iterator<Item = (&'v str, Use, &'static Grant)> {
    let rows = TABLE.iter().filter(move |(switches, ..)| switches.contains(&switch));
    rows.filter_map(move |(_, at, usage, grant)| {
        let path = match at {
            At::Whole => value.kind(),
            At::Key(kind, key) if kind.is_empty() || value.kind() == *kind => value.get(key)?,
            At::Key(..) => return None,
            At::Behind(word) => {
                value.kind().strip_prefix("mon:").unwrap_or(value.kind()).strip_prefix(word)?.strip_prefix(':')?
            }
        };
        Some((path, *usage, grant))
    })
}

/// The files that the value of a switch names relative to the folder in which QEMU is started. What QEMU looks up among its own
/// files, and what is no file (`nbd:…`), is not among them.
pub fn relative(switch: &str, value: &str) -> Vec<String> {
    let options = Options::of(value);
    let found = named(switch, &options).filter(|(path, usage, _)| {
        let own = matches!(usage, Use::OptionRom | Use::Firmware) && !path.contains('/');
        let scheme = before(path, '/').contains(':');
        !path.is_empty() && !path.starts_with('/') && !own && !scheme && *path != "none"
    });
    found.map(|(path, ..)| path.to_string()).collect()
}

/// A grant for what is only read, where the options say so; a socket that QEMU itself listens on.
fn narrowed(grant: &Grant, value: &Options<'_>) -> Grant {
    let reads = READ_ONLY.iter().any(|key| value.is_on(key)) || value.get("media") == Some("cdrom");
    match grant.kind {
        PathKind::Socket if value.is_on("server") => Grant::LISTEN_SOCKET,
        PathKind::Tree if reads => Grant::READ_ONLY_SHARE,
        PathKind::File if reads && grant.perms.write => Grant::READ_ONLY_IMAGE,
        _ => grant.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_arguments() {
        let of = |switch: &str, value: &str| {
            let all = found(switch, &Options::of(value)).into_iter();
            Vec::from_iter(all.map(|(path, _, grant)| format!("{path} {}", if grant.perms.write { "rw" } else { "r" })))
        };
        assert_eq!(of("fw_cfg", "name=opt/x,file=/srv/x"), ["/srv/x r"]);
        assert_eq!(of("fw_cfg", "name=opt/x,string=/srv/x"), [""; 0]);
        assert_eq!(of("kernel", "/srv/a,,b"), ["/srv/a,b r"]);
        assert_eq!(of("drive", "if=virtio,file=/srv/a.img"), ["/srv/a.img rw"]);
        assert_eq!(of("drive", "file=/srv/a.iso,media=cdrom"), ["/srv/a.iso r"]);
        assert_eq!(of("drive", "file=nbd:unix:/run/x"), [""; 0]);
        assert_eq!(of("drive", "file=/dev/sdb"), [""; 0]);
        assert_eq!(of("blockdev", r#"{"driver":"file","filename":"/srv/a","read-only":true}"#), ["/srv/a r"]);
        assert_eq!(of("blockdev", "driver=qcow2,file.driver=file,file.filename=/srv/a"), ["/srv/a rw"]);
        assert_eq!(of("object", "memory-backend-file,id=a,mem-path=/dev/shm/lg,size=1M"), ["/dev/shm/lg rw"]);
        assert_eq!(of("object", r#"{"qom-type":"secret","file":"/srv/key"}"#), ["/srv/key r"]);
        assert_eq!(of("object", "rng-random,filename=/dev/hwrng"), [""; 0]);
        assert_eq!(of("virtfs", "local,path=/srv/x,mount_tag=x,readonly=on"), ["/srv/x r"]);
        assert_eq!(of("chardev", "socket,id=a,path=/run/x.sock,server=on"), ["/run/x.sock rw"]);
        assert_eq!(of("serial", "file:/srv/x.log"), ["/srv/x.log rw"]);
        assert_eq!(of("device", "e1000,romfile=/srv/rom"), ["/srv/rom r"]);
        assert_eq!(of("append", "/srv/x"), [""; 0]);
    }

    #[test]
    fn relative_files_of_arguments() {
        assert_eq!(relative("drive", "file=./a.img,if=none"), ["./a.img"]);
        assert_eq!(relative("debugcon", "file:x.log"), ["x.log"]);
        assert_eq!(relative("D", "x.log"), ["x.log"]);
        for (switch, value) in
            [("drive", "file=/a"), ("drive", "file=nbd:h:1"), ("device", "e1000,romfile=x.rom"), ("drive", "if=none")]
        {
            assert!(relative(switch, value).is_empty(), "{switch} {value}");
        }
    }
}
