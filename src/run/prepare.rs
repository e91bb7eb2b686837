//! Directories, files, secrets and sockets: made before the start, removed after the stop.

use super::errors::{Fault, WithHelp, fault};
use super::journal::{Entry, Journal};
use super::own::{self, Account};
use super::process::{self, ProcessRef};
use super::registry::Registry;
use super::{Options, groups, links, profiles, shaping};
use crate::diag::codes::run as codes;
use crate::emit::tmpfiles::is_copied_at_start;
use crate::plan::{DirectoryRole, Overlay, Plan, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::process::Signal;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

fn cannot(what: &str, path: &Path, error: std::io::Error) -> Fault {
    let denied = error.kind() == ErrorKind::PermissionDenied;
    let fault = fault(&codes::PREPARE, format!("cannot {what} {}: {error}", path.display()));
    if denied && !rustix::process::geteuid().is_root() {
        return fault.with_help("run as root, or compile for the session: --connect qemu:///session");
    }
    fault
}

/// Makes everything that must exist before the first process starts.
pub(super) fn prepare(
    plan: &Plan,
    options: &Options,
    account: Option<&Account>,
    journal: &mut Journal,
) -> Result<(), Fault> {
    for directory in &plan.directories {
        let path = Path::new(&directory.path);
        make_directory(path, directory.mode, directory.role, journal)?;
        own::hand_over(path, account)?;
    }
    for file in &plan.files {
        make_file(Path::new(&file.path), file.template.as_deref().map(Path::new), account)?;
    }
    for inherited in &plan.inherited {
        let from = Path::new(&inherited.from);
        if from.exists() {
            make_file(Path::new(&inherited.path), Some(from), account)?;
        }
    }
    for overlay in &plan.overlays {
        make_overlay(overlay, account, journal)?;
    }
    for secret in &plan.secrets {
        make_secret(secret, options, account, journal)?;
    }
    for socket in &plan.sockets {
        free_socket(Path::new(&socket.path), journal)?;
    }
    Ok(())
}

/// Makes the files of a plan that are copied from a template which others than root can have made, for the account of the
/// machine. Those that are there stay.
pub fn copy_templates(plan: &Plan) -> Result<(), Fault> {
    let account = own::account(plan)?;
    for file in plan.files.iter().filter(|file| is_copied_at_start(file)) {
        make_file(Path::new(&file.path), file.template.as_deref().map(Path::new), account.as_ref())?;
    }
    Ok(())
}

fn make_directory(path: &Path, mode: u32, role: DirectoryRole, journal: &mut Journal) -> Result<(), Fault> {
    let folder = own::Folder::of(path).map_err(|e| cannot("make", path, e))?;
    let transient = matches!(role, DirectoryRole::Runtime | DirectoryRole::Memory);
    // The entry goes first; an entry for a directory that was there before would remove a stranger's files.
    let exists = path.symlink_metadata();
    match exists {
        Ok(meta) if meta.is_dir() => {
            // One that holds nothing but dead sockets is what a start by hand leaves.
            if role == DirectoryRole::Runtime && holds_only_sockets(path) {
                journal.add(Entry::RunDirectory(path.to_path_buf()))?;
                std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|e| cannot("use", path, e))?;
            }
        }
        Ok(_) => return Err(cannot("use", path, ErrorKind::NotADirectory.into())),
        Err(_) => {
            if transient {
                journal.add(Entry::RunDirectory(path.to_path_buf()))?;
            }
            let place = folder.join(path.file_name().unwrap_or_default());
            DirBuilder::new().mode(mode).create(&place).map_err(|e| cannot("make", path, e))?;
            // The umask does not apply to what the Plan says.
            std::fs::set_permissions(&place, Permissions::from_mode(mode)).map_err(|e| cannot("make", path, e))?;
        }
    }
    Ok(())
}

fn holds_only_sockets(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| {
        entries.all(|entry| entry.and_then(|e| e.file_type()).is_ok_and(|kind| kind.is_socket()))
    })
}

