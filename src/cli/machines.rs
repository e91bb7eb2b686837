//! `virtc list`, `stop`, `monitor`, `console`, `screenshot`, `attach`, `clean`: machines that `virtc run` has started.

use super::run::{Patience, end, fail, instance, options, remarks};
use super::{Exit, Shared, print, show};
use crate::diag::codes::run::FOREIGN;
use crate::run::console;
use crate::run::control::{self, Stop};
use crate::run::detach::adopt_detached;
use crate::run::registry::{Record, Registry};
use crate::run::remote::{self, Connection};
use crate::run::screenshot::{self, Format, Screen};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

// Arguments of `virtc list`.
#[derive(clap::Args)]
pub struct List {
    /// Print JSON, one object a machine
    #[arg(long)]
    json: bool,
    /// Print names only
    #[arg(long, conflicts_with = "json")]
    names: bool,
}

// Arguments of `virtc stop`.
#[derive(clap::Args)]
pub struct StopArgs {
    /// Names or UUIDs of machines
    #[arg(required_unless_present = "socket")]
    names: Vec<String>,
    /// Stop the QEMU behind this QMP socket
    #[arg(long, value_name = "PATH", conflicts_with = "names")]
    socket: Option<PathBuf>,
    /// End it without asking the guest
    #[arg(short, long)]
    force: bool,
    /// Seconds that the guest of a machine of `virtc run` has to power off; then it is ended. (A unit has its own time.)
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    timeout: u64,
}

// Arguments of `virtc monitor`.
#[derive(clap::Args)]
pub struct Monitor {
    /// Name or UUID of a machine
    name: String,
    /// A QMP command with key=value arguments, or a JSON object with `execute`
    #[arg(required_unless_present = "events", allow_hyphen_values = true)]
    command: Vec<String>,
    /// The command is one of the human monitor
    #[arg(long)]
    hmp: bool,
    /// Print events as they come, one JSON object a line, until interrupted
    #[arg(long, conflicts_with_all = ["command", "hmp"])]
    events: bool,
}

// Arguments of `virtc console`.
#[derive(clap::Args)]
pub struct Console {
    /// Name or UUID of a machine
    name: String,
    /// The alias of a character device, such as serial1 or channel0; without it the first serial port or console that can
    /// be opened
    device: Option<String>,
}

// Arguments of `virtc screenshot`.
#[derive(clap::Args)]
pub struct Screenshot {
    /// Name or UUID of a machine
    name: String,
    /// The file to write, a pixel map if it ends in .ppm; - is standard output. Without it NAME.png, or NAME-2.png if that
    /// is there
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The alias of a video device, such as video1; without it the first one
    #[arg(long, value_name = "ALIAS")]
    device: Option<String>,
    /// Which output of the device, from 0
    #[arg(long, value_name = "NUMBER")]
    head: Option<u32>,
    /// How it is written, where the name of the file does not say so
    #[arg(long)]
    format: Option<Format>,
}

// Arguments of `virtc attach`.
#[derive(clap::Args)]
pub struct Attach {
    /// The QMP socket of a QEMU that was started by hand
    socket: PathBuf,
    /// The name to register it under, in place of its own
    #[arg(long)]
    name: Option<String>,
    /// Go to the background
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    patience: Patience,
}

/// Where the machines are: this host's registry, or the exit status of virtc on another host.
fn place(shared: &Shared, args: &[String]) -> Result<Registry, Exit> {
    if let Some(uri) = &shared.connect
        && let Ok(Connection { instance, host: Some(host) }) = remote::parse(uri)
    {
        return Err(match host.run(instance, args) {
            Ok(status) => exit_of(status.code()),
            Err(fault) => fail(&fault, shared),
        });
    }
    let registry = Registry::of(instance(shared)?).map_err(|fault| fail(&fault, shared))?;
    // Another user's is not to be looked into; root, who can, is told not to believe it.
    match registry.trusted() {
        Err(why) if rustix::process::geteuid().is_root() => Err(fail(&crate::run::fault(&FOREIGN, why), shared)),
        _ => Ok(registry),
    }
}

/// The exit status of a virtc elsewhere.
fn exit_of(code: Option<i32>) -> Exit {
    match code {
        Some(0) => Exit::Done,
        Some(1) => Exit::Input,
        Some(2) => Exit::Usage,
        Some(3) => Exit::Differs,
        _ => Exit::Environment,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| w.to_string()).collect()
}

