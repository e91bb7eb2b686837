//! USB hubs.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use crate::bind::model;
pub use crate::schema::words::HubKind;

model! {
    /// `<hub>`
    pub struct Hub = "hub" {
        need kind: HubKind = "type",
        part info: DeviceInfo,
    }
}

device!(Hub, "USB hub");

impl Hub {
    /// A hub that is added because the ports of a controller do not suffice.
    pub fn implied() -> Hub {
        Hub { kind: Some(HubKind::Usb), ..Hub::default() }
    }
}
