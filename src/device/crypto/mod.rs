//! `<crypto>`: a virtio accelerator for cryptography.

use super::info::DeviceInfo;
use super::plug::{Plug, VirtioModel};
use super::virtio::VirtioDriver;
use super::{Family, device};
use crate::caps::Cap;
use crate::diag::codes::general;
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::plan::Props;
use crate::resolve::{Cx, Env, Machine};
use crate::vocab::keywords;

keywords! {
    /// `<crypto model='…'>`
    pub enum CryptoModel { Virtio = "virtio" }
}

keywords! {
    /// `<crypto type='…'>`
    pub enum CryptoType { Qemu = "qemu" }
}

keywords! {
    /// `<backend model='…'>`: who does the work.
    pub enum CryptoBackend { Builtin = "builtin", Lkcf = "lkcf" }
}

model! {
    /// `<backend>` of a `<crypto>`.
    pub struct Backend = "backend" {
        need model: CryptoBackend = "model",
        attr queues: u32 = "queues",
    }
}

model! {
    /// `<crypto>`
    pub struct Crypto = "crypto" {
        need model: CryptoModel = "model",
        need kind: CryptoType = "type",
        child backend: Backend,
        part info: DeviceInfo,
        child driver: VirtioDriver,
    }
}

device!(Crypto, "crypto");

impl Family for Crypto {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        // Where there are both kinds of slots, libvirt puts it into a conventional one.
        Plug::Virtio(VirtioModel::Transitional)
    }

    fn rules(&self, _: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        if !cx.has(Cap::VirtioCrypto) {
            cx.error(&general::NOT_BY_QEMU, self.site, "this QEMU binary has no virtio-crypto device");
        }
        let lkcf = self.backend.as_ref().is_some_and(|b| b.model == Some(CryptoBackend::Lkcf));
        if lkcf && !cx.has(Cap::CryptodevBackendLkcf) {
            cx.error(&general::NOT_BY_QEMU, self.site, "<backend model='lkcf'>: this QEMU binary has no such crypto");
        }
        if let Some(driver) = &self.driver {
            driver.virtio.rules(true, cx);
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let id = &self.info.id;
        let backend = self.backend.clone().unwrap_or_default();
        let mut object = Props::with(
            "qom-type",
            match backend.model {
                Some(CryptoBackend::Lkcf) => "cryptodev-backend-lkcf",
                _ => "cryptodev-backend-builtin",
            },
        );
        object.set("id", format!("obj{id}"));
        object.maybe("queues", backend.queues.filter(|q| *q > 0));
        lx.object(object, self.site, "crypto");
        let options = self.driver.as_ref().map(|d| &d.virtio);
        let mut props = lx.virtio_device("virtio-crypto", &self.info, VirtioModel::Virtio, options);
        props.set("cryptodev", format!("obj{id}")).set("id", id.clone());
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}