/// Prints the machines of this instance.
pub fn list(args: &List, shared: &Shared) -> Exit {
    let mut command = words(&["list"]);
    command.extend(args.json.then(|| "--json".to_string()));
    command.extend(args.names.then(|| "--names".to_string()));
    let registry = match place(shared, &command) {
        Ok(registry) => registry,
        Err(exit) => return exit,
    };
    let records: Vec<Record> = registry.list().into_iter().filter(|r| !r.header.name.is_empty()).collect();
    if args.names {
        return print(&records.iter().map(|r| format!("{}\n", r.header.name)).collect::<String>());
    }
    if args.json {
        return print(&records.iter().map(|r| format!("{}\n", object(r))).collect::<String>());
    }
    let name_width = records.iter().map(|r| r.header.name.chars().count()).max().unwrap_or(0).max(4);
    let mut text = String::new();
    if !records.is_empty() && !shared.quiet {
        text.push_str(&format!("{:name_width$}  {:>8}  {:>8}  {}\n", "NAME", "PID", "UP", "STATE"));
    }
    for record in &records {
        let pid = record.qemu().map_or("-".to_string(), |q| q.pid.to_string());
        let state = control::status(record);
        text.push_str(&format!(
            "{:name_width$}  {pid:>8}  {:>8}  {state}\n",
            record.header.name,
            if record.by_unit { "-".to_string() } else { up(record) }
        ));
    }
    show(&text)
}

fn seconds_up(record: &Record) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    now.saturating_sub(record.header.started)
}

/// How long it has run, in its two largest units.
fn up(record: &Record) -> String {
    let seconds = seconds_up(record);
    match (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, ..) => format!("{d}d{h:02}h"),
    }
}

fn object(record: &Record) -> Value {
    json!({
        "name": record.header.name,
        "uuid": record.header.uuid,
        "title": record.header.title,
        "state": control::status(record),
        "qemu": record.qemu().map(|q| q.pid),
        "runner": record.supervised.then_some(record.header.runner.pid),
        "adopted": record.header.adopted,
        "started": record.header.started,
        "monitor": record.header.monitor,
        "control": record.control,
    })
}

/// Stops machines.
pub fn stop(args: &StopArgs, shared: &Shared) -> Exit {
    let how = Stop { force: args.force, timeout: Duration::from_secs(args.timeout) };
    if let Some(socket) = &args.socket {
        return match control::stop_socket(socket, how) {
            Ok(()) => Exit::Done,
            Err(fault) => fail(&fault, shared),
        };
    }
    let mut command = words(&["stop", "--timeout", &args.timeout.to_string()]);
    command.extend(args.force.then(|| "--force".to_string()));
    command.push("--".to_string());
    command.extend(args.names.iter().cloned());
    let registry = match place(shared, &command) {
        Ok(registry) => registry,
        Err(exit) => return exit,
    };
    let mut exit = Exit::Done;
    let mut say = remarks(shared);
    for name in &args.names {
        match control::find(&registry, name).and_then(|record| control::stop(&registry, &record, how, &mut say)) {
            Ok(left) if left.is_empty() => {}
            Ok(left) => {
                left.iter().for_each(|text| say(text));
                exit = exit.and(Exit::Environment);
            }
            Err(fault) => exit = exit.and(fail(&fault, shared)),
        }
    }
    exit
}

/// Sends a command to a machine.
pub fn monitor(args: &Monitor, shared: &Shared) -> Exit {
    let mut command = words(&["monitor"]);
    command.extend(args.hmp.then(|| "--hmp".to_string()));
    command.extend(args.events.then(|| "--events".to_string()));
    command.extend(["--".to_string(), args.name.clone()]);
    command.extend(args.command.iter().cloned());
    let registry = match place(shared, &command) {
        Ok(registry) => registry,
        Err(exit) => return exit,
    };
    let record = match control::find(&registry, &args.name) {
        Ok(record) => record,
        Err(fault) => return fail(&fault, shared),
    };
    if args.events {
        return events(&record, shared);
    }
    if args.hmp {
        return match control::ask_human(&record, &args.command.join(" ")) {
            Ok(text) => show(&text),
            Err(fault) => fail(&fault, shared),
        };
    }
    let request = match control::request(&args.command) {
        Ok(request) => request,
        Err(fault) => {
            fail(&fault, shared);
            return Exit::Usage;
        }
    };
    match control::ask(&record, request) {
        Ok(value) => {
            let text = serde_json::to_string_pretty(&value).unwrap_or_else(|_| value.to_string());
            print(&format!("{}\n", crate::diag::printable_json(&text)))
        }
        Err(fault) => fail(&fault, shared),
    }
}

/// Connects this terminal with a console.
pub fn console(args: &Console, shared: &Shared) -> Exit {
    let mut command = words(&["console", "--", &args.name]);
    command.extend(args.device.clone());
    let registry = match place(shared, &command) {
        Ok(registry) => registry,
        Err(exit) => return exit,
    };
    let found = control::find(&registry, &args.name);
    match found.and_then(|record| console::open(&record, args.device.as_deref(), &mut remarks(shared))) {
        Ok(()) => Exit::Done,
        Err(fault) => fail(&fault, shared),
    }
}

