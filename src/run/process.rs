//! Processes: started, watched through descriptors, found again after a crash of the runner.

use super::errors::{Fault, WithHelp, fault};
use super::groups::Groups;
use super::own;
use super::qmp::readable;
use super::terminal::{self, Terminal};
use super::trampoline::Confine;
use super::view;
use crate::diag::codes::run as codes;
use crate::plan::{self, Need};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The environment variable that marks what a runner has started: the path of its journal.
const MARK: &str = "VIRTC_MACHINE";

/// A process by its number and its start, so that a number that is used again is not mistaken for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its number.
    pub pid: i32,
    /// Its start, clock ticks since the boot (field 22 of /proc/PID/stat).
    pub start: u64,
}

impl ProcessRef {
    /// This process.
    pub fn me() -> ProcessRef {
        ProcessRef::of(std::process::id() as i32)
    }

    /// The process that now has this number; start 0 if there is none.
    pub fn of(pid: i32) -> ProcessRef {
        ProcessRef { pid, start: stat(pid).map_or(0, |(_, start)| start) }
    }

    /// Whether it still runs. A zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|(state, start)| start == self.start && state != 'Z' && state != 'X')
    }

    /// Opens a descriptor for it; `None` when it is gone.
    pub fn open(self) -> Option<OwnedFd> {
        let fd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // The number may have been given to another process before it was opened.
        self.is_alive().then_some(fd)
    }

    /// Sends a signal, if it is alive.
    pub fn signal(self, signal: Signal) -> bool {
        self.open().is_some_and(|fd| pidfd_send_signal(fd, signal).is_ok())
    }

    /// Waits until it is gone; `false` when it is still there after `timeout`.
    pub fn wait_gone(self, timeout: Duration) -> bool {
        match self.open() {
            Some(fd) => readable(fd.as_fd(), Some(Instant::now() + timeout)).unwrap_or(false) || !self.is_alive(),
            None => true,
        }
    }
}

/// State and start of a process, from /proc. The name in the second field may hold anything, `)` too.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // Field 22, counted from the state as field 3.
    let start = fields.nth(18)?.parse().ok()?;
    Some((state, start))
}

/// All processes that were started by the runner with this journal.
pub(super) fn marked(journal: &Path) -> Vec<ProcessRef> {
    let mark = format!("{MARK}={}", journal.display());
    let Ok(dir) = std::fs::read_dir("/proc") else { return Vec::new() };
    dir.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|env| env.split(|b| *b == 0).any(|v| v == mark.as_bytes()))
        })
        .map(ProcessRef::of)
        .filter(|p| p.start != 0)
        .collect()
}

/// The beginning and the end of what a process writes to its standard error, and whether it is shown as it comes.
#[derive(Default)]
struct Tail {
    first: Vec<String>,
    lines: VecDeque<String>,
    cut: bool,
    live: bool,
}

impl Tail {
    fn keep(&mut self, line: String) {
        if self.first.len() < Messages::FIRST {
            self.first.push(line);
            return;
        }
        self.lines.push_back(line);
        if self.lines.len() > Messages::LAST {
            self.lines.pop_front();
            self.cut = true;
        }
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        let gap = self.cut.then_some("[…]");
        self.first.iter().map(String::as_str).chain(gap).chain(self.lines.iter().map(String::as_str))
    }
}

/// What a process says on standard error.
#[derive(Clone, Default)]
pub(super) struct Messages(Arc<Mutex<Tail>>);

impl Messages {
    /// How many lines are kept of the beginning, where the cause stands, and of the end.
    const FIRST: usize = 5;
    const LAST: usize = 15;

