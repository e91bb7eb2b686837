//! Whose the programs are that a machine runs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether nobody but root (or, for a user's own machine, that user) can have made the program or put another in its place: it
/// and all folders above it, also where links lead on the way. Else the reason.
pub fn trusted(program: &Path) -> Result<(), String> {
    let me = rustix::process::geteuid().as_raw();
    for path in [program.to_path_buf(), real(program)?] {
        for part in path.ancestors().filter(|part| !part.as_os_str().is_empty()) {
            judge(part, me)?;
        }
    }
    Ok(())
}

fn real(program: &Path) -> Result<PathBuf, String> {
    std::fs::canonicalize(program).map_err(|e| e.to_string())
}

fn judge(path: &Path, me: u32) -> Result<(), String> {
    let stat = path.symlink_metadata().map_err(|e| format!("{}: {e}", path.display()))?;
    // In a user's own namespace, root's files are nobody's.
    let owner = stat.uid();
    let known = owner == 0 || owner == me || (me != 0 && owner == NOBODY && !stat.is_file());
    if !known {
        return Err(format!("'{}' belongs to the user {owner}", path.display()));
    }
    // What lies in a folder with the sticky bit only its owner can replace. A link has no mode of its own.
    let by_group = stat.mode() & 0o020 != 0 && stat.gid() != 0 && (me == 0 || stat.gid() != own_group());
    let by_others = stat.mode() & 0o002 != 0;
    let sticky = stat.is_dir() && stat.mode() & 0o1000 != 0;
    if (by_group || by_others) && !sticky && !stat.is_symlink() {
        let who = if by_others { "everybody".to_string() } else { format!("the group {}", stat.gid()) };
        return Err(format!("{who} may write '{}'", path.display()));
    }
    Ok(())
}

/// The number under which a namespace shows accounts that it does not know.
const NOBODY: u32 = 65534;

fn own_group() -> u32 {
    rustix::process::getegid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn program(dir: &Path) -> PathBuf {
        let path = dir.join("qemu-system-x86_64");
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
        path
    }

    #[test]
    fn programs_of_packages_are_trusted() {
        assert_eq!(trusted(Path::new("/bin/sh")), Ok(()));
        assert_eq!(trusted(Path::new("/usr/bin/env")), Ok(()));
    }

    #[test]
    fn what_others_can_write_is_not_run() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = program(dir.path());
        assert_eq!(trusted(&path), Ok(()), "one's own");
        for mode in [0o757, 0o777] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a mode");
            assert!(trusted(&path).expect_err("writable").contains("everybody may write"), "{mode:o}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).expect("a mode");
        assert!(trusted(&path).is_err(), "a folder in which others can put another in its place");
    }

    #[test]
    fn what_somebody_else_owns_is_not_run_not_even_by_a_link() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let path = program(dir.path());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert_eq!(trusted(&link), Ok(()));
        std::os::unix::fs::chown(&path, Some(12345), None).expect("given away");
        assert!(trusted(&path).expect_err("somebody's").contains("12345"));
        assert!(trusted(&link).is_err());
        std::os::unix::fs::chown(&path, Some(0), None).expect("taken back");
        std::os::unix::fs::lchown(&link, Some(12345), None).expect("given away");
        assert!(trusted(&link).is_err(), "a link of somebody else");
    }
}
