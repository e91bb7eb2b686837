//! What symbolic links on this machine make of the paths of a domain.
//!
//! The compiler looks at names only, so that its outputs are the same everywhere. Where the machine that compiles is the
//! one that will run the domain (`--here`, `--host here`, `--probe-backing`, `virtc run`), a name that leads to a place
//! that no guest may have is refused here.

use crate::diag::Diagnostics;
use crate::diag::codes::security as codes;
use crate::host::Host;
use crate::lower::policy::closed;
use crate::plan::Plan;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Refuses accesses whose path leads through links to a closed place.
pub fn check(plan: &Plan, host: &Host, diags: &mut Diagnostics) {
    if !plan.target.is_standalone() {
        return;
    }
    let mut folders = BTreeMap::new();
    for access in plan.access.iter().filter(|a| a.cause.line > 0) {
        let Some(target) = target(Path::new(&access.path), &mut folders) else { continue };
        let target = target.to_string_lossy();
        if target == access.path {
            continue;
        }
        if let Some(why) = closed(plan, access, &target, &host.security.allow_paths) {
            diags
                .error(
                    &codes::FORBIDDEN_PATH,
                    access.cause.span,
                    format!("{}: '{}' leads to '{target}' here, which no guest may have: {why}", access.cause.what, access.path),
                )
                .help("give the guest a copy in a place of its own, or allow it in the host facts: security { allow-path \"…\"; }");
        }
    }
}

/// Where a path leads; none if neither it nor its folder is there. Folders are looked up once.
fn target(path: &Path, folders: &mut BTreeMap<PathBuf, Option<PathBuf>>) -> Option<PathBuf> {
    let folder = path.parent()?;
    let real = folders.entry(folder.to_path_buf()).or_insert_with(|| std::fs::canonicalize(folder).ok()).as_ref()?;
    let path = real.join(path.file_name()?);
    match std::fs::symlink_metadata(&path) {
        Ok(found) if found.is_symlink() => std::fs::canonicalize(&path).ok(),
        _ => Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_in_folders_and_names() {
        let root = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(root.path()).unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::write(root.join("real/a"), "").unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("folder")).unwrap();
        std::os::unix::fs::symlink(root.join("real/a"), root.join("name")).unwrap();
        let mut folders = BTreeMap::new();
        let mut at = |path: &str| target(&root.join(path), &mut folders);
        assert_eq!(at("real/a"), Some(root.join("real/a")));
        assert_eq!(at("name"), Some(root.join("real/a")));
        assert_eq!(at("folder/new"), Some(root.join("real/new")));
        assert_eq!(at("missing/new"), None);
    }
}
