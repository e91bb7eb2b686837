//! Keyboards, mice, tablets, and input devices of the host: what the passes ask of the family.

use super::{Grab, Input, InputBus, InputKind};
use crate::caps::Cap;
use crate::device::Devices;
use crate::device::controller::{Controller, ControllerKind, ControllerModel};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{display as codes, general as support, schema};
use crate::domain::Domain;
use crate::domain::features::Switch;
use crate::plan::{Props, Use};
use crate::stage::{Board, Cx, Env, Machine};
use crate::stage::{Grant, Lower};
use crate::vocab::OnOff;

/// Whether the machine has the controller of PS/2 devices.
pub(super) fn has_ps2(domain: &Domain, machine: &Machine) -> bool {
    let switch = domain.features.as_ref().and_then(|f| f.ps2.as_ref());
    machine.arch.is_x86() && switch.is_none_or(Switch::is_on)
}

/// Adds the mouse and the keyboard that every PC has, and those that a POWER machine with a display needs.
pub fn add_implicit(domain: &Domain, devices: &mut Devices, machine: &Machine) {
    if machine.arch.is_ppc64() && !devices.graphics.is_empty() {
        let has = |kinds: &[InputKind]| devices.inputs.iter().any(|i| i.kind.is_some_and(|k| kinds.contains(&k)));
        let keyboard = (!has(&[InputKind::Keyboard])).then_some(InputKind::Keyboard);
        let mouse = (!has(&[InputKind::Mouse, InputKind::Tablet])).then_some(InputKind::Mouse);
        for kind in [keyboard, mouse].into_iter().flatten() {
            devices.inputs.push(Input { kind: Some(kind), bus: Some(InputBus::Usb), ..Input::default() });
        }
    }
    // The smallest machine of x86 has a keyboard only where it is asked for.
    if !has_ps2(domain, machine) || machine.board == Board::Microvm {
        return;
    }
    for kind in [InputKind::Mouse, InputKind::Keyboard] {
        // One whose bus is still open does not count: it becomes a second one.
        let is = |i: &Input| i.kind == Some(kind) && i.bus == Some(InputBus::Ps2);
        if !devices.inputs.iter().any(is) {
            devices.inputs.push(Input { kind: Some(kind), bus: Some(InputBus::Ps2), ..Input::default() });
        }
    }
}

