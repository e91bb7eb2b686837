//! A connection to QEMU's monitor: one line of JSON a message.
//!
//! QEMU may have been taken over by its guest, so that a message has a longest size and everything has an end in time.

use crate::main_process::MainProcess;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send};
use rustix::net::{socket_with, sockopt::socket_peercred};
use serde_json::{Value, json};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// More than the longest answer: 4,096 CPUs of 300 bytes.
const LONGEST: usize = 2 << 20;

/// How often a socket that is not there yet is looked for.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a process may live on when its sockets are closed.
const LAST: Duration = Duration::from_secs(2);

/// The open connection.
pub struct Monitor<'a> {
    socket: OwnedFd,
    buffer: Vec<u8>,
    process: &'a MainProcess,
    until: Instant,
}

impl<'a> Monitor<'a> {
    /// Connects, waits for the greeting and leaves the mode of negotiation.
    pub fn connect(path: &str, process: &'a MainProcess, until: Instant) -> Result<Monitor<'a>, String> {
        let socket = patiently(path, process, until)?;
        prove(&socket, process)?;
        let mut monitor = Monitor { socket, buffer: Vec::new(), process, until };
        while monitor.message()?.get("QMP").is_none() {}
        monitor.ask("qmp_capabilities")?;
        Ok(monitor)
    }

    /// Sends a command; gives what it returned.
    pub fn ask(&mut self, command: &str) -> Result<Value, String> {
        self.ask_with(command, json!({}))
    }

    /// Sends a command with arguments; gives what it returned.
    pub fn ask_with(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        let line = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        // A socket that is full belongs to a QEMU that reads nothing: there is nothing to wait for.
        let sent = send(&self.socket, line.as_bytes(), SendFlags::NOSIGNAL);
        if sent != Ok(line.len()) {
            return Err(format!("QEMU takes no command ({command})"));
        }
        loop {
            let mut message = self.message()?;
            if let Some(value) = message.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = message.get("error") {
                return Err(format!("{command}: {}", error["desc"].as_str().unwrap_or("QEMU refuses it")));
            }
        }
    }

    /// The next message, an event or an answer.
    pub fn message(&mut self) -> Result<Value, String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|e| format!("QEMU's monitor speaks no JSON: {e}"));
            }
            self.more()?;
        }
    }

    /// Reads what is there, or waits for it.
    fn more(&mut self) -> Result<(), String> {
        let mut block = [0; 8192];
        match recv(&self.socket, &mut block, RecvFlags::empty()) {
            Ok((0, _)) => Err(self.closed("QEMU has closed its monitor".to_string())),
            Ok((length, _)) if self.buffer.len() + length <= LONGEST => {
                self.buffer.extend(block.iter().take(length));
                self.in_time()
            }
            Ok(_) => Err("QEMU's monitor sends a message without an end".to_string()),
            Err(rustix::io::Errno::AGAIN) => {
                self.process.watch(Some(self.socket.as_fd()), self.until);
                if self.process.has_ended() { Err("QEMU has ended".to_string()) } else { self.in_time() }
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(self.closed(format!("QEMU's monitor cannot be read: {error}"))),
        }
    }

    /// Why a connection is no more: most often since QEMU is not, which shows a moment later.
    fn closed(&self, why: String) -> String {
        self.process.watch(None, self.until.min(Instant::now() + LAST));
        if self.process.has_ended() { "QEMU has ended".to_string() } else { why }
    }

    fn in_time(&self) -> Result<(), String> {
        if Instant::now() < self.until { Ok(()) } else { Err("QEMU's monitor does not answer in time".to_string()) }
    }
}

/// Connects as soon as somebody listens.
fn patiently(path: &str, process: &MainProcess, until: Instant) -> Result<OwnedFd, String> {
    use rustix::io::Errno;
    let address = SocketAddrUnix::new(path).map_err(|e| format!("{path}: {e}"))?;
    loop {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(|e| e.to_string())?;
        match connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            // It is not there yet, nobody listens yet, or others wait to be served.
            Err(Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN | Errno::INTR) if !process.has_ended() => {}
            Err(_) if process.has_ended() => return Err("QEMU has ended".to_string()),
            Err(error) => return Err(format!("cannot connect to {path}: {error}")),
        }
        let now = Instant::now();
        if now >= until {
            return Err(format!("nobody listens at {path}"));
        }
        process.watch(None, until.min(now + PAUSE));
    }
}

/// Who listens has to be the main process of the unit: what lies at a path can have been put there by others.
fn prove(socket: &OwnedFd, process: &MainProcess) -> Result<(), String> {
    let Some(pid) = process.pid() else { return Ok(()) };
    let peer = socket_peercred(socket).map_err(|e| format!("who listens at the monitor is not known: {e}"))?;
    if peer.pid == pid { Ok(()) } else { Err("who listens at the monitor is not the QEMU of this unit".to_string()) }
}