    /// Reads `from` to its end in a thread of its own.
    fn follow(&self, from: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<()> {
        let tail = self.0.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(from);
            let mut line = Vec::new();
            // A line without end is taken in pieces, so that memory stays bounded.
            while let Ok(read) = std::io::Read::take(&mut reader, 16 << 10).read_until(b'\n', &mut line) {
                if read == 0 {
                    break;
                }
                let text = String::from_utf8_lossy(&line).trim_end().to_string();
                line.clear();
                let Ok(mut tail) = tail.lock() else { break };
                if tail.live {
                    let _ = writeln!(std::io::stderr(), "{}", crate::diag::printable(&text));
                }
                tail.keep(text);
            }
        })
    }

    /// From now on lines go to our own standard error as they come; those that were held back go first.
    pub(super) fn go_live(&self) {
        if let Ok(mut tail) = self.0.lock() {
            for line in tail.all() {
                let _ = writeln!(std::io::stderr(), "{}", crate::diag::printable(line));
            }
            tail.live = true;
        }
    }

    /// The first and the last lines.
    pub(super) fn text(&self) -> String {
        self.0.lock().map(|tail| Vec::from_iter(tail.all()).join("\n")).unwrap_or_default()
    }
}

/// A process that is watched: a child of ours, or one that was adopted.
pub(super) struct Watched {
    /// Its id in the Plan.
    pub id: String,
    /// Its number and start.
    pub process: ProcessRef,
    /// What it says.
    pub messages: Messages,
    fd: OwnedFd,
    child: Option<Child>,
    reader: Option<std::thread::JoinHandle<()>>,
    /// The terminal that it uses; put back when it has ended.
    terminal: Option<Terminal>,
}

impl Watched {
    /// Watches a process that somebody else has started.
    pub(super) fn adopt(id: &str, pid: i32) -> Option<Watched> {
        let process = ProcessRef::of(pid);
        let fd = process.open()?;
        let messages = Messages::default();
        Some(Watched { id: id.to_string(), process, messages, fd, child: None, reader: None, terminal: None })
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        readable(self.fd.as_fd(), Some(Instant::now())).unwrap_or(true)
    }

