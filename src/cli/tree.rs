//! Writing trees: complete or untouched.

use crate::emit::Artifact;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// Replaces the tree at `target` by `artifacts`: it is written beside the target, then renamed. On a
/// failure the target is as it was.
pub fn replace(target: &Path, artifacts: &[Artifact]) -> io::Result<()> {
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = target.file_name().ok_or_else(|| io::Error::other("the tree needs a name of its own"))?;
    if target.exists() && !is_ours(target)? {
        return Err(io::Error::other("the folder is there and holds files that virtc did not write; name another"));
    }
    let fresh = parent.join(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    let old = parent.join(format!(".{}.{}.old", name.to_string_lossy(), std::process::id()));
    fs::create_dir(&fresh)?;
    let written = write_all(&fresh, artifacts).and_then(|()| {
        if target.exists() {
            fs::rename(target, &old)?;
        }
        fs::rename(&fresh, target).inspect_err(|_| {
            let _ = fs::rename(&old, target);
        })
    });
    let _ = fs::remove_dir_all(&fresh);
    let _ = fs::remove_dir_all(&old);
    written
}

/// Installs `artifacts` below `root`, file by file; each is complete or as it was.
pub fn install(root: &Path, artifacts: &[Artifact]) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for artifact in artifacts {
        let path = place(root, &artifact.path)?;
        let parent = path.parent().unwrap_or(root);
        fs::create_dir_all(parent)?;
        let fresh = parent.join(format!(".virtc-{}.new", std::process::id()));
        write(&fresh, artifact).and_then(|()| fs::rename(&fresh, &path)).inspect_err(|_| {
            let _ = fs::remove_file(&fresh);
        })?;
    }
    Ok(())
}

/// Whether a folder is a tree of virtc, or empty: only such a folder is replaced.
fn is_ours(target: &Path) -> io::Result<bool> {
    let mut entries = fs::read_dir(target)?;
    Ok(entries.all(|e| {
        e.is_ok_and(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            matches!(name.as_str(), "usr" | "etc") || name.ends_with(".d")
        })
    }))
}

fn write_all(root: &Path, artifacts: &[Artifact]) -> io::Result<()> {
    for artifact in artifacts {
        let path = place(root, &artifact.path)?;
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        write(&path, artifact)?;
    }
    Ok(())
}

/// The path of an artifact below a root; no artifact may leave it.
fn place(root: &Path, path: &str) -> io::Result<PathBuf> {
    let inside = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
    if inside { Ok(root.join(path)) } else { Err(io::Error::other(format!("'{path}' leads out of the tree"))) }
}

fn write(path: &Path, artifact: &Artifact) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(artifact.mode).open(path)?;
    file.write_all(artifact.contents.as_bytes())
}
