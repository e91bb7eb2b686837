//! The machines that are in a tree, or on a host, already: which of them an input has made that makes them no more, and
//! which of their files nobody else has.

use crate::emit::manifest::Manifest;
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A machine that is there.
#[derive(Clone, Debug, Default)]
pub struct Present {
    /// Its folder below `usr/share/virtc`: its name, as files are named.
    pub folder: String,
    /// Its manifest; a virtc before manifests wrote none.
    pub manifest: Option<Manifest>,
    /// All of its files, with the manifest; relative to the root.
    pub files: BTreeSet<String>,
    /// Its Plan, if it can be read.
    pub plan: Option<Plan>,
    /// Who has put it onto this host; none for a tree, and for what was copied by hand.
    pub owner: Option<String>,
}

impl Present {
    /// Its name.
    pub fn name(&self) -> &str {
        let of_plan = || self.plan.as_ref().map(|p| p.name.as_str());
        self.manifest.as_ref().map(|m| m.name.as_str()).or_else(of_plan).unwrap_or(&self.folder)
    }

    /// Its UUID, if that is known.
    pub fn uuid(&self) -> Option<&str> {
        let of_plan = || self.plan.as_ref().map(|p| p.uuid.as_str());
        self.manifest.as_ref().map(|m| m.uuid.as_str()).or_else(of_plan)
    }

    /// The file that it was made from, as that was named.
    pub fn source(&self) -> Option<&str> {
        self.manifest.as_ref().map(|m| m.source.file.as_str()).filter(|file| !file.is_empty())
    }
}

/// What a build is made from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The files that were compiled, as the user named them, or as they were found in a folder.
    pub files: BTreeSet<String>,
    /// The folders whose files they are.
    pub folders: Vec<String>,
}

/// What becomes of a machine that an earlier build has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is made anew.
    Rebuilt,
    /// It is none of this build's concern.
    Stays,
    /// Its file makes another machine now.
    Renamed,
    /// Its file is gone.
    Removed,
}

impl Fate {
    /// Whether it is to be taken away.
    pub fn leaves(&self) -> bool {
        matches!(self, Fate::Renamed | Fate::Removed)
    }
}

/// What becomes of a machine, if these inputs make machines in these folders. `exists`: whether a file is there, by its
/// name as it stands in a manifest.
pub fn fate(machine: &Present, inputs: &Inputs, made: &BTreeSet<String>, exists: &dyn Fn(&str) -> bool) -> Fate {
    if made.contains(&machine.folder) {
        return Fate::Rebuilt;
    }
    let Some(source) = machine.source() else { return Fate::Stays };
    let source_is = Path::new(source);
    if inputs.files.iter().any(|file| Path::new(file) == source_is) {
        return Fate::Renamed;
    }
    if inputs.folders.iter().any(|folder| lies_in(source_is, Path::new(folder))) && !exists(source) {
        return Fate::Removed;
    }
    // Files were named one by one, as a shell does it for `*.xml`: one that lay beside them, and is gone.
    let beside = |file: &String| Path::new(file).parent() == source_is.parent();
    if inputs.files.iter().any(beside) && source != STDIN && !exists(source) {
        return Fate::Removed;
    }
    Fate::Stays
}

/// Stands for a file where standard input was read.
pub const STDIN: &str = "<stdin>";

/// Whether a file is in a folder, or in one below it, by their names.
pub fn lies_in(file: &Path, folder: &Path) -> bool {
    let here = folder == Path::new(".") || folder == Path::new("");
    (here && file.is_relative() && !file.starts_with("..")) || file.starts_with(folder)
}

/// Files of machines that leave or are made anew which nobody has any more: neither what is made nor a machine that stays.
pub fn left_over(machines: &[(&Present, Fate)], made: &BTreeSet<String>) -> BTreeSet<String> {
    let held: BTreeSet<&String> =
        machines.iter().filter(|(_, fate)| *fate == Fate::Stays).flat_map(|(m, _)| &m.files).collect();
    let old = machines.iter().filter(|(_, fate)| *fate != Fate::Stays).flat_map(|(m, _)| &m.files);
    old.filter(|file| !made.contains(*file) && !held.contains(file)).cloned().collect()
}

