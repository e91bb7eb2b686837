//! Checks of a source: format, credentials, encryption, what its protocol asks for.

use super::{
    Auth, Encryption, EncryptionEngine, EncryptionFormat, Format, Identity, Location, Network, Nvme, Protocol,
    Reservations, StorageKind, StorageSource, Transport,
};
use crate::caps::Cap;
use crate::diag::Span;
use crate::diag::codes::{qemu, storage as codes};
use crate::domain::Domain;
use crate::domain::memory::AccessMode;
use crate::stage::{Cx, Quirk};

/// Checks one image of a chain.
pub fn image(
    source: &StorageSource,
    format: Option<Format>,
    auth: Option<&Auth>,
    encryption: Option<&Encryption>,
    readonly: bool,
    cx: &mut Cx<'_>,
) {
    if let Some(format) = format {
        self::format(source, format, readonly, cx);
    }
    if let Location::Network(network) = &source.location {
        self::network(network, cx);
        if let Some(auth) = auth.filter(|a| a.secret.is_some()) {
            login(auth, network, cx);
        }
    }
    if let Some(auth) = auth.filter(|a| a.secret.is_none()) {
        cx.error(&codes::CREDENTIALS, auth.site, "the <secret> element of <auth> is missing")
            .help("add <secret type='iscsi' usage='…'/> or type='ceph'");
    }
    if let Location::Nvme(drive) = &source.location {
        nvme(drive, source, cx);
    }
    if let Some(encryption) = encryption {
        self::encryption(encryption, source, format, cx);
    }
    for slice in &source.slices {
        let (offset, size) = (slice.offset.unwrap_or(0), slice.size.unwrap_or(0));
        // QEMU counts in signed numbers of 64 bits.
        if offset.checked_add(size).is_none_or(|end| end > i64::MAX as u64) {
            cx.error(
                &codes::OPTION,
                slice.site,
                format!("the slice of {size} bytes from {offset} ends beyond any image"),
            )
            .help("an image has less than 2^63 bytes");
        }
    }
    if let Some(store) = &source.data_store {
        if format != Some(Format::Qcow2) {
            cx.error(&codes::FORMAT, store.site, "a data store is supported only with qcow2 images");
        }
        let raw = store.format.as_ref().and_then(|f| f.kind);
        if raw.is_none() {
            cx.error(&codes::FORMAT, store.site, "the format of the data store (file or device) is missing")
                .help("add <format type='raw'/>");
        }
        if store.source.site.is_none() {
            cx.error(&codes::FORMAT, store.site, "the <source> of the data store (file or device) is missing");
        }
        if raw.is_some_and(|f| f != Format::Raw) {
            cx.error(&codes::FORMAT, store.site, "a data store can only have the format 'raw'");
        }
        let below = &store.source;
        image(below, raw, below.auth.as_ref(), below.encryption.as_ref(), readonly, cx);
    }
    if let Some(reservations) = &source.reservations {
        let path = reservations.source.as_ref().and_then(|s| s.path.as_ref());
        if reservations.is_managed() && path.is_some() {
            cx.error(&codes::OPTION, reservations.site, "'source' is not allowed for managed reservations");
        }
        if !reservations.is_managed() {
            helper(reservations, cx);
        }
    }
}

/// The socket of the helper that is asked for persistent reservations.
fn helper(reservations: &Reservations, cx: &mut Cx<'_>) {
    let Some(source) = reservations.source.as_ref().filter(|s| s.path.is_some()) else {
        let message = "<reservations managed='no'> without <source>: nothing names the socket of the helper, its path";
        cx.error(&codes::OPTION, reservations.site, message);
        return;
    };
    for (name, value, help) in [("type", &source.kind, "type='unix'"), ("mode", &source.mode, "mode='client'")] {
        if value.is_none() {
            let message = format!("<source> of <reservations>: the {name} of the connection is missing");
            cx.error(&codes::OPTION, source.site, message).help(format!("add {help}"));
        }
    }
}

