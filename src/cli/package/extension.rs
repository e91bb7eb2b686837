//! A system extension (systemd-sysext: `/usr`) and a configuration extension (systemd-confext: `/etc`), each as a folder that
//! `mksquashfs` or `mkfs.erofs` makes an image of, or that is used as it is.

use crate::cli::installed::Tree;
use crate::cli::tree;
use crate::emit::Artifact;
use crate::emit::systemd::TARGET;
use std::collections::BTreeSet;
use std::path::Path;

/// Writes both folders below one: `usr/…` and `etc/…` as images have them.
pub fn write(name: &str, tree: &Tree, target: &Path) -> Result<(), String> {
    let mut usr: Vec<Artifact> = tree.artifacts.iter().filter(|a| a.path.starts_with("usr/")).cloned().collect();
    let mut etc: Vec<Artifact> = tree.artifacts.iter().filter(|a| a.path.starts_with("etc/")).cloned().collect();
    // The units are those of any system: nothing of it is linked.
    let release = |folder: &str| {
        let path = format!("{folder}/extension-release.{name}");
        Artifact::new(path, "ID=_any\nEXTENSION_RELOAD_MANAGER=1\n".to_string())
    };
    usr.push(release("usr/lib/extension-release.d"));
    etc.push(release("etc/extension-release.d"));
    usr.extend(wanted(name, &tree.artifacts));
    for (kind, files) in [("sysext", usr), ("confext", etc)] {
        tree::write(&target.join(kind).join(name), &files, &BTreeSet::new()).map_err(|fault| fault.to_string())?;
    }
    Ok(())
}

/// A tree has no links: drop-ins say what is wanted instead.
fn wanted(name: &str, files: &[Artifact]) -> Vec<Artifact> {
    let units = super::control::units(files);
    if units.is_empty() {
        return Vec::new();
    }
    let drop_in = |unit: &str, wants: &str| {
        let path = format!("usr/lib/systemd/system/{unit}.d/50-virtc-{name}.conf");
        Artifact::new(path, format!("[Unit]\nWants={wants}\n"))
    };
    vec![drop_in(TARGET, &units.join(" ")), drop_in("multi-user.target", TARGET)]
}
