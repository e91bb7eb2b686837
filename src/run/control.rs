//! What one does with machines that run: list, stop, ask, adopt, tidy up.

use super::errors::{Fault, WithHelp, fault};
use super::journal::{Entry, Header, Journal};
use super::process::{ProcessRef, Watched};
use super::qmp::{Qmp, QmpError};
use super::registry::{Record, Registry};
use super::signals::{Request, Signals, signal_of};
use super::start::{Machine, claim};
use super::supervise::{AGAIN, QUIT};
use super::{Options, prepare};
use crate::diag::codes::run as codes;
use crate::plan::{Instance, Lifecycle};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a machine may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a runner may take to tidy up once QEMU has ended.
const TIDY: Duration = Duration::from_secs(15);

/// The machine of this name, or a fault that names those that are there.
pub fn find(registry: &Registry, name: &str) -> Result<Record, Fault> {
    registry.find(name).ok_or_else(|| {
        let names = Vec::from_iter(registry.list().into_iter().map(|r| r.header.name));
        let fault = fault(&codes::NOT_RUNNING, format!("no machine '{name}' was started by virtc here"));
        if names.is_empty() { fault } else { fault.with_help(format!("there are: {}", names.join(", "))) }
    })
}

/// Connects to the monitor of a machine: through its runner, or directly when that is gone.
pub fn connect(record: &Record) -> Result<Qmp<UnixStream>, Fault> {
    let path = if record.supervised { &record.control } else { &record.header.monitor };
    Qmp::connect(path, ANSWER).map_err(|e| {
        let fault = fault(&codes::MONITOR, format!("the machine '{}': {e}", record.header.name));
        if record.supervised && !record.is_ready() { fault.with_help("it is still starting") } else { fault }
    })
}

/// In a word, how a machine is: QEMU's own run state, or what virtc knows.
pub fn status(record: &Record) -> String {
    if record.supervised && !record.is_ready() {
        return "starting".to_string();
    }
    if record.qemu().is_none() {
        return if record.supervised { "ending" } else { "left over" }.to_string();
    }
    let state = connect(record)
        .ok()
        .and_then(|mut qmp| {
            qmp.set_timeout(Duration::from_secs(2));
            qmp.execute("query-status", json!({})).ok()
        })
        .and_then(|reply| reply["status"].as_str().map(str::to_string))
        .unwrap_or_else(|| "not answering".to_string());
    match record {
        Record { supervised: true, .. } => state,
        Record { by_unit: true, .. } => format!("{state}, under systemd"),
        _ => format!("{state}, without runner"),
    }
}

/// A request as it is typed: a JSON object, or a command's name with `key=value` arguments. A value
/// that reads as JSON is taken as that, else as text; `a.b=c` nests.
pub fn request(words: &[String]) -> Result<Value, Fault> {
    let wrong = |text: String| fault(&codes::USAGE, text);
    let Some((first, rest)) = words.split_first() else { return Err(wrong("which command?".to_string())) };
    if first.trim_start().starts_with('{') {
        let text = words.join(" ");
        let value: Value = serde_json::from_str(&text).map_err(|e| wrong(format!("this is not JSON: {e}")))?;
        if value.get("execute").or(value.get("exec-oob")).and_then(Value::as_str).is_none() {
            return Err(wrong("the object has no 'execute'".to_string()));
        }
        return Ok(value);
    }
    let mut arguments = Map::new();
    for word in rest {
        let Some((key, text)) = word.split_once('=') else {
            return Err(wrong(format!("'{word}' is not key=value")));
        };
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_string()));
        let mut into = &mut arguments;
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                into.insert(part.to_string(), value);
                break;
            }
            let inner = into.entry(part.to_string()).or_insert_with(|| Value::Object(Map::new()));
            into = match inner.as_object_mut() {
                Some(object) => object,
                None => return Err(wrong(format!("'{key}': {part} has a value already"))),
            };
        }
    }
    let mut object = json!({ "execute": first });
    if !arguments.is_empty() {
        object["arguments"] = Value::Object(arguments);
    }
    Ok(object)
}

/// Sends a request to a machine and returns what QEMU returns.
pub fn ask(record: &Record, request: Value) -> Result<Value, Fault> {
    let mut qmp = connect(record)?;
    // Dumps and block jobs take their time; a person can interrupt.
    qmp.set_timeout(Duration::from_secs(24 * 3600));
    qmp.send(request).map_err(|e| refused(record, e))
}

/// Runs a line of the human monitor.
pub fn ask_human(record: &Record, line: &str) -> Result<String, Fault> {
    connect(record)?.human(line).map_err(|e| refused(record, e))
}

fn refused(record: &Record, error: QmpError) -> Fault {
    fault(&codes::MONITOR, format!("the machine '{}': {error}", record.header.name))
}

/// How a stop is done.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Do not ask the guest; end it.
    pub force: bool,
    /// How long the guest may take; then it is ended.
    pub timeout: Duration,
}

