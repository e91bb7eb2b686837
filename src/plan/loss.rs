//! What it means for a guest that one of its helpers dies. The runner and the units do the same.

use super::{ArgValue, Plan, Process, Prop, Props, Ready, Role};

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

/// Whether QEMU was told to connect to the socket of a helper again. The stream to passt can do so since QEMU 8.0.
fn connects_again(plan: &Plan, helper: &Process) -> bool {
    let Ready::Socket(socket) = &helper.ready else { return false };
    let leads_there = |props: &Props| match props.get("addr") {
        Some(Prop::Object(address)) => address.text("path") == Some(socket),
        _ => props.text("path") == Some(socket),
    };
    let again = |props: &Props| props.get("reconnect").or(props.get("reconnect-ms")).is_some();
    let args = plan.qemu().into_iter().flat_map(|qemu| &qemu.args);
    args.into_iter().any(|arg| matches!(&arg.value, ArgValue::Props(props, _) if leads_there(props) && again(props)))
}
