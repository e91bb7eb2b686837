//! The terminal of a guest whose serial port is our standard input and output.
//!
//! QEMU lives in a process group of its own, so that Ctrl-C presses the guest's power button instead of
//! ending QEMU on the spot. A background group may not read the terminal; so the runner reads it, a key at a time,
//! and hands it on.

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use std::io::{IsTerminal, Write};
use std::process::ChildStdin;

/// A terminal whose settings were changed. Dropping it puts them back.
pub(super) struct Terminal {
    before: Termios,
}

/// Whether our standard input is a terminal that we may read.
pub(super) fn is_ours() -> bool {
    let stdin = std::io::stdin();
    stdin.is_terminal() && tcgetpgrp(&stdin).is_ok_and(|group| group == rustix::process::getpgrp())
}

impl Terminal {
    /// Takes keys one at a time without echo, as the guest does that itself, and hands them to `to` in a thread
    /// of its own. Ctrl-C stays a signal.
    pub(super) fn relay(mut to: ChildStdin) -> Option<Terminal> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).ok()?;
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ECHONL | LocalModes::IEXTEN);
        keys.input_modes.remove(rustix::termios::InputModes::ICRNL | rustix::termios::InputModes::IXON);
        keys.special_codes[SpecialCodeIndex::VMIN] = 1;
        keys.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &keys).ok()?;
        put_back_on_panic(&before);
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            // Ends with the terminal, with QEMU, or with us.
            while let Ok(read) = rustix::io::retry_on_intr(|| rustix::io::read(std::io::stdin(), &mut buffer)) {
                if read == 0 || to.write_all(buffer.get(..read).unwrap_or_default()).is_err() {
                    break;
                }
            }
        });
        Some(Terminal { before })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no settings.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Puts the settings of the terminal back when virtc panics: a release aborts then, and drops nothing.
pub(super) fn put_back_on_panic(before: &Termios) {
    let before = before.clone();
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
        tell(panic);
    }));
}
