//! `<crypto>`: a virtio accelerator for cryptography.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use super::virtio::VirtioDriver;
use crate::bind::model;
pub use crate::schema::words::{CryptoBackend, CryptoModel, CryptoType};

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
