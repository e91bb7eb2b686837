//! Consoles: what the passes ask of the family.

use super::{Console, ConsoleTargetType};
use crate::caps::Cap;
use crate::device::chardev::{self, lower::Chardev};
use crate::device::family::Family;
use crate::diag::codes::{chardev as codes, general as support};
use crate::domain::Domain;
use crate::plan::{Props, Use};
use crate::stage::Lower;
use crate::stage::{Cx, Machine};

impl Family for Console {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn rules(&self, _: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        use ConsoleTargetType as T;
        if self.target_type() == Some(T::Serial) {
            // The serial port has been checked.
            return;
        }
        chardev::rules::rules(&self.source, self.site, cx);
        chardev::rules::unix_needs_path(&self.source, self.source.site, cx);
        let cap = match self.target_type() {
            Some(T::Sclp) => Cap::S390Sclp,
            Some(T::Sclplm) => Cap::Sclplmconsole,
            Some(T::Virtio) => return,
            other => {
                let kind = other.map_or("none", ConsoleTargetType::as_str);
                cx.error(&codes::CONSOLE, self.site, format!("this machine has no console with target type {kind}"))
                    .help("use type='virtio', or type='sclp' on S/390");
                return;
            }
        };
        if !cx.has(cap) {
            let kind = self.target_type().map_or("", ConsoleTargetType::as_str);
            cx.error(&support::NOT_BY_QEMU, self.site, format!("this QEMU binary has no {kind} console"));
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        use ConsoleTargetType as T;
        let driver = match self.target_type() {
            Some(T::Virtio) => "virtconsole",
            Some(T::Sclp) => "sclpconsole",
            Some(T::Sclplm) => "sclplmconsole",
            _ => return,
        };
        let of = Chardev {
            id: &self.info.id,
            site: self.site,
            family: "console",
            usage: Use::CharacterDevice,
            spicevmc: "vdagent",
            generated: None,
        };
        let id = chardev::lower::chardev(&self.source, of, lx);
        let mut props = Props::driver(driver);
        if driver == "virtconsole" {
            crate::device::channel::family::port(&mut props, &self.info, lx);
        }
        props.set("chardev", id).set("id", self.info.id.clone());
        lx.device(props, self);
    }
}
