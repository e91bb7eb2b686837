//! `<lease>`: a lock that the host holds while the guest runs. QEMU does not know of it.

use super::info::DeviceInfo;
use super::{Family, device};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::resolve::{Cx, Machine};

model! {
    /// `<target>` of a lease.
    pub struct LeaseTarget = "target" {
        need path: String = "path",
        attr offset: u64 = "offset",
    }
}

model! {
    /// `<lease>`
    pub struct Lease = "lease" {
        leaf lockspace: String = "lockspace",
        leaf key: String = "key",
        child target: LeaseTarget,
        extra info: DeviceInfo,
    }
}

device!(Lease, "lease");

impl Family for Lease {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn rules(&self, _: &Domain, _: &Machine, _: &mut Cx<'_>) {}

    fn lower(&self, _: &mut Lower<'_>) {}
}
