//! Objects that the nodes of an image need: secrets, TLS credentials, managers of reservations.

use super::backend::pr_manager;
use crate::device::storage::{Auth, Encryption, EncryptionEngine, Network, Protocol, StorageSource};
use crate::host::SecretUsage;
use crate::plan::{PathKind, Props, Use};
use crate::stage::{Grant, Lower};

/// Id of the secret with the password; the node of a host device has only one.
pub fn auth_id(node: &str) -> String {
    if node.ends_with("-backend") { format!("{node}-secret0") } else { format!("{node}-auth-secret0") }
}

/// Id of the secret with the cookies.
pub fn cookie_id(node: &str) -> String {
    format!("{node}-httpcookie-secret0")
}

/// Id of a secret that opens an image: `node` is QEMU's format node, or the storage node if the server
/// decrypts.
pub fn encryption_id(node: &str, index: usize) -> String {
    format!("{node}-encryption-secret{index}")
}

/// Id of the TLS credentials.
pub fn tls_id(node: &str) -> String {
    format!("obj{node}_tls0")
}

/// Whether the server is reached by TLS.
pub fn uses_tls(network: &Network, lx: &Lower<'_>) -> bool {
    let by_host = match network.protocol {
        Some(Protocol::Nbd) => lx.env.host.nbd.tls,
        Some(Protocol::Vxhs) => lx.env.host.vxhs.tls,
        _ => false,
    };
    network.tls.map_or(by_host, |t| t.is_yes())
}

/// Adds the objects of an image, before its nodes. `node` is its storage node. `by_nbdkit`: another
/// program talks to the server.
pub fn objects(
    source: &StorageSource,
    auth: Option<&Auth>,
    encryption: Option<&Encryption>,
    node: &str,
    by_nbdkit: bool,
    lx: &mut Lower<'_>,
) {
    reservations(source, node, lx);
    if !by_nbdkit {
        login(source, auth, node, lx);
        cookies(source, node, lx);
    }
    if let Some(encryption) = encryption {
        let at_server = encryption.engine == Some(EncryptionEngine::Librbd);
        let layer = if at_server { node.to_string() } else { node.replace("-storage", "-format") };
        for (i, secret) in encryption.secrets.iter().enumerate() {
            // QEMU opens an image with one secret; only Ceph's library takes more.
            if i > 0 && !at_server {
                break;
            }
            lx.secret(&encryption_id(&layer, i), secret, SecretUsage::Volume, "encryption of the image");
        }
    }
    if let Some(network) = source.network().filter(|n| uses_tls(n, lx) && !by_nbdkit) {
        tls(network, node, lx);
    }
}

/// The secret with the password of a network source, `node` being the name of its storage node.
pub fn login(source: &StorageSource, auth: Option<&Auth>, node: &str, lx: &mut Lower<'_>) {
    let Some(secret) = auth.and_then(|a| a.secret.as_ref()) else { return };
    let usage = match source.network().and_then(|n| n.protocol) {
        Some(Protocol::Rbd) => SecretUsage::Ceph,
        _ => SecretUsage::Iscsi,
    };
    lx.secret(&auth_id(node), secret, usage, "login at the server");
}

fn cookies(source: &StorageSource, node: &str, lx: &mut Lower<'_>) {
    let Some(network) = source.network().filter(|n| !n.parts.cookies.is_empty()) else { return };
    let text = cookie_text(network);
    lx.secret_text(&cookie_id(node), &text, network.site, "cookies");
}

/// The cookies as the header has them.
pub fn cookie_text(network: &Network) -> String {
    let one = |c: &crate::device::storage::Cookie| {
        format!("{}={}", c.name.as_deref().unwrap_or(""), c.value.as_deref().unwrap_or(""))
    };
    network.parts.cookies.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn tls(network: &Network, node: &str, lx: &mut Lower<'_>) {
    let host = lx.env.host;
    let service = if network.protocol == Some(Protocol::Vxhs) { &host.vxhs } else { &host.nbd };
    let id = tls_id(node);
    let mut props = Props::with("qom-type", "tls-creds-x509");
    props.set("id", id.clone()).set("dir", service.tls_dir.clone());
    props.set("endpoint", "client").set("verify-peer", true);
    if let Some(uuid) = service.tls_secret {
        let secret = format!("{id}-secret0");
        lx.secret_of_host(&secret, uuid, network.site, "passphrase of the TLS key");
        props.set("passwordid", secret);
    }
    lx.object(props, network.site, "TLS credentials");
    let (dir, site) = (service.tls_dir.clone(), network.site);
    lx.touch(&dir, Grant::SYSTEM_SOURCE.on(PathKind::Files), Use::Credentials, site, "TLS credentials");
}

/// The manager of reservations that the XML names the socket of. The managed one is the domain's.
fn reservations(source: &StorageSource, node: &str, lx: &mut Lower<'_>) {
    let Some(id) = pr_manager(source, node) else { return };
    let Some(reservations) = source.reservations.as_ref().filter(|r| !r.is_managed()) else { return };
    let path = reservations.source.as_ref().and_then(|s| s.path.clone());
    let path = lx.must(path, "the socket of the helper for reservations", reservations.site);
    let mut props = Props::with("qom-type", "pr-manager-helper");
    props.set("id", id).set("path", path.clone());
    let site = reservations.site;
    lx.object(props, site, "persistent reservations");
    lx.touch(&path, Grant::PEER_SOCKET, Use::Reservations, site, "persistent reservations");
}