impl Family for Input {
    fn defaults(&mut self, machine: &Machine, _: &mut Cx<'_>) {
        if self.bus.is_none() {
            self.bus = match self.kind {
                Some(InputKind::Mouse | InputKind::Keyboard) if machine.arch.is_x86() => Some(InputBus::Ps2),
                Some(InputKind::Evdev) => None,
                Some(InputKind::Passthrough) => Some(InputBus::Virtio),
                _ if machine.arch.is_s390() => Some(InputBus::Virtio),
                _ => Some(InputBus::Usb),
            };
        }
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.bus {
            Some(InputBus::Usb) => Plug::Usb,
            Some(InputBus::Virtio) => Plug::Virtio(self.model.unwrap_or_default()),
            _ => Plug::Nowhere,
        }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        let Some(kind) = self.kind else { return };
        let without_usb = |c: &Controller| c.is(ControllerKind::Usb) && c.model == Some(ControllerModel::None);
        let controllers = domain.devices.iter().flat_map(|d| &d.controllers);
        if self.bus == Some(InputBus::Usb) && controllers.into_iter().any(without_usb) {
            cx.error(
                &codes::INPUT,
                self.site,
                "a USB input device, in a domain whose USB bus is disabled (model='none')",
            )
            .help("remove <controller type='usb' model='none'/>, or use another bus");
            return;
        }
        let wrong = match self.bus {
            Some(bus @ InputBus::Ps2) => {
                if !matches!(kind, InputKind::Mouse | InputKind::Keyboard) {
                    Some(format!("there is no {kind} input device on the {bus} bus"))
                } else if !machine.arch.is_x86() {
                    Some(format!("bus '{bus}' is not there for input devices on architecture {}", machine.arch))
                } else if !has_ps2(domain, machine) {
                    Some("an input on the ps2 bus needs the ps2 feature, which is disabled".to_string())
                } else {
                    None
                }
            }
            Some(bus @ InputBus::Usb) if kind == InputKind::Passthrough => {
                Some(format!("there is no {kind} input device on the {bus} bus"))
            }
            Some(bus @ InputBus::Xen) => Some(format!("an input device on bus {bus} is not one of QEMU's")),
            Some(bus) if kind == InputKind::Evdev => Some(format!("input type 'evdev' has no bus, not '{bus}'")),
            _ => None,
        };
        if let Some(message) = wrong {
            cx.error_at(&codes::INPUT, self.site, "bus", message);
            return;
        }
        let source = self.source.as_ref();
        // Without any <source> libvirt lets QEMU say it.
        let strict = cx.env.is_guardian();
        if kind == InputKind::Passthrough && source.map_or(strict, |s| s.evdev.is_none()) {
            cx.error(
                &schema::MISSING_ATTRIBUTE,
                self.site,
                "a passthrough input device has no <source evdev>: the path of the host's event device is missing",
            )
            .help("add <source evdev='/dev/input/eventN'/>");
        }
        if kind == InputKind::Evdev && source.map_or(strict, |s| s.dev.is_none()) {
            cx.error(
                &schema::MISSING_ATTRIBUTE,
                self.site,
                "an input device of type 'evdev' has no <source dev>: the path of the host's event device is missing",
            )
            .help("add <source dev='/dev/input/eventN'/>");
        }
        if self.bus != Some(InputBus::Virtio) {
            if let Some(driver) = &self.driver {
                driver.virtio.idle("input device", cx);
            }
            if self.model.is_some() {
                cx.error_at(
                    &codes::INPUT,
                    self.site,
                    "model",
                    "models of virtio belong to input devices on bus 'virtio'",
                );
            }
        }
        let ccw = machine.arch.is_s390();
        let cap = match (self.bus, kind) {
            (Some(InputBus::Usb), InputKind::Keyboard) => Cap::UsbKbd,
            (Some(InputBus::Virtio), InputKind::Mouse) if ccw => Cap::VirtioMouseCcw,
            (Some(InputBus::Virtio), InputKind::Mouse) => Cap::VirtioMouse,
            (Some(InputBus::Virtio), InputKind::Tablet) if ccw => Cap::VirtioTabletCcw,
            (Some(InputBus::Virtio), InputKind::Tablet) => Cap::VirtioTablet,
            (Some(InputBus::Virtio), InputKind::Keyboard) if ccw => Cap::VirtioKeyboardCcw,
            (Some(InputBus::Virtio), InputKind::Keyboard) => Cap::VirtioKeyboard,
            (Some(InputBus::Virtio), InputKind::Passthrough) => Cap::VirtioInputHost,
            (_, InputKind::Evdev) => Cap::InputLinux,
            _ => return,
        };
        if !cx.has(cap) {
            let bus = self.bus.map_or("evdev", InputBus::as_str);
            cx.error(
                &support::NOT_BY_QEMU,
                self.site,
                format!("this QEMU binary has no input device of type '{kind}' for '{bus}'"),
            );
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let Some(kind) = self.kind else { return };
        if kind == InputKind::Evdev {
            self.evdev(lx);
            return;
        }
        let mut props = match (self.bus, kind) {
            (Some(InputBus::Usb), InputKind::Mouse) => Props::driver("usb-mouse"),
            (Some(InputBus::Usb), InputKind::Tablet) => Props::driver("usb-tablet"),
            (Some(InputBus::Usb), InputKind::Keyboard) => Props::driver("usb-kbd"),
            (Some(InputBus::Virtio), _) => {
                let base = match kind {
                    InputKind::Mouse => "virtio-mouse",
                    InputKind::Tablet => "virtio-tablet",
                    InputKind::Keyboard => "virtio-keyboard",
                    _ => "virtio-input-host",
                };
                let options = self.driver.as_ref().map(|d| &d.virtio);
                lx.virtio_device(base, &self.info, self.model.unwrap_or_default(), options)
            }
            // Part of the board.
            _ => return,
        };
        props.set("id", self.info.id.clone());
        if let Some(evdev) = self.source.as_ref().and_then(|s| s.evdev.clone()) {
            self.access(&evdev, lx);
            props.set("evdev", evdev);
        }
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}

impl Input {
    /// An input device of the host that both share.
    fn evdev(&self, lx: &mut Lower<'_>) {
        let source = self.source.clone().unwrap_or_default();
        let Some(dev) = source.dev else {
            lx.error(
                &schema::MISSING_ATTRIBUTE,
                self.site,
                "an input device of type 'evdev' names no 'evdev' of the host",
            );
            return;
        };
        self.access(&dev, lx);
        let mut props = Props::with("qom-type", "input-linux");
        props.set("id", self.info.id.clone()).set("evdev", dev);
        props.maybe("repeat", source.repeat.map(OnOff::is_on));
        props.maybe("grab_all", source.grab.map(|g| g == Grab::All));
        props.maybe("grab-toggle", source.grab_toggle.map(|g| g.as_str()));
        lx.object(props, self.site, "input");
    }

    fn access(&self, path: &str, lx: &mut Lower<'_>) {
        lx.touch(path, Grant::HOST_DEVICE, Use::Input, self.site, "input");
    }
}
