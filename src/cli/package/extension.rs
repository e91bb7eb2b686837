//! A system extension (systemd-sysext: `/usr`) and a configuration extension (systemd-confext: `/etc`), each as a folder that
//! `mksquashfs` or `mkfs.erofs` makes an image of, or that is used as it is.

use crate::cli::installed::Tree;
use crate::cli::tree;
use crate::emit::Artifact;
use crate::emit::manifest::is_place;
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
        let target = target.join(kind).join(name);
        let gone = left_over(name, &target, &files)?;
        tree::write(&target, &files, &gone).map_err(|fault| fault.to_string())?;
    }
    Ok(())
}

/// What an earlier image in the same folder has, and this one has not: machines that left would be merged with the others.
fn left_over(name: &str, target: &Path, files: &[Artifact]) -> Result<BTreeSet<String>, String> {
    if matches!(target.try_exists(), Ok(false)) {
        return Ok(BTreeSet::new());
    }
    let made: BTreeSet<&str> = files.iter().map(|f| f.path.as_str()).collect();
    let own = |path: &str| is_place(path) || path.ends_with(&format!("/50-virtc-{name}.conf"));
    let there = tree::collect(target)?.into_iter().map(|artifact| artifact.path);
    Ok(there.filter(|path| own(path) && !made.contains(path.as_str())).collect())
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
