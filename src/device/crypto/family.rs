//! `<crypto>`: what the passes ask of the family.

use super::{Crypto, CryptoBackend};
use crate::caps::Cap;
use crate::device::family::Family;
use crate::device::plug::{Plug, VirtioModel};
use crate::diag::codes::general;
use crate::domain::Domain;
use crate::plan::Props;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};

impl Family for Crypto {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        // Where there are both kinds of slots, libvirt puts it into a conventional one.
        Plug::Virtio(VirtioModel::VirtioTransitional)
    }

    fn rules(&self, _: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        if !cx.has(Cap::VirtioCrypto) {
            cx.error(&general::NOT_BY_QEMU, self.site, "this QEMU binary has no virtio-crypto device");
        }
        let lkcf = self.backend.as_ref().is_some_and(|b| b.model == Some(CryptoBackend::Lkcf));
        if lkcf && !cx.has(Cap::CryptodevBackendLkcf) {
            cx.error(&general::NOT_BY_QEMU, self.site, "<backend model='lkcf'>: this QEMU binary has no such crypto");
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