    /// Waits for its end; `false` when it still runs after `timeout`.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        readable(self.fd.as_fd(), Some(Instant::now() + timeout)).unwrap_or(true)
    }

    /// Its status once it has ended; `None` for an adopted process.
    pub(super) fn reap(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.wait().ok();
        self.terminal = None;
        // Helpers of its own may keep the pipe open, so the reader is not waited for without bound.
        if let Some(reader) = self.reader.take() {
            let deadline = Instant::now() + Duration::from_millis(200);
            while !reader.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        status
    }

    /// Sends a signal.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.fd, signal);
    }

    /// Ends it: SIGTERM, and SIGKILL when it does not listen.
    pub(super) fn end(&mut self, patience: Duration) {
        if !self.has_ended() {
            self.signal(Signal::TERM);
            if !self.wait(patience) {
                self.signal(Signal::KILL);
                self.wait(Duration::from_secs(5));
            }
        }
        self.reap();
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What holds for all processes of one machine.
pub(super) struct Starter {
    /// The virtc program.
    pub virtc: PathBuf,
    /// The machine's journal.
    pub journal: PathBuf,
    /// What has to happen in the child before the program begins.
    pub confine: Confine,
}

impl Starter {
    /// The account of the machine, if it has one of its own.
    pub(super) fn account(&self) -> Option<own::Account> {
        self.confine.account.clone().map(|(uid, gid, groups)| own::Account { uid, gid, groups })
    }

    /// Starts a process of the Plan with these arguments, in a process group of its own, so that Ctrl-C reaches
    /// only the runner. With `terminal` it has our standard input and output.
    pub(super) fn start(
        &self,
        process: &plan::Process,
        args: &[String],
        terminal: bool,
        groups: Option<&Groups>,
    ) -> Result<Watched, Fault> {
        let mut confine = Confine {
            locks_memory: process.needs(Need::LockedMemory) || self.confine.locks_memory,
            keep: keep(process),
            calls: self.confine.calls.map(|calls| calls.with(process)),
            groups: groups.map(Groups::joins).unwrap_or_default(),
            descriptors: descriptors(process)?,
            apparmor: self.confine.apparmor.as_ref().and_then(|profile| own_profile(profile, process)),
            ..self.confine.clone()
        };
        if let Some(user) = process.user.as_deref().filter(|_| rustix::process::geteuid().is_root()) {
            let account = own::account_of(user, process.group.as_deref(), &[])?;
            // A helper of root for which the Plan names no rights keeps all.
            let changes = account.uid != 0 || !process.capabilities.is_empty();
            confine.account = changes.then_some((account.uid, account.gid, account.groups));
        }
        // Each program of these becomes the next, so that the process keeps its number.
        let mut words: Vec<OsString> = groups.map(Groups::prefix).unwrap_or_default().iter().map(Into::into).collect();
        if !confine.is_nothing() {
            words.extend(view::prefix(&confine.covered).iter().map(Into::into));
            words.extend([self.virtc.clone().into_os_string(), super::EXEC.into(), confine.to_json().into()]);
        }
        words.push(process.program.clone().into());
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        // As in a unit: a relative path means the same wherever virtc was started.
        command.args(words).args(args).current_dir("/");
        let is_passt = process.role == plan::Role::Passt && process.program.ends_with("/passt");
        if is_passt && confine.account.is_none() && rustix::process::geteuid().is_root() {
            // Else it changes to `nobody`, who cannot make a socket in the machine's directory.
            command.args(["--runas", "0:0"]);
        }
        command.env_clear().envs(process.env.iter().map(|(k, v)| (k.as_ref(), v.as_str())));
        command.env(MARK, &self.journal).stderr(Stdio::piped());
        if groups.is_some_and(|g| !g.prefix().is_empty()) {
            // The user's systemd is found by it.
            command.envs(std::env::var_os("XDG_RUNTIME_DIR").map(|dir| ("XDG_RUNTIME_DIR", dir)));
        }
        command.process_group(0);
        match terminal {
            true if terminal::is_ours() => command.stdin(Stdio::piped()).stdout(Stdio::inherit()),
            true => command.stdin(Stdio::inherit()).stdout(Stdio::inherit()),
            false => command.stdin(Stdio::null()).stdout(Stdio::null()),
        };
        let failed = |e: std::io::Error| {
            let text = format!("cannot start {} ({}): {e}", process.program, process.id);
            match e.kind() {
                std::io::ErrorKind::NotFound => fault(&codes::NO_PROGRAM, text)
                    .with_help(format!("install the package that brings {}, or name another program", process.program)),
                _ => fault(&codes::NO_PROGRAM, text),
            }
        };
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id() as i32;
        let terminal = child.stdin.take().and_then(Terminal::relay);
        let messages = Messages::default();
        let reader = child.stderr.take().map(|stderr| messages.follow(stderr));
        // The child is not reaped yet, so its number is still its own.
        let fd = Pid::from_raw(pid)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
            .map_err(|e| failed(e.into()))?;
        let process_ref = ProcessRef::of(pid);
        Ok(Watched { id: process.id.clone(), process: process_ref, messages, fd, child: Some(child), reader, terminal })
    }
}

/// What the process gets open: a number, and the file.
fn descriptors(process: &plan::Process) -> Result<Vec<(u32, String)>, Fault> {
    let opened = |d: &plan::Descriptor| Some((d.number, d.link.clone()?));
    let wanted = process.descriptors.iter().filter_map(opened);
    wanted.map(|(number, link)| Ok((number, super::links::character_device(&link)?))).collect()
}

/// The AppArmor profile of a process: a helper has one inside that of QEMU, which would deny it what it needs.
fn own_profile(profile: &str, process: &plan::Process) -> Option<String> {
    match process.role {
        plan::Role::Qemu => Some(profile.to_string()),
        _ => Some(format!("{profile}//{}", process.id)).filter(|name| super::start::profile_is_loaded(name)),
    }
}

/// Capabilities that a process keeps: those of the Plan, if it names any.
fn keep(process: &plan::Process) -> Vec<String> {
    process.capabilities.iter().map(|c| c.to_string()).collect()
}

/// How a process ended, in words.
pub(super) fn ended(status: Option<ExitStatus>) -> String {
    match status {
        None => "ended".to_string(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with status {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}{}", signal_name(signal)),
            (None, None) => "ended".to_string(),
        },
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT: it aborted itself)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        31 => " (SIGSYS: a system call that its seccomp filter forbids)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_and_start() {
        let me = ProcessRef::me();
        assert!(me.is_alive() && me.start > 0);
        assert!(!ProcessRef { start: me.start + 1, ..me }.is_alive());
        assert!(!ProcessRef::default().is_alive());
    }
}
