//! `<vsock>`: sockets between host and guest.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use super::plug::VirtioModel;
use super::virtio::VirtioDriver;
use crate::bind::model;
use crate::vocab::YesNo;

model! {
    /// `<cid>`: the guest's address.
    pub struct Cid = "cid" {
        attr auto: YesNo = "auto",
        attr address: u32 = "address",
    }
}

model! {
    /// `<vsock>`
    pub struct Vsock = "vsock" {
        attr model: VirtioModel = "model",
        child cid: Cid,
        part info: DeviceInfo,
        child driver: VirtioDriver,
    }
}

device!(Vsock, "vsock");
