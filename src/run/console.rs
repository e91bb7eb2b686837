//! The console of a guest at this terminal: a serial port that QEMU has at a pseudo-terminal or at a socket.

use super::control;
use super::errors::{Fault, WithHelp, fault};
use super::registry::Record;
use crate::diag::codes::run as codes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Ctrl-], as telnet and virsh have it.
const END: u8 = 0x1d;

/// The character devices that are consoles, by libvirt's aliases; the first one is taken.
const CONSOLES: &[&str] = &["charserial", "charconsole"];

/// Where QEMU has a character device.
#[derive(Debug, PartialEq)]
enum Place<'a> {
    Pty(&'a str),
    Socket(&'a str),
}

/// Connects this terminal with a console of a machine, or with the character device of this alias, until Ctrl-], the end of
/// the input, or the end of the machine.
pub fn open(record: &Record, device: Option<&str>, say: &mut dyn FnMut(&str)) -> Result<(), Fault> {
    let answer = control::ask(record, json!({ "execute": "query-chardev" }))?;
    let (name, place) = choose(&answer, device).map_err(|why| {
        fault(&codes::NO_CONSOLE, format!("'{}' {why}", record.header.name)).with_help(
            "a serial port or console of type='pty', or of type='unix' with <source mode='bind' path='…'/>, can be opened",
        )
    })?;
    let cannot = |what: &str, error: std::io::Error| {
        fault(&codes::NO_CONSOLE, format!("'{name}' of '{}' at {what}: {error}", record.header.name))
    };
    let line: OwnedFd = match place {
        Place::Pty(path) => open_pty(path).map_err(|e| cannot(path, e))?.into(),
        Place::Socket(path) => UnixStream::connect(Path::new(path)).map_err(|e| cannot(path, e))?.into(),
    };
    let terminal = Raw::take();
    if terminal.is_some() {
        say(&format!("connected to '{name}' of '{}'; Ctrl-] ends it", record.header.name));
    }
    relay(&line, terminal.is_some()).map_err(|e| cannot("its other end", e))
}

/// Opens a pseudo-terminal of QEMU's, which does not become ours. What a guest sends is not for our side to interpret.
fn open_pty(path: &str) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file: File = rustix::fs::open(path, flags, Mode::empty())?.into();
    if let Ok(mut settings) = tcgetattr(&file) {
        settings.make_raw();
        tcsetattr(&file, OptionalActions::Now, &settings)?;
    }
    Ok(file)
}

/// The character device that is asked for, or the first console that can be opened.
fn choose<'a>(answer: &'a Value, device: Option<&str>) -> Result<(&'a str, Place<'a>), String> {
    let all = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    let all = all.iter().filter_map(|c| Some((c["label"].as_str()?, c["filename"].as_str()?)));
    let mut all = Vec::from_iter(all);
    all.sort_unstable();
    if let Some(device) = device {
        let own = |label: &str| label == device || label.strip_prefix("char") == Some(device);
        let (label, file) = all.iter().copied().find(|(label, _)| own(label)).ok_or_else(|| {
            let there = Vec::from_iter(all.iter().map(|(label, _)| label.strip_prefix("char").unwrap_or(label)));
            format!("has no character device '{device}'; there are: {}", there.join(", "))
        })?;
        let place = place(file).ok_or_else(|| format!("has '{device}' at {file}, where nobody can connect to it"))?;
        return Ok((label, place));
    }
    let of_kind =
        |kind: &&str| all.iter().copied().find(|(label, file)| label.starts_with(*kind) && place(file).is_some());
    CONSOLES
        .iter()
        .find_map(of_kind)
        .and_then(|(label, file)| Some((label, place(file)?)))
        .ok_or_else(|| "has no console that can be opened".to_string())
}

/// Where QEMU says that a character device is: `pty:/dev/pts/3`, `disconnected:unix:/run/x.sock,server=on`.
fn place(file: &str) -> Option<Place<'_>> {
    if let Some(path) = file.strip_prefix("pty:") {
        return Some(Place::Pty(path));
    }
    let unix = file.strip_prefix("disconnected:").unwrap_or(file).strip_prefix("unix:")?;
    let (path, how) = unix.rsplit_once(',')?;
    // One that connects to somebody else listens nowhere.
    (how.starts_with("server")).then_some(Place::Socket(path))
}

/// Hands bytes on in both directions, until Ctrl-] at a terminal, the end of the input or that of the machine.
fn relay(line: &OwnedFd, is_terminal: bool) -> std::io::Result<()> {
    let (stdin, mut stdout) = (std::io::stdin(), std::io::stdout());
    let mut to = File::from(line.try_clone()?);
    let mut from = File::from(line.try_clone()?);
    let mut block = [0; 4096];
    loop {
        let mut polled = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(line, PollFlags::IN)];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let [typed, sent] = polled.map(|p| !p.revents().is_empty());
        if sent {
            // A pseudo-terminal whose other side is closed gives an error.
            let read = from.read(&mut block).unwrap_or(0);
            let Some(bytes) = block.get(..read).filter(|b| !b.is_empty()) else { return Ok(()) };
            stdout.write_all(bytes).and_then(|()| stdout.flush())?;
        }
        if typed {
            let read = rustix::io::read(stdin.as_fd(), &mut block)?;
            let bytes = block.get(..read).unwrap_or_default();
            let end = bytes.iter().position(|b| *b == END && is_terminal);
            to.write_all(bytes.get(..end.unwrap_or(read)).unwrap_or_default())?;
            if end.is_some() || read == 0 {
                return Ok(());
            }
        }
    }
}

/// Our terminal, of which each key goes to the guest at once. Dropping it puts its settings back.
struct Raw {
    before: Termios,
}

impl Raw {
    fn take() -> Option<Raw> {
        let stdin = std::io::stdin();
        let before = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten()?;
        let mut keys = before.clone();
        keys.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &keys).ok()?;
        super::terminal::put_back_on_panic(&before);
        Some(Raw { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no settings.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_opened() {
        let answer = json!([
            { "label": "charmonitor", "filename": "unix:/run/m.sock,server=on" },
            { "label": "charserial1", "filename": "disconnected:unix:/run/a,b.sock,server=on" },
            { "label": "charserial0", "filename": "file" },
            { "label": "charconsole1", "filename": "pty:/dev/pts/3" },
            { "label": "charchannel0", "filename": "unix:/run/other.sock" },
        ]);
        assert_eq!(choose(&answer, None), Ok(("charserial1", Place::Socket("/run/a,b.sock"))));
        assert_eq!(choose(&answer, Some("console1")), Ok(("charconsole1", Place::Pty("/dev/pts/3"))));
        assert!(choose(&answer, Some("serial0")).is_err_and(|why| why.contains("at file")));
        assert!(choose(&answer, Some("channel0")).is_err());
        assert!(choose(&answer, Some("x")).is_err_and(|why| why.contains("there are: channel0, console1")));
        assert!(choose(&json!([]), None).is_err());
    }
}
