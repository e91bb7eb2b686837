//! `virtc package`: a built tree as something that a host installs: a package of Debian or of Fedora, a system extension, a plain
//! archive.
//!
//! | carrier | what | enables | takes away |
//! |---|---|---|---|
//! | `--deb` | Debian package; `virtc-common` has what all share | what is new, by deb-systemd-helper | what an upgrade drops, and all at the removal |
//! | `--rpm` | package of Fedora and its kin; `virtc-common` has what all share | what was not there before, as presets say | what an upgrade drops, and all at the removal |
//! | `--tar` | the tree, as it goes to `/` | nothing | nothing |
//! | `--sysext` | two folders: the image's `/usr` for systemd-sysext, its `/etc` for systemd-confext | by links in the image | with the image |
//!
//! All are written here, and the same tree gives the same bytes.

mod archive;
mod args;
mod control;
mod extension;
mod rpm;
mod scripts;

use super::deploy::{changes, tree_of};
use super::installed::{OWNER, Tree};
use super::{Exit, Shared, complain, helper};
use crate::emit::manifest::SHARE;
use crate::emit::selinux;
use crate::emit::systemd;
use crate::emit::{Artifact, Templates};
use crate::fleet::inventory::Present;
use crate::plan::Plan;
use archive::{ar, gzip, members, tar};
pub use args::Args;
use args::{OnUpgrade, maintainer, one_line};
use md5::{Digest, Md5};
use std::path::{Path, PathBuf};

/// Makes the package.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    if let Some(why) = wrong_field(args) {
        complain(&why);
        return Exit::Usage;
    }
    let Some(tree) = &args.tree else { return common(args, shared) };
    let tree = match tree_of(tree, shared) {
        Ok(tree) => tree,
        Err(exit) => return exit,
    };
    let plans: Vec<Plan> = tree.machines.iter().filter_map(|m| m.plan.clone()).collect();
    let count = (tree.artifacts.len(), plans.len());
    let (path, written) = match () {
        () if args.deb => {
            let path = target(args, "_", "_all.deb");
            let files = with_owner(args, &tree);
            (path.clone(), machines(args, files, &plans, &tree.machines).and_then(|bytes| write(&path, &bytes)))
        }
        () if args.rpm => {
            let named = || PathBuf::from(rpm::file_name(&args.name, &args.package_version, "noarch"));
            let path = args.output.clone().unwrap_or_else(named);
            let files = with_owner(args, &tree);
            (path.clone(), rpm::machines(args, &tree, files).and_then(|bytes| write(&path, &bytes)))
        }
        () if args.tar => {
            let path = target(args, "-", ".tar.gz");
            let bytes = tar(&members(&tree.artifacts), archive::time()).ok_or_else(too_long);
            (path.clone(), bytes.and_then(|bytes| write(&path, &gzip(&bytes))))
        }
        () => {
            let path = target(args, "-", "");
            (path.clone(), extension::write(&args.name, &tree, &path))
        }
    };
    match written {
        Ok(()) => {
            if !shared.quiet {
                complain(&format!("{}: {} files, {} machines", path.display(), count.0, count.1));
            }
            Exit::Done
        }
        Err(why) => {
            complain(&why);
            Exit::Environment
        }
    }
}

/// The files of a tree, and for each machine who has put it onto the host.
fn with_owner(args: &Args, tree: &Tree) -> Vec<Artifact> {
    let owner = format!("package {}\n", args.name);
    let owners = tree.machines.iter().map(|m| Artifact::new(format!("{SHARE}/{}/{OWNER}", m.folder), owner.clone()));
    tree.artifacts.iter().cloned().chain(owners).collect()
}

/// The SELinux contexts of machines, by their folders, as the table of labels has them.
fn contexts(files: &[Artifact]) -> Vec<(String, String)> {
    let of = |file: &Artifact| {
        let folder = file.path.strip_prefix(SHARE)?.strip_prefix('/')?.strip_suffix("/selinux/labels")?;
        Some((folder.to_string(), selinux::process_context(&file.contents)?.to_string()))
    };
    files.iter().filter_map(of).collect()
}

fn target(args: &Args, between: &str, end: &str) -> PathBuf {
    let name = || PathBuf::from(format!("{}{between}{}{end}", args.name, args.package_version));
    args.output.clone().unwrap_or_else(name)
}

