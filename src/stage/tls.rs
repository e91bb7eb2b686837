//! TLS credentials of QEMU's network services.

use super::{Grant, Lower};
use crate::host::Service;
use crate::plan::{PathKind, Props, Use};
use crate::xml::Site;

/// What a `tls-creds-x509` object says.
pub struct Credentials<'a> {
    /// Id of the object.
    pub id: &'a str,
    /// Id of the secret with the passphrase of the key, if there is one.
    pub secret: &'a str,
    /// The service of the host facts.
    pub service: &'a Service,
    /// QEMU's side of the connection.
    pub server: bool,
    /// Whether the peer must have a certificate.
    pub verify: bool,
}

/// Adds the object, and the secret before it.
pub fn credentials(credentials: &Credentials<'_>, site: Site, lx: &mut Lower<'_>) {
    let dir = credentials.service.tls_dir.clone();
    let secret = credentials.service.tls_secret;
    if let Some(uuid) = secret {
        lx.secret_of_host(credentials.secret, uuid, site, "passphrase of the TLS key");
    }
    let mut props = Props::with("qom-type", "tls-creds-x509");
    props.set("id", credentials.id.to_string()).set("dir", dir.clone());
    props.set("endpoint", if credentials.server { "server" } else { "client" });
    // A client always looks at the certificate of the server.
    props.set("verify-peer", credentials.verify || !credentials.server);
    props.maybe("passwordid", secret.map(|_| credentials.secret.to_string()));
    props.maybe("priority", credentials.service.tls_priority.clone());
    lx.object(props, site, "TLS credentials");
    lx.touch(&dir, Grant::SYSTEM_SOURCE.on(PathKind::Files), Use::Credentials, site, "TLS credentials");
}
