//! Keyboards, mice, tablets, and input devices of the host.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use super::plug::VirtioModel;
use super::virtio::VirtioDriver;
use crate::bind::model;
use crate::vocab::{OnOff, keywords};

keywords! {
    /// `<input type='…'>`
    pub enum InputKind {
        Mouse = "mouse",
        Tablet = "tablet",
        Keyboard = "keyboard",
        Passthrough = "passthrough",
        Evdev = "evdev",
    }
}

keywords! {
    /// `<input bus='…'>`
    pub enum InputBus {
        Ps2 = "ps2",
        Usb = "usb",
        Xen = "xen",
        Parallels = "parallels",
        Virtio = "virtio",
    }
}

keywords! {
    /// `<source grab='…'>`
    pub enum Grab { All = "all" }
}

keywords! {
    /// `<source grabToggle='…'>`: the keys that hand the device over between host and guest.
    pub enum GrabToggle {
        CtrlCtrl = "ctrl-ctrl",
        AltAlt = "alt-alt",
        ShiftShift = "shift-shift",
        MetaMeta = "meta-meta",
        Scrolllock = "scrolllock",
        CtrlScrolllock = "ctrl-scrolllock",
    }
}

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
