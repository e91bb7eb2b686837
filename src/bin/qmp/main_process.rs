//! The main process of the unit, by a descriptor that no other process can take over.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// QEMU, or a helper of it.
pub struct MainProcess {
    handle: Option<(Pid, OwnedFd)>,
}

impl MainProcess {
    /// That of `$MAINPID`; an error if it is gone. Without the variable there is none to look after.
    pub fn find() -> Result<MainProcess, String> {
        let Ok(text) = std::env::var("MAINPID") else { return Ok(MainProcess { handle: None }) };
        let pid = text.parse().ok().and_then(Pid::from_raw).ok_or(format!("MAINPID is no process: '{text}'"))?;
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Ok(MainProcess { handle: Some((pid, fd)) }),
            Err(_) => Err(format!("the process {text} has ended")),
        }
    }

    /// Its number, where the unit has said it.
    pub fn pid(&self) -> Option<Pid> {
        self.handle.as_ref().map(|(pid, _)| *pid)
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.handle.as_ref().is_some_and(|(_, fd)| is_ready(&[fd.as_fd()], Instant::now()))
    }

    /// Waits until `other` can be read, the process has ended or the time is over; whether one of the first two.
    pub fn watch(&self, other: Option<BorrowedFd<'_>>, until: Instant) -> bool {
        let own = self.handle.as_ref().map(|(_, fd)| fd.as_fd());
        let all: Vec<BorrowedFd<'_>> = own.into_iter().chain(other).collect();
        is_ready(&all, until)
    }
}

fn is_ready(descriptors: &[BorrowedFd<'_>], until: Instant) -> bool {
    let mut polled: Vec<PollFd<'_>> = descriptors.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match poll(&mut polled, Some(&timespec(left))) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.is_ok_and(|ready| ready > 0),
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(time.subsec_nanos()) }
}
