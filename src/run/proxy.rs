//! The runner's control socket: QMP for any number of clients.
//!
//! QEMU's own monitor socket serves one client, and that is the runner, which must see every event. So
//! the runner passes on what others ask, and copies events to all of them.

use super::qmp::{Event, Qmp, QmpError};
use rustix::event::PollFlags;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// A client that sends this much without a line end, or does not fetch this much, is dropped.
const PATIENCE: usize = 8 << 20;

struct Client {
    number: u64,
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    negotiated: bool,
    gone: bool,
}

impl Client {
    fn put(&mut self, message: &Value) {
        self.output.extend_from_slice(message.to_string().as_bytes());
        self.output.extend_from_slice(b"\r\n");
        self.flush();
    }

    fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => self.gone = true,
                Ok(written) => {
                    self.output.drain(..written);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.gone = true,
            }
            break;
        }
        self.gone |= self.output.len() > PATIENCE;
    }

    fn fill(&mut self) {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => self.gone = true,
                Ok(read) => {
                    self.input.extend(chunk.iter().take(read));
                    self.gone |= self.input.len() > PATIENCE;
                    if !self.gone {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.gone = true,
            }
            return;
        }
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.input.iter().position(|b| *b == b'\n')?;
        let line: Vec<u8> = self.input.drain(..=end).collect();
        Some(line.trim_ascii().to_vec())
    }
}

/// The control socket and its clients.
pub(super) struct Proxy {
    listener: UnixListener,
    greeting: Value,
    clients: Vec<Client>,
    next: u64,
    /// Requests under way: our id, the client, the client's own id.
    waiting: BTreeMap<u64, (u64, Option<Value>)>,
}

fn error(class: &str, text: &str) -> Value {
    json!({ "error": { "class": class, "desc": text } })
}

impl Proxy {
    pub(super) fn listen(path: &Path, greeting: Value) -> std::io::Result<Proxy> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Proxy { listener, greeting, clients: Vec::new(), next: 0, waiting: BTreeMap::new() })
    }

    /// The descriptors to wait on, and for what.
    pub(super) fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let clients = self.clients.iter().map(|client| {
            let flags = if client.output.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
            (client.stream.as_fd(), flags)
        });
        std::iter::once((self.listener.as_fd(), PollFlags::IN)).chain(clients)
    }

    /// Takes in new clients and passes on what they ask. An error is the monitor's, not a client's.
    pub(super) fn serve(&mut self, qmp: &mut Qmp<UnixStream>) -> Result<(), QmpError> {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                self.next += 1;
                let mut client = Client {
                    number: self.next,
                    stream,
                    input: Vec::new(),
                    output: Vec::new(),
                    negotiated: false,
                    gone: false,
                };
                client.put(&json!({ "QMP": self.greeting }));
                self.clients.push(client);
            }
        }
        for client in &mut self.clients {
            client.fill();
            while let Some(line) = client.line() {
                if line.is_empty() {
                    continue;
                }
                let Ok(mut request) = serde_json::from_slice::<Value>(&line) else {
                    client.put(&error("GenericError", "this is not JSON"));
                    continue;
                };
                let Some(object) = request.as_object_mut() else {
                    client.put(&error("GenericError", "a request is a JSON object"));
                    continue;
                };
                let id = object.shift_remove("id");
                if object.get("execute").and_then(Value::as_str) == Some("qmp_capabilities") {
                    client.negotiated = true;
                    client.put(&with_id(json!({ "return": {} }), id));
                } else if !client.negotiated {
                    let text = "the first command is qmp_capabilities";
                    client.put(&with_id(error("CommandNotFound", text), id));
                } else {
                    let ours = qmp.post(&mut request)?;
                    self.waiting.insert(ours, (client.number, id));
                }
            }
            client.flush();
        }
        self.clients.retain(|client| !client.gone);
        Ok(())
    }

    /// Hands a reply to the client that asked.
    pub(super) fn reply(&mut self, id: u64, body: Value) {
        let Some((number, id)) = self.waiting.remove(&id) else { return };
        if let Some(client) = self.clients.iter_mut().find(|c| c.number == number) {
            client.put(&with_id(body, id));
        }
    }

    /// Copies an event to all clients.
    pub(super) fn broadcast(&mut self, event: &Event) {
        let (seconds, microseconds) = event.timestamp;
        let mut message = json!({
            "timestamp": { "seconds": seconds, "microseconds": microseconds },
            "event": event.name,
        });
        if !event.data.is_null() {
            message["data"] = event.data.clone();
        }
        for client in self.clients.iter_mut().filter(|c| c.negotiated) {
            client.put(&message);
        }
    }
}

fn with_id(mut body: Value, id: Option<Value>) -> Value {
    if let (Some(object), Some(id)) = (body.as_object_mut(), id) {
        object.insert("id".to_string(), id);
    }
    body
}
