//! Signals as readable descriptors.

use rustix::process::Signal;
use signal_hook::{SigId, consts, low_level};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// What a signal asks the runner for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Shut the guest down (SIGINT, SIGTERM, SIGHUP).
    Stop,
    /// End it now (SIGQUIT).
    Kill,
}

/// The signals that a runner listens to; as long as this lives, they do not end the process.
pub(super) struct Signals {
    pipes: Vec<(Request, UnixStream)>,
    ids: Vec<SigId>,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> std::io::Result<Signals> {
        let mut signals = Signals { pipes: Vec::new(), ids: Vec::new() };
        for (request, numbers) in [
            (Request::Stop, &[consts::SIGINT, consts::SIGTERM, consts::SIGHUP][..]),
            (Request::Kill, &[consts::SIGQUIT][..]),
        ] {
            let (read, write) = UnixStream::pair()?;
            read.set_nonblocking(true)?;
            for number in numbers {
                signals.ids.push(low_level::pipe::register(*number, write.try_clone()?)?);
            }
            signals.pipes.push((request, read));
        }
        Ok(signals)
    }

    /// The descriptors to wait on.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pipes.iter().map(|(_, pipe)| pipe.as_fd())
    }

    /// The strongest request since the last call.
    pub(super) fn take(&mut self) -> Option<Request> {
        let mut strongest = None;
        for (request, pipe) in &mut self.pipes {
            let mut bytes = [0; 64];
            while pipe.read(&mut bytes).is_ok_and(|read| read > 0) {
                strongest = Some(*request);
            }
        }
        strongest
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            low_level::unregister(id);
        }
    }
}

/// The signal that sends a request to a runner.
pub(super) fn signal_of(request: Request) -> Signal {
    match request {
        Request::Stop => Signal::TERM,
        Request::Kill => Signal::QUIT,
    }
}
