//! Secrets: by file for a standalone machine, encrypted under the master key for libvirt's command line.

use super::Lower;
use crate::device::storage::{SecretName, SecretRef};
use crate::diag::codes::storage as codes;
use crate::host::SecretUsage;
use crate::plan::{Props, Secret, Text};
use crate::vocab::Uuid;
use crate::xml::Site;
use aes::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Size of the master key, bytes.
const KEY: usize = 32;
/// Size of an initialisation vector and of a block of AES, bytes.
const IV: usize = 16;

impl Lower<'_> {
    /// Adds `-object secret` for a secret that the domain names. Gives whether it could be found.
    ///
    /// `usage` is what the secret must be for when it is named by its use.
    pub fn secret(&mut self, id: &str, name: &SecretRef, usage: SecretUsage, what: impl Into<Text>) -> bool {
        if name.name.is_none() {
            return false;
        }
        let source = name.source(usage);
        let what = what.into();
        if !self.env.has_parent() {
            self.secret_file(id, source, name.site, what);
            return true;
        }
        let found = match &name.name {
            Some(SecretName::Uuid(uuid)) => self.env.host.secret_by_uuid(*uuid),
            Some(SecretName::Usage(text)) => self.env.host.secret_by_usage(usage, text),
            None => None,
        };
        let Some(found) = found else {
            self.error(&codes::NO_SECRET, name.site, format!("the host has no secret '{source}' for {what}"))
                .help("describe it in the host facts: secret \"UUID\" value=\"…\"");
            return false;
        };
        self.secret_value(id, found.value.as_bytes(), name.site, what);
        true
    }

    /// Adds `-object secret` for a secret that the host facts name, such as the passphrase of a TLS key.
    pub fn secret_of_host(&mut self, id: &str, uuid: Uuid, site: Site, what: impl Into<Text>) -> bool {
        let name = SecretRef { kind: None, name: Some(SecretName::Uuid(uuid)), site };
        self.secret(id, &name, SecretUsage::Tls, what)
    }

    /// Adds `-object secret` with a value that the XML itself holds. `name` tells it from others of the
    /// domain.
    pub fn secret_text(&mut self, id: &str, value: &str, site: Site, what: impl Into<Text>) {
        let what = what.into();
        if self.env.has_parent() {
            self.secret_value(id, value.as_bytes(), site, what);
        } else {
            let source = format!("{}/{id}", self.plan.name);
            self.secret_values.push((source.clone(), value.to_string()));
            self.secret_file(id, source, site, what);
        }
    }

    /// A secret that QEMU reads from a file of the run-time directory.
    fn secret_file(&mut self, id: &str, source: String, site: Site, what: Text) {
        let path = format!("{}/secrets/{id}", self.paths.run);
        let cause = self.cause(site, what.clone());
        self.plan.secrets.push(Secret { id: id.to_string(), path: path.clone(), source, base64: false, cause });
        let mut props = Props::with("qom-type", "secret");
        props.set("id", id.to_string()).set("format", "raw").set("file", path);
        self.object(props, site, what);
    }

    /// A secret in the command line, encrypted with AES-256-CBC under the master key.
    fn secret_value(&mut self, id: &str, value: &[u8], site: Site, what: Text) {
        let random = &self.env.host.random;
        let identity = format!("{}/{}", self.plan.name, self.plan.uuid);
        let key = random.bytes(&identity, "master key", KEY);
        let iv = random.bytes(&identity, id, IV);
        let data = encrypt(&key, &iv, value);
        let mut props = Props::with("qom-type", "secret");
        props.set("id", id.to_string()).set("data", BASE64.encode(data)).set("keyid", "masterKey0");
        props.set("iv", BASE64.encode(iv)).set("format", "base64");
        self.object(props, site, what);
    }
}

/// AES-256-CBC with PKCS#7 padding. Empty for a key or vector of another size.
fn encrypt(key: &[u8], iv: &[u8], value: &[u8]) -> Vec<u8> {
    let Ok(cipher) = cbc::Encryptor::<aes::Aes256>::new_from_slices(key, iv) else { return Vec::new() };
    // Padding adds at least one byte and at most a block.
    let mut data = value.to_vec();
    data.resize(value.len() + IV, 0);
    let length = cipher.encrypt_padded::<Pkcs7>(&mut data, value.len()).map_or(0, <[u8]>::len);
    data.truncate(length);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypts_like_openssl() {
        // openssl enc -aes-256-cbc -K 000102… -iv 000102… of "secret", in base64.
        let bytes: Vec<u8> = (0..32).collect();
        let data = encrypt(&bytes, &bytes[..16], b"secret");
        assert_eq!(data.len(), 16);
        assert_eq!(BASE64.encode(&data), "6H5G+J59TZQMdlkJH18ekw==");
    }
}
