//! `virtc deploy`: a built tree onto a host, with a look at what changes first, and a way back.

use super::run::fail;
use super::{Exit, Shared, complain, helper, print, tree};
use crate::emit::Artifact;
use crate::run::remote::{self, Connection, Remote, quoted};
use similar::TextDiff;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

// Arguments of `virtc deploy`.
#[derive(clap::Args)]
pub struct Args {
    /// The tree that `virtc build` wrote
    #[arg(required_unless_present = "rollback")]
    tree: Option<PathBuf>,
    /// Show what would change, and change nothing; the exit status is 3 if something would
    #[arg(long)]
    dry_run: bool,
    /// Put back what the last deployment replaced
    #[arg(long, conflicts_with_all = ["tree", "dry_run"])]
    rollback: bool,
    /// Deploy below this directory instead of the host's root
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Do not tell systemd and AppArmor about it
    #[arg(long)]
    no_reload: bool,
}

/// Where the last deployment is remembered, below the root.
const MEMORY: &str = "var/lib/virtc/deployed";

/// One file that differs.
struct Change {
    path: String,
    /// What is there; `None` when it is new.
    old: Option<Artifact>,
    /// What is to be there; `None` when it goes.
    new: Option<Artifact>,
}

/// Deploys, here or on another host.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    if let Some(uri) = &shared.connect {
        match remote::parse(uri) {
            Ok(Connection { host: Some(host), .. }) => return to_host(args, &host, shared),
            Ok(_) => {}
            Err(fault) => {
                fail(&fault, shared);
                return Exit::Usage;
            }
        }
    }
    if args.rollback {
        return rollback(args);
    }
    let Some(folder) = &args.tree else { return Exit::Usage };
    let artifacts = match collect(folder) {
        Ok(artifacts) if artifacts.is_empty() => {
            complain(&format!("{} holds no built tree", folder.display()));
            return Exit::Input;
        }
        Ok(artifacts) => artifacts,
        Err(why) => {
            complain(&why);
            return Exit::Environment;
        }
    };
    let changes = changes(&args.root, &artifacts);
    let shown = print(&changes.iter().map(show).collect::<String>());
    if changes.is_empty() {
        if !shared.quiet {
            complain("nothing changes");
        }
        return shown;
    }
    if args.dry_run {
        return Exit::Differs;
    }
    let done = remember(&args.root, &changes)
        .and_then(|()| tree::write(&args.root, &artifacts).map_err(|fault| fault.to_string()))
        .and_then(|()| match artifacts.iter().any(|a| helper::is_called(&a.contents)) {
            true => helper::install(&args.root).map(drop),
            false => Ok(()),
        });
    if let Err(why) = done {
        complain(&why);
        return Exit::Environment;
    }
    if !shared.quiet {
        complain(&format!("{} files changed; virtc deploy --rollback puts them back", changes.len()));
    }
    reload(args, &changes, shared)
}

/// All files of a tree, relative to it, in order. What stands at its top (dependency files) is for make, not for the host.
pub fn collect(folder: &Path) -> Result<Vec<Artifact>, String> {
    let mut artifacts = Vec::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(next) = left.pop() {
        let failed = |path: &Path, e: std::io::Error| format!("cannot read {}: {e}", path.display());
        for entry in std::fs::read_dir(&next).map_err(|e| failed(&next, e))? {
            let path = entry.map_err(|e| failed(&next, e))?.path();
            let kind = std::fs::symlink_metadata(&path).map_err(|e| failed(&path, e))?;
            if kind.is_dir() {
                left.push(path);
                continue;
            }
            let Ok(inner) = path.strip_prefix(folder) else { continue };
            if inner.components().count() < 2 {
                continue;
            }
            if !kind.is_file() {
                return Err(format!("{} is not a regular file", path.display()));
            }
            let mode = kind.permissions().mode() & 0o7777;
            // No output of virtc is so: somebody has put it there.
            if mode & 0o7002 != 0 {
                let why = "a file of a tree has no special bits, and not everybody writes it";
                return Err(format!("{} has the mode {mode:o}: {why}", path.display()));
            }
            if inner.to_str().is_none_or(|name| name.chars().any(char::is_control)) {
                return Err(format!("{:?} is no name of a file of a tree", inner));
            }
            let contents = std::fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
            artifacts.push(Artifact { path: inner.display().to_string(), contents, mode });
        }
    }
    artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(artifacts)
}