/// Who logs in over SSH, and with which key.
fn identity(identity: &Identity, cx: &mut Cx<'_>) {
    if identity.username.is_none() {
        cx.error(&codes::NETWORK, identity.site, "<identity> lacks its required attribute 'username': who logs in");
    }
    if identity.keyfile.is_none() && identity.agentsock.is_none() {
        let message = "<identity> requires either 'keyfile' or 'agentsock': the key, or the agent that has it";
        cx.error(&codes::NETWORK, identity.site, message);
    }
}

/// A namespace of a drive of the host.
fn nvme(drive: &Nvme, source: &StorageSource, cx: &mut Cx<'_>) {
    if drive.namespace == 0 {
        let message = "namespace='0': the namespaces of an NVMe drive count from 1, it can't be zero";
        cx.error_at(&codes::OPTION, source.site, "namespace", message);
    }
    let site = source.site;
    let placed = cx.doc.elements().find(|e| e.site() == site).is_none_or(|e| e.children().any(|c| c.is("address")));
    if !placed {
        let message = "<source> of an NVMe disk is missing the <address> of the drive on the host";
        cx.error(&codes::OPTION, site, message)
            .help("<address domain='0' bus='1' slot='0' function='0'/>; lspci tells it");
    }
}

/// Where the format of a source stands: `<driver type>` of a disk, `<format type>` of a layer.
fn of_format(source: &StorageSource, cx: &Cx<'_>) -> Span {
    let around = cx.doc.elements().find(|e| e.children().any(|c| c.site() == source.site));
    let named = around.and_then(|e| e.children().find(|c| c.is("driver") || c.is("format")));
    let attribute = named.and_then(|e| e.peek("type")).map(|a| a.span());
    attribute.unwrap_or_else(|| cx.span(source.site))
}

fn format(source: &StorageSource, format: Format, readonly: bool, cx: &mut Cx<'_>) {
    let message = match format {
        Format::Dir => "type='directory' is the format of a storage pool, not of an image: use a 'dir' disk with format 'fat' instead".to_string(),
        Format::Iso => "to QEMU an 'iso' image is storage of format 'raw': use that instead".to_string(),
        Format::Cow => "images of format 'cow': no QEMU reads them any more".to_string(),
        Format::Fat if source.kind != StorageKind::Dir && !source.site.is_none() => {
            "the format 'fat' is made by QEMU from a directory: the type has to be 'dir'".to_string()
        }
        Format::Fat | Format::None => String::new(),
        // An empty drive whose <source> is not there is of no type.
        other if source.kind == StorageKind::Dir && !source.site.is_none() => {
            format!("QEMU shows a directory (type 'dir') as a disk of format 'fat', not '{other}'")
        }
        _ => String::new(),
    };
    if !message.is_empty() {
        let help = match format {
            Format::Iso => "write type='raw'",
            Format::Dir | Format::Fat => "see `virtc schema disk/driver`",
            _ if source.kind == StorageKind::Dir => "write <driver name='qemu' type='fat'/>",
            _ => "write type='raw' or type='qcow2', as the image is",
        };
        let span = of_format(source, cx);
        cx.diags.error(&codes::FORMAT, span, message).help(help);
    }
    let site = source.site;
    if source.kind == StorageKind::Dir && !readonly && !source.is_empty() {
        cx.error(
            &codes::FORMAT,
            site,
            "a virtual FAT of a directory is accessed read-only: add <readonly/>, read-write mode is not safe",
        )
        .help("add <readonly/>");
    }
}

