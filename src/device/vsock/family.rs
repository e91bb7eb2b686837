//! `<vsock>`: what the passes ask of the family.

use super::{Cid, Vsock};
use crate::caps::Cap;
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{general, hostdev as codes};
use crate::domain::Domain;
use crate::plan::{ClaimKind, Use};
use crate::stage::{Cx, Env, Machine};
use crate::stage::{Grant, Lower};
use crate::vocab::{YesNo, nodes};

impl Family for Vsock {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {
        self.model.get_or_insert_default();
        let cid = self.cid.get_or_insert_with(Cid::default);
        let auto = YesNo::from(cid.address.is_none());
        cid.auto.get_or_insert(auto);
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        Plug::Virtio(self.model.unwrap_or_default())
    }

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        let first = domain.devices.iter().flat_map(|d| d.vsocks.first()).next();
        if first.is_some_and(|v| v.site != self.site) {
            cx.error(&general::ONE_ONLY, self.site, "a second <vsock>: a guest has one at most");
        }
        if !cx.has(Cap::VhostVsock) {
            cx.error(&general::NOT_BY_QEMU, self.site, "this QEMU has no vhost-vsock device");
        }
        if let Some(cid) = self.cid.as_ref().filter(|c| c.auto == Some(YesNo::No) && c.address.is_none())
            && cx.env.is_guardian()
        {
            cx.error_at(&codes::VALUE, cid.site, "auto", "<cid auto='no'> needs the address that the guest is to have")
                .help("add address='3' or more, or write auto='yes'");
        }
        // 0 to 2 are the hypervisor, the local machine and the host (vsock(7)).
        if let Some(cid) = &self.cid
            && let Some(address) = cid.address
            && address < 3
        {
            cx.error_at(
                &codes::VALUE,
                cid.site,
                "address",
                format!(
                    "<cid address='{address}'>: CIDs below 3 are the host's and the hypervisor's; a guest's begin there"
                ),
            );
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let options = self.driver.as_ref().map(|d| &d.virtio);
        let mut props = lx.virtio_device("vhost-vsock", &self.info, self.model.unwrap_or_default(), options);
        props.set("id", self.info.id.clone());
        let cid = self.cid.as_ref().filter(|c| c.auto == Some(YesNo::No)).and_then(|c| c.address);
        let cid = cid.unwrap_or(lx.env.host.machine.vsock_next_cid);
        let own = lx.overridden(&self.info.id, "guest-cid").map_or_else(|| cid.to_string(), str::to_string);
        lx.claim(ClaimKind::Cid, own, self.site, "vsock");
        props.set("guest-cid", cid);
        if lx.hands_over_descriptors() {
            let fd = lx.descriptor("vhost-vsock");
            props.set("vhostfd", fd);
        }
        lx.touch(nodes::VHOST_VSOCK, Grant::SYSTEM_NODE, Use::Vsock, self.site, "vsock");
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}
