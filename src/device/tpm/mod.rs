//! Trusted platform modules.

mod emulator;
mod rules;

use super::info::DeviceInfo;
use super::plug::Plug;
use super::{Family, device};
use crate::domain::Domain;
use crate::domain::model::{Binder, Part, Shape, model};
use crate::lower::{Grant, Lower};
use crate::plan::Props;
use crate::resolve::{Board, Cx, Env, Machine};
use crate::vocab::{YesNo, keywords};
use crate::xml::{El, XmlWriter};

keywords! {
    /// `<tpm model='…'>`
    pub enum TpmModel {
        Tis = "tpm-tis",
        Crb = "tpm-crb",
        Spapr = "tpm-spapr",
        SpaprProxy = "spapr-tpm-proxy",
    }
}

keywords! {
    /// `<backend type='…'>`
    pub enum TpmBackend { Passthrough = "passthrough", Emulator = "emulator", External = "external" }
}

keywords! {
    /// `<backend version='…'>`
    pub enum TpmVersion { V12 = "1.2", V20 = "2.0" }
}

keywords! {
    /// `<source type='…'>` of an external TPM, or of the emulator's state.
    pub enum TpmSourceKind { Unix = "unix", File = "file", Dir = "dir" }
}

model! {
    /// `<device>`: the host's TPM.
    pub struct HostDevice = "device" {
        need path: String = "path",
    }
}

model! {
    /// `<encryption>` of the emulator's state.
    pub struct Encryption = "encryption" {
        need secret: String = "secret",
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

impl Family for Tpm {
    fn defaults(&mut self, machine: &Machine, _: &mut Cx<'_>) {
        let usual = if machine.board == Board::Pseries { TpmModel::Spapr } else { TpmModel::Tis };
        let model = *self.model.get_or_insert(usual);
        let Some(backend) = &mut self.backend else { return };
        backend.tidy();
        if backend.kind == Some(TpmBackend::Emulator) {
            let modern = matches!(model, TpmModel::Crb | TpmModel::Spapr) || !machine.arch.is_x86();
            backend.version.get_or_insert(if modern { TpmVersion::V20 } else { TpmVersion::V12 });
        }
        if backend.kind == Some(TpmBackend::Passthrough) {
            let device = backend.device.get_or_insert_with(HostDevice::default);
            device.path.get_or_insert_with(|| "/dev/tpm0".to_string());
        }
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        if self.model == Some(TpmModel::Spapr) { Plug::SpaprVio(0x4000) } else { Plug::Nowhere }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        rules::tpm(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        if self.model == Some(TpmModel::SpaprProxy) {
            let path = self.backend.as_ref().and_then(|b| b.device.as_ref()).and_then(|d| d.path.clone());
            let path = path.unwrap_or_default();
            device_access(self, &path, lx);
            let mut props = Props::driver("spapr-tpm-proxy");
            props.set("id", self.info.id.clone()).set("host-path", path);
            lx.device(props, self);
            return;
        }
        let Some(backend) = &self.backend else { return };
        let tpm = format!("tpm-{}", self.info.id);
        let mut tpmdev = Props::new();
        match backend.kind {
            Some(TpmBackend::Passthrough) => passthrough(self, &tpm, &mut tpmdev, lx),
            Some(TpmBackend::Emulator | TpmBackend::External) => {
                let path = match backend.kind {
                    Some(TpmBackend::External) => external(self, lx),
                    _ => emulator::start(self, lx),
                };
                let mut chardev = Props::new();
                chardev.bare("socket").set("id", "chrtpm").set("path", path);
                lx.options("-chardev", chardev, self.site, "tpm");
                tpmdev.bare("emulator").set("id", tpm.clone()).set("chardev", "chrtpm");
            }
            None => return,
        }
        lx.options("-tpmdev", tpmdev, backend.site, "tpm");
        let driver = match (self.model, lx.machine.arch.is_x86()) {
            (Some(TpmModel::Tis), false) => "tpm-tis-device",
            (Some(model), _) => model.as_str(),
            (None, _) => return,
        };
        let mut props = Props::driver(driver);
        props.set("tpmdev", tpm).set("id", self.info.id.clone());
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}

/// The host's TPM. libvirt opens it and passes the descriptors.
fn passthrough(tpm: &Tpm, id: &str, tpmdev: &mut Props, lx: &mut Lower<'_>) {
    let device = tpm.backend.as_ref().and_then(|b| b.device.as_ref()).and_then(|d| d.path.clone()).unwrap_or_default();
    device_access(tpm, &device, lx);
    let host = lx.env.host.machine.tpm.as_ref();
    let cancel = host.filter(|h| h.path == device).and_then(|h| h.cancel_path.clone()).unwrap_or_else(|| {
        // The kernel's name of the device, without /dev/ (Documentation/ABI/stable/sysfs-class-tpm).
        format!("/sys/class/tpm/{}/device/cancel", device.rsplit('/').next().unwrap_or("tpm0"))
    });
    lx.touch(&cancel, Grant::TPM_CANCEL, tpm.site, "tpm: cancel");
    tpmdev.bare("passthrough").set("id", id.to_string());
    if lx.env.is_libvirt() {
        let path = lx.fd_set(format!("{}-tpm", tpm.info.id), tpm.site);
        let cancel = lx.fd_set(format!("{}-cancel", tpm.info.id), tpm.site);
        tpmdev.set("path", path).set("cancel-path", cancel);
    } else {
        tpmdev.set("path", device).set("cancel-path", cancel);
    }
}

fn device_access(tpm: &Tpm, path: &str, lx: &mut Lower<'_>) {
    lx.touch(path, Grant::HOST_DEVICE, tpm.site, "tpm");
}

/// An emulator that somebody else runs.
fn external(tpm: &Tpm, lx: &mut Lower<'_>) -> String {
    let source = tpm.backend.as_ref().and_then(|b| b.source.as_ref());
    let path = source.and_then(|s| s.path.clone()).unwrap_or_default();
    lx.touch(&path, Grant::PEER_SOCKET, tpm.site, "tpm: socket of the emulator");
    path
}
