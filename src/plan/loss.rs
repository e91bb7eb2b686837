//! What it means for a guest that one of its helpers dies. The runner and the units do the same.

use super::{Plan, Process, Ready, Role};

/// What the loss of a helper means for the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// QEMU connects to a new one by itself.
    Mended,
    /// The guest goes on without it: network, display.
    Bearable,
    /// A device of the guest is dead, and its data may be at stake.
    Fatal,
}

impl Loss {
    /// How often a helper is started again at most, and within how many seconds.
    pub const RESTARTS: (usize, u64) = (5, 60);

    /// What the loss of a process means for the machine of a plan.
    pub fn of(plan: &Plan, process: &Process) -> Loss {
        match process.role {
            Role::PrHelper => Loss::Mended,
            Role::Passt if connects_again(plan, process) => Loss::Mended,
            Role::Passt | Role::Slirp | Role::Dbus | Role::Rdp => Loss::Bearable,
            Role::Qemu | Role::Swtpm | Role::Virtiofsd | Role::VhostUser | Role::Nbdkit => Loss::Fatal,
        }
    }
}

/// Whether QEMU connects to the socket of a helper again. The stream to passt can do so since QEMU 8.0.
fn connects_again(plan: &Plan, helper: &Process) -> bool {
    matches!(&helper.ready, Ready::Socket(socket) if plan.connects_again(socket))
}
