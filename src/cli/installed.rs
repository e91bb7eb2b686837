//! The machines that are below a root: in a tree that was built, or on a host.

use super::tree::inside;
use crate::emit::Artifact;
use crate::emit::manifest::{self, Entry, FILE, Manifest, SHARE};
use crate::fleet::inventory::Present;
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// Says who has put a machine onto this host: `deployment NAME`, `package NAME`.
pub const OWNER: &str = "owner";

/// No file of a tree is longer.
const MOST: u64 = 64 << 20;

/// All machines below a root, by their folders. One that says nothing sensible of itself is passed over.
pub fn read(root: &Path) -> Vec<Present> {
    let share = root.join(SHARE);
    let Ok(entries) = std::fs::read_dir(&share) else { return Vec::new() };
    let mut folders: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| one(root, folder)).collect()
}

/// The machines of a host. Those of packages that were made before they said so are known by dpkg.
pub fn of_host(root: &Path) -> Vec<Present> {
    let mut machines = read(root);
    if machines.iter().all(|m| m.owner.is_some()) {
        return machines;
    }
    let info = root.join("var/lib/dpkg/info");
    let lists = std::fs::read_dir(&info).into_iter().flatten().flatten().map(|e| e.path());
    for list in lists.filter(|path| path.extension().is_some_and(|e| e == "list")) {
        let Ok(text) = std::fs::read_to_string(&list) else { continue };
        if !text.contains("/usr/share/virtc/") {
            continue;
        }
        let package = list.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        for machine in machines.iter_mut().filter(|m| m.owner.is_none()) {
            let folder = format!("/{SHARE}/{}/", machine.folder);
            if text.lines().any(|line| line.starts_with(&folder)) {
                machine.owner = Some(format!("package {package}"));
            }
        }
    }
    machines
}

/// A file below a root, if it is one, lies there, and is not too long.
pub fn bytes(root: &Path, path: &str) -> Option<Vec<u8>> {
    inside(root, Path::new(path)).ok()?;
    let place = root.join(path);
    if !std::fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_file() && meta.len() <= MOST) {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(place).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn one(root: &Path, folder: &str) -> Option<Present> {
    let file = |name: &str| bytes(root, &format!("{SHARE}/{folder}/{name}"));
    let text = |name: &str| file(name).and_then(|bytes| String::from_utf8(bytes).ok());
    let manifest = file(FILE).and_then(|bytes| Manifest::read(&bytes).ok());
    let list = text("files");
    if manifest.is_none() && list.is_none() {
        return None;
    }
    let mut files: BTreeSet<String> = match &manifest {
        Some(manifest) => manifest.files.keys().cloned().collect(),
        None => list.iter().flat_map(|l| l.lines()).filter(|l| manifest::is_place(l)).map(str::to_string).collect(),
    };
    files.insert(format!("{SHARE}/{folder}/{FILE}"));
    // It stands at the top of a tree, and never reaches a host.
    files.extend(list.iter().flat_map(|l| l.lines()).filter(|l| is_depfile(l)).map(str::to_string));
    let owner = text(OWNER).map(|text| text.trim_end().to_string());
    if owner.is_some() {
        files.insert(format!("{SHARE}/{folder}/{OWNER}"));
    }
    let plan = file("plan.json").and_then(|bytes| Plan::read(&bytes).ok());
    Some(Present { folder: folder.to_string(), manifest, files, plan, owner })
}

fn is_depfile(path: &str) -> bool {
    path.ends_with(".d") && !path.contains('/') && !path.starts_with('.')
}

/// Whether a folder is a tree whose last machine has left.
pub fn is_emptied(folder: &Path) -> bool {
    bytes(folder, manifest::EMPTY).is_some_and(|text| text.starts_with(b"# A tree of virtc"))
}

/// A tree that virtc has built: whole, and as it was built.
pub struct Tree {
    /// Its files, by path.
    pub artifacts: Vec<Artifact>,
    /// Its machines.
    pub machines: Vec<Present>,
}

/// What of these files a tree of virtc is; `emptied`: whether it says itself that no machine is left. Otherwise the faults, for a
/// person.
pub fn verify(artifacts: Vec<Artifact>, emptied: bool) -> Result<Tree, Vec<String>> {
    let mut faults = Vec::new();
    let mut machines = Vec::new();
    let mut listed: BTreeSet<String> = BTreeSet::new();
    for artifact in artifacts.iter().filter(|a| a.path.ends_with(&format!("/{FILE}"))) {
        let inner = artifact.path.strip_prefix(SHARE).and_then(|p| p.strip_prefix('/'));
        let Some((folder, FILE)) = inner.and_then(|p| p.split_once('/')) else { continue };
        match Manifest::read(artifact.contents.as_bytes()) {
            Ok(manifest) => {
                let present = present(folder, manifest, &artifacts);
                listed.extend(present.files.iter().cloned());
                machines.push(present);
            }
            Err(why) => faults.push(format!("/{}: {why}", artifact.path)),
        }
    }
    if machines.is_empty() && faults.is_empty() && !emptied {
        return Err(Vec::new());
    }
    let by_path: BTreeMap<&str, &Artifact> = artifacts.iter().map(|a| (a.path.as_str(), a)).collect();
    for (machine, manifest) in machines.iter().filter_map(|m| Some((m, m.manifest.as_ref()?))) {
        for (path, entry) in &manifest.files {
            match by_path.get(path.as_str()) {
                None => faults.push(format!("/{path} of '{}' is missing", machine.name())),
                Some(artifact) if Entry::of(artifact) != *entry => {
                    faults.push(format!("/{path} of '{}' was changed since it was built", machine.name()));
                }
                Some(_) => {}
            }
        }
        if machine.plan.is_none() {
            faults.push(format!("the plan of '{}' cannot be read; build it again with this virtc", machine.name()));
        }
    }
    for artifact in artifacts.iter().filter(|a| !listed.contains(&a.path)) {
        faults.push(format!("/{} is in the tree, and virtc has not written it", artifact.path));
    }
    if faults.is_empty() { Ok(Tree { artifacts, machines }) } else { Err(faults) }
}

fn present(folder: &str, manifest: Manifest, artifacts: &[Artifact]) -> Present {
    let plan = artifacts.iter().find(|a| a.path == format!("{SHARE}/{folder}/plan.json"));
    let mut files: BTreeSet<String> = manifest.files.keys().cloned().collect();
    files.insert(format!("{SHARE}/{folder}/{FILE}"));
    Present {
        folder: folder.to_string(),
        manifest: Some(manifest),
        files,
        plan: plan.and_then(|a| Plan::read(a.contents.as_bytes()).ok()),
        owner: None,
    }
}
