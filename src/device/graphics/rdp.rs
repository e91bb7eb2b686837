//! RDP: a server of its own beside QEMU, `qemu-rdp`, which is a client of the D-Bus display.

use super::lower::{Endpoint, bus_address, endpoint};
use super::{Graphics, GraphicsKind};
use crate::diag::codes::display as codes;
use crate::plan::{Arg, Listen, Need, Needed, PathKind, Process, Role, Use};
use crate::stage::{Grant, Lower};

/// The id of the server among the processes of a domain.
const ID: &str = "rdp";

/// Adds the server. How libvirt 11.3 starts it, and what `qemu-rdp --help` says: the bus, then where to listen and
/// the certificate.
pub fn server(graphics: &Graphics, lx: &mut Lower<'_>) {
    let mut displays = lx.devices.graphics.iter().filter(|g| g.is(GraphicsKind::Dbus) && g.p2p.is_none());
    let Some(display) = displays.next() else {
        let message = "graphics type 'rdp' needs graphics type 'dbus' without p2p";
        lx.error(&codes::GRAPHICS, graphics.site, message).help("add <graphics type='dbus'/>");
        return;
    };
    let bus = bus_address(display, lx);
    let service = &lx.env.host.rdp;
    let host = match endpoint(graphics, service, ID, lx) {
        Endpoint::Address(Some(address)) if address.contains(':') => format!("[{address}]"),
        Endpoint::Address(Some(address)) => address,
        _ => return,
    };
    let port = graphics.fixed_port().unwrap_or(lx.env.host.ports.rdp);
    let cause = lx.cause(graphics.site, "graphics rdp");
    let file = |name: &str| format!("{}/{name}.pem", service.tls_dir);
    let (cert, key) = (file("server-cert"), file("server-key"));
    let args = vec![
        Arg::switch(format!("--dbus-address={bus}"), cause.clone()),
        Arg::switch("serve", cause.clone()),
        Arg::text("--bind-address", format!("{host}:{port}"), cause.clone()),
        Arg::switch(format!("--cert={cert}"), cause.clone()),
        Arg::switch(format!("--key={key}"), cause.clone()),
    ];
    for path in [&cert, &key] {
        lx.touch_by(
            ID,
            path,
            Grant::SYSTEM_SOURCE.on(PathKind::File),
            Use::Credentials,
            graphics.site,
            "TLS credentials",
        );
    }
    if let Some(path) = bus.strip_prefix("unix:path=") {
        lx.touch_by(ID, path, Grant::PEER_SOCKET, Use::Display, graphics.site, "graphics rdp");
    }
    lx.plan.listens.extend(Listen::tcp(ID, &host, port, cause.clone()));
    lx.plan.processes.push(Process {
        role: Role::Rdp,
        id: ID.to_string(),
        program: lx.env.host.helper_program(ID).unwrap_or("/usr/bin/qemu-rdp").to_string(),
        args,
        needs: Needed::all(&[Need::Inet], &cause),
        cause,
        ..Process::default()
    });
    if !lx.env.has_parent() {
        login(&bus, graphics, lx);
    }
}

/// The server takes name and password over the bus, when it runs; until then it lets nobody in. They are in no file of
/// the Plan, so that somebody has to give them.
fn login(bus: &str, graphics: &Graphics, lx: &mut Lower<'_>) {
    let span = lx.doc.span_of(graphics.site);
    let user = graphics.username.as_deref().unwrap_or("USER");
    lx.diags
        .warning(&codes::RDP_LOGIN, span, "the RDP server lets nobody in until it is told a name and a password")
        .help(format!(
            "after the start: busctl --address={bus} call org.QemuDisplay.RDP /org/qemu_display/rdp \
             org.QemuDisplay.RDP SetCredentials sss {user} PASSWORD ''"
        ));
}