/// Stops a machine and waits until nothing is left of it; says when a guest is ended that has not powered off. Returns what
/// could not be removed.
pub fn stop(registry: &Registry, record: &Record, how: Stop, say: &mut dyn FnMut(&str)) -> Result<Vec<String>, Fault> {
    let name = &record.header.name;
    if record.supervised {
        let runner = record.header.runner;
        let request = if how.force { Request::Kill } else { Request::Stop };
        if !runner.signal(signal_of(request)) && Journal::is_held(&record.journal) {
            let text = format!("the runner of '{name}' (process {}) cannot be told", runner.pid);
            return Err(fault(&codes::MONITOR, text).with_help("does it belong to another user?"));
        }
        if gone(&record.journal, if how.force { TIDY } else { how.timeout }) {
            return Ok(Vec::new());
        }
        if !how.force {
            say(&too_slow(name, how));
        }
        runner.signal(signal_of(Request::Kill));
        if gone(&record.journal, TIDY) {
            return Ok(Vec::new());
        }
        // The runner itself does not listen: end both, and tidy up in its place.
        if let Some(qemu) = record.qemu() {
            qemu.signal(Signal::KILL);
        }
        if !gone(&record.journal, Duration::from_secs(2)) {
            runner.signal(Signal::KILL);
            gone(&record.journal, Duration::from_secs(2));
        }
    } else if let Some(qemu) = record.qemu() {
        if record.by_unit {
            if !stop_unit(registry.instance(), name, how.force) {
                end_by_monitor(&record.header.monitor, qemu, how, &mut || say(&too_slow(name, how)));
            }
            return Ok(Vec::new());
        }
        end_by_monitor(&record.header.monitor, qemu, how, &mut || say(&too_slow(name, how)));
    }
    tidy(registry, record)
}

/// What is said before a guest is ended.
fn too_slow(name: &str, how: Stop) -> String {
    let seconds = how.timeout.as_secs();
    format!("the guest of '{name}' has not powered off within {seconds} s and is ended now; --timeout gives it longer")
}

/// Has systemd stop a machine's unit, which also ends its helpers and keeps it from being restarted. The unit gives the guest
/// its own time, unless it is not to be asked.
fn stop_unit(instance: Instance, name: &str, force: bool) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || ":_.-".contains(c)) && !name.starts_with('-');
    if !plain || !Path::new("/run/systemd/system").exists() {
        return false;
    }
    let systemctl = |verb: &[&str]| {
        let mut command = std::process::Command::new("systemctl");
        if instance == Instance::Session {
            command.arg("--user");
        }
        command.args(verb).arg(format!("virtc-{name}.service"));
        command.status().is_ok_and(|status| status.success())
    };
    systemctl(&["is-active", "--quiet"]) && (!force || systemctl(&["kill", "--signal=KILL"])) && systemctl(&["stop"])
}

/// Shuts down the guest behind a QMP socket, and waits until its QEMU is gone: what a unit's `ExecStop=` does.
pub fn stop_socket(socket: &Path, how: Stop) -> Result<(), Fault> {
    let Some(qemu) = super::registry::listener(socket) else {
        return Err(fault(&codes::NOT_RUNNING, format!("no QEMU listens on {}", socket.display())));
    };
    // Who listens is not known to be a QEMU until it has answered like one: it gets no signal.
    match ask_to_end(socket, &qemu, how, &mut || ()) {
        true => Ok(()),
        false => Err(fault(&codes::MONITOR, format!("who listens on {} has not ended", socket.display()))),
    }
}

/// Asks a QEMU to end: its guest first, unless forced. Whether it has ended. `too_slow` is called when the guest's time is over.
fn ask_to_end(monitor: &Path, qemu: &ProcessRef, how: Stop, too_slow: &mut dyn FnMut()) -> bool {
    // The reply is waited for: QEMU drops what it has not read yet when the connection closes.
    let Ok(mut qmp) = Qmp::connect(monitor, ANSWER) else { return false };
    let deadline = Instant::now() + how.timeout;
    while !how.force && Instant::now() < deadline {
        let asked = qmp.execute("system_powerdown", json!({}));
        let left = deadline.saturating_duration_since(Instant::now());
        if qemu.wait_gone(left.min(AGAIN)) {
            return true;
        }
        if asked.is_err() {
            break;
        }
    }
    if !how.force && Instant::now() >= deadline {
        too_slow();
    }
    let _ = qmp.execute("quit", json!({}));
    qemu.wait_gone(QUIT)
}

/// Ends a QEMU that has no runner: asks its guest first, unless forced.
fn end_by_monitor(monitor: &Path, qemu: ProcessRef, how: Stop, too_slow: &mut dyn FnMut()) {
    if ask_to_end(monitor, &qemu, how, too_slow) {
        return;
    }
    qemu.signal(Signal::TERM);
    if !qemu.wait_gone(QUIT) {
        qemu.signal(Signal::KILL);
        qemu.wait_gone(QUIT);
    }
}

