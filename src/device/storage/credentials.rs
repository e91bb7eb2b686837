//! Credentials and encryption of a source.

use crate::bind::{Binder, Part, Shape, model};
use crate::host::SecretUsage;
pub use crate::schema::words::{EncryptionEngine, EncryptionFormat};
use crate::vocab::Uuid;
use crate::xml::{El, Site, XmlWriter};

/// How a secret is named: `uuid='…'` or `usage='…'`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretName {
    /// By UUID.
    Uuid(Uuid),
    /// By what it is for.
    Usage(String),
}

/// `<secret type='…' uuid='…'/>`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecretRef {
    /// `ceph`, `iscsi`, `passphrase`…
    pub kind: Option<String>,
    /// Which one.
    pub name: Option<SecretName>,
    /// Where it stands.
    pub site: Site,
}

impl SecretRef {
    /// Under which name the host looks for it: the UUID, or `usage-type/usage`.
    pub fn source(&self, usage: SecretUsage) -> String {
        match &self.name {
            Some(SecretName::Uuid(uuid)) => uuid.to_string(),
            Some(SecretName::Usage(text)) => format!("{usage}/{text}"),
            None => String::new(),
        }
    }
}

impl Part for SecretRef {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.kind = cx.attr(el, "type");
        let usage: Option<String> = cx.attr(el, "usage");
        let uuid: Option<Uuid> = cx.attr(el, "uuid");
        if usage.is_some() == uuid.is_some() {
            let message = "<secret> is found by its uuid or by its usage: either of them is expected, not both";
            cx.diags.error(&crate::diag::codes::schema::WRONG_VALUE, el.span(), message);
        }
        self.name = uuid.map(SecretName::Uuid).or(usage.map(SecretName::Usage));
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        if let Some(kind) = &self.kind {
            out.attr("type", kind);
        }
        match &self.name {
            Some(SecretName::Uuid(uuid)) => out.attr_display("uuid", uuid),
            Some(SecretName::Usage(usage)) => out.attr("usage", usage),
            None => {}
        }
    }
    fn print_body(&self, _: &mut XmlWriter) {}
    fn shape(shape: &mut Shape) {
        ["type", "usage", "uuid"].into_iter().for_each(|name| shape.attr(name));
    }
}

model! {
    /// `<auth>`: who logs in at the server.
    pub struct Auth = "auth" {
        need username: String = "username",
        child secret: SecretRef = "secret",
    }
}

model! {
    /// `<cipher>`: only for creating images, refused in a domain.
    pub struct Cipher {
        attr name: String = "name",
        attr size: u32 = "size",
        attr mode: String = "mode",
        attr hash: String = "hash",
        attr state: String = "state",
    }
}

model! {
    /// `<ivgen>`: only for creating images.
    pub struct Ivgen {
        attr name: String = "name",
        attr hash: String = "hash",
    }
}

model! {
    /// `<encryption>` of a source.
    pub struct Encryption = "encryption" {
        need format: EncryptionFormat = "format",
        attr engine: EncryptionEngine = "engine",
        many secrets: SecretRef = "secret",
        child cipher: Cipher = "cipher",
        child ivgen: Ivgen = "ivgen",
    }
}
