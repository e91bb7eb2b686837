//! A picture of what a guest shows. QEMU writes it into the run-time directory of its machine, the one place that its account,
//! its profile and its label all let it write; from there it is read and taken away.

use super::control;
use super::errors::{Fault, WithHelp, fault};
use super::registry::Record;
use crate::diag::codes::run as codes;
use crate::vocab::SCREEN;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, flock, fstat, open, openat, unlinkat};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

/// More is no picture of a screen: 16384 by 16384 points of three bytes.
const LARGEST: u64 = 768 << 20;

/// How a picture is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Portable network graphics: QEMU 7.1 and later, where it was built with libpng.
    #[default]
    Png,
    /// Portable pixel map: every QEMU.
    Ppm,
}

/// Which screen is to be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// The alias of a video device, such as video0; the first one if there is none.
    pub device: Option<String>,
    /// Which of its outputs, from 0.
    pub head: Option<u32>,
}

/// The picture of a screen of a machine that runs.
pub fn take(record: &Record, screen: &Screen, format: Format) -> Result<Vec<u8>, Fault> {
    let name = &record.header.name;
    let no = |why: String| fault(&codes::NO_SCREEN, format!("'{name}': {why}"));
    let folder = record.header.monitor.parent().unwrap_or(Path::new("/"));
    let opened = own_folder(folder).map_err(|why| no(format!("{}: {why}", folder.display())))?;
    let path = folder.join(SCREEN);
    let Some(text) = path.to_str() else { return Err(no(format!("{} is not Unicode", path.display()))) };
    let asked = control::ask(record, request(text, screen, format));
    let picture = asked
        .map_err(|refused| fault(&codes::NO_SCREEN, refused.message.clone()).with_help(help(&refused.message)))
        .and_then(|_| read(&opened).map_err(|why| no(format!("{}: {why}", path.display()))));
    // Also what a refused attempt has left.
    let _ = unlinkat(&opened, SCREEN, AtFlags::empty());
    picture
}

/// The command; an older QEMU knows no formats, and writes a pixel map.
fn request(path: &str, screen: &Screen, format: Format) -> Value {
    let mut arguments = json!({ "filename": path });
    if format == Format::Png {
        arguments["format"] = json!("png");
    }
    if let Some(device) = &screen.device {
        arguments["device"] = json!(device);
        arguments["head"] = json!(screen.head.unwrap_or(0));
    } else if let Some(head) = screen.head {
        // QEMU takes no head without a device.
        arguments["device"] = json!("video0");
        arguments["head"] = json!(head);
    }
    json!({ "execute": "screendump", "arguments": arguments })
}

/// What to do about QEMU's own words.
fn help(words: &str) -> &'static str {
    let has = |part: &str| words.contains(part);
    if has("png") || has("PNG") || has("'format'") {
        "this QEMU writes pixel maps only: -o FILE.ppm"
    } else if has("Permission denied") {
        "its profile does not let it: build and deploy the machine with this virtc, and start it anew"
    } else if has("no console") || has("surface") {
        "a screen is what a <video> has: <graphics type='vnc'/> and <video/>, or look at its serial port with virtc console"
    } else {
        "--device names a video device by its alias (video0, video1), --head one of its outputs"
    }
}

/// The folder, if nobody else can put something into it; held for one picture at a time.
fn own_folder(folder: &Path) -> Result<OwnedFd, String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = open(folder, flags, Mode::empty()).map_err(|e| e.to_string())?;
    let stat = fstat(&opened).map_err(|e| e.to_string())?;
    if stat.st_mode & 0o022 != 0 {
        return Err("others can write into it, and could have QEMU write elsewhere".to_string());
    }
    flock(&opened, FlockOperation::LockExclusive).map_err(|e| e.to_string())?;
    Ok(opened)
}

/// What QEMU has written. It may have been taken over: what it made has to be a file, and no link to one.
fn read(folder: &OwnedFd) -> Result<Vec<u8>, String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folder, SCREEN, flags, Mode::empty()).map_err(|e| e.to_string())?;
    let stat = fstat(&file).map_err(|e| e.to_string())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
        return Err("QEMU made no file there".to_string());
    }
    let mut bytes = Vec::new();
    File::from(file).take(LARGEST).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.is_empty() { Err("QEMU wrote nothing".to_string()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemu_is_asked_for_what_it_knows() {
        let first = Screen::default();
        assert_eq!(request("/r/s", &first, Format::Ppm)["arguments"], json!({ "filename": "/r/s" }));
        let second = Screen { device: Some("video1".into()), head: None };
        let asked = request("/r/s", &second, Format::Png);
        let arguments = json!({ "filename": "/r/s", "format": "png", "device": "video1", "head": 0 });
        assert_eq!(asked["arguments"], arguments);
        assert_eq!(
            request("/r/s", &Screen { device: None, head: Some(1) }, Format::Png)["arguments"]["device"],
            "video0"
        );
    }

    #[test]
    fn only_a_file_of_a_private_folder_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = own_folder(folder.path()).expect("private");
        assert!(read(&opened).is_err(), "nothing is there");
        std::fs::write(folder.path().join("other"), "secret").expect("written");
        std::os::unix::fs::symlink("other", folder.path().join(SCREEN)).expect("a link");
        assert!(read(&opened).is_err(), "a link");
        std::fs::remove_file(folder.path().join(SCREEN)).expect("removed");
        std::fs::hard_link(folder.path().join("other"), folder.path().join(SCREEN)).expect("a second name");
        assert!(read(&opened).is_err_and(|why| why.contains("no file")), "somebody else's file");
        std::fs::remove_file(folder.path().join(SCREEN)).expect("removed");
        std::fs::write(folder.path().join(SCREEN), "P6").expect("written");
        assert_eq!(read(&opened).expect("a picture"), b"P6");
        drop(opened);
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("changed");
        assert!(own_folder(folder.path()).is_err_and(|why| why.contains("others can write")));
    }
}