/// Waits until nobody holds a journal any more.
fn gone(journal: &Path, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    while Journal::is_held(journal) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Undoes what a runner that is gone has left.
fn tidy(registry: &Registry, record: &Record) -> Result<Vec<String>, Fault> {
    match Journal::claim(&record.journal)? {
        Some(journal) => Ok(prepare::undo(journal, registry)),
        None => Ok(Vec::new()),
    }
}

/// What `clean` did with one machine.
#[derive(Clone, Debug)]
pub struct Cleaned {
    /// Its name; empty when its journal was empty.
    pub name: String,
    /// What could not be removed.
    pub left: Vec<String>,
}

/// Ends every machine whose runner is gone, and undoes what was left. Machines with a runner stay as they are.
pub fn clean(registry: &Registry) -> Vec<Cleaned> {
    let mut cleaned = Vec::new();
    for record in registry.journals().into_iter().filter(|r| !r.supervised) {
        let left = if record.header.adopted {
            // Nobody asked us to end it: only the registration goes.
            tidy(registry, &record)
        } else {
            stop(registry, &record, Stop { force: true, timeout: Duration::ZERO }, &mut |_| ())
        };
        let left = left.unwrap_or_else(|fault| vec![fault.message.clone()]);
        cleaned.push(Cleaned { name: record.header.name, left });
    }
    cleaned
}

/// Adopts a QEMU that was started by hand: registers it under its own name (or `name`) and looks after it.
pub fn adopt(
    socket: &Path,
    name: Option<&str>,
    options: &Options,
    say: &mut dyn FnMut(&str),
) -> Result<Machine, Fault> {
    let failed = |e: &dyn std::fmt::Display| fault(&codes::MONITOR, format!("{}: {e}", socket.display()));
    let signals = Signals::listen().map_err(|e| failed(&e))?;
    let stream = UnixStream::connect(socket).map_err(|e| failed(&e))?;
    let pid = rustix::net::sockopt::socket_peercred(&stream).map_err(|e| failed(&e))?.pid.as_raw_nonzero().get();
    let mut qmp = Qmp::new(stream, ANSWER).map_err(|e| {
        let fault = failed(&e);
        if matches!(e, QmpError::TimedOut) {
            return fault.with_help("a QMP socket serves one client at a time: is another connected?");
        }
        fault
    })?;
    let text = |value: Result<Value, QmpError>, key: &str| {
        value.ok().and_then(|v| v[key].as_str().map(str::to_string)).unwrap_or_default()
    };
    let own_name = text(qmp.execute("query-name", json!({})), "name");
    let uuid = text(qmp.execute("query-uuid", json!({})), "UUID");
    let name = name.map(str::to_string).filter(|n| !n.is_empty()).unwrap_or(own_name);
    if name.is_empty() {
        return Err(failed(&"this QEMU has no name").with_help("give it one: virtc attach SOCKET --name NAME"));
    }
    let qemu = Watched::adopt("qemu", pid).ok_or_else(|| failed(&"its process is gone"))?;
    let mut journal = claim(&options.registry, &name, say)?;
    journal.add(Entry::Machine(Header {
        name: name.clone(),
        uuid,
        title: None,
        runner: ProcessRef::me(),
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        monitor: std::path::absolute(socket).unwrap_or_else(|_| socket.to_path_buf()),
        adopted: true,
    }))?;
    journal.add(Entry::Process { id: "qemu".to_string(), process: qemu.process })?;
    let mut machine = Machine {
        name,
        lifecycle: Lifecycle::default(),
        stop_timeout: options.stop_timeout,
        registry: options.registry.clone(),
        journal: Some(journal),
        helpers: Vec::new(),
        spare: None,
        qemu: Some(qemu),
        qmp: Some(qmp),
        proxy: None,
        signals,
        dump_directory: options.registry.base().to_path_buf(),
        adopted: true,
    };
    machine.open_proxy()?;
    machine.note(Entry::Ready)?;
    Ok(machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn requests_are_read_as_typed() {
        assert_eq!(request(&words("query-status")).expect("a request"), json!({ "execute": "query-status" }));
        assert_eq!(
            request(&words("device_add driver=usb-tablet id=t0 a.b=1")).expect("a request"),
            json!({ "execute": "device_add", "arguments": { "driver": "usb-tablet", "id": "t0", "a": { "b": 1 } } })
        );
        assert_eq!(request(&words("{\"execute\": \"stop\"}")).expect("a request"), json!({ "execute": "stop" }));
        for wrong in ["", "{\"x\": 1}", "{", "device_add nonsense"] {
            let words = if wrong.is_empty() { Vec::new() } else { words(wrong) };
            assert!(request(&words).is_err(), "{wrong}");
        }
    }
}
