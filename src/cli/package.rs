//! `virtc package --deb`: a built tree as a Debian package that `dpkg -i` installs.
//!
//! The archive is written here, without a tool: an `ar` of two uncompressed tars. Times are 0 and owners
//! root, so that the same tree gives the same bytes.

use super::deploy::collect;
use super::{Exit, Shared, complain};
use crate::emit::Artifact;
use crate::plan::Plan;
use crate::run::debian_package;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Arguments of `virtc package`.
#[derive(clap::Args)]
pub struct Args {
    /// The tree that `virtc build` wrote
    tree: PathBuf,
    /// Make a Debian package
    #[arg(long, required = true)]
    deb: bool,
    /// The package to write; its name and version by default, in this folder
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name of the package
    #[arg(long, default_value = "virtc-machines")]
    name: String,
    /// Version of the package
    #[arg(long, value_name = "VERSION", default_value = "1")]
    package_version: String,
    /// Who answers for it
    #[arg(long, default_value = "root <root@localhost>")]
    maintainer: String,
}

/// Makes the package.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    if let Some(why) = wrong_field(args) {
        complain(&why);
        return Exit::Usage;
    }
    let mut files = match collect(&args.tree) {
        Ok(files) if files.is_empty() => {
            complain(&format!("{} holds no built tree", args.tree.display()));
            return Exit::Input;
        }
        Ok(files) => files,
        Err(why) => {
            complain(&why);
            return Exit::Environment;
        }
    };
    let units = units(&files);
    if !units.is_empty() {
        let lines = units.iter().map(|unit| format!("enable {unit}\n")).collect();
        files.push(Artifact::new(format!("usr/lib/systemd/system-preset/80-{}.preset", args.name), lines));
        files.sort_by(|a, b| a.path.cmp(&b.path));
    }
    let archive = control(args, &files, &units).and_then(|control| {
        Some(archive(&[("debian-binary", b"2.0\n"), ("control.tar", &tar(&control)?), ("data.tar", &tar(&files)?)]))
    });
    let Some(archive) = archive else {
        complain("a path of the tree is too long for a package");
        return Exit::Input;
    };
    let path =
        args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}_{}_all.deb", args.name, args.package_version)));
    match std::fs::write(&path, archive) {
        Ok(()) => {
            if !shared.quiet {
                complain(&format!("{}: {} files, {} machines", path.display(), files.len(), units.len()));
            }
            Exit::Done
        }
        Err(e) => {
            complain(&format!("cannot write {}: {e}", path.display()));
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
    if args.maintainer.chars().any(char::is_control) || args.maintainer.is_empty() {
        return Some("--maintainer: one line, NAME <ADDRESS>".to_string());
    }
    None
}

/// The units that are to be enabled: those that say where they are wanted.
fn units(files: &[Artifact]) -> Vec<String> {
    files
        .iter()
        .filter(|f| f.path.starts_with("usr/lib/systemd/system/") && f.contents.contains("\n[Install]\n"))
        .filter_map(|f| f.path.rsplit('/').next().map(str::to_string))
        .collect()
}

/// The packages that bring the programs of the machines.
fn depends(files: &[Artifact]) -> BTreeSet<String> {
    files
        .iter()
        .filter(|f| f.path.ends_with("/plan.json"))
        .filter_map(|f| serde_json::from_str::<Plan>(&f.contents).ok())
        .flat_map(|plan| plan.processes)
        .filter(|process| process.program.starts_with("/usr/bin/") || process.program.starts_with("/usr/lib"))
        .map(|process| debian_package(&process.program))
        .collect()
}

fn script(lines: &[String]) -> String {
    let mut text = String::from("#!/bin/sh\nset -e\n");
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// The control files.
fn control(args: &Args, files: &[Artifact], units: &[String]) -> Option<Vec<Artifact>> {
    let kib = files.iter().map(|f| f.contents.len().div_ceil(1024)).sum::<usize>();
    let mut control = format!(
        "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: {}\nInstalled-Size: {kib}\nSection: admin\nPriority: optional\n",
        args.name, args.package_version, args.maintainer
    );
    let depends = Vec::from_iter(depends(files)).join(", ");
    if !depends.is_empty() {
        control.push_str(&format!("Depends: {depends}\n"));
    }
    control.push_str(
        "Description: virtual machines, compiled by virtc\n Units, confinement profiles and plans of these machines:\n",
    );
    for file in files.iter().filter(|f| f.path.ends_with("/plan.json")) {
        if let Some(name) = file.path.split('/').rev().nth(1) {
            control.push_str(&format!("  {name}\n"));
        }
    }
    let conffiles: String =
        files.iter().filter(|f| f.path.starts_with("etc/")).map(|f| format!("/{}\n", f.path)).collect();
    let words = units.join(" ");
    let has = |folder: &str| files.iter().any(|f| f.path.starts_with(folder));
    let booted = "if [ -d /run/systemd/system ]; then";
    let mut after = vec!["if [ \"$1\" = configure ]; then".to_string()];
    if has("usr/lib/sysusers.d/") {
        after.push("    if command -v systemd-sysusers >/dev/null; then systemd-sysusers; fi".into());
    }
    if has("usr/lib/tmpfiles.d/") {
        after.push("    if command -v systemd-tmpfiles >/dev/null; then systemd-tmpfiles --create || true; fi".into());
    }
    after.push(format!("    {booted} systemctl daemon-reload || true; fi"));
    if !units.is_empty() {
        // Only the first installation decides; an upgrade keeps what the administrator has chosen.
        after.push(format!(
            "    if [ -z \"$2\" ] && command -v systemctl >/dev/null; then systemctl preset {words} >/dev/null || true; fi"
        ));
    }
    after.push("fi".to_string());
    let mut before = vec!["if [ \"$1\" = remove ]; then".to_string()];
    if !units.is_empty() {
        before.push(format!("    {booted} systemctl stop {words} || true; fi"));
        before.push(format!(
            "    if command -v systemctl >/dev/null; then systemctl disable {words} >/dev/null || true; fi"
        ));
    }
    before.extend(["    :".to_string(), "fi".to_string()]);
    let gone = vec![format!("{booted} systemctl daemon-reload || true; fi")];
    let executable = |path: &str, lines: &[String]| Artifact { mode: 0o755, ..Artifact::new(path, script(lines)) };
    let mut all = vec![Artifact::new("control", control)];
    if !conffiles.is_empty() {
        all.push(Artifact::new("conffiles", conffiles));
    }
    all.push(executable("postinst", &after));
    all.push(executable("postrm", &gone));
    all.push(executable("prerm", &before));
    Some(all)
}

/// A tar archive (ustar) of files and the folders above them; `None` when a path is too long.
fn tar(files: &[Artifact]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut folders = BTreeSet::from([String::new()]);
    out.extend(header("./", b'5', 0o755, 0)?);
    for file in files {
        let mut end = 0;
        while let Some(at) = file.path.get(end..).and_then(|rest| rest.find('/')) {
            end += at + 1;
            let folder = file.path.get(..end)?.to_string();
            if folders.insert(folder.clone()) {
                out.extend(header(&format!("./{folder}"), b'5', 0o755, 0)?);
            }
        }
        out.extend(header(&format!("./{}", file.path), b'0', file.mode, file.contents.len())?);
        out.extend(file.contents.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    Some(out)
}

/// One header of 512 bytes. A path over 100 bytes is split at a slash.
fn header(path: &str, kind: u8, mode: u32, size: usize) -> Option<[u8; 512]> {
    let (prefix, name) = if path.len() <= 100 {
        ("", path)
    } else {
        let cut = path.char_indices().find(|(at, c)| *c == '/' && path.len() - at - 1 <= 100)?.0;
        (path.get(..cut)?, path.get(cut + 1..)?)
    };
    if prefix.len() > 155 || name.is_empty() {
        return None;
    }
    let mut block = [0; 512];
    let mut put = |at: usize, text: &str| {
        block.iter_mut().skip(at).zip(text.bytes()).for_each(|(slot, byte)| *slot = byte);
    };
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, if kind == b'5' { "5" } else { "0" });
    put(257, "ustar\u{0}00");
    put(265, "root");
    put(297, "root");
    put(345, prefix);
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    let text = format!("{sum:06o}\u{0} ");
    block.iter_mut().skip(148).zip(text.bytes()).for_each(|(slot, byte)| *slot = byte);
    Some(block)
}

/// An `ar` archive.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len()).as_bytes());
        out.extend(*bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_are_split_and_longer_ones_refused() {
        let long = format!("./usr/share/{}/{}", "a".repeat(60), "b".repeat(60));
        assert!(header(&long, b'0', 0o644, 0).is_some_and(|block| block[345] != 0));
        assert!(header(&"c".repeat(101), b'0', 0o644, 0).is_none());
        assert!(header(&format!("{}/x", "d".repeat(200)), b'0', 0o644, 0).is_none());
    }
}