/// Makes a file that survives the run (NVRAM) from its template, complete or not at all. One that is empty is what a power cut
/// has left: nothing is in it, and QEMU takes no empty flash.
fn make_file(path: &Path, template: Option<&Path>, account: Option<&Account>) -> Result<(), Fault> {
    let empty = template.is_some() && path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() == 0);
    if path.exists() && !empty {
        return Ok(());
    }
    let Some(template) = template else {
        return Err(fault(
            &codes::PREPARE,
            format!("{} is not there, and there is no template for it", path.display()),
        ));
    };
    let folder = own::Folder::of(path).map_err(|e| cannot("make", path, e))?;
    let bytes = own::read(template).map_err(|e| cannot("read the template", template, e))?;
    let name = path.file_name().unwrap_or_default();
    let mut draft = name.to_os_string();
    draft.push(format!(".new{}", std::process::id()));
    let new = folder.join(&draft);
    let written = new_file(&new)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .map_err(|e| cannot("write", path, e))
        .and_then(|()| own::hand_over(&new, account))
        .and_then(|()| std::fs::rename(&new, folder.join(name)).map_err(|e| cannot("make", path, e)));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

/// Makes the overlay of a transient disk anew: what an earlier run has left is not wanted. Its folder is the guest's, who may
/// have put a link there, which qemu-img would follow: it is made beside the journal.
fn make_overlay(overlay: &Overlay, account: Option<&Account>, journal: &mut Journal) -> Result<(), Fault> {
    let path = Path::new(&overlay.path);
    let place = match (path.parent().map(own::resolve), path.file_name()) {
        (Some(folder), Some(name)) => folder.map_err(|e| cannot("make", path, e))?.join(name),
        _ => return Err(cannot("make", path, ErrorKind::InvalidInput.into())),
    };
    let path = place.as_path();
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(cannot("remove", path, error)),
        _ => {}
    }
    journal.add(Entry::File(path.to_path_buf()))?;
    super::start::has_program(Overlay::PROGRAM)?;
    let draft = journal.path().with_extension("overlay");
    journal.add(Entry::File(draft.clone()))?;
    let draft_path = draft.to_string_lossy();
    let made = std::process::Command::new(Overlay::PROGRAM)
        .args(overlay.arguments(&draft_path))
        .env("LC_ALL", "C")
        .output()
        .map_err(|e| cannot("make", path, e))?;
    let contents = std::fs::read(&draft);
    let _ = std::fs::remove_file(&draft);
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr);
        return Err(fault(
            &codes::PREPARE,
            format!("cannot make the overlay of a transient disk over {}: {}", overlay.base, said.trim()),
        ));
    }
    let written = contents.and_then(|bytes| new_file(path)?.write_all(&bytes));
    written.map_err(|e| cannot("make", path, e))?;
    own::hand_over(path, account)
}

/// A file that was not there, for its owner alone.
fn new_file(path: &Path) -> std::io::Result<std::fs::File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Puts the value of a secret where QEMU looks for it, unless it is there.
fn make_secret(
    secret: &Secret,
    options: &Options,
    account: Option<&Account>,
    journal: &mut Journal,
) -> Result<(), Fault> {
    let path = Path::new(&secret.path);
    if path.exists() {
        return Ok(());
    }
    let name = secret.source.replace('/', "%2F");
    let from = options.secrets.join(&name);
    let encoded = options.secrets.join(format!("{name}.base64"));
    let of_host = options.secret_values.0.iter().find(|(source, _)| *source == secret.source);
    let read = match of_host {
        Some((_, value)) => Ok(value.clone().into_bytes()),
        None => std::fs::read(&from),
    };
    let value = match (read, std::fs::read(&encoded)) {
        (Ok(value), _) if secret.base64 => BASE64.encode(&value).into_bytes(),
        (Ok(value), _) => value,
        (Err(_), Ok(value)) if secret.base64 => value,
        (Err(_), Ok(value)) => BASE64
            .decode(value.trim_ascii())
            .map_err(|_| fault(&codes::NO_SECRET, format!("{} does not hold base64", encoded.display())))?,
        (Err(error), Err(_)) => {
            let why = if error.kind() == ErrorKind::NotFound { String::new() } else { format!(" ({error})") };
            return Err(fault(
                &codes::NO_SECRET,
                format!("the secret '{}' of {} has no value on this host{why}", secret.source, secret.cause.what),
            )
            .with_help(format!(
                "put the value into {} (mode 0600), or name another directory with --secrets",
                from.display()
            )));
        }
    };
    if let Some(parent) = path.parent() {
        // In the machine's own run-time directory, this goes with it; elsewhere it stays.
        let fresh = !parent.exists();
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|e| cannot("make", parent, e))?;
        if fresh {
            own::hand_over(parent, account)?;
        }
    }
    journal.add(Entry::File(path.to_path_buf()))?;
    new_file(path).and_then(|mut file| file.write_all(&value)).map_err(|e| cannot("write", path, e))?;
    own::hand_over(path, account)
}

