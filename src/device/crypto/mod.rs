//! `<crypto>`: a virtio accelerator for cryptography.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use super::virtio::VirtioDriver;
use crate::bind::model;
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