fn network(network: &Network, cx: &mut Cx<'_>) {
    let site = network.site;
    let Some(protocol) = network.protocol else { return };
    let hosts = &network.parts.hosts;
    if network.name.as_deref().is_some_and(|name| name.chars().any(char::is_control)) {
        let message = "the name of a source holds a control character, which no server can be asked for";
        cx.error_at(&codes::NETWORK, site, "name", message).help("a line break, for example, is &#10; in XML");
    }
    if protocol == Protocol::Sheepdog {
        cx.error_at(
            &codes::NETWORK,
            site,
            "protocol",
            "QEMU has dropped the protocol 'sheepdog': no hypervisor has a driver any longer",
        );
        return;
    }
    if network.name.is_none() && protocol != Protocol::Nbd {
        cx.error(&codes::NETWORK, site, "<source> of a network disk lacks the name of the image");
    }
    if matches!(protocol, Protocol::Gluster | Protocol::Rbd)
        && network.name.is_some()
        && (network.split_name().1.is_empty() || network.name.as_deref().is_some_and(|n| n.starts_with('/')))
    {
        let name = network.name.as_deref().unwrap_or("");
        let message = format!(
            "the name '{name}' has no slash that splits it: it is a pool (or volume) name and an image name (or path)"
        );
        cx.error_at(&codes::NETWORK, site, "name", message);
    }
    if protocol == Protocol::Rbd
        && !cx.env.behaves(Quirk::RbdNamesUnchecked)
        && let Some(name) = network.name.as_deref()
        && (cx.env.is_guardian() && name.split('/').count() > 3 || name.split('/').any(str::is_empty))
    {
        let message = format!("an RBD image cannot be named '{name}': it is pool/image or pool/namespace/image");
        cx.error_at(&codes::NETWORK, site, "name", message);
    }
    if protocol == Protocol::Rbd
        && let Some(name) = network.name.as_deref().filter(|_| network.split_name().1.contains(':'))
    {
        // In Ceph's own notation options follow a colon.
        let message = format!("an RBD image cannot be named '{name}': the name, behind the pool's, holds ':'");
        cx.error_at(&codes::NETWORK, site, "name", message).help("name the pool and the image only: pool/image");
    }
    let one = matches!(protocol, Protocol::Nbd | Protocol::Iscsi | Protocol::Ssh | Protocol::Nfs | Protocol::Vxhs)
        || protocol.is_curl();
    // Libvirt looks at the others when it makes the command line.
    let now = protocol == Protocol::Nfs || cx.env.is_guardian();
    if one && now && hosts.len() != 1 {
        let message = format!("the protocol '{protocol}' has one host, and {} are given", hosts.len());
        cx.error(&codes::NETWORK, site, message);
    }
    if protocol == Protocol::Gluster && now && hosts.is_empty() {
        cx.error(&codes::NETWORK, site, "protocol 'gluster' needs a host");
    }
    if protocol == Protocol::Gluster && cx.env.is_guardian() && cx.env.caps.at_least(11, 1) {
        cx.error_at(&qemu::REMOVED, site, "protocol", "QEMU has no protocol 'gluster': it was removed in 11.1")
            .help("mount the volume on the host (mount -t glusterfs) and use <disk type='file'>");
    }
    for host in hosts {
        let transport = host.transport.unwrap_or(Transport::Tcp);
        match transport {
            Transport::Unix if !matches!(protocol, Protocol::Nbd | Protocol::Gluster) => {
                let message = format!("protocol '{protocol}' does not support transport 'unix'");
                cx.error_at(&codes::NETWORK, host.site, "transport", message);
            }
            Transport::Rdma => {
                let message = format!(
                    "<host transport='{transport}'>: virtc cannot reach the protocol '{protocol}' that way yet"
                );
                cx.error_at(&codes::NETWORK, host.site, "transport", message);
            }
            _ => {}
        }
        if transport == Transport::Unix && host.socket.is_none() {
            cx.error(&codes::NETWORK, host.site, "<host transport='unix'> lacks the path of its socket");
        }
        if transport != Transport::Unix && host.socket.is_some() {
            let message = format!("the socket attribute of <host> is for transport='unix', not '{transport}'");
            cx.error_at(&codes::NETWORK, host.site, "socket", message);
        }
        if transport != Transport::Unix && host.name.is_none() {
            cx.error(&codes::NETWORK, host.site, "<host> lacks its name");
        }
    }
    if let Some(identity) = network.parts.identity.as_ref().filter(|_| protocol == Protocol::Ssh) {
        self::identity(identity, cx);
    }
    for host in hosts.iter().filter(|h| protocol == Protocol::Nfs && h.port.is_some()) {
        let message = "<host port> of a source with protocol 'nfs': the port cannot be specified, the server knows it";
        cx.error_at(&codes::NETWORK, host.site, "port", message);
    }
    let tls = network.tls.is_some_and(|t| t.is_yes());
    if tls && !matches!(protocol, Protocol::Nbd | Protocol::Vxhs) {
        let message = format!("tls='yes': virtc can do TLS for NBD, not for the disk protocol '{protocol}'");
        cx.error_at(&codes::NETWORK, site, "tls", message);
    }
    if network.tls_hostname.is_some() && protocol != Protocol::Nbd {
        let message = format!("tlsHostname is supported for NBD only, not for the disk protocol '{protocol}'");
        cx.error_at(&codes::NETWORK, site, "tlsHostname", message);
    } else if network.tls_hostname.is_some() && !cx.has(Cap::BlockdevNbdTlsHostname) {
        cx.error_at(
            &codes::NEEDS_QEMU,
            site,
            "tlsHostname",
            "'tlsHostname': this QEMU takes no other name for TLS than the host's",
        );
    }
    for (i, cookie) in network.parts.cookies.iter().enumerate() {
        if network.parts.cookies[..i].iter().any(|c| c.name == cookie.name) {
            let name = cookie.name.as_deref().unwrap_or("");
            cx.error_at(
                &codes::NETWORK,
                cookie.site,
                "name",
                format!("two cookies have the same name: duplicate '{name}'"),
            );
        }
        let name = cookie.name.as_deref().unwrap_or("");
        let value = cookie.value.as_deref().unwrap_or("");
        // RFC 6265, section 4.1.1: a token, and octets without blanks, quotes in pairs, comma, semicolon.
        let separator = |c: char| c.is_ascii_control() || " \t\"(),/:;<=>?@[\\]{}".contains(c) || !c.is_ascii();
        if name.is_empty() || name.contains(separator) {
            cx.error(
                &codes::NETWORK,
                cookie.site,
                format!("<cookie name='{name}'>: HTTP allows fewer characters in names"),
            );
        }
        let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        if inner.contains(|c: char| c.is_ascii_control() || " \",;\\".contains(c) || !c.is_ascii()) {
            let message = format!("<cookie name='{name}'>: HTTP allows fewer characters in its value");
            cx.error(&codes::NETWORK, cookie.site, message);
        }
    }
}