/// Removes a socket that nobody listens on any more, and notes that a process of ours will make it.
fn free_socket(path: &Path, journal: &mut Journal) -> Result<(), Fault> {
    if let Ok(meta) = path.symlink_metadata() {
        if !meta.file_type().is_socket() {
            return Err(fault(&codes::PREPARE, format!("{} is in the way: it is not a socket", path.display())));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(fault(&codes::PREPARE, format!("another process listens on {}", path.display())));
        }
        std::fs::remove_file(path).map_err(|e| cannot("remove", path, e))?;
    }
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(|e| cannot("make", parent, e))?;
    }
    journal.add(Entry::Socket(path.to_path_buf()))
}

/// How long a process may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Undoes everything in the journal, last first, and removes it. Returns what could not be undone; then
/// the journal stays, for another try.
pub(super) fn undo(journal: Journal, registry: &Registry) -> Vec<String> {
    let mut left = Vec::new();
    // A runner may have been killed between starting a process and writing its number down.
    for _ in 0..3 {
        let strays = process::marked(journal.path());
        if strays.is_empty() {
            break;
        }
        for stray in strays {
            end(stray);
        }
    }
    for entry in journal.entries().iter().rev() {
        let removed = match entry {
            Entry::Machine(_) | Entry::Context(_) | Entry::Ready => Ok(()),
            // An adopted QEMU is not ours to end; the others were started by us.
            Entry::Process { id, process } if !is_adopted(&journal, id) => {
                end(*process);
                Ok(())
            }
            Entry::Process { .. } => Ok(()),
            Entry::Socket(path) => match path.symlink_metadata() {
                Ok(meta) if meta.file_type().is_socket() => std::fs::remove_file(path).map_err(|e| (path.clone(), e)),
                _ => Ok(()),
            },
            Entry::File(path) => std::fs::remove_file(path).map_err(|e| (path.clone(), e)),
            Entry::Directory(path) => std::fs::remove_dir(path).map_err(|e| (path.clone(), e)),
            Entry::RunDirectory(path) => std::fs::remove_dir_all(path).map_err(|e| (path.clone(), e)),
            Entry::Link(name) => {
                if let Err(why) = links::remove(name) {
                    left.push(why);
                }
                Ok(())
            }
            Entry::Shaping(name) => {
                shaping::remove(name);
                Ok(())
            }
            Entry::Profile(file) => {
                profiles::unload(file);
                Ok(())
            }
            Entry::Group(dir) => {
                if let Err(why) = groups::remove(dir) {
                    left.push(why);
                }
                Ok(())
            }
            Entry::Owner(..) | Entry::Label(..) | Entry::Access(..) => {
                if let Err(why) = own::take_back(entry, registry, &journal) {
                    left.push(why);
                }
                Ok(())
            }
        };
        match removed {
            Ok(()) => {}
            Err((_, error)) if error.kind() == ErrorKind::NotFound => {}
            Err((path, error)) => left.push(format!("cannot remove {}: {error}", path.display())),
        }
    }
    let _ = std::fs::remove_file(journal.path().with_extension("qmp"));
    if left.is_empty() {
        journal.remove();
    }
    left
}

fn is_adopted(journal: &Journal, id: &str) -> bool {
    id == "qemu" && super::journal::header(journal.entries()).is_some_and(|h| h.adopted)
}

fn end(process: ProcessRef) {
    if process.signal(Signal::TERM) && !process.wait_gone(PATIENCE) {
        process.signal(Signal::KILL);
        process.wait_gone(PATIENCE);
    }
}
