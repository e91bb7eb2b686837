//! Trusted platform modules.

mod emulator;
pub(crate) mod family;
mod rules;

use super::info::{DeviceInfo, device};
use crate::bind::{Binder, Part, Shape, model};
pub use crate::schema::words::{TpmBackend, TpmModel, TpmSourceKind, TpmVersion};
use crate::vocab::YesNo;
use crate::xml::{El, XmlWriter};

model! {
    /// `<device>`: the host's TPM.
    pub struct HostDevice = "device" {
        attr path: String = "path",
    }
}

model! {
    /// `<encryption>` of the emulator's state.
    pub struct Encryption = "encryption" {
        key secret: String = "secret",
    }
}

model! {
    /// `<source>` of the backend.
    pub struct TpmSource = "source" {
        attr kind: TpmSourceKind = "type",
        attr mode: String = "mode",
        attr path: String = "path",
    }
}

model! {
    /// `<profile>` of a TPM 2.0 emulator.
    pub struct Profile = "profile" {
        attr source: String = "source",
        attr remove_disabled: String = "removeDisabled",
        attr name: String = "name",
    }
}

/// `<active_pcr_banks>`: hash algorithms of the platform configuration registers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PcrBanks(pub Option<Vec<&'static str>>);

/// The algorithms, in the order in which libvirt prints them.
const BANKS: &[&str] = &["sha1", "sha256", "sha384", "sha512"];

impl Part for PcrBanks {
    fn bind(&mut self, el: El<'_>, _: &mut Binder<'_>) {
        self.0 = el
            .child("active_pcr_banks")
            .map(|banks| BANKS.iter().copied().filter(|bank| banks.child(bank).is_some()).collect());
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(banks) = self.0.as_ref().filter(|b| !b.is_empty()) {
            out.start("active_pcr_banks");
            banks.iter().for_each(|bank| out.empty(bank));
            out.end();
        }
    }
    fn shape(shape: &mut Shape) {
        let mut banks = Shape::default();
        BANKS.iter().for_each(|bank| banks.children.push((bank, Shape::default())));
        shape.children.push(("active_pcr_banks", banks));
    }
}

model! {
    /// `<backend>` of a TPM.
    pub struct Backend = "backend" {
        need kind: TpmBackend = "type",
        attr version: TpmVersion = "version",
        attr persistent_state: YesNo = "persistent_state",
        attr debug: u32 = "debug",
        child device: HostDevice,
        child encryption: Encryption,
        part banks: PcrBanks,
        child source: TpmSource,
        child profile: Profile,
    }
}

model! {
    /// `<tpm>`
    pub struct Tpm = "tpm" {
        attr model: TpmModel = "model",
        child backend: Backend,
        part info: DeviceInfo,
    }
}

device!(Tpm, "tpm");

impl Backend {
    /// Forgets what other backends have.
    fn tidy(&mut self) {
        if self.kind != Some(TpmBackend::Passthrough) {
            self.device = None;
        }
        if self.kind != Some(TpmBackend::Emulator) {
            (self.version, self.persistent_state, self.debug) = (None, None, None);
            (self.encryption, self.profile) = (None, None);
            self.banks = PcrBanks::default();
        }
        self.persistent_state = self.persistent_state.filter(|p| p.is_yes());
        if let Some(source) = self.source.as_mut().filter(|_| self.kind == Some(TpmBackend::Emulator)) {
            source.mode = None;
        }
        if self.kind == Some(TpmBackend::Passthrough) {
            self.source = None;
        }
    }
}

impl Tpm {
    /// What is behind it.
    pub fn backend(&self) -> Option<TpmBackend> {
        self.backend.as_ref().and_then(|b| b.kind)
    }
}
