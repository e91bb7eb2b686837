//! The helper of units: it is built beside virtc, and hosts have it as `/usr/lib/virtc/qmp`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where units expect it.
pub const PLACE: &str = "usr/lib/virtc/qmp";

/// The package that brings it.
pub const PACKAGE: &str = "virtc-common";

/// Whether a unit calls it.
pub fn is_called(text: &str) -> bool {
    ["=", "=-", "=+", "=-+"].iter().any(|prefix| text.contains(&format!("{prefix}/usr/lib/virtc/qmp ")))
}

/// The helper beside this virtc, or the one that is installed with it.
pub fn find() -> Option<PathBuf> {
    let own = std::env::current_exe().and_then(std::fs::canonicalize).ok()?;
    let folder = own.parent()?;
    // Tests run beside their dependencies, one folder below.
    let places = [folder.join("virtc-qmp"), folder.join("../lib/virtc/qmp"), folder.join("../virtc-qmp")];
    places.into_iter().find(|place| place.is_file())
}

/// Its bytes.
pub fn read() -> Result<Vec<u8>, String> {
    let Some(path) = find() else {
        return Err("the helper of units, virtc-qmp, is not beside virtc: install it, too".to_string());
    };
    std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

/// Puts it in its place below a root, where it is not there yet; whether it was put there.
pub fn install(root: &Path) -> Result<bool, String> {
    let place = root.join(PLACE);
    let bytes = match read() {
        Ok(bytes) => bytes,
        // The package has brought it.
        Err(_) if place.is_file() => return Ok(false),
        Err(why) => return Err(why),
    };
    if std::fs::read(&place).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", place.display());
    let folder = place.parent().unwrap_or(root);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let draft = folder.join(format!(".qmp-{}", std::process::id()));
    let made = std::fs::write(&draft, bytes)
        .and_then(|()| std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)))
        .and_then(|()| std::fs::rename(&draft, &place));
    if made.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    made.map(|()| true).map_err(failed)
}
