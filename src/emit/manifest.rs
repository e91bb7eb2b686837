//! `usr/share/virtc/NAME/manifest.json`: what a machine consists of, and what it was made from. By it `virtc build` takes
//! away what its inputs no longer make, and `virtc deploy` and `virtc package` know that a tree is virtc's, whole and
//! unchanged.

use super::artifact::{Artifact, Extras};
use super::names::Names;
use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// Name of the file in the folder of a machine.
pub const FILE: &str = "manifest.json";

/// Stands at the top of a tree that has no machine any more, so that it can be told from a folder that is none. It never reaches
/// a host.
pub const EMPTY: &str = "no-machines";

/// The folder in which each machine has one of its own.
pub const SHARE: &str = "usr/share/virtc";

/// What a machine consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version of the manifest.
    pub version: u32,
    /// Name of the domain.
    pub name: String,
    /// UUID of the domain.
    pub uuid: String,
    /// The domain XML that it was made from.
    pub source: Source,
    /// Version of the virtc that made it.
    pub virtc: String,
    /// Version of the QEMU that it was made for.
    pub qemu: String,
    /// Every file by its path below the root, but this one.
    pub files: BTreeMap<String, Entry>,
}

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name, as the user wrote it.
    pub file: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// A file that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// Permission bits, octal.
    pub mode: String,
}

impl Entry {
    /// That of a file of a tree.
    pub fn of(artifact: &Artifact) -> Entry {
        Entry { sha256: sha256(artifact.contents.as_bytes()), mode: format!("{:04o}", artifact.mode) }
    }
}

impl Manifest {
    /// The format version that this virtc writes and reads.
    pub const VERSION: u32 = 1;

    /// Reads one; the fault says what is wrong with it, for a person.
    pub fn read(text: &[u8]) -> Result<Manifest, String> {
        let manifest: Manifest = serde_json::from_slice(text).map_err(|e| format!("it is no manifest: {e}"))?;
        if manifest.version != Manifest::VERSION {
            let (has, reads) = (manifest.version, Manifest::VERSION);
            return Err(format!("it is a manifest of version {has}, and this virtc reads version {reads}"));
        }
        match manifest.files.keys().find(|path| !is_place(path)) {
            Some(path) => Err(format!("it lists {path:?}, and virtc writes nothing there")),
            None => Ok(manifest),
        }
    }
}

/// The manifest of a tree that is complete but for it.
pub(super) fn emit(plan: &Plan, names: &Names, extras: &Extras<'_>, tree: &[Artifact]) -> Artifact {
    let path = names.share(FILE);
    let files = tree.iter().filter(|a| a.path != path && is_place(&a.path));
    let manifest = Manifest {
        version: Manifest::VERSION,
        name: plan.name.clone(),
        uuid: plan.uuid.clone(),
        source: Source { file: extras.inputs.first().cloned().unwrap_or_default(), sha256: sha256(extras.source) },
        virtc: env!("CARGO_PKG_VERSION").to_string(),
        qemu: plan.qemu.version.clone(),
        files: files.map(|a| (a.path.clone(), Entry::of(a))).collect(),
    };
    // Text and maps of text only: it always is JSON.
    let mut text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    text.push('\n');
    Artifact::new(path, text)
}

/// The file of a tree whose last machine has left, with the folders from which its machines were made.
pub fn empty<'a>(folders: impl IntoIterator<Item = &'a String>) -> Artifact {
    let mut text = String::from(
        "# A tree of virtc without machines: none is left in these folders. `virtc deploy` takes away what was deployed from here.\n",
    );
    folders.into_iter().filter(|folder| !folder.contains('\n')).for_each(|folder| text += &format!("{folder}\n"));
    Artifact::new(EMPTY, text)
}

/// The folders that such a file names.
pub fn emptied(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_string).collect()
}

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Folders that are virtc's alone.
const OWN: &[&str] = &["usr/share/virtc/", "usr/lib/virtc/", "etc/apparmor.d/libvirt/"];

/// Folders of the host's services, where virtc's files are known by their names.
const SHARED: &[&str] = &[
    "usr/lib/systemd/system/",
    "usr/lib/systemd/user/",
    "usr/lib/systemd/network/",
    "usr/lib/sysusers.d/",
    "usr/lib/tmpfiles.d/",
    "usr/lib/udev/rules.d/",
];

/// Whether virtc writes a file of this path, relative to the root: nothing else is put onto a host, or taken from it.
pub fn is_place(path: &str) -> bool {
    let plain = !path.chars().any(char::is_control)
        && !path.ends_with('/')
        && !path.contains("//")
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
        && !path.split('/').any(|part| part == ".");
    let own = OWN.iter().any(|folder| path.starts_with(folder));
    let name = path.rsplit('/').next().unwrap_or_default();
    let shared = SHARED.iter().any(|folder| path.starts_with(folder));
    let named = ["virtc-", "virtc.", "50-virtc-", "90-virtc-"].iter().any(|start| name.starts_with(start));
    plain && (own || (shared && named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_outputs() {
        for path in [
            "usr/lib/systemd/system/virtc-a.service",
            "usr/lib/systemd/system/virtc.target",
            "usr/lib/systemd/system/machine-shop.slice.d/virtc-a.conf",
            "usr/lib/udev/rules.d/90-virtc-a.rules",
            "usr/lib/virtc/networks/lan.nft",
            "usr/share/virtc/a/plan.json",
        ] {
            assert!(is_place(path), "{path}");
        }
        for path in [
            "etc/passwd",
            "usr/lib/systemd/system/ssh.service",
            "usr/share/virtc/../../../etc/passwd",
            "/usr/share/virtc/a/x",
            "usr/share/virtc//x",
            "usr/share/virtc/./x",
            "usr/share/virtc/a/",
            "usr/share/virtc/a\n",
            "",
        ] {
            assert!(!is_place(path), "{path}");
        }
    }

    #[test]
    fn a_manifest_that_lists_other_places_is_refused() {
        let entry = Entry { sha256: sha256(b""), mode: "0644".into() };
        let mut manifest = Manifest { version: 1, ..Manifest::default() };
        let read = |m: &Manifest| Manifest::read(serde_json::to_string(m).unwrap().as_bytes());
        assert_eq!(read(&manifest), Ok(manifest.clone()));
        manifest.files.insert("etc/passwd".into(), entry);
        assert!(read(&manifest).unwrap_err().contains("etc/passwd"));
        manifest.version = 2;
        assert!(read(&manifest).unwrap_err().contains("version 2"));
        assert!(Manifest::read(b"{}").is_err());
    }

    #[test]
    fn a_digest_is_that_of_the_standard() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
