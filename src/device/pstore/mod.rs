//! `<pstore>`: storage that survives a crash of the guest's kernel.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use crate::bind::model;
use crate::domain::memory::Amount;
pub use crate::schema::words::PstoreBackend;

model! {
    /// `<pstore>`
    pub struct Pstore = "pstore" {
        need backend: PstoreBackend = "backend",
        leaf path: String = "path",
        child size: Amount = "size",
        part info: DeviceInfo,
    }
}

device!(Pstore, "pstore");
