//! `virtc package --deb`: a built tree as a Debian package that `dpkg -i` installs.
//!
//! The archive is written here, without a tool: an `ar` of two uncompressed tars. Times are 0 and owners
//! root, so that the same tree gives the same bytes.

use super::deploy::{TRIGGER, collect};
use super::{Exit, Shared, complain, helper};
use crate::emit::Artifact;
use crate::emit::systemd::TARGET;
use crate::plan::Plan;
use crate::run::debian_package;
use std::collections::BTreeSet;
use std::path::PathBuf;

// Arguments of `virtc package`.
#[derive(clap::Args)]
pub struct Args {
    /// The tree that `virtc build` wrote
    #[arg(required_unless_present = "common")]
    tree: Option<PathBuf>,
    /// Make the package that those of machines depend on: the helper of their units
    #[arg(long, conflicts_with_all = ["tree", "name"])]
    common: bool,
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
    let Some(tree) = &args.tree else { return common(args, shared) };
    let mut files = match collect(tree) {
        Ok(files) if files.is_empty() => {
            complain(&format!("{} holds no built tree", tree.display()));
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
    }
    let targets = set_targets_apart(&args.name, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let archive = control(args, &files, &units, &targets)
        .and_then(|control| Some(package(&tar(&members(&control))?, &tar(&members(&files))?)));
    let Some(archive) = archive else {
        complain("a path of the tree is too long for a package");
        return Exit::Input;
    };
    let path =
        args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}_{}_all.deb", args.name, args.package_version)));
    match std::fs::write(&path, archive) {
        Ok(()) => {
            if !shared.quiet {
                let machines = units.iter().filter(|unit| *unit != TARGET).count();
                complain(&format!("{}: {} files, {machines} machines", path.display(), files.len()));
            }
            Exit::Done
        }
        Err(e) => {
            complain(&format!("cannot write {}: {e}", path.display()));
            Exit::Environment
        }
    }
}

/// A file of an archive: path, permission bits, bytes.
type Member<'a> = (&'a str, u32, &'a [u8]);

fn members(files: &[Artifact]) -> Vec<Member<'_>> {
    files.iter().map(|f| (f.path.as_str(), f.mode, f.contents.as_bytes())).collect()
}