/// Machines that are one and the same under another name: of those that leave and those that come, the pairs with one UUID.
pub fn renamed<'a>(leaving: &[&'a Present], coming: &[&'a Present]) -> BTreeMap<&'a str, &'a str> {
    let by_uuid: BTreeMap<&str, &str> = leaving.iter().filter_map(|m| Some((m.uuid()?, m.name()))).collect();
    coming.iter().filter_map(|m| Some((m.name(), *by_uuid.get(m.uuid()?)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::manifest::Source;

    fn machine(folder: &str, source: &str, files: &[&str]) -> Present {
        let manifest = Manifest {
            name: folder.into(),
            uuid: format!("uuid of {source}"),
            source: Source { file: source.into(), sha256: String::new() },
            ..Manifest::default()
        };
        Present {
            folder: folder.into(),
            manifest: Some(manifest),
            files: files.iter().map(|f| f.to_string()).collect(),
            ..Present::default()
        }
    }

    fn inputs(files: &[&str], folders: &[&str]) -> Inputs {
        Inputs {
            files: files.iter().map(|f| f.to_string()).collect(),
            folders: folders.iter().map(|f| f.to_string()).collect(),
        }
    }

    #[test]
    fn fates() {
        let made = BTreeSet::from(["new".to_string()]);
        let of = |folder: &str, source: &str, inputs: &Inputs, there: &[&str]| {
            fate(&machine(folder, source, &[]), inputs, &made, &|file| there.contains(&file))
        };
        let one = inputs(&["vms/a.xml"], &[]);
        let folder = inputs(&["vms/a.xml"], &["vms"]);
        assert_eq!(of("new", "elsewhere.xml", &one, &[]), Fate::Rebuilt);
        assert_eq!(of("old", "vms/a.xml", &one, &["vms/a.xml"]), Fate::Renamed);
        assert_eq!(of("old", "vms/a.xml", &folder, &["vms/a.xml"]), Fate::Renamed);
        // Another file of the folder, which this build was not asked about.
        assert_eq!(of("old", "vms/b.xml", &one, &["vms/b.xml"]), Fate::Stays);
        assert_eq!(of("old", "vms/b.xml", &one, &[]), Fate::Removed);
        assert_eq!(of("old", "vms/b.xml", &folder, &[]), Fate::Removed);
        assert_eq!(of("old", "vms/sub/b.xml", &folder, &[]), Fate::Removed);
        assert_eq!(of("old", "vms-of-others/b.xml", &folder, &[]), Fate::Stays);
        assert_eq!(of("old", "others/b.xml", &one, &[]), Fate::Stays);
        assert_eq!(of("old", "sub/b.xml", &inputs(&["a.xml"], &["."]), &[]), Fate::Removed);
        assert_eq!(of("old", "../b.xml", &inputs(&["a.xml"], &["."]), &[]), Fate::Stays);
        assert_eq!(of("old", STDIN, &inputs(&["a.xml"], &[]), &[]), Fate::Stays);
        assert_eq!(fate(&Present::default(), &folder, &made, &|_| false), Fate::Stays);
    }

    #[test]
    fn what_others_have_stays() {
        let old = machine("old", "a.xml", &["usr/lib/systemd/system/virtc.target", "usr/share/virtc/old/argv"]);
        let other = machine("other", "b.xml", &["usr/lib/systemd/system/virtc.target"]);
        let leaves = |others: &[(&Present, Fate)], made: &[&str]| {
            let mut all = vec![(&old, Fate::Renamed)];
            all.extend(others.iter().cloned());
            Vec::from_iter(left_over(&all, &made.iter().map(|m| m.to_string()).collect()))
        };
        assert_eq!(leaves(&[], &[]), ["usr/lib/systemd/system/virtc.target", "usr/share/virtc/old/argv"]);
        assert_eq!(leaves(&[(&other, Fate::Stays)], &[]), ["usr/share/virtc/old/argv"]);
        assert_eq!(leaves(&[], &["usr/lib/systemd/system/virtc.target"]), ["usr/share/virtc/old/argv"]);
    }
}
