//! A client of QEMU's machine protocol (QMP): JSON objects, one a line, over any byte stream.
//!
//! The stream only has to be readable, writable and pollable, so the same client speaks over the
//! monitor socket of a running machine and over the standard input and output of a probed binary
//! ([`Duplex`]). Replies carry the id of their command; events may arrive at any time and are kept
//! until somebody asks for them.

use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest line that is taken from a peer. Replies such as `qom-list-types` reach some hundred KiB.
const LONGEST_LINE: usize = 8 << 20;

/// So much of what nobody waits for is kept, messages and bytes: a QEMU that was taken over by its guest may send events without end.
const MOST_KEPT: (usize, usize) = (10_000, 16 << 20);

/// Why a conversation failed.
#[derive(Debug)]
pub enum QmpError {
    /// The stream failed.
    Io(io::Error),
    /// QEMU closed the stream.
    Closed,
    /// No answer within the time given.
    TimedOut,
    /// What came is not QMP.
    Protocol(String),
    /// QEMU refused the command.
    Refused {
        /// QEMU's error class, `CommandNotFound`, `GenericError`.
        class: String,
        /// QEMU's text.
        description: String,
    },
}

impl fmt::Display for QmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QmpError::Io(error) => write!(f, "the monitor failed: {error}"),
            QmpError::Closed => write!(f, "QEMU closed the monitor"),
            QmpError::TimedOut => write!(f, "QEMU did not answer in time"),
            QmpError::Protocol(what) => write!(f, "this is not QMP: {what}"),
            QmpError::Refused { class, description } => write!(f, "{description} ({class})"),
        }
    }
}

impl std::error::Error for QmpError {}

impl From<io::Error> for QmpError {
    fn from(error: io::Error) -> QmpError {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                QmpError::Closed
            }
            _ => QmpError::Io(error),
        }
    }
}

/// Something that happened in QEMU by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `SHUTDOWN`, `RESET`, `GUEST_PANICKED`.
    pub name: String,
    /// Its data, or null.
    pub data: Value,
    /// Seconds and microseconds of the host's clock, as QEMU says.
    pub timestamp: (i64, i64),
}

/// What arrives without being waited for.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// An event.
    Event(Event),
    /// The reply to a request that was posted: the id that [`Qmp::post`] gave it, and QEMU's object.
    Reply(u64, Value),
}

/// A reader and a writer as one stream: the output and the input of a child process.
pub struct Duplex<R, W> {
    /// What is read.
    pub reader: R,
    /// What is written.
    pub writer: W,
}

impl<R: Read, W> Read for Duplex<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl<R, W: Write> Write for Duplex<R, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl<R: AsFd, W> AsFd for Duplex<R, W> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// A conversation with one QEMU.
pub struct Qmp<S> {
    stream: S,
    /// Bytes that were read and not yet taken; `scanned` of them hold no line end.
    buffer: Vec<u8>,
    scanned: usize,
    /// What came while something else was waited for.
    kept: VecDeque<Incoming>,
    /// How many bytes came since nothing was kept.
    kept_bytes: usize,
    next_id: u64,
    /// How long a command may take.
    timeout: Duration,
    greeting: Value,
}

impl Qmp<UnixStream> {
    /// Connects to a monitor socket and negotiates.
    ///
    /// A QMP socket serves one client at a time: while another is connected, no greeting comes and this
    /// ends with [`QmpError::TimedOut`].
    pub fn connect(path: &Path, timeout: Duration) -> Result<Qmp<UnixStream>, QmpError> {
        Qmp::new(UnixStream::connect(path)?, timeout)
    }
}

