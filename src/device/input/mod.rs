//! Keyboards, mice, tablets.

use super::info::DeviceInfo;
use super::plug::{Plug, VirtioModel};
use super::{Family, device};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::plan::Props;
use crate::resolve::{Cx, Env, Machine};
use crate::vocab::keywords;

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
        None = "none",
    }
}

model! {
    /// `<input>`
    pub struct Input = "input" {
        need kind: InputKind = "type",
        attr bus: InputBus = "bus",
        part info: DeviceInfo,
    }
}

device!(Input, "input");

impl Family for Input {
    fn defaults(&mut self, machine: &Machine, _: &mut Cx<'_>) {
        if self.bus.is_none() {
            let ps2 = machine.arch.is_x86() && matches!(self.kind, Some(InputKind::Mouse | InputKind::Keyboard));
            self.bus = Some(if ps2 { InputBus::Ps2 } else { InputBus::Usb });
        }
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.bus {
            Some(InputBus::Usb) => Plug::Usb,
            Some(InputBus::Virtio) => Plug::Virtio(VirtioModel::Virtio),
            _ => Plug::Nowhere,
        }
    }

    fn rules(&self, _: &Domain, _: &Machine, _: &mut Cx<'_>) {}

    fn lower(&self, lx: &mut Lower<'_>) {
        if self.bus != Some(InputBus::Usb) {
            return;
        }
        let driver = match self.kind {
            Some(InputKind::Mouse) => "usb-mouse",
            Some(InputKind::Tablet) => "usb-tablet",
            Some(InputKind::Keyboard) => "usb-kbd",
            _ => return,
        };
        let mut props = Props::driver(driver);
        props.set("id", self.info.id.clone());
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}