fn package(control: &[u8], data: &[u8]) -> Vec<u8> {
    archive(&[("debian-binary", b"2.0\n"), ("control.tar", control), ("data.tar", data)])
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
    let name = helper::PACKAGE;
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let control = format!(
        "Package: {name}\nVersion: {}\nArchitecture: {architecture}\nMaintainer: {}\nInstalled-Size: {}\nSection: admin\n\
         Priority: optional\nDepends: libc6\nDescription: what units of virtual machines share\n \
         The helper that waits for guests, and powers them down.\n",
        args.package_version,
        args.maintainer,
        helper.len().div_ceil(1024)
    );
    let control = [("control", 0o644, control.as_bytes())];
    let files: [Member<'_>; 1] = [(helper::PLACE, 0o755, &helper)];
    let Some(archive) = tar(&control).zip(tar(&files)).map(|(control, data)| package(&control, &data)) else {
        return Exit::Environment;
    };
    let path = args.output.clone();
    let path = path.unwrap_or_else(|| PathBuf::from(format!("{name}_{}_{architecture}.deb", args.package_version)));
    match std::fs::write(&path, archive) {
        Ok(()) => {
            if !shared.quiet {
                complain(&format!("{}: {}", path.display(), helper::PLACE));
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
        // Nothing that a program could take for an option.
        .filter(|unit| unit.starts_with("virtc"))
        .collect()
}

/// Whether a word is the name of a package: a plan says what it likes, and this goes into a control file.
fn is_package(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.');
    name.len() > 1 && name.bytes().all(fits) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// A word of a shell: quoted where it has to be. A unit may have blanks and backslashes in its name.
fn word(text: &str) -> String {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.@-+".contains(&b));
    if plain && !text.is_empty() { text.to_string() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The packages that bring the programs of the machines.
fn depends(files: &[Artifact]) -> BTreeSet<String> {
    files
        .iter()
        .filter(|f| f.path.ends_with("/plan.json"))
        .filter_map(|f| Plan::read(f.contents.as_bytes()).ok())
        .flat_map(|plan| plan.processes)
        .filter(|process| process.program.starts_with("/usr/bin/") || process.program.starts_with("/usr/lib"))
        .map(|process| debian_package(&process.program))
        .filter(|name| is_package(name))
        .collect()
}

/// The unit that stands for all machines of a host or of a user: every package brings it, and Debian lets only one
/// package have a file.
struct SharedTarget {
    /// Where it has to be.
    place: String,
    /// This package's own copy.
    copy: String,
    /// All packages' copies, for a shell.
    copies: String,
}

/// Moves the targets to where no other package has a file. The scripts put them in place, and away with the last package.
fn set_targets_apart(package: &str, files: &mut [Artifact]) -> Vec<SharedTarget> {
    let mut targets = Vec::new();
    for file in files {
        let kind = file.path.strip_prefix("usr/lib/systemd/").and_then(|path| path.split_once('/'));
        let Some((kind, _)) = kind.filter(|(_, name)| *name == TARGET) else { continue };
        let below = |package: &str| format!("usr/lib/virtc/{package}/{kind}/{TARGET}");
        let (copy, copies) = (below(package), below("*"));
        let place = std::mem::replace(&mut file.path, copy.clone());
        targets.push(SharedTarget { place, copy, copies });
    }
    targets
}

/// A script of the package. `$DPKG_ROOT` is set where another root than this one is filled; nothing runs there.
fn script(package: &str, lines: &[String]) -> String {
    // That the package was removed before is noted: its units were disabled then, and are to be enabled again.
    let mut text =
        format!("#!/bin/sh\nset -e\nroot=${{DPKG_ROOT:-}}\nremoved=$root/var/lib/virtc/.packages/{package}.removed\n");
    text.push_str(
        "\
         booted() { [ -z \"$root\" ] && [ -d /run/systemd/system ]; }\n\
         units() { if command -v systemctl >/dev/null; then systemctl ${root:+--root=\"$root\"} \"$@\" >/dev/null || true; fi; }\n",
    );
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// What is done behind the unpacking.
fn postinst(files: &[Artifact], units: &[String], targets: &[SharedTarget]) -> Vec<String> {
    let has = |folder: &str| files.iter().any(|f| f.path.starts_with(folder));
    let mut lines = vec!["if [ \"$1\" = configure ]; then".to_string(), "    new=".to_string()];
    for SharedTarget { place, copy, .. } in targets {
        if units.iter().any(|unit| place.ends_with(&format!("/system/{unit}"))) {
            lines.push(format!("    [ -e \"$root/{place}\" ] || new={TARGET}"));
        }
        lines.push(format!("    install -D -m 0644 \"$root/{copy}\" \"$root/{place}\""));
    }
    if has("usr/lib/sysusers.d/") {
        let line = "    if command -v systemd-sysusers >/dev/null; then systemd-sysusers ${root:+--root=\"$root\"}; fi";
        lines.push(line.to_string());
    }
    if has("usr/lib/udev/rules.d/") {
        lines.push(
            "    if booted; then udevadm control --reload || true; udevadm ".to_string()
                + &TRIGGER.join(" ")
                + " || true; fi",
        );
    }
    if has("usr/lib/systemd/network/") {
        lines.push("    if booted; then networkctl reload 2>/dev/null || true; fi".to_string());
    }
    let own = own(units);
    if !units.is_empty() {
        // Only the first installation decides; an upgrade keeps what the administrator has chosen.
        lines.push(format!("    if [ -z \"$2\" ] || [ -e \"$removed\" ]; then units preset {own} $new; fi"));
        lines.push("    rm -f \"$removed\"".to_string());
    }
    lines.push("    if booted; then systemctl daemon-reload || true; fi".to_string());
    lines.push("fi".to_string());
    lines
}

/// What is done before the removal.
fn prerm(units: &[String], targets: &[SharedTarget]) -> Vec<String> {
    let mut lines = vec!["if [ \"$1\" = remove ]; then".to_string()];
    let own = own(units);
    if !units.is_empty() {
        lines.push(format!("    if booted; then systemctl stop {own} || true; fi"));
        lines.push(format!("    units disable {own}"));
        lines.push("    install -D -m 0644 /dev/null \"$removed\"".to_string());
    }
    for SharedTarget { place, copy, copies } in targets {
        lines.push("    last=yes".to_string());
        lines.push(format!(
            "    for f in \"$root\"/{copies}; do [ ! -e \"$f\" ] || [ \"$f\" = \"$root/{copy}\" ] || last=; done"
        ));
        lines.push("    if [ -n \"$last\" ]; then".to_string());
        if place.contains("/system/") {
            lines.push(format!("        if booted; then systemctl stop {TARGET} || true; fi"));
            lines.push(format!("        units disable {TARGET}"));
        }
        lines.push(format!("        rm -f \"$root/{place}\""));
        lines.push("    fi".to_string());
    }
    lines.extend(["    :".to_string(), "fi".to_string()]);
    lines
}

/// The units that no other package has.
fn own(units: &[String]) -> String {
    Vec::from_iter(units.iter().filter(|unit| *unit != TARGET).map(|unit| word(unit))).join(" ")
}

/// The control files.
fn control(args: &Args, files: &[Artifact], units: &[String], targets: &[SharedTarget]) -> Option<Vec<Artifact>> {
    let kib = files.iter().map(|f| f.contents.len().div_ceil(1024)).sum::<usize>();
    let mut control = format!(
        "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: {}\nInstalled-Size: {kib}\nSection: admin\nPriority: optional\n",
        args.name, args.package_version, args.maintainer
    );
    let mut depends = depends(files);
    if files.iter().any(|f| helper::is_called(&f.contents)) {
        depends.insert(helper::PACKAGE.to_string());
    }
    let depends = Vec::from_iter(depends).join(", ");
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
    let gone = [
        "if booted; then systemctl daemon-reload || true; fi",
        "if [ \"$1\" = purge ]; then rm -f \"$removed\"; rmdir \"${removed%/*}\" 2>/dev/null || true; fi",
    ];
    let executable =
        |path: &str, lines: &[String]| Artifact { mode: 0o755, ..Artifact::new(path, script(&args.name, lines)) };
    let mut all = vec![Artifact::new("control", control)];
    if !conffiles.is_empty() {
        all.push(Artifact::new("conffiles", conffiles));
    }
    all.push(executable("postinst", &postinst(files, units, targets)));
    all.push(executable("postrm", &gone.map(str::to_string)));
    all.push(executable("prerm", &prerm(units, targets)));
    Some(all)
}

/// A tar archive (ustar) of files and the folders above them; `None` when a path is too long.
fn tar(files: &[Member<'_>]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut folders = BTreeSet::from([String::new()]);
    out.extend(header("./", b'5', 0o755, 0)?);
    for &(path, mode, bytes) in files {
        let mut end = 0;
        while let Some(at) = path.get(end..).and_then(|rest| rest.find('/')) {
            end += at + 1;
            let folder = path.get(..end)?.to_string();
            if folders.insert(folder.clone()) {
                out.extend(header(&format!("./{folder}"), b'5', 0o755, 0)?);
            }
        }
        out.extend(header(&format!("./{path}"), b'0', mode, bytes.len())?);
        out.extend(bytes);
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