impl<S: Read + Write + AsFd> Qmp<S> {
    /// Waits for the greeting on `stream` and leaves negotiation mode. `timeout` holds for the
    /// handshake and for each later command.
    pub fn new(stream: S, timeout: Duration) -> Result<Qmp<S>, QmpError> {
        let mut qmp = Qmp {
            stream,
            buffer: Vec::with_capacity(4096),
            scanned: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            next_id: 1,
            timeout,
            greeting: Value::Null,
        };
        let deadline = Instant::now() + timeout;
        let Some(greeting) = qmp.message(Some(deadline))? else { return Err(QmpError::TimedOut) };
        match greeting.get("QMP") {
            Some(inner) => qmp.greeting = inner.clone(),
            None => return Err(QmpError::Protocol(format!("expected a greeting, got {greeting}"))),
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Sets how long each later command may take.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// QEMU's version: major, minor, micro.
    pub fn version(&self) -> (u64, u64, u64) {
        let part = |name| self.greeting["version"]["qemu"][name].as_u64().unwrap_or(0);
        (part("major"), part("minor"), part("micro"))
    }

    /// The greeting's inner object: `version` with `qemu` and `package`, `capabilities`.
    pub fn greeting(&self) -> &Value {
        &self.greeting
    }

    /// Executes a command with `arguments` (an object; `{}` or null for none) and returns what it returns.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let mut request = Map::new();
        request.insert("execute".to_string(), Value::String(command.to_string()));
        if arguments.as_object().is_some_and(|a| !a.is_empty()) {
            request.insert("arguments".to_string(), arguments);
        }
        self.send(Value::Object(request))
    }

    /// Sends a whole request (`execute` or `exec-oob`, `arguments`); its id is replaced by one of ours.
    pub fn send(&mut self, mut request: Value) -> Result<Value, QmpError> {
        let id = self.post(&mut request)?;
        let deadline = Instant::now() + self.timeout;
        loop {
            // It is looked at even while there is something to read.
            let in_time = Instant::now() < deadline;
            let Some(message) = self.message(Some(deadline))?.filter(|_| in_time) else {
                return Err(QmpError::TimedOut);
            };
            match sort(message) {
                // An error in the request's syntax is answered without an id.
                Incoming::Reply(reply_id, body) if reply_id == id || reply_id == 0 => return result(body),
                other => self.keep(other)?,
            }
        }
    }

    /// Keeps what nobody waits for now.
    fn keep(&mut self, incoming: Incoming) -> Result<(), QmpError> {
        if self.kept.is_empty() {
            self.kept_bytes = 0;
        }
        self.kept.push_back(incoming);
        if self.kept.len() > MOST_KEPT.0 || self.kept_bytes > MOST_KEPT.1 {
            self.kept.clear();
            return Err(QmpError::Protocol("events without end".to_string()));
        }
        Ok(())
    }

    /// Sends a request without waiting for its reply; the id it was given finds the reply among [`Qmp::incoming`].
    pub fn post(&mut self, request: &mut Value) -> Result<u64, QmpError> {
        let id = self.next_id;
        self.next_id += 1;
        match request.as_object_mut() {
            Some(object) => object.insert("id".to_string(), Value::from(id)),
            None => return Err(QmpError::Protocol("a request is a JSON object".to_string())),
        };
        let mut line = request.to_string();
        line.push('\n');
        self.stream.write_all(line.as_bytes())?;
        self.stream.flush()?;
        Ok(id)
    }

    /// Runs a command of the human monitor and returns what it prints.
    pub fn human(&mut self, line: &str) -> Result<String, QmpError> {
        let reply = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(reply.as_str().unwrap_or_default().replace("\r\n", "\n"))
    }

    /// The next event: one that was kept, or one that comes within `timeout` (`None`: wait for ever).
    /// `Ok(None)` when none came. Replies to posted requests are dropped.
    pub fn event(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, QmpError> {
        let deadline = timeout.map(|t| Instant::now() + t);
        loop {
            match self.next(deadline)? {
                Some(Incoming::Event(event)) => return Ok(Some(event)),
                Some(Incoming::Reply(..)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next event or reply that is here already; `Ok(None)` when there is none.
    pub fn incoming(&mut self) -> Result<Option<Incoming>, QmpError> {
        self.next(Some(Instant::now()))
    }

    fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Incoming>, QmpError> {
        match self.kept.pop_front() {
            Some(kept) => Ok(Some(kept)),
            None => Ok(self.message(deadline)?.map(sort)),
        }
    }

    /// The next line as JSON; `None` when the deadline passes.
    fn message(&mut self, deadline: Option<Instant>) -> Result<Option<Value>, QmpError> {
        let mut has_read = false;
        loop {
            if let Some(at) = self.buffer.iter().skip(self.scanned).position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=self.scanned + at).collect();
                self.scanned = 0;
                self.kept_bytes = self.kept_bytes.saturating_add(line.len());
                let line = line.trim_ascii();
                if line.is_empty() {
                    continue;
                }
                return serde_json::from_slice(line)
                    .map(Some)
                    .map_err(|error| QmpError::Protocol(format!("{error}: {}", excerpt(line))));
            }
            self.scanned = self.buffer.len();
            if self.buffer.len() > LONGEST_LINE {
                return Err(QmpError::Protocol("a line without end".to_string()));
            }
            // A line that comes in drops, or empty lines without end, are not waited for either.
            let is_late = has_read && deadline.is_some_and(|d| Instant::now() >= d);
            if is_late || !readable(self.stream.as_fd(), deadline)? {
                return Ok(None);
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(QmpError::Closed),
                Ok(read) => {
                    self.buffer.extend(chunk.iter().take(read));
                    has_read = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Tells an event from a reply; a reply without an id has id 0.
fn sort(mut message: Value) -> Incoming {
    match message.get("event").and_then(Value::as_str) {
        Some(name) => {
            let stamp = |part| message["timestamp"][part].as_i64().unwrap_or(0);
            Incoming::Event(Event {
                name: name.to_string(),
                timestamp: (stamp("seconds"), stamp("microseconds")),
                data: message.get("data").cloned().unwrap_or(Value::Null),
            })
        }
        None => {
            let id = message.get("id").and_then(Value::as_u64).unwrap_or(0);
            if let Some(object) = message.as_object_mut() {
                object.shift_remove("id");
            }
            Incoming::Reply(id, message)
        }
    }
}

/// What a command returned, out of the object of its reply.
fn result(mut body: Value) -> Result<Value, QmpError> {
    if let Some(error) = body.get("error") {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_string();
        return Err(QmpError::Refused { class: text("class"), description: text("desc") });
    }
    match body.get_mut("return") {
        Some(value) => Ok(value.take()),
        None => Err(QmpError::Protocol(format!("neither a reply nor an event: {body}"))),
    }
}

impl<S: AsFd> AsFd for Qmp<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The beginning of a line for a message.
fn excerpt(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().take(120).collect()
}

/// Waits until `fd` can be read (or is closed); `false` when the deadline passes.
pub(crate) fn readable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let spec = left.map(|l| Timespec { tv_sec: l.as_secs().min(1 << 30) as i64, tv_nsec: l.subsec_nanos().into() });
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], spec.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that answers each line it reads with the next of `replies`.
    fn peer(greeting: &'static str, replies: Vec<String>) -> UnixStream {
        let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
        std::thread::spawn(move || {
            theirs.write_all(greeting.as_bytes()).ok();
            let mut reader = io::BufReader::new(theirs.try_clone().expect("a second handle"));
            for reply in replies {
                let mut line = String::new();
                if io::BufRead::read_line(&mut reader, &mut line).unwrap_or(0) == 0 {
                    return;
                }
                theirs.write_all(reply.as_bytes()).ok();
            }
        });
        ours
    }

    const GREETING: &str = "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}}}\r\n";
    const SHORT: Duration = Duration::from_millis(300);

    #[test]
    fn replies_are_told_from_events() {
        let replies = vec![
            "{\"return\": {}, \"id\": 1}\r\n".to_string(),
            "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 7, \"microseconds\": 5}}\r\n{\"return\": {\"status\": \"paused\"}, \"id\": 2}\r\n"
                .to_string(),
        ];
        let mut qmp = Qmp::new(peer(GREETING, replies), SHORT).expect("a handshake");
        assert_eq!(qmp.version(), (7, 2, 22));
        assert_eq!(qmp.execute("query-status", json!({})).expect("a reply")["status"], "paused");
        let event = qmp.event(Some(SHORT)).expect("no fault").expect("an event");
        assert_eq!((event.name.as_str(), event.timestamp), ("STOP", (7, 5)));
    }

    /// A peer that answers the handshake and then sends this again and again.
    fn flood(line: &'static str) -> UnixStream {
        let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
        std::thread::spawn(move || {
            theirs.write_all(GREETING.as_bytes()).ok();
            theirs.write_all(b"{\"return\": {}, \"id\": 1}\n").ok();
            let block = line.repeat(1000);
            while theirs.write_all(block.as_bytes()).is_ok() {}
        });
        ours
    }

    #[test]
    fn a_peer_without_end_is_left() {
        for line in [
            "{\"event\": \"X\", \"data\": [1, 2, 3]}\n",
            "no line end",
            "[[[[[[[[",
            "\n",
            "{\"return\": {}, \"id\": 77}\n",
        ] {
            let began = Instant::now();
            let mut qmp = Qmp::new(flood(line), SHORT).expect("a handshake");
            assert!(qmp.execute("query-status", json!({})).is_err(), "{line}");
            assert!(began.elapsed() < Duration::from_secs(8), "{line}: {:?}", began.elapsed());
            assert!(qmp.kept.len() <= MOST_KEPT.0 && qmp.buffer.len() <= LONGEST_LINE + (64 << 10), "{line}");
        }
    }

    #[test]
    fn faults_are_told_apart() {
        let refused = "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no such command\"}, \"id\": 2}\n";
        let mut qmp =
            Qmp::new(peer(GREETING, vec!["{\"return\": {}}\n".into(), refused.into()]), SHORT).expect("a handshake");
        match qmp.execute("nonsense", json!({})) {
            Err(QmpError::Refused { class, .. }) => assert_eq!(class, "CommandNotFound"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(qmp.execute("quit", json!({})), Err(QmpError::Closed)));
        assert!(matches!(Qmp::new(peer("", vec![String::new()]), SHORT).err(), Some(QmpError::TimedOut)));
        assert!(matches!(Qmp::new(peer("HTTP/1.0\n", vec![]), SHORT).err(), Some(QmpError::Protocol(_))));
    }
}
