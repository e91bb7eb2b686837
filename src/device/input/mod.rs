//! Keyboards, mice, tablets, and input devices of the host.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use super::plug::VirtioModel;
use super::virtio::VirtioDriver;
use crate::bind::model;
pub use crate::schema::words::{Grab, GrabToggle, InputBus, InputKind};
use crate::vocab::OnOff;

model! {
    /// `<source>`: the device of the host. `evdev` belongs to `passthrough`, the others to `evdev`.
    pub struct InputSource = "source" {
        attr evdev: String = "evdev",
        attr dev: String = "dev",
        attr grab: Grab = "grab",
        attr grab_toggle: GrabToggle = "grabToggle",
        attr repeat: OnOff = "repeat",
    }
}

model! {
    /// `<input>`
    pub struct Input = "input" {
        need kind: InputKind = "type",
        attr bus: InputBus = "bus",
        attr model: VirtioModel = "model",
        child driver: VirtioDriver,
        child source: InputSource,
        part info: DeviceInfo,
    }
}

device!(Input, "input");