fn too_long() -> String {
    "a path of the tree is too long for a package".to_string()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// The Debian package of machines.
fn machines(args: &Args, mut files: Vec<Artifact>, plans: &[Plan], present: &[Present]) -> Result<Vec<u8>, String> {
    let depends = control::depends(plans, &files);
    // The common package has it.
    files.retain(|f| !control::is_target(f));
    let units = control::units(&files);
    if !units.is_empty() {
        let lines = units.iter().map(|unit| format!("enable {unit}\n")).collect();
        files.push(Artifact::new(format!("usr/lib/systemd/system-preset/80-{}.preset", args.name), lines));
    }
    let services = control::services(&files);
    let shared = control::set_apart(&args.name, &mut files);
    let copies = copies_of_profiles(&args.name, &files);
    let profiles: Vec<(String, String)> =
        copies.iter().map(|(place, copy)| (place.clone(), copy.path.clone())).collect();
    files.extend(copies.into_iter().map(|(_, copy)| copy));
    files.extend(override_of_lintian(&args.name, &units));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let machine = |m: &Present| scripts::Machine {
        folder: m.folder.clone(),
        uuid: m.uuid().unwrap_or_default().to_string(),
        services: changes::units(m),
    };
    let machines: Vec<scripts::Machine> = present.iter().map(machine).collect();
    let contexts = contexts(&files);
    let parts = scripts::Parts {
        files: &files,
        units: &units,
        services: &services,
        shared: &shared,
        profiles: &profiles,
        machines: &machines,
        contexts: &contexts,
    };
    let scripts =
        scripts::all(&parts, &scripts::Choices { restart: args.on_upgrade == OnUpgrade::Restart, start: args.start });
    let list: String = plans.iter().map(|plan| format!("  * {}\n", one_line(&plan.name))).collect();
    let about = format!(
        "virtual machines, compiled by virtc\n Units, confinement profiles and plans of these machines:\n{}",
        plans.iter().map(|plan| format!("  {}\n", one_line(&plan.name))).collect::<String>()
    );
    let package = Package { name: &args.name, architecture: "all", depends: &depends, about: &about, changes: &list };
    package.write(
        args,
        files.iter().map(|f| (f.path.clone(), f.mode, f.contents.clone().into_bytes())).collect(),
        scripts,
    )
}

/// Copies of what lies in `/etc`, below `/usr`, each with its place.
fn copies_of_profiles(package: &str, files: &[Artifact]) -> Vec<(String, Artifact)> {
    let copy = |file: &Artifact| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let path = format!("usr/lib/virtc/{package}/profiles/{name}");
        (file.path.clone(), Artifact { path, ..file.clone() })
    };
    files.iter().filter(|f| f.path.starts_with("etc/")).map(copy).collect()
}

/// What a package is, besides its files.
struct Package<'a> {
    name: &'a str,
    architecture: &'a str,
    depends: &'a [String],
    /// `Description`: the first line, then those of the long one, each behind a blank.
    about: &'a str,
    /// The entries of the changelog.
    changes: &'a str,
}

impl Package<'_> {
    fn write(
        &self,
        args: &Args,
        mut files: Vec<(String, u32, Vec<u8>)>,
        scripts: Vec<Artifact>,
    ) -> Result<Vec<u8>, String> {
        let time = archive::time();
        let maintainer = maintainer(args);
        let doc = format!("usr/share/doc/{}", self.name);
        let version = &args.package_version;
        let changelog = format!(
            "{} ({version}) unstable; urgency=medium\n\n{}\n -- {maintainer}  {}\n",
            self.name,
            self.changes,
            archive::date(time)
        );
        // A version with a hyphen is one of Debian's for something from elsewhere.
        let name = if version.contains('-') { "changelog.Debian.gz" } else { "changelog.gz" };
        files.push((format!("{doc}/{name}"), 0o644, gzip(changelog.as_bytes())));
        files.push((format!("{doc}/copyright"), 0o644, copyright(&maintainer, &archive::year(time)).into_bytes()));
        files.sort();
        let kib: usize = files.iter().map(|(_, _, bytes)| bytes.len().div_ceil(1024)).sum();
        let mut text = format!(
            "Package: {}\nVersion: {version}\nArchitecture: {}\nMaintainer: {maintainer}\nInstalled-Size: {kib}\n",
            self.name, self.architecture
        );
        if !self.depends.is_empty() {
            text += &format!("Depends: {}\n", self.depends.join(", "));
        }
        text += &format!("Section: admin\nPriority: optional\nDescription: {}", self.about);
        let mut control = vec![Artifact::new("control", text)];
        let conffiles: String =
            files.iter().filter(|f| f.0.starts_with("etc/")).map(|f| format!("/{}\n", f.0)).collect();
        if !conffiles.is_empty() {
            control.push(Artifact::new("conffiles", conffiles));
        }
        let sum = |bytes: &[u8]| Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let sums = files.iter().filter(|f| !f.0.starts_with("etc/"));
        control.push(Artifact::new("md5sums", sums.map(|f| format!("{}  {}\n", sum(&f.2), f.0)).collect()));
        control.extend(scripts);
        control.sort_by(|a, b| a.path.cmp(&b.path));
        let data: Vec<archive::Member<'_>> = files.iter().map(|f| (f.0.as_str(), f.1, f.2.as_slice())).collect();
        let control = gzip(&tar(&members(&control), time).ok_or_else(too_long)?);
        let data = gzip(&tar(&data, time).ok_or_else(too_long)?);
        Ok(ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &control), ("data.tar.gz", &data)], time))
    }
}

