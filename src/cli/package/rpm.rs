//! The package of Fedora and its kin. Networks that several packages have are files of each: rpm takes the same file from many.

mod format;
mod requires;
mod scripts;

use super::archive;
use super::args::{Args, OnUpgrade, maintainer, one_line};
use super::control::{is_target, services, units};
use crate::cli::helper;
use crate::cli::installed::Tree;
use crate::emit::manifest::SHARE;
use crate::emit::{Artifact, Templates, systemd};
use crate::plan::Plan;
use format::{Entry, Package};
use requires::Require;
use scripts::{Choices, Parts};
use std::collections::BTreeSet;

/// The name of the file: `NAME-VERSION-RELEASE.ARCHITECTURE.rpm`.
pub fn file_name(name: &str, version: &str, architecture: &str) -> String {
    let (_, version, release) = numbers(version);
    format!("{name}-{version}-{release}.{architecture}.rpm")
}

/// The architecture of what is for this one alone.
pub fn architecture() -> &'static str {
    std::env::consts::ARCH
}

/// The package of machines.
pub fn machines(args: &Args, tree: &Tree, mut files: Vec<Artifact>) -> Result<Vec<u8>, String> {
    let plans: Vec<&Plan> = tree.machines.iter().filter_map(|m| m.plan.as_ref()).collect();
    let requires = requires::of(&plans, &files);
    // The common package has it.
    files.retain(|f| !is_target(f));
    let units = units(&files);
    if !units.is_empty() {
        let lines = units.iter().map(|unit| format!("enable {unit}\n")).collect();
        files.push(Artifact::new(format!("usr/lib/systemd/system-preset/80-{}.preset", args.name), lines));
    }
    let services = services(&files);
    let parts = Parts { name: &args.name, files: &files, units: &units, services: &services, machines: &tree.machines };
    let choices = Choices { restart: args.on_upgrade == OnUpgrade::Restart, start: args.start };
    let list: String = plans.iter().map(|plan| format!("- {}\n", one_line(&plan.name))).collect();
    let scripts = scripts::all(&parts, &choices);
    let entries = files.iter().map(|f| Entry::file(&f.path, f.mode, f.contents.as_bytes())).collect();
    write(
        args,
        &args.name,
        "noarch",
        entries,
        &requires,
        &scripts,
        About {
            summary: "Virtual machines, compiled by virtc",
            description: format!("Units, confinement and plans of these machines:\n{list}"),
        },
    )
}

/// The package of what all machines share.
pub fn common(args: &Args, helper: &[u8]) -> Result<Vec<u8>, String> {
    let targets = systemd::targets(&Templates::built_in());
    let units = vec![systemd::TARGET.to_string()];
    let preset = Artifact::new(
        format!("usr/lib/systemd/system-preset/80-{}.preset", helper::PACKAGE),
        format!("enable {}\n", systemd::TARGET),
    );
    let mut entries: Vec<Entry<'_>> =
        targets.iter().chain([&preset]).map(|t| Entry::file(&t.path, t.mode, t.contents.as_bytes())).collect();
    entries.push(Entry::file(helper::PLACE, 0o755, helper));
    let parts = Parts { name: helper::PACKAGE, files: &targets, units: &units, services: &[], machines: &[] };
    let scripts = scripts::all(&parts, &Choices { restart: false, start: false });
    write(
        args,
        helper::PACKAGE,
        architecture(),
        entries,
        &[Require::any("glibc")],
        &scripts,
        About {
            summary: "What units of virtual machines share",
            description: "The target of all machines, and the helper that waits for guests and powers them down."
                .to_string(),
        },
    )
}

/// What a person reads.
struct About<'a> {
    summary: &'a str,
    description: String,
}

fn write(
    args: &Args,
    name: &str,
    architecture: &str,
    mut entries: Vec<Entry<'_>>,
    requires: &[Require],
    scripts: &[(scripts::When, String)],
    about: About<'_>,
) -> Result<Vec<u8>, String> {
    let folders = own_folders(&entries);
    entries.extend(folders.iter().map(|path| Entry::folder(path)));
    let (epoch, version, release) = numbers(&args.package_version);
    let packager = maintainer(args);
    let package = Package {
        name,
        epoch,
        version,
        release,
        architecture,
        summary: about.summary,
        description: &about.description,
        packager: &packager,
        requires,
        scripts,
        time: archive::time(),
    };
    package.write(entries)
}

/// Epoch, version and release of `[EPOCH:]VERSION[-RELEASE]`. In neither of the last two may be a hyphen.
fn numbers(text: &str) -> (Option<u32>, &str, &str) {
    let (epoch, rest) = match text.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().ok(), rest),
        None => (None, text),
    };
    let (version, release) = rest.rsplit_once('-').unwrap_or((rest, "1"));
    (epoch, version, release)
}

/// Why rpm would not take this version.
pub fn wrong_version(text: &str) -> Option<String> {
    let (_, version, release) = numbers(text);
    let number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._+~".contains(c));
    let epoch = text.split_once(':').is_none_or(|(epoch, _)| epoch.parse::<u32>().is_ok());
    (!epoch || !number(version) || !number(release))
        .then(|| format!("--package-version {text}: rpm takes [EPOCH:]VERSION[-RELEASE], with one hyphen at most"))
}

/// Folders that are virtc's alone, which go with the last package that has them.
fn own_folders(entries: &[Entry<'_>]) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for entry in entries {
        for (end, _) in entry.path.match_indices('/') {
            let folder = entry.path.get(..end).unwrap_or_default();
            let own = [SHARE, "usr/lib/virtc"]
                .iter()
                .any(|own| folder == *own || folder.strip_prefix(own).is_some_and(|rest| rest.starts_with('/')));
            out.extend(own.then(|| folder.to_string()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(numbers("1.2"), (None, "1.2", "1"));
        assert_eq!(numbers("2:1.2-3"), (Some(2), "1.2", "3"));
        assert_eq!(wrong_version("1.0~rc1-2"), None);
        for wrong in ["1-2-3", "x:1", "1-", ""] {
            assert!(wrong_version(wrong).is_some(), "{wrong}");
        }
    }
}
