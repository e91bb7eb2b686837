//! `<lease>`: a lock that the host holds while the guest runs. QEMU does not know of it.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use crate::bind::model;

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