/// Saves what a guest shows.
pub fn screenshot(args: &Screenshot, shared: &Shared) -> Exit {
    let named = args.output.as_deref().filter(|file| *file != Path::new("-"));
    let by_name = named.and_then(Path::extension).is_some_and(|e| e.eq_ignore_ascii_case("ppm"));
    let format = args.format.unwrap_or(if by_name { Format::Ppm } else { Format::Png });
    let picture = match picture(args, format, shared) {
        Ok(picture) => picture,
        Err(exit) => return exit,
    };
    if args.output.is_some() && named.is_none() {
        return match std::io::stdout().lock().write_all(&picture) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                super::complain(&format!("cannot write to standard output: {e}"));
                Exit::Environment
            }
            _ => Exit::Done,
        };
    }
    let written = match named {
        Some(file) => std::fs::write(file, &picture).map(|()| file.to_path_buf()).map_err(|e| (file.to_path_buf(), e)),
        None => save_beside(&args.name, format, &picture),
    };
    match written {
        Ok(file) => {
            remarks(shared)(&format!("what '{}' shows is in {}", args.name, file.display()));
            Exit::Done
        }
        Err((file, error)) => {
            super::complain(&format!("cannot write {}: {error}", file.display()));
            Exit::Environment
        }
    }
}

/// The picture, from here or from another host.
fn picture(args: &Screenshot, format: Format, shared: &Shared) -> Result<Vec<u8>, Exit> {
    if let Some(Ok(Connection { instance, host: Some(host) })) = shared.connect.as_deref().map(remote::parse) {
        let format = if format == Format::Ppm { "ppm" } else { "png" };
        let mut command = words(&["screenshot", "--output", "-", "--format", format]);
        command.extend(args.device.iter().flat_map(|device| ["--device".to_string(), device.clone()]));
        command.extend(args.head.iter().flat_map(|head| ["--head".to_string(), head.to_string()]));
        command.extend(["--".to_string(), args.name.clone()]);
        let mut ssh = host.command(instance, &command);
        let output = ssh.stderr(Stdio::inherit()).output().map_err(|e| {
            super::complain(&format!("cannot start ssh: {e}"));
            Exit::Environment
        })?;
        return match exit_of(output.status.code()) {
            Exit::Done => Ok(output.stdout),
            exit => Err(exit),
        };
    }
    let registry = place(shared, &[])?;
    let screen = Screen { device: args.device.clone(), head: args.head };
    let found = control::find(&registry, &args.name);
    found.and_then(|record| screenshot::take(&record, &screen, format)).map_err(|fault| fail(&fault, shared))
}

/// Writes a picture under a name that is not there yet.
fn save_beside(name: &str, format: Format, picture: &[u8]) -> Result<PathBuf, (PathBuf, std::io::Error)> {
    let stem = name.replace('/', "_");
    let end = if format == Format::Ppm { "ppm" } else { "png" };
    let mut number = 1;
    loop {
        let more = if number == 1 { String::new() } else { format!("-{number}") };
        let file = PathBuf::from(format!("{stem}{more}.{end}"));
        match std::fs::File::create_new(&file) {
            Ok(mut new) => return new.write_all(picture).map(|()| file.clone()).map_err(|e| (file, e)),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err((file, e)),
        }
    }
}

fn events(record: &Record, shared: &Shared) -> Exit {
    let mut qmp = match control::connect(record) {
        Ok(qmp) => qmp,
        Err(fault) => return fail(&fault, shared),
    };
    // Until the machine ends or the reader goes away.
    while let Ok(Some(event)) = qmp.event(None) {
        let (seconds, microseconds) = event.timestamp;
        let line = json!({
            "event": event.name,
            "data": event.data,
            "timestamp": { "seconds": seconds, "microseconds": microseconds },
        });
        if print(&format!("{}\n", crate::diag::printable_json(&line.to_string()))) != Exit::Done {
            break;
        }
    }
    Exit::Done
}

/// Adopts a QEMU that was started by hand.
pub fn attach(args: &Attach, shared: &Shared) -> Exit {
    let registry = match instance(shared).and_then(|i| Registry::of(i).map_err(|fault| fail(&fault, shared))) {
        Ok(registry) => registry,
        Err(exit) => return exit,
    };
    let options = match options(registry, &args.patience) {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    let mut say = remarks(shared);
    let socket = std::path::absolute(&args.socket).unwrap_or_else(|_| args.socket.clone());
    if args.detach {
        return match adopt_detached(&socket, args.name.as_deref(), &options) {
            Ok(detached) => {
                say(&format!("'{}' is adopted (QEMU: process {})", detached.name, detached.pid));
                Exit::Done
            }
            Err(fault) => fail(&fault, shared),
        };
    }
    match control::adopt(&socket, args.name.as_deref(), &options, &mut say) {
        Ok(mut machine) => {
            say(&format!("'{}' is adopted (QEMU: process {})", machine.name, machine.pid()));
            end(machine.supervise(&mut say), shared, &mut say)
        }
        Err(fault) => fail(&fault, shared),
    }
}

/// Removes what machines whose runner was killed have left.
pub fn clean(shared: &Shared) -> Exit {
    let registry = match place(shared, &words(&["clean"])) {
        Ok(registry) => registry,
        Err(exit) => return exit,
    };
    let mut say = remarks(shared);
    let mut exit = Exit::Done;
    for cleaned in control::clean(&registry) {
        if cleaned.left.is_empty() && !cleaned.name.is_empty() {
            say(&format!("tidied up after '{}'", cleaned.name));
        }
        for left in cleaned.left {
            super::complain(&left);
            exit = Exit::Environment;
        }
    }
    exit
}