fn login(auth: &Auth, network: &Network, cx: &mut Cx<'_>) {
    let kind = auth.secret.as_ref().and_then(|s| s.kind.as_deref());
    let site = auth.secret.as_ref().map_or(auth.site, |s| s.site);
    let known = kind.filter(|k| matches!(*k, "volume" | "ceph" | "iscsi" | "tls" | "vtpm"));
    let Some(known) = known else {
        let shown = kind.unwrap_or("<null>");
        cx.error(&codes::CREDENTIALS, site, format!("unknown secret type '{shown}'"))
            .help("a secret is type='iscsi' or type='ceph'");
        return;
    };
    if matches!(network.protocol, Some(Protocol::Nfs)) {
        cx.error(&codes::CREDENTIALS, auth.site, "<auth>: authentication is not supported for the protocol 'nfs'");
        return;
    }
    let wanted = match network.protocol {
        Some(Protocol::Iscsi) => "iscsi",
        Some(Protocol::Rbd) => "ceph",
        _ => return,
    };
    if known != wanted {
        cx.error_at(&codes::CREDENTIALS, site, "type", format!("invalid secret type '{known}'"))
            .help(format!("this protocol needs type='{wanted}'"));
    }
}

fn encryption(encryption: &Encryption, source: &StorageSource, format: Option<Format>, cx: &mut Cx<'_>) {
    let site = encryption.site;
    let kind = encryption.format.unwrap_or(EncryptionFormat::Luks);
    if encryption.ivgen.is_some() && encryption.cipher.is_none() {
        cx.error(&codes::ENCRYPTION, site, "<ivgen> without <cipher>: it says how the cipher begins each block");
    }
    if encryption.cipher.is_some() && kind == EncryptionFormat::Luks {
        cx.error(&codes::ENCRYPTION, site, "<cipher> is chosen when an image is made; here it is unnecessary")
            .help("the image says how it is encrypted: remove <cipher>");
    }
    if matches!(kind, EncryptionFormat::Default | EncryptionFormat::Qcow) && format != Some(Format::Qcow) {
        cx.error(&codes::ENCRYPTION, site, "QEMU has dropped qcow's own encryption; qcow2 with LUKS is its successor")
            .help("use an image with encryption format='luks'");
    } else if encryption.secrets.is_empty() {
        cx.error(&codes::ENCRYPTION, site, "no secret for the encryption of the disk")
            .help("add <secret type='passphrase' uuid='…'/>");
    }
    if let Some(secret) = encryption.secrets.iter().find(|s| s.kind.is_none()) {
        cx.error(
            &codes::ENCRYPTION,
            secret.site,
            "the <secret> of an encryption has a type, which is missing or unknown",
        )
        .help("write type='passphrase'");
    }
    if source.kind == StorageKind::Volume && format.is_none() {
        let message = "the format of the encrypted volume is not given: encryption is for 'raw' and 'qcow2' images";
        cx.error(&codes::ENCRYPTION, site, message).help("add <driver name='qemu' type='raw'/>, or type='qcow2'");
    }
    if encryption.engine == Some(EncryptionEngine::Librbd) {
        if source.network().is_none_or(|n| n.protocol != Some(Protocol::Rbd)) {
            cx.error(
                &codes::ENCRYPTION,
                site,
                "engine='librbd': this encryption is done by Ceph's library, so for RBD disks only",
            );
        }
        if !cx.has(Cap::RbdEncryption) {
            cx.error(&codes::NEEDS_QEMU, site, "engine='librbd': this QEMU binary has no encryption by librbd");
        }
        match kind {
            EncryptionFormat::LuksAny if !cx.has(Cap::RbdEncryptionLuksAny) => {
                cx.error(&codes::NEEDS_QEMU, site, "format='luks-any': this QEMU binary has no such encryption");
            }
            EncryptionFormat::Qcow | EncryptionFormat::Default => {
                let message = format!("<encryption engine='librbd'>: Ceph's library has no format '{kind}'");
                cx.error(&codes::ENCRYPTION, site, message);
            }
            _ => {}
        }
        if encryption.secrets.len() > 1 && !cx.has(Cap::RbdEncryptionLayering) {
            cx.error(
                &codes::NEEDS_QEMU,
                site,
                "engine='librbd' at more than one image: this QEMU binary has no layering of encryption",
            );
        }
        return;
    }
    match kind {
        EncryptionFormat::Luks => {
            if format.is_some_and(|f| !matches!(f, Format::Raw | Format::Qcow | Format::Qcow2)) {
                let format = format.map_or("", |f| f.as_str());
                let message =
                    format!("an image of storage format '{format}' cannot hold encryption of format '{kind}'");
                cx.error(&codes::ENCRYPTION, site, message);
            }
            if encryption.secrets.len() > 1 {
                cx.error(
                    &codes::ENCRYPTION,
                    site,
                    "<encryption>: the engine 'qemu' opens an image with a single secret",
                );
            }
        }
        EncryptionFormat::Qcow | EncryptionFormat::Default => {
            cx.error(
                &codes::ENCRYPTION,
                site,
                format!("format '{kind}': QEMU has dropped qcow's own encryption; qcow2 with LUKS is its successor"),
            )
            .help("use format='luks'");
        }
        EncryptionFormat::Luks2 | EncryptionFormat::LuksAny => {
            let message = format!("<encryption>: the engine 'qemu' has no format '{kind}'");
            cx.error(&codes::ENCRYPTION, site, message).help("use engine='librbd' for an RBD image, or format='luks'");
        }
    }
}

/// Whether other processes see the guest's memory, which vhost-user backends need.
pub fn has_shared_memory(domain: &Domain) -> bool {
    let shared = domain.memory_backing.as_ref().and_then(|b| b.access.as_ref()).and_then(|a| a.mode);
    let all = shared == Some(AccessMode::Shared);
    let cells = domain.cpu.as_ref().and_then(|c| c.numa.as_ref()).map_or(&[][..], |n| &n.cells);
    let cell = |access: Option<AccessMode>| access.map_or(all, |a| a == AccessMode::Shared);
    if cells.is_empty() { all } else { cells.iter().all(|c| cell(c.access)) }
}