/// Machines are wanted by a target of their own, so that they stop and start together; lintian knows those of the system.
fn override_of_lintian(package: &str, units: &[String]) -> Option<Artifact> {
    let line = |unit: &String| {
        format!(
            "{package}: systemd-service-file-refers-to-unusual-wantedby-target virtc.target [usr/lib/systemd/system/{unit}]\n"
        )
    };
    let lines: String = units.iter().map(line).collect();
    let text = format!("# Machines are stopped and started together, by virtc.target of virtc-common.\n{lines}");
    (!units.is_empty()).then(|| Artifact::new(format!("usr/share/lintian/overrides/{package}"), text))
}

fn copyright(maintainer: &str, year: &str) -> String {
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: {year} {maintainer}\n\
         License: unspecified\n Made by virtc from descriptions of machines, whose author decides.\n"
    )
}

/// Makes the package of what all machines share.
fn common(args: &Args, shared: &Shared) -> Exit {
    let helper = match helper::read() {
        Ok(helper) => helper,
        Err(why) => {
            complain(&why);
            return Exit::Environment;
        }
    };
    if args.rpm {
        let named = || PathBuf::from(rpm::file_name(helper::PACKAGE, &args.package_version, rpm::architecture()));
        let path = args.output.clone().unwrap_or_else(named);
        return made(rpm::common(args, &helper).and_then(|bytes| write(&path, &bytes)), &path, shared);
    }
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let targets = systemd::targets(&Templates::built_in());
    let units = vec![systemd::TARGET.to_string()];
    let mut files: Vec<(String, u32, Vec<u8>)> =
        targets.iter().map(|t| (t.path.clone(), t.mode, t.contents.clone().into_bytes())).collect();
    files.push((helper::PLACE.to_string(), 0o755, helper));
    let parts = scripts::Parts {
        files: &targets,
        units: &units,
        services: &[],
        shared: &[],
        profiles: &[],
        machines: &[],
        contexts: &[],
    };
    let scripts = scripts::all(&parts, &scripts::Choices { restart: false, start: false });
    let package = Package {
        name: helper::PACKAGE,
        architecture,
        depends: &["libc6".to_string()],
        about: "what units of virtual machines share\n The target of all machines, and the helper that waits for guests and powers\n them down.\n",
        changes: "  * What units of virtual machines share.\n",
    };
    let path = args.output.clone();
    let default = || PathBuf::from(format!("{}_{}_{architecture}.deb", helper::PACKAGE, args.package_version));
    let path = path.unwrap_or_else(default);
    made(package.write(args, files, scripts).and_then(|bytes| write(&path, &bytes)), &path, shared)
}

/// Tells how the package of what machines share was made.
fn made(written: Result<(), String>, path: &Path, shared: &Shared) -> Exit {
    match written {
        Ok(()) => {
            if !shared.quiet {
                complain(&format!("{}: {}", path.display(), helper::PLACE));
            }
            Exit::Done
        }
        Err(why) => {
            complain(&why);
            Exit::Environment
        }
    }
}

/// What is wrong with the fields of the control file, by Debian's policy.
fn wrong_field(args: &Args) -> Option<String> {
    let ok = |text: &str, more: &str| {
        text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if args.name.len() < 2 || !ok(&args.name, "+-.") || args.name.chars().any(|c| c.is_ascii_uppercase()) {
        return Some(format!("--name {}: lower-case letters, digits, + - . only", args.name));
    }
    if !ok(&args.package_version, ".+~-:") || !args.package_version.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(format!(
            "--package-version {}: begins with a digit; letters, digits, . + ~ - : only",
            args.package_version
        ));
    }
    if args.rpm
        && let Some(why) = rpm::wrong_version(&args.package_version)
    {
        return Some(why);
    }
    if args.maintainer.as_ref().is_some_and(|m| m.chars().any(char::is_control) || m.is_empty()) {
        return Some("--maintainer: one line, NAME <ADDRESS>".to_string());
    }
    None
}
