//! Trusted platform modules: what the passes ask of the family.

use super::{HostDevice, Tpm, TpmBackend, TpmModel, TpmVersion, emulator, rules};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::domain::Domain;
use crate::plan::{Props, Use};
use crate::stage::{Cx, Env, Machine};
use crate::stage::{Grant, Lower};

impl Family for Tpm {
    fn defaults(&mut self, machine: &Machine, _: &mut Cx<'_>) {
        let usual = if machine.arch.is_ppc64() { TpmModel::TpmSpapr } else { TpmModel::TpmTis };
        let model = *self.model.get_or_insert(usual);
        let Some(backend) = &mut self.backend else { return };
        backend.tidy();
        if backend.kind == Some(TpmBackend::Emulator) {
            let modern = matches!(model, TpmModel::TpmCrb | TpmModel::TpmSpapr) || !machine.arch.is_x86();
            backend.version.get_or_insert(if modern { TpmVersion::V20 } else { TpmVersion::V12 });
        }
        if backend.kind == Some(TpmBackend::Passthrough) {
            let device = backend.device.get_or_insert_with(HostDevice::default);
            device.path.get_or_insert_with(|| "/dev/tpm0".to_string());
        }
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        if self.model == Some(TpmModel::TpmSpapr) { Plug::SpaprVio(0x4000) } else { Plug::Nowhere }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        rules::tpm(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        if self.model == Some(TpmModel::SpaprTpmProxy) {
            let path = self.backend.as_ref().and_then(|b| b.device.as_ref()).and_then(|d| d.path.clone());
            let path = lx.must(path, "the device of the TPM", self.site);
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
            (Some(TpmModel::TpmTis), false) => "tpm-tis-device",
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
pub(super) fn passthrough(tpm: &Tpm, id: &str, tpmdev: &mut Props, lx: &mut Lower<'_>) {
    let device = tpm.backend.as_ref().and_then(|b| b.device.as_ref()).and_then(|d| d.path.clone());
    let device = lx.must(device, "the device of the TPM", tpm.site);
    device_access(tpm, &device, lx);
    let host = lx.env.host.machine.tpm.as_ref();
    let cancel = host.filter(|h| h.path == device).and_then(|h| h.cancel_path.clone()).unwrap_or_else(|| {
        // The kernel's name of the device, without /dev/ (Documentation/ABI/stable/sysfs-class-tpm).
        format!("/sys/class/tpm/{}/device/cancel", device.rsplit('/').next().unwrap_or("tpm0"))
    });
    lx.touch(&cancel, Grant::TPM_CANCEL, Use::Tpm, tpm.site, "tpm: cancel");
    tpmdev.bare("passthrough").set("id", id.to_string());
    if lx.hands_over_descriptors() {
        let path = lx.fd_set(format!("{}-tpm", tpm.info.id), tpm.site);
        let cancel = lx.fd_set(format!("{}-cancel", tpm.info.id), tpm.site);
        tpmdev.set("path", path).set("cancel-path", cancel);
    } else {
        tpmdev.set("path", device).set("cancel-path", cancel);
    }
}

pub(super) fn device_access(tpm: &Tpm, path: &str, lx: &mut Lower<'_>) {
    lx.touch(path, Grant::HOST_DEVICE, Use::Tpm, tpm.site, "tpm");
}

/// An emulator that somebody else runs.
pub(super) fn external(tpm: &Tpm, lx: &mut Lower<'_>) -> String {
    let source = tpm.backend.as_ref().and_then(|b| b.source.as_ref());
    let path = lx.must(source.and_then(|s| s.path.clone()), "the socket of the TPM", tpm.site);
    lx.touch(&path, Grant::PEER_SOCKET, Use::Tpm, tpm.site, "tpm: socket of the emulator");
    path
}
