//! Ports on which QEMU would listen: is somebody there already?

use crate::diag::Diagnostics;
use crate::diag::codes::run as codes;
use crate::plan::Plan;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};

/// Tries to listen on each port in QEMU's place.
pub(super) fn check(plan: &Plan, diags: &mut Diagnostics) {
    for listen in &plan.listens {
        let address = (listen.address.as_str(), listen.port);
        let tried =
            if listen.udp { UdpSocket::bind(address).map(|_| ()) } else { TcpListener::bind(address).map(|_| ()) };
        let Err(error) = tried else { continue };
        let (what, help) = match error.kind() {
            ErrorKind::AddrInUse => ("another program listens there", "choose another port, or autoport='yes'"),
            ErrorKind::AddrNotAvailable => ("this host does not have the address", "choose an address of this host"),
            ErrorKind::PermissionDenied => ("ports below 1024 are for root", "choose a port above 1023"),
            // Names that do not resolve without a network, and the like: QEMU's own words will say it.
            _ => continue,
        };
        let text = format!("port {} of {} ({}) is not free: {what}", listen.port, listen.address, listen.cause.what);
        diags.error(&codes::HOST, listen.cause.span, text).help(help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Cause, Listen};

    #[test]
    fn a_port_in_use_is_told() {
        let held = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = held.local_addr().expect("an address").port();
        let mut plan = Plan::default();
        plan.listens.extend(Listen::tcp("qemu", "127.0.0.1", port, Cause::default()));
        let mut diags = Diagnostics::new();
        check(&plan, &mut diags);
        assert!(diags.iter().any(|d| d.message.contains(&port.to_string())));
    }
}
