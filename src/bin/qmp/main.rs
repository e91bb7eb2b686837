//! `/usr/lib/virtc/qmp`: what the unit of a machine asks of its QEMU, through a monitor that is the unit's alone.
//!
//! systemd runs it as the account of the machine, under the same confinement, with `$MAINPID` in the environment. It sends
//! no signal and needs no capability: what it cannot do by asking, systemd does. Only `alone`, `copy` and `links` are root's: they
//! speak with nobody.

// A program of the rim.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod alone;
mod commands;
mod links;
mod main_process;
mod monitor;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use virtc::plan::Plan;

/// Where the kernel lists USB devices.
const USB_DEVICES: &str = "/sys/bus/usb/devices";

const USAGE: &str = "\
usage: qmp wait SOCKET SECONDS [--paused]   wait until the guest runs, or until it may stay paused
       qmp socket SOCKET SECONDS            wait until a helper has made its socket
       qmp powerdown SOCKET SECONDS         press the power button, and wait for QEMU to end
       qmp pin SOCKET THREAD=CPUS...        put threads on CPUs: vcpu0=2-3 iothread1=0 emulator=0-1
       qmp histogram SOCKET DISK boundaries[-read|-write|-zap|-flush]=NANOSECONDS,...
                                            count how long requests to a disk take
       qmp usb VENDOR:PRODUCT|BUS-PORT      fail if no such USB device is plugged in
       qmp remove FILE|FOLDER...            remove files, and the files in folders
       qmp alone PLAN [links]               as root: fail if another machine of the host has the identity of this one;
                                            do what `links` does
       qmp copy PLAN                        as root: make the files that are copied from templates
       qmp links PLAN                       as root: give the machine what its files are that lie behind links";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(why)) => {
            eprintln!("qmp: {}", printable(&why));
            ExitCode::FAILURE
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Does what the words say; none when they say nothing.
fn run(words: &[&str]) -> Option<Result<(), String>> {
    Some(match words {
        ["wait", socket, seconds] => commands::wait(socket, until(seconds)?, false),
        ["wait", socket, seconds, "--paused"] => commands::wait(socket, until(seconds)?, true),
        ["socket", socket, seconds] => commands::socket(socket, until(seconds)?),
        ["powerdown", socket, seconds] => commands::power_down(socket, until(seconds)?),
        ["pin", socket, pins @ ..] if !pins.is_empty() => commands::pin(socket, pins),
        ["histogram", socket, disk, bins] => commands::histogram(socket, disk, bins),
        ["usb", name] => commands::usb(Path::new(USB_DEVICES), name, until("5")?),
        ["remove", paths @ ..] if !paths.is_empty() => commands::remove(paths),
        ["alone", plan] => alone::check(plan),
        ["alone", plan, "links"] => alone::check(plan).inspect(|()| {
            // A file that cannot be given may be usable as it is; if it is not, QEMU says so.
            let _ = links::follow(plan).inspect_err(|why| eprintln!("qmp: {}", printable(why)));
        }),
        ["copy", plan] => commands::copy(plan),
        ["links", plan] => links::follow(plan),
        _ => return None,
    })
}

/// The plan of a machine.
fn plan(file: &str) -> Result<Plan, String> {
    let text = std::fs::read(file).map_err(|e| format!("{file}: {e}"))?;
    Plan::read(&text).map_err(|e| format!("{file}: {e}"))
}

fn until(seconds: &str) -> Option<Instant> {
    seconds.parse::<u32>().ok().map(|s| Instant::now() + Duration::from_secs(u64::from(s)))
}

/// What QEMU said goes to the journal, and from there to terminals.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(500).collect()
}