/// A file below the root, if it is there.
fn present(root: &Path, path: &str) -> Option<Artifact> {
    let place = root.join(path);
    let contents = std::fs::read(&place).ok()?;
    let mode = std::fs::metadata(&place).ok()?.permissions().mode() & 0o7777;
    Some(Artifact { path: path.to_string(), contents: String::from_utf8_lossy(&contents).into_owned(), mode })
}

/// What a deployment changes.
fn changes(root: &Path, artifacts: &[Artifact]) -> Vec<Change> {
    let files: BTreeSet<String> = artifacts.iter().map(|a| a.path.clone()).collect();
    let mut changes: Vec<Change> = tree::stale(root, artifacts, &files)
        .into_iter()
        .filter_map(|path| {
            let old = present(root, &path)?;
            Some(Change { path, old: Some(old), new: None })
        })
        .collect();
    for artifact in artifacts {
        let old = present(root, &artifact.path);
        if !old.as_ref().is_some_and(|o| o.contents == artifact.contents && o.mode == artifact.mode) {
            changes.push(Change { path: artifact.path.clone(), old, new: Some(artifact.clone()) });
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// A change as a unified diff.
fn show(change: &Change) -> String {
    let text = |side: &Option<Artifact>| side.as_ref().map(|a| a.contents.clone()).unwrap_or_default();
    let name = |side: &Option<Artifact>| match side {
        Some(_) => format!("/{}", change.path),
        None => "/dev/null".to_string(),
    };
    let (old, new) = (text(&change.old), text(&change.new));
    let diff = TextDiff::from_lines(&old, &new);
    let mut out = diff.unified_diff().header(&name(&change.old), &name(&change.new)).to_string();
    if let (Some(old), Some(new)) = (&change.old, &change.new)
        && old.mode != new.mode
    {
        out.push_str(&format!("/{}: mode {:o} becomes {:o}\n", change.path, old.mode, new.mode));
    }
    out
}

/// Keeps what a deployment replaces: the old files below `files`, and the list of what is new.
fn remember(root: &Path, changes: &[Change]) -> Result<(), String> {
    tree::inside(root, Path::new(MEMORY)).map_err(|fault| fault.to_string())?;
    for change in changes {
        tree::inside(root, Path::new(&change.path)).map_err(|fault| fault.to_string())?;
    }
    let memory = root.join(MEMORY);
    let failed = |path: &Path, e: std::io::Error| format!("cannot write {}: {e}", path.display());
    let fresh = memory.with_extension("new");
    let _ = std::fs::remove_dir_all(&fresh);
    std::fs::create_dir_all(&fresh).map_err(|e| failed(&fresh, e))?;
    let mut added = String::new();
    for change in changes {
        match &change.old {
            None => {
                added.push_str(&change.path);
                added.push('\n');
            }
            Some(_) => {
                let kept = fresh.join("files").join(&change.path);
                if let Some(parent) = kept.parent() {
                    std::fs::create_dir_all(parent).map_err(|e| failed(parent, e))?;
                }
                std::fs::copy(root.join(&change.path), &kept).map_err(|e| failed(&kept, e))?;
            }
        }
    }
    let list = fresh.join("added");
    std::fs::write(&list, added).map_err(|e| failed(&list, e))?;
    let _ = std::fs::remove_dir_all(&memory);
    std::fs::rename(&fresh, &memory).map_err(|e| failed(&memory, e))
}

/// Puts back what the last deployment replaced, and removes what it added.
fn rollback(args: &Args) -> Exit {
    if let Err(fault) = tree::inside(&args.root, Path::new(MEMORY)) {
        complain(&fault.to_string());
        return Exit::Environment;
    }
    let memory = args.root.join(MEMORY);
    let Ok(added) = std::fs::read_to_string(memory.join("added")) else {
        complain("there is no deployment to roll back");
        return Exit::Environment;
    };
    let kept = memory.join("files");
    let artifacts = match if kept.exists() { collect(&kept) } else { Ok(Vec::new()) } {
        Ok(artifacts) => artifacts,
        Err(why) => {
            complain(&why);
            return Exit::Environment;
        }
    };
    let stale: BTreeSet<String> = added.lines().map(str::to_string).collect();
    let changes: Vec<Change> = artifacts
        .iter()
        .map(|a| Change { path: a.path.clone(), old: None, new: Some(a.clone()) })
        .chain(stale.iter().map(|p| Change { path: p.clone(), old: None, new: None }))
        .collect();
    let result = tree::Staging::new(&args.root).and_then(|staging| {
        artifacts.iter().try_for_each(|artifact| staging.add(artifact))?;
        staging.commit(&artifacts.iter().map(|a| a.path.clone()).collect(), &stale)
    });
    if let Err(fault) = result {
        complain(&fault.to_string());
        return Exit::Environment;
    }
    let _ = std::fs::remove_dir_all(&memory);
    complain(&format!("{} files put back, {} removed", artifacts.len(), stale.len()));
    reload(args, &changes, &Shared::default())
}

/// Tells systemd and AppArmor, and says which machines run with what they had before.
fn reload(args: &Args, changes: &[Change], shared: &Shared) -> Exit {
    let units: Vec<&str> = changes
        .iter()
        .filter(|c| c.path.contains("/systemd/"))
        .filter_map(|c| c.path.rsplit('/').next().filter(|f| f.ends_with(".service") && c.new.is_some()))
        .collect();
    if args.no_reload || args.root != Path::new("/") || !Path::new("/run/systemd/system").exists() {
        return Exit::Done;
    }
    let mut exit = Exit::Done;
    let mut tell = |program: &str, arguments: &[&str]| {
        if !Command::new(program).args(arguments).status().is_ok_and(|s| s.success()) {
            complain(&format!("{program} {} failed", arguments.join(" ")));
            exit = Exit::Environment;
        }
    };
    if changes.iter().any(|c| c.path.starts_with("usr/lib/sysusers.d/") && c.new.is_some()) {
        tell("systemd-sysusers", &[]);
    }
    let files = changes.iter().filter(|c| c.path.starts_with("usr/lib/tmpfiles.d/") && c.new.is_some());
    let files: Vec<String> = files.map(|c| format!("/{}", c.path)).collect();
    if !files.is_empty() {
        // What is not there yet is prepared before the start.
        let words: Vec<&str> = ["--create"].into_iter().chain(files.iter().map(String::as_str)).collect();
        let _ = Command::new("systemd-tmpfiles").args(words).status();
    }
    if changes.iter().any(|c| c.path.starts_with("usr/lib/udev/rules.d/")) {
        tell("udevadm", &["control", "--reload"]);
        tell("udevadm", &TRIGGER);
        give_back_devices(changes);
    }
    if changes.iter().any(|c| c.path.starts_with("usr/lib/systemd/network/")) {
        // Where networkd does not run yet, the first machine starts it.
        let _ = Command::new("networkctl").arg("reload").stderr(std::process::Stdio::null()).status();
    }
    tell("systemctl", &["daemon-reload"]);
    let modules = changes.iter().filter(|c| c.path.ends_with(".cil") && c.new.is_some());
    let modules: Vec<String> = modules.map(|c| format!("/{}", c.path)).collect();
    if !modules.is_empty() && Path::new("/sys/fs/selinux/enforce").exists() {
        complain(&format!(
            "SELinux is on: semodule -i {}; setsebool -P systemd_tmpfiles_manage_all on",
            modules.join(" ")
        ));
    }
    let running = |unit: &&&str| {
        Command::new("systemctl").args(["is-active", "--quiet", unit]).status().is_ok_and(|status| status.success())
    };
    let running: Vec<&&str> = units.iter().filter(running).collect();
    if !running.is_empty() && !shared.quiet {
        let names = running.iter().map(|u| **u).collect::<Vec<_>>().join(" ");
        complain(&format!("these run with what they had before: systemctl restart {names}"));
    }
    exit
}

/// Nodes that rules give to accounts.
pub const TRIGGER: [&str; 7] = [
    "trigger",
    "--settle",
    "--subsystem-match=usb",
    "--subsystem-match=input",
    "--subsystem-match=block",
    "--subsystem-match=vfio",
    "--subsystem-match=tty",
];

/// An owner stays when the rule that gave it is gone: nodes of accounts whose rules were removed become root's again.
fn give_back_devices(changes: &[Change]) {
    let gone = changes.iter().filter(|c| c.path.starts_with("usr/lib/udev/rules.d/") && c.new.is_none());
    let accounts = gone.filter_map(|c| {
        let (_, rest) = c.old.as_ref()?.contents.split_once("OWNER=\"")?;
        Some(rest.split_once('"')?.0.to_string())
    });
    for account in accounts {
        let _ = Command::new("find")
            .args(["/dev", "-xdev", "-user", &account, "!", "-type", "l", "-exec", "chown", "-h", "root", "{}", "+"])
            .status();
    }
}

/// Sends the tree to another host, and deploys it there.
fn to_host(args: &Args, host: &Remote, shared: &Shared) -> Exit {
    let mut words = vec!["virtc".to_string(), "deploy".to_string()];
    words.extend(args.dry_run.then(|| "--dry-run".to_string()));
    words.extend(args.no_reload.then(|| "--no-reload".to_string()));
    words.extend(shared.quiet.then(|| "--quiet".to_string()));
    words.extend(["--root".to_string(), args.root.display().to_string()]);
    let mut ssh = host.ssh();
    let Some(folder) = args.tree.as_ref().filter(|_| !args.rollback) else {
        words.push("--rollback".to_string());
        ssh.arg(words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" "));
        return finish(ssh.status(), "ssh");
    };
    let command = words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ");
    // The folder there goes again, whatever comes of it.
    ssh.arg(format!("d=$(mktemp -d) && tar -xf - -C \"$d\" && {command} \"$d\"; s=$?; rm -rf \"$d\"; exit $s"));
    let mut tar = match Command::new("tar").arg("-C").arg(folder).args(["-cf", "-", "."]).stdout(Stdio::piped()).spawn()
    {
        Ok(tar) => tar,
        Err(e) => {
            complain(&format!("cannot start tar: {e}"));
            return Exit::Environment;
        }
    };
    if let Some(stream) = tar.stdout.take() {
        ssh.stdin(stream);
    }
    let exit = finish(ssh.status(), "ssh");
    match tar.wait() {
        Ok(status) if status.success() => exit,
        _ => exit.and(Exit::Environment),
    }
}

fn finish(status: std::io::Result<std::process::ExitStatus>, program: &str) -> Exit {
    match status.map(|s| s.code()) {
        Ok(Some(0)) => Exit::Done,
        Ok(Some(1)) => Exit::Input,
        Ok(Some(2)) => Exit::Usage,
        Ok(Some(3)) => Exit::Differs,
        Ok(_) => Exit::Environment,
        Err(e) => {
            complain(&format!("cannot start {program}: {e}"));
            Exit::Environment
        }
    }
}
